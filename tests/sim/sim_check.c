/* sim_check.c: see sim_check.h. */
#include "sim_check.h"

#include "sim_members.h"
#include "sim_promise.h"
#include "sim_record.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    CONTENT_TURNS = 400, /* how often the content of a map is worked out anew */
    CONTENT_KEYS_MAX = 20000,
    QUORUM_TIMEOUTS = 3,
    VOTELESS_TIMEOUTS = 6, /* a farewell, and a transfer that fails */
    NEIGHBOURS = 24,       /* entries at the end of a log that are looked at in every turn */
};

/* What a node was like after its last turn. */
struct seen {
    uint64_t term, vote, commit, applied, map_applied, log_time_ms;
    uint64_t leader_term; /* in which it led */
    uint64_t leader_since_ms;
    struct raft_entry_id leader_last;
    struct sim_configuration configuration; /* in effect; no voters: none */
    uint64_t configuration_since_ms;
    bool installs;              /* a snapshot: the map that serves is the old one still */
    uint64_t voteless_since_ms; /* it leads, and is no voter of what is committed; 0: not so */
};

struct committed {
    uint64_t term;
    uint64_t seen_in_term; /* in which some node took it for committed */
};

struct leader {
    uint64_t term, id;
};

struct sim_check {
    struct seen seen[SIM_NODES_MAX];
    struct committed *committed; /* by index; [0] is not used */
    size_t committed_count, committed_capacity;
    struct leader *leaders;
    size_t leaders_count, leaders_capacity;
    uint64_t *contents; /* by applied index; 0: not seen */
    size_t contents_count;
    uint64_t log_time_ms;
};

void sim_check_create(struct sim *sim)
{
    struct sim_check *check = sim_allocate(sizeof *check);
    sim->check = check;
    check->committed = sim_grow(NULL, 0, &check->committed_capacity, sizeof *check->committed);
    check->committed[0] = (struct committed){0};
    check->committed_count = 1;
}

void sim_check_destroy(struct sim *sim)
{
    free(sim->check->committed);
    free(sim->check->leaders);
    free(sim->check->contents);
    free(sim->check);
}

uint64_t sim_check_log_time_ms(const struct sim *sim)
{
    return sim->check->log_time_ms;
}

uint64_t sim_check_committed(const struct sim *sim)
{
    return sim->check->committed_count - 1;
}

uint64_t sim_check_committed_term(const struct sim *sim, uint64_t index)
{
    return sim->check->committed[index].term;
}

uint64_t sim_check_committed_in_term(const struct sim *sim, uint64_t index)
{
    return sim->check->committed[index].seen_in_term;
}

/* ---- leaders ------------------------------------------------------------------------------------- */

/* At most one leader in a term (thesis figure 3.2, Election Safety). */
void sim_check_leads(struct sim_node *node, uint64_t term)
{
    struct sim_check *check = node->sim->check;
    for (size_t i = 0; i < check->leaders_count; i++) {
        if (check->leaders[i].term == term && check->leaders[i].id == node->id) {
            return;
        }
        if (check->leaders[i].term == term) {
            sim_fail(node->sim, SIM_CORRECTNESS,
                     "election safety: nodes %" PRIu64 " and %" PRIu64 " both lead term %" PRIu64,
                     check->leaders[i].id, node->id, term);
        }
    }
    check->leaders =
        sim_grow(check->leaders, check->leaders_count, &check->leaders_capacity, sizeof *check->leaders);
    check->leaders[check->leaders_count++] = (struct leader){term, node->id};
    node->sim->counts.elections++;
}

/* What was committed in an earlier term is in the log of every later leader (Leader Completeness). */
static void check_completeness(struct sim_node *node, const struct raft_status *status)
{
    const struct sim_check *check = node->sim->check;
    uint64_t base = status->first_index - 1;
    uint64_t base_term;
    if (base > 0 &&
        (base >= check->committed_count || !raft_get_entry_term(sim_node_raft(node), base, &base_term) ||
         base_term != check->committed[base].term)) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "leader completeness: the log of node %" PRIu64 " begins after entry %" PRIu64
                 ", which is not committed",
                 node->id, base);
    }
    for (uint64_t index = status->first_index; index < check->committed_count; index++) {
        const struct committed *committed = &check->committed[index];
        uint64_t term;
        if (committed->seen_in_term >= status->term) {
            continue;
        }
        if (!raft_get_entry_term(sim_node_raft(node), index, &term) || term != committed->term) {
            sim_fail(node->sim, SIM_CORRECTNESS,
                     "leader completeness: node %" PRIu64 " leads term %" PRIu64 " without entry %" PRIu64
                     " of term %" PRIu64 ", which was committed in term %" PRIu64,
                     node->id, status->term, index, committed->term, committed->seen_in_term);
        }
    }
}

/* A leader never overwrites or removes what it has (Leader Append-Only). */
static void check_append_only(struct sim_node *node, const struct seen *seen,
                              const struct raft_status *status)
{
    uint64_t term;
    if (seen->leader_last.index < status->first_index) {
        return;
    }
    if (!raft_get_entry_term(sim_node_raft(node), seen->leader_last.index, &term) ||
        term != seen->leader_last.term) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "leader append-only: node %" PRIu64 ", leader of term %" PRIu64 ", lost entry %" PRIu64,
                 node->id, status->term, seen->leader_last.index);
    }
}

/* A leader that hears of no majority steps down (check-quorum, thesis 6.2): after one election timeout, which
 * it looks at once in a while. */
static void check_quorum(struct sim_node *node, const struct seen *seen)
{
    const struct sim *sim = node->sim;
    uint64_t now_ms = sim_node_clock_ms(node);
    uint64_t patience_ms = sim->knobs.election_timeout_ms * QUORUM_TIMEOUTS;
    uint64_t heard = 0;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        bool is_heard = i == node->number || node->heard_ms[i] + patience_ms >= now_ms;
        heard |= (uint64_t)is_heard << i;
    }
    const struct raft_membership *membership = &seen->configuration.membership;
    if (!sim_members_is_majority(membership, heard) && seen->leader_since_ms + patience_ms < now_ms &&
        seen->configuration_since_ms + patience_ms < now_ms) {
        sim_fail(node->sim, SIM_LIVENESS,
                 "node %" PRIu64 " still leads, though it has heard of %u nodes of %u only for %" PRIu64
                 " ms",
                 node->id, sim_members_count(membership, heard), membership->voters_count, patience_ms);
    }
}

/* A leader that a committed configuration takes out hands over and steps down (thesis 4.2.2). */
static void check_has_vote(struct sim_node *node, struct seen *seen, const struct raft_status *status)
{
    const struct sim_configuration *now = &seen->configuration;
    uint64_t now_ms = sim_node_clock_ms(node);
    bool has_vote = sim_members_is_voter(&now->membership, node->id) || now->id.index > status->commit;
    if (has_vote || seen->leader_term != status->term) {
        seen->voteless_since_ms = 0;
    } else if (seen->voteless_since_ms == 0) {
        seen->voteless_since_ms = now_ms;
    } else if (seen->voteless_since_ms + node->sim->knobs.election_timeout_ms * VOTELESS_TIMEOUTS < now_ms) {
        sim_fail(node->sim, SIM_LIVENESS,
                 "node %" PRIu64 " still leads, though entry %" PRIu64 ", which is committed, took its vote",
                 node->id, now->id.index);
    }
}

/* One that was proposed in this turn may be nowhere else yet. One that came with a snapshot has the place of
 * the snapshot. */
static void note_configuration(struct sim_node *node)
{
    const struct raft_configuration *core = raft_get_configuration(sim_node_raft(node));
    const struct raft_entry entry = {.id = core->id, .type = RAFT_ENTRY_MEMBERSHIP, .payload = core->payload};
    if (core->payload != NULL && core->id.index >= raft_first_index(sim_node_raft(node))) {
        sim_members_note(node->sim, &entry);
    }
}

/* A configuration is in effect as soon as it is in the log, and no longer than that (thesis 4.1). */
static void check_configuration(struct sim_node *node, struct seen *seen)
{
    struct sim *sim = node->sim;
    const struct raft_configuration *core = raft_get_configuration(sim_node_raft(node));
    const struct sim_configuration *now = sim_members_of(node);
    static const struct raft_membership none;
    if (node->joins && now != NULL && now->id.index == 0 && core->payload == NULL) {
        now = NULL; /* it came with a snapshot from before any change, and is not kept: it joins still */
    }
    if (!raft_membership_equals(&core->membership, now == NULL ? &none : &now->membership)) {
        sim_fail(sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " goes by the members of entry %" PRIu64
                 ", but the last ones in its log are "
                 "those of entry %" PRIu64,
                 node->id, core->id.index, now == NULL ? 0 : now->id.index);
    }
    struct sim_configuration before = seen->configuration;
    seen->configuration = now == NULL ? (struct sim_configuration){.id = {0, 0}} : *now;
    if (!raft_membership_equals(&before.membership, &seen->configuration.membership)) {
        seen->configuration_since_ms = sim_node_clock_ms(node);
    }
}

/* A member is its id and its disk (pitfall 28): the vote of another one that had the id is not its own. */
static bool has_vote_in(const struct sim_configuration *configuration, const struct sim_node *node)
{
    uint64_t disk_id = configuration->disks[node->id - 1];
    return sim_members_is_voter(&configuration->membership, node->id) &&
           (disk_id == 0 || disk_id == node->disk_id);
}

/* Who has no vote stands for no election: neither by the last configuration in its log nor by one that it
 * does not know to be superseded (thesis 4.2.2). */
static void check_candidate(const struct sim_node *node, const struct seen *seen,
                            const struct raft_status *status)
{
    if (status->role != RAFT_PRE_CANDIDATE && status->role != RAFT_CANDIDATE) {
        return;
    }
    bool may_stand = has_vote_in(&seen->configuration, node);
    const struct sim_configuration *other;
    for (size_t i = 0; !may_stand && (other = sim_members_at(node->sim, i)) != NULL; i++) {
        may_stand = other->id.index < seen->configuration.id.index &&
                    seen->configuration.id.index > status->commit && has_vote_in(other, node);
    }
    if (!may_stand) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " stands for election in term %" PRIu64
                 ", but is no voter since entry %" PRIu64,
                 node->id, status->term, seen->configuration.id.index);
    }
}

/* A leader commits by counting only entries of its own term, and with them all before (thesis 3.6.2). */
static void check_commit_rule(struct sim_node *node, const struct seen *seen,
                              const struct raft_status *status)
{
    uint64_t term;
    if (status->commit > seen->commit && raft_get_entry_term(sim_node_raft(node), status->commit, &term) &&
        term != status->term) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 ", leader of term %" PRIu64 ", commits entry %" PRIu64 " of term %" PRIu64
                 " by itself",
                 node->id, status->term, status->commit, term);
    }
}

static void check_leader(struct sim_node *node, struct seen *seen, const struct raft_status *status)
{
    if (status->role != RAFT_LEADER) {
        seen->leader_last = (struct raft_entry_id){0, 0};
        return;
    }
    if (seen->leader_term != status->term) {
        seen->leader_term = status->term;
        seen->leader_since_ms = sim_node_clock_ms(node);
        sim_check_leads(node, status->term);
        sim_promise_leader(node, status->term);
        check_completeness(node, status);
    } else {
        check_append_only(node, seen, status);
        check_commit_rule(node, seen, status);
    }
    seen->leader_last = status->last;
    check_has_vote(node, seen, status);
    check_quorum(node, seen);
}

/* ---- the log ------------------------------------------------------------------------------------- */

/* Leader Completeness once more: the leader may have been there before anybody knew. */
static void check_running_leaders(const struct sim *sim, uint64_t index)
{
    const struct committed *committed = &sim->check->committed[index];
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct raft *raft = sim_node_raft(sim->nodes[i]);
        uint64_t term;
        if (raft == NULL || raft_get_role(raft) != RAFT_LEADER || index < raft_first_index(raft) ||
            raft_get_term(raft) <= committed->seen_in_term) {
            continue;
        }
        if (!raft_get_entry_term(raft, index, &term) || term != committed->term) {
            sim_fail(sim->nodes[i]->sim, SIM_CORRECTNESS,
                     "leader completeness: node %" PRIu64 " leads term %" PRIu64 " without entry %" PRIu64
                     " of term %" PRIu64 ", which is seen to be committed in term %" PRIu64,
                     sim->nodes[i]->id, raft_get_term(raft), index, committed->term, committed->seen_in_term);
        }
    }
}

static void check_committed_entry(struct sim_node *node, const struct raft_status *status, uint64_t index)
{
    struct sim_check *check = node->sim->check;
    uint64_t term;
    if (!raft_get_entry_term(sim_node_raft(node), index, &term)) {
        if (index < status->first_index && index < check->committed_count) {
            return;
        }
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " takes entry %" PRIu64 " for committed without having it", node->id, index);
    }
    bool is_new = index == check->committed_count;
    if (is_new) {
        const struct seen *seen = &check->seen[node->number];
        sim_promise_committed(node, (struct raft_entry_id){term, index}, sim_members_of(node),
                              seen->configuration.membership.voters_count > 0 ? &seen->configuration : NULL);
        check->committed = sim_grow(check->committed, check->committed_count, &check->committed_capacity,
                                    sizeof *check->committed);
        check->committed[check->committed_count++] = (struct committed){term, status->term};
        node->sim->counts.entries++;
    }
    if (check->committed[index].term != term) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " takes entry %" PRIu64 " of term %" PRIu64
                 " for committed, others one of term %" PRIu64,
                 node->id, index, term, check->committed[index].term);
    }
    if (is_new || status->term < check->committed[index].seen_in_term) {
        check->committed[index].seen_in_term = status->term;
        check_running_leaders(node->sim, index);
    }
}

static void check_commit(struct sim_node *node, const struct seen *seen, const struct raft_status *status)
{
    if (status->commit < seen->commit || status->applied < seen->applied ||
        status->applied > status->commit || status->commit > status->last.index) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 ": applied %" PRIu64 " (was %" PRIu64 "), commit %" PRIu64 " (was %" PRIu64
                 "), last entry %" PRIu64,
                 node->id, status->applied, seen->applied, status->commit, seen->commit, status->last.index);
    }
    for (uint64_t index = seen->commit + 1; index <= status->commit; index++) {
        check_committed_entry(node, status, index);
    }
    /* What is committed stays as it is in the log. */
    uint64_t from = status->commit > NEIGHBOURS ? status->commit - NEIGHBOURS : 1;
    for (uint64_t index = from; index <= status->commit; index++) {
        check_committed_entry(node, status, index);
    }
}

/* What the core takes for durable is on the disk. */
static void check_durable(struct sim_node *node, const struct raft_status *status)
{
    uint64_t from = status->durable_index > NEIGHBOURS ? status->durable_index - NEIGHBOURS : 1;
    for (uint64_t index = from; index <= status->durable_index; index++) {
        uint64_t term;
        if (raft_get_entry_term(sim_node_raft(node), index, &term) &&
            !sim_promise_holds(node, (struct raft_entry_id){term, index})) {
            sim_fail(node->sim, SIM_CORRECTNESS,
                     "node %" PRIu64 " takes entry %" PRIu64 " of term %" PRIu64
                     " for durable, its disk does not hold it",
                     node->id, index, term);
        }
    }
}

static void check_votes(struct sim_node *node, const struct seen *seen, const struct raft_status *status)
{
    sim_promise_state(node, status->term, status->vote);
    if (status->term < seen->term ||
        (status->term == seen->term && seen->vote != 0 && status->vote != seen->vote)) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " went from term %" PRIu64 ", vote %" PRIu64 " to term %" PRIu64
                 ", vote %" PRIu64,
                 node->id, seen->term, seen->vote, status->term, status->vote);
    }
}

/* ---- the map ------------------------------------------------------------------------------------- */

/* Nodes that have applied the same entries hold the same (State Machine Safety). */
static void check_same_content(struct sim_node *node, const struct map_meta *meta)
{
    struct sim_check *check = node->sim->check;
    check->contents =
        sim_grow_to(check->contents, meta->applied_index, &check->contents_count, sizeof *check->contents);
    uint64_t content = meta->digest;
    const uint64_t others[] = {meta->key_count, meta->log_time_ms, meta->applied_term, meta->rules_version,
                               1};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        content = (content ^ others[i]) * UINT64_C(0x9E3779B97F4A7C15);
        content ^= content >> 29;
    }
    for (uint32_t i = 0; i < meta->membership_size; i++) {
        content = (content ^ meta->membership[i]) * UINT64_C(0x9E3779B97F4A7C15);
        content ^= content >> 29;
    }
    content = content == 0 ? 1 : content;
    uint64_t *seen = &check->contents[meta->applied_index];
    if (*seen != 0 && *seen != content) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "state machine safety: node %" PRIu64
                 " has another content than others after entry %" PRIu64,
                 node->id, meta->applied_index);
    }
    *seen = content;
}

static void note_log_time(struct sim *sim, uint64_t log_time_ms)
{
    if (log_time_ms > sim->check->log_time_ms) {
        sim->check->log_time_ms = log_time_ms;
        sim_record_log_time(sim, log_time_ms);
    }
}

void sim_check_checkpoint(const struct sim_node *node, uint64_t index)
{
    if (index > sim_promise_last_index(node) || index > sim_check_committed(node->sim)) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "a checkpoint puts %" PRIu64 " on the disk of node %" PRIu64 ", whose log has %" PRIu64
                 " there; %" PRIu64 " is committed",
                 index, node->id, sim_promise_last_index(node), sim_check_committed(node->sim));
    }
}

static void check_map(struct sim_node *node, struct seen *seen, const struct raft_status *status)
{
    struct sim *sim = node->sim;
    struct map *map = replica_map(node->replica);
    const struct map_meta *meta = map_get_meta(map);
    uint64_t durable = map_durable_index(map);
    /* A snapshot is being installed: the log begins beyond the map that still serves. */
    bool installs = meta->applied_index + 1 < status->first_index;
    bool has_moved = seen->installs && meta->applied_index != seen->map_applied;
    if (installs ? has_moved : meta->applied_index != status->applied) {
        sim_fail(sim, SIM_CORRECTNESS,
                 "the map of node %" PRIu64 " has applied %" PRIu64 ", the core %" PRIu64, node->id,
                 meta->applied_index, status->applied);
    }
    bool is_live = node->map_generation == log_store_map_generation(node->log);
    if (durable > sim_promise_last_index(node) || durable > sim_check_committed(sim) ||
        (is_live && durable < sim_promise_base_index(node))) {
        sim_fail(sim, SIM_CORRECTNESS,
                 "the map of node %" PRIu64 " has %" PRIu64 " on disk, its log after %" PRIu64 " to %" PRIu64
                 "; %" PRIu64 " is committed",
                 node->id, durable, sim_promise_base_index(node), sim_promise_last_index(node),
                 sim_check_committed(sim));
    }
    if (meta->log_time_ms < seen->log_time_ms) {
        sim_fail(sim, SIM_CORRECTNESS, "the log time of node %" PRIu64 " goes back", node->id);
    }
    seen->log_time_ms = meta->log_time_ms;
    seen->map_applied = meta->applied_index;
    seen->installs = installs;
    note_log_time(sim, meta->log_time_ms);
    if (!map_is_in_entry(map)) {
        check_same_content(node, meta);
    }
    if (sim_random_below(&sim->random, CONTENT_TURNS) == 0) {
        sim_check_content(node);
    }
}

/* ---- turns --------------------------------------------------------------------------------------- */

void sim_check_turn(struct sim_node *node)
{
    const struct raft *raft = sim_node_raft(node);
    if (raft == NULL) {
        return;
    }
    struct seen *seen = &node->sim->check->seen[node->number];
    struct raft_status status;
    raft_check_invariants(raft);
    raft_get_status(raft, &status);
    check_votes(node, seen, &status);
    note_configuration(node);
    check_commit(node, seen, &status);
    check_configuration(node, seen);
    check_candidate(node, seen, &status);
    check_leader(node, seen, &status);
    check_durable(node, &status);
    check_map(node, seen, &status);
    seen->term = status.term;
    seen->vote = status.vote;
    seen->commit = status.commit;
    seen->applied = status.applied;
}

void sim_check_killed(struct sim_node *node)
{
    if (sim_node_raft(node) != NULL) {
        note_log_time(node->sim, map_get_meta(replica_map(node->replica))->log_time_ms);
    }
}

void sim_check_start(struct sim_node *node)
{
    struct seen *seen = &node->sim->check->seen[node->number];
    *seen = (struct seen){.leader_term = seen->leader_term};
    if (sim_node_raft(node) != NULL) {
        sim_check_turn(node);
        sim_check_content(node);
    }
}

void sim_check_all(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (sim_node_raft(sim->nodes[i]) != NULL) {
            sim_check_turn(sim->nodes[i]);
            sim_check_content(sim->nodes[i]);
        }
    }
}
