/* data_directory.h: the folder that holds everything a node knows.
 *
 *   <data>/LOCK              held with an OFD lock while a kvd uses the folder (LMDB itself admits a second
 * one) <data>/log/              the log environment <data>/map-<generation>/ the map; the log environment
 * names the live one, others are left-overs
 *
 * Refused: a folder that cannot be written, one on a network or overlay filesystem (pitfall 25: nfs, cifs,
 * overlayfs; LMDB's locks and mmap are not safe there), one that another process has locked.
 */
#ifndef DATA_DIRECTORY_H
#define DATA_DIRECTORY_H

#include "storage_status.h"

#include <stdint.h>

struct data_directory;

/* Creates what is missing (mode 0700), fsyncs parents of what it created, takes the lock. */
enum storage_status data_directory_open(const char *path, struct data_directory **directory,
                                        struct storage_error *error) STORAGE_MUST_CHECK;
void data_directory_close(struct data_directory *directory); /* releases the lock; NULL is allowed */

const char *data_directory_log_path(const struct data_directory *directory);
/* Valid until the next call. */
const char *data_directory_map_path(struct data_directory *directory, uint64_t generation);
/* Removes every map but this one: left-overs of an unfinished snapshot. */
enum storage_status data_directory_remove_other_maps(struct data_directory *directory, uint64_t generation,
                                                     struct storage_error *error) STORAGE_MUST_CHECK;

#endif
