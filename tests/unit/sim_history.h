/* sim_history.h: histories for the tests of tests/sim's checker: written by hand, drawn at random, and
 * replayed on a plain model that knows only how to execute.
 */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "linearizability.h"

#include <stdbool.h>

/* ---- a plain model: one key, its bytes, its expiry window ---- */

enum { PLAIN_BYTES_MAX = 96 };

struct plain_key {
    bool present, has_expiry;
    uint8_t bytes[PLAIN_BYTES_MAX];
    size_t size;
    uint64_t expiry_earliest_us, expiry_latest_us;
};

struct plain_reply {
    enum history_reply kind;
    int64_t integer;
    uint8_t bytes[PLAIN_BYTES_MAX];
    size_t size;
};

void plain_key_apply(struct plain_key *key, const struct history_operation *operation,
                     struct plain_reply *reply);
bool plain_reply_matches(const struct history_operation *operation, const struct plain_reply *reply);

/* ---- histories ---- */

struct sim_history {
    struct history_operation *operations;
    size_t count, capacity;
    uint8_t **owned; /* the bytes of values */
    size_t owned_count, owned_capacity;
};

void sim_history_init(struct sim_history *history);
void sim_history_deinit(struct sim_history *history);

/* Copies the operation and its bytes; returns it, valid until the next call. */
struct history_operation *sim_history_add(struct sim_history *history,
                                          const struct history_operation *operation);

/* A copy of bytes that lives as long as the history. */
const uint8_t *sim_history_keep(struct sim_history *history, const void *bytes, size_t size);

/* Puts a plain reply into an operation as what was received. */
void sim_history_answer(struct sim_history *history, struct history_operation *operation,
                        const struct plain_reply *reply);

/* Aborts with a message unless the order explains the history: each operation but those of unknown outcome,
 * once, real time, connections, and every answer. */
void sim_history_assert_order(const struct sim_history *history, const size_t *order, size_t order_count);

/* The checker's verdict; an order that it found is asserted. */
enum linearizability_verdict sim_history_verdict(const struct sim_history *history);

/* That of the breadth-first search alone: short histories are decided depth first. */
enum linearizability_verdict sim_history_breadth_verdict(const struct sim_history *history);

/* Tries every order there is. */
bool sim_history_brute_force(const struct sim_history *history);

/* ---- drawn at random ---- */

struct sim_history_options {
    uint64_t seed;
    size_t count;
    size_t clients_count;
    uint64_t slot_us;      /* between two operations that take effect */
    uint64_t half_span_us; /* how long before and after it an operation is called and answered, at most */
    unsigned unknown_percent;
    unsigned unknown_late_slots; /* an unknown operation may take effect so many slots late */
    unsigned read_percent;
    bool with_counters, with_appends, with_expiry, with_conditions;
    bool small_values;  /* few values, that come again and again; otherwise each is unique */
    bool mostly_expiry; /* writes that set or take away an expiry, and it comes soon */
};

/* The history of a correct server. */
void sim_history_draw(struct sim_history *history, const struct sim_history_options *options);

#endif
