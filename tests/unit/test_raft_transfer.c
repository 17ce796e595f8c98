/* test_raft_transfer.c: handing leadership over (thesis 3.10). */
#include "raft_fixture.h"

static void the_most_up_to_date_reachable_voter_is_chosen(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(5);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    fixture_acknowledge(&f, 3, 2);
    assert_true(raft_transfer_leadership(f.raft, RAFT_NODE_NONE));
    assert_int_equal(fixture_status(&f)->transferee, 3);
    fixture_turn(&f);
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_TIMEOUT_NOW, 3)); /* it has everything: at once */
    fixture_destroy(&f);
}

static void nobody_is_chosen_who_could_not_take_over(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    assert_false(raft_transfer_leadership(f.raft, 1));
    assert_false(raft_transfer_leadership(f.raft, 9));
    fixture_tick(&f, FIXTURE_ELECTION_MS / 2);
    fixture_answer_round(&f, 2, 0);
    fixture_tick(&f, FIXTURE_ELECTION_MS / 2);
    assert_false(raft_transfer_leadership(f.raft, 3)); /* not heard of for an election timeout */
    assert_true(raft_transfer_leadership(f.raft, 2));
    fixture_destroy(&f);
    f = fixture_create(3);
    assert_false(raft_transfer_leadership(f.raft, 2));
    fixture_destroy(&f);
    f = fixture_create_leader_of(1);
    assert_false(raft_transfer_leadership(f.raft, RAFT_NODE_NONE));
    fixture_destroy(&f);
}

static void a_transfer_is_given_up_after_an_election_timeout(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    assert_true(raft_transfer_leadership(f.raft, 2));
    fixture_turn(&f);
    assert_int_equal(fixture_propose(&f, 1), RAFT_PROPOSE_TRANSFERRING);
    assert_int_equal(raft_read_index(f.raft), 0);
    fixture_tick(&f, FIXTURE_ELECTION_MS / 2);
    fixture_answer_round(&f, 2, 0);
    fixture_turn(&f);
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_TIMEOUT_NOW, 2)); /* repeated: it may have been lost */
    fixture_tick(&f, FIXTURE_ELECTION_MS / 2);
    assert_int_equal(fixture_status(&f)->transferee, RAFT_NODE_NONE);
    assert_int_equal(fixture_propose(&f, 1), RAFT_PROPOSE_OK);
    fixture_destroy(&f);
}

/* Pitfall 15: neither pre-vote nor stickiness blocks a transfer. */
static void pitfall_15_the_target_campaigns_at_once_and_by_force(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 1);
    struct raft_message order = fixture_message(RAFT_MESSAGE_TIMEOUT_NOW, 3, 1);
    fixture_step(&f, &order); /* not from the leader */
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    order.from = 2;
    fixture_step(&f, &order);
    assert_int_equal(raft_get_role(f.raft), RAFT_CANDIDATE);
    assert_int_equal(raft_get_term(f.raft), 2);
    fixture_turn(&f);
    assert_true(fixture_later(&f, RAFT_MESSAGE_VOTE, 3)->force);
    fixture_step(&f, &order); /* a late duplicate of the old term */
    assert_int_equal(raft_get_term(f.raft), 2);
    fixture_destroy(&f);
}

static void a_forced_vote_is_heard_by_sticky_nodes_and_the_leader(void **state)
{
    (void)state;
    struct raft_message vote = fixture_message(RAFT_MESSAGE_VOTE, 3, 2);
    vote.force = true;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 1);
    fixture_step(&f, &vote);
    fixture_turn(&f);
    assert_false(fixture_later(&f, RAFT_MESSAGE_VOTE_RESPONSE, 3)->reject);
    fixture_destroy(&f);

    f = fixture_create_leader_of(3);
    vote.log = fixture_id(1, 1);
    fixture_step(&f, &vote);
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    fixture_turn(&f);
    assert_false(fixture_later(&f, RAFT_MESSAGE_VOTE_RESPONSE, 3)->reject);
    fixture_destroy(&f);
}

static void a_transfer_ends_with_the_role(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    assert_true(raft_transfer_leadership(f.raft, 2));
    fixture_heartbeat(&f, 2, 5);
    assert_int_equal(fixture_status(&f)->transferee, RAFT_NODE_NONE);
    assert_int_equal(fixture_propose(&f, 1), RAFT_PROPOSE_NOT_LEADER);
    fixture_destroy(&f);
}

static void a_transfer_that_is_under_way_is_not_begun_again(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10); /* so that the target lacks something */
    fixture_turn(&f);
    assert_true(raft_transfer_leadership(f.raft, 2));
    fixture_tick(&f, FIXTURE_ELECTION_MS - 1);
    fixture_answer_round(&f, 2, 0);
    assert_true(raft_transfer_leadership(f.raft, RAFT_NODE_NONE));
    assert_true(raft_transfer_leadership(f.raft, 2));
    assert_int_equal(raft_transferee(f.raft), 2);
    fixture_tick(&f, 1); /* the time runs from the first request */
    assert_int_equal(raft_transferee(f.raft), RAFT_NODE_NONE);
    fixture_destroy(&f);
}

static void a_leader_does_not_take_orders(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    struct raft_message order = fixture_message(RAFT_MESSAGE_TIMEOUT_NOW, 2, raft_get_term(f.raft));
    fixture_step(&f, &order);
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    fixture_turn(&f);
    assert_null(fixture_later(&f, RAFT_MESSAGE_VOTE, 3));
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_up_to_date_reachable_voter_is_chosen),
        cmocka_unit_test(nobody_is_chosen_who_could_not_take_over),
        cmocka_unit_test(a_transfer_is_given_up_after_an_election_timeout),
        cmocka_unit_test(pitfall_15_the_target_campaigns_at_once_and_by_force),
        cmocka_unit_test(a_forced_vote_is_heard_by_sticky_nodes_and_the_leader),
        cmocka_unit_test(a_transfer_ends_with_the_role),
        cmocka_unit_test(a_transfer_that_is_under_way_is_not_begun_again),
        cmocka_unit_test(a_leader_does_not_take_orders),
    };
    return FIXTURE_MAIN(tests);
}
