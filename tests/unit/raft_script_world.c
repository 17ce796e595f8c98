/* raft_script_world.c: see raft_script_world.h. */
#include "raft_script_world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- queues --------------------------------------------------------------------------- */

void script_queue_push(struct script_queue *queue, uint64_t after_sequence,
                       const struct raft_message *message)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity * 2 + 16;
        queue->items = realloc(queue->items, queue->capacity * sizeof *queue->items);
        if (queue->items == NULL) {
            abort();
        }
    }
    queue->items[queue->count++] =
        (struct script_item){.after_sequence = after_sequence, .message = *message};
}

struct raft_message script_queue_take(struct script_queue *queue, uint32_t at)
{
    struct raft_message message = queue->items[at].message;
    queue->count--;
    memmove(&queue->items[at], &queue->items[at + 1], (queue->count - at) * sizeof *queue->items);
    return message;
}

static void queue_deinit(struct script_queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++) {
        raft_message_deinit(&queue->items[i].message);
    }
    free(queue->items);
    *queue = (struct script_queue){0};
}

struct raft_message script_message_copy(const struct raft_message *message)
{
    struct raft_message copy = *message;
    copy.entries = calloc(message->entries_count + 1, sizeof *copy.entries);
    if (copy.entries == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < message->entries_count; i++) {
        copy.entries[i] = message->entries[i];
        raft_payload_ref(copy.entries[i].payload);
    }
    return copy;
}

/* ---- life -------------------------------------------------------------------------------------- */

void script_world_init(struct script_world *world, uint32_t nodes_count, uint32_t formed_count,
                       const struct raft_config *config)
{
    struct script_text *output = world->output;
    struct raft_membership formed = {0};
    *world = (struct script_world){.config = *config, .nodes_count = nodes_count, .output = output};
    for (raft_node_id id = 1; id <= formed_count; id++) {
        if (!raft_membership_set(&formed, id, RAFT_MEMBER_VOTER)) {
            abort();
        }
    }
    world->formed = raft_membership_encode(&formed, NULL, 0);
    for (uint32_t i = 0; i < nodes_count; i++) {
        struct script_node *node = &world->nodes[i];
        node->id = i + 1;
        node->disk_membership = i < formed_count ? raft_payload_ref(world->formed) : NULL;
        script_node_start(world, node);
    }
}

void script_world_deinit(struct script_world *world)
{
    for (uint32_t i = 0; i < world->nodes_count; i++) {
        if (world->nodes[i].raft != NULL) {
            script_node_crash(world, &world->nodes[i]);
        }
        script_log_deinit(&world->nodes[i].disk);
        raft_payload_unref(world->nodes[i].disk_membership);
    }
    raft_payload_unref(world->formed);
    world->formed = NULL;
    script_log_deinit(&world->committed);
    queue_deinit(&world->network);
    world->nodes_count = 0;
}

struct script_node *script_world_node(struct script_world *world, raft_node_id id)
{
    return id >= 1 && id <= world->nodes_count ? &world->nodes[id - 1] : NULL;
}

void script_node_start(struct script_world *world, struct script_node *node)
{
    struct raft_term_run runs[SCRIPT_LOG_MAX];
    uint32_t runs_count = 0;
    for (uint64_t index = node->disk.base.index + 1; index <= node->disk.last; index++) {
        uint64_t term = node->disk.entries[index].id.term;
        if (runs_count == 0 || runs[runs_count - 1].term != term) {
            runs[runs_count++] = (struct raft_term_run){.first_index = index, .term = term};
        }
    }
    struct raft_config config = world->config;
    config.id = node->id;
    config.seed = 100 * node->id + node->starts++;
    struct raft_membership_entry memberships[SCRIPT_LOG_MAX] = {{.payload = node->disk_membership}};
    uint32_t memberships_count = node->disk_membership == NULL ? 0 : 1;
    for (uint64_t index = node->disk_applied + 1; index <= node->disk.last; index++) {
        const struct raft_entry *entry = &node->disk.entries[index];
        if (entry->type == RAFT_ENTRY_MEMBERSHIP) {
            memberships[memberships_count++] =
                (struct raft_membership_entry){.id = entry->id, .payload = entry->payload};
        }
    }
    struct raft_restore restore = {
        .hard_state = node->disk_hard_state,
        .base = node->disk.base,
        .last_index = node->disk.last,
        .runs = runs,
        .runs_count = runs_count,
        .commit = node->disk_applied,
        .applied = node->disk_applied,
        .memberships = memberships,
        .memberships_count = memberships_count,
    };
    node->raft = raft_create(&config, &restore, node->now_ms);
    node->applied = node->disk_applied;
    node->persisted = 0;
    node->disk_held = false;
    script_log_copy(&node->memory, &node->disk);
    raft_get_status(node->raft, &node->shown);
}

void script_node_forget_write(struct script_node *node)
{
    struct script_write *first = &node->writes[0];
    for (uint32_t i = 0; i < first->entries_count; i++) {
        raft_payload_unref(first->entries[i].payload);
    }
    free(first->entries);
    node->writes_count--;
    memmove(first, first + 1, node->writes_count * sizeof *first);
}

void script_node_crash(struct script_world *world, struct script_node *node)
{
    (void)world;
    raft_destroy(node->raft);
    node->raft = NULL;
    while (node->writes_count > 0) {
        script_node_forget_write(node);
    }
    queue_deinit(&node->held);
    script_log_deinit(&node->memory);
    raft_payload_unref(node->loaded_membership);
    node->loaded_membership = NULL;
}

/* ---- what changed ------------------------------------------------------------------------------ */

static void tell(struct script_world *world, const struct script_node *node, const char *what)
{
    script_text_add(world->output, "  %" PRIu64 " %s\n", node->id, what);
}

static void tell_role(struct script_world *world, struct script_node *node, const struct raft_status *status)
{
    const struct raft_status *shown = &node->shown;
    if (status->role != shown->role) {
        script_text_add(world->output, "  %" PRIu64 " becomes %s, term %" PRIu64 "\n", node->id,
                        raft_role_name(status->role), status->term);
    } else if (status->term != shown->term) {
        script_text_add(world->output, "  %" PRIu64 " moves to term %" PRIu64 "\n", node->id, status->term);
    }
    if (status->leader == shown->leader && status->term == shown->term) {
        return;
    }
    if (status->leader != RAFT_NODE_NONE && status->leader != node->id) {
        script_text_add(world->output, "  %" PRIu64 " follows %" PRIu64 "\n", node->id, status->leader);
    } else if (status->leader == RAFT_NODE_NONE && status->role == shown->role &&
               status->term == shown->term) {
        tell(world, node, "holds its leader for lost");
    }
}

/* Election safety, thesis 3.2. */
static void check_leader(struct script_world *world, const struct script_node *node,
                         const struct raft_status *status)
{
    if (status->role != RAFT_LEADER || status->term >= SCRIPT_LOG_MAX) {
        return;
    }
    raft_node_id *leader = &world->leaders[status->term];
    if (*leader != RAFT_NODE_NONE && *leader != node->id) {
        script_text_add(world->output, "BROKEN: %" PRIu64 " and %" PRIu64 " lead in term %" PRIu64 "\n",
                        *leader, node->id, status->term);
    }
    *leader = node->id;
}

void script_node_tell_changes(struct script_world *world, struct script_node *node)
{
    struct raft_status status;
    raft_check_invariants(node->raft);
    raft_get_status(node->raft, &status);
    tell_role(world, node, &status);
    check_leader(world, node, &status);
    if (status.transferee != node->shown.transferee && status.transferee != RAFT_NODE_NONE) {
        script_text_add(world->output, "  %" PRIu64 " is handing leadership to %" PRIu64 "\n", node->id,
                        status.transferee);
    } else if (status.transferee != node->shown.transferee && status.role == RAFT_LEADER) {
        tell(world, node, "goes on leading");
    }
    if (status.removed && !node->shown.removed) {
        tell(world, node, "hears that it is out");
    }
    node->shown = status;
}

/* State machine safety, thesis 3.2: false if another entry was committed at this index. */
static bool check_committed(struct script_world *world, const struct raft_entry *entry)
{
    struct script_log *committed = &world->committed;
    if (committed->last == 0) { /* a restored node's commit may begin anywhere */
        committed->base.index = entry->id.index - 1;
        committed->last = entry->id.index - 1;
    }
    if (entry->id.index == committed->last + 1) {
        script_log_put(committed, entry);
    }
    if (entry->id.index <= committed->base.index || entry->id.index > committed->last) {
        return true; /* nothing is known of it */
    }
    const struct raft_entry *before = &committed->entries[entry->id.index];
    return before->id.term == entry->id.term && raft_entry_bytes(before) == raft_entry_bytes(entry) &&
           (entry->payload == NULL ||
            memcmp(before->payload->bytes, entry->payload->bytes, entry->payload->size) == 0);
}

/* True if anything was applied. */
static bool apply(struct script_world *world, struct script_node *node)
{
    const struct raft_entry *entry;
    bool any = false;
    bool agreed = true;
    while (raft_next_committed(node->raft, &entry) == RAFT_NEXT_ENTRY) {
        if (any) {
            script_text_add(world->output, ", ");
        } else {
            script_text_add(world->output, "  %" PRIu64 " commits ", node->id);
        }
        script_text_add_entry(world->output, entry);
        agreed = check_committed(world, entry) && agreed;
        node->applied = entry->id.index;
        any = true;
    }
    if (any) {
        script_text_add(world->output, "\n");
        raft_applied(node->raft, node->applied);
    }
    if (!agreed) {
        script_text_add(world->output, "BROKEN: other entries were committed there before\n");
    }
    return any;
}

unsigned script_read_number(const struct script_world *world, raft_node_id node, uint64_t id)
{
    for (uint32_t i = 0; i < world->reads_count; i++) {
        if (world->reads[i].node == node && world->reads[i].id == id) {
            return i + 1;
        }
    }
    return 0;
}

/* ---- sending ----------------------------------------------------------------------------------- */

/* Takes the messages over. Those that go to another part of a partition are lost. */
static void post(struct script_world *world, struct script_node *node, struct raft_message *messages,
                 uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool goes_on = i > 0 && messages[i].type == messages[i - 1].type;
        bool lost = world->group[messages[i].from - 1] != world->group[messages[i].to - 1];
        if (goes_on) {
            script_text_add(world->output, ", %" PRIu64, messages[i].to);
        } else {
            script_text_add(world->output, "%s  %" PRIu64 " sends %s to %" PRIu64, i == 0 ? "" : "\n",
                            node->id, script_message_name(messages[i].type), messages[i].to);
        }
        if (lost) {
            script_text_add(world->output, " (lost)");
            raft_message_deinit(&messages[i]);
        } else {
            script_queue_push(&world->network, 0, &messages[i]);
        }
    }
    script_text_add(world->output, count == 0 ? "" : "\n");
}

static void hold(struct script_world *world, struct script_node *node, struct raft_ready *ready)
{
    for (uint32_t i = 0; i < ready->messages_after_persist_count; i++) {
        const struct raft_message *message = &ready->messages_after_persist[i];
        script_text_add(world->output,
                        "  %" PRIu64 " keeps %s to %" PRIu64 " until write %" PRIu64 " is done\n", node->id,
                        script_message_name(message->type), message->to, ready->after_sequence);
        script_queue_push(&node->held, ready->after_sequence, message);
    }
}

void script_node_send_held(struct script_world *world, struct script_node *node)
{
    struct raft_message messages[SCRIPT_LOG_MAX];
    uint32_t count = 0;
    while (count < SCRIPT_LOG_MAX && node->held.count > 0 &&
           node->held.items[0].after_sequence <= node->persisted) {
        messages[count++] = script_queue_take(&node->held, 0);
    }
    post(world, node, messages, count);
}

/* ---- turns ------------------------------------------------------------------------------------- */

static void tell_reads(struct script_world *world, struct script_node *node, const struct raft_ready *ready)
{
    for (uint32_t i = 0; i < ready->reads_count; i++) {
        const struct raft_read_result *result = &ready->reads[i];
        unsigned number = script_read_number(world, node->id, result->read_id);
        if (result->ok) {
            script_text_add(world->output, "  %" PRIu64 " may serve read %u at index %" PRIu64 "\n", node->id,
                            number, result->index);
        } else {
            script_text_add(world->output, "  %" PRIu64 " must ask again for read %u\n", node->id, number);
        }
    }
}

static void take_ready(struct script_world *world, struct script_node *node)
{
    struct raft_ready ready;
    raft_take_ready(node->raft, &ready);
    if (ready.sequence != 0) {
        script_node_begin_write(world, node, &ready);
    }
    post(world, node, ready.messages_now, ready.messages_now_count);
    ready.messages_now_count = 0;
    if (ready.after_sequence <= node->persisted || !node->disk_held) {
        for (uint32_t i = 0; i < ready.messages_after_persist_count; i++) {
            script_queue_push(&node->held, ready.after_sequence, &ready.messages_after_persist[i]);
        }
        script_node_send_held(world, node);
    } else {
        hold(world, node, &ready);
    }
    ready.messages_after_persist_count = 0;
    tell_reads(world, node, &ready);
    for (uint32_t i = 0; i < ready.log_reads_count; i++) {
        script_node_read_log(world, node, &ready.log_reads[i]);
    }
    for (uint32_t i = 0; i < ready.snapshots_count; i++) {
        script_text_add(world->output, "  %" PRIu64 " wants a snapshot sent to %" PRIu64 "\n", node->id,
                        ready.snapshots[i]);
    }
    raft_ready_deinit(&ready);
}

void script_node_end_turn(struct script_world *world, struct script_node *node)
{
    script_node_tell_changes(world, node);
    bool busy = true;
    while (busy) {
        busy = apply(world, node);
        if (raft_has_ready(node->raft)) {
            take_ready(world, node);
            busy = true;
        }
        while (!node->disk_held && script_node_persist(world, node)) {
            busy = true;
        }
        script_node_tell_changes(world, node);
    }
}

/* ---- messages ---------------------------------------------------------------------------------- */

static void tell_message(struct script_world *world, const struct raft_message *message)
{
    raft_node_id asker = message->type == RAFT_MESSAGE_READ_INDEX ? message->from : message->to;
    script_text_add(world->output, "%" PRIu64 "->%" PRIu64 " ", message->from, message->to);
    script_text_add_message(world->output, message, script_read_number(world, asker, message->round));
}

void script_world_deliver(struct script_world *world, uint32_t at)
{
    struct raft_message message = script_queue_take(&world->network, at);
    struct script_node *node = script_world_node(world, message.to);
    tell_message(world, &message);
    if (node->raft == NULL) {
        script_text_add(world->output, " (nobody is there)\n");
    } else {
        script_text_add(world->output, "\n");
        raft_peer_contact(node->raft, message.from);
        raft_step(node->raft, &message);
        script_node_end_turn(world, node);
    }
    raft_message_deinit(&message);
}

void script_world_drop(struct script_world *world, uint32_t at)
{
    struct raft_message message = script_queue_take(&world->network, at);
    tell_message(world, &message);
    script_text_add(world->output, " (lost)\n");
    raft_message_deinit(&message);
}
