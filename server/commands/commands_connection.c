/* commands_connection.c: PING, ECHO, HELLO, AUTH, SELECT, QUIT, RESET, READONLY, READWRITE, ASKING: they
 * touch nothing but what is known of the connection. */
#include "command_functions.h"
#include "command_text.h"
#include "number_parse.h"

#include <stdio.h>
#include <string.h>

#define ERROR_NO_PASSWORD                                                                                    \
    "ERR AUTH <password> called without any password configured for the default user. "                      \
    "Are you sure your configuration is correct?"

const char *command_check_ping(const struct command *command, const struct argument *arguments,
                               uint32_t count, char *buffer, size_t buffer_bytes)
{
    (void)arguments;
    if (count <= 2) {
        return NULL;
    }
    snprintf(buffer, buffer_bytes, "ERR wrong number of arguments for '%s' command", command->name);
    return buffer;
}

void command_ping(struct command_context *context)
{
    if (context->arguments_count == 1) {
        reply_simple(context->reply, "PONG");
    } else if (context->arguments_count == 2) {
        reply_bulk(context->reply, context->arguments[1].bytes, context->arguments[1].size);
    } else {
        reply_error(context->reply, "ERR wrong number of arguments for 'ping' command");
    }
}

void command_echo(struct command_context *context)
{
    reply_bulk(context->reply, context->arguments[1].bytes, context->arguments[1].size);
}

/* ---- AUTH, HELLO ---- */

/* There are no passwords. Redis without one lets the user "default" in whatever is given; kvd says so for
 * him, too. */
static void reply_auth_error(struct command_context *context, const struct argument *user)
{
    bool is_default = user == NULL || (user->size == 7 && memcmp(user->bytes, "default", 7) == 0);
    reply_error(context->reply, is_default ? ERROR_NO_PASSWORD
                                           : "WRONGPASS invalid username-password pair or user is disabled.");
}

void command_auth(struct command_context *context)
{
    if (context->arguments_count > 3) {
        reply_error(context->reply, ERROR_SYNTAX);
    } else {
        reply_auth_error(context, context->arguments_count == 3 ? &context->arguments[1] : NULL);
    }
}

static void reply_hello(struct command_context *context)
{
    struct reply *reply = context->reply;
    bool leads = context->node->leader_id != 0 && context->node->leader_id == context->node->node_id;
    reply_map(reply, 7);
    reply_bulk_text(reply, "server");
    reply_bulk_text(reply, "redis");
    reply_bulk_text(reply, "version");
    reply_bulk_text(reply, COMMAND_REDIS_VERSION);
    reply_bulk_text(reply, "proto");
    reply_integer(reply, reply->protocol);
    reply_bulk_text(reply, "id");
    reply_integer(reply, (int64_t)context->client->id);
    reply_bulk_text(reply, "mode");
    reply_bulk_text(reply, "cluster");
    reply_bulk_text(reply, "role");
    reply_bulk_text(reply, leads ? "master" : "replica");
    reply_bulk_text(reply, "modules");
    reply_array(reply, 0);
}

void command_hello(struct command_context *context)
{
    const struct argument *arguments = context->arguments;
    uint32_t count = context->arguments_count;
    int64_t version = 0;
    if (count >= 2) {
        if (!number_parse_int64(arguments[1].bytes, arguments[1].size, &version)) {
            reply_error(context->reply, "ERR Protocol version is not an integer or out of range");
            return;
        }
        if (version < 2 || version > 3) {
            reply_error(context->reply, "NOPROTO unsupported protocol version");
            return;
        }
    }
    const struct argument *name = NULL;
    for (uint32_t i = 2; i < count; i++) {
        const struct argument *word = &arguments[i];
        if (command_word_is(word, "auth") && i + 2 < count) {
            reply_auth_error(context, &arguments[i + 1]);
            return;
        }
        if (!command_word_is(word, "setname") || i + 1 >= count) {
            int size = word->size > 128 ? 128 : (int)word->size;
            reply_error_format(context->reply, "ERR Syntax error in HELLO option '%.*s'", size,
                               (const char *)word->bytes);
            return;
        }
        name = &arguments[++i];
    }
    if (name != NULL && !command_set_client_name(context, name)) {
        return;
    }
    if (version != 0) {
        context->client->protocol = (int)version;
        context->reply->protocol = (int)version;
    }
    reply_hello(context);
}

/* ---- the rest ---- */

void command_select(struct command_context *context)
{
    int64_t index;
    const struct argument *word = &context->arguments[1];
    if (!number_parse_int64(word->bytes, word->size, &index)) {
        reply_error(context->reply, ERROR_NOT_AN_INTEGER);
    } else if (index < INT32_MIN || index > INT32_MAX) {
        reply_error(context->reply,
                    "ERR value is out of range, value must between -2147483648 and 2147483647"); /* sic */
    } else if (index != 0) {
        reply_error(context->reply, "ERR SELECT is not allowed in cluster mode");
    } else {
        reply_simple(context->reply, "OK");
    }
}

void command_quit(struct command_context *context)
{
    reply_simple(context->reply, "OK");
    context->close_client = true;
}

void command_reset(struct command_context *context)
{
    struct client_info *client = context->client;
    client->name[0] = '\0';
    client->protocol = 2;
    client->readonly = false;
    client->asking = false;
    context->reply->protocol = 2;
    reply_simple(context->reply, "RESET");
}

void command_readonly(struct command_context *context)
{
    context->client->readonly = true;
    reply_simple(context->reply, "OK");
}

void command_readwrite(struct command_context *context)
{
    context->client->readonly = false;
    reply_simple(context->reply, "OK");
}

void command_asking(struct command_context *context)
{
    context->client->asking = true;
    reply_simple(context->reply, "OK");
}
