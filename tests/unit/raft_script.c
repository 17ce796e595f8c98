/* raft_script.c: see raft_script.h. */
#include "raft_script.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft_script_internal.h"

enum {
    DEADLINES_MAX = 20, /* before a node campaigns */
};

void __attribute__((format(printf, 2, 3))) script_fail(struct raft_script *script, const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    script_text_add(script->output, "ERROR: %s\n", text);
}

/* ---- arguments --------------------------------------------------------------------------------- */

const char *script_word(const struct raft_script *script, uint32_t i)
{
    return i < script->words_count ? script->words[i] : "";
}

static bool parse_number(const char *text, uint64_t *number)
{
    char *end;
    *number = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0';
}

uint64_t script_number_at(const struct raft_script *script, uint32_t i, uint64_t otherwise)
{
    uint64_t number;
    return parse_number(script_word(script, i), &number) ? number : otherwise;
}

struct script_node *script_node_argument(struct raft_script *script, bool may_be_down)
{
    struct script_node *node = script_world_node(&script->world, script_number_at(script, 1, 0));
    if (node == NULL) {
        script_fail(script, "there is no node \"%s\"", script_word(script, 1));
    } else if (node->raft == NULL && !may_be_down) {
        script_fail(script, "node %s is down", script_word(script, 1));
        return NULL;
    }
    return node;
}

bool script_parse_link(struct raft_script *script, const char *text, raft_node_id *from, raft_node_id *to)
{
    char left[8] = "";
    char right[8] = "";
    *from = *to = 0;
    bool parsed = sscanf(text, "%7[0-9*]->%7[0-9*]", left, right) == 2;
    if (parsed && strcmp(left, "*") != 0) {
        parsed = parse_number(left, from) && script_world_node(&script->world, *from) != NULL;
    }
    if (parsed && strcmp(right, "*") != 0) {
        parsed = parse_number(right, to) && script_world_node(&script->world, *to) != NULL;
    }
    if (!parsed) {
        script_fail(script, "\"%s\" is no link like 1->2, 1->* or *->2", text);
    }
    return parsed;
}

struct raft_payload *script_create_payload(const char *text)
{
    size_t size = strlen(text);
    struct raft_payload *payload = raft_payload_create((uint32_t)size);
    memcpy(payload->bytes, text, size);
    payload->size = (uint32_t)size;
    return payload;
}

/* ---- nodes and time ---------------------------------------------------------------------------- */

static void do_nodes(struct raft_script *script)
{
    struct raft_config config = {
        .election_timeout_ms = SCRIPT_ELECTION_MS,
        .heartbeat_interval_ms = SCRIPT_HEARTBEAT_MS,
        .unreachable_delay_ms = 50,
        .disk_stall_timeout_ms = 5000,
        .append_bytes_max = 1000,
        .inflight_messages_max = 4,
        .inflight_bytes_max = 10000,
        .cache_bytes_max = 1 << 20,
        .unstable_bytes_max = 1 << 20,
    };
    uint64_t count = script_number_at(script, 1, 0);
    if (count < 1 || count > SCRIPT_NODES_MAX) {
        script_fail(script, "nodes 1 to %d", SCRIPT_NODES_MAX);
        return;
    }
    uint64_t waiting = 0;
    for (uint32_t i = 2; i < script->words_count; i += 2) {
        uint64_t value = script_number_at(script, i + 1, 0);
        if (strcmp(script_word(script, i), "waiting") == 0 && count + value <= SCRIPT_NODES_MAX) {
            waiting = value;
        } else if (strcmp(script_word(script, i), "cache") == 0) {
            config.cache_bytes_max = value;
        } else if (strcmp(script_word(script, i), "append") == 0 && value > 0) {
            config.append_bytes_max = (uint32_t)value;
        } else if (strcmp(script_word(script, i), "inflight") == 0 && value > 0) {
            config.inflight_messages_max = (uint32_t)value;
        } else if (strcmp(script_word(script, i), "stall") == 0 && value > 0) {
            config.disk_stall_timeout_ms = (uint32_t)value;
        } else {
            script_fail(
                script,
                "options: waiting (nodes), cache, append, inflight (bytes, bytes, messages), stall (ms)");
            return;
        }
    }
    script_world_deinit(&script->world);
    script_world_init(&script->world, (uint32_t)(count + waiting), (uint32_t)count, &config);
}

/* disk 2 term 3 vote 1 commit 1 log 1 1 2: what it starts from; the numbers after "log" are terms. */
static void do_disk(struct raft_script *script)
{
    struct script_node *node = script_node_argument(script, true);
    if (node == NULL) {
        return;
    }
    if (node->raft != NULL) {
        script_node_crash(&script->world, node);
    }
    script_log_deinit(&node->disk);
    node->disk_hard_state = (struct raft_hard_state){0};
    node->disk_applied = 0;
    raft_payload_unref(node->disk_membership);
    node->disk_membership = raft_payload_ref(script->world.formed);
    for (uint32_t i = 2; i < script->words_count; i += 2) {
        uint64_t value = script_number_at(script, i + 1, 0);
        if (strcmp(script_word(script, i), "term") == 0) {
            node->disk_hard_state.term = value;
        } else if (strcmp(script_word(script, i), "vote") == 0) {
            node->disk_hard_state.vote = value;
        } else if (strcmp(script_word(script, i), "commit") == 0) {
            node->disk_applied = value;
        } else if (strcmp(script_word(script, i), "log") == 0) {
            break;
        } else {
            script_fail(script, "disk <node> term, vote, commit, and last log <terms>");
        }
    }
    uint32_t log = 2;
    while (log < script->words_count && strcmp(script_word(script, log), "log") != 0) {
        log += 2;
    }
    for (uint32_t i = log + 1; i < script->words_count; i++) {
        struct raft_entry entry = {
            .id = {.term = script_number_at(script, i, 1), .index = i - log},
            .type = RAFT_ENTRY_COMMANDS,
            .payload = script_create_payload("old"),
        };
        script_log_put(&node->disk, &entry);
        raft_payload_unref(entry.payload);
    }
    script_node_start(&script->world, node);
}

static void tick(struct raft_script *script, struct script_node *node, uint64_t ms)
{
    node->now_ms += ms;
    raft_tick(node->raft, node->now_ms);
    script_node_end_turn(&script->world, node);
}

static void tick_to_deadline(struct raft_script *script, struct script_node *node)
{
    uint64_t deadline = raft_deadline_ms(node->raft);
    tick(script, node, deadline > node->now_ms ? deadline - node->now_ms : 0);
}

static void do_campaign(struct raft_script *script)
{
    struct script_node *node = script_node_argument(script, false);
    if (node == NULL) {
        return;
    }
    if (raft_get_role(node->raft) == RAFT_LEADER) {
        script_fail(script, "node %s leads", script_word(script, 1));
        return;
    }
    for (int i = 0; i < DEADLINES_MAX; i++) { /* a read that runs out may come first */
        tick_to_deadline(script, node);
        if (raft_get_role(node->raft) != RAFT_FOLLOWER) {
            return;
        }
    }
    script_fail(script, "node %s does not campaign", script_word(script, 1));
}

/* Campaigns, and delivers everything until all have heard that the no-op is committed. Only the outcome is
 * told: for the beginning of scenarios that are about something else. */
static void do_elect(struct raft_script *script)
{
    struct script_text *output = script->output;
    struct script_text quiet = {0};
    script->output = script->world.output = &quiet;
    do_campaign(script);
    script_deliver_all(script);
    struct script_node *node = script_world_node(&script->world, script_number_at(script, 1, 0));
    if (node != NULL && node->raft != NULL) {
        tick(script, node, SCRIPT_HEARTBEAT_MS / 5);
        script_deliver_all(script);
    }
    script->output = script->world.output = output;
    const char *trouble = quiet.bytes == NULL ? NULL : strstr(quiet.bytes, "ERROR: ");
    if (trouble != NULL || (quiet.bytes != NULL && strstr(quiet.bytes, "BROKEN: ") != NULL)) {
        script_text_add(output, "%s", quiet.bytes);
    } else if (node != NULL && node->raft != NULL) {
        script_text_add(output, "  %" PRIu64 " is %s, term %" PRIu64 "\n", node->id,
                        raft_role_name(raft_get_role(node->raft)), raft_get_term(node->raft));
    }
    script_text_deinit(&quiet);
}

static void do_tick(struct raft_script *script)
{
    uint64_t ms = script_number_at(script, 2, 0);
    if (strcmp(script_word(script, 1), "all") != 0) {
        struct script_node *node = script_node_argument(script, false);
        if (node != NULL) {
            tick(script, node, ms);
        }
        return;
    }
    for (uint32_t i = 0; i < script->world.nodes_count; i++) {
        struct script_node *node = &script->world.nodes[i];
        if (node->raft != NULL) {
            tick(script, node, ms);
        }
    }
}

static void do_crash(struct raft_script *script)
{
    struct script_node *node = script_node_argument(script, false);
    if (node != NULL) {
        script_node_crash(&script->world, node);
    }
}

static void do_restart(struct raft_script *script)
{
    struct script_node *node = script_node_argument(script, true);
    if (node == NULL) {
        return;
    }
    if (node->raft != NULL) {
        script_node_crash(&script->world, node);
    }
    script_node_start(&script->world, node);
    script_node_end_turn(&script->world, node);
}

/* ---- disks ------------------------------------------------------------------------------------- */

static void do_hold_disk(struct raft_script *script)
{
    struct script_node *node = script_node_argument(script, false);
    if (node != NULL) {
        node->disk_held = true;
    }
}

static void do_release_disk(struct raft_script *script)
{
    struct script_node *node = script_node_argument(script, false);
    if (node != NULL) {
        node->disk_held = false;
        script_node_end_turn(&script->world, node);
    }
}

static void do_persist(struct raft_script *script)
{
    struct script_node *node = script_node_argument(script, false);
    if (node == NULL) {
        return;
    }
    if (script_node_persist(&script->world, node)) {
        script_node_end_turn(&script->world, node);
    } else {
        script_fail(script, "node %s writes nothing", script_word(script, 1));
    }
}

static void do_write(struct raft_script *script)
{
    struct script_node *node = script_node_argument(script, false);
    if (node != NULL && !script_node_write(&script->world, node)) {
        script_fail(script, "node %s writes nothing", script_word(script, 1));
    }
}

/* Up to an index, or as far as it goes: the state machine writes its state, then the log is cut. */
static void do_compact(struct raft_script *script)
{
    struct script_node *node = script_node_argument(script, false);
    if (node == NULL) {
        return;
    }
    uint64_t durable = raft_get_durable(node->raft);
    uint64_t most = node->applied < durable ? node->applied : durable;
    uint64_t index = script_number_at(script, 2, most);
    if (index > most || index <= node->disk.base.index) {
        script_fail(script, "only entries %" PRIu64 " to %" PRIu64 " can go", node->disk.base.index + 1,
                    most);
        return;
    }
    script_node_checkpoint(node, most);
    struct raft_entry_id base = node->disk.entries[index].id;
    script_log_cut(&node->disk, base, true);
    script_log_cut(&node->memory, base, true);
    raft_compacted(node->raft, base);
    script_node_end_turn(&script->world, node);
}

/* ---- what clients and people ask for ----------------------------------------------------------- */

static const char *describe_propose_result(enum raft_propose_result result)
{
    switch (result) {
    case RAFT_PROPOSE_OK:
        return "taken";
    case RAFT_PROPOSE_NOT_LEADER:
        return "refused: it does not lead";
    case RAFT_PROPOSE_TRANSFERRING:
        return "refused: it is handing leadership over";
    case RAFT_PROPOSE_FULL:
        return "refused: too much waits";
    }
    return "?";
}

/* propose 1 a b c: three entries in one turn. */
static void do_propose(struct raft_script *script)
{
    struct script_node *node = script_node_argument(script, false);
    if (node == NULL) {
        return;
    }
    for (uint32_t i = 2; i < script->words_count; i++) {
        if (node->shown.last.index + script->words_count >= SCRIPT_LOG_MAX) {
            script_fail(script, "the log is too long for a script");
            return;
        }
        struct raft_payload *payload = script_create_payload(script_word(script, i));
        struct raft_entry_id id;
        enum raft_propose_result result = raft_propose(node->raft, payload, &id);
        raft_payload_unref(payload);
        if (result != RAFT_PROPOSE_OK) {
            script_text_add(script->output, "  %" PRIu64 " %s is %s\n", node->id, script_word(script, i),
                            describe_propose_result(result));
        }
    }
    script_node_end_turn(&script->world, node);
}

/* read 1 2: two reads in one turn. */
static void do_read(struct raft_script *script)
{
    struct script_world *world = &script->world;
    struct script_node *node = script_node_argument(script, false);
    if (node == NULL) {
        return;
    }
    for (uint64_t left = script_number_at(script, 2, 1); left > 0; left--) {
        if (world->reads_count == SCRIPT_READS_MAX) {
            script_fail(script, "too many reads for a script");
            return;
        }
        uint64_t id = raft_read_index(node->raft);
        if (id == 0) {
            script_text_add(script->output, "  %" PRIu64 " cannot ask now\n", node->id);
        } else {
            world->reads[world->reads_count++] = (struct script_read){.node = node->id, .id = id};
            script_text_add(script->output, "  %" PRIu64 " asks for read %u\n", node->id, world->reads_count);
        }
    }
    script_node_end_turn(world, node);
}

/* transfer 1->2, or transfer 1: to whoever is best. */
static void do_transfer(struct raft_script *script)
{
    raft_node_id from = script_number_at(script, 1, 0);
    raft_node_id to = RAFT_NODE_NONE;
    if (from == 0 && !script_parse_link(script, script_word(script, 1), &from, &to)) {
        return;
    }
    struct script_node *node = script_world_node(&script->world, from);
    if (node == NULL || node->raft == NULL) {
        script_fail(script, "that node is not running");
        return;
    }
    if (!raft_transfer_leadership(node->raft, to)) {
        script_text_add(script->output, "  %" PRIu64 " cannot hand leadership over\n", node->id);
    }
    script_node_end_turn(&script->world, node);
}

/* ---- what is to be seen ------------------------------------------------------------------------ */

static void do_status(struct raft_script *script)
{
    if (script->words_count > 1) {
        const struct script_node *node = script_node_argument(script, true);
        if (node != NULL) {
            script_node_show_status(&script->world, node);
        }
        return;
    }
    for (uint32_t i = 0; i < script->world.nodes_count; i++) {
        script_node_show_status(&script->world, &script->world.nodes[i]);
    }
}

static void do_log(struct raft_script *script)
{
    if (strcmp(script_word(script, 1), "all") == 0) {
        for (uint32_t i = 0; i < script->world.nodes_count; i++) {
            script_node_show_log(&script->world, &script->world.nodes[i]);
        }
        return;
    }
    const struct script_node *node = script_node_argument(script, true);
    if (node != NULL) {
        script_node_show_log(&script->world, node);
    }
}

/* ---- the line ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(struct raft_script *script);
} commands[] = {
    {"nodes", do_nodes},
    {"disk", do_disk},
    {"campaign", do_campaign},
    {"elect", do_elect},
    {"tick", do_tick},
    {"crash", do_crash},
    {"restart", do_restart},
    {"hold-disk", do_hold_disk},
    {"release-disk", do_release_disk},
    {"persist", do_persist},
    {"write", do_write},
    {"compact", do_compact},
    {"deliver", script_do_deliver},
    {"drop", script_do_drop},
    {"append", script_do_append},
    {"duplicate", script_do_duplicate},
    {"delay", script_do_delay},
    {"partition", script_do_partition},
    {"heal", script_do_heal},
    {"unreachable", script_do_unreachable},
    {"propose", do_propose},
    {"read", do_read},
    {"transfer", do_transfer},
    {"change", script_do_change},
    {"members", script_do_members},
    {"snapshot", script_do_snapshot},
    {"snapshot-fails", script_do_snapshot_fails},
    {"status", do_status},
    {"log", do_log},
};

struct raft_script *raft_script_create(void)
{
    struct raft_script *script = calloc(1, sizeof *script);
    if (script == NULL) {
        abort();
    }
    return script;
}

void raft_script_destroy(struct raft_script *script)
{
    script_world_deinit(&script->world);
    free(script);
}

void raft_script_run(struct raft_script *script, const char *command, struct script_text *output)
{
    script->output = output;
    script->world.output = output;
    script->words_count = 0;
    script->line = strdup(command);
    if (script->line == NULL) {
        abort();
    }
    char *rest = script->line;
    for (char *next = strtok_r(rest, " ", &rest); next != NULL && script->words_count < SCRIPT_WORDS_MAX;
         next = strtok_r(rest, " ", &rest)) {
        script->words[script->words_count++] = next;
    }
    size_t i = 0;
    while (i < sizeof commands / sizeof commands[0] &&
           strcmp(commands[i].name, script_word(script, 0)) != 0) {
        i++;
    }
    if (i == sizeof commands / sizeof commands[0]) {
        script_fail(script, "there is no command \"%s\"", script_word(script, 0));
    } else if (script->world.nodes_count == 0 && commands[i].run != do_nodes) {
        script_fail(script, "first say how many nodes there are");
    } else {
        commands[i].run(script);
    }
    free(script->line);
    script->line = NULL;
}
