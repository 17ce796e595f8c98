/* raft_change.c: see raft_change.h. */
#include "raft_change.h"

#include "raft_assert.h"
#include "raft_internal.h"
#include "raft_replication.h"
#include "raft_role.h"
#include "raft_transfer.h"

enum {
    /* How long a node that is out is told so, in election timeouts after the commit. */
    FAREWELL_TIMEOUTS = 2,
};

/* Thesis 4.2.2: it manages a cluster that it is no part of, and has done so to the end. */
static bool has_no_vote(const struct raft *raft)
{
    return (raft->quorum.voters & raft_quorum_bit(RAFT_SLOT_SELF)) == 0 &&
           !raft_membership_is_joint(&raft_configuration_now(raft)->membership) &&
           raft_configuration_is_committed(raft);
}

/* ---- proposals ------------------------------------------------------------------------------- */

static struct raft_entry_id append(struct raft *raft, const struct raft_membership *membership,
                                   const uint8_t *opaque, uint32_t opaque_size)
{
    struct raft_payload *payload = raft_membership_encode(membership, opaque, opaque_size);
    struct raft_entry_id id = raft_replication_append(raft, RAFT_ENTRY_MEMBERSHIP, payload);
    raft_payload_unref(payload);
    raft_assert(raft_configuration_now(raft)->id.index == id.index);
    /* Other majorities count from here on: they may reach further than the old ones did. */
    raft_replication_maybe_commit(raft);
    raft_read_on_round_acked(raft);
    return id;
}

static bool same_voters(const struct raft_membership *a, const struct raft_membership *b)
{
    struct raft_membership left = *a;
    struct raft_membership right = *b;
    left.learners_count = right.learners_count = 0;
    return raft_membership_equals(&left, &right);
}

/* The entry that takes the cluster from `now` towards `target`. */
static struct raft_membership next_step(const struct raft_membership *now,
                                        const struct raft_membership *target)
{
    struct raft_membership step = *target;
    raft_assert(!raft_membership_is_joint(now));
    if (!same_voters(now, target)) {
        step.outgoing_count = now->voters_count;
        for (uint32_t i = 0; i < now->voters_count; i++) {
            step.outgoing[i] = now->voters[i];
        }
    }
    return step;
}

enum raft_membership_result raft_propose_membership(struct raft *raft, const struct raft_membership *target,
                                                    const uint8_t *opaque, uint32_t opaque_size,
                                                    struct raft_entry_id *id)
{
    if (raft->role != RAFT_LEADER) {
        return RAFT_MEMBERSHIP_NOT_LEADER;
    }
    if (raft->transfer.transferee != RAFT_NODE_NONE) {
        return RAFT_MEMBERSHIP_TRANSFERRING;
    }
    if (raft->log.commit < raft->noop_index) {
        return RAFT_MEMBERSHIP_NOT_READY;
    }
    const struct raft_membership *now = &raft_configuration_now(raft)->membership;
    if (!raft_configuration_is_committed(raft) || raft_membership_is_joint(now) || has_no_vote(raft)) {
        return RAFT_MEMBERSHIP_PENDING;
    }
    if (!raft_membership_is_valid(target) || raft_membership_is_joint(target)) {
        return RAFT_MEMBERSHIP_INVALID;
    }
    struct raft_membership step = next_step(now, target);
    if (!raft_membership_is_valid(&step) ||
        opaque_size > RAFT_MEMBERSHIP_BYTES_MAX - raft_membership_header_bytes(&step)) {
        return RAFT_MEMBERSHIP_INVALID;
    }
    *id = append(raft, &step, opaque, opaque_size);
    return RAFT_MEMBERSHIP_OK;
}

/* C_old,new is committed: C_new, with the same opaque bytes (thesis 4.3). */
static void leave_joint(struct raft *raft)
{
    const struct raft_configuration *now = raft_configuration_now(raft);
    struct raft_membership target = now->membership;
    target.outgoing_count = 0;
    struct raft_payload *payload = raft_payload_ref(now->payload); /* `now` may move */
    uint32_t offset = now->opaque_offset;
    (void)append(raft, &target, payload->bytes + offset, payload->size - offset);
    raft_payload_unref(payload);
    raft_assert(!raft_membership_is_joint(&raft_configuration_now(raft)->membership));
}

/* ---- farewell -------------------------------------------------------------------------------- */

static bool is_told_or_given_up(const struct raft *raft, uint32_t slot)
{
    const struct raft_progress *progress = &raft->progress[slot];
    bool told = progress->farewell_round != 0 && progress->round_acked >= progress->farewell_round;
    return told || raft->now_ms >= progress->left_deadline_ms;
}

static bool may_drop_left(const struct raft *raft)
{
    if (raft->left_count == 0) {
        return false;
    }
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        if (raft->progress[i].left_index != 0 && is_told_or_given_up(raft, i)) {
            return true;
        }
    }
    return false;
}

void raft_change_on_commit(struct raft *raft)
{
    raft_assert(raft->role == RAFT_LEADER);
    for (uint32_t i = 1; raft->left_count > 0 && i < raft->slots_count; i++) {
        struct raft_progress *progress = &raft->progress[i];
        bool is_out = progress->left_index != 0 && progress->left_index <= raft->log.commit;
        if (is_out && progress->left_deadline_ms == RAFT_NEVER_MS) {
            progress->left_deadline_ms =
                raft->now_ms + (uint64_t)FAREWELL_TIMEOUTS * raft->config.election_timeout_ms;
            raft->heartbeat_due = true; /* it hears of it at once, if it has the entry */
        }
    }
}

void raft_change_on_farewell(struct raft *raft, uint32_t slot, uint64_t commit, uint64_t round)
{
    struct raft_progress *progress = &raft->progress[slot];
    if (progress->left_index != 0 && progress->farewell_round == 0 && commit >= progress->left_index) {
        progress->farewell_round = round;
    }
}

uint64_t raft_change_deadline_ms(const struct raft *raft)
{
    uint64_t deadline = RAFT_NEVER_MS;
    for (uint32_t i = 1; raft->left_count > 0 && i < raft->slots_count; i++) {
        const struct raft_progress *progress = &raft->progress[i];
        if (progress->left_index != 0 && progress->left_deadline_ms < deadline) {
            deadline = progress->left_deadline_ms;
        }
    }
    return deadline;
}

/* ---- the end of a turn ----------------------------------------------------------------------- */

/* While leadership is handed over no entry may come in between, or the next leader would lack it. */
static bool may_move_on(const struct raft *raft)
{
    return raft->log.commit >= raft->noop_index && raft_configuration_is_committed(raft) &&
           raft->transfer.transferee == RAFT_NODE_NONE;
}

static bool is_leaving_joint_due(const struct raft *raft)
{
    return may_move_on(raft) && raft_membership_is_joint(&raft_configuration_now(raft)->membership);
}

static bool is_handing_over_due(const struct raft *raft)
{
    return may_move_on(raft) && has_no_vote(raft) && raft->left_count == 0;
}

bool raft_change_is_due(const struct raft *raft)
{
    raft_assert(raft->role == RAFT_LEADER);
    return may_drop_left(raft) || is_leaving_joint_due(raft) || is_handing_over_due(raft);
}

void raft_change_advance(struct raft *raft)
{
    raft_assert(raft->role == RAFT_LEADER);
    if (may_drop_left(raft)) {
        raft_configuration_drop_left(raft, is_told_or_given_up);
    }
    if (is_leaving_joint_due(raft)) {
        leave_joint(raft);
    }
    if (is_handing_over_due(raft) && !raft_transfer_leadership(raft, RAFT_NODE_NONE)) {
        raft_become_follower(raft, raft->hard_state.term); /* nobody is there to take it */
    }
    raft_assert(raft->role != RAFT_LEADER || !raft_change_is_due(raft));
}

void raft_change_on_transfer_failed(struct raft *raft)
{
    raft_assert(raft->role == RAFT_LEADER && raft->transfer.transferee == RAFT_NODE_NONE);
    if (has_no_vote(raft) && raft->left_count == 0) {
        raft_become_follower(raft, raft->hard_state.term);
    }
}
