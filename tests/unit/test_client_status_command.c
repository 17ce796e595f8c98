/* test_client_status_command.c: kvcli status, once and watching. */
#include "client_fake_server.h"
#include "client_terminal.h"
#include "status_command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char leader[] = "node_id:1\nrole:leader\nterm:4\nleader_id:1\ncommit_index:9\napplied_index:9\n";
static const char damaged[] = "node_id:1\nrole:leader\nterm:4\nleader_id:1\ndamage:log entry 7\n";
static const char low_on_space[] = "node_id:1\nrole:leader\nterm:4\nleader_id:1\nlow_space:yes\n";
static const char follower[] = "node_id:1\nrole:follower\nterm:4\nleader_id:0\n";

static struct fake_server *server_that_says(const char *text)
{
    struct fake_server *server = fake_server_start();
    fake_server_add_format(server, "RAFT", 0, "$%zu\r\n%s\r\n", strlen(text), text);
    return server;
}

static struct endpoint_list nodes_of(uint16_t port)
{
    struct endpoint_list nodes = {.count = 1};
    nodes.items[0] = (struct endpoint){.host = "127.0.0.1", .port = port};
    return nodes;
}

static int look(uint16_t port, enum output_form form, char *text, size_t text_bytes)
{
    struct endpoint_list nodes = nodes_of(port);
    FILE *out = tmpfile();
    assert_non_null(out);
    int exit_code = status_command_once(&nodes, 20000, form, out);
    rewind(out);
    text[fread(text, 1, text_bytes - 1, out)] = '\0';
    fclose(out);
    return exit_code;
}

static void exit_codes_tell_the_health(void **state)
{
    char text[4000];
    struct fake_server *server = server_that_says(leader);
    (void)state;
    assert_int_equal(look(fake_server_port(server), OUTPUT_HUMAN, text, sizeof text), EXIT_CODE_OK);
    assert_non_null(strstr(text, "healthy: 1 of 1 node is up, node 1 leads term 4\n"));
    assert_int_equal(look(fake_server_port(server), OUTPUT_JSON, text, sizeof text), EXIT_CODE_OK);
    assert_memory_equal(text, "{\"health\":\"healthy\"", 19);
    fake_server_stop(server);
    server = server_that_says(damaged);
    assert_int_equal(look(fake_server_port(server), OUTPUT_HUMAN, text, sizeof text), EXIT_CODE_SERVER_ERROR);
    assert_non_null(strstr(text, "degraded: 1 of 1 node is up"));
    fake_server_stop(server);
    server = server_that_says(low_on_space);
    assert_int_equal(look(fake_server_port(server), OUTPUT_JSON, text, sizeof text), EXIT_CODE_SERVER_ERROR);
    assert_memory_equal(text, "{\"health\":\"degraded\"", 20);
    fake_server_stop(server);
    server = server_that_says(follower);
    assert_int_equal(look(fake_server_port(server), OUTPUT_HUMAN, text, sizeof text), EXIT_CODE_NOT_EXECUTED);
    assert_non_null(strstr(text, "no leader"));
    fake_server_stop(server);
    assert_int_equal(look(fake_server_dead_port(), OUTPUT_HUMAN, text, sizeof text), EXIT_CODE_NOT_EXECUTED);
    assert_null(strstr(text, "\033"));
}

static int run_watch(uint16_t port)
{
    const struct options options = {.interval_ms = 10, .output = OUTPUT_AUTOMATIC};
    struct endpoint_list nodes = nodes_of(port);
    return status_command_watch(&nodes, &options, stdout);
}

static void watch(const char *key)
{
    struct client_terminal terminal;
    client_terminal_begin(&terminal, run_watch);
    struct fake_server *server = server_that_says(leader);
    client_terminal_set_port(&terminal, fake_server_port(server));
    client_terminal_expect(&terminal, "\033[?1049h");
    client_terminal_expect(&terminal, "healthy");
    client_terminal_expect(&terminal, "healthy");
    client_terminal_type(&terminal, key);
    client_terminal_expect(&terminal, "\033[?1049l"); /* the screen as it was */
    assert_int_equal(client_terminal_end(&terminal), EXIT_CODE_OK);
    fake_server_stop(server);
}

static void watching_ends_with_q(void **state)
{
    (void)state;
    watch("xq");
}

static void watching_ends_with_control_c(void **state)
{
    (void)state;
    watch("\003");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watching_ends_with_q),
        cmocka_unit_test(watching_ends_with_control_c),
        cmocka_unit_test(exit_codes_tell_the_health),
    };
    return cmocka_run_group_tests_name("client/status_command", tests, NULL, NULL);
}
