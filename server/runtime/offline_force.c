/* offline_force.c: `kvd force-new-cluster`: shows what a survivor has and what would be lost; with the word
 * that the operator has to add, makes it a cluster of its own (forced_cluster.h).
 *
 * It is given the settings that the node is started with: they say which directory, and whose it must be.
 */
#include "offline.h"

#include "config.h"
#include "data_directory.h"
#include "forced_cluster.h"
#include "startup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char CONSENT[] = "--accept-data-loss";

/* What is open while it goes on. */
struct forcing {
    struct data_directory *directory;
    struct log_store *log;
    struct map *map;
};

static int fail(const char *where, const char *text, enum storage_status status)
{
    (void)fprintf(stderr, "kvd: force-new-cluster: %s%s%s. Nothing was changed.\n", where,
                  where[0] == '\0' ? "" : ": ", text);
    return (int)replica_exit_at_start(status);
}

/* ---- opening ------------------------------------------------------------------------------------- */

/* Opening would make a directory, and a log in it, where there is none. */
static bool is_there(const char *data)
{
    char path[4200];
    (void)snprintf(path, sizeof path, "%s/log/data.mdb", data);
    return access(path, F_OK) == 0;
}

static enum storage_status open_map(const struct config *config, struct forcing *forcing,
                                    struct storage_error *error)
{
    const struct map_options options = {
        .directory = data_directory_map_path(forcing->directory, log_store_map_generation(forcing->log)),
        .map_bytes = (size_t)config->data_map_bytes,
        .buffer_bytes_max = (size_t)config->write_buffer_bytes,
    };
    if (access(options.directory, F_OK) != 0) {
        (void)snprintf(error->text, sizeof error->text, "%s, which the log names, is not there",
                       options.directory);
        return STORAGE_CORRUPT;
    }
    return map_open(&options, &forcing->map, error);
}

static enum storage_status open_all(const struct config *config, struct forcing *forcing,
                                    struct forced_cluster *found, struct storage_error *error)
{
    enum storage_status status = data_directory_open(config->data, &forcing->directory, error);
    if (status != STORAGE_OK) {
        return status;
    }
    const struct log_store_options options = {.directory = data_directory_log_path(forcing->directory),
                                              .map_bytes = (size_t)config->log_map_bytes};
    bool is_known = false;
    status = log_store_open(&options, &forcing->log, error);
    if (status == STORAGE_OK) {
        status = log_store_read_identity(forcing->log, &found->identity, &is_known, error);
    }
    if (status == STORAGE_OK && is_known && found->identity.node_id != config->id) {
        (void)snprintf(error->text, sizeof error->text,
                       "it belongs to node %" PRIu64 ", and by the settings this is node %" PRIu64
                       ": give the settings with which the node is started",
                       found->identity.node_id, config->id);
        status = STORAGE_INCOMPATIBLE;
    }
    if (status == STORAGE_OK && is_known && found->identity.formation == LOG_FORMATION_FORMED) {
        status = open_map(config, forcing, error);
    } else if (status == STORAGE_OK) {
        (void)snprintf(error->text, sizeof error->text,
                       "it belongs to no cluster: nothing was ever written that could be lost");
        status = STORAGE_INCOMPATIBLE;
    }
    return status != STORAGE_OK ? status : forced_cluster_examine(forcing->log, forcing->map, found, error);
}

static void close_all(struct forcing *forcing)
{
    map_close(forcing->map);
    log_store_close(forcing->log);
    data_directory_close(forcing->directory);
}

/* ---- telling ------------------------------------------------------------------------------------- */

static const char *part_of(const struct forced_cluster *found)
{
    switch (raft_membership_find(&found->membership, found->identity.node_id)) {
    case RAFT_MEMBER_VOTER:
    case RAFT_MEMBER_OUTGOING:
        return "a voter";
    case RAFT_MEMBER_LEARNER:
        return "a learner: it may lack much";
    case RAFT_MEMBER_NONE:
        break;
    }
    return "no member any more: it was removed, and may lack much";
}

static void print_others(const struct forced_cluster *found)
{
    raft_node_id ids[RAFT_NODES_MAX];
    uint32_t count = raft_membership_list(&found->membership, ids);
    const char *between = "";
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] != found->identity.node_id) {
            (void)printf("%s%" PRIu64, between, ids[i]);
            between = ", ";
        }
    }
}

static void print_found(const struct config *config, const struct forced_cluster *found)
{
    const struct log_identity *identity = &found->identity;
    (void)printf("node %" PRIu64 ", data directory %s\n", identity->node_id, config->data);
    (void)printf("  cluster            %016" PRIx64 "%016" PRIx64 "\n", identity->cluster_id[0],
                 identity->cluster_id[1]);
    (void)printf("  this node is       %s\n", part_of(found));
    (void)printf("  other members      ");
    print_others(found);
    (void)printf("\n  its log ends at    entry %" PRIu64 " of term %" PRIu64 "\n", found->last.index,
                 found->last.term);
    (void)printf("  known as committed up to entry %" PRIu64 "\n", found->commit);
    (void)printf("  written to its map up to entry %" PRIu64 ", %" PRIu64 " keys then\n", found->applied,
                 found->key_count);
}

static void print_what_it_means(const struct forced_cluster *found)
{
    (void)printf(
        "\nforce-new-cluster makes this node a cluster of its own, with a new id and no other member, of all "
        "that is\nin its log.\n");
    (void)printf("- LOST is what was acknowledged and is not in this log: everything after entry %" PRIu64
                 ".\n",
                 found->last.index);
    if (found->last.index > found->commit) {
        (void)printf("- What stands after entry %" PRIu64
                     " is taken as committed. Whether it was is not known here: "
                     "among it may be\n  writes whose clients were never told OK.\n",
                     found->commit);
    }
    (void)printf("- The other members (");
    print_others(found);
    (void)printf(
        ") must never be started again with their present data. They and this\n  node refuse each other, "
        "but enough of them together would be the old cluster, and serve its data.\n");
    (void)printf(
        "If members that make a majority can still be brought back, do that instead: nothing is lost then. "
        "Where\nseveral survive, ask each of them, and take the one whose log ends with the highest term, "
        "and of those\nthe one with the highest entry.\n");
}

static void print_done(const struct forced_cluster *found, const struct forced_cluster_order *order)
{
    (void)printf("\nDone: node %" PRIu64 " is cluster %016" PRIx64 "%016" PRIx64
                 " now. Its log goes on after entry %" PRIu64 " of term %" PRIu64 ".\n",
                 found->identity.node_id, order->cluster_id[0], order->cluster_id[1], found->last.index + 1,
                 found->hard_state.term + 1);
    (void)printf(
        "This stays in its log for ever: each start says so, and RAFT STATUS (forced).\n"
        "Start it as always. The others join anew, each with an EMPTY data directory: kvd --id ID --join "
        "HOST:PORT ...\n");
}

/* ---- the command --------------------------------------------------------------------------------- */

static const struct replica_member *own_address(const struct config *config)
{
    for (uint32_t i = 0; i < config->members_count; i++) {
        if (config->members[i].node_id == config->id) {
            return &config->members[i];
        }
    }
    abort(); /* config_read() sees to it */
}

static int make(const struct config *config, struct forcing *forcing, const struct forced_cluster *found)
{
    struct storage_error error = {0};
    struct timespec now;
    struct forced_cluster_order order = {.address = *own_address(config)};
    startup_random(order.cluster_id, sizeof order.cluster_id);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    order.time_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    enum storage_status status = forced_cluster_make(forcing->log, found, &order, &error);
    if (status == STORAGE_OK) {
        print_done(found, &order);
        return REPLICA_EXIT_OK;
    }
    if (status == STORAGE_FULL) {
        return fail("", error.text, status);
    }
    (void)fprintf(stderr, "kvd: force-new-cluster: %s. Ask again without %s to see what came of it.\n",
                  error.text, CONSENT);
    return REPLICA_EXIT_DISK;
}

static int force(const struct config *config, bool consents)
{
    struct forcing forcing = {0};
    struct forced_cluster found = {0};
    struct storage_error error = {0};
    int code;
    if (!is_there(config->data)) {
        return fail(config->data, "there is no data of a node here; see the setting data",
                    STORAGE_INCOMPATIBLE);
    }
    enum storage_status status = open_all(config, &forcing, &found, &error);
    if (status != STORAGE_OK) {
        /* A sentence of the storage names the place itself. */
        bool names_place = strncmp(error.text, config->data, strlen(config->data)) == 0;
        code = fail(names_place ? "" : config->data, error.text, status);
    } else {
        print_found(config, &found);
        print_what_it_means(&found);
        if (consents) {
            code = make(config, &forcing, &found);
        } else {
            (void)printf("\nNothing was changed. To do it, add %s.\n", CONSENT);
            code = REPLICA_EXIT_USAGE;
        }
    }
    close_all(&forcing);
    return fflush(stdout) == 0 ? code : REPLICA_EXIT_START;
}

/* Takes the one word out that is no setting. */
static bool take_consent(int *count, char **arguments)
{
    bool found = false;
    int kept = 0;
    for (int i = 0; i < *count; i++) {
        if (strcmp(arguments[i], CONSENT) == 0) {
            found = true;
        } else {
            arguments[kept++] = arguments[i];
        }
    }
    *count = kept;
    return found;
}

int offline_force_new_cluster(int arguments_count, char **arguments, char *const *environment)
{
    static const char help[] = "kvd force-new-cluster [--accept-data-loss] [settings]\n\nFor a node whose "
                               "cluster has lost its majority for "
                               "good. Give it the settings that the node is started with:\nit looks into the "
                               "data directory, tells what "
                               "would be lost, and changes nothing unless --accept-data-loss is there.\n";
    struct config config;
    bool consents = take_consent(&arguments_count, arguments);
    int code;
    if (offline_read_settings(&config, arguments_count, arguments, environment, help, &code)) {
        code = force(&config, consents);
        config_deinit(&config);
    }
    return code;
}
