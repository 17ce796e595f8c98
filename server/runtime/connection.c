/* connection.c: one client's socket.
 *
 *            read event                             client_ready
 *   socket ------------> scratch or input --parse--> replica --------> ready list --flush--> socket
 *
 * A connection ends in one of these ways:
 * - the client closed its sending side: what it sent is answered, then we close (`printf ... | nc` gets its
 * replies). To know when all is answered we put an error of our own behind it, which is not passed on;
 * - the replica says "closing" (QUIT, a protocol error): the output is sent, then the connection lingers: our
 * side is shut down and what still arrives is thrown away for a moment; closing at once would make the kernel
 * reset the connection, and the client might never see why;
 * - the socket breaks: at once.
 *
 * A connection is freed only by connection_destroy(), which takes it out of every list; the replica's
 * callbacks never free one.
 */
#include "connection_internal.h"

#include "command.h"
#include "socket.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define END_MARK "end of input" /* said in the client's name when it closed its sending side */

static const struct resp_limits limits = {
    .inline_bytes_max = 64 * 1024,
    .arguments_max = COMMAND_ARGUMENTS_MAX,
    .bulk_bytes_max = COMMAND_REQUEST_BYTES_MAX,
    .request_bytes_max = COMMAND_REQUEST_BYTES_MAX,
};

/* ---- memory ---------------------------------------------------------------------------------- */

static void count_input(struct connection *connection)
{
    struct connections *owner = connection->owner;

    assert(owner->input_bytes >= connection->input_counted);
    owner->input_bytes -= connection->input_counted;
    connection->input_counted = connection->input.capacity + resp_parser_memory_bytes(&connection->parser);
    owner->input_bytes += connection->input_counted;
    if (connection->client != NULL) {
        replica_client_info(connection->client)->query_bytes = byte_buffer_size(&connection->input);
    }
}

/* True if the input may grow by `size`. */
static bool may_hold(const struct connection *connection, size_t size)
{
    size_t needed =
        byte_buffer_size(&connection->input) + size + resp_parser_memory_bytes(&connection->parser);

    return needed <= CONNECTION_INPUT_BYTES_FREE || needed <= connection->input_counted ||
           connection->owner->input_bytes + needed <= connection->owner->input_bytes_max;
}

static void drop_input(struct connection *connection)
{
    byte_buffer_deinit(&connection->input);
    resp_parser_deinit(&connection->parser);
    count_input(connection);
}

/* ---- the end --------------------------------------------------------------------------------- */

void connection_destroy(struct connection *connection)
{
    struct connections *owner = connection->owner;

    if (connection->client != NULL) {
        replica_client_close(owner->loop->replica, connection->client);
        connection->client = NULL;
        owner->count--;
    } else {
        owner->lingering_count--;
    }
    if (connection->backup != NULL) { /* broken before it could begin */
        replica_on_backup_ended(owner->loop->replica, connection->backup->id, false,
                                (struct raft_entry_id){0}, "the client is gone");
        free(connection->backup);
        connection->backup = NULL;
    }
    connections_forget(connection);
    (void)event_del(&connection->read_event);
    (void)event_del(&connection->write_event);
    drop_input(connection);
    if (connection->file >= 0) {
        (void)close(connection->file);
    }
    free(connection);
}

static void set_reading(struct connection *connection, bool reading)
{
    if (connection->reading != reading) {
        int result = reading ? event_add(&connection->read_event, NULL) : event_del(&connection->read_event);

        connection->reading = reading;
        connection->broken |= result != 0;
    }
}

static void set_writing(struct connection *connection, bool writing)
{
    if (connection->writing != writing) {
        int result =
            writing ? event_add(&connection->write_event, NULL) : event_del(&connection->write_event);

        connection->writing = writing;
        connection->broken |= result != 0;
    }
}

static void on_linger_over(evutil_socket_t file, short what, void *context)
{
    struct connection *connection = context;

    (void)file;
    (void)what;
    loop_begin_turn(connection->owner->loop);
    connection_destroy(connection);
}

/* Our side is closed; the client's bytes are thrown away until it closes too, for a moment at most. */
static void start_lingering(struct connection *connection)
{
    struct connections *owner = connection->owner;
    const struct timeval timeout = {CONNECTION_LINGER_MS / 1000, CONNECTION_LINGER_MS % 1000 * 1000};

    set_writing(connection, false);
    replica_client_close(owner->loop->replica, connection->client);
    connection->client = NULL;
    owner->count--;
    owner->lingering_count++;
    drop_input(connection);
    connections_move_to_lingering(connection);
    set_reading(connection, true);
    /* The place of the write event is free: it becomes the timer. */
    if (shutdown(connection->file, SHUT_WR) != 0 || connection->broken ||
        evtimer_assign(&connection->write_event, owner->loop->base, on_linger_over, connection) != 0 ||
        event_add(&connection->write_event, &timeout) != 0) {
        connection_destroy(connection);
    }
}

static void linger(struct connection *connection)
{
    struct connections *owner = connection->owner;
    ssize_t got = read(connection->file, owner->scratch, CONNECTIONS_SCRATCH_BYTES);

    if (got > 0) {
        connection->lingered_bytes += (size_t)got;
    }
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) ||
        connection->lingered_bytes > CONNECTION_LINGER_BYTES_MAX) {
        connection_destroy(connection);
    }
}

/* ---- input ----------------------------------------------------------------------------------- */

/* Nothing that this client sends is understood any more. */
static void stop_listening(struct connection *connection, const char *error)
{
    if (error != NULL && !connection->end_told) {
        replica_client_protocol_error(connection->owner->loop->replica, connection->client, error);
    }
    connection->input_ended = true;
    connection->end_told = true;
    connection_on_ready(connection);
}

/* The client sends no more, and all that it sent has been understood. */
static void mark_end(struct connection *connection)
{
    connection->end_told = true;
    connection->end_marked = true;
    replica_client_protocol_error(connection->owner->loop->replica, connection->client, END_MARK);
    connection_on_ready(connection);
}

/* Hands complete requests to the replica; returns how many bytes they were. */
static size_t parse(struct connection *connection, const uint8_t *bytes, size_t size)
{
    struct replica *replica = connection->owner->loop->replica;
    size_t at = 0;

    connection->held_back = false;
    while (at < size) {
        size_t consumed = 0;

        if (!replica_client_wants_input(replica, connection->client)) {
            connection->held_back = true;
            return at;
        }
        switch (resp_parser_feed(&connection->parser, bytes + at, size - at, &consumed)) {
        case RESP_PARSER_NEED_MORE:
            return at;
        case RESP_PARSER_REQUEST:
            if (connection->parser.arguments_count > 0) {
                replica_client_request(replica, connection->client, connection->parser.arguments,
                                       connection->parser.arguments_count);
            }
            at += consumed;
            break;
        case RESP_PARSER_ERROR:
            stop_listening(connection, connection->parser.error);
            return size;
        case RESP_PARSER_FORBIDDEN:
            stop_listening(connection, NULL);
            connection->broken = true;
            return size;
        }
    }
    return at;
}

/* After parsing: closed for input, held back, or read on. */
static void settle_input(struct connection *connection)
{
    if (replica_client_is_closing(connection->client)) {
        connection->input_ended = true;
        connection->end_told = true;
        connection_on_ready(connection);
    }
    if (connection->input_ended && !connection->held_back) {
        drop_input(connection);
        if (!connection->end_told && !connection->broken) {
            mark_end(connection);
        }
    }
    if (byte_buffer_size(&connection->input) == 0) {
        byte_buffer_trim(&connection->input, 0);
    }
    count_input(connection);
    set_reading(connection, !connection->input_ended && !connection->held_back);
    if (connection->broken) {
        connection_on_ready(connection);
    }
}

/* `size` bytes stand in the scratch buffer, the connection's own ones in front. */
static void take_scratch(struct connection *connection, size_t size)
{
    const uint8_t *scratch = connection->owner->scratch;
    size_t parsed = parse(connection, scratch, size);

    byte_buffer_consume(&connection->input, byte_buffer_size(&connection->input));
    if (parsed == size) {
        return;
    }
    /* What the replica holds back is whole requests of a fair client, and bounded by what one event reads. */
    if (connection->held_back || may_hold(connection, size - parsed)) {
        byte_buffer_append(&connection->input, scratch + parsed, size - parsed);
    } else {
        stop_listening(connection, "no memory for a request of this size now, try again later");
    }
}

static void take_own(struct connection *connection)
{
    size_t parsed =
        parse(connection, byte_buffer_front(&connection->input), byte_buffer_size(&connection->input));

    byte_buffer_consume(&connection->input, parsed);
}

/* How much to read straight into the connection's own buffer; 0: through the scratch buffer. */
static size_t large_read_bytes(const struct connection *connection)
{
    size_t have = byte_buffer_size(&connection->input);
    size_t wanted = resp_parser_bytes_wanted(&connection->parser);

    if (have + CONNECTION_READ_BYTES_MAX <= CONNECTIONS_SCRATCH_BYTES &&
        wanted <= CONNECTIONS_SCRATCH_BYTES) {
        return 0;
    }
    size_t missing = wanted > have ? wanted - have : 1;
    size_t read_bytes = missing < CONNECTION_READ_BYTES_MAX ? CONNECTION_READ_BYTES_MAX : missing;

    if (read_bytes > CONNECTION_READ_LARGE_BYTES_MAX) {
        read_bytes = CONNECTION_READ_LARGE_BYTES_MAX;
    }
    /* What was announced has not arrived: never reserve much more than what did. */
    if (read_bytes > have && read_bytes > CONNECTION_READ_BYTES_MAX) {
        read_bytes = have > CONNECTION_READ_BYTES_MAX ? have : CONNECTION_READ_BYTES_MAX;
    }
    return read_bytes;
}

static void on_read_result(struct connection *connection, ssize_t got)
{
    if (got > 0) {
        connection->owner->input_bytes_total += (size_t)got;
        return;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    connection->broken = got < 0;
    connection->at_end = true;
    connection->input_ended = true;
    connection_on_ready(connection);
}

static void read_through_scratch(struct connection *connection)
{
    uint8_t *scratch = connection->owner->scratch;
    size_t have = byte_buffer_size(&connection->input);
    ssize_t got = read(connection->file, scratch + have, CONNECTION_READ_BYTES_MAX);

    on_read_result(connection, got);
    if (got > 0) {
        if (have > 0) {
            memcpy(scratch, byte_buffer_front(&connection->input), have);
        }
        take_scratch(connection, have + (size_t)got);
    }
}

static void read_large(struct connection *connection, size_t read_bytes)
{
    if (!may_hold(connection, read_bytes)) {
        stop_listening(connection, "no memory for a request of this size now, try again later");
        return;
    }
    uint8_t *to = byte_buffer_reserve(&connection->input, read_bytes);
    ssize_t got = read(connection->file, to, read_bytes);

    on_read_result(connection, got);
    if (got > 0) {
        byte_buffer_commit(&connection->input, (size_t)got);
        take_own(connection);
    }
}

static void on_readable(evutil_socket_t file, short what, void *context)
{
    struct connection *connection = context;
    size_t large;

    (void)file;
    (void)what;
    loop_begin_turn(connection->owner->loop);
    if (connection->client == NULL) {
        linger(connection);
        return;
    }
    large = large_read_bytes(connection);
    if (large == 0) {
        read_through_scratch(connection);
    } else {
        read_large(connection, large);
    }
    settle_input(connection);
}

/* ---- backups --------------------------------------------------------------------------------- */

void connection_become_backup(struct connection *connection, const struct backup_order *order)
{
    connection->backup = malloc(sizeof *order);
    if (connection->backup == NULL) {
        abort();
    }
    *connection->backup = *order;
    connection_on_ready(connection);
}

/* The socket leaves the loop. */
static void hand_over(struct connection *connection)
{
    struct connections *owner = connection->owner;
    struct backup_order order = *connection->backup;
    int file = connection->file;

    free(connection->backup);
    connection->backup = NULL;
    connection->file = -1;
    connection_destroy(connection);
    owner->back_up(owner->context, file, &order);
}

/* ---- output ---------------------------------------------------------------------------------- */

/* Takes our own mark, the last of all, from the output. It is not there when a QUIT of the client's ended all
 * before it. */
static void drop_end_mark(struct connection *connection)
{
    static const char mark[] = "-ERR " END_MARK "\r\n";
    struct byte_buffer *output = replica_client_output(connection->client);
    size_t size = byte_buffer_size(output), mark_bytes = sizeof mark - 1;

    if (connection->end_marked && replica_client_is_closing(connection->client)) {
        connection->end_marked = false;
        if (size >= mark_bytes &&
            memcmp(byte_buffer_front(output) + size - mark_bytes, mark, mark_bytes) == 0) {
            output->end -= mark_bytes;
        }
    }
}

/* False: the connection is broken. */
static bool write_output(struct connection *connection)
{
    struct connections *owner = connection->owner;
    struct byte_buffer *output = replica_client_output(connection->client);

    drop_end_mark(connection);
    size_t size = byte_buffer_size(output);

    if (size > 0 && !connection->writing) {
        ssize_t sent = send(connection->file, byte_buffer_front(output), size, MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        if (sent > 0) {
            owner->output_bytes_total += (size_t)sent;
            replica_client_sent(owner->loop->replica, connection->client, (size_t)sent);
        }
    }
    size = byte_buffer_size(output);
    replica_client_info(connection->client)->output_bytes = size;
    set_writing(connection, size > 0);
    return true;
}

/* Writes, and then sees whether this was the end. May free the connection. */
void connection_flush(struct connection *connection)
{
    struct replica *replica = connection->owner->loop->replica;
    struct replica_client *client = connection->client;

    if (client == NULL) {
        return;
    }
    if (connection->broken || !write_output(connection) || connection->broken) {
        connection_destroy(connection);
        return;
    }
    bool sent_all = byte_buffer_size(replica_client_output(client)) == 0;

    if (connection->backup != NULL && !replica_client_is_cut_off(client)) {
        if (sent_all) {
            hand_over(connection);
        }
        return;
    }
    if (replica_client_is_closing(client)) {
        if (sent_all && connection->at_end) {
            connection_destroy(connection);
        } else if (sent_all) {
            start_lingering(connection);
        }
        return;
    }
    if (connection->held_back && replica_client_wants_input(replica, client)) {
        connections_push_resume(connection);
    }
}

static void on_writable(evutil_socket_t file, short what, void *context)
{
    struct connection *connection = context;

    (void)file;
    (void)what;
    loop_begin_turn(connection->owner->loop);
    set_writing(connection, false);
    connection_on_ready(connection); /* written at the end of the turn, like all replies */
}

/* ---- the beginning --------------------------------------------------------------------------- */

void connection_resume(struct connection *connection)
{
    if (connection->client != NULL) {
        take_own(connection);
        settle_input(connection);
    }
}

struct connection *connection_create(struct connections *owner, int file, uint32_t listener)
{
    struct client_info info = {.file_descriptor = file, .listener = listener, .protocol = 2};
    struct connection *connection = calloc(1, sizeof *connection);

    if (connection == NULL) {
        abort();
    }
    socket_prepare_client(file);
    info.id = owner->next_id++;
    info.created_ms = owner->loop->now_ms;
    info.last_command_ms = owner->loop->now_ms;
    socket_format_peer(file, info.address, sizeof info.address);
    socket_format_local(file, info.local_address, sizeof info.local_address);
    connection->owner = owner;
    connection->file = file;
    resp_parser_init(&connection->parser, &limits);
    connection->client = replica_client_open(owner->loop->replica, &info, connection);
    if (event_assign(&connection->read_event, owner->loop->base, file, EV_READ | EV_PERSIST, on_readable,
                     connection) != 0 ||
        event_assign(&connection->write_event, owner->loop->base, file, EV_WRITE | EV_PERSIST, on_writable,
                     connection) != 0) {
        abort(); /* wrong use of libevent: ours */
    }
    set_reading(connection, true);
    if (connection->broken) {
        connection_on_ready(connection);
    }
    return connection;
}
