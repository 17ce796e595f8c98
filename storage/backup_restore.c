/* backup_restore.c: see backup_restore.h. */
#include "backup_restore.h"

#include "data_directory.h"
#include "data_directory_internal.h"
#include "map_loader.h"
#include "storage_error.h"
#include "storage_memory.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Everything that is open while it goes on. */
struct backup_restoring {
    const struct backup_restore *restore;
    struct data_directory *directory;
    struct log_store *log;
    uint64_t generation; /* of the new map */
    struct map_loader *loader;
};

/* May this be in a directory that is as good as empty? What an earlier restore left, and what mkfs makes. */
static bool backup_restore_allows(const char *name)
{
    static const char *const allowed[] = {".", "..", "LOCK", "log", "lost+found"};
    uint64_t generation = 0;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        if (strcmp(name, allowed[i]) == 0) {
            return true;
        }
    }
    return data_directory_parse_map_name(name, &generation);
}

/* Before anything is created in it. */
static enum storage_status backup_restore_check_names(const char *path, struct storage_error *error)
{
    DIR *listing = opendir(path);
    if (listing == NULL) {
        return errno == ENOENT ? STORAGE_OK : storage_fail_errno(error, path, "open the directory");
    }
    enum storage_status status = STORAGE_OK;
    const struct dirent *entry = NULL;
    uint64_t generation = 0;
    bool has_log = false;
    bool has_map = false;
    while (status == STORAGE_OK && (entry = readdir(listing)) != NULL) {
        has_log = has_log || strcmp(entry->d_name, "log") == 0;
        has_map = has_map || data_directory_parse_map_name(entry->d_name, &generation);
        if (!backup_restore_allows(entry->d_name)) {
            status =
                storage_fail(error, STORAGE_INCOMPATIBLE,
                             "%s: not empty (there is \"%s\"). A backup is restored into an empty directory",
                             path, entry->d_name);
        }
    }
    closedir(listing);
    if (status == STORAGE_OK && has_map && !has_log) { /* a restore makes the log first */
        status =
            storage_fail(error, STORAGE_INCOMPATIBLE,
                         "%s: not empty: there is a map of a node whose log is gone. A backup is restored "
                         "into an empty directory",
                         path);
    }
    return status;
}

/* A log that nobody has used: without an identity there are no votes and no entries (log_store.h). */
static enum storage_status backup_restore_check_log(const struct backup_restoring *restoring,
                                                    struct storage_error *error)
{
    struct log_identity *identity = storage_allocate(sizeof *identity);
    bool found = false;
    enum storage_status status = log_store_read_identity(restoring->log, identity, &found, error);
    if (status == STORAGE_OK && found) {
        status =
            storage_fail(error, STORAGE_INCOMPATIBLE,
                         "%s: belongs to node %llu already. A backup is restored into an empty directory",
                         restoring->restore->data, (unsigned long long)identity->node_id);
    }
    free(identity);
    return status;
}

static enum storage_status backup_restore_open(struct backup_restoring *restoring,
                                               struct storage_error *error)
{
    const struct backup_restore *restore = restoring->restore;
    enum storage_status status = backup_restore_check_names(restore->data, error);
    if (status == STORAGE_OK) {
        status = data_directory_open(restore->data, &restoring->directory, error);
    }
    if (status != STORAGE_OK) {
        return status;
    }
    const struct log_store_options options = {.directory = data_directory_log_path(restoring->directory),
                                              .map_bytes = restore->log_map_bytes};
    status = log_store_open(&options, &restoring->log, error);
    if (status == STORAGE_OK) {
        status = backup_restore_check_log(restoring, error);
    }
    if (status != STORAGE_OK) {
        return status;
    }
    /* What an earlier restore left, whatever its number. */
    const uint64_t live = log_store_map_generation(restoring->log);
    status = data_directory_remove_other_maps(restoring->directory, live, error);
    if (status != STORAGE_OK) {
        return status;
    }
    restoring->generation = live + 1;
    const struct map_loader_options loading = {
        .directory = data_directory_map_path(restoring->directory, restoring->generation),
        .map_bytes = restore->map_bytes,
        .membership = restore->membership,
        .membership_size = restore->membership_size};
    return map_loader_create(&loading, &restoring->loader, error);
}

static enum storage_status backup_restore_take_chunk(void *context, const uint8_t *chunk, size_t size,
                                                     struct storage_error *error)
{
    struct backup_restoring *restoring = context;
    return map_loader_add(restoring->loader, chunk, size, error);
}

static enum storage_status backup_restore_load(struct backup_restoring *restoring,
                                               struct backup_summary *summary, struct storage_error *error)
{
    const struct backup_restore *restore = restoring->restore;
    const uint64_t *cluster_id = restore->identity->cluster_id;
    const struct backup_reading reading = {.take_chunk = backup_restore_take_chunk,
                                           .context = restoring,
                                           .progress = restore->progress,
                                           .progress_context = restore->progress_context};
    enum storage_status status = backup_file_read(restore->file, &reading, &summary->head, error);
    if (status == STORAGE_OK &&
        memcmp(summary->head.cluster_id, cluster_id, sizeof summary->head.cluster_id) == 0) {
        status = storage_fail(error, STORAGE_INCOMPATIBLE,
                              "%s: the restored cluster needs an id of its own, not that of the old one",
                              restore->file);
    }
    for (bool finished = false; status == STORAGE_OK && !finished;) {
        status = map_loader_finish(restoring->loader, &finished, error);
    }
    if (status == STORAGE_OK) {
        backup_summarize(map_loader_get_meta(restoring->loader), summary);
    }
    return status;
}

/* The commit point. */
static enum storage_status backup_restore_commit(struct backup_restoring *restoring,
                                                 const struct backup_summary *summary,
                                                 struct storage_error *error)
{
    const struct log_hard_state hard_state = {.term = summary->applied_term};
    const struct log_install install = {
        .map_generation = restoring->generation,
        .base = {.term = summary->applied_term, .index = summary->applied_index},
        .hard_state = &hard_state,
        .identity = restoring->restore->identity};
    return log_store_install(restoring->log, &install, error);
}

enum storage_status backup_restore(const struct backup_restore *restore, struct backup_summary *summary,
                                   struct storage_error *error)
{
    assert(restore->identity->formation == LOG_FORMATION_FORMED && restore->identity->members_count == 1);
    assert(restore->membership != NULL);
    struct backup_restoring restoring = {.restore = restore};
    enum storage_status status = backup_restore_open(&restoring, error);
    if (status == STORAGE_OK) {
        status = backup_restore_load(&restoring, summary, error);
    }
    if (status == STORAGE_OK) {
        status = backup_restore_commit(&restoring, summary, error);
    }
    map_loader_destroy(restoring.loader);
    log_store_close(restoring.log);
    data_directory_close(restoring.directory);
    return status;
}
