/* hello_codec.c: see hello_codec.h. The body (little-endian, no padding) is
 *
 *   u16 version | u16 oldest version | u32 rules | u64 from | u64 to | u64 disk | u64 cluster[2]
 *   | u32 formation | u64 members hash | u8 nonce[16] | u8 proof[32]
 *   | u32 listeners | { u8 name bytes | name | u8 host bytes | host | u16 port }*
 *   | since version 2: u64 membership index | u8 flags (1 joining, 2 snapshot) | u8 host bytes | host
 *     | u16 port
 *   | since version 4: u32 oldest rules
 *
 * A HELLO of a newer protocol version may be longer than ours: what follows is skipped here, and only here,
 * so that an old node can answer a new one with "version" instead of silence.
 */
#include "hello_codec.h"

#include "bus_fields.h"

#include <assert.h>
#include <string.h>

enum {
    FLAG_JOINING = 1,
    FLAG_SNAPSHOT = 2,
    HELLO_VERSION_WITH_ADDRESS = 2,
    HELLO_VERSION_WITH_RULES = 4,
};

void hello_codec_encode(struct byte_buffer *out, const struct bus_hello *hello)
{
    assert(hello->listeners_count <= BUS_LISTENERS_MAX);
    put_number(out, hello->protocol_version, 2);
    put_number(out, hello->protocol_version_min, 2);
    put_number(out, hello->rules_version, 4);
    put_number(out, hello->from, 8);
    put_number(out, hello->to, 8);
    put_number(out, hello->disk_id, 8);
    put_number(out, hello->cluster_id[0], 8);
    put_number(out, hello->cluster_id[1], 8);
    put_number(out, (uint64_t)hello->formation, 4);
    put_number(out, hello->members_hash, 8);
    byte_buffer_append(out, hello->nonce, BUS_NONCE_BYTES);
    byte_buffer_append(out, hello->proof, BUS_PROOF_BYTES);
    put_number(out, hello->listeners_count, 4);
    for (uint32_t i = 0; i < hello->listeners_count; i++) {
        put_text(out, hello->listeners[i].name, BUS_NAME_BYTES_MAX);
        put_text(out, hello->listeners[i].host, BUS_HOST_BYTES_MAX);
        put_number(out, hello->listeners[i].port, 2);
    }
    if (hello->protocol_version >= HELLO_VERSION_WITH_ADDRESS) {
        put_number(out, hello->membership_index, 8);
        put_number(
            out, (uint64_t)((hello->joining ? FLAG_JOINING : 0) | (hello->snapshot ? FLAG_SNAPSHOT : 0)), 1);
        put_text(out, hello->bus_host, BUS_HOST_BYTES_MAX);
        put_number(out, hello->bus_port, 2);
    }
    if (hello->protocol_version >= HELLO_VERSION_WITH_RULES) {
        put_number(out, hello->rules_version_min, 4);
    }
}

static bool decode_hello_address(struct cursor *cursor, struct bus_hello *hello)
{
    hello->membership_index = take_number(cursor, 8);
    uint64_t flags = take_number(cursor, 1);

    hello->joining = (flags & FLAG_JOINING) != 0;
    hello->snapshot = (flags & FLAG_SNAPSHOT) != 0;
    return (flags & ~(uint64_t)(FLAG_JOINING | FLAG_SNAPSHOT)) == 0 &&
           take_address(cursor, hello->bus_host, &hello->bus_port);
}

bool hello_codec_decode(struct cursor *cursor, struct bus_hello *hello)
{
    hello->protocol_version = (uint16_t)take_number(cursor, 2);
    hello->protocol_version_min = (uint16_t)take_number(cursor, 2);
    hello->rules_version = (uint32_t)take_number(cursor, 4);
    hello->from = take_number(cursor, 8);
    hello->to = take_number(cursor, 8);
    hello->disk_id = take_number(cursor, 8);
    hello->cluster_id[0] = take_number(cursor, 8);
    hello->cluster_id[1] = take_number(cursor, 8);
    uint64_t formation = take_number(cursor, 4);

    hello->members_hash = take_number(cursor, 8);
    const uint8_t *nonce = take_bytes(cursor, BUS_NONCE_BYTES);
    const uint8_t *proof = take_bytes(cursor, BUS_PROOF_BYTES);

    hello->listeners_count = (uint32_t)take_number(cursor, 4);
    if (cursor->failed || formation > BUS_FORMATION_FORMED || hello->listeners_count > BUS_LISTENERS_MAX ||
        hello->protocol_version_min > hello->protocol_version) {
        return false;
    }
    hello->formation = (enum bus_formation_state)formation;
    memcpy(hello->nonce, nonce, BUS_NONCE_BYTES);
    memcpy(hello->proof, proof, BUS_PROOF_BYTES);
    for (uint32_t i = 0; i < hello->listeners_count; i++) {
        if (!take_text(cursor, hello->listeners[i].name, BUS_NAME_BYTES_MAX) ||
            !take_text(cursor, hello->listeners[i].host, BUS_HOST_BYTES_MAX)) {
            return false;
        }
        hello->listeners[i].port = (uint16_t)take_number(cursor, 2);
    }
    if (hello->protocol_version >= HELLO_VERSION_WITH_ADDRESS && !decode_hello_address(cursor, hello)) {
        return false;
    }
    if (hello->protocol_version >= HELLO_VERSION_WITH_RULES) {
        hello->rules_version_min = (uint32_t)take_number(cursor, 4);
    }
    if (hello->rules_version_min > hello->rules_version) {
        return false;
    }
    if (!cursor->failed && hello->protocol_version > BUS_PROTOCOL_VERSION) {
        cursor->left = 0; /* words of a newer version */
    }
    return !cursor->failed;
}
