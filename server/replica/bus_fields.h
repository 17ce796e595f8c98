/* bus_fields.h: what the bodies of frames are made of: numbers (little-endian), names and addresses. For
 * bus_codec.c and hello_codec.c.
 *
 * Names and hosts are visible ASCII: they end up in replies to clients, where a line end would be an
 * injection.
 */
#ifndef BUS_FIELDS_H
#define BUS_FIELDS_H

#include "bus_message.h"
#include "byte_buffer.h"
#include "byte_cursor.h"

#include <assert.h>
#include <string.h>

_Static_assert(BUS_HOST_BYTES_MAX <= UINT8_MAX && BUS_NAME_BYTES_MAX <= UINT8_MAX, "lengths are one byte");

static inline void put_number(struct byte_buffer *out, uint64_t value, size_t bytes)
{
    uint8_t little[8];

    assert(bytes <= sizeof little);
    for (size_t i = 0; i < bytes; i++) {
        little[i] = (uint8_t)(value >> (8 * i));
    }
    byte_buffer_append(out, little, bytes);
}

static inline void put_text(struct byte_buffer *out, const char *text, size_t bytes_max)
{
    size_t size = strnlen(text, bytes_max);

    put_number(out, size, 1);
    byte_buffer_append(out, text, size);
}

/* A short text of visible ASCII; `to` has room for bytes_max + 1. */
static inline bool take_text(struct cursor *cursor, char *to, size_t bytes_max)
{
    size_t size = (size_t)take_number(cursor, 1);
    const uint8_t *from;

    if (size > bytes_max || (from = take_bytes(cursor, size)) == NULL) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (from[i] <= 0x20 || from[i] >= 0x7f) {
            return false;
        }
    }
    memcpy(to, from, size);
    to[size] = '\0';
    return true;
}

/* Whole or not at all: "" and 0, or both. */
static inline bool take_address(struct cursor *cursor, char *host, uint16_t *port)
{
    if (!take_text(cursor, host, BUS_HOST_BYTES_MAX)) {
        return false;
    }
    *port = (uint16_t)take_number(cursor, 2);
    return !cursor->failed && (host[0] == '\0') == (*port == 0);
}

#endif
