/* test_replica_batch.c: commands on their way through the log, and what their clients are told. */
#include "replica_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UNKNOWN                                                                                              \
    "-UNKNOWN the write may or may not have happened: its outcome was not known in time; do not retry it "   \
    "blindly\r\n"

static uint64_t last_index(const struct cluster_node *node)
{
    return cluster_status(node).last.index;
}

static void connect_pair(struct cluster *cluster, const struct cluster_node *a, const struct cluster_node *b)
{
    cluster_link(cluster, a->id, b->id)->cut = false;
    cluster_link(cluster, b->id, a->id)->cut = false;
}

/* Messages from the other one arrive, and none go there. */
static void hear_only(const struct cluster_node *node, const struct cluster_node *other)
{
    cluster_link(node->cluster, other->id, node->id)->cut = false;
}

static bool is_leader(struct cluster *cluster, void *context)
{
    (void)cluster;
    return cluster_status(context).role == RAFT_LEADER;
}

/* A map with the key's slot and the address that the node announces on the first listener. */
static const char *moved(char *text, size_t size, unsigned slot, const struct cluster_node *to)
{
    (void)snprintf(text, size, "-MOVED %u node%u:7000\r\n", slot, (unsigned)to->id);
    return text;
}

/* ---- sharing ------------------------------------------------------------------------------------- */

static void test_commands_of_one_turn_share_one_entry(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 1);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *clients[10];
    uint64_t before = last_index(leader);
    for (int i = 0; i < 10; i++) {
        clients[i] = cluster_connect(leader, 0);
        for (int j = 0; j < 5; j++) {
            cluster_send(clients[i], "INCR n");
        }
    }
    cluster_settle(cluster);
    assert_int_equal(last_index(leader), before + 1);
    cluster_run(cluster, 100);
    assert_int_equal(last_index(leader), before + 1);
    assert_string_equal(cluster_ask(leader, "GET n"), "$2\r\n50\r\n");
    cluster_destroy(cluster);
}

static void test_commands_gather_while_the_allowed_entries_are_in_flight(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 2);
    cluster->defaults.entries_in_flight_max = 1;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_hold_disk(leader, DISK_QUEUE_LOG, true);
    cluster_hold_links_to(cluster, leader->id);
    uint64_t before = last_index(leader);
    for (int i = 0; i < 5; i++) {
        cluster_send(client, "INCR n");
        cluster_settle(cluster);
    }
    assert_int_equal(last_index(leader), before + 1);
    cluster_heal(cluster);
    cluster_hold_disk(leader, DISK_QUEUE_LOG, false);
    cluster_expect(client, ":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n");
    assert_int_equal(last_index(leader), before + 2);
    cluster_destroy(cluster);
}

static bool has_sent_early(struct cluster *cluster, void *node)
{
    (void)cluster;
    return ((const struct cluster_node *)node)->sent_now_last != 0;
}

/* One client alone waits for nobody, and many share few entries. */
static void test_an_entry_leaves_when_it_is_as_large_as_those_on_their_way(void **state)
{
    (void)state;
    static const uint64_t ENTRIES[] = {1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4};
    struct cluster *cluster = cluster_create(3, 2);
    cluster->defaults.entries_in_flight_max = 4;
    cluster->defaults.gather_commands = true;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_hold_links_to(cluster, leader->id);
    uint64_t before = last_index(leader);
    for (size_t i = 0; i < sizeof ENTRIES / sizeof ENTRIES[0]; i++) {
        cluster_send(client, "INCR n");
        cluster_settle(cluster);
        assert_int_equal(last_index(leader), before + ENTRIES[i]);
    }
    cluster_heal(cluster);
    cluster_run(cluster, 100);
    assert_int_equal(last_index(leader), before + 5);
    assert_string_equal(cluster_ask(leader, "GET n"), "$2\r\n20\r\n");
    cluster_destroy(cluster);
}

/* The disks and the other nodes work on the next entry while this node applies the one before. */
static void test_an_entry_leaves_before_the_last_one_is_applied(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 2);
    cluster->defaults.entries_in_flight_max = 1;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_hold_links_to(cluster, leader->id);
    uint64_t before = last_index(leader);
    cluster_send(client, "INCR n");
    cluster_settle(cluster);
    cluster_send(client, "INCR n");
    cluster_settle(cluster);
    assert_int_equal(last_index(leader), before + 1);
    leader->sent_now_last = 0;
    cluster_heal(cluster);
    cluster_run_until(cluster, has_sent_early, leader, 1000);
    assert_int_equal(leader->sent_now_last, before + 2);
    assert_int_equal(leader->sent_now_applied, before);
    cluster_expect(client, ":1\r\n:2\r\n");
    cluster_destroy(cluster);
}

static void test_an_entry_takes_no_more_commands_than_its_limit_of_bytes(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 3);
    cluster->defaults.entry_bytes_max = 1000;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    uint64_t before = last_index(leader);
    for (int i = 0; i < 4; i++) {
        cluster_send_set(client, "k", 450);
    }
    cluster_send_set(client, "large", 5000); /* one larger command still fits */
    cluster_expect(client, "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
    assert_int_equal(last_index(leader), before + 3);
    cluster_destroy(cluster);
}

static void test_a_pipeline_sees_each_of_its_writes_in_place(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 4);
    struct cluster_client *client = cluster_connect(cluster_find_leader(cluster), 0);
    for (int round = 0; round < 3; round++) {
        cluster_send(client, "SET k 1");
        cluster_send(client, "GET k");
        cluster_send(client, "APPEND k 2");
        cluster_send(client, "MGET k k");
        cluster_send(client, "DEL k");
        cluster_send(client, "GET k");
        cluster_send(client, "PING");
        cluster_send(client, "FOO");
        cluster_expect(client, "+OK\r\n$1\r\n1\r\n:2\r\n*2\r\n$2\r\n12\r\n$2\r\n12\r\n:1\r\n$-1\r\n+PONG\r\n"
                               "-ERR unknown command 'FOO', with args beginning with: \r\n");
    }
    cluster_destroy(cluster);
}

/* The same when the commands come one by one while earlier ones are on their way. */
static void test_a_read_behind_a_write_in_flight_rides_in_a_later_entry(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 5);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    struct cluster_client *other = cluster_connect(leader, 0);
    cluster_send(client, "SET k 1");
    cluster_settle(cluster);
    cluster_send(client, "GET k");
    cluster_settle(cluster);
    cluster_send(other, "SET k 2");
    cluster_settle(cluster);
    cluster_send(client, "GET k");
    cluster_expect(client, "+OK\r\n$1\r\n1\r\n$1\r\n2\r\n");
    cluster_expect(other, "+OK\r\n");
    cluster_destroy(cluster);
}

/* ---- lost ---------------------------------------------------------------------------------------- */

static void test_certainly_lost_entries_are_redirected_in_order(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 6);
    struct cluster_node *old = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(old, 0);
    cluster_isolate(cluster, old->id);
    cluster_send(client, "INCR foo");
    cluster_settle(cluster);
    cluster_send(client, "GET foo");
    cluster_send(client, "INCR bar");
    cluster_expect_nothing(client, 2000);
    struct cluster_node *leader = cluster_find_leader(cluster);
    assert_non_null(leader);
    assert_ptr_not_equal(leader, old);
    assert_string_equal(cluster_ask(leader, "INCR foo"), ":1\r\n");
    cluster_heal(cluster);
    char expected[200], text[64];
    (void)snprintf(expected, sizeof expected, "%s", moved(text, sizeof text, 12182, leader));
    (void)strcat(expected, moved(text, sizeof text, 12182, leader));
    (void)strcat(expected, moved(text, sizeof text, 5061, leader));
    cluster_expect(client, expected);
    assert_string_equal(cluster_ask(leader, "GET foo"), "$1\r\n1\r\n");
    assert_string_equal(cluster_ask(leader, "GET bar"), "$-1\r\n");
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* L's entries are truncated by A's first one, which A cannot commit; then A is gone, and L can be elected by
 * B. */
struct truncated {
    struct cluster *cluster;
    struct cluster_node *l, *a, *b;
    struct cluster_client *client;
};

static struct truncated truncate_on_leader(uint64_t seed, const char *const *lines, int lines_count)
{
    struct cluster *cluster = cluster_create_led(3, seed);
    struct cluster_node *l = cluster_find_leader(cluster);
    struct cluster_node *a = cluster_follower(cluster, 0);
    struct cluster_node *b = cluster_follower(cluster, 1);
    struct cluster_client *client = cluster_connect(l, 0);
    cluster_isolate(cluster, l->id);
    cluster_pause(b);
    uint64_t before = last_index(l);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < lines_count; j++) {
            cluster_send(client, lines[j]);
        }
        cluster_settle(cluster);
    }
    assert_int_equal(last_index(l), before + 3);
    cluster_run(cluster, 500);
    hear_only(l, a);
    hear_only(l, b);
    cluster_resume(b);
    /* Whichever of the two is elected is A; its first entry reaches L, and not B, and it never hears that. */
    for (int i = 0;
         i < 3000 && cluster_status(a).role != RAFT_LEADER && cluster_status(b).role != RAFT_LEADER; i++) {
        cluster_run(cluster, 1);
    }
    if (cluster_status(b).role == RAFT_LEADER) {
        struct cluster_node *swap = a;
        a = b;
        b = swap;
    }
    assert_int_equal(cluster_status(a).role, RAFT_LEADER);
    cluster_cut(cluster, a->id, b->id);
    cluster_cut(cluster, b->id, a->id);
    cluster_run(cluster, 50);
    assert_int_equal(last_index(b), before);
    assert_int_equal(last_index(l), before + 1);
    assert_int_equal(cluster_status(l).last.term, cluster_status(a).term);
    cluster_expect_nothing(client, 100);
    cluster_isolate(cluster, a->id);
    return (struct truncated){cluster, l, a, b, client};
}

/* That proves nothing. Only when a committed entry stands there are L's commands lost; L leads again by then,
 * and proposes them again, in their order. */
static void test_truncation_proves_nothing_and_lost_commands_are_proposed_again(void **state)
{
    (void)state;
    static const char *const lines[] = {"INCR n", "GET n"};
    struct truncated t = truncate_on_leader(7, lines, 2);
    connect_pair(t.cluster, t.l, t.b);
    cluster_expect(t.client, ":1\r\n$1\r\n1\r\n:2\r\n$1\r\n2\r\n:3\r\n$1\r\n3\r\n");
    assert_int_equal(cluster_status(t.l).role, RAFT_LEADER);
    cluster_heal(t.cluster);
    cluster_assert_equal(t.cluster);
    assert_string_equal(cluster_ask(cluster_find_leader(t.cluster), "GET n"), "$1\r\n3\r\n");
    cluster_destroy(t.cluster);
}

/* L leads again, and does not know yet what became of its commands: what comes now must not overtake them. */
static void test_new_commands_wait_for_the_fate_of_those_of_an_earlier_term(void **state)
{
    (void)state;
    static const char *const lines[] = {"APPEND k 1"};
    struct truncated t = truncate_on_leader(12, lines, 1);
    connect_pair(t.cluster, t.l, t.b);
    cluster_run_until(t.cluster, is_leader, t.l, 10000);
    assert_false(cluster_status(t.l).leader_ready);
    cluster_send(t.client, "APPEND k 2");
    cluster_send(t.client, "GET k");
    cluster_settle(t.cluster);
    assert_false(cluster_status(t.l).leader_ready);
    cluster_expect(t.client, ":1\r\n:2\r\n:3\r\n:4\r\n$4\r\n1112\r\n");
    cluster_destroy(t.cluster);
}

/* Five nodes: L's entry is on L and B; A's first entry truncates it on L; then B leads and commits L's entry
 * after all. */
static void test_a_truncated_entry_that_another_node_commits_is_answered_with_its_result(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(5, 8);
    struct cluster_node *l = cluster_find_leader(cluster);
    struct cluster_node *a = cluster_follower(cluster, 0);
    struct cluster_node *b = cluster_follower(cluster, 1);
    struct cluster_node *c = cluster_follower(cluster, 2);
    struct cluster_node *d = cluster_follower(cluster, 3);
    struct cluster_client *client = cluster_connect(l, 0);
    uint64_t before = last_index(l);
    cluster_isolate(cluster, l->id);
    cluster_link(cluster, l->id, b->id)->cut = false;
    cluster_send(client, "INCR n");
    cluster_run(cluster, 5);
    assert_int_equal(last_index(b), before + 1);
    cluster_isolate(cluster, l->id);
    cluster_isolate(cluster, b->id);
    cluster_pause(c);
    cluster_pause(d);
    cluster_run(cluster, 700);
    hear_only(l, a);
    hear_only(l, c);
    hear_only(l, d);
    cluster_resume(c);
    cluster_resume(d);
    for (int i = 0; i < 3000 && cluster_status(a).role != RAFT_LEADER &&
                    cluster_status(c).role != RAFT_LEADER && cluster_status(d).role != RAFT_LEADER;
         i++) {
        cluster_run(cluster, 1);
    }
    if (cluster_status(c).role == RAFT_LEADER) {
        struct cluster_node *swap = a;
        a = c;
        c = swap;
    } else if (cluster_status(d).role == RAFT_LEADER) {
        struct cluster_node *swap = a;
        a = d;
        d = swap;
    }
    cluster_cut(cluster, a->id, c->id);
    cluster_cut(cluster, a->id, d->id);
    cluster_run(cluster, 50);
    assert_int_equal(last_index(c), before);
    assert_int_equal(last_index(d), before);
    assert_int_equal(last_index(l), before + 1);
    assert_int_equal(cluster_status(l).last.term, cluster_status(a).term); /* truncated */
    cluster_isolate(cluster, a->id);
    cluster_isolate(cluster, l->id);
    connect_pair(cluster, b, c);
    connect_pair(cluster, b, d);
    connect_pair(cluster, c, d);
    cluster_run_until(cluster, is_leader, b, 10000);
    cluster_expect_nothing(client, 100);
    connect_pair(cluster, b, l);
    cluster_expect(client, ":1\r\n");
    cluster_heal(cluster);
    cluster_assert_equal(cluster);
    assert_string_equal(cluster_ask(cluster_find_leader(cluster), "GET n"), "$1\r\n1\r\n");
    cluster_destroy(cluster);
}

/* C's entries of an old term, which nobody else had, are committed after all, at the places of L's entries of
 * a newer one. */
static void test_entries_may_be_lost_to_committed_ones_of_an_older_term(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 9);
    struct cluster_node *c = cluster_find_leader(cluster);
    struct cluster_node *l = cluster_follower(cluster, 0);
    struct cluster_node *b = cluster_follower(cluster, 1);
    struct cluster_client *of_c = cluster_connect(c, 0);
    uint64_t before = last_index(c);
    cluster_isolate(cluster, c->id);
    for (int i = 0; i < 4; i++) {
        cluster_send(of_c, "INCR c");
        cluster_settle(cluster);
    }
    assert_int_equal(last_index(c), before + 4);
    for (int i = 0;
         i < 3000 && cluster_status(l).role != RAFT_LEADER && cluster_status(b).role != RAFT_LEADER; i++) {
        cluster_run(cluster, 1);
    }
    if (cluster_status(b).role == RAFT_LEADER) {
        struct cluster_node *swap = l;
        l = b;
        b = swap;
    }
    cluster_isolate(cluster, l->id);
    assert_int_equal(last_index(b), before);
    struct cluster_client *of_l = cluster_connect(l, 0);
    for (int i = 0; i < 3; i++) {
        cluster_send(of_l, "INCR foo");
        cluster_settle(cluster);
    }
    assert_int_equal(last_index(l), before + 4);
    connect_pair(cluster, c, b);
    cluster_run_until(cluster, is_leader, c, 10000);
    cluster_expect(of_c, ":1\r\n:2\r\n:3\r\n:4\r\n");
    connect_pair(cluster, c, l);
    char expected[200] = "", text[64];
    for (int i = 0; i < 3; i++) {
        (void)strcat(expected, moved(text, sizeof text, 12182, c));
    }
    cluster_expect(of_l, expected);
    cluster_heal(cluster);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* ---- unknown ------------------------------------------------------------------------------------- */

static void
test_pitfall_05_an_outcome_that_stays_unknown_is_called_so_and_the_connection_goes_on(void **state)
{
    (void)state;
    for (int reaches_the_others = 0; reaches_the_others <= 1; reaches_the_others++) {
        struct cluster *cluster = cluster_create_led(3, 10);
        struct cluster_node *old = cluster_find_leader(cluster);
        struct cluster_client *client = cluster_connect(old, 0);
        if (reaches_the_others) {
            cluster_send(client, "INCR n");
            cluster_settle(cluster);
            cluster_run(cluster, 1);
        }
        cluster_isolate(cluster, old->id);
        if (!reaches_the_others) {
            cluster_send(client, "INCR n");
        }
        cluster_send(client, "GET n");
        cluster_send(client, "PING");
        cluster_expect_nothing(client, 4990);
        cluster_run(cluster, 20);
        assert_string_equal(cluster_received(client),
                            UNKNOWN); /* the read was not lost: it waits for a leader */
        cluster_expect(client, UNKNOWN "-CLUSTERDOWN The cluster is down\r\n+PONG\r\n");
        cluster_heal(cluster);
        struct cluster_node *leader = cluster_await_leader(cluster);
        assert_string_equal(cluster_ask(leader, "GET n"), reaches_the_others ? "$1\r\n1\r\n" : "$-1\r\n");
        cluster_send(client, "PING");
        cluster_expect(client, "+PONG\r\n");
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
}

static void test_an_answer_that_came_too_late_changes_nothing_any_more(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 11);
    cluster->defaults.command_timeout_ms = 100;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    struct cluster_client *gone = cluster_connect(leader, 0);
    for (uint64_t id = 1; id <= 3; id++) {
        cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_LOG, true);
    }
    cluster_send(client, "INCR n");
    cluster_send(gone, "INCR n");
    cluster_run(cluster, 10);
    cluster_disconnect(gone);
    cluster_expect(client, UNKNOWN);
    for (uint64_t id = 1; id <= 3; id++) {
        cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_LOG, false);
    }
    cluster_run(cluster, 50);
    cluster_send(client, "GET n");
    cluster_expect(client, "$1\r\n2\r\n");
    cluster_destroy(cluster);
}

static void hold_followers(struct cluster *cluster, const struct cluster_node *leader, bool hold)
{
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != leader->id) {
            cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_LOG, hold);
        }
    }
}

/* The followers are there, so that the leader stays; but they acknowledge nothing. */
static void test_pitfall_04_commands_that_find_no_place_in_the_log_are_refused_in_time(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 14);
    cluster->defaults.entries_in_flight_max = 1;
    cluster->defaults.command_timeout_ms = 400;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_client *first = cluster_connect(leader, 0);
    struct cluster_client *second = cluster_connect(leader, 0);
    struct cluster_client *gone = cluster_connect(leader, 0);
    hold_followers(cluster, leader, true);
    cluster_send(first, "INCR n");
    cluster_settle(cluster);
    cluster_run(cluster, 10);
    uint64_t last = last_index(leader);
    cluster_send(second, "INCR n");
    cluster_send(second, "GET n");
    cluster_send(second, "INCR n");
    cluster_send(gone, "INCR n");
    cluster_settle(cluster);
    cluster_disconnect(gone);
    cluster_expect_nothing(second, 385);
    cluster_expect(first, UNKNOWN);
    assert_true(replica_deadline_ms(leader->replica) <= cluster->now_ms + 20); /* in silence too */
    cluster_expect(second, "-CLUSTERDOWN The cluster is down\r\n-CLUSTERDOWN The cluster is down\r\n"
                           "-CLUSTERDOWN The cluster is down\r\n");
    assert_int_equal(last_index(leader), last);
    hold_followers(cluster, leader, false);
    cluster_send(second, "INCR n");
    cluster_expect(second, ":2\r\n");
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_a_read_whose_time_is_over_does_not_see_a_later_write_of_its_connection(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 15);
    cluster->defaults.entries_in_flight_max = 8;
    cluster->defaults.command_timeout_ms = 400;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    hold_followers(cluster, leader, true);
    cluster_send(client, "SET k 1");
    cluster_send(client, "GET k");
    cluster_settle(cluster);
    cluster_run(cluster, 100);
    cluster_send(client, "SET k 2");
    cluster_settle(cluster);
    cluster_run(cluster, 310);
    hold_followers(cluster, leader, false);
    cluster_expect(client, UNKNOWN "-CLUSTERDOWN The cluster is down\r\n+OK\r\n");
    cluster_destroy(cluster);
}

/* What was not proposed when leadership was lost is sent to the new leader at once. */
static void test_commands_that_were_not_proposed_are_redirected_when_leadership_is_lost(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 16);
    cluster->defaults.entries_in_flight_max = 1;
    cluster_start_all(cluster);
    struct cluster_node *old = cluster_await_leader(cluster);
    struct cluster_client *first = cluster_connect(old, 0);
    struct cluster_client *second = cluster_connect(old, 0);
    hold_followers(cluster, old, true);
    cluster_send(first, "SET k 1");
    cluster_run(cluster, 2);
    uint64_t last = last_index(old);
    cluster_send(second, "SET k 2");
    cluster_run(cluster, 20);
    assert_int_equal(last_index(old), last); /* it waits for a place */
    cluster_isolate(cluster, old->id);
    hold_followers(cluster, old, false);
    for (int i = 0; i < 400 && (cluster_find_leader(cluster) == NULL || cluster_find_leader(cluster) == old);
         i++) {
        cluster_run(cluster, 10);
    }
    char text[64];
    cluster_heal(cluster);
    (void)moved(text, sizeof text, 7629, cluster_find_leader(cluster));
    cluster_run(cluster, 300);
    assert_string_equal(cluster_received(second), text);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* ---- order --------------------------------------------------------------------------------------- */

static void test_pitfall_06_replies_keep_their_order_when_leadership_moves(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct cluster *cluster = cluster_create(3, seed);
        cluster->defaults.entries_in_flight_max = 2;
        cluster->delay_ms_max = 5;
        cluster->disk_ms_max = 3;
        cluster_start_all(cluster);
        struct cluster_node *old = cluster_await_leader(cluster);
        struct cluster_client *client = cluster_connect(old, 0);
        char text[64];
        for (int i = 0; i < 40; i++) {
            (void)snprintf(text, sizeof text, "SET k %d", i);
            cluster_send(client, text);
            cluster_send(client, "GET k");
            (void)snprintf(text, sizeof text, "ECHO %d", i);
            cluster_send(client, text);
            cluster_run(cluster, cluster_random_below(cluster, 3));
            if (i == 15) {
                cluster_isolate(cluster, old->id);
            } else if (i == 30) {
                cluster_run(cluster, 800);
                cluster_heal(cluster);
            }
        }
        cluster_run(cluster, 8000);
        /* Three replies for each number: of SET, of GET (what was set, or an error), and the number. */
        char *line = strdup(cluster_received(client));
        char *rest = line;
        for (int i = 0; i < 40; i++) {
            char *set = strsep(&rest, "\n");
            assert_true(strcmp(set, "+OK\r") == 0 || set[0] == '-');
            char *get = strsep(&rest, "\n");
            (void)snprintf(text, sizeof text, "%d\r", i);
            if (get[0] == '$') {
                assert_string_equal(strsep(&rest, "\n"), text);
            } else {
                assert_int_equal(get[0], '-');
            }
            assert_int_equal(strsep(&rest, "\n")[0], '$');
            assert_string_equal(strsep(&rest, "\n"), text);
        }
        assert_string_equal(rest, "");
        free(line);
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
}

static void test_a_client_that_goes_away_leaves_its_commands_in_flight(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 13);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_send(client, "INCR n");
    cluster_send(client, "GET n");
    cluster_send(client, "INCR n");
    cluster_send(client, "PING");
    cluster_settle(cluster);
    cluster_disconnect(client);
    cluster_run(cluster, 100);
    assert_string_equal(cluster_ask(leader, "GET n"), "$1\r\n2\r\n");
    /* And when they are lost. */
    client = cluster_connect(leader, 0);
    cluster_isolate(cluster, leader->id);
    cluster_send(client, "INCR n");
    cluster_send(client, "GET n");
    cluster_settle(cluster);
    cluster_disconnect(client);
    cluster_run(cluster, 2000);
    cluster_heal(cluster);
    cluster_assert_equal(cluster);
    assert_string_equal(cluster_ask(cluster_find_leader(cluster), "GET n"), "$1\r\n2\r\n");
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_of_one_turn_share_one_entry),
        cmocka_unit_test(test_commands_gather_while_the_allowed_entries_are_in_flight),
        cmocka_unit_test(test_an_entry_leaves_when_it_is_as_large_as_those_on_their_way),
        cmocka_unit_test(test_an_entry_leaves_before_the_last_one_is_applied),
        cmocka_unit_test(test_an_entry_takes_no_more_commands_than_its_limit_of_bytes),
        cmocka_unit_test(test_a_pipeline_sees_each_of_its_writes_in_place),
        cmocka_unit_test(test_a_read_behind_a_write_in_flight_rides_in_a_later_entry),
        cmocka_unit_test(test_certainly_lost_entries_are_redirected_in_order),
        cmocka_unit_test(test_truncation_proves_nothing_and_lost_commands_are_proposed_again),
        cmocka_unit_test(test_new_commands_wait_for_the_fate_of_those_of_an_earlier_term),
        cmocka_unit_test(test_a_truncated_entry_that_another_node_commits_is_answered_with_its_result),
        cmocka_unit_test(test_entries_may_be_lost_to_committed_ones_of_an_older_term),
        cmocka_unit_test(
            test_pitfall_05_an_outcome_that_stays_unknown_is_called_so_and_the_connection_goes_on),
        cmocka_unit_test(test_an_answer_that_came_too_late_changes_nothing_any_more),
        cmocka_unit_test(test_commands_that_were_not_proposed_are_redirected_when_leadership_is_lost),
        cmocka_unit_test(test_pitfall_04_commands_that_find_no_place_in_the_log_are_refused_in_time),
        cmocka_unit_test(test_a_read_whose_time_is_over_does_not_see_a_later_write_of_its_connection),
        cmocka_unit_test(test_pitfall_06_replies_keep_their_order_when_leadership_moves),
        cmocka_unit_test(test_a_client_that_goes_away_leaves_its_commands_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
