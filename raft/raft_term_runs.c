/* raft_term_runs.c: see raft_term_runs.h. */
#include "raft_term_runs.h"

#include <stdlib.h>
#include <string.h>

#include "raft_assert.h"
#include "raft_memory.h"

/* How many runs begin at or before `index`. */
static uint32_t count_begun(const struct raft_term_runs *runs, uint64_t index)
{
    uint32_t low = 0;
    uint32_t high = runs->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (runs->items[middle].first_index <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* How many runs have a term at or below `term`. */
static uint32_t count_terms(const struct raft_term_runs *runs, uint64_t term)
{
    uint32_t low = 0;
    uint32_t high = runs->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (runs->items[middle].term <= term) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void raft_term_runs_deinit(struct raft_term_runs *runs)
{
    free(runs->items);
    *runs = (struct raft_term_runs){0};
}

void raft_term_runs_append(struct raft_term_runs *runs, uint64_t index, uint64_t term)
{
    raft_assert(index > 0 && term > 0);
    if (runs->count > 0) {
        const struct raft_term_run *last = &runs->items[runs->count - 1];
        raft_assert(last->first_index < index);
        raft_assert(last->term <= term);
        if (last->term == term) {
            return;
        }
    }
    runs->items = raft_memory_reserve(runs->items, &runs->capacity, runs->count + 1, sizeof *runs->items);
    runs->items[runs->count++] = (struct raft_term_run){.first_index = index, .term = term};
}

void raft_term_runs_truncate(struct raft_term_runs *runs, uint64_t first_dropped)
{
    raft_assert(first_dropped > 0);
    runs->count = count_begun(runs, first_dropped - 1);
    raft_assert(runs->count == 0 || runs->items[runs->count - 1].first_index < first_dropped);
}

void raft_term_runs_compact(struct raft_term_runs *runs, uint64_t base_index, uint64_t last_index)
{
    raft_assert(base_index <= last_index);
    if (base_index == last_index) {
        runs->count = 0;
        return;
    }
    uint32_t begun = count_begun(runs, base_index + 1);
    raft_assert(begun > 0);
    uint32_t dropped = begun - 1; /* the run that holds base_index + 1 stays */
    runs->count -= dropped;
    memmove(runs->items, runs->items + dropped, runs->count * sizeof *runs->items);
    if (runs->items[0].first_index <= base_index) {
        runs->items[0].first_index = base_index + 1;
    }
}

uint64_t raft_term_runs_term(const struct raft_term_runs *runs, uint64_t index)
{
    uint32_t begun = count_begun(runs, index);
    raft_assert(begun > 0);
    raft_assert(runs->items[begun - 1].first_index <= index);
    return runs->items[begun - 1].term;
}

uint64_t raft_term_runs_last_at_most(const struct raft_term_runs *runs, uint64_t index, uint64_t term)
{
    uint32_t begun = count_begun(runs, index);
    uint32_t low_enough = count_terms(runs, term);
    raft_assert(begun > 0);
    if (low_enough >= begun) {
        return index;
    }
    if (low_enough == 0) {
        return 0;
    }
    raft_assert(runs->items[low_enough].first_index <= index);
    return runs->items[low_enough].first_index - 1;
}
