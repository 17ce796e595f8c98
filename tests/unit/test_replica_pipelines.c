/* test_replica_pipelines.c: the order of a connection's commands, with many of them in flight, while nodes
 * crash, pause, are cut off, hand over and stop.
 *
 * Each worker has a counter that nobody else writes, and one connection at a time. Its commands go out in
 * bursts: INCR and GET of the counter, and ECHO of a number that says where the reply belongs. Replies come
 * in order, so each is judged by those before it: a value lies between the largest that was seen and what may
 * have happened before the command.
 */
#include "replica_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORKERS = 5, BURST_MAX = 12, WAITING_MAX = 40 };

enum kind { KIND_INCR, KIND_GET, KIND_ECHO, KIND_OK };

struct asked {
    enum kind kind;
    long number; /* ECHO: the text; else how many INCR were sent before it */
};

struct worker {
    int name;
    struct cluster_client *client;
    struct asked waiting[WAITING_MAX]; /* in order */
    int waiting_count;
    long sent, refused, answered; /* INCR; refused: certainly did not happen */
    long largest;                 /* value that was seen */
    long echoes, values, unknown;
};

static void ask(struct worker *worker, enum kind kind)
{
    char line[48];
    struct asked asked = {.kind = kind, .number = worker->sent};
    switch (kind) {
    case KIND_INCR:
        (void)snprintf(line, sizeof line, "INCR counter%d", worker->name);
        worker->sent++;
        break;
    case KIND_GET:
        (void)snprintf(line, sizeof line, "GET counter%d", worker->name);
        break;
    case KIND_ECHO:
        asked.number = ++worker->echoes;
        (void)snprintf(line, sizeof line, "ECHO %ld", asked.number);
        break;
    case KIND_OK:
        (void)snprintf(line, sizeof line, "READONLY");
        break;
    }
    worker->waiting[worker->waiting_count++] = asked;
    cluster_send(worker->client, line);
}

static void take_value(struct worker *worker, const struct asked *asked, long value)
{
    long least = worker->largest + (asked->kind == KIND_INCR ? 1 : 0);
    long most = asked->number + (asked->kind == KIND_INCR ? 1 : 0) - worker->refused;
    if (value < least || value > most) {
        fail_msg("counter %d is %ld, and should be %ld to %ld", worker->name, value, least, most);
    }
    worker->largest = value;
    worker->values++;
    worker->answered += asked->kind == KIND_INCR ? 1 : 0;
}

static void take_error(struct worker *worker, const struct asked *asked, const char *text)
{
    assert_true(asked->kind == KIND_INCR || asked->kind == KIND_GET);
    if (strncmp(text, "-UNKNOWN ", 9) == 0) {
        assert_int_equal(asked->kind, KIND_INCR);
        worker->unknown++;
        return;
    }
    assert_true(strncmp(text, "-MOVED ", 7) == 0 || strncmp(text, "-CLUSTERDOWN ", 13) == 0);
    worker->refused += asked->kind == KIND_INCR ? 1 : 0;
}

/* False: the next reply is not complete yet. */
static bool take_reply(struct worker *worker)
{
    const char *text = cluster_received(worker->client);
    const char *end = strstr(text, "\r\n");
    if (end == NULL) {
        return false;
    }
    assert_true(worker->waiting_count > 0);
    const struct asked *asked = &worker->waiting[0];
    size_t size = (size_t)(end - text) + 2;
    if (text[0] == '-') {
        take_error(worker, asked, text);
    } else if (text[0] == ':') {
        assert_int_equal(asked->kind, KIND_INCR);
        take_value(worker, asked, strtol(text + 1, NULL, 10));
    } else if (text[0] == '+') {
        assert_int_equal(asked->kind, KIND_OK);
    } else if (text[1] == '-') {
        assert_int_equal(asked->kind, KIND_GET);
        take_value(worker, asked, 0);
    } else {
        const char *body_end = strstr(end + 2, "\r\n");
        if (body_end == NULL) {
            return false;
        }
        size = (size_t)(body_end - text) + 2;
        long number = strtol(end + 2, NULL, 10);
        if (asked->kind == KIND_ECHO) {
            assert_int_equal(number, asked->number);
        } else {
            assert_int_equal(asked->kind, KIND_GET);
            take_value(worker, asked, number);
        }
    }
    byte_buffer_consume(&worker->client->received, size);
    worker->waiting_count--;
    memmove(worker->waiting, worker->waiting + 1, (size_t)worker->waiting_count * sizeof worker->waiting[0]);
    return true;
}

static void take_replies(struct worker *worker)
{
    while (worker->client != NULL && take_reply(worker)) {
    }
}

static void leave(struct worker *worker)
{
    worker->client = NULL;
    worker->waiting_count = 0; /* what was asked for may have happened */
}

static void drive(struct cluster *cluster, struct worker *worker)
{
    take_replies(worker);
    if (worker->client != NULL && worker->client->client == NULL) {
        leave(worker);
    } else if (worker->client != NULL && cluster_random_below(cluster, 500) == 0) {
        cluster_disconnect(worker->client);
        leave(worker);
    }
    if (worker->client == NULL) {
        struct cluster_node *leader = cluster_find_leader(cluster);
        struct cluster_node *node =
            cluster_node(cluster, 1 + cluster_random_below(cluster, cluster->nodes_count));
        node = leader != NULL && cluster_random_below(cluster, 4) > 0 ? leader : node;
        if (!node->running || node->paused) {
            return;
        }
        worker->client = cluster_connect(node, 0);
        if (cluster_random_below(cluster, 2) == 0) {
            ask(worker, KIND_OK);
        }
    }
    if (cluster_random_below(cluster, 3) == 0) {
        uint64_t burst = 1 + cluster_random_below(cluster, BURST_MAX);
        for (uint64_t i = 0; i < burst && worker->waiting_count < WAITING_MAX; i++) {
            ask(worker, (enum kind)cluster_random_below(cluster, 3));
        }
    }
}

static void hold_some_disk(struct cluster *cluster, struct cluster_node *node)
{
    if (node->running) {
        enum disk_queue queue = (enum disk_queue)cluster_random_below(cluster, DISK_QUEUES_COUNT);
        cluster_hold_disk(node, queue, !node->held[queue]);
    }
}

static void do_harm(struct cluster *cluster)
{
    struct cluster_node *node =
        cluster_node(cluster, 1 + cluster_random_below(cluster, cluster->nodes_count));
    struct cluster_node *leader = cluster_find_leader(cluster);
    node = leader != NULL && cluster_random_below(cluster, 2) == 0 ? leader : node;
    switch (cluster_random_below(cluster, 9)) {
    case 0:
        if (node->running) {
            cluster_crash(node);
        }
        break;
    case 1:
        if (node->running && !node->paused) {
            cluster_pause(node);
        }
        break;
    case 2:
    case 3:
        if (node->running && node->paused) {
            cluster_resume(node);
        }
        break;
    case 4:
        cluster_isolate(cluster, node->id);
        break;
    case 5:
        cluster_heal(cluster);
        break;
    case 6:
        if (node->running && !node->paused) {
            replica_begin_shutdown(node->replica);
            node->has_input = true;
        }
        break;
    case 7:
        hold_some_disk(cluster, node);
        break;
    case 8:
        cluster->drop_per_mille = cluster->drop_per_mille == 0 ? 30 : 0;
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
        for (int queue = 0; node->running && queue < DISK_QUEUES_COUNT; queue++) {
            cluster_hold_disk(node, (enum disk_queue)queue, false);
        }
    }
    for (uint64_t id = 1; id <= cluster->nodes_count; id++) {
        struct cluster_node *node = cluster_node(cluster, id);
        assert_true(!node->stopped || node->stop_code == REPLICA_EXIT_OK);
        if (!node->running) {
            assert_true(cluster_start_node(node));
        }
    }
}

static void check_end(struct cluster *cluster, struct worker *workers)
{
    repair(cluster);
    for (uint64_t end_ms = cluster->now_ms + 7000; cluster->now_ms < end_ms; cluster_run(cluster, 10)) {
        for (int i = 0; i < WORKERS; i++) {
            take_replies(&workers[i]);
        }
        repair(cluster); /* those that were still about to stop */
    }
    long values = 0;
    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &workers[i];
        bool lives = worker->client != NULL && worker->client->client != NULL;
        assert_true(!lives || worker->waiting_count == 0);
        char line[32];
        (void)snprintf(line, sizeof line, "GET counter%d", i);
        const char *reply = cluster_ask(cluster_await_leader(cluster), line);
        long value = reply[1] == '-' ? 0 : strtol(strchr(reply, '\n') + 1, NULL, 10);
        assert_in_range(value, worker->largest, worker->sent - worker->refused);
        assert_true(worker->answered <= value);
        values += worker->values;
    }
    assert_true(values > 100);
    cluster_assert_equal(cluster);
}

static void run_random(uint64_t seed)
{
    struct cluster *cluster = cluster_create(seed % 4 == 0 ? 5 : 3, seed);
    cluster->delay_ms_max = (uint32_t)cluster_random_below(cluster, 10) + 1;
    cluster->disk_ms_max = (uint32_t)cluster_random_below(cluster, 10);
    cluster->defaults.entries_in_flight_max = 1 + (uint32_t)cluster_random_below(cluster, 4);
    cluster->defaults.entry_bytes_max = 64 + (uint32_t)cluster_random_below(cluster, 500);
    cluster->defaults.checkpoint_log_bytes = 200 + cluster_random_below(cluster, 5000);
    cluster->defaults.command_timeout_ms = 300 + (uint32_t)cluster_random_below(cluster, 2000);
    cluster->defaults.parking_ms = 50 + (uint32_t)cluster_random_below(cluster, 1000);
    cluster->clients_first = seed % 2 == 0;
    cluster->data_is_cold = seed % 3 == 0;
    struct worker workers[WORKERS];
    memset(workers, 0, sizeof workers);
    cluster_start_all(cluster);
    (void)cluster_await_leader(cluster);
    for (int step = 0; step < 1200; step++) {
        for (int i = 0; i < WORKERS; i++) {
            workers[i].name = i;
            drive(cluster, &workers[i]);
        }
        if (step % 200 == 150) {
            repair(cluster);
        } else if (step % 200 < 150 && cluster_random_below(cluster, 15) == 0) {
            do_harm(cluster);
        }
        cluster_run(cluster, 1 + cluster_random_below(cluster, 8));
    }
    check_end(cluster, workers);
    cluster_destroy(cluster);
}

/* PIPELINE_SEED=n runs that seed alone, PIPELINE_SEEDS=n the first n. */
static void test_pitfall_06_pipelines_keep_their_order_through_all_faults(void **state)
{
    (void)state;
    const char *one = getenv("PIPELINE_SEED");
    const char *many = getenv("PIPELINE_SEEDS");
    uint64_t first = one == NULL ? 1 : strtoull(one, NULL, 10);
    uint64_t last = one != NULL ? first : many == NULL ? 20 : strtoull(many, NULL, 10);
    for (uint64_t seed = first; seed <= last; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run_random(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pitfall_06_pipelines_keep_their_order_through_all_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
