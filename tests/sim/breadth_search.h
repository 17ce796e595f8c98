/* breadth_search.h: looks for an order that explains a plan, breadth first: all nodes with one required step
 * placed, then all with two, and so on. Of nodes that differ only in the optional steps they have spent,
 * those that have spent more than another are dropped before they are looked at; that is what lets it show
 * soon that there is no order, however many outcomes are unknown. The rules are those of depth_search.h.
 */
#ifndef BREADTH_SEARCH_H
#define BREADTH_SEARCH_H

#include "depth_search.h"

/* plan->wanted_count may be set to 0: then values that are still needed may be lost, and a history that has
 * no order is followed further. */
void breadth_search(const struct history_plan *plan, uint64_t steps_max, struct search_result *result);

#endif
