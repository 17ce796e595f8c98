/* bus_message.h: what nodes say to each other, as structs; bus_codec.h turns them into frames and back.
 *
 * Each ordered pair of nodes has a connection of its own: a node dials every other member and *sends* on the
 * connection that it dialled; it *receives* on those that it accepted. The dialler says HELLO first; the
 * other side answers HELLO or REFUSED; only then do messages flow. One that asks to join says so in its
 * HELLO, gets one JOIN_ANSWER, and the connection ends.
 */
#ifndef BUS_MESSAGE_H
#define BUS_MESSAGE_H

#include "raft.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    /* 2: hellos tell the node's address and how new its membership is; joining. 3: reports. 4: hellos tell
     * the oldest rules */
    BUS_PROTOCOL_VERSION = 4,
    BUS_PROTOCOL_VERSION_OF_CHANGES = 2, /* nodes of an older one take no notice of membership entries */
    BUS_PROTOCOL_VERSION_OF_REPORTS = 3, /* sent to nodes of this version and later */
    BUS_PROTOCOL_VERSION_MIN = 1,        /* the oldest that we still understand */
    BUS_LISTENERS_MAX = 4,
    BUS_NAME_BYTES_MAX = 31,
    BUS_HOST_BYTES_MAX = 255,
    BUS_REASON_BYTES_MAX = 400,
    BUS_NONCE_BYTES = 16,
    BUS_PROOF_BYTES = 32,
    BUS_FRAME_BYTES_MAX = 40 * 1024 * 1024, /* of one frame's body: an APPEND with one full entry fits */
};

/* On-wire numbers: never renumber. */
enum bus_message_type {
    BUS_MESSAGE_HELLO = 1,
    BUS_MESSAGE_REFUSED = 2,
    BUS_MESSAGE_PROOF =
        3, /* the dialler's proof of the secret; only when one is set; handled by the transport */
    BUS_MESSAGE_FORMATION = 4,
    BUS_MESSAGE_RAFT = 5,
    BUS_MESSAGE_REPORT = 6,
    BUS_MESSAGE_JOIN_ANSWER = 7, /* to one that asked to join, after the handshake */
    /* On a connection of its own: BEGIN, then raw chunks (map_chunk.h), and END from the other side. */
    BUS_MESSAGE_SNAPSHOT_BEGIN = 8,
    BUS_MESSAGE_SNAPSHOT_END = 9,
};

/* Where clients reach a node by the listener of this name. */
struct bus_listener_address {
    char name[BUS_NAME_BYTES_MAX + 1];
    char host[BUS_HOST_BYTES_MAX + 1];
    uint16_t port;
};

enum bus_formation_state { /* same numbers as enum log_formation */
                           BUS_FORMATION_NONE = 0,
                           BUS_FORMATION_PREPARED = 1,
                           BUS_FORMATION_FORMED = 2,
};

/* Who a node is (pitfall 28: identities of cluster, node and disk). */
struct bus_hello {
    uint16_t protocol_version, protocol_version_min;
    uint32_t rules_version; /* the newest state machine rules that the node can apply */
    uint64_t from, to;      /* node ids; to 0: whoever is at this address, from one that joins */
    uint64_t disk_id;
    uint64_t cluster_id[2]; /* 0 while BUS_FORMATION_NONE */
    enum bus_formation_state formation;
    uint64_t members_hash; /* of the configured initial members: ids, not addresses */
    uint32_t listeners_count;
    struct bus_listener_address listeners[BUS_LISTENERS_MAX];
    uint8_t nonce[BUS_NONCE_BYTES]; /* filled and checked by the transport */
    uint8_t proof[BUS_PROOF_BYTES];
    /* since version 2; 0 and "" from an older node */
    uint64_t membership_index; /* of the entry that set the members that it goes by; 0: those that formed */
    bool joining;              /* it asks to be added, and has never been a member */
    bool snapshot;             /* this connection brings a snapshot, and nothing else */
    char bus_host[BUS_HOST_BYTES_MAX + 1]; /* where its bus is reached; "" and 0: not known */
    uint16_t bus_port;
    uint32_t rules_version_min; /* since version 4, 0 from an older node: the oldest that it can apply */
};

enum bus_refusal {
    BUS_REFUSAL_VERSION = 1,
    BUS_REFUSAL_NOT_A_MEMBER = 2,
    BUS_REFUSAL_CLUSTER = 3, /* another cluster */
    BUS_REFUSAL_DISK = 4,    /* the id is known with another disk */
    BUS_REFUSAL_SECRET = 5,
    BUS_REFUSAL_MEMBERS = 6, /* the initial members are configured differently */
    BUS_REFUSAL_ADDRESS = 7, /* you meant to reach another node than this */
    BUS_REFUSAL_REMOVED = 8, /* you were a member, and are one no more */
};

/* What one that asked to join is to do next. */
enum bus_join_step {
    BUS_JOIN_ADDED = 1, /* you are a member of this cluster */
    BUS_JOIN_WAIT = 2,  /* not yet, as the reason says: ask again */
    BUS_JOIN_ASK = 3,   /* ask the node at this address */
};

struct bus_join_answer {
    enum bus_join_step step;
    uint64_t cluster_id[2];
    char bus_host[BUS_HOST_BYTES_MAX + 1]; /* ASK */
    uint16_t bus_port;
    char reason[BUS_REASON_BYTES_MAX + 1];
};

/* Formation: all initial members store the same record before anyone votes; see formation.h. */
enum bus_formation_step {
    BUS_FORMATION_PROPOSE = 1, /* store this */
    BUS_FORMATION_ACCEPT = 2,  /* I have stored it */
    BUS_FORMATION_COMMIT = 3,  /* everybody has stored it: you are formed */
};

struct bus_member {
    uint64_t node_id;
    uint64_t disk_id;
};

struct bus_formation {
    enum bus_formation_step step;
    uint64_t cluster_id[2];
    uint32_t members_count;
    struct bus_member members[RAFT_NODES_MAX];
};

/* What a member says of itself, to everybody, again and again. */
struct bus_report {
    bool low_space;        /* its disk is nearly full: it wants no data that grows */
    uint64_t digest_index; /* an entry that it has applied, 0: none yet ... */
    uint64_t digest;       /* ... and the digest of its map at that entry */
};

struct bus_snapshot_begin {
    struct raft_entry_id upto;
    uint64_t keys_count; /* about: for people */
    /* With which the cluster was formed; for a state in which no entry has set another. Owned. */
    struct raft_payload *membership;
};

struct bus_snapshot_end {
    bool ok; /* all of it is on the receiver's disk */
    char reason[BUS_REASON_BYTES_MAX + 1];
};

struct bus_message {
    enum bus_message_type type;
    uint64_t wall_clock_ms; /* of the sender, when it sent; RAFT only */
    union {
        struct bus_hello hello;
        struct {
            enum bus_refusal code;
            char reason[BUS_REASON_BYTES_MAX + 1];
        } refused;
        uint8_t proof[BUS_PROOF_BYTES];
        struct bus_formation formation;
        struct bus_report report;
        struct bus_join_answer join_answer;
        struct bus_snapshot_begin snapshot_begin;
        struct bus_snapshot_end snapshot_end;
        struct raft_message raft; /* decoded: owns its entries, raft_message_deinit() */
    };
};

#endif
