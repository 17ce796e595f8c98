/* test_replica_view.c: what INFO, CLUSTER and RAFT STATUS show. */
#include "replica_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct node_view view_of(struct cluster_node *node, uint32_t listener)
{
    struct node_view view;
    replica_fill_view(node->replica, listener, &view);
    return view;
}

static void test_the_leader_comes_first_and_nobody_is_missing(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(5, 1);
    struct cluster_node *leader = cluster_find_leader(cluster);
    for (uint64_t id = 1; id <= 5; id++) {
        struct node_view view = view_of(cluster_node(cluster, id), 1);
        assert_int_equal(view.members_count, 5);
        assert_int_equal(view.leader_id, leader->id);
        assert_true(view.state_ok);
        assert_true(view.formed);
        unsigned seen = 0;
        for (uint32_t i = 0; i < 5; i++) {
            const struct node_view_member *member = &view.members[i];
            seen |= 1u << member->node_id;
            assert_int_equal(member->is_leader, i == 0);
            assert_int_equal(member->is_self, member->node_id == id);
            assert_true(member->connected);
            assert_string_equal(member->host, "127.0.0.1");
            assert_int_equal(member->port, 7000 + member->node_id);
            assert_int_equal(strlen(member->hex_id), 40);
            assert_int_equal(member->progress_known, id == leader->id);
        }
        assert_int_equal(seen, 0x3e);
    }
    cluster_destroy(cluster);
}

static void test_ids_are_the_same_on_every_node_and_differ_between_nodes(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 2);
    struct node_view first = view_of(cluster_node(cluster, 1), 0);
    for (uint64_t id = 2; id <= 3; id++) {
        struct node_view view = view_of(cluster_node(cluster, id), 0);
        assert_string_equal(view.cluster_id, first.cluster_id);
        assert_string_not_equal(view.disk_id, first.disk_id);
        for (uint32_t i = 0; i < 3; i++) {
            assert_string_equal(view.members[i].hex_id, first.members[i].hex_id);
        }
    }
    assert_string_not_equal(first.members[0].hex_id, first.members[1].hex_id);
    cluster_destroy(cluster);
}

/* Contract, rules 3 and 4: no holes without a leader; "ok" while an election is young. */
static void test_ids_differ_however_large_the_numbers_of_nodes_are(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(1, 3);
    struct cluster_node *node = cluster_node(cluster, 1);
    node->members_count = 2;
    node->members[0] = 1;
    node->members[1] = 1 + (UINT64_C(1) << 32);
    assert_true(cluster_start_node(node));
    static struct node_view view;
    replica_fill_view(node->replica, 0, &view);
    assert_int_equal(view.members_count, 2);
    assert_int_equal(strlen(view.members[1].hex_id), 40);
    assert_string_not_equal(view.members[0].hex_id, view.members[1].hex_id);
    cluster_destroy(cluster);
}

static void test_without_a_leader_the_last_one_comes_first(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 3);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *node = cluster_follower(cluster, 0);
    cluster_isolate(cluster, node->id);
    cluster_run(cluster, 800);
    struct node_view view = view_of(node, 0);
    assert_int_equal(view.leader_id, 0);
    assert_int_equal(view.members_count, 3);
    assert_int_equal(view.members[0].node_id, leader->id);
    assert_false(view.members[0].is_leader);
    assert_true(view.state_ok);
    cluster_run(cluster, 1500);
    view = view_of(node, 0);
    assert_false(view.state_ok);
    assert_true(view.election_age_ms > 1000);
    cluster_heal(cluster);
    (void)cluster_await_leader(cluster);
    view = view_of(node, 0);
    assert_true(view.state_ok);
    assert_int_equal(view.election_age_ms, 0);
    cluster_destroy(cluster);
}

static void test_a_node_that_is_still_forming_can_be_looked_at(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 4);
    assert_true(cluster_start_node(cluster_node(cluster, 2)));
    struct node_view view = view_of(cluster_node(cluster, 2), 0);
    assert_false(view.formed);
    assert_string_equal(view.role, "forming");
    assert_int_equal(view.members_count, 3);
    assert_int_equal(view.members[0].node_id, 2); /* it knows nothing better */
    struct cluster_client *client = cluster_connect(cluster_node(cluster, 2), 0);
    static const char *const commands[] = {"INFO",         "CLUSTER SLOTS", "CLUSTER NODES", "CLUSTER SHARDS",
                                           "CLUSTER INFO", "RAFT STATUS",   "HELLO",         "CLIENT LIST"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        cluster_send(client, commands[i]);
        cluster_run(cluster, 5);
        assert_true(byte_buffer_size(&client->received) > 3);
        assert_int_not_equal(cluster_received(client)[0], '-');
        cluster_forget_received(client);
    }
    cluster_destroy(cluster);
}

static void test_progress_and_counters_follow_what_happens(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 5);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *away = cluster_follower(cluster, 0);
    for (int i = 0; i < 10; i++) {
        (void)cluster_ask(leader, "INCR n");
    }
    (void)cluster_ask(cluster_follower(cluster, 1), "INCR n");
    cluster_run(cluster, 200);
    struct node_view view = view_of(leader, 0);
    assert_string_equal(view.role, "leader");
    assert_int_equal(view.commit_index, view.last_index);
    assert_int_equal(view.applied_index, view.last_index);
    assert_int_equal(view.durable_index, view.last_index);
    assert_int_equal(view.key_count, 1);
    assert_int_equal(view.commands_total, 10);
    assert_int_equal(view.elections_total, 1);
    assert_int_equal(view_of(cluster_follower(cluster, 1), 0).redirects_total, 1);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(view.members[i].match_index, view.last_index);
        assert_string_equal(view.members[i].progress, "replicate");
        assert_true(view.members[i].recently_active);
    }
    cluster_crash(away);
    (void)cluster_ask(leader, "INCR n");
    cluster_run(cluster, 1000);
    view = view_of(leader, 0);
    for (uint32_t i = 0; i < 3; i++) {
        const struct node_view_member *member = &view.members[i];
        assert_int_equal(member->connected, member->node_id != away->id);
        assert_int_equal(member->recently_active, member->node_id != away->id);
        assert_int_equal(member->match_index,
                         member->node_id == away->id ? view.last_index - 1 : view.last_index);
    }
    cluster_destroy(cluster);
}

static void test_waiting_commands_and_clients_are_counted(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 6);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *writer = cluster_connect(leader, 0);
    struct cluster_client *reader = cluster_connect(leader, 1);
    cluster_isolate(cluster, leader->id);
    cluster_send(writer, "CLIENT SETNAME w");
    cluster_send(writer, "SET k v");
    cluster_send(writer, "SET k w");
    cluster_send(writer, "PING");
    cluster_send(reader, "GET k");
    cluster_run(cluster, 10);
    struct node_view view = view_of(leader, 0);
    assert_int_equal(view.clients_connected, 2);
    assert_int_equal(view.clients_max, 10000); /* what only the runtime knows */
    assert_int_equal(view.writes_pending, 2);
    assert_int_equal(view.reads_pending, 1);
    assert_int_equal(view.commands_parked, 1);
    struct cluster_client *other = cluster_connect(leader, 0);
    cluster_send(other, "CLIENT LIST");
    cluster_run(cluster, 1);
    const char *list = cluster_received(other);
    assert_non_null(strstr(list, "id=1 "));
    assert_non_null(strstr(list, "name=w "));
    assert_non_null(strstr(list, "id=2 "));
    assert_non_null(strstr(list, "id=3 "));
    cluster_disconnect(writer);
    assert_int_equal(view_of(leader, 0).clients_connected, 2);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_leader_comes_first_and_nobody_is_missing),
        cmocka_unit_test(test_ids_are_the_same_on_every_node_and_differ_between_nodes),
        cmocka_unit_test(test_ids_differ_however_large_the_numbers_of_nodes_are),
        cmocka_unit_test(test_without_a_leader_the_last_one_comes_first),
        cmocka_unit_test(test_a_node_that_is_still_forming_can_be_looked_at),
        cmocka_unit_test(test_progress_and_counters_follow_what_happens),
        cmocka_unit_test(test_waiting_commands_and_clients_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
