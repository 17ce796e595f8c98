/* test_raft_paper.c: one case per rule of Raft, with the section of Ongaro's thesis that states it: elections
 * and log replication (3.3 to 3.5, figures 3.1 and 3.2). Those from 3.6 on: test_raft_paper_later.c.
 */
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

/* 3.4: half of the cluster is no majority: of four servers three must agree, to elect and to commit (3.5). */
static void thesis_3_4_half_is_no_majority(void **state)
{
    (void)state;
    struct fixture f = fixture_create(4);
    fixture_tick_to_deadline(&f);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2, 1, false);
    assert_int_equal(raft_get_role(f.raft), RAFT_PRE_CANDIDATE);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 3, 1, false);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_answer_vote(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2, 1, false);
    assert_int_equal(raft_get_role(f.raft), RAFT_CANDIDATE);
    fixture_answer_vote(&f, RAFT_MESSAGE_VOTE_RESPONSE, 3, 1, false);
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, 1);
    assert_int_equal(raft_get_commit(f.raft), 0);
    fixture_acknowledge(&f, 3, 1);
    assert_int_equal(raft_get_commit(f.raft), 1);
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

/* 3.4: to begin an election a server raises its term, votes for itself and asks all others. */
static void thesis_3_4_a_candidate_votes_for_itself_and_asks_all(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_tick_to_deadline(&f);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2, 1, false);
    fixture_turn(&f);
    assert_int_equal(f.ready.hard_state.term, 1);
    assert_int_equal(f.ready.hard_state.vote, 1);
    assert_int_equal(fixture_later(&f, RAFT_MESSAGE_VOTE, 2)->term, 1);
    assert_int_equal(fixture_later(&f, RAFT_MESSAGE_VOTE, 3)->term, 1);
    fixture_destroy(&f);
}

/* 3.4: a candidate that neither wins nor loses times out and begins a new election. */
static void thesis_3_4_a_split_vote_is_tried_again(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_tick_to_deadline(&f);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2, 1, false);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_answer_vote(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2, 1, true);
    assert_int_equal(raft_get_role(f.raft), RAFT_CANDIDATE);
    assert_in_range(raft_deadline_ms(f.raft), f.now_ms + FIXTURE_ELECTION_MS,
                    f.now_ms + 2 * FIXTURE_ELECTION_MS);
    fixture_tick_to_deadline(&f);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 3, 2, false);
    assert_int_equal(raft_get_role(f.raft), RAFT_CANDIDATE);
    assert_int_equal(raft_get_term(f.raft), 2);
    fixture_destroy(&f);
}

/* 3.4: a candidate refuses an APPEND of an older term, and goes on. */
static void thesis_3_4_a_candidate_refuses_a_leader_of_an_old_term(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 5, 5, 3, 0);
    fixture_tick_to_deadline(&f);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2, 6, false);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_append(&f, 3, 5, fixture_id(5, 3), 5, 1, 0);
    assert_int_equal(raft_get_role(f.raft), RAFT_CANDIDATE);
    fixture_turn(&f);
    assert_true(fixture_now(&f, RAFT_MESSAGE_APPEND_RESPONSE, 3)->reject);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND_RESPONSE, 3)->term, 6);
    assert_int_equal(fixture_status(&f)->last.index, 3);
    fixture_destroy(&f);
}

/* 3.4: a new leader sends to all others at once, so that nobody else begins an election. */
static void thesis_3_4_a_new_leader_announces_itself(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_win(&f);
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 2));
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 3));
    fixture_destroy(&f);
}

/* 3.4: and goes on to do so when it is idle. */
static void thesis_3_4_an_idle_leader_sends_heartbeats(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    for (int i = 0; i < 3; i++) {
        fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
        fixture_turn(&f);
        assert_int_equal(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->term, raft_get_term(f.raft));
        assert_non_null(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 3));
    }
    fixture_destroy(&f);
}

/* Figure 3.1, RequestVote: granted if votedFor is null or the candidate itself: a retry gets the same answer
 * again. */
static void thesis_3_4_a_vote_is_given_again_to_the_same_candidate(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    struct raft_message vote = fixture_message(RAFT_MESSAGE_VOTE, 2, 4);
    for (int i = 0; i < 2; i++) {
        fixture_step(&f, &vote);
        fixture_turn(&f);
        const struct raft_message *answer = i == 0 ? fixture_later(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2)
                                                   : fixture_now(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2);
        assert_non_null(answer);
        assert_false(answer->reject);
        fixture_persist(&f);
    }
    fixture_destroy(&f);
}

/* Figure 3.1, followers: the election timeout starts afresh with a vote that was granted, and only then. */
static void thesis_3_4_a_granted_vote_restarts_the_timer(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    uint64_t deadline = raft_deadline_ms(f.raft);
    fixture_tick(&f, FIXTURE_ELECTION_MS - 1);
    struct raft_message vote = fixture_message(RAFT_MESSAGE_VOTE, 2, 4);
    fixture_step(&f, &vote);
    assert_true(raft_deadline_ms(f.raft) >= f.now_ms + FIXTURE_ELECTION_MS);
    assert_true(raft_deadline_ms(f.raft) > deadline);
    deadline = raft_deadline_ms(f.raft);
    vote.from = 3; /* refused */
    fixture_step(&f, &vote);
    assert_int_equal(raft_deadline_ms(f.raft), deadline);
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

/* Figure 3.2, leader append-only: a leader never overwrites or deletes entries in its log. */
static void thesis_3_5_a_leader_only_appends(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    (void)fixture_propose(&f, 10);
    uint64_t term = raft_get_term(f.raft);
    fixture_append(&f, 2, term, fixture_id(term, 1), term, 1, 0); /* no correct peer sends this */
    fixture_append(&f, 2, term, fixture_id(0, 0), term, 1, 0);
    assert_int_equal(fixture_status(&f)->last.index, 3);
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    fixture_destroy(&f);
}

/* 3.5: nextIndex begins just after the last entry of a new leader; an acknowledgement moves nextIndex and
 * matchIndex. */
static void thesis_3_5_an_acknowledgement_moves_next_and_match(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 2, 2, 5, 0);
    fixture_win(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->log.index, 5);
    assert_int_equal(fixture_peer(&f, 2)->match_index, 0);
    fixture_acknowledge(&f, 2, 6);
    assert_int_equal(fixture_peer(&f, 2)->match_index, 6);
    assert_int_equal(fixture_peer(&f, 2)->next_index, 7);
    fixture_destroy(&f);
}

/* 3.5: a refusal moves nextIndex back, and the leader tries again. */
static void thesis_3_5_a_refusal_moves_next_back(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 2, 2, 5, 0);
    fixture_win(&f);
    fixture_refuse(&f, 2, fixture_id(2, 5), fixture_id(2, 3)); /* it has three entries */
    assert_int_equal(fixture_peer(&f, 2)->next_index, 4);
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->log.index, 3);
    fixture_destroy(&f);
}

static struct fixture create_with_terms(const struct raft_term_run *runs, uint32_t runs_count, uint64_t last)
{
    struct raft_config config = fixture_config();
    struct raft_restore restore = {
        .hard_state = {.term = 7},
        .last_index = last,
        .runs = runs,
        .runs_count = runs_count,
    };
    return fixture_create_with(&config, 3, &restore);
}

/* 3.5: one round trip for each term with conflicting entries, not for each entry. */
static void thesis_3_5_a_refusal_skips_whole_terms(void **state)
{
    (void)state;
    /* Figure 3.6: case f as the follower, and the leader of term 8. */
    const struct raft_term_run f_runs[] = {{1, 1}, {4, 2}, {7, 3}};
    struct fixture f = create_with_terms(f_runs, 3, 11);
    fixture_append(&f, 2, 8, fixture_id(6, 10), 8, 1, 0);
    fixture_turn(&f);
    const struct raft_message *refusal = fixture_later(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2);
    assert_true(refusal->reject);
    assert_int_equal(refusal->hint.index, 10);
    assert_int_equal(refusal->hint.term, 3);
    fixture_destroy(&f);

    const struct raft_term_run leader_runs[] = {{1, 1}, {4, 4}, {6, 5}, {8, 6}};
    f = create_with_terms(leader_runs, 4, 10);
    fixture_win(&f);
    fixture_refuse(&f, 2, fixture_id(6, 10), fixture_id(3, 10));
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->log.index, 3);
    fixture_destroy(&f);
}

/* 3.5: the leader tells the highest index that it knows to be committed in what it sends next. */
static void thesis_3_5_followers_are_told_the_commit_index(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, 2);
    assert_int_equal(raft_get_commit(f.raft), 2);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->commit, 2);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->commit, 2);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 3)->commit, 1); /* what it is known to have */
    fixture_destroy(&f);
}

/* Figure 3.1, all servers: what is committed is applied, in the order of the log, each entry once. */
static void thesis_3_5_committed_entries_are_applied_in_order(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    const struct raft_entry *entry = NULL;
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 3, 2);
    for (uint64_t index = 1; index <= 2; index++) {
        assert_int_equal(raft_next_committed(f.raft, &entry), RAFT_NEXT_ENTRY);
        assert_int_equal(entry->id.index, index);
    }
    assert_int_equal(raft_next_committed(f.raft, &entry), RAFT_NEXT_NONE);
    struct raft_message heartbeat = fixture_message(RAFT_MESSAGE_HEARTBEAT, 2, 1);
    heartbeat.commit = 3;
    fixture_step(&f, &heartbeat);
    assert_int_equal(raft_next_committed(f.raft, &entry), RAFT_NEXT_ENTRY);
    assert_int_equal(entry->id.index, 3);
    heartbeat.commit = 1; /* overtaken: the commit index does not go back */
    fixture_step(&f, &heartbeat);
    assert_int_equal(raft_get_commit(f.raft), 3);
    assert_int_equal(raft_next_committed(f.raft, &entry), RAFT_NEXT_NONE);
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
        cmocka_unit_test(thesis_3_4_half_is_no_majority),
        cmocka_unit_test(thesis_3_4_one_vote_in_a_term),
        cmocka_unit_test(thesis_3_4_a_candidate_follows_the_winner),
        cmocka_unit_test(thesis_3_4_a_candidate_votes_for_itself_and_asks_all),
        cmocka_unit_test(thesis_3_4_a_split_vote_is_tried_again),
        cmocka_unit_test(thesis_3_4_a_candidate_refuses_a_leader_of_an_old_term),
        cmocka_unit_test(thesis_3_4_a_new_leader_announces_itself),
        cmocka_unit_test(thesis_3_4_an_idle_leader_sends_heartbeats),
        cmocka_unit_test(thesis_3_4_a_vote_is_given_again_to_the_same_candidate),
        cmocka_unit_test(thesis_3_4_a_granted_vote_restarts_the_timer),
        cmocka_unit_test(thesis_3_5_and_10_2_1_entries_leave_before_the_own_disk_is_done),
        cmocka_unit_test(thesis_3_5_a_majority_commits_and_the_leader_counts_by_its_disk),
        cmocka_unit_test(thesis_3_5_the_consistency_check),
        cmocka_unit_test(thesis_3_5_conflicting_entries_are_replaced),
        cmocka_unit_test(thesis_3_5_followers_commit_up_to_the_last_new_entry),
        cmocka_unit_test(thesis_3_5_a_leader_only_appends),
        cmocka_unit_test(thesis_3_5_an_acknowledgement_moves_next_and_match),
        cmocka_unit_test(thesis_3_5_a_refusal_moves_next_back),
        cmocka_unit_test(thesis_3_5_a_refusal_skips_whole_terms),
        cmocka_unit_test(thesis_3_5_followers_are_told_the_commit_index),
        cmocka_unit_test(thesis_3_5_committed_entries_are_applied_in_order),
    };
    return FIXTURE_MAIN(tests);
}
