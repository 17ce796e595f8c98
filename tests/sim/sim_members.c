/* sim_members.c: see sim_members.h. */
#include "sim_members.h"

#include "sim_check.h"
#include "sim_node.h"

#include "members.h"

#include <inttypes.h>
#include <stdlib.h>

struct sim_members {
    struct sim_configuration *list; /* [0]: the first */
    size_t count, capacity;
};

void sim_members_create(struct sim *sim)
{
    struct sim_members *members = sim_allocate(sizeof *members);
    members->list = sim_grow(NULL, 0, &members->capacity, sizeof *members->list);
    members->list[0] = (struct sim_configuration){.id = {0, 0}};
    members->list[0].membership.voters_count = (uint32_t)sim->knobs.nodes;
    for (uint32_t i = 0; i < sim->knobs.nodes; i++) {
        members->list[0].membership.voters[i] = i + 1;
    }
    members->count = 1;
    sim->members = members;
}

void sim_members_destroy(struct sim *sim)
{
    free(sim->members->list);
    free(sim->members);
}

void sim_members_note(struct sim *sim, const struct raft_entry *entry)
{
    struct sim_members *members = sim->members;
    uint32_t offset;
    if (entry->type != RAFT_ENTRY_MEMBERSHIP) {
        return;
    }
    for (size_t i = 1; i < members->count; i++) {
        if (members->list[i].id.index == entry->id.index && members->list[i].id.term == entry->id.term) {
            return;
        }
    }
    struct sim_configuration seen = {.id = entry->id};
    if (!raft_membership_decode(entry->payload->bytes, entry->payload->size, &seen.membership, &offset)) {
        sim_fail(sim, SIM_CORRECTNESS, "the members in entry %" PRIu64 " cannot be read", entry->id.index);
    }
    struct members book;
    if (!members_decode(entry->payload->bytes + offset, entry->payload->size - offset, &book)) {
        sim_fail(sim, SIM_CORRECTNESS, "the address book in entry %" PRIu64 " cannot be read",
                 entry->id.index);
    }
    for (uint32_t i = 0; i < book.count; i++) {
        seen.disks[book.list[i].node_id - 1] = book.list[i].disk_id;
    }
    members->list = sim_grow(members->list, members->count, &members->capacity, sizeof *members->list);
    members->list[members->count++] = seen;
}

const struct sim_configuration *sim_members_at(const struct sim *sim, size_t place)
{
    return place < sim->members->count ? &sim->members->list[place] : NULL;
}

const struct sim_configuration *sim_members_latest(const struct sim *sim, sim_members_holds *holds,
                                                   const void *log, bool or_first)
{
    const struct sim_members *members = sim->members;
    const struct sim_configuration *latest = or_first ? &members->list[0] : NULL;
    for (size_t i = 1; i < members->count; i++) {
        const struct sim_configuration *other = &members->list[i];
        if ((latest == NULL || other->id.index > latest->id.index) && holds(log, other->id)) {
            latest = other;
        }
    }
    return latest;
}

bool sim_members_is_committed(const struct sim *sim, struct raft_entry_id id)
{
    return id.index <= sim_check_committed(sim) && sim_check_committed_term(sim, id.index) == id.term;
}

static bool is_committed_at(const void *sim, struct raft_entry_id id)
{
    return sim_members_is_committed(sim, id);
}

const struct sim_configuration *sim_members_committed(const struct sim *sim)
{
    return sim_members_latest(sim, is_committed_at, sim, true);
}

static bool node_holds(const void *context, struct raft_entry_id id)
{
    const struct sim_node *node = context;
    const struct raft *raft = sim_node_raft(node);
    uint64_t term;
    if (id.index < raft_first_index(raft)) {
        return sim_members_is_committed(node->sim, id);
    }
    return raft_get_entry_term(raft, id.index, &term) && term == id.term;
}

const struct sim_configuration *sim_members_of(const struct sim_node *node)
{
    bool knows_first = !node->joins || raft_first_index(sim_node_raft(node)) > 1;
    return sim_members_latest(node->sim, node_holds, node, knows_first);
}

/* ---- majorities ---------------------------------------------------------------------------------- */

static uint32_t count_in(const raft_node_id *ids, uint32_t ids_count, uint64_t nodes)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ids_count; i++) {
        count += (nodes >> (ids[i] - 1) & 1) != 0 ? 1 : 0;
    }
    return count;
}

bool sim_members_is_majority(const struct raft_membership *membership, uint64_t nodes)
{
    return count_in(membership->voters, membership->voters_count, nodes) > membership->voters_count / 2 &&
           (membership->outgoing_count == 0 || count_in(membership->outgoing, membership->outgoing_count,
                                                        nodes) > membership->outgoing_count / 2);
}

uint32_t sim_members_count(const struct raft_membership *membership, uint64_t nodes)
{
    return count_in(membership->voters, membership->voters_count, nodes);
}

bool sim_members_is_voter(const struct raft_membership *membership, uint64_t node_id)
{
    enum raft_member_kind kind = raft_membership_find(membership, node_id);
    return kind == RAFT_MEMBER_VOTER || kind == RAFT_MEMBER_OUTGOING;
}
