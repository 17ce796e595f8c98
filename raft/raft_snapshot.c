/* raft_snapshot.c: see raft_snapshot.h. */
#include "raft_snapshot.h"

#include "raft_apply.h"
#include "raft_assert.h"
#include "raft_internal.h"
#include "raft_memory.h"
#include "raft_message.h"
#include "raft_role.h"

enum {
    /* In election timeouts: how long a follower whose stream has ended may take until it has installed what
     * it got; and how long the log is kept for one of which nothing is heard. */
    PATIENCE_TIMEOUTS = 5,
};

/* ---- leader ---------------------------------------------------------------------------------- */

static uint64_t patience_ms(const struct raft *raft)
{
    return (uint64_t)PATIENCE_TIMEOUTS * raft->config.election_timeout_ms;
}

void raft_snapshot_maybe_ask(struct raft *raft, uint32_t slot)
{
    struct raft_progress *progress = &raft->progress[slot];
    struct raft_stream *stream = &progress->stream;
    raft_assert(raft->role == RAFT_LEADER && progress->state == RAFT_PROGRESS_SNAPSHOT);
    bool heard_of = raft->now_ms - progress->contact_ms < raft->config.election_timeout_ms;
    bool is_member = progress->left_index == 0; /* to hear that it is out is not worth a snapshot */
    if (stream->under_way || raft->now_ms < stream->retry_ms || !heard_of || !is_member) {
        return;
    }
    *stream = (struct raft_stream){
        .under_way = true,
        .retry_ms = raft->now_ms + raft->config.election_timeout_ms,
        .needed = true,
        .needed_from = raft->log.base.index,
        .caught_up_index = UINT64_MAX,
    };
    raft->snapshots = raft_memory_reserve(raft->snapshots, &raft->snapshots_capacity,
                                          raft->snapshots_count + 1, sizeof *raft->snapshots);
    raft->snapshots[raft->snapshots_count++] = progress->id;
}

/* The stream to `peer` that this leader asked for and has not heard the end of, or NULL. */
static struct raft_progress *find_streaming(struct raft *raft, raft_node_id peer)
{
    uint32_t slot = raft_find_slot(raft, peer);
    bool found = raft->role == RAFT_LEADER && slot != RAFT_SLOT_NONE && slot != RAFT_SLOT_SELF &&
                 raft->progress[slot].stream.under_way;
    return found ? &raft->progress[slot] : NULL;
}

void raft_snapshot_started(struct raft *raft, raft_node_id peer, struct raft_entry_id upto)
{
    struct raft_progress *progress = find_streaming(raft, peer);
    if (progress != NULL && upto.index > progress->stream.needed_from) {
        raft_assert(upto.index <= raft->log.commit);
        progress->stream.needed_from = upto.index;
    }
}

static void give_up(struct raft *raft, struct raft_stream *stream)
{
    *stream = (struct raft_stream){.retry_ms = raft->now_ms + raft->config.election_timeout_ms};
}

void raft_snapshot_done(struct raft *raft, raft_node_id peer, struct raft_entry_id upto, bool ok)
{
    struct raft_progress *progress = find_streaming(raft, peer);
    if (progress == NULL) {
        return;
    }
    /* Of no use: it got on by other means, or what comes next is compacted. */
    bool in_time = progress->state == RAFT_PROGRESS_SNAPSHOT && upto.index >= raft->log.base.index;
    if (!ok || !in_time) {
        give_up(raft, &progress->stream);
        return;
    }
    raft_assert(upto.index <= raft->log.commit && raft_log_holds(&raft->log, upto));
    progress->stream.under_way = false;
    progress->stream.needed_from = upto.index;
    progress->stream.caught_up_index = raft->log.last_index;
    progress->stream.done_ms = raft->now_ms;
    raft_progress_become_probe(progress, upto.index + 1);
    raft->replication_due = true;
}

bool raft_snapshot_is_expected(const struct raft *raft, uint32_t slot)
{
    const struct raft_progress *progress = &raft->progress[slot];
    const struct raft_stream *stream = &progress->stream;
    return stream->needed && !stream->under_way && progress->match < stream->needed_from &&
           raft->now_ms - stream->done_ms < patience_ms(raft);
}

void raft_snapshot_on_match(struct raft *raft, uint32_t slot)
{
    struct raft_progress *progress = &raft->progress[slot];
    struct raft_stream *stream = &progress->stream;
    if (!stream->needed || stream->under_way) {
        return;
    }
    if (progress->match >= stream->caught_up_index) {
        *stream = (struct raft_stream){.retry_ms = stream->retry_ms};
    } else if (progress->match > stream->needed_from) {
        stream->needed_from = progress->match;
    }
}

uint64_t raft_snapshot_needed_from(const struct raft *raft)
{
    uint64_t needed_from = UINT64_MAX;
    for (uint32_t i = 1; raft->role == RAFT_LEADER && i < raft->slots_count; i++) {
        const struct raft_progress *progress = &raft->progress[i];
        bool silent = raft->now_ms - progress->contact_ms >= patience_ms(raft);
        if (progress->stream.needed && !silent && progress->stream.needed_from < needed_from) {
            needed_from = progress->stream.needed_from;
        }
    }
    return needed_from;
}

/* ---- follower -------------------------------------------------------------------------------- */

bool raft_wants_snapshot(const struct raft *raft, struct raft_entry_id upto)
{
    if (upto.term == 0 || upto.term > RAFT_NUMBER_MAX || upto.index > RAFT_NUMBER_MAX) {
        return false;
    }
    if (raft->role == RAFT_LEADER || upto.index <= raft->log.handed) {
        return false; /* a leader holds all that is committed (thesis 3.6.3) */
    }
    /* Another entry is committed there: it is the state of another cluster, or its sender is broken. */
    return upto.index > raft->log.commit || raft_log_holds(&raft->log, upto);
}

bool raft_install_snapshot(struct raft *raft, struct raft_entry_id upto, struct raft_payload *membership)
{
    struct raft_membership decoded;
    uint32_t opaque_offset;
    if (!raft_wants_snapshot(raft, upto) ||
        !raft_membership_decode(membership->bytes, membership->size, &decoded, &opaque_offset)) {
        return false;
    }
    if (raft->role != RAFT_FOLLOWER || upto.term > raft->hard_state.term) {
        uint64_t term = raft->hard_state.term;
        raft_become_follower(raft, upto.term > term ? upto.term : term);
    }
    raft_apply_reset(raft);
    raft_log_install(&raft->log, upto);
    raft_configuration_on_install(raft, upto, membership);
    raft_assert(raft_has_ready(raft));
    return true;
}
