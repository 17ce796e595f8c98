/* test_client_status_print.c: a cluster as a table and as JSON. */
#include "status_print.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct cluster_status *make_status(void)
{
    struct cluster_status *status = calloc(1, sizeof *status);
    assert_non_null(status);
    for (unsigned i = 0; i < 3; i++) {
        struct cluster_status_node *node = &status->nodes[i];
        node->id = i + 1;
        node->reachable = i < 2;
        node->address = (struct endpoint){.host = "127.0.0.1", .port = (uint16_t)(7000 + i)};
        node->status = (struct node_status){.node_id = i + 1,
                                            .role = "follower",
                                            .term = 3,
                                            .leader_id = 2,
                                            .commit_index = 9007199254740993u,
                                            .applied_index = 9007199254740993u - (i == 0 ? 7 : 0),
                                            .uptime_ms = 3723000,
                                            .digest = "ab",
                                            .members_count = 3};
    }
    strcpy(status->nodes[1].status.role, "leader");
    strcpy(status->nodes[2].error, "connection refused");
    status->count = 3;
    cluster_status_judge(status);
    return status;
}

static void the_table_is_readable_at_a_glance(void **state)
{
    struct cluster_status *status = make_status();
    struct byte_buffer text = {0};
    (void)state;
    status_print_table(&text, status, false, 0);
    assert_string_equal(
        text_c_string(&text),
        "NODE  ADDRESS         ROLE      TERM            COMMIT           APPLIED  LAG  KEYS  UPTIME  STATE\n"
        "1     127.0.0.1:7000  follower     3  9007199254740993  9007199254740986    7     0   1h02m  ok\n"
        "2     127.0.0.1:7001  LEADER       3  9007199254740993  9007199254740993    0     0   1h02m  ok\n"
        "3     127.0.0.1:7002  -            -                 -                 -    -     -       -  "
        "unreachable: connection refused\n"
        "\n"
        "degraded: 2 of 3 nodes are up (a quorum is 2), node 2 leads term 3; no two nodes were at the same "
        "index, "
        "digests not compared\n");
    byte_buffer_deinit(&text);
    free(status);
}

static void what_to_do_stands_below_and_in_json(void **state)
{
    struct cluster_status *status = make_status();
    struct byte_buffer text = {0};
    (void)state;
    strcpy(status->nodes[0].status.damage, "log entry 7 is damaged");
    status->nodes[0].status.low_space = true;
    cluster_status_judge(status);
    status_print_table(&text, status, false, 0);
    assert_non_null(strstr(text_c_string(&text), "1h02m  damaged, low on space\n"));
    assert_non_null(
        strstr(text_c_string(&text),
               "digests not compared\n"
               "node 1 is damaged: replace it (kvcli replace 1 NEW-ID HOST:PORT). Found: log entry 7 is "
               "damaged\n"
               "node 1 is low on space: remove keys, or make room on its disk\n"));
    byte_buffer_consume(&text, byte_buffer_size(&text));
    status_print_json(&text, status);
    const char *json = text_c_string(&text);
    assert_non_null(
        strstr(json, "\"advice\":[\"node 1 is damaged: replace it (kvcli replace 1 NEW-ID HOST:PORT). Found: "
                     "log entry 7 is damaged\",\"node 1 is low on space: remove keys, or make room on its "
                     "disk\"],\"leader_id\":2"));
    assert_non_null(
        strstr(json, "\"damage\":\"log entry 7 is damaged\",\"low_space\":true,\"differs\":false}"));
    assert_non_null(strstr(json, "\"damage\":null,\"low_space\":false,\"differs\":false}"));
    assert_non_null(strstr(json, "\"damage\":null,\"low_space\":null,\"differs\":false}"));
    byte_buffer_deinit(&text);
    free(status);
}

static void lines_are_cut_at_the_terminals_edge(void **state)
{
    struct cluster_status *status = make_status();
    struct byte_buffer text = {0};
    (void)state;
    status->nodes[0].status.low_space = true;
    cluster_status_judge(status);
    status_print_table(&text, status, false, 20);
    const char *line = text_c_string(&text);
    for (const char *end = strchr(line, '\n'); end != NULL; line = end + 1, end = strchr(line, '\n')) {
        assert_true(end - line <= 20);
    }
    byte_buffer_deinit(&text);
    free(status);
}

static void colours_are_there_when_asked_for(void **state)
{
    struct cluster_status *status = make_status();
    struct byte_buffer text = {0};
    (void)state;
    status_print_table(&text, status, true, 0);
    assert_non_null(strstr(text_c_string(&text), "\033[31m3 "));
    assert_non_null(strstr(text_c_string(&text), "\033[1m2 "));
    byte_buffer_deinit(&text);
    free(status);
}

static void summaries_say_how_it_stands(void **state)
{
    struct cluster_status *status = make_status();
    struct byte_buffer text = {0};
    (void)state;
    status->nodes[2].reachable = true;
    cluster_status_judge(status);
    status_print_table(&text, status, false, 0);
    assert_non_null(
        strstr(text_c_string(&text), "healthy: 3 of 3 nodes are up, node 2 leads term 3; digests are equal"));
    strcpy(status->nodes[2].status.digest, "cd");
    cluster_status_judge(status);
    status_print_table(&text, status, false, 0);
    assert_non_null(strstr(text_c_string(&text), "DIGESTS DIFFER at index 9007199254740993"));
    status->nodes[1].reachable = false;
    cluster_status_judge(status);
    status_print_table(&text, status, false, 0);
    assert_non_null(strstr(text_c_string(&text), "no leader: 2 of 3 nodes are up, a quorum is 2"));
    status->nodes[0].reachable = false;
    status->nodes[2].reachable = false;
    cluster_status_judge(status);
    status_print_table(&text, status, false, 0);
    assert_non_null(strstr(text_c_string(&text), "unreachable: no kvd answers at the addresses asked"));
    byte_buffer_deinit(&text);
    free(status);
}

static void json_is_one_line_with_exact_numbers(void **state)
{
    struct cluster_status *status = make_status();
    struct byte_buffer text = {0};
    (void)state;
    status_print_json(&text, status);
    const char *json = text_c_string(&text);
    assert_memory_equal(json, "{\"health\":\"degraded\",\"summary\":\"degraded: 2 of 3", 48);
    assert_non_null(strstr(json, "\"advice\":[],"));
    assert_non_null(strstr(json,
                           "\"leader_id\":2,\"term\":3,\"members_count\":3,\"members_up\":2,\"quorum\":2,"
                           "\"digests\":\"not_comparable\",\"digest_index\":null,\"nodes\":["));
    assert_non_null(
        strstr(json, "\"commit_index\":9007199254740993,\"applied_index\":9007199254740986,\"lag\":7,"));
    assert_non_null(
        strstr(json, "{\"id\":3,\"address\":\"127.0.0.1:7002\",\"reachable\":false,\"state\":\"unreachable: "
                     "connection refused\",\"is_leader\":false,\"role\":null,\"term\":null,"));
    assert_string_equal(strchr(json, '\n'), "\n");
    byte_buffer_deinit(&text);
    free(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_readable_at_a_glance),
        cmocka_unit_test(what_to_do_stands_below_and_in_json),
        cmocka_unit_test(lines_are_cut_at_the_terminals_edge),
        cmocka_unit_test(colours_are_there_when_asked_for),
        cmocka_unit_test(summaries_say_how_it_stands),
        cmocka_unit_test(json_is_one_line_with_exact_numbers),
    };
    return cmocka_run_group_tests_name("client/status_print", tests, NULL, NULL);
}
