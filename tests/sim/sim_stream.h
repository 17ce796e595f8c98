/* sim_stream.h: snapshots on their way: what the threads and connections of the runtime's streams do
 * (server/runtime/streams.h), step by step in simulated time.
 *
 *   sender: opens the map's snapshot, dials, says hello, announces it, sends chunk after chunk
 *   receiver: loads each beside its live map, then sorts and syncs, and says that it has all of it
 *
 * Each step is an event of its own: between any two a process may be killed or paused, a connection cut or
 * broken, a disk full or hanging. What the two replicas are told, they are told a while later. A receiver
 * that is killed leaves the folder as it was at that moment.
 */
#ifndef SIM_STREAM_H
#define SIM_STREAM_H

#include "sim_node.h"

/* replica_io.send_snapshot */
void sim_stream_send(struct sim_node *from, const struct snapshot_order *order);
/* The node's process is about to end. */
void sim_stream_node_ended(struct sim_node *node);
/* One that the node sends has this map open. */
bool sim_stream_reads(const struct sim_node *node, const struct map *map);
/* All connections of streams break; or those of a pair. */
void sim_stream_break_all(struct sim *sim);
void sim_stream_break(struct sim *sim, uint32_t a, uint32_t b);
void sim_stream_destroy_all(struct sim *sim);

#endif
