/* stream_wire.h: a socket as a thread of its own uses it: bytes and frames of the bus, waiting for each.
 *
 * A call ends early when the stream is aborted, and when nothing moves for some seconds. As one byte now and
 * then is something that moves, what is sent by one call has a time for all of it, too: that is the least
 * rate of a stream. It means a stuck other side, not a slow one: a chunk of a snapshot (256 KiB) within
 * STREAM_SEND_MS_MAX are 9 KiB in a second. After a failure `problem` says what happened, once.
 */
#ifndef STREAM_WIRE_H
#define STREAM_WIRE_H

#include "bus_codec.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STREAM_SILENCE_MS_MAX = 10000,
    STREAM_SEND_MS_MAX = 30000,
    STREAM_USER_TIMEOUT_MS = 30000,
    STREAM_FRAME_BYTES_MAX = 64 * 1024,
};

struct stream_wire {
    int file;                 /* non-blocking; -1: none */
    uint32_t silence_ms;      /* how long sending may stand still; 0: STREAM_SILENCE_MS_MAX */
    uint32_t send_ms_max;     /* how long one call may send; 0: STREAM_SEND_MS_MAX */
    atomic_bool aborted;      /* set by any thread */
    struct byte_buffer input; /* arrived, not used yet */
    char problem[200];
};

/* Keeps the first problem. Returns false. */
bool stream_wire_fail(struct stream_wire *wire, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Resolves and connects, which may take long. */
bool stream_wire_connect(struct stream_wire *wire, const char *host, uint16_t port);
/* Until the kernel has all of it. Time between two calls does not count. */
bool stream_wire_send(struct stream_wire *wire, const void *bytes, size_t size);
bool stream_wire_send_frame(struct stream_wire *wire, const struct bus_message *message);
/* At least `size` bytes stand in `input` then. */
bool stream_wire_await(struct stream_wire *wire, size_t size);
/* The next frame; within `silence_ms`. bus_message_deinit() it. */
bool stream_wire_receive_frame(struct stream_wire *wire, uint32_t silence_ms, struct bus_message *message);
/* Something has arrived that was not used yet. */
bool stream_wire_has_input(struct stream_wire *wire);
uint64_t stream_wire_now_ms(void); /* monotonic */
/* Sleeps, unless aborted. */
void stream_wire_sleep(struct stream_wire *wire, uint64_t ms);
void stream_wire_close(struct stream_wire *wire);

#endif
