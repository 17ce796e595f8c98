/* raft_ready.c: what is to be done at the end of a turn, gathered in one place (thesis 3.8, 10.2.1).
 *
 * What it is: the order in which a turn ends. The leader's messages are built first, with all entries
 * of the turn; then what must be durable is numbered; then the messages are split into those that may
 * leave now and those that promise what is not durable yet.
 *
 * What it is not: it does none of it.
 */
#include <stdlib.h>

#include "raft.h"
#include "raft_assert.h"
#include "raft_change.h"
#include "raft_internal.h"
#include "raft_replication.h"

bool raft_has_ready(const struct raft *raft)
{
    return raft->outbox.count > 0 || raft->hard_state_dirty || raft_log_has_unsaved(&raft->log) ||
           raft->reads.results_count > 0 || raft->log_reads_count > 0 || raft->snapshots_count > 0 ||
           raft->replication_due || raft->heartbeat_due || raft_read_wants_round(raft) ||
           (raft->role == RAFT_LEADER && raft_change_is_due(raft));
}

static void number_persist(struct raft *raft, struct raft_ready *ready)
{
    if (!raft->hard_state_dirty && !raft_log_has_unsaved(&raft->log)) {
        return;
    }
    if (raft->log.install_unsaved) {
        ready->install = (struct raft_install){.upto = raft->log.base, .keeps = raft->log.install_keeps};
    }
    ready->sequence =
        raft_log_issue_persist(&raft->log, raft->now_ms, &ready->entries, &ready->entries_count);
    ready->hard_state = raft->hard_state;
    ready->hard_state_changed = raft->hard_state_dirty;
    if (raft->hard_state_dirty) {
        raft->hard_state_dirty = false;
        raft->hard_state_sequence = ready->sequence;
    }
    raft_assert(ready->hard_state_changed || ready->entries_count > 0 || ready->install.upto.index > 0);
}

void raft_take_ready(struct raft *raft, struct raft_ready *ready)
{
    *ready = (struct raft_ready){0};
    if (raft->role == RAFT_LEADER) {
        raft_change_advance(raft);
    }
    if (raft->role == RAFT_LEADER) {
        raft_replication_send(raft);
    }
    number_persist(raft, ready);
    raft_outbox_split(&raft->outbox, raft_hard_state_is_durable(raft), raft->log.durable, ready);
    if (ready->messages_after_persist_count > 0) {
        ready->after_sequence = raft->log.persists.last_sequence;
    }

    ready->reads = raft->reads.results;
    ready->reads_count = raft->reads.results_count;
    raft->reads.results = NULL;
    raft->reads.results_count = 0;
    raft->reads.results_capacity = 0;

    ready->log_reads = raft->log_reads;
    ready->log_reads_count = raft->log_reads_count;
    raft->log_reads = NULL;
    raft->log_reads_count = 0;
    raft->log_reads_capacity = 0;

    ready->snapshots = raft->snapshots;
    ready->snapshots_count = raft->snapshots_count;
    raft->snapshots = NULL;
    raft->snapshots_count = 0;
    raft->snapshots_capacity = 0;

    raft_log_evict(&raft->log);
    raft_assert(!raft_has_ready(raft));
}

void raft_ready_deinit(struct raft_ready *ready)
{
    raft_assert(ready != NULL);
    for (uint32_t i = 0; i < ready->entries_count; i++) {
        raft_payload_unref(ready->entries[i].payload);
    }
    for (uint32_t i = 0; i < ready->messages_now_count; i++) {
        raft_message_deinit(&ready->messages_now[i]);
    }
    for (uint32_t i = 0; i < ready->messages_after_persist_count; i++) {
        raft_message_deinit(&ready->messages_after_persist[i]);
    }
    free(ready->entries);
    free(ready->messages_now);
    free(ready->messages_after_persist);
    free(ready->reads);
    free(ready->log_reads);
    free(ready->snapshots);
    *ready = (struct raft_ready){0};
}
