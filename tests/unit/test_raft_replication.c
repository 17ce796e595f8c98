/* test_raft_replication.c: the leader's side of the log. */
#include "raft_fixture.h"

static void proposals_of_one_turn_travel_together(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    for (int i = 0; i < 5; i++)
        (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    assert_int_equal(f.ready.messages_now_count, 2);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->entries_count, 5);
    fixture_destroy(&f);
}

static void an_append_is_limited_in_bytes_but_carries_one_entry(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3); /* 100 bytes */
    (void)fixture_propose(&f, 500);
    (void)fixture_propose(&f, 60);
    (void)fixture_propose(&f, 40);
    (void)fixture_propose(&f, 1);
    fixture_turn(&f);
    uint32_t counts[8];
    uint32_t appends = 0;
    for (uint32_t i = 0; i < f.ready.messages_now_count; i++) {
        if (f.ready.messages_now[i].to == 2)
            counts[appends++] = f.ready.messages_now[i].entries_count;
    }
    assert_int_equal(appends, 3);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 2);
    assert_int_equal(counts[2], 1);
    fixture_destroy(&f);
}

static void the_pipeline_is_limited_and_acknowledgements_open_it(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    for (int i = 0; i < 10; i++)
        (void)fixture_propose(&f, 90); /* one entry in each APPEND */
    fixture_turn(&f);
    assert_int_equal(fixture_peer(&f, 2)->inflight_messages, FIXTURE_INFLIGHT_MESSAGES);
    assert_int_equal(fixture_peer(&f, 2)->inflight_bytes, FIXTURE_INFLIGHT_MESSAGES * 90);
    assert_int_equal(fixture_peer(&f, 2)->next_index, 6);
    fixture_acknowledge(&f, 2, 3);
    fixture_turn(&f);
    assert_int_equal(fixture_peer(&f, 2)->next_index, 8);
    assert_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 3));
    fixture_acknowledge(&f, 2, 3); /* a duplicate */
    fixture_acknowledge(&f, 2, 2); /* overtaken */
    fixture_turn(&f);
    assert_int_equal(fixture_peer(&f, 2)->next_index, 8);
    fixture_destroy(&f);
}

static void a_new_leader_probes_until_the_logs_match(void **state)
{
    (void)state;
    struct raft_term_run runs[] = {{1, 1}, {4, 4}, {11, 6}};
    struct raft_restore restore = {
        .hard_state = {.term = 6}, .last_index = 20, .runs = runs, .runs_count = 3};
    struct raft_config config = fixture_config();
    struct fixture f = fixture_create_with(&config, 3, &restore);
    fixture_win(&f); /* term 7, no-op at 21 */
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->log.index, 20);
    assert_int_equal(fixture_peer(&f, 2)->state, RAFT_PROGRESS_PROBE);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    assert_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)); /* one at a time */

    /* The follower has terms 1 1 1 2 2 2 3 3 ... up to 15: its last entry with a term <= 6 is {3, 15}. */
    fixture_refuse(&f, 2, fixture_id(6, 20), fixture_id(3, 15));
    fixture_turn(&f);
    /* Ours with a term <= 3, not beyond 15, is {1, 3}: terms 4 and 6 are skipped in one step. */
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->log.index, 3);
    fixture_acknowledge(&f, 2, 3);
    fixture_turn(&f);
    assert_int_equal(fixture_peer(&f, 2)->state, RAFT_PROGRESS_REPLICATE);
    assert_int_equal(fixture_peer(&f, 2)->match_index, 3);
    fixture_destroy(&f);
}

static void stale_refusals_are_ignored(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    fixture_acknowledge(&f, 2, 2);
    fixture_refuse(&f, 2, fixture_id(1, 1), fixture_id(0, 0));
    assert_int_equal(fixture_peer(&f, 2)->state, RAFT_PROGRESS_REPLICATE);
    assert_int_equal(fixture_peer(&f, 2)->match_index, 2);
    fixture_destroy(&f);
}

static void acknowledgements_that_cannot_be_are_ignored(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    struct raft_message message = fixture_message(RAFT_MESSAGE_APPEND_RESPONSE, 2, 1);
    message.log = fixture_id(1, 50); /* beyond our log */
    fixture_step(&f, &message);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    message.log = fixture_id(7, 2); /* another entry than ours */
    fixture_step(&f, &message);
    assert_int_equal(fixture_peer(&f, 2)->match_index, 1);
    fixture_destroy(&f);
}

static void a_lost_append_is_found_by_heartbeats(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    for (int i = 0; i < 10; i++)
        (void)fixture_propose(&f, 90);
    fixture_turn(&f); /* all of it lost, and the window is full */
    uint64_t sent_up_to = fixture_peer(&f, 2)->next_index - 1;
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    fixture_turn(&f);
    const struct raft_message *heartbeat = fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2);
    assert_non_null(heartbeat);
    fixture_answer_round(&f, 2, heartbeat->round);
    fixture_turn(&f);
    const struct raft_message *question = fixture_now(&f, RAFT_MESSAGE_APPEND, 2);
    assert_non_null(question);
    assert_int_equal(question->entries_count, 0);
    assert_int_equal(question->log.index, sent_up_to);
    fixture_refuse(&f, 2, question->log, fixture_id(1, 1));
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->log.index, 1); /* from the start again */
    fixture_destroy(&f);
}

static void a_lost_probe_is_repeated(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_win(&f); /* the first probe is lost */
    for (int i = 0; i < 3; i++) {
        fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
        fixture_turn(&f);
        fixture_answer_round(&f, 2, fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->round);
        fixture_turn(&f);
        assert_non_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 2));
        assert_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 3)); /* does not even answer heartbeats */
    }
    fixture_destroy(&f);
}

static void an_unreachable_follower_is_probed_when_it_answers_again(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    raft_peer_unreachable(f.raft, 2);
    assert_int_equal(fixture_peer(&f, 2)->state, RAFT_PROGRESS_PROBE);
    assert_int_equal(fixture_peer(&f, 2)->inflight_messages, 0);
    assert_int_equal(fixture_peer(&f, 2)->next_index, 2);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    fixture_turn(&f);
    fixture_answer_round(&f, 2, fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->round);
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->log.index, 1);
    fixture_destroy(&f);
}

static void heartbeats_never_commit_beyond_the_receivers_match(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, 2);
    assert_int_equal(raft_get_commit(f.raft), 2);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->commit, 2);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 3)->commit, 1);
    fixture_destroy(&f);
}

/* For whoever keeps the log: what all hold is no more needed by anybody. */
static void heartbeats_tell_what_every_member_holds(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    fixture_acknowledge(&f, 2, 3);
    fixture_acknowledge(&f, 3, 2);
    assert_int_equal(fixture_status(&f)->held_by_all, 1); /* not on the own disk yet */
    fixture_persist(&f);
    assert_int_equal(fixture_status(&f)->held_by_all, 2);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    fixture_turn(&f);
    const struct raft_message *heartbeat = fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2);
    assert_int_equal(heartbeat->log.index, 2);
    assert_int_equal(heartbeat->log.term, raft_get_term(f.raft));
    fixture_destroy(&f);
}

static void a_follower_remembers_what_every_member_holds(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    fixture_append(&f, 2, 4, fixture_id(0, 0), 4, 3, 0);
    fixture_turn(&f);
    fixture_persist(&f);
    assert_int_equal(fixture_status(&f)->held_by_all, 0);
    struct raft_message heartbeat = fixture_message(RAFT_MESSAGE_HEARTBEAT, 2, 4);
    heartbeat.log = fixture_id(4, 2);
    fixture_step(&f, &heartbeat);
    assert_int_equal(fixture_status(&f)->held_by_all, 2);
    heartbeat.log = fixture_id(4, 1); /* a new leader knows less at first */
    fixture_step(&f, &heartbeat);
    assert_int_equal(fixture_status(&f)->held_by_all, 2);
    heartbeat.log = fixture_id(4, 9); /* no leader says that of a log that it knows */
    fixture_step(&f, &heartbeat);
    assert_int_equal(fixture_status(&f)->held_by_all, 2);
    fixture_destroy(&f);
}

static void news_of_a_commit_reach_quiet_followers_soon(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, 2);
    fixture_acknowledge(&f, 3, 2);
    fixture_turn(&f);
    assert_int_equal(f.ready.messages_now_count, 0); /* rides on the next APPEND, if one comes */
    assert_true(raft_deadline_ms(f.raft) < f.now_ms + FIXTURE_HEARTBEAT_MS / 2);
    fixture_tick_to_deadline(&f);
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->commit, 2);
    fixture_destroy(&f);
}

static struct fixture create_leader_with_cold_log(void)
{
    struct fixture f = fixture_restart(3, 1, 1, 10, 0);
    fixture_win(&f); /* term 2, no-op at 11; 1 to 10 are on disk only */
    fixture_persist(&f);
    fixture_acknowledge(&f, 3, 11);
    fixture_refuse(&f, 2, fixture_id(1, 10), fixture_id(0, 0));
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->log.index, 0);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->entries_count, 0); /* asks before it reads */
    assert_int_equal(f.ready.log_reads_count, 0);
    fixture_acknowledge(&f, 2, 0);
    fixture_turn(&f);
    assert_int_equal(f.ready.log_reads_count, 1);
    return f;
}

static void entries_that_are_not_in_memory_are_read_from_disk(void **state)
{
    (void)state;
    struct fixture f = create_leader_with_cold_log();
    struct raft_log_read read = f.ready.log_reads[0];
    assert_int_equal(read.peer, 2);
    assert_int_equal(read.first_index, 1);
    assert_int_equal(read.last_index, 10);
    assert_int_equal(read.bytes_max, 100);
    fixture_tick(&f, 1);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    assert_int_equal(f.ready.log_reads_count, 0); /* one at a time, and the follower waits */
    assert_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 2));
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 3));

    struct raft_entry entries[4] = {0};
    for (uint32_t i = 0; i < 4; i++)
        entries[i] = (struct raft_entry){.id = {1, 1 + i}, .type = RAFT_ENTRY_COMMANDS};
    raft_log_read_done(f.raft, read.read_id, entries, 4);
    fixture_turn(&f);
    const struct raft_message *append = fixture_now(&f, RAFT_MESSAGE_APPEND, 2);
    assert_int_equal(append->log.index, 0);
    assert_int_equal(append->entries_count, 4);
    assert_int_equal(f.ready.log_reads_count, 1); /* and on */
    assert_int_equal(f.ready.log_reads[0].first_index, 5);
    raft_log_read_done(f.raft, read.read_id, entries, 4); /* a second answer to the first */
    fixture_turn(&f);
    assert_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 2));
    fixture_destroy(&f);
}

static void a_read_that_failed_is_tried_again_after_a_heartbeat(void **state)
{
    (void)state;
    struct fixture f = create_leader_with_cold_log();
    raft_log_read_done(f.raft, f.ready.log_reads[0].read_id, NULL, 0);
    fixture_turn(&f);
    assert_int_equal(f.ready.log_reads_count, 0);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    fixture_turn(&f);
    fixture_answer_round(&f, 2, fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->round);
    fixture_turn(&f);
    fixture_acknowledge(&f, 2, 0);
    fixture_turn(&f);
    assert_int_equal(f.ready.log_reads_count, 1);
    fixture_destroy(&f);
}

static void a_read_is_abandoned_with_the_role(void **state)
{
    (void)state;
    struct fixture f = create_leader_with_cold_log();
    uint64_t read_id = f.ready.log_reads[0].read_id;
    fixture_heartbeat(&f, 3, 9);
    struct raft_entry entry = {.id = {1, 1}, .type = RAFT_ENTRY_COMMANDS};
    raft_log_read_done(f.raft, read_id, &entry, 1);
    fixture_turn(&f);
    assert_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 2));
    fixture_destroy(&f);
}

static void a_follower_that_needs_compacted_entries_waits(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 1, 1, 10, 10);
    raft_compacted(f.raft, fixture_id(1, 8));
    fixture_win(&f);
    fixture_persist(&f);
    fixture_refuse(&f, 2, fixture_id(1, 10), fixture_id(1, 5));
    fixture_turn(&f);
    assert_int_equal(fixture_peer(&f, 2)->state, RAFT_PROGRESS_SNAPSHOT);
    assert_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 2));
    for (int i = 0; i < 5; i++) {
        fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
        fixture_turn(&f);
        assert_non_null(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2));
        fixture_answer_round(&f, 2, fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2)->round);
        fixture_answer_round(&f, 3, f.ready.messages_now[0].round);
        fixture_turn(&f);
        assert_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 2));
    }
    fixture_acknowledge(&f, 2, 8); /* it has got there by some way */
    fixture_turn(&f);
    assert_int_equal(fixture_peer(&f, 2)->state, RAFT_PROGRESS_REPLICATE);
    assert_int_equal(fixture_peer(&f, 2)->match_index, 8);
    fixture_destroy(&f);
}

static void a_follower_without_the_base_is_asked_now_and_then(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_acknowledge(&f, 3, 2); /* the acknowledgement of 2 was lost */
    const struct raft_entry *entry;
    while (raft_next_committed(f.raft, &entry) == RAFT_NEXT_ENTRY)
        raft_applied(f.raft, entry->id.index);
    raft_compacted(f.raft, fixture_id(1, 2));
    raft_peer_unreachable(f.raft, 2);
    fixture_turn(&f);
    assert_int_equal(fixture_peer(&f, 2)->state, RAFT_PROGRESS_SNAPSHOT);
    bool asked = false;
    for (int i = 0; i < 12; i++) {
        fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
        fixture_turn(&f);
        uint64_t round = f.ready.messages_now[0].round;
        fixture_answer_round(&f, 2, round);
        fixture_answer_round(&f, 3, round);
        fixture_turn(&f);
        const struct raft_message *append = fixture_now(&f, RAFT_MESSAGE_APPEND, 2);
        asked = asked || (append != NULL && append->log.index == 2 && append->entries_count == 0);
    }
    assert_true(asked);
    fixture_destroy(&f);
}

static void pitfall_16_a_leader_with_a_stalled_disk_steps_down(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f); /* never persisted */
    uint64_t end = f.now_ms + FIXTURE_STALL_MS;
    while (f.now_ms < end) {
        assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
        uint64_t deadline = raft_deadline_ms(f.raft);
        fixture_tick(&f, deadline > f.now_ms ? deadline - f.now_ms : 0);
        if (raft_get_role(f.raft) == RAFT_LEADER) {
            fixture_answer_round(&f, 2, 0);
            fixture_turn(&f);
        }
    }
    assert_int_equal(f.now_ms, end);
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    fixture_destroy(&f);
}

static void an_acknowledgement_of_what_was_never_sent_is_ignored(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    struct raft_message answer = fixture_message(RAFT_MESSAGE_APPEND_RESPONSE, 2, raft_get_term(f.raft));
    answer.log = fixture_id(raft_get_term(f.raft), 9); /* the log ends at 1 */
    fixture_step(&f, &answer);
    assert_int_equal(fixture_peer(&f, 2)->match_index, 1);
    assert_int_equal(raft_get_commit(f.raft), 1);
    fixture_destroy(&f);

    f = fixture_restart(3, 2, 2, 5, 0);
    fixture_win(&f);
    answer.term = raft_get_term(f.raft);
    answer.log = fixture_id(1, 5); /* an entry 5, but another one */
    fixture_step(&f, &answer);
    assert_int_equal(fixture_peer(&f, 2)->match_index, 0);
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proposals_of_one_turn_travel_together),
        cmocka_unit_test(an_append_is_limited_in_bytes_but_carries_one_entry),
        cmocka_unit_test(the_pipeline_is_limited_and_acknowledgements_open_it),
        cmocka_unit_test(a_new_leader_probes_until_the_logs_match),
        cmocka_unit_test(stale_refusals_are_ignored),
        cmocka_unit_test(acknowledgements_that_cannot_be_are_ignored),
        cmocka_unit_test(a_lost_append_is_found_by_heartbeats),
        cmocka_unit_test(a_lost_probe_is_repeated),
        cmocka_unit_test(an_unreachable_follower_is_probed_when_it_answers_again),
        cmocka_unit_test(heartbeats_never_commit_beyond_the_receivers_match),
        cmocka_unit_test(heartbeats_tell_what_every_member_holds),
        cmocka_unit_test(a_follower_remembers_what_every_member_holds),
        cmocka_unit_test(news_of_a_commit_reach_quiet_followers_soon),
        cmocka_unit_test(entries_that_are_not_in_memory_are_read_from_disk),
        cmocka_unit_test(a_read_that_failed_is_tried_again_after_a_heartbeat),
        cmocka_unit_test(a_read_is_abandoned_with_the_role),
        cmocka_unit_test(a_follower_that_needs_compacted_entries_waits),
        cmocka_unit_test(a_follower_without_the_base_is_asked_now_and_then),
        cmocka_unit_test(pitfall_16_a_leader_with_a_stalled_disk_steps_down),
        cmocka_unit_test(an_acknowledgement_of_what_was_never_sent_is_ignored),
    };
    return FIXTURE_MAIN(tests);
}
