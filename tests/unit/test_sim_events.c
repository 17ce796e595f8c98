/* test_sim_events.c: the order in which events of a simulated run happen. */
#include "sim_events.h"

#include "sim_random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void nothing(void *target, uint64_t number)
{
    (void)target;
    (void)number;
}

static uint64_t take(struct sim_events *events)
{
    struct sim_event event;
    assert_true(sim_events_take(events, &event));
    return event.number;
}

static void an_empty_queue_has_no_event(void **state)
{
    (void)state;
    struct sim_events events = {0};
    struct sim_event event;
    assert_false(sim_events_take(&events, &event));
    sim_events_add(&events, 5, nothing, NULL, 1);
    assert_int_equal(take(&events), 1);
    assert_false(sim_events_take(&events, &event));
    sim_events_deinit(&events);
}

static void an_event_comes_with_what_it_was_added_with(void **state)
{
    (void)state;
    struct sim_events events = {0};
    struct sim_event event;
    int target;
    sim_events_add(&events, 7, nothing, &target, 42);
    assert_true(sim_events_take(&events, &event));
    assert_int_equal(event.time_us, 7);
    assert_true(event.fire == nothing);
    assert_ptr_equal(event.target, &target);
    assert_int_equal(event.number, 42);
    sim_events_deinit(&events);
}

static void the_earliest_event_comes_first(void **state)
{
    (void)state;
    struct sim_events events = {0};
    const uint64_t times[] = {50, 10, 40, UINT64_MAX, 0, 30, 20};
    const uint64_t sorted[] = {0, 10, 20, 30, 40, 50, UINT64_MAX};
    for (size_t i = 0; i < 7; i++) {
        sim_events_add(&events, times[i], nothing, NULL, times[i]);
    }
    for (size_t i = 0; i < 7; i++) {
        assert_true(take(&events) == sorted[i]);
    }
    sim_events_deinit(&events);
}

static void events_of_one_time_come_in_the_order_in_which_they_were_added(void **state)
{
    (void)state;
    struct sim_events events = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        sim_events_add(&events, 3, nothing, NULL, i);
    }
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(take(&events), i);
    }
    sim_events_deinit(&events);
}

/* As a run does it: events are added while others are taken. */
static void order_holds_while_events_come_and_go(void **state)
{
    (void)state;
    struct sim_events events = {0};
    struct sim_random random = {7};
    struct sim_event event;
    struct sim_event last = {0};
    size_t waiting = 0;
    for (int i = 0; i < 20000; i++) {
        if (waiting == 0 || sim_random_chance(&random, 520)) {
            sim_events_add(&events, last.time_us + sim_random_below(&random, 20), nothing, NULL, 0);
            waiting++;
            continue;
        }
        assert_true(sim_events_take(&events, &event));
        assert_true(event.time_us > last.time_us ||
                    (event.time_us == last.time_us && (event.order > last.order || last.fire == NULL)));
        last = event;
        waiting--;
    }
    for (; waiting > 0; waiting--) {
        assert_true(sim_events_take(&events, &event));
    }
    assert_false(sim_events_take(&events, &event));
    sim_events_deinit(&events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_queue_has_no_event),
        cmocka_unit_test(an_event_comes_with_what_it_was_added_with),
        cmocka_unit_test(the_earliest_event_comes_first),
        cmocka_unit_test(events_of_one_time_come_in_the_order_in_which_they_were_added),
        cmocka_unit_test(order_holds_while_events_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
