/* replica.c: creation, the turn, shutting down. See replica.h; the parts are listed in replica_internal.h. */
#include "replica_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RAFT_APPEND_BYTES_MAX = 1 << 20,
    RAFT_INFLIGHT_MESSAGES_MAX = 64,
    RAFT_INFLIGHT_BYTES_MAX = 16 << 20,
    RAFT_CACHE_BYTES_MAX = 32 << 20,
    RAFT_UNSTABLE_BYTES_MAX = 64 << 20,
    SHUTDOWN_DRAIN_MS = 150, /* after the hand-over: clients are still told where the leader is */
    TURN_ROUNDS_MAX = 8,     /* of "propose, send, apply" within one turn */
};

void replica_log(struct replica *replica, enum replica_log_level level, const char *event, const char *format,
                 ...)
{
    char fields[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(fields, sizeof fields, format, arguments);
    va_end(arguments);
    replica->io.log(replica->io.context, level, event, fields);
}

void replica_stop(struct replica *replica, enum replica_exit code, const char *reason)
{
    if (!replica->stopping) {
        replica->stopping = true;
        atomic_store(&replica->fetch.give_up, true);
        replica->io.stop(replica->io.context, code, reason);
    }
}

void replica_stop_for_storage(struct replica *replica, enum storage_status status, const char *reason)
{
    replica_stop(replica, status == STORAGE_CORRUPT ? REPLICA_EXIT_CORRUPT : REPLICA_EXIT_DISK, reason);
}

enum replica_exit replica_exit_at_start(enum storage_status status)
{
    assert(status != STORAGE_OK);
    return status == STORAGE_CORRUPT ? REPLICA_EXIT_CORRUPT : REPLICA_EXIT_START;
}

/* A node that is about to hand leadership over takes nothing new; alone in its cluster it has nobody to hand
 * over to. */
bool replica_leads(const struct replica *replica)
{
    return replica->raft != NULL && raft_get_role(replica->raft) == RAFT_LEADER &&
           raft_transferee(replica->raft) == RAFT_NODE_NONE &&
           (!replica->shutting_down || membership_is_alone(replica));
}

/* ---- creation ------------------------------------------------------------------------------------ */

struct run_list {
    struct raft_term_run *runs;
    uint32_t count, capacity;
};

static void collect_run(void *context, uint64_t first_index, uint64_t term)
{
    struct run_list *list = context;
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        list->runs = realloc(list->runs, list->capacity * sizeof *list->runs);
        if (list->runs == NULL) {
            abort();
        }
    }
    list->runs[list->count++] = (struct raft_term_run){.first_index = first_index, .term = term};
}

static enum storage_status check_map_against_log(const struct map_meta *meta,
                                                 const struct log_store_state *state,
                                                 struct storage_error *error)
{
    if (meta->applied_index > state->last.index) {
        (void)snprintf(
            error->text, sizeof error->text,
            "the map has applied entry %llu but the log ends at %llu: one of them was replaced or damaged; "
            "replace this node",
            (unsigned long long)meta->applied_index, (unsigned long long)state->last.index);
        return STORAGE_CORRUPT;
    }
    if (meta->applied_index < state->base.index) {
        (void)snprintf(
            error->text, sizeof error->text,
            "the log begins after entry %llu but the map has applied only %llu: one of them was replaced or "
            "damaged; replace this node",
            (unsigned long long)state->base.index, (unsigned long long)meta->applied_index);
        return STORAGE_CORRUPT;
    }
    return STORAGE_OK;
}

static uint64_t value_or(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static struct raft_config make_raft_config(const struct replica *replica)
{
    const struct replica_options *options = &replica->options;
    return (struct raft_config){
        .id = options->node_id,
        .seed = options->seed,
        .election_timeout_ms = options->election_timeout_ms,
        .heartbeat_interval_ms = options->heartbeat_interval_ms,
        .unreachable_delay_ms = options->unreachable_delay_ms,
        .disk_stall_timeout_ms = options->election_timeout_ms * DISK_STALL_ELECTION_TIMEOUTS,
        .append_bytes_max = (uint32_t)value_or(options->append_bytes_max, RAFT_APPEND_BYTES_MAX),
        .inflight_messages_max =
            (uint32_t)value_or(options->inflight_messages_max, RAFT_INFLIGHT_MESSAGES_MAX),
        .inflight_bytes_max = (uint32_t)value_or(options->inflight_bytes_max, RAFT_INFLIGHT_BYTES_MAX),
        .cache_bytes_max = value_or(options->cache_bytes_max, RAFT_CACHE_BYTES_MAX),
        .unstable_bytes_max = value_or(options->unstable_bytes_max, RAFT_UNSTABLE_BYTES_MAX),
        .is_this_node = membership_names_this_disk,
        .is_this_node_context = replica,
    };
}

/* The map is opened, and the core starts from what the log holds. */
enum storage_status replica_start_raft(struct replica *replica, struct storage_error *error)
{
    assert(replica->raft == NULL && replica->identity.formation == LOG_FORMATION_FORMED);
    enum storage_status status =
        replica->options.open_map(replica->io.context, replica->identity.cluster_id[0], &replica->map, error);
    if (status != STORAGE_OK) {
        return status;
    }
    struct log_store_state state;
    log_store_get_state(replica->options.log, &state);
    const struct map_meta *meta = map_get_meta(replica->map);
    replica->shown_digest = meta->digest;
    struct run_list list = {0};
    struct membership_list memberships = {0};
    status = versions_check_start(replica, error);
    if (status == STORAGE_OK) {
        status = check_map_against_log(meta, &state, error);
    }
    if (status == STORAGE_OK) {
        status = log_store_term_runs(replica->options.log, collect_run, &list, error);
    }
    if (status == STORAGE_OK) {
        status = membership_restore(replica, &memberships, error);
    }
    if (status != STORAGE_OK) {
        membership_list_deinit(&memberships);
        free(list.runs);
        return status;
    }
    struct raft_restore restore = {
        .hard_state = {.term = state.hard_state.term, .vote = state.hard_state.vote},
        .base = {.term = state.base.term, .index = state.base.index},
        .last_index = state.last.index,
        .runs = list.runs,
        .runs_count = list.count,
        .commit = state.commit_hint > meta->applied_index ? state.commit_hint : meta->applied_index,
        .applied = meta->applied_index,
        .memberships = memberships.entries,
        .memberships_count = memberships.count,
    };
    struct raft_config config = make_raft_config(replica);
    replica->raft = raft_create(&config, &restore, replica->now_ms);
    replica->membership.was_here = memberships.names_this_disk;
    for (uint32_t i = 0; i < memberships.count; i++) { /* later ones may be undone yet */
        if (memberships.entries[i].id.index <= restore.commit) {
            replica->membership.committed_index = memberships.entries[i].id.index;
        }
    }
    membership_list_deinit(&memberships);
    free(list.runs);
    membership_follow(replica);
    apply_choose_phase(replica);
    replica->last_write_ms = replica->now_ms;
    replica->last_role = RAFT_FOLLOWER;
    replica->leaderless_since_ms = replica->now_ms;
    replica->redispatch = true;
    space_start(replica);
    scrub_start(replica);
    replica_log(replica, REPLICA_LOG_INFO, "raft-started",
                "term=%llu first=%llu last=%llu commit=%llu applied=%llu",
                (unsigned long long)state.hard_state.term, (unsigned long long)state.base.index + 1,
                (unsigned long long)state.last.index, (unsigned long long)restore.commit,
                (unsigned long long)restore.applied);
    return STORAGE_OK;
}

static void take_configured(struct replica *replica)
{
    const struct replica_options *options = &replica->options;
    assert(options->members_count >= 1 && options->members_count <= RAFT_NODES_MAX);
    for (uint32_t i = 0; i < options->members_count; i++) {
        bool has_room = members_put(&replica->configured, &options->members[i]);
        assert(has_room);
    }
    assert(members_find(&replica->configured, options->node_id) != NULL);
    replica->members_hash = hello_hash_members(&replica->configured);
    replica->options.members = NULL;
}

static struct replica *allocate(const struct replica_options *options, const struct replica_io *io,
                                uint64_t now_ms, uint64_t wall_clock_ms)
{
    struct replica *replica = calloc(1, sizeof *replica);
    if (replica == NULL) {
        abort();
    }
    replica->options = *options;
    replica->io = *io;
    replica->identity = options->identity;
    replica->now_ms = replica->started_ms = now_ms;
    replica->wall_clock_ms = wall_clock_ms;
    replica->leaderless_since_ms = now_ms;
    replica->parked_next_ms = UINT64_MAX;
    replica->output_check_ms = UINT64_MAX;
    fetch_start(replica);
    assert(options->listeners_count <= BUS_LISTENERS_MAX && options->identity.disk_id != 0);
    for (uint32_t i = 0; i < options->listeners_count; i++) {
        replica->listeners[i] = options->listeners[i];
    }
    take_configured(replica);
    replica->options.listeners = NULL;
    return replica;
}

enum storage_status replica_create(const struct replica_options *options, const struct replica_io *io,
                                   uint64_t now_ms, uint64_t wall_clock_ms, struct replica **replica,
                                   struct storage_error *error)
{
    struct replica *created = allocate(options, io, now_ms, wall_clock_ms);
    enum storage_status status = STORAGE_OK;
    membership_start(created);
    join_start(created);
    formation_start(created);
    if (created->identity.formation == LOG_FORMATION_FORMED) {
        status = replica_start_raft(created, error);
    }
    if (status != STORAGE_OK) {
        replica_destroy(created);
        return status;
    }
    *replica = created;
    return STORAGE_OK;
}

void replica_destroy(struct replica *replica)
{
    if (replica == NULL) {
        return;
    }
    client_unlink_all(replica);
    apply_destroy(replica);
    batches_destroy(replica);
    reads_destroy(replica);
    persist_destroy(replica);
    fetch_destroy(replica);
    snapshot_destroy(replica);
    raft_destroy(replica->raft);
    map_close(replica->map);
    free(replica->arguments);
    free(replica);
}

/* ---- the turn ------------------------------------------------------------------------------------ */

void replica_set_time(struct replica *replica, uint64_t now_ms, uint64_t wall_clock_ms)
{
    assert(now_ms >= replica->now_ms);
    replica->now_ms = now_ms;
    replica->wall_clock_ms = wall_clock_ms;
    if (replica->raft != NULL) {
        raft_set_time(replica->raft, now_ms);
    }
}

/* What a node says of what it holds or will do, and is counted for it. */
static bool is_promise(const struct raft_message *message)
{
    return message->type == RAFT_MESSAGE_PRE_VOTE_RESPONSE || message->type == RAFT_MESSAGE_VOTE_RESPONSE ||
           message->type == RAFT_MESSAGE_APPEND_RESPONSE || message->type == RAFT_MESSAGE_HEARTBEAT_RESPONSE;
}

/* A member is its id and its disk. One that goes by a newer membership is heard, even if it has an id that is
 * another's by our book; but what it promises is no promise of that one's. */
static bool speaks_for_itself(const struct replica *replica, const struct peer *peer)
{
    const struct replica_member *member = members_find_const(&replica->members, peer->member.node_id);
    return member == NULL || member->disk_id == 0 || !peer->hello_known ||
           member->disk_id == peer->hello.disk_id;
}

void replica_on_message(struct replica *replica, uint64_t peer, const struct bus_message *message)
{
    if (message->type == BUS_MESSAGE_FORMATION) {
        formation_on_message(replica, peer, &message->formation);
        return;
    }
    if (message->type == BUS_MESSAGE_REPORT) {
        report_on_message(replica, peer, &message->report);
        return;
    }
    if (message->type != BUS_MESSAGE_RAFT || message->raft.from != peer || replica->raft == NULL ||
        replica->stopping) {
        return;
    }
    const struct peer *known = peers_find_const(replica, peer);
    if (known == NULL || (is_promise(&message->raft) && !speaks_for_itself(replica, known))) {
        return;
    }
    peers_note_message(replica, peer, message->wall_clock_ms);
    bool was_stale = replica->parked_first != NULL && !dispatch_has_fresh_leader(replica);
    raft_step(replica->raft, &message->raft);
    if (was_stale && dispatch_has_fresh_leader(replica)) {
        replica->redispatch = true; /* parked commands can be sent there again */
    }
}

static void note_leader_change(struct replica *replica)
{
    enum raft_role role = raft_get_role(replica->raft);
    raft_node_id leader = raft_leader(replica->raft);
    raft_node_id transferee = raft_transferee(replica->raft);
    uint64_t term = raft_get_term(replica->raft);
    if (role == replica->last_role && leader == replica->last_leader && term == replica->last_term &&
        transferee == replica->last_transferee) {
        return;
    }
    if (role != replica->last_role) {
        replica_log(replica, REPLICA_LOG_INFO, "role-changed", "role=%s term=%llu", raft_role_name(role),
                    (unsigned long long)term);
        if (role == RAFT_LEADER) {
            replica->elections_total++;
        }
    }
    if (leader != replica->last_leader || (leader != RAFT_NODE_NONE && term != replica->last_term)) {
        replica_log(replica, REPLICA_LOG_INFO, leader == RAFT_NODE_NONE ? "leader-lost" : "leader-known",
                    "leader=%llu term=%llu", (unsigned long long)leader, (unsigned long long)term);
    }
    if (leader != RAFT_NODE_NONE) {
        replica->leaderless_since_ms = 0;
        replica->last_leader_known = leader;
    } else if (replica->leaderless_since_ms == 0) {
        replica->leaderless_since_ms = replica->now_ms;
    }
    if (!replica_leads(replica)) {
        batch_return_unsealed(replica);
    }
    replica->last_role = role;
    replica->last_transferee = transferee;
    replica->last_leader = leader;
    replica->last_term = term;
    replica->redispatch = true;
}

static void send_now(const struct replica *replica)
{
    if (replica->io.send_now != NULL) {
        replica->io.send_now(replica->io.context);
    }
}

/* Sealing, sending, persisting, applying and answering, until nothing more can be done now. */
static void work(struct replica *replica)
{
    for (int round = 0; round < TURN_ROUNDS_MAX && !replica->stopping; round++) {
        note_leader_change(replica);
        membership_follow(replica);
        membership_tick(replica);
        snapshot_tick(replica);
        dispatch_parked(replica);
        apply_maybe_purge(replica);
        batch_seal(replica);
        reads_ask(replica);
        persist_take_ready(replica);
        fetch_tick(replica);
        if (apply_is_due(replica)) {
            /* Disks and other nodes go on with the newer entries while this one applies the older. */
            send_now(replica); /* first: theirs is the longer way */
            persist_submit(replica);
        }
        bool applied = apply_committed(replica);
        reads_serve(replica);
        reads_ask(replica); /* rounds may have become free */
        if (!applied && !replica->redispatch && !raft_has_ready(replica->raft)) {
            break;
        }
        if (replica->more_to_apply) {
            break;
        }
    }
}

static bool is_anything_in_flight(const struct replica *replica)
{
    for (const struct replica_client *client = replica->clients_first; client != NULL;
         client = client->next) {
        if (client->first_slot != client->end_slot || byte_buffer_size(&client->output) > 0) {
            return true;
        }
    }
    return false;
}

/* Somebody is there to take leadership over. When the whole cluster is stopped at once, nobody is. */
static bool can_hand_over(const struct replica *replica)
{
    if (replica->raft == NULL || raft_get_role(replica->raft) != RAFT_LEADER || replica->handed_over) {
        return false;
    }
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        const struct peer *peer = &replica->peers[i];
        if (!peer->is_self && membership_is_voter(replica, peer->member.node_id) &&
            (peer->dialled || peer->accepted)) {
            return true;
        }
    }
    return false;
}

static void tick_shutdown(struct replica *replica)
{
    if (!replica->shutting_down || replica->stopping) {
        return;
    }
    /* Once: nodes that all stop together would pass leadership round and round. */
    if (replica->handing_over && raft_get_role(replica->raft) != RAFT_LEADER) {
        replica->handed_over = true;
    }
    bool leads = can_hand_over(replica);
    if (leads) {
        replica->drain_until_ms = 0;
    } else if (replica->drain_until_ms == 0) {
        replica->drain_until_ms = replica->now_ms + (membership_is_alone(replica) ? 0 : SHUTDOWN_DRAIN_MS);
    }
    bool drained = !leads && replica->now_ms >= replica->drain_until_ms && !is_anything_in_flight(replica);
    if (replica->now_ms >= replica->shutdown_deadline_ms || drained) {
        replica_stop(replica, replica->shutdown_code, replica->shutdown_reason);
        return;
    }
    if (leads && raft_transferee(replica->raft) == RAFT_NODE_NONE) {
        /* When it cannot begin now, the next turn tries again. */
        if (raft_transfer_leadership(replica->raft, RAFT_NODE_NONE)) {
            replica->handing_over = true;
        }
    }
}

void replica_end_turn(struct replica *replica)
{
    if (replica->stopping) {
        return;
    }
    formation_tick(replica);
    peers_tick(replica);
    if (replica->raft == NULL) {
        dispatch_parked(replica);
    } else {
        raft_tick(replica->raft, replica->now_ms);
        batch_expire(replica);
        reads_expire(replica);
        tick_shutdown(replica);
        work(replica);
        fetch_tick(replica);
        peers_maybe_warn_of_clock(replica);
        persist_submit(replica);
        apply_maybe_checkpoint(replica);
        space_tick(replica);
        report_tick(replica);
        scrub_tick(replica);
        const char *problem = map_error(replica->map);
        if (problem != NULL) {
            replica_stop(replica, REPLICA_EXIT_CORRUPT, problem);
            return; /* no answer leaves */
        }
    }
    clients_shed_output(replica);
    clients_release_throttled(replica);
    clients_announce_ready(replica);
    if (replica->raft == NULL) {
        tick_shutdown(replica);
    }
}

uint64_t replica_deadline_ms(const struct replica *replica)
{
    uint64_t deadline_ms = clients_deadline_ms(replica);
    if (replica->parked_next_ms < deadline_ms) {
        deadline_ms = replica->parked_next_ms;
    }
    if (replica->raft == NULL) {
        uint64_t next_ms =
            replica->options.joins_count > 0 ? join_deadline_ms(replica) : replica->formation_next_ms;
        if (!replica->identity_job_out && next_ms < deadline_ms) {
            deadline_ms = next_ms;
        }
        return deadline_ms;
    }
    const uint64_t others[] = {
        raft_deadline_ms(replica->raft),
        join_deadline_ms(replica),
        batch_deadline_ms(replica),
        reads_deadline_ms(replica),
        apply_deadline_ms(replica),
        space_deadline_ms(replica),
        report_deadline_ms(replica),
        scrub_deadline_ms(replica),
        replica->shutting_down ? replica->now_ms + 10 : UINT64_MAX,
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        deadline_ms = others[i] < deadline_ms ? others[i] : deadline_ms;
    }
    return deadline_ms;
}

bool replica_is_busy(const struct replica *replica)
{
    return !replica->stopping &&
           (replica->more_to_apply || (replica->redispatch && replica->parked_first != NULL) ||
            (replica->raft != NULL && (raft_has_ready(replica->raft) || map_has_dropped(replica->map))));
}

/* ---- leadership ---------------------------------------------------------------------------------- */

bool replica_transfer_leadership(struct replica *replica, uint64_t target)
{
    return replica->raft != NULL && replica_leads(replica) && raft_transfer_leadership(replica->raft, target);
}

void replica_hand_over(struct replica *replica, const char *reason)
{
    if (replica_transfer_leadership(replica, RAFT_NODE_NONE)) {
        replica_log(replica, REPLICA_LOG_WARNING, "handing-over", "reason=%s", reason);
    }
}

/* ---- stopping ------------------------------------------------------------------------------------ */

void replica_begin_shutdown(struct replica *replica)
{
    if (replica->shutting_down) {
        return;
    }
    replica->shutting_down = true;
    replica->shutdown_code = REPLICA_EXIT_OK;
    if (replica->shutdown_reason[0] == '\0') {
        (void)snprintf(replica->shutdown_reason, sizeof replica->shutdown_reason, "asked to stop");
    }
    replica->shutdown_deadline_ms = replica->now_ms + replica->options.command_timeout_ms;
    replica->redispatch = true;
    if (!replica_leads(replica)) {
        batch_return_unsealed(replica); /* not proposed yet: to be redirected */
    }
    replica_log(replica, REPLICA_LOG_INFO, "stopping", "%s", "");
}

/* ---- looking ------------------------------------------------------------------------------------- */

const struct raft *replica_raft(const struct replica *replica)
{
    return replica->raft;
}

struct map *replica_map(const struct replica *replica)
{
    return replica->map;
}
