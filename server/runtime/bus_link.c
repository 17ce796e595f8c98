/* bus_link.c: reads, decodes and writes frames. */
#include "bus_link.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_BYTES_MIN = 16 * 1024,
    READ_BYTES_MAX = 256 * 1024, /* in one event */
    KEEP_BYTES = 256 * 1024,     /* of an empty buffer */
    LAST_WORDS_MS = 1000,
};

static void finish(struct bus_link *link, enum bus_link_end end, const char *reason)
{
    bool silent = link->close_when_sent;

    bus_link_close(link);
    if (!silent) {
        link->handlers->on_end(link, end, reason);
    }
}

/* ---- input ----------------------------------------------------------------------------------- */

/* Hands over complete frames. False: the link was closed meanwhile. */
static bool decode(struct bus_link *link)
{
    for (;;) {
        struct bus_message message;
        size_t consumed = 0;

        link->wanted = 0;
        switch (bus_codec_decode(byte_buffer_front(&link->input), byte_buffer_size(&link->input),
                                 link->body_bytes_max, &message, &consumed, &link->wanted)) {
        case BUS_CODEC_NEED_MORE:
            return true;
        case BUS_CODEC_ERROR:
            finish(link, BUS_LINK_GARBAGE, "these bytes are no frame of the bus");
            return false;
        case BUS_CODEC_MESSAGE:
            link->handlers->on_message(link, &message);
            bus_message_deinit(&message);
            if (link->closed || link->close_when_sent) {
                return false;
            }
            byte_buffer_consume(&link->input, consumed);
            if (link->paused) {
                return false;
            }
            break;
        }
        if (byte_buffer_size(&link->input) == 0) {
            return true;
        }
    }
}

/* What is still missing of the present frame, within bounds: memory grows with what arrives, not with what is
 * announced. */
static size_t bytes_to_read(const struct bus_link *link)
{
    size_t have = byte_buffer_size(&link->input);
    size_t missing = link->wanted > have ? link->wanted - have : 0;

    if (missing < READ_BYTES_MIN) {
        return READ_BYTES_MIN;
    }
    return missing > READ_BYTES_MAX ? READ_BYTES_MAX : missing;
}

static void on_readable(evutil_socket_t file, short what, void *context)
{
    struct bus_link *link = context;

    (void)what;
    loop_begin_turn(link->loop);
    if (link->close_when_sent) {
        return;
    }
    size_t room = bytes_to_read(link);
    ssize_t got = read(file, byte_buffer_reserve(&link->input, room), room);

    if (got == 0) {
        finish(link, BUS_LINK_CLOSED, "closed by the other side");
    } else if (got < 0 && errno != EAGAIN && errno != EINTR) {
        finish(link, BUS_LINK_BROKEN, strerror(errno));
    } else if (got > 0) {
        byte_buffer_commit(&link->input, (size_t)got);
        if (decode(link)) {
            if (byte_buffer_size(&link->input) > 0) {
                link->handlers->on_partial(link);
            } else {
                byte_buffer_trim(&link->input, KEEP_BYTES);
            }
        }
    }
}

/* ---- output ---------------------------------------------------------------------------------- */

static void set_writing(struct bus_link *link, bool writing)
{
    if (link->writing != writing) {
        link->writing = writing;
        if ((writing ? event_add(&link->write_event, NULL) : event_del(&link->write_event)) != 0) {
            abort();
        }
    }
}

void bus_link_queue(struct bus_link *link, const struct bus_message *message)
{
    assert(!link->closed);
    bus_codec_encode(&link->output, message);
}

static bool may_send(const struct bus_link *link)
{
    return !link->closed && !link->connecting && !link->writing;
}

/* As much as the socket takes. False: it is broken, errno says how. */
static bool send_some(struct bus_link *link)
{
    size_t size = byte_buffer_size(&link->output);

    if (size == 0) {
        return true;
    }
    ssize_t sent = send(link->file, byte_buffer_front(&link->output), size, MSG_NOSIGNAL);

    if (sent > 0) {
        byte_buffer_consume(&link->output, (size_t)sent);
    }
    return sent >= 0 || errno == EAGAIN || errno == EINTR;
}

void bus_link_send_now(struct bus_link *link)
{
    if (may_send(link)) {
        (void)send_some(link); /* a broken one is found again when it is flushed */
    }
}

void bus_link_flush(struct bus_link *link)
{
    if (!may_send(link)) {
        return;
    }
    if (!send_some(link)) {
        finish(link, BUS_LINK_BROKEN, strerror(errno));
        return;
    }
    if (byte_buffer_size(&link->output) > 0) {
        set_writing(link, true);
        return;
    }
    byte_buffer_trim(&link->output, KEEP_BYTES);
    if (link->close_when_sent) {
        (void)shutdown(link->file, SHUT_WR); /* the deadline, or the other side, does the rest */
    }
}

static void on_connected(struct bus_link *link)
{
    int problem = 0;
    socklen_t size = sizeof problem;

    if (getsockopt(link->file, SOL_SOCKET, SO_ERROR, &problem, &size) != 0) {
        problem = errno;
    }
    if (problem != 0) {
        finish(link, BUS_LINK_BROKEN, strerror(problem));
        return;
    }
    link->connecting = false;
    if (event_add(&link->read_event, NULL) != 0) {
        abort();
    }
    link->handlers->on_connected(link);
}

static void on_writable(evutil_socket_t file, short what, void *context)
{
    struct bus_link *link = context;

    (void)file;
    (void)what;
    loop_begin_turn(link->loop);
    set_writing(link, false);
    if (link->connecting) {
        on_connected(link);
    }
    bus_link_flush(link);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void on_deadline(evutil_socket_t file, short what, void *context)
{
    struct bus_link *link = context;

    (void)file;
    (void)what;
    loop_begin_turn(link->loop);
    finish(link, BUS_LINK_LATE, link->connecting ? "no connection in time" : "no hello in time");
}

struct bus_link *bus_link_create(struct loop *loop, const struct bus_link_handlers *handlers, void *owner,
                                 int file, bool connecting, size_t body_bytes_max)
{
    struct bus_link *link = calloc(1, sizeof *link);

    if (link == NULL) {
        abort();
    }
    link->loop = loop;
    link->handlers = handlers;
    link->owner = owner;
    link->file = file;
    link->connecting = connecting;
    link->body_bytes_max = body_bytes_max;
    if (event_assign(&link->read_event, loop->base, file, EV_READ | EV_PERSIST, on_readable, link) != 0 ||
        event_assign(&link->write_event, loop->base, file, EV_WRITE | EV_PERSIST, on_writable, link) != 0 ||
        evtimer_assign(&link->deadline, loop->base, on_deadline, link) != 0) {
        abort();
    }
    if (connecting) {
        set_writing(link, true);
    } else if (event_add(&link->read_event, NULL) != 0) {
        abort();
    }
    return link;
}

void bus_link_set_deadline(struct bus_link *link, uint32_t ms)
{
    const struct timeval in = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};

    if ((ms == 0 ? event_del(&link->deadline) : event_add(&link->deadline, &in)) != 0) {
        abort();
    }
}

void bus_link_close_when_sent(struct bus_link *link)
{
    assert(!link->closed);
    link->close_when_sent = true;
    (void)event_del(&link->read_event);
    bus_link_set_deadline(link, LAST_WORDS_MS);
    bus_link_flush(link);
}

void bus_link_pause(struct bus_link *link)
{
    link->paused = true;
    (void)event_del(&link->read_event);
    bus_link_set_deadline(link, 0);
}

int bus_link_take_file(struct bus_link *link)
{
    assert(link->paused && !link->closed);
    link->closed = true;
    set_writing(link, false);
    return link->file;
}

void bus_link_close(struct bus_link *link)
{
    if (link->closed) {
        return;
    }
    link->closed = true;
    (void)event_del(&link->read_event);
    (void)event_del(&link->write_event);
    (void)event_del(&link->deadline);
    (void)close(link->file);
    byte_buffer_deinit(&link->output);
}

void bus_link_destroy(struct bus_link *link)
{
    bus_link_close(link);
    byte_buffer_deinit(&link->input);
    free(link);
}
