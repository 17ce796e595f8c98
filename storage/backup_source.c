/* backup_source.c: see backup_source.h. */
#include "backup_source.h"

#include "storage_bytes.h"
#include "storage_memory.h"

#include <stdlib.h>

enum backup_part { BACKUP_PART_HEAD, BACKUP_PART_CHUNKS, BACKUP_PART_NOTHING };

struct backup_source {
    struct map_snapshot *snapshot;
    enum backup_part next;
    uint8_t head[BACKUP_HEAD_BYTES];
    struct backup_end end; /* of what was handed out so far */
};

enum storage_status backup_source_open(struct map *map, const struct backup_head *head,
                                       struct backup_source **source, struct storage_error *error)
{
    struct backup_source *opened = storage_allocate_zero(sizeof *opened);
    enum storage_status status = map_snapshot_open(map, &opened->snapshot, error);
    if (status != STORAGE_OK) {
        free(opened);
        return status;
    }
    opened->next = BACKUP_PART_HEAD;
    backup_encode_head(opened->head, head);
    *source = opened;
    return STORAGE_OK;
}

void backup_source_close(struct backup_source *source)
{
    if (source != NULL) {
        map_snapshot_close(source->snapshot);
        free(source);
    }
}

const struct map_snapshot *backup_source_get_snapshot(const struct backup_source *source)
{
    return source->snapshot;
}

static enum storage_status backup_source_read_chunk(struct backup_source *source, uint8_t *bytes,
                                                    size_t *size, struct storage_error *error)
{
    enum storage_status status = map_snapshot_read(source->snapshot, bytes, MAP_CHUNK_BYTES_MAX, size, error);
    if (status != STORAGE_OK) {
        return status;
    }
    if (*size > 0) {
        source->end.chunks_count++;
        source->end.checksum = map_chunk_get_checksum(bytes);
    } else {
        backup_encode_trailer(bytes, source->head, &source->end);
        *size = BACKUP_TRAILER_BYTES;
        source->next = BACKUP_PART_NOTHING;
    }
    return STORAGE_OK;
}

enum storage_status backup_source_read(struct backup_source *source, uint8_t *bytes, size_t *size,
                                       struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    *size = 0;
    switch (source->next) {
    case BACKUP_PART_HEAD:
        memcpy(bytes, source->head, BACKUP_HEAD_BYTES);
        *size = BACKUP_HEAD_BYTES;
        source->next = BACKUP_PART_CHUNKS;
        break;
    case BACKUP_PART_CHUNKS:
        status = backup_source_read_chunk(source, bytes, size, error);
        break;
    case BACKUP_PART_NOTHING:
        break;
    }
    source->end.bytes += *size;
    return status;
}
