/* test_raft_snapshot.c: whom a snapshot is streamed to, and what becomes of a log when one is installed
 * (thesis 5). */
#include "raft_fixture.h"

/* A leader of term 2 with entries 1 to 10 (no-op 1), of which it has compacted 1 to 8. Node 2 has
 * everything; node 3 has 1 only, and has said so. */
static struct fixture create_leader(void)
{
    struct fixture f = fixture_create_leader_of(3);
    for (int i = 0; i < 9; i++)
        assert_int_equal(fixture_propose(&f, 8), RAFT_PROPOSE_OK);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, 10);
    const struct raft_entry *entry;
    while (raft_next_committed(f.raft, &entry) == RAFT_NEXT_ENTRY)
        raft_applied(f.raft, entry->id.index);
    fixture_turn(&f);
    raft_compacted(f.raft, fixture_id(raft_get_term(f.raft), 8));
    fixture_refuse(&f, 3, fixture_id(raft_get_term(f.raft), 9), fixture_id(raft_get_term(f.raft), 1));
    return f;
}

static bool asked_for(const struct fixture *f, raft_node_id peer)
{
    bool found = false;
    for (uint32_t i = 0; i < f->ready.snapshots_count; i++)
        found = found || f->ready.snapshots[i] == peer;
    return found;
}

/* Time goes by, and everybody answers the heartbeats. True if a snapshot for node 3 was asked for. */
static bool pass(struct fixture *f, uint64_t ms)
{
    bool asked = false;
    for (uint64_t until = f->now_ms + ms; f->now_ms < until;) {
        fixture_tick(f, FIXTURE_HEARTBEAT_MS);
        fixture_turn(f);
        asked = asked || asked_for(f, 3);
        fixture_answer_round(f, 2, 0);
        fixture_answer_round(f, 3, 0);
    }
    return asked;
}

static void a_stream_is_asked_for_once(void **state)
{
    (void)state;
    struct fixture f = create_leader();
    fixture_turn(&f);
    assert_int_equal(f.ready.snapshots_count, 1);
    assert_true(asked_for(&f, 3));
    assert_int_equal(fixture_peer(&f, 3)->state, RAFT_PROGRESS_SNAPSHOT);
    assert_true(fixture_peer(&f, 3)->snapshot_under_way);
    assert_false(pass(&f, 5000));
    fixture_destroy(&f);
}

static void a_broken_stream_is_asked_for_again_after_an_election_timeout(void **state)
{
    (void)state;
    struct fixture f = create_leader();
    fixture_turn(&f);
    assert_false(pass(&f, 3000));
    raft_snapshot_done(f.raft, 3, fixture_id(0, 0), false);
    assert_int_equal(fixture_status(&f)->needed_from, UINT64_MAX);
    assert_false(pass(&f, FIXTURE_ELECTION_MS - FIXTURE_HEARTBEAT_MS));
    assert_true(pass(&f, 2 * FIXTURE_HEARTBEAT_MS));
    fixture_destroy(&f);
}

static void a_stream_that_ended_well_leads_to_the_entries_after_it(void **state)
{
    (void)state;
    struct fixture f = create_leader();
    fixture_turn(&f);
    uint64_t term = raft_get_term(f.raft);
    raft_snapshot_started(f.raft, 3, fixture_id(term, 9));
    raft_snapshot_done(f.raft, 3, fixture_id(term, 9), true);
    fixture_turn(&f);
    const struct raft_message *append = fixture_now(&f, RAFT_MESSAGE_APPEND, 3);
    assert_int_equal(append->log.index, 9);
    assert_int_equal(append->entries_count, 1);
    fixture_acknowledge(&f, 3, 10);
    assert_int_equal(fixture_peer(&f, 3)->state, RAFT_PROGRESS_REPLICATE);
    assert_int_equal(fixture_status(&f)->needed_from, UINT64_MAX);
    fixture_destroy(&f);
}

/* Pitfall 14: from when a stream is asked for until its receiver has caught up, what it will need next is
 * not to be compacted; otherwise it would need a snapshot again, and so on. */
static void pitfall_14_the_log_is_needed_until_the_receiver_has_caught_up(void **state)
{
    (void)state;
    struct fixture f = create_leader();
    assert_int_equal(fixture_status(&f)->needed_from, UINT64_MAX);
    fixture_turn(&f);
    uint64_t term = raft_get_term(f.raft);
    assert_int_equal(fixture_status(&f)->needed_from,
                     8); /* all of the log, while nobody knows where it ends */
    raft_snapshot_started(f.raft, 3, fixture_id(term, 9));
    assert_int_equal(fixture_status(&f)->needed_from, 9);
    for (int i = 0; i < 20; i++)
        assert_int_equal(fixture_propose(&f, 8), RAFT_PROPOSE_OK);
    fixture_turn(&f);
    fixture_persist(&f);
    fixture_acknowledge(&f, 2, 30);
    const struct raft_entry *entry;
    while (raft_next_committed(f.raft, &entry) == RAFT_NEXT_ENTRY)
        raft_applied(f.raft, entry->id.index);
    assert_int_equal(fixture_status(&f)->needed_from, 9);
    raft_compacted(f.raft, fixture_id(term, fixture_status(&f)->needed_from)); /* as a caller does */
    raft_snapshot_done(f.raft, 3, fixture_id(term, 9), true);
    fixture_turn(&f);
    assert_int_equal(fixture_now(&f, RAFT_MESSAGE_APPEND, 3)->log.index, 9);
    fixture_acknowledge(&f, 3, 20);
    assert_int_equal(fixture_status(&f)->needed_from, 20); /* follows it */
    raft_compacted(f.raft, fixture_id(term, 20));
    fixture_turn(&f);
    assert_int_equal(fixture_propose(&f, 8), RAFT_PROPOSE_OK);
    fixture_acknowledge(&f, 3, 30); /* where the log ended when the stream did: it keeps up by itself now */
    assert_int_equal(fixture_status(&f)->needed_from, UINT64_MAX);
    assert_false(pass(&f, 3000));
    fixture_destroy(&f);
}

/* One that has gone away does not hold the log for ever. */
static void a_silent_receiver_holds_the_log_for_a_while_only(void **state)
{
    (void)state;
    struct fixture f = create_leader();
    fixture_turn(&f);
    for (uint64_t ms = 0; ms < 5 * FIXTURE_ELECTION_MS; ms += FIXTURE_HEARTBEAT_MS) {
        assert_int_equal(fixture_status(&f)->needed_from, 8);
        fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
        fixture_turn(&f);
        fixture_answer_round(&f, 2, 0);
    }
    assert_int_equal(fixture_status(&f)->needed_from, UINT64_MAX);
    fixture_answer_round(&f, 3, 0);
    assert_int_equal(fixture_status(&f)->needed_from, 8);
    fixture_destroy(&f);
}

/* Who is not heard of is not streamed to. */
static void nothing_is_streamed_to_a_silent_follower(void **state)
{
    (void)state;
    struct fixture f = create_leader();
    fixture_turn(&f);
    raft_snapshot_done(f.raft, 3, fixture_id(0, 0), false);
    for (uint64_t ms = 0; ms < 3000; ms += FIXTURE_HEARTBEAT_MS) {
        fixture_tick(&f, FIXTURE_HEARTBEAT_MS);
        fixture_turn(&f);
        fixture_answer_round(&f, 2, 0);
        assert_false(asked_for(&f, 3));
    }
    fixture_answer_round(&f, 3, 0);
    assert_true(pass(&f, FIXTURE_HEARTBEAT_MS));
    fixture_destroy(&f);
}

/* To hear that it is out is not worth a snapshot. */
static void nothing_is_streamed_to_a_node_that_has_left(void **state)
{
    (void)state;
    for (int leaves = 0; leaves < 2; leaves++) {
        struct fixture f = create_leader();
        assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3), FIXTURE_IDS(4)), RAFT_MEMBERSHIP_OK);
        fixture_settle(&f, FIXTURE_IDS(2));
        fixture_turn(&f);
        fixture_refuse(&f, 4, fixture_id(raft_get_term(f.raft), 11), fixture_id(0, 0));
        if (leaves)
            assert_int_equal(fixture_change(&f, FIXTURE_IDS(1, 2, 3), NULL), RAFT_MEMBERSHIP_OK);
        fixture_turn(&f);
        assert_int_equal(fixture_peer(&f, 4)->state, RAFT_PROGRESS_SNAPSHOT);
        assert_int_equal(asked_for(&f, 4), !leaves);
        fixture_destroy(&f);
    }
}

/* The stream is over, and the receiver is still busy installing: that it lacks the entries is no reason for
 * another. */
static void a_receiver_that_is_installing_is_waited_for(void **state)
{
    (void)state;
    struct fixture f = create_leader();
    fixture_turn(&f);
    uint64_t term = raft_get_term(f.raft);
    raft_snapshot_done(f.raft, 3, fixture_id(term, 10), true);
    for (int i = 0; i < 30; i++) {
        fixture_turn(&f);
        if (fixture_now(&f, RAFT_MESSAGE_APPEND, 3) != NULL)
            fixture_refuse(&f, 3, fixture_now(&f, RAFT_MESSAGE_APPEND, 3)->log, fixture_id(term, 1));
        assert_int_equal(fixture_peer(&f, 3)->state, RAFT_PROGRESS_PROBE);
        assert_int_equal(fixture_peer(&f, 3)->next_index, 11);
        assert_false(pass(&f, FIXTURE_HEARTBEAT_MS));
    }
    assert_false(fixture_peer(&f, 3)->snapshot_under_way);
    fixture_acknowledge(&f, 3, 10);
    assert_int_equal(fixture_peer(&f, 3)->state, RAFT_PROGRESS_REPLICATE);
    fixture_destroy(&f);
}

/* ... but not for ever: it may have crashed before it was done. */
static void a_receiver_that_never_installs_gets_another_one(void **state)
{
    (void)state;
    struct fixture f = create_leader();
    fixture_turn(&f);
    uint64_t term = raft_get_term(f.raft);
    raft_snapshot_done(f.raft, 3, fixture_id(term, 10), true);
    bool asked = false;
    for (uint64_t i = 0; i < 60 && !asked; i++) {
        asked = pass(&f, FIXTURE_HEARTBEAT_MS);
        fixture_refuse(&f, 3, fixture_id(term, 10), fixture_id(term, 1));
    }
    assert_true(asked);
    fixture_destroy(&f);
}

/* A log that is cut all the same, since it was about to be full, costs one more stream, in peace. */
static void a_log_that_is_cut_beyond_the_stream_costs_another(void **state)
{
    (void)state;
    struct fixture f = create_leader();
    fixture_turn(&f);
    uint64_t term = raft_get_term(f.raft);
    raft_compacted(f.raft, fixture_id(term, 10));
    raft_snapshot_done(f.raft, 3, fixture_id(term, 9), true);
    fixture_turn(&f);
    assert_false(asked_for(&f, 3));
    assert_true(pass(&f, FIXTURE_ELECTION_MS + FIXTURE_HEARTBEAT_MS));
    fixture_destroy(&f);
}

/* It got on by other means: a snapshot of an earlier leader. The end of the stream is no news. */
static void a_follower_that_got_on_by_other_means_needs_no_stream(void **state)
{
    (void)state;
    struct fixture f = create_leader();
    fixture_turn(&f);
    uint64_t term = raft_get_term(f.raft);
    fixture_acknowledge(&f, 3, 9);
    assert_int_equal(fixture_peer(&f, 3)->state, RAFT_PROGRESS_REPLICATE);
    raft_snapshot_done(f.raft, 3, fixture_id(term, 10), true);
    raft_snapshot_done(f.raft, 3, fixture_id(term, 10), true); /* nor is what nobody asked for */
    raft_snapshot_started(f.raft, 3, fixture_id(term, 10));
    raft_snapshot_done(f.raft, 9, fixture_id(term, 10), true);
    raft_snapshot_done(f.raft, 1, fixture_id(term, 10), true);
    raft_check_invariants(f.raft);
    assert_int_equal(fixture_peer(&f, 3)->match_index, 9);
    assert_int_equal(fixture_status(&f)->needed_from, UINT64_MAX);
    struct raft_message newer = fixture_message(RAFT_MESSAGE_HEARTBEAT, 2, term + 1);
    fixture_step(&f, &newer);
    raft_snapshot_done(f.raft, 3, fixture_id(term, 10),
                       true); /* nor what a leader asked for that leads no more */
    assert_int_equal(fixture_status(&f)->needed_from, UINT64_MAX);
    fixture_destroy(&f);
}

/* ---- the follower ------------------------------------------------------------------------------ */

static struct raft_membership some_members(void)
{
    return fixture_members(FIXTURE_IDS(1, 2, 5), NULL, FIXTURE_IDS(7));
}

/* Pitfalls 12, 13: over entries that contradict it, with writes in flight. */
static void pitfall_12_a_snapshot_takes_the_place_of_a_log_that_contradicts_it(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    struct raft_membership members = some_members();
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 5, 2);
    fixture_turn(&f); /* begins to write 1 to 5 */
    assert_true(fixture_install(&f, fixture_id(3, 4), &members));
    assert_int_equal(raft_get_term(f.raft), 3); /* of which there must be one */
    const struct raft_status *status = fixture_status(&f);
    assert_int_equal(status->first_index, 5);
    assert_int_equal(status->last.index, 4);
    assert_int_equal(status->last.term, 3);
    assert_true(status->commit == 4 && status->applied == 4);
    assert_true(raft_membership_equals(&status->membership, &members));
    assert_int_equal(status->membership_id.index, 4);
    assert_true(status->membership_committed);

    fixture_persist(&f); /* that of the old entries: those that were committed count, no other */
    assert_int_equal(raft_get_durable(f.raft), 2);
    fixture_append(&f, 2, 3, fixture_id(3, 4), 3, 2, 6);
    const struct raft_entry *entry;
    assert_int_equal(raft_next_committed(f.raft, &entry), RAFT_NEXT_NONE); /* not into the old state */
    fixture_turn(&f);
    assert_int_equal(f.ready.install.upto.index, 4);
    assert_int_equal(f.ready.install.upto.term, 3);
    assert_false(f.ready.install.keeps);
    assert_int_equal(f.ready.entries_count, 2);
    assert_int_equal(f.ready.entries[0].id.index, 5);
    assert_null(fixture_now(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2)); /* nothing is promised before it is done */
    assert_non_null(fixture_later(&f, RAFT_MESSAGE_APPEND_RESPONSE, 2));
    assert_int_equal(raft_next_committed(f.raft, &entry), RAFT_NEXT_NONE);
    fixture_persist(&f);
    assert_int_equal(raft_get_durable(f.raft), 6);
    assert_int_equal(raft_next_committed(f.raft, &entry), RAFT_NEXT_ENTRY);
    assert_int_equal(entry->id.index, 5);
    fixture_turn(&f);
    assert_int_equal(f.ready.install.upto.index, 0); /* once */
    fixture_destroy(&f);
}

/* Pitfall 13: what follows the matching entry stays: it may have been acknowledged. */
static void pitfall_13_a_matching_suffix_is_kept(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    struct raft_membership members = some_members();
    struct raft_membership later = fixture_members(FIXTURE_IDS(1, 2, 5), NULL, NULL);
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 5, 0);
    fixture_append_membership(&f, 2, 1, fixture_id(1, 5), &later, 0);
    fixture_turn(&f);
    fixture_persist(&f);
    assert_true(fixture_install(&f, fixture_id(1, 3), &members));
    const struct raft_status *status = fixture_status(&f);
    assert_int_equal(status->first_index, 4);
    assert_int_equal(status->last.index, 6);
    assert_int_equal(status->durable_index, 6);
    assert_int_equal(status->commit, 3);
    assert_true(raft_membership_equals(&status->membership, &later)); /* it stands after the snapshot */
    fixture_turn(&f);
    assert_true(f.ready.install.keeps);
    assert_int_equal(f.ready.entries_count, 0);
    fixture_persist(&f);
    fixture_append(&f, 3, 2, fixture_id(1, 5), 2, 1, 3); /* and is rolled back to the snapshot's */
    assert_true(raft_membership_equals(raft_get_membership(f.raft), &members));
    fixture_destroy(&f);
}

/* Pitfall 13: what is older than the state machine's, or not for this node, is refused, and changes
 * nothing. */
static void pitfall_13_an_old_snapshot_is_refused(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    struct raft_membership members = some_members();
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 5, 4);
    fixture_turn(&f);
    fixture_persist(&f);
    const struct raft_entry *entry;
    assert_int_equal(raft_next_committed(f.raft, &entry), RAFT_NEXT_ENTRY);
    assert_false(fixture_install(&f, fixture_id(1, 1), &members)); /* handed out, if not applied yet */
    assert_false(fixture_install(&f, fixture_id(2, 3), &members)); /* contradicts what is committed */
    assert_false(fixture_install(&f, fixture_id(0, 9), &members));
    assert_false(fixture_install(&f, fixture_id(UINT64_MAX, 9), &members));
    assert_false(fixture_install(&f, fixture_id(1, UINT64_MAX), &members));
    struct raft_payload *nonsense = raft_payload_create(8);
    nonsense->size = 0;
    assert_false(raft_install_snapshot(f.raft, fixture_id(1, 9), nonsense));
    raft_payload_unref(nonsense);
    assert_int_equal(fixture_status(&f)->first_index, 1);
    assert_true(fixture_install(&f, fixture_id(1, 3), &members));  /* committed, not applied: of use */
    assert_false(fixture_install(&f, fixture_id(1, 3), &members)); /* twice is not */
    assert_int_equal(raft_get_commit(f.raft), 4);
    fixture_destroy(&f);

    f = create_leader();
    assert_false(fixture_install(&f, fixture_id(9, 20), &members)); /* a leader has all that is committed */
    assert_int_equal(raft_get_role(f.raft), RAFT_LEADER);
    fixture_destroy(&f);
}

/* Pitfall 13: two in quick succession. */
static void pitfall_13_two_snapshots_in_one_turn(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    struct raft_membership members = some_members();
    fixture_append(&f, 2, 1, fixture_id(0, 0), 1, 3, 1);
    assert_true(fixture_install(&f, fixture_id(1, 7), &members));
    assert_true(fixture_install(&f, fixture_id(1, 9), &members));
    fixture_turn(&f);
    assert_int_equal(f.ready.install.upto.index, 9);
    fixture_persist(&f);
    assert_int_equal(raft_get_durable(f.raft), 9);
    assert_true(fixture_install(&f, fixture_id(1, 12), &members));
    fixture_turn(&f);
    assert_true(fixture_install(&f, fixture_id(1, 15), &members)); /* while the first is in flight */
    fixture_persist(&f);
    assert_int_equal(raft_get_durable(f.raft), 12);
    fixture_turn(&f);
    assert_int_equal(f.ready.install.upto.index, 15);
    fixture_persist(&f);
    assert_int_equal(raft_get_durable(f.raft), 15);
    fixture_destroy(&f);
}

/* A node that campaigns follows again; an answer to its old request does not count. */
static void a_candidate_that_gets_a_snapshot_follows(void **state)
{
    (void)state;
    struct fixture f = fixture_create(3);
    struct raft_membership members = some_members();
    while (raft_get_role(f.raft) != RAFT_PRE_CANDIDATE)
        fixture_tick_to_deadline(&f);
    assert_true(fixture_install(&f, fixture_id(1, 5), &members));
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    assert_int_equal(raft_get_term(f.raft), 1);
    fixture_answer_vote(&f, RAFT_MESSAGE_PRE_VOTE_RESPONSE, 2, 2, false);
    assert_int_equal(raft_get_role(f.raft), RAFT_FOLLOWER);
    fixture_destroy(&f);
}

/* Entries that were being read to be applied are of no use any more; the answer comes late. */
static void a_read_for_applying_is_cancelled(void **state)
{
    (void)state;
    struct fixture f = fixture_restart(3, 1, 1, 5, 2);
    struct raft_membership members = some_members();
    struct raft_message news = fixture_message(RAFT_MESSAGE_HEARTBEAT, 2, 1);
    news.commit = 5;
    fixture_step(&f, &news);
    const struct raft_entry *entry;
    assert_int_equal(raft_next_committed(f.raft, &entry), RAFT_NEXT_NOT_HELD);
    fixture_turn(&f);
    assert_int_equal(f.ready.log_reads_count, 1);
    uint64_t read_id = f.ready.log_reads[0].read_id;
    assert_true(fixture_install(&f, fixture_id(1, 4), &members));
    struct raft_entry late = {.id = {1, 3}, .type = RAFT_ENTRY_NOOP};
    raft_log_read_done(f.raft, read_id, &late, 1);
    fixture_turn(&f);
    fixture_persist(&f);
    assert_int_equal(raft_next_committed(f.raft, &entry), RAFT_NEXT_NOT_HELD);
    fixture_turn(&f);
    assert_int_equal(f.ready.log_reads[0].first_index, 5);
    fixture_destroy(&f);
}

/* A node that waits to be added may get a snapshot first, which names it or not; one that was a member
 * hears from it that it is out. */
static void a_snapshot_brings_the_membership(void **state)
{
    (void)state;
    struct fixture hurried = fixture_create(3);
    struct raft_membership two_and_three = fixture_members(FIXTURE_IDS(2, 3), NULL, NULL);
    fixture_heartbeat(&hurried, 2, 1);
    raft_peer_unreachable(hurried.raft, 2); /* it is about to campaign */
    assert_true(fixture_install(&hurried, fixture_id(1, 5), &two_and_three));
    assert_true(fixture_status(&hurried)->removed);
    fixture_tick(&hurried, FIXTURE_UNREACHABLE_MS);
    assert_int_equal(raft_get_role(hurried.raft), RAFT_FOLLOWER);
    assert_true(raft_deadline_ms(hurried.raft) > hurried.now_ms + FIXTURE_UNREACHABLE_MS);
    fixture_destroy(&hurried);

    struct raft_config config = fixture_config();
    struct raft_restore nothing = {0};
    struct fixture f = fixture_create_with(&config, 0, &nothing);
    struct raft_membership without = fixture_members(FIXTURE_IDS(2, 3), NULL, NULL);
    assert_true(fixture_install(&f, fixture_id(1, 5), &without));
    assert_false(fixture_status(&f)->removed);
    assert_int_equal(fixture_status(&f)->kind, RAFT_MEMBER_NONE);
    struct raft_membership with = fixture_members(FIXTURE_IDS(2, 3), NULL, FIXTURE_IDS(1));
    assert_true(fixture_install(&f, fixture_id(1, 6), &with));
    assert_int_equal(fixture_status(&f)->kind, RAFT_MEMBER_LEARNER);
    assert_true(fixture_install(&f, fixture_id(1, 7), &without));
    assert_true(fixture_status(&f)->removed);
    fixture_destroy(&f);
}

/* After a restart the configuration that the state machine holds counts, and those in the log above it. */
static void a_restart_knows_the_configurations(void **state)
{
    (void)state;
    struct raft_config config = fixture_config();
    struct raft_membership members = some_members();
    struct raft_membership later = fixture_members(FIXTURE_IDS(1, 2), FIXTURE_IDS(1, 2, 5), NULL);
    struct raft_payload *payloads[] = {raft_membership_encode(&members, NULL, 0),
                                       raft_membership_encode(&later, NULL, 0)};
    struct raft_membership_entry entries[] = {{{0, 0}, payloads[0]}, {{4, 12}, payloads[1]}};
    struct raft_term_run run = {.first_index = 11, .term = 4};
    struct raft_restore restore = {
        .hard_state = {.term = 4},
        .base = {3, 10},
        .last_index = 13,
        .runs = &run,
        .runs_count = 1,
        .commit = 11,
        .applied = 11,
        .memberships = entries,
        .memberships_count = 2,
    };
    struct fixture f = fixture_create_with(&config, 0, &restore);
    assert_true(raft_membership_equals(raft_get_membership(f.raft), &later));
    assert_int_equal(raft_get_configuration(f.raft)->id.index, 12);
    assert_false(fixture_status(&f)->membership_committed);
    fixture_append(&f, 2, 5, fixture_id(4, 11), 5, 1, 11); /* it goes with its entry */
    assert_true(raft_membership_equals(raft_get_membership(f.raft), &members));
    fixture_destroy(&f);

    restore.commit = 12; /* known to be committed, if not applied */
    f = fixture_create_with(&config, 0, &restore);
    assert_true(fixture_status(&f)->membership_committed);
    fixture_destroy(&f);

    restore.memberships++; /* a state that holds none: that of a node which was added at 12 */
    restore.memberships_count = 1;
    restore.commit = 11;
    f = fixture_create_with(&config, 0, &restore);
    assert_true(raft_membership_equals(raft_get_membership(f.raft), &later));
    fixture_append(&f, 2, 5, fixture_id(4, 11), 5, 1, 11);
    assert_int_equal(fixture_status(&f)->membership.voters_count, 0);
    fixture_destroy(&f);
    raft_payload_unref(payloads[0]);
    raft_payload_unref(payloads[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_asked_for_once),
        cmocka_unit_test(a_broken_stream_is_asked_for_again_after_an_election_timeout),
        cmocka_unit_test(a_stream_that_ended_well_leads_to_the_entries_after_it),
        cmocka_unit_test(pitfall_14_the_log_is_needed_until_the_receiver_has_caught_up),
        cmocka_unit_test(a_silent_receiver_holds_the_log_for_a_while_only),
        cmocka_unit_test(nothing_is_streamed_to_a_silent_follower),
        cmocka_unit_test(nothing_is_streamed_to_a_node_that_has_left),
        cmocka_unit_test(a_receiver_that_is_installing_is_waited_for),
        cmocka_unit_test(a_receiver_that_never_installs_gets_another_one),
        cmocka_unit_test(a_log_that_is_cut_beyond_the_stream_costs_another),
        cmocka_unit_test(a_follower_that_got_on_by_other_means_needs_no_stream),
        cmocka_unit_test(pitfall_12_a_snapshot_takes_the_place_of_a_log_that_contradicts_it),
        cmocka_unit_test(pitfall_13_a_matching_suffix_is_kept),
        cmocka_unit_test(pitfall_13_an_old_snapshot_is_refused),
        cmocka_unit_test(pitfall_13_two_snapshots_in_one_turn),
        cmocka_unit_test(a_candidate_that_gets_a_snapshot_follows),
        cmocka_unit_test(a_read_for_applying_is_cancelled),
        cmocka_unit_test(a_snapshot_brings_the_membership),
        cmocka_unit_test(a_restart_knows_the_configurations),
    };
    return FIXTURE_MAIN(tests);
}
