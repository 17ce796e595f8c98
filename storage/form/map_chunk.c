/* map_chunk.c: see map_chunk.h. */
#include "map_chunk.h"

#include "storage_bytes.h"
#include "storage_error.h"
#include "storage_hash.h"

enum { CHECKSUM_OFFSET = 16 };

static uint64_t map_chunk_checksum(uint64_t previous, const uint8_t *chunk, size_t size)
{
    uint64_t hash = storage_hash_chain(previous, chunk, CHECKSUM_OFFSET);
    return storage_hash_chain(hash, chunk + MAP_CHUNK_HEAD_BYTES, size - MAP_CHUNK_HEAD_BYTES);
}

void map_chunk_seal(struct map_chunk_chain *chain, uint8_t *chunk, enum map_chunk_kind kind, size_t body_size)
{
    assert(body_size > 0 && body_size <= MAP_CHUNK_BYTES_MAX - MAP_CHUNK_HEAD_BYTES);
    chunk[0] = MAP_CHUNK_FORM;
    chunk[1] = (uint8_t)kind;
    storage_put_u16(chunk + 2, 0);
    storage_put_u32(chunk + 4, (uint32_t)body_size);
    storage_put_u64(chunk + 8, chain->number);
    chain->checksum = map_chunk_checksum(chain->checksum, chunk, MAP_CHUNK_HEAD_BYTES + body_size);
    storage_put_u64(chunk + CHECKSUM_OFFSET, chain->checksum);
    chain->number++;
}

size_t map_chunk_get_size(const uint8_t *head)
{
    uint32_t body_size = storage_get_u32(head + 4);
    return body_size == 0 || body_size > MAP_CHUNK_BYTES_MAX - MAP_CHUNK_HEAD_BYTES
               ? 0
               : MAP_CHUNK_HEAD_BYTES + (size_t)body_size;
}

uint64_t map_chunk_get_checksum(const uint8_t *chunk)
{
    return storage_get_u64(chunk + CHECKSUM_OFFSET);
}

enum map_chunk_kind map_chunk_get_kind(const uint8_t *chunk)
{
    return (enum map_chunk_kind)chunk[1];
}

enum storage_status map_chunk_open(struct map_chunk_chain *chain, const uint8_t *chunk, size_t size,
                                   enum map_chunk_kind *kind, const uint8_t **body, size_t *body_size,
                                   struct storage_error *error)
{
    unsigned long long number = chain->number;
    if (size < MAP_CHUNK_HEAD_BYTES || map_chunk_get_size(chunk) != size) {
        return storage_fail(error, STORAGE_CORRUPT, "chunk %llu of the snapshot has a wrong size", number);
    }
    uint64_t checksum = map_chunk_checksum(chain->checksum, chunk, size);
    if (map_chunk_get_checksum(chunk) != checksum || storage_get_u64(chunk + 8) != chain->number) {
        return storage_fail(
            error, STORAGE_CORRUPT,
            "chunk %llu of the snapshot is damaged, or another one stands in its place (wrong checksum)",
            number);
    }
    if (chunk[0] != MAP_CHUNK_FORM || storage_get_u16(chunk + 2) != 0 || chunk[1] < MAP_CHUNK_META ||
        chunk[1] > MAP_CHUNK_END) {
        return storage_fail(error, STORAGE_INCOMPATIBLE,
                            "chunk %llu of the snapshot has form %u and kind %u, which this kvd does not "
                            "know: use the version of "
                            "kvd that wrote it, or a later one",
                            number, chunk[0], chunk[1]);
    }
    chain->number++;
    chain->checksum = checksum;
    *kind = (enum map_chunk_kind)chunk[1];
    *body = chunk + MAP_CHUNK_HEAD_BYTES;
    *body_size = size - MAP_CHUNK_HEAD_BYTES;
    return STORAGE_OK;
}
