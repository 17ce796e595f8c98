/* storage_error.h: writing the sentence of a failure. (LMDB's own failures: storage_lmdb_error.h.) */
#ifndef STORAGE_ERROR_H
#define STORAGE_ERROR_H

#include "storage_status.h"

#include <stdbool.h>

/* How a message about damage ends. An empty directory under the old id is no way back (pitfall 28). */
#define STORAGE_DAMAGED_ADVICE                                                                               \
    "Keep the directory for inspection. The other members go on without this node: put a new one, with an "  \
    "id of its own, in its place (kvcli replace)"

/* Fills *error (cut to its size) and returns `status`, so that a failure is one line. */
enum storage_status storage_fail(struct storage_error *error, enum storage_status status, const char *format,
                                 ...) __attribute__((format(printf, 3, 4)));

/* A system call failed; reads errno. Always STORAGE_FAILED. */
enum storage_status storage_fail_errno(struct storage_error *error, const char *path, const char *doing);

/* For a file that is not live yet, by errno: a full disk is STORAGE_FULL. */
enum storage_status storage_fail_unfinished(struct storage_error *error, int reason, const char *path,
                                            const char *doing);

#endif
