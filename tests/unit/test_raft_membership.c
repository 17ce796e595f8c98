/* test_raft_membership.c: who is in the cluster, as a value and as bytes. */
#include "raft_fixture.h"

static struct raft_membership joint_example(void)
{
    return (struct raft_membership){
        .voters_count = 3,
        .voters = {2, 3, 4},
        .outgoing_count = 3,
        .outgoing = {1, 2, 3},
        .learners_count = 2,
        .learners = {1, 9}, /* 1 is to be a learner once C_new has come */
    };
}

static void members_are_kept_in_order_whatever_the_order_of_adding(void **state)
{
    (void)state;
    struct raft_membership membership = {0};
    const raft_node_id ids[] = {7, 3, UINT64_MAX, 5, 1};
    for (size_t i = 0; i < 5; i++)
        assert_true(raft_membership_set(&membership, ids[i], RAFT_MEMBER_VOTER));
    const raft_node_id expected[] = {1, 3, 5, 7, UINT64_MAX};
    assert_int_equal(membership.voters_count, 5);
    assert_memory_equal(membership.voters, expected, sizeof expected);
    assert_true(raft_membership_is_valid(&membership));

    assert_true(raft_membership_set(&membership, 5, RAFT_MEMBER_LEARNER));
    assert_int_equal(raft_membership_find(&membership, 5), RAFT_MEMBER_LEARNER);
    assert_true(raft_membership_set(&membership, 5, RAFT_MEMBER_LEARNER)); /* twice does no harm */
    assert_int_equal(membership.learners_count, 1);
    assert_true(raft_membership_set(&membership, 5, RAFT_MEMBER_NONE));
    assert_int_equal(raft_membership_find(&membership, 5), RAFT_MEMBER_NONE);
    assert_true(raft_membership_set(&membership, 5, RAFT_MEMBER_NONE));
    assert_false(raft_membership_set(&membership, RAFT_NODE_NONE, RAFT_MEMBER_VOTER));
    assert_int_equal(membership.voters_count, 4);
}

static void there_is_room_for_so_many_of_all_kinds_together(void **state)
{
    (void)state;
    struct raft_membership membership = {0};
    for (raft_node_id id = 1; id <= RAFT_NODES_MAX; id++)
        assert_true(
            raft_membership_set(&membership, id, id % 2 == 0 ? RAFT_MEMBER_VOTER : RAFT_MEMBER_LEARNER));
    struct raft_membership before = membership;
    assert_false(raft_membership_set(&membership, 99, RAFT_MEMBER_LEARNER));
    assert_true(raft_membership_equals(&membership, &before));
    assert_true(raft_membership_set(&membership, 1, RAFT_MEMBER_VOTER)); /* who is in may change */
    assert_true(raft_membership_set(&membership, 98, RAFT_MEMBER_NONE));
    assert_true(raft_membership_is_valid(&membership));

    membership.outgoing_count = 1;
    membership.outgoing[0] = 1;
    assert_true(raft_membership_is_valid(&membership));
    membership.outgoing[0] = 99; /* one too many with those that leave */
    assert_false(raft_membership_is_valid(&membership));
}

static void a_member_is_listed_once_whatever_its_parts(void **state)
{
    (void)state;
    struct raft_membership joint = joint_example();
    raft_node_id ids[RAFT_NODES_MAX];
    const raft_node_id expected[] = {1, 2, 3, 4, 9};
    assert_true(raft_membership_is_joint(&joint));
    assert_int_equal(raft_membership_list(&joint, ids), 5);
    assert_memory_equal(ids, expected, sizeof expected);
    assert_int_equal(raft_membership_find(&joint, 1), RAFT_MEMBER_OUTGOING);
    assert_int_equal(raft_membership_find(&joint, 2), RAFT_MEMBER_VOTER);
    assert_int_equal(raft_membership_find(&joint, 9), RAFT_MEMBER_LEARNER);
    assert_int_equal(raft_membership_find(&joint, 5), RAFT_MEMBER_NONE);
    struct raft_membership none = {0};
    assert_int_equal(raft_membership_list(&none, ids), 0);
}

static void what_is_no_configuration_is_invalid(void **state)
{
    (void)state;
    struct raft_membership m = joint_example();
    assert_true(raft_membership_is_valid(&m));
    m.voters_count = 0;
    assert_false(raft_membership_is_valid(&m));
    m = joint_example();
    m.voters[1] = 2; /* a double */
    assert_false(raft_membership_is_valid(&m));
    m = joint_example();
    m.outgoing[0] = 5; /* out of order */
    assert_false(raft_membership_is_valid(&m));
    m = joint_example();
    m.learners[0] = RAFT_NODE_NONE;
    assert_false(raft_membership_is_valid(&m));
    m = joint_example();
    m.learners[0] = 3; /* a voter of C_new */
    assert_false(raft_membership_is_valid(&m));
    m = joint_example();
    m.learners_count = RAFT_NODES_MAX + 1;
    assert_false(raft_membership_is_valid(&m));
}

static void the_bytes_are_these(void **state)
{
    (void)state;
    struct raft_membership m = {
        .voters_count = 1, .voters = {0x0102030405060708}, .learners_count = 1, .learners = {9}};
    struct raft_payload *payload = raft_membership_encode(&m, (const uint8_t *)"where", 5);
    const uint8_t expected[] = {1, 1, 0, 1, 8, 7, 6, 5,   4,   3,   2,   1,  9,
                                0, 0, 0, 0, 0, 0, 0, 'w', 'h', 'e', 'r', 'e'};
    assert_int_equal(payload->size, sizeof expected);
    assert_memory_equal(payload->bytes, expected, sizeof expected);
    struct raft_membership decoded;
    uint32_t offset;
    assert_true(raft_membership_decode(payload->bytes, payload->size, &decoded, &offset));
    assert_true(raft_membership_equals(&m, &decoded));
    assert_int_equal(offset, 20);
    raft_payload_unref(payload);
}

static void bytes_that_are_cut_short_are_refused_wherever_that_is(void **state)
{
    (void)state;
    struct raft_membership m = joint_example();
    struct raft_membership decoded;
    uint32_t offset;
    struct raft_payload *payload = raft_membership_encode(&m, (const uint8_t *)"xyz", 3);
    uint32_t header = raft_membership_header_bytes(&m);
    assert_int_equal(payload->size, header + 3);
    for (uint32_t size = 0; size < header; size++) {
        uint8_t *exact = malloc(size + 1); /* so that the sanitizer sees a read beyond it */
        assert_non_null(exact);
        uint8_t *end = realloc(exact, size == 0 ? 1 : size);
        assert_non_null(end);
        memcpy(end, payload->bytes, size);
        assert_false(raft_membership_decode(end, size, &decoded, &offset));
        free(end);
    }
    for (uint32_t size = header; size <= header + 3; size++)
        assert_true(raft_membership_decode(payload->bytes, size, &decoded, &offset)); /* opaque */
    raft_payload_unref(payload);
}

static void what_is_too_long_is_refused(void **state)
{
    (void)state;
    struct raft_membership m = fixture_membership(3);
    uint32_t most = RAFT_MEMBERSHIP_BYTES_MAX - raft_membership_header_bytes(&m);
    uint8_t *opaque = calloc(1, most + 1);
    assert_non_null(opaque);
    struct raft_payload *payload = raft_membership_encode(&m, opaque, most);
    struct raft_membership decoded;
    uint32_t offset;
    assert_true(raft_membership_decode(payload->bytes, payload->size, &decoded, &offset));
    payload = raft_payload_grow(payload, payload->size + 1);
    payload->bytes[payload->size++] = 0;
    assert_false(raft_membership_decode(payload->bytes, payload->size, &decoded, &offset));
    raft_payload_unref(payload);
    free(opaque);
}

/* Whatever is accepted is valid and goes back to the same bytes; nearly everything is refused. */
static void any_bytes_at_all(void **state)
{
    (void)state;
    uint64_t random = 7;
    uint32_t accepted = 0;
    for (int round = 0; round < 200000; round++) {
        uint8_t bytes[200];
        for (size_t i = 0; i < sizeof bytes; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (uint8_t)(random >> 60 == 0 ? random >> 33 : 0);
        }
        bytes[0] = 1;
        bytes[1] &= 31;
        bytes[2] &= 31;
        bytes[3] &= 31;
        for (uint32_t i = 0; i < 20; i++) /* mostly rising */
            bytes[4 + 8 * i] = (uint8_t)(i + 1 + (random >> (i + 20)) % 2);
        struct raft_membership decoded;
        uint32_t offset = 0;
        if (!raft_membership_decode(bytes, sizeof bytes, &decoded, &offset))
            continue;
        accepted++;
        assert_true(raft_membership_is_valid(&decoded));
        struct raft_payload *again =
            raft_membership_encode(&decoded, bytes + offset, (uint32_t)sizeof bytes - offset);
        assert_int_equal(again->size, sizeof bytes);
        assert_memory_equal(again->bytes, bytes, sizeof bytes);
        raft_payload_unref(again);
    }
    assert_true(accepted > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_kept_in_order_whatever_the_order_of_adding),
        cmocka_unit_test(there_is_room_for_so_many_of_all_kinds_together),
        cmocka_unit_test(a_member_is_listed_once_whatever_its_parts),
        cmocka_unit_test(what_is_no_configuration_is_invalid),
        cmocka_unit_test(the_bytes_are_these),
        cmocka_unit_test(bytes_that_are_cut_short_are_refused_wherever_that_is),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(any_bytes_at_all),
    };
    return FIXTURE_MAIN(tests);
}
