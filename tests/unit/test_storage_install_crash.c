/* test_storage_install_crash.c: a child that loads a snapshot and installs it, or restores a backup, is
 * killed with SIGKILL before each system call that changes the disk, one after the other: every step there
 * is. Whatever the step, the node starts with the old state or the new one, never a mix, and with no folder
 * left over (pitfall 12).
 */
#include "backup_restore.h"
#include "backup_testing.h"
#include "storage_nodes.h"
#include "storage_syscalls.h"

#include <sys/wait.h>

/* Runs `body` in a child that dies before its k-th call; false when it came to its end before that. */
static bool dies_at(int k, void (*body)(void *context), void *context)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        syscalls_arm(SYSCALLS_KILL, 0, k);
        body(context);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

struct install {
    const char *path;
    const struct testing_chunks *chunks;
};

/* Never returns but for success. */
static void start_and_install(void *context)
{
    const struct install *install = context;
    struct node_stores stores;
    struct storage_error error;
    bool committed = false;
    if (node_try_open(install->path, &stores, &error) != STORAGE_OK ||
        node_install(&stores, install->chunks, &committed, &error) != STORAGE_OK || !committed) {
        _exit(1);
    }
    node_close(&stores);
}

static void kill_at_every_step(const char *directory, uint64_t applied)
{
    struct map_meta *meta = NULL;
    struct testing_chunks *chunks = node_make_chunks(directory, "source", applied, &meta);
    int old_count = 0;
    int new_count = 0;
    bool dies = true;
    for (int k = 0; dies; k++) {
        char name[16];
        snprintf(name, sizeof name, "%d", k);
        struct install install = {.path = temp_directory_join(directory, name), .chunks = chunks};
        node_prepare(install.path);
        dies = dies_at(k, start_and_install, &install);
        bool is_new = node_is_new(install.path, meta);
        assert_true(is_new || dies);
        assert_true(is_new || new_count == 0); /* there is one commit point */
        old_count += is_new ? 0 : 1;
        new_count += is_new ? 1 : 0;
        if (!is_new) {
            /* The next try begins anew, and succeeds. */
            start_and_install(&install);
            assert_true(node_is_new(install.path, meta));
        }
        char *path = strdup(install.path);
        temp_directory_remove(path);
        free((char *)(uintptr_t)install.path);
        assert_true(k < 1000);
    }
    /* The steps of loading, and those of the end: removing the old map, opening the new one. */
    assert_true(old_count > 20);
    assert_true(new_count > 5);
    testing_chunks_free(chunks);
    free(meta);
}

static void pitfall_12_killed_at_every_step_of_an_install_that_empties_the_log(void **state)
{
    kill_at_every_step(*state, 200);
}

static void pitfall_13_killed_at_every_step_of_an_install_that_keeps_entries(void **state)
{
    kill_at_every_step(*state, 20);
}

/* ---- backup and restore ---- */

static const struct log_identity NEW_CLUSTER = {.node_id = 9,
                                                .disk_id = 77,
                                                .formation = LOG_FORMATION_FORMED,
                                                .cluster_id = {3, 4},
                                                .members_count = 1,
                                                .members = {{9, 77}}};

struct files {
    const char *backup;
    const char *data;
    struct map *map;
};

static void write_backup(void *context)
{
    const struct files *files = context;
    const struct backup_head head = {.cluster_id = {1, 2}, .node_id = 3};
    struct storage_error error;
    if (testing_write_backup(files->map, &head, files->backup, &error) != STORAGE_OK) {
        _exit(1);
    }
}

static void restore_backup(void *context)
{
    const struct files *files = context;
    struct storage_error error;
    struct backup_summary summary;
    const struct backup_restore restore = {.file = files->backup,
                                           .data = files->data,
                                           .identity = &NEW_CLUSTER,
                                           .membership = (const uint8_t *)"me",
                                           .membership_size = 2,
                                           .log_map_bytes = TESTING_MAP_BYTES,
                                           .map_bytes = TESTING_MAP_BYTES};
    if (backup_restore(&restore, &summary, &error) != STORAGE_OK) {
        _exit(1);
    }
}

static bool is_restored(const struct files *files)
{
    struct node_stores stores;
    struct storage_error error = {{0}};
    struct log_identity identity;
    bool found = false;
    node_open(files->data, &stores); /* as a kvd that is started on it by mistake, too */
    assert_ok(log_store_read_identity(stores.log, &identity, &found, &error), error);
    assert_int_equal(node_count_maps(files->data), 1);
    testing_assert_counts(stores.map);
    assert_int_equal(map_get_meta(stores.map)->applied_index, found ? 60 : 0);
    assert_int_equal(testing_log_state(stores.log).base.index, found ? 60 : 0);
    assert_true(!found || identity.cluster_id[0] == 3);
    node_close(&stores);
    return found;
}

static void killed_at_every_step_of_a_restore(void **state)
{
    char *source = temp_directory_join(*state, "source");
    struct files files = {.backup = temp_directory_join(*state, "backup")};
    files.map = testing_open_map(source, TESTING_MAP_BYTES);
    node_apply_to(files.map, 60);
    write_backup(&files);
    map_close(files.map); /* nobody forks with an open environment (pitfall 25) */
    int empty_count = 0;
    int restored_count = 0;
    bool dies = true;
    for (int k = 0; dies; k++) {
        char name[16];
        snprintf(name, sizeof name, "data-%d", k);
        char *data = temp_directory_join(*state, name);
        files.data = data;
        dies = dies_at(k, restore_backup, &files);
        if (k % 2 == 0 && dies) {
            /* Begun again at once; it does so only where the first one did not come to its end. */
            struct storage_error error;
            struct log_store *log = NULL;
            struct log_identity identity;
            bool found = false;
            char *log_path = temp_directory_join(data, "log/data.mdb");
            bool begun = access(log_path, F_OK) == 0;
            free(log_path);
            log_path = temp_directory_join(data, "log");
            if (begun) {
                log = testing_open_log(log_path, TESTING_MAP_BYTES);
                assert_ok(log_store_read_identity(log, &identity, &found, &error), error);
                log_store_close(log);
            }
            if (!found) {
                restore_backup(&files);
                empty_count++;
            }
            free(log_path);
            assert_true(is_restored(&files));
        } else {
            bool restored = is_restored(&files);
            assert_true(restored || dies);
            restored_count += restored ? 1 : 0;
            empty_count += restored ? 0 : 1;
        }
        temp_directory_remove(data);
        assert_true(k < 1000);
    }
    assert_true(empty_count > 20 && restored_count > 0);
    free((char *)(uintptr_t)files.backup);
    free(source);
}

static void killed_at_every_step_of_a_backup(void **state)
{
    char *source = temp_directory_join(*state, "source");
    struct files files = {.backup = temp_directory_join(*state, "backup")};
    struct map *map = testing_open_map(source, TESTING_MAP_BYTES);
    struct storage_error error = {{0}};
    struct backup_summary summary;
    node_apply_to(map, 60);
    int whole_count = 0;
    bool dies = true;
    map_close(map);
    for (int k = 0; dies; k++) {
        pid_t child = fork();
        if (child == 0) {
            files.map = testing_open_map(source, TESTING_MAP_BYTES);
            syscalls_arm(SYSCALLS_KILL, 0, k);
            write_backup(&files);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        dies = WIFSIGNALED(status);
        assert_true(dies || WEXITSTATUS(status) == 0);
        if (access(files.backup, F_OK) == 0) {
            assert_ok(backup_file_verify(files.backup, NULL, NULL, &summary, &error), error);
            assert_int_equal(summary.applied_index, 60);
            assert_int_equal(unlink(files.backup), 0);
            whole_count++;
        } else {
            assert_true(dies);
        }
    }
    assert_true(whole_count > 0);
    free((char *)(uintptr_t)files.backup);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(pitfall_12_killed_at_every_step_of_an_install_that_empties_the_log),
        testing_in_directory(pitfall_13_killed_at_every_step_of_an_install_that_keeps_entries),
        testing_in_directory(killed_at_every_step_of_a_restore),
        testing_in_directory(killed_at_every_step_of_a_backup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
