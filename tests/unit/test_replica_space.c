/* test_replica_space.c: what nodes do when their disks run full (pitfall 19). That a full disk is noticed
 * in time is test_storage_space's; here disks are said to be low, or find no room. */
#include "replica_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Some writes, so that every node has looked at its disk. */
static void write_some(struct cluster *cluster)
{
    for (int i = 0; i < 5; i++) {
        (void)cluster_ask(cluster_await_leader(cluster), "APPEND log x");
        cluster_run(cluster, 300);
    }
}

static void set_room(struct cluster *cluster, uint64_t id, enum cluster_disk_room room)
{
    cluster_node(cluster, id)->room = room;
}

static void make_roomy(struct cluster *cluster)
{
    for (uint64_t id = 1; id <= cluster->nodes_count; id++) {
        set_room(cluster, id, CLUSTER_DISK_ROOMY);
    }
    cluster_run(cluster, 1500);
}

static bool is_low_in_status(struct cluster_node *node)
{
    return strstr(cluster_ask(node, "RAFT STATUS"), "\nlow_space:yes\n") != NULL;
}

static const char *last_of(const struct cluster_node *node, const char *event)
{
    static char line[300];
    const char *found = NULL;
    const char *text = (const char *)byte_buffer_front(&node->events);
    size_t size = byte_buffer_size(&node->events);
    for (size_t i = 0; i + strlen(event) < size; i++) {
        if (memcmp(text + i, event, strlen(event)) == 0 && (i == 0 || text[i - 1] == '\n')) {
            found = text + i;
        }
    }
    if (found == NULL) {
        return "";
    }
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(found, "\n"), found);
    return line;
}

static void test_pitfall_19_a_leader_that_is_low_hands_over_and_nobody_sees_an_error(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 1);
    struct cluster_node *old = cluster_find_leader(cluster);
    set_room(cluster, old->id, CLUSTER_DISK_LOW);
    struct cluster_client *client = cluster_connect(old, 0);
    cluster_send(client, "SET k 1"); /* its own write finds that the disk is low */
    cluster_expect(client, "+OK\r\n");
    cluster_send(client, "SET k 2");
    cluster_expect_prefix(client, "-MOVED ");
    struct cluster_node *leader = cluster_await_leader(cluster);
    assert_int_not_equal(leader->id, old->id);
    assert_true(cluster_has_event(old, "low-space store=log"));
    assert_true(cluster_has_event(old, "handing-over reason=low-space"));
    assert_string_equal(cluster_ask(leader, "SET k 3"), "+OK\r\n");
    assert_true(is_low_in_status(old));
    assert_false(is_low_in_status(leader));
    /* Whoever leads knows. */
    char text[64];
    (void)snprintf(text, sizeof text, "\nlow_space_nodes:%llu\n", (unsigned long long)old->id);
    assert_non_null(strstr(cluster_ask(leader, "RAFT STATUS"), text));
    make_roomy(cluster);
    assert_false(is_low_in_status(old));
    assert_true(cluster_has_event(old, "low-space-ended store=log"));
    assert_non_null(strstr(cluster_ask(leader, "RAFT STATUS"), "\nlow_space_nodes:\n"));
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* Neither do those whose requests come in the very turn in which it notices. */
static void test_pitfall_19_no_write_is_refused_while_leadership_goes_over(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 12);
    struct cluster_node *old = cluster_find_leader(cluster);
    struct cluster_client *first = cluster_connect(old, 0);
    struct cluster_client *second = cluster_connect(old, 0);
    cluster_hold_reports(old, DISK_QUEUE_LOG, true);
    set_room(cluster, old->id, CLUSTER_DISK_LOW);
    cluster_send(first, "SET k 1");
    cluster_run(cluster, 20);
    assert_true(cluster_report_job(old, DISK_QUEUE_LOG));
    cluster_send(second, "SET k 2");
    cluster_hold_reports(old, DISK_QUEUE_LOG, false);
    cluster_expect_prefix(second, "-MOVED ");
    cluster_expect(first, "+OK\r\n");
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_pitfall_19_without_room_on_a_majority_growth_is_refused_and_deletions_go_on(void **state)
{
    (void)state;
    for (uint64_t low_count = 2; low_count <= 3; low_count++) {
        struct cluster *cluster = cluster_create_led(3, low_count);
        struct cluster_node *leader = cluster_find_leader(cluster);
        assert_string_equal(cluster_ask(leader, "SET k 1"), "+OK\r\n");
        /* The leader itself may have room. */
        for (uint64_t i = 0; i < low_count; i++) {
            set_room(cluster, i < 2 ? cluster_follower(cluster, (uint32_t)i)->id : leader->id,
                     CLUSTER_DISK_LOW);
        }
        write_some(cluster);
        leader = cluster_await_leader(cluster);
        const char *refusals[] = {"SET k 2", "APPEND k 2", "INCR n", "MSET k 2 j 3"};
        for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
            const char *reply = cluster_ask(leader, refusals[i]);
            assert_non_null(strstr(reply, "-OOM command not allowed: too few nodes have room left"));
        }
        assert_string_equal(cluster_ask(leader, "GET k"), "$1\r\n1\r\n");
        assert_string_equal(cluster_ask(leader, "EXPIRE k 100"), ":1\r\n");
        assert_string_equal(cluster_ask(leader, "DEL k"), ":1\r\n");
        make_roomy(cluster);
        assert_string_equal(cluster_ask(cluster_await_leader(cluster), "SET k 3"), "+OK\r\n");
        for (uint64_t id = 1; id <= 3; id++) {
            assert_false(cluster_node(cluster, id)->stopped);
            assert_false(is_low_in_status(cluster_node(cluster, id)));
        }
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
}

static void test_a_follower_that_is_low_changes_nothing(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 3);
    struct cluster_node *leader = cluster_find_leader(cluster);
    set_room(cluster, cluster_follower(cluster, 0)->id, CLUSTER_DISK_LOW);
    write_some(cluster);
    assert_string_equal(cluster_ask(leader, "SET k 1"), "+OK\r\n");
    assert_ptr_equal(cluster_find_leader(cluster), leader);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_a_node_alone_refuses_what_grows_until_there_is_room(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(1, 4);
    struct cluster_node *node = cluster_node(cluster, 1);
    set_room(cluster, 1, CLUSTER_DISK_LOW);
    assert_string_equal(cluster_ask(node, "SET k 1"), "+OK\r\n");
    assert_non_null(strstr(cluster_ask(node, "SET k 2"), "-OOM command not allowed"));
    assert_string_equal(cluster_ask(node, "GET k"), "$1\r\n1\r\n");
    cluster_run(cluster, 2000); /* nothing is written, and still it looks again */
    assert_true(is_low_in_status(node));
    make_roomy(cluster);
    assert_string_equal(cluster_ask(node, "SET k 2"), "+OK\r\n");
    cluster_destroy(cluster);
}

static void test_pitfall_19_writes_without_room_wait_and_are_acknowledged_when_they_are_durable(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 5);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *other = cluster_follower(cluster, 0);
    struct cluster_client *client = cluster_connect(leader, 0);
    set_room(cluster, other->id, CLUSTER_DISK_FULL);
    cluster_crash(cluster_follower(cluster, 1)); /* its acknowledgement is needed */
    cluster_send(client, "SET k 1");
    cluster_expect_nothing(client, 200);
    assert_false(other->stopped);
    assert_true(cluster_has_event(other, "low-space store=log"));
    set_room(cluster, other->id, CLUSTER_DISK_ROOMY);
    cluster_expect(client, "+OK\r\n");
    /* The same on the leader: nothing is said before its own disk has it, if nobody else's does. */
    set_room(cluster, leader->id, CLUSTER_DISK_FULL);
    cluster_cut(cluster, other->id, leader->id);
    cluster_send(client, "SET k 2");
    cluster_expect_nothing(client, 200);
    cluster_heal(cluster);
    set_room(cluster, leader->id, CLUSTER_DISK_ROOMY);
    cluster_run(cluster, 3000);
    for (uint64_t id = 1; id <= 3; id++) {
        if (!cluster_node(cluster, id)->running) {
            assert_true(cluster_start_node(cluster_node(cluster, id)));
        }
    }
    const char *reply = cluster_ask(cluster_await_leader(cluster), "GET k");
    assert_true(reply[4] == '1' || reply[4] == '2');
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_a_crash_while_writes_wait_for_room_loses_nothing_acknowledged(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 6);
    struct cluster_node *full = cluster_follower(cluster, 0);
    set_room(cluster, full->id, CLUSTER_DISK_FULL);
    struct cluster_node *leader = cluster_find_leader(cluster);
    for (int i = 0; i < 20; i++) {
        char line[32];
        (void)snprintf(line, sizeof line, "SET k%d %d", i, i);
        assert_string_equal(cluster_ask(leader, line), "+OK\r\n"); /* the two others have it */
    }
    cluster_crash(full);
    set_room(cluster, full->id, CLUSTER_DISK_ROOMY);
    assert_true(cluster_start_node(full));
    cluster_run(cluster, 500);
    cluster_crash(leader);
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "GET k19"), "$2\r\n19\r\n");
    assert_true(cluster_start_node(leader));
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_a_checkpoint_without_room_is_tried_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(1, 7);
    cluster->defaults.checkpoint_idle_ms = 200;
    cluster_start_all(cluster);
    struct cluster_node *node = cluster_await_leader(cluster);
    assert_string_equal(cluster_ask(node, "SET k 1"), "+OK\r\n");
    cluster_hold_disk(node, DISK_QUEUE_MAP, true);
    cluster_run(cluster, 1000);
    assert_int_equal(cluster_first_job(node, DISK_QUEUE_MAP)->kind, DISK_JOB_CHECKPOINT);
    uint64_t durable = map_durable_index(replica_map(node->replica));
    node->room = CLUSTER_DISK_FULL;
    cluster_hold_disk(node, DISK_QUEUE_MAP, false);
    cluster_run(cluster, 3000);
    assert_false(node->stopped);
    assert_int_equal(map_durable_index(replica_map(node->replica)), durable);
    assert_true(map_has_frozen(replica_map(node->replica)));
    assert_string_equal(cluster_ask(node, "GET k"), "$1\r\n1\r\n");
    assert_non_null(strstr(last_of(node, "low-space"), "store="));
    make_roomy(cluster);
    assert_true(map_durable_index(replica_map(node->replica)) > durable);
    assert_string_equal(cluster_ask(node, "SET k 2"), "+OK\r\n");
    cluster_destroy(cluster);
}

static void test_a_node_that_is_low_writes_checkpoints_soon_and_keeps_no_tail(void **state)
{
    (void)state;
    struct cluster *cluster =
        cluster_create_led(3, 8); /* checkpoints after 5 s without writes, a tail of 64 MiB */
    struct cluster_node *leader = cluster_find_leader(cluster);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(cluster_ask(leader, "APPEND k x")[0], ':');
    }
    assert_int_equal(cluster_status(leader).first_index, 1);
    for (uint64_t id = 1; id <= 3; id++) {
        set_room(cluster, id, CLUSTER_DISK_LOW);
    }
    (void)cluster_ask(leader, "DEL k");
    cluster_run(cluster, 2000);
    for (uint64_t id = 1; id <= 3; id++) {
        struct cluster_node *node = cluster_node(cluster, id);
        assert_true(map_durable_index(replica_map(node->replica)) > 50);
        assert_true(cluster_status(node).first_index > 40);
    }
    make_roomy(cluster);
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "SET k 2"), "+OK\r\n");
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_leadership_is_not_handed_to_a_member_that_is_low(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct cluster *cluster = cluster_create_led(5, seed);
        struct cluster_node *leader = cluster_find_leader(cluster);
        struct cluster_node *low = cluster_follower(cluster, (uint32_t)(seed % 4));
        set_room(cluster, low->id, CLUSTER_DISK_LOW);
        write_some(cluster);
        set_room(cluster, leader->id, CLUSTER_DISK_LOW);
        (void)cluster_ask(leader, "SET k 1");
        cluster_run(cluster, 1000);
        struct cluster_node *now = cluster_await_leader(cluster);
        assert_int_not_equal(now->id, leader->id);
        assert_int_not_equal(now->id, low->id);
        cluster_destroy(cluster);
    }
}

static void test_a_leader_that_nobody_can_follow_up_stays_and_refuses(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 9);
    struct cluster_node *leader = cluster_find_leader(cluster);
    set_room(cluster, leader->id, CLUSTER_DISK_LOW);
    set_room(cluster, cluster_follower(cluster, 0)->id, CLUSTER_DISK_LOW);
    write_some(cluster);
    leader = cluster_await_leader(cluster);
    uint64_t term = cluster_status(leader).term;
    cluster_run(cluster, 5000);
    assert_ptr_equal(cluster_find_leader(cluster), leader);
    assert_int_equal(cluster_status(leader).term, term); /* leadership does not go round and round */
    assert_non_null(strstr(cluster_ask(leader, "SET k 1"), "-OOM "));
    cluster_destroy(cluster);
}

/* ---- a log that may not grow any more ------------------------------------------------------------ */

/* The smallest log that the settings allow for its tail. Checkpoints of the first `stuck_count` nodes, the
 * leader first, hang. */
static struct cluster *create_with_small_log(uint64_t seed, uint32_t stuck_count)
{
    struct cluster *cluster = cluster_create(3, seed);
    cluster->log_map_bytes = 4 << 20;
    cluster->defaults.log_tail_bytes = 1 << 20;
    cluster->defaults.checkpoint_log_bytes = 256 << 10;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    for (uint32_t i = 0; i < stuck_count; i++) {
        cluster_hold_disk(i == 0 ? leader : cluster_follower(cluster, i - 1), DISK_QUEUE_MAP, true);
    }
    return cluster;
}

/* One value after the other, by whoever leads, until `limit` are acknowledged or one is refused; returns how
 * many. */
static int write_large(struct cluster *cluster, int limit, char *answer, size_t answer_size)
{
    static char line[31000];
    int count = 0;
    while (count < limit) {
        int head = snprintf(line, sizeof line, "SET k%d ", count);
        memset(line + head, 'x', 30000);
        line[head + 30000] = '\0';
        (void)snprintf(answer, answer_size, "%s", cluster_ask(cluster_await_leader(cluster), line));
        if (strncmp(answer, "-MOVED ", 7) == 0) {
            cluster_run(cluster, 20);
        } else if (strcmp(answer, "+OK\r\n") == 0) {
            count++;
        } else {
            break;
        }
    }
    return count;
}

static void expect_keys(struct cluster *cluster, int count)
{
    char line[40];
    for (int i = 0; i < count; i++) {
        (void)snprintf(line, sizeof line, "STRLEN k%d", i);
        assert_string_equal(cluster_ask(cluster_await_leader(cluster), line), ":30000\r\n");
    }
}

static void let_checkpoints_go(struct cluster *cluster)
{
    for (uint64_t id = 1; id <= 3; id++) {
        assert_false(cluster_node(cluster, id)->stopped);
        cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_MAP, false);
    }
    cluster_run(cluster, 10000);
}

static void test_pitfall_19_a_full_log_behind_a_stuck_checkpoint_hands_over(void **state)
{
    (void)state;
    struct cluster *cluster = create_with_small_log(20, 1);
    struct cluster_node *old = cluster_find_leader(cluster);
    char answer[200];
    int count = write_large(cluster, 300, answer, sizeof answer); /* nine tails */
    assert_int_equal(count, 300);
    assert_true(cluster_has_event(old, "log-write-waits"));
    assert_true(cluster_has_event(old, "handing-over reason=low-space"));
    assert_int_not_equal(cluster_await_leader(cluster)->id, old->id);
    assert_true(is_low_in_status(old));
    let_checkpoints_go(cluster);
    assert_false(is_low_in_status(old));
    cluster_assert_equal(cluster);
    expect_keys(cluster, count);
    cluster_destroy(cluster);
}

static void test_pitfall_19_full_logs_behind_stuck_checkpoints_refuse_with_a_clear_error(void **state)
{
    (void)state;
    struct cluster *cluster = create_with_small_log(21, 3);
    char answer[200];
    int count = write_large(cluster, 300, answer, sizeof answer);
    assert_true(count > 50 && count < 300);
    assert_non_null(
        strstr(answer, "-OOM command not allowed: the log takes three quarters of 'log-map-size'"));
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "DEL none"), ":0\r\n"); /* goes on */
    cluster_run(cluster, 10000);
    assert_non_null(
        strstr(cluster_ask(cluster_await_leader(cluster), "SET more 1"), "-OOM command not allowed"));
    let_checkpoints_go(cluster);
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "SET more 1"), "+OK\r\n");
    cluster_assert_equal(cluster);
    expect_keys(cluster, count);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_false(is_low_in_status(cluster_node(cluster, id)));
    }
    cluster_destroy(cluster);
}

static bool takes_writes(struct cluster *cluster, void *context)
{
    struct cluster_client *client = context;
    struct cluster_node *leader = cluster_find_leader(cluster);
    if (client->client == NULL || client->node != leader) {
        return false;
    }
    return strstr(cluster_received(client), "+OK") != NULL;
}

/* By whoever leads, again and again, for a minute at most. */
static void await_a_write(struct cluster *cluster)
{
    for (int i = 0; i < 60; i++) {
        struct cluster_node *leader = cluster_find_leader(cluster);
        if (leader != NULL) {
            struct cluster_client *client = cluster_connect(leader, 0);
            cluster_send(client, "SET last 1");
            cluster_run(cluster, 1000);
            bool taken = takes_writes(cluster, client);
            cluster_disconnect(client);
            if (taken) {
                return;
            }
        } else {
            cluster_run(cluster, 1000);
        }
    }
    fail_msg("no write is taken");
}

/* Checkpoints of any nodes hang for any time, nodes crash meanwhile: when they go on, so do all. */
static void hang_checkpoints(uint64_t seed)
{
    struct cluster *cluster = create_with_small_log(seed, 0);
    static char line[31000];
    (void)memset(line, 'x', sizeof line);
    cluster->disk_ms_max = 3;
    cluster->delay_ms_max = 3;
    for (int round = 0; round < 60; round++) {
        struct cluster_node *node = cluster_node(cluster, 1 + cluster_random_below(cluster, 3));
        if (cluster_random_below(cluster, 12) == 0 && node->running) {
            cluster_crash(node);
        } else if (!node->running) {
            assert_true(cluster_start_node(node));
        } else {
            cluster_hold_disk(node, DISK_QUEUE_MAP, cluster_random_below(cluster, 3) > 0);
        }
        struct cluster_node *leader = cluster_find_leader(cluster);
        for (int i = 0; leader != NULL && i < 10; i++) {
            struct cluster_client *client = cluster_connect(leader, 0);
            int head = snprintf(line, 20, "SET k%d", (int)cluster_random_below(cluster, 50));
            line[head] = ' ';
            line[head + 1 + (int)cluster_random_below(cluster, 30000)] = '\0';
            cluster_send(client, line);
            (void)memset(line, 'x', sizeof line);
            cluster_run(cluster, 10);
            cluster_disconnect(client);
        }
        cluster_run(cluster, cluster_random_below(cluster, 500));
    }
    for (uint64_t id = 1; id <= 3; id++) {
        struct cluster_node *node = cluster_node(cluster, id);
        assert_false(node->stopped);
        cluster_hold_disk(node, DISK_QUEUE_MAP, false);
        assert_true(node->running || cluster_start_node(node));
    }
    cluster_run(cluster, 20000);
    await_a_write(cluster);
    cluster_assert_equal(cluster);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_false(is_low_in_status(cluster_node(cluster, id)));
    }
    cluster_destroy(cluster);
}

static void test_pitfall_19_checkpoints_that_hang_at_random_over_small_logs(void **state)
{
    (void)state;
    const char *seeds = getenv("SPACE_SEEDS");
    for (uint64_t seed = 1000; seed < 1000 + (seeds == NULL ? 3 : strtoull(seeds, NULL, 10)); seed++) {
        hang_checkpoints(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pitfall_19_checkpoints_that_hang_at_random_over_small_logs),
        cmocka_unit_test(test_pitfall_19_a_full_log_behind_a_stuck_checkpoint_hands_over),
        cmocka_unit_test(test_pitfall_19_full_logs_behind_stuck_checkpoints_refuse_with_a_clear_error),
        cmocka_unit_test(test_pitfall_19_a_leader_that_is_low_hands_over_and_nobody_sees_an_error),
        cmocka_unit_test(test_pitfall_19_no_write_is_refused_while_leadership_goes_over),
        cmocka_unit_test(test_pitfall_19_without_room_on_a_majority_growth_is_refused_and_deletions_go_on),
        cmocka_unit_test(test_a_follower_that_is_low_changes_nothing),
        cmocka_unit_test(test_a_node_alone_refuses_what_grows_until_there_is_room),
        cmocka_unit_test(test_pitfall_19_writes_without_room_wait_and_are_acknowledged_when_they_are_durable),
        cmocka_unit_test(test_a_crash_while_writes_wait_for_room_loses_nothing_acknowledged),
        cmocka_unit_test(test_a_checkpoint_without_room_is_tried_again),
        cmocka_unit_test(test_a_node_that_is_low_writes_checkpoints_soon_and_keeps_no_tail),
        cmocka_unit_test(test_leadership_is_not_handed_to_a_member_that_is_low),
        cmocka_unit_test(test_a_leader_that_nobody_can_follow_up_stays_and_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
