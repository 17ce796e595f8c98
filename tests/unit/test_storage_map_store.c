/* test_storage_map_store.c: what the map does when its file is not what it was: rot, lost records, foreign
 * forms. */
#include "map_internal.h"
#include "storage_bytes.h"
#include "storage_foreign_reader.h"
#include "storage_testing.h"

/* Writes a value for "k" whose bytes are not those of its hash. */
static void rot_value(const char *directory, size_t size)
{
    uint8_t *record = calloc(1, MAP_RECORD_HEAD_BYTES + size);
    char key[] = {MAP_KEY_PREFIX, 'k'};
    const struct map_value value = {.type = MAP_VALUE_STRING,
                                    .version = {.index = 1},
                                    .bytes = record + MAP_RECORD_HEAD_BYTES,
                                    .size = size};
    uint64_t hash = map_record_hash((const uint8_t *)"k", 1, &value);
    map_record_encode(record, &value, hash);
    record[MAP_RECORD_HEAD_BYTES + size / 2] ^= 1;
    testing_damage(directory, "data", 0, (MDB_val){2, key}, &(MDB_val){MAP_RECORD_HEAD_BYTES + size, record});
    free(record);
}

static struct map *open_with_one_key(const char *directory, size_t size)
{
    struct map *map = testing_open_map(directory, TESTING_MAP_BYTES);
    uint8_t *bytes = calloc(1, size);
    testing_put(map, "k", 1, bytes, size, 0);
    free(bytes);
    testing_checkpoint(map);
    map_close(map);
    rot_value(directory, size);
    return testing_open_map(directory, TESTING_MAP_BYTES);
}

static void pitfall_27_a_rotten_value_is_not_found_and_the_map_says_why(void **state)
{
    struct map *map = open_with_one_key(*state, 100);
    struct map_value value;
    assert_null(map_error(map));
    assert_false(map_get(map, (const uint8_t *)"k", 1, &value));
    assert_non_null(map_error(map));
    assert_non_null(strstr(map_error(map), "wrong checksum"));
    assert_non_null(strstr(map_error(map), "put a new one, with an id of its own, in its place"));
    assert_non_null(strstr(map_error(map), *state));
    /* From then on nothing is written either. */
    struct storage_error error;
    testing_put_text(map, "other", "v", 0);
    assert_int_equal(map_checkpoint_write(map_freeze(map), &error), STORAGE_FAILED);
    map_close(map);
}

static void rot_in_a_large_value_is_seen_when_it_is_read(void **state)
{
    struct map *map = open_with_one_key(*state, 100000);
    struct map_value value;
    assert_false(map_get(map, (const uint8_t *)"k", 1, &value));
    assert_non_null(map_error(map));
    map_close(map);
}

static void rot_in_a_small_value_is_seen_when_it_is_overwritten(void **state)
{
    /* Its hash would spoil the digest. */
    struct map *map = open_with_one_key(*state, 100);
    testing_put_text(map, "k", "new", 0);
    assert_non_null(map_error(map));
    map_close(map);
}

static enum storage_status open_status(const char *directory, struct storage_error *error)
{
    struct map *map = NULL;
    const struct map_options options = {.directory = directory, .map_bytes = TESTING_MAP_BYTES};
    enum storage_status status = map_open(&options, &map, error);
    if (status == STORAGE_OK) {
        map_close(map);
    }
    return status;
}

static void make_map(const char *directory)
{
    struct map *map = testing_open_map(directory, TESTING_MAP_BYTES);
    testing_put_text(map, "a", "1", 100);
    testing_put_text(map, "b", "2", 200);
    testing_checkpoint(map);
    map_close(map);
}

static void a_damaged_or_missing_meta_record_is_refused_at_start(void **state)
{
    struct storage_error error;
    char name[] = "meta";
    uint8_t garbage[100] = {1, 0, 0, 0, 84};
    make_map(*state);
    testing_damage(*state, "meta", 0, (MDB_val){4, name}, &(MDB_val){sizeof garbage, garbage});
    assert_int_equal(open_status(*state, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "meta"));
    testing_damage(*state, "meta", 0, (MDB_val){4, name}, NULL);
    assert_int_equal(open_status(*state, &error), STORAGE_CORRUPT);
}

static void a_lost_key_is_noticed_at_start(void **state)
{
    struct storage_error error;
    char key[] = {MAP_KEY_PREFIX, 'a'};
    make_map(*state);
    testing_damage(*state, "data", 0, (MDB_val){2, key}, NULL);
    assert_int_equal(open_status(*state, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "holds 1 keys"));
}

static void an_index_that_lost_a_key_stops_the_checkpoint_that_needs_it(void **state)
{
    make_map(*state);
    uint8_t time[8];
    struct storage_error error;
    storage_put_u64_big(time, 100);
    testing_damage(*state, "expiry", MDB_DUPSORT, (MDB_val){8, time}, NULL);
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    testing_delete(map, "a");
    struct map_checkpoint *checkpoint = map_freeze(map);
    assert_int_equal(map_checkpoint_write(checkpoint, &error), STORAGE_CORRUPT);
    assert_int_equal(map_checkpoint_write(checkpoint, &error), STORAGE_FAILED);
    map_close(map);
}

static void an_index_that_names_a_wrong_expiry_stops_the_purge(void **state)
{
    make_map(*state);
    uint8_t time[8];
    char key[] = {MAP_KEY_PREFIX, 'a'};
    storage_put_u64_big(time, 50);
    testing_damage(*state, "expiry", MDB_DUPSORT, (MDB_val){8, time}, &(MDB_val){2, key});
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    assert_int_equal(testing_purge(map, 60, 10), 0);
    assert_non_null(map_error(map));
    map_close(map);
}

static void the_tables_hold_what_the_readme_says(void **state)
{
    make_map(*state);
    MDB_env *environment = NULL;
    MDB_txn *transaction = NULL;
    assert_int_equal(mdb_env_create(&environment), 0);
    assert_int_equal(mdb_env_set_maxdbs(environment, 8), 0);
    assert_int_equal(mdb_env_open(environment, *state, MDB_RDONLY, 0600), 0);
    assert_int_equal(mdb_txn_begin(environment, NULL, MDB_RDONLY, &transaction), 0);
    const struct {
        const char *name;
        size_t count;
    } tables[] = {{"data", 2}, {"expiry", 2}, {"scan", 2}, {"meta", 1}, {"session", 0}};
    for (size_t i = 0; i < 5; i++) {
        MDB_dbi table;
        MDB_stat statistics;
        assert_int_equal(mdb_dbi_open(transaction, tables[i].name, 0, &table), 0);
        assert_int_equal(mdb_stat(transaction, table, &statistics), 0);
        assert_int_equal(statistics.ms_entries, tables[i].count);
    }
    mdb_txn_abort(transaction);
    mdb_env_close(environment);
}

static void pitfall_22_slots_of_killed_readers_are_cleared_by_checkpoints(void **state)
{
    /* Pitfall 22: else no page that is freed from then on is ever used again. */
    struct foreign_reader reader;
    foreign_reader_fork(&reader, *state);
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    foreign_reader_begin_and_die(&reader);
    testing_put_text(map, "k", "v", 0);
    testing_checkpoint(map);
    int dead = -1;
    assert_int_equal(mdb_reader_check(map->store->environment, &dead), 0);
    assert_int_equal(dead, 0);
    map_close(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(pitfall_27_a_rotten_value_is_not_found_and_the_map_says_why),
        testing_in_directory(rot_in_a_large_value_is_seen_when_it_is_read),
        testing_in_directory(rot_in_a_small_value_is_seen_when_it_is_overwritten),
        testing_in_directory(a_damaged_or_missing_meta_record_is_refused_at_start),
        testing_in_directory(a_lost_key_is_noticed_at_start),
        testing_in_directory(an_index_that_lost_a_key_stops_the_checkpoint_that_needs_it),
        testing_in_directory(an_index_that_names_a_wrong_expiry_stops_the_purge),
        testing_in_directory(the_tables_hold_what_the_readme_says),
        testing_in_directory(pitfall_22_slots_of_killed_readers_are_cleared_by_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
