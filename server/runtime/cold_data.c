/* cold_data.c: see cold_data.h. */
#include "cold_data.h"

#include <sys/resource.h>

enum { SECOND_MS = 1000 };

static uint64_t count_thread_faults(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_majflt : 0;
}

void cold_data_run_job(struct disk_job *job)
{
    bool counts = job->kind == DISK_JOB_FETCH;
    uint64_t before = counts ? count_thread_faults() : 0;

    disk_job_run(job);
    job->fetch.page_faults = counts ? count_thread_faults() - before : 0;
}

void cold_data_note_job(struct cold_data *cold, const struct disk_job *job)
{
    if (job->kind == DISK_JOB_FETCH) {
        cold->faults += job->fetch.page_faults;
    }
}

static void end_second(struct cold_data *cold, uint64_t now_ms)
{
    cold->quiet_seconds = cold->faults < COLD_FAULTS ? cold->quiet_seconds + 1 : 0;
    if (cold->quiet_seconds >= COLD_QUIET_SECONDS) {
        cold->is_cold = false;
    }
    cold->faults = 0;
    cold->second_began_ms = now_ms;
}

bool cold_data_judge(struct cold_data *cold, uint64_t now_ms, uint64_t thread_faults)
{
    if (!cold->was_looked_at) { /* what the thread read before, to begin with the program, is not data */
        cold->was_looked_at = true;
        cold->thread_faults = thread_faults;
        cold->second_began_ms = now_ms;
    }
    cold->looked_ms = now_ms;
    cold->faults += thread_faults - cold->thread_faults;
    cold->thread_faults = thread_faults;
    if (cold->faults >= COLD_FAULTS) {
        cold->is_cold = true;
        cold->quiet_seconds = 0;
    }
    if (now_ms - cold->second_began_ms >= SECOND_MS) {
        end_second(cold, now_ms);
    }
    return cold->is_cold;
}

bool cold_data_look(struct cold_data *cold, uint64_t now_ms)
{
    if (cold->was_looked_at && now_ms - cold->looked_ms < COLD_LOOK_MS) {
        return cold->is_cold;
    }
    return cold_data_judge(cold, now_ms, count_thread_faults());
}
