/* test_raft_paper.c: one case per rule of Raft, with the section of Ongaro's thesis that states it. */
#include "raft_fixture.h"

/* 3.3: if one server's term is smaller than another's, it updates to the larger value. */
static void thesis_3_3_a_larger_term_is_adopted(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 7);
    assert_int_equal(raft_get_term(f.raft), 7);
    fixture_turn(&f);
    assert_true(f.ready.hard_state_changed);
    assert_int_equal(f.ready.hard_state.term, 7);
    fixture_destroy(&f);
}

/* 3.3: if a candidate or leader discovers that its term is out of date, it reverts to follower. */
static void thesis_3_3_a_leader_of_an_old_term_steps_down(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    fixture_heartbeat(&f, 2, raft_get_term(f.raft) + 1);
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    assert_int_equal(raft_leader(f.raft), 2);
    fixture_destroy(&f);
}

/* 3.3: a request with a stale term is rejected. */
static void thesis_3_3_an_old_term_is_refused(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 5, 5, 3, 0);
    struct raft_message vote = fixture_message(RAFT_MESSAGE_VOTE, 2, 4);
    vote.log = fixture_id(3, 100);
    fixture_step(&f, &vote);
    fixture_append(&f, 3, 4, fixture_id(4, 3), 4, 1, 4);
    fixture_turn(&f);
    assert_true(fixture_now(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2)->reject);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2)->term, 5);
    assert_true(fixture_now(&f, RAFT_MESSAGE_APPEND_RESPONSE, 3)->reject);
    assert_int_equal(fixture_status(&f)->last.index, 3);
    fixture_destroy(&f);
}

/* 3.4: a follower that hears nothing over the election timeout begins an election. */
static void thesis_3_4_a_silent_leader_is_replaced(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_tick(&f, FIXTURE_ELECTION_MS - 1);
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    fixture_tick(&f, FIXTURE_ELECTION_MS);
    assert_int_equal(raft_get_role(f.raft), RAFT_PRE_CANDIDATE);
    fixture_destroy(&f);
}

/* 3.4: heartbeats keep followers from elections. */
static void thesis_3_4_heartbeats_prevent_elections(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    for (int i = 0; i < 100; i++) {
        fixture_heartbeat(&f, 2, 1);
        fixture_tick(&f, FIXTURE_ELECTION_MS / 2);
        assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    }
    fixture_destroy(&f);
}

/* 3.4: election timeouts are chosen randomly from a fixed interval, anew each time. */
static void thesis_3_4_election_timeouts_are_random(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    uint64_t least = UINT64_MAX;
    uint64_t greatest = 0;
    for (int i = 0; i < 200; i++) {
        fixture_heartbeat(&f, 2, 1);
        uint64_t timeout = raft_deadline_ms(f.raft) - f.now_ms;
        least = timeout < least ? timeout : least;
        greatest = timeout > greatest ? timeout : greatest;
    }
    assert_in_range(least, FIXTURE_ELECTION_MS, FIXTURE_ELECTION_MS + 100);
    assert_in_range(greatest, 2 * FIXTURE_ELECTION_MS - 100, 2 * FIXTURE_ELECTION_MS - 1);
    fixture_destroy(&f);
}

/* 3.4: a candidate wins with votes from a majority of the full cluster. */
static void thesis_3_4_a_majority_wins(void **state)
{
    (void)state;
    struct fixture f = fixture_create(5);
    fixture_tick_to_deadline(&f);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2, 1, false);
    assert_int_equal(raft_get_role(f.raft), RAFT_PRE_CANDIDATE);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2, 1, false); /* a duplicate does not count */
    assert_int_equal(raft_get_role(f.raft), RAFT_PRE_CANDIDATE);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 3, 1, false);
    assert_int_equal(raft_get_role(f.raft), RAFT_CANDIDATE);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_answer_vote(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2, 1, false);
    fixture_answer_vote(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2, 1, false);
    assert_int_equal(raft_get_role(f.raft), RAFT_CANDIDATE);
    fixture_answer_vote(&f, RAFT_MESSAGE_VOTE_RESPONSE, 3, 1, false);
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    fixture_destroy(&f);
}

/* 3.4: each server votes for at most one candidate in a term, first come, first served. */
static void thesis_3_4_one_vote_in_a_term(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    struct raft_message vote = fixture_message(RAFT_MESSAGE_VOTE, 2, 4);
    fixture_step(&f, &vote);
    vote.from = 3;
    fixture_step(&f, &vote);
    fixture_turn(&f);
    assert_false(fixture_later(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2)->reject);
    assert_true(fixture_later(&f, RAFT_MESSAGE_VOTE_RESPONSE, 3)->reject);
    fixture_destroy(&f);
}

/* 3.4: a candidate that hears of a leader of its term returns to follower. */
static void thesis_3_4_a_candidate_follows_the_winner(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_tick_to_deadline(&f);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2, 1, false);
    assert_int_equal(raft_get_role(f.raft), RAFT_CANDIDATE);
    fixture_append(&f, 3, 1, fixture_id(0, 0), 1, 1, 0);
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    assert_int_equal(raft_leader(f.raft), 3);
    fixture_destroy(&f);
}

/* 3.5: a leader appends a proposal and sends it to the others; in parallel to its disk: 10.2.1. */
static void thesis_3_5_and_10_2_1_entries_leave_before_the_own_disk_is_done(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    assert_int_equal(fixture_propose(&f, 10), RAFT_PROPOSE_OK);
    fixture_turn(&f);
    assert_int_equal(f.ready.entries_count, 1);
    const struct raft_message *append = fixture_now(&f, RAFT_MESSAGE_APPEND, 2);
    assert_non_null(append);
    assert_int_equal(append->entries_count, 1);
    assert_int_equal(append->log.index, 1);
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 3));
    fixture_destroy(&f);
}

/* 3.5: an entry is committed once the leader has replicated it on a majority; 10.2.1: that may be a
 * majority without the leader's own disk. Pitfall 10: and the leader counts only by its disk. */
static void thesis_3_5_a_majority_commits_and_the_leader_counts_by_its_disk(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    fixture_acknowledge(&f, 2, 2);
    assert_int_equal(raft_get_commit(f.raft), 1); /* one disk of three */
    fixture_acknowledge(&f, 3, 2);
    assert_int_equal(raft_get_commit(f.raft), 2); /* two, though not the own one */
    assert_int_equal(raft_get_durable(f.raft), 1);
    fixture_destroy(&f);
}

/* 3.5: the consistency check: an APPEND whose preceding entry is not there is refused. */
static void thesis_3_5_the_consistency_check(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 2, 2, 3, 0);
    fixture_append(&f, 2, 2, fixture_id(2, 5), 2, 1, 0); /* a gap */
    fixture_turn(&f);
    assert_true(fixture_now(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2)->reject);
    fixture_append(&f, 2, 3, fixture_id(3, 3), 3, 1, 0); /* another term there */
    fixture_turn(&f);
    assert_true(fixture_later(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2)->reject);
    assert_int_equal(fixture_status(&f)->last.index, 3);
    fixture_destroy(&f);
}

/* 3.5: conflicting entries and all that follow them are removed; others stay. */
static void thesis_3_5_conflicting_entries_are_replaced(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 2, 2, 5, 1);
    fixture_append(&f, 2, 3, fixture_id(2, 2), 2, 1, 0); /* entry 3 is there already: nothing goes */
    assert_int_equal(fixture_status(&f)->last.index, 5);
    fixture_append(&f, 2, 3, fixture_id(2, 3), 3, 1, 0); /* entry 4 differs: 4 and 5 go */
    assert_int_equal(fixture_status(&f)->last.index, 4);
    assert_int_equal(f.status.last.term, 3);
    assert_int_equal(f.status.durable_index, 3);
    fixture_destroy(&f);
}

/* 3.5: followers learn the commit index from the leader, and never beyond the last new entry. */
static void thesis_3_5_followers_commit_up_to_the_last_new_entry(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 2, 2, 5, 0);
    fixture_append(&f, 2, 3, fixture_id(2, 2), 2, 1, 5); /* entries 4, 5 may yet conflict */
    assert_int_equal(raft_get_commit(f.raft), 3);
    fixture_destroy(&f);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thesis_3_3_a_larger_term_is_adopted),
        cmocka_unit_test(thesis_3_3_a_leader_of_an_old_term_steps_down),
        cmocka_unit_test(thesis_3_3_an_old_term_is_refused),
        cmocka_unit_test(thesis_3_4_a_silent_leader_is_replaced),
        cmocka_unit_test(thesis_3_4_heartbeats_prevent_elections),
        cmocka_unit_test(thesis_3_4_election_timeouts_are_random),
        cmocka_unit_test(thesis_3_4_a_majority_wins),
        cmocka_unit_test(thesis_3_4_one_vote_in_a_term),
        cmocka_unit_test(thesis_3_4_a_candidate_follows_the_winner),
        cmocka_unit_test(thesis_3_5_and_10_2_1_entries_leave_before_the_own_disk_is_done),
        cmocka_unit_test(thesis_3_5_a_majority_commits_and_the_leader_counts_by_its_disk),
        cmocka_unit_test(thesis_3_5_the_consistency_check),
        cmocka_unit_test(thesis_3_5_conflicting_entries_are_replaced),
        cmocka_unit_test(thesis_3_5_followers_commit_up_to_the_last_new_entry),
        cmocka_unit_test(thesis_3_6_1_votes_need_an_up_to_date_log),
        cmocka_unit_test(thesis_3_6_2_old_terms_are_committed_only_through_the_own),
        cmocka_unit_test(thesis_3_8_votes_wait_for_the_disk),
        cmocka_unit_test(thesis_3_8_acknowledgements_wait_for_the_disk),
        cmocka_unit_test(thesis_3_10_leadership_transfer),
        cmocka_unit_test(thesis_4_2_3_a_live_leader_is_not_disturbed),
        cmocka_unit_test(thesis_6_2_a_leader_without_a_majority_steps_down),
        cmocka_unit_test(thesis_6_4_a_term_begins_with_a_noop),
        cmocka_unit_test(thesis_9_6_a_pre_vote_changes_no_term),
    };
    return FIXTURE_MAIN(tests);
}
