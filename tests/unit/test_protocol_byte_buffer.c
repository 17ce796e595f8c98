/* test_protocol_byte_buffer.c */
#include "byte_buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void an_empty_buffer_may_be_released_and_used_again(void **state)
{
    (void)state;
    struct byte_buffer buffer = {0};
    byte_buffer_deinit(&buffer);
    byte_buffer_append(&buffer, "abc", 3);
    byte_buffer_deinit(&buffer);
    assert_int_equal(byte_buffer_size(&buffer), 0);
    byte_buffer_append(&buffer, "d", 1);
    assert_memory_equal(byte_buffer_front(&buffer), "d", 1);
    byte_buffer_deinit(&buffer);
}

static void bytes_come_out_as_they_went_in(void **state)
{
    (void)state;
    struct byte_buffer buffer = {0};
    uint8_t next_in = 0;
    uint8_t next_out = 0;
    size_t inside = 0;
    for (unsigned step = 0; step < 5000; step++) {
        size_t more = step * 7 % 61;
        uint8_t *to = byte_buffer_reserve(&buffer, more + 3);
        for (size_t i = 0; i < more; i++)
            to[i] = next_in++;
        byte_buffer_commit(&buffer, more);
        inside += more;
        assert_int_equal(byte_buffer_size(&buffer), inside);
        size_t less = step * 11 % 67;
        if (less > inside)
            less = inside;
        for (size_t i = 0; i < less; i++)
            assert_int_equal(byte_buffer_front(&buffer)[i], next_out++);
        byte_buffer_consume(&buffer, less);
        inside -= less;
        assert_true(buffer.start <= buffer.end && buffer.end <= buffer.capacity);
    }
    byte_buffer_deinit(&buffer);
}

static void memory_stays_in_proportion_to_the_content(void **state)
{
    (void)state;
    struct byte_buffer buffer = {0};
    char block[100] = {0};
    for (int i = 0; i < 10; i++)
        byte_buffer_append(&buffer, block, sizeof block);
    for (int i = 0; i < 100000; i++) { /* a thousand bytes that move through */
        byte_buffer_append(&buffer, block, sizeof block);
        byte_buffer_consume(&buffer, sizeof block);
    }
    assert_int_equal(byte_buffer_size(&buffer), 1000);
    assert_true(buffer.capacity <= 8192);
    byte_buffer_deinit(&buffer);
}

static void trimming_gives_back_only_what_is_empty_and_large(void **state)
{
    (void)state;
    struct byte_buffer buffer = {0};
    byte_buffer_reserve(&buffer, 10000);
    byte_buffer_append(&buffer, "x", 1);
    byte_buffer_trim(&buffer, 100);
    assert_true(buffer.capacity >= 10000);
    byte_buffer_consume(&buffer, 1);
    byte_buffer_trim(&buffer, buffer.capacity);
    assert_non_null(buffer.bytes);
    byte_buffer_trim(&buffer, 100);
    assert_null(buffer.bytes);
    assert_int_equal(buffer.capacity, 0);
}

static void appending_nothing_changes_nothing(void **state)
{
    (void)state;
    struct byte_buffer buffer = {0};
    byte_buffer_append(&buffer, NULL, 0);
    assert_null(buffer.bytes);
    assert_int_equal(byte_buffer_size(&buffer), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_may_be_released_and_used_again),
        cmocka_unit_test(bytes_come_out_as_they_went_in),
        cmocka_unit_test(memory_stays_in_proportion_to_the_content),
        cmocka_unit_test(trimming_gives_back_only_what_is_empty_and_large),
        cmocka_unit_test(appending_nothing_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
