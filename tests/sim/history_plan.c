/* history_plan.c: a history laid out for the search. */
#include "history_plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void *allocate(size_t count, size_t bytes)
{
    void *memory = calloc(count > 0 ? count : 1, bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* ---- values ---- */

static struct key_values *create_values(const struct history_operation *operations, size_t count)
{
    struct key_bytes *seen = allocate(count, sizeof *seen);
    struct key_values_options options = {.seen = seen};
    for (size_t i = 0; i < count; i++) {
        const struct history_operation *operation = &operations[i];
        options.integers_matter |= operation->kind == HISTORY_INCRBY;
        options.sizes_matter |= operation->kind == HISTORY_STRLEN || operation->kind == HISTORY_APPEND;
        if (operation->outcome == HISTORY_DONE && operation->reply == HISTORY_BYTES) {
            seen[options.seen_count++] = (struct key_bytes){operation->reply_bytes, operation->reply_size};
        }
    }
    struct key_values *values = key_values_create(&options);
    free(seen);
    return values;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_values(const struct key_value *a, const struct key_value *b)
{
    int order = compare_numbers(a->kind, b->kind);
    order = order != 0 ? order : compare_numbers(a->first, b->first);
    return order != 0 ? order : compare_numbers(a->number, b->number);
}

/* ---- steps ---- */

static bool is_only_a_look(const struct key_operation *model)
{
    switch (model->kind) {
    case HISTORY_GET:
    case HISTORY_EXISTS:
    case HISTORY_STRLEN:
    case HISTORY_TTL:
        return true;
    case HISTORY_GETEX:
        return (model->options & (HISTORY_EXPIRY | HISTORY_REMOVE_EXPIRY)) == 0;
    case HISTORY_SET:
    case HISTORY_GETSET:
    case HISTORY_GETDEL:
    case HISTORY_SETNX:
    case HISTORY_DEL:
    case HISTORY_INCRBY:
    case HISTORY_APPEND:
    case HISTORY_EXPIRE:
    case HISTORY_PERSIST:
        return false;
    }
    abort();
}

/* Where the answer is not known, operations that differ in the answer only are the same. */
static void forget_answer(struct key_operation *model)
{
    if (model->kind == HISTORY_GETSET) {
        model->kind = HISTORY_SET;
        model->options = 0;
    } else if (model->kind == HISTORY_SETNX) {
        model->kind = HISTORY_SET;
        model->options = HISTORY_NX;
    } else if (model->kind == HISTORY_GETDEL) {
        model->kind = HISTORY_DEL;
    } else if (model->kind == HISTORY_SET) {
        model->options &= ~(uint32_t)HISTORY_RETURN_OLD;
    }
}

/* Bytes that no answer shows anywhere: what they are appended to is never shown again. With counters a
 * digit may still matter. */
static void forget_bytes(const struct key_values *values, struct key_operation *model)
{
    if (model->kind == HISTORY_APPEND && model->bytes.size > 0 &&
        !key_values_can_show(values, model->bytes)) {
        model->bytes.bytes = NULL;
        model->value = (struct key_value){.kind = KEY_VALUE_ABSENT};
    }
}

/* The outcome only; all that depends on other steps comes later. */
static struct plan_step make_step(const struct key_values *values, const struct history_operation *operations,
                                  size_t i)
{
    const struct history_operation *operation = &operations[i];
    struct plan_step step = {.operation = i, .after = PLAN_NONE, .needs_id = PLAN_NONE};
    step.model = key_model_operation(values, operation);
    step.is_checked = operation->outcome == HISTORY_DONE;
    step.invoked_us = operation->invoked_us;
    step.returned_us = operation->outcome == HISTORY_UNKNOWN ? UINT64_MAX : operation->returned_us;
    assert(step.invoked_us <= step.returned_us);
    if (step.is_checked) {
        step.received = key_model_received(values, operation);
        step.is_observer = key_inference_is_observer(&step.model, &step.received);
    } else {
        forget_answer(&step.model);
    }
    step.is_overwriter = key_inference_is_overwriter(&step.model) &&
                         (step.is_checked || (step.model.options & (HISTORY_NX | HISTORY_XX)) == 0);
    step.need = key_inference_need(&step.model, step.is_checked ? &step.received : NULL);
    return step;
}

static int compare_by_call(const void *left, const void *right)
{
    const struct plan_step *a = left, *b = right;
    int order = compare_numbers(a->invoked_us, b->invoked_us);
    order = order != 0 ? order : compare_numbers(a->returned_us, b->returned_us);
    return order != 0 ? order : compare_numbers(a->operation, b->operation);
}

/* 0: the two do the same. */
static int compare_models(const struct key_operation *a, const struct key_operation *b)
{
    int order = compare_numbers(a->kind, b->kind);
    order = order != 0 ? order : compare_numbers(a->options, b->options);
    order = order != 0 ? order : compare_values(&a->value, &b->value);
    order = order != 0 ? order : compare_numbers((uint64_t)a->delta, (uint64_t)b->delta);
    order = order != 0 ? order : compare_numbers(a->expiry_earliest_us, b->expiry_earliest_us);
    order = order != 0 ? order : compare_numbers(a->expiry_latest_us, b->expiry_latest_us);
    if (order != 0 || a->kind != HISTORY_APPEND) {
        return order;
    }
    order = compare_numbers(a->bytes.size, b->bytes.size);
    order = order != 0 ? order : compare_numbers(a->bytes.bytes == NULL, b->bytes.bytes == NULL);
    return order != 0 || a->bytes.size == 0 || a->bytes.bytes == NULL
               ? order
               : memcmp(a->bytes.bytes, b->bytes.bytes, a->bytes.size);
}

static int compare_by_class(const void *left, const void *right)
{
    const struct plan_step *a = left, *b = right;
    int order = compare_models(&a->model, &b->model);
    return order != 0 ? order : compare_by_call(left, right);
}

static void note_kind(struct history_plan *plan, const struct key_operation *model)
{
    const bool is_set = model->kind == HISTORY_SET;
    const uint32_t options = model->options;
    plan->has_unknown_append |= model->kind == HISTORY_APPEND;
    plan->has_unknown_incrby |= model->kind == HISTORY_INCRBY;
    plan->has_unknown_nx |= is_set && (options & HISTORY_NX) != 0;
    plan->has_unknown_xx |= is_set && (options & HISTORY_XX) != 0;
    plan->has_unknown_keepttl |= is_set && (options & HISTORY_KEEPTTL) != 0;
    plan->has_unknown_expire_nx |=
        model->kind == HISTORY_EXPIRE && (options & (HISTORY_NX | HISTORY_LT)) != 0;
}

static void make_steps(struct history_plan *plan, const struct history_operation *operations, size_t count)
{
    plan->required = allocate(count, sizeof *plan->required);
    plan->optional = allocate(count, sizeof *plan->optional);
    for (size_t i = 0; i < count; i++) {
        struct plan_step step = make_step(plan->values, operations, i);
        plan->compares_expiries |= (step.model.options & (HISTORY_GT | HISTORY_LT)) != 0;
        if (!step.is_checked && is_only_a_look(&step.model)) {
            continue; /* it says nothing; what its time and its place order is ordered without it */
        }
        if (operations[i].outcome == HISTORY_UNKNOWN) {
            forget_bytes(plan->values, &step.model);
            plan->optional[plan->optional_count++] = step;
            note_kind(plan, &step.model);
        } else {
            plan->required[plan->required_count++] = step;
        }
    }
    qsort(plan->required, plan->required_count, sizeof *plan->required, compare_by_call);
    qsort(plan->optional, plan->optional_count, sizeof *plan->optional, compare_by_class);
    for (size_t i = 0; i < plan->required_count; i++) {
        plan->required[i].fingerprint = fingerprint_of(i);
    }
    plan->classes = allocate(plan->optional_count, sizeof *plan->classes);
    for (size_t i = 0; i < plan->optional_count; i++) {
        if (i == 0 || compare_models(&plan->optional[i].model, &plan->optional[i - 1].model) != 0) {
            plan->classes[plan->classes_count++] = (struct plan_class){.first = i};
        }
        plan->classes[plan->classes_count - 1].count++;
    }
}

/* ---- who comes after whom on a connection ---- */

struct place_on_connection {
    const struct history_operation *operation;
    struct plan_step *step;
    int64_t required; /* PLAN_NONE: of unknown outcome */
};

static int compare_places(const void *left, const void *right)
{
    const struct place_on_connection *a = left, *b = right;
    int order = compare_numbers(a->operation->client, b->operation->client);
    order = order != 0 ? order : compare_numbers(a->operation->connection, b->operation->connection);
    order = order != 0 ? order : compare_numbers(a->operation->sequence, b->operation->sequence);
    return order != 0 ? order : compare_numbers(a->step->operation, b->step->operation);
}

static void order_connections(struct history_plan *plan, const struct history_operation *operations)
{
    const size_t count = plan->required_count + plan->optional_count;
    struct place_on_connection *places = allocate(count, sizeof *places);
    for (size_t i = 0; i < count; i++) {
        const bool is_required = i < plan->required_count;
        struct plan_step *step = is_required ? &plan->required[i] : &plan->optional[i - plan->required_count];
        places[i] = (struct place_on_connection){.operation = &operations[step->operation],
                                                 .step = step,
                                                 .required = is_required ? (int64_t)i : PLAN_NONE};
    }
    qsort(places, count, sizeof *places, compare_places);
    int64_t last = PLAN_NONE;
    for (size_t i = 0; i < count; i++) {
        const struct history_operation *here = places[i].operation;
        if (i > 0 && (here->client != places[i - 1].operation->client ||
                      here->connection != places[i - 1].operation->connection)) {
            last = PLAN_NONE;
        }
        places[i].step->after = last;
        assert(last == PLAN_NONE || (plan->required[last].invoked_us <= places[i].step->invoked_us &&
                                     plan->required[last].returned_us <= places[i].step->returned_us));
        if (places[i].required != PLAN_NONE) {
            last = places[i].required;
        }
    }
    free(places);
}

/* ---- wanted values ---- */

static int compare_wanted(const void *left, const void *right)
{
    const struct plan_wanted *a = left, *b = right;
    return compare_values(&a->value, &b->value);
}

int64_t history_plan_find_wanted(const struct history_plan *plan, struct key_value value)
{
    size_t low = 0, high = plan->wanted_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_values(&plan->wanted[middle].value, &value);
        if (order == 0) {
            return (int64_t)middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return PLAN_NONE;
}

size_t history_plan_first_wanted(const struct history_plan *plan, struct key_value value)
{
    const uint64_t size = value.number;
    size_t low = 0, high = plan->wanted_count;
    value.number = 0; /* of the same first, shorter ones are before longer ones */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_values(&plan->wanted[middle].value, &value) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low < plan->wanted_count && plan->wanted[low].value.kind == value.kind &&
           plan->wanted[low].value.first == value.first && plan->wanted[low].value.number < size) {
        low++;
    }
    return low;
}

static void find_wanted_values(struct history_plan *plan)
{
    plan->wanted = allocate(plan->required_count, sizeof *plan->wanted);
    size_t count = 0;
    for (size_t i = 0; i < plan->required_count; i++) {
        if (plan->required[i].need.kind == KEY_NEED_VALUE) {
            plan->wanted[count++] = (struct plan_wanted){.value = plan->required[i].need.value};
        }
    }
    qsort(plan->wanted, count, sizeof *plan->wanted, compare_wanted);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || compare_wanted(&plan->wanted[i], &plan->wanted[i - 1]) != 0) {
            plan->wanted[plan->wanted_count++] = plan->wanted[i];
        }
    }
    for (size_t i = 0; i < plan->required_count; i++) {
        struct plan_step *step = &plan->required[i];
        /* One that can do without the value does not need it. */
        if (step->need.kind == KEY_NEED_VALUE && !step->need.or_absent) {
            step->needs_id = history_plan_find_wanted(plan, step->need.value);
            plan->wanted[step->needs_id].needed_by++;
        }
    }
}

static void add_product(struct history_plan *plan, size_t *capacity, size_t wanted)
{
    if (plan->products_count == *capacity) {
        *capacity = *capacity == 0 ? 256 : *capacity * 2;
        plan->products = realloc(plan->products, *capacity * sizeof *plan->products);
        if (plan->products == NULL) {
            abort();
        }
    }
    plan->products[plan->products_count++] = wanted;
}

static bool can_end_so(const struct history_plan *plan, const struct key_operation *model,
                       const struct key_product *product, struct key_value value)
{
    return (product->size == 0 || product->size == key_value_size(value)) &&
           key_values_ends(plan->values, value, model->bytes);
}

static void add_products(struct history_plan *plan, size_t *capacity, const struct plan_step *step)
{
    const struct key_product product =
        key_inference_product(&step->model, step->is_checked ? &step->received : NULL);
    int64_t only;
    switch (product.kind) {
    case KEY_PRODUCT_NONE:
        return;
    case KEY_PRODUCT_VALUE:
        only = history_plan_find_wanted(plan, product.value);
        if (only != PLAN_NONE) {
            add_product(plan, capacity, (size_t)only);
        }
        return;
    case KEY_PRODUCT_ANY_INTEGER:
        for (size_t i = 0; i < plan->wanted_count; i++) {
            plan->wanted[i].is_made_by_many |= plan->wanted[i].value.kind == KEY_VALUE_INTEGER;
        }
        return;
    case KEY_PRODUCT_ANY_END:
        for (size_t i = 0; i < plan->wanted_count; i++) {
            if (can_end_so(plan, &step->model, &product, plan->wanted[i].value)) {
                add_product(plan, capacity, i);
            }
        }
        return;
    }
    abort();
}

static void find_products(struct history_plan *plan)
{
    size_t capacity = 0;
    plan->required_products_first = allocate(plan->required_count + 1, sizeof(size_t));
    for (size_t i = 0; i < plan->required_count; i++) {
        plan->required_products_first[i] = plan->products_count;
        add_products(plan, &capacity, &plan->required[i]);
    }
    plan->required_products_first[plan->required_count] = plan->products_count;
    for (size_t i = 0; i < plan->products_count; i++) {
        plan->wanted[plan->products[i]].made_by_required++;
    }
    for (size_t i = 0; i < plan->classes_count; i++) {
        struct plan_class *class = &plan->classes[i];
        class->products_first = plan->products_count;
        add_products(plan, &capacity, &plan->optional[class->first]);
        class->products_count = plan->products_count - class->products_first;
        for (size_t j = class->products_first; j < plan->products_count; j++) {
            plan->wanted[plan->products[j]].made_by_optional += (uint32_t) class->count;
        }
    }
}

/* ---- all together ---- */

static int compare_times(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return compare_numbers(*a, *b);
}

static void find_expiry_limits(struct history_plan *plan, const struct history_operation *operations,
                               size_t count)
{
    plan->expiry_limits_us = allocate(count, sizeof *plan->expiry_limits_us);
    for (size_t i = 0; i < count; i++) {
        if (operations[i].kind == HISTORY_EXPIRE || (operations[i].options & HISTORY_EXPIRY) != 0) {
            plan->expiry_limits_us[plan->expiry_limits_count++] = operations[i].expiry_latest_us;
        }
    }
    qsort(plan->expiry_limits_us, plan->expiry_limits_count, sizeof *plan->expiry_limits_us, compare_times);
}

void history_plan_init(struct history_plan *plan, const struct history_operation *operations, size_t count)
{
    *plan = (struct history_plan){.values = create_values(operations, count)};
    make_steps(plan, operations, count);
    order_connections(plan, operations);
    find_wanted_values(plan);
    find_products(plan);
    find_expiry_limits(plan, operations, count);
}

size_t history_plan_longest_span(const struct history_plan *plan)
{
    size_t longest = 1;
    for (size_t i = 0; i < plan->required_count; i++) {
        size_t low = i, high = plan->required_count; /* the first that was called after the answer */
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (plan->required[middle].invoked_us <= plan->required[i].returned_us) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        longest = low - i > longest ? low - i : longest;
    }
    return longest;
}

void history_plan_deinit(struct history_plan *plan)
{
    key_values_destroy(plan->values);
    free(plan->required);
    free(plan->optional);
    free(plan->classes);
    free(plan->wanted);
    free(plan->required_products_first);
    free(plan->products);
    free(plan->expiry_limits_us);
    *plan = (struct history_plan){0};
}
