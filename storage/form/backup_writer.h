/* backup_writer.h: writes a file that is there wholly or not at all: under "<path>.part" until all of it is
 * on the disk, then under its name. It does not look at what it writes (backup_source.h makes it).
 */
#ifndef BACKUP_WRITER_H
#define BACKUP_WRITER_H

#include "storage_status.h"

#include <stddef.h>
#include <stdint.h>

struct backup_writer;

/* STORAGE_FAILED when there is a file of this name already; one that ends in ".part", of an earlier try, is
 * overwritten. */
enum storage_status backup_writer_create(const char *path, struct backup_writer **writer,
                                         struct storage_error *error) STORAGE_MUST_CHECK;
/* Removes what was written unless backup_writer_finish() succeeded. NULL is allowed. */
void backup_writer_destroy(struct backup_writer *writer);

/* STORAGE_FULL: the disk is. After anything but STORAGE_OK only destroying is allowed. */
enum storage_status backup_writer_add(struct backup_writer *writer, const uint8_t *bytes, size_t size,
                                      struct storage_error *error) STORAGE_MUST_CHECK;
/* Makes it durable and gives it its name. (If it is the last step, the sync of the name, that fails, the
 * whole file has its name, but may lose it with the power.) */
enum storage_status backup_writer_finish(struct backup_writer *writer,
                                         struct storage_error *error) STORAGE_MUST_CHECK;

#endif
