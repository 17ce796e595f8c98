/* startup.c: opens everything, in an order in which nothing is left behind when the next step fails.
 *
 * Sockets come first: a port in use is the commonest mistake, and nothing has been touched then. Connections
 * wait in the kernel until the node listens to them.
 */
#include "startup.h"

#include "socket.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    FILES_RESERVED = 128, /* for the store, the bus, and strangers on it */
    CLIENTS_MAX_LEAST = 16,
};

static bool fail(struct startup_problem *problem, enum replica_exit code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(struct startup_problem *problem, enum replica_exit code, const char *format, ...)
{
    va_list arguments;

    problem->code = code;
    va_start(arguments, format);
    (void)vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    return false;
}

void startup_random(void *bytes, size_t size)
{
    if (getrandom(bytes, size, 0) != (ssize_t)size) {
        abort(); /* cannot happen for so few bytes */
    }
}

static bool raise_file_limit(const struct config *config, struct startup *startup,
                             struct startup_problem *problem)
{
    struct rlimit limit;
    uint64_t wanted = config->clients_max + FILES_RESERVED;

    startup->clients_max = (uint32_t)config->clients_max;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return fail(problem, REPLICA_EXIT_START, "The limit of open files cannot be read: %s.",
                    strerror(errno));
    }
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            (void)getrlimit(RLIMIT_NOFILE, &limit);
        }
    }
    if (limit.rlim_cur < FILES_RESERVED + CLIENTS_MAX_LEAST) {
        return fail(problem, REPLICA_EXIT_START,
                    "Only %" PRIu64
                    " files may be open at one time, which is too few: raise the limit (ulimit -n %" PRIu64
                    ").",
                    (uint64_t)limit.rlim_cur, wanted);
    }
    if (limit.rlim_cur < wanted) {
        startup->clients_max = (uint32_t)(limit.rlim_cur - FILES_RESERVED);
    }
    return true;
}

static bool open_sockets(const struct config *config, struct startup *startup,
                         struct startup_problem *problem)
{
    char reason[600];

    for (uint32_t i = 0; i < config->listeners_count; i++) {
        const struct config_listener *listener = &config->listeners[i];

        startup->client_files[i] =
            socket_listen(listener->bind_host, listener->bind_port, reason, sizeof reason);
        if (startup->client_files[i] < 0) {
            return fail(problem, REPLICA_EXIT_START, "%s See the setting listen.", reason);
        }
    }
    if (config->bus_bind_port != 0) {
        startup->bus_file =
            socket_listen(config->bus_bind_host, config->bus_bind_port, reason, sizeof reason);
        if (startup->bus_file < 0) {
            return fail(problem, REPLICA_EXIT_START,
                        "%s This is the bus between the members; see the setting bus-listen.", reason);
        }
    }
    return true;
}

/* A new directory gets its disk id before anything else can happen with it. */
static bool make_identity(const struct config *config, struct startup *startup,
                          struct startup_problem *problem)
{
    struct storage_error error = {0};

    startup->identity = (struct log_identity){.node_id = config->id, .formation = LOG_FORMATION_NONE};
    while (startup->identity.disk_id == 0) {
        startup_random(&startup->identity.disk_id, sizeof startup->identity.disk_id);
    }
    enum storage_status status = log_store_write_identity(startup->log, &startup->identity, &error);

    return status == STORAGE_OK || fail(problem, replica_exit_at_start(status), "%s", error.text);
}

/* Members of a cluster reach each other, whatever the setting `cluster` says by now. */
static bool check_bus(const struct config *config, const struct log_identity *identity,
                      struct startup_problem *problem)
{
    return identity->members_count == 1 || config->bus_bind_port != 0 ||
           fail(problem, REPLICA_EXIT_START,
                "The data directory %s belongs to a cluster of several nodes, but no setting says where this "
                "one "
                "listens for the others: set bus-listen, or cluster.",
                config->data);
}

static bool read_identity(const struct config *config, struct startup *startup,
                          struct startup_problem *problem)
{
    struct storage_error error = {0};
    bool found = false;
    enum storage_status status = log_store_read_identity(startup->log, &startup->identity, &found, &error);

    if (status != STORAGE_OK) {
        return fail(problem, replica_exit_at_start(status), "%s", error.text);
    }
    if (!found) {
        return make_identity(config, startup, problem);
    }
    if (startup->identity.node_id != config->id) {
        return fail(problem, REPLICA_EXIT_START,
                    "The data directory %s belongs to node %" PRIu64 ", and this is node %" PRIu64
                    ". A node that votes with another node's memory breaks the cluster's promises, so it "
                    "does not start. Give it its own directory (data) or its own number (id).",
                    config->data, startup->identity.node_id, config->id);
    }
    return startup->identity.formation != LOG_FORMATION_FORMED ||
           check_bus(config, &startup->identity, problem);
}

static bool open_data(const struct config *config, struct startup *startup, struct startup_problem *problem)
{
    struct storage_error error = {0};
    enum storage_status status = data_directory_open(config->data, &startup->directory, &error);

    if (status != STORAGE_OK) {
        return fail(problem, replica_exit_at_start(status), "%s", error.text);
    }
    const struct log_store_options options = {
        .directory = data_directory_log_path(startup->directory),
        .map_bytes = (size_t)config->log_map_bytes,
        .reserve_bytes = config->disk_reserve_bytes,
    };

    status = log_store_open(&options, &startup->log, &error);
    if (status != STORAGE_OK) {
        return fail(problem, replica_exit_at_start(status), "%s", error.text);
    }
    if (!read_identity(config, startup, problem)) {
        return false;
    }
    status =
        data_directory_remove_other_maps(startup->directory, log_store_map_generation(startup->log), &error);
    return status == STORAGE_OK || fail(problem, replica_exit_at_start(status), "%s", error.text);
}

bool startup_begin(const struct config *config, struct startup *startup, struct startup_problem *problem)
{
    *startup = (struct startup){.bus_file = -1};
    *problem = (struct startup_problem){.code = REPLICA_EXIT_START};
    for (uint32_t i = 0; i < BUS_LISTENERS_MAX; i++) {
        startup->client_files[i] = -1;
    }
    if (raise_file_limit(config, startup, problem) && open_sockets(config, startup, problem) &&
        open_data(config, startup, problem)) {
        return true;
    }
    startup_end(startup);
    return false;
}

void startup_end(struct startup *startup)
{
    for (uint32_t i = 0; i < BUS_LISTENERS_MAX; i++) {
        if (startup->client_files[i] >= 0) {
            (void)close(startup->client_files[i]);
            startup->client_files[i] = -1;
        }
    }
    if (startup->bus_file >= 0) {
        (void)close(startup->bus_file);
        startup->bus_file = -1;
    }
    log_store_close(startup->log);
    startup->log = NULL;
    data_directory_close(startup->directory);
    startup->directory = NULL;
}
