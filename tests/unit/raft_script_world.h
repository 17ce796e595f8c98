/* raft_script_world.h: a few Raft cores, their disks and the messages between them, each step by command.
 *
 * What it is: what a script of tests/scenarios moves (raft_script.h). Nothing happens by itself: messages
 * wait until they are delivered, each node's clock stands until it is moved. A disk writes at once
 * unless it is held. What happens is told in lines of text: one per message that arrives, with all its
 * fields, and below it what each node does about it.
 *
 * What it checks, whatever the script says: the invariants of each core, one leader per term, agreement on
 * what is committed. A breach is a line that begins with BROKEN; no scenario may contain one.
 *
 * What it is not: a simulator. There is no chance in it but the cores' election time-outs, which are seeded.
 */
#ifndef RAFT_SCRIPT_WORLD_H
#define RAFT_SCRIPT_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "raft.h"
#include "raft_script_text.h"

enum {
    SCRIPT_NODES_MAX = 7,
    SCRIPT_LOG_MAX = 64, /* entries of a log; terms too */
    SCRIPT_WRITES_MAX = 32,
    SCRIPT_READS_MAX = 32,
    SCRIPT_ELECTION_MS = 1000,
    SCRIPT_HEARTBEAT_MS = 100,
};

/* A log as the script sees it. Owns a reference to each payload. */
struct script_log {
    struct raft_entry_id base;
    uint64_t last;
    struct raft_entry entries[SCRIPT_LOG_MAX]; /* by index */
};

struct script_write {
    uint64_t sequence;
    struct raft_install install;
    bool hard_state_changed;
    struct raft_hard_state hard_state;
    struct raft_entry *entries;
    uint32_t entries_count;
    bool written; /* on disk, but the core has not been told */
};

struct script_item {
    uint64_t after_sequence; /* held messages: the write that they wait for */
    struct raft_message message;
};

struct script_queue {
    struct script_item *items;
    uint32_t count;
    uint32_t capacity;
};

struct script_node {
    struct raft *raft; /* NULL: down */
    raft_node_id id;
    uint64_t now_ms;
    uint32_t starts;
    struct raft_status shown; /* what the trace has told of it */

    struct raft_hard_state disk_hard_state;
    struct script_log disk;
    struct script_log memory; /* the log with what is being written */
    uint64_t applied;
    uint64_t disk_applied;                  /* the durable state machine holds the log up to here, */
    struct raft_payload *disk_membership;   /* and this configuration; NULL: none */
    struct raft_payload *loaded_membership; /* of the snapshot that is about to be installed */

    bool disk_held;
    uint64_t persisted; /* last write that the core was told of */
    struct script_write writes[SCRIPT_WRITES_MAX];
    uint32_t writes_count;
    struct script_queue held;
};

struct script_read {
    raft_node_id node;
    uint64_t id;
};

struct script_world {
    struct raft_config config;
    struct raft_payload *formed; /* the first configuration */
    uint32_t nodes_count;
    struct script_node nodes[SCRIPT_NODES_MAX];
    uint32_t group[SCRIPT_NODES_MAX]; /* nodes of different groups do not hear of each other */
    struct script_queue network;      /* in the order of sending */
    struct script_read reads[SCRIPT_READS_MAX];
    uint32_t reads_count;
    raft_node_id leaders[SCRIPT_LOG_MAX]; /* by term */
    struct script_log committed;          /* what all must agree on */
    struct script_text *output;
};

/* `config` gives the limits; ids are set here. Nodes are 1 to `nodes_count`, with empty disks; the first of
 * them form the cluster, the others wait to be added. */
void script_world_init(struct script_world *world, uint32_t nodes_count, uint32_t formed_count,
                       const struct raft_config *config);
void script_world_deinit(struct script_world *world);

struct script_node *script_world_node(struct script_world *world, raft_node_id id); /* NULL: no such node */

/* Starts a node from its disk. Precondition: it is down. */
void script_node_start(struct script_world *world, struct script_node *node);
/* What was not written is lost, and what waited for the disk with it. */
void script_node_crash(struct script_world *world, struct script_node *node);

/* After each input of a node: tells what changed, and does what the core wants done, until it is quiet. */
void script_node_end_turn(struct script_world *world, struct script_node *node);

/* The oldest write is on disk; its node is not told yet. False if there is none. */
bool script_node_write(struct script_world *world, struct script_node *node);
/* The oldest write is on disk and its node is told. False if there is none. */
bool script_node_persist(struct script_world *world, struct script_node *node);

/* The state machine's state up to `index` (applied, and durable in the log) is on disk. */
void script_node_checkpoint(struct script_node *node, uint64_t index);

/* The number by which the trace knows a read. 0: unknown. */
unsigned script_read_number(const struct script_world *world, raft_node_id node, uint64_t id);

/* Steps message `at` of the network into its receiver. */
void script_world_deliver(struct script_world *world, uint32_t at);
void script_world_drop(struct script_world *world, uint32_t at);

/* Adds lines that say how a node is, and a leader's followers; and what its log holds. */
void script_node_show_status(struct script_world *world, const struct script_node *node);
void script_node_show_log(struct script_world *world, const struct script_node *node);

/* ---- parts that the commands use as well ------------------------------------------------------- */

void script_queue_push(struct script_queue *queue, uint64_t after_sequence,
                       const struct raft_message *message);
struct raft_message script_queue_take(struct script_queue *queue, uint32_t at);
struct raft_message script_message_copy(const struct raft_message *message);
void script_node_tell_changes(struct script_world *world, struct script_node *node);
void script_node_begin_write(struct script_world *world, struct script_node *node, struct raft_ready *ready);
void script_node_forget_write(struct script_node *node);
void script_node_read_log(struct script_world *world, struct script_node *node,
                          const struct raft_log_read *read);
void script_node_send_held(struct script_world *world, struct script_node *node);

void script_log_put(struct script_log *log, const struct raft_entry *entry);
void script_log_copy(struct script_log *to, const struct script_log *from);
/* The log begins after `base`; what follows stays, or goes. */
void script_log_cut(struct script_log *log, struct raft_entry_id base, bool keeps);
void script_log_deinit(struct script_log *log);

#endif
