/* reply.c: see reply.h.
 *
 * Each function reserves once and writes once; nothing here allocates but the buffer's growth.
 */
#include "reply.h"

#include "number_parse.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ERROR_TEXT_BYTES_MAX = 1024, HEADER_BYTES_MAX = 1 + NUMBER_TEXT_BYTES_MAX + 2 };

static char *reply_put_line_end(char *at)
{
    at[0] = '\r';
    at[1] = '\n';
    return at + 2;
}

/* <mark><number>\r\n at `at`; returns what follows. */
static char *reply_put_number(char *at, char mark, int64_t value)
{
    *at++ = mark;
    at += number_write_int64(at, value);
    return reply_put_line_end(at);
}

static void reply_number(struct reply *reply, char mark, int64_t value)
{
    if (reply->out == NULL) {
        return;
    }
    char *start = (char *)byte_buffer_reserve(reply->out, HEADER_BYTES_MAX);
    byte_buffer_commit(reply->out, (size_t)(reply_put_number(start, mark, value) - start));
}

static void reply_literal(struct reply *reply, const char *text)
{
    if (reply->out != NULL) {
        byte_buffer_append(reply->out, text, strlen(text));
    }
}

/* <mark><text>\r\n */
static void reply_line(struct reply *reply, char mark, const char *text, size_t size)
{
    if (reply->out == NULL) {
        return;
    }
    char *start = (char *)byte_buffer_reserve(reply->out, size + 3);
    start[0] = mark;
    memcpy(start + 1, text, size);
    reply_put_line_end(start + 1 + size);
    byte_buffer_commit(reply->out, size + 3);
}

void reply_simple(struct reply *reply, const char *text)
{
    assert(strpbrk(text, "\r\n") == NULL);
    reply_line(reply, '+', text, strlen(text));
}

void reply_error(struct reply *reply, const char *text)
{
    if (reply->out == NULL) {
        return;
    }
    /* As Redis does it: line ends at both ends are dropped, others become blanks. */
    size_t size = strlen(text);
    while (size > 0 && (text[0] == '\r' || text[0] == '\n')) {
        text++;
        size--;
    }
    while (size > 0 && (text[size - 1] == '\r' || text[size - 1] == '\n')) {
        size--;
    }
    char *start = (char *)byte_buffer_reserve(reply->out, size + 3);
    start[0] = '-';
    for (size_t i = 0; i < size; i++) {
        start[1 + i] = text[i] == '\r' || text[i] == '\n' ? ' ' : text[i];
    }
    reply_put_line_end(start + 1 + size);
    byte_buffer_commit(reply->out, size + 3);
}

void reply_error_format(struct reply *reply, const char *format, ...)
{
    if (reply->out == NULL) {
        return;
    }
    char text[ERROR_TEXT_BYTES_MAX];
    va_list values;
    va_start(values, format);
    int written = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    assert(written >= 0);
    reply_error(reply, text);
}

void reply_integer(struct reply *reply, int64_t value)
{
    reply_number(reply, ':', value);
}

/* <mark><size>\r\n<prefix><bytes>\r\n; the prefix is counted in size. */
static void reply_sized(struct reply *reply, char mark, const char *prefix, const void *bytes, size_t size)
{
    if (reply->out == NULL) {
        return;
    }
    size_t prefix_size = strlen(prefix);
    assert(size <= INT64_MAX - HEADER_BYTES_MAX);
    char *start = (char *)byte_buffer_reserve(reply->out, HEADER_BYTES_MAX + prefix_size + size + 2);
    char *at = reply_put_number(start, mark, (int64_t)(prefix_size + size));
    memcpy(at, prefix, prefix_size);
    at += prefix_size;
    if (size > 0) {
        memcpy(at, bytes, size);
    }
    at = reply_put_line_end(at + size);
    byte_buffer_commit(reply->out, (size_t)(at - start));
}

void reply_bulk(struct reply *reply, const void *bytes, size_t size)
{
    reply_sized(reply, '$', "", bytes, size);
}

void reply_bulk_text(struct reply *reply, const char *text)
{
    reply_bulk(reply, text, strlen(text));
}

void reply_null(struct reply *reply)
{
    reply_literal(reply, reply->protocol == 3 ? "_\r\n" : "$-1\r\n");
}

void reply_null_array(struct reply *reply)
{
    reply_literal(reply, reply->protocol == 3 ? "_\r\n" : "*-1\r\n");
}

void reply_array(struct reply *reply, size_t count)
{
    reply_number(reply, '*', (int64_t)count);
}

void reply_map(struct reply *reply, size_t pairs)
{
    if (reply->protocol == 3) {
        reply_number(reply, '%', (int64_t)pairs);
    } else {
        reply_number(reply, '*', (int64_t)(2 * pairs));
    }
}

void reply_set(struct reply *reply, size_t count)
{
    reply_number(reply, reply->protocol == 3 ? '~' : '*', (int64_t)count);
}

void reply_double(struct reply *reply, double value)
{
    char text[64];
    int size;
    if (isnan(value)) {
        size = snprintf(text, sizeof text, "nan");
    } else if (isinf(value)) {
        size = snprintf(text, sizeof text, value > 0 ? "inf" : "-inf");
    } else {
        size = snprintf(text, sizeof text, "%.17g", value);
    }
    assert(size > 0 && (size_t)size < sizeof text);
    if (reply->protocol == 3) {
        reply_line(reply, ',', text, (size_t)size);
    } else {
        reply_bulk(reply, text, (size_t)size);
    }
}

void reply_boolean(struct reply *reply, bool value)
{
    if (reply->protocol == 3) {
        reply_literal(reply, value ? "#t\r\n" : "#f\r\n");
    } else {
        reply_integer(reply, value ? 1 : 0);
    }
}

void reply_verbatim_text(struct reply *reply, const char *text, size_t size)
{
    if (reply->protocol == 3) {
        reply_sized(reply, '=', "txt:", text, size);
    } else {
        reply_bulk(reply, text, size);
    }
}
