/* test_commands_counter.c */
#include "commands_testing.h"

static void counters_count(void **state)
{
    expect(*state, "INCR n", ":1\r\n");
    expect(*state, "INCRBY n 10", ":11\r\n");
    expect(*state, "DECR n", ":10\r\n");
    expect(*state, "DECRBY n 15", ":-5\r\n");
    expect(*state, "INCRBY n -5", ":-10\r\n");
    expect(*state, "DECRBY n -20", ":10\r\n");
    expect(*state, "GET n", "$2\r\n10\r\n");
    expect(*state, "DECR m", ":-1\r\n");
}

static void only_integers_in_their_one_form_count(void **state)
{
    static const char *const VALUES[] = {"x",      "1.5",  "01", "+1",
                                         "\" 1\"", "\"\"", "-0", "9223372036854775808"};
    for (size_t i = 0; i < sizeof VALUES / sizeof VALUES[0]; i++) {
        char line[64] = "SET n ";
        strcat(line, VALUES[i]);
        expect(*state, line, "+OK\r\n");
        expect(*state, "INCR n", "-ERR value is not an integer or out of range\r\n");
        expect(*state, "DEL n", ":1\r\n");
        strcpy(line, "INCRBY n ");
        strcat(line, VALUES[i]);
        expect(*state, line, "-ERR value is not an integer or out of range\r\n");
        memcpy(line, "DECRBY", 6);
        expect(*state, line, "-ERR value is not an integer or out of range\r\n");
    }
    expect(*state, "DBSIZE", ":0\r\n");
}

static void nothing_overflows(void **state)
{
    expect(*state, "SET n 9223372036854775807", "+OK\r\n");
    expect(*state, "INCR n", "-ERR increment or decrement would overflow\r\n");
    expect(*state, "DECRBY n -1", "-ERR increment or decrement would overflow\r\n");
    expect(*state, "GET n", "$19\r\n9223372036854775807\r\n");
    expect(*state, "SET n -9223372036854775808", "+OK\r\n");
    expect(*state, "DECR n", "-ERR increment or decrement would overflow\r\n");
    expect(*state, "INCRBY n 9223372036854775807", ":-1\r\n");
    expect(*state, "DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n");
    expect(*state, "INCRBY n -9223372036854775808", "-ERR increment or decrement would overflow\r\n");
}

static void what_is_wrong_is_wrong_when_applied_too(void **state)
{
    struct commands_testing *testing = *state;
    testing->skip_validation = true;
    expect(testing, "INCRBY n x", "-ERR value is not an integer or out of range\r\n");
    expect(testing, "DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n");
    expect(testing, "INCR", "-ERR wrong number of arguments for 'incr' command\r\n");
    expect(testing, "DBSIZE", ":0\r\n");
}

static void a_counter_keeps_its_expiry_until_it_has_passed(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "SET n 5 PX 100", "+OK\r\n");
    expect(testing, "INCR n", ":6\r\n");
    expect(testing, "PTTL n", ":100\r\n");
    testing->log_time_ms += 100;
    expect(testing, "INCR n", ":1\r\n");
    expect(testing, "PTTL n", ":-1\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        commands_test(counters_count),
        commands_test(only_integers_in_their_one_form_count),
        commands_test(nothing_overflows),
        commands_test(what_is_wrong_is_wrong_when_applied_too),
        commands_test(a_counter_keeps_its_expiry_until_it_has_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
