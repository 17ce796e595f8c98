/* replica.h: one node's whole behaviour: Raft, storage and commands together, without a socket, a thread or a
 * clock.
 *
 * Everything between a parsed command and the disk is a deterministic function of the inputs below, so that
 * the simulator runs the very code that the server runs. The world is reached only through `struct
 * replica_io`.
 *
 * One *turn*: replica_set_time(), any number of inputs, replica_end_turn(). The end of the turn is the one
 * place where batches are sealed, messages and disk jobs leave, entries are applied and replies become ready.
 */
#ifndef REPLICA_H
#define REPLICA_H

#include "bus_message.h"
#include "byte_buffer.h"
#include "client_info.h"
#include "disk_job.h"
#include "log_store.h"
#include "map.h"
#include "members.h"
#include "node_view.h"
#include "raft.h"
#include "resp_parser.h"

#include <stdbool.h>
#include <stdint.h>

enum replica_log_level { REPLICA_LOG_DEBUG, REPLICA_LOG_INFO, REPLICA_LOG_WARNING, REPLICA_LOG_ERROR };

/* Why a node stops by itself; the process exits with this number. */
enum replica_exit {
    REPLICA_EXIT_OK = 0,
    REPLICA_EXIT_USAGE = 2,   /* bad flags or configuration */
    REPLICA_EXIT_START = 3,   /* cannot start: a port in use, a directory that is not ours ... */
    REPLICA_EXIT_REFUSED = 4, /* the cluster refuses this node: wrong or empty disk, another cluster */
    REPLICA_EXIT_DISK = 5,    /* a write failed: start again, or replace the node if it fails again */
    REPLICA_EXIT_CORRUPT = 6, /* what is on disk is damaged: starting again does not help */
};

/* What a node that cannot start ends with, by what its storage said. */
enum replica_exit replica_exit_at_start(enum storage_status status);

struct replica_client;

/* A snapshot to be streamed to a follower. */
struct snapshot_order {
    uint64_t peer;
    struct replica_member address;  /* with its disk */
    struct map *map;                /* open until replica_on_snapshot_sent() */
    struct bus_hello hello;         /* to be said */
    uint32_t first_membership_size; /* for SNAPSHOT_BEGIN; 0: none is known */
    uint8_t first_membership[RAFT_MEMBERSHIP_BYTES_MAX];
};

/* A backup to be streamed to a client. */
struct backup_order {
    uint64_t id;
    struct map *map; /* open until replica_on_backup_ended() */
    /* What its head says. */
    uint64_t cluster_id[2];
    uint64_t node_id;
    uint64_t wall_clock_ms;
};

/* The world. `context` is passed back in each call. */
struct replica_io {
    void *context;
    /* Sends a message to a peer, or drops it when there is no connection. The message is the caller's: encode
     * or copy it now. Raft messages for one peer that arrive do so in order. */
    void (*send)(void *context, uint64_t peer, const struct bus_message *message);
    /* What was sent so far should leave now: the turn goes on with work of its own. May be NULL. */
    void (*send_now)(void *context);
    /* Takes a job until replica_on_disk_job_done(). */
    void (*submit)(void *context, struct disk_job *job);
    /* There is output to take from this client, or its state (wants input, closing) changed. Once per turn
     * and client at most. */
    void (*client_ready)(void *context, struct replica_client *client, void *connection);
    /* Stop the process with this code, after this turn. */
    void (*stop)(void *context, enum replica_exit code, const char *reason);
    /* One event: `event` is a word, `fields` is "key=value key=value" (may be ""). */
    void (*log)(void *context, enum replica_log_level level, const char *event, const char *fields);
    /* Numbers that only the runtime knows, for INFO: fill what you know in *view (clients_*, memory_*,
     * *_bytes_total, ports ...). */
    void (*fill_view)(void *context, struct node_view *view);
    /* Streams the map to a follower: replica_on_snapshot_opened(), then in the end, always,
     * replica_on_snapshot_sent(). May be NULL: this node sends none. */
    void (*send_snapshot)(void *context, const struct snapshot_order *order);
    /* Takes a client's connection, once the output that is there was sent, and streams a backup on it; then,
     * always, replica_on_backup_ended(). The client is closing: it is not to be read any more. May be NULL:
     * this node makes none. */
    void (*start_backup)(void *context, void *connection, const struct backup_order *order);
    /* Another map is the live one, or one that was loaded will not be: what is left of others than the live
     * one is to be removed. May be NULL. */
    void (*map_replaced)(void *context);
};

struct replica_options {
    uint64_t node_id;
    /* Copied; ids and addresses. The configured initial members, this node included; they matter until the
     * cluster is formed, and as addresses until those are in the log. Of a node that joins: itself. */
    const struct replica_member *members;
    uint32_t members_count;
    /* Copied; addresses of members whom a node with an empty directory asks to be added to their cluster. */
    const struct replica_member *joins;
    uint32_t joins_count;
    const struct bus_listener_address
        *listeners; /* copied; own client listeners: name and announced address */
    uint32_t listeners_count;

    /* Randomness from outside. */
    uint64_t seed;
    uint64_t new_cluster_id[2]; /* used if this node is the one that proposes the cluster */

    struct log_store *log;        /* both stay the caller's */
    struct log_identity identity; /* as stored; disk_id is set and durable */
    /* Opened when the cluster is formed (the map's hash seed is the cluster's). Errors as of map_open(). */
    enum storage_status (*open_map)(void *context, uint64_t hash_seed, struct map **map,
                                    struct storage_error *error);
    const char *data_directory; /* for INFO */
    const char *config_file;

    uint32_t election_timeout_ms;
    uint32_t heartbeat_interval_ms;
    uint32_t unreachable_delay_ms;
    uint32_t parking_ms;            /* how long a command waits for a leader before -CLUSTERDOWN: 1000 */
    uint32_t command_timeout_ms;    /* before -UNKNOWN: 5000 */
    uint32_t entries_in_flight_max; /* entries of this leader that are proposed and not committed */
    bool gather_commands;           /* a further entry leaves only when it is as large as those together */
    /* an entry is sealed when it has this many bytes (one larger command still fits) */
    uint32_t entry_bytes_max;
    uint64_t checkpoint_log_bytes; /* a checkpoint starts after this many bytes of applied log */
    uint32_t checkpoint_idle_ms;   /* ... or after this time without writes */
    uint64_t log_tail_bytes;       /* log kept for slow followers behind the durable map */
    /* requests and replies of one client in flight before its input is held back */
    uint64_t client_pending_bytes_max;
    uint64_t pending_bytes_max; /* ... of all clients */
    /* READONLY connections: answer from the local map as it is, instead of by read index */
    bool follower_reads_stale;
    /* What the core may hold and send at a time (see struct raft_config); 0: what kvd uses. */
    uint32_t append_bytes_max, inflight_messages_max, inflight_bytes_max;
    uint64_t cache_bytes_max, unstable_bytes_max;
    /* Work of applying in one turn (map_work_bytes()); 0: what kvd uses. */
    uint64_t apply_work_per_turn;
    /* Log and map on disk are read again and checked, so many bytes a second (0: never), with this pause
     * between two passes. */
    uint64_t scrub_rate;
    uint64_t scrub_pause_ms;
    /* The newest rules that this node is to know (versions.c); 0: those that kvd knows. */
    uint32_t rules_version_max;
    /* Members compare the digests of their maps at multiples of this many entries, the same on all of them;
     * 0: what kvd uses. */
    uint64_t digest_interval;
};

struct replica;

/* Starts from what the log holds. Otherwise *error says why, and the status what for: STORAGE_CORRUPT, log or
 * map is damaged or they do not belong together; STORAGE_INCOMPATIBLE, a newer kvd wrote them; else as of
 * map_open(). */
enum storage_status replica_create(const struct replica_options *options, const struct replica_io *io,
                                   uint64_t now_ms, uint64_t wall_clock_ms, struct replica **replica,
                                   struct storage_error *error) STORAGE_MUST_CHECK;
/* No disk job may be out. Closes the map. */
void replica_destroy(struct replica *replica);

/* ---- the turn ---- */

/* monotonic and Unix time, milliseconds; before the inputs of a turn. */
void replica_set_time(struct replica *replica, uint64_t now_ms, uint64_t wall_clock_ms);
void replica_end_turn(struct replica *replica);
/* When the next turn is due if nothing happens before (monotonic; UINT64_MAX: never). */
uint64_t replica_deadline_ms(const struct replica *replica);
/* True when there is more to do at once (a long replay, a long command): the next turn should not wait for
 * events. */
bool replica_is_busy(const struct replica *replica);

/* ---- peers ---- */

enum { REPLICA_PEERS_MAX = 2 * RAFT_NODES_MAX };

/* The nodes to be connected with, and their addresses ("" is not known): fills `peers` and returns how many.
 * They change only when the generation does: look after each turn. Whatever was sent to one that is there no
 * more should still leave. */
uint64_t replica_peers_generation(const struct replica *replica);
uint32_t replica_peers(const struct replica *replica, struct replica_member peers[REPLICA_PEERS_MAX]);
/* What this node says of itself to `peer`; to RAFT_NODE_NONE: that it asks to join. */
void replica_fill_hello(const struct replica *replica, uint64_t peer, struct bus_hello *hello);
/* Judges a hello, from a dialler or as an answer. True: welcome. False: refused->code and reason say why; say
 * so to the other side. */
bool replica_check_hello(const struct replica *replica, const struct bus_hello *hello,
                         struct bus_message *refused);
/* A connection that we dialled to `peer` stands, and its hello was accepted: messages sent from now on
 * arrive. */
void replica_on_peer_connected(struct replica *replica, uint64_t peer, const struct bus_hello *hello);
/* A hello of a peer that dialled us was accepted. It is one of replica_peers() then, unless there is no room.
 * */
void replica_on_peer_hello(struct replica *replica, uint64_t peer, const struct bus_hello *hello);
/* Either connection with the peer was refused, reset or closed (each event once). */
void replica_on_peer_unreachable(struct replica *replica, uint64_t peer);
/* Our hello was refused by the node at the peer's address. */
void replica_on_refused(struct replica *replica, uint64_t peer, enum bus_refusal code, const char *reason);
/* Bytes of an unfinished frame arrived. */
void replica_on_peer_contact(struct replica *replica, uint64_t peer);
/* FORMATION, RAFT and REPORT messages. The message stays the caller's. */
void replica_on_message(struct replica *replica, uint64_t peer, const struct bus_message *message);

/* ---- joining ---- */

/* True: this node wants to ask at *target (an address; no id) to be added. Dial there: HELLO by
 * replica_fill_hello(RAFT_NODE_NONE), the other side's HELLO, its JOIN_ANSWER. Look after each turn, unless
 * such a try is under way; it has 10 s. */
bool replica_take_join_target(struct replica *replica, struct replica_member *target);
/* How such a try ended: one of these is called, once. */
void replica_on_join_answer(struct replica *replica, const struct bus_join_answer *answer);
void replica_on_join_refused(struct replica *replica, enum bus_refusal code, const char *reason);
void replica_on_join_failed(struct replica *replica, const char *reason);
/* A node whose joining hello was accepted: what to answer. */
void replica_on_join_request(struct replica *replica, const struct bus_hello *hello,
                             struct bus_join_answer *answer);

/* ---- snapshots ---- */

/* The stream to `peer` shows the state up to this entry. */
void replica_on_snapshot_opened(struct replica *replica, uint64_t peer, struct raft_entry_id upto);
/* It is over, and does not read the map any more. `ok`: all of it is on the follower's disk. */
void replica_on_snapshot_sent(struct replica *replica, uint64_t peer, struct raft_entry_id upto, bool ok,
                              const char *reason);
/* A node, whose hello was accepted, begins to stream one. True: load it beside the live map, as this
 * generation, and call one of the next but one two. False: *reason says why not. */
bool replica_accept_snapshot(struct replica *replica, uint64_t peer, const struct bus_snapshot_begin *begin,
                             uint64_t *generation, const char **reason);
/* While it is loaded: false: give it up, it is of no use any more. */
bool replica_wants_snapshot_still(const struct replica *replica);
/* It is durable in its own folder. `meta` is the new map's, borrowed. */
void replica_on_snapshot_loaded(struct replica *replica, const struct map_meta *meta);
void replica_on_snapshot_failed(struct replica *replica, const char *reason);

/* ---- backups ---- */

/* It is over, and does not read the map any more. `upto`: what it shows, {0, 0} if it was not begun. */
void replica_on_backup_ended(struct replica *replica, uint64_t id, bool ok, struct raft_entry_id upto,
                             const char *reason);

/* Before either of the above: what was streamed of this map is damaged on the disk. */
void replica_on_map_damaged(struct replica *replica, const struct map *map, const char *damage);

/* ---- disk ---- */

void replica_on_disk_job_done(struct replica *replica, struct disk_job *job); /* takes the job back */

/* Lookups in the map have begun to wait for the disk (at first they do not), or do not any more: while they
 * do, other threads look up first what the loop will look up (DISK_JOB_FETCH). Nothing depends on it but
 * time. */
void replica_set_data_is_cold(struct replica *replica, bool is_cold);

/* ---- clients ---- */

/* `info` is copied (id, addresses, listener). `connection` is handed back in client_ready. */
struct replica_client *replica_client_open(struct replica *replica, const struct client_info *info,
                                           void *connection);
/* The connection is gone. Nothing more is called for it; what it had in flight goes on. */
void replica_client_close(struct replica *replica, struct replica_client *client);
/* One request, arguments_count >= 1; the bytes are copied. Replies come in the order of requests. */
void replica_client_request(struct replica *replica, struct replica_client *client,
                            const struct argument *arguments, uint32_t arguments_count);
/* A protocol error: the text is answered after all earlier requests, then the client is closing. */
void replica_client_protocol_error(struct replica *replica, struct replica_client *client, const char *text);
/* Replies that may be sent: take them from the front; tell how much was taken with replica_client_sent(). */
struct byte_buffer *replica_client_output(struct replica_client *client);
void replica_client_sent(struct replica *replica, struct replica_client *client, size_t bytes);
/* False: stop reading from it until client_ready says otherwise. */
bool replica_client_wants_input(struct replica *replica, struct replica_client *client);
/* QUIT or a protocol error was answered: close once the output is sent; read no more. */
bool replica_client_is_closing(const struct replica_client *client);
/* It asked for more than it read: what it was owed is lost, and nothing more may be written to it. */
bool replica_client_is_cut_off(const struct replica_client *client);
/* For CLIENT LIST: the runtime keeps query_bytes and the like up to date here. */
struct client_info *replica_client_info(struct replica_client *client);

/* ---- leadership ---- */

/* Begins to hand leadership to `target`, or with RAFT_NODE_NONE to whoever is best suited. False: this node
 * does not lead, or nobody could take over. */
bool replica_transfer_leadership(struct replica *replica, uint64_t target);

/* ---- stopping ---- */

/* SIGTERM: hands leadership over; then, when all that is in flight is answered or its time is over, calls
 * io.stop(OK). */
void replica_begin_shutdown(struct replica *replica);

/* ---- looking ---- */

void replica_fill_view(struct replica *replica, uint32_t listener, struct node_view *view);
const struct raft *replica_raft(const struct replica *replica); /* NULL before the cluster is formed */
struct map *replica_map(const struct replica *replica);         /* NULL before the cluster is formed */

#endif
