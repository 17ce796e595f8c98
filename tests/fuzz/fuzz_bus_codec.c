/* fuzz_bus_codec.c: any bytes as frames of the bus (libFuzzer).
 *
 * Nobody crashes, nothing leaks, and what was understood is said again with the same bytes (but for a hello
 * of a newer version, which may hold words that we do not know).
 *
 * The checksum would keep the fuzzer out, so each input is also tried with its header made right. Build and
 * run: clang -g -O1 -fsanitize=fuzzer,address,undefined -Iserver/replica -Iserver/commands -Iserver/protocol
 * -Istorage -Iraft tests/fuzz/fuzz_bus_codec.c server/replica/bus_codec.c server/replica/hello_codec.c
 * server/protocol/byte_buffer.c raft/raft_payload.c raft/raft_message.c raft/raft_memory.c -lxxhash
 */
#include "bus_codec.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *bytes, size_t size)
{
    struct bus_message message;
    size_t consumed = 0, wanted = 0;

    switch (bus_codec_decode(bytes, size, BUS_FRAME_BYTES_MAX, &message, &consumed, &wanted)) {
    case BUS_CODEC_ERROR:
        return;
    case BUS_CODEC_NEED_MORE:
        if (wanted <= size || wanted > (size_t)BUS_FRAME_BYTES_MAX + BUS_FRAME_HEADER_BYTES) {
            abort();
        }
        return;
    case BUS_CODEC_MESSAGE:
        break;
    }
    struct byte_buffer again = {0};
    bool newer = message.type == BUS_MESSAGE_HELLO && message.hello.protocol_version > BUS_PROTOCOL_VERSION;

    if (consumed > size) {
        abort();
    }
    bus_codec_encode(&again, &message);
    if (!newer &&
        (byte_buffer_size(&again) != consumed || memcmp(byte_buffer_front(&again), bytes, consumed) != 0)) {
        abort();
    }
    byte_buffer_deinit(&again);
    bus_message_deinit(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(data, size);
    if (size < 2 || size > 1 << 20) {
        return 0;
    }
    /* data: type (1 byte), body */
    size_t body_bytes = size - 1;
    uint8_t *frame = calloc(1, BUS_FRAME_HEADER_BYTES + body_bytes);

    if (frame == NULL) {
        abort();
    }
    memcpy(frame, "kvdb", 4);
    for (int i = 0; i < 4; i++) {
        frame[4 + i] = (uint8_t)(body_bytes >> (8 * i));
    }
    frame[16] = (uint8_t)(data[0] % 7);
    memcpy(frame + BUS_FRAME_HEADER_BYTES, data + 1, body_bytes);
    uint64_t checksum = XXH3_64bits(frame + 16, BUS_FRAME_HEADER_BYTES - 16 + body_bytes);

    for (int i = 0; i < 8; i++) {
        frame[8 + i] = (uint8_t)(checksum >> (8 * i));
    }
    check(frame, BUS_FRAME_HEADER_BYTES + body_bytes);
    free(frame);
    return 0;
}
