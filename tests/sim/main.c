/* main.c: kvsim, the simulator as a program. `kvsim --help` says what it can do. */
#include "sim_process.h"
#include "sim_scenario.h"
#include "sim_seeds.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SETTINGS_MAX = 128, SECONDS_OF_RUN = 120, THOROUGH = 5 };

static const char help[] =
    "kvsim: whole replicas of kvd in a simulated world, which a seed decides\n"
    "\n"
    "  kvsim --seed N [--trace[=FILE]]        one run; with its story\n"
    "  kvsim --seeds FIRST:COUNT [--jobs N]   many runs\n"
    "  kvsim --shrink N                       makes the failure of a seed smaller\n"
    "  kvsim --scenario NAME [--trace[=FILE]] a classic, told step by step (--scenarios lists them)\n"
    "\n"
    "  --detail story|commands|messages       how much the trace tells (story)\n"
    "  --set NAME=VALUE                       sets a knob of the run (--knobs lists them)\n"
    "  --neutral                              all knobs neutral, but for --set\n"
    "  --history-steps N                      to decide the history of a key (1000000; for one run "
    "10000000)\n"
    "  --run-seconds N                        CPU time that one run may take (120; for one run 600)\n"
    "  --seconds N                            begins no new run after this time\n"
    "  --stop-at-failure                      reports the smallest seed that fails, and ends\n"
    "  --keep-failures FILE                   adds a line for each failure\n"
    "  --canary                               alters what a client saw: the run must fail\n"
    "\n"
    "Exit code: 0 all passed; 10 a property of the nodes was violated, 11 no progress, 12 clients saw what\n"
    "cannot be, 13 an assertion or a crash; 2 wrong use; 130 interrupted. A failure is one line, FAILED "
    "seed=N kind=KIND "
    "why.\n";

enum option_number {
    OPTION_SEED = 1000,
    OPTION_SEEDS,
    OPTION_JOBS,
    OPTION_SHRINK,
    OPTION_SCENARIO,
    OPTION_SCENARIOS,
    OPTION_TRACE,
    OPTION_DETAIL,
    OPTION_SET,
    OPTION_NEUTRAL,
    OPTION_KNOBS,
    OPTION_STEPS,
    OPTION_RUN_SECONDS,
    OPTION_SECONDS,
    OPTION_STOP,
    OPTION_KEEP,
    OPTION_CANARY,
    OPTION_HELP,
};

struct arguments {
    struct sim_seeds_options seeds;
    const char *settings[SETTINGS_MAX];
    const char *scenario;
    const char *trace_file;
    bool one, many, shrink, trace;
    bool given[OPTION_HELP - OPTION_SEED + 1]; /* by option */
    enum sim_trace_level level;
};

static const struct option_row {
    const char *name;
    int argument;
    enum option_number number;
} rows[] = {
    {"seed", required_argument, OPTION_SEED},
    {"seeds", required_argument, OPTION_SEEDS},
    {"jobs", required_argument, OPTION_JOBS},
    {"shrink", required_argument, OPTION_SHRINK},
    {"scenario", required_argument, OPTION_SCENARIO},
    {"scenarios", no_argument, OPTION_SCENARIOS},
    {"trace", optional_argument, OPTION_TRACE},
    {"detail", required_argument, OPTION_DETAIL},
    {"set", required_argument, OPTION_SET},
    {"neutral", no_argument, OPTION_NEUTRAL},
    {"knobs", no_argument, OPTION_KNOBS},
    {"history-steps", required_argument, OPTION_STEPS},
    {"run-seconds", required_argument, OPTION_RUN_SECONDS},
    {"seconds", required_argument, OPTION_SECONDS},
    {"stop-at-failure", no_argument, OPTION_STOP},
    {"keep-failures", required_argument, OPTION_KEEP},
    {"canary", no_argument, OPTION_CANARY},
    {"help", no_argument, OPTION_HELP},
};
enum { ROWS_COUNT = sizeof rows / sizeof rows[0] };

static void wrong_use(const char *what, const char *text)
{
    (void)fprintf(stderr, "kvsim: %s: %s\nkvsim --help says more.\n", what, text);
    exit(2);
}

static uint64_t parse_number(const char *text, char **end)
{
    if (text[0] < '0' || text[0] > '9') {
        wrong_use("not a number", text);
    }
    char *own_end;
    errno = 0;
    uint64_t value = strtoull(text, &own_end, 10);
    if (errno == ERANGE) {
        wrong_use("too large", text);
    }
    if (end == NULL && *own_end != '\0') {
        wrong_use("not a number", text);
    }
    if (end != NULL) {
        *end = own_end;
    }
    return value;
}

static uint32_t parse_small_number(const char *text)
{
    uint64_t value = parse_number(text, NULL);
    if (value > UINT32_MAX) {
        wrong_use("too large", text);
    }
    return (uint32_t)value;
}

static void parse_seeds(struct arguments *arguments, const char *text)
{
    char *end;
    arguments->many = true;
    arguments->seeds.first = parse_number(text, &end);
    if (*end != ':') {
        wrong_use("not FIRST:COUNT", text);
    }
    arguments->seeds.count = parse_number(end + 1, NULL);
    if (arguments->seeds.count == 0 || arguments->seeds.count - 1 > UINT64_MAX - arguments->seeds.first) {
        wrong_use("no such seeds", text);
    }
}

static enum sim_trace_level parse_level(const char *text)
{
    static const char *const names[] = {"story", "commands", "messages"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            return (enum sim_trace_level)(SIM_TRACE_STORY + i);
        }
    }
    wrong_use("--detail is story, commands or messages", text);
    return SIM_TRACE_STORY;
}

static void add_setting(struct arguments *arguments, const char *text)
{
    struct sim_knobs scratch;
    sim_knobs_neutral(&scratch);
    if (arguments->seeds.settings_count == SETTINGS_MAX || !sim_knobs_parse(&scratch, text)) {
        exit(2);
    }
    arguments->settings[arguments->seeds.settings_count++] = text;
}

static void take_option(struct arguments *arguments, enum option_number option, const char *text)
{
    switch (option) {
    case OPTION_SEED:
    case OPTION_SHRINK:
        arguments->one = arguments->one || option == OPTION_SEED;
        arguments->shrink = arguments->shrink || option == OPTION_SHRINK;
        arguments->seeds.first = parse_number(text, NULL);
        break;
    case OPTION_SEEDS:
        parse_seeds(arguments, text);
        break;
    case OPTION_JOBS:
        arguments->seeds.jobs = parse_small_number(text);
        break;
    case OPTION_SCENARIO:
        arguments->scenario = text;
        break;
    case OPTION_SCENARIOS:
        sim_scenario_list(stdout);
        exit(0);
    case OPTION_TRACE:
        arguments->trace = true;
        arguments->trace_file = text;
        break;
    case OPTION_DETAIL:
        arguments->level = parse_level(text);
        break;
    case OPTION_SET:
        add_setting(arguments, text);
        break;
    case OPTION_NEUTRAL:
        arguments->seeds.neutral = true;
        break;
    case OPTION_KNOBS:
        printf("knob: neutral value, or low to high\n\n");
        sim_knobs_print_help(stdout);
        exit(0);
    case OPTION_STEPS:
        arguments->seeds.run.history_steps_max = parse_number(text, NULL);
        break;
    case OPTION_RUN_SECONDS:
        arguments->seeds.seconds_of_run = parse_small_number(text);
        if (arguments->seeds.seconds_of_run == 0) {
            wrong_use("at least 1", "--run-seconds");
        }
        break;
    case OPTION_SECONDS:
        arguments->seeds.seconds = parse_small_number(text);
        break;
    case OPTION_STOP:
        arguments->seeds.stop_at_failure = true;
        break;
    case OPTION_KEEP:
        arguments->seeds.failures_file = text;
        break;
    case OPTION_CANARY:
        arguments->seeds.run.checker_is_canary = true;
        break;
    case OPTION_HELP:
        (void)fputs(help, stdout);
        exit(0);
    }
}

static void parse(struct arguments *arguments, int count, char **words)
{
    struct option options[ROWS_COUNT + 1];
    memset(options, 0, sizeof options);
    for (size_t i = 0; i < ROWS_COUNT; i++) {
        options[i] = (struct option){rows[i].name, rows[i].argument, NULL, (int)rows[i].number};
    }
    int option;
    while ((option = getopt_long(count, words, "", options, NULL)) != -1) {
        if (option == '?') {
            exit(2);
        }
        arguments->given[option - OPTION_SEED] = true;
        take_option(arguments, (enum option_number)option, optarg);
    }
    if (optind < count) {
        wrong_use("not understood", words[optind]);
    }
    if (arguments->seeds.jobs == 0 || arguments->seeds.jobs > 64) {
        wrong_use("--jobs", "1 to 64");
    }
}

static void refuse(const struct arguments *arguments, const enum option_number *options, size_t count,
                   const char *why)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t row = 0; arguments->given[options[i] - OPTION_SEED] && row < ROWS_COUNT; row++) {
            if (rows[row].number == options[i]) {
                wrong_use(why, rows[row].name);
            }
        }
    }
}

/* What would have no effect is said, not left out without a word. */
static void check_combination(const struct arguments *arguments)
{
    static const enum option_number of_many[] = {OPTION_JOBS, OPTION_SECONDS, OPTION_STOP, OPTION_KEEP};
    static const enum option_number of_knobs[] = {OPTION_SET, OPTION_NEUTRAL};
    static const enum option_number of_traces[] = {OPTION_DETAIL};
    if (arguments->one + arguments->many + arguments->shrink + (arguments->scenario != NULL) > 1 &&
        !(arguments->one && arguments->scenario != NULL && !arguments->many && !arguments->shrink)) {
        wrong_use("one at a time", "--seed, --seeds, --shrink, --scenario");
    }
    if (arguments->trace && (arguments->many || arguments->shrink)) {
        wrong_use("for one run only", "--trace");
    }
    if (!arguments->many) {
        refuse(arguments, of_many, sizeof of_many / sizeof of_many[0], "for --seeds only");
    }
    if (arguments->scenario != NULL) {
        refuse(arguments, of_knobs, sizeof of_knobs / sizeof of_knobs[0], "a scenario has knobs of its own");
    } else if (!arguments->trace) {
        refuse(arguments, of_traces, sizeof of_traces / sizeof of_traces[0],
               "for --trace and --scenario only");
    }
}

static struct sim_trace open_trace(const struct arguments *arguments)
{
    struct sim_trace trace = {SIM_TRACE_OFF, NULL};
    if (arguments->trace || arguments->scenario != NULL) {
        trace.level = arguments->level;
        /* The run's own standard output is a file. */
        trace.out = arguments->trace_file == NULL ? fdopen(dup(STDOUT_FILENO), "w")
                                                  : fopen(arguments->trace_file, "w");
        if (trace.out == NULL) {
            perror(arguments->trace_file == NULL ? "stdout" : arguments->trace_file);
            exit(2);
        }
        /* Line by line: a crash of the code under test must not take the end of the story with it. */
        (void)setvbuf(trace.out, NULL, _IOLBF, 0);
    }
    return trace;
}

/* As a shell says it of a program that a signal ended. */
static int exit_code(enum sim_failure failure)
{
    return sim_process_signal() == 0 ? (int)failure : 128 + sim_process_signal();
}

static int run_one(struct arguments *arguments)
{
    struct sim_options run = arguments->seeds.run;
    struct sim_result result;
    run.seed = arguments->seeds.first;
    if (!sim_seeds_knobs(&arguments->seeds, run.seed, &run.knobs)) {
        return 2;
    }
    run.scenario = arguments->scenario;
    if (run.scenario != NULL && !sim_scenario_exists(run.scenario)) {
        wrong_use("no such scenario (--scenarios lists them)", run.scenario);
    }
    if (run.scenario != NULL && !arguments->given[OPTION_SEED - OPTION_SEED]) {
        run.seed = sim_scenario_seed(run.scenario);
    }
    run.trace = open_trace(arguments);
    sim_process_run(&run, arguments->seeds.seconds_of_run, &result);
    if (sim_process_signal() != 0) {
        printf("interrupted\n");
    } else if (result.failure != SIM_PASSED && run.scenario == NULL) {
        sim_seeds_print_failure(&arguments->seeds, &result, stdout);
    } else if (result.failure != SIM_PASSED) {
        printf("%s\n", result.text);
    } else {
        printf("passed: %.1f simulated seconds, %" PRIu64 " events, %" PRIu64 " entries, %" PRIu64
               " commands answered, digest %016" PRIx64 "\n",
               (double)result.simulated_us / 1e6, result.counts.events, result.counts.entries,
               result.counts.acknowledged, result.digest);
    }
    return exit_code(result.failure);
}

int main(int count, char **words)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct arguments arguments = {
        .level = SIM_TRACE_STORY,
        .seeds = {.first = 1, .jobs = cores < 1 ? 1 : (uint32_t)cores},
    };
    parse(&arguments, count, words);
    arguments.seeds.settings = arguments.settings;
    check_combination(&arguments);
    bool runs = arguments.many || arguments.shrink || arguments.one || arguments.scenario != NULL;
    if (runs && !sim_process_has_room(arguments.many ? arguments.seeds.jobs : 1)) {
        return 2;
    }
    sim_process_catch_signals();
    if (arguments.seeds.seconds_of_run == 0) {
        arguments.seeds.seconds_of_run = SECONDS_OF_RUN * (arguments.many ? 1 : THOROUGH);
    }
    if (!arguments.many && arguments.seeds.run.history_steps_max == 0) {
        arguments.seeds.run.history_steps_max = SIM_HISTORY_STEPS * UINT64_C(10);
    }
    if (arguments.many) {
        return exit_code(sim_seeds_run(&arguments.seeds));
    }
    if (arguments.shrink) {
        return exit_code(sim_seeds_shrink(&arguments.seeds));
    }
    if (arguments.one || arguments.scenario != NULL) {
        return run_one(&arguments);
    }
    (void)fputs(help, stdout);
    return 2;
}
