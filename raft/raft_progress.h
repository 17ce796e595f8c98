/* raft_progress.h: what a leader knows of one follower's log, and what is on its way to it.
 *
 * What it is: the flow control of one follower (thesis 10.2, and the states of etcd's raft library):
 *   PROBE      one APPEND at a time, until the follower has said where its log matches;
 *   REPLICATE  pipelining: `next` runs ahead of `match`, up to the in-flight limits;
 *   SNAPSHOT   it needs entries that are compacted: a snapshot (raft_snapshot), heartbeats, and now and
 *              then the question whether it has got to where the log begins.
 *
 * What it is not: it builds no messages.
 *
 * Invariants: match < next; in-flight messages only in REPLICATE; their last indices rise.
 */
#ifndef RAFT_PROGRESS_H
#define RAFT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "raft.h"

struct raft_inflight {
    uint64_t last_index;
    uint64_t bytes;
};

/* raft_snapshot.c: the stream of a snapshot to one follower. */
struct raft_stream {
    bool under_way;    /* the caller was asked for it and has not told of its end */
    uint64_t retry_ms; /* it is not asked for again before */
    /* The follower will need what comes after needed_from next, so that must not be compacted. From when
     * the stream is asked for until the follower's log reaches caught_up_index; under_way => needed. */
    bool needed;
    uint64_t needed_from;
    uint64_t caught_up_index; /* UINT64_MAX while the stream is under way */
    uint64_t done_ms;         /* when it ended well */
};

struct raft_progress {
    raft_node_id id;
    enum raft_progress_state state;
    uint64_t match; /* the follower's disk is known to hold our log up to here */
    uint64_t next;  /* first entry to send next */

    bool probe_sent;      /* PROBE: the one APPEND is out; wait for an answer or a heartbeat response */
    bool ask_again;       /* an APPEND without entries is due, to find out whether one was lost */
    uint64_t moved_ms;    /* last time an APPEND was first sent, answered or asked about again */
    uint64_t contact_ms;  /* last message of the current term from it */
    bool is_heard;        /* ... has come */
    uint64_t log_read_id; /* entries for it are being read from disk; 0: no */
    uint64_t commit_told; /* it was sent word that its log is committed up to here */
    uint64_t round_acked; /* latest heartbeat round that it answered */
    uint64_t answer;      /* ... as which answer of all (raft_reads.answers): the lower, the earlier */
    bool is_cut_off;      /* its connection broke, and it has answered no round since */
    struct raft_stream stream;

    /* raft_change.c: a node that is no member any more, and is to hear of it. */
    uint64_t left_index;       /* the configuration that took it out; 0: it is a member */
    uint64_t left_deadline_ms; /* when to give up telling it; RAFT_NEVER_MS until that is committed */
    uint64_t farewell_round;   /* the first round that tells it so; 0: none yet */

    struct raft_inflight *inflights; /* ring of inflights_capacity */
    uint32_t inflights_capacity;
    uint32_t inflights_head;
    uint32_t inflights_count;
    uint64_t inflight_bytes;
};

void raft_progress_init(struct raft_progress *progress, raft_node_id id, uint32_t inflight_messages_max);
void raft_progress_deinit(struct raft_progress *progress);
/* At the start of a leadership: nothing is known but that the logs may match up to the end. */
void raft_progress_reset(struct raft_progress *progress, uint64_t next, uint64_t now_ms);

void raft_progress_become_probe(struct raft_progress *progress, uint64_t next);
void raft_progress_become_replicate(struct raft_progress *progress);
void raft_progress_become_snapshot(struct raft_progress *progress);

/* REPLICATE: no more may be on its way. */
bool raft_progress_is_full(const struct raft_progress *progress, uint64_t inflight_bytes_max);
/* REPLICATE: entries [next, last_index] left. */
void raft_progress_sent(struct raft_progress *progress, uint64_t last_index, uint64_t bytes, uint64_t now_ms);
/* The follower has acknowledged `index`. False if that is old news. */
bool raft_progress_acknowledge(struct raft_progress *progress, uint64_t index, uint64_t now_ms);
/* The follower has refused an APPEND after `rejected`; its log may match up to `hint`. False if the
 * refusal is stale. Otherwise the follower is probed further down. */
bool raft_progress_refuse(struct raft_progress *progress, uint64_t rejected, uint64_t hint);

void raft_progress_check_invariants(const struct raft_progress *progress);

#endif
