/* raft_append.h: the follower's side of the log (thesis 3.5): entries and heartbeats from a leader.
 *
 * What it is: the consistency check, the removal of conflicting entries, the commit index, the answers.
 *
 * What it is not: it does not know who should lead; a message gets here when its term is the present
 * one. Committed entries are never truncated, whatever a peer sends.
 */
#ifndef RAFT_APPEND_H
#define RAFT_APPEND_H

#include "raft.h"

void raft_append_on_append(struct raft *raft, const struct raft_message *message);
void raft_append_on_heartbeat(struct raft *raft, const struct raft_message *message);
/* A leader of an older term does not know that there is a newer one: tell it, or it would never hear of
 * it, and this node would stay stuck in its term (pitfall 15). */
void raft_append_refuse_old_leader(struct raft *raft, const struct raft_message *message);

#endif
