/* sim_events.c: a binary heap; see sim_events.h. */
#include "sim_events.h"

#include <stdlib.h>

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->time_us != b->time_us ? a->time_us < b->time_us : a->order < b->order;
}

void sim_events_deinit(struct sim_events *events)
{
    free(events->heap);
    *events = (struct sim_events){0};
}

void sim_events_add(struct sim_events *events, uint64_t time_us, sim_event_function *fire, void *target,
                    uint64_t number)
{
    if (events->count == events->capacity) {
        events->capacity = events->capacity == 0 ? 256 : events->capacity * 2;
        events->heap = realloc(events->heap, events->capacity * sizeof *events->heap);
        if (events->heap == NULL) {
            abort();
        }
    }
    struct sim_event event = {time_us, events->added++, fire, target, number};
    size_t at = events->count++;
    while (at > 0 && is_before(&event, &events->heap[(at - 1) / 2])) {
        events->heap[at] = events->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    events->heap[at] = event;
}

bool sim_events_take(struct sim_events *events, struct sim_event *event)
{
    if (events->count == 0) {
        return false;
    }
    *event = events->heap[0];
    struct sim_event last = events->heap[--events->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= events->count) {
            break;
        }
        if (child + 1 < events->count && is_before(&events->heap[child + 1], &events->heap[child])) {
            child++;
        }
        if (!is_before(&events->heap[child], &last)) {
            break;
        }
        events->heap[at] = events->heap[child];
        at = child;
    }
    if (events->count > 0) {
        events->heap[at] = last;
    }
    return true;
}
