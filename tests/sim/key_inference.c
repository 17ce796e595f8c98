/* key_inference.c: the model read backwards. Where an answer makes no sense for its operation, the widest
 * statement is right: the model itself refuses it.
 */
#include "key_inference.h"

#include <stdlib.h>

enum { EXPIRE_CONDITIONS = HISTORY_NX | HISTORY_XX | HISTORY_GT | HISTORY_LT };

static const struct key_need ANYTHING = {.kind = KEY_NEED_ANYTHING};
static const struct key_need NOTHING = {.kind = KEY_NEED_NOTHING};
static const struct key_need ABSENT = {.kind = KEY_NEED_ABSENT};
static const struct key_need PRESENT = {.kind = KEY_NEED_PRESENT};

static struct key_need need_of_value(const struct key_reply *received)
{
    if (received->kind == HISTORY_BYTES) {
        return (struct key_need){.kind = KEY_NEED_VALUE, .value = received->value};
    }
    return ABSENT;
}

static struct key_need need_of_size(int64_t size)
{
    return size < 0 ? ANYTHING : (struct key_need){.kind = KEY_NEED_SIZE, .size = (uint64_t)size};
}

static struct key_need need_of_set(const struct key_operation *operation, const struct key_reply *received)
{
    const uint32_t conditions = operation->options & (HISTORY_NX | HISTORY_XX);
    if (received != NULL && (operation->options & HISTORY_RETURN_OLD) != 0) {
        return need_of_value(received);
    }
    if (conditions == 0) {
        return (operation->options & HISTORY_KEEPTTL) != 0 ? ANYTHING : NOTHING;
    }
    if (received == NULL) {
        return ANYTHING;
    }
    return (received->kind == HISTORY_OK) == (conditions == HISTORY_NX) ? ABSENT : PRESENT;
}

static struct key_need need_of_incrby(const struct key_operation *operation, const struct key_reply *received)
{
    int64_t before;
    if (received->kind != HISTORY_INTEGER) {
        return PRESENT;
    }
    if (__builtin_sub_overflow(received->integer, operation->delta, &before)) {
        return ANYTHING;
    }
    return (struct key_need){
        .kind = KEY_NEED_VALUE, .value = key_values_integer(before), .or_absent = before == 0};
}

static struct key_need need_if_unknown(const struct key_operation *operation)
{
    switch (operation->kind) {
    case HISTORY_SET:
        return need_of_set(operation, NULL);
    case HISTORY_GETSET:
    case HISTORY_GETDEL:
    case HISTORY_DEL:
        return NOTHING;
    case HISTORY_GET:
    case HISTORY_SETNX:
    case HISTORY_EXISTS:
    case HISTORY_INCRBY:
    case HISTORY_APPEND:
    case HISTORY_STRLEN:
    case HISTORY_EXPIRE:
    case HISTORY_PERSIST:
    case HISTORY_TTL:
    case HISTORY_GETEX:
        return ANYTHING;
    }
    abort();
}

struct key_need key_inference_need(const struct key_operation *operation, const struct key_reply *received)
{
    if (received == NULL) {
        return need_if_unknown(operation);
    }
    const bool is_zero = received->integer == 0;
    switch (operation->kind) {
    case HISTORY_GET:
    case HISTORY_GETSET:
    case HISTORY_GETDEL:
    case HISTORY_GETEX:
        return need_of_value(received);
    case HISTORY_SET:
        return need_of_set(operation, received);
    case HISTORY_SETNX:
        return is_zero ? PRESENT : ABSENT;
    case HISTORY_DEL:
    case HISTORY_EXISTS:
        return is_zero ? ABSENT : PRESENT;
    case HISTORY_INCRBY:
        return need_of_incrby(operation, received);
    case HISTORY_APPEND:
        return need_of_size(received->integer - (int64_t)operation->bytes.size);
    case HISTORY_STRLEN:
        return need_of_size(received->integer);
    case HISTORY_EXPIRE:
        if (is_zero) {
            return (operation->options & EXPIRE_CONDITIONS) == 0 ? ABSENT : ANYTHING;
        }
        return PRESENT;
    case HISTORY_PERSIST:
        return is_zero ? ANYTHING : PRESENT;
    case HISTORY_TTL:
        return received->integer == -2 ? ABSENT : PRESENT;
    }
    abort();
}

bool key_inference_is_observer(const struct key_operation *operation, const struct key_reply *received)
{
    const uint32_t conditions = operation->options & (HISTORY_NX | HISTORY_XX);
    switch (operation->kind) {
    case HISTORY_GET:
    case HISTORY_EXISTS:
    case HISTORY_STRLEN:
    case HISTORY_TTL:
        return true;
    case HISTORY_SET:
        if ((operation->options & HISTORY_RETURN_OLD) != 0) {
            return received->kind == HISTORY_NIL ? conditions == HISTORY_XX : conditions == HISTORY_NX;
        }
        return received->kind == HISTORY_NIL;
    case HISTORY_SETNX:
    case HISTORY_DEL:
    case HISTORY_EXPIRE:
    case HISTORY_PERSIST:
        return received->kind == HISTORY_INTEGER && received->integer == 0;
    case HISTORY_GETDEL:
        return received->kind == HISTORY_NIL;
    case HISTORY_GETEX:
        return received->kind == HISTORY_NIL ||
               (operation->options & (HISTORY_EXPIRY | HISTORY_REMOVE_EXPIRY)) == 0;
    case HISTORY_INCRBY:
        return received->kind == HISTORY_ERROR;
    case HISTORY_GETSET:
    case HISTORY_APPEND:
        return false;
    }
    abort();
}

bool key_inference_is_overwriter(const struct key_operation *operation)
{
    return operation->kind == HISTORY_DEL || operation->kind == HISTORY_GETDEL ||
           operation->kind == HISTORY_GETSET || operation->kind == HISTORY_SETNX ||
           (operation->kind == HISTORY_SET && (operation->options & HISTORY_KEEPTTL) == 0);
}

struct key_product key_inference_product(const struct key_operation *operation,
                                         const struct key_reply *received)
{
    if (received != NULL && key_inference_is_observer(operation, received)) {
        return (struct key_product){.kind = KEY_PRODUCT_NONE};
    }
    switch (operation->kind) {
    case HISTORY_SET:
    case HISTORY_GETSET:
    case HISTORY_SETNX:
        return (struct key_product){.kind = KEY_PRODUCT_VALUE, .value = operation->value};
    case HISTORY_INCRBY:
        if (received == NULL) {
            return (struct key_product){.kind = KEY_PRODUCT_ANY_INTEGER};
        }
        return (struct key_product){.kind = KEY_PRODUCT_VALUE,
                                    .value = key_values_integer(received->integer)};
    case HISTORY_APPEND:
        return (struct key_product){.kind = KEY_PRODUCT_ANY_END,
                                    .size = received == NULL ? 0 : (uint64_t)received->integer};
    case HISTORY_GET:
    case HISTORY_GETDEL:
    case HISTORY_DEL:
    case HISTORY_EXISTS:
    case HISTORY_STRLEN:
    case HISTORY_EXPIRE:
    case HISTORY_PERSIST:
    case HISTORY_TTL:
    case HISTORY_GETEX:
        return (struct key_product){.kind = KEY_PRODUCT_NONE};
    }
    abort();
}
