/* raft_script_members.c: the commands of a script about members and snapshots: see raft_script_internal.h. */
#include <inttypes.h>
#include <string.h>

#include "raft_script_internal.h"

/* ---- members ----------------------------------------------------------------------------------- */

static const char *describe_result(enum raft_membership_result result)
{
    switch (result) {
    case RAFT_MEMBERSHIP_OK:
        return "taken";
    case RAFT_MEMBERSHIP_NOT_LEADER:
        return "refused: it does not lead";
    case RAFT_MEMBERSHIP_TRANSFERRING:
        return "refused: it is handing leadership over";
    case RAFT_MEMBERSHIP_NOT_READY:
        return "refused: nothing of its term is committed yet";
    case RAFT_MEMBERSHIP_PENDING:
        return "refused: another one is under way";
    case RAFT_MEMBERSHIP_INVALID:
        return "refused: it makes no sense";
    }
    return "?";
}

/* change 1 voters 1 2 3 learners 4 note x: the whole configuration as it shall be, and the opaque bytes. */
void script_do_change(struct raft_script *script)
{
    struct script_node *node = script_node_argument(script, false);
    struct raft_membership target = {0};
    enum raft_member_kind kind = RAFT_MEMBER_NONE;
    const char *note = "";
    if (node == NULL) {
        return;
    }
    for (uint32_t i = 2; i < script->words_count; i++) {
        if (strcmp(script_word(script, i), "voters") == 0) {
            kind = RAFT_MEMBER_VOTER;
        } else if (strcmp(script_word(script, i), "learners") == 0) {
            kind = RAFT_MEMBER_LEARNER;
        } else if (strcmp(script_word(script, i), "note") == 0) {
            note = script_word(script, ++i);
        } else if (kind == RAFT_MEMBER_NONE ||
                   !raft_membership_set(&target, script_number_at(script, i, 0), kind)) {
            script_fail(script, "change <node> voters, learners <nodes>, note <text>");
            return;
        }
    }
    struct raft_entry_id id;
    enum raft_membership_result result =
        raft_propose_membership(node->raft, &target, (const uint8_t *)note, (uint32_t)strlen(note), &id);
    if (result != RAFT_MEMBERSHIP_OK) {
        script_text_add(script->output, "  the change is %s\n", describe_result(result));
    }
    script_node_end_turn(&script->world, node);
}

static void show_members(struct raft_script *script, const struct script_node *node)
{
    struct raft_status status;
    if (node->raft == NULL) {
        script_text_add(script->output, "  %" PRIu64 " is down\n", node->id);
        return;
    }
    raft_get_status(node->raft, &status);
    script_text_add(script->output, "  %" PRIu64 ": ", node->id);
    if (status.membership.voters_count == 0) {
        script_text_add(script->output, "knows of no members\n");
        return;
    }
    script_text_add_membership(script->output, &status.membership);
    script_text_add(script->output, ", since ");
    script_text_add_id(script->output, status.membership_id);
    script_text_add(script->output, status.membership_committed ? ", committed" : ", not committed");
    script_text_add(script->output, status.removed ? "; it is out\n" : "\n");
}

void script_do_members(struct raft_script *script)
{
    if (script->words_count > 1) {
        const struct script_node *node = script_node_argument(script, true);
        if (node != NULL) {
            show_members(script, node);
        }
        return;
    }
    for (uint32_t i = 0; i < script->world.nodes_count; i++) {
        show_members(script, &script->world.nodes[i]);
    }
}

/* ---- snapshots --------------------------------------------------------------------------------- */

/* Both ends of a stream, which must run; false after an error. */
static bool find_ends(struct raft_script *script, struct script_node **from, struct script_node **to)
{
    raft_node_id ids[2];
    if (!script_parse_link(script, script_word(script, 1), &ids[0], &ids[1])) {
        return false;
    }
    *from = script_world_node(&script->world, ids[0]);
    *to = script_world_node(&script->world, ids[1]);
    if (*from == NULL || *to == NULL || (*from)->raft == NULL || (*to)->raft == NULL) {
        script_fail(script, "snapshot 1->2, and both must run");
        return false;
    }
    return true;
}

static void offer(struct raft_script *script, const struct script_node *from, struct script_node *to,
                  struct raft_entry_id upto, bool *taken)
{
    *taken = raft_install_snapshot(to->raft, upto, from->disk_membership);
    script_text_add(script->output, "  %" PRIu64 "%s a snapshot up to ", to->id,
                    *taken ? " has loaded" : " refuses");
    script_text_add_id(script->output, upto);
    script_text_add(script->output, "\n");
    if (*taken) {
        raft_payload_unref(to->loaded_membership);
        to->loaded_membership = raft_payload_ref(from->disk_membership);
    }
}

/* snapshot 1->3: what 1 has applied comes to 3, be it asked for or not, and 1 hears of that. */
void script_do_snapshot(struct raft_script *script)
{
    struct script_node *from;
    struct script_node *to;
    if (!find_ends(script, &from, &to)) {
        return;
    }
    uint64_t durable = raft_get_durable(from->raft);
    script_node_checkpoint(from, from->applied < durable ? from->applied : durable);
    if (from->disk_applied == 0 || from->disk_membership == NULL) {
        script_fail(script, "node %s has nothing to send", script_word(script, 1));
        return;
    }
    struct raft_entry_id upto = {.index = from->disk_applied};
    if (!raft_get_entry_term(from->raft, upto.index, &upto.term)) {
        script_fail(script, "node %" PRIu64 " does not know the term of its state", from->id);
        return;
    }
    bool taken = false;
    raft_snapshot_started(from->raft, to->id, upto);
    offer(script, from, to, upto, &taken);
    script_node_end_turn(&script->world, to);
    raft_snapshot_done(from->raft, to->id, upto, taken);
    script_node_end_turn(&script->world, from);
}

/* The stream breaks. */
void script_do_snapshot_fails(struct raft_script *script)
{
    struct script_node *from;
    struct script_node *to;
    if (find_ends(script, &from, &to)) {
        raft_snapshot_done(from->raft, to->id, (struct raft_entry_id){0}, false);
        script_node_end_turn(&script->world, from);
    }
}
