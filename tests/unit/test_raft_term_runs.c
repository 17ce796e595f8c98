/* test_raft_term_runs.c: the terms of a log as runs, compared with a plain array. */
#include "raft_fixture.h"
#include "raft_random.h"
#include "raft_term_runs.h"

/* Indices 1 to 9 in terms 1 1 1 3 3 4 7 7 7. */
static const uint64_t terms[] = {0, 1, 1, 1, 3, 3, 4, 7, 7, 7};

static struct raft_term_runs create_runs(void)
{
    struct raft_term_runs runs = {0};
    for (uint64_t index = 1; index <= 9; index++)
        raft_term_runs_append(&runs, index, terms[index]);
    return runs;
}

static void every_index_finds_its_term(void **state)
{
    (void)state;
    struct raft_term_runs runs = create_runs();
    assert_int_equal(runs.count, 4);
    for (uint64_t index = 1; index <= 9; index++)
        assert_int_equal(raft_term_runs_term(&runs, index), terms[index]);
    raft_term_runs_deinit(&runs);
}

static void the_last_index_with_a_low_enough_term_is_found(void **state)
{
    (void)state;
    struct raft_term_runs runs = create_runs();
    for (uint64_t index = 1; index <= 9; index++) {
        for (uint64_t term = 0; term <= 8; term++) {
            uint64_t expected = index;
            while (expected > 0 && terms[expected] > term)
                expected--;
            assert_int_equal(raft_term_runs_last_at_most(&runs, index, term), expected);
        }
    }
    raft_term_runs_deinit(&runs);
}

static void truncation_and_compaction_agree_with_a_plain_array(void **state)
{
    (void)state;
    struct raft_random random;
    raft_random_init(&random, 3);
    enum { COUNT = 300 };
    static uint64_t plain[COUNT + 1];
    for (int round = 0; round < 200; round++) {
        struct raft_term_runs runs = {0};
        uint64_t last = 0;
        uint64_t base = 0;
        uint64_t term = 1;
        for (int step = 0; step < 200; step++) {
            switch (raft_random_below(&random, 8)) {
            case 0:
                if (last > base) {
                    uint64_t first = base + 1 + raft_random_below(&random, last - base);
                    raft_term_runs_truncate(&runs, first);
                    last = first - 1;
                    term++;
                }
                break;
            case 1:
                if (last > base) {
                    base += raft_random_below(&random, last - base + 1);
                    raft_term_runs_compact(&runs, base, last);
                }
                break;
            case 2:
                term++;
                break;
            default:
                if (last < COUNT) {
                    plain[++last] = term;
                    raft_term_runs_append(&runs, last, term);
                }
                break;
            }
            assert_int_equal(runs.count == 0, last == base);
            for (uint64_t index = base + 1; index <= last; index++)
                assert_int_equal(raft_term_runs_term(&runs, index), plain[index]);
        }
        raft_term_runs_deinit(&runs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_finds_its_term),
        cmocka_unit_test(the_last_index_with_a_low_enough_term_is_found),
        cmocka_unit_test(truncation_and_compaction_agree_with_a_plain_array),
    };
    return FIXTURE_MAIN(tests);
}
