/* commands_cluster.c: CLUSTER, as Redis Cluster answers it for one shard.
 *
 * The leader, or the last one known, is the master and owns all 16384 slots; the other members are its
 * replicas: also while there is no leader, since clients refuse an answer with holes. node_view.members has
 * it first. A member whose client address is not known yet is left out of SLOTS and SHARDS, and has no
 * address in NODES.
 */
#include "command_functions.h"
#include "command_text.h"
#include "key_slot.h"
#include "number_parse.h"

#include <assert.h>
#include <string.h>

/* The members that SLOTS and SHARDS show; the first of them is the master. */
static uint32_t addressed_members(const struct node_view *node, const struct node_view_member **members)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->members_count; i++) {
        if (node->members[i].port != 0) {
            members[count++] = &node->members[i];
        }
    }
    return count;
}

static const struct node_view_member *own_member(const struct node_view *node)
{
    for (uint32_t i = 0; i < node->members_count; i++) {
        if (node->members[i].is_self) {
            return &node->members[i];
        }
    }
    return NULL;
}

static void cluster_slots(struct command_context *context)
{
    struct reply *reply = context->reply;
    const struct node_view_member *members[NODE_VIEW_MEMBERS_MAX];
    uint32_t count = addressed_members(context->node, members);
    reply_array(reply, count == 0 ? 0 : 1);
    if (count == 0) {
        return;
    }
    reply_array(reply, 2 + count);
    reply_integer(reply, 0);
    reply_integer(reply, KEY_SLOTS_COUNT - 1);
    for (uint32_t i = 0; i < count; i++) {
        reply_array(reply, 4);
        reply_bulk_text(reply, members[i]->host);
        reply_integer(reply, members[i]->port);
        reply_bulk_text(reply, members[i]->hex_id);
        reply_map(reply, 0);
    }
}

/* ---- SHARDS ---- */

static uint64_t replication_offset(const struct node_view *node, const struct node_view_member *member)
{
    if (member->is_self) {
        return node->applied_index;
    }
    return member->progress_known ? member->match_index : 0;
}

static void reply_shard_node(struct reply *reply, const struct node_view *node,
                             const struct node_view_member *member, bool is_master)
{
    reply_map(reply, 7);
    reply_bulk_text(reply, "id");
    reply_bulk_text(reply, member->hex_id);
    reply_bulk_text(reply, "port");
    reply_integer(reply, member->port);
    reply_bulk_text(reply, "ip");
    reply_bulk_text(reply, member->host);
    reply_bulk_text(reply, "endpoint");
    reply_bulk_text(reply, member->host);
    reply_bulk_text(reply, "role");
    reply_bulk_text(reply, is_master ? "master" : "replica");
    reply_bulk_text(reply, "replication-offset");
    reply_integer(reply, (int64_t)replication_offset(node, member));
    reply_bulk_text(reply, "health");
    reply_bulk_text(reply, member->is_self || member->connected ? "online" : "fail");
}

static void cluster_shards(struct command_context *context)
{
    struct reply *reply = context->reply;
    const struct node_view_member *members[NODE_VIEW_MEMBERS_MAX];
    uint32_t count = addressed_members(context->node, members);
    reply_array(reply, count == 0 ? 0 : 1);
    if (count == 0) {
        return;
    }
    reply_map(reply, 2);
    reply_bulk_text(reply, "slots");
    reply_array(reply, 2);
    reply_integer(reply, 0);
    reply_integer(reply, KEY_SLOTS_COUNT - 1);
    reply_bulk_text(reply, "nodes");
    reply_array(reply, count);
    for (uint32_t i = 0; i < count; i++) {
        reply_shard_node(reply, context->node, members[i], i == 0);
    }
}

/* ---- NODES, REPLICAS ---- */

/* <id> <host>:<port>@<bus port> <flags> <master id | -> <ping> <pong> <epoch> <link> [slots], without a line
 * end. */
static void append_node_line(struct byte_buffer *text, const struct node_view *node, uint32_t i)
{
    const struct node_view_member *member = &node->members[i];
    bool has_address = member->port != 0;
    bool is_master = i == 0;
    command_text_append(
        text, "%s %s:%u@%u %s%s%s %s 0 0 %llu %s%s", member->hex_id, has_address ? member->host : "",
        member->port, has_address ? member->bus_port : 0, member->is_self ? "myself," : "",
        is_master ? "master" : "slave", has_address ? "" : ",noaddr",
        is_master ? "-" : node->members[0].hex_id, (unsigned long long)node->term,
        member->is_self || member->connected ? "connected" : "disconnected", is_master ? " 0-16383" : "");
}

static void reply_text(struct command_context *context, struct byte_buffer *text)
{
    byte_buffer_append(text, "", 1);
    reply_verbatim_text(context->reply, (const char *)byte_buffer_front(text), byte_buffer_size(text) - 1);
    byte_buffer_deinit(text);
}

static void cluster_nodes(struct command_context *context)
{
    struct byte_buffer text = {0};
    for (uint32_t i = 0; i < context->node->members_count; i++) {
        append_node_line(&text, context->node, i);
        command_text_append(&text, "\n");
    }
    reply_text(context, &text);
}

static void cluster_replicas(struct command_context *context)
{
    const struct node_view *node = context->node;
    const struct argument *id = &context->arguments[2];
    uint32_t found = 0;
    while (found < node->members_count && (id->size != strlen(node->members[found].hex_id) ||
                                           memcmp(id->bytes, node->members[found].hex_id, id->size) != 0)) {
        found++;
    }
    if (found == node->members_count) {
        int size = id->size > 128 ? 128 : (int)id->size;
        reply_error_format(context->reply, "ERR Unknown node %.*s", size, (const char *)id->bytes);
        return;
    }
    if (found != 0) {
        reply_error(context->reply, "ERR The specified node is not a master");
        return;
    }
    reply_array(context->reply, node->members_count - 1);
    for (uint32_t i = 1; i < node->members_count; i++) {
        struct byte_buffer line = {0};
        append_node_line(&line, node, i);
        reply_bulk(context->reply, byte_buffer_front(&line), byte_buffer_size(&line));
        byte_buffer_deinit(&line);
    }
}

/* ---- INFO, ids, slots ---- */

static void cluster_info(struct command_context *context)
{
    const struct node_view *node = context->node;
    struct byte_buffer text = {0};
    command_text_append(&text, "cluster_state:%s\r\n", node->state_ok ? "ok" : "fail");
    command_text_append(&text, "cluster_slots_assigned:%d\r\n", KEY_SLOTS_COUNT);
    command_text_append(&text, "cluster_slots_ok:%d\r\n", node->state_ok ? KEY_SLOTS_COUNT : 0);
    command_text_append(&text, "cluster_slots_pfail:0\r\n");
    command_text_append(&text, "cluster_slots_fail:%d\r\n", node->state_ok ? 0 : KEY_SLOTS_COUNT);
    command_text_append(&text, "cluster_known_nodes:%u\r\n", node->members_count);
    command_text_append(&text, "cluster_size:1\r\n");
    command_text_append(&text, "cluster_current_epoch:%llu\r\n", (unsigned long long)node->term);
    command_text_append(&text, "cluster_my_epoch:%llu\r\n", (unsigned long long)node->term);
    reply_text(context, &text);
}

static void cluster_myid(struct command_context *context)
{
    const struct node_view_member *self = own_member(context->node);
    reply_bulk_text(context->reply, self == NULL ? "0000000000000000000000000000000000000000" : self->hex_id);
}

/* The one shard is named after the cluster, filled up to the 40 digits that clients expect. */
static void cluster_myshardid(struct command_context *context)
{
    char id[41];
    memset(id, '0', 40);
    id[40] = '\0';
    size_t size = strlen(context->node->cluster_id);
    assert(size <= 40);
    memcpy(id, context->node->cluster_id, size);
    reply_bulk_text(context->reply, id);
}

static void cluster_keyslot(struct command_context *context)
{
    const struct argument *key = &context->arguments[2];
    reply_integer(context->reply, key_slot(key->bytes, key->size));
}

/* Keys are not kept by slot, and counting them would mean to read them all. */
static void cluster_keys_in_slot(struct command_context *context)
{
    const struct argument *word = &context->arguments[2];
    int64_t slot;
    if (!number_parse_int64(word->bytes, word->size, &slot)) {
        reply_error(context->reply, ERROR_NOT_AN_INTEGER);
    } else if (slot < 0 || slot >= KEY_SLOTS_COUNT) {
        reply_error(context->reply, "ERR Invalid slot");
    } else {
        reply_error(context->reply, "ERR This instance keeps no keys by slot: use DBSIZE and SCAN");
    }
}

const struct command_subcommand COMMAND_CLUSTER_SUBCOMMANDS[] = {
    {"countkeysinslot", 3, cluster_keys_in_slot, "Not supported: kvd keeps no keys by slot.", "slot"},
    {"getkeysinslot", 4, cluster_keys_in_slot, "Not supported: kvd keeps no keys by slot.", "slot count"},
    {"help", 2, command_help, "Prints this help.", ""},
    {"info", 2, cluster_info, "Tells whether the cluster can serve, and its size.", ""},
    {"keyslot", 3, cluster_keyslot, "Computes the slot of a key.", "key"},
    {"myid", 2, cluster_myid, "Returns this node's id.", ""},
    {"myshardid", 2, cluster_myshardid, "Returns the id of the one shard.", ""},
    {"nodes", 2, cluster_nodes, "Lists the nodes, one line each.", ""},
    {"replicas", 3, cluster_replicas, "Lists the replicas of a master.", "node-id"},
    {"shards", 2, cluster_shards, "Describes the one shard and its nodes.", ""},
    {"slaves", 3, cluster_replicas, "Lists the replicas of a master.", "node-id"},
    {"slots", 2, cluster_slots, "Tells which nodes serve which slots.", ""},
    {NULL, 0, NULL, NULL, NULL},
};
