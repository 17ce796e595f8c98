/* backup_check.c: see backup_check.h. */
#include "backup_check.h"

#include "map_chunk.h"
#include "map_stream.h"
#include "storage_error.h"
#include "storage_memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum backup_check_part { CHECK_HEAD, CHECK_CHUNKS, CHECK_TRAILER, CHECK_COMPLETE };

struct backup_check {
    char *name;
    enum backup_check_part next;
    uint8_t head_bytes[BACKUP_HEAD_BYTES];
    struct backup_head head;
    struct backup_end found;
    struct map_stream *stream;
};

struct backup_check *backup_check_create(const char *name)
{
    struct backup_check *check = storage_allocate_zero(sizeof *check);
    check->name = storage_format("%s", name);
    check->stream = map_stream_create(NULL, NULL);
    return check;
}

void backup_check_destroy(struct backup_check *check)
{
    if (check != NULL) {
        map_stream_destroy(check->stream);
        free(check->name);
        free(check);
    }
}

static enum storage_status backup_check_fail(const struct backup_check *check, struct storage_error *error)
{
    return storage_fail(error, STORAGE_CORRUPT, "%s: piece %llu of this backup has an impossible size",
                        check->name, (unsigned long long)check->found.chunks_count);
}

static enum storage_status backup_check_take_chunk(struct backup_check *check, const uint8_t *piece,
                                                   size_t size, struct storage_error *error)
{
    if (size < MAP_CHUNK_HEAD_BYTES || map_chunk_get_size(piece) != size) {
        return backup_check_fail(check, error);
    }
    enum storage_status status = map_stream_add(check->stream, piece, size, error);
    check->found.chunks_count++;
    check->found.checksum = map_chunk_get_checksum(piece);
    if (status == STORAGE_OK && map_stream_is_complete(check->stream)) {
        check->next = CHECK_TRAILER;
    }
    return status;
}

static enum storage_status backup_check_take(struct backup_check *check, const uint8_t *piece, size_t size,
                                             struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    switch (check->next) {
    case CHECK_HEAD:
        if (size != BACKUP_HEAD_BYTES) {
            return backup_check_fail(check, error);
        }
        memcpy(check->head_bytes, piece, size);
        check->next = CHECK_CHUNKS;
        return backup_decode_head(piece, check->name, &check->head, error);
    case CHECK_CHUNKS:
        return backup_check_take_chunk(check, piece, size, error);
    case CHECK_TRAILER:
        if (size != BACKUP_TRAILER_BYTES) {
            return backup_check_fail(check, error);
        }
        status = backup_check_trailer(piece, check->head_bytes, check->name, &check->found, error);
        check->next = status == STORAGE_OK ? CHECK_COMPLETE : check->next;
        return status;
    case CHECK_COMPLETE:
        return storage_fail(error, STORAGE_CORRUPT, "%s: this backup goes on after its end", check->name);
    }
    abort();
}

enum storage_status backup_check_add(struct backup_check *check, const uint8_t *piece, size_t size,
                                     struct storage_error *error)
{
    enum storage_status status = backup_check_take(check, piece, size, error);
    check->found.bytes += size;
    return status;
}

bool backup_check_is_complete(const struct backup_check *check)
{
    return check->next == CHECK_COMPLETE;
}

void backup_check_summarize(const struct backup_check *check, struct backup_summary *summary)
{
    assert(backup_check_is_complete(check));
    summary->head = check->head;
    backup_summarize(map_stream_get_meta(check->stream), summary);
}
