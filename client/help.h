/* help.h: what `help` prints, from what the server says about its commands. Pure. */
#ifndef HELP_H
#define HELP_H

#include "byte_buffer.h"
#include "command_list.h"

#include <stdbool.h>
#include <stddef.h>

/* Without arguments: all names, by group. With a command's name (and a subcommand's): its syntax and meaning.
 * False: there is no such command. `columns`: of the terminal. */
bool help_print(struct byte_buffer *text, const struct command_list *list,
                const struct command_argument *arguments, size_t count, size_t columns);

#endif
