/* replica_cluster.h: a few replicas in one process, with the real storage, and everything round them in a
 * test's hand.
 *
 * Time is virtual and moves only in cluster_run() and what calls it. Messages pass through bus_codec and wait
 * in one queue per ordered pair of nodes; disk jobs wait in the queues of their node. Both move by themselves
 * (after a delay, which may be drawn from the seed) unless a test holds them. The same seed and the same
 * calls give the same run.
 *
 * Checked after every turn of a node: the invariants of its core, at most one leader per term, and that nodes
 * which have applied the same entries hold the same content. A node that asks for turn after turn without
 * time going on fails the test.
 *
 * A crash closes everything; what was handed to the disk and not run is lost, what was run and not reported
 * is on disk.
 */
#ifndef REPLICA_CLUSTER_H
#define REPLICA_CLUSTER_H

#include "byte_buffer.h"
#include "replica.h"
#include "resp_parser.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CLUSTER_NODES_MAX = 7,
    CLUSTER_LISTENERS = 2, /* "inside" announces node<id>:7000, "outside" 127.0.0.1:700<id> */
};

struct cluster_message {
    struct cluster_message *next;
    uint64_t deliver_ms;
    size_t size;
    uint8_t bytes[];
};

/* From one node to another: the connection that the first one dials. */
struct cluster_link {
    bool connected;
    bool cut;  /* what is sent is lost, what is dialled hangs */
    bool held; /* what is sent waits */
    uint64_t next_dial_ms;
    struct cluster_message *first, *last;
};

struct cluster_job {
    struct cluster_job *next;
    struct disk_job *job;
    bool was_run;
    uint64_t run_ms, report_ms;
};

/* LOW: jobs are done, with the reserve. FULL: what needs room is not. */
enum cluster_disk_room { CLUSTER_DISK_ROOMY, CLUSTER_DISK_LOW, CLUSTER_DISK_FULL };

enum { CLUSTER_BACKUPS_MAX = 4 };

struct cluster_node {
    struct cluster *cluster;
    uint64_t id;
    char *directory;
    bool running;
    bool paused;
    bool stopped; /* by itself: with this code, for this reason */
    enum replica_exit stop_code;
    char stop_reason[600];
    enum storage_status start_status; /* of the last cluster_start_node() */
    struct storage_error start_error; /* when it gave false */
    uint32_t members_count;           /* configured; 0: all nodes of the cluster */
    uint64_t members[CLUSTER_NODES_MAX];
    uint64_t join;           /* not 0: its directory is new, and it asks the node with this id to be added */
    uint64_t join_too;       /* ... or this one; 0: none */
    int64_t clock_offset_ms; /* wall clock: cluster_wall_ms() + this */
    struct replica *replica;
    struct log_store *log;
    struct cluster_job *jobs[DISK_QUEUES_COUNT];
    bool held[DISK_QUEUES_COUNT];        /* jobs are not run by themselves */
    bool held_report[DISK_QUEUES_COUNT]; /* jobs are run, but not reported by themselves */
    enum cluster_disk_room room;
    struct backup_order backups[CLUSTER_BACKUPS_MAX]; /* begun, and not ended by cluster_end_backup() */
    uint32_t backups_count;
    bool closing; /* crashing: nothing leaves */
    bool has_input;
    struct byte_buffer events; /* what it logged: "event fields\n" */
    uint64_t starts_count;
    uint32_t maps_replaced; /* times that it was said that old maps are to be removed */
    /* When it last said that messages should leave now: its last entry, and the last applied one. */
    uint64_t sent_now_last, sent_now_applied;
};

struct cluster_client {
    struct cluster_client *next;
    struct cluster_node *node;
    struct replica_client *client; /* NULL: not connected any more */
    struct resp_parser parser;
    struct byte_buffer input;    /* sent by the client, not read by the node yet */
    struct byte_buffer received; /* NUL-terminated by cluster_received() */
    bool takes_output;           /* false: it does not read its replies */
    bool is_read;                /* the node has not stopped reading from it */
    bool ended_by_node;
};

struct cluster {
    char *directory;
    uint32_t nodes_count;
    uint32_t initial_count; /* nodes 1 to this one form the cluster */
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    struct cluster_link links[CLUSTER_NODES_MAX][CLUSTER_NODES_MAX]; /* [from - 1][to - 1] */
    struct cluster_client *clients;
    struct cluster_stream *streams;
    uint32_t streams_total;          /* that were begun */
    uint32_t stream_chunk_ms;        /* for each chunk */
    bool hold_streams;               /* after their first chunk */
    struct replica_options defaults; /* for every start of a node; a test may change them */
    size_t map_buffer_bytes_max, log_map_bytes, data_map_bytes;
    uint64_t now_ms;
    uint64_t random;
    /* Drawn anew for each message and job: */
    uint32_t delay_ms_min, delay_ms_max;
    uint32_t disk_ms_max;
    uint32_t drop_per_mille; /* of messages */
    bool clients_first;      /* in a turn requests are read before messages */
    uint64_t next_client_id;
    uint32_t turns_at_this_time;
    struct cluster_leader {
        uint64_t term, id;
    } * leaders;
    uint32_t leaders_count;
    uint64_t *digests; /* by applied index; 0: not seen yet */
    uint64_t digests_count;
    bool data_is_cold; /* as nodes that are started are told */
    bool may_differ;   /* a test makes a node hold something else */
};

/* `nodes_count` nodes with ids from 1, none of them running. */
struct cluster *cluster_create(uint32_t nodes_count, uint64_t seed);
void cluster_destroy(struct cluster *cluster);
/* The same, all nodes started, the cluster formed and led. */
struct cluster *cluster_create_led(uint32_t nodes_count, uint64_t seed);
/* The first `initial_count` of them; the others are not started. */
struct cluster *cluster_create_partly(uint32_t nodes_count, uint32_t initial_count, uint64_t seed);

uint64_t cluster_random_below(struct cluster *cluster, uint64_t limit);
uint64_t cluster_wall_ms(const struct cluster *cluster);

/* ---- nodes ---- */

struct cluster_node *cluster_node(struct cluster *cluster, uint64_t id);
/* From what its directory holds. False: replica_create() refused, see start_status and start_error. */
bool cluster_start_node(struct cluster_node *node);
void cluster_start_all(struct cluster *cluster);
void cluster_crash(struct cluster_node *node);
void cluster_wipe(struct cluster_node *node); /* not running: empties its directory */
void cluster_pause(struct cluster_node *node);
void cluster_resume(struct cluster_node *node);

/* ---- time ---- */

void cluster_run(struct cluster *cluster, uint64_t ms);
/* Until it is true; fails the test after `ms`. */
void cluster_run_until(struct cluster *cluster, bool (*is_true)(struct cluster *cluster, void *context),
                       void *context, uint64_t ms);
/* Everything that is due now, without moving the time. */
void cluster_settle(struct cluster *cluster);

/* ---- the network ---- */

struct cluster_link *cluster_link(struct cluster *cluster, uint64_t from, uint64_t to);
void cluster_cut(struct cluster *cluster, uint64_t from, uint64_t to); /* one way, silently */
void cluster_hold_links_to(struct cluster *cluster, uint64_t id);      /* what is sent to it waits */
void cluster_isolate(struct cluster *cluster, uint64_t id); /* both ways, from everybody, silently */
void cluster_heal(struct cluster *cluster);                 /* everything */
void cluster_reset_link(struct cluster *cluster, uint64_t from, uint64_t to); /* breaks; both sides notice */
uint32_t cluster_count_messages(const struct cluster_link *link, enum raft_message_type type);

/* ---- snapshots ---- */

struct cluster_stream {
    struct cluster_stream *next;
    struct cluster_node *from, *to;
    struct snapshot_order order;
    struct raft_entry_id upto;
    struct map_snapshot *snapshot;
    struct map_loader *loader; /* NULL: not accepted yet */
    struct map_meta meta;      /* of what is loaded */
    uint64_t due_ms;
    uint32_t chunks;
    bool is_over;
};

/* ---- backups ---- */

/* The first one that is under way: its stream is over. */
void cluster_end_backup(struct cluster_node *node, bool ok);

/* ---- disks ---- */

void cluster_hold_disk(struct cluster_node *node, enum disk_queue queue, bool hold);
/* Also lets go what waits. */
void cluster_hold_reports(struct cluster_node *node, enum disk_queue queue, bool hold);
/* Runs (with `status` STORAGE_OK), or fails, the first job that was not run. False: there is none. */
bool cluster_run_job(struct cluster_node *node, enum disk_queue queue, enum storage_status status);
/* Reports the first job, if it was run. */
bool cluster_report_job(struct cluster_node *node, enum disk_queue queue);
struct disk_job *cluster_first_job(struct cluster_node *node, enum disk_queue queue); /* NULL: none waits */

/* ---- clients ---- */

struct cluster_client *cluster_connect(struct cluster_node *node, uint32_t listener);
void cluster_send(struct cluster_client *client,
                  const char *line); /* an inline command, without its line end */
void cluster_send_bytes(struct cluster_client *client, const void *bytes, size_t size);
void cluster_send_set(struct cluster_client *client, const char *key,
                      size_t value_bytes); /* a value of 'x' */
void cluster_disconnect(struct cluster_client *client);
const char *cluster_received(struct cluster_client *client);
void cluster_forget_received(struct cluster_client *client);
/* Runs until as many bytes as `text` has are there (10 s at most), compares all that is there, and forgets
 * it. */
void cluster_expect(struct cluster_client *client, const char *text);
/* The same, comparing only the start of the first line; the rest of what is there is forgotten. */
void cluster_expect_prefix(struct cluster_client *client, const char *prefix);
/* Runs a little and sees that nothing has come. */
void cluster_expect_nothing(struct cluster_client *client, uint64_t ms);
/* One command on a connection of its own. The reply lives until the next call. */
const char *cluster_ask(struct cluster_node *node, const char *line);
/* The leader's reply must begin so. */
void cluster_tell_leader(struct cluster *cluster, const char *line, const char *begin);
/* `count` values of 1000 bytes, under the keys prefix:0 and so on. */
void cluster_write_values(struct cluster *cluster, const char *prefix, int count);

/* ---- looking ---- */

struct raft_status cluster_status(const struct cluster_node *node);
/* The running, unpaused leader of the highest term that is ready; NULL: none. */
struct cluster_node *cluster_find_leader(struct cluster *cluster);
struct cluster_node *cluster_await_leader(struct cluster *cluster);
struct cluster_node *cluster_follower(struct cluster *cluster,
                                      uint32_t number); /* 0, 1, ...: nodes that are not the leader */
const struct map_meta *cluster_meta(const struct cluster_node *node);
/* For cluster_run_until(): `node` has stopped by itself. */
bool cluster_has_stopped(struct cluster *cluster, void *node);
bool cluster_has_event(const struct cluster_node *node, const char *text);
/* All running nodes apply all there is; then they must hold the same. */
void cluster_assert_equal(struct cluster *cluster);

#endif
