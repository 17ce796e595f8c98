/* forced_cluster.c: see forced_cluster.h. */
#include "forced_cluster.h"

#include "replica_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { READ_BYTES = 4 << 20 };

static enum storage_status refuse(struct storage_error *error, enum storage_status status, const char *format,
                                  ...) __attribute__((format(printf, 3, 4)));

static enum storage_status refuse(struct storage_error *error, enum storage_status status, const char *format,
                                  ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return status;
}

/* ---- what is there ------------------------------------------------------------------------------- */

static bool take_payload(const uint8_t *bytes, uint32_t size, struct forced_cluster *found)
{
    uint32_t offset;
    return raft_membership_decode(bytes, size, &found->membership, &offset) &&
           members_decode(bytes + offset, size - offset, &found->members);
}

struct newest {
    struct forced_cluster *found;
    bool any, readable;
};

static void take_entry(void *context, const struct log_entry *entry)
{
    struct newest *newest = context;
    newest->any = true;
    newest->readable = take_payload(entry->bytes, entry->size, newest->found);
}

/* Those that formed the cluster: no entry has said anything else. */
static void take_formed(struct forced_cluster *found)
{
    for (uint32_t i = 0; i < found->identity.members_count; i++) {
        const struct log_member *formed = &found->identity.members[i];
        struct replica_member member = {.node_id = formed->node_id, .disk_id = formed->disk_id};
        bool fits = raft_membership_set(&found->membership, member.node_id, RAFT_MEMBER_VOTER) &&
                    members_put(&found->members, &member);
        assert(fits);
    }
}

static enum storage_status find_membership(struct log_store *log, const struct map_meta *meta,
                                           struct forced_cluster *found, struct storage_error *error)
{
    struct newest newest = {.found = found, .readable = true};
    enum storage_status status = log_store_memberships(log, take_entry, &newest, error);
    if (status != STORAGE_OK) {
        return status;
    }
    if (!newest.any && meta->membership_size > 0) {
        struct raft_entry_id id;
        struct raft_payload *payload = membership_of_meta(meta, &id);
        newest.readable = payload != NULL && take_payload(payload->bytes, payload->size, found);
        raft_payload_unref(payload);
    } else if (!newest.any) {
        take_formed(found);
    }
    return newest.readable
               ? STORAGE_OK
               : refuse(error, STORAGE_INCOMPATIBLE,
                        "it holds a membership of a form that this kvd does not know: use a newer "
                        "kvd");
}

static void count_entry(void *context, const struct log_entry *entry)
{
    *(uint64_t *)context = entry->id.index;
}

/* Every entry that a start would have to apply is whole. */
static enum storage_status check_entries(struct log_store *log, uint64_t applied, uint64_t last,
                                         struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    for (uint64_t read = applied; status == STORAGE_OK && read < last;) {
        uint64_t before = read;
        status = log_store_read(log, read + 1, last, READ_BYTES, count_entry, &read, error);
        if (status == STORAGE_OK && read == before) {
            status = refuse(error, STORAGE_CORRUPT, "log entry %" PRIu64 " is missing", read + 1);
        }
    }
    return status;
}

static enum storage_status check_formation(const struct forced_cluster *found, struct storage_error *error)
{
    switch (found->identity.formation) {
    case LOG_FORMATION_NONE:
    case LOG_FORMATION_PREPARED:
        return refuse(
            error, STORAGE_INCOMPATIBLE,
            "the cluster was never formed: nothing was ever written that could be lost. Start anew with "
            "an empty directory");
    case LOG_FORMATION_FORMED:
        break;
    }
    return STORAGE_OK;
}

static enum storage_status check_membership(const struct forced_cluster *found, struct storage_error *error)
{
    const struct raft_membership *membership = &found->membership;
    if (membership->voters_count == 0) {
        return refuse(
            error, STORAGE_INCOMPATIBLE,
            "this node was added to a cluster, but nothing of its data has come: there is nothing to "
            "save here");
    }
    if (membership->voters_count == 1 && membership->outgoing_count == 0 &&
        membership->voters[0] == found->identity.node_id) {
        return refuse(error, STORAGE_INCOMPATIBLE,
                      "node %" PRIu64
                      " is the only voter of its cluster%s: it needs nobody else. Start it as "
                      "it is",
                      found->identity.node_id,
                      found->members.forced_count > 0 ? ", which it was made by this command before" : "");
    }
    return STORAGE_OK;
}

enum storage_status forced_cluster_examine(struct log_store *log, const struct map *map,
                                           struct forced_cluster *found, struct storage_error *error)
{
    const struct map_meta *meta = map_get_meta(map);
    struct log_store_state state;
    bool is_known = false;
    memset(found, 0, sizeof *found);
    enum storage_status status = log_store_read_identity(log, &found->identity, &is_known, error);
    if (status == STORAGE_OK) {
        status = check_formation(found, error);
    }
    if (status != STORAGE_OK) {
        return status;
    }
    log_store_get_state(log, &state);
    found->hard_state = state.hard_state;
    found->last = (struct raft_entry_id){.term = state.last.term, .index = state.last.index};
    found->commit = state.commit_hint > meta->applied_index ? state.commit_hint : meta->applied_index;
    found->applied = meta->applied_index;
    found->key_count = meta->key_count;
    if (meta->applied_index > state.last.index || meta->applied_index < state.base.index) {
        return refuse(error, STORAGE_CORRUPT,
                      "the map has applied entry %" PRIu64 ", and the log holds those from %" PRIu64
                      " to %" PRIu64 ": one of them was replaced or damaged",
                      meta->applied_index, state.base.index + 1, state.last.index);
    }
    status = find_membership(log, meta, found, error);
    if (status == STORAGE_OK) {
        status = check_membership(found, error);
    }
    return status != STORAGE_OK ? status : check_entries(log, found->applied, found->last.index, error);
}

/* ---- what becomes of it -------------------------------------------------------------------------- */

static struct raft_payload *make_membership(const struct forced_cluster *found,
                                            const struct forced_cluster_order *order)
{
    const struct log_identity *identity = &found->identity;
    const struct replica_member *known = members_find_const(&found->members, identity->node_id);
    struct raft_membership membership = {0};
    struct members members = {0};
    struct replica_member self = known != NULL && known->bus_port != 0 ? *known : order->address;
    self.node_id = identity->node_id;
    self.disk_id = identity->disk_id;
    self.goal = MEMBER_GOAL_NONE;
    self.replaces = RAFT_NODE_NONE;
    const struct members_forced forced = {
        .time_ms = order->time_ms,
        .node_id = identity->node_id,
        .cluster_id = {identity->cluster_id[0], identity->cluster_id[1]},
        .last = found->last,
        .commit = found->commit,
    };
    bool fits =
        raft_membership_set(&membership, self.node_id, RAFT_MEMBER_VOTER) && members_put(&members, &self);
    assert(fits);
    members_copy_memory(&members, &found->members);
    members_remember_forced(&members, &forced);
    return membership_encode(&membership, &members);
}

enum storage_status forced_cluster_make(struct log_store *log, const struct forced_cluster *found,
                                        const struct forced_cluster_order *order, struct storage_error *error)
{
    struct log_identity identity = {
        .node_id = found->identity.node_id,
        .disk_id = found->identity.disk_id,
        .formation = LOG_FORMATION_FORMED,
        .cluster_id = {order->cluster_id[0], order->cluster_id[1]},
        .members_count = 1,
        .members = {{.node_id = found->identity.node_id, .disk_id = found->identity.disk_id}},
    };
    assert(memcmp(identity.cluster_id, found->identity.cluster_id, sizeof identity.cluster_id) != 0);
    struct raft_payload *payload = make_membership(found, order);
    const struct log_hard_state hard_state = {.term = found->hard_state.term + 1, .vote = identity.node_id};
    const struct log_entry entry = {
        .id = {.term = hard_state.term, .index = found->last.index + 1},
        .type = LOG_ENTRY_MEMBERSHIP,
        .bytes = payload->bytes,
        .size = payload->size,
    };
    const struct log_write write = {
        .hard_state = &hard_state,
        .identity = &identity,
        .entries = &entry,
        .entries_count = 1,
        .commit_hint = entry.id.index,
    };
    enum storage_status status = log_store_write(log, &write, error);
    raft_payload_unref(payload);
    return status;
}
