/* test_stream_wire.c: bytes and frames on a socket that a thread waits for: in pieces, too many, too late,
 * and not at all. */
#include "stream_wire.h"

#include "socket.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A wire, and the other end of its socket. */
struct ends {
    struct stream_wire wire;
    int other;
};

static int set_up(void **state)
{
    struct ends *ends = calloc(1, sizeof *ends);
    int files[2];

    assert_non_null(ends);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, files), 0);
    assert_int_equal(fcntl(files[0], F_SETFL, O_NONBLOCK), 0);
    ends->wire.file = files[0];
    ends->other = files[1];
    *state = ends;
    return 0;
}

static void close_other(struct ends *ends)
{
    if (ends->other >= 0) {
        (void)close(ends->other);
    }
    ends->other = -1;
}

static int tear_down(void **state)
{
    struct ends *ends = *state;

    stream_wire_close(&ends->wire);
    close_other(ends);
    free(ends);
    return 0;
}

static struct bus_message make_end(const char *reason)
{
    struct bus_message message = {.type = BUS_MESSAGE_SNAPSHOT_END};

    (void)snprintf(message.snapshot_end.reason, sizeof message.snapshot_end.reason, "%s", reason);
    return message;
}

static void send_raw(struct ends *ends, const void *bytes, size_t size)
{
    assert_int_equal(write(ends->other, bytes, size), (ssize_t)size);
}

static void expect_reason(struct ends *ends, const char *reason)
{
    struct bus_message got;

    if (!stream_wire_receive_frame(&ends->wire, 1000, &got)) {
        fail_msg("%s", ends->wire.problem);
    }
    assert_int_equal(got.type, BUS_MESSAGE_SNAPSHOT_END);
    assert_string_equal(got.snapshot_end.reason, reason);
    bus_message_deinit(&got);
}

static void expect_failure(struct ends *ends, uint32_t silence_ms, const char *problem)
{
    struct bus_message got;

    assert_false(stream_wire_receive_frame(&ends->wire, silence_ms, &got));
    assert_non_null(strstr(ends->wire.problem, problem));
}

/* ---- frames -------------------------------------------------------------------------------------- */

static void a_frame_is_received_wherever_it_was_cut(void **state)
{
    struct ends *ends = *state;
    struct bus_message message = make_end("why it ended");
    struct byte_buffer frame = {0};

    bus_codec_encode(&frame, &message);
    size_t size = byte_buffer_size(&frame);

    for (size_t cut = 1; cut < size; cut++) {
        send_raw(ends, byte_buffer_front(&frame), cut);
        assert_true(stream_wire_await(&ends->wire, cut));
        assert_true(stream_wire_has_input(&ends->wire));
        send_raw(ends, byte_buffer_front(&frame) + cut, size - cut);
        expect_reason(ends, "why it ended");
        assert_false(stream_wire_has_input(&ends->wire));
    }
    byte_buffer_deinit(&frame);
}

static void what_comes_behind_a_frame_stays(void **state)
{
    struct ends *ends = *state;
    struct bus_message message = make_end("first");
    struct byte_buffer bytes = {0};

    bus_codec_encode(&bytes, &message);
    message = make_end("second");
    bus_codec_encode(&bytes, &message);
    byte_buffer_append(&bytes, "chunks", 6);
    send_raw(ends, byte_buffer_front(&bytes), byte_buffer_size(&bytes));
    expect_reason(ends, "first");
    assert_true(stream_wire_has_input(&ends->wire));
    expect_reason(ends, "second");
    assert_true(stream_wire_await(&ends->wire, 6));
    assert_memory_equal(byte_buffer_front(&ends->wire.input), "chunks", 6);
    byte_buffer_deinit(&bytes);
}

static void what_is_sent_is_a_frame_for_the_other_side(void **state)
{
    struct ends *ends = *state;
    struct bus_message message = make_end("said"), got;
    uint8_t bytes[1000];
    size_t consumed, wanted;

    assert_true(stream_wire_send_frame(&ends->wire, &message));
    ssize_t size = read(ends->other, bytes, sizeof bytes);

    assert_true(size > 0);
    assert_int_equal(bus_codec_decode(bytes, (size_t)size, sizeof bytes, &got, &consumed, &wanted),
                     BUS_CODEC_MESSAGE);
    assert_int_equal(consumed, size);
    assert_string_equal(got.snapshot_end.reason, "said");
    bus_message_deinit(&got);
}

static void garbage_is_no_frame(void **state)
{
    struct ends *ends = *state;

    send_raw(ends, "GET / HTTP/1.1\r\n", 16);
    expect_failure(ends, 1000, "no frame of the bus");
}

/* Its length alone is enough: nothing of it is waited for. */
static void a_frame_that_is_too_long_is_refused_at_its_head(void **state)
{
    struct ends *ends = *state;
    struct bus_message message = make_end("");
    struct byte_buffer frame = {0};
    uint32_t length = STREAM_FRAME_BYTES_MAX + 1;

    bus_codec_encode(&frame, &message);
    memcpy(frame.bytes + frame.start + 4, &length, sizeof length);
    send_raw(ends, byte_buffer_front(&frame), BUS_FRAME_HEADER_BYTES);
    expect_failure(ends, 1000, "no frame of the bus");
    byte_buffer_deinit(&frame);
}

/* ---- the end ------------------------------------------------------------------------------------- */

static void an_end_in_the_middle_is_told(void **state)
{
    struct ends *ends = *state;

    send_raw(ends, "kv", 2);
    close_other(ends);
    assert_false(stream_wire_await(&ends->wire, 3));
    assert_string_equal(ends->wire.problem, "closed by the other side");
    assert_false(stream_wire_send(&ends->wire, "x", 1));
    assert_string_equal(ends->wire.problem, "closed by the other side"); /* the first one is kept */
}

static void silence_ends_it(void **state)
{
    expect_failure(*state, 100, "nothing moved");
}

static void one_that_was_aborted_waits_for_nothing(void **state)
{
    struct ends *ends = *state;

    atomic_store(&ends->wire.aborted, true);
    stream_wire_sleep(&ends->wire, 3600 * 1000);
    expect_failure(ends, STREAM_SILENCE_MS_MAX, "it was given up");
}

static void *abort_later(void *context)
{
    const struct timespec moment = {0, 20 * 1000 * 1000};

    (void)nanosleep(&moment, NULL);
    atomic_store(&((struct ends *)context)->wire.aborted, true);
    return NULL;
}

static void waiting_ends_when_another_thread_aborts_it(void **state)
{
    struct ends *ends = *state;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, abort_later, ends), 0);
    assert_false(stream_wire_await(&ends->wire, 1));
    assert_string_equal(ends->wire.problem, "it was given up");
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- much ---------------------------------------------------------------------------------------- */

enum { MUCH_BYTES = 3 << 20 };

static void *read_slowly(void *context)
{
    struct ends *ends = context;
    uint8_t bytes[50000];
    size_t got = 0;

    while (got < MUCH_BYTES) {
        ssize_t size = read(ends->other, bytes, sizeof bytes);

        for (ssize_t i = 0; i < size; i++) {
            if (bytes[i] != (uint8_t)((got + (size_t)i) * 7)) {
                return ends; /* another byte than was sent */
            }
        }
        if (size <= 0) {
            return ends;
        }
        got += (size_t)size;
    }
    return NULL;
}

static void more_than_the_socket_holds_arrives_whole(void **state)
{
    struct ends *ends = *state;
    uint8_t *bytes = malloc(MUCH_BYTES);
    pthread_t thread;
    void *wrong = NULL;

    assert_non_null(bytes);
    for (size_t i = 0; i < MUCH_BYTES; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, ends), 0);
    assert_true(stream_wire_send(&ends->wire, bytes, MUCH_BYTES));
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    free(bytes);
}

typedef int wait_for_files(struct pollfd *files, nfds_t count, int ms);

static bool never_ready;

/* In place of the C library's, for this executable. */
int poll(struct pollfd *files, nfds_t count, int ms)
{
    wait_for_files *real = (wait_for_files *)dlsym(RTLD_NEXT, "poll");

    return real(files, never_ready ? 0 : count, ms);
}

/* ---- slow others --------------------------------------------------------------------------------- */

struct trickle {
    int file;
    atomic_bool done;
};

/* Takes a little now and then, so that something moves all the time. */
static void *trickle(void *context)
{
    struct trickle *trickle = context;
    const struct timespec pause = {0, 5 * 1000 * 1000};
    uint8_t bytes[1000];

    while (!atomic_load(&trickle->done)) {
        (void)recv(trickle->file, bytes, sizeof bytes, MSG_DONTWAIT);
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

/* Sends to one who takes 200 KB in a second at most. */
static bool send_to_trickle(struct ends *ends, size_t size)
{
    struct trickle other = {.file = ends->other};
    uint8_t *bytes = calloc(1, size);
    const int few = 4096;
    pthread_t thread;

    assert_non_null(bytes);
    assert_int_equal(setsockopt(ends->wire.file, SOL_SOCKET, SO_SNDBUF, &few, sizeof few), 0);
    assert_int_equal(pthread_create(&thread, NULL, trickle, &other), 0);
    bool sent = stream_wire_send(&ends->wire, bytes, size);

    atomic_store(&other.done, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    free(bytes);
    return sent;
}

static void who_takes_a_little_now_and_then_is_given_up(void **state)
{
    struct ends *ends = *state;
    uint64_t begun_ms = stream_wire_now_ms();

    ends->wire.send_ms_max = 200;
    assert_false(send_to_trickle(ends, MUCH_BYTES)); /* would take 15 s */
    assert_true(stream_wire_now_ms() - begun_ms >= 200);
    assert_non_null(strstr(ends->wire.problem, "it is too slow: "));
    assert_non_null(strstr(ends->wire.problem, " of 3145728 bytes got through in 0 s"));
    assert_null(strstr(ends->wire.problem, ": 0 of"));
}

static void who_takes_nothing_is_given_up_sooner(void **state)
{
    struct ends *ends = *state;
    uint8_t *bytes = calloc(1, MUCH_BYTES);

    assert_non_null(bytes);
    ends->wire.silence_ms = 100;
    assert_false(stream_wire_send(&ends->wire, bytes, MUCH_BYTES));
    assert_string_equal(ends->wire.problem, "nothing moved for 0 s");
    free(bytes);
}

static void who_is_slow_but_not_stuck_is_waited_for(void **state)
{
    struct ends *ends = *state;

    assert_true(send_to_trickle(ends, 40000)); /* some ten waits */
    assert_string_equal(ends->wire.problem, "");
}

/* The kernel calls a large buffer writable when a third of it is free. Here it does not do so at all. */
static void what_moves_is_found_out_by_trying(void **state)
{
    struct ends *ends = *state;

    never_ready = true;
    ends->wire.silence_ms = 1000;
    bool sent = send_to_trickle(ends, 40000);

    never_ready = false;
    assert_true(sent);
}

/* As the pace does: a low rate is no slow other side. */
static void time_between_two_sends_does_not_count(void **state)
{
    struct ends *ends = *state;
    uint64_t begun_ms = stream_wire_now_ms();

    ends->wire.send_ms_max = 50;
    for (int i = 0; i < 3; i++) {
        assert_true(stream_wire_send(&ends->wire, "x", 1));
        stream_wire_sleep(&ends->wire, 60);
    }
    assert_true(stream_wire_now_ms() - begun_ms >= 150);
    assert_string_equal(ends->wire.problem, "");
}

/* ---- connecting ---------------------------------------------------------------------------------- */

typedef int look_up(const char *host, const char *service, const struct addrinfo *hints,
                    struct addrinfo **found);

/* In place of the C library's, for this executable: a name of two addresses. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    look_up *real = (look_up *)dlsym(RTLD_NEXT, "getaddrinfo");
    if (host == NULL || strcmp(host, "two.test") != 0) {
        return real(host, service, hints, found);
    }
    int result = real("127.0.0.2", service, hints, found);
    return result != 0 ? result : real("127.0.0.1", service, hints, &(*found)->ai_next);
}

static void a_node_at_the_second_address_of_its_name_is_reached(void **state)
{
    struct stream_wire wire = {.file = -1}, late = {.file = -1};
    char reason[300];
    int listening = socket_listen("127.0.0.1", 0, reason, sizeof reason);

    (void)state;
    assert_true(listening >= 0);
    uint16_t port = socket_local_port(listening);

    assert_true(stream_wire_connect(&wire, "two.test", port));
    assert_string_equal(wire.problem, "");
    assert_true(stream_wire_send(&wire, "x", 1));
    (void)close(listening);
    assert_false(stream_wire_connect(&late, "two.test", port));
    assert_string_equal(late.problem, "Connection refused");
    stream_wire_close(&wire);
    stream_wire_close(&late);
}

static void it_connects_to_who_listens_and_says_why_it_cannot(void **state)
{
    struct stream_wire first = {.file = -1}, second = {.file = -1}, third = {.file = -1};
    char reason[300];
    int listening = socket_listen("127.0.0.1", 0, reason, sizeof reason);

    (void)state;
    assert_true(listening >= 0);
    uint16_t port = socket_local_port(listening);

    assert_true(stream_wire_connect(&first, "127.0.0.1", port));
    assert_true(stream_wire_send(&first, "x", 1));
    (void)close(listening);
    assert_false(stream_wire_connect(&second, "127.0.0.1", port));
    assert_string_equal(second.problem, "Connection refused");
    assert_false(stream_wire_connect(&third, "no-such-host.invalid", port));
    assert_non_null(strstr(third.problem, "its name is not known"));
    stream_wire_close(&first);
    stream_wire_close(&second);
    stream_wire_close(&third);
    stream_wire_close(&third); /* once more does no harm */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_frame_is_received_wherever_it_was_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_behind_a_frame_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_sent_is_a_frame_for_the_other_side, set_up, tear_down),
        cmocka_unit_test_setup_teardown(garbage_is_no_frame, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_frame_that_is_too_long_is_refused_at_its_head, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_in_the_middle_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silence_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_was_aborted_waits_for_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waiting_ends_when_another_thread_aborts_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_the_socket_holds_arrives_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_takes_a_little_now_and_then_is_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_takes_nothing_is_given_up_sooner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_slow_but_not_stuck_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_moves_is_found_out_by_trying, set_up, tear_down),
        cmocka_unit_test_setup_teardown(time_between_two_sends_does_not_count, set_up, tear_down),
        cmocka_unit_test(it_connects_to_who_listens_and_says_why_it_cannot),
        cmocka_unit_test(a_node_at_the_second_address_of_its_name_is_reached),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
