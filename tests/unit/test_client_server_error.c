/* test_client_server_error.c: what errors tell a client to do. */
#include "server_error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum server_error classify(const char *text, struct server_redirect *redirect)
{
    char bytes[200];
    struct answer answer = {.type = ANSWER_ERROR, .text = bytes, .size = strlen(text)};
    snprintf(bytes, sizeof bytes, "%s", text);
    return server_error_classify(&answer, redirect);
}

static void redirects_are_read(void **state)
{
    struct server_redirect redirect;
    (void)state;
    assert_int_equal(classify("MOVED 3999 127.0.0.1:6381", &redirect), SERVER_ERROR_MOVED);
    assert_int_equal(redirect.slot, 3999);
    assert_string_equal(redirect.target.host, "127.0.0.1");
    assert_int_equal(redirect.target.port, 6381);
    assert_int_equal(classify("MOVED 0 :7001", &redirect), SERVER_ERROR_MOVED);
    assert_string_equal(redirect.target.host, "");
    assert_int_equal(classify("MOVED 16383 2001:db8::1:7001", &redirect), SERVER_ERROR_MOVED);
    assert_string_equal(redirect.target.host, "2001:db8::1");
}

static void broken_redirects_are_shown_not_followed(void **state)
{
    static const char *const broken[] = {"MOVED",        "MOVED ",        "MOVED 1",
                                         "MOVED 1 ",     "MOVED x a:1",   "MOVED 16384 a:1",
                                         "MOVED 1 a",    "MOVED 1 a:0",   "MOVED 1 a:99999",
                                         "MOVED 1  a:1", "MOVED 1 a:1 b", "MOVED 99999999999 a:1",
                                         "MOVED -1 a:1"};
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct server_redirect redirect;
        assert_int_equal(classify(broken[i], &redirect), SERVER_ERROR_FINAL);
    }
}

static void codes_are_whole_first_words(void **state)
{
    struct server_redirect redirect;
    (void)state;
    assert_int_equal(classify("CLUSTERDOWN The cluster is down", &redirect), SERVER_ERROR_NOT_NOW);
    assert_int_equal(classify("TRYAGAIN", &redirect), SERVER_ERROR_TRY_AGAIN);
    assert_int_equal(classify("TRYAGAINX x", &redirect), SERVER_ERROR_FINAL);
    assert_int_equal(classify("LOADING x", &redirect), SERVER_ERROR_NOT_NOW);
    assert_int_equal(classify("MASTERDOWN x", &redirect), SERVER_ERROR_NOT_NOW);
    assert_int_equal(classify("UNKNOWN x", &redirect), SERVER_ERROR_UNKNOWN);
    assert_int_equal(classify("UNKNOWNX x", &redirect), SERVER_ERROR_FINAL);
    assert_int_equal(classify("ERR unknown command", &redirect), SERVER_ERROR_FINAL);
    assert_int_equal(classify("READONLY x", &redirect), SERVER_ERROR_FINAL);
    assert_int_equal(classify("", &redirect), SERVER_ERROR_FINAL);
}

static void replies_are_no_errors(void **state)
{
    struct server_redirect redirect;
    struct answer answer = {.type = ANSWER_NIL};
    (void)state;
    assert_int_equal(server_error_classify(&answer, &redirect), SERVER_ERROR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redirects_are_read),
        cmocka_unit_test(broken_redirects_are_shown_not_followed),
        cmocka_unit_test(codes_are_whole_first_words),
        cmocka_unit_test(replies_are_no_errors),
    };
    return cmocka_run_group_tests_name("client/server_error", tests, NULL, NULL);
}
