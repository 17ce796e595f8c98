/* raft_persists.h: the numbered writes that the disk has been asked for and has not confirmed.
 *
 * What it is: a queue. Each write carries where it cut the log and where the log then ended, so that
 * its completion says exactly what is on disk, even when A's entries were overwritten by C's and then
 * by A's again before the first completion came.
 *
 * What it is not: the entries themselves.
 *
 * Invariants: sequence numbers rise by one from item to item; done_sequence < items <= last_sequence.
 */
#ifndef RAFT_PERSISTS_H
#define RAFT_PERSISTS_H

#include <stdbool.h>
#include <stdint.h>

#include "raft.h"

struct raft_persist {
    uint64_t sequence;
    uint64_t first_min;        /* least first index that this or a later write overwrites; UINT64_MAX: none */
    struct raft_entry_id last; /* end of the log on disk after this write */
    uint64_t issued_ms;
};

struct raft_persists {
    struct raft_persist *items; /* ring */
    uint32_t head;
    uint32_t count;
    uint32_t capacity; /* 0 or a power of two */
    uint64_t last_sequence;
    uint64_t done_sequence;
};

void raft_persists_deinit(struct raft_persists *persists);
/* Numbers a write that appends from `first_index` on (UINT64_MAX: hard state only), after which the
 * log on disk ends at `last`. */
uint64_t raft_persists_issue(struct raft_persists *persists, uint64_t first_index, struct raft_entry_id last,
                             uint64_t now_ms);
/* Everything up to `sequence` is durable. True, with *last the end of the log that the newest of the
 * completed writes left, if this completes any. */
bool raft_persists_complete(struct raft_persists *persists, uint64_t sequence, struct raft_entry_id *last);
/* The least index that an outstanding write overwrites; UINT64_MAX when none does. O(1). */
uint64_t raft_persists_first_overwritten(const struct raft_persists *persists);
/* When the oldest outstanding write was issued; UINT64_MAX when there is none. */
uint64_t raft_persists_oldest_ms(const struct raft_persists *persists);

#endif
