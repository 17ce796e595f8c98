/* node_view.h: what a node knows about itself and its cluster, as plain data for INFO, CLUSTER, RAFT STATUS,
 * HELLO. Filled by the replica before it runs a COMMAND_NEEDS_VIEW command; valid during that call. */
#ifndef NODE_VIEW_H
#define NODE_VIEW_H

#include "client_info.h"

#include <stdbool.h>
#include <stdint.h>

enum { NODE_VIEW_MEMBERS_MAX = 17, NODE_VIEW_FORCED_MAX = 16, NODE_HOST_BYTES_MAX = 256 };

/* A lost majority that was given up (kvd force-new-cluster). */
struct node_view_forced {
    uint64_t time_ms, node_id;
    char cluster_id[33]; /* the former one, 32 hex digits */
    uint64_t last_term, last_index, commit_index;
};

struct node_view_member {
    uint64_t node_id; /* 1, 2, 3 ... */
    char hex_id[41];  /* 40 hex digits, the same on every node */
    /* Client address of the listener that this client came in by; "" unknown yet. */
    char host[NODE_HOST_BYTES_MAX];
    uint16_t port; /* 0 unknown yet */
    char bus_host[NODE_HOST_BYTES_MAX];
    uint16_t bus_port;
    bool is_self;
    bool is_leader;
    bool connected;   /* a bus connection to it stands; true for self */
    const char *kind; /* "voter", "learner", "outgoing" (votes until the change is done), "none" */
    bool disk_known;  /* it has been there */
    bool becomes_voter;
    uint64_t replaces; /* 0: nobody */
    /* known to the leader only */
    bool progress_known;
    const char *progress; /* "probe", "replicate", "snapshot" */
    uint64_t match_index;
    uint64_t next_index;
    bool recently_active;
    /* Of the snapshot that is being streamed to it; all 0: none is. */
    uint64_t snapshot_keys, snapshot_keys_total, snapshot_bytes;
    bool low_space;       /* as it said last; false: not, or not known */
    bool differs;         /* known to the leader only: its digest was not that of the others */
    uint32_t rules_known; /* the newest rules that it can go by, as it said last; 0: not known */
};

struct node_view {
    /* this node */
    uint64_t node_id;
    const char *version;    /* "0.1.0" */
    const char *build;      /* git description */
    uint64_t now_ms;        /* monotonic */
    uint64_t wall_clock_ms; /* Unix time */
    uint64_t uptime_ms;
    uint64_t process_id;
    const char *data_directory;
    const char *config_file; /* "" */
    uint16_t port;           /* client port of the client's listener, announced */
    uint16_t bus_port;
    /* consensus */
    const char *role; /* raft_role_name(), "forming" before the cluster is formed */
    uint64_t term;
    uint64_t vote;
    uint64_t leader_id; /* 0: none known */
    bool leader_ready;
    uint64_t transferee;
    uint64_t first_index, last_index, last_term, durable_index, commit_index, applied_index;
    uint64_t map_durable_index;
    uint64_t election_age_ms; /* how long no leader has been known; 0 when one is */
    bool state_ok;            /* a leader is known, or the election is younger than the parking time */
    bool formed;
    char cluster_id[33]; /* 32 hex digits */
    char disk_id[17];
    /* state machine */
    uint64_t key_count, digest, log_time_ms;
    uint32_t rules_version; /* in force */
    uint32_t rules_known;   /* the newest that this node can go by */
    int64_t clock_skew_ms;  /* of this node against the median of the members; 0 unknown */
    /* traffic */
    uint64_t clients_connected, clients_max, clients_total, clients_refused;
    uint64_t commands_total, commands_parked, reads_pending, writes_pending;
    uint64_t redirects_total, unknown_total, entries_applied_total, elections_total;
    uint64_t memory_resident_bytes, client_memory_bytes, buffer_bytes;
    uint64_t log_bytes, log_file_bytes, map_file_bytes;
    bool low_space;           /* the disk is nearly full: what makes the data grow is refused */
    uint64_t disk_free_bytes; /* of the filesystem, beyond what this node has reserved */
    const char *damage;       /* what the scrub found on the disk; "": nothing */
    uint64_t scrubs_total;
    uint64_t log_room_bytes, map_room_bytes; /* reserved: can be written on a full disk */
    bool checkpoint_running;
    uint64_t snapshot_from; /* a snapshot from this node is being loaded or installed; 0: none */
    uint64_t snapshot_index, snapshot_keys, snapshot_bytes; /* ... up to this entry; so much has arrived */
    uint64_t snapshots_sent_total, snapshots_failed_total, snapshots_installed_total;
    uint64_t checkpoints_total;
    uint64_t input_bytes_total, output_bytes_total;

    uint64_t membership_index; /* of the entry that set the members; 0: those that formed the cluster */
    const char
        *membership; /* "stable", "changing" (not committed yet), "joint" (old and new voters together) */
    uint32_t forced_count;
    struct node_view_forced forced[NODE_VIEW_FORCED_MAX];
    uint32_t members_count; /* the leader (or the last known one) first, then by id */
    struct node_view_member members[NODE_VIEW_MEMBERS_MAX];

    /* Calls visit for every connected client, by id. */
    void (*for_each_client)(void *clients, void (*visit)(void *context, const struct client_info *client),
                            void *context);
    void *clients;
};

#endif
