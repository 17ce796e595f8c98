/* test_client_status_advice.c: what somebody is told to do. */
#include "byte_buffer.h"
#include "status_advice.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Voters, of whom the first leads. */
static struct cluster_status *make_status(unsigned nodes)
{
    struct cluster_status *status = calloc(1, sizeof *status);
    assert_non_null(status);
    for (unsigned i = 0; i < nodes; i++) {
        struct cluster_status_node *node = &status->nodes[i];
        node->id = i + 1;
        node->reachable = true;
        node->status = (struct node_status){.node_id = i + 1, .role = "follower", .term = 3, .leader_id = 1};
    }
    strcpy(status->nodes[0].status.role, "leader");
    status->nodes[0].status.members_count = nodes;
    status->count = nodes;
    for (unsigned i = 0; i < nodes; i++) {
        status->nodes[0].status.members[i] = (struct node_status_member){.id = i + 1, .kind = "voter"};
    }
    return status;
}

static void leader_names(struct cluster_status *status, uint64_t id)
{
    struct node_status *leader = &status->nodes[0].status;
    leader->differing[leader->differing_count++] = id;
}

static void take_line(void *context, const char *line)
{
    text_append(context, line);
    text_append(context, "\n");
}

/* Judges, and frees. */
static void expect_advice(struct cluster_status *status, const char *expected)
{
    struct byte_buffer text = {0};
    cluster_status_judge(status);
    status_advice_each(status, take_line, &text);
    assert_string_equal(text_c_string(&text), expected);
    byte_buffer_deinit(&text);
    free(status);
}

static void who_is_well_needs_none(void **state)
{
    (void)state;
    expect_advice(make_status(3), "");
}

static void what_gets_well_by_itself_needs_none(void **state)
{
    struct cluster_status *status = make_status(3);
    (void)state;
    status->nodes[1].reachable = false;
    status->nodes[2].status.leader_id = 0;
    expect_advice(status, "");
}

static void a_damaged_node_is_to_be_replaced(void **state)
{
    struct cluster_status *status = make_status(3);
    (void)state;
    strcpy(status->nodes[2].status.damage, "log entry 7: wrong checksum");
    expect_advice(status,
                  "node 3 is damaged: replace it (kvcli replace 3 NEW-ID HOST:PORT). Found: log entry "
                  "7: wrong checksum\n");
}

static void the_longest_finding_fits(void **state)
{
    struct cluster_status *status = make_status(3);
    char expected[NODE_STATUS_TEXT_BYTES_MAX + 200];
    (void)state;
    memset(status->nodes[2].status.damage, 'd', NODE_STATUS_TEXT_BYTES_MAX - 1);
    snprintf(expected, sizeof expected,
             "node 3 is damaged: replace it (kvcli replace 3 NEW-ID HOST:PORT). Found: %s\n",
             status->nodes[2].status.damage);
    expect_advice(status, expected);
}

static void a_node_alone_has_only_its_backup(void **state)
{
    struct cluster_status *status = make_status(1);
    (void)state;
    strcpy(status->nodes[0].status.damage, "log entry 7");
    expect_advice(status,
                  "node 1 is damaged, and no other node has its data: make it anew from a backup (kvd "
                  "restore). Found: log entry 7\n");
}

static void who_differs_from_the_majority_is_to_be_replaced(void **state)
{
    struct cluster_status *status = make_status(3);
    (void)state;
    leader_names(status, 2);
    status->nodes[1].reachable = false; /* the leader's word counts */
    expect_advice(status,
                  "node 2 holds other data than the others: replace it (kvcli replace 2 NEW-ID HOST:PORT)\n");
}

static void of_two_voters_that_differ_neither_is_accused(void **state)
{
    struct cluster_status *status = make_status(3);
    (void)state;
    strcpy(status->nodes[0].status.members[2].kind, "learner");
    leader_names(status, 1);
    leader_names(status, 2);
    expect_advice(status,
                  "nodes 1, 2 hold different data, and none of them is outvoted: find out which one is "
                  "right, and replace the other (kvcli replace ID NEW-ID HOST:PORT)\n");
}

static void who_is_low_on_space_needs_room(void **state)
{
    struct cluster_status *status = make_status(3);
    (void)state;
    status->nodes[0].status.low_space = true;
    status->nodes[2].status.low_space = true;
    expect_advice(status, "nodes 1, 3 are low on space: remove keys, or make room on their disks\n");
    status = make_status(3);
    status->nodes[2].status.low_space = true;
    expect_advice(status, "node 3 is low on space: remove keys, or make room on its disk\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_well_needs_none),
        cmocka_unit_test(what_gets_well_by_itself_needs_none),
        cmocka_unit_test(a_damaged_node_is_to_be_replaced),
        cmocka_unit_test(the_longest_finding_fits),
        cmocka_unit_test(a_node_alone_has_only_its_backup),
        cmocka_unit_test(who_differs_from_the_majority_is_to_be_replaced),
        cmocka_unit_test(of_two_voters_that_differ_neither_is_accused),
        cmocka_unit_test(who_is_low_on_space_needs_room),
    };
    return cmocka_run_group_tests_name("client/status_advice", tests, NULL, NULL);
}
