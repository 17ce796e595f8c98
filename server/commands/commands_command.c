/* commands_command.c: COMMAND and its subcommands, told from the table. COMMAND DOCS is in command_docs.c.
 *
 * Each entry has the ten elements of Redis 7: name, arity, flags, first key, last key, step, ACL categories,
 * tips, key specifications, subcommands. Clients take key positions from it, so all of it follows from the
 * rows that the server itself works by.
 */
#include "command_functions.h"
#include "command_text.h"

#include <stdio.h>
#include <string.h>

enum { ENTRY_ELEMENTS_COUNT = 10, WORDS_MAX = 12, FULL_NAME_BYTES_MAX = 64, LIST_PATTERN_BYTES_MAX = 1024 };

/* A few constant words that are counted before they are sent. */
struct word_list {
    const char *words[WORDS_MAX];
    size_t count;
};

static void add_word_if(struct word_list *list, bool condition, const char *word)
{
    if (condition && list->count < WORDS_MAX) {
        list->words[list->count++] = word;
    }
}

static void reply_word_set(struct reply *reply, const struct word_list *list)
{
    reply_set(reply, list->count);
    for (size_t i = 0; i < list->count; i++) {
        reply_simple(reply, list->words[i]);
    }
}

static void list_flags(const struct command *command, struct word_list *list)
{
    add_word_if(list, (command->flags & COMMAND_WRITE) != 0, "write");
    add_word_if(list, (command->flags & COMMAND_READ) != 0, "readonly");
    add_word_if(list, (command->flags & COMMAND_GROWS) != 0, "denyoom");
    add_word_if(list, (command->flags & COMMAND_ADMIN) != 0, "admin");
    add_word_if(list, (command->flags & COMMAND_LOCAL) != 0, "loading");
    add_word_if(list, (command->flags & COMMAND_LOCAL) != 0, "stale");
    add_word_if(list, (command->flags & COMMAND_FAST) != 0, "fast");
}

static void list_categories(const struct command *command, struct word_list *list)
{
    bool has_data = (command->flags & (COMMAND_WRITE | COMMAND_READ)) != 0;
    bool is_string = strcmp(command->group, "string") == 0;
    bool is_admin = (command->flags & COMMAND_ADMIN) != 0;
    bool flushes = command->first_key == 0 && (command->flags & COMMAND_WRITE) != 0;
    add_word_if(list, has_data && !is_string, "@keyspace");
    add_word_if(list, (command->flags & COMMAND_READ) != 0, "@read");
    add_word_if(list, (command->flags & COMMAND_WRITE) != 0, "@write");
    add_word_if(list, is_string, "@string");
    add_word_if(list, is_admin, "@admin");
    add_word_if(list, (command->flags & COMMAND_FAST) != 0, "@fast");
    add_word_if(list, (command->flags & COMMAND_FAST) == 0, "@slow");
    add_word_if(list, is_admin || flushes, "@dangerous");
    add_word_if(list, !has_data && !is_admin, "@connection");
}

/* Sends each blank-separated word of `text` with `send`, after a set's header. */
static void reply_split_set(struct reply *reply, const char *text, bool as_bulk)
{
    size_t count = text == NULL ? 0 : 1;
    for (const char *at = text; at != NULL && *at != '\0'; at++) {
        count += *at == ' ' ? 1 : 0;
    }
    reply_set(reply, count);
    for (const char *at = text; count > 0; count--) {
        char word[64];
        size_t size = strcspn(at, " ");
        snprintf(word, sizeof word, "%.*s", (int)size, at);
        if (as_bulk) {
            reply_bulk_text(reply, word);
        } else {
            reply_simple(reply, word);
        }
        at += size + (at[size] == ' ' ? 1 : 0);
    }
}

static void reply_key_specifications(struct reply *reply, const struct command *command)
{
    reply_set(reply, command->first_key == 0 ? 0 : 1);
    if (command->first_key == 0) {
        return;
    }
    reply_map(reply, 3);
    reply_bulk_text(reply, "flags");
    reply_split_set(reply, command->key_flags, false);
    reply_bulk_text(reply, "begin_search");
    reply_map(reply, 2);
    reply_bulk_text(reply, "type");
    reply_bulk_text(reply, "index");
    reply_bulk_text(reply, "spec");
    reply_map(reply, 1);
    reply_bulk_text(reply, "index");
    reply_integer(reply, command->first_key);
    reply_bulk_text(reply, "find_keys");
    reply_map(reply, 2);
    reply_bulk_text(reply, "type");
    reply_bulk_text(reply, "range");
    reply_bulk_text(reply, "spec");
    reply_map(reply, 3);
    reply_bulk_text(reply, "lastkey"); /* counted from the first key, but from the end when negative */
    reply_integer(reply, command->last_key < 0 ? command->last_key : command->last_key - command->first_key);
    reply_bulk_text(reply, "keystep");
    reply_integer(reply, command->key_step);
    reply_bulk_text(reply, "limit");
    reply_integer(reply, 0);
}

static void write_full_name(char to[FULL_NAME_BYTES_MAX], const struct command *command,
                            const struct command_subcommand *subcommand)
{
    snprintf(to, FULL_NAME_BYTES_MAX, "%s%s%s", command->name, subcommand == NULL ? "" : "|",
             subcommand == NULL ? "" : subcommand->name);
}

static void reply_subcommand_entry(struct reply *reply, const struct command *command,
                                   const struct command_subcommand *subcommand)
{
    char name[FULL_NAME_BYTES_MAX];
    struct word_list flags = {0};
    struct word_list categories = {0};
    write_full_name(name, command, subcommand);
    list_flags(command, &flags);
    list_categories(command, &categories);
    reply_array(reply, ENTRY_ELEMENTS_COUNT);
    reply_bulk_text(reply, name);
    reply_integer(reply, subcommand->arity);
    reply_word_set(reply, &flags);
    reply_integer(reply, 0);
    reply_integer(reply, 0);
    reply_integer(reply, 0);
    reply_word_set(reply, &categories);
    reply_set(reply, 0);
    reply_set(reply, 0);
    reply_set(reply, 0);
}

static void reply_entry(struct reply *reply, const struct command *command)
{
    struct word_list flags = {0};
    struct word_list categories = {0};
    list_flags(command, &flags);
    list_categories(command, &categories);
    reply_array(reply, ENTRY_ELEMENTS_COUNT);
    reply_bulk_text(reply, command->name);
    reply_integer(reply, command->arity);
    reply_word_set(reply, &flags);
    reply_integer(reply, command->first_key);
    reply_integer(reply, command->last_key);
    reply_integer(reply, command->key_step);
    reply_word_set(reply, &categories);
    reply_split_set(reply, command->tips, true);
    reply_key_specifications(reply, command);
    size_t subcommands_count = 0;
    while (command->subcommands != NULL && command->subcommands[subcommands_count].name != NULL) {
        subcommands_count++;
    }
    reply_set(reply, subcommands_count);
    for (size_t i = 0; i < subcommands_count; i++) {
        reply_subcommand_entry(reply, command, &command->subcommands[i]);
    }
}

void command_command(struct command_context *context)
{
    uint32_t count;
    const struct command *table = command_table(&count);
    reply_array(context->reply, count);
    for (uint32_t i = 0; i < count; i++) {
        reply_entry(context->reply, &table[i]);
    }
}

/* ---- names ---- */

const struct command *command_find_full(const struct argument *name,
                                        const struct command_subcommand **subcommand)
{
    const uint8_t *bar = name->size == 0 ? NULL : memchr(name->bytes, '|', name->size);
    size_t size = bar == NULL ? name->size : (size_t)(bar - name->bytes);
    const struct command *command = command_find(name->bytes, size);
    *subcommand = NULL;
    if (command == NULL || bar == NULL) {
        return command;
    }
    const struct argument rest = {.bytes = bar + 1, .size = name->size - size - 1};
    for (const struct command_subcommand *row = command->subcommands; row != NULL && row->name != NULL;
         row++) {
        if (command_word_is(&rest, row->name)) {
            *subcommand = row;
            return command;
        }
    }
    return NULL;
}

static void command_info_subcommand(struct command_context *context)
{
    if (context->arguments_count == 2) {
        command_command(context);
        return;
    }
    reply_array(context->reply, context->arguments_count - 2);
    for (uint32_t i = 2; i < context->arguments_count; i++) {
        const struct command_subcommand *subcommand;
        const struct command *command = command_find_full(&context->arguments[i], &subcommand);
        if (command == NULL) {
            reply_null(context->reply);
        } else if (subcommand != NULL) {
            reply_subcommand_entry(context->reply, command, subcommand);
        } else {
            reply_entry(context->reply, command);
        }
    }
}

static void command_count(struct command_context *context)
{
    uint32_t count;
    command_table(&count);
    reply_integer(context->reply, count);
}

/* ---- LIST ---- */

enum list_filter { LIST_ALL, LIST_NONE, LIST_CATEGORY, LIST_PATTERN };

static bool is_listed(const struct command *command, const char *name, enum list_filter filter,
                      const struct argument *word)
{
    struct word_list categories = {0};
    switch (filter) {
    case LIST_ALL:
        return true;
    case LIST_NONE:
        return false;
    case LIST_CATEGORY:
        list_categories(command, &categories);
        for (size_t i = 0; i < categories.count; i++) {
            if (command_word_is(word, categories.words[i] + 1)) { /* without its '@' */
                return true;
            }
        }
        return false;
    case LIST_PATTERN:
        return word->size <= LIST_PATTERN_BYTES_MAX &&
               command_glob_match(word->bytes, word->size, (const uint8_t *)name, strlen(name), true);
    }
    return false;
}

static void command_list(struct command_context *context)
{
    const struct argument *arguments = context->arguments;
    enum list_filter filter = LIST_ALL;
    const struct argument *word = NULL;
    if (context->arguments_count == 5 && command_word_is(&arguments[2], "filterby")) {
        word = &arguments[4];
        if (command_word_is(&arguments[3], "module")) {
            filter = LIST_NONE;
        } else if (command_word_is(&arguments[3], "aclcat")) {
            filter = LIST_CATEGORY;
        } else if (command_word_is(&arguments[3], "pattern")) {
            filter = LIST_PATTERN;
        }
    }
    if (context->arguments_count != 2 && filter == LIST_ALL) {
        reply_error(context->reply, ERROR_SYNTAX);
        return;
    }
    struct byte_buffer names = {0};
    struct reply reply = {.out = &names, .protocol = context->reply->protocol};
    size_t listed = 0;
    uint32_t count;
    const struct command *table = command_table(&count);
    for (uint32_t i = 0; i < count; i++) {
        const struct command_subcommand *row = NULL;
        for (;;) { /* the command itself, then its subcommands */
            char name[FULL_NAME_BYTES_MAX];
            write_full_name(name, &table[i], row);
            if (is_listed(&table[i], name, filter, word)) {
                reply_bulk_text(&reply, name);
                listed++;
            }
            row = row == NULL ? table[i].subcommands : row + 1;
            if (row == NULL || row->name == NULL) {
                break;
            }
        }
    }
    reply_array(context->reply, listed);
    if (listed > 0 && context->reply->out != NULL) {
        byte_buffer_append(context->reply->out, byte_buffer_front(&names), byte_buffer_size(&names));
    }
    byte_buffer_deinit(&names);
}

/* ---- GETKEYS, GETKEYSANDFLAGS ---- */

static void reply_keys(struct command_context *context, bool with_flags)
{
    const struct argument *arguments = context->arguments + 2;
    uint32_t count = context->arguments_count - 2;
    const struct command *command = command_find(arguments[0].bytes, arguments[0].size);
    if (command == NULL) {
        reply_error(context->reply, "ERR Invalid command specified");
        return;
    }
    if (command->first_key == 0) {
        reply_error(context->reply, "ERR The command has no key arguments");
        return;
    }
    if (!command_arity_fits(command->arity, count)) {
        reply_error(context->reply, "ERR Invalid number of arguments specified for command");
        return;
    }
    uint32_t first = (uint32_t)command->first_key;
    uint32_t step = (uint32_t)command->key_step;
    uint32_t last =
        command->last_key < 0 ? count - (uint32_t)-command->last_key : (uint32_t)command->last_key;
    reply_array(context->reply, (last - first) / step + 1);
    for (uint32_t i = first; i <= last; i += step) {
        if (with_flags) {
            reply_array(context->reply, 2);
        }
        reply_bulk(context->reply, arguments[i].bytes, arguments[i].size);
        if (with_flags) {
            reply_split_set(context->reply, command->key_flags, false);
        }
    }
}

static void command_getkeys(struct command_context *context)
{
    reply_keys(context, false);
}

static void command_getkeysandflags(struct command_context *context)
{
    reply_keys(context, true);
}

const struct command_subcommand COMMAND_COMMAND_SUBCOMMANDS[] = {
    {"count", 2, command_count, "Counts the commands.", ""},
    {"docs", -2, command_docs, "Returns the documentation of commands.", "[command-name [command-name ...]]"},
    {"getkeys", -4, command_getkeys, "Picks the keys out of a full command.", "command arg [arg ...]"},
    {"getkeysandflags", -4, command_getkeysandflags, "Picks the keys and what is done to them.",
     "command arg [arg ...]"},
    {"help", 2, command_help, "Prints this help.", ""},
    {"info", -2, command_info_subcommand, "Describes the named commands, or all.",
     "[command-name [command-name ...]]"},
    {"list", -2, command_list, "Lists the names of commands.",
     "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]"},
    {NULL, 0, NULL, NULL, NULL},
};
