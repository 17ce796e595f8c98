/* map_store_write.c: a checkpoint: one write-buffer table and its meta, in one durable transaction (pitfall
 * 11).
 *
 * Keys go in in key order, so that neighbours in `data` are written while their page is at hand; then the
 * keys that appeared or went are added to and removed from `scan`, in the order of hashes, for the same
 * reason. `expiry` changes only when the expiry does.
 */
#include "map_store.h"

#include "lmdb_environment.h"
#include "map_scrub_internal.h"
#include "storage_bytes.h"
#include "storage_lmdb_error.h"
#include "storage_memory.h"
#include "storage_record.h"

#include <stdlib.h>

enum {
    PAGES_PER_EXPIRY =
        3, /* copied for a key in `expiry`, where the keys of one time may be a tree of their own */
};

struct checkpoint_writer {
    struct map_store *store;
    MDB_txn *transaction;
    MDB_cursor *data;
    bool cleared;                 /* the tables were emptied: no key was there before */
    uint8_t *came_or_went;        /* by slot: a key to add to `scan`, or to remove from it */
    struct map_scrub_sum changed; /* among the keys that the scrub has gone by */
};

int map_store_put_meta(struct map_store *store, MDB_txn *transaction, const struct map_meta *meta)
{
    uint8_t *record =
        storage_allocate(STORAGE_RECORD_HEAD_BYTES + MAP_META_FIXED_BYTES + (size_t)meta->membership_size);
    size_t body_size = map_meta_encode(record + STORAGE_RECORD_HEAD_BYTES, meta);
    storage_record_seal(record, MAP_META_NAME, MAP_META_FORM, body_size);
    char name[] = MAP_META_NAME;
    MDB_val key = {sizeof name - 1, name};
    MDB_val value = {STORAGE_RECORD_HEAD_BYTES + body_size, record};
    int result = mdb_put(transaction, store->meta, &key, &value, 0);
    free(record);
    return result;
}

/* Index entries are there exactly when their key is: anything else is damage. */
static int checkpoint_add_index(MDB_txn *transaction, MDB_dbi table, MDB_val key, MDB_val prefixed)
{
    int result = mdb_put(transaction, table, &key, &prefixed, MDB_NODUPDATA);
    return result == MDB_KEYEXIST ? MDB_CORRUPTED : result;
}

static int checkpoint_remove_index(MDB_txn *transaction, MDB_dbi table, MDB_val key, MDB_val prefixed)
{
    int result = mdb_del(transaction, table, &key, &prefixed);
    return result == MDB_NOTFOUND ? MDB_CORRUPTED : result;
}

static int checkpoint_change_expiry(struct checkpoint_writer *writer, uint64_t old_ms, uint64_t new_ms,
                                    MDB_val prefixed)
{
    uint8_t time[8];
    MDB_val key = {sizeof time, time};
    int result = MDB_SUCCESS;
    if (old_ms != 0 && old_ms != new_ms) {
        storage_put_u64_big(time, old_ms);
        result = checkpoint_remove_index(writer->transaction, writer->store->expiry, key, prefixed);
    }
    if (result == 0 && new_ms != 0 && old_ms != new_ms) {
        storage_put_u64_big(time, new_ms);
        result = checkpoint_add_index(writer->transaction, writer->store->expiry, key, prefixed);
    }
    return result;
}

static int checkpoint_put(struct checkpoint_writer *writer, const struct write_buffer_entry *entry,
                          MDB_val prefixed)
{
    struct map_value value = write_buffer_value(entry);
    MDB_val reserved = {MAP_RECORD_HEAD_BYTES + value.size, NULL};
    int result = mdb_cursor_put(writer->data, &prefixed, &reserved, MDB_RESERVE);
    if (result == 0) {
        map_record_encode(reserved.mv_data, &value, entry->content_hash);
    }
    return result;
}

static void checkpoint_tell_scrub(struct checkpoint_writer *writer, const struct write_buffer_entry *entry,
                                  const struct map_record *old)
{
    struct map_record record = {0};
    if (!entry->deleted) {
        record.value = write_buffer_value(entry);
        record.hash = entry->content_hash;
    }
    map_scrub_note_change(writer->store->scrub, entry->key, entry->key_size, old,
                          entry->deleted ? NULL : &record, &writer->changed);
}

/* Puts or removes one key, with its expiry. *changed: it was not there before, or is not there any more. */
static int checkpoint_write_entry(struct checkpoint_writer *writer, const struct write_buffer_entry *entry,
                                  uint8_t *changed)
{
    uint8_t bytes[MAP_PREFIXED_KEY_BYTES_MAX];
    const MDB_val prefixed = map_store_prefix_key(bytes, entry->key, entry->key_size);
    bool present = false;
    struct map_record record = {0};
    if (!writer->cleared) {
        MDB_val key = prefixed;
        MDB_val value;
        int result = mdb_cursor_get(writer->data, &key, &value, MDB_SET);
        if (result == 0 && !map_record_decode(value.mv_data, value.mv_size, &record)) {
            result = MDB_CORRUPTED;
        }
        if (result != 0 && result != MDB_NOTFOUND) {
            return result;
        }
        present = result == 0;
    }
    const uint64_t old_expiry_ms = present ? record.value.expiry_ms : 0;
    if (!present && entry->deleted) {
        return MDB_SUCCESS;
    }
    checkpoint_tell_scrub(writer, entry, present ? &record : NULL);
    int result = entry->deleted ? mdb_cursor_del(writer->data, 0) : checkpoint_put(writer, entry, prefixed);
    if (result == 0) {
        result =
            checkpoint_change_expiry(writer, old_expiry_ms, entry->deleted ? 0 : entry->expiry_ms, prefixed);
    }
    *changed = present == entry->deleted ? 1 : 0;
    return result;
}

static int checkpoint_write_entries(struct checkpoint_writer *writer, const struct write_buffer *buffer)
{
    const struct write_buffer_slot **sorted = write_buffer_sort(buffer);
    int result = mdb_cursor_open(writer->transaction, writer->store->data, &writer->data);
    for (size_t i = 0; i < buffer->entries_count && result == 0; i++) {
        result = checkpoint_write_entry(writer, sorted[i]->entry,
                                        &writer->came_or_went[sorted[i] - buffer->slots]);
    }
    if (writer->data != NULL) {
        mdb_cursor_close(writer->data);
        writer->data = NULL;
    }
    free(sorted);
    return result;
}

static int checkpoint_write_scan(struct checkpoint_writer *writer, const struct write_buffer *buffer)
{
    int result = MDB_SUCCESS;
    for (size_t i = 0; i < buffer->slots_count && result == 0; i++) {
        if (writer->came_or_went[i] == 0) {
            continue;
        }
        const struct write_buffer_entry *entry = buffer->slots[i].entry;
        uint64_t hash = buffer->slots[i].hash;
        uint8_t bytes[MAP_PREFIXED_KEY_BYTES_MAX];
        MDB_val prefixed = map_store_prefix_key(bytes, entry->key, entry->key_size);
        MDB_val key = {sizeof hash, &hash};
        result = entry->deleted
                     ? checkpoint_remove_index(writer->transaction, writer->store->scan, key, prefixed)
                     : checkpoint_add_index(writer->transaction, writer->store->scan, key, prefixed);
    }
    return result;
}

/* Everything but the commit. */
static int checkpoint_write_all(struct map_store *store, MDB_txn *transaction,
                                const struct write_buffer *buffer, const struct map_meta *meta,
                                struct map_scrub_sum *changed)
{
    int result = MDB_SUCCESS;
    if (buffer->cleared) {
        const MDB_dbi tables[] = {store->data, store->expiry, store->scan};
        for (size_t i = 0; i < 3 && result == 0; i++) {
            result = mdb_drop(transaction, tables[i], 0);
        }
    }
    struct checkpoint_writer writer = {
        .store = store,
        .transaction = transaction,
        .cleared = buffer->cleared,
        .came_or_went = storage_allocate_zero(buffer->slots_count),
    };
    if (result == 0) {
        result = checkpoint_write_entries(&writer, buffer);
    }
    if (result == 0) {
        result = checkpoint_write_scan(&writer, buffer);
    }
    free(writer.came_or_went);
    *changed = writer.changed;
    MDB_stat statistics;
    if (result == 0) {
        result = mdb_stat(transaction, store->data, &statistics);
    }
    if (result == 0 && statistics.ms_entries != meta->key_count) {
        result = MDB_CORRUPTED;
    }
    return result != 0 ? result : map_store_put_meta(store, transaction, meta);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* LMDB copies the pages that it changes: a leaf of `data` and `scan` for each key, at most all that there
 * are, and the pages above them. What is new comes on top. */
struct space_need map_store_need(const struct map_store *store, const struct write_buffer *buffer)
{
    MDB_stat statistics;
    int result = mdb_env_stat(store->environment, &statistics);
    assert(result == 0);
    uint64_t page = statistics.ms_psize;
    uint64_t keys = buffer->entries_count;
    uint64_t expiries = buffer->expiring_count + smaller(keys, store->expiring_count);
    uint64_t copied = smaller(keys, store->data_leaves) + smaller(keys, store->scan_leaves) +
                      expiries * PAGES_PER_EXPIRY + store->path_pages;
    copied = smaller(copied, store->used_bytes / page);
    uint64_t meta = MAP_MEMBERSHIP_BYTES_MAX / page + 1;
    return (struct space_need){
        .pages = (buffer->cleared ? 0 : copied) + buffer->page_bytes / page + meta + SPACE_SMALL_PAGES,
        .run_pages = (MAP_RECORD_HEAD_BYTES + (uint64_t)buffer->value_bytes_max) / page + 2,
    };
}

/* After a failure of which it is not known what it left on the disk. */
static enum storage_status map_store_refuse_write(const struct map_store *store, struct storage_error *error)
{
    const char *broken = map_store_error(store);
    if (broken != NULL) {
        return storage_fail(error, STORAGE_FAILED, "%s", broken);
    }
    if (atomic_load(&store->write_failed)) {
        return storage_fail(
            error, STORAGE_FAILED,
            "%s: an earlier checkpoint failed and its outcome on disk is unknown: nothing more is written. "
            "Restart the node once the disk is sound",
            store->directory);
    }
    return STORAGE_OK;
}

enum storage_status map_store_reserve(struct map_store *store, const struct space_need *need,
                                      struct storage_error *error)
{
    enum storage_status status = map_store_refuse_write(store, error);
    if (status == STORAGE_OK) {
        status = space_reserve_ensure(&store->space, need, error);
        if (status != STORAGE_OK && status != STORAGE_FULL) {
            atomic_store(&store->write_failed, true);
        }
    }
    return status;
}

/* LMDB reuses pages that a transaction freed from the next but one on. When the present one finds no room,
 * a commit that changes nothing makes those of the last one usable for the next try, once the reader has
 * gone on too. */
static int map_store_turn_over(struct map_store *store)
{
    MDB_txn *transaction = NULL;
    char name[] = MAP_META_NAME;
    MDB_val key = {sizeof name - 1, name};
    MDB_val value;
    int result = mdb_txn_begin(store->environment, NULL, 0, &transaction);
    if (result != 0) {
        return result;
    }
    result = mdb_get(transaction, store->meta, &key, &value);
    if (result == 0) {
        uint8_t *copy = storage_allocate(value.mv_size);
        memcpy(copy, value.mv_data, value.mv_size);
        value.mv_data = copy;
        result = mdb_put(transaction, store->meta, &key, &value, 0);
        free(copy);
    }
    if (result != 0) {
        mdb_txn_abort(transaction);
        return result;
    }
    return mdb_txn_commit(transaction);
}

/* Sees that there is room; STORAGE_FULL: there may be at the next try. */
static enum storage_status map_store_make_room(struct map_store *store, const struct space_need *need,
                                               struct storage_error *error)
{
    const struct space_need small = {.pages = SPACE_SMALL_PAGES};
    struct storage_error second;
    enum storage_status status = map_store_reserve(store, need, error);
    if (status == STORAGE_FULL && map_store_reserve(store, &small, &second) == STORAGE_OK) {
        int result = map_store_turn_over(store);
        if (result != 0 && !storage_result_is_full(result)) {
            atomic_store(&store->write_failed, true);
            status = storage_fail_lmdb(error, result, store->directory, "making room in the map");
        }
    }
    return status;
}

enum storage_status map_store_write(struct map_store *store, const struct write_buffer *buffer,
                                    const struct map_meta *meta, const struct space_need *need,
                                    struct storage_error *error)
{
    enum storage_status status = map_store_refuse_write(store, error);
    if (status != STORAGE_OK) {
        return status;
    }
    MDB_txn *transaction = NULL;
    struct map_scrub_sum changed = {0};
    int result = lmdb_environment_clear_readers(store->environment);
    if (result == 0) {
        status = map_store_make_room(store, need, error);
        if (status != STORAGE_OK) {
            return status;
        }
        result = mdb_txn_begin(store->environment, NULL, 0, &transaction);
    }
    if (result == 0) {
        result = checkpoint_write_all(store, transaction, buffer, meta, &changed);
        if (result == 0) {
            result = mdb_txn_commit(transaction);
        } else {
            mdb_txn_abort(transaction);
        }
    }
    if (result == 0) {
        map_scrub_note_commit(store->scrub, buffer->cleared, &changed);
        return STORAGE_OK;
    }
    status = storage_fail_lmdb(error, result, store->directory, "writing a checkpoint of the map");
    if (status != STORAGE_FULL) {
        atomic_store(&store->write_failed, true);
    }
    return status;
}
