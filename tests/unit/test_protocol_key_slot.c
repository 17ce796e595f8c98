/* test_protocol_key_slot.c: expected slots are those of CLUSTER KEYSLOT of redis-server 7.0.15. */
#include "key_slot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int slot_of(const char *key)
{
    return key_slot((const uint8_t *)key, strlen(key));
}

static void slots_are_those_of_redis(void **state)
{
    (void)state;
    assert_int_equal(slot_of(""), 0);
    assert_int_equal(slot_of("a"), 15495);
    assert_int_equal(slot_of("foo"), 12182);
    assert_int_equal(slot_of("123456789"), 12739);
    assert_int_equal(slot_of("user1000"), 3443);
    assert_int_equal(slot_of("{user1000}.following"), 3443);
    assert_int_equal(slot_of("foo{}{bar}"), 8363);
    assert_int_equal(slot_of("foo{{bar}}zap"), 4015);
    assert_int_equal(slot_of("foo{bar}{zap}"), 5061);
    assert_int_equal(slot_of("}{"), 12793);
    assert_int_equal(slot_of("{"), 4092);
    assert_int_equal(slot_of("key with blanks"), 1101);
    assert_int_equal(slot_of("hello"), 866);
}

static void the_first_tag_that_is_not_empty_decides(void **state)
{
    (void)state;
    assert_int_equal(slot_of("{user1000}.following"), slot_of("user1000"));
    assert_int_equal(slot_of("foo{bar}{zap}"), slot_of("bar"));
    assert_int_equal(slot_of("foo{{bar}}zap"), slot_of("{bar"));
    assert_int_not_equal(slot_of("foo{}{bar}"), slot_of("bar"));
    assert_int_not_equal(slot_of("foo{bar"), slot_of("bar"));
}

static void any_bytes_may_be_in_a_key(void **state)
{
    (void)state;
    const uint8_t key[] = {0, 255, '{', 0, '}', 10};
    assert_int_equal(key_slot(key, sizeof key), key_slot(key + 3, 1));
    assert_int_equal(key_slot(NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_those_of_redis),
        cmocka_unit_test(the_first_tag_that_is_not_empty_decides),
        cmocka_unit_test(any_bytes_may_be_in_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
