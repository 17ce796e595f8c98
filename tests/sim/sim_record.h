/* sim_record.h: what clients asked and what they were told, for the checker of histories.
 *
 * An operation on one key is recorded when it is sent. Then one of: answered (with its reply, or with one
 * that says nothing of this key), of unknown outcome (no answer, -UNKNOWN), or forgotten: it certainly had no
 * effect (-MOVED, -CLUSTERDOWN, a read without an answer).
 *
 * Expiry is decided by log time. A time to live that begins at an unknown moment is kept as a window of log
 * time, and translated at the end: simulated time at which any node first applied an entry of that log time.
 */
#ifndef SIM_RECORD_H
#define SIM_RECORD_H

#include "history_operation.h"
#include "sim.h"

enum { SIM_KEY_BYTES_MAX = 24 };

enum sim_expiry {
    SIM_EXPIRY_NONE,
    SIM_EXPIRY_IN,   /* `expiry_ms` from when it is applied */
    SIM_EXPIRY_AT,   /* at this log time */
    SIM_EXPIRY_PAST, /* at once: the time is over */
};

/* What is asked; bytes are copied. */
struct sim_asked {
    uint32_t key;
    enum history_kind kind;
    uint32_t options;
    const uint8_t *bytes;
    size_t size;
    int64_t delta;
    enum sim_expiry expiry;
    uint64_t expiry_ms;
};

void sim_record_create(struct sim *sim);
void sim_record_destroy(struct sim *sim);

/* The number of a key, by its name. */
uint32_t sim_record_key(struct sim *sim, const char *name);
const char *sim_record_key_name(const struct sim *sim, uint32_t key);
uint32_t sim_record_keys_count(const struct sim *sim);

/* There are so many operations that checking more would take long. */
bool sim_record_is_full(const struct sim *sim);

/* Returns the number of the operation. */
size_t sim_record_ask(struct sim *sim, uint64_t client, uint64_t connection, const struct sim_asked *asked);
void sim_record_answer(struct sim *sim, size_t operation, enum history_reply reply, int64_t integer,
                       const uint8_t *bytes, size_t size);
void sim_record_answer_unchecked(struct sim *sim, size_t operation);
void sim_record_unknown(struct sim *sim, size_t operation);
void sim_record_forget(struct sim *sim, size_t operation);

/* A node applied an entry of this log time. */
void sim_record_log_time(struct sim *sim, uint64_t log_time_ms);

/* Fails the run if a history is not linearizable, or an acknowledged increment was lost. `canary`: alters one
 * answer first. */
void sim_record_check(struct sim *sim, bool canary);

#endif
