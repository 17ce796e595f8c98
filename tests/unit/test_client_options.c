/* test_client_options.c: the command line. */
#include "options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS_MAX = 12 };

struct parsed {
    struct options options;
    bool valid;
    int count;
    char error[200];
};

static struct parsed parse(const char *nodes, const char *words)
{
    static char text[300];
    char *arguments[WORDS_MAX + 2] = {NULL};
    char *rest = NULL;
    struct parsed parsed = {.count = 1};
    snprintf(text, sizeof text, "%s", words);
    arguments[0] = strdup("kvcli");
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        assert_true(parsed.count <= WORDS_MAX);
        arguments[parsed.count++] = word;
    }
    parsed.valid =
        options_parse(&parsed.options, parsed.count, arguments, nodes, parsed.error, sizeof parsed.error);
    free(arguments[0]);
    return parsed;
}

static void there_are_defaults(void **state)
{
    struct parsed parsed = parse(NULL, "");
    (void)state;
    assert_true(parsed.valid);
    assert_int_equal(parsed.options.action, OPTIONS_COMMAND);
    assert_int_equal(parsed.options.nodes.count, 3);
    assert_int_equal(parsed.options.nodes.items[2].port, 7002);
    assert_int_equal(parsed.options.timeout_ms, 5000);
    assert_int_equal(parsed.options.protocol, 2);
    assert_int_equal(parsed.options.output, OUTPUT_AUTOMATIC);
    assert_int_equal(parsed.options.first_argument, 1);
}

static void options_stand_before_the_command_only(void **state)
{
    struct parsed parsed = parse("x:1", "-c a:1,b:2 --json --timeout 500ms -3 set k --raw -x");
    (void)state;
    assert_true(parsed.valid);
    assert_int_equal(parsed.options.nodes.count, 2);
    assert_string_equal(parsed.options.nodes.items[0].host, "a");
    assert_int_equal(parsed.options.output, OUTPUT_JSON);
    assert_int_equal(parsed.options.timeout_ms, 500);
    assert_int_equal(parsed.options.protocol, 3);
    assert_false(parsed.options.last_argument_from_stdin);
    assert_int_equal(parsed.options.first_argument, 7);
    parsed = parse(NULL, "-x set k");
    assert_true(parsed.valid && parsed.options.last_argument_from_stdin);
    parsed = parse(NULL, "-- -odd");
    assert_true(parsed.valid);
    assert_int_equal(parsed.options.first_argument, 2);
}

static void the_environment_names_nodes(void **state)
{
    struct parsed parsed = parse("n1:7000,n2:7000", "get k");
    (void)state;
    assert_true(parsed.valid);
    assert_int_equal(parsed.options.nodes.count, 2);
    assert_true(parse("", "get k").options.nodes.count == 3);
    parsed = parse("n1:port", "get k");
    assert_false(parsed.valid);
    assert_non_null(strstr(parsed.error, "KVCLI_CLUSTER"));
}

static void status_has_options_on_both_sides(void **state)
{
    struct parsed parsed = parse(NULL, "--json status --watch --interval 2s -c a:1");
    (void)state;
    assert_true(parsed.valid);
    assert_int_equal(parsed.options.action, OPTIONS_STATUS);
    assert_true(parsed.options.watch);
    assert_int_equal(parsed.options.interval_ms, 2000);
    assert_int_equal(parsed.options.nodes.count, 1);
    assert_int_equal(parse(NULL, "STATUS").options.action, OPTIONS_STATUS);
    assert_int_equal(parse(NULL, "status --help").options.action, OPTIONS_HELP);
    assert_int_equal(parse(NULL, "--version").options.action, OPTIONS_VERSION);
}

static void words_of_our_own_have_arguments_and_options(void **state)
{
    struct parsed parsed = parse(NULL, "backup --stale there --from n2:7001 --json");
    (void)state;
    assert_true(parsed.valid);
    assert_int_equal(parsed.options.action, OPTIONS_BACKUP);
    assert_int_equal(parsed.options.arguments_count, 1);
    assert_string_equal(parsed.options.arguments[0], "there");
    assert_true(parsed.options.stale && parsed.options.from_given);
    assert_int_equal(parsed.options.from.port, 7001);
    assert_int_equal(parsed.options.output, OUTPUT_JSON);
    parsed = parse(NULL, "Replace 1 4 n4:17000 --no-wait");
    assert_true(parsed.valid && parsed.options.no_wait);
    assert_int_equal(parsed.options.action, OPTIONS_CHANGE);
    assert_string_equal(parsed.options.word, "replace");
    assert_string_equal(parsed.options.arguments[2], "n4:17000");
    assert_int_equal(parse(NULL, "verify f").options.action, OPTIONS_VERIFY);
    assert_int_equal(parse(NULL, "transfer").options.action, OPTIONS_CHANGE);
    assert_int_equal(parse(NULL, "transfer 2").options.arguments_count, 1);
    assert_int_equal(parse(NULL, "backup --help").options.action, OPTIONS_HELP);
    assert_int_equal(parse(NULL, "help backup").options.action, OPTIONS_COMMAND);
}

static void wrong_use_is_explained(void **state)
{
    static const char *const wrong[][2] = {{"--bogus", "--bogus"},
                                           {"-c", "-c"},
                                           {"-c a:b get k", "a:b"},
                                           {"--timeout soon get k", "soon"},
                                           {"--timeout 0 get k", "0"},
                                           {"status k", "'k'"},
                                           {"--watch get k", "--watch"},
                                           {"-x", "-x"},
                                           {"-x status", "-x"},
                                           {"status --nonsense", "--nonsense"},
                                           {"--interval 1h status", "1h"},
                                           {"backup", "backup needs: file"},
                                           {"backup a b", "'b'"},
                                           {"add 4", "add needs: id host:port"},
                                           {"--from here backup f", "here"},
                                           {"verify f --stale", "--stale"},
                                           {"verify f --from a:1", "--from"},
                                           {"status --no-wait", "--no-wait"},
                                           {"-x verify f", "-x"},
                                           {"-z get", "-z"}};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct parsed parsed = parse(NULL, wrong[i][0]);
        if (parsed.valid || strstr(parsed.error, wrong[i][1]) == NULL) {
            fail_msg("'%s': '%s'", wrong[i][0], parsed.valid ? "taken" : parsed.error);
        }
    }
}

static void times_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t milliseconds; /* 0: refused */
    } times[] = {
        {"5", 5000},         {"5s", 5000}, {"500ms", 500}, {"2m", 120000}, {"1.5", 1500}, {"0.5s", 500},
        {"86400", 86400000}, {"86401", 0}, {"0", 0},       {"-1", 0},      {"", 0},       {"s", 0},
        {"5x", 0},           {"nan", 0},   {"inf", 0},     {" 5", 0},      {"0x10", 0},   {"5 s", 0},
        {"0.1ms", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        uint64_t milliseconds = 0;
        bool valid = options_parse_duration(times[i].text, &milliseconds);
        if (valid != (times[i].milliseconds != 0) || milliseconds != times[i].milliseconds) {
            fail_msg("'%s' gave %llu", times[i].text, (unsigned long long)milliseconds);
        }
    }
}

static void help_documents_every_exit_code(void **state)
{
    (void)state;
    for (int code = 0; code <= 4; code++) {
        char line[24];
        snprintf(line, sizeof line, "\n  %d  ", code);
        assert_non_null(strstr(options_help(), line));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_defaults),
        cmocka_unit_test(options_stand_before_the_command_only),
        cmocka_unit_test(the_environment_names_nodes),
        cmocka_unit_test(status_has_options_on_both_sides),
        cmocka_unit_test(words_of_our_own_have_arguments_and_options),
        cmocka_unit_test(wrong_use_is_explained),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(help_documents_every_exit_code),
    };
    return cmocka_run_group_tests_name("client/options", tests, NULL, NULL);
}
