/* command_codec.h: a command as bytes: in a log entry, in a parked queue, among the reads that wait.
 *
 * Form (little-endian):
 *
 *   u32 bytes that follow | u16 opcode | u16 zero | u32 arguments | { u32 size | bytes }*
 *
 * The command's name is not among the arguments: the opcode stands for it. Opcodes are on disk: see
 * command.h.
 */
#ifndef COMMAND_CODEC_H
#define COMMAND_CODEC_H

#include "resp_parser.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COMMAND_CODEC_HEADER_BYTES = 12 };

struct encoded_command {
    uint16_t opcode;
    uint32_t arguments_count; /* without the name */
    const uint8_t *body;      /* the arguments, encoded; borrowed */
    size_t body_bytes;
};

/* Bytes that command_codec_write() needs. `arguments` excludes the name. */
size_t command_codec_size(const struct argument *arguments, uint32_t count);
/* Writes exactly command_codec_size() bytes. */
void command_codec_write(uint8_t *to, uint16_t opcode, const struct argument *arguments, uint32_t count);
/* Reads one command from the front; returns its whole size, or 0 when the bytes are not one (cut short,
 * lengths that do not add up). Everything is checked, also that the arguments fill the body exactly. */
size_t command_codec_read(const uint8_t *bytes, size_t size, struct encoded_command *command);
/* Fills arguments[0..count): views into the command's body. The command was read by command_codec_read(). */
void command_codec_arguments(const struct encoded_command *command, struct argument *arguments);

/* The first of the arguments. False: there is none. */
bool command_codec_first_argument(const struct encoded_command *command, struct argument *argument);

#endif
