/* runtime_child.h: a whole node in a child process, on free ports and a directory of its own, for tests of
 * the runtime. */
#ifndef RUNTIME_CHILD_H
#define RUNTIME_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct runtime_child {
    pid_t pid;
    uint16_t port;   /* of its first client listener; 0: it did not start */
    char *directory; /* holds "data" and "log" */
};

/* `flags` ends with NULL; --data, --listen and small map sizes are set. Fails the test if it does not start.
 */
void runtime_child_start(struct runtime_child *child, const char *const *flags);
/* The same, but may fail to start: then port is 0, and runtime_child_wait() gives the exit code. */
void runtime_child_try_start(struct runtime_child *child, const char *directory, const char *const *flags);
/* Its exit code; 128 + number if a signal ended it. */
int runtime_child_wait(struct runtime_child *child);
/* SIGTERM, wait, remove the directory; fails the test unless it exits with 0. */
void runtime_child_stop(struct runtime_child *child);

/* A port that nobody else on this machine gets until the test program ends; nobody listens there. */
uint16_t runtime_child_free_port(void);
/* True once the child's log holds `words` (waits some seconds for it). */
bool runtime_child_logs(const struct runtime_child *child, const char *words);
/* How many lines of it hold them now. */
int runtime_child_count_logged(const struct runtime_child *child, const char *words);

/* ---- sockets, with time limits that only a failure reaches ---- */

int runtime_child_connect(uint16_t port);
void runtime_child_send(int file, const void *bytes, size_t size);
void runtime_child_send_text(int file, const char *text);
/* Reads exactly this text. */
void runtime_child_expect(int file, const char *text);
/* Reads until the other side closes; a NUL-terminated copy that the caller frees. A reset counts as closed.
 */
char *runtime_child_read_all(int file);

#endif
