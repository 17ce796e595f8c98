/* bus_internal.h: what the bus_*.c files share.
 *
 * bus.c            all of it together: creation, sending, the end of the turn
 * bus_peer.c       the dialling side: one per other member
 * bus_guest.c      the accepting side: connections from their first byte
 * bus_join.c       asking to be added
 * bus_strangers.c  which trouble with strangers is logged
 * bus_link.c       frames on a socket
 * bus_proof.c      the secret
 */
#ifndef BUS_INTERNAL_H
#define BUS_INTERNAL_H

#include "bus.h"
#include "bus_link.h"
#include "bus_proof.h"
#include "bus_strangers.h"
#include "listener.h"

/* One other member. */
struct bus_peer {
    struct bus *bus;
    struct bus_peer *next;
    struct replica_member member;
    bool wanted; /* while the replica's peers are gone through */
    /* its address */
    struct resolved known; /* the last good ones; count 0: none yet */
    uint32_t next_address;
    bool look_up_again; /* a connection to a known address failed since the last lookup */
    struct resolver_lookup *lookup;
    /* our connection to it */
    struct event retry;
    bool retry_waits;
    uint32_t backoff_ms;
    struct bus_link *dialled;
    bool ready;             /* the handshake on `dialled` is over */
    struct bus_hello hello; /* its answer on `dialled`, while ready */
    struct bus_proof_subject subject;
    uint64_t dropped_messages; /* since the last one that was queued */
    /* its connection to us, after the handshake */
    struct bus_link *accepted;
    char complaint[BUS_REASON_BYTES_MAX + 64]; /* the last one that was logged; "" after success */
};

/* An accepted connection before its handshake is over; owner of its link. */
struct bus_guest {
    struct bus *bus;
    struct bus_guest *next; /* the oldest first */
    struct bus_link *link;
    char address[BUS_ADDRESS_BYTES_MAX + 1]; /* where it came from */
    bool said_hello;                         /* waits for PROOF */
    bool brings_snapshot;                    /* the handshake is over: waits for SNAPSHOT_BEGIN */
    struct bus_hello hello;
    struct bus_proof_subject subject;
};

/* A try of this node to be added to a cluster. */
struct bus_join {
    struct bus *bus;
    bool under_way;
    struct replica_member target;
    struct resolver_lookup *lookup;
    struct bus_link *link;
    struct bus_proof_subject subject;
    bool was_greeted; /* its HELLO was heard */
    uint32_t tries;   /* that failed: the next one takes another address of a name */
};

struct bus {
    struct loop *loop;
    struct resolver *resolver;
    struct bus_options options;
    uint32_t user_timeout_ms;
    struct bus_peer *peers; /* those of the replica, as of `generation` */
    uint64_t generation;    /* replica_peers_generation() */
    struct bus_join join;
    struct listener listener;
    /* A snapshot that has begun to come: handed over at the end of the turn. */
    struct bus_link *arriving; /* NULL: none */
    struct raft_entry_id arriving_upto;
    uint64_t arriving_generation;
    struct bus_guest *guests;
    uint32_t guests_count;
    struct bus_link *leaving;       /* closed, or sending their last words: freed at the end of a turn */
    struct bus_strangers strangers; /* that were complained of lately */
};

struct bus_peer *bus_find_peer(struct bus *bus, uint64_t node_id);
/* Connects with peers that are new to the bus; those that are none any more stay until the end of the turn.
 * */
void bus_add_peers(struct bus *bus);
/* The link belongs to the bus from now on, which frees it when it is closed. */
void bus_let_go(struct bus *bus, struct bus_link *link);
/* Sends REFUSED and closes. */
void bus_refuse(struct bus *bus, struct bus_link *link, const struct bus_message *refused);
void bus_make_refusal(struct bus_message *refused, enum bus_refusal code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void bus_random_nonce(uint8_t nonce[BUS_NONCE_BYTES]);
const char *bus_refusal_name(enum bus_refusal code);

/* Logs trouble with a member once, until it changes or is over. */
void bus_peer_complain(struct bus_peer *peer, const char *event, const char *reason);
void bus_peer_start(struct bus_peer *peer);
/* It is reached elsewhere from now on. */
void bus_peer_move(struct bus_peer *peer, const struct replica_member *member);
/* Dials at once if it waits for a retry: the member has just shown that it is there. */
void bus_peer_hurry(struct bus_peer *peer);
void bus_peer_stop(struct bus_peer *peer);
/* Stops, once what is queued for it has been sent. */
void bus_peer_part(struct bus_peer *peer);

/* Begins a try if the replica wants one. */
void bus_join_continue(struct bus_join *join);
void bus_join_stop(struct bus_join *join);

void bus_guest_open(struct bus *bus, int file);
void bus_guest_stop_all(struct bus *bus);

#endif
