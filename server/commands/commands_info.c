/* commands_info.c: INFO, in sections as in Redis, with the fields that clients and exporters look at.
 *
 * The role is that of Redis: the leader is the master, all others are slaves of it. Fields for which kvd has
 * no number are left out; only db0's "expires" and "avg_ttl", without which some readers do not understand
 * the line, are always 0.
 */
#include "command_functions.h"
#include "command_text.h"

#include <stdio.h>
#include <string.h>

typedef unsigned long long ull;

static const struct node_view_member *find_leader(const struct node_view *node)
{
    for (uint32_t i = 0; i < node->members_count; i++) {
        if (node->leader_id != 0 && node->members[i].node_id == node->leader_id) {
            return &node->members[i];
        }
    }
    return NULL;
}

static bool is_leader(const struct node_view *node)
{
    return node->leader_id != 0 && node->leader_id == node->node_id;
}

static void append_bytes_human(struct byte_buffer *text, const char *key, uint64_t bytes)
{
    static const char UNITS[] = {'B', 'K', 'M', 'G', 'T', 'P'};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof UNITS) {
        value /= 1024;
        unit++;
    }
    command_text_append(text, unit == 0 ? "%s:%.0f%c\r\n" : "%s:%.2f%c\r\n", key, value, UNITS[unit]);
}

static void write_server(struct byte_buffer *text, const struct node_view *node)
{
    command_text_append(text, "redis_version:%s\r\nredis_mode:cluster\r\n", COMMAND_REDIS_VERSION);
    command_text_append(text, "kvd_version:%s\r\nkvd_build:%s\r\n", node->version, node->build);
    command_text_append(text, "arch_bits:%d\r\n", (int)(8 * sizeof(void *)));
    command_text_append(text, "process_id:%llu\r\ntcp_port:%u\r\n", (ull)node->process_id, node->port);
    command_text_append(text, "server_time_usec:%llu\r\n", (ull)node->wall_clock_ms * 1000);
    command_text_append(text, "uptime_in_seconds:%llu\r\nuptime_in_days:%llu\r\n",
                        (ull)node->uptime_ms / 1000, (ull)node->uptime_ms / (86400 * 1000ull));
    command_text_append(text, "config_file:%s\r\ndata_directory:%s\r\n", node->config_file,
                        node->data_directory);
}

static void write_clients(struct byte_buffer *text, const struct node_view *node)
{
    command_text_append(text, "connected_clients:%llu\r\n", (ull)node->clients_connected);
    uint32_t links = 0;
    for (uint32_t i = 0; i < node->members_count; i++) {
        links += !node->members[i].is_self && node->members[i].connected ? 1 : 0;
    }
    command_text_append(text, "cluster_connections:%u\r\nmaxclients:%llu\r\n", links, (ull)node->clients_max);
    command_text_append(text, "blocked_clients:0\r\n");
    command_text_append(text, "commands_parked:%llu\r\nreads_pending:%llu\r\nwrites_pending:%llu\r\n",
                        (ull)node->commands_parked, (ull)node->reads_pending, (ull)node->writes_pending);
}

static void write_memory(struct byte_buffer *text, const struct node_view *node)
{
    command_text_append(text, "used_memory:%llu\r\n", (ull)node->memory_resident_bytes);
    append_bytes_human(text, "used_memory_human", node->memory_resident_bytes);
    command_text_append(text, "used_memory_rss:%llu\r\n", (ull)node->memory_resident_bytes);
    append_bytes_human(text, "used_memory_rss_human", node->memory_resident_bytes);
    command_text_append(text, "maxmemory:0\r\nmaxmemory_human:0B\r\nmaxmemory_policy:noeviction\r\n");
    command_text_append(text, "mem_clients_normal:%llu\r\nwrite_buffer_bytes:%llu\r\n",
                        (ull)node->client_memory_bytes, (ull)node->buffer_bytes);
}

static void write_persistence(struct byte_buffer *text, const struct node_view *node)
{
    command_text_append(text,
                        "loading:0\r\nasync_loading:0\r\naof_enabled:1\r\naof_last_write_status:ok\r\n");
    command_text_append(text, "log_bytes:%llu\r\nlog_file_bytes:%llu\r\nmap_file_bytes:%llu\r\n",
                        (ull)node->log_bytes, (ull)node->log_file_bytes, (ull)node->map_file_bytes);
    command_text_append(text, "checkpoint_in_progress:%d\r\ncheckpoints_total:%llu\r\n",
                        node->checkpoint_running ? 1 : 0, (ull)node->checkpoints_total);
}

static void write_stats(struct byte_buffer *text, const struct node_view *node)
{
    command_text_append(text, "total_connections_received:%llu\r\ntotal_commands_processed:%llu\r\n",
                        (ull)node->clients_total, (ull)node->commands_total);
    command_text_append(text, "total_net_input_bytes:%llu\r\ntotal_net_output_bytes:%llu\r\n",
                        (ull)node->input_bytes_total, (ull)node->output_bytes_total);
    command_text_append(text, "rejected_connections:%llu\r\nevicted_keys:0\r\n", (ull)node->clients_refused);
    command_text_append(text, "redirects_total:%llu\r\nunknown_outcomes_total:%llu\r\n",
                        (ull)node->redirects_total, (ull)node->unknown_total);
    command_text_append(text, "entries_applied_total:%llu\r\nelections_total:%llu\r\n",
                        (ull)node->entries_applied_total, (ull)node->elections_total);
}

static void write_replicas(struct byte_buffer *text, const struct node_view *node)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->members_count; i++) {
        count += !node->members[i].is_self && node->members[i].connected ? 1 : 0;
    }
    command_text_append(text, "connected_slaves:%u\r\n", count);
    uint32_t number = 0;
    for (uint32_t i = 0; i < node->members_count; i++) {
        const struct node_view_member *member = &node->members[i];
        if (!member->is_self && member->connected) {
            command_text_append(text, "slave%u:ip=%s,port=%u,state=online,offset=%llu,lag=0\r\n", number++,
                                member->host, member->port,
                                (ull)(member->progress_known ? member->match_index : 0));
        }
    }
}

static void write_replication(struct byte_buffer *text, const struct node_view *node)
{
    if (is_leader(node)) {
        command_text_append(text, "role:master\r\n");
        write_replicas(text, node);
    } else {
        const struct node_view_member *leader = find_leader(node);
        command_text_append(text, "role:slave\r\nmaster_host:%s\r\nmaster_port:%u\r\n",
                            leader == NULL ? "" : leader->host, leader == NULL ? 0 : leader->port);
        command_text_append(text, "master_link_status:%s\r\n",
                            leader != NULL && leader->connected ? "up" : "down");
        command_text_append(
            text, "master_sync_in_progress:%d\r\nslave_read_repl_offset:%llu\r\nslave_repl_offset:%llu\r\n",
            node->snapshot_from != 0 ? 1 : 0, (ull)node->last_index, (ull)node->applied_index);
        command_text_append(text, "slave_priority:100\r\nslave_read_only:1\r\nconnected_slaves:0\r\n");
    }
    command_text_append(text, "master_replid:%s00000000\r\nmaster_repl_offset:%llu\r\n",
                        node->cluster_id[0] == '\0' ? "00000000000000000000000000000000" : node->cluster_id,
                        (ull)node->commit_index);
}

static void write_cluster(struct byte_buffer *text, const struct node_view *node)
{
    (void)node;
    command_text_append(text, "cluster_enabled:1\r\n");
}

static void write_keyspace(struct byte_buffer *text, const struct node_view *node)
{
    if (node->key_count > 0) {
        command_text_append(text, "db0:keys=%llu,expires=0,avg_ttl=0\r\n", (ull)node->key_count);
    }
}

static void write_raft(struct byte_buffer *text, const struct node_view *node)
{
    command_write_raft_status(text, node, "raft_", "\r\n");
}

static const struct {
    const char *name; /* as it is asked for */
    const char *title;
    void (*write)(struct byte_buffer *text, const struct node_view *node);
} SECTIONS[] = {
    {"server", "Server", write_server},    {"clients", "Clients", write_clients},
    {"memory", "Memory", write_memory},    {"persistence", "Persistence", write_persistence},
    {"stats", "Stats", write_stats},       {"replication", "Replication", write_replication},
    {"cluster", "Cluster", write_cluster}, {"keyspace", "Keyspace", write_keyspace},
    {"raft", "Raft", write_raft},
};
enum { SECTIONS_COUNT = sizeof SECTIONS / sizeof SECTIONS[0] };

static void choose_sections(const struct command_context *context, bool wanted[SECTIONS_COUNT])
{
    for (size_t row = 0; row < SECTIONS_COUNT; row++) {
        wanted[row] = context->arguments_count == 1;
    }
    for (uint32_t i = 1; i < context->arguments_count; i++) {
        const struct argument *word = &context->arguments[i];
        bool all = command_word_is(word, "all") || command_word_is(word, "default") ||
                   command_word_is(word, "everything");
        for (size_t row = 0; row < SECTIONS_COUNT; row++) {
            wanted[row] = wanted[row] || all || command_word_is(word, SECTIONS[row].name);
        }
    }
}

void command_info(struct command_context *context)
{
    bool wanted[SECTIONS_COUNT];
    choose_sections(context, wanted);
    struct byte_buffer text = {0};
    for (size_t row = 0; row < SECTIONS_COUNT; row++) {
        if (!wanted[row]) {
            continue;
        }
        command_text_append(&text, "%s# %s\r\n", byte_buffer_size(&text) > 0 ? "\r\n" : "",
                            SECTIONS[row].title);
        SECTIONS[row].write(&text, context->node);
    }
    byte_buffer_append(&text, "", 1);
    reply_verbatim_text(context->reply, (const char *)byte_buffer_front(&text), byte_buffer_size(&text) - 1);
    byte_buffer_deinit(&text);
}
