/* log_store_write.c: the one write transaction of the log: truncate, append, hard state, hint, compaction.
 *
 * Deletions go by key, one after the other from known indexes: no cursor has to survive them. How many a
 * transaction may delete for compaction is the caller's choice (pitfall 26: in chunks).
 */
#include "log_store.h"

#include "lmdb_environment.h"
#include "log_record.h"
#include "log_store_internal.h"
#include "log_terms.h"
#include "storage_bytes.h"
#include "storage_lmdb_error.h"
#include "storage_record.h"

enum {
    ENTRY_HEAD_BYTES_MAX = 64,            /* an entry's own head, and LMDB's before it */
    LEFT_OVER_ENTRIES_PER_WRITE = 256,    /* about a tenth of a millisecond */
    ENTRY_ROOM_BYTES = 4096,              /* an entry is rounded up to whole pages */
    RESERVE_SHARE = 8,                    /* entries leave this part of the map free ... */
    RESERVE_BYTES_MAX = 64 * 1024 * 1024, /* ... or this much of a large one */
};

int log_store_put_state(const struct log_store *store, MDB_txn *transaction, const char *name,
                        const uint8_t *body, size_t body_size)
{
    assert(body_size <= LOG_STATE_BODY_BYTES_MAX);
    uint8_t record[STORAGE_RECORD_HEAD_BYTES + LOG_STATE_BODY_BYTES_MAX];
    memcpy(record + STORAGE_RECORD_HEAD_BYTES, body, body_size);
    storage_record_seal(record, name, LOG_STATE_FORM, body_size);
    char copy[32];
    MDB_val key = {strlen(name), copy};
    assert(key.mv_size < sizeof copy);
    memcpy(copy, name, key.mv_size);
    MDB_val value = {STORAGE_RECORD_HEAD_BYTES + body_size, record};
    return mdb_put(transaction, store->state, &key, &value, 0);
}

int log_store_put_numbers(const struct log_store *store, MDB_txn *transaction, const char *name,
                          const uint64_t *numbers, size_t count)
{
    uint8_t body[16];
    assert(count * 8 <= sizeof body);
    for (size_t i = 0; i < count; i++) {
        storage_put_u64(body + 8 * i, numbers[i]);
    }
    return log_store_put_state(store, transaction, name, body, 8 * count);
}

/* Pages of the tree of entries, without those of large entries: deletions copy no more than these. */
static uint64_t log_store_tree_pages(const struct log_store *store)
{
    MDB_txn *transaction = NULL;
    MDB_stat statistics;
    uint64_t pages = UINT64_MAX; /* not known: the next use of the environment says why */
    if (mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &transaction) == 0) {
        if (mdb_stat(transaction, store->entries, &statistics) == 0) {
            pages = (uint64_t)statistics.ms_branch_pages + statistics.ms_leaf_pages;
        }
        mdb_txn_abort(transaction);
    }
    return pages;
}

/* What a write copies and adds at worst, in pages. A small entry shares its page, a large one has pages of
 * its own. Deletions go from one end of the tree, whose pages hold two entries at least. */
static struct space_need log_store_need(const struct log_store *store, const struct log_write *write)
{
    MDB_stat statistics;
    int result = mdb_env_stat(store->environment, &statistics);
    assert(result == 0);
    uint64_t page = statistics.ms_psize;
    struct space_need need = {.pages = SPACE_SMALL_PAGES, .keeps_last = write->entries_count > 0};
    uint64_t small_bytes = 0;
    for (size_t i = 0; i < write->entries_count; i++) {
        uint64_t bytes = ENTRY_HEAD_BYTES_MAX + (uint64_t)write->entries[i].size;
        uint64_t pages = (bytes + page - 1) / page;
        bool is_large = bytes > page / 2 - ENTRY_HEAD_BYTES_MAX;
        small_bytes += is_large ? ENTRY_HEAD_BYTES_MAX : bytes;
        need.pages += is_large ? pages : 0;
        need.run_pages = is_large && pages > need.run_pages ? pages : need.run_pages;
    }
    uint64_t held = store->cached.last.index - store->cached.base.index;
    uint64_t deleted = write->compact_to > 0 ? write->compact_entries_max : 0;
    deleted = deleted < held ? deleted : held;
    deleted += store->left_over != 0 ? LEFT_OVER_ENTRIES_PER_WRITE : 0;
    if (write->entries_count > 0 && write->entries[0].id.index <= store->cached.last.index) {
        deleted += store->cached.last.index - write->entries[0].id.index + 1;
    }
    uint64_t copied = deleted == 0 ? 0 : log_store_tree_pages(store);
    need.pages += small_bytes * 2 / page + (copied < deleted ? copied : deleted);
    return need;
}

/* Begins a write transaction that may need so much room on the disk. */
static enum storage_status log_store_begin_with(struct log_store *store, const struct space_need *need,
                                                MDB_txn **transaction, struct storage_error *error)
{
    if (atomic_load(&store->poisoned)) {
        return storage_fail(
            error, STORAGE_FAILED,
            "%s: an earlier write failed and its outcome on disk is unknown: nothing more is written. "
            "Restart the node once the disk is sound",
            store->directory);
    }
    enum storage_status status = space_reserve_ensure(&store->space, need, error);
    if (status != STORAGE_OK) {
        if (status != STORAGE_FULL) {
            atomic_store(&store->poisoned, true);
        }
        return status;
    }
    int result = mdb_txn_begin(store->environment, NULL, 0, transaction);
    if (result != 0) {
        atomic_store(&store->poisoned, true);
        return storage_fail_lmdb(error, result, store->directory, "beginning a write to the log");
    }
    return STORAGE_OK;
}

enum storage_status log_store_begin(struct log_store *store, MDB_txn **transaction,
                                    struct storage_error *error)
{
    const struct space_need small = {.pages = SPACE_SMALL_PAGES};
    return log_store_begin_with(store, &small, transaction, error);
}

enum storage_status log_store_begin_opening(struct log_store *store, MDB_txn **transaction,
                                            struct storage_error *error)
{
    MDB_stat statistics;
    int result = mdb_env_stat(store->environment, &statistics);
    assert(result == 0);
    enum storage_status status = log_store_begin(store, transaction, error);
    if (status == STORAGE_FULL && statistics.ms_entries > 0) {
        result = mdb_txn_begin(store->environment, NULL, 0, transaction);
        status =
            result == 0 ? STORAGE_OK : storage_fail_lmdb(error, result, store->directory, "opening the log");
    }
    return status;
}

enum storage_status log_store_end(struct log_store *store, MDB_txn *transaction, int result,
                                  const char *doing, struct storage_error *error)
{
    if (result != 0) {
        mdb_txn_abort(transaction);
    } else {
        result = mdb_txn_commit(transaction);
    }
    if (result == 0) {
        return STORAGE_OK;
    }
    if (!storage_result_is_full(result)) {
        atomic_store(&store->poisoned, true);
    }
    return storage_fail_lmdb(error, result, store->directory, doing);
}

/* Drops the entries from `from` to the last. */
static int log_store_truncate(struct log_store *store, MDB_txn *transaction, struct log_store_state *state,
                              uint64_t from)
{
    assert(from > state->base.index && from <= state->last.index);
    for (uint64_t index = state->last.index; index >= from; index--) {
        MDB_val key = {sizeof index, &index};
        int result = mdb_del(transaction, store->entries, &key, NULL);
        if (result != 0) {
            return result;
        }
    }
    int result = log_terms_truncate(transaction, store->terms, from);
    if (result == 0) {
        result = log_terms_truncate(transaction, store->memberships, from);
    }
    if (result != 0 || from == state->base.index + 1) {
        state->last = state->base;
        return result;
    }
    uint64_t first_index = 0;
    state->last.index = from - 1;
    return log_terms_find(transaction, store->terms, state->last.index, &first_index, &state->last.term);
}

static int log_store_append(struct log_store *store, MDB_txn *transaction, MDB_cursor *cursor,
                            struct log_store_state *state, const struct log_entry *entry)
{
    assert(entry->id.index == state->last.index + 1);
    assert(entry->id.term >= state->last.term);
    uint64_t index = entry->id.index;
    MDB_val key = {sizeof index, &index};
    MDB_val value = {(size_t)LOG_RECORD_HEAD_BYTES + entry->size, NULL};
    int result = mdb_cursor_put(cursor, &key, &value, MDB_APPEND | MDB_RESERVE);
    if (result != 0) {
        return result;
    }
    log_record_encode(value.mv_data, entry);
    if (entry->id.term != state->last.term || state->last.index == state->base.index) {
        result = log_terms_put(transaction, store->terms, index, entry->id.term);
    }
    if (result == 0 && entry->type == LOG_ENTRY_MEMBERSHIP) {
        result = log_terms_put(transaction, store->memberships, index, entry->id.term);
    }
    state->last = entry->id;
    return result;
}

static int log_store_append_all(struct log_store *store, MDB_txn *transaction, struct log_store_state *state,
                                const struct log_write *write)
{
    int result = MDB_SUCCESS;
    MDB_cursor *cursor = NULL;
    for (size_t i = 0; i < write->entries_count && result == 0; i++) {
        if (write->entries[i].id.index <= state->last.index) {
            /* No cursor is open while others delete beneath it. */
            if (cursor != NULL) {
                mdb_cursor_close(cursor);
                cursor = NULL;
            }
            result = log_store_truncate(store, transaction, state, write->entries[i].id.index);
        }
        if (result == 0 && cursor == NULL) {
            result = mdb_cursor_open(transaction, store->entries, &cursor);
        }
        if (result == 0) {
            result = log_store_append(store, transaction, cursor, state, &write->entries[i]);
        }
    }
    if (cursor != NULL) {
        mdb_cursor_close(cursor);
    }
    return result;
}

static int log_store_compact(struct log_store *store, MDB_txn *transaction, struct log_store_state *state,
                             const struct log_write *write)
{
    uint64_t to = write->compact_to < state->last.index ? write->compact_to : state->last.index;
    if (to <= state->base.index || write->compact_entries_max == 0) {
        return MDB_SUCCESS;
    }
    if (to - state->base.index > write->compact_entries_max) {
        to = state->base.index + write->compact_entries_max;
    }
    struct log_entry_id base = {.index = to};
    uint64_t first_index = 0;
    int result = log_terms_find(transaction, store->terms, to, &first_index, &base.term);
    for (uint64_t index = state->base.index + 1; index <= to && result == 0; index++) {
        MDB_val key = {sizeof index, &index};
        result = mdb_del(transaction, store->entries, &key, NULL);
    }
    if (result == 0) {
        result = log_terms_compact(transaction, store->terms, to, state->last.index);
    }
    if (result == 0) {
        result = log_terms_drop(transaction, store->memberships, to);
    }
    if (result != 0) {
        return result;
    }
    state->base = base;
    const uint64_t numbers[2] = {base.term, base.index};
    return log_store_put_numbers(store, transaction, LOG_STATE_BASE, numbers, 2);
}

/* Everything of `write` in the open transaction; *state becomes what it will be after the commit. */
static int log_store_apply(struct log_store *store, MDB_txn *transaction, struct log_store_state *state,
                           const struct log_write *write)
{
    int result = log_store_append_all(store, transaction, state, write);
    if (result == 0 && write->hard_state != NULL) {
        const uint64_t numbers[2] = {write->hard_state->term, write->hard_state->vote};
        assert(write->hard_state->term >= state->hard_state.term);
        state->hard_state = *write->hard_state;
        result = log_store_put_numbers(store, transaction, LOG_STATE_HARD_STATE, numbers, 2);
    }
    if (result == 0 && write->commit_hint > state->commit_hint) {
        assert(write->commit_hint <= state->last.index);
        state->commit_hint = write->commit_hint;
        result = log_store_put_numbers(store, transaction, LOG_STATE_COMMIT_HINT, &state->commit_hint, 1);
    }
    if (result == 0 && write->identity != NULL) {
        result = log_store_put_identity(store, transaction, write->identity);
    }
    return result;
}

/* What an install left over goes before the base moves on: entries in the table never have a gap. */
static int log_store_shorten(struct log_store *store, MDB_txn *transaction, struct log_store_state *state,
                             const struct log_write *write, uint64_t *left_over)
{
    if (*left_over == 0) {
        return log_store_compact(store, transaction, state, write);
    }
    uint32_t entries_max = write->compact_entries_max > LEFT_OVER_ENTRIES_PER_WRITE
                               ? write->compact_entries_max
                               : (uint32_t)LEFT_OVER_ENTRIES_PER_WRITE;
    return log_store_drop_left_over(store, transaction, state->base.index, entries_max, left_over);
}

/* An LMDB that is full to the last page cannot even delete, for it copies the pages that it changes. So
 * entries are refused while there is still room for compaction and the hard state. The free list is looked at
 * only when the file is close to its limit. */
static int log_store_check_room(struct log_store *store, const struct log_write *write)
{
    uint64_t file_bytes = 0;
    uint64_t map_bytes = 0;
    uint64_t free_bytes = 0;
    uint64_t wanted_bytes = 0;
    for (size_t i = 0; i < write->entries_count; i++) {
        wanted_bytes += write->entries[i].size + ENTRY_ROOM_BYTES;
    }
    lmdb_environment_get_usage(store->environment, &file_bytes, &map_bytes);
    wanted_bytes +=
        map_bytes / RESERVE_SHARE < RESERVE_BYTES_MAX ? map_bytes / RESERVE_SHARE : RESERVE_BYTES_MAX;
    if (write->entries_count == 0 || file_bytes + wanted_bytes <= map_bytes) {
        return MDB_SUCCESS;
    }
    MDB_txn *transaction = NULL;
    int result = mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &transaction);
    if (result == 0) {
        result = lmdb_environment_get_free_bytes(transaction, &free_bytes);
        mdb_txn_abort(transaction);
    }
    return result == 0 && file_bytes - free_bytes + wanted_bytes > map_bytes ? MDB_MAP_FULL : result;
}

/* One try. */
static enum storage_status log_store_try_write(struct log_store *store, const struct log_write *write,
                                               struct storage_error *error)
{
    struct log_store_state state;
    log_store_get_state(store, &state);
    const struct space_need need = log_store_need(store, write);
    MDB_txn *transaction = NULL;
    enum storage_status status = log_store_begin_with(store, &need, &transaction, error);
    if (status != STORAGE_OK) {
        return status;
    }
    uint64_t entries_bytes = 0;
    uint64_t left_over = store->left_over;
    /* What compaction frees is of use only if nobody dead still reads it. */
    int result = write->compact_to > 0 || left_over != 0 ? lmdb_environment_clear_readers(store->environment)
                                                         : MDB_SUCCESS;
    if (result == 0) {
        result = log_store_apply(store, transaction, &state, write);
    }
    if (result == 0) {
        result = log_store_shorten(store, transaction, &state, write, &left_over);
    }
    if (result == 0) {
        result = log_store_measure(store, transaction, &entries_bytes);
    }
    /* An entry that should be there and is not: damage, not absence. */
    result = result == MDB_NOTFOUND ? MDB_CORRUPTED : result;
    status = log_store_end(store, transaction, result, "writing the log", error);
    if (status == STORAGE_OK) {
        pthread_mutex_lock(&store->mutex);
        store->cached = state;
        store->left_over = left_over;
        store->entries_bytes = entries_bytes;
        pthread_mutex_unlock(&store->mutex);
    }
    return status;
}

/* LMDB reuses pages that a transaction freed from the next but one on, and an aborted one does not count. So
 * after a compaction the store may have room that only a commit makes usable. */
enum storage_status log_store_turn_over(struct log_store *store, struct storage_error *error)
{
    MDB_txn *transaction = NULL;
    enum storage_status status = log_store_begin(store, &transaction, error);
    if (status != STORAGE_OK) {
        return status;
    }
    int result =
        log_store_put_numbers(store, transaction, LOG_STATE_COMMIT_HINT, &store->cached.commit_hint, 1);
    return log_store_end(store, transaction, result, "making room in the log", error);
}

enum storage_status log_store_write(struct log_store *store, const struct log_write *write,
                                    struct storage_error *error)
{
    int result = atomic_load(&store->poisoned) ? MDB_SUCCESS : log_store_check_room(store, write);
    if (result != 0) {
        if (!storage_result_is_full(result)) {
            atomic_store(&store->poisoned, true);
        }
        return storage_fail_lmdb(error, result, store->directory, "writing the log");
    }
    enum storage_status status = log_store_try_write(store, write, error);
    if (status == STORAGE_FULL) {
        status = log_store_turn_over(store, error);
        if (status == STORAGE_OK) {
            status = log_store_try_write(store, write, error);
        }
    }
    return status;
}
