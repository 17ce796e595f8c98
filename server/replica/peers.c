/* peers.c: the nodes that this one talks to: who they are, where their clients' addresses are, what their
 * clocks say.
 *
 * They are the members in effect, and two other kinds. One that was a member until lately is *leaving*: it is
 * still told that it was removed, for a while. And one that goes by a membership that is newer than ours may
 * be a member of it, even the leader who brings it to us: it is heard and answered until we know (thesis
 * 4.2.2).
 */
#include "replica_internal.h"

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

/* ---- who they are -------------------------------------------------------------------------------- */

static int compare_peers(const void *a, const void *b)
{
    uint64_t left = ((const struct peer *)a)->member.node_id;
    uint64_t right = ((const struct peer *)b)->member.node_id;
    return (left > right) - (left < right);
}

static void add(struct replica *replica, const struct replica_member *member, enum peer_standing standing)
{
    assert(replica->peers_count < PEERS_MAX);
    replica->peers[replica->peers_count++] = (struct peer){
        .member = *member,
        .standing = standing,
        .is_self = member->node_id == replica->options.node_id,
    };
    qsort(replica->peers, replica->peers_count, sizeof replica->peers[0], compare_peers);
    replica->peers_generation++;
}

static void drop(struct replica *replica, struct peer *peer)
{
    size_t place = (size_t)(peer - replica->peers);
    assert(!peer->is_self);
    replica->peers_count--;
    memmove(peer, peer + 1, (replica->peers_count - place) * sizeof *peer);
    replica->peers_generation++;
}

static bool is_same_node(const struct replica_member *known, const struct replica_member *member)
{
    return known->node_id == member->node_id &&
           (known->disk_id == 0 || member->disk_id == 0 || known->disk_id == member->disk_id);
}

static void update(struct replica *replica, struct peer *peer, const struct replica_member *member)
{
    bool moved =
        strcmp(peer->member.bus_host, member->bus_host) != 0 || peer->member.bus_port != member->bus_port;
    bool is_known_by_another_disk = peer->member.disk_id != member->disk_id;
    peer->member = *member;
    peer->standing = PEER_MEMBER;
    if (moved || is_known_by_another_disk) {
        replica->peers_generation++;
    }
}

static uint64_t leaving_until_ms(const struct replica *replica)
{
    return replica->now_ms + (uint64_t)replica->options.election_timeout_ms * PEER_LEAVING_TIMEOUTS;
}

/* Whoever is not a member any more is told so, for a while. */
static void let_go(struct replica *replica, const struct members *members)
{
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        struct peer *peer = &replica->peers[i];
        if (peer->standing == PEER_MEMBER && members_find_const(members, peer->member.node_id) == NULL) {
            peer->standing = PEER_LEAVING;
            peer->until_ms = leaving_until_ms(replica);
        }
    }
}

/* Makes room: others than members are not worth one. */
static void drop_one_of_no_standing(struct replica *replica)
{
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        if (replica->peers[i].standing != PEER_MEMBER && !replica->peers[i].is_self) {
            drop(replica, &replica->peers[i]);
            return;
        }
    }
}

void peers_set_members(struct replica *replica, const struct members *members)
{
    for (uint32_t i = 0; i < replica->peers_count; i++) { /* they said it of one who went by an older book */
        replica->peers[i].refused_us = replica->peers[i].removed_us = false;
    }
    let_go(replica, members);
    for (uint32_t i = 0; i < members->count; i++) {
        const struct replica_member *member = &members->list[i];
        struct peer *peer = peers_find(replica, member->node_id);
        if (peer != NULL && !peer->is_self && !is_same_node(&peer->member, member)) {
            drop(replica, peer); /* another node by the same id: nothing that is known of it holds */
            peer = NULL;
        }
        if (peer == NULL) {
            if (replica->peers_count == PEERS_MAX) {
                drop_one_of_no_standing(replica);
            }
            add(replica, member, PEER_MEMBER);
        } else {
            update(replica, peer, member);
        }
    }
    if (peers_find(replica, replica->options.node_id) == NULL) {
        struct replica_member self = {.node_id = replica->options.node_id,
                                      .disk_id = replica->identity.disk_id};
        add(replica, &self, PEER_LEAVING);
    }
    replica->redispatch = true;
}

bool peers_add_newer(struct replica *replica, const struct bus_hello *hello)
{
    if (replica->peers_count == PEERS_MAX) {
        return false;
    }
    struct replica_member member = {.node_id = hello->from, .disk_id = hello->disk_id};
    memcpy(member.bus_host, hello->bus_host, sizeof member.bus_host);
    member.bus_port = hello->bus_port;
    add(replica, &member, PEER_NEWER);
    return true;
}

static bool is_over(const struct replica *replica, const struct peer *peer)
{
    switch (peer->standing) {
    case PEER_MEMBER:
        return false;
    case PEER_LEAVING:
        return replica->now_ms >= peer->until_ms;
    case PEER_NEWER:
        return peer->hello.membership_index <= membership_index(replica) ||
               (!peer->dialled && !peer->accepted && replica->now_ms >= peer->until_ms);
    }
    abort();
}

void peers_tick(struct replica *replica)
{
    for (uint32_t i = replica->peers_count; i > 0; i--) {
        struct peer *peer = &replica->peers[i - 1];
        if (peer->standing == PEER_LEAVING && !membership_is_settled(replica)) {
            peer->until_ms = leaving_until_ms(replica); /* the change may be undone yet */
        }
        if (!peer->is_self && is_over(replica, peer)) {
            drop(replica, peer);
        }
    }
}

/* By the book, or as it says itself: it knows best where it is. */
bool peers_address(const struct peer *peer, struct replica_member *address)
{
    *address = peer->member;
    if (address->bus_port == 0 && peer->hello_known) {
        memcpy(address->bus_host, peer->hello.bus_host, sizeof address->bus_host);
        address->bus_port = peer->hello.bus_port;
    }
    return address->bus_port != 0;
}

uint64_t replica_peers_generation(const struct replica *replica)
{
    return replica->peers_generation;
}

uint32_t replica_peers(const struct replica *replica, struct replica_member peers[REPLICA_PEERS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        const struct peer *peer = &replica->peers[i];
        if (peer->is_self) {
            continue;
        }
        (void)peers_address(peer, &peers[count]);
        count++;
    }
    return count;
}

/* ---- their connections --------------------------------------------------------------------------- */

static void note_hello(struct replica *replica, struct peer *peer, const struct bus_hello *hello)
{
    if (peer->member.bus_port == 0 && (!peer->hello_known || peer->hello.bus_port != hello->bus_port ||
                                       strcmp(peer->hello.bus_host, hello->bus_host) != 0)) {
        replica->peers_generation++; /* now there is an address */
    }
    peer->hello = *hello;
    peer->hello_known = true;
    peer->refused_us = peer->removed_us = false;
    peer->until_ms = replica->now_ms + PEER_NEWER_MS;
    replica->redispatch = true;
    replica->formation_next_ms = replica->now_ms;
}

void replica_on_peer_connected(struct replica *replica, uint64_t node_id, const struct bus_hello *hello)
{
    struct peer *peer = peers_find(replica, node_id);
    if (peer != NULL) {
        peer->dialled = true;
        note_hello(replica, peer, hello);
        report_send(replica, peer);
    }
}

void replica_on_peer_hello(struct replica *replica, uint64_t node_id, const struct bus_hello *hello)
{
    struct peer *peer = peers_find(replica, node_id);
    if (peer == NULL && peers_add_newer(replica, hello)) {
        peer = peers_find(replica, node_id);
    }
    if (peer != NULL) {
        peer->accepted = true;
        note_hello(replica, peer, hello);
    }
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
    int64_t offsets[PEERS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        const struct peer *peer = &replica->peers[i];
        if (peer->is_self) {
            offsets[count++] = 0;
        } else if (peer->clock_known &&
                   peer->standing ==
                       PEER_MEMBER) { /* a member that is away now counts with what it said last */
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
