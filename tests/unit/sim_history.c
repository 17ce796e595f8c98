/* sim_history.c: histories for tests; the plain model executes on bytes, as a person would. */
#include "sim_history.h"

#include "breadth_search.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the plain model ---- */

static bool plain_number(const struct plain_key *key, int64_t *number)
{
    char text[PLAIN_BYTES_MAX + 1], again[32];
    if (!key->present) {
        *number = 0;
        return true;
    }
    memcpy(text, key->bytes, key->size);
    text[key->size] = '\0';
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    snprintf(again, sizeof again, "%" PRId64, *number);
    return errno == 0 && *end == '\0' && strlen(again) == key->size && memcmp(again, text, key->size) == 0;
}

static void plain_set(struct plain_key *key, const struct history_operation *operation)
{
    assert(operation->size <= PLAIN_BYTES_MAX);
    key->present = true;
    if (operation->size > 0) {
        memcpy(key->bytes, operation->bytes, operation->size);
    }
    key->size = operation->size;
    if ((operation->options & HISTORY_KEEPTTL) == 0) {
        key->has_expiry = false;
    }
}

static void plain_set_expiry(struct plain_key *key, const struct history_operation *operation)
{
    key->has_expiry = true;
    key->expiry_earliest_us = operation->expiry_earliest_us;
    key->expiry_latest_us = operation->expiry_latest_us;
}

static void plain_delete(struct plain_key *key)
{
    key->present = key->has_expiry = false;
    key->size = 0;
}

static void reply_value(const struct plain_key *key, struct plain_reply *reply)
{
    reply->kind = key->present ? HISTORY_BYTES : HISTORY_NIL;
    reply->size = key->size;
    memcpy(reply->bytes, key->bytes, key->size);
}

static void plain_apply_set(struct plain_key *key, const struct history_operation *operation,
                            struct plain_reply *reply)
{
    const bool performs = !(operation->options & HISTORY_NX && key->present) &&
                          !(operation->options & HISTORY_XX && !key->present);
    if (operation->options & HISTORY_RETURN_OLD) {
        reply_value(key, reply);
    } else {
        reply->kind = performs ? HISTORY_OK : HISTORY_NIL;
    }
    if (performs) {
        plain_set(key, operation);
        if (operation->options & HISTORY_EXPIRY) {
            plain_set_expiry(key, operation);
        }
    }
}

static void plain_apply_incrby(struct plain_key *key, const struct history_operation *operation,
                               struct plain_reply *reply)
{
    int64_t number;
    char text[32];
    if (!plain_number(key, &number) || __builtin_add_overflow(number, operation->delta, &number)) {
        reply->kind = HISTORY_ERROR;
        return;
    }
    key->present = true;
    key->size = (size_t)snprintf(text, sizeof text, "%" PRId64, number);
    memcpy(key->bytes, text, key->size);
    reply->integer = number;
}

/* GT and LT: some moments of the two windows are in that order; no expiry counts as the end of time. */
static bool plain_order_allows(const struct plain_key *key, const struct history_operation *operation,
                               bool is_done)
{
    const uint64_t old_first = key->has_expiry ? key->expiry_earliest_us : UINT64_MAX;
    const uint64_t old_last = key->has_expiry ? key->expiry_latest_us : UINT64_MAX;
    const bool can_rise = key->has_expiry && old_first <= operation->expiry_latest_us;
    const bool can_fall = operation->expiry_earliest_us <= old_last;
    const bool wants_rise = is_done == ((operation->options & HISTORY_GT) != 0);
    return wants_rise ? can_rise : can_fall;
}

/* If the answer is not known, it is done if it can be: one that is refused can as well be left out. */
static void plain_apply_expire(struct plain_key *key, const struct history_operation *operation,
                               struct plain_reply *reply)
{
    bool is_done = key->present && !(operation->options & HISTORY_NX && key->has_expiry) &&
                   !(operation->options & HISTORY_XX && !key->has_expiry);
    if (is_done && operation->options & (HISTORY_GT | HISTORY_LT)) {
        const bool says_done = operation->outcome != HISTORY_DONE || operation->reply_integer != 0;
        is_done = plain_order_allows(key, operation, says_done) ? says_done : !says_done;
    }
    reply->integer = is_done;
    if (is_done) {
        plain_set_expiry(key, operation);
    }
}

void plain_key_apply(struct plain_key *key, const struct history_operation *operation,
                     struct plain_reply *reply)
{
    *reply = (struct plain_reply){.kind = HISTORY_INTEGER};
    switch (operation->kind) {
    case HISTORY_GET:
        reply_value(key, reply);
        return;
    case HISTORY_SET:
        plain_apply_set(key, operation, reply);
        return;
    case HISTORY_GETSET:
        reply_value(key, reply);
        plain_set(key, operation);
        return;
    case HISTORY_GETDEL:
        reply_value(key, reply);
        plain_delete(key);
        return;
    case HISTORY_SETNX:
        reply->integer = !key->present;
        if (!key->present) {
            plain_set(key, operation);
        }
        return;
    case HISTORY_DEL:
        reply->integer = key->present;
        plain_delete(key);
        return;
    case HISTORY_EXISTS:
        reply->integer = key->present;
        return;
    case HISTORY_INCRBY:
        plain_apply_incrby(key, operation, reply);
        return;
    case HISTORY_APPEND:
        assert(key->size + operation->size <= PLAIN_BYTES_MAX);
        memcpy(key->bytes + key->size, operation->bytes, operation->size);
        key->size += operation->size;
        key->present = true;
        reply->integer = (int64_t)key->size;
        return;
    case HISTORY_STRLEN:
        reply->integer = (int64_t)key->size;
        return;
    case HISTORY_EXPIRE:
        plain_apply_expire(key, operation, reply);
        return;
    case HISTORY_PERSIST:
        reply->integer = key->has_expiry;
        key->has_expiry = false;
        return;
    case HISTORY_TTL:
        reply->integer = !key->present ? -2 : key->has_expiry ? 10 : -1;
        return;
    case HISTORY_GETEX:
        reply_value(key, reply);
        if (key->present && operation->options & HISTORY_EXPIRY) {
            plain_set_expiry(key, operation);
        } else if (operation->options & HISTORY_REMOVE_EXPIRY) {
            key->has_expiry = false;
        }
        return;
    }
    abort();
}

bool plain_reply_matches(const struct history_operation *operation, const struct plain_reply *reply)
{
    if (operation->reply != reply->kind) {
        return false;
    }
    if (reply->kind == HISTORY_INTEGER) {
        return operation->kind == HISTORY_TTL && reply->integer >= 0
                   ? operation->reply_integer >= 0
                   : operation->reply_integer == reply->integer;
    }
    return reply->kind != HISTORY_BYTES ||
           (operation->reply_size == reply->size &&
            (reply->size == 0 || memcmp(operation->reply_bytes, reply->bytes, reply->size) == 0));
}

/* ---- histories ---- */

void sim_history_init(struct sim_history *history)
{
    *history = (struct sim_history){0};
}

void sim_history_deinit(struct sim_history *history)
{
    for (size_t i = 0; i < history->owned_count; i++) {
        free(history->owned[i]);
    }
    free(history->owned);
    free(history->operations);
    *history = (struct sim_history){0};
}

const uint8_t *sim_history_keep(struct sim_history *history, const void *bytes, size_t size)
{
    if (history->owned_count == history->owned_capacity) {
        history->owned_capacity = history->owned_capacity * 2 + 16;
        history->owned = realloc(history->owned, history->owned_capacity * sizeof *history->owned);
        assert(history->owned != NULL);
    }
    uint8_t *copy = malloc(size + 1);
    assert(copy != NULL);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return history->owned[history->owned_count++] = copy;
}

struct history_operation *sim_history_add(struct sim_history *history,
                                          const struct history_operation *operation)
{
    if (history->count == history->capacity) {
        history->capacity = history->capacity * 2 + 16;
        history->operations = realloc(history->operations, history->capacity * sizeof *history->operations);
        assert(history->operations != NULL);
    }
    struct history_operation *copy = &history->operations[history->count++];
    *copy = *operation;
    copy->bytes = sim_history_keep(history, operation->bytes, operation->size);
    copy->reply_bytes = sim_history_keep(history, operation->reply_bytes, operation->reply_size);
    return copy;
}

void sim_history_answer(struct sim_history *history, struct history_operation *operation,
                        const struct plain_reply *reply)
{
    operation->reply = reply->kind;
    operation->reply_integer = reply->integer;
    operation->reply_size = reply->kind == HISTORY_BYTES ? reply->size : 0;
    operation->reply_bytes = sim_history_keep(history, reply->bytes, operation->reply_size);
}

/* ---- orders ---- */

static bool must_precede(const struct history_operation *a, const struct history_operation *b,
                         bool a_is_earlier)
{
    if (a->outcome == HISTORY_UNKNOWN) {
        return false;
    }
    const bool same = a->client == b->client && a->connection == b->connection;
    return a->returned_us < b->invoked_us ||
           (same && (a->sequence < b->sequence || (a->sequence == b->sequence && a_is_earlier)));
}

/* Places an operation: alive, or after the key has gone. */
static bool plain_place(struct plain_key *key, uint64_t *now_us, const struct history_operation *operation,
                        bool gone)
{
    struct plain_reply reply;
    *now_us = *now_us > operation->invoked_us ? *now_us : operation->invoked_us;
    if (gone) {
        *now_us = *now_us > key->expiry_earliest_us ? *now_us : key->expiry_earliest_us;
        plain_delete(key);
    } else if (key->has_expiry && *now_us > key->expiry_latest_us) {
        return false;
    }
    if (operation->outcome != HISTORY_UNKNOWN && *now_us > operation->returned_us) {
        return false;
    }
    plain_key_apply(key, operation, &reply);
    return operation->outcome != HISTORY_DONE || plain_reply_matches(operation, &reply);
}

static bool replay(const struct sim_history *history, const size_t *order, size_t order_count,
                   struct plain_key key, uint64_t now_us)
{
    for (size_t i = 0; i < order_count; i++) {
        const struct history_operation *operation = &history->operations[order[i]];
        if (key.has_expiry) {
            struct plain_key gone = key;
            uint64_t gone_us = now_us;
            if (plain_place(&gone, &gone_us, operation, true) &&
                replay(history, order + i + 1, order_count - i - 1, gone, gone_us)) {
                return true;
            }
        }
        if (!plain_place(&key, &now_us, operation, false)) {
            return false;
        }
    }
    return true;
}

/* It says nothing, and is left out of the order. */
static bool is_unchecked_look(const struct history_operation *operation)
{
    const enum history_kind kind = operation->kind;
    const bool changes_expiry = (operation->options & (HISTORY_EXPIRY | HISTORY_REMOVE_EXPIRY)) != 0;
    return operation->outcome == HISTORY_DONE_UNCHECKED &&
           (kind == HISTORY_GET || kind == HISTORY_EXISTS || kind == HISTORY_STRLEN || kind == HISTORY_TTL ||
            (kind == HISTORY_GETEX && !changes_expiry));
}

void sim_history_assert_order(const struct sim_history *history, const size_t *order, size_t order_count)
{
    size_t *rank = calloc(history->count, sizeof *rank);
    assert(rank != NULL || history->count == 0);
    for (size_t i = 0; i < order_count; i++) {
        assert(order[i] < history->count && rank[order[i]] == 0);
        rank[order[i]] = i + 1;
    }
    for (size_t i = 0; i < history->count; i++) {
        assert(rank[i] != 0 || history->operations[i].outcome == HISTORY_UNKNOWN ||
               is_unchecked_look(&history->operations[i]));
    }
    for (size_t i = 0; i < order_count; i++) {
        for (size_t j = i + 1; j < order_count; j++) {
            assert(!must_precede(&history->operations[order[j]], &history->operations[order[i]],
                                 order[j] < order[i]));
        }
    }
    assert(replay(history, order, order_count, (struct plain_key){0}, 0));
    free(rank);
}

enum linearizability_verdict sim_history_verdict(const struct sim_history *history)
{
    struct linearizability_report report;
    linearizability_check(history->operations, history->count, 0, &report);
    if (report.verdict == LINEARIZABLE) {
        sim_history_assert_order(history, report.order, report.order_count);
    }
    const enum linearizability_verdict verdict = report.verdict;
    linearizability_report_deinit(&report);
    return verdict;
}

enum linearizability_verdict sim_history_breadth_verdict(const struct sim_history *history)
{
    struct history_plan plan;
    struct search_result result;
    history_plan_init(&plan, history->operations, history->count);
    breadth_search(&plan, LINEARIZABILITY_STEPS_DEFAULT, &result);
    if (result.verdict == LINEARIZABLE) {
        sim_history_assert_order(history, result.order, result.order_count);
    }
    free(result.order);
    history_plan_deinit(&plan);
    return result.verdict;
}

static bool brute(const struct sim_history *history, uint32_t placed, struct plain_key key, uint64_t now_us)
{
    bool all = true;
    for (size_t i = 0; i < history->count; i++) {
        all = all && (placed >> i & 1 || history->operations[i].outcome == HISTORY_UNKNOWN);
    }
    if (all) {
        return true;
    }
    for (size_t i = 0; i < history->count; i++) {
        bool may = !(placed >> i & 1);
        for (size_t j = 0; j < history->count && may; j++) {
            may = j == i || placed >> j & 1 ||
                  !must_precede(&history->operations[j], &history->operations[i], j < i);
        }
        for (int gone = 0; gone <= (key.has_expiry ? 1 : 0) && may; gone++) {
            struct plain_key next = key;
            uint64_t next_us = now_us;
            if (plain_place(&next, &next_us, &history->operations[i], gone == 1) &&
                brute(history, placed | UINT32_C(1) << i, next, next_us)) {
                return true;
            }
        }
    }
    return false;
}

bool sim_history_brute_force(const struct sim_history *history)
{
    assert(history->count <= 10);
    return brute(history, 0, (struct plain_key){0}, 0);
}
