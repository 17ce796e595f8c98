/* test_replica_fetch.c: cold data: keys are looked up ahead of the loop; reads and entries wait for it, and
 * nothing waits for ever. */
#include "fetch.h"
#include "replica_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LINE_BYTES = 60000 };

static void hold(struct cluster_node *node, bool held)
{
    for (int queue = DISK_QUEUE_FETCH; queue < DISK_QUEUES_COUNT; queue++) {
        cluster_hold_disk(node, (enum disk_queue)queue, held);
    }
}

static uint32_t count_jobs(const struct cluster_node *node, uint32_t *keys)
{
    uint32_t count = 0;
    *keys = 0;
    for (int queue = DISK_QUEUE_FETCH; queue < DISK_QUEUES_COUNT; queue++) {
        for (const struct cluster_job *job = node->jobs[queue]; job != NULL; job = job->next) {
            assert_int_equal(job->job->kind, DISK_JOB_FETCH);
            *keys += job->job->fetch.keys_count;
            count++;
        }
    }
    return count;
}

static uint32_t count_keys(const struct cluster_node *node)
{
    uint32_t keys;
    (void)count_jobs(node, &keys);
    return keys;
}

/* Runs and reports what is out in this queue. */
static void end_jobs(struct cluster_node *node, int number)
{
    enum disk_queue queue = (enum disk_queue)(DISK_QUEUE_FETCH + number);
    while (cluster_run_job(node, queue, STORAGE_OK)) {
        assert_true(cluster_report_job(node, queue));
    }
    cluster_settle(node->cluster);
}

static void set_cold(struct cluster_node *node, bool is_cold)
{
    replica_set_data_is_cold(node->replica, is_cold);
    node->has_input = true;
}

/* Keys cold1 to cold9 are on the disk only; "hot" is in the write buffer; data is cold, and fetches are
 * held. */
static struct cluster *make_cold(uint32_t nodes, uint64_t seed)
{
    struct cluster *cluster = cluster_create(nodes, seed);
    cluster->defaults.checkpoint_idle_ms = 50;
    cluster->defaults.follower_reads_stale = true;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    char line[40];
    for (int i = 1; i <= 9; i++) {
        (void)snprintf(line, sizeof line, "SET cold%d %d", i, i);
        assert_string_equal(cluster_ask(leader, line), "+OK\r\n");
    }
    cluster_run(cluster, 500);
    for (uint64_t id = 1; id <= nodes; id++) {
        struct cluster_node *node = cluster_node(cluster, id);
        assert_true(map_is_clean(replica_map(node->replica)) && !map_has_frozen(replica_map(node->replica)));
        cluster_hold_disk(node, DISK_QUEUE_MAP, true); /* no checkpoint from now on */
    }
    assert_string_equal(cluster_ask(leader, "SET hot h"), "+OK\r\n");
    cluster_run(cluster, 100);
    for (uint64_t id = 1; id <= nodes; id++) {
        hold(cluster_node(cluster, id), true);
        set_cold(cluster_node(cluster, id), true);
    }
    cluster_settle(cluster);
    return cluster;
}

static void set_all_cold(struct cluster *cluster, bool is_cold)
{
    for (uint64_t id = 1; id <= cluster->nodes_count; id++) {
        set_cold(cluster_node(cluster, id), is_cold);
    }
}

static void test_nothing_is_fetched_while_data_is_warm(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(3, 1);
    set_all_cold(cluster, false);
    struct cluster_client *client = cluster_connect(cluster_find_leader(cluster), 0);
    cluster_send(client, "GET cold1");
    cluster_send(client, "SET cold2 new");
    cluster_send(client, "GET cold2");
    cluster_expect(client, "$1\r\n1\r\n+OK\r\n$3\r\nnew\r\n");
    cluster_run(cluster, 300);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(count_keys(cluster_node(cluster, id)), 0);
    }
    cluster_destroy(cluster);
}

static void test_a_read_waits_until_what_it_reads_was_fetched(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(3, 2);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_send(client, "GET cold1");
    cluster_expect_nothing(client, 200);
    struct disk_job *job = cluster_first_job(leader, DISK_QUEUE_FETCH);
    assert_non_null(job);
    assert_int_equal(count_keys(leader), 1);
    assert_int_equal(job->fetch.keys[0].size, 5);
    assert_memory_equal(job->fetch.bytes, "cold1", 5);
    assert_true(job->fetch.keys[0].whole);
    end_jobs(leader, 0);
    cluster_expect(client, "$1\r\n1\r\n");
    cluster_send(client, "GET cold1"); /* what is there may have left again */
    cluster_expect_nothing(client, 20);
    end_jobs(leader, 0);
    cluster_expect(client, "$1\r\n1\r\n");
    cluster_destroy(cluster);
}

/* It is begun with the read, not with the answer to its read index. */
static void test_the_fetch_of_a_read_is_hidden_behind_its_read_index(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(3, 3);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_isolate(cluster, leader->id);
    cluster_send(client, "GET cold1");
    cluster_settle(cluster);
    assert_int_equal(count_keys(leader), 1);
    cluster_heal(cluster);
    hold(leader, false);
    cluster_expect(client, "$1\r\n1\r\n");
    cluster_destroy(cluster);
}

static void test_what_the_write_buffer_knows_is_not_fetched(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(3, 4);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_send(client, "GET hot");
    cluster_send(client, "SET hot i");
    cluster_send(client, "MGET hot hot");
    cluster_send(client, "DEL hot");
    cluster_send(client, "GET hot");
    cluster_expect(client, "$1\r\nh\r\n+OK\r\n*2\r\n$1\r\ni\r\n$1\r\ni\r\n:1\r\n$-1\r\n");
    assert_int_equal(count_keys(leader), 0);
    cluster_send(client, "DBSIZE"); /* has no keys */
    cluster_expect(client, ":9\r\n");
    assert_int_equal(count_keys(leader), 0);
    cluster_destroy(cluster);
}

static void test_the_order_of_a_pipeline_is_kept(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(3, 5);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    struct cluster_client *other = cluster_connect(leader, 0);
    cluster_send(client, "GET cold1");
    cluster_run(cluster, 10);
    cluster_send(client, "GET cold2");
    cluster_run(cluster, 10);
    cluster_send(client, "GET hot");
    cluster_send(client, "PING");
    cluster_send(client, "SET hot new");
    cluster_send(other, "GET hot");
    cluster_expect(other, "$1\r\nh\r\n"); /* others do not wait */
    assert_non_null(cluster_first_job(leader, (enum disk_queue)(DISK_QUEUE_FETCH + 1)));
    end_jobs(leader, 1); /* the second one first */
    cluster_expect_nothing(client, 100);
    end_jobs(leader, 0);
    cluster_expect(client, "$1\r\n1\r\n$1\r\n2\r\n$1\r\nh\r\n+PONG\r\n+OK\r\n");
    cluster_destroy(cluster);
}

static void test_an_entry_is_applied_when_its_keys_were_fetched(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(3, 6);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    uint64_t applied = cluster_meta(leader)->applied_index;
    cluster_send(client, "SET cold1 new");
    cluster_send(client, "GET cold2"); /* rides */
    cluster_send(client, "INCR cold3");
    cluster_expect_nothing(client, 200);
    assert_int_equal(count_keys(leader), 3);
    assert_int_equal(cluster_status(leader).commit, applied + 1);
    assert_int_equal(cluster_meta(leader)->applied_index, applied);
    end_jobs(leader, 0);
    cluster_expect(client, "+OK\r\n$1\r\n2\r\n:4\r\n");
    for (uint32_t i = 0; i < 2; i++) { /* they have fetched for themselves, and without the read */
        struct cluster_node *follower = cluster_follower(cluster, i);
        assert_int_equal(count_keys(follower), 2);
        assert_int_equal(cluster_meta(follower)->applied_index, applied);
        hold(follower, false);
    }
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_entries_are_applied_in_order_whatever_is_fetched_first(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(3, 7);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *first = cluster_connect(leader, 0), *second = cluster_connect(leader, 0);
    cluster_send(first, "APPEND cold1 a");
    cluster_run(cluster, 20);
    cluster_send(second, "APPEND cold1 b");
    cluster_run(cluster, 20);
    assert_int_equal(count_keys(leader), 2);
    end_jobs(leader, 1);
    cluster_expect_nothing(second, 50);
    end_jobs(leader, 0);
    cluster_expect(first, ":2\r\n");
    cluster_expect(second, ":3\r\n");
    cluster_destroy(cluster);
}

static void test_nobody_waits_once_data_is_warm(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(3, 8);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *reader = cluster_connect(leader, 0), *writer = cluster_connect(leader, 0);
    cluster_send(reader, "GET cold1");
    cluster_send(writer, "SET cold2 new");
    cluster_expect_nothing(reader, 100);
    cluster_expect_nothing(writer, 100);
    set_cold(leader, false);
    cluster_expect(reader, "$1\r\n1\r\n");
    cluster_expect(writer, "+OK\r\n");
    assert_true(atomic_load(cluster_first_job(leader, DISK_QUEUE_FETCH)->fetch.give_up));
    set_cold(leader, true); /* the old jobs are still out */
    cluster_send(reader, "GET cold3");
    cluster_expect_nothing(reader, 100);
    hold(leader, false);
    cluster_expect(reader, "$1\r\n3\r\n");
    cluster_destroy(cluster);
}

/* A disk that hangs: who waits for it is told when the command time-out is over, and others are served. */
static void test_who_waits_for_a_disk_that_hangs_is_told_so(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(3, 16);
    struct cluster_node *leader = cluster_find_leader(cluster), *follower = cluster_follower(cluster, 0);
    struct cluster_client *reader = cluster_connect(leader, 0), *stale = cluster_connect(follower, 0);
    cluster_send(reader, "GET cold1");
    cluster_send(reader, "GET hot");
    cluster_send(stale, "READONLY");
    cluster_expect(stale, "+OK\r\n");
    cluster_send(stale, "GET cold2");
    cluster_expect_nothing(reader, 4900);
    cluster_run(cluster, 200);
    cluster_expect(reader, "-CLUSTERDOWN The cluster is down\r\n$1\r\nh\r\n");
    cluster_expect(stale, "-CLUSTERDOWN The cluster is down\r\n");
    for (uint64_t id = 1; id <= 3; id++) {
        hold(cluster_node(cluster, id), false);
    }
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "GET cold1"), "$1\r\n1\r\n");
    cluster_destroy(cluster);
}

/* A leader whose disk does not answer applies nothing more (pitfall 16): another one is to lead. */
static void test_pitfall_16_a_leader_that_waits_for_a_disk_that_hangs_hands_over(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(3, 17);
    struct cluster_node *leader = cluster_find_leader(cluster);
    for (uint32_t i = 0; i < 2; i++) {
        hold(cluster_follower(cluster, i), false);
    }
    hold(leader, false);
    cluster_hold_disk(leader, DISK_QUEUE_FETCH, true); /* one of several: a place on the disk */
    struct cluster_client *writer = cluster_connect(leader, 0);
    cluster_send(writer, "SET cold1 new");
    cluster_run(cluster, 10000);
    assert_true(cluster_has_event(leader, "handing-over reason=disk-hangs"));
    struct cluster_node *next = cluster_await_leader(cluster);
    assert_ptr_not_equal(next, leader);
    assert_string_equal(cluster_ask(next, "GET cold1"), "$3\r\nnew\r\n");
    cluster_destroy(cluster);
}

/* More keys than all jobs together have room for: the rest follows. */
static void test_what_is_out_is_bounded(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(1, 9);
    struct cluster_node *node = cluster_find_leader(cluster);
    struct cluster_client *writer = cluster_connect(node, 0), *reader = cluster_connect(node, 0);
    char *line = calloc(1, LINE_BYTES);
    uint32_t keys;
    assert_non_null(line);
    size_t size = (size_t)sprintf(line, "MSET");
    for (int i = 0; i < FETCH_JOBS_MAX * FETCH_KEYS_PER_ENTRIES_JOB + 1000; i++) {
        size += (size_t)sprintf(line + size, " k%d %d", i, i % 10);
    }
    cluster_send(writer, line);
    cluster_expect_nothing(writer, 20);
    assert_int_equal(count_jobs(node, &keys), FETCH_JOBS_MAX);
    assert_int_equal(keys, FETCH_JOBS_MAX * FETCH_KEYS_PER_ENTRIES_JOB);
    size = (size_t)sprintf(line, "EXISTS");
    for (int i = 0; i < FETCH_JOBS_MAX * FETCH_KEYS_PER_READS_JOB + 1000; i++) {
        size += (size_t)sprintf(line + size, " absent%d", i);
    }
    cluster_send(reader, line);
    cluster_expect_nothing(reader, 20);
    assert_int_equal(count_jobs(node, &keys), 2 * FETCH_JOBS_MAX); /* room of its own */
    assert_int_equal(keys, FETCH_JOBS_MAX * (FETCH_KEYS_PER_ENTRIES_JOB + FETCH_KEYS_PER_READS_JOB));
    for (int i = 0; i < 3; i++) {
        end_jobs(node, i % DISK_FETCH_QUEUES);
        assert_in_range(count_jobs(node, &keys), 1, 2 * FETCH_JOBS_MAX);
    }
    hold(node, false);
    cluster_expect(writer, "+OK\r\n");
    cluster_expect(reader, ":0\r\n");
    assert_int_equal(cluster_meta(node)->key_count, FETCH_JOBS_MAX * FETCH_KEYS_PER_ENTRIES_JOB + 1000 + 10);
    free(line);
    cluster_destroy(cluster);
}

static void test_a_fetch_that_fails_is_nobodys_business(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(1, 10);
    struct cluster_node *node = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(node, 0);
    cluster_send(client, "GET cold1");
    cluster_settle(cluster);
    assert_true(cluster_run_job(node, DISK_QUEUE_FETCH, STORAGE_FAILED));
    assert_true(cluster_report_job(node, DISK_QUEUE_FETCH));
    cluster_expect(client, "$1\r\n1\r\n");
    cluster_destroy(cluster);
}

static void test_stale_reads_of_followers_wait_too(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(3, 11);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    struct cluster_client *client = cluster_connect(follower, 0);
    cluster_send(client, "READONLY");
    cluster_send(client, "GET cold1");
    cluster_send(client, "GET hot");
    cluster_expect(client, "+OK\r\n");
    cluster_expect_nothing(client, 50);
    assert_int_equal(count_keys(follower), 1);
    end_jobs(follower, 0);
    cluster_expect(client, "$1\r\n1\r\n$1\r\nh\r\n");
    cluster_destroy(cluster);
}

static void test_a_client_that_leaves_is_not_missed(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(3, 12);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_send(client, "GET cold1");
    cluster_send(client, "SET cold2 new");
    cluster_run(cluster, 20);
    cluster_disconnect(client);
    cluster_run(cluster, 20);
    hold(leader, false);
    cluster_run(cluster, 100);
    assert_int_equal(count_keys(leader), 0);
    cluster_destroy(cluster);
}

static void test_a_node_stops_while_fetches_are_out(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(3, 13);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *reader = cluster_connect(leader, 0), *writer = cluster_connect(leader, 0);
    cluster_send(reader, "GET cold1");
    cluster_send(writer, "SET cold2 new");
    cluster_run(cluster, 50);
    assert_int_equal(count_keys(leader), 2);
    replica_begin_shutdown(leader->replica);
    leader->has_input = true;
    cluster_run(cluster, 20000);
    assert_true(leader->stopped);
    assert_int_equal(leader->stop_code, REPLICA_EXIT_OK);
    struct cluster_node *next = cluster_await_leader(cluster);
    assert_ptr_not_equal(next, leader);
    cluster_send(cluster_connect(next, 0), "GET cold1");
    cluster_run(cluster, 50);
    cluster_crash(next); /* with its job */
    cluster_destroy(cluster);
}

static bool is_loaded(struct cluster *cluster, void *node)
{
    (void)cluster;
    return cluster_has_event(node, "snapshot-loaded");
}

static bool is_installed(struct cluster *cluster, void *node)
{
    (void)cluster;
    return cluster_has_event(node, "snapshot-installed");
}

/* The map that goes is closed only when no fetch reads it; meanwhile nobody waits for one. */
static void test_a_snapshot_takes_over_when_no_fetch_is_out(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 14);
    cluster->defaults.log_tail_bytes = 20 * 1000;
    cluster->defaults.checkpoint_idle_ms = 200;
    cluster->defaults.checkpoint_log_bytes = 10 * 1000;
    cluster->defaults.follower_reads_stale = true;
    cluster_start_all(cluster);
    (void)cluster_await_leader(cluster);
    struct cluster_node *away = cluster_follower(cluster, 0);
    cluster_write_values(cluster, "early", 10);
    cluster_run(cluster, 1000);
    uint64_t index = cluster_status(away).last.index;
    hold(away, true);
    set_cold(away, true);
    struct cluster_client *client = cluster_connect(away, 0);
    cluster_send(client, "READONLY");
    cluster_send(client, "STRLEN early:1");
    cluster_expect(client, "+OK\r\n");
    cluster_expect_nothing(client, 20);
    assert_int_equal(count_keys(away), 1);
    cluster_isolate(cluster, away->id);
    cluster_pause(away);
    for (int i = 0; i < 100 && cluster_status(cluster_await_leader(cluster)).first_index <= index + 1; i++) {
        char prefix[20];
        (void)snprintf(prefix, sizeof prefix, "more-%d", i);
        cluster_write_values(cluster, prefix, 20);
        cluster_run(cluster, 300);
    }
    cluster_heal(cluster);
    cluster_resume(away);
    cluster_run_until(cluster, is_loaded, away, 20000);
    cluster_expect(client, ":1000\r\n"); /* from the old map */
    cluster_run(cluster, 5000);
    assert_false(cluster_has_event(away, "snapshot-installed"));
    assert_true(atomic_load(cluster_first_job(away, DISK_QUEUE_FETCH)->fetch.give_up));
    end_jobs(away, 0);
    cluster_run_until(cluster, is_installed, away, 20000);
    cluster_send(client, "STRLEN early:2"); /* fetched from the new one */
    cluster_expect_nothing(client, 20);
    assert_ptr_equal(cluster_first_job(away, DISK_QUEUE_FETCH)->map, replica_map(away->replica));
    hold(away, false);
    cluster_expect(client, ":1000\r\n");
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* What is read from the log at a start is fetched as well. */
static void test_a_replay_is_fetched_ahead(void **state)
{
    (void)state;
    struct cluster *cluster = make_cold(1, 15);
    struct cluster_node *node = cluster_find_leader(cluster);
    set_cold(node, false);
    assert_string_equal(cluster_ask(node, "SET cold1 new"), "+OK\r\n");
    for (int i = 0; i < 200; i++) { /* each an entry of its own */
        char line[40];
        (void)snprintf(line, sizeof line, "SET r%d v", i);
        assert_string_equal(cluster_ask(node, line), "+OK\r\n");
    }
    cluster_run(cluster, 100);
    cluster_crash(node);
    cluster->data_is_cold = true;
    assert_true(cluster_start_node(node));
    hold(node, true);
    cluster_run(cluster, 2000);
    assert_in_range(count_keys(node), 190, 202);
    hold(node, false);
    (void)cluster_await_leader(cluster);
    assert_string_equal(cluster_ask(node, "GET cold1"), "$3\r\nnew\r\n");
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_fetched_while_data_is_warm),
        cmocka_unit_test(test_a_read_waits_until_what_it_reads_was_fetched),
        cmocka_unit_test(test_the_fetch_of_a_read_is_hidden_behind_its_read_index),
        cmocka_unit_test(test_what_the_write_buffer_knows_is_not_fetched),
        cmocka_unit_test(test_the_order_of_a_pipeline_is_kept),
        cmocka_unit_test(test_an_entry_is_applied_when_its_keys_were_fetched),
        cmocka_unit_test(test_entries_are_applied_in_order_whatever_is_fetched_first),
        cmocka_unit_test(test_nobody_waits_once_data_is_warm),
        cmocka_unit_test(test_who_waits_for_a_disk_that_hangs_is_told_so),
        cmocka_unit_test(test_pitfall_16_a_leader_that_waits_for_a_disk_that_hangs_hands_over),
        cmocka_unit_test(test_what_is_out_is_bounded),
        cmocka_unit_test(test_a_fetch_that_fails_is_nobodys_business),
        cmocka_unit_test(test_stale_reads_of_followers_wait_too),
        cmocka_unit_test(test_a_client_that_leaves_is_not_missed),
        cmocka_unit_test(test_a_node_stops_while_fetches_are_out),
        cmocka_unit_test(test_a_snapshot_takes_over_when_no_fetch_is_out),
        cmocka_unit_test(test_a_replay_is_fetched_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
