/* map_scrub_internal.h: what a checkpoint tells the scrub. */
#ifndef MAP_SCRUB_INTERNAL_H
#define MAP_SCRUB_INTERNAL_H

#include "map_scrub.h"
#include "map_store.h"

enum map_scrub_table { MAP_SCRUB_DATA, MAP_SCRUB_SCAN, MAP_SCRUB_EXPIRY };

/* Sums over keys. They wrap: a difference is one too. */
struct map_scrub_sum {
    uint64_t digest, keys, expiring;
};

struct map_scrub {
    enum map_scrub_table table; /* where the pass is */
    bool has_begun;             /* ... and `position` is the last place there that it has seen */
    uint8_t
        position[MAP_PREFIXED_KEY_BYTES_MAX]; /* of `data`: prefix and key; of the others: the key's ... */
    size_t position_size;
    uint64_t number; /* ... hash or expiry */
    struct map_scrub_sum sum;
    bool found_damage; /* in this pass: the sum says nothing */
};

/* In a checkpoint: adds to *change what becomes of a key that the pass has gone by. `old` is NULL for one
 * that was not there, `new_value` for one that goes. */
void map_scrub_note_change(const struct map_scrub *scrub, const uint8_t *key, size_t key_size,
                           const struct map_record *old, const struct map_record *new_value,
                           struct map_scrub_sum *change);
/* The checkpoint is committed. `cleared`: what was there before it is gone. */
void map_scrub_note_commit(struct map_scrub *scrub, bool cleared, const struct map_scrub_sum *change);

#endif
