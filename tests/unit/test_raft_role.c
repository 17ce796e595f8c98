/* test_raft_role.c: what happens together when a node becomes something else. */
#include "raft_fixture.h"
#include "raft_internal.h"
#include "raft_role.h"

static void a_new_term_forgets_vote_and_leader(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 1);
    raft_become_follower(f.raft, 4);
    raft_check_invariants(f.raft);
    assert_int_equal(raft_leader(f.raft), RAFT_NODE_NONE);
    assert_int_equal(fixture_status(&f)->vote, RAFT_NODE_NONE);
    assert_int_equal(f.status.term, 4);
    assert_false(raft_hard_state_is_durable(f.raft));
    fixture_destroy(&f);
}

static void following_in_the_same_term_keeps_the_vote(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    raft_become_candidate(f.raft);
    raft_become_follower(f.raft, 1);
    raft_check_invariants(f.raft);
    assert_int_equal(fixture_status(&f)->vote, 1);
    fixture_destroy(&f);
}

static void a_pre_candidate_keeps_its_term_and_a_candidate_raises_it(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    raft_become_pre_candidate(f.raft);
    raft_check_invariants(f.raft);
    assert_int_equal(raft_get_term(f.raft), 0);
    assert_false(raft_has_ready(f.raft));
    raft_become_candidate(f.raft);
    raft_check_invariants(f.raft);
    assert_int_equal(raft_get_term(f.raft), 1);
    assert_int_equal(fixture_status(&f)->vote, 1);
    fixture_destroy(&f);
}

static void a_leader_that_steps_down_waits_a_whole_timeout(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    raft_become_follower(f.raft, raft_get_term(f.raft));
    raft_check_invariants(f.raft);
    assert_int_equal(raft_leader(f.raft), RAFT_NODE_NONE);
    assert_true(raft_deadline_ms(f.raft) >= f.now_ms + FIXTURE_ELECTION_MS);
    fixture_turn(&f);
    assert_int_equal(f.ready.messages_now_count, 0); /* no APPEND leaves any more */
    assert_int_equal(f.ready.entries_count, 1);      /* but the log is as it was */
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_term_forgets_vote_and_leader),
        cmocka_unit_test(following_in_the_same_term_keeps_the_vote),
        cmocka_unit_test(a_pre_candidate_keeps_its_term_and_a_candidate_raises_it),
        cmocka_unit_test(a_leader_that_steps_down_waits_a_whole_timeout),
    };
    return FIXTURE_MAIN(tests);
}
