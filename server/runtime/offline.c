/* offline.c: see offline.h. */
#include "offline.h"

#include <string.h>

static const struct offline_command commands[] = {
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
