/* persist.c: what the core wants sent and written, and in which order.
 *
 * "Send now" leaves at once. What is to be made durable gathers in one LOG_WRITE job; while one is with the
 * disk the next fills: that is the group commit. "Send after persisted" waits here until the jobs that back
 * it are done (thesis 3.8, pitfalls 9 and 10).
 */
#include "replica_internal.h"

#include <stdlib.h>
#include <string.h>

enum { TAILS_WITHOUT_SNAPSHOTS = 8, TAILS_WITH_SNAPSHOTS = 4 };

/* ---- messages ------------------------------------------------------------------------------------ */

void persist_send(struct replica *replica, const struct raft_message *message)
{
    struct bus_message out = {.type = BUS_MESSAGE_RAFT, .wall_clock_ms = replica->wall_clock_ms};
    out.raft = *message; /* borrowed for the call */
    replica->io.send(replica->io.context, message->to, &out);
}

static void hold_message(struct replica *replica, uint64_t after_sequence, struct raft_message *message)
{
    struct held_message *held = calloc(1, sizeof *held);
    if (held == NULL) {
        abort();
    }
    held->after_sequence = after_sequence;
    held->message = *message;
    if (replica->held_last == NULL) {
        replica->held_first = held;
    } else {
        assert(replica->held_last->after_sequence <= after_sequence);
        replica->held_last->next = held;
    }
    replica->held_last = held;
}

/* What a node promised in a term that is over for it need not be said any more. It must not be either: while
 * the promise waited for the disk, entries of a newer leader may have come in the place of those that it is
 * about, before these were written. */
static bool is_outdated(const struct replica *replica, const struct raft_message *message)
{
    return message->term < raft_get_term(replica->raft);
}

static void release_messages(struct replica *replica)
{
    while (replica->held_first != NULL &&
           replica->held_first->after_sequence <= replica->persisted_sequence) {
        struct held_message *held = replica->held_first;
        replica->held_first = held->next;
        if (replica->held_first == NULL) {
            replica->held_last = NULL;
        }
        if (!is_outdated(replica, &held->message)) {
            persist_send(replica, &held->message);
        }
        raft_message_deinit(&held->message);
        free(held);
    }
}

/* ---- gathering ----------------------------------------------------------------------------------- */

static void reserve_entries(struct disk_job *job, uint32_t more)
{
    uint32_t needed = job->entries_count + more;
    if (needed <= job->entries_capacity) {
        return;
    }
    uint32_t capacity = job->entries_capacity == 0 ? 16 : job->entries_capacity * 2;
    job->entries_capacity = capacity < needed ? needed : capacity;
    job->entries = realloc(job->entries, job->entries_capacity * sizeof *job->entries);
    if (job->entries == NULL) {
        abort();
    }
}

/* Entries that a later write of the same job overwrites never reach the disk. */
static void drop_overwritten(struct replica *replica, struct disk_job *job, uint64_t first_index)
{
    while (job->entries_count > 0 && job->entries[job->entries_count - 1].id.index >= first_index) {
        struct raft_entry *entry = &job->entries[--job->entries_count];
        replica->gathering_bytes -= raft_entry_bytes(entry);
        raft_payload_unref(entry->payload);
    }
}

static void put_last(struct replica *replica, struct disk_job *job)
{
    struct disk_job **link = &replica->log_waiting_first;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    job->next = NULL;
    *link = job;
}

static void gather(struct replica *replica, struct raft_ready *ready)
{
    if (ready->sequence == 0) {
        assert(ready->entries_count == 0 && !ready->hard_state_changed);
        return;
    }
    if (ready->install.upto.index > 0 && replica->gathering_job != NULL) {
        put_last(replica, replica->gathering_job); /* what came before is written before */
        replica->gathering_job = NULL;
    }
    struct disk_job *job = replica->gathering_job;
    if (job == NULL) {
        job = disk_job_create(DISK_JOB_LOG_WRITE, replica->options.log);
        replica->gathering_job = job;
        replica->gathering_bytes = 0;
    }
    if (ready->install.upto.index > 0) {
        job->installs = true;
        snapshot_fill_install(replica, job);
    }
    assert(ready->sequence > job->sequence);
    job->sequence = ready->sequence;
    if (ready->hard_state_changed) {
        job->hard_state =
            (struct log_hard_state){.term = ready->hard_state.term, .vote = ready->hard_state.vote};
        job->write.hard_state = &job->hard_state;
    }
    if (ready->entries_count > 0) {
        drop_overwritten(replica, job, ready->entries[0].id.index);
        reserve_entries(job, ready->entries_count);
        for (uint32_t i = 0; i < ready->entries_count; i++) {
            fetch_begin_entry(replica, &ready->entries[i]);
            job->entries[job->entries_count++] = ready->entries[i]; /* with its reference */
            replica->gathering_bytes += raft_entry_bytes(&ready->entries[i]);
        }
        ready->entries_count = 0;
    }
}

static void ask_for_old_entries(struct replica *replica, const struct raft_log_read *read)
{
    struct disk_job *job = disk_job_create(DISK_JOB_LOG_READ, replica->options.log);
    job->read = *read;
    replica->reads_out++;
    replica->io.submit(replica->io.context, job);
}

void persist_take_ready(struct replica *replica)
{
    while (raft_has_ready(replica->raft)) {
        struct raft_ready ready;
        raft_take_ready(replica->raft, &ready);
        for (uint32_t i = 0; i < ready.messages_now_count; i++) {
            persist_send(replica, &ready.messages_now[i]);
        }
        gather(replica, &ready);
        for (uint32_t i = 0; i < ready.messages_after_persist_count; i++) {
            hold_message(replica, ready.after_sequence, &ready.messages_after_persist[i]);
        }
        ready.messages_after_persist_count = 0;
        release_messages(replica);
        for (uint32_t i = 0; i < ready.log_reads_count; i++) {
            ask_for_old_entries(replica, &ready.log_reads[i]);
        }
        for (uint32_t i = 0; i < ready.reads_count; i++) {
            reads_on_result(replica, &ready.reads[i]);
        }
        for (uint32_t i = 0; i < ready.snapshots_count; i++) {
            snapshot_send(replica, ready.snapshots[i]);
        }
        raft_ready_deinit(&ready);
    }
}

/* ---- jobs ---------------------------------------------------------------------------------------- */

static bool is_log_short(const struct replica *replica)
{
    return replica->space.log.low || replica->space.log_is_full;
}

/* How long the log may be for those who are behind. A member that is only a little behind is never cut off,
 * whoever leads; one that holds up several tails is, or half of what the log's file may grow to: a log that
 * is full writes nothing more (pitfall 19). It gets a snapshot then. */
static uint64_t bytes_for_followers(const struct replica *replica, const struct log_store_usage *usage)
{
    uint64_t tails = replica->io.send_snapshot == NULL ? TAILS_WITHOUT_SNAPSHOTS : TAILS_WITH_SNAPSHOTS;
    uint64_t bytes = replica->options.log_tail_bytes * tails;
    return bytes < usage->map_bytes / 2 ? bytes : usage->map_bytes / 2;
}

/* Drops what the durable map has applied, in small pieces that ride on other writes, but for what members
 * lack and, while there is room on the disk, a tail for those that may come to lack it. */
static void add_compaction(struct replica *replica, struct disk_job *job)
{
    struct log_store_usage usage;
    log_store_get_usage(replica->options.log, &usage);
    bool is_short = is_log_short(replica);
    uint64_t tail_bytes = is_short ? 0 : replica->options.log_tail_bytes;
    if (usage.entries_bytes <= tail_bytes || replica->reads_out > 0) {
        return;
    }
    uint64_t keep_from = map_durable_index(replica->map);
    struct raft_status status;
    raft_get_status(replica->raft, &status);
    if (status.held_by_all < keep_from) {
        uint64_t bytes = bytes_for_followers(replica, &usage);
        if (usage.entries_bytes <= bytes) {
            keep_from = status.held_by_all;
        } else if (!is_short) { /* who is further behind is cut off, and nobody else */
            tail_bytes = bytes;
        }
    }
    /* What one will need next that is getting a snapshot now: else it would need another, for ever (pitfall
     * 14). */
    if (status.needed_from < keep_from && usage.entries_bytes <= usage.map_bytes / 2) {
        keep_from = status.needed_from;
    }
    /* By what is on the disk: while an install waits behind a write that finds no room, the core is ahead. */
    struct log_store_state state;
    log_store_get_state(replica->options.log, &state);
    uint64_t durable = status.durable_index < state.last.index ? status.durable_index : state.last.index;
    if (keep_from > durable) {
        keep_from = durable;
    }
    if (keep_from > state.base.index) {
        /* Large entries must not make a whole tail go in one step. */
        uint64_t entries = state.last.index - state.base.index;
        uint64_t excess = (usage.entries_bytes - tail_bytes) * entries / usage.entries_bytes + 1;
        job->write.compact_to = keep_from;
        job->write.compact_entries_max =
            excess < COMPACT_ENTRIES_PER_JOB ? (uint32_t)excess : COMPACT_ENTRIES_PER_JOB;
    }
}

/* A write that found no room goes first: sequences are made durable in their order. Before it is tried again,
 * and now and then while the log is low, one that writes nothing tries to make room. */
static struct disk_job *take_next_write(struct replica *replica)
{
    bool waits_for_room = replica->space.log_is_full;
    bool check = space_is_log_check_due(replica);
    if (check && !(waits_for_room && replica->log_room_was_tried)) {
        replica->log_room_was_tried = waits_for_room;
        return disk_job_create(DISK_JOB_LOG_WRITE, replica->options.log);
    }
    if (waits_for_room && !check) {
        return NULL;
    }
    replica->log_room_was_tried = false;
    struct disk_job *job = replica->log_waiting_first;
    if (job != NULL) {
        replica->log_waiting_first = job->next;
        job->next = NULL;
    } else {
        job = replica->gathering_job;
        replica->gathering_job = NULL;
    }
    return job;
}

void persist_submit(struct replica *replica)
{
    struct disk_job *job = NULL;
    if (!replica->log_job_out && !replica->identity_job_out) {
        job = take_next_write(replica);
    }
    if (job == NULL) {
        return;
    }
    replica->log_job_out = true;
    uint64_t commit = raft_get_commit(replica->raft);
    uint64_t durable = raft_get_durable(replica->raft);
    job->write.commit_hint = commit < durable ? commit : durable;
    if (!job->installs) {
        add_compaction(replica, job);
    }
    replica->io.submit(replica->io.context, job);
}

void persist_commit(struct replica *replica)
{
    if (replica->gathering_job == NULL) {
        replica->gathering_job = disk_job_create(DISK_JOB_LOG_WRITE, replica->options.log);
        replica->gathering_bytes = 0;
    }
}

static void on_log_write_done(struct replica *replica, struct disk_job *job)
{
    assert(replica->log_job_out);
    replica->log_job_out = false;
    if (job->status != STORAGE_OK && job->status != STORAGE_FULL) {
        replica_stop_for_storage(replica, job->status, job->error.text);
        return;
    }
    space_note_log(replica, job);
    if (job->status == STORAGE_FULL || (job->installs && !snapshot_on_installed(replica))) {
        return;
    }
    if (job->sequence > 0) {
        assert(job->sequence > replica->persisted_sequence);
        replica->persisted_sequence = job->sequence;
        raft_persisted(replica->raft, job->sequence);
        release_messages(replica);
    }
    if (job->log_state.base.index + 1 > raft_first_index(replica->raft)) {
        raft_compacted(replica->raft,
                       (struct raft_entry_id){job->log_state.base.term, job->log_state.base.index});
    }
}

static void on_log_read_done(struct replica *replica, struct disk_job *job)
{
    assert(replica->reads_out > 0);
    replica->reads_out--;
    if (job->status != STORAGE_OK) {
        replica_stop_for_storage(replica, job->status, job->error.text);
        return;
    }
    for (uint32_t i = 0; i < job->entries_count; i++) {
        fetch_begin_entry(replica, &job->entries[i]);
    }
    raft_log_read_done(replica->raft, job->read.read_id, job->entries, job->entries_count);
}

static void on_checkpoint_done(struct replica *replica, struct disk_job *job)
{
    assert(replica->checkpoint == job->checkpoint && replica->checkpoint_out);
    replica->checkpoint_out = false;
    if (job->status != STORAGE_OK && job->status != STORAGE_FULL) {
        replica_stop_for_storage(replica, job->status, job->error.text);
        return;
    }
    space_note_map(replica, job);
    space_note_checkpoint(replica, job->status == STORAGE_OK);
    if (job->status == STORAGE_FULL) {
        if (map_thaw(replica->map, replica->checkpoint)) {
            replica->checkpoint = NULL;
        } else {
            map_checkpoint_try_again(replica->map, replica->checkpoint);
        }
        return;
    }
    replica_log(replica, REPLICA_LOG_DEBUG, "checkpoint-written", "index=%llu",
                (unsigned long long)map_checkpoint_index(replica->checkpoint));
    map_checkpoint_finish(replica->map, replica->checkpoint);
    replica->checkpoint = NULL;
    replica->checkpoints_total++;
    replica->redispatch = true;
}

void replica_on_disk_job_done(struct replica *replica, struct disk_job *job)
{
    switch (job->kind) {
    case DISK_JOB_LOG_WRITE:
        on_log_write_done(replica, job);
        if (job->status == STORAGE_FULL && job->sequence > 0 && !replica->stopping) {
            job->next = replica->log_waiting_first; /* tried again, before all others */
            replica->log_waiting_first = job;
            return;
        }
        break;
    case DISK_JOB_IDENTITY:
        replica->identity_job_out = false;
        if (job->status == STORAGE_OK) {
            formation_on_stored(replica, &job->identity);
        } else if (job->status != STORAGE_FULL) { /* else the next tick tries again */
            replica_stop(replica, REPLICA_EXIT_DISK, job->error.text);
        }
        break;
    case DISK_JOB_CHECKPOINT:
        on_checkpoint_done(replica, job);
        break;
    case DISK_JOB_LOG_READ:
        on_log_read_done(replica, job);
        break;
    case DISK_JOB_LOG_SCRUB:
        scrub_on_log_done(replica, job);
        break;
    case DISK_JOB_MAP_SCRUB:
        scrub_on_map_done(replica, job);
        break;
    case DISK_JOB_MAP_ROOM:
        space_on_map_job_done(replica, job);
        break;
    case DISK_JOB_FETCH:
        fetch_on_done(replica, job);
        break;
    }
    disk_job_destroy(job);
}

void persist_destroy(struct replica *replica)
{
    assert(!replica->log_job_out && !replica->checkpoint_out && replica->reads_out == 0);
    assert(!replica->space.map_job_out && !replica->scrub.is_out);
    disk_job_destroy(replica->gathering_job);
    while (replica->log_waiting_first != NULL) {
        struct disk_job *job = replica->log_waiting_first;
        replica->log_waiting_first = job->next;
        disk_job_destroy(job);
    }
    while (replica->held_first != NULL) {
        struct held_message *held = replica->held_first;
        replica->held_first = held->next;
        raft_message_deinit(&held->message);
        free(held);
    }
}
