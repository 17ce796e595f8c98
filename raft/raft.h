/* raft.h: the consensus core, as a state machine that computes and never acts.
 *
 * What it is: one node's Raft (Ongaro's thesis, 2014; sections are cited where a rule is kept).
 * Inputs are the functions below: time, a message, a proposal, "this was persisted". Outputs are
 * collected in `struct raft_ready` and by raft_next_committed(); the caller sends, writes and
 * applies. Nothing here opens a socket or a file, starts a thread, reads a clock, prints, or
 * keeps a global: the same inputs in the same order give the same outputs, on any machine.
 *
 * What it is not: it does not know what commands mean, how messages are encoded, where the log is kept, or
 * what a snapshot contains: it says who needs one, and what becomes of the log when one is installed.
 *
 * Time: every function that needs the time uses the one given last to raft_tick() or raft_set_time(). It is
 * monotonic, in milliseconds, from any origin.
 *
 * Threads: none. One caller at a time; payload reference counts are not atomic either.
 *
 * Failure: wrong use and broken invariants abort (assertions are always on). Bad messages from
 * the network that a correct peer cannot send are ignored, never fatal.
 */
#ifndef RAFT_H
#define RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft_membership.h" /* node ids, and who is in the cluster */

enum {
    /* Nodes that one speaks with: members, itself, and on a leader those that have just left. */
    RAFT_SLOTS_MAX = 32,
};

/* Identifies an entry for ever: two logs that hold the same id are equal up to it (thesis 3.5,
 * the log matching property). Index 0, term 0 stands before the first entry. */
struct raft_entry_id {
    uint64_t term;
    uint64_t index;
};

/* The bytes of an entry: reference-counted, immutable once shared. The one type for bytes that
 * travel from a socket through the log to the peers. Not thread-safe: whoever hands a payload to
 * another thread keeps a reference for it and drops that reference on the core's thread. */
struct raft_payload {
    uint32_t references;
    uint32_t size;     /* bytes in use */
    uint32_t capacity; /* bytes allocated */
    uint8_t bytes[];
};

/* A new payload with one reference, size 0 and room for `capacity` bytes. Aborts when out of
 * memory. The creator fills `bytes`, sets `size`, then shares it. */
struct raft_payload *raft_payload_create(uint32_t capacity);
/* Makes room for `capacity` bytes in a payload that is not shared yet (references == 1); returns
 * the payload, perhaps at another place. */
struct raft_payload *raft_payload_grow(struct raft_payload *payload, uint32_t capacity);
struct raft_payload *raft_payload_ref(struct raft_payload *payload); /* NULL is allowed */
void raft_payload_unref(struct raft_payload *payload);               /* NULL is allowed */

/* On-disk and on-wire numbers: never renumber. */
enum raft_entry_type {
    RAFT_ENTRY_NOOP = 1,       /* starts a term (thesis 6.4); its payload is NULL */
    RAFT_ENTRY_COMMANDS = 2,   /* opaque bytes for the state machine */
    RAFT_ENTRY_MEMBERSHIP = 3, /* a configuration (raft_membership_encode); the core makes and reads it */
};

struct raft_entry {
    struct raft_entry_id id;
    enum raft_entry_type type;
    struct raft_payload *payload; /* one reference owned by whoever owns the entry; may be NULL */
};

static inline uint32_t raft_entry_bytes(const struct raft_entry *entry)
{
    return entry->payload == NULL ? 0 : entry->payload->size;
}

/* What must be durable before a message that relies on it leaves (thesis 3.8). */
struct raft_hard_state {
    uint64_t term;
    raft_node_id vote; /* in `term`, RAFT_NODE_NONE if none */
};

enum raft_role {
    RAFT_FOLLOWER,
    RAFT_PRE_CANDIDATE, /* asks whether an election could be won, before it raises its term: 9.6 */
    RAFT_CANDIDATE,
    RAFT_LEADER,
};

const char *raft_role_name(enum raft_role role); /* "follower", "pre-candidate", ... */

/* On-wire numbers: never renumber. */
enum raft_message_type {
    RAFT_MESSAGE_PRE_VOTE = 1,
    RAFT_MESSAGE_PRE_VOTE_RESPONSE = 2,
    RAFT_MESSAGE_VOTE = 3,
    RAFT_MESSAGE_VOTE_RESPONSE = 4,
    RAFT_MESSAGE_APPEND = 5,
    RAFT_MESSAGE_APPEND_RESPONSE = 6,
    RAFT_MESSAGE_HEARTBEAT = 7,
    RAFT_MESSAGE_HEARTBEAT_RESPONSE = 8,
    RAFT_MESSAGE_TIMEOUT_NOW = 9,
    RAFT_MESSAGE_READ_INDEX = 10,
    RAFT_MESSAGE_READ_INDEX_RESPONSE = 11,
};

/* One message between two nodes. Fields that a type does not use are 0.
 *
 * type               | log                    | commit      | other
 * PRE_VOTE           | sender's last entry    | -           | term: the one it would campaign in
 * VOTE               | sender's last entry    | -           | force: by TIMEOUT_NOW, ignores stickiness
 * (PRE_)VOTE_RESPONSE| -                      | -           | reject
 * APPEND             | entry before the first | leader's    | entries; round
 * APPEND_RESPONSE    | accepted: last matching entry; rejected: the `log` of the APPEND
 *                    |                        |             | reject; hint (rejected: where to look next)
 * HEARTBEAT          | the last entry on every member's disk
 *                    |                        | min(match of the receiver, commit) | round
 * HEARTBEAT_RESPONSE | -                      | -           | round, echoed
 * TIMEOUT_NOW        | -                      | -           |
 * READ_INDEX         | -                      | -           | round: the asker's id of this try
 * READ_INDEX_RESPONSE| log.index: read index  | -           | round, echoed; reject
 */
struct raft_message {
    enum raft_message_type type;
    raft_node_id from;
    raft_node_id to;
    uint64_t term;
    struct raft_entry_id log;
    /* See raft_replication.c: the follower's last entry whose term is <= log.term. */
    struct raft_entry_id hint;
    uint64_t commit;
    uint64_t round;
    bool reject;
    bool force;
    uint32_t entries_count;
    struct raft_entry *entries; /* malloc'ed array, owned by the message together with one reference
                                   to each payload; consecutive indices from log.index + 1 */
};

/* Frees the entries and their references; the message may be used anew. */
void raft_message_deinit(struct raft_message *message);

struct raft_config {
    raft_node_id id;
    uint64_t seed; /* of all that is random; differs between nodes and between a node's starts */

    uint32_t election_timeout_ms;   /* the least; drawn from [t, 2t) each time: thesis 3.4 */
    uint32_t heartbeat_interval_ms; /* well under election_timeout_ms */
    uint32_t unreachable_delay_ms;  /* pre-vote starts within [1, this] after the leader's
                                       connection broke, again and again while it stays broken */
    uint32_t disk_stall_timeout_ms; /* a persist job older than this makes a leader step down */

    uint32_t append_bytes_max;      /* payload bytes in one APPEND (at least one entry is sent) */
    uint32_t inflight_messages_max; /* APPENDs without an answer, per follower */
    uint32_t inflight_bytes_max;    /* their payload bytes, per follower */
    uint64_t cache_bytes_max;       /* durable entries kept in memory; older ones are read back */
    uint64_t unstable_bytes_max;    /* proposals are refused while more than this awaits the own disk
                                     or the commit */

    /* Whether a configuration that names `id` means this very node, by the caller's bytes of it. Another one
     * may have had the id, whose votes and acknowledgements this one knows nothing of: by a configuration
     * with that one it neither stands for election nor counts. Depends on the bytes only. NULL: always. */
    bool (*is_this_node)(const void *context, const uint8_t *opaque, uint32_t opaque_size);
    const void *is_this_node_context;
};

/* A stretch of consecutive entries of one term: from `first_index` to before the next run. */
struct raft_term_run {
    uint64_t first_index;
    uint64_t term;
};

/* An entry of type RAFT_ENTRY_MEMBERSHIP on disk. */
struct raft_membership_entry {
    struct raft_entry_id id;
    struct raft_payload *payload; /* what raft_membership_decode() accepts */
};

/* What was on disk when the node started. All zero for a new node that waits to be added to a cluster; the
 * members of a cluster that is being formed start with its first configuration. */
struct raft_restore {
    struct raft_hard_state hard_state;
    struct raft_entry_id base;        /* the entry before the first one in the log: compacted or {0,0} */
    uint64_t last_index;              /* == base.index when the log is empty */
    const struct raft_term_run *runs; /* terms of (base.index, last_index]; copied */
    uint32_t runs_count;
    uint64_t commit;  /* known committed: max(hint, applied); <= last_index */
    uint64_t applied; /* the state machine holds the log up to here; base.index <= applied <= commit */

    /* In rising order: first the configuration that the state machine holds, if it holds one: the last one
     * up to `applied`, under its entry's id or {0,0} (with which the cluster was formed, or it is not known
     * where it stood); then every one that stands in the log above `applied`. References are taken; the
     * array is copied. */
    const struct raft_membership_entry *memberships;
    uint32_t memberships_count;
};

struct raft;

struct raft *raft_create(const struct raft_config *config, const struct raft_restore *restore,
                         uint64_t now_ms);
void raft_destroy(struct raft *raft);

/* ---- inputs ---------------------------------------------------------------------------------- */

/* Moves the clock and fires what is due. `now_ms` never goes back. */
void raft_tick(struct raft *raft, uint64_t now_ms);
/* Moves the clock only: before inputs that arrived together are given, so that after a pause the messages
 * that waited are heard before any time-out fires. */
void raft_set_time(struct raft *raft, uint64_t now_ms);
/* The time at which the next raft_tick() has something to do (UINT64_MAX: nothing is waiting). */
uint64_t raft_deadline_ms(const struct raft *raft);

/* Takes a message from a peer. The entries' payloads are referenced, the message stays the
 * caller's. Messages that are not for this node or malformed are ignored, and so are those of nodes that are
 * no members here, but for the ones of candidates and leaders: they may know more (thesis 4.1). */
void raft_step(struct raft *raft, const struct raft_message *message);

enum raft_propose_result {
    RAFT_PROPOSE_OK,
    RAFT_PROPOSE_NOT_LEADER,   /* certainly not appended */
    RAFT_PROPOSE_TRANSFERRING, /* leadership is being handed over: certainly not appended */
    RAFT_PROPOSE_FULL,         /* unstable_bytes_max: certainly not appended, try again later */
};
/* Appends one entry of type RAFT_ENTRY_COMMANDS. On OK takes a reference of its own to `payload`
 * and sets *id; the entry may yet be lost (never tell a client anything by this alone). */
enum raft_propose_result raft_propose(struct raft *raft, struct raft_payload *payload,
                                      struct raft_entry_id *id) __attribute__((warn_unused_result));

/* ---- membership (thesis chapter 4) ----
 *
 * A configuration takes effect when it is appended and is rolled back if its entry is truncated. To change
 * it: copy raft_get_membership(), raft_membership_set() as often as wanted, raft_propose_membership(). A
 * change of voters goes through the joint configuration, however many nodes it adds and removes; when that
 * is committed the leader of the day proposes C_new by itself, with the same opaque bytes. The change is
 * done when raft_status says membership_committed and outgoing_count is 0. A node that is to become a voter
 * should be a learner first, until its match_index (raft_peer_status) is near `last`: else commits may have
 * to wait for it (4.2.1). Whether a change is wise - enough of the new voters alive - is for the caller to
 * judge from raft_status.
 *
 * A leader that is not among the new voters leads on until C_new is committed, without counting itself,
 * then hands leadership over and steps down (4.2.2). Who is out hears of it from the leader, within two
 * election timeouts of the commit or not at all (a node that was away then: the others do not listen to it,
 * 4.2.3; tell it by other means); then raft_status.removed. */

/* A configuration, and where it stands. */
struct raft_configuration {
    struct raft_entry_id id; /* its entry; the end of the snapshot that it came with; or as in raft_restore */
    struct raft_membership membership;
    struct raft_payload *payload; /* whole; NULL: none is known (no voters) */
    uint32_t opaque_offset;       /* where the caller's bytes begin in it */
    bool is_of_this_node;         /* its id, where it names that, is this node's: raft_config.is_this_node */
};

/* The one in effect, committed or not. Borrowed until the next call that is given a raft that is not const.
 * Its id tells whether it has changed; so new peers' addresses are known as soon as they are needed. */
const struct raft_configuration *raft_get_configuration(const struct raft *raft);
const struct raft_membership *raft_get_membership(const struct raft *raft);

enum raft_membership_result {
    RAFT_MEMBERSHIP_OK,
    RAFT_MEMBERSHIP_NOT_LEADER,   /* of this and the following: certainly nothing was appended */
    RAFT_MEMBERSHIP_TRANSFERRING, /* leadership is being handed over */
    RAFT_MEMBERSHIP_NOT_READY,    /* the term's no-op is not committed yet: try again soon (pitfall 7) */
    RAFT_MEMBERSHIP_PENDING,      /* a change is under way: try again when it is done (pitfall 8) */
    RAFT_MEMBERSHIP_INVALID, /* joint, no voter, over RAFT_NODES_MAX nodes with those that leave, too long */
};
/* Begins to change the membership to `target`, with new opaque bytes (copied; the former ones do not stay).
 * unstable_bytes_max does not count: there is one change at a time, and proposals that use up all the room
 * must not keep it out for ever.
 * On OK *id is the entry that was appended, C_old,new or at once C_new; it may yet be lost. */
enum raft_membership_result raft_propose_membership(struct raft *raft, const struct raft_membership *target,
                                                    const uint8_t *opaque, uint32_t opaque_size,
                                                    struct raft_entry_id *id)
    __attribute__((warn_unused_result));

/* Asks for a read index for all reads that have arrived so far (thesis 6.4). Returns the id of
 * this try, unique in the life of this object, or 0 when no leader is known or (on the leader) leadership is
 * being handed over. The outcome comes in raft_ready.reads, within an election timeout. */
uint64_t raft_read_index(struct raft *raft) __attribute__((warn_unused_result));

/* Every persist up to and including `sequence` (raft_ready.sequence) is durable. */
void raft_persisted(struct raft *raft, uint64_t sequence);

/* The state machine has applied entries up to and including `index` (<= the last one handed out). */
void raft_applied(struct raft *raft, uint64_t index);

/* The connection to `peer` was refused or reset. Of the leader: ends stickiness towards it and
 * starts pre-votes after a short random delay, until contact. Safe: a pre-vote still needs a
 * majority that lost the leader too. */
void raft_peer_unreachable(struct raft *raft, raft_node_id peer);
/* Bytes of a frame from `peer` are arriving: counts as a sign of life of the leader, so that one
 * large APPEND on a slow link does not cause an election. */
void raft_peer_contact(struct raft *raft, raft_node_id peer);

/* Starts to hand leadership to `target`, a voter, or with RAFT_NODE_NONE to the most up-to-date reachable
 * voter (thesis 3.10; during a change, one of C_new). False when not leader or nobody else could take it.
 * Given up after an election timeout: raft_status.transferee tells. */
bool raft_transfer_leadership(struct raft *raft, raft_node_id target);

/* Answers a raft_log_read from raft_ready.log_reads: `entries` are those read, consecutive from
 * read.first_index, at least one; the caller keeps them, payloads are referenced. For
 * peer == own id the entries are wanted for applying. `entries_count` 0: the read could not be done
 * (they were compacted or overwritten meanwhile). */
void raft_log_read_done(struct raft *raft, uint64_t read_id, const struct raft_entry *entries,
                        uint32_t entries_count);

/* The log on disk starts after `base` now. Precondition: base.index <= applied and durable. */
void raft_compacted(struct raft *raft, struct raft_entry_id base);

/* ---- snapshots (thesis chapter 5) ----
 *
 * Leader: raft_ready.snapshots names a follower that needs entries which are compacted. The caller streams
 * the state to it as it likes, and tells when that is over; while it lasts, raft_status.needed_from says
 * what may not be compacted. At most one stream per follower is asked for at a time; one that is still
 * under way from an earlier leadership of this node may serve, its end counts all the same. What a follower
 * is asked to take by a leader of the past is committed like everything else, and welcome.
 *
 * Follower: raft_wants_snapshot() says whether a stream is worth taking, when it begins and while it lasts.
 * When all of it has been loaded beside the live state and is durable there, raft_install_snapshot(); then
 * the installation comes out of raft_ready as part of a numbered write, in its order among the others, so
 * that it is never in doubt which entries the disk holds. */

/* Leader: the stream to `peer` has been opened, and brings the state up to `upto`. Optional: until it is
 * called, all that is in the log counts as needed. */
void raft_snapshot_started(struct raft *raft, raft_node_id peer, struct raft_entry_id upto);
/* Leader: the stream is over. `ok`: the follower has got all of it; it is asked for the entries after
 * `upto` until it has installed it. Otherwise a stream is asked for anew after an election timeout, and
 * `upto` does not matter. Ignored when no longer leader, or not asked for. */
void raft_snapshot_done(struct raft *raft, raft_node_id peer, struct raft_entry_id upto, bool ok);

/* False: it is older than what the state machine has got already, or contradicts what is committed, or this
 * node leads: end the stream. */
bool raft_wants_snapshot(const struct raft *raft, struct raft_entry_id upto);
/* The state at `upto`, with the configuration that it holds (what raft_membership_decode() accepts;
 * referenced), is about to take the place of the state machine's. False: not wanted any more (see above) or
 * malformed, and nothing has changed: throw it away. Otherwise, at once: the log begins after `upto`; what
 * it held beyond stays if it holds `upto` itself, else all of it goes; commit, handed out and applied are
 * at least upto.index; reads of the log for applying are cancelled. Give no raft_applied() for what was
 * handed out before, and keep serving reads by what the live state machine has applied. The next
 * raft_ready.install says what to do on disk; nothing is handed out for applying until that is reported by
 * raft_persisted(). */
bool raft_install_snapshot(struct raft *raft, struct raft_entry_id upto, struct raft_payload *membership)
    __attribute__((warn_unused_result));

/* ---- outputs --------------------------------------------------------------------------------- */

/* The outcome of one raft_read_index(). */
struct raft_read_result {
    uint64_t read_id;
    uint64_t index; /* serve the reads once this is applied */
    bool ok;        /* false: the leader changed, was not confirmed or did not answer; ask again */
};

/* Entries that are on disk but no longer in memory are needed. Read a stretch from first_index on,
 * not beyond last_index nor (but for the first entry) bytes_max, and call raft_log_read_done(). */
struct raft_log_read {
    uint64_t read_id;
    raft_node_id peer; /* for whom; own id: to apply */
    uint64_t first_index;
    uint64_t last_index;
    uint32_t bytes_max;
};

/* The loaded state goes live: one transaction names it, sets the log's base to `upto`, and drops the
 * entries up to there, or all of them. If `keeps` is false, the entries of earlier writes that go into the
 * same transaction may be left out. When it is done, and before raft_persisted() is called, the state
 * machine is exchanged. */
struct raft_install {
    struct raft_entry_id upto; /* index 0: there is nothing to install */
    bool keeps; /* the log on disk, after all earlier writes, holds `upto`: what follows it stays */
};

struct raft_ready {
    /* To be made durable, in one step and in the order of sequence numbers: the installation of a
     * snapshot (if any), hard state (if changed) and entries, appended at entries[0].id.index after
     * dropping whatever stands there and later. `sequence` numbers this persist; 0: nothing to persist. */
    uint64_t sequence;
    struct raft_install install;
    bool hard_state_changed;
    struct raft_hard_state hard_state;
    struct raft_entry *entries;
    uint32_t entries_count;

    /* Messages that may leave at once. */
    struct raft_message *messages_now;
    uint32_t messages_now_count;

    /* Messages that promise something: they leave only after every persist up to
     * `after_sequence` is durable (which may be an earlier persist than this ready's; 0 or an already
     * completed one: at once). */
    uint64_t after_sequence;
    struct raft_message *messages_after_persist;
    uint32_t messages_after_persist_count;

    struct raft_read_result *reads;
    uint32_t reads_count;
    struct raft_log_read *log_reads;
    uint32_t log_reads_count;
    raft_node_id *snapshots; /* followers that a snapshot is to be streamed to */
    uint32_t snapshots_count;
};

bool raft_has_ready(const struct raft *raft);
/* Moves all that is to be done into *ready, which then owns it (entries and messages with their
 * payload references). Call once per turn, after all inputs. To keep messages for later, move
 * them out and set the count to 0. */
void raft_take_ready(struct raft *raft, struct raft_ready *ready);
void raft_ready_deinit(struct raft_ready *ready);

enum raft_next_committed {
    RAFT_NEXT_NONE,     /* nothing committed beyond what was handed out */
    RAFT_NEXT_ENTRY,    /* *entry is the next one */
    RAFT_NEXT_NOT_HELD, /* it is on disk only; a log read was asked for, try after it is done */
};
/* Hands out committed entries, each once, in order, durable locally or not. The entry is borrowed:
 * valid until the next call that is given a raft. */
enum raft_next_committed raft_next_committed(struct raft *raft, const struct raft_entry **entry)
    __attribute__((warn_unused_result));

/* How far one follower is (leader only). */
struct raft_peer_status {
    raft_node_id id;
    enum raft_member_kind kind; /* NONE: it has left, and is being told so */
    uint64_t match_index;
    uint64_t next_index;
    enum raft_progress_state { RAFT_PROGRESS_PROBE, RAFT_PROGRESS_REPLICATE, RAFT_PROGRESS_SNAPSHOT } state;
    bool recently_active; /* heard of within an election timeout, or not given up yet by a new leader */
    /* It was there then or later, for it answered a round of heartbeats that began then; up to half an
     * election timeout ago if it answers all. 0: none of late. This node may have stood still: what it reads
     * may be older, an answer cannot. Before the first answer of this term: when it was heard of. */
    uint64_t there_ms;
    uint64_t round_acked; /* the latest round that it answered; 0: none of this term */
    uint32_t inflight_messages;
    uint64_t inflight_bytes;
    bool snapshot_under_way; /* a stream was asked for, and its end has not been told */
};

struct raft_status {
    raft_node_id id;
    enum raft_role role;
    uint64_t term;
    raft_node_id vote;
    raft_node_id leader;        /* RAFT_NODE_NONE when unknown */
    raft_node_id transferee;    /* leader: to whom leadership is being handed */
    uint64_t last_round;        /* leader: the latest round of heartbeats */
    uint64_t leader_contact_ms; /* time of the last sign of life of the leader; own time if leader */
    bool leader_ready;          /* leader, and the term's no-op is committed */
    struct raft_entry_id last;
    uint64_t first_index;   /* first entry in the log */
    uint64_t durable_index; /* own disk holds the current log up to here */
    uint64_t commit;
    uint64_t applied;
    /* Every member's disk holds the log up to here, as far as this node knows: what is beyond may yet be
     * needed by one that is behind, whoever leads. Never goes back; 0 after a start. */
    uint64_t held_by_all;
    /* Leader: compact nothing above it: a follower that gets a snapshot will need it next, or it would need
     * a snapshot again, and so on for ever (pitfall 14). UINT64_MAX: nobody does. A follower of which
     * nothing is heard for five election timeouts does not count, so that it does not hold the log for
     * ever; a log that is about to be full may have to be cut all the same: that costs another snapshot,
     * never more. */
    uint64_t needed_from;
    uint64_t unstable_bytes; /* proposed or received, not yet durable here */

    struct raft_membership membership; /* in effect */
    struct raft_entry_id membership_id;
    bool membership_committed;
    enum raft_member_kind kind; /* this node's */
    /* A committed configuration took this node out: it was a member, in this object's life or when it
     * started, and is no more. It campaigns no more, and hears of nothing. (A node that is restarted after
     * that cannot tell that it was a member: then kind alone says that it is none.) */
    bool removed;

    uint32_t peers_count;
    struct raft_peer_status peers[RAFT_SLOTS_MAX]; /* leader only, without itself */
};

void raft_get_status(const struct raft *raft, struct raft_status *status);
raft_node_id raft_leader(const struct raft *raft);
/* RAFT_NODE_NONE unless leadership is being handed over. */
raft_node_id raft_transferee(const struct raft *raft);
uint64_t raft_leader_contact_ms(const struct raft *raft);
uint64_t raft_first_index(const struct raft *raft);
enum raft_role raft_get_role(const struct raft *raft);
uint64_t raft_get_term(const struct raft *raft);
uint64_t raft_get_commit(const struct raft *raft);
uint64_t raft_get_durable(const struct raft *raft);
/* True, with *term set, if the log (memory or disk) has an entry at `index` or base is there. */
bool raft_get_entry_term(const struct raft *raft, uint64_t index, uint64_t *term);

/* Checks every invariant that one node can check by itself; aborts when one is broken. O(members +
 * term runs + cached entries): for tests and the simulator. */
void raft_check_invariants(const struct raft *raft);

#endif
