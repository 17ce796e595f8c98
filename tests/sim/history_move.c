/* history_move.c: one step from one state. */
#include "history_move.h"

#include <stdlib.h>

bool move_has_expiry(const struct key_state *key)
{
    return key->expiry_earliest_us != KEY_NO_EXPIRY;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

bool move_apply(const struct history_plan *plan, const struct move_state *from, const struct plan_step *step,
                enum move_life life, uint64_t deadline_us, struct move_state *to)
{
    const struct key_state absent = KEY_STATE_ABSENT;
    const struct key_state *before = &from->key;
    to->now_us = later(from->now_us, step->invoked_us);
    if (life == LIFE_GONE) {
        if (!move_has_expiry(before)) {
            return false;
        }
        to->now_us = later(to->now_us, before->expiry_earliest_us);
        if (to->now_us > deadline_us) {
            return false;
        }
        before = &absent;
    } else if (to->now_us > before->expiry_latest_us) {
        return false;
    }
    struct key_reply answer;
    to->key = key_model_apply(plan->values, before, &step->model, &answer);
    if (to->key.expiry_latest_us < to->now_us) {
        to->key = absent; /* no one can find it any more */
    } else if (to->key.expiry_earliest_us <= to->now_us && !plan->compares_expiries) {
        to->key.expiry_earliest_us = 0; /* it may go at any time: how long already makes no difference */
    }
    return !step->is_checked || key_model_reply_matches(&step->model, &answer, &step->received);
}

/* Whether the optional INCRBYs can count so far. Absent counts as 0. */
static bool can_count_to(const struct move_reach *reach, const struct key_state *from, int64_t aim)
{
    const int64_t number = (int64_t)from->value.number;
    return number <= aim ? (uint64_t)aim - (uint64_t)number <= reach->up
                         : (uint64_t)number - (uint64_t)aim <= reach->down;
}

/* Counting from one integer towards another: the steps of a count can stand in any order, so let each go in
 * the direction of the aim. (The first creates a key that is absent.) */
static bool goes_towards(const struct move_reach *reach, const struct key_state *before,
                         const struct key_state *after, int64_t aim)
{
    const int64_t from = (int64_t)before->value.number, to = (int64_t)after->value.number;
    return can_count_to(reach, after, aim) && ((from < aim && to > from) || (from > aim && to < from) ||
                                               (before->value.kind == KEY_VALUE_ABSENT && aim == 0));
}

/* Whether a candidate could be right in this state, or in one that further optional steps make of it. */
static bool can_lead_to(const struct history_plan *plan, const struct move_reach *reach,
                        const struct key_need *need, const struct key_state *state)
{
    const bool is_absent = state->value.kind == KEY_VALUE_ABSENT;
    const bool can_be_absent = is_absent || move_has_expiry(state) || plan->has_unknown_expire_nx;
    const bool can_count = plan->has_unknown_incrby && (is_absent || state->value.kind == KEY_VALUE_INTEGER);
    const bool can_become_integer = plan->has_unknown_incrby && plan->has_unknown_append &&
                                    state->value.kind == KEY_VALUE_SEEN && state->value.number <= 1;
    if (need->kind == KEY_NEED_NOTHING) {
        return false;
    }
    if (plan->has_unknown_keepttl || can_become_integer ||
        (can_be_absent && (plan->has_unknown_nx || plan->has_unknown_append || plan->has_unknown_incrby))) {
        return true;
    }
    switch (need->kind) {
    case KEY_NEED_NOTHING:
    case KEY_NEED_ANYTHING:
        return true;
    case KEY_NEED_ABSENT:
        return can_be_absent;
    case KEY_NEED_PRESENT:
        return !is_absent;
    case KEY_NEED_VALUE:
        return key_value_equal(state->value, need->value) || (need->or_absent && can_be_absent) ||
               (plan->has_unknown_append && key_values_begins(plan->values, need->value, state->value)) ||
               (can_count &&
                (plan->has_unknown_append || (need->value.kind == KEY_VALUE_INTEGER &&
                                              can_count_to(reach, state, (int64_t)need->value.number))));
    case KEY_NEED_SIZE:
        return key_value_size(state->value) == need->size || (need->size == 0 && can_be_absent) ||
               (plan->has_unknown_append && key_value_size(state->value) < need->size) || can_count;
    }
    abort();
}

/* Whether a count can be on its way to a value: to itself, or to an integer to which something is appended.
 * */
static bool counts_towards(const struct history_plan *plan, const struct move_reach *reach,
                           struct key_value wanted, const struct key_state *before,
                           const struct key_state *after)
{
    if (wanted.kind == KEY_VALUE_INTEGER && goes_towards(reach, before, after, (int64_t)wanted.number)) {
        return true;
    }
    int64_t aim;
    for (size_t size = 1; plan->has_unknown_append; size++) {
        switch (key_values_integer_beginning(plan->values, wanted, size, &aim)) {
        case KEY_BEGINNING_NONE:
            return false;
        case KEY_BEGINNING_OTHER:
            break;
        case KEY_BEGINNING_INTEGER:
            if (goes_towards(reach, before, after, aim)) {
                return true;
            }
            break;
        }
    }
    return false;
}

/* Integers so large that counting may be refused. */
static bool can_overflow(const struct move_reach *reach, const struct key_state *state, int64_t delta)
{
    const int64_t number = (int64_t)state->value.number, large = INT64_MAX / 8;
    return state->value.kind == KEY_VALUE_INTEGER &&
           (number > large || number < -large || delta > large || delta < -large ||
            reach->up > (uint64_t)large || reach->down > (uint64_t)large);
}

struct move_reach move_reach_all(const struct history_plan *plan)
{
    struct move_reach reach = {0};
    for (size_t i = 0; i < plan->optional_count; i++) {
        move_reach_add(&reach, &plan->optional[i].model);
    }
    return reach;
}

void move_reach_add(struct move_reach *reach, const struct key_operation *model)
{
    const uint64_t distance = model->delta > 0 ? (uint64_t)model->delta : 0 - (uint64_t)model->delta;
    uint64_t *sum = model->delta > 0 ? &reach->up : &reach->down;
    *sum = *sum > UINT64_MAX - distance ? UINT64_MAX : *sum + distance;
}

bool move_can_serve(const struct history_plan *plan, const struct move_reach *reach,
                    const struct plan_step *candidate, const struct plan_step *optional,
                    const struct key_state *before, const struct key_state *after)
{
    const struct key_need *need = &candidate->need;
    const bool was_absent = before->value.kind == KEY_VALUE_ABSENT;
    const bool is_present = after->value.kind != KEY_VALUE_ABSENT;
    if (need->kind == KEY_NEED_NOTHING) {
        return false;
    }
    if (optional->model.kind == HISTORY_INCRBY && need->kind == KEY_NEED_VALUE) {
        return counts_towards(plan, reach, need->value, before, after) ||
               (was_absent && plan->has_unknown_xx);
    }
    if ((optional->model.kind == HISTORY_INCRBY || optional->model.kind == HISTORY_APPEND) && !was_absent &&
        need->kind != KEY_NEED_SIZE && need->kind != KEY_NEED_VALUE) {
        /* All others can as well come before it. (What has been appended to cannot be counted any more: a
         * count may have to come before an APPEND that an INCRBY needs to fail.) */
        return candidate->model.kind == HISTORY_APPEND ||
               (candidate->model.kind == HISTORY_INCRBY &&
                (plan->has_unknown_append || can_overflow(reach, after, candidate->model.delta)));
    }
    return can_lead_to(plan, reach, need, after) ||
           (is_present && (was_absent || move_has_expiry(before)) && plan->has_unknown_xx);
}

static bool sets_expiry(const struct key_operation *model)
{
    return model->kind == HISTORY_EXPIRE || (model->options & HISTORY_EXPIRY) != 0;
}

/* Whether all it can do at this time and later is to remove the key. */
static bool only_removes(const struct key_operation *model, uint64_t now_us)
{
    return model->kind == HISTORY_DEL ||
           (sets_expiry(model) && model->expiry_latest_us < now_us &&
            (model->options & (HISTORY_NX | HISTORY_XX | HISTORY_GT | HISTORY_LT)) == 0);
}

struct fingerprint move_effect(const struct history_plan *plan, const struct key_operation *model,
                               struct key_value value, uint64_t now_us)
{
    const bool removes = only_removes(model, now_us);
    const bool expires = !removes && sets_expiry(model);
    struct fingerprint result = fingerprint_of(removes ? HISTORY_DEL : model->kind);
    if (removes) {
        return result;
    }
    result = fingerprint_mix(result, model->options);
    result = fingerprint_mix(result, (uint64_t)value.kind << 32 | value.first);
    result = fingerprint_mix(result, value.number);
    result = fingerprint_mix(result, (uint64_t)model->delta);
    result =
        fingerprint_mix(result, expires && (plan->compares_expiries || model->expiry_earliest_us > now_us)
                                    ? model->expiry_earliest_us
                                    : 0);
    return fingerprint_mix(result, expires ? model->expiry_latest_us : 0);
}

bool move_can_swap(const struct history_plan *plan, const struct move_state *before,
                   const struct plan_step *optional, const struct plan_step *required,
                   const struct key_state *after)
{
    struct move_state middle, end;
    return move_apply(plan, before, required, LIFE_ALIVE, 0, &middle) &&
           move_apply(plan, &middle, optional, LIFE_ALIVE, 0, &end) && key_state_equal(&end.key, after);
}

bool move_needs_no_chain(const struct history_plan *plan, uint64_t now_us, const struct plan_step *step)
{
    if (!step->is_observer || step->invoked_us <= now_us) {
        return step->is_observer;
    }
    size_t low = 0, high = plan->expiry_limits_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (plan->expiry_limits_us[middle] < now_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == plan->expiry_limits_count || plan->expiry_limits_us[low] >= step->invoked_us;
}

struct fingerprint move_fingerprint(struct fingerprint placed, const struct key_state *key)
{
    struct fingerprint result = fingerprint_mix(placed, (uint64_t)key->value.kind << 32 | key->value.first);
    result = fingerprint_mix(result, key->value.number);
    result = fingerprint_mix(result, key->expiry_earliest_us);
    return fingerprint_mix(result, key->expiry_latest_us);
}
