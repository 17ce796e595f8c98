/* log_store.h: the Raft log, the hard state and the identities of a node, in one LMDB environment.
 *
 * What it is: synchronous calls, each write one durable LMDB transaction (LMDB's default sync; never
 * MDB_NOSYNC, MDB_NOMETASYNC, MDB_MAPASYNC, MDB_WRITEMAP or MDB_NOLOCK: pitfall 24). The record that
 * names the live map is here, so that one transaction of this environment can switch maps.
 *
 * What it is not: it does not batch by itself, start threads, or know what entries mean; only that the type
 * of a membership entry is LOG_ENTRY_MEMBERSHIP, so that all of them are found at start without a walk.
 *
 * Invariants: entries are contiguous from base.index + 1 to last.index; each carries a checksum over its
 * index, term, type and bytes, checked whenever it is read (pitfall 27); a bad one is reported and never
 * truncated away. A failed commit poisons the store: every later write fails at once (pitfalls 17, 18).
 *
 * Threads: one thread writes; any thread may read, each call with a read transaction of its own.
 */
#ifndef LOG_STORE_H
#define LOG_STORE_H

#include "storage_space.h"
#include "storage_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Same meaning as in Raft: an index of 0 is before the first entry. */
struct log_entry_id {
    uint64_t term;
    uint64_t index;
};

/* The one type that has a meaning here. */
enum { LOG_ENTRY_MEMBERSHIP = 3 };

struct log_entry {
    struct log_entry_id id;
    uint32_t type;        /* opaque here, but for LOG_ENTRY_MEMBERSHIP */
    const uint8_t *bytes; /* borrowed: see each function */
    uint32_t size;
};

struct log_hard_state {
    uint64_t term;
    uint64_t vote;
};

enum { LOG_MEMBERS_MAX = 15, LOG_ADDRESS_BYTES_MAX = 255 };

struct log_member {
    uint64_t node_id;
    uint64_t disk_id; /* random, chosen when the member's directory was first used; 0: not known yet */
};

enum log_formation {
    LOG_FORMATION_NONE = 0,     /* a new directory: it has a disk id and nothing else */
    LOG_FORMATION_PREPARED = 1, /* agreed to the cluster below, may not vote yet */
    LOG_FORMATION_FORMED = 2,   /* member of the cluster below for ever */
};

/* Who this directory belongs to (pitfall 28). */
struct log_identity {
    uint64_t node_id;
    uint64_t disk_id;
    enum log_formation formation;
    uint64_t cluster_id[2]; /* 128 random bits; 0 while LOG_FORMATION_NONE */
    uint32_t members_count; /* the members that formed the cluster */
    struct log_member members[LOG_MEMBERS_MAX];
};

struct log_store;

struct log_store_options {
    const char *directory; /* "<data>/log", exists */
    size_t map_bytes;      /* LMDB's map size, fixed while open */
    /* Disk space that is kept allocated beyond what is in use, for what must go on when the disk is full. */
    uint64_t reserve_bytes;
};

/* Opens or creates the environment, creates its tables, checks the format version and that the entries
 * are contiguous. On anything but STORAGE_OK *error is a sentence for the user. */
enum storage_status log_store_open(const struct log_store_options *options, struct log_store **store,
                                   struct storage_error *error) STORAGE_MUST_CHECK;
void log_store_close(struct log_store *store); /* NULL is allowed */

/* ---- identity and generation: read at start, written rarely, each write durable ---- */

/* *found is false in a new directory; STORAGE_CORRUPT in one that has votes or entries and no identity. */
enum storage_status log_store_read_identity(struct log_store *store, struct log_identity *identity,
                                            bool *found, struct storage_error *error) STORAGE_MUST_CHECK;
enum storage_status log_store_write_identity(struct log_store *store, const struct log_identity *identity,
                                             struct storage_error *error) STORAGE_MUST_CHECK;
/* The number in the name of the live map's directory; 1 in a new store. */
uint64_t log_store_map_generation(const struct log_store *store);

/* ---- the log ---- */

struct log_store_state {
    struct log_hard_state hard_state;
    struct log_entry_id base; /* the entry before the first; {0,0} when nothing was compacted */
    struct log_entry_id last; /* == base when empty */
    uint64_t commit_hint;     /* known committed and durable at some time; may be too low */
};

/* What is on disk. Exact for the writing thread; a moment old for others. */
void log_store_get_state(const struct log_store *store, struct log_store_state *state);

/* Calls visit(context, first_index, term) for each stretch of entries of one term, ascending. */
enum storage_status log_store_term_runs(struct log_store *store,
                                        void (*visit)(void *context, uint64_t first_index, uint64_t term),
                                        void *context, struct storage_error *error) STORAGE_MUST_CHECK;

/* Calls visit() for each entry of the type LOG_ENTRY_MEMBERSHIP after base, ascending; its bytes are borrowed
 * for the call. STORAGE_CORRUPT when one is missing, damaged or of another type or term. */
enum storage_status log_store_memberships(struct log_store *store,
                                          void (*visit)(void *context, const struct log_entry *entry),
                                          void *context, struct storage_error *error) STORAGE_MUST_CHECK;

/* One write transaction: everything that waits. Parts that are 0/NULL are left out. */
struct log_write {
    const struct log_hard_state *hard_state;
    const struct log_identity *identity; /* given where a node leaves its cluster (forced_cluster.h) */
    /* Appended in this order; where entries[i].id.index <= last index, everything from there on is dropped
     * first. Each is contiguous with what precedes it. Dropping the entry at or below base.index or
     * leaving a gap aborts. */
    const struct log_entry *entries;
    size_t entries_count;
    uint64_t commit_hint;
    /* Drop entries up to this index, which becomes the base; at most `compact_entries_max` in this
     * transaction (base moves only as far as was dropped). Nothing while an install left entries over: those
     * go first, a piece with each write. */
    uint64_t compact_to;
    uint32_t compact_entries_max;
};

/* On STORAGE_OK all of it is durable. STORAGE_FULL: map or disk have no room; nothing was written, the
 * store is usable, the same write may be tried again (pitfall 19); entries are refused so before the last
 * pages are gone, so that a write without entries (compaction, hard state) still finds room. Anything else:
 * the outcome on disk is unknown, the store is poisoned, the process must stop. */
enum storage_status log_store_write(struct log_store *store, const struct log_write *write,
                                    struct storage_error *error) STORAGE_MUST_CHECK;

/* The switch to a map that was loaded from a snapshot (or a backup), the commit point of an install: one
 * durable transaction that names the map, sets the base and what goes with it, and drops the covered entries.
 * Entries after base stay if the log holds an entry of base's index and term (or begins right after it); else
 * all go (Raft paper, figure 13, rules 6 and 7). Before it the old map counts, after it the new one;
 * whichever does not is removed at the next start.
 *
 * However long the log is, this takes no longer than its terms and memberships are many: when all entries go,
 * LMDB drops the table at once; when some stay, those below them are left over, to be dropped by the next
 * writes. */
struct log_install {
    uint64_t map_generation;          /* above the present one; its map is loaded and durable */
    struct log_entry_id base;         /* the last entry in that map */
    struct log_entry_id live_applied; /* the last entry in the map that is live now, buffers included */
    const struct log_hard_state *hard_state; /* NULL: stays */
    const struct log_identity *identity;     /* NULL: stays; given where a backup makes a new cluster */
};

/* To be called by the writing thread, when no checkpoint is being written. Refused with nothing changed:
 * STORAGE_OUTDATED: base would go back behind the present one or behind the live map; STORAGE_CORRUPT: base
 * contradicts what is there, by its term or by an entry known as committed; STORAGE_FULL. Any other failure:
 * as of log_store_write(). */
enum storage_status log_store_install(struct log_store *store, const struct log_install *install,
                                      struct storage_error *error) STORAGE_MUST_CHECK;

/* Reads entries first..last (both in the log at the time of the call) until `bytes_max` is passed, at
 * least one. visit() gets borrowed bytes, valid during the call only. An entry that is missing ends the
 * read with STORAGE_OK and what was visited so far; a bad checksum gives STORAGE_CORRUPT. */
enum storage_status log_store_read(struct log_store *store, uint64_t first, uint64_t last, size_t bytes_max,
                                   void (*visit)(void *context, const struct log_entry *entry), void *context,
                                   struct storage_error *error) STORAGE_MUST_CHECK;

/* Bytes of entries on disk, roughly (keys and values), for the size bound of compaction; and of the file. */
struct log_store_usage {
    uint64_t entries_bytes;
    uint64_t file_bytes;
    uint64_t map_bytes;
};
void log_store_get_usage(const struct log_store *store, struct log_store_usage *usage);
/* As the last write, or opening, found it. Any thread. */
void log_store_get_space(const struct log_store *store, struct storage_space *space);

#endif
