/* storage_snapshots.h: for tests that stream maps: all chunks of one in memory, and loading them. */
#ifndef STORAGE_SNAPSHOTS_H
#define STORAGE_SNAPSHOTS_H

#include "map_loader.h"
#include "map_snapshot.h"
#include "storage_testing.h"

enum { TESTING_CHUNKS_MAX = 20000 };

struct testing_chunks {
    uint8_t *bytes; /* one after the other */
    size_t size;
    size_t count;
    size_t offsets[TESTING_CHUNKS_MAX + 1]; /* of each, and of the end */
};

static inline void testing_chunks_add(struct testing_chunks *chunks, const uint8_t *chunk, size_t size)
{
    assert_true(chunks->count < TESTING_CHUNKS_MAX);
    chunks->bytes = realloc(chunks->bytes, chunks->size + size);
    assert_non_null(chunks->bytes);
    memcpy(chunks->bytes + chunks->size, chunk, size);
    chunks->offsets[chunks->count++] = chunks->size;
    chunks->size += size;
    chunks->offsets[chunks->count] = chunks->size;
}

static inline uint8_t *testing_chunk(const struct testing_chunks *chunks, size_t i, size_t *size)
{
    assert_true(i < chunks->count);
    *size = chunks->offsets[i + 1] - chunks->offsets[i];
    return chunks->bytes + chunks->offsets[i];
}

/* Streams what is durable of the map; `capacity` is the size of a chunk but for the first. */
static inline struct testing_chunks *testing_take_snapshot(struct map *map, size_t capacity)
{
    static uint8_t chunk[MAP_CHUNK_BYTES_MAX];
    struct testing_chunks *chunks = calloc(1, sizeof *chunks);
    struct map_snapshot *snapshot = NULL;
    struct storage_error error = {{0}};
    assert_non_null(chunks);
    assert_ok(map_snapshot_open(map, &snapshot, &error), error);
    for (size_t size = 1; size > 0;) {
        size_t room = chunks->count == 0 ? sizeof chunk : capacity;
        assert_ok(map_snapshot_read(snapshot, chunk, room, &size, &error), error);
        assert_true(size <= room);
        if (size > 0) {
            testing_chunks_add(chunks, chunk, size);
        }
    }
    assert_int_equal(map_snapshot_keys_count(snapshot), map_snapshot_get_meta(snapshot)->key_count);
    map_snapshot_close(snapshot);
    return chunks;
}

static inline void testing_chunks_free(struct testing_chunks *chunks)
{
    free(chunks->bytes);
    free(chunks);
}

/* Gives all chunks to a new loader; it is the caller's in any case, unless it could not be created (NULL). */
static inline enum storage_status testing_load_chunks(const struct testing_chunks *chunks,
                                                      const struct map_loader_options *options,
                                                      struct map_loader **loader, struct storage_error *error)
{
    *loader = NULL;
    enum storage_status status = map_loader_create(options, loader, error);
    for (size_t i = 0; i < chunks->count && status == STORAGE_OK; i++) {
        size_t size = 0;
        const uint8_t *chunk = testing_chunk(chunks, i, &size);
        status = map_loader_add(*loader, chunk, size, error);
    }
    bool finished = false;
    if (status == STORAGE_OK && !map_loader_is_complete(*loader)) {
        return status;
    }
    while (status == STORAGE_OK && !finished) {
        status = map_loader_finish(*loader, &finished, error);
    }
    return status;
}

/* Makes a map of the chunks, which must be sound. */
static inline void testing_load(const struct testing_chunks *chunks, const char *directory, size_t sort_bytes)
{
    struct storage_error error = {{0}};
    struct map_loader *loader = NULL;
    const struct map_loader_options options = {
        .directory = directory, .map_bytes = TESTING_MAP_BYTES, .sort_bytes = sort_bytes};
    assert_ok(testing_load_chunks(chunks, &options, &loader, &error), error);
    assert_true(map_loader_is_complete(loader));
    map_loader_destroy(loader);
}

#endif
