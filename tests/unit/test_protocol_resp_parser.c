/* test_protocol_resp_parser.c: each case is parsed whole and in pieces cut at every byte; the error texts are
 * those of redis-server 7.0.15. */
#include "resp_parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct resp_limits LIMITS = {
    .inline_bytes_max = 64, .arguments_max = 100, .bulk_bytes_max = 1000, .request_bytes_max = 1500};

/* What a stream of requests means, as text: "[a][b c]!error". */
struct transcript {
    char text[8192];
    size_t size;
};

static void note(struct transcript *transcript, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char byte = bytes[i];
        assert_true(transcript->size + 8 < sizeof transcript->text);
        bool plain = byte >= ' ' && byte <= '~';
        transcript->size += (size_t)sprintf(transcript->text + transcript->size, plain ? "%c" : "\\x%02x",
                                            (unsigned char)byte);
    }
}

static void note_request(struct transcript *transcript, const struct resp_parser *parser)
{
    note(transcript, "(", 1);
    for (uint32_t i = 0; i < parser->arguments_count; i++) {
        if (i > 0)
            note(transcript, ",", 1);
        note(transcript, (const char *)parser->arguments[i].bytes, parser->arguments[i].size);
    }
    note(transcript, ")", 1);
}

/* Feeds `size` bytes, which arrive in two pieces, in memory that ends exactly there. */
static void read_stream(const char *bytes, size_t size, size_t cut, struct transcript *transcript)
{
    struct resp_parser parser;
    resp_parser_init(&parser, &LIMITS);
    transcript->size = 0;
    size_t taken = 0;
    size_t arrived = cut;
    for (;;) {
        size_t consumed = 0;
        char *exact = malloc(arrived - taken + (arrived == taken ? 1 : 0));
        assert_non_null(exact);
        memcpy(exact, bytes + taken, arrived - taken);
        enum resp_parser_result result =
            resp_parser_feed(&parser, (const uint8_t *)exact, arrived - taken, &consumed);
        if (result == RESP_PARSER_REQUEST) {
            note_request(transcript, &parser);
            assert_true(consumed > 0 && consumed <= arrived - taken);
            taken += consumed;
        } else if (result == RESP_PARSER_ERROR) {
            note(transcript, "!", 1);
            note(transcript, parser.error, strlen(parser.error));
        } else if (result == RESP_PARSER_FORBIDDEN) {
            note(transcript, "FORBIDDEN", strlen("FORBIDDEN"));
        } else {
            assert_true(resp_parser_bytes_wanted(&parser) <= arrived - taken + LIMITS.bulk_bytes_max + 2);
            if (arrived == size && (taken < size || size == 0))
                note(transcript, "...", 3);
        }
        free(exact);
        if (result == RESP_PARSER_ERROR || result == RESP_PARSER_FORBIDDEN)
            break;
        if (result == RESP_PARSER_NEED_MORE) {
            if (arrived == size)
                break;
            arrived = size;
        }
    }
    transcript->text[transcript->size] = '\0';
    resp_parser_deinit(&parser);
}

static void expect_bytes(const char *bytes, size_t size, const char *expected)
{
    struct transcript transcript;
    for (size_t cut = 0; cut <= size; cut++) {
        read_stream(bytes, size, cut, &transcript);
        assert_string_equal(transcript.text, expected);
    }
}

static void expect_stream(const char *text, const char *expected)
{
    expect_bytes(text, strlen(text), expected);
}

static void arrays_of_bulks_are_requests(void **state)
{
    (void)state;
    expect_stream("*1\r\n$4\r\nPING\r\n", "(PING)");
    expect_stream("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", "(SET,k,)");
    expect_stream("*2\r\n$3\r\nGET\r\n$12\r\na\r\nb$1*2\r\n\\x\r\n", "(GET,a\\x0d\\x0ab$1*2\\x0d\\x0a\\x)");
    expect_bytes("*1\r\n$3\r\n\0\xff\n\r\n", 13, "(\\x00\\xff\\x0a)");
    expect_stream("*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\nc\r\n*1\r\n$1\r\nd\r\n*1\r\n$1", "(a)(b)(c)(d)...");
}

static void an_unfinished_request_needs_more(void **state)
{
    (void)state;
    expect_stream("", "...");
    expect_stream("*", "...");
    expect_stream("*2\r\n$1\r\na\r\n", "...");
    expect_stream("*1\r\n$5\r\nab\r\n", "...");
    expect_stream("PING", "...");
}

static void empty_requests_have_no_arguments(void **state)
{
    (void)state;
    expect_stream("\r\n\n  \r\n*0\r\n*-1\r\n*-5\r\nPING\r\n", "()()()()()()(PING)");
}

static void counts_and_lengths_are_strict(void **state)
{
    (void)state;
    expect_stream("*x\r\n", "!Protocol error: invalid multibulk length");
    expect_stream("*\r\n", "!Protocol error: invalid multibulk length");
    expect_stream("*01\r\n", "!Protocol error: invalid multibulk length");
    expect_stream("* 1\r\n", "!Protocol error: invalid multibulk length");
    expect_stream("*1\rx", "!Protocol error: invalid multibulk length");
    expect_stream("*101\r\n", "!Protocol error: invalid multibulk length");
    expect_stream("*9223372036854775808\r\n", "!Protocol error: invalid multibulk length");
    expect_stream("*1\r\n$-1\r\n", "!Protocol error: invalid bulk length");
    expect_stream("*1\r\n$abc\r\n", "!Protocol error: invalid bulk length");
    expect_stream("*1\r\n$+4\r\n", "!Protocol error: invalid bulk length");
    expect_stream("*1\r\n$1001\r\n", "!Protocol error: invalid bulk length");
    expect_stream("*1\r\n$4294967297\r\n", "!Protocol error: invalid bulk length");
    expect_stream("*1\r\n$\r\n", "!Protocol error: invalid bulk length");
}

static void a_bulk_must_begin_and_end_as_one(void **state)
{
    (void)state;
    expect_stream("*1\r\nPING\r\n", "!Protocol error: expected '$', got 'P'");
    expect_stream("*1\r\n:4\r\n", "!Protocol error: expected '$', got ':'");
    expect_stream("*1\r\n\r\n", "!Protocol error: expected '$', got ' '");
    expect_stream("*2\r\n$1\r\na\r\n*", "...");
    expect_stream("*2\r\n$1\r\na\r\n*1\r\n", "!Protocol error: expected '$', got '*'");
    expect_stream("*1\r\n$4\r\nPINGxx", "!Protocol error: invalid bulk length");
    expect_stream("*1\r\n$4\r\nPING\rx", "!Protocol error: invalid bulk length");
    expect_stream("*1\r\n$4\r\nPINGx\n", "!Protocol error: invalid bulk length");
}

static void lines_without_an_end_are_refused(void **state)
{
    (void)state;
    char line[80];
    memset(line, '1', sizeof line);
    expect_bytes(line, 64, "...");
    expect_bytes(line, 65, "!Protocol error: too big inline request");
    line[64] = '\n'; /* exactly as long as is allowed */
    struct transcript transcript;
    read_stream(line, 65, 65, &transcript);
    assert_int_equal(transcript.size, strlen("()") + 64);
    line[64] = '1';
    line[65] = '\n';
    expect_bytes(line, 66, "!Protocol error: too big inline request");
    line[0] = '*';
    expect_bytes(line, 65, "!Protocol error: too big mbulk count string");
    memcpy(line, "*1\r\n$", 5);
    expect_bytes(line, 68, "...");
    expect_bytes(line, 69, "!Protocol error: too big bulk count string");
}

static void one_request_has_a_limit_for_all_its_arguments(void **state)
{
    (void)state;
    char request[3000];
    char kilobyte[1001];
    memset(kilobyte, 'x', 1000);
    kilobyte[1000] = '\0';
    int size = snprintf(request, sizeof request, "*2\r\n$1000\r\n%s\r\n$501\r\n", kilobyte);
    struct transcript transcript;
    for (int cut = 0; cut <= size; cut += 97) {
        read_stream(request, (size_t)size, (size_t)cut, &transcript);
        assert_string_equal(transcript.text, "!Protocol error: too big request");
    }
    size = snprintf(request, sizeof request, "*2\r\n$1000\r\n%s\r\n$500\r\n", kilobyte);
    read_stream(request, (size_t)size, 100, &transcript);
    assert_string_equal(transcript.text, "...");
}

static void inline_requests_are_split_and_unquoted_as_in_redis(void **state)
{
    (void)state;
    expect_stream("SET k v\r\n", "(SET,k,v)");
    expect_stream("  set\tk   v  \n", "(set,k,v)");
    expect_stream("a \"b c\" 'd e'\n", "(a,b c,d e)");
    expect_stream("a \"\" ''\n", "(a,,)");
    expect_stream("a \"\\x00\\xfF\\n\\r\\t\\b\\a\\\\\\\"\\q\"\n",
                  "(a,\\x00\\xff\\x0a\\x0d\\x09\\x08\\x07\\\"q)");
    expect_stream("a \"\\xg1\"\n", "(a,xg1)");
    expect_stream("a 'it\\'s' 'no\\n'\n", "(a,it's,no\\n)");
    expect_stream("a foo\"bar\" b\\n\n", "(a,foobar,b\\n)");
    expect_stream("a {}$*\n", "(a,{}$*)");
    expect_stream("a \x0b"
                  "b\n",
                  "(a,b)");
}

static void unbalanced_quotes_are_refused(void **state)
{
    (void)state;
    expect_stream("a \"b\n", "!Protocol error: unbalanced quotes in request");
    expect_stream("a 'b\n", "!Protocol error: unbalanced quotes in request");
    expect_stream("a \"b\"c\n", "!Protocol error: unbalanced quotes in request");
    expect_stream("a 'b'c\n", "!Protocol error: unbalanced quotes in request");
    expect_stream("a \"b\\\n", "!Protocol error: unbalanced quotes in request");
    expect_stream("PING\r\na \"\r\n", "(PING)!Protocol error: unbalanced quotes in request");
}

static void browsers_are_turned_away(void **state)
{
    (void)state;
    expect_stream("POST / HTTP/1.1\r\nHost: x\r\n\r\n", "FORBIDDEN");
    expect_stream("post\n", "FORBIDDEN");
    expect_stream("Host: 127.0.0.1\r\n", "FORBIDDEN");
    expect_stream("hOsT:x\r\n", "FORBIDDEN");
    expect_stream("POSTER\r\nhost\r\n", "(POSTER)(host)");
    expect_stream("*1\r\n$4\r\nPOST\r\n", "(POST)");
}

static void the_wanted_size_is_that_of_the_bulk_that_is_arriving(void **state)
{
    (void)state;
    struct resp_parser parser;
    size_t consumed;
    resp_parser_init(&parser, &LIMITS);
    const char *text = "*2\r\n$3\r\nGET\r\n$900\r\nxyz";
    assert_int_equal(resp_parser_feed(&parser, (const uint8_t *)text, strlen(text), &consumed),
                     RESP_PARSER_NEED_MORE);
    assert_int_equal(resp_parser_bytes_wanted(&parser), strlen("*2\r\n$3\r\nGET\r\n$900\r\n") + 902);
    resp_parser_deinit(&parser);
}

static void memory_grows_with_what_has_arrived_not_with_what_is_announced(void **state)
{
    (void)state;
    struct resp_parser parser;
    size_t consumed;
    const struct resp_limits limits = {65536, 1024 * 1024, 1 << 20, 1 << 24};
    resp_parser_init(&parser, &limits);
    const char *text = "*1000000\r\n$1\r\na\r\n";
    assert_int_equal(resp_parser_feed(&parser, (const uint8_t *)text, strlen(text), &consumed),
                     RESP_PARSER_NEED_MORE);
    assert_true(parser.arguments_capacity < 100);
    assert_true(resp_parser_bytes_wanted(&parser) < 100);
    resp_parser_deinit(&parser);
}

static void a_giant_request_does_not_keep_its_memory(void **state)
{
    (void)state;
    struct resp_parser parser;
    size_t consumed;
    const struct resp_limits limits = {65536, 1024 * 1024, 1 << 20, 1 << 24};
    resp_parser_init(&parser, &limits);
    struct byte_buffer bytes = {0};
    byte_buffer_append(&bytes, "*10000\r\n", 8);
    for (int i = 0; i < 10000; i++)
        byte_buffer_append(&bytes, "$1\r\nx\r\n", 7);
    assert_int_equal(
        resp_parser_feed(&parser, byte_buffer_front(&bytes), byte_buffer_size(&bytes), &consumed),
        RESP_PARSER_REQUEST);
    assert_int_equal(parser.arguments_count, 10000);
    assert_int_equal(consumed, byte_buffer_size(&bytes));
    assert_int_equal(parser.arguments[9999].bytes[0], 'x');
    assert_int_equal(resp_parser_feed(&parser, (const uint8_t *)"*1\r\n$1\r\nx\r\n", 11, &consumed),
                     RESP_PARSER_REQUEST);
    assert_true(parser.arguments_capacity < 5000);
    byte_buffer_deinit(&bytes);
    resp_parser_deinit(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_of_bulks_are_requests),
        cmocka_unit_test(an_unfinished_request_needs_more),
        cmocka_unit_test(empty_requests_have_no_arguments),
        cmocka_unit_test(counts_and_lengths_are_strict),
        cmocka_unit_test(a_bulk_must_begin_and_end_as_one),
        cmocka_unit_test(lines_without_an_end_are_refused),
        cmocka_unit_test(one_request_has_a_limit_for_all_its_arguments),
        cmocka_unit_test(inline_requests_are_split_and_unquoted_as_in_redis),
        cmocka_unit_test(unbalanced_quotes_are_refused),
        cmocka_unit_test(browsers_are_turned_away),
        cmocka_unit_test(the_wanted_size_is_that_of_the_bulk_that_is_arriving),
        cmocka_unit_test(memory_grows_with_what_has_arrived_not_with_what_is_announced),
        cmocka_unit_test(a_giant_request_does_not_keep_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
