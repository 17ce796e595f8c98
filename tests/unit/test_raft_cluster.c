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
        break;
    case 11:
        if (network_runs(network, i) && i != j)
            raft_peer_unreachable(node->raft, network->ids[j]);
        break;
    }
}

static void random_work(struct network *network)
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
        if (network_chance(network, 20))
            network_compact(network, i);
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
    for (uint32_t i = 0; i < 4000; i++) {
        network_step(network);
        uint32_t leader = network_find_leader(network);
        if (i > 1000 && !proposed && leader != UINT32_MAX)
            proposed = network_propose(network, leader, 8) == RAFT_PROPOSE_OK;
    }
    NETWORK_CHECK(network, proposed);
    NETWORK_CHECK(network, network->committed_last > before);
    for (uint32_t i = 0; i < network->nodes_count; i++) {
        NETWORK_CHECK(network, network->nodes[i].applied == network->committed_last);
        NETWORK_CHECK(network, raft_get_durable(network->nodes[i].raft) == network->committed_last);
        NETWORK_CHECK(network, network->nodes[i].reads_count == 0);
    }
    network_check_all(network);
}

static void run_seed(uint64_t seed, uint64_t *reads_ok, uint64_t *committed)
{
    uint32_t sizes[] = {1, 3, 3, 3, 5, 4};
    struct network *network = network_create(sizes[seed % 6], seed, NULL);
    uint32_t work_percent = 5 + (uint32_t)network_random(network, 50);
    uint32_t fault_permille = 1 + (uint32_t)network_random(network, 15);
    for (uint32_t i = 0; i < 8000; i++) {
        network_step(network);
        if (network_chance(network, work_percent))
            random_work(network);
        if (network_random(network, 1000) < fault_permille)
            random_fault(network);
        if (i % 64 == 0)
            network_check_all(network);
    }
    check_liveness(network);
    *reads_ok += network->reads_ok;
    *committed += network->committed_last;
    network_destroy(network);
}

static void random_clusters_are_safe_and_recover(void **state)
{
    (void)state;
    const char *one = getenv("RAFT_SEED");
    const char *many = getenv("RAFT_SEEDS");
    uint64_t first = one != NULL ? strtoull(one, NULL, 10) : 1;
    uint64_t count = many != NULL ? strtoull(many, NULL, 10) : one != NULL ? 1 : 60;
    uint64_t reads_ok = 0;
    uint64_t committed = 0;
    for (uint64_t seed = first; seed < first + count; seed++)
        run_seed(seed, &reads_ok, &committed);
    assert_true(committed > count * 20); /* the runs did something */
    assert_true(reads_ok > count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_clusters_are_safe_and_recover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
