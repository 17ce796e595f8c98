/* test_raft_persists.c: numbered writes and what their completion says. */
#include "raft_fixture.h"
#include "raft_persists.h"

static void writes_are_numbered_and_completed_in_order(void **state)
{
    (void)state;
    struct raft_persists persists = {0};
    struct raft_entry_id last = {0};
    assert_int_equal(raft_persists_issue(&persists, 1, fixture_id(1, 3), 10), 1);
    assert_int_equal(raft_persists_issue(&persists, 4, fixture_id(1, 5), 20), 2);
    assert_int_equal(raft_persists_issue(&persists, 6, fixture_id(1, 6), 30), 3);
    assert_int_equal(raft_persists_oldest_ms(&persists), 10);
    assert_true(raft_persists_complete(&persists, 2, &last)); /* one completion covers both */
    assert_int_equal(last.index, 5);
    assert_int_equal(persists.done_sequence, 2);
    assert_int_equal(raft_persists_oldest_ms(&persists), 30);
    assert_false(raft_persists_complete(&persists, 1, &last)); /* an old one says nothing */
    assert_true(raft_persists_complete(&persists, 3, &last));
    assert_int_equal(raft_persists_oldest_ms(&persists), UINT64_MAX);
    assert_int_equal(raft_persists_first_overwritten(&persists), UINT64_MAX);
    raft_persists_deinit(&persists);
}

static void the_least_overwritten_index_covers_all_outstanding_writes(void **state)
{
    (void)state;
    struct raft_persists persists = {0};
    struct raft_entry_id last;
    raft_persists_issue(&persists, 10, fixture_id(1, 12), 0);
    raft_persists_issue(&persists, UINT64_MAX, fixture_id(1, 12), 0); /* hard state only */
    raft_persists_issue(&persists, 5, fixture_id(2, 5), 0);
    raft_persists_issue(&persists, 6, fixture_id(2, 9), 0);
    assert_int_equal(raft_persists_first_overwritten(&persists), 5);
    raft_persists_complete(&persists, 1, &last);
    assert_int_equal(raft_persists_first_overwritten(&persists), 5);
    raft_persists_complete(&persists, 3, &last);
    assert_int_equal(last.index, 5);
    assert_int_equal(raft_persists_first_overwritten(&persists), 6);
    raft_persists_deinit(&persists);
}

static void many_writes_may_be_outstanding(void **state)
{
    (void)state;
    struct raft_persists persists = {0};
    struct raft_entry_id last;
    uint64_t index = 1;
    uint64_t done = 0;
    for (uint64_t i = 0; i < 1000; i++, index++) {
        assert_int_equal(raft_persists_issue(&persists, index, fixture_id(1, index), i), i + 1);
        if (i % 3 == 0)
            assert_true(raft_persists_complete(&persists, ++done, &last) && last.index == done);
        assert_int_equal(raft_persists_first_overwritten(&persists), done == i + 1 ? UINT64_MAX : done + 1);
    }
    raft_persists_deinit(&persists);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_are_numbered_and_completed_in_order),
        cmocka_unit_test(the_least_overwritten_index_covers_all_outstanding_writes),
        cmocka_unit_test(many_writes_may_be_outstanding),
    };
    return FIXTURE_MAIN(tests);
}
