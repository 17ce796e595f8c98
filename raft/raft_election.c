/* raft_election.c: see raft_election.h. */
#include "raft_election.h"

#include "raft_assert.h"
#include "raft_internal.h"
#include "raft_role.h"

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- timers ---------------------------------------------------------------------------------- */

void raft_election_reset_timer(struct raft *raft)
{
    uint64_t timeout = raft->config.election_timeout_ms;
    raft_assert(timeout > 0);
    raft->election.deadline_ms = raft->now_ms + timeout + raft_random_below(&raft->random, timeout);
}

void raft_election_calm(struct raft *raft)
{
    raft->election.hurried = false;
    raft->election.hurry_deadline_ms = RAFT_NEVER_MS;
    raft->election.hurry_terms = 0;
}

/* The scale of all hurried waiting: twice as long after each term that brought no leader, up to the election
 * timeout, so that slow disks, which make candidates split the vote, do not do so for ever. */
static uint64_t hurry_scale_ms(const struct raft *raft)
{
    uint64_t scale = raft->config.unreachable_delay_ms;
    for (uint32_t i = 0; i < raft->election.hurry_terms && scale < raft->config.election_timeout_ms; i++) {
        scale *= 2;
    }
    return min_u64(scale, raft->config.election_timeout_ms);
}

/* Never 0: what is tried again and again must not keep the caller busy. */
static uint64_t random_delay(struct raft *raft)
{
    return 1 + raft_random_below(&raft->random, hurry_scale_ms(raft));
}

static void hurry(struct raft *raft)
{
    raft_assert(raft->leader == RAFT_NODE_NONE);
    if (!raft_configuration_may_campaign(raft)) {
        return;
    }
    raft->election.hurried = true;
    raft->election.hurry_deadline_ms = raft->now_ms + random_delay(raft);
}

/* Gives way to another node that is about to win: it needs a round trip and two disk writes. */
static void maybe_delay_hurry(struct raft *raft)
{
    if (raft->election.hurried) {
        raft->election.hurry_deadline_ms = raft->now_ms + hurry_scale_ms(raft) + random_delay(raft);
    }
}

/* How long a hurried candidate waits for votes. */
static uint64_t hurried_election_ms(struct raft *raft)
{
    uint64_t scale = hurry_scale_ms(raft);
    return scale + raft_random_below(&raft->random, scale);
}

void raft_election_note_new_term(struct raft *raft)
{
    if (raft->election.hurried) {
        raft->election.hurry_terms++;
    }
}

uint64_t raft_election_deadline_ms(const struct raft *raft)
{
    raft_assert(raft->role != RAFT_LEADER);
    raft_assert(raft->election.hurried || raft->election.hurry_deadline_ms == RAFT_NEVER_MS);
    return min_u64(raft->election.deadline_ms, raft->election.hurry_deadline_ms);
}

/* ---- campaigns ------------------------------------------------------------------------------- */

static void ask_for_votes(struct raft *raft, enum raft_message_type type, uint64_t term, bool force)
{
    uint32_t voters = raft->quorum.voters | raft->quorum.outgoing;
    for (uint32_t i = 1; i < raft->slots_count; i++) {
        if ((voters & ~raft->election.granted & raft_quorum_bit(i)) == 0) {
            continue;
        }
        struct raft_message request = raft_new_message(raft, type, raft->progress[i].id);
        request.term = term;
        request.log = raft_log_last(&raft->log);
        request.force = force;
        raft_send(raft, &request);
    }
}

static void campaign(struct raft *raft, bool force)
{
    uint64_t wait_ms = hurried_election_ms(raft); /* by the terms before this one */
    raft_become_candidate(raft);
    raft_election_reset_timer(raft);
    if (raft->election.hurried) {
        raft->election.hurry_deadline_ms = raft->now_ms + wait_ms;
    }
    ask_for_votes(raft, RAFT_MESSAGE_VOTE, raft->hard_state.term, force);
}

static void maybe_win_pre_vote(struct raft *raft)
{
    raft_assert(raft->role == RAFT_PRE_CANDIDATE);
    if (raft_quorum_is_reached(&raft->quorum, raft->election.granted)) {
        campaign(raft, false);
    } else if (raft_quorum_is_lost(&raft->quorum, raft->election.refused)) {
        raft_become_follower(raft, raft->hard_state.term);
    }
}

static void maybe_win_vote(struct raft *raft)
{
    raft_assert(raft->role == RAFT_CANDIDATE);
    if (raft_quorum_is_reached(&raft->quorum, raft->election.granted) && raft_hard_state_is_durable(raft)) {
        raft_become_leader(raft);
    } else if (raft_quorum_is_lost(&raft->quorum, raft->election.refused)) {
        raft_become_follower(raft, raft->hard_state.term);
    }
}

/* Thesis 9.6: asks first, and raises the term only when the election could be won. */
static void pre_campaign(struct raft *raft)
{
    raft_become_pre_candidate(raft);
    raft_election_reset_timer(raft);
    ask_for_votes(raft, RAFT_MESSAGE_PRE_VOTE, raft->hard_state.term + 1, false);
    maybe_win_pre_vote(raft); /* a single voter wins at once */
}

/* Asks again those who have not granted yet; grants stay, or a delay shorter than the round trip
 * would forget each answer before the next comes. The election timeout starts afresh. */
static void pre_campaign_again(struct raft *raft)
{
    raft_assert(raft->election.hurried);
    if (raft->role != RAFT_PRE_CANDIDATE) {
        pre_campaign(raft);
        return;
    }
    raft->election.refused = 0;
    ask_for_votes(raft, RAFT_MESSAGE_PRE_VOTE, raft->hard_state.term + 1, false);
}

/* Neither with a disk that hangs (pitfall 16), nor without a vote. */
static bool could_lead(const struct raft *raft)
{
    return !raft_disk_is_stalled(raft) && raft_configuration_may_campaign(raft);
}

void raft_election_tick(struct raft *raft)
{
    raft_assert(raft->role != RAFT_LEADER);
    struct raft_election *election = &raft->election;
    bool timed_out = raft->now_ms >= election->deadline_ms;
    bool hurry_due = raft->now_ms >= election->hurry_deadline_ms;
    if (timed_out && raft->leader != RAFT_NODE_NONE) {
        raft_forget_leader(raft);
    }
    if (hurry_due) {
        election->hurry_deadline_ms = raft->now_ms + random_delay(raft);
    }
    if (!could_lead(raft)) {
        if (!raft_configuration_may_campaign(raft)) {
            raft_election_calm(raft); /* a snapshot may have taken it out in the middle of a hurry */
        }
        if (timed_out) {
            raft_election_reset_timer(raft);
        }
        return;
    }
    if (timed_out) {
        pre_campaign(raft);
    } else if (hurry_due) {
        pre_campaign_again(raft);
    }
}

void raft_election_campaign_by_force(struct raft *raft)
{
    raft_assert(raft->role != RAFT_LEADER);
    if (could_lead(raft)) {
        campaign(raft, true);
    }
}

void raft_election_on_persisted(struct raft *raft)
{
    if (raft->role != RAFT_CANDIDATE || !raft_hard_state_is_durable(raft)) {
        return;
    }
    raft_assert(raft->hard_state.vote == raft->config.id);
    raft->election.granted |= raft_quorum_bit(RAFT_SLOT_SELF); /* counts if it is a voter */
    maybe_win_vote(raft);
}

void raft_election_on_leader_unreachable(struct raft *raft)
{
    raft_assert(raft->role == RAFT_FOLLOWER);
    raft_assert(raft->leader != RAFT_NODE_NONE);
    raft_forget_leader(raft);
    hurry(raft);
}

void raft_election_maybe_note_leader_gone(struct raft *raft, const struct raft_message *message)
{
    if (message->from != raft->term_leader || raft->role == RAFT_LEADER) {
        return;
    }
    /* A leader neither asks for votes nor grants them: it ignores who asks. */
    bool asks = message->type == RAFT_MESSAGE_PRE_VOTE && message->term > raft->hard_state.term;
    bool grants = message->type == RAFT_MESSAGE_PRE_VOTE_RESPONSE && !message->reject &&
                  message->term == raft->hard_state.term + 1;
    if (!asks && !grants) {
        return;
    }
    raft->term_leader_gone = true;
    if (raft->leader != RAFT_NODE_NONE) {
        raft_forget_leader(raft);
        hurry(raft);
    }
}

/* ---- answers to others ----------------------------------------------------------------------- */

/* Who may vote is decided by the candidate's configuration, not by the voter's (thesis 4.1): a voter looks
 * at log and term only, be the candidate a stranger to it. Thesis 4.2.3: a server that hears from a current
 * leader does not vote. */
static bool is_sticky(const struct raft *raft)
{
    if (raft->role == RAFT_LEADER) {
        return true; /* check-quorum keeps this honest */
    }
    return raft->leader != RAFT_NODE_NONE &&
           raft->now_ms - raft->leader_contact_ms < raft->config.election_timeout_ms;
}

bool raft_election_is_ignored(const struct raft *raft, const struct raft_message *message)
{
    raft_assert(message->type == RAFT_MESSAGE_PRE_VOTE || message->type == RAFT_MESSAGE_VOTE);
    /* Who is behind in terms gets an answer, or it would never learn (pitfall 15). */
    if (message->term < raft->hard_state.term || message->force) {
        return false;
    }
    return is_sticky(raft);
}

static bool could_vote_for(const struct raft *raft, raft_node_id candidate)
{
    raft_node_id vote = raft->hard_state.vote;
    return vote == candidate || (vote == RAFT_NODE_NONE && raft->leader == RAFT_NODE_NONE);
}

void raft_election_on_pre_vote(struct raft *raft, const struct raft_message *message)
{
    uint64_t term = raft->hard_state.term;
    bool may = message->term > term || (message->term == term && could_vote_for(raft, message->from));
    bool grant = may && raft_log_is_up_to_date(&raft->log, message->log);
    struct raft_message response = raft_new_message(raft, RAFT_MESSAGE_PRE_VOTE_RESPONSE, message->from);
    response.reject = !grant;
    if (grant) {
        response.term = message->term; /* of the election that it would vote in */
        maybe_delay_hurry(raft);
    }
    raft_send(raft, &response);
}

void raft_election_on_vote(struct raft *raft, const struct raft_message *message)
{
    raft_assert(message->term <= raft->hard_state.term);
    bool grant = message->term == raft->hard_state.term && could_vote_for(raft, message->from) &&
                 raft_log_is_up_to_date(&raft->log, message->log);
    if (grant) {
        raft_assert(raft->role != RAFT_LEADER && raft->role != RAFT_CANDIDATE);
        if (raft->role == RAFT_PRE_CANDIDATE) {
            raft_become_follower(raft, raft->hard_state.term);
        }
        if (raft->hard_state.vote != message->from) {
            raft->hard_state.vote = message->from;
            raft->hard_state_dirty = true;
        }
        raft_election_reset_timer(raft); /* thesis 3.4 */
        maybe_delay_hurry(raft);
    }
    struct raft_message response = raft_new_message(raft, RAFT_MESSAGE_VOTE_RESPONSE, message->from);
    response.reject = !grant;
    raft_send(raft, &response);
}

/* Counts an answer; false if this node has answered already. */
static bool count_answer(struct raft *raft, const struct raft_message *message)
{
    uint32_t bit = raft_quorum_bit(raft_find_slot(raft, message->from));
    if (((raft->election.granted | raft->election.refused) & bit) != 0) {
        return false;
    }
    if (message->reject) {
        raft->election.refused |= bit;
    } else {
        raft->election.granted |= bit;
    }
    return true;
}

void raft_election_on_pre_vote_response(struct raft *raft, const struct raft_message *message)
{
    uint64_t answered_term = raft->hard_state.term + (message->reject ? 0 : 1);
    if (raft->role != RAFT_PRE_CANDIDATE || message->term != answered_term) {
        return;
    }
    if (count_answer(raft, message)) {
        maybe_win_pre_vote(raft);
    }
}

void raft_election_on_vote_response(struct raft *raft, const struct raft_message *message)
{
    if (raft->role != RAFT_CANDIDATE || message->term != raft->hard_state.term) {
        return;
    }
    if (count_answer(raft, message)) {
        maybe_win_vote(raft);
    }
}

void raft_election_check_invariants(const struct raft *raft)
{
    const struct raft_election *election = &raft->election;
    uint32_t slots = (uint32_t)((UINT64_C(1) << raft->slots_count) - 1);
    raft_assert((election->granted & election->refused) == 0);
    raft_assert(((election->granted | election->refused) & ~slots) == 0);
    raft_assert(!election->hurried || (raft->leader == RAFT_NODE_NONE && raft->role != RAFT_LEADER));
    raft_assert(election->hurried == (election->hurry_deadline_ms != RAFT_NEVER_MS));
    raft_assert(raft->role == RAFT_PRE_CANDIDATE || raft->role == RAFT_CANDIDATE ||
                (election->granted | election->refused) == 0);
    raft_assert(raft->role != RAFT_CANDIDATE || raft->hard_state.vote == raft->config.id);
}
