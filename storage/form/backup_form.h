/* backup_form.h: what stands before and after the chunks of a map (map_chunk.h) in a backup file.
 *
 *   head      8 bytes "kvdback\n", then the record "backup" in an envelope (storage_record.h), version 1:
 *             cluster id (16), node id (8), time in ms since 1970 when it was begun (8)
 *   chunks    META, RECORDS ..., END: position, membership and all else of meta are in the first
 *   trailer   the record "backup_end" in an envelope, version 1: number of chunks (8), bytes before the
 * trailer (8), chain(checksum of the last chunk, head) (8)
 *
 * A chunk's checksum continues that of the chunk before, so the one in the trailer is of the whole file.
 * Pure.
 */
#ifndef BACKUP_FORM_H
#define BACKUP_FORM_H

#include "storage_status.h"

#include <stddef.h>
#include <stdint.h>

struct backup_head {
    uint64_t cluster_id[2];
    uint64_t node_id; /* whose map it is */
    uint64_t created_ms;
};

/* What the trailer says. */
struct backup_end {
    uint64_t chunks_count;
    uint64_t bytes;    /* of head and chunks */
    uint64_t checksum; /* of the last chunk */
};

enum { BACKUP_HEAD_BYTES = 56, BACKUP_TRAILER_BYTES = 40 };

void backup_encode_head(uint8_t bytes[BACKUP_HEAD_BYTES], const struct backup_head *head);
void backup_encode_trailer(uint8_t bytes[BACKUP_TRAILER_BYTES], const uint8_t head[BACKUP_HEAD_BYTES],
                           const struct backup_end *end);

/* `path` is for the sentence. STORAGE_INCOMPATIBLE: not a backup, or of a later form; STORAGE_CORRUPT. */
enum storage_status backup_decode_head(const uint8_t bytes[BACKUP_HEAD_BYTES], const char *path,
                                       struct backup_head *head,
                                       struct storage_error *error) STORAGE_MUST_CHECK;
/* Compares with what was found. */
enum storage_status backup_check_trailer(const uint8_t bytes[BACKUP_TRAILER_BYTES],
                                         const uint8_t head[BACKUP_HEAD_BYTES], const char *path,
                                         const struct backup_end *found,
                                         struct storage_error *error) STORAGE_MUST_CHECK;

#endif
