/* raft_progress.c: see raft_progress.h. */
#include "raft_progress.h"

#include <stdlib.h>

#include "raft_assert.h"
#include "raft_memory.h"

static void clear_inflights(struct raft_progress *progress)
{
    progress->inflights_head = 0;
    progress->inflights_count = 0;
    progress->inflight_bytes = 0;
}

void raft_progress_init(struct raft_progress *progress, raft_node_id id, uint32_t inflight_messages_max)
{
    raft_assert(inflight_messages_max > 0);
    *progress = (struct raft_progress){
        .id = id,
        .next = 1,
        .inflights = raft_memory_allocate(inflight_messages_max, sizeof *progress->inflights),
        .inflights_capacity = inflight_messages_max,
    };
}

void raft_progress_deinit(struct raft_progress *progress)
{
    free(progress->inflights);
    *progress = (struct raft_progress){0};
}

void raft_progress_reset(struct raft_progress *progress, uint64_t next, uint64_t now_ms)
{
    raft_assert(next > 0);
    progress->match = 0;
    progress->moved_ms = now_ms;
    progress->contact_ms = now_ms; /* a new leader gives everybody an election timeout to be heard of */
    progress->is_heard = false;
    progress->log_read_id = 0;
    progress->commit_told = 0;
    progress->round_acked = 0;
    progress->answer = 0;
    progress->is_cut_off = false;
    progress->stream = (struct raft_stream){0};
    raft_progress_become_probe(progress, next);
}

void raft_progress_become_probe(struct raft_progress *progress, uint64_t next)
{
    raft_assert(next > progress->match);
    progress->state = RAFT_PROGRESS_PROBE;
    progress->next = next;
    progress->probe_sent = false;
    progress->ask_again = false;
    progress->log_read_id = 0;
    clear_inflights(progress);
}

void raft_progress_become_replicate(struct raft_progress *progress)
{
    raft_assert(progress->state != RAFT_PROGRESS_REPLICATE);
    progress->state = RAFT_PROGRESS_REPLICATE;
    progress->next = progress->match + 1;
    progress->probe_sent = false;
    progress->ask_again = false;
    clear_inflights(progress);
}

void raft_progress_become_snapshot(struct raft_progress *progress)
{
    progress->state = RAFT_PROGRESS_SNAPSHOT;
    progress->next = progress->match + 1;
    progress->probe_sent = false;
    progress->ask_again = false;
    progress->log_read_id = 0;
    clear_inflights(progress);
}

bool raft_progress_is_full(const struct raft_progress *progress, uint64_t inflight_bytes_max)
{
    raft_assert(progress->state == RAFT_PROGRESS_REPLICATE);
    return progress->inflights_count == progress->inflights_capacity ||
           progress->inflight_bytes >= inflight_bytes_max;
}

void raft_progress_sent(struct raft_progress *progress, uint64_t last_index, uint64_t bytes, uint64_t now_ms)
{
    raft_assert(progress->state == RAFT_PROGRESS_REPLICATE);
    raft_assert(last_index >= progress->next);
    raft_assert(progress->inflights_count < progress->inflights_capacity);
    if (progress->inflights_count == 0) {
        progress->moved_ms = now_ms;
    }
    uint32_t i = (progress->inflights_head + progress->inflights_count) % progress->inflights_capacity;
    progress->inflights[i] = (struct raft_inflight){.last_index = last_index, .bytes = bytes};
    progress->inflights_count++;
    progress->inflight_bytes += bytes;
    progress->next = last_index + 1;
}

static void free_inflights_up_to(struct raft_progress *progress, uint64_t index)
{
    while (progress->inflights_count > 0) {
        const struct raft_inflight *first = &progress->inflights[progress->inflights_head];
        if (first->last_index > index) {
            break;
        }
        raft_assert(progress->inflight_bytes >= first->bytes);
        progress->inflight_bytes -= first->bytes;
        progress->inflights_head = (progress->inflights_head + 1) % progress->inflights_capacity;
        progress->inflights_count--;
    }
    raft_assert(progress->inflights_count > 0 || progress->inflight_bytes == 0);
}

bool raft_progress_acknowledge(struct raft_progress *progress, uint64_t index, uint64_t now_ms)
{
    if (index < progress->match) {
        return false;
    }
    bool rose = index > progress->match;
    progress->match = index;
    if (progress->next <= index) {
        progress->next = index + 1;
    }
    if (rose) {
        progress->moved_ms = now_ms;
        progress->ask_again = false;
    }
    free_inflights_up_to(progress, index);
    return true;
}

bool raft_progress_refuse(struct raft_progress *progress, uint64_t rejected, uint64_t hint)
{
    /* What was acknowledged cannot be refused later but by a message that was overtaken. */
    if (rejected <= progress->match) {
        return false;
    }
    if (progress->state == RAFT_PROGRESS_REPLICATE) {
        raft_progress_become_probe(progress, progress->match + 1);
        return true;
    }
    if (progress->state == RAFT_PROGRESS_PROBE && progress->next - 1 != rejected) {
        return false;
    }
    uint64_t next = rejected < hint + 1 ? rejected : hint + 1;
    if (next <= progress->match) {
        next = progress->match + 1;
    }
    raft_progress_become_probe(progress, next);
    return true;
}

void raft_progress_check_invariants(const struct raft_progress *progress)
{
    raft_assert(progress->match < progress->next);
    raft_assert(progress->state == RAFT_PROGRESS_REPLICATE || progress->inflights_count == 0);
    raft_assert(!progress->probe_sent || progress->state == RAFT_PROGRESS_PROBE);
    raft_assert(progress->log_read_id == 0 || progress->state == RAFT_PROGRESS_REPLICATE);
    raft_assert(progress->stream.needed || !progress->stream.under_way);
    raft_assert(progress->stream.needed || progress->stream.needed_from == 0);
    uint64_t bytes = 0;
    uint64_t previous = progress->match;
    for (uint32_t i = 0; i < progress->inflights_count; i++) {
        uint32_t at = (progress->inflights_head + i) % progress->inflights_capacity;
        raft_assert(progress->inflights[at].last_index > previous);
        raft_assert(progress->inflights[at].last_index < progress->next);
        previous = progress->inflights[at].last_index;
        bytes += progress->inflights[at].bytes;
    }
    raft_assert(bytes == progress->inflight_bytes);
    /* In REPLICATE, in flight is exactly what was sent and not acknowledged. */
    raft_assert(progress->state != RAFT_PROGRESS_REPLICATE || progress->next == previous + 1);
}
