/* map_loader.h: makes a new map out of a stream of chunks (map_chunk.h), beside the live one: in
 * "<data>/map-<generation + 1>".
 *
 * It is nobody's map until log_store_install() (or a restore) names it; until then a crash leaves a folder
 * that the next start removes. So it is written without syncs; the last step of map_loader_finish() makes all
 * of it, its names included, durable.
 *
 * The table `data` is filled from left to right as the stream comes; the indexes, whose order is another, are
 * sorted on the side (key_sorter.h) and filled from left to right afterwards. Memory: 2 x sort_bytes, one
 * value, the dirty pages of one transaction (about 8 MiB, and 8 more for a large value). What is checked of
 * the stream: map_stream.h.
 *
 * Threads: a loader belongs to one thread; the live map does not know of it.
 *
 * Failure: the live map is never touched, so no failure is fatal for the node: STORAGE_CORRUPT and
 * STORAGE_INCOMPATIBLE speak of the stream, STORAGE_FULL of the disk or of map_bytes, STORAGE_FAILED of the
 * system. After any of them only map_loader_destroy() is allowed. Nothing is resumed: the next try begins
 * anew.
 */
#ifndef MAP_LOADER_H
#define MAP_LOADER_H

#include "map.h"

struct map_loader;

struct map_loader_options {
    const char *directory; /* what is there is removed first */
    size_t map_bytes;      /* as of map_options */
    size_t sort_bytes;     /* memory for sorting each of the two indexes; 0: 64 MiB */
    /* Takes the place of the membership in the stream: for a backup that becomes a new cluster; of
     * size 0: none. NULL: as it
     * comes. */
    const uint8_t *membership;
    uint32_t membership_size;
};

enum storage_status map_loader_create(const struct map_loader_options *options, struct map_loader **loader,
                                      struct storage_error *error) STORAGE_MUST_CHECK;
/* Removes the folder unless map_loader_finish() has come to its end. NULL is allowed. */
void map_loader_destroy(struct map_loader *loader);

/* Takes the next chunk. */
enum storage_status map_loader_add(struct map_loader *loader, const uint8_t *chunk, size_t size,
                                   struct storage_error *error) STORAGE_MUST_CHECK;
/* What the map will have: valid from the first chunk on, NULL before. The caller may refuse it: one that is
 * older than what it has, or whose rules it does not know. */
const struct map_meta *map_loader_get_meta(const struct map_loader *loader);
/* Keys so far. */
uint64_t map_loader_keys_count(const struct map_loader *loader);
/* The last chunk has come: now it is to be finished. */
bool map_loader_is_complete(const struct map_loader *loader);

/* Does a bounded part of what is left to do (some 10,000 keys of an index, at the end the sync), and says
 * whether that was all. Then the folder is a map that map_open() opens, and nothing of it is open here. */
enum storage_status map_loader_finish(struct map_loader *loader, bool *finished,
                                      struct storage_error *error) STORAGE_MUST_CHECK;

#endif
