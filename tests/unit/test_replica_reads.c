/* test_replica_reads.c: reads that wait for a read index. */
#include "replica_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CLUSTERDOWN "-CLUSTERDOWN The cluster is down\r\n"

static bool is_leader(struct cluster *cluster, void *context)
{
    (void)cluster;
    return cluster_status(context).role == RAFT_LEADER;
}

static struct cluster_client *connect_readonly(struct cluster_node *node)
{
    struct cluster_client *client = cluster_connect(node, 0);
    cluster_send(client, "READONLY");
    cluster_expect(client, "+OK\r\n");
    return client;
}

static void test_keyless_reads_are_served_by_every_node_by_read_index(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 1);
    char expected[32], line[32];
    for (int i = 1; i <= 10; i++) {
        (void)snprintf(line, sizeof line, "SET k%d v", i);
        assert_string_equal(cluster_ask(cluster_find_leader(cluster), line), "+OK\r\n");
        (void)snprintf(expected, sizeof expected, ":%d\r\n", i);
        for (uint64_t id = 1; id <= 3; id++) {
            assert_string_equal(cluster_ask(cluster_node(cluster, id), "DBSIZE"), expected);
        }
    }
    cluster_destroy(cluster);
}

static void test_a_follower_reads_keys_only_after_readonly(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 2);
    (void)cluster_ask(cluster_find_leader(cluster), "SET k v");
    struct cluster_client *client = cluster_connect(cluster_follower(cluster, 0), 0);
    cluster_send(client, "GET k");
    cluster_expect_prefix(client, "-MOVED 7629 ");
    cluster_send(client, "READONLY");
    cluster_send(client, "GET k");
    cluster_expect(client, "+OK\r\n$1\r\nv\r\n");
    cluster_send(client, "SET k w"); /* writes are redirected all the same */
    cluster_expect_prefix(client, "-MOVED 7629 ");
    cluster_send(client, "READWRITE");
    cluster_expect(client, "+OK\r\n");
    cluster_send(client, "GET k");
    cluster_expect_prefix(client, "-MOVED 7629 ");
    cluster_destroy(cluster);
}

/* The follower lacks an entry that was acknowledged: it must not answer before it has it. */
static void test_a_read_of_a_follower_waits_for_what_was_acknowledged_before(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 3);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    struct cluster_client *reader = connect_readonly(follower);
    (void)cluster_ask(leader, "SET k old");
    cluster_send(reader, "GET k");
    cluster_expect(reader, "$3\r\nold\r\n");
    cluster_link(cluster, leader->id, follower->id)->held = true;
    assert_string_equal(cluster_ask(leader, "SET k new"), "+OK\r\n");
    cluster_send(reader, "GET k");
    cluster_expect_nothing(reader, 100);
    cluster_heal(cluster);
    cluster_expect(reader, "$3\r\nnew\r\n");
    cluster_destroy(cluster);
}

/* Whom the leader asks for a round is one matter; whoever reads must have the commit with the answer. */
static void test_a_read_of_a_follower_after_a_write_does_not_wait_for_a_heartbeat(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 3);
    struct cluster_node *leader = cluster_find_leader(cluster);
    cluster->delay_ms_min = cluster->delay_ms_max = 1;
    for (uint32_t i = 0; i < 2; i++) {
        struct cluster_client *reader = connect_readonly(cluster_follower(cluster, i));
        for (int k = 0; k < 20; k++) {
            (void)cluster_ask(leader, "SET k v");
            cluster_send(reader, "GET k");
            cluster_run(cluster, 5); /* ask, round, answer */
            assert_string_equal(cluster_received(reader), "$1\r\nv\r\n");
            cluster_forget_received(reader);
            cluster_run(cluster, 37);
        }
    }
    cluster_destroy(cluster);
}

static void test_a_read_does_not_wait_for_a_follower_that_was_killed(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 3);
    struct cluster_client *client = cluster_connect(cluster_find_leader(cluster), 0);
    cluster->delay_ms_min = cluster->delay_ms_max = 1;
    for (uint32_t i = 0; i < 20; i++) {
        struct cluster_node *follower = cluster_follower(cluster, i % 2);
        cluster_run(cluster, 1000 + 7 * i);
        cluster_crash(follower);
        cluster_run(cluster, 3);
        cluster_send(client, "GET k");
        cluster_run(cluster, 4);
        assert_string_equal(cluster_received(client), "$-1\r\n");
        cluster_forget_received(client);
        assert_true(cluster_start_node(follower));
    }
    cluster_destroy(cluster);
}

/* Log time moves with entries only: in a quiet cluster it stands still. */
static void test_a_follower_tells_what_is_left_of_a_time_to_live(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 13);
    struct cluster_client *reader = connect_readonly(cluster_follower(cluster, 0));
    (void)cluster_ask(cluster_find_leader(cluster), "SET k v EX 100");
    cluster_run(cluster, 60000);
    assert_string_equal(cluster_ask(cluster_find_leader(cluster), "TTL k"), ":40\r\n");
    cluster_send(reader, "TTL k");
    cluster_expect(reader, ":40\r\n");
    cluster_destroy(cluster);
}

static void test_stale_reads_of_followers_are_answered_at_once_where_they_are_allowed(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 4);
    cluster->defaults.follower_reads_stale = true;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    struct cluster_client *reader = connect_readonly(follower);
    (void)cluster_ask(leader, "SET k old");
    cluster_run(cluster, 200);
    cluster_isolate(cluster, follower->id);
    (void)cluster_ask(leader, "SET k new");
    cluster_send(reader, "GET k");
    cluster_settle(cluster);
    cluster_expect(reader, "$3\r\nold\r\n");
    cluster_destroy(cluster);
}

/* Both sides of pitfall 1: the new leader has the entry, but cannot know yet that it is committed. */
static void test_pitfall_01_a_new_leader_reads_only_after_an_entry_of_its_own_term(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 5);
    struct cluster_node *old = cluster_find_leader(cluster);
    struct cluster_node *b = cluster_follower(cluster, 0);
    struct cluster_node *a = cluster_follower(cluster, 1);
    cluster_run(cluster, 100);
    cluster_isolate(cluster, a->id); /* so that B is the next leader */
    struct cluster_client *writer = cluster_connect(old, 0);
    cluster_send(writer, "SET k v");
    cluster_settle(cluster);
    for (int i = 0; i < 10 && byte_buffer_size(&writer->received) == 0; i++) {
        cluster_run(cluster, 1);
    }
    cluster_expect(writer, "+OK\r\n");
    assert_true(cluster_status(b).commit < cluster_status(old).commit); /* it has not heard of the commit */
    cluster_crash(old);
    cluster_heal(cluster);
    cluster_run_until(cluster, is_leader, b, 10000);
    cluster_link(cluster, b->id, a->id)->held = true; /* its first entry reaches nobody */
    assert_false(cluster_status(b).leader_ready);
    struct cluster_client *reader = cluster_connect(b, 0);
    cluster_send(reader, "GET k");
    cluster_send(reader, "DBSIZE");
    cluster_expect_nothing(reader, 200);
    cluster_heal(cluster);
    cluster_expect(reader, "$1\r\nv\r\n:1\r\n");
    cluster_destroy(cluster);
}

/* Design, section 5, "Why": an old leader wakes up, and finds in its sockets the acknowledgements of an entry
 * that it sealed before. A newer leader has written since. Reads that arrive now must not be answered with
 * that entry. */
static void test_pitfalls_02_03_04_a_paused_leader_does_not_answer_new_reads_with_old_entries(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        struct cluster *cluster = cluster_create_led(3, 6);
        cluster->clients_first = variant % 2 == 1;
        struct cluster_node *old = cluster_find_leader(cluster);
        struct cluster_client *writer = cluster_connect(old, 0);
        struct cluster_client *reader = cluster_connect(old, 0);
        cluster_send(writer, "SET k 1");
        cluster_expect(writer, "+OK\r\n");
        cluster_send(writer, "SET k 2");
        cluster_settle(cluster);
        cluster_pause(old);
        cluster_run(cluster, 3);
        for (uint64_t id = 1; id <= 3; id++) {
            if (id != old->id) { /* the acknowledgements are in its sockets, and nothing that comes later */
                assert_int_equal(
                    cluster_count_messages(cluster_link(cluster, id, old->id), RAFT_MESSAGE_APPEND_RESPONSE),
                    1);
                cluster_link(cluster, id, old->id)->cut = variant < 2;
            }
        }
        struct cluster_node *leader = cluster_await_leader(cluster);
        assert_string_equal(cluster_ask(leader, "SET k 3"), "+OK\r\n");
        cluster_send(reader, "GET k");
        cluster_send(reader, "DBSIZE");
        cluster_send(writer, "GET k");
        cluster_resume(old);
        cluster_settle(cluster);
        if (variant < 2) {
            assert_string_equal(cluster_received(reader), "");
            cluster_expect(writer,
                           "+OK\r\n"); /* the entry is committed: with three nodes, nobody can undo that */
            cluster_expect_nothing(reader, 700);
            cluster_heal(cluster);
        }
        cluster_run(cluster, 2500);
        struct cluster_client *clients[] = {reader, writer};
        for (int i = 0; i < 2;
             i++) { /* redirected; or the old leader leads again, and answers what is there now */
            assert_string_not_equal(cluster_received(clients[i]), "");
            assert_null(strstr(cluster_received(clients[i]), "$1\r\n1\r\n"));
            assert_null(strstr(cluster_received(clients[i]), "$1\r\n2\r\n"));
        }
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
}

/* An answer that was under way for so long that the read was tried again is not the answer to the new try. */
static void test_pitfall_02_an_old_answer_does_not_confirm_a_new_try(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 7);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    struct cluster_client *reader = connect_readonly(follower);
    (void)cluster_ask(leader, "SET k old");
    cluster_run(cluster, 200);
    struct cluster_link *link = cluster_link(cluster, leader->id, follower->id);
    cluster_send(reader, "GET k");
    cluster_run(cluster, 2);
    link->held = true;
    cluster_run(cluster, 10);
    assert_true(cluster_count_messages(link, RAFT_MESSAGE_READ_INDEX_RESPONSE) == 1);
    /* The try fails after an election timeout; what was sent before then is still there, what is sent later
     * is lost. */
    link->cut = true;
    cluster_run(cluster, 500);
    assert_string_equal(cluster_ask(leader, "SET k new"), "+OK\r\n");
    link->held = false;
    cluster_run(cluster, 50);
    cluster_heal(cluster);
    cluster_run(cluster, 3000);
    assert_null(strstr(cluster_received(reader), "old"));
    cluster_destroy(cluster);
}

static void test_pitfall_04_a_partitioned_leader_holds_no_client_for_ever(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 8);
    struct cluster_node *old = cluster_find_leader(cluster);
    struct cluster_client *reader = cluster_connect(old, 0);
    struct cluster_client *writer = cluster_connect(old, 0);
    cluster_isolate(cluster, old->id);
    cluster_send(reader, "GET k");
    cluster_send(reader, "DBSIZE");
    cluster_send(writer, "SET k v");
    cluster_run(cluster, 700);
    assert_int_not_equal(cluster_status(old).role, RAFT_LEADER);
    cluster_run(cluster, 1000);
    cluster_expect(reader, CLUSTERDOWN CLUSTERDOWN);
    cluster_expect_prefix(writer, "-UNKNOWN ");
    cluster_destroy(cluster);
}

/* The follower hears its leader, but is not heard: every try fails. */
static void test_pitfall_04_reads_of_a_follower_that_is_not_heard_end_with_an_error(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 9);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    struct cluster_client *reader = connect_readonly(follower);
    cluster_cut(cluster, follower->id, leader->id);
    cluster_send(reader, "GET k");
    cluster_send(reader, "DBSIZE");
    cluster_expect_nothing(reader, 4900);
    assert_int_equal(cluster_status(follower).leader, leader->id);
    cluster_run(cluster, 700);
    cluster_expect(reader, CLUSTERDOWN CLUSTERDOWN);
    cluster_destroy(cluster);
}

/* The read index is known, but the entries up to it are not applied: here because the disk does not take the
 * map. */
static void test_a_confirmed_read_that_cannot_be_served_ends_with_an_error(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 10);
    cluster->map_buffer_bytes_max = 32 << 10;
    cluster->defaults.checkpoint_log_bytes = 1000;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    struct cluster_client *writer = cluster_connect(leader, 0);
    struct cluster_client *reader = connect_readonly(follower);
    cluster_hold_disk(follower, DISK_QUEUE_MAP, true);
    for (int i = 0; i < 100; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        cluster_send_set(writer, key, 2000);
        cluster_run(cluster, 3);
    }
    cluster_run(cluster, 200);
    assert_int_equal(byte_buffer_size(&writer->received), 500);
    assert_true(cluster_meta(follower)->applied_index < cluster_status(follower).commit);
    cluster_send(reader, "GET k99");
    cluster_expect_nothing(reader, 4900);
    assert_true(replica_deadline_ms(follower->replica) <= cluster->now_ms + 110); /* in silence too */
    cluster_run(cluster, 200);
    cluster_expect(reader, CLUSTERDOWN);
    cluster_send(reader, "STRLEN k99");
    cluster_expect_nothing(reader, 100);
    cluster_hold_disk(follower, DISK_QUEUE_MAP, false);
    cluster_expect(reader, ":2000\r\n");
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* More tries than may be under way: the reads that gathered meanwhile are asked for as soon as one ends. */
static void test_reads_that_had_to_gather_go_on_as_soon_as_a_round_is_free(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 11);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    struct cluster_client *readers[12];
    for (int i = 0; i < 12; i++) {
        readers[i] = connect_readonly(follower);
    }
    cluster_run(cluster, 100);
    cluster_link(cluster, leader->id, follower->id)->held = true;
    for (int i = 0; i < 12; i++) {
        cluster_send(readers[i], "DBSIZE");
        cluster_run(cluster, 1);
    }
    uint64_t before_ms = cluster->now_ms;
    cluster_heal(cluster);
    for (int i = 0; i < 12; i++) {
        cluster_expect(readers[i], ":0\r\n");
    }
    assert_in_range(cluster->now_ms - before_ms, 0, 6); /* two round trips, not the next heartbeat */
    cluster_destroy(cluster);
}

static void test_a_single_node_reads_by_itself(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(1, 12);
    struct cluster_client *client = cluster_connect(cluster_node(cluster, 1), 0);
    for (int i = 0; i < 3; i++) {
        cluster_send(client, "GET k");
        cluster_settle(cluster);
        cluster_expect(client, i == 0 ? "$-1\r\n" : "$1\r\n1\r\n");
        cluster_send(client, "SET k 1");
        cluster_expect(client, "+OK\r\n");
    }
    cluster_destroy(cluster);
}

/* Found by the simulator (seed 67 of its first day): the second read of a pipeline overtook the first, whose
 * round was lost, and showed an older value in its place. */
static void test_pitfall_06_a_read_that_is_tried_again_is_not_overtaken_by_the_next_one(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 19);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *reader = connect_readonly(cluster_follower(cluster, 0));
    (void)cluster_ask(leader, "SET k old");
    cluster->drop_per_mille = 1000;
    cluster_send(reader, "GET k");
    cluster_settle(cluster);
    cluster->drop_per_mille = 0;
    cluster_send(reader, "GET k");
    cluster_expect_nothing(reader, 50); /* its round was confirmed */
    assert_string_equal(cluster_ask(leader, "SET k new"), "+OK\r\n");
    cluster_expect(reader, "$3\r\nnew\r\n$3\r\nnew\r\n");
    cluster_destroy(cluster);
}

/* Found by the simulator (seed 64 of its first day). The first read meets a key that is due and rides in an
 * entry; the second waits for it; the third must not ride past the second. */
static void test_pitfall_06_a_read_does_not_ride_past_one_that_waits(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 20);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *reader = cluster_connect(leader, 0);
    (void)cluster_ask(leader, "SET k old");
    (void)cluster_ask(leader, "SET e v PX 50");
    cluster_run(cluster, 40);
    for (uint64_t id = 1; id <= 3; id++) {
        cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_LOG, true);
    }
    cluster_run(cluster, 40);
    cluster_send(reader, "GET e");
    cluster_send(reader, "GET k");
    cluster_run(cluster, 10);
    cluster_send(reader, "GET k");
    cluster_settle(cluster);
    struct cluster_client *writer = cluster_connect(leader, 0);
    cluster_send(writer, "SET k new");
    cluster_expect_nothing(reader, 20);
    for (uint64_t id = 1; id <= 3; id++) {
        cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_LOG, false);
    }
    cluster_expect(writer, "+OK\r\n");
    cluster_run(cluster, 50);
    const char *received = cluster_received(reader);
    bool in_order = strcmp(received, "$-1\r\n$3\r\nold\r\n$3\r\nold\r\n") == 0 ||
                    strcmp(received, "$-1\r\n$3\r\nold\r\n$3\r\nnew\r\n") == 0 ||
                    strcmp(received, "$-1\r\n$3\r\nnew\r\n$3\r\nnew\r\n") == 0;
    if (!in_order) {
        fail_msg("the reads are not in order: %s", received);
    }
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keyless_reads_are_served_by_every_node_by_read_index),
        cmocka_unit_test(test_a_follower_reads_keys_only_after_readonly),
        cmocka_unit_test(test_a_read_of_a_follower_waits_for_what_was_acknowledged_before),
        cmocka_unit_test(test_a_read_of_a_follower_after_a_write_does_not_wait_for_a_heartbeat),
        cmocka_unit_test(test_a_read_does_not_wait_for_a_follower_that_was_killed),
        cmocka_unit_test(test_a_follower_tells_what_is_left_of_a_time_to_live),
        cmocka_unit_test(test_stale_reads_of_followers_are_answered_at_once_where_they_are_allowed),
        cmocka_unit_test(test_pitfall_01_a_new_leader_reads_only_after_an_entry_of_its_own_term),
        cmocka_unit_test(test_pitfalls_02_03_04_a_paused_leader_does_not_answer_new_reads_with_old_entries),
        cmocka_unit_test(test_pitfall_02_an_old_answer_does_not_confirm_a_new_try),
        cmocka_unit_test(test_pitfall_04_a_partitioned_leader_holds_no_client_for_ever),
        cmocka_unit_test(test_pitfall_04_reads_of_a_follower_that_is_not_heard_end_with_an_error),
        cmocka_unit_test(test_a_confirmed_read_that_cannot_be_served_ends_with_an_error),
        cmocka_unit_test(test_reads_that_had_to_gather_go_on_as_soon_as_a_round_is_free),
        cmocka_unit_test(test_a_single_node_reads_by_itself),
        cmocka_unit_test(test_pitfall_06_a_read_that_is_tried_again_is_not_overtaken_by_the_next_one),
        cmocka_unit_test(test_pitfall_06_a_read_does_not_ride_past_one_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
