/* completion.h: what can follow what has been typed: names for Tab, syntax for the hint. Pure; knows no
 * terminal. */
#ifndef COMPLETION_H
#define COMPLETION_H

#include "command_list.h"

#include <stddef.h>

struct completion {
    size_t word_start;       /* of the word before the cursor, in the line */
    const char **candidates; /* owned array of borrowed names, sorted; valid while the list does not change */
    size_t count;
    size_t common_size; /* bytes that all candidates have in common; 0 when there are none */
};

/* Command names for the first word (and behind "help"), subcommands for the second. `line` has `cursor`
 * bytes. */
void completion_find(const struct command_list *list, const char *line, size_t cursor,
                     struct completion *completion);
void completion_deinit(struct completion *completion);

/* The rest of the syntax of the command that the line begins with, to be shown behind it: "" or " value [NX |
 * XX]". The caller frees it. */
char *completion_hint(const struct command_list *list, const char *line, size_t size);

#endif
