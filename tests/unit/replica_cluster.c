/* replica_cluster.c: see replica_cluster.h. Nodes, network and disks; clients and looking are in replica_cluster_client.c. */
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
    TURNS_AT_ONE_TIME_MAX = 20000,
    DIAL_RETRY_MS = 20,
    LOG_MAP_BYTES = 256 << 20,
    MAP_MAP_BYTES = 256 << 20,
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

static void fill_view(void *context, struct node_view *view)
{
    (void)context;
    view->clients_max = 10000;
}

static struct map *open_map(void *context, uint64_t hash_seed, struct storage_error *error)
{
    struct cluster_node *node = context;
    char *path = temp_directory_join(node->directory, "map-1");
    struct map_options options = {
        .directory = path,
        .map_bytes = MAP_MAP_BYTES,
        .hash_seed = hash_seed,
        .buffer_bytes_max = node->cluster->map_buffer_bytes_max,
    };
    struct map *map = NULL;
    enum storage_status status = map_open(&options, &map, error);
    free(path);
    return status == STORAGE_OK ? map : NULL;
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
    struct log_store_options options = {.directory = path, .map_bytes = LOG_MAP_BYTES};
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

bool cluster_start_node(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    assert_false(node->running);
    (void)mkdir(node->directory, 0700);
    struct replica_options options = cluster->defaults;
    open_log(node, &options.identity);
    struct replica_member members[CLUSTER_NODES_MAX];
    memset(members, 0, sizeof members);
    uint32_t members_count = node->members_count == 0 ? cluster->nodes_count : node->members_count;
    for (uint32_t i = 0; i < members_count; i++) {
        members[i].node_id = node->members_count == 0 ? i + 1 : node->members[i];
        (void)snprintf(members[i].bus_host, sizeof members[i].bus_host, "node%u", (unsigned)members[i].node_id);
        members[i].bus_port = 17000;
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
    struct replica_io io = {node, send_message, submit_job, client_ready, stop_node, log_event, fill_view};
    node->stopped = false;
    node->paused = false;
    node->has_input = true;
    node->starts_count++;
    node->start_error = (struct storage_error){{0}};
    node->replica = replica_create(&options, &io, cluster->now_ms, cluster_node_wall_ms(node), &node->start_error);
    if (node->replica == NULL) {
        log_store_close(node->log);
        node->log = NULL;
        return false;
    }
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

static void drop_messages(struct cluster_link *link)
{
    while (link->first != NULL) {
        struct cluster_message *message = link->first;
        link->first = message->next;
        free(message);
    }
    link->last = NULL;
}

/* The node's process ends: connections break, which the others notice; jobs that were not run never will be. */
static void close_node(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    node->closing = true;
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
    close_node(node);
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
    cluster->nodes_count = nodes_count;
    cluster->now_ms = 1000;
    cluster->random = seed;
    cluster->delay_ms_min = cluster->delay_ms_max = 1;
    cluster->map_buffer_bytes_max = 8 << 20;
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

void cluster_destroy(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        if (cluster->nodes[i].running) {
            close_node(&cluster->nodes[i]);
        }
    }
    cluster_clients_destroy(cluster);
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        free(cluster->nodes[i].directory);
        byte_buffer_deinit(&cluster->nodes[i].events);
        for (uint32_t j = 0; j < cluster->nodes_count; j++) {
            drop_messages(&cluster->links[i][j]);
        }
    }
    free(cluster->leaders);
    free(cluster->digests);
    temp_directory_remove(cluster->directory);
    free(cluster);
}

/* ---- the network --------------------------------------------------------------------------------- */

struct cluster_link *cluster_link(struct cluster *cluster, uint64_t from, uint64_t to)
{
    assert_in_range(from, 1, CLUSTER_NODES_MAX);
    assert_in_range(to, 1, CLUSTER_NODES_MAX);
    return &cluster->links[from - 1][to - 1];
}

void cluster_cut(struct cluster *cluster, uint64_t from, uint64_t to)
{
    cluster_link(cluster, from, to)->cut = true;
    drop_messages(cluster_link(cluster, from, to));
}

void cluster_isolate(struct cluster *cluster, uint64_t id)
{
    for (uint64_t other = 1; other <= cluster->nodes_count; other++) {
        if (other != id) {
            cluster_cut(cluster, id, other);
            cluster_cut(cluster, other, id);
        }
    }
}

void cluster_heal(struct cluster *cluster)
{
    for (uint32_t i = 0; i < CLUSTER_NODES_MAX; i++) {
        for (uint32_t j = 0; j < CLUSTER_NODES_MAX; j++) {
            cluster->links[i][j].cut = false;
            cluster->links[i][j].held = false;
        }
    }
}

static void notice_unreachable(struct cluster_node *node, uint64_t peer)
{
    if (node->running && !node->paused && !node->closing) {
        replica_set_time(node->replica, node->cluster->now_ms, cluster_node_wall_ms(node));
        replica_on_peer_unreachable(node->replica, peer);
        node->has_input = true;
    }
}

void cluster_reset_link(struct cluster *cluster, uint64_t from, uint64_t to)
{
    struct cluster_link *link = cluster_link(cluster, from, to);
    drop_messages(link);
    if (!link->connected) {
        return;
    }
    link->connected = false;
    link->next_dial_ms = cluster->now_ms + DIAL_RETRY_MS;
    notice_unreachable(cluster_node(cluster, from), to);
    notice_unreachable(cluster_node(cluster, to), from);
}

static struct bus_message decode(const uint8_t *bytes, size_t size)
{
    struct bus_message message;
    size_t consumed = 0;
    size_t wanted = 0;
    enum bus_codec_result result = bus_codec_decode(bytes, size, BUS_FRAME_BYTES_MAX, &message, &consumed, &wanted);
    assert_int_equal(result, BUS_CODEC_MESSAGE);
    assert_int_equal(consumed, size);
    return message;
}

uint32_t cluster_count_messages(const struct cluster_link *link, enum raft_message_type type)
{
    uint32_t count = 0;
    for (const struct cluster_message *queued = link->first; queued != NULL; queued = queued->next) {
        struct bus_message message = decode(queued->bytes, queued->size);
        count += message.type == BUS_MESSAGE_RAFT && message.raft.type == type ? 1 : 0;
        bus_message_deinit(&message);
    }
    return count;
}

static bool can_talk(const struct cluster_node *node)
{
    return node->running && !node->paused && !node->stopped;
}

/* One side says hello; what the other side makes of it. */
static bool say_hello(struct cluster_node *from, struct cluster_node *to, struct bus_hello *hello,
                      struct bus_message *refused)
{
    struct bus_message message = {.type = BUS_MESSAGE_HELLO};
    replica_fill_hello(from->replica, to->id, &message.hello);
    struct byte_buffer bytes = {0};
    bus_codec_encode(&bytes, &message);
    struct bus_message arrived = decode(byte_buffer_front(&bytes), byte_buffer_size(&bytes));
    byte_buffer_deinit(&bytes);
    *hello = arrived.hello;
    return replica_check_hello(to->replica, hello, refused);
}

static bool dial(struct cluster_node *from, struct cluster_node *to)
{
    struct cluster *cluster = from->cluster;
    struct cluster_link *link = cluster_link(cluster, from->id, to->id);
    link->next_dial_ms = cluster->now_ms + DIAL_RETRY_MS;
    struct bus_hello first, answer;
    struct bus_message refused;
    replica_set_time(from->replica, cluster->now_ms, cluster_node_wall_ms(from));
    replica_set_time(to->replica, cluster->now_ms, cluster_node_wall_ms(to));
    from->has_input = to->has_input = true;
    if (!say_hello(from, to, &first, &refused)) {
        replica_on_refused(from->replica, to->id, refused.refused.code, refused.refused.reason);
        return true;
    }
    if (!say_hello(to, from, &answer, &refused)) {
        replica_on_refused(to->replica, from->id, refused.refused.code, refused.refused.reason);
        return true;
    }
    link->connected = true;
    replica_on_peer_hello(to->replica, from->id, &first);
    replica_on_peer_connected(from->replica, to->id, &answer);
    return true;
}

static bool is_member(const struct cluster_node *node, uint64_t id)
{
    bool found = node->members_count == 0;
    for (uint32_t i = 0; i < node->members_count; i++) {
        found = found || node->members[i] == id;
    }
    return found;
}

static bool dial_all(struct cluster *cluster)
{
    bool dialled = false;
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        for (uint32_t j = 0; j < cluster->nodes_count; j++) {
            struct cluster_node *from = &cluster->nodes[i];
            struct cluster_node *to = &cluster->nodes[j];
            struct cluster_link *there = &cluster->links[i][j];
            bool open = !there->cut && !cluster->links[j][i].cut;
            if (i != j && open && !there->connected && can_talk(from) && can_talk(to) && is_member(from, to->id) &&
                cluster->now_ms >= there->next_dial_ms) {
                dialled = dial(from, to) || dialled;
            }
        }
    }
    return dialled;
}

/* ---- disks --------------------------------------------------------------------------------------- */

void cluster_hold_disk(struct cluster_node *node, enum disk_queue queue, bool hold)
{
    node->held[queue] = hold;
}

void cluster_hold_reports(struct cluster_node *node, enum disk_queue queue, bool hold)
{
    node->held_report[queue] = hold;
}

struct disk_job *cluster_first_job(struct cluster_node *node, enum disk_queue queue)
{
    return node->jobs[queue] == NULL ? NULL : node->jobs[queue]->job;
}

static void run_one(struct cluster_job *queued)
{
    assert_false(queued->was_run);
    queued->was_run = true;
    disk_job_run(queued->job);
}

bool cluster_run_job(struct cluster_node *node, enum disk_queue queue, enum storage_status status)
{
    struct cluster_job *queued = node->jobs[queue];
    while (queued != NULL && queued->was_run) {
        queued = queued->next;
    }
    if (queued == NULL) {
        return false;
    }
    if (status == STORAGE_OK) {
        run_one(queued);
    } else {
        queued->was_run = true;
        queued->job->status = status;
        (void)snprintf(queued->job->error.text, sizeof queued->job->error.text, "made to fail");
    }
    return true;
}

bool cluster_report_job(struct cluster_node *node, enum disk_queue queue)
{
    struct cluster_job *queued = node->jobs[queue];
    if (queued == NULL || !queued->was_run) {
        return false;
    }
    node->jobs[queue] = queued->next;
    replica_set_time(node->replica, node->cluster->now_ms, cluster_node_wall_ms(node));
    replica_on_disk_job_done(node->replica, queued->job);
    free(queued);
    node->has_input = true;
    return true;
}

static void move_disks(struct cluster_node *node)
{
    for (int queue = 0; queue < DISK_QUEUES_COUNT; queue++) {
        while (node->jobs[queue] != NULL) {
            struct cluster_job *queued = node->jobs[queue];
            if (!queued->was_run && !node->held[queue] && queued->run_ms <= node->cluster->now_ms) {
                run_one(queued);
            }
            if (!queued->was_run || node->held_report[queue] || queued->report_ms > node->cluster->now_ms) {
                break;
            }
            (void)cluster_report_job(node, (enum disk_queue)queue);
        }
    }
}

/* ---- checks -------------------------------------------------------------------------------------- */

static void check_leader(struct cluster *cluster, const struct raft_status *status)
{
    for (uint32_t i = 0; i < cluster->leaders_count; i++) {
        if (cluster->leaders[i].term == status->term) {
            assert_int_equal(cluster->leaders[i].id, status->id); /* election safety */
            return;
        }
    }
    cluster->leaders = realloc(cluster->leaders, (cluster->leaders_count + 1) * sizeof *cluster->leaders);
    assert_non_null(cluster->leaders);
    cluster->leaders[cluster->leaders_count++] = (struct cluster_leader){status->term, status->id};
}

static void check_content(struct cluster *cluster, const struct map_meta *meta)
{
    if (meta->applied_index >= cluster->digests_count) {
        uint64_t count = meta->applied_index * 2 + 64;
        cluster->digests = realloc(cluster->digests, count * sizeof *cluster->digests);
        assert_non_null(cluster->digests);
        memset(cluster->digests + cluster->digests_count, 0,
               (count - cluster->digests_count) * sizeof *cluster->digests);
        cluster->digests_count = count;
    }
    uint64_t content = meta->digest ^ (meta->key_count * UINT64_C(0x9E3779B97F4A7C15)) ^
                       (meta->log_time_ms << 20) ^ (meta->applied_term << 1);
    content = content == 0 ? 1 : content;
    uint64_t *seen = &cluster->digests[meta->applied_index];
    if (*seen != 0 && *seen != content) {
        fail_msg("two nodes differ after entry %llu", (unsigned long long)meta->applied_index);
    }
    *seen = content;
}

static void check_node(struct cluster_node *node)
{
    if (replica_raft(node->replica) == NULL) {
        return;
    }
    raft_check_invariants(replica_raft(node->replica));
    struct raft_status status = cluster_status(node);
    if (status.role == RAFT_LEADER) {
        check_leader(node->cluster, &status);
    }
    check_content(node->cluster, map_get_meta(replica_map(node->replica)));
    assert_true(map_durable_index(replica_map(node->replica)) <= status.durable_index);
}

/* ---- turns --------------------------------------------------------------------------------------- */

static bool is_message_due(const struct cluster *cluster, const struct cluster_link *link)
{
    return link->first != NULL && !link->held && link->first->deliver_ms <= cluster->now_ms;
}

static bool is_job_due(const struct cluster_node *node, uint64_t *next_ms)
{
    for (int queue = 0; queue < DISK_QUEUES_COUNT; queue++) {
        const struct cluster_job *queued = node->jobs[queue];
        if (queued == NULL || (!queued->was_run && node->held[queue]) ||
            (queued->was_run && node->held_report[queue])) {
            continue;
        }
        uint64_t due_ms = queued->was_run ? queued->report_ms : queued->run_ms;
        if (due_ms <= node->cluster->now_ms) {
            return true;
        }
        *next_ms = due_ms < *next_ms ? due_ms : *next_ms;
    }
    return false;
}

/* When the node's next turn is due: now (true), or not before *next_ms. */
static bool is_turn_due(struct cluster_node *node, uint64_t *next_ms)
{
    struct cluster *cluster = node->cluster;
    if (!can_talk(node)) {
        return false;
    }
    if (node->has_input || replica_is_busy(node->replica) || is_job_due(node, next_ms)) {
        return true;
    }
    for (uint64_t from = 1; from <= cluster->nodes_count; from++) {
        struct cluster_link *link = cluster_link(cluster, from, node->id);
        if (is_message_due(cluster, link)) {
            return true;
        }
        if (link->first != NULL && !link->held && link->first->deliver_ms < *next_ms) {
            *next_ms = link->first->deliver_ms;
        }
    }
    uint64_t deadline_ms = replica_deadline_ms(node->replica);
    *next_ms = deadline_ms < *next_ms ? deadline_ms : *next_ms;
    return deadline_ms <= cluster->now_ms;
}

static void deliver_messages(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    for (uint64_t from = 1; from <= cluster->nodes_count; from++) {
        struct cluster_link *link = cluster_link(cluster, from, node->id);
        while (is_message_due(cluster, link)) {
            struct cluster_message *queued = link->first;
            link->first = queued->next;
            link->last = link->first == NULL ? NULL : link->last;
            struct bus_message message = decode(queued->bytes, queued->size);
            replica_on_message(node->replica, from, &message);
            bus_message_deinit(&message);
            free(queued);
        }
    }
}

static void take_turn(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    if (++cluster->turns_at_this_time > TURNS_AT_ONE_TIME_MAX) {
        fail_msg("node %llu is busy for ever", (unsigned long long)node->id);
    }
    node->has_input = false;
    replica_set_time(node->replica, cluster->now_ms, cluster_node_wall_ms(node));
    if (cluster->clients_first) {
        cluster_clients_read(node);
    }
    deliver_messages(node);
    move_disks(node);
    cluster_clients_read(node);
    replica_end_turn(node->replica);
    check_node(node);
    cluster_clients_end_closing(node);
    if (node->stopped) {
        close_node(node);
    }
}

/* Does all that is due now; gives the time of what is due next. */
static uint64_t settle(struct cluster *cluster)
{
    for (;;) {
        uint64_t next_ms = UINT64_MAX;
        bool did = dial_all(cluster);
        for (uint32_t i = 0; i < cluster->nodes_count; i++) {
            if (cluster->nodes[i].stopped && cluster->nodes[i].running) {
                close_node(&cluster->nodes[i]);
                did = true;
            }
            if (is_turn_due(&cluster->nodes[i], &next_ms)) {
                take_turn(&cluster->nodes[i]);
                did = true;
            }
        }
        if (did) {
            continue;
        }
        for (uint32_t i = 0; i < CLUSTER_NODES_MAX * CLUSTER_NODES_MAX; i++) {
            const struct cluster_link *link = &cluster->links[i / CLUSTER_NODES_MAX][i % CLUSTER_NODES_MAX];
            if (!link->connected && link->next_dial_ms > cluster->now_ms && link->next_dial_ms < next_ms) {
                next_ms = link->next_dial_ms;
            }
        }
        return next_ms;
    }
}

void cluster_settle(struct cluster *cluster)
{
    (void)settle(cluster);
}

void cluster_run_until(struct cluster *cluster, bool (*is_true)(struct cluster *cluster, void *context), void *context,
                       uint64_t ms)
{
    uint64_t end_ms = cluster->now_ms + ms;
    for (;;) {
        uint64_t next_ms = settle(cluster);
        if (is_true != NULL && is_true(cluster, context)) {
            return;
        }
        if (next_ms > end_ms) {
            break;
        }
        assert_true(next_ms > cluster->now_ms);
        cluster->now_ms = next_ms;
        cluster->turns_at_this_time = 0;
    }
    if (is_true != NULL) {
        fail_msg("did not come about within %llu ms", (unsigned long long)ms);
    }
    cluster->now_ms = end_ms;
    cluster->turns_at_this_time = 0;
}

void cluster_run(struct cluster *cluster, uint64_t ms)
{
    cluster_run_until(cluster, NULL, NULL, ms);
}
