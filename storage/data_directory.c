/* data_directory.c: see data_directory.h.
 *
 * The lock is an OFD lock (F_OFD_SETLK): it belongs to the open file, so that a second open in the same
 * process is refused as well, and a child that inherits nothing (O_CLOEXEC) cannot keep it. LMDB's own fcntl
 * locks belong to the process and admit both.
 */
#include "data_directory.h"

#include "data_directory_internal.h"
#include "storage_error.h"
#include "storage_file.h"
#include "storage_memory.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

struct data_directory {
    char *path;
    char *log_path;
    char *map_path; /* last one asked for */
    int lock;
};

const char *data_directory_refused_filesystem(uint32_t filesystem_type)
{
    static const struct {
        uint32_t type;
        const char *name;
    } refused[] = {
        {0x00006969U, "nfs"},       {0x0000517BU, "smb"}, {0xFE534D42U, "smb2"},
        {0xFF534D42U, "cifs"},      {0x01021997U, "9p"},  {0x00C36400U, "ceph"},
        {0x794C7630U, "overlayfs"}, {0x5346414FU, "afs"}, {0x73757245U, "coda"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (refused[i].type == filesystem_type) {
            return refused[i].name;
        }
    }
    return NULL;
}

bool data_directory_parse_map_name(const char *name, uint64_t *generation)
{
    static const char prefix[] = "map-";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) {
        return false;
    }
    const char *digits = name + sizeof prefix - 1;
    size_t length = strlen(digits);
    if (length == 0 || length > 19 || digits[0] == '0' || strspn(digits, "0123456789") != length) {
        return false;
    }
    *generation = strtoull(digits, NULL, 10);
    return true;
}

static enum storage_status data_directory_check_filesystem(const char *path, struct storage_error *error)
{
    struct statfs information;
    if (statfs(path, &information) != 0) {
        return storage_fail_errno(error, path, "examine the filesystem");
    }
    const char *name = data_directory_refused_filesystem((uint32_t)information.f_type);
    if (name != NULL) {
        return storage_fail(
            error, STORAGE_INCOMPATIBLE,
            "%s: lies on %s, where a database file is not safe (locks and memory maps do not hold "
            "what they promise). Use a directory on a local disk; in a container, a volume",
            path, name);
    }
    return STORAGE_OK;
}

static enum storage_status data_directory_take_lock(struct data_directory *directory,
                                                    struct storage_error *error)
{
    char *path = storage_format("%s/LOCK", directory->path);
    enum storage_status status = STORAGE_OK;
    struct flock whole_file = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    directory->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (directory->lock < 0) {
        status = storage_fail_errno(error, path, "open the lock file for writing");
    } else if (fcntl(directory->lock, F_OFD_SETLK, &whole_file) != 0) {
        if (errno == EAGAIN || errno == EACCES) {
            status = storage_fail(
                error, STORAGE_LOCKED,
                "%s: in use by another kvd (%s is locked). One directory serves one node: stop the "
                "other kvd or choose another directory",
                directory->path, path);
        } else {
            status = storage_fail_errno(error, path, "lock");
        }
    }
    free(path);
    return status;
}

enum storage_status data_directory_open(const char *path, struct data_directory **directory,
                                        struct storage_error *error)
{
    if (path[0] == '\0') {
        return storage_fail(error, STORAGE_FAILED, "the data directory has an empty name");
    }
    struct data_directory *opened = storage_allocate_zero(sizeof *opened);
    opened->lock = -1;
    opened->path = storage_format("%s", path);
    opened->log_path = storage_format("%s/log", path);
    enum storage_status status = storage_create_directory(path, error);
    if (status == STORAGE_OK) {
        status = data_directory_check_filesystem(path, error);
    }
    if (status == STORAGE_OK) {
        status = data_directory_take_lock(opened, error);
    }
    if (status == STORAGE_OK) {
        status = storage_create_directory(opened->log_path, error);
    }
    if (status == STORAGE_OK) {
        status = storage_sync_directory(path, error);
    }
    if (status != STORAGE_OK) {
        data_directory_close(opened);
        return status;
    }
    *directory = opened;
    return STORAGE_OK;
}

void data_directory_close(struct data_directory *directory)
{
    if (directory == NULL) {
        return;
    }
    if (directory->lock >= 0) {
        close(directory->lock);
    }
    free(directory->path);
    free(directory->log_path);
    free(directory->map_path);
    free(directory);
}

const char *data_directory_log_path(const struct data_directory *directory)
{
    return directory->log_path;
}

const char *data_directory_map_path(struct data_directory *directory, uint64_t generation)
{
    assert(generation > 0);
    free(directory->map_path);
    directory->map_path = storage_format("%s/map-%llu", directory->path, (unsigned long long)generation);
    return directory->map_path;
}

enum storage_status data_directory_remove_other_maps(struct data_directory *directory, uint64_t generation,
                                                     struct storage_error *error)
{
    DIR *listing = opendir(directory->path);
    if (listing == NULL) {
        return storage_fail_errno(error, directory->path, "open the directory");
    }
    enum storage_status status = STORAGE_OK;
    struct dirent *entry = NULL;
    while (status == STORAGE_OK && (entry = readdir(listing)) != NULL) {
        uint64_t found = 0;
        if (data_directory_parse_map_name(entry->d_name, &found) && found != generation) {
            char *path = storage_format("%s/%s", directory->path, entry->d_name);
            status = storage_remove_directory(path, error);
            free(path);
        }
    }
    closedir(listing);
    return status;
}
