/* test_commands_server.c */
#include "commands_testing.h"

static void config_answers_what_redis_tools_ask(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
    expect(testing, "CONFIG GET appendonly", "*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n");
    expect(testing, "config get SAVE append*",
           "*6\r\n$11\r\nappendfsync\r\n$6\r\nalways\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n$4\r\nsave\r\n$"
           "0\r\n\r\n");
    expect(testing, "CONFIG GET nothing", "*0\r\n");
    expect(testing, "CONFIG GET", "-ERR wrong number of arguments for 'config|get' command\r\n");
    expect(testing, "CONFIG SET save x", "-ERR unknown subcommand 'SET'. Try CONFIG HELP.\r\n");
    testing->client.protocol = 3;
    expect(testing, "CONFIG GET save", "%1\r\n$4\r\nsave\r\n$0\r\n\r\n");
}

static void time_is_seconds_and_microseconds(void **state)
{
    expect(*state, "TIME", "*2\r\n$10\r\n1700000000\r\n$6\r\n123000\r\n");
    expect(*state, "TIME x", "-ERR wrong number of arguments for 'time' command\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        commands_test(config_answers_what_redis_tools_ask),
        commands_test(time_is_seconds_and_microseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
