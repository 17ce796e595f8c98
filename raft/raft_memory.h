/* raft_memory.h: allocation for the consensus core: it succeeds or the process aborts.
 *
 * What a peer or a client can make the core allocate is bounded by the configuration, so that
 * running out of memory is not an expected failure and has no error path.
 */
#ifndef RAFT_MEMORY_H
#define RAFT_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* `count` items of `item_size` bytes, zeroed; NULL when count is 0. Freed with free(). */
void *raft_memory_allocate(size_t count, size_t item_size);

/* Makes room in a growing array: returns `items`, perhaps moved, with room for at least `needed`
 * items, and updates *capacity. Growth is by doubling, so that appending is O(1) on average. */
void *raft_memory_reserve(void *items, uint32_t *capacity, uint32_t needed, size_t item_size);

#endif
