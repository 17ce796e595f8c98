/* raft_invariants.c: the whole-state check of one node, for tests and the simulator.
 *
 * What it is: every sentence beside a field of raft_internal.h and of the parts, as an assertion.
 * What it is not: the properties of a cluster (one leader per term, log matching); a test that sees
 * all nodes checks those.
 */
#include "raft.h"
#include "raft_assert.h"
#include "raft_election.h"
#include "raft_internal.h"

static void check_roles(const struct raft *raft)
{
    bool leads = raft->role == RAFT_LEADER;
    raft_assert(leads == (raft->leader == raft->config.id));
    raft_assert(raft->leader == RAFT_NODE_NONE || raft->leader == raft->term_leader);
    raft_assert(raft->leader == RAFT_NODE_NONE || leads || raft->role == RAFT_FOLLOWER);
    raft_assert(leads || raft->transfer.transferee == RAFT_NODE_NONE);
    raft_assert(raft->transfer.transferee != raft->config.id);
    raft_assert(leads == (raft->noop_index != 0));
    raft_assert(leads || (!raft->heartbeat_due && !raft->replication_due));
    raft_assert(!leads || raft_hard_state_is_durable(raft));
    raft_assert(!leads || raft->hard_state.vote == raft->config.id);
    raft_assert(raft->leader_contact_ms <= raft->now_ms);
}

static void check_stream(const struct raft *raft, const struct raft_progress *progress)
{
    const struct raft_stream *stream = &progress->stream;
    raft_assert(!stream->needed || stream->needed_from <= raft->log.last_index);
    raft_assert(!stream->needed || stream->under_way == (stream->caught_up_index == UINT64_MAX));
    raft_assert(stream->done_ms <= raft->now_ms);
    raft_assert(progress->left_index <= raft->log.last_index);
}

static void check_leader(const struct raft *raft)
{
    raft_assert(raft->noop_index <= raft->log.last_index);
    raft_assert(raft_log_term(&raft->log, raft->log.last_index) == raft->hard_state.term);
    raft_assert(raft_log_base_is_durable(&raft->log));
    raft_assert(raft->noop_index < raft->log.base.index ||
                raft_log_term(&raft->log, raft->noop_index) == raft->hard_state.term);
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        raft_progress_check_invariants(&raft->progress[i]);
        raft_assert(raft->progress[i].match <= raft->log.last_index);
        raft_assert(raft->progress[i].next <= raft->log.last_index + 1);
        raft_assert(raft->progress[i].round_acked <= raft->reads.last_round);
        raft_assert(raft->progress[i].farewell_round <= raft->reads.last_round);
        check_stream(raft, &raft->progress[i]);
    }
}

void raft_check_invariants(const struct raft *raft)
{
    raft_log_check_invariants(&raft->log);
    raft_configuration_check_invariants(raft);
    raft_election_check_invariants(raft);
    raft_read_check_invariants(raft);
    check_roles(raft);
    if (raft->role == RAFT_LEADER) {
        check_leader(raft);
    }
    /* Nothing is in the log that is newer than the term. */
    raft_assert(raft_log_last(&raft->log).term <= raft->hard_state.term);
    raft_assert(raft->hard_state.term > 0 || raft->hard_state.vote == RAFT_NODE_NONE);
    raft_assert(raft->apply.entries_count == 0 || raft->apply.read_id == 0);
    for (uint32_t i = 0; i < raft->slots_count; i++) {
        raft_assert(raft->role == RAFT_LEADER || raft->progress[i].log_read_id == 0);
    }
}
