/* own_words.h: what kvcli itself understands beside the server's commands: one table for the command line,
 * help and completion. */
#ifndef OWN_WORDS_H
#define OWN_WORDS_H

#include <stddef.h>

enum own_word_kind {
    OWN_WORD_PROMPT, /* in interactive use only */
    OWN_WORD_HELP,
    OWN_WORD_STATUS,
    OWN_WORD_CHANGE, /* of the members, or of who leads */
    OWN_WORD_BACKUP,
    OWN_WORD_VERIFY,
};

struct own_word {
    const char *name;
    const char *syntax; /* of its arguments; "" */
    const char *summary;
    enum own_word_kind kind;
    int arguments_min, arguments_max;
};

/* Sorted by name. */
extern const struct own_word OWN_WORDS[];
extern const size_t OWN_WORDS_COUNT;

/* In any case; NULL: it is none. */
const struct own_word *own_words_find(const char *name);

#endif
