/* floor_disk.h: the log of one process of the floor model: one LMDB commit per disk job, on a thread of its
 * own.
 *
 * The same LMDB work as kvd's log and nothing else: MDB_NOTLS, default sync, integer keys, MDB_APPEND, one
 * put per entry; whatever waits when a commit ends is the next job. Old entries are dropped in the same
 * transaction, so that the file stays bounded. The thread reports by eventfd. A failed commit aborts the
 * process.
 */
#ifndef FLOOR_DISK_H
#define FLOOR_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct floor_disk_options {
    const char *directory; /* exists */
    bool no_sync;          /* MDB_NOSYNC: what the model costs without the disk */
    uint64_t tail_bytes;   /* entries kept; older ones are dropped */
};

struct floor_disk;

/* Opens the environment and starts the thread. Exits with a message when it cannot. */
struct floor_disk *floor_disk_create(const struct floor_disk_options *options);
/* Becomes readable after each commit; floor_disk_durable_index() clears it. */
int floor_disk_eventfd(const struct floor_disk *disk);
/* Queues a copy of an entry; indexes go up by one. Leaves the loop's thread at floor_disk_submit(). */
void floor_disk_append(struct floor_disk *disk, uint64_t index, const uint8_t *bytes, size_t size);
/* Hands what was queued to the thread. */
void floor_disk_submit(struct floor_disk *disk);
/* The last index that is on the disk. */
uint64_t floor_disk_durable_index(struct floor_disk *disk);

#endif
