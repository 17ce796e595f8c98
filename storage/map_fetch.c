/* map_fetch.c: see map_fetch.h. */
#include "map_fetch.h"

#include "map_internal.h"

#include <assert.h>
#include <sys/mman.h>

enum { PAGE_BYTES = 4096 }; /* at most what the kernel's pages have */

bool map_is_in_memory(const struct map *map, const uint8_t *key, size_t key_size)
{
    return map_hides_store(map) || map_buffers_know(map, key, key_size, map_hash_key(map, key, key_size));
}

bool map_fetch_begin(struct map_fetch *fetch, struct map *map)
{
    MDB_txn *transaction = NULL;
    *fetch = (struct map_fetch){.map = map};
    if (map_store_error(map->store) != NULL ||
        mdb_txn_begin(map->store->environment, NULL, MDB_RDONLY, &transaction) != 0) {
        return false;
    }
    fetch->transaction = transaction;
    atomic_fetch_add(&map->store->fetches_count, 1);
    return true;
}

/* The map is opened without read-ahead, so the pages of a large value would come one by one. */
static void touch(const uint8_t *bytes, size_t size)
{
    if (size > PAGE_BYTES) {
        size_t before = (uintptr_t)bytes % PAGE_BYTES;
        (void)madvise((void *)(uintptr_t)(bytes - before), size + before, MADV_WILLNEED);
    }
    for (size_t at = 0; at < size; at += PAGE_BYTES) {
        (void)*(const volatile uint8_t *)(bytes + at);
    }
    if (size > 0) {
        (void)*(const volatile uint8_t *)(bytes + size - 1);
    }
}

void map_fetch_key(struct map_fetch *fetch, const uint8_t *key, size_t key_size, bool whole)
{
    uint8_t prefixed[MAP_PREFIXED_KEY_BYTES_MAX];
    MDB_val stored_key = map_store_prefix_key(prefixed, key, key_size);
    MDB_val value;
    if (mdb_get(fetch->transaction, fetch->map->store->data, &stored_key, &value) != 0) {
        return; /* it is not there; the pages that say so are in memory now */
    }
    struct map_record record;
    if (!map_record_decode(value.mv_data, value.mv_size, &record)) {
        return;
    }
    if (whole || record.value.size <= MAP_STORE_SMALL_VALUE_BYTES) {
        touch(value.mv_data, value.mv_size);
    }
}

void map_fetch_end(struct map_fetch *fetch)
{
    mdb_txn_abort(fetch->transaction);
    fetch->transaction = NULL;
    int before = atomic_fetch_sub(&fetch->map->store->fetches_count, 1);
    assert(before > 0);
}
