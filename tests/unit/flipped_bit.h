/* flipped_bit.h: a test that looks at files with a flipped bit, in a child, for LMDB may crash over what it
 * reads.
 */
#ifndef FLIPPED_BIT_H
#define FLIPPED_BIT_H

#include "storage_testing.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum flipped_bit {
    FLIPPED_BIT_FOUND,     /* a crash counts */
    FLIPPED_BIT_HARMLESS,  /* not found, and all is as it was */
    FLIPPED_BIT_UNNOTICED, /* not found, and something is not */
};

static inline enum flipped_bit flipped_bit_try(enum flipped_bit (*look)(const char *directory),
                                               const char *directory)
{
    pid_t child = fork();
    if (child == 0) {
        const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
        for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++) {
            (void)signal(crashes[i], SIG_DFL); /* not cmocka's, which would go on with the next test */
        }
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(quiet, STDERR_FILENO);
        alarm(20);
        _exit((int)look(directory));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) ||
        (WEXITSTATUS(status) != FLIPPED_BIT_HARMLESS && WEXITSTATUS(status) != FLIPPED_BIT_UNNOTICED)) {
        return FLIPPED_BIT_FOUND;
    }
    return (enum flipped_bit)WEXITSTATUS(status);
}

#endif
