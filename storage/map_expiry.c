/* map_expiry.c: which key expires first, over the three layers, and purging in the order (expiry, key).
 *
 * Each layer gives its own earliest key. One that a newer layer knows, in whatever state, is skipped for
 * good: newer layers never forget a key. In LMDB the place after the skipped ones is kept until the read
 * transaction is renewed. So the order, and what is purged, is the same on every node, whatever was written
 * when (pitfall 30).
 */
#include "map_internal.h"

#include <assert.h>

struct map_expiry {
    uint64_t expiry_ms;
    const uint8_t *key;
    size_t key_size;
};

static bool map_expiry_is_before(const struct map_expiry *left, const struct map_expiry *right)
{
    if (left->expiry_ms != right->expiry_ms) {
        return left->expiry_ms < right->expiry_ms;
    }
    return map_key_compare(left->key, left->key_size, right->key, right->key_size) < 0;
}

/* The earliest of a table that no entry of `newer` hides. */
static bool map_expiry_of_buffer(const struct map *map, struct write_buffer *buffer,
                                 const struct write_buffer *newer, struct map_expiry *expiry)
{
    const struct write_buffer_entry *entry = NULL;
    while ((entry = write_buffer_first_expiry(buffer)) != NULL) {
        if (newer == NULL || write_buffer_find(newer, map_hash_key(map, entry->key, entry->key_size),
                                               entry->key, entry->key_size) == NULL) {
            *expiry = (struct map_expiry){entry->expiry_ms, entry->key, entry->key_size};
            return true;
        }
        write_buffer_skip_expiry(buffer);
    }
    return false;
}

static bool map_expiry_of_store(struct map *map, struct map_expiry *expiry)
{
    const struct map_store_place *place = map_store_first_expiry(map->store);
    while (place->found && map_buffers_know(map, place->key, place->key_size,
                                            map_hash_key(map, place->key, place->key_size))) {
        place = map_store_next_expiry(map->store);
    }
    *expiry = (struct map_expiry){place->number, place->key, place->key_size};
    return place->found;
}

static bool map_expiry_first(struct map *map, struct map_expiry *first)
{
    struct map_expiry candidate;
    bool found = map_expiry_of_buffer(map, map->active, NULL, first);
    if (map->frozen != NULL && !map_hides_frozen(map) &&
        map_expiry_of_buffer(map, map->frozen, map->active, &candidate) &&
        (!found || map_expiry_is_before(&candidate, first))) {
        *first = candidate;
        found = true;
    }
    if (!map_hides_store(map) && map_expiry_of_store(map, &candidate) &&
        (!found || map_expiry_is_before(&candidate, first))) {
        *first = candidate;
        found = true;
    }
    return found && map_error(map) == NULL;
}

bool map_next_expiry(struct map *map, uint64_t *expiry_ms)
{
    struct map_expiry first;
    if (!map_expiry_first(map, &first)) {
        return false;
    }
    *expiry_ms = first.expiry_ms;
    return true;
}

size_t map_purge(struct map *map, uint64_t until_ms, size_t keys_max)
{
    assert(map->in_entry);
    size_t purged = 0;
    struct map_expiry first;
    while (purged < keys_max && map_expiry_first(map, &first) && first.expiry_ms <= until_ms) {
        struct map_record record;
        uint64_t hash = map_hash_key(map, first.key, first.key_size);
        if (!map_find(map, first.key, first.key_size, hash, MAP_STORE_CHECK_SMALL, &record) ||
            record.value.expiry_ms != first.expiry_ms) {
            map_break_index(map, "expiry");
            break;
        }
        bool removed = map_delete(map, first.key, first.key_size);
        assert(removed);
        purged++;
    }
    return purged;
}
