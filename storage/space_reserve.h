/* space_reserve.h: room on the disk is had before it is used (design section 4, "Disk faults").
 *
 * LMDB extends its file by writing beyond its end, within a commit. There a full disk is an EIO like any
 * other: it cannot be told from a broken one, and what was written is not known (pitfalls 17, 18). So
 * before each transaction the file is extended, by what the transaction may write at worst and a reserve.
 * That is the one place where a full disk shows as such, with nothing changed: STORAGE_FULL. What LMDB then
 * writes lies in blocks that the file has: in its free pages, or between its end as LMDB knows it and the
 * end of what was allocated.
 *
 * The reserve is for what must go on when the disk is full: deletions, checkpoints, votes, compaction.
 * While it is not whole, `low` says so, and whoever proposes refuses what makes the data grow.
 *
 * A block that is allocated and was never written costs more than others: when it is, the filesystem has to
 * note that on the disk as well, in the same sync. So zeros are written some way ahead of LMDB's end, and
 * that is noted once for many small transactions.
 *
 * Where it does not hold: filesystems that write each block anew (btrfs, ZFS) need room for what they have
 * already given. There a full disk may still show as a failed commit, which stops the node. So it is where
 * fallocate() is not supported at all: then the free space of the filesystem is compared with what is
 * needed.
 *
 * One thread: the one that writes to the environment. `space` may be read by any (space_reserve_get()).
 */
#ifndef SPACE_RESERVE_H
#define SPACE_RESERVE_H

#include "storage_space.h"
#include "storage_status.h"

#include <lmdb.h>
#include <stdatomic.h>

struct space_reserve {
    MDB_env *environment;  /* borrowed */
    const char *directory; /* borrowed: for sentences */
    uint64_t reserve_bytes;
    uint64_t allocated_bytes; /* the file has all its blocks up to here */
    uint64_t written_bytes;   /* behind LMDB's end zeros were written up to here */
    bool unsupported;         /* the filesystem knows no fallocate() */
    atomic_bool low;
    _Atomic uint64_t room_bytes;
};

/* What one transaction may write at worst. */
struct space_need {
    uint64_t pages;
    uint64_t run_pages; /* the most that must lie side by side; 0 counts as 1 */
    bool keeps_last;    /* leaves the last quarter of the reserve to those that say false here */
};

/* What every transaction may need for the list of free pages and the way from the root to a few records. */
enum { SPACE_SMALL_PAGES = 64 };

/* Also fills holes that the file may have: a copy of it, or an older kvd, left them. STORAGE_FULL: the disk
 * has no room even for that. */
enum storage_status space_reserve_open(struct space_reserve *reserve, MDB_env *environment,
                                       const char *directory, uint64_t reserve_bytes,
                                       struct storage_error *error) STORAGE_MUST_CHECK;

/* Before a write transaction begins. STORAGE_OK: it will find its blocks. STORAGE_FULL: it might not;
 * nothing was changed, ask again later. (There may be free pages in the file that become usable only by
 * another transaction.) STORAGE_FAILED: the disk fails. */
enum storage_status space_reserve_ensure(struct space_reserve *reserve, const struct space_need *need,
                                         struct storage_error *error) STORAGE_MUST_CHECK;

/* As of the last call above; the filesystem's free bytes as of now. Any thread. */
void space_reserve_get(const struct space_reserve *reserve, struct storage_space *space);

#endif
