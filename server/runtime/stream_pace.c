/* stream_pace.c: see stream_pace.h. */
#include "stream_pace.h"

#include "map_chunk.h"

#include <inttypes.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    LOOK_AT_PINNED_MS = 500,
    STREAM_NICE = 10, /* the loop, which wakes for each request, should never wait for it */
};

/* Who takes the lowest snapshot-rate that can be set is far from too slow: the time for a chunk is more than
 * four times what it takes then. */
_Static_assert((uint64_t)MAP_CHUNK_BYTES_MAX * 1000 / STREAM_RATE_BYTES_MIN * 4 <= STREAM_SEND_MS_MAX,
               "the least rate is too near to the lowest snapshot-rate");

/* Of this thread alone: on Linux a priority belongs to a thread. That it cannot be lowered is no harm. */
static void lower_priority(void)
{
    id_t thread = (id_t)gettid();

    (void)setpriority(PRIO_PROCESS, thread, getpriority(PRIO_PROCESS, thread) + STREAM_NICE);
}

void stream_pace_begin(struct stream_pace *pace, struct stream *stream, const struct map_snapshot *snapshot)
{
    lower_priority();
    *pace = (struct stream_pace){.stream = stream, .snapshot = snapshot, .begun_ms = stream_wire_now_ms()};
    atomic_store(&stream->keys_total, map_snapshot_get_meta(snapshot)->key_count);
}

bool stream_pace_allows(struct stream_pace *pace)
{
    struct stream *stream = pace->stream;
    uint64_t bytes = 0, now = stream_wire_now_ms();
    struct storage_error error;

    if (pace->looked_ms != 0 && now - pace->looked_ms < LOOK_AT_PINNED_MS) {
        return true;
    }
    pace->looked_ms = now;
    if (map_snapshot_get_pinned_bytes(pace->snapshot, &bytes, &error) != STORAGE_OK) {
        return stream_wire_fail(&stream->wire, "%.150s", error.text);
    }
    return bytes <= stream->owner->options.pinned_bytes_max ||
           stream_wire_fail(&stream->wire,
                            "it keeps %" PRIu64 " MiB of pages from being used again: see the setting "
                            "snapshot-pinned-bytes",
                            bytes >> 20);
}

/* Never faster on average than is allowed. */
void stream_pace_sent(struct stream_pace *pace, size_t size)
{
    struct stream *stream = pace->stream;
    uint64_t now = stream_wire_now_ms();

    pace->bytes += size;
    atomic_store(&stream->bytes_count, pace->bytes);
    atomic_store(&stream->keys_count, map_snapshot_keys_count(pace->snapshot));
    uint64_t due_ms = pace->begun_ms + pace->bytes * 1000 / stream->owner->options.rate_bytes_max;

    if (due_ms > now) {
        stream_wire_sleep(&stream->wire, due_ms - now);
    }
}
