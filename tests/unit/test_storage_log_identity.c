/* test_storage_log_identity.c: who a data directory belongs to survives, whole (pitfall 28). */
#include "storage_testing.h"

enum { MAP_BYTES = 4 * 1024 * 1024 };

static void a_new_directory_has_no_identity(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    struct log_identity identity;
    struct storage_error error;
    bool found = true;
    assert_ok(log_store_read_identity(store, &identity, &found, &error), error);
    assert_false(found);
    log_store_close(store);
}

static void pitfall_28_an_identity_is_read_back_after_reopening(void **state)
{
    struct log_identity written = {
        .node_id = 3, .disk_id = 0xABCDEF, .formation = LOG_FORMATION_PREPARED, .cluster_id = {7, 8}};
    struct log_identity read;
    struct storage_error error;
    bool found = false;
    for (uint32_t count = 0; count <= LOG_MEMBERS_MAX; count += 5) {
        written.members_count = count;
        written.formation = count == 15 ? LOG_FORMATION_FORMED : LOG_FORMATION_PREPARED;
        for (uint32_t i = 0; i < count; i++) {
            written.members[i] = (struct log_member){.node_id = i + 1, .disk_id = 1000 + i};
        }
        struct log_store *store = testing_open_log(*state, MAP_BYTES);
        assert_ok(log_store_write_identity(store, &written, &error), error);
        log_store_close(store);
        store = testing_open_log(*state, MAP_BYTES);
        memset(&read, 0xFF, sizeof read);
        assert_ok(log_store_read_identity(store, &read, &found, &error), error);
        assert_true(found);
        assert_int_equal(read.node_id, 3);
        assert_int_equal(read.disk_id, 0xABCDEF);
        assert_int_equal(read.formation, written.formation);
        assert_int_equal(read.cluster_id[0], 7);
        assert_int_equal(read.cluster_id[1], 8);
        assert_int_equal(read.members_count, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(read.members[i].node_id, i + 1);
            assert_int_equal(read.members[i].disk_id, 1000 + i);
        }
        log_store_close(store);
    }
}

static void pitfall_28_a_log_that_was_used_and_has_no_identity_is_refused(void **state)
{
    /* Else the node would take the directory for a new one, and its votes and entries get a new disk id. */
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    const struct log_hard_state hard_state = {.term = 1, .vote = 1};
    const struct log_write write = {.hard_state = &hard_state};
    struct log_identity identity;
    struct storage_error error = {{0}};
    bool found = true;
    assert_ok(log_store_write(store, &write, &error), error);
    assert_int_equal(log_store_read_identity(store, &identity, &found, &error), STORAGE_CORRUPT);
    assert_false(found);
    assert_non_null(strstr(error.text, "identity"));
    assert_non_null(strstr(error.text, *state));
    log_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(a_new_directory_has_no_identity),
        testing_in_directory(pitfall_28_an_identity_is_read_back_after_reopening),
        testing_in_directory(pitfall_28_a_log_that_was_used_and_has_no_identity_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
