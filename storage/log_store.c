/* log_store.c: opening, checking and reading the log environment. Writing is in log_store_write.c, the
 * identity in log_identity.c. See log_store.h for the contract and log_store_internal.h for the tables.
 *
 * Opening reads the single records, the two ends of the entries, and LMDB's own count of them: a first key of
 * base + 1 and a last key of base + count prove that there is no gap, without a walk.
 */
#include "log_store.h"

#include "lmdb_environment.h"
#include "log_record.h"
#include "log_store_internal.h"
#include "log_terms.h"
#include "storage_bytes.h"
#include "storage_lmdb_error.h"
#include "storage_memory.h"
#include "storage_record.h"

#include <stdlib.h>

enum { TABLES_MAX = 8 };

MDB_env *log_store_environment(const struct log_store *store)
{
    return store->environment;
}

int log_store_measure(const struct log_store *store, MDB_txn *transaction, uint64_t *entries_bytes)
{
    MDB_stat statistics;
    int result = mdb_stat(transaction, store->entries, &statistics);
    if (result == 0) {
        *entries_bytes =
            (uint64_t)(statistics.ms_branch_pages + statistics.ms_leaf_pages + statistics.ms_overflow_pages) *
            statistics.ms_psize;
    }
    return result;
}

enum storage_status log_store_get_state_record(const struct log_store *store, MDB_txn *transaction,
                                               const char *name, const uint8_t **body, size_t *body_size,
                                               struct storage_error *error)
{
    char copy[32];
    MDB_val key = {strlen(name), copy};
    assert(key.mv_size < sizeof copy);
    memcpy(copy, name, key.mv_size);
    MDB_val value;
    *body = NULL;
    *body_size = 0;
    int result = mdb_get(transaction, store->state, &key, &value);
    if (result == MDB_NOTFOUND) {
        return STORAGE_OK;
    }
    if (result != 0) {
        return storage_fail_lmdb(error, result, store->directory, "reading the log's state");
    }
    return storage_record_open(value.mv_data, value.mv_size, store->directory, name, LOG_STATE_FORM, body,
                               body_size, error);
}

/* Reads a record of `count` numbers that must be there. */
static enum storage_status log_store_get_numbers(struct log_store *store, MDB_txn *transaction,
                                                 const char *name, uint64_t *numbers, size_t count,
                                                 struct storage_error *error)
{
    const uint8_t *body = NULL;
    size_t body_size = 0;
    enum storage_status status =
        log_store_get_state_record(store, transaction, name, &body, &body_size, error);
    if (status != STORAGE_OK) {
        return status;
    }
    struct storage_reader reader = storage_reader_init(body, body_size);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = storage_read_u64(&reader);
    }
    if (body == NULL || !storage_reader_ended_well(&reader)) {
        return storage_fail(error, STORAGE_CORRUPT,
                            "%s: the record \"%s\" is missing or of a wrong size. " STORAGE_DAMAGED_ADVICE,
                            store->directory, name);
    }
    return STORAGE_OK;
}

static int log_store_create_state(struct log_store *store, MDB_txn *transaction)
{
    static const struct {
        const char *name;
        size_t body_size;
        uint8_t first_byte;
    } records[] = {
        {LOG_STATE_FORMAT, 4, LOG_FORMAT}, {LOG_STATE_HARD_STATE, 16, 0},    {LOG_STATE_BASE, 16, 0},
        {LOG_STATE_COMMIT_HINT, 8, 0},     {LOG_STATE_MAP_GENERATION, 8, 1}, {LOG_STATE_LEFT_OVER, 8, 0},
    };
    int result = MDB_SUCCESS;
    for (size_t i = 0; i < sizeof records / sizeof records[0] && result == 0; i++) {
        uint8_t body[16] = {records[i].first_byte};
        result = log_store_put_state(store, transaction, records[i].name, body, records[i].body_size);
    }
    return result;
}

/* From format 1: membership entries, and installs, did not exist then. */
static int log_store_upgrade(struct log_store *store, MDB_txn *transaction)
{
    const uint64_t none = 0;
    const uint8_t format[4] = {LOG_FORMAT};
    int result = log_store_put_numbers(store, transaction, LOG_STATE_LEFT_OVER, &none, 1);
    return result != 0 ? result
                       : log_store_put_state(store, transaction, LOG_STATE_FORMAT, format, sizeof format);
}

static int log_store_create_tables(struct log_store *store, MDB_txn *transaction)
{
    int result = mdb_dbi_open(transaction, "entries", MDB_CREATE | MDB_INTEGERKEY, &store->entries);
    if (result == 0) {
        result = mdb_dbi_open(transaction, "terms", MDB_CREATE | MDB_INTEGERKEY, &store->terms);
    }
    if (result == 0) {
        result = mdb_dbi_open(transaction, "memberships", MDB_CREATE | MDB_INTEGERKEY, &store->memberships);
    }
    return result != 0 ? result : mdb_dbi_open(transaction, "state", MDB_CREATE, &store->state);
}

/* Opens the tables and, in a new environment, writes the first records. */
static enum storage_status log_store_open_tables(struct log_store *store, struct storage_error *error)
{
    static const char doing[] = "opening the log's tables";
    MDB_txn *transaction = NULL;
    enum storage_status status = log_store_begin_opening(store, &transaction, error);
    if (status != STORAGE_OK) {
        return status;
    }
    int result = log_store_create_tables(store, transaction);
    if (result != 0) {
        return log_store_end(store, transaction, result, doing, error);
    }
    const uint8_t *format = NULL;
    size_t format_size = 0;
    status = log_store_get_state_record(store, transaction, LOG_STATE_FORMAT, &format, &format_size, error);
    if (status == STORAGE_OK && format == NULL) {
        MDB_stat entries;
        MDB_stat state;
        result = mdb_stat(transaction, store->entries, &entries);
        result = result != 0 ? result : mdb_stat(transaction, store->state, &state);
        if (result == 0 && (entries.ms_entries > 0 || state.ms_entries > 0)) {
            status = storage_fail(error, STORAGE_CORRUPT,
                                  "%s: a log without its format record. " STORAGE_DAMAGED_ADVICE,
                                  store->directory);
        } else if (result == 0) {
            result = log_store_create_state(store, transaction);
        }
    } else if (status == STORAGE_OK && format_size == 4 && storage_get_u32(format) == 1) {
        result = log_store_upgrade(store, transaction);
    } else if (status == STORAGE_OK && (format_size != 4 || storage_get_u32(format) != LOG_FORMAT)) {
        status = storage_fail(error, STORAGE_INCOMPATIBLE,
                              "%s: a log of a format that this kvd does not know", store->directory);
    }
    if (status != STORAGE_OK) {
        mdb_txn_abort(transaction);
        return status;
    }
    return log_store_end(store, transaction, result, doing, error);
}

int log_store_get_entry(const struct log_store *store, MDB_txn *transaction, uint64_t index,
                        struct log_entry *entry)
{
    MDB_val key = {sizeof index, &index};
    MDB_val value;
    int result = mdb_get(transaction, store->entries, &key, &value);
    if (result == 0 && !log_record_decode(value.mv_data, value.mv_size, index, entry)) {
        result = MDB_CORRUPTED;
    }
    return result;
}

static enum storage_status log_store_fail_entry(const struct log_store *store, uint64_t index,
                                                struct storage_error *error)
{
    return storage_fail(error, STORAGE_CORRUPT,
                        "%s: log entry %llu is missing or damaged (wrong checksum). " STORAGE_DAMAGED_ADVICE,
                        store->directory, (unsigned long long)index);
}

/* Are the keys of `entries` exactly first .. last? With LMDB's count equal to last - first + 1, the two ends
 * say so. */
static int log_store_check_keys(const struct log_store *store, MDB_txn *transaction, uint64_t first,
                                uint64_t last)
{
    MDB_cursor *cursor = NULL;
    MDB_val key = {0};
    MDB_val value;
    int result = mdb_cursor_open(transaction, store->entries, &cursor);
    if (result != 0) {
        return result;
    }
    result = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    if (result == 0 && (key.mv_size != 8 || storage_get_u64(key.mv_data) != first)) {
        result = MDB_CORRUPTED;
    }
    if (result == 0) {
        result = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    }
    if (result == 0 && (key.mv_size != 8 || storage_get_u64(key.mv_data) != last)) {
        result = MDB_CORRUPTED;
    }
    mdb_cursor_close(cursor);
    return result;
}

/* Do these entries agree with `terms`? */
static enum storage_status log_store_check_entry(struct log_store *store, MDB_txn *transaction,
                                                 uint64_t index, uint64_t *term, struct storage_error *error)
{
    struct log_entry entry;
    uint64_t first_index = 0;
    if (log_store_get_entry(store, transaction, index, &entry) != 0) {
        return log_store_fail_entry(store, index, error);
    }
    if (log_terms_find(transaction, store->terms, index, &first_index, term) != 0 || *term != entry.id.term ||
        first_index <= store->cached.base.index) {
        return storage_fail(error, STORAGE_CORRUPT,
                            "%s: the table of terms disagrees with log entry %llu. " STORAGE_DAMAGED_ADVICE,
                            store->directory, (unsigned long long)index);
    }
    return STORAGE_OK;
}

/* Finds the last entry; checks that entries are without a gap and agree with `terms` at both ends. */
static enum storage_status log_store_check_ends(struct log_store *store, MDB_txn *transaction,
                                                struct storage_error *error)
{
    struct log_store_state *state = &store->cached;
    MDB_stat statistics;
    int result = mdb_stat(transaction, store->entries, &statistics);
    if (result != 0) {
        return storage_fail_lmdb(error, result, store->directory, "counting log entries");
    }
    state->last = state->base;
    uint64_t first = store->left_over != 0 ? store->left_over : state->base.index + 1;
    uint64_t last = first - 1 + statistics.ms_entries;
    if (first > state->base.index + 1 || last < state->base.index ||
        (statistics.ms_entries > 0 && log_store_check_keys(store, transaction, first, last) != 0)) {
        return storage_fail(
            error, STORAGE_CORRUPT,
            "%s: the log holds %zu entries after index %llu, but with a gap. " STORAGE_DAMAGED_ADVICE,
            store->directory, statistics.ms_entries, (unsigned long long)(first - 1));
    }
    if (last == state->base.index) {
        return STORAGE_OK;
    }
    state->last.index = last;
    enum storage_status status =
        log_store_check_entry(store, transaction, state->base.index + 1, &state->last.term, error);
    return status != STORAGE_OK ? status
                                : log_store_check_entry(store, transaction, last, &state->last.term, error);
}

static enum storage_status log_store_load(struct log_store *store, struct storage_error *error)
{
    MDB_txn *transaction = NULL;
    int result = mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &transaction);
    if (result != 0) {
        return storage_fail_lmdb(error, result, store->directory, "reading the log");
    }
    struct log_store_state *state = &store->cached;
    uint64_t pair[2] = {0, 0};
    enum storage_status status =
        log_store_get_numbers(store, transaction, LOG_STATE_HARD_STATE, pair, 2, error);
    state->hard_state = (struct log_hard_state){.term = pair[0], .vote = pair[1]};
    if (status == STORAGE_OK) {
        status = log_store_get_numbers(store, transaction, LOG_STATE_BASE, pair, 2, error);
        state->base = (struct log_entry_id){.term = pair[0], .index = pair[1]};
    }
    if (status == STORAGE_OK) {
        status =
            log_store_get_numbers(store, transaction, LOG_STATE_COMMIT_HINT, &state->commit_hint, 1, error);
    }
    if (status == STORAGE_OK) {
        status = log_store_get_numbers(store, transaction, LOG_STATE_MAP_GENERATION, &store->map_generation,
                                       1, error);
    }
    if (status == STORAGE_OK) {
        status = log_store_get_numbers(store, transaction, LOG_STATE_LEFT_OVER, &store->left_over, 1, error);
    }
    if (status == STORAGE_OK) {
        status = log_store_check_ends(store, transaction, error);
    }
    if (status == STORAGE_OK &&
        (result = log_store_measure(store, transaction, &store->entries_bytes)) != 0) {
        status = storage_fail_lmdb(error, result, store->directory, "measuring the log");
    }
    mdb_txn_abort(transaction);
    return status;
}

enum storage_status log_store_open(const struct log_store_options *options, struct log_store **store,
                                   struct storage_error *error)
{
    struct log_store *opened = storage_allocate_zero(sizeof *opened);
    opened->directory = storage_format("%s", options->directory);
    int result = pthread_mutex_init(&opened->mutex, NULL);
    assert(result == 0);
    const struct lmdb_environment_options environment = {
        .directory = options->directory,
        .map_bytes = options->map_bytes,
        .tables_max = TABLES_MAX,
        .read_ahead = true,
    };
    enum storage_status status = lmdb_environment_open(&environment, &opened->environment, error);
    if (status == STORAGE_OK) {
        status = space_reserve_open(&opened->space, opened->environment, opened->directory,
                                    options->reserve_bytes, error);
    }
    if (status == STORAGE_OK) {
        status = log_store_open_tables(opened, error);
    }
    if (status == STORAGE_OK) {
        status = log_store_load(opened, error);
    }
    if (status != STORAGE_OK) {
        log_store_close(opened);
        return status;
    }
    *store = opened;
    return STORAGE_OK;
}

void log_store_close(struct log_store *store)
{
    if (store == NULL) {
        return;
    }
    mdb_env_close(store->environment);
    pthread_mutex_destroy(&store->mutex);
    free(store->directory);
    free(store);
}

/* The caches change under a lock even for readers that promise not to change the store. */
static pthread_mutex_t *log_store_mutex(const struct log_store *store)
{
    union {
        const struct log_store *promised;
        struct log_store *store;
    } same = {.promised = store};
    return &same.store->mutex;
}

uint64_t log_store_map_generation(const struct log_store *store)
{
    pthread_mutex_lock(log_store_mutex(store));
    uint64_t generation = store->map_generation;
    pthread_mutex_unlock(log_store_mutex(store));
    return generation;
}

void log_store_get_state(const struct log_store *store, struct log_store_state *state)
{
    pthread_mutex_lock(log_store_mutex(store));
    *state = store->cached;
    pthread_mutex_unlock(log_store_mutex(store));
}

void log_store_get_usage(const struct log_store *store, struct log_store_usage *usage)
{
    pthread_mutex_lock(log_store_mutex(store));
    usage->entries_bytes = store->entries_bytes;
    pthread_mutex_unlock(log_store_mutex(store));
    lmdb_environment_get_usage(store->environment, &usage->file_bytes, &usage->map_bytes);
}

void log_store_get_space(const struct log_store *store, struct storage_space *space)
{
    space_reserve_get(&store->space, space);
}

enum storage_status log_store_term_runs(struct log_store *store,
                                        void (*visit)(void *context, uint64_t first_index, uint64_t term),
                                        void *context, struct storage_error *error)
{
    MDB_txn *transaction = NULL;
    int result = mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &transaction);
    if (result == 0) {
        result = log_terms_visit(transaction, store->terms, visit, context);
        mdb_txn_abort(transaction);
    }
    return result == 0 ? STORAGE_OK
                       : storage_fail_lmdb(error, result, store->directory, "reading the terms of the log");
}

struct log_memberships_walk {
    struct log_store *store;
    MDB_txn *transaction;
    void (*visit)(void *context, const struct log_entry *entry);
    void *context;
    enum storage_status status;
    struct storage_error *error;
};

static void log_memberships_visit(void *context, uint64_t index, uint64_t term)
{
    struct log_memberships_walk *walk = context;
    struct log_entry entry;
    if (walk->status != STORAGE_OK) {
        return;
    }
    if (log_store_get_entry(walk->store, walk->transaction, index, &entry) != 0) {
        walk->status = log_store_fail_entry(walk->store, index, walk->error);
    } else if (entry.type != LOG_ENTRY_MEMBERSHIP || entry.id.term != term) {
        walk->status = storage_fail(
            walk->error, STORAGE_CORRUPT,
            "%s: the table of memberships disagrees with log entry %llu. " STORAGE_DAMAGED_ADVICE,
            walk->store->directory, (unsigned long long)index);
    } else {
        walk->visit(walk->context, &entry);
    }
}

enum storage_status log_store_memberships(struct log_store *store,
                                          void (*visit)(void *context, const struct log_entry *entry),
                                          void *context, struct storage_error *error)
{
    struct log_memberships_walk walk = {.store = store, .visit = visit, .context = context, .error = error};
    int result = mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &walk.transaction);
    if (result == 0) {
        result = log_terms_visit(walk.transaction, store->memberships, log_memberships_visit, &walk);
        mdb_txn_abort(walk.transaction);
    }
    return result == 0 ? walk.status
                       : storage_fail_lmdb(error, result, store->directory, "reading the memberships");
}

enum storage_status log_store_read(struct log_store *store, uint64_t first, uint64_t last, size_t bytes_max,
                                   void (*visit)(void *context, const struct log_entry *entry), void *context,
                                   struct storage_error *error)
{
    assert(first > 0 && first <= last);
    MDB_txn *transaction = NULL;
    int result = mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &transaction);
    if (result != 0) {
        return storage_fail_lmdb(error, result, store->directory, "reading the log");
    }
    enum storage_status status = STORAGE_OK;
    size_t bytes = 0;
    for (uint64_t index = first; index <= last; index++) {
        struct log_entry entry;
        result = log_store_get_entry(store, transaction, index, &entry);
        if (result == MDB_NOTFOUND) {
            break;
        }
        if (result != 0) {
            status = result == MDB_CORRUPTED
                         ? log_store_fail_entry(store, index, error)
                         : storage_fail_lmdb(error, result, store->directory, "reading the log");
            break;
        }
        if (index > first && entry.size > bytes_max - bytes) {
            break;
        }
        visit(context, &entry);
        bytes += entry.size;
        if (bytes >= bytes_max) {
            break;
        }
    }
    mdb_txn_abort(transaction);
    return status;
}
