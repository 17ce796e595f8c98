/* text.h: builds text for people and programs in a byte_buffer. */
#ifndef TEXT_H
#define TEXT_H

#include "byte_buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

void text_append(struct byte_buffer *text, const char *words);
void text_append_format(struct byte_buffer *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The bytes with everything but printable ASCII as \n, \t, \xHH...: what a terminal can be shown whatever a
 * server sent. With `quotes`, in double quotes, so that the result can be typed back as an argument. */
void text_append_escaped(struct byte_buffer *text, const void *bytes, size_t size, bool quotes);
/* Writes everything to the stream. The buffer is left as it is. */
void text_write(const struct byte_buffer *text, FILE *stream);
/* The text as a C string, valid until the buffer changes. */
const char *text_c_string(struct byte_buffer *text);

#endif
