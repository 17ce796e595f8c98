/* raft_outbox.c: see raft_outbox.h. */
#include "raft_outbox.h"

#include <stdlib.h>

#include "raft_assert.h"
#include "raft_memory.h"

void raft_outbox_deinit(struct raft_outbox *outbox)
{
    for (uint32_t i = 0; i < outbox->count; i++) {
        raft_message_deinit(&outbox->items[i]);
    }
    free(outbox->items);
    *outbox = (struct raft_outbox){0};
}

void raft_outbox_push(struct raft_outbox *outbox, const struct raft_message *message)
{
    raft_assert(message->to != RAFT_NODE_NONE && message->to != message->from);
    raft_assert(message->entries_count == 0 || message->type == RAFT_MESSAGE_APPEND);
    outbox->items =
        raft_memory_reserve(outbox->items, &outbox->capacity, outbox->count + 1, sizeof *outbox->items);
    outbox->items[outbox->count++] = *message;
}

bool raft_outbox_may_leave(const struct raft_message *message, bool hard_state_durable,
                           uint64_t durable_index)
{
    switch (message->type) {
    case RAFT_MESSAGE_PRE_VOTE:
        return true;
    case RAFT_MESSAGE_PRE_VOTE_RESPONSE:
        return !message->reject || hard_state_durable; /* a grant is no promise; a rejection tells the term */
    case RAFT_MESSAGE_APPEND:
    case RAFT_MESSAGE_HEARTBEAT:
    case RAFT_MESSAGE_TIMEOUT_NOW:
        return true; /* a leader's term has been durable since before it won */
    case RAFT_MESSAGE_APPEND_RESPONSE:
        return hard_state_durable && (message->reject || message->log.index <= durable_index);
    case RAFT_MESSAGE_VOTE:
    case RAFT_MESSAGE_VOTE_RESPONSE:
    case RAFT_MESSAGE_HEARTBEAT_RESPONSE:
    case RAFT_MESSAGE_READ_INDEX:
    case RAFT_MESSAGE_READ_INDEX_RESPONSE:
        return hard_state_durable;
    }
    abort(); /* the core sends messages of known types only */
}

void raft_outbox_split(struct raft_outbox *outbox, bool hard_state_durable, uint64_t durable_index,
                       struct raft_ready *ready)
{
    uint32_t now_count = 0;
    for (uint32_t i = 0; i < outbox->count; i++) {
        now_count += raft_outbox_may_leave(&outbox->items[i], hard_state_durable, durable_index);
    }

    struct raft_message *now = raft_memory_allocate(now_count, sizeof *now);
    struct raft_message *later = raft_memory_allocate(outbox->count - now_count, sizeof *later);
    ready->messages_now_count = 0;
    ready->messages_after_persist_count = 0;
    for (uint32_t i = 0; i < outbox->count; i++) {
        if (raft_outbox_may_leave(&outbox->items[i], hard_state_durable, durable_index)) {
            now[ready->messages_now_count++] = outbox->items[i];
        } else {
            later[ready->messages_after_persist_count++] = outbox->items[i];
        }
    }
    raft_assert(ready->messages_now_count == now_count);
    raft_assert(ready->messages_now_count + ready->messages_after_persist_count == outbox->count);
    ready->messages_now = now;
    ready->messages_after_persist = later;
    outbox->count = 0;
}
