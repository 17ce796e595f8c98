/* space_reserve.c: see space_reserve.h. */
#include "space_reserve.h"

#include "free_pages.h"
#include "storage_lmdb_error.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

enum {
    STEP_BYTES_MIN = 1 << 20,       /* the file grows by this at least: not for every transaction */
    LAST_SHARE = 4,                 /* of the reserve, for what must always be possible */
    RELIEF_SHARE = 4,               /* a reserve that was short is whole again with so much more of it */
    FREE_LIST_PAGES_PER_PAGE = 256, /* a page number has 8 bytes, and the list is written up to twice */
    FREE_LIST_PAGES_MIN = 16,
    AHEAD_BYTES = 512 * 1024,       /* written before they are used; again when half of it is left */
    AHEAD_NEED_BYTES = AHEAD_BYTES, /* not for a transaction that may write more than that itself */
    BLOCK_BYTES = 4096,
};

/* The file as LMDB knows it, and what the transaction needs of it, all in bytes. */
struct account {
    uint64_t page_bytes;
    uint64_t end_bytes;   /* LMDB has written nothing beyond */
    uint64_t limit_bytes; /* the map's size: LMDB writes nothing beyond */
    uint64_t pages_bytes; /* needed for the pages of the transaction */
    uint64_t list_bytes;  /* needed for the list of free pages, side by side */
    uint64_t run;
};

static int file_of(const struct space_reserve *reserve)
{
    int file = -1;
    int result = mdb_env_get_fd(reserve->environment, &file);
    assert(result == 0 && file >= 0);
    return file;
}

static struct account make_account(const struct space_reserve *reserve, const struct space_need *need)
{
    MDB_envinfo information;
    MDB_stat statistics;
    int result = mdb_env_info(reserve->environment, &information);
    assert(result == 0);
    result = mdb_env_stat(reserve->environment, &statistics);
    assert(result == 0);
    uint64_t pages = (uint64_t)information.me_last_pgno + 1;
    return (struct account){
        .page_bytes = statistics.ms_psize,
        .end_bytes = pages * statistics.ms_psize,
        .limit_bytes = information.me_mapsize,
        .pages_bytes = need->pages * statistics.ms_psize,
        .list_bytes =
            ((pages + need->pages) / FREE_LIST_PAGES_PER_PAGE + FREE_LIST_PAGES_MIN) * statistics.ms_psize,
        .run = need->run_pages == 0 ? 1 : need->run_pages,
    };
}

static uint64_t disk_free_bytes(int file)
{
    struct statvfs information;
    if (fstatvfs(file, &information) != 0) {
        return 0;
    }
    return (uint64_t)information.f_bavail * information.f_frsize;
}

/* ---- extending ---- */

/* 0, or an errno. */
static int allocate(int file, uint64_t from, uint64_t to)
{
    int result = 0;
    do {
        result = fallocate(file, 0, (off_t)from, (off_t)(to - from)) == 0 ? 0 : errno;
    } while (result == EINTR);
    return result;
}

static bool means_full(int error_number)
{
    return error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
}

/* Extends the file to `to`, if the filesystem has as much. False, with *status unchanged: it has not. */
static bool try_extend(struct space_reserve *reserve, uint64_t to, enum storage_status *status,
                       struct storage_error *error)
{
    int file = file_of(reserve);
    if (to <= reserve->allocated_bytes) {
        return true;
    }
    /* Not tried when it cannot be: a part of it would be taken from others for nothing. */
    if (to - reserve->allocated_bytes > disk_free_bytes(file)) {
        return false;
    }
    int result = allocate(file, reserve->allocated_bytes, to);
    if (result == EOPNOTSUPP || result == ENOSYS) {
        reserve->unsupported = true;
    } else if (result != 0 && !means_full(result)) {
        errno = result;
        *status = storage_fail_errno(error, reserve->directory, "extend data.mdb");
    } else if (result == 0) {
        reserve->allocated_bytes = to;
    }
    return result == 0;
}

static uint64_t room_at_end(const struct space_reserve *reserve, const struct account *account)
{
    if (reserve->unsupported) {
        return disk_free_bytes(file_of(reserve));
    }
    return reserve->allocated_bytes > account->end_bytes ? reserve->allocated_bytes - account->end_bytes : 0;
}

/* Where the file must end for so much room behind LMDB's end. */
static uint64_t end_for(const struct account *account, uint64_t room_bytes)
{
    uint64_t end = account->end_bytes + room_bytes;
    return end < account->limit_bytes ? end : account->limit_bytes;
}

/* How much room there must be behind LMDB's end, so that with so many free bytes the transaction fits and
 * `beyond` is left. The list of free pages is written last, and may find none that lie side by side. */
static uint64_t needed_at_end(const struct account *account, uint64_t free_bytes, uint64_t beyond_bytes)
{
    uint64_t rest = account->pages_bytes + beyond_bytes;
    return account->list_bytes + (rest > free_bytes ? rest - free_bytes : 0);
}

/* ---- writing ahead ---- */

/* Writes zeros behind LMDB's end: no page is there that anybody knows of, and only this thread writes one.
 * Nothing depends on it, so a failure is none; if the disk fails, the transaction will say so. */
static void write_ahead(struct space_reserve *reserve, const struct account *account)
{
    static char zeros[BLOCK_BYTES]; /* no const: of struct iovec */
    const struct iovec piece = {zeros, sizeof zeros};
    uint64_t end = account->end_bytes;
    uint64_t from = reserve->written_bytes > end ? reserve->written_bytes : end;
    uint64_t to = end + AHEAD_BYTES < reserve->allocated_bytes ? end + AHEAD_BYTES : reserve->allocated_bytes;
    if (account->pages_bytes > AHEAD_NEED_BYTES || from >= end + AHEAD_BYTES / 2) {
        return;
    }
    int file = file_of(reserve);
    for (; from + BLOCK_BYTES <= to; from += BLOCK_BYTES) { /* page by page: in large ones much is written */
        if (pwritev(file, &piece, 1, (off_t)from) != BLOCK_BYTES) {
            return;
        }
        reserve->written_bytes = from + BLOCK_BYTES;
    }
}

/* ---- the interface ---- */

enum storage_status space_reserve_open(struct space_reserve *reserve, MDB_env *environment,
                                       const char *directory, uint64_t reserve_bytes,
                                       struct storage_error *error)
{
    *reserve = (struct space_reserve){
        .environment = environment,
        .directory = directory,
        .reserve_bytes = reserve_bytes,
    };
    const struct space_need nothing = {0};
    struct account account = make_account(reserve, &nothing);
    int file = file_of(reserve);
    struct stat information;
    if (fstat(file, &information) != 0) {
        return storage_fail_errno(error, directory, "examine data.mdb");
    }
    /* What was allocated before the last end is in the file's size. */
    uint64_t size = (uint64_t)information.st_size;
    uint64_t wanted = size > account.end_bytes ? size : account.end_bytes;
    int result = allocate(file, 0, wanted);
    if (means_full(result)) {
        wanted = account.end_bytes;
        result = allocate(file, 0, wanted);
    }
    if (means_full(result)) {
        return storage_fail(
            error, STORAGE_FULL,
            "%s: data.mdb has holes and the disk has no room to fill them (%s). Make room on it", directory,
            strerror(result));
    }
    reserve->unsupported = result == EOPNOTSUPP || result == ENOSYS;
    if (result != 0 && !reserve->unsupported) {
        errno = result;
        return storage_fail_errno(error, directory, "allocate data.mdb");
    }
    reserve->allocated_bytes = wanted;
    atomic_store(&reserve->room_bytes, room_at_end(reserve, &account));
    return STORAGE_OK;
}

/* Extends the file: in a large step, else as far as is needed for the whole reserve, else for the
 * transaction. */
static enum storage_status extend(struct space_reserve *reserve, const struct account *account,
                                  uint64_t free_bytes, uint64_t whole, uint64_t least, bool *is_whole,
                                  struct storage_error *error)
{
    uint64_t half = reserve->reserve_bytes / 2;
    uint64_t step = half > STEP_BYTES_MIN ? half : STEP_BYTES_MIN;
    const uint64_t ends[] = {
        end_for(account, needed_at_end(account, free_bytes, whole) + step),
        end_for(account, needed_at_end(account, free_bytes, whole)),
        end_for(account, needed_at_end(account, free_bytes, least)),
    };
    enum storage_status status = STORAGE_OK;
    bool extended = false;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0] && !extended && status == STORAGE_OK; i++) {
        extended = try_extend(reserve, ends[i], &status, error);
        *is_whole = extended && i < 2;
    }
    return status;
}

enum storage_status space_reserve_ensure(struct space_reserve *reserve, const struct space_need *need,
                                         struct storage_error *error)
{
    const struct account account = make_account(reserve, need);
    bool was_low = atomic_load(&reserve->low);
    uint64_t whole = reserve->reserve_bytes + (was_low ? reserve->reserve_bytes / RELIEF_SHARE : 0);
    uint64_t least = need->keeps_last ? reserve->reserve_bytes / LAST_SHARE : 0;
    struct free_pages free = {0};
    uint64_t room = room_at_end(reserve, &account);
    bool is_whole = room >= needed_at_end(&account, 0, whole);
    if (!is_whole) {
        int result = free_pages_count(reserve->environment, account.run, &free);
        if (result != 0) {
            return storage_fail_lmdb(error, result, reserve->directory, "counting free pages");
        }
        free.usable *= account.page_bytes;
        free.later *= account.page_bytes;
        is_whole = room >= needed_at_end(&account, free.usable, whole);
    }
    if (!is_whole && !reserve->unsupported) {
        enum storage_status status = extend(reserve, &account, free.usable, whole, least, &is_whole, error);
        if (status != STORAGE_OK) {
            return status;
        }
        room = room_at_end(reserve, &account);
    }
    /* Pages that are free, if not at once, are room too: the next transactions can have them. */
    atomic_store(&reserve->low, !is_whole && room < needed_at_end(&account, free.later, whole));
    atomic_store(&reserve->room_bytes, room + free.later);
    uint64_t needed = needed_at_end(&account, free.usable, least);
    bool at_limit =
        reserve->allocated_bytes >= account.limit_bytes; /* then LMDB itself says when it is full */
    if (is_whole || at_limit || room >= needed) {
        write_ahead(reserve, &account);
        return STORAGE_OK;
    }
    return storage_fail(error, STORAGE_FULL,
                        "%s: no room left on the disk: %llu bytes may be needed beside free pages, %llu are "
                        "there. Nothing was changed. Make room on the disk, or remove keys",
                        reserve->directory, (unsigned long long)needed, (unsigned long long)room);
}

void space_reserve_get(const struct space_reserve *reserve, struct storage_space *space)
{
    *space = (struct storage_space){
        .low = atomic_load(&reserve->low),
        .room_bytes = atomic_load(&reserve->room_bytes),
        .disk_free_bytes = disk_free_bytes(file_of(reserve)),
    };
}
