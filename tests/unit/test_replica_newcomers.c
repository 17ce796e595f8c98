/* test_replica_newcomers.c: nodes whose place in the cluster not everybody knows of yet: they join, come back
 * under an old id, or were taken out by what may be undone. */
#include "command.h"
#include "replica_cluster_members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static enum raft_member_kind kind_of(const struct cluster_node *node, uint64_t id)
{
    return raft_membership_find(raft_get_membership(replica_raft(node->replica)), id);
}

static void start_joining(struct cluster *cluster, uint64_t id, uint64_t asks, uint64_t or_asks)
{
    struct cluster_node *node = cluster_node(cluster, id);
    node->join = asks;
    node->join_too = or_asks;
    assert_true(cluster_start_node(node));
}

static bool is_voter(struct cluster *cluster, void *context)
{
    const struct cluster_node *leader = cluster_find_leader(cluster);
    const struct cluster_node *node = context;
    return leader != NULL && cluster_status(leader).membership_committed &&
           kind_of(leader, node->id) == RAFT_MEMBER_VOTER;
}

static bool greet(struct cluster_node *from, uint64_t to, struct cluster_node *judge,
                  struct bus_message *refused)
{
    struct bus_hello hello;
    replica_fill_hello(from->replica, to, &hello);
    return replica_check_hello(judge->replica, &hello, refused);
}

/* ---- undone -------------------------------------------------------------------------------------- */

/* Seed 4 of the simulator: what a node finds in its log when it starts is not committed by that. */
static void test_pitfall_8_nobody_is_told_of_a_removal_that_is_not_committed(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 1);
    struct cluster_node *learner = cluster_node(cluster, 4);
    struct bus_message refused;
    cluster_tell_leader(cluster, "RAFT ADD 4 node4:17000 LEARNER", "+OK");
    start_joining(cluster, 4, 1, 0);
    cluster_run(cluster, 2000);
    struct cluster_node *old = cluster_await_leader(cluster);
    cluster_isolate(cluster, old->id);
    assert_memory_equal(cluster_ask(old, "RAFT REMOVE 4"), "+OK", 3);
    cluster_run(cluster, 100); /* it is on its disk, and nowhere else */
    cluster_crash(old);
    assert_true(cluster_start_node(old));
    cluster_isolate(cluster, old->id);
    assert_int_equal(cluster_status(old).kind, RAFT_MEMBER_VOTER);
    assert_int_equal(kind_of(old, 4), RAFT_MEMBER_NONE);
    assert_false(greet(learner, old->id, old, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_NOT_A_MEMBER);
    cluster_run(cluster, 2000);
    cluster_heal(cluster);
    cluster_run(cluster, 3000);
    assert_false(learner->stopped);
    assert_int_equal(cluster_status(learner).kind, RAFT_MEMBER_LEARNER);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static bool is_named(struct cluster *cluster, void *context)
{
    struct cluster_node *node = context;
    struct raft_status status;
    (void)cluster;
    if (replica_raft(node->replica) == NULL) {
        return false;
    }
    raft_get_status(replica_raft(node->replica), &status);
    return status.kind == RAFT_MEMBER_LEARNER;
}

/* Seed 2010: it was told that it is a member, and its own log says so, and nobody else's does. */
static void test_one_whose_joining_was_undone_asks_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 6);
    struct cluster_node *old = cluster_await_leader(cluster), *node = cluster_node(cluster, 4);
    cluster_tell_leader(cluster, "RAFT ADD 4 node4:17000 LEARNER", "+OK");
    cluster_run(cluster, 500);
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != old->id) {
            cluster_cut(cluster, old->id, id);
            cluster_cut(cluster, id, old->id);
        }
    }
    start_joining(cluster, 4, old->id, old->id % 3 + 1);
    cluster_run_until(cluster, is_named, node, 3000);
    cluster_crash(old);
    cluster_heal(cluster);
    cluster_run(cluster, 3000);
    assert_true(cluster_start_node(old));
    cluster_run(cluster, 5000);
    assert_int_equal(kind_of(cluster_await_leader(cluster), 4), RAFT_MEMBER_LEARNER);
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "SET k v"), "+OK\r\n");
    cluster_run(cluster, 500);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* Seed 1795667358722: the only voter lost the entry that added it, which its disk had not got yet. By its
 * index that entry is newer than all that the voter knows, so it refused nothing, and led on without the
 * node. */
static void test_one_whose_joining_was_lost_asks_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(2, 1, 8);
    struct cluster_node *first = cluster_node(cluster, 1), *node = cluster_node(cluster, 2);
    cluster_tell_leader(cluster, "SET k v", "+OK");
    cluster_run(cluster, 500);
    cluster_hold_disk(first, DISK_QUEUE_LOG, true);
    start_joining(cluster, 2, 1, 0);
    cluster_run_until(cluster, is_named, node, 3000);
    cluster_crash(first);
    cluster_hold_disk(first, DISK_QUEUE_LOG, false);
    assert_true(cluster_start_node(first));
    assert_int_equal(kind_of(first, 2), RAFT_MEMBER_NONE);
    cluster_run_until(cluster, is_voter, node, 20000);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* Seed 2012: nobody has told a new leader that a node is dead; but nobody has told it that it lives. */
static void test_a_new_leader_takes_nobody_for_alive_that_it_has_not_heard_of(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 7);
    struct cluster_node *old = cluster_find_leader(cluster);
    struct cluster_node *dead = cluster_follower(cluster, 0), *next = cluster_follower(cluster, 1);
    char line[60];
    cluster_crash(dead);
    cluster_run(cluster, 2000);
    (void)snprintf(line, sizeof line, "RAFT TRANSFER %llu", (unsigned long long)next->id);
    cluster_tell_leader(cluster, line, "+OK");
    for (int ms = 0; ms < 2000 && !cluster_status(next).leader_ready; ms++) {
        cluster_run(cluster, 1);
    }
    assert_true(cluster_status(next).leader_ready);
    (void)snprintf(line, sizeof line, "RAFT REMOVE %llu", (unsigned long long)old->id);
    assert_memory_equal(cluster_ask(next, line), "-ERR that would leave a cluster that cannot work", 48);
    (void)snprintf(line, sizeof line, "RAFT REMOVE %llu", (unsigned long long)dead->id);
    assert_memory_equal(cluster_ask(next, line), "+OK", 3);
    cluster_destroy(cluster);
}

/* Seed 1795688920596: the leader stood still. Then it read that a node answers, which had stopped long
 * before, and a command for which that node would be needed. */
static void test_a_leader_that_stood_still_takes_nobody_for_alive_by_what_it_reads_then(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 15);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *gone = cluster_follower(cluster, 0), *other = cluster_follower(cluster, 1);
    struct cluster_client *client = cluster_connect(leader, 0);
    char line[60];
    cluster_run(cluster, 1000);
    cluster_hold_links_to(cluster, leader->id); /* so that something is on its way */
    cluster_run(cluster, 200);
    cluster_pause(leader);
    cluster_heal(cluster);
    cluster_pause(gone);
    cluster_run(cluster, 5000);
    (void)snprintf(line, sizeof line, "RAFT REMOVE %llu", (unsigned long long)other->id);
    cluster->clients_first = false; /* messages are read before */
    cluster_resume(leader);
    cluster_send(client, line);
    cluster_expect_prefix(client, "-");
    cluster_destroy(cluster);
}

static bool is_removed(struct cluster *cluster, void *node)
{
    (void)cluster;
    return cluster_has_event(node, "removed");
}

/* Seed 5626: it does not know who has come since. */
static void test_one_that_was_removed_says_that_of_nobody_else(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 9);
    struct cluster_node *node = cluster_follower(cluster, 0);
    struct bus_hello hello;
    struct bus_message refused;
    cluster_remove(cluster, node);
    cluster_run_until(cluster, is_removed, node, 3000);
    assert_false(node->stopped);
    replica_fill_hello(cluster_find_leader(cluster)->replica, node->id, &hello);
    hello.from = 9;
    hello.membership_index = 1;
    assert_false(replica_check_hello(node->replica, &hello, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_NOT_A_MEMBER);
    hello.to = cluster_find_leader(cluster)->id;
    assert_false(replica_check_hello(cluster_find_leader(cluster)->replica, &hello, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_REMOVED);
    cluster_destroy(cluster);
}

/* ---- coming back --------------------------------------------------------------------------------- */

/* Seed 31: it reads in the log how the former one of its id was added and removed, entry by entry. */
static void test_one_that_comes_back_with_an_empty_disk_survives_its_past(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 2);
    cluster->defaults.append_bytes_max = 1;
    cluster->defaults.inflight_messages_max = 1;
    cluster_start_all(cluster);
    (void)cluster_await_leader(cluster);
    struct cluster_node *node = cluster_follower(cluster, 0);
    cluster_remove(cluster, node);
    cluster_run_until(cluster, cluster_has_stopped, node, 10000);
    cluster_run(cluster, 3000);
    cluster_wipe(node);
    start_joining(cluster, node->id, cluster_await_leader(cluster)->id, 0);
    cluster_run_until(cluster, is_voter, node, 10000);
    cluster_run(cluster, 3000);
    assert_false(node->stopped);
    cluster_assert_equal(cluster);
    /* When it is removed itself, it is told, also after a restart. */
    cluster_crash(node);
    assert_true(cluster_start_node(node));
    cluster_run(cluster, 1000);
    cluster_remove(cluster, node);
    cluster_run_until(cluster, cluster_has_stopped, node, 10000);
    cluster_run(cluster, 10);
    assert_int_equal(node->stop_code, REPLICA_EXIT_REFUSED);
    cluster_destroy(cluster);
}

/* Seed 753: the member that is asked is behind, and knows the id by its former disk. */
static void test_only_the_leader_refuses_a_disk_of_one_that_joins(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 3);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *other = cluster_follower(cluster, 0), *node = cluster_follower(cluster, 1);
    struct bus_hello hello;
    struct bus_message refused;
    struct bus_join_answer answer;
    replica_fill_hello(node->replica, RAFT_NODE_NONE, &hello);
    hello.disk_id++;
    hello.formation = BUS_FORMATION_NONE;
    assert_true(replica_check_hello(other->replica, &hello, &refused));
    replica_on_join_request(other->replica, &hello, &answer);
    assert_int_equal(answer.step, BUS_JOIN_ASK); /* there it is refused */
    assert_false(replica_check_hello(leader->replica, &hello, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_DISK);
    /* The id may have been taken between its hello and the proof that follows it. */
    replica_on_join_request(leader->replica, &hello, &answer);
    assert_int_equal(answer.step, BUS_JOIN_WAIT);
    assert_non_null(strstr(answer.reason, "with another disk"));
    cluster_destroy(cluster);
}

/* Seed 3640: one that is behind knows a voter as somebody who was announced and has not come yet, or by a
 * disk that it has no more: without the two of them nobody leads. */
static void test_one_that_goes_by_a_newer_membership_is_heard_by_one_that_is_behind(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 8);
    struct cluster_node *behind = cluster_follower(cluster, 0), *other = cluster_follower(cluster, 1);
    struct cluster_node *node = cluster_node(cluster, 4);
    cluster_tell_leader(cluster, "RAFT ADD 4 node4:17000", "+OK");
    cluster_run(cluster, 1000);
    assert_int_equal(kind_of(behind, 4), RAFT_MEMBER_LEARNER);
    cluster_crash(behind);
    start_joining(cluster, 4, cluster_await_leader(cluster)->id, 0);
    cluster_run_until(cluster, is_voter, node, 10000);
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "SET k v"), "+OK\r\n");
    cluster_run(cluster, 500);
    for (uint64_t id = 1; id <= 4; id++) { /* three of four voters, one of them behind */
        if (id != behind->id) {
            cluster_crash(cluster_node(cluster, id));
        }
    }
    assert_true(cluster_start_node(behind));
    assert_true(cluster_start_node(other));
    assert_true(cluster_start_node(node));
    cluster_cut(cluster, other->id, behind->id); /* the newcomer alone can help it */
    cluster_cut(cluster, behind->id, other->id);
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "SET k w"), "+OK\r\n");
    cluster_heal(cluster);
    cluster_run(cluster, 2000);
    assert_int_equal(kind_of(behind, 4), RAFT_MEMBER_VOTER);
    cluster_destroy(cluster);
}

/* Seed 7250: it would read in its log at each start that it was removed, and end. */
static void test_a_disk_that_was_removed_cannot_ask_to_be_added(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 10);
    struct cluster_node *node = cluster_follower(cluster, 0);
    struct bus_hello hello;
    struct bus_message refused;
    assert_string_equal(cluster_ask(cluster_find_leader(cluster), "SET k v"), "+OK\r\n");
    cluster_run(cluster, 2000);
    assert_string_equal(cluster_ask(cluster_find_leader(cluster), "SET k v"), "+OK\r\n");
    replica_fill_hello(node->replica, RAFT_NODE_NONE, &hello);
    cluster_remove(cluster, node);
    cluster_run_until(cluster, cluster_has_stopped, node, 5000);
    cluster_run(cluster, 5000);
    assert_false(replica_check_hello(cluster_find_leader(cluster)->replica, &hello, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_REMOVED);
    hello.formation =
        BUS_FORMATION_NONE; /* nor one that was removed before it heard that it had been added */
    assert_false(replica_check_hello(cluster_find_leader(cluster)->replica, &hello, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_REMOVED);
    hello.disk_id++; /* another disk can */
    assert_true(replica_check_hello(cluster_find_leader(cluster)->replica, &hello, &refused));
    cluster_destroy(cluster);
}

/* ---- joining ------------------------------------------------------------------------------------- */

/* Seed 7: two that join name each other first, and a member after that. */
static void test_nodes_that_join_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(5, 3, 4);
    start_joining(cluster, 4, 5, 1);
    start_joining(cluster, 5, 4, 1);
    cluster_run_until(cluster, is_voter, cluster_node(cluster, 4), 20000);
    cluster_run_until(cluster, is_voter, cluster_node(cluster, 5), 20000);
    cluster_run(cluster, 1000);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static bool has_installed(struct cluster *cluster, void *node)
{
    (void)cluster;
    return cluster_has_event(node, "snapshot-installed");
}

/* Seed 359: what it has loaded is from before it was added, and so is what the member knows that refuses
 * it. */
static void test_one_that_joins_is_not_removed_by_a_member_that_is_behind(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(4, 5);
    cluster->initial_count = 3;
    cluster->defaults.log_tail_bytes = 2000;
    cluster->defaults.checkpoint_log_bytes = 1000;
    cluster->defaults.checkpoint_idle_ms = 100;
    for (uint64_t id = 1; id <= 3; id++) {
        assert_true(cluster_start_node(cluster_node(cluster, id)));
    }
    struct cluster_node *leader = cluster_await_leader(cluster), *node = cluster_node(cluster, 4);
    for (int i = 0; i < 400 && cluster_status(leader).first_index == 1; i++) {
        char line[20];
        (void)snprintf(line, sizeof line, "SET k%d v", i);
        assert_string_equal(cluster_ask(leader, line), "+OK\r\n");
        cluster_run(cluster, i % 20 == 0 ? 300 : 1);
    }
    assert_true(cluster_status(leader).first_index > 1);
    cluster_hold_disk(leader, DISK_QUEUE_MAP, true); /* no checkpoint: its map stays what it is */
    start_joining(cluster, 4, leader->id, 0);
    cluster_run_until(cluster, has_installed, node, 10000);
    cluster_cut(cluster, leader->id, 4); /* nothing that came later reaches it */
    assert_int_equal(kind_of(node, 4), RAFT_MEMBER_NONE);
    const uint64_t voters[] = {leader->id % 3 + 1, (leader->id + 1) % 3 + 1};
    for (uint32_t i = 0; i < 2; i++) { /* seed 1795688021614: it asks to be added, and is told then */
        replica_on_refused(node->replica, voters[i], BUS_REFUSAL_REMOVED, "removed");
        cluster_run(cluster, 10);
        assert_false(node->stopped);
    }
    cluster_hold_disk(leader, DISK_QUEUE_MAP, false);
    cluster_heal(cluster);
    cluster_run_until(cluster, is_voter, node, 10000);
    cluster_destroy(cluster);
}

static bool is_learner(struct cluster *cluster, void *node)
{
    return kind_of(cluster_await_leader(cluster), ((struct cluster_node *)node)->id) == RAFT_MEMBER_LEARNER;
}

static void cut_off(struct cluster *cluster, uint64_t id)
{
    for (uint64_t other = 1; other <= 3; other++) {
        cluster_cut(cluster, other, id);
        cluster_cut(cluster, id, other);
    }
}

/* Seeds 199 and 7250: it was removed before it knew that it was added, and asks again. What it would load
 * is from between, or its own log would say at each start that it is out: it is told to come with an empty
 * disk. */
static void test_one_that_was_removed_before_it_knew_is_told_when_it_asks_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 5);
    struct cluster_node *leader = cluster_await_leader(cluster), *node = cluster_node(cluster, 4);
    assert_string_equal(cluster_ask(leader, "SET k v"), "+OK\r\n");
    cluster_run(cluster, 2000); /* removed disks are remembered as soon as all members know that rule */
    start_joining(cluster, 4, leader->id, 0);
    cluster_run_until(cluster, is_learner, node, 10000);
    cut_off(cluster, 4);
    cluster_remove(cluster, node);
    cluster_run(cluster, 1000);
    assert_int_equal(kind_of(leader, 4), RAFT_MEMBER_NONE);
    cluster_run(cluster, 10000);
    cluster_heal(cluster);
    cluster_run_until(cluster, cluster_has_stopped, node, 20000);
    cluster_run(cluster, 10);
    assert_int_equal(node->stop_code, REPLICA_EXIT_REFUSED);
    assert_non_null(strstr(node->stop_reason, "was removed"));
    cluster_wipe(node);
    start_joining(cluster, 4, leader->id, 0);
    cluster_run_until(cluster, is_voter, node, 10000);
    cluster_run(cluster, 1000);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* Nodes 1 to 3 run, under rules that do not remember removed disks; what is sent is sent slowly. */
static struct cluster *create_with_old_rules(uint64_t seed)
{
    struct cluster *cluster = cluster_create(4, seed);
    cluster->initial_count = 3;
    cluster->defaults.rules_version_max = COMMAND_RULES_VERSION_MIN;
    cluster->defaults.append_bytes_max = 1; /* one entry after the other */
    cluster->defaults.inflight_messages_max = 1;
    for (uint64_t id = 1; id <= 3; id++) {
        assert_true(cluster_start_node(cluster_node(cluster, id)));
    }
    return cluster;
}

/* Seed 3606: as long as the rules do not remember removed disks, one can be added again before it has read
 * that it was removed. It reads on. */
static void test_one_that_was_added_again_while_it_was_away_is_not_removed_by_its_past(void **state)
{
    (void)state;
    struct cluster *cluster = create_with_old_rules(12);
    struct bus_hello hello;
    struct bus_join_answer answer;
    struct cluster_node *leader = cluster_await_leader(cluster), *node = cluster_node(cluster, 4);
    start_joining(cluster, 4, leader->id, 0);
    cluster_run_until(cluster, is_voter, node, 10000);
    cluster_run(cluster, 1000);
    replica_fill_hello(node->replica, leader->id, &hello);
    cluster_crash(node);
    cluster_remove(cluster, node);
    cluster_run(cluster, 10000);
    leader = cluster_await_leader(cluster);
    assert_int_equal(kind_of(leader, 4), RAFT_MEMBER_NONE);
    replica_on_join_request(leader->replica, &hello, &answer);
    cluster_run(cluster, 1000);
    assert_int_equal(kind_of(leader, 4), RAFT_MEMBER_LEARNER);
    assert_true(cluster_start_node(node));
    cluster_run_until(cluster, is_voter, node, 20000);
    cluster_run(cluster, 1000);
    assert_false(node->stopped);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* Seed 1795675972146: the same, and its connections are from before the removal, so that nobody has said that
 * there is something newer. */
static void test_one_that_asked_to_be_added_again_is_not_removed_by_its_past(void **state)
{
    (void)state;
    struct cluster *cluster = create_with_old_rules(13);
    struct cluster_node *leader = cluster_await_leader(cluster), *node = cluster_node(cluster, 4);
    start_joining(cluster, 4, leader->id, 0);
    cluster_run_until(cluster, is_learner, node, 10000);
    cut_off(cluster, 4);
    cluster_remove(cluster, node);
    cluster_run(cluster, 1000);
    assert_int_equal(kind_of(leader, 4), RAFT_MEMBER_NONE);
    cluster_heal(cluster);
    cluster_run_until(cluster, is_voter, node, 20000);
    cluster_run(cluster, 1000);
    assert_false(node->stopped);
    assert_true(cluster_has_event(node, "joining"));
    cluster_assert_equal(cluster);
    /* When it really is removed it is told so. */
    cluster_remove(cluster, node);
    cluster_run_until(cluster, cluster_has_stopped, node, 20000);
    assert_int_equal(node->stop_code, REPLICA_EXIT_REFUSED);
    cluster_destroy(cluster);
}

/* Seed 1795700005690: the only voter stood still. Then it read what a learner had said before that, made it a
 * voter, and could do nothing without it; but the learner was long dead. */
static void test_a_learner_that_is_gone_becomes_no_voter(void **state)
{
    (void)state;
    for (uint64_t ms = 0; ms < 600; ms += 10) {
        struct cluster *cluster = cluster_create_partly(2, 1, 14);
        struct cluster_node *leader = cluster_node(cluster, 1), *node = cluster_node(cluster, 2);
        cluster->delay_ms_min = cluster->delay_ms_max = 40;
        start_joining(cluster, 2, 1, 0);
        cluster_run_until(cluster, is_learner, node, 10000);
        cluster_run(cluster, ms);
        cluster_hold_links_to(cluster, 1);
        cluster_run(cluster, 100);
        cluster_pause(node);
        cluster_run(cluster, 3000);
        if (kind_of(leader, 2) == RAFT_MEMBER_VOTER) {
            assert_true(ms > 100);
            cluster_destroy(cluster);
            break; /* so late it heard all that it needed */
        }
        cluster_link(cluster, 2, 1)->held = false;
        cluster_run(cluster, 3000);
        assert_int_equal(kind_of(leader, 2), RAFT_MEMBER_LEARNER);
        cluster_resume(node);
        cluster_run_until(cluster, is_voter, node, 10000);
        cluster_destroy(cluster);
    }
}

static bool leads(struct cluster *cluster, void *node)
{
    (void)cluster;
    return cluster_status(node).role == RAFT_LEADER;
}

/* The round of catching up that a node began when it led before: what it aimed at was undone, and the log
 * does not get that far in a quiet cluster. */
static void test_a_round_of_a_former_time_as_leader_does_not_hold_up_a_learner(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_partly(4, 3, 21);
    struct cluster_node *node = cluster_node(cluster, 4), *old = cluster_await_leader(cluster);
    struct cluster_node *others[] = {cluster_follower(cluster, 0), cluster_follower(cluster, 1)};
    char line[40];
    cluster_tell_leader(cluster, "RAFT ADD 4 node4:17000 LEARNER", "+OK");
    start_joining(cluster, 4, old->id, 0);
    cluster_run_until(cluster, is_named, node, 10000);
    cluster_run(cluster, 1000);
    cluster_link(cluster, 4, old->id)->held = true; /* so that it is not promoted yet */
    cluster_tell_leader(cluster, "RAFT PROMOTE 4", "+OK");
    cluster_run(cluster, 60);
    for (int i = 0; i < 2; i++) { /* the old leader has the learner only, and the learner it */
        cluster_cut(cluster, others[i]->id, 4);
        cluster_cut(cluster, 4, others[i]->id);
        cluster_cut(cluster, old->id, others[i]->id);
        cluster_cut(cluster, others[i]->id, old->id);
    }
    struct cluster_client *client = cluster_connect(old, 0);
    for (int i = 0; i < 12; i++) {
        cluster_send(client, "SET k v");
        cluster_run(cluster, 5);
    }
    cluster_link(cluster, 4, old->id)->held = false;
    cluster_run(cluster, 60);
    assert_int_equal(kind_of(old, 4), RAFT_MEMBER_VOTER); /* which is not committed */
    cluster_run(cluster, 3000);
    for (int i = 0; i < 2; i++) {
        cluster_link(cluster, old->id, others[i]->id)->cut = false;
        cluster_link(cluster, others[i]->id, old->id)->cut = false;
    }
    cluster_run(cluster, 3000);
    assert_ptr_not_equal(cluster_await_leader(cluster), old);
    assert_int_equal(kind_of(cluster_await_leader(cluster), 4), RAFT_MEMBER_LEARNER);
    (void)snprintf(line, sizeof line, "RAFT TRANSFER %llu", (unsigned long long)old->id);
    cluster_tell_leader(cluster, line, "+OK");
    cluster_run_until(cluster, leads, old, 10000);
    cluster_heal(cluster);
    cluster_run_until(cluster, is_voter, node, 20000);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pitfall_8_nobody_is_told_of_a_removal_that_is_not_committed),
        cmocka_unit_test(test_one_whose_joining_was_undone_asks_again),
        cmocka_unit_test(test_one_whose_joining_was_lost_asks_again),
        cmocka_unit_test(test_a_new_leader_takes_nobody_for_alive_that_it_has_not_heard_of),
        cmocka_unit_test(test_a_leader_that_stood_still_takes_nobody_for_alive_by_what_it_reads_then),
        cmocka_unit_test(test_one_that_was_removed_says_that_of_nobody_else),
        cmocka_unit_test(test_one_that_comes_back_with_an_empty_disk_survives_its_past),
        cmocka_unit_test(test_only_the_leader_refuses_a_disk_of_one_that_joins),
        cmocka_unit_test(test_a_disk_that_was_removed_cannot_ask_to_be_added),
        cmocka_unit_test(test_one_that_goes_by_a_newer_membership_is_heard_by_one_that_is_behind),
        cmocka_unit_test(test_nodes_that_join_do_not_wait_for_each_other),
        cmocka_unit_test(test_one_that_joins_is_not_removed_by_a_member_that_is_behind),
        cmocka_unit_test(test_one_that_was_removed_before_it_knew_is_told_when_it_asks_again),
        cmocka_unit_test(test_one_that_was_added_again_while_it_was_away_is_not_removed_by_its_past),
        cmocka_unit_test(test_one_that_asked_to_be_added_again_is_not_removed_by_its_past),
        cmocka_unit_test(test_a_learner_that_is_gone_becomes_no_voter),
        cmocka_unit_test(test_a_round_of_a_former_time_as_leader_does_not_hold_up_a_learner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
