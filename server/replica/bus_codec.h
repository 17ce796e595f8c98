/* bus_codec.h: frames of the bus: bytes to messages and back. Pure.
 *
 * Frame (little-endian):
 *   u32 magic 'kvdb' | u32 body bytes | u64 XXH3 of type..body | u16 type | u16 zero | u32 zero | body
 * Every length is checked against what is there and against a limit before it is used; a frame that is not
 * wholly understood is an error: never trust a length that came from the network.
 */
#ifndef BUS_CODEC_H
#define BUS_CODEC_H

#include "bus_message.h"
#include "byte_buffer.h"

enum { BUS_FRAME_HEADER_BYTES = 24 };

/* Appends one frame. Entries' payload bytes are copied. */
void bus_codec_encode(struct byte_buffer *out, const struct bus_message *message);

enum bus_codec_result {
    BUS_CODEC_NEED_MORE,
    BUS_CODEC_MESSAGE, /* *message is filled (free with bus_message_deinit()), *consumed bytes were it */
    BUS_CODEC_ERROR,   /* garbage, a bad checksum, or over the limit: close */
};
/* `body_bytes_max`: the limit for one frame; small before HELLO, BUS_FRAME_BYTES_MAX after. *wanted (on
 * NEED_MORE): bytes of the whole frame as far as known. Entries get payloads of their own, one reference
 * each. */
enum bus_codec_result bus_codec_decode(const uint8_t *bytes, size_t size, size_t body_bytes_max,
                                       struct bus_message *message, size_t *consumed, size_t *wanted)
    __attribute__((warn_unused_result));

void bus_message_deinit(struct bus_message *message);

#endif
