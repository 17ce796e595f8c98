/* raft_network_state.h: what raft_network.h is made of: types, random numbers, the values of entries. */
#ifndef RAFT_NETWORK_STATE_H
#define RAFT_NETWORK_STATE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft.h"

enum {
    NETWORK_NODES_MAX = 7,
    NETWORK_LOG_MAX = 20000,
    NETWORK_TERMS_MAX = 20000,
    NETWORK_READS_MAX = 64,
    NETWORK_LOG_READS_MAX = 64,
    NETWORK_STREAMS_MAX = 32,
};

/* The value of an entry that is a configuration: this bit and a hash of its bytes. */
#define NETWORK_MEMBERSHIP (UINT64_C(1) << 63)

/* An entry as the tests see it: the payload is one number, padded. */
struct network_entry {
    uint64_t term;
    uint64_t value; /* 0: no-op */
    uint32_t size;
};

/* The bytes of a configuration, by its value. */
struct network_configuration {
    uint64_t value;
    struct raft_payload *payload;
};

struct network_persist {
    uint64_t sequence;
    struct raft_install install;
    bool hard_state_changed;
    struct raft_hard_state hard_state;
    struct raft_entry *entries;
    uint32_t entries_count;
    bool written;
    struct network_persist *next;
};

struct network_held { /* messages that wait for the disk */
    uint64_t after_sequence;
    struct raft_message message;
    struct network_held *next;
};

struct network_disk {
    struct raft_hard_state hard_state;
    struct raft_entry_id base;
    uint64_t last;
    struct network_entry *entries; /* by index */
    uint64_t applied;              /* durable state machine: how far it is, */
    uint64_t membership;           /* and the value of the configuration that it holds; 0: none */
};

/* A snapshot on its way. */
struct network_stream {
    uint32_t from;
    uint32_t to;
    struct raft_entry_id upto;
    uint64_t membership;
    uint64_t due_ms;
    bool arrived; /* only the sender has not been told */
    bool ok;
};

struct network_read {
    uint64_t id;
    uint64_t least_index; /* the greatest index committed anywhere when it was asked for */
};

struct network_node {
    struct raft *raft; /* NULL: crashed */
    struct raft_config config;
    struct network_disk disk;
    struct network_persist *persists_first; /* issued, not reported */
    struct network_persist *persists_last;
    struct network_held *held_first;
    struct network_held *held_last;
    uint64_t persisted; /* last sequence reported */
    uint64_t disk_busy_until_ms;
    bool disk_hangs;
    uint64_t paused_until_ms;
    uint64_t led_term;                      /* last term whose leadership was checked */
    struct raft_entry_id led_configuration; /* the one in effect when that was checked last */
    struct network_read reads[NETWORK_READS_MAX];
    uint32_t reads_count;
    uint64_t applied;
    uint64_t membership; /* of what is applied */
    uint64_t checked_commit;
    struct raft_log_read log_reads[NETWORK_LOG_READS_MAX];
    uint32_t log_reads_count;
    bool was_removed; /* the core says so */
};

struct network_message {
    uint64_t due_ms;
    struct raft_message message;
};

struct network {
    uint64_t seed;
    uint64_t random;
    uint64_t now_ms;
    uint32_t nodes_count;
    struct network_node nodes[NETWORK_NODES_MAX];
    raft_node_id ids[NETWORK_NODES_MAX];
    bool cut[NETWORK_NODES_MAX][NETWORK_NODES_MAX]; /* [from][to] */

    struct network_message *queue;
    uint32_t queue_count;
    uint32_t queue_capacity;
    uint32_t drop_percent;
    uint32_t duplicate_percent;
    uint32_t delay_ms_max;
    uint32_t disk_ms_max;
    uint32_t stream_ms_max;

    struct network_entry *committed; /* by index: what everybody must agree on */
    uint64_t committed_last;
    uint64_t committed_membership; /* the value of the last configuration among them, or of the first one */
    uint64_t counted_last;         /* up to here leaders were seen to hold a majority */
    struct network_configuration *configurations;
    uint32_t configurations_count;
    struct network_stream streams[NETWORK_STREAMS_MAX];
    uint32_t streams_count;
    raft_node_id *leaders; /* by term */
    uint64_t next_value;
    uint64_t reads_ok;
    uint64_t reads_failed;
    uint64_t proposals_ok;
    uint64_t memberships_committed;
    uint64_t snapshots_installed;
    uint64_t snapshots_refused;
    uint64_t removals_heard;
    bool (*filter)(const struct raft_message *message, void *context); /* true: lose the message */
    void *filter_context;
};

#define NETWORK_CHECK(network, condition)                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: seed %" PRIu64 ", %" PRIu64 " ms: broken: %s\n", __FILE__, __LINE__,     \
                    (network)->seed, (network)->now_ms, #condition);                                         \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static inline uint64_t network_random(struct network *network, uint64_t bound)
{
    uint64_t x = network->random += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (x ^ (x >> 31)) % bound;
}

static inline bool network_chance(struct network *network, uint32_t percent)
{
    return network_random(network, 100) < percent;
}

/* ---- values of entries ----------------------------------------------------------------------- */

static inline struct raft_payload *network_find_configuration(const struct network *network, uint64_t value)
{
    for (uint32_t i = 0; i < network->configurations_count; i++) {
        if (network->configurations[i].value == value)
            return network->configurations[i].payload;
    }
    return NULL;
}

/* The value of a configuration; its bytes are kept, so that disks need hold no more than the value. */
static inline uint64_t network_keep_configuration(struct network *network, struct raft_payload *payload)
{
    uint64_t value = UINT64_C(14695981039346656037);
    for (uint32_t i = 0; i < payload->size; i++)
        value = (value ^ payload->bytes[i]) * UINT64_C(1099511628211);
    value |= NETWORK_MEMBERSHIP;
    const struct raft_payload *known = network_find_configuration(network, value);
    if (known != NULL) {
        NETWORK_CHECK(network, known->size == payload->size &&
                                   memcmp(known->bytes, payload->bytes, payload->size) == 0);
        return value;
    }
    uint32_t count = network->configurations_count + 1;
    network->configurations = realloc(network->configurations, count * sizeof *network->configurations);
    network->configurations[network->configurations_count++] =
        (struct network_configuration){.value = value, .payload = raft_payload_ref(payload)};
    return value;
}

static inline uint64_t network_value(struct network *network, const struct raft_entry *entry)
{
    uint64_t value = 0;
    if (entry->type == RAFT_ENTRY_MEMBERSHIP)
        return network_keep_configuration(network, entry->payload);
    if (entry->payload != NULL)
        memcpy(&value, entry->payload->bytes, sizeof value);
    return value;
}

static inline struct raft_membership network_membership(const struct network *network, uint64_t value)
{
    const struct raft_payload *payload = network_find_configuration(network, value);
    struct raft_membership membership;
    uint32_t opaque_offset;
    NETWORK_CHECK(network, payload != NULL);
    NETWORK_CHECK(network,
                  raft_membership_decode(payload->bytes, payload->size, &membership, &opaque_offset));
    return membership;
}

#endif
