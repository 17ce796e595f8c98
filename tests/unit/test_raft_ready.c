/* test_raft_ready.c: what a turn hands out, and in which order things become durable. */
#include "raft_fixture.h"

static void a_quiet_node_has_nothing_to_do(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    assert_false(raft_has_ready(f.raft));
    fixture_turn(&f);
    assert_int_equal(f.ready.sequence, 0);
    assert_int_equal(f.ready.messages_now_count + f.ready.messages_after_persist_count, 0);
    fixture_destroy(&f);
}

static void hard_state_is_handed_out_when_it_changed(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_append(&f, 2, 3, fixture_id(0, 0), 3, 1, 0);
    fixture_turn(&f);
    assert_true(f.ready.hard_state_changed);
    assert_int_equal(f.ready.hard_state.term, 3);
    assert_int_equal(f.ready.entries_count, 1);
    fixture_append(&f, 2, 3, fixture_id(3, 1), 3, 1, 0);
    fixture_turn(&f);
    assert_false(f.ready.hard_state_changed);
    assert_int_equal(f.ready.entries_count, 1);
    assert_int_equal(f.ready.entries[0].id.index, 2);
    fixture_destroy(&f);
}

static void a_message_may_wait_for_an_earlier_persist(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 3);
    fixture_turn(&f); /* sequence 1: the term */
    fixture_heartbeat(&f, 2, 3);
    fixture_turn(&f); /* nothing new to persist, but the answer reveals the term */
    assert_int_equal(f.ready.sequence, 0);
    assert_int_equal(f.ready.after_sequence, 1);
    assert_non_null(fixture_later(&f, RAFT_MESSAGE_HEARTBEAT_RESPONSE, 2));
    raft_persisted(f.raft, 1);
    fixture_heartbeat(&f, 2, 3);
    fixture_turn(&f);
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT_RESPONSE, 2));
    fixture_destroy(&f);
}

static void heartbeat_answers_do_not_wait_for_entries(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 1);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 1, 0);
    fixture_heartbeat(&f, 2, 1);
    fixture_turn(&f);
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT_RESPONSE, 2));
    assert_non_null(fixture_later(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2));
    fixture_destroy(&f);
}

static void one_completion_covers_all_before_it(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    for (uint64_t i = 0; i < 5; i++) {
        fixture_append(&f, 2, 1, fixture_id(i == 0 ? 0 : 1, i), 1, 1, 0);
        fixture_turn(&f);
        assert_int_equal(f.ready.sequence, i + 1);
    }
    raft_persisted(f.raft, 4);
    assert_int_equal(raft_get_durable(f.raft), 4);
    raft_persisted(f.raft, 2); /* an old note */
    assert_int_equal(raft_get_durable(f.raft), 4);
    raft_persisted(f.raft, 5);
    assert_int_equal(raft_get_durable(f.raft), 5);
    fixture_destroy(&f);
}

/* Design section 3: A's entries in flight, C's overwrite them, A's again, then the first completion. */
static void the_first_completion_of_a_c_a_makes_nothing_durable(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_append(&f, 2, 2, fixture_id(0, 0), 2, 3, 0); /* A = node 2 in term 2 */
    fixture_turn(&f);
    fixture_append(&f, 3, 3, fixture_id(0, 0), 3, 1, 0); /* C = node 3 in term 3 */
    fixture_turn(&f);
    fixture_append(&f, 2, 4, fixture_id(0, 0), 2, 3, 0); /* A again, in term 4: the same entries */
    fixture_turn(&f);
    assert_int_equal(f.ready.sequence, 3);
    assert_int_equal(f.ready.entries_count, 3);
    raft_persisted(f.raft, 1);
    assert_int_equal(raft_get_durable(f.raft), 0);
    raft_persisted(f.raft, 2);
    assert_int_equal(raft_get_durable(f.raft), 0);
    fixture_append(&f, 2, 4, fixture_id(0, 0), 2, 3, 0);
    fixture_turn(&f);
    assert_null(fixture_now(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2)); /* no acknowledgement before 3 */
    assert_int_equal(f.ready.after_sequence, 3);
    raft_persisted(f.raft, 3);
    assert_int_equal(raft_get_durable(f.raft), 3);
    fixture_destroy(&f);
}

static void a_ready_owns_what_it_hands_out(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    struct raft_ready ready;
    raft_take_ready(f.raft, &ready);
    f.sequence = ready.sequence;
    raft_destroy(f.raft); /* entries and messages live on */
    f.raft = NULL;
    assert_int_equal(ready.entries[0].payload->size, 10);
    assert_int_equal(ready.messages_now[0].entries[0].payload->size, 10);
    raft_ready_deinit(&ready);
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_node_has_nothing_to_do),
        cmocka_unit_test(hard_state_is_handed_out_when_it_changed),
        cmocka_unit_test(a_message_may_wait_for_an_earlier_persist),
        cmocka_unit_test(heartbeat_answers_do_not_wait_for_entries),
        cmocka_unit_test(one_completion_covers_all_before_it),
        cmocka_unit_test(the_first_completion_of_a_c_a_makes_nothing_durable),
        cmocka_unit_test(a_ready_owns_what_it_hands_out),
    };
    return FIXTURE_MAIN(tests);
}
