/* key_values.c: values of one key. The seen values are sorted, so that those with a common beginning stand
 * together, and a prefix is the place of the first of them and a length.
 */
#include "key_values.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INTEGER_TEXT_BYTES_MAX = 24, INTEGER_DIGITS_MAX = 19 };

struct key_values {
    struct key_bytes *seen; /* sorted, each once */
    size_t seen_count;
    bool integers_matter;
    bool sizes_matter;
};

/* Two pieces that stand for the bytes of both, one after the other. */
struct pieces {
    struct key_bytes head, tail;
};

static int compare_bytes(const void *left, const void *right)
{
    const struct key_bytes *a = left, *b = right;
    size_t common = a->size < b->size ? a->size : b->size;
    int order = common == 0 ? 0 : memcmp(a->bytes, b->bytes, common);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

struct key_values *key_values_create(const struct key_values_options *options)
{
    /* With counters, bytes that can still become an integer are kept as if they had been seen. */
    static const struct key_bytes BEFORE_AN_INTEGER[] = {{(const uint8_t *)"", 0}, {(const uint8_t *)"-", 1}};
    struct key_values *values = calloc(1, sizeof *values);
    struct key_bytes *seen = calloc(options->seen_count + 2, sizeof *seen);
    if (values == NULL || seen == NULL) {
        abort();
    }
    size_t count = options->seen_count;
    if (count > 0) {
        memcpy(seen, options->seen, count * sizeof *seen);
    }
    if (options->integers_matter) {
        seen[count++] = BEFORE_AN_INTEGER[0];
        seen[count++] = BEFORE_AN_INTEGER[1];
    }
    qsort(seen, count, sizeof *seen, compare_bytes);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || compare_bytes(&seen[i], &seen[i - 1]) != 0) {
            seen[values->seen_count++] = seen[i];
        }
    }
    values->seen = seen;
    values->integers_matter = options->integers_matter;
    values->sizes_matter = options->sizes_matter;
    return values;
}

void key_values_destroy(struct key_values *values)
{
    if (values != NULL) {
        free(values->seen);
        free(values);
    }
}

bool key_bytes_parse_integer(struct key_bytes bytes, int64_t *number)
{
    bool is_negative = bytes.size > 0 && bytes.bytes[0] == '-';
    const size_t first = is_negative ? 1 : 0;
    const size_t digits = bytes.size - first;
    if (digits == 0 || digits > INTEGER_DIGITS_MAX) {
        return false;
    }
    if (bytes.bytes[first] == '0' && (digits > 1 || is_negative)) {
        return false;
    }
    uint64_t magnitude = 0; /* 19 digits fit */
    for (size_t i = first; i < bytes.size; i++) {
        if (bytes.bytes[i] < '0' || bytes.bytes[i] > '9') {
            return false;
        }
        magnitude = magnitude * 10 + (uint64_t)(bytes.bytes[i] - '0');
    }
    if (magnitude > (uint64_t)INT64_MAX + (is_negative ? 1 : 0)) {
        return false;
    }
    *number = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

/* As strcmp, but 0 if `whole` begins with the pieces. */
static int compare_beginning(const struct pieces *pieces, struct key_bytes whole)
{
    size_t head = pieces->head.size < whole.size ? pieces->head.size : whole.size;
    int order = head == 0 ? 0 : memcmp(pieces->head.bytes, whole.bytes, head);
    if (order != 0) {
        return order;
    }
    if (pieces->head.size > whole.size) {
        return 1;
    }
    size_t left = whole.size - head;
    size_t tail = pieces->tail.size < left ? pieces->tail.size : left;
    order = tail == 0 ? 0 : memcmp(pieces->tail.bytes, whole.bytes + head, tail);
    return order != 0 ? order : pieces->tail.size > left;
}

/* `from`: no seen value before it begins with the pieces. */
static struct key_value find_pieces(const struct key_values *values, const struct pieces *pieces, size_t from)
{
    const size_t size = pieces->head.size + pieces->tail.size;
    assert(size >= pieces->head.size && values->seen_count <= UINT32_MAX);
    if (values->integers_matter && size <= INTEGER_DIGITS_MAX + 1) {
        uint8_t text[INTEGER_TEXT_BYTES_MAX];
        int64_t number;
        if (pieces->head.size > 0) {
            memcpy(text, pieces->head.bytes, pieces->head.size);
        }
        if (pieces->tail.size > 0) {
            memcpy(text + pieces->head.size, pieces->tail.bytes, pieces->tail.size);
        }
        if (key_bytes_parse_integer((struct key_bytes){text, size}, &number)) {
            return key_values_integer(number);
        }
    }
    size_t low = from, high = values->seen_count; /* the first that is not less than the pieces */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_beginning(pieces, values->seen[middle]) > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < values->seen_count && compare_beginning(pieces, values->seen[low]) == 0) {
        return (struct key_value){.kind = KEY_VALUE_SEEN, .first = (uint32_t)low, .number = size};
    }
    return (struct key_value){.kind = KEY_VALUE_OPAQUE, .number = values->sizes_matter ? size : 0};
}

struct key_value key_values_find(const struct key_values *values, struct key_bytes bytes)
{
    return find_pieces(values, &(struct pieces){.head = bytes}, 0);
}

struct key_value key_values_integer(int64_t number)
{
    return (struct key_value){.kind = KEY_VALUE_INTEGER, .number = (uint64_t)number};
}

/* The bytes of a value that is not opaque; an integer's go to text. */
static struct key_bytes view_bytes(const struct key_values *values, struct key_value value,
                                   char text[INTEGER_TEXT_BYTES_MAX])
{
    if (value.kind == KEY_VALUE_SEEN) {
        assert(value.first < values->seen_count && value.number <= values->seen[value.first].size);
        return (struct key_bytes){values->seen[value.first].bytes, value.number};
    }
    if (value.kind == KEY_VALUE_INTEGER) {
        int size = snprintf(text, INTEGER_TEXT_BYTES_MAX, "%" PRId64, (int64_t)value.number);
        assert(size > 0 && size < INTEGER_TEXT_BYTES_MAX);
        return (struct key_bytes){(const uint8_t *)text, (size_t)size};
    }
    assert(value.kind == KEY_VALUE_ABSENT);
    return (struct key_bytes){NULL, 0};
}

bool key_values_can_show(const struct key_values *values, struct key_bytes bytes)
{
    bool is_part_of_integer = values->integers_matter && bytes.size <= INTEGER_DIGITS_MAX + 1;
    for (size_t i = 0; i < bytes.size && is_part_of_integer; i++) {
        is_part_of_integer =
            (bytes.bytes[i] >= '0' && bytes.bytes[i] <= '9') || (i == 0 && bytes.bytes[i] == '-');
    }
    if (is_part_of_integer) {
        return true;
    }
    for (size_t i = 0; i < values->seen_count; i++) {
        if (memmem(values->seen[i].bytes, values->seen[i].size, bytes.bytes, bytes.size) != NULL) {
            return true;
        }
    }
    return false;
}

struct key_value key_values_append(const struct key_values *values, struct key_value value,
                                   struct key_bytes bytes)
{
    char text[INTEGER_TEXT_BYTES_MAX];
    if (value.kind == KEY_VALUE_OPAQUE || (bytes.bytes == NULL && bytes.size > 0)) {
        value = key_values_opaque(values, value);
        value.number += values->sizes_matter ? bytes.size : 0;
        return value;
    }
    const struct pieces pieces = {.head = view_bytes(values, value, text), .tail = bytes};
    return find_pieces(values, &pieces, value.kind == KEY_VALUE_SEEN ? value.first : 0);
}

uint64_t key_value_size(struct key_value value)
{
    char text[INTEGER_TEXT_BYTES_MAX];
    switch (value.kind) {
    case KEY_VALUE_ABSENT:
        return 0;
    case KEY_VALUE_SEEN:
    case KEY_VALUE_OPAQUE:
        return value.number;
    case KEY_VALUE_INTEGER:
        return (uint64_t)snprintf(text, sizeof text, "%" PRId64, (int64_t)value.number);
    }
    abort();
}

bool key_values_begins(const struct key_values *values, struct key_value whole, struct key_value value)
{
    char whole_text[INTEGER_TEXT_BYTES_MAX], text[INTEGER_TEXT_BYTES_MAX];
    if (whole.kind == KEY_VALUE_OPAQUE) {
        return true; /* nothing is known of its bytes */
    }
    if (value.kind == KEY_VALUE_OPAQUE) {
        return false;
    }
    struct key_bytes all = view_bytes(values, whole, whole_text);
    struct key_bytes part = view_bytes(values, value, text);
    return part.size <= all.size && (part.size == 0 || memcmp(part.bytes, all.bytes, part.size) == 0);
}

bool key_values_ends(const struct key_values *values, struct key_value value, struct key_bytes end)
{
    char text[INTEGER_TEXT_BYTES_MAX];
    if (value.kind == KEY_VALUE_OPAQUE || (end.bytes == NULL && end.size > 0)) {
        return false;
    }
    struct key_bytes all = view_bytes(values, value, text);
    return end.size <= all.size &&
           (end.size == 0 || memcmp(all.bytes + (all.size - end.size), end.bytes, end.size) == 0);
}

struct key_value key_values_opaque(const struct key_values *values, struct key_value value)
{
    return (struct key_value){.kind = KEY_VALUE_OPAQUE,
                              .number = values->sizes_matter ? key_value_size(value) : 0};
}

bool key_values_is_before_integer(const struct key_values *values, struct key_value value)
{
    return values->integers_matter && value.kind == KEY_VALUE_SEEN &&
           (value.number == 0 || (value.number == 1 && values->seen[value.first].bytes[0] == '-'));
}

enum key_beginning key_values_integer_beginning(const struct key_values *values, struct key_value value,
                                                size_t size, int64_t *number)
{
    char text[INTEGER_TEXT_BYTES_MAX];
    if (value.kind == KEY_VALUE_OPAQUE) {
        return KEY_BEGINNING_NONE;
    }
    struct key_bytes bytes = view_bytes(values, value, text);
    if (size > bytes.size || size > INTEGER_DIGITS_MAX + 1) {
        return KEY_BEGINNING_NONE;
    }
    bytes.size = size;
    return key_bytes_parse_integer(bytes, number) ? KEY_BEGINNING_INTEGER : KEY_BEGINNING_OTHER;
}

bool key_value_equal(struct key_value a, struct key_value b)
{
    return a.kind == b.kind && a.first == b.first && a.number == b.number;
}
