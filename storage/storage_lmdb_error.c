/* storage_lmdb_error.c: see storage_lmdb_error.h. */
#include "storage_lmdb_error.h"

#include "storage_error.h"

#include <errno.h>
#include <lmdb.h>

bool storage_result_is_full(int lmdb_result)
{
    return lmdb_result == MDB_MAP_FULL || lmdb_result == MDB_TXN_FULL;
}

enum storage_status storage_fail_lmdb(struct storage_error *error, int lmdb_result, const char *directory,
                                      const char *doing)
{
    const char *reason = mdb_strerror(lmdb_result);
    switch (lmdb_result) {
    case MDB_MAP_FULL:
        return storage_fail(error, STORAGE_FULL,
                            "%s: no room left while %s: the configured map size is used up (%s). Nothing was "
                            "changed. Delete data, or restart with a larger map size",
                            directory, doing, reason);
    case MDB_TXN_FULL:
        return storage_fail(error, STORAGE_FULL,
                            "%s: too much in one transaction while %s (%s). Nothing was changed", directory,
                            doing, reason);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_CURSOR_FULL:  /* a tree that is deeper than any */
    case MDB_INCOMPATIBLE: /* a table that is none, or of another kind: kvd always opens them alike */
        return storage_fail(error, STORAGE_CORRUPT,
                            "%s: damaged file found while %s (%s). " STORAGE_DAMAGED_ADVICE, directory, doing,
                            reason);
    case MDB_VERSION_MISMATCH:
        return storage_fail(error, STORAGE_INCOMPATIBLE, "%s: written by another version of LMDB (%s)",
                            directory, reason);
    default:
        return storage_fail(error, STORAGE_FAILED, "%s: the system failed while %s: %s", directory, doing,
                            reason);
    }
}

enum storage_status storage_fail_unfinished_lmdb(struct storage_error *error, int lmdb_result,
                                                 const char *directory, const char *doing)
{
    return lmdb_result == ENOSPC || lmdb_result == EDQUOT
               ? storage_fail_unfinished(error, lmdb_result, directory, doing)
               : storage_fail_lmdb(error, lmdb_result, directory, doing);
}
