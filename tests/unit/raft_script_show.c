/* raft_script_show.c: what a script may look at, beside what happens: see raft_script_world.h. */
#include <inttypes.h>

#include "raft_script_world.h"

static const char *progress_name(enum raft_progress_state state)
{
    switch (state) {
    case RAFT_PROGRESS_PROBE:
        return "probe";
    case RAFT_PROGRESS_REPLICATE:
        return "replicate";
    case RAFT_PROGRESS_SNAPSHOT:
        return "snapshot";
    }
    return "?";
}

void script_node_show_status(struct script_world *world, const struct script_node *node)
{
    struct raft_status status;
    if (node->raft == NULL) {
        script_text_add(world->output, "  %" PRIu64 " is down\n", node->id);
        return;
    }
    raft_get_status(node->raft, &status);
    script_text_add(world->output, "  %" PRIu64 " %s, term %" PRIu64, node->id, raft_role_name(status.role),
                    status.term);
    script_text_add(world->output, ", vote %" PRIu64 ", leader %" PRIu64, status.vote, status.leader);
    script_text_add(world->output, "; log from %" PRIu64 " to ", status.first_index);
    script_text_add_id(world->output, status.last);
    script_text_add(world->output, ", durable %" PRIu64 ", commit %" PRIu64 "\n", status.durable_index,
                    status.commit);
    for (uint32_t i = 0; i < status.peers_count; i++) {
        const struct raft_peer_status *peer = &status.peers[i];
        script_text_add(world->output, "    %" PRIu64 ": %s, match %" PRIu64 ", next %" PRIu64 "\n", peer->id,
                        progress_name(peer->state), peer->match_index, peer->next_index);
    }
}

void script_node_show_log(struct script_world *world, const struct script_node *node)
{
    const struct script_log *log = node->raft == NULL ? &node->disk : &node->memory;
    script_text_add(world->output, "  %" PRIu64 ":", node->id);
    for (uint64_t index = log->base.index + 1; index <= log->last; index++) {
        script_text_add(world->output, index == log->base.index + 1 ? " " : ", ");
        script_text_add_entry(world->output, &log->entries[index]);
    }
    script_text_add(world->output, log->last == log->base.index ? " nothing\n" : "\n");
}
