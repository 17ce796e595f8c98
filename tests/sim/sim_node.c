/* sim_node.c: see sim_node.h. */
#include "sim_node.h"

#include "sim_check.h"
#include "sim_connection.h"
#include "sim_join.h"
#include "sim_members.h"
#include "sim_message_text.h"
#include "sim_network.h"
#include "sim_operator.h"
#include "sim_promise.h"
#include "sim_start.h"
#include "sim_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TURN_US_MIN = 5, /* what a turn takes at least */
    TURN_US_MAX = 60,
    BUSY_TURNS_MAX = 20000,
    BUS_PORT = 17000,
    CHANGE_CALLS_MAX = 8,
};

#define WALL_START_MS UINT64_C(1700000000000)

static void on_turn(void *target, uint64_t number);

/* ---- clocks -------------------------------------------------------------------------------------- */

static uint64_t local_us(const struct sim_node *node)
{
    return node->clock_local_us +
           (node->sim->now_us - node->clock_since_us) * node->clock_rate_per_mille / 1000;
}

uint64_t sim_node_clock_ms(const struct sim_node *node)
{
    return local_us(node) / 1000;
}

uint64_t sim_node_wall_ms(const struct sim_node *node)
{
    uint64_t running_ms = (local_us(node) - node->clock_first_us) / 1000;
    return WALL_START_MS + running_ms + (uint64_t)node->wall_offset_ms;
}

void sim_node_set_clock_rate(struct sim_node *node, uint64_t per_mille)
{
    node->clock_local_us = local_us(node);
    node->clock_since_us = node->sim->now_us;
    node->clock_rate_per_mille = per_mille;
}

/* How long until the node's clock shows this. */
static uint64_t until_clock_us(const struct sim_node *node, uint64_t clock_ms)
{
    uint64_t now = local_us(node);
    if (clock_ms > UINT64_MAX / 1000000 || clock_ms * 1000 <= now) {
        return 0;
    }
    return ((clock_ms * 1000 - now) * 1000 + node->clock_rate_per_mille - 1) / node->clock_rate_per_mille;
}

/* ---- what the replica sees ----------------------------------------------------------------------- */

bool sim_node_may_act(struct sim_node *node)
{
    if (!node->silent && node->calls_left > 0 && --node->calls_left == 0) {
        node->silent = true;
    }
    return !node->silent;
}

static void send_message(void *context, uint64_t to, const struct bus_message *message)
{
    struct sim_node *node = context;
    if (!sim_node_may_act(node)) {
        return;
    }
    if (message->type == BUS_MESSAGE_RAFT) {
        sim_promise_sent(node, &message->raft);
        node->entries_were_sent = node->entries_were_sent || message->raft.entries_count > 0;
    }
    sim_network_send(node, to, message);
}

static void submit_job(void *context, struct disk_job *job)
{
    struct sim_node *node = context;
    (void)sim_node_may_act(node);
    sim_disk_submit(node, job);
}

static void client_ready(void *context, struct replica_client *client, void *connection)
{
    (void)client;
    if (sim_node_may_act(context)) {
        sim_connection_on_ready(connection);
    }
}

static void stop_node(void *context, enum replica_exit code, const char *reason)
{
    struct sim_node *node = context;
    if (!node->silent) {
        node->ended = true;
        node->exit_code = code;
        (void)snprintf(node->exit_reason, sizeof node->exit_reason, "%s", reason);
    }
}

/* A change of the members has begun: its entry may reach somebody, or nobody, or only be on the own disk. */
static void maybe_die_of_change(struct sim_node *node, const char *event)
{
    struct sim *sim = node->sim;
    bool is_change = strcmp(event, "change-begun") == 0 || strcmp(event, "joining-node-added") == 0 ||
                     strcmp(event, "learner-promoted") == 0;
    if (is_change && sim->faults_may_begin && sim->knobs.change_crashes_percent > 0 &&
        sim_random_below(&sim->random, 100) < sim->knobs.change_crashes_percent) {
        node->calls_left = sim_random_between(&sim->random, 1, CHANGE_CALLS_MAX);
        node->start_again_in_us = sim_around(sim, sim->knobs.down_ms * 1000);
    }
}

static void log_event(void *context, enum replica_log_level level, const char *event, const char *fields)
{
    struct sim_node *node = context;
    char own[512]; /* without what the machine has free: it is another number each time */
    const char *free_bytes = strstr(fields, " disk_free_bytes=");
    if (free_bytes != NULL) {
        (void)snprintf(own, sizeof own, "%.*s", (int)(free_bytes - fields), fields);
        fields = own;
    }
    if (strcmp(event, "damage-found") == 0 || strcmp(event, "digest-differs") == 0) {
        sim_fail(node->sim, SIM_CORRECTNESS, "node %" PRIu64 ": %s %s", node->id, event, fields);
    }
    maybe_die_of_change(node, event);
    if (strcmp(event, "role-changed") == 0 && strncmp(fields, "role=leader", 11) == 0) {
        sim_check_leads(node, strtoull(fields + sizeof "role=leader term=" - 1, NULL, 10));
        sim_operator_on_leader(node->sim);
    }
    if (!node->silent && sim_trace_is_on(node->sim, SIM_TRACE_STORY)) {
        sim_message_trace_event(node, level, event, fields);
    }
}

static void fill_view(void *context, struct node_view *view)
{
    (void)context;
    view->clients_max = 10000;
}

static void send_snapshot(void *context, const struct snapshot_order *order)
{
    struct sim_node *node = context;
    (void)sim_node_may_act(node);
    sim_stream_send(node, order);
}

void sim_node_clean(struct sim_node *node)
{
    struct storage_error error = {{0}};
    if (node->clean_generation != 0 &&
        data_directory_remove_other_maps(node->data, node->clean_generation, &error) != STORAGE_OK) {
        sim_fail(node->sim, SIM_CRASH, "node %" PRIu64 ": %s", node->id, error.text);
    }
    node->clean_generation = 0;
}

uint32_t sim_node_count_maps(const struct sim_node *node)
{
    uint32_t count = 0;
    char path[160];
    for (uint64_t generation = 1; generation <= log_store_map_generation(node->log) + 1; generation++) {
        (void)snprintf(path, sizeof path, "%s/map-%" PRIu64, node->directory, generation);
        count += access(path, F_OK) == 0 ? 1 : 0;
    }
    return count;
}

static void on_clean(void *target, uint64_t incarnation)
{
    struct sim_node *node = target;
    if (node->incarnation == incarnation && node->state != SIM_NODE_DOWN) {
        sim_node_clean(node);
    }
}

static void map_replaced(void *context)
{
    struct sim_node *node = context;
    node->clean_generation = log_store_map_generation(node->log);
    sim_after(node->sim, sim_disk_us(node), on_clean, node, node->incarnation);
}

/* ---- starting ------------------------------------------------------------------------------------ */

void sim_node_start(struct sim_node *node)
{
    struct sim *sim = node->sim;
    struct sim_start start;
    node->incarnation++;
    node->is_new = false;
    sim_start_fill(node, &start);
    struct replica_io io = {
        .context = node,
        .send = send_message,
        .submit = submit_job,
        .client_ready = client_ready,
        .stop = stop_node,
        .log = log_event,
        .fill_view = fill_view,
        .send_snapshot = sim->knobs.snapshots != 0 ? send_snapshot : NULL,
        .map_replaced = sim->knobs.snapshots != 0 ? map_replaced : NULL,
    };
    struct storage_error error = {{0}};
    node->silent = node->ended = node->asked_to_stop = false;
    node->disk.has_failed = node->disk.failure_was_told = false;
    node->calls_left = 0;
    node->when_entries_are_sent = NULL;
    node->entries_were_sent = false;
    node->state = SIM_NODE_RUNNING;
    node->wake_us = UINT64_MAX;
    sim_trace(sim, node, SIM_TRACE_STORY, "starts");
    if (replica_create(&start.options, &io, sim_node_clock_ms(node), sim_node_wall_ms(node), &node->replica,
                       &error) != STORAGE_OK) {
        sim_start_refused(node, &error);
    } else {
        replica_set_data_is_cold(node->replica, sim->knobs.cold_data != 0);
    }
    node->asks_to_join = false;
    sim_check_start(node);
    sim_network_node_started(node);
    sim_node_wake(node);
}

static void on_start(void *target, uint64_t incarnation)
{
    struct sim_node *node = target;
    if (node->state == SIM_NODE_DOWN && node->incarnation == incarnation && node->runs) {
        sim_node_start(node);
    }
}

void sim_node_start_in(struct sim_node *node, uint64_t in_us)
{
    sim_after(node->sim, in_us, on_start, node, node->incarnation);
}

/* ---- ending -------------------------------------------------------------------------------------- */

static void close_process(struct sim_node *node)
{
    node->silent = true;
    sim_disk_end(node);
    sim_stream_node_ended(node);
    sim_connection_node_ended(node);
    replica_destroy(node->replica);
    node->replica = NULL;
    log_store_close(node->log);
    node->log = NULL;
    data_directory_close(node->data);
    node->data = NULL;
    node->clean_generation = 0;
    node->state = SIM_NODE_DOWN;
    node->wake_us = UINT64_MAX;
    node->wake_number++;
    node->disk.next_fails = false;
    sim_network_node_ended(node);
}

void sim_node_kill(struct sim_node *node, const char *why)
{
    if (node->state == SIM_NODE_DOWN) {
        return;
    }
    node->sim->counts.crashes++;
    sim_note(node->sim, 2, node->id);
    sim_trace(node->sim, node, SIM_TRACE_STORY, "is killed%s%s", why[0] == '\0' ? "" : ": ", why);
    close_process(node);
}

/* It was taken out by what is committed, or it comes with an empty disk under the id of a member. */
static bool may_be_refused(const struct sim_node *node)
{
    const struct raft_membership *committed = &sim_members_committed(node->sim)->membership;
    return node->is_wiped || raft_membership_find(committed, node->id) == RAFT_MEMBER_NONE;
}

/* The replica wants the process to end. */
static void end_by_itself(struct sim_node *node)
{
    struct sim *sim = node->sim;
    sim_trace(sim, node, SIM_TRACE_STORY, "ends with code %d: %s", (int)node->exit_code, node->exit_reason);
    bool is_out = node->exit_code == REPLICA_EXIT_REFUSED && may_be_refused(node);
    bool has_reason = is_out || (node->exit_code == REPLICA_EXIT_OK && node->asked_to_stop) ||
                      (node->exit_code == REPLICA_EXIT_DISK && node->disk.has_failed);
    if (!has_reason) {
        sim_fail(sim, SIM_CORRECTNESS, "node %" PRIu64 " ends with code %d: %s", node->id,
                 (int)node->exit_code, node->exit_reason);
    }
    close_process(node);
    if (is_out) {
        node->runs = false;
        node->gone_us = sim->now_us;
        return;
    }
    sim_node_start_in(node, sim_around(sim, sim->knobs.down_ms * 1000));
}

void sim_node_retire(struct sim_node *node)
{
    sim_node_kill(node, "for good");
    node->runs = false;
    node->gone_us = node->sim->now_us;
}

void sim_node_wipe(struct sim_node *node, bool is_same_member)
{
    char aside[160];
    sim_trace(node->sim, node, SIM_TRACE_STORY, "has an empty disk now");
    (void)snprintf(aside, sizeof aside, "%s-%" PRIu64, node->directory, node->incarnation);
    if (rename(node->directory, aside) != 0 && !node->is_new) {
        sim_fail(node->sim, SIM_CRASH, "%s cannot be renamed", node->directory);
    }
    node->is_new = true;
    node->is_wiped = is_same_member;
    node->joins = node->joins || !is_same_member || node->sim->knobs.nodes == 1; /* alone it would form one */
    node->counts = false;
    sim_promise_forget(node, is_same_member);
    sim_network_node_wiped(node);
}

void sim_node_stop(struct sim_node *node)
{
    sim_trace(node->sim, node, SIM_TRACE_STORY, "is asked to stop (SIGTERM)");
    node->asked_to_stop = true;
    sim_node_set_time(node);
    replica_begin_shutdown(node->replica);
    sim_node_wake(node);
}

void sim_node_pause(struct sim_node *node)
{
    if (node->state == SIM_NODE_RUNNING) {
        sim_trace(node->sim, node, SIM_TRACE_STORY, "is stopped (SIGSTOP)");
        node->state = SIM_NODE_PAUSED;
    }
}

void sim_node_resume(struct sim_node *node)
{
    if (node->state == SIM_NODE_PAUSED) {
        node->state = SIM_NODE_RUNNING;
        sim_trace(node->sim, node, SIM_TRACE_STORY, "goes on (SIGCONT)");
        sim_disk_resume(node);
        node->wake_us = UINT64_MAX;
        sim_node_wake(node);
    }
}

/* ---- turns --------------------------------------------------------------------------------------- */

static void plan_turn(struct sim_node *node, uint64_t in_us)
{
    struct sim *sim = node->sim;
    if (sim->now_us + in_us < node->wake_us) {
        node->wake_us = sim->now_us + in_us;
        sim_after(sim, in_us, on_turn, node, ++node->wake_number);
    }
}

void sim_node_wake(struct sim_node *node)
{
    plan_turn(node, sim_random_between(&node->sim->random, TURN_US_MIN, TURN_US_MAX));
}

bool sim_node_listens(const struct sim_node *node)
{
    return node->state == SIM_NODE_RUNNING && !node->silent && !node->ended;
}

void sim_node_set_time(struct sim_node *node)
{
    replica_set_time(node->replica, sim_node_clock_ms(node), sim_node_wall_ms(node));
}

static bool has_input(const struct sim_node *node, uint32_t source)
{
    if (source < node->sim->nodes_count) {
        return sim_network_has_input(node, source);
    }
    return source == node->sim->nodes_count ? sim_connection_node_has_input(node) : sim_disk_has_input(node);
}

static void take_input(struct sim_node *node, uint32_t source)
{
    if (source < node->sim->nodes_count) {
        sim_network_deliver(node, source);
    } else if (source == node->sim->nodes_count) {
        sim_connection_node_reads(node);
    } else {
        sim_disk_report(node);
    }
}

/* In a random order; true: some is left for the next turn. */
static bool take_inputs(struct sim_node *node)
{
    struct sim *sim = node->sim;
    uint32_t sources[SIM_NODES_MAX + 2];
    uint32_t count = sim->nodes_count + 2;
    bool left = false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t j = (uint32_t)sim_random_below(&sim->random, i + 1);
        sources[i] = sources[j];
        sources[j] = i;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!has_input(node, sources[i])) {
            continue;
        }
        if (!sim_random_chance(&sim->random, sim->knobs.partial_turns_per_mille)) {
            take_input(node, sources[i]);
        }
        left = left || has_input(node, sources[i]);
    }
    return left;
}

static void plan_next(struct sim_node *node, bool left)
{
    struct sim *sim = node->sim;
    uint64_t in_us = sim_random_between(&sim->random, TURN_US_MIN, TURN_US_MAX);
    if (!left && !replica_is_busy(node->replica)) {
        uint64_t deadline_ms = replica_deadline_ms(node->replica);
        if (deadline_ms == UINT64_MAX) {
            return;
        }
        uint64_t wait_us = until_clock_us(node, deadline_ms);
        if (wait_us > 0) {
            node->busy_turns = 0;
        }
        in_us = wait_us > in_us ? wait_us : in_us;
    } else if (left) {
        node->busy_turns = 0;
    }
    if (++node->busy_turns > BUSY_TURNS_MAX) {
        sim_fail(sim, SIM_LIVENESS, "node %" PRIu64 " asks for turn after turn", node->id);
    }
    plan_turn(node, in_us);
}

/* What failed once is never tried again: after a failed sync the next one succeeds, and the writes of the
 * first are gone (design section 4, pitfall 17). */
static void check_failure_ends_it(const struct sim_node *node)
{
    if (node->disk.failure_was_told) {
        sim_fail(node->sim, SIM_CORRECTNESS, "node %" PRIu64 " goes on although its disk has failed",
                 node->id);
    }
}

static void on_turn(void *target, uint64_t number)
{
    struct sim_node *node = target;
    struct sim *sim = node->sim;
    if (number != node->wake_number || node->state != SIM_NODE_RUNNING) {
        return;
    }
    node->wake_us = UINT64_MAX;
    sim->counts.turns++;
    sim_note(sim, 3, node->id);
    sim_node_set_time(node);
    bool left = take_inputs(node);
    replica_end_turn(node->replica);
    if (!node->silent) {
        sim_connection_node_closes(node);
    }
    if (node->silent) {
        sim_check_killed(node);
        uint64_t start_in_us = node->start_again_in_us;
        sim_node_kill(node, "in the middle of a turn");
        sim_node_start_in(node, start_in_us);
    } else if (node->ended) {
        end_by_itself(node);
    } else {
        check_failure_ends_it(node);
        sim_check_turn(node);
        plan_next(node, left);
        if (sim->knobs.snapshots != 0) {
            sim_network_follow_peers(node);
            sim_join_continue(node);
        }
        if (node->entries_were_sent && node->when_entries_are_sent != NULL) {
            void (*happen)(struct sim_node *) = node->when_entries_are_sent;
            node->when_entries_are_sent = NULL;
            happen(node);
        }
    }
    node->entries_were_sent = false;
}

/* ---- creation ------------------------------------------------------------------------------------ */

struct sim_node *sim_node_create(struct sim *sim, uint32_t number)
{
    struct sim_node *node = sim_allocate(sizeof *node);
    node->sim = sim;
    node->number = number;
    node->id = number + 1;
    node->clock_rate_per_mille = 1000;
    node->clock_first_us = 1000000 * (1 + sim_random_below(&sim->random, 100000));
    node->clock_local_us = node->clock_first_us;
    node->wake_us = UINT64_MAX;
    node->joins = number >= sim->knobs.nodes;
    node->runs = node->counts = !node->joins;
    node->is_new = true;
    node->bus_port = BUS_PORT;
    (void)snprintf(node->directory, sizeof node->directory, "%s/node%" PRIu64, sim->directory, node->id);
    return node;
}

void sim_node_destroy(struct sim_node *node)
{
    if (node->state != SIM_NODE_DOWN) {
        close_process(node);
    }
    free(node);
}

const struct raft *sim_node_raft(const struct sim_node *node)
{
    return node->replica == NULL ? NULL : replica_raft(node->replica);
}

struct sim_node *sim_find_leader(struct sim *sim)
{
    struct sim_node *leader = NULL;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct raft *raft = sim_node_raft(sim->nodes[i]);
        if (raft != NULL && raft_get_role(raft) == RAFT_LEADER &&
            (leader == NULL || raft_get_term(raft) > raft_get_term(sim_node_raft(leader)))) {
            leader = sim->nodes[i];
        }
    }
    return leader;
}
