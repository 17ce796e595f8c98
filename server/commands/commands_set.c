/* commands_set.c: SET with all its options, SETNX, SETEX, PSETEX, and GETEX, which shares the words for
 * expiry.
 *
 * A relative expiry is added to log time when the command is applied, so that every node gets the same sum.
 */
#include "command_functions.h"
#include "command_text.h"
#include "key_access.h"
#include "number_parse.h"

#include <assert.h>
#include <stdio.h>

enum expiry_kind { EXPIRY_NONE, EXPIRY_EX, EXPIRY_PX, EXPIRY_EXAT, EXPIRY_PXAT };

struct set_options {
    bool nx, xx, get, keep_ttl, persist;
    enum expiry_kind expiry;
    const struct argument *expiry_number;
};

static bool is_expiry_word(const struct argument *word, enum expiry_kind *kind)
{
    static const struct {
        const char *word;
        enum expiry_kind kind;
    } WORDS[] = {{"ex", EXPIRY_EX}, {"px", EXPIRY_PX}, {"exat", EXPIRY_EXAT}, {"pxat", EXPIRY_PXAT}};
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        if (command_word_is(word, WORDS[i].word)) {
            *kind = WORDS[i].kind;
            return true;
        }
    }
    return false;
}

/* Which words exclude which is Redis' rule: one kind of expiry at most, though the same word may come twice.
 */
static bool set_parse_options(const struct argument *arguments, uint32_t count, uint32_t first, bool is_getex,
                              struct set_options *options)
{
    *options = (struct set_options){0};
    for (uint32_t i = first; i < count; i++) {
        const struct argument *word = &arguments[i];
        enum expiry_kind kind;
        bool no_expiry = options->expiry == EXPIRY_NONE;
        if (!is_getex && command_word_is(word, "nx") && !options->xx) {
            options->nx = true;
        } else if (!is_getex && command_word_is(word, "xx") && !options->nx) {
            options->xx = true;
        } else if (!is_getex && command_word_is(word, "get")) {
            options->get = true;
        } else if (!is_getex && command_word_is(word, "keepttl") && no_expiry) {
            options->keep_ttl = true;
        } else if (is_getex && command_word_is(word, "persist") && no_expiry) {
            options->persist = true;
        } else if (is_expiry_word(word, &kind) && i + 1 < count && !options->keep_ttl && !options->persist &&
                   (no_expiry || options->expiry == kind)) {
            options->expiry = kind;
            options->expiry_number = &arguments[++i];
        } else {
            return false;
        }
    }
    return true;
}

/* When the key expires. NULL, or the error; before the log, with base_ms 0, it finds all but overflow by the
 * time. */
static const char *set_parse_expiry(const struct command *command, enum expiry_kind kind,
                                    const struct argument *word, uint64_t base_ms, uint64_t *expiry_ms,
                                    char *buffer, size_t buffer_bytes)
{
    int64_t number;
    if (!number_parse_int64(word->bytes, word->size, &number)) {
        return ERROR_NOT_AN_INTEGER;
    }
    bool is_seconds = kind == EXPIRY_EX || kind == EXPIRY_EXAT;
    bool is_relative = kind == EXPIRY_EX || kind == EXPIRY_PX;
    bool fits = number > 0 && !(is_seconds && number > INT64_MAX / 1000);
    if (fits) {
        *expiry_ms = (uint64_t)(is_seconds ? number * 1000 : number);
        if (is_relative) {
            fits = base_ms <= INT64_MAX && *expiry_ms <= INT64_MAX - base_ms;
            *expiry_ms += base_ms;
        }
    }
    if (fits) {
        return NULL;
    }
    snprintf(buffer, buffer_bytes, "ERR invalid expire time in '%s' command", command->name);
    return buffer;
}

/* ---- SET ---- */

static const char *set_parse(const struct command *command, const struct argument *arguments, uint32_t count,
                             uint64_t base_ms, struct set_options *options, uint64_t *expiry_ms, char *buffer,
                             size_t buffer_bytes)
{
    *expiry_ms = 0;
    if (!set_parse_options(arguments, count, 3, false, options)) {
        return ERROR_SYNTAX;
    }
    if (options->expiry == EXPIRY_NONE) {
        return NULL;
    }
    return set_parse_expiry(command, options->expiry, options->expiry_number, base_ms, expiry_ms, buffer,
                            buffer_bytes);
}

const char *command_check_set(const struct command *command, const struct argument *arguments, uint32_t count,
                              char *buffer, size_t buffer_bytes)
{
    struct set_options options;
    uint64_t expiry_ms;
    return set_parse(command, arguments, count, 0, &options, &expiry_ms, buffer, buffer_bytes);
}

void command_set(struct command_context *context)
{
    const struct argument *key = &context->arguments[1];
    const struct argument *new_value = &context->arguments[2];
    struct set_options options = {0};
    uint64_t expiry_ms = 0;
    if (context->arguments_count > 3) {
        char buffer[COMMAND_ERROR_BYTES_MAX];
        const char *error = set_parse(context->command, context->arguments, context->arguments_count,
                                      context->log_time_ms, &options, &expiry_ms, buffer, sizeof buffer);
        if (error != NULL) {
            reply_error(context->reply, error);
            return;
        }
    }
    bool found = false;
    if (options.nx || options.xx || options.get || options.keep_ttl) {
        struct map_value value;
        found = key_find(context, key, &value);
        if (found && options.keep_ttl) {
            expiry_ms = value.expiry_ms;
        }
        if (found && options.get) {
            reply_bulk(context->reply, value.bytes, value.size);
        }
    }
    bool refused = (options.nx && found) || (options.xx && !found);
    if (options.get && !found) {
        reply_null(context->reply);
    } else if (refused && !options.get) {
        reply_null(context->reply);
    }
    if (refused) {
        return;
    }
    key_store(context, key, new_value->bytes, new_value->size, expiry_ms);
    if (!options.get) {
        reply_simple(context->reply, "OK");
    }
}

void command_setnx(struct command_context *context)
{
    const struct argument *key = &context->arguments[1];
    struct map_value value;
    bool found = key_find(context, key, &value);
    if (!found) {
        key_store(context, key, context->arguments[2].bytes, context->arguments[2].size, 0);
    }
    reply_integer(context->reply, found ? 0 : 1);
}

/* ---- SETEX, PSETEX: key, time, value ---- */

const char *command_check_setex(const struct command *command, const struct argument *arguments,
                                uint32_t count, char *buffer, size_t buffer_bytes)
{
    assert(count == 4);
    uint64_t expiry_ms;
    enum expiry_kind kind = command->run == command_psetex ? EXPIRY_PX : EXPIRY_EX;
    return set_parse_expiry(command, kind, &arguments[2], 0, &expiry_ms, buffer, buffer_bytes);
}

static void setex_run(struct command_context *context, enum expiry_kind kind)
{
    char buffer[COMMAND_ERROR_BYTES_MAX];
    uint64_t expiry_ms;
    const char *error = set_parse_expiry(context->command, kind, &context->arguments[2], context->log_time_ms,
                                         &expiry_ms, buffer, sizeof buffer);
    if (error != NULL) {
        reply_error(context->reply, error);
        return;
    }
    key_store(context, &context->arguments[1], context->arguments[3].bytes, context->arguments[3].size,
              expiry_ms);
    reply_simple(context->reply, "OK");
}

void command_setex(struct command_context *context)
{
    setex_run(context, EXPIRY_EX);
}

void command_psetex(struct command_context *context)
{
    setex_run(context, EXPIRY_PX);
}

/* ---- GETEX ---- */

/* The number is not looked at here: as in Redis, it may be anything when the key does not exist. */
const char *command_check_getex(const struct command *command, const struct argument *arguments,
                                uint32_t count, char *buffer, size_t buffer_bytes)
{
    (void)command, (void)buffer, (void)buffer_bytes;
    struct set_options options;
    return set_parse_options(arguments, count, 2, true, &options) ? NULL : ERROR_SYNTAX;
}

void command_getex(struct command_context *context)
{
    const struct argument *key = &context->arguments[1];
    struct set_options options;
    struct map_value value;
    if (!set_parse_options(context->arguments, context->arguments_count, 2, true, &options)) {
        reply_error(context->reply, ERROR_SYNTAX);
        return;
    }
    if (!key_find(context, key, &value)) {
        reply_null(context->reply);
        return;
    }
    uint64_t expiry_ms = 0;
    if (options.expiry != EXPIRY_NONE) {
        char buffer[COMMAND_ERROR_BYTES_MAX];
        const char *error = set_parse_expiry(context->command, options.expiry, options.expiry_number,
                                             context->log_time_ms, &expiry_ms, buffer, sizeof buffer);
        if (error != NULL) {
            reply_error(context->reply, error);
            return;
        }
    }
    reply_bulk(context->reply, value.bytes, value.size);
    if (options.expiry != EXPIRY_NONE || (options.persist && value.expiry_ms != 0)) {
        key_store_expiry(context, key, expiry_ms);
    }
}
