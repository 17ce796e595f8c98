/* status_advice.c: see status_advice.h. */
#include "status_advice.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES_MAX = NODE_STATUS_TEXT_BYTES_MAX + 512 };

struct adviser {
    const struct cluster_status *status;
    void (*take)(void *context, const char *line);
    void *context;
};

static void advise(const struct adviser *adviser, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void advise(const struct adviser *adviser, const char *format, ...)
{
    char line[LINE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    adviser->take(adviser->context, line);
}

static bool is_low(const struct cluster_status_node *node)
{
    return node->low_on_space;
}

static bool differs(const struct cluster_status_node *node)
{
    return node->differs;
}

/* "1, 3", of those that are so; false: there are none. */
static bool name_nodes(const struct cluster_status *status,
                       bool (*is_so)(const struct cluster_status_node *node), char *names, size_t names_bytes)
{
    names[0] = '\0';
    for (size_t i = 0; i < status->count; i++) {
        size_t used = strlen(names);
        if (is_so(&status->nodes[i])) {
            snprintf(names + used, names_bytes - used, "%s%" PRIu64, used > 0 ? ", " : "",
                     status->nodes[i].id);
        }
    }
    return names[0] != '\0';
}

static void advise_about_damage(const struct adviser *adviser)
{
    for (size_t i = 0; i < adviser->status->count; i++) {
        const struct cluster_status_node *node = &adviser->status->nodes[i];
        if (node->damaged && adviser->status->members_count == 1) {
            advise(adviser,
                   "node %" PRIu64 " is damaged, and no other node has its data: make it anew from a backup "
                   "(kvd restore). Found: %s",
                   node->id, node->status.damage);
        } else if (node->damaged) {
            advise(adviser,
                   "node %" PRIu64 " is damaged: replace it (kvcli replace %" PRIu64
                   " NEW-ID HOST:PORT). Found: %s",
                   node->id, node->id, node->status.damage);
        }
    }
}

/* The leader names all voters when there are two: nobody can say which is right. */
static bool majority_differs(const struct cluster_status *status)
{
    size_t voters = 0;
    size_t differing = 0;
    for (size_t i = 0; status->leader != NULL && i < status->leader->status.members_count; i++) {
        const struct node_status_member *member = &status->leader->status.members[i];
        if (strcmp(member->kind, "voter") == 0) {
            voters++;
            differing += node_status_names_differing(&status->leader->status, member->id);
        }
    }
    return differing * 2 > voters;
}

static void advise_about_differences(const struct adviser *adviser)
{
    char names[LINE_BYTES_MAX / 2];
    if (name_nodes(adviser->status, differs, names, sizeof names) && majority_differs(adviser->status)) {
        advise(adviser,
               "nodes %s hold different data, and none of them is outvoted: find out which one is right, and "
               "replace the other (kvcli replace ID NEW-ID HOST:PORT)",
               names);
        return;
    }
    for (size_t i = 0; i < adviser->status->count; i++) {
        const struct cluster_status_node *node = &adviser->status->nodes[i];
        if (node->differs) {
            advise(adviser,
                   "node %" PRIu64 " holds other data than the others: replace it (kvcli replace %" PRIu64
                   " NEW-ID HOST:PORT)",
                   node->id, node->id);
        }
    }
}

static void advise_about_space(const struct adviser *adviser)
{
    char names[LINE_BYTES_MAX / 2];
    if (name_nodes(adviser->status, is_low, names, sizeof names)) {
        bool several = strchr(names, ',') != NULL;
        advise(adviser, "node%s %s %s low on space: remove keys, or make room on %s", several ? "s" : "",
               names, several ? "are" : "is", several ? "their disks" : "its disk");
    }
}

void status_advice_each(const struct cluster_status *status, void (*take)(void *context, const char *line),
                        void *context)
{
    const struct adviser adviser = {.status = status, .take = take, .context = context};
    advise_about_damage(&adviser);
    advise_about_differences(&adviser);
    advise_about_space(&adviser);
}
