/* raft_term_runs.h: the term of every index of the log, kept as runs of equal terms.
 *
 * What it is: a sorted array. A log of a million entries that saw ten leaders takes ten runs, so the
 * terms of the whole log stay in memory although its entries do not.
 *
 * What it is not: it does not know where the log ends; raft_log does.
 *
 * Invariants: first indices and terms both rise strictly from run to run.
 */
#ifndef RAFT_TERM_RUNS_H
#define RAFT_TERM_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "raft.h"

struct raft_term_runs {
    struct raft_term_run *items;
    uint32_t count;
    uint32_t capacity;
};

void raft_term_runs_deinit(struct raft_term_runs *runs);
/* `index` follows the last index of the log; `term` is not below the last run's. O(1). */
void raft_term_runs_append(struct raft_term_runs *runs, uint64_t index, uint64_t term);
/* Forgets `first_dropped` and what follows. */
void raft_term_runs_truncate(struct raft_term_runs *runs, uint64_t first_dropped);
/* Forgets `base_index` and what comes before it; `last_index` is the end of the log. */
void raft_term_runs_compact(struct raft_term_runs *runs, uint64_t base_index, uint64_t last_index);
/* The term at `index`, which is in the log. O(log runs). */
uint64_t raft_term_runs_term(const struct raft_term_runs *runs, uint64_t index);
/* The greatest index <= `index` whose term is <= `term`; 0 when there is none. `index` is in the
 * log. O(log runs). */
uint64_t raft_term_runs_last_at_most(const struct raft_term_runs *runs, uint64_t index, uint64_t term);

#endif
