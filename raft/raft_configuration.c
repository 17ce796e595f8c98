/* raft_configuration.c: see raft_configuration.h. */
#include "raft_configuration.h"

#include <stdlib.h>
#include <string.h>

#include "raft_assert.h"
#include "raft_internal.h"
#include "raft_memory.h"

/* ---- the list -------------------------------------------------------------------------------- */

/* What was received was checked when it came (raft_message), what was restored by the caller. */
static struct raft_configuration make_configuration(const struct raft *raft, struct raft_entry_id id,
                                                    struct raft_payload *payload)
{
    const struct raft_config *config = &raft->config;
    struct raft_configuration made = {.id = id};
    bool decoded =
        raft_membership_decode(payload->bytes, payload->size, &made.membership, &made.opaque_offset);
    raft_assert(decoded);
    made.is_of_this_node =
        config->is_this_node == NULL ||
        config->is_this_node(config->is_this_node_context, payload->bytes + made.opaque_offset,
                             payload->size - made.opaque_offset);
    made.payload = raft_payload_ref(payload);
    return made;
}

static void push(struct raft_configurations *list, struct raft_configuration configuration)
{
    list->items = raft_memory_reserve(list->items, &list->capacity, list->count + 1, sizeof *list->items);
    list->items[list->count++] = configuration;
}

static void drop_first(struct raft_configurations *list, uint32_t count)
{
    raft_assert(count <= list->count);
    for (uint32_t i = 0; i < count; i++) {
        raft_payload_unref(list->items[i].payload);
    }
    list->count -= count;
    memmove(list->items, list->items + count, list->count * sizeof *list->items);
}

const struct raft_configuration *raft_configuration_now(const struct raft *raft)
{
    raft_assert(raft->configurations.count > 0);
    return &raft->configurations.items[raft->configurations.count - 1];
}

bool raft_configuration_is_committed(const struct raft *raft)
{
    return raft_configuration_now(raft)->id.index <= raft->log.commit;
}

static bool names_self(const struct raft *raft, const struct raft_configuration *configuration)
{
    return configuration->is_of_this_node &&
           raft_membership_find(&configuration->membership, raft->config.id) != RAFT_MEMBER_NONE;
}

static bool names_another_by_own_id(const struct raft *raft, const struct raft_configuration *configuration)
{
    return !configuration->is_of_this_node &&
           raft_membership_find(&configuration->membership, raft->config.id) != RAFT_MEMBER_NONE;
}

bool raft_configuration_is_removed(const struct raft *raft)
{
    return raft->configurations.was_member && raft_configuration_is_committed(raft) &&
           !names_self(raft, raft_configuration_now(raft));
}

/* ---- slots ----------------------------------------------------------------------------------- */

static struct raft_progress make_progress(const struct raft *raft, raft_node_id id)
{
    struct raft_progress progress;
    raft_progress_init(&progress, id, raft->config.inflight_messages_max);
    raft_progress_reset(&progress, raft->log.last_index + 1, raft->now_ms);
    return progress;
}

/* Takes the progress of `id` out of the old table; a node that is new, or that had left and is back, begins
 * anew: what was known of its disk may not be true any more. */
static struct raft_progress take_progress(const struct raft *raft, struct raft_progress *old,
                                          uint32_t old_count, raft_node_id id, bool is_member)
{
    for (uint32_t i = 0; i < old_count; i++) {
        if (old[i].id != id || (is_member && old[i].left_index != 0)) {
            continue;
        }
        struct raft_progress taken = old[i];
        old[i].inflights = NULL; /* goes along */
        return taken;
    }
    return make_progress(raft, id);
}

/* Fills `ids` with nodes that have a slot, are no members any more, and stay for a while: first come those
 * that left last. */
static uint32_t list_left(const struct raft *raft, uint32_t room, raft_node_id *ids)
{
    uint32_t count = 0;
    uint64_t before = UINT64_MAX;
    while (count < room) {
        uint64_t latest = 0;
        for (uint32_t i = 1; i < raft->slots_count; i++) {
            uint64_t left = raft->progress[i].left_index;
            latest = left < before && left > latest ? left : latest;
        }
        if (latest == 0) {
            break;
        }
        for (uint32_t i = 1; i < raft->slots_count && count < room; i++) {
            if (raft->progress[i].left_index == latest) {
                ids[count++] = raft->progress[i].id;
            }
        }
        before = latest;
    }
    return count;
}

/* Members first, then those who left; both in rising order. Slot 0 is this node. */
static void fill_slots(struct raft *raft, const raft_node_id *members, uint32_t members_count,
                       const raft_node_id *left, uint32_t left_count)
{
    struct raft_progress old[RAFT_SLOTS_MAX];
    uint32_t old_count = raft->slots_count;
    memcpy(old, raft->progress, old_count * sizeof *old);
    raft->slots_count = 0;
    raft->progress[raft->slots_count++] = take_progress(raft, old, old_count, raft->config.id, false);
    for (uint32_t i = 0; i < members_count; i++) {
        if (members[i] != raft->config.id) {
            raft->progress[raft->slots_count++] = take_progress(raft, old, old_count, members[i], true);
        }
    }
    for (uint32_t i = 0; i < left_count; i++) {
        raft->progress[raft->slots_count++] = take_progress(raft, old, old_count, left[i], false);
    }
    raft->left_count = left_count;
    for (uint32_t i = 0; i < old_count; i++) {
        raft_progress_deinit(&old[i]);
    }
}

static uint32_t bits_of(const struct raft *raft, const raft_node_id *ids, uint32_t count)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = raft_find_slot(raft, ids[i]);
        raft_assert(slot != RAFT_SLOT_NONE);
        bits |= raft_quorum_bit(slot);
    }
    return bits;
}

static void rebuild_slots(struct raft *raft)
{
    const struct raft_membership *membership = &raft_configuration_now(raft)->membership;
    raft_node_id members[RAFT_NODES_MAX];
    uint32_t members_count = raft_membership_list(membership, members);
    raft_node_id left[RAFT_SLOTS_MAX];
    uint32_t left_count = list_left(raft, RAFT_SLOTS_MAX - 1 - members_count, left);
    fill_slots(raft, members, members_count, left, left_count);
    raft->quorum.voters = bits_of(raft, membership->voters, membership->voters_count);
    raft->quorum.outgoing = bits_of(raft, membership->outgoing, membership->outgoing_count);
}

/* The configuration in effect does not name it any more, and it is to hear of that: raft_change. */
static void mark_left(const struct raft *raft, struct raft_progress *progress)
{
    progress->left_index = raft_configuration_now(raft)->id.index;
    progress->left_deadline_ms = RAFT_NEVER_MS;
    progress->farewell_round = 0;
    raft_assert(progress->left_index > 0);
}

/* Another configuration is in effect. */
static void take_effect(struct raft *raft)
{
    raft_assert(raft->role == RAFT_FOLLOWER || raft->role == RAFT_LEADER); /* no votes are being counted */
    const struct raft_configuration *now = raft_configuration_now(raft);
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        struct raft_progress *progress = &raft->progress[i];
        bool member = raft_membership_find(&now->membership, progress->id) != RAFT_MEMBER_NONE;
        if (raft->role == RAFT_LEADER && !member && progress->left_index == 0) {
            mark_left(raft, progress);
        } else if (raft->role == RAFT_LEADER && member && progress->left_index != 0) {
            progress->left_index = UINT64_MAX; /* is back: begins anew */
        }
    }
    rebuild_slots(raft);
}

void raft_configuration_drop_left(struct raft *raft, bool (*is_done)(const struct raft *raft, uint32_t slot))
{
    if (raft->left_count == 0) {
        return;
    }
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        if (raft->progress[i].left_index != 0 && (is_done == NULL || is_done(raft, i))) {
            raft->progress[i].left_index = UINT64_MAX;
        }
    }
    rebuild_slots(raft);
}

void raft_configuration_find_left(struct raft *raft)
{
    raft_assert(raft->role == RAFT_LEADER && raft->left_count == 0);
    const struct raft_configurations *list = &raft->configurations;
    for (uint32_t i = 0; i + 1 < list->count; i++) {
        raft_node_id ids[RAFT_NODES_MAX];
        uint32_t count = raft_membership_list(&list->items[i].membership, ids);
        for (uint32_t k = 0; k < count && raft->slots_count < RAFT_SLOTS_MAX; k++) {
            if (raft_find_slot(raft, ids[k]) != RAFT_SLOT_NONE) {
                continue;
            }
            struct raft_progress *progress = &raft->progress[raft->slots_count++];
            *progress = make_progress(raft, ids[k]);
            mark_left(raft, progress);
            raft->left_count++;
        }
    }
}

/* ---- changes --------------------------------------------------------------------------------- */

/* What is committed cannot be rolled back: those before the last such one are of no use any more. */
static void forget_superseded(struct raft *raft)
{
    struct raft_configurations *list = &raft->configurations;
    uint32_t superseded = 0;
    while (superseded + 1 < list->count && list->items[superseded + 1].id.index <= raft->log.commit) {
        superseded++;
        list->was_member = list->was_member || names_self(raft, &list->items[superseded]);
    }
    drop_first(list, superseded);
}

void raft_configuration_init(struct raft *raft, const struct raft_restore *restore)
{
    struct raft_configurations *list = &raft->configurations;
    uint64_t previous = 0;
    push(list, (struct raft_configuration){.id = {0, 0}}); /* none is known */
    for (uint32_t i = 0; i < restore->memberships_count; i++) {
        const struct raft_membership_entry *entry = &restore->memberships[i];
        raft_assert(i == 0 || (entry->id.index > restore->applied && entry->id.index > previous));
        raft_assert(entry->id.index <= raft->log.base.index || raft_log_holds(&raft->log, entry->id));
        if (i == 0 && entry->id.index <= restore->applied) {
            drop_first(list, 1);
        }
        push(list, make_configuration(raft, entry->id, entry->payload));
        previous = entry->id.index;
    }
    list->was_member = names_self(raft, &list->items[0]) && list->items[0].id.index <= raft->log.commit;
    forget_superseded(raft);
    raft->slots_count = 0;
    rebuild_slots(raft);
}

void raft_configuration_deinit(struct raft *raft)
{
    drop_first(&raft->configurations, raft->configurations.count);
    free(raft->configurations.items);
    for (uint32_t i = 0; i < raft->slots_count; i++) {
        raft_progress_deinit(&raft->progress[i]);
    }
}

void raft_configuration_on_append(struct raft *raft, const struct raft_entry *entry)
{
    if (entry->type != RAFT_ENTRY_MEMBERSHIP) {
        return;
    }
    raft_assert(entry->id.index > raft_configuration_now(raft)->id.index);
    raft_assert(entry->id.index > raft->log.commit);
    push(&raft->configurations, make_configuration(raft, entry->id, entry->payload));
    take_effect(raft);
}

void raft_configuration_on_truncate(struct raft *raft, uint64_t first_dropped)
{
    struct raft_configurations *list = &raft->configurations;
    raft_assert(raft->role == RAFT_FOLLOWER);
    bool changed = false;
    while (raft_configuration_now(raft)->id.index >= first_dropped) {
        raft_assert(list->count > 1); /* the first one is committed */
        raft_payload_unref(list->items[--list->count].payload);
        changed = true;
    }
    if (changed) {
        take_effect(raft);
    }
}

void raft_configuration_on_install(struct raft *raft, struct raft_entry_id upto, struct raft_payload *payload)
{
    struct raft_configurations *list = &raft->configurations;
    raft_assert(raft->log.base.index == upto.index && raft->log.commit >= upto.index);
    while (list->count > 0 && list->items[list->count - 1].id.index > raft->log.last_index) {
        raft_payload_unref(list->items[--list->count].payload);
    }
    uint32_t covered = 0;
    while (covered < list->count && list->items[covered].id.index <= upto.index) {
        covered++;
    }
    drop_first(list, covered);
    push(list, make_configuration(raft, upto, payload));
    struct raft_configuration installed = list->items[list->count - 1];
    memmove(list->items + 1, list->items, (list->count - 1) * sizeof *list->items);
    list->items[0] = installed;
    list->was_member = list->was_member || names_self(raft, &installed);
    forget_superseded(raft);
    take_effect(raft);
}

bool raft_configuration_commit_to(struct raft *raft, uint64_t index)
{
    if (!raft_log_commit_to(&raft->log, index)) {
        return false;
    }
    forget_superseded(raft);
    return true;
}

/* ---- questions ------------------------------------------------------------------------------- */

static bool is_voter_in(const struct raft *raft, const struct raft_configuration *configuration)
{
    enum raft_member_kind kind = raft_membership_find(&configuration->membership, raft->config.id);
    return configuration->is_of_this_node && (kind == RAFT_MEMBER_VOTER || kind == RAFT_MEMBER_OUTGOING);
}

/* Thesis 4.2.2: a server that the latest configuration has taken out still starts elections while that is
 * not committed: it may be the only one whose log can win. Nobody needs one that no such configuration names.
 * One that joins under an id that another node had reads of that one's time first: those votes are not its
 * own. */
bool raft_configuration_may_campaign(const struct raft *raft)
{
    if (names_another_by_own_id(raft, raft_configuration_now(raft))) {
        return false; /* what it would count for itself is the other's */
    }
    for (uint32_t i = 0; i < raft->configurations.count; i++) {
        if (is_voter_in(raft, &raft->configurations.items[i])) {
            return true;
        }
    }
    return false;
}

bool raft_configuration_is_alone(const struct raft *raft)
{
    return raft_quorum_is_reached(&raft->quorum, raft_quorum_bit(RAFT_SLOT_SELF));
}

static void check_slots(const struct raft *raft)
{
    const struct raft_membership *membership = &raft_configuration_now(raft)->membership;
    raft_node_id members[RAFT_NODES_MAX];
    uint32_t members_count = raft_membership_list(membership, members);
    uint32_t left = 0;
    raft_assert(raft->progress[RAFT_SLOT_SELF].id == raft->config.id);
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        const struct raft_progress *progress = &raft->progress[i];
        bool member = raft_membership_find(membership, progress->id) != RAFT_MEMBER_NONE;
        raft_assert(progress->id != raft->config.id && member == (progress->left_index == 0));
        raft_assert(!member || i == 1 || progress->id > raft->progress[i - 1].id);
        left += member ? 0 : 1;
    }
    raft_assert(left == raft->left_count && (left == 0 || raft->role == RAFT_LEADER));
    bool self_in = raft_membership_find(membership, raft->config.id) != RAFT_MEMBER_NONE;
    raft_assert(raft->slots_count == members_count + left + (self_in ? 0 : 1));
    raft_assert(raft->quorum.voters == bits_of(raft, membership->voters, membership->voters_count));
    raft_assert(raft->quorum.outgoing == bits_of(raft, membership->outgoing, membership->outgoing_count));
}

void raft_configuration_check_invariants(const struct raft *raft)
{
    const struct raft_configurations *list = &raft->configurations;
    raft_assert(list->count > 0 && raft->slots_count >= 1 && raft->slots_count <= RAFT_SLOTS_MAX);
    raft_assert(list->items[0].id.index <= raft->log.commit);
    raft_assert(raft->role == RAFT_FOLLOWER || !names_another_by_own_id(raft, raft_configuration_now(raft)));
    for (uint32_t i = 0; i < list->count; i++) {
        const struct raft_configuration *item = &list->items[i];
        raft_assert(item->payload == NULL ? item->membership.voters_count == 0
                                          : raft_membership_is_valid(&item->membership));
        raft_assert(i == 0 || item->id.index > raft->log.commit);
        raft_assert(i == 0 || item->id.index > list->items[i - 1].id.index);
        raft_assert(item->id.index < raft->log.base.index || item->id.index == 0 ||
                    raft_log_holds(&raft->log, item->id));
    }
    check_slots(raft);
}
