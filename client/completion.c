/* completion.c: what can follow what has been typed. */
#include "completion.h"

#include "allocate.h"
#include "command_line.h"
#include "own_words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void completion_add(struct completion *completion, const char *name, const char *prefix,
                           size_t prefix_size)
{
    if (strncasecmp(name, prefix, prefix_size) != 0) {
        return;
    }
    for (size_t i = 0; i < completion->count; i++) {
        if (strcmp(completion->candidates[i], name) == 0) {
            return;
        }
    }
    completion->candidates =
        allocate_resized(completion->candidates, completion->count + 1, sizeof completion->candidates[0]);
    completion->candidates[completion->count++] = name;
}

static int completion_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void completion_finish(struct completion *completion)
{
    if (completion->count == 0) {
        return;
    }
    qsort(completion->candidates, completion->count, sizeof completion->candidates[0], completion_compare);
    const char *first = completion->candidates[0];
    const char *last = completion->candidates[completion->count - 1];
    while (first[completion->common_size] != '\0' &&
           first[completion->common_size] == last[completion->common_size]) {
        completion->common_size++;
    }
}

void completion_find(const struct command_list *list, const char *line, size_t cursor,
                     struct completion *completion)
{
    *completion = (struct completion){.word_start = cursor};
    while (completion->word_start > 0 && !isspace((unsigned char)line[completion->word_start - 1])) {
        completion->word_start--;
    }
    struct command_line before;
    bool valid = command_line_parse(&before, line, completion->word_start);
    const char *prefix = line + completion->word_start;
    size_t prefix_size = cursor - completion->word_start;
    bool behind_help = valid && before.count == 1 && command_line_is(&before, "help");
    if (valid && (before.count == 0 || behind_help)) {
        for (size_t i = 0; i < list->count; i++) {
            completion_add(completion, list->entries[i].name, prefix, prefix_size);
        }
        for (size_t i = 0; i < OWN_WORDS_COUNT; i++) {
            completion_add(completion, OWN_WORDS[i].name, prefix, prefix_size);
        }
    } else if (valid && before.count == 1) {
        const struct command_entry *entry =
            command_list_find(list, before.arguments[0].bytes, before.arguments[0].size);
        for (size_t i = 0; entry != NULL && i < entry->subcommands_count; i++) {
            completion_add(completion, entry->subcommands[i].name, prefix, prefix_size);
        }
    }
    command_line_deinit(&before);
    completion_finish(completion);
}

void completion_deinit(struct completion *completion)
{
    free(completion->candidates);
    *completion = (struct completion){0};
}

/* The end of the syntax's first item: a word, or everything up to the matching bracket. */
static const char *syntax_item_end(const char *syntax)
{
    int depth = 0;
    while (*syntax != '\0' && !(depth == 0 && *syntax == ' ')) {
        depth += *syntax == '[' || *syntax == '<';
        depth -= *syntax == ']' || *syntax == '>';
        syntax++;
    }
    return syntax;
}

/* Drops what the typed arguments have filled in: plain items one by one, up to the first optional one. */
static const char *syntax_skip(const char *syntax, size_t arguments)
{
    while (arguments > 0 && *syntax != '\0' && *syntax != '[') {
        syntax = syntax_item_end(syntax);
        syntax += strspn(syntax, " ");
        arguments--;
    }
    return syntax;
}

char *completion_hint(const struct command_list *list, const char *line, size_t size)
{
    struct command_line typed;
    const char *hint = "";
    bool blank_before = size > 0 && isspace((unsigned char)line[size - 1]);
    if (command_line_parse(&typed, line, size) && typed.count > 0) {
        const struct command_entry *entry =
            command_list_find(list, typed.arguments[0].bytes, typed.arguments[0].size);
        size_t names = 1;
        if (entry != NULL && typed.count > 1) {
            const struct command_entry *subcommand =
                command_entry_find_subcommand(entry, typed.arguments[1].bytes, typed.arguments[1].size);
            names += subcommand != NULL;
            entry = subcommand != NULL ? subcommand : entry;
        }
        if (entry != NULL && entry->syntax != NULL) {
            hint = syntax_skip(entry->syntax, typed.count - names);
        } else if (entry != NULL && entry->subcommands_count > 0 && typed.count == 1) {
            hint = "subcommand ...";
        } else if (entry == NULL && own_words_find(typed.arguments[0].bytes) != NULL) {
            hint = syntax_skip(own_words_find(typed.arguments[0].bytes)->syntax, typed.count - 1);
        }
    }
    command_line_deinit(&typed);
    size_t hint_size = strlen(hint);
    if (hint_size == 0 || blank_before) {
        return allocate_copy(hint, hint_size);
    }
    char *with_blank = allocate_zeroed(hint_size + 2, 1);
    with_blank[0] = ' ';
    memcpy(with_blank + 1, hint, hint_size);
    return with_blank;
}
