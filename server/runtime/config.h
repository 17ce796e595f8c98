/* config.h: the settings of one node: where they come from, what they are, and what is wrong with them.
 *
 * One table (config_table.c) defines every setting: its name, type, default, range and help. Flags,
 * environment variables, the configuration file, `--help`, `--check-config` and the README's table all come
 * from it.
 *
 * Order: file < environment (KVD_ELECTION_TIMEOUT) < flags (--election-timeout 1s, --election-timeout=1s). Of
 * a list (listen, cluster, join) the strongest source that names it gives all of it. All errors are
 * collected, each with where it came from; none stops the reading of the rest.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "bus_message.h"
#include "log_line.h"
#include "replica.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    CONFIG_SECRET_BYTES_MIN = 16,
    CONFIG_SECRET_BYTES_MAX = 1024,
    CONFIG_TEXT_BYTES_MAX = 4096, /* of one value */
    CONFIG_FILE_BYTES_MAX = 1024 * 1024,
};

/* Where a client listener binds, and what it tells others. */
struct config_listener {
    char bind_host[BUS_HOST_BYTES_MAX + 1]; /* "" : every address, IPv6 and IPv4 */
    uint16_t bind_port;                     /* 0: any free port (announced as it turns out) */
    struct bus_listener_address announced;  /* port 0: as bound */
};

struct config {
    /* As set. Numbers are in the unit of the name; durations in ms, sizes in bytes. */
    uint64_t id;
    char *cluster;
    char *join;
    char *listen;
    char *bus_listen;
    char *data;
    char *cluster_secret;
    char *secret_file;
    uint64_t election_timeout_ms, heartbeat_interval_ms, unreachable_delay_ms;
    uint64_t parking_ms, command_timeout_ms;
    uint64_t entries_in_flight, entry_bytes;
    uint64_t checkpoint_log_bytes, checkpoint_idle_ms, log_tail_bytes, write_buffer_bytes;
    uint64_t log_map_bytes, data_map_bytes, disk_reserve_bytes;
    uint64_t scrub_rate_bytes, scrub_pause_ms;
    uint64_t snapshot_rate_bytes, snapshot_pinned_bytes;
    uint64_t clients_max, client_pending_bytes, pending_bytes, client_memory_bytes;
    uint64_t follower_reads; /* 0 linearizable, 1 stale */
    uint64_t log_level;      /* enum replica_log_level */
    uint64_t log_format;     /* enum log_format */

    /* What follows from them. */
    char *config_file; /* "" */
    uint32_t members_count;
    struct replica_member members[RAFT_NODES_MAX]; /* by id; this node included */
    uint32_t joins_count;
    struct replica_member joins[RAFT_NODES_MAX]; /* addresses */
    uint32_t listeners_count;
    struct config_listener listeners[BUS_LISTENERS_MAX];
    char bus_bind_host[BUS_HOST_BYTES_MAX + 1];
    uint16_t bus_bind_port; /* 0: a single node without a bus */
    size_t secret_bytes;    /* 0: none */
    uint8_t secret[CONFIG_SECRET_BYTES_MAX];
};

/* What the command line asks for. */
enum config_request {
    CONFIG_RUN,
    CONFIG_HELP,
    CONFIG_VERSION,
    CONFIG_CHECK,
    CONFIG_PRINT_TABLE,
};

/* Sentences, one per line, without a final line end. */
struct config_errors {
    char *text; /* malloc'ed; NULL while there is none */
    size_t count;
};

/* Reads everything; the arguments include argv[0]; `environment` is like environ. True: *config is usable. In
 * both cases config_deinit() and config_errors_deinit() free what was made. With HELP, VERSION and
 * PRINT_TABLE nothing is read. */
bool config_read(struct config *config, int arguments_count, char *const *arguments, char *const *environment,
                 enum config_request *request, struct config_errors *errors)
    __attribute__((warn_unused_result));
void config_deinit(struct config *config);
void config_errors_deinit(struct config_errors *errors);

/* For people: what is wrong with the settings. */
void config_print_errors(const struct config_errors *errors, FILE *to);
void config_print_help(FILE *to);
void config_print_table(FILE *to); /* Markdown */
/* The effective settings as a configuration file; the secret is not shown. */
void config_print_effective(const struct config *config, FILE *to);

#endif
