/* raft_message.c: see raft_message.h. */
#include "raft_message.h"

#include <stdlib.h>

#include "raft_assert.h"

void raft_message_deinit(struct raft_message *message)
{
    raft_assert(message != NULL);
    raft_assert(message->entries != NULL || message->entries_count == 0);
    for (uint32_t i = 0; i < message->entries_count; i++) {
        raft_payload_unref(message->entries[i].payload);
    }
    free(message->entries);
    message->entries = NULL;
    message->entries_count = 0;
}

static bool entry_id_is_well_formed(struct raft_entry_id id)
{
    if (id.term > RAFT_NUMBER_MAX || id.index > RAFT_NUMBER_MAX) {
        return false;
    }
    /* {0,0} stands before the first entry, and nothing else has a zero in it. */
    return (id.term == 0) == (id.index == 0);
}

static bool entry_is_well_formed(const struct raft_entry *entry)
{
    switch (entry->type) {
    case RAFT_ENTRY_NOOP:
    case RAFT_ENTRY_COMMANDS:
        return true;
    case RAFT_ENTRY_MEMBERSHIP: {
        struct raft_membership membership;
        uint32_t opaque_offset;
        return entry->payload != NULL && raft_membership_decode(entry->payload->bytes, entry->payload->size,
                                                                &membership, &opaque_offset);
    }
    }
    return false;
}

static bool entries_are_well_formed(const struct raft_message *message)
{
    if (message->entries_count > 0 && message->entries == NULL) {
        return false;
    }
    struct raft_entry_id previous = message->log;
    for (uint32_t i = 0; i < message->entries_count; i++) {
        const struct raft_entry *entry = &message->entries[i];
        if (entry->id.index != previous.index + 1 || entry->id.term < previous.term) {
            return false;
        }
        if (entry->id.term == 0 || entry->id.term > message->term) {
            return false;
        }
        if (!entry_is_well_formed(entry)) {
            return false;
        }
        previous = entry->id;
    }
    return previous.index <= RAFT_NUMBER_MAX;
}

bool raft_message_is_well_formed(const struct raft_message *message)
{
    raft_assert(message != NULL);
    if (message->term > RAFT_NUMBER_MAX || message->commit > RAFT_NUMBER_MAX) {
        return false;
    }
    if (message->type == RAFT_MESSAGE_READ_INDEX_RESPONSE) { /* its log.index comes without a term */
        return message->log.index <= RAFT_NUMBER_MAX && message->entries_count == 0;
    }
    if (!entry_id_is_well_formed(message->log) || !entry_id_is_well_formed(message->hint)) {
        return false;
    }
    if (message->type != RAFT_MESSAGE_APPEND && message->entries_count > 0) {
        return false;
    }

    switch (message->type) {
    case RAFT_MESSAGE_PRE_VOTE:
    case RAFT_MESSAGE_VOTE:
        return message->term > 0 && message->log.term < message->term;
    case RAFT_MESSAGE_APPEND:
        return message->term > 0 && message->log.term <= message->term && entries_are_well_formed(message);
    case RAFT_MESSAGE_APPEND_RESPONSE:
    case RAFT_MESSAGE_HEARTBEAT:
    case RAFT_MESSAGE_HEARTBEAT_RESPONSE:
    case RAFT_MESSAGE_TIMEOUT_NOW:
    case RAFT_MESSAGE_READ_INDEX:
        return message->term > 0;
    case RAFT_MESSAGE_READ_INDEX_RESPONSE:
    case RAFT_MESSAGE_PRE_VOTE_RESPONSE:
    case RAFT_MESSAGE_VOTE_RESPONSE:
        return true;
    }
    return false;
}
