/* sim_promise.c: see sim_promise.h. */
#include "sim_promise.h"

#include "sim_check.h"
#include "sim_members.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRY_OVERHEAD_BYTES = 64, LARGE_BYTES = 800, PAGE_BYTES = 4096 }; /* in the log, roughly */

#define XXH_INLINE_ALL
#include <xxhash.h>

/* A vote that a disk holds, for ever. */
struct vote {
    uint64_t term, candidate;
};

/* What the disk of a node holds. */
struct disk {
    uint64_t term, vote;
    struct raft_entry_id base, last;
    uint64_t *terms; /* of entry i at terms[i] */
    size_t terms_capacity;
    struct vote *votes; /* terms ascend */
    size_t votes_count, votes_capacity;
    /* What the disk before held, as long as the node counts as the same member: what it has promised may be
     * on its way still. NULL: none. */
    struct disk *lost;
};

/* An entry as it was first seen on a disk or in a message. */
struct content {
    struct raft_entry entry; /* with a reference to its payload */
    uint64_t hash, previous_term;
    bool has_previous;
    struct content *next; /* of the same index, another term */
};

struct sim_promise {
    struct disk disks[SIM_NODES_MAX];
    struct content **contents; /* by index */
    size_t contents_count;
};

void sim_promise_create(struct sim *sim)
{
    sim->promise = sim_allocate(sizeof *sim->promise);
}

static void free_disk(struct disk *disk)
{
    if (disk->lost != NULL) {
        free_disk(disk->lost);
        free(disk->lost);
    }
    free(disk->terms);
    free(disk->votes);
    memset(disk, 0, sizeof *disk);
}

void sim_promise_destroy(struct sim *sim)
{
    struct sim_promise *promise = sim->promise;
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        free_disk(&promise->disks[i]);
    }
    for (size_t i = 0; i < promise->contents_count; i++) {
        while (promise->contents[i] != NULL) {
            struct content *content = promise->contents[i];
            promise->contents[i] = content->next;
            raft_payload_unref(content->entry.payload);
            free(content);
        }
    }
    free(promise->contents);
    free(promise);
}

static struct disk *disk_of(const struct sim_node *node)
{
    return &node->sim->promise->disks[node->number];
}

/* True if the disk holds this entry, or held it when it was dropped by compaction. */
static bool holds(const struct disk *disk, struct raft_entry_id id)
{
    return id.index <= disk->base.index || (id.index <= disk->last.index && disk->terms[id.index] == id.term);
}

/* The same, or a disk that was in its place did. */
static bool held(const struct disk *disk, struct raft_entry_id id)
{
    return holds(disk, id) || (disk->lost != NULL && held(disk->lost, id));
}

static void set_term(struct disk *disk, uint64_t index, uint64_t term)
{
    disk->terms = sim_grow_to(disk->terms, index, &disk->terms_capacity, sizeof *disk->terms);
    disk->terms[index] = term;
}

/* ---- log matching -------------------------------------------------------------------------------- */

static struct content *find_content(struct sim_promise *promise, struct raft_entry_id id)
{
    promise->contents =
        sim_grow_to(promise->contents, id.index, &promise->contents_count, sizeof(struct content *));
    struct content *content = promise->contents[id.index];
    while (content != NULL && content->entry.id.term != id.term) {
        content = content->next;
    }
    return content;
}

/* An index and a term name one entry, and one before it: by induction, logs that agree in one entry agree in
 * all before it (thesis 3.5, Log Matching Property). */
static void check_content(struct sim_node *node, const struct raft_entry *entry, bool has_previous,
                          uint64_t previous_term)
{
    struct sim_promise *promise = node->sim->promise;
    sim_members_note(node->sim, entry);
    uint64_t hash = entry->payload == NULL ? 1 : XXH3_64bits(entry->payload->bytes, entry->payload->size);
    hash = hash * 31 + (uint64_t)entry->type;
    struct content *content = find_content(promise, entry->id);
    if (content == NULL) {
        content = sim_allocate(sizeof *content);
        content->entry = *entry;
        raft_payload_ref(entry->payload);
        content->hash = hash;
        content->next = promise->contents[entry->id.index];
        promise->contents[entry->id.index] = content;
    }
    if (has_previous && !content->has_previous) {
        content->has_previous = true;
        content->previous_term = previous_term;
    }
    if (content->hash != hash || (has_previous && content->previous_term != previous_term)) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "log matching: node %" PRIu64 " has another entry %" PRIu64 " of term %" PRIu64
                 " than others, or another one before it",
                 node->id, entry->id.index, entry->id.term);
    }
}

/* ---- votes --------------------------------------------------------------------------------------- */

static struct vote *find_vote(const struct disk *disk, uint64_t term)
{
    for (size_t i = disk->votes_count; i > 0 && disk->votes[i - 1].term >= term; i--) {
        if (disk->votes[i - 1].term == term) {
            return &disk->votes[i - 1];
        }
    }
    return NULL;
}

/* One vote in a term, in the whole life of a node. */
static void note_vote(struct sim_node *node, uint64_t term, uint64_t candidate)
{
    struct disk *disk = disk_of(node);
    const struct vote *known = find_vote(disk, term);
    if (known != NULL && known->candidate != candidate) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " votes for node %" PRIu64 " in term %" PRIu64
                 ", and has voted for node %" PRIu64,
                 node->id, candidate, term, known->candidate);
    }
    if (known != NULL) {
        return;
    }
    disk->votes = sim_grow(disk->votes, disk->votes_count, &disk->votes_capacity, sizeof *disk->votes);
    size_t at = disk->votes_count++;
    for (; at > 0 && disk->votes[at - 1].term > term; at--) {
        disk->votes[at] = disk->votes[at - 1];
    }
    disk->votes[at] = (struct vote){term, candidate};
}

static bool has_vote(const struct disk *disk, uint64_t term, uint64_t candidate)
{
    const struct vote *vote = find_vote(disk, term);
    return (vote != NULL && vote->candidate == candidate) ||
           (disk->lost != NULL && has_vote(disk->lost, term, candidate));
}

/* ---- writes -------------------------------------------------------------------------------------- */

static void write_hard_state(struct sim_node *node, const struct log_hard_state *state)
{
    struct disk *disk = disk_of(node);
    if (state->term < disk->term ||
        (state->term == disk->term && disk->vote != 0 && state->vote != disk->vote)) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " writes term %" PRIu64 ", vote %" PRIu64 " over term %" PRIu64
                 ", vote %" PRIu64,
                 node->id, state->term, state->vote, disk->term, disk->vote);
    }
    disk->term = state->term;
    disk->vote = state->vote;
    if (state->vote != 0) {
        note_vote(node, state->term, state->vote);
    }
}

/* The nodes whose disks hold an entry, or did: a bit for each. */
static uint64_t holders(const struct sim *sim, struct raft_entry_id id)
{
    uint64_t disks = 0;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        disks |= (uint64_t)held(&sim->promise->disks[i], id) << i;
    }
    return disks;
}

/* Whether what these disks hold is safe. Where it is committed by the last committed configuration, or by
 * one before it, a majority of that one's voters has it for ever: they hold its entry, and with it all
 * before. Else a later configuration committed it, which is not committed itself and may be in no log any
 * more; but then no majority of the last committed one is without it: such a one could elect a leader that
 * is, too. */
static bool is_safe_on(const struct sim *sim, uint64_t disks)
{
    const struct sim_configuration *now = sim_members_committed(sim);
    if (sim_members_is_majority(&now->membership, disks)) {
        return true;
    }
    bool by_later = false;
    const struct sim_configuration *other;
    for (size_t i = 0; !by_later && (other = sim_members_at(sim, i)) != NULL; i++) {
        by_later = other->id.index > now->id.index && sim_members_is_majority(&other->membership, disks);
    }
    return by_later && !sim_members_is_majority(&now->membership, ~disks);
}

/* What is committed stays on a majority of disks; and every leader of a later term than that in which it was
 * committed has it, so that none makes a follower drop it. One of an earlier term may: it does not know, and
 * the copy was not counted (thesis figure 3.7, with the old leader back among its followers). by_term: of the
 * entries that take the place; UINT64_MAX: nothing committed may go. */
static void check_dropped(struct sim_node *node, uint64_t from, uint64_t by_term)
{
    struct sim *sim = node->sim;
    const struct disk *disk = disk_of(node);
    const struct raft_membership *members = &sim_members_committed(sim)->membership;
    uint64_t committed = sim_check_committed(sim);
    for (uint64_t index = from; index <= disk->last.index && index <= committed; index++) {
        struct raft_entry_id id = {sim_check_committed_term(sim, index), index};
        if (id.term != disk->terms[index]) {
            continue;
        }
        uint64_t left = holders(sim, id) & ~(UINT64_C(1) << node->number);
        if (!is_safe_on(sim, left) || sim_check_committed_in_term(sim, index) < by_term) {
            sim_fail(sim, SIM_CORRECTNESS,
                     "node %" PRIu64 " drops entry %" PRIu64 " of term %" PRIu64
                     " from its disk, which was committed in term %" PRIu64
                     ": %u disks of %u still hold it%s",
                     node->id, index, id.term, sim_check_committed_in_term(sim, index),
                     sim_members_count(members, left), members->voters_count,
                     members->outgoing_count > 0 ? ", of the new voters" : "");
        }
    }
}

static void write_entries(struct sim_node *node, const struct disk_job *job)
{
    struct disk *disk = disk_of(node);
    if (job->entries_count == 0) {
        return;
    }
    uint64_t first = job->entries[0].id.index;
    uint64_t last = job->entries[job->entries_count - 1].id.index;
    uint64_t same = first;
    while (same <= last && same <= disk->last.index &&
           disk->terms[same] == job->entries[same - first].id.term) {
        same++; /* written once more: nothing is lost */
    }
    check_dropped(node, same, same <= last ? job->entries[same - first].id.term : 0);
    for (uint32_t i = 0; i < job->entries_count; i++) {
        uint64_t index = job->entries[i].id.index;
        uint64_t previous = index - 1 == disk->base.index      ? disk->base.term
                            : index - 1 < disk->terms_capacity ? disk->terms[index - 1]
                                                               : 0;
        check_content(node, &job->entries[i], true, previous);
        set_term(disk, index, job->entries[i].id.term);
    }
    disk->last = job->entries[job->entries_count - 1].id;
}

static void check_hint(struct sim_node *node, uint64_t hint)
{
    const struct disk *disk = disk_of(node);
    if (hint > disk->last.index || hint > sim_check_committed(node->sim)) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " writes the commit hint %" PRIu64 ", but its log ends at %" PRIu64
                 " and %" PRIu64 " is committed",
                 node->id, hint, disk->last.index, sim_check_committed(node->sim));
    }
}

/* The log names a snapshot: it begins after it, and keeps what goes on from that very entry. */
static void install(struct sim_node *node, const struct disk_job *job)
{
    struct disk *disk = disk_of(node);
    struct raft_entry_id base = {job->install.base.term, job->install.base.index};
    if (base.index > sim_check_committed(node->sim) ||
        sim_check_committed_term(node->sim, base.index) != base.term) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " installs a snapshot up to entry %" PRIu64 " of term %" PRIu64
                 ", which is not committed",
                 node->id, base.index, base.term);
    }
    if (base.index <= disk->base.index) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " installs a snapshot up to entry %" PRIu64 ", its log began after %" PRIu64,
                 node->id, base.index, disk->base.index);
    }
    bool goes_on = base.index <= disk->last.index && disk->terms[base.index] == base.term;
    if (!goes_on && base.index < disk->last.index) {
        /* Nothing that is committed stands behind an entry that conflicts with a committed one. */
        check_dropped(node, base.index + 1, UINT64_MAX);
    }
    disk->last = goes_on ? disk->last : base;
    disk->base = base;
}

void sim_promise_written(struct sim_node *node, const struct disk_job *job)
{
    struct disk *disk = disk_of(node);
    if (job->installs) {
        install(node, job);
    }
    if (job->write.hard_state != NULL) {
        write_hard_state(node, job->write.hard_state);
    }
    write_entries(node, job);
    check_hint(node, job->write.commit_hint);
    const struct log_store_state *state = &job->log_state;
    if (state->base.index > disk->base.index) {
        uint64_t durable = map_durable_index(replica_map(node->replica));
        if (state->base.index > durable) {
            sim_fail(node->sim, SIM_CORRECTNESS,
                     "node %" PRIu64 " drops entry %" PRIu64 ", but its map on disk has only %" PRIu64,
                     node->id, state->base.index, durable);
        }
        disk->base = (struct raft_entry_id){state->base.term, state->base.index};
    }
    sim_promise_opened(node);
}

/* ---- opening ------------------------------------------------------------------------------------- */

struct opened {
    struct sim_node *node;
    uint64_t first, term; /* of the stretch that was seen last */
};

static void check_stretch(const struct opened *opened, uint64_t end)
{
    const struct disk *disk = disk_of(opened->node);
    for (uint64_t index = opened->first; opened->term != 0 && index <= end; index++) {
        if (index <= disk->last.index && disk->terms[index] != opened->term) {
            sim_fail(opened->node->sim, SIM_CORRECTNESS,
                     "entry %" PRIu64 " on the disk of node %" PRIu64 " is said to be of term %" PRIu64
                     ", but term %" PRIu64 " was written",
                     index, opened->node->id, opened->term, disk->terms[index]);
        }
    }
}

static void on_stretch(void *context, uint64_t first_index, uint64_t term)
{
    struct opened *opened = context;
    check_stretch(opened, first_index - 1);
    opened->first = first_index;
    opened->term = term;
}

void sim_promise_opened(struct sim_node *node)
{
    const struct disk *disk = disk_of(node);
    struct log_store_state state;
    log_store_get_state(node->log, &state);
    if (state.hard_state.term != disk->term || state.hard_state.vote != disk->vote ||
        state.base.index != disk->base.index || state.last.index != disk->last.index ||
        (state.last.index > state.base.index && state.last.term != disk->last.term)) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "the log of node %" PRIu64 " has term %" PRIu64 ", vote %" PRIu64 ", entries after %" PRIu64
                 " to %" PRIu64 "; written were term %" PRIu64 ", vote %" PRIu64 ", entries after %" PRIu64
                 " to %" PRIu64,
                 node->id, state.hard_state.term, state.hard_state.vote, state.base.index, state.last.index,
                 disk->term, disk->vote, disk->base.index, disk->last.index);
    }
}

void sim_promise_started(struct sim_node *node)
{
    struct opened opened = {.node = node};
    struct storage_error error = {{0}};
    if (log_store_term_runs(node->log, on_stretch, &opened, &error) != STORAGE_OK) {
        sim_fail(node->sim, SIM_CORRECTNESS, "the log of node %" PRIu64 " cannot be read: %s", node->id,
                 error.text);
    }
    check_stretch(&opened, disk_of(node)->last.index);
    sim_promise_opened(node);
}

/* ---- promises ------------------------------------------------------------------------------------ */

/* A vote of a term that is over on this disk cannot be given a second time, written down or not. */
static void check_granted(struct sim_node *node, const struct raft_message *message)
{
    const struct disk *disk = disk_of(node);
    if (disk->term <= message->term && !has_vote(disk, message->term, message->to)) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " grants node %" PRIu64 " a vote in term %" PRIu64
                 " that its disk does not hold",
                 node->id, message->to, message->term);
    }
    note_vote(node, message->term, message->to);
}

void sim_promise_sent(struct sim_node *node, const struct raft_message *message)
{
    const struct disk *disk = disk_of(node);
    for (uint32_t i = 0; i < message->entries_count; i++) {
        check_content(node, &message->entries[i], true,
                      i == 0 ? message->log.term : message->entries[i - 1].id.term);
    }
    if (message->reject) {
        return;
    }
    if (message->type == RAFT_MESSAGE_VOTE_RESPONSE) {
        check_granted(node, message);
    }
    if (message->type == RAFT_MESSAGE_APPEND_RESPONSE &&
        (!holds(disk, message->log) || disk->term < message->term)) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " acknowledges entry %" PRIu64 " of term %" PRIu64 " in term %" PRIu64
                 ", which its disk does not hold",
                 node->id, message->log.index, message->log.term, message->term);
    }
}

void sim_promise_state(struct sim_node *node, uint64_t term, uint64_t vote)
{
    const struct disk *disk = disk_of(node);
    if (term < disk->term || (term == disk->term && disk->vote != 0 && vote != disk->vote)) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " is in term %" PRIu64 " with vote %" PRIu64
                 ", but its disk holds term %" PRIu64 ", vote %" PRIu64,
                 node->id, term, vote, disk->term, disk->vote);
    }
}

static bool disk_holds(const void *context, struct raft_entry_id id)
{
    const struct sim_node *node = context;
    const struct disk *disk = disk_of(node);
    return id.index > disk->base.index ? holds(disk, id)
                                       : id.index <= sim_check_committed(node->sim) &&
                                             sim_check_committed_term(node->sim, id.index) == id.term;
}

void sim_promise_leader(struct sim_node *node, uint64_t term)
{
    struct sim *sim = node->sim;
    const struct disk *disk = disk_of(node);
    const struct sim_configuration *now =
        sim_members_latest(sim, disk_holds, node, !node->joins || disk->base.index > 0);
    uint64_t votes = 0;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        votes |= (uint64_t)has_vote(&sim->promise->disks[i], term, node->id) << i;
    }
    if (now == NULL || !sim_members_is_majority(&now->membership, votes) || !has_vote(disk, term, node->id)) {
        sim_fail(sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " leads term %" PRIu64 " with the votes of %u disks of %u%s", node->id, term,
                 now == NULL ? 0 : sim_members_count(&now->membership, votes),
                 now == NULL ? 0 : now->membership.voters_count,
                 now != NULL && now->membership.outgoing_count > 0 ? ", or too few of the old voters" : "");
    }
}

void sim_promise_committed(struct sim_node *node, struct raft_entry_id id, const struct sim_configuration *by,
                           const struct sim_configuration *before)
{
    struct sim *sim = node->sim;
    uint64_t disks = holders(sim, id);
    bool reached = (by != NULL && sim_members_is_majority(&by->membership, disks)) ||
                   (before != NULL && sim_members_is_majority(&before->membership, disks));
    /* One that leads took it for committed before, but was killed before the end of that turn. */
    for (size_t i = 0; !reached && raft_get_role(sim_node_raft(node)) != RAFT_LEADER; i++) {
        const struct sim_configuration *other = sim_members_at(sim, i);
        if (other == NULL) {
            break;
        }
        reached = sim_members_is_majority(&other->membership, disks);
    }
    if (!reached) {
        sim_fail(sim, SIM_CORRECTNESS,
                 "node %" PRIu64 " takes entry %" PRIu64 " of term %" PRIu64
                 " for committed, which %u disks of %u hold%s",
                 node->id, id.index, id.term, by == NULL ? 0 : sim_members_count(&by->membership, disks),
                 by == NULL ? 0 : by->membership.voters_count,
                 by != NULL && by->membership.outgoing_count > 0 ? ", or too few of the old voters" : "");
    }
}

void sim_promise_forget(struct sim_node *node, bool is_same_member)
{
    struct disk *disk = disk_of(node);
    if (!is_same_member) {
        free_disk(disk);
        return;
    }
    struct disk *lost = sim_allocate(sizeof *lost);
    *lost = *disk;
    *disk = (struct disk){.lost = lost};
}

static bool voted_for_itself(const struct sim *sim, uint32_t number, uint64_t term)
{
    const struct vote *vote = find_vote(&sim->promise->disks[number], term);
    return vote != NULL && vote->candidate == sim->nodes[number]->id;
}

uint64_t sim_promise_rival_terms(const struct sim *sim)
{
    uint64_t terms = 0;
    for (uint32_t i = 1; i < sim->nodes_count; i++) {
        const struct disk *disk = &sim->promise->disks[i];
        for (size_t v = 0; v < disk->votes_count; v++) {
            uint32_t rivals = 0; /* before this one */
            for (uint32_t other = 0; other < i; other++) {
                rivals += voted_for_itself(sim, other, disk->votes[v].term);
            }
            terms += rivals == 1 && voted_for_itself(sim, i, disk->votes[v].term);
        }
    }
    return terms;
}

bool sim_promise_holds(const struct sim_node *node, struct raft_entry_id id)
{
    return holds(disk_of(node), id);
}

uint64_t sim_promise_last_index(const struct sim_node *node)
{
    return disk_of(node)->last.index;
}

uint64_t sim_promise_base_index(const struct sim_node *node)
{
    return disk_of(node)->base.index;
}

uint64_t sim_promise_lag_bytes(const struct sim_node *node)
{
    struct sim *sim = node->sim;
    uint64_t bytes = 0;
    for (uint64_t index = disk_of(node)->last.index + 1; index <= sim_check_committed(sim); index++) {
        struct raft_entry_id id = {sim_check_committed_term(sim, index), index};
        const struct content *content = find_content(sim->promise, id);
        size_t size = content == NULL ? 0 : raft_entry_bytes(&content->entry);
        bytes += size > LARGE_BYTES ? size + 2 * PAGE_BYTES : size + ENTRY_OVERHEAD_BYTES;
    }
    return bytes;
}

const struct raft_entry *sim_promise_committed_entry(struct sim *sim, uint64_t index)
{
    if (index == 0 || index > sim_check_committed(sim)) {
        return NULL;
    }
    struct raft_entry_id id = {sim_check_committed_term(sim, index), index};
    const struct content *content = find_content(sim->promise, id);
    return content == NULL ? NULL : &content->entry;
}
