/* test_client_request.c: commands as bytes. */
#include "request.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_request_is_an_array_of_bulk_strings(void **state)
{
    static const char *const words[] = {"RAFT", "STATUS"};
    const struct command_argument arguments[] = {{.bytes = (char[]){"set"}, .size = 3},
                                                 {.bytes = (char[]){"a\0b"}, .size = 3},
                                                 {.bytes = (char[]){""}, .size = 0}};
    static const char expected[] =
        "*2\r\n$4\r\nRAFT\r\n$6\r\nSTATUS\r\n*3\r\n$3\r\nset\r\n$3\r\na\0b\r\n$0\r\n\r\n";
    struct byte_buffer request = {0};
    (void)state;
    request_append_words(&request, words, 2);
    request_append(&request, arguments, 3);
    assert_int_equal(byte_buffer_size(&request), sizeof expected - 1);
    assert_memory_equal(byte_buffer_front(&request), expected, sizeof expected - 1);
    byte_buffer_deinit(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_an_array_of_bulk_strings),
    };
    return cmocka_run_group_tests_name("client/request", tests, NULL, NULL);
}
