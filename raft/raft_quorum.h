/* raft_quorum.h: majorities, of one configuration or of two at once (thesis 4.3).
 *
 * What it is: the one place that counts. Elections, commits, reads and check-quorum ask here, so that none
 * of them can forget that a joint configuration needs a majority of C_old and a majority of C_new.
 *
 * What it is not: it knows no ids; voters are bits by slot (raft_configuration gives them).
 */
#ifndef RAFT_QUORUM_H
#define RAFT_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

struct raft_quorum {
    uint32_t voters;   /* a bit per slot */
    uint32_t outgoing; /* 0: not joint */
};

static inline uint32_t raft_quorum_bit(uint32_t slot)
{
    return UINT32_C(1) << slot;
}

/* True if those in `bits` are a majority of each set. Never true of no voters at all. */
bool raft_quorum_is_reached(const struct raft_quorum *quorum, uint32_t bits);
/* True if those in `bits` are a majority of either set: without them nothing can be reached. */
bool raft_quorum_is_lost(const struct raft_quorum *quorum, uint32_t bits);
/* The greatest value that a majority of each set reaches; `values` are by slot. There is a voter. */
uint64_t raft_quorum_value(const struct raft_quorum *quorum, const uint64_t *values);

#endif
