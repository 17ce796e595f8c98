/* test_replica_hello_codec.c: hellos of every version, and strange ones. What goes for every frame is in
 * test_replica_bus_codec.c. */
#include "bus_frame.h"

static void a_hello_comes_back_whole(void **state)
{
    struct bus_message sent = bus_frame_hello(), got;
    struct byte_buffer frame = bus_frame_encode(sent);

    (void)state;
    assert_int_equal(bus_frame_decode(&frame, &got), BUS_CODEC_MESSAGE);
    assert_int_equal(got.type, BUS_MESSAGE_HELLO);
    assert_int_equal(got.hello.protocol_version, BUS_PROTOCOL_VERSION);
    assert_int_equal(got.hello.rules_version, 3);
    assert_int_equal(got.hello.from, 1);
    assert_int_equal(got.hello.to, 2);
    assert_true(got.hello.disk_id == UINT64_C(0xfedcba9876543210));
    assert_int_equal(got.hello.cluster_id[0], 11);
    assert_int_equal(got.hello.cluster_id[1], 12);
    assert_int_equal(got.hello.formation, BUS_FORMATION_FORMED);
    assert_int_equal(got.hello.members_hash, 99);
    assert_memory_equal(got.hello.nonce, sent.hello.nonce, BUS_NONCE_BYTES);
    assert_memory_equal(got.hello.proof, sent.hello.proof, BUS_PROOF_BYTES);
    assert_int_equal(got.hello.listeners_count, 2);
    assert_string_equal(got.hello.listeners[0].name, "client");
    assert_string_equal(got.hello.listeners[0].host, "node1.example.org");
    assert_int_equal(got.hello.listeners[0].port, 7000);
    assert_string_equal(got.hello.listeners[1].host, "fd00::1");
    assert_int_equal(got.hello.membership_index, 1234567);
    assert_true(got.hello.joining);
    assert_string_equal(got.hello.bus_host, "node1");
    assert_int_equal(got.hello.bus_port, 17000);
    assert_int_equal(got.hello.rules_version_min, 2);
    byte_buffer_deinit(&frame);
}

/* It says nothing of rules but the newest. */
static void a_hello_of_version_3_is_understood(void **state)
{
    struct bus_message sent = bus_frame_hello(), got;

    (void)state;
    sent.hello.protocol_version = 3;
    struct byte_buffer frame = bus_frame_encode(sent);

    assert_int_equal(bus_frame_decode(&frame, &got), BUS_CODEC_MESSAGE);
    assert_int_equal(got.hello.rules_version, 3);
    assert_int_equal(got.hello.bus_port, 17000);
    assert_int_equal(got.hello.rules_version_min, 0);
    byte_buffer_append(&frame, "more", 4);
    bus_frame_expect_refused(&frame);
}

/* A node of the first version ends it after the listeners. */
static void a_hello_of_version_1_is_understood(void **state)
{
    struct bus_message sent = bus_frame_hello(), got;

    (void)state;
    sent.hello.protocol_version = 1;
    struct byte_buffer frame = bus_frame_encode(sent);

    assert_int_equal(bus_frame_decode(&frame, &got), BUS_CODEC_MESSAGE);
    assert_int_equal(got.hello.protocol_version, 1);
    assert_string_equal(got.hello.listeners[1].host, "fd00::1");
    assert_int_equal(got.hello.membership_index, 0);
    assert_false(got.hello.joining);
    assert_string_equal(got.hello.bus_host, "");
    byte_buffer_append(&frame, "more", 4);
    bus_frame_expect_refused(&frame);
}

static void host_names_with_line_ends_or_spaces_are_refused(void **state)
{
    static const char bad[] = {'\r', '\n', ' ', '\0', '\x7f', '\x80'};

    (void)state;
    for (size_t i = 0; i < sizeof bad; i++) {
        struct bus_message message = bus_frame_hello();
        struct byte_buffer frame = bus_frame_encode(message);
        uint8_t *host =
            memmem(bus_frame_body(&frame), byte_buffer_size(&frame) - BUS_FRAME_HEADER_BYTES, "node1", 5);

        assert_non_null(host);
        host[4] = (uint8_t)bad[i];
        bus_frame_expect_refused(&frame);
    }
}

static void strange_hellos_are_refused(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
        {2, BUS_PROTOCOL_VERSION + 1}, /* the oldest version is newer than the newest */
        {48, 3},                       /* formation */
        {108, 5},                      /* listeners */
        {112, 32},                     /* a name that is too long */
    };

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct byte_buffer frame = bus_frame_encode(bus_frame_hello());

        bus_frame_body(&frame)[changes[i].at] = changes[i].value;
        bus_frame_expect_refused(&frame);
    }
}

static void a_hello_whose_oldest_rules_are_newer_than_its_newest_is_refused(void **state)
{
    struct bus_message sent = bus_frame_hello();

    (void)state;
    sent.hello.rules_version_min = sent.hello.rules_version + 1;
    struct byte_buffer frame = bus_frame_encode(sent);

    bus_frame_expect_refused(&frame);
}

static void a_hello_of_a_newer_version_may_say_more(void **state)
{
    struct byte_buffer frame = bus_frame_encode(bus_frame_hello());
    struct bus_message message;

    (void)state;
    bus_frame_body(&frame)[0] = BUS_PROTOCOL_VERSION + 1;
    byte_buffer_append(&frame, "more", 4);
    bus_frame_seal(&frame);
    assert_int_equal(bus_frame_decode(&frame, &message), BUS_CODEC_MESSAGE);
    assert_int_equal(message.hello.protocol_version, BUS_PROTOCOL_VERSION + 1);
    byte_buffer_deinit(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_comes_back_whole),
        cmocka_unit_test(a_hello_of_version_1_is_understood),
        cmocka_unit_test(a_hello_of_version_3_is_understood),
        cmocka_unit_test(a_hello_whose_oldest_rules_are_newer_than_its_newest_is_refused),
        cmocka_unit_test(host_names_with_line_ends_or_spaces_are_refused),
        cmocka_unit_test(strange_hellos_are_refused),
        cmocka_unit_test(a_hello_of_a_newer_version_may_say_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
