/* test_sim_reason.c: when two failed runs count as the same failure. */
#include "sim_reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static bool is_alike(enum sim_failure kind, const char *one_text, enum sim_failure other_kind,
                     const char *other_text)
{
    struct sim_result one = {.failure = kind};
    struct sim_result other = {.failure = other_kind};
    (void)snprintf(one.text, sizeof one.text, "%s", one_text);
    (void)snprintf(other.text, sizeof other.text, "%s", other_text);
    bool alike = sim_reason_is_alike(&one, &other);
    assert_true(alike == sim_reason_is_alike(&other, &one));
    return alike;
}

static void numbers_make_no_difference(void **state)
{
    (void)state;
    assert_true(is_alike(SIM_CORRECTNESS,
                         "FAILED seed=3 kind=correctness at 5.306 s: leader completeness: node 4 leads term "
                         "10 without entry 14",
                         SIM_CORRECTNESS,
                         "FAILED seed=3 kind=correctness at 15.1 s: leader completeness: node 1 leads term 2 "
                         "without entry 7"));
    assert_true(is_alike(SIM_CRASH,
                         "FAILED seed=1 kind=crash ==12==ERROR: AddressSanitizer: heap-use-after-free on "
                         "address 0x60200abc at pc 0x1",
                         SIM_CRASH,
                         "FAILED seed=1 kind=crash ==345==ERROR: AddressSanitizer: heap-use-after-free on "
                         "address 0xdef at pc 0x22"));
}

static void another_property_is_another_failure(void **state)
{
    (void)state;
    assert_false(is_alike(
        SIM_CORRECTNESS,
        "FAILED seed=3 kind=correctness at 5.306 s: leader completeness: node 4 leads term 10 without entry "
        "14",
        SIM_CORRECTNESS,
        "FAILED seed=3 kind=correctness at 5.306 s: log matching: node 1 has another entry 27 of term 4"));
    assert_false(is_alike(
        SIM_LIVENESS,
        "FAILED seed=1 kind=liveness at 73.4 s: not all nodes have everything, although nothing has failed",
        SIM_LIVENESS, "FAILED seed=1 kind=liveness at 73.4 s: no write is acknowledged"));
    assert_false(is_alike(
        SIM_CRASH,
        "FAILED seed=1 kind=crash kvsim: server/replica/apply.c:216: begin_entry: Assertion `a' failed.",
        SIM_CRASH,
        "FAILED seed=1 kind=crash kvsim: server/replica/apply.c:216: begin_entry: Assertion `b' failed."));
}

static void another_kind_is_another_failure(void **state)
{
    (void)state;
    assert_false(is_alike(SIM_LIVENESS, "FAILED seed=1 kind=liveness why", SIM_CORRECTNESS,
                          "FAILED seed=1 kind=correctness why"));
    assert_false(is_alike(SIM_PASSED, "", SIM_HISTORY, "FAILED seed=1 kind=history why"));
}

static void of_what_clients_saw_the_kind_is_enough(void **state)
{
    (void)state;
    assert_true(is_alike(SIM_HISTORY, "FAILED seed=1 kind=history at 1.0 s: GET c0 was sent when",
                         SIM_HISTORY,
                         "FAILED seed=1 kind=history at 2.0 s: the history of c0 is not linearizable"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_make_no_difference),
        cmocka_unit_test(another_property_is_another_failure),
        cmocka_unit_test(another_kind_is_another_failure),
        cmocka_unit_test(of_what_clients_saw_the_kind_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
