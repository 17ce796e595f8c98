/* sim_start.h: what a node is started with: its log, its settings, whom it knows. */
#ifndef SIM_START_H
#define SIM_START_H

#include "sim_node.h"

/* Borrowed by replica_create(). */
struct sim_start {
    struct replica_options options;
    struct replica_member members[SIM_NODES_MAX], joins[SIM_NODES_MAX];
    struct bus_listener_address listener;
};

/* Opens the log and fills all of it; the run fails if the log cannot be opened. */
void sim_start_fill(struct sim_node *node, struct sim_start *start);
void sim_start_refused(struct sim_node *node, const struct storage_error *error) __attribute__((noreturn));

#endif
