/* test_load_client.c: requests as Redis wants them, and replies wherever the bytes are cut. */
#include "load_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
    uint32_t count;
    uint32_t missing;
    uint64_t due_ns[8];
};

static void on_reply(void *context, const struct load_pending *request, bool is_missing)
{
    struct seen *seen = context;
    seen->due_ns[seen->count++] = request->due_ns;
    seen->missing += is_missing;
}

struct fixture {
    int other; /* the server's end */
    struct load_client client;
    struct byte_buffer value;
};

static struct fixture fixture;

static int connect_pair(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fixture = (struct fixture){.other = ends[1]};
    load_client_init(&fixture.client, ends[0], 4);
    load_value(&fixture.value, "abc", 3);
    return 0;
}

static int disconnect(void **state)
{
    (void)state;
    load_client_deinit(&fixture.client);
    byte_buffer_deinit(&fixture.value);
    close(fixture.other);
    return 0;
}

static void expect_sent(const char *expected)
{
    char sent[512];
    assert_true(load_client_flush(&fixture.client));
    ssize_t size = recv(fixture.other, sent, sizeof sent, 0);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(sent, expected, (size_t)size);
}

static void requests_are_arrays_of_bulk_strings_with_the_keys_of_redis_benchmark(void **state)
{
    (void)state;
    load_client_set(&fixture.client, 1, 42, &fixture.value);
    expect_sent("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000042\r\n$3\r\nabc\r\n");
    load_client_get(&fixture.client, 2, UINT64_C(999999999999));
    expect_sent("*2\r\n$3\r\nGET\r\n$16\r\nkey:999999999999\r\n");
    load_client_mset(&fixture.client, 3, 0, 2, &fixture.value);
    expect_sent("*5\r\n$4\r\nMSET\r\n$16\r\nkey:000000000000\r\n$3\r\nabc\r\n"
                "$16\r\nkey:000000000001\r\n$3\r\nabc\r\n");
}

static void room_is_what_may_be_unanswered(void **state)
{
    (void)state;
    struct seen seen = {0};
    for (uint64_t i = 0; i < 4; i++) {
        assert_true(load_client_has_room(&fixture.client));
        load_client_get(&fixture.client, i, 1);
    }
    assert_false(load_client_has_room(&fixture.client));
    assert_true(load_client_receive(&fixture.client, "$-1\r\n", 5, on_reply, &seen));
    assert_true(load_client_has_room(&fixture.client));
}

static void replies_are_counted_wherever_they_are_cut(void **state)
{
    (void)state;
    /* The value holds what would be a reply of its own. */
    const char replies[] = "+OK\r\n$9\r\n+OK\r\n$-1\r\r\n$-1\r\n$0\r\n\r\n";
    const size_t size = sizeof replies - 1;
    for (size_t first = 0; first <= size; first++) {
        for (size_t second = first; second <= size; second++) {
            struct seen seen = {0};
            load_client_set(&fixture.client, 10, 1, &fixture.value);
            load_client_get(&fixture.client, 20, 1);
            load_client_get(&fixture.client, 30, 1);
            load_client_get(&fixture.client, 40, 1);
            assert_true(load_client_receive(&fixture.client, replies, first, on_reply, &seen));
            assert_true(
                load_client_receive(&fixture.client, replies + first, second - first, on_reply, &seen));
            assert_true(
                load_client_receive(&fixture.client, replies + second, size - second, on_reply, &seen));
            assert_int_equal(seen.count, 4);
            assert_int_equal(seen.missing, 1);
            assert_int_equal(seen.due_ns[0], 10);
            assert_int_equal(seen.due_ns[3], 40);
            assert_int_equal(fixture.client.pending_count, 0);
        }
    }
}

static void refuse(enum load_kind kind, const char *reply)
{
    struct seen seen = {0};
    fixture.client.pending_count = 0; /* what was refused before stays unanswered */
    if (kind == LOAD_WRITE) {
        load_client_set(&fixture.client, 1, 1, &fixture.value);
    } else {
        load_client_get(&fixture.client, 1, 1);
    }
    assert_false(load_client_receive(&fixture.client, reply, strlen(reply), on_reply, &seen));
    assert_int_equal(seen.count, 0);
}

static void an_error_is_told_and_counts_as_no_reply(void **state)
{
    (void)state;
    refuse(LOAD_WRITE, "-MOVED 7 127.0.0.1:7001\r\n");
    assert_string_equal(fixture.client.line, "-MOVED 7 127.0.0.1:7001");
}

static void a_reply_of_the_wrong_kind_is_refused(void **state)
{
    (void)state;
    refuse(LOAD_READ, "+OK\r\n");
    refuse(LOAD_WRITE, "$3\r\nabc\r\n");
    refuse(LOAD_WRITE, ":1\r\n");
}

static void a_reply_that_nobody_asked_for_is_refused(void **state)
{
    (void)state;
    struct seen seen = {0};
    assert_false(load_client_receive(&fixture.client, "+OK\r\n", 5, on_reply, &seen));
}

static void a_line_without_end_is_refused(void **state)
{
    (void)state;
    char line[2 * LOAD_LINE_BYTES];
    memset(line, '-', sizeof line);
    line[sizeof line - 1] = '\0';
    refuse(LOAD_READ, line);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, connect_pair, disconnect)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(requests_are_arrays_of_bulk_strings_with_the_keys_of_redis_benchmark),
        CASE(room_is_what_may_be_unanswered),
        CASE(replies_are_counted_wherever_they_are_cut),
        CASE(an_error_is_told_and_counts_as_no_reply),
        CASE(a_reply_of_the_wrong_kind_is_refused),
        CASE(a_reply_that_nobody_asked_for_is_refused),
        CASE(a_line_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
