/* bench_clients.h: the client side of the bench's own servers, in the shape of kvd's loop.
 *
 * One thread; raw libevent events, no bufferevent; kvd's own request parser and reply code. Requests are
 * handed on as they are read; replies gather and are written at the end of the turn, EV_WRITE only after
 * EAGAIN. So whatever a server on top of this reaches is what the loop, the parser and the kernel leave to
 * kvd. It is not a server for users: no limits on memory, and any error of a connection closes it.
 */
#ifndef BENCH_CLIENTS_H
#define BENCH_CLIENTS_H

#include "byte_buffer.h"
#include "reply.h"
#include "resp_parser.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct bench_clients;

struct bench_client {
    struct reply reply; /* write replies here, then bench_client_answered() */
    /* private */
    struct bench_clients *owner;
    struct event *readable;
    struct event *writable;
    int fd; /* -1: gone, kept only for those that refer to it */
    struct byte_buffer input;
    struct byte_buffer output;
    struct resp_parser parser;
    uint32_t references; /* requests that wait for an answer */
    bool is_dirty;
    struct bench_client *next_dirty;
};

/* One request, count >= 1; the arguments are views that live until the function returns. */
typedef void bench_request_function(void *context, struct bench_client *client,
                                    const struct argument *arguments, uint32_t count);

/* Listens on 127.0.0.1:port. Exits with a message when it cannot. */
struct bench_clients *bench_clients_create(struct event_base *base, uint16_t port,
                                           bench_request_function *on_request, void *context);
/* The end of a turn: writes what has gathered. */
void bench_clients_flush(struct bench_clients *clients);

/* A reply was written into client->reply: it leaves with the next flush. */
void bench_client_answered(struct bench_client *client);
/* While a request waits, the client's memory stays, connected or not. */
void bench_client_ref(struct bench_client *client);
void bench_client_unref(struct bench_client *client);

/* True when argument is the upper- or lower-case form of `upper`. */
bool bench_argument_is(const struct argument *argument, const char *upper);

#endif
