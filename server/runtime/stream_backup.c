/* stream_backup.c: a thread that streams a backup to a client, in replies of the Redis protocol:
 *
 *   $<n> lines "key:value"                      what it is: cluster_id, node_id, created_ms, applied_index,
 *                                               applied_term, key_count
 *   *2 :<keys so far> $<n> <piece of the file>  again and again; put together the pieces are the file
 *                                               (backup_form.h): head, one chunk after the other, end
 *   +OK                                         it was whole; or -ERR and why not
 *
 * and then the connection is closed. One piece at a time is in memory, and the next is read when the kernel
 * has taken it: a client that reads slowly holds up nothing but itself, and the pages of the map that the
 * backup sees. One that reads nothing for BACKUP_SILENCE_MS_MAX, or no whole piece in PIECE_MS_MAX, is given
 * up.
 */
#include "stream_pace.h"

#include "backup_source.h"
#include "map_chunk.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client is given more time than a member: its disk may be anything. But not time without end, for what it
 * keeps from being used again meanwhile is looked at between two pieces. */
enum {
    PIECE_HEAD_BYTES_MAX = 64, /* of the reply round a piece */
    BACKUP_SILENCE_MS_MAX = 60000,
    PIECE_MS_MAX = 120000, /* 2 KiB in a second */
    GOODBYE_MS_MAX = 5000, /* for the client to take the end, and close */
};

static bool announce(struct stream *stream, const struct map_snapshot *snapshot)
{
    const struct backup_order *order = &stream->backup;
    const struct map_meta *meta = map_snapshot_get_meta(snapshot);
    char lines[400], reply[440];

    stream->upto = (struct raft_entry_id){.term = meta->applied_term, .index = meta->applied_index};
    int size = snprintf(lines, sizeof lines,
                        "cluster_id:%016" PRIx64 "%016" PRIx64 "\nnode_id:%" PRIu64 "\ncreated_ms:%" PRIu64
                        "\napplied_index:%" PRIu64 "\napplied_term:%" PRIu64 "\nkey_count:%" PRIu64 "\n",
                        order->cluster_id[0], order->cluster_id[1], order->node_id, order->wall_clock_ms,
                        meta->applied_index, meta->applied_term, meta->key_count);

    size = snprintf(reply, sizeof reply, "$%d\r\n%s\r\n", size, lines);
    return stream_wire_send(&stream->wire, reply, (size_t)size);
}

/* `room` begins PIECE_HEAD_BYTES_MAX before the piece, and goes on two bytes behind it. */
static bool send_piece(struct stream *stream, uint8_t *room, size_t size, uint64_t keys_count)
{
    char head[PIECE_HEAD_BYTES_MAX];
    int head_size = snprintf(head, sizeof head, "*2\r\n:%" PRIu64 "\r\n$%zu\r\n", keys_count, size);
    uint8_t *piece = room + PIECE_HEAD_BYTES_MAX, *begin = piece - head_size;

    memcpy(begin, head, (size_t)head_size);
    memcpy(piece + size, "\r\n", 2);
    if (!stream_wire_send(&stream->wire, begin, (size_t)head_size + size + 2)) {
        stream->is_torn = true; /* what follows would be taken for the rest of the piece */
        return false;
    }
    return true;
}

static bool send_pieces(struct stream *stream, struct backup_source *source, uint8_t *room)
{
    const struct map_snapshot *snapshot = backup_source_get_snapshot(source);
    struct stream_pace pace;

    stream_pace_begin(&pace, stream, snapshot);
    for (;;) {
        struct storage_error error;
        size_t size = 0;

        enum storage_status status = backup_source_read(source, room + PIECE_HEAD_BYTES_MAX, &size, &error);

        if (status != STORAGE_OK) {
            return streams_fail_reading(stream, status, &error);
        }
        if (size == 0) {
            return true;
        }
        if (atomic_load(&stream->wire.aborted)) {
            return stream_wire_fail(&stream->wire, "it was given up: this node is being stopped");
        }
        if (!stream_pace_allows(&pace) ||
            !send_piece(stream, room, size, map_snapshot_keys_count(snapshot))) {
            return false;
        }
        stream_pace_sent(&pace, size);
    }
}

static bool stream_file(struct stream *stream, struct backup_source *source)
{
    uint8_t *room = malloc(PIECE_HEAD_BYTES_MAX + MAP_CHUNK_BYTES_MAX + 2);

    if (room == NULL) {
        abort();
    }
    bool sent = announce(stream, backup_source_get_snapshot(source)) && send_pieces(stream, source, room);

    free(room);
    return sent;
}

/* The end is said, and waited for: closing while bytes of the client are unread would make the kernel reset
 * the connection, and the client might not see the end. */
static bool say_end(struct stream *stream, bool ok)
{
    struct stream_wire *wire = &stream->wire;
    char text[sizeof wire->problem + 32];
    uint8_t unread[256];
    int size = ok ? snprintf(text, sizeof text, "+OK\r\n")
                  : snprintf(text, sizeof text, "-ERR the backup broke off: %s\r\n", wire->problem);

    if (stream->is_torn) {
        return false;
    }
    for (char *at = text; at < text + size - 2; at++) {
        *at = *at == '\r' || *at == '\n' ? ' ' : *at;
    }
    if (send(wire->file, text, (size_t)size, MSG_NOSIGNAL) != size) {
        return stream_wire_fail(wire, "the client did not take the end");
    }
    (void)shutdown(wire->file, SHUT_WR);
    for (int waited_ms = 0; waited_ms < GOODBYE_MS_MAX && !atomic_load(&wire->aborted); waited_ms += 50) {
        struct pollfd poll_file = {wire->file, POLLIN, 0};

        if (poll(&poll_file, 1, 50) > 0 && read(wire->file, unread, sizeof unread) <= 0) {
            break;
        }
    }
    return ok;
}

void *stream_backup_run(void *context)
{
    struct stream *stream = context;
    const struct backup_head head = {
        .cluster_id = {stream->backup.cluster_id[0], stream->backup.cluster_id[1]},
        .node_id = stream->backup.node_id,
        .created_ms = stream->backup.wall_clock_ms,
    };
    struct backup_source *source = NULL;
    struct storage_error error;
    enum storage_status status = backup_source_open(stream->backup.map, &head, &source, &error);
    bool ok = false;

    stream->wire.silence_ms = BACKUP_SILENCE_MS_MAX;
    stream->wire.send_ms_max = PIECE_MS_MAX;
    if (status == STORAGE_OK) {
        ok = stream_file(stream, source);
        backup_source_close(source);
    } else {
        (void)streams_fail_reading(stream, status, &error);
    }
    ok = say_end(stream, ok);
    struct stream_news *news = streams_make_news(stream, STREAM_BACKED_UP);

    news->ok = ok;
    streams_tell(stream, news);
    return NULL;
}
