/* map_scrub.h: a slow walk over the whole map in LMDB, which finds what a disk has altered (design section
 * 7, "The digest"; pitfall 27: LMDB 0.9 has no checksums of its own, and the digest that is kept with every
 * change does not see what changes by itself).
 *
 * One pass walks the tables `data`, `scan` and `expiry`, a slice at a time, each slice in a read
 * transaction of its own:
 * - each value's checksum, over key, header and bytes;
 * - each hash of `scan`, which is that of its key; each key of `expiry`, which has that expiry in `data`;
 * - each key of all three is looked for, and found where it stands;
 * - at the end of `data` the sum of all checksums, which is the digest, and how many keys and expiries there
 *   are.
 *
 * The map changes between slices, by checkpoints only. So a checkpoint tells the pass what it changed among
 * the keys that the pass has gone by, when it is committed: at the end the sum is that of one moment, and
 * nothing is taken for damage that is none. Slices and checkpoints never run at the same time (one thread,
 * or one queue).
 *
 * What is found: a damaged value, or entry of an index, is named and the walk goes on: whoever needs it
 * learns of it there too, and stops. A sum that is not the digest although every value is sound, a key that
 * is altered or is not found, or a tree that cannot be walked, means that keys are missing or too many, which
 * nobody would notice: STORAGE_CORRUPT, the process must stop.
 */
#ifndef MAP_SCRUB_H
#define MAP_SCRUB_H

#include "map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_scrub_slice {
    uint64_t work_bytes; /* of values, and something for each key */
    bool is_pass_over;   /* the next slice begins anew */
    bool is_damaged;     /* `damage` is a sentence: the first thing that this slice found */
    struct storage_error damage;
};

/* Does work of about `work_bytes_max`, one key at least. Not at the same time as map_checkpoint_write();
 * any thread otherwise. On STORAGE_CORRUPT and STORAGE_FAILED *error says why. */
enum storage_status map_scrub_run(struct map *map, uint64_t work_bytes_max, struct map_scrub_slice *slice,
                                  struct storage_error *error) STORAGE_MUST_CHECK;

#endif
