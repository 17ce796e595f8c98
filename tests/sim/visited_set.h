/* visited_set.h: the memo of a search: nodes that were visited, by the fingerprint of what they have in
 * common and by what they have spent: bits, and a time. A node that was visited covers every node of the
 * same fingerprint that has spent all the same bits, or more, and is not earlier.
 *
 * Two different fingerprints are taken for one with a probability of about n * n / 2^129.
 */
#ifndef VISITED_SET_H
#define VISITED_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fingerprint {
    uint64_t low, high;
};

struct visited_node;

struct visited_set {
    size_t words_count;         /* of the spent bits */
    struct visited_node *nodes; /* place 0 is not used */
    uint64_t *words;            /* words_count for each node */
    size_t nodes_count, nodes_max;
    uint32_t *places;    /* the first node of each fingerprint; 0: none */
    size_t places_count; /* a power of two; over half are free */
    size_t places_used;
};

void visited_set_init(struct visited_set *set, size_t words_count);
void visited_set_deinit(struct visited_set *set);

/* False if a node that was added before covers it. */
bool visited_set_add(struct visited_set *set, struct fingerprint fingerprint, uint64_t time_us,
                     const uint64_t *words);

/* A fingerprint of a number, as if drawn at random. */
struct fingerprint fingerprint_of(uint64_t number);

/* Order does not matter; adding twice takes away. */
struct fingerprint fingerprint_xor(struct fingerprint a, struct fingerprint b);

/* Order matters. */
struct fingerprint fingerprint_mix(struct fingerprint a, uint64_t number);

#endif
