/* test_client_answer_print.c: replies as text and as JSON. */
#include "answer_print.h"
#include "answer_reader.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

enum form { HUMAN, PLAIN, RAW, JSON };

static void assert_prints_bytes(const char *reply, size_t size, enum form form, const char *expected)
{
    struct answer_reader reader;
    struct answer answer = {0};
    struct byte_buffer text = {0};
    answer_reader_init(&reader, &ANSWER_LIMITS_DEFAULT);
    byte_buffer_append(&reader.input, reply, size);
    assert_int_equal(answer_reader_next(&reader, &answer), ANSWER_READER_ANSWER);
    if (form == JSON) {
        cJSON *item = answer_print_json(&answer);
        char *line = cJSON_PrintUnformatted(item);
        assert_non_null(line);
        text_append(&text, line);
        cJSON_free(line);
        cJSON_Delete(item);
    } else if (form == RAW) {
        answer_print_raw(&text, &answer);
    } else {
        answer_print_human(&text, &answer, form == PLAIN);
    }
    assert_string_equal(text_c_string(&text), expected);
    byte_buffer_deinit(&text);
    answer_deinit(&answer);
    answer_reader_deinit(&reader);
}

static void assert_prints(const char *reply, enum form form, const char *expected)
{
    assert_prints_bytes(reply, strlen(reply), form, expected);
}

/* The expected texts are redis-cli's. */
static void people_see_what_redis_cli_shows(void **state)
{
    (void)state;
    assert_prints("+OK\r\n", HUMAN, "OK\n");
    assert_prints("-ERR no\r\n", HUMAN, "(error) ERR no\n");
    assert_prints(":7\r\n", HUMAN, "(integer) 7\n");
    assert_prints("$-1\r\n", HUMAN, "(nil)\n");
    assert_prints("*0\r\n", HUMAN, "(empty array)\n");
    assert_prints("%0\r\n", HUMAN, "(empty hash)\n");
    assert_prints("~0\r\n", HUMAN, "(empty set)\n");
    assert_prints(",1.5\r\n", HUMAN, "(double) 1.5\n");
    assert_prints("#t\r\n", HUMAN, "(true)\n");
    assert_prints_bytes("$9\r\na\"b\\\r\n\t\0\xff\r\n", 15, HUMAN, "\"a\\\"b\\\\\\r\\n\\t\\x00\\xff\"\n");
}

static void elements_are_numbered_and_indented(void **state)
{
    (void)state;
    assert_prints("*2\r\n*2\r\n:1\r\n:2\r\n$1\r\na\r\n", HUMAN,
                  "1) 1) (integer) 1\n   2) (integer) 2\n2) \"a\"\n");
    assert_prints("*10\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n*2\r\n:1\r\n:2\r\n:3\r\n", HUMAN,
                  " 1) (integer) 0\n 2) (integer) 0\n 3) (integer) 0\n 4) (integer) 0\n 5) (integer) 0\n"
                  " 6) (integer) 0\n 7) (integer) 0\n 8) (integer) 0\n"
                  " 9) 1) (integer) 1\n    2) (integer) 2\n10) (integer) 3\n");
    assert_prints("%1\r\n+k\r\n*2\r\n:1\r\n:2\r\n", HUMAN, "1# k => 1) (integer) 1\n   2) (integer) 2\n");
    assert_prints("~1\r\n+k\r\n", HUMAN, "1~ k\n");
}

static void plain_text_keeps_lines_but_cannot_steer_the_terminal(void **state)
{
    (void)state;
    assert_prints("$12\r\n# A\r\nb:1\r\nc:\r\n", PLAIN, "# A\nb:1\nc:\n");
    assert_prints("=8\r\ntxt:a\nb\n\r\n", HUMAN, "a\nb\n");
    assert_prints("$6\r\na\033[2Jb\r\n", PLAIN, "a\\x1b[2Jb\n");
    assert_prints("-E \033[2J\r\n", HUMAN, "(error) E \\x1b[2J\n");
    assert_prints("+\033c\r\n", HUMAN, "\\x1bc\n");
}

static void pipes_get_the_bytes(void **state)
{
    (void)state;
    assert_prints("$4\r\na\"\r\n\r\n", RAW, "a\"\r\n\n");
    assert_prints("$-1\r\n", RAW, "\n");
    assert_prints("*3\r\n$1\r\na\r\n$-1\r\n:3\r\n", RAW, "a\n\n3\n");
    assert_prints("*0\r\n", RAW, "");
    assert_prints("#f\r\n", RAW, "false\n");
}

static void json_is_json(void **state)
{
    (void)state;
    assert_prints("+OK\r\n", JSON, "\"OK\"");
    assert_prints(":9223372036854775807\r\n", JSON, "9223372036854775807");
    assert_prints("_\r\n", JSON, "null");
    assert_prints("#t\r\n", JSON, "true");
    assert_prints("$5\r\na\"\n\303\244\r\n", JSON, "\"a\\\"\\n\303\244\"");
    assert_prints("*2\r\n:1\r\n*0\r\n", JSON, "[1,[]]");
    assert_prints("%1\r\n+k\r\n:1\r\n", JSON, "{\"k\":1}");
    assert_prints("%1\r\n:5\r\n:1\r\n", JSON, "[[5,1]]");
    assert_prints("-WRONGTYPE x y\r\n", JSON, "{\"code\":\"WRONGTYPE\",\"message\":\"WRONGTYPE x y\"}");
    assert_prints("-oops\r\n", JSON, "{\"code\":\"\",\"message\":\"oops\"}");
    assert_prints("(123456789012345678901234567890\r\n", JSON, "123456789012345678901234567890");
    assert_prints("(007\r\n", JSON, "\"007\"");
}

static void doubles_are_numbers_in_json_where_it_has_them(void **state)
{
    (void)state;
    assert_prints(",1.5\r\n", JSON, "1.5");
    assert_prints(",+.5\r\n", JSON, "0.5");
    assert_prints(",0.1\r\n", JSON, "0.1");
    assert_prints(",1e400\r\n", JSON, "\"1e400\"");
    assert_prints(",inf\r\n", JSON, "\"inf\"");
    assert_prints(",nan\r\n", JSON, "\"nan\"");
}

static void bytes_that_are_no_text_are_base64_in_json(void **state)
{
    (void)state;
    assert_prints_bytes("$3\r\na\0b\r\n", 9, JSON, "{\"base64\":\"YQBi\"}");
    assert_prints("$1\r\n\xff\r\n", JSON, "{\"base64\":\"/w==\"}");
    assert_prints("$2\r\n\xc0\x80\r\n", JSON, "{\"base64\":\"wIA=\"}");     /* not the shortest form */
    assert_prints("$3\r\n\xed\xa0\x80\r\n", JSON, "{\"base64\":\"7aCA\"}"); /* a surrogate */
    assert_prints("$2\r\n\xe2\x82\r\n", JSON, "{\"base64\":\"4oI=\"}");     /* cut short */
    assert_prints("$4\r\n\xf4\x90\x80\x80\r\n", JSON, "{\"base64\":\"9JCAgA==\"}"); /* beyond U+10FFFF */
    assert_prints("%1\r\n$1\r\n\xff\r\n:1\r\n", JSON, "[[{\"base64\":\"/w==\"},1]]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_see_what_redis_cli_shows),
        cmocka_unit_test(elements_are_numbered_and_indented),
        cmocka_unit_test(plain_text_keeps_lines_but_cannot_steer_the_terminal),
        cmocka_unit_test(pipes_get_the_bytes),
        cmocka_unit_test(json_is_json),
        cmocka_unit_test(doubles_are_numbers_in_json_where_it_has_them),
        cmocka_unit_test(bytes_that_are_no_text_are_base64_in_json),
    };
    return cmocka_run_group_tests_name("client/answer_print", tests, NULL, NULL);
}
