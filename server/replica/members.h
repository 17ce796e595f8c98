/* members.h: the address book of a cluster: who its members are, by which disk each is known, and where its
 * bus is reached.
 *
 * It is the part of a membership entry that the core does not look at, and travels with it: in the log, in
 * the map's meta, in snapshots. Who votes and who learns is the core's part (raft.h).
 *
 * A member is its node id *and* its disk (pitfall 28). Bytes come from the network and the disk: decoding
 * checks everything.
 */
#ifndef MEMBERS_H
#define MEMBERS_H

#include "bus_message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is to become of a learner. On disk and on the wire: never renumber. */
enum member_goal {
    MEMBER_GOAL_NONE = 0,  /* it stays what it is */
    MEMBER_GOAL_VOTER = 1, /* it becomes a voter when it has caught up, by whoever leads then */
};

struct replica_member {
    uint64_t node_id;
    uint64_t disk_id;                      /* 0: not known yet, whoever comes first has it */
    char bus_host[BUS_HOST_BYTES_MAX + 1]; /* "": not known; then the port is 0 */
    uint16_t bus_port;
    enum member_goal goal;
    uint64_t replaces; /* with MEMBER_GOAL_VOTER: the member that leaves in the same step; 0: none */
};

/* One that was a member, and is none for ever: its id may come back, its disk not. */
struct members_removed {
    uint64_t node_id;
    uint64_t disk_id; /* not 0 */
};

/* A majority that was given up (forced_cluster.h): what this cluster was made of. */
struct members_forced {
    uint64_t time_ms;          /* Unix time, by the clock of that node */
    uint64_t node_id;          /* the survivor */
    uint64_t cluster_id[2];    /* to which it had belonged until then */
    struct raft_entry_id last; /* the end of its log: what came after is lost */
    uint64_t commit;           /* up to which it knew that entries were committed */
};

/* The newest are kept. */
enum { MEMBERS_REMOVED_MAX = 128, MEMBERS_FORCED_MAX = 16 };

struct members {
    uint32_t count;
    struct replica_member list[RAFT_NODES_MAX]; /* ascending ids */
    /* What is remembered, in the order in which it happened. A book that remembers anything is of version 2,
     * which all members have to know (COMMAND_RULES_VERSION_OF_MEMORY). */
    uint32_t removed_count, forced_count;
    struct members_removed removed[MEMBERS_REMOVED_MAX];
    struct members_forced forced[MEMBERS_FORCED_MAX];
};

enum {
    MEMBERS_HEAD_BYTES = 4,
    MEMBERS_MEMBER_BYTES_MAX = 28 + BUS_HOST_BYTES_MAX,
    MEMBERS_REMOVED_BYTES = 16,
    MEMBERS_FORCED_BYTES = 56,
    MEMBERS_BYTES_MAX = MEMBERS_HEAD_BYTES + RAFT_NODES_MAX * MEMBERS_MEMBER_BYTES_MAX + 4 +
                        MEMBERS_REMOVED_MAX * MEMBERS_REMOVED_BYTES +
                        MEMBERS_FORCED_MAX * MEMBERS_FORCED_BYTES,
};

/* The encoded form; `bytes` has room for MEMBERS_BYTES_MAX. Returns its size. */
size_t members_encode(const struct members *members, uint8_t *bytes);
/* False: not an address book, or one of a version that this kvd does not know. */
bool members_decode(const uint8_t *bytes, size_t size, struct members *members)
    __attribute__((warn_unused_result));

/* NULL: not there. */
struct replica_member *members_find(struct members *members, uint64_t node_id);
const struct replica_member *members_find_const(const struct members *members, uint64_t node_id);
/* Puts a member in its place; one with its id is replaced. False: there are RAFT_NODES_MAX. */
bool members_put(struct members *members, const struct replica_member *member);
/* The book has this node, by this disk. */
bool members_name_disk(const struct members *members, uint64_t node_id, uint64_t disk_id);
void members_remove(struct members *members, uint64_t node_id);

/* Remembered from now on; the oldest one goes when there are too many. Again is no change. */
void members_remember_removed(struct members *members, uint64_t node_id, uint64_t disk_id);
void members_remember_forced(struct members *members, const struct members_forced *forced);
bool members_was_removed(const struct members *members, uint64_t node_id, uint64_t disk_id);
/* The event in which this cluster left that one; NULL: there is none. */
const struct members_forced *members_find_forced(const struct members *members, const uint64_t cluster_id[2]);
/* `to` remembers what `from` does. */
void members_copy_memory(struct members *to, const struct members *from);

/* A host that may stand in an address: visible ASCII, not empty, short enough. */
bool members_host_is_valid(const char *host);
/* "host:port", "[ipv6]:port". */
bool members_parse_address(const uint8_t *text, size_t size, char host[BUS_HOST_BYTES_MAX + 1],
                           uint16_t *port) __attribute__((warn_unused_result));

#endif
