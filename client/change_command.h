/* change_command.h: `kvcli add`, `promote`, `remove`, `replace`, `address`, `transfer`: asks the leader,
 * whoever that is, and shows what becomes of it.
 *
 * A change is never asked for twice blindly. When its answer was lost, or the leader changed before it was
 * kept, the members as a ready leader shows them tell whether it was begun; only when nothing of it is to be
 * seen, which is final then, it is asked for again.
 */
#ifndef CHANGE_COMMAND_H
#define CHANGE_COMMAND_H

#include "options.h"

#include <stdio.h>

/* `cancel_fd` as in deadline.h. The exit code: OK done (with --no-wait: begun), SERVER_ERROR refused or
 * prevented, NOT_EXECUTED nobody could be asked, UNKNOWN it cannot be told what became of it, INTERRUPTED
 * (what was begun goes on). */
int change_command_run(const struct options *options, int cancel_fd, FILE *out, FILE *errors);

#endif
