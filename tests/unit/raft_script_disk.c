/* raft_script_disk.c: the logs and disks of a script's nodes: see raft_script_world.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "raft_script_world.h"

/* ---- logs -------------------------------------------------------------------------------------- */

/* Puts an entry at its index; whatever stands there and later goes. */
void script_log_put(struct script_log *log, const struct raft_entry *entry)
{
    if (entry->id.index >= SCRIPT_LOG_MAX || entry->id.index > log->last + 1 ||
        entry->id.index <= log->base.index) {
        abort();
    }
    for (uint64_t index = entry->id.index; index <= log->last; index++) {
        raft_payload_unref(log->entries[index].payload);
    }
    log->last = entry->id.index;
    log->entries[log->last] = *entry;
    raft_payload_ref(entry->payload);
}

void script_log_deinit(struct script_log *log)
{
    for (uint64_t index = log->base.index + 1; index <= log->last; index++) {
        raft_payload_unref(log->entries[index].payload);
    }
    *log = (struct script_log){0};
}

void script_log_copy(struct script_log *to, const struct script_log *from)
{
    script_log_deinit(to);
    to->base = from->base;
    to->last = from->base.index;
    for (uint64_t index = from->base.index + 1; index <= from->last; index++) {
        script_log_put(to, &from->entries[index]);
    }
}

void script_log_cut(struct script_log *log, struct raft_entry_id base, bool keeps)
{
    uint64_t first_kept = keeps ? base.index + 1 : UINT64_MAX;
    for (uint64_t index = log->base.index + 1; index <= log->last && index < first_kept; index++) {
        raft_payload_unref(log->entries[index].payload);
    }
    log->base = base;
    log->last = keeps ? log->last : base.index;
}

void script_node_checkpoint(struct script_node *node, uint64_t index)
{
    for (uint64_t i = node->disk_applied + 1; i <= index; i++) {
        if (node->memory.entries[i].type == RAFT_ENTRY_MEMBERSHIP) {
            raft_payload_unref(node->disk_membership);
            node->disk_membership = raft_payload_ref(node->memory.entries[i].payload);
        }
    }
    node->disk_applied = node->disk_applied < index ? index : node->disk_applied;
}

/* ---- disks ------------------------------------------------------------------------------------- */

static void tell_write(struct script_world *world, const struct script_node *node,
                       const struct raft_ready *ready)
{
    script_text_add(world->output, "  %" PRIu64 " %s %" PRIu64 ":", node->id,
                    node->disk_held ? "begins write" : "does write", ready->sequence);
    if (ready->hard_state_changed) {
        script_text_add(world->output, " term %" PRIu64, ready->hard_state.term);
        if (ready->hard_state.vote != RAFT_NODE_NONE) {
            script_text_add(world->output, ", vote for %" PRIu64, ready->hard_state.vote);
        }
        bool more = ready->entries_count > 0 || ready->install.upto.index > 0;
        script_text_add(world->output, more ? ";" : "");
    }
    if (ready->install.upto.index > 0) {
        script_text_add(world->output, " snapshot up to ");
        script_text_add_id(world->output, ready->install.upto);
        script_text_add(world->output, ready->install.keeps ? ", keeping what follows" : "");
        script_text_add(world->output, ready->entries_count > 0 ? ";" : "");
    }
    for (uint32_t i = 0; i < ready->entries_count; i++) {
        script_text_add(world->output, i == 0 ? " " : ", ");
        script_text_add_entry(world->output, &ready->entries[i]);
    }
    if (ready->entries_count > 0 && ready->entries[0].id.index <= node->memory.last) {
        script_text_add(world->output, ", instead of ");
        script_text_add_id(world->output, node->memory.entries[ready->entries[0].id.index].id);
        script_text_add(world->output, ready->entries[0].id.index < node->memory.last ? " and later" : "");
    }
    script_text_add(world->output, "\n");
}

void script_node_begin_write(struct script_world *world, struct script_node *node, struct raft_ready *ready)
{
    if (node->writes_count == SCRIPT_WRITES_MAX) {
        abort();
    }
    tell_write(world, node, ready);
    node->writes[node->writes_count++] = (struct script_write){
        .sequence = ready->sequence,
        .install = ready->install,
        .hard_state_changed = ready->hard_state_changed,
        .hard_state = ready->hard_state,
        .entries = ready->entries,
        .entries_count = ready->entries_count,
    };
    if (ready->install.upto.index > 0) {
        script_log_cut(&node->memory, ready->install.upto, ready->install.keeps);
    }
    for (uint32_t i = 0; i < ready->entries_count; i++) {
        script_log_put(&node->memory, &ready->entries[i]);
    }
    ready->entries = NULL;
    ready->entries_count = 0;
}

/* The commit point of a snapshot (raft_install). */
static void install(struct script_world *world, struct script_node *node, const struct raft_install *install)
{
    uint64_t index = install->upto.index;
    bool holds = index > node->disk.base.index && index <= node->disk.last &&
                 node->disk.entries[index].id.term == install->upto.term;
    if (holds != install->keeps || node->loaded_membership == NULL) {
        script_text_add(world->output, "BROKEN: the disk does not hold what the core believes\n");
    }
    script_log_cut(&node->disk, install->upto, install->keeps);
    node->disk_applied = index;
    raft_payload_unref(node->disk_membership);
    node->disk_membership = node->loaded_membership;
    node->loaded_membership = NULL;
}

bool script_node_write(struct script_world *world, struct script_node *node)
{
    for (uint32_t i = 0; i < node->writes_count; i++) {
        struct script_write *write = &node->writes[i];
        if (write->written) {
            continue;
        }
        if (write->hard_state_changed) {
            if (write->hard_state.term < node->disk_hard_state.term) {
                script_text_add(world->output, "BROKEN: the term on disk goes back\n");
            }
            node->disk_hard_state = write->hard_state;
        }
        if (write->install.upto.index > 0) {
            install(world, node, &write->install);
        }
        for (uint32_t k = 0; k < write->entries_count; k++) {
            script_log_put(&node->disk, &write->entries[k]);
        }
        write->written = true;
        return true;
    }
    return false;
}

bool script_node_persist(struct script_world *world, struct script_node *node)
{
    if (node->writes_count == 0) {
        return false;
    }
    if (!node->writes[0].written) {
        (void)script_node_write(world, node);
    }
    node->persisted = node->writes[0].sequence;
    if (node->writes[0].install.upto.index > 0) { /* the state machine is exchanged */
        node->applied = node->writes[0].install.upto.index;
        script_text_add(world->output, "  %" PRIu64 " goes on from index %" PRIu64 "\n", node->id,
                        node->applied);
    }
    script_node_forget_write(node);
    raft_persisted(node->raft, node->persisted);
    script_node_tell_changes(world, node);
    script_node_send_held(world, node);
    return true;
}

void script_node_read_log(struct script_world *world, struct script_node *node,
                          const struct raft_log_read *read)
{
    uint64_t last = read->first_index;
    uint64_t bytes = 0;
    for (uint64_t index = read->first_index; index <= read->last_index; index++) {
        bytes += raft_entry_bytes(&node->disk.entries[index]);
        if (index > read->first_index && bytes > read->bytes_max) {
            break;
        }
        last = index;
    }
    script_text_add(world->output, "  %" PRIu64 " reads entries %" PRIu64 " to %" PRIu64 " from its disk",
                    node->id, read->first_index, last);
    if (read->peer == node->id) {
        script_text_add(world->output, " to apply them\n");
    } else {
        script_text_add(world->output, " for %" PRIu64 "\n", read->peer);
    }
    raft_log_read_done(node->raft, read->read_id, &node->disk.entries[read->first_index],
                       (uint32_t)(last - read->first_index + 1));
}
