/* test_log_line.c: one event stays one line, whatever is in it. */
#include "log_line.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct log text_log = {REPLICA_LOG_DEBUG, LOG_FORMAT_TEXT, 1, 2};
static const struct log json_log = {REPLICA_LOG_DEBUG, LOG_FORMAT_JSON, 1, 2};

static const uint64_t noon = UINT64_C(1795435200123); /* 2026-11-23T12:00:00.123Z */

static void expect_line(const struct log *log, const char *fields, const char *line)
{
    char got[4096];
    size_t size = log_format_line(log, noon, REPLICA_LOG_INFO, "leader-elected", fields, got, sizeof got);

    assert_string_equal(got, line);
    assert_int_equal(size, strlen(line));
}

static void an_event_is_a_line_of_keys_and_values(void **state)
{
    (void)state;
    expect_line(&text_log, "term=3",
                "2026-11-23T12:00:00.123Z level=info event=leader-elected node=1 term=3\n");
    expect_line(&text_log, "", "2026-11-23T12:00:00.123Z level=info event=leader-elected node=1\n");
    expect_line(&json_log, "",
                "{\"time\":\"2026-11-23T12:00:00.123Z\",\"level\":\"info\",\"event\":\"leader-elected\","
                "\"node\":1}\n");
    expect_line(
        &json_log, "term=3 role=leader id=007 why=\"a \\\"b\\\"\" flag",
        "{\"time\":\"2026-11-23T12:00:00.123Z\",\"level\":\"info\",\"event\":\"leader-elected\","
        "\"node\":1,\"term\":3,\"role\":\"leader\",\"id\":\"007\",\"why\":\"a \\\"b\\\"\",\"flag\":true}\n");
}

static void values_are_quoted_when_they_need_it(void **state)
{
    struct log_fields fields = {0};

    (void)state;
    log_fields_add_text(&fields, "a", "plain");
    log_fields_add_text(&fields, "b", "two words");
    log_fields_add_text(&fields, "c", "");
    log_fields_add_text(&fields, "d", "say \"x\"\\");
    log_fields_add_text(&fields, "e", "line\r\nend\x01");
    log_fields_add_number(&fields, "f", UINT64_MAX);
    assert_string_equal(fields.text, "a=plain b=\"two words\" c=\"\" d=\"say \\\"x\\\"\\\\\" "
                                     "e=\"line\\r\\nend\\u0001\" f=18446744073709551615");
    assert_int_equal(fields.size, strlen(fields.text));
}

static void a_line_end_from_elsewhere_does_not_end_the_line(void **state)
{
    char got[4096];

    (void)state;
    size_t size = log_format_line(&text_log, noon, REPLICA_LOG_INFO, "x", "a=1\nlevel=error event=forged",
                                  got, sizeof got);

    assert_ptr_equal(strchr(got, '\n'), got + size - 1);
    size = log_format_line(&json_log, noon, REPLICA_LOG_INFO, "x", "a=1\n{}", got, sizeof got);
    assert_ptr_equal(strchr(got, '\n'), got + size - 1);
}

static void what_is_too_long_is_cut_and_stays_one_line(void **state)
{
    char *value = malloc(10000);
    struct log_fields fields = {0};

    (void)state;
    memset(value, '"', 9999);
    value[9999] = '\0';
    log_fields_add_text(&fields, "long", value);
    assert_true(fields.size < LOG_FIELDS_BYTES_MAX);
    assert_int_equal(fields.text[fields.size - 1], '"');
    log_fields_add_text(&fields, "more", value);
    assert_true(fields.size < LOG_FIELDS_BYTES_MAX);
    for (size_t room = 400; room < 4096; room += 7) {
        char got[4096];
        size_t size = log_format_line(&text_log, noon, REPLICA_LOG_ERROR, "x", fields.text, got, room);

        assert_true(size < room);
        assert_int_equal(got[size - 1], '\n');
        assert_int_equal(got[size], '\0');
        size = log_format_line(&json_log, noon, REPLICA_LOG_ERROR, "x", fields.text, got, room);
        assert_true(size < room);
        assert_memory_equal(got + size - 2, "}\n", 2);
    }
    free(value);
}

/* A pipe whose reader sleeps, a terminal after Ctrl-S: the loop must not wait for it. */
static void a_reader_that_is_stuck_loses_lines_and_stops_nobody(void **state)
{
    char rest[64 * 1024], last[4096];
    struct log log = text_log;
    ssize_t got, size = 0;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    log.file = ends[1];
    (void)alarm(30); /* instead of a test that hangs */
    for (int i = 0; i < 5000; i++) {
        log_event(&log, REPLICA_LOG_INFO, "lost", "");
    }
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    while ((got = read(ends[0], rest, sizeof rest)) > 0) {
        assert_int_equal(rest[got - 1], '\n'); /* whole lines */
        size += got;
    }
    assert_true(size > 0);
    log_event(&log, REPLICA_LOG_INFO, "seen", "");
    got = read(ends[0], last, sizeof last - 1);
    assert_true(got > 0);
    last[got] = '\0';
    assert_non_null(strstr(last, "event=seen"));
    (void)alarm(0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_a_line_of_keys_and_values),
        cmocka_unit_test(values_are_quoted_when_they_need_it),
        cmocka_unit_test(a_line_end_from_elsewhere_does_not_end_the_line),
        cmocka_unit_test(what_is_too_long_is_cut_and_stays_one_line),
        cmocka_unit_test(a_reader_that_is_stuck_loses_lines_and_stops_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
