/* raft_network.h: a deterministic cluster of Raft cores in memory, for tests.
 *
 * What it is: N cores, of which some wait to be added to the cluster, a message queue that can drop,
 * duplicate, delay and reorder, links that can be cut one way, nodes that can pause and crash, and a disk
 * per node that writes late, in batches, and tells later still, so that "on disk but the note was lost"
 * happens; state machines that write their state now and then, compact the log behind it, and are streamed
 * to whom the leader says. One seed determines everything.
 *
 * What it checks, always: one leader per term, log matching, leader completeness, agreement on what is
 * committed, each committed entry on a majority of disks (pitfall 10), of two while the configuration is
 * joint, each committed configuration a lawful successor of the one before (thesis 4.3), nothing promised
 * that is not on disk (pitfall 9), what the core calls durable is on disk, and no read index below what was
 * committed anywhere when the read was asked for (pitfalls 1 to 4). Breaches abort with the seed on stderr.
 *
 * What it is not: the simulator of the whole server. All functions are static, so that the header can
 * be used by those test programs alone that link the core.
 */
#ifndef RAFT_NETWORK_H
#define RAFT_NETWORK_H

#include "raft_network_check.h"
#include "raft_network_state.h"

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
    struct raft_membership_entry *memberships = calloc(node->disk.last + 2, sizeof *memberships);
    uint32_t memberships_count = 0;
    if (node->disk.membership != 0)
        memberships[memberships_count++].payload = network_find_configuration(network, node->disk.membership);
    for (uint64_t index = node->disk.applied + 1; index <= node->disk.last; index++) {
        const struct network_entry *entry = &node->disk.entries[index];
        if ((entry->value & NETWORK_MEMBERSHIP) != 0)
            memberships[memberships_count++] =
                (struct raft_membership_entry){.id = {.term = entry->term, .index = index},
                                               .payload = network_find_configuration(network, entry->value)};
    }
    struct raft_restore restore = {
        .hard_state = node->disk.hard_state,
        .base = node->disk.base,
        .last_index = node->disk.last,
        .runs = runs,
        .runs_count = runs_count,
        .commit = node->disk.applied,
        .applied = node->disk.applied,
        .memberships = memberships,
        .memberships_count = memberships_count,
    };
    node->config.seed = network_random(network, UINT64_MAX);
    node->raft = raft_create(&node->config, &restore, network->now_ms);
    free(memberships);
    node->applied = node->disk.applied;
    node->membership = node->disk.membership;
    node->checked_commit = 0;
    node->was_removed = false;
    node->persisted = 0;
    node->disk_busy_until_ms = 0;
    node->disk_hangs = false;
    node->paused_until_ms = 0;
    node->led_term = 0;
    node->reads_count = 0;
    node->log_reads_count = 0;
}

/* Nodes 1 to `formed_count` form the cluster; the others, up to `nodes_count`, wait to be added. `config`
 * may be NULL: defaults with small limits, so that every limit is met. */
static inline struct network *network_create_with(uint32_t nodes_count, uint32_t formed_count, uint64_t seed,
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
    network->stream_ms_max = 50;
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
    struct raft_membership membership = {0};
    for (uint32_t i = 0; i < nodes_count; i++) {
        network->ids[i] = i + 1;
        if (i < formed_count)
            NETWORK_CHECK(network, raft_membership_set(&membership, i + 1, RAFT_MEMBER_VOTER));
    }
    struct raft_payload *formed = raft_membership_encode(&membership, NULL, 0);
    network->committed_membership = network_keep_configuration(network, formed);
    raft_payload_unref(formed);
    for (uint32_t i = 0; i < nodes_count; i++) {
        struct network_node *node = &network->nodes[i];
        node->config = config != NULL ? *config : defaults;
        node->config.id = network->ids[i];
        node->disk.entries = calloc(NETWORK_LOG_MAX, sizeof *node->disk.entries);
        node->disk.membership = i < formed_count ? network->committed_membership : 0;
        network_start_node(network, i);
    }
    return network;
}

static inline struct network *network_create(uint32_t nodes_count, uint64_t seed,
                                             const struct raft_config *config)
{
    return network_create_with(nodes_count, nodes_count, seed, config);
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
    for (uint32_t i = 0; i < network->configurations_count; i++)
        raft_payload_unref(network->configurations[i].payload);
    free(network->configurations);
    free(network->queue);
    free(network->committed);
    free(network->leaders);
    free(network);
}

static inline bool network_runs(const struct network *network, uint32_t i)
{
    return network->nodes[i].raft != NULL && network->nodes[i].paused_until_ms <= network->now_ms;
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

/* ---- snapshots ------------------------------------------------------------------------------- */

/* The configuration that a state machine holds which has applied everything up to `index`. */
static inline uint64_t network_membership_at(const struct network *network, uint64_t index)
{
    for (; index > 0; index--) {
        if ((network->committed[index].value & NETWORK_MEMBERSHIP) != 0)
            return network->committed[index].value;
    }
    return network->configurations[0].value; /* in which the cluster was formed */
}

/* A leader begins to stream what its state machine has on disk. One that has been added, and has not got as
 * far as to its own addition, has no configuration to send. */
static inline void network_open_stream(struct network *network, uint32_t from, uint32_t to)
{
    struct network_node *node = &network->nodes[from];
    uint64_t applied = node->disk.applied;
    NETWORK_CHECK(network, to != from && network->streams_count < NETWORK_STREAMS_MAX);
    NETWORK_CHECK(network, applied > 0 && applied <= network->committed_last);
    struct network_stream *stream = &network->streams[network->streams_count++];
    *stream = (struct network_stream){
        .from = from,
        .to = to,
        .upto = {.term = network->committed[applied].term, .index = applied},
        .membership = node->disk.membership,
        .due_ms = network->now_ms + network_random(network, network->stream_ms_max),
    };
    if (stream->membership == 0)
        stream->arrived = true;
    else if (network_chance(network, 70))
        raft_snapshot_started(node->raft, network->ids[to], stream->upto);
}

/* Offers a snapshot to a running node, be it the newest or an old one. False if it refuses. */
static inline bool network_offer_snapshot(struct network *network, uint32_t i, struct raft_entry_id upto,
                                          uint64_t membership)
{
    struct raft *raft = network->nodes[i].raft;
    bool wanted = raft_wants_snapshot(raft, upto);
    bool taken = raft_install_snapshot(raft, upto, network_find_configuration(network, membership));
    NETWORK_CHECK(network, wanted == taken);
    network->snapshots_installed += taken;
    network->snapshots_refused += !taken;
    network_check_node(network, i);
    return taken;
}

/* The stream ends at the receiver's: loaded and offered to the core, or broken. */
static inline void network_end_stream(struct network *network, struct network_stream *stream)
{
    struct network_node *to = &network->nodes[stream->to];
    bool broken = to->raft == NULL || network->cut[stream->from][stream->to] ||
                  network_chance(network, network->drop_percent / 2);
    stream->arrived = true;
    if (!broken) {
        bool taken = network_offer_snapshot(network, stream->to, stream->upto, stream->membership);
        stream->ok = taken || network_chance(network, 50);
    }
    /* The sender hears of it soon, or only when a time-out is over; perhaps before the receiver is done. */
    stream->due_ms = network->now_ms + network_random(network, network_chance(network, 20) ? 200 : 5);
}

static inline void network_move_streams(struct network *network)
{
    for (uint32_t k = 0; k < network->streams_count;) {
        struct network_stream *stream = &network->streams[k];
        bool due = stream->due_ms <= network->now_ms;
        if (due && !stream->arrived && network->nodes[stream->to].paused_until_ms <= network->now_ms) {
            network_end_stream(network, stream);
        } else if (due && stream->arrived &&
                   network->nodes[stream->from].paused_until_ms <= network->now_ms) {
            struct raft *sender = network->nodes[stream->from].raft;
            if (sender != NULL)
                raft_snapshot_done(sender, network->ids[stream->to], stream->upto, stream->ok);
            network->streams[k] = network->streams[--network->streams_count];
            continue;
        }
        k++;
    }
}

/* ---- disks ----------------------------------------------------------------------------------- */

/* The commit point of a snapshot. The core says what stays; the disk finds the same (raft_install). */
static inline void network_install_on_disk(struct network *network, struct network_disk *disk,
                                           const struct raft_install *install)
{
    uint64_t index = install->upto.index;
    bool holds =
        index <= disk->last && index > disk->base.index && disk->entries[index].term == install->upto.term;
    NETWORK_CHECK(network, index > disk->applied);
    NETWORK_CHECK(network, install->keeps == holds);
    if (!holds)
        disk->last = index;
    disk->entries[index] = (struct network_entry){.term = install->upto.term};
    disk->base = install->upto;
    disk->applied = index;
    disk->membership = network_membership_at(network, index);
}

static inline void network_write_persist(struct network *network, struct network_node *node,
                                         struct network_persist *persist)
{
    struct network_disk *disk = &node->disk;
    if (persist->hard_state_changed) {
        NETWORK_CHECK(network, persist->hard_state.term >= disk->hard_state.term);
        disk->hard_state = persist->hard_state;
    }
    if (persist->install.upto.index > 0)
        network_install_on_disk(network, disk, &persist->install);
    if (persist->entries_count > 0) {
        NETWORK_CHECK(network, persist->entries[0].id.index > disk->base.index);
        NETWORK_CHECK(network, persist->entries[0].id.index <= disk->last + 1);
        disk->last = persist->entries[0].id.index - 1;
    }
    for (uint32_t i = 0; i < persist->entries_count; i++) {
        const struct raft_entry *entry = &persist->entries[i];
        NETWORK_CHECK(network, entry->id.index == disk->last + 1 && entry->id.index < NETWORK_LOG_MAX);
        disk->last++;
        disk->entries[disk->last] = (struct network_entry){
            .term = entry->id.term, .value = network_value(network, entry), .size = raft_entry_bytes(entry)};
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
        if (done->install.upto.index > 0) { /* the state machine is exchanged */
            node->applied = done->install.upto.index;
            node->membership = network_membership_at(network, node->applied);
        }
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
        if ((stored->value & NETWORK_MEMBERSHIP) != 0) {
            entry->type = RAFT_ENTRY_MEMBERSHIP;
            entry->payload = raft_payload_ref(network_find_configuration(network, stored->value));
        } else if (stored->value != 0) {
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
        if (entry->type == RAFT_ENTRY_MEMBERSHIP)
            node->membership = network_value(network, entry);
        raft_applied(node->raft, node->applied);
    }
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
        persist->install = ready.install;
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
        NETWORK_CHECK(network, node->log_reads_count < NETWORK_LOG_READS_MAX);
        node->log_reads[node->log_reads_count++] = ready.log_reads[k];
    }
    for (uint32_t k = 0; k < ready.snapshots_count; k++)
        network_open_stream(network, i, (uint32_t)ready.snapshots[k] - 1);
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
    network_move_streams(network);
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

/* Drops from the log on disk what the durable state machine has seen: all that may go, or (`kind`) only
 * what no node that is there may still need. */
static inline void network_compact(struct network *network, uint32_t i, bool kind)
{
    struct network_node *node = &network->nodes[i];
    struct raft_status status;
    raft_get_status(node->raft, &status);
    uint64_t least = node->disk.applied;
    for (uint32_t j = 0; kind && j < network->nodes_count; j++) {
        if (network->nodes[j].disk.applied < least)
            least = network->nodes[j].disk.applied;
    }
    if (least > status.durable_index)
        least = status.durable_index;
    if (least > status.needed_from)
        least = status.needed_from;
    if (least < status.first_index)
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
    if (applied <= node->disk.applied)
        return;
    for (uint64_t index = node->disk.applied + 1; index <= applied; index++) {
        if ((network->committed[index].value & NETWORK_MEMBERSHIP) != 0)
            node->disk.membership = network->committed[index].value;
    }
    node->disk.applied = applied;
}

#endif
