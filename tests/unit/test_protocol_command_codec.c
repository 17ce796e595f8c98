/* test_protocol_command_codec.c */
#include "command_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct argument text_argument(const char *text)
{
    return (struct argument){.bytes = (const uint8_t *)text, .size = strlen(text)};
}

static void the_form_is_the_one_on_disk(void **state)
{
    (void)state;
    const struct argument arguments[] = {text_argument("k"), text_argument(""), text_argument("value")};
    static const uint8_t EXPECTED[] = {
        26,   0,    0, 0,      /* bytes that follow */
        0x2c, 0x01, 0, 0,      /* opcode 300, zero */
        3,    0,    0, 0,      /* arguments */
        1,    0,    0, 0, 'k', /* */
        0,    0,    0, 0,      /* */
        5,    0,    0, 0, 'v', 'a', 'l', 'u', 'e',
    };
    uint8_t bytes[sizeof EXPECTED];
    assert_int_equal(command_codec_size(arguments, 3), sizeof EXPECTED);
    command_codec_write(bytes, 300, arguments, 3);
    assert_memory_equal(bytes, EXPECTED, sizeof EXPECTED);
}

static void commands_are_read_back_one_after_the_other(void **state)
{
    (void)state;
    const struct argument arguments[] = {text_argument("a\r\nb"), text_argument("")};
    uint8_t bytes[256];
    size_t first = command_codec_size(arguments, 2);
    size_t second = command_codec_size(NULL, 0);
    command_codec_write(bytes, 7, arguments, 2);
    command_codec_write(bytes + first, 65535, NULL, 0);

    struct encoded_command command;
    struct argument views[2];
    assert_int_equal(command_codec_read(bytes, first + second, &command), first);
    assert_int_equal(command.opcode, 7);
    assert_int_equal(command.arguments_count, 2);
    command_codec_arguments(&command, views);
    assert_int_equal(views[0].size, 4);
    assert_memory_equal(views[0].bytes, "a\r\nb", 4);
    assert_int_equal(views[1].size, 0);
    struct argument one;
    assert_true(command_codec_first_argument(&command, &one));
    assert_int_equal(one.size, 4);
    assert_memory_equal(one.bytes, "a\r\nb", 4);
    assert_int_equal(command_codec_read(bytes + first, second, &command), second);
    assert_int_equal(command.opcode, 65535);
    assert_int_equal(command.arguments_count, 0);
    assert_false(command_codec_first_argument(&command, &one));
    assert_int_equal(command_codec_read(bytes + first + second, 0, &command), 0);
}

static void whatever_is_cut_short_is_refused(void **state)
{
    (void)state;
    const struct argument arguments[] = {text_argument("key"), text_argument("value")};
    uint8_t bytes[64];
    size_t size = command_codec_size(arguments, 2);
    command_codec_write(bytes, 7, arguments, 2);
    struct encoded_command command;
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *exact = malloc(cut + 1); /* so that the sanitizer sees a byte too far */
        assert_non_null(exact);
        memcpy(exact, bytes, cut);
        exact = realloc(exact, cut == 0 ? 1 : cut);
        assert_non_null(exact);
        assert_int_equal(command_codec_read(exact, cut, &command), 0);
        free(exact);
    }
    assert_int_equal(command_codec_read(bytes, size, &command), size);
}

static void lengths_that_do_not_add_up_are_refused(void **state)
{
    (void)state;
    const struct argument arguments[] = {text_argument("key"), text_argument("value")};
    uint8_t good[64] = {0};
    size_t size = command_codec_size(arguments, 2);
    command_codec_write(good, 7, arguments, 2);
    static const struct {
        size_t at;
        uint8_t byte;
    } CHANGES[] = {
        {0, 7},  {0, 23}, {0, 25},   {3, 255}, /* the whole */
        {6, 1},  {7, 1},                       /* the zero */
        {8, 1},  {8, 3},  {11, 255},           /* the number of arguments */
        {12, 2}, {12, 4}, {15, 255}, {19, 4},  {19, 6}, {22, 255},
    };
    for (size_t i = 0; i < sizeof CHANGES / sizeof CHANGES[0]; i++) {
        uint8_t bytes[64];
        struct encoded_command command;
        memcpy(bytes, good, sizeof bytes);
        assert_int_not_equal(bytes[CHANGES[i].at], CHANGES[i].byte);
        bytes[CHANGES[i].at] = CHANGES[i].byte;
        if (command_codec_read(bytes, size, &command) != 0)
            fail_msg("byte %zu as %d was accepted", CHANGES[i].at, CHANGES[i].byte);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_form_is_the_one_on_disk),
        cmocka_unit_test(commands_are_read_back_one_after_the_other),
        cmocka_unit_test(whatever_is_cut_short_is_refused),
        cmocka_unit_test(lengths_that_do_not_add_up_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
