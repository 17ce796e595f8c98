/* map_stream.h: the receiving end of a streamed map: takes its chunks one after the other, checks everything,
 * and hands out the records. Pure: no file, no LMDB; for loading and for verifying alike.
 *
 * Nothing in a chunk is trusted. Checked are: form, size, number and checksum of each chunk; that META comes
 * first, END last, and nothing after it; sizes of each record before they are used; that keys ascend; each
 * value's form and hash; at the end count and digest, against those of META. Memory is bounded by one record,
 * and grows only with bytes that really arrived.
 */
#ifndef MAP_STREAM_H
#define MAP_STREAM_H

#include "map_record.h"
#include "storage_status.h"

struct map_stream_record {
    const uint8_t *key;
    size_t key_size;
    const uint8_t *bytes; /* what the table `data` holds for it */
    size_t size;
    struct map_record decoded; /* of these bytes */
};

/* Everything is borrowed for the call. Anything but STORAGE_OK ends the stream. */
typedef enum storage_status map_stream_visit(void *context, const struct map_stream_record *record,
                                             struct storage_error *error);

struct map_stream;

/* `visit` may be NULL. */
struct map_stream *map_stream_create(map_stream_visit *visit, void *context);
void map_stream_destroy(struct map_stream *stream); /* NULL is allowed */

/* Takes the next chunk. STORAGE_CORRUPT, STORAGE_INCOMPATIBLE (a later form), or what visit() said. After
 * anything but STORAGE_OK only destroying is allowed. */
enum storage_status map_stream_add(struct map_stream *stream, const uint8_t *chunk, size_t size,
                                   struct storage_error *error) STORAGE_MUST_CHECK;

/* NULL before the first chunk. */
const struct map_meta *map_stream_get_meta(const struct map_stream *stream);
/* Records so far. */
uint64_t map_stream_keys_count(const struct map_stream *stream);
/* The last chunk arrived, and all was well. */
bool map_stream_is_complete(const struct map_stream *stream);

#endif
