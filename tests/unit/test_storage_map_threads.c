/* test_storage_map_threads.c: checkpoints written on a thread of their own while the map is read and changed,
 * and the log read by one thread while another writes. Worth most under the thread sanitizer (make V=tsan).
 */
#include "storage_testing.h"

#include <pthread.h>
#include <stdatomic.h>

enum { ROUNDS = 15, KEYS_COUNT = 400 };

struct writer {
    struct map_checkpoint *checkpoint;
    enum storage_status status;
    struct storage_error error;
    atomic_bool done;
};

static void *write_checkpoint(void *context)
{
    struct writer *writer = context;
    writer->status = map_checkpoint_write(writer->checkpoint, &writer->error);
    atomic_store(&writer->done, true);
    return NULL;
}

static void count_one(void *context, const uint8_t *key, size_t key_size, const struct map_value *value)
{
    size_t *count = context;
    (void)key;
    (void)key_size;
    (void)value;
    (*count)++;
}

static void use_map(struct map *map, uint64_t *random)
{
    char key[32];
    char text[200];
    snprintf(key, sizeof key, "key:%d", (int)testing_random_below(random, KEYS_COUNT));
    memset(text, 'x', sizeof text);
    text[1 + testing_random_below(random, sizeof text - 1)] = '\0';
    text[sizeof text - 1] = '\0';
    uint64_t choice = testing_random_below(random, 100);
    if (choice < 60) {
        testing_put_text(map, key, text, choice < 30 ? 0 : map_get_meta(map)->applied_index + 50);
    } else if (choice < 75) {
        testing_delete(map, key);
    } else if (choice < 80) {
        testing_purge(map, map_get_meta(map)->applied_index, 5);
    } else if (choice < 81) {
        testing_clear(map);
    } else if (choice < 90) {
        struct map_value value;
        map_get(map, (const uint8_t *)key, strlen(key), &value);
    } else {
        size_t count = 0;
        uint64_t expiry_ms = 0;
        map_scan(map, testing_random(random), 10, count_one, &count);
        map_next_expiry(map, &expiry_ms);
        struct map_usage usage;
        map_get_usage(map, &usage);
        assert_null(map_error(map));
    }
}

static void the_map_goes_on_while_a_checkpoint_is_written(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    uint64_t random = 11;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 300; i++) {
            use_map(map, &random);
        }
        struct writer writer = {.checkpoint = map_freeze(map)};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, write_checkpoint, &writer), 0);
        do {
            use_map(map, &random);
        } while (!atomic_load(&writer.done));
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_ok(writer.status, writer.error);
        use_map(map, &random);
        map_checkpoint_finish(map, writer.checkpoint);
        testing_assert_counts(map);
    }
    map_close(map);
    map = testing_open_map(*state, TESTING_MAP_BYTES);
    testing_assert_counts(map);
    map_close(map);
}

struct log_reader {
    struct log_store *store;
    atomic_bool stop;
    size_t entries_count;
    bool good;
};

static void check_entry(void *context, const struct log_entry *entry)
{
    struct log_reader *reader = context;
    reader->entries_count++;
    reader->good = reader->good && entry->size == 100 && entry->bytes[0] == (uint8_t)entry->id.index;
}

static void *read_log(void *context)
{
    struct log_reader *reader = context;
    while (!atomic_load(&reader->stop) || (reader->good && reader->entries_count == 0)) {
        struct log_store_state found;
        struct log_store_usage usage;
        struct storage_error error;
        log_store_get_state(reader->store, &found);
        log_store_get_usage(reader->store, &usage);
        if (found.last.index > found.base.index &&
            log_store_read(reader->store, found.base.index + 1, found.last.index, 5000, check_entry, reader,
                           &error) != STORAGE_OK) {
            reader->good = false;
        }
    }
    return NULL;
}

static void the_log_is_read_while_it_is_written(void **state)
{
    struct log_store *store = testing_open_log(*state, TESTING_MAP_BYTES);
    struct log_reader reader = {.store = store, .good = true};
    struct storage_error error = {{0}};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_log, &reader), 0);
    for (uint64_t index = 1; index <= 300; index++) {
        uint8_t bytes[100];
        memset(bytes, (uint8_t)index, sizeof bytes);
        const struct log_entry entry = {
            .id = {.term = 1, .index = index}, .bytes = bytes, .size = sizeof bytes};
        const struct log_write write = {.entries = &entry,
                                        .entries_count = 1,
                                        .compact_to = index > 50 ? index - 50 : 0,
                                        .compact_entries_max = 10};
        assert_ok(log_store_write(store, &write, &error), error);
    }
    atomic_store(&reader.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(reader.good);
    assert_true(reader.entries_count > 0);
    log_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(the_map_goes_on_while_a_checkpoint_is_written),
        testing_in_directory(the_log_is_read_while_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
