/* replica_cluster_internal.h: between the files of replica_cluster; for nobody else. */
#ifndef REPLICA_CLUSTER_INTERNAL_H
#define REPLICA_CLUSTER_INTERNAL_H

#include "replica_cluster.h"

/* replica_cluster.c */
uint64_t cluster_node_wall_ms(const struct cluster_node *node);
/* The node's process ends: connections break, which the others notice; jobs that were not run never will be.
 */
void cluster_close_node(struct cluster_node *node);

/* replica_cluster_links.c */
void cluster_drop_messages(struct cluster_link *link);
struct bus_message cluster_decode(const uint8_t *bytes, size_t size); /* bus_message_deinit() it */
bool cluster_can_talk(const struct cluster_node *node);
/* Dials what can be dialled now; true: something was. */
bool cluster_dial_all(struct cluster *cluster);

/* replica_cluster_disks.c */
void cluster_move_disks(struct cluster_node *node);
/* Now (true), or not before *next_ms, which is lowered. */
bool cluster_is_job_due(const struct cluster_node *node, uint64_t *next_ms);

/* replica_cluster_client.c */
void cluster_client_on_ready(struct cluster_client *client);
/* Gives the node what its clients have sent, as long as it wants it. */
void cluster_clients_read(struct cluster_node *node);
/* Closes connections whose last reply was taken. */
void cluster_clients_end_closing(struct cluster_node *node);
void cluster_clients_of_node_ended(struct cluster_node *node);
void cluster_clients_destroy(struct cluster *cluster);

/* replica_cluster_snapshots.c */
char *cluster_map_path(const struct cluster_node *node, uint64_t generation); /* the caller's */
void cluster_send_snapshot(void *context, const struct snapshot_order *order);
/* What is due. True: something was done. */
bool cluster_move_streams(struct cluster *cluster, uint64_t *next_ms);
void cluster_streams_of_node_end(struct cluster_node *node);

#endif
