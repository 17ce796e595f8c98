/* map_meta.h: what a map holds, as plain data: a value, and what is known of the whole. For the map itself
 * (map.h) and for everything that it becomes on its way (map_stream.h, backup_file.h).
 */
#ifndef MAP_META_H
#define MAP_META_H

#include <stddef.h>
#include <stdint.h>

enum {
    MAP_KEY_BYTES_MAX = 510, /* LMDB's 511 less the prefix byte (pitfall 23) */
    MAP_VALUE_BYTES_MAX = 8 * 1024 * 1024,
    MAP_MEMBERSHIP_BYTES_MAX = 16 * 1024,
};

/* When a value was last written: unique in the whole history (log index, command number in the entry). */
struct map_version {
    uint64_t index;
    uint32_t command;
};

enum map_value_type {
    MAP_VALUE_STRING = 1, /* on-disk number */
};

struct map_value {
    enum map_value_type type;
    struct map_version version;
    uint64_t expiry_ms; /* log time at which it is gone; 0: never */
    const uint8_t *bytes;
    size_t size;
};

struct map_meta {
    uint64_t applied_index; /* the map holds all entries up to here */
    uint64_t applied_term;
    uint64_t log_time_ms;     /* the largest leader clock seen; never goes back */
    uint64_t key_count;       /* keys present, expired ones that are not purged yet included */
    uint64_t digest;          /* order-independent sum over the hash of each (key, header, value) */
    uint32_t rules_version;   /* of the state machine, last used */
    uint64_t hash_seed;       /* of the scan order; fixed when the map is created; the same on all nodes */
    uint32_t membership_size; /* opaque here */
    uint8_t membership[MAP_MEMBERSHIP_BYTES_MAX]; /* kept for membership changes */
};

#endif
