/* peers.c: what is known of the other members: who they are, where their clients' addresses are, what their
 * clocks say.
 *
 * Identity (pitfall 28): a member is its node id *and* the disk that it had when the cluster was formed. A
 * node that comes with the id of a member but another disk has lost what it promised, and is refused; so is a
 * node of another cluster.
 */
#include "replica_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The year 10889: what is beyond cannot be a clock, and must not overflow what is computed from it. */
#define CLOCK_MS_MAX (UINT64_C(1) << 48)

struct peer *peers_find(struct replica *replica, uint64_t node_id)
{
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        if (replica->peers[i].member.node_id == node_id) {
            return &replica->peers[i];
        }
    }
    return NULL;
}

const struct peer *peers_find_const(const struct replica *replica, uint64_t node_id)
{
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        if (replica->peers[i].member.node_id == node_id) {
            return &replica->peers[i];
        }
    }
    return NULL;
}

const struct bus_listener_address *peers_client_address(const struct replica *replica, uint64_t node_id,
                                                        uint32_t listener)
{
    if (listener >= replica->options.listeners_count) {
        return NULL;
    }
    const char *name = replica->listeners[listener].name;
    if (node_id == replica->options.node_id) {
        return &replica->listeners[listener];
    }
    const struct peer *peer = peers_find_const(replica, node_id);
    if (peer == NULL || !peer->hello_known) {
        return NULL;
    }
    for (uint32_t i = 0; i < peer->hello.listeners_count; i++) {
        if (strcmp(peer->hello.listeners[i].name, name) == 0) {
            return &peer->hello.listeners[i];
        }
    }
    /* It has no listener of that name: any is better than none. */
    return peer->hello.listeners_count > 0 ? &peer->hello.listeners[0] : NULL;
}

/* FNV-1a over the ids, ascending: says whether two nodes were configured with the same members. */
uint64_t peers_hash_members(const struct replica *replica)
{
    uint64_t hash = 14695981039346656037ULL;
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        uint64_t id = replica->peers[i].member.node_id;
        for (int byte = 0; byte < 8; byte++) {
            hash = (hash ^ ((id >> (8 * byte)) & 0xff)) * 1099511628211ULL;
        }
    }
    return hash;
}

/* ---- hellos -------------------------------------------------------------------------------------- */

void replica_fill_hello(const struct replica *replica, uint64_t peer, struct bus_hello *hello)
{
    memset(hello, 0, sizeof *hello);
    hello->protocol_version = BUS_PROTOCOL_VERSION;
    hello->protocol_version_min = BUS_PROTOCOL_VERSION_MIN;
    hello->rules_version = COMMAND_RULES_VERSION;
    hello->from = replica->options.node_id;
    hello->to = peer;
    hello->disk_id = replica->identity.disk_id;
    hello->cluster_id[0] = replica->identity.cluster_id[0];
    hello->cluster_id[1] = replica->identity.cluster_id[1];
    hello->formation = (enum bus_formation_state)replica->identity.formation;
    hello->members_hash = replica->members_hash;
    hello->listeners_count = replica->options.listeners_count;
    memcpy(hello->listeners, replica->listeners, sizeof hello->listeners);
}

static bool refuse(struct bus_message *refused, enum bus_refusal code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse(struct bus_message *refused, enum bus_refusal code, const char *format, ...)
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

static const struct log_member *find_formed_member(const struct replica *replica, uint64_t node_id)
{
    for (uint32_t i = 0; i < replica->identity.members_count; i++) {
        if (replica->identity.members[i].node_id == node_id) {
            return &replica->identity.members[i];
        }
    }
    return NULL;
}

static bool check_against_formed(const struct replica *replica, const struct bus_hello *hello,
                                 struct bus_message *refused)
{
    const struct log_identity *identity = &replica->identity;
    const struct log_member *member = find_formed_member(replica, hello->from);
    if (member == NULL) {
        return refuse(refused, BUS_REFUSAL_NOT_A_MEMBER,
                      "node %" PRIu64 " is not a member of cluster %016" PRIx64, hello->from,
                      identity->cluster_id[0]);
    }
    if (hello->formation == BUS_FORMATION_FORMED && (hello->cluster_id[0] != identity->cluster_id[0] ||
                                                     hello->cluster_id[1] != identity->cluster_id[1])) {
        return refuse(refused, BUS_REFUSAL_CLUSTER,
                      "node %" PRIu64 " belongs to cluster %016" PRIx64 ", this is cluster %016" PRIx64
                      ": its data directory is of another cluster",
                      hello->from, hello->cluster_id[0], identity->cluster_id[0]);
    }
    if (member->disk_id != hello->disk_id) {
        return refuse(
            refused, BUS_REFUSAL_DISK,
            "node %" PRIu64 " is known with disk %016" PRIx64 " but came with disk %016" PRIx64
            ": its data directory was emptied or replaced, so it may have forgotten votes and writes that it "
            "confirmed. Put the old data directory back to rejoin; an empty one must not take this id",
            hello->from, member->disk_id, hello->disk_id);
    }
    return true;
}

bool replica_check_hello(const struct replica *replica, const struct bus_hello *hello,
                         struct bus_message *refused)
{
    if (hello->protocol_version < BUS_PROTOCOL_VERSION_MIN ||
        hello->protocol_version_min > BUS_PROTOCOL_VERSION) {
        return refuse(refused, BUS_REFUSAL_VERSION,
                      "node %" PRIu64 " speaks bus versions %u to %u, this node %d to %d", hello->from,
                      (unsigned)hello->protocol_version_min, (unsigned)hello->protocol_version,
                      BUS_PROTOCOL_VERSION_MIN, BUS_PROTOCOL_VERSION);
    }
    if (hello->to != replica->options.node_id || hello->from == replica->options.node_id) {
        return refuse(refused, BUS_REFUSAL_ADDRESS,
                      "this is node %" PRIu64 "; node %" PRIu64 " came looking for node %" PRIu64
                      " here: check the addresses and ids",
                      replica->options.node_id, hello->from, hello->to);
    }
    const struct peer *peer = peers_find_const(replica, hello->from);
    if (peer == NULL) {
        return refuse(refused, BUS_REFUSAL_NOT_A_MEMBER,
                      "node %" PRIu64 " is not among the members that node %" PRIu64 " was configured with",
                      hello->from, replica->options.node_id);
    }
    if (replica->identity.formation == LOG_FORMATION_FORMED) {
        return check_against_formed(replica, hello, refused);
    }
    if (hello->formation == BUS_FORMATION_FORMED) {
        return true; /* it judges whether we belong to its cluster */
    }
    if (hello->members_hash != replica->members_hash) {
        return refuse(refused, BUS_REFUSAL_MEMBERS,
                      "node %" PRIu64 " and node %" PRIu64
                      " were configured with different initial members: they must be the same on all nodes",
                      hello->from, replica->options.node_id);
    }
    if (peer->hello_known && (peer->accepted || peer->dialled) && peer->hello.disk_id != hello->disk_id) {
        return refuse(refused, BUS_REFUSAL_DISK,
                      "another node with id %" PRIu64 " is already connected: ids must be different",
                      hello->from);
    }
    return true;
}

static void note_hello(struct replica *replica, struct peer *peer, const struct bus_hello *hello)
{
    peer->hello = *hello;
    peer->hello_known = true;
    peer->refused_us = false;
    replica->redispatch = true;
    replica->formation_next_ms = replica->now_ms;
}

void replica_on_peer_connected(struct replica *replica, uint64_t node_id, const struct bus_hello *hello)
{
    struct peer *peer = peers_find(replica, node_id);
    assert(peer != NULL);
    peer->dialled = true;
    note_hello(replica, peer, hello);
    report_send(replica, peer);
}

void replica_on_peer_hello(struct replica *replica, uint64_t node_id, const struct bus_hello *hello)
{
    struct peer *peer = peers_find(replica, node_id);
    assert(peer != NULL);
    peer->accepted = true;
    note_hello(replica, peer, hello);
}

void replica_on_peer_unreachable(struct replica *replica, uint64_t node_id)
{
    struct peer *peer = peers_find(replica, node_id);
    if (peer == NULL) {
        return;
    }
    peer->dialled = false;
    peer->accepted = false;
    if (replica->raft != NULL) {
        raft_peer_unreachable(replica->raft, node_id);
    }
}

void replica_on_peer_contact(struct replica *replica, uint64_t node_id)
{
    if (replica->raft != NULL) {
        raft_peer_contact(replica->raft, node_id);
    }
}

/* A new node is told by one member that it does not belong: it stops, with the reason. A formed one stops
 * only when a majority of the others says so: one that errs must not stop it. */
void replica_on_refused(struct replica *replica, uint64_t node_id, enum bus_refusal code, const char *reason)
{
    struct peer *peer = peers_find(replica, node_id);
    if (peer == NULL || (code != BUS_REFUSAL_DISK && code != BUS_REFUSAL_CLUSTER)) {
        return;
    }
    peer->refused_us = true;
    uint32_t refusals = 0;
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        refusals += replica->peers[i].refused_us ? 1 : 0;
    }
    if (replica->identity.formation != LOG_FORMATION_FORMED || refusals > replica->peers_count / 2) {
        replica_stop(replica, REPLICA_EXIT_REFUSED, reason);
    }
}

/* ---- clocks -------------------------------------------------------------------------------------- */

void peers_note_message(struct replica *replica, uint64_t node_id, uint64_t wall_clock_ms)
{
    struct peer *peer = peers_find(replica, node_id);
    if (peer == NULL) {
        return;
    }
    peer->accepted = true; /* messages come by the connection that it dialled */
    if (wall_clock_ms > 0 && wall_clock_ms <= CLOCK_MS_MAX) {
        peer->clock_known = true;
        peer->clock_ahead_ms = (int64_t)(wall_clock_ms - replica->now_ms);
    }
}

/* Its clock, as it goes on since it was heard of, less ours as it is now: a jump of our own clock shows at
 * once, before anything is stamped by it. */
static int64_t clock_offset_ms(const struct replica *replica, const struct peer *peer)
{
    return peer->clock_ahead_ms - (int64_t)(replica->wall_clock_ms - replica->now_ms);
}

static int compare_offsets(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* The median of the known members' clocks, this one's (0) among them, less our own. Of an even number the
 * middle one nearer to ours counts, so that two nodes do not pull each other. */
static int64_t median_offset_ms(const struct replica *replica)
{
    int64_t offsets[RAFT_NODES_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        const struct peer *peer = &replica->peers[i];
        if (peer->is_self) {
            offsets[count++] = 0;
        } else if (peer->clock_known) { /* a member that is away now counts with what it said last */
            offsets[count++] = clock_offset_ms(replica, peer);
        }
    }
    qsort(offsets, count, sizeof offsets[0], compare_offsets);
    if (count % 2 == 1) {
        return offsets[count / 2];
    }
    int64_t low = offsets[count / 2 - 1];
    int64_t high = offsets[count / 2];
    return llabs(low) <= llabs(high) ? low : high;
}

int64_t peers_clock_skew_ms(const struct replica *replica)
{
    return -median_offset_ms(replica);
}

uint64_t peers_stamp_ms(const struct replica *replica)
{
    int64_t offset_ms = median_offset_ms(replica);
    if (llabs(offset_ms) <= CLOCK_SKEW_MS_MAX) {
        return replica->wall_clock_ms;
    }
    return replica->wall_clock_ms + (uint64_t)offset_ms;
}

void peers_maybe_warn_of_clock(struct replica *replica)
{
    if (replica->now_ms - replica->clock_warned_ms < CLOCK_WARNING_INTERVAL_MS &&
        replica->clock_warned_ms != 0) {
        return;
    }
    int64_t skew_ms = peers_clock_skew_ms(replica);
    if (llabs(skew_ms) > CLOCK_SKEW_MS_MAX) {
        replica->clock_warned_ms = replica->now_ms;
        replica_log(replica, REPLICA_LOG_WARNING, "clock-skew",
                    "skew_ms=%lld advice=\"this node's clock is far from the members' median; check its time "
                    "service\"",
                    (long long)skew_ms);
    }
}
