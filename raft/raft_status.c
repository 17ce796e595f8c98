/* raft_status.c: what the outside may see of a node. Reads only. */
#include "raft.h"
#include "raft_assert.h"
#include "raft_internal.h"

const char *raft_role_name(enum raft_role role)
{
    switch (role) {
    case RAFT_FOLLOWER:
        return "follower";
    case RAFT_PRE_CANDIDATE:
        return "pre-candidate";
    case RAFT_CANDIDATE:
        return "candidate";
    case RAFT_LEADER:
        return "leader";
    }
    return "unknown";
}

static void get_peer_status(const struct raft *raft, uint32_t slot, struct raft_peer_status *peer)
{
    const struct raft_progress *progress = &raft->progress[slot];
    raft_assert(slot != raft->self && progress->match < progress->next);
    *peer = (struct raft_peer_status){
        .id = raft->voters[slot],
        .match_index = progress->match,
        .next_index = progress->next,
        .state = progress->state,
        .recently_active = raft->now_ms - progress->contact_ms < raft->config.election_timeout_ms,
        .inflight_messages = progress->inflights_count,
        .inflight_bytes = progress->inflight_bytes,
    };
}

void raft_get_status(const struct raft *raft, struct raft_status *status)
{
    const struct raft_log *log = &raft->log;
    *status = (struct raft_status){
        .id = raft->config.id,
        .role = raft->role,
        .term = raft->hard_state.term,
        .vote = raft->hard_state.vote,
        .leader = raft->leader,
        .transferee = raft->transfer.transferee,
        .leader_contact_ms = raft->leader_contact_ms,
        .leader_ready = raft->role == RAFT_LEADER && log->commit >= raft->noop_index,
        .last = raft_log_last(log),
        .first_index = log->base.index + 1,
        .durable_index = log->durable,
        .commit = log->commit,
        .applied = log->applied,
        .held_by_all = raft->held_by_all.index,
        .unstable_bytes = raft_log_bytes_after(log, log->durable),
    };
    if (raft->role != RAFT_LEADER) {
        return;
    }
    for (uint32_t i = 0; i < raft->config.voters_count; i++) {
        if (i != raft->self) {
            get_peer_status(raft, i, &status->peers[status->peers_count++]);
        }
    }
    raft_assert(status->peers_count == raft->config.voters_count - 1);
}

raft_node_id raft_leader(const struct raft *raft)
{
    return raft->leader;
}

raft_node_id raft_transferee(const struct raft *raft)
{
    return raft->transfer.transferee;
}

uint64_t raft_leader_contact_ms(const struct raft *raft)
{
    return raft->leader_contact_ms;
}

uint64_t raft_first_index(const struct raft *raft)
{
    return raft->log.base.index + 1;
}

enum raft_role raft_get_role(const struct raft *raft)
{
    return raft->role;
}

uint64_t raft_get_term(const struct raft *raft)
{
    return raft->hard_state.term;
}

uint64_t raft_get_commit(const struct raft *raft)
{
    return raft->log.commit;
}

uint64_t raft_get_durable(const struct raft *raft)
{
    return raft->log.durable;
}

bool raft_get_entry_term(const struct raft *raft, uint64_t index, uint64_t *term)
{
    return raft_log_get_term(&raft->log, index, term);
}
