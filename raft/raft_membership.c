/* raft_membership.c: see raft_membership.h. */
#include "raft_membership.h"

#include <string.h>

#include "raft.h"
#include "raft_assert.h"

enum {
    ENCODING_VERSION = 1,
    FIXED_BYTES = 4,
    ID_BYTES = 8,
};

_Static_assert(FIXED_BYTES + 3 * RAFT_NODES_MAX * ID_BYTES < RAFT_MEMBERSHIP_BYTES_MAX,
               "room for opaque bytes");

/* ---- lists that rise ------------------------------------------------------------------------- */

/* The place of `id`, or where it would have to stand. */
static uint32_t find_place(const raft_node_id *ids, uint32_t count, raft_node_id id)
{
    uint32_t at = 0;
    while (at < count && ids[at] < id) {
        at++;
    }
    return at;
}

static bool contains(const raft_node_id *ids, uint32_t count, raft_node_id id)
{
    uint32_t at = find_place(ids, count, id);
    return at < count && ids[at] == id;
}

static void insert(raft_node_id *ids, uint32_t *count, raft_node_id id)
{
    uint32_t at = find_place(ids, *count, id);
    raft_assert(*count < RAFT_NODES_MAX && (at == *count || ids[at] != id));
    memmove(ids + at + 1, ids + at, (*count - at) * sizeof *ids);
    ids[at] = id;
    (*count)++;
}

static void drop(raft_node_id *ids, uint32_t *count, raft_node_id id)
{
    uint32_t at = find_place(ids, *count, id);
    if (at < *count && ids[at] == id) {
        (*count)--;
        memmove(ids + at, ids + at + 1, (*count - at) * sizeof *ids);
        ids[*count] = RAFT_NODE_NONE;
    }
}

static bool rises(const raft_node_id *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] == RAFT_NODE_NONE || (i > 0 && ids[i] <= ids[i - 1])) {
            return false;
        }
    }
    return true;
}

static bool lists_equal(const raft_node_id *a, uint32_t a_count, const raft_node_id *b, uint32_t b_count)
{
    return a_count == b_count && memcmp(a, b, a_count * sizeof *a) == 0;
}

/* ---- the value ------------------------------------------------------------------------------- */

enum raft_member_kind raft_membership_find(const struct raft_membership *membership, raft_node_id id)
{
    if (contains(membership->voters, membership->voters_count, id)) {
        return RAFT_MEMBER_VOTER;
    }
    if (contains(membership->outgoing, membership->outgoing_count, id)) {
        return RAFT_MEMBER_OUTGOING;
    }
    if (contains(membership->learners, membership->learners_count, id)) {
        return RAFT_MEMBER_LEARNER;
    }
    return RAFT_MEMBER_NONE;
}

bool raft_membership_set(struct raft_membership *membership, raft_node_id id, enum raft_member_kind kind)
{
    raft_assert(!raft_membership_is_joint(membership) && kind != RAFT_MEMBER_OUTGOING);
    bool is_new = raft_membership_find(membership, id) == RAFT_MEMBER_NONE;
    bool full = membership->voters_count + membership->learners_count == RAFT_NODES_MAX;
    if (id == RAFT_NODE_NONE || (is_new && full && kind != RAFT_MEMBER_NONE)) {
        return false;
    }
    drop(membership->voters, &membership->voters_count, id);
    drop(membership->learners, &membership->learners_count, id);
    if (kind == RAFT_MEMBER_VOTER) {
        insert(membership->voters, &membership->voters_count, id);
    } else if (kind == RAFT_MEMBER_LEARNER) {
        insert(membership->learners, &membership->learners_count, id);
    }
    return true;
}

bool raft_membership_is_joint(const struct raft_membership *membership)
{
    return membership->outgoing_count > 0;
}

bool raft_membership_equals(const struct raft_membership *a, const struct raft_membership *b)
{
    return lists_equal(a->voters, a->voters_count, b->voters, b->voters_count) &&
           lists_equal(a->outgoing, a->outgoing_count, b->outgoing, b->outgoing_count) &&
           lists_equal(a->learners, a->learners_count, b->learners, b->learners_count);
}

/* Fills `ids` up to RAFT_NODES_MAX; returns how many there are, be they more. */
static uint32_t list_members(const struct raft_membership *membership, raft_node_id *ids)
{
    const raft_node_id *lists[] = {membership->voters, membership->outgoing, membership->learners};
    const uint32_t counts[] = {membership->voters_count, membership->outgoing_count,
                               membership->learners_count};
    uint32_t count = 0;
    for (int list = 0; list < 3; list++) {
        for (uint32_t i = 0; i < counts[list]; i++) {
            if (contains(ids, count, lists[list][i])) {
                continue;
            }
            if (count == RAFT_NODES_MAX) {
                return count + 1;
            }
            insert(ids, &count, lists[list][i]);
        }
    }
    return count;
}

bool raft_membership_is_valid(const struct raft_membership *membership)
{
    if (membership->voters_count == 0 || membership->voters_count > RAFT_NODES_MAX ||
        membership->outgoing_count > RAFT_NODES_MAX || membership->learners_count > RAFT_NODES_MAX) {
        return false;
    }
    if (!rises(membership->voters, membership->voters_count) ||
        !rises(membership->outgoing, membership->outgoing_count) ||
        !rises(membership->learners, membership->learners_count)) {
        return false;
    }
    for (uint32_t i = 0; i < membership->learners_count; i++) {
        if (contains(membership->voters, membership->voters_count, membership->learners[i])) {
            return false;
        }
    }
    raft_node_id ids[RAFT_NODES_MAX];
    return list_members(membership, ids) <= RAFT_NODES_MAX;
}

uint32_t raft_membership_list(const struct raft_membership *membership, raft_node_id ids[RAFT_NODES_MAX])
{
    uint32_t count = list_members(membership, ids);
    raft_assert(count <= RAFT_NODES_MAX);
    return count;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

uint32_t raft_membership_header_bytes(const struct raft_membership *membership)
{
    return FIXED_BYTES +
           ID_BYTES * (membership->voters_count + membership->outgoing_count + membership->learners_count);
}

static uint8_t *put_ids(uint8_t *to, const raft_node_id *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t byte = 0; byte < ID_BYTES; byte++) {
            *to++ = (uint8_t)(ids[i] >> (8 * byte));
        }
    }
    return to;
}

static const uint8_t *get_ids(const uint8_t *from, raft_node_id *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = 0;
        for (uint32_t byte = 0; byte < ID_BYTES; byte++) {
            ids[i] |= (raft_node_id)*from++ << (8 * byte);
        }
    }
    return from;
}

struct raft_payload *raft_membership_encode(const struct raft_membership *membership, const uint8_t *opaque,
                                            uint32_t opaque_size)
{
    raft_assert(raft_membership_is_valid(membership));
    uint32_t header = raft_membership_header_bytes(membership);
    raft_assert(opaque_size <= RAFT_MEMBERSHIP_BYTES_MAX - header);
    struct raft_payload *payload = raft_payload_create(header + opaque_size);
    payload->size = header + opaque_size;
    payload->bytes[0] = ENCODING_VERSION;
    payload->bytes[1] = (uint8_t)membership->voters_count;
    payload->bytes[2] = (uint8_t)membership->outgoing_count;
    payload->bytes[3] = (uint8_t)membership->learners_count;
    uint8_t *to = payload->bytes + FIXED_BYTES;
    to = put_ids(to, membership->voters, membership->voters_count);
    to = put_ids(to, membership->outgoing, membership->outgoing_count);
    to = put_ids(to, membership->learners, membership->learners_count);
    raft_assert(to == payload->bytes + header);
    if (opaque_size > 0) {
        memcpy(to, opaque, opaque_size);
    }
    return payload;
}

bool raft_membership_decode(const uint8_t *bytes, uint32_t size, struct raft_membership *membership,
                            uint32_t *opaque_offset)
{
    if (size < FIXED_BYTES || size > RAFT_MEMBERSHIP_BYTES_MAX || bytes[0] != ENCODING_VERSION) {
        return false;
    }
    struct raft_membership decoded = {
        .voters_count = bytes[1],
        .outgoing_count = bytes[2],
        .learners_count = bytes[3],
    };
    if (decoded.voters_count > RAFT_NODES_MAX || decoded.outgoing_count > RAFT_NODES_MAX ||
        decoded.learners_count > RAFT_NODES_MAX || raft_membership_header_bytes(&decoded) > size) {
        return false;
    }
    const uint8_t *from = bytes + FIXED_BYTES;
    from = get_ids(from, decoded.voters, decoded.voters_count);
    from = get_ids(from, decoded.outgoing, decoded.outgoing_count);
    from = get_ids(from, decoded.learners, decoded.learners_count);
    if (!raft_membership_is_valid(&decoded)) {
        return false;
    }
    raft_assert(from == bytes + raft_membership_header_bytes(&decoded));
    *membership = decoded;
    *opaque_offset = raft_membership_header_bytes(&decoded);
    return true;
}
