/* linearizability_describe.c: operations and reports in lines for a person. */
#include "linearizability.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    VALUE_BYTES_SHOWN = 24,
    PLACED_SHOWN = 8,
    PENDING_SHOWN = 16,
    US_PER_SECOND = 1000 * 1000,
};

struct text {
    char *bytes;
    size_t size, bytes_max;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Cuts what does not fit. */
static void add(struct text *text, const char *format, ...)
{
    if (text->size + 1 >= text->bytes_max) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text->bytes + text->size, text->bytes_max - text->size, format, arguments);
    va_end(arguments);
    if (size < 0) {
        abort();
    }
    size_t left = text->bytes_max - text->size - 1;
    text->size += (size_t)size < left ? (size_t)size : left;
}

static void add_time(struct text *text, uint64_t time_us)
{
    if (time_us == UINT64_MAX) {
        add(text, "never");
        return;
    }
    add(text, "%" PRIu64 ".%06" PRIu64, time_us / US_PER_SECOND, time_us % US_PER_SECOND);
}

static void add_bytes(struct text *text, const uint8_t *bytes, size_t size)
{
    add(text, "\"");
    for (size_t i = 0; i < size && i < VALUE_BYTES_SHOWN; i++) {
        if (bytes[i] >= ' ' && bytes[i] < 127 && bytes[i] != '"' && bytes[i] != '\\') {
            add(text, "%c", bytes[i]);
        } else {
            add(text, "\\x%02x", bytes[i]);
        }
    }
    add(text, "\"");
    if (size > VALUE_BYTES_SHOWN) {
        add(text, "... (%zu bytes)", size);
    }
}

static const char *kind_name(enum history_kind kind)
{
    switch (kind) {
    case HISTORY_GET:
        return "GET";
    case HISTORY_SET:
        return "SET";
    case HISTORY_GETSET:
        return "GETSET";
    case HISTORY_GETDEL:
        return "GETDEL";
    case HISTORY_SETNX:
        return "SETNX";
    case HISTORY_DEL:
        return "DEL";
    case HISTORY_EXISTS:
        return "EXISTS";
    case HISTORY_INCRBY:
        return "INCRBY";
    case HISTORY_APPEND:
        return "APPEND";
    case HISTORY_STRLEN:
        return "STRLEN";
    case HISTORY_EXPIRE:
        return "EXPIRE";
    case HISTORY_PERSIST:
        return "PERSIST";
    case HISTORY_TTL:
        return "TTL";
    case HISTORY_GETEX:
        return "GETEX";
    }
    abort();
}

static void add_command(struct text *text, const struct history_operation *operation)
{
    static const struct {
        uint32_t option;
        const char *word;
    } WORDS[] = {{HISTORY_NX, "NX"},
                 {HISTORY_XX, "XX"},
                 {HISTORY_RETURN_OLD, "GET"},
                 {HISTORY_KEEPTTL, "KEEPTTL"},
                 {HISTORY_REMOVE_EXPIRY, "PERSIST"},
                 {HISTORY_GT, "GT"},
                 {HISTORY_LT, "LT"}};
    add(text, "%s", kind_name(operation->kind));
    if (operation->kind == HISTORY_SET || operation->kind == HISTORY_GETSET ||
        operation->kind == HISTORY_SETNX || operation->kind == HISTORY_APPEND) {
        add(text, " ");
        add_bytes(text, operation->bytes, operation->size);
    } else if (operation->kind == HISTORY_INCRBY) {
        add(text, " %" PRId64, operation->delta);
    }
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        if ((operation->options & WORDS[i].option) != 0) {
            add(text, " %s", WORDS[i].word);
        }
    }
    if (operation->kind == HISTORY_EXPIRE || (operation->options & HISTORY_EXPIRY) != 0) {
        add(text, " expires ");
        add_time(text, operation->expiry_earliest_us);
        add(text, "..");
        add_time(text, operation->expiry_latest_us);
    }
}

static void add_answer(struct text *text, const struct history_operation *operation)
{
    add(text, " -> ");
    switch (operation->outcome) {
    case HISTORY_DONE_UNCHECKED:
        add(text, "done");
        return;
    case HISTORY_UNKNOWN:
        add(text, "unknown");
        return;
    case HISTORY_DONE:
        break;
    }
    switch (operation->reply) {
    case HISTORY_OK:
        add(text, "OK");
        return;
    case HISTORY_NIL:
        add(text, "nil");
        return;
    case HISTORY_INTEGER:
        add(text, "%" PRId64, operation->reply_integer);
        return;
    case HISTORY_BYTES:
        add_bytes(text, operation->reply_bytes, operation->reply_size);
        return;
    case HISTORY_ERROR:
        add(text, "an error");
        return;
    }
    abort();
}

static void add_operation(struct text *text, const struct history_operation *operation)
{
    add(text, "[");
    add_time(text, operation->invoked_us);
    add(text, ", ");
    add_time(text, operation->outcome == HISTORY_UNKNOWN ? UINT64_MAX : operation->returned_us);
    add(text, "] client %" PRIu64 ", connection %" PRIu64 ", %" PRIu64 ": ", operation->client,
        operation->connection, operation->sequence);
    add_command(text, operation);
    add_answer(text, operation);
}

size_t history_operation_describe(const struct history_operation *operation, char *text, size_t text_bytes)
{
    struct text line = {.bytes = text, .bytes_max = text_bytes};
    if (text_bytes > 0) {
        text[0] = '\0';
    }
    add_operation(&line, operation);
    return line.size;
}

static void add_line(struct text *text, const char *indent, const struct history_operation *operation)
{
    add(text, "%s", indent);
    add_operation(text, operation);
    add(text, "\n");
}

/* The end of the order, and what else was under way when the unexplained operation was answered. */
static void add_explanation(struct text *text, const struct history_operation *operations, size_t count,
                            const struct linearizability_report *report)
{
    bool *is_placed = calloc(count, sizeof *is_placed);
    if (is_placed == NULL) {
        abort();
    }
    for (size_t i = 0; i < report->order_count; i++) {
        is_placed[report->order[i]] = true;
    }
    size_t first = report->order_count > PLACED_SHOWN ? report->order_count - PLACED_SHOWN : 0;
    add(text, "the longest order explains %zu of %zu operations; it ends:\n", report->order_count, count);
    for (size_t i = first; i < report->order_count; i++) {
        add_line(text, "  ", &operations[report->order[i]]);
    }
    const struct history_operation *unexplained = &operations[report->unexplained];
    add_line(text, "nothing explains:\n  ", unexplained);
    add(text, "what else had been called and has no place:\n");
    size_t pending = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_placed[i] && i != report->unexplained &&
            operations[i].invoked_us <= unexplained->returned_us && ++pending <= PENDING_SHOWN) {
            add_line(text, "  ", &operations[i]);
        }
    }
    if (pending > PENDING_SHOWN) {
        add(text, "  and %zu more\n", pending - PENDING_SHOWN);
    }
    free(is_placed);
}

size_t linearizability_describe(const struct history_operation *operations, size_t count,
                                const struct linearizability_report *report, char *text, size_t text_bytes)
{
    struct text lines = {.bytes = text, .bytes_max = text_bytes};
    if (text_bytes > 0) {
        text[0] = '\0';
    }
    switch (report->verdict) {
    case LINEARIZABLE:
        add(&lines, "linearizable: %zu operations, %" PRIu64 " steps\n", count, report->steps);
        break;
    case NOT_LINEARIZABLE:
        add(&lines, "not linearizable (%" PRIu64 " steps): ", report->steps);
        add_explanation(&lines, operations, count, report);
        break;
    case LINEARIZABILITY_GAVE_UP:
        add(&lines, "gave up after %" PRIu64 " steps: ", report->steps);
        add_explanation(&lines, operations, count, report);
        break;
    }
    return lines.size;
}
