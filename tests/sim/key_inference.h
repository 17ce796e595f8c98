/* key_inference.h: what an answer says about the state before and after the operation: key_model.h read
 * backwards. It only narrows a search; what is right is key_model.h's to say.
 */
#ifndef KEY_INFERENCE_H
#define KEY_INFERENCE_H

#include "key_model.h"

/* What the state before the operation must have been for an answer to be right. It is necessary, not always
 * sufficient. */
enum key_need_kind {
    KEY_NEED_NOTHING,  /* any state gives this answer and the same state after it */
    KEY_NEED_ANYTHING, /* nothing is required, but the state before shows in the state after */
    KEY_NEED_ABSENT,
    KEY_NEED_PRESENT,
    KEY_NEED_VALUE, /* `value` */
    KEY_NEED_SIZE,  /* of `size` bytes, or absent if that is 0 */
};

struct key_need {
    enum key_need_kind kind;
    bool or_absent; /* KEY_NEED_VALUE */
    struct key_value value;
    uint64_t size;
};

/* received: NULL if the answer is not known. */
struct key_need key_inference_need(const struct key_operation *operation, const struct key_reply *received);

/* True if an operation with this answer leaves every state in which the answer is right as it was. */
bool key_inference_is_observer(const struct key_operation *operation, const struct key_reply *received);

/* True if the state after it, where it is not refused, does not depend on the state before. */
bool key_inference_is_overwriter(const struct key_operation *operation);

/* Which values can be there after the operation that need not have been there before. */
enum key_product_kind {
    KEY_PRODUCT_NONE,
    KEY_PRODUCT_VALUE,       /* `value` only */
    KEY_PRODUCT_ANY_INTEGER, /* some integer */
    KEY_PRODUCT_ANY_END, /* some value that ends in the operation's bytes; of `size` bytes unless that is 0 */
};

struct key_product {
    enum key_product_kind kind;
    struct key_value value;
    uint64_t size;
};

/* received: NULL if the answer is not known. */
struct key_product key_inference_product(const struct key_operation *operation,
                                         const struct key_reply *received);

#endif
