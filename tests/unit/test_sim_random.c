/* test_sim_random.c: the numbers that decide a simulated run: the same everywhere, within their bounds. */
#include "sim_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { DRAWS = 20000 };

/* The published vector of splitmix64 for the seed 1234567. */
static void the_numbers_are_those_of_splitmix64(void **state)
{
    (void)state;
    struct sim_random random = {1234567};
    const uint64_t expected[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                 UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
                                 UINT64_C(16408922859458223821)};
    for (size_t i = 0; i < 5; i++) {
        assert_true(sim_random_next(&random) == expected[i]);
    }
}

static void one_seed_gives_the_same_numbers_again_and_another_seed_others(void **state)
{
    (void)state;
    struct sim_random a = {9};
    struct sim_random b = {9};
    struct sim_random other = {10};
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        uint64_t number = sim_random_next(&a);
        assert_true(number == sim_random_next(&b));
        differs = differs || number != sim_random_next(&other);
    }
    assert_true(differs);
}

static void below_stays_below_its_limit_and_is_0_without_one(void **state)
{
    (void)state;
    struct sim_random random = {1};
    bool seen[3] = {false};
    for (int i = 0; i < DRAWS; i++) {
        uint64_t number = sim_random_below(&random, 3);
        assert_true(number < 3);
        seen[number] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2]);
    assert_int_equal(sim_random_below(&random, 0), 0);
}

static void between_reaches_both_ends_and_nothing_beyond(void **state)
{
    (void)state;
    struct sim_random random = {2};
    bool low = false;
    bool high = false;
    for (int i = 0; i < DRAWS; i++) {
        uint64_t number = sim_random_between(&random, 5, 9);
        assert_true(number >= 5 && number <= 9);
        low = low || number == 5;
        high = high || number == 9;
    }
    assert_true(low && high);
    assert_int_equal(sim_random_between(&random, 4, 4), 4);
}

static void a_chance_comes_about_as_often_as_it_says(void **state)
{
    (void)state;
    struct sim_random random = {3};
    int often = 0;
    for (int i = 0; i < DRAWS; i++) {
        often += sim_random_chance(&random, 250) ? 1 : 0;
        assert_false(sim_random_chance(&random, 0));
        assert_true(sim_random_chance(&random, 1000));
    }
    assert_in_range(often, DRAWS / 5, DRAWS * 3 / 10);
}

static void a_scale_stays_in_its_range_and_reaches_every_magnitude(void **state)
{
    (void)state;
    struct sim_random random = {4};
    int small = 0;
    int large = 0;
    for (int i = 0; i < DRAWS; i++) {
        uint64_t number = sim_random_scale(&random, 10, 80000);
        assert_true(number >= 10 && number <= 80000);
        small += number < 100 ? 1 : 0;
        large += number > 8000 ? 1 : 0;
        assert_int_equal(sim_random_scale(&random, 1, 1), 1);
        assert_in_range(sim_random_scale(&random, 1, 7), 1, 7);
    }
    assert_true(small > DRAWS / 8 && large > DRAWS / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_numbers_are_those_of_splitmix64),
        cmocka_unit_test(one_seed_gives_the_same_numbers_again_and_another_seed_others),
        cmocka_unit_test(below_stays_below_its_limit_and_is_0_without_one),
        cmocka_unit_test(between_reaches_both_ends_and_nothing_beyond),
        cmocka_unit_test(a_chance_comes_about_as_often_as_it_says),
        cmocka_unit_test(a_scale_stays_in_its_range_and_reaches_every_magnitude),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
