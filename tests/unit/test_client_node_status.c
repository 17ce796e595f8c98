/* test_client_node_status.c: the lines of RAFT STATUS. */
#include "node_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void the_lines_are_read(void **state)
{
    static const char text[] =
        "node_id:2\nrole:leader\nterm:7\nvote:2\nleader_id:2\nleader_address:127.0.0.1:7001\ncommit_index:"
        "100\n"
        "applied_index:99\nlast_index:101\ndurable_index:98\nfirst_index:1\ncluster_id:abc\ndisk_id:d\n"
        "leader_ready:yes\ntransferee:3\nmembership_index:77\nmembership:joint\n"
        "key_count:5\ndigest:00ff\nuptime_ms:12345\nversion:0.1.0\nnews:1\n"
        "low_space:yes\nlow_space_nodes:2\ndigest_differs:1,3\ndamage:log entry 7: wrong checksum\n"
        "member_2:host=127.0.0.1,port=7001,bus_host=b,bus_port=17001,self=yes,connected=yes,progress=unknown,"
        "match=0,active=no\n"
        "member_1:host=fe80::1,port=7000,bus_host=b,bus_port=17000,connected=no,progress=replicate,match=97,"
        "next=98,active=yes,kind=learner,goal=replace-2,snapshot_keys=5,snapshot_keys_total=9,snapshot_bytes="
        "700\n"
        "member_3:host=,port=0,connected=no\n";
    struct node_status status;
    (void)state;
    assert_true(node_status_parse(&status, text, sizeof text - 1));
    assert_int_equal(status.node_id, 2);
    assert_string_equal(status.role, "leader");
    assert_int_equal(status.term, 7);
    assert_int_equal(status.commit_index, 100);
    assert_int_equal(status.applied_index, 99);
    assert_int_equal(status.uptime_ms, 12345);
    assert_string_equal(status.digest, "00ff");
    assert_string_equal(status.version, "0.1.0");
    assert_int_equal(status.members_count, 3);
    assert_int_equal(status.members[0].id, 2);
    assert_true(status.members[0].connected);
    assert_false(status.members[0].progress_known);
    assert_string_equal(status.members[1].address.host, "fe80::1");
    assert_int_equal(status.members[1].address.port, 7000);
    assert_string_equal(status.members[1].progress, "replicate");
    assert_int_equal(status.members[1].match_index, 97);
    assert_true(status.members[1].active);
    assert_int_equal(status.members[2].address.port, 0);
    assert_true(status.leader_ready);
    assert_int_equal(status.transferee, 3);
    assert_int_equal(status.membership_index, 77);
    assert_string_equal(status.membership, "joint");
    assert_string_equal(status.members[1].bus.host, "b");
    assert_int_equal(status.members[1].bus.port, 17000);
    assert_string_equal(status.members[1].kind, "learner");
    assert_string_equal(status.members[1].goal, "replace-2");
    assert_int_equal(status.members[1].snapshot_keys, 5);
    assert_int_equal(status.members[1].snapshot_keys_total, 9);
    assert_int_equal(status.members[1].snapshot_bytes, 700);
    assert_string_equal(status.members[2].kind, "");
    assert_ptr_equal(node_status_find_member(&status, 1), &status.members[1]);
    assert_null(node_status_find_member(&status, 4));
    assert_true(status.low_space);
    assert_string_equal(status.damage, "log entry 7: wrong checksum");
    assert_int_equal(status.differing_count, 2);
    assert_true(node_status_names_differing(&status, 1));
    assert_false(node_status_names_differing(&status, 2));
    assert_true(node_status_names_differing(&status, 3));
}

static void nothing_found_is_nothing(void **state)
{
    static const char text[] = "node_id:1\nrole:leader\nlow_space:no\ndigest_differs:\ndamage:\n";
    struct node_status status;
    (void)state;
    assert_true(node_status_parse(&status, text, sizeof text - 1));
    assert_false(status.low_space);
    assert_string_equal(status.damage, "");
    assert_int_equal(status.differing_count, 0);
}

static void line_ends_may_be_either(void **state)
{
    static const char text[] = "node_id:1\r\nrole:follower";
    struct node_status status;
    (void)state;
    assert_true(node_status_parse(&status, text, sizeof text - 1));
    assert_string_equal(status.role, "follower");
}

static void other_texts_are_refused(void **state)
{
    static const char *const wrong[] = {
        "", "\n\n", "OK", "role:leader\n", "node_id:1\n", "node_id:x\nrole:leader\n", ":\n:", "node_id"};
    struct node_status status;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(node_status_parse(&status, wrong[i], strlen(wrong[i])));
    }
}

static void hostile_values_are_cut_and_cleaned(void **state)
{
    char text[4000] = "node_id:1\nrole:\033[2Jlead\ncommit_index:99999999999999999999999\nversion:";
    struct node_status status;
    (void)state;
    memset(text + strlen(text), 'v', 1000);
    strcat(text, "\nmember_9:host=");
    memset(text + strlen(text), 'h', 1000);
    strcat(text, ",port=99999,,=,x\nmember_:host=a,port=1\nmember_x:host=a,port=1\n");
    strcat(text, "digest_differs:,x,,0");
    for (int i = 1; i <= 50; i++) {
        strcat(text, ",7");
    }
    strcat(text, "\ndamage:a\033\x80 b");
    memset(text + strlen(text), 'd', 1000);
    assert_true(node_status_parse(&status, text, strlen(text)));
    assert_string_equal(status.role, "?[2Jlead");
    assert_true(status.commit_index == UINT64_MAX);
    assert_int_equal(strlen(status.version), NODE_STATUS_WORD_BYTES_MAX - 1);
    assert_int_equal(status.members_count, 1);
    assert_int_equal(status.members[0].address.port, 0);
    assert_int_equal(status.differing_count, NODE_STATUS_MEMBERS_MAX);
    assert_memory_equal(status.damage, "a?? bddd", 8);
    assert_int_equal(strlen(status.damage), NODE_STATUS_TEXT_BYTES_MAX - 1);
}

static void members_are_bounded(void **state)
{
    char text[4000] = "node_id:1\nrole:leader\n";
    struct node_status status;
    (void)state;
    for (int i = 1; i <= 50; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "member_%d:host=a,port=%d\n", i, i);
    }
    assert_true(node_status_parse(&status, text, strlen(text)));
    assert_int_equal(status.members_count, NODE_STATUS_MEMBERS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lines_are_read),      cmocka_unit_test(line_ends_may_be_either),
        cmocka_unit_test(other_texts_are_refused), cmocka_unit_test(hostile_values_are_cut_and_cleaned),
        cmocka_unit_test(members_are_bounded),     cmocka_unit_test(nothing_found_is_nothing),
    };
    return cmocka_run_group_tests_name("client/node_status", tests, NULL, NULL);
}
