/* bus_frame.h: whole frames of the bus, which tests may change and seal again. */
#ifndef BUS_FRAME_H
#define BUS_FRAME_H

#include "bus_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

static inline struct bus_message bus_frame_hello(void)
{
    struct bus_message message = {.type = BUS_MESSAGE_HELLO};
    struct bus_hello *hello = &message.hello;

    *hello = (struct bus_hello){
        .protocol_version = BUS_PROTOCOL_VERSION,
        .protocol_version_min = BUS_PROTOCOL_VERSION_MIN,
        .rules_version = 3,
        .from = 1,
        .to = 2,
        .disk_id = UINT64_C(0xfedcba9876543210),
        .cluster_id = {11, 12},
        .formation = BUS_FORMATION_FORMED,
        .members_hash = 99,
        .listeners_count = 2,
        .listeners = {{"client", "node1.example.org", 7000}, {"inside", "fd00::1", 7001}},
        .membership_index = 1234567,
        .joining = true,
        .bus_host = "node1",
        .bus_port = 17000,
        .rules_version_min = 2,
    };
    for (int i = 0; i < BUS_NONCE_BYTES; i++) {
        hello->nonce[i] = (uint8_t)i;
    }
    hello->proof[5] = 1;
    return message;
}

static inline enum bus_codec_result bus_frame_decode(const struct byte_buffer *frame,
                                                     struct bus_message *message)
{
    size_t consumed = 0, wanted = 0;
    enum bus_codec_result result = bus_codec_decode(byte_buffer_front(frame), byte_buffer_size(frame),
                                                    BUS_FRAME_BYTES_MAX, message, &consumed, &wanted);

    if (result == BUS_CODEC_MESSAGE) {
        assert_int_equal(consumed, byte_buffer_size(frame));
    }
    return result;
}

/* Makes header and checksum fit the body again after a test has changed it. */
static inline void bus_frame_seal(struct byte_buffer *frame)
{
    uint8_t *bytes = frame->bytes + frame->start;
    uint32_t body_bytes = (uint32_t)(byte_buffer_size(frame) - BUS_FRAME_HEADER_BYTES);
    uint64_t checksum = XXH3_64bits(bytes + 16, byte_buffer_size(frame) - 16);

    for (int i = 0; i < 4; i++) {
        bytes[4 + i] = (uint8_t)(body_bytes >> (8 * i));
    }
    for (int i = 0; i < 8; i++) {
        bytes[8 + i] = (uint8_t)(checksum >> (8 * i));
    }
}

static inline void bus_frame_expect_refused(struct byte_buffer *frame)
{
    struct bus_message message;

    bus_frame_seal(frame);
    assert_int_equal(bus_frame_decode(frame, &message), BUS_CODEC_ERROR);
    byte_buffer_deinit(frame);
}

static inline struct byte_buffer bus_frame_encode(struct bus_message message)
{
    struct byte_buffer frame = {0};

    bus_codec_encode(&frame, &message);
    bus_message_deinit(&message);
    return frame;
}

static inline uint8_t *bus_frame_body(struct byte_buffer *frame)
{
    return frame->bytes + frame->start + BUS_FRAME_HEADER_BYTES;
}

#endif
