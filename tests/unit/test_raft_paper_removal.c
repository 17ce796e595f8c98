/* test_raft_paper_removal.c: what the thesis' chapter 4 says of those that leave and those that left (4.2.2
 * and 4.2.3), rule by rule (see test_raft_paper.c). */
#include "raft_fixture.h"

/* ---- 4.2.2: removing the current leader -------------------------------------------------------- */

/* 4.2.2: a leader that is removed manages the cluster until C_new is committed, and does not count itself. */
static void thesis_4_2_2_a_leader_that_is_out_does_not_count_itself(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(2, 3), NULL), RAFT_MEMBERSHIP_OK);
    fixture_settle(&f, FIXTURE_IDS(2, 3));
    fixture_settle(&f, FIXTURE_IDS(2)); /* C_new on its own disk and on 2's: one of two */
    assert_int_equal(fixture_status(&f)->last.index, 3);
    assert_int_equal(raft_get_commit(f.raft), 2);
    assert_int_equal(fixture_status(&f)->kind, RAFT_MEMBER_NONE);
    assert_int_equal(fixture_propose(&f, 8), RAFT_PROPOSE_OK); /* it leads on */
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 3)->entries_count, 1);

    uint64_t read = raft_read_index(f.raft); /* and needs both of them to know that it does */
    assert_true(read != 0);
    fixture_turn(&f);
    uint64_t round = fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->round;
    fixture_answer_round(&f, 2, round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 0);
    fixture_answer_round(&f, 3, round);
    fixture_turn(&f);
    assert_true(f.ready.reads_count == 1 && f.ready.reads[0].ok);

    /* 4.2.2: when C_new is committed it steps down; here it hands over first, and takes nothing any more. */
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, 4);
    fixture_acknowledge(&f, 3, 4);
    assert_true(raft_has_ready(f.raft));
    fixture_turn(&f);
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_TIMEOUT_NOW, 2));
    assert_true(fixture_status(&f)->removed);
    assert_int_equal(fixture_propose(&f, 8), RAFT_PROPOSE_TRANSFERRING);
    fixture_tick(&f, FIXTURE_ELECTION_MS - 100);
    fixture_answer_round(&f, 2, 0);
    fixture_answer_round(&f, 3, 0);
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    fixture_tick(&f, 100); /* nobody took it */
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    for (int i = 0; i < 5; i++) {
        fixture_tick(&f, 3000);
        assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER); /* it campaigns no more */
    }
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3), NULL), RAFT_MEMBERSHIP_NOT_LEADER);
    fixture_destroy(&f);
}

/* The same, when nobody could take over: it steps down at once. */
static void thesis_4_2_2_a_leader_that_is_out_and_alone_steps_down(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(2), NULL), RAFT_MEMBERSHIP_OK);
    fixture_settle(&f, FIXTURE_IDS(2, 3)); /* C_old,new */
    fixture_settle(&f, FIXTURE_IDS(2));    /* C_new; node 3 has left, and is told first */
    fixture_acknowledge(&f, 3, 3);
    fixture_turn(&f);
    assert_int_equal(raft_transferee(f.raft), RAFT_NODE_NONE);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(2, 3), NULL), RAFT_MEMBERSHIP_PENDING);
    uint64_t round = fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 3)->round;
    f.now_ms += FIXTURE_ELECTION_MS;
    raft_set_time(f.raft, f.now_ms); /* nothing was heard of node 2 for so long */
    fixture_answer_round(&f, 3, round);
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    fixture_turn(&f);
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    fixture_destroy(&f);
}

/* 4.2.2: a server that is not part of its own latest configuration still starts elections while that is not
 * committed, and does not count its own vote. */
static void thesis_4_2_2_a_server_campaigns_in_a_configuration_without_itself(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    struct raft_membership without = fixture_members(FIXTURE_IDS(2, 3), NULL, NULL);
    fixture_append_membership(&f, 2, 1, fixture_id(0, 0), &without, 0);
    fixture_turn(&f);
    fixture_persist(&f);
    assert_int_equal(fixture_status(&f)->kind, RAFT_MEMBER_NONE);
    fixture_campaign(&f);
    assert_int_equal(fixture_ids_asked(&f, RAFT_MESSAGE_PRE_VOTE), 1 << 2 | 1 << 3);
    fixture_grant(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2);
    assert_int_equal(raft_get_role(f.raft), RAFT_PRE_CANDIDATE); /* one of two */
    fixture_grant(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 3);
    assert_int_equal(raft_get_role(f.raft), RAFT_CANDIDATE);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_grant(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2);
    assert_int_equal(raft_get_role(f.raft), RAFT_CANDIDATE);
    fixture_grant(&f, RAFT_MESSAGE_VOTE_RESPONSE, 3);
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    fixture_destroy(&f);
}

/* ... and no more, once it is. */
static void thesis_4_2_2_a_server_that_is_out_campaigns_no_more(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    struct raft_membership without = fixture_members(FIXTURE_IDS(2, 3), NULL, NULL);
    fixture_append_membership(&f, 2, 1, fixture_id(0, 0), &without, 0);
    assert_false(fixture_status(&f)->removed);
    fixture_turn(&f);
    fixture_persist(&f);
    struct raft_message news = fixture_message(RAFT_MESSAGE_HEARTBEAT, 2, 1);
    news.commit = 1;
    fixture_step(&f, &news);
    assert_true(fixture_status(&f)->removed);
    for (int i = 0; i < 5; i++) {
        fixture_tick(&f, 3000);
        assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    }
    fixture_destroy(&f);
}

/* A member that leaves hears of the commit from the leader; then the leader forgets it. */
static void who_leaves_is_told(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_and_learners();
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3), FIXTURE_IDS(5)), RAFT_MEMBERSHIP_OK);
    fixture_turn(&f);
    fixture_persist(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 4)->entries_count,
                     1); /* the entry that puts it out */
    assert_int_equal(fixture_peer(&f, 4)->kind, RAFT_MEMBER_NONE);
    fixture_acknowledge(&f, 4, 3);
    fixture_acknowledge(&f, 2, 3);
    assert_int_equal(raft_get_commit(f.raft), 3);
    fixture_turn(&f);
    const struct raft_message *farewell = fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 4);
    assert_int_equal(farewell->commit, 3);
    uint64_t round = farewell->round;
    fixture_answer_round(&f, 4, round - 1); /* to an older one: it says nothing */
    fixture_turn(&f);
    assert_int_equal(fixture_status(&f)->peers_count, 4);
    fixture_answer_round(&f, 4, round);
    assert_true(raft_has_ready(f.raft));
    fixture_turn(&f);
    assert_int_equal(fixture_status(&f)->peers_count, 3);
    fixture_destroy(&f);
}

/* One that cannot be reached is given up two election timeouts after the commit. */
static void who_leaves_and_does_not_answer_is_given_up(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_and_learners();
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3), FIXTURE_IDS(5)), RAFT_MEMBERSHIP_OK);
    for (int i = 0; i < 40; i++) { /* not committed: it stays */
        fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
        fixture_turn(&f);
        fixture_answer_round(&f, 2, 0);
    }
    assert_int_equal(fixture_status(&f)->peers_count, 4);
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, 3);
    uint64_t committed_ms = f.now_ms;
    while (f.now_ms < committed_ms + 2 * FIXTURE_ELECTION_MS) {
        assert_int_equal(fixture_status(&f)->peers_count, 4);
        fixture_tick_to_deadline(&f);
        fixture_turn(&f);
        fixture_answer_round(&f, 2, 0);
    }
    assert_int_equal(f.now_ms, committed_ms + 2 * FIXTURE_ELECTION_MS);
    assert_int_equal(fixture_status(&f)->peers_count, 3);
    fixture_destroy(&f);
}

/* One that comes back while it is being told begins anew: its disk may be another one. */
static void who_comes_back_begins_anew(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_and_learners();
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3), FIXTURE_IDS(5)), RAFT_MEMBERSHIP_OK);
    fixture_settle(&f, FIXTURE_IDS(2, 4));
    assert_int_equal(fixture_peer(&f, 4)->match_index, 3);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3), FIXTURE_IDS(4, 5)), RAFT_MEMBERSHIP_OK);
    assert_int_equal(fixture_peer(&f, 4)->match_index, 0);
    assert_int_equal(fixture_peer(&f, 4)->kind, RAFT_MEMBER_LEARNER);
    assert_int_equal(fixture_peer(&f, 5)->match_index, 2); /* who stays stays */
    fixture_destroy(&f);
}

/* A new leader tells those, too, whom a change takes out that it found in its log. */
static void a_new_leader_tells_who_leaves(void **state)
{
    (void)state;
    struct fixture f = fixture_create(5);
    struct raft_membership without = fixture_members(FIXTURE_IDS(1, 2, 3), NULL, NULL);
    fixture_append_membership(&f, 2, 1, fixture_id(0, 0), &without, 0);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_win(&f);
    assert_int_equal(fixture_status(&f)->peers_count, 4);
    assert_int_equal(fixture_peer(&f, 5)->kind, RAFT_MEMBER_NONE);
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 4));
    struct raft_message newer = fixture_message(RAFT_MESSAGE_HEARTBEAT, 2, 9);
    fixture_step(&f, &newer); /* and forgets them with its role */
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    fixture_destroy(&f);
}

/* A leader that becomes a learner hands over like one that leaves. */
static void a_leader_that_becomes_a_learner_hands_over(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(2, 3), FIXTURE_IDS(1)), RAFT_MEMBERSHIP_OK);
    assert_int_equal(fixture_status(&f)->kind, RAFT_MEMBER_OUTGOING);
    fixture_settle(&f, FIXTURE_IDS(2, 3));
    fixture_settle(&f, FIXTURE_IDS(2, 3));
    fixture_turn(&f);
    assert_int_equal(fixture_status(&f)->kind, RAFT_MEMBER_LEARNER);
    assert_false(fixture_status(&f)->removed);
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_TIMEOUT_NOW, 2));
    fixture_destroy(&f);
}

/* ---- 4.2.3: disruptive servers ----------------------------------------------------------------- */

/* 4.2.3: a removed server that does not know so is not listened to while there is a leader, whatever its
 * term. */
static void thesis_4_2_3_a_removed_server_does_not_disturb(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 1);
    fixture_turn(&f);
    struct raft_message vote = fixture_message(RAFT_MESSAGE_VOTE, 9, 7); /* no member, and of a higher term */
    fixture_step(&f, &vote);
    vote.type = RAFT_MESSAGE_PRE_VOTE;
    fixture_step(&f, &vote);
    assert_int_equal(raft_get_term(f.raft), 1);
    assert_int_equal(raft_leader(f.raft), 2);
    assert_false(raft_has_ready(f.raft));
    fixture_destroy(&f);

    f = fixture_create_leader_of(3);
    uint64_t term = raft_get_term(f.raft);
    vote = fixture_message(RAFT_MESSAGE_VOTE, 9, term + 5);
    fixture_step(&f, &vote);
    struct raft_message answer = fixture_message(RAFT_MESSAGE_APPEND_RESPONSE, 9, term + 5);
    answer.reject = true;
    fixture_step(&f, &answer); /* nor are its answers to a leader that did not ask it */
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    assert_int_equal(raft_get_term(f.raft), term);
    fixture_destroy(&f);
}

/* Pitfall 15: pre-vote and stickiness do not lock out a candidate of a newer configuration that the voter
 * does not know, once there is no leader. */
static void pitfall_15_a_stranger_wins_when_there_is_no_leader(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 1);
    fixture_tick(&f, FIXTURE_ELECTION_MS);
    fixture_turn(&f);
    struct raft_message vote = fixture_message(RAFT_MESSAGE_PRE_VOTE, 9, 2);
    fixture_step(&f, &vote);
    fixture_turn(&f);
    assert_false(fixture_now(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 9)->reject);
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thesis_4_2_2_a_leader_that_is_out_does_not_count_itself),
        cmocka_unit_test(thesis_4_2_2_a_leader_that_is_out_and_alone_steps_down),
        cmocka_unit_test(thesis_4_2_2_a_server_campaigns_in_a_configuration_without_itself),
        cmocka_unit_test(thesis_4_2_2_a_server_that_is_out_campaigns_no_more),
        cmocka_unit_test(who_leaves_is_told),
        cmocka_unit_test(who_leaves_and_does_not_answer_is_given_up),
        cmocka_unit_test(who_comes_back_begins_anew),
        cmocka_unit_test(a_new_leader_tells_who_leaves),
        cmocka_unit_test(a_leader_that_becomes_a_learner_hands_over),
        cmocka_unit_test(thesis_4_2_3_a_removed_server_does_not_disturb),
        cmocka_unit_test(pitfall_15_a_stranger_wins_when_there_is_no_leader),
    };
    return FIXTURE_MAIN(tests);
}
