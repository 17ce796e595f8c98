/* test_replica_versions.c: rules rise when all members know them, and never fall; who is too old is told.
 * Nodes of several versions in one cluster: each start says what the node is to know. (Pitfall 30: differing
 * versions.)
 */
#include "entry_codec.h"
#include "replica_cluster.h"
#include "temp_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { OLD = 1, NEW = 2, NEWEST = 3 };

static void start(struct cluster_node *node, uint32_t rules)
{
    node->cluster->defaults.rules_version_max = rules;
    assert_true(cluster_start_node(node));
}

static struct cluster *start_three(uint64_t seed, uint32_t first, uint32_t second, uint32_t third)
{
    struct cluster *cluster = cluster_create(3, seed);
    start(cluster_node(cluster, 1), first);
    start(cluster_node(cluster, 2), second);
    start(cluster_node(cluster, 3), third);
    (void)cluster_await_leader(cluster);
    return cluster;
}

static void restart(struct cluster_node *node, uint32_t rules)
{
    cluster_crash(node);
    start(node, rules);
}

static void write_one(struct cluster *cluster)
{
    assert_int_equal(cluster_ask(cluster_await_leader(cluster), "INCR counter")[0], ':');
}

static void expect_rules(struct cluster *cluster, uint32_t expected)
{
    cluster_assert_equal(cluster);
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        if (cluster->nodes[i].running) {
            assert_int_equal(cluster_meta(&cluster->nodes[i])->rules_version, expected);
        }
    }
}

static void test_the_first_write_puts_in_force_what_all_know(void **state)
{
    (void)state;
    struct cluster *cluster = start_three(1, NEW, NEW, NEW);
    write_one(cluster);
    expect_rules(cluster, NEW);
    assert_true(cluster_has_event(cluster_node(cluster, 1), "rules-in-force version=2 before=0"));
    assert_non_null(
        strstr(cluster_ask(cluster_node(cluster, 1), "RAFT STATUS"), "\nrules_version:2\nrules_known:2\n"));
    cluster_destroy(cluster);
}

static void test_one_that_is_older_holds_them_back_until_it_is_upgraded(void **state)
{
    (void)state;
    for (uint64_t old = 1; old <= 3; old++) {
        struct cluster *cluster =
            start_three(10 + old, old == 1 ? OLD : NEW, old == 2 ? OLD : NEW, old == 3 ? OLD : NEW);
        write_one(cluster);
        write_one(cluster);
        expect_rules(cluster, OLD);
        assert_non_null(strstr(cluster_ask(cluster_await_leader(cluster), "RAFT STATUS"), "goal=,rules=1,"));
        restart(cluster_node(cluster, old), NEW);
        (void)cluster_await_leader(cluster);
        cluster_run(cluster, 2000);
        expect_rules(cluster, OLD); /* with the next write */
        write_one(cluster);
        expect_rules(cluster, NEW);
        cluster_destroy(cluster);
    }
}

/* It was heard before, by another leader even: who is not there now may be started as anything. */
static void test_one_that_is_away_holds_them_back(void **state)
{
    (void)state;
    struct cluster *cluster = start_three(20, NEW, NEW, OLD);
    write_one(cluster);
    struct cluster_node *third = cluster_node(cluster, 3);
    restart(third, NEW);
    (void)cluster_await_leader(cluster);
    cluster_run(cluster, 1000);
    cluster_crash(third);
    write_one(cluster);
    expect_rules(cluster, OLD);
    start(third, OLD); /* so it may come back as it was */
    write_one(cluster);
    expect_rules(cluster, OLD);
    restart(third, NEW);
    (void)cluster_await_leader(cluster);
    cluster_run(cluster, 1000);
    write_one(cluster);
    expect_rules(cluster, NEW);
    cluster_destroy(cluster);
}

static bool has_voters(struct cluster *cluster, void *count)
{
    struct cluster_node *leader = cluster_find_leader(cluster);
    return leader != NULL && cluster_status(leader).membership_committed &&
           cluster_status(leader).membership.outgoing_count == 0 &&
           cluster_status(leader).membership.voters_count == *(uint32_t *)count;
}

static void await_voters(struct cluster *cluster, uint32_t count)
{
    cluster_run_until(cluster, has_voters, &count, 20000);
}

static void test_learners_count_and_who_is_removed_does_not(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(4, 30);
    struct cluster_node *fourth = cluster_node(cluster, 4);
    cluster->initial_count = 3;
    for (uint64_t id = 1; id <= 3; id++) {
        start(cluster_node(cluster, id), OLD);
    }
    assert_non_null(
        strstr(cluster_ask(cluster_await_leader(cluster), "RAFT ADD 4 node4:17000 LEARNER"), "+OK"));
    fourth->join = 1;
    start(fourth, OLD);
    cluster_run(cluster, 2000);
    for (uint64_t id = 1; id <= 3; id++) {
        restart(cluster_node(cluster, id), NEW);
        (void)cluster_await_leader(cluster);
    }
    cluster_run(cluster, 1000);
    write_one(cluster);
    expect_rules(cluster, OLD); /* the learner could not apply it */
    assert_non_null(strstr(cluster_ask(cluster_await_leader(cluster), "RAFT REMOVE 4"), "+OK"));
    cluster_run(cluster, 2000);
    assert_true(fourth->stopped);
    write_one(cluster);
    expect_rules(cluster, NEW);
    cluster_destroy(cluster);
}

static void test_a_cluster_of_one_goes_by_what_it_knows(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(1, 40);
    start(cluster_node(cluster, 1), OLD);
    write_one(cluster);
    expect_rules(cluster, OLD);
    restart(cluster_node(cluster, 1), NEWEST);
    write_one(cluster);
    expect_rules(cluster, NEWEST);
    cluster_destroy(cluster);
}

/* ---- no way back --------------------------------------------------------------------------------- */

static void expect_version_refusal(struct cluster_node *judge, struct cluster_node *other, const char *words)
{
    struct bus_hello hello;
    struct bus_message refused;
    replica_fill_hello(other->replica, judge->id, &hello);
    assert_false(replica_check_hello(judge->replica, &hello, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_VERSION);
    if (strstr(refused.refused.reason, words) == NULL) {
        fail_msg("it said: %s", refused.refused.reason);
    }
}

static void test_before_the_rise_there_is_a_way_back(void **state)
{
    (void)state;
    struct cluster *cluster = start_three(50, NEW, NEW, OLD);
    write_one(cluster);
    restart(cluster_node(cluster, 1), OLD);
    restart(cluster_node(cluster, 2), OLD);
    (void)cluster_await_leader(cluster);
    write_one(cluster);
    expect_rules(cluster, OLD);
    cluster_destroy(cluster);
}

static void test_after_it_one_that_is_too_old_is_refused_by_all_and_by_its_own_start(void **state)
{
    (void)state;
    struct cluster *cluster = start_three(51, NEW, NEW, NEW);
    write_one(cluster);
    cluster_assert_equal(cluster);
    struct cluster_node *node = cluster_follower(cluster, 0);
    /* Its map has not been written yet: the start knows nothing, its own log and the others do. */
    restart(node, OLD);
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != node->id) {
            expect_version_refusal(cluster_node(cluster, id), node,
                                   "knows rules up to version 1, and this cluster "
                                   "goes by version 2: start it with a newer kvd");
        }
    }
    cluster_run(cluster, 3000);
    assert_false(cluster_link(cluster, node->id, cluster_find_leader(cluster)->id)->connected);
    restart(node, NEW);
    (void)cluster_await_leader(cluster);
    write_one(cluster);
    cluster_run(cluster, 20000); /* a checkpoint */
    expect_rules(cluster, NEW);
    cluster_crash(node);
    cluster->defaults.rules_version_max = OLD;
    assert_false(cluster_start_node(node));
    assert_int_equal(node->start_status, STORAGE_INCOMPATIBLE);
    assert_non_null(strstr(node->start_error.text,
                           "the data goes by rules of version 2, and this kvd knows them "
                           "up to version 1: start this node with a newer kvd"));
    start(node, NEW);
    write_one(cluster);
    expect_rules(cluster, NEW);
    cluster_destroy(cluster);
}

/* A kvd of the future that has forgotten the old rules. */
static void test_one_that_is_too_new_is_told_to_go_step_by_step(void **state)
{
    (void)state;
    struct cluster *cluster = start_three(53, NEW, NEW, NEW);
    struct bus_hello hello;
    struct bus_message refused;
    write_one(cluster);
    replica_fill_hello(cluster_node(cluster, 2)->replica, 1, &hello);
    hello.rules_version = hello.rules_version_min = NEW;
    assert_true(replica_check_hello(cluster_node(cluster, 1)->replica, &hello, &refused));
    hello.rules_version = hello.rules_version_min = NEWEST;
    assert_false(replica_check_hello(cluster_node(cluster, 1)->replica, &hello, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_VERSION);
    assert_non_null(strstr(refused.refused.reason, "upgrade all members to a kvd between the two first"));
    cluster_destroy(cluster);
}

static void test_one_that_joins_and_is_too_old_is_told(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(4, 52);
    struct cluster_node *fourth = cluster_node(cluster, 4);
    cluster->initial_count = 3;
    for (uint64_t id = 1; id <= 3; id++) {
        start(cluster_node(cluster, id), NEW);
    }
    write_one(cluster);
    fourth->join = 1;
    start(fourth, OLD);
    cluster_run_until(cluster, cluster_has_stopped, fourth, 5000);
    assert_int_equal(fourth->stop_code, REPLICA_EXIT_REFUSED);
    assert_non_null(strstr(fourth->stop_reason, "start it with a newer kvd"));
    cluster_run(cluster, 10);
    start(fourth, NEWEST);
    await_voters(cluster, 4);
    write_one(cluster);
    expect_rules(cluster, NEW);
    cluster_destroy(cluster);
}

/* ---- one entry after the other ------------------------------------------------------------------- */

/* A node of a cluster of one, whose log holds empty entries that were stamped so. */
static struct cluster *start_with_stamps(const uint16_t *stamps, size_t count, uint32_t knows)
{
    struct cluster *cluster = cluster_create(1, 60);
    struct cluster_node *node = cluster_node(cluster, 1);
    char *path = temp_directory_join(node->directory, "log");
    struct log_store *log = NULL;
    struct storage_error error = {{0}};
    struct log_entry entries[8];
    uint8_t bytes[8][ENTRY_HEADER_BYTES];
    assert_true(count <= 8);
    (void)mkdir(node->directory, 0700);
    (void)mkdir(path, 0700);
    const struct log_store_options options = {.directory = path, .map_bytes = cluster->log_map_bytes};
    assert_int_equal(log_store_open(&options, &log, &error), STORAGE_OK);
    for (size_t i = 0; i < count; i++) {
        const struct entry_header header = {.rules_version = stamps[i]};
        entry_codec_write_header(bytes[i], &header);
        entries[i] = (struct log_entry){{1, i + 1}, RAFT_ENTRY_COMMANDS, bytes[i], ENTRY_HEADER_BYTES};
    }
    const struct log_hard_state hard_state = {.term = 1, .vote = 1};
    const struct log_identity identity = {1, 7, LOG_FORMATION_FORMED, {1, 2}, 1, {{1, 7}}};
    const struct log_write write = {.hard_state = &hard_state,
                                    .identity = &identity,
                                    .entries = entries,
                                    .entries_count = count,
                                    .commit_hint = count};
    assert_int_equal(log_store_write(log, &write, &error), STORAGE_OK);
    log_store_close(log);
    free(path);
    start(node, knows);
    return cluster;
}

static void test_pitfall_30_an_older_stamp_after_a_newer_one_takes_nothing_back(void **state)
{
    (void)state;
    static const uint16_t stamps[] = {1, 2, 1, 1};
    struct cluster *cluster = start_with_stamps(stamps, 4, NEW);
    (void)cluster_await_leader(cluster);
    assert_int_equal(cluster_meta(cluster_node(cluster, 1))->rules_version, 2);
    assert_true(cluster_has_event(cluster_node(cluster, 1), "rules-in-force version=2 before=1 index=2"));
    cluster_destroy(cluster);
}

static void test_pitfall_30_an_entry_of_newer_rules_is_not_applied(void **state)
{
    (void)state;
    static const uint16_t stamps[] = {1, 2, 1};
    struct cluster *cluster = start_with_stamps(stamps, 3, OLD);
    cluster_run_until(cluster, cluster_has_stopped, cluster_node(cluster, 1), 5000);
    assert_non_null(strstr(cluster_node(cluster, 1)->stop_reason, "newer rules; upgrade this node"));
    cluster_destroy(cluster);
}

/* ---- what depends on them ------------------------------------------------------------------------ */

/* Nobody is there to tell it. Its log may: then the entry stands there, and is known as committed. */
static void removed_node_restarts(uint32_t rules, bool has_log, bool knows)
{
    struct cluster *cluster = cluster_create(3, 70 + rules);
    if (!has_log) {
        cluster->defaults.checkpoint_idle_ms =
            5; /* the entry is applied: what it replaced is not looked at */
    }
    for (uint64_t id = 1; id <= 3; id++) {
        start(cluster_node(cluster, id), rules);
    }
    write_one(cluster);
    cluster_assert_equal(cluster);
    struct cluster_node *node = cluster_follower(cluster, 0);
    char line[40];
    (void)snprintf(line, sizeof line, "RAFT REMOVE %llu", (unsigned long long)node->id);
    assert_non_null(strstr(cluster_ask(cluster_await_leader(cluster), line), "+OK"));
    cluster_run_until(cluster, cluster_has_stopped, node, 20000);
    assert_int_equal(node->stop_code, REPLICA_EXIT_REFUSED);
    assert_int_equal(cluster_has_event(node, "checkpoint-written index=4"), !has_log);
    cluster_run(cluster, 10);
    for (uint64_t id = 1; id <= 3; id++) {
        if (cluster_node(cluster, id)->running) {
            cluster_crash(cluster_node(cluster, id));
        }
    }
    start(node, rules);
    cluster_run(cluster, 10000);
    assert_int_equal(node->stopped, knows);
    if (knows) {
        assert_int_equal(node->stop_code, REPLICA_EXIT_REFUSED);
        assert_non_null(strstr(node->stop_reason, "was removed from the cluster"));
    }
    cluster_destroy(cluster);
}

static void test_a_removed_node_knows_it_for_ever(void **state)
{
    (void)state;
    removed_node_restarts(NEW, false, true);
}

static void test_a_removed_node_finds_it_in_its_log(void **state)
{
    (void)state;
    removed_node_restarts(OLD, true, true);
}

static void test_books_of_older_rules_remember_nothing(void **state)
{
    (void)state;
    removed_node_restarts(OLD, false, false);
}

/* The one that takes its place is known as removed as well, when it goes; ids come back with other disks. */
static void test_pitfall_28_a_removed_disk_is_known_by_all_long_after(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(4, 72);
    struct cluster_node *second = cluster_node(cluster, 2), *fourth = cluster_node(cluster, 4);
    cluster->initial_count = 3;
    for (uint64_t id = 1; id <= 3; id++) {
        start(cluster_node(cluster, id), NEW);
    }
    write_one(cluster);
    struct bus_hello old;
    replica_fill_hello(second->replica, 1, &old);
    assert_non_null(
        strstr(cluster_ask(cluster_await_leader(cluster), "RAFT REPLACE 2 4 node4:17000"), "+OK"));
    fourth->join = 1;
    start(fourth, NEW);
    cluster_run_until(cluster, cluster_has_stopped, second, 20000);
    cluster_run(cluster, 10000); /* it is forgotten as one that is leaving */
    struct bus_message refused;
    old.to = 1;
    old.membership_index = 0;
    assert_false(replica_check_hello(cluster_node(cluster, 1)->replica, &old, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_REMOVED);
    cluster_wipe(second);
    second->join = 1;
    start(second, NEW);
    await_voters(cluster, 4);
    write_one(cluster);
    expect_rules(cluster, NEW);
    cluster_destroy(cluster);
}

/* ---- all of it together -------------------------------------------------------------------------- */

/* Members go up one by one, in any order, some of them back and up again, while others write and leaders
 * change: nobody stops, and all hold the same. */
static void roll(uint64_t seed)
{
    struct cluster *cluster = start_three(seed, OLD, OLD, OLD);
    uint32_t versions[3] = {OLD, OLD, OLD};
    cluster->disk_ms_max = 3;
    cluster->delay_ms_max = 3;
    for (int round = 0; round < 60; round++) {
        uint32_t i = (uint32_t)cluster_random_below(cluster, 3);
        uint32_t old = 0;
        for (uint32_t k = 0; k < 3; k++) {
            old += versions[k] == OLD ? 1 : 0;
        }
        /* The last one goes up at the end. */
        uint32_t next =
            versions[i] == OLD && old > 1 && cluster_random_below(cluster, 3) == 0 ? NEW : versions[i];
        if (cluster_random_below(cluster, 6) == 0) {
            next = OLD;
        }
        versions[i] = next;
        restart(cluster_node(cluster, i + 1), next);
        cluster_run(cluster, cluster_random_below(cluster, 300));
        write_one(cluster);
        assert_int_equal(cluster_meta(cluster_await_leader(cluster))->rules_version, OLD);
    }
    for (uint64_t id = 1; id <= 3; id++) {
        restart(cluster_node(cluster, id), NEW);
        write_one(cluster);
    }
    cluster_run(cluster, 2000);
    write_one(cluster);
    expect_rules(cluster, NEW);
    cluster_destroy(cluster);
}

static void test_rolling_under_load(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 108; seed++) {
        roll(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_write_puts_in_force_what_all_know),
        cmocka_unit_test(test_one_that_is_older_holds_them_back_until_it_is_upgraded),
        cmocka_unit_test(test_one_that_is_away_holds_them_back),
        cmocka_unit_test(test_learners_count_and_who_is_removed_does_not),
        cmocka_unit_test(test_a_cluster_of_one_goes_by_what_it_knows),
        cmocka_unit_test(test_before_the_rise_there_is_a_way_back),
        cmocka_unit_test(test_after_it_one_that_is_too_old_is_refused_by_all_and_by_its_own_start),
        cmocka_unit_test(test_one_that_is_too_new_is_told_to_go_step_by_step),
        cmocka_unit_test(test_one_that_joins_and_is_too_old_is_told),
        cmocka_unit_test(test_pitfall_30_an_older_stamp_after_a_newer_one_takes_nothing_back),
        cmocka_unit_test(test_pitfall_30_an_entry_of_newer_rules_is_not_applied),
        cmocka_unit_test(test_a_removed_node_knows_it_for_ever),
        cmocka_unit_test(test_a_removed_node_finds_it_in_its_log),
        cmocka_unit_test(test_books_of_older_rules_remember_nothing),
        cmocka_unit_test(test_pitfall_28_a_removed_disk_is_known_by_all_long_after),
        cmocka_unit_test(test_rolling_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
