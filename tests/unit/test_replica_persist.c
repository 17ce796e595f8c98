/* test_replica_persist.c: what must be on disk before anybody hears of it. */
#include "replica_cluster.h"
#include "temp_directory.h"

#include "bus_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static void hold_all_disks(struct cluster *cluster, bool hold)
{
    for (uint64_t id = 1; id <= cluster->nodes_count; id++) {
        cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_LOG, hold);
    }
}

static void test_pitfall_10_nothing_is_acknowledged_before_a_majority_of_disks_has_it(void **state)
{
    (void)state;
    /* Bits: whose disk takes it: the leader's, the first follower's, the second one's. */
    for (unsigned disks = 0; disks < 8; disks++) {
        struct cluster *cluster = cluster_create_led(3, 1);
        struct cluster_node *nodes[] = {cluster_find_leader(cluster), cluster_follower(cluster, 0),
                                        cluster_follower(cluster, 1)};
        struct cluster_client *client = cluster_connect(nodes[0], 0);
        hold_all_disks(cluster, true);
        cluster_send(client, "SET k v");
        cluster_run(cluster, 50);
        cluster_expect_nothing(client, 0);
        unsigned count = 0;
        for (unsigned i = 0; i < 3; i++) {
            if ((disks & (1u << i)) != 0) {
                cluster_hold_disk(nodes[i], DISK_QUEUE_LOG, false);
                count++;
            }
        }
        cluster_run(cluster, 50);
        assert_string_equal(cluster_received(client), count >= 2 ? "+OK\r\n" : "");
        cluster_destroy(cluster);
    }
}

static void test_pitfall_10_a_single_node_answers_when_its_disk_has_reported(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(1, 2);
    struct cluster_node *node = cluster_node(cluster, 1);
    struct cluster_client *client = cluster_connect(node, 0);
    cluster_hold_disk(node, DISK_QUEUE_LOG, true);
    cluster_hold_reports(node, DISK_QUEUE_LOG, true);
    cluster_send(client, "SET k v");
    cluster_send(client, "GET k");
    cluster_expect_nothing(client, 100);
    assert_true(cluster_run_job(node, DISK_QUEUE_LOG, STORAGE_OK));
    cluster_expect_nothing(client, 100);
    assert_true(cluster_report_job(node, DISK_QUEUE_LOG));
    cluster_expect(client, "+OK\r\n$1\r\nv\r\n");
    cluster_destroy(cluster);
}

static void test_an_acknowledgement_leaves_after_the_write_that_backs_it(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 3);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_node *follower = cluster_follower(cluster, 0);
    struct cluster_client *client = cluster_connect(leader, 0);
    struct cluster_link *link = cluster_link(cluster, follower->id, leader->id);
    cluster_hold_disk(follower, DISK_QUEUE_LOG, true);
    cluster_hold_reports(follower, DISK_QUEUE_LOG, true);
    cluster_send(client, "SET k v");
    cluster_settle(cluster);
    link->held = true;
    cluster_run(cluster, 20);
    assert_non_null(cluster_first_job(follower, DISK_QUEUE_LOG));
    assert_int_equal(cluster_count_messages(link, RAFT_MESSAGE_APPEND_RESPONSE), 0);
    assert_true(cluster_run_job(follower, DISK_QUEUE_LOG, STORAGE_OK));
    cluster_run(cluster, 20);
    assert_int_equal(cluster_count_messages(link, RAFT_MESSAGE_APPEND_RESPONSE), 0);
    assert_true(cluster_report_job(follower, DISK_QUEUE_LOG));
    cluster_settle(cluster);
    assert_int_equal(cluster_count_messages(link, RAFT_MESSAGE_APPEND_RESPONSE), 1);
    cluster_destroy(cluster);
}

/* How many messages on this link say that the log holds this entry. */
static uint32_t count_acknowledgements(const struct cluster_link *link, uint64_t index, uint64_t term)
{
    uint32_t count = 0;
    for (const struct cluster_message *queued = link->first; queued != NULL; queued = queued->next) {
        struct bus_message message;
        size_t consumed = 0, wanted = 0;
        assert_int_equal(
            bus_codec_decode(queued->bytes, queued->size, BUS_FRAME_BYTES_MAX, &message, &consumed, &wanted),
            BUS_CODEC_MESSAGE);
        const struct raft_message *raft = &message.raft;
        count += message.type == BUS_MESSAGE_RAFT && raft->type == RAFT_MESSAGE_APPEND_RESPONSE &&
                         !raft->reject && raft->log.index == index && raft->log.term == term
                     ? 1
                     : 0;
        bus_message_deinit(&message);
    }
    return count;
}

/* Found by the simulator (seed 269 of its first day). An entry that waits for a slow disk is overwritten by
 * a newer leader before it gets there: then nothing on the disk backs its acknowledgement. */
static void test_pitfall_10_an_entry_that_never_reached_the_disk_is_not_acknowledged(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(5, 31);
    struct cluster_node *old = cluster_find_leader(cluster);
    struct cluster_node *slow = cluster_follower(cluster, 0);
    struct cluster_client *client = cluster_connect(old, 0);
    cluster_hold_disk(slow, DISK_QUEUE_LOG, true);
    cluster_send(client, "SET k 1"); /* its write is out, and hangs: the next one gathers */
    cluster_expect(client, "+OK\r\n");
    for (uint32_t i = 1; i < 4; i++) {
        uint64_t other = cluster_follower(cluster, i)->id;
        cluster_cut(cluster, old->id, other);
        cluster_cut(cluster, other, old->id);
    }
    cluster_link(cluster, slow->id, old->id)->held = true;
    uint64_t term = cluster_status(old).term;
    cluster_send(client, "SET k 2"); /* only the slow node hears of it */
    cluster_settle(cluster);
    uint64_t index = cluster_status(old).last.index;
    cluster_run(cluster, 2);
    assert_int_equal(cluster_status(slow).last.index, index);
    uint64_t overwritten_term;
    do {
        cluster_run(cluster, 20); /* the other three elect a leader, whose entries come in its place */
        assert_true(raft_get_entry_term(replica_raft(slow->replica), index, &overwritten_term));
    } while (overwritten_term == term);
    cluster_hold_disk(slow, DISK_QUEUE_LOG, false);
    cluster_run(cluster, 100);
    assert_int_equal(cluster_status(slow).durable_index, cluster_status(slow).last.index);
    assert_int_equal(count_acknowledgements(cluster_link(cluster, slow->id, old->id), index, term), 0);
    cluster_heal(cluster);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static void test_pitfall_09_a_vote_leaves_after_it_is_durable(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 4);
    struct cluster_node *voter = cluster_follower(cluster, 0);
    struct cluster_node *other = cluster_follower(cluster, 1);
    cluster_hold_disk(voter, DISK_QUEUE_LOG, true);
    cluster_hold_disk(other, DISK_QUEUE_LOG, true);
    cluster_crash(cluster_find_leader(cluster));
    for (int i = 0; i < 2000; i++) { /* requests and promises pass, but none without its write */
        cluster_run(cluster, 1);
        assert_int_equal(
            cluster_count_messages(cluster_link(cluster, voter->id, other->id), RAFT_MESSAGE_VOTE_RESPONSE),
            0);
        assert_int_equal(
            cluster_count_messages(cluster_link(cluster, other->id, voter->id), RAFT_MESSAGE_VOTE_RESPONSE),
            0);
    }
    assert_null(cluster_find_leader(cluster));
    cluster_hold_disk(voter, DISK_QUEUE_LOG, false);
    cluster_hold_disk(other, DISK_QUEUE_LOG, false);
    (void)cluster_await_leader(cluster);
    cluster_destroy(cluster);
}

/* While one write is with the disk, all that comes gathers in the next. */
static void test_one_write_is_out_and_the_next_gathers(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 5);
    struct cluster_node *leader = cluster_find_leader(cluster);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_hold_disk(leader, DISK_QUEUE_LOG, true);
    for (int i = 0; i < 10; i++) {
        cluster_send(client, "INCR n");
        cluster_run(cluster, 5);
    }
    struct disk_job *first = cluster_first_job(leader, DISK_QUEUE_LOG);
    assert_int_equal(first->entries_count, 1);
    assert_null(leader->jobs[DISK_QUEUE_LOG]->next);
    assert_true(cluster_run_job(leader, DISK_QUEUE_LOG, STORAGE_OK));
    cluster_settle(cluster);
    struct disk_job *second = cluster_first_job(leader, DISK_QUEUE_LOG);
    assert_ptr_not_equal(second, first);
    assert_int_equal(second->entries_count, 9);
    cluster_expect(
        client,
        ":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n:10\r\n"); /* two followers are enough */
    cluster_destroy(cluster);
}

/* An APPEND of `count` no-ops of the sender's term after `log`, in a turn of its own. */
static void hear_append(struct cluster_node *node, uint64_t from, uint64_t term, struct raft_entry_id log,
                        uint32_t count)
{
    struct raft_entry entries[4] = {{.type = RAFT_ENTRY_NOOP}};
    assert_true(count <= 4);
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = (struct raft_entry){.id = {term, log.index + 1 + i}, .type = RAFT_ENTRY_NOOP};
    }
    struct bus_message message = {.type = BUS_MESSAGE_RAFT};
    message.raft = (struct raft_message){.type = RAFT_MESSAGE_APPEND,
                                         .from = from,
                                         .to = node->id,
                                         .term = term,
                                         .log = log,
                                         .entries = entries,
                                         .entries_count = count};
    replica_on_message(node->replica, from, &message);
    node->has_input = true;
    cluster_settle(node->cluster);
}

/* Two leaders write to it and one asks for its vote while one write is with the disk: the next one carries
 * what is left of all that, and nothing else. */
static void test_pitfall_09_a_gathered_write_ends_with_what_was_heard_last(void **state)
{
    (void)state;
    for (uint64_t cut = 0; cut <= 4; cut++) { /* how many entries of the first leader the second one keeps */
        struct cluster *cluster = cluster_create_led(3, 13);
        struct cluster_node *node = cluster_follower(cluster, 0);
        struct raft_status before = cluster_status(node);
        uint64_t term = before.term;
        uint64_t a = cluster_find_leader(cluster)->id;
        uint64_t b = cluster_follower(cluster, 1)->id;
        cluster_isolate(cluster, node->id);
        cluster_hold_disk(node, DISK_QUEUE_LOG, true);
        hear_append(node, a, term + 1, before.last, 2);
        assert_non_null(cluster_first_job(node, DISK_QUEUE_LOG));
        hear_append(node, a, term + 1, (struct raft_entry_id){term + 1, before.last.index + 2}, 2);
        struct raft_entry_id kept = {cut == 0 ? before.last.term : term + 1, before.last.index + cut};
        hear_append(node, b, term + 2, kept, 1);
        struct bus_message request = {.type = BUS_MESSAGE_RAFT};
        request.raft = (struct raft_message){.type = RAFT_MESSAGE_VOTE,
                                             .from = a,
                                             .to = node->id,
                                             .term = term + 3,
                                             .log = {term + 2, kept.index + 1},
                                             .force = true};
        replica_on_message(node->replica, a, &request);
        node->has_input = true;
        cluster_settle(cluster);
        assert_null(node->jobs[DISK_QUEUE_LOG]->next);
        assert_true(cluster_run_job(node, DISK_QUEUE_LOG, STORAGE_OK));
        cluster_settle(cluster);
        assert_true(cluster_run_job(node, DISK_QUEUE_LOG, STORAGE_OK));
        cluster_settle(cluster);
        assert_null(cluster_first_job(node, DISK_QUEUE_LOG));
        assert_int_equal(cluster_status(node).durable_index, kept.index + 1);
        cluster_crash(node);
        assert_true(cluster_start_node(node));
        struct raft_status status = cluster_status(node);
        assert_int_equal(status.last.index, kept.index + 1);
        assert_int_equal(status.last.term, term + 2);
        assert_int_equal(status.term, term + 3);
        assert_int_equal(status.vote, a);
        uint64_t kept_term = 0;
        assert_true(raft_get_entry_term(replica_raft(node->replica), kept.index, &kept_term));
        assert_int_equal(kept_term, kept.term);
        cluster_destroy(cluster);
    }
}

static void test_pitfall_17_a_failed_write_stops_the_node_and_answers_nobody(void **state)
{
    (void)state;
    for (int status = STORAGE_LOCKED; status <= STORAGE_FAILED; status++) {
        struct cluster *cluster = cluster_create_led(3, 6);
        struct cluster_node *leader = cluster_find_leader(cluster);
        struct cluster_client *client = cluster_connect(leader, 0);
        hold_all_disks(cluster, true);
        cluster_send(client, "SET k v");
        cluster_send(client, "PING");
        cluster_run(cluster, 20);
        assert_true(cluster_run_job(leader, DISK_QUEUE_LOG, (enum storage_status)status));
        cluster_run(cluster, 20);
        assert_false(leader->running);
        assert_true(leader->stopped);
        assert_int_equal(leader->stop_code,
                         status == STORAGE_CORRUPT ? REPLICA_EXIT_CORRUPT : REPLICA_EXIT_DISK);
        assert_string_equal(leader->stop_reason, "made to fail");
        assert_string_equal(cluster_received(client), "");
        hold_all_disks(cluster, false);
        (void)cluster_await_leader(cluster); /* the others go on, and it may be started again */
        assert_true(cluster_start_node(leader));
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
}

static void test_a_failed_checkpoint_stops_the_node(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 7);
    struct cluster_node *leader = cluster_find_leader(cluster);
    cluster_hold_disk(leader, DISK_QUEUE_MAP, true);
    (void)cluster_ask(leader, "SET k v");
    cluster_run(cluster, 6000);
    assert_true(cluster_run_job(leader, DISK_QUEUE_MAP, STORAGE_FAILED));
    cluster_run(cluster, 20);
    assert_true(leader->stopped);
    assert_int_equal(leader->stop_code, REPLICA_EXIT_DISK);
    (void)cluster_await_leader(cluster);
    assert_true(cluster_start_node(leader));
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

static long counter_of(struct cluster *cluster)
{
    const char *reply = cluster_ask(cluster_await_leader(cluster), "GET n");
    return reply[1] == '-' ? 0 : strtol(strchr(reply, '\n') + 1, NULL, 10);
}

static long count_replies(struct cluster_client *client)
{
    long count = 0;
    for (const char *at = cluster_received(client); (at = strchr(at, ':')) != NULL; at++) {
        count++;
    }
    return count;
}

/* One node or three, all at once, at any moment: what was acknowledged is there, and nothing was applied
 * twice. */
static void test_pitfall_11_a_crash_at_any_moment_keeps_what_was_acknowledged(void **state)
{
    (void)state;
    for (uint32_t nodes = 1; nodes <= 3; nodes += 2) {
        for (uint64_t seed = 1; seed <= 12; seed++) {
            struct cluster *cluster = cluster_create(nodes, seed);
            cluster->disk_ms_max = 4;
            cluster->defaults.checkpoint_log_bytes = 60 * seed;
            cluster_start_all(cluster);
            long acknowledged = 0;
            long sent = 0;
            for (int round = 0; round < 6; round++) {
                struct cluster_client *client = cluster_connect(cluster_await_leader(cluster), 0);
                uint64_t end_ms = cluster->now_ms + 5 + cluster_random_below(cluster, 60);
                while (cluster->now_ms < end_ms) {
                    cluster_send(client, "INCR n");
                    sent++;
                    cluster_run(cluster, 1);
                }
                acknowledged += count_replies(client);
                for (uint64_t id = 1; id <= nodes; id++) {
                    cluster_crash(cluster_node(cluster, id));
                }
                cluster_start_all(cluster);
                long value = counter_of(cluster);
                assert_in_range(value, acknowledged, sent);
                acknowledged = sent = value; /* what was not answered has been decided now */
            }
            cluster_assert_equal(cluster);
            cluster_destroy(cluster);
        }
    }
}

/* The hint on disk lets a node go on from where it was without asking anybody; it is never beyond the log. */
static void test_a_restarted_node_alone_applies_what_it_knew_to_be_committed(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 14);
    cluster->defaults.checkpoint_idle_ms = 60 * 1000;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_node *node = cluster_follower(cluster, 0);
    struct cluster_client *client = cluster_connect(leader, 0);
    for (int i = 1; i <= 20; i++) {
        cluster_send(client, "INCR n");
        cluster_run(cluster, 20);
    }
    uint64_t last = cluster_status(node).last.index;
    cluster_crash(node);
    cluster_isolate(cluster, node->id);
    assert_true(cluster_start_node(node));
    assert_int_equal(map_durable_index(replica_map(node->replica)), 0);
    cluster_run(cluster, 100);
    assert_in_range(cluster_status(node).commit, last - 3, last);
    assert_int_equal(cluster_meta(node)->applied_index, cluster_status(node).commit);
    cluster_destroy(cluster);
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    char bytes[65536];
    for (size_t size; (size = fread(bytes, 1, sizeof bytes, in)) > 0;) {
        assert_int_equal(fwrite(bytes, 1, size, out), size);
    }
    assert_int_equal(fclose(out), 0);
    (void)fclose(in);
}

static void test_pitfall_12_a_map_that_is_ahead_of_the_log_is_refused(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(1, 8);
    cluster->defaults.checkpoint_idle_ms = 10;
    cluster_start_all(cluster);
    struct cluster_node *node = cluster_await_leader(cluster);
    (void)cluster_ask(node, "SET k 1");
    char *log = temp_directory_join(node->directory, "log/data.mdb");
    char *copy = temp_directory_join(cluster->directory, "old-log");
    cluster_crash(node);
    copy_file(log, copy);
    assert_true(cluster_start_node(node));
    (void)cluster_await_leader(cluster);
    (void)cluster_ask(node, "SET k 2");
    cluster_run(cluster, 1000);
    assert_int_equal(map_durable_index(replica_map(node->replica)), cluster_status(node).last.index);
    cluster_crash(node);
    copy_file(copy, log); /* somebody put an old log back */
    assert_false(cluster_start_node(node));
    assert_int_equal(node->start_status, STORAGE_CORRUPT);
    assert_non_null(strstr(node->start_error.text, "the map has applied entry"));
    free(log);
    free(copy);
    cluster_destroy(cluster);
}

static void write_much(struct cluster *cluster, struct cluster_client *client, int count, size_t value_bytes)
{
    for (int i = 0; i < count; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i % 10);
        cluster_send_set(client, key, value_bytes);
        cluster_run(cluster, 3);
    }
    cluster_run(cluster, 300);
    assert_int_equal(byte_buffer_size(&client->received), 5 * count);
    cluster_forget_received(client);
}

static void test_pitfall_12_a_log_that_begins_after_the_map_is_refused(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(1, 15);
    cluster->defaults.checkpoint_log_bytes = 20000;
    cluster->defaults.log_tail_bytes = 30000;
    cluster_start_all(cluster);
    struct cluster_node *node = cluster_await_leader(cluster);
    char *map = temp_directory_join(node->directory, "map-1/data.mdb");
    char *copy = temp_directory_join(cluster->directory, "old-map");
    cluster_crash(node);
    copy_file(map, copy);
    assert_true(cluster_start_node(node));
    (void)cluster_await_leader(cluster);
    write_much(cluster, cluster_connect(node, 0), 200, 1000);
    assert_true(cluster_status(node).first_index > 1);
    cluster_crash(node);
    copy_file(copy, map); /* somebody put an old map back */
    assert_false(cluster_start_node(node));
    assert_int_equal(node->start_status, STORAGE_CORRUPT);
    assert_non_null(strstr(node->start_error.text, "the log begins after entry"));
    free(map);
    free(copy);
    cluster_destroy(cluster);
}

static void test_the_log_is_compacted_behind_the_map_but_for_a_tail(void **state)
{
    (void)state;
    for (size_t value_bytes = 1000; value_bytes <= 30000; value_bytes *= 30) {
        struct cluster *cluster = cluster_create(3, 9);
        cluster->defaults.log_tail_bytes = value_bytes * 50;
        cluster->defaults.checkpoint_log_bytes = value_bytes * 20;
        cluster_start_all(cluster);
        struct cluster_node *leader = cluster_await_leader(cluster);
        write_much(cluster, cluster_connect(leader, 0), 400, value_bytes);
        for (uint64_t id = 1; id <= 3; id++) {
            struct raft_status status = cluster_status(cluster_node(cluster, id));
            struct log_store_usage usage;
            log_store_get_usage(cluster_node(cluster, id)->log, &usage);
            assert_in_range(usage.entries_bytes, value_bytes * 35, value_bytes * 110);
            assert_in_range(status.last.index - status.first_index, 15, 110);
            cluster_crash(cluster_node(cluster, id));
            assert_true(cluster_start_node(cluster_node(cluster, id)));
            cluster_run(cluster, 1000);
        }
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
}

static void test_a_member_that_is_a_little_behind_is_not_cut_off_by_compaction(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 10);
    cluster->defaults.log_tail_bytes = 20000;
    cluster->defaults.checkpoint_log_bytes = 5000;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_node *slow = cluster_follower(cluster, 0);
    cluster_pause(slow);
    write_much(cluster, cluster_connect(leader, 0), 45, 1000); /* more than two tails, less than four */
    assert_true(cluster_status(leader).first_index <= cluster_status(slow).last.index + 1);
    cluster_resume(slow);
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* Seed 1795662203671 with checkpoints at other phases: when one was cut off the log shrank to one tail, and
 * those with it who were less behind. */
static void test_one_that_is_cut_off_takes_nobody_with_it(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(5, 16);
    cluster->defaults.log_tail_bytes = 20000;
    cluster->defaults.checkpoint_log_bytes = 5000;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_node *away = cluster_follower(cluster, 0), *slow = cluster_follower(cluster, 1);
    struct cluster_client *client = cluster_connect(leader, 0);
    cluster_crash(away);
    write_much(cluster, client, 60, 1000);
    cluster_pause(slow);
    write_much(cluster, client, 45, 1000); /* more than two tails, less than four; with the others five */
    assert_true(cluster_status(leader).first_index > 10);
    assert_true(cluster_status(leader).first_index <= cluster_status(slow).last.index + 1);
    cluster_resume(slow);
    assert_true(cluster_start_node(away));
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* The members that follow know of it as well as the leader does. */
static void test_a_change_of_leader_does_not_cut_off_a_member_that_is_behind(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 15);
    cluster->defaults.log_tail_bytes = 20000;
    cluster->defaults.checkpoint_log_bytes = 5000;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    struct cluster_node *slow = cluster_follower(cluster, 0);
    struct cluster_node *other = cluster_follower(cluster, 1);
    cluster_pause(slow);
    write_much(cluster, cluster_connect(leader, 0), 45, 1000); /* more than two tails, less than four */
    cluster_run(cluster, 500);
    assert_true(cluster_status(other).first_index <= cluster_status(slow).last.index + 1);
    cluster_crash(leader);
    cluster_resume(slow);
    assert_ptr_equal(cluster_await_leader(cluster), other);
    cluster_run(cluster, 2000);
    assert_int_equal(cluster_status(slow).applied, cluster_status(other).last.index);
    assert_true(cluster_start_node(leader));
    cluster_assert_equal(cluster);
    cluster_destroy(cluster);
}

/* The smallest map that the configuration allows for a tail: four times as large. */
static void test_pitfall_19_a_member_that_stays_away_does_not_fill_the_log_of_the_others(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(3, 14);
    cluster->log_map_bytes = 4 << 20;
    cluster->defaults.log_tail_bytes = 1 << 20;
    cluster->defaults.checkpoint_log_bytes = 256 << 10;
    cluster_start_all(cluster);
    struct cluster_node *leader = cluster_await_leader(cluster);
    cluster_crash(cluster_follower(cluster, 0));
    write_much(cluster, cluster_connect(leader, 0), 300, 30000); /* nine tails */
    assert_false(leader->stopped);
    cluster_destroy(cluster);
}

static void test_entries_that_are_on_disk_only_are_read_back_for_a_follower_and_for_applying(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create_led(3, 11);
    struct cluster_node *slow = cluster_follower(cluster, 0);
    cluster_crash(slow);
    struct cluster_node *leader = cluster_find_leader(cluster);
    write_much(cluster, cluster_connect(leader, 0), 100, 30000); /* several reads */
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != slow->id) {
            cluster_crash(cluster_node(cluster, id)); /* nothing is held in memory after this */
        }
    }
    cluster->disk_ms_max = 3;
    cluster_start_all(cluster);
    cluster_assert_equal(cluster);
    assert_int_equal(cluster_meta(slow)->key_count, 10);
    cluster_destroy(cluster);
}

/* Jobs with the disk and messages that wait for them when the node ends. */
static void test_a_node_may_end_with_jobs_in_every_state(void **state)
{
    (void)state;
    for (int run = 0; run < 2; run++) {
        struct cluster *cluster = cluster_create(3, 12);
        cluster->defaults.checkpoint_log_bytes = 50;
        cluster_start_all(cluster);
        struct cluster_node *leader = cluster_await_leader(cluster);
        struct cluster_client *client = cluster_connect(leader, 0);
        for (uint64_t id = 1; id <= 3; id++) {
            cluster_hold_disk(cluster_node(cluster, id), DISK_QUEUE_MAP, true);
        }
        for (int i = 0; i < 5; i++) {
            cluster_send(client, "INCR n");
            cluster_run(cluster, 5);
        }
        hold_all_disks(cluster, true);
        for (int i = 0; i < 5; i++) {
            cluster_send(client, "INCR n");
            cluster_run(cluster, 5);
        }
        for (uint64_t id = 1; id <= 3 && run == 1; id++) {
            assert_true(cluster_run_job(cluster_node(cluster, id), DISK_QUEUE_LOG, STORAGE_OK));
            assert_true(cluster_run_job(cluster_node(cluster, id), DISK_QUEUE_MAP, STORAGE_OK));
        }
        for (uint64_t id = 1; id <= 3; id++) {
            cluster_crash(cluster_node(cluster, id));
        }
        cluster_start_all(cluster);
        assert_in_range(counter_of(cluster), 5, 10);
        cluster_assert_equal(cluster);
        cluster_destroy(cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pitfall_10_nothing_is_acknowledged_before_a_majority_of_disks_has_it),
        cmocka_unit_test(test_pitfall_10_a_single_node_answers_when_its_disk_has_reported),
        cmocka_unit_test(test_an_acknowledgement_leaves_after_the_write_that_backs_it),
        cmocka_unit_test(test_pitfall_10_an_entry_that_never_reached_the_disk_is_not_acknowledged),
        cmocka_unit_test(test_pitfall_09_a_vote_leaves_after_it_is_durable),
        cmocka_unit_test(test_one_write_is_out_and_the_next_gathers),
        cmocka_unit_test(test_pitfall_09_a_gathered_write_ends_with_what_was_heard_last),
        cmocka_unit_test(test_pitfall_17_a_failed_write_stops_the_node_and_answers_nobody),
        cmocka_unit_test(test_a_failed_checkpoint_stops_the_node),
        cmocka_unit_test(test_pitfall_11_a_crash_at_any_moment_keeps_what_was_acknowledged),
        cmocka_unit_test(test_a_restarted_node_alone_applies_what_it_knew_to_be_committed),
        cmocka_unit_test(test_pitfall_12_a_map_that_is_ahead_of_the_log_is_refused),
        cmocka_unit_test(test_pitfall_12_a_log_that_begins_after_the_map_is_refused),
        cmocka_unit_test(test_the_log_is_compacted_behind_the_map_but_for_a_tail),
        cmocka_unit_test(test_a_member_that_is_a_little_behind_is_not_cut_off_by_compaction),
        cmocka_unit_test(test_one_that_is_cut_off_takes_nobody_with_it),
        cmocka_unit_test(test_a_change_of_leader_does_not_cut_off_a_member_that_is_behind),
        cmocka_unit_test(test_pitfall_19_a_member_that_stays_away_does_not_fill_the_log_of_the_others),
        cmocka_unit_test(test_entries_that_are_on_disk_only_are_read_back_for_a_follower_and_for_applying),
        cmocka_unit_test(test_a_node_may_end_with_jobs_in_every_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
