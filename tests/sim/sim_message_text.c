/* sim_message_text.c: see sim_message_text.h. */
#include "sim_message_text.h"

#include <inttypes.h>
#include <stdio.h>

static const char *name(enum raft_message_type type)
{
    switch (type) {
    case RAFT_MESSAGE_PRE_VOTE:
        return "PRE_VOTE";
    case RAFT_MESSAGE_PRE_VOTE_RESPONSE:
        return "PRE_VOTE_RESPONSE";
    case RAFT_MESSAGE_VOTE:
        return "VOTE";
    case RAFT_MESSAGE_VOTE_RESPONSE:
        return "VOTE_RESPONSE";
    case RAFT_MESSAGE_APPEND:
        return "APPEND";
    case RAFT_MESSAGE_APPEND_RESPONSE:
        return "APPEND_RESPONSE";
    case RAFT_MESSAGE_HEARTBEAT:
        return "HEARTBEAT";
    case RAFT_MESSAGE_HEARTBEAT_RESPONSE:
        return "HEARTBEAT_RESPONSE";
    case RAFT_MESSAGE_TIMEOUT_NOW:
        return "TIMEOUT_NOW";
    case RAFT_MESSAGE_READ_INDEX:
        return "READ_INDEX";
    case RAFT_MESSAGE_READ_INDEX_RESPONSE:
        return "READ_INDEX_RESPONSE";
    }
    return "?";
}

void sim_message_trace(struct sim_node *from, const struct raft_message *message)
{
    char more[160] = "";
    if (message->type == RAFT_MESSAGE_APPEND) {
        (void)snprintf(more, sizeof more,
                       ", %u entries after %" PRIu64 " of term %" PRIu64 ", commit %" PRIu64,
                       message->entries_count, message->log.index, message->log.term, message->commit);
    } else if (message->type == RAFT_MESSAGE_APPEND_RESPONSE || message->type == RAFT_MESSAGE_VOTE ||
               message->type == RAFT_MESSAGE_PRE_VOTE) {
        (void)snprintf(more, sizeof more, ", entry %" PRIu64 " of term %" PRIu64, message->log.index,
                       message->log.term);
    } else if (message->round != 0) {
        (void)snprintf(more, sizeof more, ", round %" PRIu64 ", commit %" PRIu64 ", index %" PRIu64,
                       message->round, message->commit, message->log.index);
    }
    sim_trace(from->sim, from, SIM_TRACE_MESSAGES, "-> node %" PRIu64 ": %s%s of term %" PRIu64 "%s",
              message->to, name(message->type), message->reject ? " (refused)" : "", message->term, more);
}
