/* test_commands_generic.c */
#include "commands_testing.h"

#include <stdio.h>

static void del_and_exists_count_keys(void **state)
{
    expect(*state, "MSET a 1 b 2 c 3", "+OK\r\n");
    expect(*state, "EXISTS a a x", ":2\r\n");
    expect(*state, "TOUCH a b x", ":2\r\n");
    expect(*state, "DEL a a x", ":1\r\n");
    expect(*state, "UNLINK b c", ":2\r\n");
    expect(*state, "DBSIZE", ":0\r\n");
    expect(*state, "DEL", "-ERR wrong number of arguments for 'del' command\r\n");
}

static void deleting_what_has_expired_counts_nothing(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "SET k v PX 1", "+OK\r\n");
    testing->log_time_ms += 1;
    expect(testing, "EXISTS k", ":0\r\n");
    expect(testing, "DBSIZE", ":1\r\n"); /* present until it is purged, as in Redis */
    expect(testing, "DEL k", ":0\r\n");
    expect(testing, "DBSIZE", ":0\r\n");
}

static void type_names_the_kind(void **state)
{
    expect(*state, "TYPE k", "+none\r\n");
    expect(*state, "SET k v", "+OK\r\n");
    expect(*state, "TYPE k", "+string\r\n");
}

static void flushing_removes_everything(void **state)
{
    static const char *const LINES[] = {"FLUSHALL", "flushall async", "FLUSHALL SYNC", "FLUSHDB",
                                        "FLUSHDB ASYNC"};
    for (size_t i = 0; i < sizeof LINES / sizeof LINES[0]; i++) {
        expect(*state, "MSET a 1 b 2", "+OK\r\n");
        expect(*state, LINES[i], "+OK\r\n");
        expect(*state, "DBSIZE", ":0\r\n");
        expect(*state, "GET a", "$-1\r\n");
    }
    expect(*state, "SET a 1", "+OK\r\n");
    expect(*state, "FLUSHALL foo", "-ERR syntax error\r\n");
    expect(*state, "FLUSHALL ASYNC SYNC", "-ERR syntax error\r\n");
    expect(*state, "DBSIZE", ":1\r\n");
}

/* Walks to the end and marks which of key:0 ... key:99 it saw. */
static void scan_all(struct commands_testing *testing, const char *options, int seen[100])
{
    char cursor[32] = "0";
    memset(seen, 0, 100 * sizeof seen[0]);
    int rounds = 0;
    do {
        char line[128];
        snprintf(line, sizeof line, "SCAN %s %s", cursor, options);
        const char *reply = commands_run(testing, line);
        assert_memory_equal(reply, "*2\r\n$", 5);
        const char *at = strchr(reply + 4, '\n') + 1;
        assert_int_equal(sscanf(at, "%31[0-9]", cursor), 1);
        for (at = strstr(at, "key:"); at != NULL; at = strstr(at + 4, "key:"))
            seen[atoi(at + 4)]++;
        assert_true(++rounds < 1000);
    } while (strcmp(cursor, "0") != 0);
}

static void scan_sees_every_key(void **state)
{
    struct commands_testing *testing = *state;
    int seen[100];
    for (int i = 0; i < 100; i++) {
        char line[32];
        snprintf(line, sizeof line, "SET key:%d v", i);
        expect(testing, line, "+OK\r\n");
    }
    static const char *const OPTIONS[] = {
        "",        "COUNT 1",     "COUNT 1000",  "count 9223372036854775807",
        "MATCH *", "MATCH k*y:*", "TYPE string", "TYPE STRING COUNT 7"};
    for (size_t o = 0; o < sizeof OPTIONS / sizeof OPTIONS[0]; o++) {
        scan_all(testing, OPTIONS[o], seen);
        for (int i = 0; i < 100; i++)
            assert_true(seen[i] == 1);
    }
    scan_all(testing, "MATCH key:?5", seen);
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], i > 9 && i % 10 == 5 ? 1 : 0);
    scan_all(testing, "TYPE hash", seen);
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 0);
}

static void scan_has_the_form_of_redis(void **state)
{
    expect(*state, "SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n");
    expect(*state, "SET k v", "+OK\r\n");
    expect(*state, "SCAN 0 MATCH k", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n");
    expect(*state, "SCAN 0 MATCH x", "*2\r\n$1\r\n0\r\n*0\r\n");
    expect(*state, "SCAN x", "-ERR invalid cursor\r\n");
    expect(*state, "SCAN 18446744073709551616", "-ERR invalid cursor\r\n");
    expect(*state, "SCAN 0 COUNT x", "-ERR value is not an integer or out of range\r\n");
    expect(*state, "SCAN 0 COUNT 0", "-ERR syntax error\r\n");
    expect(*state, "SCAN 0 COUNT", "-ERR syntax error\r\n");
    expect(*state, "SCAN 0 FOO bar", "-ERR syntax error\r\n");
    expect(*state, "SCAN", "-ERR wrong number of arguments for 'scan' command\r\n");
}

static void scan_hides_what_has_expired(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "SET k v PX 10", "+OK\r\n");
    testing->log_time_ms += 10;
    expect(testing, "SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n");
    assert_false(testing->met_due_key);
}

static void pitfall_23_keys_over_the_limit_are_refused_before_the_log(void **state)
{
    struct commands_testing *testing = *state;
    uint8_t key[512];
    memset(key, 'k', sizeof key);
    struct argument set[] = {{(const uint8_t *)"SET", 3}, {key, 510}, {(const uint8_t *)"v", 1}};
    struct argument get[] = {{(const uint8_t *)"GET", 3}, {key, 510}};
    assert_string_equal(commands_run_arguments(testing, set, 3), "+OK\r\n");
    assert_string_equal(commands_run_arguments(testing, get, 2), "$1\r\nv\r\n");
    uint64_t index = testing->index;
    set[1].size = get[1].size = 511;
    assert_string_equal(commands_run_arguments(testing, set, 3),
                        "-ERR key is too long: 511 bytes, at most 510 are possible\r\n");
    assert_string_equal(commands_run_arguments(testing, get, 2),
                        "-ERR key is too long: 511 bytes, at most 510 are possible\r\n");
    struct argument mset[] = {{(const uint8_t *)"MSET", 4},
                              {(const uint8_t *)"a", 1},
                              {key, 512}, /* a value may be longer */
                              {key, 512},
                              {(const uint8_t *)"v", 1}};
    assert_string_equal(commands_run_arguments(testing, mset, 5),
                        "-ERR key is too long: 512 bytes, at most 510 are possible\r\n");
    mset[3].size = 1;
    assert_string_equal(commands_run_arguments(testing, mset, 5), "+OK\r\n");
    assert_int_equal(testing->index, index + 1);
}

/* ---- purging ---- */

static int64_t purge(struct commands_testing *testing, uint64_t until_ms)
{
    uint8_t until[8];
    for (int i = 0; i < 8; i++)
        until[i] = (uint8_t)(until_ms >> (8 * i));
    const struct argument arguments[] = {{(const uint8_t *)"kvd.purge", 9}, {until, 8}};
    const struct command *command = command_by_opcode(COMMAND_OPCODE_PURGE);
    char buffer[COMMAND_ERROR_BYTES_MAX];
    assert_null(command_validate(command, arguments, 2, buffer, sizeof buffer));
    struct byte_buffer out = {0};
    struct reply reply = {.out = &out, .protocol = 2};
    struct command_context context = {
        .command = command,
        .arguments = arguments,
        .arguments_count = 2,
        .reply = &reply,
        .map = testing->map,
        .log_time_ms = testing->log_time_ms,
        .clock_ms = testing->log_time_ms,
        .version = {.index = ++testing->index},
    };
    map_begin_entry(testing->map, testing->index, 1, testing->log_time_ms);
    command_run(&context);
    map_end_entry(testing->map, 30);
    byte_buffer_append(&out, "", 1);
    int64_t purged = atoll((const char *)byte_buffer_front(&out) + 1);
    byte_buffer_deinit(&out);
    return purged;
}

static void a_purge_removes_what_is_due_and_only_so_much(void **state)
{
    struct commands_testing *testing = *state;
    for (int i = 0; i < 300; i++) {
        char line[64];
        snprintf(line, sizeof line, "SET k%d v PX %d", i, 100 + i);
        expect(testing, line, "+OK\r\n");
    }
    expect(testing, "SET stays v", "+OK\r\n");
    uint64_t start_ms = testing->log_time_ms;
    assert_int_equal(purge(testing, start_ms + 1000), 0); /* nothing is due by log time yet */
    testing->log_time_ms = start_ms + 100;
    assert_int_equal(purge(testing, start_ms + 1000), 1);
    testing->log_time_ms = start_ms + 10000;
    assert_int_equal(purge(testing, start_ms + 109), 9);
    assert_int_equal(purge(testing, testing->log_time_ms), COMMAND_PURGE_KEYS_MAX);
    expect(testing, "DBSIZE", ":35\r\n");
    assert_int_equal(purge(testing, testing->log_time_ms), 34);
    assert_int_equal(purge(testing, testing->log_time_ms), 0);
    expect(testing, "DBSIZE", ":1\r\n");
}

static void clients_cannot_purge(void **state)
{
    expect(*state, "kvd.purge 12345678",
           "-ERR unknown command 'kvd.purge', with args beginning with: '12345678' \r\n");
    uint32_t count;
    const struct command *table = command_table(&count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(table[i].flags & COMMAND_INTERNAL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        commands_test(del_and_exists_count_keys),
        commands_test(deleting_what_has_expired_counts_nothing),
        commands_test(type_names_the_kind),
        commands_test(flushing_removes_everything),
        commands_test(scan_sees_every_key),
        commands_test(scan_has_the_form_of_redis),
        commands_test(scan_hides_what_has_expired),
        commands_test(pitfall_23_keys_over_the_limit_are_refused_before_the_log),
        commands_test(a_purge_removes_what_is_due_and_only_so_much),
        commands_test(clients_cannot_purge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
