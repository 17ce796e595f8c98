/* bus_guest.c: connections that others made to us: strangers until their handshake is over, then a member's.
 *
 * A stranger costs at most a small buffer for a few seconds; when there are too many, the oldest has to go.
 */
#include "bus_internal.h"

#include "socket.h"

#include "stream_wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Trouble with somebody who is not known to be a member; anybody can cause it, so not too often. */
static void complain_of_stranger(const struct bus_guest *guest, const char *reason)
{
    struct bus *bus = guest->bus;
    struct log_fields fields = {0};
    uint64_t left_out;

    if (!bus_strangers_take(&bus->strangers, guest->hello.from, guest->address, reason, bus->loop->now_ms,
                            &left_out)) {
        return;
    }
    log_fields_add_text(&fields, "address", guest->address);
    log_fields_add_text(&fields, "reason", reason);
    if (left_out > 0) {
        log_fields_add_number(&fields, "left_out", left_out); /* the same, since the last line */
    }
    log_event(bus->loop->log, REPLICA_LOG_WARNING, "stranger-on-the-bus", fields.text);
}

/* ---- members --------------------------------------------------------------------------------- */

static void drop_accepted(struct bus_peer *peer, const char *event, const char *reason)
{
    struct bus_link *link = peer->accepted;

    peer->accepted = NULL;
    bus_link_close(link);
    bus_let_go(peer->bus, link);
    bus_peer_complain(peer, event, reason);
    replica_on_peer_unreachable(peer->bus->loop->replica, peer->member.node_id);
    if (peer->ready) {
        /* "Unreachable" was said of both connections, and ours stands still: what is sent arrives. */
        replica_on_peer_connected(peer->bus->loop->replica, peer->member.node_id, &peer->hello);
    }
}

static void on_member_message(struct bus_link *link, const struct bus_message *message)
{
    struct bus_peer *peer = link->owner;
    struct bus *bus = peer->bus;
    bool raft = message->type == BUS_MESSAGE_RAFT && message->raft.from == peer->member.node_id &&
                message->raft.to == bus->options.node_id;

    if (raft || message->type == BUS_MESSAGE_FORMATION || message->type == BUS_MESSAGE_REPORT) {
        replica_on_message(bus->loop->replica, peer->member.node_id, message);
    } else if (message->type == BUS_MESSAGE_REFUSED) {
        drop_accepted(peer, "refused-by-peer", message->refused.reason);
    } else {
        drop_accepted(peer, "peer-not-understood",
                      "it said something that it may not say on this connection");
    }
}

static void on_member_partial(struct bus_link *link)
{
    const struct bus_peer *peer = link->owner;

    replica_on_peer_contact(peer->bus->loop->replica, peer->member.node_id);
}

static void on_member_end(struct bus_link *link, enum bus_link_end end, const char *reason)
{
    drop_accepted(link->owner, end == BUS_LINK_GARBAGE ? "peer-not-understood" : "peer-disconnected", reason);
}

static const struct bus_link_handlers member_handlers = {NULL, on_member_message, on_member_partial,
                                                         on_member_end};

/* ---- guests ---------------------------------------------------------------------------------- */

/* Takes the guest out of the list; its link is the caller's. */
static struct bus_link *release(struct bus_guest *guest)
{
    struct bus_guest **at = &guest->bus->guests;
    struct bus_link *link = guest->link;

    while (*at != guest) {
        at = &(*at)->next;
    }
    *at = guest->next;
    guest->bus->guests_count--;
    free(guest);
    return link;
}

static void send_away(struct bus_guest *guest, const char *reason)
{
    struct bus *bus = guest->bus;

    complain_of_stranger(guest, reason);
    struct bus_link *link = release(guest);

    bus_link_close(link);
    bus_let_go(bus, link);
}

static void refuse(struct bus_guest *guest, const struct bus_message *refused)
{
    struct bus *bus = guest->bus;
    struct bus_peer *peer = bus_find_peer(bus, guest->hello.from);

    if (peer != NULL) {
        bus_peer_complain(peer, "peer-not-accepted", refused->refused.reason);
    } else {
        complain_of_stranger(guest, refused->refused.reason);
    }
    bus_refuse(bus, release(guest), refused);
}

/* The handshake of one that asks to join is over: it gets its answer, and that is all. */
static void answer_joining(struct bus_guest *guest)
{
    struct bus *bus = guest->bus;
    struct bus_message answer = {.type = BUS_MESSAGE_JOIN_ANSWER};

    replica_on_join_request(bus->loop->replica, &guest->hello, &answer.join_answer);
    bus_refuse(bus, release(guest), &answer);
}

/* It brings a snapshot: whether it may, the replica says when it knows which. */
static void await_snapshot(struct bus_guest *guest)
{
    guest->brings_snapshot = true;
    guest->link->body_bytes_max = STREAM_FRAME_BYTES_MAX;
}

static void on_snapshot_begin(struct bus_guest *guest, const struct bus_snapshot_begin *begin)
{
    struct bus *bus = guest->bus;
    struct bus_message end = {.type = BUS_MESSAGE_SNAPSHOT_END};
    const char *reason = "another snapshot is being loaded";

    if (bus->options.receive_snapshot == NULL || bus->arriving != NULL ||
        !replica_accept_snapshot(bus->loop->replica, guest->hello.from, begin, &bus->arriving_generation,
                                 &reason)) {
        (void)snprintf(end.snapshot_end.reason, sizeof end.snapshot_end.reason, "%s", reason);
        bus_refuse(bus, release(guest), &end);
        return;
    }
    bus->arriving_upto = begin->upto;
    bus->arriving = release(guest);
    bus_link_pause(bus->arriving);
}

/* The handshake is over: from now on this is the member's connection, in the place of an older one. */
static void welcome(struct bus_guest *guest)
{
    if (guest->hello.joining) {
        answer_joining(guest);
        return;
    }
    if (guest->hello.snapshot) {
        await_snapshot(guest);
        return;
    }
    struct bus *bus = guest->bus;
    struct bus_hello hello = guest->hello;
    struct bus_peer *peer = bus_find_peer(bus, hello.from);

    if (peer != NULL && peer->accepted != NULL) {
        drop_accepted(peer, "peer-disconnected", "it has connected anew");
    }
    replica_on_peer_hello(bus->loop->replica, hello.from, &hello);
    bus_add_peers(bus);
    peer = bus_find_peer(bus, hello.from);
    if (peer == NULL) {
        send_away(guest, "there is no room for another node");
        return;
    }
    struct bus_link *link = release(guest);

    peer->accepted = link;
    link->owner = peer;
    link->handlers = &member_handlers;
    link->body_bytes_max = BUS_FRAME_BYTES_MAX;
    bus_link_set_deadline(link, 0);
    bus_peer_hurry(peer);
}

/* True if the dialler's mark fits to whether we have a secret, and which. */
static bool check_mark(struct bus_guest *guest, struct bus_message *refused)
{
    const struct bus_options *options = &guest->bus->options;
    bool absent = bus_proof_is_absent(guest->hello.proof);

    if (options->secret_bytes == 0 && !absent) {
        bus_make_refusal(refused, BUS_REFUSAL_SECRET,
                         "Node %" PRIu64 " has a cluster secret, node %" PRIu64
                         " has none: set the same one on all members.",
                         guest->hello.from, options->node_id);
        return false;
    }
    if (options->secret_bytes > 0 && !bus_proof_check(options->secret, options->secret_bytes, BUS_PROOF_MARK,
                                                      &guest->subject, guest->hello.proof)) {
        bus_make_refusal(refused, BUS_REFUSAL_SECRET,
                         "Node %" PRIu64 " has %s: node %" PRIu64
                         " has a cluster secret, and all members need the same one.",
                         guest->hello.from, absent ? "no cluster secret" : "another cluster secret",
                         options->node_id);
        return false;
    }
    return true;
}

static void on_hello(struct bus_guest *guest, const struct bus_hello *hello)
{
    struct bus *bus = guest->bus;
    struct bus_message refused = {0}, answer = {.type = BUS_MESSAGE_HELLO};

    guest->hello = *hello;
    /* One that joins does not know whom it asks. */
    guest->subject = (struct bus_proof_subject){
        .dialler = hello->from, .acceptor = hello->joining ? hello->to : bus->options.node_id};
    memcpy(guest->subject.dialler_nonce, hello->nonce, BUS_NONCE_BYTES);
    /* The secret first: who does not know it learns nothing else about the cluster. */
    if (!check_mark(guest, &refused) || !replica_check_hello(bus->loop->replica, hello, &refused)) {
        refuse(guest, &refused);
        return;
    }
    guest->subject.acceptor = bus->options.node_id;
    replica_fill_hello(bus->loop->replica, hello->from, &answer.hello);
    bus_random_nonce(guest->subject.acceptor_nonce);
    memcpy(answer.hello.nonce, guest->subject.acceptor_nonce, BUS_NONCE_BYTES);
    memset(answer.hello.proof, 0, BUS_PROOF_BYTES);
    if (bus->options.secret_bytes > 0) {
        bus_proof_make(bus->options.secret, bus->options.secret_bytes, BUS_PROOF_ACCEPTOR, &guest->subject,
                       answer.hello.proof);
    }
    struct bus_link *link = guest->link;

    guest->said_hello = true;
    bus_link_queue(link, &answer);
    if (bus->options.secret_bytes == 0) {
        welcome(guest);
    }
    if (!link->closed && !link->close_when_sent) {
        bus_link_flush(link);
    }
}

static void on_proof(struct bus_guest *guest, const uint8_t proof[BUS_PROOF_BYTES])
{
    const struct bus_options *options = &guest->bus->options;
    struct bus_message refused;

    if (bus_proof_check(options->secret, options->secret_bytes, BUS_PROOF_DIALLER, &guest->subject, proof)) {
        welcome(guest);
        return;
    }
    bus_make_refusal(&refused, BUS_REFUSAL_SECRET, "Node %" PRIu64 " does not know the cluster secret.",
                     guest->hello.from);
    refuse(guest, &refused);
}

static void on_guest_message(struct bus_link *link, const struct bus_message *message)
{
    struct bus_guest *guest = link->owner;

    if (message->type == BUS_MESSAGE_HELLO && !guest->said_hello) {
        on_hello(guest, &message->hello);
    } else if (message->type == BUS_MESSAGE_SNAPSHOT_BEGIN && guest->brings_snapshot) {
        on_snapshot_begin(guest, &message->snapshot_begin);
    } else if (message->type == BUS_MESSAGE_PROOF && guest->said_hello && !guest->brings_snapshot) {
        on_proof(guest, message->proof);
    } else if (message->type == BUS_MESSAGE_REFUSED) {
        send_away(guest, message->refused.reason);
    } else {
        send_away(guest, "it did not say hello");
    }
}

static void on_guest_partial(struct bus_link *link)
{
    (void)link; /* the deadline stands */
}

static void on_guest_end(struct bus_link *link, enum bus_link_end end, const char *reason)
{
    (void)end;
    send_away(link->owner, reason);
}

static const struct bus_link_handlers guest_handlers = {NULL, on_guest_message, on_guest_partial,
                                                        on_guest_end};

void bus_guest_open(struct bus *bus, int file)
{
    struct bus_guest *guest = calloc(1, sizeof *guest);
    struct bus_guest **last = &bus->guests;

    if (guest == NULL) {
        abort();
    }
    if (bus->guests_count >= BUS_GUESTS_MAX) {
        send_away(bus->guests, "too many connections that have not said hello");
    }
    socket_prepare_member(file, bus->user_timeout_ms);
    socket_format_peer(file, guest->address, sizeof guest->address);
    guest->bus = bus;
    guest->link = bus_link_create(bus->loop, &guest_handlers, guest, file, false, BUS_HANDSHAKE_BYTES_MAX);
    bus_link_set_deadline(guest->link, BUS_HANDSHAKE_MS);
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = guest;
    bus->guests_count++;
}

void bus_guest_stop_all(struct bus *bus)
{
    while (bus->guests != NULL) {
        bus_link_destroy(release(bus->guests));
    }
}
