/* command.h: the command table, and what a command is given.
 *
 * One row per command: name, opcode, arity, flags, key positions, function, documentation. COMMAND, COMMAND
 * DOCS, arity errors, kvcli's completion and the list in the README come from it. Commands are pure functions
 * of (map, arguments, time) -> reply: no clock, no randomness that matters to other nodes, no settings of one
 * node (pitfall 30).
 *
 * Three kinds, told apart by flags:
 * - COMMAND_WRITE  goes through the log and is run on every node when its entry is applied;
 * - COMMAND_READ   is run on one node at a moment that makes it linearizable;
 * - COMMAND_LOCAL  is answered by the node that was asked, in order, without the map: INFO, CLUSTER...
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "client_info.h"
#include "map.h"
#include "node_view.h"
#include "reply.h"
#include "resp_parser.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    /* Of the state machine, and of what members have to understand alike; entries carry the one they were
     * made for (server/replica/versions.c). 2: address books remember. */
    COMMAND_RULES_VERSION = 2,
    COMMAND_RULES_VERSION_OF_MEMORY = 2,
    COMMAND_RULES_VERSION_MIN = 1, /* the oldest that this kvd can go by */
    COMMAND_ARGUMENTS_MAX = 1024 * 1024,
    COMMAND_REQUEST_BYTES_MAX = 16 * 1024 * 1024,
    COMMAND_REPLY_BYTES_MAX = 64 * 1024 * 1024, /* of one MGET; others cannot reach it */
    COMMAND_PURGE_KEYS_MAX = 256,               /* keys that one purge removes */
};

enum command_flag {
    COMMAND_WRITE = 1 << 0,
    COMMAND_READ = 1 << 1,
    COMMAND_LOCAL = 1 << 2,
    COMMAND_INTERNAL = 1 << 3, /* only kvd itself proposes it; unknown to clients */
    COMMAND_GROWS = 1 << 4,    /* may need more space ("denyoom") */
    COMMAND_FAST = 1 << 5,     /* O(1) or O(log n) ("fast") */
    COMMAND_ADMIN = 1 << 6,
    COMMAND_NEEDS_VIEW = 1 << 7, /* local: context->node is filled */
    COMMAND_CONTAINER = 1 << 8,  /* has subcommands */
};

/* What RAFT ADD and its like ask of the leader. They only say so: the replica does it, on the leader, and
 * answers. */
enum command_change_kind {
    COMMAND_CHANGE_NONE,
    COMMAND_CHANGE_ADD,      /* node_id at `address` */
    COMMAND_CHANGE_PROMOTE,  /* node_id */
    COMMAND_CHANGE_REMOVE,   /* node_id */
    COMMAND_CHANGE_REPLACE,  /* node_id by other_id at `address` */
    COMMAND_CHANGE_ADDRESS,  /* node_id at `address` */
    COMMAND_CHANGE_TRANSFER, /* to node_id; 0: to whoever is best suited */
};

struct command_change {
    enum command_change_kind kind;
    uint64_t node_id;
    uint64_t other_id;
    struct argument address; /* not checked; lives as long as the arguments */
    bool stays_learner;      /* ADD */
};

struct command_context {
    const struct command *command;
    const struct argument *arguments; /* [0] is the command's name */
    uint32_t arguments_count;
    struct reply *reply;
    /* reads and writes */
    struct map *map;
    uint64_t log_time_ms; /* decides what has expired: a key with 0 < expiry_ms <= log_time_ms is absent */
    /* reads: now, never below log_time_ms, for what is left of a TTL; writes: == log_time_ms */
    uint64_t clock_ms;
    struct map_version version; /* writes: what a changed value gets */
    /* reads: the caller can wait until log time has caught up with clock_ms. Else log time alone decides what
     * is there, and clock_ms only tells what is left */
    bool can_wait;
    /* out, reads that can wait: a key past its expiry by clock_ms but not by log_time_ms was met. The reply
     * is thrown away, and the read waits */
    bool met_due_key;
    /* local commands */
    struct client_info *client;
    const struct node_view *node; /* COMMAND_NEEDS_VIEW */
    bool close_client;            /* out: QUIT: close after the reply */
    struct command_change change; /* out: to be done instead of a reply, which was not written */
    bool wants_backup;            /* out: RAFT BACKUP: to be streamed instead of a reply */
};

typedef void (*command_function)(struct command_context *context);
/* NULL, or the error to send ("ERR syntax error"), found before the command goes to the log; static, or in
 * `buffer`. */
typedef const char *(*command_check)(const struct command *command, const struct argument *arguments,
                                     uint32_t count, char *buffer, size_t buffer_bytes);

struct command {
    const char *name; /* lower case; "client|setname" forms are rows of `subcommands` */
    uint16_t opcode;  /* on disk and between nodes: never change or reuse a number */
    int16_t arity;    /* as Redis counts: the name included, negative: at least */
    uint16_t flags;
    int16_t first_key, last_key, key_step; /* as in COMMAND; 0: no keys */
    command_function run;
    command_check check; /* may be NULL */
    const char *group;   /* "string", "generic", "connection", "server", "cluster" */
    const char *since;   /* Redis version, or "kvd 0.1" */
    const char *complexity;
    const char *summary;
    const char *syntax;    /* the arguments as the help shows them: "key value [NX | XX] [GET] ..." */
    const char *key_flags; /* of its key specification, as in Redis: "RW access update"; NULL: no keys */
    const char *tips;      /* of COMMAND, separated by blanks; NULL: none */
    const struct command_subcommand *subcommands; /* containers: ends with a NULL name; else NULL */
};

struct command_subcommand {
    const char *name; /* "setname" */
    int16_t arity;    /* the two names included */
    command_function run;
    const char *summary;
    const char *syntax;
};

/* The table, sorted by name, without internal commands; for COMMAND and the documentation. */
const struct command *command_table(uint32_t *count);
/* By name as the client wrote it, any case; never an internal one. NULL: unknown. */
const struct command *command_find(const uint8_t *name, size_t size);
const struct command *command_by_opcode(uint16_t opcode); /* NULL: unknown */

/* What can be said before a command is executed or proposed: arity, key and value sizes, the row's own check.
 * NULL, or an error text (code included) that lives in `buffer`. */
const char *command_validate(const struct command *command, const struct argument *arguments, uint32_t count,
                             char *buffer, size_t buffer_bytes);
/* "ERR unknown command 'x', with args beginning with: 'a' 'b' " in `buffer`, exactly as Redis words it. */
const char *command_unknown_error(const struct argument *arguments, uint32_t count, char *buffer,
                                  size_t buffer_bytes);
/* The first key's position in `arguments`, 0: the command has none. */
uint32_t command_first_key(const struct command *command, const struct argument *arguments, uint32_t count);
/* The key after the one at position `before` (0: the first); 0: there is none, or the arity is wrong. */
uint32_t command_next_key(const struct command *command, const struct argument *arguments, uint32_t count,
                          uint32_t before);
/* Runs it; containers look their subcommand up. A wrong arity, also of a subcommand, is answered here; key
 * and value sizes are not looked at again (command_validate). HELLO and RESET change
 * context->client->protocol and context->reply->protocol: their reply already speaks the new one. */
void command_run(struct command_context *context);

enum { COMMAND_ERROR_BYTES_MAX = 512 }; /* room for the error texts above */

/* Internal: removes keys that are due: opcode of "kvd.purge", arguments: until_ms as 8 bytes little-endian.
 * Deletes at most COMMAND_PURGE_KEYS_MAX keys. */
enum { COMMAND_OPCODE_PURGE = 900 };

#endif
