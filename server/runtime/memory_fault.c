/* memory_fault.c: see memory_fault.h.
 *
 * The handlers call nothing but what may be called in one. They run on the stack of the thread that failed:
 * it has room, unless it overflowed; then the process ends without a word, as it would without them.
 */
#include "memory_fault.h"

#include "replica.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const char FILE_LOST[] =
    "kvd: a file that is mapped into memory cannot be read (SIGBUS): it was altered or cut short, or the "
    "disk fails. If this comes again, replace this node (kvcli replace).\n";
static const char FAULT[] =
    "kvd: memory that is not there was used (SIGSEGV): a file of the data that was altered is the usual "
    "cause, a bug of kvd the other. If this comes again, replace this node (kvcli replace).\n";

static void on_file_lost(int number)
{
    (void)number;
    ssize_t written = write(STDERR_FILENO, FILE_LOST, sizeof FILE_LOST - 1);

    (void)written;
    _exit(REPLICA_EXIT_CORRUPT);
}

/* The action is the default one again: what is raised here ends the process when this returns. */
static void on_fault(int number)
{
    ssize_t written = write(STDERR_FILENO, FAULT, sizeof FAULT - 1);

    (void)written;
    (void)raise(number);
}

static void handle(int number, void (*handler)(int), int flags)
{
    const struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    struct sigaction before;

    if (sigaction(number, NULL, &before) != 0) {
        abort();
    }
    if (before.sa_handler == SIG_DFL && sigaction(number, &action, NULL) != 0) {
        abort();
    }
}

void memory_fault_explain(void)
{
    handle(SIGBUS, on_file_lost, 0);
    handle(SIGSEGV, on_fault, (int)SA_RESETHAND);
}
