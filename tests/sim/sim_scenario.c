/* sim_scenario.c: see sim_scenario.h. */
#include "sim_scenario.h"

#include "sim_members.h"
#include "sim_network.h"
#include "sim_node.h"
#include "sim_operator.h"
#include "sim_promise.h"

#include <inttypes.h>
#include <string.h>

enum { STEPS_MAX = 15, EXPECTATIONS_MAX = 3, MS = 1000 };

/* What a step is done to. */
enum who { WORLD, LEADER, FOLLOWER, LONGEST_UP, ALL };

enum what {
    END,
    SAY,
    WAIT,
    KILL,
    START,
    PAUSE,
    RESUME,
    CUT_OFF,
    HEAL,
    STOP_KINDLY,
    CUT_FROM_LEADER,
    LOSE_DISK,
    JOIN, /* a node that is none yet: of this number */
    ASK,  /* the operator asks the leader; %u is the id of the node that is down or leads */
};

struct step {
    enum what what;
    enum who who;
    uint64_t ms; /* WAIT; JOIN: the id */
    const char *words;
};

/* What came of the steps, each counted from where the steps begin. */
enum measure {
    NOTHING,
    ELECTIONS,      /* that were won */
    TERMS,          /* that began, whether somebody won them or not */
    RIVAL_TERMS,    /* in which at least two nodes voted for themselves */
    UNKNOWN,        /* writes of unknown outcome */
    SNAPSHOTS,      /* that were loaded */
    CONFIGURATIONS, /* that some log has held */
    MEASURES_COUNT,
};

struct expectation {
    enum measure measure;
    uint64_t low, high;
};

struct scenario {
    const char *name, *title;
    uint64_t nodes, spares; /* that form the cluster; that may join it, and then the log is short */
    uint64_t delay_us;      /* of a message; 0: as ever */
    uint64_t seed;          /* that shows it well: with others something else may come of it */
    struct expectation expectations[EXPECTATIONS_MAX]; /* of that seed */
    struct step steps[STEPS_MAX];
};

static const struct scenario scenarios[] = {
    {"leader-failure",
     "the leader's process dies; another takes over at once, for its connections break",
     3,
     0,
     0,
     1,
     {{ELECTIONS, 1, 1}, {TERMS, 1, 1}},
     {{SAY, WORLD, 0, "the leader is killed"},
      {KILL, LEADER, 0, NULL},
      {WAIT, WORLD, 1500, NULL},
      {SAY, WORLD, 0, "it is started again, finds the new leader, and catches up"},
      {START, ALL, 0, NULL},
      {WAIT, WORLD, 1000, NULL}}},
    {"node-failure-and-recovery",
     "a follower dies and comes back: the others go on, and bring it up to date",
     3,
     0,
     0,
     1,
     {{TERMS, 0, 0}, {SNAPSHOTS, 0, 0}},
     {{SAY, WORLD, 0, "a follower is killed; two of three are a majority"},
      {KILL, FOLLOWER, 0, NULL},
      {WAIT, WORLD, 1500, NULL},
      {SAY, WORLD, 0, "it comes back and gets what it has missed"},
      {START, ALL, 0, NULL},
      {WAIT, WORLD, 1000, NULL}}},
    {"intermittent-connection",
     "a follower loses the leader again and again, and disturbs nobody: pre-votes fail while the others hear "
     "it",
     3,
     0,
     0,
     1,
     {{TERMS, 0, 0}},
     {{SAY, WORLD, 0, "nothing of the leader reaches one follower"},
      {CUT_FROM_LEADER, FOLLOWER, 0, NULL},
      {WAIT, WORLD, 900, NULL},
      {HEAL, WORLD, 0, NULL},
      {WAIT, WORLD, 500, NULL},
      {SAY, WORLD, 0, "and once more"},
      {CUT_FROM_LEADER, FOLLOWER, 0, NULL},
      {WAIT, WORLD, 900, NULL},
      {HEAL, WORLD, 0, NULL},
      {WAIT, WORLD, 700, NULL}}},
    {"split-vote",
     "the followers lose the leader in the same moment; each may vote for itself, and the random times "
     "decide",
     5,
     0,
     60000,
     32,
     {{ELECTIONS, 1, 1}, {RIVAL_TERMS, 1, 5}, {TERMS, 2, 6}},
     {{SAY, WORLD, 0, "the leader is cut off: four followers wait for their time-outs"},
      {CUT_OFF, LEADER, 0, NULL},
      {WAIT, WORLD, 6000, NULL},
      {SAY, WORLD, 0, "the old leader comes back and follows"},
      {HEAL, WORLD, 0, NULL},
      {WAIT, WORLD, 1000, NULL}}},
    {"partition-with-a-stale-leader",
     "a leader that is cut off answers nobody: it steps down, and what it could not commit is not "
     "acknowledged",
     5,
     0,
     0,
     1,
     {{ELECTIONS, 1, 1}, {TERMS, 1, 3}},
     {{SAY, WORLD, 0, "the leader is cut off from all others; its clients still reach it"},
      {CUT_OFF, LEADER, 0, NULL},
      {WAIT, WORLD, 3000, NULL},
      {SAY, WORLD, 0, "the network is whole again: entries that were not committed give way"},
      {HEAL, WORLD, 0, NULL},
      {WAIT, WORLD, 1500, NULL}}},
    {"lagging-follower",
     "a follower that was stopped for a while gets what it has missed from the leader",
     3,
     0,
     0,
     1,
     {{TERMS, 0, 0}, {SNAPSHOTS, 0, 0}},
     {{SAY, WORLD, 0, "a follower is stopped (SIGSTOP) while clients write"},
      {PAUSE, FOLLOWER, 0, NULL},
      {WAIT, WORLD, 4000, NULL},
      {SAY, WORLD, 0, "it goes on"},
      {RESUME, ALL, 0, NULL},
      {WAIT, WORLD, 1500, NULL}}},
    {"rolling-restart",
     "one node after the other is told to stop and started again; a leader hands over first",
     3,
     0,
     0,
     1,
     {{ELECTIONS, 1, 3}, {TERMS, 1, 3}},
     {{STOP_KINDLY, LONGEST_UP, 0, NULL},
      {WAIT, WORLD, 1500, NULL},
      {START, ALL, 0, NULL},
      {WAIT, WORLD, 500, NULL},
      {STOP_KINDLY, LONGEST_UP, 0, NULL},
      {WAIT, WORLD, 1500, NULL},
      {START, ALL, 0, NULL},
      {WAIT, WORLD, 500, NULL},
      {STOP_KINDLY, LONGEST_UP, 0, NULL},
      {WAIT, WORLD, 1500, NULL},
      {START, ALL, 0, NULL},
      {WAIT, WORLD, 500, NULL}}},
    {"all-nodes-down",
     "every node is killed in the same moment: what was acknowledged is on the disks of a majority",
     3,
     0,
     0,
     1,
     {{ELECTIONS, 1, 1}, {TERMS, 1, 3}},
     {{SAY, WORLD, 0, "all nodes are killed"},
      {KILL, ALL, 0, NULL},
      {WAIT, WORLD, 500, NULL},
      {SAY, WORLD, 0, "and started again"},
      {START, ALL, 0, NULL},
      {WAIT, WORLD, 2000, NULL}}},
    {"follower-needs-a-snapshot",
     "a follower was away until the others dropped what it needs: it gets the whole map, on a connection of "
     "its own",
     3,
     1,
     0,
     1,
     {{TERMS, 0, 0}, {SNAPSHOTS, 1, 1}},
     {{SAY, WORLD, 0, "a follower is killed; the log of the others is short"},
      {KILL, FOLLOWER, 0, NULL},
      {WAIT, WORLD, 6000, NULL},
      {SAY, WORLD, 0, "it comes back: the leader streams its map, and the entries after it"},
      {START, ALL, 0, NULL},
      {WAIT, WORLD, 2000, NULL}}},
    {"grow-1-to-3",
     "a cluster of one becomes one of three: nodes join as learners, and vote when they have caught up",
     1,
     2,
     0,
     1,
     {{CONFIGURATIONS, 6, 6}, {ELECTIONS, 1, 1}},
     {{WAIT, WORLD, 3000, NULL},
      {SAY, WORLD, 0, "a node with an empty disk is started with --join"},
      {JOIN, WORLD, 2, NULL},
      {WAIT, WORLD, 2500, NULL},
      {SAY, WORLD, 0, "and another one: while it becomes a voter, old and new voters decide together"},
      {JOIN, WORLD, 3, NULL},
      {WAIT, WORLD, 2500, NULL},
      {SAY, WORLD, 0, "now one may die"},
      {KILL, LEADER, 0, NULL},
      {WAIT, WORLD, 2000, NULL},
      {START, ALL, 0, NULL},
      {WAIT, WORLD, 1000, NULL}}},
    {"replace-a-node",
     "a disk is lost: the node is refused under its old id, and another one takes its place in one step",
     3,
     1,
     0,
     1,
     {{CONFIGURATIONS, 4, 4}, {TERMS, 0, 0}},
     {{SAY, WORLD, 0, "a follower comes back with an empty disk: it has forgotten what it promised"},
      {LOSE_DISK, FOLLOWER, 0, NULL},
      {WAIT, WORLD, 3000, NULL},
      {SAY, WORLD, 0, "the operator names another node in its place, and starts it"},
      {ASK, WORLD, 0, "RAFT REPLACE %u 4 node4:17000"},
      {WAIT, WORLD, 300, NULL},
      {JOIN, WORLD, 4, NULL},
      {WAIT, WORLD, 4000, NULL}}},
    {"remove-the-leader",
     "a leader that is removed commits the change without counting itself, hands over, and ends",
     3,
     1,
     0,
     1,
     {{CONFIGURATIONS, 1, 2}, {ELECTIONS, 1, 1}},
     {{ASK, WORLD, 0, "RAFT REMOVE %u"},
      {WAIT, WORLD, 3000, NULL},
      {SAY, WORLD, 0, "it is started again by mistake: the others tell it that it is no member"},
      {START, ALL, 0, NULL},
      {WAIT, WORLD, 2000, NULL}}},
};
enum { SCENARIOS_COUNT = sizeof scenarios / sizeof scenarios[0] };

static const struct scenario *find(const char *name)
{
    for (size_t i = 0; i < SCENARIOS_COUNT; i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            return &scenarios[i];
        }
    }
    return NULL;
}

void sim_scenario_list(FILE *out)
{
    for (size_t i = 0; i < SCENARIOS_COUNT; i++) {
        (void)fprintf(out, "  %-32s %s\n", scenarios[i].name, scenarios[i].title);
    }
}

bool sim_scenario_exists(const char *name)
{
    return find(name) != NULL;
}

uint64_t sim_scenario_seed(const char *name)
{
    return find(name)->seed;
}

void sim_scenario_set_knobs(const char *name, struct sim_knobs *knobs)
{
    sim_knobs_neutral(knobs);
    knobs->nodes = find(name)->nodes;
    knobs->election_timeout_ms = 1000;
    knobs->heartbeats = 10;
    knobs->unreachable_delay_ms = 50;
    knobs->clients = 3;
    knobs->think_ms = 100;
    if (find(name)->delay_us > 0) {
        knobs->delay_us = find(name)->delay_us;
    }
    if (find(name)->spares > 0) {
        knobs->snapshots = 1;
        knobs->spares = find(name)->spares;
        knobs->short_tail_bytes = 600;
        knobs->chunk_bytes = 128;
        knobs->keys = 12;
        knobs->checkpoint_idle_ms = 300;
        knobs->think_ms = 60;
    }
}

/* ---- steps --------------------------------------------------------------------------------------- */

static struct sim_node *find_node(struct sim *sim, enum who who)
{
    struct sim_node *leader = sim_find_leader(sim);
    if (who == LEADER) {
        return leader;
    }
    if (who == LONGEST_UP) { /* that was started the fewest times */
        struct sim_node *found = sim->nodes[0];
        for (uint32_t i = 1; i < sim->nodes_count; i++) {
            found = sim->nodes[i]->incarnation < found->incarnation ? sim->nodes[i] : found;
        }
        return found;
    }
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (sim->nodes[i] != leader && sim->nodes[i]->state == SIM_NODE_RUNNING) {
            return sim->nodes[i];
        }
    }
    return NULL;
}

static void act_on(struct sim *sim, struct sim_node *node, const struct step *step)
{
    switch (step->what) {
    case KILL:
        sim_node_kill(node, "");
        break;
    case START:
        if (node->state == SIM_NODE_DOWN && !node->is_new) {
            node->runs = true;
            sim_node_start(node);
        }
        break;
    case LOSE_DISK:
        sim_node_kill(node, "its disk is lost");
        sim_node_wipe(node, true);
        sim_node_start_in(node, 500 * MS);
        break;
    case PAUSE:
        sim_node_pause(node);
        break;
    case RESUME:
        sim_node_resume(node);
        break;
    case CUT_OFF:
        for (uint32_t i = 0; i < sim->nodes_count; i++) {
            if (i != node->number) {
                sim_network_cut(sim, i, node->number, true);
                sim_network_cut(sim, node->number, i, true);
            }
        }
        break;
    case CUT_FROM_LEADER:
        sim_network_cut(sim, sim_find_leader(sim)->number, node->number, true);
        break;
    case STOP_KINDLY:
        sim_node_stop(node);
        break;
    case END:
    case SAY:
    case WAIT:
    case HEAL:
    case JOIN:
    case ASK:
        break;
    }
}

/* The one that is not there any more, else the leader. */
static unsigned whom_to_name(struct sim *sim)
{
    const struct sim_node *named = sim_find_leader(sim);
    for (uint32_t i = 0; i < sim->knobs.nodes; i++) {
        named = sim->nodes[i]->is_wiped ? sim->nodes[i] : named;
    }
    return named == NULL ? 0 : (unsigned)named->id;
}

static void ask(struct sim *sim, const char *words)
{
    const char *number = strstr(words, "%u");
    sim_operator_ask(sim, "%.*s%u%s", (int)(number - words), words, whom_to_name(sim), number + 2);
}

static void take_step(struct sim *sim, const struct step *step)
{
    if (step->what == SAY) {
        sim_trace(sim, NULL, SIM_TRACE_STORY, "-- %s", step->words);
    } else if (step->what == WAIT) {
        sim_run_until(sim, sim->now_us + step->ms * MS);
    } else if (step->what == HEAL) {
        sim_network_heal(sim);
    } else if (step->what == JOIN) {
        sim_operator_start_joining(sim->nodes[step->ms - 1], 1);
    } else if (step->what == ASK) {
        ask(sim, step->words);
    } else if (step->who == ALL) {
        for (uint32_t i = 0; i < sim->nodes_count; i++) {
            act_on(sim, sim->nodes[i], step);
        }
    } else {
        struct sim_node *node = find_node(sim, step->who);
        if (node == NULL) {
            sim_fail(sim, SIM_LIVENESS, "there is no node for the next step");
        }
        act_on(sim, node, step);
    }
}

/* ---- what comes of it ---------------------------------------------------------------------------- */

static void take_measures(struct sim *sim, uint64_t measures[MEASURES_COUNT])
{
    measures[NOTHING] = 0;
    measures[ELECTIONS] = sim->counts.elections;
    measures[TERMS] = 0;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct raft *raft = sim_node_raft(sim->nodes[i]);
        uint64_t term = raft == NULL ? 0 : raft_get_term(raft);
        measures[TERMS] = term > measures[TERMS] ? term : measures[TERMS];
    }
    measures[RIVAL_TERMS] = sim_promise_rival_terms(sim);
    measures[UNKNOWN] = sim->counts.unknown;
    measures[SNAPSHOTS] = sim->counts.snapshots;
    measures[CONFIGURATIONS] = 0;
    while (sim_members_at(sim, measures[CONFIGURATIONS]) != NULL) {
        measures[CONFIGURATIONS]++;
    }
}

static void check_expectations(struct sim *sim, const struct scenario *scenario,
                               const uint64_t before[MEASURES_COUNT])
{
    static const char *const names[MEASURES_COUNT] = {"nothing",
                                                      "elections won",
                                                      "terms begun",
                                                      "terms with two candidates",
                                                      "unknown outcomes",
                                                      "snapshots loaded",
                                                      "configurations of members"};
    uint64_t after[MEASURES_COUNT];
    take_measures(sim, after);
    for (size_t i = 0; i < EXPECTATIONS_MAX; i++) {
        const struct expectation *wanted = &scenario->expectations[i];
        uint64_t count = after[wanted->measure] - before[wanted->measure];
        if (count < wanted->low || count > wanted->high) {
            sim_fail(sim, SIM_CORRECTNESS, "%s: %" PRIu64 " %s, not %" PRIu64 " to %" PRIu64, scenario->name,
                     count, names[wanted->measure], wanted->low, wanted->high);
        }
    }
}

void sim_scenario_play(struct sim *sim, const char *name)
{
    const struct scenario *scenario = find(name);
    uint64_t before[MEASURES_COUNT];
    sim_trace(sim, NULL, SIM_TRACE_STORY, "-- %s", scenario->title);
    sim_run_until(sim, sim->now_us + 1000 * MS);
    take_measures(sim, before);
    for (const struct step *step = scenario->steps; step < scenario->steps + STEPS_MAX && step->what != END;
         step++) {
        take_step(sim, step);
    }
    if (sim->seed == scenario->seed) {
        check_expectations(sim, scenario, before);
    }
}
