/* write_buffer.h: one in-memory table of changes to the map: values that were written, tombstones of keys
 * that were removed. map.c keeps two, the active and the frozen one, in front of LMDB.
 *
 * Order: the slots stand in the order (hash64(key), key), for SCAN; a key is found in O(1) from its hash. For
 * a checkpoint the entries are sorted by key, once. For purging there is a heap by (expiry, key).
 *
 * Entries never leave a table: a removed key leaves a tombstone, which hides it in the layers below.
 * `cleared` hides everything in the layers below.
 *
 * Threads: none of its own. A table that is no longer changed may be read by two threads, but for the calls
 * about expiry, which belong to the thread of the map.
 */
#ifndef WRITE_BUFFER_H
#define WRITE_BUFFER_H

#include "buffer_arena.h"
#include "map.h"

struct write_buffer_entry {
    uint8_t *value; /* NULL for a tombstone without memory */
    struct map_version version;
    uint64_t expiry_ms;
    uint64_t content_hash; /* map_record_hash() */
    uint32_t value_size;
    uint32_t value_capacity;
    uint16_t key_size;
    uint8_t type;
    bool deleted;        /* a tombstone: only the key means anything */
    bool value_is_large; /* `value` is an allocation of its own */
    uint8_t key[];
};

struct write_buffer_slot {
    uint64_t hash;
    struct write_buffer_entry *entry; /* NULL: free */
};

struct write_buffer_expiry {
    uint64_t expiry_ms;
    const struct write_buffer_entry *entry;
};

struct write_buffer {
    bool cleared; /* nothing below this table counts */
    /* 2^bits home places, then some more for what is pushed past the end; the last one is always free. */
    struct write_buffer_slot *slots;
    size_t slots_count;
    size_t extra_count;
    unsigned bits;
    size_t entries_count;
    struct buffer_arena arena;
    size_t large_bytes;
    /* A binary heap, smallest (expiry, key) first. Stale elements (the entry has another expiry by now) stay
     * until they come to the top or are more than half. */
    struct write_buffer_expiry *heap;
    size_t heap_count;
    size_t heap_capacity;
    size_t expiring_count; /* entries that have an expiry */
    /* What its entries take on pages when they are written to the map, at worst. */
    uint64_t page_bytes;
    uint32_t value_bytes_max;          /* of the largest value that it held */
    size_t destroyed_slots;            /* see write_buffer_destroy_some() */
    struct write_buffer *next_dropped; /* the map's */
};

struct write_buffer *write_buffer_create(bool cleared);
void write_buffer_destroy(struct write_buffer *buffer); /* NULL is allowed */
/* The same bit by bit, for a large one takes tens of milliseconds: about so many bytes at once. Returns how
 * many; `*buffer` is NULL when the table is gone. Nothing else may be done with it any more, but asking for
 * its memory. */
size_t write_buffer_destroy_some(struct write_buffer **buffer, size_t bytes);

/* Memory in use. */
size_t write_buffer_bytes(const struct write_buffer *buffer);

/* The entry of a key, tombstones included, or NULL. Valid until the table is destroyed; its value until it
 * changes. */
struct write_buffer_entry *write_buffer_find(const struct write_buffer *buffer, uint64_t hash,
                                             const uint8_t *key, size_t key_size);

/* See map_prefetch_place(). */
void write_buffer_prefetch_place(const struct write_buffer *buffer, uint64_t hash);
void write_buffer_prefetch_entry(const struct write_buffer *buffer, uint64_t hash);

/* Stores a copy. The bytes of key and value may be those of an entry of this very table. */
void write_buffer_put(struct write_buffer *buffer, uint64_t hash, const uint8_t *key, size_t key_size,
                      const struct map_value *value, uint64_t content_hash);
/* Changes the header of a present entry, and not its bytes. */
void write_buffer_set_header(struct write_buffer *buffer, struct write_buffer_entry *entry,
                             struct map_version version, uint64_t expiry_ms, uint64_t content_hash);
/* Leaves a tombstone. */
void write_buffer_delete(struct write_buffer *buffer, uint64_t hash, const uint8_t *key, size_t key_size);

/* An entry that is present, as a value with borrowed bytes. */
struct map_value write_buffer_value(const struct write_buffer_entry *entry);

/* ---- in the order of hashes ---- */

/* The first slot from which on hashes are >= `hash`; then the first used slot from `slot` on, NULL at the
 * end. */
size_t write_buffer_seek(const struct write_buffer *buffer, uint64_t hash);
const struct write_buffer_slot *write_buffer_next(const struct write_buffer *buffer, size_t *slot);

/* ---- in the order of keys ---- */

/* All entries, tombstones too; entries_count of them; free() the array. NULL when there are none. */
const struct write_buffer_slot **write_buffer_sort(const struct write_buffer *buffer);

/* ---- in the order of (expiry, key) ---- */

/* The entry that expires first, or NULL. */
const struct write_buffer_entry *write_buffer_first_expiry(struct write_buffer *buffer);
/* Forgets the first one for good: it is hidden by a table above. */
void write_buffer_skip_expiry(struct write_buffer *buffer);

#endif
