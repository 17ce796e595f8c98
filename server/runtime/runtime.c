/* runtime.c: builds a node from its settings, and turns the loop. */
#include "runtime_internal.h"

#include "socket.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    DRAIN_MS_MAX = 10000, /* how long the end waits for disk jobs that are running */
};

/* ---- events ---------------------------------------------------------------------------------- */

static void take_disk_jobs(struct runtime *runtime)
{
    struct disk_job *job = disk_workers_take_done(runtime->workers);

    while (job != NULL) {
        struct disk_job *next = job->next;

        job->next = NULL;
        cold_data_note_job(&runtime->cold_data, job);
        replica_on_disk_job_done(runtime->loop.replica, job);
        job = next;
    }
}

static void on_disk(evutil_socket_t file, short what, void *context)
{
    struct runtime *runtime = context;

    (void)file;
    (void)what;
    loop_begin_turn(&runtime->loop);
    take_disk_jobs(runtime);
}

static void on_streams(evutil_socket_t file, short what, void *context)
{
    struct runtime *runtime = context;

    (void)file;
    (void)what;
    loop_begin_turn(&runtime->loop);
    streams_report(runtime->streams, runtime->loop.replica);
}

static void on_timer(evutil_socket_t file, short what, void *context)
{
    struct runtime *runtime = context;

    (void)file;
    (void)what;
    loop_begin_turn(&runtime->loop);
}

static void on_signal(evutil_socket_t file, short what, void *context)
{
    struct runtime *runtime = context;
    struct signalfd_siginfo info;

    (void)what;
    loop_begin_turn(&runtime->loop);
    while (read(file, &info, sizeof info) == (ssize_t)sizeof info) {
        if (runtime->shutting_down) {
            runtime->at_once = true;
            runtime_stop(runtime, REPLICA_EXIT_OK, "asked to stop at once");
            return;
        }
        struct log_fields fields = {0};

        runtime->shutting_down = true;
        log_fields_add_text(&fields, "signal", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
        log_event(&runtime->log, REPLICA_LOG_INFO, "signal", fields.text);
        for (uint32_t i = 0; i < BUS_LISTENERS_MAX; i++) {
            listener_stop(&runtime->listeners[i]); /* new clients go to another node */
        }
        replica_begin_shutdown(runtime->loop.replica);
    }
}

static void on_client_accepted(void *context, int file, uint32_t number)
{
    connections_open(&((struct runtime *)context)->connections, file, number);
}

static void on_backup(void *context, int file, const struct backup_order *order)
{
    streams_back_up(((struct runtime *)context)->streams, file, order);
}

static void on_snapshot_arriving(void *context, int file, const void *rest, size_t rest_size,
                                 struct raft_entry_id upto, uint64_t generation)
{
    streams_receive(((struct runtime *)context)->streams, file, rest, rest_size, upto, generation);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Sets the timer to the replica's deadline; false: it is due now. */
static bool arm_timer(struct runtime *runtime)
{
    uint64_t deadline_ms = replica_deadline_ms(runtime->loop.replica);

    if (deadline_ms == UINT64_MAX) {
        (void)event_del(&runtime->timer);
        return true;
    }
    loop_read_clocks(&runtime->loop);
    if (deadline_ms <= runtime->loop.now_ms) {
        return false;
    }
    uint64_t in_ms = deadline_ms - runtime->loop.now_ms;
    const struct timeval in = {(time_t)(in_ms / 1000), (suseconds_t)(in_ms % 1000) * 1000};

    if (event_add(&runtime->timer, &in) != 0) {
        abort();
    }
    return true;
}

static void turn(struct runtime *runtime)
{
    bool busy = replica_is_busy(runtime->loop.replica) || connections_have_work(&runtime->connections) ||
                !arm_timer(runtime);

    if (event_base_loop(runtime->loop.base, EVLOOP_ONCE | (busy ? EVLOOP_NONBLOCK : 0)) < 0) {
        abort(); /* epoll itself does not work */
    }
    loop_begin_turn(&runtime->loop);
    connections_resume(&runtime->connections);
    replica_set_data_is_cold(runtime->loop.replica,
                             cold_data_look(&runtime->cold_data, runtime->loop.now_ms));
    replica_end_turn(runtime->loop.replica);
    if (runtime->bus != NULL) {
        bus_flush(runtime->bus);
    }
    streams_check(runtime->streams, runtime->loop.replica, runtime->loop.now_ms);
    if (!runtime->stopping || runtime->code == REPLICA_EXIT_OK) {
        connections_flush(&runtime->connections); /* a node with a broken disk gives no more answers */
    }
    runtime->loop.in_turn = false;
}

/* Ends the streams: they read the map. False: one does not end. */
static bool drain_streams(struct runtime *runtime)
{
    struct loop *loop = &runtime->loop;

    loop_read_clocks(loop);
    uint64_t deadline_ms = loop->now_ms + DRAIN_MS_MAX;

    streams_abort(runtime->streams);
    while (!streams_are_idle(runtime->streams)) {
        struct pollfd file = {streams_file(runtime->streams), POLLIN, 0};

        loop_read_clocks(loop);
        if (runtime->at_once || loop->now_ms >= deadline_ms) {
            return false;
        }
        (void)poll(&file, 1, (int)(deadline_ms - loop->now_ms));
        streams_report(runtime->streams, loop->replica);
    }
    return true;
}

/* Waits for the disk jobs that are out: the replica's memory is theirs until then. False: it takes too long.
 */
static bool drain_disk_jobs(struct runtime *runtime)
{
    struct loop *loop = &runtime->loop;

    loop_read_clocks(loop);
    uint64_t deadline_ms = loop->now_ms + DRAIN_MS_MAX;

    take_disk_jobs(runtime);
    while (disk_workers_jobs_out(runtime->workers) > 0) {
        struct pollfd files[] = {{disk_workers_file(runtime->workers), POLLIN, 0},
                                 {runtime->signal_file, POLLIN, 0}};

        loop_read_clocks(loop);
        if (runtime->at_once || loop->now_ms >= deadline_ms) {
            return false;
        }
        (void)poll(files, 2, (int)(deadline_ms - loop->now_ms));
        if ((files[1].revents & POLLIN) != 0) {
            return false;
        }
        take_disk_jobs(runtime);
    }
    return true;
}

enum replica_exit runtime_run(struct runtime *runtime)
{
    while (!runtime->stopping) {
        turn(runtime);
    }
    bus_destroy(runtime->bus); /* no more snapshots come */
    runtime->bus = NULL;
    if (!drain_streams(runtime) || !drain_disk_jobs(runtime)) {
        log_event(&runtime->log, REPLICA_LOG_WARNING, "stopped-at-once", "");
        _exit(
            (int)runtime->code); /* the disk hangs: whatever it is at is a transaction, whole or not at all */
    }
    return runtime->code;
}

/* ---- building -------------------------------------------------------------------------------- */

static void block_signals(struct runtime *runtime)
{
    sigset_t ours, blocked;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGTERM);
    (void)sigaddset(&ours, SIGINT);
    blocked = ours;
    if (pthread_sigmask(SIG_BLOCK, &blocked, &runtime->signals_before) != 0) {
        abort();
    }
    runtime->signal_file = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
}

static bool make_loop(struct runtime *runtime)
{
    struct loop *loop = &runtime->loop;

    block_signals(runtime);
    loop->log = &runtime->log;
    loop->base = loop_make_base();
    startup_random(&loop->random_state, sizeof loop->random_state);
    runtime->workers = disk_workers_create(cold_data_run_job);
    const struct streams_options options = {
        .node_id = runtime->config->id,
        .secret = runtime->config->secret,
        .secret_bytes = runtime->config->secret_bytes,
        .rate_bytes_max = runtime->config->snapshot_rate_bytes,
        .pinned_bytes_max = runtime->config->snapshot_pinned_bytes,
        .data_map_bytes = runtime->config->data_map_bytes,
        .directory = runtime->startup.directory,
        .log = &runtime->log,
    };
    runtime->streams = streams_create(&options);
    if (runtime->signal_file < 0 || loop->base == NULL || runtime->workers == NULL ||
        runtime->streams == NULL) {
        return false;
    }
    runtime->resolver = resolver_create(loop->base);
    return runtime->resolver != NULL &&
           event_assign(&runtime->signal_event, loop->base, runtime->signal_file, EV_READ | EV_PERSIST,
                        on_signal, runtime) == 0 &&
           event_assign(&runtime->disk_event, loop->base, disk_workers_file(runtime->workers),
                        EV_READ | EV_PERSIST, on_disk, runtime) == 0 &&
           event_assign(&runtime->streams_event, loop->base, streams_file(runtime->streams),
                        EV_READ | EV_PERSIST, on_streams, runtime) == 0 &&
           event_add(&runtime->streams_event, NULL) == 0 &&
           evtimer_assign(&runtime->timer, loop->base, on_timer, runtime) == 0 &&
           event_add(&runtime->signal_event, NULL) == 0 && event_add(&runtime->disk_event, NULL) == 0;
}

static enum storage_status make_replica(struct runtime *runtime, struct storage_error *error)
{
    const struct config *config = runtime->config;
    struct bus_listener_address announced[BUS_LISTENERS_MAX];
    const struct replica_io io = runtime_io(runtime);
    struct replica_options options = {
        .node_id = config->id,
        .members = config->members,
        .members_count = config->members_count,
        .joins = config->joins,
        .joins_count = config->joins_count,
        .listeners = announced,
        .listeners_count = config->listeners_count,
        .log = runtime->startup.log,
        .identity = runtime->startup.identity,
        .open_map = runtime_open_map,
        .data_directory = config->data,
        .config_file = config->config_file,
        .election_timeout_ms = (uint32_t)config->election_timeout_ms,
        .heartbeat_interval_ms = (uint32_t)config->heartbeat_interval_ms,
        .unreachable_delay_ms = (uint32_t)config->unreachable_delay_ms,
        .parking_ms = (uint32_t)config->parking_ms,
        .command_timeout_ms = (uint32_t)config->command_timeout_ms,
        .entries_in_flight_max = (uint32_t)config->entries_in_flight,
        .gather_commands = true,
        .entry_bytes_max = (uint32_t)config->entry_bytes,
        .checkpoint_log_bytes = config->checkpoint_log_bytes,
        .checkpoint_idle_ms = (uint32_t)config->checkpoint_idle_ms,
        .log_tail_bytes = config->log_tail_bytes,
        .client_pending_bytes_max = config->client_pending_bytes,
        .pending_bytes_max = config->pending_bytes,
        .follower_reads_stale = config->follower_reads == 1,
        .scrub_rate = config->scrub_rate_bytes,
        .scrub_pause_ms = config->scrub_pause_ms,
    };

    for (uint32_t i = 0; i < config->listeners_count; i++) {
        announced[i] = config->listeners[i].announced;
        if (announced[i].port == 0) {
            announced[i].port = socket_local_port(runtime->startup.client_files[i]);
        }
    }
    startup_random(&options.seed, sizeof options.seed);
    startup_random(options.new_cluster_id, sizeof options.new_cluster_id);
    loop_read_clocks(&runtime->loop);
    return replica_create(&options, &io, runtime->loop.now_ms, runtime->loop.wall_clock_ms,
                          &runtime->loop.replica, error);
}

static void open_doors(struct runtime *runtime)
{
    const struct config *config = runtime->config;
    struct startup *startup = &runtime->startup;

    connections_init(&runtime->connections, &runtime->loop, startup->clients_max,
                     config->client_memory_bytes);
    runtime->connections.back_up = on_backup;
    runtime->connections.context = runtime;
    runtime->clients_exist = true;
    for (uint32_t i = 0; i < config->listeners_count; i++) {
        listener_start(&runtime->listeners[i], &runtime->loop, startup->client_files[i], i,
                       on_client_accepted, runtime);
        startup->client_files[i] = -1;
    }
    if (startup->bus_file >= 0) {
        const struct bus_options options = {
            .node_id = config->id,
            .secret = config->secret,
            .secret_bytes = config->secret_bytes,
            .election_timeout_ms = (uint32_t)config->election_timeout_ms,
            .receive_snapshot = on_snapshot_arriving,
            .receive_context = runtime,
        };

        runtime->bus = bus_create(&runtime->loop, runtime->resolver, &options, startup->bus_file);
        startup->bus_file = -1;
    }
}

static void log_start(const struct runtime *runtime)
{
    const struct config *config = runtime->config;
    struct log_fields fields = {0};

    log_fields_add_number(&fields, "pid", (uint64_t)getpid());
    log_fields_add_text(&fields, "data", config->data);
    log_fields_add_text(&fields, "listen", config->listen);
    if (config->members_count > 1) {
        log_fields_add_text(&fields, "cluster", config->cluster);
    }
    if (config->joins_count > 0) {
        log_fields_add_text(&fields, "join", config->join);
    }
    log_event(&runtime->log, REPLICA_LOG_INFO, "started", fields.text);
    if (runtime->startup.clients_max < config->clients_max) {
        fields = (struct log_fields){0};
        log_fields_add_number(&fields, "wanted", config->clients_max);
        log_fields_add_number(&fields, "possible", runtime->startup.clients_max);
        log_fields_add_text(&fields, "reason", "the limit of open files (ulimit -n) is too low");
        log_event(&runtime->log, REPLICA_LOG_WARNING, "max-clients-lowered", fields.text);
    }
}

struct runtime *runtime_create(const struct config *config, struct startup_problem *problem)
{
    struct runtime *runtime = calloc(1, sizeof *runtime);
    struct storage_error error = {0};

    if (runtime == NULL) {
        abort();
    }
    runtime->config = config;
    runtime->signal_file = -1;
    runtime->log = (struct log){(enum replica_log_level)config->log_level,
                                (enum log_format)config->log_format, config->id, STDERR_FILENO};
    for (uint32_t i = 0; i < BUS_LISTENERS_MAX; i++) {
        runtime->listeners[i].file = -1;
    }
    if (!startup_begin(config, &runtime->startup, problem)) {
        free(runtime);
        return NULL;
    }
    if (!make_loop(runtime)) {
        problem->code = REPLICA_EXIT_START;
        (void)snprintf(problem->text, sizeof problem->text, "The system gives no threads or events: %s.",
                       strerror(errno));
        runtime_destroy(runtime);
        return NULL;
    }
    enum storage_status status = make_replica(runtime, &error);

    if (status != STORAGE_OK) {
        problem->code = replica_exit_at_start(status);
        (void)snprintf(problem->text, sizeof problem->text, "%s", error.text);
        runtime_destroy(runtime);
        return NULL;
    }
    open_doors(runtime);
    log_start(runtime);
    return runtime;
}

void runtime_destroy(struct runtime *runtime)
{
    if (runtime == NULL) {
        return;
    }
    for (uint32_t i = 0; i < BUS_LISTENERS_MAX; i++) {
        listener_stop(&runtime->listeners[i]);
    }
    if (runtime->clients_exist) {
        connections_deinit(&runtime->connections);
    }
    bus_destroy(runtime->bus);
    replica_destroy(runtime->loop.replica);
    runtime->loop.replica = NULL;
    disk_workers_destroy(runtime->workers);
    streams_destroy(runtime->streams);
    resolver_destroy(runtime->resolver);
    if (runtime->loop.base != NULL) {
        if (event_initialized(&runtime->signal_event)) {
            (void)event_del(&runtime->signal_event);
        }
        if (event_initialized(&runtime->disk_event)) {
            (void)event_del(&runtime->disk_event);
        }
        if (event_initialized(&runtime->streams_event)) {
            (void)event_del(&runtime->streams_event);
        }
        if (event_initialized(&runtime->timer)) {
            (void)event_del(&runtime->timer);
        }
        event_base_free(runtime->loop.base);
    }
    if (runtime->signal_file >= 0) {
        (void)close(runtime->signal_file);
        (void)pthread_sigmask(SIG_SETMASK, &runtime->signals_before, NULL);
    }
    startup_end(&runtime->startup);
    free(runtime);
}

uint16_t runtime_client_port(const struct runtime *runtime, uint32_t number)
{
    return runtime->listeners[number].file < 0 ? 0 : socket_local_port(runtime->listeners[number].file);
}
