/* test_replica_torn_disk.c: whole clusters on disks that fail and lose power at every k-th call (design
 * section 7, "Torn disks"; pitfalls 10, 11, 17, 18). Afterwards nothing acknowledged is missing, and no
 * node serves what is not so.
 *
 * Jobs are done one by one, so that a node whose power went in the middle of one says nothing after it.
 */
#include "replica_cluster.h"
#include "torn_disk.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { WRITES = 24, STEPS_MAX = 400 };

struct world {
    struct cluster *cluster;
    struct cluster_client *client;
    uint64_t client_node;
    int asked;                 /* SETs sent */
    bool acknowledged[WRITES]; /* ... and answered */
    bool is_over;              /* the power went */
};

static struct world *world_create(uint32_t nodes, uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->cluster = cluster_create(nodes, seed);
    world->cluster->defaults.checkpoint_idle_ms = 100;
    world->cluster->defaults.checkpoint_log_bytes = 20000;
    world->cluster->defaults.log_tail_bytes = 30000;
    world->cluster->log_map_bytes = world->cluster->data_map_bytes = 16 << 20;
    cluster_start_all(world->cluster);
    (void)cluster_await_leader(world->cluster);
    return world;
}

static void world_destroy(struct world *world)
{
    torn_disk_lose(world->cluster->directory, 0, 0); /* forgets what was remembered */
    cluster_destroy(world->cluster);
    free(world);
}

static void hold_disks(struct world *world, bool hold)
{
    for (uint64_t id = 1; id <= world->cluster->nodes_count; id++) {
        for (int queue = 0; queue < DISK_QUEUES_COUNT; queue++) {
            cluster_hold_disk(cluster_node(world->cluster, id), (enum disk_queue)queue, hold);
        }
    }
}

/* Values from tiny to several pages. */
static void format_value(int number, char *value, size_t size)
{
    size_t length = number % 3 == 0 ? 9000 : number % 3 == 1 ? 20 : 1500;
    length = length < size ? length : size - 1;
    memset(value, 'a' + number % 26, length);
    value[length] = '\0';
    char digits[16];
    int count = snprintf(digits, sizeof digits, "%d:", number);
    memcpy(value, digits, (size_t)count);
}

static void ask_next(struct world *world)
{
    char value[10000];
    char command[10100];
    format_value(world->asked, value, sizeof value);
    int size = snprintf(command, sizeof command, "*3\r\n$3\r\nSET\r\n$4\r\nk%03d\r\n$%zu\r\n%s\r\n",
                        world->asked, strlen(value), value);
    cluster_send_bytes(world->client, command, (size_t)size);
    world->asked++;
}

/* One client, one write at a time, to whoever leads. */
static void drive_client(struct world *world)
{
    struct cluster_node *leader = cluster_find_leader(world->cluster);
    if (world->client != NULL && world->client->client == NULL) {
        world->client = NULL; /* its node ended: what it asked last is of unknown outcome */
    }
    if (leader == NULL) {
        return;
    }
    if (world->client == NULL || world->client_node != leader->id) {
        if (world->client != NULL) {
            cluster_disconnect(world->client);
        }
        world->client = cluster_connect(leader, 0);
        world->client_node = leader->id;
        if (world->asked < WRITES) {
            ask_next(world);
        }
        return;
    }
    const char *received = cluster_received(world->client);
    if (received[0] == '\0') {
        return;
    }
    if (strcmp(received, "+OK\r\n") == 0) {
        world->acknowledged[world->asked - 1] = true;
    }
    cluster_forget_received(world->client);
    if (world->asked < WRITES) {
        ask_next(world);
    }
}

static void run_disks(struct world *world)
{
    for (uint64_t id = 1; id <= world->cluster->nodes_count && !world->is_over; id++) {
        struct cluster_node *node = cluster_node(world->cluster, id);
        for (int queue = 0; queue < DISK_QUEUES_COUNT && node->running && !world->is_over; queue++) {
            bool ran = cluster_run_job(node, (enum disk_queue)queue, STORAGE_OK);
            world->is_over = torn_disk.power_is_off;
            if (ran && !world->is_over) {
                assert_true(cluster_report_job(node, (enum disk_queue)queue));
            }
        }
    }
}

/* Writes until all are answered, or the power goes. */
static void run_world(struct world *world)
{
    for (int step = 0; step < STEPS_MAX && !world->is_over; step++) {
        hold_disks(world, true);
        drive_client(world);
        cluster_run(world->cluster, 4);
        run_disks(world);
        if (world->asked == WRITES && step % 50 == 49) {
            break; /* ... and some time for a checkpoint */
        }
    }
    if (!world->is_over) {
        hold_disks(world, false);
    }
}

/* How many of the acknowledged writes are not there. */
static int count_missing(struct world *world)
{
    int missing = 0;
    struct cluster_node *leader = cluster_await_leader(world->cluster);
    for (int i = 0; i < WRITES; i++) {
        if (!world->acknowledged[i]) {
            continue;
        }
        char value[10000];
        char line[32];
        char expected[10100];
        format_value(i, value, sizeof value);
        (void)snprintf(line, sizeof line, "GET k%03d", i);
        (void)snprintf(expected, sizeof expected, "$%zu\r\n%s\r\n", strlen(value), value);
        missing += strcmp(cluster_ask(leader, line), expected) == 0 ? 0 : 1;
    }
    return missing;
}

static void check_world(struct world *world)
{
    assert_int_equal(count_missing(world), 0);
    assert_string_equal(cluster_ask(cluster_find_leader(world->cluster), "SET k after"), "+OK\r\n");
    cluster_assert_equal(world->cluster);
    for (uint64_t id = 1; id <= world->cluster->nodes_count; id++) {
        assert_false(cluster_node(world->cluster, id)->stopped);
    }
}

/* ---- a call that fails --------------------------------------------------------------------------- */

/* False: fewer than k calls were made. */
static bool fail_at(uint32_t nodes, bool of_leader, enum torn_disk_fault fault, int k)
{
    struct world *world = world_create(nodes, 1);
    struct cluster_node *victim =
        of_leader ? cluster_find_leader(world->cluster) : cluster_follower(world->cluster, 0);
    torn_disk_arm(victim->directory, fault, k);
    run_world(world);
    bool failed = torn_disk_disarm();
    cluster_run(world->cluster, 20);
    if (failed) {
        /* Pitfalls 17, 18: it ends, and says why; nothing is tried again. */
        assert_true(victim->stopped);
        assert_int_equal(victim->stop_code, REPLICA_EXIT_DISK);
        assert_false(victim->running);
        torn_disk_lose(victim->directory, (uint64_t)k, 50);
        victim->stopped = false;
        assert_true(cluster_start_node(victim));
    }
    check_world(world);
    world_destroy(world);
    return failed;
}

static void fail_at_every_call(uint32_t nodes, bool of_leader, enum torn_disk_fault fault, int step)
{
    int k = 0;
    while (fail_at(nodes, of_leader, fault, k)) {
        k += step;
        assert_true(k < 2000);
    }
    assert_true(k > 40); /* the faults do reach the storage */
}

static void test_pitfall_17_a_node_alone_whose_disk_fails_at_every_call_loses_nothing(void **state)
{
    (void)state;
    fail_at_every_call(1, true, TORN_DISK_ERROR, 1);
}

static void test_pitfall_17_a_leader_whose_disk_fails_at_every_call_loses_nothing(void **state)
{
    (void)state;
    fail_at_every_call(3, true, TORN_DISK_ERROR, 1);
}

static void test_pitfall_17_a_follower_whose_disk_fails_at_every_call_loses_nothing(void **state)
{
    (void)state;
    fail_at_every_call(3, false, TORN_DISK_ERROR, 3);
}

/* A sync cannot be short: such a fault falls on the next write. */
static void test_pitfall_18_short_writes_at_every_call_lose_nothing(void **state)
{
    (void)state;
    int failures = 0;
    for (int k = 0; k < 60; k++) {
        struct world *world = world_create(1, 2);
        struct cluster_node *node = cluster_node(world->cluster, 1);
        torn_disk_arm(node->directory, TORN_DISK_SHORT, k);
        run_world(world);
        (void)torn_disk_disarm();
        cluster_run(world->cluster, 20);
        if (node->stopped) {
            failures++;
            assert_int_equal(node->stop_code, REPLICA_EXIT_DISK);
            torn_disk_lose(node->directory, (uint64_t)k, 50);
            node->stopped = false;
            assert_true(cluster_start_node(node));
        }
        check_world(world);
        world_destroy(world);
    }
    assert_true(failures > 20);
}

/* ---- the power goes ------------------------------------------------------------------------------ */

/* All nodes lose power at the k-th call of any of them. False: fewer calls were made. *missing: of what was
 * acknowledged; -1: a node could not be started. */
static bool cut_power_at(uint32_t nodes, int k, uint64_t seed, unsigned lost_percent, int *missing)
{
    bool lies = torn_disk.lies;
    torn_disk.lies = false;
    struct world *world = world_create(nodes, 3);
    torn_disk.lies = world->cluster->may_differ = lies;
    torn_disk_arm(world->cluster->directory, TORN_DISK_POWER, k);
    run_world(world);
    bool cut = world->is_over;
    bool started = true;
    if (cut) {
        for (uint64_t id = 1; id <= nodes; id++) {
            cluster_crash(cluster_node(world->cluster, id));
        }
        torn_disk_lose(world->cluster->directory, seed, lost_percent);
        torn_disk.power_is_off = false;
        for (uint64_t id = 1; id <= nodes && started; id++) {
            started = cluster_start_node(cluster_node(world->cluster, id));
        }
    }
    (void)torn_disk_disarm();
    torn_disk.power_is_off = false;
    *missing = -1;
    if (started) {
        *missing = count_missing(world);
        if (*missing == 0) {
            check_world(world);
        }
    }
    world_destroy(world);
    return cut;
}

static void cut_power_at_every_call(uint32_t nodes, int step)
{
    torn_disk.lost_sectors = 0;
    const unsigned lost_percents[] = {100, 50, 10};
    int k = 0;
    bool cut = true;
    for (; cut; k += step) {
        int missing = 0;
        cut = cut_power_at(nodes, k, (uint64_t)k, lost_percents[(k / step) % 3], &missing);
        assert_int_equal(missing, 0);
        assert_true(k < 5000);
    }
    assert_true(k > 40);
    assert_true(torn_disk.lost_sectors > 100);
}

static void test_pitfall_10_a_node_alone_that_loses_power_at_every_call_loses_nothing(void **state)
{
    (void)state;
    cut_power_at_every_call(1, 1);
}

static void test_pitfall_10_a_cluster_that_loses_power_at_every_call_loses_nothing(void **state)
{
    (void)state;
    cut_power_at_every_call(3, 5);
}

/* A test that cannot fail is none: on disks that lie about syncs, what was acknowledged gets lost, and is
 * missed. */
static void test_canary_disks_that_lie_lose_what_was_acknowledged(void **state)
{
    (void)state;
    int missing = 0;
    torn_disk.lies = true;
    bool cut = cut_power_at(1, 60, 1, 100, &missing);
    torn_disk.lies = false;
    assert_true(cut);
    assert_true(missing > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pitfall_17_a_node_alone_whose_disk_fails_at_every_call_loses_nothing),
        cmocka_unit_test(test_pitfall_17_a_leader_whose_disk_fails_at_every_call_loses_nothing),
        cmocka_unit_test(test_pitfall_17_a_follower_whose_disk_fails_at_every_call_loses_nothing),
        cmocka_unit_test(test_pitfall_18_short_writes_at_every_call_lose_nothing),
        cmocka_unit_test(test_pitfall_10_a_node_alone_that_loses_power_at_every_call_loses_nothing),
        cmocka_unit_test(test_pitfall_10_a_cluster_that_loses_power_at_every_call_loses_nothing),
        cmocka_unit_test(test_canary_disks_that_lie_lose_what_was_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
