/* sim_message_text.c: see sim_message_text.h. */
#include "sim_message_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

/* Votes are what elections are made of. */
static bool is_of_an_election(enum raft_message_type type)
{
    return type == RAFT_MESSAGE_VOTE || type == RAFT_MESSAGE_VOTE_RESPONSE || type == RAFT_MESSAGE_PRE_VOTE ||
           type == RAFT_MESSAGE_PRE_VOTE_RESPONSE || type == RAFT_MESSAGE_TIMEOUT_NOW;
}

static void trace_election(struct sim_node *from, const struct raft_message *message)
{
    struct sim *sim = from->sim;
    if (message->type == RAFT_MESSAGE_PRE_VOTE || message->type == RAFT_MESSAGE_VOTE) {
        sim_trace(sim, from, SIM_TRACE_STORY,
                  "asks node %" PRIu64 "%s in term %" PRIu64 "; its log ends with entry %" PRIu64
                  " of term %" PRIu64,
                  message->to,
                  message->type == RAFT_MESSAGE_VOTE ? " for its vote" : " whether it would get its vote",
                  message->term, message->log.index, message->log.term);
    } else if (message->type == RAFT_MESSAGE_TIMEOUT_NOW) {
        sim_trace(sim, from, SIM_TRACE_STORY, "tells node %" PRIu64 " to take over", message->to);
    } else {
        bool vote = message->type == RAFT_MESSAGE_VOTE_RESPONSE;
        sim_trace(sim, from, SIM_TRACE_STORY, "%s node %" PRIu64 " in term %" PRIu64,
                  message->reject ? (vote ? "refuses its vote to" : "would not vote for")
                                  : (vote ? "votes for" : "would vote for"),
                  message->to, message->term);
    }
}

void sim_message_trace(struct sim_node *from, const struct raft_message *message)
{
    char more[160] = "";
    if (is_of_an_election(message->type)) {
        trace_election(from, message);
        return;
    }
    if (message->type == RAFT_MESSAGE_APPEND) {
        (void)snprintf(more, sizeof more,
                       ", %u entries after %" PRIu64 " of term %" PRIu64 ", commit %" PRIu64,
                       message->entries_count, message->log.index, message->log.term, message->commit);
    } else if (message->type == RAFT_MESSAGE_APPEND_RESPONSE) {
        (void)snprintf(more, sizeof more, ", entry %" PRIu64 " of term %" PRIu64, message->log.index,
                       message->log.term);
    } else if (message->round != 0) {
        (void)snprintf(more, sizeof more, ", round %" PRIu64 ", commit %" PRIu64 ", index %" PRIu64,
                       message->round, message->commit, message->log.index);
    }
    sim_trace(from->sim, from, SIM_TRACE_MESSAGES, "-> node %" PRIu64 ": %s%s of term %" PRIu64 "%s",
              message->to, name(message->type), message->reject ? " (refused)" : "", message->term, more);
}

/* ---- events -------------------------------------------------------------------------------------- */

static const struct {
    const char *event, *field; /* `field`: what must be among the fields */
    const char *words;
} stories[] = {
    {"role-changed", "role=pre-candidate",
     "has not heard of a leader in time: asks whether it could win an election"},
    {"role-changed", "role=candidate",
     "would get the votes of a majority: begins an election, and votes for itself"},
    {"role-changed", "role=leader", "has the votes of a majority: leads"},
    {"role-changed", "role=follower", "follows"},
    {"leader-lost", "", "knows no leader any more"},
    {"leader-known", "", "knows who leads"},
};

/* What the real disk has left is not of the simulated world, and another number each time. */
static int without_real_disk(const char *fields)
{
    const char *real = strstr(fields, " disk_free_bytes=");
    return (int)(real == NULL ? strlen(fields) : (size_t)(real - fields));
}

void sim_message_trace_event(struct sim_node *node, enum replica_log_level level, const char *event,
                             const char *fields)
{
    const int shown = without_real_disk(fields);
    enum sim_trace_level needed = level == REPLICA_LOG_DEBUG ? SIM_TRACE_MESSAGES : SIM_TRACE_STORY;
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        if (strcmp(event, stories[i].event) == 0 && strstr(fields, stories[i].field) != NULL) {
            sim_trace(node->sim, node, needed, "%s (%.*s)", stories[i].words, shown, fields);
            return;
        }
    }
    sim_trace(node->sim, node, needed, "%s %.*s", event, shown, fields);
}
