/* client_terminal.h: runs a part of the client on a terminal of its own, as a person would see it. */
#ifndef CLIENT_TERMINAL_H
#define CLIENT_TERMINAL_H

#include <stdint.h>
#include <sys/types.h>

struct client_terminal {
    pid_t pid;
    int master_fd;
    int port_fd;
    char output[65536]; /* all that was shown, as a string */
    unsigned long size;
    unsigned long expected; /* how far client_terminal_expect() has come */
};

/* Forks: `run` is called in a child whose standard streams are a terminal of 80 columns, with a port that
 * comes later, and its result is the exit code. Call it while the process has one thread. */
void client_terminal_begin(struct client_terminal *terminal, int (*run)(uint16_t port));
/* Lets `run` go on. */
void client_terminal_set_port(struct client_terminal *terminal, uint16_t port);
void client_terminal_type(struct client_terminal *terminal, const char *keys);
/* Waits until the text has been shown, behind what was expected before; aborts when it is not within a long
 * time. */
void client_terminal_expect(struct client_terminal *terminal, const char *text);
/* Waits for the child; returns its exit code, -1 when a signal ended it. */
int client_terminal_end(struct client_terminal *terminal);

#endif
