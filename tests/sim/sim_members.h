/* sim_members.h: every configuration of the members that was ever seen, and which of them is in effect by a
 * log: a judgement of its own, from the entries, beside that of the core.
 *
 * The rule (thesis 4.1): the last configuration that a log holds is in effect, committed or not. Before there
 * is one, the members that formed the cluster are; a node that joins knows of none until it has an entry or a
 * snapshot.
 */
#ifndef SIM_MEMBERS_H
#define SIM_MEMBERS_H

#include "sim.h"

struct sim_node;

struct sim_configuration {
    struct raft_entry_id id; /* {0, 0}: those that formed the cluster */
    struct raft_membership membership;
    uint64_t disks[SIM_NODES_MAX]; /* of node i + 1, by the address book; 0: not known */
};

void sim_members_create(struct sim *sim);
void sim_members_destroy(struct sim *sim);

/* An entry was seen: in a message, on a disk, or in effect. Others than of members are ignored. */
void sim_members_note(struct sim *sim, const struct raft_entry *entry);

typedef bool sim_members_holds(const void *log, struct raft_entry_id id);
/* The last one that such a log holds; `or_first`: else those that formed the cluster. NULL: none. */
const struct sim_configuration *sim_members_latest(const struct sim *sim, sim_members_holds *holds,
                                                   const void *log, bool or_first);
/* In effect by the log that the node has in memory; NULL: none. */
const struct sim_configuration *sim_members_of(const struct sim_node *node);
/* The last one that is committed: somebody took it for that. */
const struct sim_configuration *sim_members_committed(const struct sim *sim);
bool sim_members_is_committed(const struct sim *sim, struct raft_entry_id id);
/* One after the other; NULL: no more. */
const struct sim_configuration *sim_members_at(const struct sim *sim, size_t place);

/* Of the nodes whose bits (1 << (id - 1)) are set: a majority, and while old and new voters decide together
 * one of both. */
bool sim_members_is_majority(const struct raft_membership *membership, uint64_t nodes);
/* How many of them are among the voters. */
uint32_t sim_members_count(const struct raft_membership *membership, uint64_t nodes);
bool sim_members_is_voter(const struct raft_membership *membership, uint64_t node_id);

#endif
