/* latency_histogram.h: how many requests took how long, within two per cent, in a fixed amount of memory.
 *
 * Log-linear, as HdrHistogram: up to 127 us each microsecond has a bucket of its own, above that each power
 * of two is cut into 64. Times are microseconds; what is longer than LATENCY_US_MAX counts as that.
 */
#ifndef LATENCY_HISTOGRAM_H
#define LATENCY_HISTOGRAM_H

#include <stdint.h>

enum {
    LATENCY_BITS = 37,
    LATENCY_STEPS = 64, /* buckets per power of two */
    LATENCY_BUCKETS = (LATENCY_BITS - 5) * LATENCY_STEPS,
};
#define LATENCY_US_MAX ((UINT64_C(1) << LATENCY_BITS) - 1)

/* {0} is a valid empty one. */
struct latency_histogram {
    uint64_t counts[LATENCY_BUCKETS];
    uint64_t total;
    uint64_t max_us;
};

void latency_histogram_add(struct latency_histogram *histogram, uint64_t us);
void latency_histogram_merge(struct latency_histogram *histogram, const struct latency_histogram *other);
/* The shortest time that `share` (0 to 1) of all requests did not exceed; 0 when there are none. */
uint64_t latency_histogram_quantile_us(const struct latency_histogram *histogram, double share);
/* The longest time that falls into a bucket. */
uint64_t latency_bucket_us(uint32_t bucket);

#endif
