/* interrupt.h: Ctrl-C and its like as a file descriptor, for work that has to be ended properly. */
#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <signal.h>

struct interrupt {
    int fd; /* readable once SIGINT, SIGTERM or SIGHUP came: for deadline.cancel_fd; -1: cannot be had */
    sigset_t signals_before;
};

void interrupt_begin(struct interrupt *interrupt);
/* What came has done its work, and does not kill afterwards. */
void interrupt_end(struct interrupt *interrupt);

#endif
