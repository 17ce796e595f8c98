/* sim.c: see sim.h. */
#include "sim.h"

#include "sim_check.h"
#include "sim_client.h"
#include "sim_connection.h"
#include "sim_faults.h"
#include "sim_join.h"
#include "sim_members.h"
#include "sim_network.h"
#include "sim_node.h"
#include "sim_operator.h"
#include "sim_promise.h"
#include "sim_record.h"
#include "sim_scenario.h"
#include "sim_stream.h"
#include "sim_verdict.h"
#include "sim_workload.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMATION_MS_MAX = 5000, STEP_US = 10000 };

void *sim_allocate(size_t size)
{
    void *memory = calloc(1, size == 0 ? 1 : size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

void *sim_grow(void *array, size_t count, size_t *capacity, size_t element_bytes)
{
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    array = realloc(array, *capacity * element_bytes);
    if (array == NULL) {
        abort();
    }
    return array;
}

void *sim_grow_to(void *array, uint64_t place, size_t *count, size_t element_bytes)
{
    if (place < *count) {
        return array;
    }
    size_t grown = (size_t)place * 2 + 64;
    array = realloc(array, grown * element_bytes);
    if (array == NULL) {
        abort();
    }
    memset((char *)array + *count * element_bytes, 0, (grown - *count) * element_bytes);
    *count = grown;
    return array;
}

void sim_note(struct sim *sim, uint64_t what, uint64_t value)
{
    uint64_t mixed = (sim->digest ^ sim->now_us) * UINT64_C(0x9E3779B97F4A7C15) + what;
    mixed = (mixed ^ (mixed >> 31) ^ value) * UINT64_C(0xBF58476D1CE4E5B9);
    sim->digest = mixed ^ (mixed >> 29);
}

void sim_after(struct sim *sim, uint64_t in_us, sim_event_function *fire, void *target, uint64_t number)
{
    sim_events_add(&sim->events, sim->now_us + in_us, fire, target, number);
}

uint64_t sim_around(struct sim *sim, uint64_t mean_us)
{
    return sim_random_between(&sim->random, 1 + mean_us / 4, 1 + mean_us * 2 - mean_us / 4);
}

bool sim_is_slow(const struct sim *sim, uint64_t number)
{
    struct sim_random random = {sim->seed ^ (number + 1) * UINT64_C(0xA24BAED4963EE407)};
    return sim_random_chance(&random, 333);
}

static const char *failure_name(enum sim_failure kind)
{
    switch (kind) {
    case SIM_PASSED:
        return "none";
    case SIM_CORRECTNESS:
        return "correctness";
    case SIM_LIVENESS:
        return "liveness";
    case SIM_HISTORY:
        return "history";
    case SIM_CRASH:
        return "crash";
    }
    return "?";
}

/* The run's directory has another name each time; the story of a seed has not. */
static void leave_out_directory(const struct sim *sim, char *text)
{
    size_t size = strlen(sim->directory);
    for (char *at = strstr(text, sim->directory); size > 0 && at != NULL; at = strstr(at, sim->directory)) {
        memmove(at, at + size, strlen(at + size) + 1);
    }
}

void sim_fail(struct sim *sim, enum sim_failure kind, const char *format, ...)
{
    char text[1200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    leave_out_directory(sim, text);
    sim_trace(sim, NULL, SIM_TRACE_STORY, "FAILED: %s", text);
    if (sim->trace.out != NULL) {
        (void)fflush(sim->trace.out);
    }
    printf("FAILED seed=%" PRIu64 " kind=%s at %" PRIu64 ".%03" PRIu64 " s: %s\n", sim->seed,
           failure_name(kind), sim->now_us / 1000000, sim->now_us / 1000 % 1000, text);
    (void)fflush(stdout);
    exit((int)kind);
}

/* ---- time ---------------------------------------------------------------------------------------- */

static void on_stop(void *target, uint64_t number)
{
    (void)number;
    *(bool *)target = true;
}

void sim_run_until(struct sim *sim, uint64_t until_us)
{
    bool stop = false;
    sim_events_add(&sim->events, until_us, on_stop, &stop, 0);
    while (!stop) {
        struct sim_event event;
        (void)sim_events_take(&sim->events, &event);
        sim->now_us = event.time_us;
        sim->counts.events++;
        event.fire(event.target, event.number);
    }
}

/* ---- a run --------------------------------------------------------------------------------------- */

struct sim *sim_create(const struct sim_options *options)
{
    struct sim *sim = sim_allocate(sizeof *sim);
    sim->seed = options->seed;
    sim->knobs = options->knobs;
    sim->trace = options->trace;
    sim->history_steps_max = options->history_steps_max == 0 ? SIM_HISTORY_STEPS : options->history_steps_max;
    sim->random.state = options->seed * UINT64_C(0x2545F4914F6CDD1D) + 1;
    (void)snprintf(sim->directory, sizeof sim->directory, "%s", options->directory);
    bool changes = sim->knobs.changes_per_minute > 0 || sim->knobs.wipes_per_minute > 0;
    bool has_spares = changes || (options->scenario != NULL && sim->knobs.snapshots != 0);
    sim->nodes_count = (uint32_t)(sim->knobs.nodes + (has_spares ? sim->knobs.spares : 0));
    sim_record_create(sim);
    sim_check_create(sim);
    sim_promise_create(sim);
    sim_members_create(sim);
    sim_network_create(sim);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        sim->nodes[i] = sim_node_create(sim, i);
    }
    sim_workload_create(sim);
    sim_client_create_all(sim);
    sim_operator_create(sim);
    return sim;
}

void sim_destroy(struct sim *sim)
{
    struct sim_event event;
    while (sim_events_take(&sim->events, &event)) { /* what is on its way belongs to nobody else */
        sim_network_forget(&event);
        sim_connection_forget(&event);
        sim_join_forget(&event);
    }
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        sim_node_destroy(sim->nodes[i]);
    }
    sim_stream_destroy_all(sim);
    sim_operator_destroy(sim);
    sim_client_destroy_all(sim);
    sim_network_destroy(sim);
    sim_members_destroy(sim);
    sim_promise_destroy(sim);
    sim_check_destroy(sim);
    sim_record_destroy(sim);
    sim_events_deinit(&sim->events);
    free(sim);
}

void sim_start_all(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->knobs.nodes; i++) {
        sim_node_start_in(sim->nodes[i], sim_around(sim, STEP_US));
    }
}

/* Where the network is slower than the election timeout this may not come about: the run goes on all the
 * same. */
static void wait_for_formation(struct sim *sim)
{
    uint64_t end_us = sim->now_us + FORMATION_MS_MAX * UINT64_C(1000);
    while (sim_find_leader(sim) == NULL && sim->now_us < end_us) {
        sim_run_until(sim, sim->now_us + STEP_US);
    }
}

void sim_finish(struct sim *sim, bool canary)
{
    sim_verdict(sim, canary);
}

void sim_run(const struct sim_options *options, struct sim_counts *counts, uint64_t *digest,
             uint64_t *simulated_us)
{
    struct sim_options own = *options;
    if (own.scenario != NULL) {
        sim_scenario_set_knobs(own.scenario, &own.knobs);
    }
    struct sim *sim = sim_create(&own);
    if (sim_trace_is_on(sim, SIM_TRACE_STORY)) {
        (void)fprintf(sim->trace.out, "seed %" PRIu64 ": ", sim->seed);
        sim_knobs_print(&sim->knobs, sim->trace.out);
        (void)fputc('\n', sim->trace.out);
    }
    sim_start_all(sim);
    if (sim->knobs.faults_at_formation == 0) {
        wait_for_formation(sim);
    }
    sim_client_start_all(sim);
    if (options->scenario != NULL) {
        sim_scenario_play(sim, options->scenario);
    } else {
        sim_faults_begin(sim);
        sim_operator_begin(sim);
        sim_run_until(sim, sim->now_us + sim->knobs.duration_ms * 1000);
    }
    sim_finish(sim, options->checker_is_canary);
    sim_trace(sim, NULL, SIM_TRACE_STORY, "passed");
    *counts = sim->counts;
    *digest = sim->digest;
    *simulated_us = sim->now_us;
    sim_destroy(sim);
}
