/* bus.c: the members and their connections, together. */
#include "bus_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { USER_TIMEOUT_MS_MIN = 1000, USER_TIMEOUT_MS_MAX = 30000 };

struct bus_peer *bus_find_peer(struct bus *bus, uint64_t node_id)
{
    struct bus_peer *peer = bus->peers;

    while (peer != NULL && peer->member.node_id != node_id) {
        peer = peer->next;
    }
    return peer;
}

void bus_random_nonce(uint8_t nonce[BUS_NONCE_BYTES])
{
    if (getrandom(nonce, BUS_NONCE_BYTES, 0) != BUS_NONCE_BYTES) {
        abort(); /* cannot happen for so few bytes */
    }
}

const char *bus_refusal_name(enum bus_refusal code)
{
    switch (code) {
    case BUS_REFUSAL_VERSION:
        return "version";
    case BUS_REFUSAL_NOT_A_MEMBER:
        return "not-a-member";
    case BUS_REFUSAL_CLUSTER:
        return "cluster";
    case BUS_REFUSAL_DISK:
        return "disk";
    case BUS_REFUSAL_SECRET:
        return "secret";
    case BUS_REFUSAL_MEMBERS:
        return "members";
    case BUS_REFUSAL_ADDRESS:
        return "address";
    case BUS_REFUSAL_REMOVED:
        return "removed";
    }
    return "unknown";
}

void bus_make_refusal(struct bus_message *refused, enum bus_refusal code, const char *format, ...)
{
    va_list arguments;

    *refused = (struct bus_message){.type = BUS_MESSAGE_REFUSED};
    refused->refused.code = code;
    va_start(arguments, format);
    (void)vsnprintf(refused->refused.reason, sizeof refused->refused.reason, format, arguments);
    va_end(arguments);
}

/* Last words are a kindness: when too many want them, the oldest go without. */
void bus_let_go(struct bus *bus, struct bus_link *link)
{
    uint32_t open = 0;

    link->next = bus->leaving;
    bus->leaving = link;
    for (; link != NULL; link = link->next) {
        open += !link->closed;
        if (open > BUS_LEAVING_MAX) {
            bus_link_close(link);
        }
    }
}

void bus_refuse(struct bus *bus, struct bus_link *link, const struct bus_message *refused)
{
    bus_link_queue(link, refused);
    bus_link_close_when_sent(link);
    bus_let_go(bus, link);
}

static void free_closed(struct bus *bus)
{
    struct bus_link **at = &bus->leaving;

    while (*at != NULL) {
        struct bus_link *link = *at;

        if (link->closed) {
            *at = link->next;
            bus_link_destroy(link);
        } else {
            at = &link->next;
        }
    }
}

/* ---- peers ----------------------------------------------------------------------------------- */

static void open_peer(struct bus *bus, const struct replica_member *member)
{
    struct bus_peer *peer = calloc(1, sizeof *peer);

    if (peer == NULL) {
        abort();
    }
    peer->bus = bus;
    peer->member = *member;
    peer->wanted = true;
    peer->next = bus->peers;
    bus->peers = peer;
    bus_peer_start(peer);
}

static void free_peer(struct bus_peer *peer)
{
    struct bus_peer **at = &peer->bus->peers;

    while (*at != peer) {
        at = &(*at)->next;
    }
    *at = peer->next;
    free(peer);
}

/* By the same id, but with another disk: nothing that was agreed with the one holds for the other. */
static bool is_another(const struct replica_member *known, const struct replica_member *member)
{
    return known->disk_id != 0 && member->disk_id != 0 && known->disk_id != member->disk_id;
}

/* Adds and moves; marks those that are wanted. */
static void take_peers(struct bus *bus)
{
    struct replica_member members[REPLICA_PEERS_MAX];
    uint32_t count = replica_peers(bus->loop->replica, members);

    for (struct bus_peer *peer = bus->peers; peer != NULL; peer = peer->next) {
        peer->wanted = false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct bus_peer *peer = bus_find_peer(bus, members[i].node_id);

        if (peer != NULL && is_another(&peer->member, &members[i])) {
            bus_peer_part(peer);
            free_peer(peer);
            peer = NULL;
        }
        if (peer == NULL) {
            open_peer(bus, &members[i]);
        } else {
            peer->wanted = true;
            bus_peer_move(peer, &members[i]);
        }
    }
}

void bus_add_peers(struct bus *bus)
{
    if (bus->generation != replica_peers_generation(bus->loop->replica)) {
        take_peers(bus);
    }
}

static void follow_peers(struct bus *bus)
{
    uint64_t generation = replica_peers_generation(bus->loop->replica);
    struct bus_peer *peer, *next;

    if (bus->generation == generation) {
        return;
    }
    take_peers(bus);
    bus->generation = generation;
    for (peer = bus->peers; peer != NULL; peer = next) {
        next = peer->next;
        if (!peer->wanted) {
            struct log_fields fields = {0};

            log_fields_add_number(&fields, "peer", peer->member.node_id);
            log_event(bus->loop->log, REPLICA_LOG_INFO, "peer-dropped", fields.text);
            bus_peer_part(peer);
            free_peer(peer);
        }
    }
}

static void on_accepted(void *context, int file, uint32_t number)
{
    (void)number;
    bus_guest_open(context, file);
}

struct bus *bus_create(struct loop *loop, struct resolver *resolver, const struct bus_options *options,
                       int listening_file)
{
    struct bus *bus = calloc(1, sizeof *bus);

    if (bus == NULL) {
        abort();
    }
    bus->loop = loop;
    bus->join.bus = bus;
    bus->resolver = resolver;
    bus->options = *options;
    bus->user_timeout_ms = 2 * options->election_timeout_ms;
    if (bus->user_timeout_ms < USER_TIMEOUT_MS_MIN) {
        bus->user_timeout_ms = USER_TIMEOUT_MS_MIN;
    } else if (bus->user_timeout_ms > USER_TIMEOUT_MS_MAX) {
        bus->user_timeout_ms = USER_TIMEOUT_MS_MAX;
    }
    listener_start(&bus->listener, loop, listening_file, 0, on_accepted, bus);
    bus->generation = UINT64_MAX;
    follow_peers(bus);
    return bus;
}

void bus_destroy(struct bus *bus)
{
    if (bus == NULL) {
        return;
    }
    listener_stop(&bus->listener);
    bus_join_stop(&bus->join);
    if (bus->arriving != NULL) {
        bus_link_close(bus->arriving);
        bus_let_go(bus, bus->arriving);
        replica_on_snapshot_failed(bus->loop->replica, "this node stops");
    }
    while (bus->peers != NULL) {
        bus_peer_stop(bus->peers);
        free_peer(bus->peers);
    }
    bus_guest_stop_all(bus);
    for (struct bus_link *link = bus->leaving; link != NULL; link = link->next) {
        bus_link_close(link);
    }
    free_closed(bus);
    free(bus);
}

void bus_send(struct bus *bus, uint64_t node_id, const struct bus_message *message)
{
    struct bus_peer *peer = bus == NULL ? NULL : bus_find_peer(bus, node_id);

    if (peer == NULL || !peer->ready) {
        return;
    }
    if (byte_buffer_size(&peer->dialled->output) > BUS_OUTPUT_BYTES_MAX &&
        message->type == BUS_MESSAGE_RAFT) {
        if (peer->dropped_messages++ == 0) {
            struct log_fields fields = {0};

            log_fields_add_number(&fields, "peer", node_id);
            log_event(bus->loop->log, REPLICA_LOG_WARNING, "peer-too-slow", fields.text);
        }
        return;
    }
    peer->dropped_messages = 0;
    bus_link_queue(peer->dialled, message);
}

static void hand_snapshot_over(struct bus *bus)
{
    struct bus_link *link = bus->arriving;

    if (link == NULL) {
        return;
    }
    bus->arriving = NULL;
    int file = bus_link_take_file(link);

    bus->options.receive_snapshot(bus->options.receive_context, file, byte_buffer_front(&link->input),
                                  byte_buffer_size(&link->input), bus->arriving_upto,
                                  bus->arriving_generation);
    bus_let_go(bus, link);
}

void bus_send_now(struct bus *bus)
{
    for (struct bus_peer *peer = bus->peers; peer != NULL; peer = peer->next) {
        if (peer->dialled != NULL) {
            bus_link_send_now(peer->dialled);
        }
    }
}

void bus_flush(struct bus *bus)
{
    for (struct bus_peer *peer = bus->peers; peer != NULL; peer = peer->next) {
        if (peer->dialled != NULL) {
            bus_link_flush(peer->dialled);
        }
    }
    hand_snapshot_over(bus);
    follow_peers(bus);
    bus_join_continue(&bus->join);
    free_closed(bus);
}
