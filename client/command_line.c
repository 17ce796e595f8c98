/* command_line.c: a typed line, cut into arguments. */
#include "command_line.h"

#include "allocate.h"
#include "byte_buffer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct cursor {
    const char *at;
    const char *end;
};

void command_line_add(struct command_line *line, const void *bytes, size_t size)
{
    line->arguments = allocate_resized(line->arguments, line->count + 1, sizeof line->arguments[0]);
    line->arguments[line->count++] =
        (struct command_argument){.bytes = allocate_copy(bytes, size), .size = size};
}

void command_line_deinit(struct command_line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        free(line->arguments[i].bytes);
    }
    free(line->arguments);
    *line = (struct command_line){0};
}

static bool is_blank(char c)
{
    return isspace((unsigned char)c) || c == '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    int lower = tolower((unsigned char)c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static void push(struct byte_buffer *word, int c)
{
    uint8_t byte = (uint8_t)c;
    byte_buffer_append(word, &byte, 1);
}

/* After a backslash inside of double quotes. */
static void command_line_escape(struct cursor *cursor, struct byte_buffer *word)
{
    static const char letters[] = "nrtba";
    static const char meanings[] = "\n\r\t\b\a";
    if (cursor->end - cursor->at >= 3 && cursor->at[0] == 'x' && hex_digit(cursor->at[1]) >= 0 &&
        hex_digit(cursor->at[2]) >= 0) {
        push(word, hex_digit(cursor->at[1]) * 16 + hex_digit(cursor->at[2]));
        cursor->at += 3;
        return;
    }
    const char *letter = memchr(letters, *cursor->at, sizeof letters - 1);
    push(word, letter == NULL ? *cursor->at : meanings[letter - letters]);
    cursor->at++;
}

/* From behind the opening quote to behind the closing one, which must end the word. */
static bool command_line_quoted(struct cursor *cursor, char quote, struct byte_buffer *word)
{
    while (cursor->at < cursor->end) {
        char c = *cursor->at++;
        if (c == quote) {
            return cursor->at == cursor->end || is_blank(*cursor->at);
        }
        if (c == '\\' && cursor->at < cursor->end && quote == '"') {
            command_line_escape(cursor, word);
        } else if (c == '\\' && cursor->at < cursor->end && *cursor->at == '\'') {
            push(word, *cursor->at++);
        } else {
            push(word, c);
        }
    }
    return false;
}

static bool command_line_word(struct cursor *cursor, struct byte_buffer *word)
{
    while (cursor->at < cursor->end && !is_blank(*cursor->at)) {
        char c = *cursor->at++;
        if (c == '"' || c == '\'') {
            return command_line_quoted(cursor, c, word);
        }
        push(word, c);
    }
    return true;
}

bool command_line_parse(struct command_line *line, const char *text, size_t size)
{
    struct cursor cursor = {.at = text, .end = text + size};
    struct byte_buffer word = {0};
    bool valid = true;
    *line = (struct command_line){0};
    for (;;) {
        while (cursor.at < cursor.end && is_blank(*cursor.at)) {
            cursor.at++;
        }
        if (cursor.at == cursor.end) {
            break;
        }
        valid = command_line_word(&cursor, &word);
        if (!valid) {
            command_line_deinit(line);
            break;
        }
        command_line_add(line, byte_buffer_front(&word), byte_buffer_size(&word));
        byte_buffer_consume(&word, byte_buffer_size(&word));
    }
    byte_buffer_deinit(&word);
    return valid;
}

bool command_line_is(const struct command_line *line, const char *word)
{
    return line->count > 0 && line->arguments[0].size == strlen(word) &&
           strcasecmp(line->arguments[0].bytes, word) == 0;
}
