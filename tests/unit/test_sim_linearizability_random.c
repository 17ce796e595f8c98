/* test_sim_linearizability_random.c: random histories. On short ones both searches say what trying every
 * order says; long ones are decided, and soon.
 */
#include "sim_history.h"
#include "storage_testing.h"

#include <time.h>

/* Changes one answer to another that this operation could give in some history. */
static void corrupt(struct sim_history *history, uint64_t *random)
{
    for (size_t tries = 0; tries < 20; tries++) {
        struct history_operation *operation =
            &history->operations[testing_random_below(random, history->count)];
        if (operation->outcome != HISTORY_DONE) {
            continue;
        }
        if (operation->reply == HISTORY_INTEGER) {
            operation->reply_integer += testing_random_below(random, 2) == 0 ? 1 : -1;
            return;
        }
        const struct history_operation *other =
            &history->operations[testing_random_below(random, history->count)];
        if (other->outcome == HISTORY_DONE &&
            (other->reply == HISTORY_BYTES || other->reply == HISTORY_NIL)) {
            operation->reply = other->reply;
            operation->reply_bytes = other->reply_bytes;
            operation->reply_size = other->reply_size;
            return;
        }
    }
}

enum { ROUNDS = 60000 };

static uint64_t rounds(void)
{
    const char *text = getenv("KVD_TEST_HISTORIES");
    return text != NULL ? strtoull(text, NULL, 10) : ROUNDS;
}

/* Returns what trying every order says, and fails if a search says something else. */
static bool check_short(const struct sim_history *history, uint64_t seed)
{
    const bool expected = sim_history_brute_force(history);
    const enum linearizability_verdict verdict = sim_history_verdict(history);
    const enum linearizability_verdict breadth = sim_history_breadth_verdict(history);
    if (breadth == verdict && (verdict == LINEARIZABLE) == expected) {
        return expected;
    }
    char line[400];
    for (size_t i = 0; i < history->count; i++) {
        history_operation_describe(&history->operations[i], line, sizeof line);
        print_message("%s\n", line);
    }
    fail_msg("seed %d: %d, breadth first %d, every order says %d", (int)seed, (int)verdict, (int)breadth,
             (int)expected);
    return false;
}

static void the_search_agrees_with_trying_every_order(void **state)
{
    (void)state;
    size_t bad_count = 0;
    uint64_t random = 1;
    for (uint64_t seed = 1; seed <= rounds(); seed++) {
        const uint64_t bits = testing_random(&random);
        const struct sim_history_options options = {
            .seed = seed,
            .count = 2 + bits % 6,
            .clients_count = 2,
            .slot_us = 10,
            .half_span_us = (bits >> 8) % 60,
            .unknown_percent = (unsigned)((bits >> 16) % 60),
            .unknown_late_slots = 5,
            .read_percent = (unsigned)(20 + (bits >> 24) % 50),
            .with_counters = bits >> 32 & 1,
            .with_appends = bits >> 33 & 1,
            .with_expiry = bits >> 34 & 1,
            .with_conditions = bits >> 35 & 1,
            .small_values = true,
        };
        struct sim_history history;
        sim_history_draw(&history, &options);
        const bool is_corrupt = (bits >> 40) % 3 != 0;
        if (is_corrupt) {
            corrupt(&history, &random);
        }
        const bool is_good = check_short(&history, seed);
        assert_true(is_good || is_corrupt);
        bad_count += !is_good;
        sim_history_deinit(&history);
    }
    print_message("%d of %d were not linearizable\n", (int)bad_count, (int)rounds());
    assert_true(bad_count > rounds() / 5 && bad_count < rounds() * 4 / 5);
}

/* What gives a key more time, or less, and when that must have been: histories where writes of unknown
 * outcome matter by their time alone. */
static void the_search_agrees_where_expiry_decides(void **state)
{
    (void)state;
    size_t bad_count = 0;
    uint64_t random = 2;
    const uint64_t count = rounds() * 2;
    for (uint64_t seed = 1; seed <= count; seed++) {
        const uint64_t bits = testing_random(&random);
        const struct sim_history_options options = {
            .seed = seed,
            .count = 4 + bits % 4,
            .clients_count = 2,
            .slot_us = 10,
            .half_span_us = (bits >> 8) % 15,
            .unknown_percent = (unsigned)(30 + (bits >> 16) % 40),
            .unknown_late_slots = 2,
            .read_percent = (unsigned)(30 + (bits >> 24) % 30),
            .with_expiry = true,
            .with_conditions = bits >> 32 & 1,
            .small_values = true,
            .mostly_expiry = true,
        };
        struct sim_history history;
        sim_history_draw(&history, &options);
        const bool is_corrupt = (bits >> 40) % 3 == 0;
        if (is_corrupt) {
            corrupt(&history, &random);
        }
        const bool is_good = check_short(&history, seed);
        assert_true(is_good || is_corrupt);
        bad_count += !is_good;
        sim_history_deinit(&history);
    }
    print_message("%d of %d were not linearizable\n", (int)bad_count, (int)count);
    assert_true(bad_count > count / 20 && bad_count < count / 2);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct linearizability_report check_large(const struct sim_history *history, const char *name)
{
    struct linearizability_report report;
    const double start = seconds();
    linearizability_check(history->operations, history->count, 0, &report);
    const double took = seconds() - start;
    print_message("%s: verdict %d, %d operations, %.3f s, %.0f operations/s, %.0f steps\n", name,
                  (int)report.verdict, (int)history->count, took, (double)history->count / took,
                  (double)report.steps);
    return report;
}

/* The last GET that shows a value, and shows another that nobody ever wrote. */
static void corrupt_certainly(struct sim_history *history, size_t after)
{
    for (size_t i = after; i < history->count; i++) {
        struct history_operation *operation = &history->operations[i];
        if (operation->kind == HISTORY_GET && operation->outcome == HISTORY_DONE &&
            operation->reply == HISTORY_BYTES) {
            operation->reply_bytes = sim_history_keep(history, "nobody wrote this", 17);
            operation->reply_size = 17;
            return;
        }
    }
    fail();
}

static void check_drawn(const char *name, const struct sim_history_options *options)
{
    struct sim_history history;
    char text[8192];
    sim_history_draw(&history, options);
    struct linearizability_report report = check_large(&history, name);
    linearizability_describe(history.operations, history.count, &report, text, sizeof text);
    if (report.verdict != LINEARIZABLE) {
        fail_msg("%s", text);
    }
    sim_history_assert_order(&history, report.order, report.order_count);
    linearizability_report_deinit(&report);

    corrupt_certainly(&history, history.count * 3 / 4);
    report = check_large(&history, name);
    linearizability_describe(history.operations, history.count, &report, text, sizeof text);
    if (report.verdict != NOT_LINEARIZABLE) {
        fail_msg("%s", text);
    }
    linearizability_report_deinit(&report);
    sim_history_deinit(&history);
}

/* What a simulation gives: many clients, a few hundred unknown outcomes. */
static void large_histories_are_decided(void **state)
{
    (void)state;
    const struct sim_history_options base = {
        .seed = 1,
        .count = 5000,
        .clients_count = 12,
        .slot_us = 100,
        .half_span_us = 600,
        .unknown_percent = 8,
        .unknown_late_slots = 300,
        .read_percent = 50,
    };
    struct sim_history_options options = base;
    check_drawn("registers", &options);
    options.with_conditions = true;
    check_drawn("registers with conditions", &options);
    options = base;
    options.unknown_percent = 4;
    options.with_expiry = true;
    check_drawn("registers with expiry", &options);
    options.with_expiry = false;
    options.with_counters = options.with_conditions = true;
    check_drawn("registers and counters", &options);
    options.with_appends = options.with_expiry = true;
    options.count = 600;
    check_drawn("everything", &options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_agrees_with_trying_every_order),
        cmocka_unit_test(the_search_agrees_where_expiry_decides),
        cmocka_unit_test(large_histories_are_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
