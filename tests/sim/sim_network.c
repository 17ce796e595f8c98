/* sim_network.c: see sim_network.h. */
#include "sim_network.h"

#include "bus_codec.h"
#include "sim_message_text.h"
#include "sim_stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIAL_AGAIN_US = 20000,
    DIAL_HANGS_US = 150000, /* nobody answers: a cut, or a process that is stopped */
    GIVE_UP_US = 1200000,   /* a connection on which nothing arrives any more */
    CONTACT_US = 20000,     /* between two parts of a long message */
    CONTACTS_MAX = 12,
};

struct frame {
    struct frame *next;
    struct link *link;
    uint64_t epoch;
    size_t size;
    uint8_t bytes[];
};

struct frame_list {
    struct frame *first, *last;
};

/* From one node to another: what it dials and sends on. */
struct link {
    struct sim *sim;
    uint32_t from, to;
    bool connected;
    uint64_t connected_us; /* since then */
    bool cut;
    uint64_t cut_number;
    uint64_t epoch; /* frames of an older one are lost */
    uint64_t dial_number;
    uint64_t busy_until_us; /* the bandwidth is used until then */
    uint64_t last_arrival_us;
    size_t bytes;              /* on their way or not read */
    struct frame_list stalled; /* held up by a cut */
    struct frame_list arrived; /* in the receiver's socket */
    struct bus_hello answer;   /* of the node that was dialled */
    bool is_wanted;            /* the node that dials has the other one among its peers */
    uint64_t disk_id;          /* by which it knows the other one; 0: by none */
};

struct sim_network {
    struct link links[SIM_NODES_MAX][SIM_NODES_MAX];
};

static void on_dial(void *target, uint64_t number);
static void on_frame(void *target, uint64_t number);

static struct link *get_link(const struct sim *sim, uint32_t from, uint32_t to)
{
    return &sim->network->links[from][to];
}

static struct link *back(const struct link *link)
{
    return get_link(link->sim, link->to, link->from);
}

/* ---- frames -------------------------------------------------------------------------------------- */

static void append(struct frame_list *list, struct frame *frame)
{
    frame->next = NULL;
    if (list->last == NULL) {
        list->first = frame;
    } else {
        list->last->next = frame;
    }
    list->last = frame;
}

static struct frame *take(struct frame_list *list)
{
    struct frame *frame = list->first;
    if (frame != NULL) {
        list->first = frame->next;
        list->last = list->first == NULL ? NULL : list->last;
    }
    return frame;
}

static void drop(struct frame *frame)
{
    frame->link->bytes -= frame->size;
    free(frame);
}

static void drop_all(struct frame_list *list)
{
    for (struct frame *frame = take(list); frame != NULL; frame = take(list)) {
        drop(frame);
    }
}

static void on_contact(void *target, uint64_t epoch)
{
    struct link *link = target;
    struct sim_node *to = link->sim->nodes[link->to];
    if (link->epoch == epoch && !link->cut && sim_node_listens(to)) {
        sim_node_set_time(to);
        to->heard_ms[link->from] = sim_node_clock_ms(to);
        replica_on_peer_contact(to->replica, link->from + 1);
    }
}

/* When the last byte is out of the sender's machine. Parts of a long message are noticed on the way. */
static uint64_t transmit(struct link *link, size_t size)
{
    struct sim *sim = link->sim;
    uint64_t bandwidth = sim->knobs.bandwidth_bytes_per_ms;
    if (bandwidth == 0) {
        return sim->now_us;
    }
    uint64_t begin_us = link->busy_until_us > sim->now_us ? link->busy_until_us : sim->now_us;
    link->busy_until_us = begin_us + size * 1000 / bandwidth;
    for (uint32_t i = 1; i <= CONTACTS_MAX && begin_us + i * CONTACT_US < link->busy_until_us; i++) {
        sim_after(sim, begin_us + i * CONTACT_US - sim->now_us, on_contact, link, link->epoch);
    }
    return link->busy_until_us;
}

static void put_on_its_way(struct frame *frame, uint64_t from_us)
{
    struct link *link = frame->link;
    struct sim *sim = link->sim;
    bool is_slow = sim_is_slow(sim, SIM_NODES_MAX * (1 + (uint64_t)link->from) + link->to);
    uint64_t mean_us = sim->knobs.delay_us * (is_slow ? sim->knobs.slow_way_times : 1);
    uint64_t arrive_us = from_us + sim_random_between(&sim->random, mean_us / 2,
                                                      mean_us / 2 * sim->knobs.delay_spread + mean_us);
    if (sim->knobs.unordered == 0 && arrive_us < link->last_arrival_us) {
        arrive_us = link->last_arrival_us;
    }
    link->last_arrival_us = arrive_us;
    sim_after(sim, arrive_us - sim->now_us, on_frame, frame, 0);
}

static void on_frame(void *target, uint64_t number)
{
    struct frame *frame = target;
    struct link *link = frame->link;
    struct sim_node *to = link->sim->nodes[link->to];
    (void)number;
    if (frame->epoch != link->epoch || to->state == SIM_NODE_DOWN) {
        drop(frame);
    } else if (link->cut) {
        append(&link->stalled, frame);
    } else {
        append(&link->arrived, frame);
        sim_node_wake(to);
    }
}

void sim_network_send(struct sim_node *from, uint64_t to, const struct bus_message *message)
{
    struct sim *sim = from->sim;
    struct link *link = get_link(sim, from->number, (uint32_t)to - 1);
    if (!link->connected) {
        return;
    }
    bool is_raft = message->type == BUS_MESSAGE_RAFT;
    sim->counts.messages++;
    sim_note(sim, 4, from->id << 8 | to);
    if (is_raft && sim_trace_is_on(sim, SIM_TRACE_STORY)) {
        sim_message_trace(from, &message->raft);
    }
    if (is_raft && (link->bytes > sim->knobs.socket_bytes ||
                    sim_random_chance(&sim->random, sim->knobs.loss_per_mille))) {
        return;
    }
    struct byte_buffer bytes = {0};
    bus_codec_encode(&bytes, message);
    size_t size = byte_buffer_size(&bytes);
    bool twice = is_raft && sim_random_chance(&sim->random, sim->knobs.duplicates_per_mille);
    for (int copy = 0; copy < (twice ? 2 : 1); copy++) {
        struct frame *frame = sim_allocate(sizeof *frame + size);
        frame->link = link;
        frame->epoch = link->epoch;
        frame->size = size;
        memcpy(frame->bytes, byte_buffer_front(&bytes), size);
        link->bytes += size;
        put_on_its_way(frame, transmit(link, size));
    }
    byte_buffer_deinit(&bytes);
}

bool sim_network_has_input(const struct sim_node *node, uint32_t from)
{
    return get_link(node->sim, from, node->number)->arrived.first != NULL;
}

/* All that has arrived, or some of it. */
void sim_network_deliver(struct sim_node *node, uint32_t from)
{
    struct sim *sim = node->sim;
    struct link *link = get_link(sim, from, node->number);
    do {
        struct frame *frame = take(&link->arrived);
        struct bus_message message;
        size_t consumed = 0;
        size_t wanted = 0;
        if (bus_codec_decode(frame->bytes, frame->size, BUS_FRAME_BYTES_MAX, &message, &consumed, &wanted) !=
                BUS_CODEC_MESSAGE ||
            consumed != frame->size) {
            sim_fail(sim, SIM_CORRECTNESS, "a message of node %u cannot be decoded", from + 1);
        }
        node->heard_ms[from] = sim_node_clock_ms(node);
        replica_on_message(node->replica, from + 1, &message);
        bus_message_deinit(&message);
        drop(frame);
    } while (link->arrived.first != NULL &&
             !sim_random_chance(&sim->random, sim->knobs.partial_turns_per_mille));
}

/* ---- dialling ------------------------------------------------------------------------------------ */

static void dial_in(struct link *link, uint64_t in_us)
{
    sim_after(link->sim, in_us, on_dial, link, ++link->dial_number);
}

/* One side says hello; what the other side makes of it. */
static bool say_hello(struct sim_node *from, struct sim_node *to, struct bus_hello *hello, bool dials)
{
    struct bus_message refused;
    replica_fill_hello(from->replica, to->id, hello);
    if (replica_check_hello(to->replica, hello, &refused)) {
        return true;
    }
    if (from->sim->knobs.snapshots != 0) {
        sim_trace(from->sim, from, SIM_TRACE_MESSAGES, "is refused by node %" PRIu64 ": %s", to->id,
                  refused.refused.reason);
    }
    if (dials) { /* an answer that is refused ends the connection, no more (bus_guest.c) */
        replica_on_refused(from->replica, to->id, refused.refused.code, refused.refused.reason);
    }
    sim_node_wake(from);
    return false;
}

static bool has_peer(const struct sim_node *node, uint64_t id)
{
    struct replica_member peers[REPLICA_PEERS_MAX];
    uint32_t count = replica_peers(node->replica, peers);
    for (uint32_t i = 0; i < count; i++) {
        if (peers[i].node_id == id) {
            return true;
        }
    }
    return false;
}

static void connect_now(struct link *link)
{
    struct sim *sim = link->sim;
    struct sim_node *from = sim->nodes[link->from];
    struct sim_node *to = sim->nodes[link->to];
    struct bus_hello hello;
    sim_node_set_time(from);
    sim_node_set_time(to);
    if (!say_hello(from, to, &hello, true) || !say_hello(to, from, &link->answer, false)) {
        dial_in(link, DIAL_HANGS_US);
        return;
    }
    replica_on_peer_hello(to->replica, from->id, &hello);
    if (!has_peer(to, from->id)) { /* it has no room for another one */
        dial_in(link, DIAL_HANGS_US);
        return;
    }
    link->connected = true;
    link->connected_us = sim->now_us;
    link->epoch++;
    link->last_arrival_us = sim->now_us;
    link->busy_until_us = sim->now_us;
    sim_trace(sim, from, SIM_TRACE_MESSAGES, "is connected to node %u", link->to + 1);
    replica_on_peer_connected(from->replica, to->id, &link->answer);
    sim_node_wake(from);
    sim_node_wake(to);
    if (!back(link)->connected) {
        dial_in(back(link), sim_around(sim, sim->knobs.delay_us));
    }
}

static void on_dial(void *target, uint64_t number)
{
    struct link *link = target;
    struct sim *sim = link->sim;
    struct sim_node *from = sim->nodes[link->from];
    struct sim_node *to = sim->nodes[link->to];
    if (number != link->dial_number || link->connected || from->state == SIM_NODE_DOWN ||
        (sim->knobs.snapshots != 0 && !link->is_wanted)) {
        return;
    }
    bool open = !link->cut && !back(link)->cut;
    if (!sim_node_listens(from) || !open || (to->state != SIM_NODE_DOWN && !sim_node_listens(to))) {
        dial_in(link, DIAL_HANGS_US);
        return;
    }
    if (to->state == SIM_NODE_DOWN) { /* refused */
        sim_node_set_time(from);
        replica_on_peer_unreachable(from->replica, to->id);
        sim_node_wake(from);
        dial_in(link, sim_around(sim, DIAL_AGAIN_US * 4));
        return;
    }
    connect_now(link);
}

/* ---- ends of connections ------------------------------------------------------------------------- */

/* The node that dialled (or, as `number` says, was dialled) sees that the connection is gone. */
static void on_notice(void *target, uint64_t number)
{
    struct link *link = target;
    struct sim *sim = link->sim;
    bool dialled = (number & 1) != 0;
    struct sim_node *node = sim->nodes[dialled ? link->from : link->to];
    struct sim_node *other = sim->nodes[dialled ? link->to : link->from];
    if (node->incarnation != number >> 1 || node->state == SIM_NODE_DOWN) {
        return;
    }
    if (link->connected && sim->now_us - link->connected_us > GIVE_UP_US / 2) {
        return; /* who connects anew parts from what stood before (bus_guest.c): seed 1795688921505 */
    }
    if (!sim_node_listens(node)) {
        sim_after(sim, DIAL_AGAIN_US, on_notice, link, number);
        return;
    }
    sim_node_set_time(node);
    sim_trace(sim, node, SIM_TRACE_MESSAGES, "sees that a connection with node %" PRIu64 " is gone",
              other->id);
    replica_on_peer_unreachable(node->replica, other->id);
    const struct link *own = get_link(sim, node->number, other->number);
    if (own->connected) { /* only the other one of the two is gone (see bus_guest.c) */
        replica_on_peer_connected(node->replica, other->id, &own->answer);
    }
    sim_node_wake(node);
    if (dialled && !link->connected) {
        dial_in(link, sim_around(sim, DIAL_AGAIN_US));
    }
}

static void notice(struct link *link, bool dialled)
{
    struct sim *sim = link->sim;
    const struct sim_node *node = sim->nodes[dialled ? link->from : link->to];
    bool cut = dialled ? back(link)->cut : link->cut;
    uint64_t in_us = cut ? GIVE_UP_US : sim_around(sim, sim->knobs.delay_us);
    sim_after(sim, in_us, on_notice, link, node->incarnation << 1 | (dialled ? 1 : 0));
}

/* What was read from the wire may still be read from the socket, or not. */
static void end_connection(struct link *link)
{
    struct sim *sim = link->sim;
    if (!link->connected) {
        return;
    }
    link->connected = false;
    drop_all(&link->stalled);
    if (sim_random_chance(&sim->random, 500)) {
        link->epoch++; /* else what is on its way still arrives */
        drop_all(&link->arrived);
    }
    notice(link, true);
    notice(link, false);
}

void sim_network_break(struct sim *sim, uint32_t from, uint32_t to)
{
    sim_trace(sim, NULL, SIM_TRACE_MESSAGES, "the connection from node %u to node %u breaks", from + 1,
              to + 1);
    end_connection(get_link(sim, from, to));
    if (sim->knobs.snapshots != 0 && sim_random_chance(&sim->random, 500)) {
        sim_stream_break(sim, from, to);
    }
}

void sim_network_node_ended(struct sim_node *node)
{
    for (uint32_t i = 0; i < node->sim->nodes_count; i++) {
        if (i == node->number) {
            continue;
        }
        struct link *out = get_link(node->sim, node->number, i);
        struct link *in = get_link(node->sim, i, node->number);
        end_connection(out);
        end_connection(in);
        in->epoch++;
        drop_all(&in->arrived);
        drop_all(&in->stalled);
    }
}

void sim_network_node_wiped(struct sim_node *node)
{
    for (uint32_t i = 0; i < node->sim->nodes_count; i++) {
        get_link(node->sim, node->number, i)->epoch++;
        drop_all(&get_link(node->sim, node->number, i)->stalled);
    }
}

/* What has arrived and is not read is not read any more. */
static void part(struct link *link)
{
    end_connection(link);
    link->epoch++;
    drop_all(&link->arrived);
}

static void follow_peer(struct sim_node *node, uint32_t other, const struct replica_member *peer)
{
    struct link *out = get_link(node->sim, node->number, other);
    bool was_wanted = out->is_wanted;
    bool is_another =
        peer != NULL && peer->disk_id != 0 && out->disk_id != 0 && peer->disk_id != out->disk_id;
    out->is_wanted = peer != NULL && peer->bus_port != 0;
    if (peer == NULL || is_another) {
        end_connection(out); /* what was said still leaves */
        part(get_link(node->sim, other, node->number));
        out->disk_id = 0;
    }
    if (peer != NULL) {
        out->disk_id = peer->disk_id;
    }
    if (out->is_wanted && !was_wanted && !out->connected) {
        dial_in(out, sim_around(node->sim, 1000));
    }
}

void sim_network_follow_peers(struct sim_node *node)
{
    struct replica_member peers[REPLICA_PEERS_MAX];
    uint64_t generation = replica_peers_generation(node->replica);
    if (generation == node->peers_generation) {
        return;
    }
    node->peers_generation = generation;
    uint32_t count = replica_peers(node->replica, peers);
    for (uint32_t i = 0; i < node->sim->nodes_count; i++) {
        const struct replica_member *peer = NULL;
        for (uint32_t k = 0; k < count; k++) {
            peer = peers[k].node_id == i + 1 ? &peers[k] : peer;
        }
        if (i != node->number) {
            follow_peer(node, i, peer);
        }
    }
}

void sim_network_node_started(struct sim_node *node)
{
    if (node->sim->knobs.snapshots != 0) {
        node->peers_generation = UINT64_MAX;
        for (uint32_t i = 0; i < node->sim->nodes_count; i++) {
            get_link(node->sim, node->number, i)->is_wanted = false;
        }
        sim_network_follow_peers(node);
        return;
    }
    for (uint32_t i = 0; i < node->sim->nodes_count; i++) {
        if (i != node->number) {
            dial_in(get_link(node->sim, node->number, i), sim_around(node->sim, 1000));
        }
    }
}

/* ---- cuts ---------------------------------------------------------------------------------------- */

static void on_give_up(void *target, uint64_t number)
{
    struct link *link = target;
    if (link->cut && link->cut_number == number) {
        end_connection(link);
        end_connection(back(link)); /* its acknowledgements do not arrive */
    }
}

void sim_network_cut(struct sim *sim, uint32_t from, uint32_t to, bool cut)
{
    struct link *link = get_link(sim, from, to);
    if (link->cut == cut) {
        return;
    }
    link->cut = cut;
    link->cut_number++;
    if (cut) {
        sim_after(sim, sim_around(sim, GIVE_UP_US), on_give_up, link, link->cut_number);
        return;
    }
    /* Before anything that is still on its way. */
    for (struct frame *frame = take(&link->stalled); frame != NULL; frame = take(&link->stalled)) {
        on_frame(frame, 0);
    }
}

bool sim_network_is_cut(const struct sim *sim, uint32_t from, uint32_t to)
{
    return get_link(sim, from, to)->cut;
}

void sim_network_heal(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        for (uint32_t j = 0; j < sim->nodes_count; j++) {
            sim_network_cut(sim, i, j, false);
        }
    }
}

/* ---- creation ------------------------------------------------------------------------------------ */

void sim_network_create(struct sim *sim)
{
    sim->network = sim_allocate(sizeof *sim->network);
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        for (uint32_t j = 0; j < SIM_NODES_MAX; j++) {
            struct link *link = get_link(sim, i, j);
            link->sim = sim;
            link->from = i;
            link->to = j;
        }
    }
}

void sim_network_forget(const struct sim_event *event)
{
    if (event->fire == on_frame) {
        free(event->target);
    }
}

void sim_network_destroy(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        for (uint32_t j = 0; j < SIM_NODES_MAX; j++) {
            drop_all(&get_link(sim, i, j)->arrived);
            drop_all(&get_link(sim, i, j)->stalled);
        }
    }
    free(sim->network);
}
