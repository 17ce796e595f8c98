/* lmdb_environment.c: see lmdb_environment.h. */
#include "lmdb_environment.h"

#include "storage_file.h"
#include "storage_lmdb_error.h"
#include "storage_memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    UNSAFE_FLAGS = MDB_NOSYNC | MDB_NOMETASYNC | MDB_MAPASYNC | MDB_WRITEMAP | MDB_NOLOCK | MDB_FIXEDMAP,
    LOCK_FILE_BYTES = 8192, /* of lock.mdb, with LMDB's 126 readers */
};

/* LMDB wants a whole number of pages. */
static size_t lmdb_environment_round_size(size_t map_bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    assert(map_bytes > 0 && map_bytes <= SIZE_MAX - page);
    return (map_bytes + page - 1) / page * page;
}

/* LMDB makes lock.mdb a file of holes and writes to it through memory: where a full disk has no block for a
 * hole, the process would be killed (SIGBUS). */
static enum storage_status lmdb_environment_allocate_lock_file(const char *directory,
                                                               struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    char *path = storage_format("%s/lock.mdb", directory);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        status = storage_fail_errno(error, path, "open the file for writing");
    } else if (fallocate(file, 0, 0, LOCK_FILE_BYTES) != 0 && (errno == ENOSPC || errno == EDQUOT)) {
        status = storage_fail_unfinished(error, errno, path, "allocating the file");
    }
    if (file >= 0) {
        close(file);
    }
    free(path);
    return status;
}

/* mdb_env_open(). When the file was new, nothing of it stays after a failure: half a header (the disk was
 * full) would pass for damage at the next start. */
static int lmdb_environment_open_file(MDB_env *environment, const char *directory, unsigned flags)
{
    struct stat information;
    char *path = storage_format("%s/data.mdb", directory);
    bool is_new = stat(path, &information) != 0 ? errno == ENOENT : information.st_size == 0;
    int result = mdb_env_open(environment, directory, flags, 0600);
    if (result != 0 && is_new) {
        int truncated = truncate(path, 0);
        (void)truncated; /* the failure is reported in any case */
    }
    free(path);
    return result;
}

/* LMDB believes its own pages, which carry no checksums. After this it prints `what` and aborts. */
static void lmdb_environment_on_assertion(MDB_env *environment, const char *what)
{
    const char *directory = NULL;
    (void)what;
    (void)mdb_env_get_path(environment, &directory);
    fprintf(stderr, "%s: LMDB stumbled over its own pages, mostly because the file was altered. %s\n",
            directory, STORAGE_DAMAGED_ADVICE);
}

/* `extra` is MDB_NOSYNC or nothing. */
static enum storage_status lmdb_environment_open_with(const struct lmdb_environment_options *options,
                                                      unsigned extra, MDB_env **environment,
                                                      struct storage_error *error)
{
    enum storage_status status = lmdb_environment_allocate_lock_file(options->directory, error);
    if (status != STORAGE_OK) {
        return status;
    }
    MDB_env *opened = NULL;
    unsigned flags = MDB_NOTLS | extra | (options->read_ahead ? 0U : (unsigned)MDB_NORDAHEAD);
    int result = mdb_env_create(&opened);
    if (result == 0) {
        result = mdb_env_set_mapsize(opened, lmdb_environment_round_size(options->map_bytes));
    }
    if (result == 0) {
        result = mdb_env_set_maxdbs(opened, options->tables_max);
    }
    if (result == 0) {
        result = mdb_env_set_assert(opened, lmdb_environment_on_assertion);
    }
    if (result == 0) {
        result = lmdb_environment_open_file(opened, options->directory, flags);
    }
    if (result == 0) {
        result = lmdb_environment_clear_readers(opened);
    }
    if (result != 0) {
        mdb_env_close(opened);
        return storage_fail_lmdb(error, result, options->directory, "opening the database");
    }
    unsigned used = 0;
    result = mdb_env_get_flags(opened, &used);
    assert(result == 0 && (used & UNSAFE_FLAGS) == extra && (used & MDB_NOTLS) != 0);

    /* LMDB creates its files without making their names durable. */
    status = storage_sync_directory(options->directory, error);
    if (status != STORAGE_OK) {
        mdb_env_close(opened);
        return status;
    }
    *environment = opened;
    return STORAGE_OK;
}

enum storage_status lmdb_environment_open(const struct lmdb_environment_options *options,
                                          MDB_env **environment, struct storage_error *error)
{
    return lmdb_environment_open_with(options, 0, environment, error);
}

enum storage_status lmdb_environment_open_unsynced(const struct lmdb_environment_options *options,
                                                   MDB_env **environment, struct storage_error *error)
{
    return lmdb_environment_open_with(options, MDB_NOSYNC, environment, error);
}

int lmdb_environment_sync(MDB_env *environment)
{
    return mdb_env_sync(environment, 1);
}

int lmdb_environment_clear_readers(MDB_env *environment)
{
    int dead_readers = 0;
    return mdb_reader_check(environment, &dead_readers);
}

void lmdb_environment_get_usage(MDB_env *environment, uint64_t *file_bytes, uint64_t *map_bytes)
{
    MDB_envinfo information;
    MDB_stat statistics;
    int result = mdb_env_info(environment, &information);
    assert(result == 0);
    result = mdb_env_stat(environment, &statistics);
    assert(result == 0);
    *file_bytes = ((uint64_t)information.me_last_pgno + 1) * statistics.ms_psize;
    *map_bytes = information.me_mapsize;
}

/* Pages that were freed by transactions from the number `since` on. */
static int lmdb_environment_count_free_bytes(MDB_txn *read_transaction, size_t since, uint64_t *free_bytes)
{
    /* LMDB keeps its free pages in table 0: id of the freeing transaction -> how many, and which. */
    enum { FREE_TABLE = 0 };
    MDB_cursor *cursor = NULL;
    MDB_stat statistics = {0};
    int result = mdb_stat(read_transaction, FREE_TABLE, &statistics);
    if (result == 0) {
        result = mdb_cursor_open(read_transaction, FREE_TABLE, &cursor);
    }
    MDB_val key = {sizeof since, &since};
    MDB_val value;
    uint64_t pages = 0;
    MDB_cursor_op step = MDB_SET_RANGE;
    for (; result == 0 && (result = mdb_cursor_get(cursor, &key, &value, step)) == 0; step = MDB_NEXT) {
        size_t count = 0;
        if (value.mv_size < sizeof count) {
            result = MDB_CORRUPTED;
            break;
        }
        memcpy(&count, value.mv_data, sizeof count);
        pages += count;
    }
    if (cursor != NULL) {
        mdb_cursor_close(cursor);
    }
    *free_bytes = pages * statistics.ms_psize;
    return result == MDB_NOTFOUND ? MDB_SUCCESS : result;
}

int lmdb_environment_get_free_bytes(MDB_txn *read_transaction, uint64_t *free_bytes)
{
    return lmdb_environment_count_free_bytes(read_transaction, 0, free_bytes);
}

int lmdb_environment_get_pinned_bytes(MDB_env *environment, MDB_txn *read_transaction, uint64_t *pinned_bytes)
{
    /* What the transaction cannot see: the free list as it is now. */
    MDB_txn *present = NULL;
    int result = mdb_txn_begin(environment, NULL, MDB_RDONLY, &present);
    if (result == 0) {
        result = lmdb_environment_count_free_bytes(present, mdb_txn_id(read_transaction) + 1, pinned_bytes);
        mdb_txn_abort(present);
    }
    return result;
}
