/* answer.h: one reply of a server as a tree. Plain data; made by answer_reader.
 *
 * An answer is one of: nothing, a number, text (bytes), or a container with elements. A map's elements are
 * key, value, key, value...; in RESP2 the server sends such a thing as an array, which answer_map_find()
 * reads as well.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum answer_type {
    ANSWER_NIL,
    ANSWER_STATUS,     /* text */
    ANSWER_ERROR,      /* text, code included */
    ANSWER_INTEGER,    /* integer */
    ANSWER_STRING,     /* text */
    ANSWER_VERBATIM,   /* text, without the "txt:" in front */
    ANSWER_DOUBLE,     /* text, as it came: "3.5", "inf", "-inf", "nan" */
    ANSWER_BIG_NUMBER, /* text: a decimal number of any length */
    ANSWER_BOOLEAN,    /* integer, 0 or 1 */
    ANSWER_ARRAY,      /* elements */
    ANSWER_MAP,        /* elements, an even number of them */
    ANSWER_SET,        /* elements */
    ANSWER_PUSH,       /* elements; only at the top, unasked for */
};

struct answer {
    enum answer_type type;
    int64_t integer;
    char *text; /* owned; `size` bytes and a zero byte; NULL for types without text */
    size_t size;
    struct answer *elements; /* owned */
    size_t count;
};

/* Frees what the answer holds, however deep, and leaves an ANSWER_NIL. {0} is a valid answer too. */
void answer_deinit(struct answer *answer);
bool answer_has_text(const struct answer *answer);
/* Whether it is text and equal to the word, whatever the case. */
bool answer_is(const struct answer *answer, const char *word);
/* The value of a key of a map or of an array of pairs; NULL: none, or not such a thing. */
const struct answer *answer_map_find(const struct answer *map, const char *key);

#endif
