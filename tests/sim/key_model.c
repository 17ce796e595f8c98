/* key_model.c: what an operation does to one key. One function per kind of operation; key_model_apply
 * routes. */
#include "key_model.h"

#include <assert.h>
#include <stdlib.h>

static bool is_present(const struct key_state *state)
{
    return state->value.kind != KEY_VALUE_ABSENT;
}

static bool has_expiry(const struct key_state *state)
{
    return state->expiry_earliest_us != KEY_NO_EXPIRY;
}

static struct key_state without_expiry(struct key_value value)
{
    return (struct key_state){
        .value = value, .expiry_earliest_us = KEY_NO_EXPIRY, .expiry_latest_us = KEY_NO_EXPIRY};
}

/* An expiry that may be as late as can be is still an expiry: TTL shows it. */
static struct key_state with_expiry(struct key_value value, const struct key_operation *operation)
{
    uint64_t earliest_us = operation->expiry_earliest_us;
    return (struct key_state){.value = value,
                              .expiry_earliest_us =
                                  earliest_us == KEY_NO_EXPIRY ? KEY_NO_EXPIRY - 1 : earliest_us,
                              .expiry_latest_us = operation->expiry_latest_us};
}

static struct key_reply integer_reply(int64_t integer)
{
    return (struct key_reply){.kind = HISTORY_INTEGER, .integer = integer};
}

/* The value, or nil. */
static struct key_reply value_reply(const struct key_state *state)
{
    if (!is_present(state)) {
        return (struct key_reply){.kind = HISTORY_NIL};
    }
    return (struct key_reply){.kind = HISTORY_BYTES, .value = state->value};
}

struct key_operation key_model_operation(const struct key_values *values,
                                         const struct history_operation *operation)
{
    const struct key_bytes bytes = {operation->bytes, operation->size};
    struct key_operation result = {
        .kind = operation->kind,
        .options = operation->options,
        .delta = operation->kind == HISTORY_INCRBY ? operation->delta : 0,
    };
    if (operation->kind == HISTORY_EXPIRE || (operation->options & HISTORY_EXPIRY) != 0) {
        assert(operation->expiry_earliest_us <= operation->expiry_latest_us);
        result.expiry_earliest_us = operation->expiry_earliest_us;
        result.expiry_latest_us = operation->expiry_latest_us;
    }
    if ((operation->options & (HISTORY_GT | HISTORY_LT)) != 0) {
        assert(operation->kind == HISTORY_EXPIRE && operation->outcome != HISTORY_DONE_UNCHECKED);
        result.says_refused = operation->outcome == HISTORY_DONE && operation->reply == HISTORY_INTEGER &&
                              operation->reply_integer == 0;
    }
    if (operation->kind == HISTORY_SET || operation->kind == HISTORY_GETSET ||
        operation->kind == HISTORY_SETNX || operation->kind == HISTORY_APPEND) {
        result.bytes = bytes;
        result.value = key_values_find(values, bytes);
    }
    return result;
}

struct key_reply key_model_received(const struct key_values *values,
                                    const struct history_operation *operation)
{
    assert(operation->outcome == HISTORY_DONE);
    struct key_reply reply = {.kind = operation->reply};
    if (operation->reply == HISTORY_INTEGER) {
        reply.integer = operation->reply_integer;
    } else if (operation->reply == HISTORY_BYTES) {
        reply.value =
            key_values_find(values, (struct key_bytes){operation->reply_bytes, operation->reply_size});
    }
    return reply;
}

/* ---- the operations ---- */

static struct key_state apply_set(const struct key_state *before, const struct key_operation *operation,
                                  struct key_reply *reply)
{
    const bool refused = ((operation->options & HISTORY_NX) != 0 && is_present(before)) ||
                         ((operation->options & HISTORY_XX) != 0 && !is_present(before));
    if ((operation->options & HISTORY_RETURN_OLD) != 0) {
        *reply = value_reply(before);
    } else {
        *reply = (struct key_reply){.kind = refused ? HISTORY_NIL : HISTORY_OK};
    }
    if (refused) {
        return *before;
    }
    if ((operation->options & HISTORY_EXPIRY) != 0) {
        return with_expiry(operation->value, operation);
    }
    struct key_state after = without_expiry(operation->value);
    if ((operation->options & HISTORY_KEEPTTL) != 0 && is_present(before)) {
        after.expiry_earliest_us = before->expiry_earliest_us;
        after.expiry_latest_us = before->expiry_latest_us;
    }
    return after;
}

static struct key_state apply_incrby(const struct key_state *before, const struct key_operation *operation,
                                     struct key_reply *reply)
{
    int64_t number = 0;
    if (is_present(before)) {
        if (before->value.kind != KEY_VALUE_INTEGER) {
            *reply = (struct key_reply){.kind = HISTORY_ERROR};
            return *before;
        }
        number = (int64_t)before->value.number;
    }
    const int64_t delta = operation->delta;
    if (delta > 0 ? number > INT64_MAX - delta : number < INT64_MIN - delta) {
        *reply = (struct key_reply){.kind = HISTORY_ERROR};
        return *before;
    }
    *reply = integer_reply(number + delta);
    struct key_state after = *before;
    after.value = key_values_integer(number + delta);
    return after;
}

static struct key_state apply_append(const struct key_values *values, const struct key_state *before,
                                     const struct key_operation *operation, struct key_reply *reply)
{
    struct key_state after = *before;
    after.value = key_values_append(values, before->value, operation->bytes);
    *reply = integer_reply((int64_t)key_value_size(after.value));
    return after;
}

/* Of GT and LT: what the windows leave open is as the answer says. No expiry is later than any. */
static bool is_refused_by_order(const struct key_state *before, const struct key_operation *operation)
{
    const bool may_be_later = has_expiry(before) && operation->expiry_latest_us >= before->expiry_earliest_us;
    const bool may_be_earlier =
        !has_expiry(before) || operation->expiry_earliest_us <= before->expiry_latest_us;
    if ((operation->options & HISTORY_GT) != 0) {
        return operation->says_refused ? may_be_earlier : !may_be_later;
    }
    if ((operation->options & HISTORY_LT) != 0) {
        return operation->says_refused ? may_be_later : !may_be_earlier;
    }
    return false;
}

static struct key_state apply_expire(const struct key_state *before, const struct key_operation *operation,
                                     struct key_reply *reply)
{
    const bool refused = !is_present(before) ||
                         ((operation->options & HISTORY_NX) != 0 && has_expiry(before)) ||
                         ((operation->options & HISTORY_XX) != 0 && !has_expiry(before)) ||
                         is_refused_by_order(before, operation);
    *reply = integer_reply(refused ? 0 : 1);
    return refused ? *before : with_expiry(before->value, operation);
}

static struct key_state apply_getex(const struct key_state *before, const struct key_operation *operation,
                                    struct key_reply *reply)
{
    *reply = value_reply(before);
    if (!is_present(before)) {
        return *before;
    }
    if ((operation->options & HISTORY_EXPIRY) != 0) {
        return with_expiry(before->value, operation);
    }
    return (operation->options & HISTORY_REMOVE_EXPIRY) != 0 ? without_expiry(before->value) : *before;
}

struct key_state key_model_apply(const struct key_values *values, const struct key_state *before,
                                 const struct key_operation *operation, struct key_reply *reply)
{
    switch (operation->kind) {
    case HISTORY_GET:
        *reply = value_reply(before);
        return *before;
    case HISTORY_SET:
        return apply_set(before, operation, reply);
    case HISTORY_GETSET:
        *reply = value_reply(before);
        return without_expiry(operation->value);
    case HISTORY_GETDEL:
        *reply = value_reply(before);
        return KEY_STATE_ABSENT;
    case HISTORY_SETNX:
        *reply = integer_reply(is_present(before) ? 0 : 1);
        return is_present(before) ? *before : without_expiry(operation->value);
    case HISTORY_DEL:
        *reply = integer_reply(is_present(before) ? 1 : 0);
        return KEY_STATE_ABSENT;
    case HISTORY_EXISTS:
        *reply = integer_reply(is_present(before) ? 1 : 0);
        return *before;
    case HISTORY_INCRBY:
        return apply_incrby(before, operation, reply);
    case HISTORY_APPEND:
        return apply_append(values, before, operation, reply);
    case HISTORY_STRLEN:
        *reply = integer_reply((int64_t)key_value_size(before->value));
        return *before;
    case HISTORY_EXPIRE:
        return apply_expire(before, operation, reply);
    case HISTORY_PERSIST:
        *reply = integer_reply(has_expiry(before) ? 1 : 0);
        return is_present(before) ? without_expiry(before->value) : *before;
    case HISTORY_TTL:
        *reply = integer_reply(!is_present(before) ? -2 : has_expiry(before) ? 0 : -1);
        return *before;
    case HISTORY_GETEX:
        return apply_getex(before, operation, reply);
    }
    abort();
}

bool key_model_reply_matches(const struct key_operation *operation, const struct key_reply *answer,
                             const struct key_reply *received)
{
    if (answer->kind != received->kind) {
        return false;
    }
    switch (answer->kind) {
    case HISTORY_OK:
    case HISTORY_NIL:
    case HISTORY_ERROR:
        return true;
    case HISTORY_INTEGER:
        if (operation->kind == HISTORY_TTL && answer->integer == 0) {
            return received->integer >= 0;
        }
        return answer->integer == received->integer;
    case HISTORY_BYTES:
        return key_value_equal(answer->value, received->value);
    }
    abort();
}

bool key_state_equal(const struct key_state *a, const struct key_state *b)
{
    return key_value_equal(a->value, b->value) && a->expiry_earliest_us == b->expiry_earliest_us &&
           a->expiry_latest_us == b->expiry_latest_us;
}
