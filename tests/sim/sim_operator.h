/* sim_operator.h: who runs the cluster: changes its members by RAFT ADD, PROMOTE, REMOVE, REPLACE, ADDRESS
 * and TRANSFER, starts nodes that join, and loses disks. At random, from numbers of its own; at the end until
 * the cluster is as it should be.
 *
 * It asks over a connection like any client, mostly whoever leads, and one thing at a time. A disk is lost
 * only where enough voters are left, as long as nothing else changes: what the operator may not do is not
 * what is tested.
 */
#ifndef SIM_OPERATOR_H
#define SIM_OPERATOR_H

#include "sim.h"

struct sim_node;

void sim_operator_create(struct sim *sim);
void sim_operator_destroy(struct sim *sim);
void sim_operator_begin(struct sim *sim);

/* Somebody leads: now and then something is asked of it at once, when it knows little of the others. */
void sim_operator_on_leader(struct sim *sim);

/* Sends one command to whoever leads, unless it waits for an answer still. */
void sim_operator_ask(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool sim_operator_is_idle(const struct sim *sim);
/* A node that can be started to join; NULL: none. */
struct sim_node *sim_operator_find_spare(struct sim *sim);
/* Starts it with an empty disk. */
void sim_operator_start_joining(struct sim_node *node, uint64_t in_us);

/* At the end, again and again: one step towards a cluster whose members all run, and where nothing is about
 * to change. True: it is that. Nodes that are no members are stopped. */
bool sim_operator_settle(struct sim *sim);
/* That is what the last step waited for, and nothing else. */
bool sim_operator_waits_for_learner(const struct sim *sim);

/* The connection of the operator. */
void sim_operator_on_bytes(struct sim *sim);
void sim_operator_on_end(struct sim *sim);

#endif
