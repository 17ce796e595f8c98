/* replica_internal.h: the parts of a replica, for the files of this folder only.
 *
 * replica.c        creation, the turn, shutting down
 * client.c         a client's queue of commands; replies leave it in order
 * dispatch.c       what happens to a command: answered, redirected, parked, batched, read
 * batch.c          commands on their way through the log, and the clients that wait for them
 * reads.c          reads that wait for a read index
 * persist.c        what the core wants on disk, gathered into numbered jobs; messages that wait for them
 * apply.c          committed entries into the map; checkpoints; purging
 * fetch.c          cold data: keys are looked up ahead of the loop, by other threads
 * space.c          what a node does when its disk runs full
 * scrub.c          slow walks over log and map that find what the disk has altered
 * report.c         what members tell one another of themselves; digests are compared
 * peers.c          what is known of the nodes that this one talks to; clocks
 * hello.c          who nodes say they are, and whether they are believed
 * members.c        the address book of the members
 * membership.c     the members in effect, and how learners become voters
 * change.c         what is asked of the leader: to add, remove, replace ...
 * forced_cluster.c offline: a survivor becomes a cluster of its own
 * formation.c      how a new cluster comes to be
 * snapshot.c       whom a snapshot is sent to, and how one takes the map's place
 * backup.c         whom a backup is streamed to
 * join.c           how a node becomes a member of a cluster that exists
 * versions.c       which rules the cluster goes by; what older and newer nodes are told
 * view.c           what INFO, CLUSTER and RAFT STATUS show
 */
#ifndef REPLICA_INTERNAL_H
#define REPLICA_INTERNAL_H

#include "command.h"
#include "fetch.h"
#include "replica.h"

#include <assert.h>

/* Sent only for what was certainly not appended (Redis' text). */
#define REPLICA_CLUSTERDOWN_ERROR "CLUSTERDOWN The cluster is down"

enum {
    READ_ROUNDS_MAX = 4,            /* read index tries without an answer */
    APPLY_BYTES_PER_TURN = 2 << 20, /* payload applied before other events get their turn */
    APPLY_WORK_PER_TURN = 4 << 20,  /* the same in map_work_bytes(), also within an entry */
    APPLY_ENTRIES_PER_TURN = 4096,
    COMPACT_ENTRIES_PER_JOB = 256,
    FORMATION_RETRY_MS = 500,
    CLOCK_SKEW_MS_MAX = 1000, /* a leader further off the members' median stamps by the median */
    CLOCK_WARNING_INTERVAL_MS = 60000,
    DISK_STALL_ELECTION_TIMEOUTS = 5, /* without an answer of a disk: then another one is to lead */
    PEERS_MAX = REPLICA_PEERS_MAX + 1,
    PEER_LEAVING_TIMEOUTS = 4, /* election timeouts for which a removed member is still talked to */
    PEER_NEWER_MS = 10000,     /* how long one is kept that is not connected any more */
};

/* ---- client.c ------------------------------------------------------------------------------------ */

enum slot_state {
    SLOT_QUEUED,   /* not begun: parked, or behind a command that must end first; owns `encoded` */
    SLOT_PROPOSED, /* in a batch, as a command or as a riding read */
    SLOT_READING,  /* waits for a read index; owns `encoded` */
    SLOT_DONE,     /* `reply` is complete, earlier ones are not */
};

/* One request of a client, from its arrival until its reply is in the client's output. */
struct slot {
    const struct command *command; /* NULL: `reply` was an error from the start */
    enum slot_state state;
    uint32_t bytes; /* counted in pending_bytes */
    uint64_t waiting_since_ms;
    uint64_t read_begun_ms;    /* when a read index was first asked for on its behalf; 0: never */
    struct fetch_ticket fetch; /* READING, while data is cold: of its keys */
    uint32_t fetch_last_key;   /* ... the last one that it has in jobs */
    uint8_t *encoded;          /* command_codec form */
    struct byte_buffer reply;
};

struct replica_client {
    struct replica_client *next, *previous; /* all open clients, by id */
    struct client_info info;
    void *connection;
    /* Requests [first_slot, end_slot) are unanswered; slot n lives at slots[n & (slots_capacity - 1)].
     * Those before next_slot have been begun (or lost their entry and are QUEUED again: then next_slot was
     * moved back). */
    struct slot *slots;
    uint32_t slots_capacity;
    uint64_t first_slot, next_slot, end_slot;
    uint32_t proposed_count; /* slots in SLOT_PROPOSED */
    uint32_t reading_count;  /* slots in SLOT_READING */
    /* The term in which they were proposed: later writes wait while it is another than the present one, so
     * that a pipeline's order survives a change of leader. */
    uint64_t proposed_term;
    uint64_t pending_bytes; /* of unanswered requests */
    struct byte_buffer output;
    size_t output_counted;    /* of `output`, in the replica's output_bytes */
    uint64_t output_moved_ms; /* when the client last took some of it, or had taken all */
    bool open;                /* the connection is there */
    bool closing;             /* QUIT: no request is taken any more */
    bool cut_off;             /* asked for more than it reads: nothing is written to it any more, close it */
    bool ready;               /* on the ready list */
    bool throttled;           /* was told not to read */
    bool parked;              /* on the parked list */
    uint64_t backup_index;    /* RAFT BACKUP waits until the map has this entry on the disk; 0: does not */
    struct replica_client *ready_next, *parked_next;
};

/* ---- batch.c ------------------------------------------------------------------------------------- */

/* Who waits for a command of an entry, or for a read that rides in it. */
struct waiter {
    struct replica_client *client; /* NULL: nobody (purge), or already answered */
    uint64_t slot;
    uint32_t offset; /* of the command: in the payload, or for a read in `reads` */
    bool is_read;    /* local marker: not replicated, run at this place */
};

/* Commands gathered for one entry; then that entry on its way. */
struct batch {
    struct batch *next;
    struct raft_payload *payload;
    struct byte_buffer reads; /* encoded riding reads */
    struct waiter *waiters;   /* in order; one for each command, and the reads between them */
    uint32_t waiters_count, waiters_capacity;
    uint32_t commands_count;
    struct raft_entry_id id; /* once proposed */
    uint64_t begun_ms;       /* when its oldest command came */
};

struct batch_list {
    struct batch *first, *last;
    uint32_t count;
};

/* ---- apply.c ------------------------------------------------------------------------------------- */

/* A committed entry of commands that is being applied, perhaps over several turns: a few small commands can
 * be much work. Between them reads see a part of the entry, which is committed like the rest; nothing else
 * does (applied index, digests that are shown, checkpoints). */
enum { APPLY_AHEAD = 8 };

struct application {
    bool active;
    struct raft_entry entry; /* with a reference to its payload */
    struct batch *batch;     /* NULL: nobody here waits */
    uint32_t next_waiter;
    uint32_t next_command, commands_count;
    size_t position; /* of the next command, in the payload */
    uint64_t log_time_ms;
    /* Commands whose memory is being fetched: up to this one their places, half as far their entries. */
    uint32_t ahead_command;
    size_t ahead_position;
    uint64_t ahead_hashes[2 * APPLY_AHEAD]; /* of their keys, by command number */
};

/* ---- reads.c ------------------------------------------------------------------------------------- */

struct reader {
    struct replica_client *client;
    uint64_t slot;
};

struct reader_list {
    struct reader *readers;
    uint32_t count, capacity;
};

/* Reads that share one try of the read index. */
struct read_round {
    uint64_t read_id;
    uint64_t asked_ms;
    bool confirmed;
    uint64_t index;
    struct reader_list list;
};

/* ---- persist.c ----------------------------------------------------------------------------------- */

struct held_message {
    struct held_message *next;
    uint64_t after_sequence;
    struct raft_message message;
};

/* ---- space.c ------------------------------------------------------------------------------------- */

struct replica_space {
    struct storage_space log, map;       /* as the last disk job found it */
    uint64_t log_check_ms, map_check_ms; /* when to look for room again, where there was too little */
    bool log_is_full;                    /* a write found no room, and none has gone since */
    bool log_is_short;                   /* it takes too much of what its file may grow to */
    bool checkpoint_is_full;             /* the frozen table found no room */
    uint64_t checkpoint_ms;              /* low: not before, so that not every deletion is one of its own */
    bool map_job_out;                    /* MAP_ROOM */
    struct map_room room_asked;          /* the map's file was extended for so much */
    uint64_t hand_over_ms;               /* not before */
};

/* ---- scrub.c ------------------------------------------------------------------------------------- */

struct replica_scrub {
    bool is_out;        /* a slice is with the disk */
    bool is_in_map;     /* the pass walks the map; before: the log, from ... */
    uint64_t log_index; /* ... here; 0: its beginning */
    uint64_t next_ms;
    bool pass_found_damage;
    struct storage_error damage; /* the first that was found; "": none since the last sound pass */
    uint64_t passes_total;
};

/* ---- report.c ------------------------------------------------------------------------------------ */

enum { REPORT_ROWS = 16 };

struct digest_said {
    uint64_t node_id, digest;
    bool judged;
};

/* What members said of one entry. */
struct digest_row {
    uint64_t index; /* 0: free */
    uint32_t count;
    struct digest_said said[RAFT_NODES_MAX];
};

struct reports {
    struct {
        uint64_t index, digest;
    } own; /* the last one of this node; index 0: none yet */
    struct digest_row rows[REPORT_ROWS];
    uint64_t repeat_ms;
};

/* ---- peers.c ------------------------------------------------------------------------------------- */

enum peer_standing {
    PEER_MEMBER,  /* of the membership in effect; before the cluster is formed: of the configured one */
    PEER_LEAVING, /* was one until lately */
    PEER_NEWER,   /* goes by a newer membership than we know */
};

struct peer {
    struct replica_member member;
    enum peer_standing standing;
    uint64_t until_ms; /* LEAVING, NEWER: talked to until then */
    bool is_self;
    bool hello_known;
    bool dialled;           /* our connection to it stands */
    bool accepted;          /* its connection to us stands */
    struct bus_hello hello; /* the last accepted one */
    bool clock_known;
    int64_t clock_ahead_ms;      /* its clock less our monotonic one */
    bool refused_us, removed_us; /* why it did so: we were removed, by what it knows; or something else */
    bool formation_accepted;     /* formation: it has stored the present proposal */
    struct bus_report report;    /* the last one; all zero: none yet */
    bool differs;                /* leader: its digest was not that of the others */
};

/* ---- membership.c -------------------------------------------------------------------------------- */

struct membership {
    bool known;              /* the core's configuration was taken */
    struct raft_entry_id id; /* of the one that `members` come from; {0, 0}: the first */
    uint64_t committed_index;
    bool was_here; /* a committed one named this node, with the disk that it has now */
    bool left;     /* a committed one took this node out */
    struct catching_up {
        uint64_t node_id;                                  /* RAFT_NODE_NONE: unused */
        uint64_t term, target_index, heartbeats, begun_ms; /* heartbeats: rounds before it */
    } rounds[RAFT_NODES_MAX];                              /* leader: of learners that are to become voters */
};

/* For raft_restore. */
struct membership_list {
    const struct replica *replica;
    uint64_t commit;                       /* as far as is known from the disk */
    struct raft_membership_entry *entries; /* with their references */
    uint32_t count, capacity;
    uint64_t after_index;
    bool names_this_disk; /* a committed one names this node with the disk that it has */
};

/* ---- snapshot.c ---------------------------------------------------------------------------------- */

enum {
    SNAPSHOTS_OUTGOING_MAX = 4,
    SNAPSHOTS_RETIRED_MAX = 4,
    SNAPSHOT_RETRY_MS_MIN = 500,
    SNAPSHOT_RETRY_MS_MAX = 60000, /* a full disk is not emptied by trying again */
};

struct outgoing_snapshot {
    uint64_t peer;
    struct map *map; /* that it reads */
};

struct snapshots {
    struct outgoing_snapshot outgoing[SNAPSHOTS_OUTGOING_MAX];
    uint32_t outgoing_count;
    struct map *retired[SNAPSHOTS_RETIRED_MAX]; /* not live any more, but still read */
    uint32_t retired_count;
    enum { SNAPSHOT_NONE, SNAPSHOT_LOADING, SNAPSHOT_LOADED, SNAPSHOT_INSTALLING } state; /* incoming */
    uint64_t from;
    struct raft_entry_id upto;
    struct raft_payload *membership;
    uint64_t generation;
    uint64_t begun_ms;
    uint64_t retry_ms;      /* after a failure none is taken before */
    uint64_t retry_wait_ms; /* grows with each failure in a row */
};

/* ---- backup.c ------------------------------------------------------------------------------------ */

enum { BACKUPS_MAX = 2 }; /* streams of one node at a time */

struct running_backup {
    uint64_t id;
    struct map *map; /* that it reads */
};

struct backups {
    struct running_backup running[BACKUPS_MAX];
    uint32_t running_count;
    uint64_t last_id;
    uint64_t wanted_index; /* a checkpoint up to here is wanted */
};

/* ---- join.c -------------------------------------------------------------------------------------- */

/* A node that asks to be added. */
struct join {
    bool asked_anew; /* although it belongs to the cluster: it may have been removed before that */
    struct replica_member addresses[RAFT_NODES_MAX];
    uint32_t next_address;         /* modulo how many there are */
    struct replica_member sent_to; /* ask here instead; port 0: nowhere */
    uint32_t redirects;            /* in a row */
    bool again;                    /* what made it a member was undone: members do not know it */
    uint64_t next_ms;              /* not before */
    char said[BUS_REASON_BYTES_MAX + 64];
};

/* ---- the replica --------------------------------------------------------------------------------- */

struct replica {
    struct replica_options options;
    struct replica_io io;
    struct bus_listener_address listeners[BUS_LISTENERS_MAX];
    struct peer peers[PEERS_MAX]; /* by id: the members, this node, and some others (see peers.c) */
    uint32_t peers_count;
    uint64_t peers_generation; /* grows whenever who they are, or where, changes */
    struct members configured; /* the initial members, by the settings; this node is there */
    uint64_t members_hash;     /* of them */
    struct members members;    /* in effect */
    struct membership membership;
    uint64_t now_ms, wall_clock_ms, started_ms;

    /* formation */
    struct log_identity identity; /* as durable */
    bool identity_job_out;
    struct log_identity identity_wanted; /* what the running job stores */
    uint64_t formation_next_ms;
    struct join join;
    struct snapshots snapshots;
    struct backups backups;

    struct raft *raft; /* NULL until formed */
    struct map *map;   /* NULL until formed */
    enum raft_role last_role;
    raft_node_id last_leader;
    raft_node_id last_transferee;
    raft_node_id last_leader_known; /* 0 until the first one */
    uint64_t last_term;
    uint64_t leaderless_since_ms; /* 0: a leader is known */

    /* clients */
    struct replica_client *clients_first, *clients_last;
    uint64_t clients_count;
    struct replica_client *ready_first, *ready_last;
    struct replica_client *parked_first;
    uint64_t pending_bytes;        /* of all clients */
    uint64_t output_bytes;         /* replies of all clients that are not sent yet */
    uint64_t output_full_since_ms; /* 0: there is room for replies */
    uint64_t output_check_ms;      /* when clients_shed_output() has to look again; UINT64_MAX: never */
    bool output_is_overdue;        /* it looked once, and cuts off whoever is stuck the next time */
    bool anybody_throttled;
    bool redispatch;            /* something changed that may let parked commands go on */
    uint64_t parked_next_ms;    /* when the first parked command's time is over */
    struct argument *arguments; /* scratch for decoding */
    uint32_t arguments_capacity;

    struct batch_list unsealed;  /* may still get commands; the last one is open */
    struct batch_list in_flight; /* proposed by this node, outcome not known yet; ascending index */
    struct batch *spare_batches; /* kept for reuse */
    uint32_t spare_batches_count;

    struct reader_list gathering;    /* reads for the next round */
    struct reader_list waiting_turn; /* may be served, but for earlier requests of their connection */
    struct read_round rounds[READ_ROUNDS_MAX * 2]; /* asked for or waiting to be applied; read_id 0: free */

    /* disk */
    struct disk_job *gathering_job; /* LOG_WRITE being filled; NULL: nothing waits */
    uint64_t gathering_bytes;
    bool log_job_out;
    /* LOG_WRITEs to be done before `gathering_job`, in this order: one that found no room; one that was
     * gathered before an install. */
    struct disk_job *log_waiting_first;
    bool log_room_was_tried; /* room for the first was sought since it came back */
    struct replica_space space;
    struct replica_scrub scrub;
    struct reports reports;
    uint64_t persisted_sequence;
    struct held_message *held_first, *held_last;
    uint64_t commit_hint_stored;
    struct map_checkpoint *checkpoint; /* frozen; waits for the log or is being written */
    bool checkpoint_out;
    uint32_t checkpoint_part, checkpoint_parts; /* the next one comes after this share of log or memory */
    bool checkpoint_phase_is_open; /* no command was applied since the start: see apply_choose_phase() */
    uint64_t last_write_ms;
    uint32_t reads_out; /* LOG_READ jobs out */
    struct fetch fetch;

    /* purge */
    bool purge_in_flight;
    uint64_t clock_warned_ms;

    struct application application;
    uint64_t shown_digest; /* after the last whole entry */
    bool more_to_apply;
    bool stopping; /* io.stop was called: nothing leaves any more */
    bool shutting_down;
    bool handing_over;       /* stopping: a transfer was begun */
    bool handed_over;        /* ... and leadership is gone since */
    uint64_t drain_until_ms; /* when no more input is taken; 0 while there is leadership to hand over */
    uint64_t shutdown_deadline_ms;
    enum replica_exit shutdown_code;
    char shutdown_reason[300];

    /* counters for INFO */
    uint64_t commands_total, redirects_total, unknown_total, entries_applied_total, elections_total,
        checkpoints_total, snapshots_installed_total, snapshots_sent_total, snapshots_failed_total;
    struct node_view view; /* scratch */
};

/* client.c */
void client_unlink_all(struct replica *replica);
struct slot *client_slot(const struct replica_client *client, uint64_t number);
/* Adds a slot at the end; the caller fills it. */
struct slot *client_push_slot(struct replica *replica, struct replica_client *client);
/* False: its connection is gone, or it was cut off. */
bool client_takes_replies(const struct replica_client *client);
/* Cuts off a client that asks for more than it reads. */
void client_limit_output(struct replica *replica, struct replica_client *client);
/* No reply may be added now: this client, or all together, have too much that is not sent yet. Commands that
 * do not read values have short replies, and go on for longer: clients that do not take what they read hold
 * up no writes. */
bool client_output_is_full(const struct replica *replica, const struct replica_client *client, bool reads);
/* When all together have too much that is not sent: cuts off those with the most, first of all those that do
 * not read. */
void clients_shed_output(struct replica *replica);
uint64_t clients_deadline_ms(const struct replica *replica);
/* Where the reply of this slot goes: the output if it is the first unanswered one, else its own buffer. */
struct byte_buffer *client_reply_target(struct replica_client *client, uint64_t number);
/* The reply of this slot is complete: frees what it held, lets replies that wait behind it out. */
void client_finish_slot(struct replica *replica, struct replica_client *client, uint64_t number);
void client_answer_error(struct replica *replica, struct replica_client *client, uint64_t number,
                         const char *text);
/* Drops the requests that came after this one: none of them has begun. */
void client_drop_behind(struct replica *replica, struct replica_client *client, uint64_t number);
/* Back to "not begun", with a copy of the encoded command (or its own, when `encoded` is NULL). */
void client_requeue_slot(struct replica *replica, struct replica_client *client, uint64_t number,
                         const uint8_t *encoded);
void client_mark_ready(struct replica *replica, struct replica_client *client);
void client_mark_parked(struct replica *replica, struct replica_client *client);
/* Frees a client whose connection is gone and that nothing refers to any more. */
void client_maybe_free(struct replica *replica, struct replica_client *client);
void clients_announce_ready(struct replica *replica);
void clients_release_throttled(struct replica *replica);
/* Commands of another term are undecided: whatever comes after them must wait (see dispatch.c). */
bool client_is_fenced(const struct replica *replica, const struct replica_client *client);
/* The slot's command, queued or waiting for a read index so far, is in a batch now, which holds its bytes. */
void client_note_proposed(struct replica *replica, struct replica_client *client, uint64_t number);
/* Whole size of an encoded command that this node encoded itself. */
size_t client_encoded_size(const uint8_t *encoded);
struct encoded_command client_decode(const uint8_t *encoded);
/* The arguments, name first, in the replica's scratch: valid until the next decode. */
struct argument *client_decode_arguments(struct replica *replica, const struct encoded_command *encoded,
                                         const struct command *command);

/* dispatch.c */
/* Begins as many of the client's commands as can be begun now. */
void dispatch_client(struct replica *replica, struct replica_client *client);
/* Tries all parked clients; answers -CLUSTERDOWN to commands whose parking time is over. */
void dispatch_parked(struct replica *replica);
/* Another node leads, and was heard of recently. */
bool dispatch_has_fresh_leader(const struct replica *replica);

/* batch.c */
/* Both: `arguments` without the name; `client` may be NULL for kvd's own commands. */
void batch_add_write(struct replica *replica, struct replica_client *client, uint64_t slot,
                     const struct command *command, const struct argument *arguments, uint32_t count);
void batch_add_read(struct replica *replica, struct replica_client *client, uint64_t slot,
                    const struct command *command, const struct argument *arguments, uint32_t count);
void batch_seal(struct replica *replica);            /* proposes what may be proposed */
void batch_return_unsealed(struct replica *replica); /* leadership lost before they were proposed */
void batch_expire(struct replica *replica);          /* -UNKNOWN */
uint64_t batch_deadline_ms(const struct replica *replica);
/* The batch that waits for this committed entry, taken off the list; NULL: none. Batches that a committed
 * entry of another term proves lost are given back to their clients. */
struct batch *batch_take_committed(struct replica *replica, struct raft_entry_id id);
/* The opposite of taking it. */
void batch_put_back(struct replica *replica, struct batch *batch);
/* A snapshot brings the state up to here: what became of commands before is not known. */
void batch_forget(struct replica *replica, uint64_t upto_index);
void batch_release(struct replica *replica, struct batch *batch);
void batches_destroy(struct replica *replica);

/* reads.c */
void reads_add(struct replica *replica, struct replica_client *client, uint64_t slot);
/* One that is content with the local map as it is. Its slot is the client's first one. */
void reads_add_stale(struct replica *replica, struct replica_client *client, uint64_t slot);
void reads_ask(struct replica *replica);
void reads_on_result(struct replica *replica, const struct raft_read_result *result);
void reads_serve(struct replica *replica);  /* rounds whose index is applied */
void reads_expire(struct replica *replica); /* -CLUSTERDOWN */
uint64_t reads_deadline_ms(const struct replica *replica);
void reads_run(struct replica *replica, struct replica_client *client, uint64_t slot);
void reads_destroy(struct replica *replica);

/* persist.c */
void persist_take_ready(struct replica *replica);
void persist_submit(struct replica *replica);
/* How far the log is committed goes to the disk at the end of this turn, if only for itself. */
void persist_commit(struct replica *replica);
void persist_on_done(struct replica *replica, struct disk_job *job);
void persist_send(struct replica *replica, const struct raft_message *message);
void persist_destroy(struct replica *replica);

/* apply.c */
bool apply_is_due(const struct replica *replica);
bool apply_committed(struct replica *replica); /* true: applied something */
void apply_destroy(struct replica *replica);
void apply_maybe_checkpoint(struct replica *replica);
void apply_choose_phase(struct replica *replica); /* at the start */
void apply_maybe_purge(struct replica *replica);
uint64_t apply_deadline_ms(const struct replica *replica);

/* space.c */
void space_start(struct replica *replica);
bool space_is_low(const struct replica *replica);
/* Leadership goes to somebody with room at the end of this turn, if it can: what makes the data grow waits.
 */
bool space_may_hand_over(const struct replica *replica);
/* Why a command that makes the data grow must not be taken now, as an error for the client; NULL: it may. */
const char *space_refuses_growth(const struct replica *replica);
/* What the live map's disk has, now that it is another one. */
void space_on_map_replaced(struct replica *replica);
/* What a job found. */
void space_note_log(struct replica *replica, const struct disk_job *job);
void space_note_map(struct replica *replica, const struct disk_job *job);
void space_on_map_job_done(struct replica *replica, const struct disk_job *job);
/* A checkpoint was written, or found no room. */
void space_note_checkpoint(struct replica *replica, bool written);
void space_tick(struct replica *replica);
/* Time to look whether the log has room again. */
bool space_is_log_check_due(const struct replica *replica);
/* The log can hardly grow before the map has written more of it. */
bool space_waits_for_checkpoint(const struct replica *replica);
/* Low: what was deleted should leave the file soon. */
bool space_wants_checkpoint(const struct replica *replica);
bool space_may_try_checkpoint(const struct replica *replica);
uint64_t space_deadline_ms(const struct replica *replica);

/* scrub.c */
void scrub_start(struct replica *replica);
void scrub_tick(struct replica *replica);
/* A pass that was in the map begins anew. */
void scrub_on_map_replaced(struct replica *replica);
void scrub_on_log_done(struct replica *replica, const struct disk_job *job);
void scrub_on_map_done(struct replica *replica, const struct disk_job *job);
uint64_t scrub_deadline_ms(const struct replica *replica);

/* report.c */
void report_send(struct replica *replica, const struct peer *peer);
void report_send_to_all(struct replica *replica);
void report_tick(struct replica *replica);
uint64_t report_deadline_ms(const struct replica *replica);
/* A whole entry was applied. */
void report_note_applied(struct replica *replica, uint64_t index, uint64_t digest);
void report_on_message(struct replica *replica, uint64_t node_id, const struct bus_report *report);

/* peers.c */
struct peer *peers_find(struct replica *replica, uint64_t node_id);
const struct peer *peers_find_const(const struct replica *replica, uint64_t node_id);
/* From now on these are the members. */
void peers_set_members(struct replica *replica, const struct members *members);
/* One that goes by a newer membership. False: there is no room. */
bool peers_add_newer(struct replica *replica, const struct bus_hello *hello);
/* Forgets those whose time is over. */
void peers_tick(struct replica *replica);
/* Where its bus is reached. False: not known. */
bool peers_address(const struct peer *peer, struct replica_member *address);
/* Where clients of this listener reach the node; NULL: not known yet. */
const struct bus_listener_address *peers_client_address(const struct replica *replica, uint64_t node_id,
                                                        uint32_t listener);
/* A message that said what the sender's clock was (0: did not). */
void peers_note_message(struct replica *replica, uint64_t node_id, uint64_t wall_clock_ms);
/* The time that entries are stamped with, and how far the own clock is from the members' median. */
uint64_t peers_stamp_ms(const struct replica *replica);
int64_t peers_clock_skew_ms(const struct replica *replica);
void peers_maybe_warn_of_clock(struct replica *replica);

/* hello.c */
uint64_t hello_hash_members(const struct members *members);
/* Fills *refused; false, to be returned. */
bool hello_refuse(struct bus_message *refused, enum bus_refusal code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* membership.c */
/* Before the core is there: takes the members that were configured, or that formed the cluster. */
void membership_start(struct replica *replica);
/* raft_config.is_this_node, for a replica: by its disk. */
bool membership_names_this_disk(const void *replica, const uint8_t *book, uint32_t size);
/* What the map and the log hold. STORAGE_INCOMPATIBLE: it cannot be read; else as of log_store_memberships().
 * In any case membership_list_deinit(). */
enum storage_status membership_restore(const struct replica *replica, struct membership_list *list,
                                       struct storage_error *error) STORAGE_MUST_CHECK;
void membership_list_deinit(struct membership_list *list);
/* In the membership in effect; while voters change: of the new ones. */
bool membership_is_voter(const struct replica *replica, uint64_t node_id);
/* With which the cluster was formed; NULL: not known. A reference for the caller, as of the next two. */
struct raft_payload *membership_first(const struct replica *replica);
/* The one that a map holds, and its entry. NULL: it cannot be read. */
struct raft_payload *membership_of_meta(const struct map_meta *meta, struct raft_entry_id *id);
struct raft_payload *membership_encode(const struct raft_membership *membership,
                                       const struct members *members);
/* Puts a committed entry into the map's meta, between map_begin_entry() and map_end_entry(). False: it is of
 * a form that this kvd does not know. */
bool membership_apply(struct replica *replica, const struct raft_entry *entry) STORAGE_MUST_CHECK;
/* Takes what the core says is in effect now. */
void membership_follow(struct replica *replica);
/* Leader: makes voters of learners that have caught up and are to become some. */
void membership_tick(struct replica *replica);
/* True if enough of its voters are alive, as far as this leader knows; `coming` counts as alive. */
bool membership_has_quorum(const struct replica *replica, const struct raft_membership *membership,
                           raft_node_id coming, uint32_t *alive);
enum raft_membership_result membership_propose(struct replica *replica,
                                               const struct raft_membership *membership,
                                               const struct members *members);
/* Of the entry that set the members in effect; 0: those that formed the cluster. */
uint64_t membership_index(const struct replica *replica);
/* ... and of the last such entry that is committed. */
uint64_t membership_committed_index(const struct replica *replica);
/* What is in effect is committed. */
bool membership_is_settled(const struct replica *replica);
/* This node is the only member. */
bool membership_is_alone(const struct replica *replica);

/* change.c */
/* On the leader. */
void change_run(struct replica *replica, const struct command_change *change, struct reply *reply);
/* A node that is no member, or one whose disk is not known yet, asks to be added. */
void change_join(struct replica *replica, const struct bus_hello *hello, char *reason, size_t reason_bytes);

/* formation.c */
void formation_start(struct replica *replica);
void formation_tick(struct replica *replica);
void formation_on_message(struct replica *replica, uint64_t peer, const struct bus_formation *message);
void formation_store(struct replica *replica, const struct log_identity *identity);
void formation_on_stored(struct replica *replica, const struct log_identity *identity);

/* snapshot.c */
/* The core wants one to be sent there. */
void snapshot_send(struct replica *replica, uint64_t peer);
/* Hands one that is loaded to the core, when it can be. */
void snapshot_tick(struct replica *replica);
/* The part of a LOG_WRITE that installs. */
void snapshot_fill_install(const struct replica *replica, struct disk_job *job);
/* Exchanges the map. False: the replica stops. */
bool snapshot_on_installed(struct replica *replica);
/* No checkpoint is to begin. */
bool snapshot_is_taking_over(const struct replica *replica);
void snapshot_destroy(struct replica *replica);
/* Closes the maps that were live and that nobody reads any more. */
void snapshot_close_retired(struct replica *replica);

/* backup.c */
enum backup_begin { BACKUP_BEGUN, BACKUP_WAITS, BACKUP_REFUSED };
/* BEGUN: the client's connection is taken. REFUSED: *obstacle is the error to answer. */
enum backup_begin backup_begin(struct replica *replica, struct replica_client *client, const char **obstacle);
bool backup_wants_checkpoint(const struct replica *replica);
bool backup_reads_map(const struct replica *replica, const struct map *map);

/* versions.c */
uint16_t versions_bus(void); /* the newest version of the bus that is spoken here */
uint32_t versions_known(const struct replica *replica);    /* the newest rules that this node can go by */
uint32_t versions_in_force(const struct replica *replica); /* those that the map goes by */
/* Leader: what the next entry is stamped with: what all members can do, or what is in force. */
uint32_t versions_agreed(const struct replica *replica);
void versions_fill_hello(const struct replica *replica, struct bus_hello *hello);
bool versions_check_bus(const struct bus_hello *hello, struct bus_message *refused);
bool versions_check_rules(const struct replica *replica, const struct bus_hello *hello,
                          struct bus_message *refused);
/* STORAGE_INCOMPATIBLE: the map goes by rules that this node does not know. */
enum storage_status versions_check_start(const struct replica *replica,
                                         struct storage_error *error) STORAGE_MUST_CHECK;
/* A book that is about to be proposed remembers that this member was removed, if all know such books. */
void versions_remember_removed(const struct replica *replica, struct members *members, uint64_t node_id);

/* join.c */
void join_start(struct replica *replica);
bool join_is_wanted(const struct replica *replica);
uint64_t join_deadline_ms(const struct replica *replica);
/* A member does not know this node as one, or not with its disk. */
void join_on_unknown(struct replica *replica);

/* replica.c */
void replica_stop(struct replica *replica, enum replica_exit code, const char *reason);
/* ... by what failed in log or map: damage, or anything else. */
void replica_stop_for_storage(struct replica *replica, enum storage_status status, const char *reason);
/* A leader that should not be one any more leads on only while nobody else can. */
void replica_hand_over(struct replica *replica, const char *reason);
void replica_log(struct replica *replica, enum replica_log_level level, const char *event, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));
/* Errors as of replica_create(). */
enum storage_status replica_start_raft(struct replica *replica,
                                       struct storage_error *error) STORAGE_MUST_CHECK;
bool replica_leads(const struct replica *replica);

#endif
