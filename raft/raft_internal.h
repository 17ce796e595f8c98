/* raft_internal.h: the state of one node, shared by the files that make up the core.
 *
 * What it is: `struct raft` and the few helpers that everybody needs. Each group of fields belongs to
 * one pair of files, which alone changes it; the others read it.
 *
 * What it is not: for users of the library; they see raft.h.
 *
 * Invariants are stated beside the fields and checked in raft_invariants.c.
 */
#ifndef RAFT_INTERNAL_H
#define RAFT_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "raft.h"
#include "raft_assert.h"
#include "raft_configuration.h"
#include "raft_log.h"
#include "raft_outbox.h"
#include "raft_progress.h"
#include "raft_quorum.h"
#include "raft_random.h"
#include "raft_read_index.h"

#define RAFT_NEVER_MS  UINT64_MAX
#define RAFT_SLOT_NONE UINT32_MAX

enum {
    RAFT_SLOT_SELF = 0,
};
_Static_assert(RAFT_SLOTS_MAX == 32, "a bit of a uint32_t for each slot");

/* raft_election.c */
struct raft_election {
    uint64_t deadline_ms; /* not leader: when to campaign unless a leader is heard of */
    uint32_t granted;     /* candidates: bit per slot that granted; */
    uint32_t refused;     /* and that refused. granted & refused == 0 */

    /* The leader's connection broke and nothing was heard of any leader since: try again and again.
     * hurried => leader == RAFT_NODE_NONE and role != LEADER. */
    bool hurried;
    uint64_t hurry_deadline_ms; /* RAFT_NEVER_MS unless hurried */
    uint32_t hurry_terms; /* terms that were begun in this hurry, here or elsewhere, and brought no leader */
};

/* raft_transfer.c. transferee != NONE => role == LEADER. */
struct raft_transfer {
    raft_node_id transferee;
    uint64_t deadline_ms;
    uint64_t asked_ms; /* when TIMEOUT_NOW was last sent; RAFT_NEVER_MS: not yet */
};

/* raft_apply.c: entries read back from disk to be applied: the next to hand out is log.handed + 1. */
struct raft_apply {
    uint64_t read_id; /* outstanding; 0: none */
    struct raft_entry *entries;
    uint32_t entries_count;
    uint64_t entries_first; /* index of entries[0] */
};

struct raft {
    struct raft_config config;
    uint64_t now_ms;
    struct raft_random random;

    /* What must be durable before anybody hears of it: raft_role.c. */
    struct raft_hard_state hard_state;
    bool hard_state_dirty;        /* changed since the last numbered write */
    uint64_t hard_state_sequence; /* the last write that carried it */

    enum raft_role role;
    raft_node_id leader;      /* of this term and believed to live; self if leader */
    raft_node_id term_leader; /* of this term, alive or not. leader != NONE => leader == term_leader */
    bool term_leader_gone;    /* it has shown that it leads no more */
    uint64_t leader_contact_ms;
    uint64_t noop_index;              /* leader: the entry that started the term */
    struct raft_entry_id held_by_all; /* the last entry that is known to be on every member's disk */

    struct raft_log log;
    struct raft_election election;

    /* raft_configuration.c. The nodes that this one speaks with have a slot each, itself slot 0. */
    struct raft_configurations configurations;
    struct raft_quorum quorum;                     /* of the configuration in effect */
    struct raft_progress progress[RAFT_SLOTS_MAX]; /* meaningful while leader, but that of slot 0 */
    uint32_t slots_count;
    uint32_t left_count; /* slots of nodes that are no members any more: leader only */

    uint64_t heartbeat_deadline_ms;   /* leader */
    uint64_t quorum_deadline_ms;      /* leader: when to look for a silent majority */
    uint64_t commit_news_deadline_ms; /* leader: see raft_replication_maybe_commit() */
    struct raft_transfer transfer;
    struct raft_reads reads;
    struct raft_apply apply;

    /* What the next raft_take_ready() gathers. */
    bool replication_due; /* some follower may have something to be sent */
    bool heartbeat_due;   /* a round of heartbeats is to be started */
    uint64_t log_read_id_last;
    struct raft_outbox outbox;
    struct raft_log_read *log_reads;
    uint32_t log_reads_count;
    uint32_t log_reads_capacity;
    raft_node_id *snapshots; /* peers that need one */
    uint32_t snapshots_count;
    uint32_t snapshots_capacity;
};

/* The slot of `id`, or RAFT_SLOT_NONE. */
uint32_t raft_find_slot(const struct raft *raft, raft_node_id id);

/* True if term and vote are on the own disk as they are now. */
bool raft_hard_state_is_durable(const struct raft *raft);

/* The own disk has been silent for too long: neither lead nor campaign (pitfall 16). */
bool raft_disk_is_stalled(const struct raft *raft);

/* A message of the current term to `to`; the caller fills in the rest and sends it. */
struct raft_message raft_new_message(const struct raft *raft, enum raft_message_type type, raft_node_id to);
/* Hands the message, with its entries, to the outbox. */
void raft_send(struct raft *raft, const struct raft_message *message);

/* Asks the caller to read entries from disk; returns the id of the read. */
uint64_t raft_request_log_read(struct raft *raft, raft_node_id peer, uint64_t first_index,
                               uint64_t last_index);

#endif
