/* test_replica_peers.c: who the other members are, what they say in their hellos, and what their clocks say.
 */
#include "replica_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct bus_hello hello_of(const struct cluster_node *from, const struct cluster_node *to)
{
    struct bus_hello hello;
    replica_fill_hello(from->replica, to->id, &hello);
    return hello;
}

static void assert_refused(const struct cluster_node *judge, const struct bus_hello *hello,
                           enum bus_refusal code, const char *words)
{
    struct bus_message refused;
    assert_false(replica_check_hello(judge->replica, hello, &refused));
    assert_int_equal(refused.type, BUS_MESSAGE_REFUSED);
    assert_int_equal(refused.refused.code, code);
    if (strstr(refused.refused.reason, words) == NULL) {
        fail_msg("the reason is \"%s\"", refused.refused.reason);
    }
}

static void test_a_hello_says_who_a_node_is(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 1);
    struct bus_hello hello = hello_of(cluster_node(cluster, 2), cluster_node(cluster, 3));
    assert_int_equal(hello.protocol_version, BUS_PROTOCOL_VERSION);
    assert_int_equal(hello.from, 2);
    assert_int_equal(hello.to, 3);
    assert_int_not_equal(hello.disk_id, 0);
    assert_int_equal(hello.formation, BUS_FORMATION_FORMED);
    assert_int_not_equal(hello.cluster_id[0], 0);
    assert_int_equal(hello.listeners_count, 2);
    assert_string_equal(hello.listeners[1].name, "outside");
    assert_int_equal(hello.listeners[1].port, 7002);
    struct bus_message refused;
    assert_true(replica_check_hello(cluster_node(cluster, 3)->replica, &hello, &refused));
    cluster_destroy(cluster);
}

static void test_pitfall_28_hellos_that_do_not_fit_are_refused_with_the_reason(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 2);
    struct cluster_node *judge = cluster_node(cluster, 1);
    struct bus_hello hello = hello_of(cluster_node(cluster, 2), judge);
    hello.protocol_version_min = BUS_PROTOCOL_VERSION + 1;
    hello.protocol_version = BUS_PROTOCOL_VERSION + 1;
    assert_refused(judge, &hello, BUS_REFUSAL_VERSION, "speaks bus versions");
    hello = hello_of(cluster_node(cluster, 2), judge);
    hello.protocol_version = BUS_PROTOCOL_VERSION_MIN - 1;
    assert_refused(judge, &hello, BUS_REFUSAL_VERSION, "speaks bus versions");
    hello = hello_of(cluster_node(cluster, 2), cluster_node(cluster, 3));
    assert_refused(judge, &hello, BUS_REFUSAL_ADDRESS, "came looking for node 3");
    hello = hello_of(judge, judge);
    assert_refused(judge, &hello, BUS_REFUSAL_ADDRESS, "check the addresses and ids"); /* it dialled itself */
    hello = hello_of(cluster_node(cluster, 2), judge);
    hello.from = 9;
    assert_refused(judge, &hello, BUS_REFUSAL_NOT_A_MEMBER, "node 9 is not among the members");
    hello = hello_of(cluster_node(cluster, 2), judge);
    hello.cluster_id[1]++;
    assert_refused(judge, &hello, BUS_REFUSAL_CLUSTER, "data directory is of another cluster");
    hello = hello_of(cluster_node(cluster, 2), judge);
    hello.disk_id++;
    assert_refused(judge, &hello, BUS_REFUSAL_DISK, "emptied or replaced");
    hello.formation = BUS_FORMATION_NONE;
    hello.cluster_id[0] = hello.cluster_id[1] = 0;
    assert_refused(judge, &hello, BUS_REFUSAL_DISK, "emptied or replaced");
    cluster_destroy(cluster);
}

static void test_a_formed_node_stops_only_when_a_majority_refuses_it(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(5, 3);
    struct cluster_node *node = cluster_node(cluster, 5);
    replica_on_refused(node->replica, 1, BUS_REFUSAL_DISK, "first");
    replica_on_refused(node->replica, 1, BUS_REFUSAL_DISK, "again");
    replica_on_refused(node->replica, 2, BUS_REFUSAL_CLUSTER, "second");
    replica_on_refused(node->replica, 3, BUS_REFUSAL_VERSION, "can be put right");
    replica_on_refused(node->replica, 9, BUS_REFUSAL_DISK, "a stranger");
    cluster_run(cluster, 10);
    assert_true(node->running);
    replica_on_refused(node->replica, 3, BUS_REFUSAL_DISK, "third");
    cluster_run(cluster, 10);
    assert_true(node->stopped);
    assert_int_equal(node->stop_code, REPLICA_EXIT_REFUSED);
    assert_string_equal(node->stop_reason, "third");
    cluster_destroy(cluster);
}

static void test_a_refusal_that_was_taken_back_does_not_count(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 4);
    struct cluster_node *node = cluster_node(cluster, 3);
    replica_on_refused(node->replica, 1, BUS_REFUSAL_DISK, "first");
    cluster_reset_link(cluster, 1, 3);
    cluster_reset_link(cluster, 3, 1);
    cluster_run(cluster, 200); /* it says hello again, and is welcome */
    replica_on_refused(node->replica, 2, BUS_REFUSAL_DISK, "second");
    cluster_run(cluster, 10);
    assert_true(node->running);
    cluster_destroy(cluster);
}

static int64_t skew_ms(struct cluster_node *node)
{
    struct node_view view;
    replica_fill_view(node->replica, 0, &view);
    return view.clock_skew_ms;
}

static void test_the_skew_is_measured_against_the_median_of_the_members(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(5, 5);
    static const int64_t offsets[] = {0, 5000, -5000, 100, 90000};
    for (uint64_t id = 1; id <= 5; id++) {
        cluster_node(cluster, id)->clock_offset_ms = offsets[id - 1];
    }
    cluster_start_all(cluster);
    for (int round = 0; round < 12; round++) { /* the leader hears from all of them */
        struct cluster_node *leader = cluster_await_leader(cluster);
        cluster_run(cluster, 500);
        int64_t expected = offsets[leader->id - 1] - 100;
        assert_in_range(skew_ms(leader) + 100000, expected + 100000 - 3, expected + 100000 + 3);
        if (expected > 1000 || expected < -1000) {
            assert_true(cluster_has_event(leader, "clock-skew"));
        }
        cluster_crash(leader);
        (void)cluster_await_leader(cluster);
        assert_true(cluster_start_node(leader));
    }
    cluster_destroy(cluster);
}

/* The median of two is ambiguous: nobody is pulled away from its own clock. */
static void test_two_nodes_do_not_pull_each_other(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(2, 6);
    cluster_node(cluster, 2)->clock_offset_ms = 3600 * 1000;
    cluster_start_all(cluster);
    (void)cluster_await_leader(cluster);
    cluster_run(cluster, 500);
    assert_int_equal(skew_ms(cluster_node(cluster, 1)), 0);
    assert_int_equal(skew_ms(cluster_node(cluster, 2)), 0);
    cluster_destroy(cluster);
}

static void test_a_time_that_no_clock_can_show_is_ignored(void **state)
{
    (void)state;
    static const uint64_t times[] = {UINT64_MAX, UINT64_C(1) << 63, (UINT64_C(1) << 63) - 1,
                                     UINT64_C(1) << 49};
    struct cluster *cluster = cluster_create_led(3, 8);
    cluster_run(cluster, 500);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        for (uint64_t id = 1; id <= 3; id++) {
            for (uint64_t from = 1; from <= 3; from++) {
                struct bus_message message = {.type = BUS_MESSAGE_RAFT, .wall_clock_ms = times[i]};
                message.raft = (struct raft_message){
                    .type = RAFT_MESSAGE_HEARTBEAT_RESPONSE, .from = from, .to = id, .term = 1};
                if (from != id) {
                    replica_on_message(cluster_node(cluster, id)->replica, from, &message);
                }
            }
            assert_in_range(skew_ms(cluster_node(cluster, id)) + 100, 90, 110);
        }
    }
    cluster_destroy(cluster);
}

static void test_messages_of_strangers_and_in_foreign_names_are_ignored(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 7);
    struct cluster_node *node = cluster_node(cluster, 1);
    uint64_t term = cluster_status(node).term;
    struct bus_message message = {.type = BUS_MESSAGE_RAFT};
    message.raft =
        (struct raft_message){.type = RAFT_MESSAGE_HEARTBEAT, .from = 2, .to = 1, .term = term + 7};
    replica_on_message(node->replica, 3, &message); /* node 3 speaks for node 2 */
    message.raft.from = 9;
    replica_on_message(node->replica, 9, &message);
    node->has_input = true;
    cluster_run(cluster, 10);
    assert_int_equal(cluster_status(node).term, term);
    cluster_destroy(cluster);
}

/* The one that this node dialled or the one that it accepted: while the other stands, the member is there. */
static void test_one_of_two_connections_may_break(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 8);
    for (int i = 0; i < 3; i++) {
        struct cluster_node *leader = cluster_await_leader(cluster);
        uint64_t other = leader->id % 3 + 1;
        if (i < 2) {
            cluster_reset_link(cluster, i == 0 ? other : leader->id, i == 0 ? leader->id : other);
        } else { /* a dial that failed, while what the other one dialled stands */
            replica_on_peer_unreachable(leader->replica, other);
        }
        cluster_run(cluster, 200);
        leader = cluster_await_leader(cluster);
        cluster_run(cluster, 200);
        struct node_view view;
        replica_fill_view(leader->replica, 0, &view);
        for (uint32_t m = 0; m < 3; m++) {
            assert_true(view.members[m].connected);
        }
    }
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hello_says_who_a_node_is),
        cmocka_unit_test(test_pitfall_28_hellos_that_do_not_fit_are_refused_with_the_reason),
        cmocka_unit_test(test_a_formed_node_stops_only_when_a_majority_refuses_it),
        cmocka_unit_test(test_a_refusal_that_was_taken_back_does_not_count),
        cmocka_unit_test(test_the_skew_is_measured_against_the_median_of_the_members),
        cmocka_unit_test(test_two_nodes_do_not_pull_each_other),
        cmocka_unit_test(test_one_of_two_connections_may_break),
        cmocka_unit_test(test_a_time_that_no_clock_can_show_is_ignored),
        cmocka_unit_test(test_messages_of_strangers_and_in_foreign_names_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
