/* raft_outbox.h: messages that wait for the end of the turn, and which of them may leave at once.
 *
 * What it is: a list, and the rule of thesis 3.8: what a message promises must be durable before it
 * leaves. A message may promise nothing (a leader's, a pre-vote), reveal the own term and vote (any
 * answer, a VOTE, and rejections too: who hears of a term may rely on it), or moreover promise that
 * the log is on disk up to some index (an accepted APPEND).
 *
 * What it is not: it does not know whether the disk is done; raft_ready.c asks and splits the list.
 */
#ifndef RAFT_OUTBOX_H
#define RAFT_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "raft.h"

struct raft_outbox {
    struct raft_message *items;
    uint32_t count;
    uint32_t capacity;
};

void raft_outbox_deinit(struct raft_outbox *outbox);
/* Takes over the message's entries. */
void raft_outbox_push(struct raft_outbox *outbox, const struct raft_message *message);

/* True if the message may leave now: `hard_state_durable` says whether the current term and vote are
 * on disk, `durable_index` how much of the log. */
bool raft_outbox_may_leave(const struct raft_message *message, bool hard_state_durable,
                           uint64_t durable_index);

/* Moves everything out into two new arrays (NULL when empty), in order. */
void raft_outbox_split(struct raft_outbox *outbox, bool hard_state_durable, uint64_t durable_index,
                       struct raft_ready *ready);

#endif
