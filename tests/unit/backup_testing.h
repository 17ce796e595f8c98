/* backup_testing.h: for tests of storage/: a map's backup, written to a file as a node and a client do it. */
#ifndef BACKUP_TESTING_H
#define BACKUP_TESTING_H

#include "backup_source.h"
#include "backup_writer.h"
#include "storage_testing.h"

/* What stops it first is the result. */
static inline enum storage_status testing_write_backup(struct map *map, const struct backup_head *head,
                                                       const char *path, struct storage_error *error)
{
    static uint8_t bytes[MAP_CHUNK_BYTES_MAX];
    struct backup_source *source = NULL;
    struct backup_writer *writer = NULL;
    enum storage_status status = backup_source_open(map, head, &source, error);
    if (status == STORAGE_OK) {
        status = backup_writer_create(path, &writer, error);
    }
    for (size_t size = 1; size > 0 && status == STORAGE_OK;) {
        status = backup_source_read(source, bytes, &size, error);
        if (status == STORAGE_OK && size > 0) {
            status = backup_writer_add(writer, bytes, size, error);
        }
    }
    if (status == STORAGE_OK) {
        const struct map_snapshot *snapshot = backup_source_get_snapshot(source);
        assert_int_equal(map_snapshot_keys_count(snapshot), map_get_meta(map)->key_count);
        status = backup_writer_finish(writer, error);
    }
    backup_writer_destroy(writer);
    backup_source_close(source);
    return status;
}

#endif
