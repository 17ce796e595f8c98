/* own_commands.h: runs those of kvcli's own words that do long work: changes, backups. From the command line
 * and from the prompt alike. */
#ifndef OWN_COMMANDS_H
#define OWN_COMMANDS_H

#include "options.h"

#include <stdio.h>

bool own_commands_are(enum options_action action);
/* `cancel_fd` as in deadline.h. The exit code. */
int own_commands_run(const struct options *options, int cancel_fd, FILE *out, FILE *errors);

#endif
