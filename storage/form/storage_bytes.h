/* storage_bytes.h: numbers to bytes and back, with bounds.
 *
 * Everything that storage/ writes by itself is little-endian, but for the time in the keys of the expiry
 * table, which is big-endian so that memcmp orders it. (LMDB's own pages and its integer keys are in the
 * host's order; storage_hash.c refuses to build where that is not little-endian.)
 *
 * Decoding goes through a `storage_reader`: it never reads past the end, and one check of `failed`
 * after the last field is enough.
 */
#ifndef STORAGE_BYTES_H
#define STORAGE_BYTES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void storage_put_u16(uint8_t *bytes, uint16_t number)
{
    bytes[0] = (uint8_t)number;
    bytes[1] = (uint8_t)(number >> 8);
}

static inline void storage_put_u32(uint8_t *bytes, uint32_t number)
{
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(number >> (8 * i));
    }
}

static inline void storage_put_u64(uint8_t *bytes, uint64_t number)
{
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(number >> (8 * i));
    }
}

static inline void storage_put_u64_big(uint8_t *bytes, uint64_t number)
{
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    }
}

static inline uint16_t storage_get_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static inline uint32_t storage_get_u32(const uint8_t *bytes)
{
    uint32_t number = 0;
    for (int i = 0; i < 4; i++) {
        number |= (uint32_t)bytes[i] << (8 * i);
    }
    return number;
}

static inline uint64_t storage_get_u64(const uint8_t *bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) {
        number |= (uint64_t)bytes[i] << (8 * i);
    }
    return number;
}

static inline uint64_t storage_get_u64_big(const uint8_t *bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

struct storage_reader {
    const uint8_t *bytes;
    size_t size;
    size_t offset; /* <= size */
    bool failed;   /* a read went past the end; everything since then was 0 */
};

static inline struct storage_reader storage_reader_init(const void *bytes, size_t size)
{
    return (struct storage_reader){.bytes = bytes, .size = size};
}

/* The next `count` bytes, borrowed, or NULL past the end. */
static inline const uint8_t *storage_read_bytes(struct storage_reader *reader, size_t count)
{
    assert(reader->offset <= reader->size);
    if (reader->failed || count > reader->size - reader->offset) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *bytes = reader->bytes + reader->offset;
    reader->offset += count;
    return bytes;
}

static inline uint32_t storage_read_u32(struct storage_reader *reader)
{
    const uint8_t *bytes = storage_read_bytes(reader, 4);
    return bytes == NULL ? 0 : storage_get_u32(bytes);
}

static inline uint64_t storage_read_u64(struct storage_reader *reader)
{
    const uint8_t *bytes = storage_read_bytes(reader, 8);
    return bytes == NULL ? 0 : storage_get_u64(bytes);
}

/* Everything was read, nothing more and nothing less. */
static inline bool storage_reader_ended_well(const struct storage_reader *reader)
{
    return !reader->failed && reader->offset == reader->size;
}

#endif
