/* reads.c: reads that wait for a read index (thesis 6.4).
 *
 * Reads that arrive during a turn gather; at its end one try is made for all of them, with an id of its own
 * (pitfall 2). A try answers only reads that arrived before it started. A confirmed round is served once its
 * index is applied. A failed one (the leader changed, was not confirmed, did not answer) gives its reads back
 * to their clients' queues: reads may always be tried again, until the command time-out is over.
 *
 * Reads of one connection see the data in the order in which they were sent, also when an earlier one has to
 * be tried again: a read whose round is served waits until all requests before it are answered. It also waits
 * for what it reads to be fetched (fetch.c): being run later than it might be does not make it less right.
 */
#include "replica_internal.h"

#include "command_codec.h"

#include <stdlib.h>
#include <string.h>

static void list_append(struct reader_list *list, struct reader reader)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        list->readers = realloc(list->readers, list->capacity * sizeof *list->readers);
        if (list->readers == NULL) {
            abort();
        }
    }
    list->readers[list->count++] = reader;
}

void reads_add(struct replica *replica, struct replica_client *client, uint64_t slot)
{
    fetch_begin_read(replica, client, slot);
    list_append(&replica->gathering, (struct reader){client, slot});
}

/* A slot of a client that is gone ends without an answer. True: there is nothing more to do for it. */
static bool drop_if_closed(struct replica *replica, struct replica_client *client, uint64_t slot)
{
    if (client_takes_replies(client)) {
        return false;
    }
    client_finish_slot(replica, client, slot);
    client_maybe_free(replica, client);
    return true;
}

static void give_back(struct replica *replica, struct reader_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct reader reader = list->readers[i];
        if (drop_if_closed(replica, reader.client, reader.slot)) {
            continue;
        }
        uint64_t begun_ms = client_slot(reader.client, reader.slot)->read_begun_ms;
        if (replica->now_ms - begun_ms >= replica->options.command_timeout_ms) {
            client_answer_error(replica, reader.client, reader.slot, REPLICA_CLUSTERDOWN_ERROR);
        } else {
            client_requeue_slot(replica, reader.client, reader.slot, NULL);
        }
    }
    list->count = 0;
}

/* ---- asking -------------------------------------------------------------------------------------- */

static struct read_round *find_free_round(struct replica *replica)
{
    uint32_t unanswered = 0;
    struct read_round *free_round = NULL;
    for (uint32_t i = 0; i < READ_ROUNDS_MAX * 2; i++) {
        struct read_round *round = &replica->rounds[i];
        if (round->read_id == 0) {
            free_round = round;
        } else if (!round->confirmed) {
            unanswered++;
        }
    }
    return unanswered < READ_ROUNDS_MAX ? free_round : NULL;
}

void reads_ask(struct replica *replica)
{
    if (replica->gathering.count == 0) {
        return;
    }
    struct read_round *round = find_free_round(replica);
    if (round == NULL) {
        return; /* they go on gathering */
    }
    uint64_t read_id = raft_read_index(replica->raft);
    if (read_id == 0) {
        give_back(replica, &replica->gathering);
        return;
    }
    struct reader_list empty = round->list;
    assert(empty.count == 0);
    *round = (struct read_round){.read_id = read_id, .asked_ms = replica->now_ms, .list = replica->gathering};
    replica->gathering = empty;
}

void reads_on_result(struct replica *replica, const struct raft_read_result *result)
{
    for (uint32_t i = 0; i < READ_ROUNDS_MAX * 2; i++) {
        struct read_round *round = &replica->rounds[i];
        if (round->read_id != result->read_id) {
            continue;
        }
        assert(!round->confirmed);
        if (result->ok) {
            round->confirmed = true;
            round->index = result->index;
        } else {
            round->read_id = 0;
            give_back(replica, &round->list);
        }
        return;
    }
}

/* It is its turn, but the disk that its data is fetched from (fetch.c) may hang. */
static bool waits_for_disk(struct reader reader)
{
    return client_takes_replies(reader.client) && reader.slot == reader.client->first_slot;
}

static uint64_t due_ms(const struct replica *replica, struct reader reader)
{
    return client_slot(reader.client, reader.slot)->waiting_since_ms + replica->options.command_timeout_ms;
}

static void expire_waiting(struct replica *replica)
{
    struct reader_list *list = &replica->waiting_turn;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct reader reader = list->readers[i];
        if (waits_for_disk(reader) && replica->now_ms >= due_ms(replica, reader) &&
            fetch_holds_read(replica, reader.client, reader.slot)) {
            client_answer_error(replica, reader.client, reader.slot, REPLICA_CLUSTERDOWN_ERROR);
        } else {
            list->readers[kept++] = reader;
        }
    }
    list->count = kept;
}

/* A round that was confirmed and whose entries do not arrive; the core ends those that are not confirmed. */
void reads_expire(struct replica *replica)
{
    expire_waiting(replica);
    for (uint32_t i = 0; i < READ_ROUNDS_MAX * 2; i++) {
        struct read_round *round = &replica->rounds[i];
        if (round->read_id != 0 && round->confirmed &&
            replica->now_ms - round->asked_ms >= replica->options.command_timeout_ms) {
            round->read_id = 0;
            round->confirmed = false;
            give_back(replica, &round->list);
        }
    }
}

uint64_t reads_deadline_ms(const struct replica *replica)
{
    uint64_t deadline_ms = UINT64_MAX;
    for (uint32_t i = 0; i < READ_ROUNDS_MAX * 2; i++) {
        const struct read_round *round = &replica->rounds[i];
        uint64_t round_due_ms = round->asked_ms + replica->options.command_timeout_ms;
        if (round->read_id != 0 && round->confirmed && round_due_ms < deadline_ms) {
            deadline_ms = round_due_ms;
        }
    }
    for (uint32_t i = 0; i < replica->waiting_turn.count; i++) {
        struct reader reader = replica->waiting_turn.readers[i];
        if (waits_for_disk(reader) && due_ms(replica, reader) < deadline_ms) {
            deadline_ms = due_ms(replica, reader);
        }
    }
    return deadline_ms;
}

/* ---- serving ------------------------------------------------------------------------------------- */

/* The key is past its expiry by our clock, and log time has not caught up: the read rides in an entry, whose
 * stamp moves log time past it. Nobody but a leader meets such keys. */
static void ride_after_expiry(struct replica *replica, struct replica_client *client, uint64_t number,
                              const struct command_context *context)
{
    batch_add_read(replica, client, number, context->command, context->arguments + 1,
                   context->arguments_count - 1);
    client_note_proposed(replica, client, number);
}

void reads_run(struct replica *replica, struct replica_client *client, uint64_t number)
{
    if (drop_if_closed(replica, client, number)) {
        return;
    }
    struct slot *slot = client_slot(client, number);
    assert(slot->state == SLOT_READING && slot->encoded != NULL);
    if (client_output_is_full(replica, client, true)) {
        client_requeue_slot(replica, client, number, NULL); /* until it has taken what it has asked for */
        return;
    }
    struct encoded_command encoded = client_decode(slot->encoded);
    struct byte_buffer *out = client_reply_target(client, number);
    size_t out_bytes = byte_buffer_size(out);
    struct reply reply = {out, client->info.protocol};
    uint64_t log_time_ms = map_get_meta(replica->map)->log_time_ms;
    uint64_t stamp_ms = peers_stamp_ms(replica);
    struct command_context context = {
        .command = slot->command,
        .arguments = client_decode_arguments(replica, &encoded, slot->command),
        .arguments_count = encoded.arguments_count + 1,
        .reply = &reply,
        .map = replica->map,
        .log_time_ms = log_time_ms,
        .clock_ms = stamp_ms > log_time_ms ? stamp_ms : log_time_ms,
        .can_wait = replica_leads(replica) && !client_is_fenced(replica, client),
    };
    command_run(&context);
    if (context.met_due_key) {
        out->end = out->start + out_bytes;
        ride_after_expiry(replica, client, number, &context);
        return;
    }
    client_finish_slot(replica, client, number);
}

/* An earlier request of its connection is not answered yet, or its data is not there. */
static bool waits_for_turn(struct replica *replica, struct reader reader)
{
    return client_takes_replies(reader.client) && (reader.slot != reader.client->first_slot ||
                                                   fetch_holds_read(replica, reader.client, reader.slot));
}

void reads_add_stale(struct replica *replica, struct replica_client *client, uint64_t slot)
{
    const struct reader reader = {client, slot};
    assert(slot == client->first_slot);
    if (waits_for_turn(replica, reader)) {
        list_append(&replica->waiting_turn, reader);
    } else {
        reads_run(replica, client, slot);
    }
}

/* Those that waited for their turn, as far as it has come now. */
static void serve_waiting(struct replica *replica)
{
    struct reader_list *list = &replica->waiting_turn;
    bool served = true;
    while (served && list->count > 0) {
        uint32_t kept = 0;
        served = false;
        for (uint32_t i = 0; i < list->count; i++) {
            struct reader reader = list->readers[i];
            if (waits_for_turn(replica, reader)) {
                list->readers[kept++] = reader;
            } else {
                reads_run(replica, reader.client, reader.slot);
                served = true;
            }
        }
        list->count = kept;
    }
}

void reads_serve(struct replica *replica)
{
    uint64_t applied = map_get_meta(replica->map)->applied_index;
    for (uint32_t i = 0; i < READ_ROUNDS_MAX * 2; i++) {
        struct read_round *round = &replica->rounds[i];
        if (round->read_id == 0 || !round->confirmed || round->index > applied) {
            continue;
        }
        for (uint32_t r = 0; r < round->list.count; r++) {
            struct reader reader = round->list.readers[r];
            if (waits_for_turn(replica, reader)) {
                list_append(&replica->waiting_turn, reader);
            } else {
                reads_run(replica, reader.client, reader.slot);
            }
        }
        round->list.count = 0;
        round->read_id = 0;
        round->confirmed = false;
    }
    serve_waiting(replica);
}

void reads_destroy(struct replica *replica)
{
    struct reader_list *lists[READ_ROUNDS_MAX * 2 + 2];
    for (uint32_t i = 0; i < READ_ROUNDS_MAX * 2; i++) {
        lists[i] = &replica->rounds[i].list;
    }
    lists[READ_ROUNDS_MAX * 2] = &replica->gathering;
    lists[READ_ROUNDS_MAX * 2 + 1] = &replica->waiting_turn;
    for (uint32_t i = 0; i < READ_ROUNDS_MAX * 2 + 2; i++) {
        for (uint32_t r = 0; r < lists[i]->count; r++) {
            struct reader reader = lists[i]->readers[r];
            client_finish_slot(replica, reader.client, reader.slot);
            client_maybe_free(replica, reader.client);
        }
        free(lists[i]->readers);
        *lists[i] = (struct reader_list){0};
    }
}
