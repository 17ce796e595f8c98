/* raft_change.h: how the leader changes the membership (thesis 4.1 to 4.3).
 *
 * What it is: proposals of configurations; the way out of a joint configuration, which a leader takes by
 * itself as soon as that is committed, also one that came to power in the middle of the change; the
 * farewell to nodes that are out; and the end of a leader that has no vote any more.
 *
 * What it is not: the effect of a configuration (raft_configuration), nor the counting (raft_quorum).
 *
 * Rules:
 * - One change at a time: nothing is proposed while the configuration in effect is joint or not committed
 *   (pitfall 8).
 * - Nothing is proposed before an entry of the own term is committed (pitfall 7: the bug of 2015 in the
 *   thesis' single-server changes; here it would let two changes overlap that do not know of each other).
 * - Every change of the voters goes through the joint configuration; what touches learners or the opaque
 *   bytes only does not need it, for all majorities stay what they were.
 */
#ifndef RAFT_CHANGE_H
#define RAFT_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "raft.h"

/* Leader: something of the above is to be done now. */
bool raft_change_is_due(const struct raft *raft);
/* Leader, at the end of a turn, for it may move slots and step down: does it. */
void raft_change_advance(struct raft *raft);
/* Leader: the commit index rose. */
void raft_change_on_commit(struct raft *raft);
/* Leader: a heartbeat of this round, with this commit index, is on its way to a node that has left. */
void raft_change_on_farewell(struct raft *raft, uint32_t slot, uint64_t commit, uint64_t round);
/* Leader: handing leadership over has failed. Steps down if it must not lead any more. */
void raft_change_on_transfer_failed(struct raft *raft);
uint64_t raft_change_deadline_ms(const struct raft *raft);

#endif
