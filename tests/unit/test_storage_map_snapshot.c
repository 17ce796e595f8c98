/* test_storage_map_snapshot.c: a map streamed and loaded is the same map; what a snapshot sees and pins while
 * the map goes on. What a loader refuses is in test_storage_map_stream.c; random maps are in
 * test_storage_map_model.c. */
#include "map_internal.h"
#include "storage_snapshots.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

struct scanned {
    size_t count;
    uint64_t ordered; /* depends on the order */
};

static void scan_one(void *context, const uint8_t *key, size_t key_size, const struct map_value *value)
{
    struct scanned *scanned = context;
    scanned->count++;
    scanned->ordered = scanned->ordered * 31 + map_record_hash(key, key_size, value);
}

static struct scanned scan_all(struct map *map)
{
    struct scanned scanned = {0};
    for (uint64_t cursor = 0, first = 1; first != 0 || cursor != 0; first = 0) {
        cursor = map_scan(map, cursor, 100, scan_one, &scanned);
    }
    return scanned;
}

/* Both are in LMDB alone. */
static void assert_same_maps(struct map *left, struct map *right)
{
    assert_memory_equal(map_get_meta(left), map_get_meta(right), sizeof(struct map_meta));
    testing_assert_counts(right);
    struct scanned in_left = scan_all(left);
    struct scanned in_right = scan_all(right);
    assert_int_equal(in_left.count, map_get_meta(left)->key_count);
    assert_int_equal(in_right.count, in_left.count);
    assert_int_equal(in_right.ordered, in_left.ordered);
    /* The order of expiry, to the end. */
    for (size_t purged = 1; purged > 0;) {
        uint64_t left_ms = 0;
        uint64_t right_ms = 0;
        assert_int_equal(map_next_expiry(left, &left_ms), map_next_expiry(right, &right_ms));
        assert_int_equal(left_ms, right_ms);
        purged = testing_purge(left, UINT64_MAX, 1);
        assert_int_equal(testing_purge(right, UINT64_MAX, 1), purged);
        assert_memory_equal(map_get_meta(left), map_get_meta(right), sizeof(struct map_meta));
    }
    testing_checkpoint(right);
    testing_assert_counts(right);
    assert_int_equal(scan_all(left).ordered, scan_all(right).ordered);
}

static uint8_t *make_bytes(size_t size)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 253);
    }
    return bytes;
}

/* Keys of all lengths, values from nothing to the largest, expiries that many share, membership and all. */
static void fill(struct map *map, bool large)
{
    uint8_t *bytes = make_bytes(MAP_VALUE_BYTES_MAX);
    uint64_t index = testing_begin(map);
    map_set_membership(map, (const uint8_t *)"the members", 11);
    map_set_rules_version(map, 7);
    map_end_entry(map, 1);
    map_begin_entry(map, index + 1, 5, 123456);
    map_end_entry(map, 1);
    for (size_t i = 0; i <= MAP_KEY_BYTES_MAX; i++) {
        uint8_t key[MAP_KEY_BYTES_MAX];
        memset(key, (int)(i % 3), sizeof key);
        map_begin_entry(map, map_get_meta(map)->applied_index + 1, 5, 0);
        const struct map_value value = {.type = MAP_VALUE_STRING,
                                        .version = {.index = i + 2, .command = (uint32_t)i},
                                        .expiry_ms = i % 2 == 0 ? 0 : 1000 + i % 7,
                                        .bytes = bytes,
                                        .size = i * i % 5000};
        map_put(map, key, i, &value);
        map_end_entry(map, 1);
    }
    if (large) {
        const size_t sizes[] = {MAP_VALUE_BYTES_MAX, MAP_VALUE_BYTES_MAX - 1, MAP_CHUNK_BYTES_MAX, 100000};
        for (size_t i = 0; i < 4; i++) {
            map_begin_entry(map, map_get_meta(map)->applied_index + 1, 6, 0);
            const uint8_t key[] = {'l', (uint8_t)i};
            const struct map_value value = {
                .type = MAP_VALUE_STRING, .version = {.index = 9}, .bytes = bytes, .size = sizes[i]};
            map_put(map, key, sizeof key, &value);
            map_end_entry(map, 1);
        }
    }
    testing_checkpoint(map);
    free(bytes);
}

static struct map *make_map(const char *directory, bool large)
{
    char *path = temp_directory_join(directory, "map-1");
    struct map *map = testing_open_map(path, TESTING_MAP_BYTES);
    fill(map, large);
    free(path);
    return map;
}

static void stream_and_compare(const char *directory, size_t capacity, size_t sort_bytes, bool large)
{
    struct map *map = make_map(directory, large);
    struct testing_chunks *chunks = testing_take_snapshot(map, capacity);
    char *path = temp_directory_join(directory, "map-2");
    testing_load(chunks, path, sort_bytes);
    struct map *loaded = testing_open_map(path, TESTING_MAP_BYTES);
    assert_int_equal(map_get_meta(loaded)->membership_size, 11);
    assert_int_equal(map_get_meta(loaded)->log_time_ms, 123456);
    assert_int_equal(map_get_meta(loaded)->hash_seed, map_get_meta(map)->hash_seed);
    assert_same_maps(map, loaded);
    map_close(loaded);
    map_close(map);
    testing_chunks_free(chunks);
    free(path);
}

static void a_map_that_was_streamed_and_loaded_is_the_same(void **state)
{
    stream_and_compare(*state, MAP_CHUNK_BYTES_MAX, 0, true);
}

static void chunks_may_be_small_and_cut_anywhere(void **state)
{
    for (size_t capacity = 100; capacity < 160; capacity += 17) {
        char name[16];
        snprintf(name, sizeof name, "%d", (int)capacity);
        char *path = temp_directory_join(*state, name);
        stream_and_compare(path, capacity, 0, false);
        free(path);
    }
}

static void indexes_may_be_larger_than_the_memory_for_sorting(void **state)
{
    stream_and_compare(*state, MAP_CHUNK_BYTES_MAX, 1, false); /* the least there is */
}

static void a_map_may_be_larger_than_one_transaction(void **state)
{
    /* More than is written in one transaction, and more keys than go into an index in one step. */
    char *path = temp_directory_join(*state, "map-1");
    char *path_2 = temp_directory_join(*state, "map-2");
    struct map *map = testing_open_map(path, TESTING_MAP_BYTES);
    uint8_t *bytes = make_bytes(MAP_VALUE_BYTES_MAX);
    for (int i = 0; i < 70000; i++) {
        char key[32];
        snprintf(key, sizeof key, "key:%d", i);
        testing_put_text(map, key, key, (uint64_t)i);
    }
    for (int i = 0; i < 4; i++) {
        char key[32];
        snprintf(key, sizeof key, "large:%d", i);
        testing_put(map, key, strlen(key), bytes, MAP_VALUE_BYTES_MAX - (size_t)i, 0);
    }
    testing_checkpoint(map);
    struct testing_chunks *chunks = testing_take_snapshot(map, MAP_CHUNK_BYTES_MAX);
    testing_load(chunks, path_2, 1024 * 1024);
    struct map *loaded = testing_open_map(path_2, TESTING_MAP_BYTES);
    assert_memory_equal(map_get_meta(map), map_get_meta(loaded), sizeof(struct map_meta));
    testing_assert_counts(loaded);
    assert_int_equal(scan_all(loaded).ordered, scan_all(map).ordered);
    assert_int_equal(scan_all(loaded).count, 70004);
    assert_int_equal(testing_purge(loaded, 60000, SIZE_MAX), 60000);
    assert_int_equal(testing_purge(map, 60000, SIZE_MAX), 60000);
    testing_checkpoint(loaded);
    testing_assert_counts(loaded);
    assert_memory_equal(map_get_meta(map), map_get_meta(loaded), sizeof(struct map_meta));
    map_close(loaded);
    map_close(map);
    testing_chunks_free(chunks);
    free(bytes);
    free(path_2);
    free(path);
}

static void an_empty_map_is_a_map_too(void **state)
{
    char *path = temp_directory_join(*state, "map-1");
    char *path_2 = temp_directory_join(*state, "map-2");
    struct map *map = testing_open_map(path, TESTING_MAP_BYTES);
    struct testing_chunks *chunks = testing_take_snapshot(map, MAP_CHUNK_BYTES_MAX);
    assert_int_equal(chunks->count, 2); /* META and END */
    testing_load(chunks, path_2, 0);
    struct map *loaded = testing_open_map(path_2, TESTING_MAP_BYTES);
    assert_same_maps(map, loaded);
    testing_put_text(loaded, "a", "1", 5);
    testing_checkpoint(loaded);
    testing_assert_counts(loaded);
    map_close(loaded);
    map_close(map);
    testing_chunks_free(chunks);
    free(path_2);
    free(path);
}

static void every_chunk_but_the_ends_is_full_and_none_is_larger_than_allowed(void **state)
{
    struct map *map = make_map(*state, true);
    struct testing_chunks *chunks = testing_take_snapshot(map, MAP_CHUNK_BYTES_MAX);
    assert_true(chunks->count > 60);
    for (size_t i = 1; i + 2 < chunks->count; i++) {
        size_t size = 0;
        testing_chunk(chunks, i, &size);
        assert_int_equal(size, MAP_CHUNK_BYTES_MAX);
    }
    testing_chunks_free(chunks);
    map_close(map);
}

static void what_is_there_from_an_earlier_try_is_replaced(void **state)
{
    struct map *map = make_map(*state, false);
    struct testing_chunks *chunks = testing_take_snapshot(map, 4096);
    char *path = temp_directory_join(*state, "map-2");
    testing_load(chunks, path, 0);
    testing_load(chunks, path, 0);
    struct map *loaded = testing_open_map(path, TESTING_MAP_BYTES);
    assert_same_maps(map, loaded);
    map_close(loaded);
    map_close(map);
    testing_chunks_free(chunks);
    free(path);
}

static void a_loader_that_is_given_up_leaves_nothing(void **state)
{
    struct map *map = make_map(*state, false);
    struct testing_chunks *chunks = testing_take_snapshot(map, 4096);
    char *path = temp_directory_join(*state, "map-2");
    const struct map_loader_options options = {
        .directory = path, .map_bytes = TESTING_MAP_BYTES, .sort_bytes = 1};
    struct storage_error error = {{0}};
    struct stat information;
    for (size_t taken = 0; taken <= chunks->count; taken++) {
        struct map_loader *loader = NULL;
        assert_ok(map_loader_create(&options, &loader, &error), error);
        assert_null(map_loader_get_meta(loader));
        for (size_t i = 0; i < taken; i++) {
            size_t size = 0;
            const uint8_t *chunk = testing_chunk(chunks, i, &size);
            assert_ok(map_loader_add(loader, chunk, size, &error), error);
            assert_int_equal(map_loader_get_meta(loader)->key_count, map_get_meta(map)->key_count);
        }
        assert_int_equal(map_loader_is_complete(loader), taken == chunks->count);
        assert_true(map_loader_keys_count(loader) > 0 || taken < 2);
        bool finished = false;
        for (int steps = 0; taken == chunks->count && steps < 3; steps++) {
            assert_ok(map_loader_finish(loader, &finished, &error), error);
            assert_false(finished);
        }
        assert_int_equal(stat(path, &information), 0);
        map_loader_destroy(loader);
        assert_int_equal(stat(path, &information), -1);
    }
    map_loader_destroy(NULL);
    map_snapshot_close(NULL);
    testing_chunks_free(chunks);
    map_close(map);
    free(path);
}

static void another_membership_may_take_the_place_of_the_streamed_one(void **state)
{
    struct map *map = make_map(*state, false);
    struct testing_chunks *chunks = testing_take_snapshot(map, 4096);
    char *path = temp_directory_join(*state, "map-2");
    const struct map_loader_options options = {.directory = path,
                                               .map_bytes = TESTING_MAP_BYTES,
                                               .membership = (const uint8_t *)"only me",
                                               .membership_size = 7};
    struct storage_error error = {{0}};
    struct map_loader *loader = NULL;
    assert_ok(testing_load_chunks(chunks, &options, &loader, &error), error);
    map_loader_destroy(loader);
    struct map *loaded = testing_open_map(path, TESTING_MAP_BYTES);
    assert_int_equal(map_get_meta(loaded)->membership_size, 7);
    assert_memory_equal(map_get_meta(loaded)->membership, "only me", 7);
    assert_int_equal(map_get_meta(loaded)->digest, map_get_meta(map)->digest);
    testing_assert_counts(loaded);
    map_close(loaded);
    map_close(map);
    testing_chunks_free(chunks);
    free(path);
}

static void a_map_that_does_not_fit_is_refused_and_removed(void **state)
{
    struct map *map = make_map(*state, true);
    struct testing_chunks *chunks = testing_take_snapshot(map, MAP_CHUNK_BYTES_MAX);
    char *path = temp_directory_join(*state, "map-2");
    struct storage_error error = {{0}};
    struct stat information;
    int refused = 0;
    /* Full in the table data, in the indexes, in the last transaction. */
    for (size_t map_bytes = 64 * 1024; map_bytes <= TESTING_MAP_BYTES; map_bytes += map_bytes / 8) {
        const struct map_loader_options options = {
            .directory = path, .map_bytes = map_bytes, .sort_bytes = 1};
        struct map_loader *loader = NULL;
        enum storage_status status = testing_load_chunks(chunks, &options, &loader, &error);
        map_loader_destroy(loader);
        assert_int_equal(stat(path, &information), status == STORAGE_OK ? 0 : -1);
        assert_true(status == STORAGE_OK || status == STORAGE_FULL);
        refused += status == STORAGE_FULL ? 1 : 0;
    }
    assert_true(refused > 10);
    testing_load(chunks, path, 0);
    testing_chunks_free(chunks);
    map_close(map);
    free(path);
}

/* ---- while the map goes on ---- */

static void a_snapshot_shows_what_was_durable_when_it_was_opened(void **state)
{
    struct map *map = make_map(*state, false);
    uint64_t durable = map_durable_index(map);
    struct testing_chunks *before = testing_take_snapshot(map, 5000);
    testing_put_text(map, "a", "only buffered", 0);
    struct map_snapshot *snapshot = NULL;
    struct storage_error error = {{0}};
    assert_ok(map_snapshot_open(map, &snapshot, &error), error);
    assert_int_equal(map_snapshot_get_meta(snapshot)->applied_index, durable);
    struct testing_chunks *after = calloc(1, sizeof *after);
    static uint8_t chunk[MAP_CHUNK_BYTES_MAX];
    for (size_t size = 1; size > 0;) {
        size_t room = after->count == 0 ? sizeof chunk : 5000;
        assert_ok(map_snapshot_read(snapshot, chunk, room, &size, &error), error);
        if (size > 0) {
            testing_chunks_add(after, chunk, size);
        }
        /* Everything changes under it. */
        if (after->count % 10 == 1) {
            testing_clear(map);
            testing_put_text(map, "a", "b", 7);
            testing_checkpoint(map);
        }
    }
    assert_ok(map_snapshot_read(snapshot, chunk, sizeof chunk, &(size_t){0}, &error),
              error); /* still the end */
    assert_true(map_durable_index(map) > durable);
    /* Byte for byte what it was. */
    assert_int_equal(after->count, before->count);
    assert_int_equal(after->size, before->size);
    assert_memory_equal(after->bytes, before->bytes, before->size);
    map_snapshot_close(snapshot);
    testing_chunks_free(before);
    testing_chunks_free(after);
    map_close(map);
}

static void overwrite(struct map *map, int round)
{
    char key[16];
    char text[400];
    memset(text, 'a' + round % 26, sizeof text);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        testing_put_text(map, key, text, 0);
    }
    testing_checkpoint(map);
}

static void pitfall_21_pinned_pages_are_counted_and_used_again_when_it_is_closed(void **state)
{
    struct storage_error error = {{0}};
    char *path = temp_directory_join(*state, "map-1");
    struct map *map = testing_open_map(path, TESTING_MAP_BYTES);
    struct map_usage usage;
    for (int round = 0; round < 5; round++) {
        overwrite(map, round);
    }
    map_get_usage(map, &usage);
    const uint64_t settled_bytes = usage.file_bytes;
    struct map_snapshot *snapshot = NULL;
    uint64_t pinned = 0;
    assert_ok(map_snapshot_open(map, &snapshot, &error), error);
    assert_ok(map_snapshot_get_pinned_bytes(snapshot, &pinned, &error), error);
    assert_int_equal(pinned, 0);
    for (int round = 0; round < 20; round++) {
        uint64_t before = pinned;
        overwrite(map, round);
        assert_ok(map_snapshot_get_pinned_bytes(snapshot, &pinned, &error), error);
        assert_true(pinned > before);
    }
    map_get_usage(map, &usage);
    const uint64_t grown_bytes = usage.file_bytes;
    /* What the file grew by is what is pinned: the figure is good for a limit. */
    assert_true(grown_bytes > settled_bytes * 3);
    assert_true(pinned > (grown_bytes - settled_bytes) * 8 / 10);
    assert_true(pinned <= grown_bytes);
    map_snapshot_close(snapshot);
    for (int round = 0; round < 20; round++) {
        overwrite(map, round);
    }
    map_get_usage(map, &usage);
    assert_int_equal(usage.file_bytes, grown_bytes);
    map_close(map);
    free(path);
}

struct streamer {
    struct map *map;
    atomic_bool stop;
    int streams_count;
    uint64_t keys_count;
    uint64_t pinned_most;
    char *directory;
};

/* Streams and loads again and again. */
static void *stream_all_the_time(void *context)
{
    struct streamer *streamer = context;
    do {
        struct storage_error error = {{0}};
        struct map_snapshot *snapshot = NULL;
        struct map_loader *loader = NULL;
        static uint8_t chunk[MAP_CHUNK_BYTES_MAX];
        const struct map_loader_options options = {
            .directory = streamer->directory, .map_bytes = TESTING_MAP_BYTES, .sort_bytes = 8192};
        assert_ok(map_snapshot_open(streamer->map, &snapshot, &error), error);
        assert_ok(map_loader_create(&options, &loader, &error), error);
        for (size_t size = 1; size > 0;) {
            uint64_t pinned = 0;
            assert_ok(map_snapshot_read(snapshot, chunk,
                                        map_loader_get_meta(loader) == NULL ? sizeof chunk : 2000, &size,
                                        &error),
                      error);
            if (size > 0) {
                assert_ok(map_loader_add(loader, chunk, size, &error), error);
            }
            assert_ok(map_snapshot_get_pinned_bytes(snapshot, &pinned, &error), error);
            streamer->pinned_most = pinned > streamer->pinned_most ? pinned : streamer->pinned_most;
        }
        for (bool finished = false; !finished;) {
            assert_ok(map_loader_finish(loader, &finished, &error), error);
        }
        map_loader_destroy(loader);
        map_snapshot_close(snapshot);
        struct map *loaded = testing_open_map(streamer->directory, TESTING_MAP_BYTES);
        testing_assert_counts(loaded);
        streamer->keys_count += map_get_meta(loaded)->key_count;
        streamer->streams_count++;
        map_close(loaded);
    } while (!atomic_load(&streamer->stop));
    return NULL;
}

struct writer {
    struct map_checkpoint *checkpoint;
    enum storage_status status;
    struct storage_error error;
};

static void *write_checkpoint(void *context)
{
    struct writer *writer = context;
    writer->status = map_checkpoint_write(writer->checkpoint, &writer->error);
    return NULL;
}

static void snapshots_are_streamed_on_one_thread_while_another_writes_checkpoints(void **state)
{
    /* Three threads, as in the server: the map's, that of checkpoints, that of the stream. Worth most under
     * the thread sanitizer (make V=tsan). */
    char *path = temp_directory_join(*state, "map-1");
    struct map *map = testing_open_map(path, TESTING_MAP_BYTES);
    overwrite(map, 0);
    struct streamer streamer = {.map = map, .directory = temp_directory_join(*state, "map-2")};
    pthread_t stream_thread;
    assert_int_equal(pthread_create(&stream_thread, NULL, stream_all_the_time, &streamer), 0);
    uint64_t random = 3;
    for (int round = 0; round < 40; round++) {
        char key[32];
        for (int i = 0; i < 200; i++) {
            snprintf(key, sizeof key, "key:%d", (int)testing_random_below(&random, 1000));
            if (testing_random_below(&random, 3) == 0) {
                testing_delete(map, key);
            } else {
                testing_put_text(map, key, key, testing_random_below(&random, 2) * 1000);
            }
        }
        struct writer writer = {.checkpoint = map_freeze(map)};
        pthread_t checkpoint_thread;
        assert_int_equal(pthread_create(&checkpoint_thread, NULL, write_checkpoint, &writer), 0);
        testing_put_text(map, "meanwhile", key, 0);
        assert_int_equal(pthread_join(checkpoint_thread, NULL), 0);
        assert_ok(writer.status, writer.error);
        map_checkpoint_finish(map, writer.checkpoint);
        testing_assert_counts(map);
    }
    atomic_store(&streamer.stop, true);
    assert_int_equal(pthread_join(stream_thread, NULL), 0);
    assert_true(streamer.streams_count > 0 && streamer.keys_count > 0);
    map_close(map);
    free(streamer.directory);
    free(path);
}

/* ---- a source that is not sound ---- */

static enum storage_status stream_status(struct map *map, struct storage_error *error)
{
    static uint8_t chunk[MAP_CHUNK_BYTES_MAX];
    struct map_snapshot *snapshot = NULL;
    enum storage_status status = map_snapshot_open(map, &snapshot, error);
    for (size_t size = 1; size > 0 && status == STORAGE_OK;) {
        status = map_snapshot_read(snapshot, chunk, sizeof chunk, &size, error);
    }
    map_snapshot_close(snapshot);
    return status;
}

static void make_two_keys(const char *directory)
{
    struct map *map = testing_open_map(directory, TESTING_MAP_BYTES);
    testing_put_text(map, "a", "1", 100);
    testing_put_text(map, "b", "2", 200);
    testing_checkpoint(map);
    map_close(map);
}

static void pitfall_27_damage_is_never_sent_on(void **state)
{
    char key[] = {MAP_KEY_PREFIX, 'a'};
    char garbage[40] = {1, 1};
    struct storage_error error = {{0}};
    make_two_keys(*state);
    /* A damaged value; then one that is sound, but another than meta knows of. */
    testing_damage(*state, "data", 0, (MDB_val){2, key}, &(MDB_val){sizeof garbage, garbage});
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    assert_int_equal(stream_status(map, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "wrong checksum"));
    map_close(map);

    uint8_t record[MAP_RECORD_HEAD_BYTES + 1];
    const struct map_value other = {.type = MAP_VALUE_STRING, .bytes = (const uint8_t *)"3", .size = 1};
    map_record_encode(record, &other, map_record_hash((const uint8_t *)"a", 1, &other));
    testing_damage(*state, "data", 0, (MDB_val){2, key}, &(MDB_val){sizeof record, record});
    map = testing_open_map(*state, TESTING_MAP_BYTES);
    assert_int_equal(stream_status(map, &error), STORAGE_CORRUPT);
    assert_non_null(strstr(error.text, "digest"));
    map_close(map);
}

static void a_map_that_is_broken_is_not_streamed(void **state)
{
    char key[] = {MAP_KEY_PREFIX, 'a'};
    char garbage[] = "???";
    struct storage_error error = {{0}};
    make_two_keys(*state);
    testing_damage(*state, "data", 0, (MDB_val){2, key}, &(MDB_val){3, garbage});
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct map_value value;
    assert_false(map_get(map, (const uint8_t *)"a", 1, &value));
    assert_int_equal(stream_status(map, &error), STORAGE_CORRUPT);
    assert_string_equal(error.text, map_error(map));
    map_close(map);
}

static void what_is_not_streamed_yet_is_not_left_out_in_silence(void **state)
{
    char key[] = "client";
    char value[] = "session";
    struct storage_error error = {{0}};
    make_two_keys(*state);
    testing_damage(*state, "session", 0, (MDB_val){6, key}, &(MDB_val){7, value});
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    assert_int_equal(stream_status(map, &error), STORAGE_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "sessions"));
    map_close(map);
}

static void a_map_whose_meta_vanished_is_not_streamed(void **state)
{
    struct storage_error error = {{0}};
    make_two_keys(*state);
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    MDB_txn *transaction = NULL;
    assert_int_equal(mdb_txn_begin(map->store->environment, NULL, 0, &transaction), 0);
    assert_int_equal(mdb_drop(transaction, map->store->meta, 0), 0);
    assert_int_equal(mdb_txn_commit(transaction), 0);
    assert_int_equal(stream_status(map, &error), STORAGE_CORRUPT);
    map_close(map);
}

static void too_many_readers_are_reported_and_do_no_harm(void **state)
{
    /* Pitfall 22. */
    enum { READERS_MAX = 1000 };
    static MDB_txn *readers[READERS_MAX];
    struct storage_error error = {{0}};
    make_two_keys(*state);
    struct map *map = testing_open_map(*state, TESTING_MAP_BYTES);
    struct map_snapshot *snapshot = NULL;
    struct map_snapshot *second = NULL;
    uint64_t pinned = 0;
    int count = 0;
    assert_ok(map_snapshot_open(map, &snapshot, &error), error);
    while (count < READERS_MAX &&
           mdb_txn_begin(map->store->environment, NULL, MDB_RDONLY, &readers[count]) == MDB_SUCCESS) {
        count++;
    }
    assert_in_range(count, 1, READERS_MAX - 1);
    assert_int_equal(map_snapshot_open(map, &second, &error), STORAGE_FAILED);
    assert_non_null(strstr(error.text, "READERS_FULL"));
    assert_int_equal(map_snapshot_get_pinned_bytes(snapshot, &pinned, &error), STORAGE_FAILED);
    while (count > 0) {
        mdb_txn_abort(readers[--count]);
    }
    assert_ok(map_snapshot_open(map, &second, &error), error);
    map_snapshot_close(second);
    map_snapshot_close(snapshot);
    map_close(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(a_map_that_was_streamed_and_loaded_is_the_same),
        testing_in_directory(chunks_may_be_small_and_cut_anywhere),
        testing_in_directory(indexes_may_be_larger_than_the_memory_for_sorting),
        testing_in_directory(a_map_may_be_larger_than_one_transaction),
        testing_in_directory(an_empty_map_is_a_map_too),
        testing_in_directory(every_chunk_but_the_ends_is_full_and_none_is_larger_than_allowed),
        testing_in_directory(what_is_there_from_an_earlier_try_is_replaced),
        testing_in_directory(a_loader_that_is_given_up_leaves_nothing),
        testing_in_directory(another_membership_may_take_the_place_of_the_streamed_one),
        testing_in_directory(a_map_that_does_not_fit_is_refused_and_removed),
        testing_in_directory(a_snapshot_shows_what_was_durable_when_it_was_opened),
        testing_in_directory(pitfall_21_pinned_pages_are_counted_and_used_again_when_it_is_closed),
        testing_in_directory(snapshots_are_streamed_on_one_thread_while_another_writes_checkpoints),
        testing_in_directory(pitfall_27_damage_is_never_sent_on),
        testing_in_directory(a_map_that_is_broken_is_not_streamed),
        testing_in_directory(what_is_not_streamed_yet_is_not_left_out_in_silence),
        testing_in_directory(a_map_whose_meta_vanished_is_not_streamed),
        testing_in_directory(too_many_readers_are_reported_and_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
