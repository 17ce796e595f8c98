/* join.c: how a node with an empty directory becomes a member of a cluster that exists.
 *
 * It asks a member, by an address that it was given; whoever does not lead sends it on to the leader. The
 * leader adds it as a learner, with the disk and the address that it told, and it asks again until it is told
 * that it is a member. Then it knows the cluster's id, and the leader comes with the log; the rest it learns
 * from there. What is lost on the way is asked for again.
 *
 * Until the log has told it who the members are it asks on, for what made it a member may have been undone.
 */
#include "replica_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    JOIN_RETRY_MS = 200,
    JOIN_TRY_MS_MAX = 15000, /* the transport gives up before */
    JOIN_REDIRECTS_MAX = 4,  /* in a row: then somebody else is asked */
    JOIN_MEMBER_RETRY_MS = 1000,
    JOIN_FORGOTTEN_ELECTION_TIMEOUTS = 6,
};

/* ---- asking -------------------------------------------------------------------------------------- */

/* RAFT ADD has announced it, and what said that it has come was undone. */
static bool is_announced_only(const struct replica *replica)
{
    return members_name_disk(&replica->members, replica->options.node_id, 0);
}

/* When one that never was a member for certain has heard of no leader for so long that it seems to be
 * forgotten: what added it may have been undone, and who leads may take it for one that knows more. */
static uint64_t forgotten_ms(const struct replica *replica)
{
    if (replica->membership.was_here || replica->leaderless_since_ms == 0) {
        return UINT64_MAX;
    }
    return replica->leaderless_since_ms +
           (uint64_t)JOIN_FORGOTTEN_ELECTION_TIMEOUTS * replica->options.election_timeout_ms;
}

static bool may_join(const struct replica *replica)
{
    return replica->options.joins_count > 0 && !replica->identity_job_out && !replica->shutting_down;
}

bool join_is_wanted(const struct replica *replica)
{
    return may_join(replica) &&
           (replica->identity.formation != LOG_FORMATION_FORMED || replica->members.count == 0 ||
            is_announced_only(replica) || (replica->join.again && !replica->membership.was_here) ||
            replica->now_ms >= forgotten_ms(replica));
}

void join_start(struct replica *replica)
{
    struct join *join = &replica->join;
    assert(replica->options.joins_count <= RAFT_NODES_MAX);
    for (uint32_t i = 0; i < replica->options.joins_count; i++) {
        join->addresses[i] = replica->options.joins[i];
    }
    replica->options.joins = NULL;
    join->next_ms = replica->now_ms;
    if (join_is_wanted(replica)) {
        replica_log(replica, REPLICA_LOG_INFO, "joining", "by=%s:%u", join->addresses[0].bus_host,
                    (unsigned)join->addresses[0].bus_port);
    }
}

bool replica_take_join_target(struct replica *replica, struct replica_member *target)
{
    struct join *join = &replica->join;
    if (!join_is_wanted(replica) || replica->stopping || replica->now_ms < join->next_ms) {
        return false;
    }
    *target = join->sent_to.bus_port != 0
                  ? join->sent_to
                  : join->addresses[join->next_address % replica->options.joins_count];
    join->next_ms = replica->now_ms + JOIN_TRY_MS_MAX;
    return true;
}

/* It may know of itself as a member from an entry that is nowhere else: nobody comes to take it back. */
void join_on_unknown(struct replica *replica)
{
    replica->join.again = true;
}

uint64_t join_deadline_ms(const struct replica *replica)
{
    if (join_is_wanted(replica)) {
        return replica->join.next_ms;
    }
    return may_join(replica) ? forgotten_ms(replica) : UINT64_MAX;
}

/* Each thing that is new is said once. */
static void say(struct replica *replica, const char *event, const char *reason)
{
    struct join *join = &replica->join;
    char said[sizeof join->said];
    (void)snprintf(said, sizeof said, "%s %s", event, reason);
    if (strcmp(said, join->said) != 0) {
        memcpy(join->said, said, sizeof said);
        replica_log(replica, REPLICA_LOG_INFO, event, "reason=\"%s\"", reason);
    }
}

static void ask_another(struct replica *replica)
{
    struct join *join = &replica->join;
    join->sent_to = (struct replica_member){0};
    join->redirects = 0;
    join->next_address++;
    join->next_ms = replica->now_ms + JOIN_RETRY_MS;
}

void replica_on_join_failed(struct replica *replica, const char *reason)
{
    say(replica, "join-not-reached", reason);
    ask_another(replica);
}

/* A node that asks has promised nothing yet: whatever is wrong with it, somebody has to look at it. */
void replica_on_join_refused(struct replica *replica, enum bus_refusal code, const char *reason)
{
    if (code == BUS_REFUSAL_NOT_A_MEMBER || code == BUS_REFUSAL_MEMBERS) {
        replica_on_join_failed(replica, reason);
        return;
    }
    replica_stop(replica, REPLICA_EXIT_REFUSED, reason);
}

static void take_cluster(struct replica *replica, const uint64_t cluster_id[2])
{
    struct log_identity identity = replica->identity;
    identity.formation = LOG_FORMATION_FORMED;
    identity.cluster_id[0] = cluster_id[0];
    identity.cluster_id[1] = cluster_id[1];
    identity.members_count = 0; /* the log tells them */
    formation_store(replica, &identity);
}

void replica_on_join_answer(struct replica *replica, const struct bus_join_answer *answer)
{
    struct join *join = &replica->join;
    if (!join_is_wanted(replica)) {
        return;
    }
    join->asked_anew = join->asked_anew || replica->identity.formation == LOG_FORMATION_FORMED;
    switch (answer->step) {
    case BUS_JOIN_ADDED:
        join->again = false;
        join->next_ms = replica->now_ms + JOIN_MEMBER_RETRY_MS;
        if (replica->identity.formation != LOG_FORMATION_FORMED) {
            say(replica, "join-accepted", "the cluster has added this node");
            take_cluster(replica, answer->cluster_id);
        }
        return;
    case BUS_JOIN_WAIT:
        say(replica, "join-waits", answer->reason);
        ask_another(replica); /* this one may wait for a cluster itself */
        return;
    case BUS_JOIN_ASK:
        if (++join->redirects > JOIN_REDIRECTS_MAX) {
            ask_another(replica);
            return;
        }
        join->sent_to = (struct replica_member){.bus_port = answer->bus_port};
        memcpy(join->sent_to.bus_host, answer->bus_host, sizeof join->sent_to.bus_host);
        join->next_ms = replica->now_ms;
        return;
    }
}

/* ---- being asked --------------------------------------------------------------------------------- */

static void wait_because(struct bus_join_answer *answer, const char *reason)
{
    answer->step = BUS_JOIN_WAIT;
    (void)snprintf(answer->reason, sizeof answer->reason, "%s", reason);
}

static void send_on(struct replica *replica, struct bus_join_answer *answer)
{
    const struct peer *leader =
        replica->raft == NULL ? NULL : peers_find_const(replica, raft_leader(replica->raft));
    struct replica_member address;
    if (leader == NULL || leader->is_self || !peers_address(leader, &address)) {
        wait_because(answer, "no leader is known");
        return;
    }
    answer->step = BUS_JOIN_ASK;
    memcpy(answer->bus_host, address.bus_host, sizeof answer->bus_host);
    answer->bus_port = address.bus_port;
}

void replica_on_join_request(struct replica *replica, const struct bus_hello *hello,
                             struct bus_join_answer *answer)
{
    *answer = (struct bus_join_answer){
        .cluster_id = {replica->identity.cluster_id[0], replica->identity.cluster_id[1]}};
    if (replica->raft == NULL || replica->members.count == 0) {
        wait_because(answer, "the node that was asked is not a member of a cluster yet");
    } else if (members_name_disk(&replica->members, hello->from, hello->disk_id)) {
        answer->step = BUS_JOIN_ADDED;
    } else if (!replica_leads(replica)) {
        send_on(replica, answer);
    } else {
        char reason[BUS_REASON_BYTES_MAX + 1];
        change_join(replica, hello, reason, sizeof reason);
        wait_because(answer, reason);
    }
}
