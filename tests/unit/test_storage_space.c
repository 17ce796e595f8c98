/* Unit tests of space_reserve.c and free_pages.c, and of what log and map do with them (pitfalls 17, 18,
 * 19).
 *
 * fallocate() and fstatvfs() below are those of a small disk that the test fills and empties. pwrite() and
 * writev() see that nothing is ever written to data.mdb where it has no blocks: there a full disk would be
 * a failed commit.
 */
#include "free_pages.h"
#include "log_store_internal.h"
#include "map_internal.h"
#include "storage_testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 8, MIB = 1024 * 1024, PAGE = 4096 };

/* The one place where state is shared with what the library calls: it has no other way in. */
static struct {
    uint64_t free_bytes;
    int error; /* of fallocate(); 0: none */
    uint64_t calls;
    uint64_t writes_checked;
    bool written_beyond;
    uint64_t ahead_from,
        ahead_to; /* where zeros were written by the last of these calls; how many were there */
    uint64_t ahead_writes;
    bool ahead_fails;
    struct disk_file {
        ino_t inode;
        uint64_t allocated_bytes;
    } files[FILES_MAX];
} disk;

static void disk_reset(uint64_t free_bytes)
{
    memset(&disk, 0, sizeof disk);
    disk.free_bytes = free_bytes;
}

static struct disk_file *disk_find(int descriptor, bool add)
{
    struct stat information;
    if (fstat(descriptor, &information) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (disk.files[i].inode == information.st_ino || (add && disk.files[i].inode == 0)) {
            disk.files[i].inode = information.st_ino;
            return &disk.files[i];
        }
    }
    return NULL;
}

int fallocate(int descriptor, int mode, off_t from, off_t size)
{
    struct disk_file *file = disk_find(descriptor, true);
    uint64_t to = (uint64_t)(from + size);
    assert_int_equal(mode, 0);
    assert_non_null(file);
    disk.calls++;
    uint64_t more = to > file->allocated_bytes ? to - file->allocated_bytes : 0;
    if (disk.error != 0 || more > disk.free_bytes) {
        errno = disk.error != 0 ? disk.error : ENOSPC;
        return -1;
    }
    assert_true((uint64_t)from <= file->allocated_bytes); /* no holes */
    struct stat information;
    if (fstat(descriptor, &information) == 0 && (uint64_t)information.st_size < to) {
        assert_int_equal(ftruncate(descriptor, (off_t)to), 0);
    }
    disk.free_bytes -= more;
    file->allocated_bytes += more;
    return 0;
}

int fstatvfs(int descriptor, struct statvfs *information)
{
    (void)descriptor;
    *information = (struct statvfs){.f_frsize = 1, .f_bavail = disk.free_bytes};
    return 0;
}

/* A file is looked at once it was extended: what creates it comes before. */
static void check_write(int descriptor, size_t size, off_t offset)
{
    const struct disk_file *file = disk_find(descriptor, false);
    if (file != NULL) {
        disk.writes_checked++;
        disk.written_beyond = disk.written_beyond || (uint64_t)offset + size > file->allocated_bytes;
    }
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset)
{
    check_write(descriptor, size, offset);
    return syscall(SYS_pwrite64, descriptor, bytes, size, offset);
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        size += pieces[i].iov_len;
    }
    check_write(descriptor, size, lseek(descriptor, 0, SEEK_CUR));
    return syscall(SYS_writev, descriptor, pieces, (long)count);
}

/* That is how zeros are written ahead (space_reserve.h). */
ssize_t pwritev(int descriptor, const struct iovec *pieces, int count, off_t offset)
{
    assert_int_equal(count, 1);
    check_write(descriptor, pieces[0].iov_len, offset);
    disk.ahead_writes++;
    disk.ahead_from = (uint64_t)offset;
    disk.ahead_to = (uint64_t)offset + pieces[0].iov_len;
    if (disk.ahead_fails) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwrite64, descriptor, pieces[0].iov_base, pieces[0].iov_len, offset);
}

static uint8_t bytes[300 * 1024];

static struct log_store *open_log(const char *directory, uint64_t reserve_bytes)
{
    struct log_store *store = NULL;
    struct storage_error error = {{0}};
    const struct log_store_options options = {
        .directory = directory, .map_bytes = 256 * MIB, .reserve_bytes = reserve_bytes};
    assert_ok(log_store_open(&options, &store, &error), error);
    return store;
}

static struct map *open_map(const char *directory, uint64_t reserve_bytes)
{
    struct map *map = NULL;
    struct storage_error error = {{0}};
    const struct map_options options = {.directory = directory,
                                        .map_bytes = 256 * MIB,
                                        .hash_seed = 42,
                                        .buffer_bytes_max = 1024 * 1024,
                                        .reserve_bytes = reserve_bytes};
    assert_ok(map_open(&options, &map, &error), error);
    return map;
}

static bool log_is_low(const struct log_store *store)
{
    struct storage_space space;
    log_store_get_space(store, &space);
    return space.low;
}

static bool map_is_low(const struct map *map)
{
    struct storage_space space;
    map_get_space(map, &space);
    return space.low;
}

static uint64_t end_of_log(const struct log_store *store)
{
    MDB_envinfo information;
    assert_int_equal(mdb_env_info(store->environment, &information), 0);
    return ((uint64_t)information.me_last_pgno + 1) * PAGE;
}

/* ---- writing ahead ---- */

static void count_entry(void *context, const struct log_entry *entry)
{
    uint64_t *count = context;
    assert_int_equal(entry->size, 3000);
    ++*count;
}

static void zeros_are_written_behind_the_end_before_small_entries_come_there(void **state)
{
    disk_reset(64 * MIB);
    struct log_store *store = open_log(*state, 2 * MIB);
    struct storage_error error = {{0}};
    uint64_t begun = 0, last = 0;
    while (end_of_log(store) < 4 * MIB) {
        uint64_t end = end_of_log(store), writes = disk.ahead_writes;
        assert_ok(testing_append(store, ++last, 1, bytes, 3000, &error), error);
        begun += disk.ahead_writes > writes ? 1 : 0;
        assert_true(disk.ahead_to > end_of_log(store)); /* what it wrote lies where zeros were */
        if (disk.ahead_writes > writes) {
            assert_true(disk.ahead_to > end + 256 * 1024 && disk.ahead_to <= end + 512 * 1024);
        }
    }
    assert_in_range(begun, 4 * MIB / (512 * 1024), 4 * MIB / (200 * 1024)); /* once for many entries */
    assert_false(disk.written_beyond);
    log_store_close(store);
    store = open_log(*state, 2 * MIB); /* nothing that is there is written over */
    assert_ok(testing_append(store, last + 1, 1, bytes, 3000, &error), error);
    uint64_t read = 0; /* each has a checksum */
    assert_ok(log_store_read(store, 1, last + 1, SIZE_MAX, count_entry, &read, &error), error);
    assert_int_equal(read, last + 1);
    log_store_close(store);
}

static void large_entries_have_no_zeros_written_ahead(void **state)
{
    disk_reset(64 * MIB);
    struct log_store *store = open_log(*state, 2 * MIB);
    struct storage_error error = {{0}};
    assert_ok(testing_append(store, 1, 1, bytes, 100, &error), error);
    uint64_t writes = disk.ahead_writes;
    struct log_entry entries[8];
    for (uint64_t i = 0; i < 8; i++) {
        entries[i] =
            (struct log_entry){.id = {1, 2 + i}, .type = 2, .bytes = bytes, .size = (uint32_t)sizeof bytes};
    }
    const struct log_write write = {.entries = entries, .entries_count = 8};
    assert_ok(log_store_write(store, &write, &error), error);
    assert_int_equal(disk.ahead_writes, writes);
    log_store_close(store);
}

static void what_cannot_be_written_ahead_is_not_missed(void **state)
{
    disk_reset(64 * MIB);
    disk.ahead_fails = true;
    struct log_store *store = open_log(*state, 2 * MIB);
    struct storage_error error = {{0}};
    for (uint64_t index = 1; index <= 300; index++) {
        assert_ok(testing_append(store, index, 1, bytes, 3000, &error), error);
    }
    assert_in_range(disk.ahead_writes, 1, 310); /* one try for each */
    log_store_close(store);
}

/* ---- the log ---- */

static void pitfall_19_a_log_on_a_full_disk_says_so_and_goes_on_when_there_is_room(void **state)
{
    disk_reset(4 * MIB);
    struct log_store *store = open_log(*state, 2 * MIB);
    struct storage_error error = {{0}};
    assert_false(log_is_low(store));
    uint64_t last = 0;
    bool was_low = false;
    enum storage_status status = STORAGE_OK;
    while (status == STORAGE_OK) {
        status = testing_append(store, last + 1, 1, bytes, 20000, &error);
        last += status == STORAGE_OK ? 1 : 0;
        was_low = was_low || (log_is_low(store) && status == STORAGE_OK);
        assert_true(last < 1000);
    }
    assert_int_equal(status, STORAGE_FULL);
    assert_true(was_low); /* before it was full */
    assert_non_null(strstr(error.text, "no room left on the disk"));
    assert_int_equal(testing_log_state(store).last.index, last);
    /* A vote still goes, and so does compaction, which makes room for entries. */
    const struct log_hard_state hard_state = {.term = 4, .vote = 1};
    const struct log_write vote = {.hard_state = &hard_state};
    assert_ok(log_store_write(store, &vote, &error), error);
    assert_int_equal(testing_append(store, last + 1, 4, bytes, 20000, &error), STORAGE_FULL);
    const struct log_write compaction = {.compact_to = last - 2, .compact_entries_max = 1000};
    assert_ok(log_store_write(store, &compaction, &error), error);
    assert_ok(testing_append(store, last + 1, 4, bytes, 20000, &error), error);
    assert_true(log_is_low(store) || disk.free_bytes == 0);
    /* Room on the disk: nothing is low any more. */
    disk.free_bytes = 64 * MIB;
    assert_ok(testing_append(store, last + 2, 4, bytes, 20000, &error), error);
    assert_false(log_is_low(store));
    log_store_close(store);
    store = open_log(*state, 2 * MIB);
    assert_int_equal(testing_log_state(store).last.index, last + 2);
    assert_int_equal(testing_log_state(store).hard_state.term, 4);
    log_store_close(store);
    assert_false(disk.written_beyond);
    assert_true(disk.writes_checked > 100);
}

static void a_log_without_room_opens_and_says_that_it_is_low(void **state)
{
    disk_reset(4 * MIB);
    struct log_store *store = open_log(*state, 2 * MIB);
    struct storage_error error = {{0}};
    uint64_t last = 0;
    while (testing_append(store, last + 1, 1, bytes, 20000, &error) == STORAGE_OK) {
        last++;
    }
    log_store_close(store);
    store = open_log(*state, 2 * MIB);
    assert_int_equal(testing_log_state(store).last.index, last);
    assert_true(log_is_low(store));
    assert_int_equal(testing_append(store, last + 1, 1, bytes, 20000, &error), STORAGE_FULL);
    log_store_close(store);
}

struct log_history {
    struct log_store *store;
    uint64_t random;
    uint64_t acknowledged; /* last index */
    uint64_t full_count, ok_count;
};

static void write_log_at_random(struct log_history *history)
{
    struct log_entry entries[8];
    struct log_store_state state = testing_log_state(history->store);
    uint64_t first = state.last.index + 1;
    if (testing_random_below(&history->random, 10) == 0 && state.last.index > state.base.index + 5) {
        first -= 1 + testing_random_below(&history->random, 4); /* overwrites some */
    }
    size_t count = 1 + testing_random_below(&history->random, 8);
    for (size_t i = 0; i < count; i++) {
        uint64_t limit = testing_random_below(&history->random, 4) == 0 ? sizeof bytes : 3000;
        entries[i] = (struct log_entry){
            .id = {.term = state.hard_state.term + 1, .index = first + i},
            .type = 2,
            .bytes = bytes,
            .size = (uint32_t)testing_random_below(&history->random, limit),
        };
    }
    const struct log_hard_state hard_state = {.term = state.hard_state.term + 1, .vote = 1};
    struct log_write write = {.hard_state = &hard_state, .entries = entries, .entries_count = count};
    if (testing_random_below(&history->random, 3) == 0 && state.last.index > state.base.index + 60) {
        write.compact_to = first - 50;
        write.compact_entries_max = (uint32_t)testing_random_below(&history->random, 100);
    }
    struct storage_error error = {{0}};
    enum storage_status status = log_store_write(history->store, &write, &error);
    if (status == STORAGE_FULL) {
        history->full_count++;
        assert_int_equal(testing_log_state(history->store).last.index, state.last.index);
        return;
    }
    assert_ok(status, error);
    history->ok_count++;
    assert_int_equal(testing_log_state(history->store).last.index, first + count - 1);
}

static void pitfall_18_no_log_write_goes_where_the_file_has_no_blocks(void **state)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        char name[16];
        snprintf(name, sizeof name, "%d", (int)seed);
        char *path = temp_directory_join(*state, name);
        assert_int_equal(mkdir(path, 0700), 0);
        struct log_history history = {.random = seed};
        disk_reset(3 * MIB);
        history.store = open_log(path, (seed % 3) * MIB);
        for (int i = 0; i < 1500; i++) {
            write_log_at_random(&history);
            if (i % 400 == 399) {
                disk.free_bytes += testing_random_below(&history.random, MIB);
                log_store_close(history.store);
                history.store = open_log(path, (seed % 3) * MIB);
            }
        }
        log_store_close(history.store);
        free(path);
        assert_false(disk.written_beyond);
        assert_true(history.full_count > 100 && history.ok_count > 100);
    }
}

/* ---- the map ---- */

static enum storage_status write_checkpoint(struct map *map, struct map_checkpoint *checkpoint)
{
    struct storage_error error = {{0}};
    enum storage_status status = map_checkpoint_write(checkpoint, &error);
    if (status == STORAGE_OK) {
        map_checkpoint_finish(map, checkpoint);
    } else {
        assert_int_equal(status, STORAGE_FULL);
        map_checkpoint_try_again(map, checkpoint);
    }
    return status;
}

static void put_number(struct map *map, uint64_t number, size_t size)
{
    char key[32];
    snprintf(key, sizeof key, "key:%d", (int)number);
    testing_put(map, key, strlen(key), bytes, size, 0);
}

static void reserve_room(struct map *map)
{
    struct storage_error error = {{0}};
    struct map_room room;
    map_get_room_wanted(map, &room);
    enum storage_status status = map_reserve_room(map, &room, &error);
    assert_true(status == STORAGE_OK || (status == STORAGE_FULL && map_is_low(map)));
}

static void pitfall_19_deletions_make_room_in_a_map_whose_disk_stays_full(void **state)
{
    const size_t sizes[] = {100, 3000, 50000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        char name[16];
        snprintf(name, sizeof name, "%d", (int)s);
        char *path = temp_directory_join(*state, name);
        disk_reset(12 * MIB);
        struct map *map = open_map(path, 3 * MIB);
        uint64_t keys = 0;
        /* As a leader does: until it is told that the reserve is not whole. */
        while (!map_is_low(map)) {
            for (size_t i = 0; i < 100000 / sizes[s] + 1; i++) {
                put_number(map, keys++, sizes[s]);
            }
            reserve_room(map);
            if (keys % 3 == 0 && !map_is_low(map)) {
                assert_int_equal(write_checkpoint(map, map_freeze(map)), STORAGE_OK);
            }
            assert_true(keys < 1000000);
        }
        /* What was taken fits, and so do deletions, which make room. */
        int tries = 0;
        for (uint64_t i = 0; map_is_low(map); i++) {
            struct map_checkpoint *checkpoint = map_freeze(map);
            while (write_checkpoint(map, checkpoint) != STORAGE_OK) {
                assert_true(++tries < 50);
            }
            for (uint64_t j = keys / 50 + 1; j > 0 && keys > 0; j--) {
                char key[32];
                snprintf(key, sizeof key, "key:%d", (int)--keys);
                assert_true(testing_delete(map, key));
            }
            reserve_room(map);
            assert_true(i < 1000000);
        }
        assert_true(keys > 10); /* some of the data was enough */
        testing_assert_counts(map);
        map_close(map);
        map = open_map(path, 3 * MIB);
        testing_assert_counts(map);
        map_close(map);
        free(path);
        assert_false(disk.written_beyond);
    }
}

static void change_map_at_random(struct map *map, uint64_t *random)
{
    uint64_t count = 1 + testing_random_below(random, 40);
    for (uint64_t i = 0; i < count; i++) {
        char key[520];
        int key_size = snprintf(key, sizeof key, "key:%d", (int)testing_random_below(random, 400));
        if (testing_random_below(random, 5) == 0) {
            memset(key + key_size, 'x', 300);
            key_size += 300;
        }
        uint64_t kind = testing_random_below(random, 20);
        size_t limit = kind == 0 ? sizeof bytes : kind < 5 ? 5000 : 300;
        uint64_t expiry = testing_random_below(random, 3) == 0 ? 1 + testing_random_below(random, 3) : 0;
        if (kind < 14) {
            testing_put(map, key, (size_t)key_size, bytes, testing_random_below(random, limit), expiry);
        } else {
            testing_begin(map);
            (void)map_delete(map, (const uint8_t *)key, (size_t)key_size);
            map_end_entry(map, 1);
        }
    }
    if (testing_random_below(random, 60) == 0) {
        testing_clear(map);
    }
}

static void pitfall_18_no_checkpoint_goes_where_the_file_has_no_blocks(void **state)
{
    uint64_t full_count = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        char name[16];
        snprintf(name, sizeof name, "%d", (int)seed);
        char *path = temp_directory_join(*state, name);
        uint64_t random = seed;
        disk_reset(3 * MIB);
        struct map *map = open_map(path, (seed % 3) * MIB / 2);
        struct map_checkpoint *checkpoint = NULL;
        uint64_t written = 0;
        for (int i = 0; i < 600; i++) {
            change_map_at_random(map, &random);
            checkpoint = checkpoint == NULL ? map_freeze(map) : checkpoint;
            bool done = write_checkpoint(map, checkpoint) == STORAGE_OK;
            checkpoint = done ? NULL : checkpoint;
            written += done ? 1 : 0;
            full_count += done ? 0 : 1;
            disk.free_bytes += done ? 0 : testing_random_below(&random, MIB / 2);
        }
        disk.free_bytes = 64 * MIB;
        assert_true(checkpoint == NULL || write_checkpoint(map, checkpoint) == STORAGE_OK);
        testing_assert_counts(map);
        map_close(map);
        free(path);
        assert_false(disk.written_beyond);
        assert_true(written > 200);
    }
    assert_true(full_count > 50);
}

/* ---- free pages ---- */

static void pages_count_as_free_when_nobody_reads_them(void **state)
{
    disk_reset(64 * MIB);
    struct map *map = open_map(*state, 0);
    MDB_env *environment = map->store->environment;
    put_number(map, 1, 250 * 1024);
    testing_checkpoint(map);
    MDB_txn *reader = NULL;
    assert_int_equal(mdb_txn_begin(environment, NULL, MDB_RDONLY, &reader), 0);
    assert_true(testing_delete(map, "key:1"));
    testing_checkpoint(map);
    for (int i = 0; i < 3; i++) {
        put_number(map, 2, 10);
        testing_checkpoint(map);
    }
    struct free_pages held;
    struct free_pages pages;
    assert_int_equal(free_pages_count(environment, 1, &held), 0);
    assert_true(held.later > 60);
    assert_true(held.usable < 20);
    mdb_txn_abort(reader);
    assert_int_equal(free_pages_count(environment, 1, &pages), 0);
    assert_true(pages.usable > 60);
    /* In pieces of 50 only that of the large value counts, in pieces of 500 none. */
    uint64_t singles = pages.usable;
    assert_int_equal(free_pages_count(environment, 50, &pages), 0);
    assert_in_range(pages.usable, 10, singles - 49);
    assert_int_equal(free_pages_count(environment, 500, &pages), 0);
    assert_int_equal(pages.usable, 0);
    map_close(map);
}

/* ---- opening, and other failures ---- */

static void holes_are_filled_at_opening_or_it_is_refused(void **state)
{
    disk_reset(64 * MIB);
    struct log_store *store = open_log(*state, 0);
    struct storage_error error = {{0}};
    assert_ok(testing_append(store, 1, 1, bytes, sizeof bytes, &error), error);
    log_store_close(store);
    disk_reset(200 * 1024); /* the test's disk forgets what it had given: a sparse copy */
    const struct log_store_options options = {.directory = *state, .map_bytes = 256 * MIB};
    assert_int_equal(log_store_open(&options, &store, &error), STORAGE_FULL);
    assert_non_null(strstr(error.text, "has holes"));
    disk_reset(64 * MIB);
    store = open_log(*state, 0);
    assert_true(disk.free_bytes <= 64 * MIB - sizeof bytes);
    assert_int_equal(testing_log_state(store).last.index, 1);
    log_store_close(store);
}

static void pitfall_17_a_disk_that_fails_to_extend_the_file_poisons_the_store(void **state)
{
    disk_reset(64 * MIB);
    char *path = temp_directory_join(*state, "log");
    assert_int_equal(mkdir(path, 0700), 0);
    struct log_store *store = open_log(path, 0);
    char *map_path = temp_directory_join(*state, "map");
    struct map *map = open_map(map_path, 0);
    struct storage_error error = {{0}};
    enum storage_status status = STORAGE_OK;
    disk.error = EIO;
    for (uint64_t i = 1; i < 100 && status == STORAGE_OK; i++) {
        status = testing_append(store, i, 1, bytes, sizeof bytes, &error);
    }
    put_number(map, 1, sizeof bytes);
    for (int i = 0; i < 20; i++) {
        put_number(map, (uint64_t)i, sizeof bytes);
    }
    struct map_checkpoint *checkpoint = map_freeze(map);
    struct storage_error map_failure = {{0}};
    assert_int_equal(map_checkpoint_write(checkpoint, &map_failure), STORAGE_FAILED);
    disk.error = 0;
    assert_int_equal(status, STORAGE_FAILED);
    assert_non_null(strstr(error.text, "extend data.mdb"));
    const struct log_write hint = {.commit_hint = 1};
    assert_int_equal(log_store_write(store, &hint, &error), STORAGE_FAILED);
    assert_int_equal(map_checkpoint_write(checkpoint, &map_failure), STORAGE_FAILED);
    assert_non_null(strstr(map_failure.text, "earlier checkpoint failed"));
    log_store_close(store);
    map_close(map);
    free(path);
    free(map_path);
}

static void where_files_cannot_be_extended_the_free_space_counts(void **state)
{
    const int unsupported[] = {EOPNOTSUPP, ENOSYS};
    for (size_t i = 0; i < 2; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", (int)i);
        char *path = temp_directory_join(*state, name);
        assert_int_equal(mkdir(path, 0700), 0);
        disk_reset(64 * MIB);
        disk.error = unsupported[i];
        struct log_store *store = open_log(path, MIB);
        struct storage_error error = {{0}};
        assert_ok(testing_append(store, 1, 1, bytes, 100, &error), error);
        assert_false(log_is_low(store));
        disk.free_bytes = 3 * MIB / 2;
        assert_ok(testing_append(store, 2, 1, bytes, sizeof bytes, &error), error);
        assert_true(log_is_low(store));
        disk.free_bytes = MIB / 4;
        assert_int_equal(testing_append(store, 3, 1, bytes, sizeof bytes, &error), STORAGE_FULL);
        disk.free_bytes = 64 * MIB;
        assert_ok(testing_append(store, 3, 1, bytes, sizeof bytes, &error), error);
        assert_false(log_is_low(store));
        log_store_close(store);
        free(path);
    }
}

static void a_file_as_large_as_its_map_waits_for_nothing(void **state)
{
    /* Then it is the map that is full, which is said in other words. */
    disk_reset(512 * MIB);
    struct log_store *store = NULL;
    struct storage_error error = {{0}};
    const struct log_store_options options = {
        .directory = *state, .map_bytes = 2 * MIB, .reserve_bytes = 32 * MIB};
    assert_ok(log_store_open(&options, &store, &error), error);
    uint64_t last = 0;
    while (testing_append(store, last + 1, 1, bytes, 20000, &error) == STORAGE_OK) {
        last++;
        assert_true(last < 1000);
    }
    assert_non_null(strstr(error.text, "map size"));
    assert_true(last > 50);
    assert_false(log_is_low(store));
    assert_true(disk.free_bytes > 500 * MIB);
    log_store_close(store);
}

static void the_file_is_extended_in_steps(void **state)
{
    disk_reset(512 * MIB);
    struct log_store *store = open_log(*state, 2 * MIB);
    struct storage_error error = {{0}};
    disk.calls = 0;
    for (uint64_t i = 1; i <= 2000; i++) {
        assert_ok(testing_append(store, i, 1, bytes, 6000, &error), error);
    }
    assert_in_range(disk.calls, 1, 40);
    log_store_close(store);
}

static void a_lock_file_has_its_blocks_before_it_is_mapped(void **state)
{
    disk_reset(64 * MIB);
    struct log_store *store = open_log(*state, 0);
    char *path = temp_directory_join(*state, "lock.mdb");
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat information;
    assert_int_equal(fstat(file, &information), 0);
    assert_non_null(disk_find(file, false));
    assert_true(disk_find(file, false)->allocated_bytes >= (uint64_t)information.st_size);
    close(file);
    log_store_close(store);
    disk_reset(0);
    const struct log_store_options options = {.directory = *state, .map_bytes = MIB};
    struct storage_error error = {{0}};
    assert_int_equal(log_store_open(&options, &store, &error), STORAGE_FULL);
    assert_non_null(strstr(error.text, "lock.mdb"));
    free(path);
}

int main(void)
{
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0); /* thousands of commits, none of which has to survive */
    }
    const struct CMUnitTest tests[] = {
        testing_in_directory(zeros_are_written_behind_the_end_before_small_entries_come_there),
        testing_in_directory(large_entries_have_no_zeros_written_ahead),
        testing_in_directory(what_cannot_be_written_ahead_is_not_missed),
        testing_in_directory(pitfall_19_a_log_on_a_full_disk_says_so_and_goes_on_when_there_is_room),
        testing_in_directory(a_log_without_room_opens_and_says_that_it_is_low),
        testing_in_directory(pitfall_18_no_log_write_goes_where_the_file_has_no_blocks),
        testing_in_directory(pitfall_19_deletions_make_room_in_a_map_whose_disk_stays_full),
        testing_in_directory(pitfall_18_no_checkpoint_goes_where_the_file_has_no_blocks),
        testing_in_directory(pages_count_as_free_when_nobody_reads_them),
        testing_in_directory(holes_are_filled_at_opening_or_it_is_refused),
        testing_in_directory(pitfall_17_a_disk_that_fails_to_extend_the_file_poisons_the_store),
        testing_in_directory(where_files_cannot_be_extended_the_free_space_counts),
        testing_in_directory(a_file_as_large_as_its_map_waits_for_nothing),
        testing_in_directory(the_file_is_extended_in_steps),
        testing_in_directory(a_lock_file_has_its_blocks_before_it_is_mapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
