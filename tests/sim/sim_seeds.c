/* sim_seeds.c: see sim_seeds.h. */
#include "sim_seeds.h"

#include "sim_process.h"
#include "sim_reason.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum {
    JOBS_MAX = 64,
    PROGRESS_S = 10,
    /* Of the keys that were looked at, so many may stay undecided; and a few in any case: most keys of one
     * run may be among them. */
    UNDECIDED_PER_MILLE = 5,
    UNDECIDED_ANYWAY = 20,
};

struct batch {
    const struct sim_seeds_options *options;
    FILE *failures; /* NULL: they are not kept */
    struct sim_process *running[JOBS_MAX];
    uint64_t begun, ended, failed;
    struct sim_counts counts;
    uint64_t simulated_us;
    uint64_t digest; /* of all runs, in whatever order they end */
    double started_s, shown_s;
    struct sim_result worst; /* of the smallest seed that failed */
};

static double real_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool take_settings(const struct sim_seeds_options *options, struct sim_knobs *knobs)
{
    for (uint32_t i = 0; i < options->settings_count; i++) {
        if (!sim_knobs_parse(knobs, options->settings[i])) {
            return false;
        }
    }
    return true;
}

/* A seed that has no snapshots of itself, and gets them by hand, draws what belongs to them as well; one that
 * has them, and loses them by hand, loses that too. */
bool sim_seeds_knobs(const struct sim_seeds_options *options, uint64_t seed, struct sim_knobs *knobs)
{
    if (options->neutral) {
        sim_knobs_neutral(knobs);
        return take_settings(options, knobs);
    }
    sim_knobs_draw(knobs, seed);
    bool had_snapshots = knobs->snapshots != 0;
    bool fine = take_settings(options, knobs);
    if (fine && had_snapshots != (knobs->snapshots != 0)) {
        sim_knobs_draw_part(knobs, seed);
        fine = take_settings(options, knobs);
    }
    return fine;
}

static void print_command(const struct sim_seeds_options *options, uint64_t seed, const char *what,
                          const char *option, const char *end, FILE *out)
{
    (void)fprintf(out, "    %s: build/kvsim %s %" PRIu64 "%s%s", what, option, seed,
                  options->neutral ? " --neutral" : "", options->run.checker_is_canary ? " --canary" : "");
    for (uint32_t i = 0; i < options->settings_count; i++) {
        (void)fprintf(out, " --set %s", options->settings[i]);
    }
    (void)fprintf(out, "%s\n", end);
}

void sim_seeds_print_failure(const struct sim_seeds_options *options, const struct sim_result *result,
                             FILE *out)
{
    (void)fprintf(out, "%s\n", result->text);
    print_command(options, result->seed, "again", "--seed", " --trace", out);
    print_command(options, result->seed, "smaller", "--shrink", "", out);
    (void)fflush(out);
}

static void add_counts(struct batch *batch, const struct sim_result *result)
{
    const uint64_t *from = (const uint64_t *)&result->counts;
    uint64_t *to = (uint64_t *)&batch->counts;
    for (size_t i = 0; i < sizeof batch->counts / sizeof *to; i++) {
        to[i] += from[i];
    }
    batch->simulated_us += result->simulated_us;
    batch->digest += result->digest;
}

static void note_result(struct batch *batch, const struct sim_result *result)
{
    const struct sim_seeds_options *options = batch->options;
    batch->ended++;
    if (result->failure == SIM_PASSED) {
        add_counts(batch, result);
        return;
    }
    batch->failed++;
    if (batch->worst.failure == SIM_PASSED || result->seed < batch->worst.seed) {
        batch->worst = *result;
    }
    if (!options->stop_at_failure) {
        sim_seeds_print_failure(options, result, stdout);
    }
    if (batch->failures != NULL) {
        sim_seeds_print_failure(options, result, batch->failures);
    }
}

/* After a signal: nothing is left behind. */
static void end_all(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->options->jobs; i++) {
        struct sim_process *process = batch->running[i];
        if (process != NULL) {
            int status = 0;
            struct sim_result result;
            sim_process_kill(process);
            (void)waitpid(sim_process_id(process), &status, 0);
            sim_process_end(process, status, &result);
            batch->running[i] = NULL;
            batch->begun--;
        }
    }
}

static void wait_for_one(struct batch *batch)
{
    int status;
    pid_t pid = wait(&status);
    if (sim_process_signal() != 0) {
        end_all(batch);
        return;
    }
    for (uint32_t i = 0; i < batch->options->jobs; i++) {
        if (batch->running[i] != NULL && sim_process_id(batch->running[i]) == pid) {
            struct sim_result result;
            sim_process_end(batch->running[i], status, &result);
            batch->running[i] = NULL;
            note_result(batch, &result);
            return;
        }
    }
}

static bool may_begin(const struct batch *batch)
{
    const struct sim_seeds_options *options = batch->options;
    bool in_time = options->seconds == 0 || real_s() - batch->started_s < options->seconds;
    return sim_process_signal() == 0 && in_time && batch->begun < options->count &&
           !(options->stop_at_failure && batch->worst.failure != SIM_PASSED);
}

static bool begin_one(struct batch *batch)
{
    const struct sim_seeds_options *options = batch->options;
    for (uint32_t i = 0; i < options->jobs; i++) {
        if (batch->running[i] == NULL) {
            struct sim_options run = options->run;
            run.seed = options->first + batch->begun++;
            if (!sim_seeds_knobs(options, run.seed, &run.knobs)) {
                return false;
            }
            batch->running[i] = sim_process_start(&run, options->seconds_of_run);
            return true;
        }
    }
    return false;
}

static void show_progress(struct batch *batch)
{
    double now_s = real_s();
    if (now_s - batch->shown_s < PROGRESS_S) {
        return;
    }
    batch->shown_s = now_s;
    printf("  %6.0f s: %" PRIu64 " seeds, %" PRIu64 " failed, %.1f simulated hours\n",
           now_s - batch->started_s, batch->ended, batch->failed, (double)batch->simulated_us / 3.6e9);
    (void)fflush(stdout);
}

static void print_summary(const struct batch *batch)
{
    double took_s = real_s() - batch->started_s;
    const struct sim_counts *counts = &batch->counts;
    printf("%" PRIu64 " seeds from %" PRIu64
           ": %.2f simulated hours in %.0f s (%.0f times real time), %.0f events/s\n",
           batch->ended, batch->options->first, (double)batch->simulated_us / 3.6e9, took_s,
           (double)batch->simulated_us / 1e6 / took_s, (double)counts->events / took_s);
    printf("  %" PRIu64 " turns, %" PRIu64 " messages, %" PRIu64 " kills, %" PRIu64 " elections won, %" PRIu64
           " entries committed\n",
           counts->turns, counts->messages, counts->crashes, counts->elections, counts->entries);
    printf("  %" PRIu64 " commands: %" PRIu64 " answered, %" PRIu64 " writes of unknown outcome, %" PRIu64
           " refused for want of room; %" PRIu64 " snapshots loaded, %" PRIu64 " changes of members\n",
           counts->commands, counts->acknowledged, counts->unknown, counts->refused, counts->snapshots,
           counts->changes);
    printf("  histories of %" PRIu64 " keys, of which %" PRIu64 " took too long to decide\n", counts->keys,
           counts->undecided_keys);
    printf("  digest of the runs %016" PRIx64 "\n", batch->digest);
}

/* A check that gives up too often is none. */
static void judge_undecided(struct batch *batch)
{
    const struct sim_counts *counts = &batch->counts;
    if (counts->undecided_keys <= UNDECIDED_ANYWAY ||
        counts->undecided_keys * 1000 <= counts->keys * UNDECIDED_PER_MILLE) {
        return;
    }
    printf("FAILED kind=history the histories of %" PRIu64 " keys of %" PRIu64
           " took too long to decide: more than %d in 1000\n",
           counts->undecided_keys, counts->keys, (int)UNDECIDED_PER_MILLE);
    batch->failed++;
    batch->ended++;
    if (batch->worst.failure == SIM_PASSED) {
        batch->worst.failure = SIM_HISTORY;
    }
}

enum sim_failure sim_seeds_run(const struct sim_seeds_options *options)
{
    struct batch batch = {.options = options};
    batch.started_s = batch.shown_s = real_s();
    if (options->failures_file != NULL) {
        batch.failures = fopen(options->failures_file, "a");
        if (batch.failures == NULL) {
            perror(options->failures_file);
            exit(2);
        }
    }
    while (may_begin(&batch) || batch.begun > batch.ended) {
        while (may_begin(&batch) && begin_one(&batch)) {
        }
        if (batch.begun > batch.ended) {
            wait_for_one(&batch);
        }
        show_progress(&batch);
    }
    print_summary(&batch);
    if (options->stop_at_failure && batch.failed > 0) {
        sim_seeds_print_failure(options, &batch.worst, stdout);
    }
    judge_undecided(&batch);
    if (sim_process_signal() != 0) {
        printf("interrupted: ");
    }
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", batch.ended - batch.failed, batch.failed);
    if (batch.failures != NULL) {
        (void)fclose(batch.failures);
    }
    return batch.worst.failure;
}

/* ---- shrinking ----------------------------------------------------------------------------------- */

struct shrinking {
    const struct sim_seeds_options *options;
    struct sim_options run;
    struct sim_result wanted;
    uint32_t tries;
};

static bool still_fails(struct shrinking *shrinking, const struct sim_knobs *knobs)
{
    struct sim_result result;
    struct sim_options run = shrinking->run;
    run.knobs = *knobs;
    run.trace = (struct sim_trace){SIM_TRACE_OFF, NULL};
    shrinking->tries++;
    sim_process_run(&run, shrinking->options->seconds_of_run, &result);
    return sim_process_signal() == 0 && sim_reason_is_alike(&result, &shrinking->wanted);
}

static bool try_value(struct shrinking *shrinking, size_t knob, uint64_t value)
{
    struct sim_knobs knobs = shrinking->run.knobs;
    sim_knob_set(&knobs, knob, value);
    if (!still_fails(shrinking, &knobs)) {
        return false;
    }
    printf("  %s=%" PRIu64 " still fails\n", sim_knob_name(knob), value);
    (void)fflush(stdout);
    shrinking->run.knobs = knobs;
    return true;
}

static bool shrink_duration(struct shrinking *shrinking)
{
    uint64_t low = 0;
    uint64_t before = shrinking->run.knobs.duration_ms;
    uint64_t high = before;
    while (high - low > high / 20 + 20 && sim_process_signal() == 0) {
        uint64_t middle = (low + high) / 2;
        if (try_value(shrinking, SIM_KNOB_duration_ms, middle)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return high < before;
}

/* To the neutral value, or else half the way there, again and again. */
static bool shrink_knob(struct shrinking *shrinking, size_t knob)
{
    uint64_t neutral = sim_knob_neutral(knob);
    if (sim_knob_get(&shrinking->run.knobs, knob) == neutral) {
        return false;
    }
    if (try_value(shrinking, knob, neutral)) {
        return true;
    }
    bool smaller = false;
    for (;;) {
        uint64_t value = sim_knob_get(&shrinking->run.knobs, knob);
        uint64_t next = sim_knob_nearer(knob, value);
        if (next == value || !try_value(shrinking, knob, next)) {
            return smaller;
        }
        smaller = true;
    }
}

enum sim_failure sim_seeds_shrink(const struct sim_seeds_options *options)
{
    struct shrinking shrinking = {.options = options, .run = options->run};
    struct sim_result result;
    shrinking.run.seed = options->first;
    shrinking.run.trace = (struct sim_trace){SIM_TRACE_OFF, NULL};
    if (!sim_seeds_knobs(options, options->first, &shrinking.run.knobs)) {
        return SIM_CRASH;
    }
    sim_process_run(&shrinking.run, options->seconds_of_run, &result);
    if (sim_process_signal() != 0) {
        return SIM_PASSED;
    }
    shrinking.wanted = result;
    if (result.failure == SIM_PASSED) {
        printf("seed %" PRIu64 " passes\n", options->first);
        return SIM_PASSED;
    }
    printf("%s\n", result.text);
    bool smaller = true;
    while (smaller && sim_process_signal() == 0) {
        smaller = false;
        for (size_t knob = 0; knob < SIM_KNOBS_COUNT; knob++) {
            if (knob != SIM_KNOB_duration_ms && sim_process_signal() == 0) {
                smaller = shrink_knob(&shrinking, knob) || smaller;
            }
        }
        smaller = shrink_duration(&shrinking) || smaller;
    }
    printf("smallest after %u tries: build/kvsim --seed %" PRIu64 " --neutral%s --trace", shrinking.tries,
           options->first, options->run.checker_is_canary ? " --canary" : "");
    for (size_t knob = 0; knob < SIM_KNOBS_COUNT; knob++) {
        uint64_t value = sim_knob_get(&shrinking.run.knobs, knob);
        if (value != sim_knob_neutral(knob)) {
            printf(" --set %s=%" PRIu64, sim_knob_name(knob), value);
        }
    }
    printf("\n");
    return result.failure;
}
