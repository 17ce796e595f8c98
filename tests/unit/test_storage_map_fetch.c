/* Unit tests of map_fetch.c: what is fetched is in memory afterwards, and nothing else changes. */
#include "map_fetch.h"

#include "map_internal.h"
#include "storage_testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

static const uint8_t key[] = "key";
enum { KEY_BYTES = 3, LARGE_BYTES = 400 * 1000 };
static uint8_t large[LARGE_BYTES];

static void what_a_table_knows_is_in_memory(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    assert_false(map_is_in_memory(map, key, KEY_BYTES)); /* that it is absent only the disk says */
    testing_put(map, "key", KEY_BYTES, "value", 5, 0);
    assert_true(map_is_in_memory(map, key, KEY_BYTES));
    struct map_checkpoint *checkpoint = map_freeze(map);
    struct storage_error error;
    assert_true(map_is_in_memory(map, key, KEY_BYTES)); /* in the frozen table */
    assert_ok(map_checkpoint_write(checkpoint, &error), error);
    map_checkpoint_finish(map, checkpoint);
    assert_false(map_is_in_memory(map, key, KEY_BYTES));
    (void)testing_delete(map, "key");
    assert_true(map_is_in_memory(map, key, KEY_BYTES)); /* as deleted */
    map_close(map);
}

static void all_is_in_memory_once_everything_is_cleared(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    testing_put(map, "key", KEY_BYTES, "value", 5, 0);
    testing_checkpoint(map);
    testing_clear(map);
    assert_true(map_is_in_memory(map, key, KEY_BYTES));
    assert_true(map_is_in_memory(map, (const uint8_t *)"other", 5));
    map_close(map);
}

static void fetching_changes_nothing(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct map_fetch one, two;
    struct map_value value;
    testing_put(map, "key", KEY_BYTES, "value", 5, 0);
    testing_put(map, "", 0, large, LARGE_BYTES, 0);
    testing_checkpoint(map);
    assert_true(map_fetch_begin(&one, map));
    assert_true(map_fetch_begin(&two, map)); /* several at a time */
    for (int whole = 0; whole < 2; whole++) {
        map_fetch_key(&one, key, KEY_BYTES, whole == 1);
        map_fetch_key(&two, NULL, 0, whole == 1);
        map_fetch_key(&one, (const uint8_t *)"absent", 6, whole == 1);
    }
    testing_put(map, "key", KEY_BYTES, "new", 3, 0);
    testing_checkpoint(map); /* beside them */
    map_fetch_key(&one, key, KEY_BYTES, true);
    map_fetch_end(&one);
    map_fetch_end(&two);
    assert_true(map_get(map, key, KEY_BYTES, &value));
    assert_int_equal(value.size, 3);
    assert_null(map_error(map));
    map_close(map);
}

/* Pages of the file that the process has mapped now. */
static size_t count_mapped(const struct map_value *value)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 0;
    size_t before = (uintptr_t)value->bytes % page;
    static unsigned char seen[LARGE_BYTES / 4096 + 2];
    assert_int_equal(mincore((void *)(uintptr_t)(value->bytes - before), value->size + before, seen), 0);
    for (size_t i = 0; i < (value->size + before + page - 1) / page; i++) {
        count += seen[i] & 1;
    }
    return count;
}

/* The file's pages are let go of, as far as the system does that when it is asked. */
static void what_was_fetched_is_in_memory(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct map_value value;
    struct map_fetch fetch;
    int file = -1;
    testing_put(map, "key", KEY_BYTES, large, LARGE_BYTES, 0);
    testing_checkpoint(map);
    assert_true(map_get(map, key, KEY_BYTES, &value));
    size_t before = (uintptr_t)value.bytes % (size_t)sysconf(_SC_PAGESIZE);
    assert_int_equal(madvise((void *)(uintptr_t)(value.bytes - before), value.size + before, MADV_DONTNEED),
                     0);
    assert_int_equal(mdb_env_get_fd(map->store->environment, &file), 0);
    assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    if (count_mapped(&value) > LARGE_BYTES / 4096 / 2) {
        map_close(map);
        skip(); /* a file system in memory */
    }
    assert_true(map_fetch_begin(&fetch, map));
    map_fetch_key(&fetch, key, KEY_BYTES, false);
    assert_in_range(count_mapped(&value), 0, LARGE_BYTES / 4096 / 2); /* the header only */
    map_fetch_key(&fetch, key, KEY_BYTES, true);
    map_fetch_end(&fetch);
    assert_in_range(count_mapped(&value), LARGE_BYTES / 4096, LARGE_BYTES / 4096 + 2);
    map_close(map);
}

struct fetcher {
    struct map *map;
    atomic_bool stop;
    atomic_uint rounds;
};

static void *fetch_again_and_again(void *context)
{
    struct fetcher *fetcher = context;
    while (!atomic_load(&fetcher->stop)) {
        struct map_fetch fetch;
        if (!map_fetch_begin(&fetch, fetcher->map)) {
            continue;
        }
        for (int i = 0; i < 100; i++) {
            char name[20];
            int size = snprintf(name, sizeof name, "key%d", i);
            map_fetch_key(&fetch, (const uint8_t *)name, (size_t)size, i % 2 == 0);
        }
        map_fetch_end(&fetch);
        atomic_fetch_add(&fetcher->rounds, 1);
    }
    return NULL;
}

static void threads_fetch_while_the_map_is_written(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct fetcher fetcher = {.map = map};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, fetch_again_and_again, &fetcher), 0);
    }
    for (int round = 0; round < 30 || atomic_load(&fetcher.rounds) < 30; round++) {
        char name[20];
        for (int i = round % 3; i < 100; i += 3) {
            int size = snprintf(name, sizeof name, "key%d", i);
            testing_put(map, name, (size_t)size, large, 1 + (size_t)i * 50, 0);
        }
        testing_checkpoint(map);
    }
    atomic_store(&fetcher.stop, true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    uint64_t keys, digest;
    map_recount(map, &keys, &digest);
    assert_int_equal(keys, 100);
    assert_true(digest == map_get_meta(map)->digest);
    map_close(map);
}

static void a_map_that_is_broken_is_not_read(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct map_fetch fetch;
    map_store_break(map->store, "broken by a test");
    assert_false(map_fetch_begin(&fetch, map));
    map_close(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(what_a_table_knows_is_in_memory),
        testing_in_directory(all_is_in_memory_once_everything_is_cleared),
        testing_in_directory(fetching_changes_nothing),
        testing_in_directory(what_was_fetched_is_in_memory),
        testing_in_directory(threads_fetch_while_the_map_is_written),
        testing_in_directory(a_map_that_is_broken_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
