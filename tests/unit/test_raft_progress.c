/* test_raft_progress.c: the flow control of one follower. */
#include "raft_fixture.h"
#include "raft_progress.h"

static struct raft_progress create_progress(uint64_t next)
{
    struct raft_progress progress;
    raft_progress_init(&progress, 2, 3);
    raft_progress_reset(&progress, next, 0);
    return progress;
}

static void a_probe_is_answered_and_the_pipeline_opens(void **state)
{
    (void)state;
    struct raft_progress p = create_progress(10);
    assert_int_equal(p.state, RAFT_PROGRESS_PROBE);
    assert_true(raft_progress_acknowledge(&p, 9, 0));
    raft_progress_become_replicate(&p);
    assert_int_equal(p.match, 9);
    assert_int_equal(p.next, 10);
    raft_progress_check_invariants(&p);
    raft_progress_deinit(&p);
}

static void a_refused_probe_goes_down_to_the_hint_and_never_below_match(void **state)
{
    (void)state;
    struct raft_progress p = create_progress(10);
    p.probe_sent = true;
    assert_false(raft_progress_refuse(&p, 5, 2)); /* not what was asked: stale */
    assert_true(raft_progress_refuse(&p, 9, 6));
    assert_int_equal(p.next, 7);
    assert_false(p.probe_sent);
    assert_true(raft_progress_refuse(&p, 6, 6)); /* a hint that does not help: one step at least */
    assert_int_equal(p.next, 6);
    raft_progress_acknowledge(&p, 3, 0);
    assert_true(raft_progress_refuse(&p, 5, 0));
    assert_int_equal(p.next, 4);
    assert_false(raft_progress_refuse(&p, 3, 0)); /* was acknowledged */
    raft_progress_deinit(&p);
}

static void the_window_is_limited_in_messages_and_bytes(void **state)
{
    (void)state;
    struct raft_progress p = create_progress(1);
    raft_progress_acknowledge(&p, 0, 0);
    raft_progress_become_replicate(&p);
    for (uint64_t last = 1; last <= 3; last++) {
        assert_false(raft_progress_is_full(&p, 100));
        raft_progress_sent(&p, last * 2, 10, 0);
    }
    assert_true(raft_progress_is_full(&p, 100));
    raft_progress_acknowledge(&p, 3, 0); /* in the middle of the second: the first is free */
    assert_int_equal(p.inflights_count, 2);
    assert_int_equal(p.inflight_bytes, 20);
    assert_false(raft_progress_is_full(&p, 100));
    assert_true(raft_progress_is_full(&p, 20));
    raft_progress_check_invariants(&p);
    for (uint64_t last = 8; last < 100; last += 2) { /* the ring goes round */
        raft_progress_sent(&p, last, 1, 0);
        raft_progress_acknowledge(&p, last - 2, 0);
        raft_progress_check_invariants(&p);
    }
    raft_progress_deinit(&p);
}

static void old_acknowledgements_change_nothing(void **state)
{
    (void)state;
    struct raft_progress p = create_progress(1);
    raft_progress_acknowledge(&p, 0, 0);
    raft_progress_become_replicate(&p);
    raft_progress_sent(&p, 5, 10, 0);
    assert_true(raft_progress_acknowledge(&p, 5, 0));
    assert_false(raft_progress_acknowledge(&p, 3, 0));
    assert_int_equal(p.match, 5);
    assert_int_equal(p.next, 6);
    raft_progress_deinit(&p);
}

static void a_refusal_in_the_pipeline_goes_back_to_what_is_known(void **state)
{
    (void)state;
    struct raft_progress p = create_progress(1);
    raft_progress_acknowledge(&p, 2, 0);
    raft_progress_become_replicate(&p);
    raft_progress_sent(&p, 5, 10, 0);
    raft_progress_sent(&p, 9, 10, 0);
    assert_false(raft_progress_refuse(&p, 2, 0));
    assert_true(raft_progress_refuse(&p, 5, 4));
    assert_int_equal(p.state, RAFT_PROGRESS_PROBE);
    assert_int_equal(p.next, 3);
    assert_int_equal(p.inflights_count, 0);
    assert_false(raft_progress_refuse(&p, 9, 4)); /* the refusals of the rest of the pipeline */
    raft_progress_check_invariants(&p);
    raft_progress_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_is_answered_and_the_pipeline_opens),
        cmocka_unit_test(a_refused_probe_goes_down_to_the_hint_and_never_below_match),
        cmocka_unit_test(the_window_is_limited_in_messages_and_bytes),
        cmocka_unit_test(old_acknowledgements_change_nothing),
        cmocka_unit_test(a_refusal_in_the_pipeline_goes_back_to_what_is_known),
    };
    return FIXTURE_MAIN(tests);
}
