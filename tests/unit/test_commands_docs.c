/* test_commands_docs.c: command_docs.c. A wrong syntax line in the table fails an assertion in COMMAND DOCS
 * itself. */
#include "commands_testing.h"

static void a_command_is_documented(void **state)
{
    expect(*state, "COMMAND DOCS strlen",
           "*2\r\n$6\r\nstrlen\r\n*10\r\n$7\r\nsummary\r\n$30\r\nTells a value's size in bytes.\r\n"
           "$5\r\nsince\r\n$5\r\n2.2.0\r\n$5\r\ngroup\r\n$6\r\nstring\r\n$10\r\ncomplexity\r\n$4\r\nO(1)\r\n"
           "$9\r\narguments\r\n*1\r\n*8\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n"
           "$12\r\ndisplay_text\r\n$3\r\nkey\r\n$14\r\nkey_spec_index\r\n:0\r\n");
    expect(*state, "COMMAND DOCS dbsize",
           "*2\r\n$6\r\ndbsize\r\n*8\r\n$7\r\nsummary\r\n$16\r\nCounts the "
           "keys.\r\n$5\r\nsince\r\n$5\r\n1.0.0\r\n"
           "$5\r\ngroup\r\n$6\r\nserver\r\n$10\r\ncomplexity\r\n$4\r\nO(1)\r\n");
}

static void unknown_names_are_left_out(void **state)
{
    expect(*state, "COMMAND DOCS nosuch", "*0\r\n");
    struct commands_testing *testing = *state;
    testing->client.protocol = 3;
    expect(testing, "COMMAND DOCS nosuch", "%0\r\n");
    assert_memory_equal(commands_run(testing, "COMMAND DOCS nosuch get client|id"), "%2\r\n$3\r\nget\r\n",
                        13);
}

static void arguments_are_a_tree(void **state)
{
    struct commands_testing *testing = *state;
    testing->client.protocol = 3;
    /* cursor [MATCH pattern] [COUNT count] [TYPE type] */
    const char *reply = commands_run(testing, "COMMAND DOCS scan");
    assert_non_null(strstr(
        reply,
        "$9\r\narguments\r\n*4\r\n%3\r\n$4\r\nname\r\n$6\r\ncursor\r\n$4\r\ntype\r\n$7\r\ninteger\r\n"));
    assert_non_null(strstr(
        reply, "%5\r\n$4\r\nname\r\n$7\r\npattern\r\n$4\r\ntype\r\n$7\r\npattern\r\n$12\r\ndisplay_text\r\n"
               "$7\r\npattern\r\n$5\r\ntoken\r\n$5\r\nMATCH\r\n$5\r\nflags\r\n~1\r\n+optional\r\n"));
    /* key seconds [NX | XX | GT | LT] */
    reply = commands_run(testing, "COMMAND DOCS expire");
    assert_non_null(strstr(
        reply,
        "%4\r\n$4\r\nname\r\n$6\r\noption\r\n$4\r\ntype\r\n$5\r\noneof\r\n$5\r\nflags\r\n~1\r\n+optional\r\n"
        "$9\r\narguments\r\n*4\r\n%3\r\n$4\r\nname\r\n$2\r\nnx\r\n$4\r\ntype\r\n$10\r\npure-token\r\n"
        "$5\r\ntoken\r\n$2\r\nNX\r\n"));
    /* key value [key value ...] */
    reply = commands_run(testing, "COMMAND DOCS mset");
    assert_non_null(strstr(
        reply, "$9\r\narguments\r\n*1\r\n%4\r\n$4\r\nname\r\n$4\r\ndata\r\n$4\r\ntype\r\n$5\r\nblock\r\n"
               "$5\r\nflags\r\n~1\r\n+multiple\r\n$9\r\narguments\r\n*2\r\n"));
    /* [section [section ...]] */
    reply = commands_run(testing, "COMMAND DOCS info");
    assert_non_null(strstr(reply, "$7\r\nsection\r\n$5\r\nflags\r\n~2\r\n+optional\r\n+multiple\r\n"));
    /* [protover [AUTH username password] [SETNAME clientname]] */
    reply = commands_run(testing, "COMMAND DOCS hello");
    assert_non_null(strstr(
        reply, "%5\r\n$4\r\nname\r\n$4\r\nauth\r\n$4\r\ntype\r\n$5\r\nblock\r\n$5\r\ntoken\r\n$4\r\nAUTH\r\n"
               "$5\r\nflags\r\n~1\r\n+optional\r\n$9\r\narguments\r\n*2\r\n"));
}

static void containers_document_their_subcommands(void **state)
{
    const char *reply = commands_run(*state, "COMMAND DOCS raft");
    assert_non_null(strstr(reply, "$11\r\nsubcommands\r\n*18\r\n$8\r\nraft|add\r\n"));
    assert_non_null(strstr(reply, "$11\r\nraft|status\r\n*8\r\n$7\r\nsummary\r\n"));
}

static void without_names_all_are_documented(void **state)
{
    uint32_t count;
    command_table(&count);
    const char *reply = commands_run(*state, "COMMAND DOCS");
    assert_int_equal(atoi(reply + 1), 2 * count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        commands_test(a_command_is_documented),
        commands_test(unknown_names_are_left_out),
        commands_test(arguments_are_a_tree),
        commands_test(containers_document_their_subcommands),
        commands_test(without_names_all_are_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
