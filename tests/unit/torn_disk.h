/* torn_disk.h: disks that fail and lose power, below everything that a whole process writes.
 *
 * The functions at the end take the place of those that LMDB calls (fdatasync, fsync, pwrite, writev). What
 * is written to a file named data.mdb is remembered, with what was there before, until it is synced. When
 * the power goes, any part of what was not synced is lost, sector by sector; the order of writes means
 * nothing. A write by a descriptor that is O_DSYNC or O_SYNC is synced when it returns.
 *
 * - torn_disk_arm(): the k-th call for files below a folder fails, with EIO or as a short write. What a
 *   failed sync was about may be lost for ever, also when a later sync succeeds, as on Linux (pitfall 17).
 *   Or the power goes then: from there on nothing reaches the disk, and torn_disk.power_is_off says so.
 * - torn_disk.lies: syncs do nothing and say that all is well. Then data must get lost: a test of the tests.
 * - torn_disk_lose(): what the disk of this folder holds now that the power is gone; nobody has its files
 *   open.
 *
 * Included by one file of a test executable: it defines functions of the C library.
 */
#ifndef TORN_DISK_H
#define TORN_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { TORN_DISK_SECTOR_BYTES = 512 };
enum torn_disk_fault { TORN_DISK_NONE, TORN_DISK_ERROR, TORN_DISK_SHORT, TORN_DISK_POWER };

/* A piece of a file that was written and is not durable. */
struct torn_disk_write {
    struct torn_disk_write *next; /* older */
    char path[PATH_MAX];
    bool doomed;  /* a sync of it failed: no later one makes it durable */
    bool is_lost; /* the power was off: it never reached the disk */
    off_t offset;
    size_t size;
    uint8_t before[]; /* what was there */
};

/* The one place where state is shared with what the library calls: it has no other way in. */
static struct {
    struct torn_disk_write *writes; /* newest first */
    char folder[PATH_MAX];          /* calls for files below it are counted */
    int calls_left;                 /* until the one that fails; < 0: none will */
    enum torn_disk_fault fault;
    bool has_failed;
    bool power_is_off;
    bool lies;
    uint64_t syncs, lost_sectors; /* to see that anything happened */
} torn_disk;

static bool torn_disk_path(int descriptor, char path[PATH_MAX])
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size <= 0) {
        return false;
    }
    path[size] = '\0';
    const char *name = strrchr(path, '/');
    return name != NULL && strcmp(name, "/data.mdb") == 0;
}

static bool torn_disk_is_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return length > 0 && strncmp(path, folder, length) == 0 && path[length] == '/';
}

static void torn_disk_arm(const char *folder, enum torn_disk_fault fault, int k)
{
    (void)snprintf(torn_disk.folder, sizeof torn_disk.folder, "%s", folder);
    torn_disk.calls_left = k;
    torn_disk.fault = fault;
    torn_disk.has_failed = false;
    torn_disk.power_is_off = false;
}

/* True if it has failed since it was armed. */
static bool torn_disk_disarm(void)
{
    torn_disk.folder[0] = '\0';
    torn_disk.fault = TORN_DISK_NONE;
    return torn_disk.has_failed;
}

static enum torn_disk_fault torn_disk_next(const char *path)
{
    if (torn_disk.fault == TORN_DISK_NONE || !torn_disk_is_below(path, torn_disk.folder) ||
        torn_disk.calls_left-- != 0) {
        return TORN_DISK_NONE;
    }
    torn_disk.has_failed = true;
    torn_disk.power_is_off = torn_disk.fault == TORN_DISK_POWER;
    errno = EIO;
    return torn_disk.fault;
}

static void torn_disk_remember(const char *path, size_t size, off_t offset, bool is_lost)
{
    struct torn_disk_write *write = calloc(1, sizeof *write + size);
    int file = open(path, O_RDONLY | O_CLOEXEC); /* theirs may be for writing only */
    if (write == NULL || file < 0) {
        abort();
    }
    ssize_t had = pread(file, write->before, size, offset); /* beyond the end there was nothing: zeros */
    (void)had;
    (void)close(file);
    write->is_lost = is_lost;
    (void)snprintf(write->path, sizeof write->path, "%s", path);
    write->offset = offset;
    write->size = size;
    write->next = torn_disk.writes;
    torn_disk.writes = write;
}

/* All that was written to this file before is durable, or (a sync that failed) never will be for sure. */
static void torn_disk_settle(const char *path, bool good)
{
    struct torn_disk_write **link = &torn_disk.writes;
    torn_disk.syncs++;
    while (*link != NULL) {
        struct torn_disk_write *write = *link;
        if (strcmp(write->path, path) != 0 || write->doomed || torn_disk.power_is_off || torn_disk.lies) {
            link = &write->next;
        } else if (good) {
            *link = write->next;
            free(write);
        } else {
            write->doomed = true;
            link = &write->next;
        }
    }
}

static uint64_t torn_disk_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15)); /* splitmix64 */
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static void torn_disk_undo(const struct torn_disk_write *write, uint64_t *random, unsigned lost_percent)
{
    int file = open(write->path, O_RDWR | O_CLOEXEC);
    if (file < 0) {
        abort();
    }
    for (size_t at = 0; at < write->size; at += TORN_DISK_SECTOR_BYTES) {
        size_t left = write->size - at;
        size_t size = left < TORN_DISK_SECTOR_BYTES ? left : TORN_DISK_SECTOR_BYTES;
        if (write->is_lost || torn_disk_random(random) % 100 < lost_percent) {
            torn_disk.lost_sectors++;
            if (syscall(SYS_pwrite64, file, write->before + at, size, write->offset + (off_t)at) !=
                (ssize_t)size) {
                abort();
            }
        }
    }
    (void)close(file);
}

/* The power is gone: of what was not synced, each sector is lost with this chance. */
static void torn_disk_lose(const char *folder, uint64_t seed, unsigned lost_percent)
{
    struct torn_disk_write **link = &torn_disk.writes;
    while (*link != NULL) {
        struct torn_disk_write *write = *link;
        if (!torn_disk_is_below(write->path, folder)) {
            link = &write->next;
            continue;
        }
        torn_disk_undo(write, &seed, lost_percent); /* newest first */
        *link = write->next;
        free(write);
    }
}

/* ---- in the place of the C library's ---- */

static int torn_disk_sync(int descriptor, long number)
{
    char path[PATH_MAX];
    if (!torn_disk_path(descriptor, path)) {
        return (int)syscall(number, descriptor);
    }
    bool good = torn_disk_next(path) != TORN_DISK_ERROR;
    torn_disk_settle(path, good);
    return good ? 0 : -1; /* what the real disk does is of no interest: the process lives on */
}

int fdatasync(int descriptor)
{
    return torn_disk_sync(descriptor, SYS_fdatasync);
}

int fsync(int descriptor)
{
    return torn_disk_sync(descriptor, SYS_fsync);
}

/* What is to be done of a write of `size` bytes: less, or nothing (0, with errno set). */
static size_t torn_disk_begin_write(const char *path, size_t size, off_t offset)
{
    bool was_off = torn_disk.power_is_off;
    enum torn_disk_fault fault = torn_disk_next(path);
    if (fault == TORN_DISK_ERROR) {
        return 0;
    }
    size = fault == TORN_DISK_SHORT ? size / 2 : size;
    torn_disk_remember(path, size, offset, was_off);
    return size;
}

/* A write that is synced by itself: says nothing of those before it. */
static void torn_disk_end_write(int descriptor, ssize_t written)
{
    bool is_synced =
        (fcntl(descriptor, F_GETFL) & O_DSYNC) != 0 && !torn_disk.power_is_off && !torn_disk.lies;
    if (written > 0 && is_synced) {
        struct torn_disk_write *write = torn_disk.writes;
        torn_disk.writes = write->next;
        free(write);
    }
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset)
{
    char path[PATH_MAX];
    if (!torn_disk_path(descriptor, path)) {
        return syscall(SYS_pwrite64, descriptor, bytes, size, offset);
    }
    size = torn_disk_begin_write(path, size, offset);
    ssize_t written = size == 0 ? -1 : syscall(SYS_pwrite64, descriptor, bytes, size, offset);
    torn_disk_end_write(descriptor, written);
    return written;
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count)
{
    char path[PATH_MAX];
    if (!torn_disk_path(descriptor, path)) {
        return syscall(SYS_writev, descriptor, pieces, (long)count);
    }
    size_t all = 0;
    for (int i = 0; i < count; i++) {
        all += pieces[i].iov_len;
    }
    off_t offset = lseek(descriptor, 0, SEEK_CUR);
    size_t size = torn_disk_begin_write(path, all, offset);
    ssize_t written = -1;
    if (size == all) {
        written = syscall(SYS_writev, descriptor, pieces, (long)count);
    } else if (size > 0) {
        size_t first = pieces[0].iov_len < size ? pieces[0].iov_len : size;
        written = syscall(SYS_write, descriptor, pieces[0].iov_base, first);
    }
    torn_disk_end_write(descriptor, written);
    return written;
}

#endif
