/* sim_network.h: connections between nodes. A node dials every other one and sends on what it dialled.
 *
 * What is sent on a standing connection is on its way for a while, then waits in the receiver's socket until
 * a turn reads it. A cut direction lets nothing through: what is on its way waits, as TCP would send it
 * again, until the cut ends or the connection is given up. With the knobs for it messages are lost, arrive
 * twice, or overtake each other, which TCP would not do: Raft must bear that too.
 *
 * A socket takes only so much: a receiver that does not read makes the sender's messages pile up, and from
 * some point on they are dropped, as the runtime's bus does.
 */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "sim_node.h"

void sim_network_create(struct sim *sim);
void sim_network_destroy(struct sim *sim);
/* At the end of a run: if the event is a message that is on its way, it is freed. */
void sim_network_forget(const struct sim_event *event);

void sim_network_send(struct sim_node *from, uint64_t to, const struct bus_message *message);
/* Hands in what has arrived from this node; within a turn. */
void sim_network_deliver(struct sim_node *node, uint32_t from);
bool sim_network_has_input(const struct sim_node *node, uint32_t from);

/* Dials whom the node wants to be connected with, ends its connections with others. After each turn, where
 * members change. */
void sim_network_follow_peers(struct sim_node *node);
/* Another machine is in its place: nothing of what the old one sent is on its way any more. */
void sim_network_node_wiped(struct sim_node *node);

/* The node's process ended: its connections break. Begins to dial: the node was started. */
void sim_network_node_ended(struct sim_node *node);
void sim_network_node_started(struct sim_node *node);

void sim_network_cut(struct sim *sim, uint32_t from, uint32_t to, bool cut);
bool sim_network_is_cut(const struct sim *sim, uint32_t from, uint32_t to);
void sim_network_heal(struct sim *sim);
/* The connection from one to the other ends; both notice. */
void sim_network_break(struct sim *sim, uint32_t from, uint32_t to);

#endif
