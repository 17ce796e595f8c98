/* map_loader.c: see map_loader.h.
 *
 * Transactions are of bounded size, so that LMDB's list of dirty pages never overflows. Before each commit
 * the file is extended by what it may need at most (space_reserve.h), so that a full disk shows as such;
 * after it the kernel is told to begin writing, so that the one sync at the end is a short one.
 */
#include "map_loader.h"

#include "key_sorter.h"
#include "lmdb_environment.h"
#include "map_store.h"
#include "map_stream.h"
#include "storage_bytes.h"
#include "storage_file.h"
#include "storage_hash.h"
#include "storage_lmdb_error.h"
#include "storage_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    SORT_BYTES = 64 * 1024 * 1024,
    BATCH_BYTES = 8 * 1024 * 1024, /* of pages that a transaction may dirty, roughly */
    STEP_PAIRS = 32 * 1024,        /* of an index, in one step of finishing */
    BRANCHES_BYTES = 512 * 1024,   /* what a transaction changes beside leaves: branches, roots, free list */
    NODE_BYTES = 64,               /* what a node has beside its bytes, roughly */
};

enum map_loader_phase {
    MAP_LOADER_TAKES_CHUNKS,
    MAP_LOADER_BUILDS_SCAN,
    MAP_LOADER_BUILDS_EXPIRY,
    MAP_LOADER_SEALS,
    MAP_LOADER_FINISHED,
};

struct map_loader {
    struct map_store store; /* its environment and tables; nothing is read through it */
    enum map_loader_phase phase;
    struct map_stream *stream;
    struct key_sorter *scan;
    struct key_sorter *expiry;
    MDB_txn *transaction; /* NULL between batches */
    MDB_cursor *cursor;   /* of the table that is filled */
    uint64_t batch_bytes; /* of pages that the transaction may have dirtied */
    size_t page_bytes;
    bool has_pair; /* of an index, in this transaction or before: the last one's number follows */
    uint64_t last_number;
    uint8_t *membership; /* in place of the stream's, or NULL */
    uint32_t membership_size;
};

static enum storage_status map_loader_fail(const struct map_loader *loader, int result,
                                           struct storage_error *error)
{
    return storage_fail_unfinished_lmdb(error, result, loader->store.directory, "loading a snapshot");
}

/* ---- transactions ---- */

static enum storage_status map_loader_begin(struct map_loader *loader, MDB_dbi table,
                                            struct storage_error *error)
{
    if (loader->transaction != NULL) {
        return STORAGE_OK;
    }
    int result = mdb_txn_begin(loader->store.environment, NULL, 0, &loader->transaction);
    if (result == 0) {
        result = mdb_cursor_open(loader->transaction, table, &loader->cursor);
    }
    loader->batch_bytes = BRANCHES_BYTES;
    return result == 0 ? STORAGE_OK : map_loader_fail(loader, result, error);
}

static void map_loader_close_cursor(struct map_loader *loader)
{
    if (loader->cursor != NULL) {
        mdb_cursor_close(loader->cursor);
        loader->cursor = NULL;
    }
}

/* Room for the transaction; what is free within the file hardly counts, for most of it comes at its end. */
static enum storage_status map_loader_reserve(struct map_loader *loader, struct storage_error *error)
{
    uint64_t pages = loader->batch_bytes / loader->page_bytes + 1;
    const struct space_need need = {.pages = pages, .run_pages = pages};
    return space_reserve_ensure(&loader->store.space, &need, error);
}

static enum storage_status map_loader_commit(struct map_loader *loader, struct storage_error *error)
{
    int file = -1;
    if (loader->transaction == NULL) {
        return STORAGE_OK;
    }
    map_loader_close_cursor(loader);
    enum storage_status status = map_loader_reserve(loader, error);
    if (status != STORAGE_OK) {
        mdb_txn_abort(loader->transaction);
        loader->transaction = NULL;
        return status;
    }
    int result = mdb_txn_commit(loader->transaction);
    loader->transaction = NULL;
    if (result == 0 && (result = mdb_env_get_fd(loader->store.environment, &file)) == 0) {
        storage_start_writing_back(file);
    }
    return result == 0 ? STORAGE_OK : map_loader_fail(loader, result, error);
}

/* Puts one item at the end of the table that is filled. The pages that it dirties: leaves may stay half
 * empty, a value that does not fit into half a page gets pages of its own. */
static int map_loader_append(struct map_loader *loader, MDB_val key, MDB_val value, unsigned flag)
{
    size_t node = NODE_BYTES + key.mv_size;
    bool has_pages = value.mv_size > loader->page_bytes / 4;
    loader->batch_bytes +=
        has_pages ? 2 * node + value.mv_size + loader->page_bytes + NODE_BYTES : 2 * (node + value.mv_size);
    return mdb_cursor_put(loader->cursor, &key, &value, flag);
}

/* ---- chunks ---- */

static enum storage_status map_loader_take_record(void *context, const struct map_stream_record *record,
                                                  struct storage_error *error)
{
    struct map_loader *loader = context;
    uint8_t prefixed[MAP_PREFIXED_KEY_BYTES_MAX];
    const MDB_val key = map_store_prefix_key(prefixed, record->key, record->key_size);
    enum storage_status status = map_loader_begin(loader, loader->store.data, error);
    if (status != STORAGE_OK) {
        return status;
    }
    union { /* LMDB does not write through it */
        const uint8_t *bytes;
        void *borrowed;
    } value = {.bytes = record->bytes};
    int result = map_loader_append(loader, key, (MDB_val){record->size, value.borrowed}, MDB_APPEND);
    if (result != 0) {
        return map_loader_fail(loader, result, error);
    }
    const uint64_t hash =
        storage_hash_key(map_stream_get_meta(loader->stream)->hash_seed, record->key, record->key_size);
    status = key_sorter_add(loader->scan, hash, record->key, record->key_size, error);
    if (status == STORAGE_OK && record->decoded.value.expiry_ms != 0) {
        status = key_sorter_add(loader->expiry, record->decoded.value.expiry_ms, record->key,
                                record->key_size, error);
    }
    if (status == STORAGE_OK && loader->batch_bytes >= BATCH_BYTES) {
        status = map_loader_commit(loader, error);
    }
    return status;
}

enum storage_status map_loader_add(struct map_loader *loader, const uint8_t *chunk, size_t size,
                                   struct storage_error *error)
{
    assert(loader->phase == MAP_LOADER_TAKES_CHUNKS);
    return map_stream_add(loader->stream, chunk, size, error);
}

const struct map_meta *map_loader_get_meta(const struct map_loader *loader)
{
    return map_stream_get_meta(loader->stream);
}

uint64_t map_loader_keys_count(const struct map_loader *loader)
{
    return map_stream_keys_count(loader->stream);
}

bool map_loader_is_complete(const struct map_loader *loader)
{
    return map_stream_is_complete(loader->stream);
}

/* ---- creating, destroying ---- */

static enum storage_status map_loader_remove_folder(const char *directory, struct storage_error *error)
{
    struct stat information;
    if (lstat(directory, &information) != 0 && errno == ENOENT) {
        return STORAGE_OK;
    }
    return storage_remove_directory(directory, error);
}

static enum storage_status map_loader_open(struct map_loader *loader, size_t map_bytes,
                                           struct storage_error *error)
{
    const struct lmdb_environment_options environment = {
        .directory = loader->store.directory,
        .map_bytes = map_bytes,
        .tables_max = MAP_STORE_TABLES_MAX,
        .read_ahead = false,
    };
    enum storage_status status = map_loader_remove_folder(loader->store.directory, error);
    if (status == STORAGE_OK) {
        status = storage_create_directory(loader->store.directory, error);
    }
    if (status == STORAGE_OK) {
        status = lmdb_environment_open_unsynced(&environment, &loader->store.environment, error);
    }
    if (status == STORAGE_OK) {
        status = space_reserve_open(&loader->store.space, loader->store.environment, loader->store.directory,
                                    0, error);
    }
    if (status != STORAGE_OK) {
        return status;
    }
    MDB_stat statistics;
    int result = mdb_env_stat(loader->store.environment, &statistics);
    assert(result == 0);
    loader->page_bytes = statistics.ms_psize;
    result = mdb_txn_begin(loader->store.environment, NULL, 0, &loader->transaction);
    if (result == 0) {
        result = map_store_open_tables(&loader->store, loader->transaction);
    }
    loader->batch_bytes = BRANCHES_BYTES;
    return result == 0 ? map_loader_commit(loader, error) : map_loader_fail(loader, result, error);
}

enum storage_status map_loader_create(const struct map_loader_options *options, struct map_loader **loader,
                                      struct storage_error *error)
{
    struct map_loader *created = storage_allocate_zero(sizeof *created);
    const size_t sort_bytes = options->sort_bytes > 0 ? options->sort_bytes : SORT_BYTES;
    created->store.directory = storage_format("%s", options->directory);
    created->stream = map_stream_create(map_loader_take_record, created);
    created->scan = key_sorter_create(options->directory, sort_bytes);
    created->expiry = key_sorter_create(options->directory, sort_bytes);
    if (options->membership != NULL) {
        assert(options->membership_size <= MAP_MEMBERSHIP_BYTES_MAX);
        created->membership = storage_allocate((size_t)options->membership_size + 1);
        created->membership_size = options->membership_size;
        memcpy(created->membership, options->membership, options->membership_size);
    }
    enum storage_status status = map_loader_open(created, options->map_bytes, error);
    if (status != STORAGE_OK) {
        map_loader_destroy(created);
        return status;
    }
    *loader = created;
    return STORAGE_OK;
}

static void map_loader_close_environment(struct map_loader *loader)
{
    map_loader_close_cursor(loader);
    if (loader->transaction != NULL) {
        mdb_txn_abort(loader->transaction);
        loader->transaction = NULL;
    }
    if (loader->store.environment != NULL) {
        mdb_env_close(loader->store.environment);
        loader->store.environment = NULL;
    }
}

void map_loader_destroy(struct map_loader *loader)
{
    if (loader == NULL) {
        return;
    }
    map_loader_close_environment(loader);
    if (loader->phase != MAP_LOADER_FINISHED) {
        /* What cannot be removed now is removed by the next load or start. */
        struct storage_error error;
        enum storage_status ignored = map_loader_remove_folder(loader->store.directory, &error);
        (void)ignored;
    }
    map_stream_destroy(loader->stream);
    key_sorter_destroy(loader->scan);
    key_sorter_destroy(loader->expiry);
    free(loader->membership);
    free(loader->store.directory);
    free(loader);
}

/* ---- finishing ---- */

static int map_loader_append_pair(struct map_loader *loader, const struct key_sorter_pair *pair,
                                  bool big_endian)
{
    uint8_t number[8];
    uint8_t prefixed[MAP_PREFIXED_KEY_BYTES_MAX];
    MDB_val value = map_store_prefix_key(prefixed, pair->key, pair->key_size);
    if (big_endian) {
        storage_put_u64_big(number, pair->number);
    } else {
        storage_put_u64(number, pair->number);
    }
    bool again = loader->has_pair && pair->number == loader->last_number;
    loader->has_pair = true;
    loader->last_number = pair->number;
    return map_loader_append(loader, (MDB_val){sizeof number, number}, value,
                             again ? MDB_APPENDDUP : MDB_APPEND);
}

/* Fills an index with the next pairs; *ended: there are no more. */
static enum storage_status map_loader_fill(struct map_loader *loader, struct key_sorter *sorter,
                                           MDB_dbi table, bool big_endian, bool *ended,
                                           struct storage_error *error)
{
    enum storage_status status = map_loader_begin(loader, table, error);
    *ended = false;
    for (int i = 0; i < STEP_PAIRS && status == STORAGE_OK && !*ended; i++) {
        struct key_sorter_pair pair;
        bool found = false;
        status = key_sorter_next(sorter, &pair, &found, error);
        *ended = status == STORAGE_OK && !found;
        if (status == STORAGE_OK && found) {
            int result = map_loader_append_pair(loader, &pair, big_endian);
            status = result == 0 ? STORAGE_OK : map_loader_fail(loader, result, error);
        }
    }
    return status == STORAGE_OK ? map_loader_commit(loader, error) : status;
}

/* The last transaction: every key is in `scan`, every one that expires in `expiry`; now meta may say so. */
static enum storage_status map_loader_seal(struct map_loader *loader, struct storage_error *error)
{
    struct map_store *store = &loader->store;
    enum storage_status status = map_loader_begin(loader, store->data, error);
    if (status != STORAGE_OK) {
        return status;
    }
    struct map_meta *meta = storage_allocate(sizeof *meta);
    *meta = *map_stream_get_meta(loader->stream);
    if (loader->membership != NULL) {
        memcpy(meta->membership, loader->membership, loader->membership_size);
        meta->membership_size = loader->membership_size;
    }
    MDB_stat data = {0};
    MDB_stat scan = {0};
    MDB_stat expiry = {0};
    int result = mdb_stat(loader->transaction, store->data, &data);
    result = result != 0 ? result : mdb_stat(loader->transaction, store->scan, &scan);
    result = result != 0 ? result : mdb_stat(loader->transaction, store->expiry, &expiry);
    if (result == 0) {
        assert(data.ms_entries == meta->key_count && scan.ms_entries == meta->key_count);
        assert(expiry.ms_entries == key_sorter_count(loader->expiry));
        result = map_store_put_meta(store, loader->transaction, meta);
    }
    free(meta);
    return result == 0 ? map_loader_commit(loader, error) : map_loader_fail(loader, result, error);
}

/* Makes all of it durable, and closes it. */
static enum storage_status map_loader_sync(struct map_loader *loader, struct storage_error *error)
{
    int result = lmdb_environment_sync(loader->store.environment);
    if (result != 0) {
        return map_loader_fail(loader, result, error);
    }
    enum storage_status status = storage_sync_directory(loader->store.directory, error);
    if (status == STORAGE_OK) {
        map_loader_close_environment(loader);
    }
    return status;
}

enum storage_status map_loader_finish(struct map_loader *loader, bool *finished, struct storage_error *error)
{
    assert(map_loader_is_complete(loader));
    bool ended = false;
    enum storage_status status = STORAGE_OK;
    *finished = false;
    switch (loader->phase) {
    case MAP_LOADER_TAKES_CHUNKS:
        status = map_loader_commit(loader, error);
        if (status == STORAGE_OK) {
            status = key_sorter_sort(loader->scan, error);
        }
        loader->phase = MAP_LOADER_BUILDS_SCAN;
        break;
    case MAP_LOADER_BUILDS_SCAN:
        status = map_loader_fill(loader, loader->scan, loader->store.scan, false, &ended, error);
        if (status == STORAGE_OK && ended) {
            status = key_sorter_sort(loader->expiry, error);
            loader->has_pair = false;
            loader->phase = MAP_LOADER_BUILDS_EXPIRY;
        }
        break;
    case MAP_LOADER_BUILDS_EXPIRY:
        status = map_loader_fill(loader, loader->expiry, loader->store.expiry, true, &ended, error);
        loader->phase = ended ? MAP_LOADER_SEALS : loader->phase;
        break;
    case MAP_LOADER_SEALS:
        status = map_loader_seal(loader, error);
        if (status == STORAGE_OK) {
            status = map_loader_sync(loader, error);
        }
        *finished = status == STORAGE_OK;
        loader->phase = *finished ? MAP_LOADER_FINISHED : loader->phase;
        break;
    case MAP_LOADER_FINISHED:
        abort();
    }
    return status;
}
