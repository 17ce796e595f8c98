/* client_fake_server.c: a server that does what a test tells it to. */
#include "client_fake_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAKE_CLIENTS_MAX = 32, FAKE_RULES_MAX = 32, FAKE_NAMES_MAX = 64, FAKE_NAME_BYTES_MAX = 32 };

struct fake_client {
    int fd; /* -1: free */
    char *input;
    size_t size;
    bool deaf; /* refused a large request: reads no more */
};

struct fake_server {
    int listener;
    int stop_fd;
    uint16_t port;
    pthread_t thread;
    struct fake_client clients[FAKE_CLIENTS_MAX]; /* the thread's own */
    pthread_mutex_t mutex;                        /* guards what follows */
    struct fake_rule rules[FAKE_RULES_MAX];
    int rules_used[FAKE_RULES_MAX];
    size_t rules_count;
    char names[FAKE_NAMES_MAX][FAKE_NAME_BYTES_MAX];
    unsigned counts[FAKE_NAMES_MAX];
    size_t names_count;
    unsigned connections;
    size_t large_bytes;
    char *large_reply;
    char *greeting;
    bool close_after_greeting;
};

/* A socket bound to a free port. */
static int fake_bind(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(fd >= 0);
    int failed = bind(fd, (const struct sockaddr *)&address, sizeof address);
    assert(failed == 0);
    failed = getsockname(fd, (struct sockaddr *)&address, &size);
    assert(failed == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

uint16_t fake_server_dead_port(void)
{
    uint16_t port;
    fake_bind(&port); /* stays open: nobody else gets the port, and who connects to it is refused */
    return port;
}

static void fake_send(int fd, const char *bytes)
{
    size_t size = strlen(bytes);
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the client has gone: what some tests are about */
        }
        bytes += sent;
        size -= (size_t)sent;
    }
}

static void fake_client_close(struct fake_client *client)
{
    close(client->fd);
    free(client->input);
    *client = (struct fake_client){.fd = -1};
}

static void fake_count(struct fake_server *server, const char *name)
{
    size_t i = 0;
    while (i < server->names_count && strcasecmp(server->names[i], name) != 0) {
        i++;
    }
    if (i == server->names_count) {
        assert(i < FAKE_NAMES_MAX);
        snprintf(server->names[i], FAKE_NAME_BYTES_MAX, "%.31s", name);
        server->names_count++;
    }
    server->counts[i]++;
}

static void fake_answer_command_information(int fd, const char *name)
{
    static const char *const reads[] = {"GET", "PING", "MGET"};
    static const char *const writes[] = {"SET", "INCR", "DEL"};
    char reply[128];
    const char *flag = NULL;
    for (size_t i = 0; i < 3; i++) {
        flag = strcasecmp(name, reads[i]) == 0    ? "readonly"
               : strcasecmp(name, writes[i]) == 0 ? "write"
                                                  : flag;
    }
    if (flag == NULL) {
        fake_send(fd, "*1\r\n*-1\r\n");
        return;
    }
    snprintf(reply, sizeof reply, "*1\r\n*6\r\n$%zu\r\n%s\r\n:2\r\n*1\r\n+%s\r\n:1\r\n:1\r\n:1\r\n",
             strlen(name), name, flag);
    fake_send(fd, reply);
}

/* Whether a rule for "SET", or "RAFT STATUS", is for this request. */
static bool fake_is_for(const char *command, const char *both, const char *first)
{
    return strcasecmp(command, first) == 0 || strcasecmp(command, both) == 0;
}

/* False: the connection is to be closed. */
static bool fake_answer(struct fake_server *server, int fd, char words[3][FAKE_NAME_BYTES_MAX])
{
    const struct fake_rule *rule = NULL;
    char both[2 * FAKE_NAME_BYTES_MAX];
    snprintf(both, sizeof both, "%.31s %.31s", words[0], words[1]);
    pthread_mutex_lock(&server->mutex);
    fake_count(server, words[0]);
    if (words[1][0] != '\0') {
        fake_count(server, both);
    }
    for (size_t i = 0; i < server->rules_count && rule == NULL; i++) {
        bool left = server->rules[i].times == 0 || server->rules_used[i] < server->rules[i].times;
        if (left && fake_is_for(server->rules[i].command, both, words[0])) {
            server->rules_used[i]++;
            rule = &server->rules[i];
        }
    }
    pthread_mutex_unlock(&server->mutex);
    if (rule != NULL) {
        if (rule->reply != NULL && rule->action != FAKE_SILENCE) {
            fake_send(fd, rule->reply);
        }
        return rule->action != FAKE_CLOSE;
    }
    if (strcasecmp(words[0], "COMMAND") == 0) {
        fake_answer_command_information(fd, words[2]);
    } else if (strcasecmp(words[0], "CLUSTER") == 0) {
        fake_send(fd, "-ERR This instance has cluster support disabled\r\n");
    } else {
        fake_send(fd, "+OK\r\n");
    }
    return true;
}

/* The size of the whole request at the front, 0 when more must come; its first three words. */
static size_t fake_parse(const struct fake_client *client, char words[3][FAKE_NAME_BYTES_MAX])
{
    const char *at = client->input;
    const char *end = client->input + client->size;
    const char *line = memchr(at, '\n', client->size);
    memset(words, 0, 3 * FAKE_NAME_BYTES_MAX);
    if (line == NULL) {
        return 0;
    }
    assert(at[0] == '*');
    long count = atol(at + 1);
    at = line + 1;
    for (long i = 0; i < count; i++) {
        line = memchr(at, '\n', (size_t)(end - at));
        if (line == NULL) {
            return 0;
        }
        assert(at[0] == '$');
        size_t size = (size_t)atol(at + 1);
        at = line + 1;
        if ((size_t)(end - at) < size + 2) {
            return 0;
        }
        if (i < 3) {
            snprintf(words[i], FAKE_NAME_BYTES_MAX, "%.*s", size < 31 ? (int)size : 31, at);
        }
        at += size + 2;
    }
    return (size_t)(at - client->input);
}

static void fake_client_read(struct fake_server *server, struct fake_client *client)
{
    char words[3][FAKE_NAME_BYTES_MAX];
    client->input = realloc(client->input, client->size + 65536 + 1);
    assert(client->input != NULL);
    ssize_t got = recv(client->fd, client->input + client->size, 65536, 0);
    if (got <= 0) {
        fake_client_close(client);
        return;
    }
    client->size += (size_t)got;
    client->input[client->size] = '\0';
    size_t used;
    while (client->size > 0 && (used = fake_parse(client, words)) > 0) {
        memmove(client->input, client->input + used, client->size - used + 1);
        client->size -= used;
        if (!fake_answer(server, client->fd, words)) {
            fake_client_close(client);
            return;
        }
    }
    pthread_mutex_lock(&server->mutex);
    if (server->large_bytes > 0 && client->size > server->large_bytes) {
        fake_send(client->fd, server->large_reply);
        client->deaf = true;
    }
    pthread_mutex_unlock(&server->mutex);
}

static void fake_accept(struct fake_server *server)
{
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    assert(fd >= 0);
    pthread_mutex_lock(&server->mutex);
    server->connections++;
    if (server->greeting != NULL) {
        fake_send(fd, server->greeting);
    }
    bool close_now = server->close_after_greeting;
    pthread_mutex_unlock(&server->mutex);
    for (size_t i = 0; i < FAKE_CLIENTS_MAX && !close_now; i++) {
        if (server->clients[i].fd < 0) {
            server->clients[i].fd = fd;
            return;
        }
    }
    close(fd);
}

static void *fake_thread(void *argument)
{
    struct fake_server *server = argument;
    for (;;) {
        struct pollfd watched[FAKE_CLIENTS_MAX + 2] = {{.fd = server->stop_fd, .events = POLLIN},
                                                       {.fd = server->listener, .events = POLLIN}};
        for (size_t i = 0; i < FAKE_CLIENTS_MAX; i++) {
            watched[i + 2].fd = server->clients[i].deaf ? -1 : server->clients[i].fd;
            watched[i + 2].events = POLLIN;
        }
        int ready = poll(watched, FAKE_CLIENTS_MAX + 2, -1);
        assert(ready > 0 || errno == EINTR);
        if (watched[0].revents != 0) {
            return NULL;
        }
        for (size_t i = 0; i < FAKE_CLIENTS_MAX; i++) {
            if (watched[i + 2].fd >= 0 && watched[i + 2].revents != 0) {
                fake_client_read(server, &server->clients[i]);
            }
        }
        if (watched[1].revents != 0) {
            fake_accept(server);
        }
    }
}

struct fake_server *fake_server_start(void)
{
    struct fake_server *server = calloc(1, sizeof *server);
    assert(server != NULL);
    for (size_t i = 0; i < FAKE_CLIENTS_MAX; i++) {
        server->clients[i].fd = -1;
    }
    pthread_mutex_init(&server->mutex, NULL);
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    server->listener = fake_bind(&server->port);
    int failed = listen(server->listener, 16);
    assert(failed == 0 && server->stop_fd >= 0);
    failed = pthread_create(&server->thread, NULL, fake_thread, server);
    assert(failed == 0);
    return server;
}

void fake_server_stop(struct fake_server *server)
{
    uint64_t one = 1;
    ssize_t written = write(server->stop_fd, &one, sizeof one);
    assert(written == (ssize_t)sizeof one);
    pthread_join(server->thread, NULL);
    for (size_t i = 0; i < FAKE_CLIENTS_MAX; i++) {
        if (server->clients[i].fd >= 0) {
            fake_client_close(&server->clients[i]);
        }
    }
    for (size_t i = 0; i < server->rules_count; i++) {
        free((void *)(uintptr_t)server->rules[i].reply);
    }
    free(server->large_reply);
    free(server->greeting);
    close(server->listener);
    close(server->stop_fd);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}

uint16_t fake_server_port(const struct fake_server *server)
{
    return server->port;
}

void fake_server_add(struct fake_server *server, const struct fake_rule *rule)
{
    pthread_mutex_lock(&server->mutex);
    assert(server->rules_count < FAKE_RULES_MAX);
    server->rules[server->rules_count] = *rule;
    server->rules[server->rules_count].reply = rule->reply == NULL ? NULL : strdup(rule->reply);
    server->rules_count++;
    pthread_mutex_unlock(&server->mutex);
}

void fake_server_add_format(struct fake_server *server, const char *command, int times, const char *format,
                            ...)
{
    char reply[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reply, sizeof reply, format, arguments);
    va_end(arguments);
    fake_server_add(server, &(struct fake_rule){.command = command, .reply = reply, .times = times});
}

void fake_server_refuse_large(struct fake_server *server, size_t bytes, const char *reply)
{
    pthread_mutex_lock(&server->mutex);
    server->large_bytes = bytes;
    server->large_reply = strdup(reply);
    pthread_mutex_unlock(&server->mutex);
}

void fake_server_greet(struct fake_server *server, const char *greeting, int close_after)
{
    pthread_mutex_lock(&server->mutex);
    server->greeting = strdup(greeting);
    server->close_after_greeting = close_after != 0;
    pthread_mutex_unlock(&server->mutex);
}

unsigned fake_server_count(struct fake_server *server, const char *command)
{
    unsigned count = 0;
    pthread_mutex_lock(&server->mutex);
    for (size_t i = 0; i < server->names_count; i++) {
        count += strcasecmp(server->names[i], command) == 0 ? server->counts[i] : 0;
    }
    pthread_mutex_unlock(&server->mutex);
    return count;
}

unsigned fake_server_connections(struct fake_server *server)
{
    pthread_mutex_lock(&server->mutex);
    unsigned connections = server->connections;
    pthread_mutex_unlock(&server->mutex);
    return connections;
}
