/* map_scan.c: walking all keys in the order of their hashes, over the three layers at once.
 *
 * Each layer is a stream sorted by (hash, key). All keys of the smallest hash are visited, newest layer
 * first, an older one's key only when no newer one knows it; then the next hash. Between two hashes the walk
 * may stop: enough was visited, or enough was skipped. The hash to go on with is the cursor, so nothing has
 * to be remembered.
 *
 * Where a walk stops early depends on the layers; what a whole walk visits does not.
 */
#include "map_internal.h"

#include <assert.h>

enum {
    /* Steps that one call may take: this many for each key that was asked for, and some. */
    STEPS_PER_KEY_MAX = 16,
    STEPS_EXTRA_MAX = 256,
};

typedef void map_scan_visit(void *context, const uint8_t *key, size_t key_size,
                            const struct map_value *value);

struct map_scan_walk {
    struct map *map;
    map_scan_visit *visit;
    void *context;
    size_t active_slot;
    size_t frozen_slot;
    const struct map_store_place *place; /* NULL: LMDB is hidden */
    size_t steps;
    size_t visited;
};

/* The smallest hash that one of the layers stands at; false at the end. */
static bool map_scan_lowest_hash(struct map_scan_walk *walk, uint64_t *hash)
{
    const struct write_buffer_slot *active = write_buffer_next(walk->map->active, &walk->active_slot);
    const struct write_buffer_slot *frozen = map_hides_frozen(walk->map) || walk->map->frozen == NULL
                                                 ? NULL
                                                 : write_buffer_next(walk->map->frozen, &walk->frozen_slot);
    bool found = false;
    if (active != NULL) {
        *hash = active->hash;
        found = true;
    }
    if (frozen != NULL && (!found || frozen->hash < *hash)) {
        *hash = frozen->hash;
        found = true;
    }
    if (walk->place != NULL && walk->place->found && (!found || walk->place->number < *hash)) {
        *hash = walk->place->number;
        found = true;
    }
    return found;
}

static void map_scan_buffer(struct map_scan_walk *walk, const struct write_buffer *buffer, size_t *position,
                            uint64_t hash, const struct write_buffer *newer)
{
    const struct write_buffer_slot *slot = NULL;
    while ((slot = write_buffer_next(buffer, position)) != NULL && slot->hash == hash) {
        const struct write_buffer_entry *entry = slot->entry;
        bool hidden = newer != NULL && write_buffer_find(newer, hash, entry->key, entry->key_size) != NULL;
        if (!hidden && !entry->deleted) {
            struct map_value value = write_buffer_value(entry);
            walk->visit(walk->context, entry->key, entry->key_size, &value);
            walk->visited++;
        }
        walk->steps++;
        (*position)++;
    }
}

static void map_scan_store(struct map_scan_walk *walk, uint64_t hash)
{
    while (walk->place->found && walk->place->number == hash) {
        const uint8_t *key = walk->place->key;
        size_t key_size = walk->place->key_size;
        if (!map_buffers_know(walk->map, key, key_size, hash)) {
            struct map_record record;
            if (map_store_find(walk->map->store, key, key_size, MAP_STORE_CHECK_SMALL, &record)) {
                walk->visit(walk->context, key, key_size, &record.value);
                walk->visited++;
            } else {
                map_break_index(walk->map, "scan");
            }
        }
        walk->steps++;
        walk->place = map_store_next_scan(walk->map->store);
    }
}

uint64_t map_scan(struct map *map, uint64_t cursor, size_t keys_min, map_scan_visit *visit, void *context)
{
    struct map_scan_walk walk = {
        .map = map,
        .visit = visit,
        .context = context,
        .active_slot = write_buffer_seek(map->active, cursor),
        .frozen_slot = map->frozen == NULL ? 0 : write_buffer_seek(map->frozen, cursor),
        .place = map_hides_store(map) ? NULL : map_store_seek_scan(map->store, cursor),
    };
    keys_min = keys_min == 0 ? 1 : keys_min;
    size_t steps_max = keys_min > (SIZE_MAX - STEPS_EXTRA_MAX) / STEPS_PER_KEY_MAX
                           ? SIZE_MAX
                           : keys_min * STEPS_PER_KEY_MAX + STEPS_EXTRA_MAX;
    uint64_t hash = 0;
    while (map_scan_lowest_hash(&walk, &hash)) {
        if (walk.visited >= keys_min || walk.steps >= steps_max) {
            assert(hash > cursor);
            return hash;
        }
        map_scan_buffer(&walk, map->active, &walk.active_slot, hash, NULL);
        if (map->frozen != NULL && !map_hides_frozen(map)) {
            map_scan_buffer(&walk, map->frozen, &walk.frozen_slot, hash, map->active);
        }
        if (walk.place != NULL) {
            map_scan_store(&walk, hash);
        }
    }
    return 0;
}

/* ---- counting anew ---- */

struct map_recount {
    const struct map *map;
    uint64_t key_count;
    uint64_t digest;
};

static void map_recount_add(struct map_recount *count, const uint8_t *key, size_t key_size,
                            const struct map_value *value)
{
    count->key_count++;
    count->digest += map_record_hash(key, key_size, value);
}

static void map_recount_store(void *context, const uint8_t *key, size_t key_size,
                              const struct map_record *record)
{
    struct map_recount *count = context;
    if (!map_buffers_know(count->map, key, key_size, map_hash_key(count->map, key, key_size))) {
        map_recount_add(count, key, key_size, &record->value);
    }
}

static void map_recount_buffer(struct map_recount *count, const struct write_buffer *buffer,
                               const struct write_buffer *newer)
{
    const struct write_buffer_slot *slot = NULL;
    for (size_t i = 0; (slot = write_buffer_next(buffer, &i)) != NULL; i++) {
        const struct write_buffer_entry *entry = slot->entry;
        bool hidden =
            newer != NULL && write_buffer_find(newer, slot->hash, entry->key, entry->key_size) != NULL;
        if (!hidden && !entry->deleted) {
            struct map_value value = write_buffer_value(entry);
            map_recount_add(count, entry->key, entry->key_size, &value);
        }
    }
}

void map_recount(struct map *map, uint64_t *key_count, uint64_t *digest)
{
    struct map_recount count = {.map = map};
    map_recount_buffer(&count, map->active, NULL);
    if (map->frozen != NULL && !map_hides_frozen(map)) {
        map_recount_buffer(&count, map->frozen, map->active);
    }
    if (!map_hides_store(map)) {
        map_store_walk(map->store, map_recount_store, &count);
    }
    *key_count = count.key_count;
    *digest = count.digest;
}
