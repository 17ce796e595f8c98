/* client.c: one client's queue of requests.
 *
 * Requests are begun in order and answered in order; in between they may wait in different places (a batch, a
 * read round, parked). A reply whose turn has not come is kept in its slot; usually it is its turn, and the
 * reply is written straight into the client's output.
 *
 * A client whose connection is gone lives on, without output, until nothing in flight refers to it.
 */
#include "replica_internal.h"

#include "command_codec.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOTS_CAPACITY_MIN = 8,
    SLOTS_KEEP = 64, /* by a client that waits for nothing */
    OUTPUT_KEEP_BYTES = 16 * 1024,
    OUTPUT_LIMIT_FACTOR = 16,  /* times client_pending_bytes_max: a client that asks for more than it reads */
    OUTPUT_STUCK_MS_MAX = 500, /* how long others wait for a client that takes nothing at all */
    OUTPUT_GRACE_MS = 100,     /* ... and then, in case it was this node that did nothing */
    OUTPUT_FULL_MS_MAX = 5000, /* ... for those that take their replies slowly */
};

struct slot *client_slot(const struct replica_client *client, uint64_t number)
{
    assert(number >= client->first_slot && number < client->end_slot);
    return &client->slots[number & (client->slots_capacity - 1)];
}

static void grow_slots(struct replica_client *client)
{
    uint32_t capacity = client->slots_capacity == 0 ? SLOTS_CAPACITY_MIN : client->slots_capacity * 2;
    struct slot *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL) {
        abort();
    }
    for (uint64_t n = client->first_slot; n < client->end_slot; n++) {
        slots[n & (capacity - 1)] = *client_slot(client, n);
    }
    free(client->slots);
    client->slots = slots;
    client->slots_capacity = capacity;
}

/* A long pipeline is over: thousands of clients may have had one, each at its time. */
static void trim_slots(struct replica_client *client)
{
    if (client->first_slot == client->end_slot && client->slots_capacity > SLOTS_KEEP) {
        free(client->slots);
        client->slots = NULL;
        client->slots_capacity = 0;
    }
}

struct slot *client_push_slot(struct replica *replica, struct replica_client *client)
{
    if (client->end_slot - client->first_slot == client->slots_capacity) {
        grow_slots(client);
    }
    client->end_slot++;
    struct slot *slot = client_slot(client, client->end_slot - 1);
    memset(slot, 0, sizeof *slot);
    slot->waiting_since_ms = replica->now_ms;
    return slot;
}

/* What the slot counts for in the limits from now on. */
static void count_slot(struct replica *replica, struct replica_client *client, struct slot *slot,
                       size_t bytes)
{
    assert(client->pending_bytes >= slot->bytes && replica->pending_bytes >= slot->bytes);
    client->pending_bytes -= slot->bytes;
    replica->pending_bytes -= slot->bytes;
    slot->bytes = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
    client->pending_bytes += slot->bytes;
    replica->pending_bytes += slot->bytes;
}

/* After every change of the output. */
static void count_output(struct replica *replica, struct replica_client *client)
{
    uint64_t limit = replica->options.pending_bytes_max;
    bool was_full = replica->output_bytes >= limit;
    assert(replica->output_bytes >= client->output_counted);
    replica->output_bytes -= client->output_counted;
    size_t size = byte_buffer_size(&client->output);
    if (size < client->output_counted || client->output_counted == 0) {
        client->output_moved_ms = replica->now_ms;
    }
    client->output_counted = size;
    replica->output_bytes += size;
    if (was_full && replica->output_bytes < limit) {
        replica->redispatch = true;
        replica->output_full_since_ms = 0;
        replica->output_check_ms = UINT64_MAX;
    }
}

bool client_takes_replies(const struct replica_client *client)
{
    return client->open && !client->cut_off;
}

struct byte_buffer *client_reply_target(struct replica_client *client, uint64_t number)
{
    if (!client_takes_replies(client)) {
        return NULL;
    }
    return number == client->first_slot ? &client->output : &client_slot(client, number)->reply;
}

static void drop_front_slot(struct replica_client *client)
{
    client->first_slot++;
    if (client->next_slot < client->first_slot) {
        client->next_slot = client->first_slot;
    }
}

void client_finish_slot(struct replica *replica, struct replica_client *client, uint64_t number)
{
    struct slot *slot = client_slot(client, number);
    assert(slot->state != SLOT_DONE);
    if (slot->state == SLOT_PROPOSED) {
        assert(client->proposed_count > 0);
        client->proposed_count--;
    } else if (slot->state == SLOT_READING) {
        assert(client->reading_count > 0);
        client->reading_count--;
    }
    slot->state = SLOT_DONE;
    free(slot->encoded);
    slot->encoded = NULL;
    /* A reply that has to wait for earlier ones goes on counting. */
    bool waits = number != client->first_slot && client_takes_replies(client);
    count_slot(replica, client, slot, waits ? sizeof *slot + byte_buffer_size(&slot->reply) : 0);
    if (number == client->first_slot) {
        /* Its reply went straight out; those that waited behind it follow. */
        assert(byte_buffer_size(&slot->reply) == 0);
        byte_buffer_deinit(&slot->reply);
        drop_front_slot(client);
        while (client->first_slot < client->end_slot) {
            struct slot *front = client_slot(client, client->first_slot);
            size_t size = byte_buffer_size(&front->reply);
            if (size > 0 && client_takes_replies(client)) {
                byte_buffer_append(&client->output, byte_buffer_front(&front->reply), size);
            }
            byte_buffer_deinit(&front->reply);
            if (front->state != SLOT_DONE) {
                break;
            }
            count_slot(replica, client, front, 0);
            drop_front_slot(client);
        }
        count_output(replica, client);
        client_mark_ready(replica, client);
    }
    if (client->next_slot < client->end_slot) {
        client_mark_parked(replica, client);
        replica->redispatch = true;
    }
}

void client_answer_error(struct replica *replica, struct replica_client *client, uint64_t number,
                         const char *text)
{
    struct reply reply = {client_reply_target(client, number), client->info.protocol};
    reply_error(&reply, text);
    client_finish_slot(replica, client, number);
}

void client_requeue_slot(struct replica *replica, struct replica_client *client, uint64_t number,
                         const uint8_t *encoded)
{
    struct slot *slot = client_slot(client, number);
    if (slot->state == SLOT_PROPOSED) {
        client->proposed_count--;
    } else {
        assert(slot->state == SLOT_READING);
        client->reading_count--;
    }
    if (encoded != NULL) {
        size_t size = client_encoded_size(encoded);
        slot->encoded = malloc(size);
        if (slot->encoded == NULL) {
            abort();
        }
        memcpy(slot->encoded, encoded, size);
    }
    assert(slot->encoded != NULL);
    slot->state = SLOT_QUEUED;
    slot->waiting_since_ms = replica->now_ms;
    if (number < client->next_slot) {
        client->next_slot = number;
    }
    client_mark_parked(replica, client);
    replica->redispatch = true;
}

bool client_is_fenced(const struct replica *replica, const struct replica_client *client)
{
    return client->proposed_count > 0 && client->proposed_term != raft_get_term(replica->raft);
}

void client_note_proposed(struct replica *replica, struct replica_client *client, uint64_t number)
{
    struct slot *slot = client_slot(client, number);
    assert(slot->state == SLOT_QUEUED || slot->state == SLOT_READING);
    if (slot->state == SLOT_READING) {
        assert(client->reading_count > 0);
        client->reading_count--;
    }
    slot->state = SLOT_PROPOSED;
    free(slot->encoded);
    slot->encoded = NULL;
    client->proposed_count++;
    client->proposed_term = raft_get_term(replica->raft);
}

size_t client_encoded_size(const uint8_t *encoded)
{
    uint32_t body_bytes;
    memcpy(&body_bytes, encoded, sizeof body_bytes);
    return sizeof body_bytes + le32toh(body_bytes);
}

struct encoded_command client_decode(const uint8_t *encoded)
{
    struct encoded_command command;
    size_t size = command_codec_read(encoded, client_encoded_size(encoded), &command);
    assert(size > 0); /* we encoded it ourselves */
    return command;
}

struct argument *client_decode_arguments(struct replica *replica, const struct encoded_command *encoded,
                                         const struct command *command)
{
    uint32_t count = encoded->arguments_count + 1;
    if (count > replica->arguments_capacity) {
        free(replica->arguments);
        replica->arguments_capacity = count < 64 ? 64 : count;
        replica->arguments = calloc(replica->arguments_capacity, sizeof *replica->arguments);
        if (replica->arguments == NULL) {
            abort();
        }
    }
    replica->arguments[0] =
        (struct argument){.bytes = (const uint8_t *)command->name, .size = strlen(command->name)};
    command_codec_arguments(encoded, replica->arguments + 1);
    return replica->arguments;
}

/* ---- lists --------------------------------------------------------------------------------------- */

void client_mark_ready(struct replica *replica, struct replica_client *client)
{
    if (client->ready || !client->open) {
        return;
    }
    client->ready = true;
    client->ready_next = NULL;
    if (replica->ready_last == NULL) {
        replica->ready_first = client;
    } else {
        replica->ready_last->ready_next = client;
    }
    replica->ready_last = client;
}

void client_mark_parked(struct replica *replica, struct replica_client *client)
{
    if (!client->parked) {
        client->parked = true;
        client->parked_next = replica->parked_first;
        replica->parked_first = client;
    }
    /* The time-out is looked at no later than the oldest waiting command needs it. */
    if (client->next_slot < client->end_slot) {
        uint64_t due_ms =
            client_slot(client, client->next_slot)->waiting_since_ms + replica->options.parking_ms;
        if (due_ms < replica->parked_next_ms) {
            replica->parked_next_ms = due_ms;
        }
    }
}

void clients_announce_ready(struct replica *replica)
{
    while (replica->ready_first != NULL) {
        struct replica_client *client = replica->ready_first;
        replica->ready_first = client->ready_next;
        if (replica->ready_first == NULL) {
            replica->ready_last = NULL;
        }
        client->ready = false;
        if (client->open) {
            replica->io.client_ready(replica->io.context, client, client->connection);
        }
    }
}

static bool has_room(const struct replica *replica, const struct replica_client *client)
{
    uint64_t client_bytes = client->pending_bytes + byte_buffer_size(&client->output);
    return client_bytes < replica->options.client_pending_bytes_max &&
           replica->pending_bytes < replica->options.pending_bytes_max;
}

bool replica_client_wants_input(struct replica *replica, struct replica_client *client)
{
    if (client->closing) {
        return false;
    }
    if (replica->shutting_down && replica->drain_until_ms != 0 &&
        replica->now_ms >= replica->drain_until_ms) {
        return false; /* what was read is answered, no more is taken */
    }
    if (!has_room(replica, client)) {
        client->throttled = true;
        replica->anybody_throttled = true;
        return false;
    }
    return true;
}

/* Pressure went down: lets throttled clients be read again. */
void clients_release_throttled(struct replica *replica)
{
    if (!replica->anybody_throttled) {
        return;
    }
    bool anybody = false;
    for (struct replica_client *client = replica->clients_first; client != NULL; client = client->next) {
        if (client->throttled && has_room(replica, client)) {
            client->throttled = false;
            client_mark_ready(replica, client);
        }
        anybody = anybody || client->throttled;
    }
    replica->anybody_throttled = anybody;
}

/* ---- open and close ------------------------------------------------------------------------------ */

struct replica_client *replica_client_open(struct replica *replica, const struct client_info *info,
                                           void *connection)
{
    struct replica_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        abort();
    }
    client->info = *info;
    client->info.protocol = 2;
    client->info.created_ms = replica->now_ms;
    client->info.last_command_ms = replica->now_ms;
    client->connection = connection;
    client->open = true;
    client->previous = replica->clients_last;
    if (replica->clients_last == NULL) {
        replica->clients_first = client;
    } else {
        replica->clients_last->next = client;
    }
    replica->clients_last = client;
    replica->clients_count++;
    return client;
}

static void unlink_open(struct replica *replica, struct replica_client *client)
{
    if (client->previous == NULL) {
        replica->clients_first = client->next;
    } else {
        client->previous->next = client->next;
    }
    if (client->next == NULL) {
        replica->clients_last = client->previous;
    } else {
        client->next->previous = client->previous;
    }
    client->next = client->previous = NULL;
    replica->clients_count--;
}

/* Commands that have not begun are dropped: nobody waits for them, and they were never proposed. */
static void drop_unbegun_slots(struct replica *replica, struct replica_client *client)
{
    for (uint64_t n = client->first_slot; n < client->end_slot; n++) {
        struct slot *slot = client_slot(client, n);
        byte_buffer_deinit(&slot->reply);
        if (slot->state == SLOT_QUEUED || slot->state == SLOT_DONE) {
            free(slot->encoded);
            slot->encoded = NULL;
            slot->state = SLOT_DONE;
            count_slot(replica, client, slot, 0);
        }
    }
    client->next_slot = client->end_slot;
}

void client_drop_behind(struct replica *replica, struct replica_client *client, uint64_t number)
{
    for (uint64_t n = number + 1; n < client->end_slot; n++) {
        struct slot *slot = client_slot(client, n);
        assert(slot->state == SLOT_QUEUED || slot->state == SLOT_DONE);
        free(slot->encoded);
        slot->encoded = NULL;
        byte_buffer_deinit(&slot->reply);
        count_slot(replica, client, slot, 0);
    }
    client->end_slot = number + 1;
}

/* What it was owed is dropped, and nothing more is written: a reply after a gap would pass for another
 * command's. */
static void cut_off(struct replica *replica, struct replica_client *client)
{
    replica_log(replica, REPLICA_LOG_WARNING, "client-output-limit", "client=%llu address=%s",
                (unsigned long long)client->info.id, client->info.address);
    byte_buffer_deinit(&client->output);
    count_output(replica, client);
    client->cut_off = true;
    client->closing = true;
    client_mark_ready(replica, client);
}

/* Replies of entries cannot wait, so that they end here what other replies wait for. */
void client_limit_output(struct replica *replica, struct replica_client *client)
{
    size_t size = byte_buffer_size(&client->output);
    bool too_much = size > replica->options.client_pending_bytes_max * OUTPUT_LIMIT_FACTOR;
    bool too_much_together = size > replica->options.client_pending_bytes_max &&
                             replica->output_bytes > 2 * replica->options.pending_bytes_max;
    if (too_much || too_much_together) {
        cut_off(replica, client);
    }
}

bool client_output_is_full(const struct replica *replica, const struct replica_client *client, bool reads)
{
    uint64_t limit = replica->options.pending_bytes_max * (reads ? 1 : 2);
    return byte_buffer_size(&client->output) >= replica->options.client_pending_bytes_max ||
           replica->output_bytes >= limit;
}

/* The one with the most unsent replies among those that may be cut off; NULL: none. */
static struct replica_client *find_largest_output(const struct replica *replica, bool also_slow_ones)
{
    struct replica_client *largest = NULL;
    for (struct replica_client *client = replica->clients_first; client != NULL; client = client->next) {
        bool stuck = replica->now_ms - client->output_moved_ms >= OUTPUT_STUCK_MS_MAX;
        if ((stuck || also_slow_ones) && client->output_counted > 0 &&
            (largest == NULL || client->output_counted > largest->output_counted)) {
            largest = client;
        }
    }
    return largest;
}

void clients_shed_output(struct replica *replica)
{
    uint64_t limit = replica->options.pending_bytes_max;
    if (replica->output_bytes < limit || replica->now_ms < replica->output_check_ms) {
        if (replica->output_bytes >= limit && replica->output_full_since_ms == 0) {
            replica->output_full_since_ms = replica->now_ms;
            replica->output_check_ms = replica->now_ms + OUTPUT_STUCK_MS_MAX;
            replica->output_is_overdue = false;
        }
        return;
    }
    if (!replica->output_is_overdue) {
        /* When this node did not get to run, or its machine stood still, nobody could take anything. What
         * they can take now is written at the end of this turn and of those that follow. */
        replica->output_is_overdue = true;
        replica->output_check_ms = replica->now_ms + OUTPUT_GRACE_MS;
        return;
    }
    replica->output_is_overdue = false;
    replica->output_check_ms = replica->now_ms + OUTPUT_STUCK_MS_MAX;
    bool too_long = replica->now_ms - replica->output_full_since_ms >= OUTPUT_FULL_MS_MAX;
    while (replica->output_bytes > limit - limit / 4) {
        struct replica_client *largest = find_largest_output(replica, too_long);
        if (largest == NULL) {
            return;
        }
        cut_off(replica, largest);
    }
}

uint64_t clients_deadline_ms(const struct replica *replica)
{
    return replica->output_check_ms;
}

void client_maybe_free(struct replica *replica, struct replica_client *client)
{
    if (client->open || client->proposed_count > 0 || client->reading_count > 0 || client->parked ||
        client->ready) {
        return;
    }
    for (uint64_t n = client->first_slot; n < client->end_slot; n++) {
        struct slot *slot = client_slot(client, n);
        free(slot->encoded);
        byte_buffer_deinit(&slot->reply);
        client->pending_bytes -= slot->bytes;
        replica->pending_bytes -= slot->bytes;
    }
    assert(client->pending_bytes == 0);
    byte_buffer_deinit(&client->output);
    free(client->slots);
    free(client);
}

void replica_client_close(struct replica *replica, struct replica_client *client)
{
    assert(client->open);
    client->open = false;
    client->connection = NULL;
    unlink_open(replica, client);
    byte_buffer_deinit(&client->output);
    count_output(replica, client);
    drop_unbegun_slots(replica, client);
    /* Either list would lead to freed memory; both are short-lived, so taking it out by walking is cheap
     * enough. */
    if (client->ready) {
        struct replica_client **link = &replica->ready_first;
        struct replica_client *before = NULL;
        while (*link != client) {
            before = *link;
            link = &(*link)->ready_next;
        }
        *link = client->ready_next;
        if (replica->ready_last == client) {
            replica->ready_last = before;
        }
        client->ready = false;
    }
    if (client->parked) {
        struct replica_client **link = &replica->parked_first;
        while (*link != client) {
            link = &(*link)->parked_next;
        }
        *link = client->parked_next;
        client->parked = false;
    }
    client_maybe_free(replica, client);
}

void client_unlink_all(struct replica *replica)
{
    while (replica->clients_first != NULL) {
        replica_client_close(replica, replica->clients_first);
    }
}

/* ---- what the runtime asks ----------------------------------------------------------------------- */

struct byte_buffer *replica_client_output(struct replica_client *client)
{
    return &client->output;
}

void replica_client_sent(struct replica *replica, struct replica_client *client, size_t bytes)
{
    byte_buffer_consume(&client->output, bytes);
    count_output(replica, client);
    if (byte_buffer_size(&client->output) == 0) {
        byte_buffer_trim(&client->output, OUTPUT_KEEP_BYTES);
    }
    trim_slots(client);
    if (client->throttled && has_room(replica, client)) {
        client->throttled = false;
        client_mark_ready(replica, client);
    }
    if (client->next_slot < client->end_slot) {
        replica->redispatch = true;
    }
}

bool replica_client_is_closing(const struct replica_client *client)
{
    return client->cut_off || (client->closing && client->first_slot == client->end_slot);
}

bool replica_client_is_cut_off(const struct replica_client *client)
{
    return client->cut_off;
}

struct client_info *replica_client_info(struct replica_client *client)
{
    return &client->info;
}
