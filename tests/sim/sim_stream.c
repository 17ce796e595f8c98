/* sim_stream.c: see sim_stream.h. */
#include "sim_stream.h"

#include "bus_codec.h"
#include "map_loader.h"
#include "map_snapshot.h"
#include "sim_network.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WAIT_US = 20000,        /* between two looks at what holds a stream up */
    GIVE_UP_US = 1500000,   /* nothing moves for so long */
    SORT_BYTES = 64 * 1024, /* of the loader */
    CHUNK_PARTS = 4,        /* chunks follow one another faster than messages answer each other */
    ALTERED = 333, /* per mille of damaged chunks; of the others half are missing and half repeated */
};

enum phase { OPENS, DIALS, SENDS, FINISHES, OVER };

struct sim_stream {
    struct sim_stream *next; /* all that ever were: they live as long as the run */
    struct sim *sim;
    struct sim_node *from, *to; /* `to`: NULL until it is dialled */
    uint64_t from_incarnation, to_incarnation;
    struct snapshot_order *order;
    enum phase phase;
    uint64_t step_number;
    uint64_t moved_us; /* when it last got on */
    struct map_snapshot *snapshot;
    struct map_loader *loader;
    char path[160]; /* of what is loaded */
    struct raft_entry_id upto;
    struct map_meta *meta; /* of what was loaded */
    uint32_t chunks;
    bool is_damaged; /* a chunk was: the loader refuses it, or the next one */
    /* what is not told yet */
    bool sender_waits, receiver_waits;
    bool sent, loaded;
    const char *reason;
};

static uint8_t chunk[MAP_CHUNK_BYTES_MAX];

static void on_step(void *target, uint64_t number);

static void step_in(struct sim_stream *stream, uint64_t in_us)
{
    sim_after(stream->sim, in_us, on_step, stream, ++stream->step_number);
}

/* ---- telling ------------------------------------------------------------------------------------- */

/* False: it is another process, or none. It is asked again when it cannot be told now. */
static bool may_tell(struct sim_node *node, uint64_t incarnation, sim_event_function *again,
                     struct sim_stream *stream)
{
    if (node->incarnation != incarnation || node->state == SIM_NODE_DOWN) {
        return false;
    }
    if (!sim_node_listens(node)) {
        sim_after(node->sim, WAIT_US, again, stream, 0);
        return false;
    }
    sim_node_set_time(node);
    sim_node_wake(node);
    return true;
}

static void on_tell_opened(void *target, uint64_t number)
{
    struct sim_stream *stream = target;
    (void)number;
    if (stream->sender_waits && may_tell(stream->from, stream->from_incarnation, on_tell_opened, stream)) {
        replica_on_snapshot_opened(stream->from->replica, stream->order->peer, stream->upto);
    }
}

static void on_tell_sender(void *target, uint64_t number)
{
    struct sim_stream *stream = target;
    (void)number;
    if (stream->sender_waits && may_tell(stream->from, stream->from_incarnation, on_tell_sender, stream)) {
        stream->sender_waits = false;
        replica_on_snapshot_sent(stream->from->replica, stream->order->peer, stream->upto, stream->sent,
                                 stream->reason);
    }
}

static void on_tell_receiver(void *target, uint64_t number)
{
    struct sim_stream *stream = target;
    (void)number;
    if (!stream->receiver_waits || !may_tell(stream->to, stream->to_incarnation, on_tell_receiver, stream)) {
        return;
    }
    stream->receiver_waits = false;
    if (stream->loaded) {
        replica_on_snapshot_loaded(stream->to->replica, stream->meta);
    } else {
        replica_on_snapshot_failed(stream->to->replica, stream->reason);
    }
}

/* ---- ends ---------------------------------------------------------------------------------------- */

/* Both sides come to know of it; the folder of what is not all there is removed. */
static void end(struct sim_stream *stream, const char *reason)
{
    struct sim *sim = stream->sim;
    if (stream->phase == OVER) {
        return;
    }
    stream->phase = OVER;
    stream->reason = reason;
    map_snapshot_close(stream->snapshot);
    stream->snapshot = NULL;
    map_loader_destroy(stream->loader);
    stream->loader = NULL;
    if (stream->sender_waits) {
        sim_after(sim, sim_around(sim, sim->knobs.delay_us), on_tell_sender, stream, 0);
    }
    if (stream->receiver_waits) {
        sim_after(sim, sim_around(sim, sim->knobs.report_us), on_tell_receiver, stream, 0);
    }
}

/* A crash removes nothing. */
static void abandon_loader(struct sim_stream *stream)
{
    char aside[sizeof stream->path + 8];
    (void)snprintf(aside, sizeof aside, "%s.aside", stream->path);
    bool moved = rename(stream->path, aside) == 0;
    map_loader_destroy(stream->loader);
    stream->loader = NULL;
    if (!moved || rename(aside, stream->path) != 0) {
        sim_fail(stream->sim, SIM_CRASH, "%s cannot be renamed", stream->path);
    }
}

void sim_stream_node_ended(struct sim_node *node)
{
    for (struct sim_stream *stream = node->sim->streams; stream != NULL; stream = stream->next) {
        bool sends = stream->from == node && stream->sender_waits;
        bool receives = stream->to == node && stream->receiver_waits;
        if (sends) {
            stream->sender_waits = false;
            map_snapshot_close(stream->snapshot);
            stream->snapshot = NULL;
            replica_on_snapshot_sent(node->replica, stream->order->peer, stream->upto, false, "it ends");
        }
        if (receives) {
            stream->receiver_waits = false;
            if (stream->loader != NULL) {
                abandon_loader(stream);
            }
        }
        if (sends || receives) {
            end(stream, "the process at the other end is gone");
        }
    }
}

bool sim_stream_reads(const struct sim_node *node, const struct map *map)
{
    const struct sim_stream *stream = node->sim->streams;
    while (stream != NULL &&
           (stream->from != node || stream->snapshot == NULL || stream->order->map != map)) {
        stream = stream->next;
    }
    return stream != NULL;
}

void sim_stream_break_all(struct sim *sim)
{
    for (struct sim_stream *stream = sim->streams; stream != NULL; stream = stream->next) {
        if (stream->phase == SENDS || stream->phase == FINISHES) {
            end(stream, "the connection broke");
        }
    }
}

void sim_stream_break(struct sim *sim, uint32_t a, uint32_t b)
{
    for (struct sim_stream *stream = sim->streams; stream != NULL; stream = stream->next) {
        if (stream->to != NULL && stream->from->number == a && stream->to->number == b &&
            stream->phase == SENDS) {
            end(stream, "the connection broke");
        }
    }
}

/* ---- steps --------------------------------------------------------------------------------------- */

static void fail_by(struct sim_stream *stream, const char *what, const struct storage_error *error)
{
    sim_fail(stream->sim, SIM_CORRECTNESS, "node %" PRIu64 " cannot %s: %s",
             stream->to == NULL ? stream->from->id : stream->to->id, what, error->text);
}

static void open_snapshot(struct sim_stream *stream)
{
    struct sim *sim = stream->sim;
    struct storage_error error = {{0}};
    if (map_snapshot_open(stream->order->map, &stream->snapshot, &error) != STORAGE_OK) {
        fail_by(stream, "open a snapshot", &error);
    }
    const struct map_meta *meta = map_snapshot_get_meta(stream->snapshot);
    stream->upto = (struct raft_entry_id){.term = meta->applied_term, .index = meta->applied_index};
    sim_after(sim, sim_around(sim, sim->knobs.report_us), on_tell_opened, stream, 0);
    stream->phase = DIALS;
    step_in(stream, sim_around(sim, sim->knobs.delay_us * 3));
}

/* The other one is who it should be. */
static bool check_hello(const struct sim_stream *stream, const struct bus_hello *hello)
{
    const struct snapshot_order *order = stream->order;
    return hello->from == order->peer && hello->cluster_id[0] == order->hello.cluster_id[0] &&
           hello->cluster_id[1] == order->hello.cluster_id[1] &&
           (order->address.disk_id == 0 || hello->disk_id == order->address.disk_id);
}

/* By the frame that travels. */
static bool announce(struct sim_stream *stream, uint64_t *generation, const char **reason)
{
    const struct snapshot_order *order = stream->order;
    struct bus_message begin = {.type = BUS_MESSAGE_SNAPSHOT_BEGIN}, arrived;
    struct byte_buffer bytes = {0};
    size_t consumed = 0, wanted = 0;
    begin.snapshot_begin.upto = stream->upto;
    begin.snapshot_begin.keys_count = map_snapshot_get_meta(stream->snapshot)->key_count;
    if (order->first_membership_size > 0) {
        begin.snapshot_begin.membership = raft_payload_create(order->first_membership_size);
        memcpy(begin.snapshot_begin.membership->bytes, order->first_membership, order->first_membership_size);
        begin.snapshot_begin.membership->size = order->first_membership_size;
    }
    bus_codec_encode(&bytes, &begin);
    bus_message_deinit(&begin);
    if (bus_codec_decode(byte_buffer_front(&bytes), byte_buffer_size(&bytes), BUS_FRAME_BYTES_MAX, &arrived,
                         &consumed, &wanted) != BUS_CODEC_MESSAGE) {
        sim_fail(stream->sim, SIM_CORRECTNESS, "the announcement of a snapshot cannot be decoded");
    }
    byte_buffer_deinit(&bytes);
    bool accepted = replica_accept_snapshot(stream->to->replica, stream->from->id, &arrived.snapshot_begin,
                                            generation, reason);
    bus_message_deinit(&arrived);
    return accepted;
}

/* NULL: it is taken. */
static const char *introduce(struct sim_stream *stream)
{
    struct sim_node *to = stream->to;
    struct sim *sim = stream->sim;
    struct bus_message refused;
    struct bus_hello answer;
    struct storage_error error = {{0}};
    uint64_t generation = 0;
    const char *reason = NULL;
    sim_node_set_time(to);
    sim_node_wake(to);
    if (!replica_check_hello(to->replica, &stream->order->hello, &refused)) {
        return "refused";
    }
    replica_fill_hello(to->replica, stream->from->id, &answer);
    if (!check_hello(stream, &answer)) {
        return "another node is there";
    }
    if (!announce(stream, &generation, &reason)) {
        return reason;
    }
    stream->receiver_waits = true;
    sim_node_clean(to);
    (void)snprintf(stream->path, sizeof stream->path, "%s/map-%" PRIu64, to->directory, generation);
    struct map_loader_options options = {
        .directory = stream->path, .map_bytes = sim->knobs.map_kib << 10, .sort_bytes = SORT_BYTES};
    if (map_loader_create(&options, &stream->loader, &error) != STORAGE_OK) {
        fail_by(stream, "begin to load a snapshot", &error);
    }
    return NULL;
}

static void dial(struct sim_stream *stream)
{
    struct sim *sim = stream->sim;
    struct sim_node *to = sim_node_at(sim, &stream->order->address);
    if (to == NULL || to->state == SIM_NODE_DOWN) {
        end(stream, "nobody is at its address");
        return;
    }
    stream->to = to;
    stream->to_incarnation = to->incarnation;
    const char *reason = introduce(stream);
    if (reason != NULL) {
        end(stream, reason);
        return;
    }
    stream->phase = SENDS;
    step_in(stream, sim_around(sim, sim->knobs.delay_us));
}

static uint64_t chunk_us(const struct sim_stream *stream, size_t size)
{
    const struct sim_knobs *knobs = &stream->sim->knobs;
    uint64_t bandwidth = knobs->bandwidth_bytes_per_ms;
    return knobs->delay_us / CHUNK_PARTS + 1 + (bandwidth == 0 ? 0 : size * 1000 / bandwidth);
}

/* False: the loader has refused it. */
static bool load_chunk(struct sim_stream *stream, size_t size)
{
    struct storage_error error = {{0}};
    enum storage_status status = map_loader_add(stream->loader, chunk, size, &error);
    if (status == STORAGE_FULL) {
        end(stream, "there is no room for it");
        return false;
    }
    if (status != STORAGE_OK && !stream->is_damaged) {
        fail_by(stream, "load a chunk", &error);
    }
    if (status != STORAGE_OK) {
        end(stream, "it arrived damaged");
        return false;
    }
    const struct map_meta *meta = map_loader_get_meta(stream->loader);
    if (meta->applied_index != stream->upto.index || meta->applied_term != stream->upto.term) {
        sim_fail(stream->sim, SIM_CORRECTNESS,
                 "a snapshot up to %" PRIu64 " was announced as one up to %" PRIu64, meta->applied_index,
                 stream->upto.index);
    }
    return true;
}

/* One is left out, repeated, or not what was sent. */
static bool load_damaged(struct sim_stream *stream, size_t size)
{
    struct sim_random *random = &stream->sim->random;
    if (sim_random_chance(random, ALTERED)) {
        stream->is_damaged = true;
        chunk[sim_random_below(random, size)] ^= (uint8_t)(1U << sim_random_below(random, 8));
        return load_chunk(stream, size);
    }
    if (sim_random_chance(random, 500)) {
        stream->is_damaged = true;
        return true;
    }
    if (!load_chunk(stream, size) || map_loader_is_complete(stream->loader)) {
        return stream->phase != OVER;
    }
    stream->is_damaged = true;
    return load_chunk(stream, size);
}

static void end_of_chunks(struct sim_stream *stream)
{
    struct sim *sim = stream->sim;
    map_snapshot_close(stream->snapshot);
    stream->snapshot = NULL;
    if (!map_loader_is_complete(stream->loader)) {
        end(stream, "the stream ended too early");
        return;
    }
    if (stream->is_damaged) {
        sim_fail(sim, SIM_CORRECTNESS, "node %" PRIu64 " takes a snapshot that arrived damaged for whole",
                 stream->to->id);
    }
    stream->phase = FINISHES;
    step_in(stream, sim_disk_us(stream->to));
}

static void send_chunk(struct sim_stream *stream)
{
    struct sim *sim = stream->sim;
    struct storage_error error = {{0}};
    size_t size = 0;
    size_t capacity = stream->chunks == 0 ? sizeof chunk : sim->knobs.chunk_bytes;
    if (map_snapshot_read(stream->snapshot, chunk, capacity, &size, &error) != STORAGE_OK) {
        fail_by(stream, "read a snapshot", &error);
    }
    if (size == 0) {
        end_of_chunks(stream);
        return;
    }
    bool damaged = stream->chunks > 0 && sim_random_chance(&sim->random, sim->knobs.chunk_damage_per_mille);
    stream->chunks++;
    if (damaged ? load_damaged(stream, size) : load_chunk(stream, size)) {
        step_in(stream, chunk_us(stream, size));
    }
}

static void finish(struct sim_stream *stream)
{
    struct sim *sim = stream->sim;
    struct storage_error error = {{0}};
    bool finished = false;
    enum storage_status status = map_loader_finish(stream->loader, &finished, &error);
    if (status == STORAGE_FULL) {
        end(stream, "there is no room for it");
        return;
    }
    if (status != STORAGE_OK) {
        fail_by(stream, "finish a snapshot", &error);
    }
    if (!finished) {
        step_in(stream, sim_disk_us(stream->to));
        return;
    }
    sim->counts.snapshots++;
    stream->meta = sim_allocate(sizeof *stream->meta);
    *stream->meta = *map_loader_get_meta(stream->loader);
    stream->loaded = true;
    stream->sent = stream->sender_waits && !sim_network_is_cut(sim, stream->to->number, stream->from->number);
    end(stream, stream->sent ? "" : "the connection broke");
}

/* ---- getting on ---------------------------------------------------------------------------------- */

/* What the next step needs is not there at the moment. */
static bool is_held_up(const struct sim_stream *stream)
{
    const struct sim *sim = stream->sim;
    const struct sim_node *to =
        stream->to != NULL ? stream->to : sim_node_at(stream->sim, &stream->order->address);
    bool needs_sender = stream->phase != FINISHES;
    bool needs_receiver = stream->phase != OPENS && to != NULL && to->state != SIM_NODE_DOWN;
    if (needs_sender && !sim_node_listens(stream->from)) {
        return true;
    }
    if (needs_receiver && (!sim_node_listens(to) || to->disk.hangs_until_us > sim->now_us)) {
        return true;
    }
    return needs_sender && needs_receiver &&
           (sim_network_is_cut(sim, stream->from->number, to->number) ||
            sim_network_is_cut(sim, to->number, stream->from->number));
}

static void on_step(void *target, uint64_t number)
{
    struct sim_stream *stream = target;
    struct sim *sim = stream->sim;
    if (stream->phase == OVER || number != stream->step_number) {
        return;
    }
    if (is_held_up(stream)) {
        if (sim->now_us - stream->moved_us > GIVE_UP_US) {
            end(stream, "nothing moves any more");
        } else {
            step_in(stream, WAIT_US);
        }
        return;
    }
    stream->moved_us = sim->now_us;
    sim_note(sim, 40, stream->from->id << 8 | stream->order->peer);
    if (stream->receiver_waits && !replica_wants_snapshot_still(stream->to->replica)) {
        end(stream, "it is not wanted any more");
        return;
    }
    if (stream->loader != NULL && stream->to->disk.full) {
        end(stream, "there is no room for it");
        return;
    }
    switch (stream->phase) {
    case OPENS:
        open_snapshot(stream);
        break;
    case DIALS:
        dial(stream);
        break;
    case SENDS:
        send_chunk(stream);
        break;
    case FINISHES:
        finish(stream);
        break;
    case OVER:
        break;
    }
}

void sim_stream_send(struct sim_node *from, const struct snapshot_order *order)
{
    struct sim *sim = from->sim;
    struct sim_stream *stream = sim_allocate(sizeof *stream);
    stream->sim = sim;
    stream->from = from;
    stream->from_incarnation = from->incarnation;
    stream->order = sim_allocate(sizeof *stream->order);
    *stream->order = *order;
    stream->moved_us = sim->now_us;
    stream->sender_waits = true;
    stream->reason = "";
    stream->next = sim->streams;
    sim->streams = stream;
    step_in(stream, sim_disk_us(from));
}

void sim_stream_destroy_all(struct sim *sim)
{
    while (sim->streams != NULL) {
        struct sim_stream *stream = sim->streams;
        sim->streams = stream->next;
        map_snapshot_close(stream->snapshot);
        map_loader_destroy(stream->loader);
        free(stream->order);
        free(stream->meta);
        free(stream);
    }
}
