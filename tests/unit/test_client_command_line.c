/* test_client_command_line.c: typed lines cut into arguments. */
#include "command_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_line(const char *text, size_t count, const char *const *words)
{
    struct command_line line;
    assert_true(command_line_parse(&line, text, strlen(text)));
    assert_int_equal(line.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(line.arguments[i].bytes, words[i]);
        assert_int_equal(line.arguments[i].size, strlen(words[i]));
    }
    command_line_deinit(&line);
}

static void words_are_separated_by_blanks(void **state)
{
    (void)state;
    assert_line("  set\tk   v \r\n", 3, (const char *const[]){"set", "k", "v"});
    assert_line("", 0, NULL);
    assert_line(" \n", 0, NULL);
}

static void quotes_keep_blanks_and_know_escapes(void **state)
{
    (void)state;
    assert_line("set \"a b\" 'c d'", 3, (const char *const[]){"set", "a b", "c d"});
    assert_line("\"\\n\\r\\t\\b\\a\\\\\\\"\\x41\\q\"", 1, (const char *const[]){"\n\r\t\b\a\\\"Aq"});
    assert_line("'it\\'s \\n'", 1, (const char *const[]){"it's \\n"});
    assert_line("\"\" ''", 2, (const char *const[]){"", ""});
    assert_line("ab\"c d\" e", 2, (const char *const[]){"abc d", "e"});
    assert_line("\"\\xzz\"", 1, (const char *const[]){"xzz"});
}

static void a_zero_byte_can_be_written(void **state)
{
    struct command_line line;
    (void)state;
    assert_true(command_line_parse(&line, "\"a\\x00b\"", 8));
    assert_int_equal(line.arguments[0].size, 3);
    assert_memory_equal(line.arguments[0].bytes, "a\0b", 4);
    command_line_deinit(&line);
}

static void unbalanced_quotes_are_refused(void **state)
{
    static const char *const wrong[] = {"\"",   "'",       "\"a", "'a",        "\"a\"b",
                                        "'a'b", "\"a\\\"", "a\"", "set 'it\\'"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct command_line line;
        assert_false(command_line_parse(&line, wrong[i], strlen(wrong[i])));
        assert_int_equal(line.count, 0);
        command_line_deinit(&line);
    }
}

static void the_first_word_is_compared_in_any_case(void **state)
{
    struct command_line line = {0};
    (void)state;
    assert_false(command_line_is(&line, "get"));
    command_line_add(&line, "GeT", 3);
    assert_true(command_line_is(&line, "get"));
    assert_false(command_line_is(&line, "gets"));
    command_line_deinit(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_separated_by_blanks),
        cmocka_unit_test(quotes_keep_blanks_and_know_escapes),
        cmocka_unit_test(a_zero_byte_can_be_written),
        cmocka_unit_test(unbalanced_quotes_are_refused),
        cmocka_unit_test(the_first_word_is_compared_in_any_case),
    };
    return cmocka_run_group_tests_name("client/command_line", tests, NULL, NULL);
}
