/* command_line.h: a line that somebody typed, cut into arguments by the rules of inline commands.
 *
 * Words are separated by blanks. "..." knows \n \r \t \b \a \\ \" and \xHH; '...' knows \' only; a closing
 * quote must be followed by a blank or the end. Pure.
 */
#ifndef COMMAND_LINE_H
#define COMMAND_LINE_H

#include "command_list.h"

#include <stdbool.h>
#include <stddef.h>

struct command_line {
    struct command_argument *arguments; /* owned */
    size_t count;
};

/* False: unbalanced quotes; the line is then empty. The caller calls command_line_deinit() in either case. */
bool command_line_parse(struct command_line *line, const char *text, size_t size)
    __attribute__((warn_unused_result));
void command_line_deinit(struct command_line *line);
/* Adds an argument at the end; for command lines that come from a shell. */
void command_line_add(struct command_line *line, const void *bytes, size_t size);
/* Whether the first argument is this word, in any case. */
bool command_line_is(const struct command_line *line, const char *word);

#endif
