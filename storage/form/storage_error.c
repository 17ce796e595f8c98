/* storage_error.c: see storage_error.h. */
#include "storage_error.h"

#include <errno.h>
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

enum storage_status storage_fail_errno(struct storage_error *error, const char *path, const char *doing)
{
    return storage_fail(error, STORAGE_FAILED, "%s: cannot %s: %s", path, doing, strerror(errno));
}

enum storage_status storage_fail_unfinished(struct storage_error *error, int reason, const char *path,
                                            const char *doing)
{
    if (reason == ENOSPC || reason == EDQUOT) {
        return storage_fail(error, STORAGE_FULL, "%s: the disk is full while %s (%s). Nothing was changed",
                            path, doing, strerror(reason));
    }
    return storage_fail(error, STORAGE_FAILED, "%s: the system failed while %s: %s", path, doing,
                        strerror(reason));
}
