/* raft_fixture.h: one core, driven by hand: the test plays the peers, the disk and the clock.
 *
 * The node has id 1; voters are 1 to n. Nothing is persisted until fixture_persist(). Election timeout
 * 1000 ms, heartbeats each 100 ms, delay after a broken connection below 50 ms, disk stall 5000 ms.
 * All functions are static, so that only programs that link the core need them.
 */
#ifndef RAFT_FIXTURE_H
#define RAFT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "raft.h"

enum {
    FIXTURE_ELECTION_MS = 1000,
    FIXTURE_HEARTBEAT_MS = 100,
    FIXTURE_UNREACHABLE_MS = 50,
    FIXTURE_STALL_MS = 5000,
    FIXTURE_INFLIGHT_MESSAGES = 4,
};

struct fixture {
    struct raft *raft;
    struct raft_ready ready; /* of the last turn */
    uint64_t now_ms;
    uint64_t sequence; /* last one issued */
    struct raft_status status;
};

static inline struct raft_config fixture_config(void)
{
    return (struct raft_config){
        .id = 1,
        .seed = 42,
        .election_timeout_ms = FIXTURE_ELECTION_MS,
        .heartbeat_interval_ms = FIXTURE_HEARTBEAT_MS,
        .unreachable_delay_ms = FIXTURE_UNREACHABLE_MS,
        .disk_stall_timeout_ms = FIXTURE_STALL_MS,
        .append_bytes_max = 100,
        .inflight_messages_max = FIXTURE_INFLIGHT_MESSAGES,
        .inflight_bytes_max = 1000,
        .cache_bytes_max = 1 << 20,
        .unstable_bytes_max = 1 << 20,
    };
}

/* Voters 1 to n. */
static inline struct raft_membership fixture_membership(uint32_t voters_count)
{
    struct raft_membership membership = {0};
    for (raft_node_id id = 1; id <= voters_count; id++)
        assert_true(raft_membership_set(&membership, id, RAFT_MEMBER_VOTER));
    return membership;
}

/* With the configuration 1 to n (0: that of `restore`), in which the cluster was formed. */
static inline struct fixture fixture_create_with(const struct raft_config *config, uint32_t voters_count,
                                                 const struct raft_restore *restore)
{
    struct fixture fixture = {.now_ms = 10000};
    struct raft_restore formed = *restore;
    struct raft_membership_entry first = {0};
    if (voters_count > 0) {
        struct raft_membership membership = fixture_membership(voters_count);
        first.payload = raft_membership_encode(&membership, NULL, 0);
        formed.memberships = &first;
        formed.memberships_count = 1;
    }
    fixture.raft = raft_create(config, &formed, fixture.now_ms);
    raft_payload_unref(first.payload);
    return fixture;
}

static inline struct fixture fixture_create(uint32_t voters_count)
{
    struct raft_config config = fixture_config();
    struct raft_restore nothing = {0};
    return fixture_create_with(&config, voters_count, &nothing);
}

/* A node that was restarted with entries 1 to `last`, all of `log_term`, in `term`. */
static inline struct fixture fixture_restart(uint32_t voters_count, uint64_t term, uint64_t log_term,
                                             uint64_t last, uint64_t commit)
{
    struct raft_config config = fixture_config();
    struct raft_term_run run = {.first_index = 1, .term = log_term};
    struct raft_restore restore = {
        .hard_state = {.term = term},
        .last_index = last,
        .runs = &run,
        .runs_count = last > 0,
        .commit = commit,
        .applied = commit,
    };
    return fixture_create_with(&config, voters_count, &restore);
}

static inline void fixture_destroy(struct fixture *fixture)
{
    raft_ready_deinit(&fixture->ready);
    raft_destroy(fixture->raft);
}

static inline void fixture_turn(struct fixture *fixture)
{
    raft_check_invariants(fixture->raft);
    raft_ready_deinit(&fixture->ready);
    raft_take_ready(fixture->raft, &fixture->ready);
    raft_check_invariants(fixture->raft);
    assert_false(raft_has_ready(fixture->raft));
    if (fixture->ready.sequence != 0) {
        assert_int_equal(fixture->ready.sequence, fixture->sequence + 1);
        fixture->sequence = fixture->ready.sequence;
    }
}

static inline void fixture_persist(struct fixture *fixture)
{
    raft_persisted(fixture->raft, fixture->sequence);
    raft_check_invariants(fixture->raft);
}

static inline void fixture_tick(struct fixture *fixture, uint64_t elapsed_ms)
{
    fixture->now_ms += elapsed_ms;
    raft_tick(fixture->raft, fixture->now_ms);
    raft_check_invariants(fixture->raft);
}

/* Moves the clock to the next deadline. */
static inline void fixture_tick_to_deadline(struct fixture *fixture)
{
    uint64_t deadline = raft_deadline_ms(fixture->raft);
    assert_true(deadline != UINT64_MAX);
    fixture_tick(fixture, deadline > fixture->now_ms ? deadline - fixture->now_ms : 0);
}

static inline const struct raft_status *fixture_status(struct fixture *fixture)
{
    raft_get_status(fixture->raft, &fixture->status);
    return &fixture->status;
}

static inline const struct raft_peer_status *fixture_peer(struct fixture *fixture, raft_node_id id)
{
    fixture_status(fixture);
    for (uint32_t i = 0; i < fixture->status.peers_count; i++) {
        if (fixture->status.peers[i].id == id)
            return &fixture->status.peers[i];
    }
    fail_msg("no such peer");
    return NULL;
}

static inline const struct raft_message *fixture_find_in(const struct raft_message *messages, uint32_t count,
                                                         enum raft_message_type type, raft_node_id to)
{
    for (uint32_t i = 0; i < count; i++) {
        if (messages[i].type == type && messages[i].to == to)
            return &messages[i];
    }
    return NULL;
}

/* A message of the last turn that may leave at once, or NULL. */
static inline const struct raft_message *fixture_now(const struct fixture *fixture,
                                                     enum raft_message_type type, raft_node_id to)
{
    return fixture_find_in(fixture->ready.messages_now, fixture->ready.messages_now_count, type, to);
}

/* A message of the last turn that waits for the disk, or NULL. */
static inline const struct raft_message *fixture_later(const struct fixture *fixture,
                                                       enum raft_message_type type, raft_node_id to)
{
    return fixture_find_in(fixture->ready.messages_after_persist, fixture->ready.messages_after_persist_count,
                           type, to);
}

static inline struct raft_message fixture_message(enum raft_message_type type, raft_node_id from,
                                                  uint64_t term)
{
    return (struct raft_message){.type = type, .from = from, .to = 1, .term = term};
}

static inline void fixture_step(struct fixture *fixture, const struct raft_message *message)
{
    raft_step(fixture->raft, message);
    raft_check_invariants(fixture->raft);
}

static inline void fixture_heartbeat(struct fixture *fixture, raft_node_id leader, uint64_t term)
{
    struct raft_message message = fixture_message(RAFT_MESSAGE_HEARTBEAT, leader, term);
    fixture_step(fixture, &message);
}

static inline void fixture_answer_vote(struct fixture *fixture, enum raft_message_type type,
                                       raft_node_id from, uint64_t term, bool reject)
{
    struct raft_message message = fixture_message(type, from, term);
    message.reject = reject;
    fixture_step(fixture, &message);
}

/* An APPEND from `leader` in `term` with `count` entries of `entry_term` after {log_term, log_index}. */
static inline void fixture_append(struct fixture *fixture, raft_node_id leader, uint64_t term,
                                  struct raft_entry_id log, uint64_t entry_term, uint32_t count,
                                  uint64_t commit)
{
    struct raft_entry entries[64] = {0};
    assert_true(count <= 64);
    for (uint32_t i = 0; i < count; i++) {
        entries[i].id = (struct raft_entry_id){.term = entry_term, .index = log.index + 1 + i};
        entries[i].type = RAFT_ENTRY_COMMANDS;
        entries[i].payload = raft_payload_create(8);
        entries[i].payload->size = 8;
        memset(entries[i].payload->bytes, (int)entry_term, 8);
    }
    struct raft_message message = fixture_message(RAFT_MESSAGE_APPEND, leader, term);
    message.log = log;
    message.commit = commit;
    message.entries = count > 0 ? entries : NULL;
    message.entries_count = count;
    fixture_step(fixture, &message);
    for (uint32_t i = 0; i < count; i++)
        raft_payload_unref(entries[i].payload);
}

static inline struct raft_entry_id fixture_id(uint64_t term, uint64_t index)
{
    return (struct raft_entry_id){.term = term, .index = index};
}

/* `from` acknowledges the leader's log up to `index`. */
static inline void fixture_acknowledge(struct fixture *fixture, raft_node_id from, uint64_t index)
{
    struct raft_message message =
        fixture_message(RAFT_MESSAGE_APPEND_RESPONSE, from, raft_get_term(fixture->raft));
    uint64_t term = 0;
    assert_true(raft_get_entry_term(fixture->raft, index, &term));
    message.log = fixture_id(term, index);
    fixture_step(fixture, &message);
}

static inline void fixture_refuse(struct fixture *fixture, raft_node_id from, struct raft_entry_id log,
                                  struct raft_entry_id hint)
{
    struct raft_message message =
        fixture_message(RAFT_MESSAGE_APPEND_RESPONSE, from, raft_get_term(fixture->raft));
    message.log = log;
    message.hint = hint;
    message.reject = true;
    fixture_step(fixture, &message);
}

static inline void fixture_answer_round(struct fixture *fixture, raft_node_id from, uint64_t round)
{
    struct raft_message message =
        fixture_message(RAFT_MESSAGE_HEARTBEAT_RESPONSE, from, raft_get_term(fixture->raft));
    message.round = round;
    fixture_step(fixture, &message);
}

static inline enum raft_propose_result fixture_propose(struct fixture *fixture, uint32_t size)
{
    struct raft_payload *payload = raft_payload_create(size);
    memset(payload->bytes, 0, size);
    payload->size = size;
    struct raft_entry_id id;
    enum raft_propose_result result = raft_propose(fixture->raft, payload, &id);
    raft_payload_unref(payload);
    return result;
}

/* Begins a pre-vote. */
static inline void fixture_campaign(struct fixture *fixture)
{
    while (raft_get_role(fixture->raft) != RAFT_PRE_CANDIDATE)
        fixture_tick_to_deadline(fixture);
    fixture_turn(fixture);
}

/* Node 1 asks in its election who is a voter: bits of ids. */
static inline uint32_t fixture_ids_asked(struct fixture *fixture, enum raft_message_type type)
{
    uint32_t ids = 0;
    for (uint32_t i = 0; i < fixture->ready.messages_now_count; i++) {
        if (fixture->ready.messages_now[i].type == type)
            ids |= 1u << fixture->ready.messages_now[i].to;
    }
    for (uint32_t i = 0; i < fixture->ready.messages_after_persist_count; i++) {
        if (fixture->ready.messages_after_persist[i].type == type)
            ids |= 1u << fixture->ready.messages_after_persist[i].to;
    }
    return ids;
}

static inline void fixture_grant(struct fixture *fixture, enum raft_message_type type, raft_node_id id)
{
    uint64_t term = raft_get_term(fixture->raft) + (type == RAFT_MESSAGE_PRE_VOTE_RESPONSE ? 1 : 0);
    fixture_answer_vote(fixture, type, id, term, false);
}

/* Wins an election: pre-votes, own durable vote, votes. The no-op is neither durable nor acknowledged. */
static inline void fixture_win(struct fixture *fixture)
{
    uint32_t voters = 0;
    while (raft_get_role(fixture->raft) != RAFT_PRE_CANDIDATE &&
           raft_get_role(fixture->raft) != RAFT_CANDIDATE)
        fixture_tick_to_deadline(fixture);
    fixture_turn(fixture);
    for (uint32_t i = 0; i < fixture->ready.messages_now_count; i++)
        voters += fixture->ready.messages_now[i].type == RAFT_MESSAGE_PRE_VOTE;
    for (raft_node_id id = 2; id <= voters + 1; id++)
        fixture_answer_vote(fixture, RAFT_MESSAGE_PRE_VOTE_RESPONSE, id, raft_get_term(fixture->raft) + 1,
                            false);
    assert_int_equal(raft_get_role(fixture->raft), RAFT_CANDIDATE);
    fixture_turn(fixture);
    fixture_persist(fixture);
    for (raft_node_id id = 2; id <= voters + 1; id++)
        fixture_answer_vote(fixture, RAFT_MESSAGE_VOTE_RESPONSE, id, raft_get_term(fixture->raft), false);
    assert_int_equal(raft_get_role(fixture->raft), RAFT_LEADER);
    fixture_turn(fixture);
}

/* A leader whose no-op is committed and acknowledged by everybody. */
static inline struct fixture fixture_create_leader(const struct raft_config *config, uint32_t voters_count)
{
    struct raft_restore nothing = {0};
    struct fixture fixture = fixture_create_with(config, voters_count, &nothing);
    fixture_win(&fixture);
    fixture_persist(&fixture);
    for (raft_node_id id = 2; id <= voters_count; id++)
        fixture_acknowledge(&fixture, id, 1);
    fixture_turn(&fixture);
    assert_int_equal(raft_get_commit(fixture.raft), 1);
    return fixture;
}

static inline struct fixture fixture_create_leader_of(uint32_t voters_count)
{
    struct raft_config config = fixture_config();
    return fixture_create_leader(&config, voters_count);
}

/* ---- membership -------------------------------------------------------------------------------- */

/* Voters and learners from lists that end with 0; outgoing ones too if it is to be joint. */
static inline struct raft_membership fixture_members(const raft_node_id *voters, const raft_node_id *outgoing,
                                                     const raft_node_id *learners)
{
    struct raft_membership membership = {0};
    for (; *voters != 0; voters++)
        membership.voters[membership.voters_count++] = *voters;
    for (; outgoing != NULL && *outgoing != 0; outgoing++)
        membership.outgoing[membership.outgoing_count++] = *outgoing;
    for (; learners != NULL && *learners != 0; learners++)
        membership.learners[membership.learners_count++] = *learners;
    assert_true(raft_membership_is_valid(&membership));
    return membership;
}

#define FIXTURE_IDS(...) ((const raft_node_id[]){__VA_ARGS__ __VA_OPT__(, ) 0})

static inline enum raft_membership_result fixture_change(struct fixture *fixture, const raft_node_id *voters,
                                                         const raft_node_id *learners)
{
    struct raft_membership target = fixture_members(voters, NULL, learners);
    struct raft_entry_id id;
    enum raft_membership_result result =
        raft_propose_membership(fixture->raft, &target, (const uint8_t *)"opaque", 6, &id);
    if (result == RAFT_MEMBERSHIP_OK)
        assert_int_equal(raft_get_configuration(fixture->raft)->id.index, id.index);
    raft_check_invariants(fixture->raft);
    return result;
}

/* Appends entry `index` of the leader's term as a configuration, as a follower gets it. */
static inline void fixture_append_membership(struct fixture *fixture, raft_node_id leader, uint64_t term,
                                             struct raft_entry_id log,
                                             const struct raft_membership *membership, uint64_t commit)
{
    struct raft_entry entry = {
        .id = {.term = term, .index = log.index + 1},
        .type = RAFT_ENTRY_MEMBERSHIP,
        .payload = raft_membership_encode(membership, NULL, 0),
    };
    struct raft_message message = fixture_message(RAFT_MESSAGE_APPEND, leader, term);
    message.log = log;
    message.commit = commit;
    message.entries = &entry;
    message.entries_count = 1;
    fixture_step(fixture, &message);
    raft_payload_unref(entry.payload);
}

/* Writes, and says so; everybody in `ids` acknowledges all of it. */
static inline void fixture_settle(struct fixture *fixture, const raft_node_id *ids)
{
    fixture_turn(fixture);
    fixture_persist(fixture);
    uint64_t last = fixture_status(fixture)->last.index;
    for (; *ids != 0; ids++)
        fixture_acknowledge(fixture, *ids, last);
}

/* A leader of 1 to 3 whose no-op is committed; 4 and 5 are learners that have everything. */
static inline struct fixture fixture_create_leader_and_learners(void)
{
    struct fixture fixture = fixture_create_leader_of(3);
    assert_int_equal(fixture_change(&fixture, FIXTURE_IDS(1, 2, 3), FIXTURE_IDS(4, 5)), RAFT_MEMBERSHIP_OK);
    fixture_settle(&fixture, FIXTURE_IDS(2, 3, 4, 5));
    fixture_turn(&fixture);
    assert_int_equal(raft_get_commit(fixture.raft), 2);
    return fixture;
}

static inline bool fixture_install(struct fixture *fixture, struct raft_entry_id upto,
                                   const struct raft_membership *membership)
{
    struct raft_payload *payload = raft_membership_encode(membership, NULL, 0);
    bool wanted = raft_wants_snapshot(fixture->raft, upto);
    bool taken = raft_install_snapshot(fixture->raft, upto, payload);
    assert_int_equal(wanted, taken);
    raft_payload_unref(payload);
    raft_check_invariants(fixture->raft);
    return taken;
}

#define FIXTURE_MAIN(tests) cmocka_run_group_tests(tests, NULL, NULL)

#endif
