/* raft_persists.c: see raft_persists.h. */
#include "raft_persists.h"

#include <stdlib.h>

#include "raft_assert.h"
#include "raft_memory.h"

static struct raft_persist *item_at(const struct raft_persists *persists, uint32_t i)
{
    raft_assert(i < persists->count);
    return &persists->items[(persists->head + i) & (persists->capacity - 1)];
}

static void grow(struct raft_persists *persists)
{
    uint32_t capacity = persists->capacity == 0 ? 8 : persists->capacity * 2;
    struct raft_persist *items = raft_memory_allocate(capacity, sizeof *items);
    for (uint32_t i = 0; i < persists->count; i++) {
        items[i] = *item_at(persists, i);
    }
    free(persists->items);
    persists->items = items;
    persists->head = 0;
    persists->capacity = capacity;
}

void raft_persists_deinit(struct raft_persists *persists)
{
    free(persists->items);
    *persists = (struct raft_persists){0};
}

uint64_t raft_persists_issue(struct raft_persists *persists, uint64_t first_index, struct raft_entry_id last,
                             uint64_t now_ms)
{
    raft_assert(first_index == UINT64_MAX || first_index <= last.index);
    if (persists->count == persists->capacity) {
        grow(persists);
    }
    persists->count++;
    persists->last_sequence++;
    *item_at(persists, persists->count - 1) = (struct raft_persist){
        .sequence = persists->last_sequence,
        .first_min = first_index,
        .last = last,
        .issued_ms = now_ms,
    };
    /* Appending writes stop this walk at once; only a write that overwrites goes further back. */
    for (uint32_t i = persists->count - 1; i > 0; i--) {
        struct raft_persist *earlier = item_at(persists, i - 1);
        if (earlier->first_min <= first_index) {
            break;
        }
        earlier->first_min = first_index;
    }
    raft_assert(persists->done_sequence + persists->count == persists->last_sequence);
    return persists->last_sequence;
}

bool raft_persists_complete(struct raft_persists *persists, uint64_t sequence, struct raft_entry_id *last)
{
    raft_assert(sequence <= persists->last_sequence);
    bool completed = false;
    while (persists->count > 0 && item_at(persists, 0)->sequence <= sequence) {
        *last = item_at(persists, 0)->last;
        persists->done_sequence = item_at(persists, 0)->sequence;
        persists->head = (persists->head + 1) & (persists->capacity - 1);
        persists->count--;
        completed = true;
    }
    raft_assert(persists->done_sequence + persists->count == persists->last_sequence);
    return completed;
}

uint64_t raft_persists_first_overwritten(const struct raft_persists *persists)
{
    return persists->count == 0 ? UINT64_MAX : item_at(persists, 0)->first_min;
}

uint64_t raft_persists_oldest_ms(const struct raft_persists *persists)
{
    return persists->count == 0 ? UINT64_MAX : item_at(persists, 0)->issued_ms;
}
