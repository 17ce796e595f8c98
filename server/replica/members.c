/* members.c: see members.h. The encoded form (little-endian, no padding):
 *
 *   u16 version | u16 members
 *   | { u64 node | u64 disk | u8 goal | u64 replaces | u8 host bytes | host | u16 port }*
 *   | version 2: u16 removed | u16 forced | { u64 node | u64 disk }*
 *     | { u64 time | u64 node | u64 cluster[2] | u64 last term | u64 last index | u64 commit }*
 *
 * Version 1 when nothing is remembered, else 2. Invariant: whatever decodes, encodes to the same bytes.
 */
#include "members.h"

#include "byte_cursor.h"

#include <assert.h>
#include <string.h>

/* kvd-older of the tests is a server that knows version 1 only (Makefile). */
#ifndef KVD_TEST_BOOK_VERSION
#define KVD_TEST_BOOK_VERSION MEMBERS_VERSION_OF_MEMORY
#endif

enum { MEMBERS_VERSION = 1, MEMBERS_VERSION_OF_MEMORY = 2, MEMBERS_VERSION_MAX = KVD_TEST_BOOK_VERSION };

/* ---- looking ------------------------------------------------------------------------------------- */

struct replica_member *members_find(struct members *members, uint64_t node_id)
{
    for (uint32_t i = 0; i < members->count; i++) {
        if (members->list[i].node_id == node_id) {
            return &members->list[i];
        }
    }
    return NULL;
}

const struct replica_member *members_find_const(const struct members *members, uint64_t node_id)
{
    for (uint32_t i = 0; i < members->count; i++) {
        if (members->list[i].node_id == node_id) {
            return &members->list[i];
        }
    }
    return NULL;
}

/* ---- changing ------------------------------------------------------------------------------------ */

bool members_put(struct members *members, const struct replica_member *member)
{
    assert(member->node_id != RAFT_NODE_NONE);
    uint32_t place = 0;
    while (place < members->count && members->list[place].node_id < member->node_id) {
        place++;
    }
    bool is_there = place < members->count && members->list[place].node_id == member->node_id;
    if (!is_there) {
        if (members->count == RAFT_NODES_MAX) {
            return false;
        }
        memmove(&members->list[place + 1], &members->list[place],
                (members->count - place) * sizeof members->list[0]);
        members->count++;
    }
    members->list[place] = *member;
    return true;
}

bool members_name_disk(const struct members *members, uint64_t node_id, uint64_t disk_id)
{
    const struct replica_member *member = members_find_const(members, node_id);
    return member != NULL && member->disk_id == disk_id;
}

void members_remove(struct members *members, uint64_t node_id)
{
    for (uint32_t i = 0; i < members->count; i++) {
        if (members->list[i].node_id == node_id) {
            members->count--;
            memmove(&members->list[i], &members->list[i + 1], (members->count - i) * sizeof members->list[0]);
            return;
        }
    }
}

/* ---- what is remembered -------------------------------------------------------------------------- */

bool members_was_removed(const struct members *members, uint64_t node_id, uint64_t disk_id)
{
    for (uint32_t i = 0; i < members->removed_count; i++) {
        if (members->removed[i].node_id == node_id && members->removed[i].disk_id == disk_id) {
            return true;
        }
    }
    return false;
}

void members_remember_removed(struct members *members, uint64_t node_id, uint64_t disk_id)
{
    assert(node_id != RAFT_NODE_NONE && disk_id != 0);
    if (members_was_removed(members, node_id, disk_id)) {
        return;
    }
    if (members->removed_count == MEMBERS_REMOVED_MAX) {
        members->removed_count--;
        memmove(&members->removed[0], &members->removed[1],
                members->removed_count * sizeof members->removed[0]);
    }
    members->removed[members->removed_count++] = (struct members_removed){node_id, disk_id};
}

const struct members_forced *members_find_forced(const struct members *members, const uint64_t cluster_id[2])
{
    for (uint32_t i = 0; i < members->forced_count; i++) {
        if (members->forced[i].cluster_id[0] == cluster_id[0] &&
            members->forced[i].cluster_id[1] == cluster_id[1]) {
            return &members->forced[i];
        }
    }
    return NULL;
}

void members_remember_forced(struct members *members, const struct members_forced *forced)
{
    if (members->forced_count == MEMBERS_FORCED_MAX) {
        members->forced_count--;
        memmove(&members->forced[0], &members->forced[1], members->forced_count * sizeof members->forced[0]);
    }
    members->forced[members->forced_count++] = *forced;
}

void members_copy_memory(struct members *to, const struct members *from)
{
    to->removed_count = from->removed_count;
    to->forced_count = from->forced_count;
    memcpy(to->removed, from->removed, sizeof to->removed);
    memcpy(to->forced, from->forced, sizeof to->forced);
}

/* ---- addresses ----------------------------------------------------------------------------------- */

static bool is_host(const uint8_t *host, size_t size)
{
    if (size == 0 || size > BUS_HOST_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (host[i] <= 0x20 || host[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

bool members_host_is_valid(const char *host)
{
    return is_host((const uint8_t *)host, strnlen(host, BUS_HOST_BYTES_MAX + 1));
}

static bool parse_port(const uint8_t *text, size_t size, uint16_t *port)
{
    uint32_t number = 0;
    if (size == 0 || size > 5) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        number = number * 10 + (uint32_t)(text[i] - '0');
    }
    *port = (uint16_t)number;
    return number >= 1 && number <= UINT16_MAX;
}

bool members_parse_address(const uint8_t *text, size_t size, char host[BUS_HOST_BYTES_MAX + 1],
                           uint16_t *port)
{
    size_t colon = size;
    while (colon > 0 && text[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0 || !parse_port(text + colon, size - colon, port)) {
        return false;
    }
    size_t host_size = colon - 1;
    bool has_brackets = host_size >= 2 && text[0] == '[' && text[host_size - 1] == ']';
    if (has_brackets) {
        text++;
        host_size -= 2;
    } else if (memchr(text, ':', host_size) != NULL) {
        return false; /* which colon is which cannot be told */
    }
    if (!is_host(text, host_size)) {
        return false;
    }
    memcpy(host, text, host_size);
    host[host_size] = '\0';
    return true;
}

/* ---- writing ------------------------------------------------------------------------------------- */

static uint8_t *put_number(uint8_t *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        *to++ = (uint8_t)(value >> (8 * i));
    }
    return to;
}

static uint8_t *put_memory(uint8_t *to, const struct members *members)
{
    to = put_number(to, members->removed_count, 2);
    to = put_number(to, members->forced_count, 2);
    for (uint32_t i = 0; i < members->removed_count; i++) {
        to = put_number(to, members->removed[i].node_id, 8);
        to = put_number(to, members->removed[i].disk_id, 8);
    }
    for (uint32_t i = 0; i < members->forced_count; i++) {
        const struct members_forced *forced = &members->forced[i];
        const uint64_t numbers[] = {forced->time_ms,       forced->node_id,   forced->cluster_id[0],
                                    forced->cluster_id[1], forced->last.term, forced->last.index,
                                    forced->commit};
        _Static_assert(sizeof numbers == MEMBERS_FORCED_BYTES, "all of it");
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
            to = put_number(to, numbers[k], 8);
        }
    }
    return to;
}

size_t members_encode(const struct members *members, uint8_t *bytes)
{
    bool remembers = members->removed_count > 0 || members->forced_count > 0;
    assert(members->count <= RAFT_NODES_MAX);
    assert(members->removed_count <= MEMBERS_REMOVED_MAX && members->forced_count <= MEMBERS_FORCED_MAX);
    uint8_t *to = put_number(bytes, remembers ? MEMBERS_VERSION_OF_MEMORY : MEMBERS_VERSION, 2);
    to = put_number(to, members->count, 2);
    for (uint32_t i = 0; i < members->count; i++) {
        const struct replica_member *member = &members->list[i];
        size_t host_size = strlen(member->bus_host);
        assert(host_size <= BUS_HOST_BYTES_MAX);
        to = put_number(to, member->node_id, 8);
        to = put_number(to, member->disk_id, 8);
        to = put_number(to, (uint64_t)member->goal, 1);
        to = put_number(to, member->replaces, 8);
        to = put_number(to, host_size, 1);
        memcpy(to, member->bus_host, host_size);
        to = put_number(to + host_size, member->bus_port, 2);
    }
    to = remembers ? put_memory(to, members) : to;
    size_t size = (size_t)(to - bytes);
    assert(size <= MEMBERS_BYTES_MAX);
    return size;
}

/* ---- reading ------------------------------------------------------------------------------------- */

static bool read_member(struct cursor *cursor, struct replica_member *member)
{
    member->node_id = take_number(cursor, 8);
    member->disk_id = take_number(cursor, 8);
    uint64_t goal = take_number(cursor, 1);
    member->replaces = take_number(cursor, 8);
    size_t host_size = (size_t)take_number(cursor, 1);
    const uint8_t *host = take_bytes(cursor, host_size);
    member->bus_port = (uint16_t)take_number(cursor, 2);
    if (cursor->failed || member->node_id == RAFT_NODE_NONE || goal > MEMBER_GOAL_VOTER ||
        (goal == MEMBER_GOAL_NONE && member->replaces != 0) || (host_size == 0) != (member->bus_port == 0) ||
        (host_size > 0 && !is_host(host, host_size))) {
        return false;
    }
    member->goal = (enum member_goal)goal;
    memcpy(member->bus_host, host, host_size);
    return true;
}

static bool read_memory(struct cursor *cursor, struct members *members)
{
    members->removed_count = (uint32_t)take_number(cursor, 2);
    members->forced_count = (uint32_t)take_number(cursor, 2);
    if (cursor->failed || members->removed_count > MEMBERS_REMOVED_MAX ||
        members->forced_count > MEMBERS_FORCED_MAX || members->removed_count + members->forced_count == 0) {
        return false;
    }
    for (uint32_t i = 0; i < members->removed_count; i++) {
        members->removed[i].node_id = take_number(cursor, 8);
        members->removed[i].disk_id = take_number(cursor, 8);
    }
    for (uint32_t i = 0; i < members->forced_count; i++) {
        struct members_forced *forced = &members->forced[i];
        forced->time_ms = take_number(cursor, 8);
        forced->node_id = take_number(cursor, 8);
        forced->cluster_id[0] = take_number(cursor, 8);
        forced->cluster_id[1] = take_number(cursor, 8);
        forced->last.term = take_number(cursor, 8);
        forced->last.index = take_number(cursor, 8);
        forced->commit = take_number(cursor, 8);
    }
    return !cursor->failed;
}

bool members_decode(const uint8_t *bytes, size_t size, struct members *members)
{
    struct cursor cursor = {bytes, size, false};
    memset(members, 0, sizeof *members);
    uint64_t version = take_number(&cursor, 2);
    uint64_t count = take_number(&cursor, 2);
    if (cursor.failed || version < MEMBERS_VERSION || version > MEMBERS_VERSION_MAX ||
        count > RAFT_NODES_MAX) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        struct replica_member *member = &members->list[i];
        if (!read_member(&cursor, member) || (i > 0 && member[-1].node_id >= member->node_id)) {
            return false;
        }
    }
    members->count = (uint32_t)count;
    if (version >= MEMBERS_VERSION_OF_MEMORY && !read_memory(&cursor, members)) {
        return false;
    }
    return cursor.left == 0;
}
