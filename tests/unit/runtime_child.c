/* runtime_child.c: forks, runs a node, and talks with it. */
#include "runtime_child.h"

#include "config.h"
#include "runtime.h"
#include "temp_directory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { FLAGS_MAX = 32, PATIENCE_S = 30 };

/* In the child; tells the port through `pipe`. Does not return. */
static void run_node(char **arguments, int count, int pipe_file)
{
    struct config config;
    struct config_errors errors;
    enum config_request request;
    struct startup_problem problem;
    char *no_environment[] = {NULL};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!config_read(&config, count, arguments, no_environment, &request, &errors)) {
        dprintf(STDERR_FILENO, "%s\n", errors.text);
        _exit(REPLICA_EXIT_USAGE);
    }
    struct runtime *runtime = runtime_create(&config, &problem);

    if (runtime == NULL) {
        dprintf(STDERR_FILENO, "%s\n", problem.text);
        _exit((int)problem.code);
    }
    uint16_t port = runtime_client_port(runtime, 0);

    if (write(pipe_file, &port, sizeof port) != (ssize_t)sizeof port) {
        _exit(99);
    }
    (void)close(pipe_file);
    enum replica_exit code = runtime_run(runtime);

    runtime_destroy(runtime);
    config_errors_deinit(&errors);
    config_deinit(&config);
    _exit((int)code);
}

void runtime_child_try_start(struct runtime_child *child, const char *directory, const char *const *flags)
{
    char *arguments[FLAGS_MAX], *data = temp_directory_join(directory, "data");
    char *log = temp_directory_join(directory, "log");
    const char *own[] = {"kvd",         "--data",          data,   "--listen",
                         "127.0.0.1:0", "--log-map-size",  "1GiB", "--log-tail-bytes",
                         "64MiB",       "--data-map-size", "1GiB", "--log-level",
                         "debug"};
    int count = 0, files[2];

    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        arguments[count++] = strdup(own[i]);
    }
    for (; flags != NULL && *flags != NULL; flags++) {
        assert_true(count < FLAGS_MAX - 1);
        arguments[count++] = strdup(*flags);
    }
    arguments[count] = NULL;
    assert_int_equal(pipe2(files, O_CLOEXEC), 0);
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0) {
        int log_file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

        (void)dup2(log_file, STDERR_FILENO);
        (void)close(files[0]);
        run_node(arguments, count, files[1]);
    }
    (void)close(files[1]);
    child->port = 0;
    if (read(files[0], &child->port, sizeof child->port) != (ssize_t)sizeof child->port) {
        child->port = 0;
    }
    (void)close(files[0]);
    for (int i = 0; i < count; i++) {
        free(arguments[i]);
    }
    free(data);
    free(log);
}

void runtime_child_start(struct runtime_child *child, const char *const *flags)
{
    child->directory = temp_directory_create();
    runtime_child_try_start(child, child->directory, flags);
    assert_int_not_equal(child->port, 0);
}

int runtime_child_wait(struct runtime_child *child)
{
    int status = 0;

    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void runtime_child_stop(struct runtime_child *child)
{
    assert_int_equal(kill(child->pid, SIGTERM), 0);
    assert_int_equal(runtime_child_wait(child), 0);
    temp_directory_remove(child->directory);
}

/* Bound without SO_REUSEADDR, which fails if anybody has it; with that option set afterwards the node, which
 * sets it too, can bind it beside us. */
uint16_t runtime_child_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    const int on = 1;
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(file, (const struct sockaddr *)(const void *)&address, size), 0);
    assert_int_equal(getsockname(file, (struct sockaddr *)(void *)&address, &size), 0);
    assert_int_equal(setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    return ntohs(address.sin_port); /* the socket stays open */
}

int runtime_child_count_logged(const struct runtime_child *child, const char *words)
{
    char *path = temp_directory_join(child->directory, "log"), *line = NULL;
    size_t capacity = 0;
    int count = 0;
    FILE *file = fopen(path, "r");

    while (file != NULL && getline(&line, &capacity, file) >= 0) {
        count += strstr(line, words) != NULL;
    }
    free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    free(path);
    return count;
}

bool runtime_child_logs(const struct runtime_child *child, const char *words)
{
    for (int i = 0; i < PATIENCE_S * 100; i++) {
        if (runtime_child_count_logged(child, words) > 0) {
            return true;
        }
        (void)usleep(10000);
    }
    return false;
}

int runtime_child_connect(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct timeval patience = {PATIENCE_S, 0};
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(file >= 0);
    assert_int_equal(setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(setsockopt(file, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(file, (const struct sockaddr *)(const void *)&address, sizeof address), 0);
    return file;
}

void runtime_child_send(int file, const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size > 0) {
        ssize_t sent = send(file, at, size, MSG_NOSIGNAL);

        assert_true(sent > 0);
        at += sent;
        size -= (size_t)sent;
    }
}

void runtime_child_send_text(int file, const char *text)
{
    runtime_child_send(file, text, strlen(text));
}

void runtime_child_expect(int file, const char *text)
{
    size_t size = strlen(text), have = 0;
    char *got = calloc(1, size + 1);

    while (have < size) {
        ssize_t more = read(file, got + have, size - have);

        if (more <= 0) {
            fail_msg("expected \"%s\", got only \"%s\"", text, got);
        }
        have += (size_t)more;
    }
    assert_string_equal(got, text);
    free(got);
}

char *runtime_child_read_all(int file)
{
    size_t capacity = 65536, size = 0;
    char *text = malloc(capacity);

    for (;;) {
        ssize_t got = read(file, text + size, capacity - size - 1);

        if (got == 0 || (got < 0 && errno == ECONNRESET)) {
            break;
        }
        assert_true(got > 0);
        size += (size_t)got;
        if (capacity - size < 4096) {
            capacity *= 2;
            text = realloc(text, capacity);
        }
    }
    text[size] = '\0';
    return text;
}
