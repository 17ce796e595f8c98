/* map_store.c: opening and reading the map's environment; see map_store.h. Writing is in map_store_write.c.
 */
#include "map_store.h"

#include "lmdb_environment.h"
#include "map_scrub_internal.h"
#include "storage_bytes.h"
#include "storage_file.h"
#include "storage_hash.h"
#include "storage_lmdb_error.h"
#include "storage_memory.h"
#include "storage_record.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *map_store_error(const struct map_store *store)
{
    return atomic_load(&store->broken) ? store->error_text : NULL;
}

void map_store_break(struct map_store *store, const char *format, ...)
{
    if (atomic_load(&store->broken)) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(store->error_text, sizeof store->error_text, format, arguments);
    va_end(arguments);
    atomic_store(&store->broken, true);
}

static void map_store_break_lmdb(struct map_store *store, int result, const char *doing)
{
    map_store_break(store, "%s: failed while %s: %s. " STORAGE_DAMAGED_ADVICE, store->directory, doing,
                    mdb_strerror(result));
}

static void map_store_break_key(struct map_store *store, const uint8_t *key, size_t key_size,
                                const char *what)
{
    map_store_break(store, "%s: the key with hash %016llx %s. " STORAGE_DAMAGED_ADVICE, store->directory,
                    (unsigned long long)storage_hash_chain(0, key, key_size), what);
}

MDB_val map_store_prefix_key(uint8_t prefixed[MAP_PREFIXED_KEY_BYTES_MAX], const uint8_t *key,
                             size_t key_size)
{
    assert(key_size <= MAP_KEY_BYTES_MAX);
    prefixed[0] = MAP_KEY_PREFIX;
    if (key_size > 0) {
        memcpy(prefixed + 1, key, key_size);
    }
    return (MDB_val){key_size + 1, prefixed};
}

/* ---- opening ---- */

enum storage_status map_store_read_meta(const struct map_store *store, MDB_txn *transaction,
                                        struct map_meta *meta, bool *found, struct storage_error *error)
{
    char name[] = MAP_META_NAME;
    MDB_val key = {sizeof name - 1, name};
    MDB_val value;
    *found = false;
    int result = mdb_get(transaction, store->meta, &key, &value);
    if (result == MDB_NOTFOUND) {
        return STORAGE_OK;
    }
    if (result != 0) {
        return storage_fail_lmdb(error, result, store->directory, "reading the map's meta record");
    }
    const uint8_t *body = NULL;
    size_t body_size = 0;
    enum storage_status status = storage_record_open(value.mv_data, value.mv_size, store->directory,
                                                     MAP_META_NAME, MAP_META_FORM, &body, &body_size, error);
    if (status != STORAGE_OK) {
        return status;
    }
    if (!map_meta_decode(body, body_size, meta)) {
        return storage_fail(error, STORAGE_CORRUPT,
                            "%s: the map's meta record has a wrong size. " STORAGE_DAMAGED_ADVICE,
                            store->directory);
    }
    *found = true;
    return STORAGE_OK;
}

int map_store_open_tables(struct map_store *store, MDB_txn *transaction)
{
    const struct {
        const char *name;
        unsigned flags;
        MDB_dbi *table;
    } tables[] = {
        {"data", 0, &store->data},
        {"expiry", MDB_DUPSORT, &store->expiry},
        {"scan", MDB_DUPSORT | MDB_INTEGERKEY, &store->scan},
        {"meta", 0, &store->meta},
        {"session", 0, &store->session},
    };
    int result = MDB_SUCCESS;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && result == 0; i++) {
        result = mdb_dbi_open(transaction, tables[i].name, MDB_CREATE | tables[i].flags, tables[i].table);
    }
    return result;
}

/* Opens the tables; gives a new map its first meta record. */
static enum storage_status map_store_prepare(struct map_store *store, uint64_t hash_seed,
                                             struct map_meta *meta, struct storage_error *error)
{
    MDB_txn *transaction = NULL;
    MDB_stat statistics = {0};
    bool found = false;
    int result = mdb_env_stat(store->environment, &statistics);
    assert(result == 0);
    const struct space_need small = {.pages = SPACE_SMALL_PAGES};
    enum storage_status status = space_reserve_ensure(&store->space, &small, error);
    if (status == STORAGE_FULL && statistics.ms_entries > 0) {
        status = STORAGE_OK; /* the tables are there: nothing is written */
    }
    if (status != STORAGE_OK) {
        return status;
    }
    result = mdb_txn_begin(store->environment, NULL, 0, &transaction);
    if (result != 0) {
        return storage_fail_lmdb(error, result, store->directory, "opening the map");
    }
    result = map_store_open_tables(store, transaction);
    if (result == 0) {
        status = map_store_read_meta(store, transaction, meta, &found, error);
        result = mdb_stat(transaction, store->data, &statistics);
    }
    if (result == 0 && status == STORAGE_OK && !found) {
        if (statistics.ms_entries > 0) {
            status =
                storage_fail(error, STORAGE_CORRUPT,
                             "%s: a map without its meta record. " STORAGE_DAMAGED_ADVICE, store->directory);
        }
        meta->hash_seed = hash_seed;
        result = map_store_put_meta(store, transaction, meta);
    } else if (status == STORAGE_OK && statistics.ms_entries != meta->key_count) {
        status =
            storage_fail(error, STORAGE_CORRUPT,
                         "%s: the map holds %zu keys, its meta record says %llu. " STORAGE_DAMAGED_ADVICE,
                         store->directory, statistics.ms_entries, (unsigned long long)meta->key_count);
    }
    if (result != 0 || status != STORAGE_OK) {
        mdb_txn_abort(transaction);
        return result == 0 ? status : storage_fail_lmdb(error, result, store->directory, "opening the map");
    }
    result = mdb_txn_commit(transaction);
    return result == 0 ? STORAGE_OK : storage_fail_lmdb(error, result, store->directory, "creating the map");
}

static int map_store_measure(struct map_store *store)
{
    uint64_t file_bytes = 0;
    uint64_t map_bytes = 0;
    uint64_t free_bytes = 0;
    lmdb_environment_get_usage(store->environment, &file_bytes, &map_bytes);
    int result = lmdb_environment_get_free_bytes(store->reader, &free_bytes);
    store->used_bytes = file_bytes - free_bytes;
    const MDB_dbi tables[] = {store->data, store->scan, store->expiry};
    MDB_stat statistics[3] = {{0}};
    for (size_t i = 0; i < 3 && result == 0; i++) {
        result = mdb_stat(store->reader, tables[i], &statistics[i]);
    }
    store->path_pages = (uint64_t)statistics[0].ms_branch_pages + statistics[1].ms_branch_pages +
                        statistics[2].ms_branch_pages;
    store->data_leaves = statistics[0].ms_leaf_pages;
    store->scan_leaves = statistics[1].ms_leaf_pages;
    store->expiring_count = statistics[2].ms_entries;
    return result;
}

static enum storage_status map_store_begin_reading(struct map_store *store, struct storage_error *error)
{
    int result = mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &store->reader);
    if (result == 0) {
        result = mdb_cursor_open(store->reader, store->scan, &store->scan_cursor);
    }
    if (result == 0) {
        result = mdb_cursor_open(store->reader, store->expiry, &store->expiry_cursor);
    }
    if (result == 0) {
        result = map_store_measure(store);
    }
    return result == 0 ? STORAGE_OK : storage_fail_lmdb(error, result, store->directory, "reading the map");
}

enum storage_status map_store_open(const struct map_options *options, struct map_store **store,
                                   struct map_meta *meta, struct storage_error *error)
{
    struct map_store *opened = storage_allocate_zero(sizeof *opened);
    opened->directory = storage_format("%s", options->directory);
    opened->scrub = storage_allocate_zero(sizeof *opened->scrub);
    *meta = (struct map_meta){0};
    const struct lmdb_environment_options environment = {
        .directory = options->directory,
        .map_bytes = options->map_bytes,
        .tables_max = MAP_STORE_TABLES_MAX,
        .read_ahead = false,
    };
    enum storage_status status = storage_create_directory(options->directory, error);
    if (status == STORAGE_OK) {
        status = lmdb_environment_open(&environment, &opened->environment, error);
    }
    if (status == STORAGE_OK) {
        status = space_reserve_open(&opened->space, opened->environment, opened->directory,
                                    options->reserve_bytes, error);
    }
    if (status == STORAGE_OK) {
        status = map_store_prepare(opened, options->hash_seed, meta, error);
    }
    if (status == STORAGE_OK) {
        status = map_store_begin_reading(opened, error);
    }
    if (status != STORAGE_OK) {
        map_store_close(opened);
        return status;
    }
    *store = opened;
    return STORAGE_OK;
}

void map_store_close(struct map_store *store)
{
    if (store == NULL) {
        return;
    }
    assert(atomic_load(&store->snapshots_count) == 0 && atomic_load(&store->fetches_count) == 0);
    if (store->scan_cursor != NULL) {
        mdb_cursor_close(store->scan_cursor);
    }
    if (store->expiry_cursor != NULL) {
        mdb_cursor_close(store->expiry_cursor);
    }
    if (store->reader != NULL) {
        mdb_txn_abort(store->reader);
    }
    mdb_env_close(store->environment);
    free(store->scrub);
    free(store->directory);
    free(store);
}

/* ---- reading ---- */

static bool map_store_decode(struct map_store *store, const uint8_t *key, size_t key_size,
                             const MDB_val *value, enum map_store_check check, struct map_record *record)
{
    if (!map_record_decode(value->mv_data, value->mv_size, record)) {
        map_store_break_key(store, key, key_size, "has a damaged header");
        return false;
    }
    if ((check == MAP_STORE_CHECK_ALL || record->value.size <= MAP_STORE_SMALL_VALUE_BYTES) &&
        map_record_hash(key, key_size, &record->value) != record->hash) {
        map_store_break_key(store, key, key_size, "has a damaged value (wrong checksum)");
        return false;
    }
    return true;
}

bool map_store_find(struct map_store *store, const uint8_t *key, size_t key_size, enum map_store_check check,
                    struct map_record *record)
{
    if (atomic_load_explicit(&store->broken, memory_order_relaxed)) {
        return false;
    }
    uint8_t prefixed[MAP_PREFIXED_KEY_BYTES_MAX];
    MDB_val stored_key = map_store_prefix_key(prefixed, key, key_size);
    MDB_val value;
    int result = mdb_get(store->reader, store->data, &stored_key, &value);
    if (result == 0) {
        return map_store_decode(store, key, key_size, &value, check, record);
    }
    if (result != MDB_NOTFOUND) {
        map_store_break_lmdb(store, result, "reading a key");
    }
    return false;
}

/* Takes over where a cursor stands. `big_endian`: how its keys say the number. */
static const struct map_store_place *map_store_set_place(struct map_store *store,
                                                         struct map_store_place *place, int result,
                                                         const MDB_val *key, const MDB_val *value,
                                                         bool big_endian)
{
    *place = (struct map_store_place){.known = true};
    if (result == MDB_NOTFOUND) {
        return place;
    }
    const uint8_t *prefixed = result == 0 ? value->mv_data : NULL;
    if (result != 0) {
        map_store_break_lmdb(store, result, "walking an index of the map");
    } else if (key->mv_size != 8 || value->mv_size == 0 || value->mv_size > MAP_PREFIXED_KEY_BYTES_MAX ||
               prefixed[0] != MAP_KEY_PREFIX) {
        map_store_break(store, "%s: an index of the map holds a damaged key. " STORAGE_DAMAGED_ADVICE,
                        store->directory);
    } else {
        place->found = true;
        place->number = big_endian ? storage_get_u64_big(key->mv_data) : storage_get_u64(key->mv_data);
        place->key = prefixed + 1;
        place->key_size = value->mv_size - 1;
    }
    return place;
}

const struct map_store_place *map_store_seek_scan(struct map_store *store, uint64_t hash)
{
    MDB_val key = {sizeof hash, &hash};
    MDB_val value;
    int result = mdb_cursor_get(store->scan_cursor, &key, &value, MDB_SET_RANGE);
    return map_store_set_place(store, &store->scan_place, result, &key, &value, false);
}

const struct map_store_place *map_store_next_scan(struct map_store *store)
{
    assert(store->scan_place.found);
    MDB_val key;
    MDB_val value;
    int result = mdb_cursor_get(store->scan_cursor, &key, &value, MDB_NEXT);
    return map_store_set_place(store, &store->scan_place, result, &key, &value, false);
}

const struct map_store_place *map_store_first_expiry(struct map_store *store)
{
    if (store->expiry_place.known) {
        return &store->expiry_place;
    }
    MDB_val key;
    MDB_val value;
    int result = mdb_cursor_get(store->expiry_cursor, &key, &value, MDB_FIRST);
    return map_store_set_place(store, &store->expiry_place, result, &key, &value, true);
}

const struct map_store_place *map_store_next_expiry(struct map_store *store)
{
    assert(store->expiry_place.known && store->expiry_place.found);
    MDB_val key;
    MDB_val value;
    int result = mdb_cursor_get(store->expiry_cursor, &key, &value, MDB_NEXT);
    return map_store_set_place(store, &store->expiry_place, result, &key, &value, true);
}

void map_store_walk(struct map_store *store,
                    void (*visit)(void *context, const uint8_t *key, size_t key_size,
                                  const struct map_record *record),
                    void *context)
{
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val value;
    int result = mdb_cursor_open(store->reader, store->data, &cursor);
    while (result == 0 && (result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        const uint8_t *prefixed = key.mv_data;
        struct map_record record;
        if (key.mv_size == 0 || prefixed[0] != MAP_KEY_PREFIX) {
            map_store_break(store, "%s: the map holds a damaged key. " STORAGE_DAMAGED_ADVICE,
                            store->directory);
            break;
        }
        if (!map_store_decode(store, prefixed + 1, key.mv_size - 1, &value, MAP_STORE_CHECK_ALL, &record)) {
            break;
        }
        visit(context, prefixed + 1, key.mv_size - 1, &record);
    }
    if (result != 0 && result != MDB_NOTFOUND) {
        map_store_break_lmdb(store, result, "walking the map");
    }
    if (cursor != NULL) {
        mdb_cursor_close(cursor);
    }
}

void map_store_renew(struct map_store *store, uint64_t applied_index)
{
    store->scan_place = (struct map_store_place){0};
    store->expiry_place = (struct map_store_place){0};
    mdb_txn_reset(store->reader);
    int result = mdb_txn_renew(store->reader);
    if (result == 0) {
        result = mdb_cursor_renew(store->reader, store->scan_cursor);
    }
    if (result == 0) {
        result = mdb_cursor_renew(store->reader, store->expiry_cursor);
    }
    if (result == 0) {
        result = map_store_measure(store);
    }
    if (result != 0) {
        map_store_break_lmdb(store, result, "renewing the read transaction");
        return;
    }
    struct map_meta *meta = storage_allocate(sizeof *meta);
    struct storage_error error;
    bool found = false;
    if (map_store_read_meta(store, store->reader, meta, &found, &error) != STORAGE_OK) {
        map_store_break(store, "%s", error.text);
    } else if (!found || meta->applied_index != applied_index) {
        map_store_break(store,
                        "%s: the map on disk is not the one that was just written. " STORAGE_DAMAGED_ADVICE,
                        store->directory);
    }
    free(meta);
}
