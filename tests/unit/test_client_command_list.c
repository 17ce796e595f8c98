/* test_client_command_list.c: what a server says about its commands. */
#include "client_testing.h"
#include "command_line.h"
#include "command_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum command_effect effect(const struct command_list *list, const char *words)
{
    struct command_line line;
    assert_true(command_line_parse(&line, words, strlen(words)));
    enum command_effect result = command_list_effect(list, line.arguments, line.count);
    command_line_deinit(&line);
    return result;
}

static void flags_tell_what_may_change(void **state)
{
    struct command_list list = {0};
    (void)state;
    client_testing_commands(&list);
    assert_int_equal(effect(&list, "GET k"), COMMAND_EFFECT_READS);
    assert_int_equal(effect(&list, "ping"), COMMAND_EFFECT_READS);
    assert_int_equal(effect(&list, "set k v"), COMMAND_EFFECT_MAY_CHANGE);
    assert_int_equal(effect(&list, "config get x"), COMMAND_EFFECT_READS);
    assert_int_equal(effect(&list, "config set x y"), COMMAND_EFFECT_MAY_CHANGE);
    assert_int_equal(effect(&list, "nosuch"), COMMAND_EFFECT_NOT_KNOWN);
    assert_int_equal(effect(&list, "ge"), COMMAND_EFFECT_NOT_KNOWN);
    command_list_deinit(&list);
}

static void what_the_server_does_not_know_may_change(void **state)
{
    struct command_list list = {0};
    (void)state;
    command_list_add_unknown(&list, "Mystery", 7);
    assert_int_equal(effect(&list, "mystery"), COMMAND_EFFECT_MAY_CHANGE);
    struct answer answer = client_testing_answer("*1\r\n*3\r\n+mystery\r\n:1\r\n*1\r\n+readonly\r\n");
    command_list_add_information(&list, &answer);
    answer_deinit(&answer);
    assert_int_equal(effect(&list, "mystery"), COMMAND_EFFECT_READS);
    assert_int_equal(list.count, 1);
    command_list_deinit(&list);
}

static void documentation_alone_leaves_the_flags_open(void **state)
{
    struct command_list list = {0};
    struct answer answer = client_testing_answer("*2\r\n+get\r\n*2\r\n+summary\r\n+x\r\n");
    (void)state;
    command_list_add_documentation(&list, &answer);
    answer_deinit(&answer);
    assert_int_equal(effect(&list, "get k"), COMMAND_EFFECT_NOT_KNOWN);
    command_list_deinit(&list);
}

static void syntax_is_built_from_the_documented_arguments(void **state)
{
    struct command_list list = {0};
    (void)state;
    client_testing_commands(&list);
    assert_string_equal(command_list_find(&list, "set", 3)->syntax, "key value [NX | XX] [EX seconds]");
    const struct command_entry *config = command_list_find(&list, "config", 6);
    assert_int_equal(config->subcommands_count, 2);
    assert_string_equal(command_entry_find_subcommand(config, "GET", 3)->syntax, "parameter [parameter ...]");
    assert_string_equal(command_entry_find_subcommand(config, "set", 3)->syntax, "parameter value");
    assert_null(command_entry_find_subcommand(config, "se", 2));
    command_list_deinit(&list);
}

static void texts_cannot_steer_the_terminal(void **state)
{
    struct command_list list = {0};
    struct answer answer =
        client_testing_answer("*2\r\n*3\r\n+\033[2J\r\n:1\r\n*0\r\n*3\r\n+a b\r\n:1\r\n*0\r\n");
    (void)state;
    client_testing_commands(&list);
    assert_string_equal(command_list_find(&list, "get", 3)->summary, "Get it\\x1b[2J");
    size_t before = list.count;
    command_list_add_information(&list, &answer);
    answer_deinit(&answer);
    assert_int_equal(list.count, before);
    command_list_deinit(&list);
}

static void answers_of_another_form_are_skipped(void **state)
{
    static const char *const odd[] = {
        "-ERR no\r\n",        ":1\r\n",         "*2\r\n_\r\n:1\r\n",  "*1\r\n*3\r\n:1\r\n:1\r\n:1\r\n",
        "*1\r\n*1\r\n+a\r\n", "*1\r\n+get\r\n", "*2\r\n:1\r\n*0\r\n", "*1\r\n*3\r\n+a|\r\n:1\r\n*0\r\n"};
    struct command_list list = {0};
    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct answer answer = client_testing_answer(odd[i]);
        command_list_add_information(&list, &answer);
        command_list_add_documentation(&list, &answer);
        answer_deinit(&answer);
    }
    assert_int_equal(list.count, 0);
    command_list_deinit(&list);
}

static void names_with_zero_bytes_are_not_mistaken(void **state)
{
    struct command_list list = {0};
    (void)state;
    client_testing_commands(&list);
    assert_null(command_list_find(&list, "get\0x", 5));
    assert_null(command_list_find(&list, "", 0));
    command_list_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_tell_what_may_change),
        cmocka_unit_test(what_the_server_does_not_know_may_change),
        cmocka_unit_test(documentation_alone_leaves_the_flags_open),
        cmocka_unit_test(syntax_is_built_from_the_documented_arguments),
        cmocka_unit_test(texts_cannot_steer_the_terminal),
        cmocka_unit_test(answers_of_another_form_are_skipped),
        cmocka_unit_test(names_with_zero_bytes_are_not_mistaken),
    };
    return cmocka_run_group_tests_name("client/command_list", tests, NULL, NULL);
}
