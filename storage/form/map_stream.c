/* map_stream.c: see map_stream.h. */
#include "map_stream.h"

#include "map_chunk.h"
#include "storage_bytes.h"
#include "storage_error.h"
#include "storage_memory.h"
#include "storage_record.h"

#include <stdlib.h>

enum { PENDING_BYTES_MIN = 4096 };

struct map_stream {
    map_stream_visit *visit;
    void *context;
    struct map_chunk_chain chain;
    bool has_meta;
    bool is_complete;
    bool failed;
    struct map_meta meta;
    uint64_t keys_count; /* <= meta.key_count */
    uint64_t digest;
    size_t last_key_size;
    uint8_t last_key[MAP_KEY_BYTES_MAX];
    /* The beginning of a record whose rest is in later chunks. */
    uint8_t *pending;
    size_t pending_size;
    size_t pending_capacity;
};

struct map_stream *map_stream_create(map_stream_visit *visit, void *context)
{
    struct map_stream *stream = storage_allocate_zero(sizeof *stream);
    stream->visit = visit;
    stream->context = context;
    return stream;
}

void map_stream_destroy(struct map_stream *stream)
{
    if (stream != NULL) {
        free(stream->pending);
        free(stream);
    }
}

const struct map_meta *map_stream_get_meta(const struct map_stream *stream)
{
    return stream->has_meta ? &stream->meta : NULL;
}

uint64_t map_stream_keys_count(const struct map_stream *stream)
{
    return stream->keys_count;
}

bool map_stream_is_complete(const struct map_stream *stream)
{
    return stream->is_complete;
}

static enum storage_status map_stream_fail(const struct map_stream *stream, const char *what,
                                           struct storage_error *error)
{
    return storage_fail(error, STORAGE_CORRUPT, "chunk %llu of the snapshot %s",
                        (unsigned long long)stream->chain.number - 1, what);
}

static enum storage_status map_stream_take_meta(struct map_stream *stream, const uint8_t *body,
                                                size_t body_size, struct storage_error *error)
{
    const uint8_t *meta = NULL;
    size_t meta_size = 0;
    enum storage_status status = storage_record_open(body, body_size, "the snapshot", MAP_META_NAME,
                                                     MAP_META_FORM, &meta, &meta_size, error);
    if (status == STORAGE_OK && !map_meta_decode(meta, meta_size, &stream->meta)) {
        status = map_stream_fail(stream, "has a meta record of a wrong size", error);
    }
    stream->has_meta = status == STORAGE_OK;
    return status;
}

static enum storage_status map_stream_take_record(struct map_stream *stream, const uint8_t *bytes,
                                                  size_t size, struct storage_error *error)
{
    struct map_stream_record record = {.key = bytes + MAP_CHUNK_RECORD_HEAD_BYTES,
                                       .key_size = storage_get_u16(bytes)};
    record.bytes = record.key + record.key_size;
    record.size = size - MAP_CHUNK_RECORD_HEAD_BYTES - record.key_size;
    if (stream->keys_count == stream->meta.key_count) {
        return map_stream_fail(stream, "holds more keys than it should", error);
    }
    if (stream->keys_count > 0 &&
        map_key_compare(stream->last_key, stream->last_key_size, record.key, record.key_size) >= 0) {
        return map_stream_fail(stream, "holds a key that is out of order", error);
    }
    if (!map_record_decode(record.bytes, record.size, &record.decoded)) {
        return storage_fail(error, STORAGE_INCOMPATIBLE,
                            "the snapshot holds a value of a form that this kvd does not know");
    }
    if (map_record_hash(record.key, record.key_size, &record.decoded.value) != record.decoded.hash) {
        return map_stream_fail(stream, "holds a damaged value (wrong checksum)", error);
    }
    stream->keys_count++;
    stream->digest += record.decoded.hash;
    stream->last_key_size = record.key_size;
    memcpy(stream->last_key, record.key, record.key_size);
    return stream->visit == NULL ? STORAGE_OK : stream->visit(stream->context, &record, error);
}

/* How many bytes the record has that begins so, as far as that is known: at first those that say it. */
static enum storage_status map_stream_measure(const struct map_stream *stream, const uint8_t *bytes,
                                              size_t size, size_t *wanted, struct storage_error *error)
{
    *wanted = MAP_CHUNK_RECORD_HEAD_BYTES;
    if (size < MAP_CHUNK_RECORD_HEAD_BYTES) {
        return STORAGE_OK;
    }
    size_t key_size = storage_get_u16(bytes);
    size_t record_size = storage_get_u32(bytes + 2);
    if (key_size > MAP_KEY_BYTES_MAX || record_size < MAP_RECORD_HEAD_BYTES ||
        record_size > MAP_RECORD_HEAD_BYTES + (size_t)MAP_VALUE_BYTES_MAX) {
        return map_stream_fail(stream, "holds a record of an impossible size", error);
    }
    *wanted += key_size + record_size;
    return STORAGE_OK;
}

/* Keeps bytes until the rest of their record is there. */
static void map_stream_keep(struct map_stream *stream, const uint8_t *bytes, size_t size)
{
    size_t needed = stream->pending_size + size;
    if (needed > stream->pending_capacity) {
        size_t capacity = needed * 2 > PENDING_BYTES_MIN ? needed * 2 : PENDING_BYTES_MIN;
        stream->pending = storage_reallocate(stream->pending, capacity);
        stream->pending_capacity = capacity;
    }
    memcpy(stream->pending + stream->pending_size, bytes, size);
    stream->pending_size = needed;
}

static enum storage_status map_stream_take_records(struct map_stream *stream, const uint8_t *body,
                                                   size_t size, struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    size_t wanted = 0;
    while (size > 0 && status == STORAGE_OK) {
        size_t used = 0;
        if (stream->pending_size == 0) {
            status = map_stream_measure(stream, body, size, &wanted, error);
            bool whole = status == STORAGE_OK && wanted > MAP_CHUNK_RECORD_HEAD_BYTES && wanted <= size;
            if (whole) {
                status = map_stream_take_record(stream, body, wanted, error);
            } else if (status == STORAGE_OK) {
                map_stream_keep(stream, body, size);
            }
            used = whole ? wanted : size;
        } else {
            status = map_stream_measure(stream, stream->pending, stream->pending_size, &wanted, error);
            if (status == STORAGE_OK) {
                size_t missing = wanted - stream->pending_size;
                used = missing < size ? missing : size;
                map_stream_keep(stream, body, used);
            }
            if (status == STORAGE_OK && wanted > MAP_CHUNK_RECORD_HEAD_BYTES &&
                stream->pending_size == wanted) {
                status = map_stream_take_record(stream, stream->pending, wanted, error);
                stream->pending_size = 0;
            }
        }
        body += used;
        size -= used;
    }
    return status;
}

static enum storage_status map_stream_take_end(struct map_stream *stream, const uint8_t *body, size_t size,
                                               struct storage_error *error)
{
    struct storage_reader reader = storage_reader_init(body, size);
    uint64_t keys_count = storage_read_u64(&reader);
    uint64_t digest = storage_read_u64(&reader);
    if (!storage_reader_ended_well(&reader) || stream->pending_size > 0) {
        return map_stream_fail(stream, "ends in the middle of a record", error);
    }
    if (keys_count != stream->keys_count || digest != stream->digest ||
        keys_count != stream->meta.key_count || digest != stream->meta.digest) {
        return map_stream_fail(stream, "ends with a wrong count or digest of what came before", error);
    }
    stream->is_complete = true;
    return STORAGE_OK;
}

static enum storage_status map_stream_take(struct map_stream *stream, const uint8_t *chunk, size_t size,
                                           struct storage_error *error)
{
    enum map_chunk_kind kind = MAP_CHUNK_META;
    const uint8_t *body = NULL;
    size_t body_size = 0;
    enum storage_status status = map_chunk_open(&stream->chain, chunk, size, &kind, &body, &body_size, error);
    if (status != STORAGE_OK) {
        return status;
    }
    if (stream->is_complete || (kind == MAP_CHUNK_META) == stream->has_meta) {
        return map_stream_fail(stream, "does not belong there", error);
    }
    switch (kind) {
    case MAP_CHUNK_META:
        return map_stream_take_meta(stream, body, body_size, error);
    case MAP_CHUNK_RECORDS:
        return map_stream_take_records(stream, body, body_size, error);
    case MAP_CHUNK_END:
        return map_stream_take_end(stream, body, body_size, error);
    }
    abort();
}

enum storage_status map_stream_add(struct map_stream *stream, const uint8_t *chunk, size_t size,
                                   struct storage_error *error)
{
    assert(!stream->failed);
    enum storage_status status = map_stream_take(stream, chunk, size, error);
    stream->failed = status != STORAGE_OK;
    return status;
}
