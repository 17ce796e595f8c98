/* floor_link.h: a connection between two processes of the floor model: frames over TCP, gathered and written
 * once per turn. A link that breaks ends the process: the model has no faults. */
#ifndef FLOOR_LINK_H
#define FLOOR_LINK_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

enum floor_frame_kind {
    FLOOR_APPEND,    /* leader to follower: the entry with index `number` */
    FLOOR_APPENDED,  /* back: everything up to `number` is durable */
    FLOOR_READ,      /* leader to follower: do you still follow? round `number` */
    FLOOR_READ_DONE, /* back: rounds up to `number` */
};

struct floor_link;

typedef void floor_frame_function(void *context, struct floor_link *link, enum floor_frame_kind kind,
                                  uint64_t number, const uint8_t *bytes, size_t size);

/* Takes over a connected socket. */
struct floor_link *floor_link_create(struct event_base *base, int fd, floor_frame_function *on_frame,
                                     void *context);
void floor_link_send(struct floor_link *link, enum floor_frame_kind kind, uint64_t number,
                     const uint8_t *bytes, size_t size);
/* The end of a turn: writes what has gathered. */
void floor_link_flush(struct floor_link *link);

#endif
