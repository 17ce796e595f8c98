/* test_sim_key_model.c: what each operation does to a key and answers; then a long random walk beside the
 * plain model of sim_history.h, and what answers say of the states before and after.
 */
#include "key_inference.h"
#include "sim_history.h"
#include "storage_testing.h"

static struct key_bytes bytes_of(const char *text)
{
    return (struct key_bytes){(const uint8_t *)text, strlen(text)};
}

/* Everything matters, and these values have been shown. */
static struct key_values *create_values(void)
{
    static const char *const SEEN[] = {"a", "b", "ab", "abc", "abd", "12x", "5", "hello"};
    struct key_bytes seen[sizeof SEEN / sizeof SEEN[0]];
    for (size_t i = 0; i < sizeof SEEN / sizeof SEEN[0]; i++) {
        seen[i] = bytes_of(SEEN[i]);
    }
    const struct key_values_options options = {.seen = seen,
                                               .seen_count = sizeof SEEN / sizeof SEEN[0],
                                               .integers_matter = true,
                                               .sizes_matter = true};
    return key_values_create(&options);
}

static int with_values(void **state)
{
    *state = create_values();
    return 0;
}

static int without_values(void **state)
{
    key_values_destroy(*state);
    return 0;
}

static struct key_value value(void **state, const char *text)
{
    return key_values_find(*state, bytes_of(text));
}

static void assert_value(struct key_value actual, struct key_value wanted)
{
    assert_true(key_value_equal(actual, wanted));
}

struct case_of {
    struct key_state key;
    struct key_reply reply;
};

static struct case_of apply(void **state, const struct key_state *before, struct history_operation operation,
                            const char *text)
{
    if (text != NULL) {
        operation.bytes = bytes_of(text).bytes;
        operation.size = bytes_of(text).size;
    }
    const struct key_operation model = key_model_operation(*state, &operation);
    struct case_of result;
    result.key = key_model_apply(*state, before, &model, &result.reply);
    return result;
}

static struct key_state holding(void **state, const char *text)
{
    struct key_state key = KEY_STATE_ABSENT;
    key.value = value(state, text);
    return key;
}

static struct key_state expiring(void **state, const char *text)
{
    struct key_state key = holding(state, text);
    key.expiry_earliest_us = 100;
    key.expiry_latest_us = 200;
    return key;
}

/* ---- values ---- */

static void a_value_has_one_form(void **state)
{
    assert_value(key_values_append(*state, value(state, "a"), bytes_of("b")), value(state, "ab"));
    assert_value(key_values_append(*state, value(state, "ab"), bytes_of("d")), value(state, "abd"));
    assert_value(key_values_append(*state, value(state, "1"), bytes_of("2")), key_values_integer(12));
    assert_value(key_values_append(*state, value(state, "12"), bytes_of("x")), value(state, "12x"));
    assert_value(key_values_append(*state, value(state, "-"), bytes_of("7")), key_values_integer(-7));
    assert_value(key_values_append(*state, value(state, ""), bytes_of("5")), value(state, "5"));
    assert_int_equal(value(state, "hel").kind, KEY_VALUE_SEEN);
    assert_false(key_value_equal(value(state, "hel"), value(state, "hell")));
}

static void values_that_no_answer_shows_differ_in_their_size_only(void **state)
{
    assert_value(value(state, "unseen"), value(state, "hidden"));
    assert_false(key_value_equal(value(state, "unseen"), value(state, "unseen!")));
    assert_value(key_values_append(*state, value(state, "ab"), bytes_of("zz")), value(state, "none"));
    assert_int_equal(key_value_size(value(state, "unseen")), 6);
    assert_int_equal(key_value_size(key_values_integer(-120)), 4);
}

static void integers_are_strict(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "", "-", "+1", "01", "-0", " 1", "1 ", "1.0", "9223372036854775808", "-9223372036854775809", "0x1"};
    int64_t number;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_false(key_bytes_parse_integer(bytes_of(BAD[i]), &number));
    }
    assert_true(key_bytes_parse_integer(bytes_of("-9223372036854775808"), &number));
    assert_true(number == INT64_MIN);
    assert_true(key_bytes_parse_integer(bytes_of("9223372036854775807"), &number));
    assert_true(number == INT64_MAX);
    assert_true(key_bytes_parse_integer(bytes_of("0"), &number));
    assert_true(number == 0);
}

/* ---- operations ---- */

static void set_drops_the_expiry_unless_it_is_told_to_keep_it(void **state)
{
    const struct key_state before = expiring(state, "a");
    struct case_of plain = apply(state, &before, (struct history_operation){.kind = HISTORY_SET}, "b");
    const struct key_state without = holding(state, "b");
    assert_true(key_state_equal(&plain.key, &without));
    assert_int_equal(plain.reply.kind, HISTORY_OK);
    struct case_of kept = apply(
        state, &before, (struct history_operation){.kind = HISTORY_SET, .options = HISTORY_KEEPTTL}, "b");
    const struct key_state with = expiring(state, "b");
    assert_true(key_state_equal(&kept.key, &with));
}

static void set_nx_and_xx_refuse_with_nil_or_the_old_value(void **state)
{
    const struct key_state absent = KEY_STATE_ABSENT, present = expiring(state, "a");
    struct history_operation nx = {.kind = HISTORY_SET, .options = HISTORY_NX};
    struct history_operation xx = {.kind = HISTORY_SET, .options = HISTORY_XX};
    struct case_of refused = apply(state, &present, nx, "b");
    assert_int_equal(refused.reply.kind, HISTORY_NIL);
    assert_true(key_state_equal(&refused.key, &present));
    assert_int_equal(apply(state, &absent, nx, "b").reply.kind, HISTORY_OK);
    assert_int_equal(apply(state, &absent, xx, "b").reply.kind, HISTORY_NIL);
    assert_int_equal(apply(state, &present, xx, "b").reply.kind, HISTORY_OK);
    nx.options |= HISTORY_RETURN_OLD;
    refused = apply(state, &present, nx, "b");
    assert_int_equal(refused.reply.kind, HISTORY_BYTES);
    assert_value(refused.reply.value, value(state, "a"));
    assert_true(key_state_equal(&refused.key, &present));
    struct case_of done = apply(state, &absent, nx, "b");
    assert_int_equal(done.reply.kind, HISTORY_NIL);
    assert_value(done.key.value, value(state, "b"));
}

static void incrby_counts_keeps_the_expiry_and_refuses_what_is_no_integer(void **state)
{
    const struct history_operation add = {.kind = HISTORY_INCRBY, .delta = -7};
    const struct key_state absent = KEY_STATE_ABSENT, five = expiring(state, "5"), text = holding(state, "a");
    assert_int_equal(apply(state, &absent, add, NULL).reply.integer, -7);
    struct case_of counted = apply(state, &five, add, NULL);
    const struct key_state wanted = expiring(state, "-2");
    assert_true(key_state_equal(&counted.key, &wanted));
    struct case_of refused = apply(state, &text, add, NULL);
    assert_int_equal(refused.reply.kind, HISTORY_ERROR);
    assert_true(key_state_equal(&refused.key, &text));
    const struct key_state small = holding(state, "-9223372036854775808");
    assert_int_equal(apply(state, &small, add, NULL).reply.kind, HISTORY_ERROR);
    const struct key_state empty = holding(state, "");
    assert_int_equal(apply(state, &empty, add, NULL).reply.kind, HISTORY_ERROR);
}

static void append_keeps_the_expiry_and_getset_drops_it(void **state)
{
    const struct key_state before = expiring(state, "a"), absent = KEY_STATE_ABSENT;
    struct case_of appended = apply(state, &before, (struct history_operation){.kind = HISTORY_APPEND}, "b");
    const struct key_state wanted = expiring(state, "ab");
    assert_true(key_state_equal(&appended.key, &wanted));
    assert_int_equal(appended.reply.integer, 2);
    struct case_of swapped = apply(state, &before, (struct history_operation){.kind = HISTORY_GETSET}, "b");
    const struct key_state plain = holding(state, "b");
    assert_true(key_state_equal(&swapped.key, &plain));
    assert_value(swapped.reply.value, value(state, "a"));
    struct case_of created = apply(state, &absent, (struct history_operation){.kind = HISTORY_APPEND}, "");
    assert_int_equal(created.reply.integer, 0);
    assert_value(created.key.value, value(state, ""));
}

static void ttl_persist_and_expire_see_the_expiry(void **state)
{
    const struct key_state absent = KEY_STATE_ABSENT, plain = holding(state, "a"),
                           with = expiring(state, "a");
    const struct history_operation ttl = {.kind = HISTORY_TTL}, persist = {.kind = HISTORY_PERSIST};
    const struct history_operation expire = {
        .kind = HISTORY_EXPIRE, .expiry_earliest_us = 100, .expiry_latest_us = 200};
    assert_int_equal(apply(state, &absent, ttl, NULL).reply.integer, -2);
    assert_int_equal(apply(state, &plain, ttl, NULL).reply.integer, -1);
    assert_true(apply(state, &with, ttl, NULL).reply.integer >= 0);
    assert_int_equal(apply(state, &absent, persist, NULL).reply.integer, 0);
    assert_int_equal(apply(state, &plain, persist, NULL).reply.integer, 0);
    struct case_of persisted = apply(state, &with, persist, NULL);
    assert_int_equal(persisted.reply.integer, 1);
    assert_true(key_state_equal(&persisted.key, &plain));
    struct case_of expires = apply(state, &plain, expire, NULL);
    assert_int_equal(expires.reply.integer, 1);
    assert_true(key_state_equal(&expires.key, &with));
    assert_int_equal(apply(state, &absent, expire, NULL).reply.integer, 0);
    const struct key_operation model = key_model_operation(*state, &ttl);
    const struct key_reply some = {.kind = HISTORY_INTEGER, .integer = 0};
    const struct key_reply seconds = {.kind = HISTORY_INTEGER, .integer = 77};
    const struct key_reply none = {.kind = HISTORY_INTEGER, .integer = -1};
    assert_true(key_model_reply_matches(&model, &some, &seconds));
    assert_false(key_model_reply_matches(&model, &some, &none));
    assert_false(key_model_reply_matches(&model, &none, &seconds));
}

/* ---- at random ---- */

/* Of the model's state and the plain one, which hold the same. */
static void assert_same(const struct key_values *values, const struct key_state *key,
                        const struct plain_key *plain)
{
    struct key_value wanted = {.kind = KEY_VALUE_ABSENT};
    if (plain->present) {
        wanted = key_values_find(values, (struct key_bytes){plain->bytes, plain->size});
    }
    assert_value(key->value, wanted);
    assert_int_equal(key->expiry_earliest_us != KEY_NO_EXPIRY, plain->has_expiry);
    if (plain->has_expiry) {
        assert_true(key->expiry_earliest_us == plain->expiry_earliest_us &&
                    key->expiry_latest_us == plain->expiry_latest_us);
    }
}

static bool fits(const struct key_need *need, const struct key_state *before)
{
    const bool is_absent = before->value.kind == KEY_VALUE_ABSENT;
    switch (need->kind) {
    case KEY_NEED_NOTHING:
    case KEY_NEED_ANYTHING:
        return true;
    case KEY_NEED_ABSENT:
        return is_absent;
    case KEY_NEED_PRESENT:
        return !is_absent;
    case KEY_NEED_VALUE:
        return key_value_equal(before->value, need->value) || (need->or_absent && is_absent);
    case KEY_NEED_SIZE:
        return key_value_size(before->value) == need->size;
    }
    abort();
}

static bool is_product(const struct key_values *values, const struct key_operation *model,
                       const struct key_product *product, struct key_value made)
{
    switch (product->kind) {
    case KEY_PRODUCT_NONE:
        return false;
    case KEY_PRODUCT_VALUE:
        return key_value_equal(product->value, made);
    case KEY_PRODUCT_ANY_INTEGER:
        return made.kind == KEY_VALUE_INTEGER;
    case KEY_PRODUCT_ANY_END:
        return made.kind == KEY_VALUE_OPAQUE ||
               ((product->size == 0 || key_value_size(made) == product->size) &&
                key_values_ends(values, made, model->bytes));
    }
    abort();
}

static void assert_inferences(const struct key_values *values, const struct key_operation *model,
                              const struct key_state *before, const struct key_reply *reply,
                              const struct key_state *after)
{
    for (int known = 0; known < 2; known++) {
        const struct key_reply *received = known == 1 ? reply : NULL;
        const struct key_need need = key_inference_need(model, received);
        const struct key_product product = key_inference_product(model, received);
        assert_true(fits(&need, before));
        if (after->value.kind != KEY_VALUE_ABSENT && !key_value_equal(after->value, before->value)) {
            assert_true(is_product(values, model, &product, after->value));
        }
    }
    if (key_inference_is_observer(model, reply)) {
        assert_true(key_state_equal(before, after));
    } else if (key_inference_is_overwriter(model)) {
        assert_false(after->value.kind != KEY_VALUE_ABSENT && !key_value_equal(after->value, model->value));
    }
}

static void the_model_walks_beside_the_plain_one(void **state)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        const struct sim_history_options options = {.seed = seed,
                                                    .count = 200,
                                                    .clients_count = 1,
                                                    .slot_us = 10,
                                                    .read_percent = 20,
                                                    .with_counters = true,
                                                    .with_appends = true,
                                                    .with_expiry = true,
                                                    .with_conditions = true,
                                                    .small_values = true};
        struct sim_history history;
        struct plain_key plain = {0};
        struct key_state key = KEY_STATE_ABSENT;
        sim_history_draw(&history, &options);
        for (size_t i = 0; i < history.count; i++) {
            struct history_operation *operation = &history.operations[i];
            const struct key_operation model = key_model_operation(*state, operation);
            struct plain_reply plain_reply;
            struct key_reply reply;
            if (plain.size > PLAIN_BYTES_MAX / 2) {
                plain = (struct plain_key){0};
                key = KEY_STATE_ABSENT;
            }
            const struct key_state before = key;
            plain_key_apply(&plain, operation, &plain_reply);
            key = key_model_apply(*state, &key, &model, &reply);
            assert_same(*state, &key, &plain);
            sim_history_answer(&history, operation, &plain_reply);
            operation->outcome = HISTORY_DONE;
            const struct key_reply received = key_model_received(*state, operation);
            assert_true(key_model_reply_matches(&model, &reply, &received));
            assert_inferences(*state, &model, &before, &received, &key);
        }
        sim_history_deinit(&history);
    }
}

#define with(test) cmocka_unit_test_setup_teardown(test, with_values, without_values)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(a_value_has_one_form),
        with(values_that_no_answer_shows_differ_in_their_size_only),
        with(integers_are_strict),
        with(set_drops_the_expiry_unless_it_is_told_to_keep_it),
        with(set_nx_and_xx_refuse_with_nil_or_the_old_value),
        with(incrby_counts_keeps_the_expiry_and_refuses_what_is_no_integer),
        with(append_keeps_the_expiry_and_getset_drops_it),
        with(ttl_persist_and_expire_see_the_expiry),
        with(the_model_walks_beside_the_plain_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
