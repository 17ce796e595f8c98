/* raft_role.h: the changes of role and term, each in one place.
 *
 * What it is: what must happen together when a node becomes something else, whatever the reason:
 * timers, votes, reads, transfers, progress.
 *
 * What it is not: it does not decide when; elections, messages and ticks do.
 *
 * Invariants: the term never falls; the vote changes at most once in a term.
 */
#ifndef RAFT_ROLE_H
#define RAFT_ROLE_H

#include "raft.h"

/* Follows `term` (>= the present one) with no leader known of. */
void raft_become_follower(struct raft *raft, uint64_t term);
void raft_become_pre_candidate(struct raft *raft);
/* Raises the term and votes for itself. */
void raft_become_candidate(struct raft *raft);
/* Precondition: candidate with a durable majority. Appends the term's no-op. */
void raft_become_leader(struct raft *raft);

/* A sign of life of `leader`, known to lead the present term: follow it, and forget elections. */
void raft_follow_leader(struct raft *raft, raft_node_id leader);
/* No leader is known of any more in this term. */
void raft_forget_leader(struct raft *raft);

#endif
