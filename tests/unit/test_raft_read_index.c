/* test_raft_read_index.c: linearizable reads (thesis 6.4, pitfalls 1 to 4). */
#include "raft_fixture.h"
#include "raft_read_index.h"

static uint64_t round_of_turn(struct fixture *f)
{
    fixture_turn(f);
    for (uint32_t i = 0; i < f->ready.messages_now_count; i++) {
        if (f->ready.messages_now[i].round != 0)
            return f->ready.messages_now[i].round;
    }
    return 0;
}

static void one_round_confirms_all_reads_before_it(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    uint64_t a = raft_read_index(f.raft);
    uint64_t b = raft_read_index(f.raft);
    assert_true(a != 0 && b != 0 && a != b);
    uint64_t round = round_of_turn(&f); /* in the same turn */
    assert_true(round != 0);
    assert_int_equal(f.ready.messages_now_count, 1); /* as many as are needed */
    assert_int_equal(f.ready.reads_count, 0);
    fixture_answer_round(&f, 2, round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 2);
    assert_int_equal(f.ready.reads[0].read_id, a);
    assert_true(f.ready.reads[0].ok);
    assert_int_equal(f.ready.reads[0].index, 1);
    assert_int_equal(f.ready.reads[1].read_id, b);
    fixture_destroy(&f);
}

static uint32_t asked_by_turn(struct fixture *f)
{
    uint32_t ids = 0;
    fixture_turn(f);
    for (uint32_t i = 0; i < f->ready.messages_now_count; i++) {
        assert_int_equal(f->ready.messages_now[i].type, RAFT_MESSAGE_HEARTBEAT);
        ids |= UINT32_C(1) << f->ready.messages_now[i].to;
    }
    return ids;
}

static void as_many_are_asked_as_are_needed_and_who_answered_last(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(5);
    uint32_t all = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5;
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    assert_int_equal(asked_by_turn(&f), all);
    uint64_t round = f.ready.messages_now[0].round;
    fixture_answer_round(&f, 3, round);
    fixture_answer_round(&f, 5, round);
    assert_true(raft_read_index(f.raft) != 0);
    assert_int_equal(asked_by_turn(&f), 1 << 3 | 1 << 5);
    fixture_answer_round(&f, 5, round + 1);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS); /* 3 is silent */
    assert_int_equal(asked_by_turn(&f), all);
    fixture_answer_round(&f, 4, round + 2);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    assert_true(raft_read_index(f.raft) != 0);
    assert_int_equal(asked_by_turn(&f), 1 << 4 | 1 << 5);
    raft_peer_unreachable(f.raft, 4);
    assert_int_equal(asked_by_turn(&f), all); /* nobody waits for the next heartbeat */
    fixture_destroy(&f);
}

static void a_broken_connection_is_not_asked_when_no_read_was_under_way(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    assert_int_equal(asked_by_turn(&f), 1 << 2 | 1 << 3);
    uint64_t round = f.ready.messages_now[0].round;
    fixture_answer_round(&f, 2, round);
    fixture_answer_round(&f, 3, round);
    fixture_turn(&f);
    raft_peer_unreachable(f.raft, 2); /* it was killed; nobody reads at this moment */
    fixture_turn(&f);
    fixture_tick(&f, 10);
    assert_true(raft_read_index(f.raft) != 0);
    assert_true((asked_by_turn(&f) & 1 << 3) != 0);
    fixture_destroy(&f);
}

/* 2 is far away, 3 is near: both have answered the last heartbeat, 3 long before 2. */
static void who_answered_first_is_asked_when_both_answered(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    for (int i = 0; i < 3; i++) {
        fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
        assert_int_equal(asked_by_turn(&f), 1 << 2 | 1 << 3);
        uint64_t round = f.ready.messages_now[0].round;
        fixture_answer_round(&f, 3, round);
        fixture_tick(&f, 80);
        fixture_answer_round(&f, 2, round);
        fixture_turn(&f);
    }
    assert_true(raft_read_index(f.raft) != 0);
    assert_int_equal(asked_by_turn(&f), 1 << 3);
    fixture_destroy(&f);
}

/* The round that starts while the answer to the one after a broken connection is on its way. */
static void reads_after_a_broken_connection_do_not_ask_it(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    assert_int_equal(asked_by_turn(&f), 1 << 2 | 1 << 3);
    uint64_t round = f.ready.messages_now[0].round;
    fixture_answer_round(&f, 2, round);
    fixture_answer_round(&f, 3, round);
    fixture_turn(&f);
    assert_true(raft_read_index(f.raft) != 0);
    assert_int_equal(asked_by_turn(&f), 1 << 2);
    raft_peer_unreachable(f.raft, 2);
    assert_int_equal(asked_by_turn(&f), 1 << 2 | 1 << 3);
    round = f.ready.messages_now[0].round;
    assert_true(raft_read_index(f.raft) != 0);
    uint32_t asked = asked_by_turn(&f);
    fixture_answer_round(&f, 3, round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    assert_true((asked & 1 << 3) != 0); /* else the second read stands until the next heartbeat */
    fixture_destroy(&f);
}

/* A follower asks for a read index after a write: with the answer it must be able to serve it. */
static void a_follower_that_asks_hears_of_the_commit(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    fixture_turn(&f);
    uint64_t round = f.ready.messages_now[0].round;
    fixture_answer_round(&f, 2, round);
    fixture_answer_round(&f, 3, round);
    fixture_turn(&f);
    struct raft_payload *payload = raft_payload_create(1);
    payload->size = 1;
    struct raft_entry_id id;
    assert_int_equal(raft_propose(f.raft, payload, &id), RAFT_PROPOSE_OK);
    raft_payload_unref(payload);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, id.index);
    fixture_acknowledge(&f, 3, id.index);
    fixture_turn(&f);
    assert_int_equal(raft_get_commit(f.raft), id.index);
    struct raft_message request = fixture_message(RAFT_MESSAGE_READ_INDEX, 3, raft_get_term(f.raft));
    request.round = 77;
    fixture_step(&f, &request);
    fixture_turn(&f);
    bool is_told = false;
    for (uint32_t i = 0; i < f.ready.messages_now_count; i++) {
        is_told = is_told || (f.ready.messages_now[i].to == 3 && f.ready.messages_now[i].commit == id.index);
    }
    assert_true(is_told);
    fixture_destroy(&f);
}

static void who_is_silent_is_not_waited_for_until_the_next_heartbeat(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    assert_int_equal(asked_by_turn(&f), 1 << 2 | 1 << 3);
    fixture_answer_round(&f, 2, f.ready.messages_now[0].round);
    assert_true(raft_read_index(f.raft) != 0);
    assert_int_equal(asked_by_turn(&f), 1 << 2);
    uint64_t asked_ms = f.now_ms;
    fixture_tick_to_deadline(&f);
    assert_in_range(f.now_ms - asked_ms, 2, FIXTURE_HEARTBEAT_MS / 4);
    assert_int_equal(asked_by_turn(&f), 1 << 2 | 1 << 3);
    fixture_tick_to_deadline(&f); /* that was all that can be done */
    assert_int_equal(f.now_ms - asked_ms, FIXTURE_HEARTBEAT_MS);
    fixture_destroy(&f);
}

/* Pitfall 2: an answer to an earlier round, late or repeated, confirms nothing newer. */
static void pitfall_02_a_read_needs_a_round_that_started_after_it(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    assert_true(raft_read_index(f.raft) != 0);
    uint64_t first = round_of_turn(&f);
    uint64_t second_read = raft_read_index(f.raft);
    uint64_t second = round_of_turn(&f);
    assert_true(second > first);
    fixture_answer_round(&f, 2, first);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    fixture_answer_round(&f, 3, first);
    fixture_answer_round(&f, 2, first);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 0);
    fixture_answer_round(&f, 2, second + 50); /* never started */
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 0);
    fixture_answer_round(&f, 3, second);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    assert_int_equal(f.ready.reads[0].read_id, second_read);
    fixture_destroy(&f);
}

static void a_later_round_confirms_earlier_reads(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    assert_true(raft_read_index(f.raft) != 0);
    (void)round_of_turn(&f); /* lost */
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    fixture_answer_round(&f, 2, round_of_turn(&f));
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    assert_true(f.ready.reads[0].ok);
    fixture_destroy(&f);
}

static void pitfall_01_no_read_before_the_noop_of_the_term_is_committed(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 4, 4, 7, 3);
    fixture_win(&f); /* no-op at 8; entries 4 to 7 may be committed, nobody knows */
    uint64_t id = raft_read_index(f.raft);
    assert_true(id != 0);
    assert_int_equal(round_of_turn(&f), 0);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
    fixture_answer_round(&f, 2, round_of_turn(&f)); /* an ordinary heartbeat does not help */
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 0);
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, 8);
    uint64_t round = round_of_turn(&f);
    assert_true(round != 0);
    fixture_answer_round(&f, 2, round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    assert_int_equal(f.ready.reads[0].index, 8);
    fixture_destroy(&f);
}

static void pitfall_03_reads_fail_with_the_role(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    uint64_t id = raft_read_index(f.raft);
    uint64_t round = round_of_turn(&f);
    fixture_heartbeat(&f, 2, 9);
    fixture_answer_round(&f, 3, round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    assert_int_equal(f.ready.reads[0].read_id, id);
    assert_false(f.ready.reads[0].ok);
    fixture_destroy(&f);

    f = fixture_create_leader_of(3); /* cut off: check-quorum ends it */
    assert_true(raft_read_index(f.raft) != 0);
    (void)round_of_turn(&f);
    fixture_tick(&f, FIXTURE_ELECTION_MS);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    assert_false(f.ready.reads[0].ok);
    assert_int_equal(raft_read_index(f.raft), 0);
    fixture_destroy(&f);
}

/* Pitfall 2: rounds and ids go on rising through several leaderships of one object. */
static void pitfall_02_rounds_are_never_reused(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    uint64_t id = raft_read_index(f.raft);
    uint64_t round = round_of_turn(&f);
    fixture_heartbeat(&f, 2, 5);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_win(&f);
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, 2);
    uint64_t later_id = raft_read_index(f.raft);
    uint64_t later_round = round_of_turn(&f);
    assert_true(later_id > id);
    assert_true(later_round > round);
    fixture_answer_round(&f, 2, round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 0);
    fixture_destroy(&f);
}

static void rounds_without_answers_are_limited(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    uint64_t last = 0;
    uint32_t asked = 0;
    for (int i = 0; i < 50; i++) {
        assert_true(raft_read_index(f.raft) != 0);
        asked++;
        uint64_t round = round_of_turn(&f);
        last = round != 0 ? round : last;
    }
    assert_true(last <= RAFT_READ_ROUNDS_MAX);
    fixture_answer_round(&f, 2, last);
    uint64_t round = round_of_turn(&f); /* all that gathered share one */
    assert_int_equal(f.ready.reads_count, last);
    assert_int_equal(round, last + 1);
    fixture_answer_round(&f, 2, round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, asked - last);
    fixture_destroy(&f);
}

static void a_single_voter_confirms_at_once(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(1);
    uint64_t id = raft_read_index(f.raft);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    assert_int_equal(f.ready.reads[0].read_id, id);
    assert_int_equal(f.ready.reads[0].index, 1);
    fixture_destroy(&f);
}

static void an_append_of_the_same_turn_carries_the_round(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    assert_true(raft_read_index(f.raft) != 0);
    (void)fixture_propose(&f, 10);
    fixture_turn(&f);
    assert_int_equal(f.ready.messages_now_count, 2);
    assert_true(fixture_now(&f, RAFT_MESSAGE_APPEND, 2)->round != 0);
    assert_null(fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 2));
    fixture_destroy(&f);
}

static struct fixture create_follower(void)
{
    struct fixture f = fixture_create(3);
    fixture_heartbeat(&f, 2, 1);
    fixture_turn(&f);
    fixture_persist(&f);
    return f;
}

static void a_follower_asks_the_leader(void **state)
{
    (void)state;
    struct fixture f = create_follower();
    uint64_t a = raft_read_index(f.raft);
    uint64_t b = raft_read_index(f.raft);
    fixture_turn(&f);
    assert_int_equal(f.ready.messages_now_count, 2);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_READ_INDEX, 2)->round, a);
    struct raft_message answer = fixture_message(RAFT_MESSAGE_READ_INDEX_RESPONSE, 2, 1);
    answer.round = b; /* out of order */
    answer.log.index = 17;
    fixture_step(&f, &answer);
    fixture_step(&f, &answer); /* a duplicate */
    answer.round = a;
    answer.reject = true;
    fixture_step(&f, &answer);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 2);
    assert_int_equal(f.ready.reads[0].read_id, b);
    assert_int_equal(f.ready.reads[0].index, 17);
    assert_true(f.ready.reads[0].ok);
    assert_false(f.ready.reads[1].ok);
    fixture_destroy(&f);
}

static void a_followers_read_fails_when_unanswered_or_the_leader_is_lost(void **state)
{
    (void)state;
    struct fixture f = create_follower();
    uint64_t id = raft_read_index(f.raft);
    fixture_turn(&f);
    fixture_tick(&f, FIXTURE_ELECTION_MS / 2);
    fixture_heartbeat(&f, 2, 1);
    assert_true(raft_deadline_ms(f.raft) <= f.now_ms + FIXTURE_ELECTION_MS / 2);
    fixture_tick(&f, FIXTURE_ELECTION_MS / 2);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    assert_int_equal(f.ready.reads[0].read_id, id);
    assert_false(f.ready.reads[0].ok);

    assert_true(raft_read_index(f.raft) != 0);
    raft_peer_unreachable(f.raft, 2);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    assert_false(f.ready.reads[0].ok);
    assert_int_equal(raft_read_index(f.raft), 0); /* no leader known */
    fixture_destroy(&f);
}

static void the_leader_answers_followers(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    struct raft_message request = fixture_message(RAFT_MESSAGE_READ_INDEX, 3, 1);
    request.round = 33;
    fixture_step(&f, &request);
    uint64_t round = round_of_turn(&f);
    assert_null(fixture_now(&f, RAFT_MESSAGE_READ_INDEX_RESPONSE, 3));
    fixture_answer_round(&f, 2, round);
    fixture_turn(&f);
    const struct raft_message *answer = fixture_now(&f, RAFT_MESSAGE_READ_INDEX_RESPONSE, 3);
    assert_int_equal(answer->round, 33);
    assert_int_equal(answer->log.index, 1);
    assert_false(answer->reject);
    assert_int_equal(f.ready.reads_count, 0);

    fixture_step(&f, &request); /* and tells them when the role is lost */
    fixture_heartbeat(&f, 2, 9);
    fixture_turn(&f);
    assert_true(fixture_later(&f, RAFT_MESSAGE_READ_INDEX_RESPONSE, 3)->reject);
    request.term = 9;
    fixture_step(&f, &request); /* a follower refuses */
    fixture_turn(&f);
    assert_true(fixture_later(&f, RAFT_MESSAGE_READ_INDEX_RESPONSE, 3)->reject);
    fixture_destroy(&f);
}

/* Pitfall 2: the leader may still hold a question of this node from before its restart; what it answers says
 * nothing of what was committed since. */
static void pitfall_02_an_answer_to_a_question_from_before_a_restart_confirms_nothing(void **state)
{
    (void)state;
    uint64_t rounds[8];
    for (uint64_t life = 0; life < 8; life++) {
        struct raft_config config = fixture_config();
        config.seed = life;
        struct raft_restore nothing = {0};
        struct fixture f = fixture_create_with(&config, 3, &nothing);
        fixture_heartbeat(&f, 2, 1);
        fixture_turn(&f);
        fixture_persist(&f);
        rounds[life] = raft_read_index(f.raft);
        fixture_turn(&f);
        for (uint64_t earlier = 0; earlier < life; earlier++) {
            struct raft_message response = fixture_message(RAFT_MESSAGE_READ_INDEX_RESPONSE, 2, 1);
            response.round = rounds[earlier];
            response.log.index = 7;
            fixture_step(&f, &response);
        }
        fixture_turn(&f);
        assert_int_equal(f.ready.reads_count, 0);
        fixture_destroy(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_round_confirms_all_reads_before_it),
        cmocka_unit_test(as_many_are_asked_as_are_needed_and_who_answered_last),
        cmocka_unit_test(who_is_silent_is_not_waited_for_until_the_next_heartbeat),
        cmocka_unit_test(a_broken_connection_is_not_asked_when_no_read_was_under_way),
        cmocka_unit_test(who_answered_first_is_asked_when_both_answered),
        cmocka_unit_test(reads_after_a_broken_connection_do_not_ask_it),
        cmocka_unit_test(a_follower_that_asks_hears_of_the_commit),
        cmocka_unit_test(pitfall_02_a_read_needs_a_round_that_started_after_it),
        cmocka_unit_test(a_later_round_confirms_earlier_reads),
        cmocka_unit_test(pitfall_01_no_read_before_the_noop_of_the_term_is_committed),
        cmocka_unit_test(pitfall_03_reads_fail_with_the_role),
        cmocka_unit_test(pitfall_02_rounds_are_never_reused),
        cmocka_unit_test(rounds_without_answers_are_limited),
        cmocka_unit_test(a_single_voter_confirms_at_once),
        cmocka_unit_test(an_append_of_the_same_turn_carries_the_round),
        cmocka_unit_test(a_follower_asks_the_leader),
        cmocka_unit_test(a_followers_read_fails_when_unanswered_or_the_leader_is_lost),
        cmocka_unit_test(the_leader_answers_followers),
        cmocka_unit_test(pitfall_02_an_answer_to_a_question_from_before_a_restart_confirms_nothing),
    };
    return FIXTURE_MAIN(tests);
}
