/* test_client_hint.c: room behind a line. */
#include "hint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <locale.h>

static void characters_have_widths(void **state)
{
    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    assert_int_equal(hint_width("get k", 5), 5);
    assert_int_equal(hint_width("\303\244", 2), 1);
    assert_int_equal(hint_width("\346\274\242", 3), 2);
    assert_int_equal(hint_width("\001", 1), 2);
    assert_int_equal(hint_width("\0a", 2), 3);
    assert_int_equal(hint_width("\xff", 1), 2);
    assert_int_equal(hint_width("\303", 1), 2);
}

static void room_ends_before_the_edge(void **state)
{
    (void)state;
    assert_int_equal(hint_room(10, 80), 69);
    assert_int_equal(hint_room(78, 80), 1);
    assert_int_equal(hint_room(79, 80), 0);
    assert_int_equal(hint_room(80, 80), 0);
    assert_int_equal(hint_room(90, 80), 69);
    assert_int_equal(hint_room(1, 0), 0);
    assert_int_equal(hint_room(1, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_have_widths),
        cmocka_unit_test(room_ends_before_the_edge),
    };
    return cmocka_run_group_tests_name("client/hint", tests, NULL, NULL);
}
