/* raft_network.h: a deterministic cluster of Raft cores in memory, for tests.
 *
 * What it is: N cores, a message queue that can drop, duplicate, delay and reorder, links that can be
 * cut one way, nodes that can pause and crash, and a disk per node that writes late, in batches, and
 * tells later still, so that "on disk but the note was lost" happens. One seed determines everything.
 *
 * What it checks, always: one leader per term, log matching, leader completeness, agreement on what is
 * committed, each committed entry on a majority of disks (pitfall 10), nothing promised that is not on
 * disk (pitfall 9), what the core calls durable is on disk, and no read index below what was committed
 * anywhere when the read was asked for (pitfalls 1 to 4). Breaches abort with the seed on stderr.
 *
 * What it is not: the simulator of the whole server. All functions are static, so that the header can
 * be used by those test programs alone that link the core.
 */
#ifndef RAFT_NETWORK_H
#define RAFT_NETWORK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft.h"

enum {
    NETWORK_NODES_MAX = 7,
    NETWORK_LOG_MAX = 20000,
    NETWORK_TERMS_MAX = 20000,
    NETWORK_READS_MAX = 64,
};

/* An entry as the tests see it: the payload is one number, padded. */
struct network_entry {
    uint64_t term;
    uint64_t value; /* 0: no-op */
    uint32_t size;
};

struct network_persist {
    uint64_t sequence;
    bool hard_state_changed;
    struct raft_hard_state hard_state;
    struct raft_entry *entries;
    uint32_t entries_count;
    bool written;
    struct network_persist *next;
};

struct network_held { /* messages that wait for the disk */
    uint64_t after_sequence;
    struct raft_message message;
    struct network_held *next;
};

struct network_disk {
    struct raft_hard_state hard_state;
    struct raft_entry_id base;
    uint64_t last;
    struct network_entry *entries; /* by index */
    uint64_t applied;              /* durable state machine */
};

struct network_read {
    uint64_t id;
    uint64_t least_index; /* the greatest index committed anywhere when it was asked for */
};

struct network_node {
    struct raft *raft; /* NULL: crashed */
    struct raft_config config;
    struct network_disk disk;
    struct network_persist *persists_first; /* issued, not reported */
    struct network_persist *persists_last;
    struct network_held *held_first;
    struct network_held *held_last;
    uint64_t persisted; /* last sequence reported */
    uint64_t disk_busy_until_ms;
    bool disk_hangs;
    uint64_t paused_until_ms;
    uint64_t led_term; /* last term whose leadership was checked */
    struct network_read reads[NETWORK_READS_MAX];
    uint32_t reads_count;
    uint64_t applied;
    struct raft_log_read log_reads[NETWORK_NODES_MAX];
    uint32_t log_reads_count;
};

struct network_message {
    uint64_t due_ms;
    struct raft_message message;
};

struct network {
    uint64_t seed;
    uint64_t random;
    uint64_t now_ms;
    uint32_t nodes_count;
    struct network_node nodes[NETWORK_NODES_MAX];
    raft_node_id ids[NETWORK_NODES_MAX];
    bool cut[NETWORK_NODES_MAX][NETWORK_NODES_MAX]; /* [from][to] */

    struct network_message *queue;
    uint32_t queue_count;
    uint32_t queue_capacity;
    uint32_t drop_percent;
    uint32_t duplicate_percent;
    uint32_t delay_ms_max;
    uint32_t disk_ms_max;

    struct network_entry *committed; /* by index: what everybody must agree on */
    uint64_t committed_last;
    raft_node_id *leaders; /* by term */
    uint64_t next_value;
    uint64_t reads_ok;
    uint64_t reads_failed;
    uint64_t proposals_ok;
    bool (*filter)(const struct raft_message *message, void *context); /* true: lose the message */
    void *filter_context;
};

#define NETWORK_CHECK(network, condition)                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: seed %" PRIu64 ", %" PRIu64 " ms: broken: %s\n", __FILE__, __LINE__,     \
                    (network)->seed, (network)->now_ms, #condition);                                         \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static inline uint64_t network_random(struct network *network, uint64_t bound)
{
    uint64_t x = network->random += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (x ^ (x >> 31)) % bound;
}

static inline bool network_chance(struct network *network, uint32_t percent)
{
    return network_random(network, 100) < percent;
}

/* ---- life ------------------------------------------------------------------------------------ */

static inline void network_start_node(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    struct raft_term_run runs[NETWORK_TERMS_MAX / 10];
    uint32_t runs_count = 0;
    for (uint64_t index = node->disk.base.index + 1; index <= node->disk.last; index++) {
        uint64_t term = node->disk.entries[index].term;
        if (runs_count == 0 || runs[runs_count - 1].term != term)
            runs[runs_count++] = (struct raft_term_run){.first_index = index, .term = term};
    }
    struct raft_membership membership = {.voters_count = network->nodes_count};
    memcpy(membership.voters, network->ids, network->nodes_count * sizeof network->ids[0]);
    struct raft_membership_entry formed = {.payload = raft_membership_encode(&membership, NULL, 0)};
    struct raft_restore restore = {
        .hard_state = node->disk.hard_state,
        .base = node->disk.base,
        .last_index = node->disk.last,
        .runs = runs,
        .runs_count = runs_count,
        .commit = node->disk.applied,
        .applied = node->disk.applied,
        .memberships = &formed,
        .memberships_count = 1,
    };
    node->config.seed = network_random(network, UINT64_MAX);
    node->raft = raft_create(&node->config, &restore, network->now_ms);
    raft_payload_unref(formed.payload);
    node->applied = node->disk.applied;
    node->persisted = 0;
    node->disk_busy_until_ms = 0;
    node->disk_hangs = false;
    node->paused_until_ms = 0;
    node->led_term = 0;
    node->reads_count = 0;
    node->log_reads_count = 0;
}

/* `config` may be NULL: defaults with small limits, so that every limit is met. */
static inline struct network *network_create(uint32_t nodes_count, uint64_t seed,
                                             const struct raft_config *config)
{
    struct network *network = calloc(1, sizeof *network);
    network->seed = seed;
    network->random = seed * 7919 + 1;
    network->now_ms = 1000;
    network->nodes_count = nodes_count;
    network->committed = calloc(NETWORK_LOG_MAX, sizeof *network->committed);
    network->leaders = calloc(NETWORK_TERMS_MAX, sizeof *network->leaders);
    network->next_value = 1;
    network->delay_ms_max = 3;
    network->disk_ms_max = 3;
    struct raft_config defaults = {
        .election_timeout_ms = 100,
        .heartbeat_interval_ms = 20,
        .unreachable_delay_ms = 20,
        .disk_stall_timeout_ms = 400,
        .append_bytes_max = 100,
        .inflight_messages_max = 3,
        .inflight_bytes_max = 300,
        .cache_bytes_max = 1500,
        .unstable_bytes_max = 2000,
    };
    for (uint32_t i = 0; i < nodes_count; i++)
        network->ids[i] = i + 1;
    for (uint32_t i = 0; i < nodes_count; i++) {
        struct network_node *node = &network->nodes[i];
        node->config = config != NULL ? *config : defaults;
        node->config.id = network->ids[i];
        node->disk.entries = calloc(NETWORK_LOG_MAX, sizeof *node->disk.entries);
        network_start_node(network, i);
    }
    return network;
}

static inline void network_drop_persists(struct network_node *node)
{
    while (node->persists_first != NULL) {
        struct network_persist *persist = node->persists_first;
        node->persists_first = persist->next;
        for (uint32_t i = 0; i < persist->entries_count; i++)
            raft_payload_unref(persist->entries[i].payload);
        free(persist->entries);
        free(persist);
    }
    node->persists_last = NULL;
    while (node->held_first != NULL) {
        struct network_held *held = node->held_first;
        node->held_first = held->next;
        raft_message_deinit(&held->message);
        free(held);
    }
    node->held_last = NULL;
}

/* What was not written yet is lost; what was written but not reported is kept. */
static inline void network_crash(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    raft_destroy(node->raft);
    node->raft = NULL;
    network_drop_persists(node);
}

static inline void network_destroy(struct network *network)
{
    for (uint32_t i = 0; i < network->nodes_count; i++) {
        network_crash(network, i);
        free(network->nodes[i].disk.entries);
    }
    for (uint32_t i = 0; i < network->queue_count; i++)
        raft_message_deinit(&network->queue[i].message);
    free(network->queue);
    free(network->committed);
    free(network->leaders);
    free(network);
}

static inline bool network_runs(const struct network *network, uint32_t i)
{
    return network->nodes[i].raft != NULL && network->nodes[i].paused_until_ms <= network->now_ms;
}

/* ---- checks ---------------------------------------------------------------------------------- */

static inline void network_check_durable(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    uint64_t durable = raft_get_durable(node->raft);
    NETWORK_CHECK(network, durable <= node->disk.last);
    for (uint64_t index = node->disk.base.index + 1; index <= durable; index++) {
        uint64_t term = 0;
        if (raft_get_entry_term(node->raft, index, &term))
            NETWORK_CHECK(network, node->disk.entries[index].term == term);
    }
}

static inline void network_check_log_matching(struct network *network, uint32_t a, uint32_t b)
{
    const struct raft *left = network->nodes[a].raft;
    const struct raft *right = network->nodes[b].raft;
    struct raft_status status;
    raft_get_status(left, &status);
    bool must_match = false;
    for (uint64_t index = status.last.index; index > 0; index--) {
        uint64_t left_term;
        uint64_t right_term;
        if (!raft_get_entry_term(left, index, &left_term))
            break;
        if (!raft_get_entry_term(right, index, &right_term)) {
            if (must_match)
                break; /* compacted there */
            continue;
        }
        if (left_term == right_term)
            must_match = true;
        NETWORK_CHECK(network, !must_match || left_term == right_term);
    }
}

static inline void network_check_node(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    raft_check_invariants(node->raft);
    if (raft_get_role(node->raft) != RAFT_LEADER)
        return;
    uint64_t term = raft_get_term(node->raft);
    NETWORK_CHECK(network, term < NETWORK_TERMS_MAX);
    if (network->leaders[term] == RAFT_NODE_NONE)
        network->leaders[term] = node->config.id;
    NETWORK_CHECK(network, network->leaders[term] == node->config.id); /* election safety */
    if (node->led_term == term)
        return;
    node->led_term = term;
    NETWORK_CHECK(network, node->disk.hard_state.term >= term);
    for (uint64_t index = 1; index <= network->committed_last; index++) { /* leader completeness */
        uint64_t have;
        if (raft_get_entry_term(node->raft, index, &have))
            NETWORK_CHECK(network,
                          have == network->committed[index].term || network->committed[index].term > term);
        else
            NETWORK_CHECK(network, index < node->disk.base.index || network->committed[index].term > term);
    }
}

static inline void network_check_all(struct network *network)
{
    for (uint32_t i = 0; i < network->nodes_count; i++) {
        if (network->nodes[i].raft == NULL)
            continue;
        network_check_durable(network, i);
        for (uint32_t j = i + 1; j < network->nodes_count; j++) {
            if (network->nodes[j].raft != NULL)
                network_check_log_matching(network, i, j);
        }
    }
}

static inline uint64_t network_value(const struct raft_entry *entry)
{
    uint64_t value = 0;
    if (entry->payload != NULL)
        memcpy(&value, entry->payload->bytes, sizeof value);
    return value;
}

static inline void network_check_committed(struct network *network, const struct raft_entry *entry)
{
    uint64_t index = entry->id.index;
    NETWORK_CHECK(network, index < NETWORK_LOG_MAX);
    if (index <= network->committed_last) {
        NETWORK_CHECK(network, network->committed[index].term == entry->id.term);
        NETWORK_CHECK(network, network->committed[index].value == network_value(entry));
        return;
    }
    NETWORK_CHECK(network, index == network->committed_last + 1);
    uint32_t holders = 0; /* crashed nodes' disks count too */
    for (uint32_t i = 0; i < network->nodes_count; i++) {
        const struct network_disk *disk = &network->nodes[i].disk;
        holders += disk->last >= index && disk->entries[index].term == entry->id.term &&
                   disk->entries[index].value == network_value(entry);
    }
    NETWORK_CHECK(network, holders > network->nodes_count / 2);
    network->committed[index] = (struct network_entry){.term = entry->id.term, .value = network_value(entry)};
    network->committed_last = index;
}

/* ---- messages -------------------------------------------------------------------------------- */

static inline struct raft_message network_copy_message(const struct raft_message *message)
{
    struct raft_message copy = *message;
    if (message->entries_count > 0) {
        copy.entries = calloc(message->entries_count, sizeof *copy.entries);
        for (uint32_t i = 0; i < message->entries_count; i++) {
            copy.entries[i] = message->entries[i];
            raft_payload_ref(copy.entries[i].payload);
        }
    }
    return copy;
}

static inline void network_enqueue(struct network *network, const struct raft_message *message)
{
    if (network->queue_count == network->queue_capacity) {
        network->queue_capacity = network->queue_capacity == 0 ? 64 : network->queue_capacity * 2;
        network->queue = realloc(network->queue, network->queue_capacity * sizeof *network->queue);
    }
    uint64_t delay = network->delay_ms_max == 0 ? 0 : network_random(network, network->delay_ms_max);
    network->queue[network->queue_count++] =
        (struct network_message){.due_ms = network->now_ms + delay, .message = *message};
}

/* What a message reveals must be on the sender's disk when it leaves (pitfall 9). */
static inline void network_check_promise(struct network *network, const struct raft_message *message)
{
    const struct network_disk *disk = &network->nodes[message->from - 1].disk;
    bool pre_vote = message->type == RAFT_MESSAGE_PRE_VOTE ||
                    (message->type == RAFT_MESSAGE_PRE_VOTE_RESPONSE && !message->reject);
    if (pre_vote)
        return;
    NETWORK_CHECK(network, disk->hard_state.term >= message->term);
    if (disk->hard_state.term > message->term)
        return; /* has moved on since */
    if (message->type == RAFT_MESSAGE_VOTE_RESPONSE && !message->reject)
        NETWORK_CHECK(network, disk->hard_state.vote == message->to);
    if (message->type == RAFT_MESSAGE_VOTE)
        NETWORK_CHECK(network, disk->hard_state.vote == message->from);
    if (message->type == RAFT_MESSAGE_APPEND_RESPONSE && !message->reject &&
        message->log.index > disk->base.index) {
        NETWORK_CHECK(network, disk->last >= message->log.index);
        NETWORK_CHECK(network, disk->entries[message->log.index].term == message->log.term);
    }
}

/* Takes the message over. */
static inline void network_post(struct network *network, struct raft_message *message)
{
    network_check_promise(network, message);
    bool lost = network_chance(network, network->drop_percent) ||
                (network->filter != NULL && network->filter(message, network->filter_context));
    if (lost) {
        raft_message_deinit(message);
        return;
    }
    if (network_chance(network, network->duplicate_percent)) {
        struct raft_message copy = network_copy_message(message);
        network_enqueue(network, &copy);
    }
    network_enqueue(network, message);
}

static inline void network_deliver(struct network *network, uint32_t at)
{
    struct raft_message message = network->queue[at].message;
    network->queue[at] = network->queue[--network->queue_count];
    uint32_t from = (uint32_t)message.from - 1;
    uint32_t to = (uint32_t)message.to - 1;
    if (network->nodes[to].raft != NULL && !network->cut[from][to]) {
        raft_peer_contact(network->nodes[to].raft, message.from);
        raft_step(network->nodes[to].raft, &message);
        network_check_node(network, to);
    }
    raft_message_deinit(&message);
}

static inline void network_deliver_due(struct network *network)
{
    uint32_t i = 0;
    while (i < network->queue_count) {
        const struct network_message *item = &network->queue[i];
        if (item->due_ms <= network->now_ms &&
            network->nodes[item->message.to - 1].paused_until_ms <= network->now_ms)
            network_deliver(network, i); /* another one takes its place */
        else
            i++;
    }
}

/* ---- disks ----------------------------------------------------------------------------------- */

static inline void network_write_persist(struct network *network, struct network_node *node,
                                         struct network_persist *persist)
{
    struct network_disk *disk = &node->disk;
    if (persist->hard_state_changed) {
        NETWORK_CHECK(network, persist->hard_state.term >= disk->hard_state.term);
        disk->hard_state = persist->hard_state;
    }
    if (persist->entries_count > 0) {
        NETWORK_CHECK(network, persist->entries[0].id.index <= disk->last + 1);
        disk->last = persist->entries[0].id.index - 1;
    }
    for (uint32_t i = 0; i < persist->entries_count; i++) {
        const struct raft_entry *entry = &persist->entries[i];
        NETWORK_CHECK(network, entry->id.index == disk->last + 1 && entry->id.index < NETWORK_LOG_MAX);
        disk->last++;
        disk->entries[disk->last] = (struct network_entry){
            .term = entry->id.term, .value = network_value(entry), .size = raft_entry_bytes(entry)};
    }
    persist->written = true;
}

static inline void network_report_persist(struct network *network, uint32_t i, uint64_t sequence)
{
    struct network_node *node = &network->nodes[i];
    while (node->persists_first != NULL && node->persists_first->sequence <= sequence) {
        struct network_persist *done = node->persists_first;
        NETWORK_CHECK(network, done->written);
        node->persists_first = done->next;
        if (node->persists_first == NULL)
            node->persists_last = NULL;
        for (uint32_t k = 0; k < done->entries_count; k++)
            raft_payload_unref(done->entries[k].payload);
        free(done->entries);
        free(done);
    }
    node->persisted = sequence;
    raft_persisted(node->raft, sequence);
    network_check_node(network, i);
    while (node->held_first != NULL && node->held_first->after_sequence <= sequence) {
        struct network_held *held = node->held_first;
        node->held_first = held->next;
        if (node->held_first == NULL)
            node->held_last = NULL;
        network_post(network, &held->message);
        free(held);
    }
}

/* Writes some of what waits, in order, and reports some of what is written, later. */
static inline void network_run_disk(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    if (node->disk_hangs || node->disk_busy_until_ms > network->now_ms)
        return;
    uint64_t report = 0;
    for (struct network_persist *p = node->persists_first; p != NULL && p->written; p = p->next) {
        report = p->sequence;
        if (network_chance(network, 30))
            break;
    }
    if (report != 0)
        network_report_persist(network, i, report);
    for (struct network_persist *p = node->persists_first; p != NULL; p = p->next) {
        if (!p->written)
            network_write_persist(network, node, p);
        if (network_chance(network, 30))
            break;
    }
    node->disk_busy_until_ms =
        network->now_ms + (network->disk_ms_max == 0 ? 0 : network_random(network, network->disk_ms_max));
}

static inline void network_answer_log_read(struct network *network, uint32_t i,
                                           const struct raft_log_read *read)
{
    struct network_node *node = &network->nodes[i];
    struct raft_entry entries[64] = {0};
    uint32_t count = 0;
    uint64_t bytes = 0;
    for (uint64_t index = read->first_index; index <= read->last_index && count < 64; index++) {
        if (index <= node->disk.base.index || index > node->disk.last)
            break;
        const struct network_entry *stored = &node->disk.entries[index];
        if (count > 0 && bytes + stored->size > read->bytes_max)
            break;
        bytes += stored->size;
        struct raft_entry *entry = &entries[count++];
        entry->id = (struct raft_entry_id){.term = stored->term, .index = index};
        entry->type = stored->value == 0 ? RAFT_ENTRY_NOOP : RAFT_ENTRY_COMMANDS;
        entry->payload = NULL;
        if (stored->value != 0) {
            entry->payload = raft_payload_create(stored->size);
            memset(entry->payload->bytes, 0, stored->size);
            memcpy(entry->payload->bytes, &stored->value, sizeof stored->value);
            entry->payload->size = stored->size;
        }
    }
    raft_log_read_done(node->raft, read->read_id, entries, count);
    for (uint32_t k = 0; k < count; k++)
        raft_payload_unref(entries[k].payload);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static inline void network_finish_reads(struct network *network, struct network_node *node,
                                        const struct raft_ready *ready)
{
    for (uint32_t r = 0; r < ready->reads_count; r++) {
        const struct raft_read_result *result = &ready->reads[r];
        uint32_t k = 0;
        while (k < node->reads_count && node->reads[k].id != result->read_id)
            k++;
        NETWORK_CHECK(network, k < node->reads_count); /* each is answered once */
        if (result->ok)
            NETWORK_CHECK(network, result->index >= node->reads[k].least_index); /* linearizable */
        network->reads_ok += result->ok;
        network->reads_failed += !result->ok;
        node->reads[k] = node->reads[--node->reads_count];
    }
}

static inline void network_apply(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    const struct raft_entry *entry;
    while (raft_next_committed(node->raft, &entry) == RAFT_NEXT_ENTRY) {
        NETWORK_CHECK(network, entry->id.index == node->applied + 1);
        network_check_committed(network, entry);
        node->applied = entry->id.index;
    }
    raft_applied(node->raft, node->applied);
}

static inline void network_end_turn(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    network_apply(network, i);
    if (!raft_has_ready(node->raft))
        return;
    struct raft_ready ready;
    raft_take_ready(node->raft, &ready);
    network_check_node(network, i);
    if (ready.sequence != 0) {
        struct network_persist *persist = calloc(1, sizeof *persist);
        persist->sequence = ready.sequence;
        persist->hard_state_changed = ready.hard_state_changed;
        persist->hard_state = ready.hard_state;
        persist->entries = ready.entries;
        persist->entries_count = ready.entries_count;
        ready.entries = NULL;
        ready.entries_count = 0;
        if (node->persists_last == NULL)
            node->persists_first = persist;
        else
            node->persists_last->next = persist;
        node->persists_last = persist;
    }
    for (uint32_t m = 0; m < ready.messages_now_count; m++)
        network_post(network, &ready.messages_now[m]);
    ready.messages_now_count = 0;
    for (uint32_t m = 0; m < ready.messages_after_persist_count; m++) {
        if (ready.after_sequence <= node->persisted) {
            network_post(network, &ready.messages_after_persist[m]);
            continue;
        }
        struct network_held *held = calloc(1, sizeof *held);
        held->after_sequence = ready.after_sequence;
        held->message = ready.messages_after_persist[m];
        if (node->held_last == NULL)
            node->held_first = held;
        else
            node->held_last->next = held;
        node->held_last = held;
    }
    ready.messages_after_persist_count = 0;
    network_finish_reads(network, node, &ready);
    for (uint32_t k = 0; k < ready.log_reads_count; k++) {
        NETWORK_CHECK(network, node->log_reads_count < NETWORK_NODES_MAX);
        node->log_reads[node->log_reads_count++] = ready.log_reads[k];
    }
    raft_ready_deinit(&ready);
}

static inline void network_step_node(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    if (!network_runs(network, i))
        return;
    raft_tick(node->raft, network->now_ms);
    network_run_disk(network, i);
    if (node->log_reads_count > 0 && network_chance(network, 50)) {
        struct raft_log_read read = node->log_reads[--node->log_reads_count];
        network_answer_log_read(network, i, &read);
    }
    network_check_node(network, i);
}

/* One millisecond of the whole cluster. */
static inline void network_step(struct network *network)
{
    network->now_ms++;
    for (uint32_t i = 0; i < network->nodes_count; i++)
        network_step_node(network, i);
    network_deliver_due(network);
    for (uint32_t i = 0; i < network->nodes_count; i++) {
        if (network_runs(network, i))
            network_end_turn(network, i);
    }
}

static inline void network_run(struct network *network, uint64_t duration_ms)
{
    for (uint64_t i = 0; i < duration_ms; i++)
        network_step(network);
}

/* ---- clients and faults ---------------------------------------------------------------------- */

/* The running leader of the highest term, or UINT32_MAX. */
static inline uint32_t network_find_leader(const struct network *network)
{
    uint32_t found = UINT32_MAX;
    for (uint32_t i = 0; i < network->nodes_count; i++) {
        const struct raft *raft = network->nodes[i].raft;
        if (raft == NULL || raft_get_role(raft) != RAFT_LEADER)
            continue;
        if (found == UINT32_MAX || raft_get_term(raft) > raft_get_term(network->nodes[found].raft))
            found = i;
    }
    return found;
}

static inline enum raft_propose_result network_propose(struct network *network, uint32_t i, uint32_t size)
{
    struct raft_payload *payload = raft_payload_create(size);
    memset(payload->bytes, 0, size);
    memcpy(payload->bytes, &network->next_value, sizeof network->next_value);
    payload->size = size;
    struct raft_entry_id id;
    enum raft_propose_result result = raft_propose(network->nodes[i].raft, payload, &id);
    if (result == RAFT_PROPOSE_OK) {
        network->next_value++;
        network->proposals_ok++;
    }
    raft_payload_unref(payload);
    return result;
}

static inline void network_ask_read(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    if (node->reads_count == NETWORK_READS_MAX)
        return;
    uint64_t least = network->committed_last;
    uint64_t id = raft_read_index(node->raft);
    if (id != 0)
        node->reads[node->reads_count++] = (struct network_read){.id = id, .least_index = least};
}

/* The others see the connection to `i` break. */
static inline void network_report_unreachable(struct network *network, uint32_t i)
{
    for (uint32_t j = 0; j < network->nodes_count; j++) {
        if (j != i && network_runs(network, j))
            raft_peer_unreachable(network->nodes[j].raft, network->ids[i]);
    }
}

static inline void network_isolate(struct network *network, uint32_t i, bool cut)
{
    for (uint32_t j = 0; j < network->nodes_count; j++) {
        if (i != j)
            network->cut[i][j] = network->cut[j][i] = cut;
    }
}

static inline void network_heal(struct network *network)
{
    memset(network->cut, 0, sizeof network->cut);
    network->drop_percent = 0;
    network->duplicate_percent = 0;
    network->filter = NULL;
    for (uint32_t i = 0; i < network->nodes_count; i++) {
        network->nodes[i].disk_hangs = false;
        network->nodes[i].paused_until_ms = 0;
        if (network->nodes[i].raft == NULL)
            network_start_node(network, i);
    }
}

/* Drops from the log on disk what the durable state machine has seen, but not what another node may
 * still need: there are no snapshots. */
static inline void network_compact(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    uint64_t least = node->disk.applied;
    for (uint32_t j = 0; j < network->nodes_count; j++) {
        if (network->nodes[j].disk.applied < least)
            least = network->nodes[j].disk.applied;
    }
    if (least > raft_get_durable(node->raft))
        least = raft_get_durable(node->raft);
    if (least <= node->disk.base.index)
        return;
    node->disk.base = (struct raft_entry_id){.term = node->disk.entries[least].term, .index = least};
    raft_compacted(node->raft, node->disk.base);
}

/* The state machine of node `i` writes its state; never ahead of the own log on disk. */
static inline void network_checkpoint(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    uint64_t durable = raft_get_durable(node->raft);
    uint64_t applied = node->applied < durable ? node->applied : durable;
    if (applied > node->disk.applied)
        node->disk.applied = applied;
}

#endif
