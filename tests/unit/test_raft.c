/* test_raft.c: creation, routing, time, and proposals. */
#include "raft_fixture.h"

static void messages_of_strangers_are_ignored(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    struct raft_message message = fixture_message(RAFT_MESSAGE_APPEND_RESPONSE, 9, 5); /* not a member */
    fixture_step(&f, &message);
    message.type = RAFT_MESSAGE_READ_INDEX;
    fixture_step(&f, &message);
    message.type = RAFT_MESSAGE_VOTE_RESPONSE;
    fixture_step(&f, &message);
    message.type = (enum raft_message_type)99;
    fixture_step(&f, &message);
    message.type = RAFT_MESSAGE_HEARTBEAT;
    message.from = RAFT_NODE_NONE;
    fixture_step(&f, &message);
    message.from = 2;
    message.to = 3; /* not for us */
    fixture_step(&f, &message);
    message.from = 1;
    message.to = 1; /* from ourselves */
    fixture_step(&f, &message);
    message.from = 2;
    message.term = UINT64_MAX; /* nobody could ever surpass it */
    fixture_step(&f, &message);
    message.term = 5;
    message.type = (enum raft_message_type)99;
    fixture_step(&f, &message);
    assert_int_equal(raft_get_term(f.raft), 0);
    assert_false(raft_has_ready(f.raft));
    fixture_destroy(&f);
}

static void proposals_are_refused_with_a_reason(void **state)
{
    (void)state;
    struct raft_config config = fixture_config();
    config.unstable_bytes_max = 100;
    struct fixture f = fixture_create(3);
    assert_int_equal(fixture_propose(&f, 10), RAFT_PROPOSE_NOT_LEADER);
    fixture_destroy(&f);
    f = fixture_create_leader(&config, 3);
    assert_int_equal(fixture_propose(&f, 60), RAFT_PROPOSE_OK);
    assert_int_equal(fixture_propose(&f, 60), RAFT_PROPOSE_OK);
    assert_int_equal(fixture_propose(&f, 1), RAFT_PROPOSE_FULL);
    fixture_turn(&f);
    fixture_acknowledge(&f, 2, 3);
    fixture_acknowledge(&f, 3, 3);
    assert_int_equal(raft_get_commit(f.raft), 3);
    assert_int_equal(fixture_propose(&f, 1), RAFT_PROPOSE_FULL); /* the own disk is behind */
    fixture_persist(&f);
    assert_int_equal(fixture_propose(&f, 110), RAFT_PROPOSE_OK);
    fixture_turn(&f);
    fixture_persist(&f);
    assert_int_equal(fixture_propose(&f, 1), RAFT_PROPOSE_FULL); /* the others are behind */
    fixture_destroy(&f);
}

static void a_proposal_gets_consecutive_ids_of_the_term(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    for (uint64_t index = 2; index < 10; index++) {
        struct raft_payload *payload = raft_payload_create(0);
        struct raft_entry_id id;
        assert_int_equal(raft_propose(f.raft, payload, &id), RAFT_PROPOSE_OK);
        assert_int_equal(id.term, raft_get_term(f.raft));
        assert_int_equal(id.index, index);
        assert_int_equal(payload->references, 2);
        raft_payload_unref(payload);
    }
    fixture_destroy(&f);
}

static void the_same_inputs_give_the_same_outputs(void **state)
{
    (void)state;
    struct fixture a = fixture_create(3);
    struct fixture b = fixture_create(3);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(raft_deadline_ms(a.raft), raft_deadline_ms(b.raft));
        fixture_tick_to_deadline(&a);
        fixture_tick_to_deadline(&b);
        fixture_turn(&a);
        fixture_turn(&b);
        assert_int_equal(a.ready.messages_now_count, b.ready.messages_now_count);
    }
    fixture_destroy(&a);
    fixture_destroy(&b);
}

static void nothing_is_due_before_the_deadline(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    for (int i = 0; i < 100; i++) {
        uint64_t deadline = raft_deadline_ms(f.raft);
        assert_true(deadline > f.now_ms);
        fixture_tick(&f, deadline - f.now_ms - 1);
        assert_false(raft_has_ready(f.raft));
        fixture_tick(&f, 1);
        if (raft_get_role(f.raft) != RAFT_LEADER)
            break;
        fixture_turn(&f);
        fixture_answer_round(&f, 2, 0);
        fixture_turn(&f);
    }
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    fixture_destroy(&f);
}

static void pitfall_09_a_restart_keeps_term_vote_and_log(void **state)
{
    (void)state;
    struct raft_config config = fixture_config();
    struct raft_term_run runs[] = {{4, 2}, {6, 3}};
    struct raft_restore restore = {
        .hard_state = {.term = 5, .vote = 3},
        .base = {2, 3},
        .last_index = 8,
        .runs = runs,
        .runs_count = 2,
        .commit = 6,
        .applied = 4,
    };
    struct fixture f = fixture_create_with(&config, 3, &restore);
    struct raft_message vote = fixture_message(RAFT_MESSAGE_VOTE, 2, 5);
    vote.log = fixture_id(4, 9);
    fixture_step(&f, &vote);
    fixture_turn(&f);
    assert_true(fixture_now(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2)->reject); /* pitfall 9: voted for 3 */
    vote.from = 3;
    fixture_step(&f, &vote);
    fixture_turn(&f);
    assert_false(fixture_now(&f, RAFT_MESSAGE_VOTE_RESPONSE, 3)->reject);
    uint64_t term;
    assert_true(raft_get_entry_term(f.raft, 3, &term) && term == 2);
    assert_true(raft_get_entry_term(f.raft, 5, &term) && term == 2);
    assert_true(raft_get_entry_term(f.raft, 8, &term) && term == 3);
    assert_false(raft_get_entry_term(f.raft, 2, &term));
    assert_false(raft_get_entry_term(f.raft, 9, &term));
    assert_int_equal(raft_get_commit(f.raft), 6);
    assert_int_equal(raft_get_durable(f.raft), 8);
    fixture_destroy(&f);
}

static void unknown_peers_and_nodes_do_no_harm(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    raft_peer_unreachable(f.raft, 1);
    raft_peer_unreachable(f.raft, 77);
    raft_peer_contact(f.raft, 77);
    raft_peer_contact(f.raft, 2);
    raft_check_invariants(f.raft);
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    fixture_destroy(&f);
    raft_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_strangers_are_ignored),
        cmocka_unit_test(proposals_are_refused_with_a_reason),
        cmocka_unit_test(a_proposal_gets_consecutive_ids_of_the_term),
        cmocka_unit_test(the_same_inputs_give_the_same_outputs),
        cmocka_unit_test(nothing_is_due_before_the_deadline),
        cmocka_unit_test(pitfall_09_a_restart_keeps_term_vote_and_log),
        cmocka_unit_test(unknown_peers_and_nodes_do_no_harm),
    };
    return FIXTURE_MAIN(tests);
}
