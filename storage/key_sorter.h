/* key_sorter.h: sorts pairs (number, key) by number, then by key, in bounded memory, so that an index can be
 * built from left to right: pairs come in in any order, and go out sorted.
 *
 * What does not fit into memory is sorted in parts (runs), which go into one file that has no name any more,
 * so that nothing is left of it whatever happens; the runs are merged when the pairs go out. That what comes
 * out is what went in is checked at the end: the file has no checksums.
 */
#ifndef KEY_SORTER_H
#define KEY_SORTER_H

#include "storage_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct key_sorter;

struct key_sorter_pair {
    uint64_t number;
    const uint8_t *key;
    size_t key_size;
};

/* `directory` is where the file goes, if there is need of one. memory_bytes is a bound but for a constant; at
 * least KEY_SORTER_MEMORY_BYTES_MIN are used. */
enum { KEY_SORTER_MEMORY_BYTES_MIN = 4096 };
struct key_sorter *key_sorter_create(const char *directory, size_t memory_bytes);
void key_sorter_destroy(struct key_sorter *sorter); /* NULL is allowed */

/* Takes a copy. key_size <= MAP_KEY_BYTES_MAX. STORAGE_FULL, STORAGE_FAILED. */
enum storage_status key_sorter_add(struct key_sorter *sorter, uint64_t number, const uint8_t *key,
                                   size_t key_size, struct storage_error *error) STORAGE_MUST_CHECK;
/* After the last one: from now on pairs go out. */
enum storage_status key_sorter_sort(struct key_sorter *sorter,
                                    struct storage_error *error) STORAGE_MUST_CHECK;
/* The next pair, borrowed until the next call; *found is false after the last one. STORAGE_FAILED: what was
 * written cannot be read, or is not what was written. */
enum storage_status key_sorter_next(struct key_sorter *sorter, struct key_sorter_pair *pair, bool *found,
                                    struct storage_error *error) STORAGE_MUST_CHECK;

/* Pairs that were added. */
uint64_t key_sorter_count(const struct key_sorter *sorter);

#endif
