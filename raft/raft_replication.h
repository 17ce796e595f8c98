/* raft_replication.h: the leader's side of the log (thesis 3.5, 10.2): who gets what, and what is
 * committed.
 *
 * What it is: APPENDs and heartbeats to each follower, their answers, the commit rule, check-quorum.
 * Entries leave in parallel with the own disk write (10.2.1); the leader counts itself only by what is
 * durable (pitfall 10). Messages are built once per turn, in raft_replication_send().
 *
 * What it is not: the follower's side (raft_append).
 */
#ifndef RAFT_REPLICATION_H
#define RAFT_REPLICATION_H

#include <stdbool.h>
#include <stdint.h>

#include "raft.h"

/* A new leader: resets what it knows of the others and appends the term's no-op (thesis 6.4). */
void raft_replication_start(struct raft *raft);
/* Appends one entry of the present term; takes a reference of its own to `payload`. */
struct raft_entry_id raft_replication_append(struct raft *raft, enum raft_entry_type type,
                                             struct raft_payload *payload);
/* As much as may await the own disk or the commit does. */
bool raft_replication_is_full(const struct raft *raft);
/* Builds what is due for every follower: APPENDs, heartbeats, log reads. */
void raft_replication_send(struct raft *raft);
/* Fires what is due: heartbeats, check-quorum. May step down. */
void raft_replication_tick(struct raft *raft);
uint64_t raft_replication_deadline_ms(const struct raft *raft);
/* A match or the durable index rose: commits what a majority holds (thesis 3.6.2). */
void raft_replication_maybe_commit(struct raft *raft);

void raft_replication_on_append_response(struct raft *raft, const struct raft_message *message);
void raft_replication_on_heartbeat_response(struct raft *raft, const struct raft_message *message);
void raft_replication_on_unreachable(struct raft *raft, uint32_t slot);
/* Entries for the follower in `slot` were read from disk; 0 entries: they could not be. */
void raft_replication_on_log_read(struct raft *raft, uint32_t slot, const struct raft_entry *entries,
                                  uint32_t entries_count);

#endif
