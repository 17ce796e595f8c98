/* load_keys.h: which key a request of the load asks for.
 *
 * Uniform; Zipfian: the k-th most popular key is asked for in proportion to 1 / k^exponent, and the popular
 * ones lie scattered among all, as in YCSB's scrambled Zipfian; or one after the other. The same seed gives
 * the same sequence.
 */
#ifndef LOAD_KEYS_H
#define LOAD_KEYS_H

#include <stdint.h>

enum load_distribution { LOAD_UNIFORM, LOAD_ZIPFIAN, LOAD_SEQUENTIAL };

/* xorshift64*: fast and good enough; never for secrets. */
struct load_random {
    uint64_t state; /* not 0 */
};
void load_random_init(struct load_random *random, uint64_t seed);
uint64_t load_random_next(struct load_random *random);
/* In (0, 1). */
double load_random_unit(struct load_random *random);

struct load_keys {
    enum load_distribution distribution;
    uint64_t count;
    uint64_t next; /* sequential */
    double exponent;
    double integral_first;
    double integral_last;
    double shortcut;
};

/* 1 <= count <= 2^32; 0 < exponent, not 1 (Zipfian only). */
void load_keys_init(struct load_keys *keys, enum load_distribution distribution, uint64_t count,
                    double exponent);
/* In [0, count). */
uint64_t load_keys_next(struct load_keys *keys, struct load_random *random);
/* The popularity rank, from 1, instead of the key. */
uint64_t load_keys_zipfian_rank(const struct load_keys *keys, struct load_random *random);

#endif
