/* replica_cluster_disks.c: the disk queues of the nodes of replica_cluster. */
#include "replica_cluster_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void cluster_hold_disk(struct cluster_node *node, enum disk_queue queue, bool hold)
{
    node->held[queue] = hold;
}

void cluster_hold_reports(struct cluster_node *node, enum disk_queue queue, bool hold)
{
    node->held_report[queue] = hold;
}

struct disk_job *cluster_first_job(struct cluster_node *node, enum disk_queue queue)
{
    return node->jobs[queue] == NULL ? NULL : node->jobs[queue]->job;
}

static bool needs_room(const struct disk_job *job)
{
    return job->kind == DISK_JOB_CHECKPOINT || job->kind == DISK_JOB_MAP_ROOM || job->entries_count > 0 ||
           job->installs;
}

static void run_one(const struct cluster_node *node, struct cluster_job *queued)
{
    assert_false(queued->was_run);
    queued->was_run = true;
    if (node->room == CLUSTER_DISK_FULL && needs_room(queued->job)) {
        queued->job->status = STORAGE_FULL;
    } else {
        disk_job_run(queued->job);
    }
    queued->job->space.low = queued->job->space.low || node->room != CLUSTER_DISK_ROOMY;
}

bool cluster_run_job(struct cluster_node *node, enum disk_queue queue, enum storage_status status)
{
    struct cluster_job *queued = node->jobs[queue];
    while (queued != NULL && queued->was_run) {
        queued = queued->next;
    }
    if (queued == NULL) {
        return false;
    }
    if (status == STORAGE_OK) {
        run_one(node, queued);
    } else {
        queued->was_run = true;
        queued->job->status = status;
        queued->job->space.low = status == STORAGE_FULL;
        (void)snprintf(queued->job->error.text, sizeof queued->job->error.text, "made to fail");
    }
    return true;
}

bool cluster_report_job(struct cluster_node *node, enum disk_queue queue)
{
    struct cluster_job *queued = node->jobs[queue];
    if (queued == NULL || !queued->was_run) {
        return false;
    }
    node->jobs[queue] = queued->next;
    replica_set_time(node->replica, node->cluster->now_ms, cluster_node_wall_ms(node));
    replica_on_disk_job_done(node->replica, queued->job);
    free(queued);
    node->has_input = true;
    return true;
}

void cluster_move_disks(struct cluster_node *node)
{
    for (int queue = 0; queue < DISK_QUEUES_COUNT; queue++) {
        while (node->jobs[queue] != NULL) {
            struct cluster_job *queued = node->jobs[queue];
            if (!queued->was_run && !node->held[queue] && queued->run_ms <= node->cluster->now_ms) {
                run_one(node, queued);
            }
            if (!queued->was_run || node->held_report[queue] || queued->report_ms > node->cluster->now_ms) {
                break;
            }
            (void)cluster_report_job(node, (enum disk_queue)queue);
        }
    }
}

bool cluster_is_job_due(const struct cluster_node *node, uint64_t *next_ms)
{
    for (int queue = 0; queue < DISK_QUEUES_COUNT; queue++) {
        const struct cluster_job *queued = node->jobs[queue];
        if (queued == NULL || (!queued->was_run && node->held[queue]) ||
            (queued->was_run && node->held_report[queue])) {
            continue;
        }
        uint64_t due_ms = queued->was_run ? queued->report_ms : queued->run_ms;
        if (due_ms <= node->cluster->now_ms) {
            return true;
        }
        *next_ms = due_ms < *next_ms ? due_ms : *next_ms;
    }
    return false;
}
