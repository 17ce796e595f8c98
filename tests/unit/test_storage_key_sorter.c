/* test_storage_key_sorter.c: what goes in comes out sorted, whatever the memory; and a file that does not
 * hold what was written is noticed. */
#include "key_sorter.h"
#include "map.h"
#include "map_record.h"
#include "storage_bytes.h"
#include "storage_testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct pair {
    uint64_t number;
    size_t size;
    uint8_t key[MAP_KEY_BYTES_MAX];
};

static int compare_pairs(const void *left, const void *right)
{
    const struct pair *a = left;
    const struct pair *b = right;
    if (a->number != b->number) {
        return a->number < b->number ? -1 : 1;
    }
    return map_key_compare(a->key, a->size, b->key, b->size);
}

static struct pair *make_pairs(size_t count, uint64_t seed, uint64_t numbers)
{
    uint64_t random = seed;
    struct pair *pairs = calloc(count + 1, sizeof *pairs);
    for (size_t i = 0; i < count; i++) {
        pairs[i].number = numbers == 0 ? testing_random(&random) : testing_random_below(&random, numbers);
        pairs[i].size = testing_random_below(&random, i % 50 == 0 ? MAP_KEY_BYTES_MAX + 1 : 12);
        for (size_t j = 0; j < pairs[i].size; j++) {
            pairs[i].key[j] = (uint8_t)testing_random_below(&random, 3);
        }
    }
    return pairs;
}

static void add_all(struct key_sorter *sorter, const struct pair *pairs, size_t count)
{
    struct storage_error error = {{0}};
    for (size_t i = 0; i < count; i++) {
        assert_ok(key_sorter_add(sorter, pairs[i].number, pairs[i].key, pairs[i].size, &error), error);
    }
    assert_int_equal(key_sorter_count(sorter), count);
}

static void sort_and_compare(const char *directory, size_t count, size_t memory_bytes, uint64_t numbers)
{
    struct storage_error error = {{0}};
    struct pair *pairs = make_pairs(count, count + memory_bytes, numbers);
    struct key_sorter *sorter = key_sorter_create(directory, memory_bytes);
    add_all(sorter, pairs, count);
    qsort(pairs, count, sizeof *pairs, compare_pairs);
    assert_ok(key_sorter_sort(sorter, &error), error);
    struct key_sorter_pair pair;
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        assert_ok(key_sorter_next(sorter, &pair, &found, &error), error);
        assert_true(found);
        assert_int_equal(pair.number, pairs[i].number);
        assert_int_equal(pair.key_size, pairs[i].size);
        if (pair.key_size > 0) {
            assert_memory_equal(pair.key, pairs[i].key, pair.key_size);
        }
    }
    for (int i = 0; i < 2; i++) {
        assert_ok(key_sorter_next(sorter, &pair, &found, &error), error);
        assert_false(found);
    }
    key_sorter_destroy(sorter);
    free(pairs);
}

static size_t files_count(const char *directory)
{
    size_t count = 0;
    DIR *listing = opendir(directory);
    assert_non_null(listing);
    for (const struct dirent *entry = NULL; (entry = readdir(listing)) != NULL;) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    closedir(listing);
    return count;
}

static void pairs_come_out_sorted_whatever_the_memory(void **state)
{
    const size_t counts[] = {0, 1, 2, 100, 3000};
    const size_t memories[] = {0, 5000, 20000, 64 * 1024 * 1024};
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 4; j++) {
            sort_and_compare(*state, counts[i], memories[j], 0);
            sort_and_compare(*state, counts[i], memories[j], 7); /* many of one number, and equal pairs */
        }
    }
    sort_and_compare(*state, 100000, 100000, 1000);
    assert_int_equal(files_count(*state), 0);
}

/* The descriptor of the file that the sorter made; there is no name to find it by. */
static int find_file(const char *directory)
{
    struct stat folder;
    assert_int_equal(stat(directory, &folder), 0);
    for (int file = 3; file < 100; file++) {
        struct stat information;
        if (fstat(file, &information) == 0 && S_ISREG(information.st_mode) && information.st_nlink == 0 &&
            information.st_dev == folder.st_dev) {
            return file;
        }
    }
    fail_msg("no file without a name is open");
    return -1;
}

static enum storage_status read_all(struct key_sorter *sorter, struct storage_error *error)
{
    struct key_sorter_pair pair;
    bool found = true;
    enum storage_status status = key_sorter_sort(sorter, error);
    while (status == STORAGE_OK && found) {
        status = key_sorter_next(sorter, &pair, &found, error);
        assert_true(status != STORAGE_OK || !found || pair.key_size <= MAP_KEY_BYTES_MAX);
    }
    return status;
}

static void nothing_has_a_name_and_what_rots_is_noticed(void **state)
{
    enum { COUNT = 200 };
    struct pair *pairs = make_pairs(COUNT, 9, 0);
    struct storage_error error = {{0}};
    off_t file_bytes = 1;
    for (off_t offset = 0; offset < file_bytes; offset += 3) {
        struct key_sorter *sorter = key_sorter_create(*state, 0);
        add_all(sorter, pairs, COUNT);
        assert_int_equal(files_count(*state), 0);
        int file = find_file(*state);
        struct stat information;
        assert_int_equal(fstat(file, &information), 0);
        file_bytes = information.st_size;
        uint8_t byte = 0;
        assert_int_equal(pread(file, &byte, 1, offset), 1);
        byte ^= 0x20;
        assert_int_equal(pwrite(file, &byte, 1, offset), 1);
        assert_int_equal(read_all(sorter, &error), STORAGE_FAILED);
        assert_non_null(strstr(error.text, "not what was read"));
        key_sorter_destroy(sorter);
    }
    assert_true(file_bytes > 1000);
    free(pairs);
}

static void a_file_that_cannot_be_read_is_noticed(void **state)
{
    /* While it is merged: cut short, or not to be read at all. */
    enum { COUNT = 20000 };
    struct pair *pairs = make_pairs(COUNT, 9, 0);
    for (int i = 0; i < 2; i++) {
        struct storage_error error = {{0}};
        struct key_sorter *sorter = key_sorter_create(*state, 100000);
        add_all(sorter, pairs, COUNT);
        assert_ok(key_sorter_sort(sorter, &error), error);
        int file = find_file(*state);
        assert_int_equal(i == 0 ? ftruncate(file, 100) : dup2(STDOUT_FILENO, file) - file, 0);
        struct key_sorter_pair pair;
        bool found = true;
        enum storage_status status = STORAGE_OK;
        while (status == STORAGE_OK && found) {
            status = key_sorter_next(sorter, &pair, &found, &error);
        }
        assert_int_equal(status, STORAGE_FAILED);
        assert_non_null(strstr(error.text, i == 0 ? "ends too early" : "read a file"));
        assert_non_null(strstr(error.text, *state));
        key_sorter_destroy(sorter);
    }
    key_sorter_destroy(NULL);
    free(pairs);
}

static void a_file_that_cannot_be_made_is_reported(void **state)
{
    char *missing = temp_directory_join(*state, "missing");
    struct pair *pairs = make_pairs(400, 9, 0);
    struct storage_error error = {{0}};
    struct key_sorter *sorter = key_sorter_create(missing, 0);
    enum storage_status status = STORAGE_OK;
    for (size_t i = 0; i < 400 && status == STORAGE_OK; i++) {
        status = key_sorter_add(sorter, pairs[i].number, pairs[i].key, pairs[i].size, &error);
    }
    assert_int_equal(status, STORAGE_FAILED);
    assert_non_null(strstr(error.text, missing));
    key_sorter_destroy(sorter);
    free(pairs);
    free(missing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(pairs_come_out_sorted_whatever_the_memory),
        testing_in_directory(nothing_has_a_name_and_what_rots_is_noticed),
        testing_in_directory(a_file_that_cannot_be_read_is_noticed),
        testing_in_directory(a_file_that_cannot_be_made_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
