/* byte_buffer.h: a growing run of bytes that is filled at its end and emptied at its front.
 *
 * Invariant: start <= end <= capacity. Out of memory aborts; what a stranger can make us put in here is
 * bounded by whoever fills it. byte_buffer_deinit() leaves an empty buffer that may be used again; {0} is a
 * valid empty one.
 */
#ifndef BYTE_BUFFER_H
#define BYTE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct byte_buffer {
    uint8_t *bytes;
    size_t start;
    size_t end;
    size_t capacity;
};

static inline size_t byte_buffer_size(const struct byte_buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline const uint8_t *byte_buffer_front(const struct byte_buffer *buffer)
{
    return buffer->bytes + buffer->start;
}

void byte_buffer_deinit(struct byte_buffer *buffer);
/* Room for `size` bytes at the end; returns where to write them, then byte_buffer_commit(). Moves the content
 * to the front of the memory, or grows it, where needed. */
uint8_t *byte_buffer_reserve(struct byte_buffer *buffer, size_t size);
void byte_buffer_commit(struct byte_buffer *buffer, size_t size);
void byte_buffer_append(struct byte_buffer *buffer, const void *bytes, size_t size);
/* Drops `size` bytes from the front. */
void byte_buffer_consume(struct byte_buffer *buffer, size_t size);
/* Gives memory back when the buffer is empty and holds more than `keep_bytes`. */
void byte_buffer_trim(struct byte_buffer *buffer, size_t keep_bytes);

#endif
