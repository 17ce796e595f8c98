/* storage_nodes.h: for tests of installs: a node's data directory with a log and a map of an old state,
 * chunks of a newer map, what a node does to install them, and what it must find when it starts again: the
 * old state or the new one, nothing in between, and no left-over folder. */
#ifndef STORAGE_NODES_H
#define STORAGE_NODES_H

#include "data_directory.h"
#include "storage_snapshots.h"

#include <dirent.h>

enum {
    NODE_OLD_APPLIED = 10, /* of the old map */
    NODE_OLD_LAST = 30,    /* of the old log; memberships at 5 and 25 */
    NODE_KEYS = 150,
};

struct node_stores {
    struct data_directory *directory;
    struct log_store *log;
    struct map *map;
};

/* As kvd does at start. */
static inline enum storage_status node_try_open(const char *path, struct node_stores *stores,
                                                struct storage_error *error)
{
    *stores = (struct node_stores){0};
    enum storage_status status = data_directory_open(path, &stores->directory, error);
    if (status == STORAGE_OK) {
        const struct log_store_options options = {.directory = data_directory_log_path(stores->directory),
                                                  .map_bytes = TESTING_MAP_BYTES};
        status = log_store_open(&options, &stores->log, error);
    }
    if (status == STORAGE_OK) {
        status =
            data_directory_remove_other_maps(stores->directory, log_store_map_generation(stores->log), error);
    }
    if (status == STORAGE_OK) {
        const struct map_options options = {
            .directory = data_directory_map_path(stores->directory, log_store_map_generation(stores->log)),
            .map_bytes = TESTING_MAP_BYTES,
            .hash_seed = 42,
            .buffer_bytes_max = 1024 * 1024};
        status = map_open(&options, &stores->map, error);
    }
    return status;
}

static inline void node_close(struct node_stores *stores)
{
    map_close(stores->map);
    log_store_close(stores->log);
    data_directory_close(stores->directory);
    *stores = (struct node_stores){0};
}

static inline void node_open(const char *path, struct node_stores *stores)
{
    struct storage_error error = {{0}};
    assert_ok(node_try_open(path, stores, &error), error);
}

static inline void node_apply_to(struct map *map, uint64_t applied)
{
    while (map_get_meta(map)->applied_index < applied) {
        char key[32];
        char text[300];
        uint64_t index = map_get_meta(map)->applied_index + 1;
        snprintf(key, sizeof key, "key:%d", (int)(index * 7 % NODE_KEYS));
        snprintf(text, sizeof text, "%0*d", (int)(index * 13 % 250) + 1, (int)index);
        testing_put_text(map, key, text, index % 4 == 0 ? index * 100 : 0);
    }
    testing_checkpoint(map);
}

/* The old state. */
static inline void node_prepare(const char *path)
{
    struct node_stores stores;
    struct storage_error error = {{0}};
    struct log_entry entries[NODE_OLD_LAST];
    node_open(path, &stores);
    for (uint64_t i = 0; i < NODE_OLD_LAST; i++) {
        bool membership = i + 1 == 5 || i + 1 == 25;
        entries[i] = (struct log_entry){.id = {.term = 1, .index = i + 1},
                                        .type = membership ? LOG_ENTRY_MEMBERSHIP : 2,
                                        .bytes = (const uint8_t *)"entry",
                                        .size = 5};
    }
    const struct log_hard_state hard_state = {.term = 4, .vote = 2};
    const struct log_identity identity = {.node_id = 1, .disk_id = 2};
    const struct log_write write = {.hard_state = &hard_state,
                                    .entries = entries,
                                    .entries_count = NODE_OLD_LAST,
                                    .commit_hint = NODE_OLD_APPLIED};
    assert_ok(log_store_write(stores.log, &write, &error), error);
    assert_ok(log_store_write_identity(stores.log, &identity, &error), error);
    node_apply_to(stores.map, NODE_OLD_APPLIED);
    node_close(&stores);
}

/* Another node's map with everything up to `applied`; free() its meta. */
static inline struct testing_chunks *node_make_chunks(const char *directory, const char *name,
                                                      uint64_t applied, struct map_meta **meta)
{
    char *path = temp_directory_join(directory, name);
    struct map *map = testing_open_map(path, TESTING_MAP_BYTES);
    node_apply_to(map, applied);
    struct testing_chunks *chunks = testing_take_snapshot(map, 1000);
    *meta = malloc(sizeof **meta);
    **meta = *map_get_meta(map);
    map_close(map);
    free(path);
    return chunks;
}

/* Loads, installs, goes over to the new map and removes the old one: what a node does. *committed: the log's
 * transaction was a success. The stores are still the caller's to close. */
static inline enum storage_status node_install(struct node_stores *stores,
                                               const struct testing_chunks *chunks, bool *committed,
                                               struct storage_error *error)
{
    uint64_t generation = log_store_map_generation(stores->log) + 1;
    const struct map_loader_options options = {.directory =
                                                   data_directory_map_path(stores->directory, generation),
                                               .map_bytes = TESTING_MAP_BYTES,
                                               .sort_bytes = 4096};
    struct map_loader *loader = NULL;
    *committed = false;
    enum storage_status status = testing_load_chunks(chunks, &options, &loader, error);
    if (status == STORAGE_OK) {
        const struct map_meta *live = map_get_meta(stores->map);
        const struct map_meta *meta = map_loader_get_meta(loader);
        const struct log_install install = {
            .map_generation = generation,
            .base = {.term = meta->applied_term, .index = meta->applied_index},
            .live_applied = {.term = live->applied_term, .index = live->applied_index}};
        status = log_store_install(stores->log, &install, error);
    }
    *committed = status == STORAGE_OK;
    map_loader_destroy(loader);
    if (status == STORAGE_OK) {
        map_close(stores->map);
        stores->map = NULL;
        status = data_directory_remove_other_maps(stores->directory, generation, error);
    }
    if (status == STORAGE_OK) {
        const struct map_options live = {.directory = data_directory_map_path(stores->directory, generation),
                                         .map_bytes = TESTING_MAP_BYTES,
                                         .buffer_bytes_max = 1024 * 1024};
        status = map_open(&live, &stores->map, error);
    }
    return status;
}

static inline size_t node_count_maps(const char *path)
{
    size_t count = 0;
    DIR *listing = opendir(path);
    assert_non_null(listing);
    for (const struct dirent *entry = NULL; (entry = readdir(listing)) != NULL;) {
        bool map = strncmp(entry->d_name, "map-", 4) == 0;
        assert_true(map || entry->d_name[0] == '.' || strcmp(entry->d_name, "LOCK") == 0 ||
                    strcmp(entry->d_name, "log") == 0);
        count += map ? 1 : 0;
    }
    closedir(listing);
    return count;
}

static inline void node_sum_memberships(void *context, const struct log_entry *entry)
{
    uint64_t *sum = context;
    *sum = *sum * 100 + entry->id.index;
}

static inline void node_count_entry(void *context, const struct log_entry *entry)
{
    assert_int_equal(entry->size, 5);
    ++*(uint64_t *)context;
}

/* Starts the node, and says whether it has the new state; fails if it is neither that nor the old one. */
static inline bool node_is_new(const char *path, const struct map_meta *new_meta)
{
    struct node_stores stores;
    struct storage_error error = {{0}};
    node_open(path, &stores);
    assert_int_equal(node_count_maps(path), 1);
    const struct log_store_state state = testing_log_state(stores.log);
    const struct map_meta *meta = map_get_meta(stores.map);
    bool is_new = log_store_map_generation(stores.log) > 1;
    uint64_t last = NODE_OLD_LAST;
    if (is_new) {
        assert_memory_equal(meta, new_meta, sizeof *meta);
        assert_int_equal(state.base.index, meta->applied_index);
        assert_int_equal(state.base.term, meta->applied_term);
        assert_true(state.commit_hint >= meta->applied_index);
        last = meta->applied_index > last ? meta->applied_index : last;
    } else {
        assert_int_equal(meta->applied_index, NODE_OLD_APPLIED);
        assert_int_equal(state.base.index, 0);
    }
    assert_int_equal(state.hard_state.term, 4);
    assert_int_equal(state.hard_state.vote, 2);
    assert_int_equal(state.last.index, last);
    uint64_t memberships = 0;
    uint64_t expected = state.base.index < 5 ? 525 : state.base.index < 25 ? 25 : 0;
    assert_ok(log_store_memberships(stores.log, node_sum_memberships, &memberships, &error), error);
    assert_int_equal(memberships, expected);
    uint64_t entries = 0;
    if (last > state.base.index) {
        assert_ok(log_store_read(stores.log, state.base.index + 1, last, SIZE_MAX, node_count_entry, &entries,
                                 &error),
                  error);
    }
    assert_int_equal(entries, last - state.base.index);
    testing_assert_counts(stores.map);
    node_close(&stores);
    return is_new;
}

#endif
