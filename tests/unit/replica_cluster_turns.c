/* replica_cluster_turns.c: how time passes in replica_cluster, and what is checked after every turn. */
#include "replica_cluster_internal.h"

#include "bus_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TURNS_AT_ONE_TIME_MAX = 20000 };

/* ---- checks -------------------------------------------------------------------------------------- */

static void check_leader(struct cluster *cluster, const struct raft_status *status)
{
    for (uint32_t i = 0; i < cluster->leaders_count; i++) {
        if (cluster->leaders[i].term == status->term) {
            assert_int_equal(cluster->leaders[i].id, status->id); /* election safety */
            return;
        }
    }
    cluster->leaders = realloc(cluster->leaders, (cluster->leaders_count + 1) * sizeof *cluster->leaders);
    assert_non_null(cluster->leaders);
    cluster->leaders[cluster->leaders_count++] = (struct cluster_leader){status->term, status->id};
}

static void check_content(struct cluster *cluster, const struct map_meta *meta)
{
    if (meta->applied_index >= cluster->digests_count) {
        uint64_t count = meta->applied_index * 2 + 64;
        cluster->digests = realloc(cluster->digests, count * sizeof *cluster->digests);
        assert_non_null(cluster->digests);
        memset(cluster->digests + cluster->digests_count, 0,
               (count - cluster->digests_count) * sizeof *cluster->digests);
        cluster->digests_count = count;
    }
    uint64_t content = meta->digest ^ (meta->key_count * UINT64_C(0x9E3779B97F4A7C15)) ^
                       (meta->log_time_ms << 20) ^ (meta->applied_term << 1);
    content = content == 0 ? 1 : content;
    uint64_t *seen = &cluster->digests[meta->applied_index];
    if (*seen != 0 && *seen != content) {
        fail_msg("two nodes differ after entry %llu", (unsigned long long)meta->applied_index);
    }
    *seen = content;
}

static void check_node(struct cluster_node *node)
{
    if (replica_raft(node->replica) == NULL) {
        return;
    }
    raft_check_invariants(replica_raft(node->replica));
    struct raft_status status = cluster_status(node);
    if (status.role == RAFT_LEADER) {
        check_leader(node->cluster, &status);
    }
    if (!map_is_in_entry(replica_map(node->replica)) && !node->cluster->may_differ) {
        check_content(node->cluster, map_get_meta(replica_map(node->replica)));
    }
    assert_true(map_durable_index(replica_map(node->replica)) <= status.durable_index);
}

/* ---- turns --------------------------------------------------------------------------------------- */

static bool is_message_due(const struct cluster *cluster, const struct cluster_link *link)
{
    return link->first != NULL && !link->held && link->first->deliver_ms <= cluster->now_ms;
}

/* When the node's next turn is due: now (true), or not before *next_ms. */
static bool is_turn_due(struct cluster_node *node, uint64_t *next_ms)
{
    struct cluster *cluster = node->cluster;
    if (!cluster_can_talk(node)) {
        return false;
    }
    if (node->has_input || replica_is_busy(node->replica) || cluster_is_job_due(node, next_ms)) {
        return true;
    }
    for (uint64_t from = 1; from <= cluster->nodes_count; from++) {
        struct cluster_link *link = cluster_link(cluster, from, node->id);
        if (is_message_due(cluster, link)) {
            return true;
        }
        if (link->first != NULL && !link->held && link->first->deliver_ms < *next_ms) {
            *next_ms = link->first->deliver_ms;
        }
    }
    uint64_t deadline_ms = replica_deadline_ms(node->replica);
    *next_ms = deadline_ms < *next_ms ? deadline_ms : *next_ms;
    return deadline_ms <= cluster->now_ms;
}

static void deliver_messages(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    for (uint64_t from = 1; from <= cluster->nodes_count; from++) {
        struct cluster_link *link = cluster_link(cluster, from, node->id);
        while (is_message_due(cluster, link)) {
            struct cluster_message *queued = link->first;
            link->first = queued->next;
            link->last = link->first == NULL ? NULL : link->last;
            struct bus_message message = cluster_decode(queued->bytes, queued->size);
            replica_on_message(node->replica, from, &message);
            bus_message_deinit(&message);
            free(queued);
        }
    }
}

static void take_turn(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    if (++cluster->turns_at_this_time > TURNS_AT_ONE_TIME_MAX) {
        fail_msg("node %llu is busy for ever", (unsigned long long)node->id);
    }
    node->has_input = false;
    replica_set_time(node->replica, cluster->now_ms, cluster_node_wall_ms(node));
    if (cluster->clients_first) {
        cluster_clients_read(node);
    }
    deliver_messages(node);
    cluster_move_disks(node);
    cluster_clients_read(node);
    replica_end_turn(node->replica);
    check_node(node);
    cluster_clients_end_closing(node);
    if (node->stopped) {
        cluster_close_node(node);
    }
}

/* Does all that is due now; gives the time of what is due next. */
static uint64_t settle(struct cluster *cluster)
{
    for (;;) {
        uint64_t next_ms = UINT64_MAX;
        bool did = cluster_dial_all(cluster);
        did = cluster_move_streams(cluster, &next_ms) || did;
        for (uint32_t i = 0; i < cluster->nodes_count; i++) {
            if (cluster->nodes[i].stopped && cluster->nodes[i].running) {
                cluster_close_node(&cluster->nodes[i]);
                did = true;
            }
            if (is_turn_due(&cluster->nodes[i], &next_ms)) {
                take_turn(&cluster->nodes[i]);
                did = true;
            }
        }
        if (did) {
            continue;
        }
        for (uint32_t i = 0; i < CLUSTER_NODES_MAX * CLUSTER_NODES_MAX; i++) {
            const struct cluster_link *link = &cluster->links[i / CLUSTER_NODES_MAX][i % CLUSTER_NODES_MAX];
            if (!link->connected && link->next_dial_ms > cluster->now_ms && link->next_dial_ms < next_ms) {
                next_ms = link->next_dial_ms;
            }
        }
        return next_ms;
    }
}

void cluster_settle(struct cluster *cluster)
{
    (void)settle(cluster);
}

void cluster_run_until(struct cluster *cluster, bool (*is_true)(struct cluster *cluster, void *context),
                       void *context, uint64_t ms)
{
    uint64_t end_ms = cluster->now_ms + ms;
    for (;;) {
        uint64_t next_ms = settle(cluster);
        if (is_true != NULL && is_true(cluster, context)) {
            return;
        }
        if (next_ms > end_ms) {
            break;
        }
        assert_true(next_ms > cluster->now_ms);
        cluster->now_ms = next_ms;
        cluster->turns_at_this_time = 0;
    }
    if (is_true != NULL) {
        fail_msg("did not come about within %llu ms", (unsigned long long)ms);
    }
    cluster->now_ms = end_ms;
    cluster->turns_at_this_time = 0;
}

void cluster_run(struct cluster *cluster, uint64_t ms)
{
    cluster_run_until(cluster, NULL, NULL, ms);
}
