/* fuzz_map_stream.c: libFuzzer on the receiving end of a streamed map.
 *
 * The input is cut into bodies of chunks, which get right checksums, so that what they cover is reached: no
 * crash, no read past the end, never more keys than META says; and no key that does not ascend is handed out.
 * An input is: for each chunk its kind (1 byte), the size of its body (2 bytes), the body.
 */
#include "map_chunk.h"
#include "map_stream.h"
#include "storage_bytes.h"
#include "storage_record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEYS_MAX = 1000 };

struct last_key {
    bool any;
    uint8_t bytes[MAP_KEY_BYTES_MAX];
    size_t size;
};

static void check(bool condition)
{
    if (!condition) {
        abort();
    }
}

static enum storage_status take_record(void *context, const struct map_stream_record *record,
                                       struct storage_error *error)
{
    struct last_key *last = context;
    (void)error;
    check(record->key_size <= MAP_KEY_BYTES_MAX && record->size >= MAP_RECORD_HEAD_BYTES);
    check(!last->any || map_key_compare(last->bytes, last->size, record->key, record->key_size) < 0);
    memcpy(last->bytes, record->key, record->key_size);
    last->size = record->key_size;
    last->any = true;
    return STORAGE_OK;
}

/* A chunk of memory of its own, so that a read past its end is seen. */
static enum storage_status add(struct map_stream *stream, struct map_chunk_chain *chain, uint8_t kind,
                               const uint8_t *body, size_t size, struct storage_error *error)
{
    uint8_t *chunk = malloc(MAP_CHUNK_HEAD_BYTES + size);
    check(chunk != NULL);
    memcpy(chunk + MAP_CHUNK_HEAD_BYTES, body, size);
    map_chunk_seal(chain, chunk, (enum map_chunk_kind)kind, size);
    enum storage_status status = map_stream_add(stream, chunk, MAP_CHUNK_HEAD_BYTES + size, error);
    free(chunk);
    return status;
}

static size_t make_meta(uint8_t *body)
{
    static struct map_meta meta;
    meta.key_count = KEYS_MAX;
    size_t size = map_meta_encode(body + STORAGE_RECORD_HEAD_BYTES, &meta);
    storage_record_seal(body, MAP_META_NAME, MAP_META_FORM, size);
    return STORAGE_RECORD_HEAD_BYTES + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct last_key last = {0};
    struct storage_error error;
    struct map_chunk_chain chain = {0};
    struct map_stream *stream = map_stream_create(take_record, &last);
    enum storage_status status = STORAGE_OK;
    struct storage_reader reader = storage_reader_init(data, size);
    uint8_t meta[STORAGE_RECORD_HEAD_BYTES + MAP_META_FIXED_BYTES];
    if (size > 0 && data[0] != 0) { /* else the input brings its own */
        status = add(stream, &chain, MAP_CHUNK_META, meta, make_meta(meta), &error);
    }
    while (status == STORAGE_OK) {
        const uint8_t *head = storage_read_bytes(&reader, 3);
        size_t body_size = head == NULL ? 0 : storage_get_u16(head + 1);
        const uint8_t *body = storage_read_bytes(&reader, body_size);
        if (body == NULL || body_size == 0) {
            break;
        }
        status = add(stream, &chain, head[0], body, body_size, &error);
    }
    check(map_stream_keys_count(stream) <= KEYS_MAX || data[0] == 0);
    check(!map_stream_is_complete(stream) || map_stream_get_meta(stream) != NULL);
    map_stream_destroy(stream);
    return 0;
}
