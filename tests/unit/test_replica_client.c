/* test_replica_client.c: a client's queue of requests, its limits, and its end. */
#include "replica_cluster.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLUSTERDOWN "-CLUSTERDOWN The cluster is down\r\n"

static struct cluster *create_with_limits(uint32_t nodes, uint64_t of_client, uint64_t of_all)
{
    struct cluster *cluster = cluster_create(nodes, 1);
    cluster->defaults.client_pending_bytes_max = of_client;
    cluster->defaults.pending_bytes_max = of_all;
    cluster_start_all(cluster);
    (void)cluster_await_leader(cluster);
    return cluster;
}

static void hold_all_disks(struct cluster *cluster, bool hold)
{
    for (uint64_t id = 1; id <= cluster->nodes_count; id++) {
        cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_LOG, hold);
    }
}

/* `count` times `text`. */
static void expect_times(struct cluster_client *client, int count, const char *text)
{
    size_t size = strlen(text);
    char *all = malloc(size * (size_t)count + 1);
    assert_non_null(all);
    for (int i = 0; i < count; i++) {
        memcpy(all + size * (size_t)i, text, size + 1);
    }
    cluster_expect(client, all);
    free(all);
}

static void start_taking_output(struct cluster_client *client)
{
    client->takes_output = true;
    client->node->has_input = true;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2(); /* nothing under sanitizers */
    return info.uordblks + info.hblkhd;
}

static void test_a_long_pipeline_that_is_answered_takes_no_memory_any_more(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 1);
    size_t before = heap_bytes(), most = 0;
    for (int i = 0; i < 20; i++) {
        struct cluster_client *client = cluster_connect(cluster_find_leader(cluster), 0);
        for (int j = 0; j < 2000; j++) {
            cluster_send(client, "GET n");
        }
        most = heap_bytes() > most ? heap_bytes() : most;
        cluster_run(cluster, 2000);
        expect_times(client, 2000, "$-1\r\n");
    }
    assert_true(before == 0 || most > before + 200000); /* it did take some */
    assert_true(before == 0 || heap_bytes() < before + 2000000);
    cluster_destroy(cluster);
}

static void test_a_long_pipeline_is_answered_in_order(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 1);
    struct cluster_client *client = cluster_connect(cluster_find_leader(cluster), 0);
    char line[64];
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(line, sizeof line, i % 3 == 0 ? "INCR n" : i % 3 == 1 ? "ECHO %d" : "GET n", i);
        cluster_send(client, line);
        if (i % 700 == 0) {
            cluster_run(cluster, 1);
        }
    }
    cluster_run(cluster, 12000);
    char *text = strdup(cluster_received(client));
    char *rest = text;
    for (int i = 0; i < 3000; i += 3) {
        (void)snprintf(line, sizeof line, ":%d\r", i / 3 + 1);
        assert_string_equal(strsep(&rest, "\n"), line);
        (void)strsep(&rest, "\n");
        (void)snprintf(line, sizeof line, "%d\r", i + 1);
        assert_string_equal(strsep(&rest, "\n"), line);
        (void)strsep(&rest, "\n");
        (void)snprintf(line, sizeof line, "%d\r", i / 3 + 1);
        assert_string_equal(strsep(&rest, "\n"), line);
    }
    assert_string_equal(rest, "");
    free(text);
    cluster_destroy(cluster);
}

static void test_input_is_held_back_at_the_limit_of_a_client_and_goes_on_below_it(void **state)
{
    (void)state;
    struct cluster *cluster = create_with_limits(3, 20000, 1 << 30);
    struct cluster_client *client = cluster_connect(cluster_find_leader(cluster), 0);
    struct cluster_client *other = cluster_connect(cluster_find_leader(cluster), 0);
    hold_all_disks(cluster, true);
    for (int i = 0; i < 500; i++) {
        cluster_send_set(client, "k", 300);
    }
    cluster_run(cluster, 50);
    assert_false(client->is_read);
    assert_in_range(byte_buffer_size(&client->input), 500 * 300 - 25000, 500 * 350);
    assert_true(replica_client_wants_input(other->node->replica, other->client)); /* a limit of its own */
    hold_all_disks(cluster, false);
    expect_times(client, 500, "+OK\r\n");
    cluster_destroy(cluster);
}

static void test_input_of_all_clients_is_held_back_at_their_common_limit(void **state)
{
    (void)state;
    struct cluster *cluster = create_with_limits(3, 1 << 20, 50000);
    struct cluster_client *clients[20];
    for (int i = 0; i < 20; i++) {
        clients[i] = cluster_connect(cluster_find_leader(cluster), 0);
    }
    hold_all_disks(cluster, true);
    for (int i = 0; i < 20; i++) {
        for (int j = 0; j < 10; j++) {
            cluster_send_set(clients[i], "k", 1000);
        }
    }
    cluster_run(cluster, 50);
    int held_back = 0;
    for (int i = 0; i < 20; i++) {
        held_back += clients[i]->is_read ? 0 : 1;
    }
    assert_in_range(held_back, 10, 20);
    hold_all_disks(cluster, false);
    for (int i = 0; i < 20; i++) {
        expect_times(clients[i], 10, "+OK\r\n");
    }
    cluster_destroy(cluster);
}

static void test_a_client_that_does_not_read_its_replies_is_not_read_from(void **state)
{
    (void)state;
    static const char *const commands[] = {"GET k", "COMMAND DOCS get", "ECHO 0123456789", "FOO"};
    for (size_t c = 0; c < sizeof commands / sizeof commands[0]; c++) {
        struct cluster *cluster = create_with_limits(3, 5000, 1 << 30);
        struct cluster_client *client = cluster_connect(cluster_find_leader(cluster), 0);
        cluster_send_set(client, "k", 900);
        cluster_expect(client, "+OK\r\n");
        cluster_send(client, commands[c]);
        cluster_run(cluster, 20);
        size_t reply_bytes = byte_buffer_size(&client->received);
        cluster_forget_received(client);
        client->takes_output = false;
        for (int i = 0; i < 2000; i++) {
            cluster_send(client, commands[c]);
        }
        cluster_run(cluster, 1000);
        assert_false(client->is_read);
        assert_in_range(byte_buffer_size(replica_client_output(client->client)), 5000 - reply_bytes,
                        5000 + 2 * reply_bytes);
        assert_true(byte_buffer_size(&client->input) > 0);
        start_taking_output(client);
        cluster_run(cluster, 5000);
        assert_int_equal(byte_buffer_size(&client->received), 2000 * reply_bytes);
        cluster_destroy(cluster);
    }
}

/* Behind a command that waits even what is refused at once costs memory. */
static void test_replies_that_wait_for_earlier_ones_count(void **state)
{
    (void)state;
    struct cluster *cluster = create_with_limits(3, 20000, 1 << 30);
    struct cluster_client *client = cluster_connect(cluster_find_leader(cluster), 0);
    hold_all_disks(cluster, true);
    cluster_send(client, "SET k v");
    for (int i = 0; i < 5000; i++) {
        cluster_send(client, "FOO");
    }
    cluster_run(cluster, 50);
    assert_false(client->is_read);
    assert_true(byte_buffer_size(&client->input) > 20000);
    hold_all_disks(cluster, false);
    cluster_run(cluster, 2000);
    assert_int_equal(byte_buffer_size(&client->input), 0);
    const char *received = cluster_received(client);
    assert_memory_equal(received, "+OK\r\n-ERR unknown command 'FOO'", 30);
    cluster_destroy(cluster);
}

/* Reads that ride in an entry, and writes that answer with a value, are run whether the client has room or
 * not. */
static void test_a_client_far_over_its_output_limit_is_cut_off_without_a_word(void **state)
{
    (void)state;
    static const char *const commands[] = {"GET k", "GETEX k"};
    for (size_t c = 0; c < 2; c++) {
        struct cluster *cluster = create_with_limits(3, 50000, 1 << 30);
        struct cluster_node *leader = cluster_find_leader(cluster);
        struct cluster_client *client = cluster_connect(leader, 0);
        struct cluster_client *other = cluster_connect(leader, 0);
        cluster_send_set(client, "k", 9000);
        cluster_expect(client, "+OK\r\n");
        cluster_send(client, "INCR n");
        for (int i = 0; i < 300; i++) {
            cluster_send(client, commands[c]);
        }
        cluster_send(client, "INCR n");
        cluster_run(cluster, 100);
        assert_true(client->ended_by_node);
        assert_true(cluster_has_event(leader, "client-output-limit"));
        assert_string_equal(cluster_received(client), ""); /* no reply after a gap */
        cluster_send(other, "PING");
        cluster_expect(other, "+PONG\r\n");
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
}

/* Two clients with more replies than all may have that are not sent. */
static struct cluster *create_with_full_output(struct cluster_client *clients[2])
{
    struct cluster *cluster = create_with_limits(1, 1 << 20, 10000);
    for (int i = 0; i < 2; i++) {
        clients[i] = cluster_connect(cluster_find_leader(cluster), 0);
    }
    cluster_send_set(clients[0], "k", 6000);
    cluster_expect(clients[0], "+OK\r\n");
    for (int i = 0; i < 2; i++) {
        clients[i]->takes_output = false;
        cluster_send(clients[i], "GET k");
    }
    cluster_run(cluster, 20);
    return cluster;
}

static void test_clients_that_take_nothing_while_others_wait_are_cut_off(void **state)
{
    (void)state;
    struct cluster_client *clients[2];
    struct cluster *cluster = create_with_full_output(clients);
    struct cluster_client *other = cluster_connect(clients[0]->node, 0);
    cluster_send(other, "STRLEN k");
    cluster_run(cluster, 100);
    assert_string_equal(cluster_received(other), "");
    cluster_run(cluster, 1000);
    assert_true(clients[0]->ended_by_node || clients[1]->ended_by_node);
    assert_string_equal(cluster_received(other), ":6000\r\n");
    cluster_destroy(cluster);
}

/* Nobody could take anything while the node did not get to run. */
static void test_clients_are_not_cut_off_because_the_node_stood_still(void **state)
{
    (void)state;
    struct cluster_client *clients[2];
    struct cluster *cluster = create_with_full_output(clients);
    cluster->now_ms += 3000;
    cluster_run(cluster, 1);
    for (int i = 0; i < 2; i++) {
        start_taking_output(clients[i]);
    }
    cluster_run(cluster, 1000);
    for (int i = 0; i < 2; i++) {
        assert_false(clients[i]->ended_by_node);
        assert_memory_equal(cluster_received(clients[i]), "$6000\r\n", 7);
    }
    cluster_destroy(cluster);
}

/* They were taken in before the output was full, and are run one after the other when their turn comes. */
static void test_local_commands_behind_one_that_waits_are_held_back_by_the_output_too(void **state)
{
    (void)state;
    struct cluster *cluster = create_with_limits(3, 50000, 1 << 30);
    struct cluster_client *client = cluster_connect(cluster_find_leader(cluster), 0);
    cluster_send(client, "COMMAND");
    cluster_run(cluster, 20);
    size_t reply_bytes = byte_buffer_size(&client->received);
    cluster_forget_received(client);
    client->takes_output = false;
    cluster_send(client, "SET k v");
    for (int i = 0; i < 100; i++) {
        cluster_send(client, "COMMAND");
    }
    cluster_run(cluster, 1000);
    assert_true(byte_buffer_size(replica_client_output(client->client)) <= 50000 + reply_bytes);
    start_taking_output(client);
    cluster_run(cluster, 5000);
    assert_int_equal(byte_buffer_size(&client->received), 5 + 100 * reply_bytes);
    cluster_destroy(cluster);
}

static void test_quit_answers_what_came_before_and_nothing_after(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 5);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_send(client, "SET k 1");
    cluster_send(client, "GET k");
    cluster_send(client, "QUIT");
    cluster_send(client, "SET k 2");
    cluster_send(client, "FOO");
    cluster_expect(client, "+OK\r\n$1\r\n1\r\n+OK\r\n");
    cluster_run(cluster, 100);
    assert_true(client->ended_by_node);
    assert_string_equal(cluster_received(client), "");
    assert_string_equal(cluster_ask(leader, "GET k"), "$1\r\n1\r\n");
    cluster_destroy(cluster);
}

static void test_a_protocol_error_is_answered_after_what_came_before(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 6);
    struct cluster_client *client = cluster_connect(cluster_find_leader(cluster), 0);
    cluster_send(client, "SET k 1");
    cluster_send(client, "GET k");
    cluster_send(client, "*1");
    cluster_send(client, "nonsense");
    cluster_expect(client, "+OK\r\n$1\r\n1\r\n-ERR Protocol error: expected '$', got 'n'\r\n");
    cluster_run(cluster, 10);
    assert_true(client->ended_by_node);
    cluster_destroy(cluster);
}

/* In every state that a command can be in: the connection ends, and what it held counts no more. */
static void test_clients_may_go_away_at_any_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct cluster *cluster = cluster_create(3, seed);
        cluster->defaults.pending_bytes_max = 5000;
        cluster->defaults.entries_in_flight_max = 1;
        cluster->defaults.command_timeout_ms = 500;
        cluster->delay_ms_max = 4;
        cluster->disk_ms_max = 4;
        cluster_start_all(cluster);
        struct cluster_node *leader = cluster_await_leader(cluster);
        if (seed % 4 == 0) {
            cluster_isolate(cluster, leader->id);
        }
        for (int i = 0; i < 30; i++) {
            struct cluster_node *node = cluster_node(cluster, 1 + cluster_random_below(cluster, 3));
            struct cluster_client *client = cluster_connect(node, 0);
            static const char *const commands[] = {"SET k v", "GET k", "DBSIZE", "READONLY",
                                                   "INCR n",  "PING",  "FOO"};
            uint64_t count = cluster_random_below(cluster, 8);
            for (uint64_t j = 0; j < count; j++) {
                cluster_send(client, commands[cluster_random_below(cluster, 7)]);
            }
            if (seed % 3 == 0) {
                cluster_settle(cluster);
            }
            cluster_run(cluster, cluster_random_below(cluster, 6));
            cluster_disconnect(client);
        }
        cluster_heal(cluster);
        cluster_run(cluster, 1000);
        leader = cluster_await_leader(cluster);
        struct cluster_client *last = cluster_connect(leader, 0);
        for (int i = 0; i < 20; i++) { /* nothing is held back for those that are gone */
            cluster_send_set(last, "k", 200);
        }
        expect_times(last, 20, "+OK\r\n");
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
}

static void test_a_node_may_end_with_clients_in_every_state(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct cluster *cluster = cluster_create(3, seed);
        cluster->disk_ms_max = 5;
        cluster_start_all(cluster);
        struct cluster_node *leader = cluster_await_leader(cluster);
        for (int i = 0; i < 10; i++) {
            struct cluster_client *client =
                cluster_connect(i % 2 == 0 ? leader : cluster_follower(cluster, 0), 0);
            cluster_send(client, "READONLY");
            cluster_send(client, i % 3 == 0 ? "GET k" : "SET k v");
            cluster_send(client, "GET k");
            cluster_send(client, "PING");
        }
        cluster_run(cluster, seed % 7);
        cluster_crash(leader);
        cluster_destroy(cluster);
    }
}

static void test_commands_parked_behind_each_other_are_refused_together(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 8);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    cluster_isolate(cluster, follower->id);
    cluster_run(cluster, 1000);
    struct cluster_client *client = cluster_connect(follower, 0);
    for (int i = 0; i < 100; i++) {
        cluster_send(client, "SET k v");
    }
    cluster_run(cluster, 1001);
    expect_times(client, 100, CLUSTERDOWN);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_long_pipeline_that_is_answered_takes_no_memory_any_more),
        cmocka_unit_test(test_a_long_pipeline_is_answered_in_order),
        cmocka_unit_test(test_input_is_held_back_at_the_limit_of_a_client_and_goes_on_below_it),
        cmocka_unit_test(test_input_of_all_clients_is_held_back_at_their_common_limit),
        cmocka_unit_test(test_a_client_that_does_not_read_its_replies_is_not_read_from),
        cmocka_unit_test(test_replies_that_wait_for_earlier_ones_count),
        cmocka_unit_test(test_a_client_far_over_its_output_limit_is_cut_off_without_a_word),
        cmocka_unit_test(test_clients_that_take_nothing_while_others_wait_are_cut_off),
        cmocka_unit_test(test_clients_are_not_cut_off_because_the_node_stood_still),
        cmocka_unit_test(test_local_commands_behind_one_that_waits_are_held_back_by_the_output_too),
        cmocka_unit_test(test_quit_answers_what_came_before_and_nothing_after),
        cmocka_unit_test(test_a_protocol_error_is_answered_after_what_came_before),
        cmocka_unit_test(test_clients_may_go_away_at_any_time),
        cmocka_unit_test(test_a_node_may_end_with_clients_in_every_state),
        cmocka_unit_test(test_commands_parked_behind_each_other_are_refused_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
