/* test_storage_backup_check.c: a backup that arrives piece by piece is refused for the same reasons as a
 * file. */
#include "backup_check.h"
#include "backup_source.h"
#include "storage_snapshots.h"

#include <string.h>

enum { PIECES_MAX = 40 };

/* A backup as its source hands it out. */
struct pieces {
    uint8_t *bytes[PIECES_MAX];
    size_t sizes[PIECES_MAX];
    size_t count;
    uint64_t digest;
};

static void make_pieces(const char *directory, struct pieces *pieces)
{
    static const struct backup_head head = {.cluster_id = {7, 8}, .node_id = 3, .created_ms = 5};
    static uint8_t value[100000];
    struct storage_error error = {{0}};
    char *path = temp_directory_join(directory, "source");
    struct map *map = testing_open_map(path, TESTING_MAP_BYTES);
    struct backup_source *source = NULL;
    memset(pieces, 0, sizeof *pieces);
    for (int i = 0; i < 10; i++) {
        char key[16];
        snprintf(key, sizeof key, "key:%d", i);
        memset(value, 'a' + i, sizeof value);
        testing_put(map, key, strlen(key), value, sizeof value, 0);
    }
    testing_checkpoint(map);
    pieces->digest = map_get_meta(map)->digest;
    assert_ok(backup_source_open(map, &head, &source, &error), error);
    for (size_t size = 1; size > 0;) {
        uint8_t *bytes = malloc(MAP_CHUNK_BYTES_MAX);
        assert_ok(backup_source_read(source, bytes, &size, &error), error);
        assert_true(pieces->count < PIECES_MAX);
        pieces->bytes[pieces->count] = bytes;
        pieces->sizes[pieces->count] = size;
        pieces->count += size > 0 ? 1 : 0;
        if (size == 0) {
            free(bytes);
        }
    }
    assert_true(pieces->count >= 6); /* head, META, two of RECORDS at least, END, trailer */
    backup_source_close(source);
    map_close(map);
    free(path);
}

static void free_pieces(struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        free(pieces->bytes[i]);
    }
}

/* Hands them over, but `left_out` (SIZE_MAX: none), up to `count`. */
static enum storage_status take(const struct pieces *pieces, size_t count, size_t left_out, bool *complete,
                                struct storage_error *error)
{
    struct backup_check *check = backup_check_create("a backup");
    enum storage_status status = STORAGE_OK;
    for (size_t i = 0; status == STORAGE_OK && i < count; i++) {
        if (i != left_out) {
            status = backup_check_add(check, pieces->bytes[i], pieces->sizes[i], error);
        }
    }
    *complete = status == STORAGE_OK && backup_check_is_complete(check);
    backup_check_destroy(check);
    return status;
}

static void a_whole_backup_is_complete_with_its_last_piece(void **state)
{
    struct storage_error error = {{0}};
    struct pieces pieces;
    struct backup_summary summary;
    bool complete = true;
    make_pieces(*state, &pieces);
    for (size_t count = 0; count < pieces.count; count++) {
        assert_ok(take(&pieces, count, SIZE_MAX, &complete, &error), error);
        assert_false(complete);
    }
    struct backup_check *check = backup_check_create("a backup");
    for (size_t i = 0; i < pieces.count; i++) {
        assert_ok(backup_check_add(check, pieces.bytes[i], pieces.sizes[i], &error), error);
    }
    assert_true(backup_check_is_complete(check));
    backup_check_summarize(check, &summary);
    assert_int_equal(summary.head.cluster_id[1], 8);
    assert_int_equal(summary.applied_index, 10);
    assert_int_equal(summary.key_count, 10);
    assert_int_equal(summary.digest, pieces.digest);
    /* Nothing may follow. */
    assert_int_equal(backup_check_add(check, pieces.bytes[0], pieces.sizes[0], &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "goes on"));
    backup_check_destroy(check);
    free_pieces(&pieces);
}

static void a_piece_that_is_missing_or_of_another_size_is_refused(void **state)
{
    struct storage_error error = {{0}};
    struct pieces pieces;
    bool complete = false;
    make_pieces(*state, &pieces);
    for (size_t i = 0; i < pieces.count; i++) {
        enum storage_status status = take(&pieces, pieces.count, i, &complete, &error);
        assert_false(complete);
        assert_true(status != STORAGE_OK || i + 1 == pieces.count);
    }
    for (size_t i = 0; i < pieces.count; i++) {
        size_t size = pieces.sizes[i];
        const size_t others[] = {size - 1, size + 1, 1};
        for (size_t k = 0; k < 3; k++) {
            uint8_t *other = calloc(1, size + 1);
            uint8_t *whole = pieces.bytes[i];
            memcpy(other, whole, size);
            pieces.bytes[i] = other;
            pieces.sizes[i] = others[k];
            assert_int_equal(take(&pieces, pieces.count, SIZE_MAX, &complete, &error), STORAGE_CORRUPT);
            pieces.bytes[i] = whole;
            pieces.sizes[i] = size;
            free(other);
        }
    }
    free_pieces(&pieces);
}

static void a_flipped_bit_is_refused(void **state)
{
    struct storage_error error = {{0}};
    struct pieces pieces;
    bool complete = false;
    make_pieces(*state, &pieces);
    for (size_t i = 0; i < pieces.count; i++) {
        for (size_t at = 0; at<pieces.sizes[i]; at += pieces.sizes[i]> 200 ? 20011 : 1) {
            pieces.bytes[i][at] ^= 16;
            enum storage_status status = take(&pieces, pieces.count, SIZE_MAX, &complete, &error);
            assert_true(status == STORAGE_CORRUPT || status == STORAGE_INCOMPATIBLE);
            pieces.bytes[i][at] ^= 16;
        }
    }
    assert_ok(take(&pieces, pieces.count, SIZE_MAX, &complete, &error), error);
    assert_true(complete);
    backup_check_destroy(NULL);
    free_pieces(&pieces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(a_whole_backup_is_complete_with_its_last_piece),
        testing_in_directory(a_piece_that_is_missing_or_of_another_size_is_refused),
        testing_in_directory(a_flipped_bit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
