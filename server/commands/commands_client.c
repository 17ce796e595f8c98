/* commands_client.c: the CLIENT command.
 *
 * CLIENT LIST and INFO have the fields of Redis, in its order, with what kvd knows; what it does not have
 * (pub/sub, transactions, tracking) says none.
 */
#include "command_functions.h"
#include "command_text.h"
#include "number_parse.h"

#include <assert.h>
#include <string.h>

enum { LIST_IDS_MAX = 1024 }; /* of one CLIENT LIST ID: each is compared with each client */

/* Visible characters only, so that CLIENT LIST stays one line of words. */
static bool is_plain_word(const struct argument *word)
{
    for (size_t i = 0; i < word->size; i++) {
        if (word->bytes[i] < '!' || word->bytes[i] > '~') {
            return false;
        }
    }
    return true;
}

static void copy_word(char to[CLIENT_NAME_BYTES_MAX], const struct argument *word)
{
    assert(word->size < CLIENT_NAME_BYTES_MAX);
    if (word->size > 0) {
        memcpy(to, word->bytes, word->size);
    }
    to[word->size] = '\0';
}

bool command_set_client_name(struct command_context *context, const struct argument *name)
{
    if (!is_plain_word(name)) {
        reply_error(context->reply,
                    "ERR Client names cannot contain spaces, newlines or special characters.");
        return false;
    }
    if (name->size >= CLIENT_NAME_BYTES_MAX) {
        reply_error_format(context->reply, "ERR Client names cannot be longer than %d bytes.",
                           CLIENT_NAME_BYTES_MAX - 1);
        return false;
    }
    copy_word(context->client->name, name);
    return true;
}

static void client_setname(struct command_context *context)
{
    if (command_set_client_name(context, &context->arguments[2])) {
        reply_simple(context->reply, "OK");
    }
}

static void client_getname(struct command_context *context)
{
    if (context->client->name[0] == '\0') {
        reply_null(context->reply);
    } else {
        reply_bulk_text(context->reply, context->client->name);
    }
}

static void client_id(struct command_context *context)
{
    reply_integer(context->reply, (int64_t)context->client->id);
}

static void client_setinfo(struct command_context *context)
{
    const struct argument *word = &context->arguments[2];
    const struct argument *value = &context->arguments[3];
    bool is_name = command_word_is(word, "lib-name");
    if (!is_name && !command_word_is(word, "lib-ver")) {
        int size = word->size > 128 ? 128 : (int)word->size;
        reply_error_format(context->reply, "ERR Unrecognized option '%.*s'", size, (const char *)word->bytes);
        return;
    }
    const char *shown = is_name ? "lib-name" : "lib-ver";
    if (!is_plain_word(value)) {
        reply_error_format(context->reply, "ERR %s cannot contain spaces, newlines or special characters.",
                           shown);
    } else if (value->size >= CLIENT_NAME_BYTES_MAX) {
        reply_error_format(context->reply, "ERR %s cannot be longer than %d bytes.", shown,
                           CLIENT_NAME_BYTES_MAX - 1);
    } else {
        copy_word(is_name ? context->client->library_name : context->client->library_version, value);
        reply_simple(context->reply, "OK");
    }
}

/* kvd removes no client for the memory it uses, so the wish is always granted. */
static void client_no_evict(struct command_context *context)
{
    const struct argument *word = &context->arguments[2];
    if (command_word_is(word, "on") || command_word_is(word, "off")) {
        reply_simple(context->reply, "OK");
    } else {
        reply_error(context->reply, ERROR_SYNTAX);
    }
}

/* ---- LIST, INFO ---- */

struct client_listing {
    struct byte_buffer text;
    uint64_t now_ms;
    const struct argument *ids; /* NULL: all */
    uint32_t ids_count;
};

static uint64_t seconds_since(uint64_t now_ms, uint64_t then_ms)
{
    return now_ms > then_ms ? (now_ms - then_ms) / 1000 : 0;
}

static void append_client(struct byte_buffer *text, const struct client_info *client, uint64_t now_ms)
{
    command_text_append(
        text, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%llu idle=%llu flags=%s db=0 sub=0 psub=0 ssub=0",
        (unsigned long long)client->id, client->address, client->local_address, client->file_descriptor,
        client->name, (unsigned long long)seconds_since(now_ms, client->created_ms),
        (unsigned long long)seconds_since(now_ms, client->last_command_ms), client->readonly ? "r" : "N");
    command_text_append(
        text, " multi=-1 qbuf=%llu qbuf-free=0 argv-mem=0 multi-mem=0 obl=%llu oll=0 omem=%llu tot-mem=%llu",
        (unsigned long long)client->query_bytes, (unsigned long long)client->output_bytes,
        (unsigned long long)client->output_bytes,
        (unsigned long long)(client->query_bytes + client->output_bytes));
    command_text_append(
        text, " events=r cmd=%s user=default redir=-1 resp=%d lib-name=%s lib-ver=%s queued=%llu\n",
        client->last_command == NULL ? "NULL" : client->last_command, client->protocol, client->library_name,
        client->library_version, (unsigned long long)client->queued_commands);
}

static void client_info_command(struct command_context *context)
{
    struct byte_buffer text = {0};
    append_client(&text, context->client, context->node->now_ms);
    reply_verbatim_text(context->reply, (const char *)byte_buffer_front(&text), byte_buffer_size(&text));
    byte_buffer_deinit(&text);
}

static void list_visit(void *listing_pointer, const struct client_info *client)
{
    struct client_listing *listing = listing_pointer;
    bool wanted = listing->ids == NULL;
    for (uint32_t i = 0; i < listing->ids_count && !wanted; i++) {
        int64_t id;
        wanted = number_parse_int64(listing->ids[i].bytes, listing->ids[i].size, &id) &&
                 (uint64_t)id == client->id;
    }
    if (wanted) {
        append_client(&listing->text, client, listing->now_ms);
    }
}

/* True when kvd may have clients of that type: "normal" only. */
static bool list_parse_type(struct command_context *context, const struct argument *word, bool *is_normal)
{
    *is_normal = command_word_is(word, "normal");
    if (*is_normal || command_word_is(word, "master") || command_word_is(word, "replica") ||
        command_word_is(word, "slave") || command_word_is(word, "pubsub")) {
        return true;
    }
    int size = word->size > 128 ? 128 : (int)word->size;
    reply_error_format(context->reply, "ERR Unknown client type '%.*s'", size, (const char *)word->bytes);
    return false;
}

static void client_list(struct command_context *context)
{
    uint32_t count = context->arguments_count;
    const struct argument *arguments = context->arguments;
    struct client_listing listing = {.now_ms = context->node->now_ms};
    bool any = true;
    if (count == 4 && command_word_is(&arguments[2], "type")) {
        if (!list_parse_type(context, &arguments[3], &any)) {
            return;
        }
    } else if (count > 3 && command_word_is(&arguments[2], "id")) {
        listing.ids = arguments + 3;
        listing.ids_count = count - 3;
        if (listing.ids_count > LIST_IDS_MAX) {
            reply_error_format(context->reply, "ERR At most %d client IDs can be listed", LIST_IDS_MAX);
            return;
        }
        for (uint32_t i = 0; i < listing.ids_count; i++) {
            int64_t id;
            if (!number_parse_int64(listing.ids[i].bytes, listing.ids[i].size, &id) || id < 1) {
                reply_error(context->reply, "ERR Invalid client ID");
                return;
            }
        }
    } else if (count != 2) {
        reply_error(context->reply, ERROR_SYNTAX);
        return;
    }
    if (any) {
        context->node->for_each_client(context->node->clients, list_visit, &listing);
    }
    if (byte_buffer_size(&listing.text) == 0) {
        reply_verbatim_text(context->reply, "", 0);
    } else {
        reply_verbatim_text(context->reply, (const char *)byte_buffer_front(&listing.text),
                            byte_buffer_size(&listing.text));
    }
    byte_buffer_deinit(&listing.text);
}

const struct command_subcommand COMMAND_CLIENT_SUBCOMMANDS[] = {
    {"getname", 2, client_getname, "Returns the connection's name.", ""},
    {"help", 2, command_help, "Prints this help.", ""},
    {"id", 2, client_id, "Returns the connection's number, unique on this node.", ""},
    {"info", 2, client_info_command, "Describes this connection.", ""},
    {"list", -2, client_list, "Describes all connections of this node.",
     "[TYPE <normal | master | replica | pubsub> | ID client-id [client-id ...]]"},
    {"no-evict", 3, client_no_evict, "Does nothing: kvd evicts no clients.", "<ON | OFF>"},
    {"setinfo", 4, client_setinfo, "Stores the client library's name or version.",
     "<LIB-NAME libname | LIB-VER libver>"},
    {"setname", 3, client_setname, "Names the connection.", "connection-name"},
    {NULL, 0, NULL, NULL, NULL},
};
