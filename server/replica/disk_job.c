/* disk_job.c: see disk_job.h. The only code of this folder that runs on other threads: disk_job_run(). */
#include "disk_job.h"

#include "map_fetch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The two folders know nothing of each other; here their numbers meet. */
_Static_assert((int)RAFT_ENTRY_MEMBERSHIP == (int)LOG_ENTRY_MEMBERSHIP,
               "the log finds memberships by their type");
_Static_assert((int)RAFT_NODES_MAX == (int)LOG_MEMBERS_MAX, "an identity holds all that may form a cluster");

struct disk_job *disk_job_create(enum disk_job_kind kind, struct log_store *log)
{
    struct disk_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        abort();
    }
    job->kind = kind;
    job->log = log;
    switch (kind) {
    case DISK_JOB_LOG_WRITE:
    case DISK_JOB_IDENTITY:
        job->queue = DISK_QUEUE_LOG;
        break;
    case DISK_JOB_CHECKPOINT:
    case DISK_JOB_MAP_ROOM:
    case DISK_JOB_MAP_SCRUB:
        job->queue = DISK_QUEUE_MAP;
        break;
    case DISK_JOB_LOG_READ:
    case DISK_JOB_LOG_SCRUB:
        job->queue = DISK_QUEUE_READ;
        break;
    case DISK_JOB_FETCH:
        job->queue = DISK_QUEUE_FETCH;
        break;
    }
    return job;
}

void disk_job_destroy(struct disk_job *job)
{
    if (job == NULL) {
        return;
    }
    for (uint32_t i = 0; i < job->entries_count; i++) {
        raft_payload_unref(job->entries[i].payload);
    }
    free(job->entries);
    free(job->log_entries);
    free(job->fetch.bytes);
    free(job);
}

static void run_log_write(struct disk_job *job)
{
    free(job->log_entries); /* of an earlier try */
    job->log_entries = NULL;
    if (job->entries_count > 0) {
        job->log_entries = calloc(job->entries_count, sizeof *job->log_entries);
        if (job->log_entries == NULL) {
            abort();
        }
    }
    for (uint32_t i = 0; i < job->entries_count; i++) {
        const struct raft_entry *entry = &job->entries[i];
        job->log_entries[i] = (struct log_entry){
            .id = {.term = entry->id.term, .index = entry->id.index},
            .type = (uint32_t)entry->type,
            .bytes = entry->payload == NULL ? NULL : entry->payload->bytes,
            .size = raft_entry_bytes(entry),
        };
    }
    job->write.entries = job->log_entries;
    job->write.entries_count = job->entries_count;
    if (job->installs && !job->installed) {
        job->install.hard_state = job->write.hard_state;
        job->status = log_store_install(job->log, &job->install, &job->error);
        job->installed = job->status == STORAGE_OK;
    }
    if (!job->installs || job->installed) {
        job->status = log_store_write(job->log, &job->write, &job->error);
    }
    if (job->status == STORAGE_OK) {
        log_store_get_state(job->log, &job->log_state);
    }
    log_store_get_space(job->log, &job->space);
}

static void collect_entry(void *context, const struct log_entry *read)
{
    struct disk_job *job = context;
    if (job->entries_count == job->entries_capacity) {
        job->entries_capacity = job->entries_capacity == 0 ? 64 : job->entries_capacity * 2;
        job->entries = realloc(job->entries, job->entries_capacity * sizeof *job->entries);
        if (job->entries == NULL) {
            abort();
        }
    }
    struct raft_entry *entry = &job->entries[job->entries_count++];
    *entry = (struct raft_entry){
        .id = {.term = read->id.term, .index = read->id.index},
        .type = (enum raft_entry_type)read->type,
    };
    if (entry->type != RAFT_ENTRY_NOOP) {
        entry->payload = raft_payload_create(read->size);
        memcpy(entry->payload->bytes, read->bytes, read->size);
        entry->payload->size = read->size;
    }
}

/* What fails here fails again where the key is looked up, and is told there. */
static void run_fetch(struct disk_job *job)
{
    struct map_fetch fetch;
    if (atomic_load(job->fetch.give_up) || !map_fetch_begin(&fetch, job->map)) {
        return;
    }
    for (uint32_t i = 0; i < job->fetch.keys_count && !atomic_load(job->fetch.give_up); i++) {
        map_fetch_key(&fetch, job->fetch.bytes + job->fetch.keys[i].offset, job->fetch.keys[i].size,
                      job->fetch.keys[i].whole);
    }
    map_fetch_end(&fetch);
}

void disk_job_run(struct disk_job *job)
{
    switch (job->kind) {
    case DISK_JOB_LOG_WRITE:
        run_log_write(job);
        break;
    case DISK_JOB_IDENTITY:
        job->status = log_store_write_identity(job->log, &job->identity, &job->error);
        break;
    case DISK_JOB_CHECKPOINT:
        job->status = map_checkpoint_write(job->checkpoint, &job->error);
        map_get_space(job->map, &job->space);
        break;
    case DISK_JOB_MAP_ROOM:
        job->status = map_reserve_room(job->map, &job->room, &job->error);
        map_get_space(job->map, &job->space);
        break;
    case DISK_JOB_LOG_SCRUB:
        log_scrub_run(job->log, job->scrub_from, job->scrub_bytes_max, &job->log_slice);
        break;
    case DISK_JOB_MAP_SCRUB:
        job->status = map_scrub_run(job->map, job->scrub_bytes_max, &job->map_slice, &job->error);
        break;
    case DISK_JOB_FETCH:
        run_fetch(job);
        break;
    case DISK_JOB_LOG_READ:
        assert(job->entries_count == 0);
        job->status = log_store_read(job->log, job->read.first_index, job->read.last_index,
                                     job->read.bytes_max, collect_entry, job, &job->error);
        break;
    }
}
