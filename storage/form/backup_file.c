/* backup_file.c: see backup_file.h. */
#include "backup_file.h"

#include "map_chunk.h"
#include "map_stream.h"
#include "storage_error.h"
#include "storage_file.h"
#include "storage_memory.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct backup_file {
    const char *path;
    int file;
    uint64_t size;
    uint64_t offset;
    const struct backup_reading *reading;
    uint8_t head[BACKUP_HEAD_BYTES];
    uint8_t *chunk;
};

static enum storage_status backup_file_open(struct backup_file *backup, struct storage_error *error)
{
    struct stat information;
    backup->file = open(backup->path, O_RDONLY | O_CLOEXEC);
    if (backup->file < 0 || fstat(backup->file, &information) != 0) {
        return storage_fail_errno(error, backup->path, "open the backup");
    }
    if (!S_ISREG(information.st_mode)) {
        return storage_fail(error, STORAGE_FAILED, "%s: not a plain file", backup->path);
    }
    backup->size = (uint64_t)information.st_size;
    return STORAGE_OK;
}

/* The next bytes of the file. */
static enum storage_status backup_file_take(struct backup_file *backup, uint8_t *bytes, size_t size,
                                            struct storage_error *error)
{
    if (size > backup->size - backup->offset) {
        return storage_fail(error, STORAGE_CORRUPT, "%s: this backup is cut short (it has %llu bytes)",
                            backup->path, (unsigned long long)backup->size);
    }
    enum storage_status status =
        storage_read_at(backup->file, bytes, size, backup->offset, backup->path, error);
    backup->offset += size;
    if (status == STORAGE_OK && backup->reading->progress != NULL) {
        backup->reading->progress(backup->reading->progress_context, backup->offset, backup->size);
    }
    return status;
}

/* Reads one chunk and hands it over. */
static enum storage_status backup_file_take_chunk(struct backup_file *backup, struct backup_end *found,
                                                  bool *last, struct storage_error *error)
{
    enum storage_status status = backup_file_take(backup, backup->chunk, MAP_CHUNK_HEAD_BYTES, error);
    if (status != STORAGE_OK) {
        return status;
    }
    size_t size = map_chunk_get_size(backup->chunk);
    if (size == 0) {
        return storage_fail(error, STORAGE_CORRUPT, "%s: chunk %llu of this backup has an impossible size",
                            backup->path, (unsigned long long)found->chunks_count);
    }
    status =
        backup_file_take(backup, backup->chunk + MAP_CHUNK_HEAD_BYTES, size - MAP_CHUNK_HEAD_BYTES, error);
    if (status == STORAGE_OK) {
        status = backup->reading->take_chunk(backup->reading->context, backup->chunk, size, error);
    }
    found->chunks_count++;
    found->bytes = backup->offset;
    found->checksum = map_chunk_get_checksum(backup->chunk);
    *last = map_chunk_get_kind(backup->chunk) == MAP_CHUNK_END;
    return status;
}

static enum storage_status backup_file_take_all(struct backup_file *backup, struct backup_head *head,
                                                struct storage_error *error)
{
    struct backup_end found = {0};
    uint8_t trailer[BACKUP_TRAILER_BYTES];
    bool last = false;
    enum storage_status status = backup_file_take(backup, backup->head, BACKUP_HEAD_BYTES, error);
    if (status == STORAGE_OK) {
        status = backup_decode_head(backup->head, backup->path, head, error);
    }
    while (status == STORAGE_OK && !last) {
        status = backup_file_take_chunk(backup, &found, &last, error);
    }
    if (status == STORAGE_OK) {
        status = backup_file_take(backup, trailer, sizeof trailer, error);
    }
    if (status == STORAGE_OK) {
        status = backup_check_trailer(trailer, backup->head, backup->path, &found, error);
    }
    if (status == STORAGE_OK && backup->offset < backup->size) {
        status = storage_fail(error, STORAGE_CORRUPT, "%s: this backup goes on after its end", backup->path);
    }
    return status;
}

enum storage_status backup_file_read(const char *path, const struct backup_reading *reading,
                                     struct backup_head *head, struct storage_error *error)
{
    struct backup_file backup = {.path = path, .reading = reading};
    enum storage_status status = backup_file_open(&backup, error);
    if (status == STORAGE_OK) {
        backup.chunk = storage_allocate(MAP_CHUNK_BYTES_MAX);
        status = backup_file_take_all(&backup, head, error);
    }
    free(backup.chunk);
    storage_close_file(backup.file);
    return status;
}

static enum storage_status backup_verify_chunk(void *context, const uint8_t *chunk, size_t size,
                                               struct storage_error *error)
{
    return map_stream_add(context, chunk, size, error);
}

void backup_summarize(const struct map_meta *meta, struct backup_summary *summary)
{
    summary->applied_index = meta->applied_index;
    summary->applied_term = meta->applied_term;
    summary->log_time_ms = meta->log_time_ms;
    summary->key_count = meta->key_count;
    summary->digest = meta->digest;
}

enum storage_status backup_file_verify(const char *path, backup_progress *progress, void *progress_context,
                                       struct backup_summary *summary, struct storage_error *error)
{
    struct map_stream *stream = map_stream_create(NULL, NULL);
    const struct backup_reading reading = {.take_chunk = backup_verify_chunk,
                                           .context = stream,
                                           .progress = progress,
                                           .progress_context = progress_context};
    enum storage_status status = backup_file_read(path, &reading, &summary->head, error);
    if (status == STORAGE_OK) {
        assert(map_stream_is_complete(stream));
        backup_summarize(map_stream_get_meta(stream), summary);
    }
    map_stream_destroy(stream);
    return status;
}
