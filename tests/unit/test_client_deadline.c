/* test_client_deadline.c: waiting with an end. */
#include "deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void the_earlier_end_counts(void **state)
{
    struct deadline far = deadline_in(100000, 7);
    struct deadline near = deadline_within(&far, 10);
    (void)state;
    assert_true(near.at_ms < far.at_ms);
    assert_int_equal(near.cancel_fd, 7);
    assert_true(deadline_within(&near, 100000).at_ms == near.at_ms);
    assert_true(deadline_remaining_ms(&far) > 90000);
}

static void waiting_ends_in_one_of_three_ways(void **state)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    int set = eventfd(1, EFD_CLOEXEC);
    struct deadline soon = deadline_in(20, -1);
    struct deadline far = deadline_in(100000, -1);
    struct deadline cancelled = deadline_in(100000, set);
    (void)state;
    assert_int_equal(deadline_wait(&soon, fd, POLLIN), DEADLINE_PASSED);
    assert_int_equal(deadline_remaining_ms(&soon), 0);
    assert_int_equal(deadline_wait(&far, set, POLLIN), DEADLINE_READY);
    assert_int_equal(deadline_wait(&cancelled, fd, POLLIN), DEADLINE_CANCELLED);
    assert_int_equal(deadline_wait(&cancelled, set, POLLIN), DEADLINE_CANCELLED);
    /* What has passed is still looked at once. */
    assert_int_equal(deadline_wait(&soon, set, POLLIN), DEADLINE_READY);
    close(fd);
    close(set);
}

static void sleeping_ends_with_the_nap_or_the_deadline(void **state)
{
    struct deadline far = deadline_in(100000, -1);
    struct deadline soon = deadline_in(10, -1);
    (void)state;
    assert_int_equal(deadline_sleep(&far, 5), DEADLINE_READY);
    assert_int_equal(deadline_sleep(&soon, 100000), DEADLINE_PASSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_earlier_end_counts),
        cmocka_unit_test(waiting_ends_in_one_of_three_ways),
        cmocka_unit_test(sleeping_ends_with_the_nap_or_the_deadline),
    };
    return cmocka_run_group_tests_name("client/deadline", tests, NULL, NULL);
}
