/* load_client.h: one connection of the load: requests go out in order, and each reply is timed.
 *
 * The time of a request runs from the moment that its sender names, which is the moment that it was due and
 * not the one at which there was room for it. Replies are not kept: a value is counted and dropped as it
 * arrives, whatever its size. What is not a reply to SET, GET or MSET, or is an error, is refused.
 */
#ifndef LOAD_CLIENT_H
#define LOAD_CLIENT_H

#include "byte_buffer.h"

#include <stdbool.h>
#include <stdint.h>

enum load_kind { LOAD_READ, LOAD_WRITE };
enum { LOAD_KINDS = 2, LOAD_LINE_BYTES = 256 };

struct load_pending {
    uint64_t due_ns;
    enum load_kind kind;
};

struct load_client {
    int fd;
    bool wants_write; /* registered for it */
    bool is_dirty;
    struct byte_buffer output;
    struct load_pending *pending; /* a ring */
    uint32_t pending_first;
    uint32_t pending_count;
    uint32_t pending_capacity;
    uint64_t skip_bytes; /* of a value and its line end, that are still to come */
    uint32_t line_size;
    char line[LOAD_LINE_BYTES];
};

/* `is_missing`: a read that found nothing. */
typedef void load_reply_function(void *context, const struct load_pending *request, bool is_missing);

/* Takes over a connected, non-blocking socket. */
void load_client_init(struct load_client *client, int fd, uint32_t pending_capacity);
void load_client_deinit(struct load_client *client);
bool load_client_has_room(const struct load_client *client);
/* Queues a request; needs room. `value` is a bulk string as it travels, see load_value(). */
void load_client_set(struct load_client *client, uint64_t due_ns, uint64_t key,
                     const struct byte_buffer *value);
void load_client_get(struct load_client *client, uint64_t due_ns, uint64_t key);
/* `count` keys from `first` on with the same value: one request. */
void load_client_mset(struct load_client *client, uint64_t due_ns, uint64_t first, uint32_t count,
                      const struct byte_buffer *value);
/* The bulk string of `size` bytes. */
void load_value(struct byte_buffer *value, const char *bytes, uint32_t size);
/* Writes what is queued as far as the socket takes it. False: broken. */
bool load_client_flush(struct load_client *client);
/* Understands `size` bytes that arrived. False: client->line says what is wrong. */
bool load_client_receive(struct load_client *client, const char *bytes, size_t size,
                         load_reply_function *on_reply, void *context);

#endif
