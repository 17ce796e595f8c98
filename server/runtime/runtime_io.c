/* runtime_io.c: what the replica asks of the world (struct replica_io), and which part of a node does it. */
#include "runtime_internal.h"

#include "process_memory.h"

#include <unistd.h>

enum { MEMORY_READ_INTERVAL_MS = 1000 };

static void io_send(void *context, uint64_t peer, const struct bus_message *message)
{
    bus_send(((struct runtime *)context)->bus, peer, message);
}

static void io_send_now(void *context)
{
    struct bus *bus = ((struct runtime *)context)->bus;

    if (bus != NULL) {
        bus_send_now(bus);
    }
}

static void io_submit(void *context, struct disk_job *job)
{
    disk_workers_submit(((struct runtime *)context)->workers, job);
}

static void io_client_ready(void *context, struct replica_client *client, void *connection)
{
    (void)context;
    (void)client;
    connection_on_ready(connection);
}

void runtime_stop(void *context, enum replica_exit code, const char *reason)
{
    struct runtime *runtime = context;
    struct log_fields fields = {0};

    if (runtime->stopping) {
        return;
    }
    runtime->stopping = true;
    runtime->code = code;
    log_fields_add_number(&fields, "code", (uint64_t)code);
    log_fields_add_text(&fields, "reason", reason == NULL ? "" : reason);
    log_event(&runtime->log, code == REPLICA_EXIT_OK ? REPLICA_LOG_INFO : REPLICA_LOG_ERROR, "exiting",
              fields.text);
}

static void io_log(void *context, enum replica_log_level level, const char *event, const char *fields)
{
    log_event(&((struct runtime *)context)->log, level, event, fields);
}

static void io_send_snapshot(void *context, const struct snapshot_order *order)
{
    streams_send(((struct runtime *)context)->streams, order);
}

static void io_start_backup(void *context, void *connection, const struct backup_order *order)
{
    (void)context;
    connection_become_backup(connection, order);
}

static void io_map_replaced(void *context)
{
    struct runtime *runtime = context;

    streams_clean(runtime->streams, log_store_map_generation(runtime->startup.log));
}

static void io_fill_view(void *context, struct node_view *view)
{
    struct runtime *runtime = context;
    const struct connections *connections = &runtime->connections;
    uint64_t now_ms = runtime->loop.now_ms;

    if (runtime->resident_read_ms == 0 || now_ms - runtime->resident_read_ms >= MEMORY_READ_INTERVAL_MS) {
        runtime->resident_bytes = process_memory_resident_bytes();
        runtime->resident_read_ms = now_ms;
    }
    view->process_id = (uint64_t)getpid();
    view->clients_connected = connections->count;
    view->clients_max = connections->clients_max;
    view->clients_total = connections->clients_total;
    view->clients_refused = connections->clients_refused;
    view->client_memory_bytes = connections->input_bytes;
    view->input_bytes_total = connections->input_bytes_total;
    view->output_bytes_total = connections->output_bytes_total;
    view->memory_resident_bytes = runtime->resident_bytes;
    streams_fill_view(runtime->streams, view);
}

enum storage_status runtime_open_map(void *context, uint64_t hash_seed, struct map **map,
                                     struct storage_error *error)
{
    struct runtime *runtime = context;
    uint64_t generation = log_store_map_generation(runtime->startup.log);
    const struct map_options options = {
        .directory = data_directory_map_path(runtime->startup.directory, generation),
        .map_bytes = (size_t)runtime->config->data_map_bytes,
        .hash_seed = hash_seed,
        .buffer_bytes_max = (size_t)runtime->config->write_buffer_bytes,
        .reserve_bytes = runtime->config->disk_reserve_bytes,
    };

    return map_open(&options, map, error);
}

struct replica_io runtime_io(struct runtime *runtime)
{
    return (struct replica_io){
        .context = runtime,
        .send = io_send,
        .send_now = io_send_now,
        .submit = io_submit,
        .client_ready = io_client_ready,
        .stop = runtime_stop,
        .log = io_log,
        .fill_view = io_fill_view,
        .send_snapshot = io_send_snapshot,
        .start_backup = io_start_backup,
        .map_replaced = io_map_replaced,
    };
}
