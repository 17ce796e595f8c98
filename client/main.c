/* main.c: kvcli, from its command line to its exit code. */
#include "byte_buffer.h"
#include "cluster_client.h"
#include "command_line.h"
#include "help.h"
#include "interactive.h"
#include "interrupt.h"
#include "options.h"
#include "own_commands.h"
#include "runner.h"
#include "status_command.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STDIN_ARGUMENT_BYTES_MAX = 512 * 1024 * 1024 }; /* the longest string that any server takes */

static bool read_whole_stdin(struct byte_buffer *content)
{
    for (;;) {
        uint8_t *place = byte_buffer_reserve(content, 64 * 1024);
        ssize_t got = read(STDIN_FILENO, place, 64 * 1024);
        if (got == 0) {
            return true;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 || byte_buffer_size(content) + (size_t)got > STDIN_ARGUMENT_BYTES_MAX) {
            fprintf(stderr, "kvcli: standard input: %s\n", got < 0 ? strerror(errno) : "over 512 MiB");
            return false;
        }
        byte_buffer_commit(content, (size_t)got);
    }
}

static int run_help(struct cluster_client *client, const struct command_line *line)
{
    struct byte_buffer text = {0};
    if (!cluster_client_learn_commands(client, client->options.timeout_ms)) {
        fputs("kvcli: no node could be asked for its commands\n", stderr);
        return EXIT_CODE_NOT_EXECUTED;
    }
    bool found = help_print(&text, &client->commands, line->arguments + 1, line->count - 1, 80);
    text_write(&text, found ? stdout : stderr);
    byte_buffer_deinit(&text);
    return found ? EXIT_CODE_OK : EXIT_CODE_USAGE;
}

static int run_command(struct runner *runner, const struct options *options, int argc, char **argv)
{
    struct command_line line = {0};
    struct byte_buffer content = {0};
    int exit_code = EXIT_CODE_USAGE;
    for (int i = options->first_argument; i < argc; i++) {
        command_line_add(&line, argv[i], strlen(argv[i]));
    }
    if (options->last_argument_from_stdin) {
        if (!read_whole_stdin(&content)) {
            goto out;
        }
        command_line_add(&line, byte_buffer_front(&content), byte_buffer_size(&content));
    }
    exit_code = command_line_is(&line, "help") ? run_help(runner->client, &line)
                                               : runner_execute(runner, line.arguments, line.count);
out:
    byte_buffer_deinit(&content);
    command_line_deinit(&line);
    return exit_code;
}

static int run_client(const struct options *options, int argc, char **argv)
{
    const struct cluster_client_options client_options = {
        .timeout_ms = options->timeout_ms, .protocol = options->protocol, .cancel_fd = -1};
    struct cluster_client client;
    bool one_command = options->first_argument < argc;
    bool terminal = isatty(STDOUT_FILENO) == 1;
    struct runner runner = {.client = &client,
                            .form = options->output != OUTPUT_AUTOMATIC ? options->output
                                    : terminal                          ? OUTPUT_HUMAN
                                                                        : OUTPUT_RAW,
                            .interactive = !one_command && isatty(STDIN_FILENO) == 1,
                            .out = stdout,
                            .error = stderr};
    int exit_code;
    cluster_client_init(&client, &options->nodes, &client_options);
    if (one_command) {
        exit_code = run_command(&runner, options, argc, argv);
    } else if (runner.interactive) {
        exit_code =
            interactive_run(&runner, options->timeout_given ? options->timeout_ms : STATUS_NODE_TIMEOUT_MS);
    } else {
        exit_code = runner_execute_lines(&runner, stdin);
    }
    cluster_client_deinit(&client);
    return exit_code;
}

static int run_status(const struct options *options)
{
    struct endpoint_list nodes = options->nodes;
    if (options->watch) {
        return status_command_watch(&nodes, options, stdout);
    }
    uint64_t timeout_ms = options->timeout_given ? options->timeout_ms : STATUS_NODE_TIMEOUT_MS;
    return status_command_once(&nodes, timeout_ms, options->output, stdout);
}

static int run_own(const struct options *options)
{
    struct interrupt interrupt;
    interrupt_begin(&interrupt);
    int exit_code = own_commands_run(options, interrupt.fd, stdout, stderr);
    interrupt_end(&interrupt);
    return exit_code;
}

/* A script must not take an answer that could not be written (a full disk) for an empty one. */
static int check_output(int exit_code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return exit_code;
    }
    fputs("kvcli: the output could not be written\n", stderr);
    return exit_code > EXIT_CODE_USAGE ? exit_code : EXIT_CODE_USAGE;
}

/* Started with standard input, output or error closed, the connection with a node would get its number, and
 * answers would be sent to the node as if they were commands. What is missing is opened in the wrong
 * direction: to use it fails, as before. */
static void fill_standard_files(void)
{
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++) {
        if (fcntl(file, F_GETFD) < 0) {
            (void)open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

int main(int argc, char **argv)
{
    struct options options;
    char error[256];
    fill_standard_files();
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
        setlocale(LC_CTYPE, "C.UTF-8");
    }
    if (!options_parse(&options, argc, argv, getenv("KVCLI_CLUSTER"), error, sizeof error)) {
        fprintf(stderr, "kvcli: %s\nTry 'kvcli --help'.\n", error);
        return EXIT_CODE_USAGE;
    }
    switch (options.action) {
    case OPTIONS_HELP:
        fputs(options_help(), stdout);
        return check_output(EXIT_CODE_OK);
    case OPTIONS_VERSION:
        puts("kvcli " KVD_VERSION " (" KVD_BUILD ")");
        return check_output(EXIT_CODE_OK);
    case OPTIONS_STATUS:
        return check_output(run_status(&options));
    case OPTIONS_BACKUP:
    case OPTIONS_VERIFY:
    case OPTIONS_CHANGE:
        return check_output(run_own(&options));
    case OPTIONS_COMMAND:
        break;
    }
    return check_output(run_client(&options, argc, argv));
}
