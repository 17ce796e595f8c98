/* command_run.c: what holds for every command: arity, sizes, subcommands, unknown names. */
#include "command_functions.h"
#include "command_text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_BYTES_MAX = 128 }; /* of a client's words in an error text, as in Redis */

bool command_arity_fits(int arity, uint32_t count)
{
    return arity >= 0 ? count == (uint32_t)arity : count >= (uint32_t)-arity;
}

/* Key positions: first, and one past the last; false when the command has no keys. */
static bool key_range(const struct command *command, uint32_t count, uint32_t *first, uint32_t *end)
{
    if (command->first_key == 0 || (uint32_t)command->first_key >= count) {
        return false;
    }
    *first = (uint32_t)command->first_key;
    *end = command->last_key < 0 ? count + 1 - (uint32_t)-command->last_key : (uint32_t)command->last_key + 1;
    assert(*end <= count);
    return true;
}

uint32_t command_first_key(const struct command *command, const struct argument *arguments, uint32_t count)
{
    return command_next_key(command, arguments, count, 0);
}

uint32_t command_next_key(const struct command *command, const struct argument *arguments, uint32_t count,
                          uint32_t before)
{
    (void)arguments;
    uint32_t first, end;
    if (!command_arity_fits(command->arity, count) || !key_range(command, count, &first, &end)) {
        return 0;
    }
    uint32_t step = (uint32_t)command->key_step;
    uint32_t next = before < first ? first : before + step;
    return next < end ? next : 0;
}

/* NULL when all keys and values fit into the map. */
static const char *check_sizes(const struct command *command, const struct argument *arguments,
                               uint32_t count, char *buffer, size_t buffer_bytes)
{
    uint32_t first, end;
    if (key_range(command, count, &first, &end)) {
        uint32_t step = (uint32_t)command->key_step;
        for (uint32_t i = first; i < end; i += step) {
            if (arguments[i].size > MAP_KEY_BYTES_MAX) {
                snprintf(buffer, buffer_bytes, "ERR key is too long: %zu bytes, at most %d are possible",
                         arguments[i].size, MAP_KEY_BYTES_MAX);
                return buffer;
            }
        }
    }
    if ((command->flags & COMMAND_WRITE) != 0) {
        for (uint32_t i = 1; i < count; i++) {
            if (arguments[i].size > MAP_VALUE_BYTES_MAX) {
                return ERROR_STRING_TOO_LONG;
            }
        }
    }
    return NULL;
}

const char *command_validate(const struct command *command, const struct argument *arguments, uint32_t count,
                             char *buffer, size_t buffer_bytes)
{
    assert(count > 0 && buffer_bytes > 0);
    if (!command_arity_fits(command->arity, count)) {
        snprintf(buffer, buffer_bytes, "ERR wrong number of arguments for '%s' command", command->name);
        return buffer;
    }
    const char *error = check_sizes(command, arguments, count, buffer, buffer_bytes);
    if (error == NULL && command->check != NULL) {
        error = command->check(command, arguments, count, buffer, buffer_bytes);
    }
    if (error != NULL && error != buffer) {
        snprintf(buffer, buffer_bytes, "%s", error);
    }
    return error == NULL ? NULL : buffer;
}

const char *command_unknown_error(const struct argument *arguments, uint32_t count, char *buffer,
                                  size_t buffer_bytes)
{
    assert(count > 0 && buffer_bytes >= COMMAND_ERROR_BYTES_MAX);
    int size = arguments[0].size > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : (int)arguments[0].size;
    int at = snprintf(buffer, buffer_bytes, "ERR unknown command '%.*s', with args beginning with: ", size,
                      (const char *)arguments[0].bytes);
    int shown = 0;
    for (uint32_t i = 1; i < count && shown < SHOWN_BYTES_MAX; i++) {
        int room = SHOWN_BYTES_MAX - shown;
        size = arguments[i].size > (size_t)room ? room : (int)arguments[i].size;
        int written = snprintf(buffer + at, buffer_bytes - (size_t)at, "'%.*s' ", size,
                               (const char *)arguments[i].bytes);
        at += written;
        shown += written;
    }
    return buffer;
}

static void run_subcommand(struct command_context *context)
{
    const struct argument *word = &context->arguments[1];
    const char *name = context->command->name;
    for (const struct command_subcommand *row = context->command->subcommands; row->name != NULL; row++) {
        if (!command_word_is(word, row->name)) {
            continue;
        }
        if (command_arity_fits(row->arity, context->arguments_count)) {
            row->run(context);
        } else {
            reply_error_format(context->reply, "ERR wrong number of arguments for '%s|%s' command", name,
                               row->name);
        }
        return;
    }
    char upper[32] = {0};
    for (size_t i = 0; name[i] != '\0' && i + 1 < sizeof upper; i++) {
        upper[i] = (char)(name[i] & ~0x20);
    }
    int size = word->size > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : (int)word->size;
    reply_error_format(context->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", size,
                       (const char *)word->bytes, upper);
}

void command_run(struct command_context *context)
{
    const struct command *command = context->command;
    assert(context->arguments_count > 0);
    if (!command_arity_fits(command->arity, context->arguments_count)) {
        reply_error_format(context->reply, "ERR wrong number of arguments for '%s' command", command->name);
    } else if (command->subcommands != NULL && context->arguments_count > 1) {
        run_subcommand(context);
    } else {
        command->run(context);
    }
}
