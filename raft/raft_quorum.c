/* raft_quorum.c: see raft_quorum.h. */
#include "raft_quorum.h"

#include "raft_assert.h"

enum {
    SLOTS_MAX = 32,
};

static uint32_t count_bits(uint32_t bits)
{
    uint32_t count = 0;
    for (; bits != 0; bits &= bits - 1) {
        count++;
    }
    return count;
}

static bool is_majority(uint32_t set, uint32_t bits)
{
    return count_bits(set & bits) > count_bits(set) / 2;
}

bool raft_quorum_is_reached(const struct raft_quorum *quorum, uint32_t bits)
{
    return is_majority(quorum->voters, bits) &&
           (quorum->outgoing == 0 || is_majority(quorum->outgoing, bits));
}

bool raft_quorum_is_lost(const struct raft_quorum *quorum, uint32_t bits)
{
    return is_majority(quorum->voters, bits) || is_majority(quorum->outgoing, bits);
}

static uint64_t majority_value(uint32_t set, const uint64_t *values)
{
    uint64_t falling[SLOTS_MAX];
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < SLOTS_MAX; slot++) {
        if ((set & raft_quorum_bit(slot)) == 0) {
            continue;
        }
        uint32_t at = count++;
        for (; at > 0 && falling[at - 1] < values[slot]; at--) {
            falling[at] = falling[at - 1];
        }
        falling[at] = values[slot];
    }
    raft_assert(count > 0);
    return falling[count / 2]; /* count / 2 + 1 values are at least this */
}

uint64_t raft_quorum_value(const struct raft_quorum *quorum, const uint64_t *values)
{
    uint64_t value = majority_value(quorum->voters, values);
    if (quorum->outgoing == 0) {
        return value;
    }
    uint64_t outgoing = majority_value(quorum->outgoing, values);
    return outgoing < value ? outgoing : value;
}
