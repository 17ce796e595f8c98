/* latency_histogram.c: see latency_histogram.h. */
#include "latency_histogram.h"

#include <assert.h>
#include <math.h>

static uint32_t bucket_of(uint64_t us)
{
    if (us < 2 * LATENCY_STEPS) {
        return (uint32_t)us;
    }
    uint32_t power = 63 - (uint32_t)__builtin_clzll(us) - 6; /* us >> power is in [64, 127] */
    return power * LATENCY_STEPS + (uint32_t)(us >> power);
}

uint64_t latency_bucket_us(uint32_t bucket)
{
    assert(bucket < LATENCY_BUCKETS);
    if (bucket < 2 * LATENCY_STEPS) {
        return bucket;
    }
    uint32_t power = bucket / LATENCY_STEPS - 1;
    uint64_t mantissa = bucket - power * LATENCY_STEPS;
    return ((mantissa + 1) << power) - 1;
}

void latency_histogram_add(struct latency_histogram *histogram, uint64_t us)
{
    us = us < LATENCY_US_MAX ? us : LATENCY_US_MAX;
    uint32_t bucket = bucket_of(us);
    assert(bucket < LATENCY_BUCKETS);
    histogram->counts[bucket]++;
    histogram->total++;
    histogram->max_us = us > histogram->max_us ? us : histogram->max_us;
}

void latency_histogram_merge(struct latency_histogram *histogram, const struct latency_histogram *other)
{
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        histogram->counts[i] += other->counts[i];
    }
    histogram->total += other->total;
    histogram->max_us = other->max_us > histogram->max_us ? other->max_us : histogram->max_us;
}

uint64_t latency_histogram_quantile_us(const struct latency_histogram *histogram, double share)
{
    assert(share >= 0 && share <= 1);
    uint64_t wanted = (uint64_t)ceil(share * (double)histogram->total);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen >= wanted && seen > 0) {
            uint64_t us = latency_bucket_us(i);
            return us < histogram->max_us ? us : histogram->max_us;
        }
    }
    return 0;
}
