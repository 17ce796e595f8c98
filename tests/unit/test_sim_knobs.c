/* test_sim_knobs.c: what a simulated run is like: drawn from its seed, or set by hand. */
#include "sim_knobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEEDS = 500 };

static void the_neutral_knobs_are_neutral_and_show_nothing(void **state)
{
    (void)state;
    struct sim_knobs knobs;
    char *text = NULL;
    size_t size = 0;
    sim_knobs_neutral(&knobs);
    for (size_t i = 0; i < SIM_KNOBS_COUNT; i++) {
        assert_true(sim_knob_get(&knobs, i) == sim_knob_neutral(i));
    }
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    sim_knobs_print(&knobs, out);
    (void)fclose(out);
    assert_int_equal(size, 0);
    free(text);
}

static void a_seed_draws_the_same_knobs_each_time_and_others_than_the_next(void **state)
{
    (void)state;
    struct sim_knobs first, again, other;
    memset(&first, 1, sizeof first);
    memset(&again, 2, sizeof again); /* nothing of what was there is left */
    sim_knobs_draw(&first, 11);
    sim_knobs_draw(&again, 11);
    sim_knobs_draw(&other, 12);
    assert_memory_equal(&first, &again, sizeof first);
    assert_memory_not_equal(&first, &other, sizeof first);
}

/* What is printed can be set again: that is how a run is repeated. */
static void what_is_drawn_can_be_set_by_hand(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_knobs drawn, set;
        char *text = NULL;
        char *rest = NULL;
        size_t size = 0;
        sim_knobs_draw(&drawn, seed);
        sim_knobs_neutral(&set);
        FILE *out = open_memstream(&text, &size);
        assert_non_null(out);
        sim_knobs_print(&drawn, out);
        (void)fclose(out);
        for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
            assert_true(sim_knobs_parse(&set, word));
        }
        assert_memory_equal(&drawn, &set, sizeof drawn);
        free(text);
    }
}

/* So that the seeds without them stay what they were, whatever is added to them. */
static void what_belongs_to_snapshots_is_neutral_without_them(void **state)
{
    (void)state;
    uint64_t with = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_knobs knobs, more;
        uint64_t drawn = 0;
        sim_knobs_draw(&knobs, seed);
        with += knobs.snapshots;
        for (size_t i = SIM_KNOB_snapshots + 1; knobs.snapshots == 0 && i < SIM_KNOBS_COUNT; i++) {
            assert_true(sim_knob_get(&knobs, i) == sim_knob_neutral(i));
        }
        more = knobs;
        more.snapshots = 1;
        sim_knobs_draw_part(&more, seed);
        for (size_t i = 0; i < SIM_KNOBS_COUNT; i++) {
            bool same = sim_knob_get(&more, i) == sim_knob_get(&knobs, i);
            assert_true(same || (knobs.snapshots == 0 && i >= SIM_KNOB_snapshots));
            drawn += same ? 0 : 1;
        }
        assert_true(knobs.snapshots != 0 || drawn > 1);
    }
    assert_in_range(with, SEEDS / 4, SEEDS / 2);
}

static void every_knob_is_neutral_in_some_seed_and_drawn_in_another(void **state)
{
    (void)state;
    bool neutral[SIM_KNOBS_COUNT] = {false};
    bool drawn[SIM_KNOBS_COUNT] = {false};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_knobs knobs;
        sim_knobs_draw(&knobs, seed);
        for (size_t i = 0; i < SIM_KNOBS_COUNT; i++) {
            bool is_neutral = sim_knob_get(&knobs, i) == sim_knob_neutral(i);
            neutral[i] = neutral[i] || is_neutral;
            drawn[i] = drawn[i] || !is_neutral;
        }
    }
    for (size_t i = 0; i < SIM_KNOBS_COUNT; i++) {
        assert_true(neutral[i]);
        assert_true(drawn[i]);
    }
}

static void setting_one_knob_leaves_the_others(void **state)
{
    (void)state;
    struct sim_knobs knobs;
    sim_knobs_neutral(&knobs);
    assert_true(sim_knobs_parse(&knobs, "nodes=5"));
    assert_int_equal(knobs.nodes, 5);
    for (size_t i = 0; i < SIM_KNOBS_COUNT; i++) {
        assert_true(i == SIM_KNOB_nodes || sim_knob_get(&knobs, i) == sim_knob_neutral(i));
    }
}

static void a_run_may_be_shorter_than_any_that_is_drawn(void **state)
{
    (void)state;
    struct sim_knobs knobs;
    sim_knobs_neutral(&knobs);
    assert_true(sim_knobs_parse(&knobs, "duration_ms=19"));
    assert_int_equal(knobs.duration_ms, 19);
}

static void what_no_knob_can_have_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",         "nodes",     "nodes=",  "=3",        "node=3",   "nodess=3",
        "nodes=0",  "nodes=8",   "nodes=x", "nodes=3x",  "nodes=-1", "nodes= 3",
        "nodes=+3", "nodes=3.0", "NODES=3", "no such=1", "nodes:3",  "nodes=99999999999999999999",
    };
    struct sim_knobs knobs, before;
    sim_knobs_neutral(&knobs);
    before = knobs;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(sim_knobs_parse(&knobs, wrong[i]));
        assert_memory_equal(&knobs, &before, sizeof knobs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_neutral_knobs_are_neutral_and_show_nothing),
        cmocka_unit_test(a_seed_draws_the_same_knobs_each_time_and_others_than_the_next),
        cmocka_unit_test(what_is_drawn_can_be_set_by_hand),
        cmocka_unit_test(what_belongs_to_snapshots_is_neutral_without_them),
        cmocka_unit_test(every_knob_is_neutral_in_some_seed_and_drawn_in_another),
        cmocka_unit_test(setting_one_knob_leaves_the_others),
        cmocka_unit_test(a_run_may_be_shorter_than_any_that_is_drawn),
        cmocka_unit_test(what_no_knob_can_have_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
