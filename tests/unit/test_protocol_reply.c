/* test_protocol_reply.c */
#include "reply.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect_bytes(struct byte_buffer *out, const char *expected)
{
    byte_buffer_append(out, "", 1);
    assert_string_equal((const char *)byte_buffer_front(out), expected);
    byte_buffer_consume(out, byte_buffer_size(out));
}

/* Calls with RESP2 and RESP3 and compares what each wrote. */
#define expect_both(call, resp2, resp3)                                                                      \
    do {                                                                                                     \
        struct byte_buffer out = {0};                                                                        \
        struct reply reply_value = {.out = &out, .protocol = 2};                                             \
        struct reply *reply = &reply_value;                                                                  \
        call;                                                                                                \
        expect_bytes(&out, resp2);                                                                           \
        reply->protocol = 3;                                                                                 \
        call;                                                                                                \
        expect_bytes(&out, resp3);                                                                           \
        byte_buffer_deinit(&out);                                                                            \
    } while (0)

static void both_protocols_share_the_simple_types(void **state)
{
    (void)state;
    expect_both(reply_simple(reply, "OK"), "+OK\r\n", "+OK\r\n");
    expect_both(reply_integer(reply, INT64_MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n");
    expect_both(reply_bulk(reply, "a\r\nb", 4), "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n");
    expect_both(reply_bulk(reply, NULL, 0), "$0\r\n\r\n", "$0\r\n\r\n");
    expect_both(reply_bulk_text(reply, "text"), "$4\r\ntext\r\n", "$4\r\ntext\r\n");
    expect_both(reply_array(reply, 12), "*12\r\n", "*12\r\n");
}

static void richer_types_have_a_form_in_the_old_protocol(void **state)
{
    (void)state;
    expect_both(reply_null(reply), "$-1\r\n", "_\r\n");
    expect_both(reply_null_array(reply), "*-1\r\n", "_\r\n");
    expect_both(reply_map(reply, 2), "*4\r\n", "%2\r\n");
    expect_both(reply_set(reply, 2), "*2\r\n", "~2\r\n");
    expect_both(reply_boolean(reply, true), ":1\r\n", "#t\r\n");
    expect_both(reply_boolean(reply, false), ":0\r\n", "#f\r\n");
    expect_both(reply_verbatim_text(reply, "abc", 3), "$3\r\nabc\r\n", "=7\r\ntxt:abc\r\n");
    expect_both(reply_verbatim_text(reply, "", 0), "$0\r\n\r\n", "=4\r\ntxt:\r\n");
    expect_both(reply_double(reply, 0.5), "$3\r\n0.5\r\n", ",0.5\r\n");
    expect_both(reply_double(reply, -INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
    expect_both(reply_double(reply, (double)NAN), "$3\r\nnan\r\n", ",nan\r\n");
}

static void an_error_is_one_line_whatever_is_in_it(void **state)
{
    (void)state;
    expect_both(reply_error(reply, "ERR no"), "-ERR no\r\n", "-ERR no\r\n");
    expect_both(reply_error(reply, "\r\nERR a\r\nb\nc\r\n"), "-ERR a  b c\r\n", "-ERR a  b c\r\n");
    expect_both(reply_error_format(reply, "ERR %d '%s'", 5, "x\r\n+OK"), "-ERR 5 'x  +OK'\r\n",
                "-ERR 5 'x  +OK'\r\n");
}

static void a_long_error_is_cut(void **state)
{
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    struct byte_buffer out = {0};
    struct reply reply = {.out = &out, .protocol = 2};
    reply_error_format(&reply, "ERR %s", text);
    assert_true(byte_buffer_size(&out) < 1100);
    assert_memory_equal(byte_buffer_front(&out) + byte_buffer_size(&out) - 3, "x\r\n", 3);
    byte_buffer_deinit(&out);
}

static void a_reply_without_a_listener_goes_nowhere(void **state)
{
    (void)state;
    struct reply nobody = {.out = NULL, .protocol = 2};
    reply_simple(&nobody, "OK");
    reply_error(&nobody, "ERR");
    reply_error_format(&nobody, "%s", "ERR");
    reply_integer(&nobody, 1);
    reply_bulk(&nobody, "x", 1);
    reply_null(&nobody);
    reply_null_array(&nobody);
    reply_array(&nobody, 1);
    reply_map(&nobody, 1);
    reply_set(&nobody, 1);
    reply_double(&nobody, 1);
    reply_boolean(&nobody, true);
    reply_verbatim_text(&nobody, "x", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_protocols_share_the_simple_types),
        cmocka_unit_test(richer_types_have_a_form_in_the_old_protocol),
        cmocka_unit_test(an_error_is_one_line_whatever_is_in_it),
        cmocka_unit_test(a_long_error_is_cut),
        cmocka_unit_test(a_reply_without_a_listener_goes_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
