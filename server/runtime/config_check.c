/* config_check.c: what follows from the settings: lists taken apart, the secret read, values held against
 * each other. */
#include "config_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BUS_PORT_OFFSET = 10000 }; /* as in Redis Cluster */

/* The next part of a comma separated list; *list moves behind it. Empty parts are passed over. */
static bool next_part(const char **list, const char **part, size_t *size)
{
    while (**list == ',' || **list == ' ') {
        (*list)++;
    }
    *part = *list;
    *size = strcspn(*list, ",");
    *list += *size;
    while (*size > 0 && (*part)[*size - 1] == ' ') {
        (*size)--;
    }
    return *size > 0;
}

/* ---- members --------------------------------------------------------------------------------- */

static bool parse_member(const char *text, size_t size, struct replica_member *member)
{
    const char *equals = memchr(text, '=', size);
    char digits[24] = "";

    if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof digits) {
        return false;
    }
    memcpy(digits, text, (size_t)(equals - text));
    size_t address_size = size - (size_t)(equals + 1 - text);

    return config_parse_number(digits, &member->node_id) && member->node_id >= 1 &&
           member->node_id <= INT64_MAX &&
           config_parse_address(equals + 1, address_size, member->bus_host, &member->bus_port, 1) &&
           member->bus_host[0] != '\0';
}

static int compare_members(const void *left, const void *right)
{
    uint64_t a = ((const struct replica_member *)left)->node_id;
    uint64_t b = ((const struct replica_member *)right)->node_id;

    return a < b ? -1 : a > b;
}

static bool member_is_double(const struct config *config, const struct replica_member *member,
                             struct config_errors *errors)
{
    for (uint32_t i = 0; i < config->members_count; i++) {
        const struct replica_member *other = &config->members[i];

        if (other->node_id == member->node_id) {
            config_error_add(errors, "cluster: number %" PRIu64 " is there twice.", member->node_id);
            return true;
        }
        if (strcmp(other->bus_host, member->bus_host) == 0 && other->bus_port == member->bus_port) {
            config_error_add(errors,
                             "cluster: nodes %" PRIu64 " and %" PRIu64 " have the same address %s:%u.",
                             other->node_id, member->node_id, member->bus_host, member->bus_port);
            return true;
        }
    }
    return false;
}

static struct replica_member *find_self(struct config *config)
{
    for (uint32_t i = 0; i < config->members_count; i++) {
        if (config->members[i].node_id == config->id) {
            return &config->members[i];
        }
    }
    return NULL;
}

static void finish_members(struct config *config, struct config_errors *errors)
{
    const char *list = config->cluster, *part;
    size_t size;

    while (next_part(&list, &part, &size)) {
        struct replica_member member = {0};

        if (!parse_member(part, size, &member)) {
            config_error_add(
                errors,
                "cluster: \"%.*s\" is not of the form ID=HOST:PORT, e.g. 1=node1:17000 or 2=[fd00::2]:17000.",
                (int)size, part);
        } else if (config->members_count == RAFT_NODES_MAX) {
            config_error_add(errors, "cluster: there are more than %d members.", RAFT_NODES_MAX);
            return;
        } else if (!member_is_double(config, &member, errors)) {
            config->members[config->members_count++] = member;
        }
    }
    if (config->members_count == 0) {
        config->members[config->members_count++] = (struct replica_member){.node_id = config->id};
        return;
    }
    qsort(config->members, config->members_count, sizeof *config->members, compare_members);
    if (find_self(config) == NULL) {
        config_error_add(errors, "id: node %" PRIu64 " is not in `cluster` (%s).", config->id,
                         config->cluster);
    }
}

/* ---- listeners ------------------------------------------------------------------------------- */

static bool host_is_any(const char *host)
{
    return host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static bool name_is_plausible(const char *name, size_t size)
{
    if (size == 0 || size > BUS_NAME_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '_';

        if (!fine) {
            return false;
        }
    }
    return true;
}

/* Without an address to announce: the bound one, or this machine's name when bound to every interface. */
static bool announce_by_default(struct config_listener *listener)
{
    if (!host_is_any(listener->bind_host)) {
        memcpy(listener->announced.host, listener->bind_host, sizeof listener->announced.host);
    } else if (gethostname(listener->announced.host, sizeof listener->announced.host) != 0 ||
               listener->announced.host[0] == '\0') {
        return false;
    }
    listener->announced.host[BUS_HOST_BYTES_MAX] = '\0';
    listener->announced.port = listener->bind_port;
    return true;
}

static bool parse_listener(const char *text, size_t size, struct config_listener *listener)
{
    const char *equals = memchr(text, '=', size), *end = text + size;
    const char *name = "client";
    size_t name_size = strlen(name);

    if (equals != NULL) {
        name = text;
        name_size = (size_t)(equals - text);
        text = equals + 1;
    }
    const char *at = memchr(text, '@', (size_t)(end - text));
    const char *bind_end = at != NULL ? at : end;

    if (!name_is_plausible(name, name_size) ||
        !config_parse_address(text, (size_t)(bind_end - text), listener->bind_host, &listener->bind_port,
                              0)) {
        return false;
    }
    memcpy(listener->announced.name, name, name_size);
    if (at == NULL) {
        return announce_by_default(listener);
    }
    return config_parse_address(at + 1, (size_t)(end - at - 1), listener->announced.host,
                                &listener->announced.port, 1) &&
           !host_is_any(listener->announced.host);
}

static void finish_listeners(struct config *config, struct config_errors *errors)
{
    const char *list = config->listen, *part;
    size_t size;
    bool named = false;

    while (next_part(&list, &part, &size)) {
        struct config_listener listener = {0};
        bool is_double = false;

        named = true;
        if (!parse_listener(part, size, &listener)) {
            config_error_add(errors,
                             "listen: \"%.*s\" is not of the form [NAME=]HOST:PORT[@HOST:PORT], e.g. "
                             "0.0.0.0:7000@node1.example.org:7000.",
                             (int)size, part);
            continue;
        }
        for (uint32_t i = 0; i < config->listeners_count; i++) {
            is_double |= strcmp(config->listeners[i].announced.name, listener.announced.name) == 0;
        }
        if (is_double) {
            config_error_add(
                errors,
                "listen: there are two listeners with the name \"%s\"; give each its own: NAME=HOST:PORT.",
                listener.announced.name);
        } else if (config->listeners_count == BUS_LISTENERS_MAX) {
            config_error_add(errors, "listen: there are more than %d listeners.", BUS_LISTENERS_MAX);
            return;
        } else {
            config->listeners[config->listeners_count++] = listener;
        }
    }
    if (!named) {
        config_error_add(errors, "listen: is empty: nobody could use this node.");
    }
}

/* ---- the bus --------------------------------------------------------------------------------- */

static void finish_joins(struct config *config, struct config_errors *errors)
{
    const char *list = config->join, *part;
    size_t size;

    while (next_part(&list, &part, &size)) {
        struct replica_member member = {0};

        if (!config_parse_address(part, size, member.bus_host, &member.bus_port, 1) ||
            member.bus_host[0] == '\0') {
            config_error_add(errors, "join: \"%.*s\" is not of the form HOST:PORT or [IPV6]:PORT.", (int)size,
                             part);
        } else if (config->joins_count == RAFT_NODES_MAX) {
            config_error_add(errors, "join: there are more than %d addresses.", RAFT_NODES_MAX);
            return;
        } else {
            config->joins[config->joins_count++] = member;
        }
    }
    if (config->joins_count > 0 && config->cluster[0] != '\0') {
        config_error_add(errors, "cluster and join are both set: a node forms a cluster or joins one.");
    }
}

/* Where the other members find this node, unless `cluster` says so: where it listens, or where clients find
 * it. */
static bool announce_bus(const struct config *config, const char *announced, struct replica_member *self)
{
    char host[BUS_HOST_BYTES_MAX + 1] = "";
    uint16_t port = config->bus_bind_port;

    if (announced != NULL) {
        if (!config_parse_address(announced, strlen(announced), host, &port, 1) || host_is_any(host)) {
            return false;
        }
    } else if (self->bus_port != 0) {
        return true;
    } else if (!host_is_any(config->bus_bind_host)) {
        memcpy(host, config->bus_bind_host, sizeof host);
    } else if (config->listeners_count > 0) { /* which knows a name of this machine */
        memcpy(host, config->listeners[0].announced.host, sizeof host);
    }
    memcpy(self->bus_host, host, sizeof self->bus_host);
    self->bus_port = port;
    return true;
}

/* A node that joins listens beside its clients' port, as Redis Cluster does. */
static bool choose_bus(struct config *config, const struct replica_member *self)
{
    uint32_t port =
        config->listeners_count > 0 ? config->listeners[0].bind_port + BUS_PORT_OFFSET : UINT16_MAX + 1;

    if (self->bus_port != 0) {
        memcpy(config->bus_bind_host, self->bus_host, sizeof config->bus_bind_host);
        config->bus_bind_port = self->bus_port;
    } else if (config->joins_count > 0) {
        if (port > UINT16_MAX || config->listeners[0].bind_port == 0) {
            return false;
        }
        memcpy(config->bus_bind_host, config->listeners[0].bind_host, sizeof config->bus_bind_host);
        config->bus_bind_port = (uint16_t)port;
    }
    return true;
}

static void finish_bus(struct config *config, struct config_errors *errors)
{
    struct replica_member *self = find_self(config);
    const char *at = strchr(config->bus_listen, '@');
    size_t size = at == NULL ? strlen(config->bus_listen) : (size_t)(at - config->bus_listen);

    if (self == NULL) {
        return; /* an error already */
    }
    if (config->bus_listen[0] == '\0') {
        if (!choose_bus(config, self)) {
            config_error_add(errors,
                             "bus-listen: is needed with join, for the port of `listen` plus %d is none.",
                             BUS_PORT_OFFSET);
            return;
        }
    } else if (!config_parse_address(config->bus_listen, size, config->bus_bind_host, &config->bus_bind_port,
                                     1)) {
        config_error_add(errors, "bus-listen: \"%s\" is not of the form HOST:PORT or [IPV6]:PORT.",
                         config->bus_listen);
        return;
    }
    if (config->bus_bind_port != 0 && !announce_bus(config, at == NULL ? NULL : at + 1, self)) {
        config_error_add(errors, "bus-listen: \"%s\" does not tell where the other members find this node.",
                         config->bus_listen);
    }
}

/* ---- the secret ------------------------------------------------------------------------------ */

static void read_secret_file(struct config *config, struct config_errors *errors)
{
    FILE *file = fopen(config->secret_file, "re");
    uint8_t bytes[CONFIG_SECRET_BYTES_MAX + 3];

    if (file == NULL) {
        config_error_add(errors, "secret-file: %s cannot be read: %s.", config->secret_file, strerror(errno));
        return;
    }
    size_t size = fread(bytes, 1, sizeof bytes, file);

    if (ferror(file)) {
        config_error_add(errors, "secret-file: %s cannot be read: %s.", config->secret_file, strerror(errno));
        size = 0;
    } else {
        while (size > 0 && (bytes[size - 1] == '\n' || bytes[size - 1] == '\r')) {
            size--;
        }
        if (size < CONFIG_SECRET_BYTES_MIN || size > CONFIG_SECRET_BYTES_MAX) {
            config_error_add(errors, "secret-file: the secret in %s has not between %d and %d bytes.",
                             config->secret_file, CONFIG_SECRET_BYTES_MIN, CONFIG_SECRET_BYTES_MAX);
            size = 0;
        }
    }
    memcpy(config->secret, bytes, size);
    config->secret_bytes = size;
    explicit_bzero(bytes, sizeof bytes);
    (void)fclose(file);
}

static void finish_secret(struct config *config, struct config_errors *errors)
{
    size_t size = strlen(config->cluster_secret);

    if (size > 0 && config->secret_file[0] != '\0') {
        config_error_add(errors, "cluster-secret and secret-file are both set; give one of them.");
    } else if (config->secret_file[0] != '\0') {
        read_secret_file(config, errors);
    } else if (size > 0 && (size < CONFIG_SECRET_BYTES_MIN || size > CONFIG_SECRET_BYTES_MAX)) {
        config_error_add(errors, "cluster-secret: has not between %d and %d bytes.", CONFIG_SECRET_BYTES_MIN,
                         CONFIG_SECRET_BYTES_MAX);
    } else {
        memcpy(config->secret, config->cluster_secret, size);
        config->secret_bytes = size;
    }
}

/* ---- values against each other --------------------------------------------------------------- */

static void check_timing(const struct config *config, struct config_errors *errors)
{
    char left[CONFIG_VALUE_BYTES_MAX], right[CONFIG_VALUE_BYTES_MAX];

    config_format_duration(config->heartbeat_interval_ms, left);
    config_format_duration(config->election_timeout_ms, right);
    if (config->heartbeat_interval_ms * 3 > config->election_timeout_ms) {
        config_error_add(
            errors,
            "heartbeat-interval: %s is more than a third of election-timeout (%s): one late heartbeat "
            "would cost the leader its place.",
            left, right);
    }
    config_format_duration(config->unreachable_delay_ms, left);
    if (config->unreachable_delay_ms > config->election_timeout_ms) {
        config_error_add(errors, "unreachable-delay: %s is more than election-timeout (%s).", left, right);
    }
}

static void check_sizes(const struct config *config, struct config_errors *errors)
{
    char left[CONFIG_VALUE_BYTES_MAX], right[CONFIG_VALUE_BYTES_MAX];

    config_format_size(config->log_map_bytes, left);
    config_format_size(config->log_tail_bytes, right);
    if (config->log_map_bytes / 4 < config->log_tail_bytes) {
        config_error_add(errors, "log-map-size: %s is less than four times log-tail-bytes (%s).", left,
                         right);
    }
    config_format_size(config->checkpoint_log_bytes, right);
    if (config->log_map_bytes / 4 < config->checkpoint_log_bytes) {
        config_error_add(errors, "log-map-size: %s is less than four times checkpoint-log-bytes (%s).", left,
                         right);
    }
    config_format_size(config->client_pending_bytes, left);
    config_format_size(config->pending_bytes, right);
    if (config->client_pending_bytes > config->pending_bytes) {
        config_error_add(errors, "client-pending-bytes: %s is more than pending-bytes (%s).", left, right);
    }
}

/* True if this much address space can be had. Nothing is used of it. */
static bool address_space_has(uint64_t bytes)
{
    void *place = mmap(NULL, (size_t)bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (place == MAP_FAILED) {
        return false;
    }
    (void)munmap(place, (size_t)bytes);
    return true;
}

static bool is_default(struct config *config, const struct setting *setting)
{
    uint64_t by_default = 0;

    return config_parse_size(setting->default_text, &by_default) &&
           *config_number(config, setting) == by_default;
}

/* A quarter of log-map-size at most, if nobody has set it. */
static void fit_log_map(struct config *config, const char *name)
{
    const struct setting *setting = config_find_setting(name);
    uint64_t *size = config_number(config, setting);

    if (is_default(config, setting) && *size > config->log_map_bytes / 4) {
        *size = config->log_map_bytes / 4;
    }
}

/* Where address space is scarce (ulimit -v, thread sanitizer), map sizes that nobody has set shrink until
 * there is room for twice as much. Sizes that were set are not touched: they fail at the start, with a
 * reason. */
static void fit_address_space(struct config *config)
{
    static const char *const names[] = {"data-map-size", "log-map-size"};
    uint64_t log_map_before = config->log_map_bytes;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct setting *setting = config_find_setting(names[i]);
        uint64_t *size = config_number(config, setting);

        if (!is_default(config, setting)) {
            continue;
        }
        while (*size / 2 >= setting->min && !address_space_has(2 * *size)) {
            *size /= 2;
        }
    }
    if (config->log_map_bytes < log_map_before) {
        fit_log_map(config, "log-tail-bytes");
        fit_log_map(config, "checkpoint-log-bytes");
    }
}

void config_finish(struct config *config, struct config_errors *errors)
{
    fit_address_space(config);
    finish_members(config, errors);
    finish_listeners(config, errors);
    finish_joins(config, errors);
    finish_bus(config, errors);
    finish_secret(config, errors);
    check_timing(config, errors);
    check_sizes(config, errors);
    if (config->data[0] == '\0') {
        config_error_add(errors, "data: is empty.");
    }
}
