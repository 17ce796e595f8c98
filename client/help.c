/* help.c: what `help` prints. */
#include "help.h"

#include "own_words.h"
#include "text.h"

#include <string.h>

static const char *group_of(const struct command_entry *entry)
{
    return entry->group != NULL ? entry->group : "other";
}

static bool group_is_first(const struct command_list *list, size_t place)
{
    for (size_t i = 0; i < place; i++) {
        if (strcmp(group_of(&list->entries[i]), group_of(&list->entries[place])) == 0) {
            return false;
        }
    }
    return true;
}

static void help_append_group(struct byte_buffer *text, const struct command_list *list, const char *group,
                              size_t columns)
{
    text_append_format(text, "%s:\n ", group);
    size_t column = 1;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(group_of(&list->entries[i]), group) != 0) {
            continue;
        }
        size_t size = strlen(list->entries[i].name) + 1;
        if (column + size > columns && column > 1) {
            text_append(text, "\n ");
            column = 1;
        }
        text_append_format(text, " %s", list->entries[i].name);
        column += size;
    }
    text_append(text, "\n");
}

static void help_append_all(struct byte_buffer *text, const struct command_list *list, size_t columns)
{
    text_append(text, "kvcli's own words:\n");
    for (size_t i = 0; i < OWN_WORDS_COUNT; i++) {
        const struct own_word *word = &OWN_WORDS[i];
        text_append_format(text, "  %s %s\n      %s\n", word->name, word->syntax, word->summary);
    }
    for (size_t i = 0; i < list->count; i++) {
        if (group_is_first(list, i)) {
            help_append_group(text, list, group_of(&list->entries[i]), columns);
        }
    }
    if (list->count == 0) {
        text_append(text, "The commands of the server are not known: no node could be asked.\n");
    }
}

static void help_append_entry(struct byte_buffer *text, const char *container,
                              const struct command_entry *entry)
{
    bool has_syntax = entry->syntax != NULL && entry->syntax[0] != '\0';
    text_append_format(text, "%s%s%s%s%s\n", container, container[0] != '\0' ? " " : "", entry->name,
                       has_syntax ? " " : "", has_syntax ? entry->syntax : "");
    if (entry->summary != NULL) {
        text_append_format(text, "  %s\n", entry->summary);
    }
    if (entry->since != NULL && container[0] == '\0') {
        text_append_format(text, "  group: %s, since: %s\n", group_of(entry), entry->since);
    }
}

bool help_print(struct byte_buffer *text, const struct command_list *list,
                const struct command_argument *arguments, size_t count, size_t columns)
{
    if (count == 0) {
        help_append_all(text, list, columns < 20 ? 20 : columns);
        return true;
    }
    const struct command_entry *entry = command_list_find(list, arguments[0].bytes, arguments[0].size);
    const struct command_entry *subcommand =
        entry != NULL && count > 1
            ? command_entry_find_subcommand(entry, arguments[1].bytes, arguments[1].size)
            : NULL;
    const struct own_word *word = own_words_find(arguments[0].bytes);
    if (entry == NULL && count == 1 && word != NULL) {
        text_append_format(text, "%s %s\n  %s\n  group: kvcli's own words\n", word->name, word->syntax,
                           word->summary);
        return true;
    }
    if (entry == NULL || (count > 1 && subcommand == NULL)) {
        text_append(text, "no such command: ");
        for (size_t i = 0; i < count && i < 2; i++) {
            text_append(text, i > 0 ? " " : "");
            text_append_escaped(text, arguments[i].bytes, arguments[i].size, false);
        }
        text_append(text, list->count == 0 ? " (no node could be asked)\n" : "\n");
        return false;
    }
    if (subcommand != NULL) {
        help_append_entry(text, entry->name, subcommand);
        return true;
    }
    help_append_entry(text, "", entry);
    for (size_t i = 0; i < entry->subcommands_count; i++) {
        help_append_entry(text, entry->name, &entry->subcommands[i]);
    }
    return true;
}
