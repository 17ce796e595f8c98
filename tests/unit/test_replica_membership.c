/* test_replica_membership.c: members that come and become voters, under way and after restarts; what is
 * refused, and what they know of each other. */
#include "replica_cluster_members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- growing ------------------------------------------------------------------------------------- */

static void test_a_node_that_joins_becomes_a_voter(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 1);
    cluster_write_some(cluster, "before", 20);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    cluster_start_joining(cluster, 4, follower->id); /* it sends it to the leader */
    cluster_await_members(cluster, "1,2,3,4", NULL);
    assert_true(cluster_has_event(cluster_node(cluster, 4), "join-accepted"));
    cluster_write_some(cluster, "after", 5);
    cluster_assert_equal(cluster);
    assert_int_equal(cluster_meta(cluster_node(cluster, 4))->key_count, 25);
    /* Its vote counts: with two others dead nobody leads, with one dead somebody does. */
    cluster_crash(cluster_await_leader(cluster));
    cluster_write_some(cluster, "without", 3);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_one_grows_to_five_and_all_restart(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(5, 1, 2);
    cluster_write_some(cluster, "one", 10);
    for (uint64_t id = 2; id <= 5; id++) {
        cluster_start_joining(cluster, id, id - 1);
    }
    cluster_await_members(cluster, "1,2,3,4,5", NULL);
    cluster_write_some(cluster, "five", 10);
    cluster_assert_equal(cluster);
    for (int round = 0; round < 3; round++) {
        cluster_run(cluster, round == 1 ? 7000 : 10); /* with and without a checkpoint */
        for (uint64_t id = 1; id <= 5; id++) {
            cluster_crash(cluster_node(cluster, id));
        }
        cluster_start_all(cluster);
        cluster_await_members(cluster, "1,2,3,4,5", NULL);
        cluster_write_some(cluster, "again", 3);
        cluster_assert_equal(cluster);
    }
    cluster_destroy(cluster);
}

static void test_a_learner_that_is_to_stay_one_does_until_it_is_promoted(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 3);
    cluster_tell_leader(cluster, "RAFT ADD 4 node4:17000 LEARNER", "+OK node 4 is being added");
    cluster_await_members(cluster, "1,2,3+4", NULL);
    cluster_run(cluster, 2000);
    cluster_start_joining(cluster, 4, 1); /* its disk becomes known */
    cluster_write_some(cluster, "k", 5);
    cluster_assert_equal(cluster);
    cluster_await_members(cluster, "1,2,3+4", NULL);
    cluster_tell_leader(cluster, "RAFT ADD 4 node4:17000", "-ERR node 4 is a member already");
    cluster_tell_leader(cluster, "RAFT REPLACE 4 5 node5:17000", "-ERR node 4 is to stay a learner");
    cluster_tell_leader(cluster, "RAFT PROMOTE 4", "+OK");
    cluster_await_members(cluster, "1,2,3,4", NULL);
    cluster_tell_leader(cluster, "RAFT PROMOTE 4", "-ERR node 4 is a voter already");
    cluster_destroy(cluster);
}

static uint64_t disk_known_of(const struct cluster_node *node, uint64_t id)
{
    struct replica_member peers[REPLICA_PEERS_MAX];
    uint32_t count = replica_peers(node->replica, peers);
    for (uint32_t i = 0; i < count; i++) {
        if (peers[i].node_id == id) {
            return peers[i].disk_id;
        }
    }
    return 0;
}

/* Seed 6 with snapshots=1: whoever connects nodes did not hear that an announced member had come, by another
 * disk than the former one of its id; when it looked again, much later, it parted from all that were well. */
static void test_who_connects_hears_at_once_by_which_disk_a_member_is_known(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 3);
    cluster_tell_leader(cluster, "RAFT ADD 4 node4:17000 LEARNER", "+OK node 4 is being added");
    cluster_await_members(cluster, "1,2,3+4", NULL);
    struct cluster_node *leader = cluster_await_leader(cluster);
    uint64_t generation = replica_peers_generation(leader->replica);
    assert_int_equal(disk_known_of(leader, 4), 0);
    cluster_start_joining(cluster, 4, 1);
    cluster_run(cluster, 2000);
    assert_ptr_equal(cluster_await_leader(cluster), leader);
    assert_int_not_equal(disk_known_of(leader, 4), 0);
    assert_int_not_equal(replica_peers_generation(leader->replica), generation);
    cluster_destroy(cluster);
}

static void test_a_node_that_was_added_by_command_becomes_a_voter_once_it_is_there(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 4);
    cluster_tell_leader(cluster, "RAFT ADD 4 node4:17000", "+OK");
    cluster_await_members(cluster, "1,2,3+4", NULL);
    cluster_run(cluster, 3000); /* nobody is there: the cluster works as before */
    cluster_write_some(cluster, "k", 3);
    cluster_start_joining(cluster, 4, 2);
    cluster_await_members(cluster, "1,2,3,4", NULL);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* The leader that follows brings about what the one before had begun. */
static void test_a_change_of_leader_does_not_stop_a_promotion(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 5);
    cluster_tell_leader(cluster, "RAFT ADD 4 node4:17000", "+OK");
    cluster_await_members(cluster, "1,2,3+4", NULL);
    struct cluster_node *leader = cluster_await_leader(cluster);
    cluster_crash(leader);
    cluster_start_joining(cluster, 4, leader->id % 3 + 1);
    (void)cluster_await_leader(cluster);
    cluster_await_members(cluster, "1,2,3,4", NULL);
    assert_true(cluster_start_node(leader));
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_a_joining_node_that_crashes_on_the_way_goes_on(void **state)
{
    (void)state;
    for (uint64_t ms = 1; ms < 400; ms += 13) {
        struct cluster *cluster = cluster_create_partly(4, 3, 100 + ms);
        struct cluster_node *joining = cluster_node(cluster, 4);
        cluster->disk_ms_max = 5;
        cluster_write_some(cluster, "k", 5);
        cluster_start_joining(cluster, 4, 1);
        cluster_run(cluster, ms);
        cluster_crash(joining);
        cluster_run(cluster, ms % 3 * 200);
        assert_true(cluster_start_node(joining));
        cluster_await_members(cluster, "1,2,3,4", NULL);
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
}

/* ---- identities ---------------------------------------------------------------------------------- */

static void test_pitfall_28_an_id_in_use_with_another_disk_cannot_join(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 50);
    struct cluster_node *wiped = cluster_follower(cluster, 0);
    cluster_crash(wiped);
    cluster_wipe(wiped);
    cluster_start_joining(cluster, wiped->id, cluster_await_leader(cluster)->id);
    cluster_await_refused(cluster, wiped, "RAFT REPLACE");
    assert_int_equal(cluster_membership(cluster_await_leader(cluster)).voters_count, 3);
    cluster_wipe(wiped);
    wiped->join = 0; /* nor form anything */
    assert_true(cluster_start_node(wiped));
    cluster_await_refused(cluster, wiped, "RAFT REPLACE");
    cluster_destroy(cluster);
}

static void test_who_may_ask_to_join(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 51);
    struct bus_hello hello;
    struct bus_message refused;
    replica_fill_hello(cluster_node(cluster, 2)->replica, RAFT_NODE_NONE, &hello);
    assert_true(hello.joining);
    assert_true(replica_check_hello(cluster_node(cluster, 1)->replica, &hello, &refused));
    hello.from = 9;
    hello.formation = BUS_FORMATION_NONE;
    assert_true(replica_check_hello(cluster_node(cluster, 1)->replica, &hello, &refused));
    hello.formation = BUS_FORMATION_FORMED;
    hello.cluster_id[1]++;
    assert_false(replica_check_hello(cluster_node(cluster, 1)->replica, &hello, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_CLUSTER);
    hello.from = 1;
    assert_false(replica_check_hello(cluster_node(cluster, 1)->replica, &hello, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_ADDRESS); /* who it asks has this id */
    /* All may be given the same list: one that asks itself asks the next then. */
    replica_fill_hello(cluster_node(cluster, 1)->replica, RAFT_NODE_NONE, &hello);
    assert_false(replica_check_hello(cluster_node(cluster, 1)->replica, &hello, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_NOT_A_MEMBER);
    replica_fill_hello(cluster_node(cluster, 2)->replica, RAFT_NODE_NONE, &hello);
    /* One that is asked before its own cluster is formed puts it off. */
    struct cluster *alone = cluster_create(3, 52);
    struct bus_join_answer answer;
    assert_true(cluster_start_node(cluster_node(alone, 1)));
    hello.from = 9;
    hello.formation = BUS_FORMATION_NONE;
    assert_true(replica_check_hello(cluster_node(alone, 1)->replica, &hello, &refused));
    replica_on_join_request(cluster_node(alone, 1)->replica, &hello, &answer);
    assert_int_equal(answer.step, BUS_JOIN_WAIT);
    cluster_destroy(alone);
    cluster_destroy(cluster);
}

/* What is known of the old disk must be forgotten first: that it holds the log, above all. */
static void test_pitfall_28_a_removed_id_may_come_back_with_an_empty_disk_but_not_at_once(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 53);
    struct cluster_node *node = cluster_follower(cluster, 0);
    char line[60];
    cluster_write_some(cluster, "k", 10);
    cluster_assert_equal(cluster);
    (void)snprintf(line, sizeof line, "RAFT REMOVE %llu", (unsigned long long)node->id);
    cluster_tell_leader(cluster, line, "+OK");
    cluster_run_until(cluster, cluster_has_stopped, node, 5000);
    cluster_run(cluster, 1);
    cluster_wipe(node);
    (void)snprintf(line, sizeof line, "RAFT ADD %llu node%llu:17000", (unsigned long long)node->id,
                   (unsigned long long)node->id);
    cluster_tell_leader(cluster, line, "-TRYAGAIN node");
    cluster_start_joining(cluster, node->id, cluster_await_leader(cluster)->id);
    cluster_run(cluster, 100);
    assert_true(cluster_has_event(node, "removed a moment ago"));
    cluster_await_members(cluster, "1,2,3", NULL);
    cluster_assert_equal(cluster);
    assert_int_equal(cluster_meta(node)->key_count, 10);
    cluster_destroy(cluster);
}

static void test_older_nodes_have_to_be_upgraded_before_members_change(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 54);
    struct cluster_node *leader = cluster_await_leader(cluster), *old = cluster_follower(cluster, 0);
    struct bus_hello hello;
    replica_fill_hello(old->replica, leader->id, &hello);
    hello.protocol_version = 1;
    replica_on_peer_hello(leader->replica, old->id, &hello);
    cluster_tell_leader(cluster, "RAFT ADD 4 node4:17000", "-ERR node");
    cluster_reset_link(cluster, old->id, leader->id);
    cluster_run(cluster, 1000); /* it says hello anew */
    cluster_tell_leader(cluster, "RAFT ADD 4 node4:17000", "+OK");
    cluster_destroy(cluster);
}

/* ---- what is refused ----------------------------------------------------------------------------- */

static void test_changes_that_would_lose_the_quorum_are_refused(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 60);
    struct cluster_node *dead = cluster_follower(cluster, 0), *alive = cluster_follower(cluster, 1);
    char line[60];
    cluster_crash(dead);
    cluster_run(cluster, 1500); /* the leader has not heard of it for an election timeout */
    (void)snprintf(line, sizeof line, "RAFT REMOVE %llu", (unsigned long long)alive->id);
    cluster_tell_leader(cluster, line,
                        "-ERR that would leave a cluster that cannot work: of its 2 voters only 1 are alive");
    (void)snprintf(line, sizeof line, "RAFT REMOVE %llu", (unsigned long long)dead->id);
    cluster_tell_leader(cluster, line, "+OK");
    cluster_run(cluster, 1000);
    assert_int_equal(cluster_membership(cluster_await_leader(cluster)).voters_count, 2);
    cluster_destroy(cluster);
}

static void test_changes_that_make_no_sense_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *line, *begin;
    } cases[] = {
        {"RAFT ADD 1 node9:1", "-ERR node 1 is a member already"},
        {"RAFT ADD 9 node1:17000", "-ERR node 1 has the address node1:17000"},
        {"RAFT ADD 9 node9", "-ERR the address is not of the form"},
        {"RAFT ADD x node9:1", "-ERR a node's id is a number"},
        {"RAFT ADD 0 node9:1", "-ERR a node's id is a number"},
        {"RAFT ADD 9 node9:1 BOSS", "-ERR syntax error"},
        {"RAFT ADD 9 node9:1 LEARNER x", "-ERR syntax error"},
        {"RAFT ADD 9", "-ERR wrong number of arguments"},
        {"RAFT PROMOTE 9", "-ERR node 9 is not a member"},
        {"RAFT PROMOTE 1", "-ERR node 1 is a voter already"},
        {"RAFT REMOVE 9", "-ERR node 9 is not a member"},
        {"RAFT REPLACE 9 8 node9:1", "-ERR node 9 is not a member"},
        {"RAFT REPLACE 1 2 node9:1", "-ERR node 2 is a voter already"},
        {"RAFT REPLACE 1 1 node9:1", "-ERR the new node needs an id of its own"},
        {"RAFT ADDRESS 9 node9:1", "-ERR node 9 is not a member"},
        {"RAFT ADDRESS 1 node2:17000", "-ERR node 2 has the address"},
        {"RAFT TRANSFER 9", "-ERR node 9 is not a voter"},
        {"RAFT TRANSFER 1 2", "-ERR syntax error"},
    };
    struct cluster *cluster = cluster_create_led(3, 61);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cluster_tell_leader(cluster, cases[i].line, cases[i].begin);
    }
    assert_int_equal(cluster_status(cluster_await_leader(cluster)).membership_id.index, 0);
    /* Followers send clients on, as with writes. */
    struct cluster_node *follower = cluster_follower(cluster, 0);
    assert_memory_equal(cluster_ask(follower, "RAFT ADD 9 node9:1"), "-MOVED 0 node", 13);
    cluster_destroy(cluster);
}

static void test_pitfall_8_one_change_at_a_time(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(5, 3, 62);
    struct cluster_node *leader = cluster_await_leader(cluster);
    for (uint64_t id = 1; id <= 3; id++) {
        cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_LOG, true); /* nothing is committed */
    }
    assert_memory_equal(cluster_ask(leader, "RAFT ADD 4 node4:1"), "+OK", 3);
    assert_memory_equal(cluster_ask(leader, "RAFT ADD 5 node5:1"), "-TRYAGAIN a change of the members", 33);
    for (uint64_t id = 1; id <= 3; id++) {
        cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_LOG, false);
    }
    cluster_await_members(cluster, "1,2,3+4", NULL);
    cluster_tell_leader(cluster, "RAFT ADD 5 node5:1", "+OK");
    cluster_await_members(cluster, "1,2,3+4,5", NULL);
    cluster_destroy(cluster);
}

/* ---- undone, late and moved ---------------------------------------------------------------------- */

static void test_pitfall_8_a_change_that_is_not_committed_is_rolled_back(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 70);
    struct cluster_node *old = cluster_await_leader(cluster);
    cluster_isolate(cluster, old->id);
    assert_memory_equal(cluster_ask(old, "RAFT ADD 4 node4:17000"), "+OK", 3);
    assert_string_equal(cluster_members_text(old), "1,2,3+4");
    struct replica_member peers[REPLICA_PEERS_MAX];
    assert_int_equal(replica_peers(old->replica, peers), 3);
    cluster_run(cluster, 2000);
    assert_string_equal(cluster_ask(cluster_find_leader(cluster), "SET k v"), "+OK\r\n");
    cluster_heal(cluster);
    cluster_await_members(cluster, "1,2,3", NULL);
    cluster_run(cluster, 3000);
    assert_int_equal(replica_peers(old->replica, peers), 2);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* Node 1 was away while all whom it knew were replaced: the leader who comes is a stranger to it. */
static void test_a_leader_that_a_member_does_not_know_is_heard(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(5, 3, 71);
    struct cluster_node *away = cluster_node(cluster, 1);
    cluster_write_some(cluster, "k", 3);
    if (cluster_await_leader(cluster) == away) {
        cluster_tell_leader(cluster, "RAFT TRANSFER", "+OK");
        cluster_run(cluster, 1000);
    }
    cluster_crash(away);
    cluster_run(cluster, 1000);
    cluster_start_joining(cluster, 4, 2);
    cluster_start_joining(cluster, 5, 3);
    cluster_await_members(cluster, "1,2,3,4,5", NULL);
    for (uint64_t id = 2; id <= 3; id++) {
        char line[40];
        cluster_run(cluster, 1000);
        (void)snprintf(line, sizeof line, "RAFT REMOVE %llu", (unsigned long long)id);
        cluster_tell_leader(cluster, line, "+OK");
        cluster_await_refused(cluster, cluster_node(cluster, id), "removed");
    }
    cluster_write_some(cluster, "l", 3);
    assert_true(cluster_start_node(away));
    cluster_await_members(cluster, "1,4,5", NULL);
    cluster_write_some(cluster, "m", 3);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_an_address_can_be_changed(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 72);
    struct cluster_node *leader = cluster_await_leader(cluster);
    uint64_t generation = replica_peers_generation(leader->replica);
    uint64_t moved = leader->id % 3 + 1;
    char line[60];
    (void)snprintf(line, sizeof line, "RAFT ADDRESS %llu elsewhere:17001", (unsigned long long)moved);
    cluster_tell_leader(cluster, line, "+OK node");
    cluster_await_members(cluster, "1,2,3", NULL);
    assert_true(replica_peers_generation(leader->replica) > generation);
    struct replica_member peers[REPLICA_PEERS_MAX];
    uint32_t count = replica_peers(leader->replica, peers);
    for (uint32_t i = 0; i < count; i++) {
        if (peers[i].node_id == moved) {
            assert_string_equal(peers[i].bus_host, "elsewhere");
            assert_int_equal(peers[i].bus_port, 17001);
        }
    }
    cluster_crash(leader);
    assert_true(cluster_start_node(leader)); /* the settings still name the old one */
    cluster_run(cluster, 2000);
    count = replica_peers(leader->replica, peers);
    for (uint32_t i = 0; i < count; i++) {
        assert_string_equal(peers[i].bus_host, peers[i].node_id == moved ? "elsewhere"
                                               : peers[i].node_id == 1   ? "node1"
                                               : peers[i].node_id == 2   ? "node2"
                                                                         : "node3");
    }
    cluster_destroy(cluster);
}

static void test_leadership_goes_where_it_is_sent(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 73);
    for (int i = 0; i < 6; i++) {
        struct cluster_node *leader = cluster_await_leader(cluster);
        uint64_t target = i % 2 == 0 ? leader->id % 3 + 1 : 0;
        char line[40] = "RAFT TRANSFER";
        if (target != 0) {
            (void)snprintf(line, sizeof line, "RAFT TRANSFER %llu", (unsigned long long)target);
        }
        cluster_tell_leader(cluster, line, "+OK leadership is being handed");
        cluster_run(cluster, 500);
        struct cluster_node *next = cluster_await_leader(cluster);
        assert_ptr_not_equal(next, leader);
        if (target != 0) {
            assert_int_equal(next->id, target);
        }
    }
    cluster_destroy(cluster);
}

/* What clients see: redirects and topology go by the members in effect. */
static void test_clients_are_sent_to_members_that_came_later(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 74);
    cluster_start_joining(cluster, 4, 1);
    cluster_await_members(cluster, "1,2,3,4", NULL);
    cluster_tell_leader(cluster, "RAFT TRANSFER 4", "+OK");
    cluster_run(cluster, 1000);
    assert_int_equal(cluster_await_leader(cluster)->id, 4);
    assert_string_equal(cluster_ask(cluster_node(cluster, 1), "SET foo bar"), "-MOVED 12182 node4:7000\r\n");
    struct node_view view;
    replica_fill_view(cluster_node(cluster, 2)->replica, 0, &view);
    assert_int_equal(view.members_count, 4);
    assert_int_equal(view.members[0].node_id, 4);
    assert_string_equal(view.members[0].host, "node4");
    assert_string_equal(view.members[0].bus_host, "node4");
    assert_string_equal(view.membership, "stable");
    cluster_tell_leader(cluster, "RAFT REMOVE 1", "+OK");
    cluster_await_refused(cluster, cluster_node(cluster, 1), "removed");
    replica_fill_view(cluster_node(cluster, 2)->replica, 0, &view);
    assert_int_equal(view.members_count, 3);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_node_that_joins_becomes_a_voter),
        cmocka_unit_test(test_one_grows_to_five_and_all_restart),
        cmocka_unit_test(test_a_learner_that_is_to_stay_one_does_until_it_is_promoted),
        cmocka_unit_test(test_who_connects_hears_at_once_by_which_disk_a_member_is_known),
        cmocka_unit_test(test_a_node_that_was_added_by_command_becomes_a_voter_once_it_is_there),
        cmocka_unit_test(test_a_change_of_leader_does_not_stop_a_promotion),
        cmocka_unit_test(test_a_joining_node_that_crashes_on_the_way_goes_on),
        cmocka_unit_test(test_pitfall_28_an_id_in_use_with_another_disk_cannot_join),
        cmocka_unit_test(test_who_may_ask_to_join),
        cmocka_unit_test(test_pitfall_28_a_removed_id_may_come_back_with_an_empty_disk_but_not_at_once),
        cmocka_unit_test(test_older_nodes_have_to_be_upgraded_before_members_change),
        cmocka_unit_test(test_changes_that_would_lose_the_quorum_are_refused),
        cmocka_unit_test(test_changes_that_make_no_sense_are_refused_with_the_reason),
        cmocka_unit_test(test_pitfall_8_one_change_at_a_time),
        cmocka_unit_test(test_pitfall_8_a_change_that_is_not_committed_is_rolled_back),
        cmocka_unit_test(test_a_leader_that_a_member_does_not_know_is_heard),
        cmocka_unit_test(test_an_address_can_be_changed),
        cmocka_unit_test(test_leadership_goes_where_it_is_sent),
        cmocka_unit_test(test_clients_are_sent_to_members_that_came_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
