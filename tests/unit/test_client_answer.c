/* test_client_answer.c: replies as trees. */
#include "answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct answer text_answer(const char *text)
{
    return (struct answer){.type = ANSWER_STRING, .text = strdup(text), .size = strlen(text)};
}

static struct answer pairs_answer(enum answer_type type)
{
    struct answer answer = {.type = type, .count = 3, .elements = calloc(3, sizeof(struct answer))};
    assert_non_null(answer.elements);
    answer.elements[0] = text_answer("Flags");
    answer.elements[1] = text_answer("write");
    answer.elements[2] = text_answer("lonely");
    return answer;
}

static void values_are_found_by_key_in_maps_and_arrays(void **state)
{
    (void)state;
    struct answer array = pairs_answer(ANSWER_ARRAY);
    struct answer map = pairs_answer(ANSWER_MAP);
    assert_ptr_equal(answer_map_find(&array, "flags"), &array.elements[1]);
    assert_ptr_equal(answer_map_find(&map, "flags"), &map.elements[1]);
    assert_null(answer_map_find(&array, "write"));
    assert_null(answer_map_find(&array, "lonely"));
    assert_null(answer_map_find(&array.elements[0], "flags"));
    answer_deinit(&array);
    answer_deinit(&map);
    assert_null(array.elements);
    assert_int_equal(array.type, ANSWER_NIL);
}

static void words_are_compared_whole_and_in_any_case(void **state)
{
    struct answer answer = text_answer("Write");
    struct answer number = {.type = ANSWER_INTEGER};
    (void)state;
    assert_true(answer_is(&answer, "wRITE"));
    assert_false(answer_is(&answer, "writ"));
    assert_false(answer_is(&answer, "writes"));
    assert_false(answer_is(&number, ""));
    assert_true(answer_has_text(&answer));
    assert_false(answer_has_text(&number));
    answer_deinit(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_found_by_key_in_maps_and_arrays),
        cmocka_unit_test(words_are_compared_whole_and_in_any_case),
    };
    return cmocka_run_group_tests_name("client/answer", tests, NULL, NULL);
}
