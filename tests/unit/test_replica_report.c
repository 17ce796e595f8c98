/* test_replica_report.c: what members tell one another; whose digest differs is named (pitfall 27). */
#include "replica_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { INTERVAL = 8 };

static struct cluster *create(uint32_t nodes, uint64_t seed)
{
    struct cluster *cluster = cluster_create(nodes, seed);
    cluster->defaults.digest_interval = INTERVAL;
    cluster_start_all(cluster);
    (void)cluster_await_leader(cluster);
    return cluster;
}

static void write_entries(struct cluster *cluster, int count)
{
    struct cluster_node *leader = cluster_await_leader(cluster);
    for (int i = 0; i < count; i++) {
        assert_int_equal(cluster_ask(leader, "INCR n")[0], ':');
    }
    cluster_run(cluster, 200);
}

/* A bit flips in the memory of a node. */
static void alter(struct cluster_node *node)
{
    const struct map_meta *meta = map_get_meta(replica_map(node->replica));
    struct map_meta *altered = (struct map_meta *)(uintptr_t)meta;
    altered->digest ^= UINT64_C(1) << 17;
    node->cluster->may_differ = true;
}

static bool status_has(struct cluster_node *node, const char *line)
{
    return strstr(cluster_ask(node, "RAFT STATUS"), line) != NULL;
}

static void test_members_that_agree_are_not_named(void **state)
{
    (void)state;
    for (uint32_t nodes = 1; nodes <= 5; nodes++) {
        struct cluster *cluster = create(nodes, nodes);
        write_entries(cluster, 10 * INTERVAL);
        cluster_crash(cluster_await_leader(cluster));
        cluster_start_all(cluster);
        write_entries(cluster, 10 * INTERVAL);
        for (uint64_t id = 1; id <= nodes; id++) {
            assert_false(cluster_has_event(cluster_node(cluster, id), "digest-differs"));
            assert_true(status_has(cluster_node(cluster, id), "\ndigest_differs:\n"));
        }
        cluster_destroy(cluster);
    }
}

static void test_pitfall_27_the_leader_names_a_follower_that_differs(void **state)
{
    (void)state;
    struct cluster *cluster = create(3, 1);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *wrong = cluster_follower(cluster, 0);
    write_entries(cluster, INTERVAL);
    alter(wrong);
    write_entries(cluster, INTERVAL);
    char text[64];
    (void)snprintf(text, sizeof text, "digest-differs node=%llu index=", (unsigned long long)wrong->id);
    assert_true(cluster_has_event(leader, text));
    (void)snprintf(text, sizeof text, "\ndigest_differs:%llu\n", (unsigned long long)wrong->id);
    assert_true(status_has(leader, text));
    assert_true(status_has(wrong, "\ndigest_differs:\n")); /* the leader speaks */
    assert_false(cluster_has_event(cluster_follower(cluster, 1), "digest-differs"));
    /* It comes to itself: so does what is said. */
    alter(wrong);
    write_entries(cluster, INTERVAL);
    assert_true(cluster_has_event(leader, "digest-agrees"));
    assert_true(status_has(leader, "\ndigest_differs:\n"));
    cluster_destroy(cluster);
}

static void test_pitfall_27_a_leader_that_differs_names_itself(void **state)
{
    (void)state;
    struct cluster *cluster = create(5, 2);
    struct cluster_node *leader = cluster_find_leader(cluster);
    alter(leader);
    write_entries(cluster, INTERVAL - 1); /* and the entry of its term */
    char text[64];
    (void)snprintf(text, sizeof text, "digest-differs node=%llu index=", (unsigned long long)leader->id);
    assert_true(cluster_has_event(leader, text));
    /* Whoever takes its place has the data from another leader. */
    cluster_run(cluster, 3000);
    assert_ptr_not_equal(cluster_await_leader(cluster), leader);
    assert_true(cluster_has_event(cluster_await_leader(cluster), text));
    cluster_destroy(cluster);
}

static void test_pitfall_27_of_two_members_both_are_named(void **state)
{
    (void)state;
    struct cluster *cluster = create(2, 3);
    alter(cluster_follower(cluster, 0));
    write_entries(cluster, 2 * INTERVAL);
    assert_true(status_has(cluster_find_leader(cluster), "\ndigest_differs:1,2\n") ||
                status_has(cluster_find_leader(cluster), "\ndigest_differs:2,1\n"));
    cluster_destroy(cluster);
}

/* It may be heard of before the other voter is: one voter and a learner say nothing of anybody. */
static void test_a_learner_beside_two_voters_makes_nobody_differ(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 7);
    cluster->initial_count = 2;
    cluster->defaults.digest_interval = INTERVAL;
    assert_true(cluster_start_node(cluster_node(cluster, 1)));
    assert_true(cluster_start_node(cluster_node(cluster, 2)));
    assert_memory_equal(cluster_ask(cluster_await_leader(cluster), "RAFT ADD 3 node3:17000 LEARNER"), "+OK",
                        3);
    cluster_node(cluster, 3)->join = 1;
    assert_true(cluster_start_node(cluster_node(cluster, 3)));
    cluster_run(cluster, 3000);
    cluster->delay_ms_max = 20;
    write_entries(cluster, 20 * INTERVAL);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_false(cluster_has_event(cluster_node(cluster, id), "digest-differs"));
    }
    /* Of two voters that do differ both are named, and not the learner. */
    struct cluster_node *leader = cluster_await_leader(cluster);
    alter(cluster_node(cluster, 3 - leader->id));
    write_entries(cluster, 2 * INTERVAL);
    assert_true(status_has(leader, "\ndigest_differs:1,2\n") || status_has(leader, "\ndigest_differs:2,1\n"));
    cluster_destroy(cluster);
}

static void test_pitfall_27_one_that_was_behind_is_judged_when_it_comes(void **state)
{
    (void)state;
    struct cluster *cluster = create(3, 4);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *wrong = cluster_follower(cluster, 0);
    alter(wrong);
    cluster_cut(cluster, leader->id, wrong->id);
    cluster_cut(cluster, wrong->id, cluster_follower(cluster, 1)->id); /* it asks nobody for votes */
    cluster_cut(cluster, wrong->id, leader->id);
    write_entries(cluster, 3 * INTERVAL);
    assert_false(cluster_has_event(leader, "digest-differs"));
    cluster_heal(cluster);
    cluster_run(cluster, 3000);
    write_entries(cluster, 2 * INTERVAL);
    assert_true(status_has(cluster_await_leader(cluster), wrong->id == 1   ? "\ndigest_differs:1\n"
                                                          : wrong->id == 2 ? "\ndigest_differs:2\n"
                                                                           : "\ndigest_differs:3\n"));
    cluster_destroy(cluster);
}

/* Every node collects what is said, so another leader knows as much, though nothing new is written. */
static void test_pitfall_27_the_next_leader_names_it_as_well(void **state)
{
    (void)state;
    struct cluster *cluster = create(3, 6);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *wrong = cluster_follower(cluster, 0);
    struct cluster_node *next = cluster_follower(cluster, 1);
    char text[64], line[32];
    alter(wrong);
    write_entries(cluster, 2 * INTERVAL);
    (void)snprintf(text, sizeof text, "\ndigest_differs:%llu\n", (unsigned long long)wrong->id);
    assert_true(status_has(leader, text));
    (void)snprintf(line, sizeof line, "RAFT TRANSFER %llu", (unsigned long long)next->id);
    assert_memory_equal(cluster_ask(leader, line), "+OK", 3);
    cluster_run(cluster, 3000);
    assert_ptr_equal(cluster_await_leader(cluster), next);
    assert_true(status_has(next, text));
    assert_true(cluster_has_event(next, "digest-differs"));
    cluster_destroy(cluster);
}

static uint32_t count_reports(const struct cluster_link *link)
{
    uint32_t count = 0;
    for (const struct cluster_message *queued = link->first; queued != NULL; queued = queued->next) {
        count += queued->bytes[16] == BUS_MESSAGE_REPORT ? 1 : 0; /* the type in the frame's header */
    }
    return count;
}

static void test_reports_go_only_to_members_that_know_them(void **state)
{
    (void)state;
    struct cluster *cluster = create(3, 5);
    struct cluster_link *link = cluster_link(cluster, 1, 2);
    link->held = true;
    cluster_run(cluster, 1500);
    uint32_t count = count_reports(link);
    assert_true(count > 0);
    struct bus_hello old;
    replica_fill_hello(cluster_node(cluster, 2)->replica, 1, &old);
    old.protocol_version = BUS_PROTOCOL_VERSION_OF_REPORTS - 1;
    replica_on_peer_connected(cluster_node(cluster, 1)->replica, 2, &old);
    cluster_run(cluster, 1500);
    assert_int_equal(count_reports(link), count);
    link->held = false;
    cluster_destroy(cluster);
}

static void test_a_report_that_was_lost_is_said_again(void **state)
{
    (void)state;
    struct cluster *cluster = create(3, 6);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    follower->room = CLUSTER_DISK_LOW;
    cluster_cut(cluster, follower->id, leader->id);
    (void)cluster_ask(leader, "SET k 1");
    cluster_run(cluster, 100);
    assert_true(cluster_has_event(follower, "low-space"));
    assert_true(status_has(leader, "\nlow_space_nodes:\n"));
    cluster_heal(cluster);
    cluster_run(cluster, 1500);
    char text[64];
    (void)snprintf(text, sizeof text, "\nlow_space_nodes:%llu\n", (unsigned long long)follower->id);
    assert_true(status_has(cluster_await_leader(cluster), text));
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_that_agree_are_not_named),
        cmocka_unit_test(test_pitfall_27_the_leader_names_a_follower_that_differs),
        cmocka_unit_test(test_pitfall_27_a_leader_that_differs_names_itself),
        cmocka_unit_test(test_pitfall_27_of_two_members_both_are_named),
        cmocka_unit_test(test_a_learner_beside_two_voters_makes_nobody_differ),
        cmocka_unit_test(test_pitfall_27_one_that_was_behind_is_judged_when_it_comes),
        cmocka_unit_test(test_pitfall_27_the_next_leader_names_it_as_well),
        cmocka_unit_test(test_reports_go_only_to_members_that_know_them),
        cmocka_unit_test(test_a_report_that_was_lost_is_said_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
