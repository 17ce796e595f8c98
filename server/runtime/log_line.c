/* log_line.c: writes events as key=value or as JSON. */
#include "log_line.h"

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 4096 };
/* So a pipe that has room at all takes a line whole and at once. */
_Static_assert(LINE_BYTES_MAX <= PIPE_BUF, "a line may block");

static const char *const level_names[] = {"debug", "info", "warning", "error"};

/* ---- fields ---------------------------------------------------------------------------------- */

static bool needs_quotes(const char *value)
{
    if (*value == '\0') {
        return true;
    }
    for (const char *at = value; *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || *at == 0x7f || *at == '"' || *at == '=' || *at == '\\') {
            return true;
        }
    }
    return false;
}

/* Appends what a byte becomes inside quotes; false when there is no room. */
static bool put_escaped(char *to, size_t *size, size_t capacity, unsigned char byte)
{
    char escaped[8];

    if (byte == '"' || byte == '\\') {
        (void)snprintf(escaped, sizeof escaped, "\\%c", byte);
    } else if (byte == '\n') {
        (void)snprintf(escaped, sizeof escaped, "\\n");
    } else if (byte == '\r') {
        (void)snprintf(escaped, sizeof escaped, "\\r");
    } else if (byte < ' ' || byte == 0x7f) {
        (void)snprintf(escaped, sizeof escaped, "\\u%04x", byte);
    } else {
        (void)snprintf(escaped, sizeof escaped, "%c", byte);
    }
    size_t length = strlen(escaped);

    if (*size + length >= capacity) {
        return false;
    }
    memcpy(to + *size, escaped, length + 1);
    *size += length;
    return true;
}

void log_fields_add_text(struct log_fields *fields, const char *key, const char *value)
{
    size_t before = fields->size;
    size_t room = sizeof fields->text - before;
    int length = snprintf(fields->text + before, room, "%s%s=%s", before == 0 ? "" : " ", key,
                          needs_quotes(value) ? "\"" : value);

    if (length < 0 || (size_t)length + 1 >= room) {
        fields->text[before] = '\0';
        return;
    }
    fields->size += (size_t)length;
    if (!needs_quotes(value)) {
        return;
    }
    /* One byte is kept for the closing quote; a longer value is cut. */
    while (*value != '\0' &&
           put_escaped(fields->text, &fields->size, sizeof fields->text - 1, (unsigned char)*value)) {
        value++;
    }
    fields->text[fields->size++] = '"';
    fields->text[fields->size] = '\0';
}

void log_fields_add_number(struct log_fields *fields, const char *key, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    log_fields_add_text(fields, key, text);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static size_t put(char *to, size_t at, size_t to_bytes, const char *text, size_t size)
{
    if (at + size >= to_bytes) {
        size = to_bytes - 1 - at;
    }
    memcpy(to + at, text, size);
    to[at + size] = '\0';
    return at + size;
}

static size_t put_text(char *to, size_t at, size_t to_bytes, const char *text)
{
    return put(to, at, to_bytes, text, strlen(text));
}

/* Where the value at `from` ends: at the space after it, or behind its closing quote. */
static size_t value_size(const char *from)
{
    if (*from != '"') {
        return strcspn(from, " ");
    }
    size_t size = 1;

    while (from[size] != '\0' && from[size] != '"') {
        size += from[size] == '\\' && from[size + 1] != '\0' ? 2 : 1;
    }
    return from[size] == '"' ? size + 1 : size;
}

static bool is_json_number(const char *from, size_t size)
{
    /* 15 digits: beyond that some readers round. */
    return size > 0 && size <= 15 && strspn(from, "0123456789") >= size && (size == 1 || *from != '0');
}

static size_t put_json_value(char *to, size_t at, size_t to_bytes, const char *value, size_t size)
{
    if (size > 0 && value[0] == '"') {
        at = put(to, at, to_bytes, value, size);
        return size > 1 && value[size - 1] == '"' ? at : put_text(to, at, to_bytes, "\"");
    }
    if (is_json_number(value, size)) {
        return put(to, at, to_bytes, value, size);
    }
    at = put_text(to, at, to_bytes, "\"");
    for (size_t i = 0; i < size; i++) {
        (void)put_escaped(to, &at, to_bytes, (unsigned char)value[i]);
    }
    return put_text(to, at, to_bytes, "\"");
}

/* Repeats "key=value ..." as ,"key":value... */
static size_t put_json_fields(char *to, size_t at, size_t to_bytes, const char *fields)
{
    while (*(fields += strspn(fields, " ")) != '\0') {
        size_t key = strcspn(fields, "= ");

        if (at + 4 * (key + 16) + 6 * (fields[key] == '=' ? value_size(fields + key + 1) : 0) > to_bytes) {
            break; /* an object with fewer members is better than half an object */
        }
        at = put_text(to, at, to_bytes, ",\"");
        for (size_t i = 0; i < key; i++) {
            (void)put_escaped(to, &at, to_bytes, (unsigned char)fields[i]);
        }
        at = put_text(to, at, to_bytes, "\":");
        fields += key;
        if (*fields == '=') {
            size_t size = value_size(fields + 1);

            at = put_json_value(to, at, to_bytes, fields + 1, size);
            fields += 1 + size;
        } else {
            at = put_text(to, at, to_bytes, "true");
        }
    }
    return at;
}

size_t log_format_line(const struct log *log, uint64_t wall_clock_ms, enum replica_log_level level,
                       const char *event, const char *fields, char *to, size_t to_bytes)
{
    time_t seconds = (time_t)(wall_clock_ms / 1000);
    struct tm utc;
    char stamp[32], start[256];
    bool json = log->format == LOG_FORMAT_JSON;

    if (gmtime_r(&seconds, &utc) == NULL || strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc) == 0) {
        stamp[0] = '\0';
    }
    (void)snprintf(start, sizeof start,
                   json ? "{\"time\":\"%s.%03uZ\",\"level\":\"%s\",\"event\":\"%s\",\"node\":%" PRIu64
                        : "%s.%03uZ level=%s event=%s node=%" PRIu64,
                   stamp, (unsigned)(wall_clock_ms % 1000), level_names[level], event, log->node_id);
    size_t room = to_bytes - 3; /* for the end of the line */
    size_t at = put_text(to, 0, room, start);

    if (json) {
        at = put_json_fields(to, at, room, fields);
        at = put_text(to, at, to_bytes, "}");
    } else if (*fields != '\0') {
        at = put_text(to, at, room, " ");
        size_t first = at;

        at = put_text(to, at, room, fields);
        for (size_t i = first; i < at; i++) {
            if ((unsigned char)to[i] < ' ' || to[i] == 0x7f) {
                to[i] = '?';
            }
        }
    }
    return put_text(to, at, to_bytes, "\n");
}

void log_event(const struct log *log, enum replica_log_level level, const char *event, const char *fields)
{
    char line[LINE_BYTES_MAX];
    struct timespec now;

    if (level < log->level_min) {
        return;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    size_t size = log_format_line(log, ms, level, event, fields, line, sizeof line);

    struct pollfd to = {log->file, POLLOUT, 0};

    if (poll(&to, 1, 0) == 1) {
        ssize_t written = write(log->file, line, size);

        (void)written; /* nobody could be told */
    }
}
