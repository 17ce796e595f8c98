/* test_resolver.c: names to addresses, off the loop. Needs no name server: "localhost" is in every hosts
 * file. */
#include "resolver.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct outcome {
    int calls;
    struct resolved resolved;
};

static void note(void *context, const struct resolved *resolved)
{
    struct outcome *outcome = context;

    outcome->calls++;
    outcome->resolved = *resolved;
}

static void wait_for(struct event_base *base, const struct outcome *outcome)
{
    for (int i = 0; i < 1000 && outcome->calls == 0; i++) {
        assert_true(event_base_loop(base, EVLOOP_ONCE) >= 0);
    }
    assert_int_equal(outcome->calls, 1);
}

static void numbers_and_names_are_resolved_later_on_the_loop(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1", "localhost"};

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct event_base *base = event_base_new();
        struct resolver *resolver = resolver_create(base);
        struct outcome outcome = {0};

        assert_non_null(resolver_start(resolver, hosts[i], 7000, note, &outcome));
        assert_int_equal(outcome.calls, 0);
        wait_for(base, &outcome);
        assert_int_equal(outcome.resolved.problem, 0);
        assert_true(outcome.resolved.count >= 1);
        const struct sockaddr_storage *address = &outcome.resolved.addresses[0].address;
        uint16_t port = address->ss_family == AF_INET6
                            ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
                            : ((const struct sockaddr_in *)(const void *)address)->sin_port;

        assert_int_equal(ntohs(port), 7000);
        resolver_destroy(resolver);
        event_base_free(base);
    }
}

static void what_is_no_name_is_a_problem(void **state)
{
    struct event_base *base = event_base_new();
    struct resolver *resolver = resolver_create(base);
    struct outcome outcome = {0};

    (void)state;
    assert_non_null(resolver_start(resolver, "no such name", 1, note, &outcome));
    wait_for(base, &outcome);
    assert_int_not_equal(outcome.resolved.problem, 0);
    assert_int_equal(outcome.resolved.count, 0);
    resolver_destroy(resolver);
    event_base_free(base);
}

static void a_cancelled_lookup_does_not_call_back(void **state)
{
    struct event_base *base = event_base_new();
    struct resolver *resolver = resolver_create(base);
    struct outcome cancelled = {0}, wanted = {0};

    (void)state;
    struct resolver_lookup *lookup = resolver_start(resolver, "127.0.0.1", 1, note, &cancelled);

    resolver_cancel(lookup);
    resolver_start(resolver, "127.0.0.1", 2, note, &wanted);
    wait_for(base, &wanted);
    assert_int_equal(cancelled.calls, 0);
    resolver_destroy(resolver);
    event_base_free(base);
}

static void the_resolver_may_go_while_lookups_run(void **state)
{
    struct event_base *base = event_base_new();
    struct outcome outcome = {0};

    (void)state;
    for (int i = 0; i < 20; i++) {
        struct resolver *resolver = resolver_create(base);

        assert_non_null(resolver_start(resolver, "localhost", 1, note, &outcome));
        assert_non_null(resolver_start(resolver, "127.0.0.1", 1, note, &outcome));
        resolver_destroy(resolver);
    }
    assert_int_equal(outcome.calls, 0);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_names_are_resolved_later_on_the_loop),
        cmocka_unit_test(what_is_no_name_is_a_problem),
        cmocka_unit_test(a_cancelled_lookup_does_not_call_back),
        cmocka_unit_test(the_resolver_may_go_while_lookups_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
