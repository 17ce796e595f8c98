/* raft_log.h: one node's log: what is where (memory, own disk, majority), never the disk itself.
 *
 * What it is: the terms of all entries (raft_term_runs), the newest entries themselves (the cache, a
 * ring), and four indices that say how far things are:
 *
 *   base <= applied <= handed <= commit <= last       what the state machine has seen
 *   base <= durable <= last                            what the own disk holds
 *
 * After a snapshot the log begins anew at its end (raft_log_install), here at once and on disk with the
 * next numbered write. Until that is done, base is ahead of the disk and `durable` may be below it: it
 * still says up to where the disk, whatever becomes of that write, holds what is or was the log.
 *
 * What it is not: it decides nothing. Whoever appends, truncates or commits has checked the rules
 * of Raft; this file only asserts what must hold whoever is right.
 *
 * Invariants: the cache is the suffix [cache_first, last] of the log; every entry above
 * `durable` is in it, and only what is committed as well is ever evicted. `durable` and `commit` may stand in
 * either order.
 */
#ifndef RAFT_LOG_H
#define RAFT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "raft.h"
#include "raft_persists.h"
#include "raft_term_runs.h"

struct raft_log_slot {
    struct raft_entry entry;
    uint64_t bytes_end; /* payload bytes of this and all earlier entries of the cache's life */
};

struct raft_log {
    struct raft_entry_id base;
    uint64_t last_index; /* >= base.index */
    struct raft_term_runs runs;

    struct raft_log_slot *cache; /* ring */
    uint32_t cache_head;
    uint32_t cache_capacity;     /* 0 or a power of two */
    uint64_t cache_first;        /* last_index + 1 when the cache is empty */
    uint64_t cache_bytes_before; /* bytes_end of the entry before cache_first */
    uint64_t cache_bytes_max;

    uint64_t commit;
    uint64_t handed; /* given out by raft_next_committed() */
    uint64_t applied;

    uint64_t durable;       /* the own disk holds the current log up to here, whatever happens */
    uint64_t unsaved_first; /* first entry that no numbered write holds yet; last_index + 1: none */
    struct raft_persists persists;

    bool install_unsaved; /* base is that of a snapshot which no numbered write installs yet */
    bool install_keeps;   /* the disk then goes on from base, else it drops all entries */
    uint64_t
        install_first; /* install_unsaved: first entry on disk that is not of this log; UINT64_MAX: none */
    uint64_t base_sequence; /* the write that sets base on disk; 0: is there since the start */
};

void raft_log_init(struct raft_log *log, const struct raft_restore *restore, uint64_t cache_bytes_max);
void raft_log_deinit(struct raft_log *log);

/* The id of the last entry, or base. */
struct raft_entry_id raft_log_last(const struct raft_log *log);
/* True, with *term set, if `index` is base.index or in the log. O(log runs). */
bool raft_log_get_term(const struct raft_log *log, uint64_t index, uint64_t *term);
/* The same for an index that is known to be there. */
uint64_t raft_log_term(const struct raft_log *log, uint64_t index);
bool raft_log_holds(const struct raft_log *log, struct raft_entry_id id);
/* The last entry at or before min(index, last) whose term is <= `term`; false when that is before
 * base. How both sides of a conflict skip whole terms. */
bool raft_log_find_at_most(const struct raft_log *log, uint64_t index, uint64_t term,
                           struct raft_entry_id *found);
/* A voter's question: is a log that ends at `id` at least as up to date (thesis 3.6.1)? */
bool raft_log_is_up_to_date(const struct raft_log *log, struct raft_entry_id id);

/* The entry in memory, borrowed until the log changes; NULL if it is on disk only. */
const struct raft_entry *raft_log_cached(const struct raft_log *log, uint64_t index);

/* Appends entries that follow the last one; takes references of its own to the payloads. */
void raft_log_append(struct raft_log *log, const struct raft_entry *entries, uint32_t entries_count);
/* Drops `first_dropped` (> commit) and what follows; lowers what is durable with it. */
void raft_log_truncate(struct raft_log *log, uint64_t first_dropped);
/* Raises the commit index; `index` is in the log. False if it was there already. */
bool raft_log_commit_to(struct raft_log *log, uint64_t index);
void raft_log_applied_to(struct raft_log *log, uint64_t index);
/* The log on disk begins after `base`. */
void raft_log_compact(struct raft_log *log, struct raft_entry_id base);
/* The state machine gets a snapshot up to `upto` (> handed): the log begins after it. What follows stays
 * if the log holds `upto`; else nothing does: what is above the commit index may be anything (thesis 5). */
void raft_log_install(struct raft_log *log, struct raft_entry_id upto);
/* The disk's log begins at base, too. */
bool raft_log_base_is_durable(const struct raft_log *log);

bool raft_log_has_unsaved(const struct raft_log *log);
/* Numbers the next write: all unsaved entries (none is allowed: hard state only), after the installation of
 * a snapshot, if one is unsaved. *entries is a new array, with references of its own, for the caller.
 * Returns the sequence number. */
uint64_t raft_log_issue_persist(struct raft_log *log, uint64_t now_ms, struct raft_entry **entries,
                                uint32_t *entries_count);
/* Every write up to `sequence` is durable. True if durable_index rose. */
bool raft_log_persisted(struct raft_log *log, uint64_t sequence);

/* Drops durable and committed entries from the front of an overfull cache. */
void raft_log_evict(struct raft_log *log);
/* Payload bytes of the cached entries after `index`. O(1). */
uint64_t raft_log_bytes_after(const struct raft_log *log, uint64_t index);

void raft_log_check_invariants(const struct raft_log *log);

#endif
