/* streams.c: the threads of streams, and the way back of what they have to tell. */
#include "streams_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PROGRESS_INTERVAL_MS = 5000 };

static void check(int result)
{
    if (result != 0) {
        abort(); /* wrong use of a mutex or a thread: ours */
    }
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);

    if (memory == NULL) {
        abort();
    }
    return memory;
}

struct streams *streams_create(const struct streams_options *options)
{
    struct streams *streams = allocate(sizeof *streams);

    streams->options = *options;
    streams->event_file = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (streams->event_file < 0) {
        free(streams);
        return NULL;
    }
    check(pthread_mutex_init(&streams->mutex, NULL));
    return streams;
}

static void wait_for_cleaner(struct streams *streams)
{
    if (streams->cleaning) {
        check(pthread_join(streams->cleaner, NULL));
        streams->cleaning = false;
    }
}

void streams_destroy(struct streams *streams)
{
    if (streams == NULL) {
        return;
    }
    wait_for_cleaner(streams);
    (void)close(streams->event_file);
    check(pthread_mutex_destroy(&streams->mutex));
    free(streams);
}

/* ---- news ------------------------------------------------------------------------------------ */

struct stream_news *streams_make_news(struct stream *stream, enum stream_news_kind kind)
{
    struct stream_news *news = allocate(sizeof *news);

    news->kind = kind;
    news->stream = stream;
    news->upto = stream->upto;
    news->met_damage = stream->met_damage;
    (void)snprintf(news->reason, sizeof news->reason, "%s", stream->wire.problem);
    return news;
}

bool streams_fail_reading(struct stream *stream, enum storage_status status,
                          const struct storage_error *error)
{
    stream->met_damage = status == STORAGE_CORRUPT;
    return stream_wire_fail(&stream->wire, "%.190s", error->text);
}

void streams_tell(struct stream *stream, struct stream_news *news)
{
    struct streams *streams = stream->owner;
    const uint64_t one = 1;

    check(pthread_mutex_lock(&streams->mutex));
    if (streams->news_last == NULL) {
        streams->news_first = news;
    } else {
        streams->news_last->next = news;
    }
    streams->news_last = news;
    check(pthread_mutex_unlock(&streams->mutex));
    (void)!write(streams->event_file, &one, sizeof one); /* full: it is readable anyway */
}

static struct stream_news *take_news(struct streams *streams)
{
    uint64_t count;

    (void)!read(streams->event_file, &count, sizeof count);
    check(pthread_mutex_lock(&streams->mutex));
    struct stream_news *news = streams->news_first;

    streams->news_first = streams->news_last = NULL;
    check(pthread_mutex_unlock(&streams->mutex));
    return news;
}

static void end(struct stream *stream)
{
    struct stream **at = &stream->owner->first;

    check(pthread_join(stream->thread, NULL));
    while (*at != stream) {
        at = &(*at)->next;
    }
    *at = stream->next;
    stream_wire_close(&stream->wire);
    free(stream->map_path);
    free(stream);
}

static void report(struct stream_news *news, struct replica *replica)
{
    struct stream *stream = news->stream;
    uint64_t peer = stream->order.peer, backup = stream->backup.id;

    if (news->met_damage) {
        replica_on_map_damaged(replica, stream->is_backup ? stream->backup.map : stream->order.map,
                               news->reason);
    }
    if (news->kind != STREAM_OPENED) {
        end(stream);
    }
    switch (news->kind) {
    case STREAM_OPENED:
        replica_on_snapshot_opened(replica, peer, news->upto);
        break;
    case STREAM_SENT:
        replica_on_snapshot_sent(replica, peer, news->upto, news->ok, news->reason);
        break;
    case STREAM_LOADED:
        replica_on_snapshot_loaded(replica, &news->meta);
        break;
    case STREAM_NOT_LOADED:
        replica_on_snapshot_failed(replica, news->reason);
        break;
    case STREAM_BACKED_UP:
        replica_on_backup_ended(replica, backup, news->ok, news->upto, news->reason);
        break;
    }
}

void streams_report(struct streams *streams, struct replica *replica)
{
    struct stream_news *news = take_news(streams);

    while (news != NULL) {
        struct stream_news *next = news->next;

        report(news, replica);
        free(news);
        news = next;
    }
}

int streams_file(const struct streams *streams)
{
    return streams->event_file;
}

/* ---- threads --------------------------------------------------------------------------------- */

static void start(struct stream *stream, void *(*run)(void *))
{
    struct streams *streams = stream->owner;

    stream->next = streams->first;
    streams->first = stream;
    if (pthread_create(&stream->thread, NULL, run, stream) != 0) {
        abort(); /* without threads nothing else of this program works either */
    }
}

void streams_send(struct streams *streams, const struct snapshot_order *order)
{
    struct stream *stream = allocate(sizeof *stream);

    stream->owner = streams;
    stream->wire.file = -1;
    stream->sends = true;
    stream->order = *order;
    start(stream, stream_sender_run);
}

void streams_receive(struct streams *streams, int file, const void *rest, size_t rest_size,
                     struct raft_entry_id upto, uint64_t generation)
{
    struct stream *stream = allocate(sizeof *stream);

    wait_for_cleaner(streams); /* it would take the new map for a left-over */
    stream->owner = streams;
    stream->wire.file = file;
    stream->upto = upto;
    stream->map_path = strdup(data_directory_map_path(streams->options.directory, generation));
    if (stream->map_path == NULL) {
        abort();
    }
    byte_buffer_append(&stream->wire.input, rest, rest_size);
    start(stream, stream_receiver_run);
}

static void *clean(void *context)
{
    struct streams *streams = context;
    struct storage_error error;

    /* What cannot be removed now is at the next start. */
    (void)!data_directory_remove_other_maps(streams->options.directory, streams->clean_generation, &error);
    return NULL;
}

void streams_clean(struct streams *streams, uint64_t generation)
{
    wait_for_cleaner(streams);
    streams->clean_generation = generation;
    streams->cleaning = pthread_create(&streams->cleaner, NULL, clean, streams) == 0;
}

void streams_back_up(struct streams *streams, int file, const struct backup_order *order)
{
    struct stream *stream = allocate(sizeof *stream);

    stream->owner = streams;
    stream->wire.file = file;
    stream->is_backup = true;
    stream->backup = *order;
    start(stream, stream_backup_run);
}

/* ---- giving up ------------------------------------------------------------------------------- */

static void say_progress(struct stream *stream, uint64_t now_ms)
{
    struct log_fields fields = {0};

    if (stream->said_ms == 0) {
        stream->said_ms = now_ms;
    }
    if (now_ms - stream->said_ms < PROGRESS_INTERVAL_MS) {
        return;
    }
    stream->said_ms = now_ms;
    if (stream->sends) {
        log_fields_add_number(&fields, "to", stream->order.peer);
    } else if (stream->is_backup) {
        log_fields_add_number(&fields, "backup", stream->backup.id);
    }
    log_fields_add_number(&fields, "keys", atomic_load(&stream->keys_count));
    log_fields_add_number(&fields, "mib", atomic_load(&stream->bytes_count) >> 20);
    log_event(stream->owner->options.log, REPLICA_LOG_INFO,
              stream->sends       ? "snapshot-being-sent"
              : stream->is_backup ? "backup-being-sent"
                                  : "snapshot-being-loaded",
              fields.text);
}

void streams_check(struct streams *streams, const struct replica *replica, uint64_t now_ms)
{
    for (struct stream *stream = streams->first; stream != NULL; stream = stream->next) {
        if (!stream->sends && !stream->is_backup && !replica_wants_snapshot_still(replica)) {
            atomic_store(&stream->wire.aborted, true);
        }
        say_progress(stream, now_ms);
    }
}

void streams_abort(struct streams *streams)
{
    for (struct stream *stream = streams->first; stream != NULL; stream = stream->next) {
        atomic_store(&stream->wire.aborted, true);
    }
}

static void fill_member(const struct stream *stream, struct node_view *view)
{
    for (uint32_t i = 0; i < view->members_count; i++) {
        struct node_view_member *member = &view->members[i];

        if (member->node_id == stream->order.peer) {
            member->snapshot_keys = atomic_load(&stream->keys_count);
            member->snapshot_keys_total = atomic_load(&stream->keys_total);
            member->snapshot_bytes = atomic_load(&stream->bytes_count);
        }
    }
}

void streams_fill_view(const struct streams *streams, struct node_view *view)
{
    for (const struct stream *stream = streams->first; stream != NULL; stream = stream->next) {
        if (stream->sends) {
            fill_member(stream, view);
        } else if (!stream->is_backup) {
            view->snapshot_keys = atomic_load(&stream->keys_count);
            view->snapshot_bytes = atomic_load(&stream->bytes_count);
        }
    }
}

bool streams_are_idle(const struct streams *streams)
{
    return streams->first == NULL;
}
