/* replica_cluster_internal.h: between the two files of replica_cluster; for nobody else. */
#ifndef REPLICA_CLUSTER_INTERNAL_H
#define REPLICA_CLUSTER_INTERNAL_H

#include "replica_cluster.h"

uint64_t cluster_node_wall_ms(const struct cluster_node *node);
void cluster_client_on_ready(struct cluster_client *client);
/* Gives the node what its clients have sent, as long as it wants it. */
void cluster_clients_read(struct cluster_node *node);
/* Closes connections whose last reply was taken. */
void cluster_clients_end_closing(struct cluster_node *node);
void cluster_clients_of_node_ended(struct cluster_node *node);
void cluster_clients_destroy(struct cluster *cluster);

#endif
