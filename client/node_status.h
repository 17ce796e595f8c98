/* node_status.h: what one node says of itself in RAFT STATUS, read from its "key:value" lines. Pure.
 *
 * Unknown keys are skipped, so that newer servers can be asked; missing ones are 0 or "".
 */
#ifndef NODE_STATUS_H
#define NODE_STATUS_H

#include "endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NODE_STATUS_MEMBERS_MAX = 16, NODE_STATUS_WORD_BYTES_MAX = 48, NODE_STATUS_TEXT_BYTES_MAX = 512 };

struct node_status_member {
    uint64_t id;
    struct endpoint address; /* for clients; port 0: not known */
    bool connected;          /* a bus connection between the node that says this and the member stands */
    bool progress_known;     /* the rest is known to a leader only */
    char progress[NODE_STATUS_WORD_BYTES_MAX];
    uint64_t match_index;
    bool active;
    struct endpoint bus;                   /* where the others reach it; port 0: not known */
    char kind[NODE_STATUS_WORD_BYTES_MAX]; /* "voter", "learner", "outgoing", "none" */
    char goal[NODE_STATUS_WORD_BYTES_MAX]; /* "join", "voter", "replace-<id>", "" */
    uint64_t snapshot_keys, snapshot_keys_total, snapshot_bytes; /* all 0: none is being sent */
};

struct node_status {
    uint64_t node_id;
    char role[NODE_STATUS_WORD_BYTES_MAX]; /* "leader", "follower", "candidate", "forming"... */
    uint64_t term;
    uint64_t leader_id; /* 0: knows none */
    bool leader_ready;  /* a leader that has committed an entry of its term */
    uint64_t transferee;
    uint64_t commit_index, applied_index, last_index, durable_index, first_index;
    uint64_t key_count, uptime_ms;
    uint64_t membership_index;
    char membership[NODE_STATUS_WORD_BYTES_MAX]; /* "stable", "changing", "joint" */
    char cluster_id[NODE_STATUS_WORD_BYTES_MAX];
    char disk_id[NODE_STATUS_WORD_BYTES_MAX];
    char digest[NODE_STATUS_WORD_BYTES_MAX];
    char version[NODE_STATUS_WORD_BYTES_MAX];
    bool low_space;                              /* disk or log are nearly full */
    char damage[NODE_STATUS_TEXT_BYTES_MAX];     /* what it has found on its disk, a sentence; "": nothing */
    uint64_t differing[NODE_STATUS_MEMBERS_MAX]; /* a leader only: whose data is not what the others have */
    size_t differing_count;
    struct node_status_member members[NODE_STATUS_MEMBERS_MAX];
    size_t members_count;
};

/* NULL: it is no member. */
const struct node_status_member *node_status_find_member(const struct node_status *status, uint64_t id);

/* A leader's word: the data of this member is not what the others have. */
bool node_status_names_differing(const struct node_status *status, uint64_t id);

/* False: these are not the lines of RAFT STATUS (no node_id or no role). */
bool node_status_parse(struct node_status *status, const char *text, size_t size)
    __attribute__((warn_unused_result));

#endif
