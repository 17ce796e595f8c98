/* entry_codec.c: see entry_codec.h. */
#include "entry_codec.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

void entry_codec_write_header(uint8_t *to, const struct entry_header *header)
{
    uint16_t rules_version = htole16(header->rules_version);
    uint32_t commands_count = htole32(header->commands_count);
    uint64_t clock_ms = htole64(header->clock_ms);
    to[0] = ENTRY_FORMAT;
    to[1] = 0;
    memcpy(to + 2, &rules_version, sizeof rules_version);
    memcpy(to + 4, &commands_count, sizeof commands_count);
    memcpy(to + 8, &clock_ms, sizeof clock_ms);
}

bool entry_codec_read_header(const uint8_t *bytes, size_t size, struct entry_header *header)
{
    if (size < ENTRY_HEADER_BYTES || bytes[0] != ENTRY_FORMAT || bytes[1] != 0) {
        return false;
    }
    uint16_t rules_version;
    uint32_t commands_count;
    uint64_t clock_ms;
    memcpy(&rules_version, bytes + 2, sizeof rules_version);
    memcpy(&commands_count, bytes + 4, sizeof commands_count);
    memcpy(&clock_ms, bytes + 8, sizeof clock_ms);
    header->rules_version = le16toh(rules_version);
    header->commands_count = le32toh(commands_count);
    header->clock_ms = le64toh(clock_ms);
    return true;
}
