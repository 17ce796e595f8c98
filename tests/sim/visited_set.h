/* visited_set.h: a growing set of 128-bit fingerprints, the memo of a search. Two different nodes of a search
 * are taken for one with a probability of about n * n / 2^129.
 */
#ifndef VISITED_SET_H
#define VISITED_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fingerprint {
    uint64_t low, high;
};

struct visited_set {
    struct fingerprint *places; /* a free one is all zero */
    size_t places_count;        /* a power of two; over half are free */
    size_t count;
};

void visited_set_init(struct visited_set *set);
void visited_set_deinit(struct visited_set *set);

/* False if it was there already. */
bool visited_set_add(struct visited_set *set, struct fingerprint fingerprint);

/* A fingerprint of a number, as if drawn at random. */
struct fingerprint fingerprint_of(uint64_t number);

/* Order does not matter; adding twice takes away. */
struct fingerprint fingerprint_xor(struct fingerprint a, struct fingerprint b);

/* Order matters. */
struct fingerprint fingerprint_mix(struct fingerprint a, uint64_t number);

#endif
