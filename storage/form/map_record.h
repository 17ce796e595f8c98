/* map_record.h: the form of a value in the table `data`, and of the record `meta`.
 *
 * A value of `data` (its key is MAP_KEY_PREFIX and then the user's key):
 * | offset | bytes | field                                              |
 * |      0 |     1 | type (enum map_value_type)                         |
 * |      1 |     1 | form: 1                                            |
 * |      2 |     2 | flags: 0                                           |
 * |      4 |     4 | version.command                                    |
 * |      8 |     8 | version.index                                      |
 * |     16 |     8 | expiry in ms of log time, 0: never                 |
 * |     24 |     8 | hash: chain over key, the 24 bytes above, value    |
 * |     32 |       | value                                              |
 *
 * The hash is both what the key adds to the digest and how disk rot is noticed (pitfall 27).
 */
#ifndef MAP_RECORD_H
#define MAP_RECORD_H

#include "map_meta.h"

#include <stdbool.h>

enum {
    MAP_KEY_PREFIX = 'k',
    MAP_RECORD_HEAD_BYTES = 32,
    MAP_RECORD_FORM = 1,
    MAP_META_FORM = 1,
    MAP_META_FIXED_BYTES = 64,
};
#define MAP_META_NAME "meta"

/* A value as it is found in a layer, with its hash. */
struct map_record {
    struct map_value value;
    uint64_t hash;
};

/* memcmp, and the shorter first: LMDB's order too. */
int map_key_compare(const uint8_t *left, size_t left_size, const uint8_t *right, size_t right_size);

uint64_t map_record_hash(const uint8_t *key, size_t key_size, const struct map_value *value);

/* Writes MAP_RECORD_HEAD_BYTES + value->size bytes. */
void map_record_encode(uint8_t *bytes, const struct map_value *value, uint64_t hash);
/* False when the form is not ours. Does not check the hash; value.bytes is borrowed. */
bool map_record_decode(const uint8_t *bytes, size_t size, struct map_record *record);

/* The body of the record `meta`; `bytes` has room for MAP_META_FIXED_BYTES + meta->membership_size. */
size_t map_meta_encode(uint8_t *bytes, const struct map_meta *meta);
bool map_meta_decode(const uint8_t *bytes, size_t size, struct map_meta *meta);

#endif
