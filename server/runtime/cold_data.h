/* cold_data.h: does the loop wait for the disk when it looks keys up? The kernel counts how often a thread
 * had to wait for a page; the loop's thread and the fetches that were done in its stead are looked at
 * together.
 *
 * Data is cold from the moment when there were COLD_FAULTS of them within a second, and warm again when there
 * were fewer in each of COLD_QUIET_SECONDS in a row. With data that fits into memory this costs a question to
 * the kernel every COLD_LOOK_MS, and nothing else.
 */
#ifndef COLD_DATA_H
#define COLD_DATA_H

#include "disk_job.h"

#include <stdbool.h>
#include <stdint.h>

enum { COLD_LOOK_MS = 5, COLD_FAULTS = 3, COLD_QUIET_SECONDS = 3 };

struct cold_data {
    bool is_cold;
    bool was_looked_at; /* the three below are known */
    uint64_t looked_ms;
    uint64_t second_began_ms;
    uint64_t thread_faults; /* of the loop's thread, so far */
    uint64_t faults;        /* in this second, with those of fetches */
    uint32_t quiet_seconds;
};

/* A disk job came back. */
void cold_data_note_job(struct cold_data *cold, const struct disk_job *job);
/* Once in a turn, on the loop's thread. Says what is_cold is now. */
bool cold_data_look(struct cold_data *cold, uint64_t now_ms);
/* The same, when the thread has had so many faults in its life. */
bool cold_data_judge(struct cold_data *cold, uint64_t now_ms, uint64_t thread_faults);

/* disk_job_run(), which counts the faults of a fetch. Any thread. */
void cold_data_run_job(struct disk_job *job);

#endif
