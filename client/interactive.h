/* interactive.h: kvcli with a person in front of it: line editing, history, completion and hints by libedit.
 *
 * Ctrl-C cancels the line, or the waiting for a reply; Ctrl-D on an empty line ends. History is in
 * ~/.kvcli_history, without lines that carry passwords. No signal handler is installed: SIGINT is blocked and
 * read from a descriptor.
 */
#ifndef INTERACTIVE_H
#define INTERACTIVE_H

#include "runner.h"

/* `status_timeout_ms`: for the word "status". Returns when the person wants to end: EXIT_CODE_OK. Sets
 * runner->client->options.cancel_fd. */
int interactive_run(struct runner *runner, uint64_t status_timeout_ms);

#endif
