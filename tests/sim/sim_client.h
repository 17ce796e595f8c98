/* sim_client.h: clients, and their connections with nodes.
 *
 * A client sends a pipeline of commands, waits for all answers, pauses, and goes on. It follows -MOVED as a
 * Redis Cluster client does, tries another node after -CLUSTERDOWN or a lost connection, and never sends
 * anything a second time: what came of each command is recorded (sim_record).
 *
 * Bytes are on their way for a while in both directions, in pieces; a node accepts a connection and reads
 * from it in its turns only.
 */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include "sim_node.h"

struct sim_connection;

void sim_client_create_all(struct sim *sim);
void sim_client_destroy_all(struct sim *sim);
/* They begin to send. */
void sim_client_start_all(struct sim *sim);
/* True when no command waits for an answer. */
bool sim_client_all_idle(const struct sim *sim);
/* Closes its connection in the middle of whatever it does. */
void sim_client_break(struct sim_client *client);
/* Reads each key that was ever used, with GET, by the leader and by each other node (READONLY). */
void sim_client_read_all(struct sim *sim);
bool sim_client_all_read(const struct sim *sim);

/* ---- for nodes ---- */

bool sim_client_node_has_input(const struct sim_node *node);
void sim_client_node_reads(struct sim_node *node);
/* Connections whose last reply was taken are closed. */
void sim_client_node_closes(struct sim_node *node);
void sim_client_node_ended(struct sim_node *node);
/* The replica has replies for this connection. */
void sim_client_on_ready(struct sim_connection *connection);

#endif
