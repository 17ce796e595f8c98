/* replica_cluster_client.c: the clients of replica_cluster, and what tests look at. See replica_cluster.h. */
#include "replica_cluster_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EXPECT_MS_MAX = 15000, LEADER_MS_MAX = 30000 };

/* ---- connections --------------------------------------------------------------------------------- */

struct cluster_client *cluster_connect(struct cluster_node *node, uint32_t listener)
{
    struct cluster *cluster = node->cluster;
    assert_true(node->running && !node->paused);
    struct cluster_client *client = calloc(1, sizeof *client);
    assert_non_null(client);
    struct client_info info = {.id = ++cluster->next_client_id, .listener = listener};
    (void)snprintf(info.address, sizeof info.address, "10.0.0.1:%u", (unsigned)info.id);
    static const struct resp_limits limits = {64 << 10, 1 << 20, 16 << 20, 16 << 20};
    resp_parser_init(&client->parser, &limits);
    client->node = node;
    client->takes_output = true;
    client->is_read = true;
    replica_set_time(node->replica, cluster->now_ms, cluster_node_wall_ms(node));
    client->client = replica_client_open(node->replica, &info, client);
    client->next = cluster->clients;
    cluster->clients = client;
    return client;
}

/* The connection is gone; what has arrived can still be looked at. */
static void end_connection(struct cluster_client *client)
{
    replica_client_close(client->node->replica, client->client);
    client->client = NULL;
}

void cluster_disconnect(struct cluster_client *client)
{
    if (client->client != NULL) {
        end_connection(client);
        client->node->has_input = true;
    }
}

void cluster_clients_of_node_ended(struct cluster_node *node)
{
    for (struct cluster_client *client = node->cluster->clients; client != NULL; client = client->next) {
        if (client->node == node && client->client != NULL) {
            client->client = NULL; /* replica_destroy() closes those that are left */
            client->ended_by_node = true;
        }
    }
}

void cluster_clients_destroy(struct cluster *cluster)
{
    while (cluster->clients != NULL) {
        struct cluster_client *client = cluster->clients;
        cluster->clients = client->next;
        resp_parser_deinit(&client->parser);
        byte_buffer_deinit(&client->input);
        byte_buffer_deinit(&client->received);
        free(client);
    }
}

static void take_output(struct cluster_client *client)
{
    struct byte_buffer *output = replica_client_output(client->client);
    size_t size = byte_buffer_size(output);
    if (client->takes_output && size > 0) {
        byte_buffer_append(&client->received, byte_buffer_front(output), size);
        replica_client_sent(client->node->replica, client->client, size);
    }
}

void cluster_client_on_ready(struct cluster_client *client)
{
    take_output(client);
    if (!client->is_read && replica_client_wants_input(client->node->replica, client->client)) {
        client->is_read = true;
        client->node->has_input = client->node->has_input || byte_buffer_size(&client->input) > 0;
    }
}

static void read_client(struct cluster_client *client)
{
    struct replica *replica = client->node->replica;
    while (byte_buffer_size(&client->input) > 0 && client->is_read) {
        if (!replica_client_wants_input(replica, client->client)) {
            client->is_read = false; /* until client_ready says otherwise */
            return;
        }
        size_t consumed = 0;
        switch (resp_parser_feed(&client->parser, byte_buffer_front(&client->input),
                                 byte_buffer_size(&client->input), &consumed)) {
        case RESP_PARSER_REQUEST:
            if (client->parser.arguments_count > 0) {
                replica_client_request(replica, client->client, client->parser.arguments,
                                       client->parser.arguments_count);
            }
            byte_buffer_consume(&client->input, consumed);
            break;
        case RESP_PARSER_NEED_MORE:
            return;
        case RESP_PARSER_ERROR:
        case RESP_PARSER_FORBIDDEN:
            replica_client_protocol_error(replica, client->client, client->parser.error);
            return;
        }
    }
}

void cluster_clients_read(struct cluster_node *node)
{
    for (struct cluster_client *client = node->cluster->clients; client != NULL; client = client->next) {
        if (client->node == node && client->client != NULL) {
            take_output(client); /* of one that begins again to read its replies */
            read_client(client);
        }
    }
}

void cluster_clients_end_closing(struct cluster_node *node)
{
    for (struct cluster_client *client = node->cluster->clients; client != NULL; client = client->next) {
        if (client->node == node && client->client != NULL && replica_client_is_closing(client->client) &&
            byte_buffer_size(replica_client_output(client->client)) == 0) {
            end_connection(client);
            client->ended_by_node = true;
        }
    }
}

/* ---- what clients do ----------------------------------------------------------------------------- */

void cluster_send_bytes(struct cluster_client *client, const void *bytes, size_t size)
{
    assert_non_null(client->client);
    byte_buffer_append(&client->input, bytes, size);
    client->node->has_input = true;
}

void cluster_send(struct cluster_client *client, const char *line)
{
    cluster_send_bytes(client, line, strlen(line));
    cluster_send_bytes(client, "\r\n", 2);
}

void cluster_send_set(struct cluster_client *client, const char *key, size_t value_bytes)
{
    char header[256];
    int size = snprintf(header, sizeof header, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(key), key,
                        value_bytes);
    char *value = malloc(value_bytes + 2);
    assert_non_null(value);
    memset(value, 'x', value_bytes);
    memcpy(value + value_bytes, "\r\n", 2);
    cluster_send_bytes(client, header, (size_t)size);
    cluster_send_bytes(client, value, value_bytes + 2);
    free(value);
}

const char *cluster_received(struct cluster_client *client)
{
    *byte_buffer_reserve(&client->received, 1) = '\0';
    return (const char *)byte_buffer_front(&client->received);
}

void cluster_forget_received(struct cluster_client *client)
{
    byte_buffer_consume(&client->received, byte_buffer_size(&client->received));
}

struct expectation {
    struct cluster_client *client;
    size_t size;
};

static bool has_arrived(struct cluster *cluster, void *context)
{
    (void)cluster;
    const struct expectation *expectation = context;
    return byte_buffer_size(&expectation->client->received) >= expectation->size;
}

static void await_bytes(struct cluster_client *client, size_t size, const char *what)
{
    struct cluster *cluster = client->node->cluster;
    struct expectation expectation = {client, size};
    for (uint64_t end_ms = cluster->now_ms + EXPECT_MS_MAX; cluster->now_ms < end_ms;) {
        cluster_settle(cluster);
        if (has_arrived(cluster, &expectation)) {
            return;
        }
        cluster_run(cluster, 1);
    }
    fail_msg("waited for \"%s\", there is \"%s\"", what, cluster_received(client));
}

void cluster_expect(struct cluster_client *client, const char *text)
{
    await_bytes(client, strlen(text), text);
    assert_string_equal(cluster_received(client), text);
    cluster_forget_received(client);
}

void cluster_expect_prefix(struct cluster_client *client, const char *prefix)
{
    await_bytes(client, strlen(prefix) + 2, prefix);
    const char *received = cluster_received(client);
    if (strncmp(received, prefix, strlen(prefix)) != 0) {
        fail_msg("expected \"%s...\", there is \"%s\"", prefix, received);
    }
    cluster_forget_received(client);
}

void cluster_expect_nothing(struct cluster_client *client, uint64_t ms)
{
    cluster_run(client->node->cluster, ms);
    assert_string_equal(cluster_received(client), "");
}

const char *cluster_ask(struct cluster_node *node, const char *line)
{
    struct cluster_client *client = cluster_connect(node, 0);
    cluster_send(client, line);
    await_bytes(client, 3, line);
    const char *reply = cluster_received(client); /* lives on: the cluster keeps the client */
    cluster_disconnect(client);
    return reply;
}

void cluster_tell_leader(struct cluster *cluster, const char *line, const char *begin)
{
    const char *reply = cluster_ask(cluster_await_leader(cluster), line);
    if (strncmp(reply, begin, strlen(begin)) != 0) {
        fail_msg("%s was answered %s", line, reply);
    }
}

void cluster_write_values(struct cluster *cluster, const char *prefix, int count)
{
    struct cluster_client *client = cluster_connect(cluster_await_leader(cluster), 0);
    for (int i = 0; i < count; i++) {
        char key[40];
        (void)snprintf(key, sizeof key, "%s:%d", prefix, i);
        cluster_send_set(client, key, 1000);
        cluster_expect(client, "+OK\r\n");
    }
    cluster_disconnect(client);
}

/* ---- looking ------------------------------------------------------------------------------------- */

struct raft_status cluster_status(const struct cluster_node *node)
{
    struct raft_status status = {.role = RAFT_FOLLOWER};
    if (node->running && replica_raft(node->replica) != NULL) {
        raft_get_status(replica_raft(node->replica), &status);
    }
    return status;
}

struct cluster_node *cluster_find_leader(struct cluster *cluster)
{
    struct cluster_node *leader = NULL;
    uint64_t term = 0;
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        struct raft_status status = cluster_status(node);
        if (node->running && !node->paused && status.role == RAFT_LEADER && status.leader_ready &&
            status.term > term) {
            leader = node;
            term = status.term;
        }
    }
    return leader;
}

/* A leader, and everybody who could know it does. */
static bool is_led(struct cluster *cluster, void *context)
{
    (void)context;
    struct cluster_node *leader = cluster_find_leader(cluster);
    if (leader == NULL) {
        return false;
    }
    uint32_t following = 0;
    uint32_t running = 0;
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        bool cut = node != leader && (cluster_link(cluster, leader->id, node->id)->cut ||
                                      cluster_link(cluster, node->id, leader->id)->cut);
        if (!node->running || node->paused || cut) {
            continue;
        }
        running++;
        following += cluster_status(node).leader == leader->id ? 1 : 0;
    }
    return following == running && following > cluster_status(leader).membership.voters_count / 2;
}

struct cluster_node *cluster_await_leader(struct cluster *cluster)
{
    cluster_run_until(cluster, is_led, NULL, LEADER_MS_MAX);
    return cluster_find_leader(cluster);
}

struct cluster_node *cluster_follower(struct cluster *cluster, uint32_t number)
{
    struct cluster_node *leader = cluster_await_leader(cluster);
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        if (&cluster->nodes[i] != leader && number-- == 0) {
            return &cluster->nodes[i];
        }
    }
    fail_msg("there is no such follower");
    return NULL;
}

const struct map_meta *cluster_meta(const struct cluster_node *node)
{
    assert_non_null(replica_map(node->replica));
    return map_get_meta(replica_map(node->replica));
}

bool cluster_has_stopped(struct cluster *cluster, void *node)
{
    (void)cluster;
    return ((const struct cluster_node *)node)->stopped;
}

bool cluster_has_event(const struct cluster_node *node, const char *text)
{
    return memmem(byte_buffer_front(&node->events), byte_buffer_size(&node->events), text, strlen(text)) !=
           NULL;
}

static bool has_all_applied(struct cluster *cluster, void *context)
{
    (void)context;
    struct cluster_node *leader = cluster_find_leader(cluster);
    if (leader == NULL) {
        return false;
    }
    uint64_t last = cluster_status(leader).last.index;
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        if (node->running &&
            (replica_map(node->replica) == NULL || cluster_meta(node)->applied_index != last)) {
            return false;
        }
    }
    return true;
}

void cluster_assert_equal(struct cluster *cluster)
{
    (void)cluster_await_leader(cluster);
    cluster_run_until(cluster, has_all_applied, NULL, LEADER_MS_MAX);
    const struct map_meta *first = NULL;
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (!node->running) {
            continue;
        }
        const struct map_meta *meta = cluster_meta(node);
        first = first == NULL ? meta : first;
        assert_int_equal(meta->digest, first->digest);
        assert_int_equal(meta->key_count, first->key_count);
        assert_int_equal(meta->log_time_ms, first->log_time_ms);
        uint64_t key_count = 0;
        uint64_t digest = 0;
        map_recount(replica_map(node->replica), &key_count,
                    &digest); /* the sum is that of what is really there */
        assert_int_equal(digest, meta->digest);
        assert_int_equal(key_count, meta->key_count);
    }
}
