/* test_raft_paper_later.c: one case per rule of Raft, with the section of Ongaro's thesis that states it:
 * from safety (3.6) to client interaction (6), pre-votes (9.6) and performance (10.2). The rules before are
 * in test_raft_paper.c.
 */
#include "raft_fixture.h"

/* 3.6.1: a voter denies its vote if its own log is more up to date: term first, then length. */
static void thesis_3_6_1_votes_need_an_up_to_date_log(void **state)
{
    (void)state;
    const struct {
        struct raft_entry_id log;
        bool granted;
    } cases[] = {
        {{3, 5}, true}, {{3, 6}, true}, {{4, 1}, true}, {{3, 4}, false}, {{2, 100}, false}, {{0, 0}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f = fixture_restart(3, 3, 3, 5, 0);
        struct raft_message vote = fixture_message(RAFT_MESSAGE_VOTE, 2, 9);
        vote.log = cases[i].log;
        fixture_step(&f, &vote);
        fixture_turn(&f);
        assert_int_equal(!fixture_later(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2)->reject, cases[i].granted);
        fixture_destroy(&f);
    }
}

/* 3.6.2: entries of earlier terms are not committed by counting (figure 3.7). */
static void thesis_3_6_2_old_terms_are_committed_only_through_the_own(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(5, 3, 2, 2, 1);
    fixture_win(&f); /* term 4, no-op at 3 */
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, 2);
    fixture_acknowledge(&f, 3, 2);
    assert_int_equal(raft_get_commit(f.raft), 1); /* entry 2 of term 2 is on three disks of five */
    fixture_acknowledge(&f, 2, 3);
    fixture_acknowledge(&f, 3, 3);
    assert_int_equal(raft_get_commit(f.raft), 3);
    fixture_destroy(&f);
}

/* 3.7: requests are sent again and again to a server that does not answer; to get one twice does no harm. */
static void thesis_3_7_a_lost_append_is_sent_again(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);             /* the APPEND is lost */
    for (int i = 0; i < 3; i++) { /* and so is what comes after it */
        fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
        fixture_turn(&f);
        fixture_answer_round(&f, 2, fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->round);
        fixture_turn(&f);
        assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->log.index, 2); /* "have you got it?" */
    }
    fixture_refuse(&f, 2, fixture_id(raft_get_term(f.raft), 2), fixture_id(raft_get_term(f.raft), 1));
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->log.index, 1);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->entries_count, 1);
    fixture_destroy(&f);
}

/* 3.7: an APPEND whose entries are there already changes nothing, and is acknowledged again. */
static void thesis_3_7_an_append_may_come_twice(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 3, 0);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 2, 0); /* the first two once more */
    fixture_turn(&f);
    assert_int_equal(f.ready.sequence, 0);
    assert_int_equal(fixture_status(&f)->last.index, 3);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2)->log.index, 2);
    fixture_destroy(&f);
}

/* 3.8: term and vote are durable before the vote is answered, or asked for (pitfall 9). */
static void thesis_3_8_votes_wait_for_the_disk(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    struct raft_message vote = fixture_message(RAFT_MESSAGE_VOTE, 2, 4);
    fixture_step(&f, &vote);
    fixture_turn(&f);
    assert_int_equal(f.ready.hard_state.vote, 2);
    assert_null(fixture_now(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2));
    assert_non_null(fixture_later(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2));
    assert_int_equal(f.ready.after_sequence, f.ready.sequence);
    fixture_destroy(&f);

    f = fixture_create(3);
    fixture_tick_to_deadline(&f);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2, 1, false);
    fixture_turn(&f);
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_PRE_VOTE, 2));
    assert_null(fixture_now(&f, RAFT_MESSAGE_VOTE, 2));
    assert_non_null(fixture_later(&f, RAFT_MESSAGE_VOTE, 2));
    fixture_destroy(&f);
}

/* 3.8: what an acknowledgement promises is durable before it leaves. */
static void thesis_3_8_acknowledgements_wait_for_the_disk(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 1);
    fixture_turn(&f);
    fixture_persist(&f); /* the term: what is waited for below are the entries */
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 2, 0);
    fixture_turn(&f);
    assert_null(fixture_now(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2));
    assert_int_equal(fixture_later(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2)->log.index, 2);
    fixture_persist(&f);
    fixture_append(&f, 2, 1, fixture_id(1, 1), 1, 1, 0); /* again: durable by now */
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2)->log.index, 2);
    fixture_destroy(&f);
}

/* 3.8: term and vote survive a restart: a server does not vote twice in one term. */
static void thesis_3_8_a_restart_keeps_term_and_vote(void **state)
{
    (void)state;
    struct raft_config config = fixture_config();
    struct raft_restore restore = {.hard_state = {.term = 4, .vote = 2}};
    struct fixture f = fixture_create_with(&config, 3, &restore);
    struct raft_message vote = fixture_message(RAFT_MESSAGE_VOTE, 3, 4);
    fixture_step(&f, &vote);
    vote.from = 2;
    fixture_step(&f, &vote);
    fixture_turn(&f);
    assert_int_equal(raft_get_term(f.raft), 4);
    assert_true(fixture_now(&f, RAFT_MESSAGE_VOTE_RESPONSE, 3)->reject);
    assert_false(fixture_now(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2)->reject);
    fixture_destroy(&f);
}

/* 3.8: the commit index is volatile: after a restart it may start from 0, and is found out anew. */
static void thesis_3_8_the_commit_index_is_found_out_anew(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 2, 2, 5, 0);
    assert_int_equal(raft_get_commit(f.raft), 0);
    fixture_win(&f);
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, 5);
    assert_int_equal(raft_get_commit(f.raft), 0);
    fixture_acknowledge(&f, 2, 6); /* the no-op */
    assert_int_equal(raft_get_commit(f.raft), 6);
    fixture_destroy(&f);
}

/* 3.9: a leader is heard of several times in the least election timeout. */
static void thesis_3_9_heartbeats_are_much_more_frequent_than_elections(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    uint64_t end = f.now_ms + FIXTURE_ELECTION_MS;
    int heartbeats = 0;
    while (raft_deadline_ms(f.raft) <= end) {
        fixture_tick_to_deadline(&f);
        fixture_turn(&f);
        heartbeats += fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2) != NULL;
        fixture_answer_round(&f, 2, 0);
    }
    assert_true(heartbeats >= 3);
    fixture_destroy(&f);
}

/* 3.10: leadership transfer: no proposals, TIMEOUT_NOW when the target has everything. */
static void thesis_3_10_leadership_transfer(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    assert_true(raft_transfer_leadership(f.raft, 2));
    assert_int_equal(fixture_propose(&f, 10), RAFT_PROPOSE_TRANSFERRING);
    fixture_turn(&f);
    assert_null(fixture_now(&f, RAFT_MESSAGE_TIMEOUT_NOW, 2));
    fixture_acknowledge(&f, 2, 2);
    fixture_turn(&f);
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_TIMEOUT_NOW, 2));
    fixture_destroy(&f);
}

/* 3.10: the target of a transfer begins an election at once, without a time-out and without a pre-vote. */
static void thesis_3_10_the_target_campaigns_at_once(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 1);
    struct raft_message order = fixture_message(RAFT_MESSAGE_TIMEOUT_NOW, 2, 1);
    fixture_step(&f, &order);
    assert_int_equal(raft_get_role(f.raft), RAFT_CANDIDATE);
    assert_int_equal(raft_get_term(f.raft), 2);
    fixture_turn(&f);
    assert_true(fixture_later(&f, RAFT_MESSAGE_VOTE, 2)->force);
    assert_true(fixture_later(&f, RAFT_MESSAGE_VOTE, 3)->force);
    fixture_destroy(&f);
}

/* 3.10: if the transfer does not come about within an election timeout, the leader takes requests again. */
static void thesis_3_10_a_transfer_is_given_up_after_an_election_timeout(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    assert_true(raft_transfer_leadership(f.raft, 2));
    fixture_tick(&f, FIXTURE_ELECTION_MS - 1);
    fixture_answer_round(&f, 2, 0);
    assert_int_equal(raft_transferee(f.raft), 2);
    assert_int_equal(fixture_propose(&f, 10), RAFT_PROPOSE_TRANSFERRING);
    fixture_tick(&f, 1);
    assert_int_equal(raft_transferee(f.raft), RAFT_NODE_NONE);
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    assert_int_equal(fixture_propose(&f, 10), RAFT_PROPOSE_OK);
    fixture_destroy(&f);
}

/* 4.2.3: a server that hears from a leader within the minimum election timeout does not vote. */
static void thesis_4_2_3_a_live_leader_is_not_disturbed(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 1);
    fixture_turn(&f);
    struct raft_message vote = fixture_message(RAFT_MESSAGE_VOTE, 3, 9);
    fixture_step(&f, &vote);
    vote.type = RAFT_MESSAGE_PRE_VOTE;
    fixture_step(&f, &vote);
    assert_false(raft_has_ready(f.raft)); /* not even looked at */
    assert_int_equal(raft_get_term(f.raft), 1);
    fixture_tick(&f, FIXTURE_ELECTION_MS);
    vote.type = RAFT_MESSAGE_VOTE;
    fixture_step(&f, &vote);
    assert_int_equal(raft_get_term(f.raft), 9);
    fixture_destroy(&f);
}

/* 4.2.3: but a transfer, which the leader itself wants, may disturb it. */
static void thesis_4_2_3_a_transfer_is_not_held_up(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 1);
    struct raft_message vote = fixture_message(RAFT_MESSAGE_VOTE, 3, 2);
    vote.force = true;
    fixture_step(&f, &vote);
    fixture_turn(&f);
    assert_false(fixture_later(&f, RAFT_MESSAGE_VOTE_RESPONSE, 3)->reject);
    fixture_destroy(&f);
}

/* 6.2: a leader steps down if an election timeout passes without a round of heartbeats to a majority. */
static void thesis_6_2_a_leader_without_a_majority_steps_down(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3); /* pitfall 4 */
    fixture_tick(&f, FIXTURE_ELECTION_MS / 2);
    fixture_answer_round(&f, 2, 0);
    fixture_tick(&f, FIXTURE_ELECTION_MS - 1);
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER); /* heard of one of two, that is a majority */
    fixture_tick(&f, 1);
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    assert_int_equal(raft_leader(f.raft), RAFT_NODE_NONE);
    fixture_destroy(&f);
}

/* 6.2: a server that does not lead refuses requests, and knows whom the client should ask. */
static void thesis_6_2_a_follower_refuses_and_knows_the_leader(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    assert_int_equal(fixture_propose(&f, 10), RAFT_PROPOSE_NOT_LEADER);
    assert_int_equal(raft_leader(f.raft), RAFT_NODE_NONE);
    fixture_heartbeat(&f, 2, 1);
    assert_int_equal(fixture_propose(&f, 10), RAFT_PROPOSE_NOT_LEADER);
    assert_int_equal(raft_leader(f.raft), 2);
    fixture_destroy(&f);
}

/* 6.4: a leader begins its term with a no-op. */
static void thesis_6_4_a_term_begins_with_a_noop(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_win(&f);
    assert_int_equal(f.ready.entries_count, 1);
    assert_int_equal(f.ready.entries[0].type, RAFT_ENTRY_NOOP);
    assert_null(f.ready.entries[0].payload);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->entries[0].type, RAFT_ENTRY_NOOP);
    fixture_destroy(&f);
}

/* 6.4, step 1: no read index before the leader has committed an entry of its term (pitfall 1). */
static void thesis_6_4_reads_wait_for_the_noop(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_win(&f);
    fixture_persist(&f);
    uint64_t id = raft_read_index(f.raft);
    assert_int_not_equal(id, 0);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    fixture_turn(&f);
    fixture_answer_round(&f, 2, fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count,
                     0); /* a majority confirmed a round, but the no-op is not committed */
    fixture_acknowledge(&f, 2, 1);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 0);
    fixture_answer_round(&f, 2, fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    assert_true(f.ready.reads[0].ok && f.ready.reads[0].read_id == id && f.ready.reads[0].index == 1);
    fixture_destroy(&f);
}

/* 6.4, steps 2 and 3: the read index is the commit index when the round starts, and a majority must answer a
 * round that started after the read arrived. */
static void thesis_6_4_a_read_needs_a_round_of_its_own(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(5);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    fixture_turn(&f);
    uint64_t before = fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->round;
    assert_int_not_equal(raft_read_index(f.raft), 0);
    fixture_turn(&f);
    uint64_t after = fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->round;
    assert_true(after > before);
    for (raft_node_id id = 2; id <= 5; id++) {
        fixture_answer_round(&f, id, before);
    }
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 0);

    (void)fixture_propose(&f, 10); /* committed meanwhile: does not change the index of the read */
    fixture_turn(&f);
    fixture_acknowledge(&f, 2, 2);
    fixture_acknowledge(&f, 3, 2);
    fixture_acknowledge(&f, 4, 2);
    assert_int_equal(raft_get_commit(f.raft), 2);
    fixture_answer_round(&f, 2, after);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 0); /* two of five */
    fixture_answer_round(&f, 3, after);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    assert_true(f.ready.reads[0].ok);
    assert_int_equal(f.ready.reads[0].index, 1);
    fixture_destroy(&f);
}

/* 6.4: one round of heartbeats serves any number of reads. */
static void thesis_6_4_reads_share_a_round(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    for (int i = 0; i < 10; i++) {
        assert_int_not_equal(raft_read_index(f.raft), 0);
    }
    fixture_turn(&f);
    assert_int_equal(f.ready.messages_now_count, 1);
    fixture_answer_round(&f, 2, fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 10);
    fixture_destroy(&f);
}

/* 6.4: a follower asks the leader for a read index, and serves the read itself. */
static void thesis_6_4_followers_ask_the_leader(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 1, 1, 3, 0);
    fixture_heartbeat(&f, 2, 1);
    uint64_t id = raft_read_index(f.raft);
    fixture_turn(&f);
    struct raft_message answer = fixture_message(RAFT_MESSAGE_READ_INDEX_RESPONSE, 2, 1);
    answer.round = fixture_now(&f, RAFT_MESSAGE_READ_INDEX, 2)->round;
    answer.log.index = 3;
    fixture_step(&f, &answer);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    assert_true(f.ready.reads[0].ok && f.ready.reads[0].read_id == id && f.ready.reads[0].index == 3);
    fixture_destroy(&f);
}

/* 9.6: a pre-vote raises nobody's term. */
static void thesis_9_6_a_pre_vote_changes_no_term(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    for (int i = 0; i < 10; i++)
        fixture_tick_to_deadline(&f);
    assert_int_equal(raft_get_role(f.raft), RAFT_PRE_CANDIDATE);
    assert_int_equal(raft_get_term(f.raft), 0);
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_PRE_VOTE, 2)->term, 1);
    assert_int_equal(f.ready.sequence, 0);

    struct raft_message pre_vote = fixture_message(RAFT_MESSAGE_PRE_VOTE, 2, 8);
    fixture_step(&f, &pre_vote);
    fixture_turn(&f);
    assert_int_equal(raft_get_term(f.raft), 0);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2)->term, 8);
    assert_false(fixture_now(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2)->reject);
    fixture_destroy(&f);
}

/* 9.6: a pre-vote is granted only to who has an up-to-date log. */
static void thesis_9_6_a_pre_vote_needs_an_up_to_date_log(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 3, 3, 5, 0);
    struct raft_message pre_vote = fixture_message(RAFT_MESSAGE_PRE_VOTE, 2, 4);
    pre_vote.log = fixture_id(3, 4);
    fixture_step(&f, &pre_vote);
    pre_vote.from = 3;
    pre_vote.log = fixture_id(3, 5);
    fixture_step(&f, &pre_vote);
    fixture_turn(&f);
    assert_true(fixture_now(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2)->reject);
    assert_false(fixture_now(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 3)->reject);
    fixture_destroy(&f);
}

/* 9.6: a majority must grant before the term rises; if a majority refuses, there is no election. */
static void thesis_9_6_an_election_needs_a_majority_of_pre_votes(void **state)
{
    (void)state;
    struct fixture f = fixture_create(5);
    fixture_tick_to_deadline(&f);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2, 1, false);
    for (raft_node_id id = 3; id <= 5; id++) {
        assert_int_equal(raft_get_role(f.raft), RAFT_PRE_CANDIDATE);
        fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, id, 0, true);
    }
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    assert_int_equal(raft_get_term(f.raft), 0);
    fixture_destroy(&f);
}

/* 10.2.2: batching: what is proposed together travels, and is written, together. */
static void thesis_10_2_2_proposals_share_a_message(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fixture_propose(&f, 10), RAFT_PROPOSE_OK);
    }
    fixture_turn(&f);
    assert_int_equal(f.ready.entries_count, 3);
    assert_int_equal(f.ready.messages_now_count, 2);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->entries_count, 3);
    fixture_destroy(&f);
}

/* 10.2.2: pipelining: the next APPEND leaves before the last one is acknowledged. */
static void thesis_10_2_2_appends_are_pipelined(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    for (uint64_t i = 0; i < FIXTURE_INFLIGHT_MESSAGES; i++) {
        (void)fixture_propose(&f, 10);
        fixture_turn(&f);
        assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->log.index, 1 + i);
    }
    assert_int_equal(fixture_peer(&f, 2)->inflight_messages, FIXTURE_INFLIGHT_MESSAGES);
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thesis_3_6_1_votes_need_an_up_to_date_log),
        cmocka_unit_test(thesis_3_6_2_old_terms_are_committed_only_through_the_own),
        cmocka_unit_test(thesis_3_7_a_lost_append_is_sent_again),
        cmocka_unit_test(thesis_3_7_an_append_may_come_twice),
        cmocka_unit_test(thesis_3_8_votes_wait_for_the_disk),
        cmocka_unit_test(thesis_3_8_acknowledgements_wait_for_the_disk),
        cmocka_unit_test(thesis_3_8_a_restart_keeps_term_and_vote),
        cmocka_unit_test(thesis_3_8_the_commit_index_is_found_out_anew),
        cmocka_unit_test(thesis_3_9_heartbeats_are_much_more_frequent_than_elections),
        cmocka_unit_test(thesis_3_10_leadership_transfer),
        cmocka_unit_test(thesis_3_10_the_target_campaigns_at_once),
        cmocka_unit_test(thesis_3_10_a_transfer_is_given_up_after_an_election_timeout),
        cmocka_unit_test(thesis_4_2_3_a_live_leader_is_not_disturbed),
        cmocka_unit_test(thesis_4_2_3_a_transfer_is_not_held_up),
        cmocka_unit_test(thesis_6_2_a_leader_without_a_majority_steps_down),
        cmocka_unit_test(thesis_6_2_a_follower_refuses_and_knows_the_leader),
        cmocka_unit_test(thesis_6_4_a_term_begins_with_a_noop),
        cmocka_unit_test(thesis_6_4_reads_wait_for_the_noop),
        cmocka_unit_test(thesis_6_4_a_read_needs_a_round_of_its_own),
        cmocka_unit_test(thesis_6_4_reads_share_a_round),
        cmocka_unit_test(thesis_6_4_followers_ask_the_leader),
        cmocka_unit_test(thesis_9_6_a_pre_vote_changes_no_term),
        cmocka_unit_test(thesis_9_6_a_pre_vote_needs_an_up_to_date_log),
        cmocka_unit_test(thesis_9_6_an_election_needs_a_majority_of_pre_votes),
        cmocka_unit_test(thesis_10_2_2_proposals_share_a_message),
        cmocka_unit_test(thesis_10_2_2_appends_are_pipelined),
    };
    return FIXTURE_MAIN(tests);
}
