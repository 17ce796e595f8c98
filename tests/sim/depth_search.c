/* depth_search.c: the search of Wing and Gong (depth first, operations placed one after the other, each as
 * late as real time allows) with Lowe's memo of (operations placed, state). See depth_search.h.
 */
#include "depth_search.h"

#include "history_move.h"
#include "visited_set.h"

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

/* A node on the way from the root to the current one, how it was reached and what was tried from it. */
struct frame {
    struct move_state at;
    struct fingerprint placed;
    int64_t wanted_id; /* of the state's value */
    size_t origin;     /* the frame at which the chain began; itself if it was reached by a required step */
    bool is_optional;
    size_t placed_step;  /* in `required` or `optional` */
    size_t placed_class; /* if optional */
    enum phase phase;
    bool chains_done;
    enum move_life life;
    size_t cursor; /* required: a place in the list of calls; optional: a class */
};

/* Required steps that are left, twice: by call and by answer. Place i + 1 is step i, 0 is the head. */
struct steps_list {
    size_t *next, *previous;
};

struct search {
    struct history_plan *plan;
    struct visited_set visited;
    struct move_reach reach;
    struct steps_list by_call, by_return;
    bool *is_placed;        /* required */
    bool *is_optional_used; /* optional */
    size_t *class_used;     /* how many of each class */
    uint64_t *spent;        /* a bit for each optional step: of a class, the first class_used bits */
    size_t placed_count;    /* required */
    struct frame *frames;
    size_t frames_count;
    uint64_t steps, steps_max;
    size_t *best_order; /* places in the history */
    size_t best_count, best_placed;
    size_t best_unexplained;
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
    return search->plan->required[place - 1].returned_us;
}

/* The next candidate after a place in the list of calls (0: the first), or 0. */
static size_t next_candidate(const struct search *search, size_t place)
{
    const uint64_t limit_us = deadline_us(search);
    while ((place = search->by_call.next[place]) != 0) {
        const struct plan_step *step = &search->plan->required[place - 1];
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
    const struct plan_class *class = &search->plan->classes[class_index];
    if (search->class_used[class_index] == class->count) {
        return PLAN_NONE;
    }
    const uint64_t limit_us = deadline_us(search);
    for (size_t i = class->first; i < class->first + class->count; i++) {
        const struct plan_step *step = &search->plan->optional[i];
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

/* Whether a step that leads from the top to `after` leads there by a shorter way too. */
static bool is_needless(const struct search *search, const struct plan_step *step, bool is_optional,
                        enum move_life life, const struct key_state *after)
{
    const struct history_plan *plan = search->plan;
    const struct frame *top = &search->frames[search->frames_count - 1];
    const struct key_state absent = KEY_STATE_ABSENT;
    struct move_state other;
    if (life == LIFE_GONE && move_apply(plan, &top->at, step, LIFE_ALIVE, 0, &other) &&
        key_state_equal(&other.key, after)) {
        return true;
    }
    if (is_optional) {
        if (key_state_equal(after, &top->at.key) || (life == LIFE_GONE && key_state_equal(after, &absent))) {
            return true;
        }
        return top->origin != search->frames_count - 1 &&
               move_apply(plan, &(top - 1)->at, step, LIFE_ALIVE, 0, &other) &&
               key_state_equal(&other.key, after);
    }
    const struct frame *origin = &search->frames[top->origin];
    if (origin == top) {
        return false;
    }
    if (move_apply(plan, &origin->at, step, LIFE_ALIVE, 0, &other) &&
        (move_needs_no_chain(plan, origin->at.now_us, step) || key_state_equal(&other.key, after))) {
        return true;
    }
    return life == LIFE_ALIVE &&
           move_can_swap(plan, &(top - 1)->at, &plan->optional[top->placed_step], step, after);
}

/* Whether a value that required steps still need would be gone for good. */
static bool strands_a_need(const struct search *search, const struct plan_step *step, bool is_optional,
                           size_t index, const struct key_state *after)
{
    const struct history_plan *plan = search->plan;
    const struct frame *top = &search->frames[search->frames_count - 1];
    if (top->wanted_id == PLAN_NONE || key_value_equal(top->at.key.value, after->value)) {
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

/* Whether an optional step from the top to this state can be of use. */
static bool is_useful(const struct search *search, const struct plan_step *step, enum move_life life,
                      const struct key_state *state)
{
    const struct key_state absent = KEY_STATE_ABSENT;
    const struct history_plan *plan = search->plan;
    const struct key_state *before =
        life == LIFE_GONE ? &absent : &search->frames[search->frames_count - 1].at.key;
    for (size_t place = next_candidate(search, 0); place != 0; place = next_candidate(search, place)) {
        if (move_can_serve(plan, &search->reach, &plan->required[place - 1], step, before, state)) {
            return true;
        }
    }
    return false;
}

static void flip_spent(struct search *search, size_t class_index, size_t member)
{
    const size_t bit = search->plan->classes[class_index].first + member;
    search->spent[bit / 64] ^= UINT64_C(1) << bit % 64;
}

/* False if a node that covers this child of the top was visited: the same steps placed, the same state, no
 * more optional steps used, not later. Within a chain only what began at the same node counts. */
static bool remember(struct search *search, const struct frame *child)
{
    struct fingerprint fingerprint = move_fingerprint(child->placed, &child->at.key);
    const uint64_t time_us = search->plan->expiry_limits_count > 0 ? child->at.now_us : 0;
    if (!child->is_optional) {
        return visited_set_add(&search->visited, fingerprint, time_us, search->spent);
    }
    const struct frame *origin = &search->frames[child->origin];
    fingerprint = fingerprint_mix(move_fingerprint(fingerprint, &origin->at.key), origin->at.now_us);
    fingerprint = fingerprint_mix(fingerprint, 1);
    flip_spent(search, child->placed_class, search->class_used[child->placed_class]);
    const bool is_new = visited_set_add(&search->visited, fingerprint, time_us, search->spent);
    flip_spent(search, child->placed_class, search->class_used[child->placed_class]);
    return is_new;
}

/* Counts the step as placed, or not any more, everywhere but in the frames. */
static void count_step(struct search *search, bool is_optional, size_t step, size_t class_index, bool placed)
{
    struct history_plan *plan = search->plan;
    const uint32_t change = placed ? UINT32_MAX : 1; /* -1 or 1 */
    if (is_optional) {
        search->is_optional_used[step] = placed;
        flip_spent(search, class_index, search->class_used[class_index] - (placed ? 0 : 1));
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

/* Tries a required step, or a member of a class of optional ones, at the top node. PLACED: its node is the
 * new top. */
static enum placing place_step(struct search *search, bool is_optional, size_t step_index, size_t class_index,
                               enum move_life life)
{
    struct frame *top = &search->frames[search->frames_count - 1];
    const struct plan_step *step =
        is_optional ? &search->plan->optional[step_index] : &search->plan->required[step_index];
    struct frame child = {.is_optional = is_optional, .placed_step = step_index, .placed_class = class_index};
    search->steps++;
    if (!move_apply(search->plan, &top->at, step, life, deadline_us(search), &child.at) ||
        is_needless(search, step, is_optional, life, &child.at.key) ||
        (is_optional && !is_useful(search, step, life, &child.at.key)) ||
        strands_a_need(search, step, is_optional, is_optional ? class_index : step_index, &child.at.key)) {
        return REJECTED;
    }
    child.origin = is_optional ? top->origin : search->frames_count;
    child.placed = is_optional ? top->placed : fingerprint_xor(top->placed, step->fingerprint);
    if (!remember(search, &child)) {
        return VISITED;
    }
    child.wanted_id = history_plan_find_wanted(search->plan, child.at.key.value);
    search->frames[search->frames_count++] = child;
    count_step(search, is_optional, step_index, class_index, true);
    return PLACED;
}

/* ---- the order in which steps are tried ---- */

static bool place_observer(struct search *search)
{
    struct frame *top = &search->frames[search->frames_count - 1];
    for (size_t place = next_candidate(search, 0); place != 0; place = next_candidate(search, place)) {
        const struct plan_step *step = &search->plan->required[place - 1];
        if (!move_needs_no_chain(search->plan, top->at.now_us, step)) {
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
        const enum move_life life = top->life;
        top->life = life == LIFE_ALIVE && move_has_expiry(&top->at.key) ? LIFE_GONE : LIFE_ALIVE;
        if (place_step(search, false, top->cursor - 1, 0, life) == PLACED) {
            return true;
        }
    }
}

static bool place_optional(struct search *search)
{
    struct frame *top = &search->frames[search->frames_count - 1];
    while (top->cursor < search->plan->classes_count) {
        const size_t class_index = top->cursor;
        const enum move_life life = top->life;
        const bool again = life == LIFE_ALIVE && move_has_expiry(&top->at.key);
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
    const struct plan_step *step = &search->plan->required[search->by_return.next[0] - 1];
    if (step->needs_id == PLAN_NONE || key_value_equal(top->at.key.value, step->need.value)) {
        return false;
    }
    const struct plan_wanted *wanted = &search->plan->wanted[step->needs_id];
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

static void search_init(struct search *search, struct history_plan *plan, uint64_t steps_max)
{
    *search = (struct search){.plan = plan, .steps_max = steps_max, .reach = move_reach_all(plan)};
    visited_set_init(&search->visited, (plan->optional_count + 63) / 64);
    search->spent = allocate((plan->optional_count + 63) / 64, sizeof(uint64_t));
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
    search->frames[0].at.key = KEY_STATE_ABSENT;
    search->frames[0].wanted_id = PLAN_NONE;
    search->frames_count = 1;
}

static void search_deinit(struct search *search)
{
    visited_set_deinit(&search->visited);
    free(search->by_call.next);
    free(search->by_call.previous);
    free(search->by_return.next);
    free(search->by_return.previous);
    free(search->is_placed);
    free(search->is_optional_used);
    free(search->class_used);
    free(search->spent);
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
                                                       ? search->plan->optional[frame->placed_step].operation
                                                       : search->plan->required[frame->placed_step].operation;
    }
    size_t left = search->by_return.next[0];
    search->best_unexplained = left != 0 ? search->plan->required[left - 1].operation : SIZE_MAX;
}

static void pop(struct search *search)
{
    const struct frame *top = &search->frames[--search->frames_count];
    count_step(search, top->is_optional, top->placed_step, top->placed_class, false);
}

static enum linearizability_verdict run(struct search *search)
{
    while (search->placed_count < search->plan->required_count) {
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
        pop(search);
    }
    return LINEARIZABLE;
}

void depth_search(struct history_plan *plan, uint64_t steps_max, struct search_result *result)
{
    struct search search;
    search_init(&search, plan, steps_max);
    enum linearizability_verdict verdict = run(&search);
    keep_order(&search);
    while (search.frames_count > 1) { /* the plan's counts are as they were */
        pop(&search);
    }
    *result = (struct search_result){.verdict = verdict,
                                     .steps = search.steps,
                                     .order = search.best_order,
                                     .order_count = search.best_count,
                                     .placed_count = search.best_placed,
                                     .unexplained = search.best_unexplained};
    search_deinit(&search);
}
