/* view.c: what INFO, CLUSTER and RAFT STATUS show: one snapshot of the replica as plain data. */
#include "replica_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void visit_clients(void *clients, void (*visit)(void *context, const struct client_info *client),
                          void *context)
{
    struct replica *replica = clients;
    for (struct replica_client *client = replica->clients_first; client != NULL; client = client->next) {
        client->info.queued_commands = client->end_slot - client->first_slot;
        client->info.output_bytes = byte_buffer_size(&client->output);
        visit(context, &client->info);
    }
}

/* 40 hex digits that are the same on every node: from the cluster's and the node's id. */
static void fill_hex_id(const struct replica *replica, uint64_t node_id, char hex_id[41])
{
    (void)snprintf(hex_id, 41, "%016" PRIx64 "%08" PRIx32 "%016" PRIx64, replica->identity.cluster_id[0],
                   (uint32_t)replica->identity.cluster_id[1], node_id);
}

static void fill_progress(const struct raft_status *status, struct node_view_member *member)
{
    static const char *const names[] = {
        [RAFT_PROGRESS_PROBE] = "probe",
        [RAFT_PROGRESS_REPLICATE] = "replicate",
        [RAFT_PROGRESS_SNAPSHOT] = "snapshot",
    };
    for (uint32_t i = 0; i < status->peers_count; i++) {
        const struct raft_peer_status *peer = &status->peers[i];
        if (peer->id == member->node_id) {
            member->progress_known = true;
            member->progress = names[peer->state];
            member->match_index = peer->match_index;
            member->next_index = peer->next_index;
            member->recently_active = peer->recently_active;
        }
    }
}

static const char *kind_name(enum raft_member_kind kind)
{
    switch (kind) {
    case RAFT_MEMBER_NONE:
        return "none";
    case RAFT_MEMBER_LEARNER:
        return "learner";
    case RAFT_MEMBER_VOTER:
        return "voter";
    case RAFT_MEMBER_OUTGOING:
        return "outgoing";
    }
    abort();
}

static void fill_part(const struct replica *replica, const struct raft_status *status,
                      struct node_view_member *member)
{
    const struct replica_member *known = members_find_const(&replica->members, member->node_id);
    enum raft_member_kind kind = raft_membership_find(&status->membership, member->node_id);
    member->kind = kind_name(kind);
    if (known != NULL) {
        member->disk_known = known->disk_id != 0;
        member->becomes_voter = known->goal == MEMBER_GOAL_VOTER;
        member->replaces = known->replaces;
    }
}

static void fill_member(const struct replica *replica, const struct peer *peer, uint32_t listener,
                        const struct raft_status *status, struct node_view_member *member)
{
    memset(member, 0, sizeof *member);
    member->node_id = peer->member.node_id;
    fill_hex_id(replica, member->node_id, member->hex_id);
    const struct bus_listener_address *address = peers_client_address(replica, member->node_id, listener);
    if (address != NULL) {
        (void)snprintf(member->host, sizeof member->host, "%s", address->host);
        member->port = address->port;
    }
    struct replica_member bus;
    (void)peers_address(peer, &bus);
    (void)snprintf(member->bus_host, sizeof member->bus_host, "%s", bus.bus_host);
    member->bus_port = bus.bus_port;
    fill_part(replica, status, member);
    member->is_self = peer->is_self;
    member->is_leader = status->leader != RAFT_NODE_NONE && status->leader == member->node_id;
    member->connected = peer->is_self || peer->dialled || peer->accepted;
    member->low_space = peer->is_self ? space_is_low(replica) : peer->report.low_space;
    member->rules_known = peer->is_self       ? versions_known(replica)
                          : peer->hello_known ? peer->hello.rules_version
                                              : 0;
    member->differs = peer->differs && status->role == RAFT_LEADER;
    member->progress = "";
    if (status->role == RAFT_LEADER) {
        if (peer->is_self) {
            member->progress_known = true;
            member->progress = "replicate";
            member->match_index = status->durable_index;
            member->next_index = status->last.index + 1;
            member->recently_active = true;
        } else {
            fill_progress(status, member);
        }
    }
}

/* The leader, or the last one that was known, comes first: topology replies never have holes. This node is
 * there also while it is no member. */
static void fill_members(const struct replica *replica, uint32_t listener, const struct raft_status *status,
                         struct node_view *view)
{
    uint64_t first = status->leader != RAFT_NODE_NONE ? status->leader : replica->last_leader_known;
    const struct peer *leader = peers_find_const(replica, first);
    if (leader == NULL) {
        leader = peers_find_const(replica, replica->options.node_id);
    }
    view->members_count = 0;
    fill_member(replica, leader, listener, status, &view->members[view->members_count++]);
    for (uint32_t i = 0; i < replica->peers_count && view->members_count < NODE_VIEW_MEMBERS_MAX; i++) {
        const struct peer *peer = &replica->peers[i];
        if (peer != leader && (peer->standing == PEER_MEMBER || peer->is_self)) {
            fill_member(replica, peer, listener, status, &view->members[view->members_count++]);
        }
    }
}

_Static_assert((int)MEMBERS_FORCED_MAX <= (int)NODE_VIEW_FORCED_MAX, "all of them are shown");

static void fill_forced(const struct replica *replica, struct node_view *view)
{
    view->forced_count = replica->members.forced_count;
    for (uint32_t i = 0; i < view->forced_count; i++) {
        const struct members_forced *forced = &replica->members.forced[i];
        struct node_view_forced *shown = &view->forced[i];
        shown->time_ms = forced->time_ms;
        shown->node_id = forced->node_id;
        (void)snprintf(shown->cluster_id, sizeof shown->cluster_id, "%016" PRIx64 "%016" PRIx64,
                       forced->cluster_id[0], forced->cluster_id[1]);
        shown->last_term = forced->last.term;
        shown->last_index = forced->last.index;
        shown->commit_index = forced->commit;
    }
}

static void fill_consensus(const struct replica *replica, const struct raft_status *status,
                           struct node_view *view)
{
    view->formed = replica->raft != NULL;
    view->role = view->formed ? raft_role_name(status->role) : "forming";
    view->term = status->term;
    view->vote = status->vote;
    view->leader_id = status->leader;
    view->leader_ready = status->leader_ready;
    view->transferee = status->transferee;
    view->first_index = status->first_index;
    view->last_index = status->last.index;
    view->last_term = status->last.term;
    view->durable_index = status->durable_index;
    view->commit_index = status->commit;
    view->applied_index = status->applied;
    if (status->leader == RAFT_NODE_NONE) {
        view->election_age_ms = replica->now_ms - replica->leaderless_since_ms;
    }
    view->membership_index = membership_index(replica);
    view->membership = !view->formed                                   ? "forming"
                       : raft_membership_is_joint(&status->membership) ? "joint"
                       : status->membership_committed                  ? "stable"
                                                                       : "changing";
    view->state_ok = status->leader != RAFT_NODE_NONE || view->election_age_ms < replica->options.parking_ms;
    (void)snprintf(view->cluster_id, sizeof view->cluster_id, "%016" PRIx64 "%016" PRIx64,
                   replica->identity.cluster_id[0], replica->identity.cluster_id[1]);
    (void)snprintf(view->disk_id, sizeof view->disk_id, "%016" PRIx64, replica->identity.disk_id);
}

static void fill_storage(const struct replica *replica, struct node_view *view)
{
    struct log_store_usage log_usage;
    log_store_get_usage(replica->options.log, &log_usage);
    view->log_bytes = log_usage.entries_bytes;
    view->log_file_bytes = log_usage.file_bytes;
    struct storage_space space;
    log_store_get_space(replica->options.log, &space);
    view->disk_free_bytes = space.disk_free_bytes;
    view->log_room_bytes = space.room_bytes;
    if (replica->map == NULL) {
        return;
    }
    map_get_space(replica->map, &space);
    view->map_room_bytes = space.room_bytes;
    view->low_space = space_is_low(replica);
    view->damage = replica->scrub.damage.text;
    view->scrubs_total = replica->scrub.passes_total;
    const struct map_meta *meta = map_get_meta(replica->map);
    view->key_count = meta->key_count;
    view->digest = replica->shown_digest;
    view->log_time_ms = meta->log_time_ms;
    view->map_durable_index = map_durable_index(replica->map);
    struct map_usage map_usage;
    map_get_usage(replica->map, &map_usage);
    view->buffer_bytes = map_usage.buffer_bytes + map_usage.dropped_bytes;
    view->map_file_bytes = map_usage.file_bytes;
}

static void fill_counters(const struct replica *replica, struct node_view *view)
{
    view->rules_version = versions_in_force(replica);
    view->rules_known = versions_known(replica);
    view->clock_skew_ms = peers_clock_skew_ms(replica);
    view->commands_total = replica->commands_total;
    view->redirects_total = replica->redirects_total;
    view->unknown_total = replica->unknown_total;
    view->entries_applied_total = replica->entries_applied_total;
    view->elections_total = replica->elections_total;
    view->checkpoint_running = replica->checkpoint != NULL;
    view->checkpoints_total = replica->checkpoints_total;
    view->snapshots_sent_total = replica->snapshots_sent_total;
    view->snapshots_failed_total = replica->snapshots_failed_total;
    view->snapshots_installed_total = replica->snapshots_installed_total;
    if (replica->snapshots.state != SNAPSHOT_NONE) {
        view->snapshot_from = replica->snapshots.from;
        view->snapshot_index = replica->snapshots.upto.index;
    }
    for (const struct replica_client *client = replica->clients_first; client != NULL;
         client = client->next) {
        view->reads_pending += client->reading_count;
        view->writes_pending += client->proposed_count;
        view->commands_parked += client->end_slot - client->next_slot;
    }
}

void replica_fill_view(struct replica *replica, uint32_t listener, struct node_view *view)
{
    memset(view, 0, sizeof *view);
    struct raft_status status = {.role = RAFT_FOLLOWER};
    if (replica->raft != NULL) {
        raft_get_status(replica->raft, &status);
    }
    view->node_id = replica->options.node_id;
    view->now_ms = replica->now_ms;
    view->wall_clock_ms = replica->wall_clock_ms;
    view->uptime_ms = replica->now_ms - replica->started_ms;
    view->data_directory = replica->options.data_directory;
    view->config_file = replica->options.config_file;
    view->version = KVD_VERSION;
    view->build = KVD_BUILD;
    if (listener < replica->options.listeners_count) {
        view->port = replica->listeners[listener].port;
    }
    view->bus_port = peers_find_const(replica, replica->options.node_id)->member.bus_port;
    fill_consensus(replica, &status, view);
    fill_storage(replica, view);
    fill_counters(replica, view);
    fill_forced(replica, view);
    fill_members(replica, listener, &status, view);
    view->clients_connected = replica->clients_count;
    view->for_each_client = visit_clients;
    view->clients = replica;
    replica->io.fill_view(replica->io.context, view);
}
