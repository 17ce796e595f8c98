/* Unit tests of log_scrub.c: what a disk altered in the log is found and named, and nothing else is
 * (pitfall 27). */
#include "flipped_bit.h"
#include "log_scrub.h"
#include "log_store_internal.h"

#include <fcntl.h>
#include <unistd.h>

enum { MAP_BYTES = 16 * 1024 * 1024, ENTRIES = 60 };

static uint8_t bytes[9000];

static uint32_t size_of(uint64_t index)
{
    return index % 5 == 0 ? 9000 : 30 + (uint32_t)index;
}

static void append(struct log_store *store, uint64_t index)
{
    struct storage_error error = {{0}};
    memset(bytes, 'A' + (int)(index % 20), sizeof bytes);
    assert_ok(testing_append(store, index, 1 + index / 20, bytes, size_of(index), &error), error);
}

static struct log_store *make_log(const char *directory)
{
    struct log_store *store = testing_open_log(directory, MAP_BYTES);
    struct storage_error error = {{0}};
    const struct log_identity identity = {.node_id = 7, .disk_id = 99};
    assert_ok(log_store_write_identity(store, &identity, &error), error);
    for (uint64_t i = 1; i <= ENTRIES; i++) {
        append(store, i);
    }
    return store;
}

static void compact(struct log_store *store, uint64_t to)
{
    struct storage_error error = {{0}};
    const struct log_write write = {.compact_to = to, .compact_entries_max = 1000};
    assert_ok(log_store_write(store, &write, &error), error);
}

/* The first thing that a whole pass finds; "" if nothing. */
static const char *scrub_all(struct log_store *store, uint64_t work_bytes, int *slices)
{
    static char said[600];
    uint64_t next = 1;
    said[0] = '\0';
    for (*slices = 0; next != 0; (*slices)++) {
        struct log_scrub_slice slice;
        log_scrub_run(store, next, work_bytes, &slice);
        if (slice.is_damaged && said[0] == '\0') {
            snprintf(said, sizeof said, "%s", slice.damage.text);
        }
        assert_true(slice.next_index == 0 || slice.next_index > next);
        next = slice.next_index;
    }
    return said;
}

static void flip_where(const char *directory, const void *wanted, size_t size)
{
    char *path = temp_directory_join(directory, "data.mdb");
    int file = open(path, O_RDWR | O_CLOEXEC);
    off_t end = lseek(file, 0, SEEK_END);
    uint8_t *content = malloc((size_t)end);
    assert_non_null(content);
    assert_int_equal(pread(file, content, (size_t)end, 0), end);
    int count = 0;
    for (uint8_t *at = content; (at = memmem(at, (size_t)(content + end - at), wanted, size)) != NULL; at++) {
        uint8_t byte = *at ^ 4; /* also in pages that are free by now */
        assert_int_equal(pwrite(file, &byte, 1, at - content), 1);
        count++;
    }
    assert_true(count > 0);
    free(content);
    close(file);
    free(path);
}

static void a_sound_log_is_walked_to_its_end_in_slices(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    int slices = 0;
    assert_string_equal(scrub_all(store, 1, &slices), ""); /* a new one */
    assert_int_equal(slices, 1);
    log_store_close(store);
    store = make_log(*state);
    assert_string_equal(scrub_all(store, 1, &slices), "");
    assert_int_equal(slices, ENTRIES); /* one entry at least */
    assert_string_equal(scrub_all(store, 1 << 30, &slices), "");
    assert_int_equal(slices, 1);
    log_store_close(store);
}

static void what_is_written_between_slices_is_not_taken_for_damage(void **state)
{
    struct log_store *store = make_log(*state);
    uint64_t random = 1;
    uint64_t next = 1;
    int passes = 0;
    for (int i = 0; i < 600; i++) {
        struct log_store_state log = testing_log_state(store);
        switch (testing_random_below(&random, 4)) {
        case 0:
            compact(store, log.base.index + testing_random_below(&random, 30));
            break;
        case 1: /* overwrites some */
            if (log.last.index > log.base.index + 10) {
                struct storage_error error = {{0}};
                assert_ok(testing_append(store, log.last.index - testing_random_below(&random, 8),
                                         log.last.term + 1, bytes, 100, &error),
                          error);
            }
            break;
        default: {
            struct storage_error error = {{0}};
            for (uint64_t j = 1; j <= 8; j++) {
                assert_ok(testing_append(store, log.last.index + j, log.last.term, bytes, 50, &error), error);
            }
        }
        }
        struct log_scrub_slice slice;
        log_scrub_run(store, next, testing_random_below(&random, 5000), &slice);
        if (slice.is_damaged) {
            fail_msg("%s", slice.damage.text);
        }
        next = slice.next_index;
        passes += next == 0 ? 1 : 0;
    }
    assert_true(passes > 20);
    log_store_close(store);
}

static void what_an_install_left_over_is_not_taken_for_damage(void **state)
{
    struct log_store *store = make_log(*state);
    struct storage_error error = {{0}};
    int slices = 0;
    const struct log_hard_state hard_state = {.term = 9, .vote = 0};
    const struct log_install install = {
        .map_generation = 2, .base = {.term = 2, .index = 30}, .hard_state = &hard_state};
    assert_ok(log_store_install(store, &install, &error), error);
    assert_int_equal(testing_log_state(store).base.index, 30);
    assert_int_equal(testing_log_state(store).last.index, ENTRIES); /* those after it stay */
    assert_true(store->left_over > 0);
    assert_string_equal(scrub_all(store, 500, &slices), "");
    append(store, ENTRIES + 1); /* drops what was left over */
    assert_int_equal(store->left_over, 0);
    assert_string_equal(scrub_all(store, 500, &slices), "");
    log_store_close(store);
}

static void pitfall_27_a_bit_that_flips_in_an_entry_is_found_and_named(void **state)
{
    struct log_store *store = make_log(*state);
    int slices = 0;
    const uint64_t indexes[] = {23, 40}; /* small and large */
    for (size_t i = 0; i < 2; i++) {
        uint8_t value[20];
        memset(value, 'A' + (int)(indexes[i] % 20), sizeof value);
        /* That of a running node: what is read is the same page cache. Entries of the same letter are hit
         * too; the first one is named, and the walk goes on. */
        flip_where(*state, value, sizeof value);
        const char *said = scrub_all(store, 2000, &slices);
        char expected[64];
        snprintf(expected, sizeof expected, "log entry %d is damaged (wrong checksum)",
                 (int)(indexes[i] % 20 == 0 ? 20 : 3));
        assert_non_null(strstr(said, i == 0 ? expected : "is damaged (wrong checksum)"));
        assert_true(slices > 10);
    }
    log_store_close(store);
}

static void pitfall_27_damaged_records_are_found(void **state)
{
    struct log_store *store = make_log(*state);
    int slices = 0;
    uint8_t ids[16] = {7, 0, 0, 0, 0, 0, 0, 0, 99};
    flip_where(*state, ids, sizeof ids);
    assert_non_null(strstr(scrub_all(store, 5000, &slices), "identity"));
    ids[0] ^= 4;
    flip_where(*state, ids, sizeof ids);
    assert_string_equal(scrub_all(store, 5000, &slices), "");
    log_store_close(store);
}

static void pitfall_27_an_entry_that_vanished_is_named(void **state)
{
    struct log_store *store = make_log(*state);
    MDB_txn *transaction = NULL;
    uint64_t index = 30;
    int slices = 0;
    MDB_val key = {sizeof index, &index};
    assert_int_equal(mdb_txn_begin(store->environment, NULL, 0, &transaction), 0);
    assert_int_equal(mdb_del(transaction, store->entries, &key, NULL), 0);
    assert_int_equal(mdb_txn_commit(transaction), 0);
    assert_non_null(strstr(scrub_all(store, 5000, &slices), "log entry 30 is missing"));
    log_store_close(store);
}

static void pitfall_27_a_log_without_its_base_record_is_named(void **state)
{
    struct log_store *store = make_log(*state);
    MDB_txn *transaction = NULL;
    int slices = 0;
    char name[] = LOG_STATE_BASE;
    MDB_val key = {sizeof name - 1, name};
    assert_int_equal(mdb_txn_begin(store->environment, NULL, 0, &transaction), 0);
    assert_int_equal(mdb_del(transaction, store->state, &key, NULL), 0);
    assert_int_equal(mdb_txn_commit(transaction), 0);
    assert_non_null(strstr(scrub_all(store, 5000, &slices), "the record \"base\" is missing"));
    log_store_close(store);
}

static void flip_one(const char *directory, off_t offset, int bit)
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

static void compare_entry(void *context, const struct log_entry *entry)
{
    uint64_t *good = context;
    memset(bytes, 'A' + (int)(entry->id.index % 20), sizeof bytes);
    *good += entry->size == size_of(entry->id.index) && memcmp(entry->bytes, bytes, entry->size) == 0 ? 1 : 0;
}

static enum flipped_bit try_flip(const char *directory)
{
    struct log_store *store = NULL;
    struct storage_error error;
    const struct log_store_options options = {.directory = directory, .map_bytes = MAP_BYTES};
    if (log_store_open(&options, &store, &error) != STORAGE_OK) {
        return FLIPPED_BIT_FOUND;
    }
    for (uint64_t next = 1; next != 0;) {
        struct log_scrub_slice slice;
        log_scrub_run(store, next, 3000, &slice);
        if (slice.is_damaged) {
            return FLIPPED_BIT_FOUND;
        }
        next = slice.next_index;
    }
    uint64_t good = 0;
    bool read = log_store_read(store, 1, ENTRIES, SIZE_MAX, compare_entry, &good, &error) == STORAGE_OK;
    return read && good == ENTRIES && testing_log_state(store).last.index == ENTRIES ? FLIPPED_BIT_HARMLESS
                                                                                     : FLIPPED_BIT_UNNOTICED;
}

static void pitfall_27_any_bit_that_flips_is_found_or_does_no_harm(void **state)
{
    struct log_store *store = make_log(*state);
    struct log_store_usage usage;
    log_store_get_usage(store, &usage);
    log_store_close(store);
    uint64_t random = 1;
    int found = 0;
    for (int i = 0; i < 400; i++) {
        off_t offset = (off_t)(8192 + testing_random_below(&random, usage.file_bytes - 8192));
        int bit = (int)testing_random_below(&random, 8);
        flip_one(*state, offset, bit);
        enum flipped_bit result = flipped_bit_try(try_flip, *state);
        flip_one(*state, offset, bit);
        if (result == FLIPPED_BIT_UNNOTICED) {
            fail_msg("bit %d of byte %lld flipped, and nobody noticed", bit, (long long)offset);
        }
        found += result == FLIPPED_BIT_FOUND ? 1 : 0;
    }
    print_message("%d of 400 found\n", found);
    assert_in_range(found, 50, 399);
}

int main(void)
{
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0); /* hundreds of commits, none of which has to survive */
    }
    const struct CMUnitTest tests[] = {
        testing_in_directory(a_sound_log_is_walked_to_its_end_in_slices),
        testing_in_directory(what_is_written_between_slices_is_not_taken_for_damage),
        testing_in_directory(what_an_install_left_over_is_not_taken_for_damage),
        testing_in_directory(pitfall_27_a_bit_that_flips_in_an_entry_is_found_and_named),
        testing_in_directory(pitfall_27_damaged_records_are_found),
        testing_in_directory(pitfall_27_an_entry_that_vanished_is_named),
        testing_in_directory(pitfall_27_a_log_without_its_base_record_is_named),
        testing_in_directory(pitfall_27_any_bit_that_flips_is_found_or_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
