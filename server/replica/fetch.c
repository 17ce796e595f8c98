/* fetch.c: keys are looked up ahead of the loop, by other threads, while data is cold.
 *
 * A lookup that has to wait for the disk takes 0.1 to 14 ms, and the loop must not. So while the runtime says
 * that data is cold (replica_set_data_is_cold()), fetch jobs look the keys up first, which brings the pages
 * into memory:
 * - those of an entry when it comes into the log, behind the time that its commit takes; it is applied when
 *   they are done;
 * - those of a read when it arrives, behind its read index; it is run when they are done.
 * Keys that a write buffer knows are not fetched. While data is warm nothing of this is done.
 *
 * Nothing but time depends on it: what was not fetched, or has left memory again, is read by the loop. So
 * jobs have no result; and where they would be in the way - the node stops, or another map takes the place of
 * this one - no new ones are made, nobody waits any more, and those that are out give up.
 *
 * Invariant: whoever waits for room waits for a job that is out or leaves with this turn, and every job comes
 * back: nothing waits for ever.
 */
#include "replica_internal.h"

#include "command_codec.h"
#include "entry_codec.h"
#include "map_fetch.h"

#include <stdlib.h>
#include <string.h>

enum { ALL_KEYS_SEEN = UINT32_MAX };

static const uint32_t keys_per_job[FETCH_LINES_COUNT] = {
    [FETCH_READS] = FETCH_KEYS_PER_READS_JOB,
    [FETCH_ENTRIES] = FETCH_KEYS_PER_ENTRIES_JOB,
};
_Static_assert((int)FETCH_KEYS_PER_READS_JOB <= (int)DISK_FETCH_KEYS_MAX, "a job has room for them");

static bool is_on(const struct replica *replica)
{
    return replica->fetch.is_cold && replica->map != NULL && !replica->stopping &&
           (replica->snapshots.state == SNAPSHOT_NONE || replica->snapshots.state == SNAPSHOT_LOADING);
}

/* ---- jobs ---------------------------------------------------------------------------------------- */

static bool has_room(const struct fetch_line *line)
{
    return line->filling != NULL || line->not_done[line->next_number % FETCH_JOBS_MAX] == 0;
}

static void put_full(struct fetch_line *line)
{
    struct disk_job *job = line->filling;
    line->filling = NULL;
    job->next = NULL;
    if (line->full_first == NULL) {
        line->full_first = job;
    } else {
        line->full_last->next = job;
    }
    line->full_last = job;
}

static struct disk_job *create_job(struct replica *replica, enum fetch_line_name name)
{
    struct fetch_line *line = &replica->fetch.lines[name];
    struct disk_job *job = disk_job_create(DISK_JOB_FETCH, replica->options.log);
    job->map = replica->map;
    job->fetch.number = line->next_number++;
    job->fetch.line = name;
    job->fetch.give_up = &replica->fetch.give_up;
    job->fetch.bytes = malloc((size_t)DISK_FETCH_KEYS_MAX * MAP_KEY_BYTES_MAX);
    if (job->fetch.bytes == NULL) {
        abort();
    }
    line->not_done[job->fetch.number % FETCH_JOBS_MAX] = job->fetch.number;
    return job;
}

/* False: there is no room for it now. */
static bool add_key(struct replica *replica, enum fetch_line_name name, const struct argument *key,
                    bool whole, struct fetch_ticket *ticket)
{
    struct fetch_line *line = &replica->fetch.lines[name];
    if (key->size > MAP_KEY_BYTES_MAX || map_is_in_memory(replica->map, key->bytes, key->size)) {
        return true;
    }
    if (!has_room(line)) {
        return false;
    }
    if (line->filling == NULL) {
        line->filling = create_job(replica, name);
    }
    struct disk_fetch *fetch = &line->filling->fetch;
    if (ticket->first == ticket->end) {
        ticket->first = fetch->number;
    }
    ticket->end = fetch->number + 1;
    if (key->size > 0) {
        memcpy(fetch->bytes + fetch->bytes_count, key->bytes, key->size);
    }
    fetch->keys[fetch->keys_count].offset = fetch->bytes_count;
    fetch->keys[fetch->keys_count].size = (uint32_t)key->size;
    fetch->keys[fetch->keys_count].whole = whole;
    fetch->bytes_count += (uint32_t)key->size;
    fetch->keys_count++;
    if (fetch->keys_count == keys_per_job[name]) {
        put_full(line);
    }
    return true;
}

/* The keys of a command after the one at *last_key. False: there is no room for all of them now. */
static bool add_keys(struct replica *replica, enum fetch_line_name name, const uint8_t *encoded_bytes,
                     uint32_t *last_key, struct fetch_ticket *ticket)
{
    struct encoded_command encoded = client_decode(encoded_bytes);
    const struct command *command = command_by_opcode(encoded.opcode);
    if (command == NULL || command->first_key == 0) {
        return true;
    }
    bool whole = (command->flags & COMMAND_READ) != 0;
    uint32_t count = encoded.arguments_count + 1;
    const struct argument *arguments = client_decode_arguments(replica, &encoded, command);
    uint32_t key = *last_key;
    while ((key = command_next_key(command, arguments, count, key)) != 0) {
        if (!add_key(replica, name, &arguments[key], whole, ticket)) {
            return false;
        }
        *last_key = key;
    }
    return true;
}

/* Drops from the ticket what is done. */
static bool is_out(const struct fetch_line *line, struct fetch_ticket *ticket)
{
    while (ticket->first != ticket->end && line->not_done[ticket->first % FETCH_JOBS_MAX] != ticket->first) {
        ticket->first++;
    }
    return ticket->first != ticket->end;
}

static void submit(struct replica *replica, struct disk_job *job)
{
    struct fetch *fetch = &replica->fetch;
    uint32_t best = 0;
    for (uint32_t i = 1; i < DISK_FETCH_QUEUES; i++) {
        best = fetch->keys_out[i] < fetch->keys_out[best] ? i : best;
    }
    job->next = NULL;
    job->queue = (enum disk_queue)(DISK_QUEUE_FETCH + best);
    if (fetch->keys_out[best] == 0) {
        fetch->moved_ms[best] = replica->now_ms;
    }
    fetch->keys_out[best] += job->fetch.keys_count;
    fetch->jobs_out++;
    replica->io.submit(replica->io.context, job);
}

static struct disk_job *take_full(struct fetch_line *line)
{
    struct disk_job *job = line->full_first;
    if (job != NULL) {
        line->full_first = job->next;
    }
    return job;
}

static void submit_line(struct replica *replica, struct fetch_line *line)
{
    struct disk_job *job;
    if (line->filling != NULL) {
        put_full(line);
    }
    while ((job = take_full(line)) != NULL) {
        submit(replica, job);
    }
}

static void note_done(struct replica *replica, const struct disk_job *job)
{
    uint64_t *place = &replica->fetch.lines[job->fetch.line].not_done[job->fetch.number % FETCH_JOBS_MAX];
    assert(*place == job->fetch.number);
    *place = 0;
}

void fetch_on_done(struct replica *replica, const struct disk_job *job)
{
    struct fetch *fetch = &replica->fetch;
    uint32_t *keys_out = &fetch->keys_out[job->queue - DISK_QUEUE_FETCH];
    assert(fetch->jobs_out > 0 && *keys_out >= job->fetch.keys_count);
    fetch->jobs_out--;
    *keys_out -= job->fetch.keys_count;
    fetch->moved_ms[job->queue - DISK_QUEUE_FETCH] = replica->now_ms;
    note_done(replica, job);
}

/* ---- reads --------------------------------------------------------------------------------------- */

static bool is_read_held(struct replica *replica, struct slot *slot)
{
    if (is_out(&replica->fetch.lines[FETCH_READS], &slot->fetch)) {
        return true;
    }
    if (slot->fetch_last_key == ALL_KEYS_SEEN) {
        return false;
    }
    if (slot->fetch_last_key != 0 && !has_room(&replica->fetch.lines[FETCH_READS])) {
        return true; /* it may have very many keys: without room even looking is left to a later turn */
    }
    uint32_t before = slot->fetch_last_key;
    bool all_seen = add_keys(replica, FETCH_READS, slot->encoded, &slot->fetch_last_key, &slot->fetch);
    if (slot->fetch_last_key != before) {
        slot->waiting_since_ms = replica->now_ms; /* it gets on */
    }
    if (!all_seen) {
        return true;
    }
    slot->fetch_last_key = ALL_KEYS_SEEN;
    return slot->fetch.first != slot->fetch.end;
}

void fetch_begin_read(struct replica *replica, struct replica_client *client, uint64_t number)
{
    if (!replica->fetch.is_cold) {
        return;
    }
    struct slot *slot = client_slot(client, number);
    slot->fetch = (struct fetch_ticket){0};
    slot->fetch_last_key = 0;
    if (is_on(replica)) {
        (void)is_read_held(replica, slot);
    }
}

bool fetch_holds_read(struct replica *replica, struct replica_client *client, uint64_t number)
{
    return is_on(replica) && is_read_held(replica, client_slot(client, number));
}

/* ---- entries ------------------------------------------------------------------------------------- */

static struct entry_fetch *find_entry(struct replica *replica, uint64_t index)
{
    return &replica->fetch.entries[index % FETCH_ENTRIES_MAX];
}

static void let_go(struct fetch *fetch, struct entry_fetch *entry)
{
    if (entry->payload == NULL) {
        return;
    }
    assert(fetch->held_count > 0 && fetch->held_bytes >= entry->payload->size);
    fetch->held_count--;
    fetch->held_bytes -= entry->payload->size;
    raft_payload_unref(entry->payload);
    entry->payload = NULL;
}

static const struct batch *find_batch(const struct replica *replica, const struct entry_fetch *entry)
{
    const struct batch *batch = replica->in_flight.first;
    while (batch != NULL && (batch->id.index != entry->index || batch->id.term != entry->term)) {
        batch = batch->next;
    }
    return batch;
}

/* Whatever is wrong with the entry is found out when it is applied. False: there is no room now. */
static bool add_commands(struct replica *replica, struct entry_fetch *entry)
{
    const struct raft_payload *payload = entry->payload;
    while (entry->commands_left > 0) {
        struct encoded_command encoded;
        size_t size =
            command_codec_read(payload->bytes + entry->position, payload->size - entry->position, &encoded);
        if (size == 0) {
            entry->commands_left = 0;
            break;
        }
        if (!add_keys(replica, FETCH_ENTRIES, payload->bytes + entry->position, &entry->last_key,
                      &entry->ticket)) {
            return false;
        }
        entry->position += size;
        entry->commands_left--;
        entry->last_key = 0;
    }
    return true;
}

static bool add_riding_reads(struct replica *replica, struct entry_fetch *entry)
{
    const struct batch *batch = find_batch(replica, entry);
    while (batch != NULL && entry->next_waiter < batch->waiters_count) {
        const struct waiter *waiter = &batch->waiters[entry->next_waiter];
        if (waiter->is_read && waiter->client != NULL &&
            !add_keys(replica, FETCH_ENTRIES, byte_buffer_front(&batch->reads) + waiter->offset,
                      &entry->last_key, &entry->ticket)) {
            return false;
        }
        entry->next_waiter++;
        entry->last_key = 0;
    }
    return true;
}

static void continue_entry(struct replica *replica, struct entry_fetch *entry)
{
    if (add_commands(replica, entry) && add_riding_reads(replica, entry)) {
        let_go(&replica->fetch, entry);
    }
}

void fetch_begin_entry(struct replica *replica, const struct raft_entry *entry)
{
    if (!is_on(replica) || entry->type != RAFT_ENTRY_COMMANDS) {
        return;
    }
    uint64_t applied = map_get_meta(replica->map)->applied_index;
    struct entry_header header;
    struct entry_fetch *fetch = find_entry(replica, entry->id.index);
    bool is_known = fetch->index == entry->id.index && fetch->term == entry->id.term;
    if (entry->id.index <= applied || entry->id.index > applied + FETCH_ENTRIES_MAX || is_known ||
        entry->payload == NULL ||
        !entry_codec_read_header(entry->payload->bytes, entry->payload->size, &header)) {
        return;
    }
    let_go(&replica->fetch, fetch);
    *fetch = (struct entry_fetch){
        .index = entry->id.index,
        .term = entry->id.term,
        .payload = raft_payload_ref(entry->payload),
        .position = ENTRY_HEADER_BYTES,
        .commands_left = header.commands_count,
    };
    replica->fetch.held_count++;
    replica->fetch.held_bytes += entry->payload->size;
    continue_entry(replica, fetch);
    if (replica->fetch.held_bytes > FETCH_HELD_BYTES_MAX) {
        let_go(&replica->fetch, fetch);
    }
}

bool fetch_holds_entry(struct replica *replica, uint64_t index)
{
    if (!is_on(replica)) {
        return false;
    }
    struct entry_fetch *entry = find_entry(replica, index);
    return entry->index == index &&
           (entry->payload != NULL || is_out(&replica->fetch.lines[FETCH_ENTRIES], &entry->ticket));
}

/* ---- the turn ------------------------------------------------------------------------------------ */

/* What is not with the disk yet. */
static void drop(struct replica *replica)
{
    for (uint32_t i = 0; i < FETCH_LINES_COUNT; i++) {
        struct fetch_line *line = &replica->fetch.lines[i];
        struct disk_job *job;
        if (line->filling != NULL) {
            put_full(line);
        }
        while ((job = take_full(line)) != NULL) {
            note_done(replica, job);
            disk_job_destroy(job);
        }
    }
    for (uint32_t i = 0; i < FETCH_ENTRIES_MAX; i++) {
        let_go(&replica->fetch, &replica->fetch.entries[i]);
    }
}

/* Those that are applied next come first. */
static void continue_entries(struct replica *replica)
{
    uint64_t applied = map_get_meta(replica->map)->applied_index;
    uint32_t left = replica->fetch.held_count;
    for (uint64_t index = applied + 1; left > 0 && index <= applied + FETCH_ENTRIES_MAX; index++) {
        struct entry_fetch *entry = find_entry(replica, index);
        if (entry->payload == NULL) {
            continue;
        }
        left--;
        if (entry->index != index) {
            let_go(&replica->fetch, entry); /* it was applied meanwhile, without having to wait */
        } else if (has_room(&replica->fetch.lines[FETCH_ENTRIES])) {
            continue_entry(replica, entry); /* without room it waits: it may have many keys */
        }
    }
}

/* A leader that waits for a disk that does not answer applies nothing, while it goes on to send heartbeats
 * (pitfall 16): another one is to lead. */
static void hand_over_if_disk_hangs(struct replica *replica)
{
    struct fetch *fetch = &replica->fetch;
    uint64_t limit_ms = (uint64_t)replica->options.election_timeout_ms * DISK_STALL_ELECTION_TIMEOUTS;
    bool hangs = false;
    for (uint32_t i = 0; i < DISK_FETCH_QUEUES; i++) {
        hangs = hangs || (fetch->keys_out[i] > 0 && replica->now_ms - fetch->moved_ms[i] >= limit_ms);
    }
    if (hangs && replica->now_ms >= fetch->hand_over_ms) {
        fetch->hand_over_ms = replica->now_ms + limit_ms;
        replica_hand_over(replica, "disk-hangs");
    }
}

void fetch_tick(struct replica *replica)
{
    struct fetch *fetch = &replica->fetch;
    bool on = is_on(replica);
    if (atomic_load_explicit(&fetch->give_up, memory_order_relaxed) == on) {
        atomic_store(&fetch->give_up, !on);
        if (!on) {
            drop(replica);
        }
    }
    if (!on) {
        return;
    }
    continue_entries(replica);
    for (uint32_t i = 0; i < FETCH_LINES_COUNT; i++) {
        submit_line(replica, &fetch->lines[i]);
    }
    hand_over_if_disk_hangs(replica);
}

void replica_set_data_is_cold(struct replica *replica, bool is_cold)
{
    if (replica->fetch.is_cold != is_cold) {
        replica->fetch.is_cold = is_cold;
        replica_log(replica, REPLICA_LOG_DEBUG, is_cold ? "data-is-cold" : "data-is-warm", "%s", "");
    }
}

bool fetch_is_idle(const struct replica *replica)
{
    return replica->fetch.jobs_out == 0;
}

/* ---- beginning and end --------------------------------------------------------------------------- */

void fetch_start(struct replica *replica)
{
    atomic_store(&replica->fetch.give_up, true);
    for (uint32_t i = 0; i < FETCH_LINES_COUNT; i++) {
        replica->fetch.lines[i].next_number = 1; /* 0 stands for none */
    }
}

void fetch_on_map_replaced(struct replica *replica)
{
    assert(fetch_is_idle(replica));
    drop(replica);
    memset(replica->fetch.entries, 0, sizeof replica->fetch.entries);
}

void fetch_destroy(struct replica *replica)
{
    assert(fetch_is_idle(replica));
    drop(replica);
}
