/* sim_random.h: the numbers that decide everything in a run (splitmix64). The same on every machine: integers
 * only. */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state;
};

static inline uint64_t sim_random_next(struct sim_random *random)
{
    uint64_t z = (random->state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* In [0, limit); 0 when limit is 0. */
static inline uint64_t sim_random_below(struct sim_random *random, uint64_t limit)
{
    uint64_t value = sim_random_next(random);
    return limit == 0 ? 0 : value % limit;
}

/* In [low, high]. */
static inline uint64_t sim_random_between(struct sim_random *random, uint64_t low, uint64_t high)
{
    return low + sim_random_below(random, high - low + 1);
}

static inline bool sim_random_chance(struct sim_random *random, uint64_t per_mille)
{
    return sim_random_below(random, 1000) < per_mille;
}

/* In [low, high], each order of magnitude as likely as the others. */
static inline uint64_t sim_random_scale(struct sim_random *random, uint64_t low, uint64_t high)
{
    uint64_t top = low;
    uint32_t doublings = 0;
    while (top <= high / 2 && top > 0) {
        top *= 2;
        doublings++;
    }
    uint64_t from = low << sim_random_below(random, doublings + 1);
    uint64_t to = from > high / 2 ? high : from * 2;
    return sim_random_between(random, from, to);
}

#endif
