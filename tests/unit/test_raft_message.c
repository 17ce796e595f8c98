/* test_raft_message.c: what a message from the network must look like. */
#include "raft_fixture.h"
#include "raft_message.h"

static void an_append_needs_consecutive_entries_and_rising_terms(void **state)
{
    (void)state;
    struct raft_entry entries[3] = {
        {.id = {2, 5}, .type = RAFT_ENTRY_COMMANDS},
        {.id = {2, 6}, .type = RAFT_ENTRY_NOOP},
        {.id = {3, 7}, .type = RAFT_ENTRY_COMMANDS},
    };
    struct raft_message good = fixture_message(RAFT_MESSAGE_APPEND, 2, 3);
    good.log = fixture_id(2, 4);
    good.entries = entries;
    good.entries_count = 3;
    assert_true(raft_message_is_well_formed(&good));

    entries[1].id.index = 7; /* a gap */
    assert_false(raft_message_is_well_formed(&good));
    entries[1].id = fixture_id(1, 6); /* the term goes back */
    assert_false(raft_message_is_well_formed(&good));
    entries[1].id = fixture_id(2, 6);
    entries[2].id.term = 4; /* newer than the sender */
    assert_false(raft_message_is_well_formed(&good));
    entries[2].id.term = 3;
    entries[2].type = (enum raft_entry_type)9;
    assert_false(raft_message_is_well_formed(&good));
    entries[2].type = RAFT_ENTRY_NOOP;
    good.log = fixture_id(3, 4); /* the first entry is older than what comes before it */
    assert_false(raft_message_is_well_formed(&good));
    good.log = fixture_id(2, 4);
    assert_true(raft_message_is_well_formed(&good));
    good.entries = NULL;
    assert_false(raft_message_is_well_formed(&good));
}

static void a_configuration_in_an_entry_must_be_valid(void **state)
{
    (void)state;
    struct raft_membership membership = fixture_membership(3);
    struct raft_entry entry = {.id = {2, 5}, .type = RAFT_ENTRY_MEMBERSHIP};
    struct raft_message message = fixture_message(RAFT_MESSAGE_APPEND, 2, 3);
    message.log = fixture_id(2, 4);
    message.entries = &entry;
    message.entries_count = 1;
    assert_false(raft_message_is_well_formed(&message)); /* no payload */
    entry.payload = raft_membership_encode(&membership, (const uint8_t *)"x", 1);
    assert_true(raft_message_is_well_formed(&message));
    entry.payload->bytes[0]++; /* a version that we do not know */
    assert_false(raft_message_is_well_formed(&message));
    entry.payload->bytes[0]--;
    entry.payload->size = 10;
    assert_false(raft_message_is_well_formed(&message));
    raft_payload_unref(entry.payload);
}

static void wild_numbers_are_refused(void **state)
{
    (void)state;
    struct raft_message message = fixture_message(RAFT_MESSAGE_HEARTBEAT, 2, UINT64_MAX);
    assert_false(raft_message_is_well_formed(&message));
    message.term = 1;
    assert_true(raft_message_is_well_formed(&message));
    message.commit = UINT64_MAX;
    assert_false(raft_message_is_well_formed(&message));
    message.commit = 0;
    message.log = fixture_id(1, UINT64_MAX);
    assert_false(raft_message_is_well_formed(&message));
    message.log = fixture_id(0, 5); /* no entry has term 0 */
    assert_false(raft_message_is_well_formed(&message));
    message.log = fixture_id(5, 0);
    assert_false(raft_message_is_well_formed(&message));
}

static void nobody_leads_or_campaigns_in_term_zero(void **state)
{
    (void)state;
    struct raft_message message = fixture_message(RAFT_MESSAGE_APPEND, 2, 0);
    assert_false(raft_message_is_well_formed(&message));
    message.type = RAFT_MESSAGE_VOTE;
    assert_false(raft_message_is_well_formed(&message));
    message.type = RAFT_MESSAGE_PRE_VOTE_RESPONSE; /* a new node refuses in term 0 */
    assert_true(raft_message_is_well_formed(&message));
}

static void only_appends_carry_entries_and_types_are_known(void **state)
{
    (void)state;
    struct raft_entry entry = {.id = {1, 1}, .type = RAFT_ENTRY_NOOP};
    struct raft_message message = fixture_message(RAFT_MESSAGE_HEARTBEAT, 2, 1);
    message.entries = &entry;
    message.entries_count = 1;
    assert_false(raft_message_is_well_formed(&message));
    message.type = RAFT_MESSAGE_READ_INDEX_RESPONSE;
    assert_false(raft_message_is_well_formed(&message));
    message = fixture_message((enum raft_message_type)77, 2, 1);
    assert_false(raft_message_is_well_formed(&message));
    message = fixture_message((enum raft_message_type)0, 2, 1);
    assert_false(raft_message_is_well_formed(&message));
}

static void a_read_index_answer_needs_no_term(void **state)
{
    (void)state;
    struct raft_message message = fixture_message(RAFT_MESSAGE_READ_INDEX_RESPONSE, 2, 1);
    message.log.index = 12;
    assert_true(raft_message_is_well_formed(&message));
}

static void ids_compare_by_term_first(void **state)
{
    (void)state;
    assert_int_equal(raft_entry_id_compare(fixture_id(2, 1), fixture_id(1, 9)), 1);
    assert_int_equal(raft_entry_id_compare(fixture_id(1, 1), fixture_id(1, 2)), -1);
    assert_int_equal(raft_entry_id_compare(fixture_id(1, 2), fixture_id(1, 2)), 0);
}

static void freeing_a_message_drops_its_references(void **state)
{
    (void)state;
    struct raft_payload *payload = raft_payload_create(1);
    struct raft_message message = {.type = RAFT_MESSAGE_APPEND, .entries_count = 1};
    message.entries = calloc(1, sizeof *message.entries);
    message.entries[0].payload = raft_payload_ref(payload);
    raft_message_deinit(&message);
    assert_int_equal(payload->references, 1);
    assert_int_equal(message.entries_count, 0);
    assert_null(message.entries);
    raft_payload_unref(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_append_needs_consecutive_entries_and_rising_terms),
        cmocka_unit_test(a_configuration_in_an_entry_must_be_valid),
        cmocka_unit_test(wild_numbers_are_refused),
        cmocka_unit_test(nobody_leads_or_campaigns_in_term_zero),
        cmocka_unit_test(only_appends_carry_entries_and_types_are_known),
        cmocka_unit_test(a_read_index_answer_needs_no_term),
        cmocka_unit_test(ids_compare_by_term_first),
        cmocka_unit_test(freeing_a_message_drops_its_references),
    };
    return FIXTURE_MAIN(tests);
}
