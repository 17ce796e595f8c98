/* backup_summary.c: see backup_summary.h. */
#include "backup_summary.h"

#include "answer_print.h"
#include "json.h"
#include "progress.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

static void summary_print_json(const char *path, uint64_t bytes, const struct backup_summary *summary,
                               FILE *out)
{
    char cluster_id[40], digest[20];
    cJSON *object = cJSON_CreateObject();
    snprintf(cluster_id, sizeof cluster_id, "%016" PRIx64 "%016" PRIx64, summary->head.cluster_id[0],
             summary->head.cluster_id[1]);
    snprintf(digest, sizeof digest, "%016" PRIx64, summary->digest);
    json_add_word(object, "outcome", "ok", true);
    json_add(object, "file", answer_print_json_text(path, strlen(path)));
    json_add_number(object, "bytes", bytes, true);
    json_add_word(object, "cluster_id", cluster_id, true);
    json_add_number(object, "node_id", summary->head.node_id, true);
    json_add_number(object, "created_ms", summary->head.created_ms, true);
    json_add_number(object, "applied_index", summary->applied_index, true);
    json_add_number(object, "applied_term", summary->applied_term, true);
    json_add_number(object, "log_time_ms", summary->log_time_ms, true);
    json_add_number(object, "key_count", summary->key_count, true);
    json_add_word(object, "digest", digest, true);
    char *line = json_take_line(object);
    fprintf(out, "%s\n", line);
    cJSON_free(line);
}

void backup_summary_print(const char *path, uint64_t bytes, const struct backup_summary *summary, bool json,
                          FILE *out)
{
    char size[PROGRESS_SIZE_BYTES_MAX], when[32] = "";
    time_t created = (time_t)(summary->head.created_ms / 1000);
    struct tm parts;
    if (json) {
        summary_print_json(path, bytes, summary, out);
        return;
    }
    if (gmtime_r(&created, &parts) != NULL) {
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    fprintf(out,
            "backup    %s, %s, sound\n"
            "made      %s by node %" PRIu64 " of cluster %016" PRIx64 "%016" PRIx64 "\n"
            "position  entry %" PRIu64 " of term %" PRIu64 "\n"
            "keys      %" PRIu64 ", digest %016" PRIx64 "\n",
            path, progress_format_size(bytes, size), when, summary->head.node_id, summary->head.cluster_id[0],
            summary->head.cluster_id[1], summary->applied_index, summary->applied_term, summary->key_count,
            summary->digest);
}

void backup_summary_print_failure(const char *path, const char *reason, FILE *out)
{
    cJSON *object = cJSON_CreateObject();
    json_add_word(object, "outcome", "error", true);
    json_add(object, "file", answer_print_json_text(path, strlen(path)));
    json_add(object, "reason", answer_print_json_text(reason, strlen(reason)));
    char *line = json_take_line(object);
    fprintf(out, "%s\n", line);
    cJSON_free(line);
}
