/* test_raft_apply.c: committed entries on their way to the state machine. */
#include "raft_fixture.h"

static void expect_entry(struct fixture *f, uint64_t index)
{
    const struct raft_entry *entry = NULL;
    assert_int_equal(raft_next_committed(f->raft, &entry), RAFT_NEXT_ENTRY);
    assert_int_equal(entry->id.index, index);
}

static void expect(struct fixture *f, enum raft_next_committed expected)
{
    const struct raft_entry *entry;
    assert_int_equal(raft_next_committed(f->raft, &entry), expected);
}

static void committed_entries_are_handed_out_once_durable_or_not(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 4, 3);
    assert_int_equal(raft_get_durable(f.raft), 0);
    expect_entry(&f, 1);
    expect_entry(&f, 2);
    expect_entry(&f, 3);
    expect(&f, RAFT_NEXT_NONE);
    raft_applied(f.raft, 3);
    assert_int_equal(fixture_status(&f)->applied, 3);
    fixture_destroy(&f);
}

static void after_a_restart_entries_come_from_disk(void **state)
{
    (void)state;
    struct raft_term_run run = {1, 1};
    struct raft_restore restore = {
        .hard_state = {.term = 1}, .last_index = 6, .runs = &run, .runs_count = 1, .commit = 5, .applied = 2};
    struct raft_config config = fixture_config();
    struct fixture f = fixture_create_with(&config, 3, &restore);
    expect(&f, RAFT_NEXT_NOT_HELD);
    expect(&f, RAFT_NEXT_NOT_HELD); /* asked once */
    fixture_turn(&f);
    assert_int_equal(f.ready.log_reads_count, 1);
    struct raft_log_read read = f.ready.log_reads[0];
    assert_int_equal(read.peer, 1);
    assert_int_equal(read.first_index, 3);
    assert_int_equal(read.last_index, 5);

    struct raft_entry entries[2] = {0};
    for (uint32_t i = 0; i < 2; i++) {
        entries[i] = (struct raft_entry){.id = {1, 3 + i}, .type = RAFT_ENTRY_COMMANDS};
        entries[i].payload = raft_payload_create(4);
    }
    raft_log_read_done(f.raft, read.read_id, entries, 2); /* less than asked for is allowed */
    for (uint32_t i = 0; i < 2; i++)
        raft_payload_unref(entries[i].payload);
    expect_entry(&f, 3);
    raft_check_invariants(f.raft);
    expect_entry(&f, 4);
    expect(&f, RAFT_NEXT_NOT_HELD);
    fixture_turn(&f);
    assert_int_equal(f.ready.log_reads[0].first_index, 5);
    raft_log_read_done(f.raft, f.ready.log_reads[0].read_id, NULL, 0); /* could not be done: again */
    expect(&f, RAFT_NEXT_NOT_HELD);
    fixture_turn(&f);
    struct raft_entry last = {.id = {1, 5}, .type = RAFT_ENTRY_NOOP};
    raft_log_read_done(f.raft, f.ready.log_reads[0].read_id, &last, 1);
    expect_entry(&f, 5);
    expect(&f, RAFT_NEXT_NONE);
    fixture_destroy(&f);
}

static void entries_that_were_evicted_before_they_were_applied_come_from_disk(void **state)
{
    (void)state;
    struct raft_config config = fixture_config();
    config.cache_bytes_max = 0;
    struct raft_restore nothing = {0};
    struct fixture f = fixture_create_with(&config, 3, &nothing);
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 3, 3);
    fixture_turn(&f);
    fixture_persist(&f); /* durable and committed: leaves the memory */
    fixture_append(&f, 2, 1, fixture_id(1, 3), 1, 1, 4);
    expect(&f, RAFT_NEXT_NOT_HELD);
    fixture_turn(&f);
    assert_int_equal(f.ready.log_reads[0].first_index, 1);
    assert_int_equal(f.ready.log_reads[0].last_index, 3);
    struct raft_entry entries[3] = {
        {.id = {1, 1}, .type = RAFT_ENTRY_COMMANDS},
        {.id = {1, 2}, .type = RAFT_ENTRY_COMMANDS},
        {.id = {1, 3}, .type = RAFT_ENTRY_COMMANDS},
    };
    raft_log_read_done(f.raft, f.ready.log_reads[0].read_id, entries, 3);
    for (uint64_t index = 1; index <= 4; index++) /* the last one from memory */
        expect_entry(&f, index);
    expect(&f, RAFT_NEXT_NONE);
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committed_entries_are_handed_out_once_durable_or_not),
        cmocka_unit_test(after_a_restart_entries_come_from_disk),
        cmocka_unit_test(entries_that_were_evicted_before_they_were_applied_come_from_disk),
    };
    return FIXTURE_MAIN(tests);
}
