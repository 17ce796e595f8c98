/* storage_testing.h: short forms for the tests of storage/: a seeded random number, log entries, maps. */
#ifndef STORAGE_TESTING_H
#define STORAGE_TESTING_H

#include "log_store.h"
#include "map.h"
#include "storage_record.h"
#include "temp_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lmdb.h>

/* splitmix64: the same sequence on every machine. */
static inline uint64_t testing_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static inline uint64_t testing_random_below(uint64_t *state, uint64_t limit)
{
    return testing_random(state) % limit;
}

#define assert_ok(status, error)                                                                             \
    do {                                                                                                     \
        enum storage_status testing_status = (status);                                                       \
        if (testing_status != STORAGE_OK) {                                                                  \
            fail_msg("status %d: %s", (int)testing_status, (error).text);                                    \
        }                                                                                                    \
    } while (0)

/* ---- the log ---- */

static inline struct log_store *testing_open_log(const char *directory, size_t map_bytes)
{
    struct log_store *store = NULL;
    struct storage_error error = {{0}};
    const struct log_store_options options = {.directory = directory, .map_bytes = map_bytes};
    assert_ok(log_store_open(&options, &store, &error), error);
    return store;
}

/* Appends one entry in a write of its own. */
static inline enum storage_status testing_append(struct log_store *store, uint64_t index, uint64_t term,
                                                 const void *bytes, uint32_t size,
                                                 struct storage_error *error)
{
    const struct log_entry entry = {
        .id = {.term = term, .index = index}, .type = 2, .bytes = bytes, .size = size};
    const struct log_write write = {.entries = &entry, .entries_count = 1};
    return log_store_write(store, &write, error);
}

static inline struct log_store_state testing_log_state(const struct log_store *store)
{
    struct log_store_state state;
    log_store_get_state(store, &state);
    return state;
}

/* ---- the map ---- */

enum { TESTING_MAP_BYTES = 64 * 1024 * 1024 };

static inline struct map *testing_open_map(const char *directory, size_t map_bytes)
{
    struct map *map = NULL;
    struct storage_error error = {{0}};
    const struct map_options options = {
        .directory = directory, .map_bytes = map_bytes, .hash_seed = 42, .buffer_bytes_max = 1024 * 1024};
    assert_ok(map_open(&options, &map, &error), error);
    return map;
}

static inline uint64_t testing_begin(struct map *map)
{
    uint64_t index = map_get_meta(map)->applied_index + 1;
    uint64_t term = map_get_meta(map)->applied_term;
    map_begin_entry(map, index, term > 0 ? term : 1, 0);
    return index;
}

/* Applies one entry that puts one key. */
static inline void testing_put(struct map *map, const void *key, size_t key_size, const void *bytes,
                               size_t size, uint64_t expiry_ms)
{
    uint64_t index = testing_begin(map);
    const struct map_value value = {.type = MAP_VALUE_STRING,
                                    .version = {.index = index, .command = 0},
                                    .expiry_ms = expiry_ms,
                                    .bytes = bytes,
                                    .size = size};
    map_put(map, key, key_size, &value);
    map_end_entry(map, key_size + size);
}

static inline void testing_put_text(struct map *map, const char *key, const char *text, uint64_t expiry_ms)
{
    testing_put(map, key, strlen(key), text, strlen(text), expiry_ms);
}

static inline bool testing_delete(struct map *map, const char *key)
{
    testing_begin(map);
    bool removed = map_delete(map, (const uint8_t *)key, strlen(key));
    map_end_entry(map, 1);
    return removed;
}

static inline void testing_clear(struct map *map)
{
    testing_begin(map);
    map_clear(map);
    map_end_entry(map, 1);
}

static inline size_t testing_purge(struct map *map, uint64_t until_ms, size_t keys_max)
{
    testing_begin(map);
    size_t purged = map_purge(map, until_ms, keys_max);
    map_end_entry(map, 1);
    return purged;
}

static inline void testing_assert_text(struct map *map, const char *key, const char *text)
{
    struct map_value value;
    bool found = map_get(map, (const uint8_t *)key, strlen(key), &value);
    assert_int_equal(found, text != NULL);
    if (found && text != NULL) {
        assert_int_equal(value.size, strlen(text));
        assert_memory_equal(value.bytes, text, value.size);
    }
}

static inline void testing_checkpoint(struct map *map)
{
    struct storage_error error = {{0}};
    struct map_checkpoint *checkpoint = map_freeze(map);
    assert_ok(map_checkpoint_write(checkpoint, &error), error);
    map_checkpoint_finish(map, checkpoint);
    assert_null(map_error(map));
}

static inline void testing_assert_counts(struct map *map)
{
    uint64_t key_count = 0;
    uint64_t digest = 0;
    map_recount(map, &key_count, &digest);
    assert_null(map_error(map));
    assert_int_equal(key_count, map_get_meta(map)->key_count);
    assert_int_equal(digest, map_get_meta(map)->digest);
}

/* ---- damage ---- */

/* Changes one table of a closed environment behind its owner's back. A NULL value removes the key. */
static inline void testing_damage(const char *directory, const char *table, unsigned flags, MDB_val key,
                                  const MDB_val *value)
{
    MDB_env *environment = NULL;
    MDB_txn *transaction = NULL;
    MDB_dbi handle;
    assert_int_equal(mdb_env_create(&environment), 0);
    assert_int_equal(mdb_env_set_maxdbs(environment, 8), 0);
    assert_int_equal(mdb_env_open(environment, directory, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(environment, NULL, 0, &transaction), 0);
    assert_int_equal(mdb_dbi_open(transaction, table, flags, &handle), 0);
    if (value == NULL) {
        assert_int_equal(mdb_del(transaction, handle, &key, NULL), 0);
    } else {
        MDB_val copy = *value;
        assert_int_equal(mdb_put(transaction, handle, &key, &copy, 0), 0);
    }
    assert_int_equal(mdb_txn_commit(transaction), 0);
    mdb_env_close(environment);
}

/* Puts a sound record, but with a body that its reader does not expect. */
static inline void testing_damage_record(const char *directory, const char *table, const char *name,
                                         const uint8_t *body, size_t body_size)
{
    uint8_t record[STORAGE_RECORD_HEAD_BYTES + 256];
    char key[32];
    assert_true(body_size <= 256 && strlen(name) < sizeof key);
    memcpy(record + STORAGE_RECORD_HEAD_BYTES, body, body_size);
    storage_record_seal(record, name, 1, body_size);
    memcpy(key, name, strlen(name));
    testing_damage(directory, table, 0, (MDB_val){strlen(name), key},
                   &(MDB_val){STORAGE_RECORD_HEAD_BYTES + body_size, record});
}

/* ---- what several tests need as a fixture ---- */

static inline int testing_setup_directory(void **state)
{
    *state = temp_directory_create();
    return 0;
}

static inline int testing_teardown_directory(void **state)
{
    temp_directory_remove(*state);
    return 0;
}

#define testing_in_directory(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, testing_setup_directory, testing_teardown_directory)

#endif
