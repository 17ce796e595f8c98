/* bench_clients.c: see bench_clients.h. */
#include "bench_clients.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024, LISTEN_BACKLOG = 1024 };

static const struct resp_limits BENCH_LIMITS = {
    .inline_bytes_max = 64 * 1024,
    .arguments_max = 1024,
    .bulk_bytes_max = 1024 * 1024,
    .request_bytes_max = 16 * 1024 * 1024,
};

struct bench_clients {
    struct event_base *base;
    struct event *acceptable;
    bench_request_function *on_request;
    void *context;
    struct bench_client *dirty;
};

static void client_free(struct bench_client *client)
{
    byte_buffer_deinit(&client->input);
    byte_buffer_deinit(&client->output);
    resp_parser_deinit(&client->parser);
    free(client);
}

/* A dirty client is freed by the flush that takes it from the list, a referenced one by the last unref. */
static void client_maybe_free(struct bench_client *client)
{
    if (client->fd < 0 && client->references == 0 && !client->is_dirty) {
        client_free(client);
    }
}

static void client_disconnect(struct bench_client *client)
{
    if (client->fd >= 0) {
        event_free(client->readable);
        event_free(client->writable);
        close(client->fd);
        client->fd = -1;
    }
}

static void client_write(struct bench_client *client)
{
    size_t size = byte_buffer_size(&client->output);
    if (client->fd < 0 || size == 0) {
        return;
    }
    ssize_t sent = send(client->fd, byte_buffer_front(&client->output), size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        client_disconnect(client);
        return;
    }
    byte_buffer_consume(&client->output, sent > 0 ? (size_t)sent : 0);
    if (byte_buffer_size(&client->output) > 0) {
        event_add(client->writable, NULL);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct bench_client *client = context;
    (void)fd;
    (void)what;
    client_write(client);
    client_maybe_free(client);
}

/* Hands on every whole request of the input. False: the client talks nonsense. */
static bool client_parse(struct bench_client *client)
{
    struct bench_clients *owner = client->owner;
    while (byte_buffer_size(&client->input) > 0) {
        size_t consumed = 0;
        enum resp_parser_result result = resp_parser_feed(&client->parser, byte_buffer_front(&client->input),
                                                          byte_buffer_size(&client->input), &consumed);
        if (result == RESP_PARSER_NEED_MORE) {
            return true;
        }
        if (result != RESP_PARSER_REQUEST) {
            return false;
        }
        if (client->parser.arguments_count > 0) {
            owner->on_request(owner->context, client, client->parser.arguments,
                              client->parser.arguments_count);
        }
        byte_buffer_consume(&client->input, consumed);
    }
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct bench_client *client = context;
    (void)what;
    uint8_t *to = byte_buffer_reserve(&client->input, READ_BYTES);
    ssize_t got = recv(fd, to, READ_BYTES, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got > 0) {
        byte_buffer_commit(&client->input, (size_t)got);
    }
    if (got <= 0 || !client_parse(client)) {
        client_disconnect(client);
        client_maybe_free(client);
    }
}

static void on_acceptable(evutil_socket_t listener, short what, void *context)
{
    struct bench_clients *clients = context;
    (void)what;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct bench_client *client = calloc(1, sizeof *client);
    assert(client != NULL);
    client->owner = clients;
    client->fd = fd;
    client->reply = (struct reply){.out = &client->output, .protocol = 2};
    resp_parser_init(&client->parser, &BENCH_LIMITS);
    client->readable = event_new(clients->base, fd, EV_READ | EV_PERSIST, on_readable, client);
    client->writable = event_new(clients->base, fd, EV_WRITE, on_writable, client);
    assert(client->readable != NULL && client->writable != NULL);
    event_add(client->readable, NULL);
}

struct bench_clients *bench_clients_create(struct event_base *base, uint16_t port,
                                           bench_request_function *on_request, void *context)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        fprintf(stderr, "cannot listen on 127.0.0.1:%u: %s\n", port, strerror(errno));
        exit(3);
    }
    struct bench_clients *clients = calloc(1, sizeof *clients);
    assert(clients != NULL);
    clients->base = base;
    clients->on_request = on_request;
    clients->context = context;
    clients->acceptable = event_new(base, fd, EV_READ | EV_PERSIST, on_acceptable, clients);
    assert(clients->acceptable != NULL);
    event_add(clients->acceptable, NULL);
    return clients;
}

void bench_clients_flush(struct bench_clients *clients)
{
    struct bench_client *next = clients->dirty;
    clients->dirty = NULL;
    while (next != NULL) {
        struct bench_client *client = next;
        next = client->next_dirty;
        client->is_dirty = false;
        client_write(client);
        client_maybe_free(client);
    }
}

void bench_client_answered(struct bench_client *client)
{
    if (!client->is_dirty) {
        client->is_dirty = true;
        client->next_dirty = client->owner->dirty;
        client->owner->dirty = client;
    }
}

void bench_client_ref(struct bench_client *client)
{
    client->references++;
}

void bench_client_unref(struct bench_client *client)
{
    assert(client->references > 0);
    client->references--;
    client_maybe_free(client);
}

bool bench_argument_is(const struct argument *argument, const char *upper)
{
    size_t size = strlen(upper);
    return argument->size == size && strncasecmp((const char *)argument->bytes, upper, size) == 0;
}
