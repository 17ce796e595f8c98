/* search_order.h: from the steps of a search to the operations of the history.
 */
#ifndef SEARCH_ORDER_H
#define SEARCH_ORDER_H

#include "depth_search.h"

/* steps: in order, each a required step or required_count + a class. Sets order, order_count, placed_count
 * and unexplained of the result. */
void search_order_find(const struct history_plan *plan, const size_t *steps, size_t count,
                       struct search_result *result);

#endif
