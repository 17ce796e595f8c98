/* test_connection.c: clients of a real node over real sockets: what arrives in pieces, too much, too long, or
 * half. */
#include "runtime_child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define FLAGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void requests_in_single_bytes_are_answered(void **state)
{
    static const char text[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nab\r\nGET k\r\n";
    struct runtime_child child;

    (void)state;
    runtime_child_start(&child, NULL);
    int file = runtime_child_connect(child.port);

    for (size_t i = 0; i < sizeof text - 1; i++) {
        runtime_child_send(file, text + i, 1);
        (void)usleep(200);
    }
    runtime_child_expect(file, "+OK\r\n$2\r\nab\r\n");
    (void)close(file);
    runtime_child_stop(&child);
}

static void a_long_pipeline_is_answered_in_order(void **state)
{
    enum { COUNT = 20000 };
    struct runtime_child child;
    size_t size = 0;
    char *text = malloc(COUNT * 32), *replies = malloc(COUNT * 16);

    (void)state;
    runtime_child_start(&child, FLAGS("--client-pending-bytes", "64KiB"));
    int file = runtime_child_connect(child.port);

    for (int i = 0; i < COUNT; i++) {
        size += (size_t)sprintf(text + size, "INCR counter\r\n");
    }
    /* Sent by another process: the node may stop reading until its replies are taken. */
    pid_t sender = fork();

    if (sender == 0) {
        runtime_child_send(file, text, size);
        _exit(0);
    }
    size = 0;
    for (int i = 1; i <= COUNT; i++) {
        size += (size_t)sprintf(replies + size, ":%d\r\n", i);
    }
    runtime_child_expect(file, replies);
    assert_int_equal(waitpid(sender, NULL, 0), sender);
    (void)close(file);
    free(text);
    free(replies);
    runtime_child_stop(&child);
}

/* Back-pressure: a client that does not read its replies is not read from, and costs little memory meanwhile.
 */
static void a_client_that_does_not_read_is_not_read_from(void **state)
{
    enum { VALUE_BYTES = 1000000 };
    struct runtime_child child;
    char *value = malloc(VALUE_BYTES + 1);

    (void)state;
    memset(value, 'v', VALUE_BYTES);
    value[VALUE_BYTES] = '\0';
    runtime_child_start(&child, FLAGS("--client-pending-bytes", "1MiB"));
    int file = runtime_child_connect(child.port), other = runtime_child_connect(child.port);

    runtime_child_send_text(file, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n");
    runtime_child_send(file, value, VALUE_BYTES);
    runtime_child_send_text(file, "\r\n");
    runtime_child_expect(file, "+OK\r\n");
    /* Two gigabytes of replies are asked for; nobody takes them; sending comes to a halt. */
    size_t sent = 0;

    for (int i = 0; i < 2000; i++) {
        static const char get[] = "GET k\r\n";
        ssize_t more = send(file, get, sizeof get - 1, MSG_DONTWAIT | MSG_NOSIGNAL);

        sent += more > 0 ? (size_t)more : 0;
    }
    runtime_child_send_text(other, "PING\r\n");
    runtime_child_expect(other, "+PONG\r\n");
    runtime_child_send_text(other, "INFO memory\r\n");
    char head[4096] = "";
    const char *used = NULL;

    for (size_t size = 0; used == NULL || strchr(used, '\n') == NULL;
         used = strstr(head, "used_memory_rss:")) {
        ssize_t got = read(other, head + size, sizeof head - 1 - size);

        assert_true(got > 0);
        size += (size_t)got;
    }
    assert_true(strtoull(used + strlen("used_memory_rss:"), NULL, 10) < 600u * 1024 * 1024);
    assert_true(sent > 0);
    (void)close(file);
    (void)close(other);
    free(value);
    runtime_child_stop(&child);
}

static void what_was_sent_before_the_end_is_answered(void **state)
{
    struct runtime_child child;

    (void)state;
    runtime_child_start(&child, NULL);
    for (int round = 0; round < 20; round++) {
        int file = runtime_child_connect(child.port);

        runtime_child_send_text(file, "SET a 1\r\nINCR a\r\nGET a\r\nPING\r\nINCR a\r\nGET unfinished");
        assert_int_equal(shutdown(file, SHUT_WR), 0);
        char *all = runtime_child_read_all(file);

        assert_string_equal(all, "+OK\r\n:2\r\n$1\r\n2\r\n+PONG\r\n:3\r\n");
        free(all);
        (void)close(file);
    }
    runtime_child_stop(&child);
}

static void quit_is_answered_and_closes(void **state)
{
    struct runtime_child child;

    (void)state;
    runtime_child_start(&child, NULL);
    int file = runtime_child_connect(child.port);

    runtime_child_send_text(file, "SET a 1\r\nQUIT\r\n");
    char *all = runtime_child_read_all(file);

    assert_string_equal(all, "+OK\r\n+OK\r\n");
    free(all);
    (void)close(file);
    /* Also when the client has closed its side before the QUIT's turn came. */
    for (int round = 0; round < 20; round++) {
        file = runtime_child_connect(child.port);
        runtime_child_send_text(file, "SET a 1\r\nQUIT\r\n");
        assert_int_equal(shutdown(file, SHUT_WR), 0);
        all = runtime_child_read_all(file);
        assert_string_equal(all, "+OK\r\n+OK\r\n");
        free(all);
        (void)close(file);
    }
    runtime_child_stop(&child);
}

/* The error must reach the client, although much of what it sent is never read. */
static void a_broken_request_is_answered_after_earlier_ones_and_closes(void **state)
{
    struct runtime_child child;
    char *junk = malloc(300000);

    (void)state;
    memset(junk, 'x', 300000);
    runtime_child_start(&child, NULL);
    int file = runtime_child_connect(child.port);

    runtime_child_send_text(file, "INCR a\r\n*1\r\n@3\r\nfoo\r\n");
    char *all = runtime_child_read_all(file);

    assert_string_equal(all, ":1\r\n-ERR Protocol error: expected '$', got '@'\r\n");
    free(all);
    (void)close(file);

    file = runtime_child_connect(child.port);
    for (int i = 0; i < 5; i++) {
        (void)send(file, junk, 300000, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    all = runtime_child_read_all(file);
    assert_string_equal(all, "-ERR Protocol error: too big inline request\r\n");
    free(all);
    (void)close(file);
    free(junk);
    runtime_child_stop(&child);
}

static void browsers_are_hung_up_on(void **state)
{
    struct runtime_child child;

    (void)state;
    runtime_child_start(&child, NULL);
    int file = runtime_child_connect(child.port);

    runtime_child_send_text(file, "POST / HTTP/1.1\r\nHost: kvd\r\n\r\n");
    char *all = runtime_child_read_all(file);

    assert_string_equal(all, "");
    free(all);
    (void)close(file);
    runtime_child_stop(&child);
}

static void clients_over_the_limit_are_told_so(void **state)
{
    struct runtime_child child;
    int files[3];

    (void)state;
    runtime_child_start(&child, FLAGS("--max-clients", "3"));
    for (int i = 0; i < 3; i++) {
        files[i] = runtime_child_connect(child.port);
        runtime_child_send_text(files[i], "PING\r\n");
        runtime_child_expect(files[i], "+PONG\r\n");
    }
    int late = runtime_child_connect(child.port);
    char *all = runtime_child_read_all(late);

    assert_string_equal(all, "-ERR max number of clients reached\r\n");
    free(all);
    (void)close(late);
    (void)close(files[1]);
    /* Its place is free once the node has seen the end. */
    for (int i = 0;; i++) {
        assert_true(i < 1000);
        late = runtime_child_connect(child.port);
        runtime_child_send_text(late, "PING\r\nQUIT\r\n");
        all = runtime_child_read_all(late);
        bool served = strcmp(all, "+PONG\r\n+OK\r\n") == 0;

        free(all);
        (void)close(late);
        if (served) {
            break;
        }
        (void)usleep(10000);
    }
    (void)close(files[0]);
    (void)close(files[2]);
    runtime_child_stop(&child);
}

static bool is_told(const char *answer)
{
    return strncmp(answer, "-ERR no memory", 14) == 0;
}

/* Waits until `least` of the clients were told that there is no memory for what they have sent so far. */
static void wait_until_told(const int *files, bool *told, int count, int least)
{
    for (int tries = 0, sum = 0; sum < least; tries++) {
        assert_true(tries < 3000);
        (void)usleep(tries == 0 ? 0 : 10000);
        for (int i = 0; i < count; i++) {
            char start[64] = "";

            if (!told[i] && recv(files[i], start, sizeof start - 1, MSG_DONTWAIT) > 0) {
                assert_true(is_told(start));
                told[i] = true;
                sum++;
            }
        }
    }
}

/* The others send what was missing, and get the reply or are told now. At least one is served. */
static void expect_some_served(const int *files, const bool *told, int count, const char *rest,
                               const char *reply)
{
    int served = 0;

    for (int i = 0; i < count; i++) {
        char start[64] = "";

        if (!told[i]) {
            (void)send(files[i], rest, strlen(rest), MSG_NOSIGNAL);
            assert_true(recv(files[i], start, sizeof start - 1, 0) > 0);
            assert_true(is_told(start) || strcmp(start, reply) == 0);
            served += !is_told(start);
        }
        (void)close(files[i]);
    }
    assert_true(served > 0);
}

/* Each sends most of a large value and stops. Those that do not fit under client-memory are told so; small
 * requests go on. */
static void half_sent_requests_do_not_fill_the_memory(void **state)
{
    enum { CLIENTS = 30, SENT_BYTES = 200000 };
    struct runtime_child child;
    int files[CLIENTS];
    bool told[CLIENTS] = {false};
    char *junk = calloc(1, SENT_BYTES + 3);

    (void)state;
    memset(junk, 'x', SENT_BYTES);
    runtime_child_start(&child, FLAGS("--client-memory", "1MiB"));
    for (int i = 0; i < CLIENTS; i++) {
        files[i] = runtime_child_connect(child.port);
        runtime_child_send_text(files[i], "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$400000\r\n");
        (void)send(files[i], junk, SENT_BYTES, MSG_NOSIGNAL);
    }
    int other = runtime_child_connect(child.port);

    runtime_child_send_text(other, "SET small 1\r\n");
    runtime_child_expect(other, "+OK\r\n");
    wait_until_told(files, told, CLIENTS, CLIENTS - 10);
    memcpy(junk + SENT_BYTES, "\r\n", 3);
    expect_some_served(files, told, CLIENTS, junk, "+OK\r\n");
    (void)close(other);
    free(junk);
    runtime_child_stop(&child);
}

/* What a short argument costs is more than its bytes. */
static void half_sent_requests_of_many_empty_arguments_do_not_fill_the_memory(void **state)
{
    enum {
        CLIENTS = 100,
        ARGUMENTS = 2500, /* 15,000 bytes, and four times as much to remember them */
    };
    static const char argument[] = "$0\r\n\r\n";
    struct runtime_child child;
    int files[CLIENTS];
    bool told[CLIENTS] = {false};
    size_t size = 0;
    char *text = malloc(64 + ARGUMENTS * sizeof argument);

    (void)state;
    size = (size_t)sprintf(text, "*%d\r\n$3\r\nDEL\r\n", ARGUMENTS + 2);
    for (int i = 0; i < ARGUMENTS; i++) {
        size += (size_t)sprintf(text + size, "%s", argument);
    }
    runtime_child_start(&child, FLAGS("--client-memory", "1MiB"));
    for (int i = 0; i < CLIENTS; i++) {
        files[i] = runtime_child_connect(child.port);
        runtime_child_send(files[i], text, size);
    }
    wait_until_told(files, told, CLIENTS, CLIENTS - 20);
    /* One that was let in is served when it is complete. */
    expect_some_served(files, told, CLIENTS, argument, ":0\r\n");
    free(text);
    runtime_child_stop(&child);
}

static void values_of_megabytes_arrive_whole(void **state)
{
    enum { VALUE_BYTES = 5000000 };
    struct runtime_child child;
    char *value = malloc(VALUE_BYTES + 1), head[64], *got = malloc(VALUE_BYTES + 64);

    (void)state;
    for (size_t i = 0; i < VALUE_BYTES; i++) {
        value[i] = (char)('a' + i * 7 % 26);
    }
    value[VALUE_BYTES] = '\0';
    runtime_child_start(&child, NULL);
    int file = runtime_child_connect(child.port);

    sprintf(head, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", VALUE_BYTES);
    runtime_child_send_text(file, head);
    runtime_child_send(file, value, VALUE_BYTES);
    runtime_child_send_text(file, "\r\nGET k\r\n");
    sprintf(got, "+OK\r\n$%d\r\n%s\r\n", VALUE_BYTES, value);
    runtime_child_expect(file, got);
    (void)close(file);
    free(value);
    free(got);
    runtime_child_stop(&child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_in_single_bytes_are_answered),
        cmocka_unit_test(a_long_pipeline_is_answered_in_order),
        cmocka_unit_test(a_client_that_does_not_read_is_not_read_from),
        cmocka_unit_test(what_was_sent_before_the_end_is_answered),
        cmocka_unit_test(quit_is_answered_and_closes),
        cmocka_unit_test(a_broken_request_is_answered_after_earlier_ones_and_closes),
        cmocka_unit_test(browsers_are_hung_up_on),
        cmocka_unit_test(clients_over_the_limit_are_told_so),
        cmocka_unit_test(half_sent_requests_do_not_fill_the_memory),
        cmocka_unit_test(half_sent_requests_of_many_empty_arguments_do_not_fill_the_memory),
        cmocka_unit_test(values_of_megabytes_arrive_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
