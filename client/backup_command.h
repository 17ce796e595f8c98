/* backup_command.h: `kvcli backup` and `kvcli verify`.
 *
 * A backup comes from a node as a stream of pieces (server/README.md), is checked as it comes, written beside
 * the file under "<file>.part", and gets its name when all of it is on the disk: one that is interrupted, or
 * not sound, leaves no file. It holds everything that was acknowledged before it was asked for, for the node
 * is asked a linearizable question first (not with --stale).
 */
#ifndef BACKUP_COMMAND_H
#define BACKUP_COMMAND_H

#include "options.h"

#include <stdio.h>

/* `cancel_fd` as in deadline.h. The exit code. */
int backup_command_run(const struct options *options, int cancel_fd, FILE *out, FILE *errors);
int verify_command_run(const struct options *options, FILE *out, FILE *errors);

#endif
