/* bus.h: connections with the other members: messages of the replica out, theirs in.
 *
 * Whom to be connected with the replica tells (replica_peers()), and may change from turn to turn. Each
 * ordered pair of nodes has a connection of its own: we dial every other member and send on that connection;
 * we receive on those that we accept. A handshake comes first:
 *
 *   dialler                                    acceptor
 *   HELLO (nonce a, mark)  ------------------>
 *                          <------------------  HELLO (nonce b, proof of the acceptor)   or REFUSED
 *   PROOF (of the dialler) ------------------>                 only when a secret is set
 *   RAFT, FORMATION ...    ------------------>
 *
 * Either side answers a hello that it does not like with REFUSED and a reason, and closes. Before the
 * handshake is over a frame has at most 4 KiB, unknown connections are few, and none of them stays longer
 * than 5 s.
 *
 * Messages of a turn to one member leave in one system call at its end. Messages to a member that does not
 * take them in time are dropped: Raft sends again.
 */
#ifndef BUS_H
#define BUS_H

#include "loop.h"
#include "resolver.h"

#include <stddef.h>
#include <stdint.h>

enum {
    BUS_OUTPUT_BYTES_MAX = 64 * 1024 * 1024, /* queued for one member; RAFT messages beyond it are dropped */
    BUS_HANDSHAKE_BYTES_MAX = 4096,
    BUS_HANDSHAKE_MS = 5000,
    BUS_GUESTS_MAX = 64,  /* accepted connections that have not proved who they are */
    BUS_LEAVING_MAX = 16, /* refused ones that still take the reason */
    BUS_BACKOFF_MS_MIN = 20,
    BUS_BACKOFF_MS_MAX = 500,
};

struct bus_options {
    uint64_t node_id;
    const uint8_t *secret; /* borrowed; secret_bytes 0: none */
    size_t secret_bytes;
    uint32_t election_timeout_ms; /* what silence means */
    /* A snapshot that the replica has accepted begins to come by this socket, which is handed over. */
    void (*receive_snapshot)(void *context, int file, const void *rest, size_t rest_size,
                             struct raft_entry_id upto, uint64_t generation);
    void *receive_context;
};

struct bus;

/* `listening_file` is taken over. The replica in `loop` stands already. */
struct bus *bus_create(struct loop *loop, struct resolver *resolver, const struct bus_options *options,
                       int listening_file);
void bus_destroy(struct bus *bus); /* NULL is allowed */

/* io.send. */
void bus_send(struct bus *bus, uint64_t peer, const struct bus_message *message);
/* io.send_now: writes what the sockets take, and calls nobody back. */
void bus_send_now(struct bus *bus);
/* After the end of the turn: follows the replica's peers, and sends. */
void bus_flush(struct bus *bus);

#endif
