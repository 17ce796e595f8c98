/* cluster_client.h: executes commands on a cluster of which some nodes are known and any may be dead.
 *
 * It asks one node, follows redirects, goes on to other nodes when one cannot be reached, and tries again
 * while the cluster says "not now", all within one time limit and one limit of redirects. A node that a
 * redirect named and that says TRYAGAIN is the leader: it is asked again itself, and its words are the error
 * if it goes on saying so. Further nodes are learnt from CLUSTER SLOTS and from redirects; the ones given at
 * the start are never forgotten.
 *
 * The rule that everything here keeps: a command that may change something is sent again only if it was
 * certainly not executed: it could not be sent whole, or the server answered that it was not. Otherwise its
 * outcome is "unknown", and it is the user who decides. Which commands only read is asked of the server
 * (COMMAND INFO) before a command is first sent.
 */
#ifndef CLUSTER_CLIENT_H
#define CLUSTER_CLIENT_H

#include "answer.h"
#include "command_list.h"
#include "endpoint.h"
#include "node_connection.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    CLUSTER_CLIENT_REDIRECTS_MAX = 16, /* of one command */
    CLUSTER_CLIENT_ATTEMPT_MS_MAX =
        1000, /* for a node to take a connection and say who it is, if there are others */
    CLUSTER_CLIENT_ERROR_BYTES_MAX = 640,
};

enum cluster_outcome {
    CLUSTER_OUTCOME_ANSWERED,     /* `answer`, which may be an error */
    CLUSTER_OUTCOME_NOT_EXECUTED, /* nobody could be brought to execute it; certain */
    CLUSTER_OUTCOME_UNKNOWN,      /* it may or may not have been executed */
    CLUSTER_OUTCOME_CANCELLED,    /* interrupted; not executed, or it does not matter because it only reads */
};

struct cluster_result {
    enum cluster_outcome outcome;
    struct answer answer; /* the last one, if any, also when not CLUSTER_OUTCOME_ANSWERED */
    char error[CLUSTER_CLIENT_ERROR_BYTES_MAX]; /* why, in words, when not CLUSTER_OUTCOME_ANSWERED */
    struct endpoint node;                       /* the last one that was asked */
    uint32_t redirects;
    uint32_t attempts; /* how many times the whole command was sent */
};

struct cluster_client_options {
    uint64_t timeout_ms; /* of one command, everything included */
    int protocol;        /* 2 or 3 */
    int cancel_fd;       /* see deadline.h; -1: none */
};

struct cluster_client {
    struct cluster_client_options options;
    struct endpoint_list nodes; /* the given ones first */
    size_t position;            /* of the node to ask next, or that is connected */
    struct node_connection connection;
    bool ready;        /* connected and introduced */
    bool nodes_learnt; /* CLUSTER SLOTS was answered by somebody */
    struct command_list commands;
};

void cluster_client_init(struct cluster_client *client, const struct endpoint_list *nodes,
                         const struct cluster_client_options *options);
void cluster_client_deinit(struct cluster_client *client);

/* `count` > 0. The caller deinits the result. */
void cluster_client_execute(struct cluster_client *client, const struct command_argument *arguments,
                            size_t count, struct cluster_result *result);
void cluster_result_deinit(struct cluster_result *result);

/* Fills client->commands with everything that a node says about its commands. False: nobody could be asked;
 * not grave. */
bool cluster_client_learn_commands(struct cluster_client *client, uint64_t timeout_ms);

#endif
