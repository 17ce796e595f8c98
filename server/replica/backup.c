/* backup.c: whom a backup is streamed to (RAFT BACKUP), and from which state on.
 *
 * A backup is the map as it is on this node's disk, by the same read transaction as a snapshot (snapshot.c).
 * So that it holds all that had been applied here when it was asked for, a checkpoint is written first, and
 * the client waits for it in its queue like one whose turn has not come.
 *
 * The bytes travel elsewhere (struct replica_io). While they do, the map that is read stays open, also if it
 * is not the live one any more.
 */
#include "replica_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* All that clients may have seen: also of an entry that is applied in part. */
static uint64_t seen_index(const struct replica *replica)
{
    return map_get_meta(replica->map)->applied_index + (replica->application.active ? 1 : 0);
}

bool backup_wants_checkpoint(const struct replica *replica)
{
    return map_durable_index(replica->map) < replica->backups.wanted_index;
}

bool backup_reads_map(const struct replica *replica, const struct map *map)
{
    for (uint32_t i = 0; i < replica->backups.running_count; i++) {
        if (replica->backups.running[i].map == map) {
            return true;
        }
    }
    return false;
}

/* NULL: nothing speaks against it. */
static const char *find_obstacle(const struct replica *replica)
{
    if (replica->io.start_backup == NULL) {
        return "ERR this node makes no backups";
    }
    if (replica->shutting_down || replica->stopping) {
        return "ERR this node is being stopped: ask another one";
    }
    if (replica->backups.running_count == BACKUPS_MAX) {
        return "ERR this node is streaming as many backups as it may at a time: ask another one, or later";
    }
    if (replica->space.checkpoint_is_full) {
        return "ERR this node's disk is full, so that it cannot write down what it has in memory: ask "
               "another "
               "one";
    }
    return NULL;
}

/* The client's connection becomes a stream: nothing is read from it any more, and nothing written to it but
 * the replies that it has to get still. */
static void start(struct replica *replica, struct replica_client *client)
{
    struct backups *backups = &replica->backups;
    const struct backup_order order = {
        .id = ++backups->last_id,
        .map = replica->map,
        .cluster_id = {replica->identity.cluster_id[0], replica->identity.cluster_id[1]},
        .node_id = replica->options.node_id,
        .wall_clock_ms = replica->wall_clock_ms,
    };
    backups->running[backups->running_count++] = (struct running_backup){order.id, replica->map};
    replica_log(replica, REPLICA_LOG_INFO, "backup-begun", "backup=%" PRIu64 " client=%" PRIu64 " address=%s",
                order.id, client->info.id, client->info.address);
    replica->io.start_backup(replica->io.context, client->connection, &order);
}

enum backup_begin backup_begin(struct replica *replica, struct replica_client *client, const char **obstacle)
{
    struct backups *backups = &replica->backups;
    *obstacle = find_obstacle(replica);
    if (*obstacle != NULL) {
        client->backup_index = 0;
        return BACKUP_REFUSED;
    }
    if (client->backup_index == 0) {
        client->backup_index = seen_index(replica);
    }
    if (client->backup_index == 0) {
        *obstacle = "ERR there is nothing to back up yet: this node has applied nothing";
        return BACKUP_REFUSED;
    }
    if (map_durable_index(replica->map) < client->backup_index) {
        backups->wanted_index =
            client->backup_index > backups->wanted_index ? client->backup_index : backups->wanted_index;
        return BACKUP_WAITS;
    }
    start(replica, client);
    return BACKUP_BEGUN;
}

void replica_on_backup_ended(struct replica *replica, uint64_t id, bool ok, struct raft_entry_id upto,
                             const char *reason)
{
    struct backups *backups = &replica->backups;
    uint32_t at = 0;
    while (at < backups->running_count && backups->running[at].id != id) {
        at++;
    }
    assert(at < backups->running_count);
    backups->running[at] = backups->running[--backups->running_count];
    snapshot_close_retired(replica);
    replica_log(replica, ok ? REPLICA_LOG_INFO : REPLICA_LOG_WARNING, ok ? "backup-sent" : "backup-failed",
                "backup=%" PRIu64 " index=%" PRIu64 "%s%s%s", id, upto.index, ok ? "" : " reason=\"",
                ok ? "" : reason, ok ? "" : "\"");
}
