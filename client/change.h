/* change.h: a change of the members, or of who leads: what is wanted, and how far it is by the leader's RAFT
 * STATUS. Pure.
 */
#ifndef CHANGE_H
#define CHANGE_H

#include "node_status.h"

enum change_kind {
    CHANGE_ADD,
    CHANGE_PROMOTE,
    CHANGE_REMOVE,
    CHANGE_REPLACE,
    CHANGE_ADDRESS,
    CHANGE_TRANSFER,
};

struct change {
    enum change_kind kind;
    uint64_t id;               /* TRANSFER: to whom; 0: to whoever is best suited. REPLACE: who leaves */
    uint64_t new_id;           /* REPLACE */
    struct endpoint address;   /* ADD, REPLACE, ADDRESS */
    bool stays_learner;        /* ADD */
    uint64_t leader_id_before; /* TRANSFER; 0: not known */
};

/* `word` and arguments as in own_words.h, as many as that allows. False: *error says what is wrong. */
bool change_parse(struct change *change, const char *word, const char *const *arguments, int count,
                  char *error, size_t error_bytes) __attribute__((warn_unused_result));

enum change_state {
    CHANGE_NOT_BEGUN, /* nothing of it is to be seen */
    CHANGE_UNDER_WAY,
    CHANGE_DONE,
    CHANGE_PREVENTED, /* something else has come of it */
};

enum { CHANGE_PHASE_BYTES_MAX = 24, CHANGE_TEXT_BYTES_MAX = 360, CHANGE_LAG_ENTRIES_MAX = 100 };

struct change_view {
    enum change_state state;
    char phase[CHANGE_PHASE_BYTES_MAX]; /* a word */
    char text[CHANGE_TEXT_BYTES_MAX];   /* a sentence */
};

/* `status` is that of a leader that is ready: what it shows cannot be taken back but by another change. */
void change_judge(const struct change *change, const struct node_status *status, struct change_view *view);

#endif
