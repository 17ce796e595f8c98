/* test_commands_command.c: COMMAND and its subcommands; entries were compared with those of
 * redis-server 7.0.15. */
#include "commands_testing.h"

#include <stdio.h>

#define KEY_SPECIFICATION_2(last)                                                                            \
    "$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n"    \
    "$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n$7\r\nlastkey\r\n:" last      \
    "\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n"

#define GET_ENTRY                                                                                            \
    "*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n+@string\r\n+@" \
    "fast\r\n"                                                                                               \
    "*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n" KEY_SPECIFICATION_2("0") "*0\r\n"

static void an_entry_has_ten_elements(void **state)
{
    expect(*state, "COMMAND INFO get", "*1\r\n" GET_ENTRY);
    expect(*state, "COMMAND INFO GET nosuch get", "*3\r\n" GET_ENTRY "$-1\r\n" GET_ENTRY);
    expect(*state, "COMMAND INFO del",
           "*1\r\n*10\r\n$3\r\ndel\r\n:-2\r\n*1\r\n+write\r\n:1\r\n:-1\r\n:1\r\n*3\r\n+@keyspace\r\n+@"
           "write\r\n+@slow\r\n"
           "*2\r\n$26\r\nrequest_policy:multi_shard\r\n$23\r\nresponse_policy:agg_sum\r\n"
           "*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RM\r\n+delete\r\n" KEY_SPECIFICATION_2("-1") "*0\r\n");
}

static void resp3_has_sets_and_maps(void **state)
{
    struct commands_testing *testing = *state;
    testing->client.protocol = 3;
    expect(
        testing, "COMMAND INFO get",
        "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
        "~3\r\n+@read\r\n+@string\r\n+@fast\r\n~0\r\n"
        "~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+RO\r\n+access\r\n"
        "$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n%1\r\n$5\r\nindex\r\n:1\r\n"
        "$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n%3\r\n$7\r\nlastkey\r\n:0\r\n"
        "$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n~0\r\n");
    expect(testing, "COMMAND INFO nosuch", "*1\r\n_\r\n");
}

static void subcommands_have_entries_of_their_own(void **state)
{
    expect(*state, "COMMAND INFO \"client|SETNAME\"",
           "*1\r\n*10\r\n$14\r\nclient|setname\r\n:3\r\n*2\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n"
           "*2\r\n+@slow\r\n+@connection\r\n*0\r\n*0\r\n*0\r\n");
    expect(*state, "COMMAND INFO client|nosuch", "*1\r\n$-1\r\n");
    expect(*state, "COMMAND INFO get|x", "*1\r\n$-1\r\n");
    assert_non_null(strstr(commands_run(*state, "COMMAND INFO client"), "$11\r\nclient|list\r\n:-2\r\n"));
}

/* Reads one reply; returns what follows it. */
static const char *skip_reply(const char *at)
{
    const char *line_end = strstr(at, "\r\n");
    assert_non_null(line_end);
    const char *next = line_end + 2;
    long count = strtol(at + 1, NULL, 10);
    switch (*at) {
    case '+':
    case '-':
    case ':':
    case '_':
    case '#':
    case ',':
        return next;
    case '$':
    case '=':
        return count < 0 ? next : next + count + 2;
    case '%':
        count *= 2;
        break;
    case '*':
    case '~':
        break;
    default:
        fail_msg("not a reply: %.20s", at);
    }
    for (long i = 0; i < count; i++)
        next = skip_reply(next);
    return next;
}

static void the_whole_table_is_well_formed(void **state)
{
    struct commands_testing *testing = *state;
    static const char *const LINES[] = {"COMMAND", "COMMAND INFO", "COMMAND DOCS", "COMMAND LIST",
                                        "COMMAND HELP"};
    for (int protocol = 2; protocol <= 3; protocol++) {
        testing->client.protocol = protocol;
        for (size_t i = 0; i < sizeof LINES / sizeof LINES[0]; i++) {
            const char *reply = commands_run(testing, LINES[i]);
            assert_ptr_equal(skip_reply(reply), reply + byte_buffer_size(&testing->out));
        }
    }
}

static void all_commands_are_counted_and_listed(void **state)
{
    uint32_t count;
    command_table(&count);
    char expected[32];
    snprintf(expected, sizeof expected, ":%u\r\n", count);
    expect(*state, "COMMAND COUNT", expected);
    snprintf(expected, sizeof expected, "*%u\r\n", count);
    assert_memory_equal(commands_run(*state, "COMMAND"), expected, strlen(expected));
    const char *reply = commands_run(*state, "COMMAND LIST");
    assert_non_null(strstr(reply, "\r\n$3\r\nset\r\n"));
    assert_non_null(strstr(reply, "\r\n$14\r\nclient|setname\r\n"));
}

static void lists_are_filtered(void **state)
{
    expect(*state, "COMMAND LIST FILTERBY PATTERN *getset*", "*1\r\n$6\r\ngetset\r\n");
    expect(*state, "command list filterby pattern RAFT|S*", "*1\r\n$11\r\nraft|status\r\n");
    expect(*state, "COMMAND LIST FILTERBY MODULE x", "*0\r\n");
    expect(*state, "COMMAND LIST FILTERBY ACLCAT nosuch", "*0\r\n");
    const char *strings = commands_run(*state, "COMMAND LIST FILTERBY ACLCAT string");
    assert_non_null(strstr(strings, "\r\n$6\r\nincrby\r\n"));
    assert_null(strstr(strings, "\r\n$3\r\ndel\r\n"));
    expect(*state, "COMMAND LIST FILTERBY", "-ERR syntax error\r\n");
    expect(*state, "COMMAND LIST FILTERBY foo bar", "-ERR syntax error\r\n");
    expect(*state, "COMMAND LIST foo", "-ERR syntax error\r\n");
}

static void keys_are_picked_out(void **state)
{
    expect(*state, "COMMAND GETKEYS get k", "*1\r\n$1\r\nk\r\n");
    expect(*state, "COMMAND GETKEYS mset a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    expect(*state, "COMMAND GETKEYS mset a 1 b", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    expect(*state, "COMMAND GETKEYS del a b c", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    expect(*state, "COMMAND GETKEYS set k v EX 10", "*1\r\n$1\r\nk\r\n");
    expect(*state, "COMMAND GETKEYSANDFLAGS mset a b", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update\r\n");
    expect(*state, "COMMAND GETKEYS nosuch a", "-ERR Invalid command specified\r\n");
    expect(*state, "COMMAND GETKEYS ping a", "-ERR The command has no key arguments\r\n");
    expect(*state, "COMMAND GETKEYS get a b", "-ERR Invalid number of arguments specified for command\r\n");
    expect(*state, "COMMAND GETKEYS get", "-ERR wrong number of arguments for 'command|getkeys' command\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        commands_test(an_entry_has_ten_elements),
        commands_test(resp3_has_sets_and_maps),
        commands_test(subcommands_have_entries_of_their_own),
        commands_test(the_whole_table_is_well_formed),
        commands_test(all_commands_are_counted_and_listed),
        commands_test(lists_are_filtered),
        commands_test(keys_are_picked_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
