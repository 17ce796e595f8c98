/* test_client_cluster_client.c: commands on clusters that misbehave, played by fake servers.
 *
 * Pitfall 5 (definite and unknown outcomes must not be confused) and pitfall 29 (a repeated write) are what
 * most of the cases about lost answers are for. */
#include "client_fake_server.h"
#include "cluster_client.h"
#include "command_line.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000 }; /* only a failure takes that long */

struct fixture {
    struct fake_server *a;
    struct fake_server *b;
    struct cluster_client client;
    struct cluster_result result;
};

static void add_node(struct endpoint_list *nodes, uint16_t port)
{
    struct endpoint endpoint = {.host = "127.0.0.1", .port = port};
    endpoint_list_add(nodes, &endpoint);
}

/* A client that knows the given ports; 0: none. */
static void begin_with(struct fixture *fixture, uint16_t first, uint16_t second, uint64_t timeout_ms)
{
    const struct cluster_client_options options = {.timeout_ms = timeout_ms, .protocol = 2, .cancel_fd = -1};
    struct endpoint_list nodes = {.count = 0};
    add_node(&nodes, first);
    if (second != 0) {
        add_node(&nodes, second);
    }
    cluster_client_init(&fixture->client, &nodes, &options);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    fixture.a = fake_server_start();
    fixture.b = fake_server_start();
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    cluster_result_deinit(&fixture->result);
    cluster_client_deinit(&fixture->client);
    fake_server_stop(fixture->a);
    fake_server_stop(fixture->b);
    return 0;
}

static enum cluster_outcome execute(struct fixture *fixture, const char *words)
{
    struct command_line line;
    assert_true(command_line_parse(&line, words, strlen(words)));
    cluster_result_deinit(&fixture->result);
    cluster_client_execute(&fixture->client, line.arguments, line.count, &fixture->result);
    command_line_deinit(&line);
    return fixture->result.outcome;
}

static void assert_text(const struct answer *answer, const char *text)
{
    assert_non_null(answer->text);
    assert_string_equal(answer->text, text);
}

static void redirects_are_followed_to_the_named_address(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add_format(fixture->a, "SET", 0, "-MOVED 12182 127.0.0.1:%u\r\n",
                           fake_server_port(fixture->b));
    begin_with(fixture, fake_server_port(fixture->a), 0, PATIENCE_MS);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_ANSWERED);
    assert_text(&fixture->result.answer, "OK");
    assert_int_equal(fixture->result.redirects, 1);
    assert_int_equal(fixture->result.node.port, fake_server_port(fixture->b));
    /* The next command goes there at once. */
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fixture->result.redirects, 0);
    assert_int_equal(fake_server_count(fixture->a, "SET"), 1);
    assert_int_equal(fake_server_count(fixture->b, "SET"), 2);
}

static void a_redirect_without_a_host_means_the_same_host(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add_format(fixture->a, "SET", 0, "-MOVED 1 :%u\r\n", fake_server_port(fixture->b));
    begin_with(fixture, fake_server_port(fixture->a), 0, PATIENCE_MS);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_ANSWERED);
    assert_string_equal(fixture->result.node.host, "127.0.0.1");
    assert_int_equal(fixture->result.node.port, fake_server_port(fixture->b));
}

static void two_nodes_that_point_at_each_other_are_given_up(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add_format(fixture->a, "SET", 0, "-MOVED 1 127.0.0.1:%u\r\n", fake_server_port(fixture->b));
    fake_server_add_format(fixture->b, "SET", 0, "-MOVED 1 127.0.0.1:%u\r\n", fake_server_port(fixture->a));
    begin_with(fixture, fake_server_port(fixture->a), 0, 30000);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_NOT_EXECUTED);
    assert_int_equal(fixture->result.redirects, CLUSTER_CLIENT_REDIRECTS_MAX + 1);
    assert_non_null(strstr(fixture->result.error, "gave up after 16 redirects"));
    assert_int_equal(fake_server_count(fixture->a, "SET") + fake_server_count(fixture->b, "SET"),
                     CLUSTER_CLIENT_REDIRECTS_MAX + 1);
}

static void a_redirect_loop_ends_with_the_time_too(void **state)
{
    struct fixture *fixture = *state;
    /* A read: if the time is over while an answer is waited for, the outcome of a write is unknown. */
    fake_server_add_format(fixture->a, "GET", 0, "-MOVED 1 127.0.0.1:%u\r\n", fake_server_port(fixture->a));
    begin_with(fixture, fake_server_port(fixture->a), 0, 100);
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_NOT_EXECUTED);
    assert_true(fixture->result.redirects <= CLUSTER_CLIENT_REDIRECTS_MAX);
}

static void a_redirect_to_a_dead_leader_comes_back_to_the_others(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add_format(fixture->a, "SET", 2, "-MOVED 1 127.0.0.1:%u\r\n", fake_server_dead_port());
    begin_with(fixture, fake_server_port(fixture->a), 0, PATIENCE_MS);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fake_server_count(fixture->a, "SET"), 3);
}

static void the_next_seed_is_asked_when_the_first_is_dead(void **state)
{
    struct fixture *fixture = *state;
    begin_with(fixture, fake_server_dead_port(), fake_server_port(fixture->b), PATIENCE_MS);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fixture->result.attempts, 1);
}

static void nodes_are_learnt_from_cluster_slots(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add_format(
        fixture->a, "CLUSTER", 0,
        "*1\r\n*4\r\n:0\r\n:16383\r\n*3\r\n$0\r\n\r\n:%u\r\n$1\r\na\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n"
        "$1\r\nb\r\n",
        fake_server_port(fixture->a), fake_server_port(fixture->b));
    begin_with(fixture, fake_server_port(fixture->a), 0, PATIENCE_MS);
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_ANSWERED);
    assert_true(fixture->client.nodes_learnt);
    assert_int_equal(fixture->client.nodes.count, 2);
    /* And used: a is lost from now on. */
    fake_server_add(fixture->a, &(struct fake_rule){.command = "GET", .action = FAKE_CLOSE});
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fixture->result.node.port, fake_server_port(fixture->b));
}

static void nonsense_in_cluster_slots_is_skipped(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(
        fixture->a,
        &(struct fake_rule){.command = "CLUSTER",
                            .reply = "*4\r\n:1\r\n*1\r\n:0\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nx\r\n:70000\r\n"
                                     "*4\r\n:0\r\n:1\r\n*0\r\n*2\r\n$3\r\na b\r\n:7\r\n"});
    begin_with(fixture, fake_server_port(fixture->a), 0, PATIENCE_MS);
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fixture->client.nodes.count, 1);
}

/* Pitfalls 5 and 29. */
static void a_write_whose_answer_is_lost_has_an_unknown_outcome(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a, &(struct fake_rule){.command = "INCR", .action = FAKE_CLOSE});
    begin_with(fixture, fake_server_port(fixture->a), fake_server_port(fixture->b), PATIENCE_MS);
    assert_int_equal(execute(fixture, "incr n"), CLUSTER_OUTCOME_UNKNOWN);
    assert_non_null(strstr(fixture->result.error, "may or may not have been executed"));
    assert_int_equal(fixture->result.attempts, 1);
    assert_int_equal(fake_server_count(fixture->a, "INCR"), 1);
    assert_int_equal(fake_server_count(fixture->b, "INCR"), 0);
    /* Later commands go elsewhere. */
    assert_int_equal(execute(fixture, "incr n"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fake_server_count(fixture->b, "INCR"), 1);
}

static void a_read_whose_answer_is_lost_is_asked_elsewhere(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a, &(struct fake_rule){.command = "GET", .action = FAKE_CLOSE});
    begin_with(fixture, fake_server_port(fixture->a), fake_server_port(fixture->b), PATIENCE_MS);
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fixture->result.attempts, 2);
    assert_int_equal(fake_server_count(fixture->b, "GET"), 1);
}

static void a_command_that_the_server_does_not_describe_counts_as_a_write(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a, &(struct fake_rule){.command = "MYSTERY", .action = FAKE_CLOSE});
    begin_with(fixture, fake_server_port(fixture->a), fake_server_port(fixture->b), PATIENCE_MS);
    assert_int_equal(execute(fixture, "mystery k"), CLUSTER_OUTCOME_UNKNOWN);
    assert_int_equal(fake_server_count(fixture->b, "MYSTERY"), 0);
}

static void flags_are_asked_for_once(void **state)
{
    struct fixture *fixture = *state;
    begin_with(fixture, fake_server_port(fixture->a), 0, PATIENCE_MS);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_ANSWERED);
        assert_int_equal(execute(fixture, "mystery k"), CLUSTER_OUTCOME_ANSWERED);
    }
    assert_int_equal(fake_server_count(fixture->a, "COMMAND"), 2);
    assert_int_equal(fake_server_connections(fixture->a), 1);
}

static void a_write_that_is_not_answered_in_time_has_an_unknown_outcome(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a, &(struct fake_rule){.command = "SET", .action = FAKE_SILENCE});
    begin_with(fixture, fake_server_port(fixture->a), fake_server_port(fixture->b), 2000);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_UNKNOWN);
    assert_int_equal(fake_server_count(fixture->b, "SET"), 0);
}

static void a_read_does_not_wait_for_a_stopped_node_until_the_end(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a, &(struct fake_rule){.command = "GET", .action = FAKE_SILENCE});
    begin_with(fixture, fake_server_port(fixture->a), fake_server_port(fixture->b), 4000);
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fixture->result.node.port, fake_server_port(fixture->b));
}

static void a_stopped_node_is_found_out_before_a_write_is_sent(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a, &(struct fake_rule){.command = "CLUSTER", .action = FAKE_SILENCE});
    begin_with(fixture, fake_server_port(fixture->a), fake_server_port(fixture->b), PATIENCE_MS);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fake_server_count(fixture->a, "SET"), 0);
    assert_int_equal(fake_server_count(fixture->b, "SET"), 1);
}

static void not_now_is_waited_out(void **state)
{
    static const char *const errors[] = {"-CLUSTERDOWN The cluster is down\r\n", "-LOADING x\r\n",
                                         "-TRYAGAIN x\r\n", "-MASTERDOWN x\r\n"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 4; i++) {
        fake_server_add(fixture->a, &(struct fake_rule){.command = "SET", .reply = errors[i], .times = 1});
    }
    begin_with(fixture, fake_server_port(fixture->a), 0, PATIENCE_MS);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_ANSWERED);
    assert_text(&fixture->result.answer, "OK");
    assert_int_equal(fixture->result.attempts, 5);
}

static void not_now_for_the_whole_time_is_not_executed(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a, &(struct fake_rule){.command = "GET", .reply = "-CLUSTERDOWN no leader\r\n"});
    begin_with(fixture, fake_server_port(fixture->a), 0, 1000);
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_NOT_EXECUTED);
    assert_non_null(strstr(fixture->result.error, "CLUSTERDOWN no leader"));
    assert_true(fake_server_count(fixture->a, "GET") > 1);
}

/* Fixture's a leads, b knows it. */
static void begin_with_leader_and_follower(struct fixture *fixture, uint64_t timeout_ms)
{
    static const char *const commands[] = {"SET", "GET", "RAFT"};
    for (size_t i = 0; i < 3; i++) {
        fake_server_add_format(fixture->b, commands[i], 0, "-MOVED 0 127.0.0.1:%u\r\n",
                               fake_server_port(fixture->a));
    }
    begin_with(fixture, fake_server_port(fixture->a), fake_server_port(fixture->b), timeout_ms);
}

#define REMOVED "TRYAGAIN node 4 was removed a moment ago: try again soon, or choose another id"

static void a_leader_that_says_try_again_is_asked_again_and_not_fled_from(void **state)
{
    struct fixture *fixture = *state;
    const unsigned refused = CLUSTER_CLIENT_REDIRECTS_MAX + 4;
    fake_server_add(fixture->a, &(struct fake_rule){
                                    .command = "RAFT", .reply = "-" REMOVED "\r\n", .times = (int)refused});
    begin_with_leader_and_follower(fixture, PATIENCE_MS);
    assert_int_equal(execute(fixture, "raft replace 2 4 h:17004"), CLUSTER_OUTCOME_ANSWERED);
    assert_text(&fixture->result.answer, "OK");
    assert_int_equal(fixture->result.redirects, 1); /* by which it is known that it leads */
    assert_int_equal(fake_server_count(fixture->a, "RAFT"), refused + 1);
    assert_int_equal(fake_server_count(fixture->b, "RAFT"), 1);
    /* Found by a redirect in the first place, it is asked at once. */
    fake_server_add(fixture->a,
                    &(struct fake_rule){.command = "SET", .reply = "-TRYAGAIN x\r\n", .times = 3});
    fixture->client.position = 1;
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fake_server_count(fixture->b, "SET"), 1);
}

/* A read: if the time is over while an answer is waited for, the outcome of a write is unknown. */
static void a_leader_that_says_try_again_to_the_end_is_quoted(void **state)
{
    struct fixture *fixture = *state;
    char wanted[200];
    fake_server_add(fixture->a, &(struct fake_rule){.command = "GET", .reply = "-" REMOVED "\r\n"});
    begin_with_leader_and_follower(fixture, 3000);
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_NOT_EXECUTED);
    snprintf(wanted, sizeof wanted, "127.0.0.1:%u answered: " REMOVED,
             (unsigned)fake_server_port(fixture->a));
    assert_string_equal(fixture->result.error, wanted);
    assert_text(&fixture->result.answer, REMOVED);
    assert_int_equal(fake_server_count(fixture->b, "GET"), 1);
}

/* It may be a leader of the past, cut off from the others. */
static void one_of_whom_nobody_says_that_it_leads_is_left_when_it_says_try_again(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a, &(struct fake_rule){.command = "SET", .reply = "-TRYAGAIN x\r\n"});
    begin_with(fixture, fake_server_port(fixture->a), fake_server_port(fixture->b), PATIENCE_MS);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fixture->result.node.port, fake_server_port(fixture->b));
    assert_int_equal(fixture->result.attempts, 2);
}

static void a_leader_that_says_try_again_and_is_lost_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add_format(fixture->b, "GET", 1, "-MOVED 0 127.0.0.1:%u\r\n", fake_server_port(fixture->a));
    fake_server_add(fixture->a,
                    &(struct fake_rule){.command = "GET", .reply = "-TRYAGAIN x\r\n", .times = 2});
    fake_server_add(fixture->a, &(struct fake_rule){.command = "GET", .action = FAKE_CLOSE});
    begin_with(fixture, fake_server_port(fixture->b), fake_server_port(fixture->a), PATIENCE_MS);
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fixture->result.node.port, fake_server_port(fixture->b));
    assert_int_equal(fake_server_count(fixture->a, "GET"), 3);
}

static void a_leader_that_leads_no_more_after_try_again_sends_on(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a,
                    &(struct fake_rule){.command = "SET", .reply = "-TRYAGAIN x\r\n", .times = 2});
    fake_server_add_format(fixture->a, "SET", 0, "-MOVED 0 127.0.0.1:%u\r\n", fake_server_port(fixture->b));
    fake_server_add_format(fixture->b, "SET", 1, "-MOVED 0 127.0.0.1:%u\r\n", fake_server_port(fixture->a));
    begin_with(fixture, fake_server_port(fixture->b), fake_server_port(fixture->a), PATIENCE_MS);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fixture->result.node.port, fake_server_port(fixture->b));
    assert_int_equal(fixture->result.redirects, 2);
}

static void a_refusal_of_old_does_not_hide_that_nodes_point_at_each_other(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a, &(struct fake_rule){.command = "SET", .reply = "-LOADING x\r\n", .times = 1});
    fake_server_add_format(fixture->a, "SET", 0, "-MOVED 1 127.0.0.1:%u\r\n", fake_server_port(fixture->b));
    begin_with_leader_and_follower(fixture, 60000);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_NOT_EXECUTED);
    assert_non_null(strstr(fixture->result.error, "gave up after 16 redirects"));
}

static void redirects_that_are_given_up_do_not_hide_what_was_refused(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a, &(struct fake_rule){.command = "SET", .reply = "-LOADING still\r\n"});
    begin_with_leader_and_follower(fixture, 60000);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_NOT_EXECUTED);
    assert_non_null(strstr(fixture->result.error, "answered: LOADING still"));
    assert_null(strstr(fixture->result.error, "do not agree"));
    assert_int_equal(fixture->result.redirects, CLUSTER_CLIENT_REDIRECTS_MAX + 1);
}

/* Not while an answer is waited for: then the outcome of a write is unknown. */
static void a_write_whose_time_is_over_after_not_now_is_not_executed(void **state)
{
    static const char refusal[] = "-CLUSTERDOWN no leader\r\n";
    struct fixture *fixture = *state;
    fake_server_add(fixture->a, &(struct fake_rule){.command = "CLUSTER", .reply = "*0\r\n", .times = 1});
    fake_server_add(fixture->a, &(struct fake_rule){.command = "CLUSTER", .action = FAKE_SILENCE});
    fake_server_add(fixture->a, &(struct fake_rule){.command = "SET", .reply = refusal, .times = 1});
    fake_server_add(fixture->a,
                    &(struct fake_rule){.command = "SET", .reply = refusal, .action = FAKE_CLOSE});
    begin_with(fixture, fake_server_port(fixture->a), 0, 2000);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_NOT_EXECUTED);
    assert_non_null(strstr(fixture->result.error, "CLUSTERDOWN no leader"));
    assert_int_equal(fake_server_count(fixture->a, "SET"), 2);
}

/* Pitfall 29. */
static void an_unknown_outcome_that_the_server_tells_is_not_retried(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a,
                    &(struct fake_rule){.command = "SET", .reply = "-UNKNOWN the leader was lost\r\n"});
    begin_with(fixture, fake_server_port(fixture->a), fake_server_port(fixture->b), PATIENCE_MS);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_UNKNOWN);
    assert_int_equal(fixture->result.attempts, 1);
    assert_non_null(strstr(fixture->result.error, "UNKNOWN the leader was lost"));
    /* The connection is kept, as the server keeps it. */
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fake_server_connections(fixture->a), 1);
}

static void garbage_for_a_write_is_an_unknown_outcome(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a,
                    &(struct fake_rule){.command = "SET", .reply = "HTTP/1.1 400 Bad Request\r\n\r\n"});
    begin_with(fixture, fake_server_port(fixture->a), 0, PATIENCE_MS);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_UNKNOWN);
    assert_non_null(strstr(fixture->result.error, "cannot begin with 'H'"));
}

static void a_server_that_speaks_something_else_is_a_clear_error(void **state)
{
    struct fixture *fixture = *state;
    fake_server_greet(fixture->a, "SSH-2.0-OpenSSH_9.2\r\n", 0);
    begin_with(fixture, fake_server_port(fixture->a), 0, 1000);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_NOT_EXECUTED);
    assert_non_null(strstr(fixture->result.error, "is this a kvd or Redis server?"));
    assert_int_equal(fake_server_count(fixture->a, "SET"), 0);
}

static void a_last_try_that_is_cut_short_does_not_hide_what_was_found_out_before(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a, &(struct fake_rule){
                                    .command = "CLUSTER", .reply = "SSH-2.0-OpenSSH_9.2\r\n", .times = 1});
    fake_server_add(fixture->a, &(struct fake_rule){.command = "CLUSTER", .action = FAKE_SILENCE});
    begin_with(fixture, fake_server_port(fixture->a), 0, 1000);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_NOT_EXECUTED);
    assert_non_null(strstr(fixture->result.error, "is this a kvd or Redis server?"));
    assert_int_equal(fake_server_count(fixture->a, "CLUSTER"), 2);
}

static void a_server_that_has_too_many_clients_is_quoted(void **state)
{
    struct fixture *fixture = *state;
    fake_server_greet(fixture->a, "-ERR max number of clients reached\r\n", 1);
    begin_with(fixture, fake_server_port(fixture->a), 0, 1000);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_NOT_EXECUTED);
    assert_true(strstr(fixture->result.error, "max number of clients reached") != NULL ||
                strstr(fixture->result.error, "closed") != NULL ||
                strstr(fixture->result.error, "lost") != NULL);
}

static void a_request_refused_half_way_gives_the_servers_words(void **state)
{
    struct fixture *fixture = *state;
    const size_t size = 32 << 20; /* more than all the buffers between */
    char *value = test_malloc(size);
    memset(value, 'x', size);
    struct command_argument arguments[3] = {{.bytes = (char[]){"set"}, .size = 3},
                                            {.bytes = (char[]){"k"}, .size = 1},
                                            {.bytes = value, .size = size}};
    fake_server_refuse_large(fixture->a, 100000, "-ERR Protocol error: invalid bulk length\r\n");
    begin_with(fixture, fake_server_port(fixture->a), 0, PATIENCE_MS);
    cluster_client_execute(&fixture->client, arguments, 3, &fixture->result);
    assert_int_equal(fixture->result.outcome, CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fixture->result.answer.type, ANSWER_ERROR);
    assert_text(&fixture->result.answer, "ERR Protocol error: invalid bulk length");
    test_free(value);
}

static void an_idle_connection_that_was_closed_is_opened_again(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a,
                    &(struct fake_rule){.command = "GET", .action = FAKE_CLOSE, .reply = "$1\r\nv\r\n"});
    begin_with(fixture, fake_server_port(fixture->a), 0, PATIENCE_MS);
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_ANSWERED);
    char byte;
    while (recv(fixture->client.connection.fd, &byte, 1, MSG_PEEK) != 0) { /* until the end has arrived */
    }
    assert_int_equal(execute(fixture, "incr n"), CLUSTER_OUTCOME_ANSWERED);
    assert_int_equal(fake_server_count(fixture->a, "INCR"), 1);
}

static void nobody_there_is_certainly_not_executed(void **state)
{
    struct fixture *fixture = *state;
    begin_with(fixture, fake_server_dead_port(), 0, 200);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_NOT_EXECUTED);
    assert_int_equal(fixture->result.attempts, 0);
    assert_non_null(strstr(fixture->result.error, "refused"));
}

static void a_read_can_be_cancelled(void **state)
{
    struct fixture *fixture = *state;
    int cancel_fd = eventfd(1, EFD_CLOEXEC);
    begin_with(fixture, fake_server_port(fixture->a), 0, 30000);
    fixture->client.options.cancel_fd = cancel_fd;
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_CANCELLED);
    fixture->client.options.cancel_fd = -1;
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_ANSWERED);
    close(cancel_fd);
}

struct canceller {
    struct fake_server *server;
    int cancel_fd;
};

static void *cancel_once_sent(void *argument)
{
    struct canceller *canceller = argument;
    uint64_t one = 1;
    while (fake_server_count(canceller->server, "SET") == 0) {
        usleep(1000);
    }
    return write(canceller->cancel_fd, &one, sizeof one) == (ssize_t)sizeof one ? NULL : argument;
}

static void a_write_that_is_cancelled_once_sent_has_an_unknown_outcome(void **state)
{
    struct fixture *fixture = *state;
    struct canceller canceller = {.server = fixture->a, .cancel_fd = eventfd(0, EFD_CLOEXEC)};
    pthread_t thread;
    fake_server_add(fixture->a, &(struct fake_rule){.command = "SET", .action = FAKE_SILENCE});
    begin_with(fixture, fake_server_port(fixture->a), 0, 30000);
    fixture->client.options.cancel_fd = canceller.cancel_fd;
    assert_int_equal(pthread_create(&thread, NULL, cancel_once_sent, &canceller), 0);
    assert_int_equal(execute(fixture, "set k v"), CLUSTER_OUTCOME_UNKNOWN);
    assert_non_null(strstr(fixture->result.error, "interrupted"));
    pthread_join(thread, NULL);
    close(canceller.cancel_fd);
}

static void errors_of_the_command_are_answers(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->a, &(struct fake_rule){.command = "INCR", .reply = "-WRONGTYPE no\r\n"});
    fake_server_add(fixture->a, &(struct fake_rule){.command = "GET", .reply = "-MOVED nonsense\r\n"});
    begin_with(fixture, fake_server_port(fixture->a), 0, PATIENCE_MS);
    assert_int_equal(execute(fixture, "incr k"), CLUSTER_OUTCOME_ANSWERED);
    assert_text(&fixture->result.answer, "WRONGTYPE no");
    assert_int_equal(execute(fixture, "get k"), CLUSTER_OUTCOME_ANSWERED);
    assert_text(&fixture->result.answer, "MOVED nonsense");
}

static void commands_are_learnt_with_their_documentation(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(
        fixture->b,
        &(struct fake_rule){.command = "COMMAND",
                            .times = 1,
                            .reply = "*1\r\n*6\r\n$3\r\nget\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n"});
    fake_server_add(fixture->b,
                    &(struct fake_rule){.command = "COMMAND",
                                        .times = 1,
                                        .reply = "*2\r\n$3\r\nget\r\n*2\r\n$7\r\nsummary\r\n$4\r\nRead\r\n"});
    begin_with(fixture, fake_server_dead_port(), fake_server_port(fixture->b), PATIENCE_MS);
    assert_true(cluster_client_learn_commands(&fixture->client, PATIENCE_MS));
    const struct command_entry *entry = command_list_find(&fixture->client.commands, "GET", 3);
    assert_non_null(entry);
    assert_false(entry->may_change);
    assert_string_equal(entry->summary, "Read");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(redirects_are_followed_to_the_named_address),
        CASE(a_redirect_without_a_host_means_the_same_host),
        CASE(two_nodes_that_point_at_each_other_are_given_up),
        CASE(a_redirect_loop_ends_with_the_time_too),
        CASE(a_redirect_to_a_dead_leader_comes_back_to_the_others),
        CASE(the_next_seed_is_asked_when_the_first_is_dead),
        CASE(nodes_are_learnt_from_cluster_slots),
        CASE(nonsense_in_cluster_slots_is_skipped),
        CASE(a_write_whose_answer_is_lost_has_an_unknown_outcome),
        CASE(a_read_whose_answer_is_lost_is_asked_elsewhere),
        CASE(a_command_that_the_server_does_not_describe_counts_as_a_write),
        CASE(flags_are_asked_for_once),
        CASE(a_write_that_is_not_answered_in_time_has_an_unknown_outcome),
        CASE(a_read_does_not_wait_for_a_stopped_node_until_the_end),
        CASE(a_stopped_node_is_found_out_before_a_write_is_sent),
        CASE(not_now_is_waited_out),
        CASE(not_now_for_the_whole_time_is_not_executed),
        CASE(a_leader_that_says_try_again_is_asked_again_and_not_fled_from),
        CASE(a_leader_that_says_try_again_to_the_end_is_quoted),
        CASE(one_of_whom_nobody_says_that_it_leads_is_left_when_it_says_try_again),
        CASE(a_leader_that_says_try_again_and_is_lost_is_not_waited_for),
        CASE(a_leader_that_leads_no_more_after_try_again_sends_on),
        CASE(a_refusal_of_old_does_not_hide_that_nodes_point_at_each_other),
        CASE(redirects_that_are_given_up_do_not_hide_what_was_refused),
        CASE(a_write_whose_time_is_over_after_not_now_is_not_executed),
        CASE(an_unknown_outcome_that_the_server_tells_is_not_retried),
        CASE(garbage_for_a_write_is_an_unknown_outcome),
        CASE(a_server_that_speaks_something_else_is_a_clear_error),
        CASE(a_last_try_that_is_cut_short_does_not_hide_what_was_found_out_before),
        CASE(a_server_that_has_too_many_clients_is_quoted),
        CASE(a_request_refused_half_way_gives_the_servers_words),
        CASE(an_idle_connection_that_was_closed_is_opened_again),
        CASE(nobody_there_is_certainly_not_executed),
        CASE(a_read_can_be_cancelled),
        CASE(a_write_that_is_cancelled_once_sent_has_an_unknown_outcome),
        CASE(errors_of_the_command_are_answers),
        CASE(commands_are_learnt_with_their_documentation),
    };
    return cmocka_run_group_tests_name("client/cluster_client", tests, NULL, NULL);
}
