/* text.c: builds text in a byte_buffer. */
#include "text.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

void text_append(struct byte_buffer *text, const char *words)
{
    byte_buffer_append(text, words, strlen(words));
}

void text_append_format(struct byte_buffer *text, const char *format, ...)
{
    char small[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(small, sizeof small, format, arguments);
    va_end(arguments);
    assert(size >= 0);
    if ((size_t)size < sizeof small) {
        byte_buffer_append(text, small, (size_t)size);
        return;
    }
    char *place = (char *)byte_buffer_reserve(text, (size_t)size + 1);
    va_start(arguments, format);
    vsnprintf(place, (size_t)size + 1, format, arguments);
    va_end(arguments);
    byte_buffer_commit(text, (size_t)size);
}

void text_append_escaped(struct byte_buffer *text, const void *bytes, size_t size, bool quotes)
{
    const uint8_t *from = bytes;
    if (quotes) {
        byte_buffer_append(text, "\"", 1);
    }
    for (size_t i = 0; i < size; i++) {
        uint8_t c = from[i];
        switch (c) {
        case '\n':
            byte_buffer_append(text, "\\n", 2);
            break;
        case '\r':
            byte_buffer_append(text, "\\r", 2);
            break;
        case '\t':
            byte_buffer_append(text, "\\t", 2);
            break;
        case '\a':
            byte_buffer_append(text, "\\a", 2);
            break;
        case '\b':
            byte_buffer_append(text, "\\b", 2);
            break;
        default:
            if (quotes && (c == '"' || c == '\\')) {
                const char escaped[2] = {'\\', (char)c};
                byte_buffer_append(text, escaped, 2);
            } else if (c >= 0x20 && c < 0x7f) {
                byte_buffer_append(text, &c, 1);
            } else {
                text_append_format(text, "\\x%02x", c);
            }
        }
    }
    if (quotes) {
        byte_buffer_append(text, "\"", 1);
    }
}

void text_write(const struct byte_buffer *text, FILE *stream)
{
    if (byte_buffer_size(text) > 0) {
        (void)fwrite(byte_buffer_front(text), 1, byte_buffer_size(text), stream);
    }
}

const char *text_c_string(struct byte_buffer *text)
{
    *byte_buffer_reserve(text, 1) = '\0';
    return (const char *)byte_buffer_front(text);
}
