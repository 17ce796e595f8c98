/* test_storage_log_damage.c: a log whose tables are not what they were, and one that others get in the way
 * of: what is found is said, nothing is repaired by guessing, nothing more is written (pitfalls 18, 27).
 */
#include "log_store_internal.h"
#include "storage_bytes.h"
#include "storage_file.h"
#include "storage_testing.h"

#include <unistd.h>

static const size_t MAP_BYTES = 8 * 1024 * 1024;

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

/* Entries 1 to 6, two each of terms 1, 2 and 3. */
static struct log_store *open_with_entries(const char *directory)
{
    struct log_store *store = testing_open_log(directory, MAP_BYTES);
    struct storage_error error = {{0}};
    for (uint64_t index = 1; index <= 6; index++) {
        assert_ok(testing_append(store, index, (index + 1) / 2, "entry", 5, &error), error);
    }
    return store;
}

/* Changes a table of the open store, as a bug or a foreign program might. A NULL value removes the key. */
static void change_while_open(struct log_store *store, MDB_dbi table, uint64_t key_number,
                              const MDB_val *value)
{
    MDB_txn *transaction = NULL;
    MDB_val key = {sizeof key_number, &key_number};
    assert_int_equal(mdb_txn_begin(store->environment, NULL, 0, &transaction), 0);
    if (value == NULL) {
        assert_int_equal(mdb_del(transaction, table, &key, NULL), 0);
    } else {
        MDB_val copy = *value;
        assert_int_equal(mdb_put(transaction, table, &key, &copy, 0), 0);
    }
    assert_int_equal(mdb_txn_commit(transaction), 0);
}

static void assert_poisoned(struct log_store *store)
{
    struct storage_error error = {{0}};
    const struct log_hard_state hard_state = {.term = 9, .vote = 1};
    const struct log_write write = {.hard_state = &hard_state};
    assert_int_equal(log_store_write(store, &write, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, "earlier write failed"));
}

/* ---- at start ---- */

static void a_record_of_a_wrong_size_is_refused_at_start(void **state)
{
    struct storage_error error = {{0}};
    const uint8_t body[8] = {7};
    log_store_close(open_with_entries(*state));
    testing_damage_record(*state, "state", LOG_STATE_HARD_STATE, body, sizeof body);
    assert_int_equal(open_status(*state, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "\"hard_state\" is missing or of a wrong size"));
}

static void a_log_of_a_later_format_is_refused_at_start(void **state)
{
    struct storage_error error = {{0}};
    const uint8_t body[4] = {LOG_FORMAT + 1};
    log_store_close(open_with_entries(*state));
    testing_damage_record(*state, "state", LOG_STATE_FORMAT, body, sizeof body);
    assert_int_equal(open_status(*state, &error), STORAGE_INCOMPATIBLE);
}

static void a_log_without_its_first_entry_is_refused_at_start(void **state)
{
    struct storage_error error = {{0}};
    uint64_t index = 1;
    log_store_close(open_with_entries(*state));
    testing_damage(*state, "entries", MDB_INTEGERKEY, (MDB_val){8, &index}, NULL);
    assert_int_equal(open_status(*state, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "gap"));
}

static void terms_that_disagree_with_the_entries_are_refused_at_start(void **state)
{
    struct storage_error error = {{0}};
    uint64_t index = 5;
    uint8_t record[7] = {3};
    log_store_close(open_with_entries(*state));
    testing_damage(*state, "terms", MDB_INTEGERKEY, (MDB_val){8, &index}, &(MDB_val){sizeof record, record});
    assert_int_equal(open_status(*state, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "terms disagrees with log entry 6"));
    testing_damage(*state, "terms", MDB_INTEGERKEY, (MDB_val){8, &index}, NULL);
    assert_int_equal(open_status(*state, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "terms disagrees with log entry 6"));
}

static void a_file_of_another_version_of_lmdb_is_refused(void **state)
{
    /* Both meta pages: page header (16 bytes), magic, version. */
    struct storage_error error = {{0}};
    log_store_close(open_with_entries(*state));
    char *path = temp_directory_join(*state, "data.mdb");
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    for (long page = 0; page < 2; page++) {
        assert_int_equal(fseek(file, page * sysconf(_SC_PAGESIZE) + 20, SEEK_SET), 0);
        assert_int_equal(fputc(99, file), 99);
    }
    assert_int_equal(fclose(file), 0);
    free(path);
    assert_int_equal(open_status(*state, &error), STORAGE_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "another version of LMDB"));
}

static void a_table_that_is_none_is_refused_at_start(void **state)
{
    struct storage_error error = {{0}};
    char name[] = "terms";
    testing_damage(*state, NULL, 0, (MDB_val){sizeof name - 1, name}, &(MDB_val){3, name});
    assert_int_equal(open_status(*state, &error), STORAGE_CORRUPT);
    assert_non_null(
        strstr(error.text, "damaged file found while opening the log's tables (MDB_INCOMPATIBLE"));
}

static void an_identity_that_makes_no_sense_is_refused(void **state)
{
    struct storage_error error = {{0}};
    struct log_identity identity;
    bool found = true;
    uint8_t body[40] = {0};
    storage_put_u32(body + 16, 99); /* a formation that nobody knows */
    log_store_close(open_with_entries(*state));
    for (int i = 0; i < 2; i++) {
        testing_damage_record(*state, "state", LOG_STATE_IDENTITY, body, sizeof body);
        struct log_store *store = testing_open_log(*state, MAP_BYTES);
        assert_int_equal(log_store_read_identity(store, &identity, &found, &error), STORAGE_INCOMPATIBLE);
        assert_false(found);
        log_store_close(store);
        storage_put_u32(body + 16, LOG_FORMATION_FORMED);
        storage_put_u32(body + 20, 2); /* two members, of whom nothing follows */
    }
}

/* ---- while open ---- */

static void remember(void *context, uint64_t first_index, uint64_t term)
{
    uint64_t *last = context;
    assert_int_equal(first_index, 2 * term - 1);
    *last = first_index;
}

static void a_damaged_stretch_of_terms_is_found_when_it_is_read(void **state)
{
    struct storage_error error = {{0}};
    struct log_store *store = open_with_entries(*state);
    uint8_t record[16] = {2};
    change_while_open(store, store->terms, 3, &(MDB_val){sizeof record, record});
    uint64_t last = 0;
    assert_int_equal(log_store_term_runs(store, remember, &last, &error), STORAGE_CORRUPT);
    assert_int_equal(last, 1); /* what came before it was sound */

    /* To overwrite entry 2 the stretches behind it must go: not by guessing where they begin. */
    assert_int_equal(testing_append(store, 2, 9, "new", 3, &error), STORAGE_CORRUPT);
    assert_int_equal(testing_log_state(store).last.index, 6);
    assert_poisoned(store);
    log_store_close(store);
}

static void an_entry_that_is_gone_stops_what_would_drop_it(void **state)
{
    struct storage_error error = {{0}};
    for (int compact = 0; compact < 2; compact++) {
        char *path = temp_directory_join(*state, compact == 0 ? "truncate" : "compact");
        struct storage_error ignored;
        assert_ok(storage_create_directory(path, &ignored), ignored);
        struct log_store *store = open_with_entries(path);
        change_while_open(store, store->entries, 2, NULL);
        const struct log_write write = {.compact_to = 4, .compact_entries_max = 10};
        enum storage_status status = compact == 0 ? testing_append(store, 2, 9, "new", 3, &error)
                                                  : log_store_write(store, &write, &error);
        assert_int_equal(status, STORAGE_CORRUPT);
        assert_int_equal(testing_log_state(store).base.index, 0);
        assert_int_equal(testing_log_state(store).last.index, 6);
        assert_poisoned(store);
        log_store_close(store);
        free(path);
    }
}

static void terms_that_are_gone_stop_the_compaction(void **state)
{
    struct storage_error error = {{0}};
    struct log_store *store = open_with_entries(*state);
    for (uint64_t first_index = 1; first_index <= 5; first_index += 2) {
        change_while_open(store, store->terms, first_index, NULL);
    }
    const struct log_write write = {.compact_to = 4, .compact_entries_max = 10};
    assert_int_equal(log_store_write(store, &write, &error), STORAGE_CORRUPT);
    assert_int_equal(testing_log_state(store).base.index, 0);
    assert_poisoned(store);
    log_store_close(store);
}

static void an_entry_that_nobody_appended_stops_the_next_append(void **state)
{
    struct storage_error error = {{0}};
    struct log_store *store = open_with_entries(*state);
    uint8_t record[40] = {0};
    change_while_open(store, store->entries, 100, &(MDB_val){sizeof record, record});
    assert_int_equal(testing_append(store, 7, 3, "entry", 5, &error), STORAGE_FAILED);
    assert_int_equal(testing_log_state(store).last.index, 6);
    assert_poisoned(store);
    log_store_close(store);
}

static void count_entry(void *context, const struct log_entry *entry)
{
    assert_int_equal(entry->size, 5);
    ++*(int *)context;
}

static void too_many_readers_are_reported_and_do_no_harm(void **state)
{
    /* Pitfall 22: a tool that leaves its read transactions open takes all places for readers. */
    enum { READERS_MAX = 1000 };
    static MDB_txn *readers[READERS_MAX];
    struct storage_error error = {{0}};
    struct log_store *store = open_with_entries(*state);
    int count = 0;
    while (count < READERS_MAX &&
           mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &readers[count]) == MDB_SUCCESS) {
        count++;
    }
    assert_in_range(count, 1, READERS_MAX - 1);

    int entries = 0;
    uint64_t last = 0;
    bool found = false;
    struct log_identity identity;
    assert_int_equal(log_store_read(store, 1, 6, SIZE_MAX, count_entry, &entries, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, "READERS_FULL"));
    assert_int_equal(log_store_term_runs(store, remember, &last, &error), STORAGE_FAILED);
    assert_int_equal(log_store_read_identity(store, &identity, &found, &error), STORAGE_FAILED);
    assert_int_equal(entries, 0);
    assert_ok(testing_append(store, 7, 4, "entry", 5, &error), error); /* writing needs no such place */

    while (count > 0) {
        mdb_txn_abort(readers[--count]);
    }
    assert_ok(log_store_read(store, 1, 7, SIZE_MAX, count_entry, &entries, &error), error);
    assert_int_equal(entries, 7);
    log_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(a_record_of_a_wrong_size_is_refused_at_start),
        testing_in_directory(a_log_of_a_later_format_is_refused_at_start),
        testing_in_directory(a_log_without_its_first_entry_is_refused_at_start),
        testing_in_directory(terms_that_disagree_with_the_entries_are_refused_at_start),
        testing_in_directory(a_file_of_another_version_of_lmdb_is_refused),
        testing_in_directory(a_table_that_is_none_is_refused_at_start),
        testing_in_directory(an_identity_that_makes_no_sense_is_refused),
        testing_in_directory(a_damaged_stretch_of_terms_is_found_when_it_is_read),
        testing_in_directory(an_entry_that_is_gone_stops_what_would_drop_it),
        testing_in_directory(terms_that_are_gone_stop_the_compaction),
        testing_in_directory(an_entry_that_nobody_appended_stops_the_next_append),
        testing_in_directory(too_many_readers_are_reported_and_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
