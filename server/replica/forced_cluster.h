/* forced_cluster.h: a survivor of a cluster that has lost its majority for good becomes a cluster of its own:
 * with a new cluster id, and no member but itself. Offline: no replica runs on these stores.
 *
 * It is for an operator who has to choose between what one log holds and nothing. It is outside Raft's
 * promise, and loses what only the lost members had. What it keeps of that promise:
 * - All that this node has acknowledged to a leader stays: its whole log, its map.
 * - Entries beyond the commit that it knew of become committed. Some may never have been (their clients were
 *   told nothing, or -UNKNOWN), and the lost members may have others at those places. Nobody can tell any
 *   more.
 * - The term is raised by one, and the new membership stands at the end of the log in that term, so that a
 *   log of the new cluster never looks like one of the old.
 * - No message of the former cluster counts here, nor one of this there: each hello carries the cluster's
 *   id, and this node's disk is the only one that the new book knows.
 *
 * One transaction of the log does it all: identity, hard state, the entry, the commit. Before it, the node is
 * a member of the old cluster; after it, it is the new one. That it happened stays in the address book
 * (struct members_forced) for ever, on every member that the new cluster will have.
 */
#ifndef FORCED_CLUSTER_H
#define FORCED_CLUSTER_H

#include "log_store.h"
#include "map.h"
#include "members.h"

/* What a survivor has. */
struct forced_cluster {
    struct log_identity identity;
    struct log_hard_state hard_state;
    struct raft_membership membership; /* the newest that it knows of, committed or not */
    struct members members;            /* of that */
    struct raft_entry_id last;         /* the end of its log */
    uint64_t commit;                   /* known to be committed; there may be more */
    uint64_t applied, key_count;       /* of its map on disk */
};

/* Reads and checks everything that would be needed: each entry that the map has not applied is read.
 * STORAGE_INCOMPATIBLE: nothing that a cluster could be made of, or none is needed: this node is the only
 * voter. STORAGE_CORRUPT, STORAGE_FAILED. In each case *error is a sentence for the operator. */
enum storage_status forced_cluster_examine(struct log_store *log, const struct map *map,
                                           struct forced_cluster *found,
                                           struct storage_error *error) STORAGE_MUST_CHECK;

/* What it is to become. */
struct forced_cluster_order {
    uint64_t cluster_id[2]; /* new */
    uint64_t time_ms;       /* Unix time */
    struct replica_member
        address; /* where its bus is reached, if the book does not know; port 0: not known */
};

/* Does it. On anything but STORAGE_OK see log_store_write(). */
enum storage_status forced_cluster_make(struct log_store *log, const struct forced_cluster *found,
                                        const struct forced_cluster_order *order,
                                        struct storage_error *error) STORAGE_MUST_CHECK;

#endif
