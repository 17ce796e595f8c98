/* map_chunk.h: the form of one chunk of a map that is streamed to another node or into a backup.
 *
 * | offset | bytes | field                                                                      |
 * |      0 |     1 | form: 1                                                                    |
 * |      1 |     1 | kind (enum map_chunk_kind)                                                 |
 * |      2 |     2 | zero                                                                       |
 * |      4 |     4 | size of the body                                                           |
 * |      8 |     8 | number: 0, 1, 2, ...                                                       |
 * |     16 |     8 | checksum: chain over the 16 bytes above and the body, begun with that of   |
 * |        |       | the chunk before (0 before the first)                                      |
 * |     24 |       | body                                                                       |
 *
 * A checksum continues that of the chunk before: a chunk that is missing, repeated, moved, changed or from
 * another stream is noticed at once, and the last checksum is one of the whole stream. Against accidents, not
 * against malice (the bus proves who is at the other end).
 *
 * A stream is one META, then RECORDS as many as it takes, then one END. Bodies:
 * META     the record `meta` in its envelope, as it stands in the map.
 * RECORDS  a piece of all records one after the other, cut anywhere: a value of 8 MiB spans many chunks, and
 * no chunk is larger than MAP_CHUNK_BYTES_MAX. A record: size of the key (2), size of what follows the key
 *          (4), the key, and what the table `data` holds for it (map_record.h). In key order, each key once.
 * END      count of records (8), sum of their hashes, which is the digest (8).
 */
#ifndef MAP_CHUNK_H
#define MAP_CHUNK_H

#include "storage_status.h"

#include <stddef.h>
#include <stdint.h>

enum map_chunk_kind { MAP_CHUNK_META = 1, MAP_CHUNK_RECORDS = 2, MAP_CHUNK_END = 3 };

enum {
    MAP_CHUNK_FORM = 1,
    MAP_CHUNK_HEAD_BYTES = 24,
    MAP_CHUNK_BYTES_MAX = 256 * 1024, /* with its head */
    MAP_CHUNK_RECORD_HEAD_BYTES = 6,
    MAP_CHUNK_END_BYTES = 16,
};

/* Where a stream is: the same at both ends. Zero at first. */
struct map_chunk_chain {
    uint64_t number;   /* of the next chunk */
    uint64_t checksum; /* of the chunk before */
};

/* Fills the head of a chunk whose body already stands behind it. */
void map_chunk_seal(struct map_chunk_chain *chain, uint8_t *chunk, enum map_chunk_kind kind,
                    size_t body_size);

/* The size of the chunk that starts with these MAP_CHUNK_HEAD_BYTES, or 0 when there is no such chunk. */
size_t map_chunk_get_size(const uint8_t *head);

/* Fields of a chunk that was checked. */
uint64_t map_chunk_get_checksum(const uint8_t *chunk);
enum map_chunk_kind map_chunk_get_kind(const uint8_t *chunk);

/* Checks one that arrived; the body is borrowed from it. STORAGE_CORRUPT, STORAGE_INCOMPATIBLE. */
enum storage_status map_chunk_open(struct map_chunk_chain *chain, const uint8_t *chunk, size_t size,
                                   enum map_chunk_kind *kind, const uint8_t **body, size_t *body_size,
                                   struct storage_error *error) STORAGE_MUST_CHECK;

#endif
