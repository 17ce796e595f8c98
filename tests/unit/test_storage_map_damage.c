/* test_storage_map_damage.c: a map that others change behind its back, at start and while it is open: what is
 * found is said, and nothing more is served from it or written to it (pitfalls 18, 27).
 */
#include "map_internal.h"
#include "storage_bytes.h"
#include "storage_testing.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void make_map(const char *directory)
{
    struct map *map = testing_open_map(directory, TESTING_MAP_BYTES);
    testing_put_text(map, "a", "1", 100);
    testing_put_text(map, "b", "2", 200);
    testing_checkpoint(map);
    map_close(map);
}

static struct map *open_with_two_keys(const char *directory)
{
    make_map(directory);
    return testing_open_map(directory, TESTING_MAP_BYTES);
}

/* Changes a table of the open map. A NULL value removes the key. */
static void change_while_open(struct map *map, MDB_dbi table, MDB_val key, const MDB_val *value)
{
    MDB_txn *transaction = NULL;
    assert_int_equal(mdb_txn_begin(map->store->environment, NULL, 0, &transaction), 0);
    if (value == NULL) {
        assert_int_equal(mdb_del(transaction, table, &key, NULL), 0);
    } else {
        MDB_val copy = *value;
        assert_int_equal(mdb_put(transaction, table, &key, &copy, 0), 0);
    }
    assert_int_equal(mdb_txn_commit(transaction), 0);
}

/* ---- at start ---- */

static void a_meta_record_that_makes_no_sense_is_refused_at_start(void **state)
{
    uint8_t body[MAP_META_FIXED_BYTES] = {0};
    make_map(*state);
    for (int i = 0; i < 3; i++) {
        struct map *map = NULL;
        struct storage_error error;
        const struct map_options options = {.directory = *state, .map_bytes = TESTING_MAP_BYTES};
        /* Too short; with a membership larger than any; with one of which nothing follows. */
        storage_put_u32(body + 52, i == 1 ? MAP_MEMBERSHIP_BYTES_MAX + 1 : 5);
        testing_damage_record(*state, "meta", MAP_META_NAME, body, i == 0 ? 20 : sizeof body);
        assert_int_equal(map_open(&options, &map, &error), STORAGE_CORRUPT);
        assert_non_null(strstr(error.text, "meta record has a wrong size"));
        assert_null(map);
    }
}

static void a_header_that_makes_no_sense_breaks_the_map(void **state)
{
    char key[] = {MAP_KEY_PREFIX, 'a'};
    char garbage[] = "???";
    make_map(*state);
    testing_damage(*state, "data", 0, (MDB_val){2, key}, &(MDB_val){3, garbage});
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct map_value value;
    testing_assert_text(map, "b", "2");
    assert_null(map_error(map));
    assert_false(map_get(map, (const uint8_t *)"a", 1, &value));
    assert_non_null(strstr(map_error(map), "damaged header"));
    /* What is sound is not served either: nobody knows what else is wrong. */
    assert_false(map_get(map, (const uint8_t *)"b", 1, &value));
    map_close(map);
}

static void counting_anew_finds_a_damaged_value_and_a_damaged_key(void **state)
{
    char key[] = {MAP_KEY_PREFIX, 'a'};
    char garbage[] = "???";
    uint64_t key_count = 0;
    uint64_t digest = 0;
    make_map(*state);
    testing_damage(*state, "data", 0, (MDB_val){2, key}, &(MDB_val){3, garbage});
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    map_recount(map, &key_count, &digest);
    assert_non_null(strstr(map_error(map), "damaged header"));
    map_close(map);

    /* The prefix of a key rotted: as many keys as before, but one of them is none of ours. */
    char rotten[] = {MAP_KEY_PREFIX ^ 1, 'a'};
    testing_damage(*state, "data", 0, (MDB_val){2, key}, NULL);
    testing_damage(*state, "data", 0, (MDB_val){2, rotten}, &(MDB_val){3, garbage});
    map = testing_open_map(*state, TESTING_MAP_BYTES);
    map_recount(map, &key_count, &digest);
    assert_non_null(map_error(map));
    assert_non_null(strstr(map_error(map), "damaged key"));
    map_close(map);
}

static void ignore_key(void *context, const uint8_t *key, size_t key_size, const struct map_value *value)
{
    (void)key;
    (void)key_size;
    (void)value;
    ++*(int *)context;
}

static void an_index_that_names_keys_that_are_not_there_breaks_the_map(void **state)
{
    make_map(*state);
    for (uint64_t hash = 1; hash <= 2; hash++) {
        uint64_t copy = hash;
        char key[] = {MAP_KEY_PREFIX, (char)('x' + hash)};
        testing_damage(*state, "scan", MDB_DUPSORT | MDB_INTEGERKEY, (MDB_val){8, &copy}, &(MDB_val){2, key});
    }
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    int visited = 0;
    map_scan(map, 0, 100, ignore_key, &visited);
    assert_non_null(map_error(map));
    assert_non_null(strstr(map_error(map), "scan"));
    assert_int_equal(visited, 0);
    map_close(map);
}

static void an_index_with_a_key_that_makes_no_sense_breaks_the_map(void **state)
{
    uint8_t time[8];
    char key[] = {MAP_KEY_PREFIX ^ 1, 'a'};
    storage_put_u64_big(time, 50);
    make_map(*state);
    testing_damage(*state, "expiry", MDB_DUPSORT, (MDB_val){8, time}, &(MDB_val){2, key});
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    assert_int_equal(testing_purge(map, 1000, 10), 0);
    assert_non_null(strstr(map_error(map), "an index of the map holds a damaged key"));
    /* The first finding stays: it is the one to look at. */
    int visited = 0;
    map_scan(map, 0, 100, ignore_key, &visited);
    assert_non_null(strstr(map_error(map), "an index of the map holds a damaged key"));
    map_close(map);
}

/* Clears the flags of every page on which a text stands, so that LMDB finds no leaf there. */
static int damage_pages_with(const char *directory, const char *text)
{
    enum { FLAGS_OFFSET = 10 }; /* in the head of a page: u64 number, u16 padding, u16 flags */
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *page = malloc(page_bytes);
    char *path = temp_directory_join(directory, "data.mdb");
    FILE *file = fopen(path, "r+b");
    int damaged = 0;
    assert_non_null(page);
    assert_non_null(file);
    for (long offset = 0; fread(page, 1, page_bytes, file) == page_bytes; offset += (long)page_bytes) {
        if (memmem(page, page_bytes, text, strlen(text)) != NULL) {
            memset(page + FLAGS_OFFSET, 0, 2);
            assert_int_equal(fseek(file, offset, SEEK_SET), 0);
            assert_int_equal(fwrite(page, 1, page_bytes, file), page_bytes);
            assert_int_equal(fseek(file, offset + (long)page_bytes, SEEK_SET), 0);
            damaged++;
        }
    }
    assert_int_equal(fclose(file), 0);
    free(path);
    free(page);
    return damaged;
}

static void a_damaged_page_breaks_the_map(void **state)
{
    /* Pitfall 27: LMDB 0.9 has no checksums of pages. */
    uint64_t key_count = 0;
    uint64_t digest = 0;
    struct map_value value;
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    testing_put_text(map, "a", "a text that stands nowhere else", 0);
    testing_checkpoint(map);
    map_close(map);
    assert_true(damage_pages_with(*state, "a text that stands nowhere else") > 0);

    map = testing_open_map(*state, TESTING_MAP_BYTES);
    assert_false(map_get(map, (const uint8_t *)"a", 1, &value));
    assert_non_null(map_error(map));
    assert_non_null(strstr(map_error(map), "failed while reading a key: MDB_CORRUPTED"));
    map_close(map);

    map = testing_open_map(*state, TESTING_MAP_BYTES);
    map_recount(map, &key_count, &digest);
    assert_non_null(map_error(map));
    assert_non_null(strstr(map_error(map), "failed while walking the map: MDB_CORRUPTED"));
    map_close(map);
}

/* What the file says of the table "scan": where its tree begins. */
static void damage_root_of_scan(const char *directory)
{
    enum { ROOT_OFFSET = 4 + 40 }; /* after the name: LMDB's MDB_db, whose last field it is */
    char *path = temp_directory_join(directory, "data.mdb");
    FILE *file = fopen(path, "r+b");
    static uint8_t bytes[1 << 20];
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    size_t found = 0;
    for (size_t i = 0; i + ROOT_OFFSET + 8 <= size; i++) {
        if (memcmp(bytes + i, "scan", 4) == 0) {
            storage_put_u64(bytes + i + ROOT_OFFSET, 1);
            found++;
        }
    }
    assert_true(found > 0);
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static void what_lmdb_aborts_over_is_said_to_be_damage(void **state)
{
    char said[2000] = {0};
    int files[2];
    int status = 0;
    make_map(*state);
    damage_root_of_scan(*state);
    assert_int_equal(pipe(files), 0);
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        (void)signal(SIGABRT, SIG_DFL); /* not cmocka's */
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)dup2(files[1], STDERR_FILENO);
        int visited = 0;
        map_scan(testing_open_map(*state, TESTING_MAP_BYTES), 0, 100, ignore_key, &visited);
        _exit(0);
    }
    (void)close(files[1]);
    size_t size = 0;
    for (ssize_t got; (got = read(files[0], said + size, sizeof said - 1 - size)) > 0;) {
        size += (size_t)got;
    }
    (void)close(files[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, *state));
    assert_non_null(strstr(said, "LMDB stumbled over its own pages, mostly because the file was altered"));
    assert_non_null(strstr(said, "Assertion 'root > 1' failed"));
}

/* ---- while open ---- */

static void a_checkpoint_does_not_write_over_a_header_that_makes_no_sense(void **state)
{
    char key[] = {MAP_KEY_PREFIX, 'a'};
    char garbage[] = "???";
    struct storage_error error;
    struct map *map = open_with_two_keys(*state);
    testing_put_text(map, "a", "new", 0); /* what it read of "a" before was sound */
    change_while_open(map, map->store->data, (MDB_val){2, key}, &(MDB_val){3, garbage});
    struct map_checkpoint *checkpoint = map_freeze(map);
    assert_int_equal(map_checkpoint_write(checkpoint, &error), STORAGE_CORRUPT);
    assert_int_equal(map_checkpoint_write(checkpoint, &error), STORAGE_FAILED);
    map_close(map);
}

static void a_checkpoint_that_does_not_come_to_the_right_number_of_keys_is_not_committed(void **state)
{
    char key[] = {MAP_KEY_PREFIX, 'b'};
    struct storage_error error;
    struct map *map = open_with_two_keys(*state);
    uint64_t durable = map_durable_index(map);
    testing_put_text(map, "c", "3", 0);
    change_while_open(map, map->store->data, (MDB_val){2, key}, NULL);
    assert_int_equal(map_checkpoint_write(map_freeze(map), &error), STORAGE_CORRUPT);
    assert_int_equal(map_durable_index(map), durable);
    map_close(map);
    const struct map_options options = {.directory = *state, .map_bytes = TESTING_MAP_BYTES};
    assert_int_equal(map_open(&options, &map, &error), STORAGE_CORRUPT); /* the lost key, and not "c" */
    assert_non_null(strstr(error.text, "holds 1 keys, its meta record says 2"));
}

static void a_map_that_is_not_the_one_that_was_written_is_not_served(void **state)
{
    for (int i = 0; i < 2; i++) {
        char *path = temp_directory_join(*state, i == 0 ? "other" : "garbage");
        struct map *map = open_with_two_keys(path);
        struct storage_error error;
        testing_put_text(map, "c", "3", 0);
        struct map_checkpoint *checkpoint = map_freeze(map);
        assert_ok(map_checkpoint_write(checkpoint, &error), error);
        if (i == 0) { /* somebody wrote another state after ours */
            MDB_txn *transaction = NULL;
            struct map_meta meta = *map_get_meta(map);
            meta.applied_index += 7;
            assert_int_equal(mdb_txn_begin(map->store->environment, NULL, 0, &transaction), 0);
            assert_int_equal(map_store_put_meta(map->store, transaction, &meta), 0);
            assert_int_equal(mdb_txn_commit(transaction), 0);
        } else {
            char name[] = MAP_META_NAME;
            char garbage[] = "???";
            change_while_open(map, map->store->meta, (MDB_val){sizeof name - 1, name},
                              &(MDB_val){3, garbage});
        }
        map_checkpoint_finish(map, checkpoint);
        assert_non_null(map_error(map));
        assert_non_null(strstr(map_error(map), i == 0 ? "not the one that was just written" : "is damaged"));
        map_close(map);
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(a_meta_record_that_makes_no_sense_is_refused_at_start),
        testing_in_directory(a_header_that_makes_no_sense_breaks_the_map),
        testing_in_directory(counting_anew_finds_a_damaged_value_and_a_damaged_key),
        testing_in_directory(an_index_that_names_keys_that_are_not_there_breaks_the_map),
        testing_in_directory(an_index_with_a_key_that_makes_no_sense_breaks_the_map),
        testing_in_directory(a_damaged_page_breaks_the_map),
        testing_in_directory(what_lmdb_aborts_over_is_said_to_be_damage),
        testing_in_directory(a_checkpoint_does_not_write_over_a_header_that_makes_no_sense),
        testing_in_directory(a_checkpoint_that_does_not_come_to_the_right_number_of_keys_is_not_committed),
        testing_in_directory(a_map_that_is_not_the_one_that_was_written_is_not_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
