/* commands_raft.c: RAFT: what changes the members is taken apart here, and done by the replica that leads;
 * and RAFT STATUS, the state of the consensus as one node sees it, for people and for kvcli.
 *
 * The form of STATUS is stable: lines "key:value" ended by LF, in this order; new keys may be added, so
 * readers skip what they do not know. Numbers are decimal, "yes"/"no" are flags, an unknown address is empty.
 *
 *   node_id
 *   role               leader, follower, candidate, ...; "forming" before the cluster is formed
 *   term, vote         vote 0: none
 *   leader_id          0: none known
 *   leader_address     host:port for this client; empty if unknown
 *   leader_ready       yes or no
 *   transferee         0: none
 *   commit_index, applied_index, last_index, last_term, durable_index, first_index, map_durable_index
 *   election_age_ms    0: a leader is known
 *   state_ok, formed   yes or no
 *   cluster_id, disk_id
 *   key_count
 *   digest             16 hex digits
 *   log_time_ms, clock_skew_ms
 *   rules_version      in force; rises when all members know newer ones
 *   rules_known        the newest that this node's kvd knows
 *   uptime_ms, version, build
 *   low_space          yes or no: disk or log are nearly full, what makes the data grow is refused
 *   disk_free_bytes    of the filesystem, for anybody
 *   log_room_bytes, map_room_bytes   can be written without asking the disk for more
 *   low_space_nodes    ids of the members that are low on space, as far as this node knows, by commas
 *   digest_differs     the leader: ids of the members whose data is not what the others have, by commas
 *   damage             what the scrub found on this node's disk; empty: nothing
 *   scrubs_total       passes of the scrub since the start
 *   snapshot_from      a snapshot from this member is being loaded; 0: none
 *   snapshot_index, snapshot_keys, snapshot_bytes   of that one: its position, what has arrived
 *   snapshots_sent_total, snapshots_failed_total, snapshots_installed_total   by this node since its start:
 *                      sent whole, given up while they were sent, received
 *   forced             how often a lost majority was given up, and so many lines:
 *   forced_<n>:time_ms=,node=,cluster_id=,last_term=,last_index=,commit_index=
 *                      when, by which survivor, the id of the cluster until then, the end of its log, and how
 *                      far it knew that it was committed; in the order in which it happened
 *   membership_index   of the entry that set the members; 0: those that formed the cluster
 *   membership         stable; changing: not committed yet; joint: old and new voters decide together
 *   members            how many member lines follow
 *   member_<id>:host=,port=,bus_host=,bus_port=,self=yes|no,leader=yes|no,connected=yes|no,
 *               progress=,match=,next=,active=yes|no,kind=voter|learner|outgoing|none,goal=,rules=,
 *               snapshot_keys=,snapshot_keys_total=,snapshot_bytes=
 *                                                            (all in one line)
 *
 * One member line for each member, the leader (or the last known one) first, then by id. progress, match,
 * next and active are the leader's knowledge of a follower: elsewhere they are "unknown", 0, 0 and "no". An
 * outgoing one votes until the change is done. goal is what is to become of a learner: "join" (it has not
 * come yet), "voter", "replace-<id>", or empty. rules is the newest version of the rules that it can go by,
 * as far as this node has heard; 0: it has not. snapshot_* is how far the stream of a snapshot to it is,
 * where this node sends one: keys of all keys, and bytes; all 0 otherwise; when all keys are sent the member
 * sorts its indexes and writes. INFO's section Raft has the same lines, with "raft_" before each key.
 */
#include "command_functions.h"
#include "command_text.h"
#include "number_parse.h"

#include <string.h>
#include <strings.h>

struct status_writer {
    struct byte_buffer *text;
    const char *prefix;
    const char *line_end;
};

static void write_text(const struct status_writer *writer, const char *key, const char *value)
{
    command_text_append(writer->text, "%s%s:%s%s", writer->prefix, key, value == NULL ? "" : value,
                        writer->line_end);
}

static void write_number(const struct status_writer *writer, const char *key, uint64_t value)
{
    command_text_append(writer->text, "%s%s:%llu%s", writer->prefix, key, (unsigned long long)value,
                        writer->line_end);
}

static void write_members(const struct status_writer *writer, const char *key, const struct node_view *node,
                          bool (*is_in)(const struct node_view_member *member))
{
    const char *separator = "";
    command_text_append(writer->text, "%s%s:", writer->prefix, key);
    for (uint32_t i = 0; i < node->members_count; i++) {
        if (is_in(&node->members[i])) {
            command_text_append(writer->text, "%s%llu", separator,
                                (unsigned long long)node->members[i].node_id);
            separator = ",";
        }
    }
    command_text_append(writer->text, "%s", writer->line_end);
}

static bool is_low_on_space(const struct node_view_member *member)
{
    return member->low_space;
}

static bool differs(const struct node_view_member *member)
{
    return member->differs;
}

static const char *yes_no(bool value)
{
    return value ? "yes" : "no";
}

static void write_leader_address(const struct status_writer *writer, const struct node_view *node)
{
    command_text_append(writer->text, "%sleader_address:", writer->prefix);
    for (uint32_t i = 0; i < node->members_count; i++) {
        const struct node_view_member *member = &node->members[i];
        if (node->leader_id != 0 && member->node_id == node->leader_id && member->port != 0) {
            command_text_append(writer->text, "%s:%u", member->host, member->port);
        }
    }
    command_text_append(writer->text, "%s", writer->line_end);
}

static void write_forced(const struct status_writer *writer, const struct node_view *node)
{
    write_number(writer, "forced", node->forced_count);
    for (uint32_t i = 0; i < node->forced_count; i++) {
        const struct node_view_forced *forced = &node->forced[i];
        command_text_append(writer->text,
                            "%sforced_%u:time_ms=%llu,node=%llu,cluster_id=%s,last_term=%llu,last_index=%llu,"
                            "commit_index=%llu%s",
                            writer->prefix, i + 1, (unsigned long long)forced->time_ms,
                            (unsigned long long)forced->node_id, forced->cluster_id,
                            (unsigned long long)forced->last_term, (unsigned long long)forced->last_index,
                            (unsigned long long)forced->commit_index, writer->line_end);
    }
}

static void write_goal(const struct status_writer *writer, const struct node_view_member *member)
{
    if (!member->disk_known && !member->is_self) {
        command_text_append(writer->text, "join");
    } else if (member->replaces != 0) {
        command_text_append(writer->text, "replace-%llu", (unsigned long long)member->replaces);
    } else if (member->becomes_voter) {
        command_text_append(writer->text, "voter");
    }
}

static void write_member(const struct status_writer *writer, const struct node_view_member *member)
{
    command_text_append(writer->text, "%smember_%llu:host=%s,port=%u,bus_host=%s,bus_port=%u", writer->prefix,
                        (unsigned long long)member->node_id, member->host, member->port, member->bus_host,
                        member->bus_port);
    bool known = member->progress_known;
    command_text_append(
        writer->text,
        ",self=%s,leader=%s,connected=%s,progress=%s,match=%llu,next=%llu,active=%s,kind=%s,goal=",
        yes_no(member->is_self), yes_no(member->is_leader), yes_no(member->connected),
        known ? member->progress : "unknown", known ? (unsigned long long)member->match_index : 0,
        known ? (unsigned long long)member->next_index : 0, yes_no(known && member->recently_active),
        member->kind == NULL ? "none" : member->kind);
    write_goal(writer, member);
    command_text_append(writer->text, ",rules=%u", member->rules_known);
    command_text_append(writer->text, ",snapshot_keys=%llu,snapshot_keys_total=%llu,snapshot_bytes=%llu",
                        (unsigned long long)member->snapshot_keys,
                        (unsigned long long)member->snapshot_keys_total,
                        (unsigned long long)member->snapshot_bytes);
    command_text_append(writer->text, "%s", writer->line_end);
}

void command_write_raft_status(struct byte_buffer *text, const struct node_view *node, const char *prefix,
                               const char *line_end)
{
    const struct status_writer writer = {.text = text, .prefix = prefix, .line_end = line_end};
    write_number(&writer, "node_id", node->node_id);
    write_text(&writer, "role", node->role);
    write_number(&writer, "term", node->term);
    write_number(&writer, "vote", node->vote);
    write_number(&writer, "leader_id", node->leader_id);
    write_leader_address(&writer, node);
    write_text(&writer, "leader_ready", yes_no(node->leader_ready));
    write_number(&writer, "transferee", node->transferee);
    write_number(&writer, "commit_index", node->commit_index);
    write_number(&writer, "applied_index", node->applied_index);
    write_number(&writer, "last_index", node->last_index);
    write_number(&writer, "last_term", node->last_term);
    write_number(&writer, "durable_index", node->durable_index);
    write_number(&writer, "first_index", node->first_index);
    write_number(&writer, "map_durable_index", node->map_durable_index);
    write_number(&writer, "election_age_ms", node->election_age_ms);
    write_text(&writer, "state_ok", yes_no(node->state_ok));
    write_text(&writer, "formed", yes_no(node->formed));
    write_text(&writer, "cluster_id", node->cluster_id);
    write_text(&writer, "disk_id", node->disk_id);
    write_number(&writer, "key_count", node->key_count);
    command_text_append(text, "%sdigest:%016llx%s", prefix, (unsigned long long)node->digest, line_end);
    write_number(&writer, "log_time_ms", node->log_time_ms);
    command_text_append(text, "%sclock_skew_ms:%lld%s", prefix, (long long)node->clock_skew_ms, line_end);
    write_number(&writer, "rules_version", node->rules_version);
    write_number(&writer, "rules_known", node->rules_known);
    write_number(&writer, "uptime_ms", node->uptime_ms);
    write_text(&writer, "version", node->version);
    write_text(&writer, "build", node->build);
    write_text(&writer, "low_space", yes_no(node->low_space));
    write_number(&writer, "disk_free_bytes", node->disk_free_bytes);
    write_number(&writer, "log_room_bytes", node->log_room_bytes);
    write_number(&writer, "map_room_bytes", node->map_room_bytes);
    write_members(&writer, "low_space_nodes", node, is_low_on_space);
    write_members(&writer, "digest_differs", node, differs);
    write_text(&writer, "damage", node->damage);
    write_number(&writer, "scrubs_total", node->scrubs_total);
    write_number(&writer, "snapshot_from", node->snapshot_from);
    write_number(&writer, "snapshot_index", node->snapshot_index);
    write_number(&writer, "snapshot_keys", node->snapshot_keys);
    write_number(&writer, "snapshot_bytes", node->snapshot_bytes);
    write_number(&writer, "snapshots_sent_total", node->snapshots_sent_total);
    write_number(&writer, "snapshots_failed_total", node->snapshots_failed_total);
    write_number(&writer, "snapshots_installed_total", node->snapshots_installed_total);
    write_forced(&writer, node);
    write_number(&writer, "membership_index", node->membership_index);
    write_text(&writer, "membership", node->membership);
    write_number(&writer, "members", node->members_count);
    for (uint32_t i = 0; i < node->members_count; i++) {
        write_member(&writer, &node->members[i]);
    }
}

static void raft_status(struct command_context *context)
{
    struct byte_buffer text = {0};
    command_write_raft_status(&text, context->node, "", "\n");
    reply_verbatim_text(context->reply, (const char *)byte_buffer_front(&text), byte_buffer_size(&text));
    byte_buffer_deinit(&text);
}

/* ---- changes -------------------------------------------------------------------------------------- */

static bool take_id(struct command_context *context, uint32_t position, uint64_t *id)
{
    const struct argument *word = &context->arguments[position];
    int64_t number;
    if (!number_parse_int64(word->bytes, word->size, &number) || number < 1) {
        reply_error(context->reply, "ERR a node's id is a number from 1");
        return false;
    }
    *id = (uint64_t)number;
    return true;
}

static bool is_word(const struct argument *argument, const char *word)
{
    return argument->size == strlen(word) &&
           strncasecmp((const char *)argument->bytes, word, argument->size) == 0;
}

/* RAFT ADD id host:port [LEARNER | VOTER] */
static void raft_add(struct command_context *context)
{
    struct command_change change = {.kind = COMMAND_CHANGE_ADD};
    if (context->arguments_count > 5 ||
        (context->arguments_count == 5 && !is_word(&context->arguments[4], "learner") &&
         !is_word(&context->arguments[4], "voter"))) {
        reply_error(context->reply, "ERR syntax error");
        return;
    }
    if (take_id(context, 2, &change.node_id)) {
        change.address = context->arguments[3];
        change.stays_learner = context->arguments_count == 5 && is_word(&context->arguments[4], "learner");
        context->change = change;
    }
}

static void raft_promote(struct command_context *context)
{
    struct command_change change = {.kind = COMMAND_CHANGE_PROMOTE};
    if (take_id(context, 2, &change.node_id)) {
        context->change = change;
    }
}

static void raft_remove(struct command_context *context)
{
    struct command_change change = {.kind = COMMAND_CHANGE_REMOVE};
    if (take_id(context, 2, &change.node_id)) {
        context->change = change;
    }
}

static void raft_replace(struct command_context *context)
{
    struct command_change change = {.kind = COMMAND_CHANGE_REPLACE};
    if (take_id(context, 2, &change.node_id) && take_id(context, 3, &change.other_id)) {
        change.address = context->arguments[4];
        context->change = change;
    }
}

static void raft_address(struct command_context *context)
{
    struct command_change change = {.kind = COMMAND_CHANGE_ADDRESS};
    if (take_id(context, 2, &change.node_id)) {
        change.address = context->arguments[3];
        context->change = change;
    }
}

/* RAFT TRANSFER [id] */
static void raft_transfer(struct command_context *context)
{
    struct command_change change = {.kind = COMMAND_CHANGE_TRANSFER};
    if (context->arguments_count > 3) {
        reply_error(context->reply, "ERR syntax error");
    } else if (context->arguments_count == 2 || take_id(context, 2, &change.node_id)) {
        context->change = change;
    }
}

/* RAFT BACKUP. What follows is on the connection instead of a reply, and the connection is for nothing else
 * any more (server/README.md, "A backup on its way"). */
static void raft_backup(struct command_context *context)
{
    context->wants_backup = true;
}

const struct command_subcommand COMMAND_RAFT_SUBCOMMANDS[] = {
    {"add", -4, raft_add, "Adds a node: a learner, which becomes a voter when it has caught up.",
     "id host:port [LEARNER | VOTER]"},
    {"address", 4, raft_address, "Changes where the bus of a member is reached.", "id host:port"},
    {"backup", 2, raft_backup, "Streams a backup of this node's data: for kvcli backup.", ""},
    {"help", 2, command_help, "Prints this help.", ""},
    {"promote", 3, raft_promote, "Makes a learner a voter, when it has caught up.", "id"},
    {"remove", 3, raft_remove, "Removes a member.", "id"},
    {"replace", 5, raft_replace,
     "Puts a new node in the place of a member, in one step, when it has caught up.",
     "old-id new-id host:port"},
    {"status", 2, raft_status, "Tells the state of the consensus as this node sees it.", ""},
    {"transfer", -2, raft_transfer, "Hands leadership to another voter.", "[id]"},
    {NULL, 0, NULL, NULL, NULL},
};
