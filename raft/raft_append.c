/* raft_append.c: see raft_append.h. */
#include "raft_append.h"

#include "raft_assert.h"
#include "raft_internal.h"
#include "raft_role.h"

/* Follows the sender. False if the present term has another leader already, which only a broken peer
 * can bring about. */
static bool accept_leader(struct raft *raft, raft_node_id from)
{
    if (raft->role == RAFT_LEADER) {
        return false;
    }
    if (raft->term_leader != RAFT_NODE_NONE && raft->term_leader != from) {
        return false;
    }
    raft_follow_leader(raft, from);
    return true;
}

static void answer_round(struct raft *raft, raft_node_id leader, uint64_t round)
{
    raft_assert(raft->role == RAFT_FOLLOWER);
    struct raft_message response = raft_new_message(raft, RAFT_MESSAGE_HEARTBEAT_RESPONSE, leader);
    response.round = round;
    raft_send(raft, &response);
}

static void refuse(struct raft *raft, const struct raft_message *message)
{
    struct raft_entry_id hint;
    /* No such entry: the sender's log contradicts what was compacted here, and so committed. */
    if (!raft_log_find_at_most(&raft->log, message->log.index, message->log.term, &hint)) {
        return;
    }
    struct raft_message response = raft_new_message(raft, RAFT_MESSAGE_APPEND_RESPONSE, message->from);
    response.log = message->log;
    response.hint = hint;
    response.reject = true;
    raft_send(raft, &response);
}

static void accept(struct raft *raft, const struct raft_message *message, uint64_t last_new)
{
    uint64_t commit = message->commit < last_new ? message->commit : last_new;
    (void)raft_configuration_commit_to(raft, commit);
    struct raft_message response = raft_new_message(raft, RAFT_MESSAGE_APPEND_RESPONSE, message->from);
    response.log = (struct raft_entry_id){.term = raft_log_term(&raft->log, last_new), .index = last_new};
    raft_send(raft, &response);
}

/* How many entries of the message are in the log already, or in what was compacted. */
static uint32_t count_known(const struct raft *raft, const struct raft_message *message)
{
    uint32_t known = 0;
    while (known < message->entries_count) {
        struct raft_entry_id id = message->entries[known].id;
        if (id.index >= raft->log.base.index && !raft_log_holds(&raft->log, id)) {
            break;
        }
        known++;
    }
    return known;
}

void raft_append_on_append(struct raft *raft, const struct raft_message *message)
{
    raft_assert(message->type == RAFT_MESSAGE_APPEND);
    raft_assert(message->term == raft->hard_state.term);
    if (!accept_leader(raft, message->from)) {
        return;
    }
    if (message->round != 0) {
        answer_round(raft, message->from, message->round);
    }

    struct raft_log *log = &raft->log;
    bool before_base = message->log.index < log->base.index; /* what was compacted matches any leader */
    if (!before_base && !raft_log_holds(log, message->log)) {
        if (message->log.index > log->commit) { /* else a broken peer: committed entries do not differ */
            refuse(raft, message);
        }
        return;
    }
    uint32_t known = count_known(raft, message);
    uint64_t last_new = message->log.index + message->entries_count;
    if (known < message->entries_count) {
        uint64_t first_new = message->entries[known].id.index;
        if (first_new <= log->commit) {
            return; /* would truncate committed entries: a broken peer */
        }
        if (first_new <= log->last_index) {
            raft_log_truncate(log, first_new);
            raft_configuration_on_truncate(raft, first_new);
        }
        raft_log_append(log, message->entries + known, message->entries_count - known);
        for (uint32_t i = known; i < message->entries_count; i++) {
            raft_configuration_on_append(raft, &message->entries[i]);
        }
    }
    if (last_new < log->base.index) {
        last_new = log->base.index; /* all of it was compacted here, so it matches up to base */
    }
    accept(raft, message, last_new);
    raft_assert(raft_log_holds(log, raft_log_last(log)));
}

void raft_append_on_heartbeat(struct raft *raft, const struct raft_message *message)
{
    raft_assert(message->type == RAFT_MESSAGE_HEARTBEAT);
    raft_assert(message->term == raft->hard_state.term);
    if (!accept_leader(raft, message->from)) {
        return;
    }
    if (message->log.index > raft->held_by_all.index && message->log.index <= raft->log.last_index) {
        raft->held_by_all = message->log;
    }
    /* The leader has our acknowledgement up to there; what is beyond our log only a broken peer sends. */
    if (message->commit <= raft->log.last_index) {
        (void)raft_configuration_commit_to(raft, message->commit);
    }
    answer_round(raft, message->from, message->round);
}

void raft_append_refuse_old_leader(struct raft *raft, const struct raft_message *message)
{
    raft_assert(message->term < raft->hard_state.term);
    struct raft_message response = raft_new_message(raft, RAFT_MESSAGE_APPEND_RESPONSE, message->from);
    response.log = message->log;
    response.reject = true;
    raft_send(raft, &response);
}
