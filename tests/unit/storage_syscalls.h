/* storage_syscalls.h: the system calls by which storage/ and LMDB change the disk, defined here in place of
 * the C library's; included by one file of a test. The k-th one fails, or kills the process before it does
 * anything.
 */
#ifndef STORAGE_SYSCALLS_H
#define STORAGE_SYSCALLS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum syscalls_mode { SYSCALLS_WORK, SYSCALLS_FAIL, SYSCALLS_KILL };

enum { SYSCALLS_RECORDED_MAX = 20000 };

struct syscalls_event {
    bool sync; /* else a write */
    ino_t inode;
};

/* The one place where state is shared with what the library calls: it has no other way in. */
static struct {
    enum syscalls_mode mode;
    bool only_fallocate; /* count these calls alone, and let all from the k-th on fail */
    int error;
    atomic_int calls_left; /* until the failing one */
    atomic_int failures;
    bool recording;
    int events_count;
    struct syscalls_event events[SYSCALLS_RECORDED_MAX];
} syscalls;

static inline void syscalls_record(int descriptor, bool sync)
{
    struct stat information;
    if (syscalls.recording && syscalls.events_count < SYSCALLS_RECORDED_MAX &&
        fstat(descriptor, &information) == 0) {
        syscalls.events[syscalls.events_count++] =
            (struct syscalls_event){.sync = sync, .inode = information.st_ino};
    }
}

static inline void syscalls_arm(enum syscalls_mode mode, int error, int k)
{
    syscalls.error = error;
    atomic_store(&syscalls.calls_left, k);
    atomic_store(&syscalls.failures, 0);
    syscalls.mode = mode;
}

/* Did one fail? */
static inline bool syscalls_disarm(void)
{
    syscalls.mode = SYSCALLS_WORK;
    syscalls.only_fallocate = false;
    return atomic_load(&syscalls.failures) > 0;
}

static inline bool syscalls_next_fails(bool is_fallocate)
{
    if (syscalls.mode == SYSCALLS_WORK || (syscalls.only_fallocate && !is_fallocate)) {
        return false;
    }
    int left = atomic_fetch_sub(&syscalls.calls_left, 1);
    if (left > 0 || (left < 0 && !syscalls.only_fallocate)) {
        return false;
    }
    if (syscalls.mode == SYSCALLS_KILL) {
        (void)kill(getpid(), SIGKILL);
        for (;;) {
            pause();
        }
    }
    atomic_fetch_add(&syscalls.failures, 1);
    errno = syscalls.error;
    return true;
}

int fdatasync(int descriptor)
{
    syscalls_record(descriptor, true);
    return syscalls_next_fails(false) ? -1 : (int)syscall(SYS_fdatasync, descriptor);
}

int fsync(int descriptor)
{
    syscalls_record(descriptor, true);
    return syscalls_next_fails(false) ? -1 : (int)syscall(SYS_fsync, descriptor);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset)
{
    syscalls_record(descriptor, false);
    return syscalls_next_fails(false) ? -1 : syscall(SYS_pwrite64, descriptor, bytes, size, offset);
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count)
{
    syscalls_record(descriptor, false);
    return syscalls_next_fails(false) ? -1 : syscall(SYS_writev, descriptor, pieces, (long)count);
}

/* A failed one is not the end: less is asked for then. So it counts only where all of them fail, or where the
 * process dies. */
int fallocate(int descriptor, int mode, off_t offset, off_t size)
{
    bool counts = syscalls.only_fallocate || syscalls.mode == SYSCALLS_KILL;
    return counts && syscalls_next_fails(true) ? -1
                                               : (int)syscall(SYS_fallocate, descriptor, mode, offset, size);
}

int mkdir(const char *path, mode_t mode)
{
    struct stat information;
    bool is_there = stat(path, &information) == 0; /* then it fails anyway */
    return !is_there && syscalls_next_fails(false) ? -1 : (int)syscall(SYS_mkdir, path, mode);
}

int rmdir(const char *path)
{
    return syscalls_next_fails(false) ? -1 : (int)syscall(SYS_rmdir, path);
}

int unlink(const char *path)
{
    return syscalls_next_fails(false) ? -1 : (int)syscall(SYS_unlink, path);
}

int unlinkat(int directory, const char *name, int flags)
{
    return syscalls_next_fails(false) ? -1 : (int)syscall(SYS_unlinkat, directory, name, flags);
}

int rename(const char *old_path, const char *new_path)
{
    return syscalls_next_fails(false) ? -1 : (int)syscall(SYS_rename, old_path, new_path);
}

#endif
