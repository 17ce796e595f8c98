/* test_client_cluster_status.c: the state of whole clusters, asked of fake servers and judged. */
#include "client_fake_server.h"
#include "cluster_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 3 };

struct fixture {
    struct fake_server *servers[NODES];
    uint16_t ports[NODES];
    struct cluster_status status;
    struct endpoint_list nodes;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    for (int i = 0; i < NODES; i++) {
        fixture.servers[i] = fake_server_start();
        fixture.ports[i] = fake_server_port(fixture.servers[i]);
    }
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < NODES; i++) {
        fake_server_stop(fixture->servers[i]);
    }
    return 0;
}

/* Node `id` of three answers with this, and the lines; the others are named as members. */
static void node_adds(struct fixture *fixture, unsigned id, const char *role, unsigned leader_id,
                      unsigned index, const char *digest, const char *lines)
{
    char text[1000];
    int size =
        snprintf(text, sizeof text,
                 "node_id:%u\nrole:%s\nterm:4\nleader_id:%u\ncommit_index:%u\napplied_index:%u\ndigest:%s\n"
                 "cluster_id:c\nmember_1:host=127.0.0.1,port=%u\nmember_2:host=127.0.0.1,port=%u\n"
                 "member_3:host=127.0.0.1,port=%u\n%s",
                 id, role, leader_id, index, index, digest, fixture->ports[0], fixture->ports[1],
                 fixture->ports[2], lines);
    fake_server_add_format(fixture->servers[id - 1], "RAFT", 0, "$%d\r\n%s\r\n", size, text);
}

static void node_says(struct fixture *fixture, unsigned id, const char *role, unsigned leader_id,
                      unsigned index, const char *digest)
{
    node_adds(fixture, id, role, leader_id, index, digest, "");
}

static void look(struct fixture *fixture, unsigned seed)
{
    struct endpoint endpoint = {.host = "127.0.0.1", .port = fixture->ports[seed - 1]};
    endpoint_list_add(&fixture->nodes, &endpoint);
    cluster_status_collect(&fixture->status, &fixture->nodes, 20000);
}

static void all_nodes_are_found_from_one(void **state)
{
    struct fixture *fixture = *state;
    node_says(fixture, 1, "follower", 2, 95, "aa");
    node_says(fixture, 2, "leader", 2, 100, "bb");
    node_says(fixture, 3, "follower", 2, 100, "bb");
    look(fixture, 3);
    assert_int_equal(fixture->status.count, 3);
    assert_int_equal(fixture->status.health, CLUSTER_HEALTHY);
    assert_int_equal(fixture->status.members_up, 3);
    assert_int_equal(fixture->status.quorum, 2);
    assert_int_equal(fixture->status.leader->id, 2);
    assert_int_equal(fixture->status.nodes[0].id, 1);
    assert_int_equal(fixture->status.nodes[0].lag, 5);
    assert_int_equal(fixture->status.digests, CLUSTER_DIGESTS_EQUAL);
    assert_int_equal(fixture->status.digest_index, 100);
    /* And remembered. */
    assert_int_equal(fixture->nodes.count, 3);
}

static void a_dead_member_is_shown_with_the_reason(void **state)
{
    struct fixture *fixture = *state;
    fixture->ports[0] = fake_server_dead_port();
    node_says(fixture, 2, "leader", 2, 100, "bb");
    node_says(fixture, 3, "follower", 2, 100, "bb");
    look(fixture, 2);
    assert_int_equal(fixture->status.count, 3);
    assert_int_equal(fixture->status.health, CLUSTER_DEGRADED);
    assert_int_equal(fixture->status.members_up, 2);
    assert_int_equal(fixture->status.nodes[0].id, 1);
    assert_false(fixture->status.nodes[0].reachable);
    assert_non_null(strstr(fixture->status.nodes[0].state, "refused"));
}

static void a_dead_seed_is_the_member_of_that_address(void **state)
{
    struct fixture *fixture = *state;
    fixture->ports[0] = fake_server_dead_port();
    node_says(fixture, 2, "leader", 2, 100, "bb");
    node_says(fixture, 3, "follower", 2, 100, "bb");
    struct endpoint dead = {.host = "127.0.0.1", .port = fixture->ports[0]};
    endpoint_list_add(&fixture->nodes, &dead);
    look(fixture, 2);
    assert_int_equal(fixture->status.count, 3);
    assert_int_equal(fixture->status.nodes[0].id, 1);
    assert_non_null(strstr(fixture->status.nodes[0].state, "refused"));
}

static void without_a_leader_there_is_no_leader(void **state)
{
    struct fixture *fixture = *state;
    fixture->ports[0] = fake_server_dead_port();
    node_says(fixture, 2, "candidate", 0, 100, "bb");
    node_says(fixture, 3, "follower", 1, 100, "bb");
    look(fixture, 2);
    assert_int_equal(fixture->status.health, CLUSTER_NO_LEADER);
    assert_null(fixture->status.leader);
    assert_string_equal(fixture->status.nodes[1].state, "knows no leader");
}

static void replicas_that_differ_are_trouble(void **state)
{
    struct fixture *fixture = *state;
    node_says(fixture, 1, "follower", 2, 100, "aa");
    node_says(fixture, 2, "leader", 2, 100, "bb");
    node_says(fixture, 3, "follower", 2, 100, "bb");
    look(fixture, 2);
    assert_int_equal(fixture->status.digests, CLUSTER_DIGESTS_DIFFER);
    assert_int_equal(fixture->status.health, CLUSTER_DEGRADED);
}

/* Three nodes that are well, but for the lines that one of them adds. */
static void look_with(struct fixture *fixture, unsigned id, const char *lines)
{
    for (unsigned i = 1; i <= NODES; i++) {
        node_adds(fixture, i, i == 2 ? "leader" : "follower", 2, 100, "bb", i == id ? lines : "");
    }
    look(fixture, 2);
    assert_int_equal(fixture->status.count, 3);
    assert_int_equal(fixture->status.members_up, 3);
}

static void a_node_that_found_damage_is_trouble(void **state)
{
    struct fixture *fixture = *state;
    look_with(fixture, 3, "low_space:no\ndigest_differs:\ndamage:log entry 7: wrong checksum\n");
    assert_int_equal(fixture->status.health, CLUSTER_DEGRADED);
    assert_true(fixture->status.nodes[2].damaged);
    assert_string_equal(fixture->status.nodes[2].state, "damaged");
    assert_string_equal(fixture->status.nodes[1].state, "ok");
}

static void a_node_that_is_low_on_space_is_trouble(void **state)
{
    struct fixture *fixture = *state;
    look_with(fixture, 1, "low_space:yes\nlow_space_nodes:1\ndigest_differs:\ndamage:\n");
    assert_int_equal(fixture->status.health, CLUSTER_DEGRADED);
    assert_true(fixture->status.nodes[0].low_on_space);
    assert_string_equal(fixture->status.nodes[0].state, "low on space");
    assert_string_equal(fixture->status.nodes[1].state, "ok");
}

static void a_node_that_the_leader_finds_to_differ_is_trouble(void **state)
{
    struct fixture *fixture = *state;
    look_with(fixture, 2, "low_space:no\ndigest_differs:3\ndamage:\n");
    assert_int_equal(fixture->status.health, CLUSTER_DEGRADED);
    assert_true(fixture->status.nodes[2].differs);
    assert_string_equal(fixture->status.nodes[2].state, "data differs");
    assert_string_equal(fixture->status.nodes[1].state, "ok");
}

static void a_node_that_says_that_it_is_well_is_well(void **state)
{
    struct fixture *fixture = *state;
    look_with(fixture, 2, "low_space:no\nlow_space_nodes:\ndigest_differs:\ndamage:\n");
    assert_int_equal(fixture->status.health, CLUSTER_HEALTHY);
}

static void nobody_there_is_unreachable(void **state)
{
    struct fixture *fixture = *state;
    fixture->ports[0] = fake_server_dead_port();
    fixture->ports[1] = fake_server_dead_port();
    struct endpoint dead = {.host = "127.0.0.1", .port = fixture->ports[0]};
    endpoint_list_add(&fixture->nodes, &dead);
    look(fixture, 2);
    assert_int_equal(fixture->status.health, CLUSTER_UNREACHABLE);
    assert_int_equal(fixture->status.count, 2);
}

static void a_server_that_is_no_kvd_gives_no_status(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(
        fixture->servers[0],
        &(struct fake_rule){.command = "RAFT", .reply = "-ERR unknown command 'RAFT'\r\n", .times = 1});
    fake_server_add(fixture->servers[0],
                    &(struct fake_rule){.command = "RAFT", .reply = "garbage", .times = 1});
    fake_server_add(fixture->servers[0],
                    &(struct fake_rule){.command = "RAFT", .reply = "$2\r\nhi\r\n", .times = 1});
    fake_server_add(fixture->servers[0], &(struct fake_rule){.command = "RAFT", .action = FAKE_CLOSE});
    look(fixture, 1);
    assert_string_equal(fixture->status.nodes[0].state, "gives no status: ERR unknown command 'RAFT'");
    look(fixture, 1);
    assert_non_null(strstr(fixture->status.nodes[0].state, "cannot begin with 'g'"));
    look(fixture, 1);
    assert_non_null(strstr(fixture->status.nodes[0].state, "cannot be understood"));
    look(fixture, 1);
    assert_int_equal(fixture->status.health, CLUSTER_UNREACHABLE);
}

static void one_node_by_two_addresses_is_one_row(void **state)
{
    struct fixture *fixture = *state;
    node_says(fixture, 1, "leader", 1, 10, "a");
    node_says(fixture, 2, "follower", 1, 10, "a");
    node_says(fixture, 3, "follower", 1, 10, "a");
    struct endpoint other = {.host = "localhost", .port = fixture->ports[0]};
    endpoint_list_add(&fixture->nodes, &other);
    look(fixture, 1);
    assert_int_equal(fixture->status.count, 3);
}

static struct cluster_status_node judged_node(uint64_t id, const char *role, uint64_t term,
                                              uint64_t leader_id)
{
    struct cluster_status_node node = {.id = id, .reachable = true};
    node.status.node_id = id;
    snprintf(node.status.role, sizeof node.status.role, "%s", role);
    node.status.term = term;
    node.status.leader_id = leader_id;
    return node;
}

static void a_leader_of_an_older_term_does_not_count(void **state)
{
    struct fixture *fixture = *state;
    struct cluster_status *status = &fixture->status;
    status->nodes[0] = judged_node(1, "leader", 3, 1);
    status->nodes[1] = judged_node(2, "leader", 4, 2);
    status->nodes[2] = judged_node(3, "follower", 4, 2);
    status->count = 3;
    cluster_status_judge(status);
    assert_ptr_equal(status->leader, &status->nodes[1]);
    assert_int_equal(status->health, CLUSTER_DEGRADED);
    assert_string_equal(status->nodes[0].state, "leads an older term");
    /* The new leader cannot be reached: the old one is no substitute. */
    status->nodes[1].reachable = false;
    cluster_status_judge(status);
    assert_int_equal(status->health, CLUSTER_NO_LEADER);
}

static void a_node_of_another_cluster_is_trouble(void **state)
{
    struct fixture *fixture = *state;
    struct cluster_status *status = &fixture->status;
    status->nodes[0] = judged_node(1, "leader", 3, 1);
    status->nodes[1] = judged_node(2, "follower", 9, 1);
    strcpy(status->nodes[1].status.cluster_id, "other");
    status->count = 2;
    cluster_status_judge(status);
    assert_int_equal(status->health, CLUSTER_DEGRADED);
    assert_int_equal(status->members_up, 1);
    assert_string_equal(status->nodes[1].state, "belongs to another cluster");
    assert_int_equal(status->digests, CLUSTER_DIGESTS_NOT_COMPARABLE);
}

static void what_is_wrong_with_a_node_is_told_together(void **state)
{
    struct fixture *fixture = *state;
    struct cluster_status *status = &fixture->status;
    status->nodes[0] = judged_node(1, "leader", 3, 1);
    status->nodes[1] = judged_node(2, "follower", 3, 0);
    status->nodes[2] = judged_node(3, "follower", 3, 1);
    status->count = 3;
    status->nodes[0].status.differing[0] = 2;
    status->nodes[0].status.differing_count = 1;
    status->nodes[1].status.low_space = true;
    strcpy(status->nodes[1].status.damage, "something");
    cluster_status_judge(status);
    assert_string_equal(status->nodes[1].state, "knows no leader, damaged, data differs, low on space");
    /* Without a leader nobody is known to differ; what a node of another cluster suffers from is not ours. */
    strcpy(status->nodes[0].status.role, "follower");
    strcpy(status->nodes[2].status.cluster_id, "other");
    strcpy(status->nodes[2].status.damage, "something");
    cluster_status_judge(status);
    assert_int_equal(status->health, CLUSTER_NO_LEADER);
    assert_string_equal(status->nodes[1].state, "knows no leader, damaged, low on space");
    assert_string_equal(status->nodes[2].state, "belongs to another cluster");
    assert_false(status->nodes[2].damaged);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(all_nodes_are_found_from_one),
        CASE(a_dead_member_is_shown_with_the_reason),
        CASE(a_dead_seed_is_the_member_of_that_address),
        CASE(without_a_leader_there_is_no_leader),
        CASE(replicas_that_differ_are_trouble),
        CASE(a_node_that_found_damage_is_trouble),
        CASE(a_node_that_is_low_on_space_is_trouble),
        CASE(a_node_that_the_leader_finds_to_differ_is_trouble),
        CASE(a_node_that_says_that_it_is_well_is_well),
        CASE(what_is_wrong_with_a_node_is_told_together),
        CASE(nobody_there_is_unreachable),
        CASE(a_server_that_is_no_kvd_gives_no_status),
        CASE(one_node_by_two_addresses_is_one_row),
        CASE(a_leader_of_an_older_term_does_not_count),
        CASE(a_node_of_another_cluster_is_trouble),
    };
    return cmocka_run_group_tests_name("client/cluster_status", tests, NULL, NULL);
}
