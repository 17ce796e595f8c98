/* test_raft_status.c: what the outside may see. */
#include "raft_fixture.h"

static void roles_have_names(void **state)
{
    (void)state;
    assert_string_equal(raft_role_name(RAFT_FOLLOWER), "follower");
    assert_string_equal(raft_role_name(RAFT_PRE_CANDIDATE), "pre-candidate");
    assert_string_equal(raft_role_name(RAFT_CANDIDATE), "candidate");
    assert_string_equal(raft_role_name(RAFT_LEADER), "leader");
}

static void a_leader_tells_of_its_followers(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_win(&f);
    assert_false(fixture_status(&f)->leader_ready);
    assert_int_equal(f.status.leader, 1);
    assert_int_equal(f.status.peers_count, 2);
    fixture_persist(&f);
    fixture_acknowledge(&f, 3, 1);
    (void)fixture_propose(&f, 30);
    assert_true(fixture_status(&f)->leader_ready);
    assert_int_equal(f.status.unstable_bytes, 30);
    assert_int_equal(f.status.commit, 1);
    assert_int_equal(f.status.last.index, 2);
    assert_int_equal(f.status.first_index, 1);
    assert_int_equal(fixture_peer(&f, 3)->match_index, 1);
    assert_int_equal(fixture_peer(&f, 2)->match_index, 0);
    fixture_tick(&f, FIXTURE_ELECTION_MS / 2);
    fixture_answer_round(&f, 3, 0);
    fixture_tick(&f, FIXTURE_ELECTION_MS / 2);
    assert_true(fixture_peer(&f, 3)->recently_active);
    assert_false(fixture_peer(&f, 2)->recently_active);
    assert_int_equal(f.status.leader_contact_ms, f.now_ms);
    fixture_destroy(&f);
}

static void a_follower_tells_of_its_leader(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 3, 2);
    uint64_t contact = f.now_ms;
    fixture_tick(&f, 10);
    assert_int_equal(fixture_status(&f)->role, RAFT_FOLLOWER);
    assert_int_equal(f.status.leader, 3);
    assert_int_equal(f.status.leader_contact_ms, contact);
    assert_int_equal(f.status.peers_count, 0);
    assert_false(f.status.leader_ready);
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_have_names),
        cmocka_unit_test(a_leader_tells_of_its_followers),
        cmocka_unit_test(a_follower_tells_of_its_leader),
    };
    return FIXTURE_MAIN(tests);
}
