/* stream_pace.h: what every stream of a map keeps to: no faster than the setting snapshot-rate, no more pages
 * kept from being used again than snapshot-pinned-bytes, and behind the loop and the disk threads when there
 * are not enough processors. By the stream's own thread.
 *
 * The pinned pages are looked at between pieces; that they are looked at again in bounded time is the wire's
 * affair, which gives up who does not take a piece in time (stream_wire.h). */
#ifndef STREAM_PACE_H
#define STREAM_PACE_H

#include "map_snapshot.h"
#include "streams_internal.h"

struct stream_pace {
    struct stream *stream;
    const struct map_snapshot *snapshot;
    uint64_t begun_ms;
    uint64_t bytes;
    uint64_t looked_ms; /* at the pinned pages; 0: not yet */
};

void stream_pace_begin(struct stream_pace *pace, struct stream *stream, const struct map_snapshot *snapshot);
/* Before each piece. False: it pins too much; the wire says so. */
bool stream_pace_allows(struct stream_pace *pace);
/* After it: notes how far the stream is, and waits until the next one is due. */
void stream_pace_sent(struct stream_pace *pace, size_t size);

#endif
