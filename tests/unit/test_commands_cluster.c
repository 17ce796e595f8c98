/* test_commands_cluster.c: the forms of Redis Cluster for three members, of which the first leads. */
#include "commands_testing.h"

#include <stdio.h>

#define ID_A                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B                       "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ID_C                       "cccccccccccccccccccccccccccccccccccccccc"
#define SLOTS_NODE(host, port, id) "*4\r\n$8\r\n" host "\r\n:" port "\r\n$40\r\n" id "\r\n*0\r\n"

static void slots_are_one_range_with_the_leader_first(void **state)
{
    expect(*state, "CLUSTER SLOTS",
           "*1\r\n*5\r\n:0\r\n:16383\r\n" SLOTS_NODE("10.0.0.1", "7000", ID_A)
               SLOTS_NODE("10.0.0.2", "7001", ID_B) SLOTS_NODE("10.0.0.3", "7002", ID_C));
    struct commands_testing *testing = *state;
    testing->node.leader_id = 0; /* also when only the last leader is known */
    testing->node.members[0].is_leader = false;
    testing->node.members[0].connected = false;
    assert_non_null(
        strstr(commands_run(testing, "CLUSTER SLOTS"), ":16383\r\n*4\r\n$8\r\n10.0.0.1\r\n:7000\r\n"));
    testing->client.protocol = 3;
    assert_non_null(strstr(commands_run(testing, "CLUSTER SLOTS"), ID_A "\r\n%0\r\n"));
}

static void members_without_an_address_are_left_out(void **state)
{
    struct commands_testing *testing = *state;
    testing->node.members[1].port = 0;
    expect(testing, "CLUSTER SLOTS",
           "*1\r\n*4\r\n:0\r\n:16383\r\n" SLOTS_NODE("10.0.0.1", "7000", ID_A)
               SLOTS_NODE("10.0.0.3", "7002", ID_C));
    assert_null(strstr(commands_run(testing, "CLUSTER SHARDS"), ID_B));
    assert_non_null(strstr(commands_run(testing, "CLUSTER NODES"),
                           ID_B " :0@0 myself,slave,noaddr " ID_A " 0 0 5 connected\n"));
    testing->node.members_count = 0;
    expect(testing, "CLUSTER SLOTS", "*0\r\n");
    expect(testing, "CLUSTER SHARDS", "*0\r\n");
    expect(testing, "CLUSTER NODES", "$0\r\n\r\n");
}

#define SHARDS_NODE(id, port, host, role, offset, health)                                                    \
    "*14\r\n$2\r\nid\r\n$40\r\n" id "\r\n$4\r\nport\r\n:" port "\r\n$2\r\nip\r\n$8\r\n" host                 \
    "\r\n$8\r\nendpoint\r\n$8\r\n" host "\r\n$4\r\nrole\r\n" role                                            \
    "\r\n$18\r\nreplication-offset\r\n:" offset "\r\n$6\r\nhealth\r\n" health "\r\n"

static void there_is_one_shard(void **state)
{
    struct commands_testing *testing = *state;
    testing->node.members[2].connected = false;
    testing->node.members[2].progress_known = true;
    testing->node.members[2].match_index = 4;
    expect(testing, "CLUSTER SHARDS",
           "*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n$5\r\nnodes\r\n*3\r\n" SHARDS_NODE(
               ID_A, "7000", "10.0.0.1", "$6\r\nmaster", "0", "$6\r\nonline")
               SHARDS_NODE(ID_B, "7001", "10.0.0.2", "$7\r\nreplica", "9", "$6\r\nonline")
                   SHARDS_NODE(ID_C, "7002", "10.0.0.3", "$7\r\nreplica", "4", "$4\r\nfail"));
}

#define LINE_A ID_A " 10.0.0.1:7000@17000 master - 0 0 5 connected 0-16383"
#define LINE_B ID_B " 10.0.0.2:7001@17001 myself,slave " ID_A " 0 0 5 connected"
#define LINE_C ID_C " 10.0.0.3:7002@17002 slave " ID_A " 0 0 5 disconnected"

static void nodes_are_lines_of_eight_fields_and_slots(void **state)
{
    struct commands_testing *testing = *state;
    testing->node.members[2].connected = false;
    char expected[1000];
    const char *text = LINE_A "\n" LINE_B "\n" LINE_C "\n";
    snprintf(expected, sizeof expected, "$%zu\r\n%s\r\n", strlen(text), text);
    expect(testing, "CLUSTER NODES", expected);
    const char *const *forms = (const char *const[]){"CLUSTER REPLICAS " ID_A, "cluster slaves " ID_A};
    for (int i = 0; i < 2; i++) {
        snprintf(expected, sizeof expected, "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(LINE_B), LINE_B,
                 strlen(LINE_C), LINE_C);
        expect(testing, forms[i], expected);
    }
    expect(testing, "CLUSTER REPLICAS x", "-ERR Unknown node x\r\n");
    expect(testing, "CLUSTER REPLICAS " ID_B, "-ERR The specified node is not a master\r\n");
}

static void a_leader_names_itself(void **state)
{
    struct commands_testing *testing = *state;
    testing->node.members[0].is_self = true;
    testing->node.members[1].is_self = false;
    const char *reply = commands_run(testing, "CLUSTER NODES");
    assert_non_null(strstr(reply, ID_A " 10.0.0.1:7000@17000 myself,master - 0 0 5 connected 0-16383\n"));
    const char *first = strstr(reply, "myself");
    assert_null(strstr(first + 1, "myself"));
    expect(testing, "CLUSTER MYID", "$40\r\n" ID_A "\r\n");
}

static void info_tells_whether_the_cluster_serves(void **state)
{
    struct commands_testing *testing = *state;
    const char *ok =
        "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16384\r\n"
        "cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:3\r\ncluster_size:1\r\n"
        "cluster_current_epoch:5\r\ncluster_my_epoch:5\r\n";
    char expected[1000];
    snprintf(expected, sizeof expected, "$%zu\r\n%s\r\n", strlen(ok), ok);
    expect(testing, "CLUSTER INFO", expected);
    testing->node.state_ok = false;
    const char *reply = commands_run(testing, "CLUSTER INFO");
    assert_non_null(strstr(reply, "cluster_state:fail\r\n"));
    assert_non_null(strstr(reply, "cluster_slots_assigned:16384\r\n"));
}

static void ids_are_forty_digits(void **state)
{
    struct commands_testing *testing = *state;
    expect(testing, "CLUSTER MYID", "$40\r\n" ID_B "\r\n");
    expect(testing, "CLUSTER MYSHARDID", "$40\r\n0123456789abcdef0123456789abcdef00000000\r\n");
    testing->node.cluster_id[0] = '\0';
    expect(testing, "CLUSTER MYSHARDID", "$40\r\n0000000000000000000000000000000000000000\r\n");
    expect(testing, "CLUSTER MYID x", "-ERR wrong number of arguments for 'cluster|myid' command\r\n");
}

static void keyslot_is_that_of_redis(void **state)
{
    expect(*state, "CLUSTER KEYSLOT foo", ":12182\r\n");
    expect(*state, "CLUSTER KEYSLOT {foo}bar", ":12182\r\n");
    expect(*state, "CLUSTER KEYSLOT \"\"", ":0\r\n");
}

static void keys_by_slot_are_refused_rather_than_miscounted(void **state)
{
    const char *error = "-ERR This instance keeps no keys by slot: use DBSIZE and SCAN\r\n";
    expect(*state, "CLUSTER COUNTKEYSINSLOT 1", error);
    expect(*state, "CLUSTER GETKEYSINSLOT 1 10", error);
    expect(*state, "CLUSTER COUNTKEYSINSLOT 16384", "-ERR Invalid slot\r\n");
    expect(*state, "CLUSTER COUNTKEYSINSLOT x", "-ERR value is not an integer or out of range\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        commands_test(slots_are_one_range_with_the_leader_first),
        commands_test(members_without_an_address_are_left_out),
        commands_test(there_is_one_shard),
        commands_test(nodes_are_lines_of_eight_fields_and_slots),
        commands_test(a_leader_names_itself),
        commands_test(info_tells_whether_the_cluster_serves),
        commands_test(ids_are_forty_digits),
        commands_test(keyslot_is_that_of_redis),
        commands_test(keys_by_slot_are_refused_rather_than_miscounted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
