/* test_raft_cluster.c: seeded random runs of whole clusters of cores, with every fault that
 * raft_network.h knows; it checks the safety properties all the time, these tests add liveness.
 *
 * RAFT_SEED=<n> runs one seed, RAFT_SEEDS=<n> that many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "raft_network.h"

static void random_fault(struct network *network)
{
    uint32_t i = (uint32_t)network_random(network, network->nodes_count);
    uint32_t j = (uint32_t)network_random(network, network->nodes_count);
    struct network_node *node = &network->nodes[i];
    switch (network_random(network, 12)) {
    case 0:
        if (node->raft == NULL)
            break;
        network_crash(network, i);
        if (network_chance(network, 60))
            network_report_unreachable(network, i);
        break;
    case 1:
    case 2:
        if (node->raft == NULL)
            network_start_node(network, i);
        break;
    case 3:
        network->cut[i][j] = true;
        break;
    case 4:
        network_isolate(network, i, true);
        break;
    case 5:
    case 6:
        network_isolate(network, i, false);
        break;
    case 7:
        node->disk_hangs = !node->disk_hangs;
        break;
    case 8:
        node->disk_hangs = false;
        break;
    case 9:
        node->paused_until_ms = network->now_ms + network_random(network, 400);
        break;
    case 10:
        network->drop_percent = (uint32_t)network_random(network, 20);
        network->duplicate_percent = (uint32_t)network_random(network, 20);
        network->delay_ms_max = (uint32_t)network_random(network, network_chance(network, 20) ? 120 : 8);
        network->disk_ms_max = (uint32_t)network_random(network, network_chance(network, 20) ? 100 : 10);
        network->stream_ms_max =
            1 + (uint32_t)network_random(network, network_chance(network, 20) ? 800 : 80);
        break;
    case 11:
        if (network_runs(network, i) && i != j)
            raft_peer_unreachable(node->raft, network->ids[j]);
        break;
    }
}

/* What a run does, drawn from its seed. */
struct plan {
    uint32_t work_percent;
    uint32_t fault_permille;
    uint32_t change_permille; /* of the steps: someone tries to change the membership */
    uint32_t snapshot_permille;
    uint32_t compact_percent; /* of the compactions: all that may go, whoever needs it */
};

/* A few nodes become something else: added, promoted, demoted, removed, replaced, or only the opaque bytes
 * change. */
static void random_change(struct network *network)
{
    uint32_t i = (uint32_t)network_random(network, network->nodes_count);
    uint32_t leader = network_find_leader(network);
    i = leader != UINT32_MAX && network_chance(network, 90) ? leader : i;
    if (!network_runs(network, i))
        return;
    struct raft_membership target = *raft_get_membership(network->nodes[i].raft);
    target.outgoing_count = 0;
    uint64_t changes = network_random(network, 4);
    for (uint64_t k = 0; k < changes; k++) {
        raft_node_id id = 1 + network_random(network, network->nodes_count);
        uint64_t draw = network_random(network, 10);
        enum raft_member_kind kind = draw < 5   ? RAFT_MEMBER_VOTER
                                     : draw < 7 ? RAFT_MEMBER_LEARNER
                                                : RAFT_MEMBER_NONE;
        NETWORK_CHECK(network, raft_membership_set(&target, id, kind));
    }
    uint64_t opaque = network_random(network, UINT64_MAX);
    struct raft_entry_id id;
    enum raft_membership_result result = raft_propose_membership(
        network->nodes[i].raft, &target, (const uint8_t *)&opaque, sizeof opaque, &id);
    NETWORK_CHECK(network, result != RAFT_MEMBERSHIP_INVALID || target.voters_count == 0);
    network_check_node(network, i);
}

/* A snapshot of any age comes to any node, as from a leader of the past: older than what it has, twice,
 * over entries that contradict it, into the middle of its log, while writes are with the disk (pitfalls 12,
 * 13). */
static void random_snapshot(struct network *network)
{
    uint32_t i = (uint32_t)network_random(network, network->nodes_count);
    if (!network_runs(network, i) || network->committed_last == 0)
        return;
    uint64_t back = network_random(network, network_chance(network, 50) ? 10 : network->committed_last);
    uint64_t index = back < network->committed_last ? network->committed_last - back : 1;
    struct raft_entry_id upto = {.term = network->committed[index].term, .index = index};
    for (uint64_t times = 1 + network_random(network, 2); times > 0; times--)
        (void)network_offer_snapshot(network, i, upto, network_membership_at(network, index));
}

static void random_work(struct network *network, const struct plan *plan)
{
    uint32_t i = (uint32_t)network_random(network, network->nodes_count);
    if (!network_runs(network, i))
        return;
    struct network_node *node = &network->nodes[i];
    switch (network_random(network, 8)) {
    case 0:
    case 1:
    case 2:
    case 3:
        for (uint64_t k = network_random(network, 6); k > 0; k--)
            (void)network_propose(network, i, 8 + (uint32_t)network_random(network, 90));
        break;
    case 4:
    case 5:
        network_ask_read(network, i);
        break;
    case 6:
        network_checkpoint(network, i);
        if (network_chance(network, 20 + plan->compact_percent))
            network_compact(network, i, !network_chance(network, plan->compact_percent));
        break;
    case 7:
        if (network_chance(network, 3))
            (void)raft_transfer_leadership(node->raft, network_random(network, network->nodes_count + 1));
        break;
    }
}

/* After the faults stop, the cluster must elect, commit, and agree. */
static void check_liveness(struct network *network)
{
    network_heal(network);
    network->delay_ms_max = 3;
    network->disk_ms_max = 3;
    uint64_t before = network->committed_last;
    bool proposed = false;
    uint64_t settled_term = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        network_step(network);
        uint32_t leader = network_find_leader(network);
        if (i > 1000 && !proposed && leader != UINT32_MAX)
            proposed = network_propose(network, leader, 8) == RAFT_PROPOSE_OK;
        if (i == 3000 && leader != UINT32_MAX)
            settled_term = raft_get_term(network->nodes[leader].raft);
        if (i % 100 == 0) /* a snapshot can only bring what is on disk */
            network_checkpoint(network, i / 100 % network->nodes_count);
    }
    NETWORK_CHECK(network, proposed);
    NETWORK_CHECK(network, network->committed_last > before);
    uint32_t leader = network_find_leader(network);
    NETWORK_CHECK(network, leader != UINT32_MAX);
    /* Nobody disturbs it, be it a node that was removed and does not know (thesis 4.2.3). */
    NETWORK_CHECK(network, raft_get_term(network->nodes[leader].raft) == settled_term);
    struct raft_status status;
    raft_get_status(network->nodes[leader].raft, &status);
    NETWORK_CHECK(network, status.kind == RAFT_MEMBER_VOTER);
    NETWORK_CHECK(network, status.membership_committed && status.membership.outgoing_count == 0);
    for (uint32_t i = 0; i < network->nodes_count; i++) {
        const struct raft *raft = network->nodes[i].raft;
        NETWORK_CHECK(network, network->nodes[i].reads_count == 0);
        if (raft_membership_find(&status.membership, network->ids[i]) == RAFT_MEMBER_NONE)
            continue;
        NETWORK_CHECK(network, network->nodes[i].applied == network->committed_last);
        NETWORK_CHECK(network, raft_get_durable(raft) == network->committed_last);
        NETWORK_CHECK(network, raft_membership_equals(raft_get_membership(raft), &status.membership));
    }
    network_check_all(network);
}

struct sums {
    uint64_t reads_ok;
    uint64_t committed;
    uint64_t memberships;
    uint64_t installed;
    uint64_t refused;
    uint64_t removals;
};

static void run_seed(uint64_t seed, struct sums *sums)
{
    uint32_t sizes[] = {1, 3, 3, 3, 5, 4};
    uint32_t formed = sizes[seed % 6];
    struct network *network = network_create_with(formed + (seed % 3 == 0 ? 0 : 2), formed, seed, NULL);
    struct plan plan = {
        .work_percent = 5 + (uint32_t)network_random(network, 50),
        .fault_permille = 1 + (uint32_t)network_random(network, 15),
        .change_permille = seed % 3 == 0 ? 0 : (uint32_t)network_random(network, 30),
        .snapshot_permille = seed % 4 == 0 ? (uint32_t)network_random(network, 20) : 0,
        .compact_percent = seed % 2 == 0 ? 0 : (uint32_t)network_random(network, 100),
    };
    for (uint32_t i = 0; i < 8000; i++) {
        network_step(network);
        if (network_chance(network, plan.work_percent))
            random_work(network, &plan);
        if (network_random(network, 1000) < plan.fault_permille)
            random_fault(network);
        if (network_random(network, 1000) < plan.change_permille)
            random_change(network);
        if (network_random(network, 1000) < plan.snapshot_permille)
            random_snapshot(network);
        if (i % 64 == 0)
            network_check_all(network);
    }
    check_liveness(network);
    sums->reads_ok += network->reads_ok;
    sums->committed += network->committed_last;
    sums->memberships += network->memberships_committed;
    sums->installed += network->snapshots_installed;
    sums->refused += network->snapshots_refused;
    sums->removals += network->removals_heard;
    network_destroy(network);
}

static void random_clusters_are_safe_and_recover(void **state)
{
    (void)state;
    const char *one = getenv("RAFT_SEED");
    const char *many = getenv("RAFT_SEEDS");
    uint64_t first = one != NULL ? strtoull(one, NULL, 10) : 1;
    uint64_t count = many != NULL ? strtoull(many, NULL, 10) : one != NULL ? 1 : 60;
    struct sums sums = {0};
    for (uint64_t seed = first; seed < first + count; seed++)
        run_seed(seed, &sums);
    print_message("%" PRIu64 " entries committed, %" PRIu64 " configurations; %" PRIu64
                  " snapshots installed, %" PRIu64 " refused; %" PRIu64 " heard that they are out\n",
                  sums.committed, sums.memberships, sums.installed, sums.refused, sums.removals);
    assert_true(sums.committed > count * 20); /* the runs did something */
    assert_true(sums.reads_ok > count);
    if (one == NULL) {
        assert_true(sums.memberships > count * 5);
        assert_true(sums.installed > count && sums.refused > 0);
        assert_true(sums.removals > count / 2);
    }
}

static struct raft_config realistic_config(void)
{
    return (struct raft_config){
        .election_timeout_ms = 1000,
        .heartbeat_interval_ms = 100,
        .unreachable_delay_ms = 50,
        .disk_stall_timeout_ms = 5000,
        .append_bytes_max = 1 << 20,
        .inflight_messages_max = 64,
        .inflight_bytes_max = 1 << 24,
        .cache_bytes_max = 1 << 24,
        .unstable_bytes_max = 1 << 24,
    };
}

static int compare_times(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Simulated time from the death of the leader, seen by the others as a broken connection, until a new
 * one can serve: its no-op is committed. */
static uint64_t measure_failover_ms(uint64_t seed)
{
    struct raft_config config = realistic_config();
    struct network *network = network_create(3, seed, &config);
    network_run(network, 6000);
    uint32_t old = network_find_leader(network);
    NETWORK_CHECK(network, old != UINT32_MAX);
    network_crash(network, old);
    uint64_t death_ms = network->now_ms;
    for (uint32_t i = 0; i < 3; i++) { /* not at the same moment */
        if (i == old)
            continue;
        network_run(network, network_random(network, 3));
        raft_peer_unreachable(network->nodes[i].raft, network->ids[old]);
    }
    struct raft_status status = {0};
    while (!status.leader_ready) {
        network_step(network);
        NETWORK_CHECK(network, network->now_ms - death_ms < 10000);
        uint32_t leader = network_find_leader(network);
        if (leader != UINT32_MAX)
            raft_get_status(network->nodes[leader].raft, &status);
    }
    uint64_t took_ms = network->now_ms - death_ms;
    network_destroy(network);
    return took_ms;
}

static void a_killed_leader_is_replaced_long_before_the_election_timeout(void **state)
{
    (void)state;
    uint64_t times[200];
    for (uint64_t i = 0; i < 200; i++)
        times[i] = measure_failover_ms(i + 1);
    qsort(times, 200, sizeof times[0], compare_times);
    print_message("failover, simulated ms: median %" PRIu64 ", p90 %" PRIu64 ", max %" PRIu64 "\n",
                  times[100], times[180], times[199]);
    assert_true(times[100] < 150);
    assert_true(times[199] < 1000);
}

/* Pitfall 15: a node that was cut off does not depose the leader when it comes back, and follows again. */
static void pitfall_15_a_partitioned_node_returns_without_an_election(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct raft_config config = realistic_config();
        struct network *network = network_create(3, seed, &config);
        network_run(network, 6000);
        uint32_t leader = network_find_leader(network);
        uint64_t term = raft_get_term(network->nodes[leader].raft);
        uint32_t other = (leader + 1) % 3;
        network_isolate(network, other, true);
        network_run(network, 10000);
        assert_int_equal(network_propose(network, leader, 8), RAFT_PROPOSE_OK);
        network_isolate(network, other, false);
        network_run(network, 3000);
        assert_int_equal(network_find_leader(network), leader);
        assert_int_equal(raft_get_term(network->nodes[leader].raft), term);
        assert_int_equal(raft_get_commit(network->nodes[other].raft), network->committed_last);
        network_destroy(network);
    }
}

/* Pitfall 4: an old leader on the wrong side steps down, and its reads and writes come to an end. */
static void pitfall_04_a_partitioned_leader_steps_down_and_fails_its_reads(void **state)
{
    (void)state;
    struct raft_config config = realistic_config();
    struct network *network = network_create(3, 1, &config);
    network_run(network, 6000);
    uint32_t old = network_find_leader(network);
    network_isolate(network, old, true);
    assert_int_equal(network_propose(network, old, 8), RAFT_PROPOSE_OK);
    network_ask_read(network, old);
    uint64_t failed = network->reads_failed;
    network_run(network, 1100);
    assert_int_equal(raft_get_role(network->nodes[old].raft) == RAFT_LEADER, false);
    assert_int_equal(network->reads_failed, failed + 1);
    network_run(network, 6000);
    uint32_t new_leader = network_find_leader(network);
    assert_true(new_leader != UINT32_MAX && new_leader != old);
    network_destroy(network);
}

static void leadership_is_handed_over_within_milliseconds(void **state)
{
    (void)state;
    struct raft_config config = realistic_config();
    struct network *network = network_create(3, 5, &config);
    network_run(network, 6000);
    uint32_t old = network_find_leader(network);
    for (int i = 0; i < 100; i++)
        (void)network_propose(network, old, 50);
    assert_true(raft_transfer_leadership(network->nodes[old].raft, RAFT_NODE_NONE));
    network_run(network, 60);
    uint32_t leader = network_find_leader(network);
    assert_true(leader != UINT32_MAX && leader != old);
    assert_int_equal(raft_get_role(network->nodes[old].raft), RAFT_FOLLOWER);
    network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_clusters_are_safe_and_recover),
        cmocka_unit_test(a_killed_leader_is_replaced_long_before_the_election_timeout),
        cmocka_unit_test(pitfall_15_a_partitioned_node_returns_without_an_election),
        cmocka_unit_test(pitfall_04_a_partitioned_leader_steps_down_and_fails_its_reads),
        cmocka_unit_test(leadership_is_handed_over_within_milliseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
