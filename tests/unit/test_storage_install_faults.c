/* test_storage_install_faults.c: loading, installing, backing up and restoring while each system call in turn
 * fails, for every k until the operation gets through; and the order of writes and syncs before the commit
 * point.
 */
#include "backup_restore.h"
#include "backup_testing.h"
#include "storage_nodes.h"
#include "storage_syscalls.h"

enum { K_MAX = 1000 };

static char *path_of(const char *directory, const char *name, int k)
{
    char text[32];
    snprintf(text, sizeof text, "%s-%d", name, k);
    return temp_directory_join(directory, text);
}

/* ---- installs ---- */

struct outcomes {
    int loads_failed;
    int installs_failed;
    int later_failed;
    int full;
};

/* One try; false when no call failed. */
static bool install_with_fault(const char *path, const struct testing_chunks *chunks,
                               const struct map_meta *meta, int error_number, int k,
                               struct outcomes *outcomes)
{
    struct node_stores stores;
    struct storage_error error = {{0}};
    bool committed = false;
    node_prepare(path);
    node_open(path, &stores);
    syscalls_arm(SYSCALLS_FAIL, error_number, k);
    enum storage_status status = node_install(&stores, chunks, &committed, &error);
    bool failed = syscalls_disarm();
    assert_int_equal(status != STORAGE_OK, failed);
    assert_true(status == STORAGE_OK || status == STORAGE_FAILED || status == STORAGE_FULL);
    outcomes->full += status == STORAGE_FULL ? 1 : 0;

    /* Is the log as usable as it should be? */
    const struct log_hard_state hard_state = {.term = 4, .vote = 2};
    const struct log_write write = {.hard_state = &hard_state};
    struct storage_error ignored;
    bool poisoned = log_store_write(stores.log, &write, &ignored) != STORAGE_OK;
    if (failed && !committed && !poisoned) {
        /* The load failed: nothing of the node was touched, and nothing stayed. */
        outcomes->loads_failed++;
        assert_int_equal(node_count_maps(path), 1);
        assert_int_equal(map_get_meta(stores.map)->applied_index, NODE_OLD_APPLIED);
        /* Once the disk is sound the next try succeeds, in the same process. */
        assert_ok(node_install(&stores, chunks, &committed, &error), error);
        assert_true(committed);
    } else if (failed && !committed) {
        /* Pitfalls 17, 18: the transaction of the log failed; whether it counts only a restart can tell. */
        outcomes->installs_failed++;
        assert_int_equal(status, STORAGE_FAILED);
    } else if (failed) {
        outcomes->later_failed++;
        assert_false(poisoned);
    }
    node_close(&stores);
    bool is_new = node_is_new(path, meta);
    assert_true(is_new || !committed);
    return failed;
}

static struct outcomes fail_every_call(const char *directory, uint64_t applied, int error_number)
{
    struct map_meta *meta = NULL;
    struct testing_chunks *chunks = node_make_chunks(directory, "source", applied, &meta);
    struct outcomes outcomes = {0};
    bool failed = true;
    for (int k = 0; failed; k++) {
        char *path = path_of(directory, "node", k);
        failed = install_with_fault(path, chunks, meta, error_number, k, &outcomes);
        temp_directory_remove(path);
        assert_true(k < K_MAX);
    }
    testing_chunks_free(chunks);
    free(meta);
    assert_true(outcomes.loads_failed > 10);
    assert_true(outcomes.installs_failed > 2);
    assert_true(outcomes.later_failed > 2);
    return outcomes;
}

static void pitfall_17_any_failed_call_of_a_load_and_an_install(void **state)
{
    struct outcomes outcomes = fail_every_call(*state, 200, EIO);
    assert_int_equal(outcomes.full, 0);
}

static void a_full_disk_is_said_to_be_full_where_nothing_live_was_written(void **state)
{
    struct outcomes outcomes = fail_every_call(*state, 20, ENOSPC);
    assert_true(outcomes.full > 5);
    assert_true(outcomes.full <= outcomes.loads_failed);
}

static void a_disk_without_room_for_a_load_is_full_before_anything_is_written(void **state)
{
    struct map_meta *meta = NULL;
    struct testing_chunks *chunks = node_make_chunks(*state, "source", 200, &meta);
    struct storage_error error = {{0}};
    bool failed = true;
    int k = 0;
    for (; failed; k++) {
        char *path = path_of(*state, "map-2", k);
        const struct map_loader_options options = {.directory = path, .map_bytes = TESTING_MAP_BYTES};
        struct map_loader *loader = NULL;
        syscalls.only_fallocate = true;
        syscalls_arm(SYSCALLS_FAIL, k % 2 == 0 ? ENOSPC : EDQUOT, k);
        enum storage_status status = testing_load_chunks(chunks, &options, &loader, &error);
        failed = syscalls_disarm();
        assert_int_equal(status, failed ? STORAGE_FULL : STORAGE_OK);
        assert_true(!failed || strstr(error.text, "no room left on the disk") != NULL ||
                    strstr(error.text, "the disk is full") != NULL ||
                    strstr(error.text, "has no room") != NULL);
        map_loader_destroy(loader);
        assert_int_equal(access(path, F_OK), failed ? -1 : 0);
        free(path);
    }
    assert_true(k > 2); /* the lock file, the file as it is opened, its growth */
    testing_chunks_free(chunks);
    free(meta);
}

/* ---- the order of things ---- */

static ino_t inode_of(const char *directory, const char *name)
{
    struct stat information;
    char *path = temp_directory_join(directory, name);
    assert_int_equal(stat(path, &information), 0);
    free(path);
    return information.st_ino;
}

/* Was it synced between these two events? */
static bool is_synced(ino_t inode, int from, int to)
{
    for (int i = from; i < to; i++) {
        if (syscalls.events[i].sync && syscalls.events[i].inode == inode) {
            return true;
        }
    }
    return false;
}

static int last_write(ino_t inode, int to)
{
    int last = -1;
    for (int i = 0; i < to; i++) {
        last = !syscalls.events[i].sync && syscalls.events[i].inode == inode ? i : last;
    }
    return last;
}

static void pitfall_24_all_of_a_loaded_map_is_synced_before_the_commit_point(void **state)
{
    /* It is written without syncs; but before the log names it, its data, its names and its folder's name are
     * on the disk, and they do not change after that. */
    struct map_meta *meta = NULL;
    struct testing_chunks *chunks = node_make_chunks(*state, "source", 200, &meta);
    char *path = temp_directory_join(*state, "node");
    struct node_stores stores;
    struct storage_error error = {{0}};
    bool committed = false;
    node_prepare(path);
    node_open(path, &stores);
    syscalls.events_count = 0;
    syscalls.recording = true;
    assert_ok(node_install(&stores, chunks, &committed, &error), error);
    syscalls.recording = false;
    assert_in_range(syscalls.events_count, 10, SYSCALLS_RECORDED_MAX - 1);
    ino_t log = inode_of(path, "log/data.mdb");
    ino_t map = inode_of(path, "map-2/data.mdb");
    int commit = 0;
    while (commit < syscalls.events_count &&
           (syscalls.events[commit].sync || syscalls.events[commit].inode != log)) {
        commit++;
    }
    int written = last_write(map, commit);
    assert_in_range(written, 1, commit);
    assert_true(is_synced(map, written, commit));
    assert_true(is_synced(inode_of(path, "map-2"), written, commit));
    assert_true(is_synced(inode_of(*state, "node"), 0, commit));
    assert_false(is_synced(map, 0, written)); /* once, at the end */
    int committed_at = last_write(log, syscalls.events_count);
    for (int i = commit; i < committed_at; i++) {
        assert_true(syscalls.events[i].inode != map);
    }
    node_close(&stores);
    testing_chunks_free(chunks);
    free(meta);
    free(path);
}

/* ---- backup and restore ---- */

static const struct log_identity NEW_CLUSTER = {.node_id = 9,
                                                .disk_id = 77,
                                                .formation = LOG_FORMATION_FORMED,
                                                .cluster_id = {3, 4},
                                                .members_count = 1,
                                                .members = {{9, 77}}};

static enum storage_status write_backup(struct map *map, const char *path, struct storage_error *error)
{
    const struct backup_head head = {.cluster_id = {1, 2}, .node_id = 3};
    return testing_write_backup(map, &head, path, error);
}

static void any_failed_call_of_a_backup(void **state)
{
    char *source = temp_directory_join(*state, "source");
    struct map *map = testing_open_map(source, TESTING_MAP_BYTES);
    struct storage_error error = {{0}};
    struct backup_summary summary;
    node_apply_to(map, 60);
    const int errors[] = {EIO, ENOSPC};
    for (size_t i = 0; i < 2; i++) {
        bool failed = true;
        int k = 0;
        for (; failed; k++) {
            char *path = path_of(*state, "backup", k);
            char *part = path_of(*state, "backup", k);
            part = realloc(part, strlen(part) + 6);
            strcat(part, ".part");
            syscalls_arm(SYSCALLS_FAIL, errors[i], k);
            enum storage_status status = write_backup(map, path, &error);
            failed = syscalls_disarm();
            assert_int_equal(status != STORAGE_OK, failed);
            assert_int_equal(access(part, F_OK), -1);
            bool there = access(path, F_OK) == 0;
            assert_true(there || failed);
            if (there) {
                assert_ok(backup_file_verify(path, NULL, NULL, &summary, &error), error);
                assert_int_equal(summary.applied_index, 60);
                assert_int_equal(unlink(path), 0);
            }
            assert_true(k > 0 || status == (errors[i] == EIO ? STORAGE_FAILED : STORAGE_FULL));
            free(part);
            free(path);
        }
        assert_true(k > 4); /* writes, sync, rename, sync of the folder */
    }
    map_close(map);
    free(source);
}

static enum storage_status restore_backup(const char *backup, const char *data, struct storage_error *error)
{
    struct backup_summary summary;
    const struct backup_restore restore = {.file = backup,
                                           .data = data,
                                           .identity = &NEW_CLUSTER,
                                           .membership = (const uint8_t *)"me",
                                           .membership_size = 2,
                                           .log_map_bytes = TESTING_MAP_BYTES,
                                           .map_bytes = TESTING_MAP_BYTES};
    return backup_restore(&restore, &summary, error);
}

static void any_failed_call_of_a_restore(void **state)
{
    char *source = temp_directory_join(*state, "source");
    char *backup = temp_directory_join(*state, "backup");
    struct map *map = testing_open_map(source, TESTING_MAP_BYTES);
    struct storage_error error = {{0}};
    node_apply_to(map, 60);
    assert_ok(write_backup(map, backup, &error), error);
    map_close(map);
    bool failed = true;
    int empty_count = 0;
    for (int k = 0; failed; k++) {
        char *data = path_of(*state, "data", k);
        syscalls_arm(SYSCALLS_FAIL, EIO, k);
        enum storage_status status = restore_backup(backup, data, &error);
        failed = syscalls_disarm();
        assert_int_equal(status, failed ? STORAGE_FAILED : STORAGE_OK);
        if (failed) {
            /* Begun again: as a rule it is restored now; if the commit failed only in being told, it was
             * before. */
            status = restore_backup(backup, data, &error);
            empty_count += status == STORAGE_OK ? 1 : 0;
            assert_true(status == STORAGE_OK || status == STORAGE_INCOMPATIBLE);
            assert_true(status == STORAGE_OK || strstr(error.text, "belongs to node 9") != NULL);
        }
        struct node_stores stores;
        node_open(data, &stores);
        assert_int_equal(node_count_maps(data), 1);
        assert_int_equal(map_get_meta(stores.map)->applied_index, 60);
        assert_int_equal(testing_log_state(stores.log).base.index, 60);
        testing_assert_counts(stores.map);
        node_close(&stores);
        temp_directory_remove(data);
        assert_true(k < K_MAX);
    }
    assert_true(empty_count > 20);
    free(backup);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(pitfall_17_any_failed_call_of_a_load_and_an_install),
        testing_in_directory(a_full_disk_is_said_to_be_full_where_nothing_live_was_written),
        testing_in_directory(a_disk_without_room_for_a_load_is_full_before_anything_is_written),
        testing_in_directory(pitfall_24_all_of_a_loaded_map_is_synced_before_the_commit_point),
        testing_in_directory(any_failed_call_of_a_backup),
        testing_in_directory(any_failed_call_of_a_restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
