/* dispatch.c: what happens to a command.
 *
 * Local commands are answered when all earlier ones of their connection are. Writes go into a batch on the
 * leader; elsewhere they are redirected to it, or parked while nobody is known to lead. Reads are served here
 * when a read index (or their place in an entry) makes them linearizable.
 *
 * The rules of order, per connection:
 * - a write waits while an earlier read of its connection waits for a read index;
 * - a read rides in the entry when its connection has writes on their way, unless an earlier read waits for
 * its turn;
 * - nothing new is proposed while commands proposed in another term are undecided: they would come back
 * before it.
 *
 * -CLUSTERDOWN is sent only for what was certainly not appended (redis-cluster-contract, rule 5), after the
 * parking time.
 */
#include "replica_internal.h"

#include "command_codec.h"
#include "key_slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum begin_result {
    BEGUN,       /* answered or on its way */
    WAIT_ORDER,  /* something earlier must end first, or there is no room */
    WAIT_LEADER, /* nobody to send it to: parked */
};

/* The command at hand: its slot, and its arguments, name first. */
struct request {
    struct replica_client *client;
    uint64_t number;
    const struct command *command;
    const struct argument *arguments;
    uint32_t count;
};

static void encode_into_slot(struct slot *slot, const struct request *request)
{
    if (slot->encoded != NULL) {
        return;
    }
    slot->encoded = malloc(command_codec_size(request->arguments + 1, request->count - 1));
    if (slot->encoded == NULL) {
        abort();
    }
    command_codec_write(slot->encoded, request->command->opcode, request->arguments + 1, request->count - 1);
}

static enum begin_result redirect(struct replica *replica, const struct request *request);

/* ---- local commands ------------------------------------------------------------------------------ */

/* RAFT ADD and its like are for the leader. */
static enum begin_result begin_change(struct replica *replica, const struct request *request,
                                      const struct command_change *change, struct reply *reply)
{
    if (replica->raft == NULL) {
        return WAIT_LEADER;
    }
    if (!replica_leads(replica)) {
        return redirect(replica, request);
    }
    change_run(replica, change, reply);
    client_finish_slot(replica, request->client, request->number);
    return BEGUN;
}

/* The answer is a stream, which is not written here. */
static enum begin_result begin_backup(struct replica *replica, const struct request *request)
{
    struct replica_client *client = request->client;
    const char *obstacle = NULL;
    if (replica->raft == NULL) {
        return WAIT_LEADER;
    }
    switch (backup_begin(replica, client, &obstacle)) {
    case BACKUP_WAITS:
        return WAIT_ORDER;
    case BACKUP_REFUSED:
        client_answer_error(replica, client, request->number, obstacle);
        return BEGUN;
    case BACKUP_BEGUN:
        break;
    }
    client_drop_behind(replica, client, request->number);
    client->closing = true;
    client_finish_slot(replica, client, request->number);
    return BEGUN;
}

static enum begin_result begin_local(struct replica *replica, const struct request *request)
{
    struct replica_client *client = request->client;
    if (request->number != client->first_slot || client_output_is_full(replica, client, false)) {
        return WAIT_ORDER;
    }
    struct reply reply = {client_reply_target(client, request->number), client->info.protocol};
    client->info.queued_commands = client->end_slot - client->first_slot;
    client->info.output_bytes = byte_buffer_size(&client->output);
    struct command_context context = {
        .command = request->command,
        .arguments = request->arguments,
        .arguments_count = request->count,
        .reply = &reply,
        .client = &client->info,
    };
    if ((request->command->flags & COMMAND_NEEDS_VIEW) != 0) {
        replica_fill_view(replica, client->info.listener, &replica->view);
        context.node = &replica->view;
    }
    command_run(&context);
    if (context.change.kind != COMMAND_CHANGE_NONE) {
        return begin_change(replica, request, &context.change, &reply);
    }
    if (context.wants_backup) {
        return begin_backup(replica, request);
    }
    if (context.close_client) {
        client_drop_behind(replica, client, request->number);
        client->closing = true;
    }
    client_finish_slot(replica, client, request->number);
    return BEGUN;
}

/* ---- redirects ----------------------------------------------------------------------------------- */

/* A leader that others may be sent to: another node, and heard of recently. Two nodes that point at each
 * other make redis-cli loop for ever (contract, rule 7), so a hint that may be old is no hint. (The core
 * forgets a leader whose connection broke until it is heard of again.) */
bool dispatch_has_fresh_leader(const struct replica *replica)
{
    raft_node_id leader = raft_leader(replica->raft);
    if (leader == RAFT_NODE_NONE || leader == replica->options.node_id) {
        return false;
    }
    return replica->now_ms - raft_leader_contact_ms(replica->raft) <=
           replica->options.election_timeout_ms / 2;
}

static const struct bus_listener_address *fresh_leader_address(const struct replica *replica,
                                                               const struct replica_client *client)
{
    if (!dispatch_has_fresh_leader(replica)) {
        return NULL;
    }
    return peers_client_address(replica, raft_leader(replica->raft), client->info.listener);
}

static enum begin_result redirect(struct replica *replica, const struct request *request)
{
    const struct bus_listener_address *address = fresh_leader_address(replica, request->client);
    if (address == NULL) {
        return WAIT_LEADER;
    }
    uint32_t key = command_first_key(request->command, request->arguments, request->count);
    unsigned slot_number =
        key == 0 ? 0 : key_slot(request->arguments[key].bytes, request->arguments[key].size);
    char text[BUS_HOST_BYTES_MAX + 64];
    (void)snprintf(text, sizeof text, "MOVED %u %s:%u", slot_number, address->host, (unsigned)address->port);
    replica->redirects_total++;
    client_answer_error(replica, request->client, request->number, text);
    return BEGUN;
}

/* ---- writes and reads ---------------------------------------------------------------------------- */

static enum begin_result begin_write(struct replica *replica, const struct request *request)
{
    struct replica_client *client = request->client;
    if (replica->raft == NULL) {
        return WAIT_LEADER;
    }
    if (client->reading_count > 0 || client_is_fenced(replica, client) ||
        client_output_is_full(replica, client, false)) {
        return WAIT_ORDER;
    }
    if (!replica_leads(replica)) {
        return redirect(replica, request);
    }
    bool grows = (request->command->flags & COMMAND_GROWS) != 0;
    if (grows && space_may_hand_over(replica)) {
        return WAIT_ORDER;
    }
    const char *refusal = grows ? space_refuses_growth(replica) : NULL;
    if (refusal != NULL) {
        client_answer_error(replica, client, request->number, refusal);
        return BEGUN;
    }
    batch_add_write(replica, client, request->number, request->command, request->arguments + 1,
                    request->count - 1);
    client_note_proposed(replica, client, request->number);
    return BEGUN;
}

static void note_read_begun(const struct replica *replica, struct slot *slot)
{
    slot->waiting_since_ms = replica->now_ms;
    if (slot->read_begun_ms == 0) {
        slot->read_begun_ms = replica->now_ms;
    }
}

static enum begin_result begin_read(struct replica *replica, const struct request *request)
{
    struct replica_client *client = request->client;
    if (replica->raft == NULL) {
        return WAIT_LEADER;
    }
    if (client_is_fenced(replica, client) || client_output_is_full(replica, client, true)) {
        return WAIT_ORDER;
    }
    struct slot *slot = client_slot(client, request->number);
    bool leads = replica_leads(replica);
    if (client->proposed_count > 0) {
        if (!leads || client->reading_count > 0) {
            return WAIT_ORDER;
        }
        batch_add_read(replica, client, request->number, request->command, request->arguments + 1,
                       request->count - 1);
        client_note_proposed(replica, client, request->number);
        return BEGUN;
    }
    bool has_key = command_first_key(request->command, request->arguments, request->count) > 0;
    if (!leads && has_key && !client->info.readonly) {
        return redirect(replica, request);
    }
    if (!leads && client->info.readonly && replica->options.follower_reads_stale) {
        if (request->number != client->first_slot) {
            return WAIT_ORDER;
        }
        encode_into_slot(slot, request);
        slot->waiting_since_ms = replica->now_ms;
        slot->state = SLOT_READING;
        client->reading_count++;
        reads_add_stale(replica, client, request->number);
        return BEGUN;
    }
    raft_node_id leader = raft_leader(replica->raft);
    if (leader == RAFT_NODE_NONE || (leader == replica->options.node_id && !leads)) {
        return WAIT_LEADER; /* in the second case: it is handing over */
    }
    encode_into_slot(slot, request);
    note_read_begun(replica, slot);
    slot->state = SLOT_READING;
    client->reading_count++;
    reads_add(replica, client, request->number);
    return BEGUN;
}

static enum begin_result begin(struct replica *replica, const struct request *request)
{
    if ((request->command->flags & COMMAND_LOCAL) != 0) {
        return begin_local(replica, request);
    }
    if ((request->command->flags & COMMAND_WRITE) != 0) {
        return begin_write(replica, request);
    }
    return begin_read(replica, request);
}

/* ---- queues -------------------------------------------------------------------------------------- */

/* The command at next_slot waits. Its parking time runs only while the want of a leader is what holds it. */
static void keep_waiting(struct replica *replica, struct replica_client *client, struct slot *slot,
                         enum begin_result why)
{
    if (why == WAIT_ORDER) {
        slot->waiting_since_ms = replica->now_ms;
    }
    client_mark_parked(replica, client);
}

/* A node that was removed will not hear of a leader any more. */
static bool is_parking_over(const struct replica *replica, const struct slot *slot)
{
    return replica->membership.left ||
           replica->now_ms - slot->waiting_since_ms >= replica->options.parking_ms;
}

void dispatch_client(struct replica *replica, struct replica_client *client)
{
    while (client_takes_replies(client) && client->next_slot < client->end_slot) {
        uint64_t number = client->next_slot;
        struct slot *slot = client_slot(client, number);
        if (slot->state != SLOT_QUEUED) {
            client->next_slot++;
            continue;
        }
        struct encoded_command encoded = client_decode(slot->encoded);
        struct request request = {
            .client = client,
            .number = number,
            .command = slot->command,
            .arguments = client_decode_arguments(replica, &encoded, slot->command),
            .count = encoded.arguments_count + 1,
        };
        /* A local command's bytes must outlive its slot's end. */
        uint8_t *held = NULL;
        if ((slot->command->flags & COMMAND_LOCAL) != 0 && number == client->first_slot) {
            held = slot->encoded;
            slot->encoded = NULL;
        }
        enum begin_result result = begin(replica, &request);
        if (result != BEGUN && held != NULL) {
            slot->encoded = held;
            held = NULL;
        }
        free(held);
        if (result == BEGUN) {
            if (client->next_slot == number) {
                client->next_slot = number + 1;
            }
            continue;
        }
        if (result == WAIT_LEADER && is_parking_over(replica, slot)) {
            client_answer_error(replica, client, number, REPLICA_CLUSTERDOWN_ERROR);
            continue;
        }
        keep_waiting(replica, client, slot, result);
        return;
    }
}

void dispatch_parked(struct replica *replica)
{
    if (!replica->redispatch && replica->now_ms < replica->parked_next_ms) {
        return;
    }
    replica->redispatch = false;
    replica->parked_next_ms = UINT64_MAX;
    struct replica_client *client = replica->parked_first;
    replica->parked_first = NULL;
    while (client != NULL) {
        struct replica_client *next = client->parked_next;
        client->parked = false;
        dispatch_client(replica, client);
        client_maybe_free(replica, client);
        client = next;
    }
}

/* ---- arrival ------------------------------------------------------------------------------------- */

static void answer_at_arrival(struct replica *replica, struct replica_client *client, const char *error)
{
    struct slot *slot = client_push_slot(replica, client);
    uint64_t number = client->end_slot - 1;
    slot->state = SLOT_QUEUED;
    if (client->next_slot == number) {
        client->next_slot = client->end_slot;
    }
    client_answer_error(replica, client, number, error);
}

void replica_client_request(struct replica *replica, struct replica_client *client,
                            const struct argument *arguments, uint32_t count)
{
    assert(client->open && count > 0);
    if (client->closing || replica->stopping) {
        return;
    }
    replica->commands_total++;
    client->info.last_command_ms = replica->now_ms;
    char buffer[512];
    const struct command *command = command_find(arguments[0].bytes, arguments[0].size);
    if (command == NULL) {
        answer_at_arrival(replica, client, command_unknown_error(arguments, count, buffer, sizeof buffer));
        return;
    }
    client->info.last_command = command->name;
    const char *error = command_validate(command, arguments, count, buffer, sizeof buffer);
    if (error != NULL) {
        answer_at_arrival(replica, client, error);
        return;
    }
    bool is_next = client->next_slot == client->end_slot;
    struct slot *slot = client_push_slot(replica, client);
    uint64_t number = client->end_slot - 1;
    struct request request = {client, number, command, arguments, count};
    size_t bytes = sizeof *slot + command_codec_size(arguments + 1, count - 1);
    assert(bytes <= UINT32_MAX);
    slot->command = command;
    slot->bytes = (uint32_t)bytes;
    client->pending_bytes += bytes;
    replica->pending_bytes += bytes;
    slot->state = SLOT_QUEUED;
    enum begin_result result = is_next ? begin(replica, &request) : WAIT_ORDER;
    if (result == BEGUN) {
        if (client->next_slot == number) {
            client->next_slot = number + 1;
        }
        return;
    }
    slot = client_slot(client, number);
    encode_into_slot(slot, &request);
    if (is_next) {
        keep_waiting(replica, client, slot, result);
    }
}

void replica_client_protocol_error(struct replica *replica, struct replica_client *client, const char *text)
{
    if (client->closing) {
        return;
    }
    char line[256];
    (void)snprintf(line, sizeof line, "ERR %s", text);
    answer_at_arrival(replica, client, line);
    client->closing = true;
    client_mark_ready(replica, client);
}
