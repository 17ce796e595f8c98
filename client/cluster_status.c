/* cluster_status.c: the state of a whole cluster. */
#include "cluster_status.h"

#include "allocate.h"
#include "node_connection.h"
#include "request.h"
#include "text.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- asking ---------------------------------------------------------------------------------- */

struct probe {
    struct cluster_status_node *node; /* its own; nobody else looks at it until the thread is joined */
    uint64_t timeout_ms;
};

static void probe_take_answer(struct cluster_status_node *node, const struct answer *answer)
{
    bool text = answer->type == ANSWER_STRING || answer->type == ANSWER_VERBATIM;
    node->answered = true;
    if (text && node_status_parse(&node->status, answer->text, answer->size)) {
        node->reachable = true;
        node->id = node->status.node_id;
        return;
    }
    if (answer->type != ANSWER_ERROR) {
        snprintf(node->error, sizeof node->error, "its answer cannot be understood");
        return;
    }
    struct byte_buffer message = {0};
    text_append_escaped(&message, answer->text, answer->size < 200 ? answer->size : 200, false);
    snprintf(node->error, sizeof node->error, "%s", text_c_string(&message));
    byte_buffer_deinit(&message);
}

static void *probe_thread(void *argument)
{
    static const char *const words[] = {"RAFT", "STATUS"};
    struct probe *probe = argument;
    struct node_connection connection;
    struct byte_buffer request = {0};
    struct answer answer = {0};
    struct deadline deadline = deadline_in(probe->timeout_ms, -1);
    node_connection_init(&connection);
    request_append_words(&request, words, 2);
    enum node_connection_result result = node_connection_open(&connection, &probe->node->address, &deadline);
    if (result == NODE_CONNECTION_OK) {
        result = node_connection_send(&connection, byte_buffer_front(&request), byte_buffer_size(&request),
                                      &deadline);
    }
    if (result == NODE_CONNECTION_OK || result == NODE_CONNECTION_ANSWERED) {
        result = node_connection_receive(&connection, &answer, &deadline);
    }
    if (result == NODE_CONNECTION_OK) {
        probe_take_answer(probe->node, &answer);
    } else {
        snprintf(probe->node->error, sizeof probe->node->error, "%s", connection.error);
    }
    answer_deinit(&answer);
    byte_buffer_deinit(&request);
    node_connection_deinit(&connection);
    return NULL;
}

/* Asks all at once; those that have no address are left alone. */
static void status_probe(struct cluster_status_node *nodes, size_t count, uint64_t timeout_ms)
{
    struct probe probes[ENDPOINT_LIST_MAX];
    pthread_t threads[ENDPOINT_LIST_MAX];
    bool started[ENDPOINT_LIST_MAX];
    assert(count <= ENDPOINT_LIST_MAX);
    for (size_t i = 0; i < count; i++) {
        probes[i] = (struct probe){.node = &nodes[i], .timeout_ms = timeout_ms};
        started[i] =
            nodes[i].address.port != 0 && pthread_create(&threads[i], NULL, probe_thread, &probes[i]) == 0;
        if (!started[i]) {
            snprintf(nodes[i].error, sizeof nodes[i].error,
                     nodes[i].address.port == 0 ? "its address is not known" : "cannot start a thread");
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (started[i]) {
            pthread_join(threads[i], NULL);
        }
    }
}

static struct cluster_status_node *nodes_find(struct cluster_status_node *nodes, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (nodes[i].id == id && id != 0) {
            return &nodes[i];
        }
    }
    return NULL;
}

static struct cluster_status_node *nodes_find_address(struct cluster_status_node *nodes, size_t count,
                                                      const struct endpoint *address)
{
    for (size_t i = 0; i < count; i++) {
        if (endpoint_equal(&nodes[i].address, address)) {
            return &nodes[i];
        }
    }
    return NULL;
}

/* The answer to believe about who is a member: a leader's, of the highest term; else that of the highest
 * term. */
static const struct cluster_status_node *nodes_authority(const struct cluster_status_node *nodes,
                                                         size_t count)
{
    const struct cluster_status_node *best = NULL;
    bool best_leads = false;
    for (size_t i = 0; i < count; i++) {
        bool leads = nodes[i].reachable && strcmp(nodes[i].status.role, "leader") == 0;
        bool better = best == NULL || (leads && !best_leads) ||
                      (leads == best_leads && nodes[i].status.term > best->status.term);
        if (nodes[i].reachable && better) {
            best = &nodes[i];
            best_leads = leads;
        }
    }
    return best;
}

/* Copies what answered, once per node, from `asked` to the status. */
static void status_take_reachable(struct cluster_status *status, const struct cluster_status_node *asked,
                                  size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool known = nodes_find(status->nodes, status->count, asked[i].id) != NULL;
        if (asked[i].reachable && !known && status->count < ENDPOINT_LIST_MAX) {
            status->nodes[status->count++] = asked[i];
        }
    }
}

/* Asks the members that have not answered under an address that was given, and adds them, reachable or not.
 */
static void status_add_members(struct cluster_status *status, struct cluster_status_node *asked,
                               size_t asked_count, uint64_t timeout_ms)
{
    const struct cluster_status_node *authority = nodes_authority(status->nodes, status->count);
    struct cluster_status_node missing[NODE_STATUS_MEMBERS_MAX];
    size_t count = 0;
    size_t unasked = 0;
    memset(missing, 0, sizeof missing);
    for (int failed = 0; failed < 2;
         failed++) { /* first those to be asked, then those that were asked in vain */
        for (size_t i = 0; authority != NULL && i < authority->status.members_count; i++) {
            const struct node_status_member *member = &authority->status.members[i];
            struct cluster_status_node *before = nodes_find_address(asked, asked_count, &member->address);
            bool in_vain = before != NULL && !before->reachable;
            if (nodes_find(status->nodes, status->count, member->id) == NULL && in_vain == (failed == 1)) {
                missing[count].address = member->address;
                missing[count].id = member->id;
                snprintf(missing[count].error, sizeof missing[count].error, "%s",
                         in_vain ? before->error : "");
                count++;
            }
        }
        unasked = failed == 0 ? count : unasked;
    }
    uint64_t ids[NODE_STATUS_MEMBERS_MAX];
    for (size_t i = 0; i < count; i++) {
        ids[i] = missing[i].id;
    }
    status_probe(missing, unasked, timeout_ms);
    for (size_t i = 0; i < count && status->count < ENDPOINT_LIST_MAX; i++) {
        if (missing[i].reachable && missing[i].id != ids[i]) {
            snprintf(missing[i].error, sizeof missing[i].error, "node %llu answers at its address",
                     (unsigned long long)missing[i].id);
            missing[i].id = ids[i];
            missing[i].reachable = false;
        }
        status->nodes[status->count++] = missing[i];
    }
}

static int nodes_compare(const void *a, const void *b)
{
    const struct cluster_status_node *left = a;
    const struct cluster_status_node *right = b;
    uint64_t left_id = left->id == 0 ? UINT64_MAX : left->id;
    uint64_t right_id = right->id == 0 ? UINT64_MAX : right->id;
    return (left_id > right_id) - (left_id < right_id);
}

void cluster_status_collect(struct cluster_status *status, struct endpoint_list *nodes, uint64_t timeout_ms)
{
    size_t asked_count = nodes->count;
    struct cluster_status_node *asked = allocate_zeroed(asked_count, sizeof *asked);
    memset(status, 0, sizeof *status);
    for (size_t i = 0; i < asked_count; i++) {
        asked[i].address = nodes->items[i];
    }
    status_probe(asked, asked_count, timeout_ms);
    status_take_reachable(status, asked, asked_count);
    bool members_known =
        status->count > 0 && nodes_authority(status->nodes, status->count)->status.members_count > 0;
    status_add_members(status, asked, asked_count, timeout_ms);
    for (size_t i = 0; !members_known && i < asked_count && status->count < ENDPOINT_LIST_MAX; i++) {
        if (!asked[i].reachable) {
            status->nodes[status->count++] = asked[i];
        }
    }
    free(asked);
    for (size_t i = 0; i < status->count; i++) {
        if (status->nodes[i].reachable) {
            endpoint_list_add(nodes, &status->nodes[i].address);
        }
    }
    qsort(status->nodes, status->count, sizeof status->nodes[0], nodes_compare);
    cluster_status_judge(status);
}

/* ---- judging --------------------------------------------------------------------------------- */

const char *cluster_health_name(enum cluster_health health)
{
    switch (health) {
    case CLUSTER_HEALTHY:
        return "healthy";
    case CLUSTER_DEGRADED:
        return "degraded";
    case CLUSTER_NO_LEADER:
        return "no_leader";
    case CLUSTER_UNREACHABLE:
        return "unreachable";
    }
    return "";
}

const char *cluster_digests_name(enum cluster_digests digests)
{
    switch (digests) {
    case CLUSTER_DIGESTS_NOT_COMPARABLE:
        return "not_comparable";
    case CLUSTER_DIGESTS_EQUAL:
        return "equal";
    case CLUSTER_DIGESTS_DIFFER:
        return "differ";
    }
    return "";
}

static bool nodes_same_cluster(const struct cluster_status_node *a, const struct cluster_status_node *b)
{
    return strcmp(a->status.cluster_id, b->status.cluster_id) == 0;
}

static void status_judge_digests(struct cluster_status *status)
{
    status->digests = CLUSTER_DIGESTS_NOT_COMPARABLE;
    status->digest_index = 0;
    for (size_t i = 0; i < status->count; i++) {
        for (size_t k = i + 1; k < status->count; k++) {
            const struct cluster_status_node *a = &status->nodes[i];
            const struct cluster_status_node *b = &status->nodes[k];
            bool comparable = a->reachable && b->reachable && nodes_same_cluster(a, b) &&
                              a->status.applied_index == b->status.applied_index &&
                              a->status.digest[0] != '\0';
            if (!comparable) {
                continue;
            }
            if (strcmp(a->status.digest, b->status.digest) != 0) {
                status->digests = CLUSTER_DIGESTS_DIFFER;
                status->digest_index = a->status.applied_index;
                return;
            }
            if (a->status.applied_index >= status->digest_index) {
                status->digests = CLUSTER_DIGESTS_EQUAL;
                status->digest_index = a->status.applied_index;
            }
        }
    }
}

static void node_set_state(struct cluster_status_node *node, bool troubled, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void node_set_state(struct cluster_status_node *node, bool troubled, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(node->state, sizeof node->state, format, arguments);
    va_end(arguments);
    node->troubled = troubled;
}

static void node_add_trouble(struct cluster_status_node *node, const char *words)
{
    size_t size = node->troubled ? strlen(node->state) : 0;
    snprintf(node->state + size, sizeof node->state - size, "%s%s", size > 0 ? ", " : "", words);
    node->troubled = true;
}

/* What a member may suffer from whatever its part in the cluster is. */
static void node_judge_data(struct cluster_status_node *node, const struct cluster_status_node *leader)
{
    node->damaged = node->reachable && node->status.damage[0] != '\0';
    node->low_on_space = node->reachable && node->status.low_space;
    node->differs = leader != NULL && node_status_names_differing(&leader->status, node->id);
    if (node->damaged) {
        node_add_trouble(node, "damaged");
    }
    if (node->differs) {
        node_add_trouble(node, "data differs");
    }
    if (node->low_on_space) {
        node_add_trouble(node, "low on space");
    }
}

static void node_judge(struct cluster_status_node *node, const struct cluster_status_node *leader,
                       const struct cluster_status_node *authority)
{
    bool leads = node->reachable && strcmp(node->status.role, "leader") == 0;
    node->is_leader = node == leader;
    node->lag = 0;
    if (leader != NULL && node->reachable && leader->status.commit_index > node->status.applied_index) {
        node->lag = leader->status.commit_index - node->status.applied_index;
    }
    if (!node->reachable) {
        node_set_state(node, true, node->answered ? "gives no status: %s" : "unreachable: %s", node->error);
    } else if (!nodes_same_cluster(node, authority)) {
        node_set_state(node, true, "belongs to another cluster");
        node->damaged = node->low_on_space = node->differs = false;
        return;
    } else if (leads && !node->is_leader) {
        node_set_state(node, true, "leads an older term");
    } else if (strcmp(node->status.role, "forming") == 0) {
        node_set_state(node, true, "waits for all members to form the cluster");
    } else if (node->status.leader_id == 0) {
        node_set_state(node, true, "knows no leader");
    } else if (leader != NULL && node->status.leader_id != leader->id) {
        node_set_state(node, true, "follows node %llu", (unsigned long long)node->status.leader_id);
    } else {
        node_set_state(node, false, "ok");
    }
    node_judge_data(node, leader);
}

/* A leader leads as long as nobody is known to be in a later term. */
static bool status_leads(const struct cluster_status *status, const struct cluster_status_node *authority)
{
    bool leads = authority != NULL && strcmp(authority->status.role, "leader") == 0;
    for (size_t i = 0; leads && i < status->count; i++) {
        const struct cluster_status_node *node = &status->nodes[i];
        leads = !(node->reachable && nodes_same_cluster(node, authority) &&
                  node->status.term > authority->status.term);
    }
    return leads;
}

void cluster_status_judge(struct cluster_status *status)
{
    const struct cluster_status_node *authority = nodes_authority(status->nodes, status->count);
    bool leads = status_leads(status, authority);
    bool trouble = false;
    status->leader = leads ? authority : NULL;
    status->members_count = 0;
    status->members_up = 0;
    for (size_t i = 0; i < status->count; i++) {
        struct cluster_status_node *node = &status->nodes[i];
        node_judge(node, status->leader, authority);
        status->members_up += node->reachable && nodes_same_cluster(node, authority);
        trouble = trouble || node->troubled;
    }
    status->members_count = authority != NULL && authority->status.members_count > 0
                                ? authority->status.members_count
                                : status->count;
    status->quorum = status->members_count / 2 + 1;
    status_judge_digests(status);
    if (authority == NULL) {
        status->health = CLUSTER_UNREACHABLE;
    } else if (!leads) {
        status->health = CLUSTER_NO_LEADER;
    } else {
        bool well = !trouble && status->members_up >= status->members_count &&
                    status->digests != CLUSTER_DIGESTS_DIFFER;
        status->health = well ? CLUSTER_HEALTHY : CLUSTER_DEGRADED;
    }
}
