/* log_store_internal.h: what log_store*.c and log_identity.c share. Not for other folders.
 *
 * Table `state` holds single records in the envelope of storage_record.h, by name:
 *   format          u32 LOG_FORMAT
 *   hard_state      u64 term, u64 vote
 *   base            u64 term, u64 index
 *   commit_hint     u64
 *   map_generation  u64
 *   left_over       u64 first of the entries at and below the base that an install left to be dropped by
 * later writes; 0: none identity        see log_identity.c
 */
#ifndef LOG_STORE_INTERNAL_H
#define LOG_STORE_INTERNAL_H

#include "log_store.h"
#include "space_reserve.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#define LOG_STATE_FORMAT         "format"
#define LOG_STATE_HARD_STATE     "hard_state"
#define LOG_STATE_BASE           "base"
#define LOG_STATE_COMMIT_HINT    "commit_hint"
#define LOG_STATE_MAP_GENERATION "map_generation"
#define LOG_STATE_LEFT_OVER      "left_over"
#define LOG_STATE_IDENTITY       "identity"

enum {
    LOG_FORMAT =
        2, /* 1 had neither the table `memberships` nor the record `left_over`: upgraded at opening */
    LOG_STATE_FORM = 1,
    LOG_STATE_BODY_BYTES_MAX = 512,
};

struct log_store {
    MDB_env *environment;
    char *directory;
    MDB_dbi entries;     /* index (integer key) -> log_record.h */
    MDB_dbi terms;       /* log_terms.h */
    MDB_dbi memberships; /* the same form: index of a membership entry -> its term */
    MDB_dbi state;       /* name -> record */
    struct space_reserve space;
    atomic_bool poisoned;
    uint64_t left_over;    /* the record; of the writing thread */
    pthread_mutex_t mutex; /* of what follows: written by the writing thread after its commit, read by any */
    struct log_store_state cached;
    uint64_t entries_bytes;
    uint64_t map_generation;
};

/* The environment, for tests that look at its flags. */
MDB_env *log_store_environment(const struct log_store *store);

/* Bytes of the pages of the tables that hold entries. */
int log_store_measure(const struct log_store *store, MDB_txn *transaction, uint64_t *entries_bytes);

/* Puts one record of `state`; body_size <= LOG_STATE_BODY_BYTES_MAX. An LMDB result. */
int log_store_put_state(const struct log_store *store, MDB_txn *transaction, const char *name,
                        const uint8_t *body, size_t body_size);
int log_store_put_numbers(const struct log_store *store, MDB_txn *transaction, const char *name,
                          const uint64_t *numbers, size_t count);
int log_store_put_identity(const struct log_store *store, MDB_txn *transaction,
                           const struct log_identity *identity);
/* Gets the body of one record, borrowed from the transaction; *body is NULL when there is none. */
enum storage_status log_store_get_state_record(const struct log_store *store, MDB_txn *transaction,
                                               const char *name, const uint8_t **body, size_t *body_size,
                                               struct storage_error *error) STORAGE_MUST_CHECK;

/* Reads and checks one entry: MDB_NOTFOUND, MDB_CORRUPTED. */
int log_store_get_entry(const struct log_store *store, MDB_txn *transaction, uint64_t index,
                        struct log_entry *entry);

/* Drops up to `entries_max` of what an install left over; *left_over becomes what it will be after the
 * commit. An LMDB result. */
int log_store_drop_left_over(const struct log_store *store, MDB_txn *transaction, uint64_t base,
                             uint32_t entries_max, uint64_t *left_over);

/* Begins a write transaction, for which there is room on the disk if it changes only a few records, unless
 * the store is poisoned. */
enum storage_status log_store_begin(struct log_store *store, MDB_txn **transaction,
                                    struct storage_error *error) STORAGE_MUST_CHECK;
/* The same to open tables: those that are there need no room, so that a node starts on a full disk. */
enum storage_status log_store_begin_opening(struct log_store *store, MDB_txn **transaction,
                                            struct storage_error *error) STORAGE_MUST_CHECK;
/* Ends it: commits when `result` is 0, else aborts. Anything but OK and FULL poisons the store. */
enum storage_status log_store_end(struct log_store *store, MDB_txn *transaction, int result,
                                  const char *doing, struct storage_error *error) STORAGE_MUST_CHECK;
/* Commits next to nothing, so that pages freed by the last transaction can be used: after STORAGE_FULL. */
enum storage_status log_store_turn_over(struct log_store *store,
                                        struct storage_error *error) STORAGE_MUST_CHECK;

#endif
