/* snapshot.c: what becomes of snapshots: whom one is sent to, and how one that has come takes the map's
 * place.
 *
 * The bytes travel elsewhere (struct replica_io): here is decided when, and what follows.
 *
 * Sending: the core names a follower that needs entries which are compacted; the stream shows the map as it
 * is on disk. As long as it lasts the map it reads stays open, also if it is not the live one any more.
 *
 * Receiving: LOADING (beside the live map) -> LOADED (waits until no checkpoint is written and no entry is
 * half applied) -> INSTALLING (the log's transaction that names the new map is on its way: the commit point)
 * -> the map is exchanged. Until then the live map serves; a crash at any step leaves one of the two whole.
 */
#include "replica_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- sending ------------------------------------------------------------------------------------- */

static struct outgoing_snapshot *find_outgoing(struct replica *replica, uint64_t peer)
{
    for (uint32_t i = 0; i < replica->snapshots.outgoing_count; i++) {
        if (replica->snapshots.outgoing[i].peer == peer) {
            return &replica->snapshots.outgoing[i];
        }
    }
    return NULL;
}

static const char *begin_sending(struct replica *replica, uint64_t peer_id)
{
    struct snapshots *snapshots = &replica->snapshots;
    const struct peer *peer = peers_find_const(replica, peer_id);
    struct snapshot_order order = {.peer = peer_id, .map = replica->map};
    if (replica->io.send_snapshot == NULL) {
        return "this node cannot send any";
    }
    if (peer == NULL || !peers_address(peer, &order.address)) {
        return "its address is not known";
    }
    if (snapshots->outgoing_count == SNAPSHOTS_OUTGOING_MAX) {
        return "enough others are being sent";
    }
    if (map_durable_index(replica->map) == 0 || replica->shutting_down) {
        return "there is nothing to send yet";
    }
    replica_fill_hello(replica, peer_id, &order.hello);
    order.hello.snapshot = true;
    struct raft_payload *first = membership_first(replica);
    if (first != NULL) {
        order.first_membership_size = first->size;
        memcpy(order.first_membership, first->bytes, first->size);
        raft_payload_unref(first);
    }
    snapshots->outgoing[snapshots->outgoing_count++] = (struct outgoing_snapshot){peer_id, replica->map};
    replica->io.send_snapshot(replica->io.context, &order);
    return NULL;
}

void snapshot_send(struct replica *replica, uint64_t peer)
{
    if (find_outgoing(replica, peer) != NULL) {
        return; /* one from an earlier leadership of this node is still under way: its end counts */
    }
    const char *problem = begin_sending(replica, peer);
    if (problem != NULL) {
        replica_log(replica, REPLICA_LOG_DEBUG, "snapshot-not-sent", "to=%" PRIu64 " reason=\"%s\"", peer,
                    problem);
        raft_snapshot_done(replica->raft, peer, (struct raft_entry_id){0}, false);
        return;
    }
    replica_log(replica, REPLICA_LOG_INFO, "snapshot-begun", "to=%" PRIu64 " index=%" PRIu64 " keys=%" PRIu64,
                peer, map_durable_index(replica->map), map_get_meta(replica->map)->key_count);
}

void replica_on_snapshot_opened(struct replica *replica, uint64_t peer, struct raft_entry_id upto)
{
    if (find_outgoing(replica, peer) != NULL && !replica->stopping) {
        raft_snapshot_started(replica->raft, peer, upto);
    }
}

/* The maps that were live, and that nobody reads any more. */
void snapshot_close_retired(struct replica *replica)
{
    struct snapshots *snapshots = &replica->snapshots;
    for (uint32_t i = snapshots->retired_count; i > 0; i--) {
        struct map *map = snapshots->retired[i - 1];
        bool is_read = backup_reads_map(replica, map);
        for (uint32_t j = 0; j < snapshots->outgoing_count; j++) {
            is_read = is_read || snapshots->outgoing[j].map == map;
        }
        if (!is_read) {
            map_close(map);
            snapshots->retired[i - 1] = snapshots->retired[--snapshots->retired_count];
        }
    }
}

void replica_on_snapshot_sent(struct replica *replica, uint64_t peer, struct raft_entry_id upto, bool ok,
                              const char *reason)
{
    struct snapshots *snapshots = &replica->snapshots;
    struct outgoing_snapshot *outgoing = find_outgoing(replica, peer);
    assert(outgoing != NULL);
    *outgoing = snapshots->outgoing[--snapshots->outgoing_count];
    snapshot_close_retired(replica);
    replica->snapshots_sent_total += ok ? 1 : 0;
    replica->snapshots_failed_total += ok ? 0 : 1;
    if (replica->stopping) {
        return;
    }
    replica_log(replica, ok ? REPLICA_LOG_INFO : REPLICA_LOG_WARNING,
                ok ? "snapshot-sent" : "snapshot-failed", "to=%" PRIu64 " index=%" PRIu64 "%s%s%s", peer,
                upto.index, ok ? "" : " reason=\"", ok ? "" : reason, ok ? "" : "\"");
    raft_snapshot_done(replica->raft, peer, upto, ok);
}

/* ---- receiving ----------------------------------------------------------------------------------- */

static void forget_incoming(struct replica *replica)
{
    raft_payload_unref(replica->snapshots.membership);
    replica->snapshots.membership = NULL;
    replica->snapshots.state = SNAPSHOT_NONE;
}

bool replica_accept_snapshot(struct replica *replica, uint64_t peer, const struct bus_snapshot_begin *begin,
                             uint64_t *generation, const char **reason)
{
    struct snapshots *snapshots = &replica->snapshots;
    if (replica->raft == NULL || replica->stopping || replica->shutting_down) {
        *reason = "this node does not take part";
        return false;
    }
    if (snapshots->state != SNAPSHOT_NONE || snapshots->retired_count == SNAPSHOTS_RETIRED_MAX) {
        *reason = "another snapshot is being loaded";
        return false;
    }
    if (replica->now_ms < snapshots->retry_ms) {
        *reason = "the last one failed a moment ago";
        return false;
    }
    if (!raft_wants_snapshot(replica->raft, begin->upto)) {
        *reason = "it is older than what this node has";
        return false;
    }
    snapshots->state = SNAPSHOT_LOADING;
    snapshots->from = peer;
    snapshots->upto = begin->upto;
    snapshots->membership = raft_payload_ref(begin->membership);
    snapshots->generation = log_store_map_generation(replica->options.log) + 1;
    snapshots->begun_ms = replica->now_ms;
    *generation = snapshots->generation;
    replica_log(replica, REPLICA_LOG_INFO, "snapshot-loading",
                "from=%" PRIu64 " index=%" PRIu64 " keys=%" PRIu64, peer, begin->upto.index,
                begin->keys_count);
    return true;
}

bool replica_wants_snapshot_still(const struct replica *replica)
{
    return replica->snapshots.state == SNAPSHOT_LOADING && !replica->stopping &&
           raft_wants_snapshot(replica->raft, replica->snapshots.upto);
}

static void put_next_off(struct replica *replica)
{
    struct snapshots *snapshots = &replica->snapshots;
    uint64_t wait_ms = snapshots->retry_wait_ms * 2;
    wait_ms = wait_ms < SNAPSHOT_RETRY_MS_MIN ? SNAPSHOT_RETRY_MS_MIN : wait_ms;
    snapshots->retry_wait_ms = wait_ms > SNAPSHOT_RETRY_MS_MAX ? SNAPSHOT_RETRY_MS_MAX : wait_ms;
    snapshots->retry_ms = replica->now_ms + snapshots->retry_wait_ms;
}

void replica_on_snapshot_failed(struct replica *replica, const char *reason)
{
    assert(replica->snapshots.state == SNAPSHOT_LOADING);
    replica_log(replica, REPLICA_LOG_WARNING, "snapshot-not-loaded",
                "from=%" PRIu64 " index=%" PRIu64 " reason=\"%s\"", replica->snapshots.from,
                replica->snapshots.upto.index, reason);
    put_next_off(replica);
    forget_incoming(replica);
}

/* The membership that the state at `upto` holds: the map's own, or, where no entry ever set one, that with
 * which the cluster was formed, as the sender knows it. */
static bool take_membership(struct snapshots *snapshots, const struct map_meta *meta)
{
    if (meta->membership_size == 0) {
        return snapshots->membership != NULL && snapshots->membership->size > 0;
    }
    struct raft_entry_id id;
    struct raft_payload *payload = membership_of_meta(meta, &id);
    if (payload == NULL || id.index > snapshots->upto.index) {
        raft_payload_unref(payload);
        return false;
    }
    raft_payload_unref(snapshots->membership);
    snapshots->membership = payload;
    return true;
}

/* Nothing is to stay of other maps than the live one: the one before it, or one that will not be live. */
static void remove_other_maps(struct replica *replica)
{
    if (replica->io.map_replaced != NULL) {
        replica->io.map_replaced(replica->io.context);
    }
}

void replica_on_snapshot_loaded(struct replica *replica, const struct map_meta *meta)
{
    struct snapshots *snapshots = &replica->snapshots;
    assert(snapshots->state == SNAPSHOT_LOADING);
    if (meta->applied_index != snapshots->upto.index || meta->applied_term != snapshots->upto.term) {
        replica_on_snapshot_failed(replica, "it is not the one that was announced");
    } else if (meta->rules_version > versions_known(replica)) {
        replica_on_snapshot_failed(replica, "it was made by newer rules: upgrade this node");
    } else if (!take_membership(snapshots, meta)) {
        replica_on_snapshot_failed(replica, "its membership is of a form that this kvd does not know");
    } else {
        snapshots->state = SNAPSHOT_LOADED;
        snapshots->retry_wait_ms = 0;
        replica_log(replica, REPLICA_LOG_INFO, "snapshot-loaded",
                    "index=%" PRIu64 " keys=%" PRIu64 " ms=%" PRIu64, snapshots->upto.index, meta->key_count,
                    replica->now_ms - snapshots->begun_ms);
        return;
    }
    remove_other_maps(replica);
}

/* The install comes after all that is to be written to the log. One of those that finds no room would hold it
 * up, and it the checkpoint that makes room (space_wants_checkpoint). */
static bool is_log_idle(const struct replica *replica)
{
    return !replica->log_job_out && replica->gathering_job == NULL && replica->log_waiting_first == NULL;
}

void snapshot_tick(struct replica *replica)
{
    struct snapshots *snapshots = &replica->snapshots;
    if (snapshots->state != SNAPSHOT_LOADED || replica->checkpoint_out || replica->application.active ||
        replica->reads_out > 0 || replica->space.map_job_out || replica->scrub.is_out ||
        !fetch_is_idle(replica) || !is_log_idle(replica)) {
        return; /* jobs read the map that goes */
    }
    if (!raft_install_snapshot(replica->raft, snapshots->upto, snapshots->membership)) {
        replica_log(replica, REPLICA_LOG_INFO, "snapshot-not-needed", "index=%" PRIu64,
                    snapshots->upto.index);
        forget_incoming(replica);
        remove_other_maps(replica);
        return;
    }
    snapshots->state = SNAPSHOT_INSTALLING;
}

void snapshot_fill_install(const struct replica *replica, struct disk_job *job)
{
    const struct map_meta *meta = map_get_meta(replica->map);
    assert(replica->snapshots.state == SNAPSHOT_INSTALLING);
    job->install = (struct log_install){
        .map_generation = replica->snapshots.generation,
        .base = {.term = replica->snapshots.upto.term, .index = replica->snapshots.upto.index},
        .live_applied = {.term = meta->applied_term, .index = meta->applied_index},
    };
}

/* The log names the new map: from now on it is the one. */
bool snapshot_on_installed(struct replica *replica)
{
    struct snapshots *snapshots = &replica->snapshots;
    struct storage_error error = {{0}};
    assert(snapshots->state == SNAPSHOT_INSTALLING && !replica->checkpoint_out &&
           !replica->application.active && fetch_is_idle(replica));
    struct map *opened = NULL;
    enum storage_status status =
        replica->options.open_map(replica->io.context, replica->identity.cluster_id[0], &opened, &error);
    if (status != STORAGE_OK) { /* the turn ends with the map that it began with */
        replica_stop_for_storage(replica, status, error.text);
        return false;
    }
    replica->checkpoint = NULL; /* frozen, but never to be written */
    snapshots->retired[snapshots->retired_count++] = replica->map;
    replica->map = opened;
    const struct map_meta *meta = map_get_meta(replica->map);
    assert(meta->applied_index == snapshots->upto.index);
    snapshot_close_retired(replica);
    space_on_map_replaced(replica);
    scrub_on_map_replaced(replica);
    fetch_on_map_replaced(replica);
    remove_other_maps(replica);
    batch_forget(replica, meta->applied_index);
    replica->shown_digest = meta->digest;
    replica->purge_in_flight = false;
    replica->last_write_ms = replica->now_ms;
    replica->redispatch = true;
    replica->snapshots_installed_total++;
    replica_log(replica, REPLICA_LOG_INFO, "snapshot-installed",
                "index=%" PRIu64 " keys=%" PRIu64 " ms=%" PRIu64, meta->applied_index, meta->key_count,
                replica->now_ms - snapshots->begun_ms);
    forget_incoming(replica);
    return true;
}

/* Neither the map that is being left nor one that is about to be is worth a checkpoint, unless the log waits
 * for one. */
bool snapshot_is_taking_over(const struct replica *replica)
{
    return replica->snapshots.state == SNAPSHOT_INSTALLING ||
           (replica->snapshots.state == SNAPSHOT_LOADED && !replica->space.log_is_full);
}

void snapshot_destroy(struct replica *replica)
{
    assert(replica->snapshots.outgoing_count == 0 && replica->backups.running_count == 0);
    snapshot_close_retired(replica);
    raft_payload_unref(replica->snapshots.membership);
    replica->snapshots.membership = NULL;
}
