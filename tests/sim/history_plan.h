/* history_plan.h: a history of one key, laid out for the search: what must be placed, in the order of the
 * calls; what may be placed (unknown outcomes), in classes whose members are interchangeable; and who needs
 * and who can make which value.
 */
#ifndef HISTORY_PLAN_H
#define HISTORY_PLAN_H

#include "key_inference.h"
#include "visited_set.h"

enum { PLAN_NONE = -1 };

struct plan_step {
    size_t operation; /* place in the history */
    struct key_operation model;
    bool is_checked; /* the answer is known, and is `received` */
    bool is_observer;
    bool is_overwriter; /* if it is right in a state, the state after it does not depend on that */
    struct key_reply received;
    struct key_need need;
    uint64_t invoked_us, returned_us;
    int64_t after;    /* a required step that must have been placed before this one; or PLAN_NONE */
    int64_t needs_id; /* wanted value that it needs, or PLAN_NONE */
    struct fingerprint fingerprint; /* required */
};

/* Steps of unknown outcome that do the same. */
struct plan_class {
    size_t first, count; /* in `optional`, in the order of the calls */
    size_t products_first, products_count;
};

/* A value that a required step needs. */
struct plan_wanted {
    struct key_value value;
    uint32_t needed_by;        /* required steps */
    uint32_t made_by_required; /* steps that can make it */
    uint32_t made_by_optional;
    bool is_made_by_many; /* can come from counting with unknown answers: no use in looking who makes it */
};

struct history_plan {
    struct key_values *values;
    struct plan_step *required; /* by call */
    size_t required_count;
    struct plan_step *optional; /* by class, then by call */
    size_t optional_count;
    struct plan_class *classes;
    size_t classes_count;
    struct plan_wanted *wanted; /* sorted by value */
    size_t wanted_count;
    size_t *required_products_first; /* required_count + 1 places in `products` */
    size_t *products;                /* places in `wanted` */
    size_t products_count;
    uint64_t *expiry_limits_us; /* every latest expiry of the history, sorted */
    size_t expiry_limits_count;
    /* What there is among the optional steps whose effect depends on the state: */
    bool has_unknown_append, has_unknown_incrby;
    bool has_unknown_nx, has_unknown_xx, has_unknown_keepttl; /* SET */
    bool has_unknown_expire_nx; /* or LT: they give an expiry to a key that has none */
    bool compares_expiries;     /* any step, EXPIRE GT or LT: an expiry that can have come still matters */
};

/* Borrows the operations' bytes. Release with history_plan_deinit. */
void history_plan_init(struct history_plan *plan, const struct history_operation *operations, size_t count);
void history_plan_deinit(struct history_plan *plan);

/* The most required steps that can lie between the first that is not placed and the last that is. */
size_t history_plan_longest_span(const struct history_plan *plan);

/* The first place in `wanted` from which there may be values that begin with `value`, side by side. */
size_t history_plan_first_wanted(const struct history_plan *plan, struct key_value value);

/* The place in `wanted`, or PLAN_NONE. */
int64_t history_plan_find_wanted(const struct history_plan *plan, struct key_value value);

#endif
