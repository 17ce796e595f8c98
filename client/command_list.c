/* command_list.c: the commands that a server has. */
#include "command_list.h"

#include "allocate.h"
#include "byte_buffer.h"
#include "text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void command_entries_free(struct command_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(entries[i].name);
        free(entries[i].summary);
        free(entries[i].syntax);
        free(entries[i].since);
        free(entries[i].group);
        command_entries_free(entries[i].subcommands, entries[i].subcommands_count);
    }
    free(entries);
}

void command_list_deinit(struct command_list *list)
{
    command_entries_free(list->entries, list->count);
    *list = (struct command_list){0};
}

/* Order of a stored name and one in any case, not ended by a zero byte. */
static int command_name_compare(const char *stored, const char *name, size_t size)
{
    size_t stored_size = strlen(stored);
    int order = strncasecmp(stored, name, stored_size < size ? stored_size : size);
    return order != 0 ? order : (stored_size > size) - (stored_size < size);
}

/* Where the name is, or belongs, in the sorted entries. */
static size_t command_entries_search(const struct command_entry *entries, size_t count, const char *name,
                                     size_t size, bool *found)
{
    size_t low = 0;
    size_t high = count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = command_name_compare(entries[middle].name, name, size);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct command_entry *command_entries_add(struct command_entry **entries, size_t *count,
                                                 const char *name, size_t size)
{
    bool found;
    size_t place = command_entries_search(*entries, *count, name, size, &found);
    if (!found) {
        *entries = allocate_resized(*entries, *count + 1, sizeof **entries);
        memmove(*entries + place + 1, *entries + place, (*count - place) * sizeof **entries);
        (*count)++;
        (*entries)[place] = (struct command_entry){.name = allocate_copy(name, size), .may_change = true};
        for (char *c = (*entries)[place].name; *c != '\0'; c++) {
            *c = (char)tolower((unsigned char)*c);
        }
    }
    return *entries + place;
}

/* Names are shown in a terminal and completed into a line: a server that sends others has none of ours. */
static bool command_name_valid(const struct answer *name)
{
    if (!answer_has_text(name) || name->size == 0 || name->size > 64) {
        return false;
    }
    for (size_t i = 0; i < name->size; i++) {
        if (!isalnum((unsigned char)name->text[i]) && memchr("-_.|", name->text[i], 4) == NULL) {
            return false;
        }
    }
    return true;
}

/* "config|set" -> "set" */
static const char *command_name_last(const struct answer *name, size_t *size)
{
    const char *bar = memrchr(name->text, '|', name->size);
    const char *last = bar == NULL ? name->text : bar + 1;
    *size = name->size - (size_t)(last - name->text);
    return last;
}

static bool flags_may_change(const struct answer *flags)
{
    static const char *const changing[] = {"write",    "admin",  "may_replicate",
                                           "noscript", "pubsub", "blocking"};
    bool may_change = false;
    for (size_t i = 0; i < flags->count; i++) {
        if (answer_is(&flags->elements[i], "readonly")) {
            return false;
        }
        for (size_t k = 0; k < sizeof changing / sizeof changing[0]; k++) {
            may_change = may_change || answer_is(&flags->elements[i], changing[k]);
        }
    }
    return may_change;
}

/* One element of COMMAND: [name, arity, [flags], first, last, step, [categories], [tips], [keys],
 * [subcommands]]. `depth` 0 is a command, 1 a subcommand. */
static void command_entries_add_information(struct command_entry **entries, size_t *count,
                                            const struct answer *row, int depth)
{
    bool is_row = (row->type == ANSWER_ARRAY || row->type == ANSWER_SET) && row->count >= 3;
    if (!is_row || !command_name_valid(&row->elements[0])) {
        return;
    }
    size_t size;
    const char *name = command_name_last(&row->elements[0], &size);
    if (size == 0) {
        return;
    }
    struct command_entry *entry = command_entries_add(entries, count, name, size);
    entry->flags_known = true;
    entry->may_change = flags_may_change(&row->elements[2]);
    if (row->count >= 10 && depth == 0) {
        const struct answer *subcommands = &row->elements[9];
        for (size_t i = 0; i < subcommands->count; i++) {
            command_entries_add_information(&entry->subcommands, &entry->subcommands_count,
                                            &subcommands->elements[i], depth + 1);
        }
    }
}

void command_list_add_information(struct command_list *list, const struct answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        command_entries_add_information(&list->entries, &list->count, &answer->elements[i], 0);
    }
}

void command_list_add_unknown(struct command_list *list, const char *name, size_t size)
{
    struct command_entry *entry = command_entries_add(&list->entries, &list->count, name, size);
    if (!entry->flags_known) {
        entry->flags_known = true;
        entry->may_change = true;
    }
}

/* ---- documentation --------------------------------------------------------------------------- */

static void documentation_set(char **to, const struct answer *documentation, const char *key)
{
    const struct answer *value = answer_map_find(documentation, key);
    if (value == NULL || !answer_has_text(value)) {
        return;
    }
    struct byte_buffer text = {0};
    text_append_escaped(&text, value->text, value->size, false);
    free(*to);
    *to = allocate_copy(byte_buffer_front(&text), byte_buffer_size(&text));
    byte_buffer_deinit(&text);
}

static bool argument_has_flag(const struct answer *argument, const char *flag)
{
    const struct answer *flags = answer_map_find(argument, "flags");
    for (size_t i = 0; flags != NULL && i < flags->count; i++) {
        if (answer_is(&flags->elements[i], flag)) {
            return true;
        }
    }
    return false;
}

static void syntax_append_word(struct byte_buffer *syntax, const struct answer *word)
{
    if (word != NULL && answer_has_text(word)) {
        text_append_escaped(syntax, word->text, word->size, false);
    }
}

static void syntax_append_arguments(struct byte_buffer *syntax, const struct answer *arguments,
                                    const char *between, int depth);

/* The argument itself, without what says that it is optional or repeated. */
static void syntax_append_argument_body(struct byte_buffer *syntax, const struct answer *argument, int depth)
{
    const struct answer *type = answer_map_find(argument, "type");
    const struct answer *token = answer_map_find(argument, "token");
    const struct answer *nested = answer_map_find(argument, "arguments");
    bool has_token = token != NULL && answer_has_text(token) && token->size > 0;
    if (has_token) {
        syntax_append_word(syntax, token);
    }
    if (type != NULL && answer_is(type, "pure-token")) {
        return;
    }
    if (has_token) {
        byte_buffer_append(syntax, " ", 1);
    }
    if (nested != NULL) {
        bool one_of = type != NULL && answer_is(type, "oneof");
        bool in_brackets = one_of && !argument_has_flag(argument, "optional");
        text_append(syntax, in_brackets ? "<" : "");
        syntax_append_arguments(syntax, nested, one_of ? " | " : " ", depth + 1);
        text_append(syntax, in_brackets ? ">" : "");
        return;
    }
    static const char *const names[] = {"display_text", "value", "name"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct answer *name = answer_map_find(argument, names[i]);
        if (name != NULL && answer_has_text(name)) {
            syntax_append_word(syntax, name);
            return;
        }
    }
}

static void syntax_append_arguments(struct byte_buffer *syntax, const struct answer *arguments,
                                    const char *between, int depth)
{
    for (size_t i = 0; i < arguments->count && depth < 8; i++) {
        const struct answer *argument = &arguments->elements[i];
        bool optional = argument_has_flag(argument, "optional");
        text_append(syntax, i == 0 ? "" : between);
        text_append(syntax, optional ? "[" : "");
        syntax_append_argument_body(syntax, argument, depth);
        if (argument_has_flag(argument, "multiple")) {
            text_append(syntax, " [");
            syntax_append_argument_body(syntax, argument, depth);
            text_append(syntax, " ...]");
        }
        text_append(syntax, optional ? "]" : "");
    }
}

static void command_entry_document(struct command_entry *entry, const struct answer *documentation, int depth)
{
    documentation_set(&entry->summary, documentation, "summary");
    documentation_set(&entry->since, documentation, "since");
    documentation_set(&entry->group, documentation, "group");
    documentation_set(&entry->syntax, documentation, "syntax");
    const struct answer *arguments = answer_map_find(documentation, "arguments");
    if (entry->syntax == NULL && arguments != NULL) {
        struct byte_buffer syntax = {0};
        syntax_append_arguments(&syntax, arguments, " ", 0);
        entry->syntax = allocate_copy(byte_buffer_front(&syntax), byte_buffer_size(&syntax));
        byte_buffer_deinit(&syntax);
    }
    const struct answer *subcommands = depth == 0 ? answer_map_find(documentation, "subcommands") : NULL;
    for (size_t i = 0; subcommands != NULL && i + 1 < subcommands->count; i += 2) {
        if (!command_name_valid(&subcommands->elements[i])) {
            continue;
        }
        size_t size;
        const char *name = command_name_last(&subcommands->elements[i], &size);
        if (size > 0) {
            struct command_entry *subcommand =
                command_entries_add(&entry->subcommands, &entry->subcommands_count, name, size);
            command_entry_document(subcommand, &subcommands->elements[i + 1], depth + 1);
        }
    }
}

void command_list_add_documentation(struct command_list *list, const struct answer *answer)
{
    if (answer->type != ANSWER_MAP && answer->type != ANSWER_ARRAY) {
        return;
    }
    for (size_t i = 0; i + 1 < answer->count; i += 2) {
        const struct answer *name = &answer->elements[i];
        if (command_name_valid(name)) {
            struct command_entry *entry =
                command_entries_add(&list->entries, &list->count, name->text, name->size);
            command_entry_document(entry, &answer->elements[i + 1], 0);
        }
    }
}

/* ---- asking ---------------------------------------------------------------------------------- */

const struct command_entry *command_list_find(const struct command_list *list, const char *name, size_t size)
{
    bool found;
    size_t place = command_entries_search(list->entries, list->count, name, size, &found);
    return found ? &list->entries[place] : NULL;
}

const struct command_entry *command_entry_find_subcommand(const struct command_entry *entry, const char *name,
                                                          size_t size)
{
    bool found;
    size_t place = command_entries_search(entry->subcommands, entry->subcommands_count, name, size, &found);
    return found ? &entry->subcommands[place] : NULL;
}

enum command_effect command_list_effect(const struct command_list *list,
                                        const struct command_argument *arguments, size_t count)
{
    const struct command_entry *entry = command_list_find(list, arguments[0].bytes, arguments[0].size);
    if (entry == NULL || !entry->flags_known) {
        return COMMAND_EFFECT_NOT_KNOWN;
    }
    if (count > 1) {
        const struct command_entry *subcommand =
            command_entry_find_subcommand(entry, arguments[1].bytes, arguments[1].size);
        if (subcommand != NULL && subcommand->flags_known) {
            entry = subcommand;
        }
    }
    return entry->may_change ? COMMAND_EFFECT_MAY_CHANGE : COMMAND_EFFECT_READS;
}
