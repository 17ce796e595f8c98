/* test_raft_append.c: the follower's side of the log. */
#include "raft_fixture.h"

static const struct raft_message *answer_to_append(struct fixture *f, raft_node_id leader)
{
    fixture_turn(f);
    const struct raft_message *answer = fixture_now(f, RAFT_MESSAGE_APPEND_RESPONSE, leader);
    return answer != NULL ? answer : fixture_later(f, RAFT_MESSAGE_APPEND_RESPONSE, leader);
}

static void an_acknowledgement_names_the_last_matching_entry(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 2, 2, 5, 0);
    fixture_append(&f, 2, 2, fixture_id(2, 3), 2, 1, 0);
    const struct raft_message *answer = answer_to_append(&f, 2);
    assert_false(answer->reject);
    assert_int_equal(answer->log.index, 4); /* entry 5 was not compared */
    assert_int_equal(answer->log.term, 2);
    fixture_destroy(&f);
}

static void duplicates_and_old_appends_are_harmless(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 2, 0);
    fixture_append(&f, 2, 1, fixture_id(1, 2), 1, 3, 3);
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 2, 0); /* overtaken by the second */
    fixture_append(&f, 2, 1, fixture_id(1, 1), 1, 1, 2);
    assert_int_equal(fixture_status(&f)->last.index, 5);
    assert_int_equal(f.status.commit, 3);
    fixture_destroy(&f);
}

static void the_hint_skips_a_whole_term(void **state)
{
    (void)state;
    struct raft_term_run runs[] = {{1, 1}, {4, 2}, {7, 5}};
    struct raft_restore restore = {
        .hard_state = {.term = 5}, .last_index = 20, .runs = runs, .runs_count = 3};
    struct raft_config config = fixture_config();
    struct fixture f = fixture_create_with(&config, 3, &restore);
    fixture_append(&f, 2, 6, fixture_id(4, 15), 6, 1, 0);
    const struct raft_message *answer = answer_to_append(&f, 2);
    assert_true(answer->reject);
    assert_int_equal(answer->log.index, 15);
    assert_int_equal(answer->hint.index, 6); /* nothing of term 5 can be in a log with term 4 at 15 */
    assert_int_equal(answer->hint.term, 2);
    fixture_append(&f, 2, 6, fixture_id(6, 99), 6, 1, 0); /* our log is too short */
    answer = answer_to_append(&f, 2);
    assert_int_equal(answer->hint.index, 20);
    assert_int_equal(answer->hint.term, 5);
    fixture_destroy(&f);
}

static void committed_entries_are_never_truncated(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 2, 2, 5, 4);
    fixture_turn(&f);
    fixture_append(&f, 2, 3, fixture_id(2, 2), 3, 1, 0); /* contradicts entry 3: a broken peer */
    assert_null(answer_to_append(&f, 2));
    fixture_append(&f, 2, 3, fixture_id(3, 4), 3, 1, 0); /* contradicts entry 4 */
    assert_null(answer_to_append(&f, 2));
    assert_int_equal(fixture_status(&f)->last.index, 5);
    assert_int_equal(f.status.last.term, 2);
    fixture_append(&f, 2, 3, fixture_id(2, 4), 3, 1, 0); /* above commit it may */
    assert_int_equal(fixture_status(&f)->last.term, 3);
    fixture_destroy(&f);
}

static void malformed_appends_are_ignored(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 2, 2, 5, 0);
    struct raft_entry entry = {.id = {2, 9}, .type = RAFT_ENTRY_NOOP}; /* a gap after log */
    struct raft_message message = fixture_message(RAFT_MESSAGE_APPEND, 2, 2);
    message.log = fixture_id(2, 5);
    message.entries = &entry;
    message.entries_count = 1;
    fixture_step(&f, &message);
    entry.id = fixture_id(1, 6); /* the term goes back */
    fixture_step(&f, &message);
    message.log.index = UINT64_MAX - 1;
    entry.id = fixture_id(2, UINT64_MAX);
    fixture_step(&f, &message);
    assert_false(raft_has_ready(f.raft));
    assert_int_equal(fixture_status(&f)->last.index, 5);
    assert_int_equal(raft_leader(f.raft), RAFT_NODE_NONE);
    fixture_destroy(&f);
}

static void an_append_that_reaches_below_the_base_is_used_from_there(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 2, 2, 8, 6);
    raft_compacted(f.raft, fixture_id(2, 5));
    fixture_append(&f, 2, 3, fixture_id(2, 2), 2, 2, 6); /* all of it compacted */
    const struct raft_message *answer = answer_to_append(&f, 2);
    assert_false(answer->reject);
    assert_int_equal(answer->log.index, 5);
    fixture_append(&f, 2, 3, fixture_id(2, 2), 2, 8, 6); /* 3 to 10: 9 and 10 are new */
    answer = answer_to_append(&f, 2);
    assert_int_equal(answer->log.index, 10);
    assert_int_equal(fixture_status(&f)->last.index, 10);
    fixture_destroy(&f);
}

static void a_heartbeat_commits_what_the_leader_knows_to_match(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 2, 2, 5, 0);
    struct raft_message heartbeat = fixture_message(RAFT_MESSAGE_HEARTBEAT, 2, 2);
    heartbeat.commit = 3;
    heartbeat.round = 77;
    fixture_step(&f, &heartbeat);
    assert_int_equal(raft_get_commit(f.raft), 3);
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT_RESPONSE, 2)->round, 77);
    heartbeat.commit = 99; /* beyond our log: a broken peer */
    fixture_step(&f, &heartbeat);
    assert_int_equal(raft_get_commit(f.raft), 3);
    fixture_destroy(&f);
}

static void a_round_on_an_append_is_answered_without_the_disk(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 1);
    fixture_turn(&f);
    fixture_persist(&f); /* the term */
    struct raft_entry entry = {.id = {1, 1}, .type = RAFT_ENTRY_NOOP};
    struct raft_message append = fixture_message(RAFT_MESSAGE_APPEND, 2, 1);
    append.entries = &entry;
    append.entries_count = 1;
    append.round = 5;
    fixture_step(&f, &append);
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT_RESPONSE, 2)->round, 5);
    assert_non_null(fixture_later(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2));
    fixture_destroy(&f);
}

static void a_second_leader_of_one_term_is_ignored(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 1, 0);
    fixture_append(&f, 3, 1, fixture_id(0, 0), 1, 5, 0);
    assert_int_equal(raft_leader(f.raft), 2);
    assert_int_equal(fixture_status(&f)->last.index, 1);
    fixture_destroy(&f);

    f = fixture_create_leader_of(3);
    fixture_append(&f, 3, raft_get_term(f.raft), fixture_id(0, 0), 1, 5, 0);
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    assert_int_equal(fixture_status(&f)->last.index, 1);
    fixture_destroy(&f);
}

static void an_append_that_contradicts_what_was_compacted_gets_no_answer(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 4, 3, 8, 6);
    raft_compacted(f.raft, fixture_id(3, 5));
    /* It claims an entry 7 of term 2, so an entry 5 of term 2 at most: but 5(t3) is committed. */
    fixture_append(&f, 2, 4, fixture_id(2, 7), 4, 1, 0);
    fixture_turn(&f);
    assert_null(fixture_now(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2));
    assert_null(fixture_later(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2));
    assert_int_equal(fixture_status(&f)->last.index, 8);
    fixture_destroy(&f);
}

static void a_heartbeat_of_a_second_leader_of_one_term_is_ignored(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 2, 2, 5, 0);
    fixture_heartbeat(&f, 2, 2);
    fixture_turn(&f);
    struct raft_message heartbeat = fixture_message(RAFT_MESSAGE_HEARTBEAT, 3, 2);
    heartbeat.commit = 5;
    fixture_step(&f, &heartbeat);
    fixture_turn(&f);
    assert_int_equal(raft_leader(f.raft), 2);
    assert_int_equal(raft_get_commit(f.raft), 0);
    assert_null(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT_RESPONSE, 3));
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_acknowledgement_names_the_last_matching_entry),
        cmocka_unit_test(duplicates_and_old_appends_are_harmless),
        cmocka_unit_test(the_hint_skips_a_whole_term),
        cmocka_unit_test(committed_entries_are_never_truncated),
        cmocka_unit_test(malformed_appends_are_ignored),
        cmocka_unit_test(an_append_that_reaches_below_the_base_is_used_from_there),
        cmocka_unit_test(a_heartbeat_commits_what_the_leader_knows_to_match),
        cmocka_unit_test(a_round_on_an_append_is_answered_without_the_disk),
        cmocka_unit_test(a_second_leader_of_one_term_is_ignored),
        cmocka_unit_test(an_append_that_contradicts_what_was_compacted_gets_no_answer),
        cmocka_unit_test(a_heartbeat_of_a_second_leader_of_one_term_is_ignored),
    };
    return FIXTURE_MAIN(tests);
}
