/* sim_disk.h: the disk queues of a node.
 *
 * A job is done whole at a random time after it was handed in, and reported later: between the two the node
 * may be killed or paused. What a process was waiting for when it was paused may be done meanwhile. A hanging
 * disk does nothing for a while; a failing write was done or was not, and nobody can tell; a read may fail
 * too; on a full disk nothing can be written.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "disk_job.h"

#include <stdbool.h>
#include <stdint.h>

struct sim_node;

struct sim_job {
    struct sim_job *next;
    struct disk_job *job;
    bool was_run;
    bool is_due; /* for being reported: the node's next turn may take it */
};

struct sim_disk {
    struct sim_job *queues[DISK_QUEUES_COUNT];
    uint64_t numbers[DISK_QUEUES_COUNT]; /* of the event that moves the first job on */
    uint64_t hangs_until_us;
    bool next_fails, failing_write_is_done; /* the next job of this kind */
    enum disk_job_kind failing_kind;
    bool full;
    bool has_failed;       /* a write, since the process was started: it may end for that */
    bool failure_was_told; /* to the replica: it must end in that turn */
};

/* How long a write takes this time. */
uint64_t sim_disk_us(const struct sim_node *node);
void sim_disk_submit(struct sim_node *node, struct disk_job *job);
/* Hands reported jobs to the replica; within a turn. */
void sim_disk_report(struct sim_node *node);
bool sim_disk_has_input(const struct sim_node *node);
/* The process is gone: what was not done never will be. */
void sim_disk_end(struct sim_node *node);
void sim_disk_hang(struct sim_node *node, uint64_t for_us);
/* The process goes on after a pause. */
void sim_disk_resume(struct sim_node *node);

#endif
