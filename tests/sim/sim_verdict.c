/* sim_verdict.c: see sim_verdict.h. */
#include "sim_verdict.h"

#include "sim_check.h"
#include "sim_client.h"
#include "sim_faults.h"
#include "sim_node.h"
#include "sim_operator.h"
#include "sim_record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_US = 20000, PATIENCE_MS = 20000, UNDISTURBED_TIMEOUTS = 8 };

/* ---- waiting ------------------------------------------------------------------------------------- */

/* Long time-outs get more time: all of it is simulated. */
static uint64_t patience_us(const struct sim *sim)
{
    const struct sim_knobs *knobs = &sim->knobs;
    return (PATIENCE_MS + knobs->election_timeout_ms * 30 + knobs->command_timeout_ms * 4) * 1000;
}

static bool comes_true(struct sim *sim, bool (*is_true)(struct sim *sim))
{
    uint64_t end_us = sim->now_us + patience_us(sim);
    while (!is_true(sim)) {
        if (sim->now_us >= end_us) {
            return false;
        }
        sim_run_until(sim, sim->now_us + STEP_US);
    }
    return true;
}

static void fail_waiting(struct sim *sim, const char *what)
{
    sim_fail(sim, SIM_LIVENESS, "%s, although nothing has failed for %" PRIu64 " ms", what,
             patience_us(sim) / 1000);
}

static void wait_until(struct sim *sim, bool (*is_true)(struct sim *sim), const char *what)
{
    if (!comes_true(sim, is_true)) {
        fail_waiting(sim, what);
    }
}

static bool all_run(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (sim->nodes[i]->counts && sim->nodes[i]->runs && !sim->nodes[i]->is_wiped &&
            (sim->nodes[i]->state != SIM_NODE_RUNNING || sim_node_raft(sim->nodes[i]) == NULL)) {
            return false;
        }
    }
    return true;
}

static bool is_settled(struct sim *sim)
{
    return sim_operator_settle(sim);
}

static bool is_led(struct sim *sim)
{
    struct sim_node *leader = sim_find_leader(sim);
    struct raft_status status;
    if (leader == NULL) {
        return false;
    }
    raft_get_status(sim_node_raft(leader), &status);
    return status.leader_ready && status.transferee == RAFT_NODE_NONE;
}

static bool clients_idle(struct sim *sim)
{
    return sim_client_all_idle(sim);
}

static bool has_written(struct sim *sim)
{
    return sim_client_has_written(sim);
}

static bool all_read(struct sim *sim)
{
    return sim_client_all_read(sim);
}

/* Everybody has applied everything, and it is on everybody's disk. */
static bool all_equal(struct sim *sim)
{
    if (!is_led(sim)) {
        return false;
    }
    struct raft_status leader;
    raft_get_status(sim_node_raft(sim_find_leader(sim)), &leader);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        struct raft_status status;
        if (!sim->nodes[i]->counts) {
            continue;
        }
        if (sim_node_raft(sim->nodes[i]) == NULL) {
            return false;
        }
        raft_get_status(sim_node_raft(sim->nodes[i]), &status);
        if (status.applied != leader.last.index || status.durable_index != leader.last.index ||
            status.term != leader.term) {
            return false;
        }
    }
    return true;
}

/* By the clock of all, with a little time for the purge. */
static bool expired_are_gone(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        uint64_t expiry_ms;
        if (!sim->nodes[i]->counts) {
            continue;
        }
        if (sim_node_raft(sim->nodes[i]) == NULL) {
            return false;
        }
        if (map_next_expiry(replica_map(sim->nodes[i]->replica), &expiry_ms) &&
            expiry_ms + 1000 < sim_node_wall_ms(sim->nodes[i])) {
            return false;
        }
    }
    return true;
}

/* ---- content ------------------------------------------------------------------------------------- */

struct dump {
    struct byte_buffer *records;
    size_t count, capacity;
};

static void dump_record(void *context, const uint8_t *key, size_t key_size, const struct map_value *value)
{
    struct dump *dump = context;
    const uint64_t numbers[] = {
        key_size,   (uint64_t)value->type, value->version.index, value->version.command, value->expiry_ms,
        value->size};
    dump->records = sim_grow(dump->records, dump->count, &dump->capacity, sizeof *dump->records);
    struct byte_buffer *record = &dump->records[dump->count++];
    *record = (struct byte_buffer){0};
    byte_buffer_append(record, numbers, sizeof numbers);
    byte_buffer_append(record, key, key_size);
    byte_buffer_append(record, value->bytes, value->size);
}

static void dump_map(struct map *map, struct dump *dump)
{
    uint64_t cursor = 0;
    do {
        cursor = map_scan(map, cursor, 100, dump_record, dump);
    } while (cursor != 0);
}

static void free_dump(struct dump *dump)
{
    for (size_t i = 0; i < dump->count; i++) {
        byte_buffer_deinit(&dump->records[i]);
    }
    free(dump->records);
}

/* SCAN's order is the same on all nodes. */
static void compare_contents(struct sim *sim)
{
    struct dump first = {0};
    uint32_t one = 0;
    while (!sim->nodes[one]->counts) {
        one++;
    }
    dump_map(replica_map(sim->nodes[one]->replica), &first);
    for (uint32_t i = one + 1; i < sim->nodes_count; i++) {
        struct dump other = {0};
        if (!sim->nodes[i]->counts) {
            continue;
        }
        dump_map(replica_map(sim->nodes[i]->replica), &other);
        bool same = first.count == other.count;
        for (size_t r = 0; same && r < first.count; r++) {
            size_t size = byte_buffer_size(&first.records[r]);
            same =
                size == byte_buffer_size(&other.records[r]) &&
                memcmp(byte_buffer_front(&first.records[r]), byte_buffer_front(&other.records[r]), size) == 0;
        }
        if (!same) {
            sim_fail(sim, SIM_CORRECTNESS, "nodes %u and %u do not hold the same", one + 1, i + 1);
        }
        free_dump(&other);
    }
    free_dump(&first);
}

/* What is on disk, and what the log adds to it, is what was there before. */
static void restart_all(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (sim->nodes[i]->counts) {
            sim_node_kill(sim->nodes[i], "for the last check");
            sim_node_start(sim->nodes[i]);
        }
    }
}

/* What is left of maps that snapshots have taken the place of is gone. */
static bool maps_are_single(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (sim->nodes[i]->counts && sim_node_count_maps(sim->nodes[i]) != 1) {
            return false;
        }
    }
    return true;
}

/* Those that were removed are started once more: nobody loses leadership for them (thesis 4.2.3). */
static void check_nobody_disturbs(struct sim *sim)
{
    const struct sim_node *leader = sim_find_leader(sim);
    uint64_t term = raft_get_term(sim_node_raft(leader));
    uint32_t started = 0;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        struct sim_node *node = sim->nodes[i];
        if (!node->counts && !node->runs && !node->is_new && !node->is_wiped) {
            sim_trace(sim, node, SIM_TRACE_STORY, "is started, though it was removed");
            node->runs = true;
            sim_node_start(node);
            started++;
        }
    }
    if (started == 0) {
        return;
    }
    sim_run_until(sim, sim->now_us + sim->knobs.election_timeout_ms * 1000 * UNDISTURBED_TIMEOUTS);
    if (sim_find_leader(sim) != leader || raft_get_term(sim_node_raft(leader)) != term) {
        sim_fail(sim, SIM_LIVENESS, "nodes that were removed disturb: node %" PRIu64 " led term %" PRIu64,
                 leader->id, term);
    }
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (!sim->nodes[i]->counts && sim->nodes[i]->runs) {
            sim_node_retire(sim->nodes[i]);
        }
    }
}

/* With disks that are slow, and a leader that keeps little in memory, a learner may never catch up with
 * clients that write on and on. When they rest it does. Nothing else is to wait for them. */
static void settle_members(struct sim *sim)
{
    bool settled = comes_true(sim, is_settled);
    if (!settled && sim_operator_waits_for_learner(sim)) {
        sim_trace(sim, NULL, SIM_TRACE_STORY, "the clients rest, so that who is behind catches up");
        sim->clients_may_begin = false;
        settled = comes_true(sim, is_settled);
    }
    if (!settled) {
        fail_waiting(sim, "the members are not what they are to be");
    }
}

/* ---- all of it ----------------------------------------------------------------------------------- */

void sim_verdict(struct sim *sim, bool canary)
{
    sim_faults_end(sim);
    wait_until(sim, all_run, "the cluster is not formed, or a node does not run");
    wait_until(sim, is_led, "there is no leader");
    settle_members(sim);
    sim_run_until(sim, sim->now_us + STEP_US * 10);
    sim->clients_may_begin = false;
    wait_until(sim, clients_idle, "commands are not answered");
    sim_client_write_last(sim);
    wait_until(sim, has_written, "no write is acknowledged");
    wait_until(sim, all_equal, "not all nodes have everything");
    sim_client_read_all(sim);
    wait_until(sim, all_read, "not all keys could be read");
    wait_until(sim, expired_are_gone, "keys that have expired are still there");
    wait_until(sim, all_equal, "not all nodes have everything at the end");
    sim_check_all(sim);
    compare_contents(sim);
    wait_until(sim, maps_are_single, "old maps are not removed");
    check_nobody_disturbs(sim);
    restart_all(sim);
    wait_until(sim, all_run, "a node does not run after the last restart");
    wait_until(sim, is_led, "there is no leader after the last restart");
    wait_until(sim, all_equal, "not all nodes have everything after the last restart");
    sim_check_all(sim);
    compare_contents(sim);
    sim_record_check(sim, canary);
}
