/* load.c: a load that redis-benchmark cannot make: reads and writes mixed by number, Zipfian keys, open loop.
 *
 *   load --port P [--clients 50] [--pipeline 1] [--seconds S | --requests N] [--read-percent 0]
 *        [--value-bytes 100] [--keys 100000] [--distribution uniform|zipfian|sequential] [--exponent 0.99]
 *        [--rate R] [--keys-per-write 1] [--slices FILE] [--seed 1]
 *
 * Closed loop: each client sends `pipeline` requests in one piece and the next ones when all are answered; a
 * time runs from sending to reply. Open loop (--rate): requests are due at random moments (Poisson), R in a
 * second on average, whatever the server does, and a time runs from the moment a request was *due*: a server
 * that stands still for a second shows a thousand late replies, not one (no "coordinated omission"); what is
 * unanswered at the end counts with the time until then. --keys-per-write above 1 writes by MSET.
 *
 * Ends after S seconds, or when N requests are answered, at SIGTERM or SIGINT, and prints one line of JSON.
 * At the first error reply or broken connection it says so and ends with 1. With --slices each tenth of a
 * second becomes a line: its begin (CLOCK_MONOTONIC, seconds), then longest_time_of_bucket_us:count ...
 */
#include "latency_histogram.h"
#include "load_client.h"
#include "load_keys.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_BYTES = 256 * 1024,
    EVENTS = 512,
    OPEN_PENDING_MAX = 4096, /* per client; beyond, requests that are due wait in the generator */
    IDLE_MS = 100,
};
#define SECOND_NS UINT64_C(1000000000)
#define SLICE_NS  (SECOND_NS / 10)

struct options {
    uint16_t port;
    uint32_t clients;
    uint32_t pipeline;
    double seconds;    /* 0: no limit */
    uint64_t requests; /* 0: no limit */
    uint32_t read_percent;
    uint32_t value_bytes;
    uint64_t keys;
    enum load_distribution distribution;
    double exponent;
    double rate; /* 0: closed loop */
    uint32_t keys_per_write;
    const char *slices_path;
    uint64_t seed;
};

struct load {
    struct options options;
    struct load_client *clients;
    int epoll;
    struct load_keys keys;
    struct load_random random;
    struct byte_buffer value;
    FILE *slices;
    uint64_t start_ns;
    uint64_t now_ns;
    uint64_t due_ns; /* open loop: the next request */
    uint32_t turn;   /* open loop: whose turn it is */
    uint64_t sent;
    uint64_t answered;
    uint64_t missing;
    uint64_t slice_end_ns;
    struct latency_histogram slice;
    struct latency_histogram total[LOAD_KINDS];
};

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
    (void)number;
    stop_asked = 1;
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "load: %s: %s\n", what, why);
    exit(1);
}

/* ---- results --------------------------------------------------------------------------------------- */

static void end_slice(struct load *load)
{
    if (load->slices != NULL && load->slice.total > 0) {
        fprintf(load->slices, "%.3f", (double)(load->slice_end_ns - SLICE_NS) / (double)SECOND_NS);
        for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
            if (load->slice.counts[i] > 0) {
                fprintf(load->slices, " %" PRIu64 ":%" PRIu64, latency_bucket_us(i), load->slice.counts[i]);
            }
        }
        fputc('\n', load->slices);
    }
    load->slice = (struct latency_histogram){0};
}

static void on_reply(void *context, const struct load_pending *request, bool is_missing)
{
    struct load *load = context;
    uint64_t us = (load->now_ns > request->due_ns ? load->now_ns - request->due_ns : 0) / 1000;
    load->answered++;
    load->missing += is_missing;
    latency_histogram_add(&load->total[request->kind], us);
    if (load->slices != NULL) {
        if (load->now_ns >= load->slice_end_ns) {
            end_slice(load);
            load->slice_end_ns += (load->now_ns - load->slice_end_ns) / SLICE_NS * SLICE_NS + SLICE_NS;
        }
        latency_histogram_add(&load->slice, us);
    }
}

/* Open loop: what was due and is not answered took at least until now. */
static void count_unanswered(struct load *load)
{
    for (uint32_t i = 0; i < load->options.clients; i++) {
        const struct load_client *client = &load->clients[i];
        for (uint32_t k = 0; k < client->pending_count; k++) {
            const struct load_pending *request =
                &client->pending[(client->pending_first + k) % client->pending_capacity];
            uint64_t us = (load->now_ns > request->due_ns ? load->now_ns - request->due_ns : 0) / 1000;
            latency_histogram_add(&load->total[request->kind], us);
        }
    }
}

static void print_times(const char *name, const struct latency_histogram *histogram)
{
    static const struct {
        const char *name;
        double share;
    } quantiles[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}, {"p999", 0.999}};
    printf("\"%s\": {\"requests\": %" PRIu64, name, histogram->total);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        printf(", \"%s\": %.3f", quantiles[i].name,
               (double)latency_histogram_quantile_us(histogram, quantiles[i].share) / 1000);
    }
    printf(", \"max\": %.3f}", (double)histogram->max_us / 1000);
}

static void report(struct load *load)
{
    static struct latency_histogram all;
    double seconds = (double)(clock_ns() - load->start_ns) / (double)SECOND_NS;
    end_slice(load);
    if (load->options.rate > 0) {
        count_unanswered(load);
    }
    for (int kind = 0; kind < LOAD_KINDS; kind++) {
        latency_histogram_merge(&all, &load->total[kind]);
    }
    printf("{\"seconds\": %.6f, \"rps\": %.2f, \"missing\": %" PRIu64 ", \"unanswered\": %" PRIu64 ", ",
           seconds, (double)load->answered / seconds, load->missing, load->sent - load->answered);
    print_times("all", &all);
    printf(", ");
    print_times("reads", &load->total[LOAD_READ]);
    printf(", ");
    print_times("writes", &load->total[LOAD_WRITE]);
    printf("}\n");
}

/* ---- requests -------------------------------------------------------------------------------------- */

static bool may_send(const struct load *load)
{
    return load->options.requests == 0 || load->sent < load->options.requests;
}

static void add_request(struct load *load, struct load_client *client, uint64_t due_ns)
{
    const struct options *options = &load->options;
    load->sent++;
    uint64_t key = load_keys_next(&load->keys, &load->random);
    if (options->keys_per_write > 1) {
        uint64_t first = key * options->keys_per_write;
        uint64_t left = options->keys - first;
        uint32_t count = left < options->keys_per_write ? (uint32_t)left : options->keys_per_write;
        load_client_mset(client, due_ns, first, count, &load->value);
    } else if (options->read_percent > 0 && load_random_next(&load->random) % 100 < options->read_percent) {
        load_client_get(client, due_ns, key);
    } else {
        load_client_set(client, due_ns, key, &load->value);
    }
}

static void flush(struct load *load, struct load_client *client)
{
    if (!load_client_flush(client)) {
        fail("a connection broke", client->line);
    }
    bool wants_write = byte_buffer_size(&client->output) > 0;
    if (wants_write != client->wants_write) {
        struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = client};
        int result = epoll_ctl(load->epoll, EPOLL_CTL_MOD, client->fd, &event);
        assert(result == 0);
        client->wants_write = wants_write;
    }
}

/* Closed loop: everything is answered, so the next requests go out. */
static void maybe_send_batch(struct load *load, struct load_client *client)
{
    if (load->options.rate > 0 || client->pending_count > 0) {
        return;
    }
    uint64_t now_ns = clock_ns();
    for (uint32_t i = 0; i < load->options.pipeline && may_send(load); i++) {
        add_request(load, client, now_ns);
    }
    flush(load, client);
}

/* Open loop: everything that is due by now, to the clients in turn. */
static void send_due(struct load *load)
{
    const struct options *options = &load->options;
    uint32_t first = load->turn;
    uint32_t used = 0;
    for (uint32_t full = 0; load->due_ns <= load->now_ns && may_send(load) && full < options->clients;) {
        struct load_client *client = &load->clients[load->turn];
        load->turn = (load->turn + 1) % options->clients;
        used++;
        if (!load_client_has_room(client)) {
            full++;
            continue;
        }
        full = 0;
        add_request(load, client, load->due_ns);
        load->due_ns += (uint64_t)(-log(load_random_unit(&load->random)) / options->rate * (double)SECOND_NS);
    }
    for (uint32_t i = 0; i < used && i < options->clients; i++) {
        flush(load, &load->clients[(first + i) % options->clients]);
    }
}

static void on_event(struct load *load, struct load_client *client, uint32_t events)
{
    static char bytes[READ_BYTES];
    if (events & EPOLLOUT) {
        flush(load, client);
    }
    if (!(events & ~(uint32_t)EPOLLOUT)) {
        return;
    }
    ssize_t got = recv(client->fd, bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        fail("a connection broke", got == 0 ? "closed by the server" : strerror(errno));
    }
    load->now_ns = clock_ns();
    if (!load_client_receive(client, bytes, (size_t)got, on_reply, load)) {
        fail("unexpected reply", client->line);
    }
    maybe_send_batch(load, client);
}

/* ---- the run --------------------------------------------------------------------------------------- */

static void open_clients(struct load *load)
{
    const struct options *options = &load->options;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(options->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    load->clients = calloc(options->clients, sizeof *load->clients);
    assert(load->clients != NULL);
    for (uint32_t i = 0; i < options->clients; i++) {
        int on = 1;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
            fail("connect", strerror(errno));
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        int unblocked = ioctl(fd, FIONBIO, &on);
        assert(unblocked == 0);
        load_client_init(&load->clients[i], fd, options->rate > 0 ? OPEN_PENDING_MAX : options->pipeline);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &load->clients[i]};
        int added = epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event);
        assert(added == 0);
    }
}

static bool is_over(const struct load *load)
{
    const struct options *options = &load->options;
    return stop_asked || (options->requests > 0 && load->answered >= options->requests) ||
           (options->seconds > 0 &&
            (double)(load->now_ns - load->start_ns) >= options->seconds * (double)SECOND_NS);
}

/* How long to wait for replies: until something is due or the load is over. */
static struct timespec patience(const struct load *load)
{
    uint64_t wait_ns = UINT64_C(1000000) * IDLE_MS;
    if (load->options.rate > 0 && may_send(load)) {
        uint64_t due_in_ns = load->due_ns > load->now_ns ? load->due_ns - load->now_ns : 0;
        wait_ns = due_in_ns < wait_ns ? due_in_ns : wait_ns;
    }
    return (struct timespec){.tv_sec = (time_t)(wait_ns / SECOND_NS), .tv_nsec = (long)(wait_ns % SECOND_NS)};
}

static void run(struct load *load)
{
    static struct epoll_event events[EVENTS];
    load->start_ns = load->now_ns = load->due_ns = clock_ns();
    load->slice_end_ns = load->start_ns + SLICE_NS;
    for (uint32_t i = 0; i < load->options.clients; i++) {
        maybe_send_batch(load, &load->clients[i]);
    }
    while (!is_over(load)) {
        struct timespec wait = patience(load);
        int count = epoll_pwait2(load->epoll, events, EVENTS, &wait, NULL);
        if (count < 0 && errno != EINTR) {
            fail("epoll_pwait2", strerror(errno));
        }
        for (int i = 0; i < count; i++) {
            on_event(load, events[i].data.ptr, events[i].events);
        }
        load->now_ns = clock_ns();
        if (load->options.rate > 0) {
            send_due(load);
        }
    }
}

static const struct option OPTIONS[] = {{"port", required_argument, NULL, 'p'},
                                        {"clients", required_argument, NULL, 'c'},
                                        {"pipeline", required_argument, NULL, 'P'},
                                        {"seconds", required_argument, NULL, 's'},
                                        {"requests", required_argument, NULL, 'n'},
                                        {"read-percent", required_argument, NULL, 'R'},
                                        {"value-bytes", required_argument, NULL, 'd'},
                                        {"keys", required_argument, NULL, 'k'},
                                        {"distribution", required_argument, NULL, 'D'},
                                        {"exponent", required_argument, NULL, 'e'},
                                        {"rate", required_argument, NULL, 'r'},
                                        {"keys-per-write", required_argument, NULL, 'm'},
                                        {"slices", required_argument, NULL, 'S'},
                                        {"seed", required_argument, NULL, 'x'},
                                        {NULL, 0, NULL, 0}};

/* A number in [least, most], or the end. */
static double number(const char *text, double least, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(value >= least && value <= most)) {
        fprintf(stderr, "load: not a number from %g to %g: %s\n", least, most, text);
        exit(2);
    }
    return value;
}

static enum load_distribution distribution(const char *text)
{
    static const char *const NAMES[] = {"uniform", "zipfian", "sequential"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, NAMES[i]) == 0) {
            return (enum load_distribution)i;
        }
    }
    fprintf(stderr, "load: no such distribution: %s\n", text);
    exit(2);
}

static void take_option(struct options *options, int name)
{
    switch (name) {
    case 'p':
        options->port = (uint16_t)number(optarg, 1, UINT16_MAX);
        break;
    case 'c':
        options->clients = (uint32_t)number(optarg, 1, 1000000);
        break;
    case 'P':
        options->pipeline = (uint32_t)number(optarg, 1, 100000);
        break;
    case 's':
        options->seconds = number(optarg, 0, 1e6);
        break;
    case 'n':
        options->requests = (uint64_t)number(optarg, 0, 1e15);
        break;
    case 'R':
        options->read_percent = (uint32_t)number(optarg, 0, 100);
        break;
    case 'd':
        options->value_bytes = (uint32_t)number(optarg, 0, 1 << 28);
        break;
    case 'k':
        options->keys = (uint64_t)number(optarg, 1, 4294967296.0);
        break;
    case 'D':
        options->distribution = distribution(optarg);
        break;
    case 'e':
        options->exponent = number(optarg, 0.01, 10);
        break;
    case 'r':
        options->rate = number(optarg, 0, 1e8);
        break;
    case 'm':
        options->keys_per_write = (uint32_t)number(optarg, 1, 100000);
        break;
    case 'S':
        options->slices_path = optarg;
        break;
    case 'x':
        options->seed = (uint64_t)number(optarg, 0, 1e15);
        break;
    default:
        exit(2);
    }
}

static void load_init(struct load *load)
{
    const struct options *options = &load->options;
    uint64_t draws = (options->keys + options->keys_per_write - 1) / options->keys_per_write;
    load_keys_init(&load->keys, options->distribution, draws, options->exponent);
    load_random_init(&load->random, options->seed);
    char *value = malloc(options->value_bytes + 1);
    assert(value != NULL);
    for (uint32_t i = 0; i < options->value_bytes; i++) {
        value[i] = (char)('a' + load_random_next(&load->random) % 26);
    }
    load_value(&load->value, value, options->value_bytes);
    free(value);
    if (options->slices_path != NULL) {
        load->slices = fopen(options->slices_path, "w");
        if (load->slices == NULL) {
            fail(options->slices_path, strerror(errno));
        }
    }
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    assert(load->epoll >= 0);
    open_clients(load);
}

int main(int argc, char **argv)
{
    static struct load load = {.options = {.clients = 50,
                                           .pipeline = 1,
                                           .value_bytes = 100,
                                           .keys = 100000,
                                           .exponent = 0.99,
                                           .keys_per_write = 1,
                                           .seed = 1}};
    int name;
    while ((name = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        take_option(&load.options, name);
    }
    if (optind != argc || load.options.port == 0 || load.options.exponent == 1.0) {
        fprintf(stderr, "usage: load --port P ... (see the head of load.c); the exponent is not 1\n");
        return 2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    load_init(&load);
    run(&load);
    report(&load);
    if (load.slices != NULL && fclose(load.slices) != 0) {
        fail(load.options.slices_path, strerror(errno));
    }
    for (uint32_t i = 0; i < load.options.clients; i++) {
        load_client_deinit(&load.clients[i]);
    }
    free(load.clients);
    byte_buffer_deinit(&load.value);
    close(load.epoll);
    return 0;
}
