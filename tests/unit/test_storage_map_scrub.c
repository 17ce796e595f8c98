/* Unit tests of map_scrub.c: what a disk altered is found and named, and nothing else is (pitfall 27). */
#include "flipped_bit.h"
#include "map_internal.h"
#include "map_scrub_internal.h"

#include <fcntl.h>
#include <unistd.h>

static uint8_t bytes[30000];

/* One slice: nothing is wrong. True: the pass is over. */
static bool scrub_slice(struct map *map, uint64_t work_bytes)
{
    struct map_scrub_slice slice;
    struct storage_error error = {{0}};
    assert_ok(map_scrub_run(map, work_bytes, &slice, &error), error);
    if (slice.is_damaged) {
        fail_msg("%s", slice.damage.text);
    }
    return slice.is_pass_over;
}

static void put_number(struct map *map, int number, size_t size, uint64_t expiry_ms)
{
    char key[32];
    int length = snprintf(key, sizeof key, "key:%d", number);
    testing_put(map, key, (size_t)length, bytes, size, expiry_ms);
}

static void a_sound_map_is_walked_to_its_end_in_slices(void **state)
{
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    assert_false(scrub_slice(map, 1000)); /* an empty one too: a slice for each table */
    assert_false(scrub_slice(map, 1000));
    assert_true(scrub_slice(map, 1000));
    for (int i = 0; i < 300; i++) {
        put_number(map, i, (size_t)i * 10, i % 3 == 0 ? 1000 + (uint64_t)i % 5 : 0);
    }
    testing_put(map, "", 0, "empty key", 9, 0);
    testing_checkpoint(map);
    for (uint64_t work = 1; work <= 1000000; work *= 10) {
        int slices = 1;
        while (!scrub_slice(map, work)) {
            slices++;
        }
        assert_in_range(slices, 3, 301 * 2 + 100 + 3);
        assert_true(work > 1 || slices == 301 * 2 + 100 + 3); /* one key at least */
    }
    map_close(map);
}

static void change_at_random(struct map *map, uint64_t *random)
{
    uint64_t count = 1 + testing_random_below(random, 30);
    for (uint64_t i = 0; i < count; i++) {
        int number = (int)testing_random_below(random, 150);
        if (testing_random_below(random, 3) == 0) {
            char key[32];
            snprintf(key, sizeof key, "key:%d", number);
            (void)testing_delete(map, key);
        } else {
            size_t limit = testing_random_below(random, 10) == 0 ? sizeof bytes : 200;
            uint64_t expiry = testing_random_below(random, 3) == 0 ? 1 + testing_random_below(random, 4) : 0;
            put_number(map, number, testing_random_below(random, limit), expiry);
        }
    }
    if (testing_random_below(random, 40) == 0) {
        testing_clear(map);
    }
}

static void pitfall_27_changes_between_slices_are_not_taken_for_damage(void **state)
{
    int passes = 0;
    for (uint64_t seed = 0; seed < 8; seed++) {
        char name[16];
        snprintf(name, sizeof name, "%d", (int)seed);
        char *path = temp_directory_join(*state, name);
        struct map *map = testing_open_map(path, 4 * 1024 * 1024);
        uint64_t random = seed;
        for (int i = 0; i < 400; i++) {
            change_at_random(map, &random);
            struct map_checkpoint *checkpoint = map_freeze(map);
            if (testing_random_below(&random, 4) == 0) {
                /* One that is given up at its end, for its meta does not fit: its changes were none. */
                struct storage_error error;
                struct map_meta *wrong = malloc(sizeof *wrong);
                *wrong = checkpoint->meta;
                wrong->key_count += 1;
                assert_int_equal(
                    map_store_write(map->store, checkpoint->buffer, wrong, &checkpoint->need, &error),
                    STORAGE_CORRUPT);
                free(wrong);
                atomic_store(&map->store->write_failed, false);
            }
            struct storage_error error = {{0}};
            assert_ok(map_checkpoint_write(checkpoint, &error), error);
            map_checkpoint_finish(map, checkpoint);
            for (uint64_t slices = testing_random_below(&random, 4); slices > 0; slices--) {
                passes += scrub_slice(map, testing_random_below(&random, 20000)) ? 1 : 0;
            }
        }
        map_close(map);
        free(path);
    }
    assert_true(passes > 50);
}

/* ---- damage ---- */

enum { KEYS = 120 };

static size_t value_size(int number)
{
    return number % 10 == 0 ? 9000 : (size_t)number % 50 + 20;
}

static void make_map(const char *directory)
{
    struct map *map = testing_open_map(directory, TESTING_MAP_BYTES);
    for (int i = 0; i < KEYS; i++) {
        memset(bytes, 'A' + i % 20, sizeof bytes);
        put_number(map, i, value_size(i), i % 4 == 0 ? 5000 + (uint64_t)i : 0);
    }
    testing_checkpoint(map);
    map_close(map);
}

static void flip(const char *directory, off_t offset, int bit)
{
    char *path = temp_directory_join(directory, "data.mdb");
    int file = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte = 0;
    assert_int_equal(pread(file, &byte, 1, offset), 1);
    byte = (uint8_t)(byte ^ 1 << bit);
    assert_int_equal(pwrite(file, &byte, 1, offset), 1);
    close(file);
    free(path);
}

/* Where these bytes stand in the file from `from` on; -1: nowhere. */
static off_t find_in_file(const char *directory, off_t from, const void *wanted, size_t size)
{
    char *path = temp_directory_join(directory, "data.mdb");
    int file = open(path, O_RDONLY | O_CLOEXEC);
    off_t end = lseek(file, 0, SEEK_END);
    uint8_t *content = malloc((size_t)end);
    assert_non_null(content);
    assert_int_equal(pread(file, content, (size_t)end, 0), end);
    const uint8_t *at = memmem(content + from, (size_t)(end - from), wanted, size);
    off_t found = at == NULL ? -1 : at - content;
    free(content);
    close(file);
    free(path);
    return found;
}

static struct map *try_open(const char *directory, struct storage_error *error)
{
    struct map *map = NULL;
    const struct map_options options = {
        .directory = directory, .map_bytes = TESTING_MAP_BYTES, .buffer_bytes_max = 1024 * 1024};
    return map_open(&options, &map, error) == STORAGE_OK ? map : NULL;
}

/* What opening or a whole pass says of the map; "" if nothing. Asserts nothing: children call it too. */
static const char *scrub_all(const char *directory)
{
    static char said[600];
    struct map_scrub_slice slice = {0};
    struct storage_error error = {{0}};
    struct map *map = try_open(directory, &error);
    said[0] = '\0';
    if (map == NULL) {
        snprintf(said, sizeof said, "%s", error.text);
        return said;
    }
    while (!slice.is_pass_over && said[0] == '\0') {
        if (map_scrub_run(map, 3000, &slice, &error) != STORAGE_OK) {
            snprintf(said, sizeof said, "%s", error.text);
        } else if (slice.is_damaged) {
            snprintf(said, sizeof said, "%s", slice.damage.text);
        }
    }
    map_close(map);
    return said;
}

static void pitfall_27_a_bit_that_flips_in_a_value_is_found_wherever_it_is(void **state)
{
    make_map(*state);
    assert_string_equal(scrub_all(*state), "");
    const int numbers[] = {0, 7, 50, KEYS - 1}; /* large ones and small ones */
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        uint8_t value[10];
        memset(value, 'A' + numbers[i] % 20, sizeof value);
        off_t offset = find_in_file(*state, 0, value, sizeof value);
        assert_true(offset > 0);
        for (int bit = 0; bit < 8; bit++) {
            flip(*state, offset + bit, bit);
            assert_non_null(strstr(scrub_all(*state), "has a damaged value (wrong checksum)"));
            flip(*state, offset + bit, bit);
        }
    }
    assert_string_equal(scrub_all(*state), "");
}

static bool has_key(const char *directory, const char *key)
{
    struct storage_error error;
    struct map_value value;
    struct map *map = try_open(directory, &error);
    assert_non_null(map);
    bool found = map_get(map, (const uint8_t *)key, strlen(key), &value);
    map_close(map);
    return found;
}

static void pitfall_27_a_bit_that_flips_in_a_key_or_an_index_is_found(void **state)
{
    make_map(*state);
    int places = 0;
    int absent = 0;
    for (off_t at = 0; (at = find_in_file(*state, at, "kkey:64", 7)) >= 0; at++) {
        flip(*state, at + 5, 0);
        const char *said = scrub_all(*state);
        assert_true(said[0] != '\0');
        if (!has_key(*state, "key:64")) { /* it reads as absent: it is not enough to name what is there */
            assert_non_null(strstr(said, "found by scrubbing"));
            absent++;
        }
        flip(*state, at + 5, 0);
        places++;
    }
    assert_true(places >= 3); /* `data`, `scan`, `expiry` */
    assert_true(absent >= 1);
    assert_string_equal(scrub_all(*state), "");
}

static enum flipped_bit try_flip(const char *directory)
{
    enum flipped_bit result = FLIPPED_BIT_FOUND;
    if (scrub_all(directory)[0] == '\0') {
        struct storage_error error;
        struct map *map = try_open(directory, &error);
        result = FLIPPED_BIT_HARMLESS;
        for (int i = 0; i < KEYS; i++) {
            char key[32];
            struct map_value value;
            int length = snprintf(key, sizeof key, "key:%d", i);
            memset(bytes, 'A' + i % 20, sizeof bytes);
            if (!map_get(map, (const uint8_t *)key, (size_t)length, &value) || value.size != value_size(i) ||
                memcmp(value.bytes, bytes, value.size) != 0) {
                result = FLIPPED_BIT_UNNOTICED;
            }
        }
        uint64_t expiry = 0;
        result = map_next_expiry(map, &expiry) && expiry == 5000 ? result : FLIPPED_BIT_UNNOTICED;
    }
    return result;
}

static void pitfall_27_any_bit_that_flips_is_found_or_does_no_harm(void **state)
{
    make_map(*state);
    uint64_t random = 1;
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct map_usage usage;
    map_get_usage(map, &usage);
    map_close(map);
    int found = 0;
    int harmless = 0;
    for (int i = 0; i < 600; i++) {
        off_t offset = (off_t)(8192 + testing_random_below(&random, usage.file_bytes - 8192));
        int bit = (int)testing_random_below(&random, 8);
        flip(*state, offset, bit);
        enum flipped_bit result = flipped_bit_try(try_flip, *state);
        flip(*state, offset, bit);
        if (result == FLIPPED_BIT_UNNOTICED) {
            fail_msg("bit %d of byte %lld flipped, and nobody noticed", bit, (long long)offset);
        }
        harmless += result == FLIPPED_BIT_HARMLESS ? 1 : 0;
        found += result == FLIPPED_BIT_FOUND ? 1 : 0;
    }
    print_message("%d found, %d harmless\n", found, harmless);
    assert_true(found > 100);
    assert_true(harmless > 100); /* pages that are not in use, and the free part of those that are */
    assert_string_equal(scrub_all(*state), "");
}

/* A page of LMDB 0.9: number (8), padding (2), flags (2), where its free part begins and ends (2, 2). */
enum { PAGE_BYTES = 4096, PAGE_BRANCH = 1, PAGE_FLAGS_AT = 10, PAGE_FREE_AT = 12, PAGE_HEAD_BYTES = 16 };

/* The order of the leaves is not what a key is looked for by. */
static void pitfall_27_any_bit_that_flips_in_a_branch_is_found_or_does_no_harm(void **state)
{
    make_map(*state);
    char *path = temp_directory_join(*state, "data.mdb");
    int file = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t page[PAGE_BYTES];
    int found = 0;
    for (off_t at = 0; pread(file, page, sizeof page, at) == (ssize_t)sizeof page; at += PAGE_BYTES) {
        size_t low = page[PAGE_FREE_AT] | (size_t)page[PAGE_FREE_AT + 1] << 8;
        size_t high = page[PAGE_FREE_AT + 2] | (size_t)page[PAGE_FREE_AT + 3] << 8;
        if ((page[PAGE_FLAGS_AT] | page[PAGE_FLAGS_AT + 1] << 8) != PAGE_BRANCH) {
            continue;
        }
        for (size_t i = PAGE_HEAD_BYTES; i < sizeof page; i = i + 1 == low ? high : i + 1) {
            int bit = (int)(i * 5 % 8);
            flip(*state, at + (off_t)i, bit);
            enum flipped_bit result = flipped_bit_try(try_flip, *state);
            flip(*state, at + (off_t)i, bit);
            if (result == FLIPPED_BIT_UNNOTICED) {
                fail_msg("bit %d of byte %zu of the branch at %lld flipped, and nobody noticed", bit, i,
                         (long long)at);
            }
            found += result == FLIPPED_BIT_FOUND ? 1 : 0;
        }
    }
    print_message("%d found\n", found);
    assert_true(found > 20);
    close(file);
    free(path);
}

static void change_table(struct map *map, MDB_dbi table, MDB_val key, MDB_val *value)
{
    MDB_txn *transaction = NULL;
    assert_int_equal(mdb_txn_begin(map->store->environment, NULL, 0, &transaction), 0);
    int result =
        value == NULL ? mdb_del(transaction, table, &key, NULL) : mdb_put(transaction, table, &key, value, 0);
    assert_int_equal(result, 0);
    assert_int_equal(mdb_txn_commit(transaction), 0);
}

static enum storage_status scrub_to_the_end(struct map *map, struct storage_error *error)
{
    struct map_scrub_slice slice = {0};
    enum storage_status status = STORAGE_OK;
    while (!slice.is_pass_over && status == STORAGE_OK) {
        status = map_scrub_run(map, 3000, &slice, error);
        assert_false(slice.is_damaged);
    }
    return status;
}

static void pitfall_27_a_key_that_vanished_stops_the_node(void **state)
{
    /* Nobody would notice: it reads as absent. */
    make_map(*state);
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    char key[] = "kkey:7";
    struct storage_error error = {{0}};
    change_table(map, map->store->data, (MDB_val){6, key}, NULL);
    assert_int_equal(scrub_to_the_end(map, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "some are missing or too many"));
    map_close(map);
}

static void pitfall_27_an_index_entry_that_vanished_stops_the_node(void **state)
{
    make_map(*state);
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    uint64_t hash = map_hash_key(map, (const uint8_t *)"key:7", 5);
    struct storage_error error = {{0}};
    change_table(map, map->store->scan, (MDB_val){8, &hash}, NULL);
    assert_int_equal(scrub_to_the_end(map, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "index"));
    map_close(map);
}

static void a_walk_goes_on_after_what_it_found_and_later_passes_find_it_again(void **state)
{
    make_map(*state);
    uint8_t value[10];
    memset(value, 'A' + 7, sizeof value);
    off_t offset = find_in_file(*state, 0, value, sizeof value);
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    flip(*state, offset, 1); /* of a running node: its map is the same page cache */
    for (int pass = 0; pass < 3; pass++) {
        struct map_scrub_slice slice = {0};
        struct storage_error error = {{0}};
        int damaged = 0;
        while (!slice.is_pass_over) {
            assert_ok(map_scrub_run(map, 500, &slice, &error), error);
            damaged += slice.is_damaged ? 1 : 0;
        }
        assert_int_equal(damaged, 1);
    }
    assert_null(map_error(map)); /* others are served */
    flip(*state, offset, 1);
    while (!scrub_slice(map, 500)) {
    }
    map_close(map);
}

int main(void)
{
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0); /* hundreds of maps, none of which has to survive */
    }
    const struct CMUnitTest tests[] = {
        testing_in_directory(a_sound_map_is_walked_to_its_end_in_slices),
        testing_in_directory(pitfall_27_changes_between_slices_are_not_taken_for_damage),
        testing_in_directory(pitfall_27_a_bit_that_flips_in_a_value_is_found_wherever_it_is),
        testing_in_directory(pitfall_27_a_bit_that_flips_in_a_key_or_an_index_is_found),
        testing_in_directory(pitfall_27_any_bit_that_flips_is_found_or_does_no_harm),
        testing_in_directory(pitfall_27_any_bit_that_flips_in_a_branch_is_found_or_does_no_harm),
        testing_in_directory(pitfall_27_a_key_that_vanished_stops_the_node),
        testing_in_directory(pitfall_27_an_index_entry_that_vanished_stops_the_node),
        testing_in_directory(a_walk_goes_on_after_what_it_found_and_later_passes_find_it_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
