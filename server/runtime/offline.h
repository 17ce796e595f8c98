/* offline.h: what kvd can do instead of serving: `kvd NAME ...`, on a data directory that no kvd uses.
 *
 * One row of the table in offline.c for each. A command reads its own arguments (settings among them as the
 * server does: config_read()), prints for people on standard output, and returns the process' exit code.
 */
#ifndef OFFLINE_H
#define OFFLINE_H

#include <stdbool.h>
#include <stdio.h>

struct config;

struct offline_command {
    const char *name;
    const char *syntax; /* what follows the name */
    const char *what;   /* one line for the help */
    /* arguments[0] is the command's name. */
    int (*run)(int arguments_count, char **arguments, char *const *environment);
};

/* NULL: there is none of that name. */
const struct offline_command *offline_find(const char *name);
/* A line or two for each. */
void offline_print_help(FILE *to);

/* For the commands. Reads the settings behind arguments[0] as the server does; the caller ends `config` with
 * config_deinit(). False: there is nothing more to do than to return *code, for the settings are bad, which
 * has been said, or --help was asked for, and `help` has been printed; `config` is ended then. */
bool offline_read_settings(struct config *config, int arguments_count, char **arguments,
                           char *const *environment, const char *help, int *code);

int offline_restore(int arguments_count, char **arguments, char *const *environment);
int offline_force_new_cluster(int arguments_count, char **arguments, char *const *environment);

#endif
