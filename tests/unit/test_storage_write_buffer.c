/* test_storage_write_buffer.c: one table of the write buffer: order, growth, expiry. */
#include "map_record.h"
#include "storage_testing.h"
#include "write_buffer.h"

static struct map_value make_value(const void *bytes, size_t size, uint64_t expiry_ms)
{
    return (struct map_value){.type = MAP_VALUE_STRING, .expiry_ms = expiry_ms, .bytes = bytes, .size = size};
}

static void put(struct write_buffer *buffer, uint64_t hash, const char *key, const char *text,
                uint64_t expiry_ms)
{
    struct map_value value = make_value(text, strlen(text), expiry_ms);
    write_buffer_put(buffer, hash, (const uint8_t *)key, strlen(key), &value, hash);
}

static struct write_buffer_entry *find(struct write_buffer *buffer, uint64_t hash, const char *key)
{
    return write_buffer_find(buffer, hash, (const uint8_t *)key, strlen(key));
}

static void slots_stay_in_order_while_the_table_grows(void **state)
{
    (void)state;
    struct write_buffer *buffer = write_buffer_create(false);
    uint64_t random = 1;
    uint64_t hashes[3000];
    char key[32];
    for (size_t i = 0; i < 3000; i++) {
        /* Some hashes lie close together, some are at the very ends. */
        hashes[i] = i % 3 == 0   ? testing_random_below(&random, 50)
                    : i % 3 == 1 ? UINT64_MAX - testing_random_below(&random, 50)
                                 : testing_random(&random);
        snprintf(key, sizeof key, "%d", (int)i);
        put(buffer, hashes[i], key, "v", 0);
    }
    assert_int_equal(buffer->entries_count, 3000);
    for (size_t i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "%d", (int)i);
        assert_non_null(find(buffer, hashes[i], key));
        assert_null(find(buffer, hashes[i], "absent"));
    }
    size_t slot = write_buffer_seek(buffer, 0);
    size_t count = 0;
    const struct write_buffer_slot *before = NULL;
    const struct write_buffer_slot *found = NULL;
    while ((found = write_buffer_next(buffer, &slot)) != NULL) {
        if (before != NULL) {
            assert_true(before->hash < found->hash ||
                        (before->hash == found->hash &&
                         map_key_compare(before->entry->key, before->entry->key_size, found->entry->key,
                                         found->entry->key_size) < 0));
        }
        before = found;
        count++;
        slot++;
    }
    assert_int_equal(count, 3000);
    for (size_t i = 0; i < 3000; i += 7) {
        slot = write_buffer_seek(buffer, hashes[i]);
        assert_int_equal(write_buffer_next(buffer, &slot)->hash, hashes[i]);
    }
    write_buffer_destroy(buffer);
}

static void keys_of_one_hash_are_kept_apart(void **state)
{
    (void)state;
    struct write_buffer *buffer = write_buffer_create(false);
    char key[32];
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "%d", i);
        put(buffer, UINT64_MAX, key, key, 0);
    }
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "%d", i);
        const struct write_buffer_entry *entry = find(buffer, UINT64_MAX, key);
        assert_int_equal(entry->value_size, strlen(key));
        assert_memory_equal(entry->value, key, strlen(key));
    }
    write_buffer_destroy(buffer);
}

static void sorting_gives_all_entries_by_key(void **state)
{
    (void)state;
    struct write_buffer *buffer = write_buffer_create(false);
    assert_null(write_buffer_sort(buffer));
    put(buffer, 3, "b", "", 0);
    put(buffer, 1, "ba", "", 0);
    put(buffer, 2, "", "", 0);
    write_buffer_delete(buffer, 9, (const uint8_t *)"a\xff", 2);
    const struct write_buffer_slot **sorted = write_buffer_sort(buffer);
    const uint64_t expected[] = {2, 9, 3, 1};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(sorted[i]->hash, expected[i]);
    }
    free(sorted);
    write_buffer_destroy(buffer);
}

static void tombstones_stay_and_may_come_to_life(void **state)
{
    (void)state;
    struct write_buffer *buffer = write_buffer_create(false);
    put(buffer, 5, "k", "value", 10);
    write_buffer_delete(buffer, 5, (const uint8_t *)"k", 1);
    assert_true(find(buffer, 5, "k")->deleted);
    assert_null(write_buffer_first_expiry(buffer));
    put(buffer, 5, "k", "again", 10);
    assert_false(find(buffer, 5, "k")->deleted);
    assert_int_equal(write_buffer_first_expiry(buffer)->expiry_ms, 10);
    assert_int_equal(buffer->entries_count, 1);
    write_buffer_destroy(buffer);
}

static void overwriting_in_place_costs_no_memory(void **state)
{
    (void)state;
    struct write_buffer *buffer = write_buffer_create(false);
    put(buffer, 5, "k", "0123456789", 0);
    size_t bytes = write_buffer_bytes(buffer);
    for (int i = 0; i < 10000; i++) {
        put(buffer, 5, "k", i % 2 == 0 ? "short" : "9876543210", 0);
    }
    assert_int_equal(write_buffer_bytes(buffer), bytes);
    write_buffer_destroy(buffer);
}

static void large_values_give_their_memory_back(void **state)
{
    (void)state;
    struct write_buffer *buffer = write_buffer_create(false);
    uint8_t *bytes = calloc(1, MAP_VALUE_BYTES_MAX);
    for (size_t i = 0; i < 50; i++) {
        struct map_value value = make_value(bytes, 1000000 + i * 100000, 0);
        write_buffer_put(buffer, 5, (const uint8_t *)"k", 1, &value, 0);
    }
    assert_true(write_buffer_bytes(buffer) < 10 * 1000000);
    put(buffer, 5, "k", "small", 0);
    assert_true(write_buffer_bytes(buffer) < 100000);
    struct map_value value = make_value(bytes, MAP_VALUE_BYTES_MAX, 0);
    write_buffer_put(buffer, 5, (const uint8_t *)"k", 1, &value, 0);
    write_buffer_delete(buffer, 5, (const uint8_t *)"k", 1);
    assert_true(write_buffer_bytes(buffer) < 100000);
    free(bytes);
    write_buffer_destroy(buffer);
}

static void growing_by_little_does_not_copy_each_time(void **state)
{
    /* APPEND of one byte, over and over. */
    (void)state;
    struct write_buffer *buffer = write_buffer_create(false);
    uint8_t bytes[20000] = {0};
    for (size_t size = 1; size < sizeof bytes; size++) {
        struct map_value value = make_value(bytes, size, 0);
        write_buffer_put(buffer, 5, (const uint8_t *)"k", 1, &value, 0);
    }
    assert_true(write_buffer_bytes(buffer) < 400000);
    write_buffer_destroy(buffer);
}

static void expiries_come_in_the_order_of_time_and_key(void **state)
{
    (void)state;
    struct write_buffer *buffer = write_buffer_create(false);
    uint64_t random = 9;
    char key[32];
    /* Each key changes its expiry a few times, so that most of the heap is stale. */
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 500; i++) {
            snprintf(key, sizeof key, "%d", i);
            put(buffer, (uint64_t)i, key, "v", testing_random_below(&random, 20));
        }
    }
    size_t expiring = buffer->expiring_count;
    assert_true(buffer->heap_count <= 2 * expiring + 64);
    uint64_t time = 0;
    const struct write_buffer_entry *before = NULL;
    const struct write_buffer_entry *entry = NULL;
    size_t count = 0;
    while ((entry = write_buffer_first_expiry(buffer)) != NULL) {
        assert_true(entry->expiry_ms >= time);
        if (before != NULL && entry->expiry_ms == time) {
            assert_true(map_key_compare(before->key, before->key_size, entry->key, entry->key_size) < 0);
        }
        time = entry->expiry_ms;
        before = entry;
        snprintf(key, sizeof key, "%.*s", (int)entry->key_size, (const char *)entry->key);
        write_buffer_delete(buffer, strtoull(key, NULL, 10), (const uint8_t *)key, strlen(key));
        count++;
    }
    assert_int_equal(count, expiring);
    write_buffer_destroy(buffer);
}

static void a_table_is_destroyed_bit_by_bit(void **state)
{
    (void)state;
    static char text[100001]; /* large values: allocations of their own */
    char key[32];
    struct write_buffer *buffer = write_buffer_create(false);
    memset(text, 'x', sizeof text - 1);
    for (size_t i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "%d", (int)i);
        put(buffer, i << 48, key, i % 200 == 0 ? text : "a value of some bytes", 0);
    }
    size_t before = write_buffer_bytes(buffer), steps = 1;
    assert_true(before > 12000000);
    while (write_buffer_destroy_some(&buffer, 2000000) > 0 && buffer != NULL) {
        size_t now = write_buffer_bytes(buffer);
        assert_true(now < before && before - now < 2000000 + 1100000); /* and a last piece */
        before = now;
        steps++;
    }
    assert_in_range(steps, 4, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_stay_in_order_while_the_table_grows),
        cmocka_unit_test(keys_of_one_hash_are_kept_apart),
        cmocka_unit_test(sorting_gives_all_entries_by_key),
        cmocka_unit_test(tombstones_stay_and_may_come_to_life),
        cmocka_unit_test(overwriting_in_place_costs_no_memory),
        cmocka_unit_test(large_values_give_their_memory_back),
        cmocka_unit_test(growing_by_little_does_not_copy_each_time),
        cmocka_unit_test(expiries_come_in_the_order_of_time_and_key),
        cmocka_unit_test(a_table_is_destroyed_bit_by_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
