/* test_client_completion.c: what Tab and the hint offer. */
#include "client_testing.h"
#include "completion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_completes(const char *line, const char *expected)
{
    struct command_list list = {0};
    struct completion completion;
    char joined[200] = "";
    client_testing_commands(&list);
    completion_find(&list, line, strlen(line), &completion);
    for (size_t i = 0; i < completion.count; i++) {
        strcat(strcat(joined, i > 0 ? " " : ""), completion.candidates[i]);
    }
    assert_string_equal(joined, expected);
    completion_deinit(&completion);
    command_list_deinit(&list);
}

static void names_and_subcommands_are_completed(void **state)
{
    (void)state;
    assert_completes("g", "get");
    assert_completes("  G", "get");
    assert_completes("s", "set status");
    assert_completes("c", "clear config");
    assert_completes("b", "backup");
    assert_completes("re", "remove replace");
    assert_completes("config ", "get set");
    assert_completes("CONFIG s", "set");
    assert_completes("help conf", "config");
    assert_completes("", "add address backup clear config exit get help ping promote quit remove replace set "
                         "status transfer verify");
}

static void arguments_are_not(void **state)
{
    (void)state;
    assert_completes("set ", "");
    assert_completes("config get g", "");
    assert_completes("nosuch g", "");
    assert_completes("\"g", "");
}

static void the_common_part_is_found(void **state)
{
    struct command_list list = {0};
    struct completion completion;
    struct answer answer =
        client_testing_answer("*2\r\n*3\r\n+incr\r\n:1\r\n*0\r\n*3\r\n+incrby\r\n:1\r\n*0\r\n");
    (void)state;
    command_list_add_information(&list, &answer);
    answer_deinit(&answer);
    completion_find(&list, "xx i", 1, &completion);
    assert_int_equal(completion.count, 0);
    assert_int_equal(completion.common_size, 0);
    completion_deinit(&completion);
    completion_find(&list, " i", 2, &completion);
    assert_int_equal(completion.word_start, 1);
    assert_int_equal(completion.common_size, 4);
    completion_deinit(&completion);
    command_list_deinit(&list);
}

static void assert_hint(const char *line, const char *expected)
{
    struct command_list list = {0};
    client_testing_commands(&list);
    char *hint = completion_hint(&list, line, strlen(line));
    assert_string_equal(hint, expected);
    free(hint);
    command_list_deinit(&list);
}

static void the_hint_is_what_is_left_of_the_syntax(void **state)
{
    (void)state;
    assert_hint("set", " key value [NX | XX] [EX seconds]");
    assert_hint("SET ", "key value [NX | XX] [EX seconds]");
    assert_hint("set k", " value [NX | XX] [EX seconds]");
    assert_hint("set k 'a b' ", "[NX | XX] [EX seconds]");
    assert_hint("set k v NX ", "[NX | XX] [EX seconds]");
    assert_hint("get k", "");
    assert_hint("config", " subcommand ...");
    assert_hint("config get", " parameter [parameter ...]");
    assert_hint("config set a ", "value");
    assert_hint("config nosuch", "");
}

static void there_is_no_hint_for_what_is_not_known(void **state)
{
    (void)state;
    assert_hint("", "");
    assert_hint("se", "");
    assert_hint("ping", "");
    assert_hint("set \"a", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_subcommands_are_completed),
        cmocka_unit_test(arguments_are_not),
        cmocka_unit_test(the_common_part_is_found),
        cmocka_unit_test(the_hint_is_what_is_left_of_the_syntax),
        cmocka_unit_test(there_is_no_hint_for_what_is_not_known),
    };
    return cmocka_run_group_tests_name("client/completion", tests, NULL, NULL);
}
