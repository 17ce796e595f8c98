/* test_raft_log.c: the log's cache, its terms, and what is durable. */
#include "raft_fixture.h"
#include "raft_log.h"

static struct raft_log create_log(uint64_t cache_bytes_max)
{
    struct raft_log log;
    struct raft_restore nothing = {.hard_state = {.term = 100}};
    raft_log_init(&log, &nothing, cache_bytes_max);
    return log;
}

static void append(struct raft_log *log, uint64_t term, uint32_t count, uint32_t size)
{
    for (uint32_t i = 0; i < count; i++) {
        struct raft_entry entry = {.id = {term, log->last_index + 1}, .type = RAFT_ENTRY_COMMANDS};
        entry.payload = raft_payload_create(size);
        entry.payload->size = size;
        raft_log_append(log, &entry, 1);
        raft_payload_unref(entry.payload);
    }
    raft_log_check_invariants(log);
}

/* Issues a write and frees what it would have written. */
static uint64_t issue(struct raft_log *log, uint64_t expected_first, uint32_t expected_count)
{
    struct raft_entry *entries;
    uint32_t count;
    uint64_t sequence = raft_log_issue_persist(log, 0, &entries, &count);
    assert_int_equal(count, expected_count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(entries[i].id.index, expected_first + i);
        raft_payload_unref(entries[i].payload);
    }
    free(entries);
    raft_log_check_invariants(log);
    return sequence;
}

static void a_completed_write_is_durable(void **state)
{
    (void)state;
    struct raft_log log = create_log(1000);
    append(&log, 1, 3, 8);
    uint64_t first = issue(&log, 1, 3);
    append(&log, 1, 2, 8);
    uint64_t second = issue(&log, 4, 2);
    append(&log, 1, 1, 8);
    assert_true(raft_log_persisted(&log, first));
    assert_int_equal(log.durable, 3);
    assert_true(raft_log_has_unsaved(&log));
    assert_true(raft_log_persisted(&log, second));
    assert_int_equal(log.durable, 5); /* the last one was never handed out */
    raft_log_deinit(&log);
}

/* Design section 3: A's entries in flight, C's overwrite them, A's again, and then the first
 * completion arrives. */
static void the_first_of_a_c_a_does_not_make_the_second_a_durable(void **state)
{
    (void)state;
    struct raft_log log = create_log(1000);
    append(&log, 1, 4, 8);
    raft_log_commit_to(&log, 4);
    assert_true(raft_log_persisted(&log, issue(&log, 1, 4)));
    append(&log, 2, 3, 8); /* A: 5 to 7 in term 2 */
    uint64_t first_a = issue(&log, 5, 3);
    raft_log_truncate(&log, 5);
    append(&log, 3, 1, 8); /* C: 5 in term 3 */
    uint64_t c = issue(&log, 5, 1);
    raft_log_truncate(&log, 5);
    append(&log, 2, 3, 8); /* A again: the same ids as at first */
    uint64_t second_a = issue(&log, 5, 3);

    assert_false(raft_log_persisted(&log, first_a));
    assert_int_equal(log.durable, 4); /* the disk may hold C's by now */
    assert_false(raft_log_persisted(&log, c));
    assert_int_equal(log.durable, 4); /* and does now */
    assert_true(raft_log_persisted(&log, second_a));
    assert_int_equal(log.durable, 7);
    raft_log_deinit(&log);
}

/* The same, with the overwriting entries not even handed out. */
static void an_overwrite_that_is_not_issued_yet_counts_too(void **state)
{
    (void)state;
    struct raft_log log = create_log(1000);
    append(&log, 1, 5, 8);
    uint64_t first = issue(&log, 1, 5);
    raft_log_truncate(&log, 3);
    append(&log, 2, 4, 8);
    assert_true(raft_log_persisted(&log, first));
    assert_int_equal(log.durable, 2);
    assert_true(raft_log_persisted(&log, issue(&log, 3, 4)));
    assert_int_equal(log.durable, 6);
    raft_log_deinit(&log);
}

static void truncation_lowers_what_is_durable(void **state)
{
    (void)state;
    struct raft_log log = create_log(1000);
    append(&log, 1, 5, 8);
    raft_log_persisted(&log, issue(&log, 1, 5));
    raft_log_truncate(&log, 4);
    assert_int_equal(log.durable, 3);
    append(&log, 2, 1, 8);
    uint64_t hard_state_only_follows = issue(&log, 4, 1);
    uint64_t hard_state = issue(&log, 0, 0);
    assert_true(raft_log_persisted(&log, hard_state_only_follows));
    assert_false(raft_log_persisted(&log, hard_state));
    assert_int_equal(log.durable, 4);
    raft_log_deinit(&log);
}

static void only_durable_and_committed_entries_are_evicted(void **state)
{
    (void)state;
    struct raft_log log = create_log(500);
    append(&log, 1, 10, 100);
    raft_log_evict(&log);
    assert_int_equal(log.cache_first, 1);
    raft_log_persisted(&log, issue(&log, 1, 10));
    raft_log_evict(&log);
    assert_int_equal(log.cache_first, 1); /* not committed */
    raft_log_commit_to(&log, 2);
    raft_log_evict(&log);
    assert_int_equal(log.cache_first, 3);
    raft_log_commit_to(&log, 10);
    raft_log_evict(&log);
    assert_true(log.cache_first > 3 && log.cache_first <= 10); /* the newest that fit stay */
    assert_null(raft_log_cached(&log, 3));
    assert_non_null(raft_log_cached(&log, 10));
    assert_int_equal(raft_log_term(&log, 1), 1); /* terms stay */
    raft_log_check_invariants(&log);
    raft_log_deinit(&log);
}

static void bytes_between_entries_are_counted(void **state)
{
    (void)state;
    struct raft_log log = create_log(0);
    append(&log, 1, 3, 10);
    append(&log, 2, 2, 100);
    assert_int_equal(raft_log_bytes_after(&log, 0), 230);
    assert_int_equal(raft_log_bytes_after(&log, 3), 200);
    assert_int_equal(raft_log_bytes_after(&log, 5), 0);
    raft_log_truncate(&log, 5);
    assert_int_equal(raft_log_bytes_after(&log, 0), 130);
    raft_log_commit_to(&log, 4);
    raft_log_persisted(&log, issue(&log, 1, 4));
    raft_log_evict(&log);
    assert_int_equal(raft_log_bytes_after(&log, 0), 0);
    append(&log, 2, 1, 7);
    assert_int_equal(raft_log_bytes_after(&log, 4), 7);
    raft_log_deinit(&log);
}

static void compaction_moves_the_base(void **state)
{
    (void)state;
    struct raft_log log = create_log(1000);
    append(&log, 1, 3, 8);
    append(&log, 2, 3, 8);
    raft_log_persisted(&log, issue(&log, 1, 6));
    raft_log_commit_to(&log, 5);
    log.handed = 5;
    raft_log_applied_to(&log, 5);
    raft_log_compact(&log, fixture_id(2, 4));
    raft_log_check_invariants(&log);
    uint64_t term = 0;
    assert_false(raft_log_get_term(&log, 3, &term));
    assert_true(raft_log_get_term(&log, 4, &term));
    assert_int_equal(term, 2);
    struct raft_entry_id found;
    assert_false(raft_log_find_at_most(&log, 6, 1, &found)); /* term 1 is before the base */
    assert_true(raft_log_find_at_most(&log, 4, 2, &found));
    assert_int_equal(found.index, 4);
    assert_true(raft_log_find_at_most(&log, 100, 9, &found));
    assert_int_equal(found.index, 6);
    raft_log_deinit(&log);
}

static void a_restored_log_has_terms_but_no_entries_in_memory(void **state)
{
    (void)state;
    struct raft_term_run runs[] = {{5, 2}, {8, 4}};
    struct raft_restore restore = {
        .hard_state = {.term = 4},
        .base = {1, 4},
        .last_index = 9,
        .runs = runs,
        .runs_count = 2,
        .commit = 6,
        .applied = 5,
    };
    struct raft_log log;
    raft_log_init(&log, &restore, 1000);
    raft_log_check_invariants(&log);
    assert_int_equal(log.durable, 9);
    assert_null(raft_log_cached(&log, 9));
    assert_int_equal(raft_log_last(&log).term, 4);
    assert_true(raft_log_holds(&log, fixture_id(1, 4)));
    assert_true(raft_log_holds(&log, fixture_id(2, 7)));
    assert_false(raft_log_holds(&log, fixture_id(2, 8)));
    raft_log_truncate(&log, 8); /* what is on disk only can be dropped, too */
    append(&log, 5, 2, 8);
    assert_null(raft_log_cached(&log, 7));
    assert_non_null(raft_log_cached(&log, 8));
    raft_log_deinit(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_completed_write_is_durable),
        cmocka_unit_test(the_first_of_a_c_a_does_not_make_the_second_a_durable),
        cmocka_unit_test(an_overwrite_that_is_not_issued_yet_counts_too),
        cmocka_unit_test(truncation_lowers_what_is_durable),
        cmocka_unit_test(only_durable_and_committed_entries_are_evicted),
        cmocka_unit_test(bytes_between_entries_are_counted),
        cmocka_unit_test(compaction_moves_the_base),
        cmocka_unit_test(a_restored_log_has_terms_but_no_entries_in_memory),
    };
    return FIXTURE_MAIN(tests);
}
