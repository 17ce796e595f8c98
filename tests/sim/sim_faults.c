/* sim_faults.c: see sim_faults.h. Each kind of fault comes again and again at random times, with the mean
 * rate that its knob says. */
#include "sim_faults.h"

#include "sim_client.h"
#include "sim_network.h"
#include "sim_stream.h"

#include <inttypes.h>

enum { MINUTE_US = 60 * 1000 * 1000, FLAPS_MAX = 12, CALLS_MAX = 12, UNLUCKY_LEADERS_MAX = 6 };

struct fault {
    enum sim_knob_number rate; /* per minute */
    void (*happen)(struct sim *sim);
};

static struct sim_node *any_node(struct sim *sim)
{
    struct sim_node *leader = sim_find_leader(sim);
    if (leader != NULL && sim_random_chance(&sim->random, 400)) {
        return leader; /* more happens to leaders than to others */
    }
    struct sim_node *node;
    do {
        node = sim->nodes[sim_random_below(&sim->random, sim->nodes_count)];
    } while (!node->runs && sim_random_chance(&sim->random, 900));
    return node;
}

static uint64_t around_ms(struct sim *sim, uint64_t mean_ms)
{
    return sim_around(sim, mean_ms * 1000);
}

/* How long a node or a link is away. Half of the times are some election timeouts, whatever the knob says:
 * long enough for another leader, short enough for the old one to matter. */
static uint64_t absence_us(struct sim *sim, uint64_t mean_ms)
{
    if (sim_random_chance(&sim->random, 500)) {
        return around_ms(sim, sim->knobs.election_timeout_ms * 3);
    }
    return around_ms(sim, mean_ms);
}

/* ---- processes ----------------------------------------------------------------------------------- */

static void crash(struct sim *sim)
{
    struct sim_node *node = any_node(sim);
    uint64_t down_us = around_ms(sim, sim->knobs.down_ms);
    if (node->state == SIM_NODE_RUNNING &&
        sim_random_below(&sim->random, 100) < sim->knobs.crashes_in_turns_percent) {
        node->calls_left = sim_random_between(&sim->random, 1, CALLS_MAX);
        node->start_again_in_us = down_us;
        return;
    }
    sim_node_kill(node, "");
    sim_node_start_in(node, down_us);
}

static void crash_all(struct sim *sim)
{
    sim_trace(sim, NULL, SIM_TRACE_STORY, "all nodes are killed");
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        sim_node_kill(sim->nodes[i], "");
        sim_node_start_in(sim->nodes[i], around_ms(sim, sim->knobs.down_ms));
    }
}

static void shut_down(struct sim *sim)
{
    struct sim_node *node = any_node(sim);
    if (sim_node_listens(node)) {
        sim_node_stop(node);
    }
}

static void on_resume(void *target, uint64_t incarnation)
{
    struct sim_node *node = target;
    if (node->incarnation == incarnation) {
        sim_node_resume(node);
    }
}

static void pause_now(struct sim_node *node)
{
    struct sim *sim = node->sim;
    if (sim->faults_may_begin && node->state == SIM_NODE_RUNNING) {
        sim_node_pause(node);
        sim_after(sim, absence_us(sim, sim->knobs.pause_ms), on_resume, node, node->incarnation);
    }
}

/* At any time, or the leader when it has just sent entries: what comes back for them waits in its sockets. */
static void pause_node(struct sim *sim)
{
    struct sim_node *node = any_node(sim);
    struct sim_node *leader = sim_find_leader(sim);
    if (leader != NULL && sim_random_chance(&sim->random, 500)) {
        leader->when_entries_are_sent = pause_now;
    } else {
        pause_now(node);
    }
}

static void transfer(struct sim *sim)
{
    struct sim_node *node = sim_find_leader(sim);
    if (node == NULL || !sim_node_listens(node)) {
        return;
    }
    uint64_t target = sim_random_below(&sim->random, sim->nodes_count + 1); /* 0: whoever is best */
    sim_node_set_time(node);
    bool begun = target != node->id && replica_transfer_leadership(node->replica, target);
    sim_trace(sim, node, SIM_TRACE_STORY, "is asked to hand leadership to node %" PRIu64 "%s", target,
              begun ? "" : ": it cannot");
    sim_node_wake(node);
}

static void on_outage_end(void *target, uint64_t number)
{
    struct sim_node *node = target;
    for (uint32_t i = 0; i < node->sim->nodes_count; i++) {
        sim_network_cut(node->sim, i, node->number, false);
        sim_network_cut(node->sim, node->number, i, false);
    }
    on_resume(node, number);
}

static void cut_off(struct sim_node *node);

/* Long enough for the others to drop what it needs: down, stopped, or cut off. */
static void begin_outage(struct sim *sim)
{
    struct sim_node *node = any_node(sim);
    uint64_t away_us = around_ms(sim, sim->knobs.outage_ms);
    sim_trace(sim, node, SIM_TRACE_STORY, "will be away for %" PRIu64 " ms", away_us / 1000);
    switch (sim_random_below(&sim->random, 3)) {
    case 0:
        sim_node_kill(node, "");
        sim_node_start_in(node, away_us);
        break;
    case 1:
        sim_node_pause(node);
        sim_after(sim, away_us, on_resume, node, node->incarnation);
        break;
    default:
        cut_off(node);
        sim_after(sim, away_us, on_outage_end, node, node->incarnation);
        break;
    }
}

static void break_streams(struct sim *sim)
{
    sim_stream_break_all(sim);
}

/* ---- the network --------------------------------------------------------------------------------- */

static void on_heal(void *target, uint64_t number)
{
    struct sim *sim = target;
    (void)number;
    sim_trace(sim, NULL, SIM_TRACE_STORY, "the network is whole");
    sim_network_heal(sim);
}

static void cut_pair(struct sim *sim, uint32_t a, uint32_t b)
{
    sim_network_cut(sim, a, b, true);
    sim_network_cut(sim, b, a, true);
}

static void cut_off(struct sim_node *node)
{
    struct sim *sim = node->sim;
    sim_trace(sim, NULL, SIM_TRACE_STORY, "node %" PRIu64 " is cut off", node->id);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (i != node->number) {
            cut_pair(sim, i, node->number);
        }
    }
}

static void cut_off_one(struct sim *sim)
{
    cut_off(any_node(sim));
}

static void on_cut_off(void *target, uint64_t number)
{
    struct sim_node *node = target;
    (void)number;
    if (node->sim->faults_may_begin) {
        cut_off(node);
        sim_after(node->sim, absence_us(node->sim, node->sim->knobs.partition_ms), on_heal, node->sim, 0);
    }
}

static void cut_off_soon(struct sim_node *node)
{
    sim_after(node->sim, sim_around(node->sim, node->sim->knobs.delay_us), on_cut_off, node, 0);
}

/* When its entries are there, and what comes back for them is not. */
static void cut_off_after_sending(struct sim *sim)
{
    struct sim_node *leader = sim_find_leader(sim);
    if (leader != NULL) {
        leader->when_entries_are_sent = cut_off_soon;
    }
}

static void leave_it_one(struct sim_node *node);

static void arm(struct sim *sim, uint32_t except, uint32_t and_except)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (i != except && i != and_except) {
            sim->nodes[i]->when_entries_are_sent = leave_it_one;
        }
    }
}

/* What it has just sent reaches one other node only, and the two are alone then. */
static void leave_it_one(struct sim_node *node)
{
    struct sim *sim = node->sim;
    uint32_t partner = (uint32_t)sim_random_below(&sim->random, sim->nodes_count);
    if (!sim->faults_may_begin || partner == node->number) {
        return;
    }
    sim_trace(sim, NULL, SIM_TRACE_STORY, "nodes %" PRIu64 " and %u are cut off, with what was just sent",
              node->id, partner + 1);
    sim_network_heal(sim);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (i != node->number && i != partner) {
            sim_network_break(sim, node->number, i);
            cut_pair(sim, i, node->number);
            cut_pair(sim, i, partner);
        }
    }
    if (sim->unlucky_leaders > 0) {
        sim->unlucky_leaders--;
        arm(sim, node->number, partner);
    }
    sim_after(sim, absence_us(sim, sim->knobs.partition_ms), on_heal, sim, 0);
}

/* Leaders, one after the other, whose first entries reach one node each: entries of several terms, that
 * nobody knows to be lost (figure 8 of the paper). */
static void doom_leaders(struct sim *sim)
{
    sim->unlucky_leaders = (uint32_t)sim_random_between(&sim->random, 1, UNLUCKY_LEADERS_MAX);
    arm(sim, sim->nodes_count, sim->nodes_count);
}

static void cut_in_two(struct sim *sim)
{
    uint64_t side = sim_random_between(&sim->random, 1, (UINT64_C(1) << sim->nodes_count) - 1);
    sim_trace(sim, NULL, SIM_TRACE_STORY, "the network is cut in two, sides 0x%" PRIx64 " and the rest",
              side);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (((side >> i) & 1) != ((side >> j) & 1)) {
                cut_pair(sim, i, j);
            }
        }
    }
}

/* Nothing comes out of a node, or nothing goes in. */
static void cut_one_way(struct sim *sim)
{
    struct sim_node *node = any_node(sim);
    bool out = sim_random_chance(&sim->random, 500);
    sim_trace(sim, NULL, SIM_TRACE_STORY, "nothing %s node %" PRIu64 " any more", out ? "leaves" : "reaches",
              node->id);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (i != node->number) {
            sim_network_cut(sim, out ? node->number : i, out ? i : node->number, true);
        }
    }
}

static void cut_some(struct sim *sim)
{
    sim_trace(sim, NULL, SIM_TRACE_STORY, "some links are cut");
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        for (uint32_t j = 0; j < sim->nodes_count; j++) {
            if (i != j && sim_random_chance(&sim->random, 300)) {
                sim_network_cut(sim, i, j, true);
            }
        }
    }
}

static void partition(struct sim *sim)
{
    void (*const kinds[])(struct sim *) = {cut_off_one, cut_in_two, cut_one_way, cut_some,
                                           cut_off_after_sending};
    kinds[sim_random_below(&sim->random, sizeof kinds / sizeof kinds[0])](sim);
    sim_after(sim, absence_us(sim, sim->knobs.partition_ms), on_heal, sim, 0);
}

static void draw_pair(struct sim *sim, uint32_t *a, uint32_t *b)
{
    *a = (uint32_t)sim_random_below(&sim->random, sim->nodes_count);
    *b = (uint32_t)sim_random_below(&sim->random, sim->nodes_count);
}

static void break_one(struct sim *sim)
{
    uint32_t a, b;
    draw_pair(sim, &a, &b);
    if (a != b) {
        sim_network_break(sim, a, b);
    }
}

static void on_flap(void *target, uint64_t number)
{
    struct sim *sim = target;
    uint32_t a = (uint32_t)(number >> 8 & 15);
    uint32_t b = (uint32_t)(number >> 12 & 15);
    uint64_t left = number & 255;
    bool cut = left > 0 && sim->faults_may_begin && !sim_network_is_cut(sim, a, b);
    sim_network_cut(sim, a, b, cut);
    if (left > 0) {
        sim_after(sim, around_ms(sim, sim->knobs.election_timeout_ms / 2), on_flap, sim, number - 1);
    }
}

static void flap(struct sim *sim)
{
    uint32_t a, b;
    draw_pair(sim, &a, &b);
    if (a != b) {
        sim_trace(sim, NULL, SIM_TRACE_STORY, "the way from node %u to node %u begins to flap", a + 1, b + 1);
        on_flap(sim, (uint64_t)a << 8 | (uint64_t)b << 12 | sim_random_between(&sim->random, 1, FLAPS_MAX));
    }
}

/* Every way is up or down anew about once in an election timeout: leaders do not last, and hear of little. */
static void on_weather(void *target, uint64_t number)
{
    struct sim *sim = target;
    (void)number;
    if (!sim->faults_may_begin) {
        return;
    }
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        for (uint32_t j = 0; j < sim->nodes_count; j++) {
            if (i != j) {
                sim_network_cut(sim, i, j, sim_random_below(&sim->random, 100) < sim->knobs.weather_percent);
            }
        }
    }
    sim_after(sim, around_ms(sim, sim->knobs.election_timeout_ms), on_weather, sim, 0);
}

static void break_client(struct sim *sim)
{
    sim_client_break(sim->clients[sim_random_below(&sim->random, sim->knobs.clients)]);
}

/* ---- disks and clocks ---------------------------------------------------------------------------- */

static void stall_disk(struct sim *sim)
{
    struct sim_node *node = any_node(sim);
    uint64_t for_us = around_ms(sim, sim->knobs.disk_stall_ms);
    sim_trace(sim, node, SIM_TRACE_STORY, "its disk hangs for %" PRIu64 " ms", for_us / 1000);
    sim_disk_hang(node, for_us);
}

static void fail_disk(struct sim *sim)
{
    struct sim_node *node = any_node(sim);
    static const enum disk_job_kind kinds[] = {DISK_JOB_LOG_WRITE, DISK_JOB_LOG_WRITE, DISK_JOB_CHECKPOINT,
                                               DISK_JOB_LOG_READ};
    node->disk.next_fails = node->state != SIM_NODE_DOWN;
    node->disk.failing_kind = kinds[sim_random_below(&sim->random, 4)];
    node->disk.failing_write_is_done = sim_random_chance(&sim->random, 500);
}

static void on_room(void *target, uint64_t number)
{
    struct sim_node *node = target;
    (void)number;
    sim_trace(node->sim, node, SIM_TRACE_STORY, "its disk has room again");
    node->disk.full = false;
}

static void fill_disk(struct sim *sim)
{
    struct sim_node *node = any_node(sim);
    if (!node->disk.full) {
        sim_trace(sim, node, SIM_TRACE_STORY, "its disk is full");
        node->disk.full = true;
        sim_after(sim, around_ms(sim, sim->knobs.disk_stall_ms * 2), on_room, node, 0);
    }
}

static void jump_clock(struct sim *sim)
{
    struct sim_node *node = any_node(sim);
    int64_t by_ms = (int64_t)sim_random_below(&sim->random, sim->knobs.clock_jump_ms * 2 + 1) -
                    (int64_t)sim->knobs.clock_jump_ms;
    sim_trace(sim, node, SIM_TRACE_STORY, "its wall clock jumps by %" PRId64 " ms", by_ms);
    node->wall_offset_ms += by_ms;
    if (node->state == SIM_NODE_RUNNING) {
        sim_node_wake(node);
    }
}

static const struct fault faults[] = {
    {SIM_KNOB_crashes_per_minute, crash},
    {SIM_KNOB_crashes_of_all_per_minute, crash_all},
    {SIM_KNOB_shutdowns_per_minute, shut_down},
    {SIM_KNOB_transfers_per_minute, transfer},
    {SIM_KNOB_pauses_per_minute, pause_node},
    {SIM_KNOB_partitions_per_minute, partition},
    {SIM_KNOB_doomed_leaders_per_minute, doom_leaders},
    {SIM_KNOB_breaks_per_minute, break_one},
    {SIM_KNOB_flaps_per_minute, flap},
    {SIM_KNOB_client_breaks_per_minute, break_client},
    {SIM_KNOB_disk_stalls_per_minute, stall_disk},
    {SIM_KNOB_disk_failures_per_minute, fail_disk},
    {SIM_KNOB_disk_full_per_minute, fill_disk},
    {SIM_KNOB_clock_jumps_per_minute, jump_clock},
    {SIM_KNOB_outages_per_minute, begin_outage},
    {SIM_KNOB_stream_breaks_per_minute, break_streams},
};
enum { FAULTS_COUNT = sizeof faults / sizeof faults[0] };

/* ---- beginning and end --------------------------------------------------------------------------- */

static void on_fault(void *target, uint64_t number)
{
    struct sim *sim = target;
    if (!sim->faults_may_begin) {
        return;
    }
    sim_note(sim, 30, number);
    faults[number].happen(sim);
    uint64_t rate = sim_knob_get(&sim->knobs, faults[number].rate);
    sim_after(sim, sim_around(sim, MINUTE_US / rate), on_fault, sim, number);
}

void sim_faults_begin(struct sim *sim)
{
    sim->faults_may_begin = true;
    uint64_t spread = sim->knobs.clock_rate_percent * 10;
    for (uint32_t i = 0; i < sim->nodes_count && spread > 0; i++) {
        sim_node_set_clock_rate(sim->nodes[i],
                                1000 - spread + sim_random_below(&sim->random, 2 * spread + 1));
    }
    if (sim->knobs.weather_percent > 0) {
        on_weather(sim, 0);
    }
    for (uint32_t i = 0; i < FAULTS_COUNT; i++) {
        uint64_t rate = sim_knob_get(&sim->knobs, faults[i].rate);
        if (rate > 0) {
            sim_after(sim, sim_around(sim, MINUTE_US / rate), on_fault, sim, i);
        }
    }
}

/* A network and disks that are slow against the election timeout are a fault too. */
static void calm_down(struct sim_knobs *knobs)
{
    uint64_t quick_us = knobs->election_timeout_ms * 1000 / 60;
    knobs->loss_per_mille = 0;
    knobs->duplicates_per_mille = 0;
    knobs->unordered = 0;
    knobs->bandwidth_bytes_per_ms = 0;
    knobs->socket_bytes = sim_knob_neutral(SIM_KNOB_socket_bytes);
    knobs->slow_way_times = knobs->slow_disk_times = 1;
    knobs->delay_us = knobs->delay_us < quick_us ? knobs->delay_us : quick_us;
    knobs->delay_spread = knobs->delay_spread < 3 ? knobs->delay_spread : 3;
    knobs->disk_us = knobs->disk_us < quick_us ? knobs->disk_us : quick_us;
    knobs->report_us = knobs->report_us < quick_us ? knobs->report_us : quick_us;
    knobs->chunk_damage_per_mille = 0;
}

void sim_faults_end(struct sim *sim)
{
    sim->faults_may_begin = false;
    sim_trace(sim, NULL, SIM_TRACE_STORY, "all faults end");
    sim_network_heal(sim);
    calm_down(&sim->knobs);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        struct sim_node *node = sim->nodes[i];
        node->disk.full = node->disk.next_fails = false;
        node->disk.hangs_until_us = sim->now_us;
        node->calls_left = 0;
        node->wall_offset_ms = 0;
        sim_node_set_clock_rate(node, 1000);
        sim_node_resume(node);
        if (node->state == SIM_NODE_DOWN && node->runs) {
            sim_node_start(node);
        }
    }
}
