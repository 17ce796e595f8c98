/* test_commands_string.c */
#include "commands_testing.h"

static void get_returns_what_is_there(void **state)
{
    expect(*state, "GET k", "$-1\r\n");
    expect(*state, "SET k \"a\\r\\n\\x00b\"", "+OK\r\n");
    commands_run(*state, "GET k");
    assert_memory_equal(byte_buffer_front(&((struct commands_testing *)*state)->out), "$5\r\na\r\n\0b\r\n",
                        11);
    expect(*state, "SET \"\" empty", "+OK\r\n");
    expect(*state, "GET \"\"", "$5\r\nempty\r\n");
    expect(*state, "SET e \"\"", "+OK\r\n");
    expect(*state, "GET e", "$0\r\n\r\n");
    expect(*state, "GET", "-ERR wrong number of arguments for 'get' command\r\n");
    expect(*state, "get a b", "-ERR wrong number of arguments for 'get' command\r\n");
}

static void nothing_is_null_in_either_protocol(void **state)
{
    struct commands_testing *testing = *state;
    testing->client.protocol = 3;
    expect(testing, "GET k", "_\r\n");
    expect(testing, "MGET k l", "*2\r\n_\r\n_\r\n");
}

static void mget_and_mset_take_many(void **state)
{
    expect(*state, "MSET a 1 b 2 a 3", "+OK\r\n");
    expect(*state, "MGET a b c a", "*4\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n$1\r\n3\r\n");
    expect(*state, "MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n");
    expect(*state, "MSET a", "-ERR wrong number of arguments for 'mset' command\r\n");
    expect(*state, "MGET", "-ERR wrong number of arguments for 'mget' command\r\n");
    expect(*state, "GET b", "$1\r\n2\r\n");
}

static void msetnx_sets_all_or_nothing(void **state)
{
    expect(*state, "MSETNX a 1 b 2", ":1\r\n");
    expect(*state, "MSETNX c 1 b 3", ":0\r\n");
    expect(*state, "EXISTS c", ":0\r\n");
    expect(*state, "GET b", "$1\r\n2\r\n");
    expect(*state, "MSETNX a 1 b", "-ERR wrong number of arguments for 'msetnx' command\r\n");
}

static void append_and_strlen_count_bytes(void **state)
{
    expect(*state, "STRLEN k", ":0\r\n");
    expect(*state, "APPEND k \"a\\x00\"", ":2\r\n");
    expect(*state, "APPEND k bc", ":4\r\n");
    expect(*state, "APPEND k \"\"", ":4\r\n");
    expect(*state, "STRLEN k", ":4\r\n");
    expect(*state, "APPEND new \"\"", ":0\r\n");
    expect(*state, "EXISTS new", ":1\r\n");
    expect(*state, "APPEND k", "-ERR wrong number of arguments for 'append' command\r\n");
}

static void append_keeps_the_expiry(void **state)
{
    expect(*state, "SET k v PX 5000", "+OK\r\n");
    expect(*state, "APPEND k w", ":2\r\n");
    expect(*state, "PTTL k", ":5000\r\n");
}

static void a_value_never_grows_over_the_limit(void **state)
{
    struct commands_testing *testing = *state;
    uint8_t *bytes = malloc(MAP_VALUE_BYTES_MAX + 1);
    assert_non_null(bytes);
    memset(bytes, 'x', MAP_VALUE_BYTES_MAX + 1);
    struct argument append[] = {
        {(const uint8_t *)"APPEND", 6}, {(const uint8_t *)"k", 1}, {bytes, MAP_VALUE_BYTES_MAX - 1}};
    assert_string_equal(commands_run_arguments(testing, append, 3), ":8388607\r\n");
    expect(testing, "APPEND k yz", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
    expect(testing, "APPEND k y", ":8388608\r\n");
    expect(testing, "APPEND k y", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
    expect(testing, "STRLEN k", ":8388608\r\n");
    struct argument set[] = {
        {(const uint8_t *)"SET", 3}, {(const uint8_t *)"k", 1}, {bytes, MAP_VALUE_BYTES_MAX + 1}};
    assert_string_equal(commands_run_arguments(testing, set, 3),
                        "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
    expect(testing, "STRLEN k", ":8388608\r\n");
    free(bytes);
}

static void one_mget_cannot_fill_the_memory(void **state)
{
    struct commands_testing *testing = *state;
    uint8_t *bytes = calloc(1, MAP_VALUE_BYTES_MAX);
    assert_non_null(bytes);
    const struct argument set[] = {
        {(const uint8_t *)"SET", 3}, {(const uint8_t *)"k", 1}, {bytes, MAP_VALUE_BYTES_MAX}};
    assert_string_equal(commands_run_arguments(testing, set, 3), "+OK\r\n");
    commands_run(testing, "MGET k k k k k k k");
    assert_true(byte_buffer_size(&testing->out) > (size_t)7 * MAP_VALUE_BYTES_MAX);
    expect(testing, "MGET k k k k k k k k k",
           "-ERR reply is too long: at most 67108864 bytes are possible\r\n");
    free(bytes);
}

static void getset_and_getdel_return_the_old_value(void **state)
{
    expect(*state, "GETSET k 1", "$-1\r\n");
    expect(*state, "EXPIRE k 100", ":1\r\n");
    expect(*state, "GETSET k 2", "$1\r\n1\r\n");
    expect(*state, "TTL k", ":-1\r\n");
    expect(*state, "GETDEL k", "$1\r\n2\r\n");
    expect(*state, "GETDEL k", "$-1\r\n");
    expect(*state, "DBSIZE", ":0\r\n");
}

static void a_changed_value_carries_the_version_of_its_command(void **state)
{
    struct commands_testing *testing = *state;
    struct map_value value;
    expect(testing, "MSET a 1 b 2", "+OK\r\n");
    expect(testing, "SET c 3", "+OK\r\n");
    expect(testing, "EXPIRE a 100", ":1\r\n");
    assert_true(map_get(testing->map, (const uint8_t *)"a", 1, &value));
    assert_int_equal(value.version.index, 3);
    assert_int_equal(value.version.command, 3);
    assert_true(map_get(testing->map, (const uint8_t *)"b", 1, &value));
    assert_int_equal(value.version.index, 1);
}

static void what_has_expired_is_not_there(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "MSET a 1 b 2 c 3 d 4", "+OK\r\n");
    expect(testing, "PEXPIRE a 10", ":1\r\n");
    expect(testing, "PEXPIRE b 10", ":1\r\n");
    expect(testing, "PEXPIRE c 10", ":1\r\n");
    testing->log_time_ms += 9;
    expect(testing, "GET a", "$1\r\n1\r\n");
    testing->log_time_ms += 1;
    expect(testing, "GET a", "$-1\r\n");
    expect(testing, "MGET a d", "*2\r\n$-1\r\n$1\r\n4\r\n");
    expect(testing, "STRLEN a", ":0\r\n");
    expect(testing, "GETDEL a", "$-1\r\n");
    expect(testing, "GETSET a x", "$-1\r\n");
    expect(testing, "APPEND b y", ":1\r\n");
    expect(testing, "TTL b", ":-1\r\n");
    expect(testing, "MSETNX c z e z", ":1\r\n");
    expect(testing, "MGET a b c", "*3\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n");
}

static void a_read_of_a_key_that_is_due_waits(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "SET k v PX 100", "+OK\r\n");
    expect(testing, "SET other v", "+OK\r\n");
    testing->clock_ms = testing->log_time_ms + 99;
    expect(testing, "GET k", "$1\r\nv\r\n");
    assert_false(testing->met_due_key);
    testing->clock_ms = testing->log_time_ms + 100;
    static const char *const READS[] = {"GET k", "MGET other k", "STRLEN k", "EXISTS other k",
                                        "TTL k", "TYPE k",       "SCAN 0"};
    for (size_t i = 0; i < sizeof READS / sizeof READS[0]; i++) {
        commands_run(testing, READS[i]);
        assert_true(testing->met_due_key);
    }
    commands_run(testing, "GET other");
    assert_false(testing->met_due_key);
    testing->cannot_wait = true; /* then log time alone says whether it is there */
    expect(testing, "GET k", "$1\r\nv\r\n");
    expect(testing, "PTTL k", ":0\r\n");
    assert_false(testing->met_due_key);
    testing->cannot_wait = false;
    testing->log_time_ms += 100; /* an entry has brought log time up to it */
    expect(testing, "GET k", "$-1\r\n");
    assert_false(testing->met_due_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        commands_test(get_returns_what_is_there),
        commands_test(nothing_is_null_in_either_protocol),
        commands_test(mget_and_mset_take_many),
        commands_test(msetnx_sets_all_or_nothing),
        commands_test(append_and_strlen_count_bytes),
        commands_test(append_keeps_the_expiry),
        commands_test(a_value_never_grows_over_the_limit),
        commands_test(one_mget_cannot_fill_the_memory),
        commands_test(getset_and_getdel_return_the_old_value),
        commands_test(a_changed_value_carries_the_version_of_its_command),
        commands_test(what_has_expired_is_not_there),
        commands_test(a_read_of_a_key_that_is_due_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
