/* formation.c: how a new cluster comes to be (design section 4, "First start and empty disks").
 *
 * Formation is unanimous. The initial member with the lowest id proposes: when all others have said hello,
 * with their disk ids, it stores {cluster id, every member's disk id} as PREPARED and sends it (PROPOSE).
 * Each member stores it as PREPARED and says so (ACCEPT). When all have, the proposer stores FORMED and says
 * so (COMMIT). Whoever is FORMED may vote; nobody else.
 *
 * A node that meets a FORMED one neither proposes nor gives up what it has PREPARED: the cluster exists, and
 * either this node belongs to it and is told so by COMMIT, or it does not and is refused.
 *
 * Why it is safe: COMMIT comes only from a FORMED node, and the first one to be FORMED is the proposer after
 * it has had every member's ACCEPT of this very record. A PREPARED record may be replaced by another
 * proposal, for the proposer itself is not FORMED as long as it proposes. A message counts only for exactly
 * the record that it carries.
 *
 * Lost messages: the proposer repeats PROPOSE, a PREPARED member repeats ACCEPT to everybody; a FORMED node
 * answers ACCEPT with COMMIT.
 */
#include "replica_internal.h"

#include <string.h>

/* A node that joins forms nothing. */
static bool is_proposer(const struct replica *replica)
{
    return replica->peers[0].is_self && replica->options.joins_count == 0; /* ascending ids */
}

static bool has_met_formed(const struct replica *replica)
{
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        const struct peer *peer = &replica->peers[i];
        if (!peer->is_self && peer->hello_known && peer->hello.formation == BUS_FORMATION_FORMED) {
            return true;
        }
    }
    return false;
}

static void fill_message(const struct log_identity *identity, enum bus_formation_step step,
                         struct bus_message *message)
{
    memset(message, 0, sizeof *message);
    message->type = BUS_MESSAGE_FORMATION;
    message->formation.step = step;
    message->formation.cluster_id[0] = identity->cluster_id[0];
    message->formation.cluster_id[1] = identity->cluster_id[1];
    message->formation.members_count = identity->members_count;
    for (uint32_t i = 0; i < identity->members_count; i++) {
        message->formation.members[i] = (struct bus_member){
            .node_id = identity->members[i].node_id,
            .disk_id = identity->members[i].disk_id,
        };
    }
}

static void send_step(struct replica *replica, uint64_t to, enum bus_formation_step step)
{
    struct bus_message message;
    fill_message(&replica->identity, step, &message);
    replica->io.send(replica->io.context, to, &message);
}

static void send_step_to_all(struct replica *replica, enum bus_formation_step step)
{
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        if (!replica->peers[i].is_self) {
            send_step(replica, replica->peers[i].member.node_id, step);
        }
    }
}

static bool is_same_record(const struct log_identity *identity, const struct bus_formation *message)
{
    if (identity->cluster_id[0] != message->cluster_id[0] ||
        identity->cluster_id[1] != message->cluster_id[1] ||
        identity->members_count != message->members_count) {
        return false;
    }
    for (uint32_t i = 0; i < identity->members_count; i++) {
        if (identity->members[i].node_id != message->members[i].node_id ||
            identity->members[i].disk_id != message->members[i].disk_id) {
            return false;
        }
    }
    return true;
}

void formation_store(struct replica *replica, const struct log_identity *identity)
{
    assert(!replica->identity_job_out);
    struct disk_job *job = disk_job_create(DISK_JOB_IDENTITY, replica->options.log);
    job->identity = *identity;
    replica->identity_job_out = true;
    replica->io.submit(replica->io.context, job);
}

static void store_formed(struct replica *replica)
{
    struct log_identity formed = replica->identity;
    formed.formation = LOG_FORMATION_FORMED;
    formation_store(replica, &formed);
}

/* ---- the proposer -------------------------------------------------------------------------------- */

/* Everybody is here, with the disk ids that the present record says (or there is no record yet). */
static bool make_proposal(const struct replica *replica, struct log_identity *proposal)
{
    *proposal = replica->identity;
    proposal->formation = LOG_FORMATION_PREPARED;
    proposal->cluster_id[0] = replica->options.new_cluster_id[0];
    proposal->cluster_id[1] = replica->options.new_cluster_id[1];
    proposal->members_count = replica->peers_count;
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        const struct peer *peer = &replica->peers[i];
        if (!peer->is_self && !peer->hello_known) {
            return false;
        }
        proposal->members[i] = (struct log_member){
            .node_id = peer->member.node_id,
            .disk_id = peer->is_self ? replica->identity.disk_id : peer->hello.disk_id,
        };
    }
    return true;
}

static bool has_same_disks(const struct log_identity *a, const struct log_identity *b)
{
    return a->members_count == b->members_count &&
           memcmp(a->members, b->members, a->members_count * sizeof a->members[0]) == 0;
}

static bool have_all_accepted(const struct replica *replica)
{
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        if (!replica->peers[i].is_self && !replica->peers[i].formation_accepted) {
            return false;
        }
    }
    return true;
}

static void propose(struct replica *replica)
{
    struct log_identity proposal;
    if (has_met_formed(replica) || !make_proposal(replica, &proposal)) {
        return;
    }
    if (replica->identity.formation == LOG_FORMATION_PREPARED &&
        has_same_disks(&replica->identity, &proposal)) {
        if (have_all_accepted(replica)) {
            store_formed(replica);
        } else {
            send_step_to_all(replica, BUS_FORMATION_PROPOSE);
        }
        return;
    }
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        replica->peers[i].formation_accepted = false;
    }
    formation_store(replica, &proposal);
}

/* ---- everybody ----------------------------------------------------------------------------------- */

void formation_start(struct replica *replica)
{
    replica->formation_next_ms = replica->now_ms;
    if (replica->identity.formation == LOG_FORMATION_FORMED || replica->options.joins_count > 0) {
        return;
    }
    replica_log(replica, REPLICA_LOG_INFO, "forming", "members=%u state=%s", replica->peers_count,
                replica->identity.formation == LOG_FORMATION_NONE ? "new" : "prepared");
}

void formation_tick(struct replica *replica)
{
    if (replica->raft != NULL || replica->identity_job_out || replica->now_ms < replica->formation_next_ms) {
        return;
    }
    replica->formation_next_ms = replica->now_ms + FORMATION_RETRY_MS;
    if (is_proposer(replica)) {
        propose(replica);
    } else if (replica->identity.formation == LOG_FORMATION_PREPARED) {
        send_step_to_all(replica, BUS_FORMATION_ACCEPT);
    }
}

static void on_propose(struct replica *replica, uint64_t peer, const struct bus_formation *message)
{
    if (peer != replica->peers[0].member.node_id || message->members_count != replica->peers_count) {
        return;
    }
    struct log_identity proposal = replica->identity;
    proposal.formation = LOG_FORMATION_PREPARED;
    proposal.cluster_id[0] = message->cluster_id[0];
    proposal.cluster_id[1] = message->cluster_id[1];
    proposal.members_count = message->members_count;
    for (uint32_t i = 0; i < message->members_count; i++) {
        if (message->members[i].node_id != replica->peers[i].member.node_id ||
            (replica->peers[i].is_self && message->members[i].disk_id != replica->identity.disk_id)) {
            return; /* not our members, or not our disk */
        }
        proposal.members[i] = (struct log_member){
            .node_id = message->members[i].node_id,
            .disk_id = message->members[i].disk_id,
        };
    }
    if (replica->identity.formation == LOG_FORMATION_PREPARED &&
        is_same_record(&replica->identity, message)) {
        send_step(replica, peer, BUS_FORMATION_ACCEPT);
        return;
    }
    if (!has_met_formed(replica)) {
        formation_store(replica, &proposal);
    }
}

void formation_on_message(struct replica *replica, uint64_t peer, const struct bus_formation *message)
{
    if (replica->identity_job_out) {
        return; /* it will be said again */
    }
    bool same =
        replica->identity.formation != LOG_FORMATION_NONE && is_same_record(&replica->identity, message);
    bool formed = replica->identity.formation == LOG_FORMATION_FORMED;
    switch (message->step) {
    case BUS_FORMATION_PROPOSE:
        if (!formed) {
            on_propose(replica, peer, message);
        }
        break;
    case BUS_FORMATION_ACCEPT:
        if (formed && same) {
            send_step(replica, peer, BUS_FORMATION_COMMIT);
        } else if (same && is_proposer(replica)) {
            peers_find(replica, peer)->formation_accepted = true;
            replica->formation_next_ms = replica->now_ms;
        }
        break;
    case BUS_FORMATION_COMMIT:
        if (!formed && same) {
            store_formed(replica);
        }
        break;
    }
}

void formation_on_stored(struct replica *replica, const struct log_identity *identity)
{
    replica->identity = *identity;
    replica->formation_next_ms = replica->now_ms;
    if (identity->formation != LOG_FORMATION_FORMED) {
        return;
    }
    replica_log(replica, REPLICA_LOG_INFO, identity->members_count == 0 ? "cluster-joined" : "cluster-formed",
                "cluster=%016llx%016llx members=%u", (unsigned long long)identity->cluster_id[0],
                (unsigned long long)identity->cluster_id[1], identity->members_count);
    if (is_proposer(replica)) {
        send_step_to_all(replica, BUS_FORMATION_COMMIT);
    }
    membership_start(replica);
    struct storage_error error;
    enum storage_status status = replica_start_raft(replica, &error);
    if (status != STORAGE_OK) {
        replica_stop(replica, replica_exit_at_start(status), error.text);
    }
}
