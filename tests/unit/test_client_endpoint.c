/* test_client_endpoint.c: hosts and ports as text. */
#include "endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_parses(const char *text, const char *host, uint16_t port)
{
    struct endpoint endpoint;
    assert_true(endpoint_parse(text, strlen(text), 0, &endpoint));
    assert_string_equal(endpoint.host, host);
    assert_int_equal(endpoint.port, port);
}

static void names_and_addresses_are_read(void **state)
{
    (void)state;
    assert_parses("node1:7000", "node1", 7000);
    assert_parses("127.0.0.1:1", "127.0.0.1", 1);
    assert_parses("[::1]:7000", "::1", 7000);
    assert_parses(":65535", "", 65535);
}

static void the_last_colon_splits_an_address_without_brackets(void **state)
{
    (void)state;
    assert_parses("::1:7000", "::1", 7000);
    assert_parses("fe80::1%eth0:7001", "fe80::1%eth0", 7001);
}

static void nonsense_is_refused(void **state)
{
    static const char *const wrong[] = {"",          "host",    "host:",     "host:0", "host:65536",
                                        "host:7a",   "host:-1", "host: 1",   "a b:1",  "[::1]",
                                        "[]:1",      "[::1:1",  "[::1]7000", "::1",    "h:123456",
                                        "a\033[m:1", ":",       "[::1]:",    "a,b:1"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct endpoint endpoint;
        if (endpoint_parse(wrong[i], strlen(wrong[i]), 0, &endpoint)) {
            fail_msg("'%s' was taken", wrong[i]);
        }
    }
}

static void a_host_that_is_too_long_is_refused(void **state)
{
    char text[400];
    struct endpoint endpoint;
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text + ENDPOINT_HOST_BYTES_MAX - 1, ":7000", 6);
    assert_true(endpoint_parse(text, strlen(text), 0, &endpoint));
    memset(text, 'a', sizeof text);
    memcpy(text + ENDPOINT_HOST_BYTES_MAX, ":7000", 6);
    assert_false(endpoint_parse(text, strlen(text), 0, &endpoint));
}

static void a_default_port_fills_in(void **state)
{
    struct endpoint endpoint;
    (void)state;
    assert_true(endpoint_parse("node1", 5, 7000, &endpoint));
    assert_int_equal(endpoint.port, 7000);
    assert_true(endpoint_parse("[::1]", 5, 7000, &endpoint));
    assert_string_equal(endpoint.host, "::1");
}

static void text_is_written_as_it_is_read(void **state)
{
    char text[ENDPOINT_TEXT_BYTES_MAX];
    struct endpoint endpoint = {.host = "::1", .port = 7000};
    (void)state;
    assert_string_equal(endpoint_format(&endpoint, text), "[::1]:7000");
    assert_parses(text, "::1", 7000);
    memset(endpoint.host, ':', sizeof endpoint.host - 1); /* the longest text there is */
    endpoint.port = 65535;
    assert_int_equal(strlen(endpoint_format(&endpoint, text)), ENDPOINT_TEXT_BYTES_MAX - 1);
}

static void lists_are_read_and_hold_nothing_twice(void **state)
{
    struct endpoint_list list;
    const char *wrong = NULL;
    size_t wrong_size = 0;
    (void)state;
    assert_true(endpoint_list_parse(&list, "a:1,b,A:1,[::1]:2", &wrong, &wrong_size));
    assert_int_equal(list.count, 3);
    assert_int_equal(list.items[1].port, ENDPOINT_DEFAULT_PORT);
    assert_false(endpoint_list_parse(&list, "a:1,,b:2", &wrong, &wrong_size));
    assert_int_equal(wrong_size, 0);
    assert_false(endpoint_list_parse(&list, "a:1,b:x,c:3", &wrong, &wrong_size));
    assert_int_equal(wrong_size, 3);
    assert_memory_equal(wrong, "b:x", 3);
    assert_false(endpoint_list_parse(&list, ":7000", NULL, NULL));
}

static void a_full_list_takes_no_more(void **state)
{
    struct endpoint_list list = {.count = 0};
    struct endpoint endpoint = {.host = "a"};
    (void)state;
    for (unsigned i = 1; i <= ENDPOINT_LIST_MAX; i++) {
        endpoint.port = (uint16_t)i;
        assert_int_equal(endpoint_list_add(&list, &endpoint), i - 1);
    }
    endpoint.port = 3;
    assert_int_equal(endpoint_list_add(&list, &endpoint), 2);
    endpoint.port = 1000;
    assert_int_equal(endpoint_list_add(&list, &endpoint), ENDPOINT_LIST_MAX);
    assert_int_equal(list.count, ENDPOINT_LIST_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_addresses_are_read),
        cmocka_unit_test(the_last_colon_splits_an_address_without_brackets),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(a_host_that_is_too_long_is_refused),
        cmocka_unit_test(a_default_port_fills_in),
        cmocka_unit_test(text_is_written_as_it_is_read),
        cmocka_unit_test(lists_are_read_and_hold_nothing_twice),
        cmocka_unit_test(a_full_list_takes_no_more),
    };
    return cmocka_run_group_tests_name("client/endpoint", tests, NULL, NULL);
}
