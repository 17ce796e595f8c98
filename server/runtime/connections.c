/* connections.c: all clients of this node: the lists that they stand in, their beginning and their end. */
#include "connection_internal.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- lists ----------------------------------------------------------------------------------- */

void connection_on_ready(struct connection *connection)
{
    struct connections *owner = connection->owner;

    if (connection->on_ready_list) {
        return;
    }
    connection->on_ready_list = true;
    connection->ready_next = NULL;
    if (owner->ready_first == NULL) {
        owner->ready_first = connection;
    } else {
        owner->ready_last->ready_next = connection;
    }
    owner->ready_last = connection;
}

static struct connection *pop_ready(struct connections *owner)
{
    struct connection *connection = owner->ready_first;

    if (connection != NULL) {
        owner->ready_first = connection->ready_next;
        connection->on_ready_list = false;
    }
    return connection;
}

void connections_push_resume(struct connection *connection)
{
    if (!connection->on_resume_list) {
        connection->on_resume_list = true;
        connection->resume_next = connection->owner->resume_first;
        connection->owner->resume_first = connection;
    }
}

static void unlink_connection(struct connection *connection)
{
    struct connections *owner = connection->owner;

    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else if (owner->first == connection) {
        owner->first = connection->next;
    } else {
        assert(owner->lingering == connection);
        owner->lingering = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    } else if (owner->last == connection) {
        owner->last = connection->previous;
    }
    connection->next = connection->previous = NULL;
}

void connections_move_to_lingering(struct connection *connection)
{
    struct connections *owner = connection->owner;

    unlink_connection(connection);
    connection->next = owner->lingering;
    if (owner->lingering != NULL) {
        owner->lingering->previous = connection;
    }
    owner->lingering = connection;
}

static void remove_from(struct connection **first, struct connection *connection, size_t next_offset)
{
    struct connection **link = first;

    while (*link != connection) {
        assert(*link != NULL);
        link = (struct connection **)(void *)((char *)*link + next_offset);
    }
    *link = *(struct connection **)(void *)((char *)connection + next_offset);
}

void connections_forget(struct connection *connection)
{
    struct connections *owner = connection->owner;

    if (connection->on_ready_list) {
        struct connection *last = NULL;

        remove_from(&owner->ready_first, connection, offsetof(struct connection, ready_next));
        for (struct connection *at = owner->ready_first; at != NULL; at = at->ready_next) {
            last = at;
        }
        owner->ready_last = last;
    }
    if (connection->on_resume_list) {
        remove_from(&owner->resume_first, connection, offsetof(struct connection, resume_next));
    }
    unlink_connection(connection);
}

/* ---- the turn -------------------------------------------------------------------------------- */

void connections_resume(struct connections *connections)
{
    struct connection *connection = connections->resume_first;

    connections->resume_first = NULL;
    while (connection != NULL) {
        struct connection *next = connection->resume_next;

        connection->on_resume_list = false;
        connection_resume(connection);
        connection = next;
    }
}

bool connections_have_work(const struct connections *connections)
{
    return connections->resume_first != NULL || connections->ready_first != NULL;
}

void connections_flush(struct connections *connections)
{
    struct connection *connection;

    while ((connection = pop_ready(connections)) != NULL) {
        connection_flush(connection);
    }
}

/* ---- all of them ----------------------------------------------------------------------------- */

void connections_init(struct connections *connections, struct loop *loop, uint32_t clients_max,
                      uint64_t input_bytes_max)
{
    *connections = (struct connections){
        .loop = loop, .clients_max = clients_max, .input_bytes_max = input_bytes_max, .next_id = 1};
    connections->scratch = malloc(CONNECTIONS_SCRATCH_BYTES);
    if (connections->scratch == NULL) {
        abort();
    }
}

void connections_deinit(struct connections *connections)
{
    while (connections->first != NULL) {
        connection_destroy(connections->first);
    }
    while (connections->lingering != NULL) {
        connection_destroy(connections->lingering);
    }
    assert(connections->count == 0 && connections->input_bytes == 0);
    free(connections->scratch);
    connections->scratch = NULL;
}

static void refuse(struct connections *connections, int file)
{
    static const char text[] = "-ERR max number of clients reached\r\n";
    ssize_t sent = send(file, text, sizeof text - 1, MSG_NOSIGNAL);

    (void)sent;
    connections->clients_refused++;
    (void)close(file);
}

void connections_open(struct connections *connections, int file, uint32_t listener)
{
    if (connections->count + connections->lingering_count >= connections->clients_max) {
        refuse(connections, file);
        return;
    }
    struct connection *connection = connection_create(connections, file, listener);

    connection->previous = connections->last;
    if (connections->last != NULL) {
        connections->last->next = connection;
    } else {
        connections->first = connection;
    }
    connections->last = connection;
    connections->count++;
    connections->clients_total++;
}
