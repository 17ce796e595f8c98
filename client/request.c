/* request.c: a command as a RESP array of bulk strings. */
#include "request.h"

#include "text.h"

#include <string.h>

static void request_append_bulk(struct byte_buffer *request, const char *bytes, size_t size)
{
    text_append_format(request, "$%zu\r\n", size);
    byte_buffer_append(request, bytes, size);
    byte_buffer_append(request, "\r\n", 2);
}

void request_append(struct byte_buffer *request, const struct command_argument *arguments, size_t count)
{
    text_append_format(request, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        request_append_bulk(request, arguments[i].bytes, arguments[i].size);
    }
}

void request_append_words(struct byte_buffer *request, const char *const *words, size_t count)
{
    text_append_format(request, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        request_append_bulk(request, words[i], strlen(words[i]));
    }
}
