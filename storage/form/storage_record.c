/* storage_record.c: see storage_record.h. */
#include "storage_record.h"

#include "storage_bytes.h"
#include "storage_error.h"
#include "storage_hash.h"

static uint64_t storage_record_checksum(const uint8_t *record, const char *name, size_t body_size)
{
    uint64_t hash = storage_hash_chain(0, name, strlen(name));
    hash = storage_hash_chain(hash, record, 8);
    return storage_hash_chain(hash, record + STORAGE_RECORD_HEAD_BYTES, body_size);
}

void storage_record_seal(uint8_t *record, const char *name, uint32_t version, size_t body_size)
{
    assert(body_size <= UINT32_MAX);
    storage_put_u32(record, version);
    storage_put_u32(record + 4, (uint32_t)body_size);
    storage_put_u64(record + 8, storage_record_checksum(record, name, body_size));
}

enum storage_status storage_record_open(const void *record, size_t record_size, const char *where,
                                        const char *name, uint32_t version, const uint8_t **body,
                                        size_t *body_size, struct storage_error *error)
{
    const uint8_t *bytes = record;
    if (record_size < STORAGE_RECORD_HEAD_BYTES ||
        storage_get_u32(bytes + 4) != record_size - STORAGE_RECORD_HEAD_BYTES ||
        storage_get_u64(bytes + 8) !=
            storage_record_checksum(bytes, name, record_size - STORAGE_RECORD_HEAD_BYTES)) {
        return storage_fail(error, STORAGE_CORRUPT,
                            "%s: the record \"%s\" is damaged (wrong checksum). " STORAGE_DAMAGED_ADVICE,
                            where, name);
    }
    uint32_t found = storage_get_u32(bytes);
    if (found != version) {
        return storage_fail(
            error, STORAGE_INCOMPATIBLE,
            "%s: the record \"%s\" has form %u, this kvd knows form %u: use the version of kvd that "
            "wrote it, or a later one",
            where, name, found, version);
    }
    *body = bytes + STORAGE_RECORD_HEAD_BYTES;
    *body_size = record_size - STORAGE_RECORD_HEAD_BYTES;
    return STORAGE_OK;
}
