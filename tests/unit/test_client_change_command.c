/* test_client_change_command.c: a change is asked for once, and what became of it is looked at, whatever
 * happens to the answer. */
#include "change_command.h"
#include "client_fake_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BEFORE  "member_1:kind=voter,active=yes,progress=replicate,match=9\n"
#define LEARNER "member_4:kind=learner,goal=voter,active=yes,progress=replicate,match=9\n"
#define VOTER   "member_4:kind=voter,active=yes,progress=replicate,match=9\n"

struct ran {
    int exit_code;
    char out[4000];
    char errors[2000];
};

/* `times` answers to RAFT STATUS: a leader in this term with these members. */
static void show(struct fake_server *server, int times, unsigned term, const char *members)
{
    char text[2000];
    snprintf(
        text, sizeof text,
        "node_id:1\nrole:leader\nterm:%u\nleader_id:1\nleader_ready:yes\nlast_index:9\nmembership:stable\n%s",
        term, members);
    fake_server_add_format(server, "RAFT STATUS", times, "$%zu\r\n%s\r\n", strlen(text), text);
}

static void take(FILE *file, char *text, size_t bytes)
{
    rewind(file);
    text[fread(text, 1, bytes - 1, file)] = '\0';
    fclose(file);
}

static struct ran run_with(struct fake_server *server, struct options options)
{
    static struct ran ran;
    FILE *out = tmpfile(), *errors = tmpfile();
    options.action = OPTIONS_CHANGE;
    options.look_ms = 1;
    options.timeout_ms = options.timeout_ms != 0 ? options.timeout_ms : 20000;
    options.nodes = (struct endpoint_list){.count = 1};
    options.nodes.items[0] = (struct endpoint){.host = "127.0.0.1", .port = fake_server_port(server)};
    ran.exit_code = change_command_run(&options, -1, out, errors);
    take(out, ran.out, sizeof ran.out);
    take(errors, ran.errors, sizeof ran.errors);
    return ran;
}

static struct ran add(struct fake_server *server)
{
    return run_with(server,
                    (struct options){.word = "add", .arguments = {"4", "h:17004"}, .arguments_count = 2});
}

static void answer(struct fake_server *server, const char *command, const char *reply, int times)
{
    fake_server_add(server, &(struct fake_rule){
                                .command = command, .action = FAKE_REPLY, .reply = reply, .times = times});
}

static void a_change_is_followed_until_it_is_done(void **state)
{
    (void)state;
    struct fake_server *server = fake_server_start();
    answer(server, "RAFT ADD", "+OK node 4 is being added\r\n", 0);
    show(server, 1, 4, BEFORE);
    show(server, 1, 4, BEFORE LEARNER);
    show(server, 0, 4, BEFORE VOTER);
    struct ran ran = add(server);
    assert_int_equal(ran.exit_code, EXIT_CODE_OK);
    assert_string_equal(ran.out,
                        "node 4 is being added\n"
                        "node 4 has caught up, and becomes a voter as soon as enough voters are alive\n"
                        "node 4 is a voter. Voters: 1, 4\n");
    assert_string_equal(ran.errors, "");
    assert_int_equal(fake_server_count(server, "RAFT ADD"), 1);
    fake_server_stop(server);
}

static void a_refusal_is_told_with_its_reason(void **state)
{
    (void)state;
    struct fake_server *server = fake_server_start();
    answer(server, "RAFT ADD", "-ERR a cluster has \x1b members\r\n", 0);
    show(server, 0, 4, BEFORE);
    struct ran ran = add(server);
    assert_int_equal(ran.exit_code, EXIT_CODE_SERVER_ERROR);
    assert_string_equal(ran.errors, "kvcli: refused: a cluster has \\x1b members\n");
    assert_int_equal(fake_server_count(server, "RAFT ADD"), 1);
    struct ran json = run_with(server, (struct options){.word = "add",
                                                        .arguments = {"4", "h:17004"},
                                                        .arguments_count = 2,
                                                        .output = OUTPUT_JSON});
    assert_int_equal(json.exit_code, EXIT_CODE_SERVER_ERROR);
    assert_string_equal(json.out,
                        "{\"phase\":\"refused\",\"message\":\"refused: a cluster has \\\\x1b members\"}\n");
    fake_server_stop(server);
}

static void an_answer_that_is_lost_is_looked_for_and_not_asked_for_again(void **state)
{
    (void)state;
    struct fake_server *server = fake_server_start();
    fake_server_add(server, &(struct fake_rule){.command = "RAFT ADD", .action = FAKE_CLOSE});
    show(server, 3, 4, BEFORE); /* it may still be on its way */
    show(server, 1, 5, BEFORE LEARNER);
    show(server, 0, 5, BEFORE VOTER);
    struct ran ran = add(server);
    assert_int_equal(ran.exit_code, EXIT_CODE_OK);
    assert_non_null(strstr(ran.out, "the answer was lost"));
    assert_non_null(strstr(ran.out, "node 4 is a voter"));
    assert_int_equal(fake_server_count(server, "RAFT ADD"), 1);
    fake_server_stop(server);
}

static void what_was_lost_with_a_leader_is_asked_for_again(void **state)
{
    (void)state;
    struct fake_server *server = fake_server_start();
    answer(server, "RAFT ADD", "+OK node 4 is being added\r\n", 0);
    show(server, 1, 4, BEFORE);
    show(server, 1, 4, BEFORE LEARNER); /* by the old leader, who dies with it */
    show(server, 5, 5, BEFORE);
    show(server, 0, 5, BEFORE VOTER);
    struct ran ran = add(server);
    assert_int_equal(ran.exit_code, EXIT_CODE_OK);
    assert_non_null(strstr(ran.out, "node 4 is no member: asking again\n"));
    assert_int_equal(fake_server_count(server, "RAFT ADD"), 2);
    fake_server_stop(server);
}

static void what_somebody_has_undone_is_not(void **state)
{
    (void)state;
    struct fake_server *server = fake_server_start();
    answer(server, "RAFT ADD", "+OK node 4 is being added\r\n", 0);
    show(server, 1, 4, BEFORE);
    show(server, 1, 4, BEFORE LEARNER);
    show(server, 0, 4, BEFORE);
    struct ran ran = add(server);
    assert_int_equal(ran.exit_code, EXIT_CODE_SERVER_ERROR);
    assert_string_equal(ran.errors, "kvcli: not done: node 4 is no member\n");
    assert_int_equal(fake_server_count(server, "RAFT ADD"), 1);
    fake_server_stop(server);
}

static void asked_again_a_refusal_may_mean_that_it_is_done(void **state)
{
    (void)state;
    struct fake_server *server = fake_server_start();
    fake_server_add(server, &(struct fake_rule){.command = "RAFT ADD", .action = FAKE_CLOSE, .times = 1});
    answer(server, "RAFT ADD", "-ERR node 4 is a member already\r\n", 0);
    show(server, 6, 4, BEFORE); /* the first is on its way for long */
    show(server, 0, 4, BEFORE VOTER);
    struct ran ran = add(server);
    assert_int_equal(ran.exit_code, EXIT_CODE_OK);
    assert_int_equal(fake_server_count(server, "RAFT ADD"), 2);
    fake_server_stop(server);
}

static void that_it_was_not_executed_again_says_nothing_of_the_first_time(void **state)
{
    (void)state;
    struct fake_server *server = fake_server_start();
    fake_server_add(server, &(struct fake_rule){.command = "RAFT ADD", .action = FAKE_CLOSE, .times = 1});
    answer(server, "RAFT ADD", "-TRYAGAIN a change of the members is under way\r\n", 0);
    show(server, 6, 4, BEFORE);
    show(server, 0, 4, BEFORE VOTER);
    struct options options = {
        .word = "add", .arguments = {"4", "h:17004"}, .arguments_count = 2, .timeout_ms = 300};
    struct ran ran = run_with(server, options);
    assert_int_equal(ran.exit_code, EXIT_CODE_OK);
    fake_server_stop(server);
}

static void it_is_not_asked_for_for_ever(void **state)
{
    (void)state;
    struct fake_server *server = fake_server_start();
    fake_server_add(server, &(struct fake_rule){.command = "RAFT ADD", .action = FAKE_CLOSE, .times = 1});
    answer(server, "RAFT ADD", "-ERR no quorum\r\n", 0);
    show(server, 0, 4, BEFORE);
    struct ran ran = add(server);
    assert_int_equal(ran.exit_code, EXIT_CODE_SERVER_ERROR);
    assert_string_equal(ran.errors, "kvcli: not done: no quorum\n");
    assert_int_equal(fake_server_count(server, "RAFT ADD"), 4);
    fake_server_stop(server);
}

static void one_may_leave_when_it_is_begun(void **state)
{
    (void)state;
    struct fake_server *server = fake_server_start();
    answer(server, "RAFT REMOVE", "+OK node 4 is being removed\r\n", 0);
    show(server, 0, 4, BEFORE VOTER);
    struct ran ran = run_with(
        server,
        (struct options){.word = "remove", .arguments = {"4"}, .arguments_count = 1, .no_wait = true});
    assert_int_equal(ran.exit_code, EXIT_CODE_OK);
    assert_string_equal(ran.out, "node 4 is being removed\n");
    ran = run_with(server, (struct options){.word = "remove", .arguments = {"four"}, .arguments_count = 1});
    assert_int_equal(ran.exit_code, EXIT_CODE_USAGE);
    assert_int_equal(fake_server_count(server, "RAFT REMOVE"), 1);
    fake_server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_followed_until_it_is_done),
        cmocka_unit_test(a_refusal_is_told_with_its_reason),
        cmocka_unit_test(an_answer_that_is_lost_is_looked_for_and_not_asked_for_again),
        cmocka_unit_test(what_was_lost_with_a_leader_is_asked_for_again),
        cmocka_unit_test(what_somebody_has_undone_is_not),
        cmocka_unit_test(asked_again_a_refusal_may_mean_that_it_is_done),
        cmocka_unit_test(that_it_was_not_executed_again_says_nothing_of_the_first_time),
        cmocka_unit_test(it_is_not_asked_for_for_ever),
        cmocka_unit_test(one_may_leave_when_it_is_begun),
    };
    return cmocka_run_group_tests_name("client/change_command", tests, NULL, NULL);
}
