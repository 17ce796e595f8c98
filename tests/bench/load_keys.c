/* load_keys.c: see load_keys.h.
 *
 * Zipfian ranks come from rejection-inversion (Hoermann and Derflinger, "Rejection-inversion to generate
 * variates from monotone discrete distributions", ACM TOMACS 6(3), 1996): no table, about one try per rank.
 */
#include "load_keys.h"

#include <assert.h>
#include <math.h>

/* A prime above every count: multiplying by it modulo the count moves each rank to a key of its own. */
#define SCATTER UINT64_C(4294967311)

void load_random_init(struct load_random *random, uint64_t seed)
{
    random->state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    if (random->state == 0) {
        random->state = 1;
    }
    for (int i = 0; i < 8; i++) {
        load_random_next(random);
    }
}

uint64_t load_random_next(struct load_random *random)
{
    uint64_t x = random->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random->state = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

double load_random_unit(struct load_random *random)
{
    return ((double)(load_random_next(random) >> 12) + 0.5) / (double)(UINT64_C(1) << 52);
}

/* The density 1 / x^exponent, its integral from 1, and the inverse of that. */
static double density(const struct load_keys *keys, double x)
{
    return exp(-keys->exponent * log(x));
}

static double integral(const struct load_keys *keys, double x)
{
    double power = 1 - keys->exponent;
    return expm1(power * log(x)) / power;
}

static double inverse(const struct load_keys *keys, double y)
{
    double power = 1 - keys->exponent;
    return exp(log1p(y * power) / power);
}

void load_keys_init(struct load_keys *keys, enum load_distribution distribution, uint64_t count,
                    double exponent)
{
    assert(count >= 1 && count <= UINT64_C(1) << 32);
    *keys = (struct load_keys){.distribution = distribution, .count = count, .exponent = exponent};
    if (distribution == LOAD_ZIPFIAN) {
        assert(exponent > 0 && exponent != 1.0);
        keys->integral_first = integral(keys, 1.5) - 1;
        keys->integral_last = integral(keys, (double)count + 0.5);
        keys->shortcut = 2 - inverse(keys, integral(keys, 2.5) - density(keys, 2));
    }
}

uint64_t load_keys_zipfian_rank(const struct load_keys *keys, struct load_random *random)
{
    for (;;) {
        double y =
            keys->integral_last + load_random_unit(random) * (keys->integral_first - keys->integral_last);
        double x = inverse(keys, y);
        double rank = fmin(fmax(floor(x + 0.5), 1), (double)keys->count);
        if (rank - x <= keys->shortcut || y >= integral(keys, rank + 0.5) - density(keys, rank)) {
            return (uint64_t)rank;
        }
    }
}

uint64_t load_keys_next(struct load_keys *keys, struct load_random *random)
{
    switch (keys->distribution) {
    case LOAD_UNIFORM:
        return load_random_next(random) % keys->count;
    case LOAD_ZIPFIAN:
        return (uint64_t)((unsigned __int128)load_keys_zipfian_rank(keys, random) * SCATTER % keys->count);
    case LOAD_SEQUENTIAL:
        return keys->next++ % keys->count;
    }
    assert(0);
    return 0;
}
