/* test_commands_expiry.c */
#include "commands_testing.h"

static void expire_counts_from_log_time(void **state)
{
    struct commands_testing *testing = *state;
    testing->log_time_ms = 1700000000000;
    expect(testing, "EXPIRE k 10", ":0\r\n");
    expect(testing, "SET k v", "+OK\r\n");
    expect(testing, "EXPIRE k 10", ":1\r\n");
    expect(testing, "PEXPIRETIME k", ":1700000010000\r\n");
    expect(testing, "PEXPIRE k 1500", ":1\r\n");
    expect(testing, "PEXPIRETIME k", ":1700000001500\r\n");
    expect(testing, "EXPIREAT k 1700000002", ":1\r\n");
    expect(testing, "PEXPIRETIME k", ":1700000002000\r\n");
    expect(testing, "PEXPIREAT k 1700000003003", ":1\r\n");
    expect(testing, "PEXPIRETIME k", ":1700000003003\r\n");
    expect(testing, "GET k", "$1\r\nv\r\n");
}

static void seconds_are_rounded_to_the_nearest(void **state)
{
    struct commands_testing *testing = *state;
    testing->log_time_ms = 1700000000000;
    expect(testing, "TTL k", ":-2\r\n");
    expect(testing, "PTTL k", ":-2\r\n");
    expect(testing, "EXPIRETIME k", ":-2\r\n");
    expect(testing, "SET k v", "+OK\r\n");
    expect(testing, "TTL k", ":-1\r\n");
    expect(testing, "PTTL k", ":-1\r\n");
    expect(testing, "PEXPIRETIME k", ":-1\r\n");
    expect(testing, "PEXPIRE k 1499", ":1\r\n");
    expect(testing, "TTL k", ":1\r\n");
    expect(testing, "PTTL k", ":1499\r\n");
    expect(testing, "EXPIRETIME k", ":1700000001\r\n");
    expect(testing, "PEXPIRE k 1500", ":1\r\n");
    expect(testing, "TTL k", ":2\r\n");
    expect(testing, "EXPIRETIME k", ":1700000002\r\n");
    testing->clock_ms = testing->log_time_ms + 1499; /* what is left is told by the reader's clock */
    expect(testing, "PTTL k", ":1\r\n");
    expect(testing, "TTL k", ":0\r\n");
    assert_false(testing->met_due_key);
}

static void an_expiry_that_has_passed_removes_the_key_at_once(void **state)
{
    static const char *const LINES[] = {"EXPIRE k 0",
                                        "EXPIRE k -1",
                                        "PEXPIRE k 0",
                                        "EXPIREAT k 1",
                                        "PEXPIREAT k -5",
                                        "PEXPIREAT k 0",
                                        "EXPIRE k -9223372036854775"};
    for (size_t i = 0; i < sizeof LINES / sizeof LINES[0]; i++) {
        expect(*state, "SET k v", "+OK\r\n");
        expect(*state, LINES[i], ":1\r\n");
        expect(*state, "DBSIZE", ":0\r\n");
        expect(*state, LINES[i], ":0\r\n");
    }
}

static void conditions_compare_the_times(void **state)
{
    expect(*state, "SET k v", "+OK\r\n");
    expect(*state, "EXPIRE k 100 XX", ":0\r\n");
    expect(*state, "EXPIRE k 100 GT", ":0\r\n"); /* without an expiry it lives longest */
    expect(*state, "EXPIRE k 100 LT", ":1\r\n");
    expect(*state, "EXPIRE k 200 NX", ":0\r\n");
    expect(*state, "EXPIRE k 100 GT", ":0\r\n");
    expect(*state, "EXPIRE k 101 gt", ":1\r\n");
    expect(*state, "EXPIRE k 101 LT", ":0\r\n");
    expect(*state, "EXPIRE k 50 LT XX", ":1\r\n");
    expect(*state, "TTL k", ":50\r\n");
    expect(*state, "EXPIRE k 60 XX GT", ":1\r\n");
    expect(*state, "PERSIST k", ":1\r\n");
    expect(*state, "EXPIRE k 10 NX", ":1\r\n");
    expect(*state, "EXPIRE k -1 GT", ":0\r\n");
    expect(*state, "EXPIRE k -1 LT", ":1\r\n");
    expect(*state, "DBSIZE", ":0\r\n");
}

static void wrong_words_and_times_are_refused(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "SET k v", "+OK\r\n");
    for (int pass = 0; pass < 2; pass++) {
        testing->skip_validation = pass == 1;
        expect(testing, "EXPIRE k x", "-ERR value is not an integer or out of range\r\n");
        expect(testing, "EXPIRE k 1 foo", "-ERR Unsupported option foo\r\n");
        expect(testing, "EXPIRE k x foo", "-ERR Unsupported option foo\r\n");
        expect(testing, "EXPIRE k 1 NX XX",
               "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n");
        expect(testing, "EXPIRE k 1 NX LT",
               "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n");
        expect(testing, "EXPIRE k 1 GT LT", "-ERR GT and LT options at the same time are not compatible\r\n");
        expect(testing, "EXPIRE k 9223372036854776", "-ERR invalid expire time in 'expire' command\r\n");
        expect(testing, "EXPIRE k -9223372036854776", "-ERR invalid expire time in 'expire' command\r\n");
        expect(testing, "EXPIREAT k 9223372036854776", "-ERR invalid expire time in 'expireat' command\r\n");
        expect(testing, "PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command\r\n");
        expect(testing, "EXPIRE k 9223372036854775", "-ERR invalid expire time in 'expire' command\r\n");
    }
    expect(testing, "EXPIRE k", "-ERR wrong number of arguments for 'expire' command\r\n");
    expect(testing, "TTL k", ":-1\r\n");
    expect(testing, "PEXPIREAT k 9223372036854775807", ":1\r\n");
    expect(testing, "PEXPIRETIME k", ":9223372036854775807\r\n");
}

static void persist_takes_the_expiry_away(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "PERSIST k", ":0\r\n");
    expect(testing, "SET k v PX 100", "+OK\r\n");
    expect(testing, "PERSIST k", ":1\r\n");
    expect(testing, "PERSIST k", ":0\r\n");
    expect(testing, "TTL k", ":-1\r\n");
    expect(testing, "PEXPIRE k 100", ":1\r\n");
    testing->log_time_ms += 100;
    expect(testing, "PERSIST k", ":0\r\n");
    expect(testing, "EXPIRE k 10", ":0\r\n");
    expect(testing, "GET k", "$-1\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        commands_test(expire_counts_from_log_time),
        commands_test(seconds_are_rounded_to_the_nearest),
        commands_test(an_expiry_that_has_passed_removes_the_key_at_once),
        commands_test(conditions_compare_the_times),
        commands_test(wrong_words_and_times_are_refused),
        commands_test(persist_takes_the_expiry_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
