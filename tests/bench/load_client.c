/* load_client.c: see load_client.h. */
#include "load_client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void load_client_init(struct load_client *client, int fd, uint32_t pending_capacity)
{
    assert(fd >= 0 && pending_capacity > 0);
    *client = (struct load_client){.fd = fd, .pending_capacity = pending_capacity};
    client->pending = calloc(pending_capacity, sizeof *client->pending);
    assert(client->pending != NULL);
}

void load_client_deinit(struct load_client *client)
{
    close(client->fd);
    byte_buffer_deinit(&client->output);
    free(client->pending);
}

bool load_client_has_room(const struct load_client *client)
{
    return client->pending_count < client->pending_capacity;
}

static void note_pending(struct load_client *client, uint64_t due_ns, enum load_kind kind)
{
    assert(load_client_has_room(client));
    uint32_t slot = (client->pending_first + client->pending_count) % client->pending_capacity;
    client->pending[slot] = (struct load_pending){.due_ns = due_ns, .kind = kind};
    client->pending_count++;
}

static void append_text(struct byte_buffer *buffer, const char *text)
{
    byte_buffer_append(buffer, text, strlen(text));
}

/* "key:" and twelve digits, as redis-benchmark's. */
static void append_key(struct byte_buffer *buffer, uint64_t key)
{
    char text[] = "$16\r\nkey:000000000000\r\n";
    char *digit = text + sizeof text - 3; /* behind the last one */
    for (; key > 0; key /= 10) {
        *--digit = (char)('0' + key % 10);
    }
    assert(digit > text + 8);
    byte_buffer_append(buffer, text, sizeof text - 1);
}

static void append_value(struct byte_buffer *buffer, const struct byte_buffer *value)
{
    byte_buffer_append(buffer, byte_buffer_front(value), byte_buffer_size(value));
}

void load_value(struct byte_buffer *value, const char *bytes, uint32_t size)
{
    char head[16];
    snprintf(head, sizeof head, "$%u\r\n", size);
    append_text(value, head);
    byte_buffer_append(value, bytes, size);
    append_text(value, "\r\n");
}

void load_client_set(struct load_client *client, uint64_t due_ns, uint64_t key,
                     const struct byte_buffer *value)
{
    note_pending(client, due_ns, LOAD_WRITE);
    append_text(&client->output, "*3\r\n$3\r\nSET\r\n");
    append_key(&client->output, key);
    append_value(&client->output, value);
}

void load_client_get(struct load_client *client, uint64_t due_ns, uint64_t key)
{
    note_pending(client, due_ns, LOAD_READ);
    append_text(&client->output, "*2\r\n$3\r\nGET\r\n");
    append_key(&client->output, key);
}

void load_client_mset(struct load_client *client, uint64_t due_ns, uint64_t first, uint32_t count,
                      const struct byte_buffer *value)
{
    char head[32];
    note_pending(client, due_ns, LOAD_WRITE);
    snprintf(head, sizeof head, "*%u\r\n$4\r\nMSET\r\n", 2 * count + 1);
    append_text(&client->output, head);
    for (uint32_t i = 0; i < count; i++) {
        append_key(&client->output, first + i);
        append_value(&client->output, value);
    }
}

bool load_client_flush(struct load_client *client)
{
    size_t size = byte_buffer_size(&client->output);
    if (size == 0) {
        return true;
    }
    ssize_t sent = send(client->fd, byte_buffer_front(&client->output), size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        snprintf(client->line, sizeof client->line, "send: %s", strerror(errno));
        return false;
    }
    byte_buffer_consume(&client->output, sent > 0 ? (size_t)sent : 0);
    return true;
}

/* One line without its end: +OK, $-1, $100; everything else is not what we asked for. */
static bool understand_line(struct load_client *client, load_reply_function *on_reply, void *context)
{
    if (client->pending_count == 0) {
        return false;
    }
    bool is_missing = false;
    const struct load_pending request = client->pending[client->pending_first];
    if (client->line[0] == '$') {
        char *end;
        long long size = strtoll(client->line + 1, &end, 10);
        if (request.kind != LOAD_READ || *end != '\0' || size < -1) {
            return false;
        }
        is_missing = size < 0;
        client->skip_bytes = is_missing ? 0 : (uint64_t)size + 2;
    } else if (request.kind != LOAD_WRITE || strcmp(client->line, "+OK") != 0) {
        return false;
    }
    client->pending_first = (client->pending_first + 1) % client->pending_capacity;
    client->pending_count--;
    on_reply(context, &request, is_missing);
    return true;
}

bool load_client_receive(struct load_client *client, const char *bytes, size_t size,
                         load_reply_function *on_reply, void *context)
{
    while (size > 0) {
        if (client->skip_bytes > 0) {
            size_t skipped = size < client->skip_bytes ? size : (size_t)client->skip_bytes;
            client->skip_bytes -= skipped;
            bytes += skipped;
            size -= skipped;
            continue;
        }
        const char *end = memchr(bytes, '\n', size);
        size_t part = end != NULL ? (size_t)(end - bytes) + 1 : size;
        size_t room = sizeof client->line - 1 - client->line_size;
        size_t kept = part < room ? part : room;
        memcpy(client->line + client->line_size, bytes, kept);
        client->line_size += (uint32_t)kept;
        bytes += part;
        size -= part;
        if (end != NULL || kept < part) {
            client->line[client->line_size] = '\0';
            client->line[strcspn(client->line, "\r\n")] = '\0';
            client->line_size = 0;
            if (!understand_line(client, on_reply, context)) {
                return false;
            }
        }
    }
    return true;
}
