/* sim_connection.h: connections between clients and nodes: the bytes on their way, and the node's side.
 *
 * Bytes are on their way for a while in both directions, in pieces that stay in order; a node accepts a
 * connection and reads from it in its turns only. What a client sent before it closed is read all the same,
 * though it may have gone elsewhere long ago. The client's side is sim_client's: it opens a connection,
 * sends, closes, and is told through sim_client_on_bytes() and sim_client_on_end().
 */
#ifndef SIM_CONNECTION_H
#define SIM_CONNECTION_H

#include "sim_node.h"

#include "answer_reader.h"
#include "resp_parser.h"

struct sim_connection {
    struct sim_connection *next;      /* all that ever were: they live as long as the run */
    struct sim_connection *next_live; /* those that a node may still have to do with */
    struct sim *sim;
    struct sim_client *client; /* NULL: the operator */
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
    bool fin_arrived; /* the client has closed; what it sent before is read first, however late */
    bool end_told;    /* the replica knows that no request follows */
    struct resp_parser parser;
    struct byte_buffer input;
    /* the client's side */
    bool client_closed;
    bool is_reset;       /* in such a way that the node notices that nobody is there */
    bool client_is_slow; /* now and then takes no replies for a while */
    bool slow;           /* takes none at the moment */
    struct answer_reader reader;
    uint64_t applied;                  /* what the node had applied when it sent what arrived last */
    uint64_t to_node_us, to_client_us; /* of the last piece: pieces stay in order */
};

void sim_connection_create_all(struct sim *sim);
void sim_connection_destroy_all(struct sim *sim);
/* At the end of a run: if the event is a piece that is on its way, it is freed. */
void sim_connection_forget(const struct sim_event *event);

/* ---- for clients ---- */

/* With a node that is not down. Lives as long as the run. `client` NULL: of the operator, whose
 * sim_operator_on_bytes() and sim_operator_on_end() are called. */
struct sim_connection *sim_connection_open(struct sim *sim, struct sim_client *client, struct sim_node *node,
                                           bool client_is_slow);
void sim_connection_send(struct sim_connection *connection, const uint8_t *bytes, size_t size);
/* The client closes it: it is told nothing more. The node sees it later. */
void sim_connection_close(struct sim_connection *connection);

/* ---- for nodes ---- */

bool sim_connection_node_has_input(const struct sim_node *node);
void sim_connection_node_reads(struct sim_node *node);
/* Connections whose last reply was taken are closed. */
void sim_connection_node_closes(struct sim_node *node);
void sim_connection_node_ended(struct sim_node *node);
/* The replica has replies for this connection. */
void sim_connection_on_ready(struct sim_connection *connection);

#endif
