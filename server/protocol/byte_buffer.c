/* byte_buffer.c: see byte_buffer.h.
 *
 * Growth doubles, so that appending n bytes copies O(n). The content moves to the front of the memory instead
 * of growing it when at least half of the memory lies free in front of it: then the move is paid for by the
 * bytes that were consumed.
 */
#include "byte_buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BYTE_BUFFER_CAPACITY_MIN = 256 };

static void byte_buffer_check(const struct byte_buffer *buffer)
{
    assert(buffer->start <= buffer->end);
    assert(buffer->end <= buffer->capacity);
}

void byte_buffer_deinit(struct byte_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct byte_buffer){0};
}

static void byte_buffer_make_room(struct byte_buffer *buffer, size_t size)
{
    size_t used = byte_buffer_size(buffer);
    if (buffer->start > 0 && buffer->start >= used && size <= buffer->capacity - used) {
        memcpy(buffer->bytes, buffer->bytes + buffer->start, used);
        buffer->start = 0;
        buffer->end = used;
        return;
    }
    if (size > SIZE_MAX / 4 || used > SIZE_MAX / 4) {
        abort();
    }
    /* Always more than before: a nearly full buffer that is consumed byte by byte must not be copied each
     * time. */
    size_t capacity = buffer->capacity == 0 ? BYTE_BUFFER_CAPACITY_MIN : buffer->capacity * 2;
    while (capacity - used < size) {
        capacity *= 2;
    }
    uint8_t *bytes = malloc(capacity);
    if (bytes == NULL) {
        abort();
    }
    if (used > 0) {
        memcpy(bytes, buffer->bytes + buffer->start, used);
    }
    free(buffer->bytes);
    *buffer = (struct byte_buffer){.bytes = bytes, .end = used, .capacity = capacity};
}

uint8_t *byte_buffer_reserve(struct byte_buffer *buffer, size_t size)
{
    byte_buffer_check(buffer);
    if (buffer->bytes == NULL || buffer->capacity - buffer->end < size) {
        byte_buffer_make_room(buffer, size);
    }
    assert(buffer->capacity - buffer->end >= size);
    return buffer->bytes + buffer->end;
}

void byte_buffer_commit(struct byte_buffer *buffer, size_t size)
{
    assert(size <= buffer->capacity - buffer->end);
    buffer->end += size;
}

void byte_buffer_append(struct byte_buffer *buffer, const void *bytes, size_t size)
{
    if (size == 0) {
        return;
    }
    memcpy(byte_buffer_reserve(buffer, size), bytes, size);
    buffer->end += size;
}

void byte_buffer_consume(struct byte_buffer *buffer, size_t size)
{
    assert(size <= byte_buffer_size(buffer));
    buffer->start += size;
    if (buffer->start == buffer->end) {
        buffer->start = buffer->end = 0;
    }
}

void byte_buffer_trim(struct byte_buffer *buffer, size_t keep_bytes)
{
    byte_buffer_check(buffer);
    if (buffer->start == buffer->end && buffer->capacity > keep_bytes) {
        byte_buffer_deinit(buffer);
    }
}
