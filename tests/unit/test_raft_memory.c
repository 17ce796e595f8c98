/* test_raft_memory.c: growing arrays of the core. */
#include "raft_fixture.h"
#include "raft_memory.h"

static void allocated_memory_is_zeroed_and_none_is_null(void **state)
{
    (void)state;
    uint64_t *items = raft_memory_allocate(100, sizeof *items);
    for (int i = 0; i < 100; i++)
        assert_int_equal(items[i], 0);
    free(items);
    assert_null(raft_memory_allocate(0, 8));
}

static void reserving_keeps_items_and_doubles(void **state)
{
    (void)state;
    uint32_t *items = NULL;
    uint32_t capacity = 0;
    uint32_t moves = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t before = capacity;
        items = raft_memory_reserve(items, &capacity, i + 1, sizeof *items);
        moves += capacity != before;
        assert_true(capacity > i);
        items[i] = i;
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    assert_true(moves <= 10);
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocated_memory_is_zeroed_and_none_is_null),
        cmocka_unit_test(reserving_keeps_items_and_doubles),
    };
    return FIXTURE_MAIN(tests);
}
