/* raft_log.c: see raft_log.h.
 *
 * Each cached entry knows the sum of payload bytes up to it, so that "bytes between two entries" is
 * one subtraction and nothing has to be counted up and down.
 */
#include "raft_log.h"

#include <stdlib.h>

#include "raft_assert.h"
#include "raft_memory.h"
#include "raft_message.h"

enum {
    /* What an entry costs in memory beside its payload, so that entries without payload do not fill
     * the memory unnoticed. */
    ENTRY_OVERHEAD_BYTES = 64,
};

static struct raft_log_slot *slot_at(const struct raft_log *log, uint64_t index)
{
    raft_assert(index >= log->cache_first);
    raft_assert(index <= log->last_index);
    uint64_t i = (log->cache_head + (index - log->cache_first)) & (log->cache_capacity - 1);
    return &log->cache[i];
}

static uint64_t cache_count(const struct raft_log *log)
{
    return log->last_index + 1 - log->cache_first;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void restore_runs(struct raft_log *log, const struct raft_restore *restore)
{
    uint64_t previous_term = restore->base.term;
    uint64_t previous_first = restore->base.index;
    raft_assert((restore->runs_count == 0) == (restore->last_index == restore->base.index));
    for (uint32_t i = 0; i < restore->runs_count; i++) {
        const struct raft_term_run *run = &restore->runs[i];
        raft_assert(i > 0 || run->first_index == restore->base.index + 1);
        raft_assert(run->first_index > previous_first && run->first_index <= restore->last_index);
        raft_assert(run->term >= previous_term && run->term > 0);
        raft_term_runs_append(&log->runs, run->first_index, run->term);
        previous_term = run->term;
        previous_first = run->first_index;
    }
    raft_assert(previous_term <= restore->hard_state.term);
}

void raft_log_init(struct raft_log *log, const struct raft_restore *restore, uint64_t cache_bytes_max)
{
    raft_assert(restore->base.index <= restore->applied);
    raft_assert(restore->applied <= restore->commit);
    raft_assert(restore->commit <= restore->last_index);
    raft_assert((restore->base.index == 0) == (restore->base.term == 0));
    *log = (struct raft_log){
        .base = restore->base,
        .last_index = restore->last_index,
        .cache_first = restore->last_index + 1,
        .cache_bytes_max = cache_bytes_max,
        .commit = restore->commit,
        .handed = restore->applied,
        .applied = restore->applied,
        .durable = restore->last_index,
        .unsaved_first = restore->last_index + 1,
        .install_first = UINT64_MAX,
    };
    restore_runs(log, restore);
}

void raft_log_deinit(struct raft_log *log)
{
    for (uint64_t index = log->cache_first; index <= log->last_index; index++) {
        raft_payload_unref(slot_at(log, index)->entry.payload);
    }
    free(log->cache);
    raft_term_runs_deinit(&log->runs);
    raft_persists_deinit(&log->persists);
    *log = (struct raft_log){0};
}

bool raft_log_get_term(const struct raft_log *log, uint64_t index, uint64_t *term)
{
    if (index < log->base.index || index > log->last_index) {
        return false;
    }
    *term = index == log->base.index ? log->base.term : raft_term_runs_term(&log->runs, index);
    return true;
}

uint64_t raft_log_term(const struct raft_log *log, uint64_t index)
{
    uint64_t term = 0;
    bool held = raft_log_get_term(log, index, &term);
    raft_assert(held);
    return term;
}

struct raft_entry_id raft_log_last(const struct raft_log *log)
{
    return (struct raft_entry_id){.term = raft_log_term(log, log->last_index), .index = log->last_index};
}

bool raft_log_holds(const struct raft_log *log, struct raft_entry_id id)
{
    uint64_t term;
    return raft_log_get_term(log, id.index, &term) && term == id.term;
}

bool raft_log_find_at_most(const struct raft_log *log, uint64_t index, uint64_t term,
                           struct raft_entry_id *found)
{
    uint64_t from = min_u64(index, log->last_index);
    if (from > log->base.index) {
        uint64_t at = raft_term_runs_last_at_most(&log->runs, from, term);
        if (at > log->base.index) {
            *found = (struct raft_entry_id){.term = raft_log_term(log, at), .index = at};
            raft_assert(found->term <= term && found->index <= index);
            return true;
        }
    }
    if (from < log->base.index || log->base.term > term) {
        return false;
    }
    *found = log->base;
    return true;
}

bool raft_log_is_up_to_date(const struct raft_log *log, struct raft_entry_id id)
{
    return raft_entry_id_compare(id, raft_log_last(log)) >= 0;
}

const struct raft_entry *raft_log_cached(const struct raft_log *log, uint64_t index)
{
    raft_assert(index > log->base.index);
    raft_assert(index <= log->last_index);
    return index < log->cache_first ? NULL : &slot_at(log, index)->entry;
}

static void cache_reserve(struct raft_log *log, uint64_t needed)
{
    raft_assert(needed <= UINT32_MAX / 2);
    if (needed <= log->cache_capacity) {
        return;
    }
    uint32_t capacity = log->cache_capacity == 0 ? 64 : log->cache_capacity;
    while (capacity < needed) {
        capacity *= 2;
    }
    struct raft_log_slot *cache = raft_memory_allocate(capacity, sizeof *cache);
    uint32_t count = (uint32_t)cache_count(log);
    for (uint32_t i = 0; i < count; i++) {
        cache[i] = *slot_at(log, log->cache_first + i);
    }
    free(log->cache);
    log->cache = cache;
    log->cache_head = 0;
    log->cache_capacity = capacity;
}

static uint64_t bytes_up_to(const struct raft_log *log, uint64_t index)
{
    raft_assert(index <= log->last_index);
    return index < log->cache_first ? log->cache_bytes_before : slot_at(log, index)->bytes_end;
}

void raft_log_append(struct raft_log *log, const struct raft_entry *entries, uint32_t entries_count)
{
    cache_reserve(log, cache_count(log) + entries_count);
    for (uint32_t i = 0; i < entries_count; i++) {
        const struct raft_entry *entry = &entries[i];
        raft_assert(entry->id.index == log->last_index + 1);
        uint64_t bytes_before = bytes_up_to(log, log->last_index);
        raft_term_runs_append(&log->runs, entry->id.index, entry->id.term);
        log->last_index++;
        struct raft_log_slot *slot = slot_at(log, log->last_index);
        slot->entry = *entry;
        raft_payload_ref(entry->payload);
        slot->bytes_end = bytes_before + raft_entry_bytes(entry);
    }
    raft_assert(log->unsaved_first + entries_count <= log->last_index + 1);
}

void raft_log_truncate(struct raft_log *log, uint64_t first_dropped)
{
    raft_assert(first_dropped > log->commit);
    raft_assert(first_dropped <= log->last_index);
    while (log->last_index >= first_dropped && log->last_index >= log->cache_first) {
        raft_payload_unref(slot_at(log, log->last_index)->entry.payload);
        log->last_index--;
    }
    if (log->last_index >= first_dropped) { /* the rest was on disk only: the cache is empty now */
        log->last_index = first_dropped - 1;
        log->cache_first = first_dropped;
    }
    raft_term_runs_truncate(&log->runs, first_dropped);
    log->durable = min_u64(log->durable, log->last_index);
    log->unsaved_first = min_u64(log->unsaved_first, first_dropped);
    raft_assert(log->commit <= log->last_index);
}

bool raft_log_commit_to(struct raft_log *log, uint64_t index)
{
    raft_assert(index <= log->last_index);
    if (index <= log->commit) {
        return false;
    }
    log->commit = index;
    return true;
}

void raft_log_applied_to(struct raft_log *log, uint64_t index)
{
    raft_assert(index >= log->applied);
    raft_assert(index <= log->handed);
    log->applied = index;
}

static void cache_drop_first(struct raft_log *log)
{
    struct raft_log_slot *slot = slot_at(log, log->cache_first);
    raft_payload_unref(slot->entry.payload);
    slot->entry.payload = NULL;
    log->cache_bytes_before = slot->bytes_end;
    log->cache_head = (log->cache_head + 1) & (log->cache_capacity - 1);
    log->cache_first++;
}

void raft_log_compact(struct raft_log *log, struct raft_entry_id base)
{
    raft_assert(base.index >= log->base.index);
    raft_assert(base.index <= log->applied && base.index <= log->durable);
    raft_assert(raft_log_holds(log, base));
    while (log->cache_first <= base.index) {
        cache_drop_first(log);
    }
    raft_term_runs_compact(&log->runs, base.index, log->last_index);
    log->base = base;
}

/* The log goes on after `upto`, which it holds: what is not written yet need not be, up to there. */
static void install_and_keep(struct raft_log *log, struct raft_entry_id upto)
{
    bool on_disk = upto.index < log->unsaved_first; /* once the writes before this one are done */
    while (log->cache_first <= upto.index) {
        cache_drop_first(log);
    }
    raft_term_runs_compact(&log->runs, upto.index, log->last_index);
    log->install_keeps = on_disk && (!log->install_unsaved || log->install_keeps);
    if (log->unsaved_first <= upto.index) {
        log->install_first = min_u64(log->install_first, log->unsaved_first);
        log->unsaved_first = upto.index + 1;
    }
}

static void install_and_drop(struct raft_log *log, struct raft_entry_id upto)
{
    /* Up to the commit index the disk holds what is true, whatever follows there. */
    if (log->last_index > log->commit) {
        raft_log_truncate(log, log->commit + 1);
    }
    while (log->cache_first <= log->last_index) {
        cache_drop_first(log);
    }
    raft_term_runs_compact(&log->runs, log->last_index, log->last_index);
    log->install_keeps = false;
    log->install_first = min_u64(log->install_first, log->commit + 1);
    log->last_index = upto.index;
    log->cache_first = upto.index + 1;
    log->unsaved_first = upto.index + 1;
}

void raft_log_install(struct raft_log *log, struct raft_entry_id upto)
{
    raft_assert(upto.index > log->handed && upto.term > 0);
    if (raft_log_holds(log, upto)) {
        install_and_keep(log, upto);
    } else {
        raft_assert(upto.index > log->commit);
        install_and_drop(log, upto);
    }
    log->base = upto;
    log->install_unsaved = true;
    log->commit = log->commit < upto.index ? upto.index : log->commit;
    log->handed = upto.index;
    log->applied = upto.index;
    raft_assert(log->base.index <= log->last_index && log->durable < log->unsaved_first);
}

bool raft_log_base_is_durable(const struct raft_log *log)
{
    return !log->install_unsaved && log->base_sequence <= log->persists.done_sequence;
}

bool raft_log_has_unsaved(const struct raft_log *log)
{
    return log->unsaved_first <= log->last_index || log->install_unsaved;
}

uint64_t raft_log_issue_persist(struct raft_log *log, uint64_t now_ms, struct raft_entry **entries,
                                uint32_t *entries_count)
{
    raft_assert(log->unsaved_first >= log->cache_first);
    uint64_t first = log->unsaved_first <= log->last_index ? log->unsaved_first : UINT64_MAX;
    first = min_u64(first, log->install_first);
    *entries_count = (uint32_t)(log->last_index + 1 - log->unsaved_first);
    *entries = raft_memory_allocate(*entries_count, sizeof **entries);
    for (uint32_t i = 0; i < *entries_count; i++) {
        (*entries)[i] = slot_at(log, log->unsaved_first + i)->entry;
        raft_payload_ref((*entries)[i].payload);
    }
    log->unsaved_first = log->last_index + 1;
    uint64_t sequence = raft_persists_issue(&log->persists, first, raft_log_last(log), now_ms);
    if (log->install_unsaved) {
        log->install_unsaved = false;
        log->install_first = UINT64_MAX;
        log->base_sequence = sequence;
    }
    return sequence;
}

bool raft_log_persisted(struct raft_log *log, uint64_t sequence)
{
    struct raft_entry_id on_disk;
    if (!raft_persists_complete(&log->persists, sequence, &on_disk)) {
        return false;
    }
    /* The disk holds the log as it was up to on_disk, or as a later write (begun, perhaps done, but
     * not confirmed) leaves it. What no such write touches is durable whatever happens. */
    uint64_t overwritten = min_u64(raft_persists_first_overwritten(&log->persists), log->unsaved_first);
    overwritten = min_u64(overwritten, log->install_first);
    uint64_t durable = min_u64(on_disk.index, overwritten - 1);
    raft_assert(durable >= log->durable);
    raft_assert(durable < on_disk.index || durable < log->base.index || raft_log_holds(log, on_disk));
    raft_assert(durable >= log->base.index || !raft_log_base_is_durable(log));
    bool rose = durable > log->durable;
    log->durable = durable;
    return rose;
}

void raft_log_evict(struct raft_log *log)
{
    uint64_t evictable = min_u64(log->durable, log->commit);
    while (log->cache_first <= evictable) {
        uint64_t bytes = raft_log_bytes_after(log, 0) + cache_count(log) * ENTRY_OVERHEAD_BYTES;
        if (bytes <= log->cache_bytes_max) {
            break;
        }
        cache_drop_first(log);
    }
    raft_assert(log->cache_first <= log->unsaved_first);
}

uint64_t raft_log_bytes_after(const struct raft_log *log, uint64_t index)
{
    raft_assert(index <= log->last_index);
    return bytes_up_to(log, log->last_index) - bytes_up_to(log, index);
}

void raft_log_check_invariants(const struct raft_log *log)
{
    raft_assert(log->base.index <= log->applied && log->applied <= log->handed);
    raft_assert(log->handed <= log->commit && log->commit <= log->last_index);
    raft_assert(log->base.index <= log->durable || !raft_log_base_is_durable(log));
    raft_assert(log->durable <= log->last_index && log->commit >= log->base.index);
    raft_assert(log->base_sequence <= log->persists.last_sequence);
    raft_assert(log->install_first == UINT64_MAX || log->install_unsaved);
    raft_assert(log->durable < log->unsaved_first && log->unsaved_first <= log->last_index + 1);
    raft_assert(log->cache_first > log->base.index && log->cache_first <= log->last_index + 1);
    raft_assert(log->cache_first <= log->durable + 1 || log->cache_first == log->base.index + 1);
    raft_assert((log->runs.count == 0) == (log->last_index == log->base.index));
    uint64_t previous_term = log->base.term;
    for (uint32_t i = 0; i < log->runs.count; i++) {
        const struct raft_term_run *run = &log->runs.items[i];
        raft_assert(i == 0 ? run->first_index == log->base.index + 1 : run->term > previous_term);
        raft_assert(run->term >= previous_term && run->first_index <= log->last_index);
        previous_term = run->term;
    }
    uint64_t bytes = log->cache_bytes_before;
    for (uint64_t index = log->cache_first; index <= log->last_index; index++) {
        const struct raft_log_slot *slot = slot_at(log, index);
        bytes += raft_entry_bytes(&slot->entry);
        raft_assert(slot->entry.id.index == index && slot->bytes_end == bytes);
        raft_assert(slot->entry.id.term == raft_log_term(log, index));
    }
}
