/* test_cold_data.c: when data counts as cold, by the page faults that were counted. */
#include "cold_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void note_fetch(struct cold_data *cold, uint64_t faults)
{
    struct disk_job *job = disk_job_create(DISK_JOB_FETCH, NULL);
    job->fetch.page_faults = faults;
    cold_data_note_job(cold, job);
    disk_job_destroy(job);
}

static void faults_before_the_first_look_do_not_count(void **state)
{
    (void)state;
    struct cold_data cold = {0};
    assert_false(cold_data_judge(&cold, 1000, 500));
    assert_false(cold_data_judge(&cold, 1005, 500));
}

static void a_few_faults_within_a_second_make_it_cold_at_once(void **state)
{
    (void)state;
    struct cold_data cold = {0};
    assert_false(cold_data_judge(&cold, 1000, 10));
    assert_false(cold_data_judge(&cold, 1005, 10 + COLD_FAULTS - 1));
    assert_true(cold_data_judge(&cold, 1010, 10 + COLD_FAULTS));
}

static void single_faults_now_and_then_do_not(void **state)
{
    (void)state;
    struct cold_data cold = {0};
    for (uint64_t second = 0; second < 20; second++) {
        assert_false(cold_data_judge(&cold, second * 1000, second));
    }
}

static void it_is_warm_after_a_few_quiet_seconds(void **state)
{
    (void)state;
    struct cold_data cold = {0};
    (void)cold_data_judge(&cold, 0, 0);
    assert_true(cold_data_judge(&cold, 10, COLD_FAULTS));
    assert_true(cold_data_judge(&cold, 1000, COLD_FAULTS)); /* this second was not quiet */
    for (uint64_t second = 2; second <= COLD_QUIET_SECONDS; second++) {
        assert_true(cold_data_judge(&cold, second * 1000, COLD_FAULTS));
    }
    assert_false(cold_data_judge(&cold, (COLD_QUIET_SECONDS + 1) * 1000, COLD_FAULTS));
}

static void what_fetches_waited_for_keeps_it_cold(void **state)
{
    (void)state;
    struct cold_data cold = {0};
    (void)cold_data_judge(&cold, 0, 0);
    assert_true(cold_data_judge(&cold, 10, COLD_FAULTS));
    for (uint64_t second = 1; second < 20; second++) {
        note_fetch(&cold, second % 2 == 0 ? 100 : 0); /* the loop itself waits no more */
        assert_true(cold_data_judge(&cold, second * 1000, COLD_FAULTS));
    }
}

static void the_kernel_is_asked_now_and_then_only(void **state)
{
    (void)state;
    struct cold_data cold = {0};
    assert_false(cold_data_look(&cold, 1000));
    assert_false(cold_data_look(&cold, 1000 + COLD_LOOK_MS - 1));
    assert_int_equal(cold.looked_ms, 1000);
    assert_false(cold_data_look(&cold, 1000 + COLD_LOOK_MS));
    assert_int_equal(cold.looked_ms, 1000 + COLD_LOOK_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_before_the_first_look_do_not_count),
        cmocka_unit_test(a_few_faults_within_a_second_make_it_cold_at_once),
        cmocka_unit_test(single_faults_now_and_then_do_not),
        cmocka_unit_test(it_is_warm_after_a_few_quiet_seconds),
        cmocka_unit_test(what_fetches_waited_for_keeps_it_cold),
        cmocka_unit_test(the_kernel_is_asked_now_and_then_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
