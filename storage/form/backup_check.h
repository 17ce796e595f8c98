/* backup_check.h: checks the bytes of a backup (backup_form.h) as they come, piece by piece, for whoever
 * takes one in from elsewhere and writes it down. What is in a file already: backup_file.h.
 *
 * Nothing is trusted: the same things are refused as in a file. Pure.
 */
#ifndef BACKUP_CHECK_H
#define BACKUP_CHECK_H

#include "backup_file.h"

#include <stdbool.h>

struct backup_check;

/* `name` is for the sentences; copied. */
struct backup_check *backup_check_create(const char *name);
void backup_check_destroy(struct backup_check *check); /* NULL is allowed */

/* The next piece, cut as backup_source_read() cuts them: the head, one chunk after the other, the trailer.
 * STORAGE_CORRUPT, STORAGE_INCOMPATIBLE; after anything but STORAGE_OK only destroying is allowed. */
enum storage_status backup_check_add(struct backup_check *check, const uint8_t *piece, size_t size,
                                     struct storage_error *error) STORAGE_MUST_CHECK;

/* The trailer came, and all was well. */
bool backup_check_is_complete(const struct backup_check *check);
/* Only when it is complete. */
void backup_check_summarize(const struct backup_check *check, struct backup_summary *summary);

#endif
