/* raft_random.h: the one random sequence of a node (splitmix64), fully determined by its seed.
 *
 * What it is for: election timeouts and delays. What it is not: fit for secrets.
 */
#ifndef RAFT_RANDOM_H
#define RAFT_RANDOM_H

#include <stdint.h>

struct raft_random {
    uint64_t state;
};

void raft_random_init(struct raft_random *random, uint64_t seed);
uint64_t raft_random_next(struct raft_random *random);
/* In [0, bound); `bound` is at least 1. */
uint64_t raft_random_below(struct raft_random *random, uint64_t bound);

#endif
