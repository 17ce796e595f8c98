/* test_bus_strangers.c: what strangers do again and again is told now and then, and all together little. */
#include "bus_strangers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REASON "it belongs to a cluster whose majority was given up"

static struct bus_strangers strangers;
static uint64_t now_ms;

static int set_up(void **state)
{
    (void)state;
    memset(&strangers, 0, sizeof strangers);
    now_ms = 5;
    return 0;
}

/* How often it was left out before; -1: it is left out now. */
static int take(uint64_t node_id, const char *address, const char *reason)
{
    uint64_t left_out = 77;

    return bus_strangers_take(&strangers, node_id, address, reason, now_ms, &left_out) ? (int)left_out : -1;
}

static void the_same_is_told_once_a_minute_with_how_often_it_was_not(void **state)
{
    uint64_t told_ms = now_ms;
    int left_out = 0, told = 1;
    char address[40];

    (void)state;
    assert_int_equal(take(2, "10.0.0.2:1000", REASON), 0);
    for (uint16_t port = 1001; port < 1601; port++) { /* five minutes, from another port each time */
        now_ms += 500;
        (void)snprintf(address, sizeof address, "10.0.0.2:%u", port);
        int got = take(2, address, REASON);

        if (got >= 0) {
            assert_int_equal(now_ms - told_ms, BUS_STRANGER_INTERVAL_MS);
            assert_int_equal(got, left_out);
            told_ms = now_ms;
            left_out = 0;
            told++;
        } else {
            left_out++;
        }
    }
    assert_int_equal(told, 6);
}

static void another_node_another_host_and_another_reason_are_told_beside_it(void **state)
{
    (void)state;
    assert_int_equal(take(2, "10.0.0.2:1000", REASON), 0);
    now_ms += BUS_STRANGERS_INTERVAL_MS;
    assert_int_equal(take(3, "10.0.0.2:1000", REASON), 0);
    now_ms += BUS_STRANGERS_INTERVAL_MS;
    assert_int_equal(take(2, "[fd00::2]:1000", REASON), 0);
    now_ms += BUS_STRANGERS_INTERVAL_MS;
    assert_int_equal(take(2, "[fd00::3]:1000", REASON), 0);
    now_ms += BUS_STRANGERS_INTERVAL_MS;
    assert_int_equal(take(2, "10.0.0.2:1000", "another reason"), 0);
    now_ms += BUS_STRANGERS_INTERVAL_MS;
    assert_int_equal(take(2, "10.0.0.2:1001", REASON), -1);
    assert_int_equal(take(3, "10.0.0.2:1001", REASON), -1);
    assert_int_equal(take(2, "[fd00::2]:1001", REASON), -1);
    assert_int_equal(take(2, "[fd00::3]:1001", REASON), -1);
    assert_int_equal(take(2, "10.0.0.2:1001", "another reason"), -1);
}

/* What was not told for there was too much at once is not taken for told. */
static void all_together_make_one_line_a_second(void **state)
{
    (void)state;
    assert_int_equal(take(2, "10.0.0.2:1000", REASON), 0);
    now_ms += BUS_STRANGERS_INTERVAL_MS - 1;
    assert_int_equal(take(3, "10.0.0.3:1000", REASON), -1);
    assert_int_equal(take(2, "10.0.0.2:1000", REASON), -1);
    now_ms++;
    assert_int_equal(take(3, "10.0.0.3:1000", REASON), 0);
}

/* A flood of others has it told again before its time: that is the price of little memory, and the flood's
 * own lines are more. */
static void a_flood_makes_one_line_a_second_and_the_oldest_are_forgotten(void **state)
{
    char long_reason[BUS_REASON_BYTES_MAX * 2];

    (void)state;
    memset(long_reason, 'x', sizeof long_reason - 1);
    long_reason[sizeof long_reason - 1] = '\0';
    assert_int_equal(take(2, "10.0.0.2:1000", REASON), 0);
    int told = 0;

    for (uint64_t node_id = 10; told < BUS_STRANGERS_MAX; node_id++) {
        now_ms += BUS_STRANGERS_INTERVAL_MS / 10;
        told += take(node_id, "?", long_reason) >= 0;
    }
    assert_int_equal(now_ms, 5 + BUS_STRANGERS_MAX * BUS_STRANGERS_INTERVAL_MS);
    now_ms += BUS_STRANGERS_INTERVAL_MS;
    assert_int_equal(take(2, "10.0.0.2:1000", REASON), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_same_is_told_once_a_minute_with_how_often_it_was_not, set_up),
        cmocka_unit_test_setup(another_node_another_host_and_another_reason_are_told_beside_it, set_up),
        cmocka_unit_test_setup(all_together_make_one_line_a_second, set_up),
        cmocka_unit_test_setup(a_flood_makes_one_line_a_second_and_the_oldest_are_forgotten, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
