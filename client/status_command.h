/* status_command.h: `kvcli status`: one look at the cluster, or one after the other until somebody stops it.
 */
#ifndef STATUS_COMMAND_H
#define STATUS_COMMAND_H

#include "endpoint.h"
#include "options.h"

#include <stdio.h>

enum { STATUS_NODE_TIMEOUT_MS = 1000 };

/* Looks once and prints. Returns the exit code. `nodes` learns the addresses that answered. */
int status_command_once(struct endpoint_list *nodes, uint64_t timeout_ms, enum output_form form, FILE *out);
/* --watch. Ends on q, Ctrl-C or SIGTERM, and when `out` cannot be written; returns the last look's exit code.
 * On a terminal it draws on the alternate screen and leaves everything as it was; otherwise it prints one
 * look after the other. */
int status_command_watch(struct endpoint_list *nodes, const struct options *options, FILE *out);

#endif
