/* test_replica_entry_codec.c: the header of an entry's payload. */
#include "entry_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_a_header_survives_writing_and_reading(void **state)
{
    (void)state;
    uint8_t bytes[ENTRY_HEADER_BYTES];
    struct entry_header written = {
        .rules_version = 0x1234, .commands_count = 0x89abcdef, .clock_ms = UINT64_MAX - 5};
    struct entry_header read;
    entry_codec_write_header(bytes, &written);
    assert_true(entry_codec_read_header(bytes, sizeof bytes, &read));
    assert_int_equal(read.rules_version, written.rules_version);
    assert_int_equal(read.commands_count, written.commands_count);
    assert_true(read.clock_ms == written.clock_ms);
}

static void test_the_form_on_disk_is_this_one(void **state)
{
    (void)state;
    static const uint8_t expected[ENTRY_HEADER_BYTES] = {1,    0,    0x02, 0x01, 0x06, 0x05, 0x04, 0x03,
                                                         0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08, 0x07};
    uint8_t bytes[ENTRY_HEADER_BYTES];
    struct entry_header header = {0x0102, 0x03040506, UINT64_C(0x0708090a0b0c0d0e)};
    entry_codec_write_header(bytes, &header);
    assert_memory_equal(bytes, expected, sizeof expected);
}

static void test_what_is_too_short_or_of_another_format_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[ENTRY_HEADER_BYTES + 1] = {0};
    struct entry_header header = {1, 1, 1};
    entry_codec_write_header(bytes, &header);
    for (size_t size = 0; size < ENTRY_HEADER_BYTES; size++) {
        assert_false(entry_codec_read_header(bytes, size, &header));
    }
    assert_true(entry_codec_read_header(bytes, sizeof bytes, &header)); /* commands follow it */
    bytes[0] = ENTRY_FORMAT + 1;
    assert_false(entry_codec_read_header(bytes, sizeof bytes, &header));
    bytes[0] = ENTRY_FORMAT;
    bytes[1] = 1;
    assert_false(entry_codec_read_header(bytes, sizeof bytes, &header));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_header_survives_writing_and_reading),
        cmocka_unit_test(test_the_form_on_disk_is_this_one),
        cmocka_unit_test(test_what_is_too_short_or_of_another_format_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
