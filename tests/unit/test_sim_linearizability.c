/* test_sim_linearizability.c: histories that a correct server can have pass, others do not. */
#include "sim_history.h"
#include "storage_testing.h"

/* ---- histories by hand: one call per operation ---- */

struct script {
    struct sim_history history;
};

static struct history_operation *add(struct script *script, uint64_t client, uint64_t invoked_us,
                                     uint64_t returned_us, enum history_kind kind, const char *value)
{
    const struct history_operation operation = {
        .client = client,
        .connection = script->history.count, /* one of its own: only real time orders */
        .invoked_us = invoked_us,
        .returned_us = returned_us,
        .kind = kind,
        .bytes = (const uint8_t *)value,
        .size = value == NULL ? 0 : strlen(value),
    };
    return sim_history_add(&script->history, &operation);
}

static struct history_operation *set_ok(struct script *script, uint64_t invoked_us, uint64_t returned_us,
                                        const char *value)
{
    struct history_operation *operation = add(script, 1, invoked_us, returned_us, HISTORY_SET, value);
    operation->reply = HISTORY_OK;
    return operation;
}

static struct history_operation *set_unknown(struct script *script, uint64_t invoked_us, const char *value)
{
    struct history_operation *operation = add(script, 2, invoked_us, UINT64_MAX, HISTORY_SET, value);
    operation->outcome = HISTORY_UNKNOWN;
    return operation;
}

/* value NULL: nil. */
static struct history_operation *get(struct script *script, uint64_t invoked_us, uint64_t returned_us,
                                     const char *value)
{
    struct history_operation *operation = add(script, 3, invoked_us, returned_us, HISTORY_GET, NULL);
    operation->reply = value == NULL ? HISTORY_NIL : HISTORY_BYTES;
    operation->reply_size = value == NULL ? 0 : strlen(value);
    operation->reply_bytes = sim_history_keep(&script->history, value, operation->reply_size);
    return operation;
}

static struct history_operation *answers(struct script *script, uint64_t invoked_us, uint64_t returned_us,
                                         enum history_kind kind, const char *value, int64_t integer)
{
    struct history_operation *operation = add(script, 4, invoked_us, returned_us, kind, value);
    operation->reply = HISTORY_INTEGER;
    operation->reply_integer = integer;
    return operation;
}

static struct history_operation *incr(struct script *script, uint64_t invoked_us, uint64_t returned_us,
                                      int64_t integer)
{
    struct history_operation *operation =
        answers(script, invoked_us, returned_us, HISTORY_INCRBY, NULL, integer);
    operation->delta = 1;
    return operation;
}

static struct history_operation *incr_unknown(struct script *script, uint64_t invoked_us)
{
    struct history_operation *operation = incr(script, invoked_us, UINT64_MAX, 0);
    operation->outcome = HISTORY_UNKNOWN;
    return operation;
}

static void expires(struct history_operation *operation, uint64_t earliest_us, uint64_t latest_us)
{
    operation->options |= HISTORY_EXPIRY;
    operation->expiry_earliest_us = earliest_us;
    operation->expiry_latest_us = latest_us;
}

static void assert_verdict(struct script *script, enum linearizability_verdict wanted)
{
    assert_int_equal(sim_history_verdict(&script->history), wanted);
    assert_int_equal(sim_history_breadth_verdict(&script->history), wanted);
    assert_int_equal(sim_history_brute_force(&script->history), wanted == LINEARIZABLE);
    sim_history_deinit(&script->history);
}

static void good(struct script *script)
{
    assert_verdict(script, LINEARIZABLE);
}

static void bad(struct script *script)
{
    assert_verdict(script, NOT_LINEARIZABLE);
}

/* ---- real time ---- */

static void an_empty_history_is_linearizable(void **state)
{
    (void)state;
    good(&(struct script){0});
}

static void a_read_may_see_either_side_of_a_concurrent_write(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 10, 20, "a");
    set_ok(&script, 30, 60, "b");
    get(&script, 35, 40, "b");
    get(&script, 36, 41, "a");
    good(&script);
}

static void two_reads_in_a_row_never_go_back(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 10, 20, "a");
    set_ok(&script, 30, 60, "b");
    get(&script, 35, 40, "b");
    get(&script, 41, 45, "a");
    bad(&script);
}

static void a_stale_read_after_a_newer_write_is_found(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 10, 20, "a");
    set_ok(&script, 30, 40, "b");
    get(&script, 41, 50, "a");
    bad(&script);
}

static void times_that_touch_are_concurrent(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 10, 20, "a");
    set_ok(&script, 30, 40, "b");
    get(&script, 40, 50, "a");
    good(&script);
}

static void a_lost_acknowledged_write_is_found(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 10, 20, "a");
    get(&script, 30, 40, NULL);
    bad(&script);
}

static void a_value_that_nobody_wrote_is_found(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 10, 20, "a");
    get(&script, 15, 40, "c");
    bad(&script);
}

static void a_lost_update_is_found(void **state)
{
    (void)state;
    struct script script = {0};
    incr(&script, 10, 20, 1);
    incr(&script, 30, 50, 2);
    incr(&script, 30, 50, 2);
    bad(&script);
}

static void an_increment_that_counted_twice_is_found(void **state)
{
    (void)state;
    struct script script = {0};
    incr(&script, 10, 20, 1);
    incr(&script, 30, 40, 2);
    get(&script, 50, 60, "3");
    bad(&script);
}

static void a_resurrected_value_is_found(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 10, 20, "a");
    answers(&script, 30, 40, HISTORY_DEL, NULL, 1);
    get(&script, 50, 60, NULL);
    get(&script, 70, 80, "a");
    bad(&script);
}

static void one_key_is_not_created_twice(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 10, 50, "a")->options = HISTORY_NX;
    set_ok(&script, 10, 50, "b")->options = HISTORY_NX;
    bad(&script);
}

static void a_key_is_created_again_after_it_was_removed(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 10, 50, "a")->options = HISTORY_NX;
    set_ok(&script, 10, 50, "b")->options = HISTORY_NX;
    answers(&script, 10, 50, HISTORY_DEL, NULL, 1);
    good(&script);
}

/* ---- unknown outcomes ---- */

static void an_unknown_write_may_be_seen_late_or_never(void **state)
{
    (void)state;
    struct script script = {0};
    set_unknown(&script, 10, "a");
    get(&script, 20, 30, NULL);
    set_ok(&script, 40, 50, "b");
    get(&script, 60, 70, "b");
    get(&script, 80, 90, "a");
    good(&script);
    set_unknown(&script, 10, "a");
    get(&script, 20, 30, NULL);
    good(&script);
}

static void an_unknown_write_is_not_seen_before_it_was_sent(void **state)
{
    (void)state;
    struct script script = {0};
    get(&script, 1, 9, "a");
    set_unknown(&script, 10, "a");
    bad(&script);
}

static void an_unknown_write_that_was_seen_does_not_disappear(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 1, 5, "b");
    set_unknown(&script, 10, "a");
    get(&script, 20, 30, "a");
    get(&script, 40, 50, "b");
    bad(&script);
}

static void an_unknown_increment_counts_once_at_most(void **state)
{
    (void)state;
    struct script script = {0};
    incr(&script, 1, 5, 1);
    incr_unknown(&script, 10);
    get(&script, 20, 30, "1");
    get(&script, 40, 50, "2");
    good(&script);
    incr(&script, 1, 5, 1);
    incr_unknown(&script, 10);
    get(&script, 40, 50, "3");
    bad(&script);
}

static void unknown_writes_combine(void **state)
{
    (void)state;
    struct script script = {0};
    struct history_operation *append = add(&script, 5, 10, UINT64_MAX, HISTORY_APPEND, "5");
    append->outcome = HISTORY_UNKNOWN;
    set_unknown(&script, 11, "-");
    incr_unknown(&script, 12);
    get(&script, 20, 30, "-4");
    good(&script);
    struct history_operation *remove = add(&script, 5, 10, UINT64_MAX, HISTORY_DEL, NULL);
    remove->outcome = HISTORY_UNKNOWN;
    set_ok(&script, 1, 2, "a");
    set_unknown(&script, 10, "b")->options = HISTORY_NX;
    set_unknown(&script, 10, "c")->options = HISTORY_XX;
    get(&script, 20, 30, "b");
    get(&script, 40, 50, "c");
    good(&script);
}

static void a_write_of_several_keys_took_effect_whatever_it_answered(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 1, 5, "a");
    answers(&script, 10, 20, HISTORY_DEL, NULL, 0)->outcome = HISTORY_DONE_UNCHECKED;
    get(&script, 30, 40, "a");
    bad(&script);
    set_ok(&script, 1, 5, "a");
    answers(&script, 10, 20, HISTORY_DEL, NULL, 0)->outcome = HISTORY_DONE_UNCHECKED;
    get(&script, 30, 40, NULL);
    good(&script);
}

/* ---- pipelines ---- */

static void on_connection(struct history_operation *operation, uint64_t sequence)
{
    operation->client = 9;
    operation->connection = 99;
    operation->sequence = sequence;
}

static void a_pipeline_keeps_its_order(void **state)
{
    (void)state;
    struct script script = {0};
    on_connection(set_ok(&script, 10, 50, "a"), 1);
    on_connection(get(&script, 10, 50, "a"), 2);
    on_connection(set_ok(&script, 10, 50, "b"), 3);
    good(&script);
    on_connection(set_ok(&script, 10, 50, "a"), 1);
    on_connection(get(&script, 10, 50, "b"), 2);
    on_connection(set_ok(&script, 10, 50, "b"), 3);
    bad(&script);
}

static void an_unknown_write_of_a_pipeline_may_come_after_what_follows_it(void **state)
{
    (void)state;
    struct script script = {0};
    on_connection(set_unknown(&script, 10, "a"), 1);
    on_connection(get(&script, 10, 50, NULL), 2);
    get(&script, 60, 70, "a");
    good(&script);
}

static void an_unknown_write_of_a_pipeline_comes_after_what_it_follows(void **state)
{
    (void)state;
    struct script script = {0};
    on_connection(get(&script, 10, 50, "a"), 1);
    on_connection(set_unknown(&script, 10, "a"), 2);
    bad(&script);
}

/* ---- expiry ---- */

static void a_key_goes_within_its_window(void **state)
{
    (void)state;
    struct script script = {0};
    expires(set_ok(&script, 10, 20, "a"), 100, 200);
    get(&script, 150, 160, "a");
    get(&script, 170, 180, NULL);
    good(&script);
}

static void a_key_that_goes_too_early_is_found(void **state)
{
    (void)state;
    struct script script = {0};
    expires(set_ok(&script, 10, 20, "a"), 100, 200);
    get(&script, 50, 99, NULL);
    bad(&script);
}

static void a_key_that_stays_too_long_is_found(void **state)
{
    (void)state;
    struct script script = {0};
    expires(set_ok(&script, 10, 20, "a"), 100, 200);
    get(&script, 201, 210, "a");
    bad(&script);
}

static void a_key_that_went_does_not_come_back(void **state)
{
    (void)state;
    struct script script = {0};
    expires(set_ok(&script, 10, 20, "a"), 100, 200);
    get(&script, 110, 120, NULL);
    get(&script, 130, 140, "a");
    bad(&script);
}

static void what_was_seen_gone_shows_that_it_is_late(void **state)
{
    (void)state;
    struct script script = {0};
    /* The first was found gone, so it was 100 at least; the second had to be gone by 90. */
    expires(set_ok(&script, 10, 20, "a"), 100, 200);
    get(&script, 50, 150, NULL);
    expires(set_ok(&script, 50, 160, "b"), 80, 90);
    get(&script, 50, 170, "b");
    set_ok(&script, 10, 30, "z");
    assert_int_equal(sim_history_verdict(&script.history), LINEARIZABLE);
    sim_history_deinit(&script.history);
    expires(set_ok(&script, 10, 20, "a"), 100, 200);
    on_connection(get(&script, 50, 150, NULL), 1);
    on_connection(set_ok(&script, 50, 160, "b"), 2);
    expires(&script.history.operations[2], 80, 90);
    on_connection(get(&script, 50, 170, "b"), 3);
    bad(&script);
}

/* The write that gave the key more time was given up, but took effect: what looked at the key in between and
 * was told nothing does not hide that. (The simulator's seed 472 accused a correct kvd once.) */
static void an_unknown_expire_keeps_the_key_behind_a_look_that_tells_nothing(void **state)
{
    (void)state;
    struct script script = {0};
    expires(set_ok(&script, 10, 20, "a"), 100, 100);
    struct history_operation *expire = answers(&script, 30, UINT64_MAX, HISTORY_EXPIRE, NULL, 0);
    expires(expire, 300, UINT64_MAX);
    expire->outcome = HISTORY_UNKNOWN;
    answers(&script, 110, 120, HISTORY_EXISTS, NULL, 0)->outcome = HISTORY_DONE_UNCHECKED;
    get(&script, 130, 140, "a");
    good(&script);
}

/* Both the write and what kept it for ever were given up, in time; a look after that time, which any value
 * would explain, does not hide that they can only have come before it. (The simulator's seed 200003103
 * accused a correct kvd once.) */
static void unknown_writes_come_before_a_look_that_would_be_too_late_for_them(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 10, 20, "a");
    expires(set_unknown(&script, 30, "b"), 100, 100);
    struct history_operation *getex = answers(&script, 40, UINT64_MAX, HISTORY_GETEX, NULL, 0);
    getex->options = HISTORY_REMOVE_EXPIRY;
    getex->outcome = HISTORY_UNKNOWN;
    answers(&script, 110, 120, HISTORY_EXISTS, NULL, 1);
    get(&script, 130, 140, "b");
    good(&script);
}

/* A count that was given up has to come before what was appended, and that before the INCRBY that fails. */
static void an_unknown_count_comes_before_an_unknown_append(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 10, 20, "-1");
    incr_unknown(&script, 30)->delta = 7;
    answers(&script, 31, UINT64_MAX, HISTORY_APPEND, "a", 0)->outcome = HISTORY_UNKNOWN;
    incr(&script, 40, 50, 0)->reply = HISTORY_ERROR;
    answers(&script, 60, 70, HISTORY_STRLEN, NULL, 2);
    good(&script);
}

static void a_plain_set_takes_the_expiry_away_and_keepttl_does_not(void **state)
{
    (void)state;
    struct script script = {0};
    expires(set_ok(&script, 10, 20, "a"), 100, 200);
    set_ok(&script, 30, 40, "b");
    get(&script, 300, 310, "b");
    good(&script);
    expires(set_ok(&script, 10, 20, "a"), 100, 200);
    set_ok(&script, 30, 40, "b")->options = HISTORY_KEEPTTL;
    get(&script, 300, 310, "b");
    bad(&script);
}

static void expire(struct script *script, uint32_t option, uint64_t earliest_us, uint64_t latest_us,
                   int64_t answer)
{
    struct history_operation *operation = answers(script, 30, 40, HISTORY_EXPIRE, NULL, answer);
    operation->options = option;
    operation->expiry_earliest_us = earliest_us;
    operation->expiry_latest_us = latest_us;
}

/* The key expires from 100 to 200, then comes EXPIRE GT or LT. */
static bool order_allows(uint32_t option, uint64_t earliest_us, uint64_t latest_us, int64_t answer)
{
    struct script script = {0};
    expires(set_ok(&script, 10, 20, "a"), 100, 200);
    expire(&script, option, earliest_us, latest_us, answer);
    const bool allows = sim_history_verdict(&script.history) == LINEARIZABLE;
    assert_int_equal(sim_history_brute_force(&script.history), allows);
    sim_history_deinit(&script.history);
    return allows;
}

static void gt_and_lt_are_decided_where_the_windows_leave_no_doubt(void **state)
{
    (void)state;
    assert_true(order_allows(HISTORY_GT, 300, 400, 1) && !order_allows(HISTORY_GT, 300, 400, 0));
    assert_true(order_allows(HISTORY_GT, 50, 90, 0) && !order_allows(HISTORY_GT, 50, 90, 1));
    assert_true(order_allows(HISTORY_GT, 150, 400, 0) && order_allows(HISTORY_GT, 150, 400, 1));
    assert_true(order_allows(HISTORY_LT, 300, 400, 0) && !order_allows(HISTORY_LT, 300, 400, 1));
    assert_true(order_allows(HISTORY_LT, 50, 90, 1) && !order_allows(HISTORY_LT, 50, 90, 0));
    assert_true(order_allows(HISTORY_LT, 50, 150, 0) && order_allows(HISTORY_LT, 50, 150, 1));
}

static void a_key_without_an_expiry_expires_last(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 10, 20, "a");
    expire(&script, HISTORY_GT, 300, 400, 1);
    bad(&script);
    set_ok(&script, 10, 20, "a");
    expire(&script, HISTORY_LT, 300, 400, 1);
    get(&script, 350, 360, NULL);
    good(&script);
    set_ok(&script, 10, 20, "a");
    expire(&script, HISTORY_LT, 300, 400, 0);
    bad(&script);
}

static void what_gt_refused_changes_nothing(void **state)
{
    (void)state;
    struct script script = {0};
    expires(set_ok(&script, 10, 20, "a"), 100, 200);
    expire(&script, HISTORY_GT, 150, 400, 0);
    get(&script, 300, 310, "a");
    bad(&script);
    expires(set_ok(&script, 10, 20, "a"), 100, 200);
    expire(&script, HISTORY_GT, 150, 400, 1);
    get(&script, 300, 310, "a");
    good(&script);
}

/* ---- the report ---- */

static void a_report_names_what_nothing_explains(void **state)
{
    (void)state;
    struct script script = {0};
    set_ok(&script, 10, 20, "a");
    set_ok(&script, 30, 40, "b");
    get(&script, 41, 50, "a");
    get(&script, 60, 70, "b");
    struct linearizability_report report;
    linearizability_check(script.history.operations, script.history.count, 0, &report);
    assert_int_equal(report.verdict, NOT_LINEARIZABLE);
    assert_int_equal(report.order_count, 2);
    assert_int_equal(report.unexplained, 2);
    char text[4096];
    size_t size =
        linearizability_describe(script.history.operations, script.history.count, &report, text, sizeof text);
    assert_int_equal(size, strlen(text));
    assert_non_null(
        strstr(text, "nothing explains:\n  [0.000041, 0.000050] client 3, connection 2, 0: GET -> \"a\"\n"));
    size = linearizability_describe(script.history.operations, script.history.count, &report, text, 10);
    assert_int_equal(size, 9);
    assert_int_equal(strlen(text), 9);
    linearizability_report_deinit(&report);
    sim_history_deinit(&script.history);
}

static void a_search_that_takes_too_long_is_given_up(void **state)
{
    (void)state;
    struct script script = {0};
    for (uint64_t i = 0; i < 20; i++) {
        set_ok(&script, 10, 50, "a");
    }
    struct linearizability_report report;
    linearizability_check(script.history.operations, script.history.count, 10, &report);
    assert_int_equal(report.verdict, LINEARIZABILITY_GAVE_UP);
    linearizability_report_deinit(&report);
    sim_history_deinit(&script.history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_history_is_linearizable),
        cmocka_unit_test(a_read_may_see_either_side_of_a_concurrent_write),
        cmocka_unit_test(two_reads_in_a_row_never_go_back),
        cmocka_unit_test(a_stale_read_after_a_newer_write_is_found),
        cmocka_unit_test(times_that_touch_are_concurrent),
        cmocka_unit_test(a_lost_acknowledged_write_is_found),
        cmocka_unit_test(a_value_that_nobody_wrote_is_found),
        cmocka_unit_test(a_lost_update_is_found),
        cmocka_unit_test(an_increment_that_counted_twice_is_found),
        cmocka_unit_test(a_resurrected_value_is_found),
        cmocka_unit_test(one_key_is_not_created_twice),
        cmocka_unit_test(a_key_is_created_again_after_it_was_removed),
        cmocka_unit_test(an_unknown_write_may_be_seen_late_or_never),
        cmocka_unit_test(an_unknown_write_is_not_seen_before_it_was_sent),
        cmocka_unit_test(an_unknown_write_that_was_seen_does_not_disappear),
        cmocka_unit_test(an_unknown_increment_counts_once_at_most),
        cmocka_unit_test(unknown_writes_combine),
        cmocka_unit_test(a_write_of_several_keys_took_effect_whatever_it_answered),
        cmocka_unit_test(a_pipeline_keeps_its_order),
        cmocka_unit_test(an_unknown_write_of_a_pipeline_may_come_after_what_follows_it),
        cmocka_unit_test(an_unknown_write_of_a_pipeline_comes_after_what_it_follows),
        cmocka_unit_test(a_key_goes_within_its_window),
        cmocka_unit_test(a_key_that_goes_too_early_is_found),
        cmocka_unit_test(a_key_that_stays_too_long_is_found),
        cmocka_unit_test(a_key_that_went_does_not_come_back),
        cmocka_unit_test(what_was_seen_gone_shows_that_it_is_late),
        cmocka_unit_test(an_unknown_expire_keeps_the_key_behind_a_look_that_tells_nothing),
        cmocka_unit_test(unknown_writes_come_before_a_look_that_would_be_too_late_for_them),
        cmocka_unit_test(an_unknown_count_comes_before_an_unknown_append),
        cmocka_unit_test(a_plain_set_takes_the_expiry_away_and_keepttl_does_not),
        cmocka_unit_test(gt_and_lt_are_decided_where_the_windows_leave_no_doubt),
        cmocka_unit_test(a_key_without_an_expiry_expires_last),
        cmocka_unit_test(what_gt_refused_changes_nothing),
        cmocka_unit_test(a_report_names_what_nothing_explains),
        cmocka_unit_test(a_search_that_takes_too_long_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
