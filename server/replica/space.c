/* space.c: what a node does when its disk runs full (design section 4, "Disk faults"; pitfall 19).
 *
 * Log and map keep room on the disk ahead of what they write, and a reserve (storage/space_reserve.h). When
 * the reserve of one is not whole any more, the node is *low on space*: it goes on, with the reserve, but
 * - a leader takes no commands that make the data grow: neither when it is low itself, nor when fewer than
 *   a majority of the voters are not. Deletions go on, and checkpoints follow soon, so that they make room;
 * - a leader that is low hands leadership over, if a majority of the voters is not;
 * - compaction leaves no tail but what members lack.
 *
 * What finds no room at all waits, and is tried again: nothing is lost, and what it promises is not said
 * before it is written. A follower that is low goes on as long as others have room; when its reserve is used
 * up it waits for room on its disk, for deletions come after what it has no room for. While a node is low it
 * looks again and again, so that all of this ends by itself. When it is the map's file that is too small,
 * checkpoints follow soon as well.
 *
 * A log that takes too much of what its file may grow to counts in the same way: it cannot be shortened while
 * a checkpoint hangs.
 *
 * The one place that says "no" to commands for want of room, on the disk or in the map's file.
 */
#include "replica_internal.h"

#include <stdio.h>
#include <string.h>

enum {
    CHECK_INTERVAL_MS = 250,
    CHECKPOINT_INTERVAL_MS = 20, /* while low: many small ones find room where one large one does not */
    ROOM_STEP_PAGES = 256,       /* reserved for the map beyond what is asked for: not for every key anew */
    LOG_SHARES = 16,             /* of log-map-size: short above SHORT of them until below ENOUGH */
    LOG_SHARES_SHORT = 12,
    LOG_SHARES_ENOUGH = 10, /* compaction may leave half of it to members that are behind (persist.c) */
};

/* Begin as Redis' text does: clients go by its first word. */
static const char MAP_ERROR[] =
    "OOM command not allowed: the data takes a third of 'data-map-size'. Remove keys, "
    "or start the nodes with a larger one";
static const char LOG_ERROR[] =
    "OOM command not allowed: the log takes three quarters of 'log-map-size', for the data is not written to "
    "disk as fast as it comes: a disk that hangs, perhaps. It goes on when there is room";
static const char DISK_ERROR[] =
    "OOM command not allowed: too few nodes have room left on their disks (RAFT STATUS "
    "shows low_space). Remove keys, or make room on the disks";

/* ---- what is known ------------------------------------------------------------------------------- */

bool space_is_low(const struct replica *replica)
{
    return replica->space.log.low || replica->space.map.low || replica->space.log_is_short;
}

static void note(struct replica *replica, struct storage_space *known, const struct storage_space *found,
                 const char *store)
{
    bool was_low = known->low;
    *known = *found;
    if (found->low == was_low) {
        return;
    }
    replica_log(replica, found->low ? REPLICA_LOG_WARNING : REPLICA_LOG_INFO,
                found->low ? "low-space" : "low-space-ended", "store=%s room_bytes=%llu disk_free_bytes=%llu",
                store, (unsigned long long)found->room_bytes, (unsigned long long)found->disk_free_bytes);
    replica->redispatch = true;
    report_send_to_all(replica);
}

void space_start(struct replica *replica)
{
    struct storage_space found;
    log_store_get_space(replica->options.log, &found);
    note(replica, &replica->space.log, &found, "log");
    map_get_space(replica->map, &found);
    note(replica, &replica->space.map, &found, "map");
}

/* What the map has not written yet cannot be dropped from the log. So a checkpoint that hangs fills it, and a
 * log that is full writes nothing any more: no deletion, no vote for long. It says so in time. */
static void note_log_size(struct replica *replica)
{
    struct log_store_usage usage;
    log_store_get_usage(replica->options.log, &usage);
    uint64_t share = usage.map_bytes / LOG_SHARES;
    bool was_short = replica->space.log_is_short;
    bool is_short = usage.entries_bytes > share * (was_short ? LOG_SHARES_ENOUGH : LOG_SHARES_SHORT);
    if (is_short == was_short) {
        return;
    }
    replica->space.log_is_short = is_short;
    replica_log(replica, is_short ? REPLICA_LOG_WARNING : REPLICA_LOG_INFO,
                is_short ? "log-is-short" : "log-is-short-ended", "log_bytes=%llu log_map_bytes=%llu",
                (unsigned long long)usage.entries_bytes, (unsigned long long)usage.map_bytes);
    replica->redispatch = true;
    report_send_to_all(replica);
}

void space_note_log(struct replica *replica, const struct disk_job *job)
{
    note_log_size(replica);
    if (job->status == STORAGE_FULL && job->sequence > 0 && !replica->space.log_is_full) {
        replica_log(replica, REPLICA_LOG_WARNING, "log-write-waits",
                    "reason=\"no room for it\" room_bytes=%llu", (unsigned long long)job->space.room_bytes);
    }
    if (job->sequence > 0) {
        replica->space.log_is_full = job->status == STORAGE_FULL;
    }
    note(replica, &replica->space.log, &job->space, "log");
    /* One that made room is followed at once, by the next such or by the write that waits. */
    bool made_room = job->sequence == 0 && (job->write.compact_to > 0 || replica->space.log_is_full);
    replica->space.log_check_ms = replica->now_ms + (made_room ? 0 : CHECK_INTERVAL_MS);
}

void space_note_map(struct replica *replica, const struct disk_job *job)
{
    note(replica, &replica->space.map, &job->space, "map");
    replica->space.map_check_ms = replica->now_ms + CHECK_INTERVAL_MS;
}

void space_on_map_replaced(struct replica *replica)
{
    struct storage_space found;
    replica->space.checkpoint_is_full = false;
    replica->space.room_asked = (struct map_room){0};
    map_get_space(replica->map, &found);
    note(replica, &replica->space.map, &found, "map");
}

/* ---- commands ------------------------------------------------------------------------------------ */

/* What has been applied or asked for would take too much of the map's file: a checkpoint that does not fit
 * could not be written by any node. LMDB copies the pages that it changes, and those of the last checkpoint
 * are not free again before the next is done: so at worst there are three of each. What is in memory takes up
 * to twice its size on pages. */
static bool is_map_short(const struct replica *replica)
{
    struct map_usage usage;
    map_get_usage(replica->map, &usage);
    return usage.used_bytes + 2 * (usage.buffer_bytes + replica->pending_bytes) > usage.map_bytes / 3;
}

static bool is_low(const struct replica *replica, raft_node_id id)
{
    const struct peer *peer = peers_find_const(replica, id);
    return id == replica->options.node_id ? space_is_low(replica) : peer != NULL && peer->report.low_space;
}

static bool has_room(const struct replica *replica, const raft_node_id *voters, uint32_t count)
{
    uint32_t with_room = 0;
    for (uint32_t i = 0; i < count; i++) {
        with_room += is_low(replica, voters[i]) ? 0 : 1;
    }
    return with_room > count / 2;
}

/* More than half of the voters are not low, as far as this node knows; while they change, of the old and of
 * the new ones. */
static bool has_majority_room(const struct replica *replica)
{
    const struct raft_membership *members = raft_get_membership(replica->raft);
    return has_room(replica, members->voters, members->voters_count) &&
           (members->outgoing_count == 0 || has_room(replica, members->outgoing, members->outgoing_count));
}

const char *space_refuses_growth(const struct replica *replica)
{
    if (is_map_short(replica)) {
        return MAP_ERROR;
    }
    if (space_is_low(replica) || !has_majority_room(replica)) {
        return replica->space.log_is_short ? LOG_ERROR : DISK_ERROR;
    }
    return NULL;
}

/* ---- leadership ---------------------------------------------------------------------------------- */

static uint64_t match_of(const struct raft_status *status, uint64_t node_id)
{
    for (uint32_t i = 0; i < status->peers_count; i++) {
        if (status->peers[i].id == node_id && status->peers[i].recently_active) {
            return status->peers[i].match_index;
        }
    }
    return 0;
}

/* Of the voters that have room and are there the one that has most of the log. */
static uint64_t find_successor(const struct replica *replica)
{
    const struct raft_membership *members = raft_get_membership(replica->raft);
    struct raft_status status;
    raft_get_status(replica->raft, &status);
    uint64_t best = RAFT_NODE_NONE;
    uint64_t best_match = 0;
    for (uint32_t i = 0; i < members->voters_count; i++) {
        uint64_t match = match_of(&status, members->voters[i]); /* 0 of this node itself */
        if (match > best_match && !is_low(replica, members->voters[i])) {
            best = members->voters[i];
            best_match = match;
        }
    }
    return best;
}

bool space_may_hand_over(const struct replica *replica)
{
    return space_is_low(replica) && replica_leads(replica) && has_majority_room(replica) &&
           replica->now_ms >= replica->space.hand_over_ms;
}

static void maybe_hand_over(struct replica *replica)
{
    if (!space_may_hand_over(replica)) {
        return;
    }
    replica->redispatch = true; /* what waited for this */
    replica->space.hand_over_ms = replica->now_ms + 2 * (uint64_t)replica->options.election_timeout_ms;
    uint64_t successor = find_successor(replica);
    if (successor != RAFT_NODE_NONE && raft_transfer_leadership(replica->raft, successor)) {
        replica_log(replica, REPLICA_LOG_WARNING, "handing-over", "reason=low-space to=%llu",
                    (unsigned long long)successor);
    }
}

/* ---- the map's file ------------------------------------------------------------------------------ */

/* The file is extended before there is a checkpoint that needs it, so that a full disk is known while
 * commands can still be refused. */
static void maybe_reserve_for_map(struct replica *replica)
{
    struct replica_space *space = &replica->space;
    struct map_room wanted;
    if (space->map_job_out || replica->checkpoint_out || snapshot_is_taking_over(replica)) {
        return;
    }
    map_get_room_wanted(replica->map, &wanted);
    bool is_due = space->map.low ? replica->now_ms >= space->map_check_ms
                                 : wanted.pages > space->room_asked.pages ||
                                       wanted.run_pages > space->room_asked.run_pages;
    if (!is_due) {
        return;
    }
    struct disk_job *job = disk_job_create(DISK_JOB_MAP_ROOM, replica->options.log);
    job->map = replica->map;
    job->room = wanted;
    job->room.pages += wanted.pages / 4 + ROOM_STEP_PAGES;
    space->room_asked = job->room;
    space->map_job_out = true;
    replica->io.submit(replica->io.context, job);
}

void space_on_map_job_done(struct replica *replica, const struct disk_job *job)
{
    replica->space.map_job_out = false;
    if (job->status != STORAGE_OK && job->status != STORAGE_FULL) {
        replica_stop(replica, REPLICA_EXIT_DISK, job->error.text);
        return;
    }
    space_note_map(replica, job);
}

void space_note_checkpoint(struct replica *replica, bool written)
{
    if (!written && !replica->space.checkpoint_is_full) {
        replica_log(replica, REPLICA_LOG_WARNING, "checkpoint-waits",
                    "reason=\"no room for it\" room_bytes=%llu",
                    (unsigned long long)replica->space.map.room_bytes);
    }
    replica->space.checkpoint_is_full = !written;
    replica->space.checkpoint_ms = replica->now_ms + CHECKPOINT_INTERVAL_MS;
    if (written) {
        replica->space.room_asked = (struct map_room){0}; /* it was used */
    }
}

bool space_waits_for_checkpoint(const struct replica *replica)
{
    return replica->space.log_is_short || replica->space.log_is_full;
}

/* What was deleted takes its room until a checkpoint has been written without it. Nothing else may ask for
 * one: who waits for room writes little. */
static bool wants_room(const struct replica *replica)
{
    return space_is_low(replica) || is_map_short(replica);
}

bool space_wants_checkpoint(const struct replica *replica)
{
    return replica->now_ms >= replica->space.checkpoint_ms && wants_room(replica);
}

/* ---- the turn ------------------------------------------------------------------------------------ */

void space_tick(struct replica *replica)
{
    if (replica->stopping) {
        return;
    }
    maybe_hand_over(replica);
    maybe_reserve_for_map(replica);
}

static bool waits_for_log(const struct replica *replica)
{
    return replica->space.log.low || replica->space.log_is_full || replica->space.log_is_short;
}

bool space_is_log_check_due(const struct replica *replica)
{
    return waits_for_log(replica) && replica->now_ms >= replica->space.log_check_ms;
}

bool space_may_try_checkpoint(const struct replica *replica)
{
    return !replica->space.map_job_out &&
           (!replica->space.checkpoint_is_full || replica->now_ms >= replica->space.map_check_ms);
}

uint64_t space_deadline_ms(const struct replica *replica)
{
    const struct replica_space *space = &replica->space;
    uint64_t deadline_ms = UINT64_MAX;
    if (waits_for_log(replica) && !replica->log_job_out) {
        deadline_ms = space->log_check_ms;
    }
    bool waits_for_map = space->map.low || space->checkpoint_is_full;
    bool is_ahead = replica->checkpoint != NULL && /* of the log: its write ends the wait */
                    raft_get_durable(replica->raft) < map_checkpoint_index(replica->checkpoint);
    if (waits_for_map && !is_ahead && !snapshot_is_taking_over(replica) && !space->map_job_out &&
        !replica->checkpoint_out && space->map_check_ms < deadline_ms) {
        deadline_ms = space->map_check_ms;
    }
    if (!map_is_clean(replica->map) && replica->checkpoint == NULL && !snapshot_is_taking_over(replica) &&
        space->checkpoint_ms < deadline_ms && wants_room(replica)) {
        deadline_ms = space->checkpoint_ms;
    }
    if (space_is_low(replica) && replica_leads(replica) && has_majority_room(replica) &&
        space->hand_over_ms < deadline_ms) {
        deadline_ms = space->hand_over_ms;
    }
    return deadline_ms;
}
