/* raft_read_index.h: linearizable reads without a write (thesis 6.4).
 *
 * What it is: the queue of those who asked for a read index. On the leader an item is confirmed by a
 * round of heartbeats that started after it arrived; one round confirms all that arrived before it. A round
 * that starts for a read goes to as many as are needed; one that is due in any case goes to all.
 * On a follower an item waits for the leader's answer.
 *
 * What it is not: it sends no heartbeats (raft_replication does) and counts no clocks: there are no
 * lease reads.
 *
 * Invariants: all items belong to the present role, term and leader, and are failed when one of these
 * changes (pitfalls 3, 4). Items with a round come before those that wait for one; rounds do not fall
 * along the queue. Round numbers and read ids are never used twice in the life of the object, and read
 * ids, which other nodes repeat, do not start anew with it (pitfall 2). On the leader no item has a round
 * before the term's no-op is committed (pitfall 1).
 */
#ifndef RAFT_READ_INDEX_H
#define RAFT_READ_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "raft.h"

enum {
    RAFT_READ_ROUNDS_MAX = 8,      /* started and not confirmed; further reads gather for the next */
    RAFT_READ_REQUESTS_MAX = 4096, /* queue length at which requests of peers are refused */
    RAFT_READ_PATIENCE_PART = 8, /* of the heartbeat interval: so long those are waited for that were asked */
    RAFT_READ_MARKS = 2,
    RAFT_READ_MARK_PART = 4, /* of the election timeout: the time between two marks */
};

struct raft_read {
    uint64_t id;          /* 0: finished, to be dropped when it is first */
    raft_node_id asker;   /* own id, or the follower that asked */
    uint64_t asker_round; /* the follower's id of its try */
    uint64_t round;       /* 0: waits for the next one, or for the leader's answer */
    uint64_t index;
    uint64_t deadline_ms;
};

struct raft_reads {
    struct raft_read *items; /* queue: [head, head + count) */
    uint32_t head;
    uint32_t count;
    uint32_t capacity;
    uint32_t assigned; /* how many of the first have a round */
    uint64_t last_id;
    uint64_t last_round;      /* the latest heartbeat round; never reused */
    uint64_t confirmed_round; /* the latest that a majority answered */
    uint64_t all_round;       /* the latest that went to all */
    uint64_t answers;         /* to rounds, of all followers */
    struct raft_read_mark {
        uint64_t round, ms;   /* rounds after this one began at that time or later */
    } marks[RAFT_READ_MARKS]; /* of late, the older one first */

    struct raft_read_result *results; /* for the next ready */
    uint32_t results_count;
    uint32_t results_capacity;
};

void raft_reads_init(struct raft_reads *reads, uint64_t seed);
void raft_reads_deinit(struct raft_reads *reads);

void raft_read_on_request(struct raft *raft, const struct raft_message *message);
void raft_read_on_response(struct raft *raft, const struct raft_message *message);

/* Leader: true if reads wait for a round and one may start. */
bool raft_read_wants_round(const struct raft *raft);
/* Leader: numbers a new round of heartbeats and lets all waiting reads ride on it, if the term's no-op
 * is committed. The heartbeats must leave after this call. */
uint64_t raft_read_start_round(struct raft *raft);
/* Leader: whom to ask in a round that starts for reads only: those (a bit per slot, this node's among them)
 * that answered last, as many as confirm it together; and followers whose reads it is for, if they have to
 * be told of a commit. If one of them is silent, the next round of all confirms this one too, and somebody
 * else has answered last. To be called before the round starts. */
uint32_t raft_read_whom_to_ask(const struct raft *raft);
/* Leader: the follower has answered a round that began then or later, up to a half of the election timeout
 * ago if it answers all; 0: no round since then. What is read from it may have been said long before, if this
 * node stood still; an answer to a round cannot. */
uint64_t raft_read_answered_ms(const struct raft *raft, uint32_t slot);
/* Leader: when to ask all, for the first read waits for some that were asked. */
uint64_t raft_read_ask_all_ms(const struct raft *raft);
/* Leader: some follower answered a round, or other majorities count now. */
void raft_read_on_round_acked(struct raft *raft);

/* Role, term or leader changed: nobody gets an index from here any more. */
void raft_read_fail_all(struct raft *raft);
/* Fails what has waited for an election timeout. */
void raft_read_expire(struct raft *raft);
uint64_t raft_read_deadline_ms(const struct raft *raft);

void raft_read_check_invariants(const struct raft *raft);

#endif
