/* connection.h: the connections of clients: bytes in, requests to the replica, replies out.
 *
 * What it is not: it knows no command and no cluster.
 *
 * Bounds. What a client sent and nobody has understood yet stays in a buffer of its own, only as large as
 * needed; the sum of all is capped: over the cap, a connection that needs more than
 * CONNECTION_INPUT_BYTES_FREE is told so and closed, so that the whole is at most cap + clients_max *
 * CONNECTION_INPUT_BYTES_FREE. What is understood is the replica's: it says when to stop reading. One event
 * reads a bounded number of bytes, so that nobody is starved by a fast sender.
 *
 * Replies are written once, at the end of the turn, directly; EV_WRITE is asked for only when the socket is
 * full.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "loop.h"

#include <stddef.h>
#include <stdint.h>

enum {
    CONNECTION_READ_BYTES_MAX = 64 * 1024,        /* in one event */
    CONNECTION_READ_LARGE_BYTES_MAX = 512 * 1024, /* ... of a large argument that is on its way */
    CONNECTION_INPUT_BYTES_FREE = 16 * 1024,
    CONNECTION_LINGER_MS = 1000, /* how long what a client still sends is thrown away after an error */
    CONNECTION_LINGER_BYTES_MAX = 4 * 1024 * 1024,
};

struct connection;

struct connections {
    struct loop *loop;
    uint32_t clients_max;
    uint64_t input_bytes_max;
    struct connection *first, *last; /* by id; those that linger are not in it */
    struct connection *lingering;
    struct connection *ready_first,
        *ready_last;                 /* have output or a new state: looked at by connections_flush() */
    struct connection *resume_first; /* may be read again: looked at by connections_resume() */
    uint64_t next_id;
    uint32_t count, lingering_count;
    uint64_t input_bytes; /* capacity of all input buffers and parsers */
    uint64_t clients_total, clients_refused, input_bytes_total, output_bytes_total;
    uint8_t *scratch; /* where sockets are read to first */
    /* Takes over a socket. */
    void (*back_up)(void *context, int file, const struct backup_order *order);
    void *context;
};

void connections_init(struct connections *connections, struct loop *loop, uint32_t clients_max,
                      uint64_t input_bytes_max);
/* Closes all. While the replica still lives. */
void connections_deinit(struct connections *connections);

/* Takes over an accepted socket; over clients_max the client is told and closed. */
void connections_open(struct connections *connections, int file, uint32_t listener);
/* io.client_ready. */
void connection_on_ready(struct connection *connection);
/* io.start_backup: the socket goes to connections->back_up() when all replies are sent, and the connection
 * ends. */
void connection_become_backup(struct connection *connection, const struct backup_order *order);

/* Before the end of the turn: goes on with connections that were held back. */
void connections_resume(struct connections *connections);
/* After the end of the turn: writes replies, closes what is done. */
void connections_flush(struct connections *connections);
/* True when connections_resume() has something to do: the next turn should not wait. */
bool connections_have_work(const struct connections *connections);

#endif
