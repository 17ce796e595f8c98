/* test_storage_records.c: every form that storage writes: numbers, hashes, envelopes, log entries, map
 * values, meta. What is written down here in bytes is on users' disks: a change here is a new version of the
 * form.
 */
#include "log_record.h"
#include "map_record.h"
#include "storage_bytes.h"
#include "storage_hash.h"
#include "storage_lmdb_error.h"
#include "storage_record.h"
#include "storage_testing.h"

#include <errno.h>
#include <lmdb.h>

static void numbers_have_their_byte_order(void **state)
{
    (void)state;
    uint8_t bytes[8];
    const uint8_t little[] = {8, 7, 6, 5, 4, 3, 2, 1};
    const uint8_t big[] = {1, 2, 3, 4, 5, 6, 7, 8};
    storage_put_u64(bytes, UINT64_C(0x0102030405060708));
    assert_memory_equal(bytes, little, 8);
    assert_int_equal(storage_get_u64(bytes), UINT64_C(0x0102030405060708));
    storage_put_u64_big(bytes, UINT64_C(0x0102030405060708));
    assert_memory_equal(bytes, big, 8);
    assert_int_equal(storage_get_u64_big(bytes), UINT64_C(0x0102030405060708));
    storage_put_u32(bytes, 0x05060708);
    assert_memory_equal(bytes, little, 4);
    storage_put_u16(bytes, 0x0708);
    assert_memory_equal(bytes, little, 2);
    assert_int_equal(storage_get_u16(bytes), 0x0708);
}

static void a_reader_never_passes_the_end(void **state)
{
    (void)state;
    const uint8_t bytes[10] = {1};
    struct storage_reader reader = storage_reader_init(bytes, sizeof bytes);
    assert_int_equal(storage_read_u64(&reader), 1);
    assert_false(storage_reader_ended_well(&reader));
    assert_int_equal(storage_read_u32(&reader), 0);
    assert_true(reader.failed);
    assert_null(storage_read_bytes(&reader, 1));
    assert_false(storage_reader_ended_well(&reader));
    reader = storage_reader_init(bytes, 4);
    assert_null(storage_read_bytes(&reader, SIZE_MAX));
}

static void hashes_are_what_they_were_when_files_were_written(void **state)
{
    /* SCAN cursors, checksums and digests rest on these. */
    (void)state;
    assert_int_equal(storage_hash_key(0, (const uint8_t *)"", 0), UINT64_C(0x2D06800538D394C2));
    uint64_t once = storage_hash_chain(0, "key", 3);
    assert_int_equal(once, storage_hash_key(0, (const uint8_t *)"key", 3));
    assert_int_equal(storage_hash_key(42, (const uint8_t *)"key:1234", 8), UINT64_C(0x82E0C801416E9AE3));
    assert_int_not_equal(storage_hash_chain(once, "value", 5), storage_hash_chain(0, "keyvalue", 8));
    assert_int_not_equal(storage_hash_key(1, (const uint8_t *)"key", 3),
                         storage_hash_key(2, (const uint8_t *)"key", 3));
}

static void an_envelope_notices_every_flipped_bit(void **state)
{
    (void)state;
    uint8_t record[STORAGE_RECORD_HEAD_BYTES + 20];
    const uint8_t *body = NULL;
    size_t body_size = 0;
    struct storage_error error;
    memset(record, 7, sizeof record);
    storage_record_seal(record, "name", 3, 20);
    assert_int_equal(storage_record_open(record, sizeof record, "here", "name", 3, &body, &body_size, &error),
                     STORAGE_OK);
    assert_ptr_equal(body, record + STORAGE_RECORD_HEAD_BYTES);
    assert_int_equal(body_size, 20);
    for (size_t bit = 0; bit < sizeof record * 8; bit++) {
        record[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(
            storage_record_open(record, sizeof record, "here", "name", 3, &body, &body_size, &error),
            STORAGE_CORRUPT);
        record[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t size = 0; size < sizeof record; size++) {
        assert_int_equal(storage_record_open(record, size, "here", "name", 3, &body, &body_size, &error),
                         STORAGE_CORRUPT);
    }
    assert_int_equal(
        storage_record_open(record, sizeof record, "here", "other", 3, &body, &body_size, &error),
        STORAGE_CORRUPT);
    assert_int_equal(storage_record_open(record, sizeof record, "here", "name", 2, &body, &body_size, &error),
                     STORAGE_INCOMPATIBLE);
}

static void pitfall_27_a_log_entry_notices_every_flipped_bit_and_a_wrong_place(void **state)
{
    (void)state;
    uint8_t record[LOG_RECORD_HEAD_BYTES + 9];
    struct log_entry entry = {
        .id = {.term = 5, .index = 77}, .type = 2, .bytes = (const uint8_t *)"some text", .size = 9};
    struct log_entry found;
    log_record_encode(record, &entry);
    assert_true(log_record_decode(record, sizeof record, 77, &found));
    assert_int_equal(found.id.term, 5);
    assert_int_equal(found.id.index, 77);
    assert_int_equal(found.type, 2);
    assert_int_equal(found.size, 9);
    assert_memory_equal(found.bytes, "some text", 9);
    for (size_t bit = 0; bit < sizeof record * 8; bit++) {
        record[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(log_record_decode(record, sizeof record, 77, &found));
        record[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_false(log_record_decode(record, sizeof record, 78, &found));
    assert_false(log_record_decode(record, sizeof record - 1, 77, &found));
    assert_false(log_record_decode(record, 3, 77, &found));
}

static void a_map_value_has_its_form(void **state)
{
    (void)state;
    uint8_t bytes[MAP_RECORD_HEAD_BYTES + 2];
    const struct map_value value = {.type = MAP_VALUE_STRING,
                                    .version = {.index = 0x1122, .command = 0x33},
                                    .expiry_ms = 0x44,
                                    .bytes = (const uint8_t *)"hi",
                                    .size = 2};
    const uint8_t expected[24] = {1, 1, 0, 0, 0x33, 0, 0, 0, 0x22, 0x11, 0, 0, 0, 0, 0, 0, 0x44};
    map_record_encode(bytes, &value, 99);
    assert_memory_equal(bytes, expected, sizeof expected);
    assert_int_equal(bytes[24], 99);
    assert_memory_equal(bytes + 32, "hi", 2);
    struct map_record found;
    assert_true(map_record_decode(bytes, sizeof bytes, &found));
    assert_int_equal(found.hash, 99);
    assert_int_equal(found.value.version.index, 0x1122);
    assert_int_equal(found.value.version.command, 0x33);
    assert_int_equal(found.value.size, 2);
    assert_false(map_record_decode(bytes, MAP_RECORD_HEAD_BYTES - 1, &found));
    bytes[1] = 2;
    assert_false(map_record_decode(bytes, sizeof bytes, &found));
}

static void the_hash_of_a_value_covers_all_of_it(void **state)
{
    (void)state;
    const struct map_value value = {.type = MAP_VALUE_STRING,
                                    .version = {.index = 1, .command = 2},
                                    .expiry_ms = 3,
                                    .bytes = (const uint8_t *)"v",
                                    .size = 1};
    uint64_t hash = map_record_hash((const uint8_t *)"k", 1, &value);
    struct map_value other = value;
    assert_int_not_equal(map_record_hash((const uint8_t *)"l", 1, &value), hash);
    other.version.index = 9;
    assert_int_not_equal(map_record_hash((const uint8_t *)"k", 1, &other), hash);
    other = value;
    other.version.command = 9;
    assert_int_not_equal(map_record_hash((const uint8_t *)"k", 1, &other), hash);
    other = value;
    other.expiry_ms = 9;
    assert_int_not_equal(map_record_hash((const uint8_t *)"k", 1, &other), hash);
    other = value;
    other.size = 0;
    assert_int_not_equal(map_record_hash((const uint8_t *)"k", 1, &other), hash);
    assert_int_equal(map_record_hash((const uint8_t *)"k", 1, &value), hash);
}

static void pitfall_18_only_full_is_recoverable(void **state)
{
    (void)state;
    struct storage_error error;
    assert_true(storage_result_is_full(MDB_MAP_FULL));
    assert_true(storage_result_is_full(MDB_TXN_FULL));
    assert_int_equal(storage_fail_lmdb(&error, MDB_MAP_FULL, "d", "w"), STORAGE_FULL);
    assert_int_equal(storage_fail_lmdb(&error, MDB_TXN_FULL, "d", "w"), STORAGE_FULL);
    const int fatal[] = {EIO, ENOSPC, EDQUOT, ENOMEM, MDB_PANIC, MDB_BAD_TXN, MDB_READERS_FULL};
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
        assert_false(storage_result_is_full(fatal[i]));
        assert_int_equal(storage_fail_lmdb(&error, fatal[i], "d", "w"), STORAGE_FAILED);
    }
    assert_int_equal(storage_fail_lmdb(&error, MDB_CORRUPTED, "d", "w"), STORAGE_CORRUPT);
}

static void a_long_sentence_is_cut_not_overrun(void **state)
{
    (void)state;
    struct storage_error error;
    char path[2000];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    storage_fail(&error, STORAGE_FAILED, "%s", path);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_their_byte_order),
        cmocka_unit_test(a_reader_never_passes_the_end),
        cmocka_unit_test(hashes_are_what_they_were_when_files_were_written),
        cmocka_unit_test(an_envelope_notices_every_flipped_bit),
        cmocka_unit_test(pitfall_27_a_log_entry_notices_every_flipped_bit_and_a_wrong_place),
        cmocka_unit_test(a_map_value_has_its_form),
        cmocka_unit_test(the_hash_of_a_value_covers_all_of_it),
        cmocka_unit_test(pitfall_18_only_full_is_recoverable),
        cmocka_unit_test(a_long_sentence_is_cut_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
