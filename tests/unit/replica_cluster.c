/* replica_cluster.c: see replica_cluster.h. Nodes and the world that they see; connections, disks and clients
 * have files of their own beside this one, and replica_cluster_turns.c makes time pass. */
#include "replica_cluster_internal.h"

#include "bus_codec.h"
#include "temp_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    LOG_MAP_BYTES = 256 << 20,
    DATA_MAP_BYTES = 256 << 20,
};

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

uint64_t cluster_random_below(struct cluster *cluster, uint64_t limit)
{
    uint64_t z = (cluster->random += UINT64_C(0x9E3779B97F4A7C15)); /* splitmix64 */
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    z = z ^ (z >> 31);
    return limit == 0 ? 0 : z % limit;
}

uint64_t cluster_wall_ms(const struct cluster *cluster)
{
    return UINT64_C(1700000000000) + cluster->now_ms;
}

uint64_t cluster_node_wall_ms(const struct cluster_node *node)
{
    return cluster_wall_ms(node->cluster) + (uint64_t)node->clock_offset_ms;
}

/* ---- the world of a replica ---------------------------------------------------------------------- */

static void send_message(void *context, uint64_t to, const struct bus_message *message)
{
    struct cluster_node *node = context;
    struct cluster *cluster = node->cluster;
    struct cluster_link *link = cluster_link(cluster, node->id, to);
    assert_int_not_equal(to, node->id);
    bool lost = cluster_random_below(cluster, 1000) < cluster->drop_per_mille;
    if (node->closing || !link->connected || link->cut || lost) {
        return;
    }
    struct byte_buffer bytes = {0};
    bus_codec_encode(&bytes, message);
    struct cluster_message *queued = allocate(sizeof *queued + byte_buffer_size(&bytes));
    queued->size = byte_buffer_size(&bytes);
    memcpy(queued->bytes, byte_buffer_front(&bytes), queued->size);
    byte_buffer_deinit(&bytes);
    queued->deliver_ms = cluster->now_ms + cluster->delay_ms_min +
                         cluster_random_below(cluster, cluster->delay_ms_max - cluster->delay_ms_min + 1);
    if (link->last == NULL) {
        link->first = queued;
    } else {
        if (queued->deliver_ms < link->last->deliver_ms) {
            queued->deliver_ms = link->last->deliver_ms; /* in order */
        }
        link->last->next = queued;
    }
    link->last = queued;
}

static void submit_job(void *context, struct disk_job *job)
{
    struct cluster_node *node = context;
    struct cluster *cluster = node->cluster;
    struct cluster_job *queued = allocate(sizeof *queued);
    struct cluster_job **link = &node->jobs[job->queue];
    uint64_t earliest_ms = cluster->now_ms;
    while (*link != NULL) {
        earliest_ms = (*link)->report_ms > earliest_ms ? (*link)->report_ms : earliest_ms;
        link = &(*link)->next;
    }
    *link = queued;
    queued->job = job;
    queued->run_ms = earliest_ms + cluster_random_below(cluster, cluster->disk_ms_max + 1);
    queued->report_ms = queued->run_ms + cluster_random_below(cluster, cluster->disk_ms_max + 1);
}

static void client_ready(void *context, struct replica_client *ready, void *connection)
{
    struct cluster_client *client = connection;
    (void)ready;
    assert_ptr_equal(client->node, context);
    assert_ptr_equal(client->client, ready);
    cluster_client_on_ready(client);
}

static void start_backup(void *context, void *connection, const struct backup_order *order)
{
    struct cluster_node *node = context;
    const struct cluster_client *client = connection;
    assert_ptr_equal(client->node, context);
    assert_ptr_equal(order->map, replica_map(node->replica));
    assert_true(node->backups_count < CLUSTER_BACKUPS_MAX);
    node->backups[node->backups_count++] = *order;
}

void cluster_end_backup(struct cluster_node *node, bool ok)
{
    assert_true(node->backups_count > 0);
    uint64_t id = node->backups[0].id;
    node->backups_count--;
    memmove(node->backups, node->backups + 1, node->backups_count * sizeof node->backups[0]);
    replica_set_time(node->replica, node->cluster->now_ms, cluster_node_wall_ms(node));
    node->has_input = true;
    replica_on_backup_ended(node->replica, id, ok, (struct raft_entry_id){1, 1}, ok ? "" : "a test says so");
}

static void stop_node(void *context, enum replica_exit code, const char *reason)
{
    struct cluster_node *node = context;
    if (node->closing) {
        return; /* a job that was lost in a crash is reported as failed */
    }
    assert_false(node->stopped);
    node->stopped = true;
    node->stop_code = code;
    (void)snprintf(node->stop_reason, sizeof node->stop_reason, "%s", reason);
}

static void log_event(void *context, enum replica_log_level level, const char *event, const char *fields)
{
    struct cluster_node *node = context;
    char line[1400];
    int size = snprintf(line, sizeof line, "%s %s\n", event, fields);
    byte_buffer_append(&node->events, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
    if (getenv("CLUSTER_TRACE") != NULL) {
        (void)fprintf(stderr, "%8llu node %llu %d %s", (unsigned long long)node->cluster->now_ms,
                      (unsigned long long)node->id, (int)level, line);
    }
}

static void note_map_replaced(void *context)
{
    ((struct cluster_node *)context)->maps_replaced++;
}

static void note_send_now(void *context)
{
    struct cluster_node *node = context;
    node->sent_now_last = cluster_status(node).last.index;
    node->sent_now_applied = map_get_meta(replica_map(node->replica))->applied_index;
}

static void fill_view(void *context, struct node_view *view)
{
    (void)context;
    view->clients_max = 10000;
}

static enum storage_status open_map(void *context, uint64_t hash_seed, struct map **map,
                                    struct storage_error *error)
{
    struct cluster_node *node = context;
    char *path = cluster_map_path(node, log_store_map_generation(node->log));
    struct map_options options = {
        .directory = path,
        .map_bytes = node->cluster->data_map_bytes,
        .hash_seed = hash_seed,
        .buffer_bytes_max = node->cluster->map_buffer_bytes_max,
    };
    enum storage_status status = map_open(&options, map, error);
    free(path);
    return status;
}

/* ---- nodes --------------------------------------------------------------------------------------- */

struct cluster_node *cluster_node(struct cluster *cluster, uint64_t id)
{
    assert_in_range(id, 1, cluster->nodes_count);
    return &cluster->nodes[id - 1];
}

static void open_log(struct cluster_node *node, struct log_identity *identity)
{
    struct storage_error error = {{0}};
    char *path = temp_directory_join(node->directory, "log");
    (void)mkdir(path, 0700);
    struct log_store_options options = {.directory = path, .map_bytes = node->cluster->log_map_bytes};
    if (log_store_open(&options, &node->log, &error) != STORAGE_OK) {
        fail_msg("%s", error.text);
    }
    free(path);
    bool found = false;
    assert_int_equal(log_store_read_identity(node->log, identity, &found, &error), STORAGE_OK);
    if (!found) {
        *identity = (struct log_identity){
            .node_id = node->id,
            .disk_id = 1 + cluster_random_below(node->cluster, UINT64_MAX - 1),
            .formation = LOG_FORMATION_NONE,
        };
        assert_int_equal(log_store_write_identity(node->log, identity, &error), STORAGE_OK);
    }
}

static struct replica_member member_at(uint64_t id)
{
    struct replica_member member = {.node_id = id, .bus_port = 17000};
    (void)snprintf(member.bus_host, sizeof member.bus_host, "node%u", (unsigned)id);
    return member;
}

bool cluster_start_node(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    assert_false(node->running);
    (void)mkdir(node->directory, 0700);
    struct replica_options options = cluster->defaults;
    open_log(node, &options.identity);
    struct replica_member members[CLUSTER_NODES_MAX];
    memset(members, 0, sizeof members);
    uint32_t members_count = node->members_count == 0 ? cluster->initial_count : node->members_count;
    for (uint32_t i = 0; i < members_count; i++) {
        members[i] = member_at(node->members_count == 0 ? i + 1 : node->members[i]);
    }
    struct replica_member joins[] = {member_at(node->join), member_at(node->join_too)};
    if (node->join != 0) {
        members[0] = member_at(node->id);
        members_count = 1;
        options.joins = joins;
        options.joins_count = node->join_too != 0 ? 2 : 1;
    }
    struct bus_listener_address listeners[CLUSTER_LISTENERS];
    memset(listeners, 0, sizeof listeners);
    (void)snprintf(listeners[0].name, sizeof listeners[0].name, "inside");
    (void)snprintf(listeners[0].host, sizeof listeners[0].host, "node%u", (unsigned)node->id);
    listeners[0].port = 7000;
    (void)snprintf(listeners[1].name, sizeof listeners[1].name, "outside");
    (void)snprintf(listeners[1].host, sizeof listeners[1].host, "127.0.0.1");
    listeners[1].port = (uint16_t)(7000 + node->id);
    options.node_id = node->id;
    options.members = members;
    options.members_count = members_count;
    options.listeners = listeners;
    options.listeners_count = CLUSTER_LISTENERS;
    options.seed = cluster_random_below(cluster, UINT64_MAX);
    options.new_cluster_id[0] = 1 + cluster_random_below(cluster, UINT64_MAX - 1);
    options.new_cluster_id[1] = cluster_random_below(cluster, UINT64_MAX);
    options.log = node->log;
    options.open_map = open_map;
    options.data_directory = node->directory;
    options.config_file = "";
    struct replica_io io = {
        .context = node,
        .send = send_message,
        .send_now = note_send_now,
        .submit = submit_job,
        .client_ready = client_ready,
        .stop = stop_node,
        .log = log_event,
        .fill_view = fill_view,
        .send_snapshot = cluster_send_snapshot,
        .map_replaced = note_map_replaced,
        .start_backup = start_backup,
    };
    node->stopped = false;
    node->paused = false;
    node->has_input = true;
    node->starts_count++;
    node->start_error = (struct storage_error){{0}};
    node->start_status = replica_create(&options, &io, cluster->now_ms, cluster_node_wall_ms(node),
                                        &node->replica, &node->start_error);
    if (node->start_status != STORAGE_OK) {
        log_store_close(node->log);
        node->log = NULL;
        return false;
    }
    replica_set_data_is_cold(node->replica, cluster->data_is_cold);
    node->running = true;
    return true;
}

void cluster_start_all(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        if (!cluster->nodes[i].running) {
            assert_true(cluster_start_node(&cluster->nodes[i]));
        }
    }
}

/* The node's process ends: connections break, which the others notice; jobs that were not run never will be.
 */
void cluster_close_node(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    node->closing = true;
    cluster_streams_of_node_end(node);
    for (int queue = 0; queue < DISK_QUEUES_COUNT; queue++) {
        while (node->jobs[queue] != NULL) {
            struct cluster_job *queued = node->jobs[queue];
            node->jobs[queue] = queued->next;
            if (!queued->was_run) {
                queued->job->status = STORAGE_FAILED;
            }
            replica_on_disk_job_done(node->replica, queued->job);
            free(queued);
        }
        node->held[queue] = false;
        node->held_report[queue] = false;
    }
    while (node->backups_count > 0) {
        cluster_end_backup(node, false);
    }
    cluster_clients_of_node_ended(node);
    replica_destroy(node->replica);
    node->replica = NULL;
    log_store_close(node->log);
    node->log = NULL;
    node->running = false;
    node->closing = false;
    for (uint64_t id = 1; id <= cluster->nodes_count; id++) {
        if (id != node->id) {
            cluster_reset_link(cluster, node->id, id);
            cluster_reset_link(cluster, id, node->id);
        }
    }
}

void cluster_crash(struct cluster_node *node)
{
    assert_true(node->running);
    cluster_close_node(node);
}

void cluster_wipe(struct cluster_node *node)
{
    assert_false(node->running);
    temp_directory_remove(strdup(node->directory));
}

void cluster_pause(struct cluster_node *node)
{
    assert_true(node->running && !node->paused);
    node->paused = true;
}

void cluster_resume(struct cluster_node *node)
{
    assert_true(node->running && node->paused);
    node->paused = false;
    node->has_input = true;
}

/* ---- creation ------------------------------------------------------------------------------------ */

struct cluster *cluster_create(uint32_t nodes_count, uint64_t seed)
{
    assert_in_range(nodes_count, 1, CLUSTER_NODES_MAX);
    struct cluster *cluster = allocate(sizeof *cluster);
    bool has_memory_disk = access("/dev/shm", W_OK) == 0;
    if (has_memory_disk) {
        cluster->directory = strdup("/dev/shm/kvd-test-XXXXXX");
        assert_non_null(mkdtemp(cluster->directory));
    } else {
        cluster->directory = temp_directory_create();
    }
    cluster->nodes_count = cluster->initial_count = nodes_count;
    cluster->now_ms = 1000;
    cluster->random = seed;
    cluster->delay_ms_min = cluster->delay_ms_max = 1;
    cluster->map_buffer_bytes_max = 8 << 20;
    cluster->log_map_bytes = LOG_MAP_BYTES;
    cluster->data_map_bytes = DATA_MAP_BYTES;
    cluster->defaults = (struct replica_options){
        .election_timeout_ms = 300,
        .heartbeat_interval_ms = 50,
        .unreachable_delay_ms = 20,
        .parking_ms = 1000,
        .command_timeout_ms = 5000,
        .entries_in_flight_max = 4,
        .entry_bytes_max = 1 << 20,
        .checkpoint_log_bytes = 64 << 20,
        .checkpoint_idle_ms = 5000,
        .log_tail_bytes = 64 << 20,
        .client_pending_bytes_max = 1 << 20,
        .pending_bytes_max = 64 << 20,
    };
    for (uint32_t i = 0; i < nodes_count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "node%u", i + 1);
        cluster->nodes[i].cluster = cluster;
        cluster->nodes[i].id = i + 1;
        cluster->nodes[i].directory = temp_directory_join(cluster->directory, name);
    }
    return cluster;
}

struct cluster *cluster_create_led(uint32_t nodes_count, uint64_t seed)
{
    struct cluster *cluster = cluster_create(nodes_count, seed);
    cluster_start_all(cluster);
    (void)cluster_await_leader(cluster);
    return cluster;
}

struct cluster *cluster_create_partly(uint32_t nodes_count, uint32_t initial_count, uint64_t seed)
{
    struct cluster *cluster = cluster_create(nodes_count, seed);
    cluster->initial_count = initial_count;
    for (uint32_t id = 1; id <= initial_count; id++) {
        assert_true(cluster_start_node(cluster_node(cluster, id)));
    }
    (void)cluster_await_leader(cluster);
    return cluster;
}

void cluster_destroy(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        if (cluster->nodes[i].running) {
            cluster_close_node(&cluster->nodes[i]);
        }
    }
    cluster_clients_destroy(cluster);
    assert_null(cluster->streams);
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        free(cluster->nodes[i].directory);
        byte_buffer_deinit(&cluster->nodes[i].events);
        for (uint32_t j = 0; j < cluster->nodes_count; j++) {
            cluster_drop_messages(&cluster->links[i][j]);
        }
    }
    free(cluster->leaders);
    free(cluster->digests);
    temp_directory_remove(cluster->directory);
    free(cluster);
}
