/* fetch.h: what is asked of the disk ahead of the loop, while data is cold. See fetch.c. */
#ifndef FETCH_H
#define FETCH_H

#include "disk_job.h"

#include <stdbool.h>
#include <stdint.h>

struct application;
struct batch;
struct replica;
struct replica_client;

/* Two kinds of jobs, so that no read waits for the room that a large entry takes. */
enum fetch_line_name { FETCH_READS, FETCH_ENTRIES, FETCH_LINES_COUNT };

enum {
    FETCH_JOBS_MAX = 128, /* of a line, not done; each holds up to 8 KiB of keys: 2 MiB in all */
    FETCH_KEYS_PER_READS_JOB = 4,
    FETCH_KEYS_PER_ENTRIES_JOB = DISK_FETCH_KEYS_MAX,
    FETCH_ENTRIES_MAX = 1024,        /* entries after the last applied one that are looked at */
    FETCH_HELD_BYTES_MAX = 16 << 20, /* payloads of those of which some keys have found no room in jobs yet;
                                        what is more is not fetched */
};

/* Jobs of one line by number, from `first` to before `end`; none when these are equal. */
struct fetch_ticket {
    uint64_t first, end;
};

struct fetch_line {
    uint64_t next_number;
    uint64_t not_done[FETCH_JOBS_MAX];       /* by number modulo: a number, or 0 */
    struct disk_job *filling;                /* not full yet; NULL: none */
    struct disk_job *full_first, *full_last; /* leave with the end of the turn */
};

/* An entry whose keys are fetched, or that is looked at for such. */
struct entry_fetch {
    uint64_t index, term;         /* index 0: free */
    struct raft_payload *payload; /* NULL: all its keys are in jobs, or not wanted any more */
    size_t position;              /* of the command that is looked at next */
    uint32_t commands_left;
    uint32_t last_key;    /* the key of that command that was the last one to be looked at; 0: none */
    uint32_t next_waiter; /* when no commands are left: of its batch, whose riding reads are looked at */
    struct fetch_ticket ticket;
};

struct fetch {
    bool is_cold; /* as it was told */
    atomic_bool give_up;
    struct fetch_line lines[FETCH_LINES_COUNT];
    uint32_t jobs_out;                             /* with the disk */
    uint32_t keys_out[DISK_FETCH_QUEUES];          /* of them */
    uint32_t held_count;                           /* entries with a payload */
    uint64_t held_bytes;                           /* of these */
    uint64_t moved_ms[DISK_FETCH_QUEUES];          /* while keys are out: since when none came back */
    uint64_t hand_over_ms;                         /* not before */
    struct entry_fetch entries[FETCH_ENTRIES_MAX]; /* by index modulo */
};

void fetch_start(struct replica *replica);
/* A read waits for a read index from now on: its keys are fetched meanwhile. */
void fetch_begin_read(struct replica *replica, struct replica_client *client, uint64_t slot);
/* Not to be run now: what it reads is being fetched. */
bool fetch_holds_read(struct replica *replica, struct replica_client *client, uint64_t slot);
/* An entry is in the log from now on, and will be applied. */
void fetch_begin_entry(struct replica *replica, const struct raft_entry *entry);
/* Not to be applied now. */
bool fetch_holds_entry(struct replica *replica, uint64_t index);
/* Goes on with what found no room before; hands the jobs to the disk. */
void fetch_tick(struct replica *replica);
void fetch_on_done(struct replica *replica, const struct disk_job *job);
/* No job reads the map, and none will before the next fetch_begin_...(). */
bool fetch_is_idle(const struct replica *replica);
/* The map is another one. */
void fetch_on_map_replaced(struct replica *replica);
void fetch_destroy(struct replica *replica);

#endif
