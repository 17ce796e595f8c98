/* command_table.h: the hash over command names, for command_table.c and the test that makes its index. */
#ifndef COMMAND_TABLE_H
#define COMMAND_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { COMMAND_NAME_BYTES_MAX = 15, COMMAND_NAME_INDEX_SIZE = 256 };

#define COMMAND_NAME_HASH_MULTIPLIER UINT64_C(0x6b12c56f19de033d)

/* `name` is in lower case and has at least 8 readable bytes, zeros behind its end. */
static inline uint8_t command_name_hash(uint64_t multiplier, const char *name, size_t size)
{
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--) /* one load where bytes are little-endian */
        word = word << 8 | (uint8_t)name[i];
    return (uint8_t)((word + size) * multiplier >> 56);
}

#endif
