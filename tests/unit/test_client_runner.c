/* test_client_runner.c: what is printed and with which code kvcli ends. */
#include "client_fake_server.h"
#include "runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct fake_server *server;
    struct cluster_client client;
    struct runner runner;
    char *out;
    size_t out_size;
    char *error;
    size_t error_size;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    const struct cluster_client_options options = {.timeout_ms = 20000, .protocol = 3, .cancel_fd = -1};
    struct endpoint_list nodes = {.count = 1};
    memset(&fixture, 0, sizeof fixture);
    fixture.server = fake_server_start();
    nodes.items[0] = (struct endpoint){.host = "127.0.0.1", .port = fake_server_port(fixture.server)};
    cluster_client_init(&fixture.client, &nodes, &options);
    fixture.runner = (struct runner){.client = &fixture.client,
                                     .form = OUTPUT_RAW,
                                     .out = open_memstream(&fixture.out, &fixture.out_size),
                                     .error = open_memstream(&fixture.error, &fixture.error_size)};
    fake_server_add(fixture.server, &(struct fake_rule){.command = "GET", .reply = "$3\r\na\"b\r\n"});
    fake_server_add(fixture.server, &(struct fake_rule){.command = "INCR", .reply = "-WRONGTYPE no\r\n"});
    fake_server_add(fixture.server, &(struct fake_rule){.command = "DEL", .reply = "-UNKNOWN lost\r\n"});
    fake_server_add(fixture.server, &(struct fake_rule){.command = "INFO", .reply = "$5\r\na:1\r\n\r\n"});
    fake_server_add(
        fixture.server,
        &(struct fake_rule){.command = "MGET", .reply = "-CLUSTERDOWN x\r\n", .action = FAKE_CLOSE});
    fake_server_add(fixture.server,
                    &(struct fake_rule){.command = "HELLO", .reply = "%1\r\n+proto\r\n:3\r\n"});
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    cluster_client_deinit(&fixture->client);
    fclose(fixture->runner.out);
    fclose(fixture->runner.error);
    free(fixture->out);
    free(fixture->error);
    fake_server_stop(fixture->server);
    return 0;
}

/* Runs these lines as from standard input; what was printed before is forgotten. */
static int run(struct fixture *fixture, enum output_form form, const char *lines)
{
    char *text = strdup(lines);
    FILE *input = fmemopen(text, strlen(text), "r");
    fixture->runner.form = form;
    fseek(fixture->runner.out, 0, SEEK_SET);
    fseek(fixture->runner.error, 0, SEEK_SET);
    int exit_code = runner_execute_lines(&fixture->runner, input);
    fputc('\0', fixture->runner.out);
    fputc('\0', fixture->runner.error);
    fflush(fixture->runner.out);
    fflush(fixture->runner.error);
    fclose(input);
    free(text);
    return exit_code;
}

static void replies_go_to_one_stream_and_errors_to_the_other(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, OUTPUT_RAW, "get k\n"), EXIT_CODE_OK);
    assert_string_equal(fixture->out, "a\"b\n");
    assert_string_equal(fixture->error, "");
    assert_int_equal(run(fixture, OUTPUT_HUMAN, "get k\n"), EXIT_CODE_OK);
    assert_string_equal(fixture->out, "\"a\\\"b\"\n");
    assert_int_equal(run(fixture, OUTPUT_RAW, "incr k\n"), EXIT_CODE_SERVER_ERROR);
    assert_string_equal(fixture->out, "");
    assert_string_equal(fixture->error, "(error) WRONGTYPE no\n");
    assert_int_equal(run(fixture, OUTPUT_HUMAN, "info\n"), EXIT_CODE_OK);
    assert_string_equal(fixture->out, "a:1\n");
}

static void json_says_what_came_of_it(void **state)
{
    struct fixture *fixture = *state;
    char expected[200];
    unsigned port = fake_server_port(fixture->server);
    assert_int_equal(run(fixture, OUTPUT_JSON, "get k\n"), EXIT_CODE_OK);
    snprintf(expected, sizeof expected,
             "{\"outcome\":\"ok\",\"reply\":\"a\\\"b\",\"node\":\"127.0.0.1:%u\"}\n", port);
    assert_string_equal(fixture->out, expected);
    assert_int_equal(run(fixture, OUTPUT_JSON, "incr k\n"), EXIT_CODE_SERVER_ERROR);
    snprintf(expected, sizeof expected,
             "{\"outcome\":\"error\",\"error\":{\"code\":\"WRONGTYPE\",\"message\":\"WRONGTYPE "
             "no\"},\"node\":\"127.0.0.1:%u\"}\n",
             port);
    assert_string_equal(fixture->out, expected);
    assert_int_equal(run(fixture, OUTPUT_JSON, "del k\n"), EXIT_CODE_UNKNOWN);
    assert_non_null(strstr(fixture->out, "{\"outcome\":\"unknown\",\"error\":{\"code\":\"UNKNOWN\""));
    /* After the refusal no request is under way when the time is over. */
    fake_server_add(fixture->server, &(struct fake_rule){.command = "CLUSTER", .action = FAKE_SILENCE});
    fixture->client.options.timeout_ms = 2000;
    assert_int_equal(run(fixture, OUTPUT_JSON, "mget k\n"), EXIT_CODE_NOT_EXECUTED);
    assert_non_null(
        strstr(fixture->out, "{\"outcome\":\"not_executed\",\"error\":{\"code\":\"CLUSTERDOWN\""));
}

static void lines_stop_where_an_outcome_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, OUTPUT_RAW, "incr k\n\nset a b\ndel k\nset c d\n"), EXIT_CODE_UNKNOWN);
    assert_string_equal(fixture->out, "OK\n");
    assert_non_null(strstr(fixture->error, "OUTCOME UNKNOWN"));
    assert_non_null(strstr(fixture->error, "stopped at line 4"));
    assert_int_equal(fake_server_count(fixture->server, "SET"), 1);
}

static void lines_go_on_after_errors_and_the_highest_code_counts(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, OUTPUT_RAW, "incr k\n\"bad\nget k"), EXIT_CODE_USAGE);
    assert_string_equal(fixture->out, "a\"b\n");
    assert_non_null(strstr(fixture->error, "line 2: unbalanced quotes"));
    assert_int_equal(run(fixture, OUTPUT_RAW, " \n"), EXIT_CODE_OK);
}

static void people_are_told_of_redirects(void **state)
{
    struct fixture *fixture = *state;
    char expected[100];
    unsigned port = fake_server_port(fixture->server);
    fake_server_add_format(fixture->server, "SET", 1, "-MOVED 1 :%u\r\n", port);
    fixture->runner.interactive = true;
    run(fixture, OUTPUT_HUMAN, "set k v\nincr k\n");
    snprintf(expected, sizeof expected, "-> redirected to 127.0.0.1:%u\nOK\n(error) WRONGTYPE no\n", port);
    assert_string_equal(fixture->out, expected);
    assert_string_equal(fixture->error, "");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(replies_go_to_one_stream_and_errors_to_the_other),
        CASE(json_says_what_came_of_it),
        CASE(lines_stop_where_an_outcome_is_unknown),
        CASE(lines_go_on_after_errors_and_the_highest_code_counts),
        CASE(people_are_told_of_redirects),
    };
    return cmocka_run_group_tests_name("client/runner", tests, NULL, NULL);
}
