/* test_storage_crash.c: a child process writes and is killed with SIGKILL at a random moment; what it had
 * reported as durable is there when the directory is opened again, and map and log agree.
 *
 * (A killed process loses nothing that the kernel has; lost power is the torn-disk tests' business.)
 */
#include "data_directory.h"
#include "storage_testing.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 12, MAP_BYTES = 64 * 1024 * 1024 };

/* What the child says after each thing that is durable. */
struct report {
    uint64_t log_index;
    uint64_t log_term;
    uint64_t map_index;
};

struct stores {
    struct data_directory *directory;
    struct log_store *log;
    struct map *map;
};

static void open_stores(const char *path, struct stores *stores)
{
    struct storage_error error = {{0}};
    assert_ok(data_directory_open(path, &stores->directory, &error), error);
    stores->log = testing_open_log(data_directory_log_path(stores->directory), MAP_BYTES);
    uint64_t generation = log_store_map_generation(stores->log);
    stores->map = testing_open_map(data_directory_map_path(stores->directory, generation), MAP_BYTES);
}

static void close_stores(struct stores *stores)
{
    map_close(stores->map);
    log_store_close(stores->log);
    data_directory_close(stores->directory);
}

static size_t entry_bytes(uint64_t index, uint8_t *bytes)
{
    size_t size = 1 + (size_t)(index * 7919 % 9000);
    memset(bytes, (int)(index % 251), size);
    return size;
}

/* An entry puts one key and removes another, so that a map that is off by one entry is seen. */
static void apply(struct map *map, uint64_t index)
{
    uint8_t bytes[9100];
    char key[32];
    size_t size = entry_bytes(index, bytes);
    snprintf(key, sizeof key, "key:%d", (int)(index % 300));
    map_begin_entry(map, index, 1, index);
    const struct map_value value = {.type = MAP_VALUE_STRING,
                                    .version = {.index = index},
                                    .expiry_ms = index % 5 == 0 ? index + 100 : 0,
                                    .bytes = bytes,
                                    .size = size};
    map_put(map, (const uint8_t *)key, strlen(key), &value);
    snprintf(key, sizeof key, "key:%d", (int)((index * 3) % 300));
    map_delete(map, (const uint8_t *)key, strlen(key));
    map_purge(map, index, 2);
    if (index % 997 == 0) {
        map_clear(map);
    }
    map_end_entry(map, size);
}

static bool write_all_of(int reports, const struct report *report)
{
    return write(reports, report, sizeof *report) == (ssize_t)sizeof *report; /* atomic: less than PIPE_BUF */
}

/* Never returns. */
static void run_child(const char *path, int reports)
{
    struct stores stores;
    struct storage_error error;
    open_stores(path, &stores);
    struct log_store_state state = testing_log_state(stores.log);
    struct report report = {.log_index = state.last.index, .map_index = map_durable_index(stores.map)};
    while (map_get_meta(stores.map)->applied_index < state.last.index) {
        apply(stores.map, map_get_meta(stores.map)->applied_index + 1);
    }
    for (;;) {
        uint8_t bytes[9100];
        uint64_t index = ++report.log_index;
        const struct log_entry entry = {.id = {.term = 1, .index = index},
                                        .type = 2,
                                        .bytes = bytes,
                                        .size = (uint32_t)entry_bytes(index, bytes)};
        const struct log_hard_state hard_state = {.term = index, .vote = 1};
        const struct log_write write = {
            .hard_state = &hard_state,
            .entries = &entry,
            .entries_count = 1,
            .commit_hint = index - 1,
            .compact_to = report.map_index > 50 ? report.map_index - 50 : 0,
            .compact_entries_max = 8,
        };
        bool good = log_store_write(stores.log, &write, &error) == STORAGE_OK;
        report.log_term = index;
        good = good && write_all_of(reports, &report);
        apply(stores.map, index);
        if (good && index % 20 == 0) {
            struct map_checkpoint *checkpoint = map_freeze(stores.map);
            good = map_checkpoint_write(checkpoint, &error) == STORAGE_OK;
            report.map_index = map_checkpoint_index(checkpoint);
            good = good && write_all_of(reports, &report);
            map_checkpoint_finish(stores.map, checkpoint);
        }
        if (!good) {
            _exit(1);
        }
    }
}

static void check_entry(void *context, const struct log_entry *entry)
{
    uint8_t bytes[9100];
    size_t *count = context;
    assert_int_equal(entry->size, entry_bytes(entry->id.index, bytes));
    assert_memory_equal(entry->bytes, bytes, entry->size);
    (*count)++;
}

static void check_stores(const char *path, const struct report *report)
{
    struct stores stores;
    struct storage_error error = {{0}};
    open_stores(path, &stores);
    struct log_store_state state = testing_log_state(stores.log);
    uint64_t durable = map_durable_index(stores.map);
    /* Acknowledged is there; what was in flight may be there too. */
    assert_in_range(state.last.index, report->log_index, report->log_index + 1);
    assert_true(state.hard_state.term >= report->log_term);
    assert_int_equal(state.hard_state.term, state.last.index);
    assert_true(durable >= report->map_index);
    /* The map never runs ahead of the log, nor the log's base ahead of the map. */
    assert_true(durable <= state.last.index);
    assert_true(state.base.index <= durable);
    if (state.last.index > state.base.index) {
        size_t count = 0;
        assert_ok(log_store_read(stores.log, state.base.index + 1, state.last.index, SIZE_MAX, check_entry,
                                 &count, &error),
                  error);
        assert_int_equal(count, state.last.index - state.base.index);
    }
    /* The map is exactly what its entries make of it: replay all of them into a fresh one. */
    testing_assert_counts(stores.map);
    char *fresh_path = temp_directory_join(path, "fresh");
    struct map *fresh = testing_open_map(fresh_path, MAP_BYTES);
    for (uint64_t index = 1; index <= durable; index++) {
        apply(fresh, index);
    }
    assert_memory_equal(map_get_meta(fresh), map_get_meta(stores.map), sizeof(struct map_meta));
    map_close(fresh);
    temp_directory_remove(fresh_path);
    close_stores(&stores);
}

static void pitfall_11_what_was_reported_durable_survives_kill_9(void **state)
{
    /* Pitfalls 10 and 11, as far as storage goes. */
    uint64_t random = 5;
    struct report last = {0};
    for (int round = 0; round < ROUNDS; round++) {
        int pipe_ends[2];
        assert_int_equal(pipe(pipe_ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(pipe_ends[0]);
            run_child(*state, pipe_ends[1]);
        }
        close(pipe_ends[1]);
        /* After a number of reports, not after a time: a slow machine gets as far as a fast one. */
        uint64_t reports_max = 1 + testing_random_below(&random, 150);
        struct report report;
        for (uint64_t i = 0; i < reports_max && read(pipe_ends[0], &report, sizeof report) == sizeof report;
             i++) {
            last = report;
        }
        usleep((useconds_t)testing_random_below(&random, 3000));
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(pipe_ends[0], &report, sizeof report) == sizeof report) {
            last = report;
        }
        close(pipe_ends[0]);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        check_stores(*state, &last);
    }
    assert_true(last.map_index > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(pitfall_11_what_was_reported_durable_survives_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
