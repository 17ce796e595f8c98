/* hello_codec.h: the body of a HELLO, to bytes and back. For bus_codec.c, which frames it. Pure. */
#ifndef HELLO_CODEC_H
#define HELLO_CODEC_H

#include "bus_message.h"
#include "byte_buffer.h"
#include "byte_cursor.h"

/* Appends the body, in the form of hello->protocol_version. */
void hello_codec_encode(struct byte_buffer *out, const struct bus_hello *hello);
/* False: no HELLO that we understand. *hello is zeroed by the caller: what an older version does not say
 * stays so. Bytes that are left in the cursor are the caller's to refuse. */
bool hello_codec_decode(struct cursor *cursor, struct bus_hello *hello) __attribute__((warn_unused_result));

#endif
