/* raft_network_check.h: what raft_network.h checks after each step. */
#ifndef RAFT_NETWORK_CHECK_H
#define RAFT_NETWORK_CHECK_H

#include "raft_network_state.h"

/* ---- checks ---------------------------------------------------------------------------------- */

static inline void network_check_durable(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    uint64_t durable = raft_get_durable(node->raft);
    NETWORK_CHECK(network, durable <= node->disk.last);
    for (uint64_t index = node->disk.base.index + 1; index <= durable; index++) {
        uint64_t term = 0;
        if (raft_get_entry_term(node->raft, index, &term))
            NETWORK_CHECK(network, node->disk.entries[index].term == term);
    }
}

static inline void network_check_log_matching(struct network *network, uint32_t a, uint32_t b)
{
    const struct raft *left = network->nodes[a].raft;
    const struct raft *right = network->nodes[b].raft;
    struct raft_status status;
    raft_get_status(left, &status);
    bool must_match = false;
    for (uint64_t index = status.last.index; index > 0; index--) {
        uint64_t left_term;
        uint64_t right_term;
        if (!raft_get_entry_term(left, index, &left_term))
            break;
        if (!raft_get_entry_term(right, index, &right_term)) {
            if (must_match)
                break; /* compacted there */
            continue;
        }
        if (left_term == right_term)
            must_match = true;
        NETWORK_CHECK(network, !must_match || left_term == right_term);
    }
}

/* An entry is on a disk, or in the state that this disk holds instead. */
static inline bool network_disk_holds(const struct network *network, raft_node_id id, uint64_t index,
                                      uint64_t term)
{
    const struct network_disk *disk = &network->nodes[id - 1].disk;
    return disk->base.index >= index || (disk->last >= index && disk->entries[index].term == term);
}

static inline bool network_majority_holds(const struct network *network, const raft_node_id *voters,
                                          uint32_t count, uint64_t index, uint64_t term)
{
    uint32_t holders = 0; /* crashed nodes' disks count too */
    for (uint32_t i = 0; i < count; i++)
        holders += network_disk_holds(network, voters[i], index, term);
    return holders > count / 2;
}

/* What a leader holds to be committed is on the disks of a majority, of two if its configuration is joint
 * (pitfall 10, thesis 4.3). */
static inline void network_check_commit(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    uint64_t commit = raft_get_commit(node->raft);
    if (commit <= node->checked_commit)
        return;
    node->checked_commit = commit;
    uint64_t term = 0;
    NETWORK_CHECK(network, raft_get_entry_term(node->raft, commit, &term));
    const struct raft_membership *now = raft_get_membership(node->raft);
    if (commit > network->counted_last) {
        NETWORK_CHECK(network, network_majority_holds(network, now->voters, now->voters_count, commit, term));
        NETWORK_CHECK(network,
                      now->outgoing_count == 0 ||
                          network_majority_holds(network, now->outgoing, now->outgoing_count, commit, term));
        network->counted_last = commit;
    }
}

static inline bool network_majority_voted(const struct network *network, const raft_node_id *voters,
                                          uint32_t count, raft_node_id leader, uint64_t term)
{
    uint32_t votes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct raft_hard_state *hard_state = &network->nodes[voters[i] - 1].disk.hard_state;
        votes += hard_state->term > term || (hard_state->term == term && hard_state->vote == leader);
    }
    return votes > count / 2;
}

/* A new leader has the durable votes of a majority, of two if the configuration in its log is joint
 * (thesis 4.3). */
static inline void network_check_elected(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    uint64_t term = raft_get_term(node->raft);
    const struct raft_membership *now = raft_get_membership(node->raft);
    NETWORK_CHECK(network,
                  network_majority_voted(network, now->voters, now->voters_count, node->config.id, term));
    NETWORK_CHECK(network, now->outgoing_count == 0 ||
                               network_majority_voted(network, now->outgoing, now->outgoing_count,
                                                      node->config.id, term));
    node->led_configuration = raft_get_configuration(node->raft)->id;
}

/* A leader appends a configuration only when the one before is committed, and an entry of its own term
 * (pitfalls 7, 8). */
static inline void network_check_change(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    struct raft_entry_id now = raft_get_configuration(node->raft)->id;
    if (now.index == node->led_configuration.index)
        return;
    uint64_t commit = raft_get_commit(node->raft);
    uint64_t term = 0;
    NETWORK_CHECK(network, node->led_configuration.index <= commit);
    NETWORK_CHECK(network, raft_get_entry_term(node->raft, commit, &term));
    NETWORK_CHECK(network, term == raft_get_term(node->raft));
    node->led_configuration = now;
}

static inline void network_check_removed(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    struct raft_status status;
    raft_get_status(node->raft, &status);
    NETWORK_CHECK(network, !status.removed || status.kind == RAFT_MEMBER_NONE);
    NETWORK_CHECK(network, !status.removed || status.role == RAFT_FOLLOWER || status.role == RAFT_LEADER);
    network->removals_heard += status.removed && !node->was_removed;
    node->was_removed = status.removed;
}

static inline void network_check_node(struct network *network, uint32_t i)
{
    struct network_node *node = &network->nodes[i];
    raft_check_invariants(node->raft);
    network_check_removed(network, i);
    if (raft_get_role(node->raft) != RAFT_LEADER)
        return;
    network_check_commit(network, i);
    uint64_t term = raft_get_term(node->raft);
    NETWORK_CHECK(network, term < NETWORK_TERMS_MAX);
    if (network->leaders[term] == RAFT_NODE_NONE)
        network->leaders[term] = node->config.id;
    NETWORK_CHECK(network, network->leaders[term] == node->config.id); /* election safety */
    if (node->led_term == term) {
        network_check_change(network, i);
        return;
    }
    node->led_term = term;
    network_check_elected(network, i);
    NETWORK_CHECK(network, node->disk.hard_state.term >= term);
    for (uint64_t index = 1; index <= network->committed_last; index++) { /* leader completeness */
        uint64_t have;
        if (raft_get_entry_term(node->raft, index, &have))
            NETWORK_CHECK(network,
                          have == network->committed[index].term || network->committed[index].term > term);
        else
            NETWORK_CHECK(network, index < node->disk.base.index || network->committed[index].term > term);
    }
}

static inline void network_check_all(struct network *network)
{
    for (uint32_t i = 0; i < network->nodes_count; i++) {
        if (network->nodes[i].raft == NULL)
            continue;
        network_check_durable(network, i);
        for (uint32_t j = i + 1; j < network->nodes_count; j++) {
            if (network->nodes[j].raft != NULL)
                network_check_log_matching(network, i, j);
        }
    }
}

static inline bool network_same_voters(const raft_node_id *a, uint32_t a_count, const raft_node_id *b,
                                       uint32_t b_count)
{
    return a_count == b_count && memcmp(a, b, a_count * sizeof *a) == 0;
}

/* Two disjoint majorities are impossible if each committed configuration follows from the one before: the
 * same voters; or C_old,new after C_old; or C_new after C_old,new (thesis 4.3). */
static inline void network_check_succession(struct network *network, uint64_t value)
{
    struct raft_membership before = network_membership(network, network->committed_membership);
    struct raft_membership after = network_membership(network, value);
    if (before.outgoing_count > 0) { /* and nothing else */
        NETWORK_CHECK(network, after.outgoing_count == 0);
        NETWORK_CHECK(network, network_same_voters(before.voters, before.voters_count, after.voters,
                                                   after.voters_count));
        NETWORK_CHECK(network, network_same_voters(before.learners, before.learners_count, after.learners,
                                                   after.learners_count));
    } else if (after.outgoing_count > 0) {
        NETWORK_CHECK(network, network_same_voters(before.voters, before.voters_count, after.outgoing,
                                                   after.outgoing_count));
    } else {
        NETWORK_CHECK(network, network_same_voters(before.voters, before.voters_count, after.voters,
                                                   after.voters_count));
    }
}

static inline void network_check_committed(struct network *network, const struct raft_entry *entry)
{
    uint64_t index = entry->id.index;
    NETWORK_CHECK(network, index < NETWORK_LOG_MAX);
    if (index <= network->committed_last) {
        NETWORK_CHECK(network, network->committed[index].term == entry->id.term);
        NETWORK_CHECK(network, network->committed[index].value == network_value(network, entry));
        return;
    }
    NETWORK_CHECK(network, index == network->committed_last + 1);
    NETWORK_CHECK(network, index <= network->counted_last);
    uint64_t value = network_value(network, entry);
    network->committed[index] = (struct network_entry){.term = entry->id.term, .value = value};
    network->committed_last = index;
    if ((value & NETWORK_MEMBERSHIP) != 0) {
        network_check_succession(network, value);
        network->committed_membership = value;
        network->memberships_committed++;
    }
}

/* What a message reveals must be on the sender's disk when it leaves (pitfall 9). */
static inline void network_check_promise(struct network *network, const struct raft_message *message)
{
    const struct network_disk *disk = &network->nodes[message->from - 1].disk;
    bool pre_vote = message->type == RAFT_MESSAGE_PRE_VOTE ||
                    (message->type == RAFT_MESSAGE_PRE_VOTE_RESPONSE && !message->reject);
    if (pre_vote)
        return;
    NETWORK_CHECK(network, disk->hard_state.term >= message->term);
    if (disk->hard_state.term > message->term)
        return; /* has moved on since */
    if (message->type == RAFT_MESSAGE_VOTE_RESPONSE && !message->reject)
        NETWORK_CHECK(network, disk->hard_state.vote == message->to);
    if (message->type == RAFT_MESSAGE_VOTE)
        NETWORK_CHECK(network, disk->hard_state.vote == message->from);
    if (message->type == RAFT_MESSAGE_APPEND_RESPONSE && !message->reject &&
        message->log.index > disk->base.index) {
        NETWORK_CHECK(network, disk->last >= message->log.index);
        NETWORK_CHECK(network, disk->entries[message->log.index].term == message->log.term);
    }
}

#endif
