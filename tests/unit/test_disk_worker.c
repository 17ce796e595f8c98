/* test_disk_worker.c: jobs are done elsewhere, and come back in order. The jobs here do nothing but tell that
 * they ran. */
#include "disk_worker.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { JOBS = 3000 };

/* What the jobs share with the test, by way of job->log, which nobody else looks at here. */
struct probe {
    pthread_mutex_t mutex;
    uint64_t last_started[DISK_QUEUES_COUNT];
    unsigned out_of_order;
    bool on_this_thread;
    pthread_t tester;
    sem_t gate; /* jobs with sequence 0 wait here */
};

static void run(struct disk_job *job)
{
    struct probe *probe = (struct probe *)(void *)job->log;

    if (job->sequence == 0) {
        assert_int_equal(sem_wait(&probe->gate), 0);
        return;
    }
    pthread_mutex_lock(&probe->mutex);
    probe->out_of_order += probe->last_started[job->queue] + 1 != job->sequence;
    probe->last_started[job->queue] = job->sequence;
    probe->on_this_thread |= pthread_equal(probe->tester, pthread_self()) != 0;
    pthread_mutex_unlock(&probe->mutex);
}

static void set_up(struct probe *probe)
{
    memset(probe, 0, sizeof *probe);
    probe->tester = pthread_self();
    assert_int_equal(pthread_mutex_init(&probe->mutex, NULL), 0);
    assert_int_equal(sem_init(&probe->gate, 0, 0), 0);
}

static void submit(struct disk_workers *workers, struct probe *probe, enum disk_queue queue,
                   uint64_t sequence)
{
    struct disk_job *job = calloc(1, sizeof *job);

    job->log = (struct log_store *)(void *)probe;
    job->queue = queue;
    job->sequence = sequence;
    disk_workers_submit(workers, job);
}

/* Waits until something is done. */
static struct disk_job *take(struct disk_workers *workers)
{
    struct pollfd file = {disk_workers_file(workers), POLLIN, 0};

    assert_int_equal(poll(&file, 1, 30000), 1);
    struct disk_job *jobs = disk_workers_take_done(workers);

    assert_non_null(jobs);
    return jobs;
}

static void jobs_of_a_queue_run_and_return_in_order_on_another_thread(void **state)
{
    struct disk_workers *workers = disk_workers_create(run);
    struct probe probe;
    uint64_t returned[DISK_QUEUES_COUNT] = {0};
    size_t count = 0;

    (void)state;
    set_up(&probe);
    assert_non_null(workers);
    for (uint64_t i = 1; i <= JOBS; i++) {
        for (int queue = 0; queue < DISK_QUEUES_COUNT; queue++) {
            submit(workers, &probe, (enum disk_queue)queue, i);
        }
    }
    assert_int_equal(disk_workers_jobs_out(workers), JOBS * DISK_QUEUES_COUNT);
    while (count < JOBS * DISK_QUEUES_COUNT) {
        struct disk_job *job = take(workers);

        while (job != NULL) {
            struct disk_job *next = job->next;

            assert_int_equal(job->sequence, ++returned[job->queue]);
            free(job);
            count++;
            job = next;
        }
    }
    assert_int_equal(disk_workers_jobs_out(workers), 0);
    assert_null(disk_workers_take_done(workers));
    disk_workers_destroy(workers);
    assert_int_equal(probe.out_of_order, 0);
    assert_false(probe.on_this_thread);
}

static void a_job_that_hangs_does_not_hold_up_the_other_queues(void **state)
{
    struct disk_workers *workers = disk_workers_create(run);
    struct probe probe;

    (void)state;
    set_up(&probe);
    submit(workers, &probe, DISK_QUEUE_LOG, 0);
    submit(workers, &probe, DISK_QUEUE_READ, 1);
    struct disk_job *job = take(workers);

    assert_int_equal(job->queue, DISK_QUEUE_READ);
    assert_null(job->next);
    free(job);
    assert_int_equal(disk_workers_jobs_out(workers), 1);
    assert_int_equal(sem_post(&probe.gate), 0);
    job = take(workers);
    assert_int_equal(job->queue, DISK_QUEUE_LOG);
    free(job);
    disk_workers_destroy(workers);
}

static void one_at_a_time_no_wake_up_is_lost(void **state)
{
    struct disk_workers *workers = disk_workers_create(run);
    struct probe probe;

    (void)state;
    set_up(&probe);
    for (uint64_t i = 1; i <= JOBS; i++) {
        submit(workers, &probe, DISK_QUEUE_MAP, i);
        free(take(workers));
    }
    disk_workers_destroy(workers);
    assert_int_equal(probe.last_started[DISK_QUEUE_MAP], JOBS);
}

static void the_end_waits_for_what_was_submitted(void **state)
{
    struct disk_workers *workers = disk_workers_create(run);
    struct probe probe;
    struct disk_job jobs[10];

    (void)state;
    set_up(&probe);
    memset(jobs, 0, sizeof jobs);
    for (uint64_t i = 0; i < 10; i++) {
        jobs[i].log = (struct log_store *)(void *)&probe;
        jobs[i].queue = DISK_QUEUE_LOG;
        jobs[i].sequence = i + 1;
        disk_workers_submit(workers, &jobs[i]);
    }
    disk_workers_destroy(workers);
    assert_int_equal(probe.last_started[DISK_QUEUE_LOG], 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_of_a_queue_run_and_return_in_order_on_another_thread),
        cmocka_unit_test(a_job_that_hangs_does_not_hold_up_the_other_queues),
        cmocka_unit_test(one_at_a_time_no_wake_up_is_lost),
        cmocka_unit_test(the_end_waits_for_what_was_submitted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
