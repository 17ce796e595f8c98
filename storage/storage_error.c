/* storage_error.c: see storage_error.h. */
#include "storage_error.h"

#include <errno.h>
#include <lmdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum storage_status storage_fail(struct storage_error *error, enum storage_status status, const char *format,
                                 ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return status;
}

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

enum storage_status storage_fail_errno(struct storage_error *error, const char *path, const char *doing)
{
    return storage_fail(error, STORAGE_FAILED, "%s: cannot %s: %s", path, doing, strerror(errno));
}

enum storage_status storage_fail_unfinished(struct storage_error *error, int result, const char *path,
                                            const char *doing)
{
    if (result == ENOSPC || result == EDQUOT) {
        return storage_fail(error, STORAGE_FULL, "%s: the disk is full while %s (%s). Nothing was changed",
                            path, doing, strerror(result));
    }
    return storage_fail_lmdb(error, result, path, doing);
}
