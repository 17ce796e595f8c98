/* storage_file.c: see storage_file.h. */
#include "storage_file.h"

#include "storage_error.h"
#include "storage_memory.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum storage_status storage_sync_directory(const char *path, struct storage_error *error)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        return storage_fail_errno(error, path, "open the directory");
    }
    enum storage_status status = STORAGE_OK;
    if (fsync(descriptor) != 0) {
        status = storage_fail_errno(error, path, "sync the directory");
    }
    close(descriptor);
    return status;
}

/* The folder in which `path` is a name, in memory that the caller frees. */
static char *storage_find_parent(const char *path)
{
    char *parent = storage_format("%s", path);
    size_t length = strlen(parent);
    while (length > 1 && parent[length - 1] == '/') {
        parent[--length] = '\0';
    }
    char *slash = strrchr(parent, '/');
    if (slash == NULL) { /* a name in the working directory */
        free(parent);
        return storage_format(".");
    }
    slash[slash == parent ? 1 : 0] = '\0'; /* the root keeps its slash */
    return parent;
}

enum storage_status storage_sync_parent(const char *path, struct storage_error *error)
{
    char *parent = storage_find_parent(path);
    enum storage_status status = storage_sync_directory(parent, error);
    free(parent);
    return status;
}

/* The same for a folder that was there: see storage_create_directory(). */
static enum storage_status storage_sync_parent_again(const char *path, struct storage_error *error)
{
    struct stat above;
    struct stat information;
    char *parent = storage_find_parent(path);
    enum storage_status status = STORAGE_OK;
    if (stat(parent, &above) == 0 && stat(path, &information) == 0 && above.st_dev == information.st_dev &&
        access(parent, R_OK) == 0) {
        status = storage_sync_directory(parent, error);
    }
    free(parent);
    return status;
}

static enum storage_status storage_create_one_directory(const char *path, struct storage_error *error)
{
    struct stat information;
    if (mkdir(path, 0700) == 0) {
        return storage_sync_parent(path, error);
    }
    /* A parent that exists may well be one that we may not create, as "/" is. */
    int reason = errno;
    if (stat(path, &information) == 0) {
        if (S_ISDIR(information.st_mode)) {
            return STORAGE_OK;
        }
        reason = ENOTDIR;
    }
    errno = reason;
    return storage_fail_errno(error, path, "create the directory");
}

enum storage_status storage_create_directory(const char *path, struct storage_error *error)
{
    assert(path[0] != '\0');
    char *copy = storage_format("%s", path);
    enum storage_status status = STORAGE_OK;
    for (char *at = copy + 1; *at != '\0' && status == STORAGE_OK; at++) {
        if (*at == '/' && at[-1] != '/') {
            *at = '\0';
            status = storage_create_one_directory(copy, error);
            *at = '/';
        }
    }
    if (status == STORAGE_OK) {
        status = storage_create_one_directory(copy, error);
    }
    if (status == STORAGE_OK) {
        status = storage_sync_parent_again(copy, error);
    }
    free(copy);
    return status;
}

enum storage_status storage_remove_directory(const char *path, struct storage_error *error)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return storage_fail_errno(error, path, "open the directory");
    }
    enum storage_status status = STORAGE_OK;
    struct dirent *entry = NULL;
    while (status == STORAGE_OK && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(dirfd(directory), entry->d_name, 0) != 0) {
            status = storage_fail_errno(error, path, "remove a file of the directory");
        }
    }
    closedir(directory);
    if (status == STORAGE_OK && rmdir(path) != 0) {
        status = storage_fail_errno(error, path, "remove the directory");
    }
    return status == STORAGE_OK ? storage_sync_parent(path, error) : status;
}

enum storage_status storage_open_nameless(const char *directory, int *file, struct storage_error *error)
{
    char *path = storage_format("%s/nameless.tmp", directory);
    enum storage_status status = STORAGE_OK;
    *file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (*file < 0) {
        status = storage_fail_errno(error, path, "create the file");
    } else if (unlink(path) != 0) {
        status = storage_fail_errno(error, path, "remove the name of the file");
    }
    free(path);
    return status;
}

void storage_close_file(int file)
{
    if (file >= 0) {
        close(file);
    }
}

void storage_start_writing_back(int file)
{
    (void)sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE);
}

enum storage_status storage_write_at(int file, const uint8_t *bytes, size_t size, uint64_t offset,
                                     const char *path, struct storage_error *error)
{
    while (size > 0) {
        ssize_t written = pwrite(file, bytes, size, (off_t)offset);
        if (written < 0 && errno != EINTR) {
            return storage_fail_unfinished(error, errno, path, "writing to a file");
        }
        size_t count = written < 0 ? 0 : (size_t)written;
        bytes += count;
        size -= count;
        offset += count;
    }
    return STORAGE_OK;
}

enum storage_status storage_read_at(int file, uint8_t *bytes, size_t size, uint64_t offset, const char *path,
                                    struct storage_error *error)
{
    while (size > 0) {
        ssize_t count = pread(file, bytes, size, (off_t)offset);
        if (count == 0) {
            return storage_fail(error, STORAGE_FAILED, "%s: a file ends too early", path);
        }
        if (count < 0 && errno != EINTR) {
            return storage_fail_errno(error, path, "read a file");
        }
        size_t read = count < 0 ? 0 : (size_t)count;
        bytes += read;
        size -= read;
        offset += read;
    }
    return STORAGE_OK;
}
