/* raft_status.c: what the outside may see of a node. Reads only. */
#include "raft.h"
#include "raft_assert.h"
#include "raft_internal.h"
#include "raft_read_index.h"
#include "raft_snapshot.h"

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
    raft_assert(slot != RAFT_SLOT_SELF && progress->match < progress->next);
    *peer = (struct raft_peer_status){
        .id = progress->id,
        .kind = raft_membership_find(&raft_configuration_now(raft)->membership, progress->id),
        .match_index = progress->match,
        .next_index = progress->next,
        .state = progress->state,
        .recently_active = raft->now_ms - progress->contact_ms < raft->config.election_timeout_ms,
        .there_ms = progress->round_acked != 0 ? raft_read_answered_ms(raft, slot)
                    : progress->is_heard       ? progress->contact_ms
                                               : 0,
        .round_acked = progress->round_acked,
        .inflight_messages = progress->inflights_count,
        .inflight_bytes = progress->inflight_bytes,
        .snapshot_under_way = progress->stream.under_way,
    };
}

void raft_get_status(const struct raft *raft, struct raft_status *status)
{
    const struct raft_log *log = &raft->log;
    const struct raft_configuration *configuration = raft_configuration_now(raft);
    *status = (struct raft_status){
        .id = raft->config.id,
        .role = raft->role,
        .term = raft->hard_state.term,
        .vote = raft->hard_state.vote,
        .leader = raft->leader,
        .transferee = raft->transfer.transferee,
        .last_round = raft->reads.last_round,
        .leader_contact_ms = raft->leader_contact_ms,
        .leader_ready = raft->role == RAFT_LEADER && log->commit >= raft->noop_index,
        .last = raft_log_last(log),
        .first_index = log->base.index + 1,
        .durable_index = log->durable,
        .commit = log->commit,
        .applied = log->applied,
        .held_by_all = raft->held_by_all.index,
        .needed_from = raft_snapshot_needed_from(raft),
        .unstable_bytes = raft_log_bytes_after(log, log->durable),
        .membership = configuration->membership,
        .membership_id = configuration->id,
        .membership_committed = raft_configuration_is_committed(raft),
        .kind = raft_membership_find(&configuration->membership, raft->config.id),
        .removed = raft_configuration_is_removed(raft),
    };
    if (raft->role != RAFT_LEADER) {
        return;
    }
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        get_peer_status(raft, i, &status->peers[status->peers_count++]);
    }
}

const struct raft_configuration *raft_get_configuration(const struct raft *raft)
{
    return raft_configuration_now(raft);
}

const struct raft_membership *raft_get_membership(const struct raft *raft)
{
    return &raft_configuration_now(raft)->membership;
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
