/* stream_sender.c: a thread that streams the map to a follower. */
#include "stream_pace.h"

#include "bus_proof.h"
#include "map_chunk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    LOADED_MS_MAX = 30 * 60 * 1000, /* for the receiver to sort its indexes and sync, after the last chunk */
};

/* ---- the handshake --------------------------------------------------------------------------- */

static bool take_refusal(struct stream *stream, const struct bus_message *message)
{
    if (message->type == BUS_MESSAGE_REFUSED) {
        return stream_wire_fail(&stream->wire, "refused: %.150s", message->refused.reason);
    }
    if (message->type == BUS_MESSAGE_SNAPSHOT_END) {
        return stream_wire_fail(&stream->wire, "%.150s", message->snapshot_end.reason);
    }
    return stream_wire_fail(&stream->wire, "it said something that it may not say on this connection");
}

static bool check_hello(struct stream *stream, const struct bus_hello *hello)
{
    const struct snapshot_order *order = &stream->order;
    bool is_it = hello->from == order->peer && hello->cluster_id[0] == order->hello.cluster_id[0] &&
                 hello->cluster_id[1] == order->hello.cluster_id[1] &&
                 (order->address.disk_id == 0 || hello->disk_id == order->address.disk_id);

    return is_it ||
           stream_wire_fail(&stream->wire, "another node than %" PRIu64 " is at its address", order->peer);
}

static bool prove(struct stream *stream, const struct bus_hello *hello, struct bus_proof_subject *subject)
{
    const struct streams_options *options = &stream->owner->options;
    struct bus_message proof = {.type = BUS_MESSAGE_PROOF};

    if (options->secret_bytes == 0) {
        return true;
    }
    memcpy(subject->acceptor_nonce, hello->nonce, BUS_NONCE_BYTES);
    if (!bus_proof_check(options->secret, options->secret_bytes, BUS_PROOF_ACCEPTOR, subject, hello->proof)) {
        return stream_wire_fail(&stream->wire, "it does not know the cluster secret");
    }
    bus_proof_make(options->secret, options->secret_bytes, BUS_PROOF_DIALLER, subject, proof.proof);
    return stream_wire_send_frame(&stream->wire, &proof);
}

static bool introduce(struct stream *stream)
{
    const struct streams_options *options = &stream->owner->options;
    struct bus_message hello = {.type = BUS_MESSAGE_HELLO, .hello = stream->order.hello}, answer;
    struct bus_proof_subject subject = {.dialler = options->node_id, .acceptor = stream->order.peer};

    if (getrandom(subject.dialler_nonce, BUS_NONCE_BYTES, 0) != BUS_NONCE_BYTES) {
        abort(); /* cannot happen for so few bytes */
    }
    memcpy(hello.hello.nonce, subject.dialler_nonce, BUS_NONCE_BYTES);
    memset(hello.hello.proof, 0, BUS_PROOF_BYTES);
    if (options->secret_bytes > 0) {
        bus_proof_make(options->secret, options->secret_bytes, BUS_PROOF_MARK, &subject, hello.hello.proof);
    }
    if (!stream_wire_send_frame(&stream->wire, &hello) ||
        !stream_wire_receive_frame(&stream->wire, STREAM_SILENCE_MS_MAX, &answer)) {
        return false;
    }
    bool fine = answer.type == BUS_MESSAGE_HELLO
                    ? check_hello(stream, &answer.hello) && prove(stream, &answer.hello, &subject)
                    : take_refusal(stream, &answer);

    bus_message_deinit(&answer);
    return fine;
}

static bool announce(struct stream *stream, const struct map_meta *meta)
{
    const struct snapshot_order *order = &stream->order;
    struct bus_message begin = {.type = BUS_MESSAGE_SNAPSHOT_BEGIN};

    begin.snapshot_begin.upto = stream->upto;
    begin.snapshot_begin.keys_count = meta->key_count;
    if (order->first_membership_size > 0) {
        begin.snapshot_begin.membership = raft_payload_create(order->first_membership_size);
        memcpy(begin.snapshot_begin.membership->bytes, order->first_membership, order->first_membership_size);
        begin.snapshot_begin.membership->size = order->first_membership_size;
    }
    bool sent = stream_wire_send_frame(&stream->wire, &begin);

    bus_message_deinit(&begin);
    return sent;
}

/* ---- the content ----------------------------------------------------------------------------- */

static bool send_content(struct stream *stream, struct map_snapshot *snapshot, uint8_t *chunk)
{
    struct stream_pace pace;

    stream_pace_begin(&pace, stream, snapshot);
    for (;;) {
        struct storage_error error;
        struct bus_message early;
        size_t size = 0;

        enum storage_status status = map_snapshot_read(snapshot, chunk, MAP_CHUNK_BYTES_MAX, &size, &error);

        if (status != STORAGE_OK) {
            return streams_fail_reading(stream, status, &error);
        }
        if (size == 0) {
            return true;
        }
        /* Before there is more to send: once all is sent, what arrives is that it has been loaded. */
        if (stream_wire_has_input(&stream->wire)) { /* it has had enough */
            return stream_wire_receive_frame(&stream->wire, STREAM_SILENCE_MS_MAX, &early) &&
                   take_refusal(stream, &early);
        }
        if (!stream_pace_allows(&pace) || !stream_wire_send(&stream->wire, chunk, size)) {
            return false;
        }
        stream_pace_sent(&pace, size);
    }
}

static bool await_end(struct stream *stream)
{
    struct bus_message message;

    if (!stream_wire_receive_frame(&stream->wire, LOADED_MS_MAX, &message)) {
        return false;
    }
    bool loaded = message.type == BUS_MESSAGE_SNAPSHOT_END && message.snapshot_end.ok;

    loaded = loaded || take_refusal(stream, &message);
    bus_message_deinit(&message);
    return loaded;
}

static bool stream_map(struct stream *stream, struct map_snapshot *snapshot)
{
    const struct map_meta *meta = map_snapshot_get_meta(snapshot);
    uint8_t *chunk = malloc(MAP_CHUNK_BYTES_MAX);

    if (chunk == NULL) {
        abort();
    }
    stream->upto = (struct raft_entry_id){.term = meta->applied_term, .index = meta->applied_index};
    streams_tell(stream, streams_make_news(stream, STREAM_OPENED));
    bool sent =
        stream_wire_connect(&stream->wire, stream->order.address.bus_host, stream->order.address.bus_port) &&
        introduce(stream) && announce(stream, meta) && send_content(stream, snapshot, chunk);

    free(chunk);
    return sent;
}

void *stream_sender_run(void *context)
{
    struct stream *stream = context;
    struct map_snapshot *snapshot = NULL;
    struct storage_error error;
    enum storage_status status = map_snapshot_open(stream->order.map, &snapshot, &error);
    bool ok = false;

    if (status == STORAGE_OK) {
        ok = stream_map(stream, snapshot);
        map_snapshot_close(snapshot); /* the pages are free while the other side sorts */
        ok = ok && await_end(stream);
    } else {
        (void)streams_fail_reading(stream, status, &error);
    }
    struct stream_news *news = streams_make_news(stream, STREAM_SENT);

    news->ok = ok;
    streams_tell(stream, news);
    return NULL;
}
