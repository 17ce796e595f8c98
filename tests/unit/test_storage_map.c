/* test_storage_map.c: the layered map, case by case. Random histories are in test_storage_map_model.c. */
#include "map_internal.h"
#include "storage_testing.h"

static struct map *reopen(struct map *map, const char *directory)
{
    map_close(map);
    return testing_open_map(directory, TESTING_MAP_BYTES);
}

static void a_new_map_is_empty(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    uint64_t expiry_ms = 0;
    testing_assert_text(map, "k", NULL);
    assert_int_equal(map_get_meta(map)->applied_index, 0);
    assert_int_equal(map_get_meta(map)->key_count, 0);
    assert_int_equal(map_get_meta(map)->hash_seed, 42);
    assert_false(map_next_expiry(map, &expiry_ms));
    assert_true(map_is_clean(map));
    assert_false(map_has_frozen(map));
    map_close(map);
}

static void values_are_found_in_every_layer(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct storage_error error = {{0}};
    testing_put_text(map, "k", "v", 0);
    testing_assert_text(map, "k", "v");
    struct map_checkpoint *checkpoint = map_freeze(map);
    testing_assert_text(map, "k", "v");
    assert_ok(map_checkpoint_write(checkpoint, &error), error);
    testing_assert_text(map, "k", "v");
    map_checkpoint_finish(map, checkpoint);
    testing_assert_text(map, "k", "v");
    testing_assert_counts(map);
    map = reopen(map, *state);
    testing_assert_text(map, "k", "v");
    assert_int_equal(map_get_meta(map)->applied_index, 1);
    map_close(map);
}

static void pitfall_11_meta_and_data_are_of_the_same_entry_after_a_crash(void **state)
{
    /* Pitfall 11: what was not in a checkpoint is gone together with its index. */
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    testing_put_text(map, "a", "1", 0);
    testing_put_text(map, "b", "1", 0);
    testing_checkpoint(map);
    testing_put_text(map, "a", "2", 0);
    testing_delete(map, "b");
    assert_int_equal(map_durable_index(map), 2);
    assert_int_equal(map_get_meta(map)->applied_index, 4);
    map = reopen(map, *state);
    assert_int_equal(map_get_meta(map)->applied_index, 2);
    assert_int_equal(map_durable_index(map), 2);
    testing_assert_text(map, "a", "1");
    testing_assert_text(map, "b", "1");
    testing_assert_counts(map);
    map_close(map);
}

static void meta_survives_whole(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    uint8_t membership[MAP_MEMBERSHIP_BYTES_MAX];
    memset(membership, 9, sizeof membership);
    map_begin_entry(map, 1, 7, 1000);
    map_set_rules_version(map, 3);
    map_set_membership(map, membership, sizeof membership);
    map_end_entry(map, 100);
    map_begin_entry(map, 2, 8, 900); /* log time never goes back */
    map_end_entry(map, 100);
    assert_int_equal(map_bytes_since_freeze(map), 200);
    assert_false(map_is_clean(map));
    testing_checkpoint(map);
    assert_true(map_is_clean(map));
    assert_int_equal(map_bytes_since_freeze(map), 0);
    map = reopen(map, *state);
    const struct map_meta *meta = map_get_meta(map);
    assert_int_equal(meta->applied_index, 2);
    assert_int_equal(meta->applied_term, 8);
    assert_int_equal(meta->log_time_ms, 1000);
    assert_int_equal(meta->rules_version, 3);
    assert_int_equal(meta->membership_size, sizeof membership);
    assert_memory_equal(meta->membership, membership, sizeof membership);
    map_close(map);
}

static void pitfall_23_keys_of_0_and_510_bytes_and_every_byte_work(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    uint8_t key[MAP_KEY_BYTES_MAX];
    const size_t sizes[] = {0, 1, 255, 509, 510};
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)(255 - i);
    }
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 5; i++) {
            uint8_t byte = (uint8_t)(i + (size_t)round);
            testing_put(map, key, sizes[i], &byte, 1, 1000 + i);
        }
        for (size_t i = 0; i < 5; i++) {
            struct map_value value;
            assert_true(map_get(map, key, sizes[i], &value));
            assert_int_equal(value.bytes[0], i + (size_t)round);
        }
        testing_assert_counts(map);
        testing_checkpoint(map);
        map = reopen(map, *state);
    }
    assert_int_equal(testing_purge(map, 1001, 10), 2);
    struct map_value value;
    assert_false(map_get(map, key, 0, &value));
    assert_true(map_get(map, key, 510, &value));
    testing_checkpoint(map);
    testing_assert_counts(map);
    map_close(map);
}

static void values_of_0_bytes_to_8_mebibytes_work(void **state)
{
    struct map *map = testing_open_map(*state, 128 * 1024 * 1024);
    uint8_t *bytes = malloc(MAP_VALUE_BYTES_MAX);
    const size_t sizes[] = {0, 1, 2000, 4096, 65535, 65536, 1000000, MAP_VALUE_BYTES_MAX};
    for (size_t i = 0; i < MAP_VALUE_BYTES_MAX; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    /* Up, then down: values that grow and shrink in place and on disk. */
    for (size_t step = 0; step < 16; step++) {
        size_t size = sizes[step < 8 ? step : 15 - step];
        testing_put(map, "grows", 5, bytes, size, 0);
        if (step % 3 == 0) {
            testing_checkpoint(map);
        }
        struct map_value value;
        assert_true(map_get(map, (const uint8_t *)"grows", 5, &value));
        assert_int_equal(value.size, size);
        assert_memory_equal(value.bytes, bytes, size);
    }
    testing_put(map, "large", 5, bytes, MAP_VALUE_BYTES_MAX, 0);
    testing_checkpoint(map);
    map_close(map);
    map = testing_open_map(*state, 128 * 1024 * 1024);
    struct map_value value;
    assert_true(map_get(map, (const uint8_t *)"large", 5, &value));
    assert_int_equal(value.size, MAP_VALUE_BYTES_MAX);
    assert_memory_equal(value.bytes, bytes, MAP_VALUE_BYTES_MAX);
    testing_assert_counts(map);
    free(bytes);
    map_close(map);
}

static void a_value_may_be_put_from_the_bytes_of_a_found_one(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    testing_put_text(map, "k", "0123456789", 0);
    for (int round = 0; round < 3; round++) {
        struct map_value value;
        uint64_t index = testing_begin(map);
        assert_true(map_get(map, (const uint8_t *)"k", 1, &value));
        value.bytes += 1;
        value.size -= 1;
        value.version.index = index;
        map_put(map, (const uint8_t *)"k", 1, &value);
        map_end_entry(map, 1);
        testing_checkpoint(map);
    }
    testing_assert_text(map, "k", "3456789");
    map_close(map);
}

static void deletions_hide_what_is_below(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct storage_error error = {{0}};
    testing_put_text(map, "k", "v", 0);
    testing_checkpoint(map);
    assert_true(testing_delete(map, "k"));
    assert_false(testing_delete(map, "k"));
    testing_assert_text(map, "k", NULL);
    struct map_checkpoint *checkpoint = map_freeze(map);
    testing_assert_text(map, "k", NULL);
    assert_false(testing_delete(map, "k"));
    /* Created anew while its deletion is on its way to the disk. */
    testing_put_text(map, "k", "again", 0);
    assert_ok(map_checkpoint_write(checkpoint, &error), error);
    testing_assert_text(map, "k", "again");
    map_checkpoint_finish(map, checkpoint);
    testing_assert_text(map, "k", "again");
    assert_int_equal(map_get_meta(map)->key_count, 1);
    testing_assert_counts(map);
    testing_checkpoint(map);
    testing_assert_counts(map);
    map = reopen(map, *state);
    testing_assert_text(map, "k", "again");
    map_close(map);
}

static void a_frozen_key_may_be_deleted_while_it_is_written(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct storage_error error = {{0}};
    testing_put_text(map, "k", "v", 500);
    struct map_checkpoint *checkpoint = map_freeze(map);
    assert_true(testing_delete(map, "k"));
    uint64_t expiry_ms = 0;
    assert_false(map_next_expiry(map, &expiry_ms));
    assert_ok(map_checkpoint_write(checkpoint, &error), error);
    map_checkpoint_finish(map, checkpoint);
    testing_assert_text(map, "k", NULL);
    assert_false(map_next_expiry(map, &expiry_ms));
    testing_assert_counts(map);
    testing_checkpoint(map);
    testing_assert_counts(map);
    map_close(map);
}

static void clearing_hides_everything_at_once(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct storage_error error = {{0}};
    uint64_t expiry_ms = 0;
    testing_put_text(map, "on disk", "1", 100);
    testing_checkpoint(map);
    testing_put_text(map, "frozen", "2", 200);
    struct map_checkpoint *checkpoint = map_freeze(map);
    testing_put_text(map, "active", "3", 300);
    /* While a checkpoint is running. */
    testing_clear(map);
    testing_assert_text(map, "on disk", NULL);
    testing_assert_text(map, "frozen", NULL);
    testing_assert_text(map, "active", NULL);
    assert_false(map_next_expiry(map, &expiry_ms));
    assert_int_equal(map_get_meta(map)->key_count, 0);
    assert_int_equal(map_get_meta(map)->digest, 0);
    testing_put_text(map, "frozen", "new", 0);
    assert_ok(map_checkpoint_write(checkpoint, &error), error);
    map_checkpoint_finish(map, checkpoint);
    testing_assert_text(map, "on disk", NULL);
    testing_assert_text(map, "frozen", "new");
    testing_assert_counts(map);
    /* The clearing itself is frozen, with more on top of it. */
    checkpoint = map_freeze(map);
    testing_put_text(map, "later", "4", 0);
    testing_assert_text(map, "on disk", NULL);
    testing_assert_text(map, "frozen", "new");
    testing_assert_counts(map);
    assert_ok(map_checkpoint_write(checkpoint, &error), error);
    map_checkpoint_finish(map, checkpoint);
    testing_assert_text(map, "on disk", NULL);
    testing_assert_text(map, "frozen", "new");
    assert_false(map_next_expiry(map, &expiry_ms));
    testing_checkpoint(map);
    map = reopen(map, *state);
    testing_assert_text(map, "on disk", NULL);
    testing_assert_text(map, "later", "4");
    assert_int_equal(map_get_meta(map)->key_count, 2);
    testing_assert_counts(map);
    map_close(map);
}

static void expiry_changes_keep_the_bytes(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct map_value value;
    testing_put_text(map, "k", "bytes", 0);
    for (int layer = 0; layer < 3; layer++) {
        uint64_t index = testing_begin(map);
        const struct map_version version = {.index = index, .command = 5};
        assert_true(map_put_expiry(map, (const uint8_t *)"k", 1, version, 1000 + (uint64_t)layer));
        assert_false(map_put_expiry(map, (const uint8_t *)"none", 4, version, 1000));
        map_end_entry(map, 1);
        assert_true(map_get(map, (const uint8_t *)"k", 1, &value));
        assert_int_equal(value.expiry_ms, 1000 + layer);
        assert_int_equal(value.version.index, index);
        assert_int_equal(value.version.command, 5);
        testing_assert_text(map, "k", "bytes");
        testing_assert_counts(map);
        testing_checkpoint(map);
        testing_assert_counts(map);
    }
    uint64_t expiry_ms = 0;
    assert_true(map_next_expiry(map, &expiry_ms));
    assert_int_equal(expiry_ms, 1002);
    testing_begin(map);
    assert_true(map_put_expiry(map, (const uint8_t *)"k", 1, (struct map_version){.index = 5}, 0));
    map_end_entry(map, 1);
    assert_false(map_next_expiry(map, &expiry_ms));
    testing_checkpoint(map);
    assert_false(map_next_expiry(map, &expiry_ms));
    testing_assert_text(map, "k", "bytes");
    map_close(map);
}

static void pitfall_30_purging_takes_the_earliest_of_all_layers_in_order(void **state)
{
    /* Pitfall 30: the same keys whatever was written when. */
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct storage_error error = {{0}};
    testing_put_text(map, "disk 10", "", 10);
    testing_put_text(map, "disk 20 c", "", 20);
    testing_put_text(map, "disk 20 a", "", 20);
    testing_put_text(map, "disk 40", "", 40);
    testing_put_text(map, "disk, later 90", "", 15);
    testing_checkpoint(map);
    testing_put_text(map, "disk, later 90", "", 90);
    testing_put_text(map, "disk 20 b, frozen", "", 20);
    testing_put_text(map, "frozen 5, later never", "", 5);
    struct map_checkpoint *checkpoint = map_freeze(map);
    testing_put_text(map, "frozen 5, later never", "", 0);
    testing_put_text(map, "active 30", "", 30);
    testing_put_text(map, "active 20", "", 20);
    uint64_t expiry_ms = 0;
    assert_true(map_next_expiry(map, &expiry_ms));
    assert_int_equal(expiry_ms, 10);
    assert_int_equal(testing_purge(map, 9, 10), 0);
    assert_int_equal(testing_purge(map, 25, 3), 3); /* disk 10, active 20, disk 20 a */
    testing_assert_text(map, "disk 10", NULL);
    testing_assert_text(map, "active 20", NULL);
    testing_assert_text(map, "disk 20 a", NULL);
    testing_assert_text(map, "disk 20 b, frozen", "");
    assert_ok(map_checkpoint_write(checkpoint, &error), error);
    map_checkpoint_finish(map, checkpoint);
    assert_int_equal(testing_purge(map, 25, 1), 1);
    testing_assert_text(map, "disk 20 b, frozen", NULL);
    testing_assert_text(map, "disk 20 c", "");
    assert_int_equal(testing_purge(map, 50, 10), 3);
    assert_true(map_next_expiry(map, &expiry_ms));
    assert_int_equal(expiry_ms, 90);
    testing_assert_counts(map);
    testing_checkpoint(map);
    map = reopen(map, *state);
    assert_true(map_next_expiry(map, &expiry_ms));
    assert_int_equal(expiry_ms, 90);
    assert_int_equal(map_get_meta(map)->key_count, 2);
    map_close(map);
}

static void a_key_written_over_and_over_with_an_expiry_does_not_fill_memory(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct map_usage usage;
    for (uint64_t i = 1; i <= 20000; i++) {
        testing_put_text(map, i % 2 == 0 ? "a" : "b", "value", 1000000 - i);
    }
    map_get_usage(map, &usage);
    assert_true(usage.buffer_bytes < 100000);
    uint64_t expiry_ms = 0;
    assert_true(map_next_expiry(map, &expiry_ms));
    assert_int_equal(expiry_ms, 1000000 - 20000);
    map_close(map);
}

struct seen {
    size_t count;
    uint64_t digest;
};

static void see(void *context, const uint8_t *key, size_t key_size, const struct map_value *value)
{
    struct seen *seen = context;
    seen->count++;
    seen->digest += map_record_hash(key, key_size, value);
}

static void scanning_past_deleted_keys_gives_up_early_and_gets_there(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    char key[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        testing_put_text(map, key, "v", 0);
    }
    testing_checkpoint(map);
    for (int i = 0; i < 4999; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        testing_delete(map, key);
    }
    struct seen seen = {0};
    uint64_t cursor = 0;
    size_t calls = 0;
    do {
        cursor = map_scan(map, cursor, 1, see, &seen);
        calls++;
        assert_true(calls < 6000);
    } while (cursor != 0);
    assert_int_equal(seen.count, 1);
    assert_true(calls > 10); /* bounded work per call */
    map_close(map);
}

static void a_scan_finds_what_stays_while_everything_else_changes(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    char key[32];
    uint64_t random = 3;
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "stays:%d", i);
        testing_put_text(map, key, "stays", 0);
    }
    testing_checkpoint(map);
    struct seen seen = {0};
    uint64_t cursor = 0;
    struct map_checkpoint *checkpoint = NULL;
    do {
        cursor = map_scan(map, cursor, 7, see, &seen);
        for (int i = 0; i < 20; i++) {
            snprintf(key, sizeof key, "comes:%d", (int)testing_random_below(&random, 100));
            if (testing_random_below(&random, 2) == 0) {
                testing_put_text(map, key, "comes", 0);
            } else {
                testing_delete(map, key);
            }
        }
        if (checkpoint == NULL) {
            checkpoint = map_freeze(map);
        } else {
            struct storage_error error;
            assert_ok(map_checkpoint_write(checkpoint, &error), error);
            map_checkpoint_finish(map, checkpoint);
            checkpoint = NULL;
        }
    } while (cursor != 0);
    assert_true(seen.count >= 300);
    map_close(map);
}

static void the_table_is_full_only_while_another_is_written(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    uint8_t bytes[10000] = {0};
    char key[32];
    for (int i = 0; i < 150; i++) {
        snprintf(key, sizeof key, "%d", i);
        testing_put(map, key, strlen(key), bytes, sizeof bytes, 0);
    }
    assert_false(map_is_full(map));
    struct storage_error error;
    struct map_checkpoint *checkpoint = map_freeze(map);
    assert_int_equal(map_checkpoint_index(checkpoint), 150);
    assert_false(map_is_full(map));
    for (int i = 0; i < 150; i++) {
        snprintf(key, sizeof key, "%d", i);
        testing_put(map, key, strlen(key), bytes, sizeof bytes, 0);
    }
    assert_true(map_is_full(map));
    assert_ok(map_checkpoint_write(checkpoint, &error), error);
    map_checkpoint_finish(map, checkpoint);
    assert_false(map_is_full(map));
    map_close(map);
}

static void pitfall_19_a_full_disk_map_refuses_the_checkpoint_and_goes_on(void **state)
{
    /* Pitfall 19: MDB_MAP_FULL loses nothing: reads go on, and a larger map takes everything after a restart.
     */
    struct map *map = testing_open_map(*state, 256 * 1024);
    uint8_t bytes[20000];
    memset(bytes, 5, sizeof bytes);
    testing_put_text(map, "small", "on disk", 0);
    testing_checkpoint(map);
    char key[32];
    for (int i = 0; i < 30; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        testing_put(map, key, strlen(key), bytes, sizeof bytes, 0);
    }
    struct storage_error error;
    struct map_checkpoint *checkpoint = map_freeze(map);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(map_checkpoint_write(checkpoint, &error), STORAGE_FULL);
    }
    assert_null(map_error(map));
    testing_assert_text(map, "small", "on disk");
    struct map_value value;
    assert_true(map_get(map, (const uint8_t *)"key:7", 5, &value));
    testing_put_text(map, "small", "newer", 0);
    testing_assert_text(map, "small", "newer");
    testing_assert_counts(map);
    map_close(map);
    map = testing_open_map(*state, TESTING_MAP_BYTES);
    assert_int_equal(map_get_meta(map)->applied_index, 1);
    testing_assert_text(map, "small", "on disk");
    testing_put(map, "key", 3, bytes, sizeof bytes, 0);
    testing_checkpoint(map);
    map_close(map);
}

static void pitfall_19_used_bytes_fall_when_keys_go(void **state)
{
    /* Pitfall 19: what a limit is compared with must come down again, or a full store stays full. */
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    uint8_t bytes[20000] = {0};
    char key[32];
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        testing_put(map, key, strlen(key), bytes, sizeof bytes, 0);
    }
    testing_checkpoint(map);
    struct map_usage full;
    map_get_usage(map, &full);
    assert_true(full.used_bytes >= 200 * sizeof bytes);
    testing_clear(map);
    testing_checkpoint(map);
    struct map_usage cleared;
    map_get_usage(map, &cleared);
    assert_true(cleared.used_bytes < full.used_bytes / 10);
    assert_true(cleared.file_bytes >= full.file_bytes);
    map_close(map);
}

static void pitfall_20_the_size_of_the_map_is_set_at_opening_and_stays(void **state)
{
    const size_t sizes[] = {4 << 20, 8 << 20};
    static uint8_t bytes[100000];
    char key[32];
    for (size_t i = 0; i < 2; i++) {
        struct map *map = testing_open_map(*state, sizes[i]);
        struct map_usage usage;
        map_get_usage(map, &usage);
        assert_int_equal(usage.map_bytes, sizes[i]);
        for (int j = 0; j < 10; j++) {
            snprintf(key, sizeof key, "key:%d:%d", (int)i, j);
            testing_put(map, key, strlen(key), bytes, sizeof bytes, 0);
        }
        testing_checkpoint(map);
        map_get_usage(map, &usage);
        assert_int_equal(usage.map_bytes, sizes[i]);
        map_close(map);
    }
}

/* All at once would keep the loop for tens of milliseconds. */
static void tables_that_were_dropped_are_given_back_bit_by_bit(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    static uint8_t bytes[1000000];
    char key[32];
    struct map_usage usage;
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        testing_put(map, key, strlen(key), bytes, sizeof bytes, 0);
        if (i % 8 == 0) {
            testing_clear(map);
        }
    }
    testing_clear(map);
    map_get_usage(map, &usage);
    assert_true(usage.buffer_bytes < 100000); /* they take no room in the file any more */
    assert_true(usage.dropped_bytes > 39000000);
    int steps = 0;
    for (; map_has_dropped(map); steps++) {
        uint64_t before = usage.dropped_bytes;
        map_release_some(map);
        map_get_usage(map, &usage);
        assert_true(before - usage.dropped_bytes < 18000000);
    }
    assert_int_equal(steps, 3);
    assert_int_equal(usage.dropped_bytes, 0);
    for (int i = 0; i < 3; i++) {
        testing_put(map, key, strlen(key), bytes, sizeof bytes, 0);
        testing_put(map, "k", 1, bytes, sizeof bytes, 0);
        testing_clear(map); /* closed before it is given back */
    }
    assert_true(map_has_dropped(map));
    map_close(map);
}

static void a_checkpoint_that_found_no_room_is_thawed_under_what_is_newer(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct map_value value;
    testing_put(map, "stored", 6, "old", 3, 0);
    testing_checkpoint(map);
    testing_put(map, "both", 4, "older", 5, 0);
    testing_put(map, "gone", 4, "x", 1, 0);
    testing_put(map, "only-frozen", 11, "f", 1, 0);
    uint64_t bytes = map_bytes_since_freeze(map);
    struct map_checkpoint *checkpoint = map_freeze(map);
    testing_put(map, "both", 4, "newer", 5, 0);
    testing_put(map, "only-active", 11, "a", 1, 0);
    testing_delete(map, "gone");
    testing_delete(map, "stored");
    uint64_t newer_bytes = map_bytes_since_freeze(map), digest = map_get_meta(map)->digest;
    assert_true(map_thaw(map, checkpoint));
    assert_false(map_has_frozen(map));
    assert_false(map_is_clean(map));
    assert_int_equal(map_bytes_since_freeze(map), bytes + newer_bytes);
    for (int i = 0; i < 2; i++) {
        assert_true(map_get(map, (const uint8_t *)"both", 4, &value));
        assert_memory_equal(value.bytes, "newer", 5);
        assert_true(map_get(map, (const uint8_t *)"only-frozen", 11, &value));
        assert_true(map_get(map, (const uint8_t *)"only-active", 11, &value));
        assert_false(map_get(map, (const uint8_t *)"gone", 4, &value));
        assert_false(map_get(map, (const uint8_t *)"stored", 6, &value));
        assert_int_equal(map_get_meta(map)->key_count, 3);
        assert_int_equal(map_get_meta(map)->digest, digest);
        testing_checkpoint(map); /* and the same from the file */
    }
    testing_put(map, "k", 1, "v", 1, 0);
    checkpoint = map_freeze(map);
    testing_clear(map);
    testing_put(map, "after", 5, "v", 1, 0);
    assert_true(map_thaw(map, checkpoint));
    testing_checkpoint(map);
    assert_int_equal(map_get_meta(map)->key_count, 1);
    assert_true(map_get(map, (const uint8_t *)"after", 5, &value));
    assert_false(map_get(map, (const uint8_t *)"k", 1, &value));
    assert_false(map_get(map, (const uint8_t *)"both", 4, &value));
    static uint8_t large[1000000];
    char key[16];
    for (int i = 0; i < 9; i++) {
        snprintf(key, sizeof key, "%d", i);
        testing_put(map, key, strlen(key), large, sizeof large, 0);
    }
    checkpoint = map_freeze(map);
    assert_false(map_thaw(map, checkpoint)); /* it would keep the loop for long */
    assert_true(map_has_frozen(map));
    map_close(map);
}

/* A turn may apply tens of thousands of them. */
static void clearing_what_is_empty_again_and_again_takes_no_memory(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct map_usage usage;
    for (int i = 0; i < 1000; i++) {
        testing_put(map, "k", 1, "v", 1, 0);
        testing_clear(map);
    }
    map_get_usage(map, &usage);
    assert_true(usage.buffer_bytes + usage.dropped_bytes < 100000);
    uint64_t work_bytes = map_work_bytes(map);
    testing_clear(map);
    assert_true(map_work_bytes(map) > work_bytes); /* so a turn ends some time */
    map_close(map);
}

static void pitfall_21_readers_are_renewed_so_that_the_file_does_not_grow(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    uint8_t bytes[50000] = {0};
    struct map_usage usage;
    for (int i = 0; i < 200; i++) {
        bytes[0] = (uint8_t)i;
        testing_put(map, "k", 1, bytes, sizeof bytes, 0);
        testing_checkpoint(map);
    }
    map_get_usage(map, &usage);
    assert_true(usage.file_bytes < 20 * sizeof bytes);
    map_close(map);
}

static void pitfall_24_unsafe_flags_are_never_on(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    unsigned flags = 0;
    assert_int_equal(mdb_env_get_flags(map->store->environment, &flags), 0);
    assert_int_equal(flags & (MDB_NOSYNC | MDB_NOMETASYNC | MDB_MAPASYNC | MDB_WRITEMAP | MDB_NOLOCK), 0);
    assert_int_equal(flags & (MDB_NOTLS | MDB_NORDAHEAD), MDB_NOTLS | MDB_NORDAHEAD);
    map_close(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(a_new_map_is_empty),
        testing_in_directory(values_are_found_in_every_layer),
        testing_in_directory(pitfall_11_meta_and_data_are_of_the_same_entry_after_a_crash),
        testing_in_directory(meta_survives_whole),
        testing_in_directory(pitfall_23_keys_of_0_and_510_bytes_and_every_byte_work),
        testing_in_directory(values_of_0_bytes_to_8_mebibytes_work),
        testing_in_directory(a_value_may_be_put_from_the_bytes_of_a_found_one),
        testing_in_directory(deletions_hide_what_is_below),
        testing_in_directory(a_frozen_key_may_be_deleted_while_it_is_written),
        testing_in_directory(clearing_hides_everything_at_once),
        testing_in_directory(expiry_changes_keep_the_bytes),
        testing_in_directory(pitfall_30_purging_takes_the_earliest_of_all_layers_in_order),
        testing_in_directory(a_key_written_over_and_over_with_an_expiry_does_not_fill_memory),
        testing_in_directory(scanning_past_deleted_keys_gives_up_early_and_gets_there),
        testing_in_directory(a_scan_finds_what_stays_while_everything_else_changes),
        testing_in_directory(the_table_is_full_only_while_another_is_written),
        testing_in_directory(pitfall_19_a_full_disk_map_refuses_the_checkpoint_and_goes_on),
        testing_in_directory(pitfall_19_used_bytes_fall_when_keys_go),
        testing_in_directory(pitfall_20_the_size_of_the_map_is_set_at_opening_and_stays),
        testing_in_directory(clearing_what_is_empty_again_and_again_takes_no_memory),
        testing_in_directory(a_checkpoint_that_found_no_room_is_thawed_under_what_is_newer),
        testing_in_directory(tables_that_were_dropped_are_given_back_bit_by_bit),
        testing_in_directory(pitfall_21_readers_are_renewed_so_that_the_file_does_not_grow),
        testing_in_directory(pitfall_24_unsafe_flags_are_never_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
