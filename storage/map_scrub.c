/* map_scrub.c: see map_scrub.h. */
#include "map_scrub_internal.h"

#include "map_internal.h"
#include "storage_bytes.h"
#include "storage_hash.h"
#include "storage_lmdb_error.h"
#include "storage_memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_WORK_BYTES = 256, LOOKUP_WORK_BYTES = 4096 };

/* One slice. */
struct walk {
    struct map_store *store;
    struct map_scrub *scrub;
    MDB_txn *transaction;
    MDB_cursor *cursor;
    MDB_cursor *finder; /* of the same table: looks for what the other one stands at */
    struct map_scrub_slice *slice;
    uint64_t hash_seed;
};

/* ---- what checkpoints tell ----------------------------------------------------------------------- */

static bool has_passed(const struct map_scrub *scrub, const uint8_t *key, size_t key_size)
{
    if (scrub->table != MAP_SCRUB_DATA || !scrub->has_begun) {
        return false; /* the sum was looked at, or begins with the next slice */
    }
    assert(scrub->position_size > 0);
    return map_key_compare(key, key_size, scrub->position + 1, scrub->position_size - 1) <= 0;
}

void map_scrub_note_change(const struct map_scrub *scrub, const uint8_t *key, size_t key_size,
                           const struct map_record *old, const struct map_record *new_value,
                           struct map_scrub_sum *change)
{
    if (!has_passed(scrub, key, key_size)) {
        return;
    }
    if (old != NULL) {
        change->digest -= old->hash;
        change->keys -= 1;
        change->expiring -= old->value.expiry_ms != 0 ? 1 : 0;
    }
    if (new_value != NULL) {
        change->digest += new_value->hash;
        change->keys += 1;
        change->expiring += new_value->value.expiry_ms != 0 ? 1 : 0;
    }
}

void map_scrub_note_commit(struct map_scrub *scrub, bool cleared, const struct map_scrub_sum *change)
{
    if (cleared) {
        scrub->sum = (struct map_scrub_sum){0};
    }
    scrub->sum.digest += change->digest;
    scrub->sum.keys += change->keys;
    scrub->sum.expiring += change->expiring;
}

/* ---- what is found ------------------------------------------------------------------------------- */

static void found(struct walk *walk, const char *what, const uint8_t *key, size_t key_size)
{
    walk->scrub->found_damage = true;
    if (walk->slice->is_damaged) {
        return;
    }
    walk->slice->is_damaged = true;
    (void)storage_fail(&walk->slice->damage, STORAGE_CORRUPT, "%s/data.mdb: the key with hash %016llx %s",
                       walk->store->directory, (unsigned long long)storage_hash_chain(0, key, key_size),
                       what);
}

static enum storage_status fail(const struct walk *walk, const char *what, struct storage_error *error)
{
    return storage_fail(error, STORAGE_CORRUPT, "%s: found by scrubbing: %s. " STORAGE_DAMAGED_ADVICE,
                        walk->store->directory, what);
}

/* ---- the tables ---------------------------------------------------------------------------------- */

/* Whoever looks for a key goes by the branches of the tree and the order of what is in it, which the walk
 * from leaf to leaf does not need: what is not found so reads as absent. */
static enum storage_status check_place(struct walk *walk, const MDB_val *key, const MDB_val *value,
                                       struct storage_error *error)
{
    bool is_data = walk->scrub->table == MAP_SCRUB_DATA;
    MDB_val wanted = *key;
    MDB_val stored = *value;
    /* From the root: a cursor that stands somewhere looks on its own page first. */
    int result = mdb_cursor_renew(walk->transaction, walk->finder);
    if (result == 0) {
        result = mdb_cursor_get(walk->finder, &wanted, &stored, is_data ? MDB_SET : MDB_GET_BOTH);
    }
    if (result == 0 && (!is_data || stored.mv_data == value->mv_data)) {
        return STORAGE_OK;
    }
    if (result != 0 && result != MDB_NOTFOUND && result != MDB_BAD_VALSIZE) {
        return storage_fail_lmdb(error, result, walk->store->directory, "scrubbing the map");
    }
    return fail(walk, "a key is not found by who looks for it, for the tree or the key itself is altered",
                error);
}

/* By the other place where it stands: not the value was altered but the key, and the right one reads as
 * absent. */
static bool is_key_altered(struct walk *walk, const uint8_t *prefixed, size_t prefixed_size)
{
    MDB_cursor *cursor = NULL;
    uint64_t hash = storage_hash_key(walk->hash_seed, prefixed + 1, prefixed_size - 1);
    MDB_val key = {sizeof hash, &hash};
    MDB_val value = {prefixed_size, (void *)(uintptr_t)prefixed};
    bool is_there = mdb_cursor_open(walk->transaction, walk->store->scan, &cursor) == 0 &&
                    mdb_cursor_get(cursor, &key, &value, MDB_GET_BOTH) == 0;
    if (cursor != NULL) {
        mdb_cursor_close(cursor);
    }
    return !is_there;
}

static enum storage_status check_data(struct walk *walk, const MDB_val *key, const MDB_val *value,
                                      struct storage_error *error)
{
    const uint8_t *prefixed = key->mv_data;
    struct map_scrub *scrub = walk->scrub;
    struct map_record record;
    walk->slice->work_bytes += value->mv_size;
    if (key->mv_size == 0 || key->mv_size > MAP_PREFIXED_KEY_BYTES_MAX || prefixed[0] != MAP_KEY_PREFIX) {
        return fail(walk, "a key has not the form of one", error);
    }
    if (!map_record_decode(value->mv_data, value->mv_size, &record) ||
        map_record_hash(prefixed + 1, key->mv_size - 1, &record.value) != record.hash) {
        if (is_key_altered(walk, prefixed, key->mv_size)) {
            return fail(walk, "a key is altered", error);
        }
        found(walk, "has a damaged value (wrong checksum)", prefixed + 1, key->mv_size - 1);
        return STORAGE_OK;
    }
    scrub->sum.digest += record.hash;
    scrub->sum.keys++;
    scrub->sum.expiring += record.value.expiry_ms != 0 ? 1 : 0;
    return STORAGE_OK;
}

static void check_scan(struct walk *walk, const MDB_val *key, const MDB_val *value)
{
    const uint8_t *prefixed = value->mv_data;
    if (key->mv_size != 8 || value->mv_size == 0 || value->mv_size > MAP_PREFIXED_KEY_BYTES_MAX ||
        prefixed[0] != MAP_KEY_PREFIX ||
        storage_hash_key(walk->hash_seed, prefixed + 1, value->mv_size - 1) !=
            storage_get_u64(key->mv_data)) {
        found(walk, "is damaged in the index \"scan\"", prefixed, value->mv_size);
    }
}

static void check_expiry(struct walk *walk, const MDB_val *key, const MDB_val *value)
{
    const uint8_t *prefixed = value->mv_data;
    MDB_val stored_key = *value;
    MDB_val stored;
    struct map_record record;
    walk->slice->work_bytes += LOOKUP_WORK_BYTES;
    if (key->mv_size != 8 || value->mv_size == 0 || value->mv_size > MAP_PREFIXED_KEY_BYTES_MAX ||
        mdb_get(walk->transaction, walk->store->data, &stored_key, &stored) != 0 ||
        !map_record_decode(stored.mv_data, stored.mv_size, &record) ||
        record.value.expiry_ms != storage_get_u64_big(key->mv_data)) {
        found(walk, "is damaged in the index \"expiry\"", prefixed, value->mv_size);
    }
}

static enum storage_status check(struct walk *walk, const MDB_val *key, const MDB_val *value,
                                 struct storage_error *error)
{
    walk->slice->work_bytes += KEY_WORK_BYTES + key->mv_size;
    enum storage_status status = check_place(walk, key, value, error);
    if (status != STORAGE_OK) {
        return status;
    }
    switch (walk->scrub->table) {
    case MAP_SCRUB_DATA:
        return check_data(walk, key, value, error);
    case MAP_SCRUB_SCAN:
        check_scan(walk, key, value);
        break;
    case MAP_SCRUB_EXPIRY:
        check_expiry(walk, key, value);
        break;
    }
    return STORAGE_OK;
}

/* ---- the walk ------------------------------------------------------------------------------------ */

static MDB_dbi table_of(const struct walk *walk)
{
    const MDB_dbi tables[] = {
        [MAP_SCRUB_DATA] = walk->store->data,
        [MAP_SCRUB_SCAN] = walk->store->scan,
        [MAP_SCRUB_EXPIRY] = walk->store->expiry,
    };
    return tables[walk->scrub->table];
}

/* The first place after the last one that was seen. */
static int seek(struct walk *walk, MDB_val *key, MDB_val *value)
{
    struct map_scrub *scrub = walk->scrub;
    if (!scrub->has_begun) {
        return mdb_cursor_get(walk->cursor, key, value, MDB_FIRST);
    }
    if (scrub->table == MAP_SCRUB_DATA) {
        *key = (MDB_val){scrub->position_size, scrub->position};
        int result = mdb_cursor_get(walk->cursor, key, value, MDB_SET_RANGE);
        bool is_seen = result == 0 && key->mv_size == scrub->position_size &&
                       memcmp(key->mv_data, scrub->position, key->mv_size) == 0;
        return is_seen ? mdb_cursor_get(walk->cursor, key, value, MDB_NEXT) : result;
    }
    uint8_t big_endian[8];
    storage_put_u64_big(big_endian, scrub->number);
    *key = (MDB_val){8, scrub->table == MAP_SCRUB_SCAN ? (void *)&scrub->number : big_endian};
    *value = (MDB_val){scrub->position_size, scrub->position};
    int result = mdb_cursor_get(walk->cursor, key, value, MDB_GET_BOTH_RANGE);
    if (result == MDB_NOTFOUND) {
        /* No more of this number: the first of a greater one. */
        uint64_t next = scrub->number + 1;
        storage_put_u64_big(big_endian, next);
        *key = (MDB_val){8, scrub->table == MAP_SCRUB_SCAN ? (void *)&next : big_endian};
        return next == 0 ? MDB_NOTFOUND : mdb_cursor_get(walk->cursor, key, value, MDB_SET_RANGE);
    }
    bool is_seen = result == 0 && value->mv_size == scrub->position_size &&
                   memcmp(value->mv_data, scrub->position, value->mv_size) == 0;
    if (result != 0) {
        return result;
    }
    /* LMDB has left the key as it was given. */
    return mdb_cursor_get(walk->cursor, key, value, is_seen ? MDB_NEXT : MDB_GET_CURRENT);
}

/* Where to go on. What has no form that can be remembered ends the walk. */
static bool remember(struct map_scrub *scrub, const MDB_val *key, const MDB_val *value)
{
    bool is_data = scrub->table == MAP_SCRUB_DATA;
    const MDB_val *place = is_data ? key : value;
    if (place->mv_size == 0 || place->mv_size > sizeof scrub->position || (!is_data && key->mv_size != 8)) {
        return false;
    }
    memcpy(scrub->position, place->mv_data, place->mv_size);
    scrub->position_size = place->mv_size;
    if (!is_data) {
        scrub->number = scrub->table == MAP_SCRUB_SCAN ? storage_get_u64(key->mv_data)
                                                       : storage_get_u64_big(key->mv_data);
    }
    scrub->has_begun = true;
    return true;
}

/* At the end of `data`: is what was walked what the meta record says? */
static enum storage_status check_sum(struct walk *walk, const struct map_meta *meta,
                                     struct storage_error *error)
{
    const struct map_scrub_sum *sum = &walk->scrub->sum;
    MDB_stat expiry = {0};
    MDB_stat scan = {0};
    int result = mdb_stat(walk->transaction, walk->store->expiry, &expiry);
    result = result != 0 ? result : mdb_stat(walk->transaction, walk->store->scan, &scan);
    if (result != 0) {
        return storage_fail_lmdb(error, result, walk->store->directory, "scrubbing the map");
    }
    if (walk->scrub->found_damage) {
        return STORAGE_OK;
    }
    if (sum->keys != meta->key_count || sum->digest != meta->digest) {
        return fail(walk,
                    "the keys on the disk are not those that were written: some are missing or too many",
                    error);
    }
    if (sum->expiring != expiry.ms_entries || sum->keys != scan.ms_entries) {
        return fail(walk, "an index has not as many keys as it should", error);
    }
    return STORAGE_OK;
}

static enum storage_status end_table(struct walk *walk, const struct map_meta *meta,
                                     struct storage_error *error)
{
    struct map_scrub *scrub = walk->scrub;
    enum storage_status status = STORAGE_OK;
    scrub->has_begun = false;
    switch (scrub->table) {
    case MAP_SCRUB_DATA:
        status = check_sum(walk, meta, error);
        scrub->table = MAP_SCRUB_SCAN;
        break;
    case MAP_SCRUB_SCAN:
        scrub->table = MAP_SCRUB_EXPIRY;
        break;
    case MAP_SCRUB_EXPIRY:
        *scrub = (struct map_scrub){0};
        walk->slice->is_pass_over = true;
        break;
    }
    return status;
}

static enum storage_status run(struct walk *walk, uint64_t work_bytes_max, const struct map_meta *meta,
                               struct storage_error *error)
{
    MDB_val key;
    MDB_val value;
    int result = mdb_cursor_open(walk->transaction, table_of(walk), &walk->cursor);
    if (result == 0) {
        result = mdb_cursor_open(walk->transaction, table_of(walk), &walk->finder);
    }
    if (result == 0) {
        result = seek(walk, &key, &value);
    }
    while (result == 0) {
        enum storage_status status = check(walk, &key, &value, error);
        if (status != STORAGE_OK) {
            return status;
        }
        if (!remember(walk->scrub, &key, &value)) {
            return end_table(walk, meta, error); /* said already: nobody knows where to go on */
        }
        if (walk->slice->work_bytes >= work_bytes_max) {
            return STORAGE_OK;
        }
        result = mdb_cursor_get(walk->cursor, &key, &value, MDB_NEXT);
    }
    return result == MDB_NOTFOUND
               ? end_table(walk, meta, error)
               : storage_fail_lmdb(error, result, walk->store->directory, "scrubbing the map");
}

enum storage_status map_scrub_run(struct map *map, uint64_t work_bytes_max, struct map_scrub_slice *slice,
                                  struct storage_error *error)
{
    *slice = (struct map_scrub_slice){0};
    struct walk walk = {.store = map->store, .scrub = map->store->scrub, .slice = slice};
    struct map_meta *meta = storage_allocate_zero(sizeof *meta);
    bool found_meta = false;
    int result = mdb_txn_begin(walk.store->environment, NULL, MDB_RDONLY, &walk.transaction);
    if (result != 0) {
        free(meta);
        return storage_fail_lmdb(error, result, walk.store->directory, "scrubbing the map");
    }
    enum storage_status status = map_store_read_meta(walk.store, walk.transaction, meta, &found_meta, error);
    if (status == STORAGE_OK && !found_meta) {
        status = fail(&walk, "the meta record is missing", error);
    }
    if (status == STORAGE_OK) {
        walk.hash_seed = meta->hash_seed;
        status = run(&walk, work_bytes_max, meta, error);
    }
    if (walk.cursor != NULL) {
        mdb_cursor_close(walk.cursor);
    }
    if (walk.finder != NULL) {
        mdb_cursor_close(walk.finder);
    }
    mdb_txn_abort(walk.transaction);
    free(meta);
    return status;
}
