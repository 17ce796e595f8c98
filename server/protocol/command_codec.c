/* command_codec.c: see command_codec.h.
 *
 * Everything that is read here may come from another node or from a disk, so command_codec_read() trusts no
 * length: it walks all arguments before it says yes, and command_codec_arguments() walks the same bytes
 * again.
 */
#include "command_codec.h"

#include <assert.h>
#include <string.h>

enum { ARGUMENT_HEADER_BYTES = 4, LENGTH_BYTES = 4 };

static uint32_t load_u32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static void store_u32(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
    to[2] = (uint8_t)(value >> 16);
    to[3] = (uint8_t)(value >> 24);
}

size_t command_codec_size(const struct argument *arguments, uint32_t count)
{
    size_t size = COMMAND_CODEC_HEADER_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        size += ARGUMENT_HEADER_BYTES + arguments[i].size;
    }
    return size;
}

void command_codec_write(uint8_t *to, uint16_t opcode, const struct argument *arguments, uint32_t count)
{
    uint8_t *at = to + COMMAND_CODEC_HEADER_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        size_t size = arguments[i].size;
        assert(size <= UINT32_MAX);
        store_u32(at, (uint32_t)size);
        if (size > 0) {
            memcpy(at + ARGUMENT_HEADER_BYTES, arguments[i].bytes, size);
        }
        at += ARGUMENT_HEADER_BYTES + size;
    }
    size_t following = (size_t)(at - to) - LENGTH_BYTES;
    assert(following <= UINT32_MAX);
    store_u32(to, (uint32_t)following);
    to[4] = (uint8_t)opcode;
    to[5] = (uint8_t)(opcode >> 8);
    to[6] = 0;
    to[7] = 0;
    store_u32(to + 8, count);
}

size_t command_codec_read(const uint8_t *bytes, size_t size, struct encoded_command *command)
{
    if (size < COMMAND_CODEC_HEADER_BYTES) {
        return 0;
    }
    size_t following = load_u32(bytes);
    if (following < COMMAND_CODEC_HEADER_BYTES - LENGTH_BYTES || following > size - LENGTH_BYTES) {
        return 0;
    }
    if (bytes[6] != 0 || bytes[7] != 0) {
        return 0;
    }
    uint32_t count = load_u32(bytes + 8);
    const uint8_t *body = bytes + COMMAND_CODEC_HEADER_BYTES;
    size_t body_bytes = following - (COMMAND_CODEC_HEADER_BYTES - LENGTH_BYTES);
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (body_bytes - at < ARGUMENT_HEADER_BYTES) {
            return 0;
        }
        size_t argument_bytes = load_u32(body + at);
        at += ARGUMENT_HEADER_BYTES;
        if (body_bytes - at < argument_bytes) {
            return 0;
        }
        at += argument_bytes;
    }
    if (at != body_bytes) {
        return 0;
    }
    *command = (struct encoded_command){
        .opcode = (uint16_t)(bytes[4] | bytes[5] << 8),
        .arguments_count = count,
        .body = body,
        .body_bytes = body_bytes,
    };
    return following + LENGTH_BYTES;
}

void command_codec_arguments(const struct encoded_command *command, struct argument *arguments)
{
    const uint8_t *at = command->body;
    const uint8_t *end = command->body + command->body_bytes;
    for (uint32_t i = 0; i < command->arguments_count; i++) {
        assert((size_t)(end - at) >= ARGUMENT_HEADER_BYTES);
        size_t size = load_u32(at);
        at += ARGUMENT_HEADER_BYTES;
        assert((size_t)(end - at) >= size);
        arguments[i] = (struct argument){.bytes = at, .size = size};
        at += size;
    }
    assert(at == end);
}

bool command_codec_first_argument(const struct encoded_command *command, struct argument *argument)
{
    if (command->arguments_count == 0) {
        return false;
    }
    assert(command->body_bytes >= ARGUMENT_HEADER_BYTES);
    *argument =
        (struct argument){.bytes = command->body + ARGUMENT_HEADER_BYTES, .size = load_u32(command->body)};
    return true;
}
