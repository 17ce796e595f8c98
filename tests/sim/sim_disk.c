/* sim_disk.c: see sim_disk.h. */
#include "sim_disk.h"

#include "sim_check.h"
#include "sim_node.h"
#include "sim_promise.h"
#include "sim_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { QUEUE_BITS = 3 };
_Static_assert((int)DISK_QUEUES_COUNT <= 1 << QUEUE_BITS, "an event names its queue");

static const char *const kind_names[] = {
    "log write",        "identity write",   "checkpoint", "log read", "reservation for the map",
    "scrub of the log", "scrub of the map", "fetch"};

static void on_run(void *target, uint64_t number);

uint64_t sim_disk_us(const struct sim_node *node)
{
    struct sim *sim = node->sim;
    uint64_t times = sim_is_slow(sim, node->number) ? sim->knobs.slow_disk_times : 1;
    return sim_around(sim, sim->knobs.disk_us * times);
}

static struct sim_job *first_not_run(struct sim_disk *disk, int queue)
{
    struct sim_job *job = disk->queues[queue];
    while (job != NULL && job->was_run) {
        job = job->next;
    }
    return job;
}

/* The next job that is not done will be, some time. */
static void plan(struct sim_node *node, int queue)
{
    struct sim *sim = node->sim;
    struct sim_disk *disk = &node->disk;
    disk->numbers[queue]++;
    if (first_not_run(disk, queue) == NULL) {
        return;
    }
    uint64_t in_us = sim_disk_us(node);
    if (disk->hangs_until_us > sim->now_us) {
        in_us += disk->hangs_until_us - sim->now_us;
    }
    sim_after(sim, in_us, on_run, node, disk->numbers[queue] << QUEUE_BITS | (uint64_t)queue);
}

static void on_report(void *target, uint64_t incarnation)
{
    struct sim_node *node = target;
    if (node->incarnation != incarnation) {
        return;
    }
    for (int queue = 0; queue < DISK_QUEUES_COUNT; queue++) {
        for (struct sim_job *job = node->disk.queues[queue]; job != NULL; job = job->next) {
            if (job->was_run && !job->is_due) {
                job->is_due = true; /* one for each of these events */
                sim_node_wake(node);
                return;
            }
        }
    }
}

/* What a full disk has no room for. Hard states and compaction fit in the reserve. */
static bool needs_room(const struct disk_job *job)
{
    return job->kind == DISK_JOB_CHECKPOINT || job->kind == DISK_JOB_MAP_ROOM ||
           (job->kind == DISK_JOB_LOG_WRITE && job->entries_count > 0);
}

/* A small map has no room for what a snapshot that is being sent keeps from being used again; and free pages
 * need not lie side by side, as a large value wants them (seeds 1795699385492, 1795701437975). */
static bool may_find_no_room(const struct sim_node *node, const struct disk_job *job)
{
    struct map_usage usage;
    struct map_room wanted;
    if (job->kind != DISK_JOB_CHECKPOINT || job->status != STORAGE_FULL) {
        return false;
    }
    map_get_usage(job->map, &usage);
    map_get_room_wanted(job->map, &wanted);
    uint64_t run_bytes = wanted.run_pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return sim_stream_reads(node, job->map) || run_bytes > usage.map_bytes / 10;
}

static void run(struct sim_node *node, struct disk_job *job)
{
    struct sim_disk *disk = &node->disk;
    bool fails = disk->next_fails && disk->failing_kind == job->kind;
    if (disk->full && needs_room(job)) {
        job->status = STORAGE_FULL;
        job->space.low = true;
        (void)snprintf(job->error.text, sizeof job->error.text, "the simulated disk is full");
        sim_trace(node->sim, node, SIM_TRACE_STORY, "a %s finds no room", kind_names[job->kind]);
        return;
    }
    bool done = !fails || (disk->failing_write_is_done && job->kind != DISK_JOB_LOG_READ);
    if (done) {
        disk_job_run(job);
        if (may_find_no_room(node, job)) {
            sim_trace(node->sim, node, SIM_TRACE_STORY, "a checkpoint finds no room");
            return;
        }
        if (job->status != STORAGE_OK) {
            sim_fail(node->sim, SIM_CORRECTNESS, "a %s of node %" PRIu64 " failed: %s", kind_names[job->kind],
                     node->id, job->error.text);
        }
        job->space.low = job->space.low || disk->full;
        if (job->kind == DISK_JOB_LOG_WRITE) {
            sim_promise_written(node, job);
        } else if (job->kind == DISK_JOB_CHECKPOINT && job->status == STORAGE_OK) {
            sim_check_checkpoint(node, map_checkpoint_index(job->checkpoint));
        }
    }
    if (fails) {
        sim_trace(node->sim, node, SIM_TRACE_STORY, "a %s fails, and was %s", kind_names[job->kind],
                  done ? "done" : "not done");
        disk->next_fails = false;
        disk->has_failed = true;
        job->status = STORAGE_FAILED;
        (void)snprintf(job->error.text, sizeof job->error.text, "the simulated disk failed");
    }
}

static void on_run(void *target, uint64_t number)
{
    struct sim_node *node = target;
    struct sim *sim = node->sim;
    int queue = (int)(number & ((1 << QUEUE_BITS) - 1));
    if (number >> QUEUE_BITS != node->disk.numbers[queue] || node->state == SIM_NODE_DOWN) {
        return;
    }
    bool paused = node->state == SIM_NODE_PAUSED;
    if (paused && sim_random_chance(&sim->random, 250)) {
        return; /* it goes on with it when it goes on itself; else the kernel has it all already */
    }
    if (node->disk.hangs_until_us > sim->now_us) {
        plan(node, queue);
        return;
    }
    struct sim_job *job = first_not_run(&node->disk, queue);
    if (job == NULL) {
        return;
    }
    job->was_run = true;
    run(node, job->job);
    sim_note(sim, 1, node->id << 8 | (uint64_t)job->job->kind);
    sim_trace(sim, node, SIM_TRACE_MESSAGES, "%s done: %u entries", kind_names[job->job->kind],
              job->job->entries_count);
    sim_after(sim, sim_around(sim, sim->knobs.report_us), on_report, node, node->incarnation);
    if (!paused) {
        plan(node, queue);
    }
}

void sim_disk_submit(struct sim_node *node, struct disk_job *job)
{
    struct sim_job *queued = sim_allocate(sizeof *queued);
    queued->job = job;
    int queue = (int)job->queue;
    bool idle = first_not_run(&node->disk, queue) == NULL;
    struct sim_job **link = &node->disk.queues[queue];
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = queued;
    if (idle && !node->silent) {
        plan(node, queue);
    }
}

static void take_first(struct sim_node *node, int queue)
{
    struct sim_job *first = node->disk.queues[queue];
    node->disk.queues[queue] = first->next;
    replica_on_disk_job_done(node->replica, first->job);
    free(first);
}

void sim_disk_report(struct sim_node *node)
{
    for (int queue = 0; queue < DISK_QUEUES_COUNT; queue++) {
        while (node->disk.queues[queue] != NULL && node->disk.queues[queue]->is_due) {
            if (node->disk.queues[queue]->job->status == STORAGE_FAILED) {
                node->disk.failure_was_told = true;
            }
            take_first(node, queue);
        }
    }
}

bool sim_disk_has_input(const struct sim_node *node)
{
    for (int queue = 0; queue < DISK_QUEUES_COUNT; queue++) {
        if (node->disk.queues[queue] != NULL && node->disk.queues[queue]->is_due) {
            return true;
        }
    }
    return false;
}

void sim_disk_end(struct sim_node *node)
{
    for (int queue = 0; queue < DISK_QUEUES_COUNT; queue++) {
        node->disk.numbers[queue]++;
        while (node->disk.queues[queue] != NULL) {
            struct sim_job *first = node->disk.queues[queue];
            if (!first->was_run) {
                first->job->status = STORAGE_FAILED;
            }
            take_first(node, queue);
        }
    }
}

void sim_disk_hang(struct sim_node *node, uint64_t for_us)
{
    uint64_t until_us = node->sim->now_us + for_us;
    if (until_us > node->disk.hangs_until_us) {
        node->disk.hangs_until_us = until_us;
    }
}

void sim_disk_resume(struct sim_node *node)
{
    for (int queue = 0; queue < DISK_QUEUES_COUNT; queue++) {
        plan(node, queue);
    }
}
