/* bus_peer.c: our connection to one other member: name, connect, hello, and again.
 *
 *   waiting for a retry -> (name lookup) -> connecting -> hello sent -> ready
 *        ^-------------------- any failure --------------------------'
 *
 * A known address is tried at once even while its name is looked up anew: the name of a restarting container
 * is gone at just that time. Retries start fast, for a process that is restarted is back in a moment, and
 * each failure tells the replica that the member is unreachable.
 */
#include "bus_internal.h"

#include "socket.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void dial(struct bus_peer *peer);

void bus_peer_complain(struct bus_peer *peer, const char *event, const char *reason)
{
    struct log_fields fields = {0};
    char complaint[sizeof peer->complaint];

    (void)snprintf(complaint, sizeof complaint, "%s %s", event, reason);
    if (strcmp(complaint, peer->complaint) == 0) {
        return;
    }
    memcpy(peer->complaint, complaint, sizeof complaint);
    log_fields_add_number(&fields, "peer", peer->member.node_id);
    log_fields_add_text(&fields, "host", peer->member.bus_host);
    log_fields_add_number(&fields, "port", peer->member.bus_port);
    log_fields_add_text(&fields, "reason", reason);
    log_event(peer->bus->loop->log, REPLICA_LOG_WARNING, event, fields.text);
}

/* ---- retrying -------------------------------------------------------------------------------- */

static void wait_for_retry(struct bus_peer *peer)
{
    uint32_t ms = peer->backoff_ms / 2 + loop_random(peer->bus->loop, peer->backoff_ms / 2 + 1);
    const struct timeval in = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};

    if (event_add(&peer->retry, &in) != 0) {
        abort();
    }
    peer->retry_waits = true;
    peer->backoff_ms = peer->backoff_ms * 2 < BUS_BACKOFF_MS_MAX ? peer->backoff_ms * 2 : BUS_BACKOFF_MS_MAX;
}

static void on_retry(evutil_socket_t file, short what, void *context)
{
    struct bus_peer *peer = context;

    (void)file;
    (void)what;
    loop_begin_turn(peer->bus->loop);
    peer->retry_waits = false;
    dial(peer);
}

void bus_peer_hurry(struct bus_peer *peer)
{
    if (peer->retry_waits) {
        (void)event_del(&peer->retry);
        peer->retry_waits = false;
        dial(peer);
    }
}

/* The connection, or the attempt, is over. */
static void on_lost(struct bus_peer *peer, const char *event, const char *reason)
{
    if (peer->dialled != NULL) {
        bus_let_go(peer->bus, peer->dialled);
        peer->dialled = NULL;
    }
    if (peer->ready) {
        peer->backoff_ms = BUS_BACKOFF_MS_MIN;
    } else {
        peer->look_up_again = true;
        peer->next_address++;
    }
    peer->ready = false;
    bus_peer_complain(peer, event, reason);
    wait_for_retry(peer);
    replica_on_peer_unreachable(peer->bus->loop->replica, peer->member.node_id);
}

/* ---- the handshake --------------------------------------------------------------------------- */

static void on_connected(struct bus_link *link)
{
    struct bus_peer *peer = link->owner;
    struct bus *bus = peer->bus;
    struct bus_message message = {.type = BUS_MESSAGE_HELLO};

    replica_fill_hello(bus->loop->replica, peer->member.node_id, &message.hello);
    peer->subject =
        (struct bus_proof_subject){.dialler = bus->options.node_id, .acceptor = peer->member.node_id};
    bus_random_nonce(peer->subject.dialler_nonce);
    memcpy(message.hello.nonce, peer->subject.dialler_nonce, BUS_NONCE_BYTES);
    memset(message.hello.proof, 0, BUS_PROOF_BYTES);
    if (bus->options.secret_bytes > 0) {
        bus_proof_make(bus->options.secret, bus->options.secret_bytes, BUS_PROOF_MARK, &peer->subject,
                       message.hello.proof);
    }
    bus_link_queue(link, &message);
    bus_link_set_deadline(link, BUS_HANDSHAKE_MS);
}

static bool check_secret(struct bus_peer *peer, const struct bus_hello *hello, struct bus_message *refused)
{
    const struct bus_options *options = &peer->bus->options;

    memcpy(peer->subject.acceptor_nonce, hello->nonce, BUS_NONCE_BYTES);
    if (options->secret_bytes == 0) {
        return true; /* a member with a secret would have refused us */
    }
    if (bus_proof_check(options->secret, options->secret_bytes, BUS_PROOF_ACCEPTOR, &peer->subject,
                        hello->proof)) {
        return true;
    }
    bus_make_refusal(refused, BUS_REFUSAL_SECRET,
                     "Node %" PRIu64 " does not know the cluster secret of node %" PRIu64 ".",
                     peer->member.node_id, options->node_id);
    return false;
}

static void on_hello(struct bus_peer *peer, const struct bus_hello *hello)
{
    struct bus *bus = peer->bus;
    struct bus_link *link = peer->dialled;
    struct bus_message refused = {0};
    bool fine = check_secret(peer, hello, &refused);

    if (fine && hello->from != peer->member.node_id) {
        bus_make_refusal(&refused, BUS_REFUSAL_ADDRESS, "%s:%u is node %" PRIu64 ", not node %" PRIu64 ".",
                         peer->member.bus_host, peer->member.bus_port, hello->from, peer->member.node_id);
        fine = false;
    }
    fine = fine && replica_check_hello(bus->loop->replica, hello, &refused);
    if (!fine) {
        peer->dialled = NULL;
        bus_refuse(bus, link, &refused);
        peer->backoff_ms = BUS_BACKOFF_MS_MAX;
        on_lost(peer, "peer-not-accepted", refused.refused.reason);
        return;
    }
    if (bus->options.secret_bytes > 0) {
        struct bus_message proof = {.type = BUS_MESSAGE_PROOF};

        bus_proof_make(bus->options.secret, bus->options.secret_bytes, BUS_PROOF_DIALLER, &peer->subject,
                       proof.proof);
        bus_link_queue(link, &proof);
    }
    bus_link_set_deadline(link, 0);
    peer->ready = true;
    peer->hello = *hello;
    peer->backoff_ms = BUS_BACKOFF_MS_MIN;
    peer->complaint[0] = '\0';
    peer->look_up_again = false;

    struct log_fields fields = {0};

    log_fields_add_number(&fields, "peer", peer->member.node_id);
    log_event(bus->loop->log, REPLICA_LOG_INFO, "peer-connected", fields.text);
    replica_on_peer_connected(bus->loop->replica, peer->member.node_id, hello);
}

static void on_refused(struct bus_peer *peer, const struct bus_message *message)
{
    struct bus_link *link = peer->dialled;
    struct replica *replica = peer->bus->loop->replica;
    char reason[BUS_REASON_BYTES_MAX + 32];

    bus_link_close(link);
    (void)snprintf(reason, sizeof reason, "%s: %s", bus_refusal_name(message->refused.code),
                   message->refused.reason);
    peer->backoff_ms = BUS_BACKOFF_MS_MAX;
    on_lost(peer, "refused-by-peer", reason);
    replica_on_refused(replica, peer->member.node_id, message->refused.code, message->refused.reason);
}

static void on_message(struct bus_link *link, const struct bus_message *message)
{
    struct bus_peer *peer = link->owner;

    if (message->type == BUS_MESSAGE_REFUSED) {
        on_refused(peer, message);
    } else if (message->type == BUS_MESSAGE_HELLO && !peer->ready) {
        on_hello(peer, &message->hello);
    } else {
        bus_link_close(link);
        on_lost(peer, "peer-not-understood", "it said something that it may not say on this connection");
    }
}

static void on_partial(struct bus_link *link)
{
    (void)link; /* only hellos come this way */
}

static void on_end(struct bus_link *link, enum bus_link_end end, const char *reason)
{
    struct bus_peer *peer = link->owner;

    on_lost(peer,
            peer->ready               ? "peer-disconnected"
            : end == BUS_LINK_GARBAGE ? "peer-not-understood"
                                      : "peer-unreachable",
            reason);
}

static const struct bus_link_handlers handlers = {on_connected, on_message, on_partial, on_end};

/* ---- dialling -------------------------------------------------------------------------------- */

static void connect_now(struct bus_peer *peer)
{
    struct bus *bus = peer->bus;
    const struct resolved_address *address = &peer->known.addresses[peer->next_address % peer->known.count];
    bool in_progress;
    int file = socket_connect(address, &in_progress);

    if (file < 0) {
        on_lost(peer, "peer-unreachable", strerror(errno));
        return;
    }
    socket_prepare_member(file, bus->user_timeout_ms);
    /* Also when it stands already: the first writable event comes from the loop, not from within here. */
    peer->dialled = bus_link_create(bus->loop, &handlers, peer, file, true, BUS_HANDSHAKE_BYTES_MAX);
    bus_link_set_deadline(peer->dialled, bus->user_timeout_ms);
}

static void on_resolved(void *context, const struct resolved *resolved)
{
    struct bus_peer *peer = context;

    loop_begin_turn(peer->bus->loop);
    peer->lookup = NULL;
    if (resolved->problem == 0) {
        bool first = peer->known.count == 0;

        peer->known = *resolved;
        peer->look_up_again = false;
        if (first) {
            connect_now(peer);
        }
    } else if (peer->known.count == 0) {
        char reason[200];

        (void)snprintf(reason, sizeof reason, "its name is not known (%s)", gai_strerror(resolved->problem));
        on_lost(peer, "peer-unreachable", reason);
    }
}

static void dial(struct bus_peer *peer)
{
    bool unknown = peer->known.count == 0;

    if (peer->member.bus_port == 0) {
        return; /* nobody knows where it is: it has to come to us */
    }
    if ((unknown || peer->look_up_again) && peer->lookup == NULL) {
        peer->lookup = resolver_start(peer->bus->resolver, peer->member.bus_host, peer->member.bus_port,
                                      on_resolved, peer);
        if (peer->lookup == NULL && unknown) {
            on_lost(peer, "peer-unreachable", "no thread could be had to look its name up");
            return;
        }
    }
    if (!unknown) {
        connect_now(peer);
    }
}

static void start_dialling(struct bus_peer *peer)
{
    peer->backoff_ms = BUS_BACKOFF_MS_MIN;
    peer->known = (struct resolved){0};
    if (peer->member.bus_port != 0) {
        resolver_resolve_now(peer->member.bus_host, peer->member.bus_port, true, &peer->known);
    }
    dial(peer);
}

void bus_peer_start(struct bus_peer *peer)
{
    if (evtimer_assign(&peer->retry, peer->bus->loop->base, on_retry, peer) != 0) {
        abort();
    }
    start_dialling(peer);
}

static void stop_dialling(struct bus_peer *peer)
{
    (void)event_del(&peer->retry);
    peer->retry_waits = false;
    resolver_cancel(peer->lookup);
    peer->lookup = NULL;
}

void bus_peer_move(struct bus_peer *peer, const struct replica_member *member)
{
    bool moved =
        strcmp(peer->member.bus_host, member->bus_host) != 0 || peer->member.bus_port != member->bus_port;

    peer->member = *member;
    if (!moved) {
        return;
    }
    if (peer->ready) { /* a connection that stands leads to it: the next one goes there */
        peer->known = (struct resolved){0};
        return;
    }
    stop_dialling(peer);
    if (peer->dialled != NULL) {
        bus_link_close(peer->dialled);
        bus_let_go(peer->bus, peer->dialled);
        peer->dialled = NULL;
    }
    start_dialling(peer);
}

void bus_peer_part(struct bus_peer *peer)
{
    stop_dialling(peer);
    if (peer->dialled != NULL) {
        if (peer->ready) {
            bus_link_close_when_sent(peer->dialled);
        } else {
            bus_link_close(peer->dialled);
        }
        bus_let_go(peer->bus, peer->dialled);
        peer->dialled = NULL;
    }
    if (peer->accepted != NULL) {
        bus_link_close(peer->accepted);
        bus_let_go(peer->bus, peer->accepted);
        peer->accepted = NULL;
    }
}

void bus_peer_stop(struct bus_peer *peer)
{
    stop_dialling(peer);
    if (peer->dialled != NULL) {
        bus_link_destroy(peer->dialled);
        peer->dialled = NULL;
    }
    if (peer->accepted != NULL) {
        bus_link_destroy(peer->accepted);
        peer->accepted = NULL;
    }
}
