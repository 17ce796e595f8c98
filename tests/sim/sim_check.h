/* sim_check.h: the properties that hold after every turn of a node.
 *
 * Of the whole cluster: election safety (one leader per term), leader completeness, log matching, committed
 * entries never change, state machine safety (nodes that applied the same entries have the same content).
 * Of one node: raft_check_invariants(); term, vote, commit and applied index never go back; applied <=
 * committed; a leader only appends; the map on disk is never ahead of the log on disk, nor behind its
 * beginning. (Thesis figure 3.2; design section 7.)
 *
 * What disks hold, and what messages promise, is sim_promise's.
 */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "sim_node.h"

void sim_check_create(struct sim *sim);
void sim_check_destroy(struct sim *sim);

void sim_check_turn(struct sim_node *node);
/* It begins to lead, within a turn at whose end it may lead no more. */
void sim_check_leads(struct sim_node *node, uint64_t term);
/* A checkpoint up to this entry is on its disk, and it does not know yet. */
void sim_check_checkpoint(const struct sim_node *node, uint64_t index);
/* Killed in the middle of a turn: what clients were told in it may depend on a log time that nobody else has
 * seen yet. */
void sim_check_killed(struct sim_node *node);
/* After a start: what the disk holds is what the replica begins with. */
void sim_check_start(struct sim_node *node);
/* Everything there is to compare between the running nodes. */
void sim_check_all(struct sim *sim);
/* Key count, digest, scan order and expiry of the map, worked out anew from its content. */
void sim_check_content(struct sim_node *node);

/* The largest log time that any node has applied. */
uint64_t sim_check_log_time_ms(const struct sim *sim);
/* The last entry that any node has taken for committed, and the term of one of them. */
uint64_t sim_check_committed(const struct sim *sim);
uint64_t sim_check_committed_term(const struct sim *sim, uint64_t index);
/* The lowest term in which a node has taken it for committed. */
uint64_t sim_check_committed_in_term(const struct sim *sim, uint64_t index);

#endif
