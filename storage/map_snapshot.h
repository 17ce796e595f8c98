/* map_snapshot.h: the sending end: the content of a map as it stands in one LMDB read transaction, as a
 * stream of chunks (map_chunk.h). For a follower that is too far behind, and for a backup.
 *
 * It is what was durable in LMDB when it was opened, not what is buffered: its position, meta.applied_index,
 * is that of the last checkpoint.
 *
 * Threads: a snapshot belongs to one thread, which may be another than the map's; both go on, and checkpoints
 * are written meanwhile. The map must stay open until all its snapshots are closed (asserted).
 *
 * While it is open no page that it sees is used again, and the file grows with every checkpoint (pitfall 21):
 * who streams looks at map_snapshot_get_pinned_bytes() now and then, and gives up beyond a limit.
 */
#ifndef MAP_SNAPSHOT_H
#define MAP_SNAPSHOT_H

#include "map.h"
#include "map_chunk.h"

struct map_snapshot;

enum storage_status map_snapshot_open(struct map *map, struct map_snapshot **snapshot,
                                      struct storage_error *error) STORAGE_MUST_CHECK;
void map_snapshot_close(struct map_snapshot *snapshot); /* NULL is allowed */

/* Of what is streamed, as long as it is open. */
const struct map_meta *map_snapshot_get_meta(const struct map_snapshot *snapshot);
/* Records that were handed out so far, of meta.key_count. */
uint64_t map_snapshot_keys_count(const struct map_snapshot *snapshot);

/* Puts the next chunk into `chunk`, which has room for `capacity` bytes; *size is 0 after the last one. Every
 * chunk but the first and the last two is filled to the capacity. MAP_CHUNK_BYTES_MAX is enough for any
 * (asserted: the first one needs room for meta). STORAGE_CORRUPT: damage was read; then only closing is
 * allowed, and so after STORAGE_FAILED. */
enum storage_status map_snapshot_read(struct map_snapshot *snapshot, uint8_t *chunk, size_t capacity,
                                      size_t *size, struct storage_error *error) STORAGE_MUST_CHECK;

/* Bytes of pages that were freed since it was opened and cannot be used again because it is (at most: other
 * readers may hold some of them too). */
enum storage_status map_snapshot_get_pinned_bytes(const struct map_snapshot *snapshot, uint64_t *bytes,
                                                  struct storage_error *error) STORAGE_MUST_CHECK;

#endif
