/* restore.c: see restore.h. */
#include "restore.h"

#include "backup_restore.h"
#include "startup.h"

#include <inttypes.h>
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

static void say_restored(const struct config *config, const struct log_identity *identity,
                         const struct backup_summary *summary, FILE *out)
{
    time_t created = (time_t)(summary->head.created_ms / 1000);
    struct tm parts;
    char when[32] = "";

    if (gmtime_r(&created, &parts) != NULL) {
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    (void)fprintf(
        out,
        "restored  %s\n"
        "into      %s\n"
        "made      %s by node %" PRIu64 " of cluster %016" PRIx64 "%016" PRIx64 "\n"
        "position  entry %" PRIu64 " of term %" PRIu64 "\n"
        "keys      %" PRIu64 ", digest %016" PRIx64 "\n"
        "now       node %" PRIu64 ", the only member of the new cluster %016" PRIx64 "%016" PRIx64 "\n",
        config->restore_file, config->data, when, summary->head.node_id, summary->head.cluster_id[0],
        summary->head.cluster_id[1], summary->applied_index, summary->applied_term, summary->key_count,
        summary->digest, identity->node_id, identity->cluster_id[0], identity->cluster_id[1]);
}

enum replica_exit restore_run(const struct config *config, FILE *out, FILE *errors)
{
    struct restore_progress progress = {
        .to = errors, .is_terminal = isatty(fileno(errors)) == 1, .percent = -1};
    struct log_identity identity;
    struct backup_summary summary;
    struct storage_error error = {{0}};

    make_identity(config, &identity);
    const struct backup_restore restore = {
        .file = config->restore_file,
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
        (void)fputc('\n', errors);
    }
    if (status != STORAGE_OK) {
        (void)fprintf(errors, "kvd: %s is not restored: %s\n", config->restore_file, error.text);
    } else {
        say_restored(config, &identity, &summary, out);
    }
    return exit_code(status);
}
