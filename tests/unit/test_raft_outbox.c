/* test_raft_outbox.c: what may leave before the disk is done. */
#include "raft_fixture.h"
#include "raft_outbox.h"

static void promises_wait_and_the_rest_does_not(void **state)
{
    (void)state;
    const struct {
        enum raft_message_type type;
        bool reject;
        bool without_hard_state; /* may leave although term and vote are not durable */
    } cases[] = {
        {RAFT_MESSAGE_PRE_VOTE, false, true},
        {RAFT_MESSAGE_PRE_VOTE_RESPONSE, false, true},
        {RAFT_MESSAGE_PRE_VOTE_RESPONSE, true, false}, /* tells the own term */
        {RAFT_MESSAGE_VOTE, false, false},
        {RAFT_MESSAGE_VOTE_RESPONSE, false, false},
        {RAFT_MESSAGE_VOTE_RESPONSE, true, false},
        {RAFT_MESSAGE_APPEND, false, true},
        {RAFT_MESSAGE_APPEND_RESPONSE, false, false},
        {RAFT_MESSAGE_APPEND_RESPONSE, true, false},
        {RAFT_MESSAGE_HEARTBEAT, false, true},
        {RAFT_MESSAGE_HEARTBEAT_RESPONSE, false, false},
        {RAFT_MESSAGE_TIMEOUT_NOW, false, true},
        {RAFT_MESSAGE_READ_INDEX, false, false},
        {RAFT_MESSAGE_READ_INDEX_RESPONSE, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct raft_message message = fixture_message(cases[i].type, 2, 1);
        message.reject = cases[i].reject;
        assert_int_equal(raft_outbox_may_leave(&message, false, 100), cases[i].without_hard_state);
        assert_true(raft_outbox_may_leave(&message, true, 100));
    }
}

static void an_acknowledgement_waits_for_its_entries(void **state)
{
    (void)state;
    struct raft_message message = fixture_message(RAFT_MESSAGE_APPEND_RESPONSE, 2, 1);
    message.log = fixture_id(1, 7);
    assert_false(raft_outbox_may_leave(&message, true, 6));
    assert_true(raft_outbox_may_leave(&message, true, 7));
    message.reject = true;
    assert_true(raft_outbox_may_leave(&message, true, 6));
}

static void splitting_keeps_the_order_and_empties_the_box(void **state)
{
    (void)state;
    struct raft_outbox outbox = {0};
    for (uint64_t i = 1; i <= 20; i++) {
        struct raft_message message = {
            .type = i % 2 == 0 ? RAFT_MESSAGE_VOTE_RESPONSE : RAFT_MESSAGE_HEARTBEAT,
            .from = 1,
            .to = 2,
            .round = i,
        };
        raft_outbox_push(&outbox, &message);
    }
    struct raft_ready ready = {0};
    raft_outbox_split(&outbox, false, 0, &ready);
    assert_int_equal(outbox.count, 0);
    assert_int_equal(ready.messages_now_count, 10);
    assert_int_equal(ready.messages_after_persist_count, 10);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(ready.messages_now[i].round, 2 * i + 1);
        assert_int_equal(ready.messages_after_persist[i].round, 2 * i + 2);
    }
    raft_ready_deinit(&ready);
    raft_outbox_deinit(&outbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promises_wait_and_the_rest_does_not),
        cmocka_unit_test(an_acknowledgement_waits_for_its_entries),
        cmocka_unit_test(splitting_keeps_the_order_and_empties_the_box),
    };
    return FIXTURE_MAIN(tests);
}
