/* test_replica_dispatch.c: what happens to a command: answered, redirected, parked, in which order. */
#include "replica_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLUSTERDOWN "-CLUSTERDOWN The cluster is down\r\n"

static void test_three_nodes_elect_and_serve_through_the_leader(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 1);
    struct cluster_client *client = cluster_connect(cluster_find_leader(cluster), 0);
    cluster_send(client, "SET k v");
    cluster_expect(client, "+OK\r\n");
    cluster_send(client, "GET k");
    cluster_expect(client, "$1\r\nv\r\n");
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* The slot is Redis' own; the address is the one that the leader announces for the listener that the client
 * came in by. */
static void test_a_follower_redirects_with_the_slot_and_the_address_of_the_listener(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 2);
    unsigned leader = (unsigned)cluster_find_leader(cluster)->id;
    for (uint32_t i = 0; i < 2; i++) {
        struct cluster_client *inside = cluster_connect(cluster_follower(cluster, i), 0);
        struct cluster_client *outside = cluster_connect(cluster_follower(cluster, i), 1);
        char text[100];
        cluster_send(inside, "SET foo 1");
        cluster_send(outside, "GET {foo}bar");
        (void)snprintf(text, sizeof text, "-MOVED 12182 node%u:7000\r\n", leader);
        cluster_expect(inside, text);
        (void)snprintf(text, sizeof text, "-MOVED 12182 127.0.0.1:%u\r\n", 7000 + leader);
        cluster_expect(outside, text);
        cluster_send(inside, "FLUSHALL");
        (void)snprintf(text, sizeof text, "-MOVED 0 node%u:7000\r\n", leader);
        cluster_expect(inside, text);
    }
    cluster_destroy(cluster);
}

static void test_local_commands_are_answered_by_every_node_in_their_place(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 3);
    struct cluster_client *client = cluster_connect(cluster_follower(cluster, 0), 0);
    cluster_send(client, "PING");
    cluster_send(client, "SET k");
    cluster_send(client, "nonsense a");
    cluster_send(client, "ECHO hello");
    cluster_expect(client,
                   "+PONG\r\n-ERR wrong number of arguments for 'set' command\r\n"
                   "-ERR unknown command 'nonsense', with args beginning with: 'a' \r\n$5\r\nhello\r\n");
    /* Behind a command that is parked they wait for it. */
    cluster_isolate(cluster, client->node->id);
    cluster_run(cluster, 1000);
    cluster_send(client, "SET k v");
    cluster_send(client, "PING");
    cluster_send(client, "SET k");
    cluster_expect_nothing(client, 900);
    cluster_expect(client, CLUSTERDOWN "+PONG\r\n-ERR wrong number of arguments for 'set' command\r\n");
    cluster_destroy(cluster);
}

static void test_commands_are_parked_for_about_a_second_and_then_refused(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 4);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    cluster_isolate(cluster, follower->id);
    cluster_run(cluster, 1000);
    struct cluster_client *client = cluster_connect(follower, 0);
    uint64_t since_ms = cluster->now_ms;
    cluster_send(client, "SET k 1");
    cluster_send(client, "GET k");
    cluster_send(client, "DBSIZE");
    cluster_expect_nothing(client, 990);
    cluster_expect(client, CLUSTERDOWN CLUSTERDOWN CLUSTERDOWN);
    assert_in_range(cluster->now_ms - since_ms, 1000, 1010);
    cluster_send(client, "SET k 1"); /* the connection stays usable; each command has its own second */
    cluster_run(cluster, 500);
    cluster_send(client, "SET k 2");
    cluster_run(cluster, 600);
    assert_string_equal(cluster_received(client), CLUSTERDOWN);
    cluster_run(cluster, 500);
    cluster_expect(client, CLUSTERDOWN CLUSTERDOWN);
    cluster_destroy(cluster);
}

static void test_an_election_is_not_noticed_by_a_client_of_a_survivor(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct cluster *cluster = cluster_create_led(3, seed);
        struct cluster_client *clients[2];
        for (uint32_t i = 0; i < 2; i++) {
            clients[i] = cluster_connect(cluster_follower(cluster, i), 0);
        }
        cluster_crash(cluster_find_leader(cluster));
        cluster_settle(cluster);
        for (int i = 0; i < 2; i++) {
            cluster_send(clients[i], "INCR foo");
            cluster_expect_nothing(clients[i], 0);
        }
        struct cluster_node *leader = cluster_await_leader(cluster);
        char text[100];
        (void)snprintf(text, sizeof text, "-MOVED 12182 node%u:7000\r\n", (unsigned)leader->id);
        for (int i = 0; i < 2; i++) {
            cluster_expect(clients[i], clients[i]->node == leader ? ":1\r\n" : text);
        }
        cluster_destroy(cluster);
    }
}

static void test_nobody_is_redirected_to_oneself_or_by_an_old_hint(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 5);
    struct cluster_node *old = cluster_find_leader(cluster);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    struct cluster_client *of_follower = cluster_connect(follower, 0);
    struct cluster_client *of_old = cluster_connect(old, 0);
    cluster_send(of_follower, "SET foo 1");
    cluster_expect_prefix(of_follower, "-MOVED 12182 ");
    /* The leader falls silent: before its followers give it up, they stop sending clients there. */
    cluster_isolate(cluster, old->id);
    cluster_run(cluster, 160);
    assert_int_equal(cluster_status(follower).leader, old->id);
    cluster_send(of_follower, "SET foo 1");
    cluster_expect_nothing(of_follower, 50);
    assert_int_equal(cluster_status(follower).leader, old->id);
    /* A leader that is none any more parks. */
    cluster_run(cluster, 400);
    assert_int_equal(cluster_status(old).role, RAFT_FOLLOWER);
    cluster_send(of_old, "SET foo 1");
    cluster_expect_nothing(of_old, 900);
    cluster_expect(of_old, CLUSTERDOWN);
    cluster_run(cluster, 2000);
    char text[100];
    struct cluster_node *leader = cluster_find_leader(cluster);
    (void)snprintf(text, sizeof text, "-MOVED 12182 node%u:7000\r\n", (unsigned)leader->id);
    if (follower == leader) {
        cluster_expect(of_follower, "+OK\r\n");
    } else {
        cluster_expect(of_follower, text);
    }
    cluster_destroy(cluster);
}

/* The leader is silent for less than an election timeout and then heard of again: what was parked goes on at
 * once. */
static void test_parked_commands_go_on_when_the_leader_is_heard_of_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 6);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    struct cluster_client *client = cluster_connect(follower, 0);
    cluster_link(cluster, leader->id, follower->id)->held = true;
    cluster_run(cluster, 170);
    cluster_send(client, "SET foo 1");
    cluster_expect_nothing(client, 50);
    assert_int_equal(cluster_status(follower).leader, leader->id);
    cluster_heal(cluster);
    cluster_run(cluster, 5);
    assert_int_equal(strncmp(cluster_received(client), "-MOVED 12182 ", 13), 0);
    cluster_destroy(cluster);
}

static void test_a_redirect_outlives_the_loss_of_one_of_the_two_connections(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 7);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    struct cluster_client *client = cluster_connect(follower, 0);
    /* The leader's connection to the follower breaks and is dialled anew; the follower's own stands all the
     * time. */
    cluster_reset_link(cluster, leader->id, follower->id);
    cluster_run(cluster, 200);
    (void)cluster_await_leader(cluster);
    leader = cluster_find_leader(cluster);
    if (leader != follower) {
        cluster_send(client, "SET foo 1");
        cluster_expect_prefix(client, "-MOVED 12182 ");
    }
    cluster_destroy(cluster);
}

/* A write must not overtake a read of its connection that waits for a read index, nor a read a write. */
static void test_reads_and_writes_of_a_connection_keep_their_order(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 8);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    for (int i = 0; i < 20; i++) {
        cluster_send(client, "GET k");
        cluster_send(client, "GET k");
        cluster_send(client, "DBSIZE");
        cluster_send(client, "SET k 1");
        cluster_send(client, "DBSIZE");
        cluster_send(client, "DEL k");
    }
    for (int i = 0; i < 20; i++) {
        cluster_run(cluster, 1);
    }
    cluster_run(cluster, 1000);
    for (int i = 0; i < 20; i++) {
        static const char round[] = "$-1\r\n$-1\r\n:0\r\n+OK\r\n:1\r\n:1\r\n";
        assert_memory_equal(cluster_received(client), round, sizeof round - 1);
        byte_buffer_consume(&client->received, sizeof round - 1);
    }
    assert_string_equal(cluster_received(client), "");
    cluster_destroy(cluster);
}

static void test_protocol_3_begins_at_its_place_in_a_pipeline(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 9);
    struct cluster_client *client = cluster_connect(cluster_find_leader(cluster), 0);
    cluster_send(client, "GET k");
    cluster_send(client, "SET j 1");
    cluster_send(client, "GET k");
    cluster_send(client, "HELLO 3");
    cluster_send(client, "GET k");
    cluster_run(cluster, 100);
    const char *received = cluster_received(client);
    assert_memory_equal(received, "$-1\r\n+OK\r\n$-1\r\n%", 16);
    assert_string_equal(received + strlen(received) - 3, "_\r\n");
    cluster_destroy(cluster);
}

/* Writes new keys until one is refused although all that came before is on disk. */
static void fill_map(struct cluster *cluster, struct cluster_client *client, size_t value_bytes)
{
    bool refused = false;
    for (int count = 0; count < 100000; count++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", count * 7919 % 100000);
        cluster_send_set(client, key, value_bytes);
        cluster_run(cluster, refused || count % 16 == 15 ? 5 : 0);
        bool again = strstr(cluster_received(client), "-OOM ") != NULL;
        cluster_forget_received(client);
        if (refused && again) {
            return;
        }
        refused = again;
        cluster_run(cluster, refused ? 1000 : 0);
        cluster_forget_received(client);
    }
    fail_msg("never refused");
}

static void test_pitfall_19_what_grows_is_refused_before_the_map_is_full(void **state)
{
    (void)state;
    for (size_t value_bytes = 10; value_bytes <= 100000; value_bytes *= 100) {
        struct cluster *cluster = cluster_create(3, 30);
        cluster->data_map_bytes = 8 << 20;
        cluster->defaults.checkpoint_log_bytes = 256 << 10;
        cluster->defaults.checkpoint_idle_ms = 100;
        cluster_start_all(cluster);
        struct cluster_node *leader = cluster_await_leader(cluster);
        struct cluster_client *client = cluster_connect(leader, 0);
        fill_map(cluster, client, value_bytes);
        cluster_send_set(client, "k", value_bytes);
        cluster_expect_prefix(client, "-OOM command not allowed");
        cluster_send(client, "STRLEN k0");
        char text[32];
        (void)snprintf(text, sizeof text, ":%zu\r\n", value_bytes);
        cluster_expect(client, text);
        cluster_send(client, "EXPIRE k0 100");
        cluster_send(client, "DEL k7919");
        cluster_expect(client, ":1\r\n:1\r\n");
        cluster_send(client, "FLUSHALL");
        cluster_expect(client, "+OK\r\n");
        cluster_run(cluster, 1000);
        cluster_send(client, "SET k v");
        cluster_expect(client, "+OK\r\n");
        for (uint64_t id = 1; id <= 3; id++) {
            assert_false(cluster_node(cluster, id)->stopped);
        }
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
}

/* Seeds 1795654620830 and 1795654628977 of the simulator: who waits for room writes so little that no
 * checkpoint was due, and so often that the node was never idle. What was deleted took its room for ever. */
static void test_pitfall_19_deletions_make_room_though_no_checkpoint_is_due(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 31);
    cluster->data_map_bytes = 8 << 20;
    cluster->defaults.checkpoint_log_bytes = 1 << 30;
    cluster->defaults.checkpoint_idle_ms = 3600 * 1000;
    cluster_start_all(cluster);
    struct cluster_client *client = cluster_connect(cluster_await_leader(cluster), 0);
    const size_t value_bytes = 1000;
    fill_map(cluster, client, value_bytes);
    for (int count = 0; count < 1000; count++) {
        char command[32];
        (void)snprintf(command, sizeof command, "DEL k%d", count * 7919 % 100000);
        cluster_send(client, command);
        cluster_run(cluster, count % 16 == 15 ? 5 : 0);
    }
    cluster_run(cluster, 100);
    assert_null(strstr(cluster_received(client), ":0"));
    cluster_forget_received(client);
    cluster_send_set(client, "k", value_bytes);
    cluster_expect(client, "+OK\r\n");
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_nodes_elect_and_serve_through_the_leader),
        cmocka_unit_test(test_a_follower_redirects_with_the_slot_and_the_address_of_the_listener),
        cmocka_unit_test(test_local_commands_are_answered_by_every_node_in_their_place),
        cmocka_unit_test(test_commands_are_parked_for_about_a_second_and_then_refused),
        cmocka_unit_test(test_an_election_is_not_noticed_by_a_client_of_a_survivor),
        cmocka_unit_test(test_nobody_is_redirected_to_oneself_or_by_an_old_hint),
        cmocka_unit_test(test_parked_commands_go_on_when_the_leader_is_heard_of_again),
        cmocka_unit_test(test_a_redirect_outlives_the_loss_of_one_of_the_two_connections),
        cmocka_unit_test(test_reads_and_writes_of_a_connection_keep_their_order),
        cmocka_unit_test(test_pitfall_19_what_grows_is_refused_before_the_map_is_full),
        cmocka_unit_test(test_pitfall_19_deletions_make_room_though_no_checkpoint_is_due),
        cmocka_unit_test(test_protocol_3_begins_at_its_place_in_a_pipeline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
