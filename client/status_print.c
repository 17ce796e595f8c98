/* status_print.c: a cluster's state as a table or as JSON. */
#include "status_print.h"

#include "allocate.h"
#include "json.h"
#include "status_advice.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table ------------------------------------------------------------------------------- */

enum column {
    COLUMN_NODE,
    COLUMN_ADDRESS,
    COLUMN_ROLE,
    COLUMN_TERM,
    COLUMN_COMMIT,
    COLUMN_APPLIED,
    COLUMN_LAG,
    COLUMN_KEYS,
    COLUMN_UPTIME,
    COLUMN_STATE,
    COLUMNS_COUNT
};

enum { CELL_BYTES_MAX = CLUSTER_STATUS_STATE_BYTES_MAX };

static const struct {
    const char *title;
    bool right; /* numbers stand under one another */
} columns[COLUMNS_COUNT] = {
    [COLUMN_NODE] = {"NODE", false},    [COLUMN_ADDRESS] = {"ADDRESS", false},
    [COLUMN_ROLE] = {"ROLE", false},    [COLUMN_TERM] = {"TERM", true},
    [COLUMN_COMMIT] = {"COMMIT", true}, [COLUMN_APPLIED] = {"APPLIED", true},
    [COLUMN_LAG] = {"LAG", true},       [COLUMN_KEYS] = {"KEYS", true},
    [COLUMN_UPTIME] = {"UPTIME", true}, [COLUMN_STATE] = {"STATE", false},
};

struct row {
    char cells[COLUMNS_COUNT][CELL_BYTES_MAX];
};

static void cell_set_uptime(char *cell, uint64_t uptime_ms)
{
    uint64_t seconds = uptime_ms / 1000;
    if (seconds < 60) {
        snprintf(cell, CELL_BYTES_MAX, "%" PRIu64 "s", seconds);
    } else if (seconds < 3600) {
        snprintf(cell, CELL_BYTES_MAX, "%" PRIu64 "m%02" PRIu64 "s", seconds / 60, seconds % 60);
    } else if (seconds < 86400) {
        snprintf(cell, CELL_BYTES_MAX, "%" PRIu64 "h%02" PRIu64 "m", seconds / 3600, seconds / 60 % 60);
    } else {
        snprintf(cell, CELL_BYTES_MAX, "%" PRIu64 "d%02" PRIu64 "h", seconds / 86400, seconds / 3600 % 24);
    }
}

static void row_fill(struct row *row, const struct cluster_status_node *node, bool has_leader)
{
    char name[ENDPOINT_TEXT_BYTES_MAX];
    for (size_t i = 0; i < COLUMNS_COUNT; i++) {
        snprintf(row->cells[i], CELL_BYTES_MAX, "-");
    }
    if (node->id != 0) {
        snprintf(row->cells[COLUMN_NODE], CELL_BYTES_MAX, "%" PRIu64, node->id);
    }
    if (node->address.port != 0) {
        snprintf(row->cells[COLUMN_ADDRESS], CELL_BYTES_MAX, "%s", endpoint_format(&node->address, name));
    }
    snprintf(row->cells[COLUMN_STATE], CELL_BYTES_MAX, "%s", node->state);
    if (!node->reachable) {
        return;
    }
    snprintf(row->cells[COLUMN_ROLE], CELL_BYTES_MAX, "%s", node->is_leader ? "LEADER" : node->status.role);
    snprintf(row->cells[COLUMN_TERM], CELL_BYTES_MAX, "%" PRIu64, node->status.term);
    snprintf(row->cells[COLUMN_COMMIT], CELL_BYTES_MAX, "%" PRIu64, node->status.commit_index);
    snprintf(row->cells[COLUMN_APPLIED], CELL_BYTES_MAX, "%" PRIu64, node->status.applied_index);
    snprintf(row->cells[COLUMN_KEYS], CELL_BYTES_MAX, "%" PRIu64, node->status.key_count);
    cell_set_uptime(row->cells[COLUMN_UPTIME], node->status.uptime_ms);
    if (has_leader) {
        snprintf(row->cells[COLUMN_LAG], CELL_BYTES_MAX, "%" PRIu64, node->lag);
    }
}

/* `size` characters at most, then the line's end; text here is ASCII. */
static void text_append_cut(struct byte_buffer *text, const char *line, size_t size, size_t columns_max)
{
    byte_buffer_append(text, line, columns_max != 0 && size > columns_max ? columns_max : size);
}

static void table_append_row(struct byte_buffer *text, const struct row *row, const size_t *widths,
                             const char *colour, size_t columns_max)
{
    struct byte_buffer line = {0};
    for (size_t i = 0; i < COLUMNS_COUNT; i++) {
        const char *gap = i == 0 ? "" : "  ";
        int width = i == COLUMN_STATE ? 0 : (int)widths[i];
        text_append_format(&line, "%s%*s", gap, columns[i].right ? width : -width, row->cells[i]);
    }
    text_append(text, colour);
    text_append_cut(text, (const char *)byte_buffer_front(&line), byte_buffer_size(&line), columns_max);
    text_append(text, colour[0] == '\0' ? "\n" : "\033[0m\n");
    byte_buffer_deinit(&line);
}

static void summary_append_digests(struct byte_buffer *line, const struct cluster_status *status)
{
    switch (status->digests) {
    case CLUSTER_DIGESTS_EQUAL:
        text_append_format(line, "; digests are equal at index %" PRIu64, status->digest_index);
        return;
    case CLUSTER_DIGESTS_DIFFER:
        text_append_format(line, "; DIGESTS DIFFER at index %" PRIu64 ": replicas hold different data",
                           status->digest_index);
        return;
    case CLUSTER_DIGESTS_NOT_COMPARABLE:
        text_append(line, status->members_up < 2
                              ? ""
                              : "; no two nodes were at the same index, digests not compared");
        return;
    }
}

static void summary_append(struct byte_buffer *line, const struct cluster_status *status)
{
    const char *up = status->members_count == 1 ? "node is up" : "nodes are up";
    switch (status->health) {
    case CLUSTER_HEALTHY:
        text_append_format(line, "healthy: %zu of %zu %s, node %" PRIu64 " leads term %" PRIu64,
                           status->members_up, status->members_count, up, status->leader->id,
                           status->leader->status.term);
        break;
    case CLUSTER_DEGRADED:
        text_append_format(line,
                           "degraded: %zu of %zu %s (a quorum is %zu), node %" PRIu64 " leads term %" PRIu64,
                           status->members_up, status->members_count, up, status->quorum, status->leader->id,
                           status->leader->status.term);
        break;
    case CLUSTER_NO_LEADER:
        text_append_format(line, "no leader: %zu of %zu %s, a quorum is %zu%s", status->members_up,
                           status->members_count, up, status->quorum,
                           status->members_up >= status->quorum ? ": an election should be under way" : "");
        break;
    case CLUSTER_UNREACHABLE:
        text_append_format(line, "unreachable: no kvd answers at the address%s asked",
                           status->count == 1 ? "" : "es");
        return;
    }
    summary_append_digests(line, status);
}

struct table {
    struct byte_buffer *text;
    size_t columns_max;
};

static void table_append_advice(void *context, const char *line)
{
    const struct table *table = context;
    text_append_cut(table->text, line, strlen(line), table->columns_max);
    text_append(table->text, "\n");
}

static const char *health_colour(enum cluster_health health)
{
    return health == CLUSTER_HEALTHY ? "\033[32m" : health == CLUSTER_DEGRADED ? "\033[33m" : "\033[31m";
}

void status_print_table(struct byte_buffer *text, const struct cluster_status *status, bool colours,
                        size_t columns_max)
{
    struct row *rows = allocate_zeroed(status->count + 1, sizeof *rows);
    size_t widths[COLUMNS_COUNT] = {0};
    for (size_t k = 0; k < COLUMNS_COUNT; k++) {
        snprintf(rows[0].cells[k], CELL_BYTES_MAX, "%s", columns[k].title);
    }
    for (size_t i = 0; i < status->count; i++) {
        row_fill(&rows[i + 1], &status->nodes[i], status->leader != NULL);
    }
    for (size_t i = 0; i <= status->count; i++) {
        for (size_t k = 0; k < COLUMNS_COUNT; k++) {
            size_t width = strlen(rows[i].cells[k]);
            widths[k] = width > widths[k] ? width : widths[k];
        }
    }
    for (size_t i = 0; i <= status->count; i++) {
        const struct cluster_status_node *node = i == 0 ? NULL : &status->nodes[i - 1];
        const char *colour = node == NULL      ? "\033[2m"
                             : node->troubled  ? "\033[31m"
                             : node->is_leader ? "\033[1m"
                                               : "";
        table_append_row(text, &rows[i], widths, colours ? colour : "", columns_max);
    }
    free(rows);
    struct byte_buffer line = {0};
    summary_append(&line, status);
    text_append(text, "\n");
    text_append(text, colours ? health_colour(status->health) : "");
    text_append_cut(text, (const char *)byte_buffer_front(&line), byte_buffer_size(&line), columns_max);
    text_append(text, colours ? "\033[0m\n" : "\n");
    byte_buffer_deinit(&line);
    struct table table = {.text = text, .columns_max = columns_max};
    status_advice_each(status, table_append_advice, &table);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static cJSON *json_node(const struct cluster_status_node *node, bool has_leader)
{
    char name[ENDPOINT_TEXT_BYTES_MAX];
    const struct node_status *status = &node->status;
    bool up = node->reachable;
    cJSON *item = cJSON_CreateObject();
    json_add_number(item, "id", node->id, node->id != 0);
    json_add_word(item, "address", node->address.port != 0 ? endpoint_format(&node->address, name) : "",
                  true);
    json_add(item, "reachable", cJSON_CreateBool(up));
    json_add_word(item, "state", node->state, true);
    json_add(item, "is_leader", cJSON_CreateBool(node->is_leader));
    json_add_word(item, "role", status->role, up);
    json_add_number(item, "term", status->term, up);
    json_add_number(item, "leader_id", status->leader_id, up && status->leader_id != 0);
    json_add_number(item, "commit_index", status->commit_index, up);
    json_add_number(item, "applied_index", status->applied_index, up);
    json_add_number(item, "lag", node->lag, up && has_leader);
    json_add_number(item, "first_index", status->first_index, up);
    json_add_number(item, "last_index", status->last_index, up);
    json_add_number(item, "durable_index", status->durable_index, up);
    json_add_number(item, "key_count", status->key_count, up);
    json_add_word(item, "digest", status->digest, up);
    json_add_number(item, "uptime_ms", status->uptime_ms, up);
    json_add_word(item, "version", status->version, up);
    json_add_word(item, "cluster_id", status->cluster_id, up);
    json_add_word(item, "disk_id", status->disk_id, up);
    json_add_word(item, "damage", status->damage, up);
    json_add(item, "low_space", up ? cJSON_CreateBool(status->low_space) : cJSON_CreateNull());
    json_add(item, "differs", has_leader ? cJSON_CreateBool(node->differs) : cJSON_CreateNull());
    return item;
}

static void json_add_advice(void *context, const char *line)
{
    cJSON *lines = context;
    cJSON_AddItemToArray(lines, cJSON_CreateString(line));
}

void status_print_json(struct byte_buffer *text, const struct cluster_status *status)
{
    const struct cluster_status_node *leader = status->leader;
    struct byte_buffer summary = {0};
    summary_append(&summary, status);
    cJSON *root = cJSON_CreateObject();
    json_add_word(root, "health", cluster_health_name(status->health), true);
    json_add_word(root, "summary", text_c_string(&summary), true);
    cJSON *advice = cJSON_CreateArray();
    status_advice_each(status, json_add_advice, advice);
    json_add(root, "advice", advice);
    json_add_number(root, "leader_id", leader != NULL ? leader->id : 0, leader != NULL);
    json_add_number(root, "term", leader != NULL ? leader->status.term : 0, leader != NULL);
    json_add_number(root, "members_count", status->members_count, true);
    json_add_number(root, "members_up", status->members_up, true);
    json_add_number(root, "quorum", status->quorum, true);
    json_add_word(root, "digests", cluster_digests_name(status->digests), true);
    json_add_number(root, "digest_index", status->digest_index,
                    status->digests != CLUSTER_DIGESTS_NOT_COMPARABLE);
    cJSON *nodes = cJSON_CreateArray();
    for (size_t i = 0; i < status->count; i++) {
        cJSON_AddItemToArray(nodes, json_node(&status->nodes[i], leader != NULL));
    }
    json_add(root, "nodes", nodes);
    char *line = json_take_line(root);
    text_append(text, line);
    text_append(text, "\n");
    cJSON_free(line);
    byte_buffer_deinit(&summary);
}
