/* bus_codec.c: frames of the bus. See bus_codec.h for the frame; the bodies (little-endian, no padding) are
 *
 *   HELLO      see hello_codec.c
 *   REFUSED    u16 code | u16 reason bytes | reason
 *   PROOF      u8 proof[32]
 *   FORMATION  u32 step | u64 cluster[2] | u32 members | { u64 node | u64 disk }*
 *   JOIN_ANSWER  u16 step | u64 cluster[2] | u8 host bytes | host | u16 port | u16 reason bytes | reason
 *   SNAPSHOT_BEGIN  u64 term | u64 index | u64 keys | u32 bytes | membership
 *   SNAPSHOT_END    u8 ok | u16 reason bytes | reason
 *   RAFT       u64 wall clock | u8 type | u8 flags (1 reject, 2 force) | u16 zero | u32 entries
 *              | u64 from | u64 to | u64 term | u64 log term | u64 log index | u64 hint term | u64 hint index
 *              | u64 commit | u64 round | { u64 term | u32 type | u32 bytes | payload }*
 *   REPORT     u32 flags (1 low on space) | u32 zero | u64 digest index | u64 digest
 *
 * Entries carry no index: they follow log.index one by one, so that a gap cannot be said.
 *
 * Invariant: whatever decodes, encodes to the same bytes (but for a HELLO of a newer protocol version); the
 * fuzzer checks it.
 */
#include "bus_codec.h"

#include "bus_fields.h"
#include "hello_codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    FRAME_MAGIC = 0x6264766b, /* "kvdb" */
    FRAME_CHECKSUMMED_FROM = 16,
    RAFT_FIXED_BYTES = 88,
    ENTRY_FIXED_BYTES = 16,
    FLAG_REJECT = 1,
    FLAG_FORCE = 2,
    FLAG_LOW_SPACE = 1,
};

_Static_assert(BUS_REASON_BYTES_MAX <= UINT16_MAX, "the reason's length is two bytes");

/* ---- writing --------------------------------------------------------------------------------- */

static bool reason_byte_is_allowed(uint8_t byte)
{
    return byte >= 0x20 && byte != 0x7f;
}

static void put_reason(struct byte_buffer *out, const char *reason)
{
    size_t size = strnlen(reason, BUS_REASON_BYTES_MAX);

    put_number(out, size, 2);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)reason[i];

        put_number(out, reason_byte_is_allowed(byte) ? byte : '?', 1);
    }
}

static void encode_refused(struct byte_buffer *out, const struct bus_message *message)
{
    put_number(out, (uint64_t)message->refused.code, 2);
    put_reason(out, message->refused.reason);
}

static void encode_join_answer(struct byte_buffer *out, const struct bus_join_answer *answer)
{
    put_number(out, (uint64_t)answer->step, 2);
    put_number(out, answer->cluster_id[0], 8);
    put_number(out, answer->cluster_id[1], 8);
    put_text(out, answer->bus_host, BUS_HOST_BYTES_MAX);
    put_number(out, answer->bus_port, 2);
    put_reason(out, answer->reason);
}

static void encode_formation(struct byte_buffer *out, const struct bus_formation *formation)
{
    assert(formation->members_count <= RAFT_NODES_MAX);
    put_number(out, (uint64_t)formation->step, 4);
    put_number(out, formation->cluster_id[0], 8);
    put_number(out, formation->cluster_id[1], 8);
    put_number(out, formation->members_count, 4);
    for (uint32_t i = 0; i < formation->members_count; i++) {
        put_number(out, formation->members[i].node_id, 8);
        put_number(out, formation->members[i].disk_id, 8);
    }
}

static void encode_raft(struct byte_buffer *out, const struct bus_message *message)
{
    const struct raft_message *raft = &message->raft;

    put_number(out, message->wall_clock_ms, 8);
    put_number(out, (uint64_t)raft->type, 1);
    put_number(out, (uint64_t)((raft->reject ? FLAG_REJECT : 0) | (raft->force ? FLAG_FORCE : 0)), 1);
    put_number(out, 0, 2);
    put_number(out, raft->entries_count, 4);
    put_number(out, raft->from, 8);
    put_number(out, raft->to, 8);
    put_number(out, raft->term, 8);
    put_number(out, raft->log.term, 8);
    put_number(out, raft->log.index, 8);
    put_number(out, raft->hint.term, 8);
    put_number(out, raft->hint.index, 8);
    put_number(out, raft->commit, 8);
    put_number(out, raft->round, 8);
    for (uint32_t i = 0; i < raft->entries_count; i++) {
        const struct raft_entry *entry = &raft->entries[i];

        assert(entry->id.index == raft->log.index + 1 + i);
        put_number(out, entry->id.term, 8);
        put_number(out, (uint64_t)entry->type, 4);
        put_number(out, raft_entry_bytes(entry), 4);
        if (raft_entry_bytes(entry) > 0) {
            byte_buffer_append(out, entry->payload->bytes, entry->payload->size);
        }
    }
}

static void encode_report(struct byte_buffer *out, const struct bus_report *report)
{
    put_number(out, report->low_space ? FLAG_LOW_SPACE : 0, 4);
    put_number(out, 0, 4);
    put_number(out, report->digest_index, 8);
    put_number(out, report->digest, 8);
}

static void encode_snapshot_begin(struct byte_buffer *out, const struct bus_snapshot_begin *begin)
{
    uint32_t size = begin->membership == NULL ? 0 : begin->membership->size;

    assert(size <= RAFT_MEMBERSHIP_BYTES_MAX);
    put_number(out, begin->upto.term, 8);
    put_number(out, begin->upto.index, 8);
    put_number(out, begin->keys_count, 8);
    put_number(out, size, 4);
    if (size > 0) {
        byte_buffer_append(out, begin->membership->bytes, size);
    }
}

static void encode_snapshot_end(struct byte_buffer *out, const struct bus_snapshot_end *end)
{
    put_number(out, end->ok ? 1 : 0, 1);
    put_reason(out, end->reason);
}

static void encode_body(struct byte_buffer *out, const struct bus_message *message)
{
    switch (message->type) {
    case BUS_MESSAGE_HELLO:
        hello_codec_encode(out, &message->hello);
        return;
    case BUS_MESSAGE_REFUSED:
        encode_refused(out, message);
        return;
    case BUS_MESSAGE_PROOF:
        byte_buffer_append(out, message->proof, BUS_PROOF_BYTES);
        return;
    case BUS_MESSAGE_FORMATION:
        encode_formation(out, &message->formation);
        return;
    case BUS_MESSAGE_RAFT:
        encode_raft(out, message);
        return;
    case BUS_MESSAGE_REPORT:
        encode_report(out, &message->report);
        return;
    case BUS_MESSAGE_JOIN_ANSWER:
        encode_join_answer(out, &message->join_answer);
        return;
    case BUS_MESSAGE_SNAPSHOT_BEGIN:
        encode_snapshot_begin(out, &message->snapshot_begin);
        return;
    case BUS_MESSAGE_SNAPSHOT_END:
        encode_snapshot_end(out, &message->snapshot_end);
        return;
    }
    abort();
}

static void store_number(uint8_t *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

void bus_codec_encode(struct byte_buffer *out, const struct bus_message *message)
{
    size_t before = byte_buffer_size(out);

    put_number(out, FRAME_MAGIC, 4);
    put_number(out, 0, 4); /* filled in below */
    put_number(out, 0, 8);
    put_number(out, (uint64_t)message->type, 2);
    put_number(out, 0, 6);
    encode_body(out, message);

    uint8_t *frame = out->bytes + out->start + before;
    size_t body_bytes = byte_buffer_size(out) - before - BUS_FRAME_HEADER_BYTES;

    assert(body_bytes <= BUS_FRAME_BYTES_MAX);
    store_number(frame + 4, body_bytes, 4);
    store_number(frame + 8,
                 XXH3_64bits(frame + FRAME_CHECKSUMMED_FROM,
                             BUS_FRAME_HEADER_BYTES - FRAME_CHECKSUMMED_FROM + body_bytes),
                 8);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* `to` has room for BUS_REASON_BYTES_MAX + 1. */
static bool take_reason(struct cursor *cursor, char *to)
{
    size_t size = (size_t)take_number(cursor, 2);
    const uint8_t *reason = take_bytes(cursor, size);

    if (cursor->failed || size > BUS_REASON_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (!reason_byte_is_allowed(reason[i])) {
            return false;
        }
    }
    memcpy(to, reason, size);
    to[size] = '\0';
    return true;
}

static bool decode_refused(struct cursor *cursor, struct bus_message *message)
{
    uint64_t code = take_number(cursor, 2);

    if (cursor->failed || code < BUS_REFUSAL_VERSION || code > BUS_REFUSAL_REMOVED) {
        return false;
    }
    message->refused.code = (enum bus_refusal)code;
    return take_reason(cursor, message->refused.reason);
}

static bool decode_join_answer(struct cursor *cursor, struct bus_join_answer *answer)
{
    uint64_t step = take_number(cursor, 2);

    answer->cluster_id[0] = take_number(cursor, 8);
    answer->cluster_id[1] = take_number(cursor, 8);
    if (cursor->failed || step < BUS_JOIN_ADDED || step > BUS_JOIN_ASK) {
        return false;
    }
    answer->step = (enum bus_join_step)step;
    return take_address(cursor, answer->bus_host, &answer->bus_port) &&
           (answer->step == BUS_JOIN_ASK) == (answer->bus_port != 0) && take_reason(cursor, answer->reason);
}

/* An empty membership is none: NULL. */
static bool decode_snapshot_begin(struct cursor *cursor, struct bus_snapshot_begin *begin)
{
    begin->upto.term = take_number(cursor, 8);
    begin->upto.index = take_number(cursor, 8);
    begin->keys_count = take_number(cursor, 8);
    uint32_t size = (uint32_t)take_number(cursor, 4);
    const uint8_t *bytes = take_bytes(cursor, size);

    if (cursor->failed || size > RAFT_MEMBERSHIP_BYTES_MAX) {
        return false;
    }
    if (size > 0) {
        begin->membership = raft_payload_create(size);
        memcpy(begin->membership->bytes, bytes, size);
        begin->membership->size = size;
    }
    return true;
}

static bool decode_snapshot_end(struct cursor *cursor, struct bus_snapshot_end *end)
{
    uint64_t ok = take_number(cursor, 1);

    end->ok = ok == 1;
    return !cursor->failed && ok <= 1 && take_reason(cursor, end->reason);
}

static bool decode_formation(struct cursor *cursor, struct bus_formation *formation)
{
    uint64_t step = take_number(cursor, 4);

    formation->cluster_id[0] = take_number(cursor, 8);
    formation->cluster_id[1] = take_number(cursor, 8);
    formation->members_count = (uint32_t)take_number(cursor, 4);
    if (cursor->failed || step < BUS_FORMATION_PROPOSE || step > BUS_FORMATION_COMMIT ||
        formation->members_count > RAFT_NODES_MAX) {
        return false;
    }
    formation->step = (enum bus_formation_step)step;
    for (uint32_t i = 0; i < formation->members_count; i++) {
        formation->members[i].node_id = take_number(cursor, 8);
        formation->members[i].disk_id = take_number(cursor, 8);
        if (cursor->failed || formation->members[i].node_id == RAFT_NODE_NONE) {
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (formation->members[j].node_id == formation->members[i].node_id) {
                return false;
            }
        }
    }
    return true;
}

/* A NOOP has no payload, every other type has one, be it empty. */
static bool decode_entry(struct cursor *cursor, struct raft_entry *entry)
{
    entry->id.term = take_number(cursor, 8);
    uint64_t type = take_number(cursor, 4);
    uint32_t size = (uint32_t)take_number(cursor, 4);
    const uint8_t *bytes = take_bytes(cursor, size);

    if (cursor->failed || type < RAFT_ENTRY_NOOP || type > RAFT_ENTRY_MEMBERSHIP) {
        return false;
    }
    entry->type = (enum raft_entry_type)type;
    if (entry->type == RAFT_ENTRY_NOOP) {
        return size == 0;
    }
    entry->payload = raft_payload_create(size);
    memcpy(entry->payload->bytes, bytes, size);
    entry->payload->size = size;
    return true;
}

static bool decode_entries(struct cursor *cursor, struct raft_message *raft, uint32_t count)
{
    uint64_t term = raft->log.term > 0 ? raft->log.term : 1;

    if (count == 0) {
        return true;
    }
    /* Each entry has at least its fixed part: bounds the count, and so the allocation, by what has arrived.
     */
    if (raft->type != RAFT_MESSAGE_APPEND || count > cursor->left / ENTRY_FIXED_BYTES ||
        raft->log.index > UINT64_MAX - count) {
        return false;
    }
    raft->entries = calloc(count, sizeof *raft->entries);
    if (raft->entries == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < count; i++) {
        struct raft_entry *entry = &raft->entries[i];

        raft->entries_count = i + 1; /* so that raft_message_deinit() sees what was made */
        if (!decode_entry(cursor, entry) || entry->id.term < term || entry->id.term > raft->term) {
            return false;
        }
        entry->id.index = raft->log.index + 1 + i;
        term = entry->id.term;
    }
    return true;
}

static bool decode_raft(struct cursor *cursor, struct bus_message *message)
{
    struct raft_message *raft = &message->raft;

    if (cursor->left < RAFT_FIXED_BYTES) {
        return false;
    }
    message->wall_clock_ms = take_number(cursor, 8);
    uint64_t type = take_number(cursor, 1);
    uint64_t flags = take_number(cursor, 1);
    uint64_t zero = take_number(cursor, 2);
    uint32_t entries_count = (uint32_t)take_number(cursor, 4);

    raft->from = take_number(cursor, 8);
    raft->to = take_number(cursor, 8);
    raft->term = take_number(cursor, 8);
    raft->log.term = take_number(cursor, 8);
    raft->log.index = take_number(cursor, 8);
    raft->hint.term = take_number(cursor, 8);
    raft->hint.index = take_number(cursor, 8);
    raft->commit = take_number(cursor, 8);
    raft->round = take_number(cursor, 8);
    assert(!cursor->failed);
    if (type < RAFT_MESSAGE_PRE_VOTE || type > RAFT_MESSAGE_READ_INDEX_RESPONSE || zero != 0 ||
        (flags & ~(uint64_t)(FLAG_REJECT | FLAG_FORCE)) != 0 || raft->from == RAFT_NODE_NONE ||
        raft->to == RAFT_NODE_NONE) {
        return false;
    }
    raft->type = (enum raft_message_type)type;
    raft->reject = (flags & FLAG_REJECT) != 0;
    raft->force = (flags & FLAG_FORCE) != 0;
    return decode_entries(cursor, raft, entries_count);
}

static bool decode_report(struct cursor *cursor, struct bus_report *report)
{
    uint64_t flags = take_number(cursor, 4);
    uint64_t zero = take_number(cursor, 4);

    report->low_space = (flags & FLAG_LOW_SPACE) != 0;
    report->digest_index = take_number(cursor, 8);
    report->digest = take_number(cursor, 8);
    return !cursor->failed && zero == 0 && (flags & ~(uint64_t)FLAG_LOW_SPACE) == 0;
}

static bool decode_body(struct cursor *cursor, uint64_t type, struct bus_message *message)
{
    if (type < BUS_MESSAGE_HELLO || type > BUS_MESSAGE_SNAPSHOT_END) {
        return false;
    }
    message->type = (enum bus_message_type)type;
    switch (message->type) {
    case BUS_MESSAGE_HELLO:
        return hello_codec_decode(cursor, &message->hello);
    case BUS_MESSAGE_REFUSED:
        return decode_refused(cursor, message);
    case BUS_MESSAGE_PROOF: {
        const uint8_t *proof = take_bytes(cursor, BUS_PROOF_BYTES);

        if (proof != NULL) {
            memcpy(message->proof, proof, BUS_PROOF_BYTES);
        }
        return proof != NULL;
    }
    case BUS_MESSAGE_FORMATION:
        return decode_formation(cursor, &message->formation);
    case BUS_MESSAGE_RAFT:
        return decode_raft(cursor, message);
    case BUS_MESSAGE_REPORT:
        return decode_report(cursor, &message->report);
    case BUS_MESSAGE_JOIN_ANSWER:
        return decode_join_answer(cursor, &message->join_answer);
    case BUS_MESSAGE_SNAPSHOT_BEGIN:
        return decode_snapshot_begin(cursor, &message->snapshot_begin);
    case BUS_MESSAGE_SNAPSHOT_END:
        return decode_snapshot_end(cursor, &message->snapshot_end);
    }
    return false;
}

/* Garbage is recognised by its first bytes: a stranger need not send a whole header before we hang up. */
static bool magic_can_be(const uint8_t *bytes, size_t size)
{
    uint8_t magic[4];

    store_number(magic, FRAME_MAGIC, sizeof magic);
    return size == 0 || memcmp(bytes, magic, size < sizeof magic ? size : sizeof magic) == 0;
}

enum bus_codec_result bus_codec_decode(const uint8_t *bytes, size_t size, size_t body_bytes_max,
                                       struct bus_message *message, size_t *consumed, size_t *wanted)
{
    struct cursor header = {bytes, size, false};

    assert(body_bytes_max <= BUS_FRAME_BYTES_MAX);
    if (!magic_can_be(bytes, size)) {
        return BUS_CODEC_ERROR;
    }
    if (size < BUS_FRAME_HEADER_BYTES) {
        *wanted = BUS_FRAME_HEADER_BYTES;
        return BUS_CODEC_NEED_MORE;
    }
    (void)take_number(&header, 4);
    size_t body_bytes = (size_t)take_number(&header, 4);
    uint64_t checksum = take_number(&header, 8);
    uint64_t type = take_number(&header, 2);
    uint64_t zero = take_number(&header, 6);

    if (body_bytes > body_bytes_max || zero != 0) {
        return BUS_CODEC_ERROR;
    }
    if (header.left < body_bytes) {
        *wanted = BUS_FRAME_HEADER_BYTES + body_bytes;
        return BUS_CODEC_NEED_MORE;
    }
    if (XXH3_64bits(bytes + FRAME_CHECKSUMMED_FROM,
                    BUS_FRAME_HEADER_BYTES - FRAME_CHECKSUMMED_FROM + body_bytes) != checksum) {
        return BUS_CODEC_ERROR;
    }

    struct cursor body = {header.bytes, body_bytes, false};

    memset(message, 0, sizeof *message);
    if (!decode_body(&body, type, message) || body.left != 0) {
        bus_message_deinit(message);
        return BUS_CODEC_ERROR;
    }
    *consumed = BUS_FRAME_HEADER_BYTES + body_bytes;
    return BUS_CODEC_MESSAGE;
}

void bus_message_deinit(struct bus_message *message)
{
    if (message->type == BUS_MESSAGE_RAFT) {
        raft_message_deinit(&message->raft);
    } else if (message->type == BUS_MESSAGE_SNAPSHOT_BEGIN) {
        raft_payload_unref(message->snapshot_begin.membership);
    }
    memset(message, 0, sizeof *message);
}
