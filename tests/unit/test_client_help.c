/* test_client_help.c: what help prints. */
#include "client_testing.h"
#include "command_line.h"
#include "help.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool print(struct byte_buffer *text, const struct command_list *list, const char *words)
{
    struct command_line line;
    assert_true(command_line_parse(&line, words, strlen(words)));
    bool found = help_print(text, list, line.arguments, line.count, 80);
    command_line_deinit(&line);
    return found;
}

static void assert_help(const char *words, bool found, const char *expected)
{
    struct command_list list = {0};
    struct byte_buffer text = {0};
    client_testing_commands(&list);
    assert_int_equal(print(&text, &list, words), found);
    assert_string_equal(text_c_string(&text), expected);
    byte_buffer_deinit(&text);
    command_list_deinit(&list);
}

static void one_command_is_explained(void **state)
{
    (void)state;
    assert_help("SET", true, "set key value [NX | XX] [EX seconds]\n  Set it\n");
    assert_help("config", true, "config\nconfig get parameter [parameter ...]\nconfig set parameter value\n");
    assert_help("config set", true, "config set parameter value\n");
}

static void our_own_words_are_explained(void **state)
{
    (void)state;
    assert_help("verify", true, "verify file\n  checks every byte of a backup\n  group: kvcli's own words\n");
    assert_help("verify x", false, "no such command: verify x\n");
}

static void unknown_commands_are_named(void **state)
{
    (void)state;
    assert_help("nosuch", false, "no such command: nosuch\n");
    assert_help("config \"\\x1b\"", false, "no such command: config \\x1b\n");
}

static void all_commands_are_listed_by_group(void **state)
{
    struct command_list list = {0};
    struct byte_buffer text = {0};
    (void)state;
    client_testing_commands(&list);
    assert_true(print(&text, &list, ""));
    assert_non_null(strstr(text_c_string(&text), "string:\n  set\n"));
    assert_non_null(strstr(text_c_string(&text), "other:\n  config get ping\n"));
    byte_buffer_deinit(&text);
    command_list_deinit(&list);
}

static void without_a_server_help_says_so(void **state)
{
    struct command_list list = {0};
    struct byte_buffer text = {0};
    (void)state;
    assert_true(print(&text, &list, ""));
    assert_non_null(strstr(text_c_string(&text), "no node could be asked"));
    assert_false(print(&text, &list, "get"));
    byte_buffer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_command_is_explained),      cmocka_unit_test(our_own_words_are_explained),
        cmocka_unit_test(unknown_commands_are_named),    cmocka_unit_test(all_commands_are_listed_by_group),
        cmocka_unit_test(without_a_server_help_says_so),
    };
    return cmocka_run_group_tests_name("client/help", tests, NULL, NULL);
}
