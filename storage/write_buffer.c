/* write_buffer.c: a hash table whose slots are sorted: "linear probing in order".
 *
 * The home of a key is the top bits of its hash; where places are taken, entries move up, but the order
 * (hash, key) is kept over the whole array. So a lookup starts at home and goes on until a larger hash or a
 * free slot, and walking the array is walking the hashes in order. At most three quarters of the home places
 * are used. Expiry is in write_buffer_expiry.c.
 */
#include "write_buffer.h"

#include "map_record.h"
#include "storage_memory.h"
#include "write_buffer_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    BITS_MIN = 6,
    EXTRA_MIN = 32,
    LARGE_VALUE_BYTES =
        64 * 1024, /* from here on a value is an allocation of its own, given back when replaced */
    PAGE_OVERHEAD_BYTES = 128,    /* of a key in the map's tables: headers, LMDB's nodes */
    SHARED_PAGE_BYTES_MAX = 1900, /* key and value of this size may share a page */
    PAGE_BYTES = 4096,
    CACHE_LINE_BYTES = 64,
    PREFETCH_BYTES = 192, /* of an entry: its head, its key, and a small value */
};

static size_t write_buffer_home(const struct write_buffer *buffer, uint64_t hash)
{
    return (size_t)(hash >> (64 - buffer->bits));
}

struct write_buffer *write_buffer_create(bool cleared)
{
    struct write_buffer *buffer = storage_allocate_zero(sizeof *buffer);
    buffer->cleared = cleared;
    buffer->bits = BITS_MIN;
    buffer->extra_count = EXTRA_MIN;
    buffer->slots_count = ((size_t)1 << BITS_MIN) + EXTRA_MIN;
    buffer->slots = storage_allocate_zero(buffer->slots_count * sizeof *buffer->slots);
    return buffer;
}

static void write_buffer_release_large(struct write_buffer *buffer, struct write_buffer_entry *entry)
{
    if (entry->value_is_large) {
        assert(buffer->large_bytes >= entry->value_capacity);
        buffer->large_bytes -= entry->value_capacity;
        free(entry->value);
        entry->value = NULL;
        entry->value_capacity = 0;
        entry->value_is_large = false;
    }
}

size_t write_buffer_destroy_some(struct write_buffer **some, size_t bytes)
{
    struct write_buffer *buffer = *some;
    size_t done = 0;
    /* Large values first: their entries are in the arena. */
    for (; buffer->large_bytes > 0 && done < bytes; done += CACHE_LINE_BYTES) {
        assert(buffer->destroyed_slots < buffer->slots_count);
        struct write_buffer_entry *entry = buffer->slots[buffer->destroyed_slots++].entry;
        if (entry != NULL && entry->value_is_large) {
            done += entry->value_capacity;
            write_buffer_release_large(buffer, entry);
        }
    }
    done += done < bytes ? buffer_arena_free_some(&buffer->arena, bytes - done) : 0;
    if (done < bytes) {
        done += write_buffer_bytes(buffer);
        free(buffer->slots);
        free(buffer->heap);
        free(buffer);
        *some = NULL;
    }
    return done;
}

void write_buffer_destroy(struct write_buffer *buffer)
{
    if (buffer != NULL) {
        (void)write_buffer_destroy_some(&buffer, SIZE_MAX);
        assert(buffer == NULL);
    }
}

/* Pages that are written in no order may be half full. The key stands in three tables; a large value has
 * pages of its own. */
static uint64_t write_buffer_page_bytes(size_t key_size, size_t value_size)
{
    uint64_t keys = 2 * (PAGE_OVERHEAD_BYTES + 3 * (uint64_t)key_size);
    bool shares_page = key_size + value_size < SHARED_PAGE_BYTES_MAX;
    return keys + (shares_page ? 2 * (uint64_t)value_size : PAGE_BYTES + (uint64_t)value_size);
}

static void write_buffer_count_value(struct write_buffer *buffer, const struct write_buffer_entry *entry,
                                     size_t value_size)
{
    uint64_t old = write_buffer_page_bytes(entry->key_size, entry->value_size);
    assert(buffer->page_bytes >= old);
    buffer->page_bytes += write_buffer_page_bytes(entry->key_size, value_size) - old;
    buffer->value_bytes_max =
        value_size > buffer->value_bytes_max ? (uint32_t)value_size : buffer->value_bytes_max;
}

size_t write_buffer_bytes(const struct write_buffer *buffer)
{
    return sizeof *buffer + buffer->slots_count * sizeof *buffer->slots + buffer->arena.bytes +
           buffer->large_bytes + buffer->heap_capacity * sizeof *buffer->heap;
}

/* The first slot that is free or not before (hash, key). */
static size_t write_buffer_place(const struct write_buffer *buffer, uint64_t hash, const uint8_t *key,
                                 size_t key_size, bool *found)
{
    size_t i = write_buffer_home(buffer, hash);
    const struct write_buffer_slot *slots = buffer->slots;
    *found = false;
    while (slots[i].entry != NULL && slots[i].hash < hash) {
        i++;
    }
    while (slots[i].entry != NULL && slots[i].hash == hash) {
        int order = map_key_compare(slots[i].entry->key, slots[i].entry->key_size, key, key_size);
        if (order >= 0) {
            *found = order == 0;
            break;
        }
        i++;
    }
    return i;
}

struct write_buffer_entry *write_buffer_find(const struct write_buffer *buffer, uint64_t hash,
                                             const uint8_t *key, size_t key_size)
{
    bool found = false;
    size_t i = write_buffer_place(buffer, hash, key, key_size, &found);
    return found ? buffer->slots[i].entry : NULL;
}

void write_buffer_prefetch_place(const struct write_buffer *buffer, uint64_t hash)
{
    __builtin_prefetch(&buffer->slots[write_buffer_home(buffer, hash)]);
}

void write_buffer_prefetch_entry(const struct write_buffer *buffer, uint64_t hash)
{
    const struct write_buffer_slot *slot = &buffer->slots[write_buffer_seek(buffer, hash)];
    if (slot->entry != NULL && slot->hash == hash) {
        for (size_t at = 0; at < PREFETCH_BYTES; at += CACHE_LINE_BYTES) {
            __builtin_prefetch((const uint8_t *)slot->entry + at, 1);
        }
    }
}

/* Lays all slots out anew. False when the extra places do not suffice. */
static bool write_buffer_lay_out(struct write_buffer *buffer, unsigned bits, size_t extra_count)
{
    size_t slots_count = ((size_t)1 << bits) + extra_count;
    struct write_buffer_slot *slots = storage_allocate_zero(slots_count * sizeof *slots);
    size_t next = 0;
    for (size_t i = 0; i < buffer->slots_count; i++) {
        if (buffer->slots[i].entry == NULL) {
            continue;
        }
        size_t home = (size_t)(buffer->slots[i].hash >> (64 - bits));
        next = home > next ? home : next;
        if (next >= slots_count - 1) {
            free(slots);
            return false;
        }
        slots[next++] = buffer->slots[i];
    }
    free(buffer->slots);
    buffer->slots = slots;
    buffer->slots_count = slots_count;
    buffer->extra_count = extra_count;
    buffer->bits = bits;
    return true;
}

static void write_buffer_grow(struct write_buffer *buffer, unsigned bits, size_t extra_count)
{
    while (!write_buffer_lay_out(buffer, bits, extra_count)) {
        extra_count *= 2;
    }
}

static struct write_buffer_entry *write_buffer_insert(struct write_buffer *buffer, uint64_t hash,
                                                      const uint8_t *key, size_t key_size, size_t value_size)
{
    assert(key_size <= MAP_KEY_BYTES_MAX);
    if ((buffer->entries_count + 1) * 4 > ((size_t)3 << buffer->bits)) {
        write_buffer_grow(buffer, buffer->bits + 1, buffer->extra_count);
    }
    bool found = false;
    size_t place = write_buffer_place(buffer, hash, key, key_size, &found);
    assert(!found);
    size_t gap = place;
    while (buffer->slots[gap].entry != NULL) {
        gap++;
    }
    if (gap == buffer->slots_count - 1) {
        write_buffer_grow(buffer, buffer->bits, buffer->extra_count * 2);
        return write_buffer_insert(buffer, hash, key, key_size, value_size);
    }
    memmove(buffer->slots + place + 1, buffer->slots + place, (gap - place) * sizeof *buffer->slots);

    /* A small value lies behind its key: one allocation, one place in memory. */
    size_t inline_size = value_size < LARGE_VALUE_BYTES ? value_size : 0;
    struct write_buffer_entry *entry =
        buffer_arena_allocate(&buffer->arena, sizeof *entry + key_size + inline_size);
    memset(entry, 0, sizeof *entry);
    entry->value = entry->key + key_size;
    entry->value_capacity = (uint32_t)inline_size;
    entry->key_size = (uint16_t)key_size;
    entry->deleted = true;
    if (key_size > 0) {
        memcpy(entry->key, key, key_size);
    }
    buffer->slots[place] = (struct write_buffer_slot){.hash = hash, .entry = entry};
    buffer->entries_count++;
    buffer->page_bytes += write_buffer_page_bytes(key_size, 0);
    return entry;
}

/* Copies a value in, over the old one where it fits; `bytes` may lie in the old one. */
static void write_buffer_store_value(struct write_buffer *buffer, struct write_buffer_entry *entry,
                                     const uint8_t *bytes, size_t size)
{
    bool wasteful = entry->value_is_large && size < entry->value_capacity / 4;
    write_buffer_count_value(buffer, entry, size);
    if (size <= entry->value_capacity && !wasteful) {
        if (size > 0) {
            memmove(entry->value, bytes, size);
        }
    } else {
        /* What grew once may grow again (APPEND): leave room. */
        size_t capacity = entry->value_size > 0 && size > entry->value_size ? size + size / 4 : size;
        bool large = capacity >= LARGE_VALUE_BYTES;
        uint8_t *value = large ? storage_allocate(capacity) : buffer_arena_allocate(&buffer->arena, capacity);
        memcpy(value, bytes, size);
        write_buffer_release_large(buffer, entry);
        entry->value = value;
        entry->value_capacity = (uint32_t)capacity;
        entry->value_is_large = large;
        buffer->large_bytes += large ? capacity : 0;
    }
    entry->value_size = (uint32_t)size;
}

void write_buffer_put(struct write_buffer *buffer, uint64_t hash, const uint8_t *key, size_t key_size,
                      const struct map_value *value, uint64_t content_hash)
{
    assert(value->size <= MAP_VALUE_BYTES_MAX);
    struct write_buffer_entry *entry = write_buffer_find(buffer, hash, key, key_size);
    if (entry == NULL) {
        entry = write_buffer_insert(buffer, hash, key, key_size, value->size);
    }
    write_buffer_store_value(buffer, entry, value->bytes, value->size);
    entry->type = (uint8_t)value->type;
    write_buffer_change_expiry(buffer, entry, false, value->expiry_ms);
    entry->version = value->version;
    entry->content_hash = content_hash;
}

void write_buffer_set_header(struct write_buffer *buffer, struct write_buffer_entry *entry,
                             struct map_version version, uint64_t expiry_ms, uint64_t content_hash)
{
    assert(!entry->deleted);
    write_buffer_change_expiry(buffer, entry, false, expiry_ms);
    entry->version = version;
    entry->content_hash = content_hash;
}

void write_buffer_delete(struct write_buffer *buffer, uint64_t hash, const uint8_t *key, size_t key_size)
{
    struct write_buffer_entry *entry = write_buffer_find(buffer, hash, key, key_size);
    if (entry == NULL) {
        entry = write_buffer_insert(buffer, hash, key, key_size, 0);
    }
    write_buffer_change_expiry(buffer, entry, true, 0);
    write_buffer_release_large(buffer, entry);
    write_buffer_count_value(buffer, entry, 0);
    entry->value_size = 0;
}

struct map_value write_buffer_value(const struct write_buffer_entry *entry)
{
    assert(!entry->deleted);
    return (struct map_value){
        .type = (enum map_value_type)entry->type,
        .version = entry->version,
        .expiry_ms = entry->expiry_ms,
        .bytes = entry->value,
        .size = entry->value_size,
    };
}

size_t write_buffer_seek(const struct write_buffer *buffer, uint64_t hash)
{
    size_t i = write_buffer_home(buffer, hash);
    while (buffer->slots[i].entry != NULL && buffer->slots[i].hash < hash) {
        i++;
    }
    return i;
}

const struct write_buffer_slot *write_buffer_next(const struct write_buffer *buffer, size_t *slot)
{
    while (*slot < buffer->slots_count && buffer->slots[*slot].entry == NULL) {
        (*slot)++;
    }
    return *slot < buffer->slots_count ? &buffer->slots[*slot] : NULL;
}

static int write_buffer_compare_slots(const void *left, const void *right)
{
    const struct write_buffer_slot *const *a = left;
    const struct write_buffer_slot *const *b = right;
    return map_key_compare((*a)->entry->key, (*a)->entry->key_size, (*b)->entry->key, (*b)->entry->key_size);
}

const struct write_buffer_slot **write_buffer_sort(const struct write_buffer *buffer)
{
    if (buffer->entries_count == 0) {
        return NULL;
    }
    const struct write_buffer_slot **sorted = storage_allocate(buffer->entries_count * sizeof(*sorted));
    size_t count = 0;
    for (size_t i = 0; i < buffer->slots_count; i++) {
        if (buffer->slots[i].entry != NULL) {
            sorted[count++] = &buffer->slots[i];
        }
    }
    assert(count == buffer->entries_count);
    qsort(sorted, count, sizeof(*sorted), write_buffer_compare_slots);
    return sorted;
}
