/* raft_read_index.c: see raft_read_index.h. */
#include "raft_read_index.h"

#include <stdlib.h>
#include <string.h>

#include "raft_assert.h"
#include "raft_internal.h"
#include "raft_memory.h"
#include "raft_replication.h"

/* Ids start anywhere: the leader may still hold a question that this node asked before it was restarted, and
 * its answer must not pass for one to a newer question (pitfall 2). */
void raft_reads_init(struct raft_reads *reads, uint64_t seed)
{
    struct raft_random ids;
    raft_random_init(&ids, ~seed); /* a sequence of its own: the timers' stays as it is */
    *reads = (struct raft_reads){.last_id = raft_random_next(&ids) >> 2};
}

void raft_reads_deinit(struct raft_reads *reads)
{
    free(reads->items);
    free(reads->results);
    *reads = (struct raft_reads){0};
}

static struct raft_read *read_at(const struct raft_reads *reads, uint32_t i)
{
    raft_assert(i < reads->count);
    return &reads->items[reads->head + i];
}

static void push_read(struct raft *raft, raft_node_id asker, uint64_t asker_round)
{
    struct raft_reads *reads = &raft->reads;
    if (reads->head > 0 && reads->head >= reads->count) {
        memmove(reads->items, reads->items + reads->head, reads->count * sizeof *reads->items);
        reads->head = 0;
    }
    reads->items = raft_memory_reserve(reads->items, &reads->capacity, reads->head + reads->count + 1,
                                       sizeof *reads->items);
    reads->count++;
    *read_at(reads, reads->count - 1) = (struct raft_read){
        .id = ++reads->last_id,
        .asker = asker,
        .asker_round = asker_round,
        .deadline_ms = raft->now_ms + raft->config.election_timeout_ms,
    };
}

/* Drops the first item, finished by now. */
static void pop_read(struct raft_reads *reads)
{
    raft_assert(reads->count > 0);
    raft_assert(read_at(reads, 0)->id == 0);
    reads->head++;
    reads->count--;
    if (reads->assigned > 0) {
        reads->assigned--;
    }
    if (reads->count == 0) {
        reads->head = 0;
    }
}

static void answer_peer(struct raft *raft, raft_node_id peer, uint64_t round, uint64_t index, bool ok)
{
    struct raft_message response = raft_new_message(raft, RAFT_MESSAGE_READ_INDEX_RESPONSE, peer);
    response.round = round;
    response.log.index = ok ? index : 0;
    response.reject = !ok;
    raft_send(raft, &response);
}

static void finish_read(struct raft *raft, struct raft_read *read, uint64_t index, bool ok)
{
    struct raft_reads *reads = &raft->reads;
    raft_assert(read->id != 0);
    if (read->asker == raft->config.id) {
        reads->results = raft_memory_reserve(reads->results, &reads->results_capacity,
                                             reads->results_count + 1, sizeof *reads->results);
        reads->results[reads->results_count++] =
            (struct raft_read_result){.read_id = read->id, .index = ok ? index : 0, .ok = ok};
    } else {
        answer_peer(raft, read->asker, read->asker_round, index, ok);
    }
    read->id = 0;
}

uint64_t raft_read_index(struct raft *raft)
{
    if (raft->leader == RAFT_NODE_NONE || raft->transfer.transferee != RAFT_NODE_NONE) {
        return 0;
    }
    push_read(raft, raft->config.id, 0);
    uint64_t id = raft->reads.last_id;
    if (raft->role != RAFT_LEADER) {
        raft_assert(raft->role == RAFT_FOLLOWER);
        struct raft_message request = raft_new_message(raft, RAFT_MESSAGE_READ_INDEX, raft->leader);
        request.round = id;
        raft_send(raft, &request);
    }
    return id;
}

void raft_read_on_request(struct raft *raft, const struct raft_message *message)
{
    raft_assert(message->type == RAFT_MESSAGE_READ_INDEX);
    bool refused = raft->role != RAFT_LEADER || message->term < raft->hard_state.term ||
                   raft->transfer.transferee != RAFT_NODE_NONE || raft->reads.count >= RAFT_READ_REQUESTS_MAX;
    if (refused) {
        answer_peer(raft, message->from, message->round, 0, false);
    } else {
        push_read(raft, message->from, message->round);
    }
}

void raft_read_on_response(struct raft *raft, const struct raft_message *message)
{
    raft_assert(message->type == RAFT_MESSAGE_READ_INDEX_RESPONSE);
    struct raft_reads *reads = &raft->reads;
    if (raft->role != RAFT_FOLLOWER || message->from != raft->leader || message->round == 0) {
        return;
    }
    for (uint32_t i = 0; i < reads->count; i++) { /* answers come mostly in order: found at once */
        struct raft_read *read = read_at(reads, i);
        if (read->id != message->round) {
            continue;
        }
        finish_read(raft, read, message->log.index, !message->reject);
        break;
    }
    while (reads->count > 0 && read_at(reads, 0)->id == 0) {
        pop_read(reads);
    }
}

bool raft_read_wants_round(const struct raft *raft)
{
    const struct raft_reads *reads = &raft->reads;
    return raft->role == RAFT_LEADER && raft->log.commit >= raft->noop_index &&
           reads->assigned < reads->count &&
           reads->last_round - reads->confirmed_round < RAFT_READ_ROUNDS_MAX;
}

static void mark(struct raft *raft)
{
    struct raft_reads *reads = &raft->reads;
    const struct raft_read_mark now = {reads->last_round, raft->now_ms};
    uint64_t age_ms = raft->now_ms - reads->marks[1].ms;
    if (age_ms >= raft->config.election_timeout_ms / RAFT_READ_MARK_PART) {
        reads->marks[0] = age_ms >= raft->config.election_timeout_ms ? now : reads->marks[1];
        reads->marks[1] = now;
    }
}

uint64_t raft_read_answered_ms(const struct raft *raft, uint32_t slot)
{
    for (uint32_t i = RAFT_READ_MARKS; i > 0; i--) {
        const struct raft_read_mark *since = &raft->reads.marks[i - 1];
        if (raft->progress[slot].round_acked > since->round) {
            return since->ms;
        }
    }
    return 0;
}

uint64_t raft_read_start_round(struct raft *raft)
{
    struct raft_reads *reads = &raft->reads;
    raft_assert(raft->role == RAFT_LEADER);
    raft_assert(reads->confirmed_round <= reads->last_round);
    mark(raft);
    reads->last_round++;
    if (raft->log.commit >= raft->noop_index) {
        for (; reads->assigned < reads->count; reads->assigned++) {
            struct raft_read *read = read_at(reads, reads->assigned);
            read->round = reads->last_round;
            read->index = raft->log.commit;
        }
    }
    if (raft_configuration_is_alone(raft)) {
        raft_read_on_round_acked(raft);
    }
    return reads->last_round;
}

/* True if a answered a later round than b, or the same one earlier; or, to none of this term yet, was heard
 * of. Whose connection broke comes last. */
static bool is_more_prompt(const struct raft_progress *a, const struct raft_progress *b)
{
    if (a->is_cut_off != b->is_cut_off) {
        return b->is_cut_off;
    }
    if (a->round_acked != b->round_acked) {
        return a->round_acked > b->round_acked;
    }
    return a->is_heard != b->is_heard ? a->is_heard : a->answer < b->answer;
}

static uint32_t most_prompt(const struct raft *raft, uint32_t slots)
{
    uint32_t best = RAFT_SLOT_SELF;
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        if ((slots & raft_quorum_bit(i)) != 0 &&
            (best == RAFT_SLOT_SELF || is_more_prompt(&raft->progress[i], &raft->progress[best]))) {
            best = i;
        }
    }
    raft_assert(best != RAFT_SLOT_SELF);
    return best;
}

/* Followers that asked for a read, and can commit more than they were told of: with the answer alone they
 * could not serve it. */
static uint32_t askers_with_news(const struct raft *raft)
{
    uint32_t askers = 0;
    for (uint32_t i = raft->reads.assigned; i < raft->reads.count; i++) {
        uint32_t slot = raft_find_slot(raft, read_at(&raft->reads, i)->asker);
        if (slot == RAFT_SLOT_SELF || slot == RAFT_SLOT_NONE) {
            continue;
        }
        const struct raft_progress *progress = &raft->progress[slot];
        if (progress->commit_told < progress->match && progress->commit_told < raft->log.commit) {
            askers |= raft_quorum_bit(slot);
        }
    }
    return askers;
}

uint32_t raft_read_whom_to_ask(const struct raft *raft)
{
    uint32_t asked = raft_quorum_bit(RAFT_SLOT_SELF);
    raft_assert(raft->role == RAFT_LEADER);
    while (!raft_quorum_is_reached(&raft->quorum, asked)) {
        uint32_t others = (raft->quorum.voters | raft->quorum.outgoing) & ~asked;
        asked |= raft_quorum_bit(most_prompt(raft, others));
    }
    return asked | askers_with_news(raft);
}

uint64_t raft_read_ask_all_ms(const struct raft *raft)
{
    const struct raft_reads *reads = &raft->reads;
    if (reads->assigned == 0 || read_at(reads, 0)->round <= reads->all_round) {
        return RAFT_NEVER_MS;
    }
    uint64_t asked_ms = read_at(reads, 0)->deadline_ms - raft->config.election_timeout_ms;
    return asked_ms + 1 + raft->config.heartbeat_interval_ms / RAFT_READ_PATIENCE_PART;
}

void raft_read_on_round_acked(struct raft *raft)
{
    struct raft_reads *reads = &raft->reads;
    uint64_t acked[RAFT_SLOTS_MAX] = {[RAFT_SLOT_SELF] = reads->last_round};
    raft_assert(raft->role == RAFT_LEADER);
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        acked[i] = raft->progress[i].round_acked;
    }
    uint64_t confirmed = raft_quorum_value(&raft->quorum, acked);
    raft_assert(confirmed <= reads->last_round);
    if (confirmed > reads->confirmed_round) {
        reads->confirmed_round = confirmed;
    }
    while (reads->assigned > 0 && read_at(reads, 0)->round <= confirmed) {
        finish_read(raft, read_at(reads, 0), read_at(reads, 0)->index, true);
        pop_read(reads);
    }
}

void raft_read_fail_all(struct raft *raft)
{
    struct raft_reads *reads = &raft->reads;
    while (reads->count > 0) {
        if (read_at(reads, 0)->id != 0) {
            finish_read(raft, read_at(reads, 0), 0, false);
        }
        pop_read(reads);
    }
    raft_assert(reads->assigned == 0);
}

void raft_read_expire(struct raft *raft)
{
    struct raft_reads *reads = &raft->reads;
    while (reads->count > 0 && read_at(reads, 0)->deadline_ms <= raft->now_ms) {
        if (read_at(reads, 0)->id != 0) {
            finish_read(raft, read_at(reads, 0), 0, false);
        }
        pop_read(reads);
    }
}

uint64_t raft_read_deadline_ms(const struct raft *raft)
{
    return raft->reads.count == 0 ? RAFT_NEVER_MS : read_at(&raft->reads, 0)->deadline_ms;
}

void raft_read_check_invariants(const struct raft *raft)
{
    const struct raft_reads *reads = &raft->reads;
    raft_assert(reads->assigned <= reads->count);
    raft_assert(reads->confirmed_round <= reads->last_round);
    raft_assert(reads->count == 0 || raft->leader != RAFT_NODE_NONE);
    raft_assert(reads->assigned == 0 || raft->role == RAFT_LEADER);
    uint64_t previous_round = 0;
    for (uint32_t i = 0; i < reads->count; i++) {
        const struct raft_read *read = read_at(reads, i);
        raft_assert((read->round != 0) == (i < reads->assigned));
        if (i >= reads->assigned) {
            break;
        }
        raft_assert(read->round >= previous_round && read->round <= reads->last_round);
        raft_assert(read->index >= raft->noop_index && read->index <= raft->log.commit);
        previous_round = read->round;
    }
}
