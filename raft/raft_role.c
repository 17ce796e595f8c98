/* raft_role.c: see raft_role.h. */
#include "raft_role.h"

#include "raft_assert.h"
#include "raft_election.h"
#include "raft_internal.h"
#include "raft_read_index.h"
#include "raft_replication.h"
#include "raft_transfer.h"

/* What no role takes along: reads belong to a role, a term and a leader. */
static void leave_role(struct raft *raft)
{
    raft_read_fail_all(raft);
    raft_transfer_abandon(raft);
    raft->election.granted = 0;
    raft->election.refused = 0;
    raft->heartbeat_due = false;
    raft->replication_due = false;
    raft->noop_index = 0;
    raft_configuration_drop_left(raft, NULL);
    for (uint32_t i = 0; i < raft->slots_count; i++) {
        raft->progress[i].log_read_id = 0; /* reads for followers are abandoned */
    }
}

static void set_term(struct raft *raft, uint64_t term, raft_node_id vote)
{
    raft_assert(term > raft->hard_state.term);
    raft->hard_state = (struct raft_hard_state){.term = term, .vote = vote};
    raft->hard_state_dirty = true;
    raft->term_leader = RAFT_NODE_NONE;
    raft->term_leader_gone = false;
    raft_election_note_new_term(raft);
}

void raft_become_follower(struct raft *raft, uint64_t term)
{
    raft_assert(term >= raft->hard_state.term);
    leave_role(raft);
    if (term > raft->hard_state.term) {
        set_term(raft, term, RAFT_NODE_NONE);
    }
    if (raft->role == RAFT_LEADER) {
        raft->term_leader_gone = true;
        raft_election_reset_timer(raft);
    }
    raft->role = RAFT_FOLLOWER;
    raft->leader = RAFT_NODE_NONE;
}

void raft_become_pre_candidate(struct raft *raft)
{
    raft_assert(raft->role != RAFT_LEADER);
    leave_role(raft);
    raft->role = RAFT_PRE_CANDIDATE;
    raft->leader = RAFT_NODE_NONE;
    raft->election.granted = raft_quorum_bit(RAFT_SLOT_SELF); /* a pre-vote is no promise: counts at once */
}

void raft_become_candidate(struct raft *raft)
{
    raft_assert(raft->role != RAFT_LEADER);
    leave_role(raft);
    set_term(raft, raft->hard_state.term + 1, raft->config.id);
    raft->role = RAFT_CANDIDATE;
    raft->leader = RAFT_NODE_NONE;
    raft_assert(raft->election.granted == 0); /* its own vote counts when it is durable (pitfall 9) */
}

void raft_become_leader(struct raft *raft)
{
    raft_assert(raft->role == RAFT_CANDIDATE && raft_log_base_is_durable(&raft->log));
    raft_assert(raft->hard_state.vote == raft->config.id && raft_hard_state_is_durable(raft));
    leave_role(raft);
    raft_election_calm(raft);
    raft->role = RAFT_LEADER;
    raft->leader = raft->config.id;
    raft->term_leader = raft->config.id;
    raft->leader_contact_ms = raft->now_ms;
    raft_configuration_find_left(raft);
    raft_replication_start(raft);
}

void raft_follow_leader(struct raft *raft, raft_node_id leader)
{
    raft_assert(raft->role != RAFT_LEADER && leader != raft->config.id);
    raft_assert(raft->term_leader == RAFT_NODE_NONE || raft->term_leader == leader);
    if (raft->role != RAFT_FOLLOWER) {
        raft_become_follower(raft, raft->hard_state.term);
    }
    raft_assert(raft->leader == RAFT_NODE_NONE || raft->leader == leader);
    raft->leader = leader;
    raft->term_leader = leader;
    raft->term_leader_gone = false;
    raft->leader_contact_ms = raft->now_ms;
    raft_election_calm(raft);
    raft_election_reset_timer(raft);
}

void raft_forget_leader(struct raft *raft)
{
    raft_assert(raft->role != RAFT_LEADER);
    raft_read_fail_all(raft);
    raft->leader = RAFT_NODE_NONE;
}
