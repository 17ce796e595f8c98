/* write_buffer_expiry.c: the entries of a write buffer in the order (expiry, key).
 *
 * A binary heap with lazy deletion: a changed expiry adds an element, the old one is stale because its entry
 * says otherwise. Stale elements are dropped at the top, and all at once when they are the majority.
 */
#include "map_record.h"
#include "storage_memory.h"
#include "write_buffer_internal.h"

#include <assert.h>

enum { HEAP_STALE_MIN = 64 };

static bool write_buffer_expires_before(const struct write_buffer_expiry *left,
                                        const struct write_buffer_expiry *right)
{
    if (left->expiry_ms != right->expiry_ms) {
        return left->expiry_ms < right->expiry_ms;
    }
    return map_key_compare(left->entry->key, left->entry->key_size, right->entry->key,
                           right->entry->key_size) < 0;
}

static bool write_buffer_is_stale(const struct write_buffer_expiry *element)
{
    return element->entry->deleted || element->entry->expiry_ms != element->expiry_ms;
}

static void write_buffer_sift_down(struct write_buffer *buffer, size_t place)
{
    struct write_buffer_expiry *heap = buffer->heap;
    struct write_buffer_expiry moved = heap[place];
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= buffer->heap_count) {
            break;
        }
        if (child + 1 < buffer->heap_count && write_buffer_expires_before(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (!write_buffer_expires_before(&heap[child], &moved)) {
            break;
        }
        heap[place] = heap[child];
        place = child;
    }
    heap[place] = moved;
}

static void write_buffer_push(struct write_buffer *buffer, const struct write_buffer_entry *entry)
{
    if (buffer->heap_count == buffer->heap_capacity) {
        buffer->heap_capacity = buffer->heap_capacity == 0 ? HEAP_STALE_MIN : buffer->heap_capacity * 2;
        buffer->heap = storage_reallocate(buffer->heap, buffer->heap_capacity * sizeof *buffer->heap);
    }
    struct write_buffer_expiry added = {.expiry_ms = entry->expiry_ms, .entry = entry};
    size_t place = buffer->heap_count++;
    while (place > 0 && write_buffer_expires_before(&added, &buffer->heap[(place - 1) / 2])) {
        buffer->heap[place] = buffer->heap[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    buffer->heap[place] = added;
}

/* Builds the heap from the entries: one element each. */
static void write_buffer_rebuild_heap(struct write_buffer *buffer)
{
    size_t slot = 0;
    const struct write_buffer_slot *found = NULL;
    buffer->heap_count = 0;
    while ((found = write_buffer_next(buffer, &slot)) != NULL) {
        if (!found->entry->deleted && found->entry->expiry_ms != 0) {
            assert(buffer->heap_count < buffer->heap_capacity);
            buffer->heap[buffer->heap_count++] =
                (struct write_buffer_expiry){.expiry_ms = found->entry->expiry_ms, .entry = found->entry};
        }
        slot++;
    }
    assert(buffer->heap_count == buffer->expiring_count);
    for (size_t place = buffer->heap_count / 2; place-- > 0;) {
        write_buffer_sift_down(buffer, place);
    }
}

void write_buffer_change_expiry(struct write_buffer *buffer, struct write_buffer_entry *entry, bool deleted,
                                uint64_t expiry_ms)
{
    assert(!deleted || expiry_ms == 0);
    uint64_t old = entry->deleted ? 0 : entry->expiry_ms;
    entry->deleted = deleted;
    entry->expiry_ms = expiry_ms;
    if (old == expiry_ms) {
        return;
    }
    buffer->expiring_count -= old != 0 ? 1 : 0;
    buffer->expiring_count += expiry_ms != 0 ? 1 : 0;
    if (expiry_ms != 0) {
        write_buffer_push(buffer, entry);
    }
    if (buffer->heap_count > 2 * buffer->expiring_count + HEAP_STALE_MIN) {
        write_buffer_rebuild_heap(buffer);
    }
}

void write_buffer_skip_expiry(struct write_buffer *buffer)
{
    assert(buffer->heap_count > 0);
    buffer->heap[0] = buffer->heap[--buffer->heap_count];
    if (buffer->heap_count > 0) {
        write_buffer_sift_down(buffer, 0);
    }
}

const struct write_buffer_entry *write_buffer_first_expiry(struct write_buffer *buffer)
{
    while (buffer->heap_count > 0 && write_buffer_is_stale(&buffer->heap[0])) {
        write_buffer_skip_expiry(buffer);
    }
    return buffer->heap_count > 0 ? buffer->heap[0].entry : NULL;
}
