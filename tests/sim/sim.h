/* sim.h: one run: whole replicas, with the real Raft, storage and commands, in a world that a seed decides.
 *
 * What is real: raft/, storage/ (LMDB, in a directory in memory), server/replica, server/commands,
 * server/protocol, the frames of the bus. What is simulated: sockets, threads, clocks, processes, the time
 * that anything takes.
 *
 * Time is simulated, in microseconds, and moves from one event to the next (sim_events). Everything that is
 * random comes from the seed. Nothing that differs between two runs of one seed (addresses, sizes of files,
 * real time) may decide anything.
 *
 * The parts:
 *   sim           the run: its phases, its end                  sim_knobs    what it is like
 *   sim_node      a process: its clock, its turns, its end      sim_faults   what goes wrong, and when
 *   sim_network   connections between nodes                     sim_check    properties after every turn
 *   sim_disk      the disk queues of a node                     sim_promise  what disks hold and messages say
 *   sim_stream    snapshots on their way                        sim_members  who the members are, by the logs
 *   sim_operator  changes of the members, empty disks           sim_join     nodes that ask to be added
 *   sim_client    clients                                       sim_verdict  properties at the end
 *   sim_connection  their connections with nodes                sim_record   what clients were told
 *   sim_workload  what clients ask                              sim_trace    the story, for people
 */
#ifndef SIM_H
#define SIM_H

#include "sim_events.h"
#include "sim_knobs.h"
#include "sim_random.h"
#include "sim_trace.h"

#include "replica.h"

#include <stdbool.h>
#include <stdint.h>

enum { SIM_NODES_MAX = 12, SIM_HISTORY_STEPS = 1000000 };

/* Why a run failed; the exit code of kvsim. */
enum sim_failure {
    SIM_PASSED = 0,
    SIM_CORRECTNESS = 10, /* a property of the nodes does not hold */
    SIM_LIVENESS = 11,    /* no progress although nothing fails any more */
    SIM_HISTORY = 12,     /* clients saw what one copy of the data could not have told them */
    SIM_CRASH = 13,       /* an assertion of the code under test, or a crash */
};

struct sim_node;
struct sim_client;
struct sim_network;
struct sim_connections;
struct sim_check;
struct sim_promise;
struct sim_record;
struct sim_stream;
struct sim_members;
struct sim_operator;

/* What was done, for reports. */
struct sim_counts {
    uint64_t events, turns, messages, crashes, elections, commands, acknowledged, unknown, refused, entries,
        values, keys, undecided_keys, snapshots, changes;
};

struct sim {
    uint64_t seed;
    struct sim_knobs knobs;
    struct sim_random random;
    struct sim_events events;
    uint64_t now_us;
    char directory[96];
    struct sim_trace trace;
    struct sim_counts counts;
    /* A digest of all that happened: two runs of one seed have the same. */
    uint64_t digest;

    struct sim_node *nodes[SIM_NODES_MAX]; /* those that form the cluster, then those that may join it */
    uint32_t nodes_count;
    struct sim_network *network;
    struct sim_connections *connections;
    struct sim_client **clients;
    uint32_t clients_count;
    struct sim_check *check;
    struct sim_promise *promise;
    struct sim_record *record;
    struct sim_stream *streams;
    struct sim_members *members;
    struct sim_operator *operator;

    uint64_t history_steps_max;
    bool clients_may_begin; /* new commands */
    bool faults_may_begin;
    uint32_t unlucky_leaders; /* sim_faults.c */
};

struct sim_options {
    uint64_t seed;
    struct sim_knobs knobs;
    const char *directory; /* an empty one, in memory if possible */
    struct sim_trace trace;
    const char *scenario;       /* NULL: faults and clients as the knobs say */
    uint64_t history_steps_max; /* to decide the history of one key; 0: SIM_HISTORY_STEPS */
    bool checker_is_canary;     /* the history is altered before it is checked: the run must fail */
};

/* Runs it and returns when all is well; ends the process with an enum sim_failure otherwise, after one line
 * on stdout: "FAILED seed=<n> kind=<kind> <why>". */
void sim_run(const struct sim_options *options, struct sim_counts *counts, uint64_t *digest,
             uint64_t *simulated_us);

/* The same in pieces, for scenarios. */
struct sim *sim_create(const struct sim_options *options);
void sim_start_all(struct sim *sim);
/* Lets what is due until then happen. */
void sim_run_until(struct sim *sim, uint64_t until_us);
/* All faults end, everybody is there: progress, then the last checks. */
void sim_finish(struct sim *sim, bool canary);
void sim_destroy(struct sim *sim);

void sim_fail(struct sim *sim, enum sim_failure kind, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
/* Into the digest of the run. */
void sim_note(struct sim *sim, uint64_t what, uint64_t value);
void sim_after(struct sim *sim, uint64_t in_us, sim_event_function *fire, void *target, uint64_t number);
/* A random time with this mean. */
uint64_t sim_around(struct sim *sim, uint64_t mean_us);
/* Whether this one of the disks, or of the ways between nodes, is among the third that the knobs make slow:
 * the same throughout a run. */
bool sim_is_slow(const struct sim *sim, uint64_t number);
void *sim_allocate(size_t size); /* zeroed; never NULL */
/* Room for one more in a growing array. */
void *sim_grow(void *array, size_t count, size_t *capacity, size_t element_bytes);
/* An array by place: room for this one, with zeroes in what is new. *count is what there is room for. */
void *sim_grow_to(void *array, uint64_t place, size_t *count, size_t element_bytes);

#endif
