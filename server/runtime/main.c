/* main.c: the kvd program: settings, then one node until it stops; or one of the commands of offline.h. */
#include "config.h"
#include "memory_fault.h"
#include "offline.h"
#include "runtime.h"

#include <event2/event.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Started with standard input, output or error closed, the next file that is opened would get its number, and
 * our messages would be written into the data. What is missing is opened in the wrong direction: to use it
 * fails, as before. */
static void fill_standard_files(void)
{
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++) {
        if (fcntl(file, F_GETFD) < 0) {
            (void)open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

static enum replica_exit run(const struct config *config)
{
    struct startup_problem problem;
    struct runtime *runtime = runtime_create(config, &problem);

    if (runtime == NULL) {
        (void)fprintf(stderr, "kvd: %s\n", problem.text);
        return problem.code;
    }
    enum replica_exit code = runtime_run(runtime);

    runtime_destroy(runtime);
    libevent_global_shutdown();
    return code;
}

static enum replica_exit answer(enum config_request request, const struct config *config)
{
    switch (request) {
    case CONFIG_RUN:
        return run(config);
    case CONFIG_HELP:
        config_print_help(stdout);
        break;
    case CONFIG_VERSION:
        (void)printf("kvd %s (%s)\n", KVD_VERSION, KVD_BUILD);
        break;
    case CONFIG_CHECK:
        config_print_effective(config, stdout);
        break;
    case CONFIG_PRINT_TABLE:
        config_print_table(stdout);
        break;
    }
    return fflush(stdout) == 0 ? REPLICA_EXIT_OK : REPLICA_EXIT_START;
}

int main(int arguments_count, char **arguments)
{
    struct config config;
    struct config_errors errors;
    enum config_request request;
    int code;

    fill_standard_files();
    memory_fault_explain();
    const struct offline_command *offline = arguments_count > 1 ? offline_find(arguments[1]) : NULL;

    if (offline != NULL) {
        return offline->run(arguments_count - 1, arguments + 1, environ);
    }
    if (config_read(&config, arguments_count, arguments, environ, &request, &errors)) {
        code = (int)answer(request, &config);
    } else {
        config_print_errors(&errors, stderr);
        code = REPLICA_EXIT_USAGE;
    }
    config_errors_deinit(&errors);
    config_deinit(&config);
    return code;
}
