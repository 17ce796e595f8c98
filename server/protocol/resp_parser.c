/* resp_parser.c: see resp_parser.h.
 *
 * A request in pieces: `position` stands behind the last header or bulk that is complete, `scanned` behind
 * the bytes of an unfinished line that hold no line end, and offsets[] remembers where the bulks began. A
 * call goes on from there, so each byte is looked at once; a bulk's bytes are not looked at at all.
 *
 * Invariant: position <= size of what was given; arguments_count <= arguments_expected <=
 * limits.arguments_max.
 */
#include "resp_parser.h"

#include "number_parse.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARGUMENTS_CAPACITY_MIN = 8,
    ARGUMENTS_KEEP_MAX = 256, /* room for more arguments than this is given back after the request */
    INLINE_KEEP_BYTES_MAX = 4096,
};

void resp_parser_init(struct resp_parser *parser, const struct resp_limits *limits)
{
    *parser = (struct resp_parser){.limits = *limits};
}

void resp_parser_deinit(struct resp_parser *parser)
{
    free(parser->arguments);
    free(parser->offsets);
    byte_buffer_deinit(&parser->inline_bytes);
    struct resp_limits limits = parser->limits;
    *parser = (struct resp_parser){.limits = limits};
}

static void resp_parser_reset(struct resp_parser *parser)
{
    parser->in_array = false;
    parser->arguments_expected = 0;
    parser->bulk_size_known = false;
    parser->bulk_size = 0;
    parser->position = 0;
    parser->scanned = 0;
    parser->request_bytes = 0;
}

/* Before a new request: forgets the last one's arguments, and the memory that only a giant needs. */
static void resp_parser_begin(struct resp_parser *parser)
{
    parser->arguments_count = 0;
    if (parser->arguments_capacity > ARGUMENTS_KEEP_MAX) {
        free(parser->arguments);
        free(parser->offsets);
        parser->arguments = NULL;
        parser->offsets = NULL;
        parser->arguments_capacity = 0;
    }
    if (parser->inline_bytes.end > 0) {
        byte_buffer_consume(&parser->inline_bytes, byte_buffer_size(&parser->inline_bytes));
        byte_buffer_trim(&parser->inline_bytes, INLINE_KEEP_BYTES_MAX);
    }
}

static enum resp_parser_result resp_parser_fail(struct resp_parser *parser, const char *text)
{
    snprintf(parser->error, sizeof parser->error, "Protocol error: %s", text);
    parser->arguments_count = 0;
    resp_parser_reset(parser);
    return RESP_PARSER_ERROR;
}

/* Room for one more; grows with what has arrived, never by what was only announced. */
static void resp_parser_add_argument(struct resp_parser *parser, size_t offset, size_t size)
{
    if (parser->arguments_count == parser->arguments_capacity) {
        uint32_t capacity =
            parser->arguments_capacity == 0 ? ARGUMENTS_CAPACITY_MIN : parser->arguments_capacity * 2;
        struct argument *arguments = realloc(parser->arguments, capacity * sizeof *arguments);
        if (arguments == NULL) {
            abort();
        }
        size_t *offsets = realloc(parser->offsets, capacity * sizeof *offsets);
        if (offsets == NULL) {
            abort();
        }
        parser->arguments = arguments;
        parser->offsets = offsets;
        parser->arguments_capacity = capacity;
    }
    parser->offsets[parser->arguments_count] = offset;
    parser->arguments[parser->arguments_count] = (struct argument){.bytes = NULL, .size = size};
    parser->arguments_count++;
}

static enum resp_parser_result resp_parser_finish(struct resp_parser *parser, const uint8_t *base,
                                                  size_t size, size_t *consumed)
{
    if (base != NULL) {
        for (uint32_t i = 0; i < parser->arguments_count; i++) {
            parser->arguments[i].bytes = base + parser->offsets[i];
        }
    }
    *consumed = size;
    resp_parser_reset(parser);
    return RESP_PARSER_REQUEST;
}

/* ---- lines ---- */

enum line_result { LINE_FOUND, LINE_NEED_MORE, LINE_TOO_LONG };

/* Finds `end` from parser->position on; *line_size is without it. A line longer than inline_bytes_max is too
 * long, whether or not its end is there. */
static enum line_result resp_parser_find_line(struct resp_parser *parser, const uint8_t *bytes, size_t size,
                                              char end, size_t *line_size)
{
    size_t from = parser->scanned > parser->position ? parser->scanned : parser->position;
    size_t limit = parser->position + parser->limits.inline_bytes_max + 1;
    size_t until = size < limit ? size : limit;
    const uint8_t *found = from < until ? memchr(bytes + from, end, until - from) : NULL;
    if (found != NULL) {
        *line_size = (size_t)(found - bytes) - parser->position;
        return LINE_FOUND;
    }
    if (size >= limit) {
        return LINE_TOO_LONG;
    }
    parser->scanned = size;
    return LINE_NEED_MORE;
}

enum header_result { HEADER_READ, HEADER_NEED_MORE, HEADER_TOO_LONG, HEADER_INVALID, HEADER_WRONG_MARK };

/* Reads "<mark><number>\r\n" at parser->position and steps over it. `mark` 0: any. */
static enum header_result resp_parser_read_header(struct resp_parser *parser, const uint8_t *bytes,
                                                  size_t size, char mark, int64_t *number)
{
    const uint8_t *line = bytes + parser->position;
    size_t rest = size - parser->position;
    /* What nearly every header looks like: one or two digits, all there. */
    if (rest >= 4 && line[0] == (uint8_t)mark && line[1] >= '1' && line[1] <= '9') {
        if (line[2] == '\r' && line[3] == '\n') {
            *number = line[1] - '0';
            parser->position += 4;
            return HEADER_READ;
        }
        if (rest >= 5 && line[2] >= '0' && line[2] <= '9' && line[3] == '\r' && line[4] == '\n') {
            *number = (line[1] - '0') * 10 + (line[2] - '0');
            parser->position += 5;
            return HEADER_READ;
        }
    }
    size_t line_size;
    switch (resp_parser_find_line(parser, bytes, size, '\r', &line_size)) {
    case LINE_NEED_MORE:
        return HEADER_NEED_MORE;
    case LINE_TOO_LONG:
        return HEADER_TOO_LONG;
    case LINE_FOUND:
        break;
    }
    if (rest < line_size + 2) {
        parser->scanned = parser->position + line_size; /* the CR is looked at again when the LF is there */
        return HEADER_NEED_MORE;
    }
    if (line[0] != (uint8_t)mark) {
        return HEADER_WRONG_MARK;
    }
    if (line[line_size + 1] != '\n' || !number_parse_int64(line + 1, line_size - 1, number)) {
        return HEADER_INVALID;
    }
    parser->position += line_size + 2;
    parser->scanned = 0;
    return HEADER_READ;
}

/* ---- arrays of bulks ---- */

/* Reads "$<size>\r\n". RESP_PARSER_REQUEST here only means: read. */
static enum resp_parser_result resp_parser_read_bulk_size(struct resp_parser *parser, const uint8_t *bytes,
                                                          size_t size)
{
    int64_t bulk_size = 0;
    switch (resp_parser_read_header(parser, bytes, size, '$', &bulk_size)) {
    case HEADER_NEED_MORE:
        return RESP_PARSER_NEED_MORE;
    case HEADER_TOO_LONG:
        return resp_parser_fail(parser, "too big bulk count string");
    case HEADER_WRONG_MARK: {
        char text[sizeof "expected '$', got 'x'"];
        uint8_t got = bytes[parser->position];
        snprintf(text, sizeof text, "expected '$', got '%c'", got < ' ' ? ' ' : got);
        return resp_parser_fail(parser, text);
    }
    case HEADER_INVALID:
        return resp_parser_fail(parser, "invalid bulk length");
    case HEADER_READ:
        break;
    }
    if (bulk_size < 0 || (uint64_t)bulk_size > parser->limits.bulk_bytes_max) {
        return resp_parser_fail(parser, "invalid bulk length");
    }
    if ((size_t)bulk_size > parser->limits.request_bytes_max - parser->request_bytes) {
        return resp_parser_fail(parser, "too big request");
    }
    parser->bulk_size = (size_t)bulk_size;
    parser->bulk_size_known = true;
    return RESP_PARSER_REQUEST;
}

static enum resp_parser_result resp_parser_feed_array(struct resp_parser *parser, const uint8_t *bytes,
                                                      size_t size, size_t *consumed)
{
    while (parser->arguments_count < parser->arguments_expected) {
        if (!parser->bulk_size_known) {
            enum resp_parser_result result = resp_parser_read_bulk_size(parser, bytes, size);
            if (result != RESP_PARSER_REQUEST) {
                return result;
            }
        }
        size_t position = parser->position;
        if (size - position < parser->bulk_size + 2) {
            return RESP_PARSER_NEED_MORE;
        }
        const uint8_t *end = bytes + position + parser->bulk_size;
        if (end[0] != '\r' || end[1] != '\n') {
            return resp_parser_fail(parser, "invalid bulk length");
        }
        resp_parser_add_argument(parser, position, parser->bulk_size);
        parser->request_bytes += parser->bulk_size;
        parser->position = position + parser->bulk_size + 2;
        parser->bulk_size_known = false;
    }
    return resp_parser_finish(parser, bytes, parser->position, consumed);
}

/* "*<count>\r\n". RESP_PARSER_REQUEST here only means: read. */
static enum resp_parser_result resp_parser_read_count(struct resp_parser *parser, const uint8_t *bytes,
                                                      size_t size)
{
    int64_t count = 0;
    switch (resp_parser_read_header(parser, bytes, size, '*', &count)) {
    case HEADER_NEED_MORE:
        return RESP_PARSER_NEED_MORE;
    case HEADER_TOO_LONG:
        return resp_parser_fail(parser, "too big mbulk count string");
    case HEADER_WRONG_MARK:
        abort(); /* the mark is what brought us here */
    case HEADER_INVALID:
        return resp_parser_fail(parser, "invalid multibulk length");
    case HEADER_READ:
        break;
    }
    if (count > (int64_t)parser->limits.arguments_max) {
        return resp_parser_fail(parser, "invalid multibulk length");
    }
    parser->in_array = true;
    parser->arguments_expected = count < 0 ? 0 : (uint32_t)count;
    return RESP_PARSER_REQUEST;
}

/* ---- inline requests ---- */

/* isspace() of the "C" locale. */
static bool is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    if (byte >= 'a' && byte <= 'f') {
        return byte - 'a' + 10;
    }
    if (byte >= 'A' && byte <= 'F') {
        return byte - 'A' + 10;
    }
    return -1;
}

static bool has_prefix(const uint8_t *bytes, size_t size, const char *lower)
{
    size_t i = 0;
    for (; lower[i] != '\0'; i++) {
        if (i >= size || (bytes[i] | 0x20) != (uint8_t)lower[i]) {
            return false;
        }
    }
    return true;
}

static bool inline_is_forbidden(const uint8_t *line, size_t size)
{
    /* ':' has the bit 0x20 set already. */
    return has_prefix(line, size, "host:") ||
           (has_prefix(line, size, "post") && (size == 4 || is_blank(line[4])));
}

struct inline_cursor {
    const uint8_t *at;
    const uint8_t *end;
    uint8_t *to;
};

/* One character after a backslash inside double quotes; `at` stands on the backslash, and a byte follows. */
static void inline_unescape(struct inline_cursor *cursor)
{
    const uint8_t *at = cursor->at;
    if (cursor->end - at >= 4 && at[1] == 'x' && hex_digit(at[2]) >= 0 && hex_digit(at[3]) >= 0) {
        *cursor->to++ = (uint8_t)(hex_digit(at[2]) * 16 + hex_digit(at[3]));
        cursor->at += 4;
        return;
    }
    uint8_t byte = at[1];
    switch (byte) {
    case 'n':
        byte = '\n';
        break;
    case 'r':
        byte = '\r';
        break;
    case 't':
        byte = '\t';
        break;
    case 'b':
        byte = '\b';
        break;
    case 'a':
        byte = '\a';
        break;
    default:
        break;
    }
    *cursor->to++ = byte;
    cursor->at += 2;
}

/* Inside quotes, behind the opening one. Steps over the closing one; false: there is none, or something
 * follows it. */
static bool inline_read_quoted(struct inline_cursor *cursor, uint8_t quote)
{
    while (cursor->at < cursor->end) {
        uint8_t byte = *cursor->at;
        bool more = cursor->end - cursor->at >= 2;
        if (byte == '\\' && more && quote == '"') {
            inline_unescape(cursor);
        } else if (byte == '\\' && more && cursor->at[1] == '\'') {
            *cursor->to++ = '\'';
            cursor->at += 2;
        } else if (byte == quote) {
            cursor->at++;
            return cursor->at == cursor->end || is_blank(*cursor->at);
        } else {
            *cursor->to++ = byte;
            cursor->at++;
        }
    }
    return false;
}

/* One word, which does not begin with a blank. A quote may open in the middle of a word; its end ends the
 * word. */
static bool inline_read_word(struct inline_cursor *cursor)
{
    while (cursor->at < cursor->end) {
        uint8_t byte = *cursor->at;
        if (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n') {
            return true;
        }
        cursor->at++;
        if (byte == '"' || byte == '\'') {
            return inline_read_quoted(cursor, byte);
        }
        *cursor->to++ = byte;
    }
    return true;
}

static enum resp_parser_result resp_parser_feed_inline(struct resp_parser *parser, const uint8_t *bytes,
                                                       size_t size, size_t *consumed)
{
    size_t line_size;
    switch (resp_parser_find_line(parser, bytes, size, '\n', &line_size)) {
    case LINE_NEED_MORE:
        return RESP_PARSER_NEED_MORE;
    case LINE_TOO_LONG:
        return resp_parser_fail(parser, "too big inline request");
    case LINE_FOUND:
        break;
    }
    size_t request_size = line_size + 1;
    if (line_size > 0 && bytes[line_size - 1] == '\r') {
        line_size--;
    }
    if (inline_is_forbidden(bytes, line_size)) {
        resp_parser_reset(parser);
        return RESP_PARSER_FORBIDDEN;
    }
    /* Words are never longer than the line, so this memory does not move below. */
    uint8_t *memory = byte_buffer_reserve(&parser->inline_bytes, line_size + 1);
    struct inline_cursor cursor = {.at = bytes, .end = bytes + line_size, .to = memory};
    for (;;) {
        while (cursor.at < cursor.end && is_blank(*cursor.at)) {
            cursor.at++;
        }
        if (cursor.at == cursor.end) {
            break;
        }
        uint8_t *word = cursor.to;
        if (!inline_read_word(&cursor)) {
            return resp_parser_fail(parser, "unbalanced quotes in request");
        }
        size_t word_size = (size_t)(cursor.to - word);
        parser->request_bytes += word_size;
        if (parser->arguments_count >= parser->limits.arguments_max ||
            word_size > parser->limits.bulk_bytes_max ||
            parser->request_bytes > parser->limits.request_bytes_max) {
            return resp_parser_fail(parser, "too big inline request");
        }
        resp_parser_add_argument(parser, (size_t)(word - memory), word_size);
    }
    size_t written = (size_t)(cursor.to - memory);
    assert(written <= line_size);
    byte_buffer_commit(&parser->inline_bytes, written);
    return resp_parser_finish(parser, memory, request_size, consumed);
}

enum resp_parser_result resp_parser_feed(struct resp_parser *parser, const uint8_t *bytes, size_t size,
                                         size_t *consumed)
{
    if (!parser->in_array) {
        if (parser->position == 0 && parser->scanned == 0) {
            resp_parser_begin(parser);
        }
        if (size == 0) {
            return RESP_PARSER_NEED_MORE;
        }
        if (bytes[0] != '*') {
            return resp_parser_feed_inline(parser, bytes, size, consumed);
        }
        enum resp_parser_result result = resp_parser_read_count(parser, bytes, size);
        if (result != RESP_PARSER_REQUEST) {
            return result;
        }
    }
    assert(parser->position <= size);
    return resp_parser_feed_array(parser, bytes, size, consumed);
}

size_t resp_parser_bytes_wanted(const struct resp_parser *parser)
{
    if (parser->bulk_size_known) {
        return parser->position + parser->bulk_size + 2;
    }
    return parser->position + 1;
}

size_t resp_parser_memory_bytes(const struct resp_parser *parser)
{
    return parser->arguments_capacity * (sizeof *parser->arguments + sizeof *parser->offsets);
}
