/* test_commands_set.c */
#include "commands_testing.h"

static void set_replaces_value_and_expiry(void **state)
{
    expect(*state, "SET k 1", "+OK\r\n");
    expect(*state, "SET k 2 EX 10", "+OK\r\n");
    expect(*state, "TTL k", ":10\r\n");
    expect(*state, "SET k 3", "+OK\r\n");
    expect(*state, "TTL k", ":-1\r\n");
    expect(*state, "GET k", "$1\r\n3\r\n");
}

static void every_kind_of_expiry_is_understood(void **state)
{
    struct commands_testing *testing = *state;
    testing->log_time_ms = 1700000000000;
    expect(testing, "SET k v EX 100", "+OK\r\n");
    expect(testing, "PEXPIRETIME k", ":1700000100000\r\n");
    expect(testing, "SET k v px 1", "+OK\r\n");
    expect(testing, "PEXPIRETIME k", ":1700000000001\r\n");
    expect(testing, "SET k v EXAT 1700000001", "+OK\r\n");
    expect(testing, "PEXPIRETIME k", ":1700000001000\r\n");
    expect(testing, "SET k v PxAt 1700000001234", "+OK\r\n");
    expect(testing, "PEXPIRETIME k", ":1700000001234\r\n");
    expect(testing, "SET k w KEEPTTL", "+OK\r\n");
    expect(testing, "PEXPIRETIME k", ":1700000001234\r\n");
    expect(testing, "GET k", "$1\r\nw\r\n");
    expect(testing, "SET k w EX 5 EX 6",
           "+OK\r\n"); /* the same word twice: the last one counts, as in Redis */
    expect(testing, "TTL k", ":6\r\n");
}

static void conditions_decide(void **state)
{
    expect(*state, "SET k v XX", "$-1\r\n");
    expect(*state, "EXISTS k", ":0\r\n");
    expect(*state, "SET k 1 nx", "+OK\r\n");
    expect(*state, "SET k 2 NX", "$-1\r\n");
    expect(*state, "GET k", "$1\r\n1\r\n");
    expect(*state, "SET k 2 XX EX 10", "+OK\r\n");
    expect(*state, "SET k 3 NX EX 99", "$-1\r\n");
    expect(*state, "TTL k", ":10\r\n");
}

static void get_returns_the_old_value_set_or_not(void **state)
{
    expect(*state, "SET k 1 GET", "$-1\r\n");
    expect(*state, "SET k 2 GET", "$1\r\n1\r\n");
    expect(*state, "SET k 3 GET NX", "$1\r\n2\r\n");
    expect(*state, "GET k", "$1\r\n2\r\n");
    expect(*state, "SET k 3 XX GET KEEPTTL", "$1\r\n2\r\n");
    expect(*state, "SET new 3 XX GET", "$-1\r\n");
    expect(*state, "EXISTS new", ":0\r\n");
    expect(*state, "SET new 3 GET NX", "$-1\r\n");
    expect(*state, "GET new", "$1\r\n3\r\n");
}

static void words_that_exclude_each_other_are_refused(void **state)
{
    static const char *const LINES[] = {
        "SET k v NX XX",
        "SET k v foo",
        "SET k v EX",
        "SET k v EX 10 PX 10",
        "SET k v EX 10 KEEPTTL",
        "SET k v KEEPTTL EX 10",
        "SET k v PXAT 10 EXAT 10",
        "SET k v PERSIST",
        "SET k v KEEPTTL KEEPTTL2",
        "SET k v GET EX",
        "SET k v \"ex\\x00\" 10",
    };
    for (size_t i = 0; i < sizeof LINES / sizeof LINES[0]; i++)
        expect(*state, LINES[i], "-ERR syntax error\r\n");
    expect(*state, "SET k", "-ERR wrong number of arguments for 'set' command\r\n");
    expect(*state, "DBSIZE", ":0\r\n");
}

static void wrong_times_are_refused(void **state)
{
    struct commands_testing *testing = *state;
    for (int pass = 0; pass < 2; pass++) { /* before the log, and again when applied */
        testing->skip_validation = pass == 1;
        expect(testing, "SET k v EX x", "-ERR value is not an integer or out of range\r\n");
        expect(testing, "SET k v EX 1.5", "-ERR value is not an integer or out of range\r\n");
        expect(testing, "SET k v EX \"\"", "-ERR value is not an integer or out of range\r\n");
        expect(testing, "SET k v EX 0", "-ERR invalid expire time in 'set' command\r\n");
        expect(testing, "SET k v PX -1", "-ERR invalid expire time in 'set' command\r\n");
        expect(testing, "SET k v EXAT 0", "-ERR invalid expire time in 'set' command\r\n");
        expect(testing, "SET k v EX 9223372036854776", "-ERR invalid expire time in 'set' command\r\n");
        expect(testing, "SETEX k 0 v", "-ERR invalid expire time in 'setex' command\r\n");
        expect(testing, "SETEX k x v", "-ERR value is not an integer or out of range\r\n");
        expect(testing, "PSETEX k -5 v", "-ERR invalid expire time in 'psetex' command\r\n");
    }
    /* These overflow only with the time added, so only applying can tell. */
    expect(testing, "SET k v EX 9223372036854775", "-ERR invalid expire time in 'set' command\r\n");
    expect(testing, "SET k v PX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n");
    expect(testing, "DBSIZE", ":0\r\n");
    expect(testing, "SET k v PXAT 9223372036854775807", "+OK\r\n");
    expect(testing, "PEXPIRETIME k", ":9223372036854775807\r\n");
}

static void an_expiry_that_has_passed_leaves_no_key(void **state)
{
    expect(*state, "SET k v", "+OK\r\n");
    expect(*state, "SET k w PXAT 1", "+OK\r\n");
    expect(*state, "GET k", "$-1\r\n");
    expect(*state, "DBSIZE", ":0\r\n");
    expect(*state, "SET k v", "+OK\r\n");
    expect(*state, "SET k w GET EXAT 1", "$1\r\nv\r\n");
    expect(*state, "DBSIZE", ":0\r\n");
}

static void an_expired_key_counts_as_absent_and_is_replaced_wholly(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "SET k v PX 10", "+OK\r\n");
    testing->log_time_ms += 10;
    expect(testing, "SET k w XX", "$-1\r\n");
    expect(testing, "SET k w GET KEEPTTL", "$-1\r\n");
    expect(testing, "TTL k", ":-1\r\n");
    expect(testing, "SET l v PX 10", "+OK\r\n");
    testing->log_time_ms += 10;
    expect(testing, "SETNX l w", ":1\r\n");
    expect(testing, "TTL l", ":-1\r\n");
}

static void older_forms_do_the_same(void **state)
{
    expect(*state, "SETNX k 1", ":1\r\n");
    expect(*state, "SETNX k 2", ":0\r\n");
    expect(*state, "SETEX k 10 3", "+OK\r\n");
    expect(*state, "TTL k", ":10\r\n");
    expect(*state, "PSETEX k 1500 4", "+OK\r\n");
    expect(*state, "PTTL k", ":1500\r\n");
    expect(*state, "GET k", "$1\r\n4\r\n");
}

static void getex_changes_the_expiry(void **state)
{
    expect(*state, "GETEX k EX 10", "$-1\r\n");
    expect(*state, "SET k v", "+OK\r\n");
    expect(*state, "GETEX k", "$1\r\nv\r\n");
    expect(*state, "TTL k", ":-1\r\n");
    expect(*state, "GETEX k EX 10", "$1\r\nv\r\n");
    expect(*state, "TTL k", ":10\r\n");
    expect(*state, "GETEX k", "$1\r\nv\r\n");
    expect(*state, "TTL k", ":10\r\n");
    expect(*state, "GETEX k PERSIST", "$1\r\nv\r\n");
    expect(*state, "TTL k", ":-1\r\n");
    expect(*state, "GETEX k PXAT 1", "$1\r\nv\r\n");
    expect(*state, "DBSIZE", ":0\r\n");
    expect(*state, "GETEX k EX x", "$-1\r\n");
    expect(*state, "SET k v", "+OK\r\n");
    expect(*state, "GETEX k EX x", "-ERR value is not an integer or out of range\r\n");
    expect(*state, "GETEX k EX 0", "-ERR invalid expire time in 'getex' command\r\n");
    expect(*state, "GETEX k EX 1 PERSIST", "-ERR syntax error\r\n");
    expect(*state, "GETEX k NX", "-ERR syntax error\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        commands_test(set_replaces_value_and_expiry),
        commands_test(every_kind_of_expiry_is_understood),
        commands_test(conditions_decide),
        commands_test(get_returns_the_old_value_set_or_not),
        commands_test(words_that_exclude_each_other_are_refused),
        commands_test(wrong_times_are_refused),
        commands_test(an_expiry_that_has_passed_leaves_no_key),
        commands_test(an_expired_key_counts_as_absent_and_is_replaced_wholly),
        commands_test(older_forms_do_the_same),
        commands_test(getex_changes_the_expiry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
