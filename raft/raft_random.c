/* raft_random.c: see raft_random.h. */
#include "raft_random.h"

#include "raft_assert.h"

void raft_random_init(struct raft_random *random, uint64_t seed)
{
    random->state = seed;
}

uint64_t raft_random_next(struct raft_random *random)
{
    random->state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = random->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint64_t raft_random_below(struct raft_random *random, uint64_t bound)
{
    raft_assert(bound > 0);
    /* The bias of the remainder is below 2^-32 for bounds that are milliseconds. */
    return raft_random_next(random) % bound;
}
