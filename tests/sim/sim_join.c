/* sim_join.c: see sim_join.h. */
#include "sim_join.h"

#include "sim_network.h"

#include <stdlib.h>

enum { HANGS_US = 150000, AGAIN_US = 20000 };

struct
try {
    struct sim_node *node;
    uint64_t incarnation;
    struct replica_member target;
    struct bus_join_answer answer; /* on its way back */
};

static void on_asked(void *target, uint64_t number);
static void on_answer(void *target, uint64_t number);

/* False: it is over, or must wait; `try` is not the caller's any more. */
static bool may_go_on(struct try *try, sim_event_function *again)
{
    struct sim_node *node = try->node;
    if (node->incarnation != try->incarnation || node->state == SIM_NODE_DOWN) {
        free(try);
        return false;
    }
    if (!sim_node_listens(node)) {
        sim_after(node->sim, AGAIN_US, again, try, 0);
        return false;
    }
    sim_node_set_time(node);
    sim_node_wake(node);
    return true;
}

static void fail(struct try *try)
{
    try->node->asks_to_join = false;
    replica_on_join_failed(try->node->replica, "it cannot be reached");
    free(try);
}

static bool is_cut(const struct sim_node *a, const struct sim_node *b)
{
    return sim_network_is_cut(a->sim, a->number, b->number) ||
           sim_network_is_cut(a->sim, b->number, a->number);
}

/* Its hello is at the other side. */
static void on_asked(void *target, uint64_t number)
{
    struct try *try = target;
    struct sim_node *node = try->node;
    struct sim *sim = node->sim;
    struct bus_hello hello;
    struct bus_message refused;
    (void)number;
    if (!may_go_on(try, on_asked)) {
        return;
    }
    struct sim_node *to = sim_node_at(sim, &try->target);
    if (to == NULL || !sim_node_listens(to) || is_cut(node, to)) {
        fail(try);
        return;
    }
    replica_fill_hello(node->replica, RAFT_NODE_NONE, &hello);
    sim_node_set_time(to);
    sim_node_wake(to);
    if (!replica_check_hello(to->replica, &hello, &refused)) {
        node->asks_to_join = false;
        replica_on_join_refused(node->replica, refused.refused.code, refused.refused.reason);
        free(try);
        return;
    }
    replica_on_join_request(to->replica, &hello, &try->answer);
    sim_after(sim, sim_around(sim, sim->knobs.delay_us), on_answer, try, 0);
}

static void on_answer(void *target, uint64_t number)
{
    struct try *try = target;
    struct sim_node *node = try->node;
    (void)number;
    if (!may_go_on(try, on_answer)) {
        return;
    }
    if (is_cut(node, sim_node_at(node->sim, &try->target))) {
        fail(try);
        return;
    }
    node->asks_to_join = false;
    replica_on_join_answer(node->replica, &try->answer);
    free(try);
}

void sim_join_continue(struct sim_node *node)
{
    struct sim *sim = node->sim;
    struct replica_member target;
    if (node->asks_to_join || !sim_node_listens(node) || !replica_take_join_target(node->replica, &target)) {
        return;
    }
    struct try *try = sim_allocate(sizeof *try);
    *try = (struct try){.node = node, .incarnation = node->incarnation, .target = target};
    node->asks_to_join = true;
    const struct sim_node *to = sim_node_at(sim, &target);
    bool hangs = to != NULL && to->state == SIM_NODE_PAUSED;
    sim_after(sim, hangs ? HANGS_US : sim_around(sim, sim->knobs.delay_us * 3), on_asked, try, 0);
}

void sim_join_forget(const struct sim_event *event)
{
    if (event->fire == on_asked || event->fire == on_answer) {
        free(event->target);
    }
}
