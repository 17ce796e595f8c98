/* interrupt.c: see interrupt.h. */
#include "interrupt.h"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

void interrupt_begin(struct interrupt *interrupt)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, &interrupt->signals_before);
    interrupt->fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

void interrupt_end(struct interrupt *interrupt)
{
    if (interrupt->fd >= 0) {
        struct signalfd_siginfo information;
        while (read(interrupt->fd, &information, sizeof information) == (ssize_t)sizeof information) {
        }
        close(interrupt->fd);
        interrupt->fd = -1;
    }
    pthread_sigmask(SIG_SETMASK, &interrupt->signals_before, NULL);
}
