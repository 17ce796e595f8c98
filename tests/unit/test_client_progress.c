/* test_client_progress.c: lines where nobody draws, sizes and percents. */
#include "progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct shown {
    FILE *file;
    char *text;
    size_t size;
    struct progress progress;
};

static void begin(struct shown *shown, bool json)
{
    *shown = (struct shown){0};
    shown->file = open_memstream(&shown->text, &shown->size);
    assert_non_null(shown->file);
    progress_begin(&shown->progress, tmpfile(), json); /* a file is no terminal */
    fclose(shown->progress.out);
    shown->progress.out = shown->file;
}

static void expect_end(struct shown *shown, const char *expected)
{
    progress_end(&shown->progress);
    fclose(shown->file);
    assert_string_equal(shown->text, expected);
    free(shown->text);
}

static void a_line_for_each_phase_and_now_and_then_within_one(void **state)
{
    (void)state;
    struct shown shown;
    begin(&shown, false);
    progress_show(&shown.progress, 1000, "waiting", "waits %d", 1);
    progress_show(&shown.progress, 2000, "waiting", "waits %d", 2);
    progress_show(&shown.progress, 2001, "running", "runs");
    progress_show(&shown.progress, 2001 + PROGRESS_LINE_MS - 1, "running", "not shown");
    progress_show(&shown.progress, 2001 + PROGRESS_LINE_MS, "running", "runs still");
    progress_say(&shown.progress, "done", "done");
    progress_show(&shown.progress, 2002 + PROGRESS_LINE_MS, "running", "not shown");
    expect_end(&shown, "waits 1\nruns\nruns still\ndone\n");
}

static void with_json_each_line_is_an_object(void **state)
{
    (void)state;
    struct shown shown;
    begin(&shown, true);
    progress_show(&shown.progress, 1, "waiting", "it \"waits\"");
    progress_say(&shown.progress, "done", "100%%");
    expect_end(&shown, "{\"phase\":\"waiting\",\"message\":\"it \\\"waits\\\"\"}\n"
                       "{\"phase\":\"done\",\"message\":\"100%\"}\n");
}

static void sizes_have_the_unit_that_fits(void **state)
{
    (void)state;
    char text[PROGRESS_SIZE_BYTES_MAX];
    assert_string_equal(progress_format_size(0, text), "0 B");
    assert_string_equal(progress_format_size(1023, text), "1023 B");
    assert_string_equal(progress_format_size(1536, text), "1.5 KiB");
    assert_string_equal(progress_format_size(UINT64_C(10) << 30, text), "10.0 GiB");
    assert_string_equal(progress_format_size(UINT64_MAX, text), "16777216.0 TiB");
}

static void all_is_a_hundred_percent_and_nothing_else(void **state)
{
    (void)state;
    assert_int_equal(progress_percent(0, 10), 0);
    assert_int_equal(progress_percent(5, 10), 50);
    assert_int_equal(progress_percent(999999, 1000000), 99);
    assert_int_equal(progress_percent(10, 10), 100);
    assert_int_equal(progress_percent(0, 0), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_for_each_phase_and_now_and_then_within_one),
        cmocka_unit_test(with_json_each_line_is_an_object),
        cmocka_unit_test(sizes_have_the_unit_that_fits),
        cmocka_unit_test(all_is_a_hundred_percent_and_nothing_else),
    };
    return cmocka_run_group_tests_name("client/progress", tests, NULL, NULL);
}
