/* raft_configuration.h: the configurations that stand in the log, and the one that is in effect.
 *
 * What it is: a configuration takes effect when it is appended, committed or not (thesis 4.1), and no
 * longer when it is truncated. So those above the commit index are kept, and the last one below it, to fall
 * back to. What follows from the one in effect is kept beside it: a slot for each node that this one speaks
 * with, and the voters among them as bits (raft_quorum).
 *
 * What it is not: it proposes nothing (raft_change).
 *
 * Invariants: slot 0 is this node, member or not; the others are the members in effect, in rising order,
 * and on a leader moreover those that have left and are to hear of it (raft_change).
 */
#ifndef RAFT_CONFIGURATION_H
#define RAFT_CONFIGURATION_H

#include <stdbool.h>
#include <stdint.h>

#include "raft.h"

/* items[0] is committed, or the first that is known of; the others are not known to be. */
struct raft_configurations {
    struct raft_configuration *items; /* rising; count >= 1; each owns a reference to its payload */
    uint32_t count;
    uint32_t capacity;
    bool was_member; /* a committed one named this node */
};

void raft_configuration_init(struct raft *raft, const struct raft_restore *restore);
void raft_configuration_deinit(struct raft *raft);

/* The one in effect. */
const struct raft_configuration *raft_configuration_now(const struct raft *raft);
bool raft_configuration_is_committed(const struct raft *raft);
/* A committed configuration took this node out. */
bool raft_configuration_is_removed(const struct raft *raft);

/* This entry was appended to the log: if it is a configuration, it is in effect. */
void raft_configuration_on_append(struct raft *raft, const struct raft_entry *entry);
/* The log ends before `first_dropped` now. */
void raft_configuration_on_truncate(struct raft *raft, uint64_t first_dropped);
/* The log began anew after a snapshot at `upto`, whose configuration this is. */
void raft_configuration_on_install(struct raft *raft, struct raft_entry_id upto,
                                   struct raft_payload *payload);
/* Raises the commit index; `index` is in the log. False if it was there already. */
bool raft_configuration_commit_to(struct raft *raft, uint64_t index);

/* Whether this node may stand for election. */
bool raft_configuration_may_campaign(const struct raft *raft);
/* This node alone makes up every majority. */
bool raft_configuration_is_alone(const struct raft *raft);

/* A new leader: gives slots to the nodes that a change which is not known to be committed takes out, so
 * that it can tell them, though another one made the change. */
void raft_configuration_find_left(struct raft *raft);
/* Drops the slots of nodes that have left and need not be told any more; all of them, or those that
 * `is_done`. */
void raft_configuration_drop_left(struct raft *raft, bool (*is_done)(const struct raft *raft, uint32_t slot));

void raft_configuration_check_invariants(const struct raft *raft);

#endif
