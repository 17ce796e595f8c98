/* test_client_address_lookup.c: addresses of hosts. */
#include "address_lookup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum address_lookup_result look_up(const char *host, char *error, size_t error_bytes)
{
    struct endpoint endpoint = {.port = 7000};
    struct deadline deadline = deadline_in(20000, -1);
    struct addrinfo *found = NULL;
    snprintf(endpoint.host, sizeof endpoint.host, "%s", host);
    enum address_lookup_result result = address_lookup_find(&endpoint, &deadline, &found, error, error_bytes);
    if (result == ADDRESS_LOOKUP_FOUND) {
        assert_non_null(found);
        freeaddrinfo(found);
    }
    return result;
}

static void addresses_and_names_are_found(void **state)
{
    char error[100];
    (void)state;
    assert_int_equal(look_up("127.0.0.1", error, sizeof error), ADDRESS_LOOKUP_FOUND);
    assert_int_equal(look_up("::1", error, sizeof error), ADDRESS_LOOKUP_FOUND);
    assert_int_equal(look_up("localhost", error, sizeof error), ADDRESS_LOOKUP_FOUND);
}

static void a_name_that_cannot_be_is_not_found(void **state)
{
    char error[100] = "";
    (void)state;
    assert_int_equal(look_up("-.invalid..", error, sizeof error), ADDRESS_LOOKUP_NOT_FOUND);
    assert_true(error[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_and_names_are_found),
        cmocka_unit_test(a_name_that_cannot_be_is_not_found),
    };
    return cmocka_run_group_tests_name("client/address_lookup", tests, NULL, NULL);
}
