/* batch.c: commands on their way through the log.
 *
 * Writes that arrive are encoded back to back into the open batch; sealing proposes it as one entry. The
 * batch then waits, with the clients of its commands in order, for the entry to be committed. There is no
 * timer: while entries are in flight the next batch gathers.
 *
 * What a client is told (design, "Answers"):
 * - its entry is applied, with the term it was proposed in: the real result;
 * - a committed entry of another term stands at its index: certainly lost, back to the front of its queue;
 * - neither is known within the command time-out: -UNKNOWN, and the connection stays open (pitfall 5);
 * - it could not even be proposed within that time: -CLUSTERDOWN, for it was certainly not appended.
 * Truncation of the own log proves nothing.
 *
 * A read rides only in a batch that was not sealed when it arrived: a paused old leader may find
 * acknowledgements of an older entry in its sockets, and must not answer a newer read with it.
 */
#include "replica_internal.h"

#include "command_codec.h"
#include "entry_codec.h"

#include <stdlib.h>
#include <string.h>

enum {
    PAYLOAD_CAPACITY_MIN = 2048,
    SPARE_BATCHES_MAX = 16,
    WAITERS_KEEP_MAX = 4096,
    READS_KEEP_BYTES = 64 * 1024,
};

static const char UNKNOWN_ERROR[] = "UNKNOWN the write may or may not have happened: its outcome was not "
                                    "known in time; do not retry it blindly";

/* ---- lists --------------------------------------------------------------------------------------- */

static void list_append(struct batch_list *list, struct batch *batch)
{
    batch->next = NULL;
    if (list->last == NULL) {
        list->first = batch;
    } else {
        list->last->next = batch;
    }
    list->last = batch;
    list->count++;
}

void batch_put_back(struct replica *replica, struct batch *batch)
{
    struct batch_list *list = &replica->in_flight;
    batch->next = list->first;
    list->first = batch;
    list->last = list->last == NULL ? batch : list->last;
    list->count++;
}

static struct batch *list_take_first(struct batch_list *list)
{
    struct batch *batch = list->first;
    assert(batch != NULL && list->count > 0);
    list->first = batch->next;
    if (list->first == NULL) {
        list->last = NULL;
    }
    list->count--;
    batch->next = NULL;
    return batch;
}

static struct batch *batch_create(struct replica *replica)
{
    struct batch *batch = replica->spare_batches;
    if (batch != NULL) {
        replica->spare_batches = batch->next;
        replica->spare_batches_count--;
    } else {
        batch = calloc(1, sizeof *batch);
        if (batch == NULL) {
            abort();
        }
    }
    batch->payload = raft_payload_create(PAYLOAD_CAPACITY_MIN);
    batch->payload->size = ENTRY_HEADER_BYTES;
    batch->begun_ms = replica->now_ms;
    return batch;
}

void batch_release(struct replica *replica, struct batch *batch)
{
    raft_payload_unref(batch->payload);
    batch->payload = NULL;
    batch->waiters_count = 0;
    batch->commands_count = 0;
    batch->id = (struct raft_entry_id){0, 0};
    byte_buffer_consume(&batch->reads, byte_buffer_size(&batch->reads));
    byte_buffer_trim(&batch->reads, READS_KEEP_BYTES);
    if (replica->spare_batches_count >= SPARE_BATCHES_MAX || batch->waiters_capacity > WAITERS_KEEP_MAX) {
        byte_buffer_deinit(&batch->reads);
        free(batch->waiters);
        free(batch);
        return;
    }
    batch->next = replica->spare_batches;
    replica->spare_batches = batch;
    replica->spare_batches_count++;
}

/* ---- filling ------------------------------------------------------------------------------------- */

/* The batch that takes the next command of `bytes` bytes. */
static struct batch *open_batch(struct replica *replica, size_t bytes)
{
    struct batch *batch = replica->unsealed.last;
    if (batch == NULL ||
        (batch->waiters_count > 0 && batch->payload->size + bytes > replica->options.entry_bytes_max)) {
        batch = batch_create(replica);
        list_append(&replica->unsealed, batch);
    }
    return batch;
}

static struct waiter *add_waiter(struct batch *batch)
{
    if (batch->waiters_count == batch->waiters_capacity) {
        batch->waiters_capacity = batch->waiters_capacity == 0 ? 64 : batch->waiters_capacity * 2;
        batch->waiters = realloc(batch->waiters, batch->waiters_capacity * sizeof *batch->waiters);
        if (batch->waiters == NULL) {
            abort();
        }
    }
    return &batch->waiters[batch->waiters_count++];
}

void batch_add_write(struct replica *replica, struct replica_client *client, uint64_t slot,
                     const struct command *command, const struct argument *arguments, uint32_t count)
{
    size_t bytes = command_codec_size(arguments, count);
    struct batch *batch = open_batch(replica, bytes);
    size_t needed = batch->payload->size + bytes;
    assert(needed <= UINT32_MAX / 2);
    if (needed > batch->payload->capacity) {
        uint32_t doubled = batch->payload->capacity * 2;
        batch->payload = raft_payload_grow(batch->payload, needed > doubled ? (uint32_t)needed : doubled);
    }
    uint32_t offset = batch->payload->size;
    command_codec_write(batch->payload->bytes + offset, command->opcode, arguments, count);
    batch->payload->size = (uint32_t)needed;
    batch->commands_count++;
    *add_waiter(batch) = (struct waiter){.client = client, .slot = slot, .offset = offset, .is_read = false};
}

void batch_add_read(struct replica *replica, struct replica_client *client, uint64_t slot,
                    const struct command *command, const struct argument *arguments, uint32_t count)
{
    struct batch *batch = open_batch(replica, 0);
    size_t bytes = command_codec_size(arguments, count);
    size_t offset = byte_buffer_size(&batch->reads);
    assert(offset + bytes <= UINT32_MAX);
    command_codec_write(byte_buffer_reserve(&batch->reads, bytes), command->opcode, arguments, count);
    byte_buffer_commit(&batch->reads, bytes);
    *add_waiter(batch) =
        (struct waiter){.client = client, .slot = slot, .offset = (uint32_t)offset, .is_read = true};
}

/* ---- sealing ------------------------------------------------------------------------------------- */

static uint32_t commands_bytes(const struct batch *batch)
{
    return batch->payload->size - ENTRY_HEADER_BYTES;
}

/* When the next entry leaves: at once if none is on its way; else when it is as large as those that are. So
 * one client alone waits for nobody, and many make large entries, each of which costs a commit on every node,
 * while disks and links are kept busy.
 *
 * What is committed is on its way no more: the next may leave before that is applied. But clients are not to
 * be taken from faster than they are answered. */
static bool may_seal(const struct replica *replica, const struct batch *next)
{
    uint32_t limit = replica->options.entries_in_flight_max;
    uint64_t commit = raft_get_commit(replica->raft);
    uint64_t bytes = 0;
    uint32_t count = 0;
    for (const struct batch *batch = replica->in_flight.first; batch != NULL; batch = batch->next) {
        count += batch->id.index > commit ? 1 : 0;
        bytes += batch->id.index > commit ? commands_bytes(batch) : 0;
    }
    bool is_full = next->next != NULL || next->payload->size >= replica->options.entry_bytes_max;
    bool may_be_small = is_full || !replica->options.gather_commands;
    return count < limit && (may_be_small || commands_bytes(next) >= bytes) &&
           replica->in_flight.count < 2 * limit;
}

void batch_seal(struct replica *replica)
{
    while (replica->unsealed.first != NULL && replica_leads(replica) &&
           may_seal(replica, replica->unsealed.first) &&
           (replica->map == NULL || !map_is_full(replica->map))) {
        struct batch *batch = replica->unsealed.first;
        struct entry_header header = {
            .rules_version = (uint16_t)versions_agreed(replica),
            .commands_count = batch->commands_count,
            .clock_ms = peers_stamp_ms(replica),
        };
        entry_codec_write_header(batch->payload->bytes, &header);
        switch (raft_propose(replica->raft, batch->payload, &batch->id)) {
        case RAFT_PROPOSE_OK:
            list_append(&replica->in_flight, list_take_first(&replica->unsealed));
            break;
        case RAFT_PROPOSE_NOT_LEADER:
        case RAFT_PROPOSE_TRANSFERRING:
        case RAFT_PROPOSE_FULL:
            return; /* certainly not appended: it stays, or goes back when leadership is gone */
        }
    }
}

/* ---- giving back --------------------------------------------------------------------------------- */

static const uint8_t *waiter_encoded(const struct batch *batch, const struct waiter *waiter)
{
    return waiter->is_read ? byte_buffer_front(&batch->reads) + waiter->offset
                           : batch->payload->bytes + waiter->offset;
}

/* All that wait in it go back to their queues; the batch is gone. */
static void give_back(struct replica *replica, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->waiters_count; i++) {
        struct waiter *waiter = &batch->waiters[i];
        struct replica_client *client = waiter->client;
        if (client == NULL) {
            continue;
        }
        if (client->open) {
            client_requeue_slot(replica, client, waiter->slot, waiter_encoded(batch, waiter));
        } else {
            client_finish_slot(replica, client, waiter->slot);
            client_maybe_free(replica, client);
        }
    }
    batch_release(replica, batch);
}

void batch_return_unsealed(struct replica *replica)
{
    while (replica->unsealed.first != NULL) {
        give_back(replica, list_take_first(&replica->unsealed));
    }
    replica->purge_in_flight = false;
}

/* Terms never decrease along a log: once an entry of term T is committed at index i, no entry of an older
 * term can be committed at i or beyond, and no other entry at i. Batches are in the order of their proposal,
 * so their terms ascend, and none of them stands before the entry that is being applied. */
struct batch *batch_take_committed(struct replica *replica, struct raft_entry_id id)
{
    while (replica->in_flight.first != NULL) {
        struct batch *first = replica->in_flight.first;
        assert(first->id.index >= id.index);
        bool same_index = first->id.index == id.index;
        if (same_index && first->id.term == id.term) {
            return list_take_first(&replica->in_flight);
        }
        if (!same_index && first->id.term >= id.term) {
            break;
        }
        replica->purge_in_flight = false;
        give_back(replica, list_take_first(&replica->in_flight));
    }
    return NULL;
}

/* ---- time-out ------------------------------------------------------------------------------------ */

static void expire_waiters(struct replica *replica, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->waiters_count; i++) {
        struct waiter *waiter = &batch->waiters[i];
        struct replica_client *client = waiter->client;
        if (client == NULL) {
            continue;
        }
        waiter->client = NULL;
        /* A read is tried again, unless later commands of its connection are on their way: it would see
         * them. */
        if (waiter->is_read && client->open && client->proposed_count == 1) {
            client_requeue_slot(replica, client, waiter->slot, waiter_encoded(batch, waiter));
            continue;
        }
        if (waiter->is_read && client->open) {
            client_answer_error(replica, client, waiter->slot, REPLICA_CLUSTERDOWN_ERROR);
        } else if (client->open) {
            replica->unknown_total++;
            client_answer_error(replica, client, waiter->slot, UNKNOWN_ERROR);
        } else {
            client_finish_slot(replica, client, waiter->slot);
        }
        client_maybe_free(replica, client);
    }
    batch->waiters_count = 0;
}

/* It was never proposed: what a leader can get no place for (nobody acknowledges its entries, or the map is
 * full) must not wait for ever. */
static void refuse_unsealed(struct replica *replica, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->waiters_count; i++) {
        struct replica_client *client = batch->waiters[i].client;
        if (client == NULL) {
            replica->purge_in_flight = false;
            continue;
        }
        client_answer_error(replica, client, batch->waiters[i].slot, REPLICA_CLUSTERDOWN_ERROR);
        client_maybe_free(replica, client);
    }
    batch_release(replica, batch);
}

static bool is_expired(const struct replica *replica, const struct batch *batch)
{
    return replica->now_ms - batch->begun_ms >= replica->options.command_timeout_ms;
}

/* Batches are in the order in which they were begun. One that was proposed stays until its outcome is
 * known. */
void batch_expire(struct replica *replica)
{
    for (struct batch *batch = replica->in_flight.first; batch != NULL && is_expired(replica, batch);
         batch = batch->next) {
        if (batch->waiters_count > 0) {
            expire_waiters(replica, batch);
        }
    }
    while (replica->unsealed.first != NULL && is_expired(replica, replica->unsealed.first)) {
        refuse_unsealed(replica, list_take_first(&replica->unsealed));
    }
}

void batch_forget(struct replica *replica, uint64_t upto_index)
{
    while (replica->in_flight.first != NULL && replica->in_flight.first->id.index <= upto_index) {
        struct batch *batch = list_take_first(&replica->in_flight);
        expire_waiters(replica, batch);
        batch_release(replica, batch);
    }
}

uint64_t batch_deadline_ms(const struct replica *replica)
{
    for (const struct batch *batch = replica->in_flight.first; batch != NULL; batch = batch->next) {
        if (batch->waiters_count > 0) {
            return batch->begun_ms + replica->options.command_timeout_ms;
        }
    }
    const struct batch *unsealed = replica->unsealed.first;
    return unsealed == NULL ? UINT64_MAX : unsealed->begun_ms + replica->options.command_timeout_ms;
}

void batches_destroy(struct replica *replica)
{
    struct batch_list *lists[] = {&replica->unsealed, &replica->in_flight};
    for (size_t l = 0; l < 2; l++) {
        while (lists[l]->first != NULL) {
            struct batch *batch = list_take_first(lists[l]);
            for (uint32_t i = 0; i < batch->waiters_count; i++) {
                struct replica_client *client = batch->waiters[i].client;
                if (client != NULL) {
                    client_finish_slot(replica, client, batch->waiters[i].slot);
                    client_maybe_free(replica, client);
                }
            }
            batch_release(replica, batch);
        }
    }
    while (replica->spare_batches != NULL) {
        struct batch *batch = replica->spare_batches;
        replica->spare_batches = batch->next;
        byte_buffer_deinit(&batch->reads);
        free(batch->waiters);
        free(batch);
    }
    replica->spare_batches_count = 0;
}
