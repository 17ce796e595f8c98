/* sim_workload.h: what clients ask: commands of all kinds on a few keys, as the knobs say; and what an answer
 * means for each key.
 *
 * Kinds of keys: c<n> counters, which are only counted up and down; k<n> values; a<n> values that grow
 * (APPEND); e<n> values that expire; m<n>, three keys that are only written and read together, all of them
 * with one value, so that nobody may ever see two of them differ. They are apart, and there are not too many
 * commands on one key, so that the histories can be decided.
 */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "answer.h"
#include "byte_buffer.h"
#include "sim_record.h"

enum { SIM_COMMAND_KEYS_MAX = 100, SIM_COMMAND_TEXT_BYTES = 120 };

/* How an answer is split over the operations of a command. */
enum sim_answer_form {
    SIM_ANSWER_WHOLE,   /* it is the one operation's */
    SIM_ANSWER_EACH,    /* an array with one answer for each operation (MGET) */
    SIM_ANSWER_ALL,     /* OK: all of them are done (MSET) */
    SIM_ANSWER_COUNT,   /* a number that says nothing of the single key (DEL, EXISTS with several) */
    SIM_ANSWER_IF_ONE,  /* 1: each is done with the answer 1; 0: none is (MSETNX) */
    SIM_ANSWER_TYPE,    /* "string" or "none": whether it exists */
    SIM_ANSWER_IGNORED, /* there are no operations */
};

struct sim_command {
    enum sim_answer_form form;
    bool is_write;
    bool grows;         /* may be refused for want of room */
    bool is_group;      /* of all keys that are only written together: what it shows of them is the same */
    uint64_t committed; /* entries that some node took for committed when it was sent */
    uint32_t operations_count;
    size_t operations[SIM_COMMAND_KEYS_MAX];
    char text[SIM_COMMAND_TEXT_BYTES]; /* for the trace */
};

/* Makes up a command, records what it asks, and appends its bytes. reads_only: of a client that sent
 * READONLY. */
void sim_workload_make(struct sim *sim, uint64_t client, uint64_t connection, bool reads_only,
                       struct sim_command *command, struct byte_buffer *out);
/* INCR of a counter. */
void sim_workload_make_increment(struct sim *sim, uint64_t client, uint64_t connection, uint32_t key,
                                 struct sim_command *command, struct byte_buffer *out);
/* DEL of a key, and of those that are only written together with it. */
void sim_workload_make_del(struct sim *sim, uint64_t client, uint64_t connection, uint32_t key,
                           struct sim_command *command, struct byte_buffer *out);
/* GET of a key. */
void sim_workload_make_get(struct sim *sim, uint64_t client, uint64_t connection, uint32_t key,
                           struct sim_command *command, struct byte_buffer *out);

/* Registers all keys: a FLUSHALL is about those too that are not there yet. */
void sim_workload_create(struct sim *sim);

enum sim_told {
    SIM_TOLD_DONE,
    SIM_TOLD_MOVED,   /* certainly not executed; the answer says where to go */
    SIM_TOLD_DOWN,    /* certainly not executed */
    SIM_TOLD_FULL,    /* certainly not executed: there is no room */
    SIM_TOLD_UNKNOWN, /* may have been executed */
};

/* Records what the answer says. */
enum sim_told sim_workload_answer(struct sim *sim, const struct sim_command *command,
                                  const struct answer *answer);
/* There will be no answer. */
void sim_workload_lost(struct sim *sim, const struct sim_command *command);

#endif
