/* membership.c: the members in effect, and how learners become voters.
 *
 * The core says which configuration is in effect; the address book behind its ids says by which disk each
 * member is known and where it is. Before there is an entry of a membership in the log, the members are those
 * that formed the cluster, and the settings say where they are.
 *
 * What is to become of a learner stands in the book (members.h), so that whoever leads brings it about: a
 * leader proposes the change when the learner has caught up (thesis 4.2.1), and enough of the new voters are
 * alive.
 *
 * The map's meta holds the last applied one: u64 term | u64 index of its entry | the entry's payload.
 */
#include "replica_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { META_HEAD_BYTES = 16 };

/* ---- what is stored ------------------------------------------------------------------------------ */

/* Those that formed the cluster, whatever is configured now; where they are is known from there only. */
static void list_formed(const struct replica *replica, struct members *members)
{
    const struct log_identity *identity = &replica->identity;
    memset(members, 0, sizeof *members);
    for (uint32_t i = 0; i < identity->members_count; i++) {
        const struct replica_member *configured =
            members_find_const(&replica->configured, identity->members[i].node_id);
        struct replica_member member = {0};
        if (configured != NULL) {
            member = *configured;
        }
        member.node_id = identity->members[i].node_id;
        member.disk_id = identity->members[i].disk_id;
        bool has_room = members_put(members, &member);
        assert(has_room);
    }
}

/* The setting is for the time before there is a cluster; that it stayed as it was is no error. */
static void say_what_counts(struct replica *replica)
{
    bool same = replica->configured.count == replica->members.count;
    for (uint32_t i = 0; same && i < replica->members.count; i++) {
        same = replica->configured.list[i].node_id == replica->members.list[i].node_id;
    }
    if (!same && replica->configured.count > 1) {
        replica_log(replica, REPLICA_LOG_INFO, "cluster-setting-not-used",
                    "configured=%u members=%u reason=\"the setting forms a new cluster; this node belongs to "
                    "one, whose members change by RAFT ADD, REMOVE and REPLACE\"",
                    replica->configured.count, replica->members.count);
    }
}

struct raft_payload *membership_encode(const struct raft_membership *membership,
                                       const struct members *members)
{
    uint8_t book[MEMBERS_BYTES_MAX];
    size_t size = members_encode(members, book);
    return raft_membership_encode(membership, book, (uint32_t)size);
}

bool membership_is_voter(const struct replica *replica, uint64_t node_id)
{
    return raft_membership_find(raft_get_membership(replica->raft), node_id) == RAFT_MEMBER_VOTER;
}

struct raft_payload *membership_first(const struct replica *replica)
{
    struct raft_membership membership = {0};
    struct members members;
    if (replica->identity.members_count == 0) {
        return NULL;
    }
    list_formed(replica, &members);
    for (uint32_t i = 0; i < members.count; i++) {
        bool added = raft_membership_set(&membership, members.list[i].node_id, RAFT_MEMBER_VOTER);
        assert(added);
    }
    return membership_encode(&membership, &members);
}

struct raft_payload *membership_of_meta(const struct map_meta *meta, struct raft_entry_id *id)
{
    struct raft_membership membership;
    uint32_t offset;
    if (meta->membership_size < META_HEAD_BYTES ||
        !raft_membership_decode(meta->membership + META_HEAD_BYTES, meta->membership_size - META_HEAD_BYTES,
                                &membership, &offset)) {
        return NULL;
    }
    uint64_t numbers[2] = {0};
    for (size_t i = 0; i < META_HEAD_BYTES; i++) {
        numbers[i / 8] |= (uint64_t)meta->membership[i] << (8 * (i % 8));
    }
    *id = (struct raft_entry_id){.term = numbers[0], .index = numbers[1]};
    uint32_t size = meta->membership_size - META_HEAD_BYTES;
    struct raft_payload *payload = raft_payload_create(size);
    memcpy(payload->bytes, meta->membership + META_HEAD_BYTES, size);
    payload->size = size;
    return payload;
}

/* What the map holds; {0, 0} and those that formed the cluster, when no entry said anything else; no payload
 * for one that joins. False: it cannot be read. */
static bool read_first(const struct replica *replica, struct raft_membership_entry *entry)
{
    const struct map_meta *meta = map_get_meta(replica->map);
    *entry = (struct raft_membership_entry){0};
    if (meta->membership_size == 0) {
        entry->payload = membership_first(replica);
        return true;
    }
    entry->payload = membership_of_meta(meta, &entry->id);
    return entry->payload != NULL;
}

static bool names_this_disk(const struct replica *replica, const struct members *members)
{
    return members_name_disk(members, replica->options.node_id, replica->identity.disk_id);
}

bool membership_names_this_disk(const void *context, const uint8_t *book, uint32_t size)
{
    const struct replica *replica = context;
    struct members members;
    return members_decode(book, size, &members) && names_this_disk(replica, &members);
}

static bool is_named_in(const struct replica *replica, const uint8_t *bytes, uint32_t size)
{
    struct raft_membership membership;
    uint32_t offset;
    return raft_membership_decode(bytes, size, &membership, &offset) &&
           membership_names_this_disk(replica, bytes + offset, size - offset);
}

static void collect(void *context, const struct log_entry *read)
{
    struct membership_list *list = context;
    list->names_this_disk = list->names_this_disk || (read->id.index <= list->commit &&
                                                      is_named_in(list->replica, read->bytes, read->size));
    if (read->id.index <= list->after_index) {
        return;
    }
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 4 : list->capacity * 2;
        list->entries = realloc(list->entries, list->capacity * sizeof *list->entries);
        if (list->entries == NULL) {
            abort();
        }
    }
    struct raft_payload *payload = raft_payload_create(read->size);
    memcpy(payload->bytes, read->bytes, read->size);
    payload->size = read->size;
    list->entries[list->count++] =
        (struct raft_membership_entry){.id = {read->id.term, read->id.index}, .payload = payload};
}

enum storage_status membership_restore(const struct replica *replica, struct membership_list *list,
                                       struct storage_error *error)
{
    struct raft_membership_entry first;
    struct log_store_state state;
    log_store_get_state(replica->options.log, &state);
    *list = (struct membership_list){.replica = replica, .commit = state.commit_hint};
    if (!read_first(replica, &first)) {
        (void)snprintf(error->text, sizeof error->text,
                       "the map holds a membership of a form that this kvd does not know: upgrade this node");
        return STORAGE_INCOMPATIBLE;
    }
    list->after_index = map_get_meta(replica->map)->applied_index;
    list->commit = list->commit < list->after_index ? list->after_index : list->commit;
    if (first.payload != NULL) {
        list->entries = calloc(4, sizeof *list->entries);
        if (list->entries == NULL) {
            abort();
        }
        list->capacity = 4;
        list->entries[list->count++] = first;
    }
    list->names_this_disk =
        replica->identity.members_count > 0 || /* it formed the cluster */
        (first.payload != NULL && is_named_in(replica, first.payload->bytes, first.payload->size));
    return log_store_memberships(replica->options.log, collect, list, error);
}

void membership_list_deinit(struct membership_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        raft_payload_unref(list->entries[i].payload);
    }
    free(list->entries);
    *list = (struct membership_list){0};
}

bool membership_apply(struct replica *replica, const struct raft_entry *entry)
{
    const struct raft_payload *payload = entry->payload;
    uint8_t meta[MAP_MEMBERSHIP_BYTES_MAX];
    struct raft_membership membership;
    struct members members;
    uint32_t offset;
    if (payload == NULL || payload->size > sizeof meta - META_HEAD_BYTES ||
        !raft_membership_decode(payload->bytes, payload->size, &membership, &offset) ||
        !members_decode(payload->bytes + offset, payload->size - offset, &members)) {
        return false;
    }
    const uint64_t numbers[2] = {entry->id.term, entry->id.index};
    for (size_t i = 0; i < META_HEAD_BYTES; i++) {
        meta[i] = (uint8_t)(numbers[i / 8] >> (8 * (i % 8)));
    }
    memcpy(meta + META_HEAD_BYTES, payload->bytes, payload->size);
    /* Also one that is over when it becomes known: a start would find it in the log (seed 1795689831747). */
    replica->membership.was_here = replica->membership.was_here || names_this_disk(replica, &members);
    map_set_membership(replica->map, meta, META_HEAD_BYTES + payload->size);
    return true;
}

/* ---- what is in effect --------------------------------------------------------------------------- */

void membership_start(struct replica *replica)
{
    if (replica->identity.formation == LOG_FORMATION_FORMED) {
        list_formed(replica, &replica->members);
    } else {
        replica->members = replica->configured;
    }
    peers_set_members(replica, &replica->members);
}

static void append_ids(char *text, size_t size, const char *name, const raft_node_id *ids, uint32_t count)
{
    size_t used = strlen(text);
    for (uint32_t i = 0; i < count && used < size; i++) {
        int more = snprintf(text + used, size - used, "%s%s%s%" PRIu64, i == 0 && used > 0 ? " " : "",
                            i == 0 ? name : ",", i == 0 ? "=" : "", ids[i]);
        used += more > 0 ? (size_t)more : 0;
    }
}

static void say_members(struct replica *replica, const struct raft_configuration *now)
{
    char text[700] = "";
    const struct raft_membership *membership = &now->membership;
    append_ids(text, sizeof text, "voters", membership->voters, membership->voters_count);
    append_ids(text, sizeof text, "outgoing", membership->outgoing, membership->outgoing_count);
    append_ids(text, sizeof text, "learners", membership->learners, membership->learners_count);
    replica_log(replica, REPLICA_LOG_INFO, "membership", "index=%" PRIu64 " %s", now->id.index, text);
}

/* The members with what the book says of them. */
static bool list_members(const struct raft_configuration *now, struct members *members)
{
    raft_node_id ids[RAFT_NODES_MAX];
    uint32_t count = raft_membership_list(&now->membership, ids);
    struct members book;
    memset(members, 0, sizeof *members);
    if (now->payload == NULL) {
        return true; /* nothing is known yet */
    }
    if (!members_decode(now->payload->bytes + now->opaque_offset, now->payload->size - now->opaque_offset,
                        &book)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct replica_member *known = members_find_const(&book, ids[i]);
        struct replica_member unknown = {.node_id = ids[i]};
        bool has_room = members_put(members, known != NULL ? known : &unknown);
        assert(has_room);
    }
    members_copy_memory(members, &book);
    return true;
}

/* At each start, and when it is heard of. */
static void say_forced(struct replica *replica, uint32_t said)
{
    for (uint32_t i = said; i < replica->members.forced_count; i++) {
        const struct members_forced *forced = &replica->members.forced[i];
        replica_log(replica, REPLICA_LOG_WARNING, "cluster-was-forced",
                    "by=%" PRIu64 " time_ms=%" PRIu64 " former=%016" PRIx64 "%016" PRIx64
                    " last_term=%" PRIu64 " last_index=%" PRIu64 " commit=%" PRIu64
                    " reason=\"the majority of the former cluster was given up: what it wrote after that "
                    "entry is not here\"",
                    forced->node_id, forced->time_ms, forced->cluster_id[0], forced->cluster_id[1],
                    forced->last.term, forced->last.index, forced->commit);
    }
}

static void take(struct replica *replica, const struct raft_configuration *now)
{
    bool was_known = replica->membership.known;
    uint32_t said = was_known ? replica->members.forced_count : 0;
    if (!list_members(now, &replica->members)) {
        replica_stop(
            replica, REPLICA_EXIT_CORRUPT,
            "the log holds an address book of a form that this kvd does not know: upgrade this node");
        return;
    }
    replica->membership.known = true;
    replica->membership.id = now->id;
    peers_set_members(replica, &replica->members);
    if (!was_known) {
        say_what_counts(replica);
    }
    if (was_known || now->id.index > 0) {
        say_members(replica, now);
    }
    say_forced(replica, said);
}

/* As the core saw it happen, or as the book remembers it. One that comes back under its old id, with an
 * empty disk, hears first of how the former one was removed; one whose joining was undone and that is added
 * again, of how it was undone: neither was here before. */
static bool was_removed(const struct replica *replica, const struct raft_status *status)
{
    return replica->membership.was_here &&
           (status->removed ||
            members_was_removed(&replica->members, replica->options.node_id, replica->identity.disk_id));
}

/* It has its part in what others may still ask of it, and then it ends. */
static void leave(struct replica *replica)
{
    struct membership *membership = &replica->membership;
    struct raft_status status;
    raft_get_status(replica->raft, &status);
    if (!was_removed(replica, &status) || membership->left) {
        return;
    }
    membership->left = true;
    (void)snprintf(replica->shutdown_reason, sizeof replica->shutdown_reason,
                   "this node was removed from the cluster by entry %" PRIu64
                   "; to bring it back, empty its data directory and start it under a new id with --join",
                   status.membership_id.index);
    replica_log(replica, REPLICA_LOG_WARNING, "removed", "index=%" PRIu64, status.membership_id.index);
    persist_commit(replica); /* so that it knows when it is started again, whoever is there to tell it */
    replica_begin_shutdown(replica);
    replica->shutdown_code = REPLICA_EXIT_REFUSED;
}

/* Somebody went by a newer configuration when it said hello. */
static bool knows_of_newer(const struct replica *replica)
{
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        const struct peer *peer = &replica->peers[i];
        if (peer->hello_known && peer->hello.membership_index > membership_index(replica)) {
            return true;
        }
    }
    return false;
}

/* One that was away reads of its removal when it may long have been added again, with the same disk: unless
 * the book remembers it, for then nobody adds it. It reads on; who really was removed is told so by the
 * others. */
static bool may_be_back(const struct replica *replica)
{
    return !members_was_removed(&replica->members, replica->options.node_id, replica->identity.disk_id) &&
           (replica->join.asked_anew || knows_of_newer(replica));
}

void membership_follow(struct replica *replica)
{
    struct membership *membership = &replica->membership;
    const struct raft_configuration *now = raft_get_configuration(replica->raft);
    if (!membership->known || now->id.index != membership->id.index || now->id.term != membership->id.term) {
        take(replica, now);
    }
    if (now->id.index <= raft_get_commit(replica->raft) && membership->committed_index != now->id.index) {
        membership->committed_index = now->id.index;
        membership->was_here = membership->was_here || names_this_disk(replica, &replica->members);
    }
    if (!membership->left && now->payload != NULL &&
        members_find_const(&replica->members, replica->options.node_id) == NULL &&
        membership_is_settled(replica) && !may_be_back(replica)) {
        leave(replica);
    }
    replica->redispatch = replica->redispatch || membership->left; /* whoever waits here is sent away */
}

uint64_t membership_index(const struct replica *replica)
{
    return replica->membership.id.index;
}

uint64_t membership_committed_index(const struct replica *replica)
{
    return replica->membership.committed_index;
}

bool membership_is_settled(const struct replica *replica)
{
    return replica->raft == NULL || (!raft_membership_is_joint(raft_get_membership(replica->raft)) &&
                                     replica->membership.id.index <= raft_get_commit(replica->raft));
}

bool membership_is_alone(const struct replica *replica)
{
    return replica->members.count == 1 && replica->members.list[0].node_id == replica->options.node_id;
}

/* ---- changes ------------------------------------------------------------------------------------- */

/* By the time of this turn: a leader that stood still reads commands in its first turns, and what others said
 * long before (seed 1795688920596). */
static bool is_there(const struct replica *replica, const struct raft_peer_status *peer)
{
    return peer->there_ms != 0 && replica->now_ms - peer->there_ms < replica->options.election_timeout_ms;
}

static bool is_alive(const struct replica *replica, const struct raft_status *status, raft_node_id id)
{
    if (id == replica->options.node_id) {
        return true;
    }
    for (uint32_t i = 0; i < status->peers_count; i++) {
        if (status->peers[i].id == id) {
            return is_there(replica, &status->peers[i]);
        }
    }
    return false;
}

bool membership_has_quorum(const struct replica *replica, const struct raft_membership *membership,
                           raft_node_id coming, uint32_t *alive)
{
    struct raft_status status;
    raft_get_status(replica->raft, &status);
    *alive = 0;
    for (uint32_t i = 0; i < membership->voters_count; i++) {
        raft_node_id id = membership->voters[i];
        *alive += id == coming || is_alive(replica, &status, id) ? 1 : 0;
    }
    return *alive > membership->voters_count / 2;
}

enum raft_membership_result membership_propose(struct replica *replica,
                                               const struct raft_membership *membership,
                                               const struct members *members)
{
    uint8_t book[MEMBERS_BYTES_MAX];
    size_t size = members_encode(members, book);
    struct raft_entry_id id;
    enum raft_membership_result result =
        raft_propose_membership(replica->raft, membership, book, (uint32_t)size, &id);
    if (result == RAFT_MEMBERSHIP_OK) {
        membership_follow(replica);
    }
    return result;
}

/* Takes one to be a voter, in the place of another one perhaps. False: it cannot be now. */
static bool promote(struct replica *replica, const struct replica_member *learner)
{
    struct raft_membership target = *raft_get_membership(replica->raft);
    struct members members = replica->members;
    raft_node_id replaced = learner->replaces;
    uint32_t alive;
    bool fits = raft_membership_set(&target, learner->node_id, RAFT_MEMBER_VOTER);
    if (replaced != RAFT_NODE_NONE && members_find(&members, replaced) != NULL) {
        fits = raft_membership_set(&target, replaced, RAFT_MEMBER_NONE) && fits;
    }
    struct replica_member *member = members_find(&members, learner->node_id);
    member->goal = MEMBER_GOAL_NONE;
    member->replaces = RAFT_NODE_NONE;
    versions_remember_removed(replica, &members, replaced);
    if (!fits || !membership_has_quorum(replica, &target, RAFT_NODE_NONE, &alive)) {
        return false; /* more of the voters have to be there */
    }
    if (membership_propose(replica, &target, &members) != RAFT_MEMBERSHIP_OK) {
        return false;
    }
    replica_log(replica, REPLICA_LOG_INFO, "learner-promoted", "member=%" PRIu64 " replaces=%" PRIu64,
                member->node_id, replaced);
    return true;
}

/* The round of this learner; one of a node that is none any more is used anew. */
static struct catching_up *find_round(struct replica *replica, raft_node_id id)
{
    struct catching_up *unused = NULL;
    for (uint32_t i = 0; i < RAFT_NODES_MAX; i++) {
        struct catching_up *round = &replica->membership.rounds[i];
        const struct replica_member *member = members_find_const(&replica->members, round->node_id);
        if (round->node_id == id) {
            return round;
        }
        if (member == NULL || member->goal != MEMBER_GOAL_VOTER) {
            unused = round;
        }
    }
    assert(unused != NULL); /* there are no more members than rounds */
    *unused = (struct catching_up){0};
    return unused;
}

/* Rounds of catching up (thesis 4.2.1): what the leader's log had when the round began has arrived. One that
 * is over within an election timeout says that the next would be as well; after one that took longer the next
 * begins. It is over only when the learner has answered a heartbeat that left after it began: a leader that
 * stood still reads first what a learner said that may be gone since. */
static bool has_caught_up(struct replica *replica, const struct raft_status *status,
                          const struct raft_peer_status *peer)
{
    struct catching_up *round = find_round(replica, peer->id);
    /* What a former leader aimed at may never have been committed. */
    bool is_under_way = round->node_id == peer->id && round->term == status->term;
    if (is_under_way && (peer->match_index < round->target_index || peer->round_acked <= round->heartbeats)) {
        return false;
    }
    bool is_over = is_under_way && replica->now_ms - round->begun_ms <= replica->options.election_timeout_ms;
    *round =
        (struct catching_up){peer->id, status->term, status->last.index, status->last_round, replica->now_ms};
    return is_over;
}

static bool is_candidate(const struct replica *replica, const struct raft_peer_status *peer)
{
    const struct replica_member *member = members_find_const(&replica->members, peer->id);
    return member != NULL && peer->kind == RAFT_MEMBER_LEARNER && member->goal == MEMBER_GOAL_VOTER &&
           member->disk_id != 0 && peer->state == RAFT_PROGRESS_REPLICATE && is_there(replica, peer);
}

/* One change at a time; a learner that does not get on does not hold up the others. */
void membership_tick(struct replica *replica)
{
    bool any = false;
    for (uint32_t i = 0; i < replica->members.count; i++) {
        any = any || replica->members.list[i].goal == MEMBER_GOAL_VOTER;
    }
    if (!any || !replica_leads(replica) || !membership_is_settled(replica)) {
        return;
    }
    struct raft_status status;
    raft_get_status(replica->raft, &status);
    for (uint32_t i = 0; status.leader_ready && i < status.peers_count; i++) {
        const struct raft_peer_status *peer = &status.peers[i];
        if (is_candidate(replica, peer) && has_caught_up(replica, &status, peer) &&
            promote(replica, members_find_const(&replica->members, peer->id))) {
            return;
        }
    }
}
