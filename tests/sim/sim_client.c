/* sim_client.c: see sim_client.h. */
#include "sim_client.h"

#include "answer_reader.h"
#include "sim_promise.h"
#include "sim_workload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    OUTSTANDING_MAX = 64,
    READER_PATIENCE_MS = 10000,
    NO_NODE = UINT32_MAX,
    DELAY_US_MAX = 8000,
    REQUESTS_PER_TURN_MAX = 40,
    SLOW_US = 300000,
    LOG_WAIT_US = 50000,
};

struct sim_connection {
    struct sim_connection *next;      /* all that ever were: they live as long as the run */
    struct sim_connection *next_live; /* those that a node may still have to do with */
    struct sim_client *client;
    struct sim_node *node;
    uint64_t incarnation; /* of the node */
    uint64_t number;
    /* the node's side */
    struct replica_client *handle; /* NULL: not accepted yet, or gone */
    bool accepted;
    bool node_closed;
    bool is_read;     /* the replica wants input */
    bool starved;     /* what has arrived is less than a request */
    bool takes_again; /* the client reads its replies again */
    struct resp_parser parser;
    struct byte_buffer input;
    /* the client's side */
    bool client_closed;
    bool slow; /* takes no replies for a while */
    struct answer_reader reader;
    uint64_t to_node_us, to_client_us; /* of the last piece: pieces stay in order */
};

struct sim_client {
    struct sim *sim;
    uint64_t id;
    struct sim_connection *connection; /* NULL: none */
    uint32_t wanted_node;              /* NO_NODE: any */
    bool follows;                      /* sent READONLY */
    bool reads_all;                    /* at the end: each key once, at the node with its number */
    uint32_t next_key;
    bool slow;
    bool hops; /* to another node, after the pipeline */
    uint64_t patience_us;
    bool open_loop;                               /* sends more before all is answered */
    struct sim_command commands[OUTSTANDING_MAX]; /* those from answered_count on wait for answers */
    uint32_t commands_count, answered_count;
    uint64_t step_number, pipeline_number;
};

/* A piece of a stream on its way. */
struct piece {
    struct sim_connection *connection;
    bool to_node;
    size_t size;
    uint8_t bytes[];
};

struct sim_connections {
    struct sim_connection *all, *live;
    uint64_t count;
};

static void on_step(void *target, uint64_t number);

static void step_in(struct sim_client *client, uint64_t in_us)
{
    sim_after(client->sim, in_us, on_step, client, ++client->step_number);
}

static uint64_t draw_delay(struct sim *sim)
{
    return sim_around(sim, sim->knobs.delay_us < DELAY_US_MAX ? sim->knobs.delay_us : DELAY_US_MAX);
}

/* Nobody is known to lead. One that reads everything at a node stays with it. */
static void try_any_node(struct sim_client *client)
{
    if (!client->reads_all) {
        client->wanted_node = NO_NODE;
    }
}

/* ---- the client's side --------------------------------------------------------------------------- */

static void on_closed(void *target, uint64_t number)
{
    struct sim_connection *connection = target;
    (void)number;
    if (connection->node->incarnation == connection->incarnation &&
        connection->node->state != SIM_NODE_DOWN) {
        sim_node_wake(connection->node);
    }
}

/* What was not answered never will be. */
static void drop_connection(struct sim_client *client)
{
    struct sim_connection *connection = client->connection;
    if (connection == NULL) {
        return;
    }
    client->connection = NULL;
    connection->client_closed = true;
    sim_after(client->sim, draw_delay(client->sim), on_closed, connection, 0);
    for (uint32_t i = client->answered_count; i < client->commands_count; i++) {
        sim_trace(client->sim, NULL, SIM_TRACE_COMMANDS, "client %" PRIu64 " will get no answer to %s",
                  client->id, client->commands[i].text);
        sim_workload_lost(client->sim, &client->commands[i]);
    }
    client->commands_count = client->answered_count = 0;
    client->pipeline_number++;
}

void sim_client_break(struct sim_client *client)
{
    if (client->connection != NULL) {
        sim_trace(client->sim, NULL, SIM_TRACE_STORY, "client %" PRIu64 " closes its connection", client->id);
        drop_connection(client);
        step_in(client, sim_around(client->sim, 20000));
    }
}

/* The other side is gone. */
static void on_end(void *target, uint64_t number)
{
    struct sim_connection *connection = target;
    struct sim_client *client = connection->client;
    (void)number;
    if (client->connection == connection) {
        drop_connection(client);
        try_any_node(client);
        step_in(client, sim_around(client->sim, 30000));
    }
}

static void note_redirect(struct sim_client *client, const struct answer *answer)
{
    const char *host = strstr(answer->text, " node");
    unsigned long id = host == NULL ? 0 : strtoul(host + strlen(" node"), NULL, 10);
    if (id == 0 || id > client->sim->nodes_count || id == client->connection->node->id) {
        sim_fail(client->sim, SIM_CORRECTNESS, "node %" PRIu64 " sends clients to the wrong place: %s",
                 client->connection->node->id, answer->text);
    }
    client->wanted_node = (uint32_t)id - 1;
    client->hops = true;
}

static void take_answer(struct sim_client *client, const struct answer *answer)
{
    struct sim *sim = client->sim;
    if (client->answered_count == client->commands_count) {
        sim_fail(sim, SIM_HISTORY, "client %" PRIu64 " got an answer that it did not ask for", client->id);
    }
    struct sim_command *command = &client->commands[client->answered_count++];
    sim_note(sim, 10, client->id << 8 | (uint64_t)answer->type);
    enum sim_told told = sim_workload_answer(sim, command, answer);
    if (sim_trace_is_on(sim, SIM_TRACE_STORY)) {
        sim_trace(sim, NULL,
                  told == SIM_TOLD_DONE || told == SIM_TOLD_MOVED ? SIM_TRACE_COMMANDS : SIM_TRACE_STORY,
                  "client %" PRIu64 ": %s -> %s%.60s", client->id, command->text,
                  answer->type == ANSWER_ERROR ? "-" : "",
                  answer_has_text(answer)          ? answer->text
                  : answer->type == ANSWER_INTEGER ? (answer->integer == 0 ? ":0" : ":n")
                                                   : "nil or many");
    }
    if (told == SIM_TOLD_MOVED) {
        note_redirect(client, answer);
    } else if (told == SIM_TOLD_DOWN) {
        try_any_node(client);
        client->hops = true;
    }
}

static void read_answers(struct sim_client *client)
{
    struct sim_connection *connection = client->connection;
    struct answer answer = {0};
    enum answer_reader_result result = ANSWER_READER_ANSWER;
    while (client->connection == connection &&
           (result = answer_reader_next(&connection->reader, &answer)) == ANSWER_READER_ANSWER) {
        take_answer(client, &answer);
        answer_deinit(&answer);
    }
    if (result == ANSWER_READER_MALFORMED) {
        sim_fail(client->sim, SIM_HISTORY, "client %" PRIu64 " got something that is no answer: %s",
                 client->id, connection->reader.error);
    }
    if (client->commands_count > 0 && client->answered_count == client->commands_count) {
        client->commands_count = client->answered_count = 0;
        client->pipeline_number++;
        step_in(client, client->reads_all ? 1 : sim_around(client->sim, client->sim->knobs.think_ms * 1000));
    }
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
    } else if (connection->client->connection == connection) {
        byte_buffer_append(&connection->reader.input, piece->bytes, piece->size);
        read_answers(connection->client);
    }
    free(piece);
}

static void send_piece(struct sim_connection *connection, bool to_node, const uint8_t *bytes, size_t size)
{
    struct sim *sim = connection->client->sim;
    struct piece *piece = sim_allocate(sizeof *piece + size);
    uint64_t *last_us = to_node ? &connection->to_node_us : &connection->to_client_us;
    uint64_t arrive_us = sim->now_us + draw_delay(sim);
    piece->connection = connection;
    piece->to_node = to_node;
    piece->size = size;
    memcpy(piece->bytes, bytes, size);
    *last_us = arrive_us > *last_us ? arrive_us : *last_us;
    sim_after(sim, *last_us - sim->now_us, on_piece, piece, 0);
}

/* In one or two pieces. */
static void send_bytes(struct sim_connection *connection, bool to_node, const uint8_t *bytes, size_t size)
{
    struct sim *sim = connection->client->sim;
    size_t first = size > 1 && sim_random_chance(&sim->random, 300)
                       ? sim_random_between(&sim->random, 1, size - 1)
                       : size;
    send_piece(connection, to_node, bytes, first);
    if (first < size) {
        send_piece(connection, to_node, bytes + first, size - first);
    }
}

/* ---- what a client does -------------------------------------------------------------------------- */

static bool connect_somewhere(struct sim_client *client)
{
    struct sim *sim = client->sim;
    uint32_t number = client->wanted_node;
    if (number == NO_NODE || client->follows) {
        number = client->reads_all ? client->wanted_node
                                   : (uint32_t)sim_random_below(&sim->random, sim->nodes_count);
    }
    struct sim_node *node = sim->nodes[number];
    if (node->state == SIM_NODE_DOWN) {
        try_any_node(client);
        return false;
    }
    static const struct resp_limits request_limits = {64 << 10, 1 << 20, 16 << 20, 16 << 20};
    static const struct answer_limits answer_limits = {16 << 20, 10000};
    struct sim_connection *connection = sim_allocate(sizeof *connection);
    connection->client = client;
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
    client->connection = connection;
    return true;
}

/* Snapshots are not there yet: a member that is further behind than eight tails of the log cannot catch up,
 * so clients wait before it comes to that. What is not committed yet is the rest. */
static bool somebody_lags(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (sim_promise_lag_bytes(sim->nodes[i]) > sim_node_log_tail_bytes(sim) * 4) {
            return true;
        }
    }
    return false;
}

static void on_time_out(void *target, uint64_t pipeline_number)
{
    struct sim_client *client = target;
    if (client->connection != NULL && client->pipeline_number == pipeline_number &&
        client->commands_count > 0) {
        sim_trace(client->sim, NULL, SIM_TRACE_STORY, "client %" PRIu64 " waits no longer", client->id);
        drop_connection(client);
        try_any_node(client);
        step_in(client, sim_around(client->sim, 30000));
    }
}

static void send_pipeline(struct sim_client *client)
{
    struct sim *sim = client->sim;
    struct sim_connection *connection = client->connection;
    struct byte_buffer out = {0};
    bool first = connection->to_node_us == 0;
    bool waits = client->commands_count > 0;
    if (first && client->follows) {
        client->commands[client->commands_count++] =
            (struct sim_command){.form = SIM_ANSWER_IGNORED, .text = "READONLY"};
        byte_buffer_append(&out, "READONLY\r\n", 10);
    }
    uint64_t count = sim_random_between(&sim->random, 1, sim->knobs.pipeline);
    for (uint64_t i = 0; i < count; i++) {
        struct sim_command *command = &client->commands[client->commands_count++];
        if (client->reads_all) {
            sim_workload_make_get(sim, client->id, connection->number, client->next_key++, command, &out);
            break;
        }
        sim_workload_make(sim, client->id, connection->number, client->follows, command, &out);
    }
    send_bytes(connection, true, byte_buffer_front(&out), byte_buffer_size(&out));
    byte_buffer_deinit(&out);
    if (!waits) {
        sim_after(sim, client->patience_us, on_time_out, client, client->pipeline_number);
    }
    if (client->open_loop) {
        step_in(client, sim_around(sim, sim->knobs.think_ms * 1000));
    }
}

static void on_step(void *target, uint64_t number)
{
    struct sim_client *client = target;
    struct sim *sim = client->sim;
    bool waits = client->commands_count > 0;
    bool has_room = client->commands_count + sim->knobs.pipeline + 1 <= OUTSTANDING_MAX;
    if (number != client->step_number || (waits && (!client->open_loop || client->hops || !has_room))) {
        return;
    }
    if (client->reads_all ? client->next_key == sim_record_keys_count(sim) : !sim->clients_may_begin) {
        return;
    }
    if (!client->reads_all && (somebody_lags(sim) || sim_record_is_full(sim))) {
        step_in(client, sim_around(sim, LOG_WAIT_US));
        return;
    }
    bool wanders = !client->reads_all && sim_random_chance(&sim->random, sim->knobs.hops_per_mille);
    if (!waits && wanders && !client->hops) {
        client->hops = true;
        try_any_node(client);
    }
    if (!waits && client->hops) {
        client->hops = false;
        drop_connection(client);
    }
    if (client->connection == NULL && !connect_somewhere(client)) {
        step_in(client, sim_around(sim, 30000));
        return;
    }
    send_pipeline(client);
}

/* ---- the node's side ----------------------------------------------------------------------------- */

static bool is_of(const struct sim_connection *connection, const struct sim_node *node)
{
    return connection->node == node && connection->incarnation == node->incarnation &&
           !connection->node_closed;
}

static bool has_input(const struct sim_connection *connection)
{
    return !connection->accepted || connection->client_closed || connection->takes_again ||
           (connection->is_read && byte_buffer_size(&connection->input) > 0 && !connection->starved);
}

bool sim_client_node_has_input(const struct sim_node *node)
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
    struct sim *sim = connection->client->sim;
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

void sim_client_on_ready(struct sim_connection *connection)
{
    struct sim *sim = connection->client->sim;
    if (connection->handle == NULL) {
        return;
    }
    if (connection->client->slow && !connection->slow && sim_random_chance(&sim->random, 200)) {
        connection->slow = true;
        sim_after(sim, sim_around(sim, SLOW_US), on_quick_again, connection, 0);
    }
    take_output(connection);
    if (!connection->is_read && replica_client_wants_input(connection->node->replica, connection->handle)) {
        connection->is_read = true;
        if (byte_buffer_size(&connection->input) > 0) {
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
            sim_fail(connection->client->sim, SIM_CORRECTNESS, "a request was not understood: %s",
                     connection->parser.error);
        }
        replica_client_request(replica, connection->handle, connection->parser.arguments,
                               connection->parser.arguments_count);
        byte_buffer_consume(&connection->input, consumed);
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

void sim_client_node_reads(struct sim_node *node)
{
    struct sim *sim = node->sim;
    for (struct sim_connection *connection = sim->connections->live; connection != NULL;
         connection = connection->next_live) {
        if (!is_of(connection, node)) {
            continue;
        }
        if (connection->client_closed) {
            close_node_side(connection);
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
    }
    forget_dead(sim);
}

void sim_client_node_closes(struct sim_node *node)
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

void sim_client_node_ended(struct sim_node *node)
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

void sim_client_create_all(struct sim *sim)
{
    sim->connections = sim_allocate(sizeof *sim->connections);
    sim->clients_count = (uint32_t)sim->knobs.clients + sim->nodes_count;
    sim->clients = sim_allocate(sim->clients_count * sizeof *sim->clients);
    for (uint32_t i = 0; i < sim->clients_count; i++) {
        struct sim_client *client = sim_allocate(sizeof *client);
        sim->clients[i] = client;
        client->sim = sim;
        client->id = i + 1;
        client->reads_all = i >= sim->knobs.clients;
        client->wanted_node = client->reads_all ? i - (uint32_t)sim->knobs.clients : NO_NODE;
        client->follows =
            client->reads_all || sim_random_below(&sim->random, 100) < sim->knobs.followers_percent;
        client->patience_us = (client->reads_all ? READER_PATIENCE_MS : sim->knobs.patience_ms) *
                              sim_random_between(&sim->random, 500, 2000);
        client->open_loop =
            !client->reads_all && sim_random_below(&sim->random, 100) < sim->knobs.open_loop_percent;
        client->slow =
            !client->reads_all && sim_random_below(&sim->random, 100) < sim->knobs.slow_clients_percent;
    }
}

void sim_client_destroy_all(struct sim *sim)
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
    for (uint32_t i = 0; i < sim->clients_count; i++) {
        free(sim->clients[i]);
    }
    free(sim->clients);
}

void sim_client_start_all(struct sim *sim)
{
    sim->clients_may_begin = true;
    for (uint32_t i = 0; i < sim->clients_count; i++) {
        if (!sim->clients[i]->reads_all) {
            step_in(sim->clients[i], sim_around(sim, sim->knobs.think_ms * 1000));
        }
    }
}

void sim_client_read_all(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->clients_count; i++) {
        if (sim->clients[i]->reads_all) {
            step_in(sim->clients[i], 1);
        }
    }
}

bool sim_client_all_idle(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->clients_count; i++) {
        if (sim->clients[i]->commands_count > 0) {
            return false;
        }
    }
    return true;
}

bool sim_client_all_read(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->clients_count; i++) {
        const struct sim_client *client = sim->clients[i];
        if (client->reads_all &&
            (client->commands_count > 0 || client->next_key < sim_record_keys_count(sim))) {
            return false;
        }
    }
    return true;
}
