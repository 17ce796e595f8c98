/* test_storage_faults.c: fdatasync, pwrite, writev and others that fail when they are told to: they stand
 * here, in the executable, in place of the C library's, and LMDB calls them.
 *
 * For each k the k-th call fails, until an operation gets through without a failure (every k, so every
 * place).
 */
#include "data_directory.h"
#include "log_store_internal.h"
#include "storage_testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum fault { FAULT_NONE, FAULT_ERROR, FAULT_SHORT };

/* The one place where state is shared with what the library calls: it has no other way in. */
static struct {
    atomic_int calls_left; /* until the failing one */
    atomic_int failures;
    int error;
    enum fault fault;
    ino_t watched;      /* a folder */
    int watched_synced; /* how often it was */
    bool watched_fails;
    uint32_t filesystem; /* what statfs says; 0: that it does not know */
    bool statfs_is_ours;
    bool locks_fail;
} faults;

static enum fault next_fault(void)
{
    if (faults.fault == FAULT_NONE || atomic_fetch_sub(&faults.calls_left, 1) != 0) {
        return FAULT_NONE;
    }
    atomic_fetch_add(&faults.failures, 1);
    errno = faults.error;
    return faults.fault;
}

static void arm(enum fault fault, int error, int k)
{
    faults.fault = fault;
    faults.error = error;
    atomic_store(&faults.calls_left, k);
    atomic_store(&faults.failures, 0);
}

static bool disarm(void)
{
    faults.fault = FAULT_NONE;
    return atomic_load(&faults.failures) > 0;
}

int fdatasync(int descriptor)
{
    return next_fault() == FAULT_NONE ? (int)syscall(SYS_fdatasync, descriptor) : -1;
}

int fsync(int descriptor)
{
    struct stat information;
    if (faults.watched != 0 && fstat(descriptor, &information) == 0 && information.st_ino == faults.watched) {
        faults.watched_synced++;
        if (faults.watched_fails) {
            errno = EIO;
            return -1;
        }
    }
    return (int)syscall(SYS_fsync, descriptor);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset)
{
    switch (next_fault()) {
    case FAULT_ERROR:
        return -1;
    case FAULT_SHORT:
        size /= 2;
        break;
    case FAULT_NONE:
        break;
    }
    return syscall(SYS_pwrite64, descriptor, bytes, size, offset);
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count)
{
    switch (next_fault()) {
    case FAULT_ERROR:
        return -1;
    case FAULT_SHORT:
        return syscall(SYS_write, descriptor, pieces[0].iov_base, pieces[0].iov_len / 2);
    case FAULT_NONE:
        break;
    }
    return syscall(SYS_writev, descriptor, pieces, (long)count);
}

int statfs(const char *path, struct statfs *information)
{
    if (!faults.statfs_is_ours) {
        return (int)syscall(SYS_statfs, path, information);
    }
    *information = (struct statfs){.f_type = (__typeof__(information->f_type))faults.filesystem};
    errno = EIO;
    return faults.filesystem == 0 ? -1 : 0;
}

int fcntl(int descriptor, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (command == F_OFD_SETLK && faults.locks_fail) {
        errno = ENOLCK;
        return -1;
    }
    return (int)syscall(SYS_fcntl, descriptor, command, argument);
}

static uint8_t large[20000];

/* ---- the log ---- */

static void fail_log_write_at(const char *directory, enum fault fault, int error_number, int k, bool *failed)
{
    struct storage_error error = {{0}};
    struct log_store *store = testing_open_log(directory, TESTING_MAP_BYTES);
    struct log_store_state before = testing_log_state(store);
    uint64_t index = before.last.index + 1;
    assert_ok(testing_append(store, index, 1, large, sizeof large, &error), error);

    arm(fault, error_number, k);
    enum storage_status status = testing_append(store, index + 1, 1, large, sizeof large, &error);
    *failed = disarm();
    assert_int_equal(status, *failed ? STORAGE_FAILED : STORAGE_OK);
    if (*failed) {
        /* Pitfalls 17, 18: the disk is fine again, and still nothing is written as if nothing had been. */
        assert_int_equal(testing_log_state(store).last.index, index);
        assert_int_equal(testing_append(store, index + 1, 1, large, sizeof large, &error), STORAGE_FAILED);
        assert_non_null(strstr(error.text, "earlier write failed"));
        const struct log_hard_state hard_state = {.term = 9, .vote = 1};
        const struct log_write write = {.hard_state = &hard_state};
        assert_int_equal(log_store_write(store, &write, &error), STORAGE_FAILED);
        const struct log_identity identity = {.node_id = 1};
        assert_int_equal(log_store_write_identity(store, &identity, &error), STORAGE_FAILED);
    }
    log_store_close(store);

    /* After a restart: all that was acknowledged; the failed one wholly or not at all. */
    store = testing_open_log(directory, TESTING_MAP_BYTES);
    struct log_store_state after = testing_log_state(store);
    assert_in_range(after.last.index, index, index + 1);
    assert_true(*failed || after.last.index == index + 1);
    assert_int_equal(after.hard_state.term, 0);
    log_store_close(store);
}

static void loop_log(const char *directory, enum fault fault, int error_number)
{
    bool failed = true;
    int k = 0;
    for (; failed; k++) {
        assert_true(k < 100);
        fail_log_write_at(directory, fault, error_number, k, &failed);
    }
    assert_true(k > 3); /* data, sync, meta at the least: the faults do reach LMDB */
}

static void pitfall_18_any_failed_call_of_a_commit_poisons_the_log(void **state)
{
    loop_log(*state, FAULT_ERROR, EIO);
}

static void a_full_disk_that_shows_as_an_error_poisons_the_log(void **state)
{
    loop_log(*state, FAULT_ERROR, ENOSPC);
}

static void a_write_that_cannot_even_begin_poisons_the_log(void **state)
{
    /* Pitfall 18: after a meta page that failed LMDB refuses every transaction. Here it is another writer of
     * the environment that met the failure, so that the store learns of it by its own next write. */
    struct storage_error error = {{0}};
    bool refused = false;
    for (int k = 0; k < 10 && !refused; k++) {
        char name[16];
        snprintf(name, sizeof name, "%d", k);
        char *path = temp_directory_join(*state, name);
        assert_int_equal(mkdir(path, 0700), 0);
        struct log_store *store = testing_open_log(path, TESTING_MAP_BYTES);
        MDB_txn *transaction = NULL;
        uint64_t index = 1;
        MDB_val key = {sizeof index, &index};
        MDB_val value = {sizeof large, large};
        assert_int_equal(mdb_txn_begin(store->environment, NULL, 0, &transaction), 0);
        assert_int_equal(mdb_put(transaction, store->entries, &key, &value, 0), 0);
        arm(FAULT_ERROR, EIO, k);
        int result = mdb_txn_commit(transaction);
        assert_int_equal(disarm(), result != 0);
        const struct log_hard_state hard_state = {.term = 9, .vote = 1};
        const struct log_write write = {.hard_state = &hard_state};
        if (log_store_write(store, &write, &error) != STORAGE_OK) {
            refused = true;
            assert_non_null(strstr(error.text, "beginning a write to the log"));
            assert_int_equal(log_store_write(store, &write, &error), STORAGE_FAILED);
            assert_non_null(strstr(error.text, "earlier write failed"));
            assert_int_equal(testing_log_state(store).hard_state.term, 0);
        }
        log_store_close(store);
        free(path);
    }
    assert_true(refused);
}

/* ---- the map ---- */

static void fail_checkpoint_at(const char *directory, int k, bool *failed)
{
    struct storage_error error = {{0}};
    struct map *map = testing_open_map(directory, TESTING_MAP_BYTES);
    uint64_t durable = map_durable_index(map);
    char text[32];
    snprintf(text, sizeof text, "%d", k);
    testing_put_text(map, "k", text, 0);
    testing_put(map, "large", 5, large, sizeof large, 0);
    struct map_checkpoint *checkpoint = map_freeze(map);
    arm(FAULT_ERROR, EIO, k);
    enum storage_status status = map_checkpoint_write(checkpoint, &error);
    *failed = disarm();
    assert_int_equal(status, *failed ? STORAGE_FAILED : STORAGE_OK);
    if (*failed) {
        /* The disk is fine again, and still nothing is written. What is read stands: the stop is that of a
         * failed write, not of a damaged map. */
        assert_int_equal(map_checkpoint_write(checkpoint, &error), STORAGE_FAILED);
        assert_non_null(strstr(error.text, "earlier checkpoint failed"));
        assert_null(map_error(map));
        testing_assert_text(map, "k", text);
        testing_assert_counts(map);
        assert_int_equal(map_durable_index(map), durable);
    }
    map_close(map);
    /* Pitfall 11: data and index together, whichever of the two it was. */
    map = testing_open_map(directory, TESTING_MAP_BYTES);
    testing_assert_counts(map);
    uint64_t found = map_durable_index(map);
    assert_true(found == durable || found == durable + 2);
    if (found == durable + 2) {
        testing_assert_text(map, "k", text);
    } else {
        assert_true(*failed);
    }
    map_close(map);
}

static void pitfall_17_any_failed_call_of_a_checkpoint_poisons_the_map(void **state)
{
    bool failed = true;
    int k = 0;
    for (; failed; k++) {
        assert_true(k < 100);
        fail_checkpoint_at(*state, k, &failed);
    }
    assert_true(k > 3);
}

static void a_short_write_is_a_failure_too(void **state)
{
    /* The first call of a commit writes pages (a sync cannot be short). */
    bool failed = false;
    fail_log_write_at(*state, FAULT_SHORT, EIO, 0, &failed);
    assert_true(failed);
}

/* ---- creation ---- */

static void a_creation_that_failed_is_begun_anew_at_the_next_start(void **state)
{
    /* The disk was full at the first start: that is no damage once there is room. */
    const enum fault kinds[] = {FAULT_ERROR, FAULT_SHORT};
    for (size_t i = 0; i < 2; i++) {
        bool failed = true;
        for (int k = 0; failed; k++) {
            char name[32];
            snprintf(name, sizeof name, "%d-%d", (int)i, k);
            char *path = temp_directory_join(*state, name);
            const struct map_options options = {.directory = path, .map_bytes = TESTING_MAP_BYTES};
            struct map *map = NULL;
            struct storage_error error = {{0}};
            assert_true(k < 100);
            arm(kinds[i], ENOSPC, k);
            enum storage_status status = map_open(&options, &map, &error);
            failed = disarm();
            if (status == STORAGE_OK) {
                map_close(map);
            }
            map_close(testing_open_map(path, TESTING_MAP_BYTES));
            free(path);
        }
    }
}

/* ---- folders ---- */

static void watch(const char *path, bool fails)
{
    struct stat information;
    assert_int_equal(stat(path, &information), 0);
    faults.watched = information.st_ino;
    faults.watched_synced = 0;
    faults.watched_fails = fails;
}

static void a_name_whose_sync_failed_is_synced_at_the_next_start(void **state)
{
    /* A folder that is there may be that of a kvd that died, or was told of an error, between creating it and
     * making its name durable. */
    char *path = temp_directory_join(*state, "data");
    struct storage_error error = {{0}};
    struct data_directory *directory = NULL;
    watch(*state, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(data_directory_open(path, &directory, &error), STORAGE_FAILED);
        assert_non_null(strstr(error.text, *state));
    }
    watch(*state, false);
    assert_ok(data_directory_open(path, &directory, &error), error);
    assert_true(faults.watched_synced > 0);

    watch(path, false);
    assert_int_equal(mkdir(data_directory_map_path(directory, 1), 0700), 0);
    map_close(testing_open_map(data_directory_map_path(directory, 1), TESTING_MAP_BYTES));
    assert_true(faults.watched_synced > 0);
    faults.watched = 0;
    data_directory_close(directory);
    free(path);
}

static void a_log_whose_folder_cannot_be_synced_is_not_opened(void **state)
{
    /* LMDB has just created its files there: a power cut would take their names away. */
    struct log_store *store = NULL;
    struct storage_error error = {{0}};
    const struct log_store_options options = {.directory = *state, .map_bytes = TESTING_MAP_BYTES};
    watch(*state, true);
    assert_int_equal(log_store_open(&options, &store, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, "sync the directory"));
    assert_null(store);
    watch(*state, false);
    assert_ok(log_store_open(&options, &store, &error), error);
    faults.watched = 0;
    log_store_close(store);
}

static void a_data_directory_on_a_network_is_refused(void **state)
{
    /* Pitfall 25. */
    struct data_directory *directory = NULL;
    struct storage_error error = {{0}};
    faults.statfs_is_ours = true;
    faults.filesystem = 0x6969;
    enum storage_status on_nfs = data_directory_open(*state, &directory, &error);
    bool named = strstr(error.text, "nfs") != NULL && strstr(error.text, *state) != NULL;
    faults.filesystem = 0;
    enum storage_status unknown = data_directory_open(*state, &directory, &error);
    faults.statfs_is_ours = false;
    assert_int_equal(on_nfs, STORAGE_INCOMPATIBLE);
    assert_true(named);
    assert_int_equal(unknown, STORAGE_FAILED);
    assert_non_null(strstr(error.text, "examine the filesystem"));
    assert_null(directory);
}

static void a_lock_that_cannot_be_had_is_not_taken_for_another_kvd(void **state)
{
    struct data_directory *directory = NULL;
    struct storage_error error = {{0}};
    faults.locks_fail = true;
    enum storage_status status = data_directory_open(*state, &directory, &error);
    faults.locks_fail = false;
    assert_int_equal(status, STORAGE_FAILED);
    assert_non_null(strstr(error.text, "cannot lock"));
    assert_ok(data_directory_open(*state, &directory, &error), error); /* nothing was left behind */
    data_directory_close(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(pitfall_18_any_failed_call_of_a_commit_poisons_the_log),
        testing_in_directory(a_full_disk_that_shows_as_an_error_poisons_the_log),
        testing_in_directory(pitfall_17_any_failed_call_of_a_checkpoint_poisons_the_map),
        testing_in_directory(a_short_write_is_a_failure_too),
        testing_in_directory(a_creation_that_failed_is_begun_anew_at_the_next_start),
        testing_in_directory(a_name_whose_sync_failed_is_synced_at_the_next_start),
        testing_in_directory(a_write_that_cannot_even_begin_poisons_the_log),
        testing_in_directory(a_log_whose_folder_cannot_be_synced_is_not_opened),
        testing_in_directory(a_data_directory_on_a_network_is_refused),
        testing_in_directory(a_lock_that_cannot_be_had_is_not_taken_for_another_kvd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
