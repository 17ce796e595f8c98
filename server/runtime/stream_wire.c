/* stream_wire.c: see stream_wire.h. Waits in short slices, to notice that it is aborted. */
#include "stream_wire.h"

#include "socket.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SLICE_MS = 50, READ_BYTES = 256 * 1024 };

bool stream_wire_fail(struct stream_wire *wire, const char *format, ...)
{
    va_list arguments;

    if (wire->problem[0] == '\0') {
        va_start(arguments, format);
        (void)vsnprintf(wire->problem, sizeof wire->problem, format, arguments);
        va_end(arguments);
    }
    return false;
}

uint64_t stream_wire_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until the socket is ready for it. */
static bool wait_for(struct stream_wire *wire, short what, uint32_t silence_ms)
{
    for (uint32_t waited_ms = 0; waited_ms <= silence_ms; waited_ms += SLICE_MS) {
        struct pollfd poll_file = {wire->file, what, 0};

        if (atomic_load(&wire->aborted)) {
            return stream_wire_fail(wire, "it was given up");
        }
        if (poll(&poll_file, 1, SLICE_MS) > 0) {
            return true;
        }
    }
    return stream_wire_fail(wire, "nothing moved for %u s", silence_ms / 1000);
}

static bool finish_connecting(struct stream_wire *wire)
{
    int problem = 0;
    socklen_t size = sizeof problem;

    if (!wait_for(wire, POLLOUT, STREAM_SILENCE_MS_MAX)) {
        return false;
    }
    if (getsockopt(wire->file, SOL_SOCKET, SO_ERROR, &problem, &size) != 0) {
        problem = errno;
    }
    return problem == 0 || stream_wire_fail(wire, "%s", strerror(problem));
}

static bool connect_to(struct stream_wire *wire, const struct resolved_address *address)
{
    bool in_progress = false;

    wire->file = socket_connect(address, &in_progress);
    if (wire->file < 0) {
        return stream_wire_fail(wire, "%s", strerror(errno));
    }
    socket_prepare_member(wire->file, STREAM_USER_TIMEOUT_MS);
    return finish_connecting(wire);
}

/* A name may stand for several addresses, and the node be at only one of them. */
bool stream_wire_connect(struct stream_wire *wire, const char *host, uint16_t port)
{
    struct resolved known = {0};

    resolver_resolve_now(host, port, false, &known);
    if (known.problem != 0 || known.count == 0) {
        return stream_wire_fail(wire, "its name is not known (%s)", gai_strerror(known.problem));
    }
    for (uint32_t i = 0; i < known.count && !atomic_load(&wire->aborted); i++) {
        stream_wire_close(wire);
        wire->problem[0] = '\0';
        if (connect_to(wire, &known.addresses[i])) {
            return true;
        }
    }
    return stream_wire_fail(wire, "it was given up");
}

/* What one call has to send. */
struct sending {
    size_t size, left;
    uint64_t begun_ms, moved_ms; /* since when; when some of it went last */
};

/* The kernel took nothing just now. It is tried again after each slice, whether the socket is called writable
 * or not: one with a large buffer is so only when a third of that is free, which may take longer than the
 * silence that is allowed although bytes arrive all the time. */
static bool wait_to_send(struct stream_wire *wire, const struct sending *sending)
{
    uint32_t silence_ms = wire->silence_ms != 0 ? wire->silence_ms : STREAM_SILENCE_MS_MAX;
    uint32_t all_ms = wire->send_ms_max != 0 ? wire->send_ms_max : STREAM_SEND_MS_MAX;
    uint64_t now_ms = stream_wire_now_ms();
    struct pollfd poll_file = {wire->file, POLLOUT, 0};

    if (atomic_load(&wire->aborted)) {
        return stream_wire_fail(wire, "it was given up");
    }
    if (now_ms - sending->moved_ms >= silence_ms) {
        return stream_wire_fail(wire, "nothing moved for %u s", silence_ms / 1000);
    }
    if (now_ms - sending->begun_ms >= all_ms) {
        return stream_wire_fail(wire, "it is too slow: %zu of %zu bytes got through in %u s",
                                sending->size - sending->left, sending->size, all_ms / 1000);
    }
    (void)poll(&poll_file, 1, SLICE_MS);
    return true;
}

bool stream_wire_send(struct stream_wire *wire, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t now_ms = stream_wire_now_ms();
    struct sending sending = {.size = size, .left = size, .begun_ms = now_ms, .moved_ms = now_ms};

    while (sending.left > 0) {
        ssize_t sent = send(wire->file, at, sending.left, MSG_NOSIGNAL);

        if (sent > 0) {
            at += sent;
            sending.left -= (size_t)sent;
            sending.moved_ms = stream_wire_now_ms();
        } else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return stream_wire_fail(wire, "%s", strerror(errno));
        } else if (!wait_to_send(wire, &sending)) {
            return false;
        }
    }
    return true;
}

bool stream_wire_send_frame(struct stream_wire *wire, const struct bus_message *message)
{
    struct byte_buffer bytes = {0};

    bus_codec_encode(&bytes, message);
    bool sent = stream_wire_send(wire, byte_buffer_front(&bytes), byte_buffer_size(&bytes));

    byte_buffer_deinit(&bytes);
    return sent;
}

/* Waits for some bytes. */
static bool read_some(struct stream_wire *wire, uint32_t silence_ms)
{
    for (;;) {
        ssize_t got = read(wire->file, byte_buffer_reserve(&wire->input, READ_BYTES), READ_BYTES);

        if (got > 0) {
            byte_buffer_commit(&wire->input, (size_t)got);
            return true;
        }
        if (got == 0) {
            return stream_wire_fail(wire, "closed by the other side");
        }
        if (errno != EAGAIN && errno != EINTR) {
            return stream_wire_fail(wire, "%s", strerror(errno));
        }
        if (!wait_for(wire, POLLIN, silence_ms)) {
            return false;
        }
    }
}

bool stream_wire_await(struct stream_wire *wire, size_t size)
{
    while (byte_buffer_size(&wire->input) < size) {
        if (!read_some(wire, STREAM_SILENCE_MS_MAX)) {
            return false;
        }
    }
    return true;
}

bool stream_wire_receive_frame(struct stream_wire *wire, uint32_t silence_ms, struct bus_message *message)
{
    for (;;) {
        size_t consumed = 0, wanted = 0;

        switch (bus_codec_decode(byte_buffer_front(&wire->input), byte_buffer_size(&wire->input),
                                 STREAM_FRAME_BYTES_MAX, message, &consumed, &wanted)) {
        case BUS_CODEC_MESSAGE:
            byte_buffer_consume(&wire->input, consumed);
            return true;
        case BUS_CODEC_ERROR:
            return stream_wire_fail(wire, "these bytes are no frame of the bus");
        case BUS_CODEC_NEED_MORE:
            if (!read_some(wire, silence_ms)) {
                return false;
            }
        }
    }
}

bool stream_wire_has_input(struct stream_wire *wire)
{
    struct pollfd poll_file = {wire->file, POLLIN, 0};

    return byte_buffer_size(&wire->input) > 0 || poll(&poll_file, 1, 0) > 0;
}

void stream_wire_sleep(struct stream_wire *wire, uint64_t ms)
{
    while (ms > 0 && !atomic_load(&wire->aborted)) {
        uint64_t slice_ms = ms < SLICE_MS ? ms : SLICE_MS;
        const struct timespec slice = {0, (long)slice_ms * 1000000};

        (void)nanosleep(&slice, NULL);
        ms -= slice_ms;
    }
}

void stream_wire_close(struct stream_wire *wire)
{
    if (wire->file >= 0) {
        (void)close(wire->file);
        wire->file = -1;
    }
    byte_buffer_deinit(&wire->input);
}
