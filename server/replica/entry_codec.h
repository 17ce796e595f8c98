/* entry_codec.h: the payload of a log entry: a header, then commands back to back (command_codec.h).
 *
 * Header (little-endian, 16 bytes):
 *   u8 format (1) | u8 zero | u16 rules version | u32 commands | u64 leader's clock, Unix ms
 * One entry costs one LMDB put, one checksum and one message on each node, however many commands it carries.
 */
#ifndef ENTRY_CODEC_H
#define ENTRY_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ENTRY_HEADER_BYTES = 16, ENTRY_FORMAT = 1 };

struct entry_header {
    uint16_t rules_version;
    uint32_t commands_count;
    uint64_t clock_ms;
};

void entry_codec_write_header(uint8_t *to, const struct entry_header *header);
/* False: not a payload of a format that we know. */
bool entry_codec_read_header(const uint8_t *bytes, size_t size, struct entry_header *header)
    __attribute__((warn_unused_result));

#endif
