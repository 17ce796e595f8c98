/* raft_election.h: who leads: time-outs, pre-votes, votes (thesis 3.4, 3.6.1, 4.2.3, 9.6).
 *
 * What it is: everything between "no leader is heard of" and "a majority has granted", and the answers
 * to others who ask. Stickiness: a node that heard of a live leader within the least election timeout
 * ignores who asks for votes, so that a node that cannot hear the leader does not depose it.
 *
 * What it is not: the changes of role themselves (raft_role).
 */
#ifndef RAFT_ELECTION_H
#define RAFT_ELECTION_H

#include <stdbool.h>

#include "raft.h"

/* Draws a new election timeout in [t, 2t) from now. */
void raft_election_reset_timer(struct raft *raft);
/* A leader lives: no hurry any more. */
void raft_election_calm(struct raft *raft);
/* The term was raised: an election is under way, here or elsewhere. */
void raft_election_note_new_term(struct raft *raft);
/* Not leader: fires what is due. */
void raft_election_tick(struct raft *raft);
uint64_t raft_election_deadline_ms(const struct raft *raft);

/* The leader asked this node to take over at once (thesis 3.10): no pre-vote, no stickiness. */
void raft_election_campaign_by_force(struct raft *raft);
/* Candidate: own vote may have become durable. */
void raft_election_on_persisted(struct raft *raft);
/* The connection to the leader broke. */
void raft_election_on_leader_unreachable(struct raft *raft);

/* True if a (PRE_)VOTE request is not even looked at. */
bool raft_election_is_ignored(const struct raft *raft, const struct raft_message *message);
void raft_election_on_pre_vote(struct raft *raft, const struct raft_message *message);
void raft_election_on_pre_vote_response(struct raft *raft, const struct raft_message *message);
void raft_election_on_vote(struct raft *raft, const struct raft_message *message);
void raft_election_on_vote_response(struct raft *raft, const struct raft_message *message);

/* A message that only a node that does not lead sends came from the term's leader: it stepped down or
 * was restarted. Does nothing for other messages. */
void raft_election_maybe_note_leader_gone(struct raft *raft, const struct raft_message *message);

void raft_election_check_invariants(const struct raft *raft);

#endif
