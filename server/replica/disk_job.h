/* disk_job.h: work on the disk that the replica asks for, and that is done off the loop.
 *
 * A job is made by the replica, handed out through replica_io.submit, run whole by disk_job_run() on a thread
 * of the runtime (or at a seeded moment by the simulator), and given back with replica_on_disk_job_done().
 * Jobs of one queue run in the order in which they were submitted and are given back in that order; the
 * queues are independent. While it is out, a job's memory belongs to whoever runs it; payload references in
 * it are not touched.
 */
#ifndef DISK_JOB_H
#define DISK_JOB_H

#include "log_scrub.h"
#include "map_scrub.h"
#include "raft.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum disk_queue {
    DISK_QUEUE_LOG,  /* writes of the log environment */
    DISK_QUEUE_MAP,  /* checkpoints */
    DISK_QUEUE_READ, /* reads of old log entries */
    /* ... and so many from here on, so that a disk has several reads to do at a time: cold data (fetch.h) */
    DISK_QUEUE_FETCH,
    DISK_QUEUES_COUNT = DISK_QUEUE_FETCH + 4,
};

enum { DISK_FETCH_QUEUES = DISK_QUEUES_COUNT - DISK_QUEUE_FETCH, DISK_FETCH_KEYS_MAX = 16 };

enum disk_job_kind {
    DISK_JOB_LOG_WRITE,
    DISK_JOB_IDENTITY,
    DISK_JOB_CHECKPOINT,
    DISK_JOB_LOG_READ,
    DISK_JOB_MAP_ROOM, /* map_reserve_room() */
    DISK_JOB_LOG_SCRUB,
    DISK_JOB_MAP_SCRUB,
    DISK_JOB_FETCH, /* its maker chooses the queue */
};

/* Keys whose pages are to be in memory. */
struct disk_fetch {
    uint64_t number;
    uint32_t line;              /* whoever made it knows what these two mean */
    const atomic_bool *give_up; /* set by another thread: what is not done yet need not be */
    uint32_t keys_count, bytes_count;
    struct {
        uint32_t offset, size; /* in `bytes` */
        bool whole;            /* see map_fetch_key() */
    } keys[DISK_FETCH_KEYS_MAX];
    uint8_t *bytes;
    uint64_t page_faults; /* result: those that waited for a disk, if whoever ran it has counted them */
};

struct disk_job {
    enum disk_job_kind kind;
    enum disk_queue queue;
    struct disk_job *next; /* for whoever has the job */
    struct log_store *log;

    /* LOG_WRITE */
    struct log_write write; /* its entries point to `log_entries` */
    struct log_entry *log_entries;
    struct raft_entry *entries; /* hold the references */
    uint32_t entries_count, entries_capacity;
    struct log_hard_state hard_state;
    uint64_t sequence; /* of the last raft_ready in it; 0: it only makes room */
    bool installs;     /* first of all */
    bool installed;    /* ... which is done, if the rest of it found no room and is tried again */
    struct log_install install;
    /* IDENTITY */
    struct log_identity identity;
    /* CHECKPOINT */
    struct map_checkpoint *checkpoint;
    /* LOG_READ */
    struct raft_log_read read; /* `entries` get the result */
    /* LOG_SCRUB and MAP_SCRUB: a slice */
    uint64_t scrub_from, scrub_bytes_max;
    struct log_scrub_slice log_slice; /* result */
    struct map_scrub_slice map_slice; /* result */
    struct disk_fetch fetch;          /* FETCH */
    /* CHECKPOINT, MAP_ROOM, MAP_SCRUB, FETCH */
    struct map *map;
    struct map_room room;

    /* result */
    enum storage_status status;
    struct storage_error error;
    struct log_store_state log_state; /* after a LOG_WRITE */
    struct storage_space space; /* of the log after a LOG_WRITE, of the map after CHECKPOINT and MAP_ROOM */
};

struct disk_job *disk_job_create(enum disk_job_kind kind, struct log_store *log);
void disk_job_destroy(struct disk_job *job); /* drops references: on the loop's thread only */
/* Does the job and fills the result. Any thread. One that found no room (STORAGE_FULL) may be done again. */
void disk_job_run(struct disk_job *job);

#endif
