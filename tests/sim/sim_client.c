/* sim_client.c: see sim_client.h. */
#include "sim_client.h"

#include "sim_connection.h"
#include "sim_promise.h"
#include "sim_workload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { POLLS_PER_ELECTION_TIMEOUT = 6 };
enum { LAST_PATIENCE_MS = 10000, NO_NODE = UINT32_MAX, LOG_WAIT_US = 50000, AGAIN_US = 20000 };

struct sim_client {
    struct sim *sim;
    uint64_t id;
    struct sim_connection *connection; /* NULL: none */
    uint32_t wanted_node;              /* NO_NODE: any */
    bool follows;                      /* sent READONLY */
    bool reads_all;                    /* at the end: each key once, at the node with its number */
    uint32_t next_key;
    bool writes_last; /* at the end: a write, until one is acknowledged */
    bool has_written;
    bool makes_room; /* ... which was refused for want of room: it removes something first */
    uint32_t next_removed;
    bool slow;
    bool hops; /* to another node, after the pipeline */
    uint64_t patience_us;
    bool open_loop; /* sends more before all is answered */
    bool polls;     /* while it waits for answers, it goes on with single reads */
    struct sim_command
        commands[SIM_CLIENT_OUTSTANDING_MAX]; /* those from answered_count on wait for answers */
    uint32_t commands_count, answered_count;
    uint64_t step_number, pipeline_number;
};

static void on_step(void *target, uint64_t number);

static void step_in(struct sim_client *client, uint64_t in_us)
{
    sim_after(client->sim, in_us, on_step, client, ++client->step_number);
}

/* Nobody is known to lead. One that reads everything at a node stays with it. */
static void try_any_node(struct sim_client *client)
{
    if (!client->reads_all) {
        client->wanted_node = NO_NODE;
    }
}

/* ---- the client's side --------------------------------------------------------------------------- */

/* What one reads at the end is read until it is answered. */
static void read_again(struct sim_client *client, const struct sim_command *command)
{
    if (client->reads_all && command->form != SIM_ANSWER_IGNORED) {
        client->next_key--;
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
    sim_connection_close(connection);
    for (uint32_t i = client->answered_count; i < client->commands_count; i++) {
        sim_trace(client->sim, NULL, SIM_TRACE_COMMANDS, "client %" PRIu64 " will get no answer to %s",
                  client->id, client->commands[i].text);
        sim_workload_lost(client->sim, &client->commands[i]);
        read_again(client, &client->commands[i]);
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

void sim_client_on_end(struct sim_client *client)
{
    drop_connection(client);
    try_any_node(client);
    step_in(client, sim_around(client->sim, 30000));
}

static void note_redirect(struct sim_client *client, const struct answer *answer)
{
    const char *host = strstr(answer->text, " node");
    unsigned long id = host == NULL ? 0 : strtoul(host + strlen(" node"), NULL, 10);
    if (id == 0 || id > client->sim->nodes_count || id == client->connection->node->id) {
        sim_fail(client->sim, SIM_CORRECTNESS, "node %" PRIu64 " sends clients to the wrong place: %s",
                 client->connection->node->id, answer->text);
    }
    if (!client->reads_all) {
        client->wanted_node = (uint32_t)id - 1;
    }
    client->hops = true;
}

static void trace_answer(const struct sim_client *client, const struct sim_command *command,
                         const struct answer *answer, enum sim_told told)
{
    bool ordinary = told == SIM_TOLD_DONE || told == SIM_TOLD_MOVED;
    char text[80] = "nil or many";
    if (answer->type == ANSWER_INTEGER) {
        (void)snprintf(text, sizeof text, ":%" PRId64, answer->integer);
    } else if (answer_has_text(answer)) {
        (void)snprintf(text, sizeof text, "%s%.60s", answer->type == ANSWER_ERROR ? "-" : "", answer->text);
    }
    for (char *c = text; *c != '\0'; c++) {
        *c = (char)(*c < ' ' || *c > '~' ? '?' : *c);
    }
    sim_trace(client->sim, NULL, ordinary ? SIM_TRACE_COMMANDS : SIM_TRACE_STORY,
              "client %" PRIu64 ": %s -> %s", client->id, command->text, text);
}

/* A read is answered by a node that has applied all that was committed before it was sent: by a read index
 * that was asked for after it arrived, or from its place in an entry that was sealed after that. */
static void check_is_fresh(struct sim_client *client, const struct sim_command *command)
{
    uint64_t applied = client->connection->applied;
    if (!command->is_write && command->operations_count > 0 && applied < command->committed) {
        sim_fail(client->sim, SIM_HISTORY,
                 "%s was sent when entry %" PRIu64 " was committed, and answered by node %" PRIu64
                 ", which had applied %" PRIu64,
                 command->text, command->committed, client->connection->node->id, applied);
    }
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
        trace_answer(client, command, answer, told);
    }
    if (told == SIM_TOLD_DONE) {
        check_is_fresh(client, command);
        client->has_written = client->has_written || (client->writes_last && command->grows);
        client->makes_room = false;
    } else {
        read_again(client, command);
    }
    if (told == SIM_TOLD_FULL) {
        client->makes_room = client->writes_last;
    } else if (told == SIM_TOLD_MOVED) {
        note_redirect(client, answer);
    } else if (told == SIM_TOLD_DOWN) {
        try_any_node(client);
        client->hops = true;
    }
}

void sim_client_on_bytes(struct sim_client *client)
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
        step_in(client, !client->reads_all ? sim_around(client->sim, client->sim->knobs.think_ms * 1000)
                        : client->hops     ? AGAIN_US
                                           : 1);
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
    client->connection = sim_connection_open(sim, client, node, client->slow);
    return true;
}

/* Without snapshots a member that is further behind than eight tails of the log cannot catch up, so clients
 * wait before it comes to that. What is not committed yet is the rest. */
static bool somebody_lags(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->nodes_count && sim->knobs.snapshots == 0; i++) {
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

/* All but counters, one after the other: what counts must stay. */
static uint32_t next_to_remove(struct sim_client *client)
{
    uint32_t count = sim_record_keys_count(client->sim);
    do {
        client->next_removed = (client->next_removed + 1) % count;
    } while (sim_record_key_name(client->sim, client->next_removed)[0] == 'c');
    return client->next_removed;
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
    bool polls = waits && client->polls;
    uint64_t count = polls ? 1 : sim_random_between(&sim->random, 1, sim->knobs.pipeline);
    for (uint64_t i = 0; i < count; i++) {
        struct sim_command *command = &client->commands[client->commands_count++];
        if (client->reads_all) {
            sim_workload_make_get(sim, client->id, connection->number, client->next_key++, command, &out);
            break;
        }
        if (client->writes_last && client->makes_room) {
            sim_workload_make_del(sim, client->id, connection->number, next_to_remove(client), command, &out);
            break;
        }
        if (client->writes_last) {
            sim_workload_make_increment(sim, client->id, connection->number, 0, command, &out);
            break;
        }
        sim_workload_make(sim, client->id, connection->number, client->follows || polls, command, &out);
    }
    sim_connection_send(connection, byte_buffer_front(&out), byte_buffer_size(&out));
    byte_buffer_deinit(&out);
    if (!waits) {
        sim_after(sim, client->patience_us, on_time_out, client, client->pipeline_number);
    }
    if (client->polls) {
        step_in(client, sim_around(sim, sim->knobs.election_timeout_ms * 1000 / POLLS_PER_ELECTION_TIMEOUT));
    } else if (client->open_loop) {
        step_in(client, sim_around(sim, sim->knobs.think_ms * 1000));
    }
}

static void on_step(void *target, uint64_t number)
{
    struct sim_client *client = target;
    struct sim *sim = client->sim;
    bool waits = client->commands_count > 0;
    bool has_room = client->commands_count + sim->knobs.pipeline + 1 <= SIM_CLIENT_OUTSTANDING_MAX;
    if (number != client->step_number ||
        (waits && (!(client->open_loop || client->polls) || client->hops || !has_room))) {
        return;
    }
    bool is_last = client->reads_all || client->writes_last;
    if (client->reads_all     ? client->next_key == sim_record_keys_count(sim)
        : client->writes_last ? client->has_written
                              : !sim->clients_may_begin) {
        return;
    }
    if (!is_last && (somebody_lags(sim) || sim_record_is_full(sim))) {
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

/* ---- all of them --------------------------------------------------------------------------------- */

static bool draw_percent(struct sim *sim, uint64_t percent)
{
    return sim_random_below(&sim->random, 100) < percent;
}

void sim_client_create_all(struct sim *sim)
{
    sim_connection_create_all(sim);
    sim->clients_count = (uint32_t)sim->knobs.clients + sim->nodes_count + 1;
    sim->clients = sim_allocate(sim->clients_count * sizeof *sim->clients);
    for (uint32_t i = 0; i < sim->clients_count; i++) {
        struct sim_client *client = sim_allocate(sizeof *client);
        sim->clients[i] = client;
        client->sim = sim;
        client->id = i + 1;
        bool is_last = i >= sim->knobs.clients;
        client->writes_last = i + 1 == sim->clients_count;
        client->reads_all = is_last && !client->writes_last;
        client->wanted_node = client->reads_all ? i - (uint32_t)sim->knobs.clients : NO_NODE;
        client->follows = client->reads_all || (!is_last && draw_percent(sim, sim->knobs.followers_percent));
        client->patience_us = (is_last ? LAST_PATIENCE_MS : sim->knobs.patience_ms) *
                              sim_random_between(&sim->random, 500, 2000);
        client->open_loop = !is_last && draw_percent(sim, sim->knobs.open_loop_percent);
        client->polls = !is_last && draw_percent(sim, sim->knobs.polls_percent);
        client->slow = !is_last && draw_percent(sim, sim->knobs.slow_clients_percent);
    }
}

void sim_client_destroy_all(struct sim *sim)
{
    sim_connection_destroy_all(sim);
    for (uint32_t i = 0; i < sim->clients_count; i++) {
        free(sim->clients[i]);
    }
    free(sim->clients);
}

void sim_client_start_all(struct sim *sim)
{
    sim->clients_may_begin = true;
    for (uint32_t i = 0; i < sim->knobs.clients; i++) {
        step_in(sim->clients[i], sim_around(sim, sim->knobs.think_ms * 1000));
    }
}

void sim_client_write_last(struct sim *sim)
{
    step_in(sim->clients[sim->clients_count - 1], 1);
}

bool sim_client_has_written(const struct sim *sim)
{
    return sim->clients[sim->clients_count - 1]->has_written;
}

void sim_client_read_all(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->clients_count; i++) {
        if (sim->clients[i]->reads_all && sim->nodes[sim->clients[i]->wanted_node]->counts) {
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
        if (client->reads_all && sim->nodes[client->wanted_node]->counts &&
            (client->commands_count > 0 || client->next_key < sim_record_keys_count(sim))) {
            return false;
        }
    }
    return true;
}
