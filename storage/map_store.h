/* map_store.h: the map's LMDB environment: its tables, its one long-lived read transaction, its checkpoint.
 *
 * What it is not: it knows nothing of what is buffered; map.c decides which layer counts.
 *
 * Tables (all keys and values in storage/README.md):
 *   data     prefix + key -> map_record.h
 *   expiry   expiry_ms, 8 bytes big-endian -> prefixed keys (MDB_DUPSORT)
 *   scan     hash64(key), integer key -> prefixed keys (MDB_DUPSORT)
 *   meta     "meta" -> record
 *   session  empty so far
 * Invariant: `scan` has exactly the keys of `data`, `expiry` exactly those with an expiry.
 *
 * Reading goes through one transaction that stays as it was until map_store_renew(); what is borrowed from it
 * lives as long. Reading belongs to one thread; map_store_write() may run on another at the same time.
 *
 * Failure: what cannot be read, or is read and found damaged, breaks the store for good: map_store_error(). A
 * write that fails is told to its caller only, and no later one is tried: what is read, from a transaction
 * and tables that were there before, is as good as ever.
 */
#ifndef MAP_STORE_H
#define MAP_STORE_H

#include "map_record.h"
#include "space_reserve.h"
#include "write_buffer.h"

#include <lmdb.h>
#include <stdatomic.h>

/* Values up to this size lie on the page of their header, so that checking them costs no further read. */
enum { MAP_STORE_SMALL_VALUE_BYTES = 1024, MAP_STORE_TABLES_MAX = 8 };

enum map_store_check {
    MAP_STORE_CHECK_SMALL, /* check the hash of small values: the caller wants the header */
    MAP_STORE_CHECK_ALL,   /* check the hash: the caller wants the bytes */
};

/* A place in `scan` or `expiry`. */
struct map_store_place {
    bool known;      /* the cursor was placed since the last renewal */
    bool found;      /* false: past the end */
    uint64_t number; /* the hash, or the expiry */
    const uint8_t *key;
    size_t key_size;
};

struct map_store {
    MDB_env *environment;
    char *directory;
    MDB_dbi data;
    MDB_dbi expiry;
    MDB_dbi scan;
    MDB_dbi meta;
    MDB_dbi session;
    MDB_txn *reader;
    MDB_cursor *scan_cursor;
    MDB_cursor *expiry_cursor;
    uint64_t used_bytes; /* pages that the read transaction's map uses */
    uint64_t path_pages; /* of them, those between the roots and the leaves */
    uint64_t data_leaves, scan_leaves;
    uint64_t expiring_count;    /* keys in `expiry` */
    struct map_scrub *scrub;    /* map_scrub_internal.h */
    struct space_reserve space; /* the thread that writes */
    struct map_store_place scan_place;
    struct map_store_place expiry_place;
    atomic_int snapshots_count; /* that read from the environment now (map_snapshot.h) */
    atomic_int fetches_count;   /* the same (map_fetch.h) */
    atomic_bool write_failed;   /* with an outcome on disk that is not known */
    atomic_bool broken;         /* error_text may be read */
    char error_text[512];
};

/* Opens or creates; *meta is what the map holds. */
enum storage_status map_store_open(const struct map_options *options, struct map_store **store,
                                   struct map_meta *meta, struct storage_error *error) STORAGE_MUST_CHECK;
void map_store_close(struct map_store *store); /* NULL is allowed */

/* NULL while all is well. Any thread. */
const char *map_store_error(const struct map_store *store);
/* The first text stays. The thread that reads. */
void map_store_break(struct map_store *store, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Looks a key up. */
bool map_store_find(struct map_store *store, const uint8_t *key, size_t key_size, enum map_store_check check,
                    struct map_record *record);

/* Places in `scan`: the first whose hash is >= `hash`, and the one after the present one. */
const struct map_store_place *map_store_seek_scan(struct map_store *store, uint64_t hash);
const struct map_store_place *map_store_next_scan(struct map_store *store);

/* Places in `expiry`: the present one, at first the earliest, and the one after it. The place is kept over
 * calls until the next renewal, so that what was skipped once is not walked again. */
const struct map_store_place *map_store_first_expiry(struct map_store *store);
const struct map_store_place *map_store_next_expiry(struct map_store *store);

/* Visits all of `data`, checked, in key order. */
void map_store_walk(struct map_store *store,
                    void (*visit)(void *context, const uint8_t *key, size_t key_size,
                                  const struct map_record *record),
                    void *context);

/* Reads anew from the last commit, which must be that of entry `applied_index`. */
void map_store_renew(struct map_store *store, uint64_t applied_index);

/* Writes a table and its meta in one durable transaction, which takes `need` at worst. STORAGE_FULL:
 * nothing of it was written; after other failures every later call fails. Any thread, one at a time. */
enum storage_status map_store_write(struct map_store *store, const struct write_buffer *buffer,
                                    const struct map_meta *meta, const struct space_need *need,
                                    struct storage_error *error) STORAGE_MUST_CHECK;

/* Sees that there is room on the disk for what will be written later. Anything but OK and FULL fails every
 * later write. The thread that writes. */
enum storage_status map_store_reserve(struct map_store *store, const struct space_need *need,
                                      struct storage_error *error) STORAGE_MUST_CHECK;

/* What writing this table may take on the disk at worst. The thread that reads, while the table is not
 * changed. */
struct space_need map_store_need(const struct map_store *store, const struct write_buffer *buffer);

/* Opens the tables, creates those that are missing; an LMDB result. */
int map_store_open_tables(struct map_store *store, MDB_txn *transaction);

/* Reads meta as `transaction` sees it. */
enum storage_status map_store_read_meta(const struct map_store *store, MDB_txn *transaction,
                                        struct map_meta *meta, bool *found,
                                        struct storage_error *error) STORAGE_MUST_CHECK;
/* Puts meta; an LMDB result. */
int map_store_put_meta(struct map_store *store, MDB_txn *transaction, const struct map_meta *meta);

/* MAP_KEY_PREFIX and the key, into `prefixed`. */
enum { MAP_PREFIXED_KEY_BYTES_MAX = MAP_KEY_BYTES_MAX + 1 };
MDB_val map_store_prefix_key(uint8_t prefixed[MAP_PREFIXED_KEY_BYTES_MAX], const uint8_t *key,
                             size_t key_size);

#endif
