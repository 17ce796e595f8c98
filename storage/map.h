/* map.h: the key-value map, as the commands see it.
 *
 * What it is: an LMDB environment (map_store) with an in-memory write buffer in front. Applied writes go
 * into the *active* table; reads look there, then in the *frozen* table that is being written out, then in
 * LMDB. A checkpoint writes the frozen table, with the meta record that belongs to it, in one durable
 * transaction (pitfall 11): map and applied index can never disagree on disk.
 *
 * What it is not: it does not interpret values, keep time, or start threads. When to freeze is the caller's
 * choice.
 *
 * Invariants
 * - Freezing happens only between entries: the frozen table's meta is that of the last entry in it.
 * - All nodes that applied the same entries have the same logical content, meta (key count, digest, log
 *   time) and the same answers to every call here, whatever was frozen or written when (pitfall 30).
 * - After a checkpoint's commit the read transaction is renewed before the frozen table is dropped.
 *
 * Threads: all calls on one thread, but map_checkpoint_write(), which may run on another.
 *
 * Failure: a read of LMDB that fails (a bad checksum: pitfall 27) poisons the map: map_error() says why;
 * reads then find nothing. The caller asks map_error() before any answer leaves, and stops. A checkpoint that
 * fails (EIO) says so to its caller, who stops as well; no other one is written (pitfalls 17, 18).
 *
 * On disk (final form): see storage/README.md. Tables data, expiry, scan, meta, session (empty so far).
 */
#ifndef MAP_H
#define MAP_H

#include "map_meta.h"
#include "storage_space.h"
#include "storage_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map;

struct map_options {
    const char *directory;   /* "<data>/map-<generation>", created if missing */
    size_t map_bytes;        /* LMDB's map size, fixed while open */
    uint64_t hash_seed;      /* used only when the map is created */
    size_t buffer_bytes_max; /* memory of one table above which map_is_full() may become true */
    /* Disk space that is kept allocated beyond what is in use, for what must go on when the disk is full. */
    uint64_t reserve_bytes;
};

enum storage_status map_open(const struct map_options *options, struct map **map,
                             struct storage_error *error) STORAGE_MUST_CHECK;
void map_close(struct map *map); /* no checkpoint may be running; NULL is allowed */

/* NULL while all is well. */
const char *map_error(const struct map *map);

/* Meta with everything applied so far. Valid until the next call that changes the map. */
const struct map_meta *map_get_meta(const struct map *map);
/* The last entry that is in LMDB durably: the log may be compacted up to here, and is replayed after it. */
uint64_t map_durable_index(const struct map *map);

/* ---- applying: between map_begin_entry() and map_end_entry() ---- */

/* `index` is applied_index + 1. log_time_ms below the present one is ignored (log time never goes back). */
void map_begin_entry(struct map *map, uint64_t index, uint64_t term, uint64_t log_time_ms);
/* `log_bytes`: size of the entry, counted for map_bytes_since_freeze(). */
void map_end_entry(struct map *map, size_t log_bytes);

/* Stores a copy of the value. key_size <= MAP_KEY_BYTES_MAX, value->size <= MAP_VALUE_BYTES_MAX (asserted:
 * what does not fit is refused before the log). */
void map_put(struct map *map, const uint8_t *key, size_t key_size, const struct map_value *value);
/* Changes only the header (expiry, version) of a present key; keeps the bytes without reading them anew where
 * that is possible. False when the key is absent. */
bool map_put_expiry(struct map *map, const uint8_t *key, size_t key_size, struct map_version version,
                    uint64_t expiry_ms);
bool map_delete(struct map *map, const uint8_t *key, size_t key_size); /* true if it was present */
void map_clear(struct map *map);                                       /* a marker, not a million deletions */
/* Parts of meta that the state machine sets. size <= MAP_MEMBERSHIP_BYTES_MAX. */
void map_set_rules_version(struct map *map, uint32_t rules_version);
void map_set_membership(struct map *map, const uint8_t *bytes, size_t size);
/* Deletes at most `keys_max` keys whose expiry is <= until_ms, in the order (expiry, key), and returns how
 * many. The same keys on every node. */
size_t map_purge(struct map *map, uint64_t until_ms, size_t keys_max);

/* ---- reading ---- */

/* Finds a key, expired or not (the caller compares expiry_ms with log time). value->bytes is borrowed: valid
 * until the next call that changes or renews the map. */
bool map_get(struct map *map, const uint8_t *key, size_t key_size, struct map_value *value);
/* The earliest expiry of all keys; false when no key has one. */
bool map_next_expiry(struct map *map, uint64_t *expiry_ms);

/* Walks keys in the order of hash64(key), from the first whose hash is >= cursor. Visits at least
 * `keys_min` keys if there are as many and always all keys of one hash together; gives up early, with nothing
 * or little visited, after work proportional to keys_min (deleted keys that are still in LMDB). Returns the
 * cursor to go on with; 0: the end. Each key that is present during the whole walk is visited at least once;
 * the cursor is valid on every node and for ever. visit() must not change the map; key and value are
 * borrowed. Bytes of values over 1 KiB are not checked against disk rot here (that would read them): who
 * wants the bytes of large values calls map_get(). */
uint64_t map_scan(struct map *map, uint64_t cursor, size_t keys_min,
                  void (*visit)(void *context, const uint8_t *key, size_t key_size,
                                const struct map_value *value),
                  void *context);

/* ---- checkpoints ---- */

/* Log bytes applied since the last freeze. */
uint64_t map_bytes_since_freeze(const struct map *map);
/* True when nothing was applied since the last freeze. */
bool map_is_clean(const struct map *map);
bool map_has_frozen(const struct map *map);
/* The active table has reached buffer_bytes_max: freeze it as soon as no other is frozen. */
bool map_is_freeze_due(const struct map *map);
/* It has reached `part` of `parts` of that. */
bool map_is_filled(const struct map *map, uint32_t part, uint32_t parts);
/* The active table has reached buffer_bytes_max while the frozen one is still being written: stop applying.
 */
bool map_is_full(const struct map *map);

struct map_checkpoint;
/* Freezes the active table and starts a new one. Precondition: between entries, !map_has_frozen(). The
 * checkpoint may be written only once the own log is durable up to its index: the map must never run ahead of
 * it. */
struct map_checkpoint *map_freeze(struct map *map);
uint64_t map_checkpoint_index(const struct map_checkpoint *checkpoint);
/* Writes the frozen table in key order and its meta in one durable transaction. Any thread; touches nothing
 * that the other calls change. STORAGE_FULL: map or disk have no room; nothing was written, may be tried
 * again after map_checkpoint_try_again(). Anything else but OK: stop the process. */
enum storage_status map_checkpoint_write(struct map_checkpoint *checkpoint,
                                         struct storage_error *error) STORAGE_MUST_CHECK;
/* After STORAGE_FULL: lets go of pages that the next try may use. */
void map_checkpoint_try_again(struct map *map, struct map_checkpoint *checkpoint);
/* Or, instead: the frozen table is undone, as if the freeze had not been. What is newer counts, of what it
 * had the rest: a deletion makes the next checkpoint smaller, while one that waits wants its room for ever.
 * False: it would take too long (more than 8 MiB, or 20,000 keys); nothing has changed. */
bool map_thaw(struct map *map, struct map_checkpoint *checkpoint) STORAGE_MUST_CHECK;
/* After a successful write: renews the read transaction, then drops the frozen table. */
void map_checkpoint_finish(struct map *map, struct map_checkpoint *checkpoint);

/* Tables that were dropped, by map_checkpoint_finish() or map_clear(), are still to be given back. */
bool map_has_dropped(const struct map *map);
/* Gives back some of their memory: a few milliseconds' worth. To be called until there is no more. */
void map_release_some(struct map *map);

/* What the checkpoints of all that is buffered now may take on the disk at worst. */
struct map_room {
    uint64_t pages, run_pages;
};
void map_get_room_wanted(const struct map *map, struct map_room *room);
/* Extends the file so far that these fit, and the reserve. STORAGE_FULL: the disk has not that much room;
 * anything else but OK: stop the process. Any thread, but not at the same time as map_checkpoint_write(). */
enum storage_status map_reserve_room(struct map *map, const struct map_room *room,
                                     struct storage_error *error) STORAGE_MUST_CHECK;
/* As the last of those two calls, or opening, found it. Any thread. */
void map_get_space(const struct map *map, struct storage_space *space);

struct map_usage {
    uint64_t buffer_bytes;  /* memory of active and frozen tables */
    uint64_t dropped_bytes; /* of those that are being given back */
    uint64_t file_bytes;    /* of data.mdb; never shrinks */
    uint64_t used_bytes;    /* of file_bytes, what is not free again; as of the last checkpoint */
    uint64_t map_bytes;     /* the limit of used_bytes: refuse what grows well before (pitfall 19) */
};
void map_get_usage(const struct map *map, struct map_usage *usage);

/* How much was done for calls so far, in bytes of values that were read or written, with something for each
 * key: for whoever does long work in slices. Says nothing of content; differs between nodes. */
uint64_t map_work_bytes(const struct map *map);
/* For whoever knows some keys ahead: has the processor fetch what looking for one will touch in memory, first
 * its place, and when that has come its entry. Nothing changes but the time that it takes. */
uint64_t map_hash_key(const struct map *map, const uint8_t *key, size_t key_size);
void map_prefetch_place(const struct map *map, uint64_t hash);
void map_prefetch_entry(const struct map *map, uint64_t hash);

/* Between map_begin_entry() and map_end_entry(): content and digest are those of a part of an entry. */
bool map_is_in_entry(const struct map *map);

/* Recomputes key count and digest from the whole content. For tests: compare with map_get_meta(). */
void map_recount(struct map *map, uint64_t *key_count, uint64_t *digest);

#endif
