/* test_replica_members.c: the address book: what it refuses, and that it comes back as it was. */
#include "members.h"

#include "map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct replica_member make_member(uint64_t id, const char *host, uint16_t port)
{
    struct replica_member member = {.node_id = id, .disk_id = id * 1000, .bus_port = port};
    (void)snprintf(member.bus_host, sizeof member.bus_host, "%s", host);
    return member;
}

static struct members make_three(void)
{
    struct members members = {0};
    const struct replica_member list[] = {make_member(7, "fd00::7", 17000), make_member(1, "a", 1),
                                          make_member(3, "node3.example.org", 65535)};
    for (size_t i = 0; i < 3; i++) {
        assert_true(members_put(&members, &list[i]));
    }
    return members;
}

static void test_members_are_kept_by_id(void **state)
{
    (void)state;
    struct members members = make_three();
    assert_int_equal(members.count, 3);
    assert_int_equal(members.list[0].node_id, 1);
    assert_int_equal(members.list[2].node_id, 7);
    struct replica_member other = make_member(3, "b", 9);
    assert_true(members_put(&members, &other));
    assert_int_equal(members.count, 3);
    assert_string_equal(members_find(&members, 3)->bus_host, "b");
    members_remove(&members, 1);
    members_remove(&members, 2);
    assert_int_equal(members.count, 2);
    assert_null(members_find_const(&members, 1));
    assert_int_equal(members.list[0].node_id, 3);
}

static void test_a_full_book_takes_no_more(void **state)
{
    (void)state;
    struct members members = {0};
    for (uint64_t id = 1; id <= RAFT_NODES_MAX; id++) {
        struct replica_member member = make_member(id, "h", 1);
        assert_true(members_put(&members, &member));
    }
    struct replica_member more = make_member(99, "h", 1), known = make_member(5, "k", 1);
    assert_false(members_put(&members, &more));
    assert_true(members_put(&members, &known));
    assert_int_equal(members.count, RAFT_NODES_MAX);
}

static void test_a_book_comes_back_as_it_was(void **state)
{
    (void)state;
    struct members members = make_three(), back;
    members.list[1].goal = MEMBER_GOAL_VOTER;
    members.list[1].replaces = 7;
    members.list[2].disk_id = 0;
    members.list[2].bus_host[0] = '\0'; /* not known */
    members.list[2].bus_port = 0;
    uint8_t bytes[MEMBERS_BYTES_MAX];
    size_t size = members_encode(&members, bytes);
    assert_true(members_decode(bytes, size, &back));
    assert_int_equal(back.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(back.list[i].node_id, members.list[i].node_id);
        assert_int_equal(back.list[i].disk_id, members.list[i].disk_id);
        assert_string_equal(back.list[i].bus_host, members.list[i].bus_host);
        assert_int_equal(back.list[i].bus_port, members.list[i].bus_port);
        assert_int_equal(back.list[i].goal, members.list[i].goal);
        assert_int_equal(back.list[i].replaces, members.list[i].replaces);
    }
}

/* With the largest book the core's part (three lists of ids at most) still fits into the map's meta. */
static void test_the_largest_book_fits_into_the_meta_of_the_map(void **state)
{
    (void)state;
    struct members members = {0};
    char host[BUS_HOST_BYTES_MAX + 1];
    memset(host, 'h', BUS_HOST_BYTES_MAX);
    host[BUS_HOST_BYTES_MAX] = '\0';
    for (uint64_t id = 1; id <= RAFT_NODES_MAX; id++) {
        struct replica_member member = make_member(UINT64_MAX - id, host, 65535);
        assert_true(members_put(&members, &member));
    }
    for (uint64_t i = 1; i <= MEMBERS_REMOVED_MAX; i++) {
        members_remember_removed(&members, i, UINT64_MAX);
    }
    for (uint64_t i = 1; i <= MEMBERS_FORCED_MAX; i++) {
        members_remember_forced(&members, &(struct members_forced){.node_id = i});
    }
    uint8_t bytes[MEMBERS_BYTES_MAX];
    assert_int_equal(members_encode(&members, bytes), MEMBERS_BYTES_MAX);
    assert_true(MEMBERS_BYTES_MAX + 3 * RAFT_NODES_MAX * 8 + 64 <= MAP_MEMBERSHIP_BYTES_MAX);
}

static struct members_forced make_forced(uint64_t number)
{
    return (struct members_forced){
        .time_ms = number, .node_id = 2, .cluster_id = {number, 4}, .last = {5, 6}, .commit = 7};
}

static void test_what_is_remembered_comes_back_in_its_order(void **state)
{
    (void)state;
    struct members members = make_three(), back, copy = {0};
    uint8_t bytes[MEMBERS_BYTES_MAX];
    assert_true(members_decode(bytes, members_encode(&members, bytes), &back));
    assert_int_equal(bytes[0], 1); /* as long as there is nothing, older nodes can read it */
    members_remember_removed(&members, 9, 90);
    members_remember_removed(&members, 4, 40);
    members_remember_removed(&members, 9, 90); /* again */
    const struct members_forced first = make_forced(1), second = make_forced(2);
    members_remember_forced(&members, &first);
    members_remember_forced(&members, &second);
    size_t size = members_encode(&members, bytes);
    assert_int_equal(bytes[0], 2);
    assert_true(members_decode(bytes, size, &back));
    assert_int_equal(back.removed_count, 2);
    assert_int_equal(back.removed[0].node_id, 9);
    assert_true(members_was_removed(&back, 9, 90) && members_was_removed(&back, 4, 40));
    assert_false(members_was_removed(&back, 9, 40)); /* the id may have come back with another disk */
    assert_int_equal(back.forced_count, 2);
    assert_memory_equal(back.forced, members.forced, 2 * sizeof back.forced[0]);
    assert_ptr_equal(members_find_forced(&back, second.cluster_id), &back.forced[1]);
    assert_null(members_find_forced(&back, (const uint64_t[]){4, 4}));
    members_copy_memory(&copy, &back);
    assert_true(copy.count == 0 && copy.removed_count == 2 && copy.forced_count == 2);
    assert_true(members_was_removed(&copy, 4, 40));
}

static void test_the_oldest_is_forgotten_when_there_is_too_much(void **state)
{
    (void)state;
    struct members members = {0};
    for (uint64_t i = 1; i <= MEMBERS_REMOVED_MAX + 3; i++) {
        members_remember_removed(&members, i, i);
    }
    assert_int_equal(members.removed_count, MEMBERS_REMOVED_MAX);
    assert_false(members_was_removed(&members, 3, 3));
    assert_true(members_was_removed(&members, 4, 4));
    assert_true(members_was_removed(&members, MEMBERS_REMOVED_MAX + 3, MEMBERS_REMOVED_MAX + 3));
    for (uint64_t i = 1; i <= MEMBERS_FORCED_MAX + 1; i++) {
        const struct members_forced forced = make_forced(i);
        members_remember_forced(&members, &forced);
    }
    assert_int_equal(members.forced_count, MEMBERS_FORCED_MAX);
    assert_int_equal(members.forced[0].time_ms, 2);
}

static void test_every_cut_and_every_flipped_byte_is_refused_or_harmless(void **state)
{
    (void)state;
    struct members members = make_three(), back;
    const struct members_forced forced = make_forced(1);
    members_remember_removed(&members, 9, 90);
    members_remember_forced(&members, &forced);
    uint8_t bytes[MEMBERS_BYTES_MAX + 1], again[MEMBERS_BYTES_MAX];
    size_t size = members_encode(&members, bytes);
    for (size_t cut = 0; cut < size; cut++) {
        assert_false(members_decode(bytes, cut, &back));
    }
    bytes[size] = 0;
    assert_false(members_decode(bytes, size + 1, &back));
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] = (uint8_t)(bytes[i] ^ (1 << bit));
            if (members_decode(bytes, size, &back)) { /* then it means exactly these bytes */
                assert_int_equal(members_encode(&back, again), size);
                assert_memory_equal(again, bytes, size);
            }
            bytes[i] = (uint8_t)(bytes[i] ^ (1 << bit));
        }
    }
}

static void assert_book_refused(void (*spoil)(struct members *))
{
    struct members members = make_three(), back;
    uint8_t bytes[MEMBERS_BYTES_MAX];
    spoil(&members);
    assert_false(members_decode(bytes, members_encode(&members, bytes), &back));
}

static void spoil_order(struct members *members)
{
    members->list[0].node_id = 3;
}

static void spoil_id(struct members *members)
{
    members->list[0].node_id = 0;
}

static void spoil_goal(struct members *members)
{
    members->list[0].goal = (enum member_goal)2;
}

static void spoil_replaces(struct members *members)
{
    members->list[0].replaces = 3; /* without a goal */
}

static void spoil_host(struct members *members)
{
    members->list[0].bus_host[0] = '\n'; /* it would end up in replies */
}

static void spoil_port(struct members *members)
{
    members->list[0].bus_port = 0;
}

static void test_books_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    assert_book_refused(spoil_order);
    assert_book_refused(spoil_id);
    assert_book_refused(spoil_goal);
    assert_book_refused(spoil_replaces);
    assert_book_refused(spoil_host);
    assert_book_refused(spoil_port);
}

static void test_addresses_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
    } cases[] = {
        {"node4:17000", "node4", 17000},
        {"[fd00::2]:1", "fd00::2", 1},
        {"1.2.3.4:65535", "1.2.3.4", 65535},
        {"node4", NULL, 0},
        {":17000", NULL, 0},
        {"a:", NULL, 0},
        {"a:0", NULL, 0},
        {"a:65536", NULL, 0},
        {"a:1x", NULL, 0},
        {"fd00::2:1", NULL, 0},
        {"a b:1", NULL, 0},
        {"", NULL, 0},
        {"[]:1", NULL, 0},
        {"a:000001", NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char host[BUS_HOST_BYTES_MAX + 1];
        uint16_t port = 0;
        bool good = members_parse_address((const uint8_t *)cases[i].text, strlen(cases[i].text), host, &port);
        assert_int_equal(good, cases[i].host != NULL);
        if (good) {
            assert_string_equal(host, cases[i].host);
            assert_int_equal(port, cases[i].port);
        }
    }
    char text[BUS_HOST_BYTES_MAX + 10], host[BUS_HOST_BYTES_MAX + 1];
    uint16_t port;
    memset(text, 'h', sizeof text);
    memcpy(text + BUS_HOST_BYTES_MAX, ":1", 2);
    assert_true(members_parse_address((const uint8_t *)text, BUS_HOST_BYTES_MAX + 2, host, &port));
    memcpy(text + BUS_HOST_BYTES_MAX, "h:1", 3);
    assert_false(members_parse_address((const uint8_t *)text, BUS_HOST_BYTES_MAX + 3, host, &port));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_are_kept_by_id),
        cmocka_unit_test(test_a_full_book_takes_no_more),
        cmocka_unit_test(test_a_book_comes_back_as_it_was),
        cmocka_unit_test(test_the_largest_book_fits_into_the_meta_of_the_map),
        cmocka_unit_test(test_what_is_remembered_comes_back_in_its_order),
        cmocka_unit_test(test_the_oldest_is_forgotten_when_there_is_too_much),
        cmocka_unit_test(test_every_cut_and_every_flipped_byte_is_refused_or_harmless),
        cmocka_unit_test(test_books_that_make_no_sense_are_refused),
        cmocka_unit_test(test_addresses_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
