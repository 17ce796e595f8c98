/* backup_file.h: reading a backup file (backup_form.h): whole, from the beginning to the end, every byte
 * checked.
 *
 * Refused are files that are no backup, are cut short, go on after their end, or differ in any byte from what
 * was written: STORAGE_CORRUPT, STORAGE_INCOMPATIBLE (no backup, or of a later form). STORAGE_FAILED: cannot
 * be read.
 */
#ifndef BACKUP_FILE_H
#define BACKUP_FILE_H

#include "backup_form.h"
#include "map_meta.h"

/* What is told while it is read: bytes done, of how many. NULL where nobody wants to know. */
typedef void backup_progress(void *context, uint64_t bytes, uint64_t bytes_total);

/* Gets each chunk in turn, borrowed for the call, and checks it as map_stream_add() does (the caller of
 * backup_file_read() only looks at what is round them). Anything but STORAGE_OK ends the reading. */
typedef enum storage_status backup_take_chunk(void *context, const uint8_t *chunk, size_t size,
                                              struct storage_error *error);

struct backup_reading {
    backup_take_chunk *take_chunk;
    void *context;
    backup_progress *progress;
    void *progress_context;
};

/* Only when it returns STORAGE_OK may what was taken be believed. *head is filled before the first chunk. */
enum storage_status backup_file_read(const char *path, const struct backup_reading *reading,
                                     struct backup_head *head,
                                     struct storage_error *error) STORAGE_MUST_CHECK;

/* What a sound backup holds. */
struct backup_summary {
    struct backup_head head;
    uint64_t applied_index; /* its position */
    uint64_t applied_term;
    uint64_t log_time_ms;
    uint64_t key_count;
    uint64_t digest;
};
/* Fills all but the head. */
void backup_summarize(const struct map_meta *meta, struct backup_summary *summary);

enum storage_status backup_file_verify(const char *path, backup_progress *progress, void *progress_context,
                                       struct backup_summary *summary,
                                       struct storage_error *error) STORAGE_MUST_CHECK;

#endif
