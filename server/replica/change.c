/* change.c: what RAFT ADD, PROMOTE, REMOVE, REPLACE, ADDRESS and TRANSFER, and a node that joins, ask of the
 * leader.
 *
 * Each is checked, turned into the membership that is wanted, and proposed: the answer says what was begun,
 * or why it was not. What has begun shows in RAFT STATUS. TRYAGAIN is for what may do as it is in a moment.
 */
#include "replica_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What is wanted, and what is to be said of it. */
struct plan {
    struct raft_membership membership;
    struct members members;
    char text[512]; /* of the error, or of what was begun */
};

static bool fail(struct plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct plan *plan, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(plan->text, sizeof plan->text, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- parts --------------------------------------------------------------------------------------- */

static bool begin_plan(const struct replica *replica, struct plan *plan)
{
    plan->membership = *raft_get_membership(replica->raft);
    plan->members = replica->members;
    plan->text[0] = '\0';
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        const struct peer *peer = &replica->peers[i];
        if (peer->standing == PEER_MEMBER && peer->hello_known &&
            peer->hello.protocol_version < BUS_PROTOCOL_VERSION_OF_CHANGES) {
            return fail(plan,
                        "ERR node %" PRIu64 " runs a kvd that does not know of changes: upgrade it first",
                        peer->member.node_id);
        }
    }
    if (!membership_is_settled(replica)) {
        return fail(plan, "TRYAGAIN a change of the members is under way: wait until RAFT STATUS shows "
                          "membership:stable");
    }
    return true;
}

static bool check_address(const struct replica *replica, struct plan *plan, uint64_t node_id,
                          const char *host, uint16_t port)
{
    const struct replica_member *self = members_find_const(&replica->members, replica->options.node_id);
    for (uint32_t i = 0; i < plan->members.count; i++) {
        const struct replica_member *other = &plan->members.list[i];
        if (other->node_id != node_id && other->bus_port == port && strcmp(other->bus_host, host) == 0) {
            return fail(plan, "ERR node %" PRIu64 " has the address %s:%u", other->node_id, host,
                        (unsigned)port);
        }
    }
    if (self != NULL && self->bus_port == 0 && node_id != self->node_id) {
        return fail(plan,
                    "ERR this node has no bus by which another one could reach it: start it again with "
                    "bus-listen, then send RAFT ADDRESS %" PRIu64 " HOST:PORT",
                    self->node_id);
    }
    return true;
}

/* What is known of one that was removed a moment ago holds for its disk alone: how much of the log it has,
 * for one. While it is remembered, another disk cannot have its id. */
static bool check_id(const struct replica *replica, struct plan *plan, uint64_t node_id, uint64_t disk_id)
{
    const struct peer *peer = peers_find_const(replica, node_id);
    if (peer != NULL && peer->standing == PEER_LEAVING && peer->member.disk_id != disk_id) {
        return fail(
            plan, "TRYAGAIN node %" PRIu64 " was removed a moment ago: try again soon, or choose another id",
            node_id);
    }
    return true;
}

static bool add_learner(struct plan *plan, const struct replica_member *member)
{
    if (!raft_membership_set(&plan->membership, member->node_id, RAFT_MEMBER_LEARNER) ||
        !members_put(&plan->members, member)) {
        return fail(plan, "ERR a cluster has %d members at most: remove one first", RAFT_NODES_MAX);
    }
    return true;
}

static bool check_quorum(const struct replica *replica, struct plan *plan, raft_node_id coming)
{
    uint32_t alive;
    if (plan->membership.voters_count == 0) {
        return fail(plan, "ERR it is the last voter");
    }
    if (!membership_has_quorum(replica, &plan->membership, coming, &alive)) {
        return fail(
            plan,
            "ERR that would leave a cluster that cannot work: of its %u voters only %u are alive, and %u are "
            "needed. Bring nodes back, or remove those that are gone first",
            plan->membership.voters_count, alive, plan->membership.voters_count / 2 + 1);
    }
    return true;
}

/* Nobody waits to replace one who is gone. */
static void forget_replacements(struct members *members, uint64_t node_id)
{
    for (uint32_t i = 0; i < members->count; i++) {
        if (members->list[i].replaces == node_id) {
            members->list[i].replaces = RAFT_NODE_NONE;
        }
    }
}

static bool check_known(const struct plan *plan, uint64_t node_id, struct plan *said)
{
    if (members_find_const(&plan->members, node_id) == NULL) {
        return fail(said, "ERR node %" PRIu64 " is not a member", node_id);
    }
    return true;
}

static bool propose(struct replica *replica, struct plan *plan)
{
    switch (membership_propose(replica, &plan->membership, &plan->members)) {
    case RAFT_MEMBERSHIP_OK:
        return true;
    case RAFT_MEMBERSHIP_NOT_LEADER:
    case RAFT_MEMBERSHIP_TRANSFERRING:
        return fail(plan, "TRYAGAIN leadership is changing: try again in a moment");
    case RAFT_MEMBERSHIP_NOT_READY:
        return fail(plan,
                    "TRYAGAIN this leader is new and has not committed anything yet: try again in a moment");
    case RAFT_MEMBERSHIP_PENDING:
        return fail(plan, "TRYAGAIN a change of the members is under way: wait until RAFT STATUS shows "
                          "membership:stable");
    case RAFT_MEMBERSHIP_INVALID:
        return fail(plan, "ERR a cluster has %d members at most, those that leave included: remove one first",
                    RAFT_NODES_MAX);
    }
    return false;
}

/* ---- changes ------------------------------------------------------------------------------------- */

static bool parse_address(struct plan *plan, const struct command_change *change,
                          struct replica_member *member)
{
    if (!members_parse_address(change->address.bytes, change->address.size, member->bus_host,
                               &member->bus_port)) {
        return fail(plan, "ERR the address is not of the form HOST:PORT or [IPV6]:PORT");
    }
    return true;
}

static bool plan_add(const struct replica *replica, struct plan *plan, const struct command_change *change)
{
    struct replica_member member = {
        .node_id = change->node_id,
        .goal = change->stays_learner ? MEMBER_GOAL_NONE : MEMBER_GOAL_VOTER,
    };
    if (members_find_const(&plan->members, change->node_id) != NULL) {
        return fail(plan,
                    "ERR node %" PRIu64 " is a member already: see RAFT STATUS; PROMOTE makes a learner a "
                    "voter, ADDRESS changes where it is",
                    change->node_id);
    }
    if (!parse_address(plan, change, &member) || !check_id(replica, plan, member.node_id, member.disk_id) ||
        !check_address(replica, plan, member.node_id, member.bus_host, member.bus_port) ||
        !add_learner(plan, &member)) {
        return false;
    }
    (void)snprintf(
        plan->text, sizeof plan->text,
        "OK node %" PRIu64 " is being added as a learner%s. It begins when it is started with --id %" PRIu64
        " --join and an empty data directory",
        change->node_id, change->stays_learner ? "" : ", and becomes a voter when it has caught up",
        change->node_id);
    return true;
}

static bool plan_promote(const struct replica *replica, struct plan *plan,
                         const struct command_change *change)
{
    (void)replica;
    if (!check_known(plan, change->node_id, plan)) {
        return false;
    }
    if (raft_membership_find(&plan->membership, change->node_id) != RAFT_MEMBER_LEARNER) {
        return fail(plan, "ERR node %" PRIu64 " is a voter already", change->node_id);
    }
    members_find(&plan->members, change->node_id)->goal = MEMBER_GOAL_VOTER;
    (void)snprintf(plan->text, sizeof plan->text, "OK node %" PRIu64 " becomes a voter when it has caught up",
                   change->node_id);
    return true;
}

static bool plan_remove(const struct replica *replica, struct plan *plan, const struct command_change *change)
{
    if (!check_known(plan, change->node_id, plan)) {
        return false;
    }
    bool is_voter = raft_membership_find(&plan->membership, change->node_id) == RAFT_MEMBER_VOTER;
    (void)raft_membership_set(&plan->membership, change->node_id, RAFT_MEMBER_NONE);
    if (is_voter && !check_quorum(replica, plan, RAFT_NODE_NONE)) {
        return false;
    }
    /* It stays in the book until the next change: in the joint configuration it has a part still. */
    forget_replacements(&plan->members, change->node_id);
    versions_remember_removed(replica, &plan->members, change->node_id);
    (void)snprintf(plan->text, sizeof plan->text, "OK node %" PRIu64 " is being removed%s", change->node_id,
                   change->node_id == replica->options.node_id
                       ? ". It leads, and hands leadership over when the change is committed"
                       : "");
    return true;
}

/* Two cannot take one place. */
static bool check_place_is_free(struct plan *plan, const struct command_change *change)
{
    for (uint32_t i = 0; i < plan->members.count; i++) {
        const struct replica_member *other = &plan->members.list[i];
        if (other->replaces == change->node_id && other->node_id != change->other_id) {
            return fail(plan,
                        "ERR node %" PRIu64 " is to take the place of node %" PRIu64
                        " already: RAFT REMOVE %" PRIu64 " first",
                        other->node_id, change->node_id, other->node_id);
        }
    }
    return true;
}

static bool check_replaced(const struct replica *replica, struct plan *plan,
                           const struct command_change *change)
{
    struct plan after = *plan;
    if (change->node_id == change->other_id) {
        return fail(
            plan, "ERR the new node needs an id of its own: what the old disk promised is not known to a new "
                  "one");
    }
    if (!check_known(plan, change->node_id, plan) || !check_place_is_free(plan, change)) {
        return false;
    }
    if (members_find(&plan->members, change->node_id)->goal == MEMBER_GOAL_NONE &&
        raft_membership_find(&plan->membership, change->node_id) == RAFT_MEMBER_LEARNER) {
        return fail(plan,
                    "ERR node %" PRIu64
                    " is to stay a learner, and the new node would have a vote: RAFT ADD %" PRIu64
                    " HOST:PORT LEARNER, then RAFT REMOVE %" PRIu64,
                    change->node_id, change->other_id, change->node_id);
    }
    if (raft_membership_find(&plan->membership, change->other_id) == RAFT_MEMBER_VOTER) {
        return fail(plan, "ERR node %" PRIu64 " is a voter already: RAFT REMOVE %" PRIu64 " is what is left",
                    change->other_id, change->node_id);
    }
    if (!raft_membership_set(&after.membership, change->node_id, RAFT_MEMBER_NONE) ||
        !raft_membership_set(&after.membership, change->other_id, RAFT_MEMBER_VOTER)) {
        return fail(plan, "ERR a cluster has %d members at most", RAFT_NODES_MAX);
    }
    if (!check_quorum(replica, &after, change->other_id)) { /* if the new one will be there */
        memcpy(plan->text, after.text, sizeof plan->text);
        return false;
    }
    return true;
}

static bool plan_replace(const struct replica *replica, struct plan *plan,
                         const struct command_change *change)
{
    struct replica_member member = {.node_id = change->other_id};
    const struct replica_member *known = members_find_const(&plan->members, change->other_id);
    if (!check_replaced(replica, plan, change)) {
        return false;
    }
    if (known != NULL) {
        member = *known;
    }
    member.goal = MEMBER_GOAL_VOTER;
    member.replaces = change->node_id;
    if (!parse_address(plan, change, &member) || !check_id(replica, plan, member.node_id, member.disk_id) ||
        !check_address(replica, plan, member.node_id, member.bus_host, member.bus_port) ||
        !add_learner(plan, &member)) {
        return false;
    }
    (void)snprintf(
        plan->text, sizeof plan->text,
        "OK node %" PRIu64 " takes the place of node %" PRIu64 " when it has caught up%s", change->other_id,
        change->node_id,
        member.disk_id != 0 ? "" : ". It begins when it is started with --join and an empty data directory");
    return true;
}

static bool plan_address(const struct replica *replica, struct plan *plan,
                         const struct command_change *change)
{
    if (!check_known(plan, change->node_id, plan)) {
        return false;
    }
    struct replica_member *member = members_find(&plan->members, change->node_id);
    if (!parse_address(plan, change, member) ||
        !check_address(replica, plan, change->node_id, member->bus_host, member->bus_port)) {
        return false;
    }
    (void)snprintf(plan->text, sizeof plan->text, "OK node %" PRIu64 " is reached at %s:%u from now on",
                   change->node_id, member->bus_host, (unsigned)member->bus_port);
    return true;
}

/* No change of the members: done at once or not at all. */
static bool transfer(struct replica *replica, struct plan *plan, const struct command_change *change)
{
    if (change->node_id != RAFT_NODE_NONE &&
        raft_membership_find(&plan->membership, change->node_id) != RAFT_MEMBER_VOTER) {
        return fail(plan, "ERR node %" PRIu64 " is not a voter", change->node_id);
    }
    if (change->node_id == replica->options.node_id) {
        return fail(plan, "ERR node %" PRIu64 " leads already", change->node_id);
    }
    if (!raft_transfer_leadership(replica->raft, change->node_id)) {
        return fail(plan, change->node_id == RAFT_NODE_NONE
                              ? "ERR there is nobody who could take over: no other voter is alive"
                              : "ERR that node cannot take over: nothing is heard of it");
    }
    if (change->node_id == RAFT_NODE_NONE) {
        (void)snprintf(plan->text, sizeof plan->text, "OK leadership is being handed over");
    } else {
        (void)snprintf(plan->text, sizeof plan->text, "OK leadership is being handed to node %" PRIu64,
                       change->node_id);
    }
    return true;
}

static bool run(struct replica *replica, struct plan *plan, const struct command_change *change)
{
    if (change->kind == COMMAND_CHANGE_TRANSFER) {
        plan->membership = *raft_get_membership(replica->raft);
        return transfer(replica, plan, change);
    }
    if (!begin_plan(replica, plan)) {
        return false;
    }
    bool fits = false;
    switch (change->kind) {
    case COMMAND_CHANGE_ADD:
        fits = plan_add(replica, plan, change);
        break;
    case COMMAND_CHANGE_PROMOTE:
        fits = plan_promote(replica, plan, change);
        break;
    case COMMAND_CHANGE_REMOVE:
        fits = plan_remove(replica, plan, change);
        break;
    case COMMAND_CHANGE_REPLACE:
        fits = plan_replace(replica, plan, change);
        break;
    case COMMAND_CHANGE_ADDRESS:
        fits = plan_address(replica, plan, change);
        break;
    case COMMAND_CHANGE_TRANSFER:
    case COMMAND_CHANGE_NONE:
        break;
    }
    return fits && propose(replica, plan);
}

void change_run(struct replica *replica, const struct command_change *change, struct reply *reply)
{
    struct plan plan = {0};
    bool begun = run(replica, &plan, change);
    replica_log(replica, begun ? REPLICA_LOG_INFO : REPLICA_LOG_WARNING,
                begun ? "change-begun" : "change-refused", "answer=\"%s\"", plan.text);
    if (begun) {
        reply_simple(reply, plan.text);
    } else {
        reply_error(reply, plan.text);
    }
}

/* ---- a node that joins --------------------------------------------------------------------------- */

static bool plan_join(const struct replica *replica, struct plan *plan, const struct bus_hello *hello)
{
    const struct replica_member *known = members_find_const(&plan->members, hello->from);
    struct replica_member member = {.node_id = hello->from, .goal = MEMBER_GOAL_VOTER};
    if (known != NULL && known->disk_id != 0) { /* since its hello was judged */
        return fail(plan, "ERR node %" PRIu64 " is a member, with another disk", hello->from);
    }
    if (known != NULL) { /* it was announced by RAFT ADD or REPLACE */
        member = *known;
    }
    member.disk_id = hello->disk_id;
    if (member.bus_port == 0) {
        memcpy(member.bus_host, hello->bus_host, sizeof member.bus_host);
        member.bus_port = hello->bus_port;
    }
    if (member.bus_port == 0) {
        return fail(plan, "it does not tell where its bus is reached");
    }
    if (!check_address(replica, plan, member.node_id, member.bus_host, member.bus_port)) {
        return false;
    }
    if (known != NULL) {
        return members_put(&plan->members, &member);
    }
    return check_id(replica, plan, member.node_id, member.disk_id) && add_learner(plan, &member);
}

void change_join(struct replica *replica, const struct bus_hello *hello, char *reason, size_t reason_bytes)
{
    struct plan plan = {0};
    bool begun = begin_plan(replica, &plan) && plan_join(replica, &plan, hello) && propose(replica, &plan);
    if (begun) {
        replica_log(replica, REPLICA_LOG_INFO, "joining-node-added", "member=%" PRIu64 " disk=%016" PRIx64,
                    hello->from, hello->disk_id);
    }
    const char *space = strchr(plan.text, ' ');
    (void)snprintf(reason, reason_bytes, "%s",
                   begun           ? "it is being added"
                   : space == NULL ? plan.text
                                   : space + 1);
}
