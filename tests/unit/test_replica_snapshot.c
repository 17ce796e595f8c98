/* test_replica_snapshot.c: members that are too far behind get the map as a whole; crashes and breaks at
 * every step. */
#include "replica_cluster.h"
#include "temp_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void ask(struct cluster *cluster, const char *line, const char *begin)
{
    const char *reply = cluster_ask(cluster_await_leader(cluster), line);
    if (strncmp(reply, begin, strlen(begin)) != 0) {
        fail_msg("%s was answered %s", line, reply);
    }
}

static bool is_compacted(struct cluster *cluster, void *context)
{
    const uint64_t *index = context;
    struct cluster_node *leader = cluster_find_leader(cluster);
    return leader != NULL && cluster_status(leader).first_index > *index + 1;
}

/* With a small log it is cut soon; each write helps, for compaction rides on writes. */
static struct cluster *make_cluster(uint32_t nodes, uint32_t initial, uint64_t seed)
{
    struct cluster *cluster = cluster_create(nodes, seed);
    cluster->initial_count = initial;
    cluster->defaults.log_tail_bytes = 20 * 1000;
    cluster->defaults.checkpoint_idle_ms = 200;
    cluster->defaults.checkpoint_log_bytes = 10 * 1000;
    for (uint32_t id = 1; id <= initial; id++) {
        assert_true(cluster_start_node(cluster_node(cluster, id)));
    }
    (void)cluster_await_leader(cluster);
    return cluster;
}

/* Until the leader's log begins after `index`. */
static void write_until_compacted(struct cluster *cluster, uint64_t index)
{
    for (int i = 0; i < 100 && !is_compacted(cluster, &index); i++) {
        char prefix[20];
        (void)snprintf(prefix, sizeof prefix, "more-%d", i);
        cluster_write_values(cluster, prefix, 20);
        cluster_run(cluster, 300);
    }
    assert_true(is_compacted(cluster, &index));
}

/* One follower is down, and what it needs is gone. */
static struct cluster_node *leave_behind(struct cluster *cluster)
{
    struct cluster_node *away = cluster_follower(cluster, 0);
    cluster_write_values(cluster, "early", 10);
    cluster_assert_equal(cluster);
    uint64_t index = cluster_status(away).last.index;
    cluster_crash(away);
    write_until_compacted(cluster, index);
    ask(cluster, "DEL early:3", ":1");
    cluster_run(cluster, 500);
    return away;
}

static bool is_installed(struct cluster *cluster, void *node)
{
    (void)cluster;
    return cluster_has_event(node, "snapshot-installed");
}

static bool is_loading(struct cluster *cluster, void *node)
{
    (void)cluster;
    return cluster_has_event(node, "snapshot-loading");
}

static void expect_status(struct cluster_node *node, const char *lines)
{
    const char *status = cluster_ask(node, "RAFT STATUS");
    if (strstr(status, lines) == NULL) {
        fail_msg("%s is not in %s", lines, status);
    }
}

static void test_a_loaded_map_that_cannot_be_opened_stops_the_node(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct cluster *cluster = make_cluster(3, 3, 33);
        struct cluster_node *away = leave_behind(cluster);
        cluster->disk_ms_max = 20;
        assert_true(cluster_start_node(away));
        while (!cluster_has_event(away, "snapshot-loaded")) {
            cluster_run(cluster, 1);
        }
        assert_false(cluster_has_event(away, "snapshot-installed"));
        char *path = temp_directory_join(away->directory, "map-2/data.mdb");
        if (i == 0) {
            assert_int_equal(truncate(path, 100), 0);
        } else { /* as when no file can be opened */
            assert_int_equal(unlink(path), 0);
            assert_int_equal(mkdir(path, 0700), 0);
        }
        cluster_run(cluster, 1000);
        assert_true(away->stopped);
        assert_int_equal(away->stop_code, i == 0 ? REPLICA_EXIT_CORRUPT : REPLICA_EXIT_DISK);
        assert_non_null(strstr(away->stop_reason, "map-2"));
        free(path);
        cluster_destroy(cluster);
    }
}

static void test_what_is_loaded_and_what_was_shows(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(3, 3, 30);
    struct cluster_node *away = leave_behind(cluster), *leader = cluster_await_leader(cluster);
    char line[80];
    cluster->hold_streams = true;
    assert_true(cluster_start_node(away));
    cluster_run_until(cluster, is_loading, away, 20000);
    (void)snprintf(line, sizeof line, "\nsnapshot_from:%llu\nsnapshot_index:%llu\n",
                   (unsigned long long)leader->id, (unsigned long long)cluster->streams->upto.index);
    expect_status(away, line);
    assert_non_null(strstr(cluster_ask(away, "INFO replication"), "master_sync_in_progress:1\r\n"));
    cluster->hold_streams = false;
    cluster_run_until(cluster, is_installed, away, 20000);
    cluster_run(cluster, 1000);
    expect_status(away, "\nsnapshot_from:0\nsnapshot_index:0\n");
    expect_status(away, "\nsnapshots_installed_total:1\n");
    expect_status(leader,
                  "\nsnapshots_sent_total:1\nsnapshots_failed_total:0\nsnapshots_installed_total:0\n");
    assert_non_null(strstr(cluster_ask(away, "INFO replication"), "master_sync_in_progress:0\r\n"));
    cluster_destroy(cluster);
}

static void test_a_member_that_was_away_too_long_gets_a_snapshot(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(3, 3, 1);
    struct cluster_node *away = leave_behind(cluster);
    assert_true(cluster_start_node(away));
    cluster_run_until(cluster, is_installed, away, 20000);
    cluster_write_values(cluster, "late", 5);
    cluster_assert_equal(cluster);
    assert_int_equal(cluster->streams_total, 1);
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "EXISTS early:2 early:3"), ":1\r\n");
    /* It votes and leads as before, also after a start. */
    cluster_crash(away);
    assert_true(cluster_start_node(away));
    cluster_assert_equal(cluster);
    char line[40];
    (void)snprintf(line, sizeof line, "RAFT TRANSFER %llu", (unsigned long long)away->id);
    ask(cluster, line, "+OK");
    cluster_run(cluster, 1000);
    assert_ptr_equal(cluster_await_leader(cluster), away);
    cluster_write_values(cluster, "its", 3);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_a_node_that_joins_late_gets_a_snapshot_and_becomes_a_voter(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(4, 3, 2);
    write_until_compacted(cluster, 5);
    struct cluster_node *joining = cluster_node(cluster, 4);
    joining->join = 1;
    assert_true(cluster_start_node(joining));
    cluster_run_until(cluster, is_installed, joining, 20000);
    cluster_run(cluster, 3000);
    assert_int_equal(cluster_status(joining).membership.voters_count, 4);
    cluster_write_values(cluster, "late", 5);
    cluster_assert_equal(cluster);
    for (uint64_t id = 1; id <= 4; id++) {
        cluster_crash(cluster_node(cluster, id));
    }
    cluster_start_all(cluster);
    cluster_assert_equal(cluster);
    assert_int_equal(cluster_status(joining).membership.voters_count, 4);
    cluster_destroy(cluster);
}

/* Pitfall 12: at each moment of the stream and of the install, either side. */
static void test_pitfall_12_a_crash_at_any_moment_leaves_a_whole_map(void **state)
{
    (void)state;
    for (uint64_t ms = 0; ms < 60; ms++) {
        struct cluster *cluster = make_cluster(3, 3, 1000 + ms);
        struct cluster_node *away = leave_behind(cluster);
        cluster->disk_ms_max = 4;
        cluster->stream_chunk_ms = 2;
        assert_true(cluster_start_node(away));
        for (uint64_t waited = 0; waited < 3000 && cluster->streams_total == 0; waited++) {
            cluster_run(cluster, 1);
        }
        assert_true(cluster->streams_total > 0);
        cluster_run(cluster, ms / 2);
        struct cluster_node *victim = ms % 2 == 0 ? away : cluster_await_leader(cluster);
        cluster_crash(victim);
        cluster_run(cluster, ms % 3 * 100);
        assert_true(cluster_start_node(victim));
        cluster_run(cluster, 2000);
        cluster_assert_equal(cluster);
        assert_int_equal(cluster_meta(away)->key_count,
                         cluster_meta(cluster_await_leader(cluster))->key_count);
        cluster_destroy(cluster);
    }
}

/* Pitfall 14: while it loads so much is written that the log would have gone on without it. */
static void test_pitfall_14_what_it_needs_next_is_kept_while_it_loads(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(3, 3, 3);
    struct cluster_node *away = leave_behind(cluster);
    cluster->hold_streams = true;
    assert_true(cluster_start_node(away));
    for (int i = 0; i < 30; i++) {
        char prefix[20];
        (void)snprintf(prefix, sizeof prefix, "while-%d", i);
        cluster_write_values(cluster, prefix, 10);
        cluster_run(cluster, 100);
    }
    struct cluster_node *leader = cluster_await_leader(cluster);
    assert_int_equal(cluster->streams_total, 1);
    assert_non_null(cluster->streams);
    assert_true(cluster_status(leader).first_index <= cluster->streams->upto.index + 1);
    cluster->hold_streams = false;
    cluster_run_until(cluster, is_installed, away, 20000);
    cluster_assert_equal(cluster);
    assert_int_equal(cluster->streams_total, 1);
    /* And no longer than that. */
    uint64_t first = cluster_status(cluster_await_leader(cluster)).first_index;
    write_until_compacted(cluster, first);
    cluster_destroy(cluster);
}

static void test_a_stream_that_breaks_is_begun_again(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(3, 3, 4);
    struct cluster_node *away = leave_behind(cluster);
    cluster->hold_streams = true;
    assert_true(cluster_start_node(away));
    for (uint64_t waited = 0; waited < 3000 && (cluster->streams == NULL || cluster->streams->chunks == 0);
         waited++) {
        cluster_run(cluster, 1);
    }
    cluster_isolate(cluster, away->id);
    cluster_run(cluster, 2000);
    assert_true(cluster_has_event(away, "snapshot-not-loaded"));
    cluster->hold_streams = false;
    cluster_heal(cluster);
    cluster_run_until(cluster, is_installed, away, 20000);
    assert_true(cluster->streams_total >= 2);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* The members that formed the cluster are in no entry: the one who sends it tells them. */
static void test_a_snapshot_of_the_first_membership_can_be_installed(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(3, 3, 5);
    struct cluster_node *away = leave_behind(cluster);
    assert_int_equal(cluster_meta(cluster_await_leader(cluster))->membership_size, 0);
    assert_true(cluster_start_node(away));
    cluster_run_until(cluster, is_installed, away, 20000);
    assert_int_equal(cluster_status(away).membership.voters_count, 3);
    struct replica_member peers[REPLICA_PEERS_MAX];
    assert_int_equal(replica_peers(away->replica, peers), 2);
    assert_int_not_equal(peers[0].disk_id, 0);
    cluster_destroy(cluster);
}

/* A member that is away does not keep the log from being cut, nor for ever. */
static bool is_loaded(struct cluster *cluster, void *node)
{
    (void)cluster;
    return cluster_has_event(node, "snapshot-loaded");
}

/* Pitfall 19: the install finds no room, waits, and is done when there is some; the walks over the old map
 * that the scrub makes meanwhile end before it. */
static void test_an_install_without_room_waits_for_it(void **state)
{
    (void)state;
    int waited = 0;
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct cluster *cluster = make_cluster(3, 3, seed);
        struct cluster_node *away = leave_behind(cluster);
        cluster->defaults.scrub_rate = 4 << 20;
        cluster->defaults.scrub_pause_ms = 20;
        cluster->disk_ms_max = (uint32_t)seed * 3;
        assert_true(cluster_start_node(away));
        cluster_run_until(cluster, is_loaded, away, 20000);
        away->room = CLUSTER_DISK_FULL;
        cluster_run(cluster, 2000);
        assert_false(away->stopped);
        waited += is_installed(cluster, away) ? 0 : 1;
        away->room = CLUSTER_DISK_ROOMY;
        cluster_run_until(cluster, is_installed, away, 20000);
        cluster_write_values(cluster, "late", 5);
        cluster_run(cluster, 2000);
        assert_false(cluster_has_event(away, "damage-found"));
        assert_false(away->stopped);
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
    assert_true(waited > 0);
}

static bool has_loaded(struct cluster *cluster, void *node)
{
    (void)cluster;
    return cluster_has_event(node, "snapshot-loaded");
}

/* Seed 2072 of the simulator: while the log's disk hangs no checkpoint is begun, and none is waited for. */
static void test_an_install_that_takes_long_lets_the_node_sleep(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(3, 3, 8);
    struct cluster_node *away = cluster_follower(cluster, 0);
    cluster_crash(away);
    cluster->defaults.checkpoint_idle_ms = 20000;
    cluster->defaults.checkpoint_log_bytes = 1000 * 1000;
    assert_true(cluster_start_node(away));
    cluster_write_values(cluster, "early", 10);
    cluster_run(cluster, 200);
    assert_false(map_is_clean(replica_map(away->replica)));
    cluster_isolate(cluster, away->id);
    cluster_pause(away);
    write_until_compacted(cluster, cluster_status(away).last.index);
    cluster_heal(cluster);
    cluster_hold_disk(away, DISK_QUEUE_LOG, true);
    cluster_resume(away);
    cluster_run_until(cluster, has_loaded, away, 10000);
    cluster_run(cluster, 30000); /* a node that asks for turn after turn fails */
    cluster_hold_disk(away, DISK_QUEUE_LOG, false);
    cluster_run(cluster, 3000);
    assert_true(cluster_has_event(away, "snapshot-installed"));
    cluster_destroy(cluster);
}

/* Seed 4394 of the simulator: else it stays on the disk until the next start. */
static void test_what_was_loaded_in_vain_is_removed(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(3, 3, 9);
    struct cluster_node *node = cluster_follower(cluster, 0);
    struct raft_status status = cluster_status(node);
    struct map_meta *meta = calloc(1, sizeof *meta);
    struct bus_snapshot_begin begin = {.upto = {status.term, status.commit + 100}};
    uint64_t generation;
    const char *reason = NULL;
    assert_non_null(meta);
    assert_true(replica_accept_snapshot(node->replica, cluster_find_leader(cluster)->id, &begin, &generation,
                                        &reason));
    meta->applied_term = begin.upto.term;
    meta->applied_index = begin.upto.index - 1;
    replica_on_snapshot_loaded(node->replica, meta);
    assert_true(cluster_has_event(node, "it is not the one that was announced"));
    assert_int_equal(node->maps_replaced, 1);
    free(meta);
    cluster_destroy(cluster);
}

static void test_an_absent_member_does_not_hold_the_log(void **state)
{
    (void)state;
    struct cluster *cluster = make_cluster(3, 3, 6);
    struct cluster_node *away = cluster_follower(cluster, 0);
    cluster_crash(away);
    cluster_write_values(cluster, "k", 400);
    cluster_run(cluster, 1000);
    cluster_write_values(cluster, "l", 400);
    struct log_store_usage usage;
    log_store_get_usage(cluster_await_leader(cluster)->log, &usage);
    assert_in_range(usage.entries_bytes, 0, 200 * 1000);
    assert_true(cluster_start_node(away));
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_loaded_map_that_cannot_be_opened_stops_the_node),
        cmocka_unit_test(test_what_is_loaded_and_what_was_shows),
        cmocka_unit_test(test_a_member_that_was_away_too_long_gets_a_snapshot),
        cmocka_unit_test(test_a_node_that_joins_late_gets_a_snapshot_and_becomes_a_voter),
        cmocka_unit_test(test_pitfall_12_a_crash_at_any_moment_leaves_a_whole_map),
        cmocka_unit_test(test_pitfall_14_what_it_needs_next_is_kept_while_it_loads),
        cmocka_unit_test(test_a_stream_that_breaks_is_begun_again),
        cmocka_unit_test(test_a_snapshot_of_the_first_membership_can_be_installed),
        cmocka_unit_test(test_an_install_without_room_waits_for_it),
        cmocka_unit_test(test_an_install_that_takes_long_lets_the_node_sleep),
        cmocka_unit_test(test_what_was_loaded_in_vain_is_removed),
        cmocka_unit_test(test_an_absent_member_does_not_hold_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
