/* cluster_status.h: the state of a whole cluster, put together from what each node says of itself.
 *
 * cluster_status_collect() asks, all nodes at once; cluster_status_judge() is pure and draws the conclusions.
 */
#ifndef CLUSTER_STATUS_H
#define CLUSTER_STATUS_H

#include "endpoint.h"
#include "node_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLUSTER_STATUS_ERROR_BYTES_MAX = 320, CLUSTER_STATUS_STATE_BYTES_MAX = 360 };

struct cluster_status_node {
    uint64_t id;                                /* 0: not known, it never answered */
    struct endpoint address;                    /* where it was asked, or should be; port 0: not known */
    bool answered;                              /* it is there, but perhaps no kvd */
    bool reachable;                             /* it told its status */
    char error[CLUSTER_STATUS_ERROR_BYTES_MAX]; /* when not reachable */
    struct node_status status;                  /* when reachable */
    /* judged */
    bool is_leader;
    uint64_t lag; /* entries that the leader has committed and this node has not applied; when reachable and
                   * there is a leader */
    bool damaged, low_on_space; /* by its own word */
    bool differs;               /* by the leader's word: its data is not what the others have */
    bool troubled;
    char state[CLUSTER_STATUS_STATE_BYTES_MAX]; /* "ok", or what is wrong */
};

enum cluster_health {
    CLUSTER_HEALTHY,     /* there is a leader, and all members are up and well */
    CLUSTER_DEGRADED,    /* there is a leader, but something is not as it should be */
    CLUSTER_NO_LEADER,   /* no leader could be reached */
    CLUSTER_UNREACHABLE, /* no node could be reached */
};

enum cluster_digests {
    CLUSTER_DIGESTS_NOT_COMPARABLE, /* no two nodes are at the same applied index */
    CLUSTER_DIGESTS_EQUAL,
    CLUSTER_DIGESTS_DIFFER, /* two nodes at the same applied index hold different data */
};

struct cluster_status {
    struct cluster_status_node nodes[ENDPOINT_LIST_MAX]; /* by id; those without one last */
    size_t count;
    /* judged */
    enum cluster_health health;
    size_t members_count; /* as the leader, or the one who answered first, says; else the nodes asked */
    size_t members_up;
    size_t quorum;
    const struct cluster_status_node *leader; /* NULL: none */
    enum cluster_digests digests;
    uint64_t digest_index; /* where they are equal or differ */
};

/* Asks every node of the list and every member that those name, each with the given time. Addresses of nodes
 * that answered are added to the list. Then judges. */
void cluster_status_collect(struct cluster_status *status, struct endpoint_list *nodes, uint64_t timeout_ms);
/* Sets the judged fields from the others. */
void cluster_status_judge(struct cluster_status *status);
const char *
cluster_health_name(enum cluster_health health); /* "healthy", "degraded", "no_leader", "unreachable" */
const char *cluster_digests_name(enum cluster_digests digests); /* "not_comparable", "equal", "differ" */

#endif
