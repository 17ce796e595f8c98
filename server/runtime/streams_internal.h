/* streams_internal.h: what the stream*.c files share.
 *
 * streams.c          the threads, and their news
 * stream_sender.c    a thread that sends
 * stream_backup.c    a thread that streams a backup to a client
 * stream_pace.c      how fast, and how long, both may
 * stream_receiver.c  the thread that loads
 * stream_wire.c      sockets for both
 */
#ifndef STREAMS_INTERNAL_H
#define STREAMS_INTERNAL_H

#include "stream_wire.h"
#include "streams.h"

#include <pthread.h>

enum stream_news_kind { STREAM_OPENED, STREAM_SENT, STREAM_LOADED, STREAM_NOT_LOADED, STREAM_BACKED_UP };

struct stream_news {
    struct stream_news *next;
    enum stream_news_kind kind;
    struct stream *stream;
    struct raft_entry_id upto;
    bool ok;
    bool met_damage; /* in our own map */
    char reason[200];
    struct map_meta meta; /* LOADED */
};

/* One stream and its thread. */
struct stream {
    struct streams *owner;
    struct stream *next;
    pthread_t thread;
    struct stream_wire wire;
    atomic_ullong keys_count, bytes_count; /* so far */
    atomic_ullong keys_total;              /* sending: of how many; 0: not known yet */
    bool met_damage;                       /* sending, a backup: in our own map */
    uint64_t said_ms;                      /* loop: when it was last said how far it is */
    /* sending */
    bool sends;
    struct snapshot_order order;
    /* a backup */
    bool is_backup;
    bool is_torn; /* a piece was sent in part */
    struct backup_order backup;
    /* receiving */
    char *map_path;
    struct raft_entry_id upto;
};

struct streams {
    struct streams_options options;
    struct stream *first; /* under way, or not reported yet */
    bool cleaning;        /* `cleaner` is to be joined */
    pthread_t cleaner;
    uint64_t clean_generation;
    int event_file;
    pthread_mutex_t mutex; /* of the list below */
    struct stream_news *news_first, *news_last;
};

/* From a stream's thread; takes over the news. The last one of a stream is any but OPENED: its thread ends
 * then. */
void streams_tell(struct stream *stream, struct stream_news *news);
struct stream_news *streams_make_news(struct stream *stream, enum stream_news_kind kind);
/* Our own map could not be read. Returns false. */
bool streams_fail_reading(struct stream *stream, enum storage_status status,
                          const struct storage_error *error);

void *stream_sender_run(void *stream);
void *stream_receiver_run(void *stream);
void *stream_backup_run(void *stream);

#endif
