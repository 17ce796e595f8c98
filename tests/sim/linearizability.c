/* linearizability.c: the search of Wing and Gong (depth first, operations placed one after the other, each as
 * late as real time allows) with Lowe's memo of (operations placed, state).
 *
 * A node of the search is the set of placed steps and the state they led to. Two kinds of step leave it:
 *
 *   required  must be placed before the earliest answer among the required steps that are left, the deadline,
 *             rules it out: a candidate was called by then.
 *   optional  of unknown outcome, placed only as the beginning of a chain that ends in a required step. Since
 *             an optional step can wait for ever, it is placed directly before a required step that would not
 *             do, or would leave another state, without it. All but the ends of a chain (`origin` is where it
 *             began) are left out of the order if nothing is lost by that.
 *
 * Why nothing is lost by what is skipped: by induction over the required steps that are left. If a chain can
 * be shortened, or its optional steps can as well come after the required step, then the order with the
 * shorter chain leads to a node from which the rest still works. An observer (it changes nothing, now or at
 * any later time) that fits the state is placed at once, alone: any order in which it comes later works as well.
 *
 * Time: `now_us` of a node is the earliest instant that its last step can have had. A state with an expiry is
 * tried alive (now_us up to the window's end) and gone (now_us from the window's start).
 */
#include "linearizability.h"

#include "history_plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum phase {
    PHASE_OBSERVERS,    /* one that fits is the only way on */
    PHASE_CHAINS_FIRST, /* optional steps, where the deadline can only be met with one */
    PHASE_REQUIRED,
    PHASE_CHAINS,
    PHASE_OVER,
};

enum life { LIFE_ALIVE, LIFE_GONE, LIVES_COUNT };

/* A node on the way from the root to the current one, how it was reached and what was tried from it. */
struct frame {
    struct key_state state;
    uint64_t now_us;
    struct fingerprint placed;
    int64_t wanted_id; /* of the state's value */
    size_t origin;     /* the frame at which the chain began; itself if it was reached by a required step */
    bool is_optional;
    size_t placed_step;  /* in `required` or `optional` */
    size_t placed_class; /* if optional */
    enum phase phase;
    bool chains_done;
    enum life life;
    size_t cursor; /* required: a place in the list of calls; optional: a class */
};

/* Required steps that are left, twice: by call and by answer. Place i + 1 is step i, 0 is the head. */
struct steps_list {
    size_t *next, *previous;
};

struct search {
    struct history_plan plan;
    struct visited_set visited;
    struct steps_list by_call, by_return;
    bool *is_placed;        /* required */
    bool *is_optional_used; /* optional */
    size_t *class_used;     /* how many of each class */
    size_t placed_count;    /* required */
    struct frame *frames;
    size_t frames_count;
    uint64_t steps, steps_max;
    size_t *best_order; /* places in the history */
    size_t best_count, best_placed;
    size_t best_unexplained;
    bool is_at_new_best;
};

enum placing { PLACED, REJECTED, VISITED };

static void *allocate(size_t count, size_t bytes)
{
    void *memory = calloc(count > 0 ? count : 1, bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* ---- lists ---- */

static void list_init(struct steps_list *list, const size_t *order, size_t count)
{
    list->next = allocate(count + 1, sizeof(size_t));
    list->previous = allocate(count + 1, sizeof(size_t));
    size_t last = 0;
    for (size_t i = 0; i < count; i++) {
        list->next[last] = order[i] + 1;
        list->previous[order[i] + 1] = last;
        last = order[i] + 1;
    }
    list->next[last] = 0;
    list->previous[0] = last;
}

static void list_remove(struct steps_list *list, size_t step)
{
    list->next[list->previous[step + 1]] = list->next[step + 1];
    list->previous[list->next[step + 1]] = list->previous[step + 1];
}

/* Undoes the last list_remove that is not undone. */
static void list_restore(struct steps_list *list, size_t step)
{
    list->next[list->previous[step + 1]] = step + 1;
    list->previous[list->next[step + 1]] = step + 1;
}

/* The earliest answer that is still to be explained. */
static uint64_t deadline_us(const struct search *search)
{
    size_t place = search->by_return.next[0];
    assert(place != 0);
    return search->plan.required[place - 1].returned_us;
}

/* The next candidate after a place in the list of calls (0: the first), or 0. */
static size_t next_candidate(const struct search *search, size_t place)
{
    const uint64_t limit_us = deadline_us(search);
    while ((place = search->by_call.next[place]) != 0) {
        const struct plan_step *step = &search->plan.required[place - 1];
        if (step->invoked_us > limit_us) {
            return 0;
        }
        if (step->after == PLAN_NONE || search->is_placed[step->after]) {
            return place;
        }
    }
    return 0;
}

/* The next member of a class to place, or PLAN_NONE. All that are enabled are alike; the one that was called
 * first leaves the most time. */
static int64_t next_member(const struct search *search, size_t class_index)
{
    const struct plan_class *class = &search->plan.classes[class_index];
    if (search->class_used[class_index] == class->count) {
        return PLAN_NONE;
    }
    const uint64_t limit_us = deadline_us(search);
    for (size_t i = class->first; i < class->first + class->count; i++) {
        const struct plan_step *step = &search->plan.optional[i];
        if (step->invoked_us > limit_us) {
            break;
        }
        if (!search->is_optional_used[i] && (step->after == PLAN_NONE || search->is_placed[step->after])) {
            return (int64_t)i;
        }
    }
    return PLAN_NONE;
}

/* ---- one step from one node ---- */

static bool has_expiry(const struct key_state *state)
{
    return state->expiry_earliest_us != KEY_NO_EXPIRY;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Applies a step to a node's state at the earliest time it can have, the key alive or gone. False if it cannot
 * be, or answers something else. */
static bool apply_step(const struct search *search, const struct frame *from, const struct plan_step *step,
                       enum life life, struct key_state *after, uint64_t *now_us)
{
    const struct key_state absent = KEY_STATE_ABSENT;
    const struct key_state *before = &from->state;
    *now_us = later(from->now_us, step->invoked_us);
    if (life == LIFE_GONE) {
        if (!has_expiry(&from->state)) {
            return false;
        }
        *now_us = later(*now_us, from->state.expiry_earliest_us);
        if (*now_us > deadline_us(search)) {
            return false;
        }
        before = &absent;
    } else if (*now_us > from->state.expiry_latest_us) {
        return false;
    }
    struct key_reply answer;
    *after = key_model_apply(search->plan.values, before, &step->model, &answer);
    return !step->is_checked || key_model_reply_matches(&step->model, &answer, &step->received);
}

/* Whether a step that leads from the top to `after` leads there by a shorter way too. */
static bool is_needless(const struct search *search, const struct plan_step *step, bool is_optional,
                        enum life life, const struct key_state *after)
{
    const struct frame *top = &search->frames[search->frames_count - 1];
    struct key_state other;
    uint64_t now_us;
    if (life == LIFE_GONE && apply_step(search, top, step, LIFE_ALIVE, &other, &now_us) &&
        key_state_equal(&other, after)) {
        return true;
    }
    if (is_optional) {
        const struct key_state absent = KEY_STATE_ABSENT;
        if (key_state_equal(after, &top->state) || (life == LIFE_GONE && key_state_equal(after, &absent))) {
            return true;
        }
        return top->origin != search->frames_count - 1 &&
               apply_step(search, top - 1, step, LIFE_ALIVE, &other, &now_us) &&
               key_state_equal(&other, after);
    }
    const struct frame *origin = &search->frames[top->origin];
    return origin != top && apply_step(search, origin, step, LIFE_ALIVE, &other, &now_us) &&
           (step->is_observer || key_state_equal(&other, after));
}

/* Whether a value that required steps still need would be gone for good. */
static bool strands_a_need(const struct search *search, const struct plan_step *step, bool is_optional,
                           size_t index, const struct key_state *after)
{
    const struct history_plan *plan = &search->plan;
    const struct frame *top = &search->frames[search->frames_count - 1];
    if (top->wanted_id == PLAN_NONE || key_value_equal(top->state.value, after->value)) {
        return false;
    }
    const struct plan_wanted *wanted = &plan->wanted[top->wanted_id];
    uint32_t needed_by = wanted->needed_by;
    if (!is_optional && step->needs_id == top->wanted_id) {
        needed_by--;
    }
    if (needed_by == 0 || wanted->is_made_by_many) {
        return false;
    }
    uint32_t made_by = wanted->made_by_required + wanted->made_by_optional;
    const size_t first =
        is_optional ? plan->classes[index].products_first : plan->required_products_first[index];
    const size_t end =
        is_optional ? first + plan->classes[index].products_count : plan->required_products_first[index + 1];
    for (size_t i = first; i < end; i++) {
        made_by -= plan->products[i] == (size_t)top->wanted_id;
    }
    return made_by == 0;
}

/* Whether a candidate could be right in this state, or in one that further optional steps make of it. */
static bool can_serve(const struct history_plan *plan, const struct key_need *need,
                      const struct key_state *state)
{
    const bool is_absent = state->value.kind == KEY_VALUE_ABSENT;
    const bool can_be_absent = is_absent || has_expiry(state) || plan->has_unknown_expire_nx;
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
               (can_count && (need->value.kind == KEY_VALUE_INTEGER || plan->has_unknown_append));
    case KEY_NEED_SIZE:
        return key_value_size(state->value) == need->size || (need->size == 0 && can_be_absent) ||
               (plan->has_unknown_append && key_value_size(state->value) < need->size) || can_count;
    }
    abort();
}

/* Whether an optional step from the top to this state can be of use. */
static bool is_useful(const struct search *search, const struct key_state *state)
{
    const struct history_plan *plan = &search->plan;
    const struct key_state *before = &search->frames[search->frames_count - 1].state;
    const bool makes_present = state->value.kind != KEY_VALUE_ABSENT &&
                               (before->value.kind == KEY_VALUE_ABSENT || has_expiry(before));
    for (size_t place = next_candidate(search, 0); place != 0; place = next_candidate(search, place)) {
        const struct key_need *need = &plan->required[place - 1].need;
        if (can_serve(plan, need, state) ||
            (makes_present && plan->has_unknown_xx && need->kind != KEY_NEED_NOTHING)) {
            return true;
        }
    }
    return false;
}

static struct fingerprint node_fingerprint(const struct search *search, const struct frame *node)
{
    struct fingerprint result = fingerprint_mix(node->placed, node->state.value.kind);
    result = fingerprint_mix(result, node->state.value.first);
    result = fingerprint_mix(result, node->state.value.number);
    if (search->plan.expiry_limits_count > 0) {
        result = fingerprint_mix(result, node->state.expiry_earliest_us);
        result = fingerprint_mix(result, node->state.expiry_latest_us);
        result = fingerprint_mix(result, node->now_us);
    }
    return result;
}

/* Counts the step as placed, or not any more, everywhere but in the frames. */
static void count_step(struct search *search, bool is_optional, size_t step, size_t class_index, bool placed)
{
    struct history_plan *plan = &search->plan;
    const uint32_t change = placed ? UINT32_MAX : 1; /* -1 or 1 */
    if (is_optional) {
        search->is_optional_used[step] = placed;
        search->class_used[class_index] += placed ? 1 : SIZE_MAX;
        const struct plan_class *class = &plan->classes[class_index];
        for (size_t i = 0; i < class->products_count; i++) {
            plan->wanted[plan->products[class->products_first + i]].made_by_optional += change;
        }
        return;
    }
    search->is_placed[step] = placed;
    search->placed_count += placed ? 1 : SIZE_MAX;
    if (plan->required[step].needs_id != PLAN_NONE) {
        plan->wanted[plan->required[step].needs_id].needed_by += change;
    }
    for (size_t i = plan->required_products_first[step]; i < plan->required_products_first[step + 1]; i++) {
        plan->wanted[plan->products[i]].made_by_required += change;
    }
    if (placed) {
        list_remove(&search->by_call, step);
        list_remove(&search->by_return, step);
    } else {
        list_restore(&search->by_return, step);
        list_restore(&search->by_call, step);
    }
}

/* Tries a required step, or a member of a class of optional ones, at the top node. PLACED: its node is the new
 * top. */
static enum placing place_step(struct search *search, bool is_optional, size_t step_index, size_t class_index,
                               enum life life)
{
    struct frame *top = &search->frames[search->frames_count - 1];
    const struct plan_step *step =
        is_optional ? &search->plan.optional[step_index] : &search->plan.required[step_index];
    struct frame child = {.is_optional = is_optional, .placed_step = step_index, .placed_class = class_index};
    search->steps++;
    if (!apply_step(search, top, step, life, &child.state, &child.now_us) ||
        is_needless(search, step, is_optional, life, &child.state) ||
        (is_optional && !is_useful(search, &child.state)) ||
        strands_a_need(search, step, is_optional, is_optional ? class_index : step_index, &child.state)) {
        return REJECTED;
    }
    const struct plan_step *counted =
        is_optional
            ? &search->plan
                   .optional[search->plan.classes[class_index].first + search->class_used[class_index]]
            : step;
    child.placed = fingerprint_xor(top->placed, counted->fingerprint);
    child.origin = is_optional ? top->origin : search->frames_count;
    struct fingerprint fingerprint = node_fingerprint(search, &child);
    if (is_optional) {
        const struct fingerprint origin = node_fingerprint(search, &search->frames[top->origin]);
        fingerprint = fingerprint_mix(fingerprint_mix(fingerprint, origin.low), origin.high);
    }
    if (!visited_set_add(&search->visited, fingerprint)) {
        return VISITED;
    }
    child.wanted_id = history_plan_find_wanted(&search->plan, child.state.value);
    search->frames[search->frames_count++] = child;
    count_step(search, is_optional, step_index, class_index, true);
    return PLACED;
}

/* ---- the order in which steps are tried ---- */

/* An observer moved forward makes the node's time later; that must not matter to any expiry. */
static bool may_be_first(const struct search *search, const struct frame *top, const struct plan_step *step)
{
    const struct history_plan *plan = &search->plan;
    if (step->invoked_us <= top->now_us) {
        return true;
    }
    size_t low = 0, high = plan->expiry_limits_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (plan->expiry_limits_us[middle] < top->now_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == plan->expiry_limits_count || plan->expiry_limits_us[low] >= step->invoked_us;
}

static bool place_observer(struct search *search)
{
    struct frame *top = &search->frames[search->frames_count - 1];
    for (size_t place = next_candidate(search, 0); place != 0; place = next_candidate(search, place)) {
        const struct plan_step *step = &search->plan.required[place - 1];
        if (!step->is_observer || !may_be_first(search, top, step)) {
            continue;
        }
        enum placing placing = place_step(search, false, place - 1, 0, LIFE_ALIVE);
        if (placing != REJECTED) {
            top->phase = PHASE_OVER;
            return placing == PLACED;
        }
    }
    return false;
}

static bool place_required(struct search *search)
{
    struct frame *top = &search->frames[search->frames_count - 1];
    for (;;) {
        if (top->life == LIFE_ALIVE) {
            top->cursor = next_candidate(search, top->cursor);
            if (top->cursor == 0) {
                return false;
            }
        }
        const enum life life = top->life;
        top->life = life == LIFE_ALIVE && has_expiry(&top->state) ? LIFE_GONE : LIFE_ALIVE;
        if (place_step(search, false, top->cursor - 1, 0, life) == PLACED) {
            return true;
        }
    }
}

static bool place_optional(struct search *search)
{
    struct frame *top = &search->frames[search->frames_count - 1];
    while (top->cursor < search->plan.classes_count) {
        const size_t class_index = top->cursor;
        const enum life life = top->life;
        const bool again = life == LIFE_ALIVE && has_expiry(&top->state);
        top->life = again ? LIFE_GONE : LIFE_ALIVE;
        top->cursor += again ? 0 : 1;
        int64_t member = next_member(search, class_index);
        if (member != PLAN_NONE && place_step(search, true, (size_t)member, class_index, life) == PLACED) {
            return true;
        }
    }
    return false;
}

/* The deadline's step needs a value that only an optional step can still make. */
static bool deadline_needs_a_chain(const struct search *search)
{
    const struct frame *top = &search->frames[search->frames_count - 1];
    const struct plan_step *step = &search->plan.required[search->by_return.next[0] - 1];
    if (step->needs_id == PLAN_NONE || key_value_equal(top->state.value, step->need.value)) {
        return false;
    }
    const struct plan_wanted *wanted = &search->plan.wanted[step->needs_id];
    return wanted->made_by_required == 0 && wanted->made_by_optional > 0;
}

static void enter_phase(struct frame *frame, enum phase phase)
{
    frame->phase = phase;
    frame->cursor = 0;
    frame->life = LIFE_ALIVE;
}

/* Goes one step down from the top. False if there is no way left. */
static bool descend(struct search *search)
{
    for (;;) {
        struct frame *top = &search->frames[search->frames_count - 1];
        switch (top->phase) {
        case PHASE_OBSERVERS:
            if (place_observer(search)) {
                return true;
            }
            if (top->phase != PHASE_OVER) {
                enter_phase(top, deadline_needs_a_chain(search) ? PHASE_CHAINS_FIRST : PHASE_REQUIRED);
            }
            break;
        case PHASE_CHAINS_FIRST:
            if (place_optional(search)) {
                return true;
            }
            top->chains_done = true;
            enter_phase(top, PHASE_REQUIRED);
            break;
        case PHASE_REQUIRED:
            if (place_required(search)) {
                return true;
            }
            enter_phase(top, top->chains_done ? PHASE_OVER : PHASE_CHAINS);
            break;
        case PHASE_CHAINS:
            if (place_optional(search)) {
                return true;
            }
            enter_phase(top, PHASE_OVER);
            break;
        case PHASE_OVER:
            return false;
        }
    }
}

/* ---- the whole search ---- */

static int compare_returns(const void *left, const void *right)
{
    const struct plan_step *const *a = left, *const *b = right;
    if ((*a)->returned_us != (*b)->returned_us) {
        return (*a)->returned_us < (*b)->returned_us ? -1 : 1;
    }
    return (*a > *b) - (*a < *b);
}

static void search_init(struct search *search, const struct history_operation *operations, size_t count,
                        uint64_t steps_max)
{
    *search = (struct search){.steps_max = steps_max != 0 ? steps_max : LINEARIZABILITY_STEPS_DEFAULT};
    history_plan_init(&search->plan, operations, count);
    visited_set_init(&search->visited);
    const struct history_plan *plan = &search->plan;
    size_t *order = allocate(plan->required_count, sizeof *order);
    const struct plan_step **by_return = allocate(plan->required_count, sizeof *by_return);
    for (size_t i = 0; i < plan->required_count; i++) {
        order[i] = i;
        by_return[i] = &plan->required[i];
    }
    list_init(&search->by_call, order, plan->required_count);
    qsort(by_return, plan->required_count, sizeof *by_return, compare_returns);
    for (size_t i = 0; i < plan->required_count; i++) {
        order[i] = (size_t)(by_return[i] - plan->required);
    }
    list_init(&search->by_return, order, plan->required_count);
    free(by_return);
    free(order);
    search->is_placed = allocate(plan->required_count, sizeof(bool));
    search->is_optional_used = allocate(plan->optional_count, sizeof(bool));
    search->class_used = allocate(plan->classes_count, sizeof(size_t));
    search->frames = allocate(plan->required_count + plan->optional_count + 1, sizeof *search->frames);
    search->best_order = allocate(plan->required_count + plan->optional_count, sizeof(size_t));
    search->frames[0].state = KEY_STATE_ABSENT;
    search->frames[0].wanted_id = PLAN_NONE;
    search->frames_count = 1;
}

static void search_deinit(struct search *search)
{
    history_plan_deinit(&search->plan);
    visited_set_deinit(&search->visited);
    free(search->by_call.next);
    free(search->by_call.previous);
    free(search->by_return.next);
    free(search->by_return.previous);
    free(search->is_placed);
    free(search->is_optional_used);
    free(search->class_used);
    free(search->frames);
}

/* Keeps the order of the frames, up to the last required step, if it is the longest so far. */
static void keep_order(struct search *search)
{
    if (search->best_count != 0 && search->placed_count <= search->best_placed) {
        return;
    }
    search->best_placed = search->placed_count;
    search->best_count = 0;
    const size_t end = search->frames[search->frames_count - 1].origin;
    for (size_t i = 1; i <= end; i++) {
        const struct frame *frame = &search->frames[i];
        search->best_order[search->best_count++] = frame->is_optional
                                                       ? search->plan.optional[frame->placed_step].operation
                                                       : search->plan.required[frame->placed_step].operation;
    }
    size_t left = search->by_return.next[0];
    search->best_unexplained = left != 0 ? search->plan.required[left - 1].operation : SIZE_MAX;
}

static enum linearizability_verdict run(struct search *search)
{
    while (search->placed_count < search->plan.required_count) {
        if (search->steps >= search->steps_max) {
            return LINEARIZABILITY_GAVE_UP;
        }
        if (descend(search)) {
            continue;
        }
        keep_order(search);
        if (search->frames_count == 1) {
            return NOT_LINEARIZABLE;
        }
        const struct frame *top = &search->frames[--search->frames_count];
        count_step(search, top->is_optional, top->placed_step, top->placed_class, false);
    }
    return LINEARIZABLE;
}

void linearizability_check(const struct history_operation *operations, size_t count, uint64_t steps_max,
                           struct linearizability_report *report)
{
    struct search search;
    search_init(&search, operations, count, steps_max);
    enum linearizability_verdict verdict = run(&search);
    keep_order(&search);
    *report = (struct linearizability_report){.verdict = verdict,
                                              .steps = search.steps,
                                              .order = search.best_order,
                                              .order_count = search.best_count,
                                              .unexplained = search.best_unexplained};
    search_deinit(&search);
}

void linearizability_report_deinit(struct linearizability_report *report)
{
    free(report->order);
    *report = (struct linearizability_report){0};
}
