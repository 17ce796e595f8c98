/* linearizability.c: lays the history out, searches for an order, reports. */
#include "linearizability.h"

#include "breadth_search.h"
#include "depth_search.h"

#include <assert.h>
#include <stdlib.h>

enum {
    /* Depth first has an order soon if there is one: so many steps per operation before breadth first
     * begins. */
    DEPTH_STEPS_PER_OPERATION = 100,
    DEPTH_STEPS_MIN = 10 * 1000,
    /* Spent on a longer order to print. */
    EXPLAIN_STEPS_MAX = 500 * 1000,
};

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Keeps the one that says more: a verdict rather than none, else the longer order. */
static void keep_better(struct search_result *kept, struct search_result *other, bool verdict_counts)
{
    const uint64_t steps = kept->steps + other->steps;
    const enum linearizability_verdict verdict = verdict_counts ? other->verdict : kept->verdict;
    if (other->verdict == LINEARIZABLE || other->placed_count > kept->placed_count) {
        struct search_result swapped = *kept;
        *kept = *other;
        *other = swapped;
    }
    free(other->order);
    kept->verdict = verdict;
    kept->steps = steps;
}

void linearizability_check(const struct history_operation *operations, size_t count, uint64_t steps_max,
                           struct linearizability_report *report)
{
    struct history_plan plan;
    struct search_result result, other;
    const uint64_t all_steps = steps_max != 0 ? steps_max : LINEARIZABILITY_STEPS_DEFAULT;
    history_plan_init(&plan, operations, count);
    depth_search(&plan, smaller(all_steps, DEPTH_STEPS_MIN + DEPTH_STEPS_PER_OPERATION * (uint64_t)count),
                 &result);
    if (result.verdict == LINEARIZABILITY_GAVE_UP && result.steps < all_steps) {
        breadth_search(&plan, all_steps - result.steps, &other);
        keep_better(&result, &other, true);
    }
    if (result.verdict == NOT_LINEARIZABLE) {
        /* The search stops short of what it sees coming; people want to see it come. */
        plan.wanted_count = 0;
        breadth_search(&plan, EXPLAIN_STEPS_MAX, &other);
        assert(other.verdict != LINEARIZABLE);
        keep_better(&result, &other, false);
    }
    *report = (struct linearizability_report){.verdict = result.verdict,
                                              .steps = result.steps,
                                              .order = result.order,
                                              .order_count = result.order_count,
                                              .unexplained = result.unexplained};
    history_plan_deinit(&plan);
}

void linearizability_report_deinit(struct linearizability_report *report)
{
    free(report->order);
    *report = (struct linearizability_report){0};
}
