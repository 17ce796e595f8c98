/* backup_source.h: the bytes of a backup file (backup_form.h), made from a map while it goes on; for whoever
 * writes them to a file (backup_writer.h) or sends them to somebody who does.
 *
 * Threads, lifetime and pinned pages: as of the snapshot that it reads (map_snapshot.h).
 */
#ifndef BACKUP_SOURCE_H
#define BACKUP_SOURCE_H

#include "backup_form.h"
#include "map_snapshot.h"

struct backup_source;

enum storage_status backup_source_open(struct map *map, const struct backup_head *head,
                                       struct backup_source **source,
                                       struct storage_error *error) STORAGE_MUST_CHECK;
void backup_source_close(struct backup_source *source); /* NULL is allowed */

/* For its meta, progress and pinned bytes. */
const struct map_snapshot *backup_source_get_snapshot(const struct backup_source *source);

/* The next bytes of the file: at most MAP_CHUNK_BYTES_MAX, which is the room that there must be; *size is 0
 * after the last ones. Errors as of map_snapshot_read(). */
enum storage_status backup_source_read(struct backup_source *source, uint8_t *bytes, size_t *size,
                                       struct storage_error *error) STORAGE_MUST_CHECK;

#endif
