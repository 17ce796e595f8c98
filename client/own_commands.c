/* own_commands.c: see own_commands.h. */
#include "own_commands.h"

#include "backup_command.h"
#include "change_command.h"

#include <assert.h>

bool own_commands_are(enum options_action action)
{
    return action == OPTIONS_BACKUP || action == OPTIONS_VERIFY || action == OPTIONS_CHANGE;
}

int own_commands_run(const struct options *options, int cancel_fd, FILE *out, FILE *errors)
{
    assert(own_commands_are(options->action));
    if (options->action == OPTIONS_BACKUP) {
        return backup_command_run(options, cancel_fd, out, errors);
    }
    if (options->action == OPTIONS_VERIFY) {
        return verify_command_run(options, out, errors);
    }
    return change_command_run(options, cancel_fd, out, errors);
}
