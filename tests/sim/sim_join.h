/* sim_join.h: how a node that was started with --join asks a member to be added: dial, hello, the answer, and
 * it is over (server/runtime/bus_join.c). */
#ifndef SIM_JOIN_H
#define SIM_JOIN_H

#include "sim_node.h"

/* After each turn: begins a try, when the replica wants one. */
void sim_join_continue(struct sim_node *node);
/* At the end of a run: if the event is a try, it is freed. */
void sim_join_forget(const struct sim_event *event);

#endif
