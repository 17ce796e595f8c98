/* ceiling.c: the ceiling of the bench: kvd's loop, parser and replies, and nothing behind them.
 *
 * Answers +OK to everything, PONG to PING and a value of 100 bytes to GET, and stores nothing. What kvd
 * reaches can be near this number, never above it: the rest is the price of keeping the promise.
 *
 *   ceiling <port>
 */
#include "bench_clients.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_BYTES = 100 };

static void on_request(void *context, struct bench_client *client, const struct argument *arguments,
                       uint32_t count)
{
    (void)count;
    if (bench_argument_is(&arguments[0], "GET")) {
        reply_bulk(&client->reply, context, VALUE_BYTES);
    } else if (bench_argument_is(&arguments[0], "PING")) {
        reply_simple(&client->reply, "PONG");
    } else {
        reply_simple(&client->reply, "OK");
    }
    bench_client_answered(client);
}

int main(int argc, char **argv)
{
    char value[VALUE_BYTES];
    char *end = NULL;
    unsigned long port = argc == 2 ? strtoul(argv[1], &end, 10) : 0;
    if (port == 0 || port > UINT16_MAX || *end != '\0') {
        fprintf(stderr, "usage: ceiling <port>\n");
        return 2;
    }
    memset(value, 'x', sizeof value);
    struct event_base *base = event_base_new();
    assert(base != NULL);
    struct bench_clients *clients = bench_clients_create(base, (uint16_t)port, on_request, value);
    for (;;) {
        event_base_loop(base, EVLOOP_ONCE);
        bench_clients_flush(clients);
    }
}
