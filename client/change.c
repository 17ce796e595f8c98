/* change.c: see change.h. */
#include "change.h"

#include "progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- what is wanted -------------------------------------------------------------------------- */

static bool change_take_id(const char *text, uint64_t *id, char *error, size_t error_bytes)
{
    char *end = NULL;
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && digits <= 18 && text[digits] == '\0') {
        *id = strtoull(text, &end, 10);
        if (*id > 0) {
            return true;
        }
    }
    snprintf(error, error_bytes, "'%.60s' is not a node's id: a number from 1", text);
    return false;
}

static bool change_take_address(const char *text, struct endpoint *address, char *error, size_t error_bytes)
{
    if (endpoint_parse(text, strlen(text), 0, address) && address->host[0] != '\0') {
        return true;
    }
    snprintf(error, error_bytes, "'%.60s' is not HOST:PORT", text);
    return false;
}

static bool change_take_role(const char *text, struct change *change, char *error, size_t error_bytes)
{
    change->stays_learner = strcasecmp(text, "learner") == 0;
    if (change->stays_learner || strcasecmp(text, "voter") == 0) {
        return true;
    }
    snprintf(error, error_bytes, "'%.60s' is neither learner nor voter", text);
    return false;
}

bool change_parse(struct change *change, const char *word, const char *const *arguments, int count,
                  char *error, size_t error_bytes)
{
    static const char *const words[] = {
        [CHANGE_ADD] = "add",         [CHANGE_PROMOTE] = "promote", [CHANGE_REMOVE] = "remove",
        [CHANGE_REPLACE] = "replace", [CHANGE_ADDRESS] = "address", [CHANGE_TRANSFER] = "transfer",
    };
    enum change_kind kind = CHANGE_ADD;
    while (kind < CHANGE_TRANSFER && strcmp(words[kind], word) != 0) {
        kind++;
    }
    *change = (struct change){.kind = kind};
    if (count > 0 && !change_take_id(arguments[0], &change->id, error, error_bytes)) {
        return false;
    }
    switch (kind) {
    case CHANGE_ADD:
        return change_take_address(arguments[1], &change->address, error, error_bytes) &&
               (count < 3 || change_take_role(arguments[2], change, error, error_bytes));
    case CHANGE_ADDRESS:
        return change_take_address(arguments[1], &change->address, error, error_bytes);
    case CHANGE_REPLACE:
        return change_take_id(arguments[1], &change->new_id, error, error_bytes) &&
               change_take_address(arguments[2], &change->address, error, error_bytes);
    case CHANGE_PROMOTE:
    case CHANGE_REMOVE:
    case CHANGE_TRANSFER:
        break;
    }
    return true;
}

/* ---- how far it is --------------------------------------------------------------------------- */

static void view_set(struct change_view *view, enum change_state state, const char *phase, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));

static void view_set(struct change_view *view, enum change_state state, const char *phase, const char *format,
                     ...)
{
    va_list arguments;
    view->state = state;
    snprintf(view->phase, sizeof view->phase, "%s", phase);
    va_start(arguments, format);
    vsnprintf(view->text, sizeof view->text, format, arguments);
    va_end(arguments);
}

static bool is_settled(const struct node_status *status)
{
    return strcmp(status->membership, "stable") == 0;
}

static bool is_kind(const struct node_status_member *member, const char *kind)
{
    return member != NULL && strcmp(member->kind, kind) == 0;
}

static uint64_t member_lag(const struct node_status *status, const struct node_status_member *member)
{
    return status->last_index > member->match_index ? status->last_index - member->match_index : 0;
}

static bool has_caught_up(const struct node_status *status, const struct node_status_member *member)
{
    return member->active && strcmp(member->progress, "replicate") == 0 &&
           member_lag(status, member) <= CHANGE_LAG_ENTRIES_MAX;
}

static void view_set_snapshot(struct change_view *view, const struct node_status_member *member)
{
    char size[PROGRESS_SIZE_BYTES_MAX];
    progress_format_size(member->snapshot_bytes, size);
    if (member->snapshot_bytes == 0) {
        view_set(view, CHANGE_UNDER_WAY, "snapshot",
                 "node %" PRIu64 " is too far behind for the log: a snapshot is "
                 "being begun",
                 member->id);
    } else if (member->snapshot_keys < member->snapshot_keys_total) {
        view_set(view, CHANGE_UNDER_WAY, "snapshot",
                 "node %" PRIu64 " gets a snapshot: %u%% of %" PRIu64 " keys, %s", member->id,
                 progress_percent(member->snapshot_keys, member->snapshot_keys_total),
                 member->snapshot_keys_total, size);
    } else {
        view_set(view, CHANGE_UNDER_WAY, "loading",
                 "node %" PRIu64 " has all of the snapshot (%" PRIu64 " keys, %s), and sorts its indexes",
                 member->id, member->snapshot_keys_total, size);
    }
}

/* What a learner that is to become something is at. */
static void view_set_learner(struct change_view *view, const struct node_status *status,
                             const struct node_status_member *member)
{
    if (strcmp(member->goal, "join") == 0) {
        view_set(view, CHANGE_UNDER_WAY, "waiting",
                 "node %" PRIu64 " has not come yet: start it with --id %" PRIu64
                 ", --join and an empty data directory",
                 member->id, member->id);
    } else if (strcmp(member->progress, "snapshot") == 0) {
        view_set_snapshot(view, member);
    } else if (!member->active) {
        view_set(view, CHANGE_UNDER_WAY, "unreachable", "nothing is heard of node %" PRIu64, member->id);
    } else if (!has_caught_up(status, member)) {
        view_set(view, CHANGE_UNDER_WAY, "catching-up",
                 "node %" PRIu64 " catches up: entry %" PRIu64 " of %" PRIu64 ", %" PRIu64 " behind",
                 member->id, member->match_index, status->last_index, member_lag(status, member));
    } else {
        view_set(view, CHANGE_UNDER_WAY, "caught-up",
                 "node %" PRIu64 " has caught up, and becomes a voter as soon as enough voters are alive",
                 member->id);
    }
}

static void view_set_changing(struct change_view *view, const struct node_status *status)
{
    bool joint = strcmp(status->membership, "joint") == 0;
    view_set(
        view, CHANGE_UNDER_WAY, joint ? "joint" : "committing",
        joint ? "old and new voters decide together until the change is on the disks of both (entry %" PRIu64
                ")"
              : "the change is being written to the disks of a majority (entry %" PRIu64 ")",
        status->membership_index);
}

/* By id; the leader's line stands first. */
static void view_append_voters(struct change_view *view, const struct node_status *status)
{
    const char *before = ". Voters: ";
    for (uint64_t last = 0;;) {
        const struct node_status_member *next = NULL;
        for (size_t i = 0; i < status->members_count; i++) {
            const struct node_status_member *member = &status->members[i];
            if (is_kind(member, "voter") && member->id > last && (next == NULL || member->id < next->id)) {
                next = member;
            }
        }
        if (next == NULL) {
            return;
        }
        size_t used = strlen(view->text);
        snprintf(view->text + used, sizeof view->text - used, "%s%" PRIu64, before, next->id);
        before = ", ";
        last = next->id;
    }
}

static void judge_add(const struct change *change, const struct node_status *status, struct change_view *view)
{
    const struct node_status_member *member = node_status_find_member(status, change->id);
    bool learner = is_kind(member, "learner");
    if (member == NULL) {
        view_set(view, CHANGE_NOT_BEGUN, "absent", "node %" PRIu64 " is no member", change->id);
    } else if (!is_settled(status)) {
        view_set_changing(view, status);
    } else if (is_kind(member, "voter")) {
        view_set(view, CHANGE_DONE, "done", "node %" PRIu64 " is a voter", change->id);
        view_append_voters(view, status);
    } else if (learner && change->kind == CHANGE_ADD && change->stays_learner &&
               has_caught_up(status, member)) {
        view_set(view, CHANGE_DONE, "done", "node %" PRIu64 " is a learner, and has caught up", change->id);
        view_append_voters(view, status);
    } else if (learner && change->kind == CHANGE_PROMOTE && member->goal[0] == '\0') {
        view_set(view, CHANGE_NOT_BEGUN, "learner", "node %" PRIu64 " is to stay a learner", change->id);
    } else {
        view_set_learner(view, status, member);
    }
}

static void judge_remove(const struct change *change, const struct node_status *status,
                         struct change_view *view)
{
    const struct node_status_member *member = node_status_find_member(status, change->id);
    if (!is_settled(status)) {
        view_set_changing(view, status);
    } else if (member == NULL || is_kind(member, "none")) {
        view_set(view, CHANGE_DONE, "done", "node %" PRIu64 " is no member any more", change->id);
        view_append_voters(view, status);
    } else {
        view_set(view, CHANGE_NOT_BEGUN, "member", "node %" PRIu64 " is a member", change->id);
    }
}

static void judge_replace(const struct change *change, const struct node_status *status,
                          struct change_view *view)
{
    const struct node_status_member *old = node_status_find_member(status, change->id);
    const struct node_status_member *new = node_status_find_member(status, change->new_id);
    char goal[40];
    snprintf(goal, sizeof goal, "replace-%" PRIu64, change->id);
    bool old_is_there = old != NULL && !is_kind(old, "none");
    if (new == NULL) {
        view_set(view, CHANGE_NOT_BEGUN, "absent", "node %" PRIu64 " is no member", change->new_id);
    } else if (!is_settled(status)) {
        view_set_changing(view, status);
    } else if (is_kind(new, "voter") && !old_is_there) {
        view_set(view, CHANGE_DONE, "done", "node %" PRIu64 " has taken the place of node %" PRIu64,
                 change->new_id, change->id);
        view_append_voters(view, status);
    } else if (is_kind(new, "voter")) {
        view_set(view, CHANGE_PREVENTED, "prevented",
                 "node %" PRIu64 " is a voter, and node %" PRIu64
                 " still a member: another change came between",
                 change->new_id, change->id);
    } else if (strcmp(new->goal, goal) != 0 && strcmp(new->goal, "join") != 0) {
        view_set(view, CHANGE_NOT_BEGUN, "learner", "node %" PRIu64 " is not to replace node %" PRIu64,
                 change->new_id, change->id);
    } else {
        view_set_learner(view, status, new);
    }
}

static void judge_address(const struct change *change, const struct node_status *status,
                          struct change_view *view)
{
    const struct node_status_member *member = node_status_find_member(status, change->id);
    char name[ENDPOINT_TEXT_BYTES_MAX];
    if (member == NULL) {
        view_set(view, CHANGE_PREVENTED, "absent", "node %" PRIu64 " is no member", change->id);
    } else if (!endpoint_equal(&member->bus, &change->address)) {
        view_set(view, CHANGE_NOT_BEGUN, "elsewhere", "node %" PRIu64 " is reached at %s", change->id,
                 endpoint_format(&member->bus, name));
    } else if (!is_settled(status)) {
        view_set_changing(view, status);
    } else {
        view_set(view, CHANGE_DONE, "done", "node %" PRIu64 " is reached at %s", change->id,
                 endpoint_format(&member->bus, name));
    }
}

static void judge_transfer(const struct change *change, const struct node_status *status,
                           struct change_view *view)
{
    bool is_wanted =
        change->id == 0 ? status->node_id != change->leader_id_before : status->node_id == change->id;
    if (is_wanted) {
        view_set(view, CHANGE_DONE, "done", "node %" PRIu64 " leads, in term %" PRIu64, status->node_id,
                 status->term);
    } else if (status->transferee != 0) {
        view_set(view, CHANGE_UNDER_WAY, "transferring",
                 "node %" PRIu64 " hands over to node %" PRIu64 ", which catches up first", status->node_id,
                 status->transferee);
    } else if (status->node_id == change->leader_id_before || change->leader_id_before == 0) {
        view_set(view, CHANGE_NOT_BEGUN, "leads", "node %" PRIu64 " leads still", status->node_id);
    } else {
        view_set(view, CHANGE_PREVENTED, "prevented", "node %" PRIu64 " leads now", status->node_id);
    }
}

void change_judge(const struct change *change, const struct node_status *status, struct change_view *view)
{
    switch (change->kind) {
    case CHANGE_ADD:
    case CHANGE_PROMOTE:
        judge_add(change, status, view);
        return;
    case CHANGE_REMOVE:
        judge_remove(change, status, view);
        return;
    case CHANGE_REPLACE:
        judge_replace(change, status, view);
        return;
    case CHANGE_ADDRESS:
        judge_address(change, status, view);
        return;
    case CHANGE_TRANSFER:
        judge_transfer(change, status, view);
        return;
    }
}
