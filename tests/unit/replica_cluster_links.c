/* replica_cluster_links.c: the connections between the nodes of replica_cluster, and what travels on them. */
#include "replica_cluster_internal.h"

#include "bus_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DIAL_RETRY_MS = 20 };

void cluster_drop_messages(struct cluster_link *link)
{
    while (link->first != NULL) {
        struct cluster_message *message = link->first;
        link->first = message->next;
        free(message);
    }
    link->last = NULL;
}

struct cluster_link *cluster_link(struct cluster *cluster, uint64_t from, uint64_t to)
{
    assert_in_range(from, 1, CLUSTER_NODES_MAX);
    assert_in_range(to, 1, CLUSTER_NODES_MAX);
    return &cluster->links[from - 1][to - 1];
}

void cluster_cut(struct cluster *cluster, uint64_t from, uint64_t to)
{
    cluster_link(cluster, from, to)->cut = true;
    cluster_drop_messages(cluster_link(cluster, from, to));
}

void cluster_hold_links_to(struct cluster *cluster, uint64_t id)
{
    for (uint64_t other = 1; other <= cluster->nodes_count; other++) {
        cluster_link(cluster, other, id)->held = true;
    }
}

void cluster_isolate(struct cluster *cluster, uint64_t id)
{
    for (uint64_t other = 1; other <= cluster->nodes_count; other++) {
        if (other != id) {
            cluster_cut(cluster, id, other);
            cluster_cut(cluster, other, id);
        }
    }
}

void cluster_heal(struct cluster *cluster)
{
    for (uint32_t i = 0; i < CLUSTER_NODES_MAX; i++) {
        for (uint32_t j = 0; j < CLUSTER_NODES_MAX; j++) {
            cluster->links[i][j].cut = false;
            cluster->links[i][j].held = false;
        }
    }
}

static void notice_unreachable(struct cluster_node *node, uint64_t peer)
{
    if (node->running && !node->paused && !node->closing) {
        replica_set_time(node->replica, node->cluster->now_ms, cluster_node_wall_ms(node));
        replica_on_peer_unreachable(node->replica, peer);
        node->has_input = true;
    }
}

void cluster_reset_link(struct cluster *cluster, uint64_t from, uint64_t to)
{
    struct cluster_link *link = cluster_link(cluster, from, to);
    cluster_drop_messages(link);
    if (!link->connected) {
        return;
    }
    link->connected = false;
    link->next_dial_ms = cluster->now_ms + DIAL_RETRY_MS;
    notice_unreachable(cluster_node(cluster, from), to);
    notice_unreachable(cluster_node(cluster, to), from);
}

struct bus_message cluster_decode(const uint8_t *bytes, size_t size)
{
    struct bus_message message;
    size_t consumed = 0;
    size_t wanted = 0;
    enum bus_codec_result result =
        bus_codec_decode(bytes, size, BUS_FRAME_BYTES_MAX, &message, &consumed, &wanted);
    assert_int_equal(result, BUS_CODEC_MESSAGE);
    assert_int_equal(consumed, size);
    return message;
}

uint32_t cluster_count_messages(const struct cluster_link *link, enum raft_message_type type)
{
    uint32_t count = 0;
    for (const struct cluster_message *queued = link->first; queued != NULL; queued = queued->next) {
        struct bus_message message = cluster_decode(queued->bytes, queued->size);
        count += message.type == BUS_MESSAGE_RAFT && message.raft.type == type ? 1 : 0;
        bus_message_deinit(&message);
    }
    return count;
}

bool cluster_can_talk(const struct cluster_node *node)
{
    return node->running && !node->paused && !node->stopped;
}

/* One side says hello; what the other side makes of it. */
static bool say_hello(struct cluster_node *from, struct cluster_node *to, struct bus_hello *hello,
                      struct bus_message *refused)
{
    struct bus_message message = {.type = BUS_MESSAGE_HELLO};
    replica_fill_hello(from->replica, to->id, &message.hello);
    struct byte_buffer bytes = {0};
    bus_codec_encode(&bytes, &message);
    struct bus_message arrived = cluster_decode(byte_buffer_front(&bytes), byte_buffer_size(&bytes));
    byte_buffer_deinit(&bytes);
    *hello = arrived.hello;
    return replica_check_hello(to->replica, hello, refused);
}

static bool dial(struct cluster_node *from, struct cluster_node *to)
{
    struct cluster *cluster = from->cluster;
    struct cluster_link *link = cluster_link(cluster, from->id, to->id);
    link->next_dial_ms = cluster->now_ms + DIAL_RETRY_MS;
    struct bus_hello first, answer;
    struct bus_message refused;
    replica_set_time(from->replica, cluster->now_ms, cluster_node_wall_ms(from));
    replica_set_time(to->replica, cluster->now_ms, cluster_node_wall_ms(to));
    from->has_input = to->has_input = true;
    if (!say_hello(from, to, &first, &refused)) {
        replica_on_refused(from->replica, to->id, refused.refused.code, refused.refused.reason);
        return true;
    }
    if (!say_hello(to, from, &answer, &refused)) {
        replica_on_refused(to->replica, from->id, refused.refused.code, refused.refused.reason);
        return true;
    }
    link->connected = true;
    replica_on_peer_hello(to->replica, from->id, &first);
    replica_on_peer_connected(from->replica, to->id, &answer);
    return true;
}

/* A node that joins asks the one at this address. */
static void ask_to_join(struct cluster_node *from, const struct replica_member *target)
{
    struct cluster *cluster = from->cluster;
    unsigned id = 0;
    struct bus_hello hello;
    struct bus_message refused, answer = {.type = BUS_MESSAGE_JOIN_ANSWER};
    assert_int_equal(sscanf(target->bus_host, "node%u", &id), 1);
    struct cluster_node *to = cluster_node(cluster, id);
    bool open =
        to != from && !cluster_link(cluster, from->id, id)->cut && !cluster_link(cluster, id, from->id)->cut;
    if (!open || !cluster_can_talk(to)) {
        replica_on_join_failed(from->replica, "cannot be reached");
        return;
    }
    replica_set_time(to->replica, cluster->now_ms, cluster_node_wall_ms(to));
    to->has_input = true;
    replica_fill_hello(from->replica, RAFT_NODE_NONE, &hello);
    if (!replica_check_hello(to->replica, &hello, &refused)) {
        replica_on_join_refused(from->replica, refused.refused.code, refused.refused.reason);
        return;
    }
    replica_on_join_request(to->replica, &hello, &answer.join_answer);
    struct byte_buffer bytes = {0};
    bus_codec_encode(&bytes, &answer);
    struct bus_message arrived = cluster_decode(byte_buffer_front(&bytes), byte_buffer_size(&bytes));
    byte_buffer_deinit(&bytes);
    replica_on_join_answer(from->replica, &arrived.join_answer);
}

static bool join_all(struct cluster *cluster)
{
    bool asked = false;
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        struct replica_member target;
        if (!cluster_can_talk(node)) {
            continue;
        }
        replica_set_time(node->replica, cluster->now_ms, cluster_node_wall_ms(node));
        if (replica_take_join_target(node->replica, &target)) {
            node->has_input = asked = true;
            ask_to_join(node, &target);
        }
    }
    return asked;
}

/* As the bus does it: a node dials whom its replica wants to be connected with. */
static bool is_peer(const struct cluster_node *node, uint64_t id)
{
    struct replica_member peers[REPLICA_PEERS_MAX];
    uint32_t count = replica_peers(node->replica, peers);
    for (uint32_t i = 0; i < count; i++) {
        if (peers[i].node_id == id) {
            return peers[i].bus_port != 0;
        }
    }
    return false;
}

/* What stood with a node that its replica does not want to talk to any more. */
static void hang_up_all(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        struct cluster_node *from = &cluster->nodes[i];
        for (uint32_t j = 0; cluster_can_talk(from) && j < cluster->nodes_count; j++) {
            if (i != j && !is_peer(from, j + 1)) {
                cluster_reset_link(cluster, from->id, j + 1);
                cluster_reset_link(cluster, j + 1, from->id);
            }
        }
    }
}

bool cluster_dial_all(struct cluster *cluster)
{
    bool dialled = join_all(cluster);
    hang_up_all(cluster);
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        for (uint32_t j = 0; j < cluster->nodes_count; j++) {
            struct cluster_node *from = &cluster->nodes[i];
            struct cluster_node *to = &cluster->nodes[j];
            struct cluster_link *there = &cluster->links[i][j];
            bool open = !there->cut && !cluster->links[j][i].cut;
            if (i != j && open && !there->connected && cluster_can_talk(from) && cluster_can_talk(to) &&
                is_peer(from, to->id) && cluster->now_ms >= there->next_dial_ms) {
                dialled = dial(from, to) || dialled;
            }
        }
    }
    return dialled;
}
