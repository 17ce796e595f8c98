/* offline_restore.c: `kvd restore FILE`: makes a backup the data of a new cluster of one node, and ends.
 *
 * The new cluster has an id of its own, and the node a new disk id, so that no member of the old cluster
 * takes it for one of its own. Where it is reached its settings say when it is started. Interrupted, it is
 * begun again.
 *
 * The exit code: START for a directory that is not empty or in use, or a file that is no backup; CORRUPT for
 * a backup that is damaged; DISK for one that cannot be read or written.
 */
#include "offline.h"

#include "backup_restore.h"
#include "config.h"
#include "startup.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct restore_progress {
    FILE *to;
    bool is_terminal;
    int percent; /* shown */
};

static void show_progress(void *context, uint64_t bytes, uint64_t bytes_total)
{
    struct restore_progress *progress = context;
    int percent = bytes_total == 0 ? 100 : (int)((double)bytes / (double)bytes_total * 100);

    if (!progress->is_terminal || percent == progress->percent) {
        return;
    }
    progress->percent = percent;
    (void)fprintf(progress->to, "\r%3d%% of %" PRIu64 " MiB read%s", percent, bytes_total >> 20,
                  percent == 100 ? "; sorting the indexes and writing" : "");
    (void)fflush(progress->to);
}

static enum replica_exit exit_code(enum storage_status status)
{
    switch (status) {
    case STORAGE_OK:
        return REPLICA_EXIT_OK;
    case STORAGE_CORRUPT:
        return REPLICA_EXIT_CORRUPT;
    case STORAGE_FULL:
    case STORAGE_FAILED:
        return REPLICA_EXIT_DISK;
    case STORAGE_LOCKED:
    case STORAGE_OUTDATED:
    case STORAGE_INCOMPATIBLE:
        break;
    }
    return REPLICA_EXIT_START;
}

static void make_identity(const struct config *config, struct log_identity *identity)
{
    *identity = (struct log_identity){.node_id = config->id, .formation = LOG_FORMATION_FORMED};
    while (identity->disk_id == 0) {
        startup_random(&identity->disk_id, sizeof identity->disk_id);
    }
    while (identity->cluster_id[0] == 0) {
        startup_random(identity->cluster_id, sizeof identity->cluster_id);
    }
    identity->members_count = 1;
    identity->members[0] = (struct log_member){.node_id = identity->node_id, .disk_id = identity->disk_id};
}

static void say_restored(const char *file, const struct config *config, const struct log_identity *identity,
                         const struct backup_summary *summary)
{
    time_t created = (time_t)(summary->head.created_ms / 1000);
    struct tm parts;
    char when[32] = "";

    if (gmtime_r(&created, &parts) != NULL) {
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    (void)printf(
        "restored  %s\n"
        "into      %s\n"
        "made      %s by node %" PRIu64 " of cluster %016" PRIx64 "%016" PRIx64 "\n"
        "position  entry %" PRIu64 " of term %" PRIu64 "\n"
        "keys      %" PRIu64 ", digest %016" PRIx64 "\n"
        "now       node %" PRIu64 ", the only member of the new cluster %016" PRIx64 "%016" PRIx64 "\n",
        file, config->data, when, summary->head.node_id, summary->head.cluster_id[0],
        summary->head.cluster_id[1], summary->applied_index, summary->applied_term, summary->key_count,
        summary->digest, identity->node_id, identity->cluster_id[0], identity->cluster_id[1]);
}

static enum replica_exit restore(const char *file, const struct config *config)
{
    struct restore_progress progress = {
        .to = stderr, .is_terminal = isatty(STDERR_FILENO) == 1, .percent = -1};
    struct log_identity identity;
    struct backup_summary summary;
    struct storage_error error = {{0}};

    make_identity(config, &identity);
    const struct backup_restore restore = {
        .file = file,
        .data = config->data,
        .identity = &identity,
        .membership = (const uint8_t *)"", /* the member that formed it, as the identity says */
        .membership_size = 0,
        .log_map_bytes = (size_t)config->log_map_bytes,
        .map_bytes = (size_t)config->data_map_bytes,
        .progress = show_progress,
        .progress_context = &progress,
    };
    enum storage_status status = backup_restore(&restore, &summary, &error);

    if (progress.percent >= 0) {
        (void)fputc('\n', stderr);
    }
    if (status != STORAGE_OK) {
        (void)fprintf(stderr, "kvd: %s is not restored: %s\n", file, error.text);
    } else {
        say_restored(file, config, &identity, &summary);
    }
    return exit_code(status);
}

int offline_restore(int arguments_count, char **arguments, char *const *environment)
{
    static const char help[] = "kvd restore FILE --data DIRECTORY [settings]\n\nMakes a backup the data of a "
                               "new cluster of one node: in "
                               "a directory that is empty or not there,\nof the node that --id names. Start "
                               "it with the same settings "
                               "afterwards, and let others join it.\n";
    struct config config;
    int code;
    const char *file = NULL;
    if (arguments_count > 1 && strncmp(arguments[1], "--", 2) != 0) {
        file = arguments[1];
        arguments_count--;
        arguments++;
    }
    if (!offline_read_settings(&config, arguments_count, arguments, environment, help, &code)) {
        return code;
    }
    if (file == NULL) {
        (void)fputs("kvd: restore: which backup? kvd restore FILE --data DIRECTORY --id NUMBER\n", stderr);
        code = REPLICA_EXIT_USAGE;
    } else {
        code = (int)restore(file, &config);
        if (fflush(stdout) != 0 && code == REPLICA_EXIT_OK) {
            code = REPLICA_EXIT_START;
        }
    }
    config_deinit(&config);
    return code;
}
