/* test_replica_replica.c: the turn, shutting down, and whole clusters under random faults. */
#include "replica_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- stopping ------------------------------------------------------------------------------------ */

static void assert_stopped_well(const struct cluster_node *node)
{
    assert_true(node->stopped);
    assert_int_equal(node->stop_code, REPLICA_EXIT_OK);
}

static void begin_shutdown(struct cluster_node *node)
{
    replica_set_time(node->replica, node->cluster->now_ms, cluster_wall_ms(node->cluster));
    replica_begin_shutdown(node->replica);
    replica_begin_shutdown(node->replica); /* a second signal changes nothing */
    node->has_input = true;
}

static void test_a_leader_that_is_asked_to_stop_hands_over_first(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 1);
    struct cluster_node *old = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(old, 0);
    for (int i = 0; i < 20; i++) {
        cluster_send(client, "INCR n");
    }
    cluster_settle(cluster);
    begin_shutdown(old);
    for (int i = 0; i < 20; i++) {
        cluster_send(client, "INCR n");
        cluster_send(client, "DBSIZE");
        cluster_send(client, "GET n");
    }
    uint64_t since_ms = cluster->now_ms;
    while (old->running && cluster->now_ms < since_ms + 3000) {
        cluster_run(cluster, 1);
    }
    assert_stopped_well(old);
    assert_in_range(cluster->now_ms - since_ms, 0, 290); /* less than an election timeout */
    /* What was in flight got its results, the rest was sent to the new leader: an answer for everything. */
    const char *at = cluster_received(client);
    int results = 0;
    int replies = 0;
    for (; *at != '\0'; at = strchr(at, '\n') + 1) {
        replies += *at == ':' || *at == '-' ? 1 : 0;
        results += *at == ':' ? 1 : 0;
        assert_true(*at == ':' || strncmp(at, "-MOVED", 6) == 0);
    }
    assert_int_equal(replies, 80);
    assert_true(results >= 20);
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "GET n"), "$2\r\n20\r\n");
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_what_waits_to_be_proposed_at_the_stop_is_not_forgotten(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 2);
    cluster->defaults.entries_in_flight_max = 1;
    cluster->delay_ms_min = cluster->delay_ms_max = 5;
    cluster_start_all(cluster);
    struct cluster_node *old = cluster_await_leader(cluster);
    struct cluster_client *client = cluster_connect(old, 0);
    for (int i = 0; i < 10; i++) {
        cluster_send(client, "INCR n");
        cluster_settle(cluster);
    }
    begin_shutdown(old);
    uint64_t since_ms = cluster->now_ms;
    while (old->running && cluster->now_ms < since_ms + 8000) {
        cluster_run(cluster, 1);
    }
    assert_stopped_well(old);
    assert_in_range(cluster->now_ms - since_ms, 0, 300);
    const char *received = cluster_received(client);
    assert_int_equal(strncmp(received, ":1\r\n", 4), 0);
    int lines = 0;
    for (const char *at = received; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    assert_int_equal(lines, 10);
    cluster_destroy(cluster);
}

static void test_a_follower_and_a_lone_node_stop_when_all_is_answered(void **state)
{
    (void)state;
    for (uint32_t nodes = 1; nodes <= 3; nodes += 2) {
        struct cluster *cluster = cluster_create_led(nodes, 3);
        struct cluster_node *node = nodes == 1 ? cluster_node(cluster, 1) : cluster_follower(cluster, 0);
        struct cluster_client *client = cluster_connect(node, 0);
        cluster_hold_disk(node, DISK_QUEUE_LOG, true);
        cluster_send(client, "SET k v");
        cluster_send(client, "PING");
        cluster_settle(cluster);
        begin_shutdown(node);
        cluster_run(cluster, 20);
        if (nodes == 1) {
            assert_true(node->running); /* the write is with the disk */
        }
        cluster_hold_disk(node, DISK_QUEUE_LOG, false);
        cluster_run(cluster, nodes == 1 ? 50 : 300);
        assert_stopped_well(node);
        const char *received = cluster_received(client);
        assert_non_null(strstr(received, "+PONG\r\n"));
        assert_int_equal(strncmp(received, nodes == 1 ? "+OK\r\n" : "-MOVED ", 5), 0);
        cluster_destroy(cluster);
    }
}

/* Or a client's command would lie unread in the socket when the process ends, and the client could not know
 * its fate. */
static void test_a_node_that_stops_still_tells_clients_for_a_moment_where_the_leader_is(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 5);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    begin_shutdown(leader);
    cluster_run(cluster, 100);
    assert_true(leader->running && !leader->stopped);
    assert_ptr_not_equal(cluster_find_leader(cluster), leader);
    cluster_send(client, "SET k v");
    cluster_run(cluster, 20);
    assert_int_equal(strncmp(cluster_received(client), "-MOVED ", 7), 0);
    cluster_run(cluster, 300);
    assert_stopped_well(leader);
    cluster_destroy(cluster);
}

static void test_a_node_without_a_majority_stops_all_the_same(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 4);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_isolate(cluster, leader->id);
    cluster_send(client, "SET k v");
    cluster_settle(cluster);
    begin_shutdown(leader);
    cluster_run(cluster, 5500);
    assert_stopped_well(leader);
    /* Before the cluster is formed. */
    struct cluster *forming = cluster_create(3, 5);
    struct cluster_node *node = cluster_node(forming, 1);
    assert_true(cluster_start_node(node));
    cluster_run(forming, 100);
    client = cluster_connect(node, 0);
    cluster_send(client, "SET k v");
    cluster_settle(forming);
    begin_shutdown(node);
    cluster_run(forming, 1500);
    assert_stopped_well(node);
    assert_string_equal(cluster_received(client), "-CLUSTERDOWN The cluster is down\r\n");
    cluster_destroy(forming);
    cluster_destroy(cluster);
}

static void test_all_nodes_may_be_stopped_at_once(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 6);
    for (int i = 0; i < 5; i++) {
        (void)cluster_ask(cluster_find_leader(cluster), "INCR n");
    }
    uint64_t term = raft_get_term(replica_raft(cluster_find_leader(cluster)->replica));
    for (uint64_t id = 1; id <= 3; id++) {
        begin_shutdown(cluster_node(cluster, id));
    }
    cluster_run(cluster, 6000);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_stopped_well(cluster_node(cluster, id));
    }
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    /* Each hands leadership over once at most: it must not go round and round among nodes that stop. */
    assert_in_range(raft_get_term(replica_raft(leader->replica)), term, term + 8);
    assert_string_equal(cluster_ask(leader, "GET n"), "$1\r\n5\r\n");
    cluster_destroy(cluster);
}

/* The follower that should take over does not answer: leadership is kept, and the node tries again until its
 * time is over. */
static void test_writes_during_a_hand_over_that_takes_long_are_parked_and_not_lost(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 7);
    struct cluster_node *old = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(old, 0);
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != old->id) {
            cluster_link(cluster, old->id, id)->held = true;
        }
    }
    begin_shutdown(old);
    cluster_settle(cluster);
    cluster_send(client, "INCR n");
    cluster_send(client, "DBSIZE"); /* a read without a key must not be asked for again and again meanwhile */
    cluster_expect_nothing(client, 100);
    assert_int_equal(cluster_status(old).role, RAFT_LEADER);
    cluster_heal(cluster);
    cluster_run(cluster, 500);
    assert_stopped_well(old);
    assert_int_equal(strncmp(cluster_received(client), "-MOVED", 6), 0);
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "GET n"), "$-1\r\n");
    cluster_destroy(cluster);
}

/* ---- time ---------------------------------------------------------------------------------------- */

static void test_a_quiet_cluster_takes_few_turns(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 8);
    (void)cluster_ask(cluster_find_leader(cluster), "SET k v PX 100");
    cluster_run(cluster, 10000);
    uint64_t last = cluster_status(cluster_find_leader(cluster)).last.index;
    uint64_t term = cluster_status(cluster_find_leader(cluster)).term;
    uint64_t instants = 0;
    for (uint64_t end_ms = cluster->now_ms + 10000; cluster->now_ms < end_ms;) {
        uint64_t deadline_ms = UINT64_MAX;
        cluster_settle(cluster);
        for (uint64_t id = 1; id <= 3; id++) {
            uint64_t of_node_ms = replica_deadline_ms(cluster_node(cluster, id)->replica);
            assert_true(of_node_ms > cluster->now_ms);
            assert_false(replica_is_busy(cluster_node(cluster, id)->replica));
            deadline_ms = of_node_ms < deadline_ms ? of_node_ms : deadline_ms;
        }
        cluster_run(cluster, 1);
        instants += deadline_ms <= cluster->now_ms ? 1 : 0;
    }
    assert_in_range(instants, 190, 1000); /* heartbeats: every 50 ms */
    assert_int_equal(cluster_status(cluster_find_leader(cluster)).last.index, last);
    assert_int_equal(cluster_status(cluster_find_leader(cluster)).term, term);
    cluster_destroy(cluster);
}

/* ---- random faults ------------------------------------------------------------------------------- */

enum { COUNTERS = 3, WORKERS = 8, VALUES_MAX = 4096 };

enum operation { OPERATION_NONE, OPERATION_INCR, OPERATION_GET };

struct worker {
    struct cluster_client *client;
    enum operation operation;
    int counter;
    long floor; /* what had been acknowledged when it asked: it may not see less */
    bool is_readonly_reply_due;
    uint64_t since_ms;
};

struct tally {
    long sent[COUNTERS];
    long answered[COUNTERS];
    long largest[COUNTERS];
    bool was_given[COUNTERS][VALUES_MAX];
    long failures, replies;
};

static void ask(struct cluster *cluster, struct worker *worker, struct tally *tally)
{
    worker->counter = (int)cluster_random_below(cluster, COUNTERS);
    worker->operation = cluster_random_below(cluster, 2) == 0 ? OPERATION_INCR : OPERATION_GET;
    worker->floor = tally->largest[worker->counter];
    worker->since_ms = cluster->now_ms;
    char line[32];
    (void)snprintf(line, sizeof line, "%s counter%d", worker->operation == OPERATION_INCR ? "INCR" : "GET",
                   worker->counter);
    cluster_send(worker->client, line);
    tally->sent[worker->counter] += worker->operation == OPERATION_INCR ? 1 : 0;
}

static void note_value(struct worker *worker, struct tally *tally, long value)
{
    if (value < worker->floor || (worker->operation == OPERATION_INCR && value <= worker->floor)) {
        fail_msg("counter %d was %ld, and is %ld", worker->counter, worker->floor, value);
    }
    if (worker->operation == OPERATION_INCR) {
        assert_in_range(value, 1, VALUES_MAX - 1);
        assert_false(tally->was_given[worker->counter][value]); /* no two get the same */
        tally->was_given[worker->counter][value] = true;
        tally->answered[worker->counter]++;
    }
    if (value > tally->largest[worker->counter]) {
        tally->largest[worker->counter] = value;
    }
}

static void take_reply(struct worker *worker, struct tally *tally)
{
    const char *text = cluster_received(worker->client);
    const char *end = strstr(text, "\r\n");
    if (end == NULL) {
        return; /* not complete yet */
    }
    switch (text[0]) {
    case ':':
        assert_int_equal(worker->operation, OPERATION_INCR);
        note_value(worker, tally, strtol(text + 1, NULL, 10));
        break;
    case '$':
        assert_int_equal(worker->operation, OPERATION_GET);
        note_value(worker, tally, text[1] == '-' ? 0 : strtol(end + 2, NULL, 10));
        break;
    case '-':
        assert_true(strncmp(text, "-MOVED ", 7) == 0 || strncmp(text, "-CLUSTERDOWN", 12) == 0 ||
                    strncmp(text, "-UNKNOWN", 8) == 0);
        if (worker->operation == OPERATION_INCR && strncmp(text, "-UNKNOWN", 8) != 0) {
            tally->sent[worker->counter]--; /* it certainly did not happen */
        }
        tally->failures++;
        break;
    default:
        fail_msg("unexpected: %s", text);
    }
    tally->replies++;
    cluster_forget_received(worker->client);
    worker->operation = OPERATION_NONE;
}

static void take_replies(struct worker *worker, struct tally *tally)
{
    if (worker->client == NULL) {
        return;
    }
    if (worker->is_readonly_reply_due && byte_buffer_size(&worker->client->received) >= 5) {
        assert_memory_equal(cluster_received(worker->client), "+OK\r\n", 5);
        byte_buffer_consume(&worker->client->received, 5);
        worker->is_readonly_reply_due = false;
    }
    if (!worker->is_readonly_reply_due && worker->operation != OPERATION_NONE) {
        take_reply(worker, tally);
    }
}

static void drive(struct cluster *cluster, struct worker *worker, struct tally *tally)
{
    take_replies(worker, tally);
    if (worker->client != NULL && worker->client->client == NULL) {
        worker->client = NULL; /* its node ended; what it asked for may have happened */
    }
    bool moves_on = worker->operation == OPERATION_NONE && cluster_random_below(cluster, 20) == 0;
    if (worker->client != NULL && moves_on) {
        cluster_disconnect(worker->client);
        worker->client = NULL;
    }
    if (worker->client != NULL && worker->operation != OPERATION_NONE) {
        return;
    }
    if (worker->client == NULL) {
        struct cluster_node *node =
            cluster_node(cluster, 1 + cluster_random_below(cluster, cluster->nodes_count));
        struct cluster_node *leader = cluster_find_leader(cluster);
        node = leader != NULL && cluster_random_below(cluster, 3) > 0 ? leader : node;
        worker->operation = OPERATION_NONE;
        if (!node->running || node->paused) {
            return;
        }
        worker->client = cluster_connect(node, 0);
        cluster_send(worker->client, "READONLY");
        worker->is_readonly_reply_due = true;
    }
    ask(cluster, worker, tally);
}

static void do_harm(struct cluster *cluster)
{
    uint64_t count = cluster->nodes_count;
    struct cluster_node *node = cluster_node(cluster, 1 + cluster_random_below(cluster, count));
    struct cluster_node *other = cluster_node(cluster, 1 + cluster_random_below(cluster, count));
    switch (cluster_random_below(cluster, 12)) {
    case 0:
        if (node->running) {
            cluster_crash(node);
        }
        break;
    case 1:
    case 2:
        if (!node->running) {
            assert_true(cluster_start_node(node));
        }
        break;
    case 3:
        if (node->running && !node->paused) {
            cluster_pause(node);
        }
        break;
    case 4:
    case 5:
        if (node->running && node->paused) {
            cluster_resume(node);
        }
        break;
    case 6:
        cluster_isolate(cluster, node->id);
        break;
    case 7:
        if (node != other) {
            cluster_cut(cluster, node->id, other->id);
        }
        break;
    case 8:
        if (node != other) {
            cluster_reset_link(cluster, node->id, other->id);
        }
        break;
    case 9:
        cluster_heal(cluster);
        break;
    case 10:
        cluster->drop_per_mille = cluster->drop_per_mille == 0 ? 50 : 0;
        break;
    case 11:
        node->clock_offset_ms = (int64_t)cluster_random_below(cluster, 10000) - 5000;
        break;
    }
}

static void repair(struct cluster *cluster)
{
    cluster_heal(cluster);
    cluster->drop_per_mille = 0;
    for (uint64_t id = 1; id <= cluster->nodes_count; id++) {
        struct cluster_node *node = cluster_node(cluster, id);
        if (node->running && node->paused) {
            cluster_resume(node);
        }
    }
    cluster_start_all(cluster);
}

static void run_random(uint64_t seed)
{
    struct cluster *cluster = cluster_create(seed % 4 == 0 ? 5 : 3, seed);
    cluster->delay_ms_max = (uint32_t)cluster_random_below(cluster, 10) + 1;
    cluster->disk_ms_max = (uint32_t)cluster_random_below(cluster, 10);
    cluster->defaults.entries_in_flight_max = 1 + (uint32_t)cluster_random_below(cluster, 8);
    cluster->defaults.checkpoint_log_bytes = 200 + cluster_random_below(cluster, 5000);
    cluster->defaults.command_timeout_ms = 500 + (uint32_t)cluster_random_below(cluster, 2000);
    cluster->clients_first = seed % 2 == 0;
    cluster->data_is_cold = seed % 3 == 0;
    struct tally *tally = calloc(1, sizeof *tally);
    assert_non_null(tally);
    struct worker workers[WORKERS];
    memset(workers, 0, sizeof workers);
    cluster_start_all(cluster);
    (void)cluster_await_leader(cluster);
    for (int step = 0; step < 1500; step++) {
        for (int i = 0; i < WORKERS; i++) {
            drive(cluster, &workers[i], tally);
        }
        if (step / 150 % 2 == 1) {
            if (step % 150 == 0) {
                repair(cluster);
            }
        } else if (cluster_random_below(cluster, 15) == 0) {
            do_harm(cluster);
        }
        cluster_run(cluster, 1 + cluster_random_below(cluster, 8));
    }
    /* The faults end: everything goes on, and nothing that was acknowledged is missing. */
    repair(cluster);
    for (uint64_t end_ms = cluster->now_ms + 6000; cluster->now_ms < end_ms; cluster_run(cluster, 10)) {
        for (int i = 0; i < WORKERS; i++) {
            take_replies(&workers[i], tally);
        }
    }
    cluster_assert_equal(cluster);
    for (int counter = 0; counter < COUNTERS; counter++) {
        char line[32];
        (void)snprintf(line, sizeof line, "GET counter%d", counter);
        const char *reply = cluster_ask(cluster_await_leader(cluster), line);
        long value = reply[1] == '-' ? 0 : strtol(strchr(reply, '\n') + 1, NULL, 10);
        assert_in_range(value, tally->answered[counter], tally->sent[counter]);
        assert_true(value >= tally->largest[counter]);
    }
    for (int i = 0; i < WORKERS; i++) { /* nobody whose node lives waits for ever */
        assert_true(workers[i].client == NULL || workers[i].client->client == NULL ||
                    workers[i].operation == OPERATION_NONE);
    }
    assert_true(tally->replies > 1000 && tally->failures > 0);
    free(tally);
    cluster_destroy(cluster);
}

/* REPLICA_SEED=n runs that seed alone, REPLICA_SEEDS=n the first n. */
static void test_random_faults_lose_nothing_and_show_nothing_old(void **state)
{
    (void)state;
    const char *one = getenv("REPLICA_SEED");
    const char *many = getenv("REPLICA_SEEDS");
    uint64_t first = one == NULL ? 1 : strtoull(one, NULL, 10);
    uint64_t last = one != NULL ? first : many == NULL ? 25 : strtoull(many, NULL, 10);
    for (uint64_t seed = first; seed <= last; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run_random(seed);
    }
}

static void test_the_same_seed_gives_the_same_run(void **state)
{
    (void)state;
    uint64_t digests[2], times[2], indexes[2];
    for (int run = 0; run < 2; run++) {
        struct cluster *cluster = cluster_create(3, 99);
        cluster->delay_ms_max = 7;
        cluster->disk_ms_max = 5;
        cluster->drop_per_mille = 20;
        cluster_start_all(cluster);
        for (int i = 0; i < 300; i++) {
            struct cluster_node *leader = cluster_find_leader(cluster);
            if (leader != NULL) {
                struct cluster_client *client = cluster_connect(leader, 0);
                cluster_send(client, "INCR n");
            }
            do_harm(cluster);
            cluster_run(cluster, 1 + cluster_random_below(cluster, 20));
        }
        repair(cluster);
        cluster_assert_equal(cluster);
        digests[run] = cluster_meta(cluster_node(cluster, 1))->digest;
        indexes[run] = cluster_meta(cluster_node(cluster, 1))->applied_index;
        times[run] = cluster->now_ms;
        cluster_destroy(cluster);
    }
    assert_int_equal(digests[0], digests[1]);
    assert_int_equal(indexes[0], indexes[1]);
    assert_int_equal(times[0], times[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_leader_that_is_asked_to_stop_hands_over_first),
        cmocka_unit_test(test_what_waits_to_be_proposed_at_the_stop_is_not_forgotten),
        cmocka_unit_test(test_a_follower_and_a_lone_node_stop_when_all_is_answered),
        cmocka_unit_test(test_a_node_that_stops_still_tells_clients_for_a_moment_where_the_leader_is),
        cmocka_unit_test(test_a_node_without_a_majority_stops_all_the_same),
        cmocka_unit_test(test_all_nodes_may_be_stopped_at_once),
        cmocka_unit_test(test_writes_during_a_hand_over_that_takes_long_are_parked_and_not_lost),
        cmocka_unit_test(test_a_quiet_cluster_takes_few_turns),
        cmocka_unit_test(test_random_faults_lose_nothing_and_show_nothing_old),
        cmocka_unit_test(test_the_same_seed_gives_the_same_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
