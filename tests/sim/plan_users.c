/* plan_users.c: counted first, then stored. */
#include "plan_users.h"

#include <stdlib.h>
#include <string.h>

static size_t *allocate(size_t count)
{
    size_t *memory = calloc(count + 1, sizeof *memory);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void users_init(struct users_list *users, const struct history_plan *plan)
{
    users->first = allocate(plan->wanted_count + 2);
    users->steps = NULL;
}

/* Called twice for each pair: first to count (steps is NULL), then to store. */
static void users_add(struct users_list *users, size_t wanted, size_t step)
{
    if (users->steps == NULL) {
        users->first[wanted + 2]++;
    } else {
        users->steps[users->first[wanted + 1]++] = step;
    }
}

static void users_counted(struct users_list *users, size_t wanted_count)
{
    for (size_t i = 0; i < wanted_count; i++) {
        users->first[i + 2] += users->first[i + 1];
    }
    users->steps = allocate(users->first[wanted_count + 1]);
}

void plan_users_init(struct plan_users *all, const struct history_plan *plan)
{
    users_init(&all->needers, plan);
    users_init(&all->makers, plan);
    users_init(&all->class_makers, plan);
    for (int pass = 0; pass < 2 && plan->wanted_count > 0; pass++) {
        for (size_t i = 0; i < plan->required_count; i++) {
            if (plan->required[i].needs_id != PLAN_NONE) {
                users_add(&all->needers, (size_t)plan->required[i].needs_id, i);
            }
            for (size_t j = plan->required_products_first[i]; j < plan->required_products_first[i + 1]; j++) {
                users_add(&all->makers, plan->products[j], i);
            }
        }
        for (size_t i = 0; i < plan->classes_count; i++) {
            const struct plan_class *class = &plan->classes[i];
            for (size_t j = 0; j < class->products_count; j++) {
                users_add(&all->class_makers, plan->products[class->products_first + j], i);
            }
        }
        if (pass == 0) {
            users_counted(&all->needers, plan->wanted_count);
            users_counted(&all->makers, plan->wanted_count);
            users_counted(&all->class_makers, plan->wanted_count);
        }
    }
}

static void users_deinit(struct users_list *users)
{
    free(users->first);
    free(users->steps);
}

void plan_users_deinit(struct plan_users *all)
{
    users_deinit(&all->needers);
    users_deinit(&all->makers);
    users_deinit(&all->class_makers);
}
