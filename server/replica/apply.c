/* apply.c: committed entries into the map; checkpoints of the map; purging of expired keys.
 *
 * Applying is deterministic: it depends on the entries only (pitfall 30). Time is the entry's stamp, kept
 * from going back by the map's log time; a value's version is {log index, number of the command in the
 * entry}.
 */
#include "replica_internal.h"

#include "command_codec.h"
#include "entry_codec.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

/* ---- the phase of checkpoints -------------------------------------------------------------------- */

/* Checkpoints of different nodes at different phases: their disks are then never all busy. Where all begin
 * at the same entry, the first one comes early, by the node's place among the members. */
static void begin_phase(struct replica *replica)
{
    uint32_t place = 0;
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        place = replica->peers[i].is_self ? i : place;
    }
    replica->checkpoint_part = place + 1;
    replica->checkpoint_parts = replica->peers_count + 1;
}

void apply_choose_phase(struct replica *replica)
{
    begin_phase(replica);
    replica->checkpoint_phase_is_open = true;
}

/* The first commands after a start: had the last checkpoint been written for idleness, as all others were
 * then, they would be from so much later. So it was this node's turn, and the next one is as far away. */
static void settle_phase(struct replica *replica, uint64_t clock_ms)
{
    uint64_t before_ms = map_get_meta(replica->map)->log_time_ms;
    if (before_ms > 0 && clock_ms >= before_ms &&
        clock_ms - before_ms < replica->options.checkpoint_idle_ms) {
        replica->checkpoint_part = replica->checkpoint_parts = 1;
    }
    replica->checkpoint_phase_is_open = false;
}

/* ---- one entry ----------------------------------------------------------------------------------- */

static void run_command(struct replica *replica, const struct application *application,
                        const struct encoded_command *encoded, const struct command *command,
                        struct reply *reply, uint32_t command_number)
{
    struct command_context context = {
        .command = command,
        .arguments = client_decode_arguments(replica, encoded, command),
        .arguments_count = encoded->arguments_count + 1,
        .reply = reply,
        .map = replica->map,
        .log_time_ms = application->log_time_ms,
        .clock_ms = application->log_time_ms,
        .version = {.index = application->entry.id.index, .command = command_number},
    };
    command_run(&context);
}

static void run_riding_reads(struct replica *replica, struct application *application)
{
    struct batch *batch = application->batch;
    while (batch != NULL && application->next_waiter < batch->waiters_count) {
        struct waiter *waiter = &batch->waiters[application->next_waiter];
        if (!waiter->is_read) {
            return;
        }
        application->next_waiter++;
        struct replica_client *client = waiter->client;
        if (client == NULL) {
            continue;
        }
        waiter->client = NULL; /* answered */
        struct encoded_command encoded = client_decode(byte_buffer_front(&batch->reads) + waiter->offset);
        struct reply reply = {client_reply_target(client, waiter->slot), client->info.protocol};
        run_command(replica, application, &encoded, command_by_opcode(encoded.opcode), &reply, 0);
        client_finish_slot(replica, client, waiter->slot);
        client_limit_output(replica, client);
        client_maybe_free(replica, client);
    }
}

static void apply_command(struct replica *replica, struct application *application,
                          const struct encoded_command *encoded, const struct command *command,
                          uint32_t command_number)
{
    struct replica_client *client = NULL;
    uint64_t slot = 0;
    if (application->batch != NULL && application->batch->waiters_count > 0) {
        struct waiter *waiter = &application->batch->waiters[application->next_waiter++];
        assert(!waiter->is_read);
        client = waiter->client;
        slot = waiter->slot;
        waiter->client = NULL; /* answered */
    }
    struct reply reply = {client == NULL ? NULL : client_reply_target(client, slot),
                          client == NULL ? 2 : client->info.protocol};
    run_command(replica, application, encoded, command, &reply, command_number);
    if (client != NULL) {
        client_finish_slot(replica, client, slot);
        client_limit_output(replica, client);
        client_maybe_free(replica, client);
    }
}

/* An entry that we cannot understand was written by a newer kvd, or is damaged in a way that its checksum
 * does not show: going on would make this node differ from the others. */
static void stop_on_bad_entry(struct replica *replica, const struct raft_entry *entry, enum replica_exit code,
                              const char *what)
{
    char reason[256];
    (void)snprintf(reason, sizeof reason,
                   "entry %llu of term %llu cannot be applied by this version: %s; upgrade this node",
                   (unsigned long long)entry->id.index, (unsigned long long)entry->id.term, what);
    replica_stop(replica, code, reason);
}

static const char NEWER_RULES[] = "newer rules";

/* Everything in the payload is checked before anything of it is applied. */
static const char *check_payload(const struct replica *replica, const struct raft_payload *payload,
                                 struct entry_header *header)
{
    if (payload == NULL || !entry_codec_read_header(payload->bytes, payload->size, header)) {
        return "unknown format";
    }
    if (header->rules_version > versions_known(replica)) {
        return NEWER_RULES;
    }
    size_t position = ENTRY_HEADER_BYTES;
    for (uint32_t i = 0; i < header->commands_count; i++) {
        struct encoded_command encoded;
        size_t size = command_codec_read(payload->bytes + position, payload->size - position, &encoded);
        if (size == 0) {
            return "a command that is cut short";
        }
        const struct command *command = command_by_opcode(encoded.opcode);
        if (command == NULL || (command->flags & COMMAND_WRITE) == 0) {
            return "unknown command";
        }
        position += size;
    }
    return position == payload->size ? NULL : "bytes left over";
}

/* They never go back: a leader that has not applied the raise yet stamps with the older ones. */
static void raise_rules(struct replica *replica, const struct raft_entry *entry, uint32_t version)
{
    uint32_t before = map_get_meta(replica->map)->rules_version;
    if (version > before) {
        map_set_rules_version(replica->map, version);
        replica_log(replica, REPLICA_LOG_INFO, "rules-in-force", "version=%u before=%u index=%llu",
                    (unsigned)version, (unsigned)before, (unsigned long long)entry->id.index);
    }
}

/* False: the replica stops, and nobody is told anything. */
static bool begin_commands(struct replica *replica, const struct raft_entry *entry, struct batch *batch)
{
    struct entry_header header;
    const char *problem = check_payload(replica, entry->payload, &header);
    if (problem != NULL) {
        bool is_newer = problem == NEWER_RULES;
        if (batch != NULL) {
            batch_put_back(replica, batch);
        }
        stop_on_bad_entry(replica, entry, is_newer ? REPLICA_EXIT_START : REPLICA_EXIT_CORRUPT, problem);
        return false;
    }
    if (replica->checkpoint_phase_is_open) {
        settle_phase(replica, header.clock_ms);
    }
    map_begin_entry(replica->map, entry->id.index, entry->id.term, header.clock_ms);
    raise_rules(replica, entry, header.rules_version);
    raft_payload_ref(entry->payload);
    replica->application = (struct application){
        .active = true,
        .entry = *entry,
        .batch = batch,
        .commands_count = header.commands_count,
        .position = ENTRY_HEADER_BYTES,
        .ahead_position = ENTRY_HEADER_BYTES,
        .log_time_ms = map_get_meta(replica->map)->log_time_ms,
    };
    return true;
}

/* Keys are all over the memory, and waiting for it would be much of the work of applying. So what the
 * commands to come will look at is fetched meanwhile. Nearly all have their key first; where not, nothing is
 * lost. */
static void look_ahead(struct replica *replica, struct application *application)
{
    const struct raft_payload *payload = application->entry.payload;
    uint32_t number = application->next_command;
    while (application->ahead_command < application->commands_count &&
           application->ahead_command - number < 2 * APPLY_AHEAD) {
        struct encoded_command encoded;
        struct argument key;
        uint64_t hash = 0;
        application->ahead_position +=
            command_codec_read(payload->bytes + application->ahead_position,
                               payload->size - application->ahead_position, &encoded);
        if (command_codec_first_argument(&encoded, &key)) {
            hash = map_hash_key(replica->map, key.bytes, key.size);
            map_prefetch_place(replica->map, hash);
        }
        application->ahead_hashes[application->ahead_command++ % (2 * APPLY_AHEAD)] = hash;
    }
    if (number + APPLY_AHEAD < application->ahead_command) {
        map_prefetch_entry(replica->map,
                           application->ahead_hashes[(number + APPLY_AHEAD) % (2 * APPLY_AHEAD)]);
    }
}

static void apply_next_command(struct replica *replica)
{
    struct application *application = &replica->application;
    const struct raft_payload *payload = application->entry.payload;
    run_riding_reads(replica, application);
    look_ahead(replica, application);
    struct encoded_command encoded;
    application->position += command_codec_read(payload->bytes + application->position,
                                                payload->size - application->position, &encoded);
    const struct command *command = command_by_opcode(encoded.opcode);
    if (command->opcode == COMMAND_OPCODE_PURGE) {
        replica->purge_in_flight = false;
    }
    apply_command(replica, application, &encoded, command, application->next_command++);
}

static void end_commands(struct replica *replica)
{
    struct application *application = &replica->application;
    run_riding_reads(replica, application);
    if (application->batch != NULL) {
        assert(application->next_waiter == application->batch->waiters_count);
        batch_release(replica, application->batch);
    }
    map_end_entry(replica->map, application->entry.payload->size);
    raft_payload_unref(application->entry.payload);
    application->active = false;
    replica->last_write_ms = replica->now_ms;
}

static void note_applied(struct replica *replica)
{
    const struct map_meta *meta = map_get_meta(replica->map);
    replica->shown_digest = meta->digest;
    replica->entries_applied_total++;
    raft_applied(replica->raft, meta->applied_index);
    report_note_applied(replica, meta->applied_index, meta->digest);
}

/* True: the whole entry is applied. It goes on in the next turn when it has done its share of work. */
static bool continue_entry(struct replica *replica, uint64_t work_end)
{
    const struct application *application = &replica->application;
    while (application->next_command < application->commands_count) {
        if (map_work_bytes(replica->map) >= work_end) {
            return false;
        }
        apply_next_command(replica);
    }
    end_commands(replica);
    note_applied(replica);
    return true;
}

/* False: the replica stops. */
static bool begin_entry(struct replica *replica, const struct raft_entry *entry)
{
    struct batch *batch = batch_take_committed(replica, entry->id);
    switch (entry->type) {
    case RAFT_ENTRY_COMMANDS:
        return begin_commands(replica, entry, batch);
    case RAFT_ENTRY_NOOP:
    case RAFT_ENTRY_MEMBERSHIP:
        map_begin_entry(replica->map, entry->id.index, entry->id.term, 0);
        if (entry->type == RAFT_ENTRY_MEMBERSHIP && !membership_apply(replica, entry)) {
            stop_on_bad_entry(replica, entry, REPLICA_EXIT_CORRUPT, "a membership of unknown form");
            return false; /* in the middle of the entry, which is never written */
        }
        map_end_entry(replica->map, raft_entry_bytes(entry));
        note_applied(replica);
        break;
    }
    assert(batch == NULL); /* only entries of commands are proposed for clients */
    return true;
}

/* What is applied before the own log has it cannot be written to the map before that, and a log that is full
 * waits for the map: so a log that has little room left is not run ahead of. */
static bool is_ahead_of_short_log(const struct replica *replica)
{
    return space_waits_for_checkpoint(replica) &&
           map_get_meta(replica->map)->applied_index >= raft_get_durable(replica->raft);
}

bool apply_is_due(const struct replica *replica)
{
    return raft_get_commit(replica->raft) > map_get_meta(replica->map)->applied_index;
}

bool apply_committed(struct replica *replica)
{
    uint64_t work = replica->options.apply_work_per_turn;
    uint64_t work_end = map_work_bytes(replica->map) + (work == 0 ? APPLY_WORK_PER_TURN : work);
    uint64_t bytes = 0;
    uint32_t entries = 0;
    replica->more_to_apply = false;
    while (!replica->stopping) {
        const struct raft_entry *entry;
        if (!replica->application.active) {
            if (map_is_full(replica->map) || is_ahead_of_short_log(replica) ||
                fetch_holds_entry(replica, map_get_meta(replica->map)->applied_index + 1)) {
                break;
            }
            if (bytes >= APPLY_BYTES_PER_TURN || entries >= APPLY_ENTRIES_PER_TURN) {
                replica->more_to_apply = true;
                break;
            }
            if (raft_next_committed(replica->raft, &entry) != RAFT_NEXT_ENTRY) {
                break;
            }
            bytes += raft_entry_bytes(entry);
            if (!begin_entry(replica, entry)) {
                break;
            }
        }
        if (replica->application.active && !continue_entry(replica, work_end)) {
            replica->more_to_apply = true;
            break;
        }
        entries++;
    }
    return entries > 0;
}

/* Whoever waits for the rest of the entry is told nothing. */
void apply_destroy(struct replica *replica)
{
    struct application *application = &replica->application;
    if (!application->active) {
        return;
    }
    application->active = false;
    raft_payload_unref(application->entry.payload);
    if (application->batch != NULL) {
        batch_put_back(replica, application->batch);
    }
}

/* ---- checkpoints --------------------------------------------------------------------------------- */

static bool is_idle(const struct replica *replica)
{
    return replica->now_ms - replica->last_write_ms >= replica->options.checkpoint_idle_ms;
}

static bool is_checkpoint_due(const struct replica *replica)
{
    if (map_is_clean(replica->map) || replica->application.active) {
        return false;
    }
    uint32_t part = replica->checkpoint_part, parts = replica->checkpoint_parts;
    /* Small commands take far more memory in the table than bytes in the log. */
    return map_bytes_since_freeze(replica->map) >= replica->options.checkpoint_log_bytes * part / parts ||
           map_is_filled(replica->map, part, parts) || space_wants_checkpoint(replica) ||
           backup_wants_checkpoint(replica) || replica->space.checkpoint_is_full || is_idle(replica);
}

void apply_maybe_checkpoint(struct replica *replica)
{
    map_release_some(replica->map);
    if (replica->stopping || snapshot_is_taking_over(replica)) {
        return;
    }
    if (replica->checkpoint == NULL && !map_has_frozen(replica->map) && is_checkpoint_due(replica)) {
        replica->checkpoint = map_freeze(replica->map);
        replica->checkpoint_part = replica->checkpoint_parts = 1;
        if (is_idle(replica)) {
            begin_phase(replica); /* so are the others: all begin anew */
            replica->checkpoint_phase_is_open = false;
        }
    }
    /* The map must never run ahead of the own log on disk. */
    if (replica->checkpoint == NULL || replica->checkpoint_out || !space_may_try_checkpoint(replica) ||
        raft_get_durable(replica->raft) < map_checkpoint_index(replica->checkpoint)) {
        return;
    }
    struct disk_job *job = disk_job_create(DISK_JOB_CHECKPOINT, replica->options.log);
    job->checkpoint = replica->checkpoint;
    job->map = replica->map;
    replica->checkpoint_out = true;
    replica->io.submit(replica->io.context, job);
}

/* ---- purging ------------------------------------------------------------------------------------- */

/* Log time moves by entries only: the leader proposes one when the earliest expiry falls due. */
void apply_maybe_purge(struct replica *replica)
{
    if (!replica_leads(replica) || replica->purge_in_flight) {
        return;
    }
    uint64_t expiry_ms;
    if (!map_next_expiry(replica->map, &expiry_ms)) {
        return;
    }
    uint64_t clock_ms = peers_stamp_ms(replica);
    if (expiry_ms > clock_ms) {
        return;
    }
    uint64_t until_ms = htole64(clock_ms);
    struct argument argument = {.bytes = (const uint8_t *)&until_ms, .size = sizeof until_ms};
    batch_add_write(replica, NULL, 0, command_by_opcode(COMMAND_OPCODE_PURGE), &argument, 1);
    replica->purge_in_flight = true;
}

uint64_t apply_deadline_ms(const struct replica *replica)
{
    uint64_t deadline_ms = UINT64_MAX;
    if (!map_is_clean(replica->map) && replica->checkpoint == NULL && !snapshot_is_taking_over(replica)) {
        deadline_ms = replica->last_write_ms + replica->options.checkpoint_idle_ms;
    }
    uint64_t expiry_ms;
    if (replica_leads(replica) && !replica->purge_in_flight && map_next_expiry(replica->map, &expiry_ms)) {
        uint64_t clock_ms = peers_stamp_ms(replica);
        uint64_t wait_ms = expiry_ms > clock_ms ? expiry_ms - clock_ms : 0;
        uint64_t due_ms = replica->now_ms + wait_ms;
        if (due_ms < deadline_ms) {
            deadline_ms = due_ms;
        }
    }
    return deadline_ms;
}
