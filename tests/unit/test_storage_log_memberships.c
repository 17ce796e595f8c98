/* test_storage_log_memberships.c: the small table of membership entries is kept with the entries: appended,
 * truncated, compacted; and what is wrong with it is found when it is read. */
#include "log_store_internal.h"
#include "storage_bytes.h"
#include "storage_testing.h"

static const size_t MAP_BYTES = 16 * 1024 * 1024;

struct found {
    size_t count;
    uint64_t indexes[64];
    uint64_t terms[64];
    char bytes[64];
};

static void remember(void *context, const struct log_entry *entry)
{
    struct found *found = context;
    assert_true(found->count < 64);
    assert_int_equal(entry->type, LOG_ENTRY_MEMBERSHIP);
    found->indexes[found->count] = entry->id.index;
    found->terms[found->count] = entry->id.term;
    found->bytes[found->count++] = entry->size > 0 ? (char)entry->bytes[0] : '-';
}

static void append(struct log_store *store, uint64_t index, uint64_t term, uint32_t type)
{
    struct storage_error error = {{0}};
    uint8_t byte = (uint8_t)('a' + index);
    const struct log_entry entry = {
        .id = {.term = term, .index = index}, .type = type, .bytes = &byte, .size = 1};
    const struct log_write write = {.entries = &entry, .entries_count = 1};
    assert_ok(log_store_write(store, &write, &error), error);
}

static void assert_memberships(struct log_store *store, const char *bytes)
{
    struct found found = {0};
    struct storage_error error = {{0}};
    assert_ok(log_store_memberships(store, remember, &found, &error), error);
    assert_int_equal(found.count, strlen(bytes));
    assert_memory_equal(found.bytes, bytes, found.count);
    for (size_t i = 1; i < found.count; i++) {
        assert_true(found.indexes[i] > found.indexes[i - 1]);
    }
}

static void reopen(struct log_store **store, const char *directory)
{
    log_store_close(*store);
    *store = testing_open_log(directory, MAP_BYTES);
}

/* Entries 1 to 9; 2, 5, 6 and 9 are memberships, in terms 1 and 2. */
static struct log_store *open_with_memberships(const char *directory)
{
    static const uint32_t types[] = {0, 2, 3, 1, 2, 3, 3, 2, 2, 3};
    struct log_store *store = testing_open_log(directory, MAP_BYTES);
    for (uint64_t index = 1; index <= 9; index++) {
        append(store, index, index <= 5 ? 1 : 2, types[index]);
    }
    return store;
}

static void membership_entries_are_found_without_a_walk(void **state)
{
    struct log_store *store = open_with_memberships(*state);
    for (int i = 0; i < 2; i++) {
        struct found found = {0};
        struct storage_error error = {{0}};
        assert_memberships(store, "cfgj");
        assert_ok(log_store_memberships(store, remember, &found, &error), error);
        assert_int_equal(found.indexes[0], 2);
        assert_int_equal(found.indexes[3], 9);
        assert_int_equal(found.terms[1], 1);
        assert_int_equal(found.terms[2], 2);
        reopen(&store, *state);
    }
    log_store_close(store);
}

static void pitfall_8_truncated_memberships_are_gone(void **state)
{
    /* Pitfall 8: the rollback of an uncommitted change. */
    struct log_store *store = open_with_memberships(*state);
    append(store, 9, 3, 2); /* in place of the last one */
    assert_memberships(store, "cfg");
    append(store, 6, 4, 3); /* a membership in place of another */
    assert_memberships(store, "cfg");
    append(store, 5, 5, 2);
    assert_memberships(store, "c");
    reopen(&store, *state);
    assert_memberships(store, "c");
    append(store, 1, 6, 2);
    assert_memberships(store, "");
    append(store, 2, 6, 3);
    assert_memberships(store, "c");
    log_store_close(store);
}

static void compacted_memberships_are_gone(void **state)
{
    struct log_store *store = open_with_memberships(*state);
    struct storage_error error = {{0}};
    static const char *const left[] = {"cfgj", "fgj", "fgj", "fgj", "gj", "j", "j", "j", ""};
    for (uint64_t to = 1; to <= 9; to++) {
        const struct log_write write = {.compact_to = to, .compact_entries_max = 1};
        assert_ok(log_store_write(store, &write, &error), error);
        assert_memberships(store, left[to - 1]);
        reopen(&store, *state);
        assert_memberships(store, left[to - 1]);
    }
    log_store_close(store);
}

static void a_log_of_format_1_is_given_the_table(void **state)
{
    log_store_close(testing_open_log(*state, MAP_BYTES));
    MDB_env *environment = NULL;
    MDB_txn *transaction = NULL;
    MDB_dbi table;
    assert_int_equal(mdb_env_create(&environment), 0);
    assert_int_equal(mdb_env_set_maxdbs(environment, 8), 0);
    assert_int_equal(mdb_env_open(environment, *state, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(environment, NULL, 0, &transaction), 0);
    assert_int_equal(mdb_dbi_open(transaction, "memberships", 0, &table), 0);
    assert_int_equal(mdb_drop(transaction, table, 1), 0);
    assert_int_equal(mdb_txn_commit(transaction), 0);
    mdb_env_close(environment);
    char name[] = LOG_STATE_LEFT_OVER;
    const uint8_t format[4] = {1};
    testing_damage(*state, "state", 0, (MDB_val){strlen(name), name}, NULL);
    testing_damage_record(*state, "state", LOG_STATE_FORMAT, format, sizeof format);

    for (uint64_t index = 1; index <= 2; index++) {
        struct log_store *store = testing_open_log(*state, MAP_BYTES);
        append(store, index, 1, LOG_ENTRY_MEMBERSHIP);
        assert_memberships(store, index == 1 ? "b" : "bc");
        log_store_close(store);
    }
}

/* Changes the table of the open store. A NULL value removes the key. */
static void change(struct log_store *store, uint64_t index, const uint8_t *value, size_t size)
{
    MDB_txn *transaction = NULL;
    MDB_val key = {sizeof index, &index};
    uint8_t copy[64];
    assert_int_equal(mdb_txn_begin(store->environment, NULL, 0, &transaction), 0);
    if (value == NULL) {
        assert_int_equal(mdb_del(transaction, store->memberships, &key, NULL), 0);
    } else {
        memcpy(copy, value, size);
        MDB_val data = {size, copy};
        assert_int_equal(mdb_put(transaction, store->memberships, &key, &data, 0), 0);
    }
    assert_int_equal(mdb_txn_commit(transaction), 0);
}

static void assert_damaged(struct log_store *store, const char *words)
{
    struct found found = {0};
    struct storage_error error = {{0}};
    assert_int_equal(log_store_memberships(store, remember, &found, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, words));
}

static void pitfall_27_a_table_that_disagrees_with_its_entries_is_reported(void **state)
{
    /* Nothing is guessed: a node that takes a wrong configuration for its own splits the cluster. */
    struct log_store *store = open_with_memberships(*state);
    uint8_t record[16] = {0};
    change(store, 5, record, sizeof record); /* no checksum */
    assert_damaged(store, "damaged file");
    change(store, 5, NULL, 0);

    MDB_txn *transaction = NULL;
    MDB_dbi terms = store->terms;
    MDB_val key;
    MDB_val value;
    uint64_t index = 6;
    assert_int_equal(mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &transaction), 0);
    key = (MDB_val){sizeof index, &index};
    assert_int_equal(mdb_get(transaction, terms, &key, &value), 0);
    memcpy(record, value.mv_data, sizeof record); /* sound for index 6 and term 2 */
    mdb_txn_abort(transaction);
    change(store, 6, record, sizeof record);
    assert_memberships(store, "cgj");
    record[0] ^= 1;
    change(store, 6, record, sizeof record);
    assert_damaged(store, "damaged file");
    log_store_close(store);
}

static void a_membership_that_points_to_no_such_entry_is_reported(void **state)
{
    struct log_store *store = open_with_memberships(*state);
    MDB_txn *transaction = NULL;
    uint64_t index = 5;
    MDB_val key = {sizeof index, &index};
    assert_int_equal(mdb_txn_begin(store->environment, NULL, 0, &transaction), 0);
    assert_int_equal(mdb_del(transaction, store->entries, &key, NULL), 0);
    assert_int_equal(mdb_txn_commit(transaction), 0);
    struct found found = {0};
    struct storage_error error = {{0}};
    assert_int_equal(log_store_memberships(store, remember, &found, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "log entry 5"));
    assert_int_equal(found.count, 1); /* what came before it, and nothing after */
    log_store_close(store);
}

static void a_membership_that_points_to_another_entry_is_reported(void **state)
{
    /* The record of index 1 in `terms` is a sound one of `memberships` too; but entry 1 is none. */
    struct log_store *store = open_with_memberships(*state);
    MDB_txn *transaction = NULL;
    uint64_t index = 1;
    MDB_val key = {sizeof index, &index};
    MDB_val value;
    uint8_t record[16];
    assert_int_equal(mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &transaction), 0);
    assert_int_equal(mdb_get(transaction, store->terms, &key, &value), 0);
    memcpy(record, value.mv_data, sizeof record);
    mdb_txn_abort(transaction);
    change(store, 1, record, sizeof record);
    assert_damaged(store, "memberships disagrees with log entry 1");
    log_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(membership_entries_are_found_without_a_walk),
        testing_in_directory(pitfall_8_truncated_memberships_are_gone),
        testing_in_directory(compacted_memberships_are_gone),
        testing_in_directory(a_log_of_format_1_is_given_the_table),
        testing_in_directory(pitfall_27_a_table_that_disagrees_with_its_entries_is_reported),
        testing_in_directory(a_membership_that_points_to_no_such_entry_is_reported),
        testing_in_directory(a_membership_that_points_to_another_entry_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
