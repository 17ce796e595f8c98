/* commands_counter.c: INCR, DECR, INCRBY, DECRBY. The value is an integer in Redis' strict decimal form; its
 * expiry stays. */
#include "command_functions.h"
#include "command_text.h"
#include "key_access.h"
#include "number_parse.h"

static void counter_add(struct command_context *context, int64_t difference)
{
    const struct argument *key = &context->arguments[1];
    struct map_value value = {0};
    int64_t number = 0;
    bool found = key_find(context, key, &value);
    if (found && !number_parse_int64(value.bytes, value.size, &number)) {
        reply_error(context->reply, ERROR_NOT_AN_INTEGER);
        return;
    }
    if (__builtin_add_overflow(number, difference, &number)) {
        reply_error(context->reply, "ERR increment or decrement would overflow");
        return;
    }
    char text[NUMBER_TEXT_BYTES_MAX];
    size_t size = number_write_int64(text, number);
    key_store(context, key, text, size, found ? value.expiry_ms : 0);
    reply_integer(context->reply, number);
}

void command_incr(struct command_context *context)
{
    counter_add(context, 1);
}

void command_decr(struct command_context *context)
{
    counter_add(context, -1);
}

const char *command_check_incrby(const struct command *command, const struct argument *arguments,
                                 uint32_t count, char *buffer, size_t buffer_bytes)
{
    (void)command, (void)count, (void)buffer, (void)buffer_bytes;
    int64_t number;
    return number_parse_int64(arguments[2].bytes, arguments[2].size, &number) ? NULL : ERROR_NOT_AN_INTEGER;
}

const char *command_check_decrby(const struct command *command, const struct argument *arguments,
                                 uint32_t count, char *buffer, size_t buffer_bytes)
{
    (void)command, (void)count, (void)buffer, (void)buffer_bytes;
    int64_t number;
    if (!number_parse_int64(arguments[2].bytes, arguments[2].size, &number)) {
        return ERROR_NOT_AN_INTEGER;
    }
    return number == INT64_MIN ? "ERR decrement would overflow" : NULL;
}

static void counter_add_argument(struct command_context *context, command_check check, int64_t sign)
{
    const char *error = check(context->command, context->arguments, context->arguments_count, NULL, 0);
    int64_t number = 0;
    if (error != NULL) {
        reply_error(context->reply, error);
        return;
    }
    number_parse_int64(context->arguments[2].bytes, context->arguments[2].size, &number);
    counter_add(context, sign * number);
}

void command_incrby(struct command_context *context)
{
    counter_add_argument(context, command_check_incrby, 1);
}

void command_decrby(struct command_context *context)
{
    counter_add_argument(context, command_check_decrby, -1);
}
