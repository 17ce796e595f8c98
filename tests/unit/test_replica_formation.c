/* test_replica_formation.c: how a new cluster comes to be. */
#include "replica_cluster.h"
#include "temp_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_formed(const struct cluster_node *node)
{
    return replica_raft(node->replica) != NULL;
}

static struct log_identity read_identity(const struct cluster_node *node)
{
    struct log_identity identity;
    bool found = false;
    struct storage_error error;
    assert_int_equal(log_store_read_identity(node->log, &identity, &found, &error), STORAGE_OK);
    assert_true(found);
    return identity;
}

/* Formed, led, and one and the same record everywhere. */
static void assert_forms(struct cluster *cluster)
{
    (void)cluster_await_leader(cluster);
    struct log_identity first = read_identity(cluster_node(cluster, 1));
    assert_int_equal(first.members_count, cluster->nodes_count);
    for (uint64_t id = 1; id <= cluster->nodes_count; id++) {
        struct log_identity identity = read_identity(cluster_node(cluster, id));
        assert_int_equal(identity.formation, LOG_FORMATION_FORMED);
        assert_memory_equal(identity.cluster_id, first.cluster_id, sizeof first.cluster_id);
        assert_memory_equal(identity.members, first.members, sizeof first.members);
        assert_int_equal(identity.members[id - 1].disk_id, identity.disk_id);
    }
    assert_string_equal(cluster_ask(cluster_find_leader(cluster), "SET k v"), "+OK\r\n");
}

static void test_a_node_alone_forms_its_cluster_and_leads(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(1, 1);
    cluster_start_all(cluster);
    assert_false(is_formed(cluster_node(cluster, 1)));
    assert_forms(cluster);
    cluster_destroy(cluster);
}

static void test_three_and_five_nodes_form_one_cluster(void **state)
{
    (void)state;
    for (uint32_t count = 2; count <= 5; count++) {
        struct cluster *cluster = cluster_create(count, count);
        cluster_start_all(cluster);
        assert_forms(cluster);
        cluster_destroy(cluster);
    }
}

static void test_a_majority_is_not_enough_to_form(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 2);
    assert_true(cluster_start_node(cluster_node(cluster, 1)));
    assert_true(cluster_start_node(cluster_node(cluster, 2)));
    cluster_run(cluster, 10000);
    assert_false(is_formed(cluster_node(cluster, 1)));
    assert_false(is_formed(cluster_node(cluster, 2)));
    assert_true(cluster_start_node(cluster_node(cluster, 3)));
    assert_forms(cluster);
    cluster_destroy(cluster);
}

static void test_nobody_votes_before_all_have_stored_the_record(void **state)
{
    (void)state;
    for (uint64_t slow = 1; slow <= 3; slow++) {
        struct cluster *cluster = cluster_create(3, 3);
        cluster_start_all(cluster);
        cluster_hold_disk(cluster_node(cluster, slow), DISK_QUEUE_LOG, true);
        cluster_run(cluster, 10000);
        assert_non_null(cluster_first_job(cluster_node(cluster, slow), DISK_QUEUE_LOG));
        for (uint64_t id = 1; id <= 3; id++) {
            assert_false(is_formed(cluster_node(cluster, id)));
            assert_int_not_equal(read_identity(cluster_node(cluster, id)).formation, LOG_FORMATION_FORMED);
        }
        cluster_hold_disk(cluster_node(cluster, slow), DISK_QUEUE_LOG, false);
        assert_forms(cluster);
        cluster_destroy(cluster);
    }
}

static void test_commands_are_parked_and_then_refused_while_the_cluster_forms(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 4);
    assert_true(cluster_start_node(cluster_node(cluster, 2)));
    struct cluster_client *client = cluster_connect(cluster_node(cluster, 2), 0);
    cluster_send(client, "PING");
    cluster_expect(client, "+PONG\r\n");
    cluster_send(client, "SET k v");
    cluster_send(client, "GET k");
    cluster_expect_nothing(client, 950);
    cluster_expect(client, "-CLUSTERDOWN The cluster is down\r\n-CLUSTERDOWN The cluster is down\r\n");
    cluster_destroy(cluster);
}

static void test_lost_messages_only_delay_it(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct cluster *cluster = cluster_create(5, seed);
        cluster->drop_per_mille = 600;
        cluster_start_all(cluster);
        cluster_run(cluster, 20000);
        cluster->drop_per_mille = 0;
        assert_forms(cluster);
        cluster_destroy(cluster);
    }
}

/* Each node, and all of them, crash at each millisecond of a formation on slow disks. */
static void test_a_crash_in_the_middle_of_any_step_is_survived(void **state)
{
    (void)state;
    for (uint64_t victim = 0; victim <= 3; victim++) {
        for (uint64_t at_ms = 0; at_ms <= 24; at_ms += 2) {
            struct cluster *cluster = cluster_create(3, at_ms + 100 * victim);
            cluster->disk_ms_max = 4;
            cluster_start_all(cluster);
            cluster_run(cluster, at_ms);
            for (uint64_t id = 1; id <= 3; id++) {
                if (victim == id || victim == 0) {
                    cluster_crash(cluster_node(cluster, id));
                }
            }
            cluster_run(cluster, 30);
            cluster_start_all(cluster);
            assert_forms(cluster);
            cluster_destroy(cluster);
        }
    }
}

/* What is on disk counts, whether it was reported or not. */
static void test_a_record_that_was_stored_but_not_reported_is_gone_on_with(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= 3; id++) {
        for (int steps = 1; steps <= 2; steps++) {
            struct cluster *cluster = cluster_create(3, 7);
            struct cluster_node *node = cluster_node(cluster, id);
            cluster_start_all(cluster);
            cluster_hold_reports(node, DISK_QUEUE_LOG, true);
            cluster_run(cluster, 2000);
            if (steps == 2) {
                assert_true(cluster_report_job(node, DISK_QUEUE_LOG));
                cluster_run(cluster, 2000);
            }
            cluster_crash(node);
            cluster_run(cluster, 100);
            assert_true(cluster_start_node(node));
            assert_forms(cluster);
            cluster_destroy(cluster);
        }
    }
}

/* COMMIT reaches one node only, and the proposer is gone: whoever is formed tells the rest. */
static void test_a_formed_member_answers_for_a_proposer_that_died(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 8);
    cluster_start_all(cluster);
    struct cluster_node *third = cluster_node(cluster, 3);
    cluster_hold_disk(cluster_node(cluster, 1), DISK_QUEUE_LOG, true);
    cluster_run(cluster, 20);
    assert_true(cluster_run_job(cluster_node(cluster, 1), DISK_QUEUE_LOG, STORAGE_OK)); /* PREPARED */
    cluster_run(cluster, 1000);
    assert_int_equal(read_identity(third).formation, LOG_FORMATION_PREPARED);
    cluster_cut(cluster, 1, 3);
    cluster_cut(cluster, 2, 3);
    cluster_hold_disk(cluster_node(cluster, 1), DISK_QUEUE_LOG, false); /* FORMED */
    cluster_run(cluster, 20);
    assert_true(is_formed(cluster_node(cluster, 1)));
    assert_true(is_formed(cluster_node(cluster, 2)));
    assert_false(is_formed(third));
    cluster_crash(cluster_node(cluster, 1));
    cluster_heal(cluster);
    (void)cluster_await_leader(cluster); /* the two of them */
    assert_true(is_formed(third));
    cluster_destroy(cluster);
}

static void test_a_member_that_lost_its_disk_before_the_end_is_agreed_on_anew(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 9);
    cluster_start_all(cluster);
    cluster_hold_disk(cluster_node(cluster, 3), DISK_QUEUE_LOG, true);
    cluster_run(cluster, 1000);
    struct cluster_node *second = cluster_node(cluster, 2);
    struct log_identity before = read_identity(second);
    assert_int_equal(before.formation, LOG_FORMATION_PREPARED);
    cluster_crash(second);
    cluster_wipe(second);
    cluster_run(cluster, 100);
    assert_true(cluster_start_node(second));
    cluster_hold_disk(cluster_node(cluster, 3), DISK_QUEUE_LOG, false);
    assert_forms(cluster);
    assert_int_not_equal(read_identity(second).disk_id, before.disk_id);
    cluster_destroy(cluster);
}

/* What a member has accepted says nothing of the proposal that takes its place. */
static void test_a_new_proposal_needs_everybody_anew(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 37);
    cluster_start_all(cluster);
    struct cluster_node *second = cluster_node(cluster, 2);
    struct cluster_node *third = cluster_node(cluster, 3);
    cluster_hold_disk(third, DISK_QUEUE_LOG, true);
    cluster_run(cluster, 1000);
    assert_int_equal(read_identity(second).formation, LOG_FORMATION_PREPARED); /* and has said so */
    cluster_hold_disk(second, DISK_QUEUE_LOG, true);
    cluster_crash(third);
    cluster_wipe(third);
    cluster_run(cluster, 100);
    assert_true(cluster_start_node(third));
    cluster_run(cluster, 3000);
    assert_int_equal(read_identity(third).formation, LOG_FORMATION_PREPARED);
    assert_int_equal(read_identity(second).formation, LOG_FORMATION_PREPARED);
    assert_int_not_equal(read_identity(second).members[2].disk_id, read_identity(third).disk_id);
    assert_int_equal(read_identity(cluster_node(cluster, 1)).formation, LOG_FORMATION_PREPARED);
    cluster_hold_disk(second, DISK_QUEUE_LOG, false);
    assert_forms(cluster);
    cluster_destroy(cluster);
}

static void test_pitfall_28_a_wiped_member_is_refused_and_stops(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= 3; id++) {
        struct cluster *cluster = cluster_create_led(3, 10 + id);
        struct cluster_node *node = cluster_node(cluster, id);
        cluster_crash(node);
        cluster_wipe(node);
        assert_true(cluster_start_node(node));
        cluster_run(cluster, 3000);
        assert_false(node->running);
        assert_true(node->stopped);
        assert_int_equal(node->stop_code, REPLICA_EXIT_REFUSED);
        assert_non_null(strstr(node->stop_reason, "its data directory was emptied or replaced"));
        assert_string_equal(cluster_ask(cluster_await_leader(cluster), "SET k v"),
                            "+OK\r\n"); /* the others go on */
        cluster_destroy(cluster);
    }
}

/* Without its log a directory is new, until its map is opened. */
static void test_a_new_cluster_does_not_begin_with_a_map_that_is_there(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(1, 22);
    cluster->defaults.checkpoint_idle_ms = 10;
    cluster_start_all(cluster);
    struct cluster_node *node = cluster_node(cluster, 1);
    (void)cluster_await_leader(cluster);
    (void)cluster_ask(node, "SET k v");
    cluster_run(cluster, 1000);
    assert_true(map_durable_index(replica_map(node->replica)) > 0);
    cluster_crash(node);
    char *log = temp_directory_join(node->directory, "log/data.mdb");
    assert_int_equal(unlink(log), 0);
    free(log);
    assert_true(cluster_start_node(node));
    cluster_run(cluster, 1000);
    assert_true(node->stopped);
    assert_int_equal(node->stop_code, REPLICA_EXIT_CORRUPT);
    assert_non_null(strstr(node->stop_reason, "the map has applied entry"));
    cluster_destroy(cluster);
}

static void test_pitfall_28_an_old_disk_of_another_cluster_is_refused(void **state)
{
    (void)state;
    struct cluster *other = cluster_create_led(3, 20);
    struct cluster *cluster = cluster_create_led(3, 21);
    struct cluster_node *node = cluster_node(cluster, 2);
    struct cluster_node *stranger = cluster_node(other, 2);
    cluster_crash(node);
    cluster_crash(stranger);
    char *directory = node->directory;
    node->directory = stranger->directory;
    stranger->directory = directory;
    assert_true(cluster_start_node(node));
    cluster_run(cluster, 3000);
    assert_true(node->stopped);
    assert_int_equal(node->stop_code, REPLICA_EXIT_REFUSED);
    assert_non_null(strstr(node->stop_reason, "its data directory is of another cluster"));
    cluster_destroy(cluster);
    cluster_destroy(other);
}

static void test_differently_configured_members_do_not_form(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(4, 30);
    for (uint64_t id = 1; id <= 3; id++) {
        struct cluster_node *node = cluster_node(cluster, id);
        node->members_count = id == 3 ? 4 : 3;
        for (uint64_t i = 0; i < node->members_count; i++) {
            node->members[i] = i + 1;
        }
        assert_true(cluster_start_node(node));
    }
    cluster_run(cluster, 5000);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_true(cluster_node(cluster, id)->running); /* it can be put right */
        assert_false(is_formed(cluster_node(cluster, id)));
    }
    cluster_destroy(cluster);
}

static void test_the_members_of_a_formed_node_are_the_stored_ones(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 31);
    struct cluster_node *node = cluster_node(cluster, 3);
    cluster_crash(node);
    node->members_count = 2;
    node->members[0] = 2;
    node->members[1] = 3;
    assert_true(cluster_start_node(node));
    assert_true(cluster_has_event(node, "cluster-setting-not-used"));
    struct replica_member peers[REPLICA_PEERS_MAX];
    assert_int_equal(replica_peers(node->replica, peers), 2);
    assert_int_equal(peers[0].node_id, 1);
    assert_int_not_equal(peers[0].disk_id, 0);
    (void)cluster_await_leader(cluster);
    assert_string_equal(cluster_ask(cluster_await_leader(cluster), "SET k v"), "+OK\r\n");
    cluster_run(cluster, 500);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_pitfall_28_a_second_node_with_the_same_id_is_refused(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 32);
    assert_true(cluster_start_node(cluster_node(cluster, 1)));
    assert_true(cluster_start_node(cluster_node(cluster, 2)));
    cluster_run(cluster, 100);
    struct bus_hello hello;
    struct bus_message refused;
    replica_fill_hello(cluster_node(cluster, 2)->replica, 1, &hello);
    assert_true(replica_check_hello(cluster_node(cluster, 1)->replica, &hello, &refused));
    hello.disk_id++;
    assert_false(replica_check_hello(cluster_node(cluster, 1)->replica, &hello, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_DISK);
    assert_non_null(strstr(refused.refused.reason, "ids must be different"));
    cluster_start_all(cluster);
    assert_forms(cluster);
    assert_false(replica_check_hello(cluster_node(cluster, 1)->replica, &hello, &refused));
    assert_int_equal(refused.refused.code, BUS_REFUSAL_DISK);
    cluster_destroy(cluster);
}

/* Only one of the two connections between two nodes breaks and comes back: that must not hold anything up. */
static void test_a_connection_that_breaks_one_way_does_not_stop_it(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 33);
    cluster_start_all(cluster);
    cluster_hold_disk(cluster_node(cluster, 3), DISK_QUEUE_LOG, true);
    cluster_run(cluster, 100);
    cluster_reset_link(cluster, 2, 1);
    assert_true(cluster_link(cluster, 1, 2)->connected);
    cluster_run(cluster, 100);
    cluster_hold_disk(cluster_node(cluster, 3), DISK_QUEUE_LOG, false);
    assert_forms(cluster);
    cluster_destroy(cluster);
}

static struct bus_message message_of(const struct cluster_node *node, enum bus_formation_step step)
{
    struct log_identity identity = read_identity(node);
    struct bus_message message = {.type = BUS_MESSAGE_FORMATION};
    message.formation.step = step;
    message.formation.cluster_id[0] = identity.cluster_id[0];
    message.formation.cluster_id[1] = identity.cluster_id[1];
    message.formation.members_count = identity.members_count;
    for (uint32_t i = 0; i < identity.members_count; i++) {
        message.formation.members[i] =
            (struct bus_member){identity.members[i].node_id, identity.members[i].disk_id};
    }
    return message;
}

/* What others say counts for exactly the record that it carries. */
static void test_an_answer_to_another_proposal_does_not_count(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 34);
    cluster_start_all(cluster);
    cluster_hold_disk(cluster_node(cluster, 2), DISK_QUEUE_LOG, true);
    cluster_hold_disk(cluster_node(cluster, 3), DISK_QUEUE_LOG, true);
    cluster_run(cluster, 100);
    struct cluster_node *proposer = cluster_node(cluster, 1);
    assert_int_equal(read_identity(proposer).formation, LOG_FORMATION_PREPARED);
    for (uint64_t id = 2; id <= 3; id++) {
        struct bus_message message = message_of(proposer, BUS_FORMATION_ACCEPT);
        message.formation.cluster_id[1]++;
        replica_on_message(proposer->replica, id, &message);
        message = message_of(proposer, BUS_FORMATION_ACCEPT);
        message.formation.members[1].disk_id++;
        replica_on_message(proposer->replica, id, &message);
        message = message_of(proposer, BUS_FORMATION_ACCEPT);
        message.formation.members_count = 2;
        replica_on_message(proposer->replica, id, &message);
        message = message_of(proposer, BUS_FORMATION_COMMIT);
        message.formation.cluster_id[0]++;
        replica_on_message(proposer->replica, id, &message);
    }
    proposer->has_input = true;
    cluster_run(cluster, 2000);
    assert_int_equal(read_identity(proposer).formation, LOG_FORMATION_PREPARED);
    cluster_hold_disk(cluster_node(cluster, 2), DISK_QUEUE_LOG, false);
    cluster_hold_disk(cluster_node(cluster, 3), DISK_QUEUE_LOG, false);
    assert_forms(cluster);
    cluster_destroy(cluster);
}

static void test_a_proposal_that_does_not_fit_is_not_stored(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 35);
    cluster_start_all(cluster);
    cluster_hold_disk(cluster_node(cluster, 2), DISK_QUEUE_LOG, true);
    cluster_hold_disk(cluster_node(cluster, 3), DISK_QUEUE_LOG, true);
    cluster_run(cluster, 20);
    struct cluster_node *node = cluster_node(cluster, 3);
    assert_true(cluster_run_job(node, DISK_QUEUE_LOG, STORAGE_OK));
    cluster_run(cluster, 100);
    assert_int_equal(read_identity(node).formation, LOG_FORMATION_PREPARED);
    struct bus_message messages[4];
    for (int i = 0; i < 4; i++) {
        messages[i] = message_of(node, BUS_FORMATION_PROPOSE);
        messages[i].formation.cluster_id[0]++;
    }
    messages[0].formation.members[2].disk_id++; /* it is not this node's disk */
    messages[1].formation.members[0].node_id = 4;
    messages[2].formation.members_count = 2;
    for (int i = 0; i < 4; i++) {
        replica_on_message(node->replica, i < 3 ? 1 : 2,
                           &messages[i]); /* the last: node 2 does not propose */
        node->has_input = true;
        cluster_run(cluster, 1);
        assert_null(cluster_first_job(node, DISK_QUEUE_LOG));
    }
    cluster_hold_disk(cluster_node(cluster, 2), DISK_QUEUE_LOG, false);
    cluster_hold_disk(node, DISK_QUEUE_LOG, false);
    assert_forms(cluster);
    cluster_destroy(cluster);
}

/* Nodes 1 and 2 are FORMED, node 3 is PREPARED, and node 1 loses its disk: its new life must not talk node 3
 * out of the record without which node 2 would be alone for ever. */
static void test_pitfall_28_a_wiped_proposer_forms_nothing_where_a_cluster_exists(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 36);
    cluster_start_all(cluster);
    struct cluster_node *first = cluster_node(cluster, 1);
    struct cluster_node *third = cluster_node(cluster, 3);
    cluster_hold_disk(first, DISK_QUEUE_LOG, true);
    cluster_run(cluster, 20);
    assert_true(cluster_run_job(first, DISK_QUEUE_LOG, STORAGE_OK)); /* PREPARED */
    cluster_run(cluster, 1000);
    cluster_cut(cluster, 1, 3);
    cluster_cut(cluster, 2, 3);
    cluster_hold_disk(first, DISK_QUEUE_LOG, false); /* FORMED */
    cluster_run(cluster, 100);
    assert_true(is_formed(first) && is_formed(cluster_node(cluster, 2)));
    assert_int_equal(read_identity(third).formation, LOG_FORMATION_PREPARED);
    struct bus_hello of_second;
    struct bus_hello of_third;
    replica_fill_hello(cluster_node(cluster, 2)->replica, 1, &of_second);
    replica_fill_hello(third->replica, 1, &of_third);
    struct bus_message proposal = message_of(third, BUS_FORMATION_PROPOSE);
    cluster_isolate(cluster, 1);
    cluster_isolate(cluster, 3);
    cluster_crash(first);
    cluster_wipe(first);
    assert_true(cluster_start_node(first));
    /* The proposer has met a formed node, and proposes nothing. */
    replica_on_peer_hello(first->replica, 2, &of_second);
    replica_on_peer_hello(first->replica, 3, &of_third);
    first->has_input = true;
    cluster_run(cluster, 2000);
    assert_int_equal(read_identity(first).formation, LOG_FORMATION_NONE);
    /* A member that has met one keeps its record, whoever proposes another. */
    replica_fill_hello(cluster_node(cluster, 2)->replica, 3, &of_second);
    replica_on_peer_hello(third->replica, 2, &of_second);
    proposal.formation.cluster_id[0]++;
    proposal.formation.members[0].disk_id++;
    replica_on_message(third->replica, 1, &proposal);
    third->has_input = true;
    cluster_run(cluster, 100);
    assert_memory_equal(read_identity(third).cluster_id, read_identity(cluster_node(cluster, 2)).cluster_id,
                        sizeof proposal.formation.cluster_id);
    cluster_crash(first);
    cluster_heal(cluster);
    (void)cluster_await_leader(cluster); /* the two of them */
    assert_true(is_formed(third));
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_node_alone_forms_its_cluster_and_leads),
        cmocka_unit_test(test_three_and_five_nodes_form_one_cluster),
        cmocka_unit_test(test_a_majority_is_not_enough_to_form),
        cmocka_unit_test(test_nobody_votes_before_all_have_stored_the_record),
        cmocka_unit_test(test_commands_are_parked_and_then_refused_while_the_cluster_forms),
        cmocka_unit_test(test_lost_messages_only_delay_it),
        cmocka_unit_test(test_a_crash_in_the_middle_of_any_step_is_survived),
        cmocka_unit_test(test_a_record_that_was_stored_but_not_reported_is_gone_on_with),
        cmocka_unit_test(test_a_formed_member_answers_for_a_proposer_that_died),
        cmocka_unit_test(test_a_member_that_lost_its_disk_before_the_end_is_agreed_on_anew),
        cmocka_unit_test(test_a_new_proposal_needs_everybody_anew),
        cmocka_unit_test(test_pitfall_28_a_wiped_member_is_refused_and_stops),
        cmocka_unit_test(test_a_new_cluster_does_not_begin_with_a_map_that_is_there),
        cmocka_unit_test(test_pitfall_28_an_old_disk_of_another_cluster_is_refused),
        cmocka_unit_test(test_differently_configured_members_do_not_form),
        cmocka_unit_test(test_the_members_of_a_formed_node_are_the_stored_ones),
        cmocka_unit_test(test_pitfall_28_a_second_node_with_the_same_id_is_refused),
        cmocka_unit_test(test_a_connection_that_breaks_one_way_does_not_stop_it),
        cmocka_unit_test(test_an_answer_to_another_proposal_does_not_count),
        cmocka_unit_test(test_a_proposal_that_does_not_fit_is_not_stored),
        cmocka_unit_test(test_pitfall_28_a_wiped_proposer_forms_nothing_where_a_cluster_exists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
