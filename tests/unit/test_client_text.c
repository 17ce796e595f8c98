/* test_client_text.c: text in buffers. */
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void long_and_short_formats_are_appended(void **state)
{
    struct byte_buffer text = {0};
    char expected[1100];
    (void)state;
    text_append(&text, "a");
    text_append_format(&text, "%d", 5);
    text_append_format(&text, "%01000d", 7);
    snprintf(expected, sizeof expected, "a5%01000d", 7);
    assert_string_equal(text_c_string(&text), expected);
    byte_buffer_deinit(&text);
}

static void escaped_bytes_are_printable_and_can_be_typed_back(void **state)
{
    struct byte_buffer text = {0};
    bool quoted = false;
    (void)state;
    text_append_escaped(&text, "a\"\\\n\t\r\a\b\0\177\377", 11, !quoted);
    assert_string_equal(text_c_string(&text), "\"a\\\"\\\\\\n\\t\\r\\a\\b\\x00\\x7f\\xff\"");
    byte_buffer_consume(&text, byte_buffer_size(&text));
    text_append_escaped(&text, "a\"\033[2J", 6, quoted);
    assert_string_equal(text_c_string(&text), "a\"\\x1b[2J");
    byte_buffer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_and_short_formats_are_appended),
        cmocka_unit_test(escaped_bytes_are_printable_and_can_be_typed_back),
    };
    return cmocka_run_group_tests_name("client/text", tests, NULL, NULL);
}
