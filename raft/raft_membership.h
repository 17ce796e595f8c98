/* raft_membership.h: who is in the cluster: a value, its rules, and its form on disk and on the wire.
 *
 * What it is: sets of node ids. Members have one of these parts (thesis 4.2.1, 4.3):
 *   voters    count in elections, commits, reads and check-quorum; may lead;
 *   outgoing  the voters of C_old while the cluster goes over from C_old to C_new: if there are any, this is
 *             the joint configuration C_old,new, `voters` are those of C_new, and each decision needs a
 *             majority of both. A node is mostly in both;
 *   learners  get the log, and count nowhere. An outgoing voter may be a learner as well: it is one
 *             once C_new has come.
 * No voters at all: no configuration is known; so starts a node that waits to be added.
 *
 * What it is not: it does not know which configuration is in effect (raft_configuration), how one is changed
 * (raft_change), or where nodes are to be found: what a user of the core needs beside the ids travels
 * behind them as bytes that are opaque here.
 *
 * Included by raft.h: users of the core build and read memberships with it.
 */
#ifndef RAFT_MEMBERSHIP_H
#define RAFT_MEMBERSHIP_H

#include <stdbool.h>
#include <stdint.h>

/* Node ids are chosen by people, 1 and up; 0 means "none". An id is never given to another disk. */
typedef uint64_t raft_node_id;
#define RAFT_NODE_NONE ((raft_node_id)0)

enum {
    RAFT_NODES_MAX = 15,                   /* members of one configuration, of all kinds together */
    RAFT_MEMBERSHIP_BYTES_MAX = 16 * 1024, /* encoded, the opaque bytes included */
};

/* Each list rises strictly. */
struct raft_membership {
    uint32_t voters_count;
    uint32_t outgoing_count; /* > 0: joint */
    uint32_t learners_count;
    raft_node_id voters[RAFT_NODES_MAX];
    raft_node_id outgoing[RAFT_NODES_MAX];
    raft_node_id learners[RAFT_NODES_MAX];
};

enum raft_member_kind {
    RAFT_MEMBER_NONE,
    RAFT_MEMBER_LEARNER,
    RAFT_MEMBER_VOTER,
    RAFT_MEMBER_OUTGOING, /* votes in C_old alone, so until C_new has come */
};

/* NONE, LEARNER or VOTER becomes the kind of `id`, whatever it was. False, and nothing is changed, if `id`
 * is none or there is no room. The membership must not be joint. May leave no voter: the caller checks. */
bool raft_membership_set(struct raft_membership *membership, raft_node_id id, enum raft_member_kind kind);
enum raft_member_kind raft_membership_find(const struct raft_membership *membership, raft_node_id id);
bool raft_membership_is_joint(const struct raft_membership *membership);
bool raft_membership_equals(const struct raft_membership *a, const struct raft_membership *b);
/* At least one voter; lists that rise strictly; no id 0; no voter of C_new is a learner; at most
 * RAFT_NODES_MAX nodes. */
bool raft_membership_is_valid(const struct raft_membership *membership);
/* All members, each once, in rising order: fills `ids`, returns how many. It is valid or empty. */
uint32_t raft_membership_list(const struct raft_membership *membership, raft_node_id ids[RAFT_NODES_MAX]);

struct raft_payload;

/* The payload of an entry of type RAFT_ENTRY_MEMBERSHIP, with one reference for the caller:
 *
 *   byte 0  version, 1        byte 2  outgoing_count
 *   byte 1  voters_count      byte 3  learners_count
 *   then the ids of each list, 8 bytes each, least significant first; then the opaque bytes, to the end.
 *
 * The membership is valid, and all of it fits into RAFT_MEMBERSHIP_BYTES_MAX (assertions). */
struct raft_payload *raft_membership_encode(const struct raft_membership *membership, const uint8_t *opaque,
                                            uint32_t opaque_size);
/* How many bytes stand before the opaque ones. */
uint32_t raft_membership_header_bytes(const struct raft_membership *membership);
/* Takes bytes from network or disk apart: the opaque ones begin at *opaque_offset. False, and nothing is
 * set, if they are of an unknown version, cut short, too long, or no valid membership. What is accepted is
 * encoded to the same bytes. */
bool raft_membership_decode(const uint8_t *bytes, uint32_t size, struct raft_membership *membership,
                            uint32_t *opaque_offset) __attribute__((warn_unused_result));

#endif
