/* node_connection.h: one TCP connection to one node: opened, written and read with a deadline each time.
 *
 * Requests are sent whole and their replies read in order. The connection knows nothing of commands,
 * redirects or retries; what it tells precisely is how far a request got: one whose last byte was not handed
 * to the kernel was certainly not executed, because a server runs no command before it has it whole.
 *
 * After any result but NODE_CONNECTION_OK the connection is closed and may be opened again.
 */
#ifndef NODE_CONNECTION_H
#define NODE_CONNECTION_H

#include "answer.h"
#include "answer_reader.h"
#include "deadline.h"
#include "endpoint.h"

#include <stdbool.h>
#include <stddef.h>

enum node_connection_result {
    NODE_CONNECTION_OK,
    NODE_CONNECTION_ANSWERED, /* node_connection_send() only: the server answered before it had the whole
                               * request, so it has not executed it; node_connection_receive() gives the
                               * answer, then close */
    NODE_CONNECTION_FAILED,   /* refused, lost, garbage: connection->error says what */
    NODE_CONNECTION_TIMED_OUT,
    NODE_CONNECTION_CANCELLED,
};

struct node_connection {
    int fd; /* -1: closed */
    struct endpoint peer;
    struct answer_reader reader;
    char error[256]; /* of the last call that failed, without the peer's name */
};

void node_connection_init(struct node_connection *connection);
/* Closes it too. */
void node_connection_deinit(struct node_connection *connection);
void node_connection_close(struct node_connection *connection);

/* Tries each of the host's addresses in turn. */
enum node_connection_result node_connection_open(struct node_connection *connection,
                                                 const struct endpoint *peer, const struct deadline *deadline)
    __attribute__((warn_unused_result));
/* True when an open, idle connection has been closed by the other side, or has bytes that nobody asked for.
 */
bool node_connection_is_stale(struct node_connection *connection);
enum node_connection_result node_connection_send(struct node_connection *connection, const void *bytes,
                                                 size_t size, const struct deadline *deadline)
    __attribute__((warn_unused_result));
/* The next reply; the caller owns it. Push messages are dropped. */
enum node_connection_result node_connection_receive(struct node_connection *connection, struct answer *answer,
                                                    const struct deadline *deadline)
    __attribute__((warn_unused_result));

#endif
