/* hello.c: who this node says it is, and whether it believes who others say they are.
 *
 * Identity (pitfall 28): a member is its node id *and* its disk. A node that comes with the id of a member
 * but another disk has lost what it promised, and is refused; so is a node of another cluster.
 *
 * Members change. Whether one that is no member by our book is refused depends on whose book is newer: who
 * goes by a newer one is heard; who goes by one that is older than what is committed here was removed, and is
 * told.
 */
#include "replica_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* FNV-1a over the ids, ascending: says whether two nodes were configured with the same members. */
uint64_t hello_hash_members(const struct members *members)
{
    uint64_t hash = 14695981039346656037ULL;
    for (uint32_t i = 0; i < members->count; i++) {
        for (int byte = 0; byte < 8; byte++) {
            hash = (hash ^ ((members->list[i].node_id >> (8 * byte)) & 0xff)) * 1099511628211ULL;
        }
    }
    return hash;
}

void replica_fill_hello(const struct replica *replica, uint64_t peer, struct bus_hello *hello)
{
    const struct replica_member *self = members_find_const(&replica->configured, replica->options.node_id);
    memset(hello, 0, sizeof *hello);
    versions_fill_hello(replica, hello);
    hello->from = replica->options.node_id;
    hello->to = peer;
    hello->disk_id = replica->identity.disk_id;
    hello->cluster_id[0] = replica->identity.cluster_id[0];
    hello->cluster_id[1] = replica->identity.cluster_id[1];
    hello->formation = (enum bus_formation_state)replica->identity.formation;
    hello->members_hash = replica->members_hash;
    hello->listeners_count = replica->options.listeners_count;
    memcpy(hello->listeners, replica->listeners, sizeof hello->listeners);
    hello->membership_index = membership_index(replica);
    hello->joining = peer == RAFT_NODE_NONE;
    memcpy(hello->bus_host, self->bus_host, sizeof hello->bus_host);
    hello->bus_port = self->bus_port;
}

/* ---- judging ------------------------------------------------------------------------------------- */

bool hello_refuse(struct bus_message *refused, enum bus_refusal code, const char *format, ...)
{
    memset(refused, 0, sizeof *refused);
    refused->type = BUS_MESSAGE_REFUSED;
    refused->refused.code = code;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(refused->refused.reason, sizeof refused->refused.reason, format, arguments);
    va_end(arguments);
    return false;
}

static bool check_cluster(const struct replica *replica, const struct bus_hello *hello,
                          struct bus_message *refused)
{
    const struct log_identity *identity = &replica->identity;
    if (hello->formation != BUS_FORMATION_FORMED || (hello->cluster_id[0] == identity->cluster_id[0] &&
                                                     hello->cluster_id[1] == identity->cluster_id[1])) {
        return true;
    }
    const struct members_forced *forced = members_find_forced(&replica->members, hello->cluster_id);
    if (forced != NULL) {
        return hello_refuse(refused, BUS_REFUSAL_CLUSTER,
                            "node %" PRIu64 " belongs to cluster %016" PRIx64
                            ", whose majority was given up: "
                            "of what node %" PRIu64 " had (entry %" PRIu64 " of term %" PRIu64
                            ") cluster %016" PRIx64 " was made. Empty its data directory and start it with "
                            "--join",
                            hello->from, hello->cluster_id[0], forced->node_id, forced->last.index,
                            forced->last.term, identity->cluster_id[0]);
    }
    return hello_refuse(refused, BUS_REFUSAL_CLUSTER,
                        "node %" PRIu64 " belongs to cluster %016" PRIx64 ", this is cluster %016" PRIx64
                        ": its data directory is of another cluster",
                        hello->from, hello->cluster_id[0], identity->cluster_id[0]);
}

static bool check_disk(const struct replica_member *member, const struct bus_hello *hello,
                       struct bus_message *refused)
{
    if (member->disk_id == hello->disk_id) {
        return true;
    }
    return hello_refuse(
        refused, BUS_REFUSAL_DISK,
        "node %" PRIu64 " is known with disk %016" PRIx64 " but came with disk %016" PRIx64
        ": its data directory was emptied or replaced, so it may have forgotten votes and writes that it "
        "confirmed. Put the old one back to rejoin, or start the empty one under a new id with --join and "
        "send the leader RAFT REPLACE %" PRIu64 " NEW-ID HOST:PORT",
        hello->from, member->disk_id, hello->disk_id, hello->from);
}

/* By its own book this node, with this disk, is a member. One that joins is none while it reads the log, and
 * may meet members of a time long past there. */
static bool is_member(const struct replica *replica)
{
    return members_name_disk(&replica->members, replica->options.node_id, replica->identity.disk_id);
}

/* The book remembers that this disk was removed, and no change is under way that could be undone. */
static bool is_remembered(const struct replica *replica, const struct bus_hello *hello)
{
    return membership_is_settled(replica) &&
           members_was_removed(&replica->members, hello->from, hello->disk_id);
}

/* Known from a committed entry that is newer than all that it knows; or the book remembers it. What took it
 * out may be undone, as long as it is not committed; and who is out itself hears of nothing that came later,
 * and says nothing of others. */
static bool is_removed(const struct replica *replica, const struct bus_hello *hello)
{
    uint64_t committed_index = membership_committed_index(replica);
    bool is_committed = committed_index > 0 && committed_index == membership_index(replica);
    return (is_committed && is_member(replica) && hello->membership_index <= committed_index) ||
           is_remembered(replica, hello);
}

static bool refuse_removed(const struct replica *replica, const struct bus_hello *hello,
                           struct bus_message *refused)
{
    return hello_refuse(refused, BUS_REFUSAL_REMOVED,
                        "node %" PRIu64 " was removed from cluster %016" PRIx64
                        ". It can come back with an empty data directory: kvd --join",
                        hello->from, replica->identity.cluster_id[0]);
}

/* It is no member by our book, but it belongs to the cluster. */
static bool check_stranger(const struct replica *replica, const struct bus_hello *hello,
                           struct bus_message *refused)
{
    if (hello->formation == BUS_FORMATION_FORMED && is_removed(replica, hello)) {
        return refuse_removed(replica, hello, refused);
    }
    return hello_refuse(refused, BUS_REFUSAL_NOT_A_MEMBER,
                        "node %" PRIu64 " is not among the members of cluster %016" PRIx64 " (yet)",
                        hello->from, replica->identity.cluster_id[0]);
}

static bool check_against_formed(const struct replica *replica, const struct bus_hello *hello,
                                 struct bus_message *refused)
{
    if (!check_cluster(replica, hello, refused)) {
        return false;
    }
    const struct peer *peer = peers_find_const(replica, hello->from);
    if (hello->formation == BUS_FORMATION_FORMED && hello->membership_index > membership_index(replica)) {
        return true; /* it goes by a newer one, where it may be a member, and by this disk */
    }
    if (peer == NULL) {
        return check_stranger(replica, hello, refused);
    }
    if (peer->standing == PEER_MEMBER && peer->member.disk_id == 0) {
        return hello_refuse(refused, BUS_REFUSAL_NOT_A_MEMBER,
                            "node %" PRIu64 " has not asked to join yet: start it with --join", hello->from);
    }
    return check_disk(&peer->member, hello, refused);
}

/* Whether it may ask; what it is told is another matter (join.c). */
static bool check_joining(const struct replica *replica, const struct bus_hello *hello,
                          struct bus_message *refused)
{
    if (hello->from == replica->options.node_id && hello->disk_id == replica->identity.disk_id) {
        /* The same list of addresses may be given to all nodes. */
        return hello_refuse(refused, BUS_REFUSAL_NOT_A_MEMBER, "that is this node itself");
    }
    if (hello->from == replica->options.node_id) {
        return hello_refuse(refused, BUS_REFUSAL_ADDRESS,
                            "the node that it asks has the id %" PRIu64 " too: choose another one (id)",
                            hello->from);
    }
    if (replica->identity.formation != LOG_FORMATION_FORMED) {
        return true;
    }
    /* What its own log says of it would send it away again and again. */
    if (is_remembered(replica, hello)) {
        return refuse_removed(replica, hello, refused);
    }
    /* One that is behind may know the id by a disk that is no member any more: it sends the node on. */
    const struct peer *peer = peers_find_const(replica, hello->from);
    return check_cluster(replica, hello, refused) &&
           (peer == NULL || peer->standing != PEER_MEMBER || peer->member.disk_id == 0 ||
            !replica_leads(replica) || check_disk(&peer->member, hello, refused));
}

/* Initial members among themselves. */
static bool check_forming(const struct replica *replica, const struct bus_hello *hello,
                          struct bus_message *refused)
{
    const struct peer *peer = peers_find_const(replica, hello->from);
    if (replica->options.joins_count > 0) {
        return hello_refuse(refused, BUS_REFUSAL_NOT_A_MEMBER,
                            "node %" PRIu64 " waits to be told that it may join", replica->options.node_id);
    }
    if (peer == NULL) {
        return hello_refuse(refused, BUS_REFUSAL_NOT_A_MEMBER,
                            "node %" PRIu64 " is not among the members that node %" PRIu64
                            " was configured with",
                            hello->from, replica->options.node_id);
    }
    if (hello->formation == BUS_FORMATION_FORMED) {
        return true; /* it judges whether we belong to its cluster */
    }
    if (hello->members_hash != replica->members_hash) {
        return hello_refuse(
            refused, BUS_REFUSAL_MEMBERS,
            "node %" PRIu64 " and node %" PRIu64
            " were configured with different initial members: they must be the same on all nodes",
            hello->from, replica->options.node_id);
    }
    if (peer->hello_known && (peer->accepted || peer->dialled) && peer->hello.disk_id != hello->disk_id) {
        return hello_refuse(refused, BUS_REFUSAL_DISK,
                            "another node with id %" PRIu64 " is already connected: ids must be different",
                            hello->from);
    }
    return true;
}

static bool check_identity(const struct replica *replica, const struct bus_hello *hello,
                           struct bus_message *refused)
{
    if (hello->joining && hello->to == RAFT_NODE_NONE) {
        return check_joining(replica, hello, refused);
    }
    if (hello->to != replica->options.node_id || hello->from == replica->options.node_id) {
        return hello_refuse(refused, BUS_REFUSAL_ADDRESS,
                            "this is node %" PRIu64 "; node %" PRIu64 " came looking for node %" PRIu64
                            " here: check the addresses and ids",
                            replica->options.node_id, hello->from, hello->to);
    }
    if (replica->identity.formation == LOG_FORMATION_FORMED) {
        return check_against_formed(replica, hello, refused);
    }
    return check_forming(replica, hello, refused);
}

bool replica_check_hello(const struct replica *replica, const struct bus_hello *hello,
                         struct bus_message *refused)
{
    return versions_check_bus(hello, refused) && check_identity(replica, hello, refused) &&
           versions_check_rules(replica, hello, refused);
}

/* ---- being judged -------------------------------------------------------------------------------- */

/* More than half of the members have refused this node; of the voters, as one that was removed. */
static void count_refusals(const struct replica *replica, bool *members_refuse, bool *voters_removed)
{
    uint32_t refusals = 0, members = 0, voters = 0, removals = 0;
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        const struct peer *peer = &replica->peers[i];
        bool is_member = peer->standing == PEER_MEMBER;
        bool is_voter =
            is_member && replica->raft != NULL && membership_is_voter(replica, peer->member.node_id);
        members += is_member ? 1 : 0;
        voters += is_voter ? 1 : 0;
        refusals += is_member && peer->refused_us ? 1 : 0;
        removals += is_voter && peer->removed_us ? 1 : 0;
    }
    *members_refuse = refusals > members / 2;
    *voters_removed = removals > voters / 2;
}

/* A new node is told by one member that it does not belong: it stops, with the reason. A formed one stops
 * only when a majority of the others says so: one that errs must not stop it.
 *
 * "Removed" is said only by one that knows it from a committed entry that is newer than all we know. So one
 * is enough, if we were a member by what we know. A node that joins may not have read yet that it was added,
 * and meet members that are behind as well, even a majority of those who were voters where it reads: as long
 * as it can, it asks to be added again, and is told then. If it cannot ask, for it was started without
 * addresses, and hears of no leader, a majority of the voters must say so. */
static bool is_removed_by(const struct replica *replica, bool voters_removed)
{
    return replica->membership.was_here ||
           (voters_removed && replica->options.joins_count == 0 && replica->leaderless_since_ms != 0);
}

void replica_on_refused(struct replica *replica, uint64_t node_id, enum bus_refusal code, const char *reason)
{
    struct peer *peer = peers_find(replica, node_id);
    if (code == BUS_REFUSAL_NOT_A_MEMBER) {
        join_on_unknown(replica);
    }
    if (peer == NULL ||
        (code != BUS_REFUSAL_DISK && code != BUS_REFUSAL_CLUSTER && code != BUS_REFUSAL_REMOVED) ||
        (code == BUS_REFUSAL_REMOVED && join_is_wanted(replica))) {
        return; /* one that joins has not been a member yet: what made it one was undone, and it asks again */
    }
    peer->removed_us = code == BUS_REFUSAL_REMOVED;
    peer->refused_us = code != BUS_REFUSAL_REMOVED;
    bool members_refuse, voters_removed;
    count_refusals(replica, &members_refuse, &voters_removed);
    bool is_out = code == BUS_REFUSAL_REMOVED && is_removed_by(replica, voters_removed);
    bool is_refused = code != BUS_REFUSAL_REMOVED && (replica->identity.formation != LOG_FORMATION_FORMED ||
                                                      (is_member(replica) && members_refuse));
    if (is_out || is_refused) {
        replica_stop(replica, REPLICA_EXIT_REFUSED, reason);
    }
}
