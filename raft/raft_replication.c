/* raft_replication.c: see raft_replication.h.
 *
 * Conflicts skip whole terms on both sides. A follower that refuses an APPEND after {term, index} answers
 * with the last entry of its own, not beyond index, whose term is <= term: nothing later of it can match.
 * The leader takes that hint and looks for its own last entry, not beyond the hint, whose term is <= the
 * hint's: nothing later of its own can match either. So a probe costs at most one round trip per term.
 *
 * Lost messages: an answer to a heartbeat from a follower that has owed answers for a heartbeat interval
 * makes the leader send an empty APPEND at the end of what it sent; a follower that lacks something refuses
 * it, and is probed. So no loss wedges a follower, whatever its in-flight window looks like.
 */
#include "raft_replication.h"

#include "raft_assert.h"
#include "raft_change.h"
#include "raft_internal.h"
#include "raft_memory.h"
#include "raft_role.h"
#include "raft_snapshot.h"
#include "raft_transfer.h"

enum {
    APPEND_ENTRIES_MAX = 1024, /* in one APPEND, however small they are */
    /* Followers hear of a commit by the next APPEND; if none follows within this part of the heartbeat
     * interval, by a heartbeat. Under load it costs nothing, and when all is quiet they are not behind. */
    COMMIT_NEWS_PART = 8,
};

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void raft_replication_start(struct raft *raft)
{
    raft_assert(raft->role == RAFT_LEADER);
    for (uint32_t i = 0; i < raft->slots_count; i++) {
        raft_progress_reset(&raft->progress[i], raft->log.last_index + 1, raft->now_ms);
    }
    raft->reads.confirmed_round = raft->reads.last_round;
    raft->heartbeat_deadline_ms = raft->now_ms + raft->config.heartbeat_interval_ms;
    raft->quorum_deadline_ms = raft->now_ms + raft->config.election_timeout_ms;
    raft->commit_news_deadline_ms = RAFT_NEVER_MS;
    raft->noop_index = raft_replication_append(raft, RAFT_ENTRY_NOOP, NULL).index;
    raft_assert(raft->noop_index > raft->log.commit);
}

struct raft_entry_id raft_replication_append(struct raft *raft, enum raft_entry_type type,
                                             struct raft_payload *payload)
{
    raft_assert(raft->role == RAFT_LEADER);
    struct raft_entry entry = {
        .id = {.term = raft->hard_state.term, .index = raft->log.last_index + 1},
        .type = type,
        .payload = payload,
    };
    raft_log_append(&raft->log, &entry, 1);
    raft_configuration_on_append(raft, &entry);
    raft->replication_due = true;
    return entry.id;
}

bool raft_replication_is_full(const struct raft *raft)
{
    uint64_t stable = min_u64(raft->log.durable, raft->log.commit);
    return raft_log_bytes_after(&raft->log, stable) > raft->config.unstable_bytes_max;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void note_commit_told(struct raft_progress *progress, uint64_t commit)
{
    if (commit > progress->commit_told) {
        progress->commit_told = commit;
    }
}

/* Sends an APPEND after progress->next - 1 with the given entries, which are copied. */
static void send_append(struct raft *raft, uint32_t slot, struct raft_entry *entries, uint32_t entries_count,
                        uint64_t *round)
{
    struct raft_progress *progress = &raft->progress[slot];
    uint64_t previous = progress->next - 1;
    raft_assert(previous >= raft->log.base.index);
    raft_assert(entries_count == 0 || entries[0].id.index == progress->next);
    struct raft_message append = raft_new_message(raft, RAFT_MESSAGE_APPEND, raft->progress[slot].id);
    append.log = (struct raft_entry_id){.term = raft_log_term(&raft->log, previous), .index = previous};
    append.commit = raft->log.commit;
    append.round = *round;
    append.entries = entries;
    append.entries_count = entries_count;
    *round = 0; /* one message carries it */
    note_commit_told(progress, min_u64(append.commit, previous + entries_count));
    raft_send(raft, &append);
}

static void send_heartbeat(struct raft *raft, uint32_t slot, uint64_t round)
{
    struct raft_progress *progress = &raft->progress[slot];
    struct raft_message heartbeat = raft_new_message(raft, RAFT_MESSAGE_HEARTBEAT, raft->progress[slot].id);
    heartbeat.log = raft->held_by_all;
    /* Beyond its match the follower may hold something else than we do. */
    heartbeat.commit = min_u64(progress->match, raft->log.commit);
    heartbeat.round = round;
    note_commit_told(progress, heartbeat.commit);
    raft_change_on_farewell(raft, slot, heartbeat.commit, round);
    raft_send(raft, &heartbeat);
}

/* Copies cached entries from `first` on, as many as one APPEND may carry, but at least one. */
static uint32_t gather_entries(const struct raft *raft, uint64_t first, struct raft_entry **entries,
                               uint64_t *bytes)
{
    uint32_t count = 0;
    *bytes = 0;
    for (uint64_t index = first; index <= raft->log.last_index && count < APPEND_ENTRIES_MAX; index++) {
        const struct raft_entry *entry = raft_log_cached(&raft->log, index);
        uint64_t size = raft_entry_bytes(entry);
        if (count > 0 && *bytes + size > raft->config.append_bytes_max) {
            break;
        }
        *bytes += size;
        count++;
    }
    raft_assert(count > 0);
    *entries = raft_memory_allocate(count, sizeof **entries);
    for (uint32_t i = 0; i < count; i++) {
        (*entries)[i] = *raft_log_cached(&raft->log, first + i);
        raft_payload_ref((*entries)[i].payload);
    }
    return count;
}

static bool has_cached(const struct raft *raft, uint64_t index)
{
    return index <= raft->log.last_index && raft_log_cached(&raft->log, index) != NULL;
}

static void send_probe(struct raft *raft, uint32_t slot, uint64_t *round)
{
    struct raft_progress *progress = &raft->progress[slot];
    raft_assert(progress->state == RAFT_PROGRESS_PROBE);
    if (progress->probe_sent) {
        return;
    }
    struct raft_entry *entries = NULL;
    uint32_t count = 0;
    uint64_t bytes;
    /* A repeated probe, and one whose entries would have to be read from disk, goes without entries. */
    if (!progress->ask_again && has_cached(raft, progress->next)) {
        count = gather_entries(raft, progress->next, &entries, &bytes);
    }
    progress->probe_sent = true;
    progress->ask_again = false;
    progress->moved_ms = raft->now_ms;
    send_append(raft, slot, entries, count, round);
}

static void send_pipelined(struct raft *raft, uint32_t slot, uint64_t *round)
{
    struct raft_progress *progress = &raft->progress[slot];
    raft_assert(progress->state == RAFT_PROGRESS_REPLICATE);
    while (progress->next <= raft->log.last_index && progress->log_read_id == 0 &&
           !raft_progress_is_full(progress, raft->config.inflight_bytes_max)) {
        if (!has_cached(raft, progress->next)) {
            progress->log_read_id = raft_request_log_read(raft, raft->progress[slot].id, progress->next,
                                                          raft->log.cache_first - 1);
            break;
        }
        struct raft_entry *entries;
        uint64_t bytes;
        uint32_t count = gather_entries(raft, progress->next, &entries, &bytes);
        progress->ask_again = false;
        send_append(raft, slot, entries, count, round);
        raft_progress_sent(progress, progress->next + count - 1, bytes, raft->now_ms);
    }
    if (progress->ask_again) {
        progress->ask_again = false;
        progress->moved_ms = raft->now_ms;
        send_append(raft, slot, NULL, 0, round);
    }
}

/* What the follower holds may be more than it could tell us before we compacted: ask now and then
 * whether it has got to our base by whatever means. */
static void ask_in_snapshot(struct raft *raft, uint32_t slot, uint64_t *round)
{
    struct raft_progress *progress = &raft->progress[slot];
    raft_assert(progress->state == RAFT_PROGRESS_SNAPSHOT);
    if (!progress->ask_again) {
        return;
    }
    progress->ask_again = false;
    progress->moved_ms = raft->now_ms;
    progress->next = raft->log.base.index + 1;
    send_append(raft, slot, NULL, 0, round);
}

/* Whatever is due for one follower; `round` (0: none) leaves with it, if it is to be asked, in any case: by a
 * heartbeat if there is nothing else to carry it, or if the node has left: an APPEND may be refused, and then
 * tells it of no commit. */
static void send_to(struct raft *raft, uint32_t slot, uint64_t round, bool is_asked)
{
    struct raft_progress *progress = &raft->progress[slot];
    uint64_t no_round = 0;
    uint64_t *rides = progress->left_index == 0 ? &round : &no_round;
    if (progress->state != RAFT_PROGRESS_SNAPSHOT && progress->next <= raft->log.base.index) {
        raft_progress_become_snapshot(progress);
    }
    switch (progress->state) {
    case RAFT_PROGRESS_PROBE:
        send_probe(raft, slot, rides);
        break;
    case RAFT_PROGRESS_REPLICATE:
        send_pipelined(raft, slot, rides);
        break;
    case RAFT_PROGRESS_SNAPSHOT:
        raft_snapshot_maybe_ask(raft, slot);
        ask_in_snapshot(raft, slot, rides);
        break;
    }
    if (round != 0 && is_asked) {
        send_heartbeat(raft, slot, round);
    }
}

void raft_replication_send(struct raft *raft)
{
    raft_assert(raft->role == RAFT_LEADER);
    uint64_t round = 0;
    uint32_t asked = raft->heartbeat_due ? UINT32_MAX : 0;
    if (raft->heartbeat_due || raft_read_wants_round(raft)) {
        asked |= raft_read_whom_to_ask(raft);
        round = raft_read_start_round(raft);
    }
    raft->reads.all_round = raft->heartbeat_due ? round : raft->reads.all_round;
    raft->heartbeat_due = false;
    raft->replication_due = false;
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        send_to(raft, i, round, (asked & raft_quorum_bit(i)) != 0);
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

/* The latest moment at which a majority, this node included if it votes, was in contact. */
static uint64_t quorum_contact_ms(const struct raft *raft)
{
    uint64_t contacts[RAFT_SLOTS_MAX] = {[RAFT_SLOT_SELF] = raft->now_ms};
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        contacts[i] = raft->progress[i].contact_ms;
    }
    return raft_quorum_value(&raft->quorum, contacts);
}

/* True if a follower could commit more than it has been told of. */
static bool has_commit_news(const struct raft *raft)
{
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        const struct raft_progress *progress = &raft->progress[i];
        if (progress->commit_told < min_u64(progress->match, raft->log.commit)) {
            return true;
        }
    }
    return false;
}

void raft_replication_tick(struct raft *raft)
{
    raft_assert(raft->role == RAFT_LEADER);
    if (raft->now_ms >= raft->quorum_deadline_ms) {
        raft->quorum_deadline_ms = quorum_contact_ms(raft) + raft->config.election_timeout_ms;
        if (raft->now_ms >= raft->quorum_deadline_ms) { /* check-quorum: thesis 6.2 (pitfall 4) */
            raft_become_follower(raft, raft->hard_state.term);
            return;
        }
    }
    if (raft_disk_is_stalled(raft)) { /* somebody else can make progress (pitfall 16) */
        raft_become_follower(raft, raft->hard_state.term);
        return;
    }
    if (raft->now_ms >= raft->heartbeat_deadline_ms) {
        raft->heartbeat_deadline_ms = raft->now_ms + raft->config.heartbeat_interval_ms;
        raft->heartbeat_due = true;
    }
    if (raft->now_ms >= raft->commit_news_deadline_ms) {
        raft->commit_news_deadline_ms = RAFT_NEVER_MS;
        raft->heartbeat_due = raft->heartbeat_due || has_commit_news(raft);
    }
    raft->heartbeat_due = raft->heartbeat_due || raft->now_ms >= raft_read_ask_all_ms(raft);
}

uint64_t raft_replication_deadline_ms(const struct raft *raft)
{
    raft_assert(raft->role == RAFT_LEADER);
    uint64_t deadline = min_u64(raft->heartbeat_deadline_ms, raft->quorum_deadline_ms);
    uint64_t oldest = raft_persists_oldest_ms(&raft->log.persists);
    if (oldest != UINT64_MAX) {
        deadline = min_u64(deadline, oldest + raft->config.disk_stall_timeout_ms);
    }
    deadline = min_u64(deadline, raft_change_deadline_ms(raft));
    deadline = min_u64(deadline, raft_read_ask_all_ms(raft));
    return min_u64(deadline, raft->commit_news_deadline_ms);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Members drop old entries only up to here (see raft_status.held_by_all); heartbeats tell them. */
static void note_held_by_all(struct raft *raft, const uint64_t *matches)
{
    uint64_t index = raft->log.durable;
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        index = raft->progress[i].left_index != 0 ? index : min_u64(index, matches[i]);
    }
    uint64_t term;
    if (index > raft->held_by_all.index && raft_get_entry_term(raft, index, &term)) {
        raft->held_by_all = (struct raft_entry_id){.term = term, .index = index};
    }
}

void raft_replication_maybe_commit(struct raft *raft)
{
    raft_assert(raft->role == RAFT_LEADER);
    uint64_t matches[RAFT_SLOTS_MAX] = {[RAFT_SLOT_SELF] = raft->log.durable};
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        matches[i] = raft->progress[i].match;
    }
    note_held_by_all(raft, matches);
    uint64_t held = raft_quorum_value(&raft->quorum, matches);
    raft_assert(held <= raft->log.last_index);
    /* Thesis 3.6.2: only entries of the own term are committed by counting; from the no-op on, all are. */
    if (held < raft->noop_index || !raft_configuration_commit_to(raft, held)) {
        return;
    }
    raft_change_on_commit(raft);
    if (raft->commit_news_deadline_ms == RAFT_NEVER_MS && raft->slots_count > 1) {
        raft->commit_news_deadline_ms =
            raft->now_ms + 1 + raft->config.heartbeat_interval_ms / COMMIT_NEWS_PART;
    }
}

static void on_accepted(struct raft *raft, uint32_t slot, struct raft_entry_id log)
{
    struct raft_progress *progress = &raft->progress[slot];
    /* A follower of this term acknowledges only what is in our log, or in what we have compacted. */
    if (log.index > raft->log.last_index) {
        return;
    }
    if (log.index >= raft->log.base.index && !raft_log_holds(&raft->log, log)) {
        return;
    }
    if (!raft_progress_acknowledge(progress, log.index, raft->now_ms)) {
        return;
    }
    if (progress->state != RAFT_PROGRESS_REPLICATE && progress->match >= raft->log.base.index) {
        raft_progress_become_replicate(progress);
    }
    raft_snapshot_on_match(raft, slot);
    raft->replication_due = true;
    raft_replication_maybe_commit(raft);
    raft_transfer_maybe_finish(raft);
}

static void on_refused(struct raft *raft, uint32_t slot, const struct raft_message *message)
{
    struct raft_progress *progress = &raft->progress[slot];
    struct raft_entry_id hint = message->hint;
    struct raft_entry_id found;
    uint64_t may_match =
        raft->log.base.index == 0 ? 0 : raft->log.base.index - 1; /* compacted, or the start */
    if (hint.index < raft->log.base.index) {
        may_match = hint.index;
    } else if (raft_log_find_at_most(&raft->log, hint.index, hint.term, &found)) {
        may_match = found.index;
    }
    if (may_match < raft->log.base.index &&
        (progress->state == RAFT_PROGRESS_SNAPSHOT || raft_snapshot_is_expected(raft, slot))) {
        return;
    }
    if (raft_progress_refuse(progress, message->log.index, may_match)) {
        raft->replication_due = true;
    }
}

void raft_replication_on_append_response(struct raft *raft, const struct raft_message *message)
{
    raft_assert(message->type == RAFT_MESSAGE_APPEND_RESPONSE);
    raft_assert(message->term == raft->hard_state.term);
    if (raft->role != RAFT_LEADER) {
        return;
    }
    uint32_t slot = raft_find_slot(raft, message->from);
    if (message->reject) {
        on_refused(raft, slot, message);
    } else {
        on_accepted(raft, slot, message->log);
    }
}

/* It answers heartbeats: does it owe us an answer to an APPEND for so long that one was lost? */
static bool owes_answer(const struct raft *raft, const struct raft_progress *progress)
{
    uint64_t silent_ms = raft->now_ms - progress->moved_ms;
    switch (progress->state) {
    case RAFT_PROGRESS_PROBE:
        return progress->probe_sent && silent_ms >= raft->config.heartbeat_interval_ms;
    case RAFT_PROGRESS_REPLICATE:
        return progress->inflights_count > 0 && silent_ms >= raft->config.heartbeat_interval_ms;
    case RAFT_PROGRESS_SNAPSHOT:
        return silent_ms >= raft->config.election_timeout_ms;
    }
    return false;
}

static void maybe_ask_again(struct raft *raft, struct raft_progress *progress)
{
    if (!owes_answer(raft, progress)) {
        return;
    }
    progress->probe_sent = false;
    progress->ask_again = true;
    raft->replication_due = true;
}

void raft_replication_on_heartbeat_response(struct raft *raft, const struct raft_message *message)
{
    raft_assert(message->type == RAFT_MESSAGE_HEARTBEAT_RESPONSE);
    if (raft->role != RAFT_LEADER || message->round > raft->reads.last_round) {
        return;
    }
    struct raft_progress *progress = &raft->progress[raft_find_slot(raft, message->from)];
    maybe_ask_again(raft, progress);
    raft_transfer_maybe_finish(raft);
    if (message->round > progress->round_acked) {
        progress->round_acked = message->round;
        progress->answer = ++raft->reads.answers;
        progress->is_cut_off = false;
        raft_read_on_round_acked(raft);
    }
}

void raft_replication_on_unreachable(struct raft *raft, uint32_t slot)
{
    raft_assert(raft->role == RAFT_LEADER && slot != RAFT_SLOT_SELF);
    struct raft_progress *progress = &raft->progress[slot];
    progress->is_cut_off = true;
    raft->heartbeat_due = raft->heartbeat_due || raft->reads.assigned > 0; /* if they asked only this one */
    if (progress->state != RAFT_PROGRESS_REPLICATE) {
        return;
    }
    raft_progress_become_probe(progress, progress->match + 1);
    /* Nothing is sent into the broken connection: the first answer to a heartbeat starts the probe. */
    progress->probe_sent = true;
}

void raft_replication_on_log_read(struct raft *raft, uint32_t slot, const struct raft_entry *entries,
                                  uint32_t entries_count)
{
    raft_assert(raft->role == RAFT_LEADER);
    struct raft_progress *progress = &raft->progress[slot];
    raft_assert(progress->state == RAFT_PROGRESS_REPLICATE && progress->log_read_id != 0);
    progress->log_read_id = 0;
    raft->replication_due = true;
    if (entries_count > 0 &&
        (entries[0].id.index != progress->next || progress->next <= raft->log.base.index)) {
        return; /* an answer moved `next` meanwhile: what is due now is found out anew */
    }

    uint64_t bytes = 0;
    bool usable = entries_count > 0;
    for (uint32_t i = 0; usable && i < entries_count; i++) {
        usable = entries[i].id.index == progress->next + i && raft_log_holds(&raft->log, entries[i].id);
        bytes += raft_entry_bytes(&entries[i]);
    }
    if (!usable) { /* compacted, or the disk failed us: try again when a heartbeat is answered */
        raft_progress_become_probe(progress, progress->match + 1);
        progress->probe_sent = true;
        return;
    }
    if (raft_progress_is_full(progress, raft->config.inflight_bytes_max)) {
        return;
    }
    struct raft_entry *copies = raft_memory_allocate(entries_count, sizeof *copies);
    for (uint32_t i = 0; i < entries_count; i++) {
        copies[i] = entries[i];
        raft_payload_ref(copies[i].payload);
    }
    uint64_t no_round = 0;
    send_append(raft, slot, copies, entries_count, &no_round);
    raft_progress_sent(progress, progress->next + entries_count - 1, bytes, raft->now_ms);
}
