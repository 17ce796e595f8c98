/* test_storage_map_stream.c: streams that are damaged, cut, mixed up or forged: each is refused, by the check
 * of the stream and by the loader alike, and the loader leaves nothing behind. */
#include "map_chunk.h"
#include "map_stream.h"
#include "storage_bytes.h"
#include "storage_hash.h"
#include "storage_snapshots.h"

#include <sys/stat.h>

static struct testing_chunks *make_chunks(const char *directory, const char *name, int keys_count,
                                          size_t capacity)
{
    char *path = temp_directory_join(directory, name);
    struct map *map = testing_open_map(path, TESTING_MAP_BYTES);
    for (int i = 0; i < keys_count; i++) {
        char key[16];
        snprintf(key, sizeof key, "key:%d", i);
        testing_put_text(map, key, name, i % 2 == 0 ? 0 : 500);
    }
    testing_checkpoint(map);
    struct testing_chunks *chunks = testing_take_snapshot(map, capacity);
    map_close(map);
    free(path);
    return chunks;
}

/* What the check says of these chunks, all of them; *complete: it took the end. */
static enum storage_status check(const struct testing_chunks *chunks, bool *complete,
                                 struct storage_error *error)
{
    struct map_stream *stream = map_stream_create(NULL, NULL);
    enum storage_status status = STORAGE_OK;
    for (size_t i = 0; i < chunks->count && status == STORAGE_OK; i++) {
        size_t size = 0;
        const uint8_t *chunk = testing_chunk(chunks, i, &size);
        status = map_stream_add(stream, chunk, size, error);
    }
    *complete = map_stream_is_complete(stream);
    map_stream_destroy(stream);
    return status;
}

static void assert_refused(const struct testing_chunks *chunks)
{
    struct storage_error error = {{0}};
    bool complete = false;
    assert_int_not_equal(check(chunks, &complete, &error), STORAGE_OK);
    assert_false(complete);
    assert_true(error.text[0] != '\0');
}

/* ---- accidents ---- */

static void every_flipped_bit_is_refused(void **state)
{
    struct testing_chunks *chunks = make_chunks(*state, "map", 9, 120);
    struct storage_error error = {{0}};
    bool complete = false;
    assert_ok(check(chunks, &complete, &error), error);
    assert_true(complete && chunks->count > 6);
    for (size_t bit = 0; bit < chunks->size * 8; bit++) {
        chunks->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_refused(chunks);
        chunks->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_ok(check(chunks, &complete, &error), error);
    testing_chunks_free(chunks);
}

static void a_chunk_that_is_cut_or_longer_is_refused(void **state)
{
    struct testing_chunks *chunks = make_chunks(*state, "map", 9, 120);
    struct storage_error error = {{0}};
    for (size_t i = 0; i < chunks->count; i++) {
        size_t whole = 0;
        testing_chunk(chunks, i, &whole);
        for (size_t size = 0; size < whole + 1; size++) {
            struct map_stream *stream = map_stream_create(NULL, NULL);
            for (size_t j = 0; j < i; j++) {
                size_t before = 0;
                const uint8_t *chunk = testing_chunk(chunks, j, &before);
                assert_ok(map_stream_add(stream, chunk, before, &error), error);
            }
            uint8_t *copy =
                calloc(1, whole + 1); /* of its own size, so that a sanitizer sees a step too far */
            memcpy(copy, chunks->bytes + chunks->offsets[i], whole);
            size_t wrong = size == whole ? whole + 1 : size;
            assert_int_equal(map_stream_add(stream, copy, wrong, &error), STORAGE_CORRUPT);
            free(copy);
            map_stream_destroy(stream);
        }
    }
    map_stream_destroy(NULL);
    testing_chunks_free(chunks);
}

static struct testing_chunks *rearranged(const struct testing_chunks *chunks, const size_t *order,
                                         size_t count)
{
    struct testing_chunks *other = calloc(1, sizeof *other);
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        const uint8_t *chunk = testing_chunk(chunks, order[i], &size);
        testing_chunks_add(other, chunk, size);
    }
    return other;
}

static void missing_repeated_and_moved_chunks_are_refused(void **state)
{
    struct testing_chunks *chunks = make_chunks(*state, "map", 9, 120);
    const size_t count = chunks->count;
    assert_true(count > 5 && count < 64);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            size_t missing[64];
            size_t repeated[64];
            size_t moved[64];
            size_t n = 0;
            for (size_t k = 0; k < count; k++) {
                moved[k] = k == i ? j : k == j ? i : k;
                repeated[k + (k > i ? 1 : 0)] = k;
                if (k != i) {
                    missing[n++] = k;
                }
            }
            repeated[i + 1] = j; /* any chunk once more after chunk i, itself among them */
            struct testing_chunks *wrong[] = {rearranged(chunks, missing, n),
                                              rearranged(chunks, repeated, count + 1),
                                              rearranged(chunks, moved, count)};
            struct storage_error error = {{0}};
            bool complete = false;
            for (size_t w = 0; w < 3; w++) {
                bool same = w == 2 && i == j;
                bool refused = check(wrong[w], &complete, &error) != STORAGE_OK;
                /* Without its last chunk a stream is not refused: it never ends. */
                bool endless = w == 0 && i == count - 1;
                assert_int_equal(refused, !same && !endless);
                assert_int_equal(complete && !refused, same);
                testing_chunks_free(wrong[w]);
            }
        }
    }
    testing_chunks_free(chunks);
}

static void chunks_of_another_stream_are_refused(void **state)
{
    struct testing_chunks *ours = make_chunks(*state, "map-a", 9, 120);
    struct testing_chunks *others = make_chunks(*state, "map-b", 9, 120);
    assert_int_equal(ours->count, others->count);
    for (size_t i = 0; i < ours->count; i++) {
        struct testing_chunks *mixed = calloc(1, sizeof *mixed);
        for (size_t j = 0; j < ours->count; j++) {
            size_t size = 0;
            const uint8_t *chunk = testing_chunk(i == j ? others : ours, j, &size);
            testing_chunks_add(mixed, chunk, size);
        }
        assert_refused(mixed);
        testing_chunks_free(mixed);
    }
    testing_chunks_free(ours);
    testing_chunks_free(others);
}

static void a_loader_refuses_a_damaged_stream_and_leaves_nothing(void **state)
{
    struct testing_chunks *chunks = make_chunks(*state, "map", 9, 120);
    char *path = temp_directory_join(*state, "map-2");
    const struct map_loader_options options = {.directory = path, .map_bytes = TESTING_MAP_BYTES};
    struct storage_error error = {{0}};
    struct stat information;
    for (size_t i = 0; i < chunks->size; i += 41) {
        struct map_loader *loader = NULL;
        chunks->bytes[i] ^= 0x10;
        assert_int_not_equal(testing_load_chunks(chunks, &options, &loader, &error), STORAGE_OK);
        chunks->bytes[i] ^= 0x10;
        map_loader_destroy(loader);
        assert_int_equal(stat(path, &information), -1);
    }
    testing_load(chunks, path, 0);
    testing_chunks_free(chunks);
    free(path);
}

/* ---- forgeries: every checksum is right, what it covers is not ---- */

struct forger {
    struct testing_chunks *chunks;
    struct map_chunk_chain chain;
    uint8_t body[MAP_CHUNK_BYTES_MAX];
    size_t size;
};

static struct forger *forger_create(void)
{
    struct forger *forger = calloc(1, sizeof *forger);
    forger->chunks = calloc(1, sizeof *forger->chunks);
    return forger;
}

static void forge(struct forger *forger, enum map_chunk_kind kind)
{
    uint8_t *chunk = malloc(MAP_CHUNK_HEAD_BYTES + forger->size);
    memcpy(chunk + MAP_CHUNK_HEAD_BYTES, forger->body, forger->size);
    map_chunk_seal(&forger->chain, chunk, kind, forger->size);
    testing_chunks_add(forger->chunks, chunk, MAP_CHUNK_HEAD_BYTES + forger->size);
    free(chunk);
    forger->size = 0;
}

static void forge_meta(struct forger *forger, uint64_t key_count, uint64_t digest)
{
    static struct map_meta meta;
    meta = (struct map_meta){.applied_index = 5, .applied_term = 1, .key_count = key_count, .digest = digest};
    size_t size = map_meta_encode(forger->body + STORAGE_RECORD_HEAD_BYTES, &meta);
    storage_record_seal(forger->body, MAP_META_NAME, MAP_META_FORM, size);
    forger->size = STORAGE_RECORD_HEAD_BYTES + size;
    forge(forger, MAP_CHUNK_META);
}

/* One more record in the body; returns its hash. */
static uint64_t forge_record(struct forger *forger, const char *key, size_t key_size, const char *text)
{
    const struct map_value value = {
        .type = MAP_VALUE_STRING, .bytes = (const uint8_t *)text, .size = strlen(text)};
    uint8_t *to = forger->body + forger->size;
    uint64_t hash = map_record_hash((const uint8_t *)key, key_size, &value);
    storage_put_u16(to, (uint16_t)key_size);
    storage_put_u32(to + 2, (uint32_t)(MAP_RECORD_HEAD_BYTES + value.size));
    memcpy(to + MAP_CHUNK_RECORD_HEAD_BYTES, key, key_size);
    map_record_encode(to + MAP_CHUNK_RECORD_HEAD_BYTES + key_size, &value, hash);
    forger->size += MAP_CHUNK_RECORD_HEAD_BYTES + key_size + MAP_RECORD_HEAD_BYTES + value.size;
    return hash;
}

static void forge_end(struct forger *forger, uint64_t key_count, uint64_t digest)
{
    storage_put_u64(forger->body, key_count);
    storage_put_u64(forger->body + 8, digest);
    forger->size = MAP_CHUNK_END_BYTES;
    forge(forger, MAP_CHUNK_END);
}

/* Says what it must, and frees the forger. */
static void assert_forgery(struct forger *forger, enum storage_status expected, const char *words)
{
    struct storage_error error = {{0}};
    bool complete = false;
    assert_int_equal(check(forger->chunks, &complete, &error), expected);
    if (expected != STORAGE_OK) {
        if (strstr(error.text, words) == NULL) {
            fail_msg("\"%s\" does not speak of \"%s\"", error.text, words);
        }
        assert_false(complete);
    } else {
        assert_true(complete);
    }
    testing_chunks_free(forger->chunks);
    free(forger);
}

static uint64_t digest_of_two(void)
{
    struct forger *forger = forger_create();
    uint64_t digest = forge_record(forger, "a", 1, "1");
    digest += forge_record(forger, "b", 1, "2");
    testing_chunks_free(forger->chunks);
    free(forger);
    return digest;
}

static void what_is_not_forged_passes(void **state)
{
    (void)state;
    struct forger *forger = forger_create();
    forge_meta(forger, 2, digest_of_two());
    forge_record(forger, "a", 1, "1");
    forge(forger, MAP_CHUNK_RECORDS);
    forge_record(forger, "b", 1, "2");
    forge(forger, MAP_CHUNK_RECORDS);
    forge_end(forger, 2, digest_of_two());
    assert_forgery(forger, STORAGE_OK, "");
}

static void keys_that_do_not_ascend_are_refused(void **state)
{
    (void)state;
    static const char *const seconds[] = {"b", "a", "a\x01", ""}; /* all after "b" */
    for (size_t i = 0; i < 4; i++) {
        struct forger *forger = forger_create();
        uint64_t digest = forge_record(forger, "b", 1, "1");
        digest += forge_record(forger, seconds[i], strlen(seconds[i]), "2");
        size_t size = forger->size;
        forger->size = 0;
        uint8_t *saved = malloc(size);
        memcpy(saved, forger->body, size);
        forge_meta(forger, 2, digest);
        memcpy(forger->body, saved, size);
        forger->size = size;
        free(saved);
        forge(forger, MAP_CHUNK_RECORDS);
        forge_end(forger, 2, digest);
        assert_forgery(forger, STORAGE_CORRUPT, "out of order");
    }
}

static void impossible_sizes_are_refused_before_they_are_used(void **state)
{
    (void)state;
    static const struct {
        uint16_t key_size;
        uint32_t record_size;
    } sizes[] = {{511, 40},
                 {UINT16_MAX, 40},
                 {1, 0},
                 {1, MAP_RECORD_HEAD_BYTES - 1},
                 {1, MAP_RECORD_HEAD_BYTES + MAP_VALUE_BYTES_MAX + 1},
                 {1, UINT32_MAX}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t cut = 1; cut <= MAP_CHUNK_RECORD_HEAD_BYTES; cut++) {
            /* The sizes themselves may lie across two chunks. */
            struct forger *forger = forger_create();
            forge_meta(forger, 2, 0);
            uint8_t head[MAP_CHUNK_RECORD_HEAD_BYTES];
            storage_put_u16(head, sizes[i].key_size);
            storage_put_u32(head + 2, sizes[i].record_size);
            memcpy(forger->body, head, cut);
            forger->size = cut;
            forge(forger, MAP_CHUNK_RECORDS);
            memcpy(forger->body, head + cut, sizeof head - cut);
            forger->body[sizeof head - cut] = 'x';
            forger->size = sizeof head - cut + 1;
            forge(forger, MAP_CHUNK_RECORDS);
            assert_forgery(forger, STORAGE_CORRUPT, "impossible size");
        }
    }
}

static void a_value_with_a_wrong_hash_is_refused(void **state)
{
    (void)state;
    struct forger *forger = forger_create();
    forge_meta(forger, 1, 0);
    forge_record(forger, "a", 1, "1");
    forger->body[forger->size - 1] ^= 1;
    forge(forger, MAP_CHUNK_RECORDS);
    assert_forgery(forger, STORAGE_CORRUPT, "damaged value");
}

static void a_value_of_an_unknown_form_is_refused(void **state)
{
    (void)state;
    struct forger *forger = forger_create();
    forge_meta(forger, 1, 0);
    forge_record(forger, "a", 1, "1");
    forger->body[MAP_CHUNK_RECORD_HEAD_BYTES + 2] = 99; /* its form */
    forge(forger, MAP_CHUNK_RECORDS);
    assert_forgery(forger, STORAGE_INCOMPATIBLE, "form");
}

static void more_or_fewer_keys_than_meta_says_are_refused(void **state)
{
    (void)state;
    struct forger *more = forger_create();
    forge_meta(more, 1, digest_of_two());
    forge_record(more, "a", 1, "1");
    forge_record(more, "b", 1, "2");
    forge(more, MAP_CHUNK_RECORDS);
    assert_forgery(more, STORAGE_CORRUPT, "more keys");

    for (int i = 0; i < 4; i++) {
        struct forger *wrong = forger_create();
        forge_meta(wrong, i == 0 ? 3 : 2, i == 1 ? 7 : digest_of_two());
        forge_record(wrong, "a", 1, "1");
        forge_record(wrong, "b", 1, "2");
        forge(wrong, MAP_CHUNK_RECORDS);
        forge_end(wrong, i == 2 ? 3 : 2, i == 3 ? 7 : digest_of_two());
        assert_forgery(wrong, STORAGE_CORRUPT, "wrong count or digest");
    }
}

static void an_end_in_the_middle_of_a_record_is_refused(void **state)
{
    (void)state;
    for (size_t missing = 1; missing < 30; missing += 4) {
        struct forger *forger = forger_create();
        forge_meta(forger, 2, digest_of_two());
        forge_record(forger, "a", 1, "1");
        forge_record(forger, "b", 1, "2");
        forger->size -= missing;
        forge(forger, MAP_CHUNK_RECORDS);
        forge_end(forger, 2, digest_of_two());
        assert_forgery(forger, STORAGE_CORRUPT, "middle of a record");
    }
    struct forger *forger = forger_create();
    forge_meta(forger, 0, 0);
    forger->size = MAP_CHUNK_END_BYTES - 1;
    forge(forger, MAP_CHUNK_END);
    assert_forgery(forger, STORAGE_CORRUPT, "middle of a record");
}

static void chunks_where_they_do_not_belong_are_refused(void **state)
{
    (void)state;
    struct forger *forger = forger_create();
    forge_record(forger, "a", 1, "1");
    forge(forger, MAP_CHUNK_RECORDS); /* before meta */
    assert_forgery(forger, STORAGE_CORRUPT, "does not belong");

    forger = forger_create();
    forge_end(forger, 0, 0);
    assert_forgery(forger, STORAGE_CORRUPT, "does not belong");

    forger = forger_create();
    forge_meta(forger, 0, 0);
    forge_meta(forger, 0, 0);
    assert_forgery(forger, STORAGE_CORRUPT, "does not belong");

    static const enum map_chunk_kind kinds[] = {MAP_CHUNK_META, MAP_CHUNK_RECORDS, MAP_CHUNK_END};
    for (size_t i = 0; i < 3; i++) {
        struct storage_error error = {{0}};
        bool complete = false;
        forger = forger_create();
        forge_meta(forger, 0, 0);
        forge_end(forger, 0, 0);
        forger->size = 20;
        forge(forger, kinds[i]);
        assert_int_equal(check(forger->chunks, &complete, &error), STORAGE_CORRUPT);
        assert_non_null(strstr(error.text, "does not belong"));
        testing_chunks_free(forger->chunks);
        free(forger);
    }
}

static void a_meta_record_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    /* Too short for an envelope; a sound envelope with a short body, of another record, of a later form. */
    for (int i = 0; i < 4; i++) {
        struct forger *forger = forger_create();
        memset(forger->body, 0, 200);
        size_t body_size = i == 1 ? 20 : MAP_META_FIXED_BYTES;
        storage_record_seal(forger->body, i == 2 ? "base" : MAP_META_NAME,
                            i == 3 ? MAP_META_FORM + 1 : MAP_META_FORM, body_size);
        forger->size = i == 0 ? 5 : STORAGE_RECORD_HEAD_BYTES + body_size;
        forge(forger, MAP_CHUNK_META);
        assert_forgery(forger, i == 3 ? STORAGE_INCOMPATIBLE : STORAGE_CORRUPT, "meta");
    }
}

static void later_forms_and_unknown_kinds_of_chunks_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        uint8_t byte;
    } changes[] = {{0, MAP_CHUNK_FORM + 1}, {1, 0}, {1, MAP_CHUNK_END + 1}, {2, 1}, {3, 1}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct forger *forger = forger_create();
        forge_meta(forger, 0, 0);
        uint8_t *chunk = forger->chunks->bytes;
        chunk[changes[i].offset] = changes[i].byte;
        uint64_t hash = storage_hash_chain(0, chunk, 16);
        hash = storage_hash_chain(hash, chunk + MAP_CHUNK_HEAD_BYTES,
                                  forger->chunks->size - MAP_CHUNK_HEAD_BYTES);
        storage_put_u64(chunk + 16, hash);
        assert_forgery(forger, STORAGE_INCOMPATIBLE, "does not know");
    }
}

static void a_chunk_has_its_form(void **state)
{
    /* What is written down here in bytes is in users' backups. */
    (void)state;
    uint8_t chunk[MAP_CHUNK_HEAD_BYTES + 3] = {0};
    memcpy(chunk + MAP_CHUNK_HEAD_BYTES, "abc", 3);
    struct map_chunk_chain chain = {.number = 0x0102, .checksum = 77};
    map_chunk_seal(&chain, chunk, MAP_CHUNK_RECORDS, 3);
    const uint8_t expected[16] = {1, 2, 0, 0, 3, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0};
    assert_memory_equal(chunk, expected, sizeof expected);
    assert_int_equal(storage_get_u64(chunk + 16), chain.checksum);
    assert_int_equal(chain.checksum, UINT64_C(0xDD6222BBD1FBC12F));
    assert_int_equal(chain.number, 0x0103);
    assert_int_equal(map_chunk_get_size(chunk), sizeof chunk);
    storage_put_u32(chunk + 4, 0);
    assert_int_equal(map_chunk_get_size(chunk), 0);
    storage_put_u32(chunk + 4, MAP_CHUNK_BYTES_MAX - MAP_CHUNK_HEAD_BYTES);
    assert_int_equal(map_chunk_get_size(chunk), MAP_CHUNK_BYTES_MAX);
    storage_put_u32(chunk + 4, MAP_CHUNK_BYTES_MAX - MAP_CHUNK_HEAD_BYTES + 1);
    assert_int_equal(map_chunk_get_size(chunk), 0);
}

static void random_bodies_are_refused_or_well_formed(void **state)
{
    (void)state;
    uint64_t random = 11;
    for (int round = 0; round < 3000; round++) {
        struct forger *forger = forger_create();
        forge_meta(forger, 3, 0);
        int chunks_count = (int)testing_random_below(&random, 4);
        for (int i = 0; i < chunks_count; i++) {
            uint64_t size = 1 + testing_random_below(&random, 120);
            for (uint64_t j = 0; j < size; j++) {
                /* Mostly small numbers: sizes that are possible. */
                forger->body[j] =
                    testing_random_below(&random, 4) != 0 ? 0 : (uint8_t)testing_random(&random);
            }
            forger->size = (size_t)size;
            forge(forger, testing_random_below(&random, 8) == 0 ? MAP_CHUNK_END : MAP_CHUNK_RECORDS);
        }
        struct storage_error error = {{0}};
        bool complete = false;
        enum storage_status status = check(forger->chunks, &complete, &error);
        assert_true(status == STORAGE_OK || status == STORAGE_CORRUPT || status == STORAGE_INCOMPATIBLE);
        assert_false(complete);
        testing_chunks_free(forger->chunks);
        free(forger);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(every_flipped_bit_is_refused),
        testing_in_directory(a_chunk_that_is_cut_or_longer_is_refused),
        testing_in_directory(missing_repeated_and_moved_chunks_are_refused),
        testing_in_directory(chunks_of_another_stream_are_refused),
        testing_in_directory(a_loader_refuses_a_damaged_stream_and_leaves_nothing),
        cmocka_unit_test(what_is_not_forged_passes),
        cmocka_unit_test(keys_that_do_not_ascend_are_refused),
        cmocka_unit_test(impossible_sizes_are_refused_before_they_are_used),
        cmocka_unit_test(a_value_with_a_wrong_hash_is_refused),
        cmocka_unit_test(a_value_of_an_unknown_form_is_refused),
        cmocka_unit_test(more_or_fewer_keys_than_meta_says_are_refused),
        cmocka_unit_test(an_end_in_the_middle_of_a_record_is_refused),
        cmocka_unit_test(chunks_where_they_do_not_belong_are_refused),
        cmocka_unit_test(a_meta_record_that_makes_no_sense_is_refused),
        cmocka_unit_test(later_forms_and_unknown_kinds_of_chunks_are_refused),
        cmocka_unit_test(a_chunk_has_its_form),
        cmocka_unit_test(random_bodies_are_refused_or_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
