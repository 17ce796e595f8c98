/* test_raft_payload.c: reference-counted bytes. Leaks and early frees show under the sanitizers. */
#include "raft_fixture.h"

static void a_payload_lives_until_its_last_reference(void **state)
{
    (void)state;
    struct raft_payload *payload = raft_payload_create(4);
    assert_int_equal(payload->references, 1);
    assert_int_equal(payload->size, 0);
    assert_int_equal(payload->capacity, 4);
    assert_ptr_equal(raft_payload_ref(payload), payload);
    raft_payload_unref(payload);
    assert_int_equal(payload->references, 1);
    raft_payload_unref(payload);
}

static void growing_keeps_the_bytes_and_never_shrinks(void **state)
{
    (void)state;
    struct raft_payload *payload = raft_payload_create(3);
    memcpy(payload->bytes, "abc", 3);
    payload->size = 3;
    payload = raft_payload_grow(payload, 5000);
    assert_int_equal(payload->capacity, 5000);
    assert_int_equal(payload->size, 3);
    assert_memory_equal(payload->bytes, "abc", 3);
    payload = raft_payload_grow(payload, 10);
    assert_int_equal(payload->capacity, 5000);
    raft_payload_unref(payload);
}

static void null_is_no_payload(void **state)
{
    (void)state;
    assert_null(raft_payload_ref(NULL));
    raft_payload_unref(NULL);
    struct raft_entry entry = {0};
    assert_int_equal(raft_entry_bytes(&entry), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payload_lives_until_its_last_reference),
        cmocka_unit_test(growing_keeps_the_bytes_and_never_shrinks),
        cmocka_unit_test(null_is_no_payload),
    };
    return FIXTURE_MAIN(tests);
}
