/* plan_users.h: for each wanted value of a plan, who needs it and who can make it.
 */
#ifndef PLAN_USERS_H
#define PLAN_USERS_H

#include "history_plan.h"

/* Those of wanted value i are at places first[i] to first[i + 1]. */
struct users_list {
    size_t *first, *steps;
};

struct plan_users {
    struct users_list needers, makers; /* required steps */
    struct users_list class_makers;    /* classes */
};

/* Release with plan_users_deinit. */
void plan_users_init(struct plan_users *all, const struct history_plan *plan);
void plan_users_deinit(struct plan_users *all);

#endif
