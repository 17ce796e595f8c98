/* test_replica_removal.c: members that are taken out or replaced: they are told, and the others go on. */
#include "replica_cluster_members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- shrinking ----------------------------------------------------------------------------------- */

static void test_a_removed_node_is_told_and_ends(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(4, 10);
    struct cluster_node *victim = cluster_follower(cluster, 1);
    uint64_t term = cluster_status(cluster_await_leader(cluster)).term;
    cluster_remove(cluster, victim);
    cluster_await_refused(cluster, victim, "was removed from the cluster by entry");
    cluster_run(cluster, 3000);
    assert_int_equal(cluster_status(cluster_await_leader(cluster)).term, term); /* nobody was disturbed */
    assert_int_equal(cluster_membership(cluster_await_leader(cluster)).voters_count, 3);
    cluster_write_some(cluster, "k", 3);
    /* Started again it is told so again. */
    assert_true(cluster_start_node(victim));
    cluster_await_refused(cluster, victim, "removed");
    assert_int_equal(cluster_status(cluster_await_leader(cluster)).term, term);
    cluster_destroy(cluster);
}

static void test_pitfall_8_the_leader_can_be_removed(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct cluster *cluster = cluster_create_led(3, 20 + seed);
        struct cluster_node *leader = cluster_await_leader(cluster);
        cluster_write_some(cluster, "k", 3);
        cluster_remove(cluster, leader);
        cluster_await_refused(cluster, leader, "was removed from the cluster");
        struct cluster_node *next = cluster_await_leader(cluster);
        assert_ptr_not_equal(next, leader);
        assert_int_equal(cluster_membership(next).voters_count, 2);
        cluster_write_some(cluster, "l", 3);
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
}

static void test_three_shrink_to_one(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 30);
    for (int left = 2; left >= 1; left--) {
        struct cluster_node *leader = cluster_await_leader(cluster);
        uint64_t other = cluster_membership(leader).voters[0] == leader->id
                             ? cluster_membership(leader).voters[1]
                             : cluster_membership(leader).voters[0];
        cluster_remove(cluster, cluster_node(cluster, other));
        cluster_await_refused(cluster, cluster_node(cluster, other), "removed");
        cluster_write_some(cluster, "k", 3);
    }
    struct cluster_node *last = cluster_find_leader(cluster);
    char line[40];
    (void)snprintf(line, sizeof line, "RAFT REMOVE %llu", (unsigned long long)last->id);
    assert_string_equal(cluster_ask(last, line), "-ERR it is the last voter\r\n");
    cluster_crash(last);
    assert_true(cluster_start_node(last)); /* by the setting there would be three */
    cluster_run(cluster, 2000);
    assert_string_equal(cluster_ask(last, "SET alone 1"), "+OK\r\n");
    cluster_destroy(cluster);
}

/* It was away, and does not know: whoever it asks does. Its campaigns disturb nobody (thesis 4.2.3). */
static void test_a_node_that_was_removed_while_it_was_away_is_told_when_it_returns(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(4, 31);
    struct cluster_node *victim = cluster_follower(cluster, 0);
    cluster_crash(victim);
    cluster_run(cluster, 500);
    cluster_remove(cluster, victim);
    cluster_run(cluster, 3000);
    uint64_t term = cluster_status(cluster_await_leader(cluster)).term;
    assert_true(cluster_start_node(victim));
    cluster_await_refused(cluster, victim, "was removed from cluster");
    cluster_run(cluster, 1000);
    assert_int_equal(cluster_status(cluster_await_leader(cluster)).term, term);
    cluster_destroy(cluster);
}

/* ---- replacing ----------------------------------------------------------------------------------- */

static void test_a_node_is_replaced_in_one_step(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 40);
    cluster_write_some(cluster, "k", 10);
    struct cluster_node *old = cluster_follower(cluster, 0);
    char line[60], members[20] = "";
    (void)snprintf(line, sizeof line, "RAFT REPLACE %llu 4 node4:17000", (unsigned long long)old->id);
    cluster_tell_leader(cluster, line, "+OK node 4 takes the place of node");
    cluster_start_joining(cluster, 4, cluster_await_leader(cluster)->id);
    cluster_await_refused(cluster, old, "was removed from the cluster");
    for (uint64_t id = 1; id <= 4; id++) {
        if (id != old->id) {
            size_t size = strlen(members);
            (void)snprintf(members + size, sizeof members - size, "%s%llu", size == 0 ? "" : ",",
                           (unsigned long long)id);
        }
    }
    cluster_await_members(cluster, members, NULL);
    cluster_write_some(cluster, "l", 3);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_the_leader_can_be_replaced_and_a_dead_node_as_well(void **state)
{
    (void)state;
    for (int dead = 0; dead < 2; dead++) {
        struct cluster *cluster = cluster_create_partly(4, 3, 41);
        cluster_write_some(cluster, "k", 10);
        struct cluster_node *leader = cluster_await_leader(cluster);
        struct cluster_node *old = dead ? cluster_follower(cluster, 0) : leader;
        char line[60];
        if (dead) {
            cluster_crash(old);
            cluster_wipe(old);
            cluster_run(cluster, 1000);
        }
        (void)snprintf(line, sizeof line, "RAFT REPLACE %llu 4 node4:17000", (unsigned long long)old->id);
        cluster_tell_leader(cluster, line, "+OK");
        cluster_start_joining(cluster, 4, leader->id);
        if (!dead) {
            cluster_await_refused(cluster, old, "was removed");
        }
        cluster_run(cluster, 3000);
        assert_int_equal(cluster_membership(cluster_await_leader(cluster)).voters_count, 3);
        cluster_write_some(cluster, "l", 3);
        cluster_assert_equal(cluster);
        if (dead) { /* what comes back empty under the old id belongs to no cluster any more */
            assert_true(cluster_start_node(old));
            cluster_run(cluster, 2000);
            assert_int_equal(cluster_status(old).role, RAFT_FOLLOWER);
            assert_null(replica_raft(old->replica));
        }
        cluster_destroy(cluster);
    }
}

/* The second would come as one voter more; and throw out whoever came later under the id of the old one. */
static void test_two_cannot_take_the_place_of_one(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(5, 3, 42);
    struct cluster_node *old = cluster_follower(cluster, 0);
    char line[60], begin[100];
    (void)snprintf(line, sizeof line, "RAFT REPLACE %llu 4 node4:17000", (unsigned long long)old->id);
    cluster_tell_leader(cluster, line, "+OK");
    cluster_run(cluster, 100);
    cluster_tell_leader(cluster, line, "+OK"); /* the same again is no other */
    cluster_run(cluster, 100);
    (void)snprintf(line, sizeof line, "RAFT REPLACE %llu 5 node5:17000", (unsigned long long)old->id);
    (void)snprintf(begin, sizeof begin,
                   "-ERR node 4 is to take the place of node %llu already: RAFT REMOVE 4",
                   (unsigned long long)old->id);
    cluster_tell_leader(cluster, line, begin);
    cluster_tell_leader(cluster, "RAFT REMOVE 4", "+OK");
    cluster_run(cluster, 100);
    cluster_tell_leader(cluster, line, "+OK");
    cluster_start_joining(cluster, 5, cluster_await_leader(cluster)->id);
    cluster_await_refused(cluster, old, "was removed from the cluster");
    assert_int_equal(cluster_membership(cluster_await_leader(cluster)).voters_count, 3);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_removed_node_is_told_and_ends),
        cmocka_unit_test(test_pitfall_8_the_leader_can_be_removed),
        cmocka_unit_test(test_three_shrink_to_one),
        cmocka_unit_test(test_a_node_that_was_removed_while_it_was_away_is_told_when_it_returns),
        cmocka_unit_test(test_a_node_is_replaced_in_one_step),
        cmocka_unit_test(test_the_leader_can_be_replaced_and_a_dead_node_as_well),
        cmocka_unit_test(test_two_cannot_take_the_place_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
