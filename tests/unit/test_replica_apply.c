/* test_replica_apply.c: committed entries into the map; time and expiry; checkpoints. */
#include "command.h"
#include "replica_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HOUR_MS = 3600 * 1000 };

static bool has_no_keys(struct cluster *cluster, void *context)
{
    (void)context;
    bool none = true;
    for (uint64_t id = 1; id <= cluster->nodes_count; id++) {
        none = none && cluster_meta(cluster_node(cluster, id))->key_count == 0;
    }
    return none;
}

static void test_pitfall_30_keys_expire_by_log_time_on_every_node(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 1);
    cluster_node(cluster, 2)->clock_offset_ms = 700; /* within what is taken for normal */
    cluster_node(cluster, 3)->clock_offset_ms = -700;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_send(client, "SET k v PX 200");
    cluster_send(client, "SET stays v PX 100000");
    cluster_expect(client, "+OK\r\n+OK\r\n");
    cluster_run(cluster, 150);
    cluster_send(client, "GET k");
    cluster_expect(client, "$1\r\nv\r\n");
    cluster_run(cluster, 60);
    cluster_send(client, "GET k");
    cluster_send(client, "GET stays");
    cluster_expect(client, "$-1\r\n$1\r\nv\r\n");
    cluster_run(cluster, 100);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(cluster_meta(cluster_node(cluster, id))->key_count, 1);
    }
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_a_read_that_meets_a_due_key_waits_for_log_time(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 2);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_send(client, "SET k v PX 100");
    cluster_expect(client, "+OK\r\n");
    uint64_t log_time_ms = cluster_meta(leader)->log_time_ms;
    /* Nothing can be committed, but reads can be confirmed: the disks are busy. */
    for (uint64_t id = 1; id <= 3; id++) {
        cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_LOG, true);
    }
    cluster_run(cluster, 120);
    cluster_send(client, "GET k");
    cluster_send(client, "EXISTS k");
    cluster_expect_nothing(client, 50);
    assert_int_equal(cluster_meta(leader)->log_time_ms, log_time_ms);
    for (uint64_t id = 1; id <= 3; id++) {
        cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_LOG, false);
    }
    cluster_expect(client, "$-1\r\n:0\r\n");
    assert_true(cluster_meta(leader)->log_time_ms >= log_time_ms + 100);
    cluster_destroy(cluster);
}

/* A write between two reads of a pipeline: the second sees the key gone, the first had been due already. */
static void test_a_pipeline_over_a_due_key_keeps_its_order(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 3);
    struct cluster_client *client = cluster_connect(cluster_find_leader(cluster), 0);
    cluster_send(client, "SET k v PX 100");
    cluster_expect(client, "+OK\r\n");
    cluster->now_ms += 99; /* no turn in between: the purge and the reads come at once */
    cluster_send(client, "GET k");
    cluster_send(client, "MGET k j");
    cluster_send(client, "SET j 1");
    cluster_send(client, "GET j");
    cluster_run(cluster, 50);
    const char *received = cluster_received(client);
    assert_true(strcmp(received, "$-1\r\n*2\r\n$-1\r\n$-1\r\n+OK\r\n$1\r\n1\r\n") == 0 ||
                strcmp(received, "$1\r\nv\r\n*2\r\n$1\r\nv\r\n$-1\r\n+OK\r\n$1\r\n1\r\n") == 0);
    cluster_destroy(cluster);
}

static void test_purging_empties_the_map(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 4);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    char line[64];
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(line, sizeof line, "SET key%d v PX %d", i, 100 + i / 100);
        cluster_send(client, line);
    }
    cluster_run(cluster, 20);
    assert_int_equal(cluster_meta(leader)->key_count, 2000);
    cluster_run_until(cluster, has_no_keys, NULL, 400);
    assert_string_equal(cluster_ask(leader, "DBSIZE"), ":0\r\n");
    uint64_t last = cluster_status(leader).last.index;
    cluster_run(cluster, 2000);
    assert_int_equal(cluster_status(leader).last.index, last); /* and then it is quiet */
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_purging_goes_on_under_a_new_leader(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 5);
    struct cluster_node *old = cluster_find_leader(cluster);
    (void)cluster_ask(old, "SET k v PX 100");
    cluster_run(cluster, 50);
    cluster_isolate(cluster, old->id);
    cluster_run(cluster, 2000); /* the old one proposes a purge that is lost */
    cluster_heal(cluster);
    cluster_run_until(cluster, has_no_keys, NULL, 1000);
    /* Back to the old one, which must not believe that its purge is still under way. */
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != old->id) {
            cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_LOG, true);
        }
    }
    cluster_run(cluster, 1);
    for (uint64_t id = 1; id <= 3; id++) {
        cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_LOG, false);
    }
    for (int i = 0; i < 20 && cluster_await_leader(cluster) != old; i++) {
        struct cluster_node *leader = cluster_await_leader(cluster);
        cluster_crash(leader);
        (void)cluster_await_leader(cluster);
        assert_true(cluster_start_node(leader));
        cluster_run(cluster, 1000);
    }
    assert_ptr_equal(cluster_find_leader(cluster), old);
    (void)cluster_ask(old, "SET k v PX 100");
    cluster_run_until(cluster, has_no_keys, NULL, 1000);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* The leader's clock jumps; the others' median keeps time going, from the very next entry on. */
static void test_pitfall_30_a_jump_of_the_leaders_clock_does_not_move_log_time(void **state)
{
    (void)state;
    static const int64_t jumps[] = {HOUR_MS, -HOUR_MS, 40L * 365 * 24 * HOUR_MS};
    for (size_t j = 0; j < sizeof jumps / sizeof jumps[0]; j++) {
        struct cluster *cluster = cluster_create_led(3, 6);
        struct cluster_node *leader = cluster_find_leader(cluster);
        struct cluster_client *client = cluster_connect(leader, 0);
        cluster_send(client, "SET k v EX 60");
        cluster_expect(client, "+OK\r\n");
        cluster_run(cluster, 500);
        leader->clock_offset_ms = jumps[j];
        cluster_send(client, "SET j v PX 500"); /* in the turn that sees the jump */
        cluster_send(client, "GET k");
        cluster_expect(client, "+OK\r\n$1\r\nv\r\n");
        assert_in_range(cluster_meta(leader)->log_time_ms, cluster_wall_ms(cluster) - 50,
                        cluster_wall_ms(cluster));
        cluster_run(cluster, 450);
        cluster_send(client, "GET j");
        cluster_expect(client, "$1\r\nv\r\n");
        cluster_run(cluster, 100);
        cluster_send(client, "GET j");
        cluster_send(client, "TTL k");
        cluster_expect(client, "$-1\r\n:59\r\n");
        assert_true(cluster_has_event(leader, "clock-skew"));
        cluster_run(cluster, 30000);
        cluster_send(client, "TTL k");
        cluster_expect(client, ":29\r\n");
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
}

static void test_pitfall_30_followers_with_other_clocks_agree_and_may_lead(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 7);
    cluster_node(cluster, 1)->clock_offset_ms = -HOUR_MS;
    cluster_node(cluster, 3)->clock_offset_ms = HOUR_MS;
    cluster_start_all(cluster);
    struct cluster_client *client = cluster_connect(cluster_await_leader(cluster), 0);
    cluster_run(cluster, 500);
    cluster_send(client, "SET k v EX 600");
    cluster_expect(client, "+OK\r\n");
    for (int i = 0; i < 6; i++) {
        struct cluster_node *leader = cluster_await_leader(cluster);
        cluster_run(cluster, 500);
        assert_string_equal(cluster_ask(leader, "GET k"), "$1\r\nv\r\n");
        assert_string_equal(cluster_ask(leader, "SET j v PX 100"), "+OK\r\n");
        cluster_run(cluster, 200);
        assert_string_equal(cluster_ask(leader, "GET j"), "$-1\r\n");
        cluster_crash(leader);
        (void)cluster_await_leader(cluster);
        assert_true(cluster_start_node(leader));
    }
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_a_checkpoint_waits_until_the_own_log_is_durable(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 8);
    cluster->defaults.checkpoint_log_bytes = 1;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    cluster_run(cluster, 200);
    uint64_t before = map_durable_index(replica_map(leader->replica));
    cluster_hold_disk(leader, DISK_QUEUE_LOG, true);
    struct cluster_client *client = cluster_connect(leader, 0);
    for (int i = 0; i < 5; i++) {
        cluster_send(client, "INCR n");
        cluster_run(cluster, 10);
    }
    cluster_expect(client, ":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n"); /* applied here, durable on the others */
    assert_null(cluster_first_job(leader, DISK_QUEUE_MAP));
    assert_int_equal(map_durable_index(replica_map(leader->replica)), before);
    cluster_hold_disk(leader, DISK_QUEUE_LOG, false);
    cluster_run(cluster, 20);
    assert_true(map_durable_index(replica_map(leader->replica)) > before);
    cluster_destroy(cluster);
}

static void test_an_idle_node_writes_its_map_and_then_rests(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(1, 9);
    struct cluster_node *node = cluster_node(cluster, 1);
    (void)cluster_ask(node, "SET k v");
    uint64_t applied = cluster_meta(node)->applied_index;
    cluster_run(cluster, 4900);
    assert_true(map_durable_index(replica_map(node->replica)) < applied);
    cluster_run(cluster, 200);
    assert_int_equal(map_durable_index(replica_map(node->replica)), applied);
    uint64_t checkpoints = cluster->digests_count; /* nothing more is written */
    cluster_hold_disk(node, DISK_QUEUE_MAP, true);
    cluster_run(cluster, 20000);
    assert_null(cluster_first_job(node, DISK_QUEUE_MAP));
    assert_int_equal(checkpoints, cluster->digests_count);
    cluster_crash(node);
    assert_true(cluster_start_node(node));
    assert_int_equal(cluster_meta(node)->applied_index, applied); /* nothing to replay */
    cluster_destroy(cluster);
}

/* The active table is full while the frozen one is still being written: clients wait, the loop does not. */
static void test_a_full_write_buffer_stops_applying_until_the_disk_has_caught_up(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 10);
    cluster->map_buffer_bytes_max = 32 << 10;
    cluster->defaults.checkpoint_log_bytes = 1000;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_hold_disk(leader, DISK_QUEUE_MAP, true);
    char key[16];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "key%d", i);
        cluster_send_set(client, key, 2000);
        cluster_run(cluster, 3);
    }
    cluster_run(cluster, 500);
    size_t answered = byte_buffer_size(&client->received) / 5;
    assert_in_range(answered, 5, 50);
    assert_int_equal(cluster_status(leader).role, RAFT_LEADER);
    uint64_t last = cluster_status(leader).last.index; /* proposing has stopped, too */
    assert_in_range(last, cluster_meta(leader)->applied_index, cluster_meta(leader)->applied_index + 8);
    struct cluster_client *other = cluster_connect(leader, 0);
    cluster_send(other, "SET other v");
    cluster_run(cluster, 100);
    assert_int_equal(cluster_status(leader).last.index, last);
    cluster_send(client, "GET key0");
    cluster_hold_disk(leader, DISK_QUEUE_MAP, false);
    cluster_run(cluster, 500);
    assert_int_equal(byte_buffer_size(&client->received), 100 * 5 + 2000 + 9);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* Nothing else wakes a quiet node in time for them. */
static void test_expiry_and_the_idle_checkpoint_have_deadlines_of_their_own(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(1, 13);
    cluster->defaults.election_timeout_ms = 60 * 1000;
    cluster->defaults.heartbeat_interval_ms = 20 * 1000;
    cluster->defaults.checkpoint_idle_ms = 700;
    cluster_start_all(cluster);
    struct cluster_node *node = cluster_await_leader(cluster);
    assert_string_equal(cluster_ask(node, "SET k v PX 300"), "+OK\r\n");
    assert_in_range(replica_deadline_ms(node->replica), cluster->now_ms + 250, cluster->now_ms + 300);
    cluster_run(cluster, 310);
    assert_int_equal(cluster_meta(node)->key_count, 0);
    assert_in_range(replica_deadline_ms(node->replica), cluster->now_ms + 600, cluster->now_ms + 700);
    cluster_run(cluster, 710);
    assert_int_equal(map_durable_index(replica_map(node->replica)), cluster_meta(node)->applied_index);
    assert_true(replica_deadline_ms(node->replica) > cluster->now_ms + 2000);
    cluster_destroy(cluster);
}

/* Many small values: the table grows faster than the log, and its own limit counts too. */
static void test_a_checkpoint_starts_when_the_write_buffer_has_reached_its_size(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(1, 12);
    cluster->map_buffer_bytes_max = 64 << 10;
    cluster->defaults.checkpoint_log_bytes = 1 << 30;
    cluster->defaults.checkpoint_idle_ms = 60 * 1000;
    cluster_start_all(cluster);
    struct cluster_node *node = cluster_await_leader(cluster);
    struct cluster_client *client = cluster_connect(node, 0);
    char line[32];
    uint64_t first = map_durable_index(replica_map(node->replica));
    for (int i = 0; i < 2000 && map_durable_index(replica_map(node->replica)) == first; i++) {
        (void)snprintf(line, sizeof line, "SET early%d v",
                       i); /* the first one comes early: it is in its phase */
        cluster_send(client, line);
        cluster_expect(client, "+OK\r\n");
    }
    cluster_hold_disk(node, DISK_QUEUE_MAP, true);
    for (int i = 0; i < 2000 && cluster_first_job(node, DISK_QUEUE_MAP) == NULL; i++) {
        (void)snprintf(line, sizeof line, "SET key%d v", i);
        cluster_send(client, line);
        cluster_expect(client, "+OK\r\n");
    }
    assert_non_null(cluster_first_job(node, DISK_QUEUE_MAP));
    assert_in_range(map_bytes_since_freeze(replica_map(node->replica)), 0, 1000);
    struct map_usage usage;
    map_get_usage(replica_map(node->replica), &usage);
    assert_in_range(usage.buffer_bytes, 64 << 10, 80 << 10);
    cluster_destroy(cluster);
}

static uint64_t checkpoint_of(struct cluster *cluster, uint64_t id)
{
    return map_durable_index(replica_map(cluster_node(cluster, id)->replica));
}

/* The entry up to which each of the nodes 1 to `count` wrote its map the next time. */
static void note_checkpoints(struct cluster *cluster, uint64_t count, size_t value_bytes, uint64_t upto[3])
{
    struct cluster_client *client = cluster_connect(cluster_await_leader(cluster), 0);
    uint64_t before[3];
    uint64_t missing = count;
    char key[24];
    for (uint64_t id = 1; id <= count; id++) {
        before[id - 1] = upto[id - 1] = checkpoint_of(cluster, id);
    }
    for (int i = 0; i < 20000 && missing > 0; i++) {
        (void)snprintf(key, sizeof key, "key:%08d", (int)cluster_random_below(cluster, 90000000));
        cluster_send_set(client, key, value_bytes);
        if (i % 10 == 0) {
            cluster_run(cluster, 4);
        }
        for (uint64_t id = 1; id <= count; id++) {
            if (upto[id - 1] == before[id - 1] && checkpoint_of(cluster, id) != before[id - 1]) {
                upto[id - 1] = checkpoint_of(cluster, id);
                missing--;
            }
        }
    }
    cluster_run(cluster, 100);
    cluster_disconnect(client);
}

static void assert_apart(const uint64_t upto[3], uint64_t before, uint64_t part)
{
    for (int i = 0; i < 3; i++) {
        uint64_t other = upto[(i + 1) % 3];
        uint64_t apart = upto[i] > other ? upto[i] - other : other - upto[i];
        assert_true(apart >= (upto[2] - before) / part);
    }
}

/* So that on disks of their own a majority is never busy with it: when memory is full before so much log was
 * applied, and after they were idle together, too. */
static void test_nodes_write_their_maps_at_different_entries(void **state)
{
    (void)state;
    for (size_t value_bytes = 10; value_bytes <= 100; value_bytes *= 10) {
        struct cluster *cluster = cluster_create(3, 10);
        cluster->map_buffer_bytes_max = 1 << 19;
        cluster->defaults.checkpoint_log_bytes = 1 << 19;
        cluster_start_all(cluster);
        (void)cluster_await_leader(cluster);
        uint64_t upto[3];
        note_checkpoints(cluster, 3, value_bytes, upto);
        assert_apart(upto, 0, 8);
        cluster_run(cluster, 20000); /* all write what they have */
        uint64_t idle = checkpoint_of(cluster, 1);
        note_checkpoints(cluster, 3, value_bytes, upto);
        assert_apart(upto, idle, 8);
        cluster_destroy(cluster);
    }
}

/* It replays from its last checkpoint, which is where the next one counts from: were its place among the
 * members counted once more, the first node would meet the second. */
static void test_a_restart_under_load_leaves_the_phase_of_checkpoints(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 12);
    cluster->defaults.checkpoint_log_bytes = 1 << 18;
    cluster->defaults.checkpoint_idle_ms = 600000;
    cluster_start_all(cluster);
    (void)cluster_await_leader(cluster);
    uint64_t upto[3];
    note_checkpoints(cluster, 1, 100, upto);
    uint64_t before = upto[0];
    cluster_crash(cluster_node(cluster, 1));
    assert_true(cluster_start_node(cluster_node(cluster, 1)));
    cluster_run(cluster, 3000);
    note_checkpoints(cluster, 3, 100, upto);
    assert_apart(upto, before, 8);
    cluster_destroy(cluster);
}

static bool is_caught_up(struct cluster *cluster, void *context)
{
    (void)context;
    return cluster_meta(cluster_node(cluster, 1))->applied_index == cluster->digests_count - 1 ||
           cluster_meta(cluster_node(cluster, 1))->key_count == 5000;
}

static void test_a_long_log_is_replayed_in_slices(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(1, 11);
    cluster->defaults.entry_bytes_max = 1; /* an entry for each command */
    cluster->defaults.entries_in_flight_max = 1000;
    cluster_start_all(cluster);
    struct cluster_node *node = cluster_await_leader(cluster);
    struct cluster_client *client = cluster_connect(node, 0);
    for (int i = 0; i < 5000; i++) {
        char line[32];
        (void)snprintf(line, sizeof line, "SET key%d v", i);
        cluster_send(client, line);
        if (i % 500 == 0) {
            cluster_run(cluster, 1);
        }
    }
    cluster_run(cluster, 200);
    assert_int_equal(byte_buffer_size(&client->received), 25000);
    uint64_t digest = cluster_meta(node)->digest;
    cluster_crash(node);
    assert_true(cluster_start_node(node));
    assert_int_equal(cluster_meta(node)->applied_index, 0);
    struct cluster_client *during = cluster_connect(node, 0);
    cluster_send(during, "PING");
    cluster_send(during, "GET key4999");
    cluster_run_until(cluster, is_caught_up, NULL, 10000);
    cluster_expect(during, "+PONG\r\n$1\r\nv\r\n");
    assert_int_equal(cluster_meta(node)->digest, digest);
    cluster_destroy(cluster);
}

/* A leader of a newer version than ours: its entry is committed, and we cannot know what it does. */
/* A few small commands can be much work: the loop goes on between them. */
static void test_a_long_entry_is_applied_in_slices(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 41);
    cluster->defaults.apply_work_per_turn = 1; /* one command in a turn */
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    uint64_t last = cluster_status(leader).last.index;
    char expected[512] = "";
    for (int i = 1; i <= 50; i++) {
        cluster_send(client, i % 10 == 0 ? "GET n" : "INCR n");
    }
    for (int i = 1, value = 0; i <= 50; i++) {
        size_t used = strlen(expected);
        if (i % 10 == 0) {
            (void)snprintf(expected + used, sizeof expected - used, "$%d\r\n%d\r\n", value < 10 ? 1 : 2,
                           value);
        } else {
            (void)snprintf(expected + used, sizeof expected - used, ":%d\r\n", ++value);
        }
    }
    cluster_expect(client, expected);
    assert_int_equal(cluster_status(leader).last.index, last + 1); /* all of them in one entry */
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_an_entry_that_cannot_be_understood_stops_the_node(void **state)
{
    (void)state;
    static const struct {
        uint32_t size;
        uint8_t bytes[28];
    } payloads[] = {
        {24, {9, 0, 1, 0, 0, 0, 0, 0}},                            /* another format */
        {16, {1, 0, COMMAND_RULES_VERSION + 1, 0}},                /* newer rules */
        {16, {1, 0, 1, 0, 1, 0, 0, 0}},                            /* a command that is not there */
        {24, {1, 0, 1, 0, 0, 0, 0, 0}},                            /* bytes left over */
        {24, {1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4}}, /* cut short */
        /* GET and INFO, which have no place in the log */
        {28, {1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 101, 0}},
        {28, {1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 304 & 255, 304 >> 8}},
    };
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        struct cluster *cluster = cluster_create_led(3, 12);
        struct cluster_node *node = cluster_follower(cluster, 0);
        struct cluster_node *leader = cluster_find_leader(cluster);
        cluster_run(cluster, 200);
        cluster_isolate(cluster, node->id);
        struct raft_status status = cluster_status(node);
        struct raft_payload *payload = raft_payload_create(payloads[i].size);
        memcpy(payload->bytes, payloads[i].bytes, payloads[i].size);
        payload->size = payloads[i].size;
        struct raft_entry entry = {
            .id = {.term = status.term + 1, .index = status.last.index + 1},
            .type = RAFT_ENTRY_COMMANDS,
            .payload = payload,
        };
        struct bus_message message = {.type = BUS_MESSAGE_RAFT, .wall_clock_ms = cluster_wall_ms(cluster)};
        message.raft = (struct raft_message){
            .type = RAFT_MESSAGE_APPEND,
            .from = leader->id,
            .to = node->id,
            .term = status.term + 1,
            .log = status.last,
            .commit = status.last.index + 1,
            .entries_count = 1,
            .entries = &entry,
        };
        replica_on_message(node->replica, leader->id, &message);
        raft_payload_unref(payload);
        node->has_input = true;
        cluster_run(cluster, 10);
        if (i == 1 && !node->stopped) {
            fail_msg("newer rules were accepted");
        }
        assert_true(node->stopped);
        assert_int_equal(node->stop_code, i == 1 ? REPLICA_EXIT_START : REPLICA_EXIT_CORRUPT);
        assert_non_null(strstr(node->stop_reason, "cannot be applied by this version"));
        cluster_destroy(cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pitfall_30_keys_expire_by_log_time_on_every_node),
        cmocka_unit_test(test_a_read_that_meets_a_due_key_waits_for_log_time),
        cmocka_unit_test(test_a_pipeline_over_a_due_key_keeps_its_order),
        cmocka_unit_test(test_purging_empties_the_map),
        cmocka_unit_test(test_purging_goes_on_under_a_new_leader),
        cmocka_unit_test(test_pitfall_30_a_jump_of_the_leaders_clock_does_not_move_log_time),
        cmocka_unit_test(test_pitfall_30_followers_with_other_clocks_agree_and_may_lead),
        cmocka_unit_test(test_a_checkpoint_waits_until_the_own_log_is_durable),
        cmocka_unit_test(test_an_idle_node_writes_its_map_and_then_rests),
        cmocka_unit_test(test_expiry_and_the_idle_checkpoint_have_deadlines_of_their_own),
        cmocka_unit_test(test_a_checkpoint_starts_when_the_write_buffer_has_reached_its_size),
        cmocka_unit_test(test_nodes_write_their_maps_at_different_entries),
        cmocka_unit_test(test_a_restart_under_load_leaves_the_phase_of_checkpoints),
        cmocka_unit_test(test_a_full_write_buffer_stops_applying_until_the_disk_has_caught_up),
        cmocka_unit_test(test_a_long_log_is_replayed_in_slices),
        cmocka_unit_test(test_a_long_entry_is_applied_in_slices),
        cmocka_unit_test(test_an_entry_that_cannot_be_understood_stops_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
