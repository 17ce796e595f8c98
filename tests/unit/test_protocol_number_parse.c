/* test_protocol_number_parse.c */
#include "number_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void integers_have_one_form_each(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
        int64_t value;
    } CASES[] = {
        {"0", true, 0},
        {"1", true, 1},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"18446744073709551616", false, 0},
        {"99999999999999999999", false, 0},
        {"111111111111111111111", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"-0", false, 0},
        {"00", false, 0},
        {"01", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"--1", false, 0},
        {"0x1", false, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        int64_t value = 4711;
        bool valid = number_parse_int64((const uint8_t *)CASES[i].text, strlen(CASES[i].text), &value);
        if (valid != CASES[i].valid)
            fail_msg("'%s'", CASES[i].text);
        assert_true(value == (valid ? CASES[i].value : 4711));
    }
    int64_t value = 4711;
    assert_false(number_parse_int64((const uint8_t *)"1\0", 2, &value));
}

static void cursors_are_unsigned(void **state)
{
    (void)state;
    uint64_t value = 4711;
    assert_true(number_parse_uint64((const uint8_t *)"18446744073709551615", 20, &value));
    assert_true(value == UINT64_MAX);
    assert_true(number_parse_uint64((const uint8_t *)"007", 3, &value));
    assert_true(value == 7);
    assert_false(number_parse_uint64((const uint8_t *)"18446744073709551616", 20, &value));
    assert_false(number_parse_uint64((const uint8_t *)"-1", 2, &value));
    assert_false(number_parse_uint64((const uint8_t *)"", 0, &value));
    assert_true(value == 7);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    static const int64_t NUMBERS[] = {0, 1, 9, 10, 99, 100, -1, -10, 12345678901, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++) {
        char text[NUMBER_TEXT_BYTES_MAX];
        char expected[32];
        size_t size = number_write_int64(text, NUMBERS[i]);
        snprintf(expected, sizeof expected, "%lld", (long long)NUMBERS[i]);
        assert_int_equal(size, strlen(expected));
        assert_memory_equal(text, expected, size);
    }
    char text[NUMBER_TEXT_BYTES_MAX];
    assert_int_equal(number_write_uint64(text, UINT64_MAX), 20);
    assert_memory_equal(text, "18446744073709551615", 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_have_one_form_each),
        cmocka_unit_test(cursors_are_unsigned),
        cmocka_unit_test(what_is_written_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
