/* loop.h: what every part of the runtime shares: the event loop, the clocks, the log, and the turn.
 *
 * A turn is: events (inputs of the replica), replica_end_turn(), output. Every callback of an event begins
 * with loop_begin_turn(): the first one of a turn reads the clocks and tells the replica; so time stands
 * still within a turn.
 */
#ifndef LOOP_H
#define LOOP_H

#include "log_line.h"
#include "replica.h"

#include <event2/event.h>

#include <stdbool.h>
#include <stdint.h>

struct loop {
    struct event_base *base;
    struct replica *replica; /* NULL while it is being made, and after it is gone */
    const struct log *log;
    bool in_turn;
    uint64_t now_ms;        /* monotonic */
    uint64_t wall_clock_ms; /* Unix time */
    uint64_t random_state;  /* for jitter: nothing that must not be guessed */
};

/* For one thread; NULL: the system has none. */
struct event_base *loop_make_base(void);
void loop_read_clocks(struct loop *loop);
void loop_begin_turn(struct loop *loop);
/* 0 .. bound - 1. */
uint32_t loop_random(struct loop *loop, uint32_t bound);

#endif
