/* sim_promise.h: what each node's disk holds, and that no message promises more.
 *
 * The content of each log is written down here when a disk job is really done. Then:
 * - a granted vote is on the disk of who grants it before the message leaves, and there is one per term, in
 *   the whole life of a node (thesis 3.4, 3.8; pitfall 9);
 * - an accepted APPEND is on the disk before the answer leaves (pitfall 10);
 * - a leader has the votes of a majority of disks, by the configuration that its own disk holds;
 * - what a node takes for committed is on the disks of a majority, by the configuration in its log;
 * - terms on disk never go back; a committed entry is never removed from a disk but by compaction;
 * - an entry of one index and term is the same everywhere (log matching);
 * - the commit hint is neither beyond what is committed nor beyond the log.
 */
#ifndef SIM_PROMISE_H
#define SIM_PROMISE_H

#include "sim_members.h"
#include "sim_node.h"

void sim_promise_create(struct sim *sim);
void sim_promise_destroy(struct sim *sim);

/* A LOG_WRITE job that was done. */
void sim_promise_written(struct sim_node *node, const struct disk_job *job);
/* A message is about to leave. */
void sim_promise_sent(struct sim_node *node, const struct raft_message *message);
/* The node is in this term with this vote: not behind what its disk holds. */
void sim_promise_state(struct sim_node *node, uint64_t term, uint64_t vote);
/* The node took leadership in this term. */
void sim_promise_leader(struct sim_node *node, uint64_t term);
/* The node takes this entry for committed, and nobody did before. `by`: the configuration in its log;
 * `before`: another one that was in effect in this turn. NULL: none. */
void sim_promise_committed(struct sim_node *node, struct raft_entry_id id, const struct sim_configuration *by,
                           const struct sim_configuration *before);
/* The log store was opened, or written: it says what was written. */
void sim_promise_opened(struct sim_node *node);
/* The same, with every entry's term. */
void sim_promise_started(struct sim_node *node);
/* Another disk, an empty one, is in the node's place: of a new member, or, which is refused, of the same. */
void sim_promise_forget(struct sim_node *node, bool is_same_member);
/* The disk holds this entry, or held it when compaction dropped it. */
bool sim_promise_holds(const struct sim_node *node, struct raft_entry_id id);
uint64_t sim_promise_last_index(const struct sim_node *node);
/* As it was first seen on a disk or in a message; NULL: nothing is committed there. */
const struct raft_entry *sim_promise_committed_entry(struct sim *sim, uint64_t index);
/* Terms in which at least two nodes voted for themselves. */
uint64_t sim_promise_rival_terms(const struct sim *sim);
/* Bytes of committed entries that the node's disk does not have. */
uint64_t sim_promise_lag_bytes(const struct sim_node *node);
uint64_t sim_promise_base_index(const struct sim_node *node);

#endif
