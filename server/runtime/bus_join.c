/* bus_join.c: how a node that joins asks a member to be added: name, connect, hello, the answer, and it is
 * over.
 *
 * Whom to ask, when again, and what follows from an answer, the replica decides. One try at a time.
 */
#include "bus_internal.h"

#include "socket.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void end_try(struct bus_join *join)
{
    if (join->link != NULL) {
        bus_link_close(join->link);
        bus_let_go(join->bus, join->link);
        join->link = NULL;
    }
    join->under_way = false;
}

static void fail(struct bus_join *join, const char *reason)
{
    char text[BUS_HOST_BYTES_MAX + 200];

    (void)snprintf(text, sizeof text, "%s:%u: %s", join->target.bus_host, join->target.bus_port, reason);
    join->tries++;
    end_try(join);
    replica_on_join_failed(join->bus->loop->replica, text);
}

/* ---- what is said ---------------------------------------------------------------------------- */

static void on_connected(struct bus_link *link)
{
    struct bus_join *join = link->owner;
    const struct bus_options *options = &join->bus->options;
    struct bus_message message = {.type = BUS_MESSAGE_HELLO};

    replica_fill_hello(join->bus->loop->replica, RAFT_NODE_NONE, &message.hello);
    join->subject = (struct bus_proof_subject){.dialler = options->node_id, .acceptor = RAFT_NODE_NONE};
    bus_random_nonce(join->subject.dialler_nonce);
    memcpy(message.hello.nonce, join->subject.dialler_nonce, BUS_NONCE_BYTES);
    memset(message.hello.proof, 0, BUS_PROOF_BYTES);
    if (options->secret_bytes > 0) {
        bus_proof_make(options->secret, options->secret_bytes, BUS_PROOF_MARK, &join->subject,
                       message.hello.proof);
    }
    bus_link_queue(link, &message);
    bus_link_set_deadline(link, BUS_HANDSHAKE_MS);
}

static void on_hello(struct bus_join *join, const struct bus_hello *hello)
{
    const struct bus_options *options = &join->bus->options;

    join->was_greeted = true;
    if (options->secret_bytes == 0) {
        return; /* a member with a secret would have refused us */
    }
    struct bus_message proof = {.type = BUS_MESSAGE_PROOF};

    join->subject.acceptor = hello->from;
    memcpy(join->subject.acceptor_nonce, hello->nonce, BUS_NONCE_BYTES);
    if (!bus_proof_check(options->secret, options->secret_bytes, BUS_PROOF_ACCEPTOR, &join->subject,
                         hello->proof)) {
        fail(join, "it does not know the cluster secret of this node");
        return;
    }
    bus_proof_make(options->secret, options->secret_bytes, BUS_PROOF_DIALLER, &join->subject, proof.proof);
    bus_link_queue(join->link, &proof);
    bus_link_flush(join->link);
}

static void on_message(struct bus_link *link, const struct bus_message *message)
{
    struct bus_join *join = link->owner;
    struct replica *replica = join->bus->loop->replica;

    if (message->type == BUS_MESSAGE_REFUSED) {
        end_try(join);
        replica_on_join_refused(replica, message->refused.code, message->refused.reason);
    } else if (message->type == BUS_MESSAGE_HELLO && !join->was_greeted) {
        on_hello(join, &message->hello);
    } else if (message->type == BUS_MESSAGE_JOIN_ANSWER && join->was_greeted) {
        end_try(join);
        replica_on_join_answer(replica, &message->join_answer);
    } else {
        fail(join, "it said something that it may not say on this connection");
    }
}

static void on_partial(struct bus_link *link)
{
    (void)link; /* the deadline stands */
}

static void on_end(struct bus_link *link, enum bus_link_end end, const char *reason)
{
    (void)end;
    fail(link->owner, reason);
}

static const struct bus_link_handlers handlers = {on_connected, on_message, on_partial, on_end};

/* ---- dialling -------------------------------------------------------------------------------- */

static void connect_now(struct bus_join *join, const struct resolved *known)
{
    struct bus *bus = join->bus;
    bool in_progress;
    int file = socket_connect(&known->addresses[join->tries % known->count], &in_progress);

    if (file < 0) {
        fail(join, strerror(errno));
        return;
    }
    socket_prepare_member(file, bus->user_timeout_ms);
    join->was_greeted = false;
    join->link = bus_link_create(bus->loop, &handlers, join, file, true, BUS_HANDSHAKE_BYTES_MAX);
    bus_link_set_deadline(join->link, BUS_HANDSHAKE_MS);
}

static void on_resolved(void *context, const struct resolved *resolved)
{
    struct bus_join *join = context;
    char reason[200];

    loop_begin_turn(join->bus->loop);
    join->lookup = NULL;
    if (resolved->problem == 0) {
        connect_now(join, resolved);
        return;
    }
    (void)snprintf(reason, sizeof reason, "its name is not known (%s)", gai_strerror(resolved->problem));
    fail(join, reason);
}

void bus_join_continue(struct bus_join *join)
{
    if (join->under_way || !replica_take_join_target(join->bus->loop->replica, &join->target)) {
        return;
    }
    join->under_way = true;
    join->lookup =
        resolver_start(join->bus->resolver, join->target.bus_host, join->target.bus_port, on_resolved, join);
    if (join->lookup == NULL) {
        fail(join, "no thread could be had to look its name up");
    }
}

void bus_join_stop(struct bus_join *join)
{
    resolver_cancel(join->lookup);
    join->lookup = NULL;
    end_try(join);
}
