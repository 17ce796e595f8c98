/* raft_transfer.h: handing leadership over (thesis 3.10).
 *
 * What it is: the leader stops taking proposals, brings the target up to its last entry, and tells it
 * to campaign at once. Given up after an election timeout.
 *
 * What it is not: the target's election (raft_election_campaign_by_force).
 */
#ifndef RAFT_TRANSFER_H
#define RAFT_TRANSFER_H

#include <stdint.h>

#include "raft.h"

/* The target may have caught up: tells it to campaign. Also repeats that, in case it was lost. */
void raft_transfer_maybe_finish(struct raft *raft);
void raft_transfer_abandon(struct raft *raft);
void raft_transfer_tick(struct raft *raft);
uint64_t raft_transfer_deadline_ms(const struct raft *raft);

#endif
