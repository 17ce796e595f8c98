/* buffer_arena.c: see buffer_arena.h. Chunks double from small to large, so that many small tables (a
 * simulator full of nodes) cost little and a large one few calls. */
#include "buffer_arena.h"

#include "storage_memory.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

enum { CHUNK_BYTES_MIN = 4 * 1024, CHUNK_BYTES_MAX = 1024 * 1024 };

struct buffer_arena_chunk {
    struct buffer_arena_chunk *next;
    size_t size;
    uint64_t memory[];
};

void *buffer_arena_allocate(struct buffer_arena *arena, size_t size)
{
    size_t rounded = (size + 7) / 8 * 8;
    if (arena->chunks == NULL || rounded > arena->chunks->size - arena->used) {
        size_t chunk_size = arena->chunks == NULL ? CHUNK_BYTES_MIN : arena->chunks->size * 2;
        chunk_size = chunk_size > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : chunk_size;
        chunk_size = chunk_size < rounded ? rounded : chunk_size;
        struct buffer_arena_chunk *chunk = storage_allocate(sizeof *chunk + chunk_size);
        chunk->next = arena->chunks;
        chunk->size = chunk_size;
        arena->chunks = chunk;
        arena->used = 0;
        arena->bytes += sizeof *chunk + chunk_size;
    }
    void *piece = (uint8_t *)arena->chunks->memory + arena->used;
    arena->used += rounded;
    assert(arena->used <= arena->chunks->size);
    return piece;
}

size_t buffer_arena_free_some(struct buffer_arena *arena, size_t bytes)
{
    size_t freed = 0;
    while (arena->chunks != NULL && freed < bytes) {
        struct buffer_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        freed += sizeof *chunk + chunk->size;
        free(chunk);
    }
    assert(arena->bytes >= freed);
    arena->bytes -= freed;
    arena->used = 0;
    return freed;
}
