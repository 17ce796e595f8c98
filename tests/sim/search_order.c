/* search_order.c: an order of classes says how many of each were placed before what; which they were is
 * found afterwards.
 */
#include "search_order.h"

#include <stdlib.h>

static void *allocate(size_t count, size_t bytes)
{
    void *memory = calloc(count + 1, bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* Which member of its class an optional step of the order was: the first that could be used there. */
static size_t choose_member(const struct history_plan *plan, const struct plan_class *class,
                            uint64_t until_us, const bool *required_placed, bool *optional_used)
{
    for (size_t i = class->first; i < class->first + class->count; i++) {
        const struct plan_step *step = &plan->optional[i];
        if (!optional_used[i] && step->invoked_us <= until_us &&
            (step->after == PLAN_NONE || required_placed[step->after])) {
            optional_used[i] = true;
            return step->operation;
        }
    }
    abort();
}

/* For each place the earliest answer that is still to be explained before it: nothing placed there was
 * called later. Finds the step whose answer is missing first. */
static void find_deadlines(const struct history_plan *plan, const size_t *steps, size_t count,
                           bool *required_placed, uint64_t *until_us, struct search_result *result)
{
    uint64_t limit_us = UINT64_MAX;
    result->unexplained = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        if (steps[i] < plan->required_count) {
            required_placed[steps[i]] = true;
        }
    }
    for (size_t i = plan->required_count; i > 0; i--) {
        const struct plan_step *step = &plan->required[i - 1];
        if (!required_placed[i - 1] && (result->unexplained == SIZE_MAX || step->returned_us <= limit_us)) {
            limit_us = step->returned_us;
            result->unexplained = step->operation;
        }
    }
    for (size_t i = count; i > 0; i--) {
        if (steps[i - 1] < plan->required_count && plan->required[steps[i - 1]].returned_us < limit_us) {
            limit_us = plan->required[steps[i - 1]].returned_us;
        }
        until_us[i - 1] = limit_us;
    }
}

void search_order_find(const struct history_plan *plan, const size_t *steps, size_t count,
                       struct search_result *result)
{
    uint64_t *until_us = allocate(count, sizeof *until_us);
    bool *required_placed = allocate(plan->required_count, sizeof *required_placed);
    bool *optional_used = allocate(plan->optional_count, sizeof *optional_used);
    find_deadlines(plan, steps, count, required_placed, until_us, result);
    for (size_t i = 0; i < plan->required_count; i++) {
        required_placed[i] = false;
    }
    result->order = allocate(count, sizeof *result->order);
    result->order_count = count;
    for (size_t i = 0; i < count; i++) {
        if (steps[i] < plan->required_count) {
            required_placed[steps[i]] = true;
            result->order[i] = plan->required[steps[i]].operation;
            result->placed_count++;
        } else {
            result->order[i] = choose_member(plan, &plan->classes[steps[i] - plan->required_count],
                                             until_us[i], required_placed, optional_used);
        }
    }
    free(until_us);
    free(required_placed);
    free(optional_used);
}
