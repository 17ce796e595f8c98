/* floor.c: the floor model of the bench: what the disk and the kernel leave a replicated store that keeps its
 * promise.
 *
 * Three processes with kvd's hops and kvd's log commits, without Raft, map, digest or faults. The leader (the
 * parent) takes commands from clients; those that arrive while it may not send go together into one entry,
 * which goes to both followers over TCP and to its own disk thread; each of the three makes it durable with
 * one LMDB commit; the clients get +OK when two of three have it, the leader counted only when its own commit
 * is done. GET costs a round to the followers, shared by all reads that arrived before it started (as
 * ReadIndex does), and answers a fixed value.
 *
 *   floor --port P --directory D [--in-flight 1] [--no-sync] [--tail-mib 64]
 *
 * It is a model for measuring: answers of one connection keep their order only among SETs or among GETs.
 * Prints "ready".
 */
#include "bench_clients.h"
#include "command_codec.h"
#include "floor_disk.h"
#include "floor_link.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLLOWERS = 2, IN_FLIGHT_MAX = 64, VALUE_BYTES = 100, OPCODE = 1 };

struct options {
    uint16_t port;
    const char *directory;
    uint32_t in_flight;
    bool no_sync;
    uint64_t tail_bytes;
};

/* Commands, or reads, that leave together; its clients wait in order. */
struct batch {
    struct byte_buffer bytes;
    struct bench_client **clients;
    uint32_t clients_count;
    uint32_t clients_capacity;
};

/* Batches [done + 1, sent] are on their way, the one that gathers will be sent + 1. */
struct pipeline {
    struct batch batches[IN_FLIGHT_MAX + 1];
    uint64_t sent;
    uint64_t done;
};

struct leader {
    struct bench_clients *clients;
    struct floor_disk *disk;
    struct floor_link *links[FOLLOWERS];
    uint32_t in_flight_max;
    struct pipeline writes;
    struct pipeline reads;
    uint64_t own_durable;
    uint64_t appended[FOLLOWERS];
    uint64_t read_done;
};

struct follower {
    struct floor_disk *disk;
    struct floor_link *link;
};

static struct batch *pipeline_batch(struct pipeline *pipeline, uint64_t number)
{
    return &pipeline->batches[number % (IN_FLIGHT_MAX + 1)];
}

static void batch_add_client(struct batch *batch, struct bench_client *client)
{
    if (batch->clients_count == batch->clients_capacity) {
        batch->clients_capacity = batch->clients_capacity == 0 ? 256 : batch->clients_capacity * 2;
        batch->clients = realloc(batch->clients, batch->clients_capacity * sizeof(struct bench_client *));
        assert(batch->clients != NULL);
    }
    batch->clients[batch->clients_count++] = client;
    bench_client_ref(client);
}

static void on_request(void *context, struct bench_client *client, const struct argument *arguments,
                       uint32_t count)
{
    struct leader *leader = context;
    if (bench_argument_is(&arguments[0], "PING")) {
        reply_simple(&client->reply, "PONG");
        bench_client_answered(client);
    } else if (bench_argument_is(&arguments[0], "GET")) {
        batch_add_client(pipeline_batch(&leader->reads, leader->reads.sent + 1), client);
    } else {
        struct batch *batch = pipeline_batch(&leader->writes, leader->writes.sent + 1);
        size_t size = command_codec_size(arguments + 1, count - 1);
        command_codec_write(byte_buffer_reserve(&batch->bytes, size), OPCODE, arguments + 1, count - 1);
        byte_buffer_commit(&batch->bytes, size);
        batch_add_client(batch, client);
    }
}

/* Answers the clients of every batch up to `done`. */
static void leader_answer(struct pipeline *pipeline, uint64_t done, const char *value)
{
    while (pipeline->done < done) {
        pipeline->done++;
        struct batch *batch = pipeline_batch(pipeline, pipeline->done);
        for (uint32_t i = 0; i < batch->clients_count; i++) {
            struct bench_client *client = batch->clients[i];
            if (value == NULL) {
                reply_simple(&client->reply, "OK");
            } else {
                reply_bulk(&client->reply, value, VALUE_BYTES);
            }
            bench_client_answered(client);
            bench_client_unref(client);
        }
        batch->clients_count = 0;
        byte_buffer_consume(&batch->bytes, byte_buffer_size(&batch->bytes));
    }
}

/* The last index that two of the three have on disk: the middle one. */
static uint64_t leader_commit_index(const struct leader *leader)
{
    uint64_t a = leader->own_durable, b = leader->appended[0], c = leader->appended[1];
    uint64_t low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : (c > high ? high : c);
}

static void leader_send_batches(struct leader *leader)
{
    struct batch *entry = pipeline_batch(&leader->writes, leader->writes.sent + 1);
    if (entry->clients_count > 0 && leader->writes.sent - leader->writes.done < leader->in_flight_max) {
        leader->writes.sent++;
        for (uint32_t i = 0; i < FOLLOWERS; i++) {
            floor_link_send(leader->links[i], FLOOR_APPEND, leader->writes.sent,
                            byte_buffer_front(&entry->bytes), byte_buffer_size(&entry->bytes));
        }
        floor_disk_append(leader->disk, leader->writes.sent, byte_buffer_front(&entry->bytes),
                          byte_buffer_size(&entry->bytes));
    }
    struct batch *round = pipeline_batch(&leader->reads, leader->reads.sent + 1);
    if (round->clients_count > 0 && leader->reads.sent - leader->reads.done < leader->in_flight_max) {
        leader->reads.sent++;
        for (uint32_t i = 0; i < FOLLOWERS; i++) {
            floor_link_send(leader->links[i], FLOOR_READ, leader->reads.sent, NULL, 0);
        }
    }
}

static void leader_end_turn(struct leader *leader, const char *value)
{
    leader_answer(&leader->writes, leader_commit_index(leader), NULL);
    leader_answer(&leader->reads, leader->read_done, value);
    leader_send_batches(leader);
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        floor_link_flush(leader->links[i]);
    }
    floor_disk_submit(leader->disk);
    bench_clients_flush(leader->clients);
}

static void leader_on_frame(void *context, struct floor_link *link, enum floor_frame_kind kind,
                            uint64_t number, const uint8_t *bytes, size_t size)
{
    struct leader *leader = context;
    (void)bytes;
    (void)size;
    if (kind == FLOOR_APPENDED) {
        leader->appended[link == leader->links[0] ? 0 : 1] = number;
    } else if (number > leader->read_done) {
        leader->read_done = number; /* one follower and the leader are two of three */
    }
}

static void leader_on_disk(evutil_socket_t fd, short what, void *context)
{
    struct leader *leader = context;
    (void)fd;
    (void)what;
    leader->own_durable = floor_disk_durable_index(leader->disk);
}

static void follower_on_frame(void *context, struct floor_link *link, enum floor_frame_kind kind,
                              uint64_t number, const uint8_t *bytes, size_t size)
{
    struct follower *follower = context;
    if (kind == FLOOR_APPEND) {
        floor_disk_append(follower->disk, number, bytes, size);
    } else {
        floor_link_send(link, FLOOR_READ_DONE, number, NULL, 0);
    }
}

static void follower_on_disk(evutil_socket_t fd, short what, void *context)
{
    struct follower *follower = context;
    (void)fd;
    (void)what;
    floor_link_send(follower->link, FLOOR_APPENDED, floor_disk_durable_index(follower->disk), NULL, 0);
}

static struct floor_disk *open_disk(const struct options *options, const char *name)
{
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%s", options->directory, name);
    assert(length > 0 && (size_t)length < sizeof path);
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        fprintf(stderr, "floor: %s: %s\n", path, strerror(errno));
        exit(3);
    }
    struct floor_disk_options disk = {
        .directory = path, .no_sync = options->no_sync, .tail_bytes = options->tail_bytes};
    return floor_disk_create(&disk);
}

static void watch_disk(struct event_base *base, struct floor_disk *disk, event_callback_fn on_disk,
                       void *context)
{
    struct event *event = event_new(base, floor_disk_eventfd(disk), EV_READ | EV_PERSIST, on_disk, context);
    assert(event != NULL);
    event_add(event, NULL);
}

static _Noreturn void run_follower(const struct options *options, uint16_t bus_port, const char *name)
{
    struct follower follower = {0};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(bus_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct event_base *base = event_base_new();
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    follower.disk = open_disk(options, name);
    int connected = connect(fd, (const struct sockaddr *)&address, sizeof address);
    assert(base != NULL && connected == 0);
    follower.link = floor_link_create(base, fd, follower_on_frame, &follower);
    watch_disk(base, follower.disk, follower_on_disk, &follower);
    for (;;) {
        event_base_loop(base, EVLOOP_ONCE);
        floor_disk_submit(follower.disk);
        floor_link_flush(follower.link);
    }
}

/* Starts both followers and waits for their connections. */
static void start_followers(const struct options *options, int connections[FOLLOWERS])
{
    static const char *const names[FOLLOWERS] = {"follower1", "follower2"};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = bind(listener, (const struct sockaddr *)&address, length) != 0 ||
                 listen(listener, FOLLOWERS) != 0 ||
                 getsockname(listener, (struct sockaddr *)&address, &length) != 0;
    assert(!failed);
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        pid_t child = fork();
        assert(child >= 0);
        if (child == 0) {
            close(listener);
            run_follower(options, ntohs(address.sin_port), names[i]);
        }
    }
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        connections[i] = accept(listener, NULL, NULL);
        assert(connections[i] >= 0);
    }
    close(listener);
}

static _Noreturn void run_leader(const struct options *options)
{
    int connections[FOLLOWERS];
    char value[VALUE_BYTES];
    start_followers(options, connections);
    struct leader *leader = calloc(1, sizeof *leader);
    struct event_base *base = event_base_new();
    assert(leader != NULL && base != NULL);
    memset(value, 'x', sizeof value);
    leader->in_flight_max = options->in_flight;
    leader->disk = open_disk(options, "leader");
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        leader->links[i] = floor_link_create(base, connections[i], leader_on_frame, leader);
    }
    watch_disk(base, leader->disk, leader_on_disk, leader);
    leader->clients = bench_clients_create(base, options->port, on_request, leader);
    puts("ready");
    fflush(stdout);
    for (;;) {
        event_base_loop(base, EVLOOP_ONCE);
        leader_end_turn(leader, value);
    }
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: floor --port P --directory D [--in-flight 1..%d] [--no-sync] [--tail-mib 64]\n",
            IN_FLIGHT_MAX);
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},      {"directory", required_argument, NULL, 'd'},
        {"in-flight", required_argument, NULL, 'i'}, {"no-sync", no_argument, NULL, 'n'},
        {"tail-mib", required_argument, NULL, 't'},  {NULL, 0, NULL, 0},
    };
    struct options options = {.in_flight = 1, .tail_bytes = (uint64_t)64 << 20};
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        unsigned long number = optarg != NULL ? strtoul(optarg, NULL, 10) : 0;
        switch (option) {
        case 'p':
            options.port = number <= UINT16_MAX ? (uint16_t)number : 0;
            break;
        case 'd':
            options.directory = optarg;
            break;
        case 'i':
            options.in_flight = number <= IN_FLIGHT_MAX ? (uint32_t)number : 0;
            break;
        case 'n':
            options.no_sync = true;
            break;
        case 't':
            options.tail_bytes = (uint64_t)number << 20;
            break;
        default:
            usage();
        }
    }
    if (optind != argc || options.port == 0 || options.directory == NULL || options.in_flight == 0) {
        usage();
    }
    run_leader(&options);
}
