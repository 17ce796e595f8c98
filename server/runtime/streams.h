/* streams.h: snapshots on their way: a thread and a connection of its own for each (design section 4).
 *
 *   sender (leader)                              receiver (follower)
 *   opens the map's snapshot, dials the bus
 *   HELLO (snapshot) -------------------------->                          the handshake of the bus (bus.h)
 *                    <-------------------------- HELLO, or REFUSED
 *   PROOF, when there is a secret ------------->
 *   SNAPSHOT_BEGIN ---------------------------->  the replica decides whether it is wanted (bus_guest.c)
 *   chunks (map_chunk.h) ---------------------->  loaded beside the live map
 *                    <-------------------------- SNAPSHOT_END: all of it is on the disk, or why not
 *
 * So neither heartbeats nor checkpoints wait behind it. A stream ends when nothing moves, or too slowly
 * (stream_wire.h), when it pins too many pages of the map, when its socket breaks, and when it is not wanted
 * any more; nothing of it is resumed.
 *
 * A backup is such a stream as well, to a client, on the connection on which it asked (stream_backup.c).
 *
 * All calls are made by the loop's thread.
 */
#ifndef STREAMS_H
#define STREAMS_H

#include "data_directory.h"
#include "log_line.h"
#include "replica.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STREAM_RATE_BYTES_MIN = 64 * 1024 }; /* what rate_bytes_max is at least, in kvd */

struct streams_options {
    uint64_t node_id;
    const uint8_t *secret; /* borrowed; secret_bytes 0: none */
    size_t secret_bytes;
    uint64_t rate_bytes_max;   /* per second, of each stream that is sent, backups too */
    uint64_t pinned_bytes_max; /* of pages that a stream keeps from being used again */
    uint64_t data_map_bytes;
    struct data_directory *directory; /* borrowed */
    const struct log *log;            /* borrowed */
};

struct streams;

/* NULL, with errno set, when the system gives no eventfd. */
struct streams *streams_create(const struct streams_options *options);
/* None is under way. NULL is allowed. */
void streams_destroy(struct streams *streams);

/* replica_io.send_snapshot */
void streams_send(struct streams *streams, const struct snapshot_order *order);
/* Takes over the socket of one that was accepted; `rest` are bytes that have been read from it. */
void streams_receive(struct streams *streams, int file, const void *rest, size_t rest_size,
                     struct raft_entry_id upto, uint64_t generation);
/* replica_io.start_backup: on the socket of a client, which is taken over. */
void streams_back_up(struct streams *streams, int file, const struct backup_order *order);
/* Removes what is left of other maps than this one, on a thread. */
void streams_clean(struct streams *streams, uint64_t generation);

/* Readable while there is news. */
int streams_file(const struct streams *streams);
/* Tells the replica what has happened. */
void streams_report(struct streams *streams, struct replica *replica);
/* Gives up what the replica does not want any more, and says how far the others are. Once per turn. */
void streams_check(struct streams *streams, const struct replica *replica, uint64_t now_ms);
/* Gives up all; streams_report() until none is under way. */
void streams_abort(struct streams *streams);
/* How far the snapshots are: those that are sent, with the members that get them; the one that is loaded. */
void streams_fill_view(const struct streams *streams, struct node_view *view);
bool streams_are_idle(const struct streams *streams);

#endif
