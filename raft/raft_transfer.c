/* raft_transfer.c: see raft_transfer.h. */
#include "raft_transfer.h"

#include "raft_assert.h"
#include "raft_change.h"
#include "raft_internal.h"

static bool could_take_over(const struct raft *raft, uint32_t slot)
{
    const struct raft_progress *progress = &raft->progress[slot];
    bool votes = (raft->quorum.voters & raft_quorum_bit(slot)) != 0; /* and will when a change is done */
    return slot != RAFT_SLOT_SELF && votes && progress->state != RAFT_PROGRESS_SNAPSHOT &&
           raft->now_ms - progress->contact_ms < raft->config.election_timeout_ms;
}

static uint32_t find_target(const struct raft *raft, raft_node_id wanted)
{
    if (wanted != RAFT_NODE_NONE) {
        uint32_t slot = raft_find_slot(raft, wanted);
        return slot != RAFT_SLOT_NONE && could_take_over(raft, slot) ? slot : RAFT_SLOT_NONE;
    }
    uint32_t best = RAFT_SLOT_NONE;
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        if (!could_take_over(raft, i)) {
            continue;
        }
        if (best == RAFT_SLOT_NONE || raft->progress[i].match > raft->progress[best].match) {
            best = i;
        }
    }
    return best;
}

bool raft_transfer_leadership(struct raft *raft, raft_node_id target)
{
    if (raft->role != RAFT_LEADER) {
        return false;
    }
    if (target == RAFT_NODE_NONE && raft->transfer.transferee != RAFT_NODE_NONE) {
        return true; /* under way */
    }
    uint32_t slot = find_target(raft, target);
    if (slot == RAFT_SLOT_NONE) {
        return false;
    }
    if (raft->transfer.transferee == raft->progress[slot].id) {
        return true;
    }
    raft->transfer = (struct raft_transfer){
        .transferee = raft->progress[slot].id,
        .deadline_ms = raft->now_ms + raft->config.election_timeout_ms,
        .asked_ms = RAFT_NEVER_MS,
    };
    raft_assert(raft->transfer.transferee != raft->config.id);
    raft_transfer_maybe_finish(raft);
    return true;
}

void raft_transfer_maybe_finish(struct raft *raft)
{
    struct raft_transfer *transfer = &raft->transfer;
    if (transfer->transferee == RAFT_NODE_NONE) {
        return;
    }
    raft_assert(raft->role == RAFT_LEADER);
    uint32_t slot = raft_find_slot(raft, transfer->transferee);
    raft_assert(slot != RAFT_SLOT_NONE); /* the membership does not change meanwhile */
    if (raft->progress[slot].match != raft->log.last_index) {
        return;
    }
    if (transfer->asked_ms != RAFT_NEVER_MS &&
        raft->now_ms - transfer->asked_ms < raft->config.heartbeat_interval_ms) {
        return;
    }
    transfer->asked_ms = raft->now_ms;
    struct raft_message order = raft_new_message(raft, RAFT_MESSAGE_TIMEOUT_NOW, transfer->transferee);
    raft_send(raft, &order);
}

void raft_transfer_abandon(struct raft *raft)
{
    raft->transfer = (struct raft_transfer){.transferee = RAFT_NODE_NONE, .asked_ms = RAFT_NEVER_MS};
}

void raft_transfer_tick(struct raft *raft)
{
    raft_assert(raft->role == RAFT_LEADER);
    if (raft->transfer.transferee != RAFT_NODE_NONE && raft->now_ms >= raft->transfer.deadline_ms) {
        raft_transfer_abandon(raft);
        raft_change_on_transfer_failed(raft);
    }
}

uint64_t raft_transfer_deadline_ms(const struct raft *raft)
{
    raft_assert(raft->transfer.transferee == RAFT_NODE_NONE || raft->role == RAFT_LEADER);
    return raft->transfer.transferee == RAFT_NODE_NONE ? RAFT_NEVER_MS : raft->transfer.deadline_ms;
}
