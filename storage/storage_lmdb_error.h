/* storage_lmdb_error.h: telling LMDB's failures apart.
 *
 * The only recoverable failures of a write transaction are MDB_MAP_FULL and MDB_TXN_FULL: LMDB returns them
 * from page allocation, before it has written anything that counts, from a put as well as from a
 * commit (which allocates pages for its list of free ones before it flushes). Every other failed commit
 * leaves the outcome on disk unknown and poisons the store (pitfalls 17, 18, 19).
 */
#ifndef STORAGE_LMDB_ERROR_H
#define STORAGE_LMDB_ERROR_H

#include "storage_error.h"

/* Is this result of an LMDB call "no room", with nothing written once the transaction is aborted? */
bool storage_result_is_full(int lmdb_result);

/* What went wrong while `doing` something in `directory`: STORAGE_FULL, STORAGE_CORRUPT or STORAGE_FAILED. */
enum storage_status storage_fail_lmdb(struct storage_error *error, int lmdb_result, const char *directory,
                                      const char *doing);

/* For an environment that is not live yet: a full disk is STORAGE_FULL too. */
enum storage_status storage_fail_unfinished_lmdb(struct storage_error *error, int lmdb_result,
                                                 const char *directory, const char *doing);

#endif
