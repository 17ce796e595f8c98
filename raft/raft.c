/* raft.c: the outside of the core: creation, and the routing of inputs to the files that act.
 *
 * What it is: one place that knows the general rules about terms (thesis 3.3): a newer term makes a
 * follower of anybody, an older one is ignored or corrected. Start reading here: raft_step() routes a
 * message, raft_tick() the time; raft_ready.c gathers what is to be done.
 *
 * What it is not: the rules of elections, replication and reads; each has a file.
 */
#include "raft.h"

#include <stdlib.h>
#include <string.h>

#include "raft_append.h"
#include "raft_apply.h"
#include "raft_assert.h"
#include "raft_election.h"
#include "raft_internal.h"
#include "raft_memory.h"
#include "raft_message.h"
#include "raft_replication.h"
#include "raft_role.h"
#include "raft_transfer.h"

/* ---- life ------------------------------------------------------------------------------------ */

static void check_config(const struct raft_config *config)
{
    raft_assert(config->id != RAFT_NODE_NONE);
    raft_assert(config->heartbeat_interval_ms > 0);
    raft_assert(config->heartbeat_interval_ms < config->election_timeout_ms);
    raft_assert(config->unreachable_delay_ms > 0 && config->disk_stall_timeout_ms > 0);
    raft_assert(config->append_bytes_max > 0 && config->inflight_bytes_max > 0);
}

struct raft *raft_create(const struct raft_config *config, const struct raft_restore *restore,
                         uint64_t now_ms)
{
    struct raft *raft = raft_memory_allocate(1, sizeof *raft);
    check_config(config);
    raft->config = *config;
    raft->now_ms = now_ms;
    raft_random_init(&raft->random, config->seed);
    raft_reads_init(&raft->reads, config->seed);
    raft->hard_state = restore->hard_state;
    raft->role = RAFT_FOLLOWER;
    raft_log_init(&raft->log, restore, config->cache_bytes_max);
    raft_configuration_init(raft, restore);
    raft_transfer_abandon(raft);
    raft_election_calm(raft);
    raft_election_reset_timer(raft);
    if (raft_configuration_is_alone(raft)) {
        raft->election.deadline_ms = now_ms; /* nobody else could lead */
    }
    raft_check_invariants(raft);
    return raft;
}

void raft_destroy(struct raft *raft)
{
    if (raft == NULL) {
        return;
    }
    raft_configuration_deinit(raft);
    raft_apply_deinit(raft);
    raft_reads_deinit(&raft->reads);
    raft_outbox_deinit(&raft->outbox);
    raft_log_deinit(&raft->log);
    free(raft->log_reads);
    free(raft->snapshots);
    free(raft);
}

/* ---- helpers of all files -------------------------------------------------------------------- */

uint32_t raft_find_slot(const struct raft *raft, raft_node_id id)
{
    raft_assert(raft->slots_count >= 1 && raft->slots_count <= RAFT_SLOTS_MAX);
    for (uint32_t i = 0; i < raft->slots_count; i++) {
        if (raft->progress[i].id == id) {
            return i;
        }
    }
    return RAFT_SLOT_NONE;
}

bool raft_hard_state_is_durable(const struct raft *raft)
{
    raft_assert(raft->hard_state_sequence <= raft->log.persists.last_sequence);
    return !raft->hard_state_dirty && raft->hard_state_sequence <= raft->log.persists.done_sequence;
}

bool raft_disk_is_stalled(const struct raft *raft)
{
    uint64_t oldest = raft_persists_oldest_ms(&raft->log.persists);
    raft_assert(oldest == UINT64_MAX || oldest <= raft->now_ms);
    return oldest != UINT64_MAX && raft->now_ms - oldest >= raft->config.disk_stall_timeout_ms;
}

struct raft_message raft_new_message(const struct raft *raft, enum raft_message_type type, raft_node_id to)
{
    raft_assert(to != raft->config.id);
    return (struct raft_message){
        .type = type,
        .from = raft->config.id,
        .to = to,
        .term = raft->hard_state.term,
    };
}

void raft_send(struct raft *raft, const struct raft_message *message)
{
    raft_assert(message->to != RAFT_NODE_NONE); /* perhaps a node that is no member here: it asked */
    raft_outbox_push(&raft->outbox, message);
}

uint64_t raft_request_log_read(struct raft *raft, raft_node_id peer, uint64_t first_index,
                               uint64_t last_index)
{
    raft_assert(first_index > raft->log.base.index);
    raft_assert(first_index <= last_index && last_index <= raft->log.durable);
    raft->log_reads = raft_memory_reserve(raft->log_reads, &raft->log_reads_capacity,
                                          raft->log_reads_count + 1, sizeof *raft->log_reads);
    raft->log_reads[raft->log_reads_count++] = (struct raft_log_read){
        .read_id = ++raft->log_read_id_last,
        .peer = peer,
        .first_index = first_index,
        .last_index = last_index,
        .bytes_max = raft->config.append_bytes_max,
    };
    return raft->log_read_id_last;
}

/* ---- time ------------------------------------------------------------------------------------ */

void raft_set_time(struct raft *raft, uint64_t now_ms)
{
    raft_assert(now_ms >= raft->now_ms);
    raft->now_ms = now_ms;
}

void raft_tick(struct raft *raft, uint64_t now_ms)
{
    raft_set_time(raft, now_ms);
    raft_read_expire(raft);
    if (raft->role == RAFT_LEADER) {
        raft->leader_contact_ms = now_ms;
        raft_transfer_tick(raft); /* may step down */
    }
    if (raft->role == RAFT_LEADER) {
        raft_replication_tick(raft);
    } else {
        raft_election_tick(raft);
    }
}

uint64_t raft_deadline_ms(const struct raft *raft)
{
    uint64_t deadline =
        raft->role == RAFT_LEADER ? raft_replication_deadline_ms(raft) : raft_election_deadline_ms(raft);
    uint64_t read = raft_read_deadline_ms(raft);
    uint64_t transfer = raft_transfer_deadline_ms(raft);
    if (read < deadline) {
        deadline = read;
    }
    return transfer < deadline ? transfer : deadline;
}

/* ---- messages -------------------------------------------------------------------------------- */

static void on_timeout_now(struct raft *raft, const struct raft_message *message)
{
    raft_assert(message->term == raft->hard_state.term);
    if (raft->role == RAFT_LEADER) {
        return;
    }
    if (raft->term_leader != RAFT_NODE_NONE && raft->term_leader != message->from) {
        return; /* only the leader may say this */
    }
    raft_election_campaign_by_force(raft);
}

static void route(struct raft *raft, const struct raft_message *message)
{
    switch (message->type) {
    case RAFT_MESSAGE_PRE_VOTE:
        raft_election_on_pre_vote(raft, message);
        break;
    case RAFT_MESSAGE_PRE_VOTE_RESPONSE:
        raft_election_on_pre_vote_response(raft, message);
        break;
    case RAFT_MESSAGE_VOTE:
        raft_election_on_vote(raft, message);
        break;
    case RAFT_MESSAGE_VOTE_RESPONSE:
        raft_election_on_vote_response(raft, message);
        break;
    case RAFT_MESSAGE_APPEND:
        raft_append_on_append(raft, message);
        break;
    case RAFT_MESSAGE_APPEND_RESPONSE:
        raft_replication_on_append_response(raft, message);
        break;
    case RAFT_MESSAGE_HEARTBEAT:
        raft_append_on_heartbeat(raft, message);
        break;
    case RAFT_MESSAGE_HEARTBEAT_RESPONSE:
        raft_replication_on_heartbeat_response(raft, message);
        break;
    case RAFT_MESSAGE_TIMEOUT_NOW:
        on_timeout_now(raft, message);
        break;
    case RAFT_MESSAGE_READ_INDEX:
        raft_read_on_request(raft, message);
        break;
    case RAFT_MESSAGE_READ_INDEX_RESPONSE:
        raft_read_on_response(raft, message);
        break;
    }
}

/* A message of an older term: whoever asked something gets an answer and learns the term from it. */
static void route_old(struct raft *raft, const struct raft_message *message)
{
    raft_assert(message->term < raft->hard_state.term);
    switch (message->type) {
    case RAFT_MESSAGE_PRE_VOTE:
        raft_election_on_pre_vote(raft, message);
        break;
    case RAFT_MESSAGE_VOTE:
        raft_election_on_vote(raft, message);
        break;
    case RAFT_MESSAGE_APPEND:
    case RAFT_MESSAGE_HEARTBEAT:
        raft_append_refuse_old_leader(raft, message);
        break;
    case RAFT_MESSAGE_READ_INDEX:
        raft_read_on_request(raft, message);
        break;
    case RAFT_MESSAGE_PRE_VOTE_RESPONSE:
    case RAFT_MESSAGE_VOTE_RESPONSE:
    case RAFT_MESSAGE_APPEND_RESPONSE:
    case RAFT_MESSAGE_HEARTBEAT_RESPONSE:
    case RAFT_MESSAGE_TIMEOUT_NOW:
    case RAFT_MESSAGE_READ_INDEX_RESPONSE:
        break;
    }
}

/* The term of a pre-vote, and of its grant, is one that nobody may ever reach: thesis 9.6. */
static bool speaks_of_own_term(const struct raft_message *message)
{
    if (message->type == RAFT_MESSAGE_PRE_VOTE_RESPONSE) {
        return message->reject;
    }
    return message->type != RAFT_MESSAGE_PRE_VOTE;
}

/* Thesis 4.1, 4.2.2: a candidate or a leader may be of a configuration that this node has not heard of yet,
 * or be on its way out of the one that this node has; answers and questions of strangers are of no use to
 * anybody. */
static bool may_come_from_stranger(enum raft_message_type type)
{
    switch (type) {
    case RAFT_MESSAGE_PRE_VOTE:
    case RAFT_MESSAGE_VOTE:
    case RAFT_MESSAGE_APPEND:
    case RAFT_MESSAGE_HEARTBEAT:
    case RAFT_MESSAGE_TIMEOUT_NOW:
        return true;
    case RAFT_MESSAGE_PRE_VOTE_RESPONSE:
    case RAFT_MESSAGE_VOTE_RESPONSE:
    case RAFT_MESSAGE_APPEND_RESPONSE:
    case RAFT_MESSAGE_HEARTBEAT_RESPONSE:
    case RAFT_MESSAGE_READ_INDEX:
    case RAFT_MESSAGE_READ_INDEX_RESPONSE:
        return false;
    }
    return false;
}

void raft_step(struct raft *raft, const struct raft_message *message)
{
    uint32_t slot = raft_find_slot(raft, message->from);
    if (message->to != raft->config.id || message->from == RAFT_NODE_NONE || slot == RAFT_SLOT_SELF) {
        return;
    }
    if (slot == RAFT_SLOT_NONE && !may_come_from_stranger(message->type)) {
        return;
    }
    if (!raft_message_is_well_formed(message)) {
        return;
    }

    raft_election_maybe_note_leader_gone(raft, message);
    bool asks_for_vote = message->type == RAFT_MESSAGE_PRE_VOTE || message->type == RAFT_MESSAGE_VOTE;
    if (asks_for_vote && raft_election_is_ignored(raft, message)) {
        return;
    }
    if (message->term > raft->hard_state.term && speaks_of_own_term(message)) {
        raft_become_follower(raft, message->term);
    }
    if (message->term < raft->hard_state.term) {
        route_old(raft, message);
        return;
    }
    if (raft->role == RAFT_LEADER && slot != RAFT_SLOT_NONE && message->term == raft->hard_state.term) {
        raft->progress[slot].contact_ms = raft->now_ms;
        raft->progress[slot].is_heard = true;
    }
    route(raft, message);
}

/* ---- other inputs ---------------------------------------------------------------------------- */

enum raft_propose_result raft_propose(struct raft *raft, struct raft_payload *payload,
                                      struct raft_entry_id *id)
{
    if (raft->role != RAFT_LEADER) {
        return RAFT_PROPOSE_NOT_LEADER;
    }
    if (raft->transfer.transferee != RAFT_NODE_NONE) {
        return RAFT_PROPOSE_TRANSFERRING;
    }
    if (raft_replication_is_full(raft)) {
        return RAFT_PROPOSE_FULL;
    }
    *id = raft_replication_append(raft, RAFT_ENTRY_COMMANDS, payload);
    raft_assert(id->index == raft->log.last_index);
    return RAFT_PROPOSE_OK;
}

void raft_persisted(struct raft *raft, uint64_t sequence)
{
    raft_assert(sequence <= raft->log.persists.last_sequence);
    bool rose = raft_log_persisted(&raft->log, sequence);
    if (raft->role == RAFT_LEADER && rose) {
        raft_replication_maybe_commit(raft);
    } else {
        raft_election_on_persisted(raft);
    }
    raft_log_evict(&raft->log);
}

void raft_applied(struct raft *raft, uint64_t index)
{
    raft_log_applied_to(&raft->log, index);
}

void raft_peer_unreachable(struct raft *raft, raft_node_id peer)
{
    uint32_t slot = raft_find_slot(raft, peer);
    if (peer == RAFT_NODE_NONE || slot == RAFT_SLOT_SELF) {
        return;
    }
    if (raft->role == RAFT_LEADER && slot != RAFT_SLOT_NONE) {
        raft_replication_on_unreachable(raft, slot);
    } else if (peer == raft->leader) { /* a member or not */
        raft_election_on_leader_unreachable(raft);
    }
}

void raft_peer_contact(struct raft *raft, raft_node_id peer)
{
    if (raft->role == RAFT_LEADER || peer == RAFT_NODE_NONE || peer != raft->term_leader) {
        return;
    }
    /* The leader that was held for lost lives, unless it has shown that it leads no more, or this node
     * has gone on to campaign since for another reason. */
    bool believed = peer == raft->leader;
    bool lost = raft->election.hurried && raft->role != RAFT_CANDIDATE && !raft->term_leader_gone;
    if (believed || lost) {
        raft_follow_leader(raft, peer);
    }
}

void raft_log_read_done(struct raft *raft, uint64_t read_id, const struct raft_entry *entries,
                        uint32_t entries_count)
{
    raft_assert(read_id > 0 && read_id <= raft->log_read_id_last);
    raft_assert(entries_count == 0 || entries != NULL);
    if (read_id == raft->apply.read_id) {
        raft_apply_on_log_read(raft, entries, entries_count);
        return;
    }
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        if (raft->role == RAFT_LEADER && raft->progress[i].log_read_id == read_id) {
            raft_replication_on_log_read(raft, i, entries, entries_count);
            return;
        }
    }
    /* Nobody waits any more: the role or the follower's state changed meanwhile. */
}

void raft_compacted(struct raft *raft, struct raft_entry_id base)
{
    raft_log_compact(&raft->log, base);
    raft->replication_due = raft->role == RAFT_LEADER;
}
