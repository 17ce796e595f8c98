/* test_replica_bus_codec.c: frames of the bus, whole, in pieces, and broken in every way we can think of. */
#include "bus_frame.h"

#include <stdlib.h>

/* ---- helpers --------------------------------------------------------------------------------- */

static struct raft_payload *payload_of(const void *bytes, uint32_t size)
{
    struct raft_payload *payload = raft_payload_create(size);

    memcpy(payload->bytes, bytes, size);
    payload->size = size;
    return payload;
}

static struct bus_message append_message(void)
{
    struct bus_message message = {.type = BUS_MESSAGE_RAFT, .wall_clock_ms = 1700000000123};
    struct raft_message *raft = &message.raft;

    raft->type = RAFT_MESSAGE_APPEND;
    raft->from = 1;
    raft->to = 2;
    raft->term = 9;
    raft->log = (struct raft_entry_id){.term = 7, .index = 41};
    raft->commit = 40;
    raft->round = 77;
    raft->entries_count = 3;
    raft->entries = calloc(3, sizeof *raft->entries);
    raft->entries[0] = (struct raft_entry){{7, 42}, RAFT_ENTRY_COMMANDS, payload_of("one", 3)};
    raft->entries[1] = (struct raft_entry){{9, 43}, RAFT_ENTRY_NOOP, NULL};
    raft->entries[2] = (struct raft_entry){{9, 44}, RAFT_ENTRY_COMMANDS, payload_of("", 0)};
    return message;
}

/* ---- what is said is understood -------------------------------------------------------------- */

static void an_append_with_entries_comes_back_whole(void **state)
{
    struct byte_buffer frame = bus_frame_encode(append_message());
    struct bus_message message;

    (void)state;
    assert_int_equal(bus_frame_decode(&frame, &message), BUS_CODEC_MESSAGE);
    assert_int_equal(message.type, BUS_MESSAGE_RAFT);
    assert_int_equal(message.wall_clock_ms, 1700000000123);
    const struct raft_message *raft = &message.raft;

    assert_int_equal(raft->type, RAFT_MESSAGE_APPEND);
    assert_int_equal(raft->from, 1);
    assert_int_equal(raft->to, 2);
    assert_int_equal(raft->term, 9);
    assert_int_equal(raft->log.term, 7);
    assert_int_equal(raft->log.index, 41);
    assert_int_equal(raft->commit, 40);
    assert_int_equal(raft->round, 77);
    assert_false(raft->reject);
    assert_false(raft->force);
    assert_int_equal(raft->entries_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(raft->entries[i].id.index, 42 + i);
    }
    assert_int_equal(raft->entries[0].id.term, 7);
    assert_int_equal(raft->entries[1].id.term, 9);
    assert_int_equal(raft->entries[0].payload->size, 3);
    assert_int_equal(raft->entries[0].payload->references, 1);
    assert_memory_equal(raft->entries[0].payload->bytes, "one", 3);
    assert_int_equal(raft->entries[1].type, RAFT_ENTRY_NOOP);
    assert_null(raft->entries[1].payload);
    assert_non_null(raft->entries[2].payload);
    assert_int_equal(raft->entries[2].payload->size, 0);
    bus_message_deinit(&message);
    byte_buffer_deinit(&frame);
}

static void every_raft_message_type_and_flag_comes_back(void **state)
{
    (void)state;
    for (int type = RAFT_MESSAGE_PRE_VOTE; type <= RAFT_MESSAGE_READ_INDEX_RESPONSE; type++) {
        for (int flags = 0; flags < 4; flags++) {
            struct bus_message sent = {.type = BUS_MESSAGE_RAFT, .wall_clock_ms = 5}, got;

            sent.raft = (struct raft_message){.type = (enum raft_message_type)type,
                                              .from = UINT64_MAX,
                                              .to = 3,
                                              .term = UINT64_MAX,
                                              .log = {1, UINT64_MAX},
                                              .hint = {4, 5},
                                              .commit = 6,
                                              .round = 7,
                                              .reject = (flags & 1) != 0,
                                              .force = (flags & 2) != 0};
            struct byte_buffer frame = bus_frame_encode(sent);

            assert_int_equal(bus_frame_decode(&frame, &got), BUS_CODEC_MESSAGE);
            assert_int_equal(got.raft.type, sent.raft.type);
            assert_int_equal(got.raft.from, sent.raft.from);
            assert_int_equal(got.raft.term, sent.raft.term);
            assert_int_equal(got.raft.log.index, sent.raft.log.index);
            assert_int_equal(got.raft.hint.term, 4);
            assert_int_equal(got.raft.hint.index, 5);
            assert_int_equal(got.raft.commit, 6);
            assert_int_equal(got.raft.round, 7);
            assert_int_equal(got.raft.reject, sent.raft.reject);
            assert_int_equal(got.raft.force, sent.raft.force);
            assert_null(got.raft.entries);
            byte_buffer_deinit(&frame);
        }
    }
}

static struct bus_message snapshot_begin_message(uint32_t membership_bytes)
{
    struct bus_message message = {.type = BUS_MESSAGE_SNAPSHOT_BEGIN};

    message.snapshot_begin.upto = (struct raft_entry_id){.term = 3, .index = UINT64_MAX};
    message.snapshot_begin.keys_count = 77;
    if (membership_bytes > 0) {
        message.snapshot_begin.membership = raft_payload_create(membership_bytes);
        memset(message.snapshot_begin.membership->bytes, 'm', membership_bytes);
        message.snapshot_begin.membership->size = membership_bytes;
    }
    return message;
}

static void announcements_of_snapshots_come_back(void **state)
{
    static const uint32_t sizes[] = {0, 1, RAFT_MEMBERSHIP_BYTES_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct byte_buffer frame = bus_frame_encode(snapshot_begin_message(sizes[i]));
        struct bus_message got;

        assert_int_equal(bus_frame_decode(&frame, &got), BUS_CODEC_MESSAGE);
        assert_int_equal(got.snapshot_begin.upto.term, 3);
        assert_true(got.snapshot_begin.upto.index == UINT64_MAX);
        assert_int_equal(got.snapshot_begin.keys_count, 77);
        assert_int_equal(got.snapshot_begin.membership == NULL, sizes[i] == 0);
        if (sizes[i] > 0) {
            assert_int_equal(got.snapshot_begin.membership->size, sizes[i]);
            assert_int_equal(got.snapshot_begin.membership->bytes[sizes[i] - 1], 'm');
        }
        bus_message_deinit(&got);
        byte_buffer_deinit(&frame);
    }
    struct byte_buffer frame = bus_frame_encode(snapshot_begin_message(9));

    bus_frame_body(&frame)[24] = 10; /* one more than there are */
    bus_frame_expect_refused(&frame);
    frame = bus_frame_encode(snapshot_begin_message(RAFT_MEMBERSHIP_BYTES_MAX));
    byte_buffer_append(&frame, "m", 1);
    bus_frame_body(&frame)[24] = 1; /* over the limit, and there */
    bus_frame_expect_refused(&frame);
}

static void ends_of_snapshots_come_back(void **state)
{
    (void)state;
    for (int ok = 0; ok < 2; ok++) {
        struct bus_message sent = {.type = BUS_MESSAGE_SNAPSHOT_END}, got;

        sent.snapshot_end.ok = ok == 1;
        strcpy(sent.snapshot_end.reason, "why");
        struct byte_buffer frame = bus_frame_encode(sent);

        assert_int_equal(bus_frame_decode(&frame, &got), BUS_CODEC_MESSAGE);
        assert_int_equal(got.snapshot_end.ok, ok == 1);
        assert_string_equal(got.snapshot_end.reason, "why");
        bus_frame_body(&frame)[0] = 2;
        bus_frame_expect_refused(&frame);
    }
}

static struct bus_message join_answer_message(enum bus_join_step step)
{
    struct bus_message message = {.type = BUS_MESSAGE_JOIN_ANSWER};

    message.join_answer = (struct bus_join_answer){.step = step, .cluster_id = {5, 6}};
    strcpy(message.join_answer.reason, "because");
    if (step == BUS_JOIN_ASK) {
        strcpy(message.join_answer.bus_host, "node2");
        message.join_answer.bus_port = 17001;
    }
    return message;
}

static void answers_to_those_that_join_come_back(void **state)
{
    (void)state;
    for (int step = BUS_JOIN_ADDED; step <= BUS_JOIN_ASK; step++) {
        struct bus_message sent = join_answer_message((enum bus_join_step)step), got;
        struct byte_buffer frame = bus_frame_encode(sent);

        assert_int_equal(bus_frame_decode(&frame, &got), BUS_CODEC_MESSAGE);
        assert_int_equal(got.type, BUS_MESSAGE_JOIN_ANSWER);
        assert_int_equal(got.join_answer.step, step);
        assert_int_equal(got.join_answer.cluster_id[1], 6);
        assert_string_equal(got.join_answer.bus_host, sent.join_answer.bus_host);
        assert_int_equal(got.join_answer.bus_port, sent.join_answer.bus_port);
        assert_string_equal(got.join_answer.reason, "because");
        byte_buffer_deinit(&frame);
    }
}

static void strange_answers_to_those_that_join_are_refused(void **state)
{
    struct byte_buffer frame;

    (void)state;
    for (int step = 0; step <= 4; step += 4) {
        frame = bus_frame_encode(join_answer_message(BUS_JOIN_WAIT));
        bus_frame_body(&frame)[0] = (uint8_t)step;
        bus_frame_expect_refused(&frame);
    }
    frame = bus_frame_encode(join_answer_message(BUS_JOIN_WAIT));
    bus_frame_body(&frame)[0] = BUS_JOIN_ASK; /* whom? */
    bus_frame_expect_refused(&frame);
    frame = bus_frame_encode(join_answer_message(BUS_JOIN_ASK));
    bus_frame_body(&frame)[0] = BUS_JOIN_WAIT;
    bus_frame_expect_refused(&frame);
    frame = bus_frame_encode(join_answer_message(BUS_JOIN_ASK));
    bus_frame_body(&frame)[19] = '\n'; /* in the host */
    bus_frame_expect_refused(&frame);
    frame = bus_frame_encode(join_answer_message(BUS_JOIN_WAIT));
    bus_frame_body(&frame)[21] = 200; /* a reason that is not there */
    bus_frame_expect_refused(&frame);
}

static void refusals_proofs_and_formation_come_back(void **state)
{
    struct bus_message sent = {.type = BUS_MESSAGE_REFUSED}, got;

    (void)state;
    sent.refused.code = BUS_REFUSAL_DISK;
    strcpy(sent.refused.reason, "another\r\ndisk");
    struct byte_buffer frame = bus_frame_encode(sent);

    assert_int_equal(bus_frame_decode(&frame, &got), BUS_CODEC_MESSAGE);
    assert_int_equal(got.refused.code, BUS_REFUSAL_DISK);
    assert_string_equal(got.refused.reason, "another??disk");
    byte_buffer_deinit(&frame);

    sent = (struct bus_message){.type = BUS_MESSAGE_PROOF};
    memset(sent.proof, 0xab, sizeof sent.proof);
    frame = bus_frame_encode(sent);
    assert_int_equal(bus_frame_decode(&frame, &got), BUS_CODEC_MESSAGE);
    assert_memory_equal(got.proof, sent.proof, BUS_PROOF_BYTES);
    byte_buffer_deinit(&frame);

    sent = (struct bus_message){.type = BUS_MESSAGE_FORMATION};
    sent.formation = (struct bus_formation){BUS_FORMATION_COMMIT, {1, 2}, 2, {{1, 100}, {2, 200}}};
    frame = bus_frame_encode(sent);
    assert_int_equal(bus_frame_decode(&frame, &got), BUS_CODEC_MESSAGE);
    assert_int_equal(got.formation.step, BUS_FORMATION_COMMIT);
    assert_int_equal(got.formation.members_count, 2);
    assert_int_equal(got.formation.members[1].disk_id, 200);
    byte_buffer_deinit(&frame);
}

static void a_frame_in_pieces_is_understood_when_its_last_byte_is_there(void **state)
{
    struct byte_buffer frame = bus_frame_encode(append_message());
    size_t size = byte_buffer_size(&frame);

    (void)state;
    for (size_t have = 0; have < size; have++) {
        /* A copy of just these bytes, so that a sanitizer sees any step beyond them. */
        uint8_t *piece = malloc(have + 1);
        struct bus_message message;
        size_t consumed = 0, wanted = 0;

        memcpy(piece, byte_buffer_front(&frame), have);
        assert_int_equal(bus_codec_decode(piece, have, BUS_FRAME_BYTES_MAX, &message, &consumed, &wanted),
                         BUS_CODEC_NEED_MORE);
        assert_int_equal(wanted, have < BUS_FRAME_HEADER_BYTES ? BUS_FRAME_HEADER_BYTES : size);
        free(piece);
    }
    byte_buffer_deinit(&frame);
}

static void two_frames_in_a_row_are_taken_one_by_one(void **state)
{
    struct bus_message first = append_message(), second = bus_frame_hello(), got;
    struct byte_buffer frames = {0};
    size_t consumed = 0, wanted = 0;

    (void)state;
    bus_codec_encode(&frames, &first);
    size_t first_size = byte_buffer_size(&frames);

    bus_codec_encode(&frames, &second);
    assert_int_equal(bus_codec_decode(byte_buffer_front(&frames), byte_buffer_size(&frames),
                                      BUS_FRAME_BYTES_MAX, &got, &consumed, &wanted),
                     BUS_CODEC_MESSAGE);
    assert_int_equal(consumed, first_size);
    bus_message_deinit(&got);
    byte_buffer_consume(&frames, consumed);
    assert_int_equal(bus_frame_decode(&frames, &got), BUS_CODEC_MESSAGE);
    assert_int_equal(got.type, BUS_MESSAGE_HELLO);
    bus_message_deinit(&first);
    byte_buffer_deinit(&frames);
}

/* ---- what is not understood is refused ------------------------------------------------------- */

static void a_changed_bit_anywhere_is_noticed(void **state)
{
    struct byte_buffer frame = bus_frame_encode(append_message());
    size_t size = byte_buffer_size(&frame);

    (void)state;
    for (size_t bit = 0; bit < size * 8; bit++) {
        struct bus_message message;
        uint8_t *byte = frame.bytes + frame.start + bit / 8;

        *byte ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(bus_frame_decode(&frame, &message), BUS_CODEC_MESSAGE);
        *byte ^= (uint8_t)(1u << bit % 8);
    }
    byte_buffer_deinit(&frame);
}

static void garbage_is_refused_at_its_first_wrong_byte(void **state)
{
    struct bus_message message;
    size_t consumed = 0, wanted = 0;

    (void)state;
    assert_int_equal(bus_codec_decode((const uint8_t *)"G", 1, 100, &message, &consumed, &wanted),
                     BUS_CODEC_ERROR);
    assert_int_equal(bus_codec_decode((const uint8_t *)"kvdX", 4, 100, &message, &consumed, &wanted),
                     BUS_CODEC_ERROR);
    assert_int_equal(bus_codec_decode((const uint8_t *)"kv", 2, 100, &message, &consumed, &wanted),
                     BUS_CODEC_NEED_MORE);
}

static void a_body_over_the_limit_is_refused_before_it_arrives(void **state)
{
    struct byte_buffer frame = bus_frame_encode(append_message());
    struct bus_message message;
    size_t consumed = 0, wanted = 0;
    size_t body_bytes = byte_buffer_size(&frame) - BUS_FRAME_HEADER_BYTES;

    (void)state;
    assert_int_equal(bus_codec_decode(byte_buffer_front(&frame), BUS_FRAME_HEADER_BYTES, body_bytes - 1,
                                      &message, &consumed, &wanted),
                     BUS_CODEC_ERROR);
    assert_int_equal(bus_codec_decode(byte_buffer_front(&frame), BUS_FRAME_HEADER_BYTES, body_bytes, &message,
                                      &consumed, &wanted),
                     BUS_CODEC_NEED_MORE);
    byte_buffer_deinit(&frame);
}

static void bytes_that_follow_a_message_in_its_frame_are_refused(void **state)
{
    struct bus_message messages[] = {
        append_message(),
        bus_frame_hello(),
        {.type = BUS_MESSAGE_PROOF},
        {.type = BUS_MESSAGE_REFUSED, .refused = {BUS_REFUSAL_DISK, "x"}},
        {.type = BUS_MESSAGE_FORMATION, .formation = {.step = BUS_FORMATION_PROPOSE}}};

    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        struct byte_buffer frame = bus_frame_encode(messages[i]);

        byte_buffer_append(&frame, "", 1);
        bus_frame_expect_refused(&frame);
    }
}

static void a_body_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct byte_buffer whole = bus_frame_encode(kind == 0 ? append_message() : bus_frame_hello());
        size_t size = byte_buffer_size(&whole);

        for (size_t cut = BUS_FRAME_HEADER_BYTES; cut < size; cut++) {
            struct byte_buffer frame = {0};

            byte_buffer_append(&frame, byte_buffer_front(&whole), cut);
            bus_frame_expect_refused(&frame);
        }
        byte_buffer_deinit(&whole);
    }
}

static void an_unknown_frame_type_is_refused(void **state)
{
    (void)state;
    for (uint8_t type = 0; type < 9; type = type == 0 ? 7 : (uint8_t)(type + 1)) {
        struct byte_buffer frame = bus_frame_encode((struct bus_message){.type = BUS_MESSAGE_PROOF});

        frame.bytes[frame.start + 16] = type;
        bus_frame_expect_refused(&frame);
    }
}

static void raft_enums_out_of_range_are_refused(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
        {8, 0},      {8, 12},     {8, 255}, /* message type */
        {9, 4},                             /* an unknown flag */
        {10, 1},                            /* not zero */
        {16, 0},                            /* from nobody */
        {24, 0},                            /* to nobody */
        {88 + 8, 0}, {88 + 8, 4},           /* entry type */
    };

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct byte_buffer frame = bus_frame_encode(append_message());

        bus_frame_body(&frame)[changes[i].at] = changes[i].value;
        bus_frame_expect_refused(&frame);
    }
}

static void a_count_of_entries_that_is_not_there_allocates_nothing(void **state)
{
    (void)state;
    for (int count = 0; count < 5; count++) {
        static const uint32_t counts[] = {2, 4, 1000, 0x0fffffff, UINT32_MAX};
        struct byte_buffer frame = bus_frame_encode(append_message());

        memcpy(bus_frame_body(&frame) + 12, &counts[count], 4);
        bus_frame_expect_refused(&frame);
    }
}

static void entries_in_other_messages_than_appends_are_refused(void **state)
{
    struct byte_buffer frame = bus_frame_encode(append_message());

    (void)state;
    bus_frame_body(&frame)[8] = RAFT_MESSAGE_HEARTBEAT;
    bus_frame_expect_refused(&frame);
}

static void terms_that_go_back_or_beyond_the_senders_are_refused(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
        {88, 6},          /* the first entry is older than the one before it */
        {88, 10},         /* ... or newer than the leader */
        {88 + 16 + 3, 6}, /* the second entry goes back */
        {32, 8},          /* the leader's term is below its entries' */
    };

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct byte_buffer frame = bus_frame_encode(append_message());

        bus_frame_body(&frame)[changes[i].at] = changes[i].value;
        bus_frame_expect_refused(&frame);
    }
}

static void a_noop_with_a_payload_is_refused(void **state)
{
    struct byte_buffer frame = bus_frame_encode(append_message());

    (void)state;
    bus_frame_body(&frame)[88 + 8] = RAFT_ENTRY_NOOP; /* the first one has three bytes */
    bus_frame_expect_refused(&frame);
}

static void an_index_that_would_overflow_is_refused(void **state)
{
    struct byte_buffer frame = bus_frame_encode(append_message());

    (void)state;
    memset(bus_frame_body(&frame) + 48, 0xff, 8);
    bus_frame_expect_refused(&frame);
}

static void strange_formations_are_refused(void **state)
{
    struct bus_message message = {.type = BUS_MESSAGE_FORMATION};

    (void)state;
    message.formation = (struct bus_formation){BUS_FORMATION_PROPOSE, {1, 2}, 2, {{1, 100}, {1, 200}}};
    struct byte_buffer frame = bus_frame_encode(message); /* one node twice */

    bus_frame_expect_refused(&frame);
    message.formation.members[1].node_id = 0;
    frame = bus_frame_encode(message);
    bus_frame_expect_refused(&frame);
    message.formation.members[1].node_id = 2;
    frame = bus_frame_encode(message);
    bus_frame_body(&frame)[0] = 4; /* step */
    bus_frame_expect_refused(&frame);
    frame = bus_frame_encode(message);
    bus_frame_body(&frame)[20] = RAFT_NODES_MAX + 1;
    bus_frame_expect_refused(&frame);
}

static void reports_survive_and_strange_ones_are_refused(void **state)
{
    (void)state;
    for (int low = 0; low < 2; low++) {
        struct bus_message sent = {.type = BUS_MESSAGE_REPORT}, got;

        sent.report = (struct bus_report){low == 1, 4096, 0x123456789abcdef0};
        struct byte_buffer frame = bus_frame_encode(sent);

        assert_int_equal(bus_frame_decode(&frame, &got), BUS_CODEC_MESSAGE);
        assert_int_equal(got.type, BUS_MESSAGE_REPORT);
        assert_int_equal(got.report.low_space, low == 1);
        assert_int_equal(got.report.digest_index, 4096);
        assert_int_equal(got.report.digest, 0x123456789abcdef0);
        bus_frame_body(&frame)[0] |= 2; /* a flag that nobody knows */
        bus_frame_expect_refused(&frame);
        frame = bus_frame_encode(sent);
        bus_frame_body(&frame)[5] = 1; /* not zero */
        bus_frame_expect_refused(&frame);
        frame = bus_frame_encode(sent);
        byte_buffer_append(&frame, "", 1);
        bus_frame_expect_refused(&frame);
    }
}

static void strange_refusals_are_refused(void **state)
{
    struct bus_message message = {.type = BUS_MESSAGE_REFUSED, .refused = {BUS_REFUSAL_DISK, "because"}};
    static const uint8_t codes[] = {0, 9, 255};

    (void)state;
    for (size_t i = 0; i < sizeof codes; i++) {
        struct byte_buffer frame = bus_frame_encode(message);

        bus_frame_body(&frame)[0] = codes[i];
        bus_frame_expect_refused(&frame);
    }
    struct byte_buffer frame = bus_frame_encode(message);

    bus_frame_body(&frame)[4] = '\n';
    bus_frame_expect_refused(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_append_with_entries_comes_back_whole),
        cmocka_unit_test(every_raft_message_type_and_flag_comes_back),
        cmocka_unit_test(announcements_of_snapshots_come_back),
        cmocka_unit_test(ends_of_snapshots_come_back),
        cmocka_unit_test(answers_to_those_that_join_come_back),
        cmocka_unit_test(strange_answers_to_those_that_join_are_refused),
        cmocka_unit_test(refusals_proofs_and_formation_come_back),
        cmocka_unit_test(a_frame_in_pieces_is_understood_when_its_last_byte_is_there),
        cmocka_unit_test(two_frames_in_a_row_are_taken_one_by_one),
        cmocka_unit_test(a_changed_bit_anywhere_is_noticed),
        cmocka_unit_test(garbage_is_refused_at_its_first_wrong_byte),
        cmocka_unit_test(a_body_over_the_limit_is_refused_before_it_arrives),
        cmocka_unit_test(bytes_that_follow_a_message_in_its_frame_are_refused),
        cmocka_unit_test(a_body_cut_anywhere_is_refused),
        cmocka_unit_test(an_unknown_frame_type_is_refused),
        cmocka_unit_test(raft_enums_out_of_range_are_refused),
        cmocka_unit_test(a_count_of_entries_that_is_not_there_allocates_nothing),
        cmocka_unit_test(entries_in_other_messages_than_appends_are_refused),
        cmocka_unit_test(terms_that_go_back_or_beyond_the_senders_are_refused),
        cmocka_unit_test(a_noop_with_a_payload_is_refused),
        cmocka_unit_test(an_index_that_would_overflow_is_refused),
        cmocka_unit_test(strange_formations_are_refused),
        cmocka_unit_test(strange_refusals_are_refused),
        cmocka_unit_test(reports_survive_and_strange_ones_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
