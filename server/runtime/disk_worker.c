/* disk_worker.c: threads that do disk jobs. A mutex guards each queue, another one the list of finished jobs.
 */
#include "disk_worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct job_list {
    struct disk_job *first, *last;
};

struct disk_worker {
    struct disk_workers *owner;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* of the two below */
    pthread_cond_t wake;
    struct job_list waiting;
    bool stopping;
};

struct disk_workers {
    void (*run)(struct disk_job *job);
    struct disk_worker workers[DISK_QUEUES_COUNT];
    pthread_mutex_t done_mutex; /* of `done` */
    struct job_list done;
    int event_file;
    size_t jobs_out; /* the loop's thread only */
};

static void append(struct job_list *list, struct disk_job *job)
{
    job->next = NULL;
    if (list->first == NULL) {
        list->first = job;
    } else {
        list->last->next = job;
    }
    list->last = job;
}

static void check(int result)
{
    if (result != 0) {
        abort(); /* wrong use of a mutex or condition: ours */
    }
}

/* The next job, or NULL when there is none and the worker shall stop. */
static struct disk_job *wait_for_job(struct disk_worker *worker)
{
    check(pthread_mutex_lock(&worker->mutex));
    while (worker->waiting.first == NULL && !worker->stopping) {
        check(pthread_cond_wait(&worker->wake, &worker->mutex));
    }
    struct disk_job *job = worker->waiting.first;

    if (job != NULL) {
        worker->waiting.first = job->next;
    }
    check(pthread_mutex_unlock(&worker->mutex));
    return job;
}

static void give_back(struct disk_workers *workers, struct disk_job *job)
{
    uint64_t one = 1;
    bool first;

    check(pthread_mutex_lock(&workers->done_mutex));
    first = workers->done.first == NULL;
    append(&workers->done, job);
    check(pthread_mutex_unlock(&workers->done_mutex));
    if (first) {
        ssize_t written = write(workers->event_file, &one, sizeof one);

        assert(written == (ssize_t)sizeof one);
    }
}

static void *work(void *context)
{
    struct disk_worker *worker = context;
    struct disk_job *job;

    while ((job = wait_for_job(worker)) != NULL) {
        worker->owner->run(job);
        give_back(worker->owner, job);
    }
    return NULL;
}

struct disk_workers *disk_workers_create(void (*run)(struct disk_job *job))
{
    static const char *const names[DISK_QUEUES_COUNT] = {"kvd-disk-log", "kvd-disk-map", "kvd-disk-read",
                                                         "kvd-fetch-1",  "kvd-fetch-2",  "kvd-fetch-3",
                                                         "kvd-fetch-4"};
    struct disk_workers *workers = calloc(1, sizeof *workers);

    if (workers == NULL) {
        abort();
    }
    workers->run = run;
    check(pthread_mutex_init(&workers->done_mutex, NULL));
    for (size_t i = 0; i < DISK_QUEUES_COUNT; i++) {
        workers->workers[i].owner = workers;
        check(pthread_mutex_init(&workers->workers[i].mutex, NULL));
        check(pthread_cond_init(&workers->workers[i].wake, NULL));
    }
    workers->event_file = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int problem = workers->event_file < 0 ? errno : 0;

    for (size_t i = 0; i < DISK_QUEUES_COUNT && problem == 0; i++) {
        struct disk_worker *worker = &workers->workers[i];

        problem = pthread_create(&worker->thread, NULL, work, worker);
        worker->started = problem == 0;
        if (worker->started) {
            (void)pthread_setname_np(worker->thread, names[i]);
        }
    }
    if (problem != 0) {
        disk_workers_destroy(workers);
        errno = problem;
        return NULL;
    }
    return workers;
}

void disk_workers_destroy(struct disk_workers *workers)
{
    if (workers == NULL) {
        return;
    }
    for (size_t i = 0; i < DISK_QUEUES_COUNT; i++) {
        struct disk_worker *worker = &workers->workers[i];

        if (worker->started) {
            check(pthread_mutex_lock(&worker->mutex));
            worker->stopping = true;
            check(pthread_cond_signal(&worker->wake));
            check(pthread_mutex_unlock(&worker->mutex));
            check(pthread_join(worker->thread, NULL));
        }
        check(pthread_cond_destroy(&worker->wake));
        check(pthread_mutex_destroy(&worker->mutex));
    }
    check(pthread_mutex_destroy(&workers->done_mutex));
    if (workers->event_file >= 0) {
        (void)close(workers->event_file);
    }
    free(workers);
}

void disk_workers_submit(struct disk_workers *workers, struct disk_job *job)
{
    assert((size_t)job->queue < DISK_QUEUES_COUNT);
    struct disk_worker *worker = &workers->workers[job->queue];

    check(pthread_mutex_lock(&worker->mutex));
    bool idle = worker->waiting.first == NULL;

    append(&worker->waiting, job);
    check(pthread_mutex_unlock(&worker->mutex));
    if (idle) {
        check(pthread_cond_signal(&worker->wake));
    }
    workers->jobs_out++;
}

int disk_workers_file(const struct disk_workers *workers)
{
    return workers->event_file;
}

struct disk_job *disk_workers_take_done(struct disk_workers *workers)
{
    uint64_t count;
    ssize_t got =
        read(workers->event_file, &count, sizeof count); /* before the list: else a wake-up could be lost */

    (void)got; /* nothing to read is fine */
    check(pthread_mutex_lock(&workers->done_mutex));
    struct disk_job *jobs = workers->done.first;

    workers->done.first = NULL;
    check(pthread_mutex_unlock(&workers->done_mutex));
    for (const struct disk_job *job = jobs; job != NULL; job = job->next) {
        assert(workers->jobs_out > 0);
        workers->jobs_out--;
    }
    return jobs;
}

size_t disk_workers_jobs_out(const struct disk_workers *workers)
{
    return workers->jobs_out;
}
