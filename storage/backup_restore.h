/* backup_restore.h: makes a backup file the data of a new cluster of one member, in an empty data directory.
 *
 * The new cluster has an id of its own, so that no member of the old one takes it for its own (pitfall 28).
 * Its log begins after the position of the backup.
 *
 * Interrupted at any moment the directory is either restored or as good as empty: the transaction of the log
 * (log_store_install()) that names the map and writes the identity is the commit point, and comes after the
 * whole file was checked. A restore that failed or was killed is simply begun again.
 */
#ifndef BACKUP_RESTORE_H
#define BACKUP_RESTORE_H

#include "backup_file.h"
#include "log_store.h"

struct backup_restore {
    const char *file;
    const char *data; /* created if missing; holds nothing but what an earlier restore left */
    const struct log_identity *identity; /* of the new cluster: formed, its only member is this node */
    const uint8_t *membership; /* in place of the backup's; MAP_MEMBERSHIP_BYTES_MAX at most; size 0: none,
                                * which means the members that the identity names */
    uint32_t membership_size;
    size_t log_map_bytes; /* as of log_store_options and map_options */
    size_t map_bytes;
    backup_progress *progress; /* of the reading; the indexes and the sync come after it */
    void *progress_context;
};

/* STORAGE_INCOMPATIBLE: the directory is not empty, the file is no backup, or the cluster id is the old one;
 * STORAGE_LOCKED: a kvd uses the directory; STORAGE_CORRUPT: the file is damaged; STORAGE_FULL;
 * STORAGE_FAILED. */
enum storage_status backup_restore(const struct backup_restore *restore, struct backup_summary *summary,
                                   struct storage_error *error) STORAGE_MUST_CHECK;

#endif
