/* data_directory_internal.h: for tests. */
#ifndef DATA_DIRECTORY_INTERNAL_H
#define DATA_DIRECTORY_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

/* The name of a filesystem (statfs' f_type) on which kvd refuses to run, or NULL for one that is fine. */
const char *data_directory_refused_filesystem(uint32_t filesystem_type);

/* Is this the name of a map's directory ("map-" and a number without leading zeros)? */
bool data_directory_parse_map_name(const char *name, uint64_t *generation);

#endif
