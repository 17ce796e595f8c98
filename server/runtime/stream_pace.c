/* stream_pace.c: see stream_pace.h. */
#include "stream_pace.h"

#include <inttypes.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK_AT_PINNED_MS = 500,
    STREAM_NICE = 10, /* the loop, which wakes for each request, should never wait for it */
};

static uint64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Of this thread alone: on Linux a priority belongs to a thread. That it cannot be lowered is no harm. */
static void lower_priority(void)
{
    id_t thread = (id_t)gettid();

    (void)setpriority(PRIO_PROCESS, thread, getpriority(PRIO_PROCESS, thread) + STREAM_NICE);
}

void stream_pace_begin(struct stream_pace *pace, struct stream *stream, const struct map_snapshot *snapshot)
{
    lower_priority();
    *pace = (struct stream_pace){.stream = stream, .snapshot = snapshot, .begun_ms = now_ms()};
    atomic_store(&stream->keys_total, map_snapshot_get_meta(snapshot)->key_count);
}

bool stream_pace_allows(struct stream_pace *pace)
{
    struct stream *stream = pace->stream;
    uint64_t bytes = 0, now = now_ms();
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
    uint64_t now = now_ms();

    pace->bytes += size;
    atomic_store(&stream->bytes_count, pace->bytes);
    atomic_store(&stream->keys_count, map_snapshot_keys_count(pace->snapshot));
    uint64_t due_ms = pace->begun_ms + pace->bytes * 1000 / stream->owner->options.rate_bytes_max;

    if (due_ms > now) {
        stream_wire_sleep(&stream->wire, due_ms - now);
    }
}
