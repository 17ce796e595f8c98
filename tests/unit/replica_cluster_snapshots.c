/* replica_cluster_snapshots.c: snapshots on their way between the nodes of replica_cluster: chunk by chunk in
 * virtual time, by the real storage at both ends. */
#include "replica_cluster_internal.h"

#include "bus_codec.h"
#include "map_loader.h"
#include "map_snapshot.h"
#include "temp_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHUNK_BYTES = MAP_CHUNK_BYTES_MAX };

char *cluster_map_path(const struct cluster_node *node, uint64_t generation)
{
    char name[40];
    (void)snprintf(name, sizeof name, "map-%llu", (unsigned long long)generation);
    return temp_directory_join(node->directory, name);
}

void cluster_send_snapshot(void *context, const struct snapshot_order *order)
{
    struct cluster_node *node = context;
    struct cluster *cluster = node->cluster;
    struct cluster_stream *stream = calloc(1, sizeof *stream);
    unsigned id = 0;
    assert_non_null(stream);
    assert_int_equal(sscanf(order->address.bus_host, "node%u", &id), 1);
    stream->from = node;
    stream->to = cluster_node(cluster, id);
    stream->order = *order;
    stream->due_ms = cluster->now_ms + 1;
    stream->next = cluster->streams;
    cluster->streams = stream;
    cluster->streams_total++;
}

static void set_time(struct cluster_node *node)
{
    replica_set_time(node->replica, node->cluster->now_ms, cluster_node_wall_ms(node));
    node->has_input = true;
}

static void end_stream(struct cluster_stream *stream, bool ok, const char *reason)
{
    bool was_loading = stream->loader != NULL;
    stream->is_over = true;
    map_snapshot_close(stream->snapshot);
    stream->snapshot = NULL;
    map_loader_destroy(stream->loader);
    stream->loader = NULL;
    if (stream->to->running && was_loading) {
        set_time(stream->to);
        if (ok) {
            replica_on_snapshot_loaded(stream->to->replica, &stream->meta);
        } else {
            replica_on_snapshot_failed(stream->to->replica, reason);
        }
    }
    if (stream->from->running) {
        set_time(stream->from);
        replica_on_snapshot_sent(stream->from->replica, stream->order.peer, stream->upto, ok, reason);
    }
}

static void begin_stream(struct cluster_stream *stream)
{
    struct storage_error error;
    assert_int_equal(map_snapshot_open(stream->order.map, &stream->snapshot, &error), STORAGE_OK);
    const struct map_meta *meta = map_snapshot_get_meta(stream->snapshot);
    stream->upto = (struct raft_entry_id){.term = meta->applied_term, .index = meta->applied_index};
    set_time(stream->from);
    replica_on_snapshot_opened(stream->from->replica, stream->order.peer, stream->upto);
}

/* Its hello and the announcement. NULL: accepted. */
static const char *introduce(struct cluster_stream *stream)
{
    struct cluster_node *to = stream->to;
    struct bus_message refused, begin = {.type = BUS_MESSAGE_SNAPSHOT_BEGIN};
    struct byte_buffer bytes = {0};
    struct storage_error error;
    uint64_t generation = 0;
    const char *reason = NULL;
    set_time(to);
    if (!replica_check_hello(to->replica, &stream->order.hello, &refused)) {
        return "refused";
    }
    begin.snapshot_begin.upto = stream->upto;
    if (stream->order.first_membership_size > 0) {
        begin.snapshot_begin.membership = raft_payload_create(stream->order.first_membership_size);
        memcpy(begin.snapshot_begin.membership->bytes, stream->order.first_membership,
               stream->order.first_membership_size);
        begin.snapshot_begin.membership->size = stream->order.first_membership_size;
    }
    bus_codec_encode(&bytes, &begin);
    bus_message_deinit(&begin);
    struct bus_message arrived = cluster_decode(byte_buffer_front(&bytes), byte_buffer_size(&bytes));
    byte_buffer_deinit(&bytes);
    bool accepted =
        replica_accept_snapshot(to->replica, stream->from->id, &arrived.snapshot_begin, &generation, &reason);
    bus_message_deinit(&arrived);
    if (!accepted) {
        return reason;
    }
    char *path = cluster_map_path(to, generation);
    struct map_loader_options options = {.directory = path, .map_bytes = to->cluster->data_map_bytes};
    assert_int_equal(map_loader_create(&options, &stream->loader, &error), STORAGE_OK);
    free(path);
    return NULL;
}

static void move_chunk(struct cluster_stream *stream)
{
    static uint8_t chunk[CHUNK_BYTES];
    struct storage_error error;
    size_t size = 0;
    bool finished = false;
    assert_int_equal(map_snapshot_read(stream->snapshot, chunk, sizeof chunk, &size, &error), STORAGE_OK);
    if (size > 0) {
        assert_int_equal(map_loader_add(stream->loader, chunk, size, &error), STORAGE_OK);
        stream->meta = *map_loader_get_meta(stream->loader);
        stream->chunks++;
        return;
    }
    assert_true(map_loader_is_complete(stream->loader));
    while (!finished) {
        assert_int_equal(map_loader_finish(stream->loader, &finished, &error), STORAGE_OK);
    }
    end_stream(stream, true, "");
}

static void move_stream(struct cluster_stream *stream)
{
    struct cluster *cluster = stream->from->cluster;
    bool cut = cluster_link(cluster, stream->from->id, stream->to->id)->cut ||
               cluster_link(cluster, stream->to->id, stream->from->id)->cut;
    stream->due_ms = cluster->now_ms + 1 + cluster->stream_chunk_ms;
    if (cut || !cluster_can_talk(stream->to)) {
        end_stream(stream, false, "the connection broke");
    } else if (stream->snapshot == NULL) {
        begin_stream(stream);
    } else if (stream->loader == NULL) {
        const char *reason = introduce(stream);
        if (reason != NULL) {
            end_stream(stream, false, reason);
        }
    } else if (!replica_wants_snapshot_still(stream->to->replica)) {
        end_stream(stream, false, "it is not wanted any more");
    } else if (!cluster->hold_streams || stream->chunks == 0) {
        move_chunk(stream);
    }
}

static bool free_over(struct cluster *cluster)
{
    bool any = false;
    for (struct cluster_stream **at = &cluster->streams; *at != NULL;) {
        struct cluster_stream *stream = *at;
        if (stream->is_over) {
            *at = stream->next;
            free(stream);
            any = true;
        } else {
            at = &stream->next;
        }
    }
    return any;
}

bool cluster_move_streams(struct cluster *cluster, uint64_t *next_ms)
{
    bool moved = false;
    for (struct cluster_stream *stream = cluster->streams; stream != NULL; stream = stream->next) {
        if (!stream->is_over && stream->due_ms <= cluster->now_ms && cluster_can_talk(stream->from)) {
            move_stream(stream);
            moved = true;
        }
        if (!stream->is_over && stream->due_ms > cluster->now_ms && stream->due_ms < *next_ms) {
            *next_ms = stream->due_ms;
        }
    }
    return free_over(cluster) || moved;
}

void cluster_streams_of_node_end(struct cluster_node *node)
{
    for (struct cluster_stream *stream = node->cluster->streams; stream != NULL; stream = stream->next) {
        if (!stream->is_over && (stream->from == node || stream->to == node)) {
            end_stream(stream, false, "a node ended");
        }
    }
    (void)free_over(node->cluster);
}
