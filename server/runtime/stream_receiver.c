/* stream_receiver.c: the thread that loads a snapshot beside the live map. */
#include "streams_internal.h"

#include "map_chunk.h"
#include "map_loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fail_by(struct stream *stream, const struct storage_error *error)
{
    return stream_wire_fail(&stream->wire, "%.180s", error->text);
}

/* What it is must be what was announced, before much of it is taken. */
static bool check_meta(struct stream *stream, const struct map_meta *meta)
{
    return (meta->applied_index == stream->upto.index && meta->applied_term == stream->upto.term) ||
           stream_wire_fail(&stream->wire, "it is not the one that was announced");
}

static bool take_chunk(struct stream *stream, struct map_loader *loader, bool *is_first)
{
    struct stream_wire *wire = &stream->wire;
    struct storage_error error;

    if (!stream_wire_await(wire, MAP_CHUNK_HEAD_BYTES)) {
        return false;
    }
    size_t size = map_chunk_get_size(byte_buffer_front(&wire->input));

    if (size == 0) {
        return stream_wire_fail(wire, "these bytes are no chunk of a snapshot");
    }
    if (!stream_wire_await(wire, size)) {
        return false;
    }
    if (map_loader_add(loader, byte_buffer_front(&wire->input), size, &error) != STORAGE_OK) {
        return fail_by(stream, &error);
    }
    byte_buffer_consume(&wire->input, size);
    atomic_fetch_add(&stream->bytes_count, size);
    atomic_store(&stream->keys_count, map_loader_keys_count(loader));
    if (*is_first && !check_meta(stream, map_loader_get_meta(loader))) {
        return false;
    }
    *is_first = false;
    return true;
}

static bool load(struct stream *stream, struct map_loader *loader)
{
    struct storage_error error;
    bool is_first = true, finished = false;

    while (!map_loader_is_complete(loader)) {
        if (atomic_load(&stream->wire.aborted)) {
            return stream_wire_fail(&stream->wire, "it was given up");
        }
        if (!take_chunk(stream, loader, &is_first)) {
            return false;
        }
    }
    while (!finished) {
        if (atomic_load(&stream->wire.aborted)) {
            return stream_wire_fail(&stream->wire, "it was given up");
        }
        if (map_loader_finish(loader, &finished, &error) != STORAGE_OK) {
            return fail_by(stream, &error);
        }
    }
    return true;
}

/* The sender is told, if it is still there. */
static void say_end(struct stream *stream, bool ok)
{
    struct bus_message end = {.type = BUS_MESSAGE_SNAPSHOT_END};

    end.snapshot_end.ok = ok;
    (void)snprintf(end.snapshot_end.reason, sizeof end.snapshot_end.reason, "%s", stream->wire.problem);
    (void)stream_wire_send_frame(&stream->wire, &end);
}

void *stream_receiver_run(void *context)
{
    struct stream *stream = context;
    const struct map_loader_options options = {
        .directory = stream->map_path,
        .map_bytes = (size_t)stream->owner->options.data_map_bytes,
    };
    struct map_loader *loader = NULL;
    struct storage_error error;
    struct stream_news *news = streams_make_news(stream, STREAM_NOT_LOADED);

    if (map_loader_create(&options, &loader, &error) != STORAGE_OK) {
        (void)fail_by(stream, &error);
    } else if (load(stream, loader)) {
        news->kind = STREAM_LOADED;
        news->meta = *map_loader_get_meta(loader);
    }
    map_loader_destroy(loader);
    (void)snprintf(news->reason, sizeof news->reason, "%s", stream->wire.problem);
    say_end(stream, news->kind == STREAM_LOADED);
    streams_tell(stream, news);
    return NULL;
}
