/* raft_snapshot.h: followers that need more than the log has, and what becomes of the log when the state
 * comes as a whole (thesis 5).
 *
 * What it is: on a leader: when to ask for a stream to whom, what may not be compacted meanwhile (pitfall
 * 14), how to go on when it has ended. On a follower: which snapshots are of use (pitfall 13), and the log
 * that begins anew after one (raft_log_install, pitfall 12).
 *
 * What it is not: the bytes of a snapshot. They never pass through the core.
 */
#ifndef RAFT_SNAPSHOT_H
#define RAFT_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "raft.h"

/* Leader, for a follower in state SNAPSHOT: asks for a stream, if none is under way and it may be there; not
 * for one that has left. */
void raft_snapshot_maybe_ask(struct raft *raft, uint32_t slot);
/* Leader: the stream has ended well, and the follower may be about to install what it got: that it lacks
 * the entries is no news yet. */
bool raft_snapshot_is_expected(const struct raft *raft, uint32_t slot);
/* Leader: the follower's match rose. */
void raft_snapshot_on_match(struct raft *raft, uint32_t slot);
/* See raft_status.needed_from. */
uint64_t raft_snapshot_needed_from(const struct raft *raft);

#endif
