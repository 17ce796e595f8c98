/* cluster_client.c: executes commands on a cluster. */
#include "cluster_client.h"

#include "request.h"
#include "server_error.h"
#include "text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* How one try ended. */
enum attempt_end {
    ATTEMPT_FINISHED,  /* result->outcome is set */
    ATTEMPT_NODE_LOST, /* not executed, or only reads: the node is of no use now, ask the next */
    ATTEMPT_NOT_NOW,   /* not executed: ask later, the next */
    ATTEMPT_TRY_AGAIN, /* not executed: ask the same later, for it leads */
    ATTEMPT_MOVED,     /* not executed: client->position names who to ask */
};

struct execution {
    struct cluster_client *client;
    struct cluster_result *result;
    const struct command_argument *arguments;
    size_t count;
    struct byte_buffer request;
    struct deadline deadline;
    struct endpoint lost;    /* the last node that was lost; result->error says how */
    struct endpoint leader;  /* the one that the last redirect named; port 0: none yet */
    struct endpoint refuser; /* who said `refusal` and has not sent elsewhere since; port 0: nobody */
    bool leader_refuses;     /* the refusal is TRYAGAIN by the leader, of whom nothing else was heard since */
    char refusal[CLUSTER_CLIENT_ERROR_BYTES_MAX /
                 2]; /* the last "not now"; tells more than a lost connection */
};

void cluster_client_init(struct cluster_client *client, const struct endpoint_list *nodes,
                         const struct cluster_client_options *options)
{
    assert(nodes->count > 0 && (options->protocol == 2 || options->protocol == 3));
    *client = (struct cluster_client){.options = *options, .nodes = *nodes};
    node_connection_init(&client->connection);
}

void cluster_client_deinit(struct cluster_client *client)
{
    node_connection_deinit(&client->connection);
    command_list_deinit(&client->commands);
}

void cluster_result_deinit(struct cluster_result *result)
{
    answer_deinit(&result->answer);
}

static void result_set_error(struct cluster_result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void result_set_error(struct cluster_result *result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->error, sizeof result->error, format, arguments);
    va_end(arguments);
}

/* "host:port: what went wrong" */
static void result_set_connection_error(struct cluster_result *result,
                                        const struct node_connection *connection)
{
    char name[ENDPOINT_TEXT_BYTES_MAX];
    result_set_error(result, "%s: %s", endpoint_format(&connection->peer, name), connection->error);
}

static void client_disconnect(struct cluster_client *client)
{
    node_connection_close(&client->connection);
    client->ready = false;
}

static enum attempt_end execution_finish(struct execution *execution, enum cluster_outcome outcome)
{
    execution->result->outcome = outcome;
    return ATTEMPT_FINISHED;
}

/* The connection failed while nothing that matters was under way. */
static enum attempt_end execution_lose_node(struct execution *execution, enum node_connection_result how)
{
    assert(how != NODE_CONNECTION_OK);
    const struct endpoint *peer = &execution->client->connection.peer;
    /* A try that the end of all time cuts short says less than the one before it with the same node. */
    bool cut_short = how == NODE_CONNECTION_TIMED_OUT && deadline_remaining_ms(&execution->deadline) == 0;
    if (!cut_short || !endpoint_equal(peer, &execution->lost)) {
        result_set_connection_error(execution->result, &execution->client->connection);
        execution->lost = *peer;
    }
    execution->leader_refuses = execution->leader_refuses && cut_short;
    client_disconnect(execution->client);
    if (how == NODE_CONNECTION_CANCELLED) {
        return execution_finish(execution, CLUSTER_OUTCOME_CANCELLED);
    }
    return ATTEMPT_NODE_LOST;
}

/* [first slot, last slot, [host, port, ...], [host, port, ...], ...] */
static void client_learn_nodes(struct cluster_client *client, const struct answer *slots)
{
    for (size_t i = 0; i < slots->count; i++) {
        const struct answer *range = &slots->elements[i];
        for (size_t k = 2; k < range->count; k++) {
            const struct answer *node = &range->elements[k];
            bool valid = node->count >= 2 && node->elements[1].type == ANSWER_INTEGER &&
                         node->elements[1].integer > 0 && node->elements[1].integer <= UINT16_MAX;
            if (!valid) {
                continue;
            }
            struct endpoint endpoint = client->connection.peer;
            endpoint.port = (uint16_t)node->elements[1].integer;
            const struct answer *host = &node->elements[0];
            if (answer_has_text(host) && host->size > 0 && !answer_is(host, "?")) {
                char text[ENDPOINT_TEXT_BYTES_MAX];
                int size = snprintf(text, sizeof text, "%s:%u", host->text, (unsigned)endpoint.port);
                if (size >= (int)sizeof text || !endpoint_parse(text, (size_t)size, 0, &endpoint)) {
                    continue;
                }
            }
            endpoint_list_add(&client->nodes, &endpoint);
        }
    }
    client->nodes_learnt = client->nodes_learnt || slots->type == ANSWER_ARRAY;
}

/* Sends the words and takes one answer; the caller deinits it. */
static enum node_connection_result client_ask(struct cluster_client *client, const char *const *words,
                                              size_t count, struct answer *answer,
                                              const struct deadline *deadline)
{
    struct byte_buffer request = {0};
    request_append_words(&request, words, count);
    enum node_connection_result result = node_connection_send(
        &client->connection, byte_buffer_front(&request), byte_buffer_size(&request), deadline);
    byte_buffer_deinit(&request);
    if (result == NODE_CONNECTION_OK || result == NODE_CONNECTION_ANSWERED) {
        result = node_connection_receive(&client->connection, answer, deadline);
    }
    return result;
}

/* Time for a node to do what every node does at once. With no other node to ask it may take what there is. */
static struct deadline client_attempt_deadline(const struct cluster_client *client,
                                               const struct deadline *deadline)
{
    uint64_t limit = client->nodes.count > 1 ? CLUSTER_CLIENT_ATTEMPT_MS_MAX : client->options.timeout_ms;
    return deadline_within(deadline, limit);
}

/* A server that has too many clients, or wants none from here, says so and closes; an error alone (no cluster
 * commands) is harmless. */
static enum node_connection_result client_check_welcome(struct cluster_client *client,
                                                        const struct answer *answer)
{
    if (answer->type != ANSWER_ERROR || !node_connection_is_stale(&client->connection)) {
        return NODE_CONNECTION_OK;
    }
    struct byte_buffer text = {0};
    text_append_escaped(&text, answer->text, answer->size, false);
    snprintf(client->connection.error, sizeof client->connection.error, "%s", text_c_string(&text));
    byte_buffer_deinit(&text);
    return NODE_CONNECTION_FAILED;
}

/* Connects to the node at client->position unless that is done, and says hello. */
static enum node_connection_result client_connect(struct cluster_client *client,
                                                  const struct deadline *deadline)
{
    static const char *const hello[] = {"HELLO", "3"};
    static const char *const slots[] = {"CLUSTER", "SLOTS"};
    const struct endpoint *node = &client->nodes.items[client->position];
    bool usable = client->ready && endpoint_equal(node, &client->connection.peer) &&
                  !node_connection_is_stale(&client->connection);
    if (usable) {
        return NODE_CONNECTION_OK;
    }
    client_disconnect(client);
    struct deadline attempt = client_attempt_deadline(client, deadline);
    struct answer answer = {0};
    enum node_connection_result result = node_connection_open(&client->connection, node, &attempt);
    if (result == NODE_CONNECTION_OK && client->options.protocol == 3) {
        /* A server without RESP3 answers an error and goes on in RESP2, which is read as well. */
        result = client_ask(client, hello, 2, &answer, &attempt);
        answer_deinit(&answer);
    }
    if (result == NODE_CONNECTION_OK) {
        result = client_ask(client, slots, 2, &answer, &attempt);
    }
    if (result == NODE_CONNECTION_OK) {
        result = client_check_welcome(client, &answer);
        client_learn_nodes(client, &answer);
        answer_deinit(&answer);
        client->ready = result == NODE_CONNECTION_OK;
    }
    return result;
}

/* Makes sure that it is known whether the command may change something. */
static enum node_connection_result client_learn_effect(struct cluster_client *client,
                                                       const struct command_argument *arguments, size_t count,
                                                       const struct deadline *deadline)
{
    bool known = command_list_effect(&client->commands, arguments, count) != COMMAND_EFFECT_NOT_KNOWN;
    bool no_name = strlen(arguments[0].bytes) != arguments[0].size; /* a zero byte in it */
    if (known || no_name) {
        return NODE_CONNECTION_OK;
    }
    const char *const words[] = {"COMMAND", "INFO", arguments[0].bytes};
    struct answer answer = {0};
    struct deadline attempt = client_attempt_deadline(client, deadline);
    enum node_connection_result result = client_ask(client, words, 3, &answer, &attempt);
    if (result == NODE_CONNECTION_OK) {
        command_list_add_information(&client->commands, &answer);
        answer_deinit(&answer);
        if (command_list_effect(&client->commands, arguments, count) == COMMAND_EFFECT_NOT_KNOWN) {
            command_list_add_unknown(&client->commands, arguments[0].bytes, arguments[0].size);
        }
    }
    return result;
}

/* The command was sent whole and no answer came. */
static enum attempt_end execution_lose_answer(struct execution *execution, enum node_connection_result how)
{
    struct cluster_client *client = execution->client;
    struct cluster_result *result = execution->result;
    bool may_change = command_list_effect(&client->commands, execution->arguments, execution->count) !=
                      COMMAND_EFFECT_READS;
    if (!may_change) {
        return execution_lose_node(execution, how);
    }
    char name[ENDPOINT_TEXT_BYTES_MAX];
    result_set_error(
        result,
        "the command was sent to %s and then: %s; it may or may not have been executed, and was not sent "
        "again",
        endpoint_format(&client->connection.peer, name), client->connection.error);
    client_disconnect(client);
    client->position = (client->position + 1) % client->nodes.count;
    return execution_finish(execution, CLUSTER_OUTCOME_UNKNOWN);
}

static enum attempt_end execution_follow(struct execution *execution, struct server_redirect *redirect)
{
    struct cluster_client *client = execution->client;
    struct cluster_result *result = execution->result;
    char name[ENDPOINT_TEXT_BYTES_MAX];
    if (redirect->target.host[0] == '\0') {
        memcpy(redirect->target.host, client->connection.peer.host, sizeof redirect->target.host);
    }
    result->redirects++;
    size_t position = endpoint_list_add(&client->nodes, &redirect->target);
    if (position == client->nodes.count) {
        result_set_error(result, "too many nodes: redirected to %s, and %d others are known",
                         endpoint_format(&redirect->target, name), ENDPOINT_LIST_MAX);
        return execution_finish(execution, CLUSTER_OUTCOME_NOT_EXECUTED);
    }
    if (endpoint_equal(&execution->refuser, &client->connection.peer)) {
        execution->refuser = (struct endpoint){.port = 0};
    }
    execution->leader = redirect->target;
    execution->leader_refuses = false;
    if (result->redirects > CLUSTER_CLIENT_REDIRECTS_MAX) {
        if (endpoint_equal(&execution->refuser, &redirect->target)) { /* they agree, but it will not */
            result_set_error(result, "%s", execution->refusal);
            return execution_finish(execution, CLUSTER_OUTCOME_NOT_EXECUTED);
        }
        result_set_error(result,
                         "gave up after %d redirects, the last one to %s: the nodes do not agree on a leader",
                         CLUSTER_CLIENT_REDIRECTS_MAX, endpoint_format(&redirect->target, name));
        return execution_finish(execution, CLUSTER_OUTCOME_NOT_EXECUTED);
    }
    client->position = position;
    return ATTEMPT_MOVED;
}

/* An error's text for a message, without what could steer a terminal. */
static void result_set_server_error(struct cluster_result *result, const struct endpoint *node)
{
    char name[ENDPOINT_TEXT_BYTES_MAX];
    struct byte_buffer text = {0};
    text_append_escaped(&text, result->answer.text, result->answer.size, false);
    result_set_error(result, "%s answered: %s", endpoint_format(node, name), text_c_string(&text));
    byte_buffer_deinit(&text);
}

/* "Not now". TRYAGAIN by the node that a redirect named is the leader's own word: no other can do it, and all
 * would send back there. Of whom no redirect tells, that one may lead no more: the next is asked. (A leader
 * that is cut off, but taken for the leader still, finds out within an election timeout: check-quorum.) */
static enum attempt_end execution_refuse(struct execution *execution, enum server_error error)
{
    struct cluster_result *result = execution->result;
    const struct endpoint *peer = &execution->client->connection.peer;
    result_set_server_error(result, peer);
    snprintf(execution->refusal, sizeof execution->refusal, "%.300s", result->error);
    execution->refuser = *peer;
    execution->leader_refuses = error == SERVER_ERROR_TRY_AGAIN && endpoint_equal(peer, &execution->leader);
    return execution->leader_refuses ? ATTEMPT_TRY_AGAIN : ATTEMPT_NOT_NOW;
}

static enum attempt_end execution_judge(struct execution *execution)
{
    struct cluster_client *client = execution->client;
    struct cluster_result *result = execution->result;
    struct server_redirect redirect;
    enum server_error error = server_error_classify(&result->answer, &redirect);
    switch (error) {
    case SERVER_ERROR_NONE:
    case SERVER_ERROR_FINAL:
        return execution_finish(execution, CLUSTER_OUTCOME_ANSWERED);
    case SERVER_ERROR_MOVED:
        return execution_follow(execution, &redirect);
    case SERVER_ERROR_NOT_NOW:
    case SERVER_ERROR_TRY_AGAIN:
        return execution_refuse(execution, error);
    case SERVER_ERROR_UNKNOWN:
        result_set_server_error(result, &client->connection.peer);
        return execution_finish(execution, CLUSTER_OUTCOME_UNKNOWN);
    }
    assert(false);
    return ATTEMPT_FINISHED;
}

/* A read may be asked of somebody else, so it does not wait for a stopped node until the very end. */
static struct deadline execution_answer_deadline(const struct execution *execution)
{
    const struct cluster_client *client = execution->client;
    bool reads = command_list_effect(&client->commands, execution->arguments, execution->count) ==
                 COMMAND_EFFECT_READS;
    bool patient = !reads || client->nodes.count == 1;
    return patient ? execution->deadline
                   : deadline_within(&execution->deadline, client->options.timeout_ms / 2);
}

/* One try with one node. */
static enum attempt_end execution_attempt(struct execution *execution)
{
    struct cluster_client *client = execution->client;
    struct cluster_result *result = execution->result;
    result->node = client->nodes.items[client->position];
    enum node_connection_result did = client_connect(client, &execution->deadline);
    if (did == NODE_CONNECTION_OK) {
        did = client_learn_effect(client, execution->arguments, execution->count, &execution->deadline);
    }
    if (did != NODE_CONNECTION_OK) {
        return execution_lose_node(execution, did);
    }
    did = node_connection_send(&client->connection, byte_buffer_front(&execution->request),
                               byte_buffer_size(&execution->request), &execution->deadline);
    if (did != NODE_CONNECTION_OK && did != NODE_CONNECTION_ANSWERED) {
        return execution_lose_node(execution, did);
    }
    bool early = did == NODE_CONNECTION_ANSWERED;
    result->attempts++;
    answer_deinit(&result->answer);
    struct deadline wait = execution_answer_deadline(execution);
    did = node_connection_receive(&client->connection, &result->answer, &wait);
    if (did != NODE_CONNECTION_OK) {
        return early ? execution_lose_node(execution, did) : execution_lose_answer(execution, did);
    }
    enum attempt_end end = execution_judge(execution);
    if (early) {
        client_disconnect(client); /* half a request is in it */
    }
    return end;
}

/* How long to wait before the next try. `failures`: tries in a row that found no node. */
static uint64_t execution_pause_ms(const struct execution *execution, enum attempt_end end, uint32_t failures)
{
    size_t nodes = execution->client->nodes.count;
    uint32_t redirects = execution->result->redirects;
    switch (end) {
    case ATTEMPT_MOVED: /* the first two at once; sixteen take about two seconds, longer than an election */
        return redirects <= 2 ? 0 : redirects <= 4 ? 50 : redirects <= 8 ? 100 : 200;
    case ATTEMPT_NODE_LOST: /* a pause once all have been tried */
        return failures % nodes != 0 ? 0 : failures <= nodes ? 50 : 200;
    case ATTEMPT_NOT_NOW:
    case ATTEMPT_TRY_AGAIN:
        return 100;
    case ATTEMPT_FINISHED:
        break;
    }
    return 0;
}

static void execution_expire(struct execution *execution)
{
    struct cluster_result *result = execution->result;
    char reason[CLUSTER_CLIENT_ERROR_BYTES_MAX / 2];
    result->outcome = CLUSTER_OUTCOME_NOT_EXECUTED;
    if (execution->leader_refuses) { /* it was reached */
        result_set_error(result, "%s", execution->refusal);
        return;
    }
    snprintf(reason, sizeof reason, "%.300s",
             execution->refusal[0] != '\0' ? execution->refusal : result->error);
    result_set_error(result, "no leader could be reached within %.1f s; %s",
                     (double)execution->client->options.timeout_ms / 1000, reason);
}

static void execution_run(struct execution *execution)
{
    struct cluster_client *client = execution->client;
    struct cluster_result *result = execution->result;
    uint32_t failures = 0;
    for (;;) {
        enum attempt_end end = execution_attempt(execution);
        if (end == ATTEMPT_FINISHED) {
            return;
        }
        failures = end == ATTEMPT_NODE_LOST ? failures + 1 : 0;
        assert(end != ATTEMPT_TRY_AGAIN ||
               endpoint_equal(&client->nodes.items[client->position], &execution->leader));
        if (end != ATTEMPT_MOVED && end != ATTEMPT_TRY_AGAIN) {
            client->position = (client->position + 1) % client->nodes.count;
        }
        switch (deadline_sleep(&execution->deadline, execution_pause_ms(execution, end, failures))) {
        case DEADLINE_READY:
            break;
        case DEADLINE_PASSED:
            execution_expire(execution);
            return;
        case DEADLINE_CANCELLED:
            result->outcome = CLUSTER_OUTCOME_CANCELLED;
            return;
        }
    }
}

void cluster_client_execute(struct cluster_client *client, const struct command_argument *arguments,
                            size_t count, struct cluster_result *result)
{
    assert(count > 0);
    *result = (struct cluster_result){.outcome = CLUSTER_OUTCOME_NOT_EXECUTED};
    struct execution execution = {
        .client = client,
        .result = result,
        .arguments = arguments,
        .count = count,
        .deadline = deadline_in(client->options.timeout_ms, client->options.cancel_fd),
    };
    request_append(&execution.request, arguments, count);
    execution_run(&execution);
    byte_buffer_deinit(&execution.request);
}

bool cluster_client_learn_commands(struct cluster_client *client, uint64_t timeout_ms)
{
    static const char *const information[] = {"COMMAND"};
    static const char *const documentation[] = {"COMMAND", "DOCS"};
    struct deadline deadline = deadline_in(timeout_ms, client->options.cancel_fd);
    for (size_t tries = 0; tries < client->nodes.count; tries++) {
        struct answer answer = {0};
        enum node_connection_result did = client_connect(client, &deadline);
        if (did == NODE_CONNECTION_OK) {
            did = client_ask(client, information, 1, &answer, &deadline);
        }
        if (did == NODE_CONNECTION_OK) {
            command_list_add_information(&client->commands, &answer);
            answer_deinit(&answer);
            did = client_ask(client, documentation, 2, &answer, &deadline);
        }
        if (did == NODE_CONNECTION_OK) {
            command_list_add_documentation(&client->commands, &answer);
            answer_deinit(&answer);
            return true;
        }
        client_disconnect(client);
        if (did == NODE_CONNECTION_CANCELLED) {
            return false;
        }
        client->position = (client->position + 1) % client->nodes.count;
    }
    return false;
}
