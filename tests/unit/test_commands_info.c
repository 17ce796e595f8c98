/* test_commands_info.c */
#include "commands_testing.h"

#include <stdio.h>

static bool has(const char *reply, const char *line)
{
    char whole[200];
    snprintf(whole, sizeof whole, "\r\n%s\r\n", line);
    return strstr(reply, whole) != NULL;
}

static void what_clients_ask_for_is_there(void **state)
{
    const char *reply = commands_run(*state, "INFO");
    static const char *const LINES[] = {
        "redis_version:7.0.15",
        "redis_mode:cluster",
        "kvd_version:0.1.0",
        "kvd_build:test",
        "process_id:4711",
        "tcp_port:7001",
        "uptime_in_seconds:90061",
        "uptime_in_days:1",
        "connected_clients:1",
        "maxclients:100",
        "cluster_connections:2",
        "loading:0",
        "aof_enabled:1",
        "role:slave",
        "master_host:10.0.0.1",
        "master_port:7000",
        "master_link_status:up",
        "cluster_enabled:1",
        "db0:keys=3,expires=0,avg_ttl=0",
        "raft_term:5",
        "# Server",
        "# Clients",
        "# Memory",
        "# Persistence",
        "# Stats",
        "# Replication",
        "# Cluster",
        "# Keyspace",
        "# Raft",
    };
    for (size_t i = 0; i < sizeof LINES / sizeof LINES[0]; i++)
        if (!has(reply, LINES[i]))
            fail_msg("no line '%s'", LINES[i]);
}

static void the_length_is_that_of_the_text(void **state)
{
    struct commands_testing *testing = *state;
    const char *reply = commands_run(testing, "INFO");
    size_t announced = strtoul(reply + 1, NULL, 10);
    size_t header = (size_t)(strchr(reply, '\n') + 1 - reply);
    assert_int_equal(byte_buffer_size(&testing->out), header + announced + 2);
    testing->client.protocol = 3;
    assert_memory_equal(strchr(commands_run(testing, "INFO"), '\n') + 1, "txt:# Server\r\n", 14);
}

static void the_leader_is_the_master(void **state)
{
    struct commands_testing *testing = *state;
    testing->node.leader_id = 2;
    testing->node.members[0].progress_known = true;
    testing->node.members[0].match_index = 6;
    const char *reply = commands_run(testing, "INFO replication");
    assert_true(has(reply, "role:master"));
    assert_true(has(reply, "connected_slaves:2"));
    assert_true(has(reply, "slave0:ip=10.0.0.1,port=7000,state=online,offset=6,lag=0"));
    assert_true(has(reply, "master_replid:0123456789abcdef0123456789abcdef00000000"));
    assert_true(has(reply, "master_repl_offset:10"));
    assert_null(strstr(reply, "master_link_status"));
}

static void without_a_leader_the_link_is_down(void **state)
{
    struct commands_testing *testing = *state;
    testing->node.leader_id = 0;
    const char *reply = commands_run(testing, "INFO replication");
    assert_true(has(reply, "role:slave"));
    assert_true(has(reply, "master_link_status:down"));
    testing->node.leader_id = 1;
    testing->node.members[0].connected = false;
    assert_true(has(commands_run(testing, "INFO replication"), "master_link_status:down"));
}

static void sections_are_chosen_by_name(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "INFO cluster", "$30\r\n# Cluster\r\ncluster_enabled:1\r\n\r\n");
    expect(
        testing, "INFO KEYSPACE cluster",
        "$76\r\n# Cluster\r\ncluster_enabled:1\r\n\r\n# Keyspace\r\ndb0:keys=3,expires=0,avg_ttl=0\r\n\r\n");
    expect(testing, "INFO foo", "$0\r\n\r\n");
    testing->node.key_count = 0;
    expect(testing, "INFO keyspace", "$12\r\n# Keyspace\r\n\r\n");
    static const char *const ALL[] = {"INFO all", "INFO default", "INFO everything", "INFO foo ALL"};
    char *whole = strdup(commands_run(testing, "INFO"));
    for (size_t i = 0; i < sizeof ALL / sizeof ALL[0]; i++)
        expect(testing, ALL[i], whole);
    free(whole);
}

static void sizes_are_readable(void **state)
{
    struct commands_testing *testing = *state;
    testing->node.memory_resident_bytes = 3 * 1024 * 1024 / 2;
    assert_true(has(commands_run(testing, "INFO memory"), "used_memory_human:1.50M"));
    testing->node.memory_resident_bytes = 1023;
    assert_true(has(commands_run(testing, "INFO memory"), "used_memory_human:1023B"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        commands_test(what_clients_ask_for_is_there), commands_test(the_length_is_that_of_the_text),
        commands_test(the_leader_is_the_master),      commands_test(without_a_leader_the_link_is_down),
        commands_test(sections_are_chosen_by_name),   commands_test(sizes_are_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
