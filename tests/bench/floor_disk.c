/* floor_disk.c: see floor_disk.h. The queue and the durable index are under the mutex; the environment and
 * the list of kept entries belong to the thread, `gathering` to the loop. */
#include "floor_disk.h"

#include <assert.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { KEPT_ENTRIES_MAX = 1 << 20 }; /* a power of two; far more than any tail holds */

static const size_t MAP_BYTES = (size_t)4 << 30;

struct queued_entry {
    struct queued_entry *next;
    uint64_t index;
    size_t size;
    uint8_t bytes[];
};

struct queue {
    struct queued_entry *first;
    struct queued_entry **end;
};

struct floor_disk {
    MDB_env *environment;
    MDB_dbi entries;
    int eventfd;
    uint64_t tail_bytes;

    struct queue gathering;

    pthread_mutex_t mutex;
    pthread_cond_t submitted;
    struct queue queue;
    uint64_t durable_index;

    uint64_t
        first_index; /* of the kept entries: [first_index, last_index], sizes by index modulo the maximum */
    uint64_t last_index;
    uint64_t kept_bytes;
    size_t *kept_sizes;
};

static void check(int result, const char *what)
{
    if (result != 0) {
        fprintf(stderr, "floor: %s: %s\n", what, mdb_strerror(result));
        abort();
    }
}

static void queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
}

/* Moves everything from one queue to the end of another. */
static void queue_move(struct queue *from, struct queue *to)
{
    if (from->first != NULL) {
        *to->end = from->first;
        to->end = from->end;
        queue_init(from);
    }
}

static void disk_put(struct floor_disk *disk, MDB_txn *transaction, struct queued_entry *entry)
{
    MDB_val key = {.mv_size = sizeof entry->index, .mv_data = &entry->index};
    MDB_val value = {.mv_size = entry->size, .mv_data = entry->bytes};
    check(mdb_put(transaction, disk->entries, &key, &value, MDB_APPEND), "put");
    assert(entry->index == disk->last_index + 1);
    disk->last_index = entry->index;
    disk->kept_sizes[entry->index % KEPT_ENTRIES_MAX] = entry->size;
    disk->kept_bytes += entry->size;
}

static void disk_drop_old(struct floor_disk *disk, MDB_txn *transaction)
{
    while (disk->kept_bytes > disk->tail_bytes ||
           disk->last_index - disk->first_index >= KEPT_ENTRIES_MAX - 1) {
        MDB_val key = {.mv_size = sizeof disk->first_index, .mv_data = &disk->first_index};
        check(mdb_del(transaction, disk->entries, &key, NULL), "delete");
        disk->kept_bytes -= disk->kept_sizes[disk->first_index % KEPT_ENTRIES_MAX];
        disk->first_index++;
    }
}

static void disk_run_job(struct floor_disk *disk, struct queue *job)
{
    MDB_txn *transaction = NULL;
    check(mdb_txn_begin(disk->environment, NULL, 0, &transaction), "begin");
    while (job->first != NULL) {
        struct queued_entry *entry = job->first;
        job->first = entry->next;
        disk_put(disk, transaction, entry);
        free(entry);
    }
    disk_drop_old(disk, transaction);
    check(mdb_txn_commit(transaction), "commit");
}

static void *disk_thread(void *context)
{
    struct floor_disk *disk = context;
    for (;;) {
        struct queue job;
        queue_init(&job);
        pthread_mutex_lock(&disk->mutex);
        while (disk->queue.first == NULL) {
            pthread_cond_wait(&disk->submitted, &disk->mutex);
        }
        queue_move(&disk->queue, &job);
        pthread_mutex_unlock(&disk->mutex);

        disk_run_job(disk, &job);

        pthread_mutex_lock(&disk->mutex);
        disk->durable_index = disk->last_index;
        pthread_mutex_unlock(&disk->mutex);
        uint64_t one = 1;
        ssize_t written = write(disk->eventfd, &one, sizeof one);
        assert(written == sizeof one);
    }
    return NULL;
}

struct floor_disk *floor_disk_create(const struct floor_disk_options *options)
{
    struct floor_disk *disk = calloc(1, sizeof *disk);
    assert(disk != NULL);
    unsigned flags = MDB_NOTLS | (options->no_sync ? MDB_NOSYNC : 0U);
    MDB_txn *transaction = NULL;
    check(mdb_env_create(&disk->environment), "create");
    check(mdb_env_set_mapsize(disk->environment, MAP_BYTES), "map size");
    check(mdb_env_set_maxdbs(disk->environment, 1), "databases");
    check(mdb_env_open(disk->environment, options->directory, flags, 0644), options->directory);
    check(mdb_txn_begin(disk->environment, NULL, 0, &transaction), "begin");
    check(mdb_dbi_open(transaction, "entries", MDB_CREATE | MDB_INTEGERKEY, &disk->entries), "open");
    check(mdb_txn_commit(transaction), "commit");

    disk->tail_bytes = options->tail_bytes;
    disk->first_index = 1;
    disk->kept_sizes = calloc(KEPT_ENTRIES_MAX, sizeof *disk->kept_sizes);
    disk->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert(disk->kept_sizes != NULL && disk->eventfd >= 0);
    queue_init(&disk->gathering);
    queue_init(&disk->queue);
    pthread_mutex_init(&disk->mutex, NULL);
    pthread_cond_init(&disk->submitted, NULL);
    pthread_t thread;
    check(pthread_create(&thread, NULL, disk_thread, disk), "thread");
    pthread_detach(thread);
    return disk;
}

int floor_disk_eventfd(const struct floor_disk *disk)
{
    return disk->eventfd;
}

void floor_disk_append(struct floor_disk *disk, uint64_t index, const uint8_t *bytes, size_t size)
{
    struct queued_entry *entry = malloc(sizeof *entry + size);
    assert(entry != NULL);
    entry->next = NULL;
    entry->index = index;
    entry->size = size;
    memcpy(entry->bytes, bytes, size);
    *disk->gathering.end = entry;
    disk->gathering.end = &entry->next;
}

void floor_disk_submit(struct floor_disk *disk)
{
    if (disk->gathering.first == NULL) {
        return;
    }
    pthread_mutex_lock(&disk->mutex);
    queue_move(&disk->gathering, &disk->queue);
    pthread_cond_signal(&disk->submitted);
    pthread_mutex_unlock(&disk->mutex);
}

uint64_t floor_disk_durable_index(struct floor_disk *disk)
{
    uint64_t count;
    ssize_t got = read(disk->eventfd, &count, sizeof count);
    (void)got; /* nothing to clear is fine */
    pthread_mutex_lock(&disk->mutex);
    uint64_t index = disk->durable_index;
    pthread_mutex_unlock(&disk->mutex);
    return index;
}
