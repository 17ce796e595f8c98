/* storage_error.h: writing the sentence of a failure, and telling LMDB's failures apart.
 *
 * The only recoverable failures of a write transaction are MDB_MAP_FULL and MDB_TXN_FULL: LMDB returns them
 * from page allocation, before it has written anything that counts, from a put as well as from a
 * commit (which allocates pages for its list of free ones before it flushes). Every other failed commit
 * leaves the outcome on disk unknown and poisons the store (pitfalls 17, 18, 19).
 */
#ifndef STORAGE_ERROR_H
#define STORAGE_ERROR_H

#include "storage_status.h"

#include <stdbool.h>

/* How a message about damage ends. There is no way to bring the node back yet; an empty directory is none. */
#define STORAGE_DAMAGED_ADVICE                                                                               \
    "Keep the directory for inspection. The other members go on without this node, and would refuse it "     \
    "with an empty directory"

/* Fills *error (cut to its size) and returns `status`, so that a failure is one line. */
enum storage_status storage_fail(struct storage_error *error, enum storage_status status, const char *format,
                                 ...) __attribute__((format(printf, 3, 4)));

/* Is this result of an LMDB call "no room", with nothing written once the transaction is aborted? */
bool storage_result_is_full(int lmdb_result);

/* What went wrong while `doing` something in `directory`: STORAGE_FULL, STORAGE_CORRUPT or STORAGE_FAILED. */
enum storage_status storage_fail_lmdb(struct storage_error *error, int lmdb_result, const char *directory,
                                      const char *doing);

/* The same as storage_fail_lmdb() for a system call; reads errno. Always STORAGE_FAILED. */
enum storage_status storage_fail_errno(struct storage_error *error, const char *path, const char *doing);

/* For a file that is not live yet: an errno or a result of LMDB; a full disk is STORAGE_FULL. */
enum storage_status storage_fail_unfinished(struct storage_error *error, int result, const char *path,
                                            const char *doing);

#endif
