/* byte_cursor.h: reading numbers (little-endian) and bytes out of what came from outside.
 *
 * Reads beyond the end give zeros and NULL, and set `failed`, which is looked at before a result is used.
 */
#ifndef BYTE_CURSOR_H
#define BYTE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
    const uint8_t *bytes; /* borrowed */
    size_t left;
    bool failed;
};

static inline const uint8_t *take_bytes(struct cursor *cursor, size_t size)
{
    if (cursor->failed || size > cursor->left) {
        cursor->failed = true;
        return NULL;
    }
    const uint8_t *bytes = cursor->bytes;
    cursor->bytes += size;
    cursor->left -= size;
    return bytes;
}

/* Of `bytes` bytes, at most 8. */
static inline uint64_t take_number(struct cursor *cursor, size_t bytes)
{
    const uint8_t *from = take_bytes(cursor, bytes);
    uint64_t value = 0;
    for (size_t i = 0; from != NULL && i < bytes; i++) {
        value |= (uint64_t)from[i] << (8 * i);
    }
    return value;
}

#endif
