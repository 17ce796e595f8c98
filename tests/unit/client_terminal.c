/* client_terminal.c: runs a part of the client on a terminal of its own. */
#include "client_terminal.h"

#include <assert.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TERMINAL_PATIENCE_MS = 20000 };

void client_terminal_begin(struct client_terminal *terminal, int (*run)(uint16_t port))
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    int port_pipe[2];
    int failed = pipe(port_pipe);
    assert(failed == 0);
    memset(terminal, 0, sizeof *terminal);
    fflush(NULL);
    terminal->pid = forkpty(&terminal->master_fd, NULL, NULL, &size);
    assert(terminal->pid >= 0);
    if (terminal->pid == 0) {
        uint16_t port = 0;
        setenv("TERM", "xterm", 1);
        setenv("NO_COLOR", "1", 1);
        if (read(port_pipe[0], &port, sizeof port) != (ssize_t)sizeof port) {
            _exit(99);
        }
        int exit_code = run(port);
        fflush(NULL);
        _exit(exit_code);
    }
    close(port_pipe[0]);
    terminal->port_fd = port_pipe[1];
}

void client_terminal_set_port(struct client_terminal *terminal, uint16_t port)
{
    ssize_t written = write(terminal->port_fd, &port, sizeof port);
    assert(written == (ssize_t)sizeof port);
    close(terminal->port_fd);
}

void client_terminal_type(struct client_terminal *terminal, const char *keys)
{
    ssize_t written = write(terminal->master_fd, keys, strlen(keys));
    assert(written == (ssize_t)strlen(keys));
}

/* False: there will be no more. */
static int terminal_read(struct client_terminal *terminal)
{
    struct pollfd watched = {.fd = terminal->master_fd, .events = POLLIN};
    int ready = poll(&watched, 1, TERMINAL_PATIENCE_MS);
    unsigned long room = sizeof terminal->output - 1 - terminal->size;
    if (ready <= 0 || room == 0) {
        return 0;
    }
    ssize_t got = read(terminal->master_fd, terminal->output + terminal->size, room);
    if (got <= 0) {
        return 0;
    }
    for (ssize_t i = 0; i < got; i++) { /* zero bytes would hide the rest */
        char *c = &terminal->output[terminal->size + (unsigned long)i];
        *c = *c == '\0' ? '@' : *c;
    }
    terminal->size += (unsigned long)got;
    terminal->output[terminal->size] = '\0';
    return 1;
}

void client_terminal_expect(struct client_terminal *terminal, const char *text)
{
    for (;;) {
        const char *found = strstr(terminal->output + terminal->expected, text);
        if (found != NULL) {
            terminal->expected = (unsigned long)(found - terminal->output) + strlen(text);
            return;
        }
        if (!terminal_read(terminal)) {
            fprintf(stderr, "expected '%s' behind %lu of:\n%s\n", text, terminal->expected, terminal->output);
            abort();
        }
    }
}

int client_terminal_end(struct client_terminal *terminal)
{
    int status = 0;
    while (terminal_read(terminal)) {
    }
    close(terminal->master_fd);
    pid_t ended = waitpid(terminal->pid, &status, 0);
    assert(ended == terminal->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
