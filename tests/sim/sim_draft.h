/* sim_draft.h: a command that is being put together: its words as they are sent and as the trace shows them,
 * and what it asks. For sim_workload alone.
 */
#ifndef SIM_DRAFT_H
#define SIM_DRAFT_H

#include "sim_workload.h"

enum {
    SIM_DRAFT_WORDS_MAX = 16,
    SIM_DRAFT_WORD_BYTES = 32,
    SIM_DRAFT_VALUE_BYTES_MAX = 8192,
    SIM_DRAFT_LONG_KEY_BYTES = 510, /* the longest that there is */
};

struct sim_draft {
    struct sim *sim;
    uint64_t client, connection;
    struct sim_command *command;
    struct byte_buffer *out;
    const char *words[SIM_DRAFT_WORDS_MAX];
    size_t sizes[SIM_DRAFT_WORDS_MAX];
    const char *shown[SIM_DRAFT_WORDS_MAX]; /* in the trace, for the word itself */
    uint32_t count;
    char long_key[SIM_DRAFT_LONG_KEY_BYTES];
    char memory[SIM_DRAFT_WORDS_MAX][SIM_DRAFT_WORD_BYTES];
    char value[SIM_DRAFT_VALUE_BYTES_MAX];
    size_t value_bytes;
};

void sim_draft_begin(struct sim_draft *draft, struct sim *sim, uint64_t client, uint64_t connection,
                     struct sim_command *command, struct byte_buffer *out);

/* Words are borrowed until the draft is sent; numbers are not. */
void sim_draft_add(struct sim_draft *draft, const char *word);
void sim_draft_add_bytes(struct sim_draft *draft, const char *bytes, size_t size);
void sim_draft_add_number(struct sim_draft *draft, int64_t number);
/* With odd keys, k0 is the empty key, k1, a1 and e1 hold bytes of all kinds, and a0 is as long as a key can
 * be. */
void sim_draft_add_key(struct sim_draft *draft, uint32_t key);
/* A value that nobody else writes, in draft->value. */
void sim_draft_draw_value(struct sim_draft *draft);

void sim_draft_send(struct sim_draft *draft);

#endif
