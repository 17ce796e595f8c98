/* test_replica_forced_cluster.c: a survivor of a lost majority becomes a cluster of its own: what it keeps
 * and what it says, that the others are refused and can come anew, and that it is done wholly or not at all
 * whatever call it dies at.
 */
#include "forced_cluster.h"
#include "replica_cluster_members.h"
#include "storage_syscalls.h"
#include "temp_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { MAP_BYTES = 256 << 20 };

static const uint64_t NEW_ID[2] = {0x1111, 0x2222};

/* ---- the offline part ---------------------------------------------------------------------------- */

struct stores {
    struct log_store *log;
    struct map *map;
};

static enum storage_status open_stores(const char *directory, struct stores *stores,
                                       struct storage_error *error)
{
    char *path = temp_directory_join(directory, "log");
    const struct log_store_options log = {.directory = path, .map_bytes = MAP_BYTES};
    *stores = (struct stores){0};
    enum storage_status status = log_store_open(&log, &stores->log, error);
    free(path);
    if (status == STORAGE_OK) {
        char name[40];
        (void)snprintf(name, sizeof name, "map-%llu",
                       (unsigned long long)log_store_map_generation(stores->log));
        path = temp_directory_join(directory, name);
        const struct map_options map = {
            .directory = path, .map_bytes = MAP_BYTES, .buffer_bytes_max = 1 << 20};
        status = map_open(&map, &stores->map, error);
        free(path);
    }
    return status;
}

static void close_stores(struct stores *stores)
{
    map_close(stores->map);
    log_store_close(stores->log);
}

static enum storage_status force(const char *directory, struct forced_cluster *found,
                                 struct storage_error *error)
{
    struct stores stores;
    const struct forced_cluster_order order = {
        .cluster_id = {NEW_ID[0], NEW_ID[1]}, .time_ms = 77, .address = {.bus_host = "given", .bus_port = 9}};
    enum storage_status status = open_stores(directory, &stores, error);
    if (status == STORAGE_OK) {
        status = forced_cluster_examine(stores.log, stores.map, found, error);
    }
    if (status == STORAGE_OK) {
        status = forced_cluster_make(stores.log, found, &order, error);
    }
    close_stores(&stores);
    return status;
}

static struct forced_cluster force_well(const char *directory)
{
    struct forced_cluster found;
    struct storage_error error = {{0}};
    if (force(directory, &found, &error) != STORAGE_OK) {
        fail_msg("%s", error.text);
    }
    return found;
}

static void expect_refusal(const char *directory, enum storage_status expected, const char *words)
{
    struct forced_cluster found;
    struct storage_error error = {{0}};
    assert_int_equal(force(directory, &found, &error), expected);
    if (strstr(error.text, words) == NULL) {
        fail_msg("it said: %s", error.text);
    }
}

/* ---- the cluster --------------------------------------------------------------------------------- */

static bool has_voters(struct cluster *cluster, void *count)
{
    const struct cluster_node *leader = cluster_find_leader(cluster);
    return leader != NULL && cluster_status(leader).membership_committed &&
           cluster_status(leader).membership.voters_count == *(uint32_t *)count &&
           cluster_status(leader).membership.outgoing_count == 0;
}

static void await_voters(struct cluster *cluster, uint32_t count)
{
    cluster_run_until(cluster, has_voters, &count, 20000);
}

/* Three nodes with data; all are dead. Returns one that has everything. */
static struct cluster_node *lose_all(struct cluster *cluster)
{
    cluster_write_some(cluster, "k", 20);
    cluster_assert_equal(cluster);
    struct cluster_node *survivor = cluster_follower(cluster, 1);
    for (uint64_t id = 1; id <= 3; id++) {
        cluster_crash(cluster_node(cluster, id));
    }
    cluster->may_differ = true; /* the same places hold other entries now */
    return survivor;
}

static void join_anew(struct cluster_node *node, const struct cluster_node *asks)
{
    cluster_wipe(node);
    node->join = asks->id;
    assert_true(cluster_start_node(node));
}

static void test_a_survivor_serves_all_that_it_has_and_grows_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 1);
    struct cluster_node *survivor = lose_all(cluster);
    struct forced_cluster found = force_well(survivor->directory);
    assert_int_equal(found.membership.voters_count, 3);
    assert_int_equal(found.hard_state.term, found.last.term);
    assert_true(found.last.index >= 21); /* a no-op, and each write */
    assert_true(cluster_start_node(survivor));
    assert_ptr_equal(cluster_await_leader(cluster), survivor);
    assert_string_equal(cluster_ask(survivor, "GET k:19"), "$2\r\n19\r\n");
    assert_int_equal(cluster_meta(survivor)->key_count, 20);
    cluster_write_some(cluster, "after", 3);
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != survivor->id) {
            join_anew(cluster_node(cluster, id), survivor);
        }
    }
    await_voters(cluster, 3);
    cluster->may_differ = false;
    cluster_assert_equal(cluster);
    assert_int_equal(cluster_meta(cluster_node(cluster, 1))->key_count, 23);
    cluster_destroy(cluster);
}

static void expect_in_status(struct cluster_node *node, const struct forced_cluster *found)
{
    char line[200];
    (void)snprintf(line, sizeof line,
                   "forced:1\nforced_1:time_ms=77,node=%llu,cluster_id=%016llx%016llx,last_term=%llu,"
                   "last_index=%llu,commit_index=%llu\n",
                   (unsigned long long)found->identity.node_id,
                   (unsigned long long)found->identity.cluster_id[0],
                   (unsigned long long)found->identity.cluster_id[1], (unsigned long long)found->last.term,
                   (unsigned long long)found->last.index, (unsigned long long)found->commit);
    assert_non_null(strstr(cluster_ask(node, "RAFT STATUS"), line));
}

/* Also when the survivor itself is gone long since, and the log has been cut. */
static void test_it_is_remembered_for_ever_by_every_member(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 2);
    struct cluster_node *survivor = lose_all(cluster), *newcomer = cluster_node(cluster, 4);
    struct forced_cluster found = force_well(survivor->directory);
    assert_true(cluster_start_node(survivor));
    (void)cluster_await_leader(cluster);
    expect_in_status(survivor, &found);
    assert_true(cluster_has_event(survivor, "cluster-was-forced by="));
    newcomer->join = survivor->id;
    assert_true(cluster_start_node(newcomer));
    await_voters(cluster, 2);
    char line[40];
    (void)snprintf(line, sizeof line, "RAFT TRANSFER %llu", (unsigned long long)newcomer->id);
    assert_non_null(strstr(cluster_ask(survivor, line), "+OK"));
    cluster_run(cluster, 2000);
    (void)snprintf(line, sizeof line, "RAFT REMOVE %llu", (unsigned long long)survivor->id);
    assert_non_null(strstr(cluster_ask(newcomer, line), "+OK"));
    await_voters(cluster, 1);
    cluster_run(cluster, 20000); /* a checkpoint */
    cluster_crash(newcomer);
    byte_buffer_consume(&newcomer->events, byte_buffer_size(&newcomer->events));
    assert_true(cluster_start_node(newcomer));
    assert_ptr_equal(cluster_await_leader(cluster), newcomer);
    expect_in_status(newcomer, &found);
    assert_true(cluster_has_event(newcomer, "cluster-was-forced by="));
    cluster_destroy(cluster);
}

static void expect_hello_refused(struct cluster_node *judge, const struct cluster_node *other,
                                 const char *words)
{
    struct bus_hello hello;
    struct bus_message refused;
    replica_fill_hello(other->replica, judge->id, &hello);
    assert_false(replica_check_hello(judge->replica, &hello, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_CLUSTER);
    if (strstr(refused.refused.reason, words) == NULL) {
        fail_msg("it said: %s", refused.refused.reason);
    }
}

static void test_pitfall_28_old_members_that_come_back_are_refused_with_the_reason(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 3);
    struct cluster_node *survivor = lose_all(cluster);
    struct cluster_node *old = cluster_node(cluster, survivor->id == 1 ? 2 : 1);
    (void)force_well(survivor->directory);
    assert_true(cluster_start_node(survivor));
    assert_true(cluster_start_node(old));
    cluster_run(cluster, 5000);
    expect_hello_refused(survivor, old, "whose majority was given up: of what node");
    expect_hello_refused(survivor, old, "Empty its data directory and start it with --join");
    expect_hello_refused(old, survivor, "its data directory is of another cluster");
    /* It does nothing by itself, and disturbs nobody. */
    assert_true(old->running && !old->stopped);
    assert_int_not_equal(cluster_status(old).role, RAFT_LEADER);
    assert_ptr_equal(cluster_find_leader(cluster), survivor);
    assert_string_equal(cluster_ask(survivor, "SET after 1"), "+OK\r\n");
    assert_int_equal(cluster_meta(survivor)->key_count, 21);
    cluster_destroy(cluster);
}

/* It reads the log of the old cluster from the beginning, and goes by its members for a while; those are
 * there, and refuse it. */
static void test_one_that_joins_does_not_mind_what_old_members_say(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 11);
    assert_non_null(strstr(cluster_ask(cluster_await_leader(cluster), "RAFT ADDRESS 1 node1:17000"), "+OK"));
    struct cluster_node *survivor = lose_all(cluster), *newcomer = cluster_node(cluster, 4);
    (void)force_well(survivor->directory);
    cluster->defaults.append_bytes_max = 1;
    cluster->defaults.inflight_messages_max = 1;
    cluster->delay_ms_min = cluster->delay_ms_max = 10;
    for (uint64_t id = 1; id <= 3; id++) {
        for (uint64_t other = 1; other <= 3; other++) {
            if (id != other && id != survivor->id && other != survivor->id) {
                cluster_cut(cluster, id, other); /* else they would be the old cluster */
            }
        }
        assert_true(cluster_start_node(cluster_node(cluster, id)));
    }
    cluster_run(cluster, 1000);
    newcomer->join = survivor->id;
    assert_true(cluster_start_node(newcomer));
    await_voters(cluster, 2);
    assert_false(newcomer->stopped);
    assert_true(cluster_has_event(newcomer, "membership index=2 voters=1,2,3"));
    cluster_run(cluster, 1000);
    assert_int_equal(cluster_meta(newcomer)->key_count, 20);
    cluster_destroy(cluster);
}

/* What stood in its log and was never committed counts from then on: it says so beforehand. */
static void test_entries_that_were_not_known_as_committed_are_kept(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 4);
    struct cluster_node *leader = cluster_await_leader(cluster);
    cluster_write_some(cluster, "k", 5);
    cluster_assert_equal(cluster);
    cluster_isolate(cluster, leader->id);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_send(client, "SET lonely 1");
    cluster_run(cluster, 200);
    assert_string_equal(cluster_received(client), ""); /* nobody was told anything */
    for (uint64_t id = 1; id <= 3; id++) {
        cluster_crash(cluster_node(cluster, id));
    }
    cluster->may_differ = true;
    struct forced_cluster found = force_well(leader->directory);
    assert_true(found.last.index > found.commit);
    assert_true(cluster_start_node(leader));
    (void)cluster_await_leader(cluster);
    assert_string_equal(cluster_ask(leader, "GET lonely"), "$1\r\n1\r\n");
    cluster_destroy(cluster);
}

/* Under way between two memberships: the newest one in the log, committed or not, is what is left. */
static void test_a_survivor_in_the_middle_of_a_change(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 5);
    struct cluster_node *leader = cluster_await_leader(cluster);
    cluster_write_some(cluster, "k", 5);
    cluster_assert_equal(cluster);
    cluster_isolate(cluster, leader->id);
    assert_non_null(strstr(cluster_ask(leader, "RAFT ADD 4 node4:17000 LEARNER"), "+OK"));
    cluster_run(cluster, 100);
    for (uint64_t id = 1; id <= 3; id++) {
        cluster_crash(cluster_node(cluster, id));
    }
    cluster->may_differ = true;
    struct forced_cluster found = force_well(leader->directory);
    assert_int_equal(found.membership.learners_count, 1);
    assert_true(cluster_start_node(leader));
    await_voters(cluster, 1);
    assert_int_equal(cluster_status(leader).membership.learners_count, 0);
    cluster_write_some(cluster, "after", 1);
    cluster_destroy(cluster);
}

static void test_a_learner_can_be_the_survivor(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 6);
    struct cluster_node *learner = cluster_node(cluster, 4);
    assert_non_null(
        strstr(cluster_ask(cluster_await_leader(cluster), "RAFT ADD 4 node4:17000 LEARNER"), "+OK"));
    learner->join = 1;
    assert_true(cluster_start_node(learner));
    cluster_write_some(cluster, "k", 5);
    cluster_run(cluster, 1000);
    cluster_assert_equal(cluster);
    for (uint64_t id = 1; id <= 4; id++) {
        cluster_crash(cluster_node(cluster, id));
    }
    cluster->may_differ = true;
    struct forced_cluster found = force_well(learner->directory);
    assert_int_equal(raft_membership_find(&found.membership, 4), RAFT_MEMBER_LEARNER);
    assert_true(cluster_start_node(learner));
    await_voters(cluster, 1);
    assert_string_equal(cluster_ask(learner, "GET k:4"), "$1\r\n4\r\n");
    cluster_destroy(cluster);
}

static void test_what_needs_nobody_or_has_nothing_is_refused(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 7);
    struct cluster_node *first = cluster_node(cluster, 1);
    assert_true(cluster_start_node(first));
    cluster_run(cluster, 500);
    cluster_crash(first);
    expect_refusal(first->directory, STORAGE_INCOMPATIBLE, "never formed");
    cluster_start_all(cluster);
    (void)lose_all(cluster);
    (void)force_well(first->directory);
    expect_refusal(first->directory, STORAGE_INCOMPATIBLE, "which it was made by this command before");
    cluster_destroy(cluster);

    struct cluster *one = cluster_create_led(1, 8);
    cluster_crash(cluster_node(one, 1));
    expect_refusal(cluster_node(one, 1)->directory, STORAGE_INCOMPATIBLE,
                   "is the only voter of its cluster:");
    cluster_destroy(one);
}

/* A majority is lost twice in the life of a cluster. */
static void test_it_happens_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 9);
    struct cluster_node *survivor = lose_all(cluster);
    (void)force_well(survivor->directory);
    assert_true(cluster_start_node(survivor));
    struct cluster_node *second = cluster_node(cluster, survivor->id == 1 ? 2 : 1);
    join_anew(second, survivor);
    await_voters(cluster, 2);
    cluster_run(cluster, 500);
    cluster_crash(survivor);
    cluster_crash(second);
    struct stores stores;
    struct forced_cluster found;
    struct storage_error error = {{0}};
    const struct forced_cluster_order order = {.cluster_id = {5, 6}, .time_ms = 88};
    assert_int_equal(open_stores(second->directory, &stores, &error), STORAGE_OK);
    assert_int_equal(forced_cluster_examine(stores.log, stores.map, &found, &error), STORAGE_OK);
    assert_int_equal(found.members.forced_count, 1);
    assert_int_equal(forced_cluster_make(stores.log, &found, &order, &error), STORAGE_OK);
    close_stores(&stores);
    assert_true(cluster_start_node(second));
    await_voters(cluster, 1);
    const char *status = cluster_ask(second, "RAFT STATUS");
    assert_non_null(strstr(status, "forced:2\nforced_1:time_ms=77,"));
    assert_non_null(strstr(status, "forced_2:time_ms=88,"));
    assert_string_equal(cluster_ask(second, "GET k:0"), "$1\r\n0\r\n");
    cluster_destroy(cluster);
}

/* ---- every step ---------------------------------------------------------------------------------- */

static void copy_directory(const char *from, const char *to)
{
    char command[1200];
    (void)snprintf(command, sizeof command, "cp -a --sparse=always '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

/* All of the old state, or all of the new one. */
static bool is_forced(const char *directory, const struct forced_cluster *before)
{
    struct stores stores;
    struct storage_error error = {{0}};
    struct log_identity identity;
    struct log_store_state state;
    bool found = false;
    if (open_stores(directory, &stores, &error) != STORAGE_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(log_store_read_identity(stores.log, &identity, &found, &error), STORAGE_OK);
    log_store_get_state(stores.log, &state);
    close_stores(&stores);
    assert_int_equal(identity.disk_id, before->identity.disk_id);
    bool is_new = memcmp(identity.cluster_id, NEW_ID, sizeof NEW_ID) == 0;
    if (!is_new) {
        assert_memory_equal(&identity, &before->identity, sizeof identity);
    }
    uint64_t more = is_new ? 1 : 0;
    assert_int_equal(identity.members_count, is_new ? 1 : 3);
    assert_int_equal(state.hard_state.term, before->hard_state.term + more);
    assert_int_equal(state.last.index, before->last.index + more);
    assert_int_equal(state.last.term, is_new ? before->hard_state.term + 1 : before->last.term);
    assert_true(is_new ? state.commit_hint == state.last.index : state.commit_hint <= before->commit);
    return is_new;
}

/* Forces in a child whose k-th call fails, or kills it; false: it came to its end before that. */
static bool fails_at(const char *directory, enum syscalls_mode mode, int k)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct forced_cluster found;
        struct storage_error error;
        syscalls_arm(mode, EIO, k);
        enum storage_status status = force(directory, &found, &error);
        _exit(status == STORAGE_OK ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL && mode == SYSCALLS_KILL
                                    : WIFEXITED(status));
    return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

static void fail_at_every_step(const char *source, const struct forced_cluster *before,
                               enum syscalls_mode mode)
{
    char *folder = temp_directory_create();
    int old_count = 0, new_count = 0;
    bool fails = true;
    for (int k = 0; fails; k++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", k);
        char *copy = temp_directory_join(folder, name);
        copy_directory(source, copy);
        fails = fails_at(copy, mode, k);
        bool is_new = is_forced(copy, before);
        assert_true(is_new || fails);
        assert_true(is_new || new_count == 0); /* there is one commit point */
        old_count += is_new ? 0 : 1;
        new_count += is_new ? 1 : 0;
        if (!is_new) {
            (void)force_well(copy); /* the next try succeeds */
            assert_true(is_forced(copy, before));
        }
        temp_directory_remove(copy);
        assert_true(k < 200);
    }
    assert_true(old_count > 2 && new_count > 0);
    temp_directory_remove(folder);
}

static void test_pitfall_12_killed_or_failing_at_every_step_it_is_done_or_not(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 10);
    struct cluster_node *survivor = lose_all(cluster);
    struct stores stores;
    struct forced_cluster before;
    struct storage_error error = {{0}};
    assert_int_equal(open_stores(survivor->directory, &stores, &error), STORAGE_OK);
    assert_int_equal(forced_cluster_examine(stores.log, stores.map, &before, &error), STORAGE_OK);
    close_stores(&stores);
    fail_at_every_step(survivor->directory, &before, SYSCALLS_KILL);
    fail_at_every_step(survivor->directory, &before, SYSCALLS_FAIL);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_survivor_serves_all_that_it_has_and_grows_again),
        cmocka_unit_test(test_it_is_remembered_for_ever_by_every_member),
        cmocka_unit_test(test_pitfall_28_old_members_that_come_back_are_refused_with_the_reason),
        cmocka_unit_test(test_one_that_joins_does_not_mind_what_old_members_say),
        cmocka_unit_test(test_entries_that_were_not_known_as_committed_are_kept),
        cmocka_unit_test(test_a_survivor_in_the_middle_of_a_change),
        cmocka_unit_test(test_a_learner_can_be_the_survivor),
        cmocka_unit_test(test_what_needs_nobody_or_has_nothing_is_refused),
        cmocka_unit_test(test_it_happens_again),
        cmocka_unit_test(test_pitfall_12_killed_or_failing_at_every_step_it_is_done_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
