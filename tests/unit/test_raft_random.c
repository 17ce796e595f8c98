/* test_raft_random.c: the random sequence of a node. */
#include "raft_fixture.h"
#include "raft_random.h"

static void a_seed_determines_the_sequence(void **state)
{
    (void)state;
    struct raft_random a;
    struct raft_random b;
    struct raft_random c;
    raft_random_init(&a, 1);
    raft_random_init(&b, 1);
    raft_random_init(&c, 2);
    uint32_t same_as_other_seed = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t value = raft_random_next(&a);
        assert_true(value == raft_random_next(&b));
        same_as_other_seed += value == raft_random_next(&c);
    }
    assert_int_equal(same_as_other_seed, 0);
}

static void values_stay_below_the_bound_and_spread(void **state)
{
    (void)state;
    struct raft_random random;
    raft_random_init(&random, 7);
    uint32_t counts[10] = {0};
    for (int i = 0; i < 10000; i++) {
        uint64_t value = raft_random_below(&random, 10);
        assert_in_range(value, 0, 9);
        counts[value]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(counts[i], 800, 1200);
    assert_int_equal(raft_random_below(&random, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_determines_the_sequence),
        cmocka_unit_test(values_stay_below_the_bound_and_spread),
    };
    return FIXTURE_MAIN(tests);
}
