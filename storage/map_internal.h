/* map_internal.h: what map.c, map_scan.c and map_expiry.c share. Not for other folders.
 *
 * The three layers, newest first: active table, frozen table (while a checkpoint is written), LMDB. A key's
 * state is that of the newest layer that knows it; a `cleared` table hides all below it.
 */
#ifndef MAP_INTERNAL_H
#define MAP_INTERNAL_H

#include "map.h"
#include "map_store.h"
#include "write_buffer.h"

struct map_checkpoint {
    struct map_store *store;
    struct write_buffer *buffer; /* the frozen table; the map's too */
    struct map_meta meta;
    struct space_need need;
    bool written;
};

struct map {
    struct map_store *store;
    struct write_buffer *active;
    struct write_buffer *frozen;  /* NULL unless a checkpoint is on its way; == checkpoint.buffer */
    struct write_buffer *dropped; /* tables that nobody needs any more, see map_release_some() */
    struct map_checkpoint checkpoint;
    struct map_meta meta;   /* with everything applied */
    uint64_t durable_index; /* <= frozen_index <= meta.applied_index */
    uint64_t frozen_index;  /* applied_index at the last freeze */
    uint64_t bytes_since_freeze;
    uint64_t frozen_bytes; /* what that was at the last freeze */
    size_t buffer_bytes_max;
    uint64_t work_bytes; /* see map_work_bytes() */
    bool in_entry;       /* between map_begin_entry() and map_end_entry() */
    uint64_t entry_term;
};

static inline bool map_hides_frozen(const struct map *map)
{
    return map->active->cleared;
}

static inline bool map_hides_store(const struct map *map)
{
    return map->active->cleared || (map->frozen != NULL && map->frozen->cleared);
}

/* Is what LMDB says of this key overruled by one of the tables? */
bool map_buffers_know(const struct map *map, const uint8_t *key, size_t key_size, uint64_t hash);

/* Breaks the map: an index of it names a key with another expiry or none. */
void map_break_index(struct map *map, const char *index);

/* The layered lookup. */
bool map_find(struct map *map, const uint8_t *key, size_t key_size, uint64_t hash, enum map_store_check check,
              struct map_record *record);

#endif
