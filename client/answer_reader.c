/* answer_reader.c: replies from bytes that arrive in pieces. */
#include "answer_reader.h"

#include "allocate.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A line of the present answer: its type, what follows up to the line end, and its size with the line end. */
struct line {
    uint8_t type;
    const char *text;
    size_t size;
    size_t whole_size;
};

static enum answer_reader_result answer_reader_fail(struct answer_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum answer_reader_result answer_reader_fail(struct answer_reader *reader, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reader->error, sizeof reader->error, format, arguments);
    va_end(arguments);
    return ANSWER_READER_MALFORMED;
}

void answer_reader_init(struct answer_reader *reader, const struct answer_limits *limits)
{
    *reader = (struct answer_reader){.limits = *limits};
}

void answer_reader_deinit(struct answer_reader *reader)
{
    answer_reader_reset(reader);
    byte_buffer_deinit(&reader->input);
}

void answer_reader_reset(struct answer_reader *reader)
{
    byte_buffer_consume(&reader->input, byte_buffer_size(&reader->input));
    answer_deinit(&reader->root);
    reader->bytes = 0;
    reader->elements = 0;
    reader->scanned = 0;
    reader->depth = 0;
    reader->error[0] = '\0';
}

static enum answer_reader_result answer_reader_line(struct answer_reader *reader, struct line *line)
{
    size_t size = byte_buffer_size(&reader->input);
    const uint8_t *front = byte_buffer_front(&reader->input);
    if (size == 0) {
        return ANSWER_READER_NEED_MORE;
    }
    if (memchr("+-:$*_,#!=(%~>", front[0], 14) == NULL) {
        bool printable = front[0] > 0x20 && front[0] < 0x7f;
        return printable
                   ? answer_reader_fail(
                         reader, "a reply cannot begin with '%c': is this a kvd or Redis server?", front[0])
                   : answer_reader_fail(reader,
                                        "a reply cannot begin with byte 0x%02x: is this a kvd or Redis "
                                        "server?",
                                        front[0]);
    }
    const uint8_t *end = memchr(front + reader->scanned, '\n', size - reader->scanned);
    if ((end == NULL ? size : (size_t)(end - front)) > ANSWER_READER_LINE_BYTES_MAX) {
        return answer_reader_fail(reader, "a line of a reply is over %d bytes long",
                                  ANSWER_READER_LINE_BYTES_MAX);
    }
    if (end == NULL) {
        reader->scanned = size;
        return ANSWER_READER_NEED_MORE;
    }
    if (end - front < 2 || end[-1] != '\r') {
        return answer_reader_fail(reader, "a line of a reply does not end in CR LF");
    }
    *line = (struct line){.type = front[0],
                          .text = (const char *)front + 1,
                          .size = (size_t)(end - front) - 2,
                          .whole_size = (size_t)(end - front) + 1};
    return ANSWER_READER_ANSWER;
}

/* A decimal 64-bit number, nothing else in the line. */
static bool line_parse_integer(const struct line *line, int64_t *value)
{
    size_t i = 0;
    bool negative = line->size > 0 && line->text[0] == '-';
    if (line->size > 0 && (line->text[0] == '-' || line->text[0] == '+')) {
        i = 1;
    }
    if (i == line->size) {
        return false;
    }
    int64_t result = 0;
    for (; i < line->size; i++) {
        int digit = line->text[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(result, (int64_t)10, &result) ||
            __builtin_sub_overflow(result, (int64_t)digit, &result)) {
            return false;
        }
    }
    if (!negative && result == INT64_MIN) {
        return false;
    }
    *value = negative ? result : -result;
    return true;
}

static bool line_is_double(const struct line *line)
{
    static const char *const words[] = {"inf", "+inf", "-inf", "nan", "-nan"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (line->size == strlen(words[i]) && memcmp(line->text, words[i], line->size) == 0) {
            return true;
        }
    }
    bool digits = false;
    for (size_t i = 0; i < line->size; i++) {
        digits = digits || (line->text[i] >= '0' && line->text[i] <= '9');
        if (memchr("0123456789+-.eE", line->text[i], 15) == NULL) {
            return false;
        }
    }
    return digits && line->size < 64;
}

static bool line_is_big_number(const struct line *line)
{
    size_t i = line->size > 0 && line->text[0] == '-' ? 1 : 0;
    size_t first = i;
    while (i < line->size && line->text[i] >= '0' && line->text[i] <= '9') {
        i++;
    }
    return i == line->size && i > first;
}

/* A new element at the end of the innermost open container, or the root. Growing moves only elements that are
 * complete: no container on the stack is among them. */
static struct answer *answer_reader_place(struct answer_reader *reader)
{
    if (reader->depth == 0) {
        return &reader->root;
    }
    struct answer *container = reader->stack[reader->depth - 1].container;
    size_t *capacity = &reader->stack[reader->depth - 1].capacity;
    assert(container->count < reader->stack[reader->depth - 1].expected);
    if (container->count == *capacity) {
        *capacity = *capacity == 0 ? 4 : *capacity * 2;
        container->elements = allocate_resized(container->elements, *capacity, sizeof container->elements[0]);
    }
    struct answer *element = &container->elements[container->count++];
    *element = (struct answer){.type = ANSWER_NIL};
    return element;
}

static void answer_reader_consume(struct answer_reader *reader, size_t size)
{
    byte_buffer_consume(&reader->input, size);
    reader->bytes += size;
    reader->scanned = 0;
}

static enum answer_reader_result answer_reader_bulk(struct answer_reader *reader, const struct line *line,
                                                    struct answer *answer, size_t *consumed)
{
    int64_t length;
    if (!line_parse_integer(line, &length) || length < -1 || (length == -1 && line->type != '$')) {
        return answer_reader_fail(reader, "a string of a reply has no valid length");
    }
    if (length == -1) {
        *consumed = line->whole_size;
        return ANSWER_READER_ANSWER;
    }
    size_t size = (size_t)length;
    if (size > reader->limits.bytes_max ||
        reader->bytes + line->whole_size + size > reader->limits.bytes_max) {
        return answer_reader_fail(reader, "the reply is over the limit of %zu bytes",
                                  reader->limits.bytes_max);
    }
    if (byte_buffer_size(&reader->input) < line->whole_size + size + 2) {
        return ANSWER_READER_NEED_MORE;
    }
    const char *text = (const char *)byte_buffer_front(&reader->input) + line->whole_size;
    if (text[size] != '\r' || text[size + 1] != '\n') {
        return answer_reader_fail(reader, "a string of a reply is not as long as announced");
    }
    *consumed = line->whole_size + size + 2;
    answer->type = line->type == '!' ? ANSWER_ERROR : ANSWER_STRING;
    if (line->type == '=') {
        if (size < 4 || text[3] != ':') {
            return answer_reader_fail(reader, "a verbatim string of a reply names no format");
        }
        answer->type = ANSWER_VERBATIM;
        text += 4;
        size -= 4;
    }
    answer->text = allocate_copy(text, size);
    answer->size = size;
    return ANSWER_READER_ANSWER;
}

/* Sets *expected to the number of elements that follow. */
static enum answer_reader_result answer_reader_container(struct answer_reader *reader,
                                                         const struct line *line, struct answer *answer,
                                                         size_t *expected)
{
    int64_t count;
    if (!line_parse_integer(line, &count) || count < -1 || (count == -1 && line->type != '*')) {
        return answer_reader_fail(reader, "an array of a reply has no valid length");
    }
    if (count == -1) {
        return ANSWER_READER_ANSWER;
    }
    size_t factor = line->type == '%' ? 2 : 1;
    if ((uint64_t)count > reader->limits.elements_max / factor ||
        reader->elements + (size_t)count * factor > reader->limits.elements_max) {
        return answer_reader_fail(reader, "the reply is over the limit of %zu elements",
                                  reader->limits.elements_max);
    }
    if (line->type == '>' && reader->depth > 0) {
        return answer_reader_fail(reader, "a push message inside of a reply");
    }
    if (count > 0 && reader->depth == ANSWER_READER_DEPTH_MAX) {
        return answer_reader_fail(reader, "the reply is nested over %d deep", ANSWER_READER_DEPTH_MAX);
    }
    *expected = (size_t)count * factor;
    answer->type = line->type == '*'   ? ANSWER_ARRAY
                   : line->type == '%' ? ANSWER_MAP
                   : line->type == '~' ? ANSWER_SET
                                       : ANSWER_PUSH;
    return ANSWER_READER_ANSWER;
}

static enum answer_reader_result answer_reader_simple(struct answer_reader *reader, const struct line *line,
                                                      struct answer *answer)
{
    bool valid = true;
    switch (line->type) {
    case '+':
        answer->type = ANSWER_STATUS;
        break;
    case '-':
        answer->type = ANSWER_ERROR;
        break;
    case ',':
        answer->type = ANSWER_DOUBLE;
        valid = line_is_double(line);
        break;
    case '(':
        answer->type = ANSWER_BIG_NUMBER;
        valid = line_is_big_number(line);
        break;
    case ':':
        answer->type = ANSWER_INTEGER;
        valid = line_parse_integer(line, &answer->integer);
        break;
    case '#':
        answer->type = ANSWER_BOOLEAN;
        valid = line->size == 1 && (line->text[0] == 't' || line->text[0] == 'f');
        answer->integer = valid && line->text[0] == 't';
        break;
    default:
        assert(line->type == '_');
        answer->type = ANSWER_NIL;
        valid = line->size == 0;
    }
    if (!valid) {
        return answer_reader_fail(reader, "a value of type '%c' in a reply is malformed", line->type);
    }
    if (answer->type == ANSWER_STATUS || answer->type == ANSWER_ERROR || answer->type == ANSWER_DOUBLE ||
        answer->type == ANSWER_BIG_NUMBER) {
        answer->text = allocate_copy(line->text, line->size);
        answer->size = line->size;
    }
    return ANSWER_READER_ANSWER;
}

/* One value, or the beginning of a container. */
static enum answer_reader_result answer_reader_value(struct answer_reader *reader)
{
    struct line line = {0};
    enum answer_reader_result result = answer_reader_line(reader, &line);
    if (result != ANSWER_READER_ANSWER) {
        return result;
    }
    struct answer value = {.type = ANSWER_NIL};
    size_t consumed = line.whole_size;
    size_t expected = 0;
    if (line.type == '$' || line.type == '!' || line.type == '=') {
        result = answer_reader_bulk(reader, &line, &value, &consumed);
    } else if (line.type == '*' || line.type == '%' || line.type == '~' || line.type == '>') {
        result = answer_reader_container(reader, &line, &value, &expected);
    } else {
        result = answer_reader_simple(reader, &line, &value);
    }
    if (result != ANSWER_READER_ANSWER) {
        return result;
    }
    if (reader->bytes + consumed > reader->limits.bytes_max) {
        answer_deinit(&value);
        return answer_reader_fail(reader, "the reply is over the limit of %zu bytes",
                                  reader->limits.bytes_max);
    }
    answer_reader_consume(reader, consumed);
    reader->elements += expected;
    struct answer *place = answer_reader_place(reader);
    *place = value;
    if (expected > 0) {
        reader->stack[reader->depth].container = place;
        reader->stack[reader->depth].expected = expected;
        reader->stack[reader->depth].capacity = 0;
        reader->depth++;
    }
    return ANSWER_READER_ANSWER;
}

enum answer_reader_result answer_reader_next(struct answer_reader *reader, struct answer *answer)
{
    if (reader->error[0] != '\0') {
        return ANSWER_READER_MALFORMED;
    }
    do {
        enum answer_reader_result result = answer_reader_value(reader);
        if (result != ANSWER_READER_ANSWER) {
            return result;
        }
        while (reader->depth > 0 && reader->stack[reader->depth - 1].container->count ==
                                        reader->stack[reader->depth - 1].expected) {
            reader->depth--;
        }
    } while (reader->depth > 0);
    *answer = reader->root;
    reader->root = (struct answer){.type = ANSWER_NIL};
    reader->bytes = 0;
    reader->elements = 0;
    return ANSWER_READER_ANSWER;
}
