/* test_load_keys.c: the benchmark asks for keys as it says it does. */
#include "load_keys.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 1000, DRAWS = 400000 };
static uint64_t counts[KEYS + 1];

static void draw(enum load_distribution distribution, double exponent)
{
    struct load_keys keys;
    struct load_random random;
    memset(counts, 0, sizeof counts);
    load_random_init(&random, 1);
    load_keys_init(&keys, distribution, KEYS, exponent);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t key = load_keys_next(&keys, &random);
        assert_true(key < KEYS);
        counts[key]++;
    }
}

static void uniform_keys_are_asked_for_equally_often(void **state)
{
    (void)state;
    draw(LOAD_UNIFORM, 0.99);
    for (int key = 0; key < KEYS; key++) {
        assert_true(fabs((double)counts[key] - DRAWS / KEYS) < 6 * sqrt(DRAWS / KEYS));
    }
}

static void sequential_keys_come_one_after_the_other(void **state)
{
    (void)state;
    draw(LOAD_SEQUENTIAL, 0.99);
    for (int key = 0; key < KEYS; key++) {
        assert_int_equal(counts[key], DRAWS / KEYS);
    }
}

/* Each rank's share is 1 / rank^exponent over the sum of all. */
static void zipfian_ranks_come_as_often_as_the_law_says(void **state)
{
    (void)state;
    const double exponents[] = {0.5, 0.99, 1.5};
    for (size_t e = 0; e < sizeof exponents / sizeof exponents[0]; e++) {
        struct load_keys keys;
        struct load_random random;
        double sum = 0;
        memset(counts, 0, sizeof counts);
        load_random_init(&random, 7);
        load_keys_init(&keys, LOAD_ZIPFIAN, KEYS, exponents[e]);
        for (int i = 0; i < DRAWS; i++) {
            uint64_t rank = load_keys_zipfian_rank(&keys, &random);
            assert_true(rank >= 1 && rank <= KEYS);
            counts[rank]++;
        }
        for (int rank = 1; rank <= KEYS; rank++) {
            sum += pow(rank, -exponents[e]);
        }
        for (int rank = 1; rank <= KEYS; rank++) {
            double expected = DRAWS * pow(rank, -exponents[e]) / sum;
            assert_true(fabs((double)counts[rank] - expected) < 6 * sqrt(expected) + 1);
        }
    }
}

static void popular_keys_lie_scattered_and_each_rank_has_a_key_of_its_own(void **state)
{
    (void)state;
    int asked_for = 0;
    int popular_at_the_front = 0;
    draw(LOAD_ZIPFIAN, 0.5);
    for (int key = 0; key < KEYS; key++) {
        asked_for += counts[key] > 0;
        popular_at_the_front += key < KEYS / 10 && counts[key] > 3 * DRAWS / KEYS;
    }
    assert_int_equal(asked_for, KEYS);
    assert_true(popular_at_the_front < 10);
}

static void one_key_is_a_space_too(void **state)
{
    (void)state;
    struct load_keys keys;
    struct load_random random;
    load_random_init(&random, 0);
    load_keys_init(&keys, LOAD_ZIPFIAN, 1, 0.99);
    assert_int_equal(load_keys_next(&keys, &random), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_keys_are_asked_for_equally_often),
        cmocka_unit_test(sequential_keys_come_one_after_the_other),
        cmocka_unit_test(zipfian_ranks_come_as_often_as_the_law_says),
        cmocka_unit_test(popular_keys_lie_scattered_and_each_rank_has_a_key_of_its_own),
        cmocka_unit_test(one_key_is_a_space_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
