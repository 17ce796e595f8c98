/* commands_expiry.c: EXPIRE and its relatives, TTL and its relatives, PERSIST.
 *
 * Setting: relative to log time. Asking: what is left by the reader's clock, which is never behind log time.
 */
#include "command_functions.h"
#include "command_text.h"
#include "key_access.h"
#include "number_parse.h"

#include <stdio.h>

enum { MS_PER_SECOND = 1000 };

struct expire_options {
    bool nx, xx, gt, lt;
};

static const char *expire_parse_options(const struct argument *arguments, uint32_t count,
                                        struct expire_options *options, char *buffer, size_t buffer_bytes)
{
    *options = (struct expire_options){0};
    for (uint32_t i = 3; i < count; i++) {
        const struct argument *word = &arguments[i];
        if (command_word_is(word, "nx")) {
            options->nx = true;
        } else if (command_word_is(word, "xx")) {
            options->xx = true;
        } else if (command_word_is(word, "gt")) {
            options->gt = true;
        } else if (command_word_is(word, "lt")) {
            options->lt = true;
        } else {
            int size = word->size > 128 ? 128 : (int)word->size;
            snprintf(buffer, buffer_bytes, "ERR Unsupported option %.*s", size, (const char *)word->bytes);
            return buffer;
        }
    }
    if (options->nx && (options->xx || options->gt || options->lt)) {
        return "ERR NX and XX, GT or LT options at the same time are not compatible";
    }
    if (options->gt && options->lt) {
        return "ERR GT and LT options at the same time are not compatible";
    }
    return NULL;
}

/* Options and the time; base_ms 0 where the time is absolute, or is not known yet. */
static const char *expire_parse(const struct command *command, const struct argument *arguments,
                                uint32_t count, int64_t base_ms, struct expire_options *options,
                                int64_t *when_ms, char *buffer, size_t buffer_bytes)
{
    const char *error = expire_parse_options(arguments, count, options, buffer, buffer_bytes);
    if (error != NULL) {
        return error;
    }
    int64_t number;
    if (!number_parse_int64(arguments[2].bytes, arguments[2].size, &number)) {
        return ERROR_NOT_AN_INTEGER;
    }
    bool is_seconds = command->run == command_expire || command->run == command_expireat;
    if (!__builtin_mul_overflow(number, is_seconds ? MS_PER_SECOND : 1, &number) &&
        !__builtin_add_overflow(number, base_ms, when_ms)) {
        return NULL;
    }
    snprintf(buffer, buffer_bytes, "ERR invalid expire time in '%s' command", command->name);
    return buffer;
}

const char *command_check_expire(const struct command *command, const struct argument *arguments,
                                 uint32_t count, char *buffer, size_t buffer_bytes)
{
    struct expire_options options;
    int64_t when_ms;
    return expire_parse(command, arguments, count, 0, &options, &when_ms, buffer, buffer_bytes);
}

/* A key without an expiry counts as one that expires after all others. */
static bool expire_applies(const struct expire_options *options, const struct map_value *value,
                           int64_t when_ms)
{
    bool has_expiry = value->expiry_ms != 0;
    int64_t current_ms = (int64_t)value->expiry_ms;
    if (options->nx && has_expiry) {
        return false;
    }
    if (options->xx && !has_expiry) {
        return false;
    }
    if (options->gt && (!has_expiry || when_ms <= current_ms)) {
        return false;
    }
    return !(options->lt && has_expiry && when_ms >= current_ms);
}

static void expire_run(struct command_context *context, bool is_relative)
{
    const struct argument *key = &context->arguments[1];
    char buffer[COMMAND_ERROR_BYTES_MAX];
    struct expire_options options;
    int64_t when_ms;
    int64_t base_ms = is_relative ? (int64_t)context->log_time_ms : 0;
    const char *error = expire_parse(context->command, context->arguments, context->arguments_count, base_ms,
                                     &options, &when_ms, buffer, sizeof buffer);
    if (error != NULL) {
        reply_error(context->reply, error);
        return;
    }
    struct map_value value;
    if (!key_find(context, key, &value) || !expire_applies(&options, &value, when_ms)) {
        reply_integer(context->reply, 0);
        return;
    }
    if (when_ms <= 0) {
        map_delete(context->map, key->bytes, key->size);
    } else {
        key_store_expiry(context, key, (uint64_t)when_ms);
    }
    reply_integer(context->reply, 1);
}

void command_expire(struct command_context *context)
{
    expire_run(context, true);
}

void command_pexpire(struct command_context *context)
{
    expire_run(context, true);
}

void command_expireat(struct command_context *context)
{
    expire_run(context, false);
}

void command_pexpireat(struct command_context *context)
{
    expire_run(context, false);
}

/* -2: no key, -1: no expiry; else what is left, or the time itself. Seconds are rounded to the nearest. */
static void ttl_run(struct command_context *context, uint64_t now_ms, bool is_seconds)
{
    struct map_value value;
    if (!key_find(context, &context->arguments[1], &value)) {
        reply_integer(context->reply, -2);
        return;
    }
    if (value.expiry_ms == 0) {
        reply_integer(context->reply, -1);
        return;
    }
    uint64_t left_ms = value.expiry_ms > now_ms ? value.expiry_ms - now_ms : 0;
    reply_integer(context->reply,
                  (int64_t)(is_seconds ? (left_ms + MS_PER_SECOND / 2) / MS_PER_SECOND : left_ms));
}

void command_ttl(struct command_context *context)
{
    ttl_run(context, context->clock_ms, true);
}

void command_pttl(struct command_context *context)
{
    ttl_run(context, context->clock_ms, false);
}

void command_expiretime(struct command_context *context)
{
    ttl_run(context, 0, true);
}

void command_pexpiretime(struct command_context *context)
{
    ttl_run(context, 0, false);
}

void command_persist(struct command_context *context)
{
    const struct argument *key = &context->arguments[1];
    struct map_value value;
    bool changes = key_find(context, key, &value) && value.expiry_ms != 0;
    if (changes) {
        key_store_expiry(context, key, 0);
    }
    reply_integer(context->reply, changes ? 1 : 0);
}
