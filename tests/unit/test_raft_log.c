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

/* Pitfall 12: the log begins anew after a snapshot, at once in memory, on disk with the write that says
 * so. */
static void a_snapshot_over_other_entries_drops_them_all(void **state)
{
    (void)state;
    struct raft_log log = create_log(1000);
    append(&log, 1, 3, 8);
    raft_log_commit_to(&log, 2);
    raft_log_persisted(&log, issue(&log, 1, 3));
    append(&log, 1, 2, 8);
    uint64_t before = issue(&log, 4, 2); /* in flight when the snapshot comes */
    append(&log, 1, 1, 8);               /* and one that is not even issued */
    raft_log_install(&log, fixture_id(3, 8));
    raft_log_check_invariants(&log);
    assert_int_equal(raft_log_last(&log).index, 8);
    assert_int_equal(raft_log_last(&log).term, 3);
    assert_true(log.commit == 8 && log.handed == 8 && log.applied == 8);
    assert_int_equal(log.durable, 2); /* committed: as good as before, whatever becomes of the snapshot */
    assert_true(raft_log_has_unsaved(&log) && !raft_log_base_is_durable(&log));
    assert_false(log.install_keeps);

    assert_false(raft_log_persisted(&log, before)); /* the disk holds what is no log any more */
    assert_int_equal(log.durable, 2);
    uint64_t install = issue(&log, 0, 0);
    append(&log, 3, 2, 8);
    uint64_t after = issue(&log, 9, 2);
    assert_false(raft_log_base_is_durable(&log));
    assert_true(raft_log_persisted(&log, install));
    assert_true(raft_log_base_is_durable(&log));
    assert_int_equal(log.durable, 8);
    assert_true(raft_log_persisted(&log, after));
    assert_int_equal(log.durable, 10);
    raft_log_check_invariants(&log);
    raft_log_deinit(&log);
}

/* Pitfall 13: what follows a matching entry stays, on disk as well, where the entry is on disk. */
static void a_snapshot_into_the_log_keeps_what_follows(void **state)
{
    (void)state;
    struct raft_log log = create_log(1000);
    append(&log, 1, 6, 8);
    uint64_t first = issue(&log, 1, 6);
    append(&log, 1, 2, 8);
    raft_log_install(&log, fixture_id(1, 4));
    raft_log_check_invariants(&log);
    assert_true(log.install_keeps);
    assert_int_equal(log.last_index, 8);
    assert_int_equal(log.commit, 4);
    assert_non_null(raft_log_cached(&log, 5));
    assert_true(raft_log_persisted(&log, first));
    assert_int_equal(log.durable, 6);
    assert_true(raft_log_persisted(&log, issue(&log, 7, 2))); /* with the installation */
    assert_int_equal(log.durable, 8);
    assert_true(raft_log_base_is_durable(&log));
    raft_log_deinit(&log);
}

/* The entry is in memory only, over others that are on the disk or on their way there: the disk drops all
 * it has. What these writes bring is not durable, though the index is below the new base. */
static void a_snapshot_at_an_unsaved_entry_does_not_trust_the_disk(void **state)
{
    (void)state;
    struct raft_log log = create_log(1000);
    append(&log, 1, 5, 8);
    raft_log_commit_to(&log, 2);
    uint64_t old = issue(&log, 1, 5);
    raft_log_truncate(&log, 3);
    append(&log, 2, 4, 8); /* 3 to 6, unsaved */
    raft_log_install(&log, fixture_id(2, 4));
    raft_log_check_invariants(&log);
    assert_false(log.install_keeps);
    assert_int_equal(log.last_index, 6);
    assert_true(raft_log_persisted(&log, old));
    assert_int_equal(log.durable, 2); /* 3 to 5 on disk are other ones */
    uint64_t install = issue(&log, 5, 2);
    assert_int_equal(log.durable, 2);
    assert_true(raft_log_persisted(&log, install));
    assert_int_equal(log.durable, 6);
    raft_log_deinit(&log);
}

/* Pitfall 13: two in quick succession; the first is not even written. */
static void the_second_of_two_snapshots_counts(void **state)
{
    (void)state;
    struct raft_log log = create_log(1000);
    append(&log, 1, 3, 8);
    raft_log_persisted(&log, issue(&log, 1, 3));
    raft_log_install(&log, fixture_id(2, 5));
    raft_log_install(&log, fixture_id(2, 9));
    raft_log_check_invariants(&log);
    assert_int_equal(log.durable, 0);
    assert_true(raft_log_persisted(&log, issue(&log, 0, 0)));
    assert_int_equal(log.durable, 9);

    raft_log_install(&log, fixture_id(2, 12)); /* and now while the first is in flight */
    uint64_t first = issue(&log, 0, 0);
    raft_log_install(&log, fixture_id(2, 15));
    assert_false(raft_log_base_is_durable(&log));
    assert_true(raft_log_persisted(&log, first));
    assert_int_equal(log.durable, 12);
    assert_false(raft_log_base_is_durable(&log));
    assert_true(raft_log_persisted(&log, issue(&log, 0, 0)));
    assert_int_equal(log.durable, 15);
    assert_true(raft_log_base_is_durable(&log));
    raft_log_check_invariants(&log);
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
        cmocka_unit_test(a_snapshot_over_other_entries_drops_them_all),
        cmocka_unit_test(a_snapshot_into_the_log_keeps_what_follows),
        cmocka_unit_test(a_snapshot_at_an_unsaved_entry_does_not_trust_the_disk),
        cmocka_unit_test(the_second_of_two_snapshots_counts),
    };
    return FIXTURE_MAIN(tests);
}
