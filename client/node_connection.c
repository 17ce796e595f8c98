/* node_connection.c: one TCP connection to one node. */
#include "node_connection.h"

#include "address_lookup.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    NODE_CONNECTION_READ_BYTES = 64 * 1024,
};

static enum node_connection_result node_connection_fail(struct node_connection *connection,
                                                        const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum node_connection_result node_connection_fail(struct node_connection *connection,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(connection->error, sizeof connection->error, format, arguments);
    va_end(arguments);
    node_connection_close(connection);
    return NODE_CONNECTION_FAILED;
}

/* What a wait that did not end in DEADLINE_READY means. */
static enum node_connection_result node_connection_give_up(struct node_connection *connection,
                                                           enum deadline_result waited, const char *what)
{
    assert(waited != DEADLINE_READY);
    node_connection_close(connection);
    if (waited == DEADLINE_CANCELLED) {
        snprintf(connection->error, sizeof connection->error, "interrupted");
        return NODE_CONNECTION_CANCELLED;
    }
    snprintf(connection->error, sizeof connection->error, "%s", what);
    return NODE_CONNECTION_TIMED_OUT;
}

void node_connection_init(struct node_connection *connection)
{
    struct answer_limits limits = ANSWER_LIMITS_DEFAULT;
    *connection = (struct node_connection){.fd = -1};
    answer_reader_init(&connection->reader, &limits);
}

void node_connection_deinit(struct node_connection *connection)
{
    node_connection_close(connection);
    answer_reader_deinit(&connection->reader);
}

void node_connection_close(struct node_connection *connection)
{
    if (connection->fd >= 0) {
        close(connection->fd);
        connection->fd = -1;
    }
    answer_reader_reset(&connection->reader);
}

static enum node_connection_result node_connection_open_address(struct node_connection *connection,
                                                                const struct addrinfo *address,
                                                                const struct deadline *deadline)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return node_connection_fail(connection, "cannot make a socket: %s", strerror(errno));
    }
    connection->fd = fd;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        if (errno != EINPROGRESS && errno != EINTR) {
            return node_connection_fail(connection, "cannot connect: %s", strerror(errno));
        }
        enum deadline_result waited = deadline_wait(deadline, fd, POLLOUT);
        if (waited != DEADLINE_READY) {
            return node_connection_give_up(connection, waited, "cannot connect: no answer in time");
        }
        int code = 0;
        socklen_t size = sizeof code;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0 || code != 0) {
            return node_connection_fail(connection, "cannot connect: %s", strerror(code));
        }
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return NODE_CONNECTION_OK;
}

enum node_connection_result node_connection_open(struct node_connection *connection,
                                                 const struct endpoint *peer, const struct deadline *deadline)
{
    node_connection_close(connection);
    connection->peer = *peer;
    struct addrinfo *found = NULL;
    char reason[128];
    switch (address_lookup_find(peer, deadline, &found, reason, sizeof reason)) {
    case ADDRESS_LOOKUP_FOUND:
        break;
    case ADDRESS_LOOKUP_NOT_FOUND:
        return node_connection_fail(connection, "cannot resolve the name: %s", reason);
    case ADDRESS_LOOKUP_TIMED_OUT:
        return node_connection_give_up(connection, DEADLINE_PASSED,
                                       "cannot resolve the name: no answer in time");
    case ADDRESS_LOOKUP_CANCELLED:
        return node_connection_give_up(connection, DEADLINE_CANCELLED, "");
    }
    enum node_connection_result result = NODE_CONNECTION_FAILED;
    for (const struct addrinfo *address = found; address != NULL; address = address->ai_next) {
        /* One address that swallows packets must not use up the time of the others. */
        uint64_t remaining = deadline_remaining_ms(deadline);
        struct deadline share =
            deadline_within(deadline, address->ai_next == NULL ? remaining : remaining / 2);
        result = node_connection_open_address(connection, address, &share);
        if (result == NODE_CONNECTION_OK || result == NODE_CONNECTION_CANCELLED) {
            break;
        }
    }
    freeaddrinfo(found);
    return result;
}

bool node_connection_is_stale(struct node_connection *connection)
{
    if (connection->fd < 0 || byte_buffer_size(&connection->reader.input) > 0) {
        return true;
    }
    char byte;
    ssize_t size = recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return !(size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

/* Takes what has arrived. NODE_CONNECTION_OK with *size 0: nothing has. */
static enum node_connection_result node_connection_read(struct node_connection *connection, size_t *size)
{
    uint8_t *place = byte_buffer_reserve(&connection->reader.input, NODE_CONNECTION_READ_BYTES);
    ssize_t got = recv(connection->fd, place, NODE_CONNECTION_READ_BYTES, MSG_DONTWAIT);
    *size = 0;
    if (got < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
            return NODE_CONNECTION_OK;
        }
        return node_connection_fail(connection, "connection lost: %s", strerror(errno));
    }
    if (got == 0) {
        return node_connection_fail(connection, "the server closed the connection");
    }
    byte_buffer_commit(&connection->reader.input, (size_t)got);
    *size = (size_t)got;
    return NODE_CONNECTION_OK;
}

enum node_connection_result node_connection_send(struct node_connection *connection, const void *bytes,
                                                 size_t size, const struct deadline *deadline)
{
    const uint8_t *from = bytes;
    assert(connection->fd >= 0);
    while (size > 0) {
        enum deadline_result waited = deadline_wait(deadline, connection->fd, POLLOUT | POLLIN);
        if (waited != DEADLINE_READY) {
            return node_connection_give_up(connection, waited, "the server did not take the request in time");
        }
        size_t arrived;
        enum node_connection_result result = node_connection_read(connection, &arrived);
        if (result != NODE_CONNECTION_OK) {
            return result;
        }
        if (arrived > 0) {
            return NODE_CONNECTION_ANSWERED;
        }
        ssize_t sent = send(connection->fd, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
                continue;
            }
            return node_connection_fail(connection, "connection lost: %s", strerror(errno));
        }
        from += sent;
        size -= (size_t)sent;
    }
    return NODE_CONNECTION_OK;
}

enum node_connection_result node_connection_receive(struct node_connection *connection, struct answer *answer,
                                                    const struct deadline *deadline)
{
    assert(connection->fd >= 0);
    for (;;) {
        switch (answer_reader_next(&connection->reader, answer)) {
        case ANSWER_READER_ANSWER:
            if (answer->type != ANSWER_PUSH) {
                return NODE_CONNECTION_OK;
            }
            answer_deinit(answer);
            continue;
        case ANSWER_READER_MALFORMED: {
            char reason[sizeof connection->reader.error];
            memcpy(reason, connection->reader.error, sizeof reason);
            return node_connection_fail(connection, "%s", reason);
        }
        case ANSWER_READER_NEED_MORE:
            break;
        }
        size_t arrived;
        enum node_connection_result result = node_connection_read(connection, &arrived);
        if (result != NODE_CONNECTION_OK) {
            return result;
        }
        if (arrived == 0) {
            enum deadline_result waited = deadline_wait(deadline, connection->fd, POLLIN);
            if (waited != DEADLINE_READY) {
                return node_connection_give_up(connection, waited, "no answer in time");
            }
        }
    }
}
