/* map_record.c: see map_record.h. */
#include "map_record.h"

#include "storage_bytes.h"
#include "storage_hash.h"

enum { HASHED_HEAD_BYTES = 24 };

static void map_record_encode_head(uint8_t *head, const struct map_value *value)
{
    head[0] = (uint8_t)value->type;
    head[1] = MAP_RECORD_FORM;
    storage_put_u16(head + 2, 0);
    storage_put_u32(head + 4, value->version.command);
    storage_put_u64(head + 8, value->version.index);
    storage_put_u64(head + 16, value->expiry_ms);
}

int map_key_compare(const uint8_t *left, size_t left_size, const uint8_t *right, size_t right_size)
{
    size_t common = left_size < right_size ? left_size : right_size;
    int order = common == 0 ? 0 : memcmp(left, right, common);
    return order != 0 ? order : (left_size > right_size) - (left_size < right_size);
}

uint64_t map_record_hash(const uint8_t *key, size_t key_size, const struct map_value *value)
{
    uint8_t head[HASHED_HEAD_BYTES];
    map_record_encode_head(head, value);
    uint64_t hash = storage_hash_chain(0, key, key_size);
    hash = storage_hash_chain(hash, head, sizeof head);
    return storage_hash_chain(hash, value->bytes, value->size);
}

void map_record_encode(uint8_t *bytes, const struct map_value *value, uint64_t hash)
{
    map_record_encode_head(bytes, value);
    storage_put_u64(bytes + HASHED_HEAD_BYTES, hash);
    if (value->size > 0) {
        memcpy(bytes + MAP_RECORD_HEAD_BYTES, value->bytes, value->size);
    }
}

bool map_record_decode(const uint8_t *bytes, size_t size, struct map_record *record)
{
    if (size < MAP_RECORD_HEAD_BYTES || bytes[0] != MAP_VALUE_STRING || bytes[1] != MAP_RECORD_FORM ||
        storage_get_u16(bytes + 2) != 0) {
        return false;
    }
    record->value.type = (enum map_value_type)bytes[0];
    record->value.version.command = storage_get_u32(bytes + 4);
    record->value.version.index = storage_get_u64(bytes + 8);
    record->value.expiry_ms = storage_get_u64(bytes + 16);
    record->value.bytes = bytes + MAP_RECORD_HEAD_BYTES;
    record->value.size = size - MAP_RECORD_HEAD_BYTES;
    record->hash = storage_get_u64(bytes + HASHED_HEAD_BYTES);
    return true;
}

size_t map_meta_encode(uint8_t *bytes, const struct map_meta *meta)
{
    assert(meta->membership_size <= MAP_MEMBERSHIP_BYTES_MAX);
    storage_put_u64(bytes, meta->applied_index);
    storage_put_u64(bytes + 8, meta->applied_term);
    storage_put_u64(bytes + 16, meta->log_time_ms);
    storage_put_u64(bytes + 24, meta->key_count);
    storage_put_u64(bytes + 32, meta->digest);
    storage_put_u64(bytes + 40, meta->hash_seed);
    storage_put_u32(bytes + 48, meta->rules_version);
    storage_put_u32(bytes + 52, meta->membership_size);
    storage_put_u64(bytes + 56, 0);
    memcpy(bytes + MAP_META_FIXED_BYTES, meta->membership, meta->membership_size);
    return MAP_META_FIXED_BYTES + (size_t)meta->membership_size;
}

bool map_meta_decode(const uint8_t *bytes, size_t size, struct map_meta *meta)
{
    struct storage_reader reader = storage_reader_init(bytes, size);
    meta->applied_index = storage_read_u64(&reader);
    meta->applied_term = storage_read_u64(&reader);
    meta->log_time_ms = storage_read_u64(&reader);
    meta->key_count = storage_read_u64(&reader);
    meta->digest = storage_read_u64(&reader);
    meta->hash_seed = storage_read_u64(&reader);
    meta->rules_version = storage_read_u32(&reader);
    meta->membership_size = storage_read_u32(&reader);
    (void)storage_read_u64(&reader);
    if (reader.failed || meta->membership_size > MAP_MEMBERSHIP_BYTES_MAX) {
        return false;
    }
    const uint8_t *membership = storage_read_bytes(&reader, meta->membership_size);
    if (membership != NULL) {
        memcpy(meta->membership, membership, meta->membership_size);
    }
    return storage_reader_ended_well(&reader);
}
