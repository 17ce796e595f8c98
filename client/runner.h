/* runner.h: executes a command and says what came of it: the reply on one stream, trouble on the other, and
 * an exit code.
 *
 * JSON (stable, see client/README.md) always goes to `out`, one line per command, whatever came of it.
 */
#ifndef RUNNER_H
#define RUNNER_H

#include "cluster_client.h"
#include "options.h"

#include <stdbool.h>
#include <stdio.h>

struct runner {
    struct cluster_client *client;
    enum output_form form; /* not OUTPUT_AUTOMATIC */
    bool interactive;      /* errors are part of the conversation; redirects and long times are mentioned */
    FILE *out;
    FILE *error;
};

/* `count` > 0. Returns an enum exit_code. */
int runner_execute(const struct runner *runner, const struct command_argument *arguments, size_t count);
/* The given result, printed; apart for tests. */
int runner_print(const struct runner *runner, const struct cluster_result *result, bool plain_text);
/* One command per line until the end; the highest code counts. Stops at the first line that was not executed
 * or whose outcome is unknown: what follows may build on it. */
int runner_execute_lines(const struct runner *runner, FILE *lines);

#endif
