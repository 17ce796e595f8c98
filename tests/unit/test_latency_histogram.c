/* test_latency_histogram.c: what the benchmark says of latencies is true within two hundredths. */
#include "latency_histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct latency_histogram histogram;

static int empty(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void nothing_has_no_quantile(void **state)
{
    (void)state;
    assert_int_equal(latency_histogram_quantile_us(&histogram, 0.5), 0);
}

static void short_times_are_exact(void **state)
{
    (void)state;
    for (uint64_t us = 1; us <= 100; us++) {
        latency_histogram_add(&histogram, us);
    }
    assert_int_equal(latency_histogram_quantile_us(&histogram, 0), 1);
    assert_int_equal(latency_histogram_quantile_us(&histogram, 0.5), 50);
    assert_int_equal(latency_histogram_quantile_us(&histogram, 0.99), 99);
    assert_int_equal(latency_histogram_quantile_us(&histogram, 1), 100);
}

static void quantiles_are_those_of_the_sorted_times_within_two_hundredths(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static uint64_t times[COUNT];
    uint64_t x = 1;
    for (int i = 0; i < COUNT; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        times[i] = (x >> 33) >> (x >> 60); /* from below 100 us to half an hour */
        latency_histogram_add(&histogram, times[i]);
    }
    qsort(times, COUNT, sizeof times[0], compare);
    const double shares[] = {0.01, 0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        uint64_t exact = times[(size_t)(shares[i] * COUNT) - 1];
        uint64_t told = latency_histogram_quantile_us(&histogram, shares[i]);
        assert_true(told >= exact && told - exact <= exact / 50);
    }
    assert_int_equal(latency_histogram_quantile_us(&histogram, 1), times[COUNT - 1]);
}

static void each_bucket_ends_where_its_longest_time_says(void **state)
{
    (void)state;
    for (uint32_t bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
        uint64_t us = latency_bucket_us(bucket);
        struct latency_histogram one = {0};
        latency_histogram_add(&one, us);
        assert_int_equal(one.counts[bucket], 1);
        if (bucket + 1 < LATENCY_BUCKETS) {
            latency_histogram_add(&one, us + 1);
            assert_int_equal(one.counts[bucket + 1], 1);
        }
    }
    assert_int_equal(latency_bucket_us(LATENCY_BUCKETS - 1), LATENCY_US_MAX);
}

static void what_is_too_long_counts_as_the_longest(void **state)
{
    (void)state;
    latency_histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(histogram.counts[LATENCY_BUCKETS - 1], 1);
    assert_int_equal(histogram.max_us, LATENCY_US_MAX);
}

static void two_together_are_as_one(void **state)
{
    (void)state;
    static struct latency_histogram other;
    memset(&other, 0, sizeof other);
    latency_histogram_add(&histogram, 10);
    latency_histogram_add(&other, 20);
    latency_histogram_add(&other, 30);
    latency_histogram_merge(&histogram, &other);
    assert_int_equal(histogram.total, 3);
    assert_int_equal(histogram.max_us, 30);
    assert_int_equal(latency_histogram_quantile_us(&histogram, 0.5), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_has_no_quantile, empty),
        cmocka_unit_test_setup(short_times_are_exact, empty),
        cmocka_unit_test_setup(quantiles_are_those_of_the_sorted_times_within_two_hundredths, empty),
        cmocka_unit_test_setup(each_bucket_ends_where_its_longest_time_says, empty),
        cmocka_unit_test_setup(what_is_too_long_counts_as_the_longest, empty),
        cmocka_unit_test_setup(two_together_are_as_one, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
