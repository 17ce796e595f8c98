/* disk_worker.h: one thread for each disk queue.
 *
 * Jobs of one queue are run in order and come back in order. There is no polling: a thread sleeps on a
 * condition, the loop on an eventfd. All calls are made by the loop's thread; `run` is called on the worker
 * threads.
 */
#ifndef DISK_WORKER_H
#define DISK_WORKER_H

#include "disk_job.h"

#include <stdbool.h>
#include <stddef.h>

struct disk_workers;

/* NULL, with errno set, when the system gives no threads or no eventfd. `run` is disk_job_run() (tests:
 * another). */
struct disk_workers *disk_workers_create(void (*run)(struct disk_job *job));
/* Runs what was submitted, then ends the threads. Finished jobs that were not taken are lost: take them
 * first. */
void disk_workers_destroy(struct disk_workers *workers); /* NULL is allowed */

void disk_workers_submit(struct disk_workers *workers, struct disk_job *job);
/* Readable while there are finished jobs that were not taken. */
int disk_workers_file(const struct disk_workers *workers);
/* All finished jobs in the order in which they finished, linked by `next`; NULL: none. */
struct disk_job *disk_workers_take_done(struct disk_workers *workers);
/* Jobs that were submitted and not taken back. */
size_t disk_workers_jobs_out(const struct disk_workers *workers);

#endif
