/* key_model.h: what an operation does to one key that holds a string, as Redis documents it. It is a second
 * opinion: it shares no code with the commands of kvd.
 *
 * Time is not here: a state with an expiry is taken as still alive. Whoever calls decides when it has gone,
 * and then hands in KEY_STATE_ABSENT.
 */
#ifndef KEY_MODEL_H
#define KEY_MODEL_H

#include "history_operation.h"
#include "key_values.h"

#include <stdbool.h>

struct key_state {
    struct key_value value;
    uint64_t expiry_earliest_us, expiry_latest_us; /* both UINT64_MAX, KEY_NO_EXPIRY: none */
};

#define KEY_NO_EXPIRY UINT64_MAX
#define KEY_STATE_ABSENT                                                                                     \
    ((struct key_state){.expiry_earliest_us = KEY_NO_EXPIRY, .expiry_latest_us = KEY_NO_EXPIRY})

/* What a client got, or would get: integer or value is set where the kind says so. */
struct key_reply {
    enum history_reply kind;
    int64_t integer;
    struct key_value value;
};

/* An operation in the terms of the model. Borrows the bytes. */
struct key_operation {
    enum history_kind kind;
    uint32_t options;
    struct key_bytes bytes;
    struct key_value value; /* of SET, GETSET, SETNX */
    int64_t delta;
    uint64_t expiry_earliest_us, expiry_latest_us;
    bool says_refused; /* EXPIRE GT or LT: its answer; unknown: not, for a refused one is as one never done */
};

struct key_operation key_model_operation(const struct key_values *values,
                                         const struct history_operation *operation);

/* The reply that the operation received (outcome HISTORY_DONE). */
struct key_reply key_model_received(const struct key_values *values,
                                    const struct history_operation *operation);

/* Returns the state after the operation, and what it answers. */
struct key_state key_model_apply(const struct key_values *values, const struct key_state *before,
                                 const struct key_operation *operation, struct key_reply *reply);

/* Whether what was received is what the model answers. Of TTL only the sign is compared. */
bool key_model_reply_matches(const struct key_operation *operation, const struct key_reply *answer,
                             const struct key_reply *received);

bool key_state_equal(const struct key_state *a, const struct key_state *b);

#endif
