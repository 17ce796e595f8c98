/* listener.h: sockets on which connections are accepted, of clients or of other members.
 *
 * Accepts in bounded bursts. When the process has no file descriptors left it pauses for a moment, instead of
 * being woken again and again by a connection that it cannot take.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include "loop.h"

#include <event2/event_struct.h>

struct listener {
    struct loop *loop;
    int file; /* -1: not open */
    uint32_t number;
    struct event event, pause;
    void (*on_accepted)(void *context, int file, uint32_t number);
    void *context;
    uint64_t complained_ms; /* when the last pause was logged */
};

/* Takes over the listening socket. `on_accepted` takes over each accepted one, which is non-blocking. */
void listener_start(struct listener *listener, struct loop *loop, int file, uint32_t number,
                    void (*on_accepted)(void *context, int file, uint32_t number), void *context);
void listener_stop(struct listener *listener); /* {.file = -1} and twice are allowed */

#endif
