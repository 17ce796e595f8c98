/* test_commands_text.c: command_text.c. Matches were compared with SCAN MATCH of redis-server 7.0.15. */
#include "command_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool matches(const char *pattern, const char *text)
{
    return command_glob_match((const uint8_t *)pattern, strlen(pattern), (const uint8_t *)text, strlen(text),
                              false);
}

static void patterns_match_as_in_redis(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *text;
        bool match;
    } CASES[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
        {"abc", "abc", true},
        {"abc", "abcd", false},
        {"*", "", true},
        {"**", "abc", true},
        {"a*", "a", true},
        {"a*c", "abcbc", true},
        {"a*b*c", "aXbXXc", true},
        {"a*b*c", "acb", false},
        {"*aab", "aaaab", true},
        {"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaac", false},
        {"h?llo", "hello", true},
        {"h?llo", "hllo", false},
        {"???", "ab", false},
        {"h[ae]llo", "hallo", true},
        {"h[ae]llo", "hillo", false},
        {"h[^e]llo", "hallo", true},
        {"h[^e]llo", "hello", false},
        {"h[a-c]llo", "hbllo", true},
        {"h[c-a]llo", "hbllo", true},
        {"h[a-c]llo", "hdllo", false},
        {"[\\]]", "]", true},
        {"[\\-]", "-", true},
        {"[]a", "a", false},
        {"[abc", "b", true},
        {"[a-", "-", true},
        {"[", "[", false},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"\\", "\\", true},
        {"a\\?c", "a?c", true},
        {"A", "a", false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        if (matches(CASES[i].pattern, CASES[i].text) != CASES[i].match)
            fail_msg("'%s' on '%s'", CASES[i].pattern, CASES[i].text);
}

static void case_may_be_ignored(void **state)
{
    (void)state;
    assert_true(command_glob_match((const uint8_t *)"S[A-C]?\\E", 9, (const uint8_t *)"sbVe", 4, true));
    assert_false(command_glob_match((const uint8_t *)"S[A-C]?\\E", 9, (const uint8_t *)"sdVe", 4, true));
}

static void any_byte_may_be_matched(void **state)
{
    (void)state;
    const uint8_t text[] = {0, 255, '\n', 0};
    assert_true(command_glob_match((const uint8_t *)"?\xff*", 3, text, sizeof text, false));
    assert_true(command_glob_match(text, sizeof text, text, sizeof text, false));
    assert_false(command_glob_match(text, sizeof text - 1, text, sizeof text, false));
}

static void many_stars_take_no_exponential_time(void **state)
{
    (void)state;
    char pattern[401];
    char text[511];
    for (int i = 0; i < 400; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[400] = '\0';
    memset(text, 'a', sizeof text);
    text[510] = '\0';
    text[509] = 'b';
    assert_false(matches(pattern, text)); /* would not end in this universe */
}

static void words_are_compared_in_any_case(void **state)
{
    (void)state;
    const struct argument word = {(const uint8_t *)"KeepTTL", 7};
    assert_true(command_word_is(&word, "keepttl"));
    assert_false(command_word_is(&word, "keepttl2"));
    assert_false(command_word_is(&word, "keep"));
    const struct argument empty = {(const uint8_t *)"", 0};
    assert_false(command_word_is(&empty, "a"));
    const struct argument zero = {(const uint8_t *)"ex\0", 3};
    assert_false(command_word_is(&zero, "ex"));
}

static void texts_grow(void **state)
{
    (void)state;
    struct byte_buffer text = {0};
    char word[2001];
    memset(word, 'x', 2000);
    word[2000] = '\0';
    command_text_append(&text, "%d-", 1);
    command_text_append(&text, "%s-%s", word, "end");
    assert_int_equal(byte_buffer_size(&text), 2 + 2000 + 4);
    assert_memory_equal(byte_buffer_front(&text), "1-x", 3);
    assert_memory_equal(byte_buffer_front(&text) + 2001, "x-end", 5);
    byte_buffer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_in_redis),
        cmocka_unit_test(case_may_be_ignored),
        cmocka_unit_test(any_byte_may_be_matched),
        cmocka_unit_test(many_stars_take_no_exponential_time),
        cmocka_unit_test(words_are_compared_in_any_case),
        cmocka_unit_test(texts_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
