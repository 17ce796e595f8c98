/* log_scrub.c: see log_scrub.h. */
#include "log_scrub.h"

#include "log_record.h"
#include "log_store_internal.h"
#include "log_terms.h"
#include "storage_bytes.h"
#include "storage_lmdb_error.h"

enum { ENTRY_WORK_BYTES = 256 };

struct walk {
    struct log_store *store;
    MDB_txn *transaction;
    struct log_scrub_slice *slice;
};

/* The first sentence stays. */
static void found(struct walk *walk, const struct storage_error *damage)
{
    if (!walk->slice->is_damaged) {
        walk->slice->is_damaged = true;
        walk->slice->damage = *damage;
    }
}

static void found_entry(struct walk *walk, uint64_t index, const char *what)
{
    struct storage_error damage;
    (void)storage_fail(&damage, STORAGE_CORRUPT, "%s/data.mdb: log entry %llu %s", walk->store->directory,
                       (unsigned long long)index, what);
    found(walk, &damage);
}

static void found_failure(struct walk *walk, int result)
{
    struct storage_error error;
    (void)storage_fail_lmdb(&error, result, walk->store->directory, "scrubbing the log");
    found(walk, &error);
}

/* ---- at the end of a pass ------------------------------------------------------------------------ */

static void ignore_stretch(void *context, uint64_t first_index, uint64_t term)
{
    (void)context;
    (void)first_index;
    (void)term;
}

static void check_records(struct walk *walk)
{
    static const char *const names[] = {LOG_STATE_FORMAT,      LOG_STATE_HARD_STATE,     LOG_STATE_BASE,
                                        LOG_STATE_COMMIT_HINT, LOG_STATE_MAP_GENERATION, LOG_STATE_IDENTITY,
                                        LOG_STATE_LEFT_OVER};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const uint8_t *body = NULL;
        size_t size = 0;
        struct storage_error error;
        if (log_store_get_state_record(walk->store, walk->transaction, names[i], &body, &size, &error) !=
            STORAGE_OK) {
            found(walk, &error);
        }
    }
    const MDB_dbi tables[] = {walk->store->terms, walk->store->memberships};
    for (size_t i = 0; i < 2; i++) {
        int result = log_terms_visit(walk->transaction, tables[i], ignore_stretch, NULL);
        if (result != 0) {
            found_failure(walk, result);
        }
    }
}

/* ---- entries ------------------------------------------------------------------------------------- */

/* The number at `offset` of a record of `size_wanted` bytes; false: not to be read. */
static bool read_number(struct walk *walk, const char *name, size_t size_wanted, size_t offset,
                        uint64_t *number)
{
    const uint8_t *body = NULL;
    size_t size = 0;
    struct storage_error error;
    enum storage_status status =
        log_store_get_state_record(walk->store, walk->transaction, name, &body, &size, &error);
    if (status == STORAGE_OK && size != size_wanted) {
        status = storage_fail(&error, STORAGE_CORRUPT, "%s/data.mdb: the record \"%s\" is missing",
                              walk->store->directory, name);
    }
    if (status != STORAGE_OK) {
        found(walk, &error);
        return false;
    }
    *number = storage_get_u64(body + offset);
    return true;
}

static void check_entry(struct walk *walk, uint64_t expected, const MDB_val *key, const MDB_val *value)
{
    struct log_entry entry;
    uint64_t index = key->mv_size == 8 ? storage_get_u64(key->mv_data) : 0;
    walk->slice->work_bytes += ENTRY_WORK_BYTES + value->mv_size;
    if (index != expected) {
        found_entry(walk, expected, "is missing");
    } else if (!log_record_decode(value->mv_data, value->mv_size, index, &entry)) {
        found_entry(walk, index, "is damaged (wrong checksum)");
    }
}

/* From `first` on; every entry is where the one before it says. */
static void walk_entries(struct walk *walk, MDB_cursor *cursor, uint64_t first, uint64_t last,
                         uint64_t work_bytes_max)
{
    for (uint64_t index = first; index <= last; index++) {
        MDB_val key = {sizeof index, &index};
        MDB_val value;
        int result = mdb_cursor_get(cursor, &key, &value, index == first ? MDB_SET_KEY : MDB_NEXT);
        if (result == MDB_NOTFOUND) {
            found_entry(walk, index, "is missing");
        } else if (result != 0) {
            found_failure(walk, result);
        } else {
            check_entry(walk, index, &key, &value);
            result = key.mv_size == 8 && storage_get_u64(key.mv_data) == index ? 0 : MDB_NOTFOUND;
        }
        if (result != 0) {
            return; /* nobody knows where to go on */
        }
        if (walk->slice->work_bytes >= work_bytes_max && index < last) {
            walk->slice->next_index = index + 1;
            return;
        }
    }
}

static void scrub(struct walk *walk, uint64_t from_index, uint64_t work_bytes_max)
{
    uint64_t base = 0;
    uint64_t left_over =
        0; /* where entries below the base start that are still there (log_store_install.c) */
    MDB_stat statistics;
    MDB_cursor *cursor = NULL;
    if (!read_number(walk, LOG_STATE_BASE, 16, 8, &base) ||
        !read_number(walk, LOG_STATE_LEFT_OVER, 8, 0, &left_over)) {
        return;
    }
    int result = mdb_stat(walk->transaction, walk->store->entries, &statistics);
    result = result != 0 ? result : mdb_cursor_open(walk->transaction, walk->store->entries, &cursor);
    if (result != 0) {
        found_failure(walk, result);
        return;
    }
    uint64_t first = from_index > base ? from_index : base + 1;
    uint64_t before = left_over != 0 ? left_over - 1 : base;
    walk_entries(walk, cursor, first, before + statistics.ms_entries, work_bytes_max);
    mdb_cursor_close(cursor);
}

void log_scrub_run(struct log_store *store, uint64_t from_index, uint64_t work_bytes_max,
                   struct log_scrub_slice *slice)
{
    *slice = (struct log_scrub_slice){0};
    struct walk walk = {.store = store, .slice = slice};
    int result = mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &walk.transaction);
    if (result != 0) {
        found_failure(&walk, result);
        return;
    }
    scrub(&walk, from_index, work_bytes_max);
    if (slice->next_index == 0) {
        check_records(&walk);
    }
    mdb_txn_abort(walk.transaction);
}
