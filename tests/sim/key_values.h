/* key_values.h: values of one key as a history needs them: two values are told apart only if some answer in
 * the history could tell them apart.
 *
 * A value is kept as what is known of it: a prefix of a value that an answer showed (bytes are not copied),
 * an integer (if the history counts), or neither, then only its size (if the history asks for sizes), for no
 * answer can show it or anything that is appended to it. So values that nobody reads are all alike, which
 * keeps the search of linearizability.c small, and no value costs memory however long it grows. Each value
 * has one form only: equal values have equal structs.
 */
#ifndef KEY_VALUES_H
#define KEY_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_value_kind {
    KEY_VALUE_ABSENT,  /* no value: the key does not exist; number and first are 0 */
    KEY_VALUE_SEEN,    /* the first `number` bytes of seen value `first`, the first in order that begins so */
    KEY_VALUE_INTEGER, /* `number` is an int64_t, in decimal; `first` is 0 */
    KEY_VALUE_OPAQUE,  /* `number` bytes that no answer shows; `first` is 0 */
};

struct key_value {
    enum key_value_kind kind;
    uint32_t first;
    uint64_t number;
};

struct key_bytes {
    const uint8_t *bytes;
    size_t size;
};

struct key_values_options {
    const struct key_bytes *seen; /* every value that an answer shows; the bytes are not copied */
    size_t seen_count;
    bool integers_matter; /* there is an INCRBY */
    bool sizes_matter;    /* there is a STRLEN or an APPEND */
};

struct key_values;

/* Release with key_values_destroy. The bytes of options->seen must live as long. */
struct key_values *key_values_create(const struct key_values_options *options);
void key_values_destroy(struct key_values *values);

struct key_value key_values_find(const struct key_values *values, struct key_bytes bytes);
struct key_value key_values_integer(int64_t number);

/* Whether these bytes can be a part of a value that an answer shows, or of an integer. */
bool key_values_can_show(const struct key_values *values, struct key_bytes bytes);

/* The value (absent counts as empty) with bytes after it. NULL stands for bytes that cannot be shown. */
struct key_value key_values_append(const struct key_values *values, struct key_value value,
                                   struct key_bytes bytes);

/* Bytes in the value; absent: 0. Nothing sensible for a KEY_VALUE_OPAQUE unless sizes matter. */
uint64_t key_value_size(struct key_value value);

/* Whether something could be appended to `value` that makes it `whole`. */
bool key_values_begins(const struct key_values *values, struct key_value whole, struct key_value value);

/* Whether the value, which is not absent, ends in these bytes; false for a KEY_VALUE_OPAQUE. */
bool key_values_ends(const struct key_values *values, struct key_value value, struct key_bytes end);

/* What is left of a value that no answer shows any more. */
struct key_value key_values_opaque(const struct key_values *values, struct key_value value);

/* Whether it is no integer, but can become one. */
bool key_values_is_before_integer(const struct key_values *values, struct key_value value);

/* Whether the first `size` bytes of a value are an integer. */
enum key_beginning {
    KEY_BEGINNING_NONE /* and no longer ones are */,
    KEY_BEGINNING_OTHER,
    KEY_BEGINNING_INTEGER
};
enum key_beginning key_values_integer_beginning(const struct key_values *values, struct key_value value,
                                                size_t size, int64_t *number);

bool key_value_equal(struct key_value a, struct key_value b);

/* Redis' strict form: no sign but a minus before a number, no leading zeros, within int64_t. */
bool key_bytes_parse_integer(struct key_bytes bytes, int64_t *number);

#endif
