/* scrub.c: drives the slow walks over log and map that find what the disk has altered (pitfall 27;
 * storage/log_scrub.h, storage/map_scrub.h).
 *
 * One pass walks the log, then the map, in slices: disk jobs that are small and far apart, by `scrub_rate`,
 * and that wait while a checkpoint is on its way. Then there is a pause.
 *
 * What is found is said in the log (`damage-found`) and shown by RAFT STATUS until a pass finds nothing.
 * The node goes on: what is damaged is not served, for every entry and value is checked again where it is
 * used, and the node stops there (exit code 6); stopping before would take a healthy copy of everything
 * else away from the cluster, and perhaps from two nodes at once. The way back is a replaced node. Only
 * where the map has other keys than it should, which no check of a single value sees, the node stops at
 * once. A snapshot or a backup that meets damage ends; a leader hands over then, so that another one can send
 * what it could not.
 */
#include "replica_internal.h"

#include <stdio.h>
#include <string.h>

enum { SLICE_WORK_BYTES = 256 * 1024, RETRY_MS = 50 };

static bool is_on(const struct replica *replica)
{
    return replica->options.scrub_rate > 0;
}

static uint64_t slice_bytes(const struct replica *replica)
{
    /* Several a second, so that a slow scrub is not one of rare large steps. */
    uint64_t bytes = replica->options.scrub_rate / 8 + 1;
    return bytes < SLICE_WORK_BYTES ? bytes : SLICE_WORK_BYTES;
}

static void submit(struct replica *replica)
{
    struct replica_scrub *scrub = &replica->scrub;
    struct disk_job *job =
        disk_job_create(scrub->is_in_map ? DISK_JOB_MAP_SCRUB : DISK_JOB_LOG_SCRUB, replica->options.log);
    job->map = replica->map;
    job->scrub_from = scrub->log_index;
    job->scrub_bytes_max = slice_bytes(replica);
    scrub->is_out = true;
    replica->io.submit(replica->io.context, job);
}

void scrub_start(struct replica *replica)
{
    replica->scrub.next_ms = is_on(replica) ? replica->now_ms + replica->options.scrub_pause_ms : UINT64_MAX;
}

void scrub_tick(struct replica *replica)
{
    struct replica_scrub *scrub = &replica->scrub;
    if (scrub->is_out || replica->stopping || replica->now_ms < scrub->next_ms) {
        return;
    }
    if (snapshot_is_taking_over(replica) ||
        (scrub->is_in_map && (replica->checkpoint_out || replica->space.map_job_out))) {
        scrub->next_ms = replica->now_ms + RETRY_MS;
        return;
    }
    submit(replica);
}

static void note_damage(struct replica *replica, const char *damage)
{
    struct replica_scrub *scrub = &replica->scrub;
    scrub->pass_found_damage = true;
    if (strcmp(scrub->damage.text, damage) != 0) {
        replica_log(replica, REPLICA_LOG_ERROR, "damage-found",
                    "what=\"%s\" advice=\"this node's disk altered what was written: replace the node\"",
                    damage);
    }
    if (scrub->damage.text[0] == '\0') {
        (void)snprintf(scrub->damage.text, sizeof scrub->damage.text, "%s", damage);
    }
}

/* A node that is new, or takes the place of another, has its data from the leader: it must not be one whose
 * own are damaged. */
void replica_on_map_damaged(struct replica *replica, const struct map *map, const char *damage)
{
    if (map == replica->map && !replica->stopping) {
        note_damage(replica, damage);
        replica_hand_over(replica, "damage");
    }
}

static void end_pass(struct replica *replica)
{
    struct replica_scrub *scrub = &replica->scrub;
    if (!scrub->pass_found_damage && scrub->damage.text[0] != '\0') {
        replica_log(replica, REPLICA_LOG_INFO, "damage-gone", "was=\"%s\"", scrub->damage.text);
        scrub->damage.text[0] = '\0';
    }
    replica_log(replica, REPLICA_LOG_DEBUG, "scrub-done", "sound=%s",
                scrub->pass_found_damage ? "no" : "yes");
    scrub->pass_found_damage = false;
    scrub->passes_total++;
    scrub->next_ms = replica->now_ms + replica->options.scrub_pause_ms;
}

static void plan_next(struct replica *replica, uint64_t work_bytes)
{
    replica->scrub.next_ms = replica->now_ms + work_bytes * 1000 / replica->options.scrub_rate + 1;
}

void scrub_on_log_done(struct replica *replica, const struct disk_job *job)
{
    struct replica_scrub *scrub = &replica->scrub;
    scrub->is_out = false;
    if (job->log_slice.is_damaged) {
        note_damage(replica, job->log_slice.damage.text);
    }
    scrub->log_index = job->log_slice.next_index;
    scrub->is_in_map = scrub->log_index == 0;
    plan_next(replica, job->log_slice.work_bytes);
}

void scrub_on_map_done(struct replica *replica, const struct disk_job *job)
{
    struct replica_scrub *scrub = &replica->scrub;
    scrub->is_out = false;
    if (job->status != STORAGE_OK) {
        replica_stop_for_storage(replica, job->status, job->error.text);
        return;
    }
    if (job->map_slice.is_damaged) {
        note_damage(replica, job->map_slice.damage.text);
    }
    plan_next(replica, job->map_slice.work_bytes);
    if (job->map_slice.is_pass_over) {
        scrub->is_in_map = false;
        end_pass(replica);
    }
}

void scrub_on_map_replaced(struct replica *replica)
{
    assert(!replica->scrub.is_out);
    replica->scrub.is_in_map = false;
    replica->scrub.log_index = 0;
    replica->scrub.damage.text[0] = '\0'; /* it was of another map, or of a log that is gone */
    replica->scrub.pass_found_damage = false;
}

uint64_t scrub_deadline_ms(const struct replica *replica)
{
    return replica->scrub.is_out ? UINT64_MAX : replica->scrub.next_ms;
}
