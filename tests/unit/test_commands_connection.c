/* test_commands_connection.c */
#include "commands_testing.h"

#define HELLO_2                                                                                              \
    "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:2\r\n$"          \
    "2\r\nid\r\n:7\r\n"                                                                                      \
    "$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$7\r\nreplica\r\n$7\r\nmodules\r\n*0\r\n"
#define HELLO_3                                                                                              \
    "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$"           \
    "2\r\nid\r\n:7\r\n"                                                                                      \
    "$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$7\r\nreplica\r\n$7\r\nmodules\r\n*0\r\n"
#define NO_PASSWORD                                                                                          \
    "-ERR AUTH <password> called without any password configured for the default user. "                     \
    "Are you sure your configuration is correct?\r\n"

static void ping_and_echo_answer(void **state)
{
    expect(*state, "PING", "+PONG\r\n");
    expect(*state, "ping \"a b\"", "$3\r\na b\r\n");
    expect(*state, "PING a b", "-ERR wrong number of arguments for 'ping' command\r\n");
    expect(*state, "ECHO \"\\r\\n\"", "$2\r\n\r\n\r\n");
    expect(*state, "ECHO", "-ERR wrong number of arguments for 'echo' command\r\n");
}

static void hello_changes_the_protocol(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "HELLO", HELLO_2);
    expect(testing, "HELLO 3", HELLO_3);
    assert_int_equal(testing->client.protocol, 3);
    expect(testing, "HELLO", HELLO_3);
    expect(testing, "HELLO 2 SETNAME me", HELLO_2);
    assert_int_equal(testing->client.protocol, 2);
    assert_string_equal(testing->client.name, "me");
}

static void hello_names_the_role(void **state)
{
    struct commands_testing *testing = *state;
    testing->node.leader_id = testing->node.node_id;
    assert_non_null(strstr(commands_run(testing, "HELLO"), "$4\r\nrole\r\n$6\r\nmaster\r\n"));
    testing->node.leader_id = 0;
    assert_non_null(strstr(commands_run(testing, "HELLO"), "$4\r\nrole\r\n$7\r\nreplica\r\n"));
}

static void a_wrong_hello_changes_nothing(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "HELLO 4", "-NOPROTO unsupported protocol version\r\n");
    expect(testing, "HELLO 1", "-NOPROTO unsupported protocol version\r\n");
    expect(testing, "HELLO x", "-ERR Protocol version is not an integer or out of range\r\n");
    expect(testing, "HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'\r\n");
    expect(testing, "HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'\r\n");
    expect(testing, "HELLO 3 AUTH a", "-ERR Syntax error in HELLO option 'AUTH'\r\n");
    expect(testing, "HELLO 3 SETNAME a FOO", "-ERR Syntax error in HELLO option 'FOO'\r\n");
    expect(testing, "HELLO 3 SETNAME \"a b\"",
           "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    expect(testing, "HELLO 3 AUTH foo bar",
           "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    expect(testing, "HELLO 3 AUTH default bar SETNAME x", NO_PASSWORD);
    assert_int_equal(testing->client.protocol, 2);
    assert_string_equal(testing->client.name, "");
}

static void auth_is_always_an_error(void **state)
{
    expect(*state, "AUTH secret", NO_PASSWORD);
    expect(*state, "AUTH default secret", NO_PASSWORD);
    expect(*state, "AUTH somebody secret",
           "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    expect(*state, "AUTH a b c", "-ERR syntax error\r\n");
    expect(*state, "AUTH", "-ERR wrong number of arguments for 'auth' command\r\n");
}

static void there_is_one_database(void **state)
{
    expect(*state, "SELECT 0", "+OK\r\n");
    expect(*state, "SELECT 1", "-ERR SELECT is not allowed in cluster mode\r\n");
    expect(*state, "SELECT -1", "-ERR SELECT is not allowed in cluster mode\r\n");
    expect(*state, "SELECT x", "-ERR value is not an integer or out of range\r\n");
    expect(*state, "SELECT 2147483648",
           "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n");
}

static void reset_makes_a_connection_new(void **state)
{
    struct commands_testing *testing = *state;
    commands_run(testing, "HELLO 3 SETNAME me");
    expect(testing, "READONLY", "+OK\r\n");
    expect(testing, "ASKING", "+OK\r\n");
    assert_true(testing->client.readonly);
    assert_true(testing->client.asking);
    expect(testing, "RESET", "+RESET\r\n");
    assert_int_equal(testing->client.protocol, 2);
    assert_string_equal(testing->client.name, "");
    assert_false(testing->client.readonly);
    assert_false(testing->client.asking);
    expect(testing, "CLIENT GETNAME", "$-1\r\n");
}

static void readonly_is_undone_by_readwrite(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "READONLY", "+OK\r\n");
    assert_true(testing->client.readonly);
    expect(testing, "READWRITE", "+OK\r\n");
    assert_false(testing->client.readonly);
}

static void quit_closes(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "PING", "+PONG\r\n");
    assert_false(testing->close_client);
    expect(testing, "QUIT", "+OK\r\n");
    assert_true(testing->close_client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        commands_test(ping_and_echo_answer),
        commands_test(hello_changes_the_protocol),
        commands_test(hello_names_the_role),
        commands_test(a_wrong_hello_changes_nothing),
        commands_test(auth_is_always_an_error),
        commands_test(there_is_one_database),
        commands_test(reset_makes_a_connection_new),
        commands_test(readonly_is_undone_by_readwrite),
        commands_test(quit_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
