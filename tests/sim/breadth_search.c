/* breadth_search.c: see breadth_search.h. A node is whole in itself: which steps are placed is a first step
 * that is not, and a ring of bits from there on, for calls and answers keep the placed steps close together.
 */
#include "breadth_search.h"

#include "history_move.h"
#include "plan_users.h"
#include "search_order.h"
#include "visited_set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct node {
    struct move_state at;
    struct fingerprint placed;
    size_t base;        /* the first required step that is not placed */
    size_t words;       /* place in the layer's words: the ring, then the spent bits */
    size_t spent_count; /* optional steps */
    uint32_t trail;
};

/* Nodes with the same number of required steps placed. */
struct layer {
    struct node *nodes;
    size_t count, nodes_max;
    uint64_t *words;
    size_t words_count, words_max;
};

/* How a node was reached. */
struct trail {
    uint32_t parent;
    uint32_t step; /* a required step, or required_count + a class */
};

struct breadth {
    const struct history_plan *plan;
    size_t ring_words, spent_words;
    struct layer current, next;
    struct visited_set children, chains; /* of the current layer */
    struct trail *trails;
    size_t trails_count, trails_max;
    struct plan_users users;
    uint64_t steps, steps_max;
    /* The node that is looked at: */
    const struct node *origin;
    uint64_t deadline_us;
    size_t *candidates;
    size_t candidates_count;
    size_t *goals; /* those of the candidates that a chain could help */
    size_t goals_count;
    struct move_reach reach;
    size_t *earlier_alike; /* class: an earlier one of the same effect, or SIZE_MAX */
    uint64_t *spent;       /* by it and the chain */
    size_t spent_count;
    uint64_t *ring; /* of a child */
};

/* A place in a chain; the first is the origin. */
struct link {
    struct move_state at;
    const struct link *before;        /* NULL: this is the origin */
    const struct plan_step *optional; /* that led here; NULL: this is the origin */
    uint32_t trail;
};

enum placing { PLACED, REJECTED, VISITED };

static void *grow(void *memory, size_t count, size_t bytes)
{
    memory = realloc(memory, (count + 1) * bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static bool get_bit(const uint64_t *words, size_t bit)
{
    return words[bit / 64] >> bit % 64 & 1;
}

static void flip_bit(uint64_t *words, size_t bit)
{
    words[bit / 64] ^= UINT64_C(1) << bit % 64;
}

/* ---- what is placed ---- */

static bool is_placed(const struct breadth *breadth, size_t base, const uint64_t *ring, size_t step)
{
    const size_t bits = breadth->ring_words * 64;
    return step < base || (step < base + bits && get_bit(ring, step % bits));
}

static const uint64_t *origin_ring(const struct breadth *breadth)
{
    return &breadth->current.words[breadth->origin->words];
}

static bool is_enabled(const struct breadth *breadth, const struct plan_step *step)
{
    return step->after == PLAN_NONE ||
           is_placed(breadth, breadth->origin->base, origin_ring(breadth), (size_t)step->after);
}

static void find_reach(struct breadth *breadth)
{
    const struct history_plan *plan = breadth->plan;
    breadth->reach = (struct move_reach){0};
    for (size_t i = 0; i < plan->optional_count && plan->has_unknown_incrby; i++) {
        if (plan->optional[i].invoked_us > breadth->deadline_us || get_bit(breadth->spent, i)) {
            continue;
        }
        move_reach_add(&breadth->reach, &plan->optional[i].model);
    }
}

static void find_candidates(struct breadth *breadth)
{
    const struct history_plan *plan = breadth->plan;
    breadth->deadline_us = UINT64_MAX;
    breadth->candidates_count = 0;
    for (size_t i = breadth->origin->base; i < plan->required_count; i++) {
        const struct plan_step *step = &plan->required[i];
        if (step->invoked_us > breadth->deadline_us) {
            break;
        }
        if (is_placed(breadth, breadth->origin->base, origin_ring(breadth), i)) {
            continue;
        }
        if (step->returned_us < breadth->deadline_us) {
            breadth->deadline_us = step->returned_us;
        }
        if (is_enabled(breadth, step)) {
            breadth->candidates[breadth->candidates_count++] = i;
        }
    }
    find_reach(breadth);
    while (breadth->candidates_count > 0 &&
           plan->required[breadth->candidates[breadth->candidates_count - 1]].invoked_us >
               breadth->deadline_us) {
        breadth->candidates_count--;
    }
}

static size_t class_used(const struct breadth *breadth, const struct plan_class *class)
{
    size_t used = 0;
    while (used < class->count && get_bit(breadth->spent, class->first + used)) {
        used++;
    }
    return used;
}

/* When the next member of a class can be placed: with `used` placed, the next is the one that is enabled as
 * number used + 1 (those before it are no later than the node). NULL: none is. */
static const struct plan_step *next_member(const struct breadth *breadth, const struct plan_class *class,
                                           size_t used)
{
    size_t enabled = 0;
    for (size_t i = class->first; used < class->count && i < class->first + class->count; i++) {
        const struct plan_step *step = &breadth->plan->optional[i];
        if (step->invoked_us > breadth->deadline_us) {
            return NULL;
        }
        if (is_enabled(breadth, step) && ++enabled > used) {
            return step;
        }
    }
    return NULL;
}

/* The value, or what stands for it when no answer that is left can show it, or it with something appended.
 * */
static struct key_value live_value(const struct breadth *breadth, struct key_value value, size_t base,
                                   const uint64_t *ring)
{
    const struct history_plan *plan = breadth->plan;
    if (plan->wanted_count == 0 || value.kind != KEY_VALUE_SEEN ||
        key_values_is_before_integer(plan->values, value)) {
        return value;
    }
    for (size_t i = history_plan_first_wanted(plan, value);
         i < plan->wanted_count && key_values_begins(plan->values, plan->wanted[i].value, value); i++) {
        for (size_t j = breadth->users.needers.first[i]; j < breadth->users.needers.first[i + 1]; j++) {
            if (!is_placed(breadth, base, ring, breadth->users.needers.steps[j])) {
                return value;
            }
        }
    }
    return key_values_opaque(plan->values, value);
}

/* move_apply at the origin or in its chain. */
static bool apply(const struct breadth *breadth, const struct move_state *from, const struct plan_step *step,
                  enum move_life life, struct move_state *to)
{
    if (!move_apply(breadth->plan, from, step, life, breadth->deadline_us, to)) {
        return false;
    }
    to->key.value = live_value(breadth, to->key.value, breadth->origin->base, origin_ring(breadth));
    return true;
}

/* Whether a required step could as well come before the optional one that led to the link. */
static bool can_swap(const struct breadth *breadth, const struct link *link, const struct plan_step *required,
                     const struct key_state *after)
{
    struct move_state middle, end;
    return apply(breadth, &link->before->at, required, LIFE_ALIVE, &middle) &&
           apply(breadth, &middle, link->optional, LIFE_ALIVE, &end) && key_state_equal(&end.key, after);
}

/* Whether a value that required steps still need would be gone for good; base, ring and breadth->spent are
 * those after the step. */
static bool strands_a_need(const struct breadth *breadth, struct key_value before, struct key_value after,
                           size_t base, const uint64_t *ring)
{
    const struct history_plan *plan = breadth->plan;
    if (key_value_equal(before, after)) {
        return false;
    }
    const int64_t wanted = history_plan_find_wanted(plan, before);
    if (wanted == PLAN_NONE || plan->wanted[wanted].is_made_by_many) {
        return false;
    }
    bool is_needed = false;
    for (size_t i = breadth->users.needers.first[wanted]; i < breadth->users.needers.first[wanted + 1]; i++) {
        is_needed |= !is_placed(breadth, base, ring, breadth->users.needers.steps[i]);
    }
    if (!is_needed) {
        return false;
    }
    for (size_t i = breadth->users.makers.first[wanted]; i < breadth->users.makers.first[wanted + 1]; i++) {
        if (!is_placed(breadth, base, ring, breadth->users.makers.steps[i])) {
            return false;
        }
    }
    for (size_t i = breadth->users.class_makers.first[wanted];
         i < breadth->users.class_makers.first[wanted + 1]; i++) {
        const struct plan_class *class = &plan->classes[breadth->users.class_makers.steps[i]];
        if (class_used(breadth, class) < class->count) {
            return false;
        }
    }
    return true;
}

/* ---- children ---- */

static uint32_t add_trail(struct breadth *breadth, uint32_t parent, size_t step)
{
    if (breadth->trails_count == breadth->trails_max) {
        breadth->trails_max = breadth->trails_max * 2 + 1024;
        breadth->trails = grow(breadth->trails, breadth->trails_max, sizeof *breadth->trails);
    }
    assert(breadth->trails_count < UINT32_MAX);
    breadth->trails[breadth->trails_count] = (struct trail){.parent = parent, .step = (uint32_t)step};
    return (uint32_t)breadth->trails_count++;
}

static void add_node(struct breadth *breadth, struct layer *layer, struct node *node)
{
    const size_t words = breadth->ring_words + breadth->spent_words;
    if (layer->count == layer->nodes_max) {
        layer->nodes_max = layer->nodes_max * 2 + 64;
        layer->nodes = grow(layer->nodes, layer->nodes_max, sizeof *layer->nodes);
    }
    if (layer->words_count + words > layer->words_max) {
        layer->words_max = layer->words_max * 2 + 64 * words;
        layer->words = grow(layer->words, layer->words_max, sizeof *layer->words);
    }
    node->words = layer->words_count;
    layer->words_count += words;
    memcpy(&layer->words[node->words], breadth->ring, breadth->ring_words * sizeof(uint64_t));
    memcpy(&layer->words[node->words + breadth->ring_words], breadth->spent,
           breadth->spent_words * sizeof(uint64_t));
    layer->nodes[layer->count++] = *node;
}

/* The ring of the origin with one more step placed, in breadth->ring; returns the new base. */
static size_t place_in_ring(struct breadth *breadth, size_t step)
{
    const size_t bits = breadth->ring_words * 64;
    size_t base = breadth->origin->base;
    assert(step >= base && step < base + bits);
    memcpy(breadth->ring, origin_ring(breadth), breadth->ring_words * sizeof(uint64_t));
    flip_bit(breadth->ring, step % bits);
    while (get_bit(breadth->ring, base % bits)) {
        flip_bit(breadth->ring, base % bits);
        base++;
    }
    return base;
}

static uint64_t memo_time(const struct breadth *breadth, uint64_t now_us)
{
    return breadth->plan->expiry_limits_count > 0 ? now_us : 0;
}

/* Tries a required step from the origin or from a node of its chain. */
static enum placing place_required(struct breadth *breadth, const struct link *link, size_t index,
                                   enum move_life life)
{
    const struct move_state *from = &link->at;
    const struct history_plan *plan = breadth->plan;
    const struct plan_step *step = &plan->required[index];
    struct move_state other;
    struct node child = {0};
    breadth->steps++;
    if (!apply(breadth, from, step, life, &child.at)) {
        return REJECTED;
    }
    if (life == LIFE_GONE && apply(breadth, from, step, LIFE_ALIVE, &other) &&
        key_state_equal(&other.key, &child.at.key)) {
        return REJECTED;
    }
    if (link->optional != NULL) {
        if (apply(breadth, &breadth->origin->at, step, LIFE_ALIVE, &other) &&
            (move_needs_no_chain(plan, breadth->origin->at.now_us, step) ||
             key_state_equal(&other.key, &child.at.key))) {
            return REJECTED;
        }
        if (life == LIFE_ALIVE && can_swap(breadth, link, step, &child.at.key)) {
            return REJECTED;
        }
    }
    child.base = place_in_ring(breadth, index);
    if (strands_a_need(breadth, from->key.value, child.at.key.value, child.base, breadth->ring)) {
        return REJECTED;
    }
    child.at.key.value = live_value(breadth, child.at.key.value, child.base, breadth->ring);
    child.placed = fingerprint_xor(breadth->origin->placed, step->fingerprint);
    if (!visited_set_add(&breadth->children, move_fingerprint(child.placed, &child.at.key),
                         memo_time(breadth, child.at.now_us), breadth->spent)) {
        return VISITED;
    }
    child.spent_count = breadth->spent_count;
    child.trail = add_trail(breadth, link->trail, index);
    add_node(breadth, &breadth->next, &child);
    return PLACED;
}

/* All required steps that can come next; one observer that fits is enough. True if there was one. */
static bool place_all_required(struct breadth *breadth, const struct link *link)
{
    const struct history_plan *plan = breadth->plan;
    for (size_t i = 0; i < breadth->candidates_count; i++) {
        const struct plan_step *step = &plan->required[breadth->candidates[i]];
        if (move_needs_no_chain(plan, link->at.now_us, step) &&
            place_required(breadth, link, breadth->candidates[i], LIFE_ALIVE) != REJECTED) {
            return true;
        }
    }
    for (size_t i = 0; i < breadth->candidates_count; i++) {
        place_required(breadth, link, breadth->candidates[i], LIFE_ALIVE);
        if (move_has_expiry(&link->at.key)) {
            place_required(breadth, link, breadth->candidates[i], LIFE_GONE);
        }
    }
    return false;
}

/* ---- chains ---- */

/* Whether an optional step leads nowhere that is not reached with less. */
static bool is_needless(const struct breadth *breadth, const struct plan_step *step, enum move_life life,
                        const struct link *link, const struct key_state *after)
{
    const struct move_state *from = &link->at;
    const struct history_plan *plan = breadth->plan;
    const struct key_state absent = KEY_STATE_ABSENT;
    struct move_state other;
    if (key_state_equal(after, &from->key) || (life == LIFE_GONE && key_state_equal(after, &absent))) {
        return true;
    }
    if (life == LIFE_GONE && apply(breadth, from, step, LIFE_ALIVE, &other) &&
        key_state_equal(&other.key, after)) {
        return true;
    }
    if (link->before != NULL && apply(breadth, &link->before->at, step, LIFE_ALIVE, &other) &&
        key_state_equal(&other.key, after)) {
        return true;
    }
    for (size_t i = 0; i < breadth->goals_count; i++) {
        if (move_can_serve(plan, &breadth->reach, &plan->required[breadth->goals[i]], step,
                           life == LIFE_GONE ? &absent : &from->key, after)) {
            return false;
        }
    }
    return true;
}

static bool remember_chain(struct breadth *breadth, const struct move_state *at)
{
    struct fingerprint fingerprint = move_fingerprint(breadth->origin->placed, &breadth->origin->at.key);
    fingerprint = fingerprint_mix(fingerprint, breadth->origin->at.now_us);
    return visited_set_add(&breadth->chains, move_fingerprint(fingerprint, &at->key),
                           memo_time(breadth, at->now_us), breadth->spent);
}

static void extend_chain(struct breadth *breadth, const struct link *link);

static void place_optional(struct breadth *breadth, const struct link *link, size_t class_index,
                           enum move_life life)
{
    const struct history_plan *plan = breadth->plan;
    const struct plan_class *class = &plan->classes[class_index];
    const size_t used = class_used(breadth, class);
    struct link next = {.before = link, .optional = next_member(breadth, class, used)};
    if (next.optional == NULL) {
        return;
    }
    breadth->steps++;
    if (!apply(breadth, &link->at, next.optional, life, &next.at) ||
        is_needless(breadth, next.optional, life, link, &next.at.key)) {
        return;
    }
    flip_bit(breadth->spent, class->first + used);
    breadth->spent_count++;
    if (!strands_a_need(breadth, link->at.key.value, next.at.key.value, breadth->origin->base,
                        origin_ring(breadth)) &&
        remember_chain(breadth, &next.at)) {
        next.trail = add_trail(breadth, link->trail, plan->required_count + class_index);
        if (!place_all_required(breadth, &next)) {
            extend_chain(breadth, &next);
        }
    }
    breadth->spent_count--;
    flip_bit(breadth->spent, class->first + used);
}

/* Whether an earlier class that is at hand has the same effect: then that one is taken. */
static bool is_same_as_earlier(const struct breadth *breadth, size_t class_index)
{
    for (size_t i = breadth->earlier_alike[class_index]; i != SIZE_MAX; i = breadth->earlier_alike[i]) {
        const struct plan_class *class = &breadth->plan->classes[i];
        if (next_member(breadth, class, class_used(breadth, class)) != NULL) {
            return true;
        }
    }
    return false;
}

static void extend_chain(struct breadth *breadth, const struct link *link)
{
    for (size_t i = 0; i < breadth->plan->classes_count && breadth->steps < breadth->steps_max; i++) {
        if (is_same_as_earlier(breadth, i)) {
            continue;
        }
        place_optional(breadth, link, i, LIFE_ALIVE);
        if (move_has_expiry(&link->at.key)) {
            place_optional(breadth, link, i, LIFE_GONE);
        }
    }
}

/* Candidates that would not be as well off without a chain (see place_required). */
static void find_goals(struct breadth *breadth)
{
    const struct history_plan *plan = breadth->plan;
    struct move_state other;
    breadth->goals_count = 0;
    for (size_t i = 0; i < breadth->candidates_count; i++) {
        const struct plan_step *step = &plan->required[breadth->candidates[i]];
        if (!((move_needs_no_chain(plan, breadth->origin->at.now_us, step) || step->is_overwriter) &&
              apply(breadth, &breadth->origin->at, step, LIFE_ALIVE, &other))) {
            breadth->goals[breadth->goals_count++] = breadth->candidates[i];
        }
    }
}

static void find_alike(struct breadth *breadth)
{
    const struct history_plan *plan = breadth->plan;
    struct visited_effect {
        struct fingerprint effect;
        size_t last;
    } *effects = grow(NULL, plan->classes_count, sizeof *effects);
    size_t count = 0;
    for (size_t i = 0; i < plan->classes_count; i++) {
        const struct plan_step *step = &plan->optional[plan->classes[i].first];
        breadth->earlier_alike[i] = SIZE_MAX;
        if (step->invoked_us > breadth->deadline_us || step->model.kind == HISTORY_APPEND) {
            continue;
        }
        const struct key_value value =
            live_value(breadth, step->model.value, breadth->origin->base, origin_ring(breadth));
        const struct fingerprint effect = move_effect(plan, &step->model, value, breadth->origin->at.now_us);
        size_t j = 0;
        while (j < count && (effects[j].effect.low != effect.low || effects[j].effect.high != effect.high)) {
            j++;
        }
        if (j == count) {
            effects[count++].effect = effect;
        } else {
            breadth->earlier_alike[i] = effects[j].last;
        }
        effects[j].last = i;
    }
    free(effects);
}

static void expand(struct breadth *breadth, const struct node *node)
{
    breadth->origin = node;
    breadth->spent_count = node->spent_count;
    memcpy(breadth->spent, &breadth->current.words[node->words + breadth->ring_words],
           breadth->spent_words * sizeof(uint64_t));
    find_candidates(breadth);
    const struct link origin = {.at = node->at, .trail = node->trail};
    if (!place_all_required(breadth, &origin)) {
        find_goals(breadth);
        if (breadth->goals_count > 0) {
            find_alike(breadth);
            extend_chain(breadth, &origin);
        }
    }
}

/* ---- layers ---- */

static int compare_nodes(const void *left, const void *right)
{
    const struct node *a = left, *b = right;
    if (a->spent_count != b->spent_count) {
        return a->spent_count < b->spent_count ? -1 : 1;
    }
    if (a->at.now_us != b->at.now_us) {
        return a->at.now_us < b->at.now_us ? -1 : 1;
    }
    return (a->trail > b->trail) - (a->trail < b->trail);
}

static void reset_visited(struct breadth *breadth, struct visited_set *set)
{
    visited_set_deinit(set);
    visited_set_init(set, breadth->spent_words);
}

/* The next layer becomes the current one, without the nodes that others cover. */
static void advance(struct breadth *breadth)
{
    struct layer done = breadth->current;
    breadth->current = breadth->next;
    breadth->next = done;
    breadth->next.count = breadth->next.words_count = 0;
    struct layer *layer = &breadth->current;
    qsort(layer->nodes, layer->count, sizeof *layer->nodes, compare_nodes);
    reset_visited(breadth, &breadth->chains);
    reset_visited(breadth, &breadth->children);
    size_t kept = 0;
    for (size_t i = 0; i < layer->count; i++) {
        const struct node *node = &layer->nodes[i];
        if (visited_set_add(&breadth->children, move_fingerprint(node->placed, &node->at.key),
                            memo_time(breadth, node->at.now_us),
                            &layer->words[node->words + breadth->ring_words])) {
            layer->nodes[kept++] = *node;
        }
    }
    layer->count = kept;
    reset_visited(breadth, &breadth->children);
}

static void breadth_init(struct breadth *breadth, const struct history_plan *plan, uint64_t steps_max)
{
    *breadth = (struct breadth){.plan = plan, .steps_max = steps_max};
    breadth->ring_words =
        history_plan_longest_span(plan) / 64 + 1; /* more bits than the span: one is always free */
    breadth->spent_words = (plan->optional_count + 63) / 64;
    breadth->candidates = grow(NULL, plan->required_count, sizeof(size_t));
    breadth->goals = grow(NULL, plan->required_count, sizeof(size_t));
    breadth->earlier_alike = grow(NULL, plan->classes_count, sizeof(size_t));
    breadth->spent = grow(NULL, breadth->spent_words, sizeof(uint64_t));
    breadth->ring = grow(NULL, breadth->ring_words, sizeof(uint64_t));
    memset(breadth->spent, 0, breadth->spent_words * sizeof(uint64_t));
    memset(breadth->ring, 0, breadth->ring_words * sizeof(uint64_t));
    visited_set_init(&breadth->children, breadth->spent_words);
    visited_set_init(&breadth->chains, breadth->spent_words);
    plan_users_init(&breadth->users, plan);
    struct node root = {.at.key = KEY_STATE_ABSENT, .trail = add_trail(breadth, 0, 0)};
    add_node(breadth, &breadth->current, &root);
}

static void breadth_deinit(struct breadth *breadth)
{
    visited_set_deinit(&breadth->children);
    visited_set_deinit(&breadth->chains);
    plan_users_deinit(&breadth->users);
    free(breadth->current.nodes);
    free(breadth->current.words);
    free(breadth->next.nodes);
    free(breadth->next.words);
    free(breadth->trails);
    free(breadth->candidates);
    free(breadth->goals);
    free(breadth->earlier_alike);
    free(breadth->spent);
    free(breadth->ring);
}

/* The way to a node, into the result. */
static void report_way(const struct breadth *breadth, const struct node *node, struct search_result *result)
{
    size_t count = 0;
    for (uint32_t i = node->trail; i != 0; i = breadth->trails[i].parent) {
        count++;
    }
    size_t *steps = grow(NULL, count, sizeof *steps);
    uint32_t trail = node->trail;
    for (size_t i = count; i > 0; i--, trail = breadth->trails[trail].parent) {
        steps[i - 1] = breadth->trails[trail].step;
    }
    search_order_find(breadth->plan, steps, count, result);
    free(steps);
}

void breadth_search(const struct history_plan *plan, uint64_t steps_max, struct search_result *result)
{
    struct breadth breadth;
    breadth_init(&breadth, plan, steps_max);
    *result = (struct search_result){.verdict = LINEARIZABLE};
    for (size_t i = 0; i < plan->required_count && result->verdict == LINEARIZABLE; i++) {
        for (size_t j = 0; j < breadth.current.count && breadth.steps < steps_max; j++) {
            expand(&breadth, &breadth.current.nodes[j]);
        }
        if (breadth.steps >= steps_max) {
            result->verdict = LINEARIZABILITY_GAVE_UP;
        } else if (breadth.next.count == 0) {
            result->verdict = NOT_LINEARIZABLE;
        } else {
            advance(&breadth);
        }
    }
    result->steps = breadth.steps;
    report_way(&breadth, &breadth.current.nodes[0], result);
    breadth_deinit(&breadth);
}
