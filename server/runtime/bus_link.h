/* bus_link.h: one TCP connection with another node: frames in and out. It knows no handshake and no peer.
 *
 * A link is never freed inside a callback: bus_link_close() takes it off the loop, and its owner frees it
 * later with bus_link_destroy(), at the end of a turn.
 */
#ifndef BUS_LINK_H
#define BUS_LINK_H

#include "bus_codec.h"
#include "loop.h"

#include <event2/event_struct.h>

enum bus_link_end {
    BUS_LINK_CLOSED,  /* by the other side */
    BUS_LINK_BROKEN,  /* refused, reset, timed out: `reason` says */
    BUS_LINK_GARBAGE, /* bytes that are no frame */
    BUS_LINK_LATE,    /* the deadline passed */
};

struct bus_link;

struct bus_link_handlers {
    void (*on_connected)(struct bus_link *link); /* NULL for accepted ones */
    /* The message is freed afterwards. */
    void (*on_message)(struct bus_link *link, const struct bus_message *message);
    void (*on_partial)(struct bus_link *link); /* bytes of an unfinished frame arrived */
    /* It is closed already. Not called after bus_link_close(). */
    void (*on_end)(struct bus_link *link, enum bus_link_end end, const char *reason);
};

struct bus_link {
    struct loop *loop;
    const struct bus_link_handlers *handlers;
    int file;
    struct event read_event, write_event, deadline;
    struct byte_buffer input, output;
    size_t body_bytes_max;
    size_t wanted; /* bytes of the frame that is on its way, 0: unknown */
    bool connecting, writing, closed;
    bool close_when_sent;  /* reads no more */
    bool paused;           /* reads no more, until its socket is taken */
    struct bus_link *next; /* for the owner's lists */
    void *owner;
};

/* Takes over the socket. `connecting`: becomes writable when the connection stands or failed. */
struct bus_link *bus_link_create(struct loop *loop, const struct bus_link_handlers *handlers, void *owner,
                                 int file, bool connecting, size_t body_bytes_max);
void bus_link_destroy(struct bus_link *link);

/* Ends with BUS_LINK_LATE unless it is called again before; 0: no deadline. */
void bus_link_set_deadline(struct bus_link *link, uint32_t ms);
/* Queues a frame; bus_link_flush() sends. */
void bus_link_queue(struct bus_link *link, const struct bus_message *message);
/* Writes once, and calls nobody back. */
void bus_link_send_now(struct bus_link *link);
/* Writes once. A broken link reports its end. */
void bus_link_flush(struct bus_link *link);
/* Closes once what is queued has been sent, in a second at most; the end is not reported. */
void bus_link_close_when_sent(struct bus_link *link);
/* To be called by on_message(): what follows is not for us. Then, in a later callback, take the socket. */
void bus_link_pause(struct bus_link *link);
/* The link is closed, and its socket the caller's; what has arrived and was not read stands in `input`. */
int bus_link_take_file(struct bus_link *link);
void bus_link_close(struct bus_link *link);

#endif
