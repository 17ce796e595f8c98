/* test_storage_log_store.c: the log environment, through log_store.h. Faults are in test_storage_faults.c,
 * killed processes in test_storage_crash.c. */
#include "log_store_internal.h"
#include "storage_foreign_reader.h"
#include "storage_testing.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAP_BYTES = 16 * 1024 * 1024 };

struct collected {
    size_t count;
    size_t bytes;
    uint64_t indexes[4096];
    uint64_t terms[4096];
    uint8_t first_bytes[4096];
};

static void collect_entry(void *context, const struct log_entry *entry)
{
    struct collected *collected = context;
    collected->indexes[collected->count] = entry->id.index;
    collected->terms[collected->count] = entry->id.term;
    collected->first_bytes[collected->count] = entry->size > 0 ? entry->bytes[0] : 0;
    collected->bytes += entry->size;
    collected->count++;
}

static void collect_run(void *context, uint64_t first_index, uint64_t term)
{
    struct collected *collected = context;
    collected->indexes[collected->count] = first_index;
    collected->terms[collected->count] = term;
    collected->count++;
}

static void append(struct log_store *store, uint64_t index, uint64_t term, uint8_t byte)
{
    struct storage_error error = {{0}};
    assert_ok(testing_append(store, index, term, &byte, 1, &error), error);
}

static void read_log(struct log_store *store, uint64_t first, uint64_t last, size_t bytes_max,
                     struct collected *collected)
{
    struct storage_error error = {{0}};
    memset(collected, 0, sizeof *collected);
    assert_ok(log_store_read(store, first, last, bytes_max, collect_entry, collected, &error), error);
}

static void read_runs(struct log_store *store, struct collected *collected)
{
    struct storage_error error = {{0}};
    memset(collected, 0, sizeof *collected);
    assert_ok(log_store_term_runs(store, collect_run, collected, &error), error);
}

static void compact(struct log_store *store, uint64_t to, uint32_t entries_max)
{
    struct storage_error error = {{0}};
    const struct log_write write = {.compact_to = to, .compact_entries_max = entries_max};
    assert_ok(log_store_write(store, &write, &error), error);
}

static void a_new_log_is_empty(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    struct log_store_state found = testing_log_state(store);
    assert_int_equal(found.base.index, 0);
    assert_int_equal(found.last.index, 0);
    assert_int_equal(found.hard_state.term, 0);
    assert_int_equal(found.commit_hint, 0);
    assert_int_equal(log_store_map_generation(store), 1);
    struct collected runs;
    read_runs(store, &runs);
    assert_int_equal(runs.count, 0);
    log_store_close(store);
}

static void everything_of_one_write_is_there_after_reopening(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    uint8_t large[70000];
    memset(large, 7, sizeof large);
    const struct log_entry entries[] = {
        {.id = {.term = 1, .index = 1}, .type = 1, .bytes = NULL, .size = 0},
        {.id = {.term = 1, .index = 2}, .type = 2, .bytes = large, .size = sizeof large},
        {.id = {.term = 3, .index = 3}, .type = 9, .bytes = large, .size = 5},
    };
    const struct log_hard_state hard_state = {.term = 3, .vote = 2};
    const struct log_write write = {
        .hard_state = &hard_state, .entries = entries, .entries_count = 3, .commit_hint = 2};
    struct storage_error error = {{0}};
    assert_ok(log_store_write(store, &write, &error), error);
    for (int round = 0; round < 2; round++) {
        struct log_store_state found = testing_log_state(store);
        assert_int_equal(found.hard_state.term, 3);
        assert_int_equal(found.hard_state.vote, 2);
        assert_int_equal(found.last.index, 3);
        assert_int_equal(found.last.term, 3);
        assert_int_equal(found.commit_hint, 2);
        struct collected read;
        read_log(store, 1, 3, SIZE_MAX, &read);
        assert_int_equal(read.count, 3);
        assert_int_equal(read.terms[1], 1);
        assert_int_equal(read.terms[2], 3);
        assert_int_equal(read.bytes, sizeof large + 5);
        log_store_close(store);
        store = testing_open_log(*state, MAP_BYTES);
    }
    log_store_close(store);
}

static void appending_at_or_before_the_end_drops_what_follows(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    for (uint64_t i = 1; i <= 10; i++) {
        append(store, i, i <= 4 ? 1 : 2, 'a');
    }
    append(store, 6, 5, 'b');
    struct log_store_state found = testing_log_state(store);
    assert_int_equal(found.last.index, 6);
    assert_int_equal(found.last.term, 5);
    struct collected read;
    read_log(store, 1, 10, SIZE_MAX, &read);
    assert_int_equal(read.count, 6);
    assert_int_equal(read.first_bytes[5], 'b');
    read_runs(store, &read);
    assert_int_equal(read.count, 3);
    assert_int_equal(read.indexes[1], 5);
    assert_int_equal(read.indexes[2], 6);

    /* A job may carry entries and those that replace them. */
    const uint8_t byte = 'c';
    const struct log_entry entries[] = {
        {.id = {.term = 5, .index = 7}, .bytes = &byte, .size = 1},
        {.id = {.term = 5, .index = 8}, .bytes = &byte, .size = 1},
        {.id = {.term = 6, .index = 1}, .bytes = &byte, .size = 1},
        {.id = {.term = 7, .index = 2}, .bytes = &byte, .size = 1},
    };
    const struct log_write write = {.entries = entries, .entries_count = 4};
    struct storage_error error = {{0}};
    assert_ok(log_store_write(store, &write, &error), error);
    log_store_close(store);
    store = testing_open_log(*state, MAP_BYTES);
    found = testing_log_state(store);
    assert_int_equal(found.last.index, 2);
    assert_int_equal(found.last.term, 7);
    read_runs(store, &read);
    assert_int_equal(read.count, 2);
    assert_int_equal(read.indexes[0], 1);
    assert_int_equal(read.terms[0], 6);
    log_store_close(store);
}

static void pitfall_26_compaction_goes_in_chunks_and_moves_the_base_only_that_far(void **state)
{
    /* Pitfall 26: deletions of a long range in bounded pieces. */
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    for (uint64_t i = 1; i <= 20; i++) {
        append(store, i, 1 + i / 8, (uint8_t)i);
    }
    compact(store, 15, 6);
    struct log_store_state found = testing_log_state(store);
    assert_int_equal(found.base.index, 6);
    assert_int_equal(found.base.term, 1);
    compact(store, 15, 6);
    compact(store, 15, 6);
    compact(store, 15, 6);
    found = testing_log_state(store);
    assert_int_equal(found.base.index, 15);
    assert_int_equal(found.base.term, 2);
    log_store_close(store);
    store = testing_open_log(*state, MAP_BYTES);
    struct collected read;
    read_log(store, 16, 20, SIZE_MAX, &read);
    assert_int_equal(read.count, 5);
    assert_int_equal(read.first_bytes[0], 16);
    read_log(store, 3, 20, SIZE_MAX, &read);
    assert_int_equal(read.count, 0);
    read_runs(store, &read);
    assert_int_equal(read.count, 1);
    assert_int_equal(read.indexes[0], 16);
    assert_int_equal(read.terms[0], 3);
    log_store_close(store);
}

static void compaction_may_empty_the_log_and_it_goes_on_behind_the_base(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    for (uint64_t i = 1; i <= 5; i++) {
        append(store, i, 2, 'x');
    }
    compact(store, 100, 100);
    struct log_store_state found = testing_log_state(store);
    assert_int_equal(found.base.index, 5);
    assert_int_equal(found.last.index, 5);
    assert_int_equal(found.last.term, 2);
    append(store, 6, 2, 'y');
    log_store_close(store);
    store = testing_open_log(*state, MAP_BYTES);
    found = testing_log_state(store);
    assert_int_equal(found.base.index, 5);
    assert_int_equal(found.last.index, 6);
    struct collected runs;
    read_runs(store, &runs);
    assert_int_equal(runs.count, 1);
    assert_int_equal(runs.indexes[0], 6);
    log_store_close(store);
}

static void a_read_is_bounded_in_bytes_but_gives_at_least_one_entry(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    uint8_t bytes[100] = {0};
    struct storage_error error = {{0}};
    for (uint64_t i = 1; i <= 10; i++) {
        assert_ok(testing_append(store, i, 1, bytes, sizeof bytes, &error), error);
    }
    struct collected read;
    read_log(store, 1, 10, 1, &read);
    assert_int_equal(read.count, 1);
    read_log(store, 2, 10, 300, &read);
    assert_int_equal(read.count, 3);
    read_log(store, 2, 10, 350, &read);
    assert_int_equal(read.count, 3);
    read_log(store, 9, 12, SIZE_MAX, &read);
    assert_int_equal(read.count, 2);
    log_store_close(store);
}

static void the_hint_never_goes_back(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    struct storage_error error = {{0}};
    for (uint64_t i = 1; i <= 5; i++) {
        append(store, i, 1, 'x');
    }
    struct log_write write = {.commit_hint = 4};
    assert_ok(log_store_write(store, &write, &error), error);
    write.commit_hint = 3;
    assert_ok(log_store_write(store, &write, &error), error);
    assert_int_equal(testing_log_state(store).commit_hint, 4);
    log_store_close(store);
}

/* Random appends, overwrites and compactions against an array. */
static void random_writes_agree_with_a_model(void **state)
{
    enum { INDEX_MAX = 400 };
    uint64_t terms[INDEX_MAX + 2] = {0};
    uint8_t bytes[INDEX_MAX + 2] = {0};
    uint64_t base = 0;
    uint64_t last = 0;
    uint64_t random = 7;
    uint64_t term = 1;
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    for (int step = 0; step < 600; step++) {
        uint64_t choice = testing_random_below(&random, 100);
        term += testing_random_below(&random, 10) == 0 ? 1 : 0;
        if (choice < 70 && last < INDEX_MAX) {
            append(store, last + 1, term, (uint8_t)step);
            last++;
            terms[last] = term;
            bytes[last] = (uint8_t)step;
        } else if (choice < 80 && last > base) {
            uint64_t from = last - testing_random_below(&random, last - base < 9 ? last - base : 9);
            append(store, from, ++term, (uint8_t)step);
            last = from;
            terms[last] = term;
            bytes[last] = (uint8_t)step;
        } else if (choice < 90) {
            uint64_t to = base + testing_random_below(&random, 8);
            compact(store, to, 3);
            uint64_t moved = to < last ? to : last;
            base = moved - base > 3 ? base + 3 : moved;
        } else {
            log_store_close(store);
            store = testing_open_log(*state, MAP_BYTES);
        }
        struct log_store_state found = testing_log_state(store);
        assert_int_equal(found.base.index, base);
        assert_int_equal(found.base.term, terms[base]);
        assert_int_equal(found.last.index, last);
        assert_int_equal(found.last.term, terms[last]);
        struct collected read;
        if (last > base) {
            read_log(store, base + 1, last, SIZE_MAX, &read);
            assert_int_equal(read.count, last - base);
            for (size_t i = 0; i < read.count; i++) {
                assert_int_equal(read.terms[i], terms[base + 1 + i]);
                assert_int_equal(read.first_bytes[i], bytes[base + 1 + i]);
            }
        }
        read_runs(store, &read);
        size_t run = 0;
        for (uint64_t i = base + 1; i <= last; i++) {
            if (i == base + 1 || terms[i] != terms[i - 1]) {
                assert_true(run < read.count);
                assert_int_equal(read.indexes[run], i);
                assert_int_equal(read.terms[run], terms[i]);
                run++;
            }
        }
        assert_int_equal(read.count, run);
    }
    log_store_close(store);
}

static void the_size_bound_sees_entries_come_and_go(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    uint8_t bytes[10000] = {0};
    struct storage_error error = {{0}};
    for (uint64_t i = 1; i <= 100; i++) {
        assert_ok(testing_append(store, i, 1, bytes, sizeof bytes, &error), error);
    }
    struct log_store_usage full;
    log_store_get_usage(store, &full);
    assert_true(full.entries_bytes >= 100 * sizeof bytes);
    assert_true(full.file_bytes >= full.entries_bytes && full.file_bytes <= full.map_bytes);
    assert_int_equal(full.map_bytes, MAP_BYTES);
    compact(store, 90, 1000);
    struct log_store_usage compacted;
    log_store_get_usage(store, &compacted);
    assert_true(compacted.entries_bytes < full.entries_bytes / 5);
    log_store_close(store);
    store = testing_open_log(*state, MAP_BYTES);
    struct log_store_usage reopened;
    log_store_get_usage(store, &reopened);
    assert_int_equal(reopened.entries_bytes, compacted.entries_bytes);
    log_store_close(store);
}

/* Pitfall 26: an endless run of appending and compacting reuses its pages: the file stays small. */
static void pitfall_26_a_log_that_is_compacted_does_not_grow(void **state)
{
    struct log_store *store = testing_open_log(*state, 4 * 1024 * 1024);
    uint8_t bytes[20000] = {0};
    struct storage_error error = {{0}};
    for (uint64_t i = 1; i <= 1000; i++) {
        const struct log_entry entry = {
            .id = {.term = 1, .index = i}, .type = 2, .bytes = bytes, .size = sizeof bytes};
        const struct log_write write = {.entries = &entry,
                                        .entries_count = 1,
                                        .compact_to = i > 20 ? i - 20 : 0,
                                        .compact_entries_max = 4};
        assert_ok(log_store_write(store, &write, &error), error);
    }
    assert_int_equal(testing_log_state(store).base.index, 980);
    log_store_close(store);
}

static void pitfall_19_a_full_log_says_so_and_stays_usable(void **state)
{
    struct log_store *store = testing_open_log(*state, 512 * 1024);
    uint8_t bytes[30000];
    memset(bytes, 3, sizeof bytes);
    struct storage_error error = {{0}};
    uint64_t last = 0;
    enum storage_status status = STORAGE_OK;
    /* Large ones until no large one fits, then smaller ones, so that every last page would be used up. */
    for (uint32_t size = sizeof bytes; size >= 10; size /= 5) {
        for (int i = 0;
             i < 100 && (status = testing_append(store, last + 1, 1, bytes, size, &error)) == STORAGE_OK;
             i++) {
            last++;
        }
        assert_int_equal(status, STORAGE_FULL);
    }
    assert_non_null(strstr(error.text, "map size"));
    assert_int_equal(testing_log_state(store).last.index, last);
    /* Small writes still go, room comes back by compaction, and then large ones go again. */
    const struct log_hard_state hard_state = {.term = 4, .vote = 1};
    const struct log_write write = {.hard_state = &hard_state};
    assert_ok(log_store_write(store, &write, &error), error);
    compact(store, last - 1, 100);
    assert_ok(testing_append(store, last + 1, 4, bytes, sizeof bytes, &error), error);
    log_store_close(store);
    store = testing_open_log(*state, 512 * 1024);
    assert_int_equal(testing_log_state(store).last.index, last + 1);
    assert_int_equal(testing_log_state(store).hard_state.term, 4);
    log_store_close(store);
}

static void pitfall_24_unsafe_flags_are_never_on(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    unsigned flags = 0;
    assert_int_equal(mdb_env_get_flags(log_store_environment(store), &flags), 0);
    assert_int_equal(flags & (MDB_NOSYNC | MDB_NOMETASYNC | MDB_MAPASYNC | MDB_WRITEMAP | MDB_NOLOCK), 0);
    assert_int_equal(flags & MDB_NOTLS, MDB_NOTLS);
    log_store_close(store);
}

static void pitfall_20_the_size_of_the_file_is_set_at_opening_and_stays(void **state)
{
    /* Growing it under open readers crashes; so it is full when it is full, until it is opened anew. */
    const size_t sizes[] = {1 << 20, 4 << 20};
    static const uint8_t bytes[10000];
    struct storage_error error;
    uint64_t index = 0;
    for (size_t i = 0; i < 2; i++) {
        struct log_store *store = testing_open_log(*state, sizes[i]);
        struct log_store_usage usage;
        log_store_get_usage(store, &usage);
        assert_int_equal(usage.map_bytes, sizes[i]);
        uint64_t before = index;
        while (testing_append(store, index + 1, 1, bytes, sizeof bytes, &error) == STORAGE_OK) {
            index++;
            assert_true(index < 1000);
        }
        assert_true(index > before + 50);
        log_store_get_usage(store, &usage);
        assert_int_equal(usage.map_bytes, sizes[i]);
        assert_true(usage.file_bytes <= sizes[i]);
        log_store_close(store);
    }
}

/* Flips one bit of the file where the pattern stands. Returns how often that was. */
static int flip_bit_in_file(const char *directory, const uint8_t *pattern, size_t pattern_size)
{
    char *path = temp_directory_join(directory, "data.mdb");
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(size);
    assert_int_equal(fread(bytes, 1, size, file), size);
    int flipped = 0;
    for (size_t at = 0; at + pattern_size <= size; at++) {
        if (memcmp(bytes + at, pattern, pattern_size) == 0) {
            uint8_t changed = bytes[at] ^ 4;
            assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
            assert_int_equal(fwrite(&changed, 1, 1, file), 1);
            flipped++;
        }
    }
    fclose(file);
    free(bytes);
    free(path);
    return flipped;
}

static void pitfall_27_a_flipped_bit_in_an_entry_is_reported_and_nothing_truncated(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    struct storage_error error = {{0}};
    assert_ok(testing_append(store, 1, 1, "first entry", 11, &error), error);
    assert_ok(testing_append(store, 2, 1, "second entry", 12, &error), error);
    assert_ok(testing_append(store, 3, 1, "third entry", 11, &error), error);
    log_store_close(store);
    assert_true(flip_bit_in_file(*state, (const uint8_t *)"second entry", 12) > 0);
    store = testing_open_log(*state, MAP_BYTES);
    struct collected *read = calloc(1, sizeof *read);
    assert_int_equal(log_store_read(store, 1, 3, SIZE_MAX, collect_entry, read, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "entry 2"));
    assert_non_null(strstr(error.text, "put a new one, with an id of its own, in its place"));
    assert_int_equal(read->count, 1);
    assert_int_equal(testing_log_state(store).last.index, 3);
    free(read);
    log_store_close(store);
}

static void pitfall_27_a_damaged_end_of_the_log_is_refused_at_start(void **state)
{
    /* Pitfall 27: never cut off silently, it may have been acknowledged. */
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    struct storage_error error = {{0}};
    assert_ok(testing_append(store, 1, 1, "first entry", 11, &error), error);
    assert_ok(testing_append(store, 2, 1, "second entry", 12, &error), error);
    log_store_close(store);
    assert_true(flip_bit_in_file(*state, (const uint8_t *)"second entry", 12) > 0);
    const struct log_store_options options = {.directory = *state, .map_bytes = MAP_BYTES};
    assert_int_equal(log_store_open(&options, &store, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "entry 2"));
}

static enum storage_status open_status(const char *directory, struct storage_error *error)
{
    struct log_store *store = NULL;
    const struct log_store_options options = {.directory = directory, .map_bytes = MAP_BYTES};
    enum storage_status status = log_store_open(&options, &store, error);
    if (status == STORAGE_OK) {
        log_store_close(store);
    }
    return status;
}

static void a_gap_in_the_log_is_refused_at_start(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    for (uint64_t i = 1; i <= 5; i++) {
        append(store, i, 1, 'x');
    }
    log_store_close(store);
    uint64_t index = 3;
    testing_damage(*state, "entries", MDB_INTEGERKEY, (MDB_val){8, &index}, NULL);
    struct storage_error error = {{0}};
    assert_int_equal(open_status(*state, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "gap"));
}

static void pitfall_27_a_damaged_hard_state_is_refused_at_start(void **state)
{
    /* Pitfall 27: a vote that rotted must not be taken for another vote. */
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    struct storage_error error = {{0}};
    const struct log_hard_state hard_state = {.term = 12, .vote = 3};
    const struct log_write write = {.hard_state = &hard_state};
    assert_ok(log_store_write(store, &write, &error), error);
    log_store_close(store);
    uint8_t record[32] = {1, 0, 0, 0, 16, 0, 0, 0};
    char name[] = "hard_state";
    testing_damage(*state, "state", 0, (MDB_val){10, name}, &(MDB_val){sizeof record, record});
    assert_int_equal(open_status(*state, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "hard_state"));
}

static void a_missing_record_is_refused_at_start(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    log_store_close(store);
    char name[] = "format";
    testing_damage(*state, "state", 0, (MDB_val){6, name}, NULL);
    struct storage_error error = {{0}};
    assert_int_equal(open_status(*state, &error), STORAGE_CORRUPT);
}

static void a_file_that_is_not_a_database_is_refused(void **state)
{
    char *path = temp_directory_join(*state, "data.mdb");
    FILE *file = fopen(path, "wb");
    for (int i = 0; i < 10000; i++) {
        fputs("garbage ", file);
    }
    fclose(file);
    struct storage_error error = {{0}};
    assert_int_equal(open_status(*state, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, *state));
    free(path);
}

static void a_directory_that_is_not_there_is_reported(void **state)
{
    char *path = temp_directory_join(*state, "missing");
    struct storage_error error = {{0}};
    assert_int_equal(open_status(path, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, path));
    free(path);
}

static void pitfall_22_slots_of_killed_readers_are_cleared_at_start(void **state)
{
    /* Pitfall 22: a process that was killed while it read leaves its slot in the lock file, if another keeps
     * that open. */
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    append(store, 1, 1, 'x');
    log_store_close(store);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t holder = fork();
    if (holder == 0) {
        MDB_env *environment = NULL;
        MDB_txn *transaction = NULL;
        bool good = mdb_env_create(&environment) == 0 &&
                    mdb_env_open(environment, *state, MDB_NOTLS, 0600) == 0 &&
                    mdb_txn_begin(environment, NULL, MDB_RDONLY, &transaction) == 0;
        _exit(good && write(ready[1], "x", 1) == 1 && pause() == -1 ? 0 : 1);
    }
    char byte = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    MDB_env *other = NULL; /* keeps the lock file from being made anew */
    assert_int_equal(mdb_env_create(&other), 0);
    assert_int_equal(mdb_env_open(other, *state, MDB_NOTLS, 0600), 0);
    MDB_envinfo information;
    assert_int_equal(mdb_env_info(other, &information), 0);
    assert_int_equal(information.me_numreaders, 1);
    kill(holder, SIGKILL);
    assert_int_equal(waitpid(holder, NULL, 0), holder);

    pid_t opener = fork();
    if (opener == 0) {
        /* In a process of its own: an environment must not be opened twice in one. */
        struct log_store *again = testing_open_log(*state, MAP_BYTES);
        log_store_close(again);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(opener, &status, 0), opener);
    assert_int_equal(status, 0);
    int dead = -1;
    assert_int_equal(mdb_reader_check(other, &dead), 0);
    assert_int_equal(dead, 0);
    mdb_env_close(other);
    close(ready[0]);
    close(ready[1]);
}

static void pitfall_22_slots_of_readers_killed_later_are_cleared_by_compaction(void **state)
{
    /* Pitfall 22: else no page that is freed from then on is ever used again. */
    struct foreign_reader reader;
    struct storage_error error = {{0}};
    foreign_reader_fork(&reader, *state);
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    append(store, 1, 1, 'x');
    append(store, 2, 1, 'x');
    foreign_reader_begin_and_die(&reader);
    const struct log_write write = {.compact_to = 1, .compact_entries_max = 1};
    assert_ok(log_store_write(store, &write, &error), error);
    int dead = -1;
    assert_int_equal(mdb_reader_check(log_store_environment(store), &dead), 0);
    assert_int_equal(dead, 0);
    log_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(a_new_log_is_empty),
        testing_in_directory(everything_of_one_write_is_there_after_reopening),
        testing_in_directory(appending_at_or_before_the_end_drops_what_follows),
        testing_in_directory(pitfall_26_compaction_goes_in_chunks_and_moves_the_base_only_that_far),
        testing_in_directory(compaction_may_empty_the_log_and_it_goes_on_behind_the_base),
        testing_in_directory(a_read_is_bounded_in_bytes_but_gives_at_least_one_entry),
        testing_in_directory(the_hint_never_goes_back),
        testing_in_directory(random_writes_agree_with_a_model),
        testing_in_directory(the_size_bound_sees_entries_come_and_go),
        testing_in_directory(pitfall_26_a_log_that_is_compacted_does_not_grow),
        testing_in_directory(pitfall_19_a_full_log_says_so_and_stays_usable),
        testing_in_directory(pitfall_24_unsafe_flags_are_never_on),
        testing_in_directory(pitfall_20_the_size_of_the_file_is_set_at_opening_and_stays),
        testing_in_directory(pitfall_27_a_flipped_bit_in_an_entry_is_reported_and_nothing_truncated),
        testing_in_directory(pitfall_27_a_damaged_end_of_the_log_is_refused_at_start),
        testing_in_directory(a_gap_in_the_log_is_refused_at_start),
        testing_in_directory(pitfall_27_a_damaged_hard_state_is_refused_at_start),
        testing_in_directory(a_missing_record_is_refused_at_start),
        testing_in_directory(a_file_that_is_not_a_database_is_refused),
        testing_in_directory(a_directory_that_is_not_there_is_reported),
        testing_in_directory(pitfall_22_slots_of_killed_readers_are_cleared_at_start),
        testing_in_directory(pitfall_22_slots_of_readers_killed_later_are_cleared_by_compaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
