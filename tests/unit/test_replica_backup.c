/* test_replica_backup.c: when RAFT BACKUP begins to stream, what it holds at least, what it keeps open. */
#include "replica_cluster.h"

#include "backup_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct cluster *make_cluster(uint32_t nodes, uint64_t seed)
{
    struct cluster *cluster = cluster_create(nodes, seed);
    cluster->initial_count = nodes;
    cluster->defaults.checkpoint_idle_ms = 3600 * 1000; /* no checkpoint by itself */
    cluster_start_all(cluster);
    (void)cluster_await_leader(cluster);
    return cluster;
}

static bool has_backup(struct cluster *cluster, void *context)
{
    const struct cluster_node *node = context;
    (void)cluster;
    return node->backups_count > 0;
}

/* Reads the whole of the first one; what it was of. */
static struct map_meta read_backup(struct cluster_node *node, uint64_t *pieces)
{
    static uint8_t bytes[MAP_CHUNK_BYTES_MAX];
    const struct backup_head head = {.node_id = 1};
    struct backup_source *source = NULL;
    struct storage_error error;
    assert_int_equal(backup_source_open(node->backups[0].map, &head, &source, &error), STORAGE_OK);
    struct map_meta meta = *map_snapshot_get_meta(backup_source_get_snapshot(source));
    *pieces = 0;
    for (size_t size = 1; size > 0;) {
        assert_int_equal(backup_source_read(source, bytes, &size, &error), STORAGE_OK);
        *pieces += size > 0 ? 1 : 0;
    }
    backup_source_close(source);
    return meta;
}

static void a_backup_waits_until_all_that_was_applied_is_on_the_disk(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(1, 1);
    struct cluster_node *node = cluster_node(cluster, 1);
    struct cluster_client *client = cluster_connect(node, 0);
    cluster_hold_disk(node, DISK_QUEUE_MAP, true);
    cluster_send(client, "SET a 1");
    cluster_send(client, "RAFT BACKUP");
    cluster_send(client, "SET never 1");
    cluster_expect(client, "+OK\r\n");
    cluster_run(cluster, 5000);
    assert_int_equal(node->backups_count, 0);
    uint64_t applied = cluster_meta(node)->applied_index;
    assert_non_null(cluster_first_job(node, DISK_QUEUE_MAP)); /* though the node has not been idle for long */
    cluster_hold_disk(node, DISK_QUEUE_MAP, false);
    cluster_run_until(cluster, has_backup, node, 5000);
    uint64_t pieces;
    struct map_meta meta = read_backup(node, &pieces);
    assert_true(meta.applied_index >= applied);
    assert_int_equal(meta.key_count, 1);
    assert_int_equal(node->backups[0].node_id, 1);
    assert_true(client->ended_by_node);
    cluster_disconnect(client);
    cluster_end_backup(node, true);
    assert_true(cluster_has_event(node, "backup-sent"));
    /* What stood behind it on the connection was never a command. */
    assert_string_equal(cluster_ask(node, "DBSIZE"), ":1\r\n");
    cluster_destroy(cluster);
}

static void only_so_many_stream_at_a_time(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(1, 2);
    struct cluster_node *node = cluster_node(cluster, 1);
    for (uint32_t i = 0; i < 2; i++) {
        cluster_send(cluster_connect(node, 0), "RAFT BACKUP");
        cluster_run(cluster, 1000);
        assert_int_equal(node->backups_count, i + 1);
    }
    struct cluster_client *third = cluster_connect(node, 0);
    cluster_send(third, "RAFT BACKUP");
    cluster_expect_prefix(third, "-ERR this node is streaming as many backups as it may");
    cluster_end_backup(node, false);
    assert_true(cluster_has_event(node, "backup-failed"));
    cluster_send(third, "RAFT BACKUP");
    cluster_run(cluster, 1000);
    assert_int_equal(node->backups_count, 2);
    cluster_destroy(cluster);
}

static void who_goes_away_while_it_waits_leaves_nothing(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(1, 3);
    struct cluster_node *node = cluster_node(cluster, 1);
    struct cluster_client *client = cluster_connect(node, 0);
    cluster_hold_disk(node, DISK_QUEUE_MAP, true);
    cluster_send(client, "RAFT BACKUP");
    cluster_run(cluster, 1000);
    cluster_disconnect(client);
    cluster_hold_disk(node, DISK_QUEUE_MAP, false);
    cluster_run(cluster, 1000);
    assert_int_equal(node->backups_count, 0);
    assert_string_equal(cluster_ask(node, "SET a 1"), "+OK\r\n");
    cluster_destroy(cluster);
}

static void a_follower_makes_one_too_and_nobody_does_who_stops(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(3, 4);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "SET a 1"), "+OK\r\n");
    cluster_assert_equal(cluster);
    cluster_send(cluster_connect(follower, 0), "RAFT BACKUP");
    cluster_run_until(cluster, has_backup, follower, 5000);
    uint64_t pieces;
    assert_int_equal(read_backup(follower, &pieces).key_count, 1);
    struct cluster_client *late = cluster_connect(follower, 0);
    replica_begin_shutdown(follower->replica);
    cluster_send(late, "RAFT BACKUP");
    cluster_expect_prefix(late, "-ERR this node is being stopped");
    cluster_destroy(cluster);
}

static void a_full_disk_is_said(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(1, 5);
    struct cluster_node *node = cluster_node(cluster, 1);
    struct cluster_client *client = cluster_connect(node, 0);
    assert_string_equal(cluster_ask(node, "SET a 1"), "+OK\r\n");
    cluster_hold_disk(node, DISK_QUEUE_MAP, true);
    cluster_send(client, "RAFT BACKUP");
    cluster_run(cluster, 1000);
    assert_true(cluster_run_job(node, DISK_QUEUE_MAP, STORAGE_FULL));
    cluster_expect_prefix(client, "-ERR this node's disk is full");
    assert_int_equal(node->backups_count, 0);
    cluster_hold_disk(node, DISK_QUEUE_MAP, false);
    cluster_destroy(cluster);
}

static bool is_installed(struct cluster *cluster, void *context)
{
    (void)cluster;
    return cluster_has_event(context, "snapshot-installed");
}

static void the_map_that_is_read_stays_open_when_a_snapshot_takes_its_place(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 6);
    cluster->initial_count = 3;
    cluster->defaults.log_tail_bytes = 20 * 1000;
    cluster->defaults.checkpoint_idle_ms = 200;
    cluster->defaults.checkpoint_log_bytes = 10 * 1000;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    assert_string_equal(cluster_ask(leader, "SET early 1"), "+OK\r\n");
    cluster_assert_equal(cluster);
    cluster_send(cluster_connect(follower, 0), "RAFT BACKUP");
    cluster_run_until(cluster, has_backup, follower, 5000);
    uint64_t behind = cluster_status(follower).last.index;
    cluster_isolate(cluster, follower->id);
    for (int i = 0; i < 300 && cluster_status(leader).first_index <= behind + 1; i++) {
        struct cluster_client *client = cluster_connect(leader, 0);
        for (int k = 0; k < 20; k++) {
            char key[40];
            (void)snprintf(key, sizeof key, "more:%d:%d", i, k);
            cluster_send_set(client, key, 1000);
            cluster_expect(client, "+OK\r\n");
        }
        cluster_disconnect(client);
        cluster_run(cluster, 300);
    }
    cluster_heal(cluster);
    cluster_run_until(cluster, is_installed, follower, 60000);
    assert_ptr_not_equal(follower->backups[0].map, replica_map(follower->replica));
    uint64_t pieces;
    assert_int_equal(read_backup(follower, &pieces).key_count, 1);
    cluster_end_backup(follower, true);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backup_waits_until_all_that_was_applied_is_on_the_disk),
        cmocka_unit_test(only_so_many_stream_at_a_time),
        cmocka_unit_test(who_goes_away_while_it_waits_leaves_nothing),
        cmocka_unit_test(a_follower_makes_one_too_and_nobody_does_who_stops),
        cmocka_unit_test(a_full_disk_is_said),
        cmocka_unit_test(the_map_that_is_read_stays_open_when_a_snapshot_takes_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
