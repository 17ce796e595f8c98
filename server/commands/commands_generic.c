/* commands_generic.c: DEL, EXISTS, TYPE, DBSIZE, FLUSHALL, SCAN, and kvd's own purge. */
#include "command_functions.h"
#include "command_text.h"
#include "key_access.h"
#include "number_parse.h"

#include <assert.h>
#include <string.h>

enum {
    SCAN_COUNT_DEFAULT = 10,
    SCAN_COUNT_MAX = 1000,         /* of one call, whatever COUNT says: the loop must not be held */
    SCAN_PATTERN_BYTES_MAX = 1024, /* matching costs pattern * key at worst */
};

void command_del(struct command_context *context)
{
    int64_t removed = 0;
    for (uint32_t i = 1; i < context->arguments_count; i++) {
        const struct argument *key = &context->arguments[i];
        struct map_value value;
        /* What has expired goes, too, but does not count. */
        bool found = key_find(context, key, &value);
        if (map_delete(context->map, key->bytes, key->size) && found) {
            removed++;
        }
    }
    reply_integer(context->reply, removed);
}

void command_exists(struct command_context *context)
{
    int64_t found = 0;
    for (uint32_t i = 1; i < context->arguments_count; i++) {
        struct map_value value;
        if (key_find(context, &context->arguments[i], &value)) {
            found++;
        }
    }
    reply_integer(context->reply, found);
}

static const char *type_name(enum map_value_type type)
{
    switch (type) {
    case MAP_VALUE_STRING:
        return "string";
    }
    return "unknown";
}

void command_type(struct command_context *context)
{
    struct map_value value;
    bool found = key_find(context, &context->arguments[1], &value);
    reply_simple(context->reply, found ? type_name(value.type) : "none");
}

void command_dbsize(struct command_context *context)
{
    reply_integer(context->reply, (int64_t)map_get_meta(context->map)->key_count);
}

/* ---- FLUSHALL, FLUSHDB ---- */

const char *command_check_flush(const struct command *command, const struct argument *arguments,
                                uint32_t count, char *buffer, size_t buffer_bytes)
{
    (void)command, (void)buffer, (void)buffer_bytes;
    if (count == 1 ||
        (count == 2 && (command_word_is(&arguments[1], "async") || command_word_is(&arguments[1], "sync")))) {
        return NULL;
    }
    return ERROR_SYNTAX;
}

void command_flush(struct command_context *context)
{
    const char *error =
        command_check_flush(context->command, context->arguments, context->arguments_count, NULL, 0);
    if (error != NULL) {
        reply_error(context->reply, error);
        return;
    }
    map_clear(context->map);
    reply_simple(context->reply, "OK");
}

/* ---- SCAN ---- */

struct scan_options {
    uint64_t cursor;
    size_t count;
    const struct argument *pattern; /* NULL: all */
    const struct argument *type;    /* NULL: all */
};

static const char *scan_parse(const struct argument *arguments, uint32_t count, struct scan_options *options)
{
    *options = (struct scan_options){.count = SCAN_COUNT_DEFAULT};
    if (!number_parse_uint64(arguments[1].bytes, arguments[1].size, &options->cursor)) {
        return "ERR invalid cursor";
    }
    for (uint32_t i = 2; i < count; i += 2) {
        const struct argument *word = &arguments[i];
        if (i + 1 == count) {
            return ERROR_SYNTAX;
        }
        const struct argument *value = &arguments[i + 1];
        if (command_word_is(word, "count")) {
            int64_t number;
            if (!number_parse_int64(value->bytes, value->size, &number)) {
                return ERROR_NOT_AN_INTEGER;
            }
            if (number < 1) {
                return ERROR_SYNTAX;
            }
            options->count = number > SCAN_COUNT_MAX ? SCAN_COUNT_MAX : (size_t)number;
        } else if (command_word_is(word, "match")) {
            if (value->size > SCAN_PATTERN_BYTES_MAX) {
                return "ERR pattern is too long";
            }
            options->pattern = value->size == 1 && value->bytes[0] == '*' ? NULL : value;
        } else if (command_word_is(word, "type")) {
            options->type = value;
        } else {
            return ERROR_SYNTAX;
        }
    }
    return NULL;
}

const char *command_check_scan(const struct command *command, const struct argument *arguments,
                               uint32_t count, char *buffer, size_t buffer_bytes)
{
    (void)command, (void)buffer, (void)buffer_bytes;
    struct scan_options options;
    return scan_parse(arguments, count, &options);
}

struct scan_walk {
    struct command_context *context;
    const struct scan_options *options;
    struct byte_buffer keys; /* as replies, for their number comes first and is not known yet */
    size_t keys_count;
};

static void scan_visit(void *walk_pointer, const uint8_t *key, size_t key_size, const struct map_value *value)
{
    struct scan_walk *walk = walk_pointer;
    const struct scan_options *options = walk->options;
    if (options->pattern != NULL &&
        !command_glob_match(options->pattern->bytes, options->pattern->size, key, key_size, false)) {
        return;
    }
    if (options->type != NULL && !command_word_is(options->type, type_name(value->type))) {
        return;
    }
    if (!key_is_visible(walk->context, value)) {
        return;
    }
    struct reply reply = {.out = &walk->keys, .protocol = walk->context->reply->protocol};
    reply_bulk(&reply, key, key_size);
    walk->keys_count++;
}

void command_scan(struct command_context *context)
{
    struct scan_options options;
    const char *error = scan_parse(context->arguments, context->arguments_count, &options);
    if (error != NULL) {
        reply_error(context->reply, error);
        return;
    }
    struct scan_walk walk = {.context = context, .options = &options};
    uint64_t next = map_scan(context->map, options.cursor, options.count, scan_visit, &walk);
    char cursor[NUMBER_TEXT_BYTES_MAX];
    reply_array(context->reply, 2);
    reply_bulk(context->reply, cursor, number_write_uint64(cursor, next));
    reply_array(context->reply, walk.keys_count);
    if (context->reply->out != NULL && walk.keys_count > 0) {
        byte_buffer_append(context->reply->out, byte_buffer_front(&walk.keys), byte_buffer_size(&walk.keys));
    }
    byte_buffer_deinit(&walk.keys);
}

/* ---- kvd.purge ---- */

enum { PURGE_TIME_BYTES = 8 };

const char *command_check_purge(const struct command *command, const struct argument *arguments,
                                uint32_t count, char *buffer, size_t buffer_bytes)
{
    (void)command, (void)buffer, (void)buffer_bytes;
    assert(count == 2);
    return arguments[1].size == PURGE_TIME_BYTES ? NULL : ERROR_SYNTAX;
}

void command_purge(struct command_context *context)
{
    if (context->arguments[1].size != PURGE_TIME_BYTES) {
        reply_error(context->reply, ERROR_SYNTAX);
        return;
    }
    uint64_t until_ms = 0;
    for (int i = PURGE_TIME_BYTES - 1; i >= 0; i--) {
        until_ms = until_ms << 8 | context->arguments[1].bytes[i];
    }
    /* Never what has not expired by log time yet, whoever proposed it. */
    if (until_ms > context->log_time_ms) {
        until_ms = context->log_time_ms;
    }
    reply_integer(context->reply, (int64_t)map_purge(context->map, until_ms, COMMAND_PURGE_KEYS_MAX));
}
