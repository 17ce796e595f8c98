/* sim_node.h: a process that runs a replica, and the machine's clock under it.
 *
 * A turn is what the runtime's loop does: the time is set, some of what has arrived is handed in (in any
 * order, and not necessarily all of it), the turn ends. A paused process takes no turns; what arrives for it
 * waits in its sockets. A process that is killed loses everything but what its disk holds; it may be killed
 * in the middle of a turn, after which nothing leaves it any more.
 */
#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "sim.h"
#include "sim_disk.h"

#include "data_directory.h"

enum sim_node_state {
    SIM_NODE_DOWN,
    SIM_NODE_RUNNING,
    SIM_NODE_PAUSED, /* SIGSTOP */
};

struct sim_node {
    struct sim *sim;
    uint64_t id;
    uint32_t number; /* id - 1 */
    char directory[128];
    enum sim_node_state state;
    uint64_t incarnation; /* starts so far */
    struct replica *replica;
    struct log_store *log;
    uint64_t disk_id;
    struct sim_disk disk;
    uint64_t map_generation;     /* of the map that it serves */
    struct data_directory *data; /* while it runs, where there are snapshots */
    uint64_t clean_generation;   /* not 0: what is left of other maps than this one is to be removed */

    /* The clocks: monotonic ones may run fast or slow, wall clocks may jump. */
    uint64_t clock_since_us, clock_local_us, clock_first_us;
    uint64_t clock_rate_per_mille;
    int64_t wall_offset_ms;

    uint64_t heard_ms[SIM_NODES_MAX]; /* its clock when it last heard of each node */
    uint64_t wake_us;                 /* of the next turn; UINT64_MAX: none is planned */
    uint64_t wake_number;
    uint64_t busy_turns; /* in a row, in which time was not waited for */
    bool runs;           /* it is to be started whenever it is down */
    bool joins;          /* it was started with --join; else it is one of those that form the cluster */
    bool is_wiped;       /* an empty disk is in the place of a member's: it is refused under its old id */
    bool is_new;         /* nothing is on its disk */
    bool counts;         /* at the end it must have everything */
    uint64_t gone_us;    /* when it ended because it is no member any more */
    uint16_t bus_port;   /* that it is told to listen on; the others lead to it as well */
    bool asks_to_join;   /* a try is under way (sim_join) */
    uint64_t peers_generation; /* that its connections go by (sim_network) */
    bool asked_to_stop;        /* SIGTERM */
    bool ended;                /* the replica asked to stop: after this turn */
    bool silent;               /* killed in the middle of a turn, or closing: nothing leaves */
    enum replica_exit exit_code;
    char exit_reason[600];
    uint64_t calls_left;        /* until it is killed in the middle of a turn; 0: it is not */
    uint64_t start_again_in_us; /* after such an end */
    /* A fault that waits for the end of a turn in which entries were sent; NULL: none does. */
    void (*when_entries_are_sent)(struct sim_node *node);
    bool entries_were_sent;
};

struct sim_node *sim_node_create(struct sim *sim, uint32_t number);
void sim_node_destroy(struct sim_node *node);

void sim_node_start(struct sim_node *node);
void sim_node_kill(struct sim_node *node, const char *why);
void sim_node_pause(struct sim_node *node);
void sim_node_resume(struct sim_node *node);
/* SIGTERM. */
void sim_node_stop(struct sim_node *node);
/* Another disk, an empty one, takes the place of its own; it is down. `is_same_member`: it was lost, and the
 * node comes with it under its old id; else the node is a new one, which joins. */
void sim_node_wipe(struct sim_node *node, bool is_same_member);
/* It is stopped and not started any more. */
void sim_node_retire(struct sim_node *node);
/* Started again after this time, unless it runs by then. */
void sim_node_start_in(struct sim_node *node, uint64_t in_us);

/* Something has arrived for it: a turn follows soon. */
void sim_node_wake(struct sim_node *node);
/* Takes turns, may be spoken to. */
bool sim_node_listens(const struct sim_node *node);
/* Removes what is left of other maps than the live one, if that is still to be done. */
void sim_node_clean(struct sim_node *node);
/* Folders of maps that it has. */
uint32_t sim_node_count_maps(const struct sim_node *node);
/* Before an input outside of a turn. */
void sim_node_set_time(struct sim_node *node);
/* Whether a call of the replica still has an effect. Counts down to a death in the middle of a turn. */
bool sim_node_may_act(struct sim_node *node);

uint64_t sim_node_clock_ms(const struct sim_node *node);
uint64_t sim_node_wall_ms(const struct sim_node *node);
void sim_node_set_clock_rate(struct sim_node *node, uint64_t per_mille);

/* The log that nodes keep behind their durable maps: at least twice what all clients can have in flight. */
uint64_t sim_node_log_tail_bytes(const struct sim *sim);

/* The node that such an address leads to; NULL: nobody is there. */
struct sim_node *sim_node_at(const struct sim *sim, const struct replica_member *address);
void sim_node_address(const struct sim_node *node, struct replica_member *address);

/* NULL before the cluster is formed. */
const struct raft *sim_node_raft(const struct sim_node *node);
/* The one that leads, of the highest term; NULL: none. */
struct sim_node *sim_find_leader(struct sim *sim);

#endif
