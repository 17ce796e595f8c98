/* test_storage_data_directory.c: the data directory: creation, lock, refused filesystems, left-over maps. */
#include "data_directory.h"
#include "data_directory_internal.h"
#include "storage_file.h"
#include "storage_testing.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool exists(const char *path)
{
    struct stat information;
    return stat(path, &information) == 0;
}

static void make_file(const char *path)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fclose(file);
}

static void what_is_missing_is_created_for_the_owner_only(void **state)
{
    char *path = temp_directory_join(*state, "a/b//c");
    struct data_directory *directory = NULL;
    struct storage_error error = {{0}};
    assert_ok(data_directory_open(path, &directory, &error), error);
    struct stat information;
    assert_int_equal(stat(path, &information), 0);
    assert_int_equal(information.st_mode & 0777, 0700);
    assert_int_equal(stat(data_directory_log_path(directory), &information), 0);
    assert_int_equal(information.st_mode & 0777, 0700);
    data_directory_close(directory);
    assert_ok(data_directory_open(path, &directory, &error), error);
    data_directory_close(directory);
    free(path);
}

static void pitfall_25_a_second_open_is_refused_in_this_process_and_in_another(void **state)
{
    struct data_directory *first = NULL;
    struct data_directory *second = NULL;
    struct storage_error error = {{0}};
    assert_ok(data_directory_open(*state, &first, &error), error);
    assert_int_equal(data_directory_open(*state, &second, &error), STORAGE_LOCKED);
    assert_non_null(strstr(error.text, "in use by another kvd"));
    pid_t child = fork();
    if (child == 0) {
        _exit(data_directory_open(*state, &second, &error) == STORAGE_LOCKED ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    data_directory_close(first);
    assert_ok(data_directory_open(*state, &second, &error), error);
    data_directory_close(second);
}

static void the_lock_goes_with_a_killed_process(void **state)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    struct data_directory *directory = NULL;
    struct storage_error error = {{0}};
    if (child == 0) {
        bool good =
            data_directory_open(*state, &directory, &error) == STORAGE_OK && write(ready[1], "x", 1) == 1;
        _exit(good && pause() == -1 ? 0 : 1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(data_directory_open(*state, &directory, &error), STORAGE_LOCKED);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_ok(data_directory_open(*state, &directory, &error), error);
    data_directory_close(directory);
    close(ready[0]);
    close(ready[1]);
}

static void pitfall_25_network_and_overlay_filesystems_are_refused(void **state)
{
    (void)state;
    assert_string_equal(data_directory_refused_filesystem(0x6969), "nfs");
    assert_string_equal(data_directory_refused_filesystem(0xFF534D42U), "cifs");
    assert_string_equal(data_directory_refused_filesystem(0x517B), "smb");
    assert_string_equal(data_directory_refused_filesystem(0x794C7630U), "overlayfs");
    assert_null(data_directory_refused_filesystem(0xEF53));      /* ext4 */
    assert_null(data_directory_refused_filesystem(0x58465342U)); /* xfs */
    assert_null(data_directory_refused_filesystem(0x9123683EU)); /* btrfs */
    assert_null(data_directory_refused_filesystem(0x01021994U)); /* tmpfs */
}

static void what_is_in_the_way_is_named(void **state)
{
    struct data_directory *directory = NULL;
    struct storage_error error = {{0}};
    char *file = temp_directory_join(*state, "file");
    char *below = temp_directory_join(file, "data");
    make_file(file);
    assert_int_equal(data_directory_open(file, &directory, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, file));
    assert_int_equal(data_directory_open(below, &directory, &error), STORAGE_FAILED);
    assert_int_equal(data_directory_open("", &directory, &error), STORAGE_FAILED);
    free(below);
    free(file);
}

static void a_directory_that_cannot_be_written_is_refused(void **state)
{
    if (geteuid() == 0) {
        /* Root may write everywhere but where nobody can. */
        struct data_directory *directory = NULL;
        struct storage_error error = {{0}};
        assert_int_equal(data_directory_open("/proc/kvd-test", &directory, &error), STORAGE_FAILED);
        assert_non_null(strstr(error.text, "/proc/kvd-test"));
        return;
    }
    struct data_directory *directory = NULL;
    struct storage_error error = {{0}};
    assert_int_equal(chmod(*state, 0500), 0);
    assert_int_equal(data_directory_open(*state, &directory, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, *state));
    assert_int_equal(chmod(*state, 0700), 0);
}

static void only_other_maps_are_removed(void **state)
{
    struct data_directory *directory = NULL;
    struct storage_error error = {{0}};
    assert_ok(data_directory_open(*state, &directory, &error), error);
    const uint64_t generations[] = {1, 2, 13};
    for (size_t i = 0; i < 3; i++) {
        const char *path = data_directory_map_path(directory, generations[i]);
        assert_int_equal(mkdir(path, 0700), 0);
        char *file = temp_directory_join(path, "data.mdb");
        make_file(file);
        free(file);
    }
    const char *kept_names[] = {"map-", "map-02", "map-x", "mine"};
    for (size_t i = 0; i < 4; i++) {
        char *path = temp_directory_join(*state, kept_names[i]);
        assert_int_equal(mkdir(path, 0700), 0);
        free(path);
    }
    assert_ok(data_directory_remove_other_maps(directory, 2, &error), error);
    assert_false(exists(data_directory_map_path(directory, 1)));
    assert_true(exists(data_directory_map_path(directory, 2)));
    assert_false(exists(data_directory_map_path(directory, 13)));
    assert_true(exists(data_directory_log_path(directory)));
    for (size_t i = 0; i < 4; i++) {
        char *path = temp_directory_join(*state, kept_names[i]);
        assert_true(exists(path));
        free(path);
    }
    data_directory_close(directory);
}

static void a_lock_file_that_cannot_be_opened_is_named(void **state)
{
    struct data_directory *directory = NULL;
    struct storage_error error = {{0}};
    char *lock = temp_directory_join(*state, "LOCK");
    assert_int_equal(mkdir(lock, 0700), 0);
    assert_int_equal(data_directory_open(*state, &directory, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, lock));
    assert_null(directory);
    data_directory_close(directory); /* NULL is allowed */
    free(lock);
}

static void a_map_that_cannot_be_removed_is_named(void **state)
{
    struct data_directory *directory = NULL;
    struct storage_error error = {{0}};
    char *path = temp_directory_join(*state, "data");
    assert_ok(data_directory_open(path, &directory, &error), error);
    char *below = temp_directory_join(path, "map-7/below");
    assert_ok(storage_create_directory(below, &error), error); /* not a plain file: not ours */
    assert_int_equal(data_directory_remove_other_maps(directory, 1, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, "map-7"));
    assert_true(exists(below));

    temp_directory_remove(strdup(path));
    assert_int_equal(data_directory_remove_other_maps(directory, 1, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, path));
    data_directory_close(directory);
    free(below);
    free(path);
}

static void folders_that_cannot_be_synced_or_removed_are_named(void **state)
{
    struct storage_error error = {{0}};
    char *missing = temp_directory_join(*state, "missing");
    assert_int_equal(storage_sync_directory(missing, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, missing));
    assert_int_equal(storage_remove_directory(missing, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, missing));
    char *dot = temp_directory_join(*state, "."); /* it can be listed, but not removed under this name */
    assert_int_equal(storage_remove_directory(dot, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, "remove the directory"));
    free(dot);
    free(missing);
}

static void a_path_may_be_relative_and_end_with_a_slash(void **state)
{
    struct storage_error error = {{0}};
    char *before = getcwd(NULL, 0);
    assert_non_null(before);
    assert_int_equal(chdir(*state), 0);
    enum storage_status first = storage_create_directory("data//", &error);
    enum storage_status second = storage_create_directory("data", &error);
    bool there = exists("data");
    enum storage_status removed = storage_remove_directory("data/", &error);
    bool there_still = exists("data");
    assert_int_equal(chdir(before), 0);
    free(before);
    assert_int_equal(first, STORAGE_OK);
    assert_int_equal(second, STORAGE_OK);
    assert_true(there);
    assert_int_equal(removed, STORAGE_OK);
    assert_false(there_still);
    assert_ok(storage_create_directory("/", &error), error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(what_is_missing_is_created_for_the_owner_only),
        testing_in_directory(pitfall_25_a_second_open_is_refused_in_this_process_and_in_another),
        testing_in_directory(the_lock_goes_with_a_killed_process),
        testing_in_directory(pitfall_25_network_and_overlay_filesystems_are_refused),
        testing_in_directory(what_is_in_the_way_is_named),
        testing_in_directory(a_directory_that_cannot_be_written_is_refused),
        testing_in_directory(only_other_maps_are_removed),
        testing_in_directory(a_lock_file_that_cannot_be_opened_is_named),
        testing_in_directory(a_map_that_cannot_be_removed_is_named),
        testing_in_directory(folders_that_cannot_be_synced_or_removed_are_named),
        testing_in_directory(a_path_may_be_relative_and_end_with_a_slash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
