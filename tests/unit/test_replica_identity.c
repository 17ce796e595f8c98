/* test_replica_identity.c: a member is its id and its disk (pitfall 28), also where an id comes back with
 * another disk. Who is let in is in test_replica_formation.c and test_replica_membership.c. */
#include "replica_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { LARGE_BYTES = 700 * 1024 };

static bool votes_by_all(struct cluster *cluster, void *context)
{
    const uint32_t *count = context;
    struct cluster_node *leader = cluster_find_leader(cluster);
    if (leader == NULL) {
        return false;
    }
    struct raft_status status = cluster_status(leader);
    return status.membership_committed && status.membership.voters_count == *count &&
           status.membership.outgoing_count == 0;
}

static void await_voters(struct cluster *cluster, uint32_t count)
{
    cluster_run_until(cluster, votes_by_all, &count, 20000);
}

static void write_large(struct cluster *cluster, const char *key)
{
    struct cluster_client *client = cluster_connect(cluster_await_leader(cluster), 0);
    cluster_send_set(client, key, LARGE_BYTES);
    cluster_expect(client, "+OK\r\n");
    cluster_disconnect(client);
}

static bool has_entries(struct cluster *cluster, void *context)
{
    const struct cluster_node *node = context;
    (void)cluster;
    return replica_raft(node->replica) != NULL && cluster_status(node).last.index > 0;
}

static struct raft_membership membership_of(const struct cluster_node *node)
{
    return cluster_status(node).membership;
}

/* Seed 1795667353013: it elected itself by a configuration of the time when its former self was alone. */
static void test_pitfall_28_one_that_joins_under_its_old_id_does_not_lead_in_the_past(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(2, 1, 3);
    struct cluster_node *first = cluster_node(cluster, 1);
    cluster_tell_leader(cluster, "RAFT ADD 2 node2:17000 LEARNER",
                        "+OK"); /* says that node 1 is the only voter */
    write_large(cluster, "a");  /* so that the log comes in pieces */
    write_large(cluster, "b");
    cluster_node(cluster, 2)->join = 1;
    assert_true(cluster_start_node(cluster_node(cluster, 2)));
    cluster_tell_leader(cluster, "RAFT PROMOTE 2", "+OK");
    await_voters(cluster, 2);
    cluster_tell_leader(cluster, "RAFT TRANSFER 2", "+OK");
    cluster_run(cluster, 1000);
    cluster_tell_leader(cluster, "RAFT REMOVE 1", "+OK");
    cluster_run_until(cluster, cluster_has_stopped, first, 5000);
    cluster_run(cluster, 1);
    cluster_wipe(first);
    cluster_run(cluster, 30000);

    first->join = 2;
    assert_true(cluster_start_node(first));
    cluster_run_until(cluster, has_entries, first, 20000);
    cluster_cut(cluster, 2, 1);
    struct raft_membership then = membership_of(first);
    assert_int_equal(then.voters_count, 1);
    assert_int_equal(then.voters[0], 1); /* the case is the one that is meant */
    cluster_run(cluster, 20000);
    assert_int_not_equal(raft_get_role(replica_raft(first->replica)), RAFT_LEADER);
    cluster_heal(cluster);
    await_voters(cluster, 2);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* Node 2 says in node 1's election that it would vote for it; with this disk. */
static enum raft_role role_after_a_grant(struct cluster *cluster, uint64_t disk_id)
{
    struct cluster_node *candidate = cluster_node(cluster, 1);
    struct bus_hello hello = {
        .from = 2, .to = 1, .disk_id = disk_id, .formation = BUS_FORMATION_FORMED, .membership_index = 1000};
    replica_on_peer_hello(candidate->replica, 2, &hello);
    while (raft_get_role(replica_raft(candidate->replica)) != RAFT_PRE_CANDIDATE) {
        cluster_run(cluster, 10);
    }
    struct bus_message grant = {.type = BUS_MESSAGE_RAFT, .wall_clock_ms = cluster_wall_ms(cluster)};
    grant.raft = (struct raft_message){.type = RAFT_MESSAGE_PRE_VOTE_RESPONSE,
                                       .from = 2,
                                       .to = 1,
                                       .term = raft_get_term(replica_raft(candidate->replica)) + 1};
    replica_on_message(candidate->replica, 2, &grant);
    return raft_get_role(replica_raft(candidate->replica));
}

/* It is heard, for it goes by a newer membership, in which node 2 may be that disk. But it cannot vote for
 * the node 2 that node 1 knows. */
static void test_pitfall_28_what_another_disk_promises_does_not_count(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 4);
    uint64_t disk_id = 0;
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        struct bus_hello hello;
        replica_fill_hello(cluster->nodes[i].replica, 1, &hello);
        disk_id = hello.from == 2 ? hello.disk_id : disk_id;
    }
    assert_int_not_equal(disk_id, 0);
    cluster_isolate(cluster, 1);
    cluster_run(cluster, 10000);
    assert_int_equal(role_after_a_grant(cluster, disk_id + 1), RAFT_PRE_CANDIDATE);
    assert_int_equal(role_after_a_grant(cluster, disk_id), RAFT_CANDIDATE);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pitfall_28_one_that_joins_under_its_old_id_does_not_lead_in_the_past),
        cmocka_unit_test(test_pitfall_28_what_another_disk_promises_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
