/* test_replica_scrub.c: what a disk altered is found by a node that runs, and named (pitfall 27). */
#include "map_internal.h"
#include "replica_cluster.h"
#include "temp_directory.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAUSE_MS = 200 };

static struct cluster *create(uint32_t nodes, uint64_t seed)
{
    struct cluster *cluster = cluster_create(nodes, seed);
    cluster->log_map_bytes = cluster->data_map_bytes = 32 << 20;
    cluster->defaults.scrub_rate = 4 << 20;
    cluster->defaults.scrub_pause_ms = PAUSE_MS;
    cluster->defaults.checkpoint_idle_ms = 100;
    cluster->defaults.checkpoint_log_bytes = 100000;
    cluster_start_all(cluster);
    (void)cluster_await_leader(cluster);
    return cluster;
}

static void write_some(struct cluster *cluster, int count)
{
    struct cluster_client *client = cluster_connect(cluster_await_leader(cluster), 0);
    for (int i = 0; i < count; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key:%d", i);
        cluster_send_set(client, key, i % 10 == 0 ? 9000 : 30);
        cluster_run(cluster, 5);
    }
    cluster_run(cluster, 500);
    cluster_disconnect(client);
}

static uint64_t scrubs_of(struct cluster_node *node)
{
    return strtoull(strstr(cluster_ask(node, "RAFT STATUS"), "\nscrubs_total:") + 14, NULL, 10);
}

/* Until the node has begun and ended a pass. */
static void run_pass(struct cluster_node *node)
{
    uint64_t before = scrubs_of(node);
    for (int i = 0; i < 100 && scrubs_of(node) < before + 2; i++) {
        cluster_run(node->cluster, PAUSE_MS);
    }
    assert_true(scrubs_of(node) >= before + 2);
}

static bool is_sound(struct cluster_node *node)
{
    return strstr(cluster_ask(node, "RAFT STATUS"), "\ndamage:\n") != NULL;
}

/* Flips a bit in the middle of the `number`-th stretch of `size` times `letter` of a file that is in use. */
static void flip(const struct cluster_node *node, const char *folder, char letter, size_t size)
{
    char *path = temp_directory_join(node->directory, folder);
    char *name = temp_directory_join(path, "data.mdb");
    int file = open(name, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    off_t end = lseek(file, 0, SEEK_END);
    char *content = malloc((size_t)end);
    char *wanted = malloc(size);
    assert_true(content != NULL && wanted != NULL);
    assert_int_equal(pread(file, content, (size_t)end, 0), end);
    memset(wanted, letter, size);
    int count = 0;
    for (char *at = content; (at = memmem(at, (size_t)(content + end - at), wanted, size)) != NULL;
         at += size) {
        char byte = (char)(letter ^ 1);
        assert_int_equal(pwrite(file, &byte, 1, at - content + (off_t)size / 2), 1);
        count++;
    }
    assert_true(count > 0);
    free(content);
    free(wanted);
    free(name);
    free(path);
    close(file);
}

static void test_sound_nodes_are_walked_again_and_again_under_load(void **state)
{
    (void)state;
    struct cluster *cluster = create(3, 1);
    for (int i = 0; i < 5; i++) {
        write_some(cluster, 100);
        (void)cluster_ask(cluster_await_leader(cluster), i == 3 ? "FLUSHALL" : "DEL key:1 key:2 key:3");
    }
    for (uint64_t id = 1; id <= 3; id++) {
        struct cluster_node *node = cluster_node(cluster, id);
        run_pass(node);
        assert_true(scrubs_of(node) > 3);
        assert_true(is_sound(node));
        assert_false(node->stopped);
        assert_false(cluster_has_event(node, "damage-found"));
    }
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_pitfall_27_a_bit_that_flips_in_the_map_is_named_and_the_node_goes_on(void **state)
{
    (void)state;
    struct cluster *cluster = create(3, 2);
    struct cluster_node *node = cluster_follower(cluster, 0);
    write_some(cluster, 100);
    run_pass(node);
    flip(node, "map-1", 'x', 9000);
    run_pass(node);
    assert_true(cluster_has_event(node, "damage-found what="));
    assert_true(cluster_has_event(node, "map-1/data.mdb: the key with hash "));
    assert_true(cluster_has_event(node, "has a damaged value (wrong checksum)"));
    assert_false(is_sound(node));
    assert_false(node->stopped);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(is_sound(cluster_node(cluster, id)), id != node->id);
    }
    /* It still acknowledges; and what is altered it does not serve. */
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "SET other 1"), "+OK\r\n");
    struct cluster_client *client = cluster_connect(node, 0);
    cluster_send(client, "READONLY");
    cluster_expect(client, "+OK\r\n");
    cluster_send(client, "GET key:50");
    cluster_run(cluster, 100);
    assert_true(node->stopped);
    assert_int_equal(node->stop_code, REPLICA_EXIT_CORRUPT);
    cluster_destroy(cluster);
}

static void test_pitfall_27_a_bit_that_flips_in_the_log_is_named(void **state)
{
    (void)state;
    struct cluster *cluster = create(3, 3);
    struct cluster_node *node = cluster_follower(cluster, 1);
    write_some(cluster, 50);
    run_pass(node);
    flip(node, "log", 'x', 9000);
    run_pass(node);
    assert_true(cluster_has_event(node, "damage-found what="));
    assert_true(cluster_has_event(node, "is damaged (wrong checksum)"));
    assert_false(is_sound(node));
    assert_false(node->stopped);
    cluster_destroy(cluster);
}

static void test_damage_that_is_overwritten_is_not_spoken_of_any_more(void **state)
{
    (void)state;
    struct cluster *cluster = create(1, 4);
    struct cluster_node *node = cluster_node(cluster, 1);
    struct cluster_client *client = cluster_connect(node, 0);
    cluster_send_set(client, "k", 9000);
    cluster_expect(client, "+OK\r\n");
    cluster_run(cluster, 1000);
    flip(node, "map-1", 'x', 9000);
    run_pass(node);
    assert_false(is_sound(node));
    cluster_send(client, "SET k small");
    cluster_expect(client, "+OK\r\n");
    cluster_run(cluster, 1000);
    run_pass(node);
    assert_true(is_sound(node));
    assert_true(cluster_has_event(node, "damage-gone"));
    cluster_destroy(cluster);
}

static void test_pitfall_27_a_node_whose_map_lost_a_key_stops_and_says_why(void **state)
{
    (void)state;
    struct cluster *cluster = create(3, 5);
    struct cluster_node *node = cluster_follower(cluster, 0);
    write_some(cluster, 30);
    cluster_run(cluster, 1000);
    struct map *map = replica_map(node->replica);
    MDB_txn *transaction = NULL;
    char name[] = "kkey:7";
    MDB_val key = {sizeof name - 1, name};
    assert_int_equal(mdb_txn_begin(map->store->environment, NULL, 0, &transaction), 0);
    assert_int_equal(mdb_del(transaction, map->store->data, &key, NULL), 0);
    assert_int_equal(mdb_txn_commit(transaction), 0);
    cluster_run(cluster, 10000);
    assert_true(node->stopped);
    assert_int_equal(node->stop_code, REPLICA_EXIT_CORRUPT);
    assert_non_null(strstr(node->stop_reason, "some are missing or too many"));
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "SET other 1"), "+OK\r\n");
    cluster_destroy(cluster);
}

static void test_slices_wait_for_checkpoints_and_may_be_off(void **state)
{
    (void)state;
    struct cluster *cluster = create(1, 6);
    struct cluster_node *node = cluster_node(cluster, 1);
    write_some(cluster, 20);
    cluster_hold_disk(node, DISK_QUEUE_MAP, true);
    (void)cluster_ask(node, "SET k v");
    cluster_run(cluster, 3000);
    int scrubs = 0;
    for (const struct cluster_job *job = node->jobs[DISK_QUEUE_MAP]; job != NULL; job = job->next) {
        scrubs += job->job->kind == DISK_JOB_MAP_SCRUB ? 1 : 0;
    }
    assert_true(scrubs <= 1); /* they do not pile up */
    cluster_hold_disk(node, DISK_QUEUE_MAP, false);
    cluster_run(cluster, 1000);
    cluster_crash(node);
    cluster->defaults.scrub_rate = 0;
    assert_true(cluster_start_node(node));
    cluster_run(cluster, 10000);
    assert_int_equal(scrubs_of(node), 0);
    cluster_destroy(cluster);
}

static void test_pitfall_27_a_leader_that_cannot_stream_its_map_hands_over(void **state)
{
    (void)state;
    struct cluster *cluster = create(3, 9);
    struct cluster_node *leader = cluster_find_leader(cluster), *follower = cluster_follower(cluster, 0);
    replica_on_map_damaged(leader->replica, replica_map(follower->replica),
                           "of a map that is not the live one any more");
    cluster_run(cluster, 1000);
    assert_ptr_equal(cluster_find_leader(cluster), leader);
    assert_true(is_sound(leader));
    replica_on_map_damaged(follower->replica, replica_map(follower->replica), "seen by a backup");
    assert_false(is_sound(follower));
    replica_on_map_damaged(leader->replica, replica_map(leader->replica), "seen by a snapshot");
    assert_false(is_sound(leader));
    assert_true(cluster_has_event(leader, "handing-over reason=damage"));
    cluster_run(cluster, 3000);
    assert_ptr_not_equal(cluster_await_leader(cluster), leader);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_nodes_are_walked_again_and_again_under_load),
        cmocka_unit_test(test_pitfall_27_a_bit_that_flips_in_the_map_is_named_and_the_node_goes_on),
        cmocka_unit_test(test_pitfall_27_a_bit_that_flips_in_the_log_is_named),
        cmocka_unit_test(test_damage_that_is_overwritten_is_not_spoken_of_any_more),
        cmocka_unit_test(test_pitfall_27_a_node_whose_map_lost_a_key_stops_and_says_why),
        cmocka_unit_test(test_slices_wait_for_checkpoints_and_may_be_off),
        cmocka_unit_test(test_pitfall_27_a_leader_that_cannot_stream_its_map_hands_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
