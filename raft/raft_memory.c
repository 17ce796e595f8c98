/* raft_memory.c: see raft_memory.h. */
#include "raft_memory.h"

#include <stdlib.h>

#include "raft_assert.h"

void *raft_memory_allocate(size_t count, size_t item_size)
{
    raft_assert(item_size > 0);
    if (count == 0) {
        return NULL;
    }
    void *memory = calloc(count, item_size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

void *raft_memory_reserve(void *items, uint32_t *capacity, uint32_t needed, size_t item_size)
{
    raft_assert(item_size > 0);
    raft_assert(needed <= UINT32_MAX / 2);
    if (needed <= *capacity) {
        return items;
    }
    uint32_t grown = *capacity == 0 ? 8 : *capacity;
    while (grown < needed) {
        grown *= 2;
    }
    if (grown > SIZE_MAX / item_size) {
        abort();
    }
    void *moved = realloc(items, (size_t)grown * item_size);
    if (moved == NULL) {
        abort();
    }
    *capacity = grown;
    return moved;
}
