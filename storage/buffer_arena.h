/* buffer_arena.h: memory that is handed out in pieces and given back all at once.
 *
 * For the write buffer: its entries live exactly as long as their table. Pieces are aligned to 8 bytes.
 */
#ifndef BUFFER_ARENA_H
#define BUFFER_ARENA_H

#include <stddef.h>

struct buffer_arena_chunk;

struct buffer_arena {
    struct buffer_arena_chunk *chunks; /* newest first: the one that is filled */
    size_t used;                       /* of the newest */
    size_t bytes;                      /* of all */
};

/* A zeroed struct is an empty arena. */
void *buffer_arena_allocate(struct buffer_arena *arena, size_t size);
/* Gives back chunks until they come to so many bytes, or none is left; their size. Nothing may be taken from
 * it any more. */
size_t buffer_arena_free_some(struct buffer_arena *arena, size_t bytes);

#endif
