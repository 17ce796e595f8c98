/* sim_client.h: clients: when they send, to whom, and how long they wait.
 *
 * A client sends a pipeline of commands, waits for all answers, pauses, and goes on. It follows -MOVED as a
 * Redis Cluster client does, tries another node after -CLUSTERDOWN or a lost connection, and never sends
 * anything a second time: what came of each command is recorded (sim_record).
 */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include "sim_node.h"

enum { SIM_CLIENT_OUTSTANDING_MAX = 64 }; /* commands that wait for answers */

void sim_client_create_all(struct sim *sim);
void sim_client_destroy_all(struct sim *sim);
/* They begin to send. */
void sim_client_start_all(struct sim *sim);
/* True when no command waits for an answer. */
bool sim_client_all_idle(const struct sim *sim);
/* Closes its connection in the middle of whatever it does. */
void sim_client_break(struct sim_client *client);
/* One more write, again and again until one is acknowledged. */
void sim_client_write_last(struct sim *sim);
bool sim_client_has_written(const struct sim *sim);
/* Reads each key that was ever used, with GET, by the leader and by each other node (READONLY),
 * until all are answered. */
void sim_client_read_all(struct sim *sim);
bool sim_client_all_read(const struct sim *sim);

/* ---- for their connections ---- */

/* Something has arrived in the reader of its connection. */
void sim_client_on_bytes(struct sim_client *client);
/* The other side of its connection is gone. */
void sim_client_on_end(struct sim_client *client);

#endif
