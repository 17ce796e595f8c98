/* sim_connection.c: see sim_connection.h. */
#include "sim_connection.h"

#include "sim_client.h"
#include "sim_operator.h"

#include <stdlib.h>
#include <string.h>

enum { DELAY_US_MAX = 8000, REQUESTS_PER_TURN_MAX = 40, SLOW_US = 300000, RESETS_PER_MILLE = 500 };

/* A piece of a stream on its way. */
struct piece {
    struct sim_connection *connection;
    bool to_node;
    uint64_t applied; /* to the client: by the node */
    size_t size;
    uint8_t bytes[];
};

struct sim_connections {
    struct sim_connection *all, *live;
    uint64_t count;
};

static uint64_t draw_delay(struct sim *sim)
{
    return sim_around(sim, sim->knobs.delay_us < DELAY_US_MAX ? sim->knobs.delay_us : DELAY_US_MAX);
}

/* ---- bytes on their way -------------------------------------------------------------------------- */

static void on_piece(void *target, uint64_t number)
{
    struct piece *piece = target;
    struct sim_connection *connection = piece->connection;
    (void)number;
    if (piece->to_node) {
        if (connection->node->incarnation == connection->incarnation && !connection->node_closed &&
            connection->node->state != SIM_NODE_DOWN) {
            byte_buffer_append(&connection->input, piece->bytes, piece->size);
            connection->starved = false;
            sim_node_wake(connection->node);
        }
    } else if (!connection->client_closed) {
        byte_buffer_append(&connection->reader.input, piece->bytes, piece->size);
        connection->applied = piece->applied;
        if (connection->client == NULL) {
            sim_operator_on_bytes(connection->sim);
        } else {
            sim_client_on_bytes(connection->client);
        }
    }
    free(piece);
}

static void send_piece(struct sim_connection *connection, bool to_node, const uint8_t *bytes, size_t size)
{
    struct sim *sim = connection->sim;
    struct piece *piece = sim_allocate(sizeof *piece + size);
    uint64_t *last_us = to_node ? &connection->to_node_us : &connection->to_client_us;
    uint64_t arrive_us = sim->now_us + draw_delay(sim);
    piece->connection = connection;
    piece->to_node = to_node;
    if (!to_node && sim_node_raft(connection->node) != NULL) {
        piece->applied = map_get_meta(replica_map(connection->node->replica))->applied_index;
    }
    piece->size = size;
    memcpy(piece->bytes, bytes, size);
    *last_us = arrive_us > *last_us ? arrive_us : *last_us;
    sim_after(sim, *last_us - sim->now_us, on_piece, piece, 0);
}

/* In one or two pieces. */
static void send_bytes(struct sim_connection *connection, bool to_node, const uint8_t *bytes, size_t size)
{
    struct sim *sim = connection->sim;
    size_t first = size > 1 && sim_random_chance(&sim->random, 300)
                       ? sim_random_between(&sim->random, 1, size - 1)
                       : size;
    send_piece(connection, to_node, bytes, first);
    if (first < size) {
        send_piece(connection, to_node, bytes + first, size - first);
    }
}

/* ---- the client's side --------------------------------------------------------------------------- */

struct sim_connection *sim_connection_open(struct sim *sim, struct sim_client *client, struct sim_node *node,
                                           bool client_is_slow)
{
    static const struct resp_limits request_limits = {64 << 10, 1 << 20, 16 << 20, 16 << 20};
    static const struct answer_limits answer_limits = {16 << 20, 10000};
    struct sim_connection *connection = sim_allocate(sizeof *connection);
    connection->sim = sim;
    connection->client = client;
    connection->client_is_slow = client_is_slow;
    connection->node = node;
    connection->incarnation = node->incarnation;
    connection->number = ++sim->connections->count;
    connection->is_read = true;
    resp_parser_init(&connection->parser, &request_limits);
    answer_reader_init(&connection->reader, &answer_limits);
    connection->next = sim->connections->all;
    sim->connections->all = connection;
    connection->next_live = sim->connections->live;
    sim->connections->live = connection;
    return connection;
}

void sim_connection_send(struct sim_connection *connection, const uint8_t *bytes, size_t size)
{
    send_bytes(connection, true, bytes, size);
}

static void on_fin(void *target, uint64_t number)
{
    struct sim_connection *connection = target;
    (void)number;
    if (connection->node->incarnation == connection->incarnation &&
        connection->node->state != SIM_NODE_DOWN) {
        connection->fin_arrived = true;
        sim_node_wake(connection->node);
    }
}

/* The end comes behind all that was sent. */
void sim_connection_close(struct sim_connection *connection)
{
    struct sim *sim = connection->sim;
    uint64_t arrive_us = sim->now_us + draw_delay(sim);
    connection->client_closed = true;
    connection->is_reset = sim_random_chance(&sim->random, RESETS_PER_MILLE);
    arrive_us = arrive_us > connection->to_node_us ? arrive_us : connection->to_node_us;
    sim_after(sim, arrive_us - sim->now_us, on_fin, connection, 0);
}

/* The node's side is gone. */
static void on_end(void *target, uint64_t number)
{
    struct sim_connection *connection = target;
    (void)number;
    if (connection->client_closed) {
        return;
    }
    if (connection->client == NULL) {
        sim_operator_on_end(connection->sim);
    } else {
        sim_client_on_end(connection->client);
    }
}

/* ---- the node's side ----------------------------------------------------------------------------- */

static bool is_of(const struct sim_connection *connection, const struct sim_node *node)
{
    return connection->node == node && connection->incarnation == node->incarnation &&
           !connection->node_closed;
}

static bool has_input(const struct sim_connection *connection)
{
    bool has_request = byte_buffer_size(&connection->input) > 0 && !connection->starved;
    bool has_end = connection->fin_arrived && !connection->end_told;
    return !connection->accepted || connection->takes_again ||
           (connection->is_read && (has_request || has_end));
}

bool sim_connection_node_has_input(const struct sim_node *node)
{
    for (const struct sim_connection *connection = node->sim->connections->live; connection != NULL;
         connection = connection->next_live) {
        if (is_of(connection, node) && has_input(connection)) {
            return true;
        }
    }
    return false;
}

static void accept_connection(struct sim_connection *connection)
{
    struct client_info info = {.id = connection->number, .listener = 0};
    (void)snprintf(info.address, sizeof info.address, "10.0.0.1:%u", (unsigned)(connection->number & 0xffff));
    connection->accepted = true;
    connection->handle = replica_client_open(connection->node->replica, &info, connection);
}

static void close_node_side(struct sim_connection *connection)
{
    if (connection->handle != NULL) {
        replica_client_close(connection->node->replica, connection->handle);
        connection->handle = NULL;
    }
    connection->node_closed = true;
}

static void take_output(struct sim_connection *connection)
{
    struct sim *sim = connection->sim;
    struct byte_buffer *output = replica_client_output(connection->handle);
    size_t size = byte_buffer_size(output);
    if (size == 0 || connection->slow) {
        return;
    }
    send_bytes(connection, false, byte_buffer_front(output), size);
    replica_client_sent(connection->node->replica, connection->handle, size);
    sim_note(sim, 11, size);
}

static void on_quick_again(void *target, uint64_t number)
{
    struct sim_connection *connection = target;
    (void)number;
    connection->slow = false;
    if (is_of(connection, connection->node) && connection->node->state != SIM_NODE_DOWN) {
        connection->takes_again = true;
        sim_node_wake(connection->node);
    }
}

void sim_connection_on_ready(struct sim_connection *connection)
{
    struct sim *sim = connection->sim;
    if (connection->handle == NULL) {
        return;
    }
    if (connection->client_is_slow && !connection->slow && sim_random_chance(&sim->random, 200)) {
        connection->slow = true;
        sim_after(sim, sim_around(sim, SLOW_US), on_quick_again, connection, 0);
    }
    take_output(connection);
    if (!connection->is_read && replica_client_wants_input(connection->node->replica, connection->handle)) {
        connection->is_read = true;
        if (byte_buffer_size(&connection->input) > 0 || connection->fin_arrived) {
            sim_node_wake(connection->node);
        }
    }
}

static void read_requests(struct sim_connection *connection)
{
    struct replica *replica = connection->node->replica;
    connection->starved = false;
    for (uint32_t i = 0; i < REQUESTS_PER_TURN_MAX && byte_buffer_size(&connection->input) > 0; i++) {
        if (!replica_client_wants_input(replica, connection->handle)) {
            connection->is_read = false; /* until the replica says otherwise */
            return;
        }
        size_t consumed = 0;
        enum resp_parser_result result =
            resp_parser_feed(&connection->parser, byte_buffer_front(&connection->input),
                             byte_buffer_size(&connection->input), &consumed);
        if (result == RESP_PARSER_NEED_MORE) {
            connection->starved = true; /* until more arrives */
            return;
        }
        if (result != RESP_PARSER_REQUEST) {
            sim_fail(connection->sim, SIM_CORRECTNESS, "a request was not understood: %s",
                     connection->parser.error);
        }
        replica_client_request(replica, connection->handle, connection->parser.arguments,
                               connection->parser.arguments_count);
        byte_buffer_consume(&connection->input, consumed);
    }
}

/* All requests have been read. As in runtime/connection.c: a client that may still be there gets the answers
 * to all that it asked; of one that is certainly gone everything is forgotten. */
static void read_end(struct sim_connection *connection)
{
    if (connection->is_reset) {
        close_node_side(connection);
    } else if (!connection->end_told) {
        connection->end_told = true;
        replica_client_protocol_error(connection->node->replica, connection->handle, "the end");
    }
}

/* Connections that nobody has to do with any more leave the list. */
static void forget_dead(struct sim *sim)
{
    struct sim_connection **at = &sim->connections->live;
    while (*at != NULL) {
        struct sim_connection *connection = *at;
        if (connection->node_closed || connection->incarnation != connection->node->incarnation) {
            *at = connection->next_live;
            byte_buffer_deinit(&connection->input);
        } else {
            at = &connection->next_live;
        }
    }
}

void sim_connection_node_reads(struct sim_node *node)
{
    struct sim *sim = node->sim;
    for (struct sim_connection *connection = sim->connections->live; connection != NULL;
         connection = connection->next_live) {
        if (!is_of(connection, node)) {
            continue;
        }
        if (!connection->accepted) {
            accept_connection(connection);
        }
        if (connection->handle == NULL ||
            sim_random_chance(&sim->random, sim->knobs.partial_turns_per_mille)) {
            continue;
        }
        if (connection->takes_again) {
            connection->takes_again = false;
            take_output(connection);
        }
        if (connection->is_read) {
            read_requests(connection);
        }
        if (connection->is_read && connection->fin_arrived &&
            (connection->starved || byte_buffer_size(&connection->input) == 0)) {
            read_end(connection);
        }
    }
    forget_dead(sim);
}

void sim_connection_node_closes(struct sim_node *node)
{
    for (struct sim_connection *connection = node->sim->connections->live; connection != NULL;
         connection = connection->next_live) {
        if (is_of(connection, node) && connection->handle != NULL &&
            replica_client_is_closing(connection->handle) &&
            byte_buffer_size(replica_client_output(connection->handle)) == 0) {
            close_node_side(connection);
            sim_after(node->sim, draw_delay(node->sim), on_end, connection, 0);
        }
    }
}

void sim_connection_node_ended(struct sim_node *node)
{
    struct sim *sim = node->sim;
    for (struct sim_connection *connection = sim->connections->live; connection != NULL;
         connection = connection->next_live) {
        if (is_of(connection, node)) {
            connection->handle = NULL; /* replica_destroy() closes it */
            connection->node_closed = true;
            uint64_t end_us = sim->now_us + draw_delay(sim);
            end_us = end_us > connection->to_client_us ? end_us : connection->to_client_us;
            sim_after(sim, end_us - sim->now_us, on_end, connection, 0);
        }
    }
    forget_dead(sim);
}

/* ---- all of them --------------------------------------------------------------------------------- */

void sim_connection_create_all(struct sim *sim)
{
    sim->connections = sim_allocate(sizeof *sim->connections);
}

void sim_connection_forget(const struct sim_event *event)
{
    if (event->fire == on_piece) {
        free(event->target);
    }
}

void sim_connection_destroy_all(struct sim *sim)
{
    while (sim->connections->all != NULL) {
        struct sim_connection *connection = sim->connections->all;
        sim->connections->all = connection->next;
        resp_parser_deinit(&connection->parser);
        answer_reader_deinit(&connection->reader);
        byte_buffer_deinit(&connection->input);
        free(connection);
    }
    free(sim->connections);
}
