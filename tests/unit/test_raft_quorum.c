/* test_raft_quorum.c: majorities, of one set and of two (thesis 4.3). */
#include "raft_fixture.h"
#include "raft_quorum.h"

static void the_value_that_a_majority_reaches(void **state)
{
    (void)state;
    const struct {
        uint64_t values[5];
        uint32_t count;
        uint64_t expected;
    } cases[] = {
        {{7}, 1, 7},          {{1, 9}, 2, 1},          {{5, 9, 1}, 3, 5},
        {{1, 2, 3, 4}, 4, 2}, {{5, 4, 3, 2, 1}, 5, 3}, {{9, 9, 0, 0, 0}, 5, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t values[32] = {0};
        memcpy(values, cases[i].values, sizeof cases[i].values);
        struct raft_quorum quorum = {.voters = (UINT32_C(1) << cases[i].count) - 1};
        assert_int_equal(raft_quorum_value(&quorum, values), cases[i].expected);
        quorum.voters <<= 27 - cases[i].count; /* wherever the slots are */
        memset(values, 0xff, sizeof values);
        memcpy(values + 27 - cases[i].count, cases[i].values, cases[i].count * sizeof values[0]);
        assert_int_equal(raft_quorum_value(&quorum, values), cases[i].expected);
    }
}

/* Against the definition: try each value, count both sets. */
static void a_joint_majority_is_a_majority_of_both(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        struct raft_quorum quorum;
        uint64_t values[32];
        for (int i = 0; i < 32; i++) {
            random = random * 1664525 + 1013904223;
            values[i] = random >> 28;
        }
        random = random * 1664525 + 1013904223;
        quorum.voters = (random >> 20) & 0x3f;
        quorum.outgoing = (random >> 10) & 0x3f;
        if (quorum.voters == 0)
            continue;
        uint64_t expected = 0;
        for (uint64_t value = 0; value < 16; value++) {
            uint32_t bits = 0;
            uint32_t counts[2] = {0};
            uint32_t have[2] = {0};
            for (uint32_t slot = 0; slot < 6; slot++) {
                bool reaches = values[slot] >= value;
                bits |= reaches ? raft_quorum_bit(slot) : 0;
                counts[0] += (quorum.voters >> slot) & 1;
                counts[1] += (quorum.outgoing >> slot) & 1;
                have[0] += reaches && ((quorum.voters >> slot) & 1);
                have[1] += reaches && ((quorum.outgoing >> slot) & 1);
            }
            bool first = have[0] * 2 > counts[0];
            bool second = have[1] * 2 > counts[1];
            assert_int_equal(raft_quorum_is_reached(&quorum, bits), first && (second || counts[1] == 0));
            assert_int_equal(raft_quorum_is_lost(&quorum, bits), first || second);
            if (first && (second || counts[1] == 0))
                expected = value;
        }
        assert_int_equal(raft_quorum_value(&quorum, values), expected);
    }
}

static void nothing_is_reached_without_voters(void **state)
{
    (void)state;
    struct raft_quorum none = {0};
    assert_false(raft_quorum_is_reached(&none, UINT32_MAX));
    struct raft_quorum odd = {.outgoing = 1};
    assert_false(raft_quorum_is_reached(&odd, UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_value_that_a_majority_reaches),
        cmocka_unit_test(a_joint_majority_is_a_majority_of_both),
        cmocka_unit_test(nothing_is_reached_without_voters),
    };
    return FIXTURE_MAIN(tests);
}
