/* backup_writer.c: see backup_writer.h. */
#include "backup_writer.h"

#include "storage_error.h"
#include "storage_file.h"
#include "storage_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITE_BACK_BYTES = 8 * 1024 * 1024 };

struct backup_writer {
    char *path;
    char *part_path;
    int file;
    uint64_t bytes;
    uint64_t written_back; /* of them: the kernel was told to write them */
    bool finished;         /* nothing of it has the other name */
};

static enum storage_status backup_writer_open(struct backup_writer *writer, struct storage_error *error)
{
    struct stat information;
    if (lstat(writer->path, &information) == 0) {
        return storage_fail(error, STORAGE_FAILED, "%s: there already; a backup never overwrites a file",
                            writer->path);
    }
    writer->file = open(writer->part_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return writer->file >= 0 ? STORAGE_OK : storage_fail_errno(error, writer->part_path, "create the file");
}

enum storage_status backup_writer_create(const char *path, struct backup_writer **writer,
                                         struct storage_error *error)
{
    struct backup_writer *created = storage_allocate_zero(sizeof *created);
    created->path = storage_format("%s", path);
    created->part_path = storage_format("%s.part", path);
    created->file = -1;
    enum storage_status status = backup_writer_open(created, error);
    if (status != STORAGE_OK) {
        backup_writer_destroy(created);
        return status;
    }
    *writer = created;
    return STORAGE_OK;
}

void backup_writer_destroy(struct backup_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    if (writer->file >= 0 && !writer->finished) {
        (void)unlink(writer->part_path); /* else it is overwritten the next time */
    }
    storage_close_file(writer->file);
    free(writer->part_path);
    free(writer->path);
    free(writer);
}

enum storage_status backup_writer_add(struct backup_writer *writer, const uint8_t *bytes, size_t size,
                                      struct storage_error *error)
{
    enum storage_status status =
        storage_write_at(writer->file, bytes, size, writer->bytes, writer->part_path, error);
    writer->bytes += size;
    if (writer->bytes - writer->written_back >= WRITE_BACK_BYTES) {
        storage_start_writing_back(writer->file);
        writer->written_back = writer->bytes;
    }
    return status;
}

enum storage_status backup_writer_finish(struct backup_writer *writer, struct storage_error *error)
{
    if (fsync(writer->file) != 0) {
        return storage_fail_unfinished(error, errno, writer->part_path, "making the backup durable");
    }
    if (rename(writer->part_path, writer->path) != 0) {
        return storage_fail_errno(error, writer->path, "give the backup its name");
    }
    writer->finished = true;
    return storage_sync_parent(writer->path, error);
}
