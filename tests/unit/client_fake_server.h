/* client_fake_server.h: a server that does what a test tells it to, for tests of the client.
 *
 * It listens on a port of 127.0.0.1 that the kernel chooses, in a thread of its own, reads requests (arrays
 * of bulk strings), and answers each by the first rule for its name that is not used up. Without a rule:
 * COMMAND INFO tells real flags for a few names, CLUSTER SLOTS answers an error, anything else +OK.
 */
#ifndef CLIENT_FAKE_SERVER_H
#define CLIENT_FAKE_SERVER_H

#include <stddef.h>
#include <stdint.h>

enum fake_action {
    FAKE_REPLY,   /* the rule's bytes */
    FAKE_CLOSE,   /* closes; after the rule's bytes, if any */
    FAKE_SILENCE, /* no answer; the connection stays */
};

struct fake_rule {
    const char *command; /* "SET" or "RAFT STATUS", any case */
    enum fake_action action;
    const char *reply; /* copied; NULL: none */
    int times;         /* 0: always */
};

struct fake_server;

struct fake_server *fake_server_start(void);
/* Ends the thread, closes everything. */
void fake_server_stop(struct fake_server *server);
uint16_t fake_server_port(const struct fake_server *server);
void fake_server_add(struct fake_server *server, const struct fake_rule *rule);
/* As fake_server_add() with a reply made by printf(). */
void fake_server_add_format(struct fake_server *server, const char *command, int times, const char *format,
                            ...) __attribute__((format(printf, 4, 5)));
/* Answers this as soon as a request is larger than `bytes`, without reading on. */
void fake_server_refuse_large(struct fake_server *server, size_t bytes, const char *reply);
/* Bytes that are sent, and whether the connection is then closed, before anything is asked. */
void fake_server_greet(struct fake_server *server, const char *greeting, int close_after);
/* How many whole requests of that name, or of those two first words, have arrived. */
unsigned fake_server_count(struct fake_server *server, const char *command);
unsigned fake_server_connections(struct fake_server *server);
/* A port of 127.0.0.1 where nobody listens until the test program ends. */
uint16_t fake_server_dead_port(void);

#endif
