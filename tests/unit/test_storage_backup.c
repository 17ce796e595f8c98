/* test_storage_backup.c: backup files: written, verified, refused when they are not what was written,
 * restored as a new cluster. Failing disks and killed processes are in test_storage_install_faults.c and
 * test_storage_install_crash.c. */
#include "backup_file.h"
#include "backup_form.h"
#include "backup_restore.h"
#include "backup_source.h"
#include "backup_testing.h"
#include "backup_writer.h"
#include "data_directory.h"
#include "storage_bytes.h"
#include "storage_file.h"
#include "storage_snapshots.h"

#include <sys/stat.h>
#include <unistd.h>

static const struct backup_head OLD_CLUSTER = {
    .cluster_id = {0x1111, 0x2222}, .node_id = 3, .created_ms = 1700000000000};
static const struct log_identity NEW_CLUSTER = {.node_id = 9,
                                                .disk_id = 77,
                                                .formation = LOG_FORMATION_FORMED,
                                                .cluster_id = {0x3333, 0x4444},
                                                .members_count = 1,
                                                .members = {{9, 77}}};

static struct map *make_map(const char *directory, int keys_count, size_t value_size)
{
    char *path = temp_directory_join(directory, "source");
    struct map *map = testing_open_map(path, TESTING_MAP_BYTES);
    uint8_t *bytes = calloc(1, value_size + 1);
    testing_begin(map);
    map_set_membership(map, (const uint8_t *)"three members", 13);
    map_end_entry(map, 1);
    for (int i = 0; i < keys_count; i++) {
        char key[16];
        snprintf(key, sizeof key, "key:%d", i);
        memset(bytes, 'a' + i % 26, value_size);
        testing_put(map, key, strlen(key), bytes, value_size, i % 3 == 0 ? 1000 + (uint64_t)i : 0);
    }
    testing_checkpoint(map);
    free(bytes);
    free(path);
    return map;
}

static enum storage_status write_backup(struct map *map, const char *path, struct storage_error *error)
{
    return testing_write_backup(map, &OLD_CLUSTER, path, error);
}

static struct map *make_backup(const char *directory, const char *path, int keys_count, size_t value_size)
{
    struct storage_error error = {{0}};
    struct map *map = make_map(directory, keys_count, value_size);
    assert_ok(write_backup(map, path, &error), error);
    return map;
}

static bool exists(const char *path)
{
    struct stat information;
    return lstat(path, &information) == 0;
}

static size_t read_file(const char *path, uint8_t **bytes)
{
    struct stat information;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &information), 0);
    size_t size = (size_t)information.st_size;
    *bytes = malloc(size + 1);
    assert_int_equal(fread(*bytes, 1, size, file), size);
    fclose(file);
    return size;
}

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void write_byte(const char *path, size_t offset, uint8_t byte)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)offset, SEEK_SET), 0);
    assert_int_equal(fputc(byte, file), byte);
    assert_int_equal(fclose(file), 0);
}

struct told {
    uint64_t bytes;
    uint64_t bytes_total;
    int times;
};

static void note_progress(void *context, uint64_t bytes, uint64_t bytes_total)
{
    struct told *told = context;
    assert_true(bytes >= told->bytes && bytes <= bytes_total);
    told->bytes = bytes;
    told->bytes_total = bytes_total;
    told->times++;
}

static void a_backup_says_what_it_holds(void **state)
{
    struct storage_error error = {{0}};
    char *path = temp_directory_join(*state, "backup");
    char *part = temp_directory_join(*state, "backup.part");
    struct map *map = make_backup(*state, path, 500, 20000); /* more than is written back in one go */
    struct backup_summary summary;
    struct told told = {0};
    assert_ok(backup_file_verify(path, note_progress, &told, &summary, &error), error);
    assert_int_equal(summary.head.cluster_id[1], 0x2222);
    assert_int_equal(summary.head.node_id, 3);
    assert_int_equal(summary.head.created_ms, 1700000000000);
    assert_int_equal(summary.applied_index, 501);
    assert_int_equal(summary.applied_term, 1);
    assert_int_equal(summary.key_count, 500);
    assert_int_equal(summary.digest, map_get_meta(map)->digest);
    assert_true(told.times > 5);
    assert_int_equal(told.bytes, told.bytes_total);
    assert_ok(backup_file_verify(path, NULL, NULL, &summary, &error), error);
    assert_false(exists(part));
    map_close(map);
    free(part);
    free(path);
}

static void the_form_of_a_backup_is_what_it_was(void **state)
{
    /* What is written down here in bytes is in users' files. */
    (void)state;
    uint8_t head[BACKUP_HEAD_BYTES];
    uint8_t trailer[BACKUP_TRAILER_BYTES];
    const struct backup_head fields = {.cluster_id = {1, 2}, .node_id = 3, .created_ms = 4};
    const struct backup_end end = {.chunks_count = 5, .bytes = 6, .checksum = 7};
    backup_encode_head(head, &fields);
    backup_encode_trailer(trailer, head, &end);
    const uint8_t start[16] = {'k', 'v', 'd', 'b', 'a', 'c', 'k', '\n', 1, 0, 0, 0, 32, 0, 0, 0};
    const uint8_t body[32] = {1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
                              3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0};
    assert_memory_equal(head, start, sizeof start);
    assert_memory_equal(head + 24, body, sizeof body);
    assert_int_equal(storage_get_u64(head + 16), UINT64_C(0xF3DBA41F7F078BC3));
    assert_int_equal(storage_get_u32(trailer), 1);
    assert_int_equal(storage_get_u64(trailer + 16), 5);
    assert_int_equal(storage_get_u64(trailer + 24), 6);
    assert_int_equal(storage_get_u64(trailer + 32), UINT64_C(0x8EDD32662499ED7B));
    assert_int_equal(storage_get_u64(trailer + 8), UINT64_C(0x412C6D9D4FBD8F33));
}

static void every_flipped_byte_is_refused(void **state)
{
    struct storage_error error = {{0}};
    char *path = temp_directory_join(*state, "backup");
    map_close(make_backup(*state, path, 10, 20));
    uint8_t *bytes = NULL;
    size_t size = read_file(path, &bytes);
    struct backup_summary summary;
    assert_in_range(size, 500, 5000);
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            write_byte(path, i, (uint8_t)(bytes[i] ^ 1 << bit));
            enum storage_status status = backup_file_verify(path, NULL, NULL, &summary, &error);
            assert_true(status == STORAGE_CORRUPT || status == STORAGE_INCOMPATIBLE);
        }
        write_byte(path, i, bytes[i]);
    }
    assert_ok(backup_file_verify(path, NULL, NULL, &summary, &error), error);
    free(bytes);
    free(path);
}

static void a_backup_that_is_cut_or_goes_on_is_refused(void **state)
{
    struct storage_error error = {{0}};
    char *path = temp_directory_join(*state, "backup");
    map_close(make_backup(*state, path, 10, 20));
    uint8_t *bytes = NULL;
    size_t size = read_file(path, &bytes);
    struct backup_summary summary;
    for (size_t cut = size; cut-- > 0;) {
        assert_int_equal(truncate(path, (off_t)cut), 0);
        assert_int_equal(backup_file_verify(path, NULL, NULL, &summary, &error), STORAGE_CORRUPT);
        assert_non_null(strstr(error.text, "cut short"));
    }
    bytes[size] = 0;
    write_file(path, bytes, size + 1);
    assert_int_equal(backup_file_verify(path, NULL, NULL, &summary, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "goes on"));
    free(bytes);
    free(path);
}

static void parts_of_two_backups_do_not_make_one(void **state)
{
    /* The same map, backed up twice, at two times: only heads and trailers differ. */
    struct storage_error error = {{0}};
    char *path = temp_directory_join(*state, "backup");
    map_close(make_backup(*state, path, 10, 20));
    uint8_t *bytes = NULL;
    size_t size = read_file(path, &bytes);
    struct backup_head later = OLD_CLUSTER;
    struct backup_summary summary;
    later.created_ms++;
    backup_encode_head(bytes, &later);
    write_file(path, bytes, size);
    assert_int_equal(backup_file_verify(path, NULL, NULL, &summary, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "belongs to another"));
    free(bytes);
    free(path);
}

static void what_is_no_backup_is_named(void **state)
{
    struct storage_error error = {{0}};
    struct backup_summary summary;
    char *path = temp_directory_join(*state, "backup");
    assert_int_equal(backup_file_verify(path, NULL, NULL, &summary, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(backup_file_verify(*state, NULL, NULL, &summary, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, "plain file"));
    uint8_t garbage[200];
    memset(garbage, 'x', sizeof garbage);
    write_file(path, garbage, sizeof garbage);
    assert_int_equal(backup_file_verify(path, NULL, NULL, &summary, &error), STORAGE_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "not a backup"));

    /* A later form, sealed as its kvd would. */
    uint8_t *bytes = NULL;
    assert_int_equal(unlink(path), 0);
    map_close(make_backup(*state, path, 1, 1));
    size_t size = read_file(path, &bytes);
    storage_record_seal(bytes + 8, "backup", 2, 32);
    write_file(path, bytes, size);
    assert_int_equal(backup_file_verify(path, NULL, NULL, &summary, &error), STORAGE_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "form 2"));
    free(bytes);
    free(path);
}

static void a_backup_never_overwrites_a_file(void **state)
{
    struct storage_error error = {{0}};
    char *path = temp_directory_join(*state, "backup");
    char *part = temp_directory_join(*state, "backup.part");
    char *missing = temp_directory_join(*state, "missing/backup");
    write_file(path, (const uint8_t *)"mine", 4);
    struct map *map = make_map(*state, 10, 20);
    assert_int_equal(write_backup(map, path, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, "never overwrites"));
    uint8_t *bytes = NULL;
    assert_int_equal(read_file(path, &bytes), 4);
    assert_int_equal(unlink(path), 0);
    write_file(part, bytes, 4); /* an earlier try that was killed */
    assert_ok(write_backup(map, path, &error), error);
    assert_false(exists(part));
    assert_int_equal(write_backup(map, missing, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, missing));
    /* One that is given up leaves nothing. */
    struct backup_writer *writer = NULL;
    assert_int_equal(unlink(path), 0);
    assert_ok(backup_writer_create(path, &writer, &error), error);
    assert_ok(backup_writer_add(writer, bytes, 4, &error), error);
    assert_true(exists(part));
    backup_writer_destroy(writer);
    assert_false(exists(part) || exists(path));
    backup_writer_destroy(NULL);
    backup_source_close(NULL);
    map_close(map);
    free(bytes);
    free(missing);
    free(part);
    free(path);
}

static void a_map_that_is_broken_is_not_backed_up(void **state)
{
    char key[] = {'k', 'k', 'e', 'y', ':', '1'};
    char garbage[] = "???";
    struct storage_error error = {{0}};
    char *path = temp_directory_join(*state, "backup");
    char *source = temp_directory_join(*state, "source");
    map_close(make_map(*state, 10, 20));
    testing_damage(source, "data", 0, (MDB_val){6, key}, &(MDB_val){3, garbage});
    struct map *map = testing_open_map(source, TESTING_MAP_BYTES);
    assert_int_equal(write_backup(map, path, &error), STORAGE_CORRUPT);
    assert_false(exists(path));
    struct map_value value;
    assert_false(map_get(map, (const uint8_t *)"key:1", 5, &value));
    assert_int_equal(write_backup(map, path, &error), STORAGE_CORRUPT);
    map_close(map);
    free(source);
    free(path);
}

/* ---- restoring ---- */

static enum storage_status restore_backup(const char *path, const char *data,
                                          const struct log_identity *identity, struct backup_summary *summary,
                                          struct storage_error *error)
{
    struct told told = {0};
    const struct backup_restore restore = {.file = path,
                                           .data = data,
                                           .identity = identity,
                                           .membership = (const uint8_t *)"only 9",
                                           .membership_size = 6,
                                           .log_map_bytes = TESTING_MAP_BYTES,
                                           .map_bytes = TESTING_MAP_BYTES,
                                           .progress = note_progress,
                                           .progress_context = &told};
    enum storage_status status = backup_restore(&restore, summary, error);
    assert_true(status != STORAGE_OK || told.bytes == told.bytes_total);
    return status;
}

/* A data directory as kvd opens it. */
struct data {
    struct data_directory *directory;
    struct log_store *log;
    struct map *map;
};

static void open_data(const char *path, struct data *data)
{
    struct storage_error error = {{0}};
    assert_ok(data_directory_open(path, &data->directory, &error), error);
    data->log = testing_open_log(data_directory_log_path(data->directory), TESTING_MAP_BYTES);
    uint64_t generation = log_store_map_generation(data->log);
    assert_ok(data_directory_remove_other_maps(data->directory, generation, &error), error);
    data->map = testing_open_map(data_directory_map_path(data->directory, generation), TESTING_MAP_BYTES);
}

static void close_data(struct data *data)
{
    map_close(data->map);
    log_store_close(data->log);
    data_directory_close(data->directory);
}

static void pitfall_28_a_backup_is_restored_as_a_new_cluster_of_one(void **state)
{
    struct storage_error error = {{0}};
    char *path = temp_directory_join(*state, "backup");
    char *data_path = temp_directory_join(*state, "data");
    struct map *map = make_backup(*state, path, 3000, 200);
    struct backup_summary summary;
    assert_ok(restore_backup(path, data_path, &NEW_CLUSTER, &summary, &error), error);
    assert_int_equal(summary.key_count, 3000);
    struct data data;
    open_data(data_path, &data);
    struct log_store_state found = testing_log_state(data.log);
    assert_int_equal(found.base.index, 3001);
    assert_int_equal(found.base.term, 1);
    assert_int_equal(found.last.index, 3001);
    assert_int_equal(found.commit_hint, 3001);
    assert_int_equal(found.hard_state.term, 1);
    assert_int_equal(found.hard_state.vote, 0);
    struct log_identity identity;
    bool there = false;
    assert_ok(log_store_read_identity(data.log, &identity, &there, &error), error);
    assert_true(there);
    assert_memory_equal(&identity, &NEW_CLUSTER, sizeof identity);
    /* All is as it was, but for the membership. */
    const struct map_meta *meta = map_get_meta(data.map);
    assert_int_equal(meta->digest, map_get_meta(map)->digest);
    assert_int_equal(meta->hash_seed, map_get_meta(map)->hash_seed);
    assert_int_equal(meta->applied_index, 3001);
    assert_int_equal(meta->membership_size, 6);
    assert_memory_equal(meta->membership, "only 9", 6);
    testing_assert_counts(data.map);
    /* And it goes on. */
    assert_ok(testing_append(data.log, 3002, 2, "x", 1, &error), error);
    testing_put_text(data.map, "new", "one", 0);
    testing_checkpoint(data.map);
    close_data(&data);
    open_data(data_path, &data);
    testing_assert_text(data.map, "new", "one");
    close_data(&data);
    map_close(map);
    free(data_path);
    free(path);
}

static void a_backup_of_nothing_is_restored_too(void **state)
{
    struct storage_error error = {{0}};
    char *path = temp_directory_join(*state, "backup");
    char *data_path = temp_directory_join(*state, "data");
    char *source = temp_directory_join(*state, "source");
    struct map *map = testing_open_map(source, TESTING_MAP_BYTES);
    assert_ok(write_backup(map, path, &error), error);
    map_close(map);
    struct backup_summary summary;
    assert_ok(restore_backup(path, data_path, &NEW_CLUSTER, &summary, &error), error);
    struct data data;
    open_data(data_path, &data);
    assert_int_equal(testing_log_state(data.log).last.index, 0);
    assert_int_equal(map_get_meta(data.map)->key_count, 0);
    close_data(&data);
    free(source);
    free(data_path);
    free(path);
}

static void only_an_empty_directory_is_restored_into(void **state)
{
    struct storage_error error = {{0}};
    char *path = temp_directory_join(*state, "backup");
    char *data_path = temp_directory_join(*state, "data");
    char *other = temp_directory_join(*state, "other");
    char *file = temp_directory_join(other, "mine");
    char *log = temp_directory_join(other, "log");
    struct backup_summary summary;
    map_close(make_backup(*state, path, 10, 20));
    /* Somebody's files: nothing is created among them. */
    assert_int_equal(mkdir(other, 0700), 0);
    write_file(file, (const uint8_t *)"x", 1);
    assert_int_equal(restore_backup(path, other, &NEW_CLUSTER, &summary, &error), STORAGE_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "mine"));
    assert_false(exists(log));
    assert_int_equal(restore_backup(path, file, &NEW_CLUSTER, &summary, &error), STORAGE_FAILED);
    /* A node's own directory: restored once, and not again. */
    assert_ok(restore_backup(path, data_path, &NEW_CLUSTER, &summary, &error), error);
    assert_int_equal(restore_backup(path, data_path, &NEW_CLUSTER, &summary, &error), STORAGE_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "belongs to node 9"));
    /* One that is in use. */
    struct data data;
    open_data(data_path, &data);
    assert_int_equal(restore_backup(path, data_path, &NEW_CLUSTER, &summary, &error), STORAGE_LOCKED);
    testing_assert_counts(data.map);
    assert_int_equal(map_get_meta(data.map)->key_count, 10);
    close_data(&data);
    /* What is left of one whose log is gone, on a disk that is not mounted for one: its map may be wanted. */
    assert_int_equal(unlink(file), 0);
    char *map_path = temp_directory_join(other, "map-1");
    map_close(testing_open_map(map_path, TESTING_MAP_BYTES));
    assert_int_equal(restore_backup(path, other, &NEW_CLUSTER, &summary, &error), STORAGE_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "whose log is gone"));
    assert_true(exists(map_path));
    assert_false(exists(log));
    free(map_path);
    free(log);
    free(file);
    free(other);
    free(data_path);
    free(path);
}

static void a_damaged_backup_leaves_the_directory_as_good_as_empty(void **state)
{
    struct storage_error error = {{0}};
    char *path = temp_directory_join(*state, "backup");
    char *data_path = temp_directory_join(*state, "data");
    char *map_path = temp_directory_join(data_path, "map-2");
    char *left_over = temp_directory_join(data_path, "map-7");
    struct backup_summary summary;
    map_close(make_backup(*state, path, 10, 20));
    uint8_t *bytes = NULL;
    size_t size = read_file(path, &bytes);
    for (size_t i = 3; i < size; i += 97) {
        bytes[i] ^= 4;
        write_file(path, bytes, size);
        enum storage_status status = restore_backup(path, data_path, &NEW_CLUSTER, &summary, &error);
        assert_true(status == STORAGE_CORRUPT || status == STORAGE_INCOMPATIBLE);
        assert_false(exists(map_path));
        bytes[i] ^= 4;
    }
    write_file(path, bytes, size - 1); /* only the trailer is not whole */
    assert_int_equal(restore_backup(path, data_path, &NEW_CLUSTER, &summary, &error), STORAGE_CORRUPT);
    write_file(path, bytes, size);
    /* The old cluster's id would bring its members back. */
    struct log_identity same = NEW_CLUSTER;
    memcpy(same.cluster_id, OLD_CLUSTER.cluster_id, sizeof same.cluster_id);
    assert_int_equal(restore_backup(path, data_path, &same, &summary, &error), STORAGE_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "id of its own"));
    assert_int_equal(mkdir(left_over, 0700), 0);
    assert_ok(restore_backup(path, data_path, &NEW_CLUSTER, &summary, &error), error);
    assert_true(exists(map_path));
    assert_false(exists(left_over));
    /* One that nobody can remove is no left-over of ours. */
    char *other_path = temp_directory_join(*state, "other");
    char *other_log = temp_directory_join(other_path, "log");
    char *odd = temp_directory_join(other_path, "map-7/below");
    assert_ok(storage_create_directory(other_log, &error), error);
    assert_ok(storage_create_directory(odd, &error), error);
    assert_int_equal(restore_backup(path, other_path, &NEW_CLUSTER, &summary, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, "map-7"));
    assert_true(exists(odd));
    free(odd);
    free(other_log);
    free(other_path);
    free(bytes);
    free(left_over);
    free(map_path);
    free(data_path);
    free(path);
}

static void a_backup_that_does_not_fit_is_refused(void **state)
{
    struct storage_error error = {{0}};
    char *path = temp_directory_join(*state, "backup");
    char *data_path = temp_directory_join(*state, "data");
    struct backup_summary summary;
    map_close(make_backup(*state, path, 100, 20000));
    const struct backup_restore restore = {.file = path,
                                           .data = data_path,
                                           .identity = &NEW_CLUSTER,
                                           .membership = (const uint8_t *)"only 9",
                                           .membership_size = 6,
                                           .log_map_bytes = TESTING_MAP_BYTES,
                                           .map_bytes = 1024 * 1024};
    assert_int_equal(backup_restore(&restore, &summary, &error), STORAGE_FULL);
    assert_ok(restore_backup(path, data_path, &NEW_CLUSTER, &summary, &error), error);
    free(data_path);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(a_backup_says_what_it_holds),
        cmocka_unit_test(the_form_of_a_backup_is_what_it_was),
        testing_in_directory(every_flipped_byte_is_refused),
        testing_in_directory(a_backup_that_is_cut_or_goes_on_is_refused),
        testing_in_directory(parts_of_two_backups_do_not_make_one),
        testing_in_directory(what_is_no_backup_is_named),
        testing_in_directory(a_backup_never_overwrites_a_file),
        testing_in_directory(a_map_that_is_broken_is_not_backed_up),
        testing_in_directory(pitfall_28_a_backup_is_restored_as_a_new_cluster_of_one),
        testing_in_directory(a_backup_of_nothing_is_restored_too),
        testing_in_directory(only_an_empty_directory_is_restored_into),
        testing_in_directory(a_damaged_backup_leaves_the_directory_as_good_as_empty),
        testing_in_directory(a_backup_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
