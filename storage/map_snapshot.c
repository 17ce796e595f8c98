/* map_snapshot.c: see map_snapshot.h. Records are copied from LMDB's pages straight into the caller's chunk.
 */
#include "map_snapshot.h"

#include "lmdb_environment.h"
#include "map_internal.h"
#include "storage_bytes.h"
#include "storage_hash.h"
#include "storage_lmdb_error.h"
#include "storage_memory.h"
#include "storage_record.h"

#include <stdlib.h>

struct map_snapshot {
    struct map_store *store;
    MDB_txn *transaction;
    MDB_cursor *cursor;
    struct map_meta meta;
    struct map_chunk_chain chain;
    enum map_chunk_kind next; /* what to hand out next ... */
    bool ended;               /* ... unless nothing is left */
    uint64_t keys_count;
    uint64_t digest;
    /* The record that the cursor stands at, in three pieces, and how much of it is handed out. */
    bool at_record;
    uint8_t record_head[MAP_CHUNK_RECORD_HEAD_BYTES];
    MDB_val pieces[3];
    size_t piece;
    size_t offset;
};

static enum storage_status map_snapshot_fail(const struct map_snapshot *snapshot, int result,
                                             struct storage_error *error)
{
    return storage_fail_lmdb(error, result, snapshot->store->directory, "reading a snapshot of the map");
}

/* Begins to read; refuses a map with what this kvd would not stream. */
static enum storage_status map_snapshot_begin(struct map_snapshot *snapshot, struct storage_error *error)
{
    struct map_store *store = snapshot->store;
    MDB_stat session = {0};
    bool found = false;
    int result = mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &snapshot->transaction);
    if (result == 0) {
        result = mdb_cursor_open(snapshot->transaction, store->data, &snapshot->cursor);
    }
    if (result == 0) {
        result = mdb_stat(snapshot->transaction, store->session, &session);
    }
    if (result != 0) {
        return map_snapshot_fail(snapshot, result, error);
    }
    if (session.ms_entries > 0) {
        return storage_fail(error, STORAGE_INCOMPATIBLE,
                            "%s: the map has client sessions, which this kvd does not know",
                            store->directory);
    }
    enum storage_status status =
        map_store_read_meta(store, snapshot->transaction, &snapshot->meta, &found, error);
    if (status == STORAGE_OK && !found) {
        status = map_snapshot_fail(snapshot, MDB_CORRUPTED, error);
    }
    return status;
}

enum storage_status map_snapshot_open(struct map *map, struct map_snapshot **snapshot,
                                      struct storage_error *error)
{
    const char *broken = map_store_error(map->store);
    if (broken != NULL) {
        return storage_fail(error, STORAGE_CORRUPT, "%s", broken);
    }
    struct map_snapshot *opened = storage_allocate_zero(sizeof *opened);
    opened->store = map->store;
    opened->next = MAP_CHUNK_META;
    atomic_fetch_add(&map->store->snapshots_count, 1);
    enum storage_status status = map_snapshot_begin(opened, error);
    if (status != STORAGE_OK) {
        map_snapshot_close(opened);
        return status;
    }
    *snapshot = opened;
    return STORAGE_OK;
}

void map_snapshot_close(struct map_snapshot *snapshot)
{
    if (snapshot == NULL) {
        return;
    }
    if (snapshot->cursor != NULL) {
        mdb_cursor_close(snapshot->cursor);
    }
    if (snapshot->transaction != NULL) {
        mdb_txn_abort(snapshot->transaction);
    }
    atomic_fetch_sub(&snapshot->store->snapshots_count, 1);
    free(snapshot);
}

const struct map_meta *map_snapshot_get_meta(const struct map_snapshot *snapshot)
{
    return &snapshot->meta;
}

uint64_t map_snapshot_keys_count(const struct map_snapshot *snapshot)
{
    return snapshot->keys_count;
}

enum storage_status map_snapshot_get_pinned_bytes(const struct map_snapshot *snapshot, uint64_t *bytes,
                                                  struct storage_error *error)
{
    int result =
        lmdb_environment_get_pinned_bytes(snapshot->store->environment, snapshot->transaction, bytes);
    return result == 0 ? STORAGE_OK : map_snapshot_fail(snapshot, result, error);
}

/* ---- records ---- */

/* Goes to the next record, checks it and counts it; snapshot->at_record says whether there is one. */
static enum storage_status map_snapshot_advance(struct map_snapshot *snapshot, struct storage_error *error)
{
    MDB_val key;
    MDB_val value;
    int result = mdb_cursor_get(snapshot->cursor, &key, &value, MDB_NEXT);
    snapshot->at_record = result == 0;
    if (result != 0) {
        return result == MDB_NOTFOUND ? STORAGE_OK : map_snapshot_fail(snapshot, result, error);
    }
    const uint8_t *prefixed = key.mv_data;
    struct map_record record;
    if (key.mv_size == 0 || key.mv_size > MAP_PREFIXED_KEY_BYTES_MAX || prefixed[0] != MAP_KEY_PREFIX ||
        !map_record_decode(value.mv_data, value.mv_size, &record) ||
        record.value.size > MAP_VALUE_BYTES_MAX ||
        map_record_hash(prefixed + 1, key.mv_size - 1, &record.value) != record.hash) {
        return storage_fail(
            error, STORAGE_CORRUPT,
            "%s: the map holds a damaged key or value (wrong checksum). " STORAGE_DAMAGED_ADVICE,
            snapshot->store->directory);
    }
    storage_put_u16(snapshot->record_head, (uint16_t)(key.mv_size - 1));
    storage_put_u32(snapshot->record_head + 2, (uint32_t)value.mv_size);
    snapshot->pieces[0] = (MDB_val){sizeof snapshot->record_head, snapshot->record_head};
    snapshot->pieces[1] = (MDB_val){key.mv_size - 1, (uint8_t *)key.mv_data + 1};
    snapshot->pieces[2] = value;
    snapshot->piece = 0;
    snapshot->offset = 0;
    snapshot->keys_count++;
    snapshot->digest += record.hash;
    return STORAGE_OK;
}

/* Copies of the present record what there is room for; returns how much. */
static size_t map_snapshot_copy(struct map_snapshot *snapshot, uint8_t *to, size_t room)
{
    size_t copied = 0;
    while (snapshot->piece < 3) {
        const MDB_val *piece = &snapshot->pieces[snapshot->piece];
        size_t left = piece->mv_size - snapshot->offset;
        size_t size = left < room - copied ? left : room - copied;
        if (size > 0) {
            memcpy(to + copied, (const uint8_t *)piece->mv_data + snapshot->offset, size);
        }
        copied += size;
        snapshot->offset += size;
        if (size < left) {
            return copied;
        }
        snapshot->piece++;
        snapshot->offset = 0;
    }
    snapshot->at_record = false;
    return copied;
}

/* Fills a body; *size is 0 when no record is left. */
static enum storage_status map_snapshot_fill(struct map_snapshot *snapshot, uint8_t *body, size_t room,
                                             size_t *size, struct storage_error *error)
{
    *size = 0;
    while (*size < room) {
        if (!snapshot->at_record) {
            enum storage_status status = map_snapshot_advance(snapshot, error);
            if (status != STORAGE_OK || !snapshot->at_record) {
                return status;
            }
        }
        *size += map_snapshot_copy(snapshot, body + *size, room - *size);
    }
    return STORAGE_OK;
}

/* ---- chunks ---- */

static size_t map_snapshot_put_meta(const struct map_snapshot *snapshot, uint8_t *body, size_t room)
{
    assert(room >= STORAGE_RECORD_HEAD_BYTES + MAP_META_FIXED_BYTES + (size_t)snapshot->meta.membership_size);
    size_t size = map_meta_encode(body + STORAGE_RECORD_HEAD_BYTES, &snapshot->meta);
    storage_record_seal(body, MAP_META_NAME, MAP_META_FORM, size);
    return STORAGE_RECORD_HEAD_BYTES + size;
}

static enum storage_status map_snapshot_put_end(const struct map_snapshot *snapshot, uint8_t *body,
                                                size_t room, size_t *size, struct storage_error *error)
{
    assert(room >= MAP_CHUNK_END_BYTES);
    if (snapshot->keys_count != snapshot->meta.key_count || snapshot->digest != snapshot->meta.digest) {
        return storage_fail(error, STORAGE_CORRUPT,
                            "%s: the map holds %llu keys with digest %016llx, its meta record says %llu and "
                            "%016llx. " STORAGE_DAMAGED_ADVICE,
                            snapshot->store->directory, (unsigned long long)snapshot->keys_count,
                            (unsigned long long)snapshot->digest,
                            (unsigned long long)snapshot->meta.key_count,
                            (unsigned long long)snapshot->meta.digest);
    }
    storage_put_u64(body, snapshot->keys_count);
    storage_put_u64(body + 8, snapshot->digest);
    *size = MAP_CHUNK_END_BYTES;
    return STORAGE_OK;
}

enum storage_status map_snapshot_read(struct map_snapshot *snapshot, uint8_t *chunk, size_t capacity,
                                      size_t *size, struct storage_error *error)
{
    assert(capacity > MAP_CHUNK_HEAD_BYTES);
    uint8_t *body = chunk + MAP_CHUNK_HEAD_BYTES;
    size_t room = (capacity < MAP_CHUNK_BYTES_MAX ? capacity : MAP_CHUNK_BYTES_MAX) - MAP_CHUNK_HEAD_BYTES;
    size_t body_size = 0;
    enum storage_status status = STORAGE_OK;
    *size = 0;
    if (snapshot->ended) {
        return STORAGE_OK;
    }
    enum map_chunk_kind kind = snapshot->next;
    if (kind == MAP_CHUNK_META) {
        body_size = map_snapshot_put_meta(snapshot, body, room);
        snapshot->next = MAP_CHUNK_RECORDS;
    } else {
        status = map_snapshot_fill(snapshot, body, room, &body_size, error);
        kind = MAP_CHUNK_RECORDS;
    }
    if (status == STORAGE_OK && body_size == 0) {
        kind = MAP_CHUNK_END;
        status = map_snapshot_put_end(snapshot, body, room, &body_size, error);
        snapshot->ended = true;
    }
    if (status != STORAGE_OK) {
        return status;
    }
    map_chunk_seal(&snapshot->chain, chunk, kind, body_size);
    *size = MAP_CHUNK_HEAD_BYTES + body_size;
    return STORAGE_OK;
}
