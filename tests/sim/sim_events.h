/* sim_events.h: what is going to happen, in the order of simulated time.
 *
 * Events of the same time happen in the order in which they were added, so that a run is a function of its
 * seed. An event cannot be taken back: whoever may be gone or changed by then looks at `number`.
 */
#ifndef SIM_EVENTS_H
#define SIM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void sim_event_function(void *target, uint64_t number);

struct sim_event {
    uint64_t time_us;
    uint64_t order;
    sim_event_function *fire;
    void *target;
    uint64_t number;
};

struct sim_events {
    struct sim_event *heap; /* the earliest first: heap[i] is not later than heap[2i + 1] and heap[2i + 2] */
    size_t count, capacity;
    uint64_t added;
};

void sim_events_deinit(struct sim_events *events);
void sim_events_add(struct sim_events *events, uint64_t time_us, sim_event_function *fire, void *target,
                    uint64_t number);
/* Moves the earliest event into *event; false: there is none. */
bool sim_events_take(struct sim_events *events, struct sim_event *event);

#endif
