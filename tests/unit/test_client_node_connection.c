/* test_client_node_connection.c: one connection to one node. */
#include "client_fake_server.h"
#include "node_connection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char ping[] = "*1\r\n$4\r\nPING\r\n";

static struct endpoint local(uint16_t port)
{
    return (struct endpoint){.host = "127.0.0.1", .port = port};
}

static void a_request_is_answered(void **state)
{
    struct fake_server *server = fake_server_start();
    struct node_connection connection;
    struct endpoint peer = local(fake_server_port(server));
    struct deadline deadline = deadline_in(20000, -1);
    struct answer answer = {0};
    (void)state;
    fake_server_add(server, &(struct fake_rule){.command = "PING", .reply = ">1\r\n+news\r\n+PONG\r\n"});
    node_connection_init(&connection);
    assert_int_equal(node_connection_open(&connection, &peer, &deadline), NODE_CONNECTION_OK);
    assert_false(node_connection_is_stale(&connection));
    assert_int_equal(node_connection_send(&connection, ping, sizeof ping - 1, &deadline), NODE_CONNECTION_OK);
    assert_int_equal(node_connection_receive(&connection, &answer, &deadline), NODE_CONNECTION_OK);
    assert_string_equal(answer.text, "PONG");
    answer_deinit(&answer);
    node_connection_deinit(&connection);
    assert_int_equal(connection.fd, -1);
    fake_server_stop(server);
}

static void a_name_is_resolved(void **state)
{
    struct fake_server *server = fake_server_start();
    struct node_connection connection;
    struct endpoint peer = {.host = "localhost", .port = fake_server_port(server)};
    struct deadline deadline = deadline_in(20000, -1);
    (void)state;
    node_connection_init(&connection);
    /* Perhaps by way of ::1, where nobody listens. */
    assert_int_equal(node_connection_open(&connection, &peer, &deadline), NODE_CONNECTION_OK);
    node_connection_deinit(&connection);
    fake_server_stop(server);
}

static void failures_are_told_apart(void **state)
{
    struct fake_server *server = fake_server_start();
    struct node_connection connection;
    struct endpoint dead = local(fake_server_dead_port());
    struct endpoint peer = local(fake_server_port(server));
    struct deadline deadline = deadline_in(20000, -1);
    struct deadline soon = deadline_in(50, -1);
    struct answer answer;
    (void)state;
    fake_server_add(server, &(struct fake_rule){.command = "PING", .action = FAKE_SILENCE, .times = 1});
    fake_server_add(server, &(struct fake_rule){.command = "PING", .action = FAKE_CLOSE, .times = 1});
    node_connection_init(&connection);
    assert_int_equal(node_connection_open(&connection, &dead, &deadline), NODE_CONNECTION_FAILED);
    assert_non_null(strstr(connection.error, "refused"));
    assert_int_equal(node_connection_open(&connection, &peer, &deadline), NODE_CONNECTION_OK);
    assert_int_equal(node_connection_send(&connection, ping, sizeof ping - 1, &deadline), NODE_CONNECTION_OK);
    assert_int_equal(node_connection_receive(&connection, &answer, &soon), NODE_CONNECTION_TIMED_OUT);
    assert_int_equal(connection.fd, -1);
    assert_true(node_connection_is_stale(&connection));
    assert_int_equal(node_connection_open(&connection, &peer, &deadline), NODE_CONNECTION_OK);
    while (fake_server_count(server, "PING") == 0) { /* the first must have used its rule */
    }
    assert_int_equal(node_connection_send(&connection, ping, sizeof ping - 1, &deadline), NODE_CONNECTION_OK);
    assert_int_equal(node_connection_receive(&connection, &answer, &deadline), NODE_CONNECTION_FAILED);
    assert_non_null(strstr(connection.error, "closed the connection"));
    node_connection_deinit(&connection);
    fake_server_stop(server);
}

static void an_answer_larger_than_allowed_is_an_error(void **state)
{
    struct fake_server *server = fake_server_start();
    struct node_connection connection;
    struct endpoint peer = local(fake_server_port(server));
    struct deadline deadline = deadline_in(20000, -1);
    struct answer answer;
    (void)state;
    fake_server_add(server, &(struct fake_rule){.command = "PING", .reply = "$999999999999\r\nx"});
    node_connection_init(&connection);
    assert_int_equal(node_connection_open(&connection, &peer, &deadline), NODE_CONNECTION_OK);
    assert_int_equal(node_connection_send(&connection, ping, sizeof ping - 1, &deadline), NODE_CONNECTION_OK);
    assert_int_equal(node_connection_receive(&connection, &answer, &deadline), NODE_CONNECTION_FAILED);
    assert_non_null(strstr(connection.error, "over the limit"));
    node_connection_deinit(&connection);
    fake_server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered),
        cmocka_unit_test(a_name_is_resolved),
        cmocka_unit_test(failures_are_told_apart),
        cmocka_unit_test(an_answer_larger_than_allowed_is_an_error),
    };
    return cmocka_run_group_tests_name("client/node_connection", tests, NULL, NULL);
}
