/* raft_apply.h: committed entries on their way to the state machine (raft_next_committed).
 *
 * What it is: the order in which they are handed out, and the reading back of those that are no longer
 * in memory (after a restart, or when applying fell behind the cache).
 *
 * What it is not: applying. Entries are handed out durable locally or not; a committed entry is on a
 * majority of disks, and whoever writes the state machine's disk waits for its own log.
 */
#ifndef RAFT_APPLY_H
#define RAFT_APPLY_H

#include <stdint.h>

#include "raft.h"

void raft_apply_deinit(struct raft *raft);
/* A snapshot comes in the place of what was to be applied. */
void raft_apply_reset(struct raft *raft);
/* Entries wanted for applying were read; 0 entries: they could not be. */
void raft_apply_on_log_read(struct raft *raft, const struct raft_entry *entries, uint32_t entries_count);

#endif
