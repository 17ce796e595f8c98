/* test_client_answer_reader.c: replies from bytes, whole, in pieces and broken. */
#include "answer_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct answer_reader reader;
    struct answer answer;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    const struct answer_limits limits = {.bytes_max = 100000, .elements_max = 1000};
    memset(&fixture, 0, sizeof fixture);
    answer_reader_init(&fixture.reader, &limits);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    answer_deinit(&fixture->answer);
    answer_reader_deinit(&fixture->reader);
    return 0;
}

static enum answer_reader_result feed(struct fixture *fixture, const char *bytes, size_t size)
{
    answer_deinit(&fixture->answer);
    byte_buffer_append(&fixture->reader.input, bytes, size);
    return answer_reader_next(&fixture->reader, &fixture->answer);
}

static enum answer_reader_result feed_text(struct fixture *fixture, const char *text)
{
    return feed(fixture, text, strlen(text));
}

static const char all_types[] =
    "*13\r\n"
    "+OK\r\n-ERR no\r\n:-42\r\n$3\r\na\0b\r\n$0\r\n\r\n$-1\r\n*-1\r\n_\r\n,3.25\r\n#t\r\n"
    "(12345678901234567890\r\n=7\r\ntxt:abc\r\n"
    "%2\r\n+k\r\n~2\r\n:1\r\n:2\r\n+l\r\n!5\r\nERR x\r\n";

static void assert_all_types(const struct answer *answer)
{
    static const enum answer_type types[] = {
        ANSWER_STATUS,     ANSWER_ERROR,    ANSWER_INTEGER, ANSWER_STRING, ANSWER_STRING,
        ANSWER_NIL,        ANSWER_NIL,      ANSWER_NIL,     ANSWER_DOUBLE, ANSWER_BOOLEAN,
        ANSWER_BIG_NUMBER, ANSWER_VERBATIM, ANSWER_MAP};
    assert_int_equal(answer->type, ANSWER_ARRAY);
    assert_int_equal(answer->count, 13);
    for (size_t i = 0; i < 13; i++) {
        assert_int_equal(answer->elements[i].type, types[i]);
    }
    assert_true(answer->elements[2].integer == -42);
    assert_int_equal(answer->elements[3].size, 3);
    assert_memory_equal(answer->elements[3].text, "a\0b", 4);
    assert_non_null(answer->elements[4].text);
    assert_string_equal(answer->elements[11].text, "abc");
    assert_int_equal(answer->elements[12].count, 4);
    assert_int_equal(answer->elements[12].elements[1].type, ANSWER_SET);
    assert_int_equal(answer->elements[12].elements[3].type, ANSWER_ERROR);
}

static void every_type_is_read(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(feed(fixture, all_types, sizeof all_types - 1), ANSWER_READER_ANSWER);
    assert_all_types(&fixture->answer);
    assert_int_equal(byte_buffer_size(&fixture->reader.input), 0);
}

static void an_answer_may_be_split_at_every_byte(void **state)
{
    struct fixture *fixture = *state;
    for (size_t split = 1; split < sizeof all_types - 1; split++) {
        assert_int_equal(feed(fixture, all_types, split), ANSWER_READER_NEED_MORE);
        assert_int_equal(feed(fixture, all_types + split, sizeof all_types - 1 - split),
                         ANSWER_READER_ANSWER);
        assert_all_types(&fixture->answer);
    }
    for (size_t i = 0; i < sizeof all_types - 2; i++) {
        assert_int_equal(feed(fixture, all_types + i, 1), ANSWER_READER_NEED_MORE);
    }
    assert_int_equal(feed(fixture, all_types + sizeof all_types - 2, 1), ANSWER_READER_ANSWER);
    assert_all_types(&fixture->answer);
}

static void answers_follow_one_another(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(feed_text(fixture, ":1\r\n*0\r\n:2\r\n"), ANSWER_READER_ANSWER);
    assert_true(fixture->answer.integer == 1);
    assert_int_equal(feed_text(fixture, ""), ANSWER_READER_ANSWER);
    assert_int_equal(fixture->answer.type, ANSWER_ARRAY);
    assert_int_equal(feed_text(fixture, ""), ANSWER_READER_ANSWER);
    assert_true(fixture->answer.integer == 2);
    assert_int_equal(feed_text(fixture, ""), ANSWER_READER_NEED_MORE);
}

static void broken_bytes_are_malformed(void **state)
{
    static const char *const broken[] = {"HTTP/1.1 200 OK\r\n",
                                         "\x16\x03\x01",
                                         "\r\n",
                                         ":\r\n",
                                         ":1x\r\n",
                                         ":9223372036854775808\r\n",
                                         ":--1\r\n",
                                         "$-2\r\n",
                                         "$x\r\n",
                                         "$\r\n",
                                         "$99999999999999999999\r\n",
                                         "$3\r\nabcd\r\n",
                                         "$3\r\nabc\n\n",
                                         "*-2\r\n",
                                         "*x\r\n",
                                         "%-1\r\n",
                                         "~-1\r\n",
                                         "!-1\r\n",
                                         ",\r\n",
                                         ",1,5\r\n",
                                         ",infinity\r\n",
                                         "#x\r\n",
                                         "#\r\n",
                                         "_x\r\n",
                                         "(\r\n",
                                         "(-\r\n",
                                         "(1a\r\n",
                                         "=3\r\ntxt\r\n",
                                         "=4\r\ntxt-\r\n",
                                         "+a\n",
                                         "*1\r\n>1\r\n:1\r\n",
                                         "|1\r\n",
                                         "*?\r\n",
                                         "$?\r\n",
                                         ".\r\n"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        answer_reader_reset(&fixture->reader);
        if (feed_text(fixture, broken[i]) != ANSWER_READER_MALFORMED) {
            fail_msg("number %zu was not found to be malformed", i);
        }
        assert_true(fixture->reader.error[0] != '\0');
        /* And stays so, whatever follows. */
        assert_int_equal(feed_text(fixture, "\r\n:1\r\n"), ANSWER_READER_MALFORMED);
    }
}

static void the_ends_of_64_bits_are_read(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(feed_text(fixture, ":9223372036854775807\r\n"), ANSWER_READER_ANSWER);
    assert_true(fixture->answer.integer == INT64_MAX);
    assert_int_equal(feed_text(fixture, ":-9223372036854775808\r\n"), ANSWER_READER_ANSWER);
    assert_true(fixture->answer.integer == INT64_MIN);
}

static void what_is_announced_beyond_the_limits_is_refused_at_once(void **state)
{
    static const char *const large[] = {"$100001\r\n",
                                        "*1001\r\n",
                                        "%501\r\n",
                                        "*2\r\n*600\r\n:1\r\n",
                                        "*9223372036854775807\r\n",
                                        "%9223372036854775807\r\n",
                                        "$9223372036854775807\r\n"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 3; i++) {
        answer_reader_reset(&fixture->reader);
        assert_int_equal(feed_text(fixture, large[i]), ANSWER_READER_MALFORMED);
    }
    for (size_t i = 4; i < 7; i++) {
        answer_reader_reset(&fixture->reader);
        assert_int_equal(feed_text(fixture, large[i]), ANSWER_READER_MALFORMED);
    }
    answer_reader_reset(&fixture->reader);
    assert_int_equal(feed_text(fixture, "*2\r\n*600\r\n"), ANSWER_READER_NEED_MORE);
    for (int i = 0; i < 600; i++) {
        assert_int_equal(feed_text(fixture, ":1\r\n"), ANSWER_READER_NEED_MORE);
    }
    assert_int_equal(feed_text(fixture, "*600\r\n"), ANSWER_READER_MALFORMED);
}

static void an_answer_of_many_small_parts_is_bounded_in_bytes(void **state)
{
    struct fixture *fixture = *state;
    char text[1100];
    memset(text, 'x', sizeof text);
    assert_int_equal(feed_text(fixture, "*1000\r\n"), ANSWER_READER_NEED_MORE);
    enum answer_reader_result result = ANSWER_READER_NEED_MORE;
    int parts = 0;
    while (result == ANSWER_READER_NEED_MORE && parts < 1000) {
        byte_buffer_append(&fixture->reader.input, "+", 1);
        byte_buffer_append(&fixture->reader.input, text, 1000);
        result = feed_text(fixture, "\r\n");
        parts++;
    }
    assert_int_equal(result, ANSWER_READER_MALFORMED);
    assert_true(parts <= 100);
}

static void depth_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < ANSWER_READER_DEPTH_MAX; i++) {
        assert_int_equal(feed_text(fixture, "*1\r\n"), ANSWER_READER_NEED_MORE);
    }
    assert_int_equal(feed_text(fixture, ":1\r\n"), ANSWER_READER_ANSWER);
    for (int i = 0; i < ANSWER_READER_DEPTH_MAX; i++) {
        assert_int_equal(feed_text(fixture, "*1\r\n"), ANSWER_READER_NEED_MORE);
    }
    assert_int_equal(feed_text(fixture, "*1\r\n"), ANSWER_READER_MALFORMED);
}

static void a_line_without_end_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char text[4096];
    memset(text, 'x', sizeof text);
    assert_int_equal(feed_text(fixture, "-ERR "), ANSWER_READER_NEED_MORE);
    for (int i = 0; i < ANSWER_READER_LINE_BYTES_MAX / 4096 - 1; i++) {
        assert_int_equal(feed(fixture, text, sizeof text), ANSWER_READER_NEED_MORE);
    }
    assert_int_equal(feed(fixture, text, sizeof text), ANSWER_READER_MALFORMED);
}

static void random_bytes_do_no_harm(void **state)
{
    static const char alphabet[] = "+-:$*_,#!=(%~>|0123456789\r\n\r\n\r\n\r\nabtf.";
    struct fixture *fixture = *state;
    uint64_t seed = 12345;
    for (int round = 0; round < 20000; round++) {
        char text[40];
        for (size_t i = 0; i < sizeof text; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[i] = alphabet[(seed >> 33) % (sizeof alphabet - 1)];
        }
        answer_reader_reset(&fixture->reader);
        enum answer_reader_result result = feed(fixture, text, sizeof text);
        while (result == ANSWER_READER_ANSWER) {
            result = feed(fixture, "", 0);
        }
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_type_is_read),
        CASE(an_answer_may_be_split_at_every_byte),
        CASE(answers_follow_one_another),
        CASE(broken_bytes_are_malformed),
        CASE(the_ends_of_64_bits_are_read),
        CASE(what_is_announced_beyond_the_limits_is_refused_at_once),
        CASE(an_answer_of_many_small_parts_is_bounded_in_bytes),
        CASE(depth_is_bounded),
        CASE(a_line_without_end_is_refused),
        CASE(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests_name("client/answer_reader", tests, NULL, NULL);
}
