/* request.h: a command as a RESP array of bulk strings, the form in which every server takes it. */
#ifndef REQUEST_H
#define REQUEST_H

#include "byte_buffer.h"
#include "command_list.h"

#include <stddef.h>

void request_append(struct byte_buffer *request, const struct command_argument *arguments, size_t count);
void request_append_words(struct byte_buffer *request, const char *const *words, size_t count);

#endif
