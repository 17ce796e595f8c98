/* map.c: applying and looking up through the layers, and checkpoints; see map.h and map_internal.h.
 *
 * Key count and digest are kept with every change: the part of the key's present version is subtracted, which
 * needs its header only, and that of the new one added. Scanning is in map_scan.c, expiry in map_expiry.c.
 */
#include "map_internal.h"

#include "lmdb_environment.h"
#include "storage_error.h"
#include "storage_hash.h"
#include "storage_memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_WORK_BYTES = 256, /* what a key costs beside its value */
    RELEASE_BYTES = 16 * 1024 * 1024,
    THAW_BYTES_MAX = 8 * 1024 * 1024,
    THAW_KEYS_MAX = 20000,
    DROPPED_BYTES_MIN = 1024 * 1024, /* what is smaller costs less to give back than to remember */
};

enum storage_status map_open(const struct map_options *options, struct map **map, struct storage_error *error)
{
    struct map *opened = storage_allocate_zero(sizeof *opened);
    enum storage_status status = map_store_open(options, &opened->store, &opened->meta, error);
    if (status != STORAGE_OK) {
        free(opened);
        return status;
    }
    opened->active = write_buffer_create(false);
    opened->durable_index = opened->meta.applied_index;
    opened->frozen_index = opened->meta.applied_index;
    opened->buffer_bytes_max = options->buffer_bytes_max;
    *map = opened;
    return STORAGE_OK;
}

void map_close(struct map *map)
{
    if (map == NULL) {
        return;
    }
    write_buffer_destroy(map->active);
    write_buffer_destroy(map->frozen);
    while (map->dropped != NULL) {
        struct write_buffer *next = map->dropped->next_dropped;
        write_buffer_destroy(map->dropped);
        map->dropped = next;
    }
    map_store_close(map->store);
    free(map);
}

const char *map_error(const struct map *map)
{
    return map_store_error(map->store);
}

const struct map_meta *map_get_meta(const struct map *map)
{
    return &map->meta;
}

uint64_t map_durable_index(const struct map *map)
{
    return map->durable_index;
}

/* ---- looking up ---- */

uint64_t map_hash_key(const struct map *map, const uint8_t *key, size_t key_size)
{
    return storage_hash_key(map->meta.hash_seed, key, key_size);
}

void map_prefetch_place(const struct map *map, uint64_t hash)
{
    write_buffer_prefetch_place(map->active, hash);
    if (map->frozen != NULL) {
        write_buffer_prefetch_place(map->frozen, hash);
    }
}

void map_prefetch_entry(const struct map *map, uint64_t hash)
{
    write_buffer_prefetch_entry(map->active, hash);
}

bool map_buffers_know(const struct map *map, const uint8_t *key, size_t key_size, uint64_t hash)
{
    return write_buffer_find(map->active, hash, key, key_size) != NULL ||
           (map->frozen != NULL && write_buffer_find(map->frozen, hash, key, key_size) != NULL);
}

void map_break_index(struct map *map, const char *index)
{
    map_store_break(map->store,
                    "%s: the index \"%s\" of the map disagrees with its data. " STORAGE_DAMAGED_ADVICE,
                    map->store->directory, index);
}

bool map_find(struct map *map, const uint8_t *key, size_t key_size, uint64_t hash, enum map_store_check check,
              struct map_record *record)
{
    assert(key_size <= MAP_KEY_BYTES_MAX);
    const struct write_buffer_entry *entry = write_buffer_find(map->active, hash, key, key_size);
    if (entry == NULL && map->frozen != NULL && !map_hides_frozen(map)) {
        entry = write_buffer_find(map->frozen, hash, key, key_size);
    }
    if (entry == NULL) {
        return !map_hides_store(map) && map_store_find(map->store, key, key_size, check, record);
    }
    if (entry->deleted) {
        return false;
    }
    record->value = write_buffer_value(entry);
    record->hash = entry->content_hash;
    return true;
}

uint64_t map_work_bytes(const struct map *map)
{
    return map->work_bytes;
}

bool map_is_in_entry(const struct map *map)
{
    return map->in_entry;
}

static void count_work(struct map *map, size_t value_size)
{
    map->work_bytes += KEY_WORK_BYTES + value_size;
}

bool map_get(struct map *map, const uint8_t *key, size_t key_size, struct map_value *value)
{
    struct map_record record;
    count_work(map, 0);
    if (!map_find(map, key, key_size, map_hash_key(map, key, key_size), MAP_STORE_CHECK_ALL, &record)) {
        return false;
    }
    *value = record.value;
    count_work(map, value->size);
    return true;
}

/* ---- applying ---- */

void map_begin_entry(struct map *map, uint64_t index, uint64_t term, uint64_t log_time_ms)
{
    assert(!map->in_entry);
    assert(index == map->meta.applied_index + 1);
    assert(term >= map->meta.applied_term);
    map->in_entry = true;
    map->entry_term = term;
    if (log_time_ms > map->meta.log_time_ms) {
        map->meta.log_time_ms = log_time_ms;
    }
}

void map_end_entry(struct map *map, size_t log_bytes)
{
    assert(map->in_entry);
    map->in_entry = false;
    map->meta.applied_index++;
    map->meta.applied_term = map->entry_term;
    map->bytes_since_freeze += log_bytes;
}

void map_set_rules_version(struct map *map, uint32_t rules_version)
{
    assert(map->in_entry);
    map->meta.rules_version = rules_version;
}

void map_set_membership(struct map *map, const uint8_t *bytes, size_t size)
{
    assert(map->in_entry);
    assert(size <= MAP_MEMBERSHIP_BYTES_MAX);
    if (size > 0) {
        memcpy(map->meta.membership, bytes, size);
    }
    map->meta.membership_size = (uint32_t)size;
}

void map_put(struct map *map, const uint8_t *key, size_t key_size, const struct map_value *value)
{
    assert(map->in_entry);
    assert(value->size <= MAP_VALUE_BYTES_MAX);
    count_work(map, value->size);
    uint64_t hash = map_hash_key(map, key, key_size);
    struct map_record old;
    if (map_find(map, key, key_size, hash, MAP_STORE_CHECK_SMALL, &old)) {
        map->meta.digest -= old.hash;
    } else {
        map->meta.key_count++;
    }
    uint64_t content_hash = map_record_hash(key, key_size, value);
    map->meta.digest += content_hash;
    write_buffer_put(map->active, hash, key, key_size, value, content_hash);
}

bool map_put_expiry(struct map *map, const uint8_t *key, size_t key_size, struct map_version version,
                    uint64_t expiry_ms)
{
    assert(map->in_entry);
    uint64_t hash = map_hash_key(map, key, key_size);
    struct map_record record;
    if (!map_find(map, key, key_size, hash, MAP_STORE_CHECK_ALL, &record)) {
        return false;
    }
    count_work(map, record.value.size);
    record.value.version = version;
    record.value.expiry_ms = expiry_ms;
    uint64_t content_hash = map_record_hash(key, key_size, &record.value);
    map->meta.digest += content_hash - record.hash;
    struct write_buffer_entry *entry = write_buffer_find(map->active, hash, key, key_size);
    if (entry != NULL) {
        write_buffer_set_header(map->active, entry, version, expiry_ms, content_hash);
    } else {
        write_buffer_put(map->active, hash, key, key_size, &record.value, content_hash);
    }
    return true;
}

bool map_delete(struct map *map, const uint8_t *key, size_t key_size)
{
    assert(map->in_entry);
    count_work(map, 0);
    uint64_t hash = map_hash_key(map, key, key_size);
    struct map_record old;
    if (!map_find(map, key, key_size, hash, MAP_STORE_CHECK_SMALL, &old)) {
        return false;
    }
    assert(map->meta.key_count > 0 || map_error(map) != NULL);
    map->meta.digest -= old.hash;
    map->meta.key_count--;
    write_buffer_delete(map->active, hash, key, key_size);
    return true;
}

static void map_drop(struct map *map, struct write_buffer *buffer)
{
    if (write_buffer_bytes(buffer) < DROPPED_BYTES_MIN) {
        write_buffer_destroy(buffer);
        return;
    }
    buffer->next_dropped = map->dropped;
    map->dropped = buffer;
}

bool map_has_dropped(const struct map *map)
{
    return map->dropped != NULL;
}

void map_release_some(struct map *map)
{
    size_t released = 0;
    while (map->dropped != NULL && released < RELEASE_BYTES) {
        struct write_buffer *next = map->dropped->next_dropped;
        released += write_buffer_destroy_some(&map->dropped, RELEASE_BYTES - released);
        map->dropped = map->dropped == NULL ? next : map->dropped;
    }
}

void map_clear(struct map *map)
{
    assert(map->in_entry);
    map_drop(map, map->active);
    count_work(map, 0);
    map->active = write_buffer_create(true);
    map->meta.key_count = 0;
    map->meta.digest = 0;
}

/* ---- checkpoints ---- */

uint64_t map_bytes_since_freeze(const struct map *map)
{
    return map->bytes_since_freeze;
}

bool map_is_clean(const struct map *map)
{
    return map->frozen_index == map->meta.applied_index;
}

bool map_has_frozen(const struct map *map)
{
    return map->frozen != NULL;
}

bool map_is_filled(const struct map *map, uint32_t part, uint32_t parts)
{
    assert(part > 0 && part <= parts);
    return write_buffer_bytes(map->active) >= map->buffer_bytes_max / parts * part;
}

bool map_is_freeze_due(const struct map *map)
{
    return map_is_filled(map, 1, 1);
}

bool map_is_full(const struct map *map)
{
    return map->frozen != NULL && map_is_freeze_due(map);
}

struct map_checkpoint *map_freeze(struct map *map)
{
    assert(!map->in_entry);
    assert(map->frozen == NULL);
    map->frozen = map->active;
    map->active = write_buffer_create(false);
    map->frozen_index = map->meta.applied_index;
    map->frozen_bytes = map->bytes_since_freeze;
    map->bytes_since_freeze = 0;
    map->checkpoint.store = map->store;
    map->checkpoint.buffer = map->frozen;
    map->checkpoint.meta = map->meta;
    map->checkpoint.need = map_store_need(map->store, map->frozen);
    map->checkpoint.written = false;
    return &map->checkpoint;
}

uint64_t map_checkpoint_index(const struct map_checkpoint *checkpoint)
{
    return checkpoint->meta.applied_index;
}

enum storage_status map_checkpoint_write(struct map_checkpoint *checkpoint, struct storage_error *error)
{
    assert(checkpoint->buffer != NULL && !checkpoint->written);
    /* What was applied after a read failed is not to be trusted: a broken store refuses. */
    enum storage_status status =
        map_store_write(checkpoint->store, checkpoint->buffer, &checkpoint->meta, &checkpoint->need, error);
    checkpoint->written = status == STORAGE_OK;
    return status;
}

void map_checkpoint_try_again(struct map *map, struct map_checkpoint *checkpoint)
{
    assert(checkpoint == &map->checkpoint && !checkpoint->written);
    assert(checkpoint->buffer == map->frozen);
    map_store_renew(map->store, map->durable_index);
    checkpoint->need = map_store_need(map->store, map->frozen);
}

/* Puts what only the older table knows into the newer one. */
static void lay_under(struct write_buffer *newer, const struct write_buffer *older)
{
    size_t place = 0;
    const struct write_buffer_slot *slot;
    for (; (slot = write_buffer_next(older, &place)) != NULL; place++) {
        const struct write_buffer_entry *entry = slot->entry;
        if (write_buffer_find(newer, slot->hash, entry->key, entry->key_size) != NULL) {
            continue;
        }
        if (entry->deleted) {
            write_buffer_delete(newer, slot->hash, entry->key, entry->key_size);
        } else {
            const struct map_value value = write_buffer_value(entry);
            write_buffer_put(newer, slot->hash, entry->key, entry->key_size, &value, entry->content_hash);
        }
    }
    newer->cleared = older->cleared;
}

bool map_thaw(struct map *map, struct map_checkpoint *checkpoint)
{
    struct write_buffer *frozen = map->frozen;
    assert(checkpoint == &map->checkpoint && !checkpoint->written);
    assert(checkpoint->buffer == frozen);
    if (write_buffer_bytes(frozen) + write_buffer_bytes(map->active) > THAW_BYTES_MAX ||
        frozen->entries_count > THAW_KEYS_MAX) {
        return false;
    }
    if (!map->active->cleared) { /* else it hides all of that */
        lay_under(map->active, frozen);
    }
    map_drop(map, frozen);
    map->frozen = NULL;
    map->frozen_index = map->durable_index;
    map->bytes_since_freeze += map->frozen_bytes;
    checkpoint->buffer = NULL;
    map_store_renew(map->store, map->durable_index);
    return true;
}

void map_checkpoint_finish(struct map *map, struct map_checkpoint *checkpoint)
{
    assert(checkpoint == &map->checkpoint && checkpoint->written);
    assert(checkpoint->buffer == map->frozen);
    map_store_renew(map->store, checkpoint->meta.applied_index);
    map_drop(map, map->frozen);
    map->frozen = NULL;
    checkpoint->buffer = NULL;
    map->durable_index = checkpoint->meta.applied_index;
}

void map_get_usage(const struct map *map, struct map_usage *usage)
{
    usage->buffer_bytes =
        write_buffer_bytes(map->active) + (map->frozen == NULL ? 0 : write_buffer_bytes(map->frozen));
    usage->dropped_bytes = 0;
    for (const struct write_buffer *dropped = map->dropped; dropped != NULL;
         dropped = dropped->next_dropped) {
        usage->dropped_bytes += write_buffer_bytes(dropped);
    }
    usage->used_bytes = map->store->used_bytes;
    lmdb_environment_get_usage(map->store->environment, &usage->file_bytes, &usage->map_bytes);
}

void map_get_room_wanted(const struct map *map, struct map_room *room)
{
    struct space_need need = map_store_need(map->store, map->active);
    *room = (struct map_room){.pages = need.pages, .run_pages = need.run_pages};
    if (map->frozen != NULL) {
        need = map_store_need(map->store, map->frozen);
        room->pages += need.pages;
        room->run_pages = need.run_pages > room->run_pages ? need.run_pages : room->run_pages;
    }
}

enum storage_status map_reserve_room(struct map *map, const struct map_room *room,
                                     struct storage_error *error)
{
    const struct space_need need = {.pages = room->pages, .run_pages = room->run_pages};
    return map_store_reserve(map->store, &need, error);
}

void map_get_space(const struct map *map, struct storage_space *space)
{
    space_reserve_get(&map->store->space, space);
}
