/* command_text.h: words of commands compared, and texts put together. For the folder's own files. */
#ifndef COMMAND_TEXT_H
#define COMMAND_TEXT_H

#include "byte_buffer.h"
#include "resp_parser.h"

#include <stdbool.h>
#include <stddef.h>

/* Error texts that several commands share, as Redis words them. */
#define ERROR_SYNTAX          "ERR syntax error"
#define ERROR_NOT_AN_INTEGER  "ERR value is not an integer or out of range"
#define ERROR_STRING_TOO_LONG "ERR string exceeds maximum allowed size (proto-max-bulk-len)"

/* Equal to `lower` (lower case letters, digits, '-') in any case. */
bool command_word_is(const struct argument *word, const char *lower);

/* Printed at the end of the text. */
void command_text_append(struct byte_buffer *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Redis' glob patterns: * ? [a-z] [^a] and \ before a character to be taken as it is. Work is at most
 * pattern_size * size. */
bool command_glob_match(const uint8_t *pattern, size_t pattern_size, const uint8_t *bytes, size_t size,
                        bool ignore_case);

#endif
