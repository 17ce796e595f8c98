/* raft_apply.c: see raft_apply.h. */
#include "raft_apply.h"

#include <stdlib.h>

#include "raft_assert.h"
#include "raft_internal.h"
#include "raft_memory.h"

static void drop_entries(struct raft_apply *apply)
{
    for (uint32_t i = 0; i < apply->entries_count; i++) {
        raft_payload_unref(apply->entries[i].payload);
    }
    free(apply->entries);
    apply->entries = NULL;
    apply->entries_count = 0;
    apply->entries_first = 0;
}

void raft_apply_reset(struct raft *raft)
{
    drop_entries(&raft->apply);
    raft->apply.read_id = 0;
}

void raft_apply_deinit(struct raft *raft)
{
    raft_apply_reset(raft);
}

static const struct raft_entry *find_read_entry(const struct raft_apply *apply, uint64_t index)
{
    if (apply->entries_count == 0) {
        return NULL;
    }
    raft_assert(index >= apply->entries_first); /* in order, each once */
    uint64_t i = index - apply->entries_first;
    return i < apply->entries_count ? &apply->entries[i] : NULL;
}

enum raft_next_committed raft_next_committed(struct raft *raft, const struct raft_entry **entry)
{
    struct raft_log *log = &raft->log;
    raft_assert(log->handed <= log->commit);
    if (log->handed == log->commit || !raft_log_base_is_durable(log)) {
        return RAFT_NEXT_NONE; /* nothing is applied to a state that is about to be replaced */
    }
    uint64_t next = log->handed + 1;
    const struct raft_entry *found = find_read_entry(&raft->apply, next);
    if (found == NULL) {
        drop_entries(&raft->apply); /* all handed out */
        found = raft_log_cached(log, next);
    }
    if (found == NULL) {
        uint64_t last = log->commit < log->cache_first ? log->commit : log->cache_first - 1;
        if (raft->apply.read_id == 0) {
            raft->apply.read_id = raft_request_log_read(raft, raft->config.id, next, last);
        }
        return RAFT_NEXT_NOT_HELD;
    }
    raft_assert(found->id.index == next && raft_log_holds(log, found->id));
    log->handed = next;
    *entry = found;
    return RAFT_NEXT_ENTRY;
}

void raft_apply_on_log_read(struct raft *raft, const struct raft_entry *entries, uint32_t entries_count)
{
    struct raft_apply *apply = &raft->apply;
    raft_assert(apply->read_id != 0);
    raft_assert(apply->entries_count == 0);
    apply->read_id = 0;
    if (entries_count == 0) {
        return; /* asked again by the next raft_next_committed() */
    }
    /* Committed entries are never overwritten, and not compacted before they are applied. */
    raft_assert(entries[0].id.index == raft->log.handed + 1);
    apply->entries = raft_memory_allocate(entries_count, sizeof *apply->entries);
    for (uint32_t i = 0; i < entries_count; i++) {
        raft_assert(entries[i].id.index == entries[0].id.index + i);
        raft_assert(entries[i].id.index <= raft->log.commit && raft_log_holds(&raft->log, entries[i].id));
        apply->entries[i] = entries[i];
        raft_payload_ref(apply->entries[i].payload);
    }
    apply->entries_first = entries[0].id.index;
    apply->entries_count = entries_count;
}
