/* sim_trace.h: the story of a run in lines that a person can follow:
 *
 *   simulated time  node  role and term  what happened
 *
 * Off, it costs nothing: callers ask sim_trace_is_on() before they put words together. */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <stdbool.h>
#include <stdio.h>

struct sim;
struct sim_node;

enum sim_trace_level {
    SIM_TRACE_OFF,
    SIM_TRACE_STORY,    /* faults, roles, connections, what clients are told that is not ordinary */
    SIM_TRACE_COMMANDS, /* and every command and its reply */
    SIM_TRACE_MESSAGES, /* and every message, and write of a disk */
};

struct sim_trace {
    enum sim_trace_level level;
    FILE *out;
};

bool sim_trace_is_on(const struct sim *sim, enum sim_trace_level level);
/* About a node, or (NULL) about the world. */
void sim_trace(struct sim *sim, const struct sim_node *node, enum sim_trace_level level, const char *format,
               ...) __attribute__((format(printf, 4, 5)));

#endif
