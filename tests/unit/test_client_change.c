/* test_client_change.c: what a change wants, and how far it is by what a leader shows. */
#include "change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STABLE   "membership:stable\n"
#define CHANGING "membership:changing\nmembership_index:9\n"
#define JOINT    "membership:joint\nmembership_index:9\n"
#define VOTER_1                                                                                              \
    "member_1:host=a,port=1,bus_host=h1,bus_port=17001,active=yes,progress=replicate,match=500,kind=voter\n"
#define VOTER_2                                                                                              \
    "member_2:host=a,port=2,bus_host=h2,bus_port=17002,active=yes,progress=replicate,match=500,kind=voter\n"
#define OUTGOING_2        "member_2:bus_host=h2,bus_port=17002,active=yes,kind=outgoing\n"
#define VOTER_4           "member_4:bus_host=h4,active=yes,progress=replicate,match=500,kind=voter\n"
#define LEARNER_4(fields) "member_4:bus_host=h4,bus_port=17004,kind=learner," fields "\n"

static struct change parse(const char *word, const char *first, const char *second, const char *third)
{
    const char *arguments[] = {first, second, third};
    struct change change;
    char error[200];
    int count = first == NULL ? 0 : second == NULL ? 1 : third == NULL ? 2 : 3;
    if (!change_parse(&change, word, arguments, count, error, sizeof error)) {
        fail_msg("%s: %s", word, error);
    }
    return change;
}

/* The leader is node 1, in term 5, with 500 entries. */
static struct change_view judge(struct change change, const char *lines)
{
    char text[3000];
    struct node_status status;
    struct change_view view;
    snprintf(text, sizeof text, "node_id:1\nrole:leader\nterm:5\nlast_index:500\n%s", lines);
    assert_true(node_status_parse(&status, text, strlen(text)));
    change_judge(&change, &status, &view);
    return view;
}

static void expect(struct change change, const char *lines, enum change_state state, const char *phase,
                   const char *words)
{
    struct change_view view = judge(change, lines);
    if (view.state != state || strcmp(view.phase, phase) != 0 || strstr(view.text, words) == NULL) {
        fail_msg("state %d, phase %s: %s", (int)view.state, view.phase, view.text);
    }
}

static void arguments_are_checked_before_anybody_is_asked(void **state)
{
    static const char *const wrong[][4] = {
        {"add", "0", "h:1", NULL},
        {"add", "x", "h:1", NULL},
        {"add", "4", "h", NULL},
        {"add", "4", ":1", NULL},
        {"add", "4", "h:1", "both"},
        {"remove", "-1", NULL, NULL},
        {"remove", "9999999999999999999", NULL, NULL},
        {"replace", "1", "x", "h:1"},
        {"replace", "1", "2", "h"},
        {"address", "2", "h:0", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *const *words = wrong[i];
        struct change change;
        char error[200] = "";
        int count = words[2] == NULL ? 1 : words[3] == NULL ? 2 : 3;
        assert_false(change_parse(&change, words[0], words + 1, count, error, sizeof error));
        assert_true(error[0] != '\0');
    }
    struct change change = parse("replace", "1", "4", "[::1]:17004");
    assert_int_equal(change.kind, CHANGE_REPLACE);
    assert_int_equal(change.id, 1);
    assert_int_equal(change.new_id, 4);
    assert_string_equal(change.address.host, "::1");
    assert_true(parse("add", "4", "h:1", "Learner").stays_learner);
    assert_false(parse("add", "4", "h:1", "voter").stays_learner);
    assert_int_equal(parse("transfer", NULL, NULL, NULL).id, 0);
}

static void a_node_that_is_added_goes_through_its_phases(void **state)
{
    (void)state;
    struct change add = parse("add", "4", "h4:17004", NULL);
    expect(add, STABLE VOTER_1, CHANGE_NOT_BEGUN, "absent", "node 4 is no member");
    expect(add, CHANGING VOTER_1 LEARNER_4("goal=join"), CHANGE_UNDER_WAY, "committing", "entry 9");
    expect(add, STABLE VOTER_1 LEARNER_4("goal=join"), CHANGE_UNDER_WAY, "waiting", "start it with --id 4");
    expect(add, STABLE VOTER_1 LEARNER_4("goal=voter,progress=probe"), CHANGE_UNDER_WAY, "unreachable",
           "nothing");
    expect(add, STABLE VOTER_1 LEARNER_4("goal=voter,progress=snapshot,active=yes"), CHANGE_UNDER_WAY,
           "snapshot", "is being begun");
    expect(add,
           STABLE VOTER_1 LEARNER_4(
               "goal=voter,progress=snapshot,active=yes,snapshot_keys=250,snapshot_keys_total="
               "1000,snapshot_bytes=1048576"),
           CHANGE_UNDER_WAY, "snapshot", "25% of 1000 keys, 1.0 MiB");
    expect(add,
           STABLE VOTER_1 LEARNER_4(
               "goal=voter,progress=snapshot,active=yes,snapshot_keys=1000,snapshot_keys_total="
               "1000,snapshot_bytes=4194304"),
           CHANGE_UNDER_WAY, "loading", "has all of the snapshot (1000 keys, 4.0 MiB)");
    expect(add, STABLE VOTER_1 LEARNER_4("goal=voter,progress=replicate,active=yes,match=100"),
           CHANGE_UNDER_WAY, "catching-up", "entry 100 of 500, 400 behind");
    expect(add, STABLE VOTER_1 LEARNER_4("goal=voter,progress=replicate,active=yes,match=499"),
           CHANGE_UNDER_WAY, "caught-up", "has caught up");
    expect(add, JOINT VOTER_1 VOTER_4, CHANGE_UNDER_WAY, "joint", "old and new voters");
    expect(add, STABLE VOTER_4 VOTER_1, CHANGE_DONE, "done", "node 4 is a voter. Voters: 1, 4");
}

static void a_learner_that_stays_one_is_done_when_it_has_caught_up(void **state)
{
    (void)state;
    struct change add = parse("add", "4", "h4:17004", "learner");
    expect(add, STABLE VOTER_1 LEARNER_4("goal=join"), CHANGE_UNDER_WAY, "waiting", "has not come");
    expect(add, STABLE VOTER_1 LEARNER_4("goal=,progress=replicate,active=yes,match=10"), CHANGE_UNDER_WAY,
           "catching-up", "490 behind");
    expect(add, STABLE VOTER_1 LEARNER_4("goal=,progress=replicate,active=yes,match=500"), CHANGE_DONE,
           "done", "is a learner, and has caught up. Voters: 1");
}

static void a_promotion_shows_in_the_goal(void **state)
{
    (void)state;
    struct change promote = parse("promote", "4", NULL, NULL);
    expect(promote, STABLE VOTER_1 LEARNER_4("goal=,active=yes,progress=replicate,match=500"),
           CHANGE_NOT_BEGUN, "learner", "stay a learner");
    expect(promote, STABLE VOTER_1 LEARNER_4("goal=voter,active=yes,progress=replicate,match=500"),
           CHANGE_UNDER_WAY, "caught-up", "caught up");
    expect(promote, STABLE VOTER_1 VOTER_4, CHANGE_DONE, "done", "is a voter");
}

static void a_removal_is_done_when_the_member_is_gone(void **state)
{
    (void)state;
    struct change removal = parse("remove", "2", NULL, NULL);
    expect(removal, STABLE VOTER_1 VOTER_2, CHANGE_NOT_BEGUN, "member", "node 2 is a member");
    expect(removal, JOINT VOTER_1 OUTGOING_2, CHANGE_UNDER_WAY, "joint", "entry 9");
    expect(removal, CHANGING VOTER_1, CHANGE_UNDER_WAY, "committing", "entry 9");
    expect(removal, STABLE VOTER_1, CHANGE_DONE, "done", "no member any more. Voters: 1");
}

static void a_replacement_is_done_when_one_is_there_and_the_other_gone(void **state)
{
    (void)state;
    struct change replace = parse("replace", "2", "4", "h4:17004");
    expect(replace, STABLE VOTER_1 VOTER_2, CHANGE_NOT_BEGUN, "absent", "node 4 is no member");
    expect(replace, STABLE VOTER_1 VOTER_2 LEARNER_4("goal=voter"), CHANGE_NOT_BEGUN, "learner",
           "not to replace");
    expect(replace, STABLE VOTER_1 VOTER_2 LEARNER_4("goal=replace-3"), CHANGE_NOT_BEGUN, "learner",
           "not to replace node 2");
    expect(replace, STABLE VOTER_1 VOTER_2 LEARNER_4("goal=join"), CHANGE_UNDER_WAY, "waiting",
           "has not come");
    expect(replace, STABLE VOTER_1 VOTER_2 LEARNER_4("goal=replace-2,active=yes,progress=replicate,match=3"),
           CHANGE_UNDER_WAY, "catching-up", "497 behind");
    expect(replace, JOINT VOTER_1 OUTGOING_2 VOTER_4, CHANGE_UNDER_WAY, "joint", "entry 9");
    expect(replace, STABLE VOTER_1 VOTER_2 VOTER_4, CHANGE_PREVENTED, "prevented",
           "another change came between");
    expect(replace, STABLE VOTER_1 VOTER_4, CHANGE_DONE, "done", "taken the place of node 2. Voters: 1, 4");
}

static void an_address_is_compared(void **state)
{
    (void)state;
    struct change address = parse("address", "2", "h2:17002", NULL);
    expect(address, STABLE VOTER_1 VOTER_2, CHANGE_DONE, "done", "node 2 is reached at h2:17002");
    expect(address, CHANGING VOTER_1 VOTER_2, CHANGE_UNDER_WAY, "committing", "entry 9");
    expect(address, STABLE VOTER_1, CHANGE_PREVENTED, "absent", "no member");
    address = parse("address", "2", "h2:17003", NULL);
    expect(address, STABLE VOTER_1 VOTER_2, CHANGE_NOT_BEGUN, "elsewhere", "is reached at h2:17002");
}

static void a_transfer_is_done_when_another_leads(void **state)
{
    (void)state;
    struct change transfer = parse("transfer", NULL, NULL, NULL);
    transfer.leader_id_before = 1;
    expect(transfer, STABLE, CHANGE_NOT_BEGUN, "leads", "node 1 leads still");
    expect(transfer, STABLE "transferee:2\n", CHANGE_UNDER_WAY, "transferring", "hands over to node 2");
    transfer.leader_id_before = 3;
    expect(transfer, STABLE, CHANGE_DONE, "done", "node 1 leads, in term 5");
    struct change to = parse("transfer", "2", NULL, NULL);
    to.leader_id_before = 3;
    expect(to, STABLE, CHANGE_PREVENTED, "prevented", "node 1 leads now");
    to.leader_id_before = 1;
    expect(to, STABLE, CHANGE_NOT_BEGUN, "leads", "still");
    to = parse("transfer", "1", NULL, NULL);
    to.leader_id_before = 3;
    expect(to, STABLE, CHANGE_DONE, "done", "node 1 leads");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_checked_before_anybody_is_asked),
        cmocka_unit_test(a_node_that_is_added_goes_through_its_phases),
        cmocka_unit_test(a_learner_that_stays_one_is_done_when_it_has_caught_up),
        cmocka_unit_test(a_promotion_shows_in_the_goal),
        cmocka_unit_test(a_removal_is_done_when_the_member_is_gone),
        cmocka_unit_test(a_replacement_is_done_when_one_is_there_and_the_other_gone),
        cmocka_unit_test(an_address_is_compared),
        cmocka_unit_test(a_transfer_is_done_when_another_leads),
    };
    return cmocka_run_group_tests_name("client/change", tests, NULL, NULL);
}
