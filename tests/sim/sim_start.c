/* sim_start.c: what a node is started with: its log, its settings, whom it knows. See sim_start.h. */
#include "sim_start.h"

#include "sim_client.h"
#include "sim_promise.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    LOG_MAP_BYTES = 512 << 20,
    LARGE_BYTES = 800,
    PAGE_BYTES = 4096,
    COMMAND_BYTES = 150, /* of a command beside its value, and of its part of an entry */
};

void sim_start_refused(struct sim_node *node, const struct storage_error *error)
{
    sim_fail(node->sim, SIM_CORRECTNESS, "node %" PRIu64 " cannot start: %s", node->id, error->text);
}

static enum storage_status open_map(void *context, uint64_t hash_seed, struct map **map,
                                    struct storage_error *error)
{
    struct sim_node *node = context;
    char path[160];
    node->map_generation = log_store_map_generation(node->log);
    (void)snprintf(path, sizeof path, "%s/map-%" PRIu64, node->directory, node->map_generation);
    struct map_options options = {
        .directory = path,
        .map_bytes = node->sim->knobs.map_kib << 10,
        .hash_seed = hash_seed,
        .buffer_bytes_max = node->sim->knobs.write_buffer_bytes,
    };
    return map_open(&options, map, error);
}

static void open_log(struct sim_node *node, struct log_identity *identity)
{
    struct storage_error error = {{0}};
    char path[160];
    (void)mkdir(node->directory, 0700);
    (void)snprintf(path, sizeof path, "%s/log", node->directory);
    (void)mkdir(path, 0700);
    struct log_store_options options = {.directory = path, .map_bytes = LOG_MAP_BYTES};
    if (log_store_open(&options, &node->log, &error) != STORAGE_OK) {
        sim_start_refused(node, &error);
    }
    if (node->sim->knobs.snapshots != 0) {
        if (data_directory_open(node->directory, &node->data, &error) != STORAGE_OK) {
            sim_start_refused(node, &error);
        }
        node->clean_generation = log_store_map_generation(node->log);
        sim_node_clean(node);
    }
    bool found = false;
    if (log_store_read_identity(node->log, identity, &found, &error) != STORAGE_OK) {
        sim_start_refused(node, &error);
    }
    if (!found) {
        *identity = (struct log_identity){
            .node_id = node->id,
            .disk_id = sim_random_between(&node->sim->random, 1, UINT64_MAX - 1),
            .formation = LOG_FORMATION_NONE,
        };
        if (log_store_write_identity(node->log, identity, &error) != STORAGE_OK) {
            sim_start_refused(node, &error);
        }
    }
}

uint64_t sim_node_log_tail_bytes(const struct sim *sim)
{
    const struct sim_knobs *knobs = &sim->knobs;
    if (knobs->snapshots != 0) {
        return knobs->short_tail_bytes != 0 ? knobs->short_tail_bytes : knobs->log_tail_bytes;
    }
    /* MSET has up to three values; a large entry takes pages of its own. */
    uint64_t values = 3 * knobs->value_bytes;
    uint64_t command = values > LARGE_BYTES ? values + 2 * PAGE_BYTES : values + COMMAND_BYTES;
    uint64_t commands = knobs->open_loop_percent > 0 ? SIM_CLIENT_OUTSTANDING_MAX : knobs->pipeline;
    uint64_t in_flight = knobs->clients * commands * command * 2;
    return knobs->log_tail_bytes > in_flight ? knobs->log_tail_bytes : in_flight;
}

static void fill_limits(const struct sim *sim, struct replica_options *options)
{
    const struct sim_knobs *knobs = &sim->knobs;
    options->election_timeout_ms = (uint32_t)knobs->election_timeout_ms;
    options->heartbeat_interval_ms = (uint32_t)(knobs->election_timeout_ms / knobs->heartbeats);
    options->unreachable_delay_ms = (uint32_t)knobs->unreachable_delay_ms;
    options->parking_ms = (uint32_t)knobs->parking_ms;
    options->command_timeout_ms = (uint32_t)knobs->command_timeout_ms;
    options->entries_in_flight_max = (uint32_t)knobs->entries_in_flight;
    options->gather_commands = knobs->small_entries == 0;
    options->entry_bytes_max = (uint32_t)knobs->entry_bytes;
    options->checkpoint_log_bytes = knobs->checkpoint_log_bytes;
    if (knobs->short_tail_bytes != 0 && knobs->short_tail_bytes < options->checkpoint_log_bytes) {
        options->checkpoint_log_bytes = knobs->short_tail_bytes; /* what is not in the map is not dropped */
    }
    options->checkpoint_idle_ms = (uint32_t)knobs->checkpoint_idle_ms;
    options->log_tail_bytes = sim_node_log_tail_bytes(sim);
    options->client_pending_bytes_max = knobs->client_pending_bytes;
    options->pending_bytes_max = 64 << 20;
    options->append_bytes_max = (uint32_t)knobs->append_bytes;
    options->inflight_messages_max = (uint32_t)knobs->inflight_messages;
    options->cache_bytes_max = knobs->cache_bytes;
    options->apply_work_per_turn = knobs->apply_work_bytes;
    options->digest_interval = knobs->digest_interval;
    options->unstable_bytes_max = knobs->unstable_bytes;
    options->scrub_rate = knobs->scrub_rate;
    options->scrub_pause_ms = knobs->election_timeout_ms;
}

struct sim_node *sim_node_at(const struct sim *sim, const struct replica_member *address)
{
    unsigned number = 0;
    if (sscanf(address->bus_host, "node%u", &number) != 1 || number == 0 || number > sim->nodes_count) {
        return NULL;
    }
    return sim->nodes[number - 1];
}

void sim_node_address(const struct sim_node *node, struct replica_member *address)
{
    (void)snprintf(address->bus_host, sizeof address->bus_host, "node%" PRIu64, node->id);
    address->bus_port = node->bus_port;
}

/* Those that form the cluster together, or itself and some whom it asks to be added. */
static void fill_members(struct sim_node *node, struct sim_start *start)
{
    struct sim *sim = node->sim;
    struct replica_options *options = &start->options;
    options->members = start->members;
    if (!node->joins) {
        for (uint32_t i = 0; i < sim->knobs.nodes; i++) {
            sim_node_address(sim->nodes[i], &start->members[i]);
            start->members[i].node_id = i + 1;
        }
        options->members_count = (uint32_t)sim->knobs.nodes;
        return;
    }
    sim_node_address(node, &start->members[0]);
    start->members[0].node_id = node->id;
    options->members_count = 1;
    options->joins = start->joins;
    uint32_t first = (uint32_t)sim_random_below(&sim->random, sim->nodes_count);
    for (uint32_t i = 0; i < sim->nodes_count; i++) { /* some of them are no members */
        uint32_t number = (first + i) % sim->nodes_count;
        if (number != node->number) {
            sim_node_address(sim->nodes[number], &start->joins[options->joins_count++]);
        }
    }
}

void sim_start_fill(struct sim_node *node, struct sim_start *start)
{
    struct sim *sim = node->sim;
    struct replica_options *options = &start->options;
    memset(start, 0, sizeof *start);
    open_log(node, &options->identity);
    node->disk_id = options->identity.disk_id;
    sim_promise_started(node);
    fill_members(node, start);
    start->listener = (struct bus_listener_address){.name = "client", .port = 7000};
    (void)snprintf(start->listener.host, sizeof start->listener.host, "node%" PRIu64, node->id);
    fill_limits(sim, options);
    options->node_id = node->id;
    options->listeners = &start->listener;
    options->listeners_count = 1;
    options->seed = sim_random_next(&sim->random);
    options->new_cluster_id[0] = sim_random_between(&sim->random, 1, UINT64_MAX - 1);
    options->new_cluster_id[1] = sim_random_next(&sim->random);
    options->log = node->log;
    options->open_map = open_map;
    options->data_directory = node->directory;
    options->config_file = "";
}
