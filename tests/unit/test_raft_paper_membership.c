/* test_raft_paper_membership.c: the thesis' chapter 4, rule by rule (see test_raft_paper.c). Those that
 * leave, and those that left, are in test_raft_paper_removal.c. */
#include "raft_fixture.h"

/* ---- 4.1: safety ------------------------------------------------------------------------------- */

/* 4.1: the new configuration takes effect as soon as it is added to the server's log. */
static void thesis_4_1_a_configuration_is_in_effect_when_appended(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3, 4), NULL), RAFT_MEMBERSHIP_OK);
    const struct raft_configuration *now = raft_get_configuration(f.raft);
    assert_int_equal(now->membership.voters_count, 4);
    assert_int_equal(now->membership.outgoing_count, 3);
    assert_memory_equal(now->payload->bytes + now->opaque_offset, "opaque", 6);
    assert_false(fixture_status(&f)->membership_committed);
    fixture_turn(&f);
    assert_non_null(fixture_now(&f, RAFT_MESSAGE_APPEND, 4)); /* the new one gets the log at once */
    fixture_destroy(&f);

    f = fixture_create(3);
    struct raft_membership grown = fixture_members(FIXTURE_IDS(1, 2, 3, 4), FIXTURE_IDS(1, 2, 3), NULL);
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 1, 0);
    fixture_append_membership(&f, 2, 1, fixture_id(1, 1), &grown, 1);
    assert_true(raft_membership_equals(raft_get_membership(f.raft), &grown)); /* a follower, not committed */
    fixture_destroy(&f);
}

/* 4.1, pitfall 8: a server falls back to the previous configuration when the entry is removed from its
 * log. */
static void pitfall_08_a_truncated_configuration_is_rolled_back(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    struct raft_membership first = fixture_members(FIXTURE_IDS(1, 2, 3), NULL, FIXTURE_IDS(4));
    struct raft_membership second = fixture_members(FIXTURE_IDS(1, 2, 4), FIXTURE_IDS(1, 2, 3), NULL);
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 1, 0);
    fixture_append_membership(&f, 2, 1, fixture_id(1, 1), &first, 1);
    fixture_append_membership(&f, 2, 1, fixture_id(1, 2), &second, 1);
    assert_true(raft_membership_equals(raft_get_membership(f.raft), &second));
    fixture_append(&f, 3, 2, fixture_id(1, 2), 2, 1, 1); /* 3 leads, and has other entries from 3 on */
    assert_true(raft_membership_equals(raft_get_membership(f.raft), &first));
    fixture_append(&f, 3, 3, fixture_id(1, 1), 3, 1, 1); /* from 2 on */
    struct raft_membership formed = fixture_membership(3);
    assert_true(raft_membership_equals(raft_get_membership(f.raft), &formed));
    assert_int_equal(raft_get_configuration(f.raft)->id.index, 0);
    fixture_campaign(&f);
    assert_int_equal(fixture_ids_asked(&f, RAFT_MESSAGE_PRE_VOTE), 1 << 2 | 1 << 3);
    fixture_destroy(&f);
}

/* 4.1, pitfall 8: no other change while one is not committed, C_new after C_old,new included. */
static void pitfall_08_one_change_at_a_time(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_and_learners();
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3, 4), FIXTURE_IDS(5)), RAFT_MEMBERSHIP_OK);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3), NULL), RAFT_MEMBERSHIP_PENDING);
    fixture_settle(&f, FIXTURE_IDS(2, 3, 4)); /* C_old,new is committed */
    assert_int_equal(raft_get_commit(f.raft), 3);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3), NULL), RAFT_MEMBERSHIP_PENDING);
    fixture_settle(&f, FIXTURE_IDS(2));
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3), NULL), RAFT_MEMBERSHIP_PENDING);
    fixture_acknowledge(&f, 3, 4); /* C_new, too */
    assert_int_equal(raft_get_commit(f.raft), 4);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3), NULL), RAFT_MEMBERSHIP_OK);
    fixture_destroy(&f);
}

/* Pitfall 7, raft-dev 2015: a leader does not begin a change before an entry of its own term is committed. */
static void pitfall_07_no_change_before_an_entry_of_the_own_term_is_committed(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2), NULL), RAFT_MEMBERSHIP_NOT_LEADER);
    fixture_win(&f);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2), NULL), RAFT_MEMBERSHIP_NOT_READY);
    fixture_persist(&f);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2), NULL), RAFT_MEMBERSHIP_NOT_READY);
    fixture_acknowledge(&f, 2, 1);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2), NULL), RAFT_MEMBERSHIP_OK);
    fixture_destroy(&f);
}

/* What is no change to anything sensible is refused, and leaves no trace. */
static void a_change_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_and_learners();
    struct raft_entry_id id;
    struct raft_membership target = {0};
    assert_int_equal(raft_propose_membership(f.raft, &target, NULL, 0, &id), RAFT_MEMBERSHIP_INVALID);
    target = fixture_members(FIXTURE_IDS(1, 2), FIXTURE_IDS(1), NULL); /* joint */
    assert_int_equal(raft_propose_membership(f.raft, &target, NULL, 0, &id), RAFT_MEMBERSHIP_INVALID);
    memset(&target, 0, sizeof target);
    for (raft_node_id node = 10; node < 10 + RAFT_NODES_MAX; node++) /* too many with those that leave */
        assert_true(raft_membership_set(&target, node, RAFT_MEMBER_VOTER));
    assert_int_equal(raft_propose_membership(f.raft, &target, NULL, 0, &id), RAFT_MEMBERSHIP_INVALID);
    static const uint8_t opaque[RAFT_MEMBERSHIP_BYTES_MAX];
    target = fixture_membership(3);
    assert_int_equal(raft_propose_membership(f.raft, &target, opaque, sizeof opaque, &id),
                     RAFT_MEMBERSHIP_INVALID);
    assert_int_equal(fixture_status(&f)->last.index, 2);
    assert_true(raft_transfer_leadership(f.raft, 2));
    assert_int_equal(raft_propose_membership(f.raft, &target, NULL, 0, &id), RAFT_MEMBERSHIP_TRANSFERRING);
    fixture_destroy(&f);
}

/* Seed 1795670004087: clients filled all the room that there was for proposals again and again, and kept the
 * removal of a node out for as long as they wrote. */
static void a_change_finds_room_where_proposals_find_none(void **state)
{
    (void)state;
    struct raft_config config = fixture_config();
    config.unstable_bytes_max = 10;
    struct fixture f = fixture_create_leader(&config, 3);
    assert_int_equal(fixture_propose(&f, 20), RAFT_PROPOSE_OK);
    assert_int_equal(fixture_propose(&f, 1), RAFT_PROPOSE_FULL);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2), NULL), RAFT_MEMBERSHIP_OK);
    fixture_destroy(&f);
}

/* A change that touches learners or the opaque bytes only is one entry: the majorities stay. */
static void learners_and_opaque_bytes_change_in_one_entry(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(3);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3), NULL), RAFT_MEMBERSHIP_OK); /* an address */
    assert_int_equal(raft_get_membership(f.raft)->outgoing_count, 0);
    fixture_settle(&f, FIXTURE_IDS(2));
    fixture_turn(&f);
    assert_int_equal(fixture_status(&f)->last.index, 2); /* nothing follows by itself */
    assert_true(fixture_status(&f)->membership_committed);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3), FIXTURE_IDS(9)), RAFT_MEMBERSHIP_OK);
    assert_int_equal(raft_get_membership(f.raft)->outgoing_count, 0);
    fixture_destroy(&f);
}

/* ---- 4.2.1: catching up new servers ------------------------------------------------------------ */

/* 4.2.1: a non-voting server gets the log, and is not counted towards majorities, for voting or for
 * commits. */
static void thesis_4_2_1_a_learner_counts_in_nothing(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_and_learners();
    (void)fixture_propose(&f, 8);
    fixture_settle(&f, FIXTURE_IDS(4, 5)); /* with the leader that would be three of five */
    assert_int_equal(raft_get_commit(f.raft), 2);
    assert_int_equal(fixture_peer(&f, 4)->match_index, 3);
    assert_int_equal(fixture_peer(&f, 4)->kind, RAFT_MEMBER_LEARNER);
    fixture_acknowledge(&f, 2, 3);
    assert_int_equal(raft_get_commit(f.raft), 3);
    fixture_turn(&f);

    uint64_t read = raft_read_index(f.raft); /* nor for reads */
    assert_true(read != 0);
    fixture_tick(&f, FIXTURE_HEARTBEAT_MS); /* a round that goes to all */
    fixture_turn(&f);
    uint64_t round = fixture_now(&f, RAFT_MESSAGE_HEARTBEAT, 4)->round;
    fixture_answer_round(&f, 4, round);
    fixture_answer_round(&f, 5, round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 0);
    fixture_answer_round(&f, 3, round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);

    for (uint64_t i = 0; i < 25 && raft_get_role(f.raft) == RAFT_LEADER; i++) { /* nor for check-quorum */
        fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
        fixture_turn(&f);
        fixture_answer_round(&f, 4, 0);
        fixture_answer_round(&f, 5, 0);
    }
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    fixture_campaign(&f);
    assert_int_equal(fixture_ids_asked(&f, RAFT_MESSAGE_PRE_VOTE), 1 << 2 | 1 << 3); /* nor is it asked */
    fixture_grant(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 4);
    fixture_grant(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 5);
    assert_int_equal(raft_get_role(f.raft), RAFT_PRE_CANDIDATE);
    fixture_grant(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 3);
    assert_int_equal(raft_get_role(f.raft), RAFT_CANDIDATE);
    fixture_destroy(&f);
}

static struct fixture create_member(const struct raft_membership *membership)
{
    struct raft_config config = fixture_config();
    struct raft_membership_entry entry = {.payload = raft_membership_encode(membership, NULL, 0)};
    struct raft_restore restore = {.memberships = &entry, .memberships_count = 1};
    struct fixture f = fixture_create_with(&config, 0, &restore);
    raft_payload_unref(entry.payload);
    return f;
}

/* A learner never campaigns: not after a time-out, not when the leader's connection breaks, not by order. */
static void a_learner_never_campaigns(void **state)
{
    (void)state;
    struct raft_membership membership = fixture_members(FIXTURE_IDS(2, 3), NULL, FIXTURE_IDS(1));
    struct fixture f = create_member(&membership);
    assert_int_equal(fixture_status(&f)->kind, RAFT_MEMBER_LEARNER);
    fixture_heartbeat(&f, 2, 1);
    raft_peer_unreachable(f.raft, 2);
    assert_int_equal(raft_leader(f.raft), RAFT_NODE_NONE);
    struct raft_message order = fixture_message(RAFT_MESSAGE_TIMEOUT_NOW, 2, 1);
    fixture_step(&f, &order);
    for (int i = 0; i < 50; i++) {
        uint64_t before = f.now_ms;
        fixture_tick_to_deadline(&f);
        assert_true(f.now_ms > before + 900); /* and does not keep its caller busy */
        assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    }
    fixture_destroy(&f);
}

/* 4.1: voting does not depend on the voter's own configuration: this one believes to be a learner, and does
 * not even know the candidate. */
static void thesis_4_1_a_vote_is_given_whatever_the_voters_own_configuration_says(void **state)
{
    (void)state;
    struct raft_membership membership = fixture_members(FIXTURE_IDS(2, 3), NULL, FIXTURE_IDS(1));
    struct fixture f = create_member(&membership);
    struct raft_message vote = fixture_message(RAFT_MESSAGE_PRE_VOTE, 9, 5);
    fixture_step(&f, &vote);
    fixture_turn(&f);
    assert_false(fixture_now(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 9)->reject);
    vote.type = RAFT_MESSAGE_VOTE;
    fixture_step(&f, &vote);
    fixture_turn(&f);
    assert_int_equal(f.ready.hard_state.vote, 9);
    assert_false(fixture_later(&f, RAFT_MESSAGE_VOTE_RESPONSE, 9)->reject);
    /* 4.1: nor does following: a leader that is not in the own configuration is followed. */
    fixture_append(&f, 9, 5, fixture_id(0, 0), 5, 1, 0);
    assert_int_equal(raft_leader(f.raft), 9);
    fixture_turn(&f);
    fixture_persist(&f);
    assert_int_equal(raft_get_durable(f.raft), 1);
    raft_peer_unreachable(f.raft, 9);
    assert_int_equal(raft_leader(f.raft), RAFT_NODE_NONE);
    fixture_destroy(&f);
}

/* A new server knows of no configuration: it votes and follows, never campaigns, and learns of one from the
 * log. */
static void a_node_that_waits_to_be_added_only_follows(void **state)
{
    (void)state;
    struct raft_config config = fixture_config();
    struct raft_restore nothing = {0};
    struct fixture f = fixture_create_with(&config, 0, &nothing);
    assert_int_equal(fixture_status(&f)->kind, RAFT_MEMBER_NONE);
    assert_false(fixture_status(&f)->removed);
    fixture_tick(&f, 5000);
    fixture_tick(&f, 5000);
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    assert_false(raft_has_ready(f.raft));
    struct raft_membership without = fixture_members(FIXTURE_IDS(2, 3), NULL, NULL);
    struct raft_membership learner = fixture_members(FIXTURE_IDS(2, 3), NULL, FIXTURE_IDS(1));
    fixture_append_membership(&f, 2, 1, fixture_id(0, 0), &without, 1); /* it catches up with the past */
    assert_false(fixture_status(&f)->removed);
    fixture_append_membership(&f, 2, 1, fixture_id(1, 1), &learner, 1);
    assert_int_equal(fixture_status(&f)->kind, RAFT_MEMBER_LEARNER);
    fixture_append(&f, 2, 2, fixture_id(1, 1), 2, 1, 1);
    assert_int_equal(fixture_status(&f)->kind, RAFT_MEMBER_NONE); /* not added after all */
    assert_false(fixture_status(&f)->removed);
    fixture_destroy(&f);
}

/* ---- 4.3: joint consensus ---------------------------------------------------------------------- */

/* 4.3: elections need a majority of C_old and one of C_new, for the pre-vote as well. */
static void thesis_4_3_elections_need_both_majorities(void **state)
{
    (void)state;
    struct raft_membership joint = fixture_members(FIXTURE_IDS(1, 4, 5), FIXTURE_IDS(1, 2, 3), NULL);
    const struct {
        raft_node_id first, second, third;
        bool second_wins;
    } cases[] = {
        {4, 5, 2, false}, /* all of C_new */
        {2, 3, 4, false}, /* all of C_old */
        {2, 4, 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f = create_member(&joint);
        fixture_campaign(&f);
        assert_int_equal(fixture_ids_asked(&f, RAFT_MESSAGE_PRE_VOTE), 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5);
        for (int vote = 0; vote < 2; vote++) {
            enum raft_message_type type =
                vote == 0 ? RAFT_MESSAGE_PRE_VOTE_RESPONSE : RAFT_MESSAGE_VOTE_RESPONSE;
            enum raft_role won = vote == 0 ? RAFT_CANDIDATE : RAFT_LEADER;
            fixture_grant(&f, type, cases[i].first);
            assert_int_not_equal(raft_get_role(f.raft), won);
            fixture_grant(&f, type, cases[i].second);
            assert_int_equal(raft_get_role(f.raft) == won, cases[i].second_wins);
            if (!cases[i].second_wins)
                fixture_grant(&f, type, cases[i].third);
            assert_int_equal(raft_get_role(f.raft), won);
            fixture_turn(&f);
            fixture_persist(&f);
        }
        fixture_destroy(&f);
    }
}

/* 4.3: an election is lost when either majority refuses. */
static void thesis_4_3_one_majority_that_refuses_is_enough(void **state)
{
    (void)state;
    struct raft_membership joint = fixture_members(FIXTURE_IDS(1, 4, 5), FIXTURE_IDS(1, 2, 3), NULL);
    struct fixture f = create_member(&joint);
    fixture_campaign(&f);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2, raft_get_term(f.raft), true);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 4, raft_get_term(f.raft), true);
    assert_int_equal(raft_get_role(f.raft), RAFT_PRE_CANDIDATE);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 3, raft_get_term(f.raft), true);
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    fixture_destroy(&f);
}

/* 4.3: entries, C_old,new and all that follow it, are committed by both majorities; then the leader
 * proposes C_new, and that needs C_new's alone. */
static void thesis_4_3_commits_need_both_majorities_then_the_new_one(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_and_learners();
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 4, 5), NULL), RAFT_MEMBERSHIP_OK);
    (void)fixture_propose(&f, 8);
    fixture_settle(&f, FIXTURE_IDS(4, 5));
    assert_int_equal(raft_get_commit(f.raft), 2); /* C_new has it, C_old has not */
    fixture_acknowledge(&f, 2, 3);
    assert_int_equal(raft_get_commit(f.raft), 3); /* C_old,new, and nothing beyond */
    assert_int_equal(fixture_status(&f)->last.index, 4);

    assert_true(raft_has_ready(f.raft)); /* at the end of the turn C_new follows by itself */
    fixture_turn(&f);
    const struct raft_configuration *now = raft_get_configuration(f.raft);
    assert_int_equal(now->id.index, 5);
    assert_int_equal(now->membership.outgoing_count, 0);
    assert_memory_equal(now->payload->bytes + now->opaque_offset, "opaque", 6);
    assert_int_equal(raft_get_commit(f.raft), 4); /* C_new's majority counts from now on: 1, 4 and 5 hold 4 */
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, 5);
    fixture_acknowledge(&f, 3, 5);
    assert_int_equal(raft_get_commit(f.raft), 4); /* those of C_old do not count any more */
    fixture_acknowledge(&f, 4, 5);
    assert_int_equal(raft_get_commit(f.raft), 5);
    assert_true(fixture_status(&f)->membership_committed);
    fixture_destroy(&f);
}

/* 4.3, 6.4: reads are confirmed, and the leader goes on leading, by both majorities. */
static void thesis_4_3_reads_and_check_quorum_need_both_majorities(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_and_learners();
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 4, 5), NULL), RAFT_MEMBERSHIP_OK);
    assert_true(raft_read_index(f.raft) != 0);
    fixture_turn(&f);
    uint64_t round = fixture_now(&f, RAFT_MESSAGE_APPEND, 4)->round;
    assert_true(round != 0);
    fixture_answer_round(&f, 4, round);
    fixture_answer_round(&f, 5, round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 0);
    fixture_answer_round(&f, 3, round);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 1);
    for (int i = 0; i < 25 && raft_get_role(f.raft) == RAFT_LEADER; i++) {
        fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
        fixture_turn(&f);
        fixture_answer_round(&f, 4, 0);
        fixture_answer_round(&f, 5, 0);
    }
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    fixture_destroy(&f);
}

/* 4.3: a leader that finds C_old,new in its log commits it with its own no-op and goes on to C_new. */
static void thesis_4_3_a_new_leader_finishes_the_change(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    struct raft_membership joint = fixture_members(FIXTURE_IDS(1, 4), FIXTURE_IDS(1, 2, 3), NULL);
    fixture_append_membership(&f, 2, 1, fixture_id(0, 0), &joint, 0);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_campaign(&f);
    fixture_grant(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2);
    fixture_grant(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 4);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_grant(&f, RAFT_MESSAGE_VOTE_RESPONSE, 2);
    fixture_grant(&f, RAFT_MESSAGE_VOTE_RESPONSE, 4);
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1), NULL), RAFT_MEMBERSHIP_NOT_READY);
    fixture_settle(&f, FIXTURE_IDS(2, 3));
    fixture_turn(&f);
    assert_int_equal(fixture_status(&f)->last.index, 2); /* the no-op: 4 has not got it */
    fixture_acknowledge(&f, 4, 2);
    fixture_turn(&f);
    assert_int_equal(fixture_status(&f)->last.index, 3);
    assert_int_equal(raft_get_membership(f.raft)->outgoing_count, 0);
    assert_int_equal(raft_get_membership(f.raft)->voters_count, 2);
    fixture_destroy(&f);
}

/* ... also after a restart in which C_old,new was all that its state machine knew. */
static void a_restarted_leader_finishes_the_change_that_its_state_holds(void **state)
{
    (void)state;
    struct raft_config config = fixture_config();
    struct raft_membership joint = fixture_members(FIXTURE_IDS(1), FIXTURE_IDS(1, 2), NULL);
    struct raft_membership_entry entry = {.payload =
                                              raft_membership_encode(&joint, (const uint8_t *)"where", 5)};
    struct raft_restore restore = {
        .hard_state = {.term = 3},
        .base = {2, 7},
        .last_index = 7,
        .commit = 7,
        .applied = 7,
        .memberships = &entry,
        .memberships_count = 1,
    };
    struct fixture f = fixture_create_with(&config, 0, &restore);
    raft_payload_unref(entry.payload);
    fixture_win(&f);
    fixture_settle(&f, FIXTURE_IDS(2));
    fixture_turn(&f);
    const struct raft_configuration *now = raft_get_configuration(f.raft);
    assert_int_equal(now->id.index, 9);
    assert_int_equal(now->membership.outgoing_count, 0);
    assert_memory_equal(now->payload->bytes + now->opaque_offset, "where", 5);
    fixture_destroy(&f);
}

/* While leadership is handed over the leader does not go on to C_new: the next one would lack it, or do it
 * anyhow. */
static void no_configuration_comes_in_between_while_leadership_is_handed_over(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_and_learners();
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 4), NULL), RAFT_MEMBERSHIP_OK);
    fixture_turn(&f);
    fixture_persist(&f);
    assert_false(raft_transfer_leadership(f.raft, 3)); /* 3.10: to a voter, and one that stays */
    assert_false(raft_transfer_leadership(f.raft, 5)); /* was a learner, and is going */
    assert_true(raft_transfer_leadership(f.raft, 2));
    fixture_acknowledge(&f, 2, 3);
    fixture_turn(&f);
    assert_true(raft_get_membership(f.raft)->outgoing_count > 0);
    assert_int_equal(raft_get_commit(f.raft), 3);
    assert_int_equal(fixture_status(&f)->last.index, 3);
    for (int i = 0; i < 11; i++) {
        fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
        fixture_turn(&f);
        fixture_answer_round(&f, 2, 0);
        fixture_answer_round(&f, 3, 0);
    }
    assert_int_equal(raft_transferee(f.raft), RAFT_NODE_NONE); /* given up */
    assert_int_equal(fixture_status(&f)->last.index, 4);
    fixture_destroy(&f);
}

/* From one voter and back: it commits alone, then not, then again. */
static void a_cluster_of_one_grows_and_shrinks(void **state)
{
    (void)state;
    struct fixture f = fixture_create_leader_of(1);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2), NULL), RAFT_MEMBERSHIP_OK);
    fixture_turn(&f);
    fixture_persist(&f);
    assert_int_equal(raft_get_commit(f.raft), 1);
    fixture_acknowledge(&f, 2, 2);
    fixture_settle(&f, FIXTURE_IDS(2));
    assert_int_equal(raft_get_commit(f.raft), 3);
    assert_true(raft_read_index(f.raft) != 0);
    fixture_turn(&f);
    assert_int_equal(f.ready.reads_count, 0);
    assert_int_equal(fixture_change(&f, FIXTURE_IDS(1), NULL), RAFT_MEMBERSHIP_OK);
    fixture_settle(&f, FIXTURE_IDS(2));
    assert_int_equal(f.ready.reads_count, 0);
    fixture_turn(&f); /* C_new: alone again, so the read is confirmed */
    assert_int_equal(f.ready.reads_count, 1);
    fixture_persist(&f);
    assert_int_equal(raft_get_commit(f.raft), 5);
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thesis_4_1_a_configuration_is_in_effect_when_appended),
        cmocka_unit_test(pitfall_08_a_truncated_configuration_is_rolled_back),
        cmocka_unit_test(pitfall_08_one_change_at_a_time),
        cmocka_unit_test(pitfall_07_no_change_before_an_entry_of_the_own_term_is_committed),
        cmocka_unit_test(a_change_that_makes_no_sense_is_refused),
        cmocka_unit_test(a_change_finds_room_where_proposals_find_none),
        cmocka_unit_test(learners_and_opaque_bytes_change_in_one_entry),
        cmocka_unit_test(thesis_4_2_1_a_learner_counts_in_nothing),
        cmocka_unit_test(a_learner_never_campaigns),
        cmocka_unit_test(thesis_4_1_a_vote_is_given_whatever_the_voters_own_configuration_says),
        cmocka_unit_test(a_node_that_waits_to_be_added_only_follows),
        cmocka_unit_test(thesis_4_3_elections_need_both_majorities),
        cmocka_unit_test(thesis_4_3_one_majority_that_refuses_is_enough),
        cmocka_unit_test(thesis_4_3_commits_need_both_majorities_then_the_new_one),
        cmocka_unit_test(thesis_4_3_reads_and_check_quorum_need_both_majorities),
        cmocka_unit_test(thesis_4_3_a_new_leader_finishes_the_change),
        cmocka_unit_test(a_restarted_leader_finishes_the_change_that_its_state_holds),
        cmocka_unit_test(no_configuration_comes_in_between_while_leadership_is_handed_over),
        cmocka_unit_test(a_cluster_of_one_grows_and_shrinks),
    };
    return FIXTURE_MAIN(tests);
}
