/* replica_cluster_members.h: for tests of members that come and go: asks and waits; what does not come true
 * within twenty simulated seconds fails the test. */
#ifndef REPLICA_CLUSTER_MEMBERS_H
#define REPLICA_CLUSTER_MEMBERS_H

#include "replica_cluster.h"

struct raft_membership cluster_membership(const struct cluster_node *node);
/* "1,2,3" or "1,2,3+4" with the learners behind; "joint" while two sets of voters decide. Valid until the
 * next call. */
const char *cluster_members_text(const struct cluster_node *node);
/* Until a leader has committed these (as above) and all that run know them, but for `but` (may be NULL). */
void cluster_await_members(struct cluster *cluster, const char *members, const struct cluster_node *but);
/* Until it has ended because it is not wanted, with these words in its reason. */
void cluster_await_refused(struct cluster *cluster, struct cluster_node *node, const char *words);
/* Starts a node that asks node `asks` to be added. */
void cluster_start_joining(struct cluster *cluster, uint64_t id, uint64_t asks);
/* RAFT REMOVE, until the leader has begun it. */
void cluster_remove(struct cluster *cluster, const struct cluster_node *node);
/* SETs so many keys, each acknowledged: PREFIX:0 and on. */
void cluster_write_some(struct cluster *cluster, const char *prefix, int count);

#endif
