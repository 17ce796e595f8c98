/* floor_link.c: see floor_link.h. */
#include "floor_link.h"

#include "byte_buffer.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { READ_BYTES = 256 * 1024 };

struct frame_header {
    uint32_t kind;
    uint32_t size;
    uint64_t number;
};

struct floor_link {
    int fd;
    struct event *readable;
    struct event *writable;
    struct byte_buffer input;
    struct byte_buffer output;
    floor_frame_function *on_frame;
    void *context;
};

static _Noreturn void link_broken(void)
{
    exit(0); /* the other side was stopped, and so are we */
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    floor_link_flush(context);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct floor_link *link = context;
    (void)what;
    ssize_t got = recv(fd, byte_buffer_reserve(&link->input, READ_BYTES), READ_BYTES, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        link_broken();
    }
    byte_buffer_commit(&link->input, got > 0 ? (size_t)got : 0);
    struct frame_header header;
    while (byte_buffer_size(&link->input) >= sizeof header) {
        const uint8_t *front = byte_buffer_front(&link->input);
        memcpy(&header, front, sizeof header);
        if (byte_buffer_size(&link->input) < sizeof header + header.size) {
            break;
        }
        link->on_frame(link->context, link, (enum floor_frame_kind)header.kind, header.number,
                       front + sizeof header, header.size);
        byte_buffer_consume(&link->input, sizeof header + header.size);
    }
}

struct floor_link *floor_link_create(struct event_base *base, int fd, floor_frame_function *on_frame,
                                     void *context)
{
    struct floor_link *link = calloc(1, sizeof *link);
    int on = 1;
    assert(link != NULL);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    evutil_make_socket_nonblocking(fd);
    link->fd = fd;
    link->on_frame = on_frame;
    link->context = context;
    link->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, link);
    link->writable = event_new(base, fd, EV_WRITE, on_writable, link);
    assert(link->readable != NULL && link->writable != NULL);
    event_add(link->readable, NULL);
    return link;
}

void floor_link_send(struct floor_link *link, enum floor_frame_kind kind, uint64_t number,
                     const uint8_t *bytes, size_t size)
{
    assert(size <= UINT32_MAX);
    struct frame_header header = {.kind = kind, .size = (uint32_t)size, .number = number};
    byte_buffer_append(&link->output, &header, sizeof header);
    if (size > 0) {
        byte_buffer_append(&link->output, bytes, size);
    }
}

void floor_link_flush(struct floor_link *link)
{
    size_t size = byte_buffer_size(&link->output);
    if (size == 0) {
        return;
    }
    ssize_t sent = send(link->fd, byte_buffer_front(&link->output), size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        link_broken();
    }
    byte_buffer_consume(&link->output, sent > 0 ? (size_t)sent : 0);
    if (byte_buffer_size(&link->output) > 0) {
        event_add(link->writable, NULL);
    }
}
