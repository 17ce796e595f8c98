/* log_record.c: see log_record.h. */
#include "log_record.h"

#include "storage_bytes.h"
#include "storage_hash.h"

enum { CHECKSUM_OFFSET = 16 };

static uint64_t log_record_checksum(const uint8_t *record, size_t record_size, uint64_t index)
{
    uint8_t place[8 + CHECKSUM_OFFSET];
    storage_put_u64(place, index);
    memcpy(place + 8, record, CHECKSUM_OFFSET);
    uint64_t hash = storage_hash_chain(0, place, sizeof place);
    return storage_hash_chain(hash, record + LOG_RECORD_HEAD_BYTES, record_size - LOG_RECORD_HEAD_BYTES);
}

void log_record_encode(uint8_t *record, const struct log_entry *entry)
{
    assert(entry->id.index > 0);
    memset(record, 0, 4);
    record[0] = LOG_RECORD_FORM;
    storage_put_u32(record + 4, entry->type);
    storage_put_u64(record + 8, entry->id.term);
    if (entry->size > 0) {
        memcpy(record + LOG_RECORD_HEAD_BYTES, entry->bytes, entry->size);
    }
    size_t record_size = (size_t)LOG_RECORD_HEAD_BYTES + entry->size;
    storage_put_u64(record + CHECKSUM_OFFSET, log_record_checksum(record, record_size, entry->id.index));
}

bool log_record_decode(const uint8_t *record, size_t record_size, uint64_t index, struct log_entry *entry)
{
    if (record_size < LOG_RECORD_HEAD_BYTES || record_size - LOG_RECORD_HEAD_BYTES > UINT32_MAX ||
        storage_get_u64(record + CHECKSUM_OFFSET) != log_record_checksum(record, record_size, index) ||
        record[0] != LOG_RECORD_FORM) {
        return false;
    }
    entry->id.index = index;
    entry->id.term = storage_get_u64(record + 8);
    entry->type = storage_get_u32(record + 4);
    entry->bytes = record + LOG_RECORD_HEAD_BYTES;
    entry->size = (uint32_t)(record_size - LOG_RECORD_HEAD_BYTES);
    return true;
}
