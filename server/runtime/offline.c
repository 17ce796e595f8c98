/* offline.c: see offline.h. */
#include "offline.h"

#include "config.h"
#include "replica.h"

#include <string.h>

static const struct offline_command commands[] = {
    {"restore", "FILE --data DIRECTORY [settings]",
     "makes a backup the data of a new cluster of one node, and ends", offline_restore},
    {"force-new-cluster", "[--accept-data-loss] [settings]",
     "the majority is lost for good: makes this node a cluster of its own", offline_force_new_cluster},
};

enum { COMMANDS_COUNT = sizeof commands / sizeof commands[0] };

const struct offline_command *offline_find(const char *name)
{
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

void offline_print_help(FILE *to)
{
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        (void)fprintf(to, "  kvd %s %s\n                               %s\n", commands[i].name,
                      commands[i].syntax, commands[i].what);
    }
}

bool offline_read_settings(struct config *config, int arguments_count, char **arguments,
                           char *const *environment, const char *help, int *code)
{
    struct config_errors errors;
    enum config_request request;
    bool fine = config_read(config, arguments_count, arguments, environment, &request, &errors);
    if (!fine) {
        config_print_errors(&errors, stderr);
        *code = REPLICA_EXIT_USAGE;
    } else if (request != CONFIG_RUN) {
        *code = fputs(help, stdout) >= 0 && fflush(stdout) == 0 ? REPLICA_EXIT_OK : REPLICA_EXIT_START;
        fine = false;
    }
    config_errors_deinit(&errors);
    if (!fine) {
        config_deinit(config);
    }
    return fine;
}
