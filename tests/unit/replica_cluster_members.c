/* replica_cluster_members.c: see replica_cluster_members.h. */
#include "replica_cluster_members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct raft_membership cluster_membership(const struct cluster_node *node)
{
    return cluster_status(node).membership;
}

const char *cluster_members_text(const struct cluster_node *node)
{
    static char text[200];
    struct raft_membership membership = cluster_membership(node);
    size_t size = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < membership.voters_count + membership.learners_count; i++) {
        bool voter = i < membership.voters_count;
        uint64_t id = voter ? membership.voters[i] : membership.learners[i - membership.voters_count];
        const char *between = i == 0 ? "" : i == membership.voters_count ? "+" : ",";
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%llu", between, (unsigned long long)id);
    }
    return membership.outgoing_count > 0 ? "joint" : text;
}

struct expectation {
    const char *members;
    const struct cluster_node *but; /* a node that need not know it */
};

static bool all_have(struct cluster *cluster, void *context)
{
    const struct expectation *expectation = context;
    struct cluster_node *leader = cluster_find_leader(cluster);
    if (leader == NULL || !cluster_status(leader).membership_committed) {
        return false;
    }
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (node->running && !node->paused && node != expectation->but &&
            strcmp(cluster_members_text(node), expectation->members) != 0) {
            return false;
        }
    }
    return true;
}

void cluster_await_members(struct cluster *cluster, const char *members, const struct cluster_node *but)
{
    struct expectation expectation = {members, but};
    cluster_run_until(cluster, all_have, &expectation, 20000);
}

void cluster_await_refused(struct cluster *cluster, struct cluster_node *node, const char *words)
{
    cluster_run_until(cluster, cluster_has_stopped, node, 20000);
    cluster_run(cluster, 10);
    assert_int_equal(node->stop_code, REPLICA_EXIT_REFUSED);
    if (strstr(node->stop_reason, words) == NULL) {
        fail_msg("node %llu stopped for this reason: %s", (unsigned long long)node->id, node->stop_reason);
    }
}

void cluster_start_joining(struct cluster *cluster, uint64_t id, uint64_t asks)
{
    cluster_node(cluster, id)->join = asks;
    assert_true(cluster_start_node(cluster_node(cluster, id)));
}

void cluster_remove(struct cluster *cluster, const struct cluster_node *node)
{
    char line[60];
    (void)snprintf(line, sizeof line, "RAFT REMOVE %llu", (unsigned long long)node->id);
    cluster_tell_leader(cluster, line, "+OK");
}

void cluster_write_some(struct cluster *cluster, const char *prefix, int count)
{
    char line[64];
    for (int i = 0; i < count; i++) {
        (void)snprintf(line, sizeof line, "SET %s:%d %d", prefix, i, i);
        cluster_tell_leader(cluster, line, "+OK");
    }
}
