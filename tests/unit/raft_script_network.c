/* raft_script_network.c: the commands of a script that move messages: see raft_script_internal.h. */
#include <stdlib.h>
#include <string.h>

#include "raft_script_internal.h"

enum {
    DELIVERIES_MAX = 500, /* "deliver all": more would go round for ever */
};

static bool is_on(const struct raft_message *message, raft_node_id from, raft_node_id to)
{
    return (from == 0 || message->from == from) && (to == 0 || message->to == to);
}

/* The messages on a link that are there now, or the first few of them, one after the other. */
static void for_messages(struct raft_script *script, void (*act)(struct script_world *world, uint32_t at))
{
    struct script_queue *network = &script->world.network;
    bool all = strcmp(script_word(script, 1), "all") == 0;
    raft_node_id from = 0;
    raft_node_id to = 0;
    if (!all && !script_parse_link(script, script_word(script, 1), &from, &to)) {
        return;
    }
    uint64_t left = script_number_at(script, 2, network->count);
    bool any = false;
    for (uint32_t at = 0; left > 0 && at < network->count;) {
        if (!is_on(&network->items[at].message, from, to)) {
            at++;
            continue;
        }
        act(&script->world, at);
        any = true;
        left--;
    }
    if (!any) {
        script_text_add(script->output, "nothing is on its way\n");
    }
}

void script_deliver_all(struct raft_script *script)
{
    struct script_queue *network = &script->world.network;
    int left = DELIVERIES_MAX;
    for (; left > 0 && network->count > 0; left--) {
        script_world_deliver(&script->world, 0);
    }
    if (left == 0) {
        script_fail(script, "this goes on for ever");
    }
}

void script_do_deliver(struct raft_script *script)
{
    if (strcmp(script_word(script, 1), "all") == 0 && script->world.network.count > 0) {
        script_deliver_all(script);
        return;
    }
    for_messages(script, script_world_deliver);
}

void script_do_drop(struct raft_script *script)
{
    for_messages(script, script_world_drop);
}

/* append 1->3 2 1 1 2 x: an APPEND of term 2 that no core has sent: after 1(t1), with 2(t2) x. */
void script_do_append(struct raft_script *script)
{
    struct raft_message message = {.type = RAFT_MESSAGE_APPEND, .term = script_number_at(script, 2, 0)};
    if (!script_parse_link(script, script_word(script, 1), &message.from, &message.to)) {
        return;
    }
    if (message.from == 0 || message.to == 0 || script->words_count < 5) {
        script_fail(script, "append 1->2 <term> <index> <term of it> and <term> <text> of each entry");
        return;
    }
    message.log = (struct raft_entry_id){.index = script_number_at(script, 3, 0),
                                         .term = script_number_at(script, 4, 0)};
    message.entries_count = (script->words_count - 5) / 2;
    message.entries = calloc(message.entries_count + 1, sizeof *message.entries);
    if (message.entries == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < message.entries_count; i++) {
        const char *text = script_word(script, 6 + 2 * i);
        struct raft_entry *entry = &message.entries[i];
        entry->id = (struct raft_entry_id){.index = message.log.index + 1 + i,
                                           .term = script_number_at(script, 5 + 2 * i, 0)};
        entry->type = strcmp(text, "noop") == 0 ? RAFT_ENTRY_NOOP : RAFT_ENTRY_COMMANDS;
        if (entry->type == RAFT_ENTRY_COMMANDS) {
            entry->payload = script_create_payload(text);
        }
    }
    script_queue_push(&script->world.network, 0, &message);
}

/* The first message on a link: once more at its end (duplicate), or only then (delay). */
static void repeat_first(struct raft_script *script, bool keep)
{
    struct script_queue *network = &script->world.network;
    raft_node_id from;
    raft_node_id to;
    if (!script_parse_link(script, script_word(script, 1), &from, &to)) {
        return;
    }
    for (uint32_t at = 0; at < network->count; at++) {
        if (!is_on(&network->items[at].message, from, to)) {
            continue;
        }
        struct raft_message message =
            keep ? script_message_copy(&network->items[at].message) : script_queue_take(network, at);
        script_queue_push(network, 0, &message);
        return;
    }
    script_fail(script, "nothing is on its way there");
}

void script_do_duplicate(struct raft_script *script)
{
    repeat_first(script, true);
}

void script_do_delay(struct raft_script *script)
{
    repeat_first(script, false);
}

/* partition 1 2 | 3: what is on its way between the groups is lost as well. */
void script_do_partition(struct raft_script *script)
{
    struct script_world *world = &script->world;
    uint32_t group = 1;
    for (uint32_t i = 1; i < script->words_count; i++) {
        uint64_t id = script_number_at(script, i, 0);
        if (strcmp(script_word(script, i), "|") == 0) {
            group++;
        } else if (script_world_node(world, id) != NULL) {
            world->group[id - 1] = group;
        } else {
            script_fail(script, "partition 1 2 | 3");
        }
    }
    for (uint32_t at = 0; at < world->network.count;) {
        const struct raft_message *message = &world->network.items[at].message;
        if (world->group[message->from - 1] != world->group[message->to - 1]) {
            script_world_drop(world, at);
        } else {
            at++;
        }
    }
}

void script_do_heal(struct raft_script *script)
{
    memset(script->world.group, 0, sizeof script->world.group);
}

/* unreachable 2->1: node 2 finds its connection to 1 broken. */
void script_do_unreachable(struct raft_script *script)
{
    raft_node_id from;
    raft_node_id to;
    if (!script_parse_link(script, script_word(script, 1), &from, &to)) {
        return;
    }
    for (uint32_t i = 0; i < script->world.nodes_count; i++) {
        struct script_node *node = &script->world.nodes[i];
        if (node->raft != NULL && (from == 0 || node->id == from) && node->id != to) {
            raft_peer_unreachable(node->raft, to);
            script_node_end_turn(&script->world, node);
        }
    }
}
