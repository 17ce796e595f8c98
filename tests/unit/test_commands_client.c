/* test_commands_client.c */
#include "commands_testing.h"

#include <stdio.h>

#define OWN_LINE                                                                                             \
    "id=7 addr=127.0.0.1:50412 laddr=127.0.0.1:7001 fd=9 name= age=10 idle=2 flags=N db=0 sub=0 psub=0 "     \
    "ssub=0 "                                                                                                \
    "multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=NULL "     \
    "user=default redir=-1 resp=2 lib-name= lib-ver= queued=0\n"

static void a_connection_has_a_number_and_a_name(void **state)
{
    expect(*state, "CLIENT ID", ":7\r\n");
    expect(*state, "CLIENT GETNAME", "$-1\r\n");
    expect(*state, "CLIENT SETNAME me", "+OK\r\n");
    expect(*state, "client getname", "$2\r\nme\r\n");
    expect(*state, "CLIENT SETNAME \"\"", "+OK\r\n");
    expect(*state, "CLIENT GETNAME", "$-1\r\n");
}

static void a_name_is_one_visible_word_that_fits(void **state)
{
    char line[300] = "CLIENT SETNAME ";
    expect(*state, "CLIENT SETNAME \"a b\"",
           "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    expect(*state, "CLIENT SETNAME \"a\\n\"",
           "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    memset(line + 15, 'x', 127);
    expect(*state, line, "+OK\r\n");
    memset(line + 15, 'x', 128);
    expect(*state, line, "-ERR Client names cannot be longer than 127 bytes.\r\n");
    assert_int_equal(strlen(((struct commands_testing *)*state)->client.name), 127);
}

static void libraries_say_who_they_are(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "CLIENT SETINFO LIB-NAME redis-py", "+OK\r\n");
    expect(testing, "CLIENT SETINFO lib-ver 5.0.1", "+OK\r\n");
    assert_string_equal(testing->client.library_name, "redis-py");
    assert_string_equal(testing->client.library_version, "5.0.1");
    expect(testing, "CLIENT SETINFO foo bar", "-ERR Unrecognized option 'foo'\r\n");
    expect(testing, "CLIENT SETINFO lib-name \"a b\"",
           "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n");
    assert_string_equal(testing->client.library_name, "redis-py");
}

static void info_is_one_line(void **state)
{
    char expected[600];
    snprintf(expected, sizeof expected, "$%zu\r\n%s\r\n", strlen(OWN_LINE), OWN_LINE);
    expect(*state, "CLIENT INFO", expected);
    expect(*state, "CLIENT LIST", expected);
    struct commands_testing *testing = *state;
    testing->client.protocol = 3;
    assert_memory_equal(commands_run(testing, "CLIENT LIST"), "=", 1);
    assert_non_null(strstr((const char *)byte_buffer_front(&testing->out), "\r\ntxt:id=7 "));
}

static void list_selects(void **state)
{
    char expected[600];
    snprintf(expected, sizeof expected, "$%zu\r\n%s\r\n", strlen(OWN_LINE), OWN_LINE);
    expect(*state, "CLIENT LIST TYPE normal", expected);
    expect(*state, "CLIENT LIST ID 5 7", expected);
    expect(*state, "CLIENT LIST ID 5", "$0\r\n\r\n");
    expect(*state, "CLIENT LIST TYPE replica", "$0\r\n\r\n");
    expect(*state, "CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'\r\n");
    expect(*state, "CLIENT LIST TYPE", "-ERR syntax error\r\n");
    expect(*state, "CLIENT LIST ID", "-ERR syntax error\r\n");
    expect(*state, "CLIENT LIST ID x", "-ERR Invalid client ID\r\n");
    expect(*state, "CLIENT LIST ID 0", "-ERR Invalid client ID\r\n");
    expect(*state, "CLIENT LIST foo", "-ERR syntax error\r\n");
}

static void eviction_never_happens(void **state)
{
    expect(*state, "CLIENT NO-EVICT on", "+OK\r\n");
    expect(*state, "CLIENT NO-EVICT OFF", "+OK\r\n");
    expect(*state, "CLIENT NO-EVICT x", "-ERR syntax error\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        commands_test(a_connection_has_a_number_and_a_name),
        commands_test(a_name_is_one_visible_word_that_fits),
        commands_test(libraries_say_who_they_are),
        commands_test(info_is_one_line),
        commands_test(list_selects),
        commands_test(eviction_never_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
