/* lmdb_environment.h: how every LMDB environment of kvd is opened, in one place.
 *
 * Flags are always MDB_NOTLS, and MDB_NORDAHEAD for the map; nothing else can be asked for, so that the
 * unsafe ones (MDB_NOSYNC, MDB_NOMETASYNC, MDB_MAPASYNC, MDB_WRITEMAP, MDB_NOLOCK) cannot slip in; and what
 * LMDB says that it uses is asserted after opening (pitfall 24). The one exception is a map that is being
 * loaded, and is nobody's map yet: MDB_NOSYNC, by a function of its own. The map size is set before opening
 * and never again (pitfall 20). Reader slots left by killed processes are cleared at opening and later
 * (pitfall 22).
 *
 * Never fork() with an open environment, and never open one twice: data_directory's lock sees to the latter
 * (pitfall 25).
 */
#ifndef LMDB_ENVIRONMENT_H
#define LMDB_ENVIRONMENT_H

#include "storage_status.h"

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lmdb_environment_options {
    const char *directory; /* exists */
    size_t map_bytes;      /* rounded up to whole pages */
    unsigned tables_max;
    bool read_ahead; /* off for the map, which is read at random */
};

enum storage_status lmdb_environment_open(const struct lmdb_environment_options *options,
                                          MDB_env **environment,
                                          struct storage_error *error) STORAGE_MUST_CHECK;

/* The same without syncs (MDB_NOSYNC), for an environment that is not live: nothing in it counts before
 * lmdb_environment_sync(), and it is closed before it goes live. */
enum storage_status lmdb_environment_open_unsynced(const struct lmdb_environment_options *options,
                                                   MDB_env **environment,
                                                   struct storage_error *error) STORAGE_MUST_CHECK;
/* Makes all commits so far durable. An LMDB result. */
int lmdb_environment_sync(MDB_env *environment);

/* Frees the slots of processes (a backup tool, say) that were killed while they read: until then no page
 * that is freed is used again, and the file grows. Cheap: a look at each slot in use. Any thread; an LMDB
 * result. */
int lmdb_environment_clear_readers(MDB_env *environment);

/* Bytes of the file, which never shrinks, and the fixed limit. */
void lmdb_environment_get_usage(MDB_env *environment, uint64_t *file_bytes, uint64_t *map_bytes);

/* Bytes of pages that are free inside the file, as a read transaction sees it: an LMDB result. Walks the list
 * of free pages: cheap, but not for every write. (Some may have to wait for readers before they are used
 * again.) */
int lmdb_environment_get_free_bytes(MDB_txn *read_transaction, uint64_t *free_bytes);
/* Bytes of those pages that were freed since this read transaction began, and so must wait for it: an LMDB
 * result. */
int lmdb_environment_get_pinned_bytes(MDB_env *environment, MDB_txn *read_transaction,
                                      uint64_t *pinned_bytes);

#endif
