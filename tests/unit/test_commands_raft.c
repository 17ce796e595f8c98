/* test_commands_raft.c: the form of RAFT STATUS is stable: kvcli and scripts read it. */
#include "commands_testing.h"

#include <stdio.h>

static const char STATUS[] =
    "node_id:2\nrole:follower\nterm:5\nvote:1\nleader_id:1\nleader_address:10.0.0.1:7000\nleader_ready:yes\n"
    "transferee:0\ncommit_index:10\napplied_index:9\nlast_index:12\nlast_term:5\ndurable_index:11\nfirst_"
    "index:1\n"
    "map_durable_index:8\nelection_age_ms:0\nstate_ok:yes\nformed:yes\n"
    "cluster_id:0123456789abcdef0123456789abcdef\ndisk_id:00112233aabbccdd\nkey_count:3\ndigest:"
    "0000000000000abc\n"
    "log_time_ms:1700000000000\nclock_skew_ms:-4\nrules_version:1\nrules_known:2\nuptime_ms:"
    "90061000\nversion:0.1.0\nbuild:"
    "test\n"
    "low_space:no\ndisk_free_bytes:0\nlog_room_bytes:0\nmap_room_bytes:0\nlow_space_nodes:\ndigest_differs:\n"
    "damage:\nscrubs_total:0\nsnapshot_from:0\nsnapshot_index:0\nsnapshot_keys:0\nsnapshot_bytes:0\n"
    "snapshots_sent_total:0\nsnapshots_failed_total:0\nsnapshots_installed_total:0\n"
    "forced:0\nmembership_index:0\nmembership:stable\nmembers:3\n"
    "member_1:host=10.0.0.1,port=7000,bus_host=10.1.0.1,bus_port=17000,self=no,leader=yes,connected=yes,"
    "progress=unknown,match=0,next=0,active=no,kind=voter,goal=,rules=0"
    ",snapshot_keys=0,snapshot_keys_total=0,snapshot_bytes=0\n"
    "member_2:host=10.0.0.2,port=7001,bus_host=10.1.0.2,bus_port=17001,self=yes,leader=no,connected=yes,"
    "progress=unknown,match=0,next=0,active=no,kind=voter,goal=,rules=0"
    ",snapshot_keys=0,snapshot_keys_total=0,snapshot_bytes=0\n"
    "member_3:host=10.0.0.3,port=7002,bus_host=10.1.0.3,bus_port=17002,self=no,leader=no,connected=yes,"
    "progress=replicate,match=7,next=8,active=yes,kind=learner,goal=voter,rules=2"
    ",snapshot_keys=5,snapshot_keys_total=9,snapshot_bytes=700\n";

static void status_has_its_stable_form(void **state)
{
    struct commands_testing *testing = *state;
    struct node_view_member *third = &testing->node.members[2];
    third->progress_known = true;
    third->progress = "replicate";
    third->match_index = 7;
    third->next_index = 8;
    third->recently_active = true;
    third->kind = "learner";
    third->becomes_voter = true;
    third->snapshot_keys = 5;
    third->snapshot_keys_total = 9;
    third->snapshot_bytes = 700;
    third->rules_known = 2;
    char expected[4000];
    snprintf(expected, sizeof expected, "$%zu\r\n%s\r\n", strlen(STATUS), STATUS);
    expect(testing, "RAFT STATUS", expected);
    testing->client.protocol = 3;
    snprintf(expected, sizeof expected, "=%zu\r\ntxt:%s\r\n", strlen(STATUS) + 4, STATUS);
    expect(testing, "raft status", expected);
}

static void a_learner_shows_what_is_to_become_of_it(void **state)
{
    struct commands_testing *testing = *state;
    struct node_view_member *third = &testing->node.members[2];
    third->kind = "learner";
    third->becomes_voter = true;
    third->replaces = 2;
    assert_non_null(strstr(commands_run(testing, "RAFT STATUS"), ",kind=learner,goal=replace-2,"));
    third->disk_known = false;
    assert_non_null(strstr(commands_run(testing, "RAFT STATUS"), ",kind=learner,goal=join,"));
    third->disk_known = true;
    third->becomes_voter = false;
    third->replaces = 0;
    assert_non_null(strstr(commands_run(testing, "RAFT STATUS"), ",kind=learner,goal=,"));
}

static void every_majority_that_was_given_up_has_a_line(void **state)
{
    struct commands_testing *testing = *state;
    testing->node.forced_count = 2;
    testing->node.forced[0] = (struct node_view_forced){1, 2, "ab", 3, 4, 5};
    testing->node.forced[1] = (struct node_view_forced){6, 7, "cd", 8, 9, 10};
    const char *lines = "\nforced:2\n"
                        "forced_1:time_ms=1,node=2,cluster_id=ab,last_term=3,last_index=4,commit_index=5\n"
                        "forced_2:time_ms=6,node=7,cluster_id=cd,last_term=8,last_index=9,commit_index=10\n"
                        "membership_index:0\n";
    assert_non_null(strstr(commands_run(testing, "RAFT STATUS"), lines));
}

static void an_unknown_leader_has_no_address(void **state)
{
    struct commands_testing *testing = *state;
    testing->node.members[0].port = 0;
    assert_non_null(strstr(commands_run(testing, "RAFT STATUS"), "\nleader_id:1\nleader_address:\n"));
    testing->node.members[0].port = 7000;
    testing->node.leader_id = 0;
    assert_non_null(strstr(commands_run(testing, "RAFT STATUS"), "\nleader_id:0\nleader_address:\n"));
}

static void info_has_the_same_lines_with_a_prefix(void **state)
{
    struct commands_testing *testing = *state;
    testing->node.members_count = 1;
    const char *reply = commands_run(testing, "INFO raft");
    assert_non_null(strstr(reply, "# Raft\r\nraft_node_id:2\r\nraft_role:follower\r\nraft_term:5\r\n"));
    assert_non_null(strstr(reply, "\r\nraft_member_1:host=10.0.0.1,"));
}

static void members_that_are_in_trouble_are_named(void **state)
{
    struct commands_testing *testing = *state;
    testing->node.low_space = true;
    testing->node.disk_free_bytes = 123;
    testing->node.members[0].low_space = testing->node.members[2].low_space = true;
    testing->node.members[1].differs = true;
    testing->node.damage = "a bit flipped";
    testing->node.scrubs_total = 3;
    const char *reply = commands_run(testing, "RAFT STATUS");
    assert_non_null(strstr(reply, "\nlow_space:yes\ndisk_free_bytes:123\n"));
    assert_non_null(
        strstr(reply, "\nlow_space_nodes:1,3\ndigest_differs:2\ndamage:a bit flipped\nscrubs_total:3\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        commands_test(status_has_its_stable_form),
        commands_test(a_learner_shows_what_is_to_become_of_it),
        commands_test(every_majority_that_was_given_up_has_a_line),
        commands_test(an_unknown_leader_has_no_address),
        commands_test(members_that_are_in_trouble_are_named),
        commands_test(info_has_the_same_lines_with_a_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
