/* sim_operator.c: see sim_operator.h. */
#include "sim_operator.h"

#include "sim_connection.h"
#include "sim_members.h"
#include "sim_node.h"

#include "members.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MINUTE_US = 60 * 1000 * 1000,
    PATIENCE_US = 3000000,
    AGAIN_US = 150000,
    TRIES_MAX = 4,
    GONE_US = 1000000, /* before its place is used again */
    MEMBERS_MANY = 7,
    PORTS = 4,
    SETTLE_US = 300000,
    SOON_PER_MILLE = 250, /* new leaders that are asked for a change at once */
    QUIET_TIMEOUTS = 4,   /* after a disk was lost: nobody takes it for alive then */
};

struct sim_operator {
    struct sim *sim;
    struct sim_random random;
    struct sim_connection *connection; /* NULL: none */
    char command[160];
    bool busy;
    uint32_t tries;
    uint64_t number;        /* of the command; older events are of no use */
    uint64_t quiet_us;      /* nothing is asked before */
    uint64_t settled_index; /* of the members' configuration, when they seemed to be settled */
    uint64_t settled_us;    /* the last step at the end */
    const char *waits_for;
};

static const char A_LEARNER[] = "a learner that is to become a voter";

static void on_try(void *target, uint64_t number);

/* ---- the state of the cluster -------------------------------------------------------------------- */

struct situation {
    struct sim_node *leader;
    struct raft_membership membership; /* by the leader's log */
    struct members members;
    raft_node_id ids[RAFT_NODES_MAX];
    uint32_t count;
};

/* False: there is no leader that could change anything, or a change is under way. */
static bool look(struct sim *sim, struct situation *situation)
{
    struct raft_status status;
    *situation = (struct situation){.leader = sim_find_leader(sim)};
    if (situation->leader == NULL) {
        return false;
    }
    const struct raft *raft = sim_node_raft(situation->leader);
    const struct raft_configuration *now = raft_get_configuration(raft);
    raft_get_status(raft, &status);
    situation->membership = now->membership;
    situation->count = raft_membership_list(&now->membership, situation->ids);
    return status.leader_ready && status.membership_committed && status.transferee == RAFT_NODE_NONE &&
           !raft_membership_is_joint(&now->membership) && now->payload != NULL &&
           members_decode(now->payload->bytes + now->opaque_offset, now->payload->size - now->opaque_offset,
                          &situation->members);
}

static bool is_member(const struct situation *situation, uint64_t id)
{
    return raft_membership_find(&situation->membership, id) != RAFT_MEMBER_NONE;
}

/* In any configuration that may still count. */
static bool may_be_member(const struct sim *sim, uint64_t id)
{
    uint64_t committed = sim_members_committed(sim)->id.index;
    const struct sim_configuration *other;
    for (size_t i = 0; (other = sim_members_at(sim, i)) != NULL; i++) {
        if (other->id.index >= committed &&
            raft_membership_find(&other->membership, id) != RAFT_MEMBER_NONE) {
            return true;
        }
    }
    return false;
}

struct sim_node *sim_operator_find_spare(struct sim *sim)
{
    uint32_t first = (uint32_t)sim_random_below(&sim->operator->random, sim->nodes_count);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        struct sim_node *node = sim->nodes[(first + i) % sim->nodes_count];
        if (!node->runs && node->state == SIM_NODE_DOWN && !may_be_member(sim, node->id) &&
            (node->is_new || node->gone_us + GONE_US < sim->now_us)) {
            return node;
        }
    }
    return NULL;
}

/* ---- asking -------------------------------------------------------------------------------------- */

static void close_connection(struct sim_operator *operator)
{
    if (operator->connection != NULL) {
        sim_connection_close(operator->connection);
        operator->connection = NULL;
    }
}

static void finish(struct sim_operator *operator)
{
    close_connection(operator);
    operator->busy = false;
    operator->number++;
}

static void try_again(struct sim_operator *operator)
{
    close_connection(operator);
    if (++operator->tries >= TRIES_MAX) {
        finish(operator);
        return;
    }
    sim_after(operator->sim, AGAIN_US, on_try, operator, ++ operator->number);
}

static void on_time_out(void *target, uint64_t number)
{
    struct sim_operator *operator= target;
    if (operator->number == number && operator->busy) {
        finish(operator);
    }
}

static struct sim_node *whom_to_ask(struct sim_operator *operator)
{
    struct sim *sim = operator->sim;
    struct sim_node *leader = sim_find_leader(sim);
    if (leader != NULL && sim_random_chance(&operator->random, 900)) {
        return leader;
    }
    return sim->nodes[sim_random_below(&operator->random, sim->nodes_count)];
}

static void on_try(void *target, uint64_t number)
{
    struct sim_operator *operator= target;
    if (operator->number != number || !operator->busy) {
        return;
    }
    struct sim_node *node = whom_to_ask(operator);
    if (node->state == SIM_NODE_DOWN) {
        try_again(operator);
        return;
    }
    char line[sizeof operator->command + 4];
    (void)snprintf(line, sizeof line, "%s\r\n", operator->command);
    sim_trace(operator->sim, NULL, SIM_TRACE_STORY, "operator to node %" PRIu64 ": %s",
              node->id, operator->command);
    operator->connection = sim_connection_open(operator->sim, NULL, node, false);
    sim_connection_send(operator->connection, (const uint8_t *)line, strlen(line));
    sim_after(operator->sim, PATIENCE_US, on_time_out, operator, operator->number);
}

void sim_operator_ask(struct sim *sim, const char *format, ...)
{
    struct sim_operator *operator= sim->operator;
    if (operator->busy) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(operator->command, sizeof operator->command, format, arguments);
    va_end(arguments);
    operator->busy = true;
    operator->tries = 0;
    sim_note(sim, 41, 0);
    on_try(operator, ++ operator->number);
}

bool sim_operator_is_idle(const struct sim *sim)
{
    return !sim->operator->busy;
}

void sim_operator_on_bytes(struct sim *sim)
{
    struct sim_operator *operator= sim->operator;
    struct answer answer = {0};
    if (operator->connection == NULL ||
        answer_reader_next(&operator->connection->reader, &answer) != ANSWER_READER_ANSWER) {
        return;
    }
    bool again = answer.type == ANSWER_ERROR &&
                 (strncmp(answer.text, "TRYAGAIN ", 9) == 0 || strncmp(answer.text, "MOVED ", 6) == 0 ||
                  strncmp(answer.text, "CLUSTERDOWN ", 12) == 0);
    sim_trace(sim, NULL, SIM_TRACE_STORY, "operator is told: %.200s",
              answer_has_text(&answer) ? answer.text : "?");
    sim->counts.changes += answer.type == ANSWER_STATUS ? 1 : 0;
    answer_deinit(&answer);
    if (again) {
        try_again(operator);
    } else {
        finish(operator);
    }
}

void sim_operator_on_end(struct sim *sim)
{
    if (sim->operator->connection != NULL && sim->operator->busy) {
        try_again(sim->operator);
    }
}

/* ---- what it does at random ---------------------------------------------------------------------- */

static uint64_t soon_us(struct sim_operator *operator)
{
    return sim_random_scale(&operator->random, 1000, 1000000);
}

void sim_operator_start_joining(struct sim_node *node, uint64_t in_us)
{
    if (!node->is_new) {
        sim_node_wipe(node, false);
    }
    node->is_wiped = false;
    node->runs = true;
    sim_node_start_in(node, in_us);
}

/* Now, later, or, now and then, never. */
static void start_announced(struct sim_operator *operator, struct sim_node * node)
{
    if (sim_random_chance(&operator->random, 900)) {
        sim_operator_start_joining(node, soon_us(operator));
    }
}

static uint16_t any_port(struct sim_operator *operator)
{
    return (uint16_t)(17000 + sim_random_below(&operator->random, PORTS));
}

static void add(struct sim_operator *operator, const struct situation * situation)
{
    static const char *const words[] = {"", " VOTER", " LEARNER"};
    struct sim_node *node = sim_operator_find_spare(operator->sim);
    (void)situation;
    if (node == NULL) {
        return;
    }
    sim_operator_ask(operator->sim, "RAFT ADD %" PRIu64 " node%" PRIu64 ":%u%s", node->id, node->id,
                     (unsigned)node->bus_port, words[sim_random_below(&operator->random, 3)]);
    start_announced(operator, node);
}

static void let_join(struct sim_operator *operator, const struct situation * situation)
{
    struct sim_node *node = sim_operator_find_spare(operator->sim);
    (void)situation;
    if (node != NULL) {
        sim_operator_start_joining(node, 1);
    }
}

/* More is done to leaders than to others. */
static uint64_t any_member(struct sim_operator *operator, const struct situation * situation)
{
    if (sim_random_chance(&operator->random, 300)) {
        return situation->leader->id;
    }
    return situation->ids[sim_random_below(&operator->random, situation->count)];
}

static void remove_one(struct sim_operator *operator, const struct situation * situation)
{
    sim_operator_ask(operator->sim, "RAFT REMOVE %" PRIu64, any_member(operator, situation));
}

static void replace(struct sim_operator *operator, const struct situation * situation)
{
    struct sim_node *node = sim_operator_find_spare(operator->sim);
    if (node == NULL) {
        return;
    }
    sim_operator_ask(operator->sim, "RAFT REPLACE %" PRIu64 " %" PRIu64 " node%" PRIu64 ":%u",
                     any_member(operator, situation), node->id, node->id, (unsigned)node->bus_port);
    start_announced(operator, node);
}

static void promote(struct sim_operator *operator, const struct situation * situation)
{
    const struct raft_membership *membership = &situation->membership;
    uint64_t id = membership->learners_count > 0
                      ? membership->learners[sim_random_below(&operator->random, membership->learners_count)]
                      : any_member(operator, situation);
    sim_operator_ask(operator->sim, "RAFT PROMOTE %" PRIu64, id);
}

static void move(struct sim_operator *operator, const struct situation * situation)
{
    uint64_t id = any_member(operator, situation);
    struct sim_node *node = operator->sim->nodes[id - 1];
    node->bus_port = any_port(operator);
    sim_operator_ask(operator->sim, "RAFT ADDRESS %" PRIu64 " node%" PRIu64 ":%u", id, id,
                     (unsigned)node->bus_port);
}

static void transfer(struct sim_operator *operator, const struct situation * situation)
{
    if (sim_random_chance(&operator->random, 500)) {
        sim_operator_ask(operator->sim, "RAFT TRANSFER");
    } else {
        sim_operator_ask(operator->sim, "RAFT TRANSFER %" PRIu64, any_member(operator, situation));
    }
}

/* One that was removed is started once more: it is told so, and ends. */
static void start_gone(struct sim_operator *operator, const struct situation * situation)
{
    struct sim *sim = operator->sim;
    struct sim_node *node = sim->nodes[sim_random_below(&operator->random, sim->nodes_count)];
    (void)situation;
    if (!node->runs && !node->is_new && node->state == SIM_NODE_DOWN && !may_be_member(sim, node->id)) {
        sim_trace(sim, node, SIM_TRACE_STORY, "is started, though it was removed");
        node->runs = true;
        sim_node_start_in(node, 1);
    }
}

static void change(struct sim_operator *operator)
{
    static void (*const kinds[])(struct sim_operator *, const struct situation *) = {
        add,        add,     add,     let_join, let_join, remove_one, remove_one, remove_one,
        remove_one, replace, replace, promote,  move,     transfer,   start_gone};
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    struct situation situation;
    bool settled = look(operator->sim, &situation);
    /* What is refused is asked as well, now and then. */
    if (situation.leader == NULL || (!settled && sim_random_chance(&operator->random, 700))) {
        return;
    }
    void (*kind)(struct sim_operator *, const struct situation *) =
        kinds[sim_random_below(&operator->random, KINDS)];
    if (kind == remove_one && situation.count <= 1 + sim_random_below(&operator->random, 3)) {
        kind = add;
    } else if ((kind == add || kind == let_join) && situation.count >= MEMBERS_MANY) {
        kind = remove_one;
    }
    kind(operator, & situation);
}

/* ---- lost disks ---------------------------------------------------------------------------------- */

/* A voter, or a learner that is to become one: what it said before may make it one afterwards (seed
 * 1795700005690). */
static bool counts_soon(const struct situation *situation, raft_node_id id)
{
    return sim_members_is_voter(&situation->membership, id) ||
           members_find_const(&situation->members, id)->goal == MEMBER_GOAL_VOTER;
}

/* Voters that never will be there again. */
static uint32_t count_lost(const struct sim *sim, const struct raft_membership *membership)
{
    uint32_t lost = 0;
    for (uint32_t i = 0; i < membership->voters_count; i++) {
        const struct sim_node *node = sim->nodes[membership->voters[i] - 1];
        lost += node->is_wiped || !node->runs ? 1 : 0;
    }
    return lost;
}

/* Whether a majority is left without it in every configuration that may count: also in one that only a node
 * which is away has in its log (seed 1795694856856). */
static bool is_enough_without(const struct sim *sim, const struct sim_node *lost)
{
    uint64_t left = 0;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_node *node = sim->nodes[i];
        left |= node != lost && !node->is_wiped && node->runs ? UINT64_C(1) << i : 0;
    }
    uint64_t committed = sim_members_committed(sim)->id.index;
    const struct sim_configuration *other;
    for (size_t i = 0; (other = sim_members_at(sim, i)) != NULL; i++) {
        if (other->id.index >= committed && sim_members_is_voter(&other->membership, lost->id) &&
            !sim_members_is_majority(&other->membership, left)) {
            return false;
        }
    }
    return true;
}

static void lose_disk(struct sim_operator *operator)
{
    struct sim *sim = operator->sim;
    struct situation situation;
    if (operator->busy || !look(sim, &situation)) {
        return;
    }
    struct sim_node *node =
        sim->nodes[situation.ids[sim_random_below(&operator->random, situation.count)] - 1];
    uint32_t lost = count_lost(sim, &situation.membership) + 1;
    uint32_t voters = situation.membership.voters_count;
    bool announced = members_find(&situation.members, node->id)->disk_id == 0;
    if (node->is_wiped || node->is_new || !node->runs || announced || node == situation.leader ||
        (counts_soon(&situation, node->id) && voters - lost <= voters / 2) || !is_enough_without(sim, node)) {
        return;
    }
    sim_node_kill(node, "its disk is lost");
    sim_node_wipe(node, true);
    sim_node_start_in(node, soon_us(operator));
    operator->quiet_us = sim->now_us + sim->knobs.election_timeout_ms * 1000 * QUIET_TIMEOUTS;
}

/* ---- at random ----------------------------------------------------------------------------------- */

static void on_change(void *target, uint64_t is_loss)
{
    struct sim_operator *operator= target;
    struct sim *sim = operator->sim;
    if (!sim->faults_may_begin) {
        return;
    }
    if (is_loss != 0) {
        lose_disk(operator);
    } else if (!operator->busy && sim->now_us >= operator->quiet_us) {
        change(operator);
    }
    uint64_t mean_us =
        MINUTE_US / (is_loss != 0 ? sim->knobs.wipes_per_minute : sim->knobs.changes_per_minute);
    sim_after(sim, sim_random_between(&operator->random, 1 + mean_us / 4, 1 + mean_us * 2 - mean_us / 4),
              on_change, operator, is_loss);
}

static void on_soon(void *target, uint64_t number)
{
    struct sim_operator *operator= target;
    (void)number;
    if (operator->sim->faults_may_begin && !operator->busy && operator->sim->now_us >= operator->quiet_us) {
        change(operator);
    }
}

void sim_operator_on_leader(struct sim *sim)
{
    struct sim_operator *operator= sim->operator;
    if (sim->knobs.changes_per_minute > 0 && sim_random_chance(&operator->random, SOON_PER_MILLE)) {
        uint64_t within_us = 1000 * sim->knobs.election_timeout_ms / 4 + 1;
        sim_after(sim, sim_random_between(&operator->random, 1, within_us), on_soon, operator, 0);
    }
}

void sim_operator_begin(struct sim *sim)
{
    if (sim->knobs.changes_per_minute > 0) {
        sim_after(sim, 1, on_change, sim->operator, 0);
    }
    if (sim->knobs.wipes_per_minute > 0) {
        sim_after(sim, MINUTE_US / sim->knobs.wipes_per_minute, on_change, sim->operator, 1);
    }
}

void sim_operator_create(struct sim *sim)
{
    sim->operator= sim_allocate(sizeof *sim->operator);
    sim->operator->sim = sim;
    sim->operator->random.state = sim->seed * UINT64_C(0xC2B2AE3D27D4EB4F) + 2;
}

void sim_operator_destroy(struct sim *sim)
{
    free(sim->operator);
}

/* ---- the end ------------------------------------------------------------------------------------- */

/* One that should be no member: it never will be there. */
static bool remove_lost(struct sim *sim, const struct situation *situation)
{
    for (uint32_t i = 0; i < situation->count; i++) {
        struct sim_node *node = sim->nodes[situation->ids[i] - 1];
        if (node->is_wiped || !node->runs) {
            sim_operator_ask(sim, "RAFT REMOVE %" PRIu64, node->id);
            return true;
        }
    }
    return false;
}

/* A learner that is to become a voter is one soon. */
static bool has_goal(const struct situation *situation)
{
    for (uint32_t i = 0; i < situation->members.count; i++) {
        if (is_member(situation, situation->members.list[i].node_id) &&
            situation->members.list[i].goal != MEMBER_GOAL_NONE) {
            return true;
        }
    }
    return false;
}

/* One that joins is a member soon. One that was removed is told so and ends, if it knows enough members to be
 * sure; else it is stopped, and so is one that was to form the cluster and has not heard that it did: whom it
 * knows may have gone (seed 1282 with snapshots=1). */
static bool is_anybody_left(struct sim *sim, const struct situation *situation)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        struct sim_node *node = sim->nodes[i];
        if (!node->runs || is_member(situation, node->id)) {
            continue;
        }
        if (sim_node_raft(node) == NULL && !node->joins) {
            sim_node_retire(node);
            continue;
        }
        if (sim_node_raft(node) == NULL) {
            return true;
        }
        const struct raft_membership *own = raft_get_membership(sim_node_raft(node));
        uint64_t members = 0;
        for (uint32_t k = 0; k < situation->count; k++) {
            members |= UINT64_C(1) << (situation->ids[k] - 1);
        }
        if (own->voters_count == 0 || sim_members_is_majority(own, members)) {
            return true;
        }
        sim_node_retire(node);
    }
    return false;
}

/* A leader that was cut off may not know yet that it is none any more, nor what was changed meanwhile (seed
 * 1795700005512). */
static bool is_past(const struct sim *sim, const struct situation *situation)
{
    for (uint32_t i = 0; i < situation->count; i++) {
        const struct raft *raft = sim_node_raft(sim->nodes[situation->ids[i] - 1]);
        if (raft != NULL && raft_get_term(raft) > raft_get_term(sim_node_raft(situation->leader))) {
            return true;
        }
    }
    return false;
}

bool sim_operator_waits_for_learner(const struct sim *sim)
{
    return sim->operator->waits_for == A_LEARNER;
}

bool sim_operator_settle(struct sim *sim)
{
    struct situation situation;
    if (sim->knobs.snapshots == 0) {
        return true;
    }
    if (!sim_operator_is_idle(sim) || sim->now_us < sim->operator->settled_us + SETTLE_US) {
        return false;
    }
    sim->operator->settled_us = sim->now_us;
    const char *waits_for = !look(sim, &situation)             ? "the end of a change"
                            : is_past(sim, &situation)         ? "a leader of the newest term"
                            : remove_lost(sim, &situation)     ? "a removal"
                            : has_goal(&situation)             ? A_LEARNER
                            : is_anybody_left(sim, &situation) ? "a node that joins, or that was removed"
                                                               : NULL;
    if (waits_for != NULL && waits_for != sim->operator->waits_for) {
        sim_trace(sim, NULL, SIM_TRACE_STORY, "the operator waits for %s", waits_for);
    }
    sim->operator->waits_for = waits_for;
    if (waits_for != NULL) {
        return false;
    }
    /* Twice: a node that stood still may only now read what it was asked for (seed 1795690928226). */
    uint64_t index = raft_get_configuration(sim_node_raft(situation.leader))->id.index;
    if (sim->operator->settled_index != index + 1) {
        sim->operator->settled_index = index + 1;
        return false;
    }
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        sim->nodes[i]->counts = is_member(&situation, i + 1);
    }
    return true;
}
