/* answer_print.c: answers as text. */
#include "answer_print.h"

#include "allocate.h"
#include "server_error.h"
#include "text.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- for people ------------------------------------------------------------------------------ */

static void human_append(struct byte_buffer *text, const struct answer *answer, struct byte_buffer *indent);

static size_t decimal_digits(size_t value)
{
    size_t digits = 1;
    while (value >= 10) {
        value /= 10;
        digits++;
    }
    return digits;
}

/* " 1) " before each element, as wide as the last; later lines of an element are indented below its first. */
static void human_append_elements(struct byte_buffer *text, const struct answer *answer,
                                  struct byte_buffer *indent)
{
    bool map = answer->type == ANSWER_MAP;
    size_t step = map ? 2 : 1;
    size_t width = decimal_digits(answer->count / step);
    char mark = map ? '#' : answer->type == ANSWER_SET ? '~' : ')';
    size_t indent_size = byte_buffer_size(indent);
    if (answer->count == 0) {
        text_append(text, map                          ? "(empty hash)\n"
                          : answer->type == ANSWER_SET ? "(empty set)\n"
                                                       : "(empty array)\n");
        return;
    }
    for (size_t i = 0; i < answer->count; i += step) {
        if (i > 0) {
            byte_buffer_append(text, byte_buffer_front(indent), byte_buffer_size(indent));
        }
        text_append_format(text, "%*zu%c ", (int)width, i / step + 1, mark);
        text_append_format(indent, "%*s", (int)width + 2, "");
        human_append(text, &answer->elements[i], indent);
        if (map) {
            assert(byte_buffer_size(text) > 0);
            text->end--; /* the line end behind the key */
            text_append(text, " => ");
            human_append(text, &answer->elements[i + 1], indent);
        }
        indent->end = indent->start + indent_size;
    }
}

static void human_append(struct byte_buffer *text, const struct answer *answer, struct byte_buffer *indent)
{
    switch (answer->type) {
    case ANSWER_NIL:
        text_append(text, "(nil)\n");
        return;
    case ANSWER_STATUS:
        text_append_escaped(text, answer->text, answer->size, false);
        text_append(text, "\n");
        return;
    case ANSWER_ERROR:
        text_append(text, "(error) ");
        text_append_escaped(text, answer->text, answer->size, false);
        text_append(text, "\n");
        return;
    case ANSWER_INTEGER:
        text_append_format(text, "(integer) %" PRId64 "\n", answer->integer);
        return;
    case ANSWER_STRING:
    case ANSWER_VERBATIM:
        text_append_escaped(text, answer->text, answer->size, true);
        text_append(text, "\n");
        return;
    case ANSWER_DOUBLE:
    case ANSWER_BIG_NUMBER:
        text_append(text, answer->type == ANSWER_DOUBLE ? "(double) " : "(big number) ");
        text_append_escaped(text, answer->text, answer->size, false);
        text_append(text, "\n");
        return;
    case ANSWER_BOOLEAN:
        text_append(text, answer->integer ? "(true)\n" : "(false)\n");
        return;
    case ANSWER_ARRAY:
    case ANSWER_MAP:
    case ANSWER_SET:
    case ANSWER_PUSH:
        human_append_elements(text, answer, indent);
        return;
    }
}

/* Lines as they are, without what could steer a terminal. */
static void human_append_plain(struct byte_buffer *text, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n' || bytes[i] == '\t') {
            byte_buffer_append(text, &bytes[i], 1);
        } else if (bytes[i] != '\r' || i + 1 == size || bytes[i + 1] != '\n') {
            text_append_escaped(text, &bytes[i], 1, false);
        }
    }
    if (size == 0 || bytes[size - 1] != '\n') {
        text_append(text, "\n");
    }
}

void answer_print_human(struct byte_buffer *text, const struct answer *answer, bool plain_text)
{
    struct byte_buffer indent = {0};
    bool plain = answer->type == ANSWER_VERBATIM || (plain_text && answer->type == ANSWER_STRING);
    if (plain) {
        human_append_plain(text, answer->text, answer->size);
    } else {
        human_append(text, answer, &indent);
    }
    byte_buffer_deinit(&indent);
}

/* ---- for pipes ------------------------------------------------------------------------------- */

static void raw_append(struct byte_buffer *text, const struct answer *answer)
{
    if (answer_has_text(answer)) {
        byte_buffer_append(text, answer->text, answer->size);
    } else if (answer->type == ANSWER_INTEGER) {
        text_append_format(text, "%" PRId64, answer->integer);
    } else if (answer->type == ANSWER_BOOLEAN) {
        text_append(text, answer->integer ? "true" : "false");
    }
    for (size_t i = 0; i < answer->count; i++) {
        text_append(text, i > 0 ? "\n" : "");
        raw_append(text, &answer->elements[i]);
    }
}

void answer_print_raw(struct byte_buffer *text, const struct answer *answer)
{
    raw_append(text, answer);
    bool empty_container = answer->type >= ANSWER_ARRAY && answer->count == 0;
    if (!empty_container) {
        text_append(text, "\n");
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static cJSON *json_check(cJSON *item)
{
    if (item == NULL) {
        abort(); /* out of memory, the only way in which making an item fails */
    }
    return item;
}

/* The size of the UTF-8 sequence at the front; 0: there is none, or a zero byte. RFC 3629: the shortest form,
 * no surrogates. */
static size_t utf8_sequence(const uint8_t *bytes, size_t size)
{
    uint8_t c = bytes[0];
    if (c > 0 && c < 0x80) {
        return 1;
    }
    size_t length = c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
    if (length == 0 || length > size) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool wrong = (c == 0xe0 && bytes[1] < 0xa0) || (c == 0xed && bytes[1] > 0x9f) ||
                 (c == 0xf0 && bytes[1] < 0x90) || (c == 0xf4 && bytes[1] > 0x8f);
    return wrong ? 0 : length;
}

static bool is_json_text(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        size_t length = utf8_sequence(at, size);
        if (length == 0) {
            return false;
        }
        at += length;
        size -= length;
    }
    return true;
}

static char *base64_encode(const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = allocate_zeroed((size + 2) / 3 * 4 + 1, 1);
    char *to = text;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)bytes[i + 2] : 0);
        *to++ = digits[group >> 18];
        *to++ = digits[(group >> 12) & 63];
        *to++ = left > 1 ? digits[(group >> 6) & 63] : '=';
        *to++ = left > 2 ? digits[group & 63] : '=';
    }
    return text;
}

cJSON *answer_print_json_text(const void *bytes, size_t size)
{
    if (is_json_text(bytes, size)) {
        char *text = allocate_copy(bytes, size);
        cJSON *item = json_check(cJSON_CreateString(text));
        free(text);
        return item;
    }
    char *encoded = base64_encode(bytes, size);
    cJSON *item = json_check(cJSON_CreateObject());
    cJSON_AddItemToObject(item, "base64", json_check(cJSON_CreateString(encoded)));
    free(encoded);
    return item;
}

static cJSON *json_error(const struct answer *answer)
{
    size_t code_size = server_error_code_size(answer);
    cJSON *item = json_check(cJSON_CreateObject());
    cJSON_AddItemToObject(item, "code", answer_print_json_text(answer->text, code_size));
    cJSON_AddItemToObject(item, "message", answer_print_json_text(answer->text, answer->size));
    return item;
}

/* A number in JSON's own form, which knows no "+5", ".5" or "5.": those are re-written, the rest is kept
 * digit by digit. */
static cJSON *json_double(const struct answer *answer)
{
    char *end;
    double value = strtod(answer->text, &end);
    if (*end != '\0' || strpbrk(answer->text, "in") != NULL || value > 1.7e308 || value < -1.7e308) {
        return answer_print_json_text(answer->text, answer->size);
    }
    char text[40];
    snprintf(text, sizeof text, "%.17g", value);
    for (int precision = 1; precision < 17; precision++) {
        char shorter[40];
        snprintf(shorter, sizeof shorter, "%.*g", precision, value);
        if (strtod(shorter, NULL) >= value && strtod(shorter, NULL) <= value) {
            memcpy(text, shorter, sizeof text);
            break;
        }
    }
    return json_check(cJSON_CreateRaw(text));
}

static bool map_has_text_keys(const struct answer *map)
{
    for (size_t i = 0; i < map->count; i += 2) {
        const struct answer *key = &map->elements[i];
        if (!answer_has_text(key) || !is_json_text(key->text, key->size)) {
            return false;
        }
    }
    return true;
}

static cJSON *json_elements(const struct answer *answer)
{
    bool object = answer->type == ANSWER_MAP && map_has_text_keys(answer);
    cJSON *item = json_check(object ? cJSON_CreateObject() : cJSON_CreateArray());
    for (size_t i = 0; i < answer->count; i++) {
        const struct answer *element = &answer->elements[i];
        if (object) {
            cJSON_AddItemToObject(item, element->text, answer_print_json(element + 1));
            i++;
        } else if (answer->type == ANSWER_MAP) {
            cJSON *pair = json_check(cJSON_CreateArray());
            cJSON_AddItemToArray(pair, answer_print_json(element));
            cJSON_AddItemToArray(pair, answer_print_json(element + 1));
            cJSON_AddItemToArray(item, pair);
            i++;
        } else {
            cJSON_AddItemToArray(item, answer_print_json(element));
        }
    }
    return item;
}

cJSON *answer_print_json(const struct answer *answer)
{
    switch (answer->type) {
    case ANSWER_NIL:
        break;
    case ANSWER_ERROR:
        return json_error(answer);
    case ANSWER_STATUS:
    case ANSWER_STRING:
    case ANSWER_VERBATIM:
        return answer_print_json_text(answer->text, answer->size);
    case ANSWER_INTEGER: {
        char text[32];
        snprintf(text, sizeof text, "%" PRId64, answer->integer);
        return json_check(cJSON_CreateRaw(text));
    }
    case ANSWER_BIG_NUMBER: {
        const char *digits = answer->text + (answer->text[0] == '-');
        bool plain = digits[0] != '0' || digits[1] == '\0'; /* JSON knows no leading zeros */
        return plain ? json_check(cJSON_CreateRaw(answer->text))
                     : answer_print_json_text(answer->text, answer->size);
    }
    case ANSWER_DOUBLE:
        return json_double(answer);
    case ANSWER_BOOLEAN:
        return json_check(cJSON_CreateBool(answer->integer != 0));
    case ANSWER_ARRAY:
    case ANSWER_MAP:
    case ANSWER_SET:
    case ANSWER_PUSH:
        return json_elements(answer);
    }
    return json_check(cJSON_CreateNull());
}
