/* commands_string.c: GET, MGET, STRLEN, APPEND, GETDEL, GETSET, MSET, MSETNX. SET is in commands_set.c. */
#include "command_functions.h"
#include "command_text.h"
#include "key_access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reply_value_or_null(struct command_context *context, bool found, const struct map_value *value)
{
    if (found) {
        reply_bulk(context->reply, value->bytes, value->size);
    } else {
        reply_null(context->reply);
    }
}

void command_get(struct command_context *context)
{
    struct map_value value;
    bool found = key_find(context, &context->arguments[1], &value);
    reply_value_or_null(context, found, &value);
}

/* The same large value asked for a thousand times in one request must not fill the memory. */
void command_mget(struct command_context *context)
{
    struct byte_buffer *out = context->reply->out;
    size_t before_bytes = out == NULL ? 0 : byte_buffer_size(out);
    reply_array(context->reply, context->arguments_count - 1);
    for (uint32_t i = 1; i < context->arguments_count; i++) {
        struct map_value value;
        bool found = key_find(context, &context->arguments[i], &value);
        reply_value_or_null(context, found, &value);
        if (out != NULL && byte_buffer_size(out) - before_bytes > COMMAND_REPLY_BYTES_MAX) {
            out->end = out->start + before_bytes;
            reply_error_format(context->reply, "ERR reply is too long: at most %d bytes are possible",
                               COMMAND_REPLY_BYTES_MAX);
            return;
        }
    }
}

void command_strlen(struct command_context *context)
{
    struct map_value value;
    bool found = key_find(context, &context->arguments[1], &value);
    reply_integer(context->reply, found ? (int64_t)value.size : 0);
}

void command_append(struct command_context *context)
{
    const struct argument *key = &context->arguments[1];
    const struct argument *more = &context->arguments[2];
    struct map_value value;
    if (!key_find(context, key, &value)) {
        key_store(context, key, more->bytes, more->size, 0);
        reply_integer(context->reply, (int64_t)more->size);
        return;
    }
    if (more->size > MAP_VALUE_BYTES_MAX || value.size > MAP_VALUE_BYTES_MAX - more->size) {
        reply_error(context->reply, ERROR_STRING_TOO_LONG);
        return;
    }
    size_t size = value.size + more->size;
    uint8_t *bytes = malloc(size + 1);
    if (bytes == NULL) {
        abort();
    }
    if (value.size > 0) {
        memcpy(bytes, value.bytes, value.size);
    }
    if (more->size > 0) {
        memcpy(bytes + value.size, more->bytes, more->size);
    }
    key_store(context, key, bytes, size, value.expiry_ms);
    free(bytes);
    reply_integer(context->reply, (int64_t)size);
}

void command_getdel(struct command_context *context)
{
    const struct argument *key = &context->arguments[1];
    struct map_value value;
    bool found = key_find(context, key, &value);
    reply_value_or_null(context, found, &value);
    if (found) {
        map_delete(context->map, key->bytes, key->size);
    }
}

void command_getset(struct command_context *context)
{
    const struct argument *key = &context->arguments[1];
    struct map_value value;
    bool found = key_find(context, key, &value);
    reply_value_or_null(context, found, &value);
    key_store(context, key, context->arguments[2].bytes, context->arguments[2].size, 0);
}

const char *command_check_pairs(const struct command *command, const struct argument *arguments,
                                uint32_t count, char *buffer, size_t buffer_bytes)
{
    (void)arguments;
    if (count % 2 == 1) {
        return NULL;
    }
    snprintf(buffer, buffer_bytes, "ERR wrong number of arguments for '%s' command", command->name);
    return buffer;
}

/* False: the arguments are not pairs, and that was answered. */
static bool check_pairs(struct command_context *context)
{
    char buffer[COMMAND_ERROR_BYTES_MAX];
    const char *error = command_check_pairs(context->command, context->arguments, context->arguments_count,
                                            buffer, sizeof buffer);
    if (error != NULL) {
        reply_error(context->reply, error);
    }
    return error == NULL;
}

static void store_pairs(struct command_context *context)
{
    for (uint32_t i = 1; i + 1 < context->arguments_count; i += 2) {
        const struct argument *value = &context->arguments[i + 1];
        key_store(context, &context->arguments[i], value->bytes, value->size, 0);
    }
}

void command_mset(struct command_context *context)
{
    if (!check_pairs(context)) {
        return;
    }
    store_pairs(context);
    reply_simple(context->reply, "OK");
}

void command_msetnx(struct command_context *context)
{
    if (!check_pairs(context)) {
        return;
    }
    for (uint32_t i = 1; i < context->arguments_count; i += 2) {
        struct map_value value;
        if (key_find(context, &context->arguments[i], &value)) {
            reply_integer(context->reply, 0);
            return;
        }
    }
    store_pairs(context);
    reply_integer(context->reply, 1);
}
