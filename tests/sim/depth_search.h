/* depth_search.h: looks for an order that explains a plan, depth first: quick where there is one, for it
 * hardly ever has to go back; slow to show that there is none.
 *
 * What this search and breadth_search.h have in common:
 *
 * A node is the set of placed steps and the state they led to. Two kinds of step leave it:
 *
 *   required  must be placed before the earliest answer among the required steps that are left, the
 *             deadline, rules it out: a candidate was called by then.
 *   optional  of unknown outcome, placed only as part of a chain that ends in a required step. Since an
 *             optional step can wait for ever, it stands directly before a required step that would not do,
 *             or would leave another state, without it. The origin of a chain is the node where it began.
 *
 * Why nothing is lost by what is skipped: by induction over the required steps that are left. If a chain
 * can be shortened, or its optional steps can as well come after the required step, then the order with the
 * shorter chain leads to a node from which the rest still works; so does one that has spent fewer optional
 * steps. An observer (it changes nothing, now or at any later time) that fits the state is placed at once,
 * alone: any order in which it comes later works with it here as well, unless the time that it takes lets an
 * expiry pass. A step that takes away a value which
 * a required step still needs, and which nothing that is left can make, leads nowhere.
 *
 * Time: the time of a node is the earliest instant that its last step can have had. A state with an expiry
 * is tried alive (up to the window's end) and gone (from the window's start).
 */
#ifndef DEPTH_SEARCH_H
#define DEPTH_SEARCH_H

#include "history_plan.h"
#include "linearizability.h"

struct search_result {
    enum linearizability_verdict verdict;
    uint64_t steps;
    size_t *order; /* as in struct linearizability_report; owned */
    size_t order_count;
    size_t placed_count; /* the required steps in it */
    size_t unexplained;
};

/* The plan is changed during the search, and is as it was after it. */
void depth_search(struct history_plan *plan, uint64_t steps_max, struct search_result *result);

#endif
